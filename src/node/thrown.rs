//! How a call from JavaScript ends: with an answer, with a failure of the system, with a value that is thrown,
//! or with an error of N-API. `class.js` makes the error of a failure, and throws: thrown from here, napi would
//! catch it and throw it again, and each time costs as much as a system call.

use napi::bindgen_prelude::*;
use rustix::fs::Stat;

use super::make::{Make, Outcome, parts};
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
pub enum Answer<T> {
    /// `undefined`
    Nothing,
    /// This value.
    Value(T),
    /// What `stat` found: in memory that is shared.
    Stats(Box<Stat>),
}

impl<T> Answer<T> {
    /// The same with a value made of this one.
    pub fn map<U>(self, of: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Self::Nothing => Answer::Nothing,
            Self::Value(value) => Answer::Value(of(value)),
            Self::Stats(stat) => Answer::Stats(stat),
        }
    }
}

/// What a native function gives back to `class.js`; the outcome says which.
pub type Given<T> = Either3<T, Unknown<'static>, String>;

/// What napi is to do with what came of a call.
pub fn give<T>(env: &Env, make: &Make, checked: Checked<Answer<T>>) -> Result<Option<Given<T>>> {
    let (outcome, given) = match checked {
        Ok(Answer::Nothing) => (Outcome::Answered, None),
        Ok(Answer::Value(value)) => (Outcome::Answered, Some(Either3::A(value))),
        Ok(Answer::Stats(stat)) => {
            make.share_stats(&stat);
            (Outcome::Stats, None)
        }
        Err(Thrown::Failed(error)) => match make.too_large(env, &error)? {
            Some(value) => (Outcome::Thrown, Some(Either3::B(value))),
            None => (Outcome::Failed, Some(Either3::C(parts(&error)))),
        },
        Err(Thrown::Value(value)) => (Outcome::Thrown, Some(Either3::B(value))),
        Err(Thrown::Napi(error)) => return Err(error),
    };
    // Last, since a script may have run before.
    make.share_outcome(outcome);
    Ok(given)
}
