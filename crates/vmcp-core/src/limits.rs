//! Every bound that clients, backends and operators can meet, each with its reason. The shapes of names and of sentences stand beside
//! what they shape.

mod boundaries;

use std::time::Duration;

pub use boundaries::*;

use vmcp_json::Limits;

/// A request body: the largest argument that a model plausibly writes, times a hundred.
pub const REQUEST_BYTES: usize = 8 * 1024 * 1024;

/// Messages in one batch of protocol version 2025-03-26.
pub const BATCH_MESSAGES: usize = 64;

/// What is read and forgotten of a body that is too large, so that its sender hears why.
pub const DISCARDED_BYTES: usize = 4 * REQUEST_BYTES;
/// See [`DISCARDED_BYTES`].
pub const DISCARD_TIME: Duration = Duration::from_secs(2);

/// Nesting of any message: schemas and arguments that people write stay under 30; 64 keeps the stack small.
pub const DEPTH: usize = 64;

/// What a client may send.
pub const REQUEST: Limits = Limits::new(REQUEST_BYTES, DEPTH);

/// One item's definition: a schema that no model could use is larger.
pub const ITEM: Limits = Limits::new(1024 * 1024, DEPTH).with_lone_surrogates();

/// Expressions of a URI template: people write one to three.
pub const TEMPLATE_EXPRESSIONS: usize = 16;

/// Templates that begin as a URI does and are held to it; a backend could list thousands.
pub const TEMPLATES_TRIED: usize = 100;

/// A URI that is held to templates: longer ones belong to nobody.
pub const URI_BYTES: usize = 4 * 1024;

/// What popular clients accept as a tool's name.
pub const NAME_CHARACTERS: usize = 64;

/// What MCP lets a tool be called, in characters (2025-11-25, Tools, Tool Names).
pub const TOOL_NAME_CHARACTERS: usize = 128;

/// What `max_name_length` can be at least: a hash, and enough before it to know the tool by.
pub const SHORTEST_NAME_LENGTH: usize = 16;

/// A manifest: a thousand workloads with their overrides, times ten.
pub const MANIFEST_BYTES: usize = 4 * 1024 * 1024;

/// Servers that are taken over from a client's file.
pub const IMPORTED_SERVERS: usize = 1_000;

/// Faults that are gathered of one manifest; who has more mends these first.
pub const MANIFEST_FAULTS: usize = 200;

/// What an operator is told of one catalog: nobody reads more.
pub const DIAGNOSTICS: usize = 1_000;

/// Of these, what is told of one backend alone.
pub const DIAGNOSTICS_OF_BACKEND: usize = 100;

/// Backends that one diagnostic names in data; the report names all.
pub const NAMED_BACKENDS: usize = 100;

/// What one backend's lists can be said to have wrong with them.
pub const INVENTORY_FAULTS: usize = 20;

/// A sentence that a backend has a hand in.
pub const SENTENCE_CHARACTERS: usize = 400;

/// An item's definition as it is exposed: with a prefix, and with what an override writes.
pub const EXPOSED_ITEM: Limits = Limits::new(1024 * 1024 + MANIFEST_BYTES, DEPTH).with_lone_surrogates();

/// Items on one page of a list: many clients read the first page only, so it holds what people have.
pub const PAGE_ITEMS: usize = 1_000;

/// Pages that introspection reads of one list.
pub const INVENTORY_PAGES: usize = 100;

/// Items that introspection takes of one list.
pub const INVENTORY_ITEMS: usize = 10_000;

/// Bytes of definitions that introspection takes of one backend, all lists together.
pub const INVENTORY_BYTES: usize = 16 * 1024 * 1024;

/// A cursor that a backend hands out.
pub const CURSOR_BYTES: usize = 4 * 1024;

/// Time for one list of a backend to the end.
pub const INVENTORY_TIME: Duration = Duration::from_secs(10);

/// Time for one probing question to a backend.
pub const PROBE_TIME: Duration = Duration::from_secs(10);

/// Time until a connection to a backend stands, if its virtual server does not say otherwise: networks of machines connect in
/// milliseconds, and a caller should not wait for one that is not there.
pub const CONNECT_TIME: Duration = Duration::from_secs(1);

/// The answers to all messages of a batch: they are held whole.
pub const BATCH_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Time until a connection between replica, control plane and `vmcpctl` stands: a lost SYN is sent again after one second.
pub const PLANE_CONNECT_TIME: Duration = Duration::from_secs(3);

/// Time until a backend's answer begins, if its virtual server does not say otherwise: what ToolHive gives a whole call.
pub const FIRST_BYTE_TIME: Duration = Duration::from_secs(30);

/// From one message of a backend's answer to the next, likewise: what clients commonly wait before they give up themselves.
pub const STREAM_SILENCE_TIME: Duration = Duration::from_secs(60);

/// A whole call, likewise: whoever makes progress for longer is not a call but a job.
pub const CALL_TIME: Duration = Duration::from_secs(60 * 60);

/// The longest that an operator can let anything take, so that no sum of times overflows.
pub const LONGEST_TIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How often the control plane asks whether a backend is there, if no virtual server says otherwise.
pub const HEALTH_CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// Questions in a row without an answer before a backend is unhealthy, likewise.
pub const UNHEALTHY_THRESHOLD: u32 = 3;

/// Failed calls in a row that open a breaker, likewise.
pub const BREAKER_FAILURES: u32 = 5;

/// How long a breaker stays open at first, before jitter.
pub const BREAKER_FIRST: Duration = Duration::from_secs(1);

/// The longest that a breaker stays open, if no virtual server says otherwise.
pub const BREAKER_LONGEST: Duration = Duration::from_secs(60);

/// Failed calls in a row for which one of several addresses of a backend is left out.
pub const EJECTION_FAILURES: u32 = 3;

/// The longest that it is left out before one call tries it again.
pub const EJECTION_LONGEST: Duration = Duration::from_secs(30);

/// Events of one backend's stream: ten a second of progress for an hour, twice over.
pub const STREAM_EVENTS: usize = 72_000;

/// Bytes of one backend's stream, all events together.
pub const STREAM_BYTES: usize = 256 * 1024 * 1024;

/// What a backend may ask on the way to one answer.
pub const ASKED_OF_CLIENT: usize = 16;

/// What a backend says by itself, or asks; a larger message is of no use to anybody.
pub const SAID_BYTES: usize = 256 * 1024;

/// Messages that wait for a legacy client to take them from its stream; a slower one misses the oldest.
pub const MAILBOX_MESSAGES: usize = 64;

/// Questions of backends that wait for clients at one replica; the oldest make room.
pub const QUESTIONS: u64 = 10_000;

/// How long a client may think: as long as a call may take.
pub const QUESTION_TIME: Duration = Duration::from_secs(3_600);

/// How long what a backend keeps with a client between two rounds of a request is good: people are asked in between.
pub const STATE_TIME: Duration = Duration::from_secs(3_600);

/// How often a call that waits for its client looks whether that has answered, after which the backend's own time begins.
pub const QUESTION_LOOK_TIME: Duration = Duration::from_secs(1);

/// Progress messages of one call that are passed on as they come: more than any tool sends that somebody watches.
pub const PROGRESS_MESSAGES: usize = 10_000;

/// Behind them progress is passed on at most so often; what comes between is replaced by what comes last.
pub const PROGRESS_TIME: Duration = Duration::from_millis(100);

/// The longest that a backend is believed when it says when to come back.
pub const RETRY_AFTER_LONGEST: Duration = Duration::from_secs(60);

/// Calls under way to one backend, from one virtual server of one replica.
pub const BACKEND_CALLS: usize = 256;

/// Calls that wait until one of these has ended: as many again as are served in the time that they may wait.
pub const BACKEND_QUEUE: usize = 128;

/// How long they wait.
pub const BACKEND_QUEUE_TIME: Duration = Duration::from_millis(500);

/// How often a stream of a legacy backend that ends before the response is gone on with.
pub const RESUMPTIONS: usize = 8;

/// Streams of one session with a backend that a client goes on with at a time.
pub const RESUMED_AT_ONCE: usize = 8;

/// How often a backend may refuse another credential for a stream before it is taken to mean every one.
pub const STREAM_REFUSALS: usize = 3;

/// How long to wait before that where the backend does not say, and the longest that it is believed.
pub const RESUMPTION_TIME: Duration = Duration::from_secs(1);
/// See [`RESUMPTION_TIME`].
pub const RESUMPTION_LONGEST: Duration = Duration::from_secs(10);

/// What a backend's stream may take to end after the response, so that its connection can be used again.
pub const STREAM_END_TIME: Duration = Duration::from_millis(500);

/// Time for a whole request to arrive, once it has begun.
pub const REQUEST_TIME: Duration = Duration::from_secs(30);

/// How long the first revision waits for backends that have not answered, so that one slow backend delays nobody.
pub const SETTLE_TIME: Duration = Duration::from_millis(1_500);

/// Changes that come together are published together.
pub const COALESCE_TIME: Duration = Duration::from_millis(50);

/// Asking a backend again after a failure: first and longest wait, before jitter. Not more than once a second, whatever it does.
pub const RETRY_FIRST: Duration = Duration::from_secs(1);
/// See [`RETRY_FIRST`].
pub const RETRY_LONGEST: Duration = Duration::from_secs(30);

/// A backend that says nothing of its lists by itself is asked again whether it does after this time, and met anew, since it may have
/// learnt something.
pub const DEAF_TIME: Duration = Duration::from_secs(10 * 60);

/// How often files that hold secrets and certificates are read again.
pub const FILES_TIME: Duration = Duration::from_secs(10);

/// The first wait in place of [`RETRY_FIRST`] while nobody listens at its address: it costs it nothing, and is soon known to be there.
pub const RETRY_CLOSED: Duration = Duration::from_millis(500);

/// How long a workload that has never answered is met again as soon as the first time: many take a while to come up.
pub const COMING_UP_TIME: Duration = Duration::from_secs(120);

/// How long a backend's lists wait until it is listened to.
pub const LISTEN_TIME: Duration = Duration::from_millis(300);

/// A backend that has answered for so long is met soon again when it goes; one that comes and goes is not.
pub const STEADY_TIME: Duration = Duration::from_secs(10);

/// A backend that says its lists are good for less is asked after this time all the same; it can say by itself when they change.
pub const SHORTEST_FRESH_TIME: Duration = Duration::from_secs(5);

/// Time for a stdio child to come up: `npx` and `uvx` may download it first.
pub const CHILD_START_TIME: Duration = Duration::from_secs(60);

/// Time for a stdio child to end after its input was closed, and again after SIGTERM.
pub const CHILD_STOP_TIME: Duration = Duration::from_secs(2);

/// One line of a stdio child: an image or a document, base64.
pub const CHILD_LINE_BYTES: usize = 64 * 1024 * 1024;

/// What a stdio child may say.
pub const CHILD_LINE: Limits = Limits::new(CHILD_LINE_BYTES, DEPTH).with_lone_surrogates();

/// How often a backend that has answered is asked again, before jitter: for changes that it does not announce.
pub const REFRESH_TIME: Duration = Duration::from_secs(60);

/// What is kept of a stdio child's standard error: enough for the last stack trace.
pub const CHILD_STDERR_BYTES: usize = 16 * 1024;

/// Requests under way in one stdio child.
pub const CHILD_REQUESTS: usize = 1_024;

/// Notifications waiting for one request of a stdio child; a slower reader loses the oldest claim to be told.
pub const CHILD_NOTIFICATIONS: usize = 256;

/// How long a legacy session id is good.
pub const SESSION_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Sessions with backends that a client carries in its session id: together with the rest it fits into any server's headers.
pub const CARRIED_BYTES: usize = 1_200;

/// Messages of a client over HTTP with SSE that are under way at a time; more wait to be taken.
pub const STREAM_REQUESTS: usize = 64;

/// How long such a client may leave its stream unread, once as much waits as is kept for it.
pub const UNREAD_TIME: Duration = Duration::from_secs(30);

/// Resources that one stream of a modern client tells of; more are left out, as its acknowledgement says.
pub const WATCHED_RESOURCES: usize = 1_000;

/// How long a modern backend may take to say that it has no legacy stream; one that does not say is asked whether it speaks legacy versions.
pub const GLANCE_TIME: Duration = Duration::from_millis(500);

/// How long the first call in a backend session waits until its client can hear what the backend says by itself. Some servers do not
/// begin to answer before they have something to say.
pub const HEAR_TIME: Duration = Duration::from_millis(300);

/// How long the answer to `initialize` waits for the sessions that it is to carry; the others are opened at first use.
pub const STICKY_TIME: Duration = Duration::from_secs(1);

/// Such sessions that are opened at a time for one client.
pub const STICKY_OPENINGS: usize = 32;

/// Backend sessions that a replica keeps open.
pub const BACKEND_SESSIONS: u64 = 10_000;

/// An unused backend session is ended.
pub const BACKEND_SESSION_IDLE_TIME: Duration = Duration::from_secs(30 * 60);

/// Sessions whose end is remembered.
pub const ENDED_SESSIONS: u64 = 100_000;

/// A comment goes out on a stream after this much silence, so that intermediaries keep it open.
pub const KEEP_ALIVE_TIME: Duration = Duration::from_secs(15);

/// A client is told at most so often that a list has changed: each time, it asks for the whole list.
pub const LIST_CHANGED_TIME: Duration = Duration::from_secs(5);

/// How long a modern client may take a list for fresh; subscribers are told at once.
pub const LIST_FRESH_TIME: Duration = Duration::from_secs(5);

/// Text of all backends' instructions together: they stand in every model's context.
pub const INSTRUCTIONS_BYTES: usize = 16 * 1024;

/// Requests in flight finish within this time when the process is told to stop.
pub const DRAIN_TIME: Duration = Duration::from_secs(10);

/// One part of a revision: the share of a backend with an inventory at its bound, and its names.
pub const PART_BYTES: usize = 64 * 1024 * 1024;

/// A piece of a part on the stream: well under what gRPC takes in one message, and small enough that a question whether
/// anybody is there need not wait for a large part.
pub const PART_PIECE_BYTES: usize = 256 * 1024;

/// A message of the publish protocol: a piece, or the digests of some ten thousand parts.
pub const PUBLISH_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// What comes anew in one revision: a thousand backends with a hundred tools each take about a fifth of it.
pub const REVISION_BYTES: usize = 512 * 1024 * 1024;

/// Rejected parts that both ends remember of a stream, so that their bytes are not sent again.
pub const REJECTED_PARTS: usize = 4_096;
/// See [`REJECTED_PARTS`]; one part is remembered whatever its size.
pub const REJECTED_BYTES: usize = PART_BYTES;

/// A replica's reason for a rejection, as far as it is kept.
pub const REASON_BYTES: usize = 1_024;

/// What is observed beside revisions is told at most so often.
pub const OBSERVE_TIME: Duration = Duration::from_secs(1);

/// Backends whose health is told to replicas if they are not well, and that a replica names when it does not call them.
pub const UNWELL_BACKENDS: usize = 10_000;

/// Backends that an answer or a page names when they are missing; more are a number.
pub const MISSING_BACKENDS: usize = 20;

/// A backend that is better is said to be so after this time.
pub const BETTER_TIME: Duration = Duration::from_secs(5);

/// How often a replica keeps on disk that it has heard a control plane.
pub const HEARD_TIME: Duration = Duration::from_secs(60);

/// A replica that has been away for so long is forgotten.
pub const AWAY_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How often either end of a publish stream hears from the other, even if there is nothing new.
pub const PING_TIME: Duration = Duration::from_secs(8);

/// Silence after which the other end is taken for gone: a network that has lost us tells nobody.
pub const SILENCE_TIME: Duration = Duration::from_secs(20);

/// Replicas that a control plane remembers, those that are gone included.
pub const REPLICAS: usize = 10_000;

/// Pause before a replica comes back to its control planes, before full jitter: so long that of some hundred that have lost
/// the same one only a few come in any tenth of a second.
pub const RECONNECT_FIRST: Duration = Duration::from_secs(6);
/// See [`RECONNECT_FIRST`]; so short that all are back within ten seconds.
pub const RECONNECT_LONGEST: Duration = Duration::from_secs(8);

/// How often a replica says how it fares, if no virtual server says otherwise.
pub const REPORT_TIME: Duration = Duration::from_secs(5);

/// How often it looks whether it avoids other backends than it has said.
pub const AVOIDED_TIME: Duration = Duration::from_millis(500);

/// Messages that wait for a stream to take them: the state machine makes the next one when there is room.
pub const STREAM_MESSAGES: usize = 4;

/// Accepted desired states that can be gone back to.
pub const HISTORY: u64 = 1_000;

/// Backends that nobody wants any more and whose inventories are kept, so that a rollback finds them.
pub const REMEMBERED_BACKENDS: usize = 1_000;
