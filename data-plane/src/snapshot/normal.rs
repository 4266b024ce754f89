//! URIs that can be read in one way only, so that what policies compare is what a backend reads (RFC 3986, sections 5.2.4 and 6.2.2).

use vmcp_core::limits;

/// Whether a URI is written as it would be after normalization: scheme and authority are lower case, no segment of the path is `.`, `..` or
/// empty, no letter is written as a code, and no separator within authority and path; nothing is there that no URI has.
pub(crate) fn is_normal(uri: &str) -> bool {
    let has_foreign = || uri.bytes().any(|byte| !byte.is_ascii_graphic() || b"\\\"<>^`{|}".contains(&byte));
    if uri.len() > limits::URI_BYTES || has_foreign() {
        return false;
    }
    let (before, behind) = uri.split_at(uri.find(['?', '#']).unwrap_or(uri.len()));
    let (scheme, rest) = match before.split_once(':') {
        Some((scheme, rest)) if !scheme.contains('/') => (scheme, rest),
        // It is all path.
        _ => ("", before),
    };
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    let is_lower = |text: &str| !text.bytes().any(|byte| byte.is_ascii_uppercase());
    is_lower(scheme)
        && is_lower(authority)
        && !matches!(authority, "." | "..")
        && has_plain_segments(path)
        && codes(before).all(|code| code.is_some_and(|byte| !b"/\\%\0".contains(&byte)))
        && codes(behind).all(|code| code.is_some_and(|byte| byte != 0))
}

/// What a URI has that who reads it may pass over, so that it is another one: a fragment, a query, a `/` at its end.
pub(crate) fn ornaments(uri: &str) -> impl Iterator<Item = fn(&str) -> bool> {
    let all: [fn(&str) -> bool; 3] =
        [|text| text.contains('#'), |text| text.contains('?'), |text| text.ends_with('/')];
    all.into_iter().filter(move |has| has(uri))
}

/// What is written as codes; `None` where that is none, is in lower case, or stands for what could stand for itself.
fn codes(text: &str) -> impl Iterator<Item = Option<u8>> {
    text.split('%').skip(1).map(|rest| {
        let code = rest.get(..2).filter(|code| !code.bytes().any(|byte| byte.is_ascii_lowercase()))?;
        let byte = u8::from_str_radix(code, 16).ok()?;
        let is_unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        (!is_unreserved).then_some(byte)
    })
}

fn has_plain_segments(path: &str) -> bool {
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if matches!(segment, "." | "..") || (segment.is_empty() && !is_last) {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_passed_over_a_template_must_have() {
        for (uri, template, is_fine) in [
            ("file:///a.md", "", true),
            ("file:///a.md?x", "", false),
            ("file:///a.md?x", "file:///a.md{?q}", true),
            ("file:///a.md?", "file:///{+path}", false),
            ("file:///a.md#x", "file:///a.md{?q}", false),
            ("file:///a.md#x", "file:///a.md{#section}", true),
            ("file:///a/", "file:///{a}", false),
            ("file:///a/", "file:///{a}/", true),
        ] {
            assert_eq!(ornaments(uri).all(|has| has(template)), is_fine, "{uri} {template}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_normal() {
        let good = [
            "file:///public/a.txt",
            "file:///public/",
            "note://a",
            "note://a/b?q=../x",
            "urn:isbn:0-486-27557-4",
            "file:///a%20b/%C3%A9",
            "db://host:5432/table/7#row",
            "mailto:a@b.example",
            "x://search?q=a%2Fb%25",
            "public/a:b",
        ];
        for uri in good {
            assert!(is_normal(uri), "{uri}");
        }
        let long = format!("file:///{}", "a".repeat(limits::URI_BYTES));
        let bad = [
            "file:///public/../etc/shadow",
            "file:///public/./x",
            "file:///public/..",
            "file:///public//x",
            "file:////etc/shadow",
            "file:///public/%2e%2e/etc",
            "file:///public/%2E%2E/etc",
            "file:///public/..%2Fetc",
            "file:///public/..%2fetc",
            "file:///public/%5C..",
            "file:///public\\..\\etc",
            "file:///%61",
            "file:///a%2",
            "file:///a%zz",
            "file:///a%00b",
            "file:///a%c3%a9",
            "file:///a b",
            "file:///\u{e9}",
            "file:///%252e%252e/etc",
            "urn:a/../b",
            "docs://../x",
            "docs://./secret/x",
            "docs://a%2F../x",
            "note://SECRET/a",
            "FILE:///a",
            "public/../secret/a:b",
            "x://search?q=%61",
            &long,
        ];
        for uri in bad {
            assert!(!is_normal(uri), "{uri}");
        }
    }
}
