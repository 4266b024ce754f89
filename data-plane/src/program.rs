//! The data plane as a program of its own.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use aws_lc_rs::digest;
use clap::Parser;
use vmcp_core::limits;
use vmcp_mcp::{Bounds, Exchange};
use vmcp_revision::remote;
use vmcp_runtime::{
    AdminPages, Drain, LogFormat, Metrics, bind, listen, plain_peer, run_program, start_telemetry,
    stop_signal,
};
use vmcp_seal::KEY_BYTES;

use crate::app::{self, DataPlane, SessionKey};
use crate::follow::{StateDir, new_id};
use crate::settings::Settings;
use crate::snapshot::Decode;
use crate::status::describe;

/// Runs the command line of this process. `decode` makes values of parts: `codec::decode`.
pub fn main(decode: Decode) -> ExitCode {
    run_program(run(Settings::parse(), decode))
}

async fn run(settings: Settings, decode: Decode) -> anyhow::Result<()> {
    start_telemetry(&settings.log, if settings.log_json { LogFormat::Json } else { LogFormat::Text })?;
    let mut sources = Vec::new();
    for url in &settings.control_plane {
        sources.push(remote(plain_peer(url)?));
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
    let session_key = settings.session_key_file.as_deref().map(session_key).transpose()?;
    let listener = bind(settings.listen, "--listen").await?;
    let admin = bind(settings.admin_listen, "--admin-listen").await?;
    let (address, admin_address) = (listener.local_addr()?, admin.local_addr()?);
    let (drain, metrics) = (Drain::new(), Metrics::new());
    let data_plane = DataPlane::start(app::Settings {
        listener,
        sources,
        replica,
        virtual_servers: settings.virtual_server,
        state,
        session_key,
        decode,
        exchange: Exchange::new(Bounds::default()),
        metrics: metrics.clone(),
        drain: drain.clone(),
    })?;
    if !address.ip().is_loopback() {
        tracing::warn!(listen = %address, "everybody who reaches this address may call every tool: `incoming_auth` is anonymous");
    }
    tracing::info!(replica = data_plane.replica(), listen = %address, admin = %admin_address, "data plane started");
    let is_stopping = Arc::new(AtomicBool::new(false));
    let pages = pages(data_plane, metrics, is_stopping.clone());
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
    admin_drain.finish(limits::DRAIN_TIME).await;
    Ok(())
}

fn pages(data_plane: DataPlane, metrics: Metrics, is_stopping: Arc<AtomicBool>) -> AdminPages {
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

/// The hash of what stands in the file.
fn session_key(file: &Path) -> anyhow::Result<SessionKey> {
    let secret = fs_err::read(file).context("could not read the session key")?;
    if secret.trim_ascii().len() < KEY_BYTES {
        bail!("{} has fewer than {KEY_BYTES} bytes: make it with `openssl rand -base64 48`", file.display());
    }
    let hash = digest::digest(&digest::SHA256, secret.trim_ascii());
    let mut key = [0; KEY_BYTES];
    key.copy_from_slice(hash.as_ref());
    Ok(SessionKey(key))
}
