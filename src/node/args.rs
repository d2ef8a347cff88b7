//! The arguments of a call, each checked before anything is touched. No number is coerced: napi's
//! own conversions would turn NaN into 0 and −1 into 2³²−1.

use napi::JsString;
use napi::bindgen_prelude::*;
use rustix::fs::{Access, Gid, Mode, Uid};

use super::make::Make;
use super::thrown::{Checked, Thrown};
use crate::ops::metadata::{Nanoseconds, Owner};
use crate::path::UserPath;
use crate::policy::{Allowed, Policy, Symlinks};

/// The largest integer below which a number is exact: `Number.MAX_SAFE_INTEGER`.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

/// The options of `stat` and `lstat`.
#[derive(Clone, Copy)]
pub struct StatOptions {
    /// Whether every field is to be an exact bigint.
    pub bigint: bool,
    /// Whether nothing there is an error, and not `undefined`.
    pub throw_if_no_entry: bool,
}

/// How a name that comes out is told.
#[derive(Clone, Copy)]
pub enum Encoding {
    /// As a string; what is not UTF-8 in it shows as U+FFFD.
    Utf8,
    /// As a `Buffer`, byte for byte.
    Buffer,
}

/// The values that a JavaScript caller passed.
pub struct Args<'c> {
    call: &'c FunctionCallContext<'c>,
    refusal: Refusal<'c>,
}

impl<'c> Args<'c> {
    /// The arguments of `call`.
    pub fn new(call: &'c FunctionCallContext<'c>, make: &'c Make) -> Self {
        let refusal = Refusal {
            env: call.env,
            make,
        };
        Self { call, refusal }
    }

    /// A path: a string or a `Buffer`.
    pub fn path(&self, index: usize, name: &'static str) -> Checked<UserPath> {
        let value = self.value(index)?;
        let given = match value.get_type()? {
            ValueType::String => Either3::A(self.call.get(index)?),
            ValueType::Object if value.is_typedarray()? => self.call.get(index)?,
            _ => Either3::C(value),
        };
        path(&self.refusal, name, given)
    }

    /// A boolean, by default false.
    pub fn flag(&self, index: usize, name: &'static str) -> Checked<bool> {
        let value = self.value(index)?;
        match value.get_type()? {
            ValueType::Undefined | ValueType::Null => Ok(false),
            ValueType::Boolean => Ok(self.call.get(index)?),
            _ => self.refusal.invalid_type(name, "of type boolean", value),
        }
    }

    /// The mode of a file that is made: permission bits, `default` where none are given.
    pub fn mode_or(&self, index: usize, name: &'static str, default: u32) -> Checked<Mode> {
        match self.value(index)?.get_type()? {
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
            ValueType::BigInt => match self.call.get::<BigInt>(index)?.get_i128() {
                (ns, true) => Some(ns),
                (_, false) => None,
            },
            ValueType::Number => Some(self.whole_number(index, name)? as i128),
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
            bigint: self.option_flag(&options, "bigint", "options.bigint", false)?,
            throw_if_no_entry: self.option_flag(
                &options,
                "throwIfNoEntry",
                "options.throwIfNoEntry",
                true,
            )?,
        })
    }

    /// The options at `index`: an object, or nothing.
    fn options(&self, index: usize) -> Checked<Option<Object<'_>>> {
        let value = self.value(index)?;
        match value.get_type()? {
            ValueType::Undefined | ValueType::Null => Ok(None),
            ValueType::Object => Ok(Some(self.call.get(index)?)),
            _ => self
                .refusal
                .invalid_type("options", "of type object", value),
        }
    }

    /// The option `key`, a boolean, that an error calls `name`.
    fn option_flag(
        &self,
        options: &Option<Object<'_>>,
        key: &str,
        name: &'static str,
        default: bool,
    ) -> Checked<bool> {
        let Some(options) = options else {
            return Ok(default);
        };
        let value: Unknown = options.get_named_property_unchecked(key)?;
        match value.get_type()? {
            ValueType::Undefined | ValueType::Null => Ok(default),
            ValueType::Boolean => Ok(value.coerce_to_bool()?),
            _ => self.refusal.invalid_type(name, "of type boolean", value),
        }
    }

    /// What access(2) is asked, by default whether something is there.
    pub fn access(&self, index: usize, name: &'static str) -> Checked<Access> {
        match self.value(index)?.get_type()? {
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
    pub fn encoding(&self, index: usize) -> Checked<Encoding> {
        let mut value = self.value(index)?;
        if value.get_type()? == ValueType::Object {
            let options: Object = self.call.get(index)?;
            value = options.get_named_property_unchecked("encoding")?;
        }
        let reason = "must be one of: 'utf8', 'buffer'";
        match value.get_type()? {
            ValueType::Undefined | ValueType::Null => Ok(Encoding::Utf8),
            _ => one_of(
                &self.refusal,
                "encoding",
                reason,
                value,
                |word| match word {
                    "utf8" | "utf-8" => Some(Encoding::Utf8),
                    "buffer" => Some(Encoding::Buffer),
                    _ => None,
                },
            ),
        }
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
        let value = self.value(index)?;
        if value.get_type()? != ValueType::Number {
            return self.refusal.invalid_type(name, "of type number", value);
        }
        let number = self.whole_number(index, name)?;
        if number < min || number > max {
            return self.refusal.out_of_range(name, range, value);
        }
        Ok(number)
    }

    /// The number at `index`, which is one.
    fn whole_number(&self, index: usize, name: &'static str) -> Checked<f64> {
        let number: f64 = self.call.get(index)?;
        // That of NaN and of infinity is NaN.
        if number.fract() != 0.0 {
            return self
                .refusal
                .out_of_range(name, "an integer", self.value(index)?);
        }
        Ok(number)
    }

    fn value(&self, index: usize) -> Checked<Unknown<'_>> {
        if index < self.call.length() {
            return Ok(self.call.get(index)?);
        }
        Ok(().into_unknown(self.call.env)?)
    }
}

/// A path argument as it comes: what is neither a string nor bytes is refused.
pub type GivenPath<'c> = Either3<JsString<'c>, Uint8ArraySlice<'c>, Unknown<'c>>;

/// The path that an argument called `name` holds.
pub fn path(refusal: &Refusal<'_>, name: &'static str, given: GivenPath<'_>) -> Checked<UserPath> {
    let (bytes, value) = match given {
        Either3::A(text) => (
            string_bytes(refusal, name, text)?,
            text.into_unknown(refusal.env)?,
        ),
        Either3::B(bytes) => (bytes.to_vec(), bytes.into_unknown(refusal.env)?),
        Either3::C(value) => {
            return refusal.invalid_type(name, "of type string or an instance of Buffer", value);
        }
    };
    match UserPath::new(bytes) {
        Ok(path) => Ok(path),
        Err(_) => {
            refusal.invalid_value(name, "must be a string or Buffer without null bytes", value)
        }
    }
}

/// The bytes of a string. A lone surrogate has none: N-API would put U+FFFD in its place, which is
/// the name of another file.
fn string_bytes(refusal: &Refusal<'_>, name: &'static str, text: JsString) -> Checked<Vec<u8>> {
    let bytes = text.into_utf8()?.as_str()?.to_owned();
    if bytes.contains(char::REPLACEMENT_CHARACTER) {
        let units = text.into_utf16()?;
        if char::decode_utf16(units.iter().copied()).any(|unit| unit.is_err()) {
            let value = text.into_unknown(refusal.env)?;
            let reason = "must be a string without lone surrogates";
            return refusal.invalid_value(name, reason, value);
        }
    }
    Ok(bytes.into_bytes())
}

/// What a root is to allow, by the options that its constructor got. What is misspelt is refused: it
/// must not silently be the weaker policy.
pub fn policy(refusal: &Refusal<'_>, given: Unknown<'_>) -> Checked<Policy> {
    let mut policy = Policy::default();
    match given.get_type()? {
        ValueType::Undefined | ValueType::Null => return Ok(policy),
        ValueType::Object => {}
        _ => return refusal.invalid_type("options", "of type object", given),
    }
    let options = given.coerce_to_object()?;
    for key in Object::keys(&options)? {
        let value: Unknown = options.get_named_property_unchecked(&key)?;
        match key.as_str() {
            _ if value.get_type()? == ValueType::Undefined => {}
            "symlinks" => {
                policy.symlinks = one_of(
                    refusal,
                    "options.symlinks",
                    "must be one of: 'reject', 'beneath', 'in-root'",
                    value,
                    |word| match word {
                        "reject" => Some(Symlinks::Reject),
                        "beneath" => Some(Symlinks::Beneath),
                        "in-root" => Some(Symlinks::InRoot),
                        _ => None,
                    },
                )?;
            }
            "mounts" => policy.mounts = allowed(refusal, "options.mounts", value)?,
            "hardlinks" => policy.hardlinks = allowed(refusal, "options.hardlinks", value)?,
            "readonly" => {
                policy.readonly = match value.get_type()? {
                    ValueType::Boolean => value.coerce_to_bool()?,
                    _ => {
                        return refusal.invalid_type("options.readonly", "of type boolean", value);
                    }
                };
            }
            _ => {
                let reason = "has a key that is none of: symlinks, mounts, hardlinks, readonly";
                let key = refusal.env.create_string(&key)?.into_unknown(refusal.env)?;
                return refusal.invalid_value("options", reason, key);
            }
        }
    }
    Ok(policy)
}

fn allowed(refusal: &Refusal<'_>, name: &'static str, value: Unknown<'_>) -> Checked<Allowed> {
    let reason = "must be one of: 'allow', 'reject'";
    one_of(refusal, name, reason, value, |word| match word {
        "allow" => Some(Allowed::Yes),
        "reject" => Some(Allowed::No),
        _ => None,
    })
}

/// The meaning of an option that is one of several words.
fn one_of<T>(
    refusal: &Refusal<'_>,
    name: &'static str,
    reason: &'static str,
    value: Unknown<'_>,
    meaning: impl FnOnce(&str) -> Option<T>,
) -> Checked<T> {
    if value.get_type()? != ValueType::String {
        return refusal.invalid_type(name, "of type string", value);
    }
    let word = value.coerce_to_string()?.into_utf8()?;
    match meaning(word.as_str()?) {
        Some(meant) => Ok(meant),
        None => refusal.invalid_value(name, reason, value),
    }
}

/// Says no to an argument, with the error that Node has for it.
pub struct Refusal<'c> {
    /// Where the error is made.
    pub env: &'c Env,
    /// What makes it.
    pub make: &'c Make,
}

impl Refusal<'_> {
    fn invalid_type<T>(
        &self,
        name: &'static str,
        expected: &'static str,
        value: Unknown<'_>,
    ) -> Checked<T> {
        let error = self.make.invalid_type(self.env, name, expected, value)?;
        Err(Thrown::Value(error))
    }

    fn invalid_value<T>(
        &self,
        name: &'static str,
        reason: &'static str,
        value: Unknown<'_>,
    ) -> Checked<T> {
        let error = self.make.invalid_value(self.env, name, reason, value)?;
        Err(Thrown::Value(error))
    }

    fn out_of_range<T>(
        &self,
        name: &'static str,
        range: &'static str,
        value: Unknown<'_>,
    ) -> Checked<T> {
        let error = self.make.out_of_range(self.env, name, range, value)?;
        Err(Thrown::Value(error))
    }
}
