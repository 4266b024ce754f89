//! From requests to the place where records go: a queue with an end, and one thread behind it that writes.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc::{self, OwnedPermit, Sender, WeakSender};
use tokio::sync::oneshot;
use vmcp_core::audit::{Destination, Overflow};
use vmcp_core::limits;

use crate::audit::file::{Bounds, File};
use crate::audit::otlp::{Collector, Sent};

/// All places of this process, each opened once however many virtual servers write there. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledgers(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    open: Mutex<HashMap<Destination, Known>>,
    counted: Counted,
}

/// A place that is open as long as somebody writes there.
#[derive(Debug)]
struct Known {
    lines: WeakSender<Line>,
    is_failing: Arc<AtomicBool>,
    /// Of a file.
    bounds: Arc<Bounds>,
}

/// What became of records.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counted {
    pub(crate) written: Counter,
    pub(crate) dropped: Counter,
    /// Writes that failed, and were tried again.
    pub(crate) retried: Counter,
}

impl Counted {
    /// The first of each thousand is told; the rest is counted.
    fn lose(&self, records: usize, why: &str) {
        let before = self.dropped.inc_by(records as u64);
        if before.div_ceil(1_000) < (before + records as u64).div_ceil(1_000) {
            tracing::error!("{why}; some are lost");
        }
    }
}

/// One place.
#[derive(Clone)]
pub(super) struct Ledger {
    lines: Sender<Line>,
    counted: Counted,
    /// Whether what was to be written last could not be.
    is_failing: Arc<AtomicBool>,
}

/// One record.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) at_ms: u64,
    /// With its end.
    pub(super) line: String,
}

pub(super) enum Line {
    Record(Written),
    /// Everything before it is to be written.
    Flush(oneshot::Sender<()>),
}

/// Where one record will go.
pub(super) enum Place {
    /// It is kept free.
    Kept(OwnedPermit<Line>),
    /// Where there is one in the end.
    Any(Ledger),
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ledger")
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

impl Ledgers {
    pub(crate) fn new(counted: Counted) -> Self {
        Self(Arc::new(Shared { open: Mutex::default(), counted }))
    }

    /// The place, which is opened when there is something to write.
    pub(super) fn at(&self, to: &Destination) -> Ledger {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, known| known.lines.upgrade().is_some());
        let counted = self.0.counted.clone();
        // Two that write to one file would put it aside under each other's hands.
        let (key, max_bytes, keep) = match to {
            Destination::File { path, max_bytes, keep } => {
                (Destination::File { path: path.clone(), max_bytes: 0, keep: 0 }, *max_bytes, *keep)
            }
            Destination::Stdout | Destination::Otlp(_) => (to.clone(), 0, 0),
        };
        if let Some(known) = open.get(&key)
            && let Some(lines) = known.lines.upgrade()
        {
            known.bounds.set(max_bytes, keep);
            return Ledger { lines, counted, is_failing: known.is_failing.clone() };
        }
        let (lines, waiting) = mpsc::channel(limits::AUDIT_WAITING);
        let is_failing = Arc::new(AtomicBool::new(false));
        let bounds = Arc::new(Bounds::new(max_bytes, keep));
        let writer = Writer {
            to: to.clone(),
            bounds: bounds.clone(),
            waiting,
            counted: counted.clone(),
            is_failing: is_failing.clone(),
        };
        let known = Known { lines: lines.downgrade(), is_failing: is_failing.clone(), bounds };
        open.insert(key, known);
        let spawned = std::thread::Builder::new().name("audit".to_owned()).spawn(move || writer.run());
        if let Err(error) = spawned {
            // Nobody takes records, so the queue is closed: what that means, `overflow` says.
            tracing::error!(%error, "could not start the thread that writes records");
        }
        Ledger { lines, counted, is_failing }
    }

    /// Waits until what there is has been written, within a bound.
    pub(crate) async fn flush(&self) {
        let open: Vec<Sender<Line>> = {
            let open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.values().filter_map(|known| known.lines.upgrade()).collect()
        };
        let all = async {
            for lines in open {
                let (done, wait) = oneshot::channel();
                if lines.send(Line::Flush(done)).await.is_ok() {
                    let _ = wait.await;
                }
            }
        };
        if tokio::time::timeout(limits::AUDIT_FLUSH_TIME, all).await.is_err() {
            tracing::error!("stopped before all records were written");
        }
    }
}

impl Ledger {
    /// A place for one record. `None`: there is none, and whoever asks is to be refused.
    pub(super) async fn place(&self, overflow: Overflow) -> Option<Place> {
        let lines = self.lines.clone();
        match overflow {
            Overflow::DropAndCount => Some(Place::Any(self.clone())),
            Overflow::Block => lines.reserve_owned().await.ok().map(Place::Kept),
            // What waits is written in the end, if that ever comes; what is refused needs no luck.
            Overflow::Refuse if self.is_failing.load(Ordering::Relaxed) => None,
            Overflow::Refuse => lines.try_reserve_owned().ok().map(Place::Kept),
        }
    }
}

impl Place {
    pub(super) fn put(self, record: Written) {
        match self {
            Self::Kept(permit) => drop(permit.send(Line::Record(record))),
            Self::Any(ledger) => {
                if ledger.lines.try_send(Line::Record(record)).is_err() {
                    ledger.counted.lose(1, "records are made faster than they can be written");
                }
            }
        }
    }
}

/// Writes what has been queued, and goes on trying until it is written, for as long as somebody names the place.
struct Writer {
    to: Destination,
    bounds: Arc<Bounds>,
    waiting: mpsc::Receiver<Line>,
    counted: Counted,
    is_failing: Arc<AtomicBool>,
}

/// Where records go.
enum Sink {
    Stdout,
    File(File),
    Collector(Collector),
}

impl Writer {
    fn run(mut self) {
        let mut sink = match &self.to {
            Destination::Stdout => Sink::Stdout,
            Destination::File { path, .. } => Sink::File(File::new(path, self.bounds.clone())),
            Destination::Otlp(url) => Sink::Collector(Collector::new(url)),
        };
        let mut records: Vec<Written> = Vec::new();
        let mut flushes = Vec::new();
        while let Some(first) = self.waiting.blocking_recv() {
            let mut next = Some(first);
            let mut has_gathered = false;
            while let Some(line) = next.take() {
                match line {
                    Line::Record(record) => records.push(record),
                    Line::Flush(done) => flushes.push(done),
                }
                if records.len() < limits::AUDIT_BATCH {
                    next = self.waiting.try_recv().ok();
                }
                // Being woken costs more than writing, for both sides: what comes within a moment is written at once.
                if next.is_none()
                    && !has_gathered
                    && flushes.is_empty()
                    && records.len() < limits::AUDIT_BATCH
                {
                    has_gathered = true;
                    std::thread::sleep(limits::AUDIT_GATHER_TIME);
                    next = self.waiting.try_recv().ok();
                }
            }
            if !records.is_empty() {
                self.write(&mut sink, &records);
                records.clear();
            }
            for done in flushes.drain(..) {
                let _ = done.send(());
            }
        }
    }

    fn write(&self, sink: &mut Sink, records: &[Written]) {
        let (mut left, mut failing_since) = (records, None);
        while !left.is_empty() {
            let written = match sink {
                Sink::Stdout => to_stdout(left).map(|()| (left.len(), 0)),
                Sink::File(file) => file.append(left).map(|count| (count, 0)),
                Sink::Collector(collector) => sent(collector, left),
            };
            match written {
                Ok((count, lost)) => {
                    left = left.get(count..).unwrap_or_default();
                    self.counted.written.inc_by((count - lost) as u64);
                    if lost > 0 {
                        self.counted.lose(lost, "a collector does not take every record");
                    }
                    failing_since = None;
                    if self.is_failing.swap(false, Ordering::Relaxed) {
                        tracing::info!("records are written again");
                    }
                }
                Err(error) => {
                    self.counted.retried.inc();
                    if !self.is_failing.swap(true, Ordering::Relaxed) {
                        tracing::error!(to = ?self.to, %error, "records cannot be written; trying on");
                    }
                    let since = *failing_since.get_or_insert_with(Instant::now);
                    if self.waiting.sender_strong_count() == 0 && since.elapsed() > limits::AUDIT_LEAVE_TIME {
                        return self
                            .counted
                            .lose(left.len(), "nobody names a place any more that cannot be written to");
                    }
                    std::thread::sleep(limits::AUDIT_RETRY_TIME);
                }
            }
        }
    }
}

/// How many are done with, and how many of these were not taken. A batch that is not taken is halved, until what is wrong with it is alone.
fn sent(collector: &mut Collector, records: &[Written]) -> Result<(usize, usize), String> {
    let mut some = records;
    loop {
        match collector.send(some)? {
            Sent::Taken { lost } => return Ok((some.len(), lost)),
            Sent::Rejected if some.len() < 2 => return Ok((some.len(), some.len())),
            Sent::Rejected => some = some.get(..some.len() / 2).unwrap_or_default(),
        }
    }
}

fn to_stdout(records: &[Written]) -> Result<(), String> {
    use std::io::Write;

    let mut out = std::io::stdout().lock();
    let all: String = records.iter().map(|record| record.line.as_str()).collect();
    out.write_all(all.as_bytes()).and_then(|()| out.flush()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// A file in a folder that is not there yet.
    #[tokio::test]
    async fn what_waits_for_a_place_that_fails_is_kept_and_what_has_none_left_waits_is_counted_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("later/audit.log");
        let counted = Counted::default();
        let ledgers = Ledgers::new(counted.clone());
        let to = Destination::File { path: path.clone(), max_bytes: u64::MAX, keep: 1 };
        let ledger = ledgers.at(&to);
        let record = || Written { at_ms: 0, line: "{}\n".to_owned() };
        // One batch is in the writer's hands, and the queue is full behind it.
        let most = limits::AUDIT_WAITING + limits::AUDIT_BATCH;
        while counted.dropped.get() == 0 {
            ledger.place(Overflow::DropAndCount).await.unwrap().put(record());
            if ledger.lines.capacity() == 0 {
                tokio::task::yield_now().await;
            }
        }
        let mut waiting = std::pin::pin!(ledger.place(Overflow::Block));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(ledger.place(Overflow::Refuse).await.is_none());

        fs_err::create_dir(path.parent().unwrap()).unwrap();
        waiting.await.unwrap().put(record());
        ledgers.flush().await;
        let lines = fs_err::read_to_string(&path).unwrap().lines().count();
        assert_eq!(lines as u64, counted.written.get());
        assert!((limits::AUDIT_WAITING..=most + 1).contains(&lines), "{lines}");
        assert!(ledger.place(Overflow::Refuse).await.is_some());
    }
}
