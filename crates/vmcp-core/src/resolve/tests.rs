use super::*;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn server(format: &str) -> VirtualServer {
    VirtualServer {
        name: name("all"),
        group: name("g"),
        is_default: false,
        conflict_resolution: ConflictResolution::Prefix(format.parse().unwrap()),
    }
}

fn inventory(items: &[(Kind, &str)]) -> Inventory {
    let items = items.iter().map(|(kind, name)| {
        Item::read(*kind, &format!(r#"{{"{}":"{name}","x":1.10}}"#, kind.key())).unwrap()
    });
    Inventory { items: items.collect(), ..Inventory::default() }
}

fn check(format: &str, backends: &[(&str, &[(Kind, &str)])], exposed: &[&str], told: &[&str]) {
    let inventories: Vec<_> =
        backends.iter().map(|(backend, items)| (name(backend), inventory(items))).collect();
    let inventories = inventories.iter().map(|(backend, inventory)| (backend.clone(), inventory)).collect();
    let (shares, diagnostics) = resolve(&server(format), &inventories);
    let names: Vec<String> = shares
        .iter()
        .flat_map(|share| share.items.iter().map(|item| format!("{}<{}", item.exposed_name, share.backend)))
        .collect();
    assert_eq!(names, exposed);
    assert_eq!(diagnostics.len(), told.len(), "{diagnostics:#?}");
    for (diagnostic, part) in diagnostics.iter().zip(told) {
        assert!(diagnostic.message.contains(part), "`{}` lacks `{part}`", diagnostic.message);
    }
}

#[test]
fn tools_and_prompts_get_the_prefix_and_uris_stay() {
    check(
        "{workload}_",
        &[
            ("github", &[(Kind::Tool, "create_pr"), (Kind::Resource, "a://x"), (Kind::Prompt, "review")]),
            ("docs", &[(Kind::Tool, "search"), (Kind::Template, "a://{x}")]),
        ],
        &[
            "docs_search<docs",
            "a://{x}<docs",
            "github_create_pr<github",
            "a://x<github",
            "github_review<github",
        ],
        &[],
    );
}

#[test]
fn a_name_that_two_claim_is_withheld_from_both() {
    check(
        "{workload}_",
        &[("a", &[(Kind::Tool, "b_c"), (Kind::Tool, "ok")]), ("a_b", &[(Kind::Tool, "c")])],
        &["a_ok<a"],
        &["`b_c` is hidden: `a_b`", "`c` is hidden: `a`"],
    );
}

#[test]
fn a_uri_that_two_claim_stays_with_the_first() {
    check(
        "{workload}_",
        &[("b", &[(Kind::Resource, "x://1")]), ("a", &[(Kind::Resource, "x://1")])],
        &["x://1<a"],
        &["`a` offers the same"],
    );
}

#[test]
fn what_one_backend_lists_twice_counts_once() {
    check("{workload}_", &[("a", &[(Kind::Tool, "x"), (Kind::Tool, "x")])], &["a_x<a"], &["listed twice"]);
}

#[test]
fn names_that_clients_refuse_are_told_and_kept() {
    let long = "n".repeat(64);
    check(
        "{workload}_",
        &[("a", &[(Kind::Tool, "with space"), (Kind::Tool, &long)])],
        &["a_with space<a", &format!("a_{long}<a")],
        &["66 characters", "has a ` `"],
    );
}
