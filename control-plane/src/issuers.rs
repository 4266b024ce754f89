//! Keeps the keys of every issuer whose tokens are taken, for all replicas: fetched here, once for the whole fleet, and what was last
//! fetched stays while an issuer does not answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::sleep;
use vmcp_core::boundary::{Incoming, Issuer};
use vmcp_core::desired::{Desired, VirtualServer};
use vmcp_core::limits;
use vmcp_oauth::{KeyFetcher, prepare};
use vmcp_revision::protocol::IssuerKeys;
use vmcp_runtime::{jittered, unix_ms};

/// What was fetched, by issuer and by where its keys are, if that is said.
pub(crate) type Fetched = BTreeMap<IssuerId, Known>;

pub(crate) type IssuerId = (String, Option<String>);

/// What is known of an issuer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Known {
    /// Its keys, as they were last fetched.
    pub(crate) keys: Option<IssuerKeys>,
    /// Why they could not be fetched, the last time.
    pub(crate) error: Option<String>,
}

/// All that are known, each with the virtual servers that take its tokens.
pub(crate) fn keys_of(desired: &Desired, fetched: &Fetched) -> Vec<IssuerKeys> {
    let takes = |server: &VirtualServer, wanted: &IssuerId| match &server.incoming {
        Incoming::Oidc(issuers) => issuers.iter().any(|issuer| id(issuer) == *wanted),
        Incoming::Anonymous | Incoming::Local => false,
    };
    let known = fetched.iter().filter_map(|(id, known)| Some((id, known.keys.clone()?)));
    known
        .map(|(id, keys)| {
            let of = desired.virtual_servers.values().filter(|server| takes(server, id));
            IssuerKeys { of: of.map(|server| server.name.clone()).collect(), ..keys }
        })
        .collect()
}

/// By which what is known of an issuer is found.
pub(crate) fn id(issuer: &Issuer) -> IssuerId {
    (issuer.issuer.clone(), issuer.jwks_url.clone())
}

/// A task for each issuer.
#[derive(Debug)]
pub(crate) struct Issuers {
    fetcher: Arc<KeyFetcher>,
    fetched: watch::Sender<Fetched>,
    running: BTreeMap<IssuerId, (Issuer, AbortHandle)>,
}

impl Issuers {
    pub(crate) fn new() -> Self {
        Self { fetcher: Arc::default(), fetched: watch::Sender::default(), running: BTreeMap::new() }
    }

    /// What is known, as it changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Fetched> {
        self.fetched.subscribe()
    }

    /// Makes the tasks those of what is desired. Issuers that are asked about each token have no keys that anybody needs.
    pub(crate) fn follow(&mut self, desired: &Desired) {
        let mut wanted: BTreeMap<IssuerId, &Issuer> = BTreeMap::new();
        let mut apart = BTreeSet::new();
        for server in desired.virtual_servers.values() {
            let Incoming::Oidc(issuers) = &server.incoming else { continue };
            for issuer in issuers.iter().filter(|issuer| issuer.introspection_url.is_none()) {
                let id = id(issuer);
                let first = wanted.entry(id.clone()).or_insert(issuer);
                // Who reaches an issuer otherwise than others trusts what comes that way, and nobody else does: they fetch for themselves.
                if first.reach != issuer.reach {
                    apart.insert(id);
                }
            }
        }
        wanted.retain(|id, _| !apart.contains(id));
        let mut gone = Vec::new();
        self.running.retain(|id, (issuer, task)| {
            let stays = wanted.get(id).is_some_and(|now| now.reach == issuer.reach);
            if !stays {
                task.abort();
                gone.push(id.clone());
            }
            stays
        });
        if !gone.is_empty() {
            self.fetched.send_modify(|fetched| gone.iter().for_each(|id| drop(fetched.remove(id))));
        }
        for (id, issuer) in wanted {
            if !self.running.contains_key(&id) {
                let (fetcher, tell) = (self.fetcher.clone(), self.fetched.clone());
                let task = tokio::spawn(keep(fetcher, issuer.clone(), id.clone(), tell)).abort_handle();
                self.running.insert(id, (issuer.clone(), task));
            }
        }
    }
}

impl Drop for Issuers {
    fn drop(&mut self) {
        self.running.values().for_each(|(_, task)| task.abort());
    }
}

async fn keep(fetcher: Arc<KeyFetcher>, issuer: Issuer, id: IssuerId, tell: watch::Sender<Fetched>) {
    loop {
        let fetched = match prepare::trusted(&issuer) {
            Ok(trusted) => fetcher.fetch(&trusted).await,
            Err(why) => Err(why),
        };
        match fetched {
            Ok(document) => {
                let keys = IssuerKeys {
                    issuer: id.0.clone(),
                    jwks_url: id.1.clone(),
                    document,
                    fetched_ms: unix_ms(),
                    of: BTreeSet::new(),
                };
                let known = Known { keys: Some(keys), error: None };
                tell.send_modify(|fetched| drop(fetched.insert(id.clone(), known)));
                sleep(jittered(limits::KEYS_TIME / 2, limits::KEYS_TIME)).await;
            }
            Err(error) => {
                let is_news = tell.send_if_modified(|fetched| {
                    let known = fetched.entry(id.clone()).or_default();
                    known.error.replace(error.clone()).as_ref() != Some(&error)
                });
                if is_news {
                    tracing::warn!(
                        issuer = id.0,
                        error,
                        "the keys of an issuer cannot be had; those that are known stay"
                    );
                }
                sleep(jittered(limits::KEYS_RETRY_TIME / 2, limits::KEYS_RETRY_TIME)).await;
            }
        }
    }
}
