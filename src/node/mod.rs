//! The binding: the native functions that the scripts in `lib/` call. They take primitives that the scripts have
//! checked, and are memory-safe with anything else: whoever passes nonsense gets a `TypeError`.
//!
//! - [`job`]: what a function does, at once or behind a promise;
//! - [`arguments`]: from the values of a call to the types of the operations;
//! - [`output`]: from what an operation returns to a value, or to the parts of an error;
//! - [`threads`]: the threads of long work;
//! - [`endings`]: how work ends with its environment, and with the process;
//! - [`kept`]: what handles own that has files open;
//! - [`lent`]: the descriptors of streams;
//! - [`writers`]: the files that are being written in parts;
//! - the others: the functions, by subject.

mod arguments;
mod contents;
mod endings;
mod entries;
mod job;
mod kept;
mod lent;
mod metadata;
mod output;
mod roots;
mod threads;
mod trees;
mod writers;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use crate::ops::content::Writer;
use crate::ops::tree::cursor::Cursor;
use crate::resolve::Root;
use crate::sys::node_api::{Env, Handles, Result, Value, Weight, Weights};
use crate::watch::Watch;
use endings::Ending;
use kept::Kept;

/// What an environment has of this library.
pub struct State {
    handles: Handles<Native>,
    ending: Arc<Ending>,
    weights: Rc<Weights>,
    /// That of one descriptor.
    weight_of_descriptor: i64,
    /// The parts of the error of the last call that failed: see [`output::parts`].
    failure: RefCell<Vec<u8>>,
}

/// What a handle of a script stands for.
enum Native {
    /// A root.
    Root(OpenRoot),
    /// The progress of long work, and a way to stop it.
    Watch(Arc<Watch>),
    /// A file that is written in parts; `None` once it is finished or given up.
    Writer(Kept<Writer>),
    /// A walk through a tree; `None` once it is closed.
    Cursor(Kept<Cursor>),
}

/// A root, until it is closed. A call that is running keeps it open until its end.
struct OpenRoot {
    root: RefCell<Arc<Root>>,
    weight: Cell<Option<Weight>>,
}

/// Fills the exports: `calls` do their work at once, `starts` return a promise of it, or the answer if it can be
/// given without waiting; the rest is beside them.
pub fn fill(env: Env<'_>, exports: Value<'_>) -> Result<()> {
    let state = Rc::new(State {
        handles: Handles::default(),
        ending: Ending::new(),
        weights: Rc::default(),
        weight_of_descriptor: roots::weight(),
        failure: RefCell::default(),
    });
    env.keep(Rc::clone(&state))?;
    env.at_end(&state, |state| state.ending.end())?;
    let operations = || {
        [
            roots::OPERATIONS,
            entries::OPERATIONS,
            metadata::OPERATIONS,
            contents::OPERATIONS,
            trees::OPERATIONS,
        ]
        .into_iter()
        .flatten()
    };
    let calls = env.functions(operations().map(|operation| &operation.call))?;
    let starts = env.functions(operations().map(|operation| &operation.start))?;
    env.define(exports, "calls", calls)?;
    env.define(exports, "starts", starts)?;
    for function in roots::FUNCTIONS.iter().chain(job::FUNCTIONS) {
        env.define(exports, function.name, env.function(function)?)?;
    }
    Ok(())
}
