//! What the admin port tells when both planes are one process.

use serde::Serialize;
use vmcp_control_plane::{ControlPlane, WholeStatus, whole_status};
use vmcp_data_plane::DataPlane;
use vmcp_runtime::{AdminPages, Metrics};
use vmcp_stdio::ChildStatus;

use crate::serve::workloads::{Children, Hosting};

#[derive(Debug, Serialize)]
struct Whole {
    #[serde(flatten)]
    status: WholeStatus,
    processes: Vec<Process>,
}

#[derive(Debug, Serialize)]
struct Process {
    group: String,
    name: String,
    #[serde(flatten)]
    child: ChildStatus,
}

/// The pages of this process.
pub(super) fn pages(
    control_plane: &ControlPlane,
    data_plane: &DataPlane,
    hosting: &Hosting,
    metrics: Metrics,
) -> AdminPages {
    let (control_plane, observed, children) =
        (control_plane.clone(), data_plane.observed(), hosting.children());
    AdminPages {
        ready: Box::new(move || match observed.borrow().is_ready {
            true => Ok(()),
            false => Err("waiting for the first revision".to_owned()),
        }),
        status: Box::new(move || {
            serde_json::to_string(&whole(whole_status(&control_plane), &children)).unwrap_or_default()
        }),
        metrics,
    }
}

fn whole(mut status: WholeStatus, children: &Children) -> Whole {
    // The address of a hosted workload is a secret: whoever knows it can call the workload past every check.
    for backend in &mut status.backends {
        let is_hosted =
            children.keys().any(|id| id.group.as_str() == backend.group && id.name.as_str() == backend.name);
        if is_hosted && backend.url.is_some() {
            backend.url = Some("stdio".to_owned());
        }
    }
    let processes = children.iter().map(|(id, child)| Process {
        group: id.group.to_string(),
        name: id.name.to_string(),
        child: child.status(),
    });
    Whole { status, processes: processes.collect() }
}
