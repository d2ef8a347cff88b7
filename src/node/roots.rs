//! Native functions about roots, and the handles beside them.

use std::cell::{Cell, RefCell};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use rustix::process::{Resource, getrlimit};

use super::arguments::{Arguments, Checked, NONSENSE, Unchecked};
use super::job::{Job, Operation, operations, pool};
use super::{Native, OpenRoot, State, endings};
use crate::error::Call;
use crate::ops::identity;
use crate::ops::tree::cursor::{Cursor, Entered, Limits};
use crate::resolve::Root;
use crate::sys::node_api::{self, Env, Exception, Function, Value};
use crate::watch::Progress;

/// Those that have a promise.
pub const OPERATIONS: &[Operation] = operations! {
    "openRoot" => open_root,
    "hostPath" => host_path,
    "identity" => |_| Ok(pool(identity::identity)),
    "deleted" => |_| Ok(pool(identity::is_deleted)),
    "isAt" => is_at,
};

/// The others.
pub const FUNCTIONS: &[Function] = &[
    Function {
        name: "open",
        body: |call| with_state(call, open),
    },
    Function {
        name: "close",
        body: |call| with_state(call, close),
    },
    Function {
        name: "closed",
        body: |call| {
            let state = call.env.kept::<State>()?;
            let root = Arguments::new(call, &state).root()?;
            call.env.boolean(root.is_closed()).map(Some)
        },
    },
    Function {
        name: "descriptor",
        body: |call| {
            let state = call.env.kept::<State>()?;
            let root = Arguments::new(call, &state).root()?;
            // It stays open until the handle is closed or collected.
            let number = root.fd().map_or(-1, |fd| fd.as_raw_fd());
            call.env.number(f64::from(number)).map(Some)
        },
    },
    Function {
        name: "cursor",
        body: |call| with_state(call, cursor),
    },
    Function {
        name: "closeCursor",
        body: |call| with_state(call, close_cursor),
    },
    Function {
        name: "watch",
        body: |call| {
            let state = call.env.kept::<State>()?;
            let watch = Native::Watch(Arc::default());
            state.handles.add(call.env, watch).map(Some)
        },
    },
    Function {
        name: "stop",
        body: |call| {
            let state = call.env.kept::<State>()?;
            let watch = watch_of(call, &state)?;
            watch.stop();
            state.ending.threads.give_up(call.env, &watch);
            Ok(None)
        },
    },
    Function {
        name: "progress",
        body: |call| {
            let state = call.env.kept::<State>()?;
            let Progress { entries, bytes } = watch_of(call, &state)?.progress();
            let words = [entries, bytes].map(|number| (number as f64).to_bits());
            let array = call.get(1).ok_or(NONSENSE)?;
            call.env.fill(array, &words)?;
            Ok(None)
        },
    },
    // Ends all work of the scripts of this thread, that of other copies too. It refers to none of them.
    Function {
        name: "end",
        body: |_| {
            endings::stop_here();
            Ok(None)
        },
    },
];

/// What a root weighs for the engine, in bytes: as many as the process may have descriptors weigh a GiB together.
/// Roots are small, so that thousands of unused ones would wait for a collection, each with its descriptor. V8
/// begins a collection when 64 MiB were added since the last one, which is a sixteenth of the descriptors.
pub fn weight() -> i64 {
    let most = getrlimit(Resource::Nofile).current;
    let most = most.map_or(i64::MAX, |most| most.clamp(1, 1 << 30) as i64);
    (1 << 30) / most
}

impl Native {
    /// A root.
    pub fn root(env: Env<'_>, state: &State, root: Root) -> Self {
        Self::Root(OpenRoot {
            root: RefCell::new(Arc::new(root)),
            weight: Cell::new(Some(state.weights.add(env, state.weight_of_descriptor))),
        })
    }
}

fn open_root(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let (path, policy) = (args.path(1)?, args.policy(2)?);
    Ok(pool(move |root: &Root| {
        Call::on("open", &path).run(|| root.open_beneath(&path, policy))
    }))
}

/// A root, for its descriptor.
fn host_path(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let path = args.path(1)?;
    Ok(pool(move |root: &Root| {
        Call::on("open", &path).run(|| root.host_path(&path))
    }))
}

fn is_at(args: &Arguments<'_, '_>) -> Checked<impl Job + use<>> {
    let host_path = args.path(1)?;
    Ok(pool(move |root: &Root| identity::is_at(root, &host_path)))
}

/// What [`FUNCTIONS`] that can fail return: a handle, or nothing.
type Answer = Checked<Option<Native>>;

/// Does `body`, and returns what [`super::job::call`] returns.
fn with_state<'s>(
    call: &node_api::Call<'s>,
    body: impl FnOnce(&Arguments<'_, 's>) -> Answer,
) -> Result<Option<Value<'s>>, Exception> {
    let state = call.env.kept::<State>()?;
    match body(&Arguments::new(call, &state)) {
        Ok(None) => Ok(None),
        Ok(Some(native)) => state.handles.add(call.env, native).map(Some),
        Err(unread) => unread.answer(call, &state),
    }
}

/// Opens a directory of the host as a root.
fn open(args: &Arguments<'_, '_>) -> Answer {
    let (path, policy) = (args.path(0)?, args.policy(1)?);
    let root = Call::on("open", &path).run(|| Root::open(&path, policy));
    let root = root.map_err(|error| Unchecked::Failed(Box::new(error)))?;
    Ok(Some(args.new_root(root)))
}

/// Releases the descriptor of a root; a call that is running keeps it until its end. Every call afterwards fails
/// with `EBADF`.
fn close(args: &Arguments<'_, '_>) -> Answer {
    match args.native(0)? {
        Some(Native::Root(open)) => {
            let closed = Arc::new(open.root.borrow().closed());
            drop(open.root.replace(closed));
            drop(open.weight.take());
            Ok(None)
        }
        _ => Err(NONSENSE.into()),
    }
}

/// A cursor at the start of a directory.
fn cursor(args: &Arguments<'_, '_>) -> Answer {
    let path = args.path(0)?;
    let limits = Limits {
        depth: args.number(1)?,
        entries: args.number(2)?,
    };
    let entered = match args.flag(3)? {
        true => Entered::Asked,
        false => Entered::All,
    };
    Ok(Some(args.new_cursor(Cursor::new(path, limits, entered))))
}

fn close_cursor(args: &Arguments<'_, '_>) -> Answer {
    match args.native(0)? {
        Some(Native::Cursor(cursor)) => {
            cursor.give_up();
            Ok(None)
        }
        _ => Err(NONSENSE.into()),
    }
}

fn watch_of<'s>(
    call: &node_api::Call<'s>,
    state: &State,
) -> Result<Arc<crate::watch::Watch>, Exception> {
    match Arguments::new(call, state).native(0)? {
        Some(Native::Watch(watch)) => Ok(Arc::clone(watch)),
        _ => Err(NONSENSE),
    }
}
