//! The threads of long work: what takes long must not hold libuv's pool, whose few threads are shared with
//! `fs.promises`. An environment that ends waits for its pool before it runs any hook that could stop work there.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::writers::locked;
use crate::sys::node_api::{Deferred, Env, Task, on_pool, on_thread};
use crate::watch::Watch;

/// How many threads there are at a time; further work waits for one.
const MOST: usize = 32;

/// The stack of a thread, in bytes: what the work needs of it is constant, whatever the tree.
pub const STACK: usize = 512 << 10;

/// The threads of one environment. No lock is held while Node-API is called: hooks of a script may call us again.
#[derive(Default)]
pub struct Threads {
    /// Each with the watch that stops it.
    running: Mutex<Vec<(JoinHandle<()>, Arc<Watch>)>>,
    /// How many tasks have a thread.
    count: AtomicUsize,
    waiting: Mutex<VecDeque<Waiting>>,
    /// No thread is started any more.
    is_over: AtomicBool,
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
        if self.is_over() {
            waiting.give_up(env);
        } else if self.count.load(Ordering::Relaxed) < MOST {
            self.begin(env, waiting);
        } else if waiting.watch.check().is_err() {
            waiting.give_up(env);
        } else {
            locked(&self.waiting).push_back(waiting);
        }
    }

    /// What waits and is stopped by `watch` does not wait for a thread to say so.
    pub fn give_up(&self, env: Env<'_>, watch: &Arc<Watch>) {
        let mut waiting = locked(&self.waiting);
        let at = waiting
            .iter()
            .position(|task| Arc::ptr_eq(&task.watch, watch));
        let stopped = at.and_then(|at| waiting.remove(at));
        drop(waiting);
        if let Some(stopped) = stopped {
            stopped.give_up(env);
        }
    }

    /// A task that had a thread is done: the next one begins that is not stopped.
    pub fn one_is_free(&self, env: Env<'_>) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        let finished: Vec<_> = {
            let mut running = locked(&self.running);
            let (finished, others) = std::mem::take(&mut *running)
                .into_iter()
                .partition(|(thread, _)| thread.is_finished());
            *running = others;
            finished
        };
        join(finished);
        loop {
            let next = locked(&self.waiting).pop_front();
            match next {
                Some(next) if next.watch.check().is_err() => next.give_up(env),
                Some(next) => return self.begin(env, next),
                None => return,
            }
        }
    }

    fn begin(&self, env: Env<'_>, next: Waiting) {
        let Waiting {
            promise,
            task,
            watch,
        } = next;
        self.count.fetch_add(1, Ordering::Relaxed);
        match on_thread(env, promise, task, STACK) {
            Ok(thread) => locked(&self.running).push((thread, watch)),
            // Where no thread is to be had, the pool does it. If that fails, too, there is no memory.
            Err((promise, task)) => drop(on_pool(env, promise, task)),
        }
        // Another thread may have ended the process meanwhile.
        if self.is_over() {
            self.stop();
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Stops the work under way and the work that waits, and returns when no thread runs any more. In a later turn of the
    /// event loop, if there is one, the promises of stopped work are rejected.
    pub fn stop(&self) {
        for task in &*locked(&self.waiting) {
            task.watch.stop();
        }
        // Whoever else stops them waits for the same.
        let mut running = locked(&self.running);
        for (_, watch) in &*running {
            watch.stop();
        }
        join(running.drain(..));
    }

    /// The same, and starts nothing any more: the library may be unloaded then.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        drop(std::mem::take(&mut *locked(&self.waiting)));
        self.stop();
    }
}

fn join(threads: impl IntoIterator<Item = (JoinHandle<()>, Arc<Watch>)>) {
    for (thread, _) in threads {
        // A panic was caught where the work was done.
        let _ = thread.join();
    }
}
