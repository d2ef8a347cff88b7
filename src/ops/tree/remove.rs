//! `rm`: removing a name, or a whole tree.
//!
//! A symlink is removed and never entered. A directory is read until a pass over it finds nothing.

use std::ffi::{CStr, CString};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FileType, SeekFrom};
use rustix::io::Errno;

use crate::at::At;
use crate::error::{Call, Error, Failure, Result};
use crate::ops::entry::{NOT_REMOVED, directory_or_link_refused};
use crate::ops::listing::{Listing, Read};
use crate::ops::tree::levels::{Above, Level, Levels, OPEN_LEVELS_SHARED};
use crate::ops::tree::parallel::{MANY, with_second_thread};
use crate::path::{Leaf, UserPath};
use crate::resolve::{Place, Root};
use crate::retry::{TRIES, rest};
use crate::watch::Watch;

/// Removes a file, a symlink itself, or, with `recursive`, a directory and all that is in it.
/// `force`: a path that is not there is fine.
pub fn remove(
    root: &Root,
    path: &UserPath,
    recursive: bool,
    force: bool,
    watch: &Watch,
) -> Result<()> {
    let call = Call::on("rm", path);
    // Node looks at the path first and says so, unless it was told to remove whatever is there.
    let lookup = match recursive && force {
        true => "unlink",
        false => "lstat",
    };
    let not_found = |failure: Failure| match failure.errno {
        Errno::NOENT if force && !path.as_bytes().is_empty() => Ok(()),
        Errno::BUSY | Errno::INVAL => Err(call.failed(failure)),
        _ => Err(call.failed(failure.at(lookup))),
    };
    if let Err(failure) = root.for_change()
        && failure.errno == Errno::ROFS
    {
        return Err(call.failed(failure));
    }
    let entry = match root.entry(path, NOT_REMOVED) {
        Ok(entry) => entry,
        Err(failure) => return not_found(failure),
    };
    if entry.wants_directory()
        && let Err(failure) = directory_or_link_refused(Place { root, path }, &entry, Errno::NOTDIR)
    {
        return not_found(failure);
    }
    if entry.wants_directory() {
        // Never anything but a directory, whatever has the name by now.
        return match recursive {
            true => Removal::of_directory(root, path, entry.at(), watch),
            false => Err(call.failed(Errno::ISDIR.into())),
        };
    }
    for round in 0..TRIES {
        let Err(errno) = entry.at().unlink() else {
            watch.entry_done();
            return Ok(());
        };
        match entry
            .at()
            .lstat()
            .map(|stat| FileType::from_raw_mode(stat.st_mode))
        {
            Err(errno) => return not_found(errno.into()),
            Ok(FileType::Directory) if recursive => {
                return Removal::of_tree(root, path, entry.at(), watch);
            }
            Ok(FileType::Directory) => return Err(call.failed(Errno::ISDIR.into())),
            // It was a directory a moment ago, and is none now.
            Ok(_) if errno == Errno::ISDIR => rest(round),
            Ok(_) => return Err(call.failed(Failure::from(errno).at("unlink"))),
        }
    }
    Err(call.failed(Failure::from(Errno::BUSY).at("unlink")))
}

/// The root for removing a tree. Mounts of another namespace are known to openat2 alone: none is entered.
fn strict(root: &Root, path: &UserPath) -> Result<Root> {
    Call::on("rm", path).run(|| root.without_mounts())
}

fn is_directory(at: At<'_>) -> bool {
    at.lstat()
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// What is known of a directory on the way down.
#[derive(Default)]
struct DirectoryState {
    /// Directories that were listed and are still to be removed.
    pending: Vec<CString>,
    /// How often its end was reached and something was still in it.
    tries: u32,
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
    root: &'a Root,
    path: &'a UserPath,
    top: At<'a>,
    watch: &'a Watch,
    levels: Levels<DirectoryState>,
    listing: Listing,
    /// How often a level was not where it had been.
    moved: u32,
    /// Whether the top itself is removed.
    done: bool,
    /// The way from the path to the top, where that is a part of the tree.
    way: Vec<u8>,
    /// Whether directories may be emptied by two threads at a time.
    in_parallel: bool,
}

impl<'a> Removal<'a> {
    fn new(root: &'a Root, path: &'a UserPath, top: At<'a>, watch: &'a Watch) -> Self {
        Self {
            root,
            path,
            top,
            watch,
            levels: Levels::default(),
            listing: Listing::default(),
            moved: 0,
            done: false,
            way: Vec::new(),
            in_parallel: true,
        }
    }

    /// Removes what has the name `top`: a tree, or whatever it becomes meanwhile.
    fn of_tree(root: &Root, path: &UserPath, top: At<'_>, watch: &Watch) -> Result<()> {
        let strict = strict(root, path)?;
        Removal::new(&strict, path, top, watch).run(remove_one)
    }

    /// Removes the directory `top`, and nothing else that gets its name meanwhile.
    fn of_directory(root: &Root, path: &UserPath, top: At<'_>, watch: &Watch) -> Result<()> {
        let strict = strict(root, path)?;
        Removal::new(&strict, path, top, watch).run(|root, at, _, _| remove_directory(root, at))
    }

    /// Of a part of a tree, at the end of `way`, by one of two threads.
    fn of_part(
        root: &'a Root,
        path: &'a UserPath,
        way: Vec<u8>,
        top: At<'a>,
        watch: &'a Watch,
    ) -> Self {
        Self {
            way,
            in_parallel: false,
            levels: Levels::sharing(),
            ..Self::new(root, path, top, watch)
        }
    }

    /// Begins at the top by `remove_top`.
    fn run(
        mut self,
        remove_top: impl Fn(&Root, At<'_>, FileType, &Watch) -> Result<Outcome, Failure>,
    ) -> Result<()> {
        // More than once only if the top was moved: what has its name then is the tree to remove.
        for _ in 0..TRIES {
            match remove_top(self.root, self.top, FileType::Directory, self.watch) {
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
        let Some(level) = self.levels.innermost_mut() else {
            return Ok(());
        };
        if self.in_parallel && level.state.pending.len() >= MANY {
            let names = std::mem::take(&mut level.state.pending);
            let way = self.levels.path_of(None);
            let kept = self.levels.keep_open(OPEN_LEVELS_SHARED);
            kept.map_err(|errno| self.failed(errno.into(), None))?;
            return match self.levels.innermost().and_then(Level::fd) {
                Some(dir) => remove_by_two(self.root, self.path, &way, dir, names, self.watch),
                None => Ok(()),
            };
        }
        if let Some(name) = level.state.pending.pop() {
            let entered = match (level.fd(), Leaf::listed(&name)) {
                (Some(fd), Some(leaf)) => remove_one(
                    self.root,
                    At::new(fd, &leaf),
                    FileType::Directory,
                    self.watch,
                ),
                _ => Ok(Outcome::Gone),
            };
            return match entered {
                Ok(Outcome::Gone) => Ok(()),
                Ok(Outcome::Entered(fd)) => self.enter(name, fd),
                Err(failure) => Err(self.failed(failure, Some(&name))),
            };
        }
        match remove_listed(self.root, level, &mut self.listing, self.watch) {
            Ok(Read::More) => Ok(()),
            Ok(Read::End) => self.leave(),
            Err(NameFailure { failure, name }) => Err(self.failed(failure, name.as_deref())),
        }
    }

    fn enter(&mut self, name: CString, fd: OwnedFd) -> Result<()> {
        let entered = self
            .levels
            .enter(Level::new(name, fd, DirectoryState::default()));
        entered.map_err(|errno| self.failed(errno.into(), None))
    }

    /// Removes the innermost level itself, now that a pass over it found nothing more.
    fn leave(&mut self) -> Result<()> {
        let Some((left, above)) = self.levels.leave(self.root) else {
            return Ok(());
        };
        if above == Above::Lost {
            return self.find_again();
        }
        let removed = match (self.levels.innermost_mut(), Leaf::listed(&left.name)) {
            (None, _) => self.top.rmdir(),
            (Some(level), Some(leaf)) => {
                if above == Above::Reopened {
                    // It is listed again, and so is what it had pending.
                    level.state.pending.clear();
                }
                match level.fd() {
                    Some(fd) => At::new(fd, &leaf).rmdir(),
                    None => Ok(()),
                }
            }
            (Some(_), None) => Ok(()),
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => {
                self.watch.entry_done();
                self.done = self.levels.is_empty();
                Ok(())
            }
            // Something else has the name by now: what is listed next will tell.
            Err(Errno::NOTDIR) => Ok(()),
            Err(errno @ (Errno::NOTEMPTY | Errno::EXIST)) => self.look_again(left, errno),
            Err(errno) => {
                let failure = Failure::from(errno).at("rmdir");
                Err(self.failed(failure, Some(&left.name)))
            }
        }
    }

    /// Reads a level from its start: others put something there, or the listing skipped entries
    /// because others were removed under it.
    fn look_again(&mut self, mut level: Level<DirectoryState>, errno: Errno) -> Result<()> {
        level.state.tries += 1;
        let rewound = match level.fd() {
            _ if level.state.tries == TRIES => Err(errno),
            Some(fd) => rustix::fs::seek(fd, SeekFrom::Start(0)),
            None => Ok(0),
        };
        if let Err(errno) = rewound {
            let failure = Failure::from(errno).at("rmdir");
            return Err(self.failed(failure, Some(&level.name)));
        }
        let entered = self.levels.enter(level);
        entered.map_err(|errno| self.failed(errno.into(), None))
    }

    /// Something was moved: the work goes on where every level is still what it was.
    fn find_again(&mut self) -> Result<()> {
        self.moved += 1;
        if self.moved == TRIES {
            return Err(self.failed(Failure::from(Errno::BUSY).at("rmdir"), None));
        }
        self.levels.find_again(self.root);
        if let Some(level) = self.levels.innermost_mut() {
            level.state.pending.clear();
        }
        Ok(())
    }

    /// The error of this removal for `name` in the innermost level.
    fn failed(&self, failure: Failure, name: Option<&CStr>) -> Error {
        let mut way = self.way.clone();
        let below = self.levels.path_of(name);
        if !way.is_empty() && !below.is_empty() {
            way.push(b'/');
        }
        way.extend_from_slice(&below);
        Call::on("rm", self.path).failed_at(failure, &way)
    }
}

/// Removes directories that are beside each other in `dir`, two at a time.
fn remove_by_two(
    root: &Root,
    path: &UserPath,
    way: &[u8],
    dir: BorrowedFd<'_>,
    names: Vec<CString>,
    watch: &Watch,
) -> Result<()> {
    let names = Mutex::new(names);
    let next = || names.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let work = || {
        while let Some(name) = next() {
            let Some(leaf) = Leaf::listed(&name) else {
                continue;
            };
            let way = [way, name.to_bytes()]
                .into_iter()
                .filter(|part| !part.is_empty());
            let way = way.collect::<Vec<_>>().join(&b'/');
            let removed =
                Removal::of_part(root, path, way, At::new(dir, &leaf), watch).run(remove_one);
            if removed.is_err() {
                // The other thread has nothing more to begin.
                names.lock().unwrap_or_else(PoisonError::into_inner).clear();
                return removed;
            }
        }
        Ok(())
    };
    let (first, second) = with_second_thread(work, work);
    first.and(second)
}

/// A failure, and the name that it is about where it is not the directory itself.
struct NameFailure {
    failure: Failure,
    name: Option<CString>,
}

impl From<Errno> for NameFailure {
    fn from(errno: Errno) -> Self {
        let failure = Failure::from(errno).at("scandir");
        let name = None;
        Self { failure, name }
    }
}

/// Lists one bufferful: files are removed at once, directories are noted.
fn remove_listed(
    root: &Root,
    level: &mut Level<DirectoryState>,
    listing: &mut Listing,
    watch: &Watch,
) -> Result<Read, NameFailure> {
    let mut directories = Vec::new();
    let done = level.fd().map_or(Ok(Read::End), |dir| {
        remove_files(root, dir, listing, watch, &mut directories)
    });
    level.state.pending.append(&mut directories);
    done
}

fn remove_files(
    root: &Root,
    dir: BorrowedFd<'_>,
    listing: &mut Listing,
    watch: &Watch,
    directories: &mut Vec<CString>,
) -> Result<Read, NameFailure> {
    listing.read(dir, |name, kind| {
        let Some(leaf) = Leaf::listed(name) else {
            return Ok(());
        };
        if kind == FileType::Directory {
            directories.push(name.to_owned());
            return Ok(());
        }
        match remove_one(root, At::new(dir, &leaf), kind, watch) {
            Ok(Outcome::Gone) => {}
            // It became a directory since it was listed: removed as one, in its turn.
            Ok(Outcome::Entered(_)) => directories.push(name.to_owned()),
            Err(failure) => {
                let name = Some(name.to_owned());
                return Err(NameFailure { failure, name });
            }
        }
        Ok(())
    })
}

/// Removes the name, whatever it is or becomes meanwhile, unless it is a directory with something
/// in it: that is opened.
///
/// What flips between file and directory is tried as both, with a rest in between. It may flip at each of
/// our calls, since they wait for one lock: so it is not always the same that is tried first.
fn remove_one(
    root: &Root,
    at: At<'_>,
    expected: FileType,
    watch: &Watch,
) -> Result<Outcome, Failure> {
    watch.check()?;
    let mut failure = Failure::from(Errno::BUSY);
    let directory_first = expected == FileType::Directory;
    for round in 0..TRIES {
        let first = directory_first == (round % 2 == 0);
        for as_directory in [first, !first] {
            let tried = match as_directory {
                true => remove_directory(root, at),
                false => remove_file(at),
            };
            failure = match tried {
                Ok(Outcome::Gone) => {
                    watch.entry_done();
                    return Ok(Outcome::Gone);
                }
                Ok(entered) => return Ok(entered),
                Err(failure) => failure,
            };
            if !matches!(failure.errno, Errno::ISDIR | Errno::NOTDIR | Errno::LOOP) {
                return Err(failure);
            }
        }
        rest(round);
    }
    Err(failure)
}

/// `rmdir` is tried before anything in the directory is looked at, so that a mount point says
/// `EBUSY` with nothing beneath it touched.
fn remove_directory(root: &Root, at: At<'_>) -> Result<Outcome, Failure> {
    match at.rmdir() {
        Ok(()) | Err(Errno::NOENT) => Ok(Outcome::Gone),
        Err(Errno::NOTEMPTY | Errno::EXIST) => match root.listing_at(at) {
            Ok(fd) => Ok(Outcome::Entered(fd)),
            Err(failure) => match failure.errno {
                Errno::NOENT => Ok(Outcome::Gone),
                // Something is mounted there.
                _ if failure.is_elsewhere() => Err(Failure::from(Errno::BUSY).at("rmdir")),
                _ => Err(failure.at("scandir")),
            },
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
