//! What holds whatever is wanted and offered.

use std::collections::HashSet;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::Config;

use super::*;

const BACKENDS: [&str; 4] = ["a", "a_b", "b", "c"];
/// Names that meet under some prefix or other.
const NAMES: [&str; 8] = ["c", "b_c", "a_b_c", "x", "bc", "a_c", "p:c", "p:b_c"];
const URIS: [&str; 3] = ["r:u://1", "r:u://2", "t:u://{x}"];

pub(super) fn any_rules() -> impl Strategy<Value = Aggregation> {
    let strategy = prop_oneof![
        Just("prefix".to_owned()),
        Just("manual".to_owned()),
        subsequence(BACKENDS.to_vec(), 0..=4)
            .prop_shuffle()
            .prop_map(|order| format!("priority {}", order.join(" "))),
    ];
    let format = select(vec!["{workload}_", "{workload}", "t_", "{workload}.", "x{workload}{workload}_"]);
    let clause = (select(BACKENDS.to_vec()), select(NAMES[..6].to_vec()), select(NAMES[..6].to_vec()), 0..5)
        .prop_map(|(backend, own, new, choice)| match choice {
            0 | 1 => format!("; override {backend} {own}={new}"),
            2 => format!("; filter {backend} {own} {new}"),
            3 => format!("; exclude {backend}"),
            _ => format!("; rules {backend}"),
        });
    let whole = select(vec!["", "", "", "; deny", "; exclude_all", "; max 16"]);
    (strategy, format, vec(clause, 0..3), whole).prop_map(|(strategy, format, clauses, whole)| {
        rules(&format!("{strategy}; format {format}{}{whole}", clauses.concat()))
    })
}

/// Some backends, some of which have never answered.
pub(super) fn any_world() -> impl Strategy<Value = Vec<(&'static str, Option<Vec<&'static str>>)>> {
    let items =
        (subsequence(NAMES.to_vec(), 0..=4), subsequence(URIS.to_vec(), 0..=2)).prop_map(|(tools, uris)| {
            let mut items: Vec<&str> = tools.into_iter().chain(uris).collect();
            items.sort_by_key(|text| kind_of(text).0);
            items
        });
    btree_map(select(BACKENDS.to_vec()), prop::option::weighted(0.9, items), 0..=4)
        .prop_map(|world| world.into_iter().collect())
}

fn any_guard() -> impl Strategy<Value = Guarded> {
    let names =
        NAMES.iter().chain(&URIS).map(|text| kind_of(text)).map(|(kind, name)| (kind, name.to_owned()));
    prop_oneof![Just(Guarded::new()), btree_set(select(names.collect::<Vec<_>>()), 0..4)]
}

pub(super) fn offers(world: &[(&str, Option<Vec<&str>>)]) -> Offered {
    world
        .iter()
        .map(|(backend, items)| (name(backend), items.as_ref().map(|items| inventory(items))))
        .collect()
}

fn named(resolver: &Resolver) -> Vec<(Kind, String, Name, String)> {
    let items = resolver.shares().flat_map(|share| {
        share.items.iter().map(|item| {
            (item.kind, item.exposed_name.clone(), share.backend.clone(), item.original_name.clone())
        })
    });
    items.collect()
}

fn shares(resolver: &Resolver) -> Vec<Arc<Share>> {
    resolver.shares().cloned().collect()
}

proptest! {
    #![proptest_config(Config { cases: 100_000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn catalog_02_what_holds_of_every_resolution(
        rules in any_rules(),
        before in any_world(),
        world in any_world(),
        shuffled in any::<u64>(),
        removed in select(BACKENDS.to_vec()),
        guarded in any_guard(),
    ) {
        let fresh = |owners: Owners| Resolver::new(server(rules.clone()), owners, &guarded);
        let mut lasting = fresh(Owners::new());
        lasting.update(&offers(&before));
        let owners = lasting.owners();
        let mut resolver = fresh(owners.clone());
        resolver.update(&offers(&world));

        // What is kept between two updates only saves work.
        lasting.update(&offers(&world));
        prop_assert_eq!(shares(&lasting), shares(&resolver));
        prop_assert_eq!(lasting.diagnostics(), resolver.diagnostics());
        prop_assert_eq!(lasting.owners(), resolver.owners());

        // The order of backends and of their lists changes nothing but the order of lists.
        let mut one_by_one = fresh(owners);
        let mut lists = world.clone();
        for (index, (_, items)) in lists.iter_mut().enumerate() {
            let Some(items) = items else { continue };
            let turn = items.len().max(1);
            items.rotate_left((shuffled as usize >> index) % turn);
            items.sort_by_key(|text| kind_of(text).0);
        }
        one_by_one.update(&offers(&lists));
        let set = |resolver: &Resolver| named(resolver).into_iter().collect::<BTreeSet<_>>();
        prop_assert_eq!(set(&one_by_one), set(&resolver));

        // Each name is one item's, and leads back to it.
        let mut seen = HashSet::new();
        for (kind, exposed, backend, original) in named(&resolver) {
            prop_assert!(seen.insert((kind, exposed.clone())), "{exposed} is there twice");
            let offers = world.iter().find(|(name, _)| *name == backend.as_str()).unwrap();
            let own = offers.1.as_ref().unwrap().iter().map(|text| kind_of(text));
            prop_assert_eq!(own.filter(|(own_kind, own)| *own_kind == kind && **own == original).count(), 1);
            let owners = resolver.owners();
            let owner = &owners[&(kind, exposed)];
            prop_assert_eq!((&owner.backend, &owner.original_name), (&backend, &original));
        }

        // Resolving again, and from its own owners, changes nothing.
        let mut again = fresh(resolver.owners());
        again.update(&offers(&world));
        prop_assert_eq!(shares(&again), shares(&resolver));
        prop_assert_eq!(again.owners(), resolver.owners());

        // A backend that goes takes nobody else's name with it, and leaves none to others that a policy speaks of.
        let rest: Vec<_> = world.iter().filter(|(name, _)| *name != removed).cloned().collect();
        let held = resolver.owners();
        let served: HashSet<_> = named(&resolver).into_iter().map(|(kind, exposed, ..)| (kind, exposed)).collect();
        resolver.update(&offers(&rest));
        for (kind, exposed, backend, original) in named(&resolver) {
            let exposure = (kind, exposed.clone());
            let is_guarded = guarded.contains(&exposure);
            let Some(owner) = held.get(&exposure).filter(|_| is_guarded || served.contains(&exposure)) else {
                continue;
            };
            let is_same = owner.backend == backend && owner.original_name == original;
            let may_pass = owner.backend == name(removed) && !is_guarded;
            prop_assert!(is_same || may_pass, "{exposed} went from {owner:?} to {backend}");
        }
    }
}

#[test]
fn catalog_02_a_with_b_c_never_meets_a_b_with_c() {
    for format in ["{workload}_", "{workload}", "{workload}__", "x_{workload}_"] {
        for (first, second) in [("b_c", "c"), ("_b_c", "_c"), ("b_c", "_c"), ("b__c", "c"), ("bc", "c")] {
            let given = offered(&format!("a = {first} | a_b = {second} | ab = {second}"));
            let resolver = resolved(rules(&format!("prefix; format {format}")), &given);
            let names: Vec<String> = named(&resolver).into_iter().map(|(_, exposed, ..)| exposed).collect();
            let unique: HashSet<&String> = names.iter().collect();
            assert_eq!(unique.len(), names.len(), "{names:?}");
        }
    }
}
