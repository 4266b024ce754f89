//! YAML as a tree in which every value knows its place. The only file that knows the YAML library.

use granit_parser::{Event, Marker, Options, Parser, ScalarStyle, Span, StrInput};
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

/// In characters: what a key may be, and how far the parser looks ahead for the end of one.
const LONGEST_KEY: usize = 256;

/// A text in which values stand closer than this was not written by people, and would take far more memory than itself.
const BYTES_PER_VALUE: usize = 5;
/// As many there may be in any text.
const FEW_VALUES: usize = 500;

/// The documents of a source, and what is wrong with them as YAML. A syntax error loses its document alone.
pub(crate) fn parse(source: u32, text: &str) -> (Vec<Node>, Vec<Fault>) {
    let mut documents = Vec::new();
    if text.len() > limits::MANIFEST_BYTES {
        let message = format!("a manifest has at most {} bytes", limits::MANIFEST_BYTES);
        let help = "several files can be one manifest: give each with its own `--config`".to_owned();
        let place = Place { source, line: 1, column: 1, start: 0, end: 0 };
        return (documents, vec![*fault(place, message, Some(help))]);
    }
    let parser = Parser::new_from_str_with_options(text, options());
    let values = text.len() / BYTES_PER_VALUE + FEW_VALUES;
    let mut reader = Reader { source, text, parser, faults: Vec::new(), values };
    loop {
        let document = match reader.next() {
            Ok(Some((Event::DocumentStart(..), _))) => reader.document(),
            Ok(Some(_)) => continue,
            Ok(None) => return (documents, reader.faults),
            Err(fault) => Err(fault),
        };
        match document {
            Ok(document) => documents.extend(document),
            Err(fault) => {
                reader.say(*fault);
                // What follows may be good, and have faults of its own.
                let is_full = reader.faults.len() >= limits::MANIFEST_FAULTS;
                if is_full || !matches!(reader.parser.proceed_next_document(), Ok(true)) {
                    return (documents, reader.faults);
                }
            }
        }
    }
}

fn options() -> Options {
    let mut options = Options::default();
    options.emit_unresolved_aliases = true;
    options.simple_key_max_lookahead = LONGEST_KEY;
    options.flow_nesting_limit = 2 * DEPTH;
    options.block_nesting_limit = 2 * DEPTH;
    options
}

struct Reader<'a> {
    source: u32,
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    /// What has been found, up to a bound.
    faults: Vec<Fault>,
    /// How many more values there may be.
    values: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Box<Fault>> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok(event)) => Ok(Some(event)),
            Some(Err(error)) => {
                let place = self.place(error.marker(), error.marker());
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
        let place = self.place(&span.start, &span.end);
        let Some(values) = self.values.checked_sub(1) else {
            let help = Some("write one value a line".to_owned());
            return Err(fault(place, "more values than a manifest of this size has".to_owned(), help));
        };
        self.values = values;
        if depth > DEPTH {
            return Err(fault(place, format!("nested deeper than {DEPTH} levels"), None));
        }
        if event.tag().is_some() {
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
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let help = Some("write the value out".to_owned());
                self.say(*fault(place, "aliases (`*name`) are not supported".to_owned(), help));
                Ok(Node { place, value: Value::Scalar { text: Box::default(), is_plain: true } })
            }
            _ => Err(fault(place, "not YAML that a manifest can have".to_owned(), None)),
        }
    }

    fn place(&self, start: &Marker, end: &Marker) -> Place {
        let byte = |marker: &Marker| marker.byte_offset().unwrap_or(self.text.len()).min(self.text.len());
        let (line, column) = (short(start.line()), short(start.col() + 1));
        let (start, end) = (byte(start), byte(end));
        Place { source: self.source, line, column, start: short(start), end: short(end.max(start)) }
    }

    fn say(&mut self, fault: Fault) {
        if self.faults.len() < limits::MANIFEST_FAULTS {
            self.faults.push(fault);
        }
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

    /// What was written, if it is one text.
    pub(crate) fn text(&self) -> &str {
        match &self.value {
            Value::Scalar { text, .. } => text,
            Value::Sequence(_) | Value::Mapping(_) => "",
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
