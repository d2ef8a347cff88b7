//! The threads of long work: what takes long must not hold libuv's pool, whose few threads are shared with
//! `fs.promises`. An environment that ends waits for its pool before it runs any hook that could stop work there.

use std::cell::RefCell;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::sys::node_api::{Deferred, Env, Result, Task, on_pool, on_thread};
use crate::watch::Watch;

/// How many threads there are at a time; further work is done by the pool.
const MOST: usize = 32;

/// The stack of a thread, in bytes: what the work needs of it is constant, whatever the tree.
const STACK: usize = 512 << 10;

/// The threads of one environment, and the watches that stop them.
#[derive(Default)]
pub struct Threads(RefCell<Vec<(JoinHandle<()>, Arc<Watch>)>>);

impl Threads {
    /// Has `task` done, until `watch` stops it.
    pub fn start(
        &self,
        env: Env<'_>,
        promise: Deferred,
        task: Box<dyn Task>,
        watch: Arc<Watch>,
    ) -> Result<()> {
        let count = {
            let mut running = self.0.borrow_mut();
            running.retain(|(thread, _)| !thread.is_finished());
            running.len()
        };
        if count >= MOST {
            return on_pool(env, promise, task);
        }
        // Hooks of a script may run in here, and call us again: nothing is borrowed.
        match on_thread(env, promise, task, STACK) {
            Ok(thread) => self.0.borrow_mut().push((thread, watch)),
            Err((promise, task)) => on_pool(env, promise, task)?,
        }
        Ok(())
    }

    /// Stops the work, and returns when no thread runs any more: the library may be unloaded then.
    pub fn end(&self) {
        let running = self.0.take();
        for (_, watch) in &running {
            watch.stop();
        }
        for (thread, _) in running {
            // A panic was caught where the work was done.
            let _ = thread.join();
        }
    }
}
