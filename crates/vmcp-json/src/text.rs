//! Strings: escapes decoded, and a Rust string written as JSON (RFC 8259 section 7).

use std::borrow::Cow;
use std::fmt::Write;

/// The inside of a checked string with its escapes decoded; half a surrogate pair becomes U+FFFD.
pub(crate) fn decode(raw: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', raw.as_bytes()).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut decoded = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(escape) = rest.find('\\') {
        decoded.push_str(&rest[..escape]);
        let (character, length) = decode_escape(&rest[escape + 1..]);
        decoded.push(character);
        rest = &rest[escape + 1 + length..];
    }
    decoded.push_str(rest);
    Cow::Owned(decoded)
}

/// The character that an escape stands for, and the escape's length without its backslash.
fn decode_escape(escape: &str) -> (char, usize) {
    match escape.as_bytes().first() {
        Some(b'b') => ('\u{8}', 1),
        Some(b'f') => ('\u{c}', 1),
        Some(b'n') => ('\n', 1),
        Some(b'r') => ('\r', 1),
        Some(b't') => ('\t', 1),
        Some(b'u') => {
            let unit = code_unit(escape, 1);
            let next = escape.get(5..7).filter(|next| *next == "\\u").map(|_| code_unit(escape, 7));
            match (unit, next) {
                (0xD800..=0xDBFF, Some(low @ 0xDC00..=0xDFFF)) => {
                    let point = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
                    (char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER), 11)
                }
                // Half a pair is no character.
                _ => (char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), 5),
            }
        }
        Some(&other) => (char::from(other), 1),
        None => (char::REPLACEMENT_CHARACTER, 0),
    }
}

fn code_unit(escape: &str, at: usize) -> u32 {
    escape.get(at..at + 4).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0xFFFD)
}

/// `text` as a JSON string, quotes included. Only what must be escaped is escaped.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quote_to(&mut quoted, text);
    quoted
}

/// The same, behind what there is.
pub fn quote_to(quoted: &mut String, text: &str) {
    quoted.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        quoted.push_str(&text[plain..at]);
        plain = at + 1;
        match byte {
            b'"' => quoted.push_str("\\\""),
            b'\\' => quoted.push_str("\\\\"),
            b'\n' => quoted.push_str("\\n"),
            b'\r' => quoted.push_str("\\r"),
            b'\t' => quoted.push_str("\\t"),
            // Writing to a `String` cannot fail.
            other => drop(write!(quoted, "\\u{other:04x}")),
        }
    }
    quoted.push_str(&text[plain..]);
    quoted.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_half_a_pair_is_no_character() {
        let table = [
            (r"a\u0062c", "abc"),
            (r"\ud834\udd1e!", "\u{1d11e}!"),
            (r"\ud834", "\u{fffd}"),
            (r"\ud834\n", "\u{fffd}\n"),
            (r"\ud834\u0041", "\u{fffd}A"),
            (r"\udd1e\ud834", "\u{fffd}\u{fffd}"),
            (r"\\u0041", r"\u0041"),
            (r#"\"\/\b\f\n\r\t"#, "\"/\u{8}\u{c}\n\r\t"),
        ];
        for (raw, expected) in table {
            assert_eq!(decode(raw), expected, "{raw}");
        }
    }
}
