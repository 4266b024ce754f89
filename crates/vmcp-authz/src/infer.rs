//! Which claims and arguments policies read, and what each of them must be: claims have no schema of their own, so how they are used is
//! theirs.

use std::collections::BTreeMap;

use cedar_policy::pst::{BinaryOp, Clause, Expr, Literal, Template, UnaryOp, Var};

use crate::shape::{Conflict, Shape};
use crate::vocabulary::Act;

/// What policies read, by name as policies write it: `claim_role`, `arg_path`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Uses {
    pub(crate) shapes: BTreeMap<String, Shape>,
    /// Conditions that ask for more of `resource` than its attributes.
    pub(crate) looks_at_items: bool,
    /// Attributes of `resource` that conditions ask for.
    pub(crate) item_attributes: std::collections::BTreeSet<String>,
    /// The first thing that does not fit.
    fault: Option<String>,
}

/// Uses agree on one shape at last; two names that are compared with each other take another turn.
const TURNS: usize = 3;

impl Uses {
    /// What these policies read, whole; and which of them contradict others, by their places, and how.
    pub(crate) fn of<'p>(
        policies: impl Iterator<Item = (usize, &'p Template)> + Clone,
    ) -> (Self, Vec<(usize, String)>) {
        let (mut uses, mut faults) = (Self::default(), Vec::new());
        for _ in 0..TURNS {
            for (place, policy) in policies.clone() {
                uses.add(policy);
                let fault = uses.fault.take().filter(|_| faults.iter().all(|(known, _)| *known != place));
                faults.extend(fault.map(|fault| (place, fault)));
            }
        }
        (uses, faults)
    }

    /// What one policy reads.
    pub(crate) fn add(&mut self, policy: &Template) {
        for clause in policy.clauses() {
            let (Clause::When(condition) | Clause::Unless(condition)) = clause;
            self.walk(condition, Shape::Bool);
        }
    }

    /// Whether it reads an argument of a call.
    pub(crate) fn reads_arguments(&self) -> bool {
        self.shapes.keys().any(|name| name.starts_with("arg_"))
    }

    /// The names of claims, or of arguments, without what stands before them in policies; and what they are.
    pub(crate) fn named<'u>(
        &'u self,
        prefix: &'static str,
    ) -> impl Iterator<Item = (&'u str, &'u str, &'u Shape)> {
        self.shapes
            .iter()
            .filter_map(move |(name, shape)| Some((name.as_str(), name.strip_prefix(prefix)?, shape)))
    }

    /// What an expression is, if it is to be `wanted`.
    fn walk(&mut self, expr: &Expr, wanted: Shape) -> Shape {
        if let Some((root, path)) = path(expr) {
            return self.attribute(&root, &path, wanted);
        }
        match expr {
            Expr::Literal(literal) => match literal {
                Literal::Bool(_) => Shape::Bool,
                Literal::Long(_) => Shape::Long,
                Literal::String(_) => Shape::Text,
                Literal::EntityUID(uid) => {
                    let kind = uid.ty.to_string();
                    self.looks_at_items |= Act::ALL.into_iter().any(|act| act.on_type() == kind);
                    Shape::Entity(kind)
                }
                _ => Shape::Unknown,
            },
            Expr::Var(var) => {
                self.looks_at_items |= *var == Var::Resource;
                if *var == Var::Context {
                    self.fault
                        .get_or_insert("`context` is used as a whole: ask for its attributes".to_owned());
                }
                Shape::Unknown
            }
            Expr::UnaryOp { op, expr } => self.unary(*op, expr),
            Expr::BinaryOp { op, left, right } => self.binary(*op, left, right),
            Expr::HasAttr { expr, attrs } => {
                self.has(expr, &attrs.iter().map(ToString::to_string).collect::<Vec<_>>());
                Shape::Bool
            }
            Expr::Like { expr, .. } => {
                self.walk(expr, Shape::Text);
                Shape::Bool
            }
            Expr::Is { expr, in_expr, .. } => {
                self.walk(expr, Shape::Unknown);
                in_expr.iter().for_each(|expr| drop(self.walk(expr, Shape::Unknown)));
                Shape::Bool
            }
            Expr::IfThenElse { cond, then_expr, else_expr } => {
                self.walk(cond, Shape::Bool);
                let then = self.walk(then_expr, wanted.clone());
                let other = self.walk(else_expr, wanted);
                then.join(other).unwrap_or_default()
            }
            Expr::Set(items) => {
                let of = match wanted {
                    Shape::Set(of) => *of,
                    _ => Shape::Unknown,
                };
                let items = items.iter().map(|item| self.walk(item, of.clone())).collect::<Vec<_>>();
                Shape::set_of(items.into_iter().find(|shape| *shape != Shape::Unknown).unwrap_or_default())
            }
            Expr::Record(members) => {
                let members =
                    members.iter().map(|(name, expr)| (name.clone(), self.walk(expr, Shape::Unknown)));
                Shape::Record(members.collect())
            }
            // An attribute of something that is neither of the request nor known: it may be an item.
            Expr::GetAttr { expr, .. } => {
                self.looks_at_items = true;
                self.walk(expr, Shape::Unknown);
                Shape::Unknown
            }
            _ => Shape::Unknown,
        }
    }

    fn unary(&mut self, op: UnaryOp, expr: &Expr) -> Shape {
        use UnaryOp as U;
        let (wanted, result) = match op {
            U::Not => (Shape::Bool, Shape::Bool),
            U::Neg => (Shape::Long, Shape::Long),
            U::IsEmpty => (Shape::set_of(Shape::Unknown), Shape::Bool),
            U::Decimal => (Shape::Text, Shape::Extension("decimal")),
            U::Ip => (Shape::Text, Shape::Extension("ipaddr")),
            U::Datetime => (Shape::Text, Shape::Extension("datetime")),
            U::Duration => (Shape::Text, Shape::Extension("duration")),
            U::IsIPv4 | U::IsIPV6 | U::IsLoopback | U::IsMulticast => {
                (Shape::Extension("ipaddr"), Shape::Bool)
            }
            U::ToDate => (Shape::Extension("datetime"), Shape::Extension("datetime")),
            U::ToTime => (Shape::Extension("datetime"), Shape::Extension("duration")),
            U::ToMilliseconds | U::ToSeconds | U::ToMinutes | U::ToHours | U::ToDays => {
                (Shape::Extension("duration"), Shape::Long)
            }
            _ => (Shape::Unknown, Shape::Unknown),
        };
        self.walk(expr, wanted);
        result
    }

    fn binary(&mut self, op: BinaryOp, left: &Expr, right: &Expr) -> Shape {
        use BinaryOp as B;
        // What else than the principal is in something may be an item.
        self.looks_at_items |= op == B::In && !matches!(left, Expr::Var(Var::Principal | Var::Action));
        let (wanted, result) = match op {
            B::And | B::Or => ((Shape::Bool, Shape::Bool), Shape::Bool),
            B::Less | B::LessEq | B::Greater | B::GreaterEq => {
                let (one, other) = (self.walk(left, Shape::Unknown), self.walk(right, Shape::Unknown));
                // Times are compared by the same signs; numbers where nothing else is known.
                let both = one.join(other).unwrap_or_default();
                let both = if both == Shape::Unknown { Shape::Long } else { both };
                ((both.clone(), both), Shape::Bool)
            }
            B::Eq | B::NotEq => {
                let (one, other) = (self.walk(left, Shape::Unknown), self.walk(right, Shape::Unknown));
                let both = one.join(other).unwrap_or_default();
                ((both.clone(), both), Shape::Bool)
            }
            B::Add | B::Sub | B::Mul => ((Shape::Long, Shape::Long), Shape::Long),
            B::Contains => {
                let item = self.walk(right, Shape::Unknown);
                let set = self.walk(left, Shape::set_of(item.clone()));
                let item = if let Shape::Set(of) = set { item.join(*of).unwrap_or_default() } else { item };
                ((Shape::set_of(item.clone()), item), Shape::Bool)
            }
            B::ContainsAll | B::ContainsAny => {
                let any = || Shape::set_of(Shape::Unknown);
                let both = self.walk(left, any()).join(self.walk(right, any())).unwrap_or_else(|_| any());
                ((both.clone(), both), Shape::Bool)
            }
            B::DecimalLessThan | B::DecimalLessEq | B::DecimalGreater | B::DecimalGreaterEq => {
                ((Shape::Extension("decimal"), Shape::Extension("decimal")), Shape::Bool)
            }
            B::IsInRange => ((Shape::Extension("ipaddr"), Shape::Extension("ipaddr")), Shape::Bool),
            B::Offset => {
                ((Shape::Extension("datetime"), Shape::Extension("duration")), Shape::Extension("datetime"))
            }
            B::DurationSince => {
                ((Shape::Extension("datetime"), Shape::Extension("datetime")), Shape::Extension("duration"))
            }
            _ => ((Shape::Unknown, Shape::Unknown), Shape::Bool),
        };
        self.walk(left, wanted.0);
        self.walk(right, wanted.1);
        result
    }

    /// `principal has claim_a.b`.
    fn has(&mut self, expr: &Expr, attributes: &[String]) {
        let mut whole = match (expr, path(expr)) {
            (Expr::Var(var), _) => (var.clone(), Vec::new()),
            (_, Some(found)) => found,
            (expr, None) => {
                self.looks_at_items = true;
                return drop(self.walk(expr, Shape::Unknown));
            }
        };
        whole.1.extend(attributes.iter().cloned());
        self.attribute(&whole.0, &whole.1, Shape::Unknown);
    }

    /// Notes that an attribute is read as `wanted`, and says what it is.
    fn attribute(&mut self, root: &Var, path: &[String], wanted: Shape) -> Shape {
        let Some((name, rest)) = path.split_first() else { return Shape::Unknown };
        let is_of_call = name.starts_with("arg_") && *root != Var::Principal;
        let is_claim = name.starts_with("claim_") && *root != Var::Resource;
        if *root == Var::Resource && !is_of_call {
            self.item_attributes.insert(name.clone());
        }
        if !is_of_call && !is_claim {
            // One of an entity that is written out, which may be an item.
            self.looks_at_items |= !rest.is_empty();
            return known(name);
        }
        let whole = rest
            .iter()
            .rev()
            .fold(wanted, |shape, member| Shape::Record(BTreeMap::from([(member.clone(), shape)])));
        let before = self.shapes.remove(name).unwrap_or_default();
        let joined = match before.clone().join(whole) {
            Ok(joined) => joined,
            Err(Conflict(why)) => {
                self.fault.get_or_insert(format!("`{name}` is used as {why}"));
                before
            }
        };
        let at = rest.iter().try_fold(&joined, |shape, member| match shape {
            Shape::Record(members) => members.get(member),
            _ => None,
        });
        let found = at.cloned().unwrap_or_default();
        self.shapes.insert(name.clone(), joined);
        found
    }
}

/// Attributes that items have without being asked.
fn known(name: &str) -> Shape {
    match name {
        "readOnlyHint" | "destructiveHint" | "idempotentHint" | "openWorldHint" => Shape::Bool,
        "name" | "original_name" | "backend" | "operation" | "feature" | "uri" => Shape::Text,
        _ => Shape::Unknown,
    }
}

/// `context.claim_a.b` as `context` and the way from there.
fn path(expr: &Expr) -> Option<(Var, Vec<String>)> {
    let Expr::GetAttr { expr, attr } = expr else { return None };
    let mut found = match &**expr {
        Expr::Var(var) => (var.clone(), Vec::new()),
        inner => path(inner)?,
    };
    found.1.push(attr.to_string());
    Some(found)
}
