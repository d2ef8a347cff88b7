//! What an operation returns, and the value that a script gets for it.

use std::io::Write;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Stat, StatFs, Statx};

use super::endings::Ending;
use super::kept::Kept;
use super::{Native, State, writers};
use crate::error;
use crate::memory::with_room;
use crate::ops::identity::Identity;
use crate::ops::metadata::{Nanoseconds, may_change_unseen};
use crate::ops::tree::cursor::{Batch, Truncated};
use crate::ops::tree::list::Names;
use crate::resolve::Root;
use crate::sys::node_api::{Call, Env, Result, Value};

/// What an operation returns.
pub enum Output {
    /// `undefined`
    Nothing,
    /// A boolean.
    Flag(bool),
    /// A file descriptor. It is closed unless the script gets it.
    Descriptor(OwnedFd),
    /// The number of a descriptor that stays ours.
    Lent(OwnedFd, Arc<Ending>),
    /// Numbers of 64 bits, for [`WORDS`].
    Words(Box<Words>),
    /// A string or a Buffer.
    Text(Vec<u8>, As),
    /// A batch of a walk, in the form of `batchOf` of `lib/results.js`: a head, the parts of an error, if something
    /// could not be listed, the entries, and what could not be listed.
    Batch(Batch, As),
    /// A handle of a root.
    Root(Root),
    /// A handle of a file that is written in parts.
    Writer(writers::Shared),
}

/// The form of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum As {
    /// A string. What is not UTF-8 becomes U+FFFD. A very long text comes as a Buffer all the same: Node has the
    /// error for what is too long for a string.
    String,
    /// A Buffer.
    Buffer,
}

/// The argument of a call that takes [`Output::Words`]: an ArrayBuffer, behind the root.
const WORDS: usize = 1;

/// V8 makes a string of that many bytes on every platform.
const SURELY_A_STRING: usize = 1 << 27;

impl Output {
    /// The value of a synchronous call.
    pub fn answer<'s>(mut self, call: &Call<'s>, state: &State) -> Result<Option<Value<'s>>> {
        if let (Self::Words(words), Some(array)) = (&self, call.get(WORDS)) {
            call.env.fill(array, words.as_slice())?;
            return Ok(None);
        }
        let value = self.value(call.env, state, text_at_once)?;
        self.handed_over();
        Ok(value)
    }

    /// The value, of a promise say; `text` makes that of a text. What it stands for is the script's once it is
    /// [handed over](Self::handed_over).
    pub fn value<'s>(
        &mut self,
        env: Env<'s>,
        state: &State,
        text: impl Fn(Env<'s>, Vec<u8>, As) -> Result<Value<'s>>,
    ) -> Result<Option<Value<'s>>> {
        let value = match std::mem::replace(self, Self::Nothing) {
            Self::Nothing => return Ok(None),
            Self::Flag(flag) => env.boolean(flag),
            Self::Descriptor(fd) => {
                let value = env.number(f64::from(fd.as_raw_fd()));
                *self = Self::Descriptor(fd);
                value
            }
            Self::Lent(fd, ending) => {
                let value = env.number(f64::from(fd.as_raw_fd()));
                *self = Self::Lent(fd, ending);
                value
            }
            Self::Words(words) => env.array_buffer(words.as_slice()),
            Self::Text(bytes, form) => text(env, bytes, form),
            Self::Batch(batch, form) => {
                let truncated = match batch.truncated {
                    None => b'-',
                    Some(Truncated::Depth) => b'd',
                    Some(Truncated::Entries) => b'e',
                };
                let is_last = if batch.is_last { b'l' } else { b'-' };
                let (failed, failed_entry) = match batch.failed {
                    None => (Vec::new(), Vec::new()),
                    Some(failed) => (parts(&failed.error), failed.entry.into_bytes()),
                };
                let has_entry = if failed_entry.is_empty() { b'-' } else { b'f' };
                let is_deepest = if batch.is_deepest { b'b' } else { b'-' };
                let mut bytes = vec![truncated, is_last, has_entry, is_deepest];
                if !failed.is_empty() {
                    let count = 1 + failed.iter().filter(|&&byte| byte == 0).count();
                    bytes.extend_from_slice(count.to_string().as_bytes());
                    bytes.push(0);
                    bytes.extend_from_slice(&failed);
                }
                bytes.push(0);
                bytes.append(&mut batch.names.into_bytes());
                bytes.extend_from_slice(&failed_entry);
                text(env, bytes, form)
            }
            Self::Root(root) => state.handles.add(env, Native::root(env, state, root)),
            Self::Writer(writer) => {
                let weight = state.weights.add(env, state.weight_of_descriptor);
                let writer = Native::Writer(Kept::new(writer, weight, &state.ending));
                state.handles.add(env, writer)
            }
        };
        value.map(Some)
    }

    /// Gives up what the value stands for.
    pub fn handed_over(self) {
        match self {
            Self::Descriptor(fd) => {
                let _ = fd.into_raw_fd();
            }
            Self::Lent(fd, ending) => ending.lent.keep(fd),
            _ => {}
        }
    }
}

/// The value of a text, for a promise.
pub fn text<'s>(env: Env<'s>, bytes: Vec<u8>, form: As) -> Result<Value<'s>> {
    match form {
        As::String if bytes.len() <= SURELY_A_STRING => env.string(&bytes),
        _ => env.buffer(bytes),
    }
}

/// The same for a call. A Buffer gets memory of the engine, where there is any: ours is freed in a turn of the event
/// loop, and there is none between two calls.
fn text_at_once<'s>(env: Env<'s>, bytes: Vec<u8>, form: As) -> Result<Value<'s>> {
    let is_string = form == As::String && bytes.len() <= SURELY_A_STRING;
    match !is_string && with_room::<u8>(bytes.len()).is_ok() {
        true => env.buffer_of(&bytes),
        false => text(env, bytes, form),
    }
}

/// Numbers of 64 bits: doubles, or integers, in the order of `lib/results.js`.
pub struct Words {
    list: [u64; Self::MOST],
    count: usize,
}

impl Words {
    const MOST: usize = 18;

    fn new() -> Self {
        Self {
            list: [0; Self::MOST],
            count: 0,
        }
    }

    fn push(&mut self, word: u64) {
        if let Some(free) = self.list.get_mut(self.count) {
            *free = word;
            self.count += 1;
        }
    }

    fn as_slice(&self) -> &[u64] {
        &self.list[..self.count]
    }

    /// The fields of `stat`: as doubles, times in nanoseconds; or exact, times in seconds and nanoseconds. For a version,
    /// which was `asked` for at this moment, whether it [may change unseen](may_change_unseen).
    pub fn of_stat(stat: &Stat, exact: bool, asked: Option<Nanoseconds>) -> Output {
        let fields = [
            i128::from(stat.st_dev),
            stat.st_ino.into(),
            stat.st_mode.into(),
            stat.st_nlink.into(),
            stat.st_uid.into(),
            stat.st_gid.into(),
            stat.st_rdev.into(),
            stat.st_size.into(),
            stat.st_blksize.into(),
            stat.st_blocks.into(),
        ];
        let times = [
            (stat.st_atime, stat.st_atime_nsec),
            (stat.st_mtime, stat.st_mtime_nsec),
            (stat.st_ctime, stat.st_ctime_nsec),
        ];
        let mut words = Self::new();
        for field in fields {
            words.push(if exact { field as u64 } else { double(field) });
        }
        for (seconds, fraction) in times {
            if exact {
                words.push(seconds as u64);
                words.push(fraction);
            } else {
                words.push(double(Nanoseconds::of(seconds, fraction).get()));
            }
        }
        if let Some(asked) = asked {
            words.push(may_change_unseen(stat, asked).into());
        }
        Output::Words(Box::new(words))
    }

    /// The fields of `stat`, exact, and the time of birth: zeros where the file system has none.
    pub fn of_statx(statx: &Statx) -> Output {
        let mut words = Self::new();
        for field in [
            rustix::fs::makedev(statx.stx_dev_major, statx.stx_dev_minor),
            statx.stx_ino,
            statx.stx_mode.into(),
            statx.stx_nlink.into(),
            statx.stx_uid.into(),
            statx.stx_gid.into(),
            rustix::fs::makedev(statx.stx_rdev_major, statx.stx_rdev_minor),
            statx.stx_size,
            statx.stx_blksize.into(),
            statx.stx_blocks,
        ] {
            words.push(field);
        }
        for time in [
            statx.stx_atime,
            statx.stx_mtime,
            statx.stx_ctime,
            statx.stx_btime,
        ] {
            words.push(time.tv_sec as u64);
            words.push(time.tv_nsec.into());
        }
        Output::Words(Box::new(words))
    }

    /// The fields of `statfs`.
    pub fn of_statfs(stat: &StatFs, exact: bool) -> Output {
        let fields = [
            stat.f_type as i128,
            stat.f_bsize as i128,
            stat.f_blocks as i128,
            stat.f_bfree as i128,
            stat.f_bavail as i128,
            stat.f_files as i128,
            stat.f_ffree as i128,
            stat.f_frsize as i128,
        ];
        let mut words = Self::new();
        for field in fields {
            words.push(if exact { field as u64 } else { double(field) });
        }
        Output::Words(Box::new(words))
    }
}

/// The bits of the double that is closest to `number`.
fn double(number: i128) -> u64 {
    // From 64 bits it takes one instruction.
    let number = i64::try_from(number).map_or_else(|_| number as f64, |number| number as f64);
    number.to_bits()
}

/// The parts of an error of `lib/errors.js`, with a NUL between them: errno, syscall, the name of the reason and
/// its text, how many paths the call has, these paths, and those of entries in a tree.
pub fn parts(error: &error::Error) -> Vec<u8> {
    let paths = [&error.path, &error.dest].into_iter().flatten();
    let (name, text) = match error.reason {
        Some(reason) => (reason.name(), reason.text()),
        None => ("", "".into()),
    };
    let mut parts = Vec::with_capacity(128);
    // Writing to a list does not fail.
    let _ = write!(
        parts,
        "{}\0{}\0{name}\0{text}\0{}",
        -error.errno,
        error.syscall,
        paths.clone().count(),
    );
    for path in paths.chain(&error.entries) {
        parts.push(0);
        parts.extend_from_slice(path);
    }
    parts
}

impl From<()> for Output {
    fn from((): ()) -> Self {
        Self::Nothing
    }
}

impl From<bool> for Output {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<OwnedFd> for Output {
    fn from(fd: OwnedFd) -> Self {
        Self::Descriptor(fd)
    }
}

impl From<Root> for Output {
    fn from(root: Root) -> Self {
        Self::Root(root)
    }
}

impl From<Identity> for Output {
    fn from(Identity { dev, ino, mount_id }: Identity) -> Self {
        let mut words = Words::new();
        for word in [dev, ino, mount_id] {
            words.push(word);
        }
        Self::Words(Box::new(words))
    }
}

impl From<(Names, As)> for Output {
    fn from((names, form): (Names, As)) -> Self {
        Self::Text(names.into_bytes(), form)
    }
}

impl From<(Vec<u8>, As)> for Output {
    fn from((bytes, form): (Vec<u8>, As)) -> Self {
        Self::Text(bytes, form)
    }
}
