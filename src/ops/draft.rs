//! A regular file that gets its name when it is complete: who looks at the name sees what was there
//! before or all of what is new, and who dies while writing leaves nothing behind.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FlockOperation, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

use crate::at::{At, random_characters};
use crate::error::{Failure, Reason, Result};
use crate::ops::Existing;
use crate::ops::target::is_same_file;
use crate::ops::version::Version;
use crate::path::Leaf;
use crate::resolve::{Entry, Root};
use crate::retry::{Cause, TRIES, with_backoff};
use crate::sys;

/// What says the name that something is to get.
pub trait Named {
    /// The name.
    fn at(&self) -> At<'_>;
}

impl Named for At<'_> {
    fn at(&self) -> At<'_> {
        *self
    }
}

impl Named for Entry<'_, '_> {
    fn at(&self) -> At<'_> {
        self.at()
    }
}

/// A file beside the name that it is to get.
pub struct Draft<N: Named> {
    /// Closed before the name is removed: some file systems (of libfuse) rename a file that is open then.
    fd: OwnedFd,
    name: Name<N>,
}

/// The name that a draft is to get.
struct Name<N: Named> {
    named: N,
    /// The name that it has meanwhile, where the file system has no files without names.
    temporary: Option<Leaf<'static>>,
    /// Whether that is to be removed: whoever lists the directory can give it to something else.
    is_unfinished: bool,
}

impl<N: Named> Draft<N> {
    /// An empty file in a tree of `root` that is to be `named` so. It has `mode` from the start: where it is to
    /// have another in the end, one that gives nobody more than that.
    pub fn new(root: &Root, named: N, mode: Mode) -> Result<Self, Failure> {
        let at = named.at();
        match root.create_unnamed_at(at, mode) {
            // What file systems and kernels without O_TMPFILE say: open(2).
            Err(Failure {
                errno: Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS,
                ..
            }) => {}
            created => {
                let name = Name {
                    named,
                    temporary: None,
                    is_unfinished: false,
                };
                return created.map(|fd| Self { fd, name });
            }
        }
        let create = |at: At<'_>| root.create_at(at, OFlags::WRONLY, mode);
        let (fd, leaf) = with_temporary_name(at, create)?;
        let name = Name {
            named,
            temporary: Some(leaf),
            is_unfinished: false,
        };
        Ok(Self { fd, name })
    }

    /// The file, to be written.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The name that it is to get.
    pub fn at(&self) -> At<'_> {
        self.name.named.at()
    }

    /// Gives it its name.
    pub fn publish(mut self, existing: Existing) -> rustix::io::Result<()> {
        // A file system may say only at the end that what was written does not fit.
        sys::close(rustix::io::fcntl_dupfd_cloexec(&self.fd, 0)?)?;
        let name = &mut self.name;
        let at = name.named.at();
        if name.temporary.is_none() {
            match at.link_open_file(self.fd.as_fd()) {
                Err(Errno::EXIST) if existing == Existing::Replace => {}
                done => return done,
            }
            let link = |at: At<'_>| at.link_open_file(self.fd.as_fd());
            name.temporary = Some(with_temporary_name(at, link)?.1);
        }
        let Some(leaf) = &name.temporary else {
            return Ok(());
        };
        let temporary = at.beside(leaf);
        match existing {
            Existing::Replace => temporary.rename(at, RenameFlags::empty())?,
            // Not by RENAME_NOREPLACE, which the file systems that come here seldom know. The
            // temporary name goes when this is dropped.
            Existing::Refuse => return temporary.link(at),
        }
        name.temporary = None;
        Ok(())
    }
}

/// The lock of a directory. Of the conditional writes to what is in it, one at a time has it: without it, a file that
/// was put back could be taken for one that came last. Whoever may read the directory can hold it, and delay them.
pub struct Lock {
    _directory: OwnedFd,
}

impl Lock {
    /// Locks `directory` until this is dropped.
    ///
    /// # Errors
    /// `EAGAIN` for [`Reason::Locked`] if somebody has the lock for long.
    pub fn take(directory: OwnedFd) -> Result<Self, Failure> {
        let lock = || rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive);
        match with_backoff(|errno| errno == Errno::AGAIN, || Cause::Lock, lock) {
            Err(Errno::AGAIN) => Err(Failure::because(Errno::AGAIN, Reason::Locked)),
            Err(errno) => Err(errno.into()),
            Ok(()) => Ok(Self {
                _directory: directory,
            }),
        }
    }
}

impl<N: Named> Draft<N> {
    /// Gives it its name in place of the file that has it, if that is `version`; else all stays as it is, for
    /// [`Reason::NotThatVersion`]. `kept`: the hidden name of a file that could not be given its own again.
    ///
    /// The kernel has no rename with a condition. The file is compared, exchanged with this one, and compared again
    /// under its hidden name: another one that came in between is given the name again, by [`give_back`]. `_lock`, that
    /// of the directory, is held until all of this is done.
    pub fn publish_over(
        mut self,
        _lock: Lock,
        version: &Version,
        kept: &mut Option<Leaf<'static>>,
    ) -> Result<(), Failure> {
        sys::close(rustix::io::fcntl_dupfd_cloexec(&self.fd, 0)?)?;
        if self.name.temporary.is_none() {
            let link = |at: At<'_>| at.link_open_file(self.fd.as_fd());
            let leaf = with_temporary_name(self.name.named.at(), link)?.1;
            self.name.temporary = Some(leaf);
        }
        let ours = rustix::fs::fstat(&self.fd)?;
        let is_version = |stat: rustix::io::Result<Stat>| match stat {
            Err(Errno::NOENT) => Err(not_that_version()),
            stat if version.is(&stat?) => Ok(()),
            _ => Err(not_that_version()),
        };
        is_version(self.name.named.at().lstat())?;
        let Some(leaf) = &self.name.temporary else {
            return Err(not_that_version());
        };
        let at = self.name.named.at();
        if let Err(errno) = at.beside(leaf).rename(at, RenameFlags::EXCHANGE) {
            return Err(match errno {
                Errno::NOENT => not_that_version(),
                _ => Failure::from(errno).at("rename"),
            });
        }
        // From here on, what has the hidden name may be somebody's: it is not removed unseen.
        let Some(leaf) = self.name.temporary.take() else {
            return Err(not_that_version());
        };
        let at = self.name.named.at();
        let hidden = at.beside(&leaf);
        let came = hidden.lstat();
        let (published, done) = match came {
            Ok(came) if version.is_renamed(&came) => (Ok(()), hidden.unlink()),
            came => {
                let given = came.and_then(|came| give_back(at, hidden, &came, &self.fd, &ours));
                (Err(not_that_version()), given)
            }
        };
        if done.is_err() && !hidden.is_gone() {
            *kept = Some(leaf);
        }
        published.and(done.map_err(Into::into))
    }
}

/// Gives the file `came`, which is called `hidden`, the name `at` again, and removes the new file `ours`, which is open
/// as `fd` and stands there for it. An error: what is called `hidden` may be somebody's and stays.
///
/// Others may have moved the new file instead of replacing it, so that what has the name is no news of `came`: it is
/// left there. No file is removed but the new one, as it was written, and `came` where others have removed or replaced
/// the new one in its stead.
fn give_back(
    at: At<'_>,
    hidden: At<'_>,
    came: &Stat,
    fd: &OwnedFd,
    ours: &Stat,
) -> rustix::io::Result<()> {
    // What this call put at the name, and the file that it was put there for.
    let (mut put, mut held) = (*ours, *came);
    for _ in 0..TRIES {
        match at.lstat() {
            // Somebody removed it, or moved it away.
            Err(Errno::NOENT) => match hidden.rename(at, RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => continue,
                done => return done,
            },
            there if is_same_file(&there?, &put) => {}
            _ => break,
        }
        match hidden.rename(at, RenameFlags::EXCHANGE) {
            Err(Errno::NOENT) => continue,
            exchanged => exchanged?,
        }
        let out = hidden.lstat()?;
        if is_same_file(&out, ours) {
            return match Version::from(ours).is_renamed(&out) {
                true => hidden.unlink(),
                // Somebody has written to it.
                false => Err(Errno::BUSY),
            };
        }
        if is_same_file(&out, &put) {
            // What came in between has its name again.
            break;
        }
        // It came in between, and is given the name again in the same way.
        (put, held) = (held, out);
    }
    let is_replaced = ours.st_nlink > 0 && rustix::fs::fstat(fd)?.st_nlink == 0;
    match is_replaced && Version::from(came).is_renamed(&hidden.lstat()?) {
        true => hidden.unlink(),
        false => Err(Errno::BUSY),
    }
}

fn not_that_version() -> Failure {
    Failure::because(Errno::STALE, Reason::NotThatVersion)
}

impl<N: Named> Drop for Draft<N> {
    fn drop(&mut self) {
        if let Some(leaf) = &self.name.temporary {
            let now = self.name.named.at().beside(leaf).lstat();
            let is_this =
                |now: &Stat| rustix::fs::fstat(&self.fd).is_ok_and(|this| is_same_file(now, &this));
            self.name.is_unfinished = now.is_ok_and(|now| is_this(&now));
        }
    }
}

impl<N: Named> Drop for Name<N> {
    fn drop(&mut self) {
        if let (Some(leaf), true) = (&self.temporary, self.is_unfinished) {
            // Nothing can be done where it cannot be removed, and the error that led here is returned.
            let _ = self.named.at().beside(leaf).unlink();
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
