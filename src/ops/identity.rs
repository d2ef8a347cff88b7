//! Which directory a root is, wherever it was moved, and whether a path of the host still leads to it.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, StatxFlags};
use rustix::io::Errno;

use crate::error::{Call, Failure, Result};
use crate::path::UserPath;
use crate::resolve::{Root, open_host};

/// What a directory is recognised by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The device that it is on, as `stat` tells it.
    pub dev: u64,
    /// The inode number.
    pub ino: u64,
    /// The mount that it is on, as in `/proc/self/mountinfo`; 0 where the kernel does not tell (before
    /// Linux 5.8).
    pub mount_id: u64,
}

impl Identity {
    fn of(fd: BorrowedFd<'_>) -> Result<Self, Failure> {
        let wanted = StatxFlags::INO | StatxFlags::MNT_ID;
        let statx = rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, wanted)?;
        let tells_mount = statx.stx_mask & StatxFlags::MNT_ID.bits() != 0;
        Ok(Self {
            dev: rustix::fs::makedev(statx.stx_dev_major, statx.stx_dev_minor),
            ino: statx.stx_ino,
            mount_id: if tells_mount { statx.stx_mnt_id } else { 0 },
        })
    }
}

/// That of the directory which is the root.
pub fn identity(root: &Root) -> Result<Identity> {
    let itself = UserPath::default();
    Call::on("statx", &itself).run(|| {
        let identity = root.fd().and_then(Identity::of);
        identity.map_err(|failure| failure.at_descriptor("statx"))
    })
}

/// Whether the directory which is the root was removed.
pub fn is_deleted(root: &Root) -> Result<bool> {
    let itself = UserPath::default();
    Call::on("fstat", &itself).run(|| {
        let removed = root.is_removed();
        removed.map_err(|failure| failure.at_descriptor("fstat"))
    })
}

/// Whether `host_path`, which is trusted, leads to the directory which is the root.
pub fn is_at(root: &Root, host_path: &UserPath) -> Result<bool> {
    Call::on("open", host_path).run(|| {
        let own = Identity::of(root.fd()?)?;
        match open_host(host_path) {
            Ok(fd) => Ok(Identity::of(fd.as_fd())? == own),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    })
}
