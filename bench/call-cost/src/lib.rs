//! One race-safe `stat`, exported in several ways, so that the ways can be compared in one run.
//!
//! Every export does the same work: `cocalc_openat2::ops::metadata::stat`. They differ in how the
//! receiver is found, how the path is read and how the result is handed back. `run.js` times them.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr;

use cocalc_openat2::{ops::metadata, path::UserPath, policy::Policy, resolve::Root};
use napi::bindgen_prelude::TypeTag;
use napi::bindgen_prelude::*;
use napi::{Property, PropertyAttributes, sys};
use napi_derive::napi;
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Stat};

#[napi]
pub struct Sandbox {
    root: Root,
}

#[napi(object)]
pub struct Stats {
    pub dev: f64,
    pub ino: f64,
    pub mode: f64,
    pub nlink: f64,
    pub uid: f64,
    pub gid: f64,
    pub rdev: f64,
    pub size: f64,
    pub blksize: f64,
    pub blocks: f64,
    pub atime_ns: f64,
    pub mtime_ns: f64,
    pub ctime_ns: f64,
}

const NAMES: &str = "dev,ino,mode,nlink,uid,gid,rdev,size,blksize,blocks,atimeNs,mtimeNs,ctimeNs";

fn fields(s: &Stat) -> [f64; 13] {
    let ns = |sec: i64, nsec: u64| sec as f64 * 1e9 + nsec as f64;
    [
        s.st_dev as f64,
        s.st_ino as f64,
        s.st_mode as f64,
        s.st_nlink as f64,
        s.st_uid as f64,
        s.st_gid as f64,
        s.st_rdev as f64,
        s.st_size as f64,
        s.st_blksize as f64,
        s.st_blocks as f64,
        ns(s.st_atime, s.st_atime_nsec),
        ns(s.st_mtime, s.st_mtime_nsec),
        ns(s.st_ctime, s.st_ctime_nsec),
    ]
}

fn stat(root: &Root, path: Vec<u8>) -> Result<Stat> {
    let path = UserPath::new(path).map_err(|_| Error::from_reason("NUL"))?;
    metadata::stat(root, &path).map_err(|error| Error::from_reason(error.to_string()))
}

#[napi]
impl Sandbox {
    #[napi(constructor)]
    pub fn new(root: String) -> Result<Self> {
        let path = UserPath::new(root.into_bytes()).map_err(|_| Error::from_reason("NUL"))?;
        let root = Root::open(&path, Policy::default())
            .map_err(|f| Error::from_reason(f.errno.to_string()))?;
        Ok(Self { root })
    }

    /// `#[napi] &self`, no result.
    #[napi]
    pub fn napi_self(&self, path: String) -> Result<()> {
        stat(&self.root, path.into_bytes()).map(|_| ())
    }

    /// `#[napi] &self`, a `#[napi(object)]`.
    #[napi]
    pub fn napi_self_object(&self, path: String) -> Result<Stats> {
        let [
            dev,
            ino,
            mode,
            nlink,
            uid,
            gid,
            rdev,
            size,
            blksize,
            blocks,
            atime_ns,
            mtime_ns,
            ctime_ns,
        ] = fields(&stat(&self.root, path.into_bytes())?);
        Ok(Stats {
            dev,
            ino,
            mode,
            nlink,
            uid,
            gid,
            rdev,
            size,
            blksize,
            blocks,
            atime_ns,
            mtime_ns,
            ctime_ns,
        })
    }
}

/// The floor: the system calls of `rounds` calls in a tight loop. `path` is `parent/leaf`.
#[napi]
pub fn floor(root: String, parent: String, leaf: String, rounds: u32) -> Result<()> {
    let fail = |e: rustix::io::Errno| Error::from_reason(e.to_string());
    let root =
        rustix::fs::open(root, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).map_err(fail)?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    for _ in 0..rounds {
        let dir = rustix::fs::openat2(&root, parent.as_str(), flags, Mode::empty(), resolve)
            .map_err(fail)?;
        let found =
            rustix::fs::statat(&dir, leaf.as_str(), AtFlags::SYMLINK_NOFOLLOW).map_err(fail)?;
        std::hint::black_box(found);
    }
    Ok(())
}

/// The core without Node: `rounds` calls of the operation.
#[napi]
pub fn core(root: String, path: String, rounds: u32) -> Result<()> {
    let root = UserPath::new(root.into_bytes()).map_err(|_| Error::from_reason("NUL"))?;
    let root = Root::open(&root, Policy::default())
        .map_err(|f| Error::from_reason(f.errno.to_string()))?;
    for _ in 0..rounds {
        std::hint::black_box(stat(&root, path.clone().into_bytes())?);
    }
    Ok(())
}

/// What a closure does with its receiver and its path: all of it safe code.
fn stat_of(ctx: &FunctionCallContext) -> Result<Stat> {
    let this = ctx.this::<ClassInstance<Sandbox>>()?;
    stat(&this.root, ctx.get::<String>(0)?.into_bytes())
}

/// A raw callback: arguments in an array, the path read into a buffer on the stack.
unsafe fn raw_stat(env: sys::napi_env, info: sys::napi_callback_info, tag: bool) -> Option<Stat> {
    let mut argc = 1;
    let mut args = [ptr::null_mut(); 1];
    let (mut this, mut wrapped) = (ptr::null_mut(), ptr::null_mut::<c_void>());
    let mut text = [0u8; 4096];
    let mut length = 0;
    unsafe {
        sys::napi_get_cb_info(
            env,
            info,
            &mut argc,
            args.as_mut_ptr(),
            &mut this,
            ptr::null_mut(),
        );
        if sys::napi_unwrap(env, this, &mut wrapped) != 0 {
            return None;
        }
        if tag {
            let mut matches = false;
            sys::napi_check_object_type_tag(
                env,
                this,
                &<Sandbox as TypeTag>::type_tag(),
                &mut matches,
            );
            if !matches {
                return None;
            }
        }
        sys::napi_get_value_string_utf8(env, args[0], text.as_mut_ptr().cast(), 4096, &mut length);
        let sandbox = &*wrapped.cast::<Sandbox>();
        stat(&sandbox.root, text[..length].to_vec()).ok()
    }
}

unsafe extern "C" fn raw(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    unsafe { raw_stat(env, info, false) };
    ptr::null_mut()
}

unsafe extern "C" fn raw_tagged(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    unsafe { raw_stat(env, info, true) };
    ptr::null_mut()
}

unsafe extern "C" fn raw_nothing(
    _env: sys::napi_env,
    _info: sys::napi_callback_info,
) -> sys::napi_value {
    ptr::null_mut()
}

thread_local! {
    /// Roots by number, and the memory that a script reads numbers from.
    static ROOTS: RefCell<Vec<Root>> = const { RefCell::new(Vec::new()) };
    static SHARED: Cell<*mut [f64; 13]> = const { Cell::new(ptr::null_mut()) };
}

/// Takes the memory in which `numbered` leaves what it found: thirteen numbers that stay where they are.
#[napi]
pub fn share(mut fields: Float64Array) {
    SHARED.set(unsafe { fields.as_mut() }.as_mut_ptr().cast());
    std::mem::forget(fields);
}

/// Opens a root: its number.
#[napi]
pub fn open_root(root: String) -> Result<u32> {
    let root = Sandbox::new(root)?.root;
    ROOTS.with_borrow_mut(|roots| {
        roots.push(root);
        Ok(roots.len() as u32 - 1)
    })
}

/// A raw callback of the number of a root and a path.
unsafe extern "C" fn numbered(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    let mut argc = 2;
    let mut args = [ptr::null_mut(); 2];
    let mut text = [0u8; 4096];
    let (mut number, mut length) = (0, 0);
    unsafe {
        sys::napi_get_cb_info(
            env,
            info,
            &mut argc,
            args.as_mut_ptr(),
            ptr::null_mut(),
            ptr::null_mut(),
        );
        sys::napi_get_value_uint32(env, args[0], &mut number);
        sys::napi_get_value_string_utf8(env, args[1], text.as_mut_ptr().cast(), 4096, &mut length);
    }
    let found = ROOTS.with_borrow(|roots| stat(&roots[number as usize], text[..length].to_vec()));
    if let Ok(found) = found {
        unsafe { SHARED.get().write(fields(&found)) };
    }
    ptr::null_mut()
}

type Make<'a> = Function<
    'a,
    FnArgs<(
        f64,
        f64,
        f64,
        f64,
        f64,
        f64,
        f64,
        f64,
        f64,
        f64,
        f64,
        f64,
        f64,
    )>,
    Unknown<'a>,
>;

#[napi(module_exports)]
pub fn exports(exports: Object, env: Env) -> Result<()> {
    let class: Object = exports.get_named_property_unchecked("Sandbox")?;
    let mut prototype: Object = class.get_named_property_unchecked("prototype")?;

    let closure =
        env.create_function_from_closure::<(), _, _>("closure", |ctx| stat_of(&ctx).map(|_| ()))?;
    prototype.set_named_property("closure", closure)?;

    let nothing = env.create_function_from_closure::<(), _, _>("closureNothing", |_| Ok(()))?;
    prototype.set_named_property("closureNothing", nothing)?;

    let object = env.create_function_from_closure::<(), _, _>("closureObject", |ctx| {
        let stat = stat_of(&ctx)?;
        let mut object = Object::new(ctx.env)?;
        for (name, value) in NAMES.split(',').zip(fields(&stat)) {
            object.set_named_property(name, value)?;
        }
        Ok(object)
    })?;
    prototype.set_named_property("closureObject", object)?;

    let make: Make = env.run_script(format!("(({NAMES}) => ({{{NAMES}}}))"))?;
    let make = make.create_ref()?;
    let made = env.create_function_from_closure::<(), _, _>("closureMade", move |ctx| {
        let f = fields(&stat_of(&ctx)?);
        let made = make.borrow_back(ctx.env)?.call(FnArgs::from((
            f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8], f[9], f[10], f[11], f[12],
        )))?;
        Ok(made)
    })?;
    prototype.set_named_property("closureMade", made)?;

    let attributes = PropertyAttributes::Writable | PropertyAttributes::Configurable;
    let method = |name: &str, callback| {
        Property::new()
            .with_utf8_name(name)
            .map(|p| p.with_method(callback).with_property_attributes(attributes))
    };
    prototype.define_properties(&[
        method("raw", raw)?,
        method("rawTagged", raw_tagged)?,
        method("rawNothing", raw_nothing)?,
        method("numbered", numbered)?,
    ])
}
