//! What of Node-API needs `unsafe`: the way in for a call, reading a string in one step, numbers that a
//! script reads from memory, and keeping test runners from taking a part of napi's own runtime for an open
//! handle.
//!
//! For each environment napi makes a thread-safe function, to release references from other
//! threads. It is unreferenced and keeps nothing alive, but runners that watch `async_hooks` (Jest
//! with `--detectOpenHandles`) see an async resource and ask it `hasRef()`; one that cannot answer
//! counts as open. napi passes no resource, so this passes one that answers.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::slice;

use napi::bindgen_prelude::{
    Env, Error, FromNapiValue, Function, FunctionRef, JsObjectValue, JsValue, Result, ToNapiValue,
    Unknown,
};
use napi::sys::{
    napi_callback_info, napi_create_function, napi_create_object, napi_env, napi_finalize,
    napi_get_and_clear_last_exception, napi_get_boolean, napi_is_exception_pending,
    napi_set_named_property, napi_status, napi_threadsafe_function,
    napi_threadsafe_function_call_js, napi_value,
};
use napi::{JsError, Status};

/// How many arguments a call has at the most; what is passed beyond them is not looked at.
const MOST_ARGUMENTS: usize = 6;

/// A call from JavaScript.
pub struct Call<'c> {
    /// Where it comes from.
    pub env: &'c Env,
    /// How many arguments were passed.
    pub count: usize,
    /// What was not passed is `undefined`.
    arguments: [napi_value; MOST_ARGUMENTS],
}

impl Call<'_> {
    /// The argument at `index`.
    pub fn get<T: FromNapiValue>(&self, index: usize) -> Result<T> {
        let argument = self.arguments.get(index);
        let argument = argument.ok_or_else(|| Error::from_reason("there is no such argument"))?;
        // SAFETY: `env` is live, and this is a value of it.
        unsafe { T::from_napi_value(self.env.raw(), *argument) }
    }
}

/// What a function does when it is called; `None` is `undefined`.
type Body = dyn Fn(&Call<'_>) -> Result<Option<Unknown<'static>>>;

/// Makes functions that live as long as their environment. napi's own need a finalizer each, and put the
/// arguments of every call on the heap.
pub struct Functions {
    env: Env,
    /// Each stays where it is until it is taken out, when the environment ends: no script runs there any
    /// more then.
    bodies: Rc<RefCell<Vec<Rc<Box<Body>>>>>,
}

impl Functions {
    /// Those of `env`.
    pub fn of(env: &Env) -> Result<Self> {
        let bodies = Rc::<RefCell<Vec<_>>>::default();
        env.add_env_cleanup_hook(Rc::clone(&bodies), |bodies| drop(bodies.take()))?;
        let env = Env::from_raw(env.raw());
        Ok(Self { env, bodies })
    }

    /// A function that does `body`.
    pub fn add(&self, name: &str, body: Box<Body>) -> Result<Unknown<'static>> {
        let env = &self.env;
        let body = Rc::new(body);
        let (name, mut function) = (name.as_bytes(), ptr::null_mut());
        // SAFETY: `env` is live, and the name and the out-pointer outlive the call. `enter` gets what it
        // wants: the body is kept, and stays where it is.
        let status = unsafe {
            napi_create_function(
                env.raw(),
                name.as_ptr().cast(),
                name.len() as isize,
                Some(enter),
                Rc::as_ptr(&body).cast_mut().cast(),
                &mut function,
            )
        };
        self.bodies.borrow_mut().push(body);
        match status {
            // SAFETY: it is a value of `env`.
            napi::sys::Status::napi_ok => unsafe { Unknown::from_napi_value(env.raw(), function) },
            _ => Err(Error::from_status(Status::from(status))),
        }
    }
}

/// Where each of the functions is entered. A panic ends here.
///
/// # Safety
/// `env` is live, `info` is of a call from it, and the data of the function is a `Box<Body>`.
unsafe extern "C" fn enter(env: napi_env, info: napi_callback_info) -> napi_value {
    let mut arguments = [ptr::null_mut(); MOST_ARGUMENTS];
    let (mut count, mut body) = (MOST_ARGUMENTS, ptr::null_mut());
    // SAFETY: the out-pointers outlive the call, and there is room for `count` arguments; what was not
    // passed is filled with `undefined`.
    let status = unsafe {
        napi::sys::napi_get_cb_info(
            env,
            info,
            &mut count,
            arguments.as_mut_ptr(),
            ptr::null_mut(),
            &mut body,
        )
    };
    if status != napi::sys::Status::napi_ok {
        return ptr::null_mut();
    }
    // SAFETY: it is what `Functions` passed and keeps.
    let body = unsafe { &*body.cast::<Box<Body>>() };
    let env = Env::from_raw(env);
    let call = Call {
        env: &env,
        count,
        arguments,
    };
    let done = catch_unwind(AssertUnwindSafe(|| body(&call)));
    let error = match done {
        Ok(Ok(Some(value))) => return value.raw(),
        Ok(Ok(None)) => return ptr::null_mut(),
        Ok(Err(error)) => error,
        Err(_) => Error::from_reason("the operation panicked"),
    };
    // SAFETY: `env` is live.
    unsafe { JsError::from(error).throw_into(env.raw()) };
    ptr::null_mut()
}

/// The JavaScript value that `value` is.
pub fn value<T: ToNapiValue>(env: &Env, value: T) -> Result<Unknown<'static>> {
    // SAFETY: `env` is live, and what is made is a value of it.
    unsafe {
        let value = T::to_napi_value(env.raw(), value)?;
        Unknown::from_napi_value(env.raw(), value)
    }
}

/// What a call of Node-API threw, if it did: it is not thrown any more.
pub fn take_exception(env: &Env) -> Option<Unknown<'static>> {
    let mut exception = ptr::null_mut();
    // SAFETY: `env` is live, and the out-pointer outlives the call. Where nothing was thrown it says so, or
    // gives `undefined`.
    unsafe {
        let mut is_pending = false;
        check(napi_is_exception_pending(env.raw(), &raw mut is_pending)).ok()?;
        if !is_pending {
            return None;
        }
        check(napi_get_and_clear_last_exception(
            env.raw(),
            &raw mut exception,
        ))
        .ok()?;
        Unknown::from_napi_value(env.raw(), exception).ok()
    }
}

/// The JavaScript string that `bytes` are; what is not UTF-8 in them is U+FFFD.
pub fn string(env: &Env, bytes: &[u8]) -> Result<Unknown<'static>> {
    let mut string = ptr::null_mut();
    // SAFETY: `env` is live, and the bytes and the out-pointer outlive the call, which copies.
    check(unsafe {
        napi::sys::napi_create_string_utf8(
            env.raw(),
            bytes.as_ptr().cast(),
            bytes.len() as isize,
            &mut string,
        )
    })?;
    // SAFETY: it is a value of `env`.
    unsafe { Unknown::from_napi_value(env.raw(), string) }
}

/// The UTF-8 bytes of a JavaScript string, with room for one more behind them; `None` if it is none. A
/// string that is not very long takes one call: napi asks for the length first. For a longer one, `room`
/// gives a list with room for so many bytes, or for less: the string is cut then, between two characters.
pub fn string_bytes<E: From<Error>>(
    env: &Env,
    text: &Unknown<'_>,
    room: impl FnOnce(usize) -> std::result::Result<Vec<u8>, E>,
) -> std::result::Result<Option<Vec<u8>>, E> {
    // A NUL ends what is copied, and what is cut may be three bytes shorter, so that no character is: four
    // bytes less than the room may be all of it or not.
    const ROOM: usize = 512;
    const SURELY_WHOLE: usize = ROOM - 5;
    let mut short = [MaybeUninit::uninit(); ROOM];
    let copied = match copy_string(env, text, &mut short) {
        Err(error) if error.status == Status::StringExpected => return Ok(None),
        copied => copied?,
    };
    if copied.len() <= SURELY_WHOLE {
        let mut bytes = Vec::with_capacity(copied.len() + 1);
        bytes.extend_from_slice(copied);
        return Ok(Some(bytes));
    }
    let mut length = 0;
    // SAFETY: `env` is live and `text` a value of it; without room napi tells the length alone.
    check(unsafe {
        napi::sys::napi_get_value_string_utf8(
            env.raw(),
            text.raw(),
            ptr::null_mut(),
            0,
            &mut length,
        )
    })?;
    // With room for the NUL that napi writes.
    let mut bytes = room(length + 1)?;
    bytes.clear();
    let copied = copy_string(env, text, bytes.spare_capacity_mut())?.len();
    // SAFETY: so many were written.
    unsafe { bytes.set_len(copied) };
    Ok(Some(bytes))
}

/// Copies a string into `room`, as much of it as fits.
fn copy_string<'r>(
    env: &Env,
    text: &Unknown<'_>,
    room: &'r mut [MaybeUninit<u8>],
) -> Result<&'r [u8]> {
    let mut length = 0;
    // SAFETY: `env` is live and `text` a value of it; napi writes within the room.
    check(unsafe {
        napi::sys::napi_get_value_string_utf8(
            env.raw(),
            text.raw(),
            room.as_mut_ptr().cast(),
            room.len(),
            &mut length,
        )
    })?;
    // SAFETY: it has written this much.
    Ok(unsafe { slice::from_raw_parts(room.as_ptr().cast(), length) })
}

fn check(status: napi_status) -> Result<()> {
    match status {
        napi::sys::Status::napi_ok => Ok(()),
        _ => Err(Error::from_status(Status::from(status))),
    }
}

/// Numbers in memory that a function of a script reads.
pub struct SharedNumbers<const N: usize> {
    start: NonNull<[Cell<f64>; N]>,
    /// Keeps the memory: it is that function's.
    reader: FunctionRef<(), Unknown<'static>>,
}

impl<const N: usize> SharedNumbers<N> {
    /// Those that `reader` reads, a function with a property `shared`: a constant of it, and a
    /// `Float64Array` with a buffer of its own.
    pub fn of(env: &Env, reader: Function<'_, (), Unknown<'static>>) -> Result<Self> {
        let array: Unknown = reader.get_named_property_unchecked("shared")?;
        let (mut kind, mut length, mut start) = (0, 0, ptr::null_mut());
        // SAFETY: `env` is live, and the out-pointers outlive the call; the others may be null.
        let status = unsafe {
            napi::sys::napi_get_typedarray_info(
                env.raw(),
                array.raw(),
                &mut kind,
                &mut length,
                &mut start,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        match NonNull::new(start.cast()) {
            Some(start)
                if status == napi::sys::Status::napi_ok
                    && kind == napi::sys::TypedarrayType::float64_array
                    && length == N =>
            {
                let reader = reader.create_ref()?;
                Ok(Self { start, reader })
            }
            _ => Err(Error::from_reason("no Float64Array of this length")),
        }
    }

    /// Sets those from `first` on. On the thread of the environment alone: this is neither `Send` nor `Sync`.
    pub fn set(&self, first: usize, numbers: &[f64]) {
        // SAFETY: the memory has room for `N` numbers, is kept by the function, and does not move, since the
        // buffer is not on V8's heap. It is written through cells alone, and no script runs meanwhile.
        let cells = unsafe { self.start.as_ref() };
        for (cell, number) in cells.iter().skip(first).zip(numbers) {
            cell.set(*number);
        }
    }

    /// What is made of those that were set.
    pub fn read(&self, env: &Env) -> Result<Unknown<'static>> {
        self.reader.borrow_back(env)?.call(())
    }
}

/// napi_create_threadsafe_function(), as Node-API declares it.
type CreateThreadsafeFunction = unsafe extern "C" fn(
    napi_env,
    napi_value,
    napi_value,
    napi_value,
    usize,
    usize,
    *mut c_void,
    napi_finalize,
    *mut c_void,
    napi_threadsafe_function_call_js,
    *mut napi_threadsafe_function,
) -> napi_status;

/// Stands before Node's function of this name for the calls of this library alone: it is loaded
/// with local symbols.
///
/// # Safety
/// As for Node's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn napi_create_threadsafe_function(
    env: napi_env,
    function: napi_value,
    resource: napi_value,
    resource_name: napi_value,
    max_queue_size: usize,
    initial_thread_count: usize,
    finalize_data: *mut c_void,
    finalize: napi_finalize,
    context: *mut c_void,
    call_js: napi_threadsafe_function_call_js,
    result: *mut napi_threadsafe_function,
) -> napi_status {
    // SAFETY: the name is NUL-terminated; the program that loaded us has its functions in the
    // default scope, where this library, loaded with local symbols, is not.
    let real = unsafe { libc::dlsym(libc::RTLD_DEFAULT, NAME.as_ptr()) };
    if real.is_null() {
        return napi::sys::Status::napi_generic_failure;
    }
    // SAFETY: a symbol of this name has this signature wherever Node-API exists.
    let real = unsafe { std::mem::transmute::<*mut c_void, CreateThreadsafeFunction>(real) };
    let resource = match resource.is_null() {
        // SAFETY: `env` is the environment of the caller, on its own thread.
        true => unsafe { unreferenced_resource(env) },
        false => resource,
    };
    // SAFETY: the arguments are the caller's own, and `resource` is null or an object of `env`.
    unsafe {
        real(
            env,
            function,
            resource,
            resource_name,
            max_queue_size,
            initial_thread_count,
            finalize_data,
            finalize,
            context,
            call_js,
            result,
        )
    }
}

const NAME: &std::ffi::CStr = c"napi_create_threadsafe_function";

/// `{ hasRef: () => false }`, or null where it cannot be made: Node then makes an empty one.
///
/// # Safety
/// `env` is a live environment, and this is its thread.
unsafe fn unreferenced_resource(env: napi_env) -> napi_value {
    let (mut object, mut method) = (ptr::null_mut(), ptr::null_mut());
    let name = c"hasRef";
    // SAFETY: `env` is live; the out-pointers and the name outlive the calls.
    let made = unsafe {
        napi_create_object(env, &mut object) == 0
            && napi_create_function(
                env,
                name.as_ptr(),
                name.count_bytes() as isize,
                Some(has_ref),
                ptr::null_mut(),
                &mut method,
            ) == 0
            && napi_set_named_property(env, object, name.as_ptr(), method) == 0
    };
    if made { object } else { ptr::null_mut() }
}

unsafe extern "C" fn has_ref(env: napi_env, _info: napi_callback_info) -> napi_value {
    let mut no = ptr::null_mut();
    // SAFETY: Node calls this with a live environment, and the out-pointer outlives the call.
    unsafe { napi_get_boolean(env, false, &mut no) };
    no
}
