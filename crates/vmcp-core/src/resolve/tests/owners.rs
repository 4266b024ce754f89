//! Names have owners: what a policy speaks of never passes to another by itself.

use super::*;
use crate::owners::Owner;

fn guarded(names: &str) -> Guarded {
    names.split_whitespace().map(kind_of).map(|(kind, name)| (kind, name.to_owned())).collect()
}

/// A series of worlds, each with what becomes of it; owners go from one to the next, and on through a restart.
fn check_series(wanted: &str, guard: &str, worlds: &[[&str; 2]]) {
    let fresh = |owners| Resolver::new(server(rules(wanted)), owners, &guarded(guard));
    let mut lasting = fresh(Owners::new());
    let mut owners = Owners::new();
    for [given, expected] in worlds {
        let given = offered(given);
        lasting.update(&given);
        assert_eq!(outcome(&lasting), *expected, "\n  {wanted}\n  {given:?}");
        let mut restarted = fresh(owners);
        restarted.update(&given);
        assert_eq!(outcome(&restarted), *expected, "after a restart");
        assert_eq!(restarted.owners(), lasting.owners());
        owners = restarted.owners();
    }
}

#[test]
fn a_name_that_no_policy_speaks_of_follows_the_order() {
    check_series(
        "priority a b",
        "",
        &[["b = x", "x=b.x"], ["a = x | b = x", "x=a.x !b.x<a"], ["b = x", "x=b.x"], ["b = y", "y=b.y"]],
    );
}

#[test]
fn a_name_that_a_policy_speaks_of_stays_or_is_withheld() {
    check_series(
        "priority a b",
        "x",
        &[
            ["b = x", "x=b.x"],
            ["a = x y | b = x", "!a.x:guarded b y=a.y !b.x:guarded b"],
            ["a = x", "!a.x:guarded b"],
            ["a = y", "y=a.y"],
            ["a = x", "!a.x:guarded b"],
            ["b = x", "x=b.x"],
        ],
    );
    check_series(
        "prefix",
        "r:u://1",
        &[
            ["b = r:u://1", "u://1=b.r:u://1"],
            ["a = r:u://1 | b = r:u://1", "!a.r:u://1:guarded b !b.r:u://1:guarded b"],
        ],
    );
}

#[test]
fn another_tool_of_the_same_backend_is_another_owner() {
    let owners = Owners::from([(
        (Kind::Tool, "x".to_owned()),
        Owner { backend: name("a"), original_name: "y".to_owned() },
    )]);
    let mut resolver = Resolver::new(server(rules("manual")), owners, &guarded("x"));
    resolver.update(&offered("a = x"));
    assert_eq!(outcome(&resolver), "!a.x:guarded a");
}

#[test]
fn the_operator_moves_a_guarded_name_with_an_override() {
    let mut before = Resolver::new(server(rules("priority a b")), Owners::new(), &guarded("x"));
    before.update(&offered("a = z | b = x"));
    let mut after = before.successor(server(rules("priority a b; override a y=x")), &guarded("x"));
    after.update(&offered("a = y | b = x"));
    assert_eq!(outcome(&after), "x=a.y !b.x<a");
    // The override was new then; it takes nothing more.
    let mut same = after.successor(server(rules("priority a b; override a y=x; deny")), &guarded("x"));
    same.update(&offered("a = z | b = x"));
    assert_eq!(outcome(&same), "z=a.z !b.x:guarded a");
    let mut elsewhere = server(rules("priority a b"));
    elsewhere.group = name("h");
    assert!(after.successor(elsewhere, &guarded("x")).owners().is_empty(), "another group has other owners");
}

#[test]
fn an_override_that_has_been_there_takes_no_guarded_name() {
    check_series(
        "manual; override b y=x",
        "x",
        &[["a = x | b ?", "!a.x:awaiting b"], ["a = x | b = z", "x=a.x z=b.z"], ["b = y", "!b.y:guarded a"]],
    );
    check_series(
        "prefix; override a_b foo=c",
        "a_b_c",
        &[["a = b_c | a_b = z", "a_b_c=a.b_c a_b_z=a_b.z"], ["a_b = foo", "!a_b.foo:guarded a"]],
    );
    check_series(
        "priority z; override b y=x",
        "b_x",
        &[
            ["a = b_x | b = q | c = q", "b_x=a.b_x b_q=b.q c_q=c.q"],
            ["b = y | c = x", "!b.y:guarded a c_x=c.x"],
        ],
    );
}

#[test]
fn an_item_does_not_escape_its_policy_by_falling_back_or_coming_back() {
    check_series(
        "priority z",
        "x",
        &[
            ["b = x | c = q", "x=b.x q=c.q"],
            ["b = x | c = x", "!b.x:contested !c.x:contested"],
            ["b = x", "x=b.x"],
        ],
    );
    check_series(
        "priority z",
        "b_x",
        &[
            ["b = x | c = x", "b_x=b.x c_x=c.x"],
            ["b = x", "!b.x:guarded b"],
            ["b = x | c = x", "b_x=b.x c_x=c.x"],
        ],
    );
}

#[test]
fn a_guarded_name_waits_for_who_comes_first() {
    check_series(
        "priority a b",
        "x",
        &[["a ? | b = x y", "!b.x:awaiting a y=b.y"], ["a = z | b = x", "z=a.z x=b.x"]],
    );
    check_series(
        "priority a b",
        "x",
        &[
            ["a ? | b = x", "!b.x:awaiting a"],
            ["a = x | b = x", "x=a.x !b.x<a"],
            ["a ? | b = x", "!b.x:guarded a"],
        ],
    );
    // Nobody waits who comes first himself, and nobody for those who come later.
    check_series("priority a b", "x", &[["a = x | b ?", "x=a.x"]]);
    check_series("priority a b", "", &[["a ? | b = x", "x=b.x"]]);
    check_series("priority a", "x", &[["a ? | b = x", "!b.x:awaiting a"], ["b = x", "x=b.x"]]);
    check_series("manual", "x", &[["a ? | b = x", "!b.x:awaiting a"], ["a = y | b = x", "y=a.y x=b.x"]]);
    check_series(
        "prefix",
        "a_b_c",
        &[["a = b_c | a_b ?", "!a.b_c:awaiting a_b"], ["a = b_c | z ?", "a_b_c=a.b_c"]],
    );
    check_series("manual", "r:u://1", &[["a ? | b = r:u://1", "!b.r:u://1:awaiting a"]]);
}

#[test]
fn a_backend_that_joins_takes_no_guarded_name_by_any_spelling() {
    // Reference T10: the same name, prefixed spellings, separators, and characters that cannot be seen.
    let clash = "send_email a_send_email A.send_email send_email\u{200b} ｓend_email";
    for wanted in ["prefix", "priority a b", "priority b a", "manual"] {
        let owned = if wanted == "prefix" { "a_send_email" } else { "send_email" };
        let mut resolver = Resolver::new(server(rules(wanted)), Owners::new(), &guarded(owned));
        resolver.update(&offered("a = send_email"));
        let before = resolver.owners();
        for given in [
            format!("a = send_email | b = {clash}"),
            format!("b = {clash}"),
            format!("a_send = email {clash}"),
        ] {
            resolver.update(&offered(&given));
            let owner = resolver.report().find(|entry| entry.exposed_name.as_deref() == Some(owned));
            assert!(owner.is_none_or(|entry| entry.backend == name("a")), "{wanted}: {given}");
            assert_eq!(resolver.owners().get(&(Kind::Tool, owned.to_owned())), before.values().next());
        }
        resolver.update(&offered("a = send_email"));
        assert_eq!(resolver.owners(), before);
    }
}
