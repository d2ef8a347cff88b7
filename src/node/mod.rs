//! The binding: arguments in, values and errors out. Nothing else knows N-API.

pub mod args;
pub mod make;
pub mod methods;
pub mod sandbox_root;
