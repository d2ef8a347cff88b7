//! Work on whole trees, at any depth, with a bounded number of descriptors.

pub mod copy;
pub mod levels;
pub mod relocate;
pub mod remove;
pub mod second;
pub mod walk;
