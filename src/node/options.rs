//! Option bags: the last argument of a method, an object or nothing. Each option is checked as an
//! argument is; `null` and `undefined` leave it at its default.

use std::sync::Arc;

use napi::bindgen_prelude::*;
use rustix::fs::{Mode, OFlags};

use super::checks::{Refusal, in_range, one_of, open_flags};
use super::make::Encoding;
use super::roots::CLASS;
use super::thrown::Checked;
use crate::ops::copy::Reflink;
use crate::ops::tree::copy_entry::Keep;
use crate::resolve::Root;

/// An option bag.
pub struct Options<'a> {
    refusal: &'a Refusal<'a>,
    object: Option<Object<'a>>,
    /// What came in place of it: an encoding by itself.
    word: Option<Unknown<'a>>,
}

impl<'a> Options<'a> {
    /// What is there when nothing is passed.
    pub fn none(refusal: &'a Refusal<'a>) -> Self {
        Self {
            refusal,
            object: None,
            word: None,
        }
    }

    /// The bag that `value` is; `word`: a string may stand for the option `encoding`.
    pub fn new(refusal: &'a Refusal<'a>, value: Unknown<'a>, word: bool) -> Checked<Self> {
        let (object, word) = match value.get_type()? {
            ValueType::Undefined | ValueType::Null => (None, None),
            ValueType::String if word => (None, Some(value)),
            ValueType::Object => (Some(value.coerce_to_object()?), None),
            _ => {
                let expected = match word {
                    true => "of type string or an instance of Object",
                    false => "of type object",
                };
                return refusal.invalid_type("options", expected, value);
            }
        };
        Ok(Self {
            refusal,
            object,
            word,
        })
    }

    /// The value of `key`, unless it is left at its default.
    fn get(&self, key: &str) -> Checked<Option<Unknown<'a>>> {
        let Some(object) = &self.object else {
            return Ok(None);
        };
        let value: Unknown = object.get_named_property_unchecked(key)?;
        Ok(match value.get_type()? {
            ValueType::Undefined | ValueType::Null => None,
            _ => Some(value),
        })
    }

    /// A boolean.
    pub fn flag(&self, key: &str, default: bool) -> Checked<bool> {
        let Some(value) = self.get(key)? else {
            return Ok(default);
        };
        match value.get_type()? {
            ValueType::Boolean => Ok(value.coerce_to_bool()?),
            _ => self
                .refusal
                .invalid_type(&named(key), "of type boolean", value),
        }
    }

    /// A whole number from 0 to `most`.
    pub fn number(&self, key: &str, most: f64) -> Checked<Option<u64>> {
        let Some(value) = self.get(key)? else {
            return Ok(None);
        };
        in_range(self.refusal, &named(key), value, 0.0, most).map(|number| Some(number as u64))
    }

    /// The mode of a file that is made.
    pub fn mode(&self) -> Checked<Option<Mode>> {
        let mode = self.number("mode", f64::from(u32::MAX))?;
        Ok(mode.map(|mode| Mode::from_raw_mode(mode as u32 & 0o7777)))
    }

    /// How a file is opened.
    pub fn open_flags(&self, default: OFlags) -> Checked<OFlags> {
        match self.get("flag")? {
            Some(value) => open_flags(self.refusal, &named("flag"), value),
            None => Ok(default),
        }
    }

    /// An encoding that Node knows, or `buffer`.
    pub fn encoding(&self, default: Encoding) -> Checked<Encoding> {
        let value = match self.word {
            Some(word) => word,
            None => match self.get("encoding")? {
                Some(value) => value,
                None => return Ok(default),
            },
        };
        let make = self.refusal.make;
        let known = one_of(
            self.refusal,
            "encoding",
            "is invalid encoding",
            value,
            |word| match word {
                "utf8" | "utf-8" => Some(Encoding::Utf8),
                "buffer" => Some(Encoding::Buffer),
                other => make
                    .is_encoding(self.refusal.env, other)
                    .unwrap_or(false)
                    .then(|| Encoding::Other(other.to_owned())),
            },
        )?;
        Ok(known)
    }

    /// An encoding of names: as a string, or byte for byte.
    pub fn name_encoding(&self) -> Checked<Encoding> {
        match self.encoding(Encoding::Utf8)? {
            Encoding::Other(_) => self.refuse_encoding("must be one of: 'utf8', 'utf-8', 'buffer'"),
            known => Ok(known),
        }
    }

    /// The encoding of a string that is written.
    pub fn text_encoding(&self) -> Checked<Encoding> {
        match self.encoding(Encoding::Utf8)? {
            Encoding::Buffer => self.refuse_encoding("is invalid encoding"),
            known => Ok(known),
        }
    }

    fn refuse_encoding<T>(&self, reason: &str) -> Checked<T> {
        match self.word {
            Some(word) => self.refusal.invalid_value("encoding", reason, word),
            None => self.refuse("encoding", reason),
        }
    }

    /// Refuses the value of `key`.
    pub fn refuse<T>(&self, key: &str, reason: &str) -> Checked<T> {
        let value = match self.get(key)? {
            Some(value) => value,
            None => ().into_unknown(self.refusal.env)?,
        };
        self.refusal.invalid_value(&named(key), reason, value)
    }

    /// Whether blocks are shared.
    pub fn reflink(&self) -> Checked<Reflink> {
        let reason = "must be one of: 'auto', 'always', 'never'";
        self.word("reflink", Reflink::Auto, reason, |word| match word {
            "auto" => Some(Reflink::Auto),
            "always" => Some(Reflink::Always),
            "never" => Some(Reflink::Never),
            _ => None,
        })
    }

    /// What a copy keeps of its original: all of it, nothing, or what a list says.
    pub fn preserve(&self) -> Checked<Keep> {
        const KEY: &str = "preserve";
        let Some(value) = self.get(KEY)? else {
            return Ok(Keep::default());
        };
        if value.get_type()? == ValueType::Boolean {
            return Ok(match value.coerce_to_bool()? {
                true => Keep::EVERYTHING,
                false => Keep::default(),
            });
        }
        if !value.is_array()? {
            let expected = "of type boolean or an instance of Array";
            return self.refusal.invalid_type(&named(KEY), expected, value);
        }
        let list = value.coerce_to_object()?;
        let reason = "must hold: 'owner', 'times', 'mode', 'acl', 'xattr'";
        let mut keep = Keep::default();
        for i in 0..list.get_array_length()? {
            let element: Unknown = list.get_element(i)?;
            let kept = one_of(
                self.refusal,
                &format!("{}[{i}]", named(KEY)),
                reason,
                element,
                |word| match word {
                    "owner" => Some(&mut keep.owner),
                    "times" => Some(&mut keep.times),
                    "mode" => Some(&mut keep.mode),
                    "acl" => Some(&mut keep.acl),
                    "xattr" => Some(&mut keep.xattr),
                    _ => None,
                },
            )?;
            *kept = true;
        }
        Ok(keep)
    }

    /// One of several words.
    pub fn word<T>(
        &self,
        key: &str,
        default: T,
        reason: &str,
        meaning: impl FnOnce(&str) -> Option<T>,
    ) -> Checked<T> {
        match self.get(key)? {
            Some(value) => one_of(self.refusal, &named(key), reason, value, meaning),
            None => Ok(default),
        }
    }

    /// The root that a second path is beneath, where that is another one.
    pub fn to(&self) -> Checked<Option<Arc<Root>>> {
        let Some(value) = self.get("to")? else {
            return Ok(None);
        };
        match self.refusal.make.root_of(self.refusal.env, value)? {
            Some(root) => Ok(Some(root)),
            None => {
                let expected = format!("an instance of {CLASS}");
                self.refusal.invalid_type(&named("to"), &expected, value)
            }
        }
    }

    /// Refuses the option `key` if it is `false`.
    pub fn refuse_false(&self, key: &str, reason: &str) -> Checked<()> {
        match self.flag(key, true)? {
            true => Ok(()),
            false => self.refuse(key, reason),
        }
    }
}

fn named(key: &str) -> String {
    format!("options.{key}")
}
