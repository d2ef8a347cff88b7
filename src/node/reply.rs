//! What an operation gives back, and what JavaScript gets of it.

use std::os::fd::{IntoRawFd, OwnedFd};

use napi::bindgen_prelude::*;
use rustix::fs::Stat;

use super::args::{Encoding, StatOptions};
use super::make::Make;
use crate::error;

/// What an operation gives back.
pub enum Reply {
    /// `undefined`
    Nothing,
    /// Yes or no.
    Flag(bool),
    /// An open file. From when it is told, it is the caller's to close.
    Descriptor(OwnedFd),
    /// What `stat` found, in numbers.
    Stats(Stat),
    /// What `stat` found, in bigints.
    BigStats(Stat),
    /// A name or a path, as a string: what is not UTF-8 in it shows as U+FFFD.
    Text(Vec<u8>),
    /// A name or a path, byte for byte.
    Bytes(Vec<u8>),
}

/// What JavaScript gets.
pub type Value = Either6<(), bool, i32, Unknown<'static>, String, Buffer>;

impl Reply {
    /// The value of this reply.
    pub fn into_value(self, env: &Env, make: &Make) -> Result<Value> {
        Ok(match self {
            Self::Nothing => Either6::A(()),
            Self::Flag(flag) => Either6::B(flag),
            Self::Descriptor(fd) => Either6::C(fd.into_raw_fd()),
            Self::Stats(stat) => Either6::D(make.stats(env, &stat)?),
            Self::BigStats(stat) => Either6::D(make.big_stats(env, &stat)?),
            Self::Text(bytes) => Either6::E(String::from_utf8_lossy(&bytes).into_owned()),
            Self::Bytes(bytes) => Either6::F(bytes.into()),
        })
    }

    /// What `stat` found; nothing there is `undefined` where the options say so.
    pub fn stats(found: error::Result<Stat>, options: StatOptions) -> error::Result<Self> {
        match found {
            Ok(stat) if options.bigint => Ok(Self::BigStats(stat)),
            Ok(stat) => Ok(Self::Stats(stat)),
            Err(error) if error.errno == libc::ENOENT && !options.throw_if_no_entry => {
                Ok(Self::Nothing)
            }
            Err(error) => Err(error),
        }
    }

    /// A name or a path, as the caller wants it told.
    pub fn name(bytes: Vec<u8>, encoding: Encoding) -> Self {
        match encoding {
            Encoding::Utf8 => Self::Text(bytes),
            Encoding::Buffer => Self::Bytes(bytes),
        }
    }
}

impl From<()> for Reply {
    fn from((): ()) -> Self {
        Self::Nothing
    }
}

impl From<bool> for Reply {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<OwnedFd> for Reply {
    fn from(fd: OwnedFd) -> Self {
        Self::Descriptor(fd)
    }
}
