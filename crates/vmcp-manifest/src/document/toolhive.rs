//! Where the workloads of a ToolHive group are found: in what it keeps on disk, or by its HTTP API.

use vmcp_core::desired::{ToolHive, ToolHiveApi, ToolHiveSource};
use vmcp_core::name::Name;
use vmcp_core::sentence::shown;

use crate::decode::Key::Built;
use crate::decode::{Decoder, Table};
use crate::document::workload;
use crate::tree::Node;

pub(crate) const TOOLHIVE: Table = Table {
    name: "ToolHive",
    keys: &[
        Built("group"),
        Built("host"),
        Built("api"),
        Built("socket"),
        Built("state_dir"),
        Built("data_dir"),
    ],
};

/// The ToolHive group of this name, in the files of whoever runs us.
pub(crate) fn usual(name: &Name) -> ToolHive {
    let source = ToolHiveSource::Files { state: None, data: None };
    ToolHive { group: name.to_string(), host: "127.0.0.1".to_owned(), source }
}

pub(super) fn toolhive(
    decoder: &mut Decoder,
    node: &Node,
    path: &str,
    name: Option<&Name>,
) -> Option<ToolHive> {
    let fields = decoder.mapping(node, path, &TOOLHIVE)?;
    let group = fields.get("group").map(|(node, path)| group(decoder, node, &path));
    let host = fields.get("host").map(|(node, path)| host(decoder, node, &path));
    let api = fields.get("api").map(|(node, path)| workload::url(decoder, node, &path));
    let mut folder = |key| fields.get(key).map(|(node, path)| workload::absolute(decoder, node, &path));
    let (socket, state, data) = (folder("socket"), folder("state_dir"), folder("data_dir"));
    let asks_api = api.is_some() || socket.is_some();
    for key in ["state_dir", "data_dir"] {
        if let Some((node, path)) = fields.get(key).filter(|_| asks_api) {
            let message = format!("`{key}` says where ToolHive's files are, and the API is asked");
            decoder.fault(&node.place, &path, message, Some("take one of them out".to_owned()));
        }
    }
    let source = match (api, socket) {
        (Some(_), Some(_)) => {
            let message = "ToolHive's API is found either at `api` or at `socket`".to_owned();
            decoder.fault(fields.place, path, message, Some("take one of them out".to_owned()));
            return None;
        }
        (Some(url), None) => ToolHiveSource::Api(ToolHiveApi::Url(url?)),
        (None, Some(socket)) => ToolHiveSource::Api(ToolHiveApi::Socket(socket?)),
        (None, None) => ToolHiveSource::Files { state: optional(state)?, data: optional(data)? },
    };
    let usual = usual(name?);
    Some(ToolHive {
        group: optional(group)?.unwrap_or(usual.group),
        host: optional(host)?.unwrap_or(usual.host),
        source,
    })
}

/// What is there and has faults makes the whole unusable.
fn optional<T>(written: Option<Option<T>>) -> Option<Option<T>> {
    written.map_or(Some(None), |value| value.map(Some))
}

fn group(decoder: &mut Decoder, node: &Node, path: &str) -> Option<String> {
    let text: String = decoder.text(node, path)?;
    let is_group = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | ' ');
    if !text.chars().all(is_group) || text.trim() != text || text.is_empty() || text.contains("  ") {
        let message = format!("ToolHive has no group called `{}`", shown(&text));
        let help =
            "its groups are named in lower-case letters, digits, `_`, `-` and single spaces".to_owned();
        decoder.fault(&node.place, path, message, Some(help));
        return None;
    }
    Some(text)
}

/// A host name or an address; IPv6 with or without brackets.
fn host(decoder: &mut Decoder, node: &Node, path: &str) -> Option<String> {
    let text: String = decoder.text(node, path)?;
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let host = if bare.parse::<std::net::Ipv6Addr>().is_ok() { format!("[{bare}]") } else { text.clone() };
    let is_host = format!("http://{host}:1/").parse::<http::Uri>().is_ok_and(|url| url.host() == Some(&host));
    if !is_host {
        let message = format!("`{}` is not the name of a host", shown(&text));
        let help = "write a name or an address, without scheme and port".to_owned();
        decoder.fault(&node.place, path, message, Some(help));
        return None;
    }
    Some(host)
}
