//! What an operation gives back, and what JavaScript gets of it.

use std::os::fd::{IntoRawFd, OwnedFd};

use napi::bindgen_prelude::*;
use rustix::fs::Stat;

use super::args::StatOptions;
use super::make::{Encoding, Make};
use super::thrown::Answer;
use crate::error;
use crate::ops::directory::Names;
use crate::ops::tree::walk::Part;
use crate::resolve::Root;
use crate::sys::node_api::value;

/// What an operation gives back.
pub enum Reply {
    /// `undefined`
    Nothing,
    /// Yes or no.
    Flag(bool),
    /// An open file. From when it is told, it is the caller's to close.
    Descriptor(OwnedFd),
    /// What `stat` found, in numbers. Boxed, as all that is large: a reply is moved a few times.
    Stats(Box<Stat>),
    /// What `stat` found, in bigints.
    BigStats(Box<Stat>),
    /// A name, a path or the content of a file, as the caller wants it told.
    Text(Vec<u8>, Encoding),
    /// The names in directories.
    Names(Box<Names>, Encoding),
    /// A part of a tour through a tree.
    Part(Box<Part>, Encoding),
    /// A root of its own; JavaScript gets its number.
    Root(Root),
}

impl Reply {
    /// The value of this reply.
    pub fn into_value(self, env: &Env, make: &Make) -> Result<Unknown<'static>> {
        match self {
            Self::Nothing => value(env, ()),
            Self::Flag(flag) => value(env, flag),
            Self::Descriptor(fd) => value(env, fd.into_raw_fd()),
            Self::Stats(stat) => make.stats(env, &stat),
            Self::BigStats(stat) => make.big_stats(env, &stat),
            Self::Text(bytes, encoding) => make.text(env, bytes, &encoding),
            Self::Names(names, encoding) => make.names(env, *names, &encoding),
            Self::Part(part, encoding) => make.part(env, *part, &encoding),
            Self::Root(root) => value(env, make.roots.add(root)),
        }
    }

    /// The answer that this reply is, if it is given at once.
    pub fn into_answer(self, env: &Env, make: &Make) -> Result<Answer> {
        match self {
            Self::Nothing => Ok(Answer::Nothing),
            Self::Stats(stat) => Ok(Answer::Stats(stat)),
            Self::Names(names, encoding) if names.kinds.is_empty() => {
                make.text(env, names.names, &encoding).map(Answer::Names)
            }
            other => other.into_value(env, make).map(Answer::Value),
        }
    }

    /// What `stat` found; nothing there is `undefined` where the options say so.
    pub fn stats(found: error::Result<Stat>, options: StatOptions) -> error::Result<Self> {
        match found {
            Ok(stat) if options.bigint => Ok(Self::BigStats(Box::new(stat))),
            Ok(stat) => Ok(Self::Stats(Box::new(stat))),
            Err(error) if error.errno == libc::ENOENT && !options.throw_if_no_entry => {
                Ok(Self::Nothing)
            }
            Err(error) => Err(error),
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

impl From<Root> for Reply {
    fn from(root: Root) -> Self {
        Self::Root(root)
    }
}
