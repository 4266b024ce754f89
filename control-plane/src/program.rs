//! The control plane as a program of its own.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tokio::sync::watch;
use tonic::service::Routes;
use vmcp_core::limits;
use vmcp_manifest::Hosting;
use vmcp_mcp::{Bounds, Exchange};
use vmcp_revision::publish_service;
use vmcp_runtime::{
    AdminPages, Clients, Drain, LogFormat, Metrics, NotPlain, ServerTls, Shown, bind, listen, plain_listener,
    run_program, serve_grpc, start_telemetry, stop_signal,
};

use crate::api::{self, whole_status};
use crate::app::ControlPlane;
use crate::gate::Gate;
use crate::settings::{Settings, toolhive_folders};
use crate::store::Store;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    run_program(run(Settings::parse()))
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    start_telemetry(&settings.log, if settings.log_json { LogFormat::Json } else { LogFormat::Text })?;
    let drain = Drain::new();
    let door = Door::open(&settings, &drain)?;
    let asked = bind(door.address(settings.api_listen)?, "--api-listen").await?;
    let publish = bind(door.address(settings.publish_listen)?, "--publish-listen").await?;
    let http = bind(settings.http_listen, "--http-listen").await?;
    let store = Store::open(&settings.data_dir)
        .with_context(|| format!("could not open the data directory {}", settings.data_dir.display()))?;
    if let Some(revision) = settings.continue_after {
        store.continue_after(revision)?;
    }
    // Nothing is hosted here.
    let (_hosted, hosted) = watch::channel(crate::Hosted::new());
    let settings = crate::app::Settings {
        store,
        hosting: Hosting::Nowhere,
        hosted,
        toolhive: toolhive_folders(),
        exchange: Exchange::new(Bounds::default()),
        drain: drain.clone(),
    };
    let control_plane = ControlPlane::start(settings)?;
    let metrics = Metrics::new();
    drain.spawn(crate::metrics::keep(control_plane.clone(), metrics.clone(), drain.clone()));
    let (api_address, publish_address, http_address) =
        (asked.local_addr()?, publish.local_addr()?, http.local_addr()?);
    let operators = door.gate.clone().operators(api::router(&control_plane, &drain).await?);
    let follow = publish_service(control_plane.publisher.clone(), drain.clone());
    let replicas = door.gate.replicas(Routes::new(follow).into_axum_router());
    drain.spawn(serve_grpc(asked, door.tls.clone(), operators, drain.clone()));
    drain.spawn(serve_grpc(publish, door.tls, replicas, drain.clone()));
    drain.spawn(listen(
        http,
        pages(&control_plane, metrics.clone(), &drain).router(http_address),
        drain.clone(),
    ));
    tracing::info!(api = %api_address, publish = %publish_address, http = %http_address, "control plane started");
    stop_signal().await;
    tracing::info!("stopping");
    if !drain.finish(limits::DRAIN_TIME).await {
        tracing::warn!("stopped before everything had ended");
    }
    Ok(())
}

/// How both listeners of gRPC are come in by.
struct Door {
    tls: Option<ServerTls>,
    gate: Gate,
}

impl Door {
    fn open(settings: &Settings, drain: &Drain) -> anyhow::Result<Self> {
        let (Some(certificates), Some(key), Some(authorities), Some(access)) =
            (&settings.tls_cert, &settings.tls_key, &settings.tls_client_ca, &settings.access)
        else {
            return Ok(Self { tls: None, gate: Gate::open_to_this_machine() });
        };
        let shown = Shown { certificates: certificates.clone(), key: key.clone() };
        let clients = Clients { authorities: authorities.clone(), revoked: settings.tls_crl.clone() };
        let tls = ServerTls::follow(shown, Some(clients), &["h2"], drain).context("TLS cannot be spoken")?;
        Ok(Self { tls: Some(tls), gate: Gate::by(access, drain)? })
    }

    /// Where may be listened.
    fn address(&self, address: SocketAddr) -> Result<SocketAddr, NotPlain> {
        if self.tls.is_some() { Ok(address) } else { plain_listener(address) }
    }
}

fn pages(control_plane: &ControlPlane, metrics: Metrics, drain: &Drain) -> AdminPages {
    let (asked, told, drain) = (control_plane.clone(), control_plane.clone(), drain.clone());
    AdminPages {
        ready: Box::new(move || {
            let has_begun = asked.status.borrow().generation == 0 || asked.publisher.current().revision > 0;
            match (drain.is_stopped(), has_begun) {
                (true, _) => Err("stopping".to_owned()),
                (false, false) => Err("compiling what is stored".to_owned()),
                (false, true) => Ok(()),
            }
        }),
        status: Box::new(move || serde_json::to_string(&whole_status(&told)).unwrap_or_default()),
        metrics,
    }
}
