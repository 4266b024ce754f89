//! Listening to what a backend says of its lists by itself, for as long as it does.

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until, timeout};
use vmcp_core::limits;
use vmcp_introspect::Contact;
use vmcp_mcp::{Changes, Failure};

/// An ear for one backend.
pub(super) struct Ear<'c> {
    contact: &'c Contact,
    state: State<'c>,
    /// When it is tried again, where the backend says nothing now.
    again_at: Instant,
    opened_at: Instant,
    pause: Duration,
}

enum State<'c> {
    /// It says nothing by itself.
    Closed,
    Opening(BoxFuture<'c, Result<Option<Changes>, Failure>>),
    Open(Changes),
}

/// What was heard.
#[derive(Debug)]
pub(super) enum Heard {
    /// From now on changes are heard. Others may have happened before.
    Opened,
    /// A list has changed.
    Changed,
    /// From now on none are heard.
    Silent,
    /// The backend does not know us any more.
    Lost,
}

impl<'c> Ear<'c> {
    pub(super) fn new(contact: &'c Contact) -> Self {
        let (state, now) = (State::Opening(Box::pin(contact.changes())), Instant::now());
        Self { contact, state, again_at: now, opened_at: now, pause: limits::RETRY_FIRST }
    }

    /// The next thing, whenever that is. Nothing is lost if nobody waits for the end.
    pub(super) async fn hear(&mut self) -> Heard {
        loop {
            match &mut self.state {
                State::Closed => {
                    sleep_until(self.again_at).await;
                    self.state = State::Opening(Box::pin(self.contact.changes()));
                }
                State::Opening(opening) => match opening.await {
                    Ok(Some(changes)) => {
                        (self.state, self.opened_at) = (State::Open(changes), Instant::now());
                        return Heard::Opened;
                    }
                    Err(failure) if self.contact.is_forgotten(&failure) => {
                        self.close(limits::DEAF_TIME);
                        return Heard::Lost;
                    }
                    // It says nothing by itself.
                    Ok(None) => self.close(limits::DEAF_TIME),
                    Err(_) => self.close_for_a_while(),
                },
                State::Open(changes) => match changes.next().await {
                    Ok(Some(_)) => return Heard::Changed,
                    Ok(None) | Err(_) => {
                        self.close_for_a_while();
                        return Heard::Silent;
                    }
                },
            }
        }
    }

    fn close(&mut self, pause: Duration) {
        (self.state, self.again_at) = (State::Closed, Instant::now() + pause);
    }

    /// A stream that something in between cuts now and then is opened again soon; one that never stands, later and later.
    fn close_for_a_while(&mut self) {
        if self.opened_at.elapsed() > limits::STEADY_TIME {
            self.pause = limits::RETRY_FIRST;
        }
        self.close(self.pause);
        self.pause = (self.pause * 2).min(limits::RETRY_LONGEST);
    }

    /// What has been said already is about what is asked for next.
    pub(super) async fn drain(&mut self) {
        while let State::Open(_) = &self.state {
            match timeout(Duration::ZERO, self.hear()).await {
                Ok(Heard::Changed) => {}
                Ok(_) | Err(_) => return,
            }
        }
    }
}

impl fmt::Debug for Ear<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ear")
    }
}
