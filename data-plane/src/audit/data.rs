//! What a request or an answer says, for its record: cut, and without the values of what is called after a secret.

use vmcp_json::{Limits, Value, quote};

/// What is put in the place of a value.
const REDACTED: &str = "\"[REDACTED]\"";

/// Parts of names of members whose values are not recorded, in small letters without `-` and `_`.
const SECRET: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "authorization",
    "apikey",
    "credential",
    "privatekey",
    "cookie",
];

/// At most `room` bytes of a JSON value, as JSON: the value, or if it had to be cut, its beginning as a text.
pub(super) fn shown(json: &[u8], room: usize, redact: &[String], limits: &Limits) -> Option<String> {
    let value = Value::parse(json, limits).ok()?;
    let mut out = String::new();
    if write(value, &mut out, room, redact) && out.len() <= room {
        return Some(out);
    }
    Some(quote(&out[..out.floor_char_boundary(room)]))
}

/// Stops when there is more than is wanted. Whether all of it has been written.
fn write(value: Value<'_>, out: &mut String, room: usize, redact: &[String]) -> bool {
    if out.len() > room {
        return false;
    }
    if let Some(object) = value.as_object() {
        out.push('{');
        for (at, member) in object.members().enumerate() {
            out.push_str(if at == 0 { "" } else { "," });
            let name = member.name();
            out.push_str(&quote(&name));
            out.push(':');
            if is_secret(&name, redact) {
                out.push_str(REDACTED);
            } else if !write(member.value, out, room, redact) {
                return false;
            }
        }
        out.push('}');
    } else if let Some(items) = value.as_array() {
        out.push('[');
        for (at, item) in items.enumerate() {
            out.push_str(if at == 0 { "" } else { "," });
            if !write(item, out, room, redact) {
                return false;
            }
        }
        out.push(']');
    } else {
        out.push_str(value.raw());
    }
    true
}

fn is_secret(name: &str, redact: &[String]) -> bool {
    let bare: String =
        name.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect();
    // How far a call has come is told under a token that is none.
    bare != "progresstoken" && SECRET.iter().any(|secret| bare.contains(secret))
        || redact.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use vmcp_core::limits;

    use super::*;

    fn of(json: &str, room: usize) -> String {
        shown(json.as_bytes(), room, &["SSN".into()], &limits::REQUEST).unwrap()
    }

    #[test]
    fn secrets_are_replaced_at_any_depth() {
        let json = r#"{"a":[{"API-Key":"k","ok":1}],"ssn":{"x":1},"access_token":"t","progressToken":7}"#;
        let shown = r#"{"a":[{"API-Key":"[REDACTED]","ok":1}],"ssn":"[REDACTED]","access_token":"[REDACTED]","progressToken":7}"#;
        assert_eq!(of(json, 1_000), shown);
    }

    #[test]
    fn what_is_too_long_is_cut_and_stays_json() {
        for room in 0..30 {
            let shown = of(r#"{"text":"ääää\n","more":[1,2,3]}"#, room);
            let whole: serde_json::Value = serde_json::from_str(&shown).unwrap();
            assert!(whole.as_str().is_none_or(|text| text.len() <= room), "{shown}");
        }
    }
}
