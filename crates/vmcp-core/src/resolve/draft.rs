//! What the items of one backend would be called, looking at nobody else.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::aggregation::{Aggregation, ConflictResolution, Override, ToolRules};
use crate::inventory::Inventory;
use crate::item::{Item, Kind};
use crate::name::Name;
use crate::report::Hidden;

/// One item, as it would be.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// Its name by override and strategy.
    pub(super) wanted: Arc<str>,
    /// The same, shortened if need be.
    pub(super) claimed: Arc<str>,
    pub(super) standing: Standing,
    /// What it is called if it shares `claimed` with others, none of whom comes first.
    pub(super) fallback: Option<Arc<str>>,
    pub(super) is_prefixed: bool,
    pub(super) hidden: Option<Hidden>,
    /// Its backend lists another one of the same name before it.
    pub(super) is_repeated: bool,
}

/// How a claim stands against others for the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Equal to every other.
    Plain,
    /// The lowest comes first; among equals the first backend by name.
    Ranked(usize),
    /// Behind all that are ranked; among its like all fall back to their prefix.
    Unranked,
    /// Fallen back; it never takes a name that somebody claims outright.
    Fallback,
}

/// Drafts of all items, in the order of the inventory.
pub(super) fn drafts(aggregation: &Aggregation, backend: &Name, inventory: &Inventory) -> Vec<Draft> {
    let rules = aggregation.tools.get(backend);
    let allowed: Option<HashSet<&str>> = rules.filter(|rules| !rules.filter.is_empty()).map(|rules| {
        let tools = Tools::of(rules, inventory);
        rules.filter.iter().flat_map(|filter| tools.named(&filter.name)).collect()
    });
    let mut seen = HashSet::with_capacity(inventory.items.len());
    let items = inventory.items.iter().map(|item| {
        let is_repeated = !seen.insert((item.kind, item.original_name.as_str()));
        let changes = changes(aggregation, backend, item);
        let hidden = match item.kind {
            Kind::Tool => hidden(aggregation, rules, allowed.as_ref(), item),
            Kind::Resource | Kind::Template | Kind::Prompt => None,
        };
        let naming = Naming { aggregation, backend, kind: item.kind, name: called(item, changes) };
        Draft { hidden, is_repeated, ..naming.draft() }
    });
    items.collect()
}

/// What the manifest changes of an item.
pub(super) fn changes<'a>(aggregation: &'a Aggregation, backend: &Name, item: &Item) -> Option<&'a Override> {
    let rules = aggregation.tools.get(backend).filter(|_| item.kind == Kind::Tool)?;
    rules.overrides.get(&item.original_name)
}

/// What a tool is called before its prefix.
pub(super) fn called<'a>(item: &'a Item, changes: Option<&'a Override>) -> &'a str {
    let name = changes.and_then(|changes| changes.name.as_ref());
    name.map_or(item.original_name.as_str(), |name| name.as_str())
}

/// The name that a tool of a backend claims if an override calls it so.
pub(super) fn claimed_as(aggregation: &Aggregation, backend: &Name, name: &str) -> Arc<str> {
    Naming { aggregation, backend, kind: Kind::Tool, name }.draft().claimed
}

struct Naming<'a> {
    aggregation: &'a Aggregation,
    backend: &'a Name,
    kind: Kind,
    name: &'a str,
}

impl Naming<'_> {
    fn draft(&self) -> Draft {
        let priority = match &self.aggregation.conflict_resolution {
            ConflictResolution::Priority(order) => Some(order.iter().position(|name| name == self.backend)),
            ConflictResolution::Prefix | ConflictResolution::Manual => None,
        };
        let is_manual = self.aggregation.conflict_resolution == ConflictResolution::Manual;
        match (self.kind, priority) {
            // URIs stay as they are; of several the first backend by name counts.
            (Kind::Resource | Kind::Template, _) => self.bare(Standing::Ranked(0)),
            (Kind::Tool | Kind::Prompt, Some(Some(rank))) => self.bare(Standing::Ranked(rank)),
            (Kind::Tool, Some(None)) => {
                let fallback = Some(self.shortened(&self.prefixed()));
                Draft { fallback, ..self.bare(Standing::Unranked) }
            }
            (Kind::Tool, None) if is_manual => self.bare(Standing::Plain),
            // A prompt's name follows from the manifest and its backend alone, since policies speak of it.
            (Kind::Tool, None) | (Kind::Prompt, None | Some(None)) => {
                Draft { is_prefixed: true, ..self.named(self.prefixed(), Standing::Plain) }
            }
        }
    }

    fn bare(&self, standing: Standing) -> Draft {
        self.named(self.name.to_owned(), standing)
    }

    fn named(&self, wanted: String, standing: Standing) -> Draft {
        let claimed = self.shortened(&wanted);
        let wanted = if *claimed == *wanted { claimed.clone() } else { wanted.into() };
        Draft {
            wanted,
            claimed,
            standing,
            fallback: None,
            is_prefixed: false,
            hidden: None,
            is_repeated: false,
        }
    }

    fn prefixed(&self) -> String {
        self.aggregation.prefix_format.apply(self.backend, self.name)
    }

    fn shortened(&self, name: &str) -> Arc<str> {
        let is_uri = matches!(self.kind, Kind::Resource | Kind::Template);
        let length = self.aggregation.max_name_length.filter(|_| !is_uri);
        length.and_then(|length| length.shorten(name)).map_or_else(|| name.into(), Into::into)
    }
}

fn hidden(
    aggregation: &Aggregation,
    rules: Option<&ToolRules>,
    allowed: Option<&HashSet<&str>>,
    item: &Item,
) -> Option<Hidden> {
    if let Some(line) = &aggregation.exclude_all_tools {
        return Some(Hidden::ExcludeAllTools(line.clone()));
    }
    let Some(rules) = rules else { return aggregation.deny_by_default.clone().map(Hidden::DenyByDefault) };
    if let Some(line) = &rules.exclude_all {
        return Some(Hidden::ExcludeAll(line.clone()));
    }
    let line = rules.filter.first()?.line.clone();
    let is_allowed = allowed.is_none_or(|allowed| allowed.contains(item.original_name.as_str()));
    (!is_allowed).then_some(Hidden::Filter(line))
}

/// The tools of a backend, by what they are called and by their original names.
pub(super) struct Tools<'a> {
    called: HashMap<&'a str, Vec<&'a str>>,
    original: HashSet<&'a str>,
}

impl<'a> Tools<'a> {
    pub(super) fn of(rules: &'a ToolRules, inventory: &'a Inventory) -> Self {
        let mut tools = Self { called: HashMap::new(), original: HashSet::new() };
        for tool in inventory.of(Kind::Tool) {
            let own = tool.original_name.as_str();
            let changes = rules.overrides.get(own);
            tools.called.entry(called(tool, changes)).or_default().push(own);
            tools.original.insert(own);
        }
        tools
    }

    /// The original names of those that a filter's entry names: those that are called so, and if there is none, the one whose
    /// original name it is.
    pub(super) fn named(&self, filter: &str) -> Vec<&'a str> {
        let called = self.called.get(filter).cloned();
        called.unwrap_or_else(|| self.original.get(filter).copied().into_iter().collect())
    }

    /// Everything that a filter's entry could name.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.called.keys().chain(&self.original).copied()
    }

    /// Whether a tool has this original name.
    pub(super) fn has(&self, original_name: &str) -> bool {
        self.original.contains(original_name)
    }
}
