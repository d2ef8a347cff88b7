//! Work on whole trees, at any depth, with a bounded number of descriptors.

pub mod copy;
pub mod copy_entry;
pub mod cursor;
pub mod levels;
pub mod list;
pub mod move_tree;
pub mod only;
pub mod parallel;
pub mod record;
pub mod remove;
pub mod remove_recorded;
pub mod staged;
pub mod walk;
