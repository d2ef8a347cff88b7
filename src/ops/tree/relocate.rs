//! `move`: a rename, and where the kernel cannot rename, a copy that gets its name when it is complete.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::fs::{FileType, Mode, RenameFlags};
use rustix::io::Errno;

use crate::at::At;
use crate::error::{Call, Error, Failure, Reason, Result};
use crate::ops::copy::Reflink;
use crate::ops::directory;
use crate::ops::draft::{Draft, temporary_name, with_temporary_name};
use crate::ops::entry;
use crate::ops::tree::copy::{CopyTreeOptions, Job, Source, not_into_itself, source_changed};
use crate::ops::tree::copy_entry::{Existing, Keep, kind_of};
use crate::ops::tree::levels::Id;
use crate::ops::tree::record::Record;
use crate::ops::tree::remove_recorded::{Guard, remove_recorded};
use crate::ops::tree::walk::Stopped;
use crate::path::{Leaf, UserPath};
use crate::resolve::{Entry, Moment, Place, Root};
use crate::watch::Watch;

/// How something is moved.
#[derive(Clone, Copy, Debug, Default)]
pub struct MoveOptions {
    /// Whether what is at the destination is replaced, as by rename(2); else it is `EEXIST`.
    pub overwrite: bool,
    /// Whether a copy is on the disk before its original is removed.
    pub flush: bool,
}

/// Moves what is at `from` to `to`. It copies if it may copy without a limit; else what cannot be renamed fails
/// for [`Reason::TakesLong`].
pub fn relocate(
    from: Place<'_>,
    to: Place<'_>,
    options: MoveOptions,
    most: u64,
    watch: &Watch,
) -> Result<()> {
    match rename(from, to, options.overwrite, watch) {
        Err(error) if error.errno == Errno::XDEV.raw_os_error() => {}
        done => return done,
    }
    let call = Call::between("rename", from.path, to.path);
    if most < u64::MAX {
        return Err(call.failed(Failure::because(Errno::XDEV, Reason::TakesLong)));
    }
    let mut entries = Vec::new();
    let moved = copy_across(from, to, options, watch, &mut entries);
    moved.map_err(|stopped| Error {
        entries,
        ..stopped.into_error(&call)
    })
}

/// The same by a rename alone: across mounts it is `EXDEV`.
fn rename(from: Place<'_>, to: Place<'_>, overwrite: bool, watch: &Watch) -> Result<()> {
    let existing = match overwrite {
        true => entry::Existing::Replace,
        false => entry::Existing::Refuse,
    };
    let done = entry::rename(from, to, existing);
    if done.is_ok() {
        watch.entry_done();
    }
    done
}

/// Across mounts: a copy beside the destination, one rename when it is complete, and then the original is
/// removed, entry by entry: what was copied, and nothing else. `left`: the paths of what it could not
/// remove, of the original or of the copy.
fn copy_across(
    from: Place<'_>,
    to: Place<'_>,
    options: MoveOptions,
    watch: &Watch,
    left: &mut Vec<Vec<u8>>,
) -> Result<(), Stopped> {
    let at_top = |failure: Failure| Stopped::at_top(failure);
    let old = from.root.entry(from.path, Errno::BUSY).map_err(at_top)?;
    let new = to.root.entry(to.path, Errno::BUSY).map_err(at_top)?;
    // What is mounted in the tree cannot be removed from it: that is said before anything is copied.
    let strict = from.root.without_mounts().map_err(Stopped::at_top)?;
    let again = from.root.entry(from.path, Errno::BUSY).map_err(at_top)?;
    let source = Source::named(&strict, again).map_err(|failure| match failure.reason {
        Some(Reason::OutsideSandbox) => Stopped::at_top(Errno::BUSY),
        _ => Stopped::at_top(failure),
    })?;
    if old.wants_directory() && matches!(source, Source::Name(..)) {
        return Err(Stopped::at_top(Errno::NOTDIR));
    }
    let id = source.id().map_err(Stopped::at_top)?;
    let is_directory = matches!(source, Source::Directory(_));
    if let Source::Directory(listing) = &source {
        let parent = new.at().parts().0;
        not_into_itself(listing.as_fd(), &strict, parent).map_err(at_top)?;
    }
    can_be_published(to, &new, &source, id, options.overwrite, left).map_err(at_top)?;

    let record = Arc::new(Record::of_move());
    let leaf = temporary_name(new.at()).map_err(Stopped::at_top)?;
    let temporary = new.at().beside(&leaf);
    let tree = CopyTreeOptions {
        recursive: true,
        existing: Existing::Refuse,
        reflink: Reflink::Auto,
        keep: Keep::EVERYTHING,
        report_vanished: true,
        only: None,
    };
    let job = Job {
        from: &strict,
        to: to.root,
        options: &tree,
        record: &record,
        watch,
    };
    let copied = job.copy_to(source, temporary);
    let published = copied.and_then(|()| {
        // Another move of the same may have been faster.
        let is_there = old.at().lstat().is_ok_and(|stat| Id::from(&stat) == id);
        let published = match is_there {
            true => publish(to.root, temporary, new.at(), options, &record),
            false => Err(source_changed()),
        };
        published.map_err(at_top)
    });
    if let Err(stopped) = published {
        // The error that led here is what the caller gets, beside what could not be removed.
        let hidden = to
            .path
            .beside(&leaf)
            .map_err(|_| at_top(Errno::INVAL.into()))?;
        if let Err(kept) = remove_recorded(to.root, &hidden, temporary, Guard::Made(&record)) {
            *left = kept.paths;
        }
        return Err(stopped);
    }
    // All of it is at its new place, so that this is done even if the work is to stop.
    remove_source(
        &strict,
        from.path,
        old.at(),
        id,
        is_directory,
        &record,
        left,
    )
    .map_err(at_top)
}

/// Removes what was copied. A directory gets a hidden name before: another move of it finds all of it or
/// nothing, and never takes a part for the whole.
fn remove_source(
    strict: &Root,
    path: &UserPath,
    old: At<'_>,
    id: Id,
    is_directory: bool,
    record: &Record,
    left: &mut Vec<Vec<u8>>,
) -> Result<(), Failure> {
    let leaf = match is_directory {
        true => set_aside(path, old, id, left)?,
        false => None,
    };
    let at = leaf.as_ref().map_or(old, |leaf| old.beside(leaf));
    let kept = match remove_recorded(strict, path, at, Guard::Copied(record)) {
        Ok(true) => return Ok(()),
        // Of two moves of a file, the one that removes it has moved it.
        Ok(false) => return Err(source_changed()),
        Err(kept) => kept,
    };
    *left = kept.paths;
    if let Some(leaf) = &leaf {
        put_back(path, leaf, old, left);
    }
    Err(kept.failure.unwrap_or(source_changed()))
}

/// Gives the directory `id`, which is at `old`, a hidden name beside it; `None` where it stays where it is.
/// `left`: what has a hidden name now and is something else.
fn set_aside(
    path: &UserPath,
    old: At<'_>,
    id: Id,
    left: &mut Vec<Vec<u8>>,
) -> Result<Option<Leaf<'static>>, Failure> {
    let rename = |flags| with_temporary_name(old, |at| old.rename(at, flags));
    let renamed = match rename(RenameFlags::NOREPLACE) {
        // The file system does not know the flag; nobody guesses the name.
        Err(Errno::INVAL) => rename(RenameFlags::empty()),
        renamed => renamed,
    };
    let leaf = match renamed {
        Ok(((), leaf)) => leaf,
        Err(Errno::NOENT) => return Err(source_changed()),
        // overlayfs renames no directory that has a part in a lower layer.
        Err(_) => return Ok(None),
    };
    match old.beside(&leaf).lstat() {
        Ok(stat) if Id::from(&stat) == id => Ok(Some(leaf)),
        _ => {
            // Somebody had put it there in between.
            put_back(path, &leaf, old, left);
            Err(source_changed())
        }
    }
}

/// Gives what is called `leaf` the name `old` again, which is called by its `path`. Where something else has that
/// by now, `leaf` is all that is `left`.
fn put_back(path: &UserPath, leaf: &Leaf<'_>, old: At<'_>, left: &mut Vec<Vec<u8>>) {
    let at = old.beside(leaf);
    let renamed = match at.rename(old, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL) if old.is_gone() => at.rename(old, RenameFlags::empty()),
        renamed => renamed,
    };
    if renamed.is_err()
        && !at.is_gone()
        && let Ok(hidden) = path.beside(leaf)
    {
        *left = vec![hidden.as_bytes().to_vec()];
    }
}

/// Whether a copy of `source`, which is `id`, could get the name `new`: asked before anything is copied.
/// `left`: what was tried with, if it cannot be removed.
fn can_be_published(
    to: Place<'_>,
    new: &Entry<'_, '_>,
    source: &Source<'_, '_>,
    id: Id,
    overwrite: bool,
    left: &mut Vec<Vec<u8>>,
) -> Result<(), Failure> {
    let is_directory = matches!(source, Source::Directory(_));
    match new.at().lstat() {
        Ok(there) if Id::from(&there) == id => return Err(Errno::INVAL.into()),
        Ok(_) if !overwrite => return Err(Errno::EXIST.into()),
        Ok(there) => match (is_directory, kind_of(&there) == FileType::Directory) {
            (true, false) => return Err(Errno::NOTDIR.into()),
            (false, true) => return Err(Errno::ISDIR.into()),
            (true, true) if !directory::is_empty(to.root.listing_at(new.at())?.as_fd())? => {
                return Err(Errno::NOTEMPTY.into());
            }
            _ => {}
        },
        Err(_) => {}
    }
    if overwrite {
        return Ok(());
    }
    // Not every file system knows RENAME_NOREPLACE.
    let name = temporary_name(new.at())?;
    let tried = try_renaming(to, new.at().beside(&name));
    if !new.at().beside(&name).is_gone() {
        let hidden = to.path.beside(&name).map_err(|_| Errno::INVAL)?;
        left.push(hidden.as_bytes().to_vec());
    }
    tried
}

/// Tries `RENAME_NOREPLACE` in a new directory `at` that nobody else may enter, and removes it again.
fn try_renaming(to: Place<'_>, at: At<'_>) -> Result<(), Failure> {
    let before = Moment::now();
    let tried = at.mkdir(Mode::RWXU).map_err(Failure::from).and_then(|()| {
        let dir = to.root.made_at(at, FileType::Directory, before)?;
        if !directory::is_empty(dir.as_fd())? {
            return Err(Errno::BUSY.into());
        }
        let mode = Mode::from_raw_mode(rustix::fs::fstat(&dir)?.st_mode);
        if !mode.contains(Mode::RWXU) {
            rustix::fs::fchmod(&dir, Mode::RWXU)?;
        }
        let tried = try_renaming_in(dir.as_fd(), at);
        if Id::from(&at.lstat()?) != Id::of(dir.as_fd())? {
            return Err(Errno::BUSY.into());
        }
        at.rmdir()?;
        tried
    });
    match tried {
        // Where there is no room for two directories, the copy will tell.
        Err(failure) if matches!(failure.errno, Errno::NOSPC | Errno::DQUOT) => Ok(()),
        tried => tried,
    }
}

fn try_renaming_in(dir: BorrowedFd<'_>, at: At<'_>) -> Result<(), Failure> {
    let (one, other) = (temporary_name(at)?, temporary_name(at)?);
    let (one, other) = (At::new(dir, &one), At::new(dir, &other));
    one.mkdir(Mode::RWXU)?;
    let renamed = one.rename(other, RenameFlags::NOREPLACE);
    match renamed {
        Ok(()) => other.rmdir()?,
        Err(_) => one.rmdir()?,
    }
    Ok(renamed?)
}

/// Gives the copy `temporary` its name.
fn publish(
    to: &Root,
    temporary: At<'_>,
    new: At<'_>,
    options: MoveOptions,
    record: &Record,
) -> Result<(), Failure> {
    // Whoever may rename here may put something else under the hidden name: that is not published, and
    // if it was, in between, the original stays.
    let is_ours = |at: At<'_>| Ok::<_, Errno>(record.is_made(Id::from(&at.lstat()?)));
    if !is_ours(temporary)? {
        return Err(Errno::BUSY.into());
    }
    let flags = match options.overwrite {
        true => RenameFlags::empty(),
        false => RenameFlags::NOREPLACE,
    };
    if options.flush {
        flush(to, new, record)?;
    }
    temporary.rename(new, flags)?;
    if options.flush {
        flush(to, new, record)?;
    }
    match is_ours(new)? {
        true => Ok(()),
        false => Err(Errno::BUSY.into()),
    }
}

/// Waits until all of the file system that the copy is on is on the disk.
fn flush(root: &Root, at: At<'_>, record: &Record) -> Result<(), Failure> {
    let synced = match record.sync() {
        Some(synced) => synced,
        None => match root.directory_of(at) {
            // A directory that may not be read. A new file in it will do.
            Err(failure) if failure.errno == Errno::ACCESS => {
                let draft = Draft::new(root, at, Mode::RUSR | Mode::WUSR)?;
                rustix::fs::syncfs(draft.fd())
            }
            directory => rustix::fs::syncfs(directory?),
        },
    };
    synced.map_err(|errno| Failure::from(errno).at_descriptor("fsync"))
}
