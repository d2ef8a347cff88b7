//! The arguments of a call, each checked before anything is touched.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use napi::JsValue;
use napi::bindgen_prelude::*;
use rustix::fs::{Access, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::checks::{Refusal, integer, open_flags, whole};
use super::make::{Encoding, Make};
use super::options::Options;
use super::thrown::{Checked, Thrown};
use crate::error;
use crate::memory::{copy_of, with_room};
use crate::ops::metadata::{Nanoseconds, Owner};
use crate::path::{LONGEST_SPELLING, UserPath};
use crate::policy::{Allowed, Policy, Symlinks};
use crate::sys::node_api::{self, Call};
use crate::watch::Watch;

/// The largest integer below which a number is exact: `Number.MAX_SAFE_INTEGER`.
pub const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

/// The options of `stat` and `lstat`.
#[derive(Clone, Copy)]
pub struct StatOptions {
    /// Whether every field is to be an exact bigint.
    pub bigint: bool,
    /// Whether nothing there is an error, and not `undefined`.
    pub throw_if_no_entry: bool,
}

/// The values that a JavaScript caller passed.
pub struct Args<'c> {
    call: &'c Call<'c>,
    refusal: Refusal<'c>,
    ending: &'c Arc<AtomicBool>,
    policy: Policy,
    watched: OnceCell<Watched<'c>>,
    is_about_a_tree: Cell<bool>,
}

/// What long work shares with those who wait for it, and the options that have its `signal` and its
/// `onProgress`, both checked.
pub type Watched<'c> = (Arc<Watch>, Unknown<'c>);

impl<'c> Args<'c> {
    /// The number of the root comes first.
    const BEHIND_ROOT: usize = 1;

    /// The arguments of `call`, on a root with `policy`; long work stops when `ending` becomes true.
    pub fn new(
        call: &'c Call<'c>,
        make: &'c Make,
        ending: &'c Arc<AtomicBool>,
        policy: Policy,
    ) -> Self {
        let refusal = Refusal {
            env: call.env,
            make,
        };
        Self {
            call,
            refusal,
            ending,
            policy,
            watched: OnceCell::new(),
            is_about_a_tree: Cell::new(false),
        }
    }

    /// A path: a string or a `Buffer`.
    pub fn path(&self, index: usize, name: &'static str) -> Checked<UserPath> {
        path(&self.refusal, name, self.value(index)?)
    }

    /// A boolean, by default false.
    pub fn flag(&self, index: usize, name: &'static str) -> Checked<bool> {
        match self.kind(index)? {
            ValueType::Undefined | ValueType::Null => Ok(false),
            ValueType::Boolean => self.get(index),
            _ => {
                let value = self.value(index)?;
                self.refusal.invalid_type(name, "of type boolean", value)
            }
        }
    }

    /// The mode of a file that is made: permission bits, `default` where none are given.
    pub fn mode_or(&self, index: usize, name: &'static str, default: u32) -> Checked<Mode> {
        match self.kind(index)? {
            ValueType::Undefined | ValueType::Null => Ok(Mode::from_raw_mode(default)),
            _ => self.mode(index, name),
        }
    }

    /// The mode of a file: the twelve permission bits of it count, as in chmod(2).
    pub fn mode(&self, index: usize, name: &'static str) -> Checked<Mode> {
        let range = ">= 0 && <= 4294967295";
        let number = self.integer(index, name, range, 0.0, f64::from(u32::MAX))?;
        Ok(Mode::from_raw_mode(number as u32 & 0o7777))
    }

    /// The length of a file, in bytes.
    pub fn length(&self, index: usize, name: &'static str) -> Checked<u64> {
        let range = ">= 0 && <= 9007199254740991";
        Ok(self.integer(index, name, range, 0.0, MAX_SAFE_INTEGER)? as u64)
    }

    /// A time in nanoseconds since the epoch: a bigint, or a number, which cannot tell one
    /// nanosecond of today from the next and counts as it is.
    pub fn nanoseconds(&self, index: usize, name: &'static str) -> Checked<Nanoseconds> {
        let range = ">= -(2n ** 63n) * 10n ** 9n && < 2n ** 63n * 10n ** 9n";
        let value = self.value(index)?;
        let ns = match value.get_type()? {
            ValueType::BigInt => match self.get::<BigInt>(index)?.get_i128() {
                (ns, true) => Some(ns),
                (_, false) => None,
            },
            ValueType::Number => {
                let number = self.get(index)?;
                Some(whole(&self.refusal, name, number, value)? as i128)
            }
            _ => {
                return self
                    .refusal
                    .invalid_type(name, "of type number or bigint", value);
            }
        };
        match ns.and_then(Nanoseconds::new) {
            Some(time) => Ok(time),
            None => self.refusal.out_of_range(name, range, value),
        }
    }

    /// The options of `stat`, which may be left out.
    pub fn stat_options(&self, index: usize) -> Checked<StatOptions> {
        let options = self.options(index)?;
        Ok(StatOptions {
            bigint: options.flag("bigint", false)?,
            throw_if_no_entry: options.flag("throwIfNoEntry", true)?,
        })
    }

    /// The options at `index`: an object, or nothing.
    pub fn options(&self, index: usize) -> Checked<Options<'_>> {
        self.bag(index, false)
    }

    /// The options at `index`, for which an encoding may stand by itself.
    pub fn options_or_encoding(&self, index: usize) -> Checked<Options<'_>> {
        self.bag(index, true)
    }

    /// What follows and stops long work, by the options at `index`.
    pub fn watch(&self, index: usize) -> Checked<Arc<Watch>> {
        let watch = Arc::new(Watch::new(Arc::clone(self.ending)));
        if self.kind(index)? == ValueType::Object {
            let options: Unknown = self.get(index)?;
            self.refusal.make.watchable(self.call.env, options)?;
            // Of an earlier one there is none: a method has one last argument.
            let _ = self.watched.set((Arc::clone(&watch), options));
        }
        Ok(watch)
    }

    /// As [`Args::watch`], for work on whole trees where `is_tree`.
    pub fn watch_tree(&self, index: usize, is_tree: bool) -> Checked<Arc<Watch>> {
        self.is_about_a_tree.set(is_tree);
        self.watch(index)
    }

    /// Whether this call is about a whole tree, and may take long.
    pub fn is_about_a_tree(&self) -> bool {
        self.is_about_a_tree.get()
    }

    /// What is to follow and stop this call, if it is long work.
    pub fn watched(&self) -> Option<&Watched<'c>> {
        self.watched.get()
    }

    /// How a file is opened, by default for reading.
    pub fn open_flags(&self, index: usize, name: &'static str) -> Checked<OFlags> {
        match self.kind(index)? {
            ValueType::Undefined | ValueType::Null => Ok(OFlags::RDONLY),
            _ => open_flags(&self.refusal, name, self.value(index)?),
        }
    }

    /// What is to be written: a string in an encoding, or the bytes of a view.
    pub fn data(&self, index: usize, name: &'static str, encoding: &Encoding) -> Checked<Vec<u8>> {
        let value = self.value(index)?;
        match (value.get_type()?, encoding) {
            (ValueType::String, Encoding::Other(encoding)) => {
                let bytes = self.refusal.make.encode(self.call.env, value, encoding)?;
                copy_of(&bytes).map_err(not_written)
            }
            (ValueType::String, _) => {
                let room = |length| with_room(length).map_err(not_written);
                let bytes = node_api::string_bytes(self.call.env, &value, room)?;
                Ok(bytes.unwrap_or_default())
            }
            (ValueType::Object, _) if value.is_buffer()? => {
                copy_of(&self.get::<BufferSlice>(index)?).map_err(not_written)
            }
            (ValueType::Object, _) if value.is_typedarray()? || value.is_dataview()? => {
                let bytes = self.refusal.make.bytes_of(self.call.env, value)?;
                copy_of(&bytes).map_err(not_written)
            }
            _ => {
                let expected = "of type string or an instance of Buffer, TypedArray, or DataView";
                self.refusal.invalid_type(name, expected, value)
            }
        }
    }

    /// Names relative to the top of a tree, as bytes; `None` where nothing is passed.
    pub fn names(&self, index: usize) -> Checked<Option<Vec<Vec<u8>>>> {
        if self.kind(index)? == ValueType::Undefined {
            return Ok(None);
        }
        let names: Vec<BufferSlice> = self.get(index)?;
        Ok(Some(names.iter().map(|name| name.to_vec()).collect()))
    }

    /// What a root beneath this one is to allow, by the options at `index`: nothing that this refuses.
    pub fn policy(&self, index: usize) -> Checked<Policy> {
        let value = self.value(index)?;
        let policy = policy(&self.refusal, value, self.policy)?;
        match policy.is_within(self.policy) {
            true => Ok(policy),
            false => {
                let reason = "cannot allow what the root above refuses";
                self.refusal.invalid_value("options", reason, value)
            }
        }
    }

    /// What access(2) is asked, by default whether something is there.
    pub fn access(&self, index: usize, name: &'static str) -> Checked<Access> {
        match self.kind(index)? {
            ValueType::Undefined | ValueType::Null => Ok(Access::EXISTS),
            _ => {
                let bits = self.integer(index, name, ">= 0 && <= 7", 0.0, 7.0)?;
                Ok(Access::from_bits_truncate(bits as u32))
            }
        }
    }

    /// A user and a group, at `index` and behind it; −1 leaves what is there.
    pub fn owner(&self, index: usize) -> Checked<Owner> {
        let range = ">= -1 && <= 4294967295";
        let id = |index, name| -> Checked<Option<u32>> {
            let id = self.integer(index, name, range, -1.0, f64::from(u32::MAX))?;
            // The kernel takes 2³²−1 for −1: chown(2).
            Ok((id >= 0.0 && id < f64::from(u32::MAX)).then_some(id as u32))
        };
        Ok(Owner {
            user: id(index, "uid")?.map(Uid::from_raw),
            group: id(index + 1, "gid")?.map(Gid::from_raw),
        })
    }

    /// How the names that come out are told: by default as strings.
    pub fn name_encoding(&self, index: usize) -> Checked<Encoding> {
        self.options_or_encoding(index)?.name_encoding()
    }

    /// Refuses the value of an argument, for a reason such as `cannot be …`.
    pub fn refuse<T>(&self, index: usize, name: &'static str, reason: &'static str) -> Checked<T> {
        self.refusal.invalid_value(name, reason, self.value(index)?)
    }

    fn integer(
        &self,
        index: usize,
        name: &'static str,
        range: &'static str,
        min: f64,
        max: f64,
    ) -> Checked<f64> {
        integer(&self.refusal, name, self.value(index)?, range, min, max)
    }

    fn bag(&self, index: usize, word: bool) -> Checked<Options<'_>> {
        match self.is_passed(index) {
            true => Options::new(&self.refusal, self.value(index)?, word),
            false => Ok(Options::none(&self.refusal)),
        }
    }

    /// The type of an argument. That of one that was not passed is known without asking.
    fn kind(&self, index: usize) -> Checked<ValueType> {
        match self.is_passed(index) {
            true => Ok(self.value(index)?.get_type()?),
            false => Ok(ValueType::Undefined),
        }
    }

    fn is_passed(&self, index: usize) -> bool {
        Self::BEHIND_ROOT + index < self.call.count
    }

    fn value(&self, index: usize) -> Checked<Unknown<'_>> {
        self.get(index)
    }

    fn get<T: FromNapiValue>(&self, index: usize) -> Checked<T> {
        Ok(self.call.get(Self::BEHIND_ROOT + index)?)
    }
}

/// The failure of a call that has no memory for what it is to write.
fn not_written(errno: Errno) -> Thrown {
    Thrown::Failed(error::Error {
        errno: errno.raw_os_error(),
        reason: None,
        syscall: "write",
        path: None,
        dest: None,
        entries: Vec::new(),
    })
}

/// The path that the argument `given`, called `name`, holds: a string or a `Buffer`.
pub fn path(refusal: &Refusal<'_>, name: &'static str, given: Unknown<'_>) -> Checked<UserPath> {
    let bytes = match string_bytes(refusal, name, given)? {
        Some(bytes) => bytes,
        None if given.is_typedarray()? => match Uint8ArraySlice::from_unknown(given) {
            Ok(bytes) => bytes.get(..COPIED).unwrap_or(&bytes).to_vec(),
            Err(_) => return refusal.invalid_type(name, PATH_TYPES, given),
        },
        None => return refusal.invalid_type(name, PATH_TYPES, given),
    };
    match UserPath::new(bytes) {
        Ok(path) => Ok(path),
        Err(_) => {
            refusal.invalid_value(name, "must be a string or Buffer without null bytes", given)
        }
    }
}

/// How many bytes of a path are copied at the most. What is cut, between two characters and for a NUL behind
/// it, is too long still.
const COPIED: usize = LONGEST_SPELLING + 8;

const PATH_TYPES: &str = "of type string or an instance of Buffer";

/// U+FFFD
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// The bytes of a string, if `value` is one. A lone surrogate has none: N-API would put U+FFFD in its
/// place, which is the name of another file.
fn string_bytes(
    refusal: &Refusal<'_>,
    name: &'static str,
    value: Unknown<'_>,
) -> Checked<Option<Vec<u8>>> {
    let room = |length: usize| Checked::Ok(Vec::with_capacity(length.min(COPIED)));
    let Some(bytes) = node_api::string_bytes(refusal.env, &value, room)? else {
        return Ok(None);
    };
    if bytes.len() > LONGEST_SPELLING {
        return Ok(Some(bytes));
    }
    let may_have_one = bytes.contains(&REPLACEMENT[0]);
    if may_have_one && bytes.windows(3).any(|three| three == REPLACEMENT) {
        let units = value.coerce_to_string()?.into_utf16()?;
        if char::decode_utf16(units.iter().copied()).any(|unit| unit.is_err()) {
            let reason = "must be a string without lone surrogates";
            return refusal.invalid_value(name, reason, value);
        }
    }
    Ok(Some(bytes))
}

/// What a root is to allow, by the options that were passed; what they do not mention is as in `base`. What is misspelt is refused: it
/// must not silently be the weaker policy.
pub fn policy(refusal: &Refusal<'_>, given: Unknown<'_>, base: Policy) -> Checked<Policy> {
    let mut policy = base;
    match given.get_type()? {
        ValueType::Undefined | ValueType::Null => return Ok(policy),
        ValueType::Object => {}
        _ => return refusal.invalid_type("options", "of type object", given),
    }
    let options = given.coerce_to_object()?;
    const KNOWN: [&str; 4] = ["symlinks", "mounts", "hardlinks", "readonly"];
    for key in Object::keys(&options)? {
        if !KNOWN.contains(&key.as_str()) {
            let reason = "has a key that is none of: symlinks, mounts, hardlinks, readonly";
            let key = refusal.env.create_string(&key)?.into_unknown(refusal.env)?;
            return refusal.invalid_value("options", reason, key);
        }
    }
    for key in KNOWN {
        let value: Unknown = options.get_named_property_unchecked(key)?;
        if value.get_type()? == ValueType::Null {
            let expected = match key {
                "readonly" => "of type boolean",
                _ => "of type string",
            };
            return refusal.invalid_type(&format!("options.{key}"), expected, value);
        }
    }
    let options = Options::new(refusal, given, false)?;
    let reason = "must be one of: 'reject', 'beneath', 'in-root'";
    policy.symlinks = options.word("symlinks", policy.symlinks, reason, |word| match word {
        "reject" => Some(Symlinks::Reject),
        "beneath" => Some(Symlinks::Beneath),
        "in-root" => Some(Symlinks::InRoot),
        _ => None,
    })?;
    let reason = "must be one of: 'allow', 'reject'";
    let allowed = |word: &str| match word {
        "allow" => Some(Allowed::Yes),
        "reject" => Some(Allowed::No),
        _ => None,
    };
    policy.mounts = options.word("mounts", policy.mounts, reason, allowed)?;
    policy.hardlinks = options.word("hardlinks", policy.hardlinks, reason, allowed)?;
    policy.readonly = options.flag("readonly", policy.readonly)?;
    Ok(policy)
}
