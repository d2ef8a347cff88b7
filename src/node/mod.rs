//! The binding: arguments in, values and errors out. Nothing else knows N-API.

pub mod args;
pub mod call;
pub mod checks;
pub mod class;
pub mod make;
pub mod methods;
pub mod options;
pub mod reply;
pub mod roots;
pub mod task;
pub mod threads;
pub mod thrown;

use std::rc::Rc;

use napi::bindgen_prelude::*;
use napi_derive::napi;

use make::Make;
use roots::CLASS;

/// Runs when an environment loads the addon.
#[napi(module_exports)]
pub fn exports(mut exports: Object<'_>, env: Env) -> Result<()> {
    let (script, make) = Make::new(&env)?;
    let make = Rc::new(make);
    env.set_instance_data(Rc::clone(&make), (), |_| {})?;
    exports.set_named_property(CLASS, class::define(&env, &script, make)?)
}
