//! A ToolHive group without a manifest: the one that is meant, and who is in the group now.

use anyhow::{Context, anyhow, bail};
use vmcp_control_plane::{Manifest, look_for_toolhive_group, toolhive_folders};
use vmcp_core::name::Name;

use crate::terminal::legible;

/// Who is in a group.
#[derive(Debug)]
pub(crate) struct Found {
    /// Each with where it is called, and how it is.
    pub(crate) workloads: Vec<String>,
    /// What cannot be used.
    pub(crate) remarks: Vec<String>,
}

/// Everybody comes in, and every name has its workload's before it.
pub(crate) fn manifest(group: &str, name: Option<&Name>) -> anyhow::Result<[Manifest; 1]> {
    let name: Name = match name {
        Some(name) => name.clone(),
        None => group
            .replace(' ', "-")
            .parse()
            .with_context(|| format!("`{}` cannot be the name of a virtual server", legible(group)))?,
    };
    let text = format!(
        "name: {name}\ngroup: {name}\nincoming_auth: {{type: anonymous}}\naggregation: {{conflict_resolution: prefix}}\n---\nkind: group\nname: {name}\ntoolhive: {{group: {}}}\n",
        quoted(group)
    );
    Ok([Manifest { file: "--group".to_owned(), text }])
}

/// Looks once.
pub(crate) fn look(group: &str) -> anyhow::Result<Found> {
    let (members, remarks) =
        look_for_toolhive_group(group, toolhive_folders()).map_err(|why| anyhow!("{}", legible(&why)))?;
    if members.is_empty() && remarks.iter().any(|remark| remark.starts_with("ToolHive has no group")) {
        bail!("{}", legible(&remarks.join("; ")));
    }
    Ok(Found { workloads: members, remarks })
}

/// YAML in single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
