//! A file of cases: what policies are to say of whom.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use vmcp_authz::Hints;
use vmcp_core::name::Name;
use vmcp_core::sentence::shown;
use vmcp_core::written::Line;

use crate::decode::Key::Built;
use crate::decode::{Decoder, Fields, Table};
use crate::desired::Source;
use crate::fault::Fault;
use crate::tree::{self, Node, Value};

/// One question to policies, and the answer that it is to have.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Where it begins.
    pub line: Line,
    /// Whose policies; the only virtual server if absent.
    pub virtual_server: Option<Name>,
    /// The subject of a token.
    pub principal: String,
    /// What else the token says.
    pub claims: Map<String, Json>,
    /// `call_tool`, `read_resource` or `get_prompt`.
    pub action: String,
    /// An exposed name, or a URI.
    pub item: String,
    /// Whose it is, if its name does not say so.
    pub backend: Option<Name>,
    /// The backend's own name for it, if it is not what stands behind the prefix.
    pub original_name: Option<String>,
    /// What a tool says of itself.
    pub hints: BTreeMap<String, bool>,
    /// What it is called with, each as JSON.
    pub arguments: BTreeMap<String, Json>,
    /// Whether it may be done.
    pub is_allowed: bool,
    /// By which policies, if that matters.
    pub policies: Option<Vec<String>>,
}

const CASE: Table = Table {
    name: "Case",
    keys: &[
        Built("virtual_server"),
        Built("principal"),
        Built("claims"),
        Built("action"),
        Built("item"),
        Built("backend"),
        Built("original_name"),
        Built("hints"),
        Built("arguments"),
        Built("expect"),
        Built("policies"),
    ],
};

const EXPECT: Table = Table { name: "Expect", keys: &[Built("allow"), Built("deny")] };

const ACTION: Table =
    Table { name: "Action", keys: &[Built("call_tool"), Built("read_resource"), Built("get_prompt")] };

/// The cases of a file: a list.
///
/// # Errors
/// Every fault, ordered by place.
pub fn read_cases(source: Source<'_>) -> Result<Vec<Case>, Vec<Fault>> {
    let mut decoder =
        Decoder { files: vec![source.name.into()], texts: vec![source.text.into()], ..Decoder::default() };
    let (nodes, broken) = tree::parse(0, source.text);
    decoder.faults.extend(broken);
    let mut cases = Vec::new();
    for node in &nodes {
        for (at, node) in decoder.list(node, "").iter().enumerate() {
            cases.extend(case(&mut decoder, node, &format!("[{at}]")));
        }
    }
    if decoder.faults.is_empty() {
        return Ok(cases);
    }
    decoder.faults.sort();
    Err(decoder.faults)
}

fn case(decoder: &mut Decoder, node: &Node, path: &str) -> Option<Case> {
    let fields = decoder.mapping(node, path, &CASE)?;
    let mut required = |name: &str, help: &str| {
        let (node, path) = fields.require(decoder, name, help)?;
        decoder.text::<String>(node, &path)
    };
    let principal = required("principal", "the subject of a token");
    let item = required("item", "an exposed name, or a URI");
    let mut word = |name: &str, table: &Table, help: &str| {
        let (node, path) = fields.require(decoder, name, help)?;
        decoder.word(node, &path, table)
    };
    let action = word("action", &ACTION, "it is `call_tool`, `read_resource` or `get_prompt`");
    let expect = word("expect", &EXPECT, "it is `allow` or `deny`");
    let policies = fields.get("policies").map(|(node, path)| {
        let ids = decoder.list(node, &path).iter().enumerate();
        ids.filter_map(|(at, node)| decoder.text(node, &format!("{path}[{at}]"))).collect()
    });
    let hints = members(decoder, &fields, "hints").into_iter().filter_map(|(name, node, path)| {
        if !Hints::NAMES.contains(&&*name) {
            let message = format!("unknown hint `{}`", shown(&name));
            decoder.fault(
                &node.place,
                &path,
                message,
                Some("hints are those of MCP, such as `readOnlyHint`".to_owned()),
            );
            return None;
        }
        Some((name, decoder.boolean(node, &path)?))
    });
    let hints = hints.collect();
    let claims = members(decoder, &fields, "claims").into_iter().map(|(name, node, _)| (name, json(node)));
    let claims = claims.collect();
    let arguments =
        members(decoder, &fields, "arguments").into_iter().map(|(name, node, _)| (name, json(node)));
    let arguments = arguments.collect();
    Some(Case {
        line: decoder.line(&node.place),
        virtual_server: optional(decoder, &fields, "virtual_server"),
        principal: principal?,
        claims,
        action: action?.to_owned(),
        item: item?,
        backend: optional(decoder, &fields, "backend"),
        original_name: optional(decoder, &fields, "original_name"),
        hints,
        arguments,
        is_allowed: expect? == "allow",
        policies,
    })
}

fn optional<T>(decoder: &mut Decoder, fields: &Fields<'_>, name: &str) -> Option<T>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let (node, path) = fields.get(name)?;
    decoder.text(node, &path)
}

fn members<'n>(decoder: &mut Decoder, fields: &Fields<'n>, name: &str) -> Vec<(String, &'n Node, String)> {
    let Some((node, path)) = fields.get(name) else { return Vec::new() };
    let read = decoder.free_mapping(node, &path).into_iter().filter_map(|(key, value)| match &key.value {
        Value::Scalar { text, .. } => Some((text.to_string(), value, format!("{path}.{}", shown(text)))),
        _ => None,
    });
    read.collect()
}

/// A value as a token or a call would hold it.
fn json(node: &Node) -> Json {
    match &node.value {
        Value::Scalar { .. } if node.is_nothing() => Json::Null,
        Value::Scalar { text, is_plain: true } => {
            let read = serde_json::from_str(text).ok().filter(|value: &Json| !value.is_string());
            read.unwrap_or_else(|| Json::from(&**text))
        }
        Value::Scalar { text, .. } => Json::from(&**text),
        Value::Sequence(items) => items.iter().map(json).collect(),
        Value::Mapping(members) => members
            .iter()
            .filter_map(|(key, value)| match &key.value {
                Value::Scalar { text, .. } => Some((text.to_string(), json(value))),
                _ => None,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cases_are_read_and_every_fault_is_said() {
        let text = "- {principal: ada, claims: {groups: [eng], age: 41, ok: true, zip: \"041\"}, action: call_tool, item: a_b, arguments: {n: 1}, expect: allow, policies: [p]}\n";
        let cases = read_cases(Source { name: "cases.yaml", text }).unwrap();
        assert_eq!(
            Json::Object(cases[0].claims.clone()),
            json!({"groups": ["eng"], "age": 41, "ok": true, "zip": "041"})
        );
        assert!(cases[0].is_allowed && cases[0].arguments["n"] == 1 && cases[0].line.number == 1);
        let text = "- {principle: ada, action: call, item: x, expect: maybe}\n- {principal: a, action: call_tool, item: x, expect: deny, hints: {readOnly: true}}\n";
        let faults = read_cases(Source { name: "cases.yaml", text }).unwrap_err();
        let said: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
        for part in [
            "unknown key `principle`",
            "unknown value `call`",
            "unknown value `maybe`",
            "unknown hint `readOnly`",
        ] {
            assert!(said.iter().any(|message| message.contains(part)), "{part}: {said:?}");
        }
    }
}
