//! Work on whole trees, at any depth, with a bounded number of descriptors.

pub mod levels;
pub mod remove;
pub mod walk;
