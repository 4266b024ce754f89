//! A principal as policies see it: its claims, as far as they are read, and its groups.

use std::collections::BTreeSet;

use cedar_policy::{Context, Entity, EntityUid, RestrictedExpression};
use serde_json::{Map, Value};

use crate::compile::Policies;
use crate::select::Named;
use crate::shape::Shape;
use crate::vocabulary::uid;

/// What is known of who asks.
#[derive(Debug, Clone, Copy)]
pub struct Claims<'a> {
    /// Whom the issuer vouches for.
    pub subject: &'a str,
    /// Who vouches.
    pub issuer: &'a str,
    /// All that the issuer says.
    pub all: &'a Map<String, Value>,
}

/// A principal, as far as policies ask.
#[derive(Debug, Clone)]
pub struct Subject {
    pub(crate) uid: EntityUid,
    /// The principal.
    pub(crate) entity: Option<Entity>,
    /// The same, in nothing.
    pub(crate) alone: Option<Entity>,
    pub(crate) context: Context,
    pub(crate) named: Named,
    /// A claim that is not what policies take it for; nothing can be decided then.
    pub(crate) misfit: Option<String>,
    view: String,
}

/// Where groups are looked for if nothing is said.
pub const GROUP_CLAIMS: [&str; 3] = ["groups", "roles", "cognito:groups"];

impl Subject {
    /// All that policies can read of it, as one text: who has the same is decided about alike.
    pub fn view(&self) -> &str {
        &self.view
    }
}

impl Policies {
    /// A principal as these policies see it.
    pub fn subject(&self, claims: Claims<'_>) -> Subject {
        let mut view = Map::new();
        let mut context = Vec::new();
        let mut misfit = None;
        let certain = [("claim_sub", claims.subject), ("claim_iss", claims.issuer)];
        for (name, text) in certain {
            context.push((name.to_owned(), RestrictedExpression::new_string(text.to_owned())));
            view.insert(name.to_owned(), Value::from(text));
        }
        for (name, claim, shape) in self.uses.named("claim_") {
            let value = claims.all.get(claim).filter(|value| !value.is_null());
            let Some(value) = value.filter(|_| certain.iter().all(|(known, _)| *known != name)) else {
                continue;
            };
            // Scopes are one text with blanks between (RFC 8693, section 4.2).
            let apart = match (claim, shape, value) {
                ("scope" | "scp", Shape::Set(_), Value::String(text)) => {
                    Some(text.split_ascii_whitespace().map(Value::from).collect())
                }
                _ => None,
            };
            match shape.value(apart.as_ref().unwrap_or(value)) {
                Some(expression) => context.push((name.to_owned(), expression)),
                None => {
                    misfit.get_or_insert_with(|| format!("the claim `{claim}` is not {}", shape.noun()));
                }
            }
            view.insert(name.to_owned(), value.clone());
        }
        let groups = self.groups(claims.all);
        view.insert(String::new(), groups.iter().cloned().collect());
        let groups: Vec<EntityUid> = groups.iter().map(|group| uid(&self.types.group, group)).collect();
        let client = uid(&self.types.client, claims.subject);
        // Groups need be no entities of their own; those that are written out are.
        let entity = self.given.complete(client.clone(), context.iter().cloned(), groups.clone());
        let alone = self.given.complete(client.clone(), context.iter().cloned(), Vec::new());
        let context = Context::from_pairs(context).unwrap_or_else(|error| {
            misfit.get_or_insert(error.to_string());
            Context::empty()
        });
        let named = self.selection.named(&client, &groups);
        Subject { uid: client, entity, alone, context, named, misfit, view: Value::Object(view).to_string() }
    }

    /// The groups and roles that claims put a principal into: names in lists.
    fn groups(&self, claims: &Map<String, Value>) -> BTreeSet<String> {
        let lists =
            |claim: &Option<String>| claim.as_deref().and_then(|claim| find(claims, claim)).and_then(names);
        let usual = || GROUP_CLAIMS.iter().find_map(|claim| claims.get(*claim).and_then(names));
        let groups = match &self.group_claim {
            Some(_) => lists(&self.group_claim),
            None => usual(),
        };
        groups.into_iter().chain(lists(&self.role_claim)).flatten().collect()
    }
}

/// A claim by its own name, or by the way to it with points between.
fn find<'c>(claims: &'c Map<String, Value>, path: &str) -> Option<&'c Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let mut steps = path.split('.');
    let first = claims.get(steps.next()?)?;
    steps.try_fold(first, |value, step| value.get(step))
}

fn names(value: &Value) -> Option<Vec<String>> {
    let items = value.as_array()?;
    Some(items.iter().filter_map(|item| item.as_str().map(ToOwned::to_owned)).collect())
}
