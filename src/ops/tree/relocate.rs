//! `move`: a rename, and where the kernel cannot rename, a copy that gets its name when it is complete.

use std::os::fd::OwnedFd;

use rustix::fs::RenameFlags;
use rustix::io::Errno;

use crate::error::{Call, Failure, Result};
use crate::ops::copy::Reflink;
use crate::ops::draft::{temporary_name, with_temporary_name};
use crate::ops::entry::{self, Existing};
use crate::ops::tree::copy::{self, CopyTreeOptions, Keep, MountPoints, Source, copy_to};
use crate::ops::tree::levels::Id;
use crate::ops::tree::remove::remove_at;
use crate::ops::tree::walk::Stopped;
use crate::resolve::Place;
use crate::watch::Watch;

/// Moves what is at `from` to `to`; `overwrite`: what is there is replaced, as by rename(2), or it is
/// `EEXIST`.
pub fn relocate(from: Place<'_>, to: Place<'_>, overwrite: bool, watch: &Watch) -> Result<()> {
    match rename(from, to, overwrite, watch) {
        Err(error) if error.errno == Errno::XDEV.raw_os_error() => {}
        done => return done,
    }
    let call = Call::between("rename", from.path, to.path);
    let copied = copy_across(from, to, overwrite, watch);
    let copied = copied.map_err(|stopped| stopped.into_error(&call))?;
    remove_source(from, &copied, &call)
}

/// The same by a rename alone: across mounts it is `EXDEV`.
pub fn rename(from: Place<'_>, to: Place<'_>, overwrite: bool, watch: &Watch) -> Result<()> {
    let existing = match overwrite {
        true => Existing::Replace,
        false => Existing::Refuse,
    };
    let done = entry::rename(from, to, existing);
    if done.is_ok() {
        watch.entry_done();
    }
    done
}

/// What was copied.
struct Copied {
    id: Id,
    /// A directory is held open: some file systems give it another inode number when it is not.
    _held: Option<OwnedFd>,
}

/// Across mounts: a copy beside the destination, and one rename when it is complete.
fn copy_across(
    from: Place<'_>,
    to: Place<'_>,
    overwrite: bool,
    watch: &Watch,
) -> Result<Copied, Stopped> {
    let options = CopyTreeOptions {
        recursive: true,
        existing: copy::Existing::Refuse,
        reflink: Reflink::Auto,
        keep: Keep::Everything,
        mount_points: MountPoints::Refuse,
        only: None,
    };
    let old = from.root.entry(from.path, Errno::BUSY);
    let old = old.map_err(Stopped::at_top)?;
    let new = to.root.entry(to.path, Errno::BUSY);
    let new = new.map_err(Stopped::at_top)?;
    // What is mounted in the tree cannot be removed from it: that is said before anything is copied.
    let strict = from.root.without_mounts().map_err(Stopped::at_top)?;
    let source = Source::named(&strict, old).map_err(|failure| match failure.errno {
        Errno::ACCESS if failure.reason.is_some() => Stopped::at_top(Errno::BUSY),
        _ => Stopped::at_top(failure),
    })?;
    let id = source.id().map_err(Stopped::at_top)?;
    let _held = source.hold().map_err(Stopped::at_top)?;
    match new.at().lstat() {
        Ok(there) if Id::from(&there) == id => return Err(Stopped::at_top(Errno::INVAL)),
        Ok(_) if !overwrite => return Err(Stopped::at_top(Errno::EXIST)),
        _ => {}
    }
    let leaf = temporary_name(new.at()).map_err(Stopped::at_top)?;
    let base = to.path.beside(&leaf);
    let base = base.map_err(|_| Stopped::at_top(Errno::INVAL))?;
    let temporary = new.at().beside(&leaf);
    let copied = copy_to(&strict, source, to.root, temporary, base, &options, watch);
    let flags = match overwrite {
        true => RenameFlags::empty(),
        false => RenameFlags::NOREPLACE,
    };
    let published = copied.and_then(|()| {
        let renamed = temporary.rename(new.at(), flags);
        renamed.map_err(Stopped::at_top)
    });
    if published.is_err() {
        // What was copied goes again; the error that led here is told.
        let _ = remove_at(to.root, to.path, temporary, &Watch::default());
    }
    published.map(|()| Copied { id, _held })
}

/// Removes what was copied, and nothing that has its name by now: it is given another name first, and
/// recognised by that. All of it is at its new place, so that this is done even if the work is to stop.
fn remove_source(from: Place<'_>, copied: &Copied, call: &Call<'_>) -> Result<()> {
    let failed = |failure: Failure| call.failed(failure);
    let old = from.root.entry(from.path, Errno::BUSY).map_err(failed)?;
    let set_aside = |flags| with_temporary_name(old.at(), |at| old.at().rename(at, flags));
    let leaf = match set_aside(RenameFlags::NOREPLACE) {
        Ok(((), leaf)) => Some(leaf),
        // The file system does not know the flag; nobody guesses the name.
        Err(Errno::INVAL) => {
            let set_aside = set_aside(RenameFlags::empty());
            Some(set_aside.map_err(|errno| failed(errno.into()))?.1)
        }
        // overlayfs renames no directory that has a part in a lower layer.
        Err(Errno::XDEV) => None,
        Err(errno) => return Err(failed(errno.into())),
    };
    let at = leaf.as_ref().map_or(old.at(), |leaf| old.at().beside(leaf));
    let removed = match at.lstat() {
        Ok(stat) if Id::from(&stat) == copied.id => {
            remove_at(from.root, from.path, at, &Watch::default())
        }
        Ok(_) => Err(failed(Errno::BUSY.into())),
        Err(errno) => Err(failed(errno.into())),
    };
    if removed.is_err() && leaf.is_some() {
        // What is left is found where it was, unless something else is there by now.
        let back = at.rename(old.at(), RenameFlags::NOREPLACE);
        if back == Err(Errno::INVAL) && old.at().is_gone() {
            let _ = at.rename(old.at(), RenameFlags::empty());
        }
    }
    removed
}
