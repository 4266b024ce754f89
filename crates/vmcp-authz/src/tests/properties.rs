//! What is left out beforehand changes no decision, and what counts as alike is decided alike.

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::{Strategy, prop_assert_eq, proptest};
use proptest::sample::{select, subsequence};
use proptest::test_runner::Config;
use serde_json::json;

use super::{compile, object};
use crate::{Act, Claims, Described, Guarded, Hints, Policies};

const BACKENDS: [&str; 3] = ["a", "b", "c"];
const NAMES: [&str; 4] = ["x", "y", "z", "w"];

fn policy() -> impl Strategy<Value = String> {
    let effects = select(vec!["permit", "permit", "permit", "forbid"]);
    let principals =
        select(vec!["principal", "principal == Client::\"ada\"", "principal in THVGroup::\"eng\""]);
    let actions = select(vec![
        "action",
        "action == Action::\"call_tool\"",
        "action == Action::\"prompts/get\"",
        "action in [Action::\"tools/call\", Action::\"read_resource\"]",
    ]);
    let resources = select(vec![
        "resource",
        "resource == Tool::\"a_x\"",
        "resource == Prompt::\"b_y\"",
        "resource == Resource::\"c_z\"",
        "resource in Backend::\"a\"",
        "resource in Backend::\"b\"",
        "resource in MCP::\"all\"",
        "resource is Tool in Backend::\"c\"",
        "resource is Prompt",
    ]);
    let conditions = select(vec![
        "",
        "when { context has claim_role && context.claim_role == \"dev\" }",
        "unless { principal has claim_level && principal.claim_level > 2 }",
        "when { resource.original_name == \"x\" }",
        "when { resource has readOnlyHint && resource.readOnlyHint }",
        "when { resource == Tool::\"b_x\" }",
        "when { context has arg_n && context.arg_n > 1 }",
    ]);
    (effects, principals, actions, resources, conditions).prop_map(
        |(effect, principal, action, resource, condition)| {
            format!("{effect}({principal}, {action}, {resource}) {condition};")
        },
    )
}

/// Twelve tools, resources and prompts each, as a catalog guards them.
fn guards(policies: &Policies) -> Vec<Guarded> {
    let mut guards = Vec::new();
    for (backend, act) in BACKENDS.iter().flat_map(|backend| Act::ALL.map(|act| (*backend, act))) {
        let mut like: Option<Guarded> = None;
        for (place, name) in NAMES.iter().enumerate() {
            let exposed_name = format!("{backend}_{name}");
            let read_only = (act == Act::CallTool).then_some(place % 2 == 0);
            let hints = Hints { read_only, ..Hints::default() };
            let described =
                Described { act, exposed_name: &exposed_name, original_name: name, backend, hints };
            let guard = policies.guard(described, like.as_ref());
            if !policies.is_named(act, &exposed_name) {
                like.get_or_insert_with(|| guard.clone());
            }
            guards.push(guard);
        }
    }
    guards
}

proptest! {
    #![proptest_config(Config { cases: 100, ..Config::default() })]

    #[test]
    fn two_boundaries_06_what_is_left_out_changes_no_decision(
        texts in vec(policy(), 1..12),
        groups in subsequence(vec!["eng", "ops"], 0..=2),
        subject in select(vec!["ada", "ben"]),
        role in select(vec!["dev", "ops"]),
        level in 0..4_i64,
    ) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        // Some combinations can never hold, which is said of them; they decide all the same.
        let policies = compile(&texts).unwrap();
        let claims = object(json!({"groups": groups, "role": role, "level": level}));
        let subject = policies.subject(Claims { subject, issuer: "i", all: &claims });
        let everything = policies.selection.everything();
        let mut alike: HashMap<(usize, String), bool> = HashMap::new();
        for guard in guards(&policies) {
            let whole = Guarded { chosen: everything.clone(), ..guard.clone() };
            for arguments in [&[][..], &[("n", "2")][..]] {
                let selected = policies.decide(&subject, &guard, arguments);
                let all = policies.decide(&subject, &whole, arguments);
                prop_assert_eq!(selected, all, "{:?} {:?}", guard.uid, texts);
            }
            let is_allowed = policies.decide(&subject, &guard, &[]).is_allowed;
            let (chosen, class) = guard.class();
            let known = *alike.entry((chosen, class.to_owned())).or_insert(is_allowed);
            prop_assert_eq!(known, is_allowed, "{:?} {:?}", guard.uid, texts);
        }
    }
}
