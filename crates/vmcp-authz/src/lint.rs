//! What is odd about policies: they decide, but hardly as their writer meant.

use cedar_policy::pst::{self, BinaryOp, Clause, Expr, UnaryOp, Var};
use vmcp_core::sentence::nearest;
use vmcp_core::template::UriTemplate;

use crate::compile::{Policies, Read};
use crate::fault::PolicyFault;
use crate::infer::Uses;
use crate::named::{entities_in_conditions, entities_named, principal_named};
use crate::vocabulary::{Act, BACKEND, MCP};

/// One thing that is odd.
pub type Lint = PolicyFault;

/// What a virtual server offers.
#[derive(Debug, Clone, Default)]
pub struct Offered<'a> {
    /// By what is done with them, their exposed names or URIs; templates are not among them.
    pub items: Vec<(Act, &'a str)>,
    /// By which URIs are known that nothing lists.
    pub templates: Vec<&'a str>,
    /// The servers behind it.
    pub backends: Vec<&'a str>,
}

impl Policies {
    /// What is odd about them, in the order of the policies; with what is offered, names that nothing has too; and
    /// where several issuers vouch for callers, who is named whoever vouches for them.
    pub fn lints(&self, offered: Option<&Offered<'_>>, has_several_issuers: bool) -> Vec<Lint> {
        let mut lints = self.odd.clone();
        for read in &self.read {
            if has_several_issuers && self.trusts_every_issuer(read) {
                lints.push(say(
                    read,
                    "whoever one of the issuers calls so is meant: each can put anybody into any group, and have a subject of any name",
                    "add `principal.claim_iss == \"https://…\"`",
                ));
            }
            if is_open(&read.tree) {
                lints.push(say(
                    read,
                    "it lets everybody do everything",
                    "name an action, a resource or a condition",
                ));
            }
            if read.tree.effect == pst::Effect::Permit && hides(&read.tree) {
                lints.push(say(
                    read,
                    "what it permits depends on the arguments of a call, so no list shows what nothing else permits",
                    "write `if context has arg_… then … else true` to have it listed",
                ));
            }
            if let Some(offered) = offered {
                lints.extend(self.unknown(read, offered));
            }
        }
        lints.sort_by_key(|lint| (lint.policy, lint.offset));
        lints
    }

    /// Whether it permits something to those who are called something, whoever calls them so.
    fn trusts_every_issuer(&self, read: &Read) -> bool {
        let mut own = Uses::default();
        own.add(&read.tree);
        let asks_for_issuer = own.named("claim_").any(|(_, claim, _)| claim == "iss");
        let callers = [self.types.client.to_string(), self.types.group.to_string()];
        let is_named = |uid: &pst::EntityUID| callers.contains(&uid.ty.to_string());
        read.tree.effect == pst::Effect::Permit
            && !asks_for_issuer
            && (principal_named(&read.tree).is_some_and(&is_named)
                || entities_in_conditions(&read.tree).iter().any(&is_named))
    }

    /// Names that nothing has.
    fn unknown(&self, read: &Read, offered: &Offered<'_>) -> Vec<Lint> {
        let mut lints = Vec::new();
        for uid in entities_named(&read.tree) {
            let (kind, id) = (uid.ty.to_string(), uid.eid.as_str());
            let act = Act::ALL.into_iter().find(|act| act.on_type() == kind);
            let known: Vec<&str> = match act {
                Some(act) => {
                    offered.items.iter().filter(|(known, _)| *known == act).map(|(_, id)| *id).collect()
                }
                None if kind == BACKEND => offered.backends.clone(),
                None if kind == MCP => vec![&self.server],
                None => continue,
            };
            let may_be_of_template = act == Some(Act::ReadResource)
                && offered.templates.iter().any(|template| {
                    // One that cannot be taken apart may be of anything.
                    *template == id
                        || UriTemplate::parse(template).map_or(true, |template| template.matches(id))
                });
            if known.contains(&id) || may_be_of_template {
                continue;
            }
            let help = nearest(id, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            let message = format!("nothing is called `{kind}::\"{id}\"`");
            lints.push(Lint { help, ..PolicyFault::new(read.place, read.offset, message) });
        }
        lints
    }
}

fn say(read: &Read, message: &str, help: &str) -> Lint {
    Lint { help: Some(help.to_owned()), ..PolicyFault::new(read.place, read.offset, message.to_owned()) }
}

fn is_open(tree: &pst::Template) -> bool {
    tree.effect == pst::Effect::Permit
        && tree.principal == pst::PrincipalConstraint::Any
        && tree.action == pst::ActionConstraint::Any
        && tree.resource == pst::ResourceConstraint::Any
        && tree.clauses().is_empty()
}

/// Whether nothing fits a policy that is asked without arguments.
fn hides(tree: &pst::Template) -> bool {
    tree.clauses().iter().any(|clause| match clause {
        Clause::When(condition) => without_arguments(condition) == Some(false),
        Clause::Unless(condition) => without_arguments(condition) == Some(true),
    })
}

/// What a condition comes to where no argument is there; `None`: that depends on other things.
fn without_arguments(expr: &Expr) -> Option<bool> {
    match expr {
        Expr::HasAttr { expr, attrs } => {
            let is_of_call = matches!(**expr, Expr::Var(Var::Context | Var::Resource));
            (is_of_call && attrs.first().starts_with("arg_")).then_some(false)
        }
        Expr::UnaryOp { op: UnaryOp::Not, expr } => without_arguments(expr).map(|is| !is),
        Expr::BinaryOp { op: BinaryOp::And, left, right } => {
            match (without_arguments(left), without_arguments(right)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            }
        }
        Expr::BinaryOp { op: BinaryOp::Or, left, right } => {
            match (without_arguments(left), without_arguments(right)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            }
        }
        Expr::IfThenElse { cond, then_expr, else_expr } => match without_arguments(cond) {
            Some(true) => without_arguments(then_expr),
            Some(false) => without_arguments(else_expr),
            None => None,
        },
        _ => None,
    }
}
