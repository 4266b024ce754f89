//! What lists are answered with: definitions joined once, when the snapshot is built.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use vmcp_core::catalog::Share;
use vmcp_core::item::Kind;
use vmcp_core::limits;
use vmcp_core::name::Name;

use crate::backend::Backend;
use crate::snapshot::guards::Guard;
use crate::snapshot::index::Index;

/// The lists of one virtual server.
#[derive(Debug)]
pub(crate) struct Lists {
    lists: [List; 4],
}

/// All items of one kind, ordered by backend name, then as the backend listed them.
#[derive(Debug)]
pub(crate) struct List {
    items: Vec<Listed>,
    first_page: Bytes,
    /// Changes exactly when the list does.
    pub(crate) fingerprint: u64,
}

#[derive(Debug, Clone)]
struct Listed {
    backend: Name,
    exposed_name: String,
    definition: Bytes,
    guard: Option<Guard>,
}

/// A part of a list.
#[derive(Debug)]
pub(crate) struct Page {
    /// Definitions with commas between them.
    pub(crate) items: Bytes,
    /// The last item, if more follow it.
    pub(crate) last: Option<Position>,
}

/// An item to go on behind. It needs not be there any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) backend: Name,
    pub(crate) exposed_name: String,
}

impl Lists {
    pub(super) fn build(offered: &[(Arc<Backend>, &Share)], index: &Index) -> Self {
        Self { lists: Kind::ALL.map(|kind| List::build(kind, offered, index)) }
    }

    /// Those items alone that are to be seen.
    pub(super) fn filtered(&self, mut is_seen: impl FnMut(Option<&Guard>) -> bool) -> Self {
        let lists = self.lists.each_ref();
        Self {
            lists: lists.map(|list| {
                List::of(list.items.iter().filter(|item| is_seen(item.guard.as_ref())).cloned().collect())
            }),
        }
    }

    /// Whether something of a backend is listed.
    pub(crate) fn has_any_of(&self, backend: &Name) -> bool {
        self.lists.iter().any(|list| list.items.binary_search_by(|item| item.backend.cmp(backend)).is_ok())
    }

    /// What they take, about; definitions are shared with the whole.
    pub(super) fn bytes(&self) -> usize {
        let of = |list: &List| list.first_page.len() + list.items.len() * (size_of::<Listed>() + 64);
        self.lists.iter().map(of).sum()
    }

    pub(crate) fn of(&self, kind: Kind) -> &List {
        let place = Kind::ALL.iter().position(|known| *known == kind).unwrap_or_default();
        &self.lists[place]
    }
}

impl List {
    fn build(kind: Kind, offered: &[(Arc<Backend>, &Share)], index: &Index) -> Self {
        let items = offered.iter().flat_map(|(_, share)| {
            share.visible().filter(|item| item.kind == kind).map(|item| Listed {
                backend: share.backend.clone(),
                exposed_name: item.exposed_name.clone(),
                definition: item.definition.clone(),
                guard: index.guard(kind, &item.exposed_name).cloned(),
            })
        });
        Self::of(items.collect())
    }

    fn of(items: Vec<Listed>) -> Self {
        let mut hasher = DefaultHasher::new();
        items.iter().for_each(|item| item.definition.hash(&mut hasher));
        let first_page = join(items.iter().take(limits::PAGE_ITEMS));
        Self { items, first_page, fingerprint: hasher.finish() }
    }

    pub(crate) fn first_page(&self) -> Page {
        Page { items: self.first_page.clone(), last: self.last_of_page(0) }
    }

    /// The page behind an item; where that item is gone, behind where its backend's items were.
    pub(crate) fn page_behind(&self, position: &Position) -> Page {
        let exact = self
            .items
            .iter()
            .position(|item| item.backend == position.backend && item.exposed_name == position.exposed_name);
        let start = match exact {
            Some(at) => at + 1,
            None => self.items.partition_point(|item| item.backend <= position.backend),
        };
        let items = join(self.items[start..].iter().take(limits::PAGE_ITEMS));
        Page { items, last: self.last_of_page(start) }
    }

    fn last_of_page(&self, start: usize) -> Option<Position> {
        let end = start + limits::PAGE_ITEMS;
        if end >= self.items.len() {
            return None;
        }
        let last = &self.items[end - 1];
        Some(Position { backend: last.backend.clone(), exposed_name: last.exposed_name.clone() })
    }
}

fn join<'a>(items: impl Iterator<Item = &'a Listed>) -> Bytes {
    let mut joined = Vec::new();
    for item in items {
        if !joined.is_empty() {
            joined.push(b',');
        }
        joined.extend_from_slice(&item.definition);
    }
    joined.into()
}

/// Every backend's instructions under its name, within a bound; what does not fit is left out whole.
pub(super) fn sections<'a>(shares: impl Iterator<Item = &'a Share>) -> Vec<(Name, String)> {
    let (mut sections, mut bytes) = (Vec::new(), 0);
    for share in shares {
        let Some(text) = share.instructions.as_deref().map(str::trim).filter(|text| !text.is_empty()) else {
            continue;
        };
        let section = format!("# {}\n\n{text}\n\n", share.backend);
        if bytes + section.len() <= limits::INSTRUCTIONS_BYTES {
            bytes += section.len();
            sections.push((share.backend.clone(), section));
        }
    }
    sections
}
