//! Extended attributes, which `move` takes along: xattr(7).

use std::ffi::CStr;
use std::hash::{Hash, Hasher};
use std::os::fd::BorrowedFd;

use rustix::fs::XattrFlags;
use rustix::io::{Errno, Result};

use crate::memory::with_room;
use crate::retry::on_intr;

/// The longest list of names, and the longest value, in bytes.
const LONGEST: usize = 64 << 10;

/// A default ACL: what is made in a directory inherits it.
const DEFAULT_ACL: &CStr = c"system.posix_acl_default";

/// Which attributes are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that a change of owner does not touch: all but the others.
    OfAnyOwner,
    /// Those that a change of owner takes away: `security.*`, such as capabilities.
    OfThisOwner,
}

/// Copies extended attributes from one open file or directory to another, as far as the file system and the
/// rights of this process allow. ACLs are none of them: see [`Permissions`](super::permissions).
pub fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>, which: Which) -> Result<()> {
    let names = match get(|names| rustix::fs::flistxattr(from, names)) {
        Err(errno) if is_not_to_be_had(errno) => return Ok(()),
        names => names?,
    };
    for name in names.split_inclusive(|&byte| byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else {
            continue;
        };
        let wanted = match name.to_bytes() {
            name if name.starts_with(b"system.posix_acl_") => false,
            // XFS shows an ACL under a second name: a default ACL that was removed meanwhile would come back by it.
            name if name.starts_with(b"trusted.SGI_ACL_") => false,
            name if name.starts_with(b"security.") => which == Which::OfThisOwner,
            _ => which == Which::OfAnyOwner,
        };
        if wanted {
            copy_one(from, to, name)?;
        }
    }
    Ok(())
}

/// Adds all attributes of an open directory to a hash, ACLs included: another hash says that one was changed.
pub fn hash(fd: BorrowedFd<'_>, hasher: &mut impl Hasher) {
    let names = get(|names| rustix::fs::flistxattr(fd, names)).unwrap_or_default();
    for name in names.split_inclusive(|&byte| byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else {
            continue;
        };
        name.hash(hasher);
        get(|value| rustix::fs::fgetxattr(fd, name, value))
            .ok()
            .hash(hasher);
    }
}

/// Copies the default ACL of a directory. Where it has none, neither has the copy, which may have inherited
/// one from where it was made.
pub fn copy_default_acl(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    if copy_one(from, to, DEFAULT_ACL)? {
        return Ok(());
    }
    as_far_as_possible(on_intr(|| rustix::fs::fremovexattr(to, DEFAULT_ACL)))
}

/// Copies one attribute; false if there is none. What may not be set is left out, as by mv(1).
fn copy_one(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr) -> Result<bool> {
    let value = match get(|value| rustix::fs::fgetxattr(from, name, value)) {
        Err(errno) if is_not_to_be_had(errno) => return Ok(false),
        value => value?,
    };
    let set = on_intr(|| rustix::fs::fsetxattr(to, name, &value, XattrFlags::empty()));
    as_far_as_possible(set).map(|()| true)
}

/// What may not be set, or is unknown to the file system, is left out. A disk that is full is an error.
pub(super) fn as_far_as_possible(set: Result<()>) -> Result<()> {
    match set {
        Err(errno) if is_not_to_be_had(errno) => Ok(()),
        set => set,
    }
}

/// What is said of an attribute that is not there, that the file system does not have, or that this process may
/// neither read nor set: xattr(7).
fn is_not_to_be_had(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::NODATA
            | Errno::OPNOTSUPP
            | Errno::NOSYS
            | Errno::PERM
            | Errno::ACCESS
            | Errno::INVAL
    )
}

/// A list or a value that `fill` fills a buffer with.
pub(super) fn get(fill: impl Fn(&mut [u8]) -> Result<usize>) -> Result<Vec<u8>> {
    // Most are short.
    let mut short = [0; 256];
    match on_intr(|| fill(&mut short)) {
        Ok(length) => return Ok(short.get(..length).unwrap_or_default().to_vec()),
        Err(Errno::RANGE) => {}
        Err(errno) => return Err(errno),
    }
    let mut long = with_room(LONGEST)?;
    long.resize(LONGEST, 0);
    let length = on_intr(|| fill(&mut long))?;
    long.truncate(length);
    Ok(long)
}
