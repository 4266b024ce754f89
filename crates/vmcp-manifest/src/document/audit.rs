//! What a virtual server records, and where records go.

use http::Uri;
use vmcp_core::audit::{Audit, Destination, Overflow};
use vmcp_core::limits;
use vmcp_core::sentence::shown;

use crate::decode::Key::{Built, Later};
use crate::decode::{Decoder, Fields, Table};
use crate::document::workload;
use crate::tree::Node;

pub(crate) const AUDIT: Table = Table {
    name: "Audit",
    keys: &[
        Built("enabled"),
        Built("component"),
        Built("event_types"),
        Built("exclude_event_types"),
        Built("include_request_data"),
        Built("include_response_data"),
        Built("detect_application_errors"),
        Built("max_data_size"),
        Built("max_delegation_depth"),
        Built("redact"),
        Built("log_file"),
        Built("log_file_max_bytes"),
        Built("log_file_keep"),
        Built("otlp_endpoint"),
        Built("overflow"),
    ],
};

pub(crate) const EVENT_TYPE: Table = Table {
    name: "EventType",
    keys: &[
        Built("mcp_initialize"),
        Built("sse_connection"),
        Built("mcp_tool_call"),
        Built("mcp_tools_list"),
        Built("mcp_resource_read"),
        Built("mcp_resources_list"),
        Built("mcp_prompt_get"),
        Built("mcp_prompts_list"),
        Built("mcp_notification"),
        Built("mcp_ping"),
        Built("mcp_logging"),
        Built("mcp_completion"),
        Built("mcp_roots_list_changed"),
        Built("mcp_request"),
        Built("http_request"),
        Later("vmcp_workflow_started"),
        Later("vmcp_workflow_completed"),
        Later("vmcp_workflow_failed"),
        Later("vmcp_workflow_timed_out"),
        Later("vmcp_workflow_step_started"),
        Later("vmcp_workflow_step_completed"),
        Later("vmcp_workflow_step_failed"),
        Later("vmcp_workflow_step_skipped"),
    ],
};

pub(crate) const OVERFLOW: Table =
    Table { name: "Overflow", keys: &[Built("block"), Built("drop_and_count"), Built("refuse")] };

/// `None`: nothing is recorded.
pub(super) fn audit(decoder: &mut Decoder, node: &Node, path: &str) -> Option<Audit> {
    let fields = decoder.mapping(node, path, &AUDIT)?;
    let usual = Audit::default();
    let is_enabled = boolean(decoder, &fields, "enabled", true);
    let component = fields.get("component").and_then(|(node, path)| decoder.text(node, &path));
    let overflow = fields.get("overflow").and_then(|(node, path)| decoder.word(node, &path, &OVERFLOW));
    let audit = Audit {
        component: component.unwrap_or(usual.component),
        event_types: event_types(decoder, &fields, "event_types"),
        exclude_event_types: event_types(decoder, &fields, "exclude_event_types"),
        include_request_data: boolean(decoder, &fields, "include_request_data", false),
        include_response_data: boolean(decoder, &fields, "include_response_data", false),
        detect_application_errors: boolean(decoder, &fields, "detect_application_errors", true),
        max_data_size: count(decoder, &fields, "max_data_size", 1, limits::AUDIT_DATA_BYTES)
            .unwrap_or(usual.max_data_size),
        max_delegation_depth: count(decoder, &fields, "max_delegation_depth", 0, limits::AUDIT_ACTORS)
            .unwrap_or(usual.max_delegation_depth),
        redact: texts(decoder, &fields, "redact"),
        to: destination(decoder, &fields),
        overflow: match overflow {
            Some("block") => Overflow::Block,
            Some("refuse") => Overflow::Refuse,
            _ => Overflow::DropAndCount,
        },
    };
    is_enabled.then_some(audit)
}

fn destination(decoder: &mut Decoder, fields: &Fields<'_>) -> Destination {
    let file = fields.get("log_file");
    let path = file.as_ref().and_then(|(node, path)| workload::absolute(decoder, node, path));
    let max_bytes = count(decoder, fields, "log_file_max_bytes", 4096, u64::MAX);
    let keep = count(decoder, fields, "log_file_keep", 0, 1000);
    if file.is_none() {
        for name in ["log_file_max_bytes", "log_file_keep"] {
            if let Some((node, path)) = fields.get(name) {
                let message = format!("`{name}` is there without `log_file`");
                decoder.fault(&node.place, &path, message, Some("say which file, or take it out".to_owned()));
            }
        }
    }
    if let Some((node, path)) = fields.get("otlp_endpoint") {
        if file.is_some() {
            let message = "records go to one place, and `log_file` is there, too".to_owned();
            decoder.fault(&node.place, &path, message, Some("take one of the two out".to_owned()));
        }
        if let Some(url) = collector(decoder, node, &path) {
            return Destination::Otlp(url);
        }
    }
    match path {
        Some(path) => {
            Destination::File { path, max_bytes: max_bytes.unwrap_or(100 << 20), keep: keep.unwrap_or(5) }
        }
        None => Destination::Stdout,
    }
}

/// Where a collector listens (OTLP 1.x, OTLP/HTTP): `/v1/logs` is added where there is no path.
fn collector(decoder: &mut Decoder, node: &Node, path: &str) -> Option<Uri> {
    let text: String = decoder.text(node, path)?;
    let url: Uri = text.parse().unwrap_or_default();
    let is_http = matches!(url.scheme_str(), Some("http" | "https"));
    let authority = url.authority().filter(|authority| is_http && !authority.as_str().contains('@'));
    let Some(authority) = authority.filter(|_| url.query().is_none()) else {
        let message = format!("`{}` is no address of a collector", shown(&text));
        let help = "it is http or https, with no name, password or query in it: http://127.0.0.1:4318";
        decoder.fault(&node.place, path, message, Some(help.to_owned()));
        return None;
    };
    if url.path() != "/" {
        return Some(url);
    }
    format!("{}://{authority}/v1/logs", url.scheme_str().unwrap_or_default()).parse().ok()
}

fn event_types(decoder: &mut Decoder, fields: &Fields<'_>, name: &str) -> Vec<String> {
    let Some((node, path)) = fields.get(name) else { return Vec::new() };
    let nodes = decoder.list(node, &path).iter().enumerate();
    nodes
        .filter_map(|(at, node)| decoder.word(node, &format!("{path}[{at}]"), &EVENT_TYPE))
        .map(ToOwned::to_owned)
        .collect()
}

fn texts(decoder: &mut Decoder, fields: &Fields<'_>, name: &str) -> Vec<String> {
    let Some((node, path)) = fields.get(name) else { return Vec::new() };
    let nodes = decoder.list(node, &path).iter().enumerate();
    nodes.filter_map(|(at, node)| decoder.text(node, &format!("{path}[{at}]"))).collect()
}

fn boolean(decoder: &mut Decoder, fields: &Fields<'_>, name: &str, usual: bool) -> bool {
    fields.get(name).and_then(|(node, path)| decoder.boolean(node, &path)).unwrap_or(usual)
}

fn count<T>(decoder: &mut Decoder, fields: &Fields<'_>, name: &str, least: T, most: T) -> Option<T>
where
    T: std::str::FromStr<Err: std::fmt::Display> + PartialOrd + std::fmt::Display + Copy,
{
    let (node, path) = fields.get(name)?;
    let count: T = decoder.text(node, &path)?;
    if count < least || count > most {
        let message = format!("`{name}` is {least} to {most}");
        decoder.fault(&node.place, &path, message, None);
        return None;
    }
    Some(count)
}
