//! `move`: a rename, and where the kernel cannot rename, a copy that gets its name when it is complete.

use rustix::fs::RenameFlags;
use rustix::io::Errno;

use crate::error::{Call, Error, Result};
use crate::ops::copy::Reflink;
use crate::ops::entry::{self, Existing};
use crate::ops::tree::copy::{self, CopyTreeOptions, Keep, MountPoints, Source, copy_to};
use crate::ops::tree::remove::remove;
use crate::path::UserPath;
use crate::resolve::Place;
use crate::watch::Watch;

/// Moves what is at `from` to `to`; `overwrite`: what is there is replaced, as by rename(2), or it is
/// `EEXIST`.
pub fn relocate(from: Place<'_>, to: Place<'_>, overwrite: bool, watch: &Watch) -> Result<()> {
    let existing = match overwrite {
        true => Existing::Replace,
        false => Existing::Refuse,
    };
    match entry::rename(from, to, existing) {
        Err(error) if error.errno == Errno::XDEV.raw_os_error() => {}
        done => {
            watch.entry_done();
            return done;
        }
    }
    copy_across(from, to, overwrite, watch)?;
    // All of it is there: what is left of the source goes, even if the work is to stop.
    remove(from.root, from.path, true, false, &Watch::default())
}

/// Across mounts: a copy beside the destination, and one rename when it is complete.
fn copy_across(from: Place<'_>, to: Place<'_>, overwrite: bool, watch: &Watch) -> Result<()> {
    let call = Call::between("rename", from.path, to.path);
    let options = CopyTreeOptions {
        recursive: true,
        existing: copy::Existing::Refuse,
        reflink: Reflink::Auto,
        keep: Keep::TimesAndOwner,
        mount_points: MountPoints::Refuse,
        only: None,
    };
    call.run(|| {
        let dest = to.root.entry(to.path, Errno::BUSY)?;
        if !overwrite && !dest.at().is_gone() {
            return Err(Errno::EXIST.into());
        }
        Ok(())
    })?;
    let failed = |failure| call.failed(failure);
    let dest = to.root.entry(to.path, Errno::BUSY).map_err(failed)?;
    let leaf = dest
        .at()
        .temporary_name()
        .map_err(|errno| failed(errno.into()))?;
    let beside = to
        .path
        .beside(&leaf)
        .map_err(|_| failed(Errno::INVAL.into()))?;
    // What is mounted in the tree cannot be removed from it: that is said before anything is copied.
    let strict = from.root.without_mounts();
    let strict = strict.map_err(|errno| failed(errno.into()))?;
    let source = Source::find(from).map_err(failed)?;
    let temporary = dest.at().beside(&leaf);
    let base = beside.clone();
    let copied = copy_to(&strict, source, to.root, temporary, base, &options, watch);
    let flags = match overwrite {
        true => RenameFlags::empty(),
        false => RenameFlags::NOREPLACE,
    };
    let moved = match copied {
        Ok(()) => {
            let renamed = temporary.rename(dest.at(), flags);
            renamed.map_err(|errno| failed(errno.into()))
        }
        Err(stopped) => Err(stopped.into_error(&call)),
    };
    moved.inspect_err(|_: &Error| discard(to, &beside))
}

/// What was copied goes again; the error that led here is told.
fn discard(to: Place<'_>, path: &UserPath) {
    let _ = remove(to.root, path, true, true, &Watch::default());
}
