//! What a change would come to: the catalogs before and after, compared item by item.

use std::collections::{BTreeMap, BTreeSet};

use vmcp_core::backend::BackendId;
use vmcp_core::catalog::Exposed;
use vmcp_core::desired::{Address, Desired};
use vmcp_core::diagnostic::Diagnostic;
use vmcp_core::item::Kind;
use vmcp_core::name::Name;

use crate::compile::{Backends, Catalogs, Observed};

/// What is different in a catalog.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CatalogChange {
    pub(crate) virtual_server: Name,
    pub(crate) kind: Kind,
    pub(crate) exposed_name: String,
    pub(crate) backend: Name,
    pub(crate) change: ItemChange,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ItemChange {
    Added,
    Removed,
    Renamed { from: String },
    Redescribed,
}

/// What a change would come to.
#[derive(Debug)]
pub(crate) struct Preview {
    pub(crate) changes: Vec<CatalogChange>,
    /// Backends that have not been asked, or not at their new address.
    pub(crate) not_asked: Vec<BackendId>,
    /// What there would be to say.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// An item, whatever it is called.
type Key = (Name, Kind, Name, String);

/// What is different between two desired states, with what is known of backends now; and the backends of the second that have
/// not been asked.
pub(crate) fn preview(before: &Desired, after: &Desired, known: &Backends) -> Preview {
    let wanted = backends_of(before);
    let Whole { items: before, .. } = items(before, known, &wanted);
    let Whole { items: after, not_asked, diagnostics } = items(after, known, &wanted);
    let mut changes = Vec::new();
    let mut change = |key: &Key, exposed_name: &str, change| {
        let (virtual_server, kind, backend, _) = key.clone();
        changes.push(CatalogChange {
            virtual_server,
            kind,
            exposed_name: exposed_name.to_owned(),
            backend,
            change,
        });
    };
    for (key, item) in &before {
        if !after.contains_key(key) {
            change(key, &item.exposed_name, ItemChange::Removed);
        }
    }
    for (key, item) in &after {
        match before.get(key) {
            None => change(key, &item.exposed_name, ItemChange::Added),
            Some(was) if was.exposed_name != item.exposed_name => {
                change(key, &item.exposed_name, ItemChange::Renamed { from: was.exposed_name.clone() });
            }
            Some(was) if was.definition != item.definition => {
                change(key, &item.exposed_name, ItemChange::Redescribed);
            }
            Some(_) => {}
        }
    }
    changes.sort();
    Preview { changes, not_asked, diagnostics }
}

/// What clients would see, and what there is to say about that.
struct Whole {
    items: BTreeMap<Key, Exposed>,
    not_asked: Vec<BackendId>,
    diagnostics: Vec<Diagnostic>,
}

fn items(desired: &Desired, known: &Backends, wanted: &BTreeSet<BackendId>) -> Whole {
    let mut backends = Backends::new();
    let mut not_asked = Vec::new();
    let groups = desired.virtual_servers.values().filter_map(|server| desired.groups.get(&server.group));
    for group in groups {
        let found = known.keys().filter(|id| group.toolhive.is_some() && id.group == group.name);
        // What a provider has found is where it was found.
        backends.extend(found.map(|id| (id.clone(), known.get(id).cloned().flatten())));
        for (name, address) in &group.workloads {
            let id = BackendId { group: group.name.clone(), name: name.clone() };
            let seen = known.get(&id).cloned().flatten();
            let is_asked = seen.as_ref().is_some_and(|seen| is_at(seen, address));
            // One that moves keeps what it offered until it answers at its new address.
            let seen = seen.filter(|_| is_asked || wanted.contains(&id));
            if !is_asked && !not_asked.contains(&id) {
                not_asked.push(id.clone());
            }
            backends.insert(id, seen);
        }
    }
    let mut catalogs = Catalogs::default();
    let diagnostics = catalogs.compile(desired, &backends).diagnostics;
    let items = catalogs.shares().flat_map(|(server, share)| {
        share.visible().map(move |item| {
            let key = (server.clone(), item.kind, share.backend.clone(), item.original_name.clone());
            (key, item.clone())
        })
    });
    Whole { items: items.collect(), not_asked, diagnostics }
}

fn backends_of(desired: &Desired) -> BTreeSet<BackendId> {
    let groups = desired.virtual_servers.values().filter_map(|server| desired.groups.get(&server.group));
    let ids = groups.flat_map(|group| {
        group.workloads.keys().map(|name| BackendId { group: group.name.clone(), name: name.clone() })
    });
    ids.collect()
}

/// Another address may be another server.
fn is_at(seen: &Observed, address: &Address) -> bool {
    match address {
        Address::Remote(endpoints) => seen.endpoints.urls.first() == endpoints.urls.first(),
        Address::Command(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vmcp_core::desired::Endpoints;
    use vmcp_core::inventory::Inventory;
    use vmcp_core::item::Item;
    use vmcp_manifest::{Source, read};

    use super::*;

    fn desired(text: &str) -> Desired {
        read(&[Source { name: "m", text }]).unwrap()
    }

    #[test]
    fn it_tells_what_comes_goes_and_is_called_otherwise() {
        let group = "---\nkind: group\nname: g\nworkloads: [{name: a, url: 'http://a/'}, {name: b, url: 'http://b/'}]\n";
        let server = |more: &str| format!("name: s\ngroup: g\nincoming_auth: {{type: anonymous}}\n{more}");
        let before = desired(&(server("") + group));
        let items =
            ["x", "y"].map(|name| Item::read(Kind::Tool, &format!(r#"{{"name":"{name}"}}"#)).unwrap());
        let inventory = Arc::new(Inventory { items: items.into(), ..Inventory::default() });
        let url = "http://a/".parse().unwrap();
        let id = |name: &str| BackendId { group: "g".parse().unwrap(), name: name.parse().unwrap() };
        let known = Backends::from([
            (id("a"), Some(Observed { endpoints: Endpoints::at(url), inventory })),
            (id("b"), None),
        ]);
        let told = |after: &Desired| {
            let Preview { changes, not_asked, .. } = preview(&before, after, &known);
            let changes = changes.iter().map(|change| format!("{:?} {}", change.change, change.exposed_name));
            (changes.collect::<Vec<_>>(), not_asked.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(told(&before), (vec![], vec!["g/b".to_owned()]));
        let renamed =
            "aggregation: {tools: [{workload: a, overrides: {x: {name: z}, y: {description: new}}}]}\n";
        let (changes, _) = told(&desired(&(server(renamed) + group)));
        assert_eq!(changes, ["Redescribed a_y", r#"Renamed { from: "a_x" } a_z"#]);
        let moved = group.replace("http://a/", "http://elsewhere/");
        let (changes, not_asked) = told(&desired(&(server("") + &moved)));
        assert_eq!((changes.len(), not_asked.len()), (0, 2), "it keeps what it offered: {changes:?}");
    }
}
