//! Who may come in, what they may do, and what backends are shown.

use vmcp_core::boundary::{Incoming, Proof, Strategy, SubjectTokenType};
use vmcp_core::desired::{Found, Text, VirtualServer};

use super::{faults, read_one};

fn read(server: &str) -> Result<VirtualServer, String> {
    let text = format!(
        "name: a\ngroup: g\n{server}\n---\nkind: group\nname: g\nworkloads: [{{name: b, url: 'http://127.0.0.1:1/mcp'}}]\n"
    );
    match read_one(&text) {
        Ok(desired) => Ok(desired.virtual_servers.into_values().next().unwrap()),
        Err(_) => Err(faults(&text).join("\n")),
    }
}

const OIDC: &str = "incoming_auth: {type: oidc, oidc: {issuer: 'https://i', audience: a, client_id: us, client_secret_env: SECRET}}";

#[test]
fn an_issuer_is_an_address_that_can_be_trusted_and_a_token_is_for_something() {
    let read = |incoming: &str| read(&format!("incoming_auth: {incoming}"));
    for issuer in ["https://issuer.example/realms/a", "http://127.0.0.1:4455", "http://localhost"] {
        let server = read(&format!("{{type: oidc, oidc: {{issuer: '{issuer}', audience: vmcp}}}}")).unwrap();
        let Incoming::Oidc(issuers) = server.incoming else { panic!("{:?}", server.incoming) };
        assert_eq!((issuers[0].issuer.as_str(), issuers[0].audience.as_str()), (issuer, "vmcp"));
    }
    let several =
        "{type: oidc, oidc: [{issuer: 'https://i', audience: a}, {issuer: 'https://j', audience: b}]}";
    assert!(matches!(read(several).unwrap().incoming, Incoming::Oidc(issuers) if issuers.len() == 2));
    assert_eq!(read("{type: local}").unwrap().incoming, Incoming::Local);
    for (incoming, part) in [
        ("{type: oidc}", "`type: oidc` needs `oidc`"),
        ("{type: anonymous, oidc: {issuer: 'https://i', audience: a}}", "`oidc` belongs to `type: oidc`"),
        ("{type: oidc, oidc: []}", "1 to 16 issuers"),
        (
            "{type: oidc, oidc: [{issuer: 'https://i', audience: a}, {issuer: 'https://i', audience: b}]}",
            "there already",
        ),
        ("{type: oidc, oidc: {issuer: 'http://issuer.example', audience: a}}", "is no address of an"),
        ("{type: oidc, oidc: {issuer: 'http://127.0.0.1.example', audience: a}}", "is no address of an"),
        ("{type: oidc, oidc: {issuer: 'https://i/?x', audience: a}}", "is no address of an"),
        ("{type: oidc, oidc: {issuer: 'https://me@i/', audience: a}}", "is no address of an"),
        ("{type: oidc, oidc: {issuer: 'https://i', audience: ''}}", "`audience` is empty"),
        ("{type: oidc, oidc: {issuer: 'https://i'}}", "audience"),
        ("{type: oidc, oidc: {audience: a}}", "issuer"),
        (
            "{type: oidc, oidc: {issuer: 'https://i', audience: a, introspection_url: 'https://i/x'}}",
            "needs `client_id`",
        ),
        (
            "{type: oidc, oidc: {issuer: 'https://i', audience: a, client_secret_env: X}}",
            "nobody's without `client_id`",
        ),
        (
            "{type: oidc, oidc: {issuer: 'https://i', audience: a, client_id: us, client_secret: hush}}",
            "does not stand in a manifest",
        ),
        (
            "{type: oidc, oidc: {issuer: 'https://i', audience: a, client_id: us, client_auth_method: client_secret_post}}",
            "needs `client_secret_env`",
        ),
        (
            "{type: oidc, oidc: {issuer: 'https://i', audience: a, required_scopes: ['a b']}}",
            "not the name of a scope",
        ),
        ("{type: anonymous}\npublic_url: 'https://mcp.example.com/path'", "is not the address of a host"),
        ("{type: anonymous}\nallowed_hosts: ['https://x']", "is not the name of a host"),
    ] {
        let found = read(incoming).unwrap_err();
        assert!(found.contains(part), "{incoming}: {found}");
    }
}

#[test]
fn a_client_shows_who_it_is_in_one_way_and_issuers_say_alike_what_clients_are_told() {
    for (incoming, part) in [
        (
            "{type: oidc, oidc: {issuer: 'https://i', audience: a, client_id: us, client_auth_method: none, client_secret_env: X}}",
            "`client_secret_env` is of no use",
        ),
        (
            "{type: oidc, oidc: {issuer: 'https://i', audience: a, client_id: us, client_key: {file: /k}, client_secret_env: X}}",
            "`client_secret_env` is of no use",
        ),
        (
            "{type: oidc, oidc: {issuer: 'https://i', audience: a, client_id: us, client_secret_env: X, client_key_id: k}}",
            "`client_key_id` is of no use",
        ),
        (
            "{type: oidc, oidc: [{issuer: 'https://i', audience: a, resource: 'https://x'}, {issuer: 'https://j', audience: a, resource: 'https://y'}]}",
            "another issuer says another `resource`",
        ),
        (
            "{type: oidc, oidc: [{issuer: 'https://i', audience: a, client_id: us, client_secret_env: X, introspection_url: 'https://i/x'}, {issuer: 'https://j', audience: a, client_id: us, client_secret_env: X, introspection_url: 'https://j/x'}]}",
            "another issuer has an `introspection_url` already",
        ),
    ] {
        let found = read(&format!("incoming_auth: {incoming}")).unwrap_err();
        assert!(found.contains(part), "{incoming}: {found}");
    }
}

#[test]
fn policies_are_read_with_everything_else_and_their_faults_have_their_lines() {
    let authz = |policies: &str| {
        read(&format!(
            "incoming_auth:\n  type: anonymous\n  authz:\n    type: cedar\n    policies:\n{policies}"
        ))
    };
    let good = "      - permit(principal, action, resource in Backend::\"b\");\n      - |\n        permit(principal, action, resource)\n        when { context has claim_role && context.claim_role == \"x\" };\n";
    let authorization = authz(good).unwrap().authorization.unwrap();
    assert_eq!(authorization.policies.len(), 2);
    assert_eq!(authorization.lines.iter().map(|line| line.number).collect::<Vec<_>>(), [8, 10]);
    let bad = "      - permit(principal, action, resouce);\n      - |\n        permit(principal, action, resource)\n        when { context.claim_role == \"x\" };\n      - permit(principal == User::\"x\", action, resource);\n";
    let found = authz(bad).unwrap_err();
    let lines: Vec<&str> = found.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("8:") && lines[1].contains("claim_role"), "{found}");
    assert!(lines[2].starts_with("12:9 incoming_auth.authz.policies[2]: "), "{found}");
    let bad = bad.replace("resouce", "resource");
    let found = authz(&bad).unwrap_err();
    let lines: Vec<&str> = found.lines().collect();
    assert!(lines[0].starts_with("11:9 incoming_auth.authz.policies[1]: "), "{found}");
    assert!(lines[0].contains("claim_role"), "{found}");
    assert!(lines[1].starts_with("12:9 incoming_auth.authz.policies[2]: "), "{found}");
    for (authz, part) in [
        ("{type: cedar}", "needs `policies`"),
        ("{type: cedar, policies: []}", "needs `policies`"),
        ("{type: none, policies: ['permit(principal, action, resource);']}", "has no policies"),
        ("{policies: []}", "`type` is missing"),
        ("{type: cedr, policies: ['permit(principal, action, resouce);']}", "policies[0]"),
        ("{type: none, group_claim_name: x}", "`group_claim_name` is of no use"),
        ("{type: httpv1}", "not built yet"),
        ("{type: cedar, policies: ['permit(principal, action, resource);'], entities_json: '{'}", "not JSON"),
        (
            "{type: cedar, policies: ['permit(principal, action, resource);'], group_entity_type: 'a b'}",
            "the name of a type",
        ),
    ] {
        let found = read(&format!("incoming_auth: {{type: anonymous, authz: {authz}}}")).unwrap_err();
        assert!(found.contains(part), "{authz}: {found}");
    }
    assert_eq!(read("incoming_auth: {type: anonymous, authz: {type: none}}").unwrap().authorization, None);
}

#[test]
fn each_strategy_says_what_a_backend_is_shown() {
    let of = |strategy: &str| read(&format!("{OIDC}\noutgoing_auth: {{backends: {{b: {strategy}}}}}"));
    let shown = |strategy: &str| of(strategy).unwrap().outgoing.of(&"b".parse().unwrap()).clone();
    assert_eq!(shown("{type: unauthenticated}"), Strategy::Unauthenticated);
    assert_eq!(shown("{type: pass_through}"), Strategy::PassThrough);
    let Strategy::TokenExchange(exchange) =
        shown("{type: token_exchange, token_exchange: {audience: github-api, scopes: [repo, 'read:org']}}")
    else {
        panic!()
    };
    assert_eq!(exchange.grant.audience.as_deref(), Some("github-api"));
    assert_eq!(exchange.grant.scopes, ["repo", "read:org"]);
    assert_eq!(
        (exchange.grant.token_url, exchange.grant.client, exchange.subject_token_type),
        (None, None, SubjectTokenType::AccessToken)
    );
    let Strategy::TokenExchange(exchange) = shown(
        "{type: token_exchange, tokenExchange: {tokenUrl: 'https://t/token', clientId: me, clientSecretEnv: S, audience: x, subjectTokenType: jwt}}",
    ) else {
        panic!()
    };
    assert_eq!(exchange.grant.client.unwrap().proof, Proof::Basic(Found::Variable("S".into())));
    let Strategy::ClientCredentials(grant) = shown(
        "{type: service_account, service_account: {token_url: 'https://t/token', client_id: me, client_key: {file: /k.pem}, client_key_algorithm: ES256}}",
    ) else {
        panic!()
    };
    assert!(
        matches!(grant.client.unwrap().proof, Proof::PrivateKey { algorithm, .. } if algorithm == "ES256")
    );
    let text = |before: &str| Text::Secret { before: before.into(), found: Found::Variable("T".into()) };
    let Strategy::Header(name, value) =
        shown("{type: service_account, service_account: {credentials_env: T}}")
    else {
        panic!()
    };
    assert_eq!((name.as_str(), value), ("authorization", text("Bearer ")));
    let Strategy::Header(name, value) =
        shown("{type: header_injection, headerInjection: {headerName: X-Key, headerValueEnv: T}}")
    else {
        panic!()
    };
    assert_eq!((name.as_str(), value), ("x-key", text("")));
}

#[test]
fn a_strategy_that_cannot_work_is_refused() {
    let of = |strategy: &str| read(&format!("{OIDC}\noutgoing_auth: {{backends: {{b: {strategy}}}}}"));
    for (strategy, part) in [
        ("{type: token_exchange}", "needs `token_exchange`"),
        ("{type: unauthenticated, token_exchange: {audience: x}}", "belongs to `type: token_exchange`"),
        ("{type: token_exchange, token_exchange: {scopes: [x]}}", "neither `audience` nor `resource`"),
        ("{type: token_exchange, token_exchange: {audience: x, audienc: y}}", "unknown key"),
        (
            "{type: token_exchange, token_exchange: {audience: x, token_url: 'http://t/token'}}",
            "no address of an",
        ),
        (
            "{type: token_exchange, token_exchange: {audience: x, subject_token_type: saml}}",
            "no type of tokens",
        ),
        ("{type: token_exchange, token_exchange: {audience: x, subject_provider_name: p}}", "not built yet"),
        ("{type: service_account, service_account: {credentials_env: T, audience: x}}", "asks for a token"),
        (
            "{type: service_account, service_account: {credentials_env: T, client_key_id: x}}",
            "asks for a token",
        ),
        (
            "{type: service_account, service_account: {credentials_env: T, insecure_allow_http: true}}",
            "asks for a token",
        ),
        (
            "{type: token_exchange, token_exchange: {audience: x, insecure_allow_http: true}}",
            "of no use without `token_url`",
        ),
        (
            "{type: token_exchange, token_exchange: {audience: x, token_url: 'https://elsewhere.example/token'}}",
            "is shown to its issuer alone",
        ),
        (
            "{type: service_account, service_account: {credentials_env: T, header_format: 'Bearer'}}",
            "`{token}`",
        ),
        ("{type: header_injection, header_injection: {header_name: X-Key}}", "the value is missing"),
        ("{type: header_injection, header_injection: {header_name: Host, header_value: x}}", "is set by"),
        ("{type: aws_sts}", "not built yet"),
    ] {
        let found = of(strategy).unwrap_err();
        assert!(found.contains(part), "{strategy}: {found}");
    }
    let anonymous = |strategy: &str| {
        read(&format!("incoming_auth: {{type: anonymous}}\noutgoing_auth: {{default: {strategy}}}"))
    };
    for (strategy, part) in [
        ("{type: pass_through}", "needs callers with tokens"),
        ("{type: token_exchange, token_exchange: {audience: x}}", "needs callers with tokens"),
        (
            "{type: service_account, service_account: {client_id: x, client_secret_env: S}}",
            "`token_url` is missing",
        ),
    ] {
        let found = anonymous(strategy).unwrap_err();
        assert!(found.contains(part), "{strategy}: {found}");
    }
}

#[test]
fn inventories_of_single_callers_need_names_that_are_the_same_for_all() {
    let with = |strategy: &str| {
        format!(
            "name: a\ngroup: g\nincoming_auth: {{type: anonymous}}\naggregation: {strategy}\n---\nkind: group\nname: g\nworkloads: [{{name: b, url: 'http://h/', inventory: per_principal}}]\n"
        )
    };
    let read = |text: &str| crate::read(&[crate::Source { name: "a.yaml", text }]);
    let prefix = read(&with("{conflict_resolution: prefix}")).unwrap();
    let group = &prefix.groups[&"g".parse().unwrap()];
    let vmcp_core::desired::Address::Remote(endpoints) = &group.workloads[&"b".parse().unwrap()] else {
        panic!("a url")
    };
    assert_eq!(endpoints.inventory, vmcp_core::desired::Inventories::PerPrincipal);
    let priority = "{conflict_resolution: priority, conflict_resolution_config: {priority_order: [b]}}";
    let faults = read(&with(priority)).unwrap_err();
    assert!(faults[0].message.contains("does not go with `b`"), "{faults:#?}");
}

#[test]
fn a_service_account_without_a_client_is_the_first_issuers() {
    let of = |first: &str, second: &str| {
        let issuer = |name: &str, us: &str| format!("{{issuer: 'https://{name}', audience: a{us}}}");
        read(&format!(
            "incoming_auth: {{type: oidc, oidc: [{}, {}]}}\noutgoing_auth: {{default: {{type: service_account, service_account: {{audience: x}}}}}}",
            issuer("i", first),
            issuer("j", second)
        ))
    };
    let us = ", client_id: us, client_secret_env: X";
    assert!(of(us, "").is_ok());
    let found = of("", us).unwrap_err();
    assert!(found.contains("`client_id` is missing"), "{found}");
}

#[test]
fn a_workload_is_shown_one_credential_of_ours() {
    let with = |one: &str, two: &str| {
        let server = |name: &str, key: &str| {
            format!(
                "name: {name}\ngroup: g\nincoming_auth: {{type: anonymous}}\noutgoing_auth: {{default: {{type: header_injection, header_injection: {{header_name: X-Key, header_value_env: {key}}}}}}}\n---\n"
            )
        };
        server("a", one)
            + &server("b", two)
            + "kind: group\nname: g\nworkloads: [{name: w, url: 'http://h/'}]\n"
    };
    let read = |text: &str| crate::read(&[crate::Source { name: "a.yaml", text }]);
    assert!(read(&with("K", "K")).is_ok());
    let faults = read(&with("K", "L")).unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert!(faults[0].message.contains("`a` shows `w` another credential"), "{faults:#?}");
}

/// What is learnt with a credential is listed by nobody who does not show it.
#[test]
fn nobody_lists_what_another_virtual_server_was_told() {
    let read = |text: &str| crate::read(&[crate::Source { name: "a.yaml", text }]);
    let exchange = |audience: &str| {
        format!(
            "{{type: token_exchange, token_exchange: {{audience: {audience}, client_id: c, client_secret_env: K}}}}"
        )
    };
    let header = "{type: header_injection, header_injection: {header_name: X-Key, header_value_env: K}}";
    let server = |name: &str, strategy: &str| {
        format!("name: {name}\ngroup: g\n{OIDC}\noutgoing_auth: {{default: {strategy}}}\n---\n")
    };
    for (one, two, more, is_good) in [
        ("{type: unauthenticated}", "{type: pass_through}", "", true),
        ("{type: unauthenticated}", header, "", false),
        ("{type: pass_through}", header, "", false),
        (&exchange("x"), header, "", false),
        (&exchange("x"), &exchange("y"), "", false),
        (&exchange("x"), &exchange("x"), "", true),
        ("{type: unauthenticated}", &exchange("x"), "", false),
        ("{type: unauthenticated}", header, ", inventory: per_principal", true),
    ] {
        let group = format!("kind: group\nname: g\nworkloads: [{{name: w, url: 'http://h/'{more}}}]\n");
        let outcome = read(&(server("a", one) + &server("b", two) + &group));
        assert_eq!(outcome.is_ok(), is_good, "{one} {two}: {outcome:#?}");
    }
    // Whom ToolHive will find nobody knows yet.
    let group = "kind: group\nname: g\ntoolhive: {}\n";
    for (one, two, is_good) in [
        ("{type: unauthenticated}", header, false),
        ("{type: unauthenticated}", "{type: pass_through}", true),
        (&exchange("x"), &exchange("x"), true),
    ] {
        assert_eq!(read(&(server("a", one) + &server("b", two) + group)).is_ok(), is_good, "{one} {two}");
    }
    // What is all said is the same, whoever comes in; what is left to the issuer is not.
    let whole = "{type: service_account, service_account: {token_url: 'https://t/token', client_id: c, client_secret_env: K, audience: x}}";
    let open = "{type: service_account, service_account: {audience: x}}";
    let of = |name: &str, issuer: &str, strategy: &str| {
        server(name, strategy).replace("https://i", &format!("https://{issuer}"))
    };
    let group = "kind: group\nname: g\nworkloads: [{name: w, url: 'http://h/'}]\n";
    for (strategy, is_good) in [(whole, true), (open, false)] {
        let text = of("a", "one", strategy) + &of("b", "two", strategy) + group;
        assert_eq!(read(&text).is_ok(), is_good, "{strategy}: {:#?}", read(&text).err());
    }
}

/// A program that a command starts is shown nothing: a strategy for it would do nothing.
#[test]
fn strategies_are_for_workloads_with_an_address() {
    let text = |outgoing: &str| {
        format!(
            "name: a\ngroup: g\n{OIDC}\noutgoing_auth: {outgoing}\n---\nkind: group\nname: g\nworkloads: [{{name: w, url: 'http://h/'}}, {{name: c, command: x}}]\n"
        )
    };
    let header = "{type: header_injection, header_injection: {header_name: X-Key, header_value_env: K}}";
    let found = faults(&text(&format!("{{backends: {{c: {header}}}}}")));
    assert!(found.len() == 1 && found[0].contains("outgoing_auth.backends.c: `c` is a command"), "{found:?}");
    assert!(read_one(&text("{backends: {c: {type: unauthenticated}}}")).is_ok());
    let desired = read_one(&text(&format!("{{default: {header}}}"))).unwrap();
    let server = desired.virtual_servers.values().next().unwrap();
    let of = |name: &str| server.outgoing.of(&name.parse().unwrap());
    assert!(matches!(of("w"), Strategy::Header(..)) && *of("c") == Strategy::Unauthenticated);
}

/// Whoever forgets a word is told that word, and not to open a door; and what is wrong is said once.
#[test]
fn a_type_that_is_forgotten_is_what_stands_beside_it() {
    let said = |server: &str| {
        let text = format!(
            "name: a\ngroup: g\n{server}\n---\nkind: group\nname: g\nworkloads: [{{name: b, url: 'http://h/'}}]\n"
        );
        let faults = crate::read(&[crate::Source { name: "a.yaml", text: &text }]).unwrap_err();
        faults
            .into_iter()
            .map(|fault| format!("{} ({})", fault.message, fault.help.unwrap_or_default()))
            .collect::<Vec<_>>()
    };
    let incoming = said("incoming_auth: {oidc: {issuer: 'https://i', audience: a}}");
    assert_eq!(incoming, ["`type` is missing (write `type: oidc`)"]);
    let outgoing =
        said(&format!("{OIDC}\noutgoing_auth: {{backends: {{b: {{token_exchange: {{audience: x}}}}}}}}"));
    assert_eq!(outgoing, ["`type` is missing (write `type: token_exchange`)"]);
    let literal = said(
        "incoming_auth: {type: oidc, oidc: {issuer: 'https://i', audience: a, client_id: us, client_secret: hush}}",
    );
    assert!(literal.len() == 1 && literal[0].contains("does not stand in a manifest"), "{literal:?}");
    let nobody = said(
        "incoming_auth: {type: oidc, oidc: {issuer: 'https://i', audience: a, client_id: us, introspection_url: 'https://i/x'}}",
    );
    assert!(nobody.len() == 1 && nobody[0].contains("needs `client_id` and a secret"), "{nobody:?}");
}
