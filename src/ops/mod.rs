//! What each operation means. No path reaches a system call from here: an operation gets an
//! [`Entry`](crate::resolve::Entry) or an open descriptor from the root, and acts on that.

pub mod attributes;
pub mod beneath;
pub mod content;
pub mod copy;
pub mod draft;
pub mod entry;
pub mod identity;
pub mod listing;
pub mod metadata;
pub mod permissions;
pub mod realpath;
pub mod target;
pub mod tree;
pub mod version;
