//! One value inside a checked text. The only ways to get one, [`Value::parse`] and [`Object::parse`], check the
//! text, so it is known to be JSON.

use std::borrow::Cow;
use std::ops::Range;

use crate::object::Object;
use crate::skip::{skip, skip_white_space};
use crate::text;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// Any number; its digits are in [`Value::raw`].
    Number,
    /// `true` or `false`
    Boolean,
    /// `null`
    Null,
}

/// A value, borrowed from the text it was found in. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a> {
    source: &'a str,
    start: usize,
    end: usize,
}

impl<'a> Value<'a> {
    pub(crate) fn new(source: &'a str, range: Range<usize>) -> Self {
        Self { source, start: range.start, end: range.end }
    }

    /// The value as it was written, without white space around it.
    pub fn raw(&self) -> &'a str {
        &self.source[self.start..self.end]
    }

    /// Where it stands in the text that was parsed, in bytes.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        match self.source.as_bytes()[self.start] {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b'"' => Kind::String,
            b't' | b'f' => Kind::Boolean,
            b'n' => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// Its members, if it is an object.
    pub fn as_object(&self) -> Option<Object<'a>> {
        (self.kind() == Kind::Object).then(|| Object::scan(self.source, self.range()))
    }

    /// Its elements, if it is an array.
    pub fn as_array(&self) -> Option<Elements<'a>> {
        (self.kind() == Kind::Array).then(|| Elements { source: self.source, at: self.start + 1 })
    }

    /// Its text with escapes decoded, if it is a string; borrowed where nothing is escaped.
    pub fn as_str(&self) -> Option<Cow<'a, str>> {
        (self.kind() == Kind::String).then(|| text::decode(&self.source[self.start + 1..self.end - 1]))
    }

    /// Whether it is `true`.
    pub fn is_true(&self) -> bool {
        self.raw() == "true"
    }

    /// Its value, if it is a number without fraction or exponent that fits.
    pub fn as_i64(&self) -> Option<i64> {
        (self.kind() == Kind::Number).then(|| self.raw().parse().ok()).flatten()
    }
}

/// Elements of an array, in order.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    source: &'a str,
    at: usize,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let bytes = self.source.as_bytes();
        let start = skip_white_space(bytes, self.at);
        if bytes[start] == b']' {
            self.at = start;
            return None;
        }
        let end = skip(bytes, start);
        let behind = skip_white_space(bytes, end);
        self.at = if bytes[behind] == b',' { behind + 1 } else { behind };
        Some(Value::new(self.source, start..end))
    }
}
