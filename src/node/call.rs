//! How a method is called: the way in for its arguments, the way out for what it gives or throws.
//!
//! Methods are closures on the prototype and not `#[napi] &self` functions: that is as fast as a
//! raw callback and needs no `unsafe` (`bench/call-cost` compares the ways). [`Methods::add`] is
//! the one place where a call enters; napi catches a panic there.

use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::*;

use super::args::{Args, MAX_SAFE_INTEGER};
use super::make::Make;
use super::reply::{Reply, Value};
use super::sandbox_root::{CLASS, SandboxRoot};
use super::task::WorkTask;
use super::threads::{Promised, Threads};
use super::thrown::{Checked, Thrown};
use crate::error;
use crate::ops::identity;
use crate::ops::tree::walk::{Limits, Tour};
use crate::path::UserPath;
use crate::resolve::Root;
use crate::watch::{Progress, Watch};

/// What a call is to do, once its arguments hold.
pub trait Job: Send {
    /// Does it with `root`.
    fn run(self: Box<Self>, root: &Root) -> error::Result<Reply>;

    /// The answer, if it can be had without waiting for anything: it needs no thread then.
    fn answer_if_cached(&self, _root: &Root) -> Option<error::Result<Reply>> {
        None
    }
}

/// Boxed, so that what carries it is compiled once.
pub type Work = Box<dyn Job>;

impl<F: FnOnce(&Root) -> error::Result<Reply> + Send> Job for F {
    fn run(self: Box<Self>, root: &Root) -> error::Result<Reply> {
        self(root)
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
    Ask: Fn(&Root, &UserPath) -> Option<error::Result<Reply>> + Send,
    AskAndWait: FnOnce(&Root, &UserPath) -> error::Result<Reply> + Send,
{
    fn run(self: Box<Self>, root: &Root) -> error::Result<Reply> {
        (self.ask_and_wait)(root, &self.path)
    }

    fn answer_if_cached(&self, root: &Root) -> Option<error::Result<Reply>> {
        (self.ask)(root, &self.path)
    }
}

/// How a method reads its arguments.
type Read = dyn Fn(&Args<'_>) -> Checked<Work>;

/// The class while it is given its methods.
pub struct Methods<'e> {
    /// Where the class lives.
    pub env: Env,
    /// What makes values and errors there.
    pub make: Rc<Make>,
    /// Where work on whole trees is done.
    pub threads: Rc<Threads>,
    /// Where the methods go that do their work at once.
    pub prototype: Object<'e>,
    /// Where those go that start it and give back a promise. `this` is the root there too.
    pub starters: Object<'e>,
}

impl Methods<'_> {
    /// Adds a method and its promise: `read` checks the arguments and gives back the work, which
    /// both do.
    pub fn add<R, Job, Output>(&mut self, name: &'static str, read: R) -> Result<()>
    where
        R: Fn(&Args<'_>) -> Checked<Job> + 'static,
        Job: FnOnce(&Root) -> error::Result<Output> + Send + 'static,
        Output: Into<Reply>,
    {
        let read = move |args: &Args<'_>| -> Checked<Work> {
            let job = read(args)?;
            Ok(Box::new(move |root: &Root| job(root).map(Into::into)))
        };
        self.add_boxed(name, Rc::new(read))
    }

    /// Adds a method that asks about a path.
    pub fn add_lookup<R, J>(&mut self, name: &'static str, read: R) -> Result<()>
    where
        R: Fn(&Args<'_>) -> Checked<J> + 'static,
        J: Job + 'static,
    {
        self.add_boxed(name, Rc::new(move |args| Ok(Box::new(read(args)?))))
    }

    fn add_boxed(&mut self, name: &str, read: Rc<Read>) -> Result<()> {
        let env = self.env;
        let make = Rc::clone(&self.make);
        let threads = Rc::clone(&self.threads);
        let method = Method {
            make,
            threads,
            read,
        };
        let starter = method.clone();
        let method = function(&env, name, move |call| method.run(call))?;
        let starter = function(&env, name, move |call| starter.start(call))?;
        self.prototype.set_named_property(name, method)?;
        self.starters.set_named_property(name, starter)
    }

    /// Adds what is no such method: the life of an instance, its `identity`, `walk` and `promises`.
    pub fn complete(&mut self) -> Result<()> {
        let env = self.env;
        let mut natives = Object::new(&env)?;
        let make = Rc::clone(&self.make);
        let close = function(&env, "close", move |call| {
            receiver(call, &make)?.close();
            Ok(())
        })?;
        natives.set_named_property("close", close)?;
        let make = Rc::clone(&self.make);
        let closed = function(&env, "closed", move |call| {
            Ok(receiver(call, &make)?.current().is_closed())
        })?;
        natives.set_named_property("closed", closed)?;
        let make = Rc::clone(&self.make);
        let identity = function(&env, "identity", move |call| {
            match identity::identity(&receiver(call, &make)?.current()) {
                Ok(identity) => Ok(make.identity(call.env, identity)?),
                Err(error) => Err(Thrown::Value(make.error(call.env, error)?)),
            }
        })?;
        natives.set_named_property("identity", identity)?;
        let threads = Rc::clone(&self.threads);
        let end = function(&env, "end", move |_| {
            threads.end();
            Ok(())
        })?;
        natives.set_named_property("end", end)?;
        let make = Rc::clone(&self.make);
        let ending = Arc::clone(self.threads.ending());
        let tour = function(&env, "walk", move |call| tour(call, &make, &ending))?;
        natives.set_named_property("tour", tour)?;
        self.make
            .complete(&env, &self.prototype, &self.starters, natives)
    }
}

/// A tour through a tree: `{ step, close }`, for `class.js`. A step gives back the promise of a part, and
/// is called on the root, whose descriptor is kept open by nothing in between.
fn tour(
    call: &FunctionCallContext<'_>,
    make: &Rc<Make>,
    ending: &Arc<AtomicBool>,
) -> Checked<Unknown<'static>> {
    let env = &call.env;
    let root = receiver(call, make)?.current();
    let args = Args::new(call, make, ending, root.policy());
    let path = args.path(0, "path")?;
    let options = args.options(1)?;
    let encoding = options.name_encoding()?;
    let limits = Limits {
        depth: options
            .number("maxDepth", MAX_SAFE_INTEGER)?
            .unwrap_or(u64::MAX),
        entries: options
            .number("maxEntries", MAX_SAFE_INTEGER)?
            .unwrap_or(u64::MAX),
    };
    let tour = Arc::new(Mutex::new(Some(Tour::new(path, limits))));
    let closed = Arc::clone(&tour);
    let watch = Arc::new(Watch::new(Arc::clone(ending)));
    let receiving = Rc::clone(make);
    let step = function(env, "step", move |call| {
        let root = receiver(call, &receiving)?.current();
        let (tour, watch, encoding) = (Arc::clone(&tour), Arc::clone(&watch), encoding.clone());
        let work: Work = Box::new(move |root: &Root| {
            let mut tour = tour.lock().unwrap_or_else(PoisonError::into_inner);
            match tour.as_mut() {
                Some(tour) => Ok(Reply::Part(tour.next(root, &watch)?, encoding)),
                None => Ok(Reply::Nothing),
            }
        });
        Ok(WorkTask::start(root, work))
    })?;
    let close = function(env, "close", move |_| {
        closed.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(())
    })?;
    Ok(make.tour(env, step, close)?)
}

fn function<'e, Body, Return>(
    env: &'e Env,
    name: &str,
    body: Body,
) -> Result<Function<'e, (), Return>>
where
    Body: Fn(&FunctionCallContext<'_>) -> Checked<Return> + 'static,
    Return: ToNapiValue,
{
    env.create_function_from_closure(name, move |call| {
        body(&call).map_err(|thrown| thrown.throw(call.env))
    })
}

/// The instance that a method is called on.
fn receiver<'c>(
    call: &'c FunctionCallContext<'_>,
    make: &Make,
) -> Checked<ClassInstance<'c, SandboxRoot>> {
    match call.this() {
        Ok(instance) => Ok(instance),
        Err(_) => Err(Thrown::Value(make.invalid_this(call.env, CLASS)?)),
    }
}

/// What is behind a method and its promise.
#[derive(Clone)]
struct Method {
    make: Rc<Make>,
    threads: Rc<Threads>,
    read: Rc<Read>,
}

impl Method {
    fn run(&self, call: &FunctionCallContext<'_>) -> Checked<Value> {
        let root = receiver(call, &self.make)?.current();
        let args = Args::new(call, &self.make, self.threads.ending(), root.policy());
        let work = (self.read)(&args)?;
        let done = work.run(&root);
        if let Some((watch, options)) = args.watched() {
            self.make.progress(call.env, options, watch.progress())?;
        }
        match done {
            Ok(reply) => Ok(reply.into_value(call.env, &self.make)?),
            Err(error) => Err(Thrown::Value(self.make.error(call.env, error)?)),
        }
    }

    /// A promise; for long work `[promise, stop, seen, options]`, which `class.js` waits for.
    fn start(&self, call: &FunctionCallContext<'_>) -> Checked<Started> {
        let env = &call.env;
        let root = receiver(call, &self.make)?.current();
        let args = Args::new(call, &self.make, self.threads.ending(), root.policy());
        let work = (self.read)(&args)?;
        match work.answer_if_cached(&root) {
            Some(Ok(reply)) => return Ok(Either3::C(reply.into_value(env, &self.make)?)),
            Some(Err(error)) => return Err(Thrown::Value(self.make.error(env, error)?)),
            None => {}
        }
        let promise = match args.is_about_a_tree() {
            true => self.threads.start(env, root, work)?,
            false => Either::A(WorkTask::start(root, work)),
        };
        let Some((watch, options)) = args.watched() else {
            return Ok(Either3::A(promise));
        };
        let stopped = Arc::clone(watch);
        let stop = function(env, "stop", move |_| {
            stopped.stop();
            Ok(())
        })?;
        let watch = Arc::clone(watch);
        let seen = function(env, "seen", move |_| {
            let Progress { entries, bytes } = watch.progress();
            Ok(vec![entries as f64, bytes as f64])
        })?;
        let started = self.make.started(env, promise, stop, seen, options)?;
        Ok(Either3::B(started))
    }
}

/// What a starter gives back: a promise, long work, or the answer.
type Started = Either3<Promised, Unknown<'static>, Value>;
