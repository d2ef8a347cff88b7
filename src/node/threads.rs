//! Work on whole trees without blocking: on a thread of its own.
//!
//! Not on libuv's pool, for two reasons. Its few threads are shared with `fs.promises`, which a large
//! tree would starve; and an environment that ends (a terminated worker) waits for its work on the
//! pool before it runs any hook that could stop it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use napi::bindgen_prelude::*;

use super::call::Work;
use super::task::{WorkTask, panicked, settled};
use crate::resolve::Root;

/// How many trees are worked on at a time; what is more waits for the pool.
const MOST: usize = 32;

/// What the work needs of its stack is constant, whatever the tree.
const STACK: usize = 512 << 10;

/// The threads of one environment.
#[derive(Default)]
pub struct Threads {
    /// Becomes true when the environment ends, and its long work with it.
    ending: Arc<AtomicBool>,
    running: Mutex<Vec<JoinHandle<()>>>,
}

impl Threads {
    /// What becomes true when the environment ends.
    pub fn ending(&self) -> &Arc<AtomicBool> {
        &self.ending
    }

    /// Stops the work, and comes back when nothing of it runs any more: the code may be unloaded then.
    pub fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
        let running = std::mem::take(&mut *self.lock());
        for thread in running {
            // A panic was caught where the work was done.
            let _ = thread.join();
        }
    }

    /// Does `work` with `root`; the promise of it.
    pub fn start(&self, env: &Env, root: Arc<Root>, work: Work) -> Result<Promised> {
        let mut running = self.lock();
        running.retain(|thread| !thread.is_finished());
        if running.len() >= MOST {
            return Ok(Either::A(WorkTask::start(root, work)));
        }
        let (deferred, promise) = env.create_deferred()?;
        let thread = Builder::new().name("openat2".to_owned()).stack_size(STACK);
        let thread = thread.spawn(move || {
            let done = catch_unwind(AssertUnwindSafe(|| work.run(&root)));
            drop(root);
            deferred.resolve(move |env| settled(&env, done.map_err(|_| panicked())?));
        });
        match thread {
            Ok(thread) => running.push(thread),
            Err(error) => return Err(Error::from_reason(error.to_string())),
        }
        Ok(Either::B(promise.raw()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A promise that the pool keeps, or a thread.
pub type Promised = Either<AsyncTask<WorkTask>, napi::sys::napi_value>;
