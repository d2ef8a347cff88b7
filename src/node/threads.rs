//! The threads of long work: what takes long must not hold libuv's pool, whose few threads are shared with
//! `fs.promises`. An environment that ends waits for its pool before it runs any hook that could stop work there.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

use crate::ops::content::Writer;
use crate::ops::tree::cursor::Cursor;
use crate::sys::node_api::{Deferred, Env, Task, Weight, on_pool, on_thread};
use crate::watch::Watch;

/// How many threads there are at a time; further work waits for one.
const MOST: usize = 32;

/// The stack of a thread, in bytes: what the work needs of it is constant, whatever the tree.
const STACK: usize = 512 << 10;

/// The threads of one environment.
#[derive(Default)]
pub struct Threads {
    /// Each with the watch that stops it.
    running: RefCell<Vec<(JoinHandle<()>, Arc<Watch>)>>,
    /// How many tasks have a thread.
    count: Cell<usize>,
    waiting: RefCell<VecDeque<Waiting>>,
    dropper: Rc<Dropper>,
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
        self.dropper.end();
    }

    /// What a handle is to own, which may wait for its file system when it is dropped.
    pub fn kept<T: Holds>(&self, value: Arc<Mutex<Option<T>>>, weight: Weight) -> Kept<T> {
        Kept {
            value,
            weight: Cell::new(Some(weight)),
            dropper: Rc::clone(&self.dropper),
        }
    }
}

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

/// What a handle owns until it is taken. A handle is collected on the thread of the event loop, and what it still owns
/// is dropped on another one: to close or remove a file may wait for a file system.
pub struct Kept<T: Holds> {
    value: Arc<Mutex<Option<T>>>,
    weight: Cell<Option<Weight>>,
    dropper: Rc<Dropper>,
}

impl<T: Holds> Kept<T> {
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
            self.dropper.take(value);
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
            self.dropper.take(value);
        }
    }
}

/// The thread of a dropper, and the way to it.
type Dropping = (Sender<Box<dyn Holds>>, JoinHandle<()>);

/// A thread that drops things. It begins with the first.
#[derive(Default)]
struct Dropper {
    thread: RefCell<Option<Dropping>>,
    /// The environment has ended: there is no event loop to be held up, and the library may be unloaded.
    is_over: Cell<bool>,
}

impl Dropper {
    /// Has `value` dropped: here, if it holds nothing, or where no thread is to be had.
    fn take(&self, value: impl Holds) {
        if self.is_over.get() || !value.holds_files() {
            return;
        }
        let mut thread = self.thread.borrow_mut();
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

    /// Returns when all is dropped. What comes later is dropped where it comes.
    fn end(&self) {
        self.is_over.set(true);
        if let Some((sender, thread)) = self.thread.take() {
            drop(sender);
            let _ = thread.join();
        }
    }
}

fn join(threads: Vec<(JoinHandle<()>, Arc<Watch>)>) {
    for (thread, _) in threads {
        // A panic was caught where the work was done.
        let _ = thread.join();
    }
}
