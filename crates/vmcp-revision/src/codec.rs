//! The only place where bytes of the publish protocol become core values and back.

mod audit;
mod boundary;
mod endpoints;
mod operational;
mod resolution;
pub(crate) mod wire;

use bytes::Bytes;
use http::{HeaderName, Uri};
use prost::Message;
use vmcp_core::aggregation::Aggregation;
use vmcp_core::audit::Audit;
use vmcp_core::backend::{Backend, BackendId};
use vmcp_core::boundary::{Authorization, Incoming, Outgoing};
use vmcp_core::catalog::{Exposed, Share};
use vmcp_core::desired::VirtualServer;
use vmcp_core::inventory::{Abilities, Eras, Extensions, Legacy};
use vmcp_core::item::Kind;
use vmcp_core::name::Name;
use vmcp_core::operational::Operational;
use vmcp_core::owners::Exposure;
use vmcp_proto::v1;

use crate::part::{Part, PartName};
pub use wire::{decode_spill, encode_spill};

/// A part's bytes as a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// A virtual server.
    VirtualServer(Box<ServedServer>),
    /// A backend.
    Backend(Backend),
    /// A share of a catalog.
    Share(Share),
    /// What may be done at a virtual server. Where policies were written is not published.
    PolicySet(Box<Authorization>),
}

/// A virtual server as a data plane sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedServer {
    /// Stands in its path.
    pub name: Name,
    /// Whether it is served at `/mcp` too.
    pub is_default: bool,
    /// Whose workloads it presents.
    pub group: Name,
    /// Who may come in.
    pub incoming: Incoming,
    /// Whether there is a set of policies, without which it is not served.
    pub has_policies: bool,
    /// What its backends are shown.
    pub outgoing: Outgoing,
    /// Under which address clients know it.
    pub public_url: Option<Uri>,
    /// Names under which it may be addressed.
    pub allowed_hosts: Vec<String>,
    /// How it deals with backends that are slow, busy or gone.
    pub operational: Operational,
    /// Headers of clients that are passed on to every backend.
    pub passthrough_headers: Vec<HeaderName>,
    /// Every workload of its group, in order, whether it has answered or not.
    pub workloads: Vec<Name>,
    /// What is recorded of requests.
    pub audit: Option<Audit>,
    /// How names are made of what backends offer single callers; absent where none does.
    pub resolution: Option<Aggregation>,
    /// Names that policies speak of and that somebody has, whether clients see it or not: never what single callers are offered.
    pub held_names: Vec<Exposure>,
}

impl ServedServer {
    /// What a data plane needs to know of a virtual server that presents these workloads.
    pub fn of(server: &VirtualServer, workloads: Vec<Name>) -> Self {
        Self {
            name: server.name.clone(),
            is_default: server.is_default,
            group: server.group.clone(),
            incoming: server.incoming.clone(),
            has_policies: server.authorization.is_some(),
            outgoing: server.outgoing.clone(),
            public_url: server.public_url.clone(),
            allowed_hosts: server.allowed_hosts.clone(),
            operational: server.operational.clone(),
            passthrough_headers: server.passthrough_headers.clone(),
            workloads,
            audit: server.audit.clone(),
            resolution: None,
            held_names: Vec::new(),
        }
    }
}

/// Why a part cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Not a message of this protocol.
    #[error("its bytes are not a message: {0}")]
    Bytes(#[from] prost::DecodeError),
    /// A field that cannot be what it says.
    #[error("field `{field}` is not usable: {why}")]
    Field {
        /// Which.
        field: &'static str,
        /// Why.
        why: String,
    },
    /// A later version publishes such parts.
    #[error("this version knows no such kind of part")]
    UnknownKind,
    /// A later version says more, and what it says may restrict.
    #[error("it says something that this version does not know")]
    UnknownFields,
    /// Its bytes are about something else than its name.
    #[error("its bytes are about `{0}`")]
    Misnamed(PartName),
}

/// A virtual server as a part.
pub fn encode_virtual_server(server: &ServedServer) -> Part {
    let headers = server.passthrough_headers.iter().map(ToString::to_string);
    let held = server.held_names.iter();
    let held = held.map(|(kind, name)| v1::HeldName { kind: kind_to_wire(*kind).into(), name: name.clone() });
    let message = v1::VirtualServer {
        name: server.name.to_string(),
        is_default: server.is_default,
        group: server.group.to_string(),
        operational: Some(operational::encode(&server.operational)),
        passthrough_headers: headers.collect(),
        issuers: boundary::issuers(&server.incoming),
        local: server.incoming == Incoming::Local,
        has_policies: server.has_policies,
        outgoing: Some(boundary::outgoing(&server.outgoing)),
        allowed_hosts: server.allowed_hosts.clone(),
        public_url: server.public_url.as_ref().map(ToString::to_string),
        workloads: server.workloads.iter().map(ToString::to_string).collect(),
        audit: server.audit.as_ref().map(audit::encode),
        resolution: server.resolution.as_ref().map(resolution::encode),
        held_names: held.collect(),
    };
    part(PartName::VirtualServer(server.name.clone()), &message)
}

/// The policies of a virtual server as a part.
pub fn encode_policy_set(virtual_server: &Name, authorization: &Authorization) -> Part {
    let message = v1::PolicySet {
        virtual_server: virtual_server.to_string(),
        policies: authorization.policies.clone(),
        entities: authorization.entities.clone(),
        group_claim: authorization.group_claim.clone(),
        role_claim: authorization.role_claim.clone(),
        group_type: authorization.group_type.clone(),
    };
    part(PartName::PolicySet(virtual_server.clone()), &message)
}

/// A backend as a part.
pub fn encode_backend(backend: &Backend) -> Part {
    let legacy = backend.eras.legacy.as_ref();
    let message = v1::Backend {
        group: backend.id.group.to_string(),
        name: backend.id.name.to_string(),
        modern: backend.eras.modern,
        legacy: legacy.map(|l| v1::Legacy { version: l.version.clone(), has_sessions: l.has_sessions }),
        ..endpoints::encode(&backend.endpoints)
    };
    part(PartName::Backend(backend.id.clone()), &message)
}

/// A share of the catalog of `virtual_server` as a part.
pub fn encode_share(virtual_server: &Name, group: &Name, share: &Share) -> Part {
    let backend = BackendId { group: group.clone(), name: share.backend.clone() };
    let items = share.items.iter().map(|item| v1::Item {
        kind: kind_to_wire(item.kind).into(),
        exposed_name: item.exposed_name.clone(),
        original_name: item.original_name.clone(),
        definition: item.definition.clone(),
        hidden: item.is_hidden,
    });
    let message = v1::Share {
        virtual_server: virtual_server.to_string(),
        group: group.to_string(),
        backend: share.backend.to_string(),
        items: items.collect(),
        completes: share.abilities.completes,
        logs: share.abilities.logs,
        subscribes: share.abilities.subscribes,
        tasks: share.abilities.extensions.tasks,
        apps: share.abilities.extensions.apps,
        instructions: share.instructions.clone(),
    };
    part(PartName::Catalog { virtual_server: virtual_server.clone(), backend }, &message)
}

/// A part as a value, held to its name.
///
/// # Errors
/// [`Rejection`]: the bytes come from a version that this one does not understand, or are damaged.
pub fn decode(part: &Part) -> Result<Decoded, Rejection> {
    let bytes = part.bytes.clone();
    let (name, decoded) = match part.name {
        PartName::VirtualServer(_) => decode_virtual_server(bytes)?,
        PartName::Backend(_) => decode_backend(bytes)?,
        PartName::Catalog { .. } => decode_share(bytes)?,
        PartName::PolicySet(_) => decode_policy_set(bytes)?,
        PartName::Unknown(_) => return Err(Rejection::UnknownKind),
    };
    if name == part.name { Ok(decoded) } else { Err(Rejection::Misnamed(name)) }
}

fn decode_virtual_server(bytes: Bytes) -> Result<(PartName, Decoded), Rejection> {
    let message: v1::VirtualServer = read(bytes)?;
    let name = parse_name("name", &message.name)?;
    let headers = message.passthrough_headers.iter().map(|header| endpoints::header_name(header));
    let workloads = message.workloads.iter().map(|workload| parse_name("workloads", workload));
    let held = message.held_names.into_iter().map(|held| Ok((kind_from_wire(held.kind)?, held.name)));
    let server = ServedServer {
        name: name.clone(),
        is_default: message.is_default,
        group: parse_name("group", &message.group)?,
        operational: operational::decode(message.operational)?,
        passthrough_headers: headers.collect::<Result<_, _>>()?,
        incoming: boundary::read_incoming(message.issuers, message.local)?,
        has_policies: message.has_policies,
        outgoing: boundary::read_outgoing(message.outgoing.unwrap_or_default())?,
        allowed_hosts: message.allowed_hosts,
        public_url: message
            .public_url
            .map(|url| url.parse().map_err(|error| field("public_url", &error)))
            .transpose()?,
        workloads: workloads.collect::<Result<_, _>>()?,
        audit: message.audit.map(audit::decode).transpose()?,
        resolution: message.resolution.map(resolution::decode).transpose()?,
        held_names: held.collect::<Result<_, Rejection>>()?,
    };
    Ok((PartName::VirtualServer(name), Decoded::VirtualServer(Box::new(server))))
}

fn decode_backend(bytes: Bytes) -> Result<(PartName, Decoded), Rejection> {
    let message: v1::Backend = read(bytes)?;
    let id =
        BackendId { group: parse_name("group", &message.group)?, name: parse_name("name", &message.name)? };
    let endpoints = endpoints::decode(&message)?;
    let legacy = message.legacy.map(|l| Legacy { version: l.version, has_sessions: l.has_sessions });
    let backend = Backend { id: id.clone(), endpoints, eras: Eras { modern: message.modern, legacy } };
    Ok((PartName::Backend(id), Decoded::Backend(backend)))
}

fn decode_policy_set(bytes: Bytes) -> Result<(PartName, Decoded), Rejection> {
    let message: v1::PolicySet = read(bytes)?;
    let name = parse_name("virtual_server", &message.virtual_server)?;
    let authorization = Authorization {
        policies: message.policies,
        lines: Vec::new(),
        entities: message.entities,
        group_claim: message.group_claim,
        role_claim: message.role_claim,
        group_type: message.group_type,
    };
    Ok((PartName::PolicySet(name), Decoded::PolicySet(Box::new(authorization))))
}

fn decode_share(bytes: Bytes) -> Result<(PartName, Decoded), Rejection> {
    let message: v1::Share = read(bytes)?;
    let virtual_server = parse_name("virtual_server", &message.virtual_server)?;
    let group = parse_name("group", &message.group)?;
    let backend = parse_name("backend", &message.backend)?;
    let items = message.items.into_iter().map(|item| {
        Ok(Exposed {
            kind: kind_from_wire(item.kind)?,
            exposed_name: item.exposed_name,
            original_name: item.original_name,
            definition: item.definition,
            is_hidden: item.hidden,
        })
    });
    let share = Share {
        backend: backend.clone(),
        items: items.collect::<Result<_, Rejection>>()?,
        abilities: Abilities {
            completes: message.completes,
            logs: message.logs,
            subscribes: message.subscribes,
            extensions: Extensions { tasks: message.tasks, apps: message.apps },
        },
        instructions: message.instructions,
    };
    let name = PartName::Catalog { virtual_server, backend: BackendId { group, name: backend } };
    Ok((name, Decoded::Share(share)))
}

/// A message of which everything is understood: fields that a version does not know are lost without a word.
fn read<M: Message + Default>(bytes: Bytes) -> Result<M, Rejection> {
    let message = M::decode(bytes.clone())?;
    if message.encoded_len() == bytes.len() { Ok(message) } else { Err(Rejection::UnknownFields) }
}

fn part(name: PartName, message: &impl Message) -> Part {
    Part::new(name, message.encode_to_vec().into())
}

fn parse_name(name: &'static str, text: &str) -> Result<Name, Rejection> {
    text.parse().map_err(|error| field(name, &error))
}

fn field(field: &'static str, why: &dyn std::fmt::Display) -> Rejection {
    Rejection::Field { field, why: why.to_string() }
}

fn kind_to_wire(kind: Kind) -> v1::Kind {
    match kind {
        Kind::Tool => v1::Kind::Tool,
        Kind::Resource => v1::Kind::Resource,
        Kind::Template => v1::Kind::Template,
        Kind::Prompt => v1::Kind::Prompt,
    }
}

fn kind_from_wire(kind: i32) -> Result<Kind, Rejection> {
    match v1::Kind::try_from(kind) {
        Ok(v1::Kind::Tool) => Ok(Kind::Tool),
        Ok(v1::Kind::Resource) => Ok(Kind::Resource),
        Ok(v1::Kind::Template) => Ok(Kind::Template),
        Ok(v1::Kind::Prompt) => Ok(Kind::Prompt),
        Ok(v1::Kind::Unspecified) | Err(_) => Err(field("kind", &format!("unknown value {kind}"))),
    }
}

#[cfg(test)]
mod tests;
