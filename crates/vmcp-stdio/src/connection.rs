//! The conversation with one running child: requests in, answers out, over its standard streams.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use vmcp_core::limits;
use vmcp_mcp::{Era, Request, code, error, method, notification, result};

use crate::line;
use crate::pending::{FromChild, Full, Pending, ToCaller};

/// A child that can be spoken to. Cheap to clone; when the last clone is gone, its input is closed.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pending: Arc<Mutex<Pending>>,
    input: mpsc::Sender<Vec<u8>>,
    reading: Arc<Reading>,
}

/// The task that reads the child's output; it ends with this value.
#[derive(Debug)]
struct Reading {
    task: AbortHandle,
    ended: watch::Receiver<bool>,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A request under way; dropping it tells the child that nobody waits any more.
#[derive(Debug)]
pub(crate) struct Asked {
    connection: Connection,
    id: u64,
    era: Era,
    answers: mpsc::Receiver<ToCaller>,
}

/// The child cannot be asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CannotAsk {
    /// It has too much to do.
    Full,
    /// It has gone.
    Gone,
}

/// Messages that wait to be written.
const WRITE_QUEUE: usize = 64;

impl Connection {
    /// Speaks over these streams until the child closes its output.
    pub(crate) fn open(stdin: ChildStdin, stdout: ChildStdout) -> Self {
        let (input, queue) = mpsc::channel(WRITE_QUEUE);
        let pending = Arc::<Mutex<Pending>>::default();
        let (end, ended) = watch::channel(false);
        tokio::spawn(write(stdin, queue));
        let (answers, waiting) = (input.downgrade(), pending.clone());
        let task = tokio::spawn(async move {
            read(stdout, waiting, answers).await;
            end.send_replace(true);
        });
        Self { pending, input, reading: Arc::new(Reading { task: task.abort_handle(), ended }) }
    }

    /// Resolves when the child has closed its output, or written what cannot be read.
    pub(crate) async fn ended(&self) {
        let mut ended = self.reading.ended.clone();
        // The sender is gone only when reading has been given up.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    /// The child is gone; whoever waits for it need not wait any longer.
    pub(crate) fn give_up(&self) {
        self.reading.task.abort();
        self.lock().clear();
    }

    /// Sends a request on.
    pub(crate) async fn ask(&self, request: &Request<'_>, body: &[u8], era: Era) -> Result<Asked, CannotAsk> {
        let (caller, answers) = mpsc::channel(limits::CHILD_NOTIFICATIONS);
        let begun = self.lock().begin(request, body, caller);
        let (id, message) = begun.map_err(|Full| CannotAsk::Full)?;
        let asked = Asked { connection: self.clone(), id, era, answers };
        self.input.send(line::write(message)).await.map_err(|_| CannotAsk::Gone)?;
        Ok(asked)
    }

    /// Hears what a legacy child says by itself, without asking it anything.
    pub(crate) fn listen(&self) -> Result<Asked, CannotAsk> {
        let (caller, answers) = mpsc::channel(limits::CHILD_NOTIFICATIONS);
        let id = self.lock().listen(caller).map_err(|Full| CannotAsk::Full)?;
        Ok(Asked { connection: self.clone(), id, era: Era::Legacy, answers })
    }

    /// Sends a notification on.
    pub(crate) async fn tell(&self, message: &str) {
        // If the child is gone, there is nobody to tell.
        let _ = self.input.send(line::write(message.as_bytes().to_vec())).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    /// What comes next; `None` if the child has gone.
    pub(crate) async fn next(&mut self) -> Option<ToCaller> {
        self.answers.recv().await
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let was_waiting = self.connection.lock().forget(self.id);
        // Only for modern requests is a closed stream a cancellation (MCP 2026-07-28, Cancellation).
        if was_waiting && self.era == Era::Modern {
            // A queue that is full holds work that the child will not get to either.
            let _ = self.connection.input.try_send(line::write(cancelled(self.id).into_bytes()));
        }
    }
}

fn cancelled(id: u64) -> String {
    notification(method::CANCELLED, Some(&format!("{{\"requestId\":{id}}}")))
}

async fn write(mut stdin: ChildStdin, mut queue: mpsc::Receiver<Vec<u8>>) {
    while let Some(message) = queue.recv().await {
        if stdin.write_all(&message).await.is_err() || stdin.flush().await.is_err() {
            return;
        }
    }
}

async fn read(stdout: ChildStdout, pending: Arc<Mutex<Pending>>, input: mpsc::WeakSender<Vec<u8>>) {
    let mut reader = BufReader::with_capacity(64 * 1024, stdout);
    loop {
        let line = match line::read(&mut reader, limits::CHILD_LINE_BYTES).await {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(error) => {
                tracing::warn!(%error, "a stdio child cannot be read any more");
                break;
            }
        };
        let answer = match pending.lock().unwrap_or_else(PoisonError::into_inner).take(&line) {
            FromChild::Done => continue,
            FromChild::Pong(id) => result(&id, b"{}"),
            FromChild::Decline(id) => {
                error(Some(&id), code::METHOD_NOT_FOUND, "No client has declared this capability", None)
                    .into_bytes()
            }
        };
        if let Some(input) = input.upgrade() {
            // A child that does not read its input is not waited for, since it may be waiting for us to read its output.
            let _ = input.try_send(line::write(answer));
        }
    }
    pending.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// What a request's answer was, for requests of our own.
pub(crate) async fn response(mut asked: Asked) -> Option<Bytes> {
    loop {
        match asked.next().await? {
            ToCaller::Response(body) => return Some(body),
            ToCaller::Notification(_) => {}
        }
    }
}
