//! The native calls that `class.js` makes the class of.

use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::*;

use super::args::{self, Args, MAX_SAFE_INTEGER};
use super::call::{Methods, lasting, passing};
use super::checks::Refusal;
use super::make::Make;
use super::methods;
use super::reply::Reply;
use super::task::{Work, WorkTask};
use super::threads::Threads;
use super::thrown::{Answer, Checked};
use crate::error;
use crate::ops::identity;
use crate::ops::tree::walk::{Limits, Tour};
use crate::policy::Policy;
use crate::resolve::Root;
use crate::sys::node_api::{Call, Functions, value};
use crate::watch::Watch;

/// The class `SandboxRoot` of `env`; `script` is what `make.js` makes.
pub fn define(env: &Env, script: &Object, make: Rc<Make>) -> Result<Unknown<'static>> {
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

    let mut natives = Natives {
        functions: methods.functions,
        make: methods.make,
        object: Object::new(env)?,
    };
    natives.object.set_named_property("calls", methods.calls)?;
    natives
        .object
        .set_named_property("starters", methods.starters)?;

    let of = Rc::clone(&make);
    natives.add("open", move |call| {
        let number = of.roots.add(open(call, &of)?);
        Ok(Answer::Value(value(call.env, number)?))
    })?;

    let of = Rc::clone(&make);
    natives.add("close", move |call| {
        of.root(call)?;
        of.roots.close(call.get(0)?);
        Ok(Answer::Nothing)
    })?;

    let of = Rc::clone(&make);
    natives.add("forget", move |call| {
        of.roots.forget(call.get(0)?);
        Ok(Answer::Nothing)
    })?;

    let of = Rc::clone(&make);
    natives.add("closed", move |call| {
        let is_closed = of.root(call)?.is_closed();
        Ok(Answer::Value(value(call.env, is_closed)?))
    })?;

    let of = Rc::clone(&make);
    natives.add("identity", move |call| {
        let identity = identity::identity(&*of.root(call)?)?;
        Ok(Answer::Value(of.identity(call.env, identity)?))
    })?;

    let of = Rc::clone(&make);
    let ending = Arc::clone(threads.ending());
    natives.add("tour", move |call| tour(call, &of, &ending))?;

    natives.add("end", move |_| {
        threads.end();
        Ok(Answer::Nothing)
    })?;

    make.class(env, script, &natives.object)
}

/// The native calls, while they are made.
struct Natives<'e> {
    functions: Functions,
    make: Rc<Make>,
    object: Object<'e>,
}

impl Natives<'_> {
    fn add(
        &mut self,
        name: &str,
        body: impl Fn(&Call<'_>) -> Checked<Answer> + 'static,
    ) -> Result<()> {
        let function = lasting(&self.functions, &self.make, name, body)?;
        self.object.set_named_property(name, function)
    }
}

/// Opens the directory at the path behind the number of a root, which there is none of yet.
fn open(call: &Call<'_>, make: &Make) -> Checked<Root> {
    let refusal = Refusal {
        env: call.env,
        make,
    };
    let path = args::path(&refusal, "root", call.get(1)?)?;
    let policy = args::policy(&refusal, call.get(2)?, Policy::default())?;
    Ok(error::Call::on("open", &path).run(|| Root::open(&path, policy))?)
}

/// A tour through a tree: `{ step, close }`. A step is called with the root, whose descriptor is kept open
/// by nothing in between, and gives back the promise of a part.
fn tour(call: &Call<'_>, make: &Rc<Make>, ending: &Arc<AtomicBool>) -> Checked<Answer> {
    let env = call.env;
    let root = make.root(call)?;
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
    let step = passing(env, make, "step", move |call| {
        let root = of.roots.numbered(call.get(0)?)?;
        let (tour, watch, encoding) = (Arc::clone(&tour), Arc::clone(&watch), encoding.clone());
        let work: Work = Box::new(move |root: &Root| {
            let mut tour = tour.lock().unwrap_or_else(PoisonError::into_inner);
            match tour.as_mut() {
                Some(tour) => Ok(Reply::Part(Box::new(tour.next(root, &watch)?), encoding)),
                None => Ok(Reply::Nothing),
            }
        });
        Ok(WorkTask::start(call.env, root, work)?)
    })?;
    let close = passing(env, make, "close", move |call| {
        closed.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(value(call.env, ())?)
    })?;
    Ok(Answer::Value(make.tour(env, step, close)?))
}
