//! Who may do what with a file, and how that is carried from one file to another.
//!
//! A file that is to have the permissions of another is made [narrow](Permissions::narrow), filled, and
//! given them at the end: at no moment is it open to anybody who may not open both.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use rustix::fs::{Gid, Mode, Stat, Uid, XattrFlags};
use rustix::io::Errno;

use crate::error::{Failure, Result};
use crate::ops::attributes;
use crate::proc;
use crate::retry::on_intr;

/// Where the kernel keeps the access ACL: acl(5).
const ACCESS_ACL: &CStr = c"system.posix_acl_access";

/// The nine permission bits of a file, and its access ACL where it has one.
#[derive(Clone, Debug)]
pub struct Permissions {
    bits: Mode,
    acl: Option<Vec<u8>>,
}

impl Permissions {
    /// Those of the file `fd`, which `stat` describes.
    pub fn of(fd: BorrowedFd<'_>, stat: &Stat) -> Result<Self, Errno> {
        let bits = permissions(stat);
        let acl = acl_of(|value| rustix::fs::fgetxattr(fd, ACCESS_ACL, value))?;
        Ok(Self { bits, acl })
    }

    /// Those of a file that is open with `O_PATH` alone: its ACL can be asked for by its name in `/proc`
    /// alone. Without that, nobody but the owner keeps what he had.
    pub fn of_o_path(fd: BorrowedFd<'_>, stat: &Stat) -> Result<Self, Errno> {
        let bits = permissions(stat);
        let Ok(path) = proc::path_of(fd) else {
            let bits = bits & Mode::RWXU;
            return Ok(Self { bits, acl: None });
        };
        let acl = acl_of(|value| rustix::fs::getxattr(&path, ACCESS_ACL, value))?;
        Ok(Self { bits, acl })
    }

    /// What of these the file `fd` gives as well, now that its content was read; and what it is now. Its owner may have
    /// shut it first, and then have written what others are not to read.
    /// `original`: what it was. A file that a mirror or a server has lost since gives its copy to the owner alone.
    pub fn still(&self, fd: BorrowedFd<'_>, original: &Stat) -> Result<(Self, Stat), Errno> {
        let now = match rustix::fs::fstat(fd) {
            Err(Errno::NOENT | Errno::STALE) => return Ok((self.of_owner(), *original)),
            now => now?,
        };
        Ok((self.shared_with(&Self::of(fd, &now)?), now))
    }

    /// What these and `other` give.
    pub fn shared_with(&self, other: &Self) -> Self {
        if self.acl == other.acl {
            let bits = self.bits & other.bits;
            let acl = self.acl.clone();
            return Self { bits, acl };
        }
        let bits = self.without_acl() & other.without_acl();
        Self { bits, acl: None }
    }

    /// The nine bits that give nobody more than these do.
    fn without_acl(&self) -> Mode {
        match &self.acl {
            Some(acl) => without_acl(self.bits, acl),
            None => self.bits,
        }
    }

    /// What they give the owner, and nobody else.
    fn of_owner(&self) -> Self {
        let bits = self.narrow();
        Self { bits, acl: None }
    }

    /// What a file may have until it is complete: nothing for anybody but its owner.
    pub fn narrow(&self) -> Mode {
        self.bits & Mode::RWXU
    }

    /// These, for a file that could not be given its group: the group that it has and all others get what both
    /// the old group and all others had.
    pub fn of_another_group(&self) -> Self {
        let bits = self.without_acl();
        // Of the old group, some may count as others by now.
        let both = bits.bits() & bits.bits() >> 3 & 7;
        Self {
            bits: Mode::from_bits_truncate(bits.bits() & 0o700 | both << 3 | both),
            acl: None,
        }
    }

    /// Gives them to the file `fd`, with the bits `more` beside the nine. Whatever ACL it has goes; where
    /// it may have none, or that fails, nobody gets more than the ACL gave him.
    pub fn apply(&self, fd: BorrowedFd<'_>, more: Mode) -> Result<(), Failure> {
        let mut bits = self.bits;
        let mut done = Ok(());
        match &self.acl {
            // A new file inherits one where its directory has a default ACL.
            None => remove_acl(fd)?,
            Some(acl) => {
                let narrow = within(acl, bits);
                let set = || rustix::fs::fsetxattr(fd, ACCESS_ACL, &narrow, XattrFlags::empty());
                if let Err(errno) = on_intr(set) {
                    remove_acl(fd)?;
                    bits = without_acl(bits, acl);
                    // There may be no room for it.
                    done = attributes::as_far_as_possible(Err(errno));
                }
            }
        }
        on_intr(|| rustix::fs::fchmod(fd, bits | more))?;
        Ok(done?)
    }
}

/// Gives the file `fd` the group of another, as far as this process may, and says what it has then: the group of
/// `wanted`, or one of its own. Before its permissions: they are for that group.
pub fn take_group(fd: BorrowedFd<'_>, wanted: &Stat) -> Result<Stat, Failure> {
    let now = rustix::fs::fstat(fd)?;
    match now.st_gid == wanted.st_gid {
        true => Ok(now),
        false => chown(fd, now, None, Some(Gid::from_raw(wanted.st_gid))),
    }
}

/// Gives the file `fd`, which is `now`, the owner of another, as far as this process may, and says what it has then.
/// After its permissions and times: whoever may give it away may not set those of a file of others.
pub fn take_owner(fd: BorrowedFd<'_>, now: Stat, wanted: &Stat) -> Result<Stat, Failure> {
    match now.st_uid == wanted.st_uid {
        true => Ok(now),
        false => chown(fd, now, Some(Uid::from_raw(wanted.st_uid)), None),
    }
}

/// Only root may give a file away; to one of its groups, its owner may. In some places nobody may.
fn chown(
    fd: BorrowedFd<'_>,
    now: Stat,
    user: Option<Uid>,
    group: Option<Gid>,
) -> Result<Stat, Failure> {
    match on_intr(|| rustix::fs::fchown(fd, user, group)) {
        Err(errno) if is_not_ours_to_give(errno) => Ok(now),
        done => Ok(done.and_then(|()| rustix::fs::fstat(fd))?),
    }
}

/// Gives the file `fd` the bits `more` beside the nine, which a change of owner takes away: as far as this process may.
pub fn set_special(fd: BorrowedFd<'_>, more: Mode) -> Result<(), Failure> {
    let mode = permissions(&rustix::fs::fstat(fd)?) | more;
    match on_intr(|| rustix::fs::fchmod(fd, mode)) {
        Err(Errno::PERM) => Ok(()),
        done => Ok(done?),
    }
}

/// What chown(2) says to whoever may not, of an id that this user namespace has not, and where files have
/// no owner to be changed.
fn is_not_ours_to_give(errno: Errno) -> bool {
    matches!(
        errno,
        // On a mount with ids of its own, which does not have this one: the last.
        Errno::PERM | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::OVERFLOW
    )
}

/// The nine permission bits.
pub fn permissions(stat: &Stat) -> Mode {
    Mode::from_raw_mode(stat.st_mode & 0o777)
}

/// Removes the access ACL of the file `fd`, if it has one.
fn remove_acl(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    match acl_of(|value| rustix::fs::fgetxattr(fd, ACCESS_ACL, value))? {
        Some(_) => on_intr(|| rustix::fs::fremovexattr(fd, ACCESS_ACL)),
        None => Ok(()),
    }
}

/// The ACL that `fill` fills a buffer with; `None` where there is none, or can be none.
fn acl_of(fill: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Option<Vec<u8>>, Errno> {
    match attributes::get(fill) {
        Ok(acl) => Ok(Some(acl)),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// `acl`, giving nobody more than `mode` does: the two are read one after the other, and setting an ACL sets
/// the mode.
fn within(acl: &[u8], mode: Mode) -> Vec<u8> {
    let mode = mode.bits();
    let has_mask = acl_entries(acl).any(|(tag, _)| tag == MASK);
    let mut acl = acl.to_vec();
    for entry in acl.get_mut(4..).unwrap_or_default().chunks_exact_mut(8) {
        let allowed = match u16::from_le_bytes([entry[0], entry[1]]) {
            USER_OBJ => mode >> 6,
            GROUP_OBJ if !has_mask => mode >> 3,
            MASK => mode >> 3,
            OTHER => mode,
            _ => 7,
        };
        entry[2] &= (allowed & 7) as u8;
    }
    acl
}

/// The entries of an ACL: tag and permissions. It is a number of four bytes, then entries of eight: tag,
/// permissions, id.
fn acl_entries(acl: &[u8]) -> impl Iterator<Item = (u16, u32)> {
    let entries = acl.get(4..).unwrap_or_default().chunks_exact(8);
    entries.map(|entry| {
        let number = |at| u16::from_le_bytes([entry[at], entry[at + 1]]);
        (number(0), u32::from(number(2)))
    })
}

// The tags of acl(5), as in linux/posix_acl.h.
const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// The nine bits that give nobody more than `acl` and the bits `mode` beside it did. With an ACL the bits
/// of the group are a mask: acl(5).
fn without_acl(mode: Mode, acl: &[u8]) -> Mode {
    let mode = mode.bits();
    let mask = mode >> 3 & 7;
    let (mut group, mut other) = (mask, mode & 7);
    for (tag, allowed) in acl_entries(acl) {
        match tag {
            GROUP_OBJ => group &= allowed,
            // Who is named may belong to the group too.
            USER => (group, other) = (group & allowed, other & allowed & mask),
            GROUP => other &= allowed & mask,
            _ => {}
        }
    }
    Mode::from_bits_truncate(mode & 0o700 | group << 3 | other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(entries: &[(u16, u16)]) -> Vec<u8> {
        let mut acl = 2_u32.to_le_bytes().to_vec();
        for (tag, allowed) in entries {
            acl.extend(tag.to_le_bytes());
            acl.extend(allowed.to_le_bytes());
            acl.extend(u32::MAX.to_le_bytes());
        }
        acl
    }

    fn narrowed(mode: u32, entries: &[(u16, u16)]) -> u32 {
        without_acl(Mode::from_bits_truncate(mode), &acl(entries)).bits()
    }

    #[test]
    fn the_group_gets_what_its_own_entry_and_the_mask_allow() {
        // user::rw-, user:x:rw-, group::---, mask::rw-, other::---
        let entries = [(1, 6), (2, 6), (4, 0), (0x10, 6), (0x20, 0)];
        assert_eq!(narrowed(0o660, &entries), 0o600);
        let entries = [(1, 6), (2, 6), (4, 7), (0x10, 4), (0x20, 0)];
        assert_eq!(narrowed(0o640, &entries), 0o640);
    }

    #[test]
    fn two_files_share_what_both_give() {
        let of = |mode, entries: Option<&[(u16, u16)]>| Permissions {
            bits: Mode::from_bits_truncate(mode),
            acl: entries.map(acl),
        };
        let shared = of(0o644, None).shared_with(&of(0o751, None));
        assert_eq!((shared.bits.bits(), shared.acl), (0o640, None));
        // user::rw-, user:x:rw-, group::---, mask::rw-, other::---
        let entries = [(1, 6), (2, 6), (4, 0), (0x10, 6), (0x20, 0)];
        let shared = of(0o660, Some(&entries)).shared_with(&of(0o640, Some(&entries)));
        assert_eq!(
            (shared.bits.bits(), shared.acl),
            (0o640, Some(acl(&entries)))
        );
        let shared = of(0o660, None).shared_with(&of(0o660, Some(&entries)));
        assert_eq!((shared.bits.bits(), shared.acl), (0o600, None));
    }

    #[test]
    fn who_was_denied_by_name_gets_nothing_as_another_or_by_the_group() {
        // user::rw-, user:x:---, group::r--, mask::r--, other::r--
        let entries = [(1, 6), (2, 0), (4, 4), (0x10, 4), (0x20, 4)];
        assert_eq!(narrowed(0o644, &entries), 0o600);
        // group:x:---
        let entries = [(1, 6), (4, 4), (8, 0), (0x10, 4), (0x20, 4)];
        assert_eq!(narrowed(0o644, &entries), 0o640);
    }
}
