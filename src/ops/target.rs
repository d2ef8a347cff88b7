//! A file that an operation fills by its path: the one that is there, or a new one, which goes again
//! if filling it fails.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::error::Failure;
use crate::resolve::{Content, Place};
use crate::retry::{TRIES, on_intr};
use crate::sys;

/// Whether the file may, must or must not be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It must be.
    Old,
    /// It must not be: `EEXIST`.
    New,
    /// Either.
    Any,
}

/// The open file.
pub struct Target<'a> {
    place: Place<'a>,
    fd: OwnedFd,
    stat: Stat,
    /// Whether it was made here, so that a failure is to remove it again.
    is_new: bool,
}

impl<'a> Target<'a> {
    /// Opens the file at `place`; `flags` say how it is written to, `mode` is that of a new one.
    pub fn open(
        place: Place<'a>,
        flags: OFlags,
        mode: Mode,
        presence: Presence,
    ) -> Result<Self, Failure> {
        let Place { root, path } = place;
        root.for_change()?;
        let old = |flags| match root.content(path, flags, mode) {
            Ok(file) => Ok(Some(Self::existing(place, file))),
            Err(failure) if presence != Presence::Old && is_missing(failure.errno) => Ok(None),
            Err(failure) => Err(failure),
        };
        for _ in 0..TRIES {
            if presence != Presence::New
                && let Some(found) = old(flags)?
            {
                return Ok(found);
            }
            // What is wrong with the way there is said by this lookup.
            let unnamed = match presence {
                Presence::New => Errno::EXIST,
                _ => Errno::ISDIR,
            };
            let entry = root.entry(path, unnamed)?;
            if entry.wants_directory() {
                return Err(Errno::ISDIR.into());
            }
            let fd = match entry.at().create_new(flags, mode) {
                Ok(fd) => fd,
                Err(Errno::EXIST) if presence == Presence::Any => {
                    // A symlink to nothing, which this root follows: what it names is made.
                    if root.policy().follows()
                        && let Some(found) = old(flags | OFlags::CREATE)?
                    {
                        return Ok(found);
                    }
                    // Or somebody made it since we looked: it is there to be opened.
                    continue;
                }
                Err(errno) => return Err(errno.into()),
            };
            return match rustix::fs::fstat(&fd) {
                Ok(stat) => Ok(Self {
                    place,
                    fd,
                    stat,
                    is_new: true,
                }),
                Err(errno) => {
                    // What was made this moment goes again; the error is what is told.
                    let _ = entry.at().unlink();
                    Err(errno.into())
                }
            };
        }
        Err(Errno::NOENT.into())
    }

    fn existing(place: Place<'a>, file: Content) -> Self {
        Self {
            place,
            stat: *file.stat(),
            fd: file.into_fd(),
            is_new: false,
        }
    }

    /// What it was when it was opened.
    pub fn stat(&self) -> &Stat {
        &self.stat
    }

    /// Whether it was made by this operation.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Empties it.
    pub fn empty(&self) -> Result<(), Failure> {
        if !self.is_new {
            on_intr(|| rustix::fs::ftruncate(&self.fd, 0))?;
        }
        Ok(())
    }

    /// Fills it by `fill` and closes it. If that fails, a file that was made here goes again.
    pub fn fill(
        self,
        fill: impl FnOnce(&Self, BorrowedFd<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let done = fill(&self, self.fd.as_fd());
        let Self {
            place,
            fd,
            stat,
            is_new,
        } = self;
        // Some file systems say only now that what was written does not fit.
        let done = done.and(sys::close(fd).map_err(Into::into));
        if done.is_err() && is_new {
            discard(place, &stat);
        }
        done
    }
}

fn is_missing(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR)
}

/// Removes the file that was made, if its name still leads to it.
fn discard(place: Place<'_>, made: &Stat) {
    let Ok(entry) = place.root.entry(place.path, Errno::BUSY) else {
        return;
    };
    if entry.at().lstat().is_ok_and(|now| is_same_file(&now, made)) {
        // The operation has failed already, and that is what the caller is told.
        let _ = entry.at().unlink();
    }
}

/// Whether the two are of one file.
pub fn is_same_file(a: &Stat, b: &Stat) -> bool {
    (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
}
