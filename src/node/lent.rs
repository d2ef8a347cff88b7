//! Descriptors that scripts use by number and the binding closes: of streams, watchers, file handles that are being opened
//! and reads with flags. Node would keep one that its worker leaves open, and warns of one that it closes and has not opened.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::Mutex;

use super::writers::locked;

/// Those of one environment, by their numbers.
#[derive(Default)]
pub struct Lent(Mutex<HashMap<RawFd, One>>);

/// One of them, and which file it is: a script may close it by its number, which something else has then.
struct One {
    fd: OwnedFd,
    file: Option<(u64, u64)>,
}

impl One {
    fn new(fd: OwnedFd) -> Self {
        let file = file_of(&fd);
        Self { fd, file }
    }

    /// The descriptor, unless its number is somebody else's by now: that is not ours to close.
    fn if_own(self) -> Option<OwnedFd> {
        if self.file.is_some() && file_of(&self.fd) == self.file {
            return Some(self.fd);
        }
        let _ = self.fd.into_raw_fd();
        None
    }
}

/// Device and inode.
fn file_of(fd: &OwnedFd) -> Option<(u64, u64)> {
    let stat = rustix::fs::fstat(fd).ok()?;
    Some((stat.st_dev, stat.st_ino))
}

impl Lent {
    /// Keeps one whose number a script has.
    pub fn keep(&self, fd: OwnedFd) {
        let stale = locked(&self.0).insert(fd.as_raw_fd(), One::new(fd));
        // The number is that of the new one.
        if let Some(One { fd, .. }) = stale {
            let _ = fd.into_raw_fd();
        }
    }

    /// Gives one back, to be closed.
    pub fn take(&self, number: RawFd) -> Option<OwnedFd> {
        let one = locked(&self.0).remove(&number);
        one.and_then(One::if_own)
    }

    /// Closes all of them. Nothing uses their numbers any more.
    pub fn end(&self) {
        let all = std::mem::take(&mut *locked(&self.0));
        for one in all.into_values() {
            drop(one.if_own());
        }
    }
}
