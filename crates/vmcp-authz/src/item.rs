//! An item as policies see it.

use std::sync::{Arc, OnceLock};

use cedar_policy::{Entities, Entity, EntityUid, RestrictedExpression};

use crate::compile::Policies;
use crate::hints::Hints;
use crate::select::Chosen;
use crate::vocabulary::{Act, uid};

/// What an item is, as far as policies may ask.
#[derive(Debug, Clone, Copy)]
pub struct Described<'a> {
    /// What is done with it.
    pub act: Act,
    /// Its exposed name, or its URI.
    pub exposed_name: &'a str,
    /// The backend's own name for it.
    pub original_name: &'a str,
    /// Whose it is.
    pub backend: &'a str,
    /// What a tool says of itself.
    pub hints: Hints,
}

/// An item with the policies that can speak of it.
#[derive(Debug, Clone)]
pub struct Guarded {
    pub(crate) act: Act,
    pub(crate) uid: EntityUid,
    pub(crate) attributes: Vec<(String, RestrictedExpression)>,
    pub(crate) entity: Option<Entity>,
    /// It alone, beside what is written out: made when it is asked for.
    pub(crate) entities: OnceLock<Result<Arc<Entities>, String>>,
    pub(crate) parents: Vec<EntityUid>,
    pub(crate) chosen: Arc<Chosen>,
    pub(crate) class: Box<str>,
}

impl Guarded {
    /// Items of one class are decided about alike, as long as they are called with nothing.
    pub fn class(&self) -> (u64, &str) {
        (self.chosen.serial, &self.class)
    }

    /// Its exposed name, or its URI.
    pub fn name(&self) -> &str {
        self.uid.id().unescaped()
    }

    /// Whether it matters what its backend calls it, or what it says of itself.
    pub fn is_described(&self) -> bool {
        let asked = &self.chosen.item_attributes;
        asked.contains("original_name") || Hints::NAMES.iter().any(|name| asked.contains(*name))
    }

    /// Whether what it is called with matters.
    pub fn reads_arguments(&self) -> bool {
        self.chosen.reads_arguments
    }
}

impl Policies {
    /// The policies that can speak of an item, by id, in order.
    pub fn considered(&self, item: &Guarded) -> Vec<String> {
        let mut all: Vec<String> = item.chosen.rules.iter().map(|asked| self.shown_id(&asked.id)).collect();
        all.sort();
        all
    }

    /// Each policy, by id, and which text of the list it stands in.
    pub fn places(&self) -> impl Iterator<Item = (String, usize)> {
        self.read.iter().map(|read| (self.shown_id(read.policy.id()), read.place))
    }

    /// An item with the policies that can speak of it. `like`: one of the same backend, whose policies it shares where none names either.
    pub fn guard(&self, item: Described<'_>, like: Option<&Guarded>) -> Guarded {
        let Described { act, exposed_name, original_name, backend, hints } = item;
        let is_named = self.selection.speaks_of(act, exposed_name);
        let shared = like.filter(|like| !is_named && like.act == act).map(|like| like.chosen.clone());
        let chosen =
            shared.unwrap_or_else(|| self.selection.choose(act, is_named.then_some(exposed_name), backend));
        let (operation, feature) = act.operation();
        let mut texts = vec![
            ("name", exposed_name),
            ("original_name", original_name),
            ("backend", backend),
            ("operation", operation),
            ("feature", feature),
        ];
        if act == Act::ReadResource {
            texts.push(("uri", exposed_name));
        }
        let item = self.types.item(act, exposed_name);
        // Each with its length before it, so that no two lists of values come to the same.
        let mut class = String::new();
        let mut differs_by = |value: &str| class.extend([&value.len().to_string(), ":", value]);
        if chosen.looks_at_items || self.given.entities.contains_key(&item) {
            differs_by(exposed_name);
        }
        for name in &chosen.item_attributes {
            let text = texts.iter().find(|(known, _)| known == name).map(|(_, text)| (*text).to_owned());
            let hint =
                || hints.all().into_iter().find(|(known, _)| known == name).map(|(_, is)| format!("{is:?}"));
            differs_by(&text.or_else(hint).unwrap_or_else(|| exposed_name.to_owned()));
        }
        let texts = texts
            .into_iter()
            .map(|(name, text)| (name.to_owned(), RestrictedExpression::new_string(text.to_owned())));
        let hints = hints
            .all()
            .into_iter()
            .filter_map(|(name, is)| Some((name.to_owned(), RestrictedExpression::new_bool(is?))));
        let attributes: Vec<_> = texts.chain(hints).collect();
        let (backend, server) = (uid(&self.types.backend, backend), uid(&self.types.mcp, &self.server));
        let parents = vec![backend, server];
        let entity = self.given.complete(item.clone(), attributes.iter().cloned(), parents.clone());
        let entities = OnceLock::new();
        Guarded { act, uid: item, attributes, entity, entities, parents, chosen, class: class.into() }
    }
    /// An item that was seen under other policies, seen under these.
    pub fn guard_again(&self, before: &Guarded) -> Guarded {
        let Guarded { act, uid: item, attributes, parents, .. } = before;
        let name: &str = item.id().unescaped();
        let is_named = self.selection.speaks_of(*act, name);
        let backend = parents.first().map_or("", |backend| backend.id().unescaped());
        let chosen = self.selection.choose(*act, is_named.then_some(name), backend);
        // No other class begins so: it is decided about by itself.
        let mut class = format!("={item}");
        for (name, value) in attributes {
            class.extend([" ", name, "=", &format!("{value:?}")]);
        }
        let entity = self.given.complete(item.clone(), attributes.iter().cloned(), parents.clone());
        Guarded { entity, entities: OnceLock::new(), chosen, class: class.into(), ..Guarded::clone(before) }
    }
}
