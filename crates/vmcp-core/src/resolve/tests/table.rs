//! Each strategy × kind of item × override × filter × visibility; and every [BUG] of the reference with what is right.

use super::*;

const TOOLS: &[[&str; 3]] = &[
    // prefix: every name gets it, whether there is a conflict or not
    ["prefix", "a = x y", "a_x=a.x a_y=a.y"],
    ["prefix", "a = x | b = x", "a_x=a.x b_x=b.x"],
    ["prefix; format {workload}.", "a = x", "a.x=a.x"],
    ["prefix; format {workload}", "a = x", "ax=a.x"],
    ["prefix; format my-{workload}-", "a = x", "my-a-x=a.x"],
    ["prefix; format {workload}{workload}_", "a = x", "aa_x=a.x"],
    // prefixes that let names meet: nobody wins by chance (reference 4.3)
    ["prefix; format team_", "a = x y | b = x", "!a.x:contested team_y=a.y !b.x:contested"],
    ["prefix", "a = b_c ok | a_b = c", "!a.b_c:contested a_ok=a.ok !a_b.c:contested"],
    ["prefix; format {workload}", "a = bx | ab = x", "!a.bx:contested !ab.x:contested"],
    ["prefix", "a = x x", "a_x=a.x !a.x:twice"],
    // prefix and override: the override comes first
    ["prefix; override a x=z", "a = x y", "a_z=a.x a_y=a.y"],
    ["prefix; override a x=y", "a = x y", "!a.x:contested !a.y:contested"],
    ["prefix; override a x=y y=x", "a = x y", "a_y=a.x a_x=a.y"],
    ["prefix; override a x=q y=q", "a = x y", "!a.x:contested !a.y:contested"],
    ["prefix; override a nobody=z", "a = x", "a_x=a.x"],
    ["prefix; override b x=z", "a = x | b = x", "a_x=a.x b_z=b.x"],
    ["prefix; describe a x", "a = x", "a_x=a.x"],
    // prefix and filter: the overridden name first, then the original
    ["prefix; filter a x", "a = x y", "a_x=a.x (a_y=a.y)"],
    ["prefix; filter a a_x", "a = x", "(a_x=a.x)"],
    ["prefix; filter a nobody", "a = x | b = x", "(a_x=a.x) b_x=b.x"],
    ["prefix; filter a z; override a x=z", "a = x y", "a_z=a.x (a_y=a.y)"],
    ["prefix; filter a x; override a x=z", "a = x y", "a_z=a.x (a_y=a.y)"],
    ["prefix; filter a x; override a x=z y=x", "a = x y", "(a_z=a.x) a_x=a.y"],
    ["prefix; filter a x z; override a x=z", "a = x y", "a_z=a.x (a_y=a.y)"],
    [
        "prefix; filter github create_pr merge_pr list_issues; override github create_pr=gh_create_pr; override jira create_issue=jira_create_issue",
        "github = create_pr merge_pr list_issues delete_repo | jira = create_issue",
        "github_gh_create_pr=github.create_pr github_merge_pr=github.merge_pr github_list_issues=github.list_issues \
         (github_delete_repo=github.delete_repo) jira_jira_create_issue=jira.create_issue",
    ],
    // prefix and visibility
    ["prefix; exclude a", "a = x | b = x", "(a_x=a.x) b_x=b.x"],
    ["prefix; exclude a; filter a x", "a = x", "(a_x=a.x)"],
    ["prefix; exclude_all", "a = x | b = y", "(a_x=a.x) (b_y=b.y)"],
    ["prefix; exclude_all; filter a x", "a = x", "(a_x=a.x)"],
    ["prefix; deny", "a = x | b = y", "(a_x=a.x) (b_y=b.y)"],
    ["prefix; deny; rules a", "a = x | b = y", "a_x=a.x (b_y=b.y)"],
    ["prefix; deny; filter a x", "a = x z | b = y", "a_x=a.x (a_z=a.z) (b_y=b.y)"],
    ["prefix; deny; override a x=z", "a = x | b = y", "a_z=a.x (b_y=b.y)"],
    ["prefix; deny; exclude a", "a = x", "(a_x=a.x)"],
    // prefix and length
    ["prefix; max 16", "a = short_enough_x", "a_short_enough_x=a.short_enough_x"],
    ["prefix; max 16", "a = long_enough_name", "a_long__32198149=a.long_enough_name"],
    [
        "prefix; max 16; filter a long_enough_name",
        "a = long_enough_name y",
        "a_long__32198149=a.long_enough_name (a_y=a.y)",
    ],
    // priority: the first in the order has a name that several offer
    ["priority a b", "a = x | b = x", "x=a.x !b.x<a"],
    ["priority b a", "a = x | b = x", "!a.x<b x=b.x"],
    ["priority b a", "a = x y | b = x", "!a.x<b y=a.y x=b.x"],
    ["priority c", "a = x | b = y", "x=a.x y=b.y"],
    ["priority b", "a = x | b = x", "!a.x<b x=b.x"],
    ["priority a b c", "a = y | b = x | c = x", "y=a.y x=b.x !c.x<b"],
    // none of them is in the order: each its prefix, the one that is configured, and nobody loses by chance (reference 4.3)
    ["priority c", "a = x | b = x", "a_x=a.x b_x=b.x"],
    ["priority c; format {workload}.", "a = x | b = x", "a.x=a.x b.x=b.x"],
    [
        "priority z",
        "a = b_c | a_b = c | d = b_c | e = c",
        "!a.b_c:contested !a_b.c:contested d_b_c=d.b_c e_c=e.c",
    ],
    ["priority z", "a = x | b = x | c = a_x", "!a.x<c b_x=b.x a_x=c.a_x"],
    ["priority b a b", "a = x p:x | b = x p:x", "!a.x<b !a.p:x<b x=b.x x=b.p:x"],
    ["priority a", "a = x x | b = x", "x=a.x !a.x:twice !b.x<a"],
    // priority and override
    ["priority a b; override b x=z", "a = x | b = x", "x=a.x z=b.x"],
    ["priority a b; override a y=x", "a = y | b = x", "x=a.y !b.x<a"],
    ["priority a b; override a x=z", "a = x | b = x", "z=a.x x=b.x"],
    ["priority a b; override a y=x", "a = x y | b = x", "!a.x:contested !a.y:contested !b.x:contested"],
    ["priority c; override a x=z; override b x=z", "a = x | b = x", "a_z=a.x b_z=b.x"],
    ["priority a b; describe b x", "a = x | b = x", "x=a.x !b.x<a"],
    // priority and filter: hiding a name gives it to nobody
    ["priority a b; filter a y", "a = x y | b = x", "(x=a.x) y=a.y !b.x<a"],
    ["priority a b; filter b x", "a = x | b = x y", "x=a.x !b.x<a (y=b.y)"],
    ["priority a b; filter a z; override a x=z", "a = x y | b = x", "z=a.x (y=a.y) x=b.x"],
    // priority and visibility
    ["priority a b; exclude a", "a = x | b = x y", "(x=a.x) !b.x<a y=b.y"],
    ["priority a b; exclude_all", "a = x | b = y", "(x=a.x) (y=b.y)"],
    ["priority a b; deny; rules a; rules b", "a = x | b = x y", "x=a.x !b.x<a y=b.y"],
    ["priority a b; deny; rules b", "a = x | b = y", "(x=a.x) y=b.y"],
    ["priority a; max 16", "a = a_very_long_name2", "a_very__1718a7be=a.a_very_long_name2"],
    // manual: names stay, and what nobody has settled is withheld, alone (reference 4.3)
    ["manual", "a = x | b = y", "x=a.x y=b.y"],
    ["manual", "a = x y | b = x z", "!a.x:contested y=a.y !b.x:contested z=b.z"],
    ["manual", "a = x | b = x | c = x", "!a.x:contested !b.x:contested !c.x:contested"],
    ["manual; override a x=ax", "a = x | b = x", "ax=a.x x=b.x"],
    ["manual; override a x=ax; override b x=bx", "a = x | b = x", "ax=a.x bx=b.x"],
    ["manual; override a x=z; override b x=z", "a = x y | b = x", "!a.x:contested y=a.y !b.x:contested"],
    ["manual; describe a x; describe b x", "a = x | b = x y", "!a.x:contested !b.x:contested y=b.y"],
    ["manual; override a x=y", "a = x | b = y", "!a.x:contested !b.y:contested"],
    ["manual; override a x=y", "a = x y", "!a.x:contested !a.y:contested"],
    [
        "manual; override github create_pr=gh_create_pr",
        "github = create_pr | gitlab = create_pr",
        "gh_create_pr=github.create_pr create_pr=gitlab.create_pr",
    ],
    ["manual", "a = x x", "x=a.x !a.x:twice"],
    // manual and filter
    ["manual; filter a x", "a = x y | b = z", "x=a.x (y=a.y) z=b.z"],
    ["manual; filter a y", "a = x y | b = x", "!a.x:contested y=a.y !b.x:contested"],
    ["manual; filter a x; override a x=ax", "a = x y | b = x", "ax=a.x (y=a.y) x=b.x"],
    // manual and visibility
    ["manual; exclude a", "a = x | b = y", "(x=a.x) y=b.y"],
    ["manual; exclude_all", "a = x | b = x y", "!a.x:contested !b.x:contested (y=b.y)"],
    ["manual; deny; rules b", "a = x | b = y", "(x=a.x) y=b.y"],
    ["manual; max 16", "a = a_very_long_name2", "a_very__1718a7be=a.a_very_long_name2"],
];

const PROMPTS: &[[&str; 3]] = &[
    // the prefix, by prefix and manual alike (reference 4.5)
    ["prefix", "a = p:x | b = p:x", "a_x=a.p:x b_x=b.p:x"],
    ["manual", "a = p:x | b = p:x", "a_x=a.p:x b_x=b.p:x"],
    ["manual; format {workload}.", "a = p:x", "a.x=a.p:x"],
    ["prefix; format t_", "a = p:x | b = p:x p:y", "!a.p:x:contested !b.p:x:contested t_y=b.p:y"],
    ["prefix", "a = p:b_c | a_b = p:c", "!a.p:b_c:contested !a_b.p:c:contested"],
    ["prefix", "a = p:x p:x", "a_x=a.p:x !a.p:x:twice"],
    // bare for workloads in the order, prefixed for others; a clash of the two is nobody's
    ["priority a b", "a = p:x | b = p:x p:y", "x=a.p:x !b.p:x<a y=b.p:y"],
    ["priority b", "a = p:x | b = p:x", "a_x=a.p:x x=b.p:x"],
    ["priority b", "a = p:x | b = p:a_x", "!a.p:x:contested !b.p:a_x:contested"],
    ["priority c", "a = p:x | b = p:x", "a_x=a.p:x b_x=b.p:x"],
    // rules for tools are for tools
    ["prefix; exclude_all", "a = x p:x", "(a_x=a.x) a_x=a.p:x"],
    ["prefix; exclude a", "a = p:x", "a_x=a.p:x"],
    ["prefix; deny", "a = x p:x", "(a_x=a.x) a_x=a.p:x"],
    ["prefix; filter a y", "a = x p:x", "(a_x=a.x) a_x=a.p:x"],
    ["prefix; override a x=z", "a = x p:x", "a_z=a.x a_x=a.p:x"],
    ["manual; override a x=z", "a = p:x", "a_x=a.p:x"],
    ["prefix; max 16", "a = p:long_enough_name", "a_long__32198149=a.p:long_enough_name"],
    // a tool and a prompt may have one name
    ["priority a", "a = x p:x", "x=a.x x=a.p:x"],
];

const URIS: &[[&str; 3]] = &[
    // as they are, by every strategy; of several the first backend by name is asked (reference 4.5)
    ["prefix", "b = r:u://1 | a = r:u://1 r:u://2", "u://1=a.r:u://1 u://2=a.r:u://2 !b.r:u://1<a"],
    ["priority b a", "b = r:u://1 | a = r:u://1", "u://1=a.r:u://1 !b.r:u://1<a"],
    ["manual", "b = r:u://1 | a = r:u://1", "u://1=a.r:u://1 !b.r:u://1<a"],
    ["prefix", "b = t:u://{x} | a = t:u://{x}", "u://{x}=a.t:u://{x} !b.t:u://{x}<a"],
    ["priority b a", "b = t:u://{x} | a = t:u://{y}", "u://{y}=a.t:u://{y} u://{x}=b.t:u://{x}"],
    ["manual", "a = t:u://{x} r:u://{x}", "u://{x}=a.t:u://{x} u://{x}=a.r:u://{x}"],
    ["prefix", "a = r:u://1 r:u://1", "u://1=a.r:u://1 !a.r:u://1:twice"],
    // rules for tools are for tools
    ["prefix; exclude_all", "a = r:u://1 t:u://{x}", "u://1=a.r:u://1 u://{x}=a.t:u://{x}"],
    ["prefix; exclude a", "a = r:u://1", "u://1=a.r:u://1"],
    ["prefix; deny", "a = r:u://1", "u://1=a.r:u://1"],
    ["prefix; filter a x", "a = r:u://1", "u://1=a.r:u://1"],
    [
        "prefix; max 16",
        "a = r:u://a/very/long/uri/indeed",
        "u://a/very/long/uri/indeed=a.r:u://a/very/long/uri/indeed",
    ],
    // nobody at all is a catalog, too (reference 4.1)
    ["prefix", "", ""],
    ["manual", "a =", ""],
    ["priority a", "a ?", ""],
];

#[test]
fn catalog_01_tools_of_every_strategy_with_overrides_filters_and_visibility() {
    TOOLS.iter().for_each(|[wanted, given, expected]| check(wanted, given, expected));
}

#[test]
fn catalog_01_prompts_resources_and_templates_have_rules_of_their_own() {
    PROMPTS.iter().chain(URIS).for_each(|[wanted, given, expected]| check(wanted, given, expected));
}

#[test]
fn catalog_01_there_are_at_least_eighty_cases() {
    assert!(TOOLS.len() + PROMPTS.len() + URIS.len() >= 80);
    let mut all: Vec<_> =
        TOOLS.iter().chain(PROMPTS).chain(URIS).map(|[wanted, given, _]| (wanted, given)).collect();
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count, "no case is there twice");
}
