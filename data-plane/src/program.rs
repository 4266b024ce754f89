//! The data plane as a program of its own.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use vmcp_core::limits;
use vmcp_mcp::{Bounds, Exchange};
use vmcp_revision::remote;
use vmcp_runtime::{
    AdminPages, ConnectFiles, Drain, LogFormat, Metrics, ServerTls, Shown, bind, connector, grpc_peer,
    listen, run_program, start_telemetry, stop_signal,
};

use crate::app::{self, DataPlane};
use crate::follow::{StateDir, new_id};
use crate::sealing::SessionKeys;
use crate::settings::Settings;
use crate::snapshot::Decode;
use crate::status::describe;

/// Runs the command line of this process. `decode` makes values of parts: `codec::decode`.
pub fn main(decode: Decode) -> ExitCode {
    run_program(run(Settings::parse(), decode))
}

async fn run(settings: Settings, decode: Decode) -> anyhow::Result<()> {
    start_telemetry(&settings.log, if settings.log_json { LogFormat::Json } else { LogFormat::Text })?;
    let files = connect_files(&settings)?;
    let mut sources = Vec::new();
    for url in &settings.control_plane {
        sources.push(remote(grpc_peer(url, files.is_some(), "control-plane")?, files.clone()));
    }
    let wanted = settings.replica_id.as_ref().map(|name| name.as_str());
    let state = settings.state_dir.as_ref().map(|folder| {
        StateDir::open(folder, wanted)
            .with_context(|| format!("could not open the state directory {}", folder.display()))
    });
    let state = state.transpose()?;
    let replica = match (&state, wanted) {
        (Some(state), _) => state.replica().to_owned(),
        (None, Some(wanted)) => wanted.to_owned(),
        (None, None) => new_id()?,
    };
    let listener = bind(settings.listen, "--listen").await?;
    let admin = bind(settings.admin_listen, "--admin-listen").await?;
    let (address, admin_address) = (listener.local_addr()?, admin.local_addr()?);
    let (drain, metrics) = (Drain::new(), Metrics::new());
    let session_keys = settings.session_key_file.map(|file| SessionKeys::follow(file, &drain));
    let session_keys = session_keys.transpose().context("--session-key-file cannot be used")?;
    let tls = match (settings.tls_cert, settings.tls_key) {
        (Some(certificates), Some(key)) => {
            let shown = Shown { certificates, key };
            let tls = ServerTls::follow(shown, None, &["h2", "http/1.1"], &drain);
            Some(tls.context("TLS cannot be spoken with clients")?)
        }
        _ => None,
    };
    let data_plane = DataPlane::start(app::Settings {
        listener,
        tls,
        sources,
        replica,
        virtual_servers: settings.virtual_server,
        state,
        session_keys,
        decode,
        exchange: Exchange::new(Bounds::default()),
        metrics: metrics.clone(),
        drain: drain.clone(),
    })?;
    if !address.ip().is_loopback() {
        tracing::warn!(listen = %address, "everybody who reaches this address is let in where `incoming_auth` is not `oidc`");
    }
    tracing::info!(replica = data_plane.replica(), listen = %address, admin = %admin_address, "data plane started");
    let is_stopping = Arc::new(AtomicBool::new(false));
    let data_plane = Arc::new(data_plane);
    let pages = pages(data_plane.clone(), metrics, is_stopping.clone());
    // The last to end: it tells that we stop.
    let admin_drain = Drain::new();
    admin_drain.spawn(listen(admin, pages.router(admin_address), admin_drain.clone()));

    stop_signal().await;
    is_stopping.store(true, Ordering::Relaxed);
    tracing::info!(seconds = settings.stop_delay, "stopping; serving until load balancers have noticed");
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs(settings.stop_delay)) => {}
        () = stop_signal() => {}
    }
    if !drain.finish(limits::DRAIN_TIME).await {
        tracing::warn!("stopped before everything had ended");
    }
    data_plane.flush().await;
    admin_drain.finish(limits::DRAIN_TIME).await;
    Ok(())
}

/// Looked at once before anything is served, so that what is wrong with them is said at once.
fn connect_files(settings: &Settings) -> anyhow::Result<Option<ConnectFiles>> {
    let (Some(authorities), Some(certificates), Some(key)) =
        (&settings.control_plane_ca, &settings.control_plane_cert, &settings.control_plane_key)
    else {
        return Ok(None);
    };
    let shown = Shown { certificates: certificates.clone(), key: key.clone() };
    let files = ConnectFiles { authorities: authorities.clone(), shown };
    connector(&files).context("a control plane cannot be spoken to over TLS")?;
    Ok(Some(files))
}

fn pages(data_plane: Arc<DataPlane>, metrics: Metrics, is_stopping: Arc<AtomicBool>) -> AdminPages {
    let observed = data_plane.observed();
    AdminPages {
        ready: Box::new(move || match (is_stopping.load(Ordering::Relaxed), &*observed.borrow()) {
            (true, _) => Err("stopping".to_owned()),
            (false, observed) if observed.is_ready => Ok(()),
            (false, observed) if observed.revision == 0 => Err("waiting for the first revision".to_owned()),
            (false, _) => Err("none of the virtual servers that it is to serve can be served".to_owned()),
        }),
        status: Box::new(move || serde_json::to_string(&describe(&data_plane)).unwrap_or_default()),
        metrics,
    }
}
