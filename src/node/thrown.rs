//! How a call from JavaScript fails: with an error made by [`super::make`], with what a function of the
//! caller threw, or in N-API.

use napi::Status;
use napi::bindgen_prelude::*;

/// Why a call from JavaScript did not come to its end.
pub enum Thrown {
    /// This `Error`. It is given back as a value, and `class.js` throws it: thrown from here, napi would
    /// catch it and throw it again, and each time costs as much as a system call.
    Error(Unknown<'static>),
    /// This value, which may be any.
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

/// What a native function gives back to `class.js`: a value, or the error that is thrown there.
pub type Given<T> = Either<T, Unknown<'static>>;

/// What napi is to do with what came of a call.
pub fn give<T>(env: &Env, checked: Checked<T>) -> Result<Given<T>> {
    match checked {
        Ok(value) => Ok(Either::A(value)),
        Err(Thrown::Error(error)) => Ok(Either::B(error)),
        Err(Thrown::Napi(error)) => Err(error),
        Err(Thrown::Value(value)) => {
            env.throw(value)?;
            Err(Error::new(Status::PendingException, String::new()))
        }
    }
}
