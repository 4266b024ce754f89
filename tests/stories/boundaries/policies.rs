//! What callers may do.

use std::time::Duration;

use serde_json::{Value, json};
use vmcp_testkit::{Issuer, RawBackend, Recorded, Served, eventually, mcp_reply};

use super::{ask, call, offering, serve, tools};

const ERAS: [bool; 2] = [false, true];

async fn guarded(issuer: &Issuer, backends: &[(&str, &RawBackend)], policies: &[&str]) -> Served {
    let policies: Vec<String> = policies.iter().map(|policy| format!("      - {}", json!(policy))).collect();
    let workloads: Vec<String> = backends
        .iter()
        .map(|(name, backend)| format!("{{name: {name}, url: '{}'}}", backend.url()))
        .collect();
    let manifest = format!(
        "name: all
group: g
incoming_auth:
  type: oidc
  oidc: {{issuer: '{}', audience: vmcp}}
  authz:
    type: cedar
    policies:
{}
---
kind: group
name: g
workloads: [{}]
",
        issuer.url(),
        policies.join("\n"),
        workloads.join(", ")
    );
    let names: Vec<&str> = backends.iter().map(|(name, _)| *name).collect();
    serve(&manifest, &names).await
}

#[tokio::test]
async fn a_list_is_what_may_be_called_and_what_may_not_is_not_there() {
    let (a, b) = (offering(&["echo", "secret"], true).await, offering(&["x"], false).await);
    let issuer = Issuer::start().await;
    let served = guarded(
        &issuer,
        &[("a", &a), ("b", &b)],
        &[
            "permit(principal == Client::\"ada\", action == Action::\"call_tool\", resource == Tool::\"a_echo\");",
            "permit(principal in THVGroup::\"eng\", action, resource in Backend::\"b\");",
            "permit(principal, action == Action::\"tools/call\", resource in Backend::\"a\") when { context has arg_path && context.arg_path like \"/tmp/*\" };",
        ],
    )
    .await;
    let client = served.client();
    let ada = issuer.token("ada", "vmcp", &json!({}));
    let eng = issuer.token("ben", "vmcp", &json!({"groups": ["eng"]}));
    let nobody = issuer.token("eve", "vmcp", &json!({}));
    for is_modern in ERAS {
        for (token, expected) in [(&ada, vec!["a_echo"]), (&eng, vec!["b_x"]), (&nobody, vec![])] {
            let listed = ask(&client, Some(token), is_modern, "tools/list", "").await;
            assert_eq!(tools(&listed), expected);
            if is_modern {
                assert_eq!(listed.json()["result"]["cacheScope"], "private");
            }
            for tool in ["a_echo", "a_secret", "b_x", "a_nothing", "echo", "A_echo"] {
                let answer = ask(&client, Some(token), is_modern, "tools/call", &call(tool)).await;
                if expected.contains(&tool) {
                    assert!(answer.json()["result"].is_object(), "{tool}: {}", answer.text());
                } else {
                    let absent = ask(&client, Some(token), is_modern, "tools/call", &call("never_was")).await;
                    assert_eq!(answer.text(), absent.text().replace("never_was", tool));
                    assert_eq!(answer.status.as_u16(), 200);
                }
            }
        }
        // What only arguments decide is not listed, and may be called with them.
        let with = |path: &str| format!(r#""name":"a_secret","arguments":{{"path":"{path}"}}"#);
        let good = ask(&client, Some(&nobody), is_modern, "tools/call", &with("/tmp/x")).await;
        assert!(good.json()["result"].is_object(), "{}", good.text());
        let bad = ask(&client, Some(&nobody), is_modern, "tools/call", &with("/etc/x")).await;
        assert_eq!(bad.json()["error"]["message"], "Unknown tool: a_secret");
        let twice = r#""name":"a_secret","arguments":{"path":"/etc/x","path":"/tmp/x"}"#;
        let twice = ask(&client, Some(&nobody), is_modern, "tools/call", twice).await;
        assert!(twice.json()["error"].is_object(), "{}", twice.text());
    }
    let calls = a
        .calls("tools/call")
        .iter()
        .map(|call| call.json()["params"]["name"].clone())
        .collect::<Vec<Value>>();
    assert_eq!(calls.iter().filter(|name| **name == "secret").count(), 2, "{calls:?}");
}

async fn offering_everything() -> RawBackend {
    RawBackend::start(|recorded: &Recorded| {
        let method = recorded.mcp_method().unwrap_or_default();
        match method.as_str() {
            "server/discover" => recorded.result(
                r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{"subscribe":true},"prompts":{},"completions":{}},"resultType":"complete"}"#,
            ),
            "resources/list" => recorded.result(r#"{"resources":[{"uri":"note://a","name":"a"},{"uri":"note://b","name":"b"}],"resultType":"complete"}"#),
            "resources/templates/list" => recorded.result(r#"{"resourceTemplates":[{"uriTemplate":"file:///{path}","name":"f"}],"resultType":"complete"}"#),
            "prompts/list" => recorded.result(r#"{"prompts":[{"name":"p"},{"name":"q"}],"resultType":"complete"}"#),
            "resources/read" => recorded.result(r#"{"contents":[],"resultType":"complete"}"#),
            "prompts/get" => recorded.result(r#"{"messages":[],"resultType":"complete"}"#),
            "completion/complete" => recorded.result(r#"{"completion":{"values":["v"]},"resultType":"complete"}"#),
            _ => mcp_reply(recorded, true, r#"{"name":"t","inputSchema":{"type":"object"}}"#).unwrap_or_else(|| recorded.error(-32601)),
        }
    })
    .await
}

/// Everything else that a backend offers is decided by the same function.
#[tokio::test]
async fn resources_prompts_completions_and_subscriptions_are_decided_alike() {
    let backend = offering_everything().await;
    let issuer = Issuer::start().await;
    let served = guarded(
        &issuer,
        &[("a", &backend)],
        &[
            "permit(principal, action == Action::\"read_resource\", resource == Resource::\"note://a\");",
            "permit(principal, action == Action::\"read_resource\", resource) when { resource.uri like \"file:///pub*\" };",
            "permit(principal, action == Action::\"get_prompt\", resource == Prompt::\"a_p\");",
        ],
    )
    .await;
    let (client, token) = (served.client(), issuer.token("ada", "vmcp", &json!({})));
    let asked =
        async |method: &str, params: &str| ask(&client, Some(&token), true, method, params).await.json();
    let names = |answer: &Value, list: &str, key: &str| -> Vec<String> {
        answer["result"][list]
            .as_array()
            .unwrap_or_else(|| panic!("{answer}"))
            .iter()
            .map(|item| item[key].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&asked("resources/list", "").await, "resources", "uri"), ["note://a"]);
    assert_eq!(names(&asked("prompts/list", "").await, "prompts", "name"), ["a_p"]);
    assert!(
        names(&asked("resources/templates/list", "").await, "resourceTemplates", "uriTemplate").is_empty()
    );
    assert!(tools(&ask(&client, Some(&token), true, "tools/list", "").await).is_empty());
    for (method, params, is_allowed) in [
        ("resources/read", r#""uri":"note://a""#, true),
        ("resources/read", r#""uri":"note://b""#, false),
        ("resources/read", r#""uri":"file:///pub/x""#, true),
        ("resources/read", r#""uri":"file:///etc/x""#, false),
        ("prompts/get", r#""name":"a_p""#, true),
        ("prompts/get", r#""name":"a_q""#, false),
        (
            "completion/complete",
            r#""ref":{"type":"ref/prompt","name":"a_p"},"argument":{"name":"x","value":""}"#,
            true,
        ),
        (
            "completion/complete",
            r#""ref":{"type":"ref/prompt","name":"a_q"},"argument":{"name":"x","value":""}"#,
            false,
        ),
        (
            "completion/complete",
            r#""ref":{"type":"ref/resource","uri":"file:///{path}"},"argument":{"name":"x","value":""}"#,
            false,
        ),
        ("tools/call", r#""name":"a_t""#, false),
    ] {
        let answer = asked(method, params).await;
        assert_eq!(answer["result"].is_object(), is_allowed, "{method} {params}: {answer}");
    }
    let listen = |uri: &str| format!(r#""notifications":{{"resourceSubscriptions":["{uri}"]}}"#);
    for (uri, is_heard) in [("note://a", true), ("note://b", false)] {
        let mut events = super::listen(&client, &token, &listen(uri)).await;
        let answer = events.next_within(Duration::from_secs(5)).await.expect("an event");
        assert_eq!(answer.contains(uri), is_heard, "{uri}: {answer}");
    }
}

#[tokio::test]
async fn cedar_fails_closed() {
    let a = offering(&["echo"], true).await;
    let issuer = Issuer::start().await;
    let served = guarded(
        &issuer,
        &[("a", &a)],
        &[
            "permit(principal, action, resource in MCP::\"all\");",
            "forbid(principal, action, resource) when { context has claim_level && context.claim_level * 4611686018427387904 > 1 };",
        ],
    )
    .await;
    let client = served.client();
    for (claims, is_allowed) in [
        (json!({}), true),
        (json!({"level": 0}), true),
        // It overflows: what cannot be evaluated is denied, though something permits it.
        (json!({"level": 3}), false),
        (json!({"level": "high"}), false),
    ] {
        let token = issuer.token("ada", "vmcp", &claims);
        for is_modern in ERAS {
            let answer = ask(&client, Some(&token), is_modern, "tools/call", &call("a_echo")).await;
            assert_eq!(answer.json()["result"].is_object(), is_allowed, "{claims}: {}", answer.text());
            let listed = tools(&ask(&client, Some(&token), is_modern, "tools/list", "").await);
            assert_eq!(!listed.is_empty(), is_allowed, "{claims}");
        }
    }
    let is_said =
        eventually(Duration::from_secs(2), async || served.log().contains("a policy cannot be evaluated"));
    assert!(is_said.await, "{}", served.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_odd_about_policies_is_said_with_its_line() {
    let backend = offering(&["echo"], true).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vmcp.yaml");
    let manifest = format!(
        "name: all
group: g
incoming_auth:
  type: oidc
  oidc: {{issuer: 'https://idp.example', audience: vmcp}}
  authz:
    type: cedar
    policies:
      - permit(principal, action, resource);
      - |
        permit(principal, action,
          resource == Tool::\"a_ecko\");
outgoing_auth: {{default: {{type: pass_through}}}}
---
kind: group
name: g
workloads: [{{name: a, url: '{}'}}]
",
        backend.url()
    );
    fs_err::write(&file, manifest).unwrap();
    let say = |more: &[&str]| {
        let said = std::process::Command::new(crate::program())
            .arg("validate")
            .arg("-f")
            .arg(&file)
            .args(more)
            .output()
            .unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8_lossy(&said.stderr).into_owned()
    };
    let alone = say(&[]);
    assert!(
        alone.contains("policy 0: it lets everybody do everything") && alone.contains("vmcp.yaml:9"),
        "{alone}"
    );
    assert!(alone.contains("every backend gets callers' own tokens"), "{alone}");
    assert!(!alone.contains("a_ecko"), "{alone}");
    let connected = say(&["--connect"]);
    assert!(
        connected.contains("nothing is called `Tool::\"a_ecko\"`")
            && connected.contains("did you mean `a_echo`?"),
        "{connected}"
    );
    assert!(connected.contains("vmcp.yaml:11"), "{connected}");
}
