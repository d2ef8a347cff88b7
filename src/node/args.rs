//! The arguments of a call, each checked before anything is touched. No number is coerced: napi's
//! own conversions would turn NaN into 0 and −1 into 2³²−1.

use napi::JsString;
use napi::bindgen_prelude::*;
use rustix::fs::Mode;

use super::make::Make;
use super::thrown::{Checked, Thrown};
use crate::ops::metadata::Nanoseconds;
use crate::path::UserPath;

/// The largest integer below which a number is exact: `Number.MAX_SAFE_INTEGER`.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

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

    /// Whether the options, which may be left out, ask for `{ bigint: true }`.
    pub fn wants_bigint(&self, index: usize, name: &'static str) -> Checked<bool> {
        let value = self.value(index)?;
        match value.get_type()? {
            ValueType::Undefined | ValueType::Null => return Ok(false),
            ValueType::Object => {}
            _ => return self.refusal.invalid_type(name, "of type object", value),
        }
        let bigint: Unknown = self
            .call
            .get::<Object>(index)?
            .get_named_property("bigint")?;
        match bigint.get_type()? {
            ValueType::Undefined | ValueType::Null => Ok(false),
            ValueType::Boolean => Ok(bigint.coerce_to_bool()?),
            _ => self
                .refusal
                .invalid_type("options.bigint", "of type boolean", bigint),
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
