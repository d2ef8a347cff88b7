//! The way down into a tree: a stack of directories on the heap.
//!
//! Only the top and the innermost of [`OPEN_LEVELS`] hold a descriptor. A level further up is opened again by `..`
//! of the one below it, and believed only if device and inode are those it had: a directory may
//! have been moved meanwhile.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use crate::at::At;
use crate::error::Failure;
use crate::path::Leaf;
use crate::resolve::Root;

/// How many directories are open at the most, beside the parent of the tree.
pub const OPEN_LEVELS: usize = 16;

/// The same where two threads share a tree, for each of them.
pub const OPEN_LEVELS_SHARED: usize = OPEN_LEVELS / 2;

/// A directory on the way from the top of a tree to where the work is.
pub struct Level<T> {
    /// Its name in the level above; empty for the top.
    pub name: CString,
    /// What the work knows of it.
    pub state: T,
    at: Whereabouts,
}

/// How a level is held on to.
enum Whereabouts {
    Open(OwnedFd),
    /// The descriptor was given up to stay within [`OPEN_LEVELS`].
    Known(Id),
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

    /// The device that it is on.
    pub fn device(self) -> u64 {
        self.dev
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

impl From<&rustix::fs::Statx> for Id {
    fn from(statx: &rustix::fs::Statx) -> Self {
        Self {
            dev: rustix::fs::makedev(statx.stx_dev_major, statx.stx_dev_minor),
            ino: statx.stx_ino,
        }
    }
}

impl<T> Level<T> {
    /// The directory `fd`, which has `name` in the one above.
    pub fn new(name: CString, fd: OwnedFd, state: T) -> Self {
        let at = Whereabouts::Open(fd);
        Self { name, state, at }
    }

    /// The directory, if it is open.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.at {
            Whereabouts::Open(fd) => Some(fd.as_fd()),
            Whereabouts::Known(_) => None,
        }
    }

    /// Whether `fd` is the directory that this level was when its descriptor was given up.
    fn is(&self, fd: BorrowedFd<'_>) -> bool {
        matches!(self.at, Whereabouts::Known(id) if Id::of(fd) == Ok(id))
    }
}

/// How the level above is found when one is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Above {
    /// There is none: the top was left.
    Nothing,
    /// It was open all the time.
    Open,
    /// It was opened again, and would be read from its start.
    Reopened,
    /// The parent is no longer the directory that was left: see [`Levels::find_again`].
    Lost,
}

/// The first level that was not found again.
pub struct Dropped {
    /// Its name.
    pub name: CString,
    /// Why it cannot be opened, if it is where it was.
    pub failure: Option<Failure>,
}

/// The levels, the top first.
pub struct Levels<T> {
    levels: Vec<Level<T>>,
    /// How many of them are open at the most.
    most_open: usize,
}

impl<T> Default for Levels<T> {
    fn default() -> Self {
        Self {
            levels: Vec::new(),
            most_open: OPEN_LEVELS,
        }
    }
}

impl<T> Levels<T> {
    /// Those of one of two threads that share a tree.
    pub fn sharing() -> Self {
        Self {
            most_open: OPEN_LEVELS_SHARED,
            ..Self::default()
        }
    }

    /// Goes down into a directory in the innermost level, or back into it.
    pub fn enter(&mut self, level: Level<T>) -> rustix::io::Result<()> {
        self.levels.push(level);
        match self.levels.len().checked_sub(self.most_open) {
            Some(beyond) => self.give_up(beyond),
            None => Ok(()),
        }
    }

    /// From now on at most `most` levels are open.
    pub fn keep_open(&mut self, most: usize) -> rustix::io::Result<()> {
        self.most_open = most;
        for beyond in 0..=self.levels.len().saturating_sub(most) {
            self.give_up(beyond)?;
        }
        Ok(())
    }

    /// Gives up the descriptor of a level.
    fn give_up(&mut self, index: usize) -> rustix::io::Result<()> {
        // The top stays open: from there, a level that was moved is sought again. So does the innermost.
        let is_needed = index == 0 || index + 1 >= self.levels.len();
        if let Some(level) = self.levels.get_mut(index)
            && let Some(fd) = level.fd()
            && !is_needed
        {
            level.at = Whereabouts::Known(Id::of(fd)?);
        }
        Ok(())
    }

    /// Goes up. The level that was left, and how the one above it is found.
    pub fn leave(&mut self, root: &Root) -> Option<(Level<T>, Above)> {
        let left = self.levels.pop()?;
        let above = match (self.levels.last_mut(), left.fd()) {
            (None, _) => Above::Nothing,
            (Some(above), _) if above.fd().is_some() => Above::Open,
            (Some(_), None) => Above::Lost,
            (Some(above), Some(below)) => match root.listing_above(below) {
                Ok(fd) if above.is(fd.as_fd()) => {
                    above.at = Whereabouts::Open(fd);
                    Above::Reopened
                }
                _ => Above::Lost,
            },
        };
        Some((left, above))
    }

    /// After a level was [`Lost`](Above::Lost): goes down from the top as far as every level is still
    /// what it was. The others are dropped; the first of them is returned.
    pub fn find_again(&mut self, root: &Root) -> Option<Dropped> {
        let mut found: Option<OwnedFd> = None;
        let mut failure = None;
        let mut depth = 1;
        for level in self.levels.iter().skip(1) {
            let above = found.as_ref().map(AsFd::as_fd);
            let above = above.or(self.levels.first().and_then(Level::fd));
            let (Some(above), Some(leaf)) = (above, Leaf::listed(&level.name)) else {
                break;
            };
            let at = At::new(above, &leaf);
            match root.listing_at(at) {
                Ok(fd) if level.is(fd.as_fd()) => found = Some(fd),
                Ok(_) => break,
                Err(refused) => {
                    failure = is_still(root, level, at).then_some(refused);
                    break;
                }
            }
            depth += 1;
        }
        let dropped = self.levels.drain(depth.min(self.levels.len())..).next();
        if let (Some(level), Some(fd)) = (self.levels.last_mut(), found) {
            level.at = Whereabouts::Open(fd);
        }
        dropped.map(|Level { name, .. }| Dropped { name, failure })
    }

    /// Where the work is.
    pub fn innermost(&self) -> Option<&Level<T>> {
        self.levels.last()
    }

    /// Where the work is, to be changed.
    pub fn innermost_mut(&mut self) -> Option<&mut Level<T>> {
        self.levels.last_mut()
    }

    /// How many directories there are on the way, the top included.
    pub fn depth(&self) -> usize {
        self.levels.len()
    }

    /// Whether the top was left, or never entered.
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// The names on the way from the top to the innermost level, and then `name`: without a slash at
    /// either end, and empty for the top itself.
    pub fn path_of(&self, name: Option<&CStr>) -> Vec<u8> {
        let names = self
            .levels
            .iter()
            .map(|level| level.name.as_c_str())
            .chain(name);
        let names: Vec<&[u8]> = names
            .map(CStr::to_bytes)
            .filter(|name| !name.is_empty())
            .collect();
        names.join(&b'/')
    }
}

/// Whether `level` has the name `at`, as far as that can be known.
fn is_still<T>(root: &Root, level: &Level<T>, at: At<'_>) -> bool {
    match root.directory_at(at) {
        Ok(fd) => level.is(fd.as_fd()),
        // There may be no descriptor left to ask with.
        Err(failure) => {
            failure.reason.is_none()
                && !matches!(failure.errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
        }
    }
}
