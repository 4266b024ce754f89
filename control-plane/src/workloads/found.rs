//! What a provider has found of a group: last good, and what is wrong now.

use std::collections::BTreeMap;

use vmcp_core::desired::Endpoints;
use vmcp_core::name::Name;

use crate::workloads::Located;

/// What providers have found, by group.
pub(crate) type Groups = BTreeMap<Name, Found>;

/// The workloads of a group.
pub(crate) type FoundWorkloads = BTreeMap<Name, FoundWorkload>;

/// What a provider has found of one group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Those that were there when the provider last answered. `None`: it never has.
    pub(crate) workloads: Option<FoundWorkloads>,
    /// It has been asked since this process began, whatever came of that.
    pub(crate) is_asked: bool,
    /// What is wrong: why the provider does not answer, or what it says that cannot be used.
    pub(crate) faults: Vec<String>,
}

/// A workload that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundWorkload {
    pub(crate) endpoints: Endpoints,
    /// The provider's word, such as `running`.
    pub(crate) status: String,
    /// What people have written on it.
    pub(crate) labels: BTreeMap<String, String>,
}

impl Found {
    /// As it was stored.
    pub(crate) fn stored(workloads: FoundWorkloads) -> Self {
        Self { workloads: Some(workloads), ..Self::default() }
    }

    /// The provider has answered. Of those in `kept` it could not say enough: what is known of them stays, with the status that it
    /// says, if any.
    pub(crate) fn answered(
        &mut self,
        mut workloads: FoundWorkloads,
        kept: BTreeMap<Name, Option<String>>,
        faults: Vec<String>,
    ) {
        let mut before = self.workloads.take().unwrap_or_default();
        for (name, status) in kept {
            let Some(mut workload) = before.remove(&name).filter(|_| !workloads.contains_key(&name)) else {
                continue;
            };
            workload.status = status.unwrap_or(workload.status);
            workloads.insert(name, workload);
        }
        *self = Self { workloads: Some(workloads), is_asked: true, faults };
    }

    /// The provider has not answered: what was there stays.
    pub(crate) fn failed(&mut self, why: String) {
        (self.is_asked, self.faults) = (true, vec![why]);
    }
}

impl FoundWorkload {
    pub(crate) fn located(&self) -> Located {
        Located { status: Some(self.status.clone()), ..Located::at(self.endpoints.clone()) }
    }
}
