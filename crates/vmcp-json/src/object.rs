//! The members of an object, found as ranges in a text that has been checked.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use smallvec::SmallVec;

use crate::scan::{Fault, Limits, Scanner};
use crate::skip::{skip, skip_string, skip_white_space};
use crate::text;
use crate::value::Value;

/// The members of one object, in the order in which they were written, duplicates included.
#[derive(Debug, Clone)]
pub struct Object<'a> {
    source: &'a str,
    range: Range<usize>,
    members: SmallVec<[Span; 8]>,
}

/// One member of an object.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// The name as written, without its quotes and with its escapes.
    raw_name: &'a str,
    is_escaped: bool,
    /// Where the name opens, its quote included.
    start: usize,
    /// What it holds.
    pub value: Value<'a>,
}

/// Offsets in the text, which is shorter than 4 GiB; half the size, since whole messages are moved about.
#[derive(Debug, Clone, Copy)]
struct Span {
    name_start: u32,
    name_end: u32,
    value_start: u32,
    value_end: u32,
    is_escaped: bool,
}

impl<'a> Object<'a> {
    /// Checks the whole text against RFC 8259 and `limits`, and finds the members of the object that it must be.
    ///
    /// # Errors
    /// [`Fault`]: size, byte order mark and encoding first, then the first from the left.
    pub fn parse(text: &'a [u8], limits: &Limits) -> Result<Self, Fault> {
        let value = Value::parse(text, limits)?;
        value.as_object().ok_or(Fault::NotAnObject)
    }

    /// Finds the members of an object in a text that has been checked.
    pub(crate) fn scan(source: &'a str, range: Range<usize>) -> Self {
        let bytes = source.as_bytes();
        let mut members = SmallVec::new();
        let mut at = skip_white_space(bytes, range.start + 1);
        while bytes[at] != b'}' {
            let (name_end, is_escaped) = skip_string(bytes, at);
            let colon = skip_white_space(bytes, name_end);
            let value_start = skip_white_space(bytes, colon + 1);
            let value_end = skip(bytes, value_start);
            members.push(Span {
                name_start: offset(at + 1),
                name_end: offset(name_end - 1),
                value_start: offset(value_start),
                value_end: offset(value_end),
                is_escaped,
            });
            at = skip_white_space(bytes, value_end);
            if bytes[at] == b',' {
                at = skip_white_space(bytes, at + 1);
            }
        }
        Self { source, range, members }
    }

    /// Where the object stands in the text that was parsed, braces included.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The object as it was written.
    pub fn raw(&self) -> &'a str {
        &self.source[self.range.clone()]
    }

    /// How many members there are, duplicates counted.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The members in the order in which they were written.
    pub fn members(&self) -> impl ExactSizeIterator<Item = Member<'a>> + use<'a, '_> {
        let source = self.source;
        self.members.iter().map(move |span| Member {
            raw_name: &source[span.name_start as usize..span.name_end as usize],
            is_escaped: span.is_escaped,
            start: span.name_start as usize - 1,
            value: Value::new(source, span.value_start as usize..span.value_end as usize),
        })
    }

    /// The first member with that name; escapes in the text's names are understood.
    pub fn member(&self, name: &str) -> Option<Member<'a>> {
        self.members().find(|member| member.is_named(name))
    }

    /// What the first member with that name holds.
    pub fn get(&self, name: &str) -> Option<Value<'a>> {
        self.member(name).map(|member| member.value)
    }

    /// A name that two members share, escapes understood: `{"a":1,"\u0061":2}` has one.
    ///
    /// Readers disagree about which of the two counts, so whoever decides by a member must refuse both
    /// (RFC 8259 section 4).
    pub fn duplicate(&self) -> Option<Cow<'a, str>> {
        const PAIRWISE: usize = 12;
        if self.members.len() > PAIRWISE {
            let mut seen = HashSet::with_capacity(self.members.len());
            return self.members().map(|member| member.name()).find(|name| !seen.insert(name.clone()));
        }
        self.members().enumerate().find_map(|(index, member)| {
            let name = member.name();
            self.members().take(index).any(|earlier| earlier.is_named(&name)).then_some(name)
        })
    }
}

impl<'a> Member<'a> {
    /// The name with escapes decoded; borrowed where nothing is escaped.
    pub fn name(&self) -> Cow<'a, str> {
        if self.is_escaped { text::decode(self.raw_name) } else { Cow::Borrowed(self.raw_name) }
    }

    /// Whether the name, escapes decoded, is this one.
    pub fn is_named(&self, name: &str) -> bool {
        if self.is_escaped { self.name() == name } else { self.raw_name == name }
    }

    /// Where the member stands in the text that was parsed, from its name to the end of its value.
    pub fn range(&self) -> Range<usize> {
        self.start..self.value.range().end
    }
}

impl<'a> Value<'a> {
    /// Checks the whole text, which may be any value, against RFC 8259 and `limits`.
    ///
    /// # Errors
    /// [`Fault`]: size, byte order mark and encoding first, then the first from the left.
    pub fn parse(text: &'a [u8], limits: &Limits) -> Result<Self, Fault> {
        let (mut scanner, source) = Scanner::new(text, limits)?;
        let range = scanner.document()?;
        Ok(Value::new(source, range))
    }
}

/// The scanner refuses texts in which an offset would not fit.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
