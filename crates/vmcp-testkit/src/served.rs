//! `vmcpctl serve` as a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::client::Client;
use crate::eventually::eventually;
use crate::process::gather;

/// A running `vmcpctl serve`, stopped with this value.
#[derive(Debug)]
pub struct Served {
    child: Child,
    log: Arc<Mutex<String>>,
    url: String,
    admin: String,
    started: Instant,
    _folder: TempDir,
}

impl Served {
    /// Serves a manifest. `program` is the vmcpctl to run; workloads find it as `vmcpctl`.
    ///
    /// # Panics
    /// It does not come up within 30 s.
    pub async fn start(program: &Path, manifest: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("vmcp.yaml");
        fs_err::write(&file, manifest).expect("a manifest");
        Self::launch(program, folder, &file, Path::new(".")).await
    }

    /// Serves a manifest that is there already, started in `root`.
    ///
    /// # Panics
    /// It does not come up within 30 s.
    pub async fn start_file(program: &Path, file: &Path, root: &Path) -> Self {
        Self::launch(program, TempDir::new().expect("a folder"), file, root).await
    }

    async fn launch(program: &Path, folder: TempDir, file: &Path, root: &Path) -> Self {
        let named = folder.path().join("vmcpctl");
        std::os::unix::fs::symlink(program, &named).expect("a link");
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", folder.path().display());
        let started = Instant::now();
        let mut child = Command::new(named)
            .args(["serve", "--port", "0", "--admin-port", "0", "--log", "info", "-f"])
            .arg(file)
            .current_dir(root)
            .env("PATH", path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("vmcpctl starts");
        let log = gather(&mut child);
        let mut served =
            Self { child, log, url: String::new(), admin: String::new(), started, _folder: folder };
        let is_up = eventually(Duration::from_secs(30), async || {
            let log = served.log();
            log.contains("serving `") && log.contains("status at ")
        });
        assert!(is_up.await, "not up after 30 s:\n{}", served.log());
        let log = served.log();
        served.url = after(&log, "` at ").expect("its URL is said");
        served.admin = after(&log, "status at ").expect("its admin URL is said");
        served
    }

    /// The first virtual server's MCP endpoint.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        Client::new(self.url.as_str())
    }

    /// When it was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard error.
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `/status`.
    ///
    /// # Panics
    /// Nobody answers.
    pub async fn status(&self) -> Value {
        Client::new(self.admin.as_str()).request(reqwest::Method::GET, &[]).await.json()
    }

    /// Another page of the admin port.
    pub fn admin(&self, path: &str) -> Client {
        Client::new(self.admin.replace("/status", path))
    }

    /// Waits until a backend is healthy.
    ///
    /// # Panics
    /// It is not after `patience`.
    pub async fn until_healthy(&self, backend: &str, patience: Duration) {
        self.until(backend, "healthy", patience).await;
    }

    /// Waits until a backend fares so.
    ///
    /// # Panics
    /// It does not after `patience`.
    pub async fn until(&self, backend: &str, health: &str, patience: Duration) {
        let is_so = eventually(patience, async || {
            let status = self.status().await;
            let backends = status["backends"].as_array().cloned().unwrap_or_default();
            backends.iter().any(|b| b["name"] == backend && b["health"] == health)
        });
        let status = if is_so.await { return } else { self.status().await };
        panic!("`{backend}` is not {health} after {patience:?}: {}\n{}", status["backends"], self.log());
    }

    /// A hosted workload as `/status` shows it.
    pub async fn process(&self, name: &str) -> Value {
        let status = self.status().await;
        let processes = status["processes"].as_array().cloned().unwrap_or_default();
        processes.into_iter().find(|process| process["name"] == name).unwrap_or_default()
    }

    /// Asks it to stop, and says how long that took.
    ///
    /// # Panics
    /// It does not stop within 30 s.
    pub async fn stop(mut self) -> Duration {
        let asked = Instant::now();
        self.signal(Signal::SIGTERM);
        let has_ended =
            eventually(Duration::from_secs(30), async || matches!(self.child.try_wait(), Ok(Some(_))));
        assert!(has_ended.await, "still there after 30 s");
        asked.elapsed()
    }

    fn signal(&self, signal: Signal) {
        // It may have ended already.
        let _ = kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap_or_default()), signal);
    }

    /// The folder in which the manifest lies.
    pub fn folder(&self) -> PathBuf {
        self._folder.path().to_path_buf()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.signal(Signal::SIGTERM);
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        // Children of its own end with it; this is for when it hangs.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn after(text: &str, mark: &str) -> Option<String> {
    Some(text.split_once(mark)?.1.lines().next()?.trim().to_owned())
}
