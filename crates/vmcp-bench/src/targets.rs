//! The processes that are measured: neutral backends, nginx, vmcpctl.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::process::Watched;

/// A process that ends with this value.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
    _folder: Option<TempDir>,
}

impl Running {
    /// It stays, and does nothing.
    pub(crate) fn pause(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// It goes on where it was.
    pub(crate) fn go_on(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = i32::try_from(self.child.id())?;
        Ok(nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), signal)?)
    }

    pub(crate) fn watched(&self) -> anyhow::Result<Watched> {
        Watched::family(self.child.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // nginx leaves its workers behind if it is killed.
        let _ = self.signal(Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

/// A neutral backend with so many tools.
pub(crate) fn backend(tools: usize) -> anyhow::Result<Running> {
    let address = free_address()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["backend", "--listen", &address.to_string(), "--tools", &tools.to_string()]);
    start(command, address, None)
}

/// nginx as a plain reverse proxy with kept connections; `None` if it is not installed.
pub(crate) fn nginx(backends: &[SocketAddr]) -> anyhow::Result<Option<Running>> {
    let program = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/bin/nginx"]
        .iter()
        .find(|path| Path::new(path).exists());
    let Some(program) = program else { return Ok(None) };
    let address = free_address()?;
    let folder = TempDir::new()?;
    let at = folder.path().display();
    let servers: String = backends.iter().map(|backend| format!("server {backend}; ")).collect();
    let configuration = format!(
        "daemon off; pid {at}/pid; error_log {at}/error.log; worker_processes auto;
         events {{ worker_connections 1024; }}
         http {{
           access_log off; tcp_nodelay on; keepalive_requests 100000000;
           client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;
           upstream backend {{ {servers} keepalive 256; keepalive_requests 100000000; }}
           server {{
             listen {address};
             location / {{ proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection \"\"; }}
           }}
         }}"
    );
    let file = folder.path().join("nginx.conf");
    fs_err::write(&file, configuration)?;
    let mut command = Command::new(program);
    command.arg("-c").arg(&file).arg("-p").arg(folder.path());
    let nginx = start(command, address, Some(folder))?;
    // Its master listens before its workers run; what is measured is all of them.
    let deadline = Instant::now() + Duration::from_secs(5);
    while nginx.watched()?.processes() <= std::thread::available_parallelism()?.get() {
        if Instant::now() > deadline {
            bail!("nginx has not started its workers");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(Some(nginx))
}

/// Ours, before these backends, each with the name `b<n>`. `more` are lines of the virtual server.
pub(crate) fn vmcp(vmcpctl: &Path, backends: &[SocketAddr], more: &str) -> anyhow::Result<Running> {
    serving(vmcpctl, backends, &format!("incoming_auth: {{type: anonymous}}\n{more}"))
}

/// The same for those who bring tokens of an issuer. `more` begins within `incoming_auth`.
pub(crate) fn guarded(
    vmcpctl: &Path,
    backends: &[SocketAddr],
    issuer: &str,
    more: &str,
) -> anyhow::Result<Running> {
    let oidc =
        format!("incoming_auth:\n  type: oidc\n  oidc: {{issuer: '{issuer}', audience: vmcp}}\n{more}");
    serving(vmcpctl, backends, &oidc)
}

fn serving(vmcpctl: &Path, backends: &[SocketAddr], more: &str) -> anyhow::Result<Running> {
    let (address, admin) = (free_address()?, free_address()?);
    let folder = TempDir::new()?;
    let workloads: Vec<String> = backends
        .iter()
        .enumerate()
        .map(|(n, address)| format!("  - {{name: b{n}, url: 'http://{address}/mcp'}}\n"))
        .collect();
    let manifest =
        format!("name: bench\ngroup: g\n{more}---\nkind: group\nname: g\nworkloads:\n{}", workloads.concat());
    let file = folder.path().join("vmcp.yaml");
    fs_err::write(&file, manifest)?;
    let mut command = Command::new(vmcpctl);
    command.arg("serve").arg("-f").arg(&file).args(["--log", "warn"]);
    command.args(["--port", &address.port().to_string(), "--admin-port", &admin.port().to_string()]);
    let running = start(command, address, Some(folder))?;
    wait_until_ready(admin)?;
    Ok(running)
}

/// The vmcpctl beside this program.
pub(crate) fn own_vmcpctl() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("vmcpctl");
    if !path.exists() {
        bail!(
            "{} does not exist: build it with `cargo build --release`, or name one with --vmcpctl",
            path.display()
        );
    }
    Ok(path)
}

fn start(mut command: Command, address: SocketAddr, folder: Option<TempDir>) -> anyhow::Result<Running> {
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null()).spawn();
    let child = child.with_context(|| format!("could not start {:?}", command.get_program()))?;
    let running = Running { child, address, _folder: folder };
    let deadline = Instant::now() + Duration::from_secs(10);
    while std::net::TcpStream::connect(address).is_err() {
        if Instant::now() > deadline {
            bail!("{:?} does not listen on {address}", command.get_program());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(running)
}

fn wait_until_ready(admin: SocketAddr) -> anyhow::Result<()> {
    use std::io::{Read, Write};
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        let mut stream = std::net::TcpStream::connect(admin)?;
        write!(stream, "GET /readyz HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        if answer.starts_with("HTTP/1.1 200") {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("vmcpctl is not ready after 20 s")
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
