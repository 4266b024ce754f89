//! Listening to what a backend says of its lists by itself, for as long as it does.

use std::fmt;
use std::future::pending;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout};
use vmcp_core::limits;
use vmcp_mcp::{Changes, Failure};

use crate::introspect::contact::Contact;

/// An ear for one backend.
pub(super) struct Ear<'c> {
    contact: &'c Contact,
    state: State<'c>,
    /// When it is tried again if the backend says nothing.
    again_at: Instant,
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
    Lost(Failure),
}

impl<'c> Ear<'c> {
    pub(super) fn new(contact: &'c Contact) -> Self {
        Self { contact, state: State::Opening(Box::pin(contact.changes())), again_at: again_at() }
    }

    /// The next thing, whenever that is. Nothing is lost if nobody waits for the end.
    pub(super) async fn hear(&mut self) -> Heard {
        match &mut self.state {
            State::Closed => pending().await,
            State::Opening(opening) => match opening.await {
                Ok(Some(changes)) => {
                    self.state = State::Open(changes);
                    Heard::Opened
                }
                Err(failure) if self.contact.is_forgotten(&failure) => {
                    self.state = State::Closed;
                    Heard::Lost(failure)
                }
                Ok(None) | Err(_) => {
                    self.state = State::Closed;
                    pending().await
                }
            },
            State::Open(changes) => match changes.next().await {
                Ok(Some(_)) => Heard::Changed,
                Ok(None) | Err(_) => {
                    (self.state, self.again_at) = (State::Closed, again_at());
                    Heard::Silent
                }
            },
        }
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

    /// Tries again now and then, where the backend has said nothing so far.
    pub(super) fn open_again(&mut self) {
        if matches!(self.state, State::Closed) && Instant::now() >= self.again_at {
            (self.state, self.again_at) = (State::Opening(Box::pin(self.contact.changes())), again_at());
        }
    }
}

fn again_at() -> Instant {
    Instant::now() + limits::REFRESH_TIME / 2
}

impl fmt::Debug for Ear<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ear")
    }
}
