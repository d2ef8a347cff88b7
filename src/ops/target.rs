//! A file that an operation opens by its path to change it: the one that is there, or a new one, which
//! is removed if the operation fails.

use std::borrow::Cow;
use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, SeekFrom, Stat};
use rustix::io::Errno;

use crate::at::At;
use crate::error::Failure;
use crate::ops::realpath::MOST_SYMLINKS;
use crate::ops::version::Version;
use crate::path::UserPath;
use crate::resolve::{Content, Entry, Moment, Place, is_local};
use crate::retry::{TRIES, on_intr, rest};
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

impl Presence {
    /// What the flags of open(2) ask for.
    pub fn of(flags: OFlags) -> Self {
        match (flags.contains(OFlags::CREATE), flags.contains(OFlags::EXCL)) {
            (false, _) => Self::Old,
            (true, false) => Self::Any,
            (true, true) => Self::New,
        }
    }
}

/// The open file.
pub struct Target<'a> {
    place: Place<'a>,
    file: File<'a>,
}

enum File<'a> {
    /// It was there.
    Old(Content),
    /// It was made by this operation, which removes it again if it fails.
    New {
        entry: Entry<'a, 'static>,
        fd: OwnedFd,
        stat: Stat,
        own: Own,
    },
}

/// What is known of a new file that only this operation should have written to: one that fails removes it then, and
/// leaves it to whoever else has written to it.
#[derive(Debug, Default)]
pub struct Own {
    /// What the last write of this operation left, where others had time for one since.
    left: Cell<Option<Version>>,
    is_shared: Cell<bool>,
    /// What was appended to it.
    length: Cell<u64>,
}

impl Own {
    /// A file that was `made`.
    fn of(made: &Stat) -> Self {
        let left = Cell::new(Some(Version::from(made)));
        Self {
            left,
            ..Self::default()
        }
    }

    /// Call before a later write: marks the file as shared if it has changed since the last one.
    pub fn mark_if_changed(&self, fd: BorrowedFd<'_>) -> rustix::io::Result<()> {
        if let Some(left) = self.left.take()
            && !left.is_renamed(&rustix::fs::fstat(fd)?)
        {
            self.is_shared.set(true);
        }
        Ok(())
    }

    /// This operation writes to the file.
    pub fn writes(&self) {
        self.left.set(None);
    }

    /// This operation has written to the file `fd`, and may take a while until it does so again. `length`: what the file
    /// is long then, if nobody else writes to it.
    pub fn wrote(&self, fd: BorrowedFd<'_>, length: Option<u64>) -> rustix::io::Result<()> {
        let now = rustix::fs::fstat(fd)?;
        self.left.set(Some(Version::from(&now)));
        if length.is_some_and(|length| now.st_size as u64 != length) {
            self.is_shared.set(true);
        }
        Ok(())
    }

    /// So many bytes more were written, to the end of the file. How many that are in all.
    pub fn appended(&self, bytes: u64) -> u64 {
        self.length.set(self.length.get() + bytes);
        self.length.get()
    }

    /// All was written one after the other to `fd`, up to the first hole that it may have: with one before that, somebody
    /// has cut the file in between. Asked when the operation fails.
    pub fn expect_no_hole(&self, fd: BorrowedFd<'_>, before: u64) {
        let hole = || rustix::fs::seek(fd, SeekFrom::Hole(0));
        let length = || rustix::fs::fstat(fd).map(|now| now.st_size as u64);
        // Others may take zeros for holes.
        if is_local(fd)
            && let (Ok(hole), Ok(length)) = (hole(), length())
            && hole < length.min(before)
        {
            self.is_shared.set(true);
        }
    }

    /// Removes the file, which is called `at` if `is_it`, unless somebody else has written to it.
    pub fn discard(&self, at: At<'_>, is_it: impl FnOnce(&Stat) -> bool) {
        let is_own = |now: &Stat| {
            let left = self.left.get();
            !self.is_shared.get() && left.is_none_or(|left| left.is_renamed(now))
        };
        if at.lstat().is_ok_and(|now| is_it(&now) && is_own(&now)) {
            // The operation has failed already: its error is what the caller gets.
            let _ = at.unlink();
        }
    }
}

impl<'a> Target<'a> {
    /// Opens the file at `place`; `flags` say how it is read and written, `mode` is that of a new one.
    pub fn open(
        place: Place<'a>,
        flags: OFlags,
        mode: Mode,
        presence: Presence,
    ) -> Result<Self, Failure> {
        let flags = flags - (OFlags::CREATE | OFlags::EXCL | OFlags::TRUNC);
        place.root.for_change()?;
        for round in 0..TRIES {
            rest(round);
            if let Some(file) = open_old(place, flags, presence)? {
                return Ok(Self { place, file });
            }
            if let Some(file) = create(place, flags, mode, presence)? {
                return Ok(Self { place, file });
            }
        }
        Err(Errno::NOENT.into())
    }

    /// What it was when it was opened.
    pub fn stat(&self) -> &Stat {
        match &self.file {
            File::Old(content) => content.stat(),
            File::New { stat, .. } => stat,
        }
    }

    /// The open file.
    pub fn fd(&self) -> BorrowedFd<'_> {
        match &self.file {
            File::Old(content) => content.fd(),
            File::New { fd, .. } => fd.as_fd(),
        }
    }

    /// What is known of one that was made by this operation.
    pub fn own(&self) -> Option<&Own> {
        match &self.file {
            File::Old(_) => None,
            File::New { own, .. } => Some(own),
        }
    }

    /// Whether it was made by this operation.
    pub fn is_new(&self) -> bool {
        matches!(self.file, File::New { .. })
    }

    /// Empties it. A new file is already empty; truncating it would clear setuid and setgid.
    pub fn empty(&self) -> Result<(), Failure> {
        let File::Old(content) = &self.file else {
            return Ok(());
        };
        if content.is_writable() {
            return Ok(on_intr(|| rustix::fs::ftruncate(content.fd(), 0))?);
        }
        // As open(2) does with O_RDONLY | O_TRUNC: it takes permission to write.
        let Place { root, path } = self.place;
        for round in 0..TRIES {
            rest(round);
            let writable = root.content(path, OFlags::WRONLY, Mode::empty())?;
            if is_same_file(writable.stat(), content.stat()) {
                return Ok(on_intr(|| rustix::fs::ftruncate(writable.fd(), 0))?);
            }
        }
        Err(Errno::BUSY.into())
    }

    /// Fills it by `fill` and closes it. If that fails, a new file is removed.
    pub fn fill(
        self,
        fill: impl FnOnce(&Self, BorrowedFd<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if let Some(own) = self.own() {
            // The first write comes at once.
            own.writes();
        }
        let done = fill(&self, self.fd());
        match self.file {
            // Some file systems say only at the end that what was written does not fit.
            File::Old(content) => done.and(sys::close(content.into_fd()).map_err(Into::into)),
            File::New {
                entry,
                fd,
                stat,
                own,
            } => {
                let done = done.and(sys::close(fd).map_err(Into::into));
                if done.is_err() {
                    discard(&entry, &stat, &own);
                }
                done
            }
        }
    }

    /// The same for whoever keeps neither the root nor the path.
    pub fn detached(self) -> Result<Detached, Failure> {
        match self.file {
            File::Old(content) => Ok(Detached {
                fd: content.into_fd(),
                made: None,
            }),
            File::New {
                entry,
                fd,
                stat,
                own,
            } => match entry.detached() {
                Ok(entry) => Ok(Detached {
                    fd,
                    made: Some((entry, stat, own)),
                }),
                Err(errno) => {
                    discard(&entry, &stat, &own);
                    Err(errno.into())
                }
            },
        }
    }

    /// The open file, for a caller who asked for it with the flags of open(2); emptied, if they say so.
    pub fn into_fd(self, flags: OFlags) -> Result<OwnedFd, Failure> {
        if let File::Old(content) = &self.file {
            // The last that can fail before the old content goes.
            content.set_blocking(flags)?;
            if flags.contains(OFlags::TRUNC) {
                self.empty()?;
            }
        }
        Ok(match self.file {
            File::Old(content) => content.into_fd(),
            File::New { fd, .. } => fd,
        })
    }
}

/// An open file for whoever keeps neither its root nor its path: a new one is removed when this is dropped before it
/// is kept.
pub struct Detached {
    fd: OwnedFd,
    made: Option<(Entry<'static, 'static>, Stat, Own)>,
}

impl Detached {
    /// The open file.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// What is known of one that was made.
    pub fn own(&self) -> Option<&Own> {
        self.made.as_ref().map(|(_, _, own)| own)
    }

    /// The file is complete.
    pub fn keep(mut self) -> Result<(), Failure> {
        // Some file systems say only at the end that what was written does not fit.
        sys::close(rustix::io::fcntl_dupfd_cloexec(&self.fd, 0)?)?;
        self.made = None;
        Ok(())
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        if let Some((entry, made, own)) = &self.made {
            discard(entry, made, own);
        }
    }
}

/// Opens the file if it is there.
fn open_old<'a>(
    place: Place<'a>,
    flags: OFlags,
    presence: Presence,
) -> Result<Option<File<'a>>, Failure> {
    let open = |flags| place.root.content(place.path, flags, Mode::empty());
    // `create` reports a trailing slash, as open(2) with O_CREAT does.
    let parsed = place.root.parse(place.path)?;
    let is_slash = parsed.has_leaf() && parsed.wants_directory();
    if presence == Presence::New || presence == Presence::Any && is_slash {
        return Ok(None);
    }
    let file = match open(flags) {
        Ok(file) => file,
        Err(failure) if presence == Presence::Any && is_missing(failure.errno) => return Ok(None),
        Err(failure) => return Err(failure),
    };
    if presence == Presence::Any && file.is_directory() {
        return Err(Errno::ISDIR.into());
    }
    // In a sticky directory, fs.protected_regular may refuse the file of another to whoever would create
    // it. Only an open that may create is asked that.
    if presence == Presence::Any && !is_ours(file.stat()) && !may_create(place, flags, file.stat())?
    {
        return Ok(None);
    }
    Ok(Some(File::Old(file)))
}

/// Opens the file `found` as whoever would create it, where the kernel may refuse that. False if something else is
/// there by now.
///
/// It is gone to name by name: if this makes a file, that has to be found again to be removed. Only in a sticky
/// directory may it make one: nobody can put a file there that is not theirs.
fn may_create(place: Place<'_>, flags: OFlags, found: &Stat) -> Result<bool, Failure> {
    let root = place.root;
    let mut path = Cow::Borrowed(place.path);
    for _ in 0..=MOST_SYMLINKS {
        let entry = root.entry(&path, Errno::ISDIR)?;
        let again = match entry.at().is_sticky_against(found)? {
            true => {
                let before = Moment::now();
                root.content_or_new_at(entry.at(), flags).map(|again| {
                    let stat = *again.stat();
                    // What this call has made has no permissions at all, and was not there before.
                    let is_empty = stat.st_size == 0 && stat.st_mode & 0o7777 == 0;
                    if is_empty && is_ours(&stat) && !before.is_after_change(&stat) {
                        discard(&entry, &stat, &Own::of(&stat));
                    }
                    stat
                })
            }
            false => match entry.at().lstat() {
                Err(Errno::NOENT) => return Ok(false),
                Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
                    Err(Failure::symlink())
                }
                again => again.map_err(Into::into),
            },
        };
        match again {
            Ok(again) => return Ok(is_same_file(&again, found)),
            Err(failure) if failure.errno == Errno::LOOP && root.policy().follows() => {}
            Err(failure) => return Err(failure),
        }
        match behind(&entry, &path)? {
            Some(next) => path = Cow::Owned(next),
            None => return Ok(false),
        }
    }
    Err(Errno::LOOP.into())
}

/// The path that the symlink `entry` at `path` leads to; `None` if it is no symlink, or gone.
fn behind(entry: &Entry<'_, '_>, path: &UserPath) -> Result<Option<UserPath>, Failure> {
    match entry.at().readlink() {
        Ok(target) => Ok(Some(target_of(path, target.as_bytes())?)),
        Err(Errno::INVAL | Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn is_ours(stat: &Stat) -> bool {
    stat.st_uid == rustix::process::geteuid().as_raw()
}

/// Makes the file; `None` if it is there by now, and may be.
fn create<'a>(
    place: Place<'a>,
    flags: OFlags,
    mode: Mode,
    presence: Presence,
) -> Result<Option<File<'a>>, Failure> {
    // What is wrong with the way there is said by this lookup.
    let no_entry = match presence {
        Presence::New => Errno::EXIST,
        _ => Errno::ISDIR,
    };
    let root = place.root;
    let mut path = Cow::Borrowed(place.path);
    for _ in 0..=MOST_SYMLINKS {
        let entry = root.entry(&path, no_entry)?;
        if entry.wants_directory() {
            return Err(match entry.at().lstat() {
                Err(Errno::ACCESS) => Errno::ACCESS.into(),
                _ => Errno::ISDIR.into(),
            });
        }
        match root.create_at(entry.at(), flags, mode) {
            Ok(fd) => {
                let entry = entry.into_owned();
                return match rustix::fs::fstat(&fd) {
                    Ok(stat) => Ok(Some(File::New {
                        entry,
                        fd,
                        stat,
                        own: Own::of(&stat),
                    })),
                    Err(errno) => {
                        // It was made this moment. The error is what the caller gets.
                        let _ = entry.at().unlink();
                        Err(errno.into())
                    }
                };
            }
            Err(failure) if failure.errno == Errno::EXIST && presence == Presence::Any => {}
            Err(failure) => return Err(failure),
        }
        if !root.policy().follows() {
            return Ok(None);
        }
        // A symlink to nothing, which this root follows: what it names is made.
        match behind(&entry, &path)? {
            Some(next) => path = Cow::Owned(next),
            None => return Ok(None),
        }
    }
    Err(Errno::LOOP.into())
}

/// The path that a symlink at `path` leads to, which holds `target`.
fn target_of(path: &UserPath, target: &[u8]) -> Result<UserPath, Failure> {
    let slash = path.as_bytes().iter().rposition(|&byte| byte == b'/');
    let dir = match target.starts_with(b"/") {
        true => None,
        false => path.as_bytes().get(..slash.map_or(0, |slash| slash + 1)),
    };
    let path = [dir.unwrap_or_default(), target].concat();
    UserPath::new(path).map_err(|_| Errno::INVAL.into())
}

fn is_missing(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR)
}

/// Removes the file that was made, if its name still leads to it, and nobody else has written to it.
fn discard(entry: &Entry<'_, '_>, made: &Stat, own: &Own) {
    own.discard(entry.at(), |now| is_same_file(now, made));
}

/// Whether the two are of one file.
pub fn is_same_file(a: &Stat, b: &Stat) -> bool {
    (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
}
