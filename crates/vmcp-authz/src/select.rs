//! Which policies can speak of an item at all: decisions are linear in policies, so those that cannot are left out beforehand.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cedar_policy::{ActionConstraint, Policy, PolicySet, ResourceConstraint};

use crate::infer::Uses;
use crate::vocabulary::{Act, BACKEND, MCP};

/// Policies, by what they can speak of.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    rules: Vec<Rule>,
    /// Places in `rules` of those that may speak of any item.
    any: HashMap<Act, Vec<usize>>,
    of_item: HashMap<(Act, String), Vec<usize>>,
    of_backend: HashMap<(Act, String), Vec<usize>>,
}

#[derive(Debug)]
struct Rule {
    policy: Policy,
    reads_arguments: bool,
    looks_at_items: bool,
    item_attributes: BTreeSet<String>,
}

/// Those that can speak of one item.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) set: PolicySet,
    /// What comes out depends on what the item is called with.
    pub(crate) reads_arguments: bool,
    /// What comes out may differ between any two items.
    pub(crate) looks_at_items: bool,
    /// What comes out depends on these attributes of the item.
    pub(crate) item_attributes: BTreeSet<String>,
}

impl Selection {
    /// `has_entities`: some are written out, by which anything may be in anything.
    pub(crate) fn add(&mut self, policy: Policy, uses: &Uses, has_entities: bool) {
        let place = self.rules.len();
        let acts = acts(&policy);
        let (mut item, mut backend, mut is_elsewhere) = (None, None, false);
        match policy.resource_constraint() {
            ResourceConstraint::Eq(uid) => {
                item = Some((uid.type_name().to_string(), uid.id().unescaped().to_owned()));
            }
            ResourceConstraint::In(uid) | ResourceConstraint::IsIn(_, uid) => {
                match uid.type_name().to_string().as_str() {
                    BACKEND if !has_entities => backend = Some(uid.id().unescaped().to_owned()),
                    // Every item is.
                    MCP if !has_entities => {}
                    _ => is_elsewhere = true,
                }
            }
            ResourceConstraint::Any | ResourceConstraint::Is(_) => {}
        }
        for act in acts {
            match (&item, &backend) {
                (Some((kind, id)), _) => {
                    if kind == act.on_type() {
                        self.of_item.entry((act, id.clone())).or_default().push(place);
                    }
                }
                (None, Some(backend)) => {
                    self.of_backend.entry((act, backend.clone())).or_default().push(place)
                }
                (None, None) => self.any.entry(act).or_default().push(place),
            }
        }
        self.rules.push(Rule {
            policy,
            reads_arguments: uses.reads_arguments(),
            looks_at_items: uses.looks_at_items || is_elsewhere,
            item_attributes: uses.item_attributes.clone(),
        });
    }

    /// Whether a policy speaks of this very item.
    pub(crate) fn speaks_of(&self, act: Act, id: &str) -> bool {
        self.of_item.contains_key(&(act, id.to_owned()))
    }

    /// The items that policies name.
    pub(crate) fn named_items(&self) -> impl Iterator<Item = (Act, &str)> {
        self.of_item.keys().map(|(act, id)| (*act, id.as_str()))
    }

    /// The policies that can speak of an item.
    pub(crate) fn choose(&self, act: Act, id: Option<&str>, backend: &str) -> Arc<Chosen> {
        let none = Vec::new();
        let any = self.any.get(&act).unwrap_or(&none);
        let item = id.and_then(|id| self.of_item.get(&(act, id.to_owned()))).unwrap_or(&none);
        let backend = self.of_backend.get(&(act, backend.to_owned())).unwrap_or(&none);
        let mut chosen = Chosen {
            set: PolicySet::new(),
            reads_arguments: false,
            looks_at_items: false,
            item_attributes: BTreeSet::new(),
        };
        for rule in any.iter().chain(item).chain(backend).filter_map(|place| self.rules.get(*place)) {
            // Ids were given by us, each once.
            let _ = chosen.set.add(rule.policy.clone());
            chosen.reads_arguments |= rule.reads_arguments;
            chosen.looks_at_items |= rule.looks_at_items;
            chosen.item_attributes.extend(rule.item_attributes.iter().cloned());
        }
        Arc::new(chosen)
    }
}

fn acts(policy: &Policy) -> Vec<Act> {
    let named = |uid: &cedar_policy::EntityUid| Act::named(uid.id().unescaped());
    match policy.action_constraint() {
        ActionConstraint::Any => Act::ALL.to_vec(),
        ActionConstraint::Eq(uid) => named(&uid).into_iter().collect(),
        ActionConstraint::In(uids) => {
            let mut acts: Vec<Act> = uids.iter().filter_map(named).collect();
            acts.sort();
            acts.dedup();
            acts
        }
    }
}

#[cfg(test)]
impl Selection {
    /// All of them, whatever they speak of.
    pub(crate) fn everything(&self) -> Arc<Chosen> {
        let mut set = PolicySet::new();
        self.rules.iter().for_each(|rule| set.add(rule.policy.clone()).unwrap());
        let item_attributes = BTreeSet::new();
        Arc::new(Chosen { set, reads_arguments: true, looks_at_items: true, item_attributes })
    }
}
