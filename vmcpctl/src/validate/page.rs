//! What people read: a table of every item on standard output, and what there is to know on standard error.

use anstyle::Style;
use vmcp_core::diagnostic::{Diagnostic, Severity};
use vmcp_core::item::Kind;
use vmcp_core::report::{Entry, Naming, Outcome, Withheld};
use vmcp_core::resolve::Resolver;

use crate::settings::{DIM, RED, YELLOW};
use crate::table::Table;
use crate::terminal::{legible, print_line, terminal_width};
use crate::validate::ask::Asked;
use crate::validate::diagnostics;

pub(super) fn print(resolvers: &[Resolver], asked: &Asked) -> std::io::Result<()> {
    for resolver in resolvers {
        let server = resolver.server();
        let heading = Style::new().bold();
        print_line(&format!("{heading}{}{heading:#} presents the group `{}`", server.name, server.group))?;
        let mut table = Table::new(&["NAME", "KIND", "BACKEND", "ITS OWN NAME", "WHY"]);
        let mut entries: Vec<Entry> = resolver.report().collect();
        entries.sort_by_key(|entry| matches!(entry.outcome, Outcome::Withheld(_)));
        for entry in entries {
            let (style, why) = why(&entry);
            let name = entry.exposed_name.unwrap_or_else(|| "-".to_owned());
            table.row(
                style,
                vec![name, noun(entry.kind).to_owned(), entry.backend.to_string(), entry.original_name, why],
            );
        }
        if table.is_empty() {
            print_line("nothing: no backend offers anything")?;
        }
        print_line(&table.render(terminal_width()))?;
    }
    for (id, answer) in asked {
        if let Err(error) = answer {
            anstream::eprintln!("{RED}error{RED:#}: `{}` does not answer: {}", id.name, legible(error));
        }
    }
    resolvers.iter().flat_map(diagnostics).for_each(|diagnostic| say(&diagnostic));
    Ok(())
}

/// One diagnostic, and below it what to do.
pub(super) fn say(diagnostic: &Diagnostic) {
    let style = match diagnostic.severity {
        Severity::Error => RED,
        Severity::Warning => YELLOW,
        Severity::Note => DIM,
    };
    let place = diagnostic.line.as_ref().map(|line| format!(" ({line})")).unwrap_or_default();
    anstream::eprintln!("{style}{}{style:#}: {}{place}", diagnostic.severity.as_str(), diagnostic.message);
    if let Some(help) = &diagnostic.help {
        anstream::eprintln!("  {DIM}help{DIM:#}: {help}");
    }
}

const fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Template => "template",
        other => other.noun(),
    }
}

/// Why an item is called so, or why clients do not see it.
fn why(entry: &Entry) -> (Style, String) {
    let naming = entry.naming.iter().map(|naming| match naming {
        Naming::Override(line) => format!("override at {line}"),
        Naming::Prefix => "prefix".to_owned(),
        Naming::Fallback => "prefix, since others have the name".to_owned(),
        Naming::Shortened => "shortened".to_owned(),
    });
    let naming = naming.collect::<Vec<_>>().join(", ");
    match &entry.outcome {
        Outcome::Exposed if naming.is_empty() => (Style::new(), "as it is".to_owned()),
        Outcome::Exposed => (Style::new(), naming),
        Outcome::Hidden(hidden) => (DIM, format!("hidden by {} at {}", hidden.key(), hidden.line())),
        Outcome::Withheld(withheld) => (
            if *withheld == Withheld::Contested { RED } else { YELLOW },
            match withheld {
                Withheld::ListedTwice => "listed twice".to_owned(),
                Withheld::Lost { to } => format!("lost `{}` to {to}", entry.claimed_name),
                Withheld::Contested => format!("others claim `{}`, too", entry.claimed_name),
                Withheld::Guarded { owner } => format!("a policy keeps it for {}", owner.backend),
                Withheld::Awaiting { backend } => format!("a policy waits for {backend}"),
            },
        ),
    }
}
