//! What a native function does. Its synchronous form and its promise read the same arguments and do the same
//! [`Job`]; where the work of the promise is done is declared with the job.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;

use super::State;
use super::arguments::{Arguments, Checked, Unchecked};
use super::output::{Output, parts, text};
use crate::error::{self, Reason};
use crate::ops::metadata::IfCached;
use crate::path::UserPath;
use crate::resolve::Root;
use crate::sys::node_api::{
    Call, Deferred, Env, Exception, Function, PANICKED, Result, Settled, Task, Value, on_pool,
};
use crate::watch::Watch;

/// A function, and its promise.
pub struct Operation {
    /// Does the work at once.
    pub call: Function,
    /// Starts it.
    pub start: Function,
}

/// The operations `name => read`, where `read` makes a [`Job`] of the [`Arguments`].
macro_rules! operations {
    ($($name:literal => $read:expr,)*) => {
        &[$($crate::node::job::Operation {
            call: $crate::sys::node_api::Function {
                name: $name,
                body: |call| $crate::node::job::call(call, $read),
            },
            start: $crate::sys::node_api::Function {
                name: $name,
                body: |call| $crate::node::job::start(call, $read),
            },
        }),*]
    };
}
pub(super) use operations;

/// Work on a root, once all arguments hold.
pub trait Job: Send + 'static {
    /// Does it.
    fn run(self, root: &Root) -> error::Result<Output>;

    /// The answer, if nothing has to be waited for.
    fn if_cached(&self, _root: &Root) -> IfCached<error::Result<Output>> {
        IfCached::Wait(None)
    }

    /// Where a promise of it is worked for.
    fn execution(&self) -> Execution {
        Execution::Pool
    }

    /// Does it, unless that takes long: see [`Execution::PoolFirst`].
    fn run_if_short(&self, _root: &Root) -> Option<error::Result<Output>> {
        None
    }

    /// Does it at once, and says what the call returns.
    fn run_at_once<'s>(
        self,
        root: &Root,
        call: &Call<'s>,
        state: &State,
    ) -> Result<Option<Value<'s>>>
    where
        Self: Sized,
    {
        answer(call, state, self.run(root))
    }
}

/// Where a promise is worked for.
#[derive(Clone)]
pub enum Execution {
    /// On libuv's pool, as that of `fs.promises`. Its few threads are shared, and an environment that ends waits
    /// for them: for short work alone.
    Pool,
    /// On a thread of its own, which stops where its watch says so.
    Thread(Arc<Watch>),
    /// On the pool if it turns out to be short, else on a thread of its own.
    PoolFirst(Arc<Watch>),
}

/// Work on the pool.
pub fn pool<F, T>(run: F) -> impl Job
where
    F: FnOnce(&Root) -> error::Result<T> + Send + 'static,
    T: Into<Output> + 'static,
{
    struct Pool<F>(F);
    impl<F, T> Job for Pool<F>
    where
        F: FnOnce(&Root) -> error::Result<T> + Send + 'static,
        T: Into<Output> + 'static,
    {
        fn run(self, root: &Root) -> error::Result<Output> {
            (self.0)(root).map(Into::into)
        }
    }
    Pool(run)
}

/// Work that [`Execution`] says where to do. It is passed how much it may do, in bytes: what is more fails for
/// [`Reason::TakesLong`].
pub fn run<F, T>(execution: Execution, run: F) -> impl Job
where
    F: Fn(&Root, u64) -> error::Result<T> + Send + 'static,
    T: Into<Output> + 'static,
{
    struct At<F>(Execution, F);
    impl<F, T> Job for At<F>
    where
        F: Fn(&Root, u64) -> error::Result<T> + Send + 'static,
        T: Into<Output> + 'static,
    {
        fn run(self, root: &Root) -> error::Result<Output> {
            (self.1)(root, u64::MAX).map(Into::into)
        }

        fn execution(&self) -> Execution {
            self.0.clone()
        }

        fn run_if_short(&self, root: &Root) -> Option<error::Result<Output>> {
            if_short((self.1)(root, SHORT))
        }
    }
    At(execution, run)
}

/// What was done, unless it takes long.
pub fn if_short<T: Into<Output>>(done: error::Result<T>) -> Option<error::Result<Output>> {
    match done {
        Err(error) if error.reason == Some(Reason::TakesLong) => None,
        done => Some(done.map(Into::into)),
    }
}

/// What is read or copied on the pool at the most, in bytes. More takes longer than it takes to start a thread,
/// and an environment that ends should not wait for it.
pub const SHORT: u64 = 8 << 20;

/// A question that the kernel may be able to answer from memory.
pub struct Lookup<Ask, AskAndWait> {
    /// What it is about.
    pub path: UserPath,
    /// Asks without waiting.
    pub ask: Ask,
    /// Asks.
    pub ask_and_wait: AskAndWait,
}

impl<Ask, AskAndWait> Job for Lookup<Ask, AskAndWait>
where
    Ask: Fn(&Root, &UserPath) -> IfCached<error::Result<Output>> + Send + 'static,
    AskAndWait: FnOnce(&Root, &UserPath) -> error::Result<Output> + Send + 'static,
{
    fn run(self, root: &Root) -> error::Result<Output> {
        (self.ask_and_wait)(root, &self.path)
    }

    fn if_cached(&self, root: &Root) -> IfCached<error::Result<Output>> {
        (self.ask)(root, &self.path)
    }
}

/// Does a job at once: the value, or a negative errno, whose error `failure` tells.
pub fn call<'s, J: Job>(
    call: &Call<'s>,
    read: impl FnOnce(&Arguments<'_, 's>) -> Checked<J>,
) -> Result<Option<Value<'s>>> {
    let state = call.env.kept::<State>()?;
    let arguments = Arguments::new(call, &state);
    let root = arguments.root()?;
    match read(&arguments) {
        Ok(job) => job.run_at_once(&root, call, &state),
        Err(unread) => unread.answer(call, &state),
    }
}

/// Starts a job: its promise, or what [`call`] returns if it could be answered without waiting.
pub fn start<'s, J: Job>(
    call: &Call<'s>,
    read: impl FnOnce(&Arguments<'_, 's>) -> Checked<J>,
) -> Result<Option<Value<'s>>> {
    let state = call.env.kept::<State>()?;
    let arguments = Arguments::new(call, &state);
    let root = arguments.root()?;
    let job = match read(&arguments) {
        Ok(job) => job,
        Err(unread) => return unread.answer(call, &state),
    };
    let to_close = match job.if_cached(&root) {
        IfCached::Answer(done) => return answer(call, &state, done),
        IfCached::Wait(fd) => fd,
    };
    let execution = job.execution();
    let task = Box::new(Work {
        root,
        job: Some(job),
        runs: match execution {
            Execution::Pool => Runs::Pool,
            Execution::PoolFirst(_) => Runs::PoolFirst,
            Execution::Thread(_) => Runs::Thread,
        },
        to_close,
        outcome: Outcome::None,
    });
    let (deferred, promise) = call.env.promise()?;
    match execution {
        Execution::Pool | Execution::PoolFirst(_) => on_pool(call.env, deferred, task)?,
        Execution::Thread(watch) => state.ending.threads.start(call.env, deferred, task, watch),
    }
    Ok(Some(promise))
}

/// What a call returns whose work is done.
pub fn answer<'s>(
    call: &Call<'s>,
    state: &State,
    done: error::Result<Output>,
) -> Result<Option<Value<'s>>> {
    match done {
        Ok(output) => output.answer(call, state),
        Err(error) => failed(call, state, &error),
    }
}

/// What a call returns that failed: a negative errno, whose parts `failure` returns.
fn failed<'s>(call: &Call<'s>, state: &State, error: &error::Error) -> Result<Option<Value<'s>>> {
    state.failure.replace(parts(error));
    call.env.number(f64::from(-error.errno)).map(Some)
}

impl Unchecked {
    /// What a call returns whose arguments could not be read.
    pub fn answer<'s>(self, call: &Call<'s>, state: &State) -> Result<Option<Value<'s>>> {
        match self {
            Self::Failed(error) => failed(call, state, &error),
            Self::Nonsense(exception) => Err(exception),
        }
    }
}

/// Functions about calls.
pub const FUNCTIONS: &[Function] = &[
    Function {
        name: "failure",
        body: |call| {
            let parts = call.env.kept::<State>()?.failure.take();
            call.env.string(&parts).map(Some)
        },
    },
    Function {
        name: "strerror",
        body: |call| {
            let errno = call.get(0).and_then(|value| call.env.as_number(value));
            let errno = errno.ok_or(super::arguments::NONSENSE)? as i32;
            let text = std::io::Error::from_raw_os_error(errno).to_string();
            // Behind the text stands its number.
            let text = text.split(" (os error").next().unwrap_or_default();
            call.env.string(text.as_bytes()).map(Some)
        },
    },
];

/// A job on another thread. It keeps the root open until it is done.
struct Work<J> {
    root: Arc<Root>,
    job: Option<J>,
    runs: Runs,
    /// What a lookup has opened that gave no answer.
    to_close: Option<OwnedFd>,
    outcome: Outcome,
}

/// Where a job runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runs {
    Pool,
    /// Unless it takes long.
    PoolFirst,
    Thread,
}

/// What came of a job.
enum Outcome {
    /// Nothing yet; or it panicked.
    None,
    TakesLong,
    Done(error::Result<Output>),
}

impl<J: Job> Task for Work<J> {
    fn work(&mut self) {
        self.to_close = None;
        self.outcome = match (self.runs, self.job.take()) {
            (Runs::PoolFirst, Some(job)) => match job.run_if_short(&self.root) {
                Some(done) => Outcome::Done(done),
                None => {
                    self.job = Some(job);
                    Outcome::TakesLong
                }
            },
            (_, Some(job)) => Outcome::Done(job.run(&self.root)),
            (_, None) => Outcome::None,
        };
    }

    fn settle<'s>(&mut self, env: Env<'s>) -> Result<Settled<'s>> {
        let state = env.kept::<State>()?;
        if self.runs == Runs::Thread {
            state.ending.threads.one_is_free(env);
        }
        match &mut self.outcome {
            Outcome::Done(Ok(output)) => {
                let value = output.value(env, &state, text)?;
                let value = value.map_or_else(|| env.undefined(), Ok)?;
                Ok(Settled::Resolved(value))
            }
            Outcome::Done(Err(error)) => Ok(Settled::Rejected(env.string(&parts(error))?)),
            Outcome::TakesLong => Ok(Settled::Unfinished),
            Outcome::None => Err(Exception::Failed(PANICKED)),
        }
    }

    fn handed_over(&mut self) {
        if let Outcome::Done(Ok(output)) = std::mem::replace(&mut self.outcome, Outcome::None) {
            output.handed_over();
        }
    }

    fn give_up(&mut self) {
        self.runs = Runs::Pool;
        self.job = None;
        let canceled = error::Error::of_descriptor(Errno::CANCELED, "open");
        self.outcome = Outcome::Done(Err(canceled));
    }

    fn go_on(mut self: Box<Self>, env: Env<'_>, promise: Deferred) {
        self.runs = Runs::Thread;
        self.outcome = Outcome::None;
        let execution = self.job.as_ref().map(Job::execution);
        if let (Some(Execution::PoolFirst(watch)), Ok(state)) = (execution, env.kept::<State>()) {
            state.ending.threads.start(env, promise, self, watch);
        }
    }
}
