//! Desired state and inventories become parts and diagnostics. A function of its arguments alone.

use std::collections::BTreeMap;

use http::Uri;
use vmcp_core::backend::{Backend, BackendId};
use vmcp_core::desired::Desired;
use vmcp_core::diagnostic::Diagnostic;
use vmcp_core::inventory::Inventory;
use vmcp_core::name::Name;
use vmcp_core::resolve::resolve;
use vmcp_revision::Part;
use vmcp_revision::codec::{ServedServer, encode_backend, encode_share, encode_virtual_server};

/// A backend that has been observed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observed<'a> {
    pub(crate) url: &'a Uri,
    pub(crate) inventory: &'a Inventory,
}

/// What is published, and what there is to say about it.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    pub(crate) parts: Vec<Part>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// Every virtual server, every observed backend that one of them presents, and each one's share.
pub(crate) fn compile(desired: &Desired, observed: &BTreeMap<BackendId, Observed<'_>>) -> Compiled {
    let mut compiled = Compiled::default();
    let mut presented = BTreeMap::new();
    for server in desired.virtual_servers.values() {
        let served = ServedServer { name: server.name.clone(), is_default: server.is_default };
        compiled.parts.push(encode_virtual_server(&served));
        let inventories = of_group(&server.group, observed);
        let (shares, diagnostics) = resolve(server, &inventories);
        compiled.diagnostics.extend(diagnostics);
        for share in &shares {
            compiled.parts.push(encode_share(&server.name, &server.group, share));
            let id = BackendId { group: server.group.clone(), name: share.backend.clone() };
            presented.extend(observed.get_key_value(&id));
        }
    }
    for (id, observed) in presented {
        let (url, eras) = (observed.url.clone(), observed.inventory.eras.clone());
        compiled.parts.push(encode_backend(&Backend { id: id.clone(), url, eras }));
    }
    compiled
}

fn of_group<'a>(group: &Name, observed: &BTreeMap<BackendId, Observed<'a>>) -> BTreeMap<Name, &'a Inventory> {
    let members = observed.iter().filter(|(id, _)| id.group == *group);
    members.map(|(id, observed)| (id.name.clone(), observed.inventory)).collect()
}

#[cfg(test)]
mod tests {
    use vmcp_core::desired::{ConflictResolution, VirtualServer};
    use vmcp_core::item::{Item, Kind};
    use vmcp_revision::codec::{Decoded, decode};

    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn desired(servers: &[(&str, &str)]) -> Desired {
        let servers = servers.iter().map(|(server, group)| VirtualServer {
            name: name(server),
            group: name(group),
            is_default: false,
            conflict_resolution: ConflictResolution::Prefix("{workload}_".parse().unwrap()),
        });
        let virtual_servers = servers.map(|server| (server.name.clone(), server)).collect();
        Desired { virtual_servers, ..Desired::default() }
    }

    #[test]
    fn each_virtual_server_presents_its_own_group() {
        let inventory = |tool: &str| Inventory {
            items: vec![Item::read(Kind::Tool, &format!(r#"{{"name":"{tool}"}}"#)).unwrap()],
            ..Inventory::default()
        };
        let (one, two) = (inventory("x"), inventory("y"));
        let url = Uri::from_static("http://127.0.0.1:1/mcp");
        let id = |group: &str| BackendId { group: name(group), name: name("b") };
        let observed = BTreeMap::from([
            (id("g"), Observed { url: &url, inventory: &one }),
            (id("h"), Observed { url: &url, inventory: &two }),
            (id("unused"), Observed { url: &url, inventory: &two }),
        ]);
        let compiled = compile(&desired(&[("first", "g"), ("second", "h"), ("empty", "i")]), &observed);
        let names: Vec<String> = compiled.parts.iter().map(|part| part.name.to_string()).collect();
        assert_eq!(
            names,
            [
                "virtual_server/empty",
                "virtual_server/first",
                "catalog/first/g/b",
                "virtual_server/second",
                "catalog/second/h/b",
                "backend/g/b",
                "backend/h/b",
            ]
        );
        for part in &compiled.parts {
            if let Decoded::Share(share) = decode(part).unwrap() {
                let expected = if part.name.to_string().contains("/g/") { "b_x" } else { "b_y" };
                assert_eq!(share.items[0].exposed_name, expected);
            }
        }
    }
}
