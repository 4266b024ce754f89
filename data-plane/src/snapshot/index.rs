//! From an exposed name to the backend that owns it.

use std::collections::HashMap;
use std::sync::Arc;

use vmcp_core::catalog::Share;
use vmcp_core::item::Kind;
use vmcp_core::limits;
use vmcp_core::template::UriTemplate;
use vmcp_mcp::{Mirror, mirrors};

use crate::backend::Backend;
use crate::snapshot::guards::{Guard, Guards};

/// The way back from what clients see.
#[derive(Debug, Default)]
pub(crate) struct Index {
    tools: HashMap<Box<str>, Target>,
    prompts: HashMap<Box<str>, Target>,
    resources: HashMap<Box<str>, Target>,
    templates: HashMap<Box<str>, Target>,
    /// In the order of the list.
    patterns: Vec<(UriTemplate, Target)>,
    /// Backends that list a scheme and authority.
    origins: HashMap<Box<str>, Vec<Target>>,
}

/// Where something belongs.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) backend: Arc<Backend>,
    /// The backend's own name for it.
    pub(crate) original_name: Arc<str>,
    /// The policies that can speak of it, where there are any.
    pub(crate) guard: Option<Guard>,
    /// Its arguments that headers mirror.
    pub(crate) mirrors: Arc<[Mirror]>,
}

/// Whom a URI belongs to.
#[derive(Debug)]
pub(crate) enum Reading<'a> {
    /// One backend.
    One(&'a Target),
    /// Nobody.
    Nobody,
    /// More than one, none more than another.
    Ambiguous,
}

impl Index {
    pub(super) fn build(offered: &[(Arc<Backend>, &Share)], guards: Option<&Guards>) -> Self {
        let mut index = Self::default();
        let is_only = offered.len() == 1;
        for (backend, share) in offered {
            let mut like = HashMap::new();
            for item in share.visible() {
                let mirrors = match item.kind {
                    Kind::Tool => mirrors(&item.definition, &limits::EXPOSED_ITEM).into(),
                    Kind::Resource | Kind::Template | Kind::Prompt => Arc::default(),
                };
                let original_name = item.original_name.as_str().into();
                let guard = guards.map(|guards| guards.guard(item, backend.id.name.as_str(), &mut like));
                let target = Target { backend: backend.clone(), original_name, guard, mirrors };
                let key: Box<str> = item.exposed_name.as_str().into();
                if matches!(item.kind, Kind::Resource | Kind::Template) {
                    index.note_origin(&key, &target);
                }
                match item.kind {
                    Kind::Tool => drop(index.tools.insert(key, target)),
                    Kind::Prompt => drop(index.prompts.insert(key, target)),
                    Kind::Resource => drop(index.resources.insert(key, target)),
                    Kind::Template => {
                        let pattern = UriTemplate::parse(&key).ok();
                        // One that matches every scheme would take the reads of all others.
                        let pattern = pattern.filter(|pattern| is_only || pattern.has_scheme());
                        index.patterns.extend(pattern.map(|pattern| (pattern, target.clone())));
                        index.templates.insert(key, target);
                    }
                }
            }
        }
        index
    }

    pub(crate) fn tool(&self, exposed_name: &str) -> Option<&Target> {
        self.tools.get(exposed_name)
    }

    /// What guards an item.
    pub(super) fn guard(&self, kind: Kind, exposed_name: &str) -> Option<&Guard> {
        let all = match kind {
            Kind::Tool => &self.tools,
            Kind::Prompt => &self.prompts,
            Kind::Resource => &self.resources,
            Kind::Template => &self.templates,
        };
        all.get(exposed_name)?.guard.as_ref()
    }

    pub(crate) fn prompt(&self, exposed_name: &str) -> Option<&Target> {
        self.prompts.get(exposed_name)
    }

    /// Whose template or resource a completion refers to.
    pub(crate) fn template(&self, uri: &str) -> Option<&Target> {
        self.templates.get(uri).or_else(|| self.resources.get(uri))
    }

    /// Whether some backend lists a URI as it is.
    pub(crate) fn lists(&self, uri: &str) -> bool {
        self.resources.contains_key(uri)
    }

    /// Whether a URI is of a template whose text is like this.
    pub(crate) fn is_of_template(&self, uri: &str, is_like: fn(&str) -> bool) -> bool {
        let alike =
            self.patterns.iter().filter(|(pattern, of)| is_like(&of.original_name) && pattern.begins(uri));
        // With more than that it is nobody's.
        alike.take(limits::TEMPLATES_TRIED).any(|(pattern, _)| pattern.matches(uri))
    }

    /// Whom a URI belongs to: by exact URI, then template, then to the only backend that lists its scheme and authority.
    pub(crate) fn resource(&self, uri: &str) -> Reading<'_> {
        if let Some(target) = self.resources.get(uri) {
            return Reading::One(target);
        }
        let near = || self.patterns.iter().filter(|(pattern, _)| pattern.begins(uri));
        if near().count() > limits::TEMPLATES_TRIED {
            return Reading::Ambiguous;
        }
        let matching = near().filter(|(pattern, _)| pattern.matches(uri)).map(|(_, target)| target);
        match only(matching) {
            Reading::Nobody => only(self.origins.get(origin(uri)).into_iter().flatten()),
            found => found,
        }
    }

    fn note_origin(&mut self, uri: &str, target: &Target) {
        let targets = self.origins.entry(origin(uri).into()).or_default();
        if !targets.iter().any(|known| known.backend.id == target.backend.id) {
            targets.push(target.clone());
        }
    }
}

/// The one backend among `targets`.
fn only<'a>(mut targets: impl Iterator<Item = &'a Target>) -> Reading<'a> {
    let Some(first) = targets.next() else { return Reading::Nobody };
    if targets.all(|other| other.backend.id == first.backend.id) {
        Reading::One(first)
    } else {
        Reading::Ambiguous
    }
}

/// Scheme and authority: `file:///a/b` is `file://`, `note://x/y` is `note://x`; a template's expression ends it.
fn origin(uri: &str) -> &str {
    let start = uri.find("://").map_or_else(|| uri.find(':').map_or(0, |colon| colon + 1), |at| at + 3);
    let length = uri[start..].find(['/', '?', '#', '{']).unwrap_or(uri.len() - start);
    &uri[..start + length]
}
