//! Bounds at the two boundaries: who comes in, what is decided, what single callers are offered, what is recorded.

use std::time::Duration;

/// Lists that were filtered for principals, per virtual server: as many as a few hundred principals see of large catalogs.
pub const FILTERED_LISTS_BYTES: u64 = 64 * 1024 * 1024;

/// Principals and decisions that are remembered, per virtual server.
pub const DECISIONS: u64 = 50_000;

/// Policies of one virtual server: a decision is linear in those that can speak of an item.
pub const POLICIES: usize = 10_000;

/// Texts with which a claim is compared one by one: a set of more is quicker to look in.
pub const COMPARED_TEXTS: usize = 16;

/// Session keys of one file: one that seals, and those that are on their way in or out.
pub const SESSION_KEYS: usize = 8;

/// Characters of a session key at least.
pub const SESSION_KEY_LENGTH: usize = 32;

/// Issuers of one virtual server: each is asked for its keys.
pub const ISSUERS: usize = 16;

/// Bytes of data of one request that a record has at most: records are for people, and lines have an end.
pub const AUDIT_DATA_BYTES: usize = 64 * 1024;

/// Actors of a token that a record has at most; as many as are read.
pub const AUDIT_ACTORS: usize = 10;

/// Records that one place takes at once: those that wait to be written, and, unless they may be dropped, those of requests that are under way.
pub const AUDIT_WAITING: usize = 16 * 1024;

/// Records that are written at once.
pub const AUDIT_BATCH: usize = 1024;

/// Bytes of a collector's answer, which says what of a batch it has not taken.
pub const AUDIT_ANSWER_BYTES: usize = 64 * 1024;

/// For how long writing is tried on after nobody names the place any more.
pub const AUDIT_LEAVE_TIME: Duration = Duration::from_secs(30);

/// Bytes that are recorded of a text that a client or a backend has chosen: a name, an id, a path, a message.
pub const AUDIT_TEXT: usize = 1024;

/// For so long records are gathered before they are written.
pub const AUDIT_GATHER_TIME: Duration = Duration::from_millis(5);

/// How long it takes until a place that records cannot be written to is tried again.
pub const AUDIT_RETRY_TIME: Duration = Duration::from_secs(1);

/// How long a collector may take for what it is sent.
pub const AUDIT_SEND_TIME: Duration = Duration::from_secs(10);

/// How long a process that stops waits for its records to be written.
pub const AUDIT_FLUSH_TIME: Duration = Duration::from_secs(5);

/// Publish streams of one identity at once: replicas may share a certificate, and nobody has more of them than this.
pub const STREAMS_PER_PEER: usize = 1_024;

/// How often it is seen whether the tokens of those who listen are good by the keys that their issuers have now.
pub const VOUCHED_TIME: Duration = Duration::from_secs(15);

/// Until every backend has said what it offers one caller; lists and first calls wait for it.
pub const PERSONAL_ASK_TIME: Duration = Duration::from_secs(5);

/// Questions to one backend about what a caller is offered, at once, of one data plane.
pub const PERSONAL_ASKED_AT_ONCE: usize = 64;

/// How long that is taken for true, unless the backend says less.
pub const PERSONAL_FRESH_TIME: Duration = Duration::from_secs(60);

/// How long nobody asks again after a backend did not answer.
pub const PERSONAL_RETRY_TIME: Duration = Duration::from_secs(5);

/// How long what a caller was offered is kept while nobody asks for it.
pub const PERSONAL_KEPT_TIME: Duration = Duration::from_secs(15 * 60);

/// Bytes of what callers are offered, of one data plane: a few thousand callers.
pub const PERSONAL_INVENTORIES_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes of indexes and lists that were made from that.
pub const PERSONAL_SERVERS_BYTES: u64 = 256 * 1024 * 1024;

/// How often the keys of an issuer are fetched: a key that was withdrawn is not trusted for longer, and a new one is there in time.
pub const KEYS_TIME: Duration = Duration::from_secs(5 * 60);

/// How long it takes until an issuer that did not give its keys is asked again.
pub const KEYS_RETRY_TIME: Duration = Duration::from_secs(10);

/// Bytes of keys that replicas are told of: those of some hundred issuers, and less than one message holds.
pub const KEYS_BYTES: usize = 1024 * 1024;
