//! What no safe wrapper exists for: all the `unsafe` of this crate.
#![allow(unsafe_code)]

#[cfg(feature = "node")]
pub mod node_api;

use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};

use rustix::fs::{Access, Mode};
use rustix::io::{Errno, Result};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// The number of fchmodat2(2), the same on every architecture (Linux 6.6).
const SYS_FCHMODAT2: libc::c_long = 452;

/// fchmodat2(2) on the file that `fd` itself refers to, which may be open with `O_PATH` alone.
///
/// # Errors
/// `ENOSYS` before Linux 6.6, beside those of chmod(2).
pub fn fchmod_o_path(fd: BorrowedFd<'_>, mode: Mode) -> Result<()> {
    // SAFETY: the path is a NUL-terminated string that outlives the call, the descriptor is open
    // for as long as it is borrowed, and the kernel writes to no memory of ours.
    let done = unsafe {
        libc::syscall(
            SYS_FCHMODAT2,
            fd.as_raw_fd(),
            c"".as_ptr(),
            mode.as_raw_mode(),
            libc::AT_EMPTY_PATH,
        )
    };
    checked(done)
}

/// faccessat2(2) of the file that `fd` itself refers to, which may be open with `O_PATH` alone, by the
/// real user and group, as access(2).
///
/// # Errors
/// `ENOSYS` before Linux 5.8, beside those of access(2).
pub fn access_o_path(fd: BorrowedFd<'_>, mode: Access) -> Result<()> {
    // SAFETY: as above.
    let done = unsafe {
        libc::syscall(
            libc::SYS_faccessat2,
            fd.as_raw_fd(),
            c"".as_ptr(),
            mode.bits(),
            libc::AT_EMPTY_PATH,
        )
    };
    checked(done)
}

/// ioctl_ficlonerange(2): all of `source` becomes a part of `to` as well, from `offset` on.
pub fn ficlonerange(to: BorrowedFd<'_>, source: BorrowedFd<'_>, offset: u64) -> Result<()> {
    clone_range(to, source, 0, 0, offset)
}

/// ioctl_ficlonerange(2) of a part that no file has: it changes nothing, and fails.
///
/// # Errors
/// `EINVAL` where the two files are of one file system that can share blocks.
pub fn ficlonerange_of_nothing(to: BorrowedFd<'_>, source: BorrowedFd<'_>) -> Result<()> {
    // Behind the longest file, and at the beginning of no block.
    clone_range(to, source, (1 << 62) + 1, 1, 0)
}

fn clone_range(
    to: BorrowedFd<'_>,
    source: BorrowedFd<'_>,
    start: u64,
    length: u64,
    offset: u64,
) -> Result<()> {
    let range = libc::file_clone_range {
        src_fd: source.as_raw_fd().into(),
        src_offset: start,
        src_length: length,
        dest_offset: offset,
    };
    // SAFETY: the kernel reads `range`, which outlives the call, and writes to no memory of ours.
    let done = unsafe { libc::ioctl(to.as_raw_fd(), libc::FICLONERANGE as _, &raw const range) };
    checked(done.into())
}

/// `FS_IOC_GETVERSION`, ioctl_iflags(2): the generation of the open file `fd`. It changes whenever its number
/// is given to another file.
pub fn generation(fd: BorrowedFd<'_>) -> Result<u64> {
    // Most file systems write four bytes of it.
    let mut generation = 0_u64;
    // SAFETY: the kernel writes at most a long, for which there is room, and which outlives the call.
    let done = unsafe {
        let to = &raw mut generation;
        libc::ioctl(fd.as_raw_fd(), libc::FS_IOC_GETVERSION as _, to)
    };
    checked(done.into()).map(|()| generation)
}

/// Does `work` as the real user and group, as access(2) looks at a path. Lookups of this thread go by the
/// file system ids, which are the effective ones at other times.
pub fn as_real_user<T>(work: impl FnOnce() -> T) -> T {
    let (user, group) = (ids(libc::getresuid), ids(libc::getresgid));
    // For access(2), only root has capabilities.
    let _capable = match user.real {
        0 => None,
        _ => Capabilities::without(user),
    };
    if user.is_one() && group.is_one() {
        return work();
    }
    let _restored = FileSystemIds;
    // SAFETY: they change what this thread may do, and touch no memory. The group first: a user may not
    // be allowed to change it.
    unsafe {
        libc::setfsgid(group.real);
        libc::setfsuid(user.real);
    }
    work()
}

/// Gives this thread its capabilities back when it is dropped, unless the process has changed its user
/// meanwhile: then they are what the kernel has made of them.
struct Capabilities {
    had: CapabilitySets,
    user: Ids,
}

impl Capabilities {
    /// Takes the effective ones from this thread, if it has any.
    fn without(user: Ids) -> Option<Self> {
        let had = capabilities(None).ok()?;
        if had.effective.is_empty() {
            return None;
        }
        let none = CapabilitySets {
            effective: CapabilitySet::empty(),
            ..had
        };
        set_capabilities(None, none)
            .ok()
            .map(|()| Self { had, user })
    }
}

impl Drop for Capabilities {
    fn drop(&mut self) {
        if ids(libc::getresuid) == self.user {
            // The permitted ones were kept, so that this is allowed.
            let _ = set_capabilities(None, self.had);
        }
    }
}

/// The ids of a process.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ids {
    real: u32,
    effective: u32,
}

impl Ids {
    fn is_one(self) -> bool {
        self.real == self.effective
    }
}

fn ids(get: unsafe extern "C" fn(*mut u32, *mut u32, *mut u32) -> libc::c_int) -> Ids {
    let (mut real, mut effective, mut saved) = (0, 0, 0);
    // SAFETY: `get` is getresuid(2) or getresgid(2), which writes to these three numbers.
    unsafe { get(&raw mut real, &raw mut effective, &raw mut saved) };
    Ids { real, effective }
}

/// Sets the file system ids of this thread to the effective ones when it is dropped.
struct FileSystemIds;

impl Drop for FileSystemIds {
    fn drop(&mut self) {
        // The process may have changed its ids meanwhile, for this thread too: then these count.
        loop {
            let (user, group) = (ids(libc::getresuid), ids(libc::getresgid));
            // SAFETY: as above. The user first: it gives back the right to change the group.
            unsafe {
                libc::setfsuid(user.effective);
                libc::setfsgid(group.effective);
            }
            if (user, group) == (ids(libc::getresuid), ids(libc::getresgid)) {
                return;
            }
        }
    }
}

/// close(2), with what dropping a descriptor does not tell: a file system may find out only then
/// that what was written does not fit. The descriptor is gone in any case.
pub fn close(fd: OwnedFd) -> Result<()> {
    // SAFETY: the descriptor is owned, and given up before it is closed.
    let done = unsafe { libc::close(fd.into_raw_fd()) };
    match checked(done.into()) {
        // Linux has closed it nevertheless: close(2).
        Err(Errno::INTR) => Ok(()),
        done => done,
    }
}

/// Has `end` called when the process exits by exit(3), or when this library is unloaded. Without memory for that it is
/// not.
pub fn at_exit(end: extern "C" fn()) {
    // SAFETY: the function is of this library: the C library calls it no later than it unloads that.
    unsafe { libc::atexit(end) };
}

fn checked(done: libc::c_long) -> Result<()> {
    match done {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}
