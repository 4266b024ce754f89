//! What an operator can write so that a conflict of tools' names is settled.

use std::collections::HashSet;
use std::sync::Arc;

use crate::aggregation::ToolRules;
use crate::item::Kind;
use crate::limits;
use crate::name::Name;
use crate::report::Hidden;
use crate::resolve::draft::{self, Draft, claimed_as};
use crate::resolve::names::{Claim, Key};
use crate::resolve::{Held, Resolver};
use crate::sentence::shown;
use crate::tool_name::{hashed, unusual_character};
use crate::written::Line;

/// Suggestions in one sentence.
const SUGGESTED: usize = 3;

/// A name that nobody writes into a manifest.
const UNWRITABLE: usize = 200;

/// Names that have been suggested, so that no two suggestions meet.
pub(super) type Suggested = HashSet<Arc<str>>;

/// A tool's new name, and what goes with it.
#[derive(Debug)]
pub(super) struct Rename<'r> {
    pub(super) backend: &'r Name,
    pub(super) own: &'r str,
    pub(super) new: String,
    /// Where the workload's rules stand, if it has some.
    rules: Option<&'r Line>,
    /// Where the tool's override stands, if it has one.
    changes: Option<&'r Line>,
    /// The filter would not let it through by its new name.
    pub(super) to_filter: bool,
    /// Without rules all tools of the workload are hidden, and should stay so.
    pub(super) stays_hidden: bool,
}

/// A new name for each of `moving`.
pub(super) fn settle(resolver: &Resolver, moving: &[&Claim], suggested: &mut Suggested) -> Option<String> {
    let renames = moving.iter().take(SUGGESTED).filter_map(|claim| rename(resolver, claim, suggested));
    let write: Vec<String> = renames.map(|rename| rename.to_string()).collect();
    match moving.len() - moving.len().min(SUGGESTED) {
        _ if write.is_empty() => None,
        0 => Some(write.join("; ")),
        more => Some(format!("{}; and so on for {more} more", write.join("; "))),
    }
}

/// A new name for one tool; `None` if there is no name to be had.
pub(super) fn rename<'r>(
    resolver: &'r Resolver,
    claim: &'r Claim,
    suggested: &mut Suggested,
) -> Option<Rename<'r>> {
    let (backend, own) = (&claim.backend, &*claim.original_name);
    let held = resolver.backends.get(backend)?;
    let rules = resolver.server.aggregation.tools.get(backend);
    let new = free_name(resolver, backend, own, suggested)?;
    let is_shown = held.drafts.get(claim.item).is_some_and(|draft| draft.hidden.is_none());
    let is_denied = |draft: &Draft| matches!(draft.hidden, Some(Hidden::DenyByDefault(_)));
    Some(Rename {
        backend,
        own,
        rules: rules.map(|rules| &rules.line),
        changes: rules.and_then(|rules| rules.overrides.get(own)).map(|changes| &changes.line),
        to_filter: is_shown && rules.is_some_and(|rules| !passes(rules, held, claim.item, own, &new)),
        stays_hidden: held.drafts.get(claim.item).is_some_and(is_denied),
        new,
    })
}

/// Whether a filter lets a tool through once it is called otherwise.
fn passes(rules: &ToolRules, held: &Held, item: usize, own: &str, new: &str) -> bool {
    let names = |name: &str| rules.filter.iter().any(|filter| filter.name == name);
    let is_called_own = |(index, other): (usize, &crate::item::Item)| {
        index != item
            && other.kind == Kind::Tool
            && draft::called(other, rules.overrides.get(&other.original_name)) == own
    };
    let is_anothers = || held.inventory.items.iter().enumerate().any(is_called_own);
    rules.filter.is_empty() || names(new) || (names(own) && !is_anothers())
}

/// A name for a tool that nobody claims, made of its backend's and its own.
fn free_name(resolver: &Resolver, backend: &Name, own: &str, suggested: &mut Suggested) -> Option<String> {
    let is_usual = |c: char| unusual_character(c.encode_utf8(&mut [0; 4])).is_none();
    let usual: String = own.chars().take(UNWRITABLE).map(|c| if is_usual(c) { c } else { '_' }).collect();
    let base = format!("{backend}_{usual}");
    let numbered = (2..100).map(|number| format!("{base}_{number}"));
    let mut candidates = std::iter::once(base.clone()).chain(numbered).map(|name| {
        let is_long = name.len() > limits::NAME_CHARACTERS;
        if is_long { hashed(&format!("{name}{own}"), limits::NAME_CHARACTERS) } else { name }
    });
    candidates.find(|new| {
        let name = claimed_as(&resolver.server.aggregation, backend, new);
        let state = resolver.names.get(&Key { kind: Kind::Tool, name: name.clone() });
        let is_free = state.is_none_or(|state| state.claims.is_empty() && state.owner.is_none());
        is_free && suggested.insert(name)
    })
}

impl std::fmt::Display for Rename<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { backend, own, new, .. } = self;
        if own.chars().count() > UNWRITABLE {
            return write!(f, "give `{}` of `{backend}` another name where it comes from", shown(own));
        }
        match (self.rules, self.changes) {
            (_, Some(line)) => write!(f, "write `name: {new}` in the override of `{}` ({line})", shown(own))?,
            (Some(line), None) => {
                write!(f, "add to the `overrides` of `{backend}` ({line}): `{}: {{name: {new}}}`", key(own))?;
            }
            (None, None) => {
                let hide = if self.stays_hidden { "exclude_all: true, " } else { "" };
                let (workload, own) = (key(backend.as_str()), key(own));
                write!(
                    f,
                    "add to `aggregation.tools`: `- {{workload: {workload}, {hide}overrides: {{{own}: {{name: {new}}}}}}}`"
                )?;
            }
        }
        if self.to_filter { write!(f, ", and add `{new}` to its `filter`") } else { Ok(()) }
    }
}

/// A name as YAML reads it back: plain where that cannot be mistaken, else in double quotes with everything escaped that is not
/// printable ASCII.
fn key(text: &str) -> String {
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic()) && unusual_character(text).is_none();
    if is_word && !text.eq_ignore_ascii_case("null") {
        return text.to_owned();
    }
    let escaped = text.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        ' '..='~' => c.to_string(),
        other => format!("\\U{:08x}", u32::from(other)),
    });
    format!("\"{}\"", escaped.collect::<String>())
}
