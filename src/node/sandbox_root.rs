//! The class `SandboxRoot`: what is made by `new`, and ends with `close`.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use napi::JsValue;
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::args::{self, GivenPath};
use super::checks::Refusal;
use super::make::Make;
use super::thrown::{Checked, Thrown};
use crate::error::Call;
use crate::policy::Policy;
use crate::resolve::Root;

/// A directory that no operation leaves.
#[napi]
pub struct SandboxRoot {
    /// Taken by every call for as long as it lasts, so that closing is safe at any moment.
    root: RefCell<Arc<Root>>,
}

/// The name of the class in JavaScript.
pub const CLASS: &str = "SandboxRoot";

/// What belongs to one environment: the main thread's, or that of a worker.
pub struct Instance {
    /// What makes values and errors there.
    pub make: Rc<Make>,
    /// The constructor.
    pub class: FunctionRef<(), ()>,
}

#[napi]
impl SandboxRoot {
    /// Opens the directory at `root`, which is trusted: its own symlinks are followed.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        env: Env,
        this: This<'_>,
        root: GivenPath<'_>,
        options: Unknown<'_>,
    ) -> Result<Self> {
        Instance::of(&env)?
            .open(&env, this, root, options)
            .map_err(|thrown| thrown.throw(&env))
    }
}

impl From<Root> for SandboxRoot {
    fn from(root: Root) -> Self {
        let root = RefCell::new(Arc::new(root));
        Self { root }
    }
}

impl SandboxRoot {
    /// Releases the descriptor of the root; a call that is running keeps it until its end. Every
    /// call afterwards is `EBADF`. Closing twice is fine.
    pub fn close(&self) {
        self.root.replace(Arc::new(Root::closed()));
    }

    /// The root for one call.
    pub fn current(&self) -> Arc<Root> {
        Arc::clone(&self.root.borrow())
    }
}

impl Instance {
    /// That of `env`, from when the addon was loaded there.
    pub fn of(env: &Env) -> Result<&'static Self> {
        match env.get_instance_data::<Self>()? {
            Some(instance) => Ok(instance),
            None => Err(Error::from_reason("the addon is not loaded here")),
        }
    }

    fn open(
        &self,
        env: &Env,
        this: This<'_>,
        root: GivenPath<'_>,
        options: Unknown<'_>,
    ) -> Checked<SandboxRoot> {
        // Called without `new`, it would be bound to whatever `this` is, even to `globalThis`.
        if !this.instanceof(self.class.borrow_back(env)?)? {
            return Err(Thrown::Value(self.make.invalid_this(env, CLASS)?));
        }
        let refusal = Refusal {
            env,
            make: &self.make,
        };
        let path = args::path(&refusal, "root", root)?;
        let policy = args::policy(&refusal, options, Policy::default())?;
        match Call::on("open", &path).run(|| Root::open(&path, policy)) {
            Ok(root) => Ok(root.into()),
            Err(error) => Err(Thrown::Value(self.make.error(env, error)?)),
        }
    }
}
