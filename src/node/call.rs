//! How a method is called: the way in for its arguments, the way out for what it gives or throws.
//!
//! Methods are closures on the prototype and not `#[napi] &self` functions: that is as fast as a
//! raw callback and needs no `unsafe` (`bench/call-cost` compares the ways). [`Methods::add`] is
//! the one place where a call enters; napi catches a panic there.

use std::os::fd::{IntoRawFd, OwnedFd};
use std::rc::Rc;

use napi::bindgen_prelude::*;
use rustix::fs::Stat;

use super::args::Args;
use super::make::Make;
use super::sandbox_root::{CLASS, SandboxRoot};
use super::thrown::{Checked, Thrown};
use crate::error;
use crate::resolve::Root;

/// The prototype of the class, while it is given its methods.
pub struct Methods<'e> {
    /// Where the class lives.
    pub env: Env,
    /// What makes values and errors there.
    pub make: Rc<Make>,
    /// Where the methods go.
    pub prototype: Object<'e>,
}

impl Methods<'_> {
    /// Adds a method: `read` checks the arguments and gives back the work.
    pub fn add<Read, Work, Output>(&mut self, name: &'static str, read: Read) -> Result<()>
    where
        Read: Fn(&Args<'_>) -> Checked<Work> + 'static,
        Work: FnOnce(&Root) -> error::Result<Output>,
        Output: Reply,
    {
        let (env, make) = (self.env, Rc::clone(&self.make));
        let method = function(&env, name, move |call| {
            let root = receiver(call, &make)?.current();
            let work = read(&Args::new(call, &make))?;
            match work(&root) {
                Ok(output) => Ok(output.reply(call.env, &make)?),
                Err(error) => Err(Thrown::Value(make.system_error(call.env, error)?)),
            }
        })?;
        self.prototype.set_named_property(name, method)
    }

    /// Adds what begins with `new` and ends with `close`: the life of an instance.
    pub fn add_lifetime(&mut self) -> Result<()> {
        let (env, make) = (self.env, Rc::clone(&self.make));
        let close = function(&env, "close", move |call| {
            receiver(call, &make)?.close();
            Ok(())
        })?;
        let make = Rc::clone(&self.make);
        let is_closed = function(&env, "closed", move |call| {
            Ok(receiver(call, &make)?.current().is_closed())
        })?;
        self.make.lifetime(&env, &self.prototype, close, is_closed)
    }
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

/// What an operation gives back, as JavaScript gets it.
pub trait Reply {
    /// What it becomes.
    type Value: ToNapiValue;

    /// Makes the value.
    fn reply(self, env: &Env, make: &Make) -> Result<Self::Value>;
}

impl Reply for () {
    type Value = ();

    fn reply(self, _env: &Env, _make: &Make) -> Result<()> {
        Ok(())
    }
}

/// What `stat` found, and whether its fields are to be bigints.
pub struct Stats {
    /// As the kernel tells it.
    pub stat: Stat,
    /// Every field as an exact bigint, instead of a number.
    pub bigint: bool,
}

impl Reply for Stats {
    type Value = Unknown<'static>;

    fn reply(self, env: &Env, make: &Make) -> Result<Self::Value> {
        match self.bigint {
            true => make.big_stats(env, &self.stat),
            false => make.stats(env, &self.stat),
        }
    }
}

/// From here on the descriptor is the caller's to close.
impl Reply for OwnedFd {
    type Value = i32;

    fn reply(self, _env: &Env, _make: &Make) -> Result<i32> {
        Ok(self.into_raw_fd())
    }
}
