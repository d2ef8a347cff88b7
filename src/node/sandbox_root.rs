//! The class `SandboxRoot`, and how its methods are called.
//!
//! Methods are closures on the prototype and not `#[napi] &self` functions: that is as fast as a
//! raw callback and needs no `unsafe` (`bench/call-cost` compares the ways). [`Methods::add`] is
//! the one place where a call from JavaScript enters; napi catches a panic there.

use std::cell::RefCell;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use napi::bindgen_prelude::*;
use napi::{JsValue, Status};
use napi_derive::napi;
use rustix::fs::Stat;

use super::args::{self, Args, Checked, GivenPath, Refusal, Thrown};
use super::make::Make;
use super::methods;
use crate::error::{self, Call};
use crate::resolve::Root;

/// A directory that no operation leaves.
#[napi]
pub struct SandboxRoot {
    /// Taken by every call for as long as it lasts, so that closing is safe at any moment.
    root: RefCell<Arc<Root>>,
}

const CLASS: &str = "SandboxRoot";

/// What belongs to one environment: the main thread's, or that of a worker.
struct Instance {
    make: Rc<Make>,
    class: FunctionRef<(), ()>,
}

#[napi]
impl SandboxRoot {
    /// Opens the directory at `root`, which is trusted: its own symlinks are followed.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, this: This<'_>, root: GivenPath<'_>) -> Result<Self> {
        let Some(instance) = env.get_instance_data::<Instance>()? else {
            return Err(Error::from_reason("the addon is not initialised"));
        };
        instance
            .open(&env, this, root)
            .map_err(|thrown| throw(&env, thrown))
    }

    /// Releases the descriptor of the root; a call that is running keeps it until its end. Every
    /// call afterwards is `EBADF`. Closing twice is fine.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.root.replace(Arc::new(Root::closed()));
    }

    /// Whether `close` was called.
    #[napi(getter, catch_unwind)]
    pub fn closed(&self) -> bool {
        self.current().is_closed()
    }

    fn current(&self) -> Arc<Root> {
        Arc::clone(&self.root.borrow())
    }
}

impl Instance {
    fn open(&self, env: &Env, this: This<'_>, root: GivenPath<'_>) -> Checked<SandboxRoot> {
        // Called without `new`, it would be bound to whatever `this` is, even to `globalThis`.
        if !this.instanceof(self.class.borrow_back(env)?)? {
            return Err(Thrown::Value(self.make.invalid_this(env, CLASS)?));
        }
        let refusal = Refusal {
            env,
            make: &self.make,
        };
        let path = args::path(&refusal, "root", root)?;
        match Call::on("open", &path).run(|| Root::open(&path)) {
            Ok(root) => Ok(SandboxRoot {
                root: RefCell::new(Arc::new(root)),
            }),
            Err(error) => Err(Thrown::Value(self.make.system_error(env, error)?)),
        }
    }
}

/// Runs when an environment loads the addon.
#[napi(module_exports)]
pub fn exports(exports: Object<'_>, env: Env) -> Result<()> {
    let make = Rc::new(Make::new(&env)?);
    let class: Function<'_, (), ()> = exports.get_named_property(CLASS)?;
    let mut prototype: Object = class.get_named_property("prototype")?;
    // `using root = …`, where this Node has the symbol: the first releases of 18 do not.
    let symbols: Object = env.get_global()?.get_named_property_unchecked("Symbol")?;
    let dispose: Unknown = symbols.get_named_property("dispose")?;
    if dispose.get_type()? == ValueType::Symbol {
        let close: Unknown = prototype.get_named_property("close")?;
        prototype.set_property(dispose, close)?;
    }
    let instance = Instance {
        make: Rc::clone(&make),
        class: class.create_ref()?,
    };
    env.set_instance_data(instance, (), |_| {})?;
    methods::define(&mut Methods {
        env,
        make,
        prototype,
    })
}

/// The prototype of the class, while it is given its methods.
pub struct Methods<'e> {
    env: Env,
    make: Rc<Make>,
    prototype: Object<'e>,
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
                done.map_err(|thrown| throw(call.env, thrown))
            })?;
        self.prototype.set_named_property(name, method)
    }
}

/// Throws, and gives back what tells napi that it is done already.
fn throw(env: &Env, thrown: Thrown) -> Error {
    match thrown {
        Thrown::Napi(error) => error,
        Thrown::Value(value) => match env.throw(value) {
            Ok(()) => Error::new(Status::PendingException, String::new()),
            Err(error) => error,
        },
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
