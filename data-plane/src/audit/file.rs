//! A file that only its user may read, put aside when it has grown.

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use fs_err as fs;

use crate::audit::ledger::Written;

/// How large it may grow, in bytes, and how many that were put aside are kept: as was last said.
#[derive(Debug)]
pub(super) struct Bounds {
    max_bytes: AtomicU64,
    keep: AtomicU32,
}

impl Bounds {
    pub(super) fn new(max_bytes: u64, keep: u32) -> Self {
        Self { max_bytes: max_bytes.into(), keep: keep.into() }
    }

    pub(super) fn set(&self, max_bytes: u64, keep: u32) {
        self.max_bytes.store(max_bytes, Ordering::Relaxed);
        self.keep.store(keep, Ordering::Relaxed);
    }
}

/// Records are appended to it, whole lines. When it would grow too large, it becomes `<file>.1`, which becomes `<file>.2`, and so on.
/// Who moves it away by other means finds a new one in its place.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    bounds: Arc<Bounds>,
    open: Option<Open>,
    /// What is left of records of which only a part could be written, and how many they are.
    rest: Vec<u8>,
    begun: usize,
}

#[derive(Debug)]
struct Open {
    file: fs::File,
    inode: u64,
    bytes: u64,
}

impl File {
    pub(super) fn new(path: &Path, bounds: Arc<Bounds>) -> Self {
        Self { path: path.to_owned(), bounds, open: None, rest: Vec::new(), begun: 0 }
    }

    /// How many of the records were written, or why the first could not be.
    pub(super) fn append(&mut self, records: &[Written]) -> Result<usize, String> {
        self.write(records).map_err(|error| error.to_string())
    }

    fn write(&mut self, records: &[Written]) -> std::io::Result<usize> {
        if self.rest.is_empty() {
            self.begun = 0;
            let first = records.first().map_or(0, |record| record.line.len()) as u64;
            let mut room = self.room(first)?;
            for record in records {
                let bytes = record.line.len() as u64;
                if self.begun > 0 && bytes > room {
                    break;
                }
                room = room.saturating_sub(bytes);
                self.begun += 1;
                self.rest.extend_from_slice(record.line.as_bytes());
            }
        }
        let Some(open) = &mut self.open else { return Ok(0) };
        while !self.rest.is_empty() {
            let written = open.file.write(&self.rest)?;
            if written == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            open.bytes += written as u64;
            self.rest.drain(..written);
        }
        Ok(self.begun)
    }

    /// How many bytes the file takes; opened, and put aside first if it does not take `needed`.
    fn room(&mut self, needed: u64) -> std::io::Result<u64> {
        let is_there =
            |open: &Open| fs::metadata(&self.path).is_ok_and(|metadata| metadata.ino() == open.inode);
        self.open = self.open.take().filter(is_there);
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.opened()?,
        };
        let max_bytes = self.bounds.max_bytes.load(Ordering::Relaxed);
        if open.bytes > 0 && open.bytes + needed > max_bytes {
            self.put_aside()?;
            open = self.opened()?;
        }
        let room = max_bytes.saturating_sub(open.bytes);
        self.open = Some(open);
        Ok(room)
    }

    fn opened(&self) -> std::io::Result<Open> {
        let mut options = fs::OpenOptions::new();
        options.append(true).create(true);
        options.options_mut().mode(0o600);
        let file = options.open(&self.path)?;
        let metadata = file.metadata()?;
        Ok(Open { inode: metadata.ino(), bytes: metadata.len(), file })
    }

    fn put_aside(&self) -> std::io::Result<()> {
        let keep = self.bounds.keep.load(Ordering::Relaxed);
        for number in (0..keep).rev() {
            match fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        if keep > 0 {
            // It was renamed; what is there now is not ours.
            return Ok(());
        }
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn numbered(&self, number: u32) -> PathBuf {
        if number == 0 {
            return self.path.clone();
        }
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}"));
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_put_aside_before_it_grows_too_large_and_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let mut file = File::new(&path, Arc::new(Bounds::new(100, 2)));
        let record = |line: String| Written { at_ms: 0, line };
        let records: Vec<Written> = (0..20).map(|number| record(format!("{number:029}\n"))).collect();
        let mut left = &records[..];
        while !left.is_empty() {
            left = &left[file.append(left).unwrap()..];
        }
        let lines = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap().lines().count();
        assert_eq!([lines("audit.log"), lines("audit.log.1"), lines("audit.log.2")], [2, 3, 3]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
        let last = fs::read_to_string(&path).unwrap();
        assert_eq!(last, records[18].line.clone() + &records[19].line);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        // One that was moved away is begun anew; one record that is larger than the file may be is written.
        fs::rename(&path, folder.path().join("moved")).unwrap();
        let large = record(format!("{}\n", "x".repeat(200)));
        assert_eq!(file.append(std::slice::from_ref(&large)), Ok(1));
        assert_eq!(fs::read_to_string(&path).unwrap(), large.line);
    }
}
