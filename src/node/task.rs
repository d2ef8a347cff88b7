//! Work without blocking: on libuv's thread pool, as that of `fs.promises`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use napi::bindgen_prelude::*;
use napi::{Status, Task};

use super::make::Make;
use super::reply::Reply;
use crate::error;
use crate::resolve::Root;
use crate::sys::node_api::{take_exception, value};

/// A job on its way to a thread.
pub type Work = Box<dyn FnOnce(&Root) -> error::Result<Reply> + Send>;

/// One call on its way through the pool. It keeps the root open until it is done.
pub struct WorkTask {
    root: Arc<Root>,
    /// Taken when it is done: work is done once.
    work: Option<Work>,
}

impl WorkTask {
    /// The promise of `work` with `root`.
    pub fn start(env: &Env, root: Arc<Root>, work: Work) -> Result<Unknown<'static>> {
        let work = Some(work);
        value(env, AsyncTask::new(Self { root, work }))
    }
}

impl Task for WorkTask {
    type Output = error::Result<Reply>;
    type JsValue = Unknown<'static>;

    fn compute(&mut self) -> Result<Self::Output> {
        let work = self.work.take().ok_or_else(panicked)?;
        // N-API does not stop a panic on a thread of the pool.
        catch_unwind(AssertUnwindSafe(|| work(&self.root))).map_err(|_| panicked())
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> Result<Unknown<'static>> {
        settled(&env, output)
    }
}

/// What a promise is settled with.
pub fn settled(env: &Env, output: error::Result<Reply>) -> Result<Unknown<'static>> {
    let make = Make::of(env)?;
    match output {
        // What Node threw while the value was made is what the promise is rejected with.
        Ok(reply) => reply
            .into_value(env, make)
            .map_err(|error| take_exception(env).map_or(error, Into::into)),
        Err(error) => Err(make.error(env, &error)?.into()),
    }
}

/// The error of work that panicked, which is a defect.
pub fn panicked() -> Error {
    Error::new(Status::GenericFailure, "the operation panicked")
}
