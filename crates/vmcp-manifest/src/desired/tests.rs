use proptest::prelude::{prop_assert, proptest};
use proptest::test_runner::Config;
use vmcp_core::aggregation::{Aggregation, ConflictResolution};
use vmcp_core::desired::{Address, Found, Text};

use super::*;

mod boundaries;
mod groups;

const GOOD: &str = "
name: all
group: demo
default: true
incoming_auth: {type: anonymous}
outgoingAuth: {source: inline, default: {type: unauthenticated}}
aggregation:
  conflictResolution: prefix
  conflict_resolution_config: {prefixFormat: '{workload}.'}
---
kind: group
name: demo
workloads:
  - name: clock
    command: vmcpctl
    args: [demo, clock]
    env: {LEVEL: 3}
  - {name: web, url: 'http://127.0.0.1:8080/mcp'}
";

fn read_one(text: &str) -> Result<Desired, Vec<Fault>> {
    read(&[Source { name: "a.yaml", text }])
}

fn faults(text: &str) -> Vec<String> {
    let faults = read_one(text).unwrap_err();
    faults.iter().map(|f| format!("{}:{} {}: {}", f.place.line, f.place.column, f.path, f.message)).collect()
}

#[test]
fn a_manifest_becomes_what_is_desired() {
    let desired = read_one(GOOD).unwrap();
    let server = &desired.virtual_servers[&"all".parse().unwrap()];
    assert!(server.is_default);
    assert_eq!(server.aggregation.conflict_resolution, ConflictResolution::Prefix);
    assert_eq!(server.aggregation.prefix_format.to_string(), "{workload}.");
    let group = &desired.groups[&server.group];
    let Address::Command(command) = &group.workloads[&"clock".parse().unwrap()] else { panic!() };
    assert_eq!(
        (command.program.as_str(), &command.environment["LEVEL"]),
        ("vmcpctl", &Text::Plain("3".into()))
    );
    assert!(
        matches!(&group.workloads[&"web".parse().unwrap()], Address::Remote(remote) if remote.urls[0].port_u16() == Some(8080))
    );
}

#[test]
fn several_files_are_one_manifest() {
    let (server, group) = GOOD.split_once("---").unwrap();
    let sources = [Source { name: "a", text: server }, Source { name: "b", text: group }];
    let (both, one) = (read(&sources).unwrap(), read_one(GOOD).unwrap());
    assert_eq!((both.virtual_servers, both.groups), (one.virtual_servers, one.groups));
    let twice = read(&[Source { name: "a", text: GOOD }, Source { name: "b", text: group }]).unwrap_err();
    assert_eq!((twice.len(), twice[0].place.source), (1, 1));
}

#[test]
fn every_fault_is_found_at_once_and_in_order() {
    let text = "
name: a b
grup: demo
incoming_auth: {type: oidc}
aggregation: {conflict_resolution: priority, tools: {}}
operational: {timeouts: {default: 5}, failure_handling: {unhealthy_threshold: 0}}
---
kind: group
name: g
workloads:
  - {name: x}
  - {name: x, url: 'ftp://h/'}
  - {name: y, url: 'http://h/', command: z}
  - {name: z, url: 'http://h/', args: [1]}
---
kind: gruop
";
    assert_eq!(
        faults(text),
        [
            "2:7 name: `a b`: a name consists of letters, digits, `.`, `_` and `-`, not ` `",
            "3:1 : unknown key `grup`",
            "4:16 incoming_auth: `type: oidc` needs `oidc`",
            "5:36 aggregation.conflict_resolution: `priority` needs a `priority_order`",
            "5:53 aggregation.tools: expected a list, found a mapping",
            "6:35 operational.timeouts.default: `5` is not a length of time",
            "6:79 operational.failure_handling.unhealthy_threshold: `unhealthy_threshold` is at least 1",
            "11:5 workloads[0]: a workload needs `url` or `command`",
            "12:20 workloads[1].url: `ftp://h/` is not an http or https address",
            "13:42 workloads[2].command: a workload has either `url` or `command`",
            "14:39 workloads[3].args: `args` belongs to a `command`",
            "16:7 kind: unknown kind `gruop`",
        ]
    );
}

#[test]
fn suggestions_name_the_nearest_key() {
    let faults = read_one("name: a\ngrup: g\nincoming_auth: {type: anonymus}").unwrap_err();
    let help: Vec<_> = faults.iter().filter_map(|fault| fault.help.as_deref()).collect();
    assert!(help.contains(&"did you mean `group`?"), "{help:?}");
    assert!(help.contains(&"did you mean `anonymous`?"), "{help:?}");
}

#[test]
fn what_is_not_yaml_is_said_with_its_place() {
    for (text, part) in [
        ("a: [1", "not YAML"),
        ("a: b: c", "not YAML"),
        ("- 1", "expected a mapping, found a list"),
        ("just text", "expected a mapping, found a text"),
        ("name: !x a", "tags"),
        ("name: &x a\ngroup: *x", "aliases"),
        ("name: a\nname: b", "written twice"),
    ] {
        let faults = faults(text);
        assert!(faults.iter().any(|fault| fault.contains(part)), "{text:?}: {faults:?}");
    }
}

#[test]
fn what_cannot_work_is_refused() {
    let with =
        |workload: &str| faults(&format!("kind: group\nname: g\nworkloads:\n  - {{name: w, {workload}}}\n"));
    for (workload, part) in [
        ("url: 'http://h:99999/'", "no port that exists"),
        ("url: 'http://h:/'", "no port that exists"),
        ("url: localhost:8080/mcp", "is not an http or https address"),
        ("url: 'http://'", "is not an http or https address"),
        ("url: 'http://user:secret@h/'", "must not carry a password"),
        ("command: ''", "`command` is empty"),
        ("command: x, env: {'A=B': c}", "cannot be the name of a variable"),
        ("command: x, args: y", "expected a list"),
    ] {
        let faults = with(workload);
        assert!(faults.len() == 1 && faults[0].contains(part), "{workload}: {faults:?}");
    }
    assert!(read_one("kind: group\nname: g\nworkloads: [{name: w, url: 'http://[::1]:80/mcp'}]").is_ok());
}

#[test]
fn one_fault_does_not_hide_others() {
    let server = "name: a\ngroup: g\nincoming_auth: {type: anonymous}\n";
    let both = format!(
        "{server}outgoing_auth: {{backends: {{nobody: {{type: unauthenticated}}}}}}\nexra: 1\n---\nkind: group\nname: g\nworkloads: []\n"
    );
    let found = faults(&both);
    assert!(
        found.len() == 2 && found[0].contains("no workload `nobody`") && found[1].contains("exra"),
        "{found:?}"
    );
    let near = faults(&format!(
        "{server}outgoing_auth: {{backends: {{gihub: {{type: unauthenticated}}}}}}\nbackends: [{{name: github, url: 'http://h/'}}]\n"
    ));
    assert!(near.len() == 1 && near[0].contains("no workload `gihub`"), "{near:?}");
    let broken = faults(&format!("{server}---\nkind: group\nname: 5 5\nworkloads: []\n"));
    assert_eq!(broken.len(), 1, "the missing group is that one: {broken:?}");
}

fn aggregation(text: &str) -> Result<Aggregation, Vec<String>> {
    let workloads = "[{name: a, url: 'http://h/'}, {name: b, url: 'http://h/'}]";
    let text = format!(
        "name: s\ngroup: g\nincoming_auth: {{type: anonymous}}\naggregation: {text}\n---\nkind: group\nname: g\nworkloads: {workloads}\n"
    );
    match read_one(&text) {
        Ok(desired) => Ok(desired.virtual_servers.into_values().next().unwrap().aggregation),
        Err(_) => Err(faults(&text)),
    }
}

#[test]
fn every_key_of_aggregation_is_read() {
    let read = aggregation(
        "{conflict_resolution: priority, conflict_resolution_config: {priority_order: [b, a], prefix_format: '{workload}-'}, \
         tools: [{workload: a, filter: [x, y], exclude_all: false, overrides: {x: {name: z, description: d, annotations: {title: t, readOnlyHint: true, open_world_hint: false}}}}, \
         {workload: b, exclude_all: true}], exclude_all_tools: true, default_tool_visibility: deny, max_name_length: 40}",
    )
    .unwrap();
    let name = |text: &str| text.parse::<Name>().unwrap();
    assert_eq!(read.conflict_resolution, ConflictResolution::Priority(vec![name("b"), name("a")]));
    assert_eq!(read.prefix_format.to_string(), "{workload}-");
    assert_eq!(read.max_name_length.map(|length| length.characters()), Some(40));
    assert_eq!(read.exclude_all_tools.map(|line| line.to_string()), Some("a.yaml:4".to_owned()));
    assert!(read.deny_by_default.is_some() && read.tools[&name("b")].exclude_all.is_some());
    let rules = &read.tools[&name("a")];
    assert_eq!(rules.filter.iter().map(|filter| filter.name.as_str()).collect::<Vec<_>>(), ["x", "y"]);
    let changes = &rules.overrides["x"];
    assert_eq!((changes.name.as_ref().unwrap().as_str(), changes.description.as_deref()), ("z", Some("d")));
    let set: Vec<_> = changes.annotations.set().collect();
    assert_eq!(
        set,
        [("title", "\"t\"".to_owned()), ("readOnlyHint", "true".into()), ("openWorldHint", "false".into())]
    );
}

#[test]
fn rules_that_cannot_be_meant_are_refused() {
    for (text, part) in [
        ("{conflict_resolution_config: {prefix_format: ''}}", "must not be empty"),
        (
            "{conflict_resolution_config: {priority_order: [a]}}",
            "belongs to `priority`, and this is `prefix`",
        ),
        (
            "{conflict_resolution: manual, conflict_resolution_config: {priority_order: [a]}}",
            "this is `manual`",
        ),
        ("{conflict_resolution: priority}", "needs a `priority_order`"),
        ("{conflict_resolution: priority, conflict_resolution_config: {priority_order: []}}", "at least one"),
        (
            "{conflict_resolution: priority, conflict_resolution_config: {priority_order: ['']}}",
            "not be empty",
        ),
        ("{conflict_resolution: priority, conflict_resolution_config: {priority_order: [a, a]}}", "twice"),
        (
            "{conflict_resolution: priority, conflict_resolution_config: {priority_order: [aa]}}",
            "no workload `aa`",
        ),
        ("{tools: [{filter: [x]}]}", "`workload` is missing"),
        ("{tools: [{workload: bb}]}", "no workload `bb`"),
        ("{tools: [{workload: a}, {workload: a}]}", "rules for `a` already"),
        ("{tools: [{workload: a, filter: []}]}", "would hide nothing"),
        ("{tools: [{workload: a, overrides: {x: {}}}]}", "changes nothing of `x`"),
        ("{tools: [{workload: a, overrides: {x: {name: a b}}}]}", "not ` `"),
        (
            "{tools: [{workload: a, overrides: {x: {name: z}, y: {name: z}}}]}",
            "`x` and `y` would both be called `z`",
        ),
        ("{tools: [{workload: a, overrides: {x: {name: z}, x: {name: y}}}]}", "written twice"),
        ("{tools: [{workload: a, toolConfigRef: {name: x}}]}", "not built yet"),
        ("{max_name_length: 10}", "16 to 128"),
        ("{exclude_all_tools: 'true'}", "expected `true` or `false`"),
        ("{default_tool_visibility: none}", "it can be `allow`, `deny`"),
        (
            "{conflict_resolution: priority, conflict_resolution_config: {priority_order: [a, b]}, default_tool_visibility: deny, tools: [{workload: a}]}",
            "`b` stands in `priority_order`, and `deny` hides all its tools",
        ),
    ] {
        let faults = aggregation(text).unwrap_err();
        assert!(faults.len() == 1 && faults[0].contains(part), "{text}: {faults:?}");
    }
    for text in [
        "{conflict_resolution: manual}",
        "{tools: [{workload: a, overrides: {x: {annotations: {title: t}}}}]}",
    ] {
        assert!(aggregation(text).is_ok(), "{text}");
    }
}

/// A manifest of the tests with everything taken out that is not built yet, and variables named where they are found.
fn built_part(file: &str) -> String {
    let path = format!("{}/../../tests/manifests/{file}", env!("CARGO_MANIFEST_DIR"));
    let mut lines: Vec<String> =
        fs_err::read_to_string(path).unwrap().lines().map(ToOwned::to_owned).collect();
    let whole = lines.join("\n");
    for fault in read(&[Source { name: "f", text: &whole }]).unwrap_err() {
        let at = fault.place.line as usize - 1;
        if fault.path.ends_with(".header_value") {
            let named = lines[at].replace("value:", "value_env:").replace("Value:", "ValueEnv:");
            lines[at] = named.replace(['$', '{', '}'], "");
            continue;
        }
        assert!(fault.message.ends_with("is not built yet"), "{fault:?}");
        if fault.path.ends_with(".type") {
            let anybody = if fault.path.starts_with("incoming") { "anonymous" } else { "unauthenticated" };
            lines[at] = format!("{}type: {anybody}", " ".repeat(lines[at].find("type").unwrap()));
            continue;
        }
        let indent = |line: &str| line.len() - line.trim_start().len();
        let depth = indent(&lines[at]);
        let end =
            lines[at + 1..].iter().position(|line| indent(line) <= depth).map_or(lines.len(), |n| at + 1 + n);
        lines[at..end].fill("# not built yet".to_owned());
        lines[at].insert_str(0, &" ".repeat(depth));
    }
    lines.join("\n")
}

#[test]
fn catalog_05_both_spellings_of_toolhive_s_keys_are_the_same_values() {
    let (snake, camel) = (built_part("toolhive-snake.yaml"), built_part("toolhive-camel.yaml"));
    assert!(snake.contains("prefix_format") && camel.contains("prefixFormat") && camel.contains("groupRef"));
    let read = |text: &str| read(&[Source { name: "f", text }]).unwrap();
    assert_eq!(read(&snake), read(&camel));
    let server = read(&snake).virtual_servers.into_values().next().unwrap();
    let rules = &server.aggregation.tools[&"github".parse().unwrap()];
    assert_eq!(
        (rules.filter.len(), rules.overrides["create_pr"].annotations.read_only_hint),
        (3, Some(false))
    );
}

#[test]
fn every_value_of_a_workload_is_looked_at() {
    let found = faults(
        "kind: group
name: g
workloads:
  - {name: y, command: '', args: 5, env: {A: [b]}, working_directory: [x]}
  - {name: z, url: 'http://h/', command: 5, transport: bogus, args: 5, env: 6}
  - {name: q, args: 5, env: 6, transport: bogus}
  - {name: s, command: x, args: [{prefix: [], env: 'A=', file: []}]}
",
    );
    let paths: Vec<&str> = found.iter().map(|fault| fault.split(' ').nth(1).unwrap()).collect();
    assert_eq!(
        paths,
        [
            "workloads[0].command:",
            "workloads[0].args:",
            "workloads[0].env.A:",
            "workloads[0].working_directory:",
            "workloads[1].command:",
            "workloads[1].transport:",
            "workloads[1].args:",
            "workloads[1].env:",
            "workloads[2]:",
            "workloads[2].args:",
            "workloads[2].env:",
            "workloads[2].transport:",
            "workloads[3].args[0]:",
            "workloads[3].args[0].prefix:",
            "workloads[3].args[0].env:",
            "workloads[3].args[0].file:",
        ]
    );
}

#[test]
fn secrets_are_references() {
    let read =
        |text: &str| read_one(&format!("kind: group\nname: g\nworkloads: [{{name: w, command: x, {text}}}]"));
    let desired =
        read("args: [plain, {env: KEY, prefix: '--key='}], env: {A: {file: /run/secrets/a}, B: 3}").unwrap();
    let group = desired.groups.into_values().next().unwrap();
    let Address::Command(command) = &group.workloads[&"w".parse().unwrap()] else { panic!() };
    let secret = |before: &str, found| Text::Secret { before: before.into(), found };
    assert_eq!(
        command.arguments,
        [Text::Plain("plain".into()), secret("--key=", Found::Variable("KEY".into()))]
    );
    assert_eq!(command.environment["A"], secret("", Found::File("/run/secrets/a".into())));
    assert_eq!(command.environment["B"], Text::Plain("3".into()));
    for (text, part) in [
        ("env: {A: {env: X, file: Y}}", "either in `env` or in `file`"),
        ("env: {A: {}}", "either in `env` or in `file`"),
        ("env: {A: {env: 'a=b'}}", "cannot be the name of a variable"),
        ("env: {A: {var: X}}", "unknown key `var`"),
        ("args: [[x]]", "expected a text, found a list"),
    ] {
        let faults = read(text).unwrap_err();
        assert!(faults.iter().any(|fault| fault.message.contains(part)), "{text}: {faults:?}");
    }
}

#[test]
fn a_group_can_be_written_inline_as_toolhive_does() {
    let server = "name: s\ngroupRef: g\nincomingAuth: {type: anonymous}\n";
    let inline = format!(
        "{server}backends:\n  - {{name: a, url: 'http://h/mcp', transport: streamable-http}}\n  - {{name: b, url: 'http://h/'}}\n"
    );
    let desired = read_one(&inline).unwrap();
    let written = format!(
        "{server}---\nkind: group\nname: g\nworkloads:\n  - {{name: a, url: 'http://h/mcp'}}\n  - {{name: b, url: 'http://h/'}}\n"
    );
    assert_eq!(desired, read_one(&written).unwrap());
    let faults = |text: &str| faults(text).join("\n");
    assert!(
        faults(&format!("{inline}---\nkind: group\nname: g\nworkloads: []\n"))
            .contains("`g` is there already")
    );
    let odd = format!(
        "{server}backends: [{{name: a, url: 'http://h/', transport: ssee, type: entry, command: x}}]\n"
    );
    let odd = faults(&odd);
    for part in ["unknown value `ssee`", "`type` is not built yet", "unknown key `command`"] {
        assert!(odd.contains(part), "{odd}");
    }
    let empty = read_one(&format!("{server}backends: []\n")).unwrap();
    assert_eq!(empty, read_one(server).unwrap(), "it is looked up");
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn any_text_yields_faults_that_stand_in_it(text in "([a-z]{1,5}: |- |[\\[\\]{},&*!'\"|>#%@\u{feff}é\n\r\t -]|group|kind){0,30}") {
        if let Err(faults) = read_one(&text) {
            for fault in faults {
                prop_assert!(text.get(fault.place.range()).is_some(), "{fault:?}");
            }
        }
    }
}

#[test]
fn two_defaults_are_faults() {
    let server =
        |name: &str| format!("name: {name}\ngroup: g\ndefault: true\nincoming_auth: {{type: anonymous}}\n");
    let both = format!("{}---\n{}---\nkind: group\nname: g\nworkloads: []\n", server("a"), server("b"));
    assert_eq!(faults(&both).len(), 2);
}

#[test]
fn an_empty_file_wants_nothing() {
    assert_eq!(read_one("# nothing\n"), Ok(Desired::default()));
}
