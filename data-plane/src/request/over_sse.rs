//! HTTP with SSE, the transport of MCP 2024-11-05, towards clients: each message that is posted goes the way of all others, and what
//! comes of it goes out on the client's one stream.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use tokio::time::timeout;
use vmcp_core::limits;
use vmcp_mcp::{header, sse};

use crate::audit::{Door, EventType};
use crate::plane::Plane;
use crate::principal::{Identity, Scope};
use crate::refusal::Refusal;
use crate::relay::event_stream;
use crate::reply::empty;
use crate::request::{Arrived, door, end, enter, finish, line, listen, receive, recorded};
use crate::snapshot::Server;
use crate::streams::{Hearing, OpenStream};

/// GET: the stream. Its first event says where messages are posted, which is beside `path`.
pub(crate) async fn open(plane: &Arc<Plane>, server: &Arc<Server>, head: &Parts) -> Response {
    let (headers, door) = (&head.headers, door(head.uri.path(), &head.extensions));
    let identity = match enter(plane, server, door, headers).await {
        Ok(identity) => identity,
        Err(refusal) => return refusal.into_response(),
    };
    let arrived = Arrived { plane, server, identity: &identity, headers, door };
    recorded(arrived, EventType::SseConnection, stream_for(arrived)).await
}

async fn stream_for(arrived: Arrived<'_>) -> Result<Response, Refusal> {
    let Arrived { plane, server, headers, door, .. } = arrived;
    let (path, identity) = (door.path, arrived.identity.clone());
    receive::accepts_events(headers)?;
    let hearing = plane.streams.open(arrived.scope()).ok_or_else(Refusal::no_randomness)?;
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let first = format!("event: endpoint\ndata: {folder}/messages?session={}\n\n", hearing.id);
    let listening = Listening { plane: plane.clone(), server: server.clone(), identity, hearing };
    Ok(event_stream(Body::from_stream(stream::unfold(
        (Some(first.into()), listening),
        |(first, mut listening)| async {
            let event = match first {
                Some(first) => first,
                None => listening.next().await?,
            };
            Some((Ok::<Bytes, Infallible>(event), (None, listening)))
        },
    ))))
}

/// What we ask of ourselves for a client comes in by no door, and is on no record.
const BEHIND: Door<'_> = Door { peer: None, path: "", transport: "sse" };

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
            let (plane, server, identity) = (&plane, &server, &identity);
            let arrived = Arrived { plane, server, identity, headers: &headers, door: BEHIND };
            drop(end(arrived).await);
        });
    }
}

/// POST: a message, taken at once, and answered on the stream.
pub(crate) async fn take(plane: &Arc<Plane>, server: &Arc<Server>, request: http::Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let door = door(head.uri.path(), &head.extensions);
    let identity = match enter(plane, server, door, &head.headers).await {
        Ok(identity) => identity,
        Err(refusal) => return refusal.into_response(),
    };
    let arrived = Arrived { plane, server, identity: &identity, headers: &head.headers, door };
    let query = head.uri.query().unwrap_or_default();
    let id = query.split('&').find_map(|part| part.strip_prefix("session=")).unwrap_or_default();
    let Some(stream) = plane.streams.find(Scope { server: &server.name, principal: identity.principal }, id)
    else {
        return arrived.unread(Refusal::unknown_session()).await.into_response();
    };
    let body = match receive::receive_body(&head.headers, body).await {
        Ok(body) => body,
        Err(refusal) => return arrived.unread(refusal).await.into_response(),
    };
    let mut headers = head.headers.clone();
    // The session is the stream's, and its version decides.
    headers.remove(header::PROTOCOL_VERSION);
    headers.remove(header::SESSION_ID);
    headers.extend(stream.session.get().cloned().map(|session| (header::SESSION_ID, session)));
    // Who posts more than is under way at a time, waits; who does not read what comes of it, waits for itself alone.
    let Ok(place) = stream.under_way.clone().acquire_owned().await else {
        return arrived.unread(Refusal::unknown_session()).await.into_response();
    };
    let (plane, server, id) = (plane.clone(), server.clone(), id.to_owned());
    let (peer, path) = (door.peer, door.path.to_owned());
    tokio::spawn(async move {
        let _place = place;
        let door = Door { peer, path: &path, transport: "sse" };
        let arrived =
            Arrived { plane: &plane, server: &server, identity: &identity, headers: &headers, door };
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
    let arrived =
        Arrived { plane: &plane, server: &server, identity: &identity, headers: &headers, door: BEHIND };
    let listened = listen(arrived).await.unwrap_or_else(Refusal::into_response);
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
