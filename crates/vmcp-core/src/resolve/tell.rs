//! What an operator should know of single backends, and of rules that are for nobody.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::Share;
use crate::diagnostic::{Diagnostic, Severity};
use crate::item::Kind;
use crate::limits;
use crate::name::Name;
use crate::report::Hidden;
use crate::resolve::draft::Tools;
use crate::resolve::{Held, Resolver};
use crate::sentence::{nearest, shown};
use crate::tool_name::unusual_character;

/// What there is to say about one backend alone.
pub(super) fn backend(resolver: &Resolver, backend: &Name, held: &Held, share: &Share) -> Vec<Diagnostic> {
    let mut told = Told { resolver, backend, diagnostics: Vec::new() };
    for fault in &held.inventory.faults {
        told.say(Severity::Warning, fault.clone());
    }
    let items = held.inventory.items.iter().zip(&held.drafts);
    for (item, _) in items.clone().filter(|(_, draft)| draft.is_repeated) {
        let noun = item.kind.noun();
        told.say(
            Severity::Warning,
            format!("{noun} `{}` is listed twice; the first one counts", item.original_name),
        );
    }
    for item in share.items.iter().filter(|item| !item.is_hidden) {
        if let Some(unusual) = unusual_name(item.kind, &item.exposed_name) {
            told.say(Severity::Warning, unusual);
        }
    }
    if let Some(length) = resolver.server.aggregation.max_name_length {
        let of_tools_and_prompts =
            items.clone().filter(|(item, _)| matches!(item.kind, Kind::Tool | Kind::Prompt));
        let count = of_tools_and_prompts.filter(|(_, draft)| draft.claimed != draft.wanted).count();
        if count > 0 {
            let names = if count == 1 { "name is" } else { "names are" };
            told.say(Severity::Note, format!("{count} {names} shortened to {length} characters"));
        }
    }
    let mut hidden: BTreeMap<&Hidden, usize> = BTreeMap::new();
    items.filter_map(|(_, draft)| draft.hidden.as_ref()).for_each(|why| *hidden.entry(why).or_default() += 1);
    let tools = held.inventory.of(Kind::Tool).count();
    for (why, count) in hidden {
        let diagnostic = told.say(Severity::Note, format!("`{}` hides {count} of {tools} tools", why.key()));
        diagnostic.line = Some(why.line().clone());
    }
    // Nobody knows what a list has that could not be read.
    if !held.inventory.unread.contains(&Kind::Tool) {
        told.written_for_nothing(held);
    }
    told.diagnostics
}

struct Told<'r> {
    resolver: &'r Resolver,
    backend: &'r Name,
    diagnostics: Vec<Diagnostic>,
}

impl Told<'_> {
    fn say(&mut self, severity: Severity, message: String) -> &mut Diagnostic {
        self.diagnostics.push(diagnostic(self.resolver, severity, vec![self.backend.clone()], message));
        let last = self.diagnostics.len() - 1;
        &mut self.diagnostics[last]
    }

    /// Filters and overrides of tools that the backend does not have.
    fn written_for_nothing(&mut self, held: &Held) {
        let Some(rules) = self.resolver.server.aggregation.tools.get(self.backend) else { return };
        let (backend, tools) = (self.backend, Tools::of(rules, &held.inventory));
        // Ordered, so that of two that are equally near always the same is meant.
        let known: BTreeSet<&str> = tools.names().collect();
        let did_you_mean =
            |name: &str| nearest(name, known.iter().copied()).map(|known| format!("did you mean `{known}`?"));
        for filter in rules.filter.iter().filter(|filter| tools.named(&filter.name).is_empty()) {
            let name = shown(&filter.name);
            let message = format!("`filter` names `{name}`, which `{backend}` does not have");
            let said = self.say(Severity::Warning, message);
            (said.help, said.line) = (did_you_mean(&filter.name), Some(filter.line.clone()));
        }
        for (original_name, changes) in rules.overrides.iter().filter(|(name, _)| !tools.has(name)) {
            let name = shown(original_name);
            let message = format!("`overrides` changes `{name}`, which `{backend}` does not have");
            let said = self.say(Severity::Warning, message);
            (said.help, said.line) = (did_you_mean(original_name), Some(changes.line.clone()));
        }
    }
}

/// Rules for workloads that the group does not have.
pub(super) fn rules(resolver: &Resolver) -> Vec<Diagnostic> {
    let is_there = |name: &Name| resolver.backends.contains_key(name) || resolver.unanswered.contains(name);
    let aggregation = &resolver.server.aggregation;
    let strangers = aggregation.tools.iter().filter(|(name, _)| !is_there(name));
    let strangers = strangers.map(|(name, rules)| {
        let group = &resolver.server.group;
        let message = format!("there are rules for `{name}`, which the group `{group}` does not have");
        let line = Some(rules.line.clone());
        Diagnostic { line, ..diagnostic(resolver, Severity::Warning, vec![name.clone()], message) }
    });
    strangers.collect()
}

/// That there is more to know than is said.
pub(super) fn more(resolver: &Resolver, count: usize) -> Diagnostic {
    let message = format!("{count} more things to know are not shown; these matter most");
    diagnostic(resolver, Severity::Note, Vec::new(), message)
}

/// One thing to know, so far without what to do.
pub(super) fn diagnostic(
    resolver: &Resolver,
    severity: Severity,
    backends: Vec<Name>,
    message: String,
) -> Diagnostic {
    let virtual_server = resolver.server.name.clone();
    Diagnostic { virtual_server, severity, backends, message, help: None, line: None }
}

/// MCP 2025-11-25, Tools, Tool Names; and what popular clients accept. Named, not hidden.
fn unusual_name(kind: Kind, name: &str) -> Option<String> {
    if matches!(kind, Kind::Resource | Kind::Template) {
        return None;
    }
    let noun = kind.noun();
    if let Some(stranger) = unusual_character(name) {
        let name = shown(name);
        return Some(format!(
            "{noun} `{name}` has a `{}`, which some clients refuse",
            stranger.escape_debug()
        ));
    }
    let length = name.chars().count();
    let longest = limits::NAME_CHARACTERS;
    (length > longest).then(|| {
        format!(
            "{noun} `{name}` has {length} characters; some clients accept {longest}: set `max_name_length`"
        )
    })
}
