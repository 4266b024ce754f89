//! What an operator is told: which item, by whom, and what to write.

use super::*;
use crate::diagnostic::Severity;

fn told(wanted: &str, given: &str) -> Vec<String> {
    let resolver = resolved(rules(wanted), &offered(given));
    let told = resolver.diagnostics().into_iter().map(|diagnostic| {
        let help = diagnostic.help.map(|help| format!(" -> {help}")).unwrap_or_default();
        let line = diagnostic.line.map(|line| format!(" ({line})")).unwrap_or_default();
        format!("{}: {}{line}{help}", diagnostic.severity.as_str(), diagnostic.message)
    });
    told.collect()
}

#[test]
fn catalog_03_a_conflict_says_which_item_by_whom_and_what_to_write() {
    let table: &[(&str, &str, &[&str])] = &[
        (
            "manual",
            "github = search ok | jira = search",
            &["error: tool `search` is withheld: `github` and `jira` claim the name \
              -> add to `aggregation.tools`: `- {workload: jira, overrides: {search: {name: jira_search}}}`"],
        ),
        (
            "manual; rules jira",
            "github = a/b | jira = a/b",
            &["error: tool `a/b` is withheld: `github` and `jira` claim the name \
              -> add to the `overrides` of `jira` (vmcp.yaml:2): `\"a/b\": {name: jira_a_b}`"],
        ),
        (
            "prefix",
            "a = b_c | a_b = c",
            &["error: tool `a_b_c` is withheld: `a` with its `b_c` and `a_b` with its `c` claim the name \
              -> add to `aggregation.tools`: `- {workload: a_b, overrides: {c: {name: a_b_c}}}`"],
        ),
        (
            "prefix",
            "a = p:b_c | a_b = p:c",
            &["error: prompt `a_b_c` is withheld: `a` with its `b_c` and `a_b` with its `c` claim the name \
              -> choose a `prefix_format` under which they do not meet"],
        ),
        (
            "manual; override a x=y",
            "a = x y",
            &["error: tool `y` is withheld: `a` with its `x` and `a` claim the name \
              -> write `name: a_x` in the override of `x` (vmcp.yaml:2)"],
        ),
        (
            "priority b a",
            "a = x | b = x | c = x",
            &["note: tool `x` is `b`'s by `priority_order`; `a` and `c` lost it"],
        ),
        (
            "priority b",
            "a = x | b = a_x | c = x",
            &[
                "error: tool `a_x` of `a` with its `x` is withheld: `b` has the name outright \
               -> add to `aggregation.tools`: `- {workload: a, overrides: {x: {name: a_x_2}}}`",
                "warning: tool `x` is called by its prefix: `a` and `c` offer it, and none of them is in `priority_order` \
               -> put the one that shall have the name into it",
            ],
        ),
        (
            "prefix",
            "b = r:u://1 | a = r:u://1",
            &["warning: resource `u://1` is read from `a`; `b` offered it too"],
        ),
        ("prefix", "a = x x", &["warning: tool `x` of `a` is listed twice; the first one counts"]),
    ];
    for (wanted, given, expected) in table {
        assert_eq!(told(wanted, given), *expected, "{wanted} | {given}");
    }
}

#[test]
fn what_to_write_fits_what_is_written_already() {
    for (wanted, given, help) in [
        (
            "manual",
            "a = x | b = x | c = x",
            "add to `aggregation.tools`: `- {workload: b, overrides: {x: {name: b_x}}}`; \
             add to `aggregation.tools`: `- {workload: c, overrides: {x: {name: c_x}}}`",
        ),
        ("manual; describe b x", "a = x | b = x", "write `name: b_x` in the override of `x` (vmcp.yaml:2)"),
        (
            "manual; override b y=x; filter b x",
            "a = x | b = y",
            "write `name: b_y` in the override of `y` (vmcp.yaml:2), and add `b_y` to its `filter`",
        ),
        (
            "manual; rules b",
            "a = null | b = null b_null",
            "add to the `overrides` of `b` (vmcp.yaml:2): `\"null\": {name: b_null_2}`",
        ),
        (
            "manual; rules b; max 16",
            "a = a_very_long_name | b = a_very_long_name",
            "add to the `overrides` of `b` (vmcp.yaml:2): `a_very_long_name: {name: b_a_very_long_name}`",
        ),
    ] {
        let resolver = resolved(rules(wanted), &offered(given));
        assert_eq!(resolver.diagnostics()[0].help.as_deref(), Some(help), "{wanted} | {given}");
    }
    let given: Vec<String> = (0..9).map(|n| format!("w{n} = x")).collect();
    let help = resolved(rules("manual"), &offered(&given.join(" | "))).diagnostics()[0].help.clone().unwrap();
    assert!(help.ends_with("; and so on for 5 more"), "{help}");
}

#[test]
fn a_conflict_of_many_names_some_of_them() {
    let given: Vec<String> = (0..9).map(|n| format!("w{n} = x")).collect();
    let all = told("manual", &given.join(" | "));
    assert!(all[0].contains("`w0`, `w1`, `w2`, `w3`, `w4` and 4 more claim the name"), "{all:?}");
}

#[test]
fn what_matters_most_is_said_first_and_the_rest_is_counted() {
    let odd: Vec<String> = (0..1_500).map(|n| format!("odd/{n}")).collect();
    let all = told("manual; filter b serach", &format!("a = x {} | b = x search", odd.join(" ")));
    assert_eq!(all.len(), 104);
    assert!(all[0].starts_with("error: tool `x`"), "{}", all[0]);
    assert!(all[1].starts_with("warning: 1400 more things to know about `a` are not shown"), "{}", all[1]);
    assert!(all.iter().any(|told| told.contains("`serach`")), "one backend does not drown out another");

    let many: Vec<String> = (0..1_200).map(|n| format!("t{n}")).collect();
    let many = many.join(" ");
    let all = told("manual", &format!("a = {many} | b = {many}"));
    assert_eq!(all.len(), 1_001);
    assert_eq!(all[1_000], "note: 200 more things to know are not shown; these matter most");
}

#[test]
fn a_backend_cannot_make_it_take_long_or_write_over_a_line() {
    let start = std::time::Instant::now();
    let names: Vec<String> = (0..10_000).map(|n| format!("{n:0>96}")).collect();
    let filters: Vec<String> = (0..100).map(|n| format!("{n:x>96}")).collect();
    told(&format!("prefix; filter a {}", filters.join(" ")), &format!("a = {}", names.join(" ")));
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());

    let mut list = Inventory::clone(&inventory(&["a\u{9b}b", "a\u{9b}b", "a\u{9b}b", &"n".repeat(900_000)]));
    list.faults = vec![format!("boom\nerror: all fine{}", "!".repeat(3_000))];
    let resolver = resolved(rules("prefix"), &Offered::from([(name("a"), Some(Arc::new(list)))]));
    for told in resolver.diagnostics() {
        let text = format!("{}{}", told.message, told.help.unwrap_or_default());
        assert!(text.len() < 600 && !text.chars().any(char::is_control), "{text}");
    }
}

#[test]
fn catalog_03_names_that_clients_refuse_are_told_and_kept() {
    let long = "n".repeat(64);
    let given = format!("a = with/slash {long}");
    check("prefix", &given, &format!("a_with/slash=a.with/slash a_{long}=a.{long}"));
    let all = told("prefix", &given);
    assert!(all[0].contains("has 66 characters; some clients accept 64: set `max_name_length`"), "{all:?}");
    assert!(all[1].contains("`a_with/slash` has a `/`, which some clients refuse"), "{all:?}");
    let short = told("prefix; max 64", &given);
    assert!(!short.iter().any(|text| text.contains("66 characters")), "{short:?}");
    assert!(short.contains(&"note: 1 name of `a` is shortened to 64 characters".to_owned()), "{short:?}");
    let invisible = told("prefix", "a = se\u{200b}nd");
    assert_eq!(invisible, ["warning: tool `a_se\\u{200b}nd` has a `\\u{200b}`, which some clients refuse"]);
    assert!(told("prefix; exclude a", "a = with/slash")[0].starts_with("note: `exclude_all` hides 1 of 1"));
}

#[test]
fn what_is_hidden_and_what_is_written_for_nothing_name_their_lines() {
    let all = told("prefix; filter a serach; override a listt=ls; rules c", "a = search list | b = y");
    assert_eq!(
        all,
        [
            "warning: `filter` names `serach`, which `a` does not have (vmcp.yaml:2) -> did you mean `search`?",
            "warning: `overrides` changes `listt`, which `a` does not have (vmcp.yaml:3) -> did you mean `list`?",
            "warning: there are rules for `c`, which the group `g` does not have (vmcp.yaml:4)",
            "note: `filter` hides 2 of 2 tools of `a` (vmcp.yaml:2)",
        ]
    );
    for (wanted, key) in [
        ("prefix; exclude_all", "exclude_all_tools"),
        ("prefix; deny", "default_tool_visibility"),
        ("prefix; exclude a", "exclude_all"),
    ] {
        let all = told(wanted, "a = x y");
        assert_eq!(all, [format!("note: `{key}` hides 2 of 2 tools of `a` (vmcp.yaml:2)")]);
    }
}

#[test]
fn what_is_not_known_is_not_said_to_be_missing() {
    let mut list = Inventory::clone(&inventory(&["x"]));
    list.unread = vec![Kind::Tool];
    list.faults = vec!["tools/list: timed out".to_owned()];
    let given = Offered::from([(name("a"), Some(Arc::new(list))), (name("b"), None)]);
    let resolver = resolved(rules("prefix; filter a nobody; rules b"), &given);
    let messages: Vec<String> = resolver.diagnostics().into_iter().map(|told| told.message).collect();
    assert_eq!(messages, ["`a`: tools/list: timed out", "`filter` hides 1 of 1 tools of `a`"]);
    let severities: Vec<Severity> = resolver.diagnostics().into_iter().map(|told| told.severity).collect();
    assert_eq!(severities, [Severity::Warning, Severity::Note]);
}
