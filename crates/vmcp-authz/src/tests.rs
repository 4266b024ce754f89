//! Policies as operators write them, and what comes out.

mod classes;
mod lints;
mod properties;

use serde_json::{Map, Value, json};
use vmcp_core::boundary::Authorization;

use crate::{Act, Claims, Decision, Described, Guarded, Hints, Offered, Policies, PolicyFault};

fn compile(policies: &[&str]) -> Result<Policies, Vec<PolicyFault>> {
    compile_with(policies, None)
}

fn compile_with(policies: &[&str], entities: Option<&str>) -> Result<Policies, Vec<PolicyFault>> {
    let policies = policies.iter().map(|text| (*text).to_owned()).collect();
    let entities = entities.map(ToOwned::to_owned);
    Policies::compile("all", &Authorization { policies, entities, ..Authorization::default() })
}

fn tool(policies: &Policies, name: &str) -> Guarded {
    let hints = Hints { read_only: Some(true), ..Hints::default() };
    let original_name = name.trim_start_matches("github_");
    let described =
        Described { act: Act::CallTool, exposed_name: name, original_name, backend: "github", hints };
    policies.guard(described, None)
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn ask(policies: &Policies, claims: Value, name: &str, arguments: &[(&str, &str)]) -> Decision {
    let claims = object(claims);
    let subject = policies.subject(Claims { subject: "ada", issuer: "https://issuer", all: &claims });
    policies.decide(&subject, &tool(policies, name), arguments)
}

/// A policy, what a tool is called with, and whether ada may call it then.
type Case = (&'static str, &'static [(&'static str, &'static str)], bool);

const VOCABULARY: &[Case] = &[
    ("permit(principal, action, resource);", &[], true),
    (
        "permit(principal == Client::\"ada\", action == Action::\"call_tool\", resource == Tool::\"github_pr\");",
        &[],
        true,
    ),
    ("permit(principal == Client::\"ben\", action, resource);", &[], false),
    ("permit(principal, action == Action::\"tools/call\", resource);", &[], true),
    ("permit(principal, action in [Action::\"tools/call\", Action::\"get_prompt\"], resource);", &[], true),
    ("permit(principal, action == Action::\"read_resource\", resource);", &[], false),
    ("permit(principal, action, resource == Tool::\"github_other\");", &[], false),
    ("permit(principal in THVGroup::\"eng\", action, resource);", &[], true),
    ("permit(principal in THVGroup::\"ops\", action, resource);", &[], false),
    ("permit(principal, action, resource in Backend::\"github\");", &[], true),
    ("permit(principal, action, resource in Backend::\"jira\");", &[], false),
    ("permit(principal, action, resource in MCP::\"all\");", &[], true),
    (
        "permit(principal, action == Action::\"call_tool\", resource) when { resource.original_name == \"pr\" };",
        &[],
        true,
    ),
    (
        "permit(principal, action == Action::\"call_tool\", resource) when { resource has readOnlyHint && resource.readOnlyHint };",
        &[],
        true,
    ),
    (
        "permit(principal, action == Action::\"call_tool\", resource) when { resource has destructiveHint && resource.destructiveHint };",
        &[],
        false,
    ),
    (
        "permit(principal, action, resource) when { principal has claim_role && principal.claim_role == \"dev\" };",
        &[],
        true,
    ),
    (
        "permit(principal, action, resource) when { context has claim_level && context.claim_level > 5 };",
        &[],
        true,
    ),
    (
        "permit(principal, action, resource) when { context has claim_groups && context.claim_groups.contains(\"eng\") };",
        &[],
        true,
    ),
    (
        "permit(principal, action, resource) when { context has claim_realm_access.roles && context.claim_realm_access.roles.contains(\"x\") };",
        &[],
        true,
    ),
    (
        "permit(principal, action, resource) when { principal.claim_sub == \"ada\" && context.claim_iss like \"https://*\" };",
        &[],
        true,
    ),
    (
        "permit(principal, action, resource) when { context has arg_n && context.arg_n > 5 };",
        &[("n", "6")],
        true,
    ),
    (
        "permit(principal, action, resource) when { context has arg_n && context.arg_n > 5 };",
        &[("n", "5")],
        false,
    ),
    ("permit(principal, action, resource) when { context has arg_n && context.arg_n > 5 };", &[], false),
    (
        "permit(principal, action, resource) when { context has arg_n && context.arg_n.greaterThan(decimal(\"5.0\")) };",
        &[("n", "5.5")],
        true,
    ),
    (
        "permit(principal, action, resource) when { resource has arg_path && resource.arg_path like \"/tmp/*\" };",
        &[("path", "\"/tmp/a\"")],
        true,
    ),
    (
        "permit(principal, action, resource) when { context has arg_all_present && context.arg_all_present };",
        &[("all", "{\"a\":1}")],
        true,
    ),
    (
        "permit(principal, action, resource) when { context has arg_tags && context.arg_tags.containsAny([\"a\"]) };",
        &[("tags", "[\"a\",\"b\"]")],
        true,
    ),
];

#[test]
fn policies_decide_in_toolhives_vocabulary() {
    let ada = || json!({"sub": "ada", "role": "dev", "level": 7, "groups": ["eng"], "realm_access": {"roles": ["x"]}});
    for (policy, arguments, expected) in VOCABULARY {
        let policies = compile(&[policy]).unwrap_or_else(|faults| panic!("{policy}: {faults:?}"));
        let decision = ask(&policies, ada(), "github_pr", arguments);
        assert_eq!((decision.is_allowed, decision.error.as_deref()), (*expected, None), "{policy}");
        assert_eq!(decision.policies, if *expected { vec!["policy0"] } else { vec![] }, "{policy}");
    }
}

#[test]
fn cedar_fails_closed() {
    let open = "permit(principal, action, resource);";
    let guarded = "@id(\"no-contractors\") forbid(principal, action, resource) when { context has claim_kind && context.claim_kind == \"contractor\" };";
    let policies = compile(&[open, guarded]).unwrap();
    assert!(ask(&policies, json!({}), "github_pr", &[]).is_allowed);
    let denied = ask(&policies, json!({"kind": "contractor"}), "github_pr", &[]);
    assert_eq!((denied.is_allowed, denied.policies), (false, vec!["no-contractors".to_owned()]));
    // What a claim is taken for and is not would slip through an equality.
    let odd = ask(&policies, json!({"kind": ["contractor"]}), "github_pr", &[]);
    assert_eq!((odd.is_allowed, odd.error.as_deref()), (false, Some("the claim `kind` is not a text")));
    // What cannot be evaluated denies, whoever permits.
    let overflowing = "forbid(principal, action, resource) when { context has arg_n && context.arg_n * 9223372036854775807 == 1 };";
    let policies = compile(&[open, overflowing]).unwrap();
    assert!(ask(&policies, json!({}), "github_pr", &[]).is_allowed);
    let failed = ask(&policies, json!({}), "github_pr", &[("n", "2")]);
    assert!(!failed.is_allowed && failed.error.is_some(), "{failed:?}");
    let odd = ask(&policies, json!({}), "github_pr", &[("n", "\"2\"")]);
    assert!(!odd.is_allowed && odd.error.is_some(), "{odd:?}");
    let nothing = compile(&[]).unwrap();
    assert!(!ask(&nothing, json!({}), "github_pr", &[]).is_allowed);
}

#[test]
fn faults_say_which_policy_which_line_and_why() {
    let good = "permit(principal, action, resource in Backend::\"github\");";
    let table = [
        ("permit(principal, action, resource)\nwhen { context.claim_role == \"x\" };", 1, "claim_role"),
        ("permit(principal, action, resource)\n\nwhen { principal has };", 2, "unexpected token"),
        ("permit(principal, action == Action::\"call_tol\", resource);", 0, "call_tol"),
        ("permit(principal == User::\"ada\", action, resource);", 0, "User"),
        ("permit(principal, action, resource == ?resource);", 0, "slot"),
        (
            "permit(principal, action, resource) when { context has claim_a && context.claim_a > 1 && context.claim_a == \"x\" };",
            0,
            "Long and String",
        ),
        ("permit(principal, action, resource) when { context == {} };", 0, "context"),
        (
            "permit(principal, action, resource) when { action == Action::\"tools/call\" };",
            0,
            "stands in a condition",
        ),
        ("", 0, "no policy"),
    ];
    for (text, line, what) in table {
        let faults = compile(&[good, text]).unwrap_err();
        assert_eq!(faults[0].policy, Some(1), "{text}: {faults:?}");
        assert!(faults[0].message.contains(what), "{text}: {faults:?}");
        assert_eq!(faults[0].line(text), line, "{text}: {faults:?}");
    }
    for (entities, what) in [("{", "not JSON"), ("[{\"uid\": 3}]", "cannot be read")] {
        let faults = compile_with(&[good], Some(entities)).unwrap_err();
        assert_eq!((faults[0].policy, faults[0].message.contains(what)), (None, true), "{faults:?}");
    }
}

#[test]
fn entities_that_are_written_out_take_part() {
    let entities = r#"[
        {"uid": {"type": "THVGroup", "id": "eng"}, "attrs": {}, "parents": [{"type": "THVGroup", "id": "staff"}]},
        {"uid": {"type": "Tool", "id": "github_pr"}, "attrs": {"owner": "ada"}, "parents": [{"type": "Team", "id": "core"}]},
        {"uid": {"type": "Backend", "id": "github"}, "attrs": {}, "parents": [{"type": "Backend", "id": "hub"}]}
    ]"#;
    let table = [
        ("permit(principal in THVGroup::\"staff\", action, resource);", true),
        ("permit(principal, action == Action::\"call_tool\", resource in Team::\"core\");", true),
        ("permit(principal, action == Action::\"call_tool\", resource in Team::\"other\");", false),
        ("permit(principal, action, resource in Backend::\"hub\");", true),
        (
            "permit(principal, action == Action::\"call_tool\", resource) when { resource has owner && resource.owner == principal.claim_sub };",
            true,
        ),
    ];
    for (policy, expected) in table {
        let policies =
            compile_with(&[policy], Some(entities)).unwrap_or_else(|faults| panic!("{policy}: {faults:?}"));
        let decision = ask(&policies, json!({"groups": ["eng"]}), "github_pr", &[]);
        assert_eq!((decision.is_allowed, &decision.error), (expected, &None), "{policy}");
    }
}

/// Tokens have scopes as one text, and policies ask for one of them.
#[test]
fn scopes_are_a_set_where_policies_take_them_for_one() {
    let policies = compile(&[
        "permit(principal, action == Action::\"call_tool\", resource) when { context has claim_scope && context.claim_scope.contains(\"tools:call\") };",
    ])
    .unwrap();
    let described = Described {
        act: Act::CallTool,
        exposed_name: "a_b",
        original_name: "b",
        backend: "a",
        hints: Hints::default(),
    };
    let guard = policies.guard(described, None);
    for (claims, is_allowed) in [
        (json!({"scope": "tools:call"}), true),
        (json!({"scope": "openid tools:call tools:list"}), true),
        (json!({"scope": ["tools:call"]}), true),
        (json!({"scope": "tools:callback xtools:call"}), false),
        (json!({"scope": ""}), false),
        (json!({}), false),
    ] {
        let claims = object(claims);
        let subject = policies.subject(Claims { subject: "ada", issuer: "i", all: &claims });
        assert_eq!(policies.decide(&subject, &guard, &[]).is_allowed, is_allowed, "{claims:?}");
    }
}

#[test]
fn who_has_the_same_view_is_decided_about_alike() {
    let policies = compile(&["permit(principal, action, resource) when { context has claim_role && context.claim_role == \"dev\" };"]).unwrap();
    let view = |subject: &str, claims: Value| {
        let claims = object(claims);
        policies.subject(Claims { subject, issuer: "i", all: &claims }).view().to_owned()
    };
    let one = view("ada", json!({"role": "dev", "email": "a"}));
    assert_eq!(one, view("ada", json!({"role": "dev", "email": "b"})));
    for other in [
        view("ada", json!({"role": "ops"})),
        view("ben", json!({"role": "dev"})),
        view("ada", json!({"role": "dev", "groups": ["x"]})),
    ] {
        assert_ne!(one, other);
    }
    let (one, other) = (tool(&policies, "github_a"), tool(&policies, "github_b"));
    let shared = policies.guard(
        Described {
            act: Act::CallTool,
            exposed_name: "github_b",
            original_name: "b",
            backend: "github",
            hints: Hints::default(),
        },
        Some(&one),
    );
    assert_eq!(one.class(), shared.class());
    assert_eq!(one.class(), other.class(), "no policy speaks of either, nor of their backend");
}

#[test]
fn groups_and_roles_are_found_where_it_is_said_and_else_where_they_usually_are() {
    let claims = json!({
        "groups": ["g"], "roles": ["r"], "cognito:groups": ["c"], "team": ["t"],
        "realm_access": {"roles": ["deep"]}, "https://acme.example/groups": ["whole"],
    });
    let without = |names: &[&str]| {
        let mut claims = object(claims.clone());
        names.iter().for_each(|name| drop(claims.remove(*name)));
        claims
    };
    let all = object(claims.clone());
    for (group_claim, role_claim, claims, groups) in [
        (None, None, all.clone(), vec!["g"]),
        (None, None, without(&["groups"]), vec!["r"]),
        (None, None, without(&["groups", "roles"]), vec!["c"]),
        (Some("team"), None, all.clone(), vec!["t"]),
        (Some("absent"), None, all.clone(), vec![]),
        (Some("team"), Some("realm_access.roles"), all.clone(), vec!["t", "deep"]),
        (None, Some("realm_access.roles"), all.clone(), vec!["g", "deep"]),
        (Some("https://acme.example/groups"), None, all.clone(), vec!["whole"]),
    ] {
        let known = ["g", "r", "c", "t", "deep", "whole"];
        let policies = known.map(|name| {
            format!("permit(principal in Team::\"{name}\", action, resource == Tool::\"{name}\");")
        });
        let authorization = Authorization {
            policies: policies.into(),
            group_claim: group_claim.map(ToOwned::to_owned),
            role_claim: role_claim.map(ToOwned::to_owned),
            group_type: Some("Team".to_owned()),
            ..Authorization::default()
        };
        let policies = Policies::compile("all", &authorization).unwrap();
        let subject = policies.subject(Claims { subject: "ada", issuer: "i", all: &claims });
        let is_in = |name: &&str| policies.decide(&subject, &tool(&policies, name), &[]).is_allowed;
        let found: Vec<&str> = known.into_iter().filter(is_in).collect();
        let expected: Vec<&str> = known.into_iter().filter(|name| groups.contains(name)).collect();
        assert_eq!(found, expected, "{group_claim:?} {role_claim:?}");
    }
}

/// T19: five thousand policies, and whoever chooses a claim to look like something else.
#[test]
fn cedar_fails_closed_among_many_policies_and_whoever_is_called_oddly() {
    let mut policies: Vec<String> = (0..5_000)
        .map(|n| {
            format!("permit(principal in THVGroup::\"team-{n}\", action, resource == Tool::\"tool-{n}\");")
        })
        .collect();
    policies.push("permit(principal == Client::\"ada\", action, resource == Tool::\"for_ada\");".to_owned());
    policies.push("forbid(principal, action, resource == Tool::\"tool-7\") when { context has claim_n && context.claim_n + 1 > 0 };".to_owned());
    let texts: Vec<&str> = policies.iter().map(String::as_str).collect();
    let policies = compile(&texts).unwrap();
    let decide = |subject: &str, claims: Value, name: &str| {
        let claims = object(claims);
        let subject = policies.subject(Claims { subject, issuer: "i", all: &claims });
        policies.decide(&subject, &tool(&policies, name), &[])
    };
    assert!(decide("x", json!({"groups": ["team-4999"]}), "tool-4999").is_allowed);
    assert!(!decide("x", json!({"groups": ["team-4998"]}), "tool-4999").is_allowed);
    // What forbids cannot be evaluated.
    let failed = decide("x", json!({"groups": ["team-7"], "n": i64::MAX}), "tool-7");
    assert!(!failed.is_allowed && failed.error.is_some(), "{failed:?}");
    assert!(decide("ada", json!({}), "for_ada").is_allowed);
    for odd in [
        "ada\"",
        "\"ada\"",
        "ada\0",
        "Ada",
        "ada ",
        "Client::\"ada\"",
        "ada\\",
        "",
        "x\" || principal == Client::\"ada",
    ] {
        let groups =
            json!({"groups": [odd, format!("team-1{odd}"), "THVGroup::\"team-1\"", "team-1\", \"team-2"]});
        for name in ["for_ada", "tool-1", "tool-2"] {
            let decision = decide(odd, groups.clone(), name);
            let is_itself = name == "tool-1" && odd.is_empty();
            assert_eq!((decision.is_allowed, decision.error), (is_itself, None), "{odd:?} {name}");
        }
    }
}

#[test]
fn whatever_policies_name_is_known_wherever_it_stands() {
    let call = "action == Action::\"call_tool\"";
    let table = [
        "permit(principal, {call}, resource == Tool::\"send\");",
        "permit(principal, {call}, resource) when { resource == Tool::\"send\" };",
        "permit(principal, {call}, resource) unless { !(resource == Tool::\"send\") };",
        "permit(principal, {call}, resource) when { [Tool::\"x\", Tool::\"send\"].contains(resource) };",
        "permit(principal, {call}, resource) when { resource in [Tool::\"send\", Tool::\"x\"] };",
        "permit(principal, {call}, resource) when { resource.name == \"send\" };",
        "permit(principal, {call}, resource) when { \"send\" == resource.name };",
        "permit(principal, {call}, resource) when { [\"x\", \"send\"].contains(resource.name) };",
    ];
    for policy in table {
        let policy = policy.replace("{call}", call);
        let policies = compile(&[&policy]).unwrap_or_else(|faults| panic!("{policy}: {faults:?}"));
        assert!(policies.names(Act::CallTool, "send"), "{policy}");
        assert!(!policies.names(Act::CallTool, "other"), "{policy}");
    }
}

/// An argument that is really called so is read as what it is.
#[test]
fn an_argument_may_be_called_present() {
    let policies = compile(&[
        "permit(principal, action == Action::\"call_tool\", resource);",
        "forbid(principal, action == Action::\"call_tool\", resource) when { context has arg_gift_present && context.arg_gift_present };",
    ])
    .unwrap();
    let read: Vec<&str> = policies.arguments_read().collect();
    assert_eq!(read, ["gift_present", "gift"]);
    for (arguments, is_allowed) in [
        (vec![], true),
        (vec![("gift", "{}")], false),
        (vec![("gift_present", "true")], false),
        (vec![("gift_present", "false")], true),
        (vec![("gift_present", "7")], false),
        // Whoever brings both might mean either.
        (vec![("gift", "{}"), ("gift_present", "false")], false),
        (vec![("gift_present", "null"), ("gift", "{}")], false),
    ] {
        assert_eq!(
            ask(&policies, json!({}), "github_pr", &arguments).is_allowed,
            is_allowed,
            "{arguments:?}"
        );
    }
}

/// What goes on while policies change is held to those that there are now, also where it is offered no more.
#[test]
fn an_item_is_seen_again_under_other_policies_as_it_would_be_for_the_first_time() {
    let described = Described {
        act: Act::CallTool,
        exposed_name: "a_drop",
        original_name: "drop",
        backend: "a",
        hints: Hints { destructive: Some(true), ..Hints::default() },
    };
    let before = compile(&["permit(principal, action, resource);"]).unwrap().guard(described, None);
    let claims = object(json!({}));
    for policy in [
        "permit(principal, action, resource);",
        "permit(principal, action, resource == Tool::\"a_drop\");",
        "permit(principal, action, resource == Tool::\"a_other\");",
        "permit(principal, action, resource in Backend::\"a\");",
        "permit(principal, action, resource in Backend::\"b\");",
        "permit(principal, action == Action::\"call_tool\", resource) when { resource has destructiveHint && resource.destructiveHint };",
        "permit(principal, action == Action::\"call_tool\", resource) when { resource.original_name == \"drop\" };",
        "permit(principal, action == Action::\"call_tool\", resource) unless { resource has destructiveHint && resource.destructiveHint };",
    ] {
        let policies = compile(&[policy]).unwrap();
        let subject = policies.subject(Claims { subject: "ada", issuer: "i", all: &claims });
        let decided = |guard: &Guarded| policies.decide(&subject, guard, &[]).is_allowed;
        assert_eq!(
            decided(&policies.guard_again(&before)),
            decided(&policies.guard(described, None)),
            "{policy}"
        );
    }
}
