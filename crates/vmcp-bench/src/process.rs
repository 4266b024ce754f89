//! What a process and its children have used, from /proc.

use std::time::Duration;

use anyhow::Context;

/// A process with those that it has started, which do its work (nginx).
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    ids: Vec<u32>,
}

impl Watched {
    /// A process and its present children.
    pub(crate) fn family(id: u32) -> anyhow::Result<Self> {
        let children = fs_err::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        let mut ids = vec![id];
        ids.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        Ok(Self { ids })
    }

    /// How many they are.
    pub(crate) fn processes(&self) -> usize {
        self.ids.len()
    }

    /// Time on a processor so far, all threads.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let mut nanoseconds = 0;
        for id in &self.ids {
            for task in fs_err::read_dir(format!("/proc/{id}/task"))? {
                let Ok(text) = fs_err::read_to_string(task?.path().join("schedstat")) else { continue };
                let running = text.split_whitespace().next().context("schedstat is empty")?;
                nanoseconds += running.parse::<u64>()?;
            }
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Memory that is resident now, in KiB.
    pub(crate) fn resident_kib(&self) -> anyhow::Result<u64> {
        let resident = |id: &u32| -> anyhow::Result<u64> {
            let status = fs_err::read_to_string(format!("/proc/{id}/status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
            Ok(line.trim().trim_end_matches(" kB").parse()?)
        };
        self.ids.iter().map(resident).sum()
    }
}
