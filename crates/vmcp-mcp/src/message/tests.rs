use super::*;

const LIMITS: Limits = Limits::new(4096, 64);

fn rejected(text: &str) -> (Malformed, Option<String>) {
    let rejected = Message::parse(text.as_bytes(), &LIMITS).unwrap_err();
    (rejected.why, rejected.id.map(|id| id.raw().to_owned()))
}

#[test]
fn reads_each_kind_of_message() {
    let text = br#"{"jsonrpc":"2.0","id":7,"method":"tools\/call","params":{"name":"x"}}"#;
    let Ok(Message::Request(request)) = Message::parse(text, &LIMITS) else { panic!() };
    assert_eq!((request.id.raw(), request.method.as_ref()), ("7", "tools/call"));
    assert_eq!(request.params.unwrap().raw(), r#"{"name":"x"}"#);

    let text = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert!(matches!(Message::parse(text, &LIMITS), Ok(Message::Notification(n)) if n.params.is_none()));

    let text = br#"{"jsonrpc":"2.0","id":"a","error":{"code":-1,"message":"no"}}"#;
    let Ok(Message::Response(response)) = Message::parse(text, &LIMITS) else { panic!() };
    assert!(matches!(response.outcome, Outcome::Error { code: -1, .. }));
    assert!(response.id.unwrap().is(r#""\u0061""#));
}

#[test]
fn refuses_what_is_no_message_and_keeps_the_id() {
    let table = [
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, None),
        (r#"{"jsonrpc":"2.0","id":1,"id":1,"method":"ping"}"#, Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","m\u0065thod":"b"}"#, Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"name":1,"n\u0061me":2}}"#, Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"_meta":{"a":1,"\u0061":2}}}"#, Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"_meta":"x"}}"#, Some("1")),
        (r#"{"jsonrpc":"1.0","id":"x","method":"ping"}"#, Some("\"x\"")),
        (r#"{"id":1,"method":"ping"}"#, Some("1")),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, None),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, None),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, None),
        (r#"{"jsonrpc":"2.0","id":1,"method":3}"#, Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1}}"#, Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":"1"}}"#, Some("1")),
        (r#"{"jsonrpc":"2.0","id":1}"#, Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"} x"#, None),
        ("\u{feff}{}", None),
    ];
    for (text, id) in table {
        assert_eq!(rejected(text).1.as_deref(), id, "{text}");
    }
}

#[test]
fn depth_is_bounded_to_the_level() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"a":{open}{close}}}}}"#)
    };
    assert!(Message::parse(nested(62).as_bytes(), &LIMITS).is_ok());
    assert!(matches!(rejected(&nested(63)).0, Malformed::Json(Fault::TooDeep { .. })));
}
