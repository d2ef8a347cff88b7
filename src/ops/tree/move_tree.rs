//! `move`: a rename, and where the kernel cannot rename, a copy that gets its name when it is complete.

use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::fs::RenameFlags;
use rustix::io::Errno;

use crate::at::At;
use crate::error::{Call, Failure, Reason, Result};
use crate::ops::Existing;
use crate::ops::copy::Reflink;
use crate::ops::draft::with_temporary_name;
use crate::ops::entry;
use crate::ops::tree::copy::{
    CopyTask, CopyTreeOptions, OpenSource, not_into_itself, source_changed,
};
use crate::ops::tree::copy_entry::Keep;
use crate::ops::tree::levels::Id;
use crate::ops::tree::record::Record;
use crate::ops::tree::remove_recorded::{Guard, remove_recorded};
use crate::ops::tree::staged::{Publishing, can_be_published, copy_and_publish};
use crate::ops::tree::walk::TreeFailure;
use crate::path::{Leaf, UserPath};
use crate::resolve::{Place, Root};
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
pub fn move_tree(
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
    let mut left = Vec::new();
    let moved = copy_across(from, to, options, watch, &mut left);
    moved.map_err(|failure| failure.into_error(&call).leaving(left))
}

/// The same by a rename alone: across mounts it is `EXDEV`.
fn rename(from: Place<'_>, to: Place<'_>, overwrite: bool, watch: &Watch) -> Result<()> {
    let done = entry::rename(from, to, Existing::overwritten(overwrite));
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
) -> Result<(), TreeFailure> {
    let at_top = |failure: Failure| TreeFailure::at_top(failure);
    let old = from.root.entry(from.path, Errno::BUSY).map_err(at_top)?;
    let new = to.root.entry(to.path, Errno::BUSY).map_err(at_top)?;
    // What is mounted in the tree cannot be removed from it: that is said before anything is copied.
    let strict = from.root.without_mounts().map_err(TreeFailure::at_top)?;
    let again = from.root.entry(from.path, Errno::BUSY).map_err(at_top)?;
    let source =
        OpenSource::named(&strict, again).map_err(|failure| match failure.is_elsewhere() {
            true => TreeFailure::at_top(Errno::BUSY),
            false => TreeFailure::at_top(failure),
        })?;
    if old.wants_directory() && matches!(source, OpenSource::Name(..)) {
        return Err(TreeFailure::at_top(Errno::NOTDIR));
    }
    let id = source.id().map_err(TreeFailure::at_top)?;
    let is_directory = matches!(source, OpenSource::Directory(_));
    if let OpenSource::Directory(listing) = &source {
        let parent = new.at().parts().0;
        not_into_itself(listing.as_fd(), &strict, parent).map_err(at_top)?;
    }
    can_be_published(to, &new, &source, id, options.overwrite, left).map_err(at_top)?;

    let record = Arc::new(Record::of_move(new.at().parts().0));
    let tree = CopyTreeOptions {
        recursive: true,
        existing: Some(Existing::Refuse),
        reflink: Reflink::Auto,
        keep: Keep::EVERYTHING,
        report_vanished: true,
        only: None,
        atomic: true,
    };
    let job = CopyTask {
        from: &strict,
        to: to.root,
        options: &tree,
        record: &record,
        most: u64::MAX,
        watch,
    };
    let publishing = Publishing {
        replace: options.overwrite,
        flush: options.flush,
    };
    // Another move of the same may have been faster.
    let is_there = || match old.at().lstat().is_ok_and(|stat| Id::from(&stat) == id) {
        true => Ok(()),
        false => Err(source_changed()),
    };
    copy_and_publish(job, source, to, new.at(), publishing, is_there, left)?;
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
