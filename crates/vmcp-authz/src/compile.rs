//! From the texts of policies to what decides: each is read, all are held to one schema, and sorted by what they can speak of.

use std::collections::HashMap;

use cedar_policy::pst::{self, Clause, EntityUID, Expr};
use cedar_policy::{Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use vmcp_core::boundary::Authorization;
use vmcp_core::limits;

use crate::entity::Given;
use crate::fault::PolicyFault;
use crate::infer::Uses;
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
        let uses = Uses::of(read.iter().map(|read| (read.place, &read.tree)));
        let uses = uses.unwrap_or_else(|(place, why)| {
            faults.push(PolicyFault::new(place, 0, why));
            Uses::default()
        });
        let group_type = authorization.group_type.as_deref().unwrap_or(GROUP);
        let types = Types::new(group_type);
        if types.is_none() {
            let message = format!("`{group_type}` cannot be the name of a type");
            faults.push(PolicyFault { policy: None, offset: 0, message, help: None });
        }
        let mut odd = Vec::new();
        if faults.is_empty() {
            match schema(&uses, &given, group_type) {
                Ok(schema) => (faults, odd) = held_to(&read, schema),
                Err(message) => faults.push(PolicyFault { policy: None, offset: 0, message, help: None }),
            }
        }
        let Some(types) = types.filter(|_| faults.is_empty()) else {
            faults.sort_by_key(|fault| (fault.policy, fault.offset));
            // Cedar says the same of every action.
            faults.dedup_by_key(|fault| (fault.policy, fault.offset));
            return Err(faults);
        };
        let mut selection = Selection::default();
        let mut ids = HashMap::new();
        for read in &read {
            let mut own = Uses::default();
            own.add(&read.tree);
            let annotated = read.policy.annotation("id").filter(|id| !id.is_empty());
            ids.insert(
                read.policy.id().clone(),
                annotated.map_or_else(|| read.policy.id().to_string(), ToOwned::to_owned),
            );
            match one_spelling(&read.policy, &read.tree) {
                Ok(policy) => selection.add(policy, &own, !given.entities.is_empty()),
                Err(why) => return Err(vec![PolicyFault::new(read.place, read.offset, why)]),
            }
        }
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
            odd,
        })
    }

    /// Whether policies name this very item.
    pub fn is_named(&self, act: Act, name: &str) -> bool {
        self.selection.speaks_of(act, name)
    }

    /// The items that policies name, which must not pass to another owner by themselves.
    pub fn named_items(&self) -> impl Iterator<Item = (Act, &str)> {
        self.selection.named_items()
    }
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
fn held_to(read: &[Read], schema: Schema) -> (Vec<PolicyFault>, Vec<PolicyFault>) {
    let mut set = PolicySet::new();
    for read in read {
        // Each id is there once.
        let _ = set.add(read.policy.clone());
    }
    let places: HashMap<&PolicyId, usize> = read.iter().map(|read| (read.policy.id(), read.place)).collect();
    let found = Validator::new(schema).validate(&set, ValidationMode::Strict);
    let place = |id: &PolicyId| places.get(id).copied().unwrap_or_default();
    let wrong = found.validation_errors().map(|error| PolicyFault::of(place(error.policy_id()), error));
    let odd = found.validation_warnings().map(|odd| PolicyFault::of(place(odd.policy_id()), odd));
    (wrong.collect(), odd.collect())
}

/// The same policy with actions spelled as requests spell them.
fn one_spelling(policy: &Policy, tree: &pst::Template) -> Result<Policy, String> {
    let is_other_spelling = |uid: &EntityUID| {
        let act = Act::named(&uid.eid).filter(|_| uid.ty.to_string() == ACTION);
        act.is_some_and(|act| act.name() != uid.eid)
    };
    if let Some(uid) = entities_named(tree).into_iter().find(is_other_spelling) {
        let name = Act::named(&uid.eid).map_or("", Act::name);
        return Err(format!(
            "`{uid}` stands in a condition: write `Action::\"{name}\"` there, or name it in front"
        ));
    }
    let mut tree = tree.clone();
    let mut is_other = false;
    let mut spell = |uid: &mut EntityUID| {
        if uid.ty.to_string() == ACTION
            && let Some(act) = Act::named(&uid.eid).filter(|act| act.name() != uid.eid)
        {
            uid.eid = act.name().into();
            is_other = true;
        }
    };
    match &mut tree.action {
        pst::ActionConstraint::Eq(uid) => spell(uid),
        pst::ActionConstraint::In(uids) => uids.iter_mut().for_each(spell),
        _ => {}
    }
    if !is_other {
        return Ok(policy.clone());
    }
    let respelled = pst::StaticPolicy::try_from(tree).map_err(|error| error.to_string())?;
    Policy::from_pst(pst::Policy::Static(respelled)).map_err(|error| error.to_string())
}

/// Every entity that a policy names, with the whole policy.
pub(crate) fn entities_named(tree: &pst::Template) -> Vec<EntityUID> {
    let mut named = Vec::new();
    match &tree.resource {
        pst::ResourceConstraint::Eq(pst::EntityOrSlot::Entity(uid))
        | pst::ResourceConstraint::In(pst::EntityOrSlot::Entity(uid))
        | pst::ResourceConstraint::IsIn(_, pst::EntityOrSlot::Entity(uid)) => named.push(uid.clone()),
        _ => {}
    }
    for clause in tree.clauses() {
        let (Clause::When(condition) | Clause::Unless(condition)) = clause;
        literals(condition, &mut named);
    }
    named
}

fn literals(expr: &Expr, named: &mut Vec<EntityUID>) {
    match expr {
        Expr::Literal(pst::Literal::EntityUID(uid)) => named.push(uid.clone()),
        Expr::UnaryOp { expr, .. }
        | Expr::GetAttr { expr, .. }
        | Expr::HasAttr { expr, .. }
        | Expr::Like { expr, .. } => {
            literals(expr, named);
        }
        Expr::BinaryOp { left, right, .. } => [left, right].iter().for_each(|expr| literals(expr, named)),
        Expr::Is { expr, in_expr, .. } => {
            literals(expr, named);
            in_expr.iter().for_each(|expr| literals(expr, named));
        }
        Expr::IfThenElse { cond, then_expr, else_expr } => {
            [cond, then_expr, else_expr].iter().for_each(|expr| literals(expr, named));
        }
        Expr::Set(items) => items.iter().for_each(|expr| literals(expr, named)),
        Expr::Record(members) => members.values().for_each(|expr| literals(expr, named)),
        _ => {}
    }
}
