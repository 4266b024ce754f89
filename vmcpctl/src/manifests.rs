//! Manifest files: read whole, and their faults shown with the lines they stand in.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use anyhow::bail;
use serde::Serialize;
use serde_json::json;
use vmcp_control_plane::Manifest;
use vmcp_core::desired::{Desired, Found};
use vmcp_core::limits;
use vmcp_manifest::{Fault, Reference, Source};
use vmcp_runtime::{regular_file, secret_variable};

use crate::settings::Output;
use crate::terminal::{legible, print_line};

/// Manifests without a fault.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// What they want.
    pub(crate) desired: Desired,
    /// As they were read.
    pub(crate) manifests: Vec<Manifest>,
}

/// The files, all of them or none.
pub(crate) fn read(files: &[PathBuf]) -> anyhow::Result<Vec<Manifest>> {
    let mut manifests = Vec::with_capacity(files.len());
    let mut unread = Vec::new();
    for file in files {
        match read_bounded(file) {
            Ok(text) => manifests.push(Manifest { file: legible(&file.display().to_string()), text }),
            Err(error) => unread.push(legible(&error.to_string())),
        }
    }
    if !unread.is_empty() {
        bail!("could not read every manifest:\n  {}", unread.join("\n  "));
    }
    Ok(manifests)
}

/// What the files want, or every fault, rendered.
pub(crate) fn load(files: &[PathBuf]) -> anyhow::Result<Result<Loaded, Faults>> {
    Ok(loaded(read(files)?))
}

/// What manifests want, or every fault, rendered.
pub(crate) fn loaded(manifests: Vec<Manifest>) -> Result<Loaded, Faults> {
    let sources: Vec<Source<'_>> =
        manifests.iter().map(|manifest| Source { name: &manifest.file, text: &manifest.text }).collect();
    match vmcp_manifest::read(&sources) {
        Ok(desired) => Ok(Loaded { desired, manifests }),
        Err(faults) => Err(Faults::of(&faults, &sources)),
    }
}

/// The same; what they refer to and what is not here is a fault, too.
pub(crate) fn loaded_here(manifests: Vec<Manifest>) -> Result<Loaded, Faults> {
    let sources: Vec<Source<'_>> =
        manifests.iter().map(|manifest| Source { name: &manifest.file, text: &manifest.text }).collect();
    let missing: Vec<Fault> = vmcp_manifest::references(&sources).iter().filter_map(missing).collect();
    let mut faults = match vmcp_manifest::read(&sources) {
        Ok(desired) if missing.is_empty() => return Ok(Loaded { desired, manifests }),
        Ok(_) => Vec::new(),
        Err(faults) => faults,
    };
    faults.extend(missing);
    faults.sort();
    faults.truncate(limits::MANIFEST_FAULTS);
    Err(Faults::of(&faults, &sources))
}

/// Why what is referred to cannot be used, if it cannot.
fn missing(reference: &Reference) -> Option<Fault> {
    let why = match &reference.to {
        Found::Variable(name) => match secret_variable(name) {
            Ok(value) if value.is_empty() => format!("the variable `{name}` is empty"),
            Ok(_) => return None,
            Err(error) => error.to_string(),
        },
        Found::File(file) => match regular_file(file, REFERENCED_BYTES) {
            Ok(bytes) if bytes.is_empty() => format!("the file `{}` is empty", file.display()),
            Ok(_) => return None,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                format!("there is no file `{}`", file.display())
            }
            Err(error) => error.to_string(),
        },
    };
    let help =
        "it must be there where the planes run; `--secrets-elsewhere` does not look for it here".to_owned();
    let (place, path) = (reference.place, reference.path.clone());
    Some(Fault { place, path, message: why, help: Some(help) })
}

/// A bundle of every authority that a system trusts has some 200 KiB.
const REFERENCED_BYTES: u64 = 8 * 1024 * 1024;

/// What is wrong.
#[derive(Debug)]
pub(crate) struct Faults {
    /// For people.
    text: String,
    /// For programs.
    all: Vec<FaultData>,
}

/// One of them.
#[derive(Debug, Serialize)]
pub(crate) struct FaultData {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) path: String,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// Of what is pointed at, in bytes.
    #[serde(skip)]
    pub(crate) length: u32,
    /// In a document that was applied before, and not in a file that is here.
    #[serde(skip)]
    pub(crate) is_stored: bool,
}

impl FaultData {
    fn of(fault: &Fault, sources: &[Source<'_>]) -> Self {
        let Fault { place, path, message, help } = fault.clone();
        let file = sources[place.source as usize].name.to_owned();
        let length = place.end.saturating_sub(place.start);
        Self { file, line: place.line, column: place.column, path, message, help, length, is_stored: false }
    }
}

impl Faults {
    pub(crate) fn of(faults: &[Fault], sources: &[Source<'_>]) -> Self {
        Self {
            text: faults.iter().map(|fault| render(fault, sources)).collect::<Vec<_>>().join("\n\n"),
            all: faults.iter().map(|fault| FaultData::of(fault, sources)).collect(),
        }
    }

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

/// What a control plane says is wrong, with the lines of the files that are here.
pub(crate) fn placed(faults: Vec<FaultData>, manifests: &[Manifest]) -> Faults {
    let render = |fault: &FaultData| {
        let is_its = |manifest: &&Manifest| !fault.is_stored && manifest.file == fault.file;
        let here = manifests.iter().find(is_its);
        let shown = here.and_then(|manifest| {
            let start = offset(&manifest.text, fault.line, fault.column)?;
            let end = (start + fault.length as usize).min(manifest.text.len());
            let end = manifest.text.floor_char_boundary(end);
            Some(Shown { name: &manifest.file, text: &manifest.text, range: start..end })
        });
        match shown {
            Some(shown) => snippet(&fault.path, &fault.message, fault.help.as_deref(), shown),
            None => {
                let help = fault
                    .help
                    .as_ref()
                    .map(|help| format!("\n  help: {}", legible(help)))
                    .unwrap_or_default();
                let (file, path) = (legible(&fault.file), legible(&fault.path));
                format!(
                    "error: {path}: {}\n  in {file}:{}:{}, which is applied already{help}",
                    legible(&fault.message),
                    fault.line,
                    fault.column
                )
            }
        }
    };
    Faults { text: faults.iter().map(render).collect::<Vec<_>>().join("\n\n"), all: faults }
}

/// Where a line and a column are, in bytes.
fn offset(text: &str, line: u32, column: u32) -> Option<usize> {
    let before =
        text.split_inclusive('\n').take((line as usize).checked_sub(1)?).map(str::len).sum::<usize>();
    let within = text
        .get(before..)?
        .chars()
        .take((column as usize).checked_sub(1)?)
        .map(char::len_utf8)
        .sum::<usize>();
    Some(before + within).filter(|at| *at <= text.len())
}

/// What a fault points at.
struct Shown<'t> {
    name: &'t str,
    text: &'t str,
    range: std::ops::Range<usize>,
}

fn render(fault: &Fault, sources: &[Source<'_>]) -> String {
    let source = &sources[fault.place.source as usize];
    let shown = Shown { name: source.name, text: source.text, range: fault.place.range() };
    snippet(&fault.path, &fault.message, fault.help.as_deref(), shown)
}

/// What stands before an `@` in an address, and behind a `?` in that of a workload, is nobody's business; places stay where they are.
fn without_secrets(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("://") {
            shown.push_str(before);
            shown.push_str("://");
            let end = after.find(['/', ' ', '\'', '"', '\n']).unwrap_or(after.len());
            let (password, after) = after.split_at(after[..end].rfind('@').unwrap_or_default());
            shown.extend(std::iter::repeat_n('*', password.len()));
            let end = after.find([' ', '\'', '"', '\n', '}', ']']).unwrap_or(after.len());
            let (address, behind) = after.split_at(end);
            let is_of_workload = before.contains("url") || before.trim_start().starts_with('-');
            let visible = address.find('?').filter(|_| is_of_workload).map_or(address.len(), |at| at + 1);
            shown.push_str(&address[..visible]);
            shown.extend(std::iter::repeat_n('*', address.len() - visible));
            rest = behind;
        }
        shown.push_str(rest);
    }
    shown
}

fn snippet(path: &str, message: &str, help: Option<&str>, shown: Shown<'_>) -> String {
    let Shown { name, text, range } = shown;
    let text = &without_secrets(text);
    let title = match path {
        "" => message.to_owned(),
        path => format!("{path}: {message}"),
    };
    let start = range.start;
    // A mapping can be long; its first line says where it is.
    let first_line = text[range].lines().next().map_or(0, str::len);
    // Where nothing stands, the next character is pointed at.
    let next = text[start..].chars().next().map_or(0, char::len_utf8);
    let range = start..start + first_line.max(next);
    let snippet = Snippet::source(text).path(name).annotation(AnnotationKind::Primary.span(range));
    let mut groups = vec![Group::with_title(Level::ERROR.primary_title(title)).element(snippet)];
    if let Some(help) = help {
        groups.push(Group::with_title(Level::HELP.secondary_title(help.to_owned())));
    }
    Renderer::styled().render(&groups)
}

/// A file's text, up to a byte more than a manifest may have, by which it is refused.
pub(crate) fn read_bounded(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    fs_err::File::open(file)?.take(limits::MANIFEST_BYTES as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}
