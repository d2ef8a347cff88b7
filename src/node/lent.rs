//! Descriptors that scripts use by their numbers, and that stay ours to close: those of streams. Node would keep one that
//! its worker leaves open, and warns of one that it closes and has not opened.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Mutex;

use super::writers::locked;

/// Those of one environment, by their numbers.
#[derive(Default)]
pub struct Lent(Mutex<HashMap<RawFd, OwnedFd>>);

impl Lent {
    /// Keeps one whose number a script has.
    pub fn keep(&self, fd: OwnedFd) {
        locked(&self.0).insert(fd.as_raw_fd(), fd);
    }

    /// Gives one back, to be closed.
    pub fn take(&self, number: RawFd) -> Option<OwnedFd> {
        locked(&self.0).remove(&number)
    }

    /// Closes all of them. Nothing uses their numbers any more.
    pub fn end(&self) {
        let all = std::mem::take(&mut *locked(&self.0));
        drop(all);
    }
}
