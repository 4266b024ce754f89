//! What a backend says of its lists by itself: `subscriptions/listen` of a modern one, the listening stream of a legacy one. What a
//! legacy one asks there is answered for nobody.

use std::time::Duration;

use tokio::sync::mpsc;
use vmcp_json::Limits;

use crate::change::Change;
use crate::compose::{Implementation, modern_params, request};
use crate::exchange::{Answer, Exchange};
use crate::failure::Failure;
use crate::holder::answer_for_nobody;
use crate::message::Message;
use crate::method;
use crate::peer::Peer;
use crate::session::{Session, listen};
use crate::stream::EventStream;

/// A backend that is listened to. Dropping it ends that.
#[derive(Debug)]
pub struct Changes {
    source: Source,
    limits: Limits,
    /// Where answers go.
    answers: Option<Box<(Exchange, Peer, Session)>>,
}

#[derive(Debug)]
enum Source {
    Stream(EventStream),
    Duplex(mpsc::Receiver<Change>),
}

/// How long an answer to what is asked may take to be taken.
const ANSWER_TIME: Duration = Duration::from_secs(5);

const ID: &str = "\"vmcp-listen\"";
const ALL: &str =
    r#""notifications":{"toolsListChanged":true,"resourcesListChanged":true,"promptsListChanged":true}"#;

impl Changes {
    /// Listens to a modern backend. `None`: it does not say.
    ///
    /// # Errors
    /// No answer at all.
    pub async fn of_modern(
        exchange: &Exchange,
        peer: &Peer,
        client: &Implementation<'_>,
    ) -> Result<Option<Self>, Failure> {
        let body = request(ID, method::LISTEN, Some(&modern_params(client, ALL)));
        let answer = match exchange.send(peer.modern(method::LISTEN, body)).await {
            Ok(answered) => answered.answer,
            Err(Failure::Protocol(_)) => return Ok(None),
            Err(failure) => return Err(failure),
        };
        Ok(Self::of(exchange, answer))
    }

    /// Listens to a legacy backend. `None`: it does not say.
    ///
    /// # Errors
    /// No answer at all, or it does not know the session any more.
    pub async fn of_legacy(
        exchange: &Exchange,
        peer: &Peer,
        session: &Session,
    ) -> Result<Option<Self>, Failure> {
        if let Some(duplex) = &session.duplex {
            let source = Source::Duplex(duplex.changes());
            return Ok(Some(Self { source, limits: exchange.answer_limits(), answers: None }));
        }
        let events = listen(exchange, peer, session).await?;
        let answers = Some(Box::new((exchange.clone(), peer.clone(), session.clone())));
        Ok(events.map(|events| Self {
            source: Source::Stream(events),
            limits: exchange.answer_limits(),
            answers,
        }))
    }

    fn of(exchange: &Exchange, answer: Answer) -> Option<Self> {
        let Answer::Stream(events) = answer else { return None };
        Some(Self { source: Source::Stream(events), limits: exchange.answer_limits(), answers: None })
    }

    /// The next change; `None` when it says no more.
    ///
    /// # Errors
    /// The connection has broken.
    pub async fn next(&mut self) -> Result<Option<Change>, Failure> {
        let events = match &mut self.source {
            Source::Duplex(changes) => return Ok(changes.recv().await),
            Source::Stream(events) => events,
        };
        while let Some(event) = events.next().await? {
            match Message::parse(&event.data, &self.limits) {
                Ok(Message::Notification(notification)) => {
                    if let Some(change) = Change::read(&notification.method) {
                        return Ok(Some(change));
                    }
                }
                Ok(Message::Request(asked)) => {
                    if let Some((exchange, peer, session)) = self.answers.as_deref().cloned() {
                        let answer = answer_for_nobody(&asked).into();
                        tokio::spawn(async move {
                            let sending = session.send(&exchange, &peer, answer);
                            // Whether the backend likes the answer changes nothing.
                            let _ = tokio::time::timeout(ANSWER_TIME, sending).await;
                        });
                    }
                }
                Ok(Message::Response(_)) | Err(_) => {}
            }
        }
        Ok(None)
    }
}
