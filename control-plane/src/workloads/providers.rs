//! One task per group that a provider finds. What it found last stays while it does not answer.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use vmcp_core::desired::{Desired, ToolHive, ToolHiveApi, ToolHiveSource};
use vmcp_core::name::Name;

use crate::workloads::found::{Found, FoundWorkloads, Groups};
use crate::workloads::toolhive::{Api, Files, Seen, ToolHiveFolders};

/// How often files are looked at: fast enough for people, and nothing for a disk.
const FILES_TIME: Duration = Duration::from_millis(500);
/// How often an API is asked.
const API_TIME: Duration = Duration::from_secs(1);

/// The tasks, by group.
#[derive(Debug)]
pub(crate) struct Providers {
    folders: ToolHiveFolders,
    found: watch::Sender<Groups>,
    running: BTreeMap<Name, (ToolHive, AbortHandle)>,
}

impl Providers {
    /// Begins with what was found before.
    pub(crate) fn new(folders: ToolHiveFolders, known: BTreeMap<Name, FoundWorkloads>) -> Self {
        let known = known.into_iter().map(|(group, workloads)| (group, Found::stored(workloads)));
        Self { folders, found: watch::Sender::new(known.collect()), running: BTreeMap::new() }
    }

    /// What has been found, as it changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Groups> {
        self.found.subscribe()
    }

    /// Makes the tasks those of the groups that virtual servers present.
    pub(crate) fn follow(&mut self, desired: &Desired) {
        let presented =
            desired.virtual_servers.values().filter_map(|server| desired.groups.get(&server.group));
        let wanted: BTreeMap<&Name, &ToolHive> =
            presented.filter_map(|group| Some((&group.name, group.toolhive.as_ref()?))).collect();
        self.running.retain(|group, (toolhive, task)| {
            let stays = wanted.get(group).is_some_and(|wanted| *wanted == toolhive);
            if !stays {
                task.abort();
            }
            stays
        });
        let is_gone = |group: &Name| !wanted.contains_key(group);
        self.found.send_if_modified(|found| {
            let before = found.len();
            found.retain(|group, _| !is_gone(group));
            found.len() != before
        });
        for (group, toolhive) in wanted {
            if self.running.contains_key(group) {
                continue;
            }
            // Another provider may know better; until it says so, what was there is there.
            self.found.send_modify(|found| found.entry(group.clone()).or_default().is_asked = false);
            let task =
                watch_toolhive(toolhive.clone(), self.folders.clone(), group.clone(), self.found.clone());
            let task = tokio::spawn(task).abort_handle();
            self.running.insert(group.clone(), (toolhive.clone(), task));
        }
    }
}

impl Drop for Providers {
    fn drop(&mut self) {
        self.running.values().for_each(|(_, task)| task.abort());
    }
}

async fn watch_toolhive(
    toolhive: ToolHive,
    folders: ToolHiveFolders,
    group: Name,
    found: watch::Sender<Groups>,
) {
    match toolhive.source.clone() {
        ToolHiveSource::Files { state, data } => {
            let mut files = Files::new(&toolhive, folders.with(state, data));
            loop {
                let looked = tokio::task::spawn_blocking(move || {
                    let seen = files.look();
                    (files, seen)
                });
                let Ok((returned, seen)) = looked.await else { return };
                files = returned;
                tell(&found, &group, seen);
                tokio::time::sleep(FILES_TIME).await;
            }
        }
        ToolHiveSource::Api(api) => watch_api(&toolhive, &api, &group, &found).await,
    }
}

async fn watch_api(toolhive: &ToolHive, api: &ToolHiveApi, group: &Name, found: &watch::Sender<Groups>) {
    let api = match Api::new(toolhive, api) {
        Ok(api) => api,
        Err(why) => return tell(found, group, Err(why)),
    };
    loop {
        tell(found, group, api.ask().await);
        tokio::time::sleep(API_TIME).await;
    }
}

fn tell(found: &watch::Sender<Groups>, group: &Name, seen: Result<Seen, String>) {
    found.send_if_modified(|all| {
        let Some(known) = all.get_mut(group) else { return false };
        let before = known.clone();
        match seen {
            Ok(Seen { workloads, kept, faults }) => known.answered(workloads, kept, faults),
            Err(why) => known.failed(why),
        }
        for fault in known.faults.iter().filter(|fault| !before.faults.contains(fault)) {
            tracing::warn!(%group, fault, "ToolHive");
        }
        *known != before
    });
}
