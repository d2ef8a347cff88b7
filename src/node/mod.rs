//! The binding: arguments in, values and errors out. Nothing else knows N-API.

pub mod args;
pub mod call;
pub mod checks;
pub mod make;
pub mod methods;
pub mod options;
pub mod reply;
pub mod sandbox_root;
pub mod task;
pub mod threads;
pub mod thrown;

use std::rc::Rc;

use napi::bindgen_prelude::*;
use napi_derive::napi;

use call::Methods;
use make::Make;
use sandbox_root::{CLASS, Instance};
use threads::Threads;

/// Runs when an environment loads the addon.
#[napi(module_exports)]
pub fn exports(exports: Object<'_>, env: Env) -> Result<()> {
    let make = Rc::new(Make::new(&env)?);
    let class: Function<'_, (), ()> = exports.get_named_property(CLASS)?;
    let prototype: Object = class.get_named_property("prototype")?;
    let instance = Instance {
        make: Rc::clone(&make),
        class: class.create_ref()?,
    };
    env.set_instance_data(instance, (), |_| {})?;
    let threads = Rc::new(Threads::default());
    env.add_env_cleanup_hook(Rc::clone(&threads), |threads| threads.end())?;
    let mut methods = Methods {
        env,
        make: Rc::clone(&make),
        threads,
        prototype,
        starters: Object::new(&env)?,
    };
    methods::define(&mut methods)?;
    methods.complete()
}
