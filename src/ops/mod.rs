//! What each operation means. No path reaches a system call from here: an operation gets an
//! [`Entry`](crate::resolve::Entry) or an open descriptor from the root, and acts on that.

pub mod content;
pub mod copy;
pub mod entry;
pub mod metadata;
pub mod tree;
