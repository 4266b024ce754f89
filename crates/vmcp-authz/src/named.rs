//! What a policy names: entities, in front or in its conditions, and items by their names as texts.

use cedar_policy::pst::{self, BinaryOp, Clause, EntityUID, Expr, Literal, Var};

use crate::vocabulary::Act;

/// Attributes of an item that say what it is called.
const NAMES: [&str; 2] = ["name", "uri"];

/// Every entity that a policy names, with the whole policy.
pub(crate) fn entities_named(tree: &pst::Template) -> Vec<EntityUID> {
    let mut named = Vec::new();
    match &tree.resource {
        pst::ResourceConstraint::Eq(pst::EntityOrSlot::Entity(uid))
        | pst::ResourceConstraint::In(pst::EntityOrSlot::Entity(uid))
        | pst::ResourceConstraint::IsIn(_, pst::EntityOrSlot::Entity(uid)) => named.push(uid.clone()),
        _ => {}
    }
    named.extend(entities_in_conditions(tree));
    named
}

/// Whom it names in front.
pub(crate) fn principal_named(tree: &pst::Template) -> Option<&EntityUID> {
    match &tree.principal {
        pst::PrincipalConstraint::Eq(pst::EntityOrSlot::Entity(uid))
        | pst::PrincipalConstraint::In(pst::EntityOrSlot::Entity(uid))
        | pst::PrincipalConstraint::IsIn(_, pst::EntityOrSlot::Entity(uid)) => Some(uid),
        _ => None,
    }
}

/// Those that its conditions name.
pub(crate) fn entities_in_conditions(tree: &pst::Template) -> Vec<EntityUID> {
    let mut named = Vec::new();
    for expr in conditions(tree) {
        visit(expr, &mut |expr| {
            if let Expr::Literal(Literal::EntityUID(uid)) = expr {
                named.push(uid.clone());
            }
        });
    }
    named
}

/// Every item that a policy names: as an entity, or as a text that the name of an item is compared with.
pub(crate) fn items_named(tree: &pst::Template) -> Vec<(Act, String)> {
    let entities = entities_named(tree).into_iter().filter_map(|uid| {
        let kind = uid.ty.to_string();
        let act = Act::ALL.into_iter().find(|act| act.on_type() == kind)?;
        Some((act, uid.eid.to_string()))
    });
    let mut named: Vec<(Act, String)> = entities.collect();
    for expr in conditions(tree) {
        visit(expr, &mut |expr| {
            let Expr::BinaryOp { op: BinaryOp::Eq | BinaryOp::Contains, left, right } = expr else { return };
            if is_name(left) || is_name(right) {
                let of_any = |text: String| Act::ALL.into_iter().map(move |act| (act, text.clone()));
                named.extend(texts(left).into_iter().chain(texts(right)).flat_map(of_any));
            }
        });
    }
    named
}

fn conditions(tree: &pst::Template) -> Vec<&Expr> {
    let clauses = tree.clauses().iter();
    clauses
        .map(|clause| {
            let (Clause::When(condition) | Clause::Unless(condition)) = clause;
            condition.as_ref()
        })
        .collect()
}

/// `resource.name`, or `resource.uri`.
fn is_name(expr: &Expr) -> bool {
    match expr {
        Expr::GetAttr { expr, attr } => {
            matches!(**expr, Expr::Var(Var::Resource)) && NAMES.contains(&attr.as_str())
        }
        _ => false,
    }
}

/// A text, or the texts of a set.
fn texts(expr: &Expr) -> Vec<String> {
    match expr {
        Expr::Literal(Literal::String(text)) => vec![text.to_string()],
        Expr::Set(items) => items.iter().flat_map(|item| texts(item)).collect(),
        _ => Vec::new(),
    }
}

/// An expression, and whatever is in it.
fn visit(expr: &Expr, see: &mut impl FnMut(&Expr)) {
    see(expr);
    match expr {
        Expr::UnaryOp { expr, .. }
        | Expr::GetAttr { expr, .. }
        | Expr::HasAttr { expr, .. }
        | Expr::Like { expr, .. } => visit(expr, see),
        Expr::BinaryOp { left, right, .. } => [left, right].into_iter().for_each(|expr| visit(expr, see)),
        Expr::Is { expr, in_expr, .. } => {
            visit(expr, see);
            in_expr.iter().for_each(|expr| visit(expr, see));
        }
        Expr::IfThenElse { cond, then_expr, else_expr } => {
            [cond, then_expr, else_expr].into_iter().for_each(|expr| visit(expr, see));
        }
        Expr::Set(items) => items.iter().for_each(|expr| visit(expr, see)),
        Expr::Record(members) => members.values().for_each(|expr| visit(expr, see)),
        _ => {}
    }
}
