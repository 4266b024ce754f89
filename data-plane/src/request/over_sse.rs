//! HTTP with SSE, the transport of MCP 2024-11-05, towards clients: each message that is posted goes the way of all others, and what
//! comes of it goes out on the client's one stream.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use tokio::time::timeout;
use vmcp_core::limits;
use vmcp_mcp::{header, sse};

use crate::plane::Plane;
use crate::principal::{Identity, Scope};
use crate::refusal::Refusal;
use crate::relay::event_stream;
use crate::reply::empty;
use crate::request::authenticate::authenticate;
use crate::request::{Arrived, end, finish, line, listen, receive};
use crate::snapshot::Server;
use crate::streams::{Hearing, OpenStream};

/// GET: the stream. Its first event says where messages are posted, which is beside `path`.
pub(crate) async fn open(
    plane: &Arc<Plane>,
    server: &Arc<Server>,
    path: &str,
    headers: &HeaderMap,
) -> Response {
    let identity = match authenticate(plane, server, path, headers).await {
        Ok(identity) => identity,
        Err(refusal) => return refusal.into_response(),
    };
    if let Err(refusal) = receive::accepts_events(headers) {
        return refusal.into_response();
    }
    let Some(hearing) = plane.streams.open(Scope { server: &server.name, principal: identity.principal })
    else {
        return Refusal::no_randomness().into_response();
    };
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let first = format!("event: endpoint\ndata: {folder}/messages?session={}\n\n", hearing.id);
    let listening = Listening { plane: plane.clone(), server: server.clone(), identity, hearing };
    event_stream(Body::from_stream(stream::unfold(
        (Some(first.into()), listening),
        |(first, mut listening)| async {
            let event = match first {
                Some(first) => first,
                None => listening.next().await?,
            };
            Some((Ok::<Bytes, Infallible>(event), (None, listening)))
        },
    )))
}

/// The client's end of a stream. Its end is the end of the session.
struct Listening {
    plane: Arc<Plane>,
    server: Arc<Server>,
    identity: Identity,
    hearing: Hearing,
}

impl Listening {
    async fn next(&mut self) -> Option<Bytes> {
        if self.hearing.session.get().is_some() {
            return self.hearing.events.recv().await;
        }
        let drain = self.plane.drain.clone();
        tokio::select! {
            event = self.hearing.events.recv() => event,
            // Who has not begun a session by then will not.
            () = tokio::time::sleep(limits::REQUEST_TIME) => None,
            () = drain.stopped() => None,
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let Some(session) = self.hearing.session.get().cloned() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (plane, server, identity) = (self.plane.clone(), self.server.clone(), self.identity.clone());
        runtime.spawn(async move {
            let headers = HeaderMap::from_iter([(header::SESSION_ID, session)]);
            let arrived = Arrived { plane: &plane, server: &server, identity: &identity, headers: &headers };
            drop(end(arrived).await);
        });
    }
}

/// POST: a message, taken at once, and answered on the stream.
pub(crate) async fn take(plane: &Arc<Plane>, server: &Arc<Server>, request: http::Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let identity = match authenticate(plane, server, head.uri.path(), &head.headers).await {
        Ok(identity) => identity,
        Err(refusal) => return refusal.into_response(),
    };
    let query = head.uri.query().unwrap_or_default();
    let id = query.split('&').find_map(|part| part.strip_prefix("session=")).unwrap_or_default();
    let Some(stream) = plane.streams.find(Scope { server: &server.name, principal: identity.principal }, id)
    else {
        return Refusal::unknown_session().into_response();
    };
    let mut headers = head.headers;
    let body = match receive::receive_body(&headers, body).await {
        Ok(body) => body,
        Err(refusal) => return refusal.into_response(),
    };
    // The session is the stream's, and its version decides.
    headers.remove(header::PROTOCOL_VERSION);
    headers.remove(header::SESSION_ID);
    headers.extend(stream.session.get().cloned().map(|session| (header::SESSION_ID, session)));
    // Who posts more than is under way at a time, waits; who does not read what comes of it, waits for itself alone.
    let Ok(place) = stream.under_way.clone().acquire_owned().await else {
        return Refusal::unknown_session().into_response();
    };
    let (plane, server, id) = (plane.clone(), server.clone(), id.to_owned());
    tokio::spawn(async move {
        let _place = place;
        let arrived = Arrived { plane: &plane, server: &server, identity: &identity, headers: &headers };
        let answer = finish(&plane, line(arrived, Body::from(body)).await);
        if let Some(session) = answer.headers().get(header::SESSION_ID).cloned()
            && stream.session.set(session.clone()).is_ok()
        {
            let (plane, server, stream) = (plane.clone(), server.clone(), stream.clone());
            tokio::spawn(hear((plane, server, identity.clone()), stream, id.clone(), session));
        }
        if pass(&stream, answer).await.is_none() {
            plane.streams.close(&id);
        }
    });
    empty(StatusCode::ACCEPTED)
}

/// What happens without being asked for, until we stop or the client has gone.
async fn hear(
    (plane, server, identity): (Arc<Plane>, Arc<Server>, Identity),
    stream: Arc<OpenStream>,
    id: String,
    session: HeaderValue,
) {
    let accept = HeaderValue::from_static("text/event-stream");
    let headers = HeaderMap::from_iter([(header::SESSION_ID, session), (http::header::ACCEPT, accept)]);
    let listened =
        listen(Arrived { plane: &plane, server: &server, identity: &identity, headers: &headers }).await;
    tokio::select! {
        _ = pass(&stream, listened) => {}
        () = stream.events.closed() => {}
    }
    plane.streams.close(&id);
}

/// Puts all of an answer on the stream. `None`: the client does not read it.
async fn pass(stream: &OpenStream, answer: Response) -> Option<()> {
    let is_stream = answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
    let body = answer.into_body();
    if !is_stream {
        let whole = to_bytes(body, usize::MAX).await.ok()?;
        return if whole.is_empty() { Some(()) } else { tell(stream, sse::encode(&whole)).await };
    }
    let mut pieces = body.into_data_stream();
    // Each is whole events.
    while let Some(Ok(piece)) = pieces.next().await {
        tell(stream, piece).await?;
    }
    Some(())
}

async fn tell(stream: &OpenStream, event: Bytes) -> Option<()> {
    timeout(limits::UNREAD_TIME, stream.events.send(event)).await.ok()?.ok()
}
