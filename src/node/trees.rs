//! Native functions on whole trees. Those that may take long have a thread of their own.

use std::sync::{Arc, PoisonError};

use super::Native;
use super::arguments::{Arguments, Checked, NONSENSE};
use super::contents::REFLINKS;
use super::job::{Execution, Job, Operation, operations, pool, run};
use super::output::Output;
use crate::ops::Existing;
use crate::ops::tree::copy::{CopyTreeOptions, copy_tree};
use crate::ops::tree::copy_entry::Keep;
use crate::ops::tree::list::{self, ListOptions};
use crate::ops::tree::move_tree::{self, MoveOptions};
use crate::ops::tree::only::Only;
use crate::ops::tree::remove;
use crate::resolve::{self, Root};
use crate::watch::Watch;

/// These functions.
pub const OPERATIONS: &[Operation] = operations! {
    "readdir" => readdir,
    "nextBatch" => next_batch,
    "rm" => rm,
    "cp" => cp,
    "move" => move_tree,
};

/// Where work is done that goes through a tree if it `is_recursive`.
fn execution(is_recursive: bool, watch: &Arc<Watch>) -> Execution {
    match is_recursive {
        true => Execution::Thread(Arc::clone(watch)),
        false => Execution::Pool,
    }
}

fn readdir(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (path, form) = (args.path(1)?, args.form(2)?);
    let options = ListOptions {
        recursive: args.flag(3)?,
        typed: args.flag(4)?,
    };
    let watch = args.watch(5)?;
    Ok(run(
        execution(options.recursive, &watch),
        move |root: &Root, _| {
            let names = list::read_directory(root, &path, options, &watch)?;
            Ok((names, form))
        },
    ))
}

/// The next batch of a cursor, which `cursor` of `roots` makes; nothing, once it is closed.
fn next_batch(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let Some(Native::Cursor(cursor)) = args.native(1)? else {
        return Err(NONSENSE.into());
    };
    let (cursor, form, kept) = (cursor.shared(), args.form(2)?, args.bytes(3)?);
    Ok(pool(move |root: &Root| {
        let mut cursor = cursor.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match cursor.as_mut() {
            Some(cursor) => Output::Batch(cursor.next(root, &kept, &Watch::default())?, form),
            None => Output::Nothing,
        })
    }))
}

fn rm(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (path, recursive, force) = (args.path(1)?, args.flag(2)?, args.flag(3)?);
    let watch = args.watch(4)?;
    Ok(run(execution(recursive, &watch), move |root: &Root, _| {
        remove::remove(root, &path, recursive, force, &watch)
    }))
}

fn cp(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (src, dest, to) = (args.path(1)?, args.path(2)?, args.root_at(3)?);
    let existing = [Some(Existing::Replace), Some(Existing::Refuse), None];
    let options = CopyTreeOptions {
        recursive: args.flag(4)?,
        existing: args.one_of(5, &existing)?,
        reflink: args.one_of(6, &REFLINKS)?,
        keep: keep(args.number(7)?),
        report_vanished: args.flag(8)?,
        only: None,
        atomic: args.flag(10)?,
    };
    let ways = args.bytes_if_any(9)?;
    let watch = args.watch(11)?;
    // One file may be long, too.
    let execution = match options.recursive {
        true => Execution::Thread(Arc::clone(&watch)),
        false => Execution::PoolFirst(Arc::clone(&watch)),
    };
    Ok(run(execution, move |root: &Root, most| {
        let (from, to) = resolve::Place::pair(root, &src, to.as_deref(), &dest);
        // There may be very many: they are taken apart here.
        let only = ways.as_deref().map(|ways| Arc::new(only(ways)));
        let options = CopyTreeOptions { only, ..options };
        copy_tree(from, to, &options, most, &watch)
    }))
}

/// The ways from the top of a tree, each with a NUL behind it.
fn only(ways: &[u8]) -> Only {
    let ways = ways
        .strip_suffix(b"\0")
        .map(|ways| ways.split(|&byte| byte == 0));
    ways.into_iter().flatten().map(<[u8]>::to_vec).collect()
}

/// What a copy keeps, by the bits that `lib/methods.js` has for it.
fn keep(bits: u32) -> Keep {
    let has = |bit: u32| bits & (1 << bit) != 0;
    Keep {
        owner: has(0),
        times: has(1),
        mode: has(2),
        acl: has(3),
        xattr: has(4),
    }
}

/// Most moves are a rename, which is short.
fn move_tree(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (src, dest, to) = (args.path(1)?, args.path(2)?, args.root_at(3)?);
    let options = MoveOptions {
        overwrite: args.flag(4)?,
        flush: args.flag(5)?,
    };
    let watch = args.watch(6)?;
    let execution = Execution::PoolFirst(Arc::clone(&watch));
    Ok(run(execution, move |root: &Root, most| {
        let (from, to) = resolve::Place::pair(root, &src, to.as_deref(), &dest);
        move_tree::move_tree(from, to, options, most, &watch)
    }))
}
