//! Manifest files: read whole, and their faults shown with the lines they stand in.

use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use anyhow::bail;
use vmcp_core::desired::Desired;
use vmcp_manifest::{Fault, Source};

/// What the files want, or every fault, rendered.
pub(crate) fn load(files: &[PathBuf]) -> anyhow::Result<Result<Desired, Faults>> {
    let mut texts = Vec::with_capacity(files.len());
    let mut unread = Vec::new();
    for file in files {
        match fs_err::read_to_string(file) {
            Ok(text) => texts.push((display(file), text)),
            Err(error) => unread.push(error.to_string()),
        }
    }
    if !unread.is_empty() {
        bail!("could not read every manifest:\n  {}", unread.join("\n  "));
    }
    let sources: Vec<Source<'_>> = texts.iter().map(|(name, text)| Source { name, text }).collect();
    Ok(vmcp_manifest::read(&sources).map_err(|faults| Faults {
        count: faults.len(),
        text: faults.iter().map(|fault| render(fault, &sources)).collect::<Vec<_>>().join("\n\n"),
    }))
}

/// What is wrong, for people.
#[derive(Debug)]
pub(crate) struct Faults {
    pub(crate) count: usize,
    pub(crate) text: String,
}

impl Faults {
    /// Says it on standard error.
    pub(crate) fn report(&self) {
        let noun = if self.count == 1 { "fault" } else { "faults" };
        anstream::eprintln!("{}\n\n{} {noun} found", self.text, self.count);
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
    let range = start..start + first_line.max(1).min(source.text.len() - start);
    let snippet =
        Snippet::source(source.text).path(source.name).annotation(AnnotationKind::Primary.span(range));
    let mut groups = vec![Group::with_title(Level::ERROR.primary_title(title)).element(snippet)];
    if let Some(help) = &fault.help {
        groups.push(Group::with_title(Level::HELP.secondary_title(help.clone())));
    }
    Renderer::styled().render(&groups)
}

fn display(file: &Path) -> String {
    file.display().to_string()
}
