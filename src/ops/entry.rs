//! Making, moving and removing names: `mkdir`, `mkfifo`, `unlink`, `rmdir`, `remove`, `rename`, `link`,
//! `symlink`, `readlink`.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, Mode, RenameFlags};
use rustix::io::Errno;

use crate::at::{self, random_characters};
use crate::error::{Call, Failure, Result};
use crate::ops::Existing;
use crate::ops::beneath::leads_beneath;
use crate::path::{RelPath, Unnamed, UserPath};
use crate::resolve::{Entry, Found, NoEntry, Place, Root};
use crate::retry::{TRIES, rest};

/// mkdir(2). The root itself is there already: `EEXIST`.
pub fn mkdir(root: &Root, path: &UserPath, mode: Mode) -> Result<()> {
    Call::on("mkdir", path).run(|| {
        Ok(root
            .for_change()?
            .entry(path, Errno::EXIST)?
            .at()
            .mkdir(mode)?)
    })
}

/// Makes a directory and what is missing above it, each with `mode`, and says which it made first, if any. One that is
/// there already, or that somebody else makes at the same moment, is fine.
pub fn mkdir_all(root: &Root, path: &UserPath, mode: Mode) -> Result<Option<Vec<u8>>> {
    Call::on("mkdir", path).run(|| {
        let path = root.for_change()?.parse(path)?;
        // The root itself is there, unless it was removed.
        root.expect_present(&path)?;
        let mut first = None;
        for _ in 0..TRIES {
            match mkdir_missing(root, &path, mode, &mut first) {
                // Somebody removed a level that was there, or that we had just made.
                Err(failure) if failure.errno == Errno::NOENT => {}
                // The directory that a last dot is in is searched for it.
                Ok(()) if path.unnamed() == Some(Unnamed::Dot) => {
                    root.directory(&path)?;
                    return Ok(first);
                }
                done => return done.map(|()| first),
            }
        }
        Err(Errno::NOENT.into())
    })
}

/// From the deepest level upwards to the first that is there or can be made, then down again. Each
/// level is resolved from the root anew, so none is made in a directory that was moved out of it.
fn mkdir_missing(
    root: &Root,
    path: &RelPath<'_>,
    mode: Mode,
    first: &mut Option<Vec<u8>>,
) -> Result<(), Failure> {
    let mut make = |level: &RelPath<'_>| {
        if make_or_find_directory(root, level, mode)? && first.is_none() {
            *first = Some(level.clean().to_vec());
        }
        Ok::<(), Failure>(())
    };
    let levels: Vec<RelPath<'_>> = path.prefixes().collect();
    let mut missing = levels.len();
    while let Some(level) = missing.checked_sub(1).and_then(|i| levels.get(i)) {
        match make(level) {
            Ok(()) => break,
            Err(failure) if failure.errno == Errno::NOENT => missing -= 1,
            Err(failure) => return Err(failure),
        }
    }
    for level in levels.iter().skip(missing) {
        make(level)?;
    }
    Ok(())
}

/// Says whether it made one.
fn make_or_find_directory(root: &Root, path: &RelPath<'_>, mode: Mode) -> Result<bool, Failure> {
    if !path.has_leaf() {
        return root.directory(path).map(|_| false);
    }
    let entry = root.entry_of(path.clone(), Errno::EXIST)?;
    let Err(errno) = entry.at().mkdir(mode) else {
        return Ok(true);
    };
    if errno != Errno::EXIST {
        return Err(errno.into());
    }
    match FileType::from_raw_mode(entry.at().lstat()?.st_mode) {
        FileType::Directory => Ok(false),
        FileType::Symlink if root.policy().follows() => match root.directory(path) {
            Err(failure) if failure.errno == Errno::NOTDIR && !entry.wants_directory() => {
                Err(Errno::EXIST.into())
            }
            directory => directory.map(|_| false),
        },
        FileType::Symlink => Err(Failure::symlink()),
        _ if entry.wants_directory() => Err(Errno::NOTDIR.into()),
        _ => Err(Errno::EXIST.into()),
    }
}

/// mkdtemp(3): makes a directory called `prefix` and six characters more, of mode 0700, and says which.
pub fn mkdtemp(root: &Root, prefix: &UserPath) -> Result<Vec<u8>> {
    let with = |characters: &[u8]| prefix.followed_by(characters).map_err(|_| Errno::INVAL);
    // As Node names what it asked for.
    let template = with(b"XXXXXX");
    Call::on("mkdtemp", template.as_ref().unwrap_or(prefix)).run(|| {
        root.for_change()?;
        for _ in 0..TRIES {
            let path = with(&random_characters::<6>()?)?;
            match root.entry(&path, Errno::EXIST)?.at().mkdir(Mode::RWXU) {
                Err(Errno::EXIST) => {}
                made => return Ok(made.map(|()| path.as_bytes().to_vec())?),
            }
        }
        Err(Errno::EXIST.into())
    })
}

/// mkfifo(3)
pub fn mkfifo(root: &Root, path: &UserPath, mode: Mode) -> Result<()> {
    Call::on("mkfifo", path).run(|| {
        let entry = root.for_change()?.entry(path, Errno::EXIST)?;
        if entry.wants_directory() {
            return Err(trailing_slash_refused(&entry));
        }
        Ok(entry.at().mkfifo(mode)?)
    })
}

/// unlink(2): removes a symlink itself.
pub fn unlink(root: &Root, path: &UserPath) -> Result<()> {
    Call::on("unlink", path).run(|| {
        let no_entry = NoEntry {
            root: Errno::BUSY,
            dot: Errno::ISDIR,
        };
        let entry = root.for_change()?.entry(path, no_entry)?;
        if entry.wants_directory() {
            // What the name asks to be removed is a directory, or it is not there.
            entry.at().expect_directory()?;
            return Err(Errno::ISDIR.into());
        }
        Ok(entry.at().unlink()?)
    })
}

/// rmdir(2)
pub fn rmdir(root: &Root, path: &UserPath) -> Result<()> {
    Call::on("rmdir", path).run(|| {
        let entry = root.for_change()?.entry(path, NOT_REMOVED)?;
        Ok(entry.at().rmdir()?)
    })
}

/// unlink(2), or rmdir(2) for a directory, in one call.
pub fn remove(root: &Root, path: &UserPath) -> Result<()> {
    // Spelled as a directory, it is nothing else.
    if let Ok(parsed) = root.parse(path)
        && (parsed.wants_directory() || !parsed.has_leaf())
    {
        return rmdir(root, path);
    }
    Call::on("unlink", path).run(|| {
        let entry = root.for_change()?.entry(path, NOT_REMOVED)?;
        for round in 0..TRIES {
            match entry.at().unlink() {
                Err(Errno::ISDIR) => {}
                done => return Ok(done?),
            }
            match entry.at().rmdir() {
                // It was a directory a moment ago, and is none now.
                Err(Errno::NOTDIR) => rest(round),
                done => return done.map_err(|errno| Failure::from(errno).at("rmdir")),
            }
        }
        Err(Errno::BUSY.into())
    })
}

/// What a directory answers that is not an entry of another, and so is not removed: rmdir(2).
pub(super) const NOT_REMOVED: NoEntry = NoEntry {
    root: Errno::BUSY,
    dot: Errno::INVAL,
};

/// renameat2(2): moves a symlink itself. The file system must know `RENAME_NOREPLACE` to refuse what exists.
pub fn rename(old: Place<'_>, new: Place<'_>, existing: Existing) -> Result<()> {
    rename_with(
        old,
        new,
        match existing {
            Existing::Replace => RenameFlags::empty(),
            Existing::Refuse => RenameFlags::NOREPLACE,
        },
    )
}

/// renameat2(2) with `RENAME_EXCHANGE`: each of two names gets what the other has, in one step.
pub fn exchange(root: &Root, a: &UserPath, b: &UserPath) -> Result<()> {
    let place = |path| Place { root, path };
    rename_with(place(a), place(b), RenameFlags::EXCHANGE)
}

fn rename_with(old: Place<'_>, new: Place<'_>, flags: RenameFlags) -> Result<()> {
    Call::between("rename", old.path, new.path).run(|| {
        new.root.for_change()?;
        let from = old.root.for_change()?.entry(old.path, Errno::BUSY)?;
        let no_entry = NoEntry {
            root: Errno::BUSY,
            dot: match flags {
                RenameFlags::NOREPLACE => Errno::EXIST,
                _ => Errno::BUSY,
            },
        };
        let to = new.root.entry(new.path, no_entry);
        let to = to.map_err(|failure| match from.at().lstat() {
            // Where both are wrong, the kernel speaks first of what it met first.
            Err(Errno::ACCESS) => Errno::ACCESS.into(),
            _ => failure,
        })?;
        Ok(from.at().rename(to.at(), flags)?)
    })
}

/// link(2): a second name for the file at `old`; a symlink there is linked itself.
pub fn link(old: Place<'_>, new: Place<'_>) -> Result<()> {
    Call::between("link", old.path, new.path).run(|| {
        new.root.for_change()?;
        // The root is a directory, and the kernel links none: link(2).
        let from = old.root.for_change()?.entry(old.path, Errno::PERM)?;
        if from.wants_directory() {
            directory_or_link_refused(old, &from, Errno::PERM)?;
        }
        let to = new.root.entry(new.path, Errno::EXIST).or_else(|failure| {
            // Where both are wrong, the kernel speaks of the old name.
            from.at().lstat()?;
            Err(failure)
        })?;
        if to.wants_directory() {
            from.at().lstat()?;
            return Err(trailing_slash_refused(&to));
        }
        if from.wants_directory() {
            // The directory itself, whatever has the name by now: the kernel says why it is not linked.
            let directory = old.root.directory_at(from.at())?;
            return Err(to.at().why_not_linked(directory.as_fd()).into());
        }
        Ok(from.at().link(to.at())?)
    })
}

/// symlink(2): `target` is stored as it is; it may point anywhere, unless it is to lead `beneath` the root.
pub fn symlink(root: &Root, target: &UserPath, new: &UserPath, beneath: bool) -> Result<()> {
    let mut left = None;
    let made = Call::between("symlink", target, new).run(|| {
        root.for_change()?;
        if target.as_bytes().is_empty() {
            return Err(Errno::NOENT.into());
        }
        let entry = root.entry(new, Errno::EXIST)?;
        if entry.wants_directory() {
            return Err(trailing_slash_refused(&entry));
        }
        if beneath {
            leads_beneath(root, new, entry.at(), target.as_bytes(), &mut left)?;
        }
        Ok(entry.at().symlink(target.as_verbatim())?)
    });
    made.map_err(|error| error.naming(new, left))
}

/// readlink(2): what the symlink holds.
pub fn readlink(root: &Root, path: &UserPath) -> Result<Vec<u8>> {
    Call::on("readlink", path).run(|| match root.name_or_target(path)? {
        Found::Name(entry) => Ok(entry.at().readlink()?.into_bytes()),
        Found::Target(fd) => target_of(fd),
    })
}

fn target_of(symlink: OwnedFd) -> Result<Vec<u8>, Failure> {
    match at::readlink(symlink.as_fd(), c"") {
        // What the kernel says of an open file that is no symlink: readlinkat(2).
        Err(Errno::NOENT) => Err(Errno::INVAL.into()),
        target => Ok(target?.into_bytes()),
    }
}

/// What a slash behind the name `entry` of `place` asks: that a directory is there. A symlink there would be
/// followed: it is `ELOOP`; for a root that follows them, `to_directory` if it leads to a directory, or what the
/// kernel says of where it leads.
pub(super) fn directory_or_link_refused(
    place: Place<'_>,
    entry: &Entry<'_, '_>,
    to_directory: Errno,
) -> Result<(), Failure> {
    match FileType::from_raw_mode(entry.at().lstat()?.st_mode) {
        FileType::Directory => Ok(()),
        FileType::Symlink if place.root.policy().follows() => {
            place.root.existing(place.path)?;
            Err(to_directory.into())
        }
        FileType::Symlink => Err(Failure::symlink()),
        _ => Err(Errno::NOTDIR.into()),
    }
}

/// A new file cannot be called `name/`: `EEXIST` where something is, else `ENOENT`, as in link(2).
fn trailing_slash_refused(entry: &Entry<'_, '_>) -> Failure {
    match entry.at().lstat() {
        Ok(_) => Errno::EXIST.into(),
        Err(errno) => errno.into(),
    }
}
