//! The checking pass: one walk over the whole text that holds it to RFC 8259 and to the caller's bounds.

use std::ops::Range;

/// How much of a text the caller is willing to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest text, in bytes; never more than 4 GiB.
    pub bytes: usize,
    /// Deepest nesting of arrays and objects; `1` allows an object of scalars.
    pub depth: usize,
    /// Most members of an object that lies in the outer [`OUTER_LEVELS`], which are the ones whose members are looked at
    /// one by one.
    pub members: usize,
    /// Whether half of a surrogate pair may stand alone in a string, as it may by RFC 8259 section 8.2. Readers disagree
    /// about what it is, so whoever decides by a text should not allow it.
    pub lone_surrogates: bool,
}

/// See [`Limits::members`].
pub const OUTER_LEVELS: usize = 3;

impl Limits {
    /// At most `bytes` long and `depth` deep, with at most 16,384 members in objects of the outer levels.
    pub const fn new(bytes: usize, depth: usize) -> Self {
        Self { bytes, depth, members: 16_384, lone_surrogates: false }
    }

    /// The same, with halves of surrogate pairs allowed to stand alone.
    pub const fn with_lone_surrogates(self) -> Self {
        Self { lone_surrogates: true, ..self }
    }
}

/// Why a text is not accepted. Positions are byte offsets from its start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Longer than [`Limits::bytes`].
    #[error("text is longer than {limit} bytes")]
    TooLarge {
        /// The bound that was exceeded.
        limit: usize,
    },
    /// Nested deeper than [`Limits::depth`].
    #[error("nesting at byte {at} is deeper than {limit}")]
    TooDeep {
        /// Where the level that is too much opens.
        at: usize,
        /// The bound that was exceeded.
        limit: usize,
    },
    /// An object of the outer levels has more members than [`Limits::members`].
    #[error("object has more than {limit} members at byte {at}")]
    TooManyMembers {
        /// Where the member that is too much begins.
        at: usize,
        /// The bound that was exceeded.
        limit: usize,
    },
    /// Starts with a byte order mark (RFC 8259 section 8.1 forbids sending one).
    #[error("text starts with a byte order mark")]
    ByteOrderMark,
    /// Not UTF-8 (RFC 8259 section 8.1).
    #[error("text is not UTF-8 at byte {at}")]
    NotUtf8 {
        /// The first byte that is not.
        at: usize,
    },
    /// Not JSON.
    #[error("expected {expected} at byte {at}")]
    Syntax {
        /// Where.
        at: usize,
        /// What the grammar wants there.
        expected: &'static str,
    },
    /// More text after the value.
    #[error("unexpected text after the value at byte {at}")]
    Trailing {
        /// Where it begins.
        at: usize,
    },
    /// A value, but not an object.
    #[error("text is not an object")]
    NotAnObject,
}

/// A checked walk. `at` only moves forward; every method leaves it behind what it read.
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    limits: Limits,
}

impl<'a> Scanner<'a> {
    /// Checks size, encoding and byte order mark; the walk has not begun.
    pub(crate) fn new(text: &'a [u8], limits: &Limits) -> Result<(Self, &'a str), Fault> {
        let limit = limits.bytes.min(u32::MAX as usize);
        if text.len() > limit {
            return Err(Fault::TooLarge { limit });
        }
        if text.starts_with(b"\xEF\xBB\xBF") {
            return Err(Fault::ByteOrderMark);
        }
        let utf8 = std::str::from_utf8(text).map_err(|error| Fault::NotUtf8 { at: error.valid_up_to() })?;
        Ok((Self { bytes: text, at: 0, depth: 0, limits: *limits }, utf8))
    }

    /// White space, one value, white space, end.
    pub(crate) fn document(&mut self) -> Result<Range<usize>, Fault> {
        self.white_space();
        let range = self.value()?;
        self.white_space();
        if self.at < self.bytes.len() {
            return Err(Fault::Trailing { at: self.at });
        }
        Ok(range)
    }

    fn value(&mut self) -> Result<Range<usize>, Fault> {
        let start = self.at;
        match self.peek() {
            Some(b'{') => self.object()?,
            Some(b'[') => self.array()?,
            Some(b'"') => self.string()?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.literal(b"true")?,
            Some(b'f') => self.literal(b"false")?,
            Some(b'n') => self.literal(b"null")?,
            _ => return Err(self.expected("a value")),
        }
        Ok(start..self.at)
    }

    fn object(&mut self) -> Result<(), Fault> {
        self.descend()?;
        self.white_space();
        let mut left = if self.depth <= OUTER_LEVELS { self.limits.members } else { usize::MAX };
        if !self.take(b'}') {
            loop {
                if left == 0 {
                    return Err(Fault::TooManyMembers { at: self.at, limit: self.limits.members });
                }
                left -= 1;
                if self.peek() != Some(b'"') {
                    return Err(self.expected("a member name"));
                }
                self.string()?;
                self.white_space();
                if !self.take(b':') {
                    return Err(self.expected("`:`"));
                }
                self.white_space();
                self.value()?;
                self.white_space();
                if self.take(b'}') {
                    break;
                }
                if !self.take(b',') {
                    return Err(self.expected("`,` or `}`"));
                }
                self.white_space();
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn array(&mut self) -> Result<(), Fault> {
        self.descend()?;
        self.white_space();
        if !self.take(b']') {
            loop {
                self.value()?;
                self.white_space();
                if self.take(b']') {
                    break;
                }
                if !self.take(b',') {
                    return Err(self.expected("`,` or `]`"));
                }
                self.white_space();
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn descend(&mut self) -> Result<(), Fault> {
        if self.depth == self.limits.depth {
            return Err(Fault::TooDeep { at: self.at, limit: self.limits.depth });
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<(), Fault> {
        self.at += 1;
        loop {
            while let Some(byte) = self.peek()
                && PLAIN_IN_STRING[byte as usize]
            {
                self.at += 1;
            }
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                _ => return Err(self.expected("the end of the string")),
            }
        }
    }

    /// One escape; a surrogate only as half of a pair, unless lone ones are allowed.
    fn escape(&mut self) -> Result<(), Fault> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => match self.code_unit()? {
                _ if self.limits.lone_surrogates => Ok(()),
                0xD800..=0xDBFF => {
                    if !(self.take(b'\\') && self.peek() == Some(b'u')) {
                        return Err(self.expected("the second half of a surrogate pair"));
                    }
                    match self.code_unit()? {
                        0xDC00..=0xDFFF => Ok(()),
                        _ => Err(self.expected("the second half of a surrogate pair")),
                    }
                }
                0xDC00..=0xDFFF => Err(self.expected("the first half of a surrogate pair before")),
                _ => Ok(()),
            },
            _ => Err(self.expected("an escape")),
        }
    }

    /// `u` and four hexadecimal digits, from the `u`.
    fn code_unit(&mut self) -> Result<u32, Fault> {
        self.at += 1;
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| (byte as char).to_digit(16));
            let Some(digit) = digit else { return Err(self.expected("a hexadecimal digit")) };
            unit = unit * 16 + digit;
            self.at += 1;
        }
        Ok(unit)
    }

    fn number(&mut self) -> Result<(), Fault> {
        self.take(b'-');
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.expected("a digit")) } else { Ok(()) }
    }

    fn literal(&mut self, word: &'static [u8]) -> Result<(), Fault> {
        if self.bytes[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.expected("`true`, `false` or `null`"))
        }
    }

    fn white_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expected(&self, expected: &'static str) -> Fault {
        Fault::Syntax { at: self.at, expected }
    }
}

/// Everything but control characters, `"` and `\` (RFC 8259 section 7).
static PLAIN_IN_STRING: [bool; 256] = {
    let mut table = [true; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = false;
        byte += 1;
    }
    table[b'"' as usize] = false;
    table[b'\\' as usize] = false;
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8]) -> Result<Range<usize>, Fault> {
        let (mut scanner, _) = Scanner::new(text, &Limits::new(1000, 3))?;
        scanner.document()
    }

    #[test]
    fn refuses_what_is_not_json_and_says_where() {
        let table: &[(&[u8], usize)] = &[
            (b"", 0),
            (b"{", 1),
            (b"{\"a\"}", 4),
            (b"{\"a\":1,}", 7),
            (b"{a:1}", 1),
            (b"[1,]", 3),
            (b"[1 2]", 3),
            (b"01", 1),
            (b"-", 1),
            (b"1.", 2),
            (b"1e+", 3),
            (b"\"\n\"", 1),
            (b"\"\\x\"", 2),
            (b"\"\\u12g4\"", 5),
            (b"\"\\ud800\"", 7),
            (b"\"\\udc00\"", 7),
            (b"tru", 0),
            (b"NaN", 0),
        ];
        for (text, expected) in table {
            let at = match check(text) {
                Err(Fault::Syntax { at, .. } | Fault::Trailing { at }) => at,
                other => panic!("{:?}: {other:?}", String::from_utf8_lossy(text)),
            };
            assert_eq!(at, *expected, "{:?}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn members_are_bounded_where_they_are_looked_at() {
        let limits = Limits { members: 2, ..Limits::new(1000, 9) };
        let parse = |text: &str| {
            Scanner::new(text.as_bytes(), &limits).and_then(|(mut scanner, _)| scanner.document())
        };
        assert!(parse(r#"{"a":{"a":{"a":{"a":1,"b":2,"c":3},"b":2}}}"#).is_ok());
        assert_eq!(parse(r#"{"a":1,"b":2,"c":3}"#), Err(Fault::TooManyMembers { at: 13, limit: 2 }));
        assert!(parse(r#"{"a":{"a":{"a":1,"b":2,"c":3}}}"#).is_err());
    }

    #[test]
    fn bounds_hold() {
        assert!(check(b"[[[1]]]").is_ok());
        assert_eq!(check(b"[[[[1]]]]"), Err(Fault::TooDeep { at: 3, limit: 3 }));
        assert_eq!(check(&[b' '; 1001]), Err(Fault::TooLarge { limit: 1000 }));
        assert_eq!(check(b"\xEF\xBB\xBF1"), Err(Fault::ByteOrderMark));
        assert_eq!(check(b"\"\xff\""), Err(Fault::NotUtf8 { at: 1 }));
        assert_eq!(check(b"1 1"), Err(Fault::Trailing { at: 2 }));
    }
}
