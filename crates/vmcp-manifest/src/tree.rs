//! YAML as a tree in which every value knows its place. The only file that knows the YAML library.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use vmcp_core::limits;

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
        text: Box<str>,
        /// Written without quotes, so that `true`, `3` and nothing at all mean what they look like.
        is_plain: bool,
    },
    Sequence(Vec<Node>),
    /// In order, duplicates included.
    Mapping(Vec<(Node, Node)>),
}

/// Deepest nesting; people write under ten.
const DEPTH: usize = 32;

/// A text in which values stand closer than this was not written by people, and would take far more memory than itself.
const BYTES_PER_VALUE: usize = 6;
/// As many there may be in any text.
const FEW_VALUES: usize = 500;

/// The documents of a source, and what is wrong with them as YAML. A syntax error ends the reading; what came before it is
/// kept.
pub(crate) fn parse(source: u32, text: &str) -> (Vec<Node>, Vec<Fault>) {
    let mut documents = Vec::new();
    if text.len() > limits::MANIFEST_BYTES {
        let message = format!("a manifest has at most {} bytes", limits::MANIFEST_BYTES);
        let help = "several files can be one manifest: give each with its own `--config`".to_owned();
        let place = Place { source, line: 1, column: 1, start: 0, end: 0 };
        return (documents, vec![*fault(place, message, Some(help))]);
    }
    // A byte order mark is no part of the first line.
    let readable = text.strip_prefix('\u{feff}').unwrap_or(text);
    let offsets = Offsets::of(readable, text.len() - readable.len());
    let values = text.len() / BYTES_PER_VALUE + FEW_VALUES;
    let mut reader =
        Reader { source, offsets, parser: Parser::new_from_str(readable), faults: Vec::new(), values };
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
    source: u32,
    offsets: Offsets<'a>,
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    /// What does not end the reading.
    faults: Vec<Fault>,
    /// How many more there may be.
    values: usize,
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
        let Some(values) = self.values.checked_sub(1) else {
            let help = Some("write one value a line".to_owned());
            return Err(fault(place, "more values than a manifest of this size has".to_owned(), help));
        };
        self.values = values;
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
            self.say(*fault(place, "tags (`!name`) are not supported".to_owned(), help));
        }
        match event {
            Event::Scalar(text, style, ..) => {
                let is_plain = style == ScalarStyle::Plain;
                Ok(Node { place, value: Value::Scalar { text: text.into(), is_plain } })
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
                self.say(*fault(place, "aliases (`*name`) are not supported".to_owned(), help));
                Ok(Node { place, value: Value::Scalar { text: String::new().into(), is_plain: true } })
            }
            _ => Err(fault(place, "not YAML that a manifest can have".to_owned(), None)),
        }
    }

    fn span(&self, span: Span) -> Place {
        self.place(span.start.index(), span.end.index(), span.start.line(), span.start.col())
    }

    fn place(&self, start: usize, end: usize, line: usize, column: usize) -> Place {
        let start = self.offsets.byte(start);
        let end = self.offsets.byte(end).max(start);
        Place { source: self.source, line: short(line), column: short(column + 1), start, end }
    }

    fn say(&mut self, fault: Fault) {
        if self.faults.len() < limits::MANIFEST_FAULTS {
            self.faults.push(fault);
        }
    }
}

/// From characters, which the library counts, to bytes.
struct Offsets<'a> {
    text: &'a str,
    /// Bytes before the text.
    before: usize,
    /// The byte at which every so many characters begin; nothing if characters are bytes.
    marks: Vec<u32>,
}

const MARK: usize = 128;

impl<'a> Offsets<'a> {
    fn of(text: &'a str, before: usize) -> Self {
        let marks = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().step_by(MARK).map(|(at, _)| short(at)).collect()
        };
        Self { text, before, marks }
    }

    fn byte(&self, index: usize) -> u32 {
        let byte = if self.text.is_ascii() {
            index
        } else {
            let mark = self.marks.get(index / MARK).map_or(self.text.len(), |mark| *mark as usize);
            let behind = self.text[mark..].char_indices().nth(index % MARK);
            behind.map_or(self.text.len(), |(at, _)| mark + at)
        };
        short(self.before + byte.min(self.text.len()))
    }
}

/// Manifests are far shorter than 4 GiB.
fn short(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Node {
    /// Nothing was written, or `null`.
    pub(crate) fn is_nothing(&self) -> bool {
        match &self.value {
            Value::Scalar { text, is_plain: true } => {
                matches!(&**text, "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    /// In a sentence.
    pub(crate) fn noun(&self) -> &'static str {
        match &self.value {
            _ if self.is_nothing() => "nothing",
            Value::Scalar { text, is_plain: true } if matches!(&**text, "true" | "false") => "a boolean",
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
