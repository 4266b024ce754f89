//! The control plane as a program of its own.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use vmcp_core::limits;
use vmcp_manifest::Hosting;
use vmcp_mcp::{Bounds, Exchange};
use vmcp_revision::{Publisher, publish_service};
use vmcp_runtime::{
    AdminPages, Drain, LogFormat, Metrics, bind, listen, plain_listener, run_program, start_telemetry,
    stop_signal,
};

use crate::api::{self, whole_status};
use crate::app::ControlPlane;
use crate::settings::{Settings, toolhive_folders};
use crate::store::Store;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    run_program(run(Settings::parse()))
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    start_telemetry(&settings.log, if settings.log_json { LogFormat::Json } else { LogFormat::Text })?;
    let asked = bind(plain_listener(settings.api_listen)?, "--api-listen").await?;
    let publish = bind(plain_listener(settings.publish_listen)?, "--publish-listen").await?;
    let http = bind(settings.http_listen, "--http-listen").await?;
    let store = Store::open(&settings.data_dir)
        .with_context(|| format!("could not open the data directory {}", settings.data_dir.display()))?;
    if let Some(revision) = settings.continue_after {
        store.continue_after(revision)?;
    }
    let drain = Drain::new();
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
    drain.spawn(api::serve(asked, control_plane.clone(), drain.clone()));
    drain.spawn(serve_publish(publish, control_plane.publisher.clone(), drain.clone()));
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

async fn serve_publish(listener: TcpListener, publisher: Publisher, drain: Drain) {
    let server = Server::builder()
        .http2_keepalive_interval(Some(limits::PING_TIME))
        .http2_keepalive_timeout(Some(limits::PING_TIME))
        .add_service(publish_service(publisher, drain.clone()));
    let stopped = async move { drain.stopped().await };
    if let Err(error) = server
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), stopped)
        .await
    {
        tracing::error!(%error, "the publish service has ended");
    }
}
