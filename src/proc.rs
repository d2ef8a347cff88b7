//! The descriptors of this process in `/proc`, for what older kernels can do by a name there alone.

use std::os::fd::BorrowedFd;
use std::panic::catch_unwind;

use rustix::io::{Errno, Result};

/// `/proc/self/fd`, once it is certain that this is procfs and that nothing is mounted over it.
pub fn self_fd() -> Result<BorrowedFd<'static>> {
    // The crate panics on an errno that it does not expect, such as one that a seccomp filter makes up.
    catch_unwind(rustix_linux_procfs::proc_self_fd).unwrap_or(Err(Errno::NOSYS))
}
