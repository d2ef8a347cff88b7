//! Progress and cancellation of long-running work.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::io::Errno;

/// What a piece of long work and those who wait for it share.
///
/// Nothing else depends on these values, so no ordering among them is needed.
#[derive(Debug, Default)]
pub struct Watch {
    stopped: AtomicBool,
    entries: AtomicU64,
    bytes: AtomicU64,
}

/// How far the work has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Files, directories, links … that are done with.
    pub entries: u64,
    /// Bytes of content that were copied.
    pub bytes: u64,
}

impl Watch {
    /// Stops the work at the next entry, or the next chunk of a large file.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Where the work may stop: `ECANCELED` if it is to.
    pub fn check(&self) -> Result<(), Errno> {
        match self.stopped.load(Ordering::Relaxed) {
            true => Err(Errno::CANCELED),
            false => Ok(()),
        }
    }

    /// One entry is done.
    pub fn entry_done(&self) {
        self.entries.fetch_add(1, Ordering::Relaxed);
    }

    /// So many bytes of content are done.
    pub fn bytes_done(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        Progress {
            entries: self.entries.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}
