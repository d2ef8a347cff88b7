//! Native functions about what is in a file.

use std::sync::Arc;

use super::arguments::{Arguments, Checked};
use super::job::{Job, Operation, Place, SHORT, at, operations, pool};
use crate::ops::content::{self, ReadOptions, WriteOptions};
use crate::ops::copy::{self, CopyOptions, Reflink};
use crate::resolve::{self, Root};

/// These functions.
pub const OPERATIONS: &[Operation] = operations! {
    "open" => open,
    "readFile" => read_file,
    "writeFile" => write_file,
    "truncate" => truncate,
    "fsync" => fsync,
    "copyFile" => copy_file,
};

/// How shared blocks are numbered.
pub const REFLINKS: [Reflink; 3] = [Reflink::Auto, Reflink::Always, Reflink::Never];

fn open(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (path, flags, mode) = (args.path(1)?, args.open_flags(2)?, args.mode(3)?);
    Ok(pool(move |root: &Root| {
        content::open(root, &path, flags, mode)
    }))
}

fn read_file(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (path, most, form) = (args.path(1)?, args.number(2)?, args.form(3)?);
    let watch = args.watch(4)?;
    let place = Place::PoolFirst(Arc::clone(&watch));
    let read = move |root: &Root, short| {
        let options = ReadOptions { most, short };
        Ok((content::read_file(root, &path, options, &watch)?, form))
    };
    Ok(at(place, read))
}

fn write_file(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (path, data) = (args.path(1)?, args.data(2)?);
    let options = WriteOptions {
        flags: args.open_flags(3)?,
        mode: args.mode_if_any(4)?,
        atomic: args.flag(5)?,
        flush: args.flag(6)?,
        version: args.version(7)?,
    };
    let watch = args.watch(8)?;
    let place = match data.len() as u64 > SHORT {
        true => Place::Thread(Arc::clone(&watch)),
        false => Place::Pool,
    };
    Ok(at(place, move |root: &Root, _| {
        let place = resolve::Place { root, path: &path };
        content::write_file(place, &data, options, &watch)
    }))
}

fn truncate(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (path, length) = (args.path(1)?, args.number::<u64>(2)?);
    Ok(pool(move |root: &Root| {
        content::truncate(root, &path, length)
    }))
}

fn fsync(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let path = args.path(1)?;
    Ok(pool(move |root: &Root| content::fsync(root, &path)))
}

fn copy_file(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (src, dest) = (args.path(1)?, args.path(2)?);
    let options = CopyOptions {
        mode: args.mode(3)?,
        exclusive: args.flag(4)?,
        reflink: args.one_of(5, &REFLINKS)?,
        most: u64::MAX,
    };
    let to = args.root_at(6)?;
    let watch = args.watch(7)?;
    let place = Place::PoolFirst(Arc::clone(&watch));
    Ok(at(place, move |root: &Root, most| {
        let (from, to) = resolve::Place::pair(root, &src, to.as_deref(), &dest);
        let options = CopyOptions { most, ..options };
        copy::copy_file(from, to, options, &watch)
    }))
}
