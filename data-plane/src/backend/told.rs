//! What the control plane says of backends beside revisions.

use std::collections::BTreeMap;

use vmcp_core::health::Health;
use vmcp_core::name::Name;
use vmcp_revision::protocol::Observe;

/// The backends of which nothing is to be expected now, by group.
#[derive(Debug, Default)]
pub(crate) struct Told {
    unavailable: BTreeMap<Name, Vec<Name>>,
}

impl Told {
    pub(crate) fn of(observe: &Observe) -> Self {
        let mut unavailable: BTreeMap<Name, Vec<Name>> = BTreeMap::new();
        // Whoever is unknown has no items in the revision either, which says so for itself.
        let is_told = |health: &Health| health.is_unavailable() && *health != Health::Unknown;
        for (id, _) in observe.backends.iter().filter(|(_, health)| is_told(health)) {
            unavailable.entry(id.group.clone()).or_default().push(id.name.clone());
        }
        Self { unavailable }
    }

    /// Those of a group.
    pub(crate) fn unavailable(&self, group: &Name) -> &[Name] {
        self.unavailable.get(group).map_or(&[], Vec::as_slice)
    }
}
