//! What a backend says otherwise of its items than it did.

use std::collections::BTreeMap;
use std::fmt;

use crate::inventory::Inventory;
use crate::item::Kind;
use crate::sentence::{enumerate, shown};

/// The items about which two inventories of one backend differ, each as its kind and name, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Drift {
    /// Defined otherwise: a description, a schema, an annotation.
    pub redefined: Vec<String>,
    /// Not offered before.
    pub added: Vec<String>,
    /// Not offered any more.
    pub removed: Vec<String>,
}

impl Drift {
    /// What has become of `before`. `None`: every item is what it was, whatever their order.
    pub fn between(before: &Inventory, now: &Inventory) -> Option<Self> {
        let (old, new) = (definitions(before), definitions(now));
        let named = |(kind, name): &(Kind, &str)| format!("{} {name}", kind.noun());
        let mut drift = Self::default();
        for (item, definition) in &new {
            match old.get(item) {
                None => drift.added.push(named(item)),
                Some(then) if then != definition => drift.redefined.push(named(item)),
                Some(_) => {}
            }
        }
        drift.removed = old.keys().filter(|item| !new.contains_key(item)).map(named).collect();
        (drift != Self::default()).then_some(drift)
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("redefined", &self.redefined), ("added", &self.added), ("removed", &self.removed)];
        let said = parts.iter().filter(|(_, names)| !names.is_empty());
        let said =
            said.map(|(what, names)| format!("{what}: {}", enumerate(names.iter().map(|name| shown(name)))));
        f.write_str(&said.collect::<Vec<_>>().join("; "))
    }
}

/// Where a name is listed twice, the first counts.
fn definitions(inventory: &Inventory) -> BTreeMap<(Kind, &str), &[u8]> {
    let mut definitions = BTreeMap::new();
    for item in &inventory.items {
        definitions.entry((item.kind, item.original_name.as_str())).or_insert(item.definition.as_ref());
    }
    definitions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Item;

    fn inventory(tools: &[(&str, &str)]) -> Inventory {
        let item = |(name, description): &(&str, &str)| {
            let definition = format!(r#"{{"name":"{name}","description":"{description}"}}"#);
            Item::read(Kind::Tool, &definition).unwrap()
        };
        Inventory { items: tools.iter().map(item).collect(), ..Inventory::default() }
    }

    #[test]
    fn what_is_new_gone_or_otherwise_is_named() {
        let before = inventory(&[("a", "reads"), ("b", "writes"), ("c", "waits")]);
        let now = inventory(&[("d", "new"), ("c", "waits"), ("a", "reads, and asks for your password")]);
        let drift = Drift::between(&before, &now).unwrap();
        assert_eq!(drift.to_string(), "redefined: tool a; added: tool d; removed: tool b");
        let names = |names: &[&str]| names.iter().map(|name| format!("tool {name}")).collect::<Vec<_>>();
        assert_eq!(
            (drift.redefined, drift.added, drift.removed),
            (names(&["a"]), names(&["d"]), names(&["b"]))
        );
    }

    #[test]
    fn another_order_is_no_change() {
        let (one, other) = (inventory(&[("a", "x"), ("b", "y")]), inventory(&[("b", "y"), ("a", "x")]));
        assert_eq!(Drift::between(&one, &other), None);
    }
}
