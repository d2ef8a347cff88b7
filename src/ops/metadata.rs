//! What is known of a file beside its content: `stat`, `lstat`, `access`, `exists`, `chmod`, `chown`,
//! `lchown`, `utimes`, `lutimes`.
//!
//! The changes act on an `O_PATH` descriptor of the file, so that no permission to read it is
//! needed, no FIFO waits, and nothing can be put in its place between lookup and change.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    Access, AtFlags, FileType, Gid, Mode, OFlags, Stat, StatFs, Statx, StatxFlags, Timespec,
    Timestamps, Uid,
};
use rustix::io::Errno;
use rustix::path::DecInt;
use rustix::time::{ClockId, clock_gettime};

use crate::at::At;
use crate::error::{Call, Failure, Result};
use crate::path::{RelPath, UserPath};
use crate::policy::Allowed;
use crate::proc;
use crate::resolve::{Found, Root};
use crate::retry::on_intr;
use crate::sys;

/// Nanoseconds since the epoch; before it they are negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nanoseconds(i128);

const PER_SECOND: i128 = 1_000_000_000;

impl Nanoseconds {
    /// The earliest time that the kernel can be told: its seconds are 64 bits wide.
    pub const MIN: i128 = i64::MIN as i128 * PER_SECOND;
    /// The latest time that the kernel can be told.
    pub const MAX: i128 = i64::MAX as i128 * PER_SECOND + (PER_SECOND - 1);

    /// The time `ns`; `None` beyond [`Self::MIN`] and [`Self::MAX`].
    pub fn new(ns: i128) -> Option<Self> {
        (Self::MIN..=Self::MAX).contains(&ns).then_some(Self(ns))
    }

    /// From the two fields in which the kernel tells a time.
    pub fn of(seconds: i64, fraction: u64) -> Self {
        Self(i128::from(seconds) * PER_SECOND + i128::from(fraction))
    }

    /// The number of nanoseconds.
    pub fn get(self) -> i128 {
        self.0
    }
}

impl From<Nanoseconds> for Timespec {
    fn from(Nanoseconds(ns): Nanoseconds) -> Self {
        // Dividing 128 bits is slow, and those of most years fit into 64.
        let (seconds, fraction) = match i64::try_from(ns) {
            Ok(ns) => {
                let per_second = PER_SECOND as i64;
                (ns.div_euclid(per_second), ns.rem_euclid(per_second))
            }
            // In range, since `new` lets nothing else through.
            Err(_) => (
                ns.div_euclid(PER_SECOND) as i64,
                ns.rem_euclid(PER_SECOND) as i64,
            ),
        };
        Self {
            tv_sec: seconds,
            tv_nsec: fraction as _,
        }
    }
}

/// What the kernel tells of a file: a [`Stat`], or a [`Statx`], which has the time of birth too and takes longer.
pub trait Description: Sized {
    /// Of an open file, which may be open with `O_PATH` alone.
    fn of(fd: BorrowedFd<'_>) -> rustix::io::Result<Self>;
    /// Of a name, a symlink itself.
    fn at(at: At<'_>) -> rustix::io::Result<Self>;
    /// The type and the permission bits.
    fn mode(&self) -> u32;
    /// Whether the file has no name any more.
    fn is_removed(&self) -> bool;
}

impl Description for Stat {
    fn of(fd: BorrowedFd<'_>) -> rustix::io::Result<Self> {
        rustix::fs::fstat(fd)
    }

    fn at(at: At<'_>) -> rustix::io::Result<Self> {
        at.lstat()
    }

    fn mode(&self) -> u32 {
        self.st_mode
    }

    fn is_removed(&self) -> bool {
        self.st_nlink == 0
    }
}

impl Description for Statx {
    fn of(fd: BorrowedFd<'_>) -> rustix::io::Result<Self> {
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        on_intr(|| rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, wanted))
    }

    fn at(at: At<'_>) -> rustix::io::Result<Self> {
        at.lstatx()
    }

    fn mode(&self) -> u32 {
        self.stx_mode.into()
    }

    fn is_removed(&self) -> bool {
        self.stx_nlink == 0
    }
}

/// This moment, by the clock that file systems take their times from.
pub fn now() -> Nanoseconds {
    let now = clock_gettime(ClockId::RealtimeCoarse);
    Nanoseconds(i128::from(now.tv_sec) * PER_SECOND + i128::from(now.tv_nsec))
}

/// The longest tick of the times of a file system, in nanoseconds: two seconds of FAT, and a tick of the kernel.
const COARSEST: i128 = 2_010_000_000;

/// Whether a change behind `asked`, a moment before the file was described, may leave its times as they are: those of
/// its file system are whole seconds, and the last change is no older than one of its ticks.
pub fn may_change_unseen(found: &Stat, asked: Nanoseconds) -> bool {
    if found.st_mtime_nsec != 0 || found.st_ctime_nsec != 0 {
        return false;
    }
    let is_recent = |time: Nanoseconds| time.get() > asked.get() - COARSEST;
    let modified = Nanoseconds::of(found.st_mtime, 0);
    // A time of modification in the future was set by somebody. The next change sets the other one too.
    is_recent(Nanoseconds::of(found.st_ctime, 0))
        || (is_recent(modified) && modified.get() <= now().get())
}

/// stat(2); a symlink is `ELOOP`, unless the root follows them.
pub fn stat<D: Description>(root: &Root, path: &UserPath) -> Result<D> {
    Call::on("stat", path).run(|| describe(root, path, true))
}

/// lstat(2): describes a symlink itself.
pub fn lstat<D: Description>(root: &Root, path: &UserPath) -> Result<D> {
    Call::on("lstat", path).run(|| describe(root, path, false))
}

/// `follow`: what a symlink as the last component leads to is meant, and not the link.
///
/// The thing itself is opened, and not its parent: that is the cheaper way.
fn describe<D: Description>(root: &Root, path: &UserPath, follow: bool) -> Result<D, Failure> {
    let path = root.parse(path)?;
    if let Some(found) = describe_in_root(root, &path, follow)? {
        return Ok(found);
    }
    let flags = match follow {
        true => OFlags::empty(),
        false => OFlags::NOFOLLOW,
    };
    Ok(D::of(root.handle_of(&path, flags)?.as_fd())?)
}

/// The same for the root, and for a name directly in it; `None` for what has to be looked up.
fn describe_in_root<D: Description>(
    root: &Root,
    path: &RelPath<'_>,
    follow: bool,
) -> Result<Option<D>, Failure> {
    if path.is_root() {
        return Ok(Some(D::of(root.fd()?)?));
    }
    let is_name_in_root = path.has_leaf() && path.parent().is_none();
    if !is_name_in_root || path.wants_directory() || root.policy().mounts == Allowed::No {
        return Ok(None);
    }
    let entry = root.entry_of(path.clone(), Errno::BUSY)?;
    let found = D::at(entry.at())?;
    match FileType::from_raw_mode(found.mode()) {
        FileType::Symlink if follow && root.policy().follows() => Ok(None),
        FileType::Symlink if follow => Err(Failure::symlink()),
        _ => Ok(Some(found)),
    }
}

/// An answer, if it can be had without waiting.
pub enum IfCached<T> {
    /// It is this.
    Answer(T),
    /// It has to be waited for, on another thread. A descriptor is to be closed there too: it may be the last
    /// of a removed file, and closing it then waits for the file to be freed.
    Wait(Option<OwnedFd>),
}

impl<T> IfCached<T> {
    /// What `change` makes of the answer.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> IfCached<U> {
        match self {
            Self::Answer(answer) => IfCached::Answer(change(answer)),
            Self::Wait(fd) => IfCached::Wait(fd),
        }
    }
}

/// statfs(2): describes the file system of what is at `path`; a symlink is `ELOOP`, unless the root follows them.
pub fn statfs(root: &Root, path: &UserPath) -> Result<StatFs> {
    Call::on("statfs", path).run(|| Ok(rustix::fs::fstatfs(root.existing(path)?)?))
}

/// As [`stat`], or [`lstat`] without `follow`, if nothing has to be waited for.
pub fn stat_if_cached<D: Description>(
    root: &Root,
    path: &UserPath,
    follow: bool,
) -> IfCached<Result<D>> {
    let flags = match follow {
        true => OFlags::empty(),
        false => OFlags::NOFOLLOW,
    };
    let call = Call::on(if follow { "stat" } else { "lstat" }, path);
    match root.handle_if_cached(path, flags) {
        None => IfCached::Wait(None),
        Some(Err(errno)) => IfCached::Answer(Err(call.failed(errno.into()))),
        Some(Ok(fd)) => match D::of(fd.as_fd()) {
            Ok(found) if !found.is_removed() => IfCached::Answer(Ok(found)),
            _ => IfCached::Wait(Some(fd)),
        },
    }
}

/// access(2), by the real user and group; a symlink is `ELOOP`, unless the root follows them.
pub fn access(root: &Root, path: &UserPath, mode: Access) -> Result<()> {
    Call::on("access", path).run(|| {
        if mode.contains(Access::WRITE_OK) {
            root.for_change()?;
        }
        if mode == Access::EXISTS {
            return find(root, path);
        }
        let fd = sys::as_real_user(|| root.existing(path))?;
        let done = on_intr(|| sys::access_o_path(fd.as_fd(), mode));
        or_through_proc(done, fd.as_fd(), |proc_fds, number| {
            rustix::fs::accessat(proc_fds, number, mode, AtFlags::empty())
        })
    })
}

/// Whether something is at `path`; a symlink counts as what it leads to. Only a closed root does not answer.
pub fn exists(root: &Root, path: &UserPath) -> Result<bool> {
    Call::on("access", path).run(|| {
        root.fd()?;
        Ok(find(root, path).is_ok())
    })
}

/// Finds out whether something is at `path`, and if not, why.
fn find(root: &Root, path: &UserPath) -> Result<(), Failure> {
    let path = root.parse(path)?;
    sys::as_real_user(|| match describe_in_root::<Stat>(root, &path, true)? {
        Some(_) => Ok(()),
        None => root.existing_of(&path).map(drop),
    })
}

/// As [`exists`], if nothing has to be waited for.
pub fn exists_if_cached(root: &Root, path: &UserPath) -> IfCached<bool> {
    sys::as_real_user(|| stat_if_cached::<Stat>(root, path, true)).map(|found| found.is_ok())
}

/// Whom a file is to belong to; `None` leaves it as it is.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    /// The user.
    pub user: Option<Uid>,
    /// The group.
    pub group: Option<Gid>,
}

/// chown(2); a symlink is `ELOOP`, unless the root follows them.
pub fn chown(root: &Root, path: &UserPath, owner: Owner) -> Result<()> {
    Call::on("chown", path).run(|| {
        let fd = root.existing_to_change(path)?;
        chown_fd(fd.as_fd(), owner.user, owner.group)
    })
}

/// lchown(2): of a symlink itself.
pub fn lchown(root: &Root, path: &UserPath, owner: Owner) -> Result<()> {
    Call::on("lchown", path).run(|| match root.name_or_target_to_change(path)? {
        Found::Name(entry) => Ok(entry.at().chown(owner.user, owner.group)?),
        Found::Target(fd) => chown_fd(fd.as_fd(), owner.user, owner.group),
    })
}

/// chown(2) of an open file, which may be open with `O_PATH` alone.
pub(super) fn chown_fd(
    fd: BorrowedFd<'_>,
    user: Option<Uid>,
    group: Option<Gid>,
) -> Result<(), Failure> {
    let flags = AtFlags::EMPTY_PATH;
    let done = on_intr(|| rustix::fs::chownat(fd, c"", user, group, flags));
    Ok(done?)
}

/// chmod(2); a symlink is `ELOOP`.
pub fn chmod(root: &Root, path: &UserPath, mode: Mode) -> Result<()> {
    Call::on("chmod", path).run(|| {
        let fd = root.existing_to_change(path)?;
        chmod_fd(fd.as_fd(), mode)
    })
}

/// chmod(2) of an open file, which may be open with `O_PATH` alone.
pub(super) fn chmod_fd(fd: BorrowedFd<'_>, mode: Mode) -> Result<(), Failure> {
    let done = on_intr(|| sys::fchmod_o_path(fd, mode));
    or_through_proc(done, fd, |proc_fds, number| {
        rustix::fs::chmodat(proc_fds, number, mode, AtFlags::empty())
    })
}

/// utimensat(2); a symlink is `ELOOP`, unless the root follows them.
pub fn utimes(root: &Root, path: &UserPath, times: &Timestamps) -> Result<()> {
    Call::on("utime", path).run(|| {
        let fd = root.existing_to_change(path)?;
        utimes_fd(fd.as_fd(), times)
    })
}

/// utimensat(2): of a symlink itself.
pub fn lutimes(root: &Root, path: &UserPath, times: &Timestamps) -> Result<()> {
    Call::on("lutime", path).run(|| match root.name_or_target_to_change(path)? {
        // Asked to leave both times as they are, the kernel does not look the name up.
        Found::Name(entry) if changes_nothing(times) => Ok(entry.at().lstat().map(drop)?),
        Found::Name(entry) => Ok(entry.at().utimes(times)?),
        Found::Target(fd) => utimes_fd(fd.as_fd(), times),
    })
}

/// utimensat(2) of an open file, which may be open with `O_PATH` alone.
pub(super) fn utimes_fd(fd: BorrowedFd<'_>, times: &Timestamps) -> Result<(), Failure> {
    let done = on_intr(|| rustix::fs::utimensat(fd, c"", times, AtFlags::EMPTY_PATH));
    or_through_proc(done, fd, |proc_fds, number| {
        rustix::fs::utimensat(proc_fds, number, times, AtFlags::empty())
    })
}

/// The times that `utimes` sets; one that is `None` stays as it is.
pub fn times(accessed: Option<Nanoseconds>, modified: Option<Nanoseconds>) -> Timestamps {
    const AS_IT_IS: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: rustix::fs::UTIME_OMIT,
    };
    Timestamps {
        last_access: accessed.map_or(AS_IT_IS, Into::into),
        last_modification: modified.map_or(AS_IT_IS, Into::into),
    }
}

/// Whether both times stay as they are.
fn changes_nothing(times: &Timestamps) -> bool {
    let both = [times.last_access, times.last_modification];
    both.iter()
        .all(|time| time.tv_nsec == rustix::fs::UTIME_OMIT)
}

/// Where the kernel has no such call on a descriptor (fchmodat2 came with Linux 6.6, `AT_EMPTY_PATH`
/// of utimensat with 5.8), or a seccomp filter does not know it, acts on what `fd` refers to by its
/// name in `/proc/self/fd`. rustix makes sure that this is procfs and that nothing covers it.
fn or_through_proc(
    done: rustix::io::Result<()>,
    fd: BorrowedFd<'_>,
    act: impl FnOnce(BorrowedFd<'_>, DecInt) -> rustix::io::Result<()>,
) -> Result<(), Failure> {
    let Err(errno @ (Errno::NOSYS | Errno::INVAL | Errno::PERM)) = done else {
        return Ok(done?);
    };
    match proc::self_fd() {
        Ok(proc_fds) => Ok(act(proc_fds, DecInt::new(fd.as_raw_fd()))?),
        // Without /proc, that the call is not permitted is the most that is known.
        Err(_) if errno == Errno::PERM => Err(errno.into()),
        Err(proc_errno) => Err(proc_errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timespec(ns: i128) -> (i64, i64) {
        let Some(time) = Nanoseconds::new(ns) else {
            return (0, -1);
        };
        let spec: Timespec = time.into();
        (spec.tv_sec, spec.tv_nsec)
    }

    #[test]
    fn a_time_before_the_epoch_has_a_positive_fraction() {
        assert_eq!(timespec(-1), (-1, 999_999_999));
        assert_eq!(timespec(-1_000_000_000), (-1, 0));
    }

    #[test]
    fn the_limits_are_those_of_the_seconds_of_the_kernel() {
        assert_eq!(timespec(Nanoseconds::MIN), (i64::MIN, 0));
        assert_eq!(timespec(Nanoseconds::MAX), (i64::MAX, 999_999_999));
        assert_eq!(Nanoseconds::new(Nanoseconds::MIN - 1), None);
        assert_eq!(Nanoseconds::new(Nanoseconds::MAX + 1), None);
    }

    #[test]
    fn what_the_kernel_tells_comes_back() {
        for ns in [0, -1, 1, Nanoseconds::MIN, Nanoseconds::MAX] {
            let (seconds, fraction) = timespec(ns);
            assert_eq!(Nanoseconds::of(seconds, fraction as u64).get(), ns);
        }
    }
}
