//! The way down into a tree: a stack of directories on the heap.
//!
//! Only the innermost [`OPEN_LEVELS`] hold a descriptor. A level further up is opened again by `..`
//! of the one below it, and believed only if device and inode are those it had: a directory may
//! have been moved meanwhile.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::at::{At, open_parent};
use crate::path::Leaf;

/// How many directories are open at the most, beside the parent of the tree.
pub const OPEN_LEVELS: usize = 16;

/// A directory on the way from the top of a tree to where the work is.
pub struct Level<T> {
    /// Its name in the level above; empty for the top.
    pub name: CString,
    /// What the work knows of it.
    pub state: T,
    id: Id,
    /// `None` where the descriptor was given up to stay within [`OPEN_LEVELS`].
    fd: Option<OwnedFd>,
}

/// What a directory is recognised by, wherever it is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id {
    dev: u64,
    ino: u64,
}

impl Id {
    /// That of an open file.
    pub fn of(fd: BorrowedFd<'_>) -> rustix::io::Result<Self> {
        Ok((&rustix::fs::fstat(fd)?).into())
    }
}

impl From<&rustix::fs::Stat> for Id {
    fn from(stat: &rustix::fs::Stat) -> Self {
        Self {
            dev: stat.st_dev,
            ino: stat.st_ino,
        }
    }
}

impl<T> Level<T> {
    /// The directory, if it is open.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    /// What it is recognised by.
    pub fn id(&self) -> Id {
        self.id
    }
}

/// How the level above is found when one is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Above {
    /// There is none: the top was left.
    Nothing,
    /// It was open all the time.
    Open,
    /// It was opened again, and is read from its start.
    Reopened,
    /// It is not where it was: see [`Levels::find_again`].
    Lost,
}

/// The levels, the top first.
pub struct Levels<T>(Vec<Level<T>>);

impl<T> Default for Levels<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Levels<T> {
    /// Goes down into the directory `fd`, which has `name` in the innermost level.
    pub fn enter(&mut self, name: CString, fd: OwnedFd, state: T) -> rustix::io::Result<()> {
        let id = Id::of(fd.as_fd())?;
        self.push(Level {
            name,
            state,
            id,
            fd: Some(fd),
        });
        Ok(())
    }

    /// Goes back into a level that was left.
    pub fn push(&mut self, level: Level<T>) {
        self.0.push(level);
        if let Some(beyond) = self.0.len().checked_sub(OPEN_LEVELS + 1) {
            self.0[beyond].fd = None;
        }
    }

    /// Goes up. The level that was left, and how the one above it is found.
    pub fn leave(&mut self) -> Option<(Level<T>, Above)> {
        let left = self.0.pop()?;
        let above = match (self.0.last_mut(), left.fd()) {
            (None, _) => Above::Nothing,
            (Some(Level { fd: Some(_), .. }), _) => Above::Open,
            (Some(_), None) => Above::Lost,
            (Some(above), Some(below)) => match open_parent(below) {
                Ok(fd) if Id::of(fd.as_fd()) == Ok(above.id) => {
                    above.fd = Some(fd);
                    Above::Reopened
                }
                _ => Above::Lost,
            },
        };
        Some((left, above))
    }

    /// After a level was [`Lost`](Above::Lost): goes down from the top, which `top` opens, as far as
    /// every level is still what it was. The others are dropped; the innermost is read from its start.
    pub fn find_again(&mut self, top: impl FnOnce() -> rustix::io::Result<OwnedFd>) {
        let mut found = match (top(), self.0.first()) {
            (Ok(fd), Some(level)) if Id::of(fd.as_fd()) == Ok(level.id) => fd,
            _ => return self.0.clear(),
        };
        let mut depth = 1;
        for level in self.0.iter().skip(1) {
            let Some(leaf) = Leaf::listed(&level.name) else {
                break;
            };
            match At::new(found.as_fd(), &leaf).open_directory() {
                Ok(fd) if Id::of(fd.as_fd()) == Ok(level.id) => found = fd,
                _ => break,
            }
            depth += 1;
        }
        self.0.truncate(depth);
        if let Some(level) = self.0.last_mut() {
            level.fd = Some(found);
        }
    }

    /// Where the work is.
    pub fn innermost(&self) -> Option<&Level<T>> {
        self.0.last()
    }

    /// Where the work is, to be changed.
    pub fn innermost_mut(&mut self) -> Option<&mut Level<T>> {
        self.0.last_mut()
    }

    /// Whether the top was left, or never entered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many directories there are on the way, the top included.
    pub fn depth(&self) -> usize {
        self.0.len()
    }

    /// Whether `id` is that of a directory on the way.
    pub fn contains(&self, id: Id) -> bool {
        self.0.iter().any(|level| level.id == id)
    }

    /// The names on the way from the top to the innermost level, and then `name`: without a slash at
    /// either end, and empty for the top itself.
    pub fn path_of(&self, name: Option<&CStr>) -> Vec<u8> {
        let names = self.0.iter().map(|level| level.name.as_c_str()).chain(name);
        let names: Vec<&[u8]> = names
            .map(CStr::to_bytes)
            .filter(|name| !name.is_empty())
            .collect();
        names.join(&b'/')
    }
}
