//! Native functions that change names: making, removing, renaming and linking.

use super::arguments::{Arguments, Checked};
use super::job::{Job, Operation, operations, pool};
use super::output::{As, Output};
use crate::ops::Existing;
use crate::ops::entry;
use crate::resolve::{Place, Root};

/// These functions.
pub const OPERATIONS: &[Operation] = operations! {
    "mkdir" => mkdir,
    "mkfifo" => mkfifo,
    "unlink" => unlink,
    "rmdir" => rmdir,
    "remove" => remove,
    "rename" => rename,
    "exchange" => exchange,
    "link" => link,
    "symlink" => symlink,
    "readlink" => readlink,
    "mkdtemp" => mkdtemp,
};

fn mkdir(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (path, recursive, mode) = (args.path(1)?, args.flag(2)?, args.mode(3)?);
    Ok(pool(move |root: &Root| {
        let first = match recursive {
            true => entry::mkdir_all(root, &path, mode)?,
            false => entry::mkdir(root, &path, mode).map(|()| None)?,
        };
        Ok(first.map_or(Output::Nothing, |path| Output::Text(path, As::Buffer)))
    }))
}

fn mkfifo(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (path, mode) = (args.path(1)?, args.mode(2)?);
    Ok(pool(move |root: &Root| entry::mkfifo(root, &path, mode)))
}

fn unlink(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let path = args.path(1)?;
    Ok(pool(move |root: &Root| entry::unlink(root, &path)))
}

fn rmdir(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let path = args.path(1)?;
    Ok(pool(move |root: &Root| entry::rmdir(root, &path)))
}

fn remove(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let path = args.path(1)?;
    Ok(pool(move |root: &Root| entry::remove(root, &path)))
}

fn rename(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (old, new) = (args.path(1)?, args.path(2)?);
    let existing = Existing::overwritten(args.flag(3)?);
    let to = args.root_at(4)?;
    Ok(pool(move |root: &Root| {
        let (from, to) = Place::pair(root, &old, to.as_deref(), &new);
        entry::rename(from, to, existing)
    }))
}

fn exchange(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (a, b) = (args.path(1)?, args.path(2)?);
    Ok(pool(move |root: &Root| entry::exchange(root, &a, &b)))
}

fn link(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (old, new, to) = (args.path(1)?, args.path(2)?, args.root_at(3)?);
    Ok(pool(move |root: &Root| {
        let (from, to) = Place::pair(root, &old, to.as_deref(), &new);
        entry::link(from, to)
    }))
}

fn symlink(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (target, new, beneath) = (args.path(1)?, args.path(2)?, args.flag(3)?);
    Ok(pool(move |root: &Root| {
        entry::symlink(root, &target, &new, beneath)
    }))
}

fn readlink(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (path, form) = (args.path(1)?, args.form(2)?);
    Ok(pool(move |root: &Root| {
        Ok((entry::readlink(root, &path)?, form))
    }))
}

fn mkdtemp(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (prefix, form) = (args.path(1)?, args.form(2)?);
    Ok(pool(move |root: &Root| {
        Ok((entry::mkdtemp(root, &prefix)?, form))
    }))
}
