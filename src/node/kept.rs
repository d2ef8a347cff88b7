//! What handles own that has files open. A handle is collected on the thread of the event loop, and to close or remove a
//! file may wait for a file system: what is collected is dropped on another thread.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

use super::endings::Ending;
use super::threads::STACK;
use super::writers::locked;
use crate::ops::content::Writer;
use crate::ops::tree::cursor::Cursor;
use crate::sys::node_api::Weight;

/// What may hold open files.
pub trait Holds: Send + 'static {
    /// Whether it does.
    fn holds_files(&self) -> bool;
}

impl Holds for Writer {
    fn holds_files(&self) -> bool {
        true
    }
}

impl Holds for Cursor {
    fn holds_files(&self) -> bool {
        self.is_open()
    }
}

/// What a handle owns until it is taken.
pub struct Kept<T: Holds> {
    value: Arc<Mutex<Option<T>>>,
    weight: Cell<Option<Weight>>,
    ending: Arc<Ending>,
}

impl<T: Holds> Kept<T> {
    /// Of this `weight`, as long as it is not given up.
    pub fn new(value: Arc<Mutex<Option<T>>>, weight: Weight, ending: &Arc<Ending>) -> Self {
        Self {
            value,
            weight: Cell::new(Some(weight)),
            ending: Arc::clone(ending),
        }
    }

    /// It, for work on another thread.
    pub fn shared(&self) -> Arc<Mutex<Option<T>>> {
        Arc::clone(&self.value)
    }

    /// Drops it, unless work has it at this moment: then it is dropped with its handle.
    pub fn give_up(&self) {
        if let Ok(mut value) = self.value.try_lock()
            && let Some(value) = value.take()
        {
            self.weighs_nothing();
            self.ending.dropper.take(value);
        }
    }

    /// It holds no descriptor any more.
    pub fn weighs_nothing(&self) {
        drop(self.weight.take());
    }
}

impl<T: Holds> Drop for Kept<T> {
    fn drop(&mut self) {
        // Where work still has it, that drops it.
        if let Some(value) = Arc::into_inner(std::mem::take(&mut self.value))
            && let Ok(Some(value)) = value.into_inner()
        {
            self.ending.dropper.take(value);
        }
    }
}

/// The thread of a dropper, and the way to it.
type Dropping = (Sender<Box<dyn Holds>>, JoinHandle<()>);

/// A thread that drops things. It begins with the first.
#[derive(Default)]
pub struct Dropper {
    thread: Mutex<Option<Dropping>>,
    /// The environment has ended: there is no event loop to be held up, and the library may be unloaded.
    is_over: AtomicBool,
}

impl Dropper {
    /// Has `value` dropped: here, if it holds nothing, or where no thread is to be had.
    fn take(&self, value: impl Holds) {
        if self.is_over.load(Ordering::SeqCst) || !value.holds_files() {
            return;
        }
        let mut thread = locked(&self.thread);
        if thread.is_none() {
            let (sender, values) = mpsc::channel::<Box<dyn Holds>>();
            let builder = Builder::new().name("openat2".to_owned()).stack_size(STACK);
            let started = builder.spawn(move || {
                for value in values {
                    let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
                }
            });
            *thread = started.ok().map(|started| (sender, started));
        }
        if let Some((sender, _)) = &*thread {
            // It takes all that comes.
            let _ = sender.send(Box::new(value));
        }
    }

    /// Returns when all is dropped.
    pub fn finish(&self) {
        let mut thread = locked(&self.thread);
        if let Some((sender, thread)) = thread.take() {
            drop(sender);
            let _ = thread.join();
        }
    }

    /// The same. What comes later is dropped where it comes.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.finish();
    }
}
