//! How a call from JavaScript ends: with an answer, with a failure of the system, with a value that is thrown,
//! or with an error of N-API. `class.js` makes the error of a failure, and throws: thrown from here, napi would
//! catch it and throw it again, and each time costs as much as a system call.

use napi::bindgen_prelude::*;
use rustix::fs::Stat;

use crate::error;

/// Why a call from JavaScript did not come to its end.
pub enum Thrown {
    /// The operation failed.
    Failed(error::Error),
    /// This value is thrown: an error made by [`super::make`], or what a function of the caller threw.
    Value(Unknown<'static>),
    /// N-API itself failed.
    Napi(Error),
}

/// The result of a check, or of anything else that can throw.
pub type Checked<T> = std::result::Result<T, Thrown>;

impl From<Error> for Thrown {
    fn from(error: Error) -> Self {
        Self::Napi(error)
    }
}

impl From<error::Error> for Thrown {
    fn from(error: error::Error) -> Self {
        Self::Failed(error)
    }
}

/// What a call comes to.
pub enum Answer {
    /// `undefined`
    Nothing,
    /// This value.
    Value(Unknown<'static>),
    /// What `stat` found: in memory that is shared.
    Stats(Box<Stat>),
    /// Names: in one string or Buffer.
    Names(Unknown<'static>),
}
