//! Whether the target of a symlink that is to be made leads beneath the root, as seen from where it is to be.
//!
//! No link is made to find out. An empty directory beside its name, which nobody else may enter, stands for the place:
//! the kernel looks up the way from the root to that directory, `..`, and the target, in one lookup. So the target
//! starts in the very directory that the link is made in, and not in what has taken its path.

use std::ffi::CString;
use std::os::fd::AsFd;

use rustix::fs::{FileType, Mode};
use rustix::io::Errno;

use crate::at::At;
use crate::error::{Failure, Reason, Result};
use crate::ops::draft::with_temporary_name;
use crate::ops::realpath::{MOST_SYMLINKS, realpath};
use crate::ops::tree::copy_entry::{discard, remove_hidden};
use crate::path::{LONGEST, Leaf, RelPath, UserPath};
use crate::resolve::{Moment, Root};

/// Refuses a symlink at `path`, which is `at`, that would hold `target` and lead out of the root. `left`: the hidden
/// name of what could not be removed.
pub fn leads_beneath(
    root: &Root,
    path: &UserPath,
    at: At<'_>,
    target: &[u8],
    left: &mut Option<Leaf<'static>>,
) -> Result<(), Failure> {
    if target.starts_with(b"/") {
        return Err(outside());
    }
    let parsed = root.parse(path)?;
    let Some(parent) = real_parent(root, &parsed)? else {
        return follow(root, Vec::new(), target);
    };
    let before = Moment::now();
    let ((), leaf) = with_temporary_name(at, |at| at.mkdir(Mode::RWXU))?;
    let mark = at.beside(&leaf);
    let made = root.made_at(mark, FileType::Directory, before);
    let looked = made.as_ref().map_err(|&failure| failure).and_then(|_| {
        let way = [&parent, &b"/"[..], leaf.as_c_str().to_bytes(), b"/.."].concat();
        match root.leads_beneath(&way) {
            // The directory was moved since it was found: where the link would be is not known.
            Err(failure) if failure.errno == Errno::NOENT => Err(outside()),
            found => found.and_then(|_| follow(root, way, target)),
        }
    });
    let removed = match &made {
        Ok(dir) => remove_hidden(mark, dir.as_fd()),
        // It is not what was made.
        Err(failure) if failure.errno == Errno::BUSY => Ok(()),
        Err(_) => discard(mark, FileType::Directory),
    };
    if removed.is_err() && !mark.is_gone() {
        *left = Some(leaf);
    }
    looked?;
    Ok(removed?)
}

/// The path of the directory that the last name of `path` is in, without links; `None` for the root.
fn real_parent(root: &Root, path: &RelPath<'_>) -> Result<Option<Vec<u8>>, Failure> {
    let Some(parent) = path.parent().filter(|parent| !parent.is_empty()) else {
        return Ok(None);
    };
    if !root.policy().follows() {
        return Ok(Some(parent.to_vec()));
    }
    let parent = UserPath::new(parent.to_vec()).map_err(|_| Errno::INVAL)?;
    let real = realpath(root, &parent).map_err(|error| Failure {
        errno: Errno::from_raw_os_error(error.errno),
        reason: error.reason,
        step: None,
    })?;
    Ok((real != b".").then_some(real))
}

/// Follows `target` from the directory `start`. What does not exist may come to be anything, so that no `..` may
/// come behind it.
fn follow(root: &Root, start: Vec<u8>, target: &[u8]) -> Result<(), Failure> {
    let mut target = target.to_vec();
    for _ in 0..=MOST_SYMLINKS {
        let path = |end: usize| match (start.is_empty(), target.get(..end)) {
            (_, None | Some(b"")) if start.is_empty() => b".".to_vec(),
            (_, None | Some(b"")) => start.clone(),
            (true, Some(part)) => part.to_vec(),
            (false, Some(part)) => [&start, &b"/"[..], part].concat(),
        };
        if path(target.len()).len() > LONGEST {
            return Err(Errno::NAMETOOLONG.into());
        }
        match root.leads_beneath(&path(target.len())) {
            Err(failure) if is_missing(&failure) => {}
            found => return found.map(drop),
        }
        // The longest part that is there, and the name behind it.
        let ends = (0..target.len()).filter(|&end| end == 0 || target.get(end) == Some(&b'/'));
        let mut there = None;
        for end in ends.rev() {
            match root.leads_beneath(&path(end)) {
                Err(failure) if is_missing(&failure) => {}
                found => {
                    there = Some((end, found?));
                    break;
                }
            }
        }
        // The place itself was moved.
        let (end, dir) = there.ok_or_else(outside)?;
        let is_slash = |&&byte: &&u8| byte == b'/';
        let behind = target.get(end..).unwrap_or_default();
        let name = end + behind.iter().take_while(is_slash).count();
        let ahead = target.get(name..).unwrap_or_default();
        let end = name + ahead.iter().take_while(|byte| !is_slash(byte)).count();
        let c_name = CString::new(target.get(name..end).unwrap_or_default());
        let c_name = c_name.map_err(|_| Errno::INVAL)?;
        let held = match Leaf::listed(&c_name) {
            Some(leaf) => At::new(dir.as_fd(), &leaf).readlink(),
            None => Err(Errno::NOENT),
        };
        let held = match held {
            Ok(held) => held,
            Err(Errno::NOENT | Errno::NOTDIR) => {
                return match ahead.split(|&byte| byte == b'/').any(|name| name == b"..") {
                    true => Err(outside()),
                    false => Ok(()),
                };
            }
            // It came to be there meanwhile.
            Err(Errno::INVAL) => continue,
            Err(errno) => return Err(errno.into()),
        };
        // A link to what is not there: what it holds takes its place.
        if held.as_bytes().starts_with(b"/") {
            return Err(outside());
        }
        let before = target.get(..name).unwrap_or_default();
        let rest = target.get(end..).unwrap_or_default();
        target = [before, held.as_bytes(), rest].concat();
    }
    Err(Errno::LOOP.into())
}

fn is_missing(failure: &Failure) -> bool {
    matches!(failure.errno, Errno::NOENT | Errno::NOTDIR)
}

fn outside() -> Failure {
    Failure::because(Errno::ACCESS, Reason::OutsideSandbox)
}
