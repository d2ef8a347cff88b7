//! What a copy was made of, and what was made for it.
//!
//! A directory that was made is never a source: a copy that somebody moves into its own source would not
//! end. A `move` removes what it copied and nothing else, and where it fails, what it made and nothing else.
//!
//! The number of an inode is no identity by itself, since it is used again. So a file counts as copied only if
//! its type, size, owner, mode and times are those that it had then: the kernel sets the time of the last
//! change, and nobody can set it back.

use std::collections::{HashMap, HashSet};
use std::ffi::CStr;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use rustix::fs::{AtFlags, Stat, Statx, StatxFlags, StatxTimestamp};
use rustix::io::{Errno, Result};

use crate::at::At;
use crate::error::Failure;
use crate::ops::attributes;
use crate::ops::tree::levels::Id;
use crate::resolve::{Moment, is_local};
use crate::retry::on_intr;
use crate::sys;

/// The record of one copy, which two threads may share.
#[derive(Default)]
pub struct Record {
    /// Chosen at random, so that nobody makes two entries that count as one.
    hasher: RandomState,
    /// The directories that are never a source: those that were made, and the one that they are made in.
    closed: Mutex<HashSet<Id>>,
    /// Eight bytes for each entry that was copied by a `move`, and for each that was made under a hidden name.
    copied: Mutex<HashSet<u64>>,
    made: Mutex<HashSet<u64>>,
    /// What each file with several names was when it was copied, or after a name of it was removed.
    named: Mutex<HashMap<Id, Named>>,
    /// The top of the copy, open until it is published: as long as it is, no other file has its inode number.
    held: Mutex<Option<Held>>,
    /// Whether this is the copy of a `move`.
    pub is_of_move: bool,
    /// Whether the copy is made under a hidden name: what was made is removed if it cannot be shown.
    pub is_staged: bool,
    /// Whether the file system of the copy keeps the time of birth of each file.
    keeps_births: bool,
}

/// The top of a copy.
struct Held {
    top: OwnedFd,
    /// Whether it is open with `O_PATH` alone, as a symlink and a FIFO are: nobody finds a reader of the latter.
    is_path: bool,
}

/// What a file, symlink or FIFO was, as a record knows it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    /// Which it was.
    pub id: Id,
    /// Its type and permissions.
    pub mode: u32,
    names: u64,
    owner: (u32, u32),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl From<&Stat> for State {
    fn from(stat: &Stat) -> Self {
        Self {
            id: stat.into(),
            mode: stat.st_mode,
            names: stat.st_nlink as _,
            owner: (stat.st_uid, stat.st_gid),
            size: stat.st_size as u64,
            modified: (stat.st_mtime as _, stat.st_mtime_nsec as _),
            changed: (stat.st_ctime as _, stat.st_ctime_nsec as _),
        }
    }
}

impl State {
    /// Whether the file has other names.
    pub fn has_names(&self) -> bool {
        self.names > 1
    }

    /// The same whatever names it has, and whenever it got them.
    fn by_any_name(&self) -> Self {
        Self {
            names: 0,
            changed: (0, 0),
            ..*self
        }
    }

    /// Whether `stat`, which came before, says the same of what a copy gets.
    pub fn is_described_by(&self, stat: &Stat) -> bool {
        let then = Self::from(stat);
        (self.mode, self.owner, self.size) == (then.mode, then.owner, then.size)
    }

    /// Whether a change at this moment may leave the times as they are: those of this file system are whole seconds,
    /// or two.
    pub fn may_change_unseen(&self) -> bool {
        let is_coarse = self.modified.1 == 0 && self.changed.1 == 0;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_millis() as i64);
        let is_recent = |second: i64| {
            let last = second.saturating_mul(1000);
            // What is in the future stays there.
            (last..last.saturating_add(COARSEST)).contains(&now)
        };
        is_coarse && (is_recent(self.changed.0) || is_recent(self.modified.0))
    }

    /// Whether it was changed at `moment`, or later.
    pub fn is_changed_since(&self, moment: Moment) -> bool {
        moment.is_followed_by(self.changed)
    }

    /// What `at` is now.
    pub fn of(at: At<'_>) -> Result<Self> {
        let (dir, name) = at.parts();
        Self::asked(dir, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// What the open file `fd` is now.
    pub fn of_open(fd: BorrowedFd<'_>) -> Result<Self> {
        Self::asked(fd, c"", AtFlags::EMPTY_PATH)
    }

    /// A file system that keeps what a file was asks again.
    fn asked(dir: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> Result<Self> {
        let flags = flags | AtFlags::STATX_FORCE_SYNC;
        let statx = on_intr(|| rustix::fs::statx(dir, name, flags, StatxFlags::BASIC_STATS))?;
        let time = |time: StatxTimestamp| (time.tv_sec, i64::from(time.tv_nsec));
        Ok(Self {
            id: Id::from(&statx),
            mode: statx.stx_mode.into(),
            names: statx.stx_nlink.into(),
            owner: (statx.stx_uid, statx.stx_gid),
            size: statx.stx_size,
            modified: time(statx.stx_mtime),
            changed: time(statx.stx_ctime),
        })
    }
}

/// The longest tick of the times of a file system, in milliseconds: two seconds of FAT, and a tick of the kernel.
const COARSEST: i64 = 2010;

/// What a file with several names is recognised by as long as a copy is made.
#[derive(PartialEq, Eq, Hash)]
pub enum Identity {
    /// Its number, and when it was born: the number of a file that is gone is given to another.
    Born(Id, (i64, u32)),
    /// The same where the file system does not say when it was born: an ext4 with small inodes.
    Generation(Id, u64),
    /// What it is, and when it was last changed: this file system may give one number to several files, or tell another birth once a file is
    /// changed.
    Is(State),
}

impl Identity {
    /// That of the open file `fd`, which is `state`. `is_local`: its file system is one that keeps numbers and
    /// births.
    pub fn of(fd: BorrowedFd<'_>, state: &State, is_local: bool) -> Result<Self> {
        let names = 0;
        let what_it_is = Self::Is(State { names, ..*state });
        if !is_local {
            return Ok(what_it_is);
        }
        if let Some(birth) = birth_of(fd)? {
            return Ok(Self::Born(state.id, birth));
        }
        // Nothing tells that of a symlink or a FIFO.
        let generation = sys::generation(fd);
        Ok(generation.map_or(what_it_is, |generation| {
            Self::Generation(state.id, generation)
        }))
    }
}

/// What the first copy of a file with several names is recognised by when it is to get another one: others may have
/// removed it, and a file of theirs may have its number.
#[derive(PartialEq, Eq)]
pub struct FirstCopy {
    identity: Identity,
    /// Two files may be born in one tick of the clock, but not by two users.
    owner: (u32, u32),
}

impl FirstCopy {
    /// The open file `fd`, which may be open with `O_PATH` alone: that tells no generation.
    pub fn of(fd: BorrowedFd<'_>) -> Result<Self> {
        let state = State::of_open(fd)?;
        let birth = match is_local(fd) {
            true => birth_of(fd)?,
            false => None,
        };
        let what_it_is = Identity::Is(state.by_any_name());
        Ok(Self {
            identity: birth.map_or(what_it_is, |birth| Identity::Born(state.id, birth)),
            owner: state.owner,
        })
    }
}

/// What was made under a hidden name is recognised by: others may remove it, and a file of theirs may get its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MadeId {
    /// Its number.
    pub id: Id,
    /// `None` where the file system does not keep it.
    birth: Option<(i64, u32)>,
}

/// When the open file `fd` was made, if its file system says.
fn birth_of(fd: BorrowedFd<'_>) -> Result<Option<(i64, u32)>> {
    let statx = on_intr(|| rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::BTIME))?;
    Ok(birth_in(&statx))
}

fn birth_in(statx: &Statx) -> Option<(i64, u32)> {
    let is_known = statx.stx_mask & StatxFlags::BTIME.bits() != 0;
    is_known.then_some((statx.stx_btime.tv_sec, statx.stx_btime.tv_nsec))
}

/// What a file with several names was.
struct Named {
    /// When it was last changed includes the names that were removed since; all else is as it was copied.
    state: State,
    /// A hash of its extended attributes: a change of these shows by the time of the last change alone.
    attributes: Option<u64>,
    /// Whether it is known when it was last changed.
    knows_change: bool,
}

impl Named {
    /// Whether it is unchanged, but for the number of its names.
    fn is(&self, other: &State) -> bool {
        let changed = match self.knows_change {
            true => self.state.changed,
            false => other.changed,
        };
        let names = other.names;
        *other
            == State {
                names,
                changed,
                ..self.state
            }
    }
}

/// An entry of a directory, as a record knows it.
#[derive(Clone, Copy)]
pub struct Listed<'a> {
    /// The directory; that of the top of a tree is not known.
    pub parent: Option<Id>,
    /// The name in it.
    pub name: &'a CStr,
}

impl Record {
    /// The record of a `move`, whose copy is made in `dir`.
    pub fn of_move(dir: BorrowedFd<'_>) -> Self {
        Self {
            is_of_move: true,
            ..Self::staged(dir)
        }
    }

    /// The record of a copy that is made under a hidden name in `dir`.
    pub fn staged(dir: BorrowedFd<'_>) -> Self {
        Self {
            is_staged: true,
            keeps_births: is_local(dir),
            ..Self::default()
        }
    }

    /// Never copies from the directory `id` from now on.
    pub fn close(&self, id: Id) -> Result<()> {
        insert(&self.closed, id)
    }

    /// Whether the directory `id` is no source.
    pub fn is_closed(&self, id: Id) -> bool {
        lock(&self.closed).contains(&id)
    }

    /// A file, symlink or FIFO was copied, and this is what it was then; `content`: a file, open. False if another
    /// name of it was copied before, and it is not what it was then.
    pub fn copied(
        &self,
        entry: Listed<'_>,
        state: &State,
        content: Option<BorrowedFd<'_>>,
    ) -> Result<bool> {
        if !self.is_of_move {
            return Ok(true);
        }
        insert(&self.copied, self.stamp(entry, state))?;
        if state.names == 1 {
            return Ok(true);
        }
        let mut named = lock(&self.named);
        named.try_reserve(1).map_err(|_| Errno::NOMEM)?;
        let known = named.entry(state.id).or_insert(Named {
            state: *state,
            attributes: content.map(|fd| self.hash_of_attributes(fd)),
            knows_change: true,
        });
        Ok(known.is(state))
    }

    /// Whether this was copied, and is as it was then.
    pub fn is_copied(&self, entry: Listed<'_>, state: &State) -> bool {
        let is_known = match lock(&self.named).get(&state.id) {
            Some(known) => known.is(state),
            None => true,
        };
        is_known && lock(&self.copied).contains(&self.stamp(entry, state))
    }

    /// Whether the file `id` had several names when it was copied.
    pub fn had_names(&self, id: Id) -> bool {
        lock(&self.named).contains_key(&id)
    }

    /// Whether the extended attributes of the open file `fd`, which is `id`, are those that it had.
    pub fn has_same_attributes(&self, id: Id, fd: BorrowedFd<'_>) -> bool {
        let then = lock(&self.named)
            .get(&id)
            .and_then(|known| known.attributes);
        then.is_none_or(|then| then == self.hash_of_attributes(fd))
    }

    fn hash_of_attributes(&self, fd: BorrowedFd<'_>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        attributes::hash(fd, &mut hasher);
        hasher.finish()
    }

    /// One of the names of the file that was `before` was removed, which sets when it was last changed; `now` is what it
    /// is since, if its file system says. All else is not believed: others may have changed it in between.
    pub fn name_removed(&self, before: &State, now: Option<State>, is_local: bool) {
        if let Some(known) = lock(&self.named).get_mut(&before.id) {
            match now {
                Some(now) if now.names < before.names => known.state.changed = now.changed,
                // Others gave it another name, or the one that was removed was another file's.
                _ if is_local => {}
                // FUSE and overlays keep what it was under the name that is gone.
                _ => known.knows_change = false,
            }
        }
    }

    /// The directory `fd` is copied.
    pub fn directory_copied(&self, entry: Listed<'_>, fd: BorrowedFd<'_>) -> Result<()> {
        match self.is_of_move {
            true => insert(&self.copied, self.directory_stamp(entry, fd)?),
            false => Ok(()),
        }
    }

    /// Whether the directory `fd` was copied.
    pub fn is_directory_copied(&self, entry: Listed<'_>, fd: BorrowedFd<'_>) -> Result<bool> {
        Ok(lock(&self.copied).contains(&self.directory_stamp(entry, fd)?))
    }

    /// The failure for what could not be copied: something that is mounted in the source of a `move` cannot be
    /// moved.
    pub fn mounted(&self, failure: Failure) -> Failure {
        match failure.is_elsewhere() && self.is_of_move {
            true => Errno::BUSY.into(),
            false => failure,
        }
    }

    /// Keeps the top of a copy open, if it has a hidden name.
    pub fn hold(&self, top: BorrowedFd<'_>) -> Result<()> {
        if self.is_staged {
            let held = rustix::io::fcntl_dupfd_cloexec(top, 0)?;
            lock(&self.held).get_or_insert(Held {
                top: held,
                is_path: false,
            });
        }
        Ok(())
    }

    /// The same for a symlink or a FIFO, which is open with `O_PATH` alone.
    pub fn hold_path(&self, top: OwnedFd) {
        if self.is_staged {
            lock(&self.held).get_or_insert(Held { top, is_path: true });
        }
    }

    /// Waits until all of the file system of the top that is held is on the disk; `None` if none is, or by a path alone.
    pub fn sync(&self) -> Option<Result<()>> {
        let held = lock(&self.held);
        let held = held.as_ref().filter(|held| !held.is_path);
        held.map(|held| rustix::fs::syncfs(&held.top))
    }

    /// What the open file `fd` is recognised by, which was made.
    pub fn made_id(&self, fd: BorrowedFd<'_>) -> Result<MadeId> {
        self.id_of_made(fd, c"", AtFlags::EMPTY_PATH)
    }

    /// What has the name `at` is recognised by.
    pub fn made_id_at(&self, at: At<'_>) -> Result<MadeId> {
        let (dir, name) = at.parts();
        self.id_of_made(dir, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    fn id_of_made(&self, dir: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> Result<MadeId> {
        let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        let statx = on_intr(|| rustix::fs::statx(dir, name, flags, mask))?;
        Ok(MadeId {
            id: Id::from(&statx),
            birth: birth_in(&statx).filter(|_| self.keeps_births),
        })
    }

    /// What `id` is was made.
    pub fn made(&self, id: MadeId) -> Result<()> {
        match self.is_staged {
            true => insert(&self.made, self.hasher.hash_one(id)),
            false => Ok(()),
        }
    }

    /// Whether what `id` is was made.
    pub fn is_made(&self, id: MadeId) -> bool {
        lock(&self.made).contains(&self.hasher.hash_one(id))
    }

    fn stamp(&self, entry: Listed<'_>, state: &State) -> u64 {
        let state = match lock(&self.named).contains_key(&state.id) || state.names > 1 {
            // When it was changed is known for all of its names.
            true => state.by_any_name(),
            false => *state,
        };
        self.hasher.hash_one((entry.parent, entry.name, state))
    }

    /// A directory is changed when an entry of it is removed. Its birth, owner, mode and attributes stay; on an overlay
    /// a rename may give it another birth.
    fn directory_stamp(&self, entry: Listed<'_>, fd: BorrowedFd<'_>) -> Result<u64> {
        let birth = match is_local(fd) {
            true => birth_of(fd)?,
            false => None,
        };
        let stat = rustix::fs::fstat(fd)?;
        let permitted = (stat.st_mode, stat.st_uid, stat.st_gid);
        let mut hasher = self.hasher.build_hasher();
        (entry.parent, entry.name, Id::from(&stat), birth, permitted).hash(&mut hasher);
        attributes::hash(fd, &mut hasher);
        Ok(hasher.finish())
    }
}

fn insert<T: Eq + std::hash::Hash>(set: &Mutex<HashSet<T>>, element: T) -> Result<()> {
    let mut set = lock(set);
    set.try_reserve(1).map_err(|_| Errno::NOMEM)?;
    set.insert(element);
    Ok(())
}

fn lock<T>(set: &Mutex<T>) -> MutexGuard<'_, T> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}
