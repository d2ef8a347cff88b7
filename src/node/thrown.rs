//! How a call from JavaScript fails: with a value to throw, made by [`super::make`], or in N-API.

use napi::Status;
use napi::bindgen_prelude::*;

/// Why a call from JavaScript did not come to its end.
pub enum Thrown {
    /// This value is to be thrown.
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

impl Thrown {
    /// Throws the value, and gives back what tells napi that this is done already.
    pub fn throw(self, env: &Env) -> Error {
        match self {
            Self::Napi(error) => error,
            Self::Value(value) => match env.throw(value) {
                Ok(()) => Error::new(Status::PendingException, String::new()),
                Err(error) => error,
            },
        }
    }
}
