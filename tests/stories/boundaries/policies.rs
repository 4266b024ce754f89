//! What callers may do.

use std::time::Duration;

use serde_json::{Value, json};
use vmcp_testkit::{Issuer, RawBackend, Recorded, Served, eventually, mcp_reply};

use super::{ask, call, guarded, offering, offering_everything, serve, tools};

const ERAS: [bool; 2] = [false, true];

async fn serving(issuer: &Issuer, backends: &[(&str, &RawBackend)], policies: &[&str]) -> Served {
    let names: Vec<&str> = backends.iter().map(|(name, _)| *name).collect();
    let workloads: Vec<(&str, String)> =
        backends.iter().map(|(name, backend)| (*name, backend.url())).collect();
    serve(&guarded(issuer, policies, "", &workloads), &names).await
}

#[tokio::test]
async fn a_list_is_what_may_be_called_and_what_may_not_is_not_there() {
    let (a, b) = (offering(&["echo", "secret"], true).await, offering(&["x"], false).await);
    let issuer = Issuer::start().await;
    let served = serving(
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

/// Everything else that a backend offers is decided by the same function.
#[tokio::test]
async fn resources_prompts_completions_and_subscriptions_are_decided_alike() {
    let backend = offering_everything().await;
    let issuer = Issuer::start().await;
    let served = serving(
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
        ("resources/read", r#""uri":"file:///pub/../etc/x""#, false),
        ("resources/read", r#""uri":"file:///pub/%2e%2e/etc/x""#, false),
        ("resources/read", r#""uri":"file:///pub/..%2Fetc/x""#, false),
        ("resources/read", r#""uri":"file:///pub//etc/x""#, false),
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

/// What a caller sees and may not use with these arguments says so; by which policy, and what else there is, it does not.
#[tokio::test]
async fn arguments_that_are_denied_are_told_from_tools_that_are_not_there() {
    let a = offering(&["echo", "secret"], true).await;
    let issuer = Issuer::start().await;
    let policies = [
        "permit(principal, action, resource == Tool::\"a_echo\");",
        "forbid(principal, action, resource) when { context has arg_path && context.arg_path like \"/etc/*\" };",
    ];
    let served = serving(&issuer, &[("a", &a)], &policies).await;
    let (client, token) = (served.client(), issuer.token("ada", "vmcp", &json!({})));
    for is_modern in ERAS {
        let with = |tool: &str| format!(r#""name":"{tool}","arguments":{{"path":"/etc/x"}}"#);
        let denied = ask(&client, Some(&token), is_modern, "tools/call", &with("a_echo")).await;
        let error = &denied.json()["error"];
        assert_eq!((&error["code"], &error["data"]), (&json!(403), &json!({"reason": "denied"})), "{error}");
        assert_eq!(denied.status.as_u16(), 200);
        let [hidden, absent] = ["a_secret", "a_absent"].map(with);
        let hidden = ask(&client, Some(&token), is_modern, "tools/call", &hidden).await.text();
        let absent = ask(&client, Some(&token), is_modern, "tools/call", &absent).await.text();
        assert_eq!(hidden, absent.replace("a_absent", "a_secret"));
        assert!(hidden.contains("Unknown tool"), "{hidden}");
    }
    assert!(a.calls("tools/call").is_empty());
}

#[tokio::test]
async fn cedar_fails_closed() {
    let a = offering(&["echo"], true).await;
    let issuer = Issuer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.log");
    let policies = [
        "permit(principal, action, resource in MCP::\"all\");",
        "@id(\"level\") forbid(principal, action, resource) when { context has claim_level && context.claim_level * 4611686018427387904 > 1 };",
    ];
    let audit = format!("audit: {{log_file: '{}'}}\n", file.display());
    let served = serve(&guarded(&issuer, &policies, &audit, &[("a", a.url())]), &["a"]).await;
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
    // And the record of the denial says why nobody could decide.
    let is_recorded = eventually(Duration::from_secs(5), async || {
        let text = fs_err::read_to_string(&file).unwrap_or_default();
        let records: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let of_error = |record: &&Value| record["metadata"]["extra"]["decision_error"].is_string();
        let erring: Vec<&Value> = records.iter().filter(of_error).collect();
        erring.len() >= 2
            && erring.iter().all(|record| {
                record["outcome"] == "denied" && record["metadata"]["extra"]["decision"] == "deny"
            })
    });
    assert!(is_recorded.await, "{}", fs_err::read_to_string(&file).unwrap_or_default());
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

/// At the beginning, too, a caller hears of those backends alone that offer it something.
#[tokio::test]
async fn instructions_of_backends_that_offer_a_caller_nothing_are_not_told() {
    let telling = async |secret: &'static str| {
        RawBackend::start(move |recorded: &Recorded| {
            let tools = r#"{"name":"t","inputSchema":{"type":"object"}}"#;
            if recorded.mcp_method().as_deref() == Some("server/discover") {
                return recorded.result(&format!(
                    r#"{{"supportedVersions":["2026-07-28"],"capabilities":{{"tools":{{}}}},"instructions":"{secret}","resultType":"complete"}}"#
                ));
            }
            mcp_reply(recorded, true, tools).unwrap_or_else(|| recorded.error(-32601))
        })
        .await
    };
    let (a, b) = (telling("how to use the first").await, telling("how to use the second").await);
    let issuer = Issuer::start().await;
    let policies = [
        "permit(principal, action, resource in Backend::\"a\");",
        "permit(principal == Client::\"ada\", action, resource in Backend::\"b\");",
    ];
    let served = serving(&issuer, &[("a", &a), ("b", &b)], &policies).await;
    let client = served.client();
    let hello = r#""protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}"#;
    for (name, hears_both) in [("ada", true), ("ben", false)] {
        let token = issuer.token(name, "vmcp", &json!({}));
        for (is_modern, method, members) in [(true, "server/discover", ""), (false, "initialize", hello)] {
            let told = ask(&client, Some(&token), is_modern, method, members).await.json();
            let told = told["result"]["instructions"].as_str().unwrap_or_else(|| panic!("{told}"));
            assert!(told.contains("the first"), "{told}");
            assert_eq!(told.contains("# b") || told.contains("the second"), hears_both, "{name}: {told}");
        }
    }
}
