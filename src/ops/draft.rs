//! A regular file that gets its name when it is complete: who looks at the name sees what was there
//! before or all of what is new, and who dies while writing leaves nothing behind.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::at::{At, random_characters};
use crate::error::{Failure, Result};
use crate::path::Leaf;
use crate::resolve::Root;
use crate::retry::TRIES;
use crate::sys;

/// What `publish` does with what has the name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is replaced, in one step.
    Replace,
    /// It stays: `EEXIST`.
    Refuse,
}

/// A file beside the name that it is to get.
pub struct Draft<'a> {
    /// Closed before the name is removed: some file systems (of libfuse) rename a file that is open then.
    fd: OwnedFd,
    name: Name<'a>,
}

/// The name that a draft is to get.
struct Name<'a> {
    at: At<'a>,
    /// The name that it has meanwhile, where the file system has no files without names.
    temporary: Option<Leaf<'static>>,
}

impl<'a> Draft<'a> {
    /// An empty file in a tree of `root` that is to be `at`. It has `mode` from the start: where it is to
    /// have another in the end, one that gives nobody more than that.
    pub fn new(root: &Root, at: At<'a>, mode: Mode) -> Result<Self, Failure> {
        match root.create_unnamed_at(at, mode) {
            // What file systems and kernels without O_TMPFILE say: open(2).
            Err(Failure {
                errno: Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS,
                ..
            }) => {}
            created => {
                let temporary = None;
                let name = Name { at, temporary };
                return created.map(|fd| Self { fd, name });
            }
        }
        let create = |at: At<'_>| root.create_at(at, OFlags::WRONLY, mode);
        let (fd, leaf) = with_temporary_name(at, create)?;
        let temporary = Some(leaf);
        let name = Name { at, temporary };
        Ok(Self { fd, name })
    }

    /// The file, to be written.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Gives it its name.
    pub fn publish(mut self, taken: Taken) -> rustix::io::Result<()> {
        // A file system may say only at the end that what was written does not fit.
        sys::close(rustix::io::fcntl_dupfd_cloexec(&self.fd, 0)?)?;
        let name = &mut self.name;
        if name.temporary.is_none() {
            match name.at.link_open_file(self.fd.as_fd()) {
                Err(Errno::EXIST) if taken == Taken::Replace => {}
                done => return done,
            }
            let link = |at: At<'_>| at.link_open_file(self.fd.as_fd());
            name.temporary = Some(with_temporary_name(name.at, link)?.1);
        }
        let Some(leaf) = &name.temporary else {
            return Ok(());
        };
        let temporary = name.at.beside(leaf);
        match taken {
            Taken::Replace => temporary.rename(name.at, rustix::fs::RenameFlags::empty())?,
            // Not by RENAME_NOREPLACE, which the file systems that come here seldom know. The
            // temporary name goes when this is dropped.
            Taken::Refuse => return temporary.link(name.at),
        }
        name.temporary = None;
        Ok(())
    }
}

impl Drop for Name<'_> {
    fn drop(&mut self) {
        if let Some(leaf) = &self.temporary {
            // Nothing can be done where it cannot be removed, and the error that led here is told.
            let _ = self.at.beside(leaf).unlink();
        }
    }
}

/// A name that nobody can foresee, for something beside `at` that is removed or renamed later: in a
/// directory that is append-only this is refused (`EPERM`), since the name would stay.
pub fn temporary_name(at: At<'_>) -> rustix::io::Result<Leaf<'static>> {
    if at.is_in_append_only()? {
        return Err(Errno::PERM);
    }
    Leaf::temporary(random_characters()?)
}

/// Makes something beside `at` under a [`temporary_name`] that nothing has.
pub fn with_temporary_name<T, E>(
    at: At<'_>,
    mut make: impl FnMut(At<'_>) -> Result<T, E>,
) -> Result<(T, Leaf<'static>), E>
where
    E: Into<Failure> + From<Errno> + Copy,
{
    for _ in 0..TRIES {
        let leaf = temporary_name(at)?;
        match make(at.beside(&leaf)) {
            Err(error) if error.into().errno == Errno::EXIST => {}
            made => return made.map(|made| (made, leaf)),
        }
    }
    Err(Errno::EXIST.into())
}
