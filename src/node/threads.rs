//! The threads of long work: what takes long must not hold libuv's pool, whose few threads are shared with
//! `fs.promises`. An environment that ends waits for its pool before it runs any hook that could stop work there.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::sys::node_api::{Deferred, Env, Task, on_pool, on_thread};
use crate::watch::Watch;

/// How many threads there are at a time; further work waits for one.
const MOST: usize = 32;

/// The stack of a thread, in bytes: what the work needs of it is constant, whatever the tree.
pub const STACK: usize = 512 << 10;

/// The threads of one environment.
#[derive(Default)]
pub struct Threads {
    /// Each with the watch that stops it.
    running: RefCell<Vec<(JoinHandle<()>, Arc<Watch>)>>,
    /// How many tasks have a thread.
    count: Cell<usize>,
    waiting: RefCell<VecDeque<Waiting>>,
}

/// A task that waits for a thread.
struct Waiting {
    promise: Deferred,
    task: Box<dyn Task>,
    watch: Arc<Watch>,
}

impl Waiting {
    fn give_up(self, env: Env<'_>) {
        let Self {
            promise, mut task, ..
        } = self;
        task.give_up();
        promise.settle(env, task);
    }
}

impl Threads {
    /// Has `task` done, until `watch` stops it. It waits if there are many others.
    pub fn start(&self, env: Env<'_>, promise: Deferred, task: Box<dyn Task>, watch: Arc<Watch>) {
        let waiting = Waiting {
            promise,
            task,
            watch,
        };
        if self.count.get() < MOST {
            self.begin(env, waiting);
        } else if waiting.watch.check().is_err() {
            waiting.give_up(env);
        } else {
            self.waiting.borrow_mut().push_back(waiting);
        }
    }

    /// What waits and is stopped by `watch` does not wait for a thread to say so.
    pub fn give_up(&self, env: Env<'_>, watch: &Arc<Watch>) {
        let mut waiting = self.waiting.borrow_mut();
        let at = waiting
            .iter()
            .position(|task| Arc::ptr_eq(&task.watch, watch));
        let stopped = at.and_then(|at| waiting.remove(at));
        drop(waiting);
        if let Some(stopped) = stopped {
            stopped.give_up(env);
        }
    }

    /// A task that had a thread is done: the next one begins.
    pub fn one_is_free(&self, env: Env<'_>) {
        self.count.set(self.count.get().saturating_sub(1));
        let (finished, running) = self
            .running
            .take()
            .into_iter()
            .partition(|(thread, _)| thread.is_finished());
        self.running.replace(running);
        join(finished);
        let next = self.waiting.borrow_mut().pop_front();
        if let Some(next) = next {
            self.begin(env, next);
        }
    }

    fn begin(&self, env: Env<'_>, next: Waiting) {
        let Waiting {
            promise,
            task,
            watch,
        } = next;
        self.count.set(self.count.get() + 1);
        // Hooks of a script may run in here, and call us again: nothing is borrowed.
        match on_thread(env, promise, task, STACK) {
            Ok(thread) => self.running.borrow_mut().push((thread, watch)),
            // Where no thread is to be had, the pool does it. If that fails, too, there is no memory.
            Err((promise, task)) => drop(on_pool(env, promise, task)),
        }
    }

    /// Stops the work, and returns when no thread runs any more: the library may be unloaded then.
    pub fn end(&self) {
        drop(self.waiting.take());
        let running = self.running.take();
        for (_, watch) in &running {
            watch.stop();
        }
        join(running);
    }
}

fn join(threads: Vec<(JoinHandle<()>, Arc<Watch>)>) {
    for (thread, _) in threads {
        // A panic was caught where the work was done.
        let _ = thread.join();
    }
}
