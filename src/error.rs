//! What a failed operation says: the errno, libuv's name of the system call, and the caller's paths.
//!
//! Inside an operation a failed step is a [`Failure`]: an errno and, where the errno alone would
//! mislead, a [`Reason`]. [`Call::run`] is the one place that turns it into an [`Error`], which
//! names the operation and the paths exactly as the caller gave them.

use std::borrow::Cow;

use rustix::io::Errno;

use crate::errno;
use crate::path::{Refused, UserPath};

/// The result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an errno is what it is, where Node's wording for it would leave the caller guessing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The path is absolute, has a `..`, or was moved out of the root while it was resolved.
    OutsideSandbox,
    /// A FIFO, socket or device, where content was to be opened.
    NotARegularFile,
    /// The kernel is older than 5.6.
    KernelTooOld,
    /// The kernel has `openat2`, but a seccomp filter answers in its place.
    BlockedBySeccomp,
    /// A copy or move of something to itself, or to beneath itself.
    IntoItself,
    /// A copy of a file to itself, in a tree.
    SameFile,
    /// What was to be moved was changed by others: not all of it was copied, or not all of it removed.
    SourceChanged,
    /// So many entries vanished while a tree was copied; all others are copied.
    Vanished {
        /// How many.
        count: u64,
    },
    /// A file is longer than the caller wants to read.
    TooLarge {
        /// Its length, or how much of it was seen, in bytes.
        size: u64,
        /// What the caller wants at the most, in bytes.
        most: u64,
    },
}

impl Reason {
    fn wording(self) -> Cow<'static, str> {
        let wording = match self {
            Self::OutsideSandbox => "path is outside of the sandbox",
            Self::NotARegularFile => "not a regular file",
            Self::KernelTooOld => "kernel too old: openat2 needs Linux 5.6",
            Self::BlockedBySeccomp => {
                "openat2 is blocked by a seccomp filter; the kernel itself is new enough"
            }
            Self::IntoItself => "source and destination are the same, or one is in the other",
            Self::SameFile => "source and destination are the same file",
            Self::SourceChanged => "the source was changed meanwhile",
            Self::Vanished { count } => {
                return format!(
                    "{count} vanished while the tree was copied; all others are copied"
                )
                .into();
            }
            Self::TooLarge { size, most } => {
                return format!("file size ({size}) is greater than {most} bytes").into();
            }
        };
        wording.into()
    }
}

/// A step that failed, before it is known on whose behalf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the kernel said, or what the contract says in its place.
    pub errno: Errno,
    /// Why, where the errno alone does not tell.
    pub reason: Option<Reason>,
    /// libuv's name of the step, where it is not the name of the whole operation.
    pub step: Option<Step>,
}

/// A step of an operation that Node reports under a name of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// libuv's name of the system call.
    pub syscall: &'static str,
    /// Whether Node names the path: it does not for a call on a descriptor.
    pub on_path: bool,
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self {
            errno,
            reason: None,
            step: None,
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Empty => Errno::NOENT.into(),
            Refused::Outside => Self::because(Errno::ACCESS, Reason::OutsideSandbox),
            Refused::TooLong => Errno::NAMETOOLONG.into(),
        }
    }
}

impl Failure {
    /// This failure, with its reason.
    pub fn because(errno: Errno, reason: Reason) -> Self {
        Self {
            errno,
            reason: Some(reason),
            step: None,
        }
    }

    /// This failure, reported as one of `syscall` on the path.
    pub fn at(self, syscall: &'static str) -> Self {
        let on_path = true;
        Self {
            step: Some(Step { syscall, on_path }),
            ..self
        }
    }

    /// This failure, reported as one of `syscall` on a descriptor: Node names no path then.
    pub fn at_descriptor(self, syscall: &'static str) -> Self {
        let on_path = false;
        Self {
            step: Some(Step { syscall, on_path }),
            ..self
        }
    }
}

/// An operation in progress: whom its failure will name.
pub struct Call<'a> {
    syscall: &'static str,
    path: &'a UserPath,
    dest: Option<&'a UserPath>,
}

impl<'a> Call<'a> {
    /// An operation on one path.
    pub fn on(syscall: &'static str, path: &'a UserPath) -> Self {
        Self {
            syscall,
            path,
            dest: None,
        }
    }

    /// An operation on two paths.
    pub fn between(syscall: &'static str, path: &'a UserPath, dest: &'a UserPath) -> Self {
        Self {
            syscall,
            path,
            dest: Some(dest),
        }
    }

    /// Does the work; a failure of it is reported in the name of this call.
    pub fn run<T>(&self, work: impl FnOnce() -> Result<T, Failure>) -> Result<T> {
        work().map_err(|failure| self.failed(failure))
    }

    /// The error of this call on trees, for `failure` at the end of `way`: the way down from their tops.
    #[cold]
    pub fn failed_at(&self, failure: Failure, way: &[u8]) -> Error {
        let mut error = self.failed(failure);
        // For `IntoItself`, both top paths are reported.
        if !way.is_empty() && failure.reason != Some(Reason::IntoItself) {
            error.path = error.path.map(|_| self.path.join(way));
            error.dest = error.dest.and(self.dest.map(|dest| dest.join(way)));
        }
        error
    }

    /// The paths of entries of this call on trees, at the end of `ways`.
    fn paths(&self, ways: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let whole = |way: &Vec<u8>| match way.is_empty() {
            true => self.path.as_bytes().to_vec(),
            false => self.path.join(way),
        };
        ways.iter().map(whole).collect()
    }

    /// The error of this call for `failure`.
    #[cold]
    pub fn failed(&self, failure: Failure) -> Error {
        let (syscall, on_path) = match failure.step {
            Some(step) => (step.syscall, step.on_path),
            None => (self.syscall, true),
        };
        // A step has a name because it is another call than the whole: that one has one path.
        let dest = self.dest.filter(|_| failure.step.is_none());
        Error {
            errno: failure.errno.raw_os_error(),
            reason: failure.reason,
            syscall,
            path: on_path.then(|| self.path.as_bytes().to_vec()),
            dest: dest.map(|dest| dest.as_bytes().to_vec()),
            entries: Vec::new(),
        }
    }
}

/// A failed operation, in Node's form: `ENOENT: no such file or directory, rename 'a' -> 'b'`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub struct Error {
    /// The errno, positive, as the kernel gives it.
    pub errno: i32,
    /// Why, where the errno alone does not tell.
    pub reason: Option<Reason>,
    /// libuv's name of the system call.
    pub syscall: &'static str,
    /// The path as the caller gave it (for an entry inside a tree: that path and the way down).
    pub path: Option<Vec<u8>>,
    /// The second path, as the caller gave it.
    pub dest: Option<Vec<u8>>,
    /// The paths of all entries of a tree that it is about, up to [`MOST_ENTRIES`]: what vanished while it
    /// was copied, or is left where it was.
    pub entries: Vec<Vec<u8>>,
}

/// How many entries an error names.
pub const MOST_ENTRIES: usize = 100;

impl Error {
    /// This error, which is about all that is at the end of `ways`.
    #[cold]
    pub fn about(mut self, call: &Call<'_>, ways: &[Vec<u8>]) -> Self {
        self.entries = call.paths(ways);
        self
    }

    /// The symbolic name, such as `ENOENT`.
    pub fn code(&self) -> Cow<'static, str> {
        match errno::describe(self.errno) {
            Some((code, _)) => code.into(),
            None => format!("E{}", self.errno).into(),
        }
    }

    /// What it says, in one line.
    pub fn message(&self) -> String {
        let wording = errno::describe(self.errno).map_or("unknown error", |(_, wording)| wording);
        let mut message = String::with_capacity(128);
        message.push_str(&self.code());
        message.push_str(": ");
        message.push_str(wording);
        if let Some(reason) = self.reason {
            message.push_str(" (");
            message.push_str(&reason.wording());
            message.push(')');
        }
        message.push_str(", ");
        message.push_str(self.syscall);
        if let Some(path) = &self.path {
            message.push_str(" '");
            push_on_one_line(&mut message, path);
            message.push('\'');
        }
        if let Some(dest) = &self.dest {
            message.push_str(" -> '");
            push_on_one_line(&mut message, dest);
            message.push('\'');
        }
        message
    }
}

/// Appends `path`, its line breaks escaped: callers parse a message as one line.
fn push_on_one_line(message: &mut String, path: &[u8]) {
    let path = String::from_utf8_lossy(path);
    let is_break = |c| matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}');
    for part in path.split_inclusive(is_break) {
        let line = part.trim_end_matches(is_break);
        message.push_str(line);
        message.extend(part[line.len()..].chars().flat_map(char::escape_default));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::user_path;

    fn fail(call: Call<'_>, failure: Failure) -> Error {
        call.failed(failure)
    }

    #[test]
    fn one_path() {
        let error = fail(Call::on("unlink", &user_path("a/b")), Errno::NOENT.into());
        assert_eq!(
            error.to_string(),
            "ENOENT: no such file or directory, unlink 'a/b'"
        );
    }

    #[test]
    fn two_paths() {
        let (a, b) = (user_path("a"), user_path("b"));
        let error = fail(Call::between("rename", &a, &b), Errno::XDEV.into());
        assert_eq!(
            error.to_string(),
            "EXDEV: cross-device link not permitted, rename 'a' -> 'b'"
        );
    }

    #[test]
    fn the_reason_stands_beside_the_wording() {
        let failure = Failure::because(Errno::ACCESS, Reason::OutsideSandbox);
        let error = fail(Call::on("stat", &user_path("../x")), failure);
        assert_eq!(
            error.to_string(),
            "EACCES: permission denied (path is outside of the sandbox), stat '../x'"
        );
    }

    #[test]
    fn a_message_is_one_line_whatever_the_path() {
        let error = fail(
            Call::on("stat", &user_path("a\nb\r\u{2028}")),
            Errno::NOENT.into(),
        );
        assert_eq!(
            error.to_string(),
            "ENOENT: no such file or directory, stat 'a\\nb\\r\\u{2028}'"
        );
        assert_eq!(error.path.as_deref(), Some("a\nb\r\u{2028}".as_bytes()));
    }

    #[test]
    fn a_step_on_a_descriptor_names_no_path() {
        let failure = Failure::from(Errno::FBIG).at_descriptor("ftruncate");
        let error = fail(Call::on("open", &user_path("a")), failure);
        assert_eq!(error.to_string(), "EFBIG: file too large, ftruncate");
        assert_eq!(error.path, None);
    }

    #[test]
    fn an_unknown_errno_is_not_given_another_name() {
        let error = fail(
            Call::on("stat", &user_path("a")),
            Errno::from_raw_os_error(999).into(),
        );
        assert_eq!(error.code(), "E999");
    }
}
