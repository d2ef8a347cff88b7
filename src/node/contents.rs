//! Native functions about what is in a file.

use std::sync::Arc;

use rustix::io::Errno;

use super::arguments::{Arguments, Checked, NONSENSE};
use super::job::{Execution, Job, Operation, SHORT, answer, if_short, operations, pool, run};
use super::output::{As, Output};
use super::writers::{Shared, locked};
use super::{Native, State};
use crate::error::{self, Error, Reason};
use crate::memory::with_room;
use crate::ops::content::{self, ReadOptions, Reading, WriteOptions, Writer};
use crate::ops::copy::{self, CopyOptions, Reflink};
use crate::path::UserPath;
use crate::resolve::{self, Root};
use crate::sys::node_api::{COPIED, Call, Result, Value};
use crate::watch::Watch;

/// These functions.
pub const OPERATIONS: &[Operation] = operations! {
    "open" => open,
    "openLent" => open_lent,
    "closeLent" => close_lent,
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

/// The same, for a script that has the number, and gives it back to be closed.
fn open_lent(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (path, flags, mode) = (args.path(1)?, args.open_flags(2)?, args.mode(3)?);
    let ending = args.ending();
    Ok(pool(move |root: &Root| {
        let fd = content::open(root, &path, flags, mode)?;
        Ok(Output::Lent(fd, ending))
    }))
}

fn close_lent(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let number: u32 = args.number(1)?;
    let ending = args.ending();
    Ok(pool(move |_: &Root| {
        let fd = i32::try_from(number).ok();
        match fd.and_then(|number| ending.lent.take(number)) {
            Some(fd) => {
                drop(fd);
                Ok(())
            }
            None => Err(Error::of_descriptor(Errno::BADF, "close")),
        }
    }))
}

fn read_file(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    Ok(ReadFile {
        path: args.path(1)?,
        most: args.number(2)?,
        form: args.form(3)?,
        watch: args.watch(4)?,
    })
}

struct ReadFile {
    path: UserPath,
    most: u64,
    form: As,
    watch: Arc<Watch>,
}

impl ReadFile {
    fn open(&self, root: &Root, short: u64) -> error::Result<Reading<'_>> {
        let most = self.most;
        Reading::open(root, &self.path, ReadOptions { most, short })
    }

    fn all(&self, root: &Root, short: u64) -> error::Result<Output> {
        Ok((self.open(root, short)?.all(&self.watch)?, self.form).into())
    }
}

impl Job for ReadFile {
    fn run(self, root: &Root) -> error::Result<Output> {
        self.all(root, u64::MAX)
    }

    fn execution(&self) -> Execution {
        Execution::PoolFirst(Arc::clone(&self.watch))
    }

    fn run_if_short(&self, root: &Root) -> Option<error::Result<Output>> {
        if_short(self.all(root, SHORT))
    }

    /// A long Buffer is read into memory of the engine: to copy it would take as long as to read it.
    fn run_at_once<'s>(
        self,
        root: &Root,
        call: &Call<'s>,
        state: &State,
    ) -> Result<Option<Value<'s>>> {
        let reading = match self.open(root, u64::MAX) {
            Ok(reading) => reading,
            Err(error) => return answer(call, state, Err(error)),
        };
        let size = usize::try_from(reading.size()).unwrap_or(usize::MAX);
        if self.form == As::String || size <= COPIED || reading.size() > self.most {
            let all = reading.all(&self.watch);
            return answer(call, state, all.map(|all| (all, self.form).into()));
        }
        // Some engines end the process where there is no memory.
        if with_room::<u8>(size).is_err() {
            return answer(call, state, Err(reading.no_memory()));
        }
        let fill = |room: &mut [_]| reading.fill(room, &self.watch);
        match call.env.filled_buffer(size, fill)? {
            Ok(buffer) => Ok(Some(buffer)),
            Err(error) => answer(call, state, Err(error)),
        }
    }
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
    // To wait for the lock of the directory may take long, too.
    let execution = match data.len() as u64 > SHORT || options.version.is_some() {
        true => Execution::Thread(Arc::clone(&watch)),
        false => Execution::Pool,
    };
    Ok(run(execution, move |root: &Root, _| {
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
    let ending = args.ending();
    let era = ending.writers.era();
    Ok(pool(move |root: &Root| {
        let place = resolve::Place { root, path: &path };
        let writer = ending.writers.add(Writer::open(place, options)?, era);
        let writer = writer.ok_or_else(|| Error::of_descriptor(Errno::CANCELED, "open"))?;
        Ok(Output::Writer(writer))
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
    let (writer, watch) = (ended(args)?, args.watch(2)?);
    Ok(run(
        Execution::PoolFirst(watch),
        move |root: &Root, most| {
            let mut writer = locked(&writer);
            // To wait for the disk, or for the lock of the directory, may take long.
            if most < u64::MAX && writer.as_ref().is_some_and(Writer::waits) {
                return Err(Error {
                    reason: Some(Reason::TakesLong),
                    ..Error::of_descriptor(Errno::FBIG, "fsync")
                });
            }
            match writer.take() {
                Some(writer) => writer.finish(root),
                None => Err(Error::of_descriptor(Errno::BADF, "write")),
            }
        },
    ))
}

fn abort_writer(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let writer = ended(args)?;
    Ok(pool(move |_: &Root| {
        drop(locked(&writer).take());
        Ok(())
    }))
}

fn writer(args: &Arguments<'_, '_>) -> Checked<Shared> {
    match args.native(1)? {
        Some(Native::Writer(writer)) => Ok(writer.shared()),
        _ => Err(NONSENSE.into()),
    }
}

/// One that holds its descriptors no longer.
fn ended(args: &Arguments<'_, '_>) -> Checked<Shared> {
    if let Some(Native::Writer(writer)) = args.native(1)? {
        writer.weighs_nothing();
    }
    writer(args)
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
    let execution = Execution::PoolFirst(Arc::clone(&watch));
    Ok(run(execution, move |root: &Root, most| {
        let (from, to) = resolve::Place::pair(root, &src, to.as_deref(), &dest);
        let options = CopyOptions { most, ..options };
        copy::copy_file(from, to, options, &watch)
    }))
}
