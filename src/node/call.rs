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
        let make = Rc::clone(&self.make);
        let method = self
            .env
            .create_function_from_closure::<(), _, _>(name, move |call| {
                let done = (|| {
                    let this = call.this::<ClassInstance<SandboxRoot>>();
                    let root = match this {
                        Ok(this) => this.current(),
                        Err(_) => return Err(Thrown::Value(make.invalid_this(call.env, CLASS)?)),
                    };
                    let work = read(&Args::new(&call, &make))?;
                    match work(&root) {
                        Ok(output) => Ok(output.reply(call.env, &make)?),
                        Err(error) => Err(Thrown::Value(make.system_error(call.env, error)?)),
                    }
                })();
                done.map_err(|thrown: Thrown| thrown.throw(call.env))
            })?;
        self.prototype.set_named_property(name, method)
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
