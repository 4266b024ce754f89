//! What is left out beforehand changes no decision, and what counts as alike is decided alike.

use std::collections::HashMap;

use cedar_policy::{Authorizer, Decision, PolicySet};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert_eq, proptest};
use proptest::sample::{select, subsequence};
use proptest::test_runner::Config;
use serde_json::json;

use super::{compile_with, object};
use crate::{Act, Claims, Described, Guarded, Hints, Policies, Subject};

const BACKENDS: [&str; 3] = ["a", "b", "c"];
/// Groups in groups, and an item that is more than is known of it.
const WRITTEN_OUT: &str = r#"[
    {"uid": {"type": "THVGroup", "id": "eng"}, "attrs": {}, "parents": [{"type": "THVGroup", "id": "staff"}]},
    {"uid": {"type": "THVGroup", "id": "staff"}, "attrs": {}, "parents": []},
    {"uid": {"type": "Tool", "id": "b_x"}, "attrs": {"readOnlyHint": true}, "parents": [{"type": "Backend", "id": "a"}]}
]"#;
const NAMES: [&str; 4] = ["x", "y", "z", "w"];

fn policy() -> impl Strategy<Value = String> {
    let effects = select(vec!["permit", "permit", "permit", "forbid"]);
    let principals = select(vec![
        "principal",
        "principal == Client::\"ada\"",
        "principal in THVGroup::\"eng\"",
        "principal in THVGroup::\"staff\"",
    ]);
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
        // It overflows where `n` is as large as can be.
        "when { resource has arg_n && resource.arg_n + 1 > 2 } unless { principal == Client::\"ben\" }",
        "when { principal in THVGroup::\"ops\" || resource in Backend::\"a\" }",
        "when { resource.name like \"a_*\" && !(context has claim_missing) }",
        "when { [\"b_x\", \"say \\\"no\\\"\", \"c_*\"].contains(resource.name) }",
        "when { Client::\"ada\" in THVGroup::\"eng\" }",
        "when { Tool::\"b_x\" in Backend::\"b\" && Tool::\"a_x\" has readOnlyHint && Tool::\"a_x\".readOnlyHint }",
        "unless { [\"dev\", \"x\"].contains(if [\"a_x\", \"b_y\"].contains(resource.name) then \"dev\" else \"y\") }",
        "when { context has claim_role && context.claim_role like \"d\\*v*\" || resource.name like \"*_x\" }",
        "when { context has claim_level && -(context.claim_level) < -1 && context.claim_level * 2 != 4 }",
        "when { {\"a b\": resource.backend}[\"a b\"] == \"a\" && decimal(\"1.5\").greaterThan(decimal(\"-0.5\")) }",
        "when { principal is Client in THVGroup::\"eng\" && resource.backend != \"principal\" }",
        "when { [1, 2].containsAny([2, 3]) && [resource.name].containsAll([\"a_x\"]) }",
        "when { if action == Action::\"call_tool\" then true else resource is Prompt }",
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

/// What Cedar's own authorizer says of all policies as they are written: whether it allows, by which, and whether one could not be
/// evaluated.
fn by_cedar(
    policies: &Policies,
    whole: &PolicySet,
    (subject, item): (&Subject, &Guarded),
    arguments: &[(&str, &str)],
) -> (bool, Vec<String>, bool) {
    let called_with = policies.called_with(arguments).unwrap();
    let request = policies.request((subject, item), &called_with).unwrap();
    let both = subject.entity.clone().into_iter().chain(policies.called(item, &called_with));
    let entities = policies.given.with(both).unwrap();
    let response = Authorizer::new().is_authorized(&request, whole, &entities);
    let diagnostics = response.diagnostics();
    let reasons = diagnostics.reason().map(|id| policies.shown_id(id)).collect();
    (response.decision() == Decision::Allow, reasons, diagnostics.errors().next().is_some())
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
        is_written_out in any::<bool>(),
    ) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        // Some combinations can never hold, which is said of them; they decide all the same.
        let policies = compile_with(&texts, is_written_out.then_some(WRITTEN_OUT)).unwrap();
        let claims = object(json!({"groups": groups, "role": role, "level": level}));
        let subject = policies.subject(Claims { subject, issuer: "i", all: &claims });
        // Numbered as ours are; its authorizer knows one spelling of each action.
        let whole = texts.concat().replace("prompts/get", "get_prompt").replace("tools/call", "call_tool");
        let whole: PolicySet = whole.parse().unwrap();
        let mut alike: HashMap<(u64, String), bool> = HashMap::new();
        for guard in guards(&policies) {
            for arguments in [&[][..], &[("n", "2")][..], &[("n", "9223372036854775807")][..]] {
                let decided = policies.decide(&subject, &guard, arguments);
                let (is_allowed, mut reasons, has_failed) = by_cedar(&policies, &whole, (&subject, &guard), arguments);
                reasons.sort();
                prop_assert_eq!(decided.error.is_some(), has_failed, "{:?} {:?}", guard.uid, texts);
                if !has_failed {
                    prop_assert_eq!((decided.is_allowed, decided.policies), (is_allowed, reasons), "{:?} {:?}", guard.uid, texts);
                }
            }
            let is_allowed = policies.decide(&subject, &guard, &[]).is_allowed;
            let (chosen, class) = guard.class();
            let known = *alike.entry((chosen, class.to_owned())).or_insert(is_allowed);
            prop_assert_eq!(known, is_allowed, "{:?} {:?}", guard.uid, texts);
        }
    }
}
