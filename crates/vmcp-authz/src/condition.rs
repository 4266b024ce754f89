//! What a policy asks, as one expression that is evaluated by itself. Cedar's authorizer puts one together for each policy and request,
//! which costs more than to evaluate it.

use std::sync::Arc;

use cedar_policy::pst::{
    BinaryOp, Clause, Expr, Literal, PrincipalConstraint, ResourceConstraint, Template, Var,
};
use cedar_policy::{Entities, EvalResult, Expression, Request, eval_expression};
use vmcp_core::limits;

/// All that a policy asks.
#[derive(Debug)]
pub(crate) struct Condition {
    expression: Expression,
    pub(crate) needs: Needs,
}

/// The entities that have to be there for an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) principal: bool,
    pub(crate) item: bool,
}

impl Condition {
    /// `None`: nothing is asked. `with_front`: what stands in front is asked, too, but for the action, by which policies are chosen.
    /// `has_entities`: some are written out, so that claims may be those of a principal that is.
    ///
    /// # Errors
    /// Cedar does not read its own words.
    pub(crate) fn of(tree: &Template, with_front: bool, has_entities: bool) -> Result<Option<Self>, String> {
        let mut asked = Vec::new();
        if with_front && tree.principal != PrincipalConstraint::Any {
            asked.push(format!("(principal {})", tree.principal));
        }
        if with_front && tree.resource != ResourceConstraint::Any {
            asked.push(format!("(resource {})", tree.resource));
        }
        asked.extend(tree.clauses().iter().map(|clause| match clause {
            Clause::When(condition) => format!("({})", quick(condition, has_entities)),
            Clause::Unless(condition) => format!("!({})", quick(condition, has_entities)),
        }));
        if asked.is_empty() {
            return Ok(None);
        }
        let asked = asked.join(" && ");
        // One that is named may be either of them, and what is written out may lead to them. Words of a text may be taken for it, too: then more
        // is there than has to be.
        let all = has_entities || asked.contains("::");
        let needs =
            Needs { principal: all || asked.contains("principal"), item: all || asked.contains("resource") };
        let expression = asked.parse().map_err(|error: cedar_policy::ParseErrors| error.to_string())?;
        Ok(Some(Self { expression, needs }))
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// It cannot be evaluated, or is neither true nor false.
    pub(crate) fn holds(&self, request: &Request, entities: &Entities) -> Result<bool, String> {
        match eval_expression(request, entities, &self.expression) {
            Ok(EvalResult::Bool(holds)) => Ok(holds),
            Ok(other) => Err(format!("`{other}` is neither true nor false")),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// What comes to the same and is quicker: claims of the principal are looked up in the context, which has the same ones at hand, and what may
/// be one of few texts is compared with each, where a set would be made of them every time.
fn quick(expr: &Expr, has_entities: bool) -> Expr {
    let is_claim = |of: &Expr, name: &str| {
        !has_entities && *of == Expr::Var(Var::Principal) && name.starts_with("claim_")
    };
    let arc = |expr: &Arc<Expr>| Arc::new(quick(expr, has_entities));
    match expr {
        Expr::GetAttr { expr, attr } if is_claim(expr, attr) => {
            Expr::GetAttr { expr: Arc::new(Expr::Var(Var::Context)), attr: attr.clone() }
        }
        Expr::HasAttr { expr, attrs } if is_claim(expr, attrs.first()) => {
            Expr::HasAttr { expr: Arc::new(Expr::Var(Var::Context)), attrs: attrs.clone() }
        }
        Expr::GetAttr { expr, attr } => Expr::GetAttr { expr: arc(expr), attr: attr.clone() },
        Expr::HasAttr { expr, attrs } => Expr::HasAttr { expr: arc(expr), attrs: attrs.clone() },
        Expr::UnaryOp { op, expr } => Expr::UnaryOp { op: *op, expr: arc(expr) },
        Expr::BinaryOp { op: BinaryOp::Contains, left, right } => {
            let right = arc(right);
            one_of(left, &right).unwrap_or_else(|| binary(BinaryOp::Contains, arc(left), right))
        }
        Expr::BinaryOp { op, left, right } => binary(*op, arc(left), arc(right)),
        Expr::Like { expr, pattern } => Expr::Like { expr: arc(expr), pattern: pattern.clone() },
        Expr::IfThenElse { cond, then_expr, else_expr } => {
            Expr::IfThenElse { cond: arc(cond), then_expr: arc(then_expr), else_expr: arc(else_expr) }
        }
        Expr::Set(items) => Expr::Set(items.iter().map(arc).collect()),
        other => other.clone(),
    }
}

/// `["a", "b"].contains(context.x)` as `context.x == "a" || context.x == "b"`. What is longer than a name and attributes would be asked as often
/// as there are texts.
fn one_of(set: &Expr, item: &Arc<Expr>) -> Option<Expr> {
    let Expr::Set(texts) = set else { return None };
    let is_text = |expr: &Arc<Expr>| matches!(**expr, Expr::Literal(Literal::String(_)));
    if !is_path(item) || texts.len() > limits::COMPARED_TEXTS || !texts.iter().all(is_text) {
        return None;
    }
    let compared = texts.iter().map(|text| binary(BinaryOp::Eq, item.clone(), text.clone()));
    compared.reduce(|one, other| binary(BinaryOp::Or, Arc::new(one), Arc::new(other)))
}

fn is_path(expr: &Expr) -> bool {
    match expr {
        Expr::Var(_) => true,
        Expr::GetAttr { expr, .. } => is_path(expr),
        _ => false,
    }
}

fn binary(op: BinaryOp, left: Arc<Expr>, right: Arc<Expr>) -> Expr {
    Expr::BinaryOp { op, left, right }
}
