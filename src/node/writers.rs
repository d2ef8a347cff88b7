//! The files that are being written in parts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::ops::content::Writer;

/// A file that is written in parts; `None` once it is finished or given up.
pub type Shared = Arc<Mutex<Option<Writer>>>;

/// Those of one environment. A process that exits runs no finalizer, and would leave what is not complete.
#[derive(Default)]
pub struct Writers(Mutex<Open>);

#[derive(Default)]
struct Open {
    /// How often all were given up.
    era: u64,
    writers: Vec<Weak<Mutex<Option<Writer>>>>,
}

impl Writers {
    /// The era of a writer that is opened now, for [`Self::add`].
    pub fn era(&self) -> u64 {
        locked(&self.0).era
    }

    /// Lists a writer. One of an era that has ended is dropped.
    pub fn add(&self, writer: Writer, era: u64) -> Option<Shared> {
        let mut open = locked(&self.0);
        if open.era != era {
            drop(open);
            drop(writer);
            return None;
        }
        if open.writers.len() == open.writers.capacity() {
            open.writers.retain(|writer| writer.strong_count() > 0);
            // As many again may come before the next look at all of them.
            let more = open.writers.len() + 1;
            open.writers.reserve(more);
        }
        let writer = Arc::new(Mutex::new(Some(writer)));
        open.writers.push(Arc::downgrade(&writer));
        Some(writer)
    }

    /// Gives up all of them, and those that are being opened.
    pub fn end(&self) {
        let writers = {
            let mut open = locked(&self.0);
            open.era += 1;
            std::mem::take(&mut open.writers)
        };
        for writer in writers.iter().filter_map(Weak::upgrade) {
            let given_up = locked(&writer).take();
            drop(given_up);
        }
    }
}

/// What a thread that panicked had is as good as before.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
