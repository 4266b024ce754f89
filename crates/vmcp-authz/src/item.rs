//! An item as policies see it.

use std::sync::Arc;

use cedar_policy::{Entity, EntityUid, RestrictedExpression};

use crate::compile::Policies;
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

/// What a tool says of itself (MCP, `ToolAnnotations`); absent where it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hints {
    /// It changes nothing.
    pub read_only: Option<bool>,
    /// It may destroy something.
    pub destructive: Option<bool>,
    /// Calling it twice is like calling it once.
    pub idempotent: Option<bool>,
    /// It reaches beyond what the server knows.
    pub open_world: Option<bool>,
}

/// An item with the policies that can speak of it.
#[derive(Debug, Clone)]
pub struct Guarded {
    pub(crate) act: Act,
    pub(crate) uid: EntityUid,
    pub(crate) attributes: Vec<(String, RestrictedExpression)>,
    pub(crate) entity: Option<Entity>,
    pub(crate) parents: Vec<EntityUid>,
    pub(crate) chosen: Arc<Chosen>,
    pub(crate) class: Box<str>,
}

impl Hints {
    fn all(self) -> [(&'static str, Option<bool>); 4] {
        [
            ("readOnlyHint", self.read_only),
            ("destructiveHint", self.destructive),
            ("idempotentHint", self.idempotent),
            ("openWorldHint", self.open_world),
        ]
    }
}

impl Guarded {
    /// Items of one class are decided about alike, as long as they are called with nothing.
    pub fn class(&self) -> (usize, &str) {
        (Arc::as_ptr(&self.chosen) as usize, &self.class)
    }

    /// Its exposed name, or its URI.
    pub fn name(&self) -> &str {
        self.uid.id().unescaped()
    }

    /// Whether what it is called with matters.
    pub fn reads_arguments(&self) -> bool {
        self.chosen.reads_arguments
    }
}

impl Policies {
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
        let mut class = String::new();
        if chosen.looks_at_items {
            class.push_str(exposed_name);
        }
        for name in &chosen.item_attributes {
            let text = texts.iter().find(|(known, _)| known == name).map(|(_, text)| (*text).to_owned());
            let hint =
                || hints.all().into_iter().find(|(known, _)| known == name).map(|(_, is)| format!("{is:?}"));
            class.push_str(&text.or_else(hint).unwrap_or_else(|| exposed_name.to_owned()));
            class.push('\0');
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
        let item = self.types.item(act, exposed_name);
        let entity = self.given.complete(item.clone(), attributes.iter().cloned(), parents.clone());
        Guarded { act, uid: item, attributes, entity, parents, chosen, class: class.into() }
    }
}
