//! Going through a tree: what `readdir`, `walk` and `cp` go by.
//!
//! A symlink is found and never entered. On a local file system a directory is read in batches, and the
//! subdirectories of a batch are visited before the next one is read: the memory for it is bounded by the depth.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FileType, SeekFrom};
use rustix::io::Errno;

use crate::at::At;
use crate::error::{Call, Error, Failure};
use crate::memory::reserve;
use crate::ops::listing::{Listing, Read, known_type};
use crate::ops::tree::levels::{Above, Dropped, Level, Levels, OPEN_LEVELS, OPEN_LEVELS_SHARED};
use crate::ops::tree::parallel::{MANY, with_second_thread};
use crate::path::Leaf;
use crate::policy::Allowed;
use crate::resolve::{Root, is_local};
use crate::retry::{TRIES, rest};
use crate::watch::Watch;

/// Something that was found in a tree.
pub struct WalkEntry<'a> {
    /// Where it is.
    pub at: At<'a>,
    /// Its name.
    pub name: &'a CStr,
    /// What it is, by the listing.
    pub kind: FileType,
    /// The way from the top to the directory that it is in: empty for the top.
    pub way: &'a [u8],
    /// How far down it is: 1 in the top.
    pub depth: usize,
}

/// Whether a directory is gone into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Down {
    /// It is.
    Enter,
    /// It is not.
    Stay,
}

/// Who goes through a tree.
pub trait Visitor {
    /// A name was found; the answer is `Stay` for anything but a directory.
    fn found(&mut self, found: &WalkEntry<'_>) -> Result<Down, Failure>;

    /// The directory `name` at the end of `way` is opened next, unless this fails.
    fn enters(&mut self, _way: &[u8], _name: &CStr) -> Result<(), Failure> {
        Ok(())
    }

    /// The directory was opened, to be gone into.
    fn entered(&mut self, _name: &CStr, _dir: BorrowedFd<'_>) -> Result<(), Failure> {
        Ok(())
    }

    /// All that is in the directory `dir` was found.
    fn left(&mut self, _dir: BorrowedFd<'_>) -> Result<(), Failure> {
        Ok(())
    }

    /// This name is a mount point, and the policy refuses mounts.
    fn mount_point(&mut self, _name: &CStr) -> Result<(), Failure> {
        Ok(())
    }

    /// What was listed under this name is gone: it was removed or renamed since.
    fn vanished(&mut self, _way: &[u8], _name: &CStr) -> Result<(), Failure> {
        Ok(())
    }

    /// Others moved a directory while the walk was in it. The walk goes on in one above it, which is `depth` levels
    /// deep.
    fn lost(&mut self, _depth: usize) -> Result<(), Failure> {
        Ok(())
    }

    /// A second visitor for a part of what is in the innermost directory, by another thread; `None` where
    /// one thread is to find everything, in order.
    fn part(&mut self) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }

    /// Takes in what such a visitor found.
    fn join(&mut self, _part: Self) -> Result<(), Failure>
    where
        Self: Sized,
    {
        Ok(())
    }
}

/// A failure in a tree, and the way from the top to what it is about.
#[derive(Debug)]
pub struct TreeFailure {
    /// What failed.
    pub failure: Failure,
    /// Empty for the top itself.
    pub way: Vec<u8>,
    /// The ways to all that it is about, where that is more than one.
    pub ways: Vec<Vec<u8>>,
    /// What is there, as far as that is known.
    pub kind: FileType,
}

impl TreeFailure {
    /// A failure that is about the top.
    pub fn at_top(failure: impl Into<Failure>) -> Self {
        Self::at(failure.into(), Vec::new())
    }

    /// A failure at the end of `way`, where a directory is.
    pub fn at(failure: Failure, way: Vec<u8>) -> Self {
        Self {
            failure,
            way,
            ways: Vec::new(),
            kind: FileType::Directory,
        }
    }

    /// The error of `call` on trees at its paths.
    pub fn into_error(self, call: &Call<'_>) -> Error {
        call.failed_at(self.failure, &self.way)
            .about(call, &self.ways)
    }
}

impl WalkEntry<'_> {
    /// The way from the top to it.
    pub fn way_to(&self) -> Vec<u8> {
        joined(self.way, self.name.to_bytes())
    }
}

/// What is known of a directory on the way down.
#[derive(Default)]
struct Below {
    /// Directories that were read and are still to be entered, the next one last.
    pending: Vec<CString>,
    /// Where the next bufferful begins, for when the directory has to be opened again.
    position: u64,
    ended: bool,
    /// Whether it is on a local file system, once that was asked.
    is_local: Option<bool>,
}

/// Whether a directory is read to its end before anything in it is entered. Where it is opened again later, its
/// names are counted anew on some file systems, and whatever was removed meanwhile would hide others.
fn reads_on(level: &mut Level<Below>, root: &Root) -> bool {
    if level.state.ended || level.state.pending.is_empty() {
        return false;
    }
    // Beneath a root on a local file system, something on another may be mounted.
    let ask = || root.is_local() && level.fd().is_some_and(is_local);
    let is_local = level.state.is_local.unwrap_or_else(ask);
    level.state.is_local = Some(is_local);
    !is_local
}

/// A way through a tree, a step at a time.
pub struct Walk {
    levels: Levels<Below>,
    listing: Listing,
    /// The way to the innermost level.
    way: Vec<u8>,
    /// The way to the first level, and how far down that is, where this is a part of a walk.
    above: Option<(Vec<u8>, usize)>,
    /// Whether another thread has its part already.
    is_shared: bool,
    /// How often a name was not what it had been listed as, or a level not where it had been.
    surprises: u32,
}

impl Walk {
    /// Begins at the directory `top`, which is open to be read.
    pub fn new(top: OwnedFd) -> Result<Self, Errno> {
        let mut levels = Levels::default();
        levels.enter(Level::new(CString::default(), top, Below::default()))?;
        Ok(Self {
            levels,
            listing: Listing::default(),
            way: Vec::new(),
            above: None,
            is_shared: false,
            surprises: 0,
        })
    }

    /// The part of a walk that goes into the directories `pending` in `dir`, at the end of `way`.
    fn part(
        dir: BorrowedFd<'_>,
        pending: Vec<CString>,
        way: &[u8],
        depth: usize,
    ) -> Result<Self, Errno> {
        // Nothing more is read from it, so that the offset of the two is of no matter.
        let mut walk = Self::new(rustix::io::fcntl_dupfd_cloexec(dir, 0)?)?;
        walk.levels.keep_open(OPEN_LEVELS_SHARED)?;
        if let Some(level) = walk.levels.innermost_mut() {
            level.state.pending = pending;
            level.state.ended = true;
        }
        walk.way = way.to_vec();
        walk.above = Some((way.to_vec(), depth));
        walk.is_shared = true;
        Ok(walk)
    }

    /// Goes through all that is left, with the help of a second thread where that pays.
    pub fn finish(
        &mut self,
        root: &Root,
        visitor: &mut (impl Visitor + Send),
        watch: &Watch,
    ) -> Result<(), TreeFailure> {
        while self.step(root, visitor, watch)? {
            self.share(root, visitor, watch)?;
        }
        Ok(())
    }

    /// Where there are many directories beside each other, another thread takes half of them.
    fn share(
        &mut self,
        root: &Root,
        visitor: &mut (impl Visitor + Send),
        watch: &Watch,
    ) -> Result<(), TreeFailure> {
        let depth = self.depth();
        let Some(level) = self.levels.innermost_mut() else {
            return Ok(());
        };
        if self.is_shared || level.state.pending.len() < MANY || reads_on(level, root) {
            return Ok(());
        }
        let Some(part) = visitor.part() else {
            return Ok(());
        };
        let half = level.state.pending.len() / 2;
        let theirs = level.state.pending.split_off(half);
        let walk = match level.fd() {
            Some(dir) => Self::part(dir, theirs, &self.way, depth - 1),
            None => return Ok(()),
        };
        let theirs = Mutex::new((walk.map_err(TreeFailure::at_top)?, part));
        self.is_shared = true;
        let kept = self.levels.keep_open(OPEN_LEVELS_SHARED);
        kept.map_err(TreeFailure::at_top)?;
        let or_stop = |done: Result<(), TreeFailure>| {
            if done.is_err() {
                // The other half is not worth its while.
                watch.stop();
            }
            done
        };
        let finish = |(walk, part): &mut (Self, _)| or_stop(walk.finish(root, part, watch));
        let (my_end, their_end) = with_second_thread(
            || or_stop(self.finish_level(depth, root, visitor, watch)),
            || finish(&mut theirs.lock().unwrap_or_else(PoisonError::into_inner)),
        );
        self.is_shared = false;
        let kept = self.levels.keep_open(OPEN_LEVELS);
        kept.map_err(TreeFailure::at_top)?;
        let (_, part) = theirs.into_inner().unwrap_or_else(PoisonError::into_inner);
        visitor.join(part).map_err(TreeFailure::at_top)?;
        match (my_end, their_end) {
            // It stopped because the other had failed.
            (Err(mine), Err(theirs)) if mine.failure.errno == Errno::CANCELED => Err(theirs),
            (my_end, their_end) => my_end.and(their_end),
        }
    }

    /// Goes into the directories that are pending at `depth`.
    fn finish_level(
        &mut self,
        depth: usize,
        root: &Root,
        visitor: &mut impl Visitor,
        watch: &Watch,
    ) -> Result<(), TreeFailure> {
        let is_done = |walk: &Self| match walk.levels.innermost() {
            Some(level) => {
                walk.depth() < depth || walk.depth() == depth && level.state.pending.is_empty()
            }
            None => true,
        };
        while !is_done(self) {
            self.step(root, visitor, watch)?;
        }
        Ok(())
    }

    /// How far down what is in the innermost level is: 1 in the top.
    fn depth(&self) -> usize {
        let above = self.above.as_ref().map_or(0, |(_, depth)| *depth);
        above + self.levels.depth()
    }

    /// Of the directories that the last step has found, only those are gone into that are `kept`, in the order in
    /// which they were found.
    pub fn keep(&mut self, kept: &[bool]) {
        let Some(level) = self.levels.innermost_mut() else {
            return;
        };
        let pending = &mut level.state.pending;
        let found = pending.split_off(pending.len().saturating_sub(kept.len()));
        // The one that was found first is the last one.
        let found = found.into_iter().zip(kept.iter().rev());
        pending.extend(found.filter_map(|(name, is_kept)| is_kept.then_some(name)));
    }

    /// Reads a bufferful, or enters or leaves a directory. False at the end. After a failure, what it is about is
    /// left out, and the next step goes on with the rest.
    pub fn step(
        &mut self,
        root: &Root,
        visitor: &mut impl Visitor,
        watch: &Watch,
    ) -> Result<bool, TreeFailure> {
        let depth = self.depth();
        let Some(level) = self.levels.innermost_mut() else {
            return Ok(false);
        };
        let stopped =
            |failure: Failure, way: &[u8], name: &[u8]| TreeFailure::at(failure, joined(way, name));
        watch
            .check()
            .map_err(|errno| stopped(errno.into(), &self.way, b""))?;
        if !reads_on(level, root)
            && let Some(name) = level.state.pending.pop()
        {
            let entered = self.enter(root, visitor, &name);
            entered.map_err(|failure| stopped(failure, &self.way, name.to_bytes()))?;
        } else if !level.state.ended
            && let Some(dir) = level.fd()
        {
            let mut directories = Vec::new();
            let (way, listing) = (&self.way, &mut self.listing);
            let read = listing.read(dir, |name, kind| {
                let Some(leaf) = Leaf::listed(name) else {
                    return Ok(());
                };
                let at = At::new(dir, &leaf);
                let found = match known_type(at, kind) {
                    Err(Errno::NOENT) => visitor.vanished(way, name).map(|()| Down::Stay),
                    Err(errno) => Err(errno.into()),
                    Ok(kind) => visitor.found(&WalkEntry {
                        at,
                        name,
                        kind,
                        way,
                        depth,
                    }),
                };
                match found {
                    Ok(Down::Enter) => directories.push(name.to_owned()),
                    Ok(Down::Stay) => {}
                    Err(failure) => {
                        return Err(Broken::Found(TreeFailure {
                            kind: FileType::Unknown,
                            ..stopped(failure, way, name.to_bytes())
                        }));
                    }
                }
                Ok(())
            });
            directories.reverse();
            level.state.pending.append(&mut directories);
            level.state.position = self.listing.position();
            // What cannot be read any further has come to its end.
            level.state.ended = !matches!(read, Ok(Read::More));
            read.map_err(|broken| match broken {
                Broken::Found(stopped) => stopped,
                Broken::Listing(errno) => stopped(errno.into(), &self.way, b""),
            })?;
        } else {
            let left = self.leave(root, visitor);
            left.map_err(|failure| stopped(failure, &self.way, b""))?;
        }
        Ok(true)
    }

    fn enter(
        &mut self,
        root: &Root,
        visitor: &mut impl Visitor,
        name: &CStr,
    ) -> Result<(), Failure> {
        let depth = self.depth();
        let Some(level) = self.levels.innermost_mut() else {
            return Ok(());
        };
        let (Some(dir), Some(leaf)) = (level.fd(), Leaf::listed(name)) else {
            return Ok(());
        };
        let at = At::new(dir, &leaf);
        visitor.enters(&self.way, name)?;
        match root.listing_at(at) {
            Ok(fd) => {
                visitor.entered(name, fd.as_fd())?;
                reserve(&mut self.way, 1 + name.count_bytes())?;
                self.surprises = 0;
                append(&mut self.way, name.to_bytes());
                let level = Level::new(name.to_owned(), fd, Below::default());
                Ok(self.levels.enter(level)?)
            }
            Err(failure) => match failure.errno {
                Errno::NOENT => visitor.vanished(&self.way, name),
                _ if failure.is_elsewhere() && root.policy().mounts == Allowed::No => {
                    visitor.mount_point(name)
                }
                // It was a directory a moment ago.
                Errno::NOTDIR | Errno::LOOP => {
                    self.surprises += 1;
                    rest(self.surprises);
                    let kind = match at.lstat() {
                        _ if self.surprises >= TRIES => {
                            self.surprises = 0;
                            return Err(Errno::BUSY.into());
                        }
                        Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                        Err(Errno::NOENT) => return visitor.vanished(&self.way, name),
                        Err(errno) => return Err(errno.into()),
                    };
                    let way = &self.way;
                    let down = match kind {
                        FileType::Directory => Down::Enter,
                        _ => visitor.found(&WalkEntry {
                            at,
                            name,
                            kind,
                            way,
                            depth,
                        })?,
                    };
                    match down {
                        // It is a directory again.
                        Down::Enter => level.state.pending.push(name.to_owned()),
                        // The next name may be a surprise of its own.
                        Down::Stay => self.surprises = 0,
                    }
                    Ok(())
                }
                _ => Err(failure),
            },
        }
    }

    fn leave(&mut self, root: &Root, visitor: &mut impl Visitor) -> Result<(), Failure> {
        if self.above.is_none() || self.levels.depth() > 1 {
            let dir = self.levels.innermost().and_then(Level::fd);
            visitor.left(dir.ok_or(Errno::BUSY)?)?;
        }
        let Some((left, above)) = self.levels.leave(root) else {
            return Ok(());
        };
        let above_len = self.way.len().saturating_sub(left.name.count_bytes());
        self.way.truncate(above_len.saturating_sub(1));
        if above == Above::Lost {
            self.surprises += 1;
            let dropped = self.levels.find_again(root);
            let top = self.above.as_ref().map_or(&[][..], |(way, _)| way);
            self.way = joined(top, &self.levels.path_of(None));
            // A level that may not be opened any more is not one that is gone: what is in it would be left out.
            if let Some(Dropped { name, failure }) = &dropped
                && let Some(failure) = *failure
            {
                append(&mut self.way, name.to_bytes());
                return Err(failure);
            }
            visitor.lost(self.levels.depth())?;
            if let Some(Dropped { name, .. }) = dropped {
                // The rest of it is not found.
                visitor.vanished(&self.way, &name)?;
            }
        }
        if matches!(above, Above::Lost | Above::Reopened)
            && let Some(level) = self.levels.innermost_mut()
            && let Some(fd) = level.fd()
            && !level.state.ended
            && let Err(errno) = rustix::fs::seek(fd, SeekFrom::Start(level.state.position))
        {
            // Where it is read from by now is not known.
            level.state.ended = true;
            return Err(errno.into());
        }
        if self.surprises >= TRIES {
            self.surprises = 0;
            return Err(Errno::BUSY.into());
        }
        Ok(())
    }
}

/// Why a listing was not read to its end.
enum Broken {
    Listing(Errno),
    Found(TreeFailure),
}

impl From<Errno> for Broken {
    fn from(errno: Errno) -> Self {
        Self::Listing(errno)
    }
}

fn append(way: &mut Vec<u8>, name: &[u8]) {
    if !way.is_empty() && !name.is_empty() {
        way.push(b'/');
    }
    way.extend_from_slice(name);
}

pub(super) fn joined(way: &[u8], name: &[u8]) -> Vec<u8> {
    let mut way = way.to_vec();
    append(&mut way, name);
    way
}
