//! Messages of the publish protocol as generated types and back, and what a replica keeps on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use vmcp_core::backend::BackendId;
use vmcp_core::health::Health;
use vmcp_core::limits;
use vmcp_core::name::Name;
use vmcp_proto::v1::{self, from_replica, to_replica};

use crate::part::{Digest, Part, PartName};
use crate::protocol::{
    Ack, FromReplica, HeldBack, Hello, IssuerKeys, Observe, RejectedPart, Report, ToReplica, Violation,
};
use crate::published::Published;
use crate::serving::{ServedWhole, Serving};

impl From<FromReplica> for v1::FromReplica {
    fn from(message: FromReplica) -> Self {
        let message = match message {
            FromReplica::Hello(hello) => from_replica::Message::Hello(v1::Hello {
                replica: hello.replica,
                software_version: hello.software_version,
                features: hello.features,
                virtual_servers: hello.virtual_servers.iter().map(ToString::to_string).collect(),
                held: hello.held.iter().map(|(name, digest)| part_id(name, digest)).collect(),
                revision: hello.revision,
                generation: hello.generation,
                stale_ms: hello.stale_ms,
            }),
            FromReplica::Ack(ack) => from_replica::Message::Ack(v1::Ack {
                revision: ack.revision,
                rejected: ack.rejected.into_iter().map(rejected_to_wire).collect(),
                held_back: ack.held_back.into_iter().map(held_back_to_wire).collect(),
                spill_error: ack.spill_error.unwrap_or_default(),
            }),
            FromReplica::Report(report) => from_replica::Message::Report(v1::Report {
                answered: report.answered,
                forwarded: report.forwarded,
                refused: report.refused,
                failed: report.failed,
                avoided: report.avoided.iter().map(backend).collect(),
            }),
            FromReplica::Pong => from_replica::Message::Pong(v1::Pong {}),
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<v1::FromReplica> for FromReplica {
    type Error = Violation;

    fn try_from(message: v1::FromReplica) -> Result<Self, Violation> {
        Ok(match message.message {
            Some(from_replica::Message::Hello(hello)) => Self::Hello(Hello {
                virtual_servers: hello
                    .virtual_servers
                    .iter()
                    .map(|text| name(text))
                    .collect::<Result<_, _>>()?,
                held: hello.held.into_iter().map(read_part_id).collect::<Result<_, _>>()?,
                // Whatever it is called, it is shown to people.
                replica: name(&hello.replica)?.to_string(),
                software_version: hello
                    .software_version
                    .chars()
                    .filter(char::is_ascii_graphic)
                    .take(64)
                    .collect(),
                features: hello.features,
                revision: hello.revision,
                generation: hello.generation,
                stale_ms: hello.stale_ms,
            }),
            Some(from_replica::Message::Ack(ack)) => Self::Ack(Ack {
                revision: ack.revision,
                rejected: ack.rejected.into_iter().map(read_rejected).collect::<Result<_, _>>()?,
                held_back: ack.held_back.into_iter().map(read_held_back).collect::<Result<_, _>>()?,
                spill_error: Some(cut(ack.spill_error)).filter(|error| !error.is_empty()),
            }),
            Some(from_replica::Message::Report(report)) => Self::Report(Report {
                answered: report.answered,
                forwarded: report.forwarded,
                refused: report.refused,
                failed: report.failed,
                avoided: report
                    .avoided
                    .iter()
                    .take(limits::UNWELL_BACKENDS)
                    .map(read_backend)
                    .collect::<Result<_, _>>()?,
            }),
            Some(from_replica::Message::Pong(v1::Pong {})) => Self::Pong,
            None => return Err(unreadable("a kind of message that this version does not know")),
        })
    }
}

impl From<ToReplica> for v1::ToReplica {
    fn from(message: ToReplica) -> Self {
        use to_replica::Message as Wire;
        let message = match message {
            ToReplica::Begin { revision, generation } => Wire::Begin(v1::Begin { revision, generation }),
            ToReplica::Upsert { name, digest, bytes, has_more } => {
                Wire::Upsert(v1::Upsert { part: Some(part_id(&name, &digest)), bytes, has_more })
            }
            ToReplica::Repeat { name, digest } => {
                Wire::Repeat(v1::Repeat { part: Some(part_id(&name, &digest)) })
            }
            ToReplica::Remove { name } => Wire::Remove(v1::Remove { name: name.to_string() }),
            ToReplica::Commit { revision, digest } => {
                Wire::Commit(v1::Commit { revision, digest: Bytes::copy_from_slice(digest.as_bytes()) })
            }
            ToReplica::Observe(observe) => Wire::Observe(v1::Observe {
                backends: observe.backends.iter().map(health).collect(),
                keys: observe.keys.into_iter().map(keys_to_wire).collect(),
            }),
            ToReplica::Drain => Wire::Drain(v1::Drain {}),
            ToReplica::Ping => Wire::Ping(v1::Ping {}),
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<v1::ToReplica> for ToReplica {
    type Error = Violation;

    fn try_from(message: v1::ToReplica) -> Result<Self, Violation> {
        use to_replica::Message as Wire;
        let message = message.message;
        Ok(match message.ok_or_else(|| unreadable("a kind of message that this version does not know"))? {
            Wire::Begin(v1::Begin { revision, generation }) => Self::Begin { revision, generation },
            Wire::Upsert(v1::Upsert { part, bytes, has_more }) => {
                let (name, digest) = read_part_id(part.unwrap_or_default())?;
                Self::Upsert { name, digest, bytes, has_more }
            }
            Wire::Repeat(v1::Repeat { part }) => {
                let (name, digest) = read_part_id(part.unwrap_or_default())?;
                Self::Repeat { name, digest }
            }
            Wire::Remove(v1::Remove { name }) => Self::Remove { name: part_name(&name)? },
            Wire::Commit(v1::Commit { revision, digest: bytes }) => {
                Self::Commit { revision, digest: digest(&bytes)? }
            }
            Wire::Observe(observe) => Self::Observe(Observe {
                backends: observe.backends.iter().map(read_health).collect::<Result<_, _>>()?,
                keys: observe.keys.into_iter().map(read_keys).collect(),
            }),
            Wire::Drain(v1::Drain {}) => Self::Drain,
            Wire::Ping(v1::Ping {}) => Self::Ping,
        })
    }
}

fn keys_to_wire(keys: IssuerKeys) -> v1::IssuerKeys {
    let IssuerKeys { issuer, jwks_url, document, fetched_ms, of: _ } = keys;
    v1::IssuerKeys { issuer, jwks_url, document, fetched_ms }
}

fn read_keys(keys: v1::IssuerKeys) -> IssuerKeys {
    let v1::IssuerKeys { issuer, jwks_url, document, fetched_ms } = keys;
    IssuerKeys { issuer, jwks_url, document, fetched_ms, of: BTreeSet::new() }
}

/// What a replica keeps on disk of what it serves, in the clear.
pub fn encode_spill(serving: &Serving) -> Vec<u8> {
    let mut parts = Vec::new();
    let mut places = BTreeMap::new();
    let mut place = |part: &Part| {
        *places.entry((part.name.clone(), part.digest)).or_insert_with(|| {
            parts.push(v1::SpilledPart { name: part.name.to_string(), bytes: part.bytes.clone() });
            u32::try_from(parts.len() - 1).unwrap_or(u32::MAX)
        })
    };
    let held = serving.held.parts.values().map(&mut place).collect();
    let servers = serving.servers.iter().map(|(name, whole)| v1::SpilledServer {
        name: name.to_string(),
        revision: whole.revision,
        parts: whole.parts.values().map(&mut place).collect(),
    });
    let servers = servers.collect();
    let (revision, generation) = (serving.held.revision, serving.held.generation);
    let names = serving.names.iter().map(ToString::to_string).collect();
    v1::Spill { revision, generation, parts, held, servers, names }.encode_to_vec()
}

/// What was kept.
///
/// # Errors
/// [`Violation::Unreadable`]: it was written by a version that this one does not understand.
pub fn decode_spill(bytes: Vec<u8>) -> Result<Serving, Violation> {
    let spill = v1::Spill::decode(Bytes::from(bytes)).map_err(|error| unreadable(&error.to_string()))?;
    let parts: Vec<Part> = spill
        .parts
        .into_iter()
        .map(|part| Ok(Part::new(part_name(&part.name)?, part.bytes)))
        .collect::<Result<_, Violation>>()?;
    let at = |places: &[u32]| -> Result<BTreeMap<PartName, Part>, Violation> {
        let found = places.iter().map(|place| {
            let part = parts.get(*place as usize).ok_or_else(|| unreadable("a place without a part"))?;
            Ok((part.name.clone(), part.clone()))
        });
        found.collect()
    };
    let held = Arc::new(Published::new(spill.revision, spill.generation, at(&spill.held)?));
    let servers = spill.servers.iter().map(|server| {
        let whole = ServedWhole { revision: server.revision, parts: Arc::new(at(&server.parts)?) };
        Ok((name(&server.name)?, whole))
    });
    let names = spill.names.iter().map(|text| name(text)).collect::<Result<_, _>>()?;
    Ok(Serving { held, servers: servers.collect::<Result<_, Violation>>()?, names })
}

fn part_id(name: &PartName, digest: &Digest) -> v1::PartId {
    v1::PartId { name: name.to_string(), digest: Bytes::copy_from_slice(digest.as_bytes()) }
}

fn read_part_id(part: v1::PartId) -> Result<(PartName, Digest), Violation> {
    Ok((part_name(&part.name)?, digest(&part.digest)?))
}

fn part_name(text: &str) -> Result<PartName, Violation> {
    text.parse().map_err(|_| unreadable("the name of a part"))
}

fn name(text: &str) -> Result<Name, Violation> {
    text.parse().map_err(|_| unreadable("a name"))
}

fn digest(bytes: &[u8]) -> Result<Digest, Violation> {
    Digest::from_bytes(bytes).ok_or_else(|| unreadable("a digest"))
}

fn rejected_to_wire(rejected: RejectedPart) -> v1::RejectedPart {
    v1::RejectedPart { part: Some(part_id(&rejected.name, &rejected.digest)), reason: rejected.reason }
}

fn read_rejected(rejected: v1::RejectedPart) -> Result<RejectedPart, Violation> {
    let (name, digest) = read_part_id(rejected.part.unwrap_or_default())?;
    Ok(RejectedPart { name, digest, reason: cut(rejected.reason) })
}

fn held_back_to_wire(held_back: HeldBack) -> v1::HeldBack {
    v1::HeldBack {
        virtual_server: held_back.virtual_server.to_string(),
        revision: held_back.revision,
        parts: held_back.parts.iter().map(ToString::to_string).collect(),
    }
}

fn read_held_back(held_back: v1::HeldBack) -> Result<HeldBack, Violation> {
    Ok(HeldBack {
        virtual_server: name(&held_back.virtual_server)?,
        revision: held_back.revision,
        parts: held_back.parts.iter().map(|text| part_name(text)).collect::<Result<_, _>>()?,
    })
}

fn backend(id: &BackendId) -> v1::BackendId {
    v1::BackendId { group: id.group.to_string(), name: id.name.to_string() }
}

fn health((id, health): &(BackendId, Health)) -> v1::BackendHealth {
    let health = match health {
        Health::Healthy => v1::Health::Healthy,
        Health::Degraded => v1::Health::Degraded,
        Health::Unknown => v1::Health::Unknown,
        Health::Unauthenticated => v1::Health::Unauthenticated,
        Health::Unhealthy => v1::Health::Unhealthy,
    };
    let v1::BackendId { group, name } = backend(id);
    v1::BackendHealth { group, name, health: health.into() }
}

/// A word that a later version has for it is none that this one knows.
fn read_health(message: &v1::BackendHealth) -> Result<(BackendId, Health), Violation> {
    let health = match v1::Health::try_from(message.health) {
        Ok(v1::Health::Healthy) => Health::Healthy,
        Ok(v1::Health::Degraded) => Health::Degraded,
        Ok(v1::Health::Unauthenticated) => Health::Unauthenticated,
        Ok(v1::Health::Unhealthy) => Health::Unhealthy,
        Ok(v1::Health::Unknown | v1::Health::Unspecified) | Err(_) => Health::Unknown,
    };
    Ok((BackendId { group: name(&message.group)?, name: name(&message.name)? }, health))
}

fn read_backend(id: &v1::BackendId) -> Result<BackendId, Violation> {
    Ok(BackendId { group: name(&id.group)?, name: name(&id.name)? })
}

/// As much as is kept of what a replica says.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(limits::REASON_BYTES));
    text
}

fn unreadable(what: &str) -> Violation {
    Violation::Unreadable(what.to_owned())
}

/// Bytes of a message on the stream, as gRPC frames it: a byte, a length of four, the message.
pub(crate) fn length(message: &ToReplica) -> u64 {
    v1::ToReplica::from(message.clone()).encoded_len() as u64 + 5
}
