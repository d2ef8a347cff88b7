//! How a method is called: the way in for its arguments, the way out for what it gives or throws.
//!
//! A method and its promise are the same [`Job`]: the method does it, its promise has it done.

use std::rc::Rc;
use std::sync::Arc;

use napi::bindgen_prelude::*;

use super::args::Args;
use super::make::{Make, Outcome};
use super::reply::Reply;
use super::task::{Work, WorkTask};
use super::threads::Threads;
use super::thrown::{Answer, Checked, Thrown};
use crate::error;
use crate::ops::metadata::IfCached;
use crate::path::UserPath;
use crate::resolve::Root;
use crate::sys::node_api::{Call, Functions, value};
use crate::watch::Progress;

/// What a call is to do, once its arguments hold.
pub trait Job: Send + Sized + 'static {
    /// Does it with `root`.
    fn run(self, root: &Root) -> error::Result<Reply>;

    /// The answer, if it can be had without waiting for anything: it needs no thread then.
    fn answer_if_cached(&self, _root: &Root) -> IfCached<error::Result<Reply>> {
        IfCached::Wait(None)
    }
}

impl<F, Output> Job for F
where
    F: FnOnce(&Root) -> error::Result<Output> + Send + 'static,
    Output: Into<Reply>,
{
    fn run(self, root: &Root) -> error::Result<Reply> {
        self(root).map(Into::into)
    }
}

/// A question about a path that the kernel may be able to answer from memory.
pub struct Lookup<Ask, AskAndWait> {
    /// The path.
    pub path: UserPath,
    /// Asks without waiting.
    pub ask: Ask,
    /// Asks.
    pub ask_and_wait: AskAndWait,
}

impl<Ask, AskAndWait> Job for Lookup<Ask, AskAndWait>
where
    Ask: Fn(&Root, &UserPath) -> IfCached<error::Result<Reply>> + Send + 'static,
    AskAndWait: FnOnce(&Root, &UserPath) -> error::Result<Reply> + Send + 'static,
{
    fn run(self, root: &Root) -> error::Result<Reply> {
        (self.ask_and_wait)(root, &self.path)
    }

    fn answer_if_cached(&self, root: &Root) -> IfCached<error::Result<Reply>> {
        (self.ask)(root, &self.path)
    }
}

/// What came of the start of a job.
enum Started {
    Answered(error::Result<Reply>),
    Work(Work),
}

/// The methods, while they are made.
pub struct Methods<'e> {
    /// Makes the functions.
    pub functions: Functions,
    /// Makes values and errors.
    pub make: Rc<Make>,
    /// Where work on whole trees is done.
    pub threads: Rc<Threads>,
    /// Where the calls go that do their work at once.
    pub calls: Object<'e>,
    /// Where those go that start it and give back a promise.
    pub starters: Object<'e>,
}

impl Methods<'_> {
    /// Adds a method and its promise: `read` checks the arguments and gives back the job, which both do.
    pub fn add<R, J>(&mut self, name: &'static str, read: R) -> Result<()>
    where
        R: Fn(&Args<'_>) -> Checked<J> + 'static,
        J: Job,
    {
        let read = Rc::new(read);
        let reading = Rc::clone(&read);
        // For a caller who waits nothing of it is put on the heap.
        let run = move |args: &Args<'_>, root: &Root| Ok(reading(args)?.run(root));
        let start = move |args: &Args<'_>, root: &Root| {
            let job = read(args)?;
            Ok(match job.answer_if_cached(root) {
                IfCached::Answer(answer) => Started::Answered(answer),
                IfCached::Wait(fd) => Started::Work(Box::new(move |root| {
                    drop(fd);
                    job.run(root)
                })),
            })
        };
        self.add_method(
            name,
            Method {
                make: Rc::clone(&self.make),
                threads: Rc::clone(&self.threads),
                run: Box::new(run),
                start: Box::new(start),
            },
        )
    }

    fn add_method(&mut self, name: &'static str, method: Method) -> Result<()> {
        let method = Rc::new(method);
        let started = Rc::clone(&method);
        let (functions, make) = (&self.functions, &self.make);
        let call = lasting(functions, make, name, move |call| method.call(call))?;
        let start = lasting(functions, make, name, move |call| started.start(call))?;
        self.calls.set_named_property(name, call)?;
        self.starters.set_named_property(name, start)
    }
}

/// A function that lives as long as its environment, for `class.js`: see [`give`].
pub fn lasting(
    functions: &Functions,
    make: &Rc<Make>,
    name: &str,
    body: impl Fn(&Call<'_>) -> Checked<Answer> + 'static,
) -> Result<Unknown<'static>> {
    let make = Rc::clone(make);
    let body = move |call: &Call<'_>| give(call.env, &make, body(call));
    functions.add(name, Box::new(body))
}

/// A function that goes when nobody has it any more, for `class.js`: see [`give`]. Of `None` napi would make
/// `null`.
pub fn passing(
    env: &Env,
    make: &Rc<Make>,
    name: &str,
    body: impl Fn(&FunctionCallContext<'_>) -> Checked<Unknown<'static>> + 'static,
) -> Result<Unknown<'static>> {
    let make = Rc::clone(make);
    let function: Function<'_, (), Option<Unknown<'static>>> = env
        .create_function_from_closure(name, move |call| {
            give(call.env, &make, body(&call).map(Answer::Value))
        })?;
    value(env, function)
}

/// What a native function gives back to `class.js`, which is told what it is.
fn give(env: &Env, make: &Make, checked: Checked<Answer>) -> Result<Option<Unknown<'static>>> {
    let (outcome, given) = match checked {
        Ok(Answer::Nothing) => (Outcome::Answered, None),
        Ok(Answer::Value(value)) => (Outcome::Answered, Some(value)),
        Ok(Answer::Stats(stat)) => {
            make.share_stats(&stat);
            (Outcome::Stats, None)
        }
        Ok(Answer::Names(joined)) => (Outcome::Names, Some(joined)),
        Err(Thrown::Failed(error)) => {
            let (outcome, given) = make.failure(env, &error)?;
            (outcome, Some(given))
        }
        Err(Thrown::Value(value)) => (Outcome::Thrown, Some(value)),
        Err(Thrown::Napi(error)) => return Err(error),
    };
    // Last, since a script may have run before.
    make.share_outcome(outcome);
    Ok(given)
}

/// What is behind a method and its promise.
struct Method {
    make: Rc<Make>,
    threads: Rc<Threads>,
    run: Box<Read<error::Result<Reply>>>,
    start: Box<Read<Started>>,
}

/// Reads the arguments of a call on a root, and does what they ask for, or starts it.
type Read<Answer> = dyn Fn(&Args<'_>, &Root) -> Checked<Answer>;

impl Method {
    fn call(&self, call: &Call<'_>) -> Checked<Answer> {
        let root = self.make.root(call)?;
        let args = Args::new(call, &self.make, self.threads.ending(), root.policy());
        let done = (self.run)(&args, &root)?;
        if let Some((watch, options)) = args.watched() {
            self.make.progress(call.env, *options, watch.progress())?;
        }
        Ok(done?.into_answer(call.env, &self.make)?)
    }

    /// A promise, long work, or the answer.
    fn start(&self, call: &Call<'_>) -> Checked<Answer> {
        let env = call.env;
        let root = self.make.root(call)?;
        let args = Args::new(call, &self.make, self.threads.ending(), root.policy());
        let work = match (self.start)(&args, &root)? {
            Started::Work(work) => work,
            Started::Answered(done) => return Ok(done?.into_answer(env, &self.make)?),
        };
        let promise = match args.is_about_a_tree() {
            true => self.threads.start(env, root, work)?,
            false => WorkTask::start(env, root, work)?,
        };
        let Some((watch, _)) = args.watched() else {
            return Ok(Answer::Value(promise));
        };
        let stopped = Arc::clone(watch);
        let stop = passing(env, &self.make, "stop", move |call| {
            stopped.stop();
            Ok(value(call.env, ())?)
        })?;
        let watch = Arc::clone(watch);
        let seen = passing(env, &self.make, "seen", move |call| {
            let Progress { entries, bytes } = watch.progress();
            Ok(value(call.env, vec![entries as f64, bytes as f64])?)
        })?;
        let running = self.make.running(env, promise, stop, seen)?;
        Ok(Answer::Value(running))
    }
}
