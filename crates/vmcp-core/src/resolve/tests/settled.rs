//! What an operator is told to write settles every conflict, and changes nothing else.

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::properties::{any_rules, any_world, offers};
use super::*;
use crate::resolve::contest::moving;
use crate::resolve::settle::{Suggested, rename};

/// Writes what is suggested for every conflict of tools' names, and says whether there was one.
fn write_it(resolver: &Resolver, rules: &mut Aggregation) -> bool {
    let mut suggested = Suggested::new();
    let mut has_written = false;
    for key in resolver.names.troubled.iter().filter(|key| key.kind == Kind::Tool) {
        for claim in moving(resolver, key) {
            let Some(rename) = rename(resolver, claim, &mut suggested) else { continue };
            let new = ToolRules {
                line: line(1),
                filter: Vec::new(),
                overrides: BTreeMap::new(),
                exclude_all: rename.stays_hidden.then(|| line(1)),
            };
            let of_workload = rules.tools.entry(rename.backend.clone()).or_insert(new);
            let name = Some(rename.new.parse().unwrap());
            let (description, annotations) = (None, Annotations::default());
            let unchanged = Override { line: line(1), name: None, description, annotations };
            of_workload.overrides.entry(rename.own.to_owned()).or_insert(unchanged).name = name;
            let filter = Filter { name: rename.new.clone(), line: line(1) };
            of_workload.filter.extend(rename.to_filter.then_some(filter));
            has_written = true;
        }
    }
    has_written
}

fn visible(resolver: &Resolver) -> BTreeSet<(Name, String)> {
    let shown =
        resolver.report().filter(|entry| entry.kind == Kind::Tool && entry.outcome == Outcome::Exposed);
    shown.map(|entry| (entry.backend, entry.original_name)).collect()
}

proptest! {
    #![proptest_config(Config { cases: 20_000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn catalog_03_what_it_says_to_write_settles_it(mut rules in any_rules(), world in any_world()) {
        let world = offers(&world);
        let mut resolver = resolved(rules.clone(), &world);
        for round in 0.. {
            let before = visible(&resolver);
            let contested: BTreeSet<(Name, String)> = resolver
                .report()
                .filter(|entry| matches!(entry.outcome, Outcome::Withheld(_)))
                .map(|entry| (entry.backend, entry.original_name))
                .collect();
            if !write_it(&resolver, &mut rules) {
                break;
            }
            prop_assert!(round < 8, "it goes on for ever: {:?}", resolver.diagnostics());
            resolver = resolved(rules.clone(), &world);
            let after = visible(&resolver);
            prop_assert!(before.is_subset(&after), "{before:?} {after:?} {rules:?}");
            prop_assert!(after.difference(&before).all(|tool| contested.contains(tool)), "{after:?} {rules:?}");
        }
        let left = resolver.report().filter(|entry| entry.kind == Kind::Tool);
        let mut left = left.filter(|entry| entry.outcome == Outcome::Withheld(Withheld::Contested));
        prop_assert_eq!(left.next(), None);
    }
}
