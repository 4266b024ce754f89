//! Manifest files: read whole, and their faults shown with the lines they stand in.

use std::io::Read;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use anyhow::bail;
use serde::Serialize;
use serde_json::json;
use vmcp_core::desired::Desired;
use vmcp_core::limits;
use vmcp_manifest::{Fault, Source};

use crate::settings::Output;
use crate::terminal::{legible, print_line};

/// What the files want, or every fault, rendered.
pub(crate) fn load(files: &[PathBuf]) -> anyhow::Result<Result<Desired, Faults>> {
    let mut texts = Vec::with_capacity(files.len());
    let mut unread = Vec::new();
    for file in files {
        match read_bounded(file) {
            Ok(text) => texts.push((legible(&file.display().to_string()), text)),
            Err(error) => unread.push(legible(&error.to_string())),
        }
    }
    if !unread.is_empty() {
        bail!("could not read every manifest:\n  {}", unread.join("\n  "));
    }
    let sources: Vec<Source<'_>> = texts.iter().map(|(name, text)| Source { name, text }).collect();
    Ok(vmcp_manifest::read(&sources).map_err(|faults| Faults {
        text: faults.iter().map(|fault| render(fault, &sources)).collect::<Vec<_>>().join("\n\n"),
        all: faults.iter().map(|fault| FaultData::of(fault, &sources)).collect(),
    }))
}

/// What is wrong.
#[derive(Debug)]
pub(crate) struct Faults {
    /// For people.
    text: String,
    /// For programs.
    all: Vec<FaultData>,
}

#[derive(Debug, Serialize)]
struct FaultData {
    file: String,
    line: u32,
    column: u32,
    path: String,
    message: String,
    help: Option<String>,
}

impl FaultData {
    fn of(fault: &Fault, sources: &[Source<'_>]) -> Self {
        let Fault { place, path, message, help } = fault.clone();
        let file = sources[place.source as usize].name.to_owned();
        Self { file, line: place.line, column: place.column, path, message, help }
    }
}

impl Faults {
    /// For people on standard error, for programs on standard output.
    pub(crate) fn report(&self, output: Output) -> anyhow::Result<()> {
        if output == Output::Json {
            print_line(&serde_json::to_string_pretty(&json!({"faults": self.all}))?)?;
            return Ok(());
        }
        let count = match self.all.len() {
            1 => "1 fault found".to_owned(),
            limits::MANIFEST_FAULTS => format!("the first {} faults", limits::MANIFEST_FAULTS),
            count => format!("{count} faults found"),
        };
        anstream::eprintln!("{}\n\n{count}", self.text);
        Ok(())
    }
}

fn render(fault: &Fault, sources: &[Source<'_>]) -> String {
    let source = &sources[fault.place.source as usize];
    let title = match fault.path.as_str() {
        "" => fault.message.clone(),
        path => format!("{path}: {}", fault.message),
    };
    // A mapping can be long; its first line says where it is.
    let first_line = source.text[fault.place.range()].lines().next().map_or(0, str::len);
    let start = fault.place.range().start;
    // Where nothing stands, the next character is pointed at.
    let next = source.text[start..].chars().next().map_or(0, char::len_utf8);
    let range = start..start + first_line.max(next);
    let snippet =
        Snippet::source(source.text).path(source.name).annotation(AnnotationKind::Primary.span(range));
    let mut groups = vec![Group::with_title(Level::ERROR.primary_title(title)).element(snippet)];
    if let Some(help) = &fault.help {
        groups.push(Group::with_title(Level::HELP.secondary_title(help.clone())));
    }
    Renderer::styled().render(&groups)
}

/// A file's text, up to a byte more than a manifest may have, by which it is refused.
pub(crate) fn read_bounded(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    fs_err::File::open(file)?.take(limits::MANIFEST_BYTES as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}
