//! Removing what a record knows, and nothing else: what a `move` has copied, or what it made and failed
//! to publish.
//!
//! Each entry is compared with the record before it is removed by its name. Between the two calls somebody
//! may put another in its place: the kernel removes by name alone.

use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, SeekFrom};
use rustix::io::Errno;

use crate::at::At;
use crate::error::{Failure, MOST_ENTRIES, Result};
use crate::ops::listing::{Listing, Read};
use crate::ops::metadata::chmod_fd;
use crate::ops::tree::copy_entry::kind_of;
use crate::ops::tree::levels::{Above, Id, Level, Levels};
use crate::ops::tree::record::{Listed, Record, State};
use crate::path::{Leaf, UserPath};
use crate::resolve::{Root, is_local};
use crate::retry::TRIES;

/// What is removed.
#[derive(Clone, Copy)]
pub enum Guard<'a> {
    /// What was copied, and is as it was then.
    Copied(&'a Record),
    /// What was made.
    Made(&'a Record),
}

/// What was not removed.
#[derive(Default)]
pub struct Left {
    /// Why the first of it was not, where that is not because the record does not know it.
    pub failure: Option<Failure>,
    /// The paths of it, up to [`MOST_ENTRIES`].
    pub paths: Vec<Vec<u8>>,
}

/// Removes what has the name `top` in a tree of `root`; what is left is called by its `path`. False if somebody
/// else removed `top` itself before.
pub fn remove_recorded(
    root: &Root,
    path: &UserPath,
    top: At<'_>,
    guard: Guard<'_>,
) -> Result<bool, Left> {
    let mut removal = Removal {
        root,
        path,
        top,
        guard,
        levels: Levels::default(),
        listing: Listing::default(),
        left: Left::default(),
        moved: 0,
        is_removed: false,
    };
    removal.run();
    match removal.left.paths.is_empty() {
        true => Ok(removal.is_removed),
        false => Err(removal.left),
    }
}

struct Removal<'a> {
    root: &'a Root,
    path: &'a UserPath,
    top: At<'a>,
    guard: Guard<'a>,
    levels: Levels<Directory>,
    listing: Listing,
    left: Left,
    /// How often a level was not where it had been.
    moved: u32,
    /// Whether the top itself was removed by this.
    is_removed: bool,
}

/// What is known of a directory on the way down.
struct Directory {
    id: Id,
    /// Directories that were listed and are still to be removed.
    pending: Vec<CString>,
    /// Whether something in it is left.
    keeps: bool,
    /// Directories in it that are left: none is entered twice when the listing begins anew.
    left: HashSet<CString>,
    /// How often its end was reached and something was still in it.
    tries: u32,
}

/// What became of a name.
enum Outcome {
    Removed,
    /// Somebody else removed it.
    Gone,
    /// It is a directory that is to be emptied, and now open.
    Entered(OwnedFd, Id),
    /// It is left; `None`: since the record does not know it.
    Kept(Option<Failure>),
}

impl Removal<'_> {
    fn run(&mut self) {
        let top = self.top;
        let kind = top.lstat().map_or(FileType::Unknown, |stat| kind_of(&stat));
        // In a record, the top has no directory that it is in, and a directory there no name.
        let name = match kind {
            FileType::Directory => c"",
            _ => top.parts().1,
        };
        match self.remove(top, Listed { parent: None, name }) {
            Outcome::Removed => self.is_removed = true,
            Outcome::Gone => {}
            Outcome::Entered(fd, id) => self.enter(CString::default(), fd, id),
            Outcome::Kept(failure) => self.keep(failure, None),
        }
        while !self.levels.is_empty() {
            self.step();
        }
    }

    /// Takes down that something is left: `name` in the innermost level, or that itself.
    fn keep(&mut self, failure: Option<Failure>, name: Option<&CStr>) {
        if let Some(level) = self.levels.innermost_mut() {
            level.state.keeps = true;
        }
        let way = self.levels.path_of(name);
        let path = match way.is_empty() {
            true => self.path.as_bytes().to_vec(),
            false => self.path.join(&way),
        };
        if self.left.paths.is_empty() {
            self.left.failure = failure;
        }
        if self.left.paths.len() < MOST_ENTRIES && !self.left.paths.contains(&path) {
            self.left.paths.push(path);
        }
    }

    /// Takes down that the directory `name` in the innermost level is left.
    fn keep_directory(&mut self, failure: Option<Failure>, name: CString) {
        self.keep(failure, Some(&name));
        self.never_again(name);
    }

    /// The directory `name` in the innermost level is not entered again.
    fn never_again(&mut self, name: CString) {
        if let Some(level) = self.levels.innermost_mut() {
            level.state.keeps = true;
            level.state.left.insert(name);
        }
    }

    fn enter(&mut self, name: CString, fd: OwnedFd, id: Id) {
        let state = Directory {
            id,
            pending: Vec::new(),
            keeps: false,
            left: HashSet::new(),
            tries: 0,
        };
        if let Err(errno) = self.levels.enter(Level::new(name, fd, state)) {
            self.keep(Some(errno.into()), None);
        }
    }

    /// Removes a bufferful of entries from the innermost level, or enters or leaves it.
    fn step(&mut self) {
        let Some(level) = self.levels.innermost_mut() else {
            return;
        };
        let parent = Some(level.state.id);
        if let Some(name) = level.state.pending.pop() {
            let outcome = match (level.fd(), Leaf::listed(&name)) {
                (Some(fd), Some(leaf)) => {
                    let dir = rustix::io::fcntl_dupfd_cloexec(fd, 0);
                    match dir {
                        Ok(dir) => {
                            let listed = Listed {
                                parent,
                                name: &name,
                            };
                            self.remove(At::new(dir.as_fd(), &leaf), listed)
                        }
                        Err(errno) => Outcome::Kept(Some(errno.into())),
                    }
                }
                _ => Outcome::Gone,
            };
            match outcome {
                Outcome::Removed | Outcome::Gone => {}
                Outcome::Entered(fd, id) => self.enter(name, fd, id),
                Outcome::Kept(failure) => self.keep_directory(failure, name),
            }
            return;
        }
        let mut directories = Vec::new();
        let mut kept = Vec::new();
        let (root, guard) = (self.root, self.guard);
        let left = &level.state.left;
        let read = match level.fd() {
            Some(dir) => self.listing.read(dir, |name, kind| {
                let Some(leaf) = Leaf::listed(name) else {
                    return Ok::<_, Errno>(());
                };
                if left.contains(name) {
                    return Ok(());
                }
                if kind == FileType::Directory {
                    directories.push(name.to_owned());
                    return Ok(());
                }
                let at = At::new(dir, &leaf);
                match remove_one(root, guard, at, Listed { parent, name }) {
                    Outcome::Removed | Outcome::Gone => {}
                    Outcome::Entered(..) => directories.push(name.to_owned()),
                    Outcome::Kept(failure) => kept.push((name.to_owned(), failure)),
                }
                Ok(())
            }),
            None => Ok(Read::End),
        };
        level.state.pending = directories;
        let is_done = level.state.pending.is_empty() && read == Ok(Read::End);
        for (name, failure) in kept {
            self.keep(failure, Some(&name));
        }
        if let Err(errno) = read {
            self.keep(Some(Failure::from(errno).at("scandir")), None);
        }
        if is_done || read.is_err() {
            self.leave();
        }
    }

    /// Removes the innermost level itself, now that nothing more is to be removed in it.
    fn leave(&mut self) {
        let Some((left, above)) = self.levels.leave(self.root) else {
            return;
        };
        if above == Above::Lost {
            self.moved += 1;
            self.keep(None, Some(&left.name));
            if self.moved == TRIES {
                self.levels = Levels::default();
                return;
            }
            self.levels.find_again(self.root);
            if let Some(level) = self.levels.innermost_mut() {
                level.state.pending.clear();
            }
            return;
        }
        if above == Above::Reopened
            && let Some(level) = self.levels.innermost_mut()
        {
            // It is listed again, and so is what it had pending.
            level.state.pending.clear();
        }
        if left.state.keeps {
            self.never_again(left.name);
            return;
        }
        let removed = match (self.levels.innermost_mut(), Leaf::listed(&left.name)) {
            (None, _) => remove_empty(self.top, left.state.id),
            (Some(level), Some(leaf)) => {
                let done = level
                    .fd()
                    .map(|fd| remove_empty(At::new(fd, &leaf), left.state.id));
                done.unwrap_or(Ok(()))
            }
            (Some(_), None) => Ok(()),
        };
        match removed {
            Ok(()) => self.is_removed = self.levels.is_empty(),
            Err(Errno::NOENT) => {}
            Err(Errno::NOTEMPTY | Errno::EXIST) => self.look_again(left),
            Err(errno) => {
                self.keep_directory(Some(Failure::from(errno).at("rmdir")), left.name);
            }
        }
    }

    /// Reads a level from its start: others put something there, or the listing skipped entries because
    /// others were removed under it.
    fn look_again(&mut self, mut level: Level<Directory>) {
        level.state.tries += 1;
        let rewound = match level.fd() {
            _ if level.state.tries == TRIES => Err(Errno::NOTEMPTY),
            Some(fd) => rustix::fs::seek(fd, SeekFrom::Start(0)).map(drop),
            None => Ok(()),
        };
        let name = level.name.clone();
        if let Err(errno) = rewound.and_then(|()| self.levels.enter(level)) {
            self.keep_directory(Some(Failure::from(errno).at("rmdir")), name);
        }
    }

    fn remove(&self, at: At<'_>, listed: Listed<'_>) -> Outcome {
        remove_one(self.root, self.guard, at, listed)
    }
}

/// Removes a name, if the record knows it; a directory that it knows is opened.
fn remove_one(root: &Root, guard: Guard<'_>, at: At<'_>, listed: Listed<'_>) -> Outcome {
    let state = match State::of(at) {
        Ok(state) => state,
        Err(Errno::NOENT) => return Outcome::Gone,
        Err(errno) => return Outcome::Kept(Some(errno.into())),
    };
    if FileType::from_raw_mode(state.mode) == FileType::Directory {
        return match open_known(root, guard, at, listed) {
            Ok(Some((fd, id))) => Outcome::Entered(fd, id),
            Ok(None) => Outcome::Kept(None),
            Err(failure) if failure.errno == Errno::NOENT => Outcome::Gone,
            // Something is mounted there.
            Err(failure) if failure.is_elsewhere() => {
                Outcome::Kept(Some(Failure::from(Errno::BUSY).at("rmdir")))
            }
            Err(failure) => Outcome::Kept(Some(failure)),
        };
    }
    let removed = match guard {
        Guard::Copied(record) if record.had_names(state.id) => {
            match remove_name(root, record, at, listed, &state) {
                Ok(removed) => removed,
                Err(failure) if failure.errno == Errno::NOENT => return Outcome::Gone,
                Err(failure) => return Outcome::Kept(Some(failure)),
            }
        }
        Guard::Copied(record) => record.is_copied(listed, &state).then(|| at.unlink()),
        Guard::Made(record) => record
            .made_id_at(at)
            .is_ok_and(|id| record.is_made(id))
            .then(|| at.unlink()),
    };
    match removed {
        // Where somebody removed it this moment, it was described without a name.
        None if at.is_gone() => Outcome::Gone,
        None => Outcome::Kept(None),
        Some(Ok(())) => Outcome::Removed,
        Some(Err(Errno::NOENT)) => Outcome::Gone,
        Some(Err(errno)) => Outcome::Kept(Some(Failure::from(errno).at("unlink"))),
    }
}

/// Removes a name of a file that had several, if the record knows it. That changes the file: a change by others would
/// show no more. So the file is compared by its descriptor, and the next call removes the name.
fn remove_name(
    root: &Root,
    record: &Record,
    at: At<'_>,
    listed: Listed<'_>,
    state: &State,
) -> Result<Option<rustix::io::Result<()>>, Failure> {
    if !record.is_copied(listed, state) {
        return Ok(None);
    }
    let handle = match FileType::from_raw_mode(state.mode) {
        FileType::RegularFile => {
            let content = root.content_at(at)?;
            if !record.has_same_attributes(state.id, content.fd()) {
                return Ok(None);
            }
            match is_local(content.fd()) {
                true => content.into_fd(),
                // Some file systems (of libfuse) rename a file that is open, instead of removing it.
                false => root.symlink_at(at)?,
            }
        }
        _ => root.symlink_at(at)?,
    };
    let is_local = is_local(handle.as_fd());
    let before = State::of_open(handle.as_fd())?;
    if !record.is_copied(listed, &before) {
        return Ok(None);
    }
    let removed = at.unlink();
    if removed.is_ok() {
        record.name_removed(&before, State::of_open(handle.as_fd()).ok(), is_local);
    }
    Ok(Some(removed))
}

/// Opens a directory that the record knows.
fn open_known(
    root: &Root,
    guard: Guard<'_>,
    at: At<'_>,
    listed: Listed<'_>,
) -> Result<Option<(OwnedFd, Id)>, Failure> {
    let is_known = |fd: BorrowedFd<'_>| match guard {
        Guard::Copied(record) => record.is_directory_copied(listed, fd),
        Guard::Made(record) => Ok(record.is_made(record.made_id(fd)?)),
    };
    if let Guard::Made(_) = guard {
        // It may have got its final mode already, which may forbid even its owner to empty it.
        let handle = root.handle_at(at)?;
        if !is_known(handle.as_fd())? {
            return Ok(None);
        }
        let _ = chmod_fd(handle.as_fd(), Mode::RWXU);
    }
    let fd = root.listing_at(at)?;
    match is_known(fd.as_fd())? {
        true => {
            let id = Id::of(fd.as_fd())?;
            Ok(Some((fd, id)))
        }
        false => Ok(None),
    }
}

/// Removes an empty directory, if it is `id`.
fn remove_empty(at: At<'_>, id: Id) -> rustix::io::Result<()> {
    match Id::from(&at.lstat()?) == id {
        true => at.rmdir(),
        false => Err(Errno::BUSY),
    }
}
