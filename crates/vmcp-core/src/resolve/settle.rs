//! What an operator can write so that a conflict of tools' names is settled.

use vmcp_json::quote;

use crate::item::Kind;
use crate::limits;
use crate::name::Name;
use crate::resolve::Resolver;
use crate::resolve::draft::claimed_as;
use crate::resolve::names::{Claim, Key};
use crate::sentence::shown;
use crate::tool_name::{ToolName, unusual_character};

/// Suggestions in one sentence.
const SUGGESTED: usize = 3;

/// A new name for each of `moving`, of whom no two are the same backend's.
pub(super) fn settle(resolver: &Resolver, moving: &[&Claim]) -> Option<String> {
    let write: Vec<String> =
        moving.iter().take(SUGGESTED).filter_map(|claim| renamed(resolver, claim)).collect();
    match moving.len() - moving.len().min(SUGGESTED) {
        _ if write.is_empty() => None,
        0 => Some(write.join("; ")),
        more => Some(format!("{}; and so on for {more} more", write.join("; "))),
    }
}

fn renamed(resolver: &Resolver, claim: &Claim) -> Option<String> {
    let aggregation = &resolver.server.aggregation;
    let (backend, own) = (&claim.backend, &*claim.original_name);
    let new = free_name(resolver, claim)?;
    let Some(rules) = aggregation.tools.get(backend) else {
        let own = key(own);
        return Some(format!(
            "add to `aggregation.tools`: `- {{workload: {backend}, overrides: {{{own}: {{name: {new}}}}}}}`"
        ));
    };
    let changes = rules.overrides.get(own);
    let mut write = match changes {
        Some(changes) => {
            format!("write `name: {new}` in the override of `{}` ({})", shown(own), changes.line)
        }
        None => {
            format!("add to the `overrides` of `{backend}` ({}): `{}: {{name: {new}}}`", rules.line, key(own))
        }
    };
    // A filter that lets it through by the name that it has now would not know the new one.
    let called = changes.and_then(|changes| changes.name.as_ref());
    let is_filtered = |called: &ToolName| rules.filter.iter().any(|filter| filter.name == called.as_str());
    if called.is_some_and(is_filtered) {
        write.push_str(&format!(", and add `{new}` to its `filter`"));
    }
    Some(write)
}

/// A name for a tool that nobody claims, made of its backend's and its own.
fn free_name(resolver: &Resolver, claim: &Claim) -> Option<String> {
    let usual = |text: &str| text.chars().map(|c| if is_usual(c) { c } else { '_' }).collect::<String>();
    let base = format!("{}_{}", claim.backend, usual(&claim.original_name));
    let base: String = base.chars().take(limits::NAME_CHARACTERS).collect();
    let numbered = (2..10).map(|number| format!("{base}_{number}"));
    std::iter::once(base.clone()).chain(numbered).find(|new| !is_taken(resolver, &claim.backend, new))
}

fn is_usual(c: char) -> bool {
    unusual_character(c.encode_utf8(&mut [0; 4])).is_none()
}

/// Whether somebody claims the name that an override would make of this one.
fn is_taken(resolver: &Resolver, backend: &Name, new: &str) -> bool {
    let name = claimed_as(&resolver.server.aggregation, backend, new);
    resolver.names.get(&Key { kind: Kind::Tool, name }).is_some_and(|state| !state.claims.is_empty())
}

/// A tool's own name as a key of YAML.
fn key(own: &str) -> String {
    let is_word = own.starts_with(|c: char| c.is_ascii_alphabetic()) && own.chars().all(is_usual);
    if is_word && !own.eq_ignore_ascii_case("null") { own.to_owned() } else { quote(own) }
}
