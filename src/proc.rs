//! The descriptors of this process in `/proc`, for what older kernels can do by a name there alone.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::panic::catch_unwind;

use rustix::io::{Errno, Result};

/// `/proc/self/fd`, once it is certain that this is procfs and that nothing is mounted over it.
pub fn self_fd() -> Result<BorrowedFd<'static>> {
    // The crate panics on an errno that it does not expect, such as one that a seccomp filter makes up.
    catch_unwind(rustix_linux_procfs::proc_self_fd).unwrap_or(Err(Errno::NOSYS))
}

/// The name of the open file `fd` there, for calls that take a path alone. Something else may be mounted there
/// since [`self_fd`] was certain.
pub fn path_of(fd: BorrowedFd<'_>) -> Result<String> {
    const FDS: &str = "/proc/self/fd";
    let known = rustix::fs::fstat(self_fd()?)?;
    let now = rustix::fs::stat(FDS)?;
    match (known.st_dev, known.st_ino) == (now.st_dev, now.st_ino) {
        true => Ok(format!("{FDS}/{}", fd.as_raw_fd())),
        false => Err(Errno::NOENT),
    }
}
