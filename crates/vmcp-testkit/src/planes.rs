//! A control plane, data planes and `vmcpctl`, each as a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::authority::Authority;
use crate::client::Client;
use crate::eventually::eventually;
use crate::process::Process;

/// Where the programs are.
#[derive(Debug, Clone, Copy)]
pub struct Programs {
    /// `vmcp-control-plane`
    pub control_plane: &'static str,
    /// `vmcp-data-plane`
    pub data_plane: &'static str,
    /// `vmcpctl`
    pub vmcpctl: &'static str,
}

/// A control plane with its data directory, which outlives the process.
#[derive(Debug)]
pub struct ControlPlane {
    programs: Programs,
    folder: TempDir,
    process: Option<Process>,
    listen: [String; 3],
    environment: Vec<(String, PathBuf)>,
    /// Over TLS, by what this authority has made.
    authority: Option<Authority>,
}

/// A data plane.
#[derive(Debug)]
pub struct DataPlane {
    /// The process.
    pub process: Process,
    /// Its default MCP endpoint.
    pub url: String,
    admin: String,
    /// Its id in the fleet.
    pub replica: String,
}

/// What `vmcpctl` has answered.
#[derive(Debug)]
pub struct Said {
    /// Its exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl ControlPlane {
    /// Starts one that is new.
    pub async fn start(programs: Programs) -> Self {
        Self::start_in(programs, &[]).await
    }

    /// The same with variables.
    pub async fn start_in(programs: Programs, environment: &[(&str, &Path)]) -> Self {
        let environment = environment.iter().map(|(name, path)| ((*name).to_owned(), path.to_path_buf()));
        Self::begin(programs, environment.collect(), None).await
    }

    /// Starts one that speaks TLS, shows `main`, and is asked by `ada`.
    pub async fn start_over_tls(programs: Programs) -> Self {
        let authority = Authority::new(programs.vmcpctl);
        Self::begin(programs, Vec::new(), Some(authority)).await
    }

    async fn begin(
        programs: Programs,
        environment: Vec<(String, PathBuf)>,
        authority: Option<Authority>,
    ) -> Self {
        let folder = TempDir::new().expect("a folder");
        let listen = ["127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"].map(ToOwned::to_owned);
        let mut control_plane = Self { programs, folder, process: None, listen, environment, authority };
        control_plane.start_again().await;
        control_plane
    }

    /// What has made its certificate.
    ///
    /// # Panics
    /// It speaks in the clear.
    pub fn authority(&self) -> &Authority {
        self.authority.as_ref().expect("it speaks TLS")
    }

    /// Starts it again on the same data and at the same addresses.
    pub async fn start_again(&mut self) {
        self.start_with(&[]).await;
    }

    /// Starts it again with further arguments.
    pub async fn start_with(&mut self, more: &[&str]) {
        let [api, publish, http] = self.listen.clone();
        let data = self.data().display().to_string();
        let arguments =
            ["--data-dir", &data, "--api-listen", &api, "--publish-listen", &publish, "--http-listen", &http];
        let mut arguments: Vec<String> =
            arguments.iter().chain(more).map(|text| (*text).to_owned()).collect();
        if let Some(authority) = &self.authority {
            let [cert, key] = authority.pair("main");
            let files = [authority.file("ca.pem"), authority.file("crl.pem"), authority.file("access.yaml")];
            let [ca, crl, access] = files;
            let flags = ["--tls-cert", &cert, "--tls-key", &key, "--tls-client-ca", &ca, "--tls-crl", &crl];
            arguments.extend(flags.iter().chain(&["--access", &access]).map(|text| (*text).to_owned()));
        }
        let mut command = Command::new(self.programs.control_plane);
        command.args(&arguments).envs(self.environment.iter().map(|(name, path)| (name, path)));
        let process = Process::start_of(command, "control plane started").await;
        self.listen = ["api=", "publish=", "http="].map(|mark| process.said(mark));
        self.process = Some(process);
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Asks it to stop.
    pub async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop().await;
        }
    }

    /// The running process.
    ///
    /// # Panics
    /// There is none.
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("it runs")
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where data planes follow.
    pub fn publish_url(&self) -> String {
        self.url(1)
    }

    fn url(&self, at: usize) -> String {
        match &self.authority {
            None => format!("http://{}", self.listen[at]),
            Some(_) => format!("https://{}", self.listen[at].replace("127.0.0.1", "localhost")),
        }
    }

    /// Where operators ask.
    pub fn api_url(&self) -> String {
        self.url(0)
    }

    /// A page of its HTTP port.
    pub fn page(&self, path: &str) -> Client {
        Client::new(format!("http://{}{path}", self.listen[2]))
    }

    /// Asks it with `vmcpctl`, whose home is empty.
    pub async fn ctl(&self, arguments: &[&str]) -> Said {
        self.ctl_as("ada", arguments).await
    }

    /// The same as another operator, whose certificate there is.
    pub async fn ctl_as(&self, operator: &str, arguments: &[&str]) -> Said {
        let mut command = Command::new(self.programs.vmcpctl);
        if let Some(authority) = &self.authority {
            let [cert, key] = authority.pair(operator);
            command.env("VMCP_SERVER_CA", authority.file("ca.pem"));
            command.env("VMCP_SERVER_CERT", cert).env("VMCP_SERVER_KEY", key);
        }
        command.args(arguments).env("VMCP_SERVER", self.api_url()).env("HOME", self.folder.path());
        command.current_dir(self.folder.path());
        let output = tokio::task::spawn_blocking(move || command.output()).await;
        output.expect("it runs").expect("vmcpctl starts").into()
    }

    /// Applies a manifest, and returns what is said of it.
    pub async fn apply(&self, manifest: &str, options: &[&str]) -> Said {
        let file = tempfile::Builder::new().suffix(".yaml").tempfile_in(self.folder.path()).expect("a file");
        fs_err::write(file.path(), manifest).expect("a manifest");
        let path = file.path().display().to_string();
        let arguments: Vec<&str> = ["apply", "-f", &path].iter().chain(options).copied().collect();
        self.ctl(&arguments).await
    }

    /// `vmcpctl status -o json`.
    pub async fn status(&self) -> Value {
        self.ctl(&["status", "-o", "json"]).await.json()
    }

    /// Waits until a replica follows and has all that there is.
    ///
    /// # Panics
    /// It has not after `patience`.
    pub async fn until_current(&self, id: &str, patience: Duration) {
        let is_current = eventually(patience, async || {
            let status = self.status().await;
            let replicas = status["replicas"].as_array().cloned().unwrap_or_default();
            let known = replicas.iter().find(|replica| replica["id"] == id).cloned().unwrap_or_default();
            known["connected"] == true && known["answered"] == true && known["revision"] == status["revision"]
        });
        assert!(is_current.await, "`{id}` is not current after {patience:?}: {}", self.replica(id).await);
    }

    /// A replica as the status shows it; null if it does not.
    pub async fn replica(&self, id: &str) -> Value {
        let status = self.status().await;
        let replicas = status["replicas"].as_array().cloned().unwrap_or_default();
        replicas.into_iter().find(|replica| replica["id"] == id).unwrap_or_default()
    }
}

impl DataPlane {
    /// Starts one. `more` are further arguments, such as a state directory.
    pub async fn start(program: &str, control_plane: &ControlPlane, more: &[&str]) -> Self {
        Self::at(program, &control_plane.publish_url(), ["127.0.0.1:0", "127.0.0.1:0"], more).await
    }

    /// Starts one that shows a certificate.
    pub async fn start_as(program: &str, control_plane: &ControlPlane, name: &str, more: &[&str]) -> Self {
        let authority = control_plane.authority();
        let [cert, key] = authority.pair(name);
        let ca = authority.file("ca.pem");
        let shown = ["--control-plane-ca", &ca, "--control-plane-cert", &cert, "--control-plane-key", &key];
        let arguments: Vec<&str> = shown.iter().chain(more).copied().collect();
        Self::start(program, control_plane, &arguments).await
    }

    /// Starts one at addresses that are known.
    pub async fn at(program: &str, publish: &str, listen: [&str; 2], more: &[&str]) -> Self {
        let arguments = ["--control-plane", publish, "--listen", listen[0], "--admin-listen", listen[1]];
        let arguments: Vec<String> = arguments
            .iter()
            .chain(&["--stop-delay", "0"])
            .chain(more)
            .map(|text| (*text).to_owned())
            .collect();
        let process = Process::start(Path::new(program), &arguments, "data plane started").await;
        let url = format!("http://{}/mcp", process.said("listen="));
        let (admin, replica) = (process.said("admin="), process.said("replica="));
        Self { process, url, admin, replica }
    }

    /// Its addresses, to start it again at.
    pub fn listen(&self) -> [String; 2] {
        [self.url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned(), self.admin.clone()]
    }

    /// A client of its default virtual server.
    pub fn client(&self) -> Client {
        Client::new(self.url.as_str())
    }

    /// A page of its admin port.
    pub fn page(&self, path: &str) -> Client {
        Client::new(format!("http://{}{path}", self.admin))
    }

    /// Its `/status`.
    pub async fn status(&self) -> Value {
        self.page("/status").request(reqwest::Method::GET, &[]).await.json()
    }

    /// The names of the tools that it lists, in order.
    pub async fn tools(&self) -> Vec<String> {
        let list = self.client().modern("tools/list", "").await.json();
        let tools = list["result"]["tools"].as_array().cloned().unwrap_or_default();
        tools.iter().filter_map(|tool| tool["name"].as_str()).map(ToOwned::to_owned).collect()
    }

    /// Waits until it serves at least this revision.
    ///
    /// # Panics
    /// It does not after `patience`.
    pub async fn until_revision(&self, revision: u64, patience: Duration) {
        let is_there = async || self.status().await["revision"].as_u64() >= Some(revision);
        assert!(eventually(patience, is_there).await, "not at revision {revision}:\n{}", self.process.log());
    }
}

impl Said {
    /// Standard output as JSON.
    ///
    /// # Panics
    /// It is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The same, if the exit code is 0.
    ///
    /// # Panics
    /// It is another.
    pub fn good(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.out, self.err);
        self
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}
