//! Opening files for their content: `open`, `truncate`.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Call, Failure, Result};
use crate::path::UserPath;
use crate::resolve::Root;
use crate::retry::on_intr;

/// open(2) for reading. A directory can be opened too, as with Node; a FIFO, socket or device
/// cannot: `ENXIO`.
pub fn open_read(root: &Root, path: &UserPath) -> Result<OwnedFd> {
    Call::on("open", path).run(|| {
        root.content(path, OFlags::RDONLY, Mode::empty())?
            .into_blocking()
    })
}

/// How a file is opened for writing.
#[derive(Clone, Copy, Debug)]
pub struct WriteOptions {
    /// The mode of the file where it is made; `None`: it must be there.
    pub create: Option<Mode>,
    /// What becomes of the content that is there.
    pub keep: Keep,
}

/// What becomes of the content that a file opened for writing has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It stays, and is written over from the start.
    Overwrite,
    /// It stays, and every write goes to the end.
    Append,
    /// It goes.
    Truncate,
}

/// open(2) for writing alone.
pub fn open_write(root: &Root, path: &UserPath, options: WriteOptions) -> Result<OwnedFd> {
    Call::on("open", path).run(|| {
        let mut flags = OFlags::WRONLY;
        flags.set(OFlags::CREATE, options.create.is_some());
        flags.set(OFlags::APPEND, options.keep == Keep::Append);
        let file = root.content(path, flags, options.create.unwrap_or(Mode::empty()))?;
        let fd = file.into_blocking()?;
        // Not by O_TRUNC: only what is known to be a regular file is emptied.
        if options.keep == Keep::Truncate {
            on_intr(|| rustix::fs::ftruncate(&fd, 0))?;
        }
        Ok(fd)
    })
}

/// truncate(2): the file must be there; a longer one is cut, a shorter one filled with zeros.
pub fn truncate(root: &Root, path: &UserPath, length: u64) -> Result<()> {
    Call::on("open", path).run(|| {
        let file = root.content(path, OFlags::WRONLY, Mode::empty())?;
        let cut = on_intr(|| rustix::fs::ftruncate(file.fd(), length));
        cut.map_err(|errno: Errno| Failure::from(errno).at_descriptor("ftruncate"))
    })
}
