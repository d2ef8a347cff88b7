//! The values and errors that are made by the scripts in `make.js` and `class.js`, one function
//! each.

use std::cell::OnceCell;
use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;

use napi::bindgen_prelude::*;
use napi::{JsValue, sys};
use rustix::fs::{FileType, Stat};

use super::options::Encoding;
use super::reply::text_of;
use super::roots::{CLASS, Roots};
use super::task::WorkTask;
use super::threads::Promised;
use super::thrown::{Checked, Given, Thrown};
use crate::error::{self, Reason};
use crate::ops::directory::Names;
use crate::ops::identity::Identity;
use crate::ops::metadata::Nanoseconds;
use crate::ops::tree::walk::{self, Cut};
use crate::resolve::Root;
use crate::sys::node_api::{Call, SharedNumbers};
use crate::watch::Progress;

/// The functions of the scripts, in the environment that they belong to.
pub struct Make {
    /// The roots there.
    pub roots: Roots,
    /// What `class.js` tells the number of a root by, once it has made the class.
    number_of: OnceCell<FunctionRef<FnArgs<(sys::napi_value,)>, Option<u32>>>,
    stats: SharedNumbers<14>,
    big_stats: FunctionRef<FnArgs<(Vec<BigInt>,)>, Unknown<'static>>,
    system_error: FunctionRef<FnArgs<(String,)>, Unknown<'static>>,
    invalid_type: FunctionRef<FnArgs<Complaint>, Unknown<'static>>,
    invalid_value: FunctionRef<FnArgs<Complaint>, Unknown<'static>>,
    out_of_range: FunctionRef<FnArgs<Complaint>, Unknown<'static>>,
    invalid_this: FunctionRef<FnArgs<(String,)>, Unknown<'static>>,
    running: FunctionRef<FnArgs<Running>, Unknown<'static>>,
    progress: FunctionRef<FnArgs<(sys::napi_value, f64, f64)>, Vec<Unknown<'static>>>,
    too_large: FunctionRef<FnArgs<(f64, f64)>, Unknown<'static>>,
    watchable: FunctionRef<FnArgs<(sys::napi_value,)>, Vec<Unknown<'static>>>,
    is_encoding: FunctionRef<FnArgs<(String,)>, bool>,
    encode: FunctionRef<FnArgs<(sys::napi_value, String)>, Uint8Array>,
    decode: FunctionRef<FnArgs<(Buffer, String)>, Unknown<'static>>,
    bytes_of: FunctionRef<FnArgs<(sys::napi_value,)>, Uint8Array>,
    names: FunctionRef<FnArgs<NamesOf>, Unknown<'static>>,
    identity: FunctionRef<FnArgs<(BigInt, BigInt, BigInt)>, Unknown<'static>>,
    tour: FunctionRef<FnArgs<(sys::napi_value, sys::napi_value)>, Unknown<'static>>,
    part: FunctionRef<FnArgs<Part>, Unknown<'static>>,
}

type Text = Either<String, Buffer>;
type NamesOf = (Text, String, Vec<Text>, Vec<u32>);
type Running = (Promised, sys::napi_value, sys::napi_value, sys::napi_value);
type Part = (sys::napi_value, Option<&'static str>, bool);
type Complaint = (String, String, sys::napi_value);

impl Make {
    /// That of `env`, from when the addon was loaded there.
    pub fn of(env: &Env) -> Result<&'static Rc<Self>> {
        match env.get_instance_data()? {
            Some(make) => Ok(make),
            None => Err(Error::from_reason("the addon is not loaded here")),
        }
    }

    /// Compiles `make.js`: what it makes, for `class.js`, and what takes it from here.
    pub fn new(env: &Env) -> Result<(Object<'_>, Self)> {
        let script: Object = env.run_script(include_str!("make.js"))?;
        let make = Self {
            roots: Roots::default(),
            number_of: OnceCell::new(),
            stats: SharedNumbers::of(env, script.get_named_property("stats")?)?,
            big_stats: function(&script, "bigStats")?,
            system_error: function(&script, "SystemError")?,
            invalid_type: function(&script, "invalidType")?,
            invalid_value: function(&script, "invalidValue")?,
            out_of_range: function(&script, "outOfRange")?,
            invalid_this: function(&script, "invalidThis")?,
            running: function(&script, "running")?,
            progress: function(&script, "progress")?,
            too_large: function(&script, "tooLarge")?,
            watchable: function(&script, "watchable")?,
            is_encoding: function(&script, "isEncoding")?,
            encode: function(&script, "encode")?,
            decode: function(&script, "decode")?,
            bytes_of: function(&script, "bytesOf")?,
            names: function(&script, "names")?,
            identity: function(&script, "identity")?,
            tour: function(&script, "tour")?,
            part: function(&script, "part")?,
        };
        Ok((script, make))
    }

    /// The class, which `class.js` makes of what `make.js` makes and of the native calls.
    pub fn class(&self, env: &Env, script: &Object, natives: &Object) -> Result<Unknown<'static>> {
        let class: Function<FnArgs<(sys::napi_value, sys::napi_value)>, Object> =
            env.run_script(include_str!("class.js"))?;
        let made = class.call(FnArgs::from((script.raw(), natives.raw())))?;
        // It is called once.
        let _ = self.number_of.set(function(&made, "numberOf")?);
        made.get_named_property_unchecked(CLASS)
    }

    /// The root that `value` is, if it is one.
    pub fn root_of(&self, env: &Env, value: Unknown<'_>) -> Result<Option<Arc<Root>>> {
        let Some(number_of) = self.number_of.get() else {
            return Ok(None);
        };
        let number = number_of
            .borrow_back(env)?
            .call(FnArgs::from((value.raw(),)))?;
        number.map(|number| self.roots.numbered(number)).transpose()
    }

    /// The root that `call` is about: the first argument is its number, if `this` was one.
    pub fn root(&self, call: &Call<'_>) -> Checked<Arc<Root>> {
        match call.get(0) {
            Ok(number) => Ok(self.roots.numbered(number)?),
            Err(_) => Err(Thrown::Value(self.invalid_this(call.env)?)),
        }
    }

    /// What a tour through a tree is taken by.
    pub fn tour(
        &self,
        env: &Env,
        step: Function<(), Option<Given<AsyncTask<WorkTask>>>>,
        close: Function<(), Option<Given<()>>>,
    ) -> Result<Unknown<'static>> {
        let tour = FnArgs::from((step.raw(), close.raw()));
        self.tour.borrow_back(env)?.call(tour)
    }

    /// A part of a tour through a tree.
    pub fn part(
        &self,
        env: &Env,
        part: walk::Part,
        encoding: &Encoding,
    ) -> Result<Unknown<'static>> {
        let names = self.names(env, part.names, encoding)?;
        let truncated = part.cut.map(|cut| match cut {
            Cut::Depth => "maxDepth",
            Cut::Entries => "maxEntries",
        });
        let part = FnArgs::from((names.raw(), truncated, part.is_last));
        self.part.borrow_back(env)?.call(part)
    }

    /// Long work that was started: its promise, what stops it, what tells how far it is, its options.
    pub fn running(
        &self,
        env: &Env,
        promise: Promised,
        stop: Function<(), Option<Given<()>>>,
        seen: Function<(), Option<Given<Vec<f64>>>>,
        options: &Object,
    ) -> Result<Unknown<'static>> {
        let running = (promise, stop.raw(), seen.raw(), options.raw());
        self.running.borrow_back(env)?.call(FnArgs::from(running))
    }

    /// Tells the `onProgress` of long work how far it has come.
    pub fn progress(&self, env: &Env, options: &Object, progress: Progress) -> Checked<()> {
        let Progress { entries, bytes } = progress;
        let progress = (options.raw(), entries as f64, bytes as f64);
        let tell = self.progress.borrow_back(env)?;
        nothing_thrown(tell.call(FnArgs::from(progress))?)
    }

    /// `{ dev, ino, mountId }`, in bigints.
    pub fn identity(&self, env: &Env, identity: Identity) -> Result<Unknown<'static>> {
        let Identity { dev, ino, mount_id } = identity;
        let fields = (BigInt::from(dev), BigInt::from(ino), BigInt::from(mount_id));
        self.identity.borrow_back(env)?.call(FnArgs::from(fields))
    }

    /// The result of `stat`: numbers, times in nanoseconds. Beyond 2⁵³ they are rounded.
    pub fn stats(&self, env: &Env, stat: &Stat) -> Result<Unknown<'static>> {
        self.share_stats(stat);
        self.stats.read(env)
    }

    /// Sets the numbers that `stats` of `make.js` reads.
    pub fn share_stats(&self, stat: &Stat) {
        let fields = fields(stat, |field| match i64::try_from(field) {
            Ok(field) => field as f64,
            Err(_) => rounded(field),
        });
        self.stats.write(|[_, numbers @ ..]| *numbers = fields);
    }

    /// Tells the scripts what a native call comes to.
    pub fn share_outcome(&self, outcome: Outcome) {
        self.stats
            .write(|[first, ..]| *first = f64::from(outcome as u8));
    }

    /// The same as bigints, every field exact.
    pub fn big_stats(&self, env: &Env, stat: &Stat) -> Result<Unknown<'static>> {
        let fields = fields(stat, BigInt::from).into_iter().collect::<Vec<_>>();
        self.big_stats
            .borrow_back(env)?
            .call(FnArgs::from((fields,)))
    }

    /// The `Error` of a failed operation.
    pub fn error(&self, env: &Env, error: &error::Error) -> Result<Unknown<'static>> {
        if let Some(error) = self.too_large(env, error)? {
            return Ok(error);
        }
        let parts = FnArgs::from((parts(error),));
        self.system_error.borrow_back(env)?.new_instance(parts)
    }

    /// The `Error` of a file that is too large: none of the system's.
    pub fn too_large(&self, env: &Env, error: &error::Error) -> Result<Option<Unknown<'static>>> {
        let Some(Reason::TooLarge { size, most }) = error.reason else {
            return Ok(None);
        };
        let sizes = FnArgs::from((size as f64, most as f64));
        self.too_large.borrow_back(env)?.call(sizes).map(Some)
    }

    /// `TypeError`, `ERR_INVALID_THIS`.
    pub fn invalid_this(&self, env: &Env) -> Result<Unknown<'static>> {
        let expected = FnArgs::from((CLASS.to_owned(),));
        self.invalid_this.borrow_back(env)?.call(expected)
    }

    /// `TypeError`, `ERR_INVALID_ARG_TYPE`: `expected` is such as `of type string`.
    pub fn invalid_type(
        &self,
        env: &Env,
        name: &str,
        expected: &str,
        value: Unknown<'_>,
    ) -> Result<Unknown<'static>> {
        let complaint = (name.to_owned(), expected.to_owned(), value.raw());
        self.invalid_type
            .borrow_back(env)?
            .call(FnArgs::from(complaint))
    }

    /// `TypeError`, `ERR_INVALID_ARG_VALUE`: `reason` is such as `must be …`.
    pub fn invalid_value(
        &self,
        env: &Env,
        name: &str,
        reason: &str,
        value: Unknown<'_>,
    ) -> Result<Unknown<'static>> {
        let complaint = (name.to_owned(), reason.to_owned(), value.raw());
        self.invalid_value
            .borrow_back(env)?
            .call(FnArgs::from(complaint))
    }

    /// `RangeError`, `ERR_OUT_OF_RANGE`: `range` is such as `>= 0 && <= 4294967295`.
    pub fn out_of_range(
        &self,
        env: &Env,
        name: &str,
        range: &str,
        value: Unknown<'_>,
    ) -> Result<Unknown<'static>> {
        let complaint = (name.to_owned(), range.to_owned(), value.raw());
        self.out_of_range
            .borrow_back(env)?
            .call(FnArgs::from(complaint))
    }

    /// Fails if `options` have a `signal` or an `onProgress` that is none, or a signal that says stop.
    pub fn watchable(&self, env: &Env, options: &Object) -> Checked<()> {
        let options = FnArgs::from((options.raw(),));
        nothing_thrown(self.watchable.borrow_back(env)?.call(options)?)
    }

    /// Whether Node knows this encoding.
    pub fn is_encoding(&self, env: &Env, encoding: &str) -> Result<bool> {
        let encoding = FnArgs::from((encoding.to_owned(),));
        self.is_encoding.borrow_back(env)?.call(encoding)
    }

    /// The bytes of the string `text` in an encoding that Node knows.
    pub fn encode(&self, env: &Env, text: Unknown<'_>, encoding: &str) -> Result<Vec<u8>> {
        let args = FnArgs::from((text.raw(), encoding.to_owned()));
        Ok(self.encode.borrow_back(env)?.call(args)?.to_vec())
    }

    /// The string that `bytes` are in an encoding that Node knows.
    pub fn decode(&self, env: &Env, bytes: Vec<u8>, encoding: String) -> Result<Unknown<'static>> {
        let args = FnArgs::from((bytes.into(), encoding));
        self.decode.borrow_back(env)?.call(args)
    }

    /// The bytes of a typed array or a `DataView`.
    pub fn bytes_of(&self, env: &Env, view: Unknown<'_>) -> Result<Vec<u8>> {
        let args = FnArgs::from((view.raw(),));
        Ok(self.bytes_of.borrow_back(env)?.call(args)?.to_vec())
    }

    /// The names in directories, or objects with their types.
    pub fn names(&self, env: &Env, names: Names, encoding: &Encoding) -> Result<Unknown<'static>> {
        let text = |bytes: Vec<u8>| match encoding {
            Encoding::Buffer => Either::B(Buffer::from(bytes)),
            _ => Either::A(text_of(bytes)),
        };
        let kinds = names.kinds.into_iter().map(letter_of).collect();
        let (paths, counts) = names.parents.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
        let paths = paths.into_iter().map(text).collect();
        let names = (text(names.names), kinds, paths, counts);
        self.names.borrow_back(env)?.call(FnArgs::from(names))
    }
}

/// What a native call comes to, in the numbers that `class.js` knows.
#[derive(Clone, Copy)]
pub enum Outcome {
    /// What it gives back.
    Answered,
    /// What `stat` found: in the numbers that are shared.
    Stats,
    /// What it gives back is thrown.
    Thrown,
    /// What it gives back are the parts of a `SystemError`, which is thrown.
    Failed,
}

/// What `SystemError` of `make.js` is made of, as one string.
pub fn parts(error: &error::Error) -> String {
    let mut parts = error.message();
    // What is written to a string does not fail.
    let _ = write!(
        parts,
        "\0{}\0{}\0{}",
        -error.errno,
        error.code(),
        error.syscall
    );
    for path in [&error.path, &error.dest].into_iter().flatten() {
        parts.push('\0');
        parts.push_str(&String::from_utf8_lossy(path));
    }
    parts
}

/// What a script says it would throw, in an array since it may be any value.
fn nothing_thrown(mut thrown: Vec<Unknown<'static>>) -> Checked<()> {
    thrown
        .pop()
        .map_or(Ok(()), |value| Err(Thrown::Value(value)))
}

/// The letter that stands for a type in what `names` of `make.js` takes.
fn letter_of(kind: FileType) -> char {
    match kind {
        FileType::RegularFile => 'f',
        FileType::Directory => 'd',
        FileType::Symlink => 'l',
        FileType::Fifo => 'p',
        FileType::Socket => 's',
        FileType::BlockDevice => 'b',
        FileType::CharacterDevice => 'c',
        FileType::Unknown => '?',
    }
}

/// The fields that `make.js` takes for a `stat`, in its order.
fn fields<T>(stat: &Stat, number: impl Fn(i128) -> T) -> [T; 13] {
    let time = |seconds, fraction| number(Nanoseconds::of(seconds, fraction).get());
    [
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
    ]
}

/// From 64 bits it takes one instruction.
#[cold]
fn rounded(number: i128) -> f64 {
    number as f64
}

fn function<Args: JsValuesTupleIntoVec, Return: FromNapiValue>(
    script: &Object,
    name: &str,
) -> Result<FunctionRef<Args, Return>> {
    let function: Function<Args, Return> = script.get_named_property(name)?;
    function.create_ref()
}
