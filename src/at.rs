//! The `*at` system calls, each on one open directory and one name. Only `rename` passes a trailing slash.
//!
//! This is all that [`crate::ops`] can do to a name. None of these follows a symlink, and none opens
//! anything: that is done in [`crate::resolve`].

use std::borrow::Cow;
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, RenameFlags, Stat, Statx, StatxAttributes, StatxFlags,
    Timestamps, Uid,
};
use rustix::io::{Errno, Result};
use rustix::path::DecInt;
use rustix::rand::GetRandomFlags;

use crate::path::Leaf;
use crate::proc;
use crate::retry::on_intr;

/// One name in one open directory.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    dir: BorrowedFd<'a>,
    leaf: &'a Leaf<'a>,
    /// Whether the caller wrote a slash behind the name.
    is_directory: bool,
}

impl<'a> At<'a> {
    /// The name `leaf` in the directory `dir`.
    pub fn new(dir: BorrowedFd<'a>, leaf: &'a Leaf<'a>) -> Self {
        let is_directory = false;
        Self {
            dir,
            leaf,
            is_directory,
        }
    }

    /// The same name, with a slash behind it where a directory is wanted: for [`At::rename`], which hands it
    /// to the kernel. No other call gets a slash: most would follow a symlink by it.
    pub fn as_directory(self, is_directory: bool) -> Self {
        Self {
            is_directory,
            ..self
        }
    }

    /// The name as the caller spelled it.
    fn spelled(&self) -> Result<Cow<'a, CStr>> {
        let name = self.leaf.as_c_str();
        if !self.is_directory {
            return Ok(Cow::Borrowed(name));
        }
        let name = CString::new([name.to_bytes(), b"/"].concat());
        name.map(Cow::Owned).map_err(|_| Errno::INVAL)
    }

    fn name(&self) -> &CStr {
        self.leaf.as_c_str()
    }

    /// The directory and the name, for the lookup in [`crate::resolve`].
    pub(crate) fn parts(self) -> (BorrowedFd<'a>, &'a CStr) {
        (self.dir, self.leaf.as_c_str())
    }

    /// The name `leaf` in the same directory.
    pub fn beside<'b>(self, leaf: &'b Leaf<'b>) -> At<'b>
    where
        'a: 'b,
    {
        At::new(self.dir, leaf)
    }

    /// mkdirat(2)
    pub fn mkdir(self, mode: Mode) -> Result<()> {
        on_intr(|| rustix::fs::mkdirat(self.dir, self.name(), mode))
    }

    /// unlinkat(2): removes anything but a directory, a symlink itself.
    pub fn unlink(self) -> Result<()> {
        on_intr(|| rustix::fs::unlinkat(self.dir, self.name(), AtFlags::empty()))
    }

    /// unlinkat(2) with `AT_REMOVEDIR`: removes an empty directory.
    pub fn rmdir(self) -> Result<()> {
        on_intr(|| rustix::fs::unlinkat(self.dir, self.name(), AtFlags::REMOVEDIR))
    }

    /// renameat2(2): moves a symlink itself. Behind a slash, the kernel wants a directory and nothing else.
    pub fn rename(self, to: At<'_>, flags: RenameFlags) -> Result<()> {
        let (from_name, to_name) = (self.spelled()?, to.spelled()?);
        let (from_name, to_name) = (from_name.as_ref(), to_name.as_ref());
        on_intr(|| rustix::fs::renameat_with(self.dir, from_name, to.dir, to_name, flags))
    }

    /// linkat(2): links a symlink itself.
    pub fn link(self, to: At<'_>) -> Result<()> {
        on_intr(|| rustix::fs::linkat(self.dir, self.name(), to.dir, to.name(), AtFlags::empty()))
    }

    /// symlinkat(2): `target` is stored and never walked.
    pub fn symlink(self, target: &CStr) -> Result<()> {
        on_intr(|| rustix::fs::symlinkat(target, self.dir, self.name()))
    }

    /// fstatat(2): describes a symlink itself.
    pub fn lstat(self) -> Result<Stat> {
        on_intr(|| rustix::fs::statat(self.dir, self.name(), AtFlags::SYMLINK_NOFOLLOW))
    }

    /// statx(2): the same, with the time of birth.
    pub fn lstatx(self) -> Result<Statx> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        on_intr(|| rustix::fs::statx(self.dir, self.name(), flags, wanted))
    }

    /// Whether nothing has this name.
    pub fn is_gone(self) -> bool {
        matches!(self.lstat(), Err(Errno::NOENT))
    }

    /// readlinkat(2): what a symlink holds.
    pub fn readlink(self) -> Result<CString> {
        readlink(self.dir, self.name())
    }

    /// fchownat(2): of a symlink itself.
    pub fn chown(self, owner: Option<Uid>, group: Option<Gid>) -> Result<()> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        on_intr(|| rustix::fs::chownat(self.dir, self.name(), owner, group, flags))
    }

    /// utimensat(2): of a symlink itself.
    pub fn utimes(self, times: &Timestamps) -> Result<()> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        on_intr(|| rustix::fs::utimensat(self.dir, self.name(), times, flags))
    }

    /// linkat(2): gives this name to the open file `fd`, which may have none.
    pub fn link_open_file(self, fd: BorrowedFd<'_>) -> Result<()> {
        let flags = AtFlags::EMPTY_PATH;
        match on_intr(|| rustix::fs::linkat(fd, c"", self.dir, self.name(), flags)) {
            // Before Linux 6.10 it takes a capability: there is the way through /proc.
            Err(Errno::NOENT | Errno::PERM) => {
                let number = DecInt::new(fd.as_raw_fd());
                let proc_fds = proc::self_fd()?;
                let flags = AtFlags::SYMLINK_FOLLOW;
                on_intr(|| {
                    rustix::fs::linkat(proc_fds, number.as_c_str(), self.dir, self.name(), flags)
                })
            }
            done => done,
        }
    }

    /// Whether names in the directory can be made and not removed again: `chattr +a`.
    pub fn is_in_append_only(self) -> Result<bool> {
        let flags = AtFlags::EMPTY_PATH;
        let found = on_intr(|| rustix::fs::statx(self.dir, c"", flags, StatxFlags::empty()))?;
        Ok(found.stx_attributes.contains(StatxAttributes::APPEND))
    }

    /// Whether nobody but the user of this process, and root, can put something else under this name.
    pub fn is_in_own_directory(self) -> Result<bool> {
        let stat = rustix::fs::fstat(self.dir)?;
        let mode = Mode::from_raw_mode(stat.st_mode);
        let others_write = mode.intersects(Mode::WGRP | Mode::WOTH);
        let is_own = [0, rustix::process::geteuid().as_raw()].contains(&stat.st_uid);
        Ok(is_own && (mode.contains(Mode::SVTX) || !others_write))
    }

    /// Whether the directory is sticky, and neither it nor the file `found` in it keeps the kernel from asking whose that
    /// is when it could be created: fs.protected_regular, proc_sys_fs(5).
    pub fn is_sticky_against(self, found: &Stat) -> Result<bool> {
        let dir = rustix::fs::fstat(self.dir)?;
        let is_sticky = Mode::from_raw_mode(dir.st_mode).contains(Mode::SVTX);
        Ok(is_sticky && dir.st_uid != found.st_uid)
    }

    /// Why the open directory `fd` does not get this name: linkat(2) links no directory.
    pub fn why_not_linked(self, fd: BorrowedFd<'_>) -> Errno {
        match on_intr(|| rustix::fs::linkat(fd, c"", self.dir, self.name(), AtFlags::EMPTY_PATH)) {
            // Before Linux 6.10 the call takes a capability, and says this without one.
            Ok(()) | Err(Errno::NOENT) => Errno::PERM,
            Err(errno) => errno,
        }
    }

    /// mknodat(2) of a FIFO.
    pub fn mkfifo(self, mode: Mode) -> Result<()> {
        on_intr(|| rustix::fs::mknodat(self.dir, self.name(), FileType::Fifo, mode, 0))
    }

    /// What a slash behind the name asks: that a directory is there. A symlink to one is none.
    pub fn expect_directory(self) -> Result<()> {
        match FileType::from_raw_mode(self.lstat()?.st_mode) {
            FileType::Directory => Ok(()),
            _ => Err(Errno::NOTDIR),
        }
    }
}

/// readlinkat(2): what the symlink `name` in `dir` holds, or with an empty name the symlink `dir`.
pub fn readlink(dir: BorrowedFd<'_>, name: &CStr) -> Result<CString> {
    /// More than any holds: symlink(7).
    const ROOM: usize = 4096;
    on_intr(|| {
        let mut room = [MaybeUninit::uninit(); ROOM];
        let (target, rest) = rustix::fs::readlinkat_raw(dir, name, &mut room[..])?;
        // Never a part of one.
        if rest.is_empty() {
            return Err(Errno::NAMETOOLONG);
        }
        CString::new(&*target).map_err(|_| Errno::INVAL)
    })
}

/// Letters and digits that nobody can foresee.
pub fn random_characters<const COUNT: usize>() -> Result<[u8; COUNT]> {
    // Two of them twice, so that every byte stands for one.
    const CHARACTERS: &[u8; 64] =
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789AZ";
    let mut bytes = [0; COUNT];
    on_intr(|| rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty()))?;
    Ok(bytes.map(|byte| CHARACTERS[usize::from(byte % 64)]))
}
