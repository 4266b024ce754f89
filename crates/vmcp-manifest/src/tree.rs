//! YAML as a tree in which every value knows its place. The only file that knows the YAML library.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::fault::{Fault, Place};

/// A value.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Scalar {
        text: String,
        /// Written without quotes, so that `true`, `3` and nothing at all mean what they look like.
        is_plain: bool,
    },
    Sequence(Vec<Node>),
    /// In order, duplicates included.
    Mapping(Vec<(Node, Node)>),
}

/// Deepest nesting; people write under ten.
const DEPTH: usize = 32;

/// The documents of a source, and what is wrong with them as YAML. A syntax error ends the reading; what came before it is
/// kept.
pub(crate) fn parse(source: usize, text: &str) -> (Vec<Node>, Vec<Fault>) {
    // A byte order mark is no part of the first line.
    let readable = text.strip_prefix('\u{feff}').unwrap_or(text);
    let start = text.len() - readable.len();
    let offsets = readable.char_indices().map(|(at, _)| at + start).chain([text.len()]).collect();
    let mut reader = Reader { source, offsets, parser: Parser::new_from_str(readable), faults: Vec::new() };
    let mut documents = Vec::new();
    loop {
        let document = match reader.next() {
            Ok(Some((Event::DocumentStart(_), _))) => reader.document(),
            Ok(Some(_)) => continue,
            Ok(None) => return (documents, reader.faults),
            Err(fault) => Err(fault),
        };
        match document {
            Ok(document) => documents.extend(document),
            Err(fault) => {
                reader.faults.push(*fault);
                return (documents, reader.faults);
            }
        }
    }
}

struct Reader<'a> {
    source: usize,
    /// Byte offset of each character, and of the end.
    offsets: Vec<usize>,
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    /// What does not end the reading.
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Box<Fault>> {
        match self.parser.next() {
            None => Ok(None),
            Some(Ok(event)) => Ok(Some(event)),
            Some(Err(error)) => {
                let marker = error.marker();
                let place = self.place(marker.index(), marker.index() + 1, marker.line(), marker.col());
                Err(fault(place, format!("not YAML: {}", error.info()), None))
            }
        }
    }

    /// The one node of a document; `None` if it is empty.
    fn document(&mut self) -> Result<Option<Node>, Box<Fault>> {
        let mut root = None;
        while let Some((event, span)) = self.next()? {
            match event {
                Event::DocumentEnd => break,
                event => root = Some(self.node(event, span, 0)?),
            }
        }
        Ok(root.filter(|node| !node.is_nothing()))
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Box<Fault>> {
        let place = self.span(span);
        if depth > DEPTH {
            return Err(fault(place, format!("nested deeper than {DEPTH} levels"), None));
        }
        let tag = match &event {
            Event::Scalar(.., tag) | Event::SequenceStart(_, tag) | Event::MappingStart(_, tag) => {
                tag.is_some()
            }
            _ => false,
        };
        if tag {
            let help = Some("take it out; quotes make a text of what looks like a number".to_owned());
            self.faults.push(*fault(place.clone(), "tags (`!name`) are not supported".to_owned(), help));
        }
        match event {
            Event::Scalar(text, style, ..) => {
                let is_plain = style == ScalarStyle::Plain;
                Ok(Node { place, value: Value::Scalar { text: text.into_owned(), is_plain } })
            }
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                let mut place = place;
                while let Some((event, span)) = self.next()? {
                    if event == Event::SequenceEnd {
                        break;
                    }
                    items.push(self.node(event, span, depth + 1)?);
                }
                extend(&mut place, items.last());
                Ok(Node { place, value: Value::Sequence(items) })
            }
            Event::MappingStart(..) => {
                let mut members: Vec<(Node, Node)> = Vec::new();
                let mut place = place;
                while let Some((event, span)) = self.next()? {
                    if event == Event::MappingEnd {
                        break;
                    }
                    let key = self.node(event, span, depth + 1)?;
                    let Some((event, span)) = self.next()? else { break };
                    members.push((key, self.node(event, span, depth + 1)?));
                }
                extend(&mut place, members.last().map(|(_, value)| value));
                Ok(Node { place, value: Value::Mapping(members) })
            }
            Event::Alias(_) => {
                let help = Some("write the value out".to_owned());
                self.faults.push(*fault(
                    place.clone(),
                    "aliases (`*name`) are not supported".to_owned(),
                    help,
                ));
                Ok(Node { place, value: Value::Scalar { text: String::new(), is_plain: true } })
            }
            _ => Err(fault(place, "not YAML that a manifest can have".to_owned(), None)),
        }
    }

    fn span(&self, span: Span) -> Place {
        self.place(span.start.index(), span.end.index(), span.start.line(), span.start.col())
    }

    fn place(&self, start: usize, end: usize, line: usize, column: usize) -> Place {
        let end_of_text = self.offsets.last().copied().unwrap_or_default();
        let offset = |index: usize| self.offsets.get(index).copied().unwrap_or(end_of_text);
        let start = offset(start);
        Place { source: self.source, line, column: column + 1, start, end: offset(end).max(start) }
    }
}

impl Node {
    /// Nothing was written, or `null`.
    pub(crate) fn is_nothing(&self) -> bool {
        match &self.value {
            Value::Scalar { text, is_plain: true } => {
                matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    /// In a sentence.
    pub(crate) fn noun(&self) -> &'static str {
        match &self.value {
            _ if self.is_nothing() => "nothing",
            Value::Scalar { text, is_plain: true } if text == "true" || text == "false" => "a boolean",
            Value::Scalar { text, is_plain: true } if text.parse::<f64>().is_ok() => "a number",
            Value::Scalar { .. } => "a text",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }
}

fn extend(place: &mut Place, last: Option<&Node>) {
    if let Some(last) = last {
        place.end = place.end.max(last.place.end);
    }
}

fn fault(place: Place, message: String, help: Option<String>) -> Box<Fault> {
    Box::new(Fault { place, path: String::new(), message, help })
}
