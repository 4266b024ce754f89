use proptest::prelude::{prop_assert, proptest};
use proptest::test_runner::Config;
use vmcp_core::desired::{Address, ConflictResolution};

use super::*;

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
    let ConflictResolution::Prefix(format) = &server.conflict_resolution;
    assert_eq!(format.to_string(), "{workload}.");
    let group = &desired.groups[&server.group];
    let Address::Command(command) = &group.workloads[&"clock".parse().unwrap()] else { panic!() };
    assert_eq!((command.program.as_str(), command.environment["LEVEL"].as_str()), ("vmcpctl", "3"));
    assert!(
        matches!(&group.workloads[&"web".parse().unwrap()], Address::Url(url) if url.port_u16() == Some(8080))
    );
}

#[test]
fn several_files_are_one_manifest() {
    let (server, group) = GOOD.split_once("---").unwrap();
    let sources = [Source { name: "a", text: server }, Source { name: "b", text: group }];
    assert_eq!(read(&sources), read_one(GOOD));
    let twice = read(&[Source { name: "a", text: GOOD }, Source { name: "b", text: group }]).unwrap_err();
    assert_eq!((twice.len(), twice[0].place.source), (1, 1));
}

#[test]
fn every_fault_is_found_at_once_and_in_order() {
    let text = "
name: a b
grup: demo
incoming_auth: {type: oidc}
aggregation: {conflict_resolution: priority, tools: []}
operational: {}
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
            "2:1 group: `group` is missing",
            "2:7 name: `a b`: a name consists of letters, digits, `.`, `_` and `-`, not ` `",
            "3:1 : unknown key `grup`",
            "4:23 incoming_auth.type: `oidc` is not built yet",
            "5:36 aggregation.conflict_resolution: `priority` is not built yet",
            "5:46 aggregation.tools: `tools` is not built yet",
            "6:1 operational: `operational` is not built yet",
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
    let missing = faults(&format!("{server}exra: 1\n"));
    assert!(missing.iter().any(|fault| fault.contains("no document describes the group `g`")), "{missing:?}");
    let broken = faults(&format!("{server}---\nkind: group\nname: 5 5\nworkloads: []\n"));
    assert_eq!(broken.len(), 1, "the missing group is that one: {broken:?}");
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
fn a_group_that_nobody_describes_and_two_defaults_are_faults() {
    let server =
        |name: &str| format!("name: {name}\ngroup: g\ndefault: true\nincoming_auth: {{type: anonymous}}\n");
    assert_eq!(
        faults(&server("a")),
        ["2:8 group: no document describes the group `g`; groups of ToolHive are not built yet"]
    );
    let both = format!("{}---\n{}---\nkind: group\nname: g\nworkloads: []\n", server("a"), server("b"));
    assert_eq!(faults(&both).len(), 2);
}

#[test]
fn an_empty_file_wants_nothing() {
    assert_eq!(read_one("# nothing\n"), Ok(Desired::default()));
}
