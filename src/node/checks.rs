//! Checks of single values, and how an argument is refused. No number is coerced: napi's own
//! conversions would turn NaN into 0 and −1 into 2³²−1.

use napi::bindgen_prelude::*;
use rustix::fs::OFlags;

use super::make::Make;
use super::thrown::{Checked, Thrown};
use crate::sys::node_api;

/// Says no to an argument, with the error that Node has for it.
pub struct Refusal<'c> {
    /// Where the error is made.
    pub env: &'c Env,
    /// What makes it.
    pub make: &'c Make,
}

impl Refusal<'_> {
    /// It is no `expected`, such as `of type string`.
    pub fn invalid_type<T>(&self, name: &str, expected: &str, value: Unknown<'_>) -> Checked<T> {
        let error = self.make.invalid_type(self.env, name, expected, value)?;
        Err(Thrown::Value(error))
    }

    /// It is not allowed, for a `reason` such as `must be …`.
    pub fn invalid_value<T>(&self, name: &str, reason: &str, value: Unknown<'_>) -> Checked<T> {
        let error = self.make.invalid_value(self.env, name, reason, value)?;
        Err(Thrown::Value(error))
    }

    /// It is not in `range`, such as `>= 0 && <= 7`.
    pub fn out_of_range<T>(&self, name: &str, range: &str, value: Unknown<'_>) -> Checked<T> {
        let error = self.make.out_of_range(self.env, name, range, value)?;
        Err(Thrown::Value(error))
    }
}

/// A whole number from `min` to `max`.
pub fn in_range(
    refusal: &Refusal<'_>,
    name: &str,
    value: Unknown<'_>,
    min: f64,
    max: f64,
) -> Checked<f64> {
    integer(
        refusal,
        name,
        value,
        &format!(">= {} && <= {}", min as i64, max as i64),
        min,
        max,
    )
}

/// A whole number from `min` to `max`; an error says that it has to be in `range`.
pub fn integer(
    refusal: &Refusal<'_>,
    name: &str,
    value: Unknown<'_>,
    range: &str,
    min: f64,
    max: f64,
) -> Checked<f64> {
    let Ok(number) = f64::from_unknown(value) else {
        return refusal.invalid_type(name, "of type number", value);
    };
    let number = whole(refusal, name, number, value)?;
    if number < min || number > max {
        return refusal.out_of_range(name, range, value);
    }
    Ok(number)
}

/// The `number` that `value` is, if it is whole.
pub fn whole(refusal: &Refusal<'_>, name: &str, number: f64, value: Unknown<'_>) -> Checked<f64> {
    // That of NaN and of infinity is NaN.
    if number.fract() != 0.0 {
        return refusal.out_of_range(name, "an integer", value);
    }
    Ok(number)
}

/// How a file is opened: one of the words of `fs.open`, or flags of open(2).
pub fn open_flags(refusal: &Refusal<'_>, name: &str, value: Unknown<'_>) -> Checked<OFlags> {
    if value.get_type()? == ValueType::Number {
        let flags = in_range(refusal, name, value, 0.0, f64::from(i32::MAX))?;
        return Ok(OFlags::from_bits_retain(flags as u32));
    }
    let made = OFlags::CREATE | OFlags::TRUNC;
    let appended = OFlags::CREATE | OFlags::APPEND;
    one_of(refusal, name, "is invalid", value, |word| {
        Some(match word {
            "r" => OFlags::RDONLY,
            "rs" | "sr" => OFlags::RDONLY | OFlags::SYNC,
            "r+" => OFlags::RDWR,
            "rs+" | "sr+" => OFlags::RDWR | OFlags::SYNC,
            "w" => OFlags::WRONLY | made,
            "wx" | "xw" => OFlags::WRONLY | made | OFlags::EXCL,
            "w+" => OFlags::RDWR | made,
            "wx+" | "xw+" => OFlags::RDWR | made | OFlags::EXCL,
            "a" => OFlags::WRONLY | appended,
            "ax" | "xa" => OFlags::WRONLY | appended | OFlags::EXCL,
            "as" | "sa" => OFlags::WRONLY | appended | OFlags::SYNC,
            "a+" => OFlags::RDWR | appended,
            "ax+" | "xa+" => OFlags::RDWR | appended | OFlags::EXCL,
            "as+" | "sa+" => OFlags::RDWR | appended | OFlags::SYNC,
            _ => return None,
        })
    })
}

/// The meaning of an option that is one of several words.
pub fn one_of<T>(
    refusal: &Refusal<'_>,
    name: &str,
    reason: &str,
    value: Unknown<'_>,
    meaning: impl FnOnce(&str) -> Option<T>,
) -> Checked<T> {
    if value.get_type()? != ValueType::String {
        return refusal.invalid_type(name, "of type string", value);
    }
    // What is cut is longer than any word.
    const LONGEST: usize = 64;
    let room = |length: usize| Checked::Ok(Vec::with_capacity(length.min(LONGEST)));
    let word = node_api::string_bytes(refusal.env, &value, room)?.unwrap_or_default();
    match meaning(&String::from_utf8_lossy(&word)) {
        Some(meant) => Ok(meant),
        None => refusal.invalid_value(name, reason, value),
    }
}
