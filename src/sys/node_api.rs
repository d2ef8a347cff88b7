//! Keeps test runners from taking a part of napi's own runtime for an open handle.
//!
//! For each environment napi makes a thread-safe function, to release references from other
//! threads. It is unreferenced and keeps nothing alive, but runners that watch `async_hooks` (Jest
//! with `--detectOpenHandles`) see an async resource and ask it `hasRef()`; one that cannot answer
//! counts as open. napi passes no resource, so this passes one that answers.

use std::ffi::c_void;
use std::ptr;

use napi::sys::{
    napi_callback_info, napi_create_function, napi_create_object, napi_env, napi_finalize,
    napi_get_boolean, napi_set_named_property, napi_status, napi_threadsafe_function,
    napi_threadsafe_function_call_js, napi_value,
};

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
