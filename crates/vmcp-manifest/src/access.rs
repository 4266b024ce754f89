//! The file that says who may do what on the control channel.

use vmcp_core::access::{Access, OperatorAccess, PeerPattern, ReplicaAccess, Role};
use vmcp_core::name::Name;

use crate::decode::Key::Built;
use crate::decode::{Decoder, Fields, Table};
use crate::desired::Source;
use crate::fault::{Fault, Place};
use crate::tree::{self, Node};

const ACCESS: Table = Table { name: "Access", keys: &[Built("replicas"), Built("operators")] };

const REPLICA: Table = Table { name: "ReplicaAccess", keys: &[Built("id"), Built("virtual_servers")] };

const OPERATOR: Table = Table { name: "OperatorAccess", keys: &[Built("id"), Built("role")] };

const ROLE: Table = Table { name: "Role", keys: &[Built("read"), Built("write"), Built("admin")] };

/// What the file says.
///
/// # Errors
/// Every fault, ordered by place.
pub fn read_access(source: Source<'_>) -> Result<Access, Vec<Fault>> {
    let mut decoder =
        Decoder { files: vec![source.name.into()], texts: vec![source.text.into()], ..Decoder::default() };
    let (nodes, broken) = tree::parse(0, source.text);
    decoder.faults.extend(broken);
    let access = match &nodes[..] {
        // As one looks that is just being written.
        [] => {
            let place = Place { source: 0, line: 1, column: 1, start: 0, end: 0 };
            let help = "write `replicas: []` if nobody may do anything".to_owned();
            decoder.fault(&place, "", "the file says nothing".to_owned(), Some(help));
            Access::default()
        }
        [node] => access(&mut decoder, node),
        [_, more, ..] => {
            decoder.fault(&more.place, "", "expected one document, found several".to_owned(), None);
            Access::default()
        }
    };
    if decoder.faults.is_empty() {
        return Ok(access);
    }
    decoder.faults.sort();
    Err(decoder.faults)
}

fn access(decoder: &mut Decoder, node: &Node) -> Access {
    let Some(fields) = decoder.mapping(node, "", &ACCESS) else { return Access::default() };
    let mut access = Access::default();
    for (node, path) in each(decoder, &fields, "replicas") {
        let Some(fields) = decoder.mapping(node, &path, &REPLICA) else { continue };
        let id = id(decoder, &fields);
        let virtual_servers = fields.get("virtual_servers").map(|(node, path)| {
            let names = decoder.list(node, &path).iter().enumerate();
            names.filter_map(|(at, node)| decoder.text::<Name>(node, &format!("{path}[{at}]"))).collect()
        });
        access.replicas.extend(id.map(|id| ReplicaAccess { id, virtual_servers }));
    }
    for (node, path) in each(decoder, &fields, "operators") {
        let Some(fields) = decoder.mapping(node, &path, &OPERATOR) else { continue };
        let id = id(decoder, &fields);
        let role = fields
            .require(decoder, "role", "it is `read`, `write` or `admin`")
            .and_then(|(node, path)| decoder.word(node, &path, &ROLE));
        let role = role.map(|role| match role {
            "admin" => Role::Admin,
            "write" => Role::Write,
            _ => Role::Read,
        });
        access.operators.extend(id.zip(role).map(|(id, role)| OperatorAccess { id, role }));
    }
    access
}

fn each<'n>(decoder: &mut Decoder, fields: &Fields<'n>, name: &str) -> Vec<(&'n Node, String)> {
    let Some((node, path)) = fields.get(name) else { return Vec::new() };
    let nodes = decoder.list(node, &path).iter().enumerate();
    nodes.map(|(at, node)| (node, format!("{path}[{at}]"))).collect()
}

fn id(decoder: &mut Decoder, fields: &Fields<'_>) -> Option<PeerPattern> {
    let help = "as a certificate says it: `spiffe://acme.example/replica/one` or `dns:ci.acme.example`";
    let (node, path) = fields.require(decoder, "id", help)?;
    decoder.text(node, &path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Access, Vec<String>> {
        read_access(Source { name: "access.yaml", text }).map_err(|faults| {
            faults.into_iter().map(|fault| format!("{}: {}", fault.place.line, fault.message)).collect()
        })
    }

    #[test]
    fn a_file_says_who_may_do_what() {
        let access = read(
            "replicas:\n- id: spiffe://d/replica/*\n- id: dns:edge.example\n  virtualServers: [team]\noperators:\n- {id: spiffe://d/ada, role: admin}\n",
        )
        .unwrap();
        assert_eq!(access.replica(&["dns:edge.example".into()]), Some(Some(vec!["team".parse().unwrap()])));
        assert_eq!(access.operator(&["spiffe://d/ada".into()]), Some(Role::Admin));
        assert_eq!(read("replicas: []\n").unwrap(), Access::default());
        assert!(read("").is_err() && read("# nothing\n").is_err());
    }

    #[test]
    fn every_fault_is_said_with_its_line() {
        let faults = read(
            "replicas:\n- id: ada\n- {virtual_servers: [team]}\noperator: []\noperators:\n- {id: spiffe://d/ada, role: root}\n",
        );
        let faults = faults.unwrap_err();
        for part in ["2: `ada`: a peer is", "3: `id` is missing", "4: unknown key `operator`", "6: "] {
            assert!(faults.iter().any(|fault| fault.contains(part)), "{part}: {faults:#?}");
        }
    }
}
