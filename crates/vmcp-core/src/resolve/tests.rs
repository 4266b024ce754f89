//! Resolutions are written in one line each: what is wanted, what is offered, and what becomes of every item.

mod owners;
mod properties;
mod sentences;
mod settled;
mod table;

use super::*;
use crate::aggregation::{Aggregation, Annotations, Filter, Override, ToolRules};
use crate::item::Item;
use crate::report::Withheld;
use crate::written::Line;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn line(number: usize) -> Line {
    Line { file: "vmcp.yaml".into(), number }
}

fn server(aggregation: Aggregation) -> VirtualServer {
    VirtualServer { aggregation, ..VirtualServer::new(name("all"), name("g")) }
}

/// `priority a b; format {workload}.; filter a x y; override a x=z; describe a x; exclude a; rules a; exclude_all; deny;
/// max 24`. Each stands on a line of its own.
fn rules(text: &str) -> Aggregation {
    let mut rules = Aggregation::default();
    for (index, clause) in text.split(';').enumerate() {
        let here = line(index + 1);
        let words: Vec<&str> = clause.split_whitespace().collect();
        match words.as_slice() {
            [] | ["prefix"] => {}
            ["manual"] => rules.conflict_resolution = ConflictResolution::Manual,
            ["priority", order @ ..] => {
                let order = order.iter().map(|backend| name(backend)).collect();
                rules.conflict_resolution = ConflictResolution::Priority(order);
            }
            ["format", format] => rules.prefix_format = format.parse().unwrap(),
            ["max", length] => rules.max_name_length = Some(length.parse().unwrap()),
            ["exclude_all"] => rules.exclude_all_tools = Some(here),
            ["deny"] => rules.deny_by_default = Some(here),
            [verb, backend, words @ ..] => {
                let new = ToolRules {
                    line: here.clone(),
                    filter: Vec::new(),
                    overrides: BTreeMap::new(),
                    exclude_all: None,
                };
                of_workload(rules.tools.entry(name(backend)).or_insert(new), verb, words, here);
            }
            _ => panic!("{clause}"),
        }
    }
    rules
}

fn of_workload(rules: &mut ToolRules, verb: &str, words: &[&str], here: Line) {
    match (verb, words) {
        ("rules", []) => {}
        ("exclude", []) => rules.exclude_all = Some(here),
        ("filter", names) => {
            let names = names.iter().map(|name| Filter { name: (*name).to_owned(), line: here.clone() });
            rules.filter.extend(names);
        }
        ("override", pairs) => {
            for (own, new) in pairs.iter().filter_map(|pair| pair.split_once('=')) {
                let changes = Override {
                    line: here.clone(),
                    name: Some(new.parse().unwrap()),
                    description: None,
                    annotations: Annotations::default(),
                };
                rules.overrides.insert(own.to_owned(), changes);
            }
        }
        ("describe", names) => {
            for own in names {
                let changes = Override {
                    line: here.clone(),
                    name: None,
                    description: Some("another".to_owned()),
                    annotations: Annotations { read_only_hint: Some(true), ..Annotations::default() },
                };
                rules.overrides.insert((*own).to_owned(), changes);
            }
        }
        _ => panic!("{verb} {words:?}"),
    }
}

fn item(kind: Kind, name: &str) -> Item {
    Item::read(kind, &format!(r#"{{"{}":"{name}","x":1.10}}"#, kind.key())).unwrap()
}

/// `tool`, `p:prompt`, `r:resource` or `t:template`.
fn kind_of(text: &str) -> (Kind, &str) {
    match text.split_once(':') {
        Some(("p", rest)) => (Kind::Prompt, rest),
        Some(("r", rest)) => (Kind::Resource, rest),
        Some(("t", rest)) => (Kind::Template, rest),
        _ => (Kind::Tool, text),
    }
}

fn inventory(items: &[&str]) -> Arc<Inventory> {
    let items = items.iter().map(|text| kind_of(text)).map(|(kind, name)| item(kind, name));
    Arc::new(Inventory { items: items.collect(), ..Inventory::default() })
}

/// `a = x p:y | b = x | c ?`: what each backend offers; `?` for one that has never answered.
fn offered(text: &str) -> Offered {
    let backends = text.split('|').map(str::trim).filter(|backend| !backend.is_empty());
    let backends = backends.map(|backend| match backend.split_once('=') {
        Some((backend, items)) => {
            let items: Vec<&str> = items.split_whitespace().collect();
            (name(backend.trim()), Some(inventory(&items)))
        }
        None => (name(backend.trim_end_matches(['?', ' '])), None),
    });
    backends.collect()
}

fn resolved(rules: Aggregation, offered: &Offered) -> Resolver {
    let mut resolver = Resolver::new(server(rules), Owners::new(), &Guarded::new());
    resolver.update(offered);
    resolver
}

/// Every item: `name=a.own` is exposed, `(name=a.own)` hidden, `!a.own` withheld with the reason.
fn outcome(resolver: &Resolver) -> String {
    let entries = resolver.report().map(|entry| {
        let letter = match entry.kind {
            Kind::Tool => "",
            Kind::Prompt => "p:",
            Kind::Resource => "r:",
            Kind::Template => "t:",
        };
        let own = format!("{}.{letter}{}", entry.backend, entry.original_name);
        match (entry.exposed_name, entry.outcome) {
            (Some(name), Outcome::Exposed) => format!("{name}={own}"),
            (Some(name), Outcome::Hidden(_)) => format!("({name}={own})"),
            (None, Outcome::Withheld(Withheld::Lost { to })) => format!("!{own}<{to}"),
            (None, Outcome::Withheld(Withheld::ListedTwice)) => format!("!{own}:twice"),
            (None, Outcome::Withheld(Withheld::Contested)) => format!("!{own}:contested"),
            (None, Outcome::Withheld(Withheld::Guarded { owner })) => {
                format!("!{own}:guarded {}", owner.backend)
            }
            (None, Outcome::Withheld(Withheld::Awaiting { backend })) => format!("!{own}:awaiting {backend}"),
            (name, outcome) => panic!("{name:?} {outcome:?}"),
        }
    });
    entries.collect::<Vec<_>>().join(" ")
}

/// A catalog and its report say the same.
fn check(wanted: &str, given: &str, expected: &str) {
    let resolver = resolved(rules(wanted), &offered(given));
    assert_eq!(outcome(&resolver), expected, "\n  {wanted}\n  {given}");
    let named = resolver.report().filter_map(|entry| Some((entry.exposed_name?, entry.outcome)));
    let named: Vec<_> = named.map(|(name, outcome)| (name, outcome != Outcome::Exposed)).collect();
    let served: Vec<_> = resolver
        .shares()
        .flat_map(|share| share.items.iter().map(|item| (item.exposed_name.clone(), item.is_hidden)))
        .collect();
    assert_eq!(named, served);
}
