//! Extended attributes, which `move` takes along: xattr(7).

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use rustix::fs::XattrFlags;

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
pub fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>, which: Which) {
    let mut names = vec![0; LONGEST];
    let Ok(length) = on_intr(|| rustix::fs::flistxattr(from, &mut names)) else {
        return;
    };
    names.truncate(length);
    for name in names.split_inclusive(|&byte| byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else {
            continue;
        };
        let wanted = match name.to_bytes() {
            name if name.starts_with(b"system.posix_acl_") => false,
            // What XFS keeps ACLs in, and shows to root.
            name if name.starts_with(b"trusted.SGI_ACL_") => false,
            name if name.starts_with(b"security.") => which == Which::OfThisOwner,
            _ => which == Which::OfAnyOwner,
        };
        if !wanted {
            continue;
        }
        copy_one(from, to, name);
    }
}

/// Copies the default ACL of a directory. Where it has none, neither has the copy, which may have inherited
/// one from where it was made.
pub fn copy_default_acl(from: BorrowedFd<'_>, to: BorrowedFd<'_>) {
    if !copy_one(from, to, DEFAULT_ACL) {
        let _ = on_intr(|| rustix::fs::fremovexattr(to, DEFAULT_ACL));
    }
}

/// Copies one attribute; false if there is none. What cannot be set is left out, as by mv(1).
fn copy_one(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr) -> bool {
    let mut value = vec![0; LONGEST];
    let Ok(length) = on_intr(|| rustix::fs::fgetxattr(from, name, &mut value)) else {
        return false;
    };
    let value = value.get(..length).unwrap_or_default();
    let _ = on_intr(|| rustix::fs::fsetxattr(to, name, value, XattrFlags::empty()));
    true
}
