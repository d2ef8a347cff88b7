//! Native functions about what a file is: its `stat`, its permissions, owners and times.

use rustix::fs::{Access, Stat, Statx};

use super::arguments::{Arguments, Checked};
use super::job::{Job, Lookup, Operation, operations, pool};
use super::output::{Output, Words};
use crate::error;
use crate::ops::metadata::{self, Description, Nanoseconds, Owner};
use crate::ops::realpath;
use crate::path::UserPath;
use crate::resolve::Root;

/// These functions.
pub const OPERATIONS: &[Operation] = operations! {
    "stat" => stat,
    "statx" => statx,
    "statfs" => statfs,
    "exists" => exists,
    "access" => access,
    "chmod" => chmod,
    "chown" => chown,
    "utimes" => utimes,
    "realpath" => realpath,
};

/// Behind the root comes the array for the result: see [`Output::Words`].
const BEHIND_WORDS: usize = 2;

fn stat(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let is_versioned = args.flag_if_any(BEHIND_WORDS + 4)?;
    describe::<Stat>(args, is_versioned, Words::of_stat)
}

fn statx(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    describe::<Statx>(args, false, |statx, _, _| Words::of_statx(statx))
}

fn describe<D: Description + 'static>(
    args: &Arguments<'_, '_>,
    is_versioned: bool,
    words: fn(&D, exact: bool, asked: Option<Nanoseconds>) -> Output,
) -> Checked<impl Job + use<D>> {
    let (path, follow) = (args.path(BEHIND_WORDS)?, args.flag(BEHIND_WORDS + 1)?);
    let (exact, throws) = (args.flag(BEHIND_WORDS + 2)?, args.flag(BEHIND_WORDS + 3)?);
    // Before the file is described: scripts may read the clock long after that, or another one.
    let asked = move || is_versioned.then(metadata::now);
    let output = move |found: error::Result<D>, asked| match found {
        Ok(found) => Ok(words(&found, exact, asked)),
        Err(error) if is_no_entry(&error, follow) && !throws => Ok(Output::Flag(false)),
        Err(error) => Err(error),
    };
    let ask = move |root: &Root, path: &UserPath| {
        let asked = asked();
        metadata::stat_if_cached(root, path, follow).map(|found| output(found, asked))
    };
    let ask_and_wait = move |root: &Root, path: &UserPath| {
        let asked = asked();
        let found = match follow {
            true => metadata::stat(root, path),
            false => metadata::lstat(root, path),
        };
        output(found, asked)
    };
    Ok(Lookup {
        path,
        ask,
        ask_and_wait,
    })
}

/// Whether there is nothing, for `throwIfNoEntry`: as Node since 22, for `stat` also where the way leads through a file.
fn is_no_entry(error: &error::Error, follow: bool) -> bool {
    error.errno == libc::ENOENT || (follow && error.errno == libc::ENOTDIR)
}

fn statfs(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (path, exact) = (args.path(BEHIND_WORDS)?, args.flag(BEHIND_WORDS + 1)?);
    Ok(pool(move |root: &Root| {
        Ok(Words::of_statfs(&metadata::statfs(root, &path)?, exact))
    }))
}

fn exists(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let ask = |root: &Root, path: &UserPath| {
        metadata::exists_if_cached(root, path).map(|found| Ok(Output::Flag(found)))
    };
    let ask_and_wait =
        |root: &Root, path: &UserPath| metadata::exists(root, path).map(Output::Flag);
    Ok(Lookup {
        path: args.path(1)?,
        ask,
        ask_and_wait,
    })
}

fn access(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (path, mode) = (args.path(1)?, args.number(2)?);
    let mode = Access::from_bits_truncate(mode);
    Ok(pool(move |root: &Root| metadata::access(root, &path, mode)))
}

fn chmod(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (path, mode) = (args.path(1)?, args.mode(2)?);
    Ok(pool(move |root: &Root| metadata::chmod(root, &path, mode)))
}

fn chown(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (path, follow) = (args.path(1)?, args.flag(2)?);
    let owner = Owner {
        user: args.user(3)?,
        group: args.group(4)?,
    };
    Ok(pool(move |root: &Root| match follow {
        true => metadata::chown(root, &path, owner),
        false => metadata::lchown(root, &path, owner),
    }))
}

fn utimes(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (path, follow) = (args.path(1)?, args.flag(2)?);
    let times = metadata::times(args.nanoseconds_if_any(3)?, args.nanoseconds_if_any(4)?);
    Ok(pool(move |root: &Root| match follow {
        true => metadata::utimes(root, &path, &times),
        false => metadata::lutimes(root, &path, &times),
    }))
}

fn realpath(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (path, form) = (args.path(1)?, args.form(2)?);
    Ok(pool(move |root: &Root| {
        Ok((realpath::realpath(root, &path)?, form))
    }))
}
