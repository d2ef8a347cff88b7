//! What the errno of an `openat2` means to a caller, and which policy refused, if one did.
//!
//! Nothing here is on the way of a lookup that succeeds. A lookup that explains is stricter than the one that
//! failed: it follows no symlink, and opens for the path alone.

use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::path::Arg;

use super::is_removed;
use crate::error::{Failure, Reason};
use crate::ops::realpath::MOST_SYMLINKS;

/// What the errno of a lookup of `path` in `dir`, made with `flags` and `resolve`, means to a caller.
#[cold]
pub(super) fn explained(
    dir: BorrowedFd<'_>,
    resolve: ResolveFlags,
    errno: Errno,
    path: impl Arg,
    flags: OFlags,
) -> Failure {
    let Ok(path) = path.into_c_str() else {
        return errno.into();
    };
    let path = path.to_bytes();
    match errno {
        // Some file systems say EPERM of a directory that was removed.
        _ if flags.contains(OFlags::TMPFILE)
            && is_removed(dir, super::is_local(dir)) == Ok(true) =>
        {
            Errno::NOENT.into()
        }
        Errno::XDEV if is_refused_mount(dir, resolve, path) => {
            Failure::because(Errno::ACCESS, Reason::Mount)
        }
        // The path leads out, or the walk met a directory that was moved out of the root.
        Errno::XDEV => Failure::because(Errno::ACCESS, Reason::OutsideSandbox),
        Errno::LOOP if is_refused_symlink(dir, resolve, path, flags) => Failure::symlink(),
        // Opening for the path alone needs no permission that EPERM could be about.
        Errno::PERM if !flags.contains(OFlags::PATH) => errno.into(),
        // A file system may say so too, of a file of its own.
        Errno::NOSYS | Errno::PERM if !is_blocked(dir, errno) => errno.into(),
        Errno::NOSYS | Errno::PERM if kernel_has_openat2() => {
            Failure::because(errno, Reason::BlockedBySeccomp)
        }
        Errno::NOSYS | Errno::PERM => Failure::because(errno, Reason::KernelTooOld),
        // In a sticky directory, fs.protected_symlinks speaks before NO_SYMLINKS can.
        Errno::ACCESS
            if resolve.contains(ResolveFlags::NO_SYMLINKS) && is_symlink(dir, resolve, path) =>
        {
            Failure::symlink()
        }
        _ => errno.into(),
    }
}

/// Whether a lookup that failed with `EXDEV` met a mount that it refuses before anything else that it refuses.
fn is_refused_mount(dir: BorrowedFd<'_>, resolve: ResolveFlags, path: &[u8]) -> bool {
    resolve.contains(ResolveFlags::NO_XDEV) && end_of_way(dir, resolve, path) == End::Mount
}

/// Whether a lookup that failed with `ELOOP` met a symlink that it does not follow, and not a loop of them.
fn is_refused_symlink(
    dir: BorrowedFd<'_>,
    resolve: ResolveFlags,
    path: &[u8],
    flags: OFlags,
) -> bool {
    if resolve.contains(ResolveFlags::NO_SYMLINKS) {
        return true;
    }
    // With O_NOFOLLOW the caller refuses it, and no policy.
    if flags.contains(OFlags::NOFOLLOW) && !flags.contains(OFlags::PATH) {
        return false;
    }
    // Without a loop it was a magic link.
    end_of_way(dir, resolve, path) != End::Loop
}

/// What ends the way of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// There are more symlinks than the kernel follows.
    Loop,
    /// It leads out of `dir`.
    Outside,
    /// It leads into a mount that is refused.
    Mount,
    /// Something else, or nothing.
    Other,
}

/// Goes the way of `path` again, a name at a time. No step follows a symlink: what it holds is read.
fn end_of_way(dir: BorrowedFd<'_>, resolve: ResolveFlags, path: &[u8]) -> End {
    let is_beneath = resolve.contains(ResolveFlags::BENEATH);
    let resolve = resolve | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut way = Vec::new();
    // The next component last.
    let mut ahead = components_of(path);
    let mut symlinks = 0;
    if is_beneath && path.starts_with(b"/") {
        return End::Outside;
    }
    while let Some(component) = ahead.pop() {
        let above = way.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        match component.as_slice() {
            b"" | b"." => continue,
            b".." if is_beneath && way.is_empty() => return End::Outside,
            b".." => {
                way.truncate(above);
                continue;
            }
            name => {
                if !way.is_empty() {
                    way.push(b'/');
                }
                way.extend_from_slice(name);
            }
        }
        let found = rustix::fs::openat2(dir, way.as_slice(), flags, Mode::empty(), resolve);
        // What is no symlink holds nothing.
        let held = match found {
            Ok(fd) => rustix::fs::readlinkat(fd, c"", Vec::new()),
            Err(Errno::XDEV) => return End::Mount,
            Err(_) => return End::Other,
        };
        let Ok(target) = held else { continue };
        symlinks += 1;
        if symlinks > MOST_SYMLINKS {
            return End::Loop;
        }
        let target = target.to_bytes();
        let above = way.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        way.truncate(above);
        if target.starts_with(b"/") {
            if is_beneath {
                return End::Outside;
            }
            way.clear();
        }
        ahead.extend(components_of(target));
    }
    End::Other
}

/// The components of a path, the last one first.
fn components_of(path: &[u8]) -> Vec<Vec<u8>> {
    let components = path.split(|&byte| byte == b'/').rev();
    components.map(<[u8]>::to_vec).collect()
}

/// Whether `openat2` fails with `errno` for an open directory itself.
fn is_blocked(dir: BorrowedFd<'_>, errno: Errno) -> bool {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let itself = rustix::fs::openat2(dir, c".", flags, Mode::empty(), ResolveFlags::BENEATH);
    matches!(itself, Err(found) if found == errno)
}

fn is_symlink(dir: BorrowedFd<'_>, resolve: ResolveFlags, path: &[u8]) -> bool {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // With a slash behind it, it would be followed.
    let path = path.strip_suffix(b"/").unwrap_or(path);
    rustix::fs::openat2(dir, path, flags, Mode::empty(), resolve)
        .and_then(rustix::fs::fstat)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

/// Whether the running kernel is one that has `openat2`: 5.6 or newer.
fn kernel_has_openat2() -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (5, 6),
        _ => false,
    }
}
