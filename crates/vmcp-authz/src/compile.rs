//! From the texts of policies to what decides: each is read, all are held to one schema, and sorted by what they can speak of.

use std::collections::{BTreeSet, HashMap};

use cedar_policy::pst::{self, EntityUID};
use cedar_policy::{Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use vmcp_core::boundary::Authorization;
use vmcp_core::limits;

use crate::entity::Given;
use crate::fault::PolicyFault;
use crate::infer::Uses;
use crate::named::{entities_named, items_named};
use crate::schema::schema;
use crate::select::Selection;
use crate::vocabulary::{ACTION, Act, GROUP, Types};

/// Policies that decide.
#[derive(Debug)]
pub struct Policies {
    pub(crate) server: String,
    pub(crate) types: Types,
    pub(crate) group_claim: Option<String>,
    pub(crate) role_claim: Option<String>,
    pub(crate) given: Given,
    pub(crate) uses: Uses,
    pub(crate) selection: Selection,
    /// As an operator calls them.
    pub(crate) ids: HashMap<PolicyId, String>,
    pub(crate) read: Vec<Read>,
    named: BTreeSet<(Act, String)>,
    /// What is odd about them, whoever offers what.
    pub(crate) odd: Vec<PolicyFault>,
}

/// A policy, and which text of the list it stands in.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) place: usize,
    pub(crate) offset: usize,
    pub(crate) policy: Policy,
    pub(crate) tree: pst::Template,
}

impl Read {
    /// As an operator calls it, or its place in the list.
    fn shown_id(&self) -> String {
        let annotated = self.policy.annotation("id").filter(|id| !id.is_empty());
        annotated.map_or_else(|| self.policy.id().to_string(), ToOwned::to_owned)
    }
}

impl Policies {
    /// Policies of a virtual server.
    ///
    /// # Errors
    /// Everything that is wrong with them: what is no policy, what reads an attribute that need not be there without asking for it, what
    /// compares what cannot be compared.
    pub fn compile(server: &str, authorization: &Authorization) -> Result<Self, Vec<PolicyFault>> {
        let mut faults = Vec::new();
        let given = match &authorization.entities {
            Some(text) => Given::read(text).unwrap_or_else(|fault| {
                faults.push(fault);
                Given::default()
            }),
            None => Given::default(),
        };
        let mut read = Vec::new();
        for (place, text) in authorization.policies.iter().enumerate() {
            match statements(place, text) {
                Ok(statements) => read.extend(statements),
                Err(found) => faults.extend(found),
            }
        }
        if read.len() > limits::POLICIES {
            let message = format!("there are more than {} policies", limits::POLICIES);
            faults.push(PolicyFault::new(0, 0, message));
        }
        faults.extend(read.iter().filter_map(|read| {
            let why = spelled_as_asked(&read.tree).err()?;
            Some(PolicyFault::new(read.place, read.offset, why))
        }));
        let has_entities_at_fault = faults.iter().any(|fault| fault.policy.is_none());
        let (uses, contradictions) = Uses::of(read.iter().map(|read| (read.place, &read.tree)));
        let contradict: BTreeSet<usize> = contradictions.iter().map(|(place, _)| *place).collect();
        faults.extend(contradictions.into_iter().map(|(place, why)| PolicyFault::new(place, 0, why)));
        let group_type = authorization.group_type.as_deref().unwrap_or(GROUP);
        let types = Types::new(group_type);
        if types.is_none() {
            let message = format!("`{group_type}` cannot be the name of a type");
            faults.push(PolicyFault { policy: None, offset: 0, message, help: None });
        }
        let mut odd = Vec::new();
        if !has_entities_at_fault && types.is_some() {
            match schema(&uses, &given, group_type) {
                Ok(schema) => {
                    // What contradicts others is at fault already, and what could not be read is not there.
                    let (wrong, found) =
                        held_to(read.iter().filter(|read| !contradict.contains(&read.place)), schema);
                    faults.extend(wrong);
                    odd = found;
                }
                Err(message) => faults.push(PolicyFault { policy: None, offset: 0, message, help: None }),
            }
        }
        let Some(types) = types.filter(|_| faults.is_empty()) else {
            faults.sort_by_key(|fault| (fault.policy, fault.offset));
            // Cedar says the same of every action.
            faults.dedup_by_key(|fault| (fault.policy, fault.offset));
            return Err(faults);
        };
        let selection = selected(&read, !given.entities.is_empty())?;
        let ids = read.iter().map(|read| (read.policy.id().clone(), read.shown_id())).collect();
        let named = read.iter().flat_map(|read| items_named(&read.tree)).collect();
        Ok(Self {
            server: server.to_owned(),
            types,
            group_claim: authorization.group_claim.clone(),
            role_claim: authorization.role_claim.clone(),
            given,
            uses,
            selection,
            ids,
            read,
            named,
            odd,
        })
    }

    /// Whether policies name this very item in front.
    pub fn is_named(&self, act: Act, name: &str) -> bool {
        self.selection.speaks_of(act, name)
    }

    /// The items that policies name, in front or in conditions, which must not pass to another owner by themselves.
    pub fn named_items(&self) -> impl Iterator<Item = (Act, &str)> {
        self.named.iter().map(|(act, name)| (*act, name.as_str()))
    }

    /// Whether policies name an item, in front or in conditions.
    pub fn names(&self, act: Act, name: &str) -> bool {
        self.named.contains(&(act, name.to_owned()))
    }
}

/// By what they can speak of.
fn selected(read: &[Read], has_entities: bool) -> Result<Selection, Vec<PolicyFault>> {
    let (mut selection, mut faults) = (Selection::default(), Vec::new());
    for read in read {
        let mut own = Uses::default();
        own.add(&read.tree);
        let added = selection.add(&read.policy, (&own, &read.tree), has_entities);
        faults.extend(added.err().map(|why| PolicyFault::new(read.place, read.offset, why)));
    }
    if faults.is_empty() { Ok(selection) } else { Err(faults) }
}

/// The policies of one text: `policy3`, or if there are several, `policy3.0` and so on.
fn statements(place: usize, text: &str) -> Result<Vec<Read>, Vec<PolicyFault>> {
    let set: PolicySet = text.parse().map_err(|errors: cedar_policy::ParseErrors| {
        errors.iter().map(|error| PolicyFault::of(place, error)).collect::<Vec<_>>()
    })?;
    if let Some(template) = set.templates().next() {
        let message =
            format!("`{}` has a slot (`?principal`, `?resource`), which nobody fills", template.id());
        return Err(vec![PolicyFault::new(place, 0, message)]);
    }
    let mut policies: Vec<&Policy> = set.policies().collect();
    if policies.is_empty() {
        return Err(vec![PolicyFault::new(place, 0, "there is no policy in it".to_owned())]);
    }
    // `policy10` stands behind `policy9`.
    policies.sort_by_key(|policy| (policy.id().to_string().len(), policy.id().to_string()));
    let is_only = policies.len() == 1;
    let named = policies.iter().enumerate().map(|(at, policy)| {
        let id = if is_only { format!("policy{place}") } else { format!("policy{place}.{at}") };
        let policy = policy.new_id(PolicyId::new(id));
        let tree = policy.to_pst().map_err(|error| PolicyFault::new(place, 0, error.to_string()))?;
        Ok(Read { place, offset: 0, policy, tree: tree.body().clone() })
    });
    named.collect::<Result<Vec<_>, PolicyFault>>().map_err(|fault| vec![fault])
}

/// What the strict validator finds: what is wrong, and what is odd.
fn held_to<'r>(read: impl Iterator<Item = &'r Read>, schema: Schema) -> (Vec<PolicyFault>, Vec<PolicyFault>) {
    let (mut set, mut places) = (PolicySet::new(), HashMap::new());
    for read in read {
        // Each id is there once.
        let _ = set.add(read.policy.clone());
        places.insert(read.policy.id().clone(), read.place);
    }
    let found = Validator::new(schema).validate(&set, ValidationMode::Strict);
    let place = |id: &PolicyId| places.get(id).copied().unwrap_or_default();
    let wrong = found.validation_errors().map(|error| PolicyFault::of(place(error.policy_id()), error));
    let odd = found.validation_warnings().map(|odd| PolicyFault::of(place(odd.policy_id()), odd));
    (wrong.collect(), odd.collect())
}

/// Conditions compare actions as requests spell them; in front both spellings are known.
fn spelled_as_asked(tree: &pst::Template) -> Result<(), String> {
    let is_other_spelling = |uid: &EntityUID| {
        let act = Act::named(&uid.eid).filter(|_| uid.ty.to_string() == ACTION);
        act.is_some_and(|act| act.name() != uid.eid)
    };
    let Some(uid) = entities_named(tree).into_iter().find(is_other_spelling) else { return Ok(()) };
    let name = Act::named(&uid.eid).map_or("", Act::name);
    Err(format!("`{uid}` stands in a condition: write `Action::\"{name}\"` there, or name it in front"))
}
