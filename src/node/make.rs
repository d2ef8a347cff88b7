//! The values and errors that are made by the script in `make.js`, one function each.

use napi::bindgen_prelude::*;
use napi::{JsValue, sys};
use rustix::fs::Stat;

use crate::error;
use crate::ops::metadata::Nanoseconds;

/// The functions of `make.js`, in the environment that they belong to.
pub struct Make {
    stats: FunctionRef<FnArgs<Fields<f64>>, Unknown<'static>>,
    big_stats: FunctionRef<FnArgs<Fields<BigInt>>, Unknown<'static>>,
    system_error: FunctionRef<FnArgs<SystemError>, Unknown<'static>>,
    invalid_type: FunctionRef<FnArgs<Complaint>, Unknown<'static>>,
    invalid_value: FunctionRef<FnArgs<Complaint>, Unknown<'static>>,
    out_of_range: FunctionRef<FnArgs<Complaint>, Unknown<'static>>,
    invalid_this: FunctionRef<FnArgs<(&'static str,)>, Unknown<'static>>,
    promises: FunctionRef<FnArgs<(sys::napi_value, sys::napi_value)>, Unknown<'static>>,
    lifetime: FunctionRef<FnArgs<Lifetime>, Unknown<'static>>,
}

#[rustfmt::skip]
type Fields<T> = (T, T, T, T, T, T, T, T, T, T, T, T, T);
type SystemError = (
    String,
    i32,
    String,
    &'static str,
    Option<String>,
    Option<String>,
);
type Lifetime = (sys::napi_value, sys::napi_value, sys::napi_value);
type Complaint = (&'static str, &'static str, sys::napi_value);

impl Make {
    /// Compiles the script.
    pub fn new(env: &Env) -> Result<Self> {
        let script: Object = env.run_script(include_str!("make.js"))?;
        Ok(Self {
            stats: function(&script, "stats")?,
            big_stats: function(&script, "stats")?,
            system_error: function(&script, "systemError")?,
            invalid_type: function(&script, "invalidType")?,
            invalid_value: function(&script, "invalidValue")?,
            out_of_range: function(&script, "outOfRange")?,
            invalid_this: function(&script, "invalidThis")?,
            promises: function(&script, "promises")?,
            lifetime: function(&script, "lifetime")?,
        })
    }

    /// Gives the class its `promises`: for each of the `starters`, a method that waits for it.
    pub fn promises(&self, env: &Env, prototype: &Object, starters: &Object) -> Result<()> {
        let class = FnArgs::from((prototype.raw(), starters.raw()));
        self.promises.borrow_back(env)?.call(class).map(|_| ())
    }

    /// Gives a prototype its `close` and its `closed`.
    pub fn lifetime(
        &self,
        env: &Env,
        prototype: &Object,
        close: Function<(), ()>,
        is_closed: Function<(), bool>,
    ) -> Result<()> {
        let lifetime = (prototype.raw(), close.raw(), is_closed.raw());
        self.lifetime
            .borrow_back(env)?
            .call(FnArgs::from(lifetime))
            .map(|_| ())
    }

    /// The result of `stat`: numbers, times in nanoseconds. Beyond 2⁵³ they are rounded.
    pub fn stats(&self, env: &Env, stat: &Stat) -> Result<Unknown<'static>> {
        let fields = fields(stat, |field| field as f64);
        self.stats.borrow_back(env)?.call(FnArgs::from(fields))
    }

    /// The same as bigints, every field exact.
    pub fn big_stats(&self, env: &Env, stat: &Stat) -> Result<Unknown<'static>> {
        let fields = fields(stat, BigInt::from);
        self.big_stats.borrow_back(env)?.call(FnArgs::from(fields))
    }

    /// The `Error` of a failed system call, as Node makes it.
    pub fn system_error(&self, env: &Env, error: error::Error) -> Result<Unknown<'static>> {
        let text = |path: &Vec<u8>| String::from_utf8_lossy(path).into_owned();
        self.system_error.borrow_back(env)?.call(FnArgs::from((
            error.to_string(),
            -error.errno,
            error.code(),
            error.syscall,
            error.path.as_ref().map(text),
            error.dest.as_ref().map(text),
        )))
    }

    /// `TypeError`, `ERR_INVALID_ARG_TYPE`: `expected` is such as `of type string`.
    pub fn invalid_type(
        &self,
        env: &Env,
        name: &'static str,
        expected: &'static str,
        value: Unknown<'_>,
    ) -> Result<Unknown<'static>> {
        let complaint = FnArgs::from((name, expected, value.raw()));
        self.invalid_type.borrow_back(env)?.call(complaint)
    }

    /// `TypeError`, `ERR_INVALID_ARG_VALUE`: `reason` is such as `must be …`.
    pub fn invalid_value(
        &self,
        env: &Env,
        name: &'static str,
        reason: &'static str,
        value: Unknown<'_>,
    ) -> Result<Unknown<'static>> {
        let complaint = FnArgs::from((name, reason, value.raw()));
        self.invalid_value.borrow_back(env)?.call(complaint)
    }

    /// `RangeError`, `ERR_OUT_OF_RANGE`: `range` is such as `>= 0 && <= 4294967295`.
    pub fn out_of_range(
        &self,
        env: &Env,
        name: &'static str,
        range: &'static str,
        value: Unknown<'_>,
    ) -> Result<Unknown<'static>> {
        let complaint = FnArgs::from((name, range, value.raw()));
        self.out_of_range.borrow_back(env)?.call(complaint)
    }

    /// `TypeError`, `ERR_INVALID_THIS`.
    pub fn invalid_this(&self, env: &Env, expected: &'static str) -> Result<Unknown<'static>> {
        self.invalid_this
            .borrow_back(env)?
            .call(FnArgs::from((expected,)))
    }
}

/// The fields that `stats` of `make.js` takes, in its order.
fn fields<T>(stat: &Stat, number: impl Fn(i128) -> T) -> Fields<T> {
    let time = |seconds, fraction| number(Nanoseconds::of(seconds, fraction).get());
    (
        number(stat.st_dev.into()),
        number(stat.st_ino.into()),
        number(stat.st_mode.into()),
        number(stat.st_nlink.into()),
        number(stat.st_uid.into()),
        number(stat.st_gid.into()),
        number(stat.st_rdev.into()),
        number(stat.st_size.into()),
        number(stat.st_blksize.into()),
        number(stat.st_blocks.into()),
        time(stat.st_atime, stat.st_atime_nsec),
        time(stat.st_mtime, stat.st_mtime_nsec),
        time(stat.st_ctime, stat.st_ctime_nsec),
    )
}

fn function<Args: JsValuesTupleIntoVec>(
    script: &Object,
    name: &str,
) -> Result<FunctionRef<Args, Unknown<'static>>> {
    let function: Function<Args, Unknown<'static>> = script.get_named_property(name)?;
    function.create_ref()
}
