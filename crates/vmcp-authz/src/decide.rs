//! The decision. Whatever cannot be evaluated denies.

use std::sync::Arc;

use cedar_policy::{Context, Effect, Entities, Entity, PolicyId, Request, RestrictedExpression};
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

/// Policies that fit, by id.
#[derive(Debug, Default)]
struct Said {
    permit: Vec<String>,
    forbid: Vec<String>,
}

impl Said {
    fn of(&mut self, effect: Effect) -> &mut Vec<String> {
        match effect {
            Effect::Permit => &mut self.permit,
            Effect::Forbid => &mut self.forbid,
        }
    }

    /// One that forbids is stronger than any that permits; without any nothing may be done.
    fn decision(self) -> Decision {
        let is_allowed = self.forbid.is_empty() && !self.permit.is_empty();
        let mut policies = if self.forbid.is_empty() { self.permit } else { self.forbid };
        policies.sort();
        Decision { is_allowed, policies, error: None }
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

    /// The arguments that policies read, by the names that clients have for them. An argument may really be called `…_present`.
    pub fn arguments_read(&self) -> impl Iterator<Item = &str> {
        let named = self.uses.named("arg_").map(|(_, name, _)| name);
        named.flat_map(|name| [Some(name), name.strip_suffix("_present")].into_iter().flatten())
    }

    fn evaluate(
        &self,
        subject: &Subject,
        item: &Guarded,
        arguments: &[(&str, &str)],
    ) -> Result<Decision, String> {
        let called_with = self.called_with(arguments)?;
        let (mut said, mut asked) = (Said::default(), None);
        for policy in item.chosen.fitting(&subject.named) {
            if let Some(condition) = &policy.condition {
                let (request, entities) = match &asked {
                    Some(asked) => asked,
                    None => asked.insert(self.asked((subject, item), &called_with)?),
                };
                let holds = condition.holds(request, entities);
                if !holds.map_err(|error| format!("{}: {error}", self.shown_id(&policy.id)))? {
                    continue;
                }
            }
            said.of(policy.effect).push(self.shown_id(&policy.id));
        }
        Ok(said.decision())
    }

    /// What conditions are asked of.
    fn asked(
        &self,
        (subject, item): (&Subject, &Guarded),
        called_with: &[(String, RestrictedExpression)],
    ) -> Result<(Request, Arc<Entities>), String> {
        let request = self.request((subject, item), called_with)?;
        let needs = item.chosen.needs;
        if !needs.principal && called_with.is_empty() {
            // The same for every caller.
            let alone = || self.given.with(item.entity.clone());
            let entities = if needs.item {
                item.entities.get_or_init(alone).clone()?
            } else {
                self.given.written.clone()
            };
            return Ok((request, entities));
        }
        let principal = if item.chosen.asks_for_groups { &subject.entity } else { &subject.alone };
        let item = if called_with.is_empty() { item.entity.clone() } else { self.called(item, called_with) };
        let entities = self.given.with(principal.clone().into_iter().chain(item))?;
        Ok((request, entities))
    }

    /// An item that is called with something.
    pub(crate) fn called(
        &self,
        item: &Guarded,
        called_with: &[(String, RestrictedExpression)],
    ) -> Option<Entity> {
        let attributes = item.attributes.iter().chain(called_with).cloned();
        self.given.complete(item.uid.clone(), attributes, item.parents.clone())
    }

    /// Who asks for what, and what is known besides.
    pub(crate) fn request(
        &self,
        (subject, item): (&Subject, &Guarded),
        called_with: &[(String, RestrictedExpression)],
    ) -> Result<Request, String> {
        let mut context = subject.context.clone();
        if !called_with.is_empty() {
            let more = Context::from_pairs(called_with.iter().cloned()).map_err(|error| error.to_string())?;
            context = context.merge(more).map_err(|error| error.to_string())?;
        }
        let action = self.types.action(item.act);
        let request = Request::new(subject.uid.clone(), action, item.uid.clone(), context, None);
        request.map_err(|error| error.to_string())
    }

    /// Arguments as policies read them: `arg_<name>`, or where they cannot be read, that they are there.
    pub(crate) fn called_with(
        &self,
        arguments: &[(&str, &str)],
    ) -> Result<Vec<(String, RestrictedExpression)>, String> {
        let mut read = Vec::new();
        for (attribute, name, shape) in self.uses.named("arg_") {
            let find = |name: &str| arguments.iter().find(|(known, _)| *known == name);
            // As ToolHive has it: said of what is no text, number or boolean.
            let is_whole = |text: &str| text.starts_with(['{', '[']) || text == "null";
            let of_other = name.strip_suffix("_present").and_then(find);
            let is_there = of_other.is_some_and(|(_, text)| is_whole(text));
            let Some((_, text)) = find(name) else {
                if is_there {
                    read.push((attribute.to_owned(), RestrictedExpression::new_bool(true)));
                }
                continue;
            };
            if of_other.is_some() {
                return Err(format!("the argument `{name}` says of another one that it is there"));
            }
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
    pub(crate) fn shown_id(&self, id: &PolicyId) -> String {
        self.ids.get(id).cloned().unwrap_or_else(|| id.to_string())
    }
}
