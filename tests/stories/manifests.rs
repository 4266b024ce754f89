//! What is wrong with a manifest, all at once, and what a manifest is made from.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::{program, root};

fn run(arguments: &[&str], colour: bool) -> Output {
    let mut command = Command::new(program());
    command.current_dir(root()).args(arguments).env_remove("NO_COLOR");
    if colour {
        command.env("CLICOLOR_FORCE", "1");
    } else {
        command.env_remove("CLICOLOR_FORCE");
    }
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The faults of a manifest: path, line and message.
fn faults(file: &Path) -> Vec<String> {
    let output = run(&["validate", "--secrets-elsewhere", "-o", "json", "-f", file.to_str().unwrap()], false);
    let data: Value = serde_json::from_slice(&output.stdout).unwrap();
    let faults = data["faults"].as_array().cloned().unwrap_or_default();
    assert_eq!(output.status.code(), Some(i32::from(!faults.is_empty())));
    let shown = faults.iter().map(|fault| {
        format!(
            "{}:{} {}",
            fault["line"],
            fault["path"].as_str().unwrap(),
            fault["message"].as_str().unwrap()
        )
    });
    shown.collect()
}

#[test]
fn catalog_06_twelve_faults_in_three_documents_are_all_shown_in_order() {
    for (name, colour) in [("twelve-faults", false), ("twelve-faults-in-colour", true)] {
        let output = run(&["validate", "-f", "tests/manifests/twelve-faults.yaml"], colour);
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
        let shown = text(&output.stderr);
        assert_eq!(shown.contains('\x1b'), colour);
        assert!(shown.contains("12 faults found"), "{shown}");
        insta::assert_snapshot!(name, shown);
    }
}

#[test]
fn catalog_06_wrong_usage_exits_2_and_an_unreadable_file_exits_1_with_its_name() {
    for arguments in [
        &["validate"][..],
        &["validate", "-f", "x", "--conect"],
        &["validate", "-f", "x", "-o", "xml"],
        &["init"],
        &["init", "--from", "x", "--name", "a b"],
        &["completions", "cmd"],
        &["frobnicate"],
    ] {
        assert_eq!(run(arguments, false).status.code(), Some(2), "{arguments:?}");
    }
    for (name, colour) in [("unreadable", false), ("unreadable-in-colour", true)] {
        let output = run(
            &["validate", "-f", "nowhere/a.yaml", "examples/quickstart/vmcp.yaml", "nowhere/b.yaml"],
            colour,
        );
        assert_eq!(output.status.code(), Some(1));
        insta::assert_snapshot!(name, text(&output.stderr));
    }
    let output = run(&["init", "--from", "nowhere/mcp.json"], false);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("nowhere/mcp.json"), "{}", text(&output.stderr));
    insta::assert_snapshot!("wrong-usage", text(&run(&["validate", "-f", "x", "--conect"], false).stderr));
}

#[test]
fn catalog_06_a_fault_before_any_character_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.yaml");
    for text in [
        "name: \"a\" \u{2013} b",
        "name: 'a'\u{fc}",
        "incoming_auth: {type: anonymous}\u{fc}",
        "- \u{fc}\n\u{fc}: 1",
        "name: a\n\u{feff}group: b",
        "args: [\"repo\"]\u{a0}",
        "name: \"a\u{9b}b\"",
        "# \u{ffff}\nname: a",
        "name: \u{1f600}",
        "name:",
        "{",
    ] {
        fs_err::write(&file, text).unwrap();
        for output in ["table", "json"] {
            let output = run(&["validate", "-o", output, "-f", file.to_str().unwrap()], true);
            assert_eq!(output.status.code(), Some(1), "{text:?}: {}", crate::manifests::text(&output.stderr));
        }
    }
}

#[test]
fn who_stops_reading_hears_no_complaint() {
    let shell = |line: &str| {
        let line = line.replace("vmcpctl", program().to_str().unwrap());
        Command::new("sh").current_dir(root()).args(["-c", &line]).output().unwrap()
    };
    for line in
        ["vmcpctl schema | head -1", "vmcpctl completions bash | head -1", "vmcpctl version | head -0"]
    {
        let output = shell(line);
        assert!(!text(&output.stderr).contains("panicked"), "{line}: {}", text(&output.stderr));
    }
    assert!(text(&shell("vmcpctl schema > /dev/full; echo $?").stdout).contains('1'));
}

#[test]
fn names_of_files_obey_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a\u{1b}[35mred.yaml");
    fs_err::write(&file, "nam: x").unwrap();
    for arguments in [&["validate", "-f"][..], &["init", "--from"]] {
        let arguments: Vec<&str> = arguments.iter().copied().chain([file.to_str().unwrap()]).collect();
        let shown = text(&run(&arguments, true).stderr);
        assert!(shown.contains("red.yaml") && !shown.contains("\u{1b}[35m"), "{shown:?}");
    }
}

const GROUP: &str = "---
kind: group
name: engineering
workloads:
  - {name: github, url: 'http://127.0.0.1:8001/mcp'}
  - {name: jira, url: 'http://127.0.0.1:8002/mcp'}
  - {name: slack, url: 'http://127.0.0.1:8003/mcp'}
";

#[test]
fn catalog_05_the_seed_s_own_examples_are_read_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let check = |example: &str, incoming: &str, expected: &[&str]| {
        let example =
            fs_err::read_to_string(root().join(format!("tests/manifests/seed-{example}.yaml"))).unwrap();
        let file = folder.path().join("vmcp.yaml");
        let manifest = format!("name: team\ngroup: engineering\n{incoming}{example}{GROUP}");
        fs_err::write(&file, manifest).unwrap();
        assert_eq!(faults(&file), expected, "{example}");
    };
    let anonymous = "incoming_auth: {type: anonymous}\n";
    for example in ["prefix", "priority", "manual"] {
        check(example, anonymous, &[]);
    }
    check("incoming", "", &[]);
    // The two boundaries together: what the second leaves out, the first says.
    let incoming = fs_err::read_to_string(root().join("tests/manifests/seed-incoming.yaml")).unwrap();
    check("outgoing", &incoming, &[]);
}

#[test]
fn catalog_05_toolhive_s_keys_in_both_spellings_name_what_is_not_built_each_with_its_line() {
    let snake = faults(&root().join("tests/manifests/toolhive-snake.yaml"));
    let camel = faults(&root().join("tests/manifests/toolhive-camel.yaml"));
    assert_eq!(
        snake,
        [
            "25:outgoing_auth.backends.github.header_injection.header_value variables are not put into a text",
            "26:token_cache `token_cache` is not built yet",
            "64:composite_tools `composite_tools` is not built yet",
        ]
    );
    let places = |all: &[String]| -> Vec<String> {
        all.iter().map(|fault| fault.split(' ').next().unwrap().to_owned()).collect()
    };
    assert_eq!(places(&camel), places(&snake));
}

#[test]
fn two_boundaries_09_everything_that_is_missing_or_wrong_is_said_at_once_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vmcp.yaml");
    fs_err::create_dir(folder.path().join("key")).unwrap();
    let here = folder.path().display();
    let manifest = format!(
        "name: team
group: engineering
incoming_auth:
  type: oidc
  oidc: {{issuer: 'https://idp.example.com', audience: vmcp, client_id: us, client_secret_env: VMCP_NO_SUCH_VARIABLE}}
  authz:
    type: cedar
    policies:
      - permit(principal, action, resource) when {{ context.claim_dept == \"it\" }};
      - permit(principal, action == Action::\"call_tol\", resource);
outgoing_auth:
  backends:
    github: {{type: token_exchange, token_exchange: {{audience: github-api, scoops: [repo]}}}}
    jira: {{type: header_injection, header_injection: {{header_name: X-Key, header_value_env: VMCP_NEITHER_THIS}}}}
    slack:
      type: service_account
      service_account:
        token_url: 'https://idp.example.com/token'
        client_id: us
        client_secret_file: {here}/nowhere
    wiki: {{type: tokenexchange}}
audit: {{log_file: relative.log}}
---
kind: group
name: engineering
workloads:
  - {{name: github, url: 'https://h/', ca_bundle: {here}/key}}
  - {{name: jira, url: 'http://h/', headers: {{X-A: {{env: VMCP_NO_SUCH_VARIABLE}}}}}}
  - {{name: slack, url: 'http://h/'}}
  - {{name: wiki, url: 'http://h/'}}
"
    );
    fs_err::write(&file, &manifest).unwrap();
    let (code, said) = validated(&file);
    let nowhere = format!("20: there is no file `{here}/nowhere`");
    let folder_for_file = format!("27: `{here}/key` is not a regular file");
    for expected in [
        "5: the variable `VMCP_NO_SUCH_VARIABLE` is not set",
        "9: unable to guarantee safety of access to optional attribute `claim_dept`",
        "10: unrecognized action `Action::\"call_tol\"`",
        "13: unknown key `scoops`",
        "14: the variable `VMCP_NEITHER_THIS` is not set",
        &nowhere,
        "21: unknown value `tokenexchange`",
        "22: `relative.log`",
        &folder_for_file,
        "28: the variable `VMCP_NO_SUCH_VARIABLE` is not set",
    ] {
        assert!(said.iter().any(|fault| fault.starts_with(expected)), "{expected}: {said:#?}");
    }
    assert_eq!((code, said.len()), (Some(1), 10), "{said:#?}");
}

/// What `validate` says of a file: its exit code, and each fault with its line.
fn validated(file: &Path) -> (Option<i32>, Vec<String>) {
    let output = run(&["validate", "-o", "json", "-f", file.to_str().unwrap()], false);
    let said: serde_json::Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    let faults = said["faults"].as_array().unwrap().iter();
    let said = faults.map(|fault| format!("{}: {}", fault["line"], fault["message"].as_str().unwrap()));
    (output.status.code(), said.collect())
}

/// One mistake hides no other, and leads to no false one.
#[test]
fn two_boundaries_09_one_mistake_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vmcp.yaml");
    let manifest = "name: team
group: engineering
incoming_auth:
  type: oidc
  oidc: {issuer: 'ftp://idp', client_secret_env: VMCP_NO_SUCH_VARIABLE}
  authz:
    type: cedr
    policies:
      - permit(principal, action, resouce);
      - permit(principal, action, resource) when { context.claim_dept == \"it\" };
      - permit(principal, action, resource) when { context has claim_level && context.claim_level > 1 };
      - permit(principal, action, resource) when { context has claim_level && context.claim_level == \"x\" };
      - permit(principal, action == Action::\"call_tol\", resource);
outgoing_auth:
  backends:
    a: {type: token_exchange, token_exchange: {scoops: [x], client_id: us, client_secret_env: VMCP_NEITHER_THIS, subject_token_type: saml}}
    b: {type: tokenexchange, token_exchange: {audience: x, subject_token_type: saml}}
    c: {type: service_account, service_account: {credentials_env: VMCP_NOR_THIS, header_name: 'a b', header_format: x}}
    d: {type: header_injection, header_injection: {header_name: X-Key, header_value: x, header_value_env: VMCP_NOR_THAT}}
---
name: open
group: engineering
incoming_auth: {type: anonymous}
outgoing_auth: {default: {type: token_exchange, token_exchange: {audience: x, audienc: y}}}
---
kind: group
name: engineering
workloads: [{name: a, url: 'http://h/'}, {name: b, url: 'http://h/'}, {name: c, url: 'http://h/'}, {name: d, url: 'http://h/'}]
";
    fs_err::write(&file, manifest).unwrap();
    let (code, said) = validated(&file);
    let expected = [
        "5: `audience` is missing",
        "5: `ftp://idp` is no address",
        "5: it is nobody's without `client_id`",
        "5: the variable `VMCP_NO_SUCH_VARIABLE` is not set",
        "7: unknown value `cedr`",
        "9: ",
        "10: unable to guarantee safety of access to optional attribute `claim_dept`",
        "12: the types Long and String are not compatible",
        "13: unrecognized action `Action::\"call_tol\"`",
        "16: it says neither `audience` nor `resource`",
        "16: `saml` is no type",
        "16: the variable `VMCP_NEITHER_THIS` is not set",
        "16: unknown key `scoops`",
        "17: `saml` is no type",
        "17: unknown value `tokenexchange`",
        "18: `a b` ",
        "18: the credential stands at the end",
        "18: the variable `VMCP_NOR_THIS` is not set",
        "19: `header_value` is said twice",
        "19: the variable `VMCP_NOR_THAT` is not set",
        "24: `token_exchange` needs callers with tokens",
        "24: unknown key `audienc`",
    ];
    for expected in expected {
        assert!(said.iter().any(|fault| fault.starts_with(expected)), "{expected}: {said:#?}");
    }
    assert_eq!((code, said.len()), (Some(1), expected.len()), "{said:#?}");
}

#[test]
fn catalog_08_files_of_clients_become_manifests_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let mut clients = 0;
    for file in fs_err::read_dir(root().join("tests/clients")).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        clients += 1;
        let name = file.file_stem().unwrap().to_str().unwrap();
        let (from, to) = (file.to_str().unwrap(), folder.path().join(format!("{name}.yaml")));
        let made = run(&["init", "--from", from, "--name", name, "-o", to.to_str().unwrap()], false);
        assert_eq!(made.status.code(), Some(0), "{name}: {}", text(&made.stderr));
        let manifest = fs_err::read_to_string(&to).unwrap();
        assert!(!manifest.contains("canary"), "{name}:\n{manifest}");
        assert!(!text(&made.stderr).contains("canary"), "{name}: {}", text(&made.stderr));
        assert_eq!(faults(&to), Vec::<String>::new(), "{name}:\n{manifest}");
        insta::assert_snapshot!(format!("client-{name}"), manifest);
    }
    assert!(clients >= 5);
}

#[test]
fn init_writes_a_new_file_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("vmcp.yaml");
    let init =
        || run(&["init", "--from", "examples/from-client/mcp.json", "-o", to.to_str().unwrap()], false);
    assert_eq!(init().status.code(), Some(0));
    assert_eq!(fs_err::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    let example = fs_err::read_to_string(root().join("examples/from-client/vmcp.yaml")).unwrap();
    assert_eq!(fs_err::read_to_string(&to).unwrap(), example, "the example is what init makes");
    fs_err::write(&to, "mine").unwrap();
    let again = init();
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("vmcp.yaml"), "{}", text(&again.stderr));
    assert_eq!(fs_err::read_to_string(&to).unwrap(), "mine");
}

#[test]
fn shells_complete_commands_and_editors_get_a_schema() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&["completions", shell], false);
        assert!(output.status.success() && text(&output.stdout).contains("validate"), "{shell}");
    }
    let schema: Value = serde_json::from_slice(&run(&["schema"], false).stdout).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let good = serde_json::json!({"name": "a", "groupRef": "g", "incomingAuth": {"type": "anonymous"},
        "aggregation": {"conflictResolution": "manual", "tools": [{"workload": "w", "excludeAll": true}]}});
    assert!(
        validator.is_valid(&good),
        "{:?}",
        validator.iter_errors(&good).map(|e| e.to_string()).collect::<Vec<_>>()
    );
    for bad in [
        serde_json::json!({"name": "a", "group": "g"}),
        serde_json::json!({"name": "a", "group": "g", "incoming_auth": {"type": "anonymous"}, "grup": "g"}),
        serde_json::json!({"kind": "group", "name": "g"}),
    ] {
        assert!(!validator.is_valid(&bad), "{bad}");
    }
    assert!(validator.is_valid(&serde_json::json!({"kind": "group", "name": "g", "workloads": []})));
}
