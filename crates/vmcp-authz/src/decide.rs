//! The decision. Whatever cannot be evaluated denies.

use cedar_policy::{Authorizer, Context, Decision as Cedar, PolicyId, Request, RestrictedExpression};
use serde_json::Value;

use crate::compile::Policies;
use crate::item::Guarded;
use crate::subject::Subject;

/// What policies say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may be done.
    pub is_allowed: bool,
    /// The policies that decided, by id; empty if none permits.
    pub policies: Vec<String>,
    /// What could not be evaluated. Then it may not be done, whatever else was said.
    pub error: Option<String>,
}

impl Decision {
    fn denied(error: String) -> Self {
        Self { is_allowed: false, policies: Vec::new(), error: Some(error) }
    }
}

impl Policies {
    /// Whether a principal may do something with an item. `arguments`: what it is called with, by name, each as JSON; what a list shows is
    /// decided without any.
    pub fn decide(&self, subject: &Subject, item: &Guarded, arguments: &[(&str, &str)]) -> Decision {
        if let Some(misfit) = &subject.misfit {
            return Decision::denied(misfit.clone());
        }
        self.evaluate(subject, item, arguments).unwrap_or_else(Decision::denied)
    }

    /// The arguments that policies read, by the names that clients have for them.
    pub fn arguments_read(&self) -> impl Iterator<Item = &str> {
        self.uses.named("arg_").map(|(_, name, _)| name.strip_suffix("_present").unwrap_or(name))
    }

    fn evaluate(
        &self,
        subject: &Subject,
        item: &Guarded,
        arguments: &[(&str, &str)],
    ) -> Result<Decision, String> {
        let called_with = self.called_with(arguments)?;
        let item_entity = match called_with.is_empty() {
            true => item.entity.clone(),
            false => {
                let attributes = item.attributes.iter().chain(&called_with).cloned();
                self.given.complete(item.uid.clone(), attributes, item.parents.clone())
            }
        };
        let entities = subject.entities.clone().upsert_entities(item_entity, None);
        let entities = entities.map_err(|error| error.to_string())?;
        let mut context = subject.context.clone();
        if !called_with.is_empty() {
            let more = Context::from_pairs(called_with).map_err(|error| error.to_string())?;
            context = context.merge(more).map_err(|error| error.to_string())?;
        }
        let action = self.types.action(item.act);
        let request = Request::new(subject.uid.clone(), action, item.uid.clone(), context, None)
            .map_err(|error| error.to_string())?;
        let response = Authorizer::new().is_authorized(&request, &item.chosen.set, &entities);
        let diagnostics = response.diagnostics();
        if let Some(error) = diagnostics.errors().next() {
            return Err(error.to_string());
        }
        let mut policies: Vec<String> = diagnostics.reason().map(|id| self.shown_id(id)).collect();
        policies.sort();
        Ok(Decision { is_allowed: response.decision() == Cedar::Allow, policies, error: None })
    }

    /// Arguments as policies read them: `arg_<name>`, or where they cannot be read, that they are there.
    fn called_with(&self, arguments: &[(&str, &str)]) -> Result<Vec<(String, RestrictedExpression)>, String> {
        let mut read = Vec::new();
        for (attribute, name, shape) in self.uses.named("arg_") {
            let bare = name.strip_suffix("_present");
            let found = arguments.iter().find(|(known, _)| *known == name);
            let Some((_, text)) = found else {
                let is_there = bare.is_some_and(|bare| arguments.iter().any(|(known, _)| *known == bare));
                if is_there {
                    read.push((attribute.to_owned(), RestrictedExpression::new_bool(true)));
                }
                continue;
            };
            let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
            if value.is_null() {
                continue;
            }
            let value = shape
                .value(&value)
                .ok_or_else(|| format!("the argument `{name}` is not {}", shape.noun()))?;
            read.push((attribute.to_owned(), value));
        }
        Ok(read)
    }

    /// The id that an operator gave it, or its place in the list.
    fn shown_id(&self, id: &PolicyId) -> String {
        self.ids.get(id).cloned().unwrap_or_else(|| id.to_string())
    }
}
