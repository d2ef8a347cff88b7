//! `rm`: removing a name, or a whole tree.
//!
//! The tree is walked with a stack of levels on the heap. Only the innermost [`OPEN_LEVELS`] hold
//! a descriptor; a level further up is reopened by `..` of the one below it and believed only if
//! device and inode are those it had, since a directory may have been moved meanwhile. A symlink
//! is removed and never entered.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::Duration;

use rustix::fs::{FileType, RawDir, SeekFrom};
use rustix::io::Errno;

use crate::at::{At, open_parent};
use crate::error::{Call, Error, Failure, Result};
use crate::ops::entry::directory_or_link_refused;
use crate::path::{Leaf, UserPath};
use crate::resolve::Root;
use crate::retry::TRIES;

/// How many directories are open at the most, beside the parent of the tree.
const OPEN_LEVELS: usize = 16;

/// The room for one `getdents64`, in bytes.
const LISTING: usize = 64 << 10;

/// Removes a file, a symlink itself, or, with `recursive`, a directory and all that is in it.
/// `force`: a path that is not there is fine.
pub fn remove(root: &Root, path: &UserPath, recursive: bool, force: bool) -> Result<()> {
    let call = Call::on("rm", path);
    // Node looks at the path first and says so, unless it was told to remove whatever is there.
    let lookup = match recursive && force {
        true => "unlink",
        false => "lstat",
    };
    let not_found = |failure: Failure| match failure.errno {
        Errno::NOENT if force && !path.as_bytes().is_empty() => Ok(()),
        Errno::BUSY => Err(call.failed(failure)),
        _ => Err(call.failed(failure.at(lookup))),
    };
    let entry = match root.for_change() {
        Ok(root) => root.entry(path, Errno::BUSY),
        Err(errno) => return Err(call.failed(errno.into())),
    };
    let entry = match entry {
        Ok(entry) => entry,
        Err(failure) => return not_found(failure),
    };
    if entry.wants_directory()
        && let Err(failure) = directory_or_link_refused(entry.at())
    {
        return not_found(failure);
    }
    for _ in 0..TRIES {
        let Err(errno) = entry.at().unlink() else {
            return Ok(());
        };
        match entry
            .at()
            .lstat()
            .map(|stat| FileType::from_raw_mode(stat.st_mode))
        {
            Err(errno) => return not_found(errno.into()),
            Ok(FileType::Directory) if recursive => return Removal::new(path, entry.at()).run(),
            Ok(FileType::Directory) => return Err(call.failed(Errno::ISDIR.into())),
            // It was a directory a moment ago, and is none now.
            Ok(_) if errno == Errno::ISDIR => {}
            Ok(_) => return Err(call.failed(Failure::from(errno).at("unlink"))),
        }
    }
    Err(call.failed(Failure::from(Errno::BUSY).at("unlink")))
}

fn is_directory(at: At<'_>) -> bool {
    at.lstat()
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// A directory on the way from the top of the tree to where the work is.
struct Level {
    /// Its name in the level above.
    name: CString,
    id: Id,
    /// `None` where the descriptor was given up to stay within [`OPEN_LEVELS`].
    open: Option<OpenLevel>,
    /// How often its end was reached and something was still in it.
    tries: u32,
}

struct OpenLevel {
    fd: OwnedFd,
    /// Directories that were listed and are still to be removed.
    pending: Vec<CString>,
}

/// What a directory is recognised by, wherever it is moved.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Id {
    dev: u64,
    ino: u64,
}

impl Id {
    fn of(fd: BorrowedFd<'_>) -> rustix::io::Result<Self> {
        let stat = rustix::fs::fstat(fd)?;
        Ok(Self {
            dev: stat.st_dev,
            ino: stat.st_ino,
        })
    }
}

/// What became of a name.
enum Outcome {
    /// It is gone, by us or by somebody else.
    Gone,
    /// It is a directory with something in it, and now open.
    Entered(OwnedFd),
}

/// A tree in the course of being removed.
struct Removal<'a> {
    path: &'a UserPath,
    top: At<'a>,
    levels: Vec<Level>,
    listing: Vec<MaybeUninit<u8>>,
    /// How often a level was not where it had been.
    moved: u32,
    /// Whether the top itself is removed.
    done: bool,
}

impl<'a> Removal<'a> {
    fn new(path: &'a UserPath, top: At<'a>) -> Self {
        Self {
            path,
            top,
            levels: Vec::new(),
            listing: vec![MaybeUninit::uninit(); LISTING],
            moved: 0,
            done: false,
        }
    }

    fn run(mut self) -> Result<()> {
        // More than once only if the top was moved: what has its name then is the tree to remove.
        for _ in 0..TRIES {
            match remove_one(self.top, FileType::Directory) {
                Ok(Outcome::Gone) => return Ok(()),
                Ok(Outcome::Entered(fd)) => self.enter(CString::default(), fd)?,
                Err(failure) => return Err(self.failed(failure, None)),
            }
            while !self.levels.is_empty() {
                self.step()?;
            }
            if self.done {
                return Ok(());
            }
        }
        Err(self.failed(Failure::from(Errno::BUSY).at("rmdir"), None))
    }

    /// Removes what can be removed without leaving the innermost level, or enters or leaves it.
    fn step(&mut self) -> Result<()> {
        let Some(level) = self.levels.last_mut() else {
            return Ok(());
        };
        let Some(open) = &mut level.open else {
            return self.find_again();
        };
        if let Some(name) = open.pending.pop() {
            let entered = match Leaf::listed(&name) {
                Some(leaf) => remove_one(At::new(open.fd.as_fd(), &leaf), FileType::Directory),
                None => Ok(Outcome::Gone),
            };
            return match entered {
                Ok(Outcome::Gone) => Ok(()),
                Ok(Outcome::Entered(fd)) => self.enter(name, fd),
                Err(failure) => Err(self.failed(failure, Some(&name))),
            };
        }
        match remove_listed(open, &mut self.listing) {
            Ok(Progress::More) => Ok(()),
            Ok(Progress::End) => self.leave(),
            Err((failure, name)) => Err(self.failed(failure, name.as_deref())),
        }
    }

    fn enter(&mut self, name: CString, fd: OwnedFd) -> Result<()> {
        let id = Id::of(fd.as_fd()).map_err(|errno| self.failed(errno.into(), Some(&name)))?;
        let open = Some(OpenLevel {
            fd,
            pending: Vec::new(),
        });
        self.levels.push(Level {
            name,
            id,
            open,
            tries: 0,
        });
        if let Some(beyond) = self.levels.len().checked_sub(OPEN_LEVELS + 1) {
            // What it had pending will be listed again.
            self.levels[beyond].open = None;
        }
        Ok(())
    }

    /// Removes the innermost level itself, now that a pass over it found nothing more.
    fn leave(&mut self) -> Result<()> {
        let Some(level) = self.levels.pop() else {
            return Ok(());
        };
        let removed = match self.levels.last_mut() {
            None => self.top.rmdir(),
            Some(above) => {
                if above.open.is_none() {
                    above.open = level
                        .open
                        .as_ref()
                        .and_then(|below| reopen(below, above.id));
                }
                match (&above.open, Leaf::listed(&level.name)) {
                    (Some(above), Some(leaf)) => At::new(above.fd.as_fd(), &leaf).rmdir(),
                    // Found again by `step`, and listed again from its start.
                    _ => return Ok(()),
                }
            }
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => {
                self.done = self.levels.is_empty();
                Ok(())
            }
            // Something else has the name by now: what is listed next will tell.
            Err(Errno::NOTDIR) => Ok(()),
            Err(errno @ (Errno::NOTEMPTY | Errno::EXIST)) => self.look_again(level, errno),
            Err(errno) => {
                let failure = Failure::from(errno).at("rmdir");
                Err(self.failed(failure, Some(&level.name)))
            }
        }
    }

    /// Reads a level from its start: others put something there, or the listing skipped entries
    /// because others were removed under it.
    fn look_again(&mut self, mut level: Level, errno: Errno) -> Result<()> {
        level.tries += 1;
        let rewound = match &level.open {
            _ if level.tries == TRIES => Err(errno),
            Some(open) => rustix::fs::seek(&open.fd, SeekFrom::Start(0)),
            None => Ok(0),
        };
        if let Err(errno) = rewound {
            let failure = Failure::from(errno).at("rmdir");
            return Err(self.failed(failure, Some(&level.name)));
        }
        self.levels.push(level);
        Ok(())
    }

    /// The innermost level is closed and `..` no longer leads to it, so something was moved. Goes
    /// down from the top as far as every level is still what it was, and carries on there.
    fn find_again(&mut self) -> Result<()> {
        self.moved += 1;
        if self.moved == TRIES {
            return Err(self.failed(Failure::from(Errno::BUSY).at("rmdir"), None));
        }
        let mut found: Option<OwnedFd> = None;
        let mut depth = 0;
        for level in &self.levels {
            let here = match (&found, Leaf::listed(&level.name)) {
                (None, _) => self.top.open_directory(),
                (Some(above), Some(leaf)) => At::new(above.as_fd(), &leaf).open_directory(),
                (Some(_), None) => break,
            };
            match here {
                Ok(fd) if Id::of(fd.as_fd()) == Ok(level.id) => found = Some(fd),
                _ => break,
            }
            depth += 1;
        }
        self.levels.truncate(depth);
        if let (Some(level), Some(fd)) = (self.levels.last_mut(), found) {
            level.open = Some(OpenLevel {
                fd,
                pending: Vec::new(),
            });
        }
        Ok(())
    }

    /// The error of this removal for `name` in the innermost level.
    fn failed(&self, failure: Failure, name: Option<&CStr>) -> Error {
        let inner = self
            .levels
            .iter()
            .map(|level| level.name.as_c_str())
            .chain(name);
        let inner: Vec<&[u8]> = inner
            .map(CStr::to_bytes)
            .filter(|name| !name.is_empty())
            .collect();
        let mut error = Call::on("rm", self.path).failed(failure);
        if !inner.is_empty() {
            error.path = Some(self.path.join(&inner.join(&b'/')));
        }
        error
    }
}

/// Opens the level above by `..`: `None` if that is not the directory it was.
fn reopen(below: &OpenLevel, id: Id) -> Option<OpenLevel> {
    let fd = open_parent(below.fd.as_fd()).ok()?;
    (Id::of(fd.as_fd()) == Ok(id)).then_some(OpenLevel {
        fd,
        pending: Vec::new(),
    })
}

enum Progress {
    More,
    End,
}

/// Lists one bufferful: files are removed at once, directories are noted.
fn remove_listed(
    open: &mut OpenLevel,
    listing: &mut [MaybeUninit<u8>],
) -> Result<Progress, (Failure, Option<CString>)> {
    let mut entries = RawDir::new(open.fd.as_fd(), listing);
    loop {
        // Whatever was listed is dealt with before the listing is left.
        if !open.pending.is_empty() && entries.is_buffer_empty() {
            return Ok(Progress::More);
        }
        let entry = match entries.next() {
            Some(Ok(entry)) => entry,
            // The end; or somebody else has removed the directory that is being read.
            None | Some(Err(Errno::NOENT)) => return Ok(Progress::End),
            Some(Err(errno)) => return Err((Failure::from(errno).at("scandir"), None)),
        };
        let name = entry.file_name();
        let Some(leaf) = Leaf::listed(name) else {
            continue;
        };
        if entry.file_type() == FileType::Directory {
            open.pending.push(name.to_owned());
            continue;
        }
        match remove_one(At::new(open.fd.as_fd(), &leaf), entry.file_type()) {
            Ok(Outcome::Gone) => {}
            // It became a directory since it was listed: removed as one, in its turn.
            Ok(Outcome::Entered(_)) => open.pending.push(name.to_owned()),
            Err(failure) => return Err((failure, Some(name.to_owned()))),
        }
    }
}

/// Removes the name, whatever it is or becomes meanwhile, unless it is a directory with something
/// in it: that is opened.
///
/// What flips between file and directory is tried as both, with a rest in between: whoever flips it
/// waits for the same lock, and so may be in step with us.
fn remove_one(at: At<'_>, expected: FileType) -> Result<Outcome, Failure> {
    let mut failure = Failure::from(Errno::BUSY);
    let directory_first = expected == FileType::Directory;
    for round in 0..TRIES {
        for as_directory in [directory_first, !directory_first] {
            let tried = match as_directory {
                true => remove_directory(at),
                false => remove_file(at),
            };
            failure = match tried {
                Ok(outcome) => return Ok(outcome),
                Err(failure) => failure,
            };
            if !matches!(failure.errno, Errno::ISDIR | Errno::NOTDIR | Errno::LOOP) {
                return Err(failure);
            }
        }
        thread::sleep(Duration::from_micros(round.into()));
    }
    Err(failure)
}

/// `rmdir` is tried before anything in the directory is looked at, so that a mount point says
/// `EBUSY` with nothing beneath it touched.
fn remove_directory(at: At<'_>) -> Result<Outcome, Failure> {
    match at.rmdir() {
        Ok(()) | Err(Errno::NOENT) => Ok(Outcome::Gone),
        Err(Errno::NOTEMPTY | Errno::EXIST) => match at.open_directory() {
            Ok(fd) => Ok(Outcome::Entered(fd)),
            Err(Errno::NOENT) => Ok(Outcome::Gone),
            Err(errno) => Err(Failure::from(errno).at("scandir")),
        },
        Err(errno) => Err(Failure::from(errno).at("rmdir")),
    }
}

fn remove_file(at: At<'_>) -> Result<Outcome, Failure> {
    match at.unlink() {
        Ok(()) | Err(Errno::NOENT) => Ok(Outcome::Gone),
        // Some file systems say of a directory that removing it is not permitted.
        Err(Errno::PERM) if is_directory(at) => Err(Errno::ISDIR.into()),
        Err(errno) => Err(Failure::from(errno).at("unlink")),
    }
}
