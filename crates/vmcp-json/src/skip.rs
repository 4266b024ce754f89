//! The quick walk over a text that has been checked: from a value's beginning to behind its end.

/// Behind the value that begins at `at`, in a checked text: only strings and brackets need to be told apart.
pub(crate) fn skip(bytes: &[u8], mut at: usize) -> usize {
    match bytes[at] {
        b'"' => skip_string(bytes, at).0,
        b'{' | b'[' => {
            let mut depth = 0_usize;
            loop {
                match bytes[at] {
                    b'"' => {
                        at = skip_string(bytes, at).0;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    return at;
                }
            }
        }
        _ => {
            while at < bytes.len()
                && !matches!(bytes[at], b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r' | b':')
            {
                at += 1;
            }
            at
        }
    }
}

/// Behind the string that begins at `at`, and whether anything in it is escaped.
pub(crate) fn skip_string(bytes: &[u8], at: usize) -> (usize, bool) {
    /// Up to here a plain loop is faster than setting up a search; names are shorter, and most values.
    const SHORT: usize = 24;
    let mut at = at + 1;
    let mut is_escaped = false;
    let mut looked = 0;
    loop {
        match bytes[at] {
            b'"' => return (at + 1, is_escaped),
            b'\\' => {
                is_escaped = true;
                at += 2;
            }
            _ if looked > SHORT => at += memchr::memchr2(b'"', b'\\', &bytes[at..]).unwrap_or_default(),
            _ => at += 1,
        }
        looked += 1;
    }
}

pub(crate) fn skip_white_space(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && matches!(bytes[at], b' ' | b'\t' | b'\n' | b'\r') {
        at += 1;
    }
    at
}
