//! What is odd about policies, and what is suggested.

use super::*;

#[test]
fn lints_say_what_is_odd() {
    let offered = Offered {
        items: vec![(Act::CallTool, "github_pr"), (Act::GetPrompt, "review")],
        templates: Vec::new(),
        backends: vec!["github"],
    };
    let table = [
        ("permit(principal, action, resource);", "everybody do everything", true),
        ("permit(principal, action, resource == Tool::\"github_prr\");", "github_prr", true),
        ("permit(principal, action, resource in Backend::\"gitlab\");", "gitlab", true),
        ("permit(principal, action, resource in MCP::\"another\");", "another", true),
        ("permit(principal, action == Action::\"call_tool\", resource == Prompt::\"review\");", "", true),
        (
            "permit(principal, action, resource in Backend::\"github\") when { context has arg_n && context.arg_n > 1 };",
            "arguments",
            true,
        ),
        (
            "permit(principal, action, resource in Backend::\"github\") when { if context has arg_n then context.arg_n > 1 else true };",
            "",
            false,
        ),
        ("permit(principal, action, resource == Tool::\"github_pr\");", "", false),
    ];
    for (policy, what, is_odd) in table {
        let lints = compile(&[policy]).unwrap().lints(Some(&offered), false);
        assert_eq!(!lints.is_empty(), is_odd, "{policy}: {lints:?}");
        assert!(lints.iter().all(|lint| lint.message.contains(what)), "{policy}: {lints:?}");
    }
    let misspelt = compile(&[table[1].0]).unwrap().lints(Some(&offered), false);
    assert_eq!(misspelt[0].help.as_deref(), Some("did you mean `github_pr`?"));
}

#[test]
fn a_uri_of_a_template_may_be_named_and_one_beside_it_is_odd() {
    let offered = Offered {
        items: vec![(Act::ReadResource, "note://a")],
        templates: vec!["file:///{path}"],
        backends: vec!["notes"],
    };
    for (uri, is_odd) in
        [("note://a", false), ("file:///{path}", false), ("file:///x", false), ("note://aa", true)]
    {
        let policy = format!("permit(principal, action, resource == Resource::\"{uri}\");");
        let lints = compile(&[&policy]).unwrap().lints(Some(&offered), false);
        assert_eq!(!lints.is_empty(), is_odd, "{uri}: {lints:?}");
    }
}

#[test]
fn whom_several_issuers_could_name_is_named_with_one_of_them() {
    for (policy, is_odd) in [
        ("permit(principal == Client::\"ada\", action, resource);", true),
        ("permit(principal in THVGroup::\"eng\", action, resource);", true),
        (
            "permit(principal, action == Action::\"call_tool\", resource) when { principal in THVGroup::\"eng\" };",
            true,
        ),
        (
            "permit(principal in THVGroup::\"eng\", action, resource) when { principal.claim_iss == \"https://one\" };",
            false,
        ),
        (
            "permit(principal, action == Action::\"call_tool\", resource) when { principal.claim_iss == \"https://one\" };",
            false,
        ),
        ("forbid(principal == Client::\"ada\", action, resource);", false),
    ] {
        let policies = compile(&[policy]).unwrap();
        assert_eq!(
            !policies.lints(None, true).is_empty(),
            is_odd,
            "{policy}: {:?}",
            policies.lints(None, true)
        );
        assert!(policies.lints(None, false).is_empty(), "{policy}");
    }
}

#[test]
fn what_is_nowhere_near_is_not_suggested() {
    for (policy, help) in [
        ("permit(principal in Role::\"eng\", action, resource);", "`THVGroup`"),
        ("permit(principal == User::\"ada\", action, resource);", "`Client`"),
        ("permit(principal, action, resource) when { context.scope == \"x\" };", "`claim_<name>`"),
        (
            "permit(principal, action, resource) when { principal.groups.contains(\"x\") };",
            "`principal in THVGroup",
        ),
        ("permit(principal, action, resource == Tol::\"x\");", "did you mean `Tool`?"),
        (
            "permit(principal, action, resource) when { resource.original_nam == \"x\" };",
            "did you mean `original_name`?",
        ),
    ] {
        let faults = compile(&[policy]).unwrap_err();
        let said = faults[0].help.clone().unwrap_or_default();
        assert!(said.contains(help), "{policy}: {said}");
    }
}
