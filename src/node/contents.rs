//! Native functions about what is in a file.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::Native;
use super::arguments::{Arguments, Checked, NONSENSE};
use super::job::{Job, Operation, Place, SHORT, at, operations, pool};
use super::output::Output;
use crate::error::Error;
use crate::ops::content::{self, ReadOptions, WriteOptions, Writer};
use crate::ops::copy::{self, CopyOptions, Reflink};
use crate::resolve::{self, Root};

/// These functions.
pub const OPERATIONS: &[Operation] = operations! {
    "open" => open,
    "readFile" => read_file,
    "writeFile" => write_file,
    "openWriter" => open_writer,
    "writeChunk" => write_chunk,
    "finishWriter" => finish_writer,
    "abortWriter" => abort_writer,
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

/// Opens a file that is written in parts: a handle for the next three.
fn open_writer(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let path = args.path(1)?;
    let options = WriteOptions {
        flags: args.open_flags(2)?,
        mode: args.mode_if_any(3)?,
        atomic: args.flag(4)?,
        flush: args.flag(5)?,
        version: args.version(6)?,
    };
    Ok(pool(move |root: &Root| {
        let place = resolve::Place { root, path: &path };
        Ok(Output::Writer(Box::new(Writer::open(place, options)?)))
    }))
}

fn write_chunk(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (writer, data, watch) = (writer(args)?, args.data(2)?, args.watch(3)?);
    Ok(pool(move |_: &Root| match &*locked(&writer) {
        Some(writer) => writer.write(&data, &watch),
        None => Err(Error::of_descriptor(Errno::BADF, "write")),
    }))
}

fn finish_writer(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (writer, watch) = (writer(args)?, args.watch(2)?);
    // To wait for the disk may take long.
    Ok(at(Place::Thread(watch), move |_: &Root, _| {
        match locked(&writer).take() {
            Some(writer) => writer.finish(),
            None => Err(Error::of_descriptor(Errno::BADF, "write")),
        }
    }))
}

fn abort_writer(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let writer = writer(args)?;
    Ok(pool(move |_: &Root| {
        drop(locked(&writer).take());
        Ok(())
    }))
}

type Shared = Arc<Mutex<Option<Writer>>>;

fn writer(args: &Arguments<'_, '_>) -> Checked<Shared> {
    match args.native(1)? {
        Some(Native::Writer(writer)) => Ok(Arc::clone(writer)),
        _ => Err(NONSENSE.into()),
    }
}

fn locked(writer: &Shared) -> MutexGuard<'_, Option<Writer>> {
    writer.lock().unwrap_or_else(PoisonError::into_inner)
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
