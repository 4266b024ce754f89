//! The parts that a replica holds, decoded once, by name and digest.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use vmcp_authz::Policies;
use vmcp_mcp::ProtocolVersion;
use vmcp_revision::codec::{Decoded, Rejection};
use vmcp_revision::{Digest, Part, PartName, Serving};

/// How a part becomes a value: `codec::decode`, or what an older version makes of it.
pub type Decode = fn(&Part) -> Result<Decoded, Rejection>;

/// Parts that could be decoded.
pub(crate) type Held = HashMap<(PartName, Digest), Arc<Usable>>;

/// A part that can be used.
#[derive(Debug)]
pub(crate) struct Usable {
    pub(crate) decoded: Decoded,
    /// Compiled, if it is a set of them.
    pub(crate) policies: Option<Arc<Policies>>,
}

/// Decodes those that are not held yet; returns those that cannot be used, and why.
pub(crate) fn take<'p>(
    held: &mut Held,
    parts: impl IntoIterator<Item = &'p Part>,
    decode: Decode,
) -> BTreeMap<PartName, String> {
    let mut rejected = BTreeMap::new();
    for part in parts {
        let key = (part.name.clone(), part.digest);
        if held.contains_key(&key) {
            continue;
        }
        match decode(part)
            .map_err(|rejection| rejection.to_string())
            .and_then(|decoded| usable(&part.name, decoded))
        {
            Ok(decoded) => drop(held.insert(key, Arc::new(decoded))),
            Err(why) => drop(rejected.insert(part.name.clone(), why)),
        }
    }
    rejected
}

/// Policies must decide, and a backend must be spoken to in a protocol version that this one speaks.
fn usable(name: &PartName, decoded: Decoded) -> Result<Usable, String> {
    let policies = match (name, &decoded) {
        (PartName::PolicySet(server), Decoded::PolicySet(authorization)) => {
            let compiled = Policies::compile(server.as_str(), authorization);
            let compiled = compiled.map_err(|faults| {
                let faults: Vec<String> = faults.into_iter().map(|fault| fault.message).collect();
                format!("its policies cannot be used: {}", faults.join("; "))
            });
            Some(Arc::new(compiled?))
        }
        _ => None,
    };
    let decoded = spoken(decoded)?;
    Ok(Usable { decoded, policies })
}

fn spoken(decoded: Decoded) -> Result<Decoded, String> {
    match &decoded {
        Decoded::Backend(backend) => match &backend.eras.legacy {
            Some(legacy) if ProtocolVersion::parse(&legacy.version).is_none() => {
                Err(format!("this version does not speak protocol version `{}`", legacy.version))
            }
            _ => Ok(decoded),
        },
        _ => Ok(decoded),
    }
}

/// Forgets what is neither served nor part of the newest revision.
pub(crate) fn forget(held: &mut Held, serving: &Serving) {
    let served = serving.servers.values().flat_map(|server| server.parts.values());
    let used: std::collections::HashSet<(&PartName, &Digest)> =
        served.chain(serving.held.parts.values()).map(|part| (&part.name, &part.digest)).collect();
    held.retain(|(name, digest), _| used.contains(&(name, digest)));
}
