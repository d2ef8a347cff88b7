//! The one door: from a path to a descriptor, through `openat2`, beneath the root.
//!
//! Every lookup of a path starts at the root's descriptor and carries [`Policy::resolve`], so the kernel
//! refuses to leave the root, or to follow a link that it must not, whatever happens to the tree
//! meanwhile. What comes out is an [`Entry`] (an open parent and one name), or a descriptor of the thing
//! itself. A step in a tree starts at an open directory, takes one name, and follows nothing. New files
//! are made here too: no other module opens anything.
//!
//! Nothing here is kept between calls: a directory that was beneath the root a moment ago may have been
//! moved.

mod explain;

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, StatxFlags};
use rustix::io::Errno;
use rustix::path::{Arg, DecInt};
use rustix::time::ClockId;

use crate::at::{At, random_characters, readlink};
use crate::error::{Failure, Reason, Result};
use crate::ops::listing::is_empty;
use crate::path::{LONGEST, Leaf, RelPath, Unnamed, UserPath};
use crate::policy::{Allowed, Policy};
use crate::proc;
use crate::retry::{self, Cause};
use crate::sys;
use explain::explained;

/// A directory that nothing leaves: a descriptor, not a path.
#[derive(Debug)]
pub struct Root {
    /// `None` once it is closed: every operation is `EBADF` then.
    fd: Option<OwnedFd>,
    policy: Policy,
    /// Whether the file system of the root describes a file from memory, once it has looked it up.
    describes_from_memory: bool,
}

/// What an operation on an entry answers for a path that names none.
#[derive(Clone, Copy, Debug)]
pub struct NoEntry {
    /// For the root itself, and for what `..` leads to.
    pub root: Errno,
    /// For a directory that is spelled with a trailing `.`.
    pub dot: Errno,
}

impl From<Errno> for NoEntry {
    fn from(errno: Errno) -> Self {
        Self {
            root: errno,
            dot: errno,
        }
    }
}

/// A path beneath a root.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The root.
    pub root: &'a Root,
    /// The path.
    pub path: &'a UserPath,
}

impl<'a> Place<'a> {
    /// `path` beneath `root`, and `dest` beneath the root `to`, if that is another one.
    pub fn pair(
        root: &'a Root,
        path: &'a UserPath,
        to: Option<&'a Root>,
        dest: &'a UserPath,
    ) -> (Self, Self) {
        let to = to.unwrap_or(root);
        let dest = Self {
            root: to,
            path: dest,
        };
        (Self { root, path }, dest)
    }
}

/// A name in a directory that was beneath the root when it was resolved.
#[derive(Debug)]
pub struct Entry<'r, 'p> {
    parent: Parent<'r>,
    leaf: Leaf<'p>,
    wants_directory: bool,
}

#[derive(Debug)]
enum Parent<'r> {
    /// The root's own descriptor: a path of one component needs no lookup at all.
    Root(BorrowedFd<'r>),
    Opened(OwnedFd),
}

/// What an operation that acts on a symlink itself is to act on.
#[derive(Debug)]
pub enum Found<'r, 'p> {
    /// A name: whatever has it, a symlink too.
    Name(Entry<'r, 'p>),
    /// What the path leads to, as an `O_PATH` descriptor.
    Target(OwnedFd),
}

/// A regular file or a directory, open for its content. The type was checked on the descriptor:
/// reading or writing it waits for nobody.
#[derive(Debug)]
pub struct Content {
    fd: OwnedFd,
    stat: Stat,
    flags: OFlags,
}

impl Root {
    /// Opens the directory at `host_path`, which is trusted: its links are followed, this once.
    ///
    /// # Errors
    /// Those of open(2). `ENOSYS` or `EPERM`, with the reason, where `openat2` does not work.
    pub fn open(host_path: &UserPath, policy: Policy) -> Result<Self, Failure> {
        let root = Self::at(open_host(host_path)?, policy);
        // Asked every time and never remembered: a seccomp filter can be installed at any moment.
        match root.openat2(c".", OFlags::PATH, Mode::empty()) {
            // A directory that may not be searched is a root too, and this answer is openat2's.
            Err(failure) if failure.errno == Errno::ACCESS => {}
            answer => drop(answer?),
        }
        Ok(root)
    }

    /// A root of its own at the directory at `path` beneath this one.
    ///
    /// # Errors
    /// `EPERM` for a policy that allows what this root refuses.
    pub fn open_beneath(&self, path: &UserPath, policy: Policy) -> Result<Self, Failure> {
        if !policy.is_within(self.policy) {
            return Err(Errno::PERM.into());
        }
        Ok(Self::at(self.directory(&self.parse(path)?)?, policy))
    }

    /// The directory at `path` beneath this one, with a descriptor whose number is high, if there may be such: a child
    /// process puts its standard streams, and what else it is handed, over the low ones before it goes to its
    /// directory.
    ///
    /// # Errors
    /// Those of [`Self::open_beneath`].
    pub fn host_path(&self, path: &UserPath) -> Result<Self, Failure> {
        const HIGH: i32 = 256;
        let mut there = self.open_beneath(path, self.policy)?;
        if let Ok(high) = rustix::io::fcntl_dupfd_cloexec(there.fd()?, HIGH) {
            there.fd = Some(high);
        }
        Ok(there)
    }

    fn at(fd: OwnedFd, policy: Policy) -> Self {
        let describes_from_memory = is_local(fd.as_fd());
        Self {
            fd: Some(fd),
            policy,
            describes_from_memory,
        }
    }

    /// This root, closed. What it allows stays as it was.
    pub fn closed(&self) -> Self {
        Self { fd: None, ..*self }
    }

    /// Whether the directory itself is on a local file system: see [`is_local`].
    pub fn is_local(&self) -> bool {
        self.describes_from_memory
    }

    /// Whether this root has been closed.
    pub fn is_closed(&self) -> bool {
        self.fd.is_none()
    }

    /// The directory itself; `EBADF` once the root is closed.
    pub fn fd(&self) -> Result<BorrowedFd<'_>, Failure> {
        let fd = self.fd.as_ref().map(AsFd::as_fd);
        fd.ok_or_else(|| Failure::because(Errno::BADF, Reason::Closed))
    }

    /// What this root allows.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// The root for an operation that changes something: `EROFS` if it allows none.
    pub fn for_change(&self) -> Result<&Self, Failure> {
        self.fd()?;
        if self.policy.readonly {
            Err(Failure::because(Errno::ROFS, Reason::Readonly))
        } else {
            Ok(self)
        }
    }

    /// Whether the directory was removed. It is empty, and nothing can be made in it.
    pub fn is_removed(&self) -> Result<bool, Failure> {
        Ok(is_removed(self.fd()?, self.describes_from_memory)?)
    }

    /// `ENOENT` if `path` may be that of the root, and the root was removed: the kernel would change it by its
    /// descriptor. It has nothing in it, so that every other path is `ENOENT` anyway.
    pub fn expect_present(&self, path: &RelPath<'_>) -> Result<(), Failure> {
        match !path.has_leaf() && self.is_removed()? {
            true => Err(Errno::NOENT.into()),
            false => Ok(()),
        }
    }

    /// The path that `path` spells. A closed root says so before anything else.
    pub fn parse<'p>(&self, path: &'p UserPath) -> Result<RelPath<'p>, Failure> {
        self.fd()?;
        Ok(RelPath::parse(path, self.policy.spelling())?)
    }

    /// The parent of `path`, opened, and its last name. `no_entry` is the answer for a path that
    /// has no last name.
    pub fn entry<'p>(
        &self,
        path: &'p UserPath,
        no_entry: impl Into<NoEntry>,
    ) -> Result<Entry<'_, 'p>, Failure> {
        self.entry_of(self.parse(path)?, no_entry)
    }

    /// As [`Root::entry`], for a path that is parsed already.
    pub fn entry_of<'p>(
        &self,
        path: RelPath<'p>,
        no_entry: impl Into<NoEntry>,
    ) -> Result<Entry<'_, 'p>, Failure> {
        let parent = match path.parent() {
            None => Parent::Root(self.fd()?),
            Some(parent) => Parent::Opened(self.openat2(
                parent,
                OFlags::PATH | OFlags::DIRECTORY,
                Mode::empty(),
            )?),
        };
        let wants_directory = path.wants_directory();
        let no_entry = match path.unnamed() {
            Some(Unnamed::Dot) => no_entry.into().dot,
            _ => no_entry.into().root,
        };
        let Some(leaf) = path.into_leaf() else {
            return Err(match self.is_removed()? {
                true => Errno::NOENT.into(),
                false => no_entry.into(),
            });
        };
        Ok(Entry {
            parent,
            leaf,
            wants_directory,
        })
    }

    /// What is at `path`, as an `O_PATH` descriptor: no permission on it is needed, nothing waits.
    pub fn existing(&self, path: &UserPath) -> Result<OwnedFd, Failure> {
        self.existing_of(&self.parse(path)?)
    }

    /// As [`Root::existing`], for a path that is parsed already.
    pub fn existing_of(&self, path: &RelPath<'_>) -> Result<OwnedFd, Failure> {
        match path.is_root() {
            true => self.itself(),
            false => self.handle_of(path, OFlags::empty()),
        }
    }

    /// The same, to be changed.
    pub fn existing_to_change(&self, path: &UserPath) -> Result<OwnedFd, Failure> {
        let path = self.for_change()?.parse(path)?;
        self.expect_present(&path)?;
        self.existing_of(&path)
    }

    /// The root, to be described or changed. Looked up as a path, it would have to be searchable.
    fn itself(&self) -> Result<OwnedFd, Failure> {
        Ok(rustix::io::fcntl_dupfd_cloexec(self.fd()?, 0)?)
    }

    /// The name that `path` ends in; what it leads to where it ends in none, or in a slash, or where
    /// mounts are refused.
    pub fn name_or_target<'p>(&self, path: &'p UserPath) -> Result<Found<'_, 'p>, Failure> {
        self.name_or_target_of(self.parse(path)?)
    }

    /// The same, to be changed.
    pub fn name_or_target_to_change<'p>(
        &self,
        path: &'p UserPath,
    ) -> Result<Found<'_, 'p>, Failure> {
        let path = self.for_change()?.parse(path)?;
        self.expect_present(&path)?;
        self.name_or_target_of(path)
    }

    fn name_or_target_of<'p>(&self, parsed: RelPath<'p>) -> Result<Found<'_, 'p>, Failure> {
        if !parsed.has_leaf() || parsed.wants_directory() {
            return Ok(Found::Target(self.existing_of(&parsed)?));
        }
        // By its name, what is mounted there would be reached: only openat2 sees the mount.
        if self.policy.mounts == Allowed::No {
            return Ok(Found::Target(self.handle_of(&parsed, OFlags::NOFOLLOW)?));
        }
        Ok(Found::Name(self.entry_of(parsed, Errno::BUSY)?))
    }

    /// The directory at `path`, as an `O_PATH` descriptor.
    pub fn directory(&self, path: &RelPath<'_>) -> Result<OwnedFd, Failure> {
        match path.is_root() {
            true => self.itself(),
            false => self.handle_of(path, OFlags::DIRECTORY),
        }
    }

    /// An `O_PATH` descriptor of what is at `path`. `flags` may have `DIRECTORY`, and `NOFOLLOW` for a
    /// symlink itself.
    pub fn handle(&self, path: &UserPath, flags: OFlags) -> Result<OwnedFd, Failure> {
        self.handle_of(&self.parse(path)?, flags)
    }

    /// As [`Root::handle`], for a path that is parsed already.
    pub fn handle_of(&self, path: &RelPath<'_>, flags: OFlags) -> Result<OwnedFd, Failure> {
        let flags = OFlags::PATH | flags & (OFlags::DIRECTORY | OFlags::NOFOLLOW);
        self.openat2(path.whole().as_ref(), flags, Mode::empty())
    }

    /// As [`Root::handle`], if neither the lookup nor an `fstat` of what it finds can wait: the kernel has
    /// all of the path in memory, and all of it is on the root's own file system, which describes a file
    /// from memory. `None` where that is not known: an older kernel (before 5.12), another file system
    /// or mount, a lookup that must wait.
    pub fn handle_if_cached(
        &self,
        path: &UserPath,
        flags: OFlags,
    ) -> Option<Result<OwnedFd, Errno>> {
        if !self.describes_from_memory {
            return None;
        }
        let parsed = self.parse(path).ok()?;
        let flags = OFlags::PATH | OFlags::CLOEXEC | flags & OFlags::NOFOLLOW;
        let resolve = self.policy.resolve() | ResolveFlags::CACHED | ResolveFlags::NO_XDEV;
        let found = rustix::fs::openat2(
            self.fd().ok()?,
            parsed.whole().as_ref(),
            flags,
            Mode::empty(),
            resolve,
        );
        match found {
            Err(Errno::NOENT) => Some(Err(Errno::NOENT)),
            // Everything else is said by a lookup that may wait.
            Err(_) => None,
            Ok(fd) => Some(Ok(fd)),
        }
    }

    /// The directory at `path`, to read its names.
    pub fn listing(&self, path: &UserPath) -> Result<OwnedFd, Failure> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        self.openat2(self.parse(path)?.whole().as_ref(), flags, Mode::empty())
    }

    /// The directory that has the name `at` in a tree of this root, to read its names: never what a
    /// symlink leads to, nor what is mounted there if the root refuses mounts.
    pub fn listing_at(&self, at: At<'_>) -> Result<OwnedFd, Failure> {
        self.step(at, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// The same for the sake of the names in it, which are made or changed and not read.
    pub fn directory_at(&self, at: At<'_>) -> Result<OwnedFd, Failure> {
        self.step(at, OFlags::PATH | OFlags::DIRECTORY)
    }

    /// An `O_PATH` descriptor of what has the name `at` in a tree of this root; a symlink is refused.
    pub fn handle_at(&self, at: At<'_>) -> Result<OwnedFd, Failure> {
        self.step(at, OFlags::PATH)
    }

    /// What was made under the name `at` since the moment `before`, to be given its owner, mode and times: by
    /// its descriptor, since by now the name may lead to something else.
    ///
    /// # Errors
    /// `EBUSY` if it leads to something of another kind, of another user, or with other names; to something
    /// older; to a directory that is open to others than its owner.
    pub fn made_at(&self, at: At<'_>, kind: FileType, before: Moment) -> Result<OwnedFd, Failure> {
        let flags = match kind {
            FileType::Symlink => OFlags::PATH | OFlags::NOFOLLOW,
            FileType::Directory => OFlags::RDONLY | OFlags::DIRECTORY,
            // A FIFO without a writer can be opened to be read, and waits for nobody.
            _ => OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
        };
        let fd = match self.step(at, flags) {
            // The umask forbids even its owner to open it.
            Err(failure) if failure.errno == Errno::ACCESS => {
                return self.made_unreadable_at(at, kind, before, flags, failure);
            }
            // A symlink, a file or a socket has the name by now.
            Err(failure) if matches!(failure.errno, Errno::LOOP | Errno::NOTDIR | Errno::NXIO) => {
                return Err(Errno::BUSY.into());
            }
            fd => fd?,
        };
        match self.is_made(fd.as_fd(), at, kind, before)? {
            true => Ok(fd),
            false => Err(Errno::BUSY.into()),
        }
    }

    /// The same for what its owner may not open, which `denied` says: it is given the mode that lets him.
    fn made_unreadable_at(
        &self,
        at: At<'_>,
        kind: FileType,
        before: Moment,
        flags: OFlags,
        denied: Failure,
    ) -> Result<OwnedFd, Failure> {
        let handle = self.step(at, OFlags::PATH | OFlags::NOFOLLOW)?;
        let stat = rustix::fs::fstat(&handle)?;
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(denied);
        }
        // A umask takes bits away. A directory may have one of them from the one that it is in.
        let is_closed = stat.st_mode & 0o5077 == 0;
        if !is_closed || !self.is_made(handle.as_fd(), at, kind, before)? {
            return Err(Errno::BUSY.into());
        }
        let inherited = Mode::from_raw_mode(stat.st_mode) & Mode::SGID;
        sys::fchmod_o_path(handle.as_fd(), inherited | Mode::RWXU)?;
        let opened = self.step(at, flags).and_then(|fd| {
            let now = rustix::fs::fstat(&fd)?;
            let is_same = (now.st_dev, now.st_ino) == (stat.st_dev, stat.st_ino);
            // Elsewhere than on a local file system, nothing tells its age.
            let is_new =
                kind != FileType::Directory || is_local(fd.as_fd()) || is_empty(fd.as_fd())?;
            match is_same && is_new {
                true => Ok(fd),
                false => Err(Errno::BUSY.into()),
            }
        });
        if opened.is_err() {
            // It gets back what it had: it may be somebody's.
            let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
            let _ = sys::fchmod_o_path(handle.as_fd(), mode);
        }
        opened
    }

    /// Whether `fd`, opened by the name `at`, can be what was made under it since the moment `before`.
    fn is_made(
        &self,
        fd: BorrowedFd<'_>,
        at: At<'_>,
        kind: FileType,
        before: Moment,
    ) -> Result<bool, Failure> {
        let stat = rustix::fs::fstat(fd)?;
        let is_closed = |stat: &Stat| stat.st_mode & 0o077 == 0;
        let user = rustix::process::geteuid().as_raw();
        let mut is_ours = stat.st_uid == user && (kind != FileType::Directory || is_closed(&stat));
        if !is_ours {
            // Some file systems say themselves whom a file belongs to, and who may use it.
            let given = self.given_at(at)?;
            is_ours = stat.st_uid == given.st_uid
                && (kind != FileType::Directory || is_closed(&stat) || !is_closed(&given));
        }
        Ok(is_ours
            && FileType::from_raw_mode(stat.st_mode) == kind
            && (kind == FileType::Directory || stat.st_nlink == 1)
            && !before.is_behind(fd)?)
    }

    /// What a file is that is made beside `at` for its owner alone: described by the descriptor that made it, since
    /// others see its name too.
    fn given_at(&self, at: At<'_>) -> Result<Stat, Failure> {
        let leaf = Leaf::temporary(random_characters()?)?;
        let at = at.beside(&leaf);
        let fd = self.create_at(at, OFlags::WRONLY, Mode::RUSR | Mode::WUSR)?;
        let stat = rustix::fs::fstat(&fd);
        // It is empty, and hidden if it stays.
        let _ = at.unlink();
        Ok(stat?)
    }

    /// An `O_PATH` descriptor of what has the name `at` in a tree of this root, a symlink too.
    pub fn symlink_at(&self, at: At<'_>) -> Result<OwnedFd, Failure> {
        self.step(at, OFlags::PATH | OFlags::NOFOLLOW)
    }

    /// The content of what has the name `at` in a tree of this root, to be read.
    pub fn content_at(&self, at: At<'_>) -> Result<Content, Failure> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        Content::checked(self.step(at, flags)?, flags, self.policy)
    }

    /// The content of the file that has the name `at`, or of a new one that has no permissions. `flags` say how it
    /// is opened.
    pub fn content_or_new_at(&self, at: At<'_>, flags: OFlags) -> Result<Content, Failure> {
        let flags = flags | OFlags::CREATE | OFlags::NONBLOCK | OFlags::NOCTTY;
        Content::checked(self.for_change()?.step(at, flags)?, flags, self.policy)
    }

    /// A new regular file called `at`; `flags` say how it is written to. Something there is `EEXIST`.
    pub fn create_at(&self, at: At<'_>, flags: OFlags, mode: Mode) -> Result<OwnedFd, Failure> {
        let (dir, name) = at.parts();
        self.open_in(dir, name, flags | OFlags::CREATE | OFlags::EXCL, mode)
    }

    /// A new regular file without a name (`O_TMPFILE`), in the directory of the name `at`.
    pub fn create_unnamed_at(&self, at: At<'_>, mode: Mode) -> Result<OwnedFd, Failure> {
        let (dir, _) = at.parts();
        self.open_in(dir, c".", OFlags::WRONLY | OFlags::TMPFILE, mode)
    }

    /// The directory that the name `at` is in, for `fsync`.
    pub fn directory_of(&self, at: At<'_>) -> Result<OwnedFd, Failure> {
        let (dir, _) = at.parts();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        self.open_in(dir, c".", flags, Mode::empty())
    }

    /// The directory at the end of `names` below `top`, in a tree of this root.
    pub fn directory_below(
        &self,
        top: BorrowedFd<'_>,
        names: &[&CStr],
    ) -> Result<OwnedFd, Failure> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let mut dir = self.open_in(top, c".", flags, Mode::empty())?;
        let mut path = Vec::new();
        let mut names = names.iter().peekable();
        while let Some(name) = names.next() {
            path.extend_from_slice(name.to_bytes());
            path.push(b'/');
            // As many at a time as the kernel takes in one path.
            let next = names.peek().map_or(usize::MAX, |next| next.count_bytes());
            if path.len().saturating_add(next) >= LONGEST {
                let step = CString::new(std::mem::take(&mut path)).map_err(|_| Errno::INVAL)?;
                dir = self.open_in(dir.as_fd(), &step, flags, Mode::empty())?;
            }
        }
        Ok(dir)
    }

    /// The directory above `dir`, to read its names: the way up in a tree whose levels were closed.
    pub fn listing_above(&self, dir: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
        self.fd()?;
        above(dir, OFlags::RDONLY, self.policy)
    }

    /// The same root, refusing mounts.
    pub fn without_mounts(&self) -> Result<Self, Failure> {
        let fd = rustix::io::fcntl_dupfd_cloexec(self.fd()?, 0)?;
        let policy = Policy {
            mounts: Allowed::No,
            ..self.policy
        };
        Ok(Self {
            fd: Some(fd),
            policy,
            ..*self
        })
    }

    /// What is at `path`, as an `O_PATH` descriptor: links are followed beneath the root under every policy, as by
    /// other programs. For the target of a link that is to be made.
    ///
    /// # Errors
    /// `EACCES`, outside of the sandbox, if it leads out; `ENOENT` and what else a lookup says.
    pub fn leads_beneath(&self, path: &[u8]) -> Result<OwnedFd, Failure> {
        let policy = self.policy.following();
        self.look_up(policy, path, OFlags::PATH, Mode::empty())
    }

    /// One step within a tree, from a directory that was opened on the way down. A root that is closed
    /// meanwhile ends the work.
    fn step(&self, at: At<'_>, flags: OFlags) -> Result<OwnedFd, Failure> {
        let (dir, name) = at.parts();
        self.open_in(dir, name, flags, Mode::empty())
    }

    /// Opens a name in an open directory, or what is below it, and follows nothing.
    fn open_in(
        &self,
        dir: BorrowedFd<'_>,
        name: &CStr,
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd, Failure> {
        self.fd()?;
        // What is moved away while it is opened is no longer beneath `dir`; a mount stays one.
        let resolve = self.policy.in_tree().resolve();
        let flags = flags | OFlags::CLOEXEC;
        opened(flags, || {
            retry::on(
                |errno| errno == Errno::XDEV,
                || rustix::fs::openat2(dir, name, flags, mode, resolve),
            )
        })
        .map_err(|errno| explained(dir, resolve, errno, name, flags))
    }

    /// Opens the content of `path`: a regular file or a directory, never anything that would wait
    /// for a peer. `flags` may have `CREATE`; truncating is left to what comes after the check.
    pub fn content(&self, path: &UserPath, flags: OFlags, mode: Mode) -> Result<Content, Failure> {
        let flags = flags - OFlags::TRUNC;
        let creates = flags.intersects(OFlags::CREATE) || flags.contains(OFlags::TMPFILE);
        // openat2 refuses a mode that means nothing; open(2) ignores it.
        let mode = if creates { mode } else { Mode::empty() };
        if flags.intersects(OFlags::WRONLY | OFlags::RDWR | OFlags::CREATE) {
            self.for_change()?;
        }
        let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = self.openat2(self.parse(path)?.whole().as_ref(), flags, mode);
        // A socket, a FIFO without a reader, a device without a driver.
        let fd = fd.map_err(|failure| match failure.errno {
            Errno::NXIO => Failure::because(Errno::NXIO, Reason::NotARegularFile),
            _ => failure,
        })?;
        Content::checked(fd, flags, self.policy)
    }

    /// The lookup of a path beneath the root.
    fn openat2(
        &self,
        path: impl Arg + Copy,
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd, Failure> {
        self.look_up(self.policy, path, flags, mode)
    }

    /// The same under another policy.
    fn look_up(
        &self,
        policy: Policy,
        path: impl Arg + Copy,
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd, Failure> {
        let dir = self.fd()?;
        let flags = flags | OFlags::CLOEXEC;
        let resolve = policy.resolve();
        let look_up = |resolve| rustix::fs::openat2(dir, path, flags, mode, resolve);
        let found = match policy.follows() {
            false => opened(flags, || look_up(resolve)),
            true => {
                // A lease that somebody holds says the same as a storm of renames. The path alone can be
                // looked up then: each time, and not now and then as in a storm.
                let found = Cell::new(0);
                let cause = || {
                    let resolve = resolve | ResolveFlags::NO_XDEV;
                    let flags = flags & OFlags::NOFOLLOW | OFlags::PATH | OFlags::CLOEXEC;
                    let is_found = rustix::fs::openat2(dir, path, flags, Mode::empty(), resolve);
                    found.set(is_found.map_or(0, |_| found.get() + 1));
                    match found.get() < ENOUGH_FOR_A_LEASE {
                        true => Cause::Storm,
                        false => Cause::Lease,
                    }
                };
                let cause = || match flags.contains(OFlags::PATH) {
                    true => Cause::Storm,
                    false => cause(),
                };
                retry::with_backoff(is_passing, cause, || {
                    look_up_upwards(dir, path, resolve, look_up)
                })
            }
        };
        found.map_err(|errno| explained(dir, resolve, errno, path, flags))
    }
}

/// What `open` opens without following a symlink: only a lease that somebody holds makes that fail for long.
fn opened(
    flags: OFlags,
    mut open: impl FnMut() -> Result<OwnedFd, Errno>,
) -> Result<OwnedFd, Errno> {
    match retry::on(is_passing, &mut open) {
        Err(Errno::AGAIN) if !flags.contains(OFlags::PATH) => {
            retry::with_backoff(|errno| errno == Errno::AGAIN, || Cause::Lease, open)
        }
        done => done,
    }
}

/// How often in a row a path is found while its content is not opened, until a lease is taken for the cause.
const ENOUGH_FOR_A_LEASE: u32 = 8;

/// A lookup that may go upwards, by a `..` in the path or in a link: one that arrives at `root` would enter
/// what somebody has mounted over it.
///
/// So no mount is crossed at first. If the path leads into one, it may, as long as nothing goes upwards;
/// else only where nothing is mounted over the root.
fn look_up_upwards(
    root: BorrowedFd<'_>,
    path: impl Arg,
    resolve: ResolveFlags,
    look_up: impl Fn(ResolveFlags) -> Result<OwnedFd, Errno>,
) -> Result<OwnedFd, Errno> {
    let found = look_up(resolve | ResolveFlags::NO_XDEV);
    if found.is_ok()
        || !matches!(found, Err(Errno::XDEV))
        || resolve.contains(ResolveFlags::NO_XDEV)
    {
        return found;
    }
    let path = path.into_c_str()?;
    if path
        .to_bytes()
        .split(|&byte| byte == b'/')
        .all(|name| name != b"..")
    {
        match look_up(resolve | ResolveFlags::NO_SYMLINKS) {
            Err(Errno::LOOP) => {}
            found => return found,
        }
    }
    not_covered(root)?;
    let found = look_up(resolve)?;
    // It may have been covered meanwhile.
    not_covered(root)?;
    Ok(found)
}

/// Fails with `EXDEV` if something is mounted over the directory `root`: `..` stays at it unless that is
/// entered.
fn not_covered(root: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    rustix::fs::openat2(root, c"..", flags, Mode::empty(), resolve).map(drop)
}

/// An `O_PATH` descriptor of the directory above `dir`, on whatever mount, to be compared with others.
pub fn handle_above(dir: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    above(dir, OFlags::PATH, Policy::default())
}

/// The only lookup that does not stay beneath where it starts. `dir` may have been moved, even out of
/// the root: whoever asks compares what comes out with a directory that it knows, by identity.
fn above(dir: BorrowedFd<'_>, flags: OFlags, policy: Policy) -> Result<OwnedFd, Failure> {
    let flags = flags | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = policy.in_tree().resolve() - ResolveFlags::BENEATH;
    let above = retry::on(is_passing, || {
        rustix::fs::openat2(dir, c"..", flags, Mode::empty(), resolve)
    });
    Ok(above?)
}

/// A moment, for telling what was made after it.
#[derive(Clone, Copy, Debug)]
pub struct Moment(i64, i64);

impl Moment {
    /// Now, by the clock that file systems go by.
    pub fn now() -> Self {
        let now = rustix::time::clock_gettime(ClockId::RealtimeCoarse);
        Self(now.tv_sec, now.tv_nsec as _)
    }

    /// Whether the file that `stat` describes was last changed before, and so was made before.
    pub fn is_after_change(self, stat: &Stat) -> bool {
        (stat.st_ctime, stat.st_ctime_nsec as i64) < (self.0, self.1)
    }

    /// Whether `time`, which is seconds and nanoseconds, is not before. Times of whole seconds may be two behind.
    pub fn is_followed_by(self, (seconds, nanoseconds): (i64, i64)) -> bool {
        match nanoseconds {
            0 => seconds.saturating_add(2) >= self.0,
            _ => (seconds, nanoseconds) >= (self.0, self.1),
        }
    }

    /// Whether `fd` is known to have been made before. Only a local file system goes by this clock, and not
    /// every one says when a file was made.
    fn is_behind(self, fd: BorrowedFd<'_>) -> Result<bool, Errno> {
        let statx = rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::BTIME)?;
        let made = Self(statx.stx_btime.tv_sec, statx.stx_btime.tv_nsec.into());
        let is_known = statx.stx_mask & StatxFlags::BTIME.bits() != 0;
        Ok(is_known && (made.0, made.1) < (self.0, self.1) && is_local(fd))
    }
}

/// Whether `fd` is on a local file system: it answers `fstat` from memory, once a file has been looked up, and
/// gives each file an inode number of its own. Others may ask a server or a daemon: network file systems,
/// FUSE, and overlays of these.
pub(crate) fn is_local(fd: BorrowedFd<'_>) -> bool {
    // As in statfs(2): btrfs, ext2 to ext4, tmpfs, xfs.
    const LOCAL: [u32; 4] = [0x9123_683E, 0xEF53, 0x0102_1994, 0x5846_5342];
    rustix::fs::fstatfs(fd).is_ok_and(|found| LOCAL.contains(&(found.f_type as u32)))
}

/// Whether the directory `dir` was removed: it has no name any more. `is_local`: see [`is_local`].
fn is_removed(dir: BorrowedFd<'_>, is_local: bool) -> Result<bool, Errno> {
    /// The number of the top of each subvolume of btrfs, which keeps its one name in the count.
    const SUBVOLUME: u64 = 256;
    let stat = match rustix::fs::fstat(dir) {
        Ok(stat) if stat.st_nlink == 0 => return Ok(true),
        Ok(stat) => stat,
        // What a server, or a daemon, says of it.
        Err(Errno::NOENT | Errno::STALE) => return Ok(true),
        Err(errno) => return Err(errno),
    };
    let is_counted = match is_local {
        true => stat.st_ino != SUBVOLUME || stat.st_nlink > 1,
        false => !is_overlay(dir),
    };
    Ok(!is_counted && is_without_name(dir, &stat))
}

/// Whether `fd` is on an overlay, which counts the names that a directory has in the layers beneath.
fn is_overlay(fd: BorrowedFd<'_>) -> bool {
    // As in statfs(2).
    const OVERLAYFS: u32 = 0x794C_7630;
    rustix::fs::fstatfs(fd).is_ok_and(|found| found.f_type as u32 == OVERLAYFS)
}

/// Whether the directory `dir`, which `stat` describes, has no name, as the kernel tells in `/proc`. False where it does
/// not tell: without `/proc`, or of a path that is too long.
fn is_without_name(dir: BorrowedFd<'_>, stat: &Stat) -> bool {
    let number = DecInt::new(dir.as_raw_fd());
    let path = proc::self_fd().and_then(|fds| readlink(fds, number.as_c_str()));
    let Ok(path) = path else {
        return false;
    };
    let name = path.to_bytes().rsplit(|&byte| byte == b'/').next();
    let Some(name) = name.filter(|name| name.ends_with(b" (deleted)")) else {
        return false;
    };
    // It may be called so.
    let is_called_so = || {
        let name = CString::new(name).ok()?;
        let above = handle_above(dir).ok()?;
        let found = At::new(above.as_fd(), &Leaf::listed(&name)?).lstat().ok()?;
        Some((found.st_dev, found.st_ino) == (stat.st_dev, stat.st_ino))
    };
    is_called_so() != Some(true)
}

/// The directory at a path of the host, which is trusted: its links are followed.
pub(crate) fn open_host(host_path: &UserPath) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(host_path.as_verbatim(), flags, Mode::empty())
}

impl<'r> Entry<'r, '_> {
    /// The directory and the name, for a `*at` call.
    pub fn at(&self) -> At<'_> {
        let dir = match &self.parent {
            Parent::Root(fd) => *fd,
            Parent::Opened(fd) => fd.as_fd(),
        };
        At::new(dir, &self.leaf).as_directory(self.wants_directory)
    }

    /// This entry, for whoever keeps the root longer than the path.
    pub fn into_owned(self) -> Entry<'r, 'static> {
        Entry {
            parent: self.parent,
            leaf: self.leaf.into_owned(),
            wants_directory: self.wants_directory,
        }
    }

    /// The same, for whoever keeps neither the root nor the path.
    pub fn detached(&self) -> Result<Entry<'static, 'static>, Errno> {
        let dir = self.at().parts().0;
        Ok(Entry {
            parent: Parent::Opened(rustix::io::fcntl_dupfd_cloexec(dir, 0)?),
            leaf: self.leaf.clone().into_owned(),
            wants_directory: self.wants_directory,
        })
    }

    /// Whether the caller wrote a slash behind the name.
    pub fn wants_directory(&self) -> bool {
        self.wants_directory
    }
}

impl Content {
    fn checked(fd: OwnedFd, flags: OFlags, policy: Policy) -> Result<Self, Failure> {
        let stat = rustix::fs::fstat(&fd)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile if policy.hardlinks == Allowed::No && stat.st_nlink > 1 => {
                Err(Failure::because(Errno::MLINK, Reason::HardLink))
            }
            FileType::RegularFile | FileType::Directory => Ok(Self { fd, stat, flags }),
            _ => Err(Failure::because(Errno::NXIO, Reason::NotARegularFile)),
        }
    }

    /// The open file or directory.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// What it was when it was opened.
    pub fn stat(&self) -> &Stat {
        &self.stat
    }

    /// Whether it was opened to be written.
    pub fn is_writable(&self) -> bool {
        self.flags.intersects(OFlags::WRONLY | OFlags::RDWR)
    }

    /// What kind of the two it is.
    pub fn is_directory(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::Directory
    }

    /// The descriptor, as it was opened: reading never waits.
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Makes the descriptor one for a caller who asked for it with the flags of open(2): blocking, unless
    /// they say otherwise.
    pub fn set_blocking(&self, flags: OFlags) -> Result<(), Failure> {
        if !flags.contains(OFlags::NONBLOCK) {
            // It sets the status flags alone, fcntl(2): those that it was opened with.
            rustix::fs::fcntl_setfl(&self.fd, self.flags - OFlags::NONBLOCK)?;
        }
        Ok(())
    }
}

/// Whether another try may succeed.
fn is_passing(errno: Errno) -> bool {
    matches!(errno, Errno::AGAIN | Errno::INTR)
}
