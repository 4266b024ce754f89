//! Exactly one record per call or denial, made before the last of the answer goes out, whatever happens.

mod data;
mod entry;
mod event;
mod file;
mod ledger;
mod otlp;
mod record;

use std::sync::Arc;

use vmcp_core::audit as core;

pub(crate) use entry::{Door, Ended, Entry};
pub(crate) use event::EventType;
use ledger::Ledger;
pub(crate) use ledger::{Counted, Ledgers};

/// What one virtual server records, and where.
#[derive(Debug)]
pub(crate) struct Audit {
    settings: core::Audit,
    ledger: Ledger,
}

impl Audit {
    /// What there was, if it is as somebody wants it now.
    pub(crate) fn kept(before: Option<&Arc<Self>>, settings: &core::Audit, ledgers: &Ledgers) -> Arc<Self> {
        if let Some(before) = before.filter(|before| before.settings == *settings) {
            return before.clone();
        }
        Arc::new(Self { settings: settings.clone(), ledger: ledgers.at(&settings.to) })
    }
}
