//! The documents of a text, each with its own words, to be kept as they were written and read again later.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use vmcp_core::name::Name;

use crate::desired::Source;
use crate::document::{named, says_group};
use crate::tree::{self, Node, Value};

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

    /// Its words as others may see them, with `***` for what [`Written::unshown`] has.
    pub fn shown(&self) -> String {
        let (mut shown, mut end) = (String::with_capacity(self.text.len()), 0);
        for hidden in hidden(&self.text) {
            shown.push_str(self.text.get(end..hidden.start).unwrap_or_default());
            shown.push_str("***");
            end = hidden.end;
        }
        shown + self.text.get(end..).unwrap_or_default()
    }

    /// What stands behind a `?` in the addresses of workloads, and in headers, in order: people put keys there.
    pub fn unshown(&self) -> Vec<&str> {
        hidden(&self.text).into_iter().filter_map(|hidden| self.text.get(hidden)).collect()
    }
}

fn hidden(text: &str) -> Vec<Range<usize>> {
    let mut hidden = Vec::new();
    tree::parse(0, text).0.iter().for_each(|node| find_hidden(node, Hides::Nothing, text, &mut hidden));
    hidden
}

/// What of a text nobody is shown.
#[derive(Clone, Copy)]
enum Hides {
    Nothing,
    /// Behind the `?` of an address.
    Query,
    /// The value of each member.
    Values,
    /// The whole value.
    All,
}

/// Where that stands, in order. What a member of a mapping or a list hides, each of its own hides.
fn find_hidden(node: &Node, hides: Hides, text: &str, hidden: &mut Vec<Range<usize>>) {
    match &node.value {
        // A reference says where a value is, and that is shown.
        Value::Mapping(_) if matches!(hides, Hides::All) => {}
        Value::Mapping(members) => {
            for (key, value) in members {
                let hides = match (key.text(), hides) {
                    (_, Hides::Values) | ("header_value" | "headerValue", _) => Hides::All,
                    ("headers", _) => Hides::Values,
                    ("url" | "urls", _) => Hides::Query,
                    _ => Hides::Nothing,
                };
                find_hidden(value, hides, text, hidden);
            }
        }
        Value::Sequence(items) => items.iter().for_each(|item| find_hidden(item, hides, text, hidden)),
        Value::Scalar { text: meant, .. } => {
            let range = node.place.range();
            let words = text.get(range.clone()).unwrap_or_default();
            let end = range.start + words.trim_end_matches(['\'', '"', ' ', '\n']).len();
            let begin = range.start + words.len() - words.trim_start_matches(['\'', '"']).len();
            match hides {
                // It may be written in another way: then nothing of it is shown.
                Hides::Query if meant.contains('?') => {
                    hidden.push(words.find('?').map_or(range.start, |at| range.start + at + 1)..end);
                }
                Hides::All if begin < end => hidden.push(begin..end),
                Hides::Query | Hides::Values | Hides::All | Hides::Nothing => {}
            }
        }
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

    #[test]
    fn queries_of_addresses_and_values_of_headers_are_not_shown() {
        for (text, shown) in [
            ("- {name: a, url: 'http://h/mcp?key=k'}\n", "- {name: a, url: 'http://h/mcp?***'}\n"),
            ("- {url: http://h/?k=ü, name: a} # ?", "- {url: http://h/?***, name: a} # ?"),
            ("urls:\n- \"http://h/?a\"\n- http://h/\n", "urls:\n- \"http://h/?***\"\n- http://h/\n"),
            ("url: \"http://h/\\x3fkey=k\"\n", "url: ***\"\n"),
            (
                "- {headers: {X-A: 'k', X-B: {env: K}}, n: 1}",
                "- {headers: {X-A: '***', X-B: {env: K}}, n: 1}",
            ),
            (
                "header_injection:\n  header_name: X\n  header_value: k e y # it\n",
                "header_injection:\n  header_name: X\n  header_value: *** # it\n",
            ),
            ("headerValue: \"k\"", "headerValue: \"***\""),
            ("headers: {env: k, url: l, X: {file: /f}}", "headers: {env: ***, url: ***, X: {file: /f}}"),
            ("policies: ['Resource::\"http://h/?a\"']", "policies: ['Resource::\"http://h/?a\"']"),
        ] {
            let (kind, name) = (DocumentKind::Group, "g".parse().unwrap());
            let written = Written { kind, name, file: "m.yaml".into(), line: 1, text: text.to_owned() };
            assert_eq!(written.shown(), shown);
            assert_eq!(written.unshown().is_empty(), text == shown);
        }
        // What was shown is not taken for what was meant.
        let text = "kind: group\nname: g\nworkloads: [{name: a, url: 'http://h/mcp?***'}]\n";
        let faults = read(&[Source { name: "m.yaml", text }]).unwrap_err();
        assert!(faults.iter().any(|fault| fault.message.contains("was left out")), "{faults:?}");
        let text =
            "kind: group\nname: g\nworkloads: [{name: a, url: 'http://h/mcp', headers: {X-A: '***'}}]\n";
        let faults = read(&[Source { name: "m.yaml", text }]).unwrap_err();
        assert!(faults.iter().any(|fault| fault.message.contains("was left out")), "{faults:?}");
    }
}
