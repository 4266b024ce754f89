//! A program as a process of its own, with what it writes to standard error.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::eventually::eventually;

/// A running program, stopped with this value.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Process {
    /// Starts a program and waits until it has written `mark`.
    ///
    /// # Panics
    /// It does not within 30 s.
    pub async fn start(program: &Path, arguments: &[String], mark: &str) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        Self::start_of(command, mark).await
    }

    /// Runs a command and waits until it has written `mark`.
    ///
    /// # Panics
    /// It does not within 30 s.
    pub async fn start_of(command: Command, mark: &str) -> Self {
        let process = Self::of(command);
        let has_said = eventually(Duration::from_secs(30), async || process.log().contains(mark)).await;
        assert!(has_said, "`{mark}` is not said after 30 s:\n{}", process.log());
        process
    }

    /// Starts a program.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn spawn(program: &Path, arguments: &[String]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        Self::of(command)
    }

    /// Runs a command.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn of(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let log = gather(&mut child);
        Self { child, log }
    }

    /// What it has written to standard error.
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What stands behind `mark` in its log, up to the next space.
    ///
    /// # Panics
    /// It is not there.
    pub fn said(&self, mark: &str) -> String {
        let log = self.log();
        let behind = log.split_once(mark).unwrap_or_else(|| panic!("`{mark}` is not said:\n{log}")).1;
        behind.split_whitespace().next().unwrap_or_default().trim_matches('"').to_owned()
    }

    /// Ends it at once, as a crash would.
    pub fn kill(mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap_or_default()), signal);
    }

    /// Asks it to stop, waits until it has, and returns its exit code.
    ///
    /// # Panics
    /// It is still there after 30 s.
    pub async fn stop(mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        self.ended(Duration::from_secs(30)).await
    }

    /// Waits until it has ended and returns its exit code.
    ///
    /// # Panics
    /// It is still there after `patience`.
    pub async fn ended(&mut self, patience: Duration) -> Option<i32> {
        let deadline = Instant::now() + patience;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "still there after {patience:?}:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a child writes to standard error, as it comes.
pub(crate) fn gather(child: &mut Child) -> Arc<Mutex<String>> {
    let log = Arc::<Mutex<String>>::default();
    let stderr = BufReader::new(child.stderr.take().expect("standard error"));
    let copy = log.clone();
    std::thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            let mut log = copy.lock().unwrap_or_else(PoisonError::into_inner);
            log.push_str(&line);
            log.push('\n');
        }
    });
    log
}
