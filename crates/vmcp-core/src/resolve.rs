//! Conflict resolution: which backend's item is exposed under which name. A function of its arguments alone.

use std::collections::{BTreeMap, HashMap};

use crate::catalog::{Exposed, Share};
use crate::desired::{ConflictResolution, VirtualServer};
use crate::diagnostic::{Diagnostic, Severity};
use crate::inventory::Inventory;
use crate::item::{Item, Kind};
use crate::limits;
use crate::name::Name;

/// The catalog of a virtual server: shares ordered by backend name, and what there is to say about it.
///
/// Tools and prompts are renamed; resources and templates keep their URIs. A name that two backends claim is withheld
/// from both, whatever the order; a URI that two claim stays with the first backend by name; what one backend lists
/// twice counts once.
pub fn resolve(
    server: &VirtualServer,
    inventories: &BTreeMap<Name, &Inventory>,
) -> (Vec<Share>, Vec<Diagnostic>) {
    let claims = claims(server, inventories);
    let mut diagnostics = Vec::new();
    let mut shares = Vec::with_capacity(inventories.len());
    for (backend, inventory) in inventories {
        let mut tell = |severity, message| {
            let (virtual_server, backend) = (server.name.clone(), Some(backend.clone()));
            diagnostics.push(Diagnostic { severity, virtual_server, backend, message });
        };
        for fault in &inventory.faults {
            tell(Severity::Warning, fault.clone());
        }
        let mut items = Vec::with_capacity(inventory.items.len());
        for (index, item) in inventory.items.iter().enumerate() {
            let exposed_name = exposed_name(server, backend, item);
            let verdict = verdict(item, &exposed_name, &claims, (backend, index));
            if let Some((severity, message)) = verdict.message {
                tell(severity, message);
            }
            if verdict.is_exposed {
                let definition = item.defined_as(&exposed_name);
                let original_name = item.original_name.clone();
                items.push(Exposed { kind: item.kind, exposed_name, original_name, definition });
            }
        }
        let instructions = inventory.instructions.clone();
        shares.push(Share { backend: backend.clone(), items, completes: inventory.completes, instructions });
    }
    diagnostics.sort();
    (shares, diagnostics)
}

/// Who would expose an item under a name: the backend, and the item's place in its inventory.
type Claimant<'a> = (&'a Name, usize);
type Claims<'a> = HashMap<(Kind, String), Vec<Claimant<'a>>>;

/// Every claim, in the order of backends and of their lists.
fn claims<'a>(server: &VirtualServer, inventories: &'a BTreeMap<Name, &Inventory>) -> Claims<'a> {
    let mut claims = Claims::new();
    for (backend, inventory) in inventories {
        for (index, item) in inventory.items.iter().enumerate() {
            let name = exposed_name(server, backend, item);
            claims.entry((item.kind, name)).or_default().push((backend, index));
        }
    }
    claims
}

fn exposed_name(server: &VirtualServer, backend: &Name, item: &Item) -> String {
    let ConflictResolution::Prefix(format) = &server.conflict_resolution;
    match item.kind {
        Kind::Tool | Kind::Prompt => format.apply(backend, &item.original_name),
        Kind::Resource | Kind::Template => item.original_name.clone(),
    }
}

struct Verdict {
    is_exposed: bool,
    message: Option<(Severity, String)>,
}

fn verdict(item: &Item, exposed_name: &str, claims: &Claims<'_>, claimant: Claimant<'_>) -> Verdict {
    let all = claims.get(&(item.kind, exposed_name.to_owned())).map_or(&[][..], Vec::as_slice);
    let noun = item.kind.noun();
    let hidden = |message| Verdict { is_exposed: false, message: Some((Severity::Warning, message)) };
    let (backend, index) = claimant;
    if all.iter().any(|(other, earlier)| *other == backend && *earlier < index) {
        return hidden(format!("{noun} `{}` is listed twice; the first one counts", item.original_name));
    }
    let rival = all.iter().map(|(other, _)| *other).find(|other| *other != backend);
    match (rival, item.kind) {
        (None, Kind::Tool | Kind::Prompt) => {
            Verdict { is_exposed: true, message: unusual_name(noun, exposed_name) }
        }
        (None, Kind::Resource | Kind::Template) => Verdict { is_exposed: true, message: None },
        (Some(rival), Kind::Tool | Kind::Prompt) => hidden(format!(
            "{noun} `{}` is hidden: `{rival}` claims the name `{exposed_name}` too; choose another `prefix_format`",
            item.original_name,
        )),
        (Some(rival), Kind::Resource | Kind::Template) if rival < backend => {
            hidden(format!("{noun} `{exposed_name}` is hidden: `{rival}` offers the same"))
        }
        (Some(_), Kind::Resource | Kind::Template) => Verdict { is_exposed: true, message: None },
    }
}

/// MCP 2025-11-25, Tools, Tool Names; and what popular clients accept. Named, not hidden.
fn unusual_name(noun: &str, name: &str) -> Option<(Severity, String)> {
    let is_usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if let Some(stranger) = name.chars().find(|c| !is_usual(*c)) {
        return Some((
            Severity::Warning,
            format!("{noun} `{name}` has a `{stranger}`, which some clients refuse"),
        ));
    }
    let length = name.chars().count();
    (length > limits::NAME_CHARACTERS).then(|| {
        let longest = limits::NAME_CHARACTERS;
        (Severity::Warning, format!("{noun} `{name}` has {length} characters; some clients accept {longest}"))
    })
}

#[cfg(test)]
mod tests;
