//! Both planes in one process: the same publisher and follower as between processes, over an in-process channel.

mod admin;
mod summary;
mod workloads;

use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr};

use vmcp_control_plane::{Change, ControlPlane, Store, toolhive_folders};
use vmcp_core::limits;
use vmcp_data_plane::DataPlane;
use vmcp_manifest::Hosting as Programs;
use vmcp_mcp::{Bounds, Exchange};
use vmcp_revision::{Source, codec};
use vmcp_runtime::{Drain, LogFormat, Metrics, ServerTls, Shown, bind, listen, start_telemetry, stop_signal};
use vmcp_stdio::StdioHost;

use crate::manifests::Loaded;
use crate::settings::{self, Serve};
use summary::Summary;
use workloads::Hosting;

/// Serves until the process is told to stop.
pub(crate) async fn run(serve: Serve, loaded: Loaded) -> anyhow::Result<()> {
    let Loaded { desired, manifests } = loaded;
    // Log lines and a page that is redrawn do not go together, so there is one or the other.
    let is_terminal = std::io::stderr().is_terminal() && serve.log.is_none() && !serve.log_json;
    let filter = serve.log.clone().unwrap_or_else(|| if is_terminal { "error" } else { "info" }.to_owned());
    start_telemetry(&filter, if serve.log_json { LogFormat::Json } else { LogFormat::Text })?;
    if desired.virtual_servers.is_empty() {
        anyhow::bail!("the manifests describe no virtual server");
    }
    let listener = bind(SocketAddr::new(serve.host, serve.port), "--port").await?;
    let admin_listener =
        bind(SocketAddr::from((Ipv4Addr::LOCALHOST, serve.admin_port)), "--admin-port").await?;
    let (address, admin_address) = (listener.local_addr()?, admin_listener.local_addr()?);

    let (drain, metrics) = (Drain::new(), Metrics::new());
    let tls = match (serve.tls_cert, serve.tls_key) {
        (Some(certificates), Some(key)) => {
            Some(ServerTls::follow(Shown { certificates, key }, None, &["h2", "http/1.1"], &drain)?)
        }
        _ => None,
    };
    // Children end after those who call them.
    let children = Drain::new();
    let host = StdioHost::start(settings::environment(), children.clone()).await?;
    let hosting = Hosting::start(&host, &desired, &children)?;

    let control_plane = ControlPlane::start(vmcp_control_plane::Settings {
        store: Store::in_memory()?,
        hosting: Programs::Here,
        hosted: hosting.hosted(),
        toolhive: toolhive_folders(),
        // What is special about origins each plane knows for itself.
        exchange: Exchange::new(Bounds::default()),
        drain: drain.clone(),
    })?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let data_plane = DataPlane::start(vmcp_data_plane::Settings {
        listener,
        tls,
        sources: vec![Source::Here(control_plane.publisher.clone())],
        replica: "local".to_owned(),
        virtual_servers: Vec::new(),
        state: None,
        session_keys: None,
        decode: codec::decode,
        exchange: Exchange::new(Bounds::default()),
        metrics: metrics.clone(),
        drain: drain.clone(),
    })?;
    let pages = admin::pages(&control_plane, &data_plane, &hosting, metrics);
    drain.spawn(listen(admin_listener, pages.router(admin_address), drain.clone()));
    let summary = Summary::new(&desired, (scheme, address), admin_address, is_terminal);
    control_plane.acceptor.accept(Change::Apply { manifests, prune: true }, None, None).await?;
    drain.spawn(summary.run(
        control_plane.status(),
        data_plane.observed(),
        hosting.children(),
        drain.clone(),
    ));

    stop_signal().await;
    let has_drained = drain.finish(limits::DRAIN_TIME).await;
    data_plane.flush().await;
    let have_ended = children.finish(limits::DRAIN_TIME).await;
    if !has_drained || !have_ended {
        tracing::warn!("stopped before everything had ended");
    }
    Ok(())
}
