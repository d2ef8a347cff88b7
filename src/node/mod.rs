//! The binding: arguments in, values and errors out. Nothing else knows N-API.

pub mod args;
pub mod call;
pub mod make;
pub mod methods;
pub mod sandbox_root;
pub mod thrown;

use std::rc::Rc;

use napi::bindgen_prelude::*;
use napi_derive::napi;

use call::Methods;
use make::Make;
use sandbox_root::{CLASS, Instance};

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
