//! The values and errors that are made by the scripts in `make.js` and `class.js`, one function
//! each.

use std::cell::OnceCell;
use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;

use napi::bindgen_prelude::*;
use napi::{JsValue, sys};
use rustix::fs::{FileType, Stat};

use super::roots::{CLASS, Roots};
use super::thrown::{Checked, Thrown};
use crate::error::{self, Reason};
use crate::ops::directory::Names;
use crate::ops::identity::Identity;
use crate::ops::metadata::Nanoseconds;
use crate::ops::tree::walk::{self, Cut};
use crate::resolve::Root;
use crate::sys::node_api::{self, Call, SharedNumbers, value};
use crate::watch::Progress;

/// How text that comes out is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As a string; what is not UTF-8 in it shows as U+FFFD.
    Utf8,
    /// As a `Buffer`, byte for byte.
    Buffer,
    /// As a string, in an encoding that Node knows.
    Other(String),
}

/// A function of a script: it takes and gives back values.
type Script = FunctionRef<Arguments, Unknown<'static>>;

/// What a script is called with. One type for all of them: each would be compiled again and again.
struct Arguments(Vec<sys::napi_value>);

impl JsValuesTupleIntoVec for Arguments {
    fn into_vec(self, _: sys::napi_env) -> Result<Vec<sys::napi_value>> {
        Ok(self.0)
    }
}

/// The functions of the scripts, in the environment that they belong to.
pub struct Make {
    /// The roots there.
    pub roots: Roots,
    /// What `class.js` tells the number of a root by, once it has made the class.
    number_of: OnceCell<Script>,
    stats: SharedNumbers<14>,
    big_stats: Script,
    system_error: Script,
    invalid_type: Script,
    invalid_value: Script,
    out_of_range: Script,
    invalid_this: Script,
    running: Script,
    progress: Script,
    too_large: Script,
    watchable: Script,
    is_encoding: Script,
    encode: Script,
    decode: Script,
    bytes_of: Script,
    names: Script,
    identity: Script,
    tour: Script,
    part: Script,
}

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
            system_error: function(&script, "systemError")?,
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
        let class: Function<Arguments, Object> = env.run_script(include_str!("class.js"))?;
        let made = class.call(Arguments(vec![script.raw(), natives.raw()]))?;
        // It is called once.
        let _ = self.number_of.set(function(&made, "numberOf")?);
        made.get_named_property_unchecked(CLASS)
    }

    /// The root that `value` is, if it is one.
    pub fn root_of(&self, env: &Env, value: Unknown<'_>) -> Result<Option<Arc<Root>>> {
        let Some(number_of) = self.number_of.get() else {
            return Ok(None);
        };
        let number = Option::<u32>::from_unknown(call(env, number_of, &[value])?)?;
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
        step: Unknown<'_>,
        close: Unknown<'_>,
    ) -> Result<Unknown<'static>> {
        call(env, &self.tour, &[step, close])
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
        let part = [names, value(env, truncated)?, value(env, part.is_last)?];
        call(env, &self.part, &part)
    }

    /// Long work that was started: its promise, what stops it, what tells how far it is.
    pub fn running(
        &self,
        env: &Env,
        promise: Unknown<'_>,
        stop: Unknown<'_>,
        seen: Unknown<'_>,
    ) -> Result<Unknown<'static>> {
        call(env, &self.running, &[promise, stop, seen])
    }

    /// Tells the `onProgress` of long work how far it has come.
    pub fn progress(&self, env: &Env, options: Unknown<'_>, progress: Progress) -> Checked<()> {
        let Progress { entries, bytes } = progress;
        let [entries, bytes] = [entries, bytes].map(|n| value(env, n as f64));
        nothing_thrown(call(env, &self.progress, &[options, entries?, bytes?])?)
    }

    /// `{ dev, ino, mountId }`, in bigints.
    pub fn identity(&self, env: &Env, identity: Identity) -> Result<Unknown<'static>> {
        let Identity { dev, ino, mount_id } = identity;
        let [dev, ino, mount_id] = [dev, ino, mount_id].map(|n| value(env, BigInt::from(n)));
        call(env, &self.identity, &[dev?, ino?, mount_id?])
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
        self.stats.set(1, &fields);
    }

    /// Tells the scripts what a native call comes to.
    pub fn share_outcome(&self, outcome: Outcome) {
        self.stats.set(0, &[f64::from(outcome as u8)]);
    }

    /// The same as bigints, every field exact.
    pub fn big_stats(&self, env: &Env, stat: &Stat) -> Result<Unknown<'static>> {
        let fields = fields(stat, BigInt::from).into_iter().collect::<Vec<_>>();
        call(env, &self.big_stats, &[value(env, fields)?])
    }

    /// What is given back for a failed operation, and what that is: the parts of an error of the system, or the
    /// `Error` of a file that is too large, which is none of these.
    pub fn failure(&self, env: &Env, error: &error::Error) -> Result<(Outcome, Unknown<'static>)> {
        let Some(Reason::TooLarge { size, most }) = error.reason else {
            return Ok((Outcome::Failed, value(env, parts(error))?));
        };
        let [size, most] = [size, most].map(|bytes| value(env, bytes as f64));
        let error = call(env, &self.too_large, &[size?, most?])?;
        Ok((Outcome::Thrown, error))
    }

    /// The `Error` of a failed operation.
    pub fn error(&self, env: &Env, error: &error::Error) -> Result<Unknown<'static>> {
        match self.failure(env, error)? {
            (Outcome::Failed, parts) => call(env, &self.system_error, &[parts]),
            (_, error) => Ok(error),
        }
    }

    /// `TypeError`, `ERR_INVALID_THIS`.
    pub fn invalid_this(&self, env: &Env) -> Result<Unknown<'static>> {
        call(env, &self.invalid_this, &[value(env, CLASS)?])
    }

    /// `TypeError`, `ERR_INVALID_ARG_TYPE`: `expected` is such as `of type string`.
    pub fn invalid_type(
        &self,
        env: &Env,
        name: &str,
        expected: &str,
        given: Unknown<'_>,
    ) -> Result<Unknown<'static>> {
        complaint(env, &self.invalid_type, name, expected, given)
    }

    /// `TypeError`, `ERR_INVALID_ARG_VALUE`: `reason` is such as `must be …`.
    pub fn invalid_value(
        &self,
        env: &Env,
        name: &str,
        reason: &str,
        given: Unknown<'_>,
    ) -> Result<Unknown<'static>> {
        complaint(env, &self.invalid_value, name, reason, given)
    }

    /// `RangeError`, `ERR_OUT_OF_RANGE`: `range` is such as `>= 0 && <= 4294967295`.
    pub fn out_of_range(
        &self,
        env: &Env,
        name: &str,
        range: &str,
        given: Unknown<'_>,
    ) -> Result<Unknown<'static>> {
        complaint(env, &self.out_of_range, name, range, given)
    }

    /// Fails if `options` have a `signal` or an `onProgress` that is none, or a signal that says stop.
    pub fn watchable(&self, env: &Env, options: Unknown<'_>) -> Checked<()> {
        nothing_thrown(call(env, &self.watchable, &[options])?)
    }

    /// Whether Node knows this encoding.
    pub fn is_encoding(&self, env: &Env, encoding: &str) -> Result<bool> {
        bool::from_unknown(call(env, &self.is_encoding, &[value(env, encoding)?])?)
    }

    /// The bytes of the string `text` in an encoding that Node knows.
    pub fn encode(&self, env: &Env, text: Unknown<'_>, encoding: &str) -> Result<Uint8Array> {
        Uint8Array::from_unknown(call(env, &self.encode, &[text, value(env, encoding)?])?)
    }

    /// The string that `bytes` are in an encoding that Node knows.
    fn decode(&self, env: &Env, bytes: Vec<u8>, encoding: &str) -> Result<Unknown<'static>> {
        let bytes = value(env, Buffer::from(bytes))?;
        call(env, &self.decode, &[bytes, value(env, encoding)?])
    }

    /// A name, a path or the content of a file, as a caller wants it told.
    pub fn text(&self, env: &Env, bytes: Vec<u8>, encoding: &Encoding) -> Result<Unknown<'static>> {
        match encoding {
            Encoding::Utf8 if bytes.len() <= SURELY_A_STRING => node_api::string(env, &bytes),
            Encoding::Utf8 => self.decode(env, bytes, "utf8"),
            Encoding::Buffer if bytes.len() <= COPIED => {
                value(env, BufferSlice::copy_from(env, bytes)?)
            }
            Encoding::Buffer => value(env, Buffer::from(bytes)),
            Encoding::Other(encoding) => self.decode(env, bytes, encoding),
        }
    }

    /// The bytes of a typed array or a `DataView`.
    pub fn bytes_of(&self, env: &Env, view: Unknown<'_>) -> Result<Uint8Array> {
        Uint8Array::from_unknown(call(env, &self.bytes_of, &[view])?)
    }

    /// The names in directories, or objects with their types.
    pub fn names(&self, env: &Env, names: Names, encoding: &Encoding) -> Result<Unknown<'static>> {
        let text = |bytes| self.text(env, bytes, encoding);
        let kinds: Vec<u8> = names.kinds.into_iter().map(letter_of).collect();
        let (paths, counts) = names.parents.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
        let paths = paths.into_iter().map(text).collect::<Result<Vec<_>>>()?;
        let names = [
            text(names.names)?,
            node_api::string(env, &kinds)?,
            value(env, paths)?,
            value(env, counts)?,
        ];
        call(env, &self.names, &names)
    }
}

fn function(script: &Object, name: &str) -> Result<Script> {
    let function: Function<Arguments, Unknown<'static>> = script.get_named_property(name)?;
    function.create_ref()
}

fn call(env: &Env, script: &Script, arguments: &[Unknown<'_>]) -> Result<Unknown<'static>> {
    let arguments = arguments.iter().map(JsValue::raw).collect();
    script.borrow_back(env)?.call(Arguments(arguments))
}

/// An error about the value `given` of an argument.
fn complaint(
    env: &Env,
    script: &Script,
    name: &str,
    text: &str,
    given: Unknown<'_>,
) -> Result<Unknown<'static>> {
    call(env, script, &[value(env, name)?, value(env, text)?, given])
}

/// What is no longer than this is copied, in bytes: a Buffer of memory that is ours costs a finalizer.
const COPIED: usize = 64 << 10;

/// V8 makes a string of that many bytes on every platform. Beyond, Node does it, and has an error for what is
/// too long.
const SURELY_A_STRING: usize = 1 << 27;

/// What a script says it would throw, in an array since it may be any value.
fn nothing_thrown(thrown: Unknown<'_>) -> Checked<()> {
    let mut thrown = Vec::<Unknown<'static>>::from_unknown(thrown)?;
    thrown
        .pop()
        .map_or(Ok(()), |value| Err(Thrown::Value(value)))
}

/// What a native call comes to, in the numbers that `class.js` knows.
#[derive(Clone, Copy)]
pub enum Outcome {
    /// What it gives back.
    Answered,
    /// What `stat` found: in the numbers that are shared.
    Stats,
    /// The names in what it gives back.
    Names,
    /// What it gives back is thrown.
    Thrown,
    /// What it gives back are the parts of the error of a system call, which is thrown.
    Failed,
}

/// What `described` of `make.js` makes an error of, as one string.
fn parts(error: &error::Error) -> String {
    let mut parts = error.message();
    // What is written to a string does not fail.
    let _ = write!(
        parts,
        "\0{}\0{}\0{}\0{}",
        -error.errno,
        error.code(),
        error.syscall,
        usize::from(error.path.is_some()) + usize::from(error.dest.is_some()),
    );
    let paths = [&error.path, &error.dest].into_iter().flatten();
    for path in paths.chain(&error.entries) {
        parts.push('\0');
        parts.push_str(&String::from_utf8_lossy(path));
    }
    parts
}

/// The letter that stands for a type in what `names` of `make.js` takes.
fn letter_of(kind: FileType) -> u8 {
    match kind {
        FileType::RegularFile => b'f',
        FileType::Directory => b'd',
        FileType::Symlink => b'l',
        FileType::Fifo => b'p',
        FileType::Socket => b's',
        FileType::BlockDevice => b'b',
        FileType::CharacterDevice => b'c',
        FileType::Unknown => b'?',
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
