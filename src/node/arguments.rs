//! The arguments of a native function. The scripts have checked them: what is no such value here is nonsense, which
//! a `TypeError` answers.

use std::sync::{Arc, Mutex};

use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::endings::Ending;
use super::kept::Kept;
use super::output::As;
use super::{Native, State};
use crate::error;
use crate::memory::with_room;
use crate::ops::metadata::Nanoseconds;
use crate::ops::tree::cursor::Cursor;
use crate::ops::tree::levels::OPEN_LEVELS;
use crate::ops::version::Version;
use crate::path::{LONGEST_SPELLING, UserPath};
use crate::policy::{Allowed, Policy, Symlinks};
use crate::resolve::Root;
use crate::sys::node_api::{Call, Exception, Value};
use crate::watch::Watch;

/// The arguments of a call. The first one is a root.
pub struct Arguments<'a, 's> {
    call: &'a Call<'s>,
    state: &'a State,
}

/// The result of reading an argument.
pub type Checked<T> = Result<T, Unchecked>;

/// Why an argument could not be read.
pub enum Unchecked {
    /// It is not what the function takes.
    Nonsense(Exception),
    /// There is no memory for it.
    Failed(Box<error::Error>),
}

impl From<Exception> for Unchecked {
    fn from(exception: Exception) -> Self {
        Self::Nonsense(exception)
    }
}

/// An argument is not what the function takes.
pub const NONSENSE: Exception = Exception::Type("this is not what the native function takes");

/// How many bytes of a path are copied at the most: what is longer is too long, also when it is cut between two
/// characters.
const COPIED: usize = LONGEST_SPELLING + 8;

impl<'a, 's> Arguments<'a, 's> {
    /// The arguments of `call`.
    pub fn new(call: &'a Call<'s>, state: &'a State) -> Self {
        Self { call, state }
    }

    /// The root that the call is about.
    pub fn root(&self) -> Result<Arc<Root>, Exception> {
        self.root_at(0)?.ok_or(NONSENSE)
    }

    /// A new root of this environment.
    pub fn new_root(&self, root: Root) -> Native {
        Native::root(self.call.env, self.state, root)
    }

    /// A new walk of this environment.
    pub fn new_cursor(&self, cursor: Cursor) -> Native {
        let bytes = self.state.weight_of_descriptor * OPEN_LEVELS as i64;
        let weight = self.state.weights.add(self.call.env, bytes);
        let cursor = Arc::new(Mutex::new(Some(cursor)));
        Native::Cursor(Kept::new(cursor, weight, &self.state.ending))
    }

    /// What this environment has to end.
    pub fn ending(&self) -> Arc<Ending> {
        Arc::clone(&self.state.ending)
    }

    /// Another root, if one is passed.
    pub fn root_at(&self, index: usize) -> Result<Option<Arc<Root>>, Exception> {
        match self.native(index)? {
            None => Ok(None),
            Some(Native::Root(open)) => Ok(Some(Arc::clone(&open.root.borrow()))),
            Some(_) => Err(NONSENSE),
        }
    }

    /// What a handle stands for, if one is passed.
    pub fn native(&self, index: usize) -> Result<Option<&'s Native>, Exception> {
        let Some(value) = self.call.get(index) else {
            return Ok(None);
        };
        match self.state.handles.get(self.call.env, value) {
            None if !self.call.env.is_undefined(value) => Err(NONSENSE),
            native => Ok(native),
        }
    }

    /// What follows and stops the work: one that nobody else has, if none is passed.
    pub fn watch(&self, index: usize) -> Checked<Arc<Watch>> {
        match self.native(index)? {
            None => Ok(Arc::default()),
            Some(Native::Watch(watch)) => Ok(Arc::clone(watch)),
            Some(_) => Err(NONSENSE.into()),
        }
    }

    /// A path: a string, or bytes.
    pub fn path(&self, index: usize) -> Checked<UserPath> {
        let value = self.value(index)?;
        let room = |length: usize| Ok::<_, Exception>(Vec::with_capacity(length.min(COPIED)));
        let bytes = match self.call.env.as_string(value, room)? {
            Some(bytes) => bytes,
            None => self.call.env.copy_bytes(value, room)?.ok_or(NONSENSE)?,
        };
        UserPath::new(bytes).map_err(|_| NONSENSE.into())
    }

    /// What is to be written: a string, or bytes.
    pub fn data(&self, index: usize) -> Checked<Vec<u8>> {
        let value = self.value(index)?;
        let env = self.call.env;
        let room = |length| with_room(length).map_err(not_written);
        match env.as_string(value, room)? {
            Some(bytes) => Ok(bytes),
            None => env.copy_bytes(value, room)?.ok_or(NONSENSE.into()),
        }
    }

    /// Bytes; none, if they are not passed.
    pub fn bytes(&self, index: usize) -> Checked<Vec<u8>> {
        let Some(value) = self.passed(index) else {
            return Ok(Vec::new());
        };
        let room = |length| with_room(length).map_err(not_written);
        let copied = self.call.env.copy_bytes(value, room)?;
        copied.ok_or(NONSENSE.into())
    }

    /// Bytes, if they are passed.
    pub fn bytes_if_any(&self, index: usize) -> Checked<Option<Vec<u8>>> {
        self.passed(index).map(|_| self.bytes(index)).transpose()
    }

    /// The version of a file, if one is passed.
    pub fn version(&self, index: usize) -> Checked<Option<Version>> {
        if self.passed(index).is_none() {
            return Ok(None);
        }
        let bytes = self.bytes(index)?;
        let (chunks, rest) = bytes.as_chunks();
        let words: Vec<u64> = chunks
            .iter()
            .map(|&word| u64::from_ne_bytes(word))
            .collect();
        match (<[u64; 7]>::try_from(words), rest) {
            (Ok(words), []) => Ok(Some(Version::of_words(words))),
            _ => Err(NONSENSE.into()),
        }
    }

    /// A boolean.
    pub fn flag(&self, index: usize) -> Checked<bool> {
        let value = self.call.env.as_boolean(self.value(index)?);
        value.ok_or(NONSENSE.into())
    }

    /// A boolean; `false`, if it was not passed.
    pub fn flag_if_any(&self, index: usize) -> Checked<bool> {
        match self.call.get(index) {
            None => Ok(false),
            Some(_) => self.flag(index),
        }
    }

    /// The form of a text: whether it is a Buffer.
    pub fn form(&self, index: usize) -> Checked<As> {
        Ok(match self.flag(index)? {
            true => As::Buffer,
            false => As::String,
        })
    }

    /// A whole number.
    pub fn number<T: TryFrom<i64>>(&self, index: usize) -> Checked<T> {
        let number = self.call.env.as_number(self.value(index)?);
        let number = number
            .filter(|number| number.fract() == 0.0)
            .ok_or(NONSENSE)?;
        // What does not fit is cut to the nearest that does.
        T::try_from(number as i64).map_err(|_| NONSENSE.into())
    }

    /// One of several things, which the scripts know by their numbers.
    pub fn one_of<T: Copy>(&self, index: usize, things: &[T]) -> Checked<T> {
        let thing = things.get(self.number::<usize>(index)?).copied();
        thing.ok_or(NONSENSE.into())
    }

    /// The twelve permission bits of a mode.
    pub fn mode(&self, index: usize) -> Checked<Mode> {
        Ok(Mode::from_raw_mode(self.number::<u32>(index)? & 0o7777))
    }

    /// A mode, if one is passed.
    pub fn mode_if_any(&self, index: usize) -> Checked<Option<Mode>> {
        self.passed(index).map(|_| self.mode(index)).transpose()
    }

    /// The flags of open(2).
    pub fn open_flags(&self, index: usize) -> Checked<OFlags> {
        Ok(OFlags::from_bits_retain(self.number::<u32>(index)?))
    }

    /// A time, if one is passed: nanoseconds since the epoch, in a number or a bigint.
    pub fn nanoseconds_if_any(&self, index: usize) -> Checked<Option<Nanoseconds>> {
        let Some(value) = self.passed(index) else {
            return Ok(None);
        };
        let ns = match self.call.env.as_number(value) {
            Some(number) if number.fract() == 0.0 => Some(number as i128),
            Some(_) => None,
            None => self.call.env.as_bigint(value),
        };
        ns.and_then(Nanoseconds::new)
            .map(Some)
            .ok_or(NONSENSE.into())
    }

    /// A user; −1 is none.
    pub fn user(&self, index: usize) -> Checked<Option<Uid>> {
        Ok(self.id(index)?.map(Uid::from_raw))
    }

    /// A group; −1 is none.
    pub fn group(&self, index: usize) -> Checked<Option<Gid>> {
        Ok(self.id(index)?.map(Gid::from_raw))
    }

    fn id(&self, index: usize) -> Checked<Option<u32>> {
        match self.number::<i64>(index)? {
            -1 => Ok(None),
            // The kernel takes 2³²−1 for −1: chown(2).
            id => match u32::try_from(id) {
                Ok(id) => Ok((id != u32::MAX).then_some(id)),
                Err(_) => Err(NONSENSE.into()),
            },
        }
    }

    /// A policy: what becomes of symlinks, whether mounts and hard links are refused, and whether changes are.
    pub fn policy(&self, index: usize) -> Checked<Policy> {
        let allowed = [Allowed::Yes, Allowed::No];
        let symlinks = [Symlinks::Reject, Symlinks::Beneath, Symlinks::InRoot];
        Ok(Policy {
            symlinks: self.one_of(index, &symlinks)?,
            mounts: self.one_of(index + 1, &allowed)?,
            hardlinks: self.one_of(index + 2, &allowed)?,
            readonly: self.flag(index + 3)?,
        })
    }

    /// The argument at `index`, unless it is `undefined`.
    fn passed(&self, index: usize) -> Option<Value<'s>> {
        let value = self.call.get(index)?;
        (!self.call.env.is_undefined(value)).then_some(value)
    }

    fn value(&self, index: usize) -> Result<Value<'s>, Exception> {
        self.call.get(index).ok_or(NONSENSE)
    }
}

/// The failure of a call that has no memory for what it is to write.
fn not_written(errno: Errno) -> Unchecked {
    Unchecked::Failed(Box::new(error::Error::of_descriptor(errno, "write")))
}
