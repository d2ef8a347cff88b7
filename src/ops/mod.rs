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

/// What an operation does with what has the name already that it is to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It is replaced, in one step.
    Replace,
    /// It stays: `EEXIST`.
    Refuse,
}

impl Existing {
    /// What `overwrite: true` and `overwrite: false` say.
    pub fn overwritten(overwrite: bool) -> Self {
        match overwrite {
            true => Self::Replace,
            false => Self::Refuse,
        }
    }
}
