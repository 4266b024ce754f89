//! The documents of a text, each with its own words, to be kept as they were written and read again later.

use std::fmt;
use std::str::FromStr;

use vmcp_core::name::Name;

use crate::desired::Source;
use crate::document::{named, says_group};
use crate::tree;

/// What a document describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentKind {
    /// A virtual server.
    VirtualServer,
    /// A group.
    Group,
}

/// A document as it was written.
#[derive(Clone, PartialEq, Eq)]
pub struct Written {
    /// What it describes.
    pub kind: DocumentKind,
    /// Its name. There is one document of a kind and a name.
    pub name: Name,
    /// What the text was called that it comes from.
    pub file: String,
    /// The line of that text at which it begins, from 1.
    pub line: u32,
    /// Its own words, comments before it included.
    pub text: String,
}

impl Written {
    /// Its words where they stood, so that lines are those of the file.
    pub fn in_place(&self) -> String {
        "\n".repeat(self.line.saturating_sub(1) as usize) + &self.text
    }
}

/// People put keys into manifests.
impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}` ({}:{})", self.kind, self.name, self.file, self.line)
    }
}

/// The documents of a text that has been read without a fault. What has no name, or is no document, is left out.
pub fn documents(source: Source<'_>) -> Vec<Written> {
    let (nodes, _) = tree::parse(0, source.text);
    let mut documents = Vec::with_capacity(nodes.len());
    let mut start = 0;
    for (index, node) in nodes.iter().enumerate() {
        // What separates two documents belongs to the second.
        let end = nodes.get(index + 1).map_or(source.text.len(), |next| {
            let between = node.place.range().end..next.place.range().start;
            source
                .text
                .get(between.clone())
                .and_then(|text| text.rfind("\n---"))
                .map_or(between.end, |at| between.start + at + 1)
        });
        let text = source.text.get(start..end).unwrap_or_default().to_owned();
        let line = 1 + source.text.get(..start).map_or(0, |before| before.matches('\n').count());
        start = end;
        let Some(name) = named(node).and_then(|name| name.parse().ok()) else { continue };
        let kind = if says_group(node) { DocumentKind::Group } else { DocumentKind::VirtualServer };
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        documents.push(Written { kind, name, file: source.name.to_owned(), line, text });
    }
    documents
}

impl fmt::Display for DocumentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::VirtualServer => "virtual server",
            Self::Group => "group",
        })
    }
}

impl DocumentKind {
    /// In data.
    pub const fn key(self) -> &'static str {
        match self {
            Self::VirtualServer => "virtual_server",
            Self::Group => "group",
        }
    }
}

impl FromStr for DocumentKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        [Self::VirtualServer, Self::Group].into_iter().find(|kind| kind.key() == text).ok_or(UnknownKind)
    }
}

/// No kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a document describes a `virtual_server` or a `group`")]
pub struct UnknownKind;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read;

    #[test]
    fn documents_keep_their_words_and_their_lines() {
        let text = "# all of it\nname: all\ngroup: g\nincoming_auth: {type: anonymous}\n---\n# the group\nkind: group\nname: g\nworkloads: []\n---\n\n---\nname: 'two'\nincomingAuth: {type: anonymous}\nbackends: []\n";
        let found = documents(Source { name: "m.yaml", text });
        let described: Vec<_> = found.iter().map(|document| format!("{document:?}")).collect();
        assert_eq!(
            described,
            ["virtual server `all` (m.yaml:1)", "group `g` (m.yaml:5)", "virtual server `two` (m.yaml:12)"]
        );
        let whole: String = found.iter().map(|document| document.text.as_str()).collect();
        assert_eq!(whole, text);
        // Each is read alone, and a fault in it is where it was.
        for document in &found {
            let bad = document
                .in_place()
                .replace("name: g", "nme: g")
                .replace("group: g", "grup: g")
                .replace("backends: []", "backnds: []");
            let faults = read(&[Source { name: &document.file, text: &bad }]).unwrap_err();
            let line = faults.iter().map(|fault| fault.place.line).max().unwrap() as usize;
            let changed = text.lines().nth(line - 1).unwrap();
            assert!(["name: g", "group: g", "backends: []"].contains(&changed), "{line}: {changed}");
        }
    }
}
