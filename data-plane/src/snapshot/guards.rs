//! What policies say of a virtual server's items: asked call by call, and once per principal for lists.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use moka::sync::Cache;
use vmcp_authz::{Act, Decision, Described, Guarded, Hints, Policies, Subject};
use vmcp_core::catalog::Exposed;
use vmcp_core::item::Kind;
use vmcp_core::limits;
use vmcp_json::{Object, Value};

use crate::principal::Identity;
use crate::refusal::Refusal;
use crate::snapshot::lists::Lists;
use crate::snapshot::normal::{is_normal, ornaments};
use crate::snapshot::{Index, Reading, Target};
use crate::watch::Heard;

/// An item with the policies that can speak of it.
pub(crate) type Guard = Arc<Guarded>;

/// Who is decided about alike: what policies read of a principal, and the grant that it has come with.
type View = ([u8; 32], Arc<str>);

/// The policies of one virtual server, with what was decided by them.
pub(crate) struct Guards {
    policies: Arc<Policies>,
    /// By all that is said of them.
    subjects: Cache<[u8; 32], Arc<Seen>>,
    lists: Cache<View, Arc<Lists>>,
    /// Without arguments, by class of items.
    decided: Cache<(View, u64, Box<str>), Arc<Decision>>,
}

/// A principal as policies see it.
struct Seen {
    subject: Subject,
    view: View,
}

impl fmt::Debug for Guards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guards")
    }
}

impl Guards {
    pub(super) fn new(policies: Arc<Policies>) -> Self {
        let lists = Cache::builder()
            .weigher(|_: &View, lists: &Arc<Lists>| u32::try_from(lists.bytes()).unwrap_or(u32::MAX))
            .max_capacity(limits::FILTERED_LISTS_BYTES)
            .build();
        let subjects = Cache::new(limits::DECISIONS);
        Self { policies, subjects, lists, decided: Cache::new(limits::DECISIONS) }
    }

    /// The same policies, of which nothing has been decided.
    pub(super) fn anew(&self) -> Self {
        Self::new(self.policies.clone())
    }

    /// What guards an item; `like`: another one of its backend, by what is done with it.
    pub(super) fn guard(&self, item: &Exposed, backend: &str, like: &mut HashMap<Act, Guard>) -> Guard {
        let act = Act::on(item.kind);
        let hints = if item.kind == Kind::Tool { hints(&item.definition) } else { Hints::default() };
        let (exposed_name, original_name) = (item.exposed_name.as_str(), item.original_name.as_str());
        let described = Described { act, exposed_name, original_name, backend, hints };
        let guard = Arc::new(self.policies.guard(described, like.get(&act).map(Arc::as_ref)));
        if !self.policies.is_named(act, exposed_name) {
            like.entry(act).or_insert_with(|| guard.clone());
        }
        guard
    }

    /// Whether arguments decide about anything.
    pub(crate) fn read_arguments(&self) -> bool {
        self.policies.arguments_read().next().is_some()
    }

    /// Whether policies speak of an item by its name.
    pub(super) fn names(&self, kind: Kind, name: &str) -> bool {
        self.policies.names(Act::on(kind), name)
    }

    /// What guards a URI: what guards the item that has it, seen under that URI. `None`: nobody has it, or it is one that nobody lists and
    /// that a backend may read as another one.
    pub(crate) fn of_uri(&self, index: &Index, uri: &str) -> Option<Guard> {
        let is_sure = || is_normal(uri) && ornaments(uri).all(|has| index.is_of_template(uri, has));
        if !index.lists(uri) && !is_sure() {
            return None;
        }
        match index.resource(uri) {
            Reading::One(target) => Some(self.under(target, Act::ReadResource, uri)),
            Reading::Nobody | Reading::Ambiguous => None,
        }
    }

    /// The same item under the policies that there are now.
    pub(crate) fn again(&self, before: &Guarded) -> Guard {
        Arc::new(self.policies.guard_again(before))
    }

    /// What guards something that is heard of. `None`: its backend does not have it any more, or never had.
    pub(crate) fn of_heard(&self, index: &Index, heard: &Heard) -> Option<Guard> {
        let (target, guard) = match heard.kind {
            Kind::Tool => index.tool(&heard.name).map(|target| (target, target.guard.clone()))?,
            _ => match index.resource(&heard.name) {
                Reading::One(target) => (target, self.of_uri(index, &heard.name)),
                Reading::Nobody | Reading::Ambiguous => return None,
            },
        };
        guard.filter(|_| target.backend.id == heard.backend)
    }

    /// The same of what one caller alone was offered, and nothing is kept of. `None`, too, where policies ask for more of it than its name.
    pub(crate) fn of_own(&self, heard: &Heard) -> Option<Guard> {
        let (act, exposed_name, backend) =
            (Act::on(heard.kind), heard.name.as_str(), heard.backend.name.as_str());
        let described =
            Described { act, exposed_name, original_name: exposed_name, backend, hints: Hints::default() };
        let guard = self.policies.guard(described, None);
        (!guard.is_described()).then(|| Arc::new(guard))
    }

    fn under(&self, target: &Target, act: Act, uri: &str) -> Guard {
        match &target.guard {
            Some(guard) if guard.name() == uri => guard.clone(),
            known => {
                let backend = target.backend.id.name.as_str();
                let hints = Hints::default();
                let described = Described { act, exposed_name: uri, original_name: uri, backend, hints };
                // A template that policies name is not every URI that it describes.
                let like = known.as_deref().filter(|known| !self.policies.is_named(act, known.name()));
                Arc::new(self.policies.guard(described, like))
            }
        }
    }

    /// The arguments that policies read. One that is there twice could be read as either, and what is no object as anything.
    pub(crate) fn arguments<'a>(&self, said: Option<Value<'a>>) -> Result<Vec<(String, &'a str)>, Refusal> {
        let Some(said) = said.filter(|said| said.raw() != "null") else { return Ok(Vec::new()) };
        // A backend may read into anything else what nobody has judged.
        let arguments = said
            .as_object()
            .ok_or_else(|| Refusal::malformed_params("`params.arguments` is not an object"))?;
        if arguments.duplicate().is_some() {
            return Err(Refusal::malformed_params("a member of `params.arguments` is there twice"));
        }
        let mut read: Vec<(String, &'a str)> = Vec::new();
        for name in self.policies.arguments_read() {
            let value = arguments.get(name).filter(|_| read.iter().all(|(known, _)| known != name));
            if value.is_some_and(is_ambiguous) {
                return Err(Refusal::malformed_params("a member of an argument is there twice"));
            }
            read.extend(value.map(|value| (name.to_owned(), value.raw())));
        }
        Ok(read)
    }

    /// Whether a principal may do what is done with an item without arguments.
    pub(crate) fn allows(&self, identity: &Identity, guard: Option<&Guarded>) -> bool {
        self.decision(identity, guard, &[]).is_some_and(|decision| decision.is_allowed)
    }

    /// What policies say of what a principal does with an item. What nothing guards is not there.
    pub(crate) fn decision(
        &self,
        identity: &Identity,
        guard: Option<&Guarded>,
        arguments: &[(String, &str)],
    ) -> Option<Arc<Decision>> {
        let guard = guard?;
        let seen = self.seen(identity);
        if guard.reads_arguments() {
            let arguments: Vec<(&str, &str)> =
                arguments.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            return Some(Arc::new(self.decide(&seen.subject, guard, &arguments)));
        }
        let (chosen, class) = guard.class();
        let key = (seen.view.clone(), chosen, class.into());
        Some(self.decided.get_with(key, || Arc::new(self.decide(&seen.subject, guard, &[]))))
    }

    /// The lists that a principal sees: what it may use without arguments.
    pub(crate) fn lists(&self, identity: &Identity, whole: &Lists) -> Arc<Lists> {
        let seen = self.seen(identity);
        self.lists.get_with(seen.view.clone(), || {
            let mut decided: HashMap<(u64, Box<str>), bool> = HashMap::new();
            Arc::new(whole.filtered(|guard| {
                let guard: &Guard = match guard {
                    Some(guard) => guard,
                    None => return false,
                };
                let (chosen, class) = guard.class();
                *decided
                    .entry((chosen, class.into()))
                    .or_insert_with(|| self.decide(&seen.subject, guard, &[]).is_allowed)
            }))
        })
    }

    fn decide(&self, subject: &Subject, guard: &Guarded, arguments: &[(&str, &str)]) -> Decision {
        let decision = self.policies.decide(subject, guard, arguments);
        if let Some(error) = &decision.error {
            tracing::warn!(item = guard.name(), error, "a policy cannot be evaluated, so it is denied");
        }
        decision
    }

    fn seen(&self, identity: &Identity) -> Arc<Seen> {
        let (grant, mark) = identity.marks();
        self.subjects.get_with(mark, || {
            let subject = self.policies.subject(identity.claims());
            let view = (grant, subject.view().into());
            Arc::new(Seen { subject, view })
        })
    }
}

/// Whether something within it is there twice.
fn is_ambiguous(value: Value<'_>) -> bool {
    if let Some(object) = value.as_object() {
        return object.duplicate().is_some() || object.members().any(|member| is_ambiguous(member.value));
    }
    value.as_array().is_some_and(|mut items| items.any(is_ambiguous))
}

/// What a tool says of itself (MCP, `ToolAnnotations`), as its definition has it under its exposed name.
fn hints(definition: &[u8]) -> Hints {
    let Ok(object) = Object::parse(definition, &limits::EXPOSED_ITEM) else { return Hints::default() };
    let Some(annotations) = object.get("annotations").and_then(|value| value.as_object()) else {
        return Hints::default();
    };
    let hint = |name: &str| match annotations.get(name)?.raw() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    };
    Hints {
        read_only: hint("readOnlyHint"),
        destructive: hint("destructiveHint"),
        idempotent: hint("idempotentHint"),
        open_world: hint("openWorldHint"),
    }
}
