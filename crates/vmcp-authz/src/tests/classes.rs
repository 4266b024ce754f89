//! Items that are decided about alike are told apart from those that are not.

use super::compile_with;
use crate::{Act, Described, Guarded, Hints, Policies};

fn tool(policies: &Policies, name: &str, backend: &str) -> Guarded {
    let hints = Hints::default();
    let described = Described { act: Act::CallTool, exposed_name: name, original_name: name, backend, hints };
    policies.guard(described, None)
}

#[test]
fn names_and_attributes_do_not_run_into_each_other() {
    let texts = [
        r#"permit(principal, action, resource) when { resource.backend == "hub" };"#,
        r#"permit(principal, action, resource) when { resource == Tool::"other" };"#,
    ];
    let policies = compile_with(&texts, None).unwrap();
    let (one, other) = (tool(&policies, "x", "github"), tool(&policies, "xgit", "hub"));
    assert_ne!(one.class(), other.class());
}

#[test]
fn an_item_that_is_written_out_is_like_no_other() {
    let texts =
        ["permit(principal, action, resource) when { resource has readOnlyHint && resource.readOnlyHint };"];
    let entities =
        r#"[{"uid": {"type": "Tool", "id": "x"}, "attrs": {"readOnlyHint": true}, "parents": []}]"#;
    let policies = compile_with(&texts, Some(entities)).unwrap();
    assert_ne!(tool(&policies, "x", "a").class(), tool(&policies, "y", "a").class());
    assert_eq!(tool(&policies, "z", "a").class(), tool(&policies, "y", "a").class());
}

#[test]
fn what_was_made_for_one_item_is_never_taken_for_what_was_made_for_another() {
    let texts = [
        r#"permit(principal, action, resource == Tool::"x");"#,
        r#"permit(principal == Client::"ada", action, resource == Tool::"y");"#,
    ];
    let policies = compile_with(&texts, None).unwrap();
    let class = |name: &str| {
        let guard = tool(&policies, name, "a");
        let (chosen, class) = guard.class();
        (chosen, class.to_owned())
    };
    // The first is gone when the second is made.
    assert_ne!(class("x"), class("y"));
}
