//! Changing a text by exchanging ranges of it, so that every other byte stays.

use std::ops::Range;

use smallvec::SmallVec;

use crate::object::{Member, Object};
use crate::text::quote;
use crate::value::Value;

/// Changes to one text, applied together. A change to a part of what another one takes out is dropped.
#[derive(Debug, Default)]
pub struct Edits<'e> {
    edits: SmallVec<[Edit<'e>; 4]>,
}

#[derive(Debug)]
struct Edit<'e> {
    range: Range<usize>,
    with: Replacement<'e>,
}

#[derive(Debug)]
enum Replacement<'e> {
    Borrowed(&'e [u8]),
    Owned(Vec<u8>),
}

impl<'e> Edits<'e> {
    /// No change.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Puts `with`, which must be JSON, in the place of a value.
    pub fn replace(&mut self, value: Value<'_>, with: &'e [u8]) {
        self.push(value.range(), Replacement::Borrowed(with));
    }

    /// The same with a text made for it.
    pub fn replace_with(&mut self, value: Value<'_>, with: Vec<u8>) {
        self.push(value.range(), Replacement::Owned(with));
    }

    /// Adds a member behind the last one. `value` must be JSON; the name must not be there yet. What is to be removed of
    /// the same object must have been removed before.
    pub fn add(&mut self, object: &Object<'_>, name: &str, value: &[u8]) {
        let at = object.members().last().map_or(object.range().start + 1, |last| last.range().end);
        let mut text = Vec::with_capacity(name.len() + value.len() + 4);
        let is_removed = |member: Member<'_>| {
            let range = member.range();
            self.edits.iter().any(|edit| edit.range.start <= range.start && range.end <= edit.range.end)
        };
        let something_stays = object.members().any(|member| !is_removed(member));
        let begun = something_stays || self.edits.iter().any(|edit| edit.range == (at..at));
        text.extend_from_slice(if begun { b"," } else { b"" });
        text.extend_from_slice(quote(name).as_bytes());
        text.push(b':');
        text.extend_from_slice(value);
        self.push(at..at, Replacement::Owned(text));
    }

    /// Takes out every member for which `drop` says so, with the commas that belonged to them.
    pub fn remove(&mut self, object: &Object<'_>, drop: impl Fn(&str) -> bool) {
        let members: SmallVec<[Member<'_>; 8]> = object.members().collect();
        let mut something_stays = false;
        for (index, member) in members.iter().enumerate() {
            if !drop(&member.name()) {
                something_stays = true;
                continue;
            }
            // The comma that goes is the one before it, or, while nothing stays before it, the one behind it.
            let start = match index.checked_sub(1) {
                Some(previous) if something_stays => members[previous].range().end,
                _ => member.range().start,
            };
            let end = match members.get(index + 1) {
                Some(next) if !something_stays => next.range().start,
                _ => member.range().end,
            };
            self.push(start..end, Replacement::Borrowed(b""));
        }
    }

    /// The text with the changes made; one allocation of the exact size.
    pub fn apply(mut self, source: &[u8]) -> Vec<u8> {
        self.edits.sort_by_key(|edit| edit.range.start);
        let mut reached = 0;
        self.edits.retain(|edit| {
            let is_apart = edit.range.start >= reached;
            reached = reached.max(edit.range.end);
            is_apart
        });
        let removed: usize = self.edits.iter().map(|edit| edit.range.len()).sum();
        let added: usize = self.edits.iter().map(|edit| edit.with.bytes().len()).sum();
        let mut text = Vec::with_capacity(source.len() + added - removed);
        let mut at = 0;
        for edit in &self.edits {
            text.extend_from_slice(&source[at..edit.range.start]);
            text.extend_from_slice(edit.with.bytes());
            at = edit.range.end;
        }
        text.extend_from_slice(&source[at..]);
        text
    }

    fn push(&mut self, range: Range<usize>, with: Replacement<'e>) {
        self.edits.push(Edit { range, with });
    }
}

impl Replacement<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}
