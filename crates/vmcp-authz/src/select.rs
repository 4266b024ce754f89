//! Which policies can speak of an item at all: decisions are linear in policies, so those that cannot are left out beforehand.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use cedar_policy::pst::Template;
use cedar_policy::{
    ActionConstraint, Effect, EntityUid, Policy, PolicyId, PrincipalConstraint, ResourceConstraint,
};

use crate::condition::{Condition, Needs};
use crate::infer::Uses;
use crate::named::entities_in_conditions;
use crate::vocabulary::{Act, BACKEND, MCP};

/// Policies, by what they can speak of.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    rules: Vec<Rule>,
    /// Places in `rules` of those that may speak of any item.
    any: HashMap<Act, Vec<usize>>,
    of_item: HashMap<(Act, String), Vec<usize>>,
    of_backend: HashMap<(Act, String), Vec<usize>>,
    /// Those that can speak of items of which none speaks by name or by backend: the same for all of them, in the order of [`Act::ALL`].
    general: [OnceLock<Arc<Chosen>>; 3],
    /// How many choices were made.
    made: AtomicU64,
    /// Those whom policies name in front, each with a number.
    whom: HashMap<EntityUid, usize>,
}

#[derive(Debug)]
struct Rule {
    asked: Arc<Asked>,
    asks_for_groups: bool,
    reads_arguments: bool,
    looks_at_items: bool,
    item_attributes: BTreeSet<String>,
}

/// What is asked of a policy that has been chosen.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) id: PolicyId,
    pub(crate) effect: Effect,
    whom: Whom,
    /// `None`: nothing more is to be asked.
    pub(crate) condition: Option<Condition>,
}

/// Of whom a policy can speak, by number.
#[derive(Debug, Clone, Copy)]
enum Whom {
    Anybody,
    Only(usize),
    /// Of whoever is in that one, and of that one itself.
    In(usize),
}

/// Who somebody is, and what they are in, as far as policies name it in front.
#[derive(Debug, Clone, Default)]
pub(crate) struct Named {
    itself: Option<usize>,
    groups: BTreeSet<usize>,
}

impl Whom {
    fn can_be(self, named: &Named) -> bool {
        match self {
            Self::Anybody => true,
            Self::Only(one) => named.itself == Some(one),
            Self::In(one) => named.itself == Some(one) || named.groups.contains(&one),
        }
    }
}

/// Those that can speak of one item.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// Tells it apart from every other one of its selection, as an address would not once that is free again.
    pub(crate) serial: u64,
    pub(crate) rules: Vec<Arc<Asked>>,
    /// What their conditions need.
    pub(crate) needs: Needs,
    /// Some of them ask what the principal is in.
    pub(crate) asks_for_groups: bool,
    /// What comes out depends on what the item is called with.
    pub(crate) reads_arguments: bool,
    /// What comes out may differ between any two items.
    pub(crate) looks_at_items: bool,
    /// What comes out depends on these attributes of the item.
    pub(crate) item_attributes: BTreeSet<String>,
}

impl Selection {
    /// `has_entities`: some are written out, by which anything may be in anything.
    ///
    /// # Errors
    /// Cedar does not read its conditions back.
    pub(crate) fn add(
        &mut self,
        policy: &Policy,
        (uses, tree): (&Uses, &Template),
        has_entities: bool,
    ) -> Result<(), String> {
        let place = self.rules.len();
        let is_known = !has_entities && is_known_by_place(policy);
        let condition = Condition::of(tree, !is_known, has_entities)?;
        // A condition that names no entity asks for none.
        let asks_for_groups = !is_known || !entities_in_conditions(tree).is_empty();
        let acts = acts(policy);
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
        let whom = self.whom(policy, has_entities);
        let asked = Asked { id: policy.id().clone(), effect: policy.effect(), whom, condition };
        self.rules.push(Rule {
            asked: Arc::new(asked),
            asks_for_groups,
            reads_arguments: uses.reads_arguments(),
            looks_at_items: uses.looks_at_items || is_elsewhere,
            item_attributes: uses.item_attributes.clone(),
        });
        Ok(())
    }

    /// Where entities are written out, anything may be in anything.
    fn whom(&mut self, policy: &Policy, has_entities: bool) -> Whom {
        let mut number = |uid: EntityUid| {
            let next = self.whom.len();
            *self.whom.entry(uid).or_insert(next)
        };
        match policy.principal_constraint() {
            PrincipalConstraint::Eq(uid) => Whom::Only(number(uid)),
            PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid) if !has_entities => {
                Whom::In(number(uid))
            }
            _ => Whom::Anybody,
        }
    }

    /// A principal and its groups, as far as policies name them in front.
    pub(crate) fn named(&self, principal: &EntityUid, groups: &[EntityUid]) -> Named {
        let number = |uid| self.whom.get(uid).copied();
        Named { itself: number(principal), groups: groups.iter().filter_map(number).collect() }
    }

    /// Whether a policy speaks of this very item.
    pub(crate) fn speaks_of(&self, act: Act, id: &str) -> bool {
        self.of_item.contains_key(&(act, id.to_owned()))
    }

    /// The policies that can speak of an item.
    pub(crate) fn choose(&self, act: Act, id: Option<&str>, backend: &str) -> Arc<Chosen> {
        let is_general = id.is_none() && !self.of_backend.contains_key(&(act, backend.to_owned()));
        let place = Act::ALL.iter().position(|known| *known == act).unwrap_or_default();
        match self.general.get(place).filter(|_| is_general) {
            Some(general) => general.get_or_init(|| self.gather(act, None, backend)).clone(),
            None => self.gather(act, id, backend),
        }
    }

    fn gather(&self, act: Act, id: Option<&str>, backend: &str) -> Arc<Chosen> {
        let none = Vec::new();
        let any = self.any.get(&act).unwrap_or(&none);
        let item = id.and_then(|id| self.of_item.get(&(act, id.to_owned()))).unwrap_or(&none);
        let backend = self.of_backend.get(&(act, backend.to_owned())).unwrap_or(&none);
        let mut chosen = Chosen {
            serial: self.made.fetch_add(1, Ordering::Relaxed),
            rules: Vec::new(),
            needs: Needs::default(),
            asks_for_groups: false,
            reads_arguments: false,
            looks_at_items: false,
            item_attributes: BTreeSet::new(),
        };
        for rule in any.iter().chain(item).chain(backend).filter_map(|place| self.rules.get(*place)) {
            chosen.rules.push(rule.asked.clone());
            let Some(condition) = &rule.asked.condition else { continue };
            chosen.needs.principal |= condition.needs.principal;
            chosen.needs.item |= condition.needs.item;
            chosen.asks_for_groups |= rule.asks_for_groups;
            chosen.reads_arguments |= rule.reads_arguments;
            chosen.looks_at_items |= rule.looks_at_items;
            chosen.item_attributes.extend(rule.item_attributes.iter().cloned());
        }
        Arc::new(chosen)
    }
}

impl Chosen {
    /// Those that can speak of this principal.
    pub(crate) fn fitting<'c>(&'c self, named: &Named) -> impl Iterator<Item = &'c Asked> {
        self.rules.iter().filter(|asked| asked.whom.can_be(named)).map(|asked| &**asked)
    }
}

/// Whether all that stands in front is looked at when policies are chosen.
fn is_known_by_place(policy: &Policy) -> bool {
    let by_principal = matches!(
        policy.principal_constraint(),
        PrincipalConstraint::Any | PrincipalConstraint::Eq(_) | PrincipalConstraint::In(_)
    );
    let by_resource = match policy.resource_constraint() {
        ResourceConstraint::Any | ResourceConstraint::Eq(_) => true,
        ResourceConstraint::In(uid) => uid.type_name().to_string() == BACKEND,
        ResourceConstraint::Is(_) | ResourceConstraint::IsIn(..) => false,
    };
    by_principal && by_resource
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
