//! How a call from JavaScript ends: with an answer, with a failure of the system, with a value that is thrown,
//! or with an error of N-API. `class.js` makes the error of a failure, and throws: thrown from here, napi would
//! catch it and throw it again, and each time costs as much as a system call.

use napi::bindgen_prelude::*;
use rustix::fs::Stat;

use super::make::{Make, Outcome, parts};
use crate::error;
use crate::sys::node_api::value;

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

/// What a native function gives back to `class.js`, which is told what it is.
pub fn give(env: &Env, make: &Make, checked: Checked<Answer>) -> Result<Option<Unknown<'static>>> {
    let (outcome, given) = match checked {
        Ok(Answer::Nothing) => (Outcome::Answered, None),
        Ok(Answer::Value(value)) => (Outcome::Answered, Some(value)),
        Ok(Answer::Stats(stat)) => {
            make.share_stats(&stat);
            (Outcome::Stats, None)
        }
        Ok(Answer::Names(joined)) => (Outcome::Names, Some(joined)),
        Err(Thrown::Failed(error)) => match make.too_large(env, &error)? {
            Some(error) => (Outcome::Thrown, Some(error)),
            None => (Outcome::Failed, Some(value(env, parts(&error))?)),
        },
        Err(Thrown::Value(value)) => (Outcome::Thrown, Some(value)),
        Err(Thrown::Napi(error)) => return Err(error),
    };
    // Last, since a script may have run before.
    make.share_outcome(outcome);
    Ok(given)
}
