//! The one door: from a path to a descriptor, through `openat2`, beneath the root.
//!
//! Every lookup starts at the root's descriptor and carries [`Policy::resolve`], so the kernel refuses
//! to leave the root, or to follow a link that it must not, whatever happens to the tree meanwhile. What comes out is
//! an [`Entry`] (an open parent and one name), or a descriptor of the thing itself. Nothing here is
//! kept between calls: a directory that was beneath the root a moment ago may have been moved.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use rustix::path::Arg;

use crate::at::At;
use crate::error::{Failure, Reason, Result};
use crate::path::{Leaf, RelPath, UserPath};
use crate::policy::{Allowed, Policy, Symlinks};
use crate::retry;

/// A directory that nothing leaves: a descriptor, not a path.
#[derive(Debug)]
pub struct Root {
    /// `None` once it is closed: every operation is `EBADF` then.
    fd: Option<OwnedFd>,
    policy: Policy,
}

/// A path beneath a root.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The root.
    pub root: &'a Root,
    /// The path.
    pub path: &'a UserPath,
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
        let fd = Some(open_host(host_path)?);
        let root = Self { fd, policy };
        // Asked every time and never remembered: a seccomp filter can be installed at any moment.
        root.openat2(c".", OFlags::PATH, Mode::empty())?;
        Ok(root)
    }

    /// A root of its own at the directory at `path` beneath this one.
    pub fn open_beneath(&self, path: &UserPath, policy: Policy) -> Result<Self, Failure> {
        let fd = Some(self.directory(&self.parse(path)?)?);
        Ok(Self { fd, policy })
    }

    /// A root that has been closed.
    pub fn closed() -> Self {
        Self {
            fd: None,
            policy: Policy::default(),
        }
    }

    /// Whether this root has been closed.
    pub fn is_closed(&self) -> bool {
        self.fd.is_none()
    }

    /// The directory itself.
    pub fn fd(&self) -> Result<BorrowedFd<'_>, Errno> {
        self.fd.as_ref().map(AsFd::as_fd).ok_or(Errno::BADF)
    }

    /// What this root allows.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// The root for an operation that changes something: `EROFS` if it allows none.
    pub fn for_change(&self) -> Result<&Self, Errno> {
        if self.policy.readonly {
            Err(Errno::ROFS)
        } else {
            Ok(self)
        }
    }

    /// The path that `path` spells.
    pub fn parse<'p>(&self, path: &'p UserPath) -> Result<RelPath<'p>, Failure> {
        Ok(RelPath::parse(path, self.policy.spelling())?)
    }

    /// The parent of `path`, opened, and its last name. `unnamed` is the answer for a path that
    /// has no last name: the root itself, and what ends in `..`.
    pub fn entry<'p>(&self, path: &'p UserPath, unnamed: Errno) -> Result<Entry<'_, 'p>, Failure> {
        self.entry_of(self.parse(path)?, unnamed)
    }

    /// As [`Root::entry`], for a path that is parsed already.
    pub fn entry_of<'p>(
        &self,
        path: RelPath<'p>,
        unnamed: Errno,
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
        let leaf = path.into_leaf().ok_or(unnamed)?;
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
        self.openat2(path.whole().as_ref(), OFlags::PATH, Mode::empty())
    }

    /// The name that `path` ends in; what it leads to where it ends in none, or in a slash, or where
    /// mounts are refused.
    pub fn name_or_target<'p>(&self, path: &'p UserPath) -> Result<Found<'_, 'p>, Failure> {
        let parsed = self.parse(path)?;
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
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        self.openat2(path.whole().as_ref(), flags, Mode::empty())
    }

    /// A descriptor of what is at `path` that is good for nothing but naming it (`O_PATH`). `flags` may
    /// have `DIRECTORY`, and `NOFOLLOW` for a symlink itself.
    pub fn handle(&self, path: &UserPath, flags: OFlags) -> Result<OwnedFd, Failure> {
        self.handle_of(&self.parse(path)?, flags)
    }

    /// As [`Root::handle`], for a path that is parsed already.
    pub fn handle_of(&self, path: &RelPath<'_>, flags: OFlags) -> Result<OwnedFd, Failure> {
        let flags = OFlags::PATH | flags & (OFlags::DIRECTORY | OFlags::NOFOLLOW);
        self.openat2(path.whole().as_ref(), flags, Mode::empty())
    }

    /// As [`Root::handle`], if the kernel has all of the path in memory: nothing is waited for. `None` where
    /// it has not, or does not know this question (before Linux 5.12), or another lookup is in the way.
    pub fn handle_if_cached(
        &self,
        path: &UserPath,
        flags: OFlags,
    ) -> Option<Result<OwnedFd, Errno>> {
        let parsed = self.parse(path).ok()?;
        let flags = OFlags::PATH | OFlags::CLOEXEC | flags & OFlags::NOFOLLOW;
        let resolve = self.policy.resolve() | ResolveFlags::CACHED;
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
        self.openat2_at(at, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// The same for the sake of the names in it, which are made or changed and not read.
    pub fn directory_at(&self, at: At<'_>) -> Result<OwnedFd, Failure> {
        self.openat2_at(at, OFlags::PATH | OFlags::DIRECTORY)
    }

    /// What has the name `at` in a tree of this root, good for nothing but naming it; no symlink.
    pub fn handle_at(&self, at: At<'_>) -> Result<OwnedFd, Failure> {
        self.openat2_at(at, OFlags::PATH)
    }

    /// The same root, refusing mounts.
    pub fn without_mounts(&self) -> Result<Self, Errno> {
        let fd = Some(rustix::io::fcntl_dupfd_cloexec(self.fd()?, 0)?);
        let mounts = Allowed::No;
        Ok(Self {
            fd,
            policy: Policy {
                mounts,
                ..self.policy
            },
        })
    }

    /// The content of what has the name `at` in a tree of this root, to be read.
    pub fn content_at(&self, at: At<'_>) -> Result<Content, Failure> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        Content::checked(self.openat2_at(at, flags)?, flags, self.policy)
    }

    /// One step within a tree, from a directory that was opened on the way down.
    fn openat2_at(&self, at: At<'_>, flags: OFlags) -> Result<OwnedFd, Failure> {
        let (dir, name) = at.parts();
        let policy = Policy {
            symlinks: Symlinks::Reject,
            ..self.policy
        };
        // What is moved away while it is opened is no longer beneath `dir`; a mount stays one.
        let again = |errno| is_passing(errno) || errno == Errno::XDEV;
        openat2(dir, name, flags, Mode::empty(), policy, again)
    }

    /// Opens the content of `path`: a regular file or a directory, never anything that would wait
    /// for a peer. `flags` may have `CREATE`; truncating is left to what comes after the check.
    pub fn content(&self, path: &UserPath, flags: OFlags, mode: Mode) -> Result<Content, Failure> {
        debug_assert!(!flags.contains(OFlags::TRUNC));
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

    fn openat2(
        &self,
        path: impl Arg + Copy,
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd, Failure> {
        openat2(self.fd()?, path, flags, mode, self.policy, is_passing)
    }
}

/// The directory at a path of the host, which is trusted: its links are followed.
pub(crate) fn open_host(host_path: &UserPath) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(host_path.as_verbatim(), flags, Mode::empty())
}

fn openat2(
    dir: BorrowedFd<'_>,
    path: impl Arg + Copy,
    flags: OFlags,
    mode: Mode,
    policy: Policy,
    again: impl Fn(Errno) -> bool,
) -> Result<OwnedFd, Failure> {
    let flags = flags | OFlags::CLOEXEC;
    let resolve = policy.resolve();
    retry::on(again, || {
        rustix::fs::openat2(dir, path, flags, mode, resolve)
    })
    .map_err(|errno| explained(dir, resolve, errno, path, flags))
}

impl Entry<'_, '_> {
    /// The directory and the name, for a `*at` call.
    pub fn at(&self) -> At<'_> {
        let dir = match &self.parent {
            Parent::Root(fd) => *fd,
            Parent::Opened(fd) => fd.as_fd(),
        };
        At::new(dir, &self.leaf)
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
                Err(Errno::MLINK.into())
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

    /// What kind of the two it is.
    pub fn is_directory(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::Directory
    }

    /// The descriptor, as it was opened: reading never waits.
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// The descriptor, for a caller who will read and write it as any other: blocking again.
    pub fn into_blocking(self) -> Result<OwnedFd, Failure> {
        // It sets the status flags alone, fcntl(2): those that it was opened with.
        rustix::fs::fcntl_setfl(&self.fd, self.flags - OFlags::NONBLOCK)?;
        Ok(self.fd)
    }
}

/// Whether another try may succeed.
fn is_passing(errno: Errno) -> bool {
    matches!(errno, Errno::AGAIN | Errno::INTR)
}

/// What the errno of an `openat2` means to a caller.
#[cold]
fn explained(
    root: BorrowedFd<'_>,
    resolve: ResolveFlags,
    errno: Errno,
    path: impl Arg,
    flags: OFlags,
) -> Failure {
    match errno {
        // The walk met a directory that was moved out of the root.
        Errno::XDEV => Failure::because(Errno::ACCESS, Reason::OutsideSandbox),
        // Opening for the path alone needs no permission that EPERM could be about.
        Errno::PERM if !flags.contains(OFlags::PATH) => errno.into(),
        Errno::NOSYS | Errno::PERM if kernel_has_openat2() => {
            Failure::because(errno, Reason::BlockedBySeccomp)
        }
        Errno::NOSYS | Errno::PERM => Failure::because(errno, Reason::KernelTooOld),
        // In a sticky directory, fs.protected_symlinks speaks before NO_SYMLINKS can.
        Errno::ACCESS
            if resolve.contains(ResolveFlags::NO_SYMLINKS) && is_symlink(root, resolve, path) =>
        {
            Errno::LOOP.into()
        }
        _ => errno.into(),
    }
}

fn is_symlink(root: BorrowedFd<'_>, resolve: ResolveFlags, path: impl Arg) -> bool {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // With a slash behind it, it would be followed.
    let Ok(path) = path.into_c_str() else {
        return false;
    };
    let path = path.to_bytes();
    let path = path.strip_suffix(b"/").unwrap_or(path);
    rustix::fs::openat2(root, path, flags, Mode::empty(), resolve)
        .and_then(rustix::fs::fstat)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

/// Whether the running kernel is one that has `openat2`: 5.6 or newer.
fn kernel_has_openat2() -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (5, 6),
        _ => false,
    }
}
