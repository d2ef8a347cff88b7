//! Work on whole trees without blocking: on a thread of its own.
//!
//! Not on libuv's pool, for two reasons. Its few threads are shared with `fs.promises`, which a large
//! tree would starve; and an environment that ends (a terminated worker) waits for its work on the
//! pool before it runs any hook that could stop it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{Builder, JoinHandle};

use napi::bindgen_prelude::*;

use super::reply::Reply;
use super::task::{Work, WorkTask, panicked, settled};
use crate::error;
use crate::resolve::Root;
use crate::sys::node_api::value;

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

    /// Does `work` with `root`; the promise of it. Where no thread is to be had, the pool does it.
    pub fn start(&self, env: &Env, root: Arc<Root>, work: Work) -> Result<Unknown<'static>> {
        let mut running = self.lock();
        running.retain(|thread| !thread.is_finished());
        if running.len() >= MOST {
            return WorkTask::start(env, root, work);
        }
        // A thread that cannot be started would not give back what it was handed.
        let (hand_over, handed) = mpsc::channel::<Handed>();
        let thread = Builder::new().name("tree".to_owned()).stack_size(STACK);
        let thread = thread.spawn(move || {
            // Nothing comes if there was no promise to be made.
            if let Ok(job) = handed.recv() {
                finish(job);
            }
        });
        let Ok(thread) = thread else {
            return WorkTask::start(env, root, work);
        };
        running.push(thread);
        let (deferred, promise) = env.create_deferred()?;
        let resolve = move |done: Done| deferred.resolve(move |env| settled(&env, done?));
        // It waits for this.
        let _ = hand_over.send((root, work, Box::new(resolve)));
        value(env, promise)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What work came to.
type Done = Result<error::Result<Reply>>;

/// Work for a thread, and what takes what it came to.
type Handed = (Arc<Root>, Work, Box<dyn FnOnce(Done) + Send>);

fn finish((root, work, resolve): Handed) {
    let done = catch_unwind(AssertUnwindSafe(|| work(&root)));
    drop(root);
    resolve(done.map_err(|_| panicked()));
}
