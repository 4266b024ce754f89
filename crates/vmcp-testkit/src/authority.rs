//! A small authority, made by `vmcpctl certs`, and the certificates of everybody whom a story needs.

use std::process::Command;

use tempfile::TempDir;

use crate::planes::Said;

/// A folder with everything in it.
#[derive(Debug)]
pub struct Authority {
    program: &'static str,
    folder: TempDir,
}

impl Authority {
    /// Makes one, with a certificate `main` of a control plane at `localhost` and one `ada` of an operator who may do everything.
    ///
    /// # Panics
    /// `vmcpctl`, which is `program`, does not.
    pub fn new(program: &'static str) -> Self {
        let authority = Self { program, folder: TempDir::new().expect("a folder") };
        authority.certs(&["init"]).good();
        authority.certs(&["control-plane", "main", "--host", "localhost", "127.0.0.1"]).good();
        authority.certs(&["operator", "ada", "--role", "admin"]).good();
        authority
    }

    /// `vmcpctl certs …`.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn certs(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(self.program);
        command.arg("certs").args(arguments).arg("--dir").arg(self.folder.path());
        command.output().expect("vmcpctl starts").into()
    }

    /// One of its files.
    pub fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A certificate and its key.
    pub fn pair(&self, name: &str) -> [String; 2] {
        [self.file(&format!("{name}.pem")), self.file(&format!("{name}-key.pem"))]
    }
}
