//! Node-API, as far as the binding needs it, in safe types. Nothing here knows what the package does.
//!
//! No function here calls a function of a script. Hooks that a script has set (`async_hooks`) may run while a promise
//! is made or settled: nothing is borrowed then. Nothing that the engine finalizes after an environment has ended
//! refers to anything of that environment: functions are `static`, and a handle owns what it refers to.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::ffi::{c_char, c_void};
use std::hash::{BuildHasherDefault, Hasher};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;
use std::slice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};

use napi_sys::{
    Status, napi_async_work, napi_callback_info, napi_deferred, napi_env, napi_status,
    napi_threadsafe_function, napi_value,
};

/// The environment of a call: an instance of Node, in the main thread or in a worker. `'s` is the scope in which
/// its values live.
#[derive(Clone, Copy)]
pub struct Env<'s> {
    raw: napi_env,
    scope: PhantomData<&'s ()>,
}

/// A value of a script.
#[derive(Clone, Copy)]
pub struct Value<'s> {
    raw: napi_value,
    scope: PhantomData<&'s ()>,
}

/// Why a call cannot go on, unless the engine has an exception of its own.
#[derive(Debug)]
pub enum Exception {
    /// A `TypeError`: the caller has passed nonsense.
    Type(&'static str),
    /// An `Error`.
    Failed(&'static str),
}

/// The result of a call of Node-API.
pub type Result<T> = std::result::Result<T, Exception>;

fn check(status: napi_status) -> Result<()> {
    match status {
        Status::napi_ok => Ok(()),
        _ => Err(Exception::Failed("a call of Node-API failed")),
    }
}

/// What makes an error of a message.
type Make = unsafe extern "C" fn(napi_env, napi_value, napi_value, *mut napi_value) -> napi_status;

// ---- functions ----

/// How many arguments a function can have.
const MOST_ARGUMENTS: usize = 12;

/// A function for scripts. It is `static`: the engine may call it for as long as the library is loaded.
pub struct Function {
    /// Its name, for stacks.
    pub name: &'static str,
    /// What it does. `None` is `undefined`.
    pub body: for<'s> fn(&Call<'s>) -> Result<Option<Value<'s>>>,
}

/// A call of a function.
pub struct Call<'s> {
    /// Where it comes from.
    pub env: Env<'s>,
    count: usize,
    arguments: [napi_value; MOST_ARGUMENTS],
}

impl<'s> Call<'s> {
    /// The argument at `index`; `None` if it was not passed.
    pub fn get(&self, index: usize) -> Option<Value<'s>> {
        let raw = *self.arguments[..self.count].get(index)?;
        Some(Value::of(raw))
    }
}

/// Where each function is entered. A panic ends here.
///
/// # Safety
/// `env` is live, `info` is of a call from it, and the data of the function is a `&'static Function`.
unsafe extern "C" fn enter(env: napi_env, info: napi_callback_info) -> napi_value {
    let mut arguments = [ptr::null_mut(); MOST_ARGUMENTS];
    let (mut count, mut data) = (MOST_ARGUMENTS, ptr::null_mut());
    // SAFETY: the out-pointers outlive the call, and there is room for `count` arguments.
    let status = unsafe {
        napi_sys::napi_get_cb_info(
            env,
            info,
            &raw mut count,
            arguments.as_mut_ptr(),
            ptr::null_mut(),
            &raw mut data,
        )
    };
    if status != Status::napi_ok {
        return ptr::null_mut();
    }
    // SAFETY: it is what `Env::function` passed.
    let function = unsafe { &*data.cast::<Function>() };
    let env = Env::of(env);
    if count > MOST_ARGUMENTS {
        env.throw(&Exception::Type("there are too many arguments"));
        return ptr::null_mut();
    }
    let call = Call {
        env,
        count,
        arguments,
    };
    let done = catch_unwind(AssertUnwindSafe(|| (function.body)(&call)));
    match done.unwrap_or(Err(Exception::Failed(PANICKED))) {
        Ok(Some(value)) => value.raw,
        Ok(None) => ptr::null_mut(),
        Err(exception) => {
            env.throw(&exception);
            ptr::null_mut()
        }
    }
}

/// The text of the error of a call that panicked.
pub const PANICKED: &str = "the operation panicked";

// ---- values ----

/// A Buffer that is no longer than this is copied, in bytes: one of memory that is ours costs a finalizer.
pub const COPIED: usize = 64 << 10;

impl<'s> Value<'s> {
    fn of(raw: napi_value) -> Self {
        Self {
            raw,
            scope: PhantomData,
        }
    }
}

impl<'s> Env<'s> {
    fn of(raw: napi_env) -> Self {
        Self {
            raw,
            scope: PhantomData,
        }
    }

    /// A value that `make` writes to its out-pointer.
    fn made(
        self,
        make: impl FnOnce(napi_env, *mut napi_value) -> napi_status,
    ) -> Result<Value<'s>> {
        let mut raw = ptr::null_mut();
        check(make(self.raw, &raw mut raw))?;
        Ok(Value::of(raw))
    }

    /// A number.
    pub fn number(self, number: f64) -> Result<Value<'s>> {
        // SAFETY: `env` is live, and the out-pointer outlives the call.
        self.made(|env, out| unsafe { napi_sys::napi_create_double(env, number, out) })
    }

    /// `true` or `false`.
    pub fn boolean(self, value: bool) -> Result<Value<'s>> {
        // SAFETY: as above.
        self.made(|env, out| unsafe { napi_sys::napi_get_boolean(env, value, out) })
    }

    /// `undefined`.
    pub fn undefined(self) -> Result<Value<'s>> {
        // SAFETY: as above.
        self.made(|env, out| unsafe { napi_sys::napi_get_undefined(env, out) })
    }

    /// A string. What is not UTF-8 in `bytes` becomes U+FFFD.
    pub fn string(self, bytes: &[u8]) -> Result<Value<'s>> {
        let (start, length) = (bytes.as_ptr().cast::<c_char>(), bytes.len() as isize);
        // SAFETY: as above; the engine copies `length` bytes.
        self.made(|env, out| unsafe { napi_sys::napi_create_string_utf8(env, start, length, out) })
    }

    /// A Buffer. If it is long, its memory is ours, and is freed in a turn of the event loop behind its collection:
    /// for promises alone.
    pub fn buffer(self, bytes: Vec<u8>) -> Result<Value<'s>> {
        if bytes.len() > COPIED {
            let bytes = match self.adopted(bytes) {
                Ok(buffer) => return buffer,
                Err(bytes) => bytes,
            };
            return self.buffer_of(&bytes);
        }
        self.buffer_of(&bytes)
    }

    /// A Buffer of the engine, of `length` bytes or as many as `fill` has filled of them.
    pub fn filled_buffer<E>(
        self,
        length: usize,
        fill: impl FnOnce(&mut [MaybeUninit<u8>]) -> std::result::Result<usize, E>,
    ) -> Result<std::result::Result<Value<'s>, E>> {
        let mut start = ptr::null_mut();
        // SAFETY: `env` is live, and the out-pointers outlive the call.
        let whole = self.made(|env, out| unsafe {
            napi_sys::napi_create_buffer(env, length, &raw mut start, out)
        })?;
        if start.is_null() {
            return Err(Exception::Failed("no memory for a Buffer"));
        }
        // SAFETY: the engine has made room for `length` bytes there, which no script has seen. It stays while none
        // runs, and `fill` cannot run one.
        let room = unsafe { slice::from_raw_parts_mut(start.cast::<MaybeUninit<u8>>(), length) };
        let filled = match fill(room) {
            Ok(filled) => filled,
            Err(error) => return Ok(Err(error)),
        };
        if filled >= length {
            return Ok(Ok(whole));
        }
        // SAFETY: so many bytes are filled.
        let bytes = unsafe { slice::from_raw_parts(start.cast::<u8>(), filled) };
        self.buffer_of(bytes).map(Ok)
    }

    /// A Buffer of the engine, which has a copy of `bytes`.
    pub fn buffer_of(self, bytes: &[u8]) -> Result<Value<'s>> {
        let start = bytes.as_ptr().cast::<c_void>();
        // SAFETY: `env` is live, the bytes and the out-pointer outlive the call, which copies; the memory of the
        // Buffer is not asked for.
        self.made(|env, out| unsafe {
            napi_sys::napi_create_buffer_copy(env, bytes.len(), start, ptr::null_mut(), out)
        })
    }

    /// A Buffer of these very bytes; they come back where the engine takes no memory but its own.
    fn adopted(self, mut bytes: Vec<u8>) -> std::result::Result<Result<Value<'s>>, Vec<u8>> {
        let (start, length) = (bytes.as_mut_ptr().cast::<c_void>(), bytes.len());
        let owned = Box::into_raw(Box::new(bytes));
        let mut raw = ptr::null_mut();
        // SAFETY: `env` is live and the out-pointer outlives the call. The bytes stay where they are until the
        // finalizer drops them, once.
        let status = unsafe {
            napi_sys::napi_create_external_buffer(
                self.raw,
                length,
                start,
                Some(drop_bytes),
                owned.cast(),
                &raw mut raw,
            )
        };
        match status {
            Status::napi_ok => Ok(Ok(Value::of(raw))),
            // Any other failure may have run the finalizer, or will.
            Status::napi_no_external_buffers_allowed => {
                // SAFETY: the engine has refused the memory, so that it is ours again.
                Err(*unsafe { Box::from_raw(owned) })
            }
            _ => Ok(Err(Exception::Failed("no memory for a Buffer"))),
        }
    }

    /// An ArrayBuffer of these words.
    pub fn array_buffer(self, words: &[u64]) -> Result<Value<'s>> {
        let mut start = ptr::null_mut();
        let length = size_of_val(words);
        // SAFETY: `env` is live, and the out-pointers outlive the call.
        let value = self.made(|env, out| unsafe {
            napi_sys::napi_create_arraybuffer(env, length, &raw mut start, out)
        })?;
        if !start.is_null() {
            // SAFETY: the engine has made room for `length` bytes there.
            unsafe { ptr::copy_nonoverlapping(words.as_ptr().cast(), start.cast::<u8>(), length) };
        }
        Ok(value)
    }

    /// An object with these functions.
    pub fn functions(
        self,
        functions: impl Iterator<Item = &'static Function>,
    ) -> Result<Value<'s>> {
        // SAFETY: as above.
        let object = self.made(|env, out| unsafe { napi_sys::napi_create_object(env, out) })?;
        for function in functions {
            self.define(object, function.name, self.function(function)?)?;
        }
        Ok(object)
    }

    /// Defines a property of an object: a setter that it inherits is not asked.
    pub fn define(self, object: Value<'_>, name: &str, value: Value<'_>) -> Result<()> {
        let property = napi_sys::napi_property_descriptor {
            utf8name: ptr::null(),
            name: self.string(name.as_bytes())?.raw,
            method: None,
            getter: None,
            setter: None,
            value: value.raw,
            attributes: napi_sys::PropertyAttributes::enumerable,
            data: ptr::null_mut(),
        };
        // SAFETY: all are values of this environment, and the descriptor outlives the call.
        check(unsafe {
            napi_sys::napi_define_properties(self.raw, object.raw, 1, &raw const property)
        })
    }

    /// A function.
    pub fn function(self, function: &'static Function) -> Result<Value<'s>> {
        let (name, length) = (
            function.name.as_ptr().cast::<c_char>(),
            function.name.len() as isize,
        );
        let data = ptr::from_ref(function).cast_mut().cast();
        // SAFETY: `env` is live, and the name and the out-pointer outlive the call. `enter` gets what it wants.
        self.made(|env, out| unsafe {
            napi_sys::napi_create_function(env, name, length, Some(enter), data, out)
        })
    }

    /// Throws `exception`, unless the engine has one already.
    fn throw(self, exception: &Exception) {
        if self.has_exception() {
            return;
        }
        if let Ok(error) = self.error(exception) {
            // SAFETY: it is a value of this environment.
            unsafe { napi_sys::napi_throw(self.raw, error.raw) };
        }
    }

    /// The `Error` of `exception`, or the exception that the engine has, which is not thrown any more.
    fn error(self, exception: &Exception) -> Result<Value<'s>> {
        if self.has_exception() {
            // SAFETY: `env` is live, and the out-pointer outlives the call.
            return self
                .made(|env, out| unsafe { napi_sys::napi_get_and_clear_last_exception(env, out) });
        }
        let (make, text): (Make, _) = match exception {
            Exception::Type(text) => (napi_sys::napi_create_type_error, text),
            Exception::Failed(text) => (napi_sys::napi_create_error, text),
        };
        let message = self.string(text.as_bytes())?;
        // SAFETY: `message` is a string of this environment, and the out-pointer outlives the call.
        self.made(|env, out| unsafe { make(env, ptr::null_mut(), message.raw, out) })
    }

    /// Whether the engine has an exception that is not caught yet.
    fn has_exception(self) -> bool {
        let mut is_pending = false;
        // SAFETY: `env` is live, and the out-pointer outlives the call.
        let status = unsafe { napi_sys::napi_is_exception_pending(self.raw, &raw mut is_pending) };
        status == Status::napi_ok && is_pending
    }
}

/// # Safety
/// `bytes` is what `Env::adopted` passed, and comes once.
unsafe extern "C" fn drop_bytes(_: napi_env, _: *mut c_void, bytes: *mut c_void) {
    // SAFETY: see above.
    drop(unsafe { Box::from_raw(bytes.cast::<Vec<u8>>()) });
}

impl<'s> Env<'s> {
    /// The number that `value` is.
    pub fn as_number(self, value: Value<'_>) -> Option<f64> {
        let mut number = 0.0;
        // SAFETY: `value` is of this environment, and the out-pointer outlives the call.
        let status =
            unsafe { napi_sys::napi_get_value_double(self.raw, value.raw, &raw mut number) };
        (status == Status::napi_ok).then_some(number)
    }

    /// The boolean that `value` is.
    pub fn as_boolean(self, value: Value<'_>) -> Option<bool> {
        let mut boolean = false;
        // SAFETY: as above.
        let status =
            unsafe { napi_sys::napi_get_value_bool(self.raw, value.raw, &raw mut boolean) };
        (status == Status::napi_ok).then_some(boolean)
    }

    /// The bigint that `value` is, if 128 bits hold it.
    pub fn as_bigint(self, value: Value<'_>) -> Option<i128> {
        let (mut sign, mut count, mut words) = (0, 2, [0_u64; 2]);
        // SAFETY: as above, and there is room for `count` words.
        let status = unsafe {
            napi_sys::napi_get_value_bigint_words(
                self.raw,
                value.raw,
                &raw mut sign,
                &raw mut count,
                words.as_mut_ptr(),
            )
        };
        if status != Status::napi_ok || count > 2 {
            return None;
        }
        let magnitude = i128::try_from(u128::from(words[1]) << 64 | u128::from(words[0])).ok()?;
        Some(if sign == 0 { magnitude } else { -magnitude })
    }

    /// The UTF-8 bytes of the string that `value` is. A string that is not very long takes one call: its length
    /// is not asked for first. For a longer one, `room` gives a list with room for so many bytes, or for less:
    /// the string is then cut between two characters.
    pub fn as_string<E: From<Exception>>(
        self,
        value: Value<'_>,
        room: impl FnOnce(usize) -> std::result::Result<Vec<u8>, E>,
    ) -> std::result::Result<Option<Vec<u8>>, E> {
        /// A NUL ends what is copied, and what is cut may be three bytes shorter, so that no character is:
        /// four bytes less than the room may be all of it or not.
        const ROOM: usize = 512;
        const SURELY_WHOLE: usize = ROOM - 5;
        let mut short = [MaybeUninit::uninit(); ROOM];
        let Some(copied) = self.copy_string(value, &mut short)? else {
            return Ok(None);
        };
        if copied <= SURELY_WHOLE {
            // SAFETY: so many bytes were written.
            let bytes = unsafe { slice::from_raw_parts(short.as_ptr().cast::<u8>(), copied) };
            // With room for a NUL behind them.
            let mut list = Vec::with_capacity(copied + 1);
            list.extend_from_slice(bytes);
            return Ok(Some(list));
        }
        let mut length = 0;
        // SAFETY: `value` is of this environment; without room the engine gives the length alone.
        check(unsafe {
            napi_sys::napi_get_value_string_utf8(
                self.raw,
                value.raw,
                ptr::null_mut(),
                0,
                &raw mut length,
            )
        })?;
        let mut bytes = room(length + 1)?;
        bytes.clear();
        let copied = self.copy_string(value, bytes.spare_capacity_mut())?;
        // SAFETY: so many were written.
        unsafe { bytes.set_len(copied.unwrap_or(0)) };
        Ok(Some(bytes))
    }

    /// Copies as much of the string `value` as fits into `room`: so many bytes, or `None` if it is no string.
    fn copy_string(self, value: Value<'_>, room: &mut [MaybeUninit<u8>]) -> Result<Option<usize>> {
        let mut length = 0;
        // SAFETY: `value` is of this environment, and the engine writes within the room.
        let status = unsafe {
            napi_sys::napi_get_value_string_utf8(
                self.raw,
                value.raw,
                room.as_mut_ptr().cast(),
                room.len(),
                &raw mut length,
            )
        };
        match status {
            Status::napi_string_expected => Ok(None),
            status => check(status).map(|()| Some(length)),
        }
    }

    /// A copy of the bytes of `value`, a typed array or a `DataView`: none of one that is detached. `room` gives a list
    /// with room for so many bytes, or for less: the rest is cut then.
    pub fn copy_bytes<E>(
        self,
        value: Value<'_>,
        room: impl FnOnce(usize) -> std::result::Result<Vec<u8>, E>,
    ) -> std::result::Result<Option<Vec<u8>>, E> {
        let (mut is_view, mut start, mut length) = (false, ptr::null_mut(), 0);
        // The length is in bytes: `napi_get_typedarray_info` does not know the elements of each kind.
        // SAFETY: `value` is of this environment, and the out-pointers outlive the calls.
        let status = unsafe {
            match napi_sys::napi_is_buffer(self.raw, value.raw, &raw mut is_view) {
                Status::napi_ok if is_view => napi_sys::napi_get_buffer_info(
                    self.raw,
                    value.raw,
                    &raw mut start,
                    &raw mut length,
                ),
                _ => return Ok(None),
            }
        };
        if status != Status::napi_ok {
            return Ok(None);
        }
        let mut bytes = room(length)?;
        bytes.clear();
        let length = length.min(bytes.capacity());
        if !start.is_null() {
            // SAFETY: the engine has said that there are so many bytes, which stay where they are while no script
            // runs, and there is room for them. Another thread may write to memory that is shared: whatever is
            // copied then are bytes, and no reference to that memory is made.
            unsafe {
                ptr::copy_nonoverlapping(start.cast::<u8>(), bytes.as_mut_ptr(), length);
                bytes.set_len(length);
            }
        }
        Ok(Some(bytes))
    }

    /// Copies `words` to the start of the ArrayBuffer `value`, as far as they fit.
    pub fn fill(self, value: Value<'_>, words: &[u64]) -> Result<()> {
        let (mut length, mut start) = (0, ptr::null_mut());
        // SAFETY: `value` is of this environment, and the out-pointers outlive the call.
        check(unsafe {
            napi_sys::napi_get_arraybuffer_info(
                self.raw,
                value.raw,
                &raw mut start,
                &raw mut length,
            )
        })?;
        let length = length.min(size_of_val(words));
        if !start.is_null() {
            // SAFETY: the engine has said that there are so many bytes, and no script runs meanwhile.
            unsafe { ptr::copy_nonoverlapping(words.as_ptr().cast(), start.cast::<u8>(), length) };
        }
        Ok(())
    }

    /// Whether `value` is `undefined`.
    pub fn is_undefined(self, value: Value<'_>) -> bool {
        let mut kind = 0;
        // SAFETY: as above.
        let status = unsafe { napi_sys::napi_typeof(self.raw, value.raw, &raw mut kind) };
        status == Status::napi_ok && kind == napi_sys::ValueType::napi_undefined
    }
}

// ---- handles ----

/// The handles of an environment: values that scripts can hold and pass back, and nothing else. Each owns a
/// `T`, which is dropped when the handle is collected, or its environment ends.
pub struct Handles<T>(Rc<RefCell<Live<T>>>);

/// Where the handles are that live.
type Live<T> = HashSet<*const Held<T>, BuildHasherDefault<ByAddress>>;

/// Hashes an address, which nobody else chooses.
#[derive(Default)]
struct ByAddress(u64);

impl Hasher for ByAddress {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte));
        }
    }

    fn write_usize(&mut self, address: usize) {
        self.0 = (self.0 ^ address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What a handle owns. It knows where it is listed, so that it can be dropped after everything else has been.
struct Held<T> {
    value: T,
    live: Rc<RefCell<Live<T>>>,
}

impl<T> Default for Handles<T> {
    fn default() -> Self {
        Self(Rc::default())
    }
}

impl<T: 'static> Handles<T> {
    /// A handle of `value`.
    pub fn add<'s>(&self, env: Env<'s>, value: T) -> Result<Value<'s>> {
        let live = Rc::clone(&self.0);
        let held: *mut Held<T> = Box::into_raw(Box::new(Held { value, live }));
        let finalize = Some(drop_held::<T> as unsafe extern "C" fn(_, _, _));
        // SAFETY: `env` is live, and the out-pointer outlives the call. What the handle owns stays where it is
        // until the finalizer drops it.
        let made = env.made(|env, out| unsafe {
            napi_sys::napi_create_external(env, held.cast(), finalize, ptr::null_mut(), out)
        });
        match &made {
            Ok(_) => {
                self.0.borrow_mut().insert(held);
            }
            // SAFETY: there is no handle that would drop it.
            Err(_) => drop(unsafe { Box::from_raw(held) }),
        }
        made
    }

    /// What the handle `value` owns: it stays there at least for as long as the call that has it. `None` if it
    /// is no handle of this environment.
    pub fn get<'s>(&self, env: Env<'s>, value: Value<'s>) -> Option<&'s T> {
        let mut data = ptr::null_mut();
        // SAFETY: `value` is of this environment, and the out-pointer outlives the call.
        let status =
            unsafe { napi_sys::napi_get_value_external(env.raw, value.raw, &raw mut data) };
        let held: *const Held<T> = data.cast();
        let is_ours = status == Status::napi_ok && self.0.borrow().contains(&held);
        // SAFETY: it is listed, hence it was not dropped; it is not while the scope `'s` has its handle.
        is_ours.then(|| unsafe { &(*held).value })
    }
}

/// # Safety
/// `data` is what `Handles::add` passed, and comes once.
unsafe extern "C" fn drop_held<T>(_: napi_env, data: *mut c_void, _: *mut c_void) {
    // SAFETY: see above.
    let held = unsafe { Box::from_raw(data.cast::<Held<T>>()) };
    let is_listed: *const Held<T> = &raw const *held;
    held.live.borrow_mut().remove(&is_listed);
    // A panic would end the process.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(held)));
}

// ---- what the engine does not see ----

/// What values hold beside their memory, such as descriptors: the engine is told of a weight in bytes, and collects
/// sooner for it.
#[derive(Default)]
pub struct Weights {
    held: Cell<i64>,
    told: Cell<i64>,
}

/// The weight of one value, for as long as it lives.
pub struct Weight {
    of: Rc<Weights>,
    bytes: i64,
}

impl Weights {
    /// A weight of so many bytes. The engine is told of it, and of those that were dropped: it may collect now.
    pub fn add(self: &Rc<Self>, env: Env<'_>, bytes: i64) -> Weight {
        self.held.set(self.held.get() + bytes);
        let of = Rc::clone(self);
        let weight = Weight { of, bytes };
        let (more, mut total) = (self.held.get() - self.told.get(), 0);
        self.told.set(self.held.get());
        // SAFETY: `env` is live, and the out-pointer outlives the call.
        unsafe { napi_sys::napi_adjust_external_memory(env.raw, more, &raw mut total) };
        weight
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        // The engine is told later: this may be in the midst of a collection.
        self.of.held.set(self.of.held.get() - self.bytes);
    }
}

// ---- the state of an environment ----

impl Env<'_> {
    /// Keeps `state` for as long as the environment lives. To be called once: another state is not kept.
    pub fn keep<S: 'static>(self, state: Rc<S>) -> Result<()> {
        let data = Box::into_raw(Box::new(state as Rc<dyn Any>));
        // SAFETY: `env` is live, and what it is to keep stays where it is until the finalizer drops it.
        let status = unsafe {
            napi_sys::napi_set_instance_data(
                self.raw,
                data.cast(),
                Some(drop_state),
                ptr::null_mut(),
            )
        };
        if status != Status::napi_ok {
            // SAFETY: nothing keeps it.
            drop(unsafe { Box::from_raw(data) });
        }
        check(status)
    }

    /// What [`Env::keep`] keeps.
    pub fn kept<S: 'static>(self) -> Result<Rc<S>> {
        const NOT_LOADED: Exception = Exception::Failed("the addon is not loaded here");
        let mut data = ptr::null_mut();
        // SAFETY: `env` is live, and the out-pointer outlives the call.
        check(unsafe { napi_sys::napi_get_instance_data(self.raw, &raw mut data) })?;
        // SAFETY: it is null, or what `keep` made: this library keeps nothing else.
        let state = unsafe { data.cast::<Rc<dyn Any>>().as_ref() }.ok_or(NOT_LOADED)?;
        Rc::downcast(Rc::clone(state)).map_err(|_| NOT_LOADED)
    }

    /// Has `end` called with `state` when the environment ends, before what was asked for earlier.
    pub fn at_end<S: 'static>(self, state: &Rc<S>, end: fn(&S)) -> Result<()> {
        let at_end = Rc::new(AtEnd {
            state: Rc::clone(state),
            end,
        });
        let data = Rc::into_raw(at_end).cast_mut().cast();
        // SAFETY: `env` is live. The hook takes what it is passed, once.
        check(unsafe { napi_sys::napi_add_env_cleanup_hook(self.raw, Some(run_at_end::<S>), data) })
    }
}

struct AtEnd<S> {
    state: Rc<S>,
    end: fn(&S),
}

/// # Safety
/// `data` is what `Env::at_end` passed, and comes once.
unsafe extern "C" fn run_at_end<S: 'static>(data: *mut c_void) {
    // SAFETY: see above.
    let at_end = unsafe { Rc::from_raw(data.cast_const().cast::<AtEnd<S>>()) };
    let _ = catch_unwind(AssertUnwindSafe(|| (at_end.end)(&at_end.state)));
}

/// # Safety
/// `data` is what `Env::keep` passed, and comes once.
unsafe extern "C" fn drop_state(_: napi_env, data: *mut c_void, _: *mut c_void) {
    // SAFETY: see above.
    drop(unsafe { Box::from_raw(data.cast::<Rc<dyn Any>>()) });
}

// ---- promises ----

/// Work on another thread that a promise stands for.
pub trait Task: Send + 'static {
    /// Does the work, on another thread.
    fn work(&mut self);

    /// What becomes of the promise, on the thread of its environment.
    fn settle<'s>(&mut self, env: Env<'s>) -> Result<Settled<'s>>;

    /// The promise is resolved: what its value stands for is the script's from now on.
    fn handed_over(&mut self);

    /// It is not done any more, and fails with `ECANCELED`.
    fn give_up(&mut self);

    /// Goes on with work that is not done yet: see [`Settled::Unfinished`].
    fn go_on(self: Box<Self>, env: Env<'_>, promise: Deferred);
}

/// What becomes of a promise.
pub enum Settled<'s> {
    /// It is resolved.
    Resolved(Value<'s>),
    /// It is rejected.
    Rejected(Value<'s>),
    /// Nothing yet: the work goes on elsewhere.
    Unfinished,
}

/// A promise that is not settled yet.
pub struct Deferred(napi_deferred);

// SAFETY: it is a token that is handed around, and used on the thread of its environment alone.
unsafe impl Send for Deferred {}

impl<'s> Env<'s> {
    /// A new promise.
    pub fn promise(self) -> Result<(Deferred, Value<'s>)> {
        let mut deferred = ptr::null_mut();
        // SAFETY: `env` is live, and the out-pointers outlive the call.
        let promise = self.made(|env, out| unsafe {
            napi_sys::napi_create_promise(env, &raw mut deferred, out)
        })?;
        Ok((Deferred(deferred), promise))
    }
}

impl Deferred {
    /// Settles the promise as `task`, whose work is done, says.
    pub fn settle(self, env: Env<'_>, mut task: Box<dyn Task>) {
        // SAFETY: the deferred is of this environment, and is used once.
        let resolve = |value: Value<'_>| unsafe {
            check(napi_sys::napi_resolve_deferred(env.raw, self.0, value.raw))
        };
        // SAFETY: as above.
        let reject = |value: Value<'_>| unsafe {
            check(napi_sys::napi_reject_deferred(env.raw, self.0, value.raw))
        };
        let settled = match task.settle(env) {
            Ok(Settled::Resolved(value)) => resolve(value).map(|()| task.handed_over()),
            Ok(Settled::Rejected(value)) => reject(value),
            Ok(Settled::Unfinished) => return task.go_on(env, self),
            Err(exception) => env.error(&exception).and_then(reject),
        };
        // Nobody waits any more if that fails: the environment is ending.
        drop(settled);
    }
}

/// A task on its way through libuv's pool.
struct Pooled {
    task: Box<dyn Task>,
    promise: Deferred,
    work: napi_async_work,
}

/// Has `task` done on libuv's pool.
pub fn on_pool(env: Env<'_>, promise: Deferred, task: Box<dyn Task>) -> Result<()> {
    let name = env.string(b"@cocalc/openat2")?;
    let pooled = Box::into_raw(Box::new(Pooled {
        task,
        promise,
        work: ptr::null_mut(),
    }));
    // SAFETY: `env` is live. What is passed stays where it is until `complete` takes it, which comes once; it is
    // shared with no one but `work_on_pool`, which is done by then.
    let queued = unsafe {
        check(napi_sys::napi_create_async_work(
            env.raw,
            ptr::null_mut(),
            name.raw,
            Some(work_on_pool),
            Some(complete),
            pooled.cast(),
            &raw mut (*pooled).work,
        ))
        .and_then(|()| check(napi_sys::napi_queue_async_work(env.raw, (*pooled).work)))
    };
    if queued.is_err() {
        // SAFETY: nothing was queued that would take it.
        let pooled = unsafe { Box::from_raw(pooled) };
        if !pooled.work.is_null() {
            // SAFETY: it is not queued.
            unsafe { napi_sys::napi_delete_async_work(env.raw, pooled.work) };
        }
    }
    queued
}

/// # Safety
/// `data` is what `on_pool` passed.
unsafe extern "C" fn work_on_pool(_: napi_env, data: *mut c_void) {
    // SAFETY: see above: nobody else has it now.
    let pooled = unsafe { &mut *data.cast::<Pooled>() };
    // Node-API does not stop a panic. The task finds out that its work was not done.
    let _ = catch_unwind(AssertUnwindSafe(|| pooled.task.work()));
}

/// # Safety
/// `env` is live, and `data` is what `on_pool` passed, and comes once.
unsafe extern "C" fn complete(env: napi_env, status: napi_status, data: *mut c_void) {
    // SAFETY: see above.
    let pooled = unsafe { Box::from_raw(data.cast::<Pooled>()) };
    let Pooled {
        task,
        promise,
        work,
    } = *pooled;
    // SAFETY: it is done.
    unsafe { napi_sys::napi_delete_async_work(env, work) };
    if status == Status::napi_ok {
        let _ = catch_unwind(AssertUnwindSafe(|| promise.settle(Env::of(env), task)));
    }
}

/// A task that a thread of its own has done, on its way back.
struct Returned {
    task: Box<dyn Task>,
    promise: Deferred,
}

/// The process exits: no thread may come back to an environment any more.
static IS_EXITING: AtomicBool = AtomicBool::new(false);

/// From now on no thread calls Node-API: the process exits, and what that needs may be gone.
pub fn leave_environments() {
    IS_EXITING.store(true, Ordering::SeqCst);
}

/// The way back to the thread of an environment.
struct WayBack(napi_threadsafe_function);

// SAFETY: it is made for that: it is used from any thread, by one at a time here.
unsafe impl Send for WayBack {}

impl WayBack {
    fn new(env: Env<'_>) -> Result<Self> {
        let name = env.string(b"@cocalc/openat2")?;
        let mut function = ptr::null_mut();
        // SAFETY: `env` is live, and the out-pointer outlives the call; there is no function of a script.
        check(unsafe {
            napi_sys::napi_create_threadsafe_function(
                env.raw,
                ptr::null_mut(),
                ptr::null_mut(),
                name.raw,
                0,
                1,
                ptr::null_mut(),
                None,
                ptr::null_mut(),
                Some(come_back),
                &raw mut function,
            )
        })?;
        Ok(Self(function))
    }

    /// Brings `returned` back.
    fn bring(self, returned: Returned) {
        if IS_EXITING.load(Ordering::SeqCst) {
            std::mem::forget((self, returned));
            return;
        }
        let data = Box::into_raw(Box::new(returned));
        let (function, mode) = (self.0, napi_sys::ThreadsafeFunctionCallMode::nonblocking);
        // SAFETY: this thread has not released it yet. `come_back` takes what is passed.
        let status =
            unsafe { napi_sys::napi_call_threadsafe_function(function, data.cast(), mode) };
        if status != Status::napi_ok {
            // SAFETY: it was not taken. The environment has ended.
            drop(unsafe { Box::from_raw(data) });
        }
        if status == Status::napi_closing {
            // The call has released it.
            std::mem::forget(self);
        }
    }
}

impl Drop for WayBack {
    fn drop(&mut self) {
        let mode = napi_sys::ThreadsafeFunctionReleaseMode::release;
        // SAFETY: it has not been released yet.
        unsafe { napi_sys::napi_release_threadsafe_function(self.0, mode) };
    }
}

/// # Safety
/// `data` is what `WayBack::bring` passed, and comes once; `env` is live, or null when it has ended.
unsafe extern "C" fn come_back(env: napi_env, _: napi_value, _: *mut c_void, data: *mut c_void) {
    // SAFETY: see above.
    let returned = unsafe { Box::from_raw(data.cast::<Returned>()) };
    if !env.is_null() {
        let Returned { task, promise } = *returned;
        let _ = catch_unwind(AssertUnwindSafe(|| promise.settle(Env::of(env), task)));
    }
}

/// Has `task` done on a thread of its own, with a stack of so many bytes. Where no thread is to be had, both come
/// back.
pub fn on_thread(
    env: Env<'_>,
    promise: Deferred,
    task: Box<dyn Task>,
    stack: usize,
) -> std::result::Result<JoinHandle<()>, (Deferred, Box<dyn Task>)> {
    let Ok(way_back) = WayBack::new(env) else {
        return Err((promise, task));
    };
    // A thread that cannot be started would not give back what it was handed.
    let (hand_over, handed) = mpsc::channel::<(WayBack, Returned)>();
    let thread = Builder::new().name("openat2".to_owned()).stack_size(stack);
    let thread = thread.spawn(move || {
        if let Ok((way_back, mut returned)) = handed.recv() {
            let _ = catch_unwind(AssertUnwindSafe(|| returned.task.work()));
            way_back.bring(returned);
        }
    });
    match thread {
        Ok(thread) => {
            // It waits for this.
            let _ = hand_over.send((way_back, Returned { task, promise }));
            Ok(thread)
        }
        Err(_) => Err((promise, task)),
    }
}

// ---- loading ----

/// The version of Node-API that this library is written for: Node 18 has it.
#[unsafe(no_mangle)]
pub extern "C" fn node_api_module_get_api_version_v1() -> i32 {
    8
}

/// Fills the exports when an environment loads the library.
///
/// # Safety
/// Node calls this with a live environment and an object of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn napi_register_module_v1(env: napi_env, exports: napi_value) -> napi_value {
    let env = Env::of(env);
    let exports = Value::of(exports);
    let filled = catch_unwind(|| crate::node::fill(env, exports));
    match filled.unwrap_or(Err(Exception::Failed(PANICKED))) {
        Ok(()) => exports.raw,
        Err(exception) => {
            env.throw(&exception);
            ptr::null_mut()
        }
    }
}
