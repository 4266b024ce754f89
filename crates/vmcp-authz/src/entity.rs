//! Entities that an operator writes out (`entities_json`): what they are, so that policies can be held to it, and what they bring to a decision.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use cedar_policy::{Entities, Entity, EntityUid, RestrictedExpression};
use serde_json::Value;

use crate::fault::PolicyFault;
use crate::shape::Shape;
use crate::vocabulary::ACTION;

/// A type of entities, as those that are written out show it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kind {
    pub(crate) attributes: BTreeMap<String, Shape>,
    pub(crate) parents: BTreeSet<String>,
}

/// The entities that are written out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Given {
    pub(crate) kinds: BTreeMap<String, Kind>,
    pub(crate) entities: HashMap<EntityUid, (HashMap<String, RestrictedExpression>, Vec<EntityUid>)>,
    /// The same, as they are asked.
    pub(crate) written: Arc<Entities>,
}

impl Given {
    /// Reads Cedar's JSON form of entities.
    pub(crate) fn read(text: &str) -> Result<Self, PolicyFault> {
        let fault = |message: String| PolicyFault { policy: None, offset: 0, message, help: None };
        let value: Value = serde_json::from_str(text)
            .map_err(|error| fault(format!("the entities are not JSON: {error}")))?;
        let mut kinds: BTreeMap<String, Kind> = BTreeMap::new();
        for entity in value.as_array().into_iter().flatten() {
            let Some(kind) = type_of(&entity["uid"]) else { continue };
            if kind == ACTION {
                return Err(fault("actions are known, and in nothing: leave them out".to_owned()));
            }
            let mut found = kinds.remove(kind).unwrap_or_default();
            for (name, value) in entity["attrs"].as_object().into_iter().flatten() {
                let known = found.attributes.remove(name).unwrap_or_default();
                let joined = known.join(shape(value)).map_err(|conflict| {
                    fault(format!("the attribute `{name}` of `{kind}` is {} entity", conflict.0))
                })?;
                found.attributes.insert(name.clone(), joined);
            }
            let parents = entity["parents"].as_array().into_iter().flatten().filter_map(type_of);
            found.parents.extend(parents.map(ToOwned::to_owned));
            kinds.insert(kind.to_owned(), found);
        }
        let parsed = Entities::from_json_value(value, None).map_err(|error| {
            let cause =
                std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            fault(format!("the entities cannot be read: {error}{cause}"))
        })?;
        let mut entities = HashMap::new();
        for entity in parsed.iter().cloned() {
            let (uid, attributes, parents) = entity.into_inner();
            entities.insert(uid, (attributes.into_iter().collect(), parents.into_iter().collect()));
        }
        Ok(Self { kinds, entities, written: Arc::new(parsed) })
    }

    /// These, and what is written out.
    ///
    /// # Errors
    /// They cannot stand beside each other.
    pub(crate) fn with(&self, entities: impl IntoIterator<Item = Entity>) -> Result<Arc<Entities>, String> {
        let all = Entities::clone(&self.written).upsert_entities(entities, None);
        all.map(Arc::new).map_err(|error| error.to_string())
    }

    /// An entity of ours, with what is written out of it besides; our attributes count.
    pub(crate) fn complete(
        &self,
        uid: EntityUid,
        ours: impl IntoIterator<Item = (String, RestrictedExpression)>,
        parents: Vec<EntityUid>,
    ) -> Option<Entity> {
        let (mut attributes, mut all) = self.entities.get(&uid).cloned().unwrap_or_default();
        attributes.extend(ours);
        all.extend(parents);
        Entity::new(uid, attributes, all.into_iter().collect()).ok()
    }
}

/// `{"type": …, "id": …}`, with or without `__entity` around it.
fn type_of(uid: &Value) -> Option<&str> {
    uid.get("__entity").unwrap_or(uid).get("type")?.as_str()
}

fn shape(value: &Value) -> Shape {
    match value {
        Value::Bool(_) => Shape::Bool,
        Value::Number(_) => Shape::Long,
        Value::Array(items) => Shape::set_of(items.first().map(shape).unwrap_or_default()),
        Value::Object(object) => match (object.get("__entity"), object.get("__extn")) {
            (Some(_), _) => Shape::Entity(type_of(value).unwrap_or_default().to_owned()),
            (_, Some(called)) => match called["fn"].as_str() {
                Some("decimal") => Shape::Extension("decimal"),
                Some("ip") => Shape::Extension("ipaddr"),
                Some("datetime") => Shape::Extension("datetime"),
                Some("duration") => Shape::Extension("duration"),
                _ => Shape::Unknown,
            },
            _ => Shape::Record(object.iter().map(|(name, value)| (name.clone(), shape(value))).collect()),
        },
        Value::String(_) | Value::Null => Shape::Text,
    }
}
