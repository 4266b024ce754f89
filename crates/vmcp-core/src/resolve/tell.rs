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
use crate::sentence::{nearest, plain, shown};
use crate::tool_name::unusual_character;

/// What there is to say about one backend alone.
pub(super) fn backend(resolver: &Resolver, backend: &Name, held: &Held, share: &Share) -> Vec<Diagnostic> {
    let mut told = Told { resolver, backend, diagnostics: Vec::new() };
    // Nobody knows what a list has that could not be read.
    if !held.inventory.unread.contains(&Kind::Tool) {
        told.written_for_nothing(held);
    }
    for fault in &held.inventory.faults {
        told.say(Severity::Warning, sentence(&format!("`{backend}`: {fault}")));
    }
    let items = held.inventory.items.iter().zip(&held.drafts);
    let mut repeated: BTreeMap<(Kind, &str), usize> = BTreeMap::new();
    for (item, _) in items.clone().filter(|(_, draft)| draft.is_repeated) {
        *repeated.entry((item.kind, item.original_name.as_str())).or_insert(1) += 1;
    }
    for ((kind, name), count) in repeated {
        let times = if count == 2 { "twice".to_owned() } else { format!("{count} times") };
        let (noun, name) = (kind.noun(), shown(name));
        told.say(
            Severity::Warning,
            format!("{noun} `{name}` of `{backend}` is listed {times}; the first one counts"),
        );
    }
    for item in share.items.iter().filter(|item| !item.is_hidden) {
        if let Some(unusual) = unusual_name(item.kind, &item.exposed_name) {
            told.say(Severity::Warning, unusual);
        }
    }
    if let Some(length) = resolver.server.aggregation.max_name_length {
        let count = items.clone().filter(|(_, draft)| draft.claimed != draft.wanted).count();
        if count > 0 {
            let (names, are) = if count == 1 { ("name", "is") } else { ("names", "are") };
            told.say(
                Severity::Note,
                format!("{count} {names} of `{backend}` {are} shortened to {length} characters"),
            );
        }
    }
    let mut hidden: BTreeMap<&Hidden, usize> = BTreeMap::new();
    items.filter_map(|(_, draft)| draft.hidden.as_ref()).for_each(|why| *hidden.entry(why).or_default() += 1);
    let tools = held.inventory.of(Kind::Tool).count();
    for (why, count) in hidden {
        let diagnostic = told
            .say(Severity::Note, format!("`{}` hides {count} of {tools} tools of `{backend}`", why.key()));
        diagnostic.line = Some(why.line().clone());
    }
    told.bounded()
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

    /// What matters most, and how much more there is, so that one backend does not drown out the others.
    fn bounded(mut self) -> Vec<Diagnostic> {
        self.diagnostics.sort_by_key(|told| told.severity);
        let more = self.diagnostics.len().saturating_sub(limits::DIAGNOSTICS_OF_BACKEND);
        if more > 0 {
            self.diagnostics.truncate(limits::DIAGNOSTICS_OF_BACKEND);
            let message = format!("{more} more things to know about `{}` are not shown", self.backend);
            self.say(Severity::Warning, message);
        }
        self.diagnostics
    }

    /// Filters and overrides of tools that the backend does not have.
    fn written_for_nothing(&mut self, held: &Held) {
        let Some(rules) = self.resolver.server.aggregation.tools.get(self.backend) else { return };
        let (backend, tools) = (self.backend, Tools::of(rules, &held.inventory));
        // Ordered, so that of two that are equally near always the same is meant; and bounded, since comparing takes long.
        let known: BTreeSet<&str> = tools.names().collect();
        let mut comparisons = COMPARISONS;
        let mut did_you_mean = |name: &str| {
            comparisons = comparisons.checked_sub(known.len())?;
            nearest(name, known.iter().copied()).map(|known| format!("did you mean `{}`?", shown(known)))
        };
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

/// Names that are compared with those that somebody may have meant, for one backend.
const COMPARISONS: usize = 2_000;

/// What a backend had a hand in, on one line, within a bound.
fn sentence(text: &str) -> String {
    let start: String = text.chars().take(limits::SENTENCE_CHARACTERS).collect();
    let dots = if start.len() < text.len() { "…" } else { "" };
    format!("{}{dots}", plain(&start))
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
    let (noun, length) = (kind.noun(), name.chars().count());
    let stranger = unusual_character(name);
    let name = shown(name);
    if let Some(stranger) = stranger {
        return Some(format!(
            "{noun} `{name}` has a `{}`, which some clients refuse",
            stranger.escape_debug()
        ));
    }
    let longest = limits::NAME_CHARACTERS;
    (length > longest).then(|| {
        format!(
            "{noun} `{name}` has {length} characters; some clients accept {longest}: set `max_name_length`"
        )
    })
}
