//! The native calls that `class.js` makes the class of.

use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::*;

use super::args::{Args, MAX_SAFE_INTEGER};
use super::call::{Methods, Work, lasting, passing};
use super::make::Make;
use super::methods;
use super::reply::Reply;
use super::roots::Roots;
use super::task::WorkTask;
use super::threads::Threads;
use super::thrown::{Checked, Thrown};
use crate::ops::identity;
use crate::ops::tree::walk::{Limits, Tour};
use crate::resolve::Root;
use crate::sys::node_api::{Call, Functions};
use crate::watch::Watch;

/// The class `SandboxRoot` of `env`.
pub fn define(env: &Env, make: Rc<Make>) -> Result<Unknown<'static>> {
    let threads = Rc::new(Threads::default());
    env.add_env_cleanup_hook(Rc::clone(&threads), |threads| threads.end())?;
    let mut methods = Methods {
        functions: Functions::of(env)?,
        make: Rc::clone(&make),
        threads: Rc::clone(&threads),
        calls: Object::new(env)?,
        starters: Object::new(env)?,
    };
    methods::define(&mut methods)?;

    let mut natives = Object::new(env)?;
    natives.set_named_property("calls", methods.calls)?;
    natives.set_named_property("starters", methods.starters)?;
    let functions = methods.functions;

    let of = Rc::clone(&make);
    let open = lasting(&functions, "open", move |call| Roots::open(call, &of))?;
    natives.set_named_property("open", open)?;

    let of = Rc::clone(&make);
    let close = lasting(&functions, "close", move |call| {
        of.roots.close(call.get(0)?);
        Ok(())
    })?;
    natives.set_named_property("close", close)?;

    let of = Rc::clone(&make);
    let forget = lasting(&functions, "forget", move |call| {
        of.roots.forget(call.get(0)?);
        Ok(())
    })?;
    natives.set_named_property("forget", forget)?;

    let of = Rc::clone(&make);
    let closed = lasting(&functions, "closed", move |call| {
        Ok(of.roots.of(call)?.is_closed())
    })?;
    natives.set_named_property("closed", closed)?;

    let of = Rc::clone(&make);
    let identity = lasting(
        &functions,
        "identity",
        move |call| match identity::identity(&*of.roots.of(call)?) {
            Ok(identity) => Ok(of.identity(call.env, identity)?),
            Err(error) => Err(Thrown::Error(of.error(call.env, error)?)),
        },
    )?;
    natives.set_named_property("identity", identity)?;

    let of = Rc::clone(&make);
    let ending = Arc::clone(threads.ending());
    let tour = lasting(&functions, "tour", move |call| tour(call, &of, &ending))?;
    natives.set_named_property("tour", tour)?;

    let end = lasting(&functions, "end", move |_| {
        threads.end();
        Ok(())
    })?;
    natives.set_named_property("end", end)?;

    make.class(env, natives)
}

/// A tour through a tree: `{ step, close }`. A step is called with the root, whose descriptor is kept open
/// by nothing in between, and gives back the promise of a part.
fn tour(call: &Call<'_>, make: &Rc<Make>, ending: &Arc<AtomicBool>) -> Checked<Unknown<'static>> {
    let env = call.env;
    let root = make.roots.of(call)?;
    let args = Args::new(call, make, ending, root.policy());
    let path = args.path(0, "path")?;
    let options = args.options(1)?;
    let encoding = options.name_encoding()?;
    let limits = Limits {
        depth: options
            .number("maxDepth", MAX_SAFE_INTEGER)?
            .unwrap_or(u64::MAX),
        entries: options
            .number("maxEntries", MAX_SAFE_INTEGER)?
            .unwrap_or(u64::MAX),
    };
    let tour = Arc::new(Mutex::new(Some(Tour::new(path, limits))));
    let closed = Arc::clone(&tour);
    let watch = Arc::new(Watch::new(Arc::clone(ending)));
    let of = Rc::clone(make);
    let step = passing(env, "step", move |call| {
        let root = of.roots.numbered(call.get(0)?)?;
        let (tour, watch, encoding) = (Arc::clone(&tour), Arc::clone(&watch), encoding.clone());
        let work: Work = Box::new(move |root: &Root| {
            let mut tour = tour.lock().unwrap_or_else(PoisonError::into_inner);
            match tour.as_mut() {
                Some(tour) => Ok(Reply::Part(tour.next(root, &watch)?, encoding)),
                None => Ok(Reply::Nothing),
            }
        });
        Ok(WorkTask::start(root, work))
    })?;
    let close = passing(env, "close", move |_| {
        closed.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(())
    })?;
    Ok(make.tour(env, step, close)?)
}
