//! A copy that is shown when it is complete: it is made beside its destination under a hidden name, and gets its
//! own by one rename. `move` across mounts and `cp` with `atomic` are made in this way.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FileType, Mode, RenameFlags};
use rustix::io::Errno;

use crate::at::At;
use crate::error::{Failure, Result};
use crate::ops::Existing;
use crate::ops::draft::{Draft, temporary_name};
use crate::ops::listing;
use crate::ops::tree::copy::{CopyTask, CopyTreeOptions, OpenSource};
use crate::ops::tree::copy_entry::{kind_of, or_discard, remove_hidden};
use crate::ops::tree::levels::Id;
use crate::ops::tree::record::Record;
use crate::ops::tree::remove_recorded::{Guard, remove_recorded};
use crate::ops::tree::walk::TreeFailure;
use crate::path::Leaf;
use crate::resolve::{Entry, Moment, Place, Root};

/// How a copy gets its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Publishing {
    /// Whether what has the name is replaced, as by rename(2); else it is `EEXIST`.
    pub replace: bool,
    /// Whether the copy is on the disk before it has the name, and the name when this is done.
    pub flush: bool,
}

/// Copies `source` to a hidden sibling of `new`, which is at the path of `to`, and gives it that name if it
/// `may_be` shown. A failure leaves nothing: `left` are the paths of what could not be removed.
///
/// [`can_be_published`] comes before.
pub(super) fn copy_and_publish(
    job: CopyTask<'_>,
    source: OpenSource<'_, '_>,
    to: Place<'_>,
    new: At<'_>,
    publishing: Publishing,
    may_be: impl FnOnce() -> Result<(), Failure>,
    left: &mut Vec<Vec<u8>>,
) -> Result<(), TreeFailure> {
    let leaf = temporary_name(new).map_err(TreeFailure::at_top)?;
    let temporary = new.beside(&leaf);
    let options = CopyTreeOptions {
        // All of it is new: what is there was put there by others, or is one name to the file system.
        existing: Some(Existing::Refuse),
        ..job.options.clone()
    };
    let staged = CopyTask {
        options: &options,
        ..job
    };
    let copied = staged.copy_to(source, temporary);
    let published = copied.and_then(|()| {
        let published =
            may_be().and_then(|()| publish(to.root, temporary, new, publishing, job.record));
        published.map_err(TreeFailure::at_top)
    });
    let Err(stopped) = published else {
        return Ok(());
    };
    // The error that led here is what the caller gets, beside what could not be removed.
    let hidden = to.path.beside(&leaf);
    let hidden = hidden.map_err(|_| TreeFailure::at_top(Errno::INVAL))?;
    if let Err(kept) = remove_recorded(to.root, &hidden, temporary, Guard::Made(job.record)) {
        *left = kept.paths;
    }
    Err(stopped)
}

/// Whether a copy of `source`, which is `id`, could get the name `new`: asked before anything is copied.
/// `left`: what was tried with, if it cannot be removed.
pub(super) fn can_be_published(
    to: Place<'_>,
    new: &Entry<'_, '_>,
    source: &OpenSource<'_, '_>,
    id: Id,
    replace: bool,
    left: &mut Vec<Vec<u8>>,
) -> Result<(), Failure> {
    let is_directory = matches!(source, OpenSource::Directory(_));
    match new.at().lstat() {
        Ok(there) if Id::from(&there) == id => return Err(Errno::INVAL.into()),
        Ok(_) if !replace => return Err(Errno::EXIST.into()),
        Ok(there) => match (is_directory, kind_of(&there) == FileType::Directory) {
            (true, false) => return Err(Errno::NOTDIR.into()),
            (false, true) => return Err(Errno::ISDIR.into()),
            (true, true) if !listing::is_empty(to.root.listing_at(new.at())?.as_fd())? => {
                return Err(Errno::NOTEMPTY.into());
            }
            _ => {}
        },
        Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    if replace {
        return Ok(());
    }
    // Not every file system knows RENAME_NOREPLACE.
    let name = temporary_name(new.at())?;
    let mut lost = None;
    let tried = try_renaming(to, new.at().beside(&name), &mut lost);
    if tried.is_err() {
        let hidden = to.path.beside(&name).map_err(|_| Errno::INVAL)?;
        let inside =
            lost.map(|name| [hidden.as_bytes(), b"/", name.as_c_str().to_bytes()].concat());
        left.extend(inside);
        if !new.at().beside(&name).is_gone() {
            left.push(hidden.as_bytes().to_vec());
        }
    }
    tried
}

/// Tries `RENAME_NOREPLACE` in a new directory `at` that nobody else may enter, and removes it again. `lost`: what
/// others have taken out of it meanwhile.
fn try_renaming(
    to: Place<'_>,
    at: At<'_>,
    lost: &mut Option<Leaf<'static>>,
) -> Result<(), Failure> {
    let before = Moment::now();
    if let Err(errno) = at.mkdir(Mode::RWXU) {
        return unless_full(errno.into());
    }
    let dir = match to.root.made_at(at, FileType::Directory, before) {
        // It is not what was made.
        Err(failure) if failure.errno == Errno::BUSY => return Err(failure),
        made => or_discard(made, at, FileType::Directory)?,
    };
    let tried = try_renaming_in(dir.as_fd(), at, lost).or_else(unless_full);
    let removed = remove_hidden(at, dir.as_fd());
    // What kept it from being emptied says more than that it is not empty.
    tried?;
    Ok(removed?)
}

/// Where there is no room for two directories, the copy will tell.
fn unless_full(failure: Failure) -> Result<(), Failure> {
    match failure.errno {
        Errno::NOSPC | Errno::DQUOT => Ok(()),
        _ => Err(failure),
    }
}

fn try_renaming_in(
    dir: BorrowedFd<'_>,
    at: At<'_>,
    lost: &mut Option<Leaf<'static>>,
) -> Result<(), Failure> {
    if !listing::is_empty(dir)? {
        return Err(Errno::BUSY.into());
    }
    let mode = Mode::from_raw_mode(rustix::fs::fstat(dir)?.st_mode);
    if !mode.contains(Mode::RWXU) {
        rustix::fs::fchmod(dir, Mode::RWXU)?;
    }
    let (one, other) = (temporary_name(at)?, temporary_name(at)?);
    At::new(dir, &one).mkdir(Mode::RWXU)?;
    let renamed = At::new(dir, &one).rename(At::new(dir, &other), RenameFlags::NOREPLACE);
    let last = if renamed.is_ok() { other } else { one };
    if let Err(errno) = At::new(dir, &last).rmdir() {
        *lost = Some(last);
        return Err(errno.into());
    }
    Ok(renamed?)
}

/// Gives the copy `temporary` its name.
fn publish(
    to: &Root,
    temporary: At<'_>,
    new: At<'_>,
    publishing: Publishing,
    record: &Record,
) -> Result<(), Failure> {
    if publishing.flush {
        flush(to, new, record)?;
    }
    // Whoever may rename here may put something else under the hidden name: that is not published, and
    // if it was, in between, the original stays.
    let is_ours = |at: At<'_>| Ok::<_, Errno>(record.is_made(record.made_id_at(at)?));
    if !is_ours(temporary)? {
        return Err(Errno::BUSY.into());
    }
    let flags = match publishing.replace {
        true => RenameFlags::empty(),
        false => RenameFlags::NOREPLACE,
    };
    temporary.rename(new, flags)?;
    if publishing.flush {
        flush(to, new, record)?;
    }
    match is_ours(new) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Errno::BUSY.into()),
        // It has its name, and no original goes for it.
        Err(_) if !record.is_of_move => Ok(()),
        Err(errno) => Err(errno.into()),
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
