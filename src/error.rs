//! What a failed operation says: the errno, libuv's name of the system call, and the caller's paths.
//!
//! Inside an operation a failed step is a [`Failure`]: an errno and, where the errno alone would
//! mislead, a [`Reason`]. [`Call::run`] is the one place that turns it into an [`Error`], which
//! names the operation and the paths exactly as the caller gave them.

use std::borrow::Cow;
use std::fmt;

use rustix::io::Errno;

use crate::path::{Leaf, Refused, UserPath};

/// The result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an errno is what it is, where Node's wording for it would leave the caller guessing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The path is absolute, has a `..`, or was moved out of the root while it was resolved.
    OutsideSandbox,
    /// A symlink that would have been followed.
    Symlink,
    /// A mount that the root refuses.
    Mount,
    /// The content of a file that has several names.
    HardLink,
    /// A FIFO, socket or device, where content was to be opened.
    NotARegularFile,
    /// A change of what is beneath a root that allows none.
    Readonly,
    /// A root that was closed.
    Closed,
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
    /// So many entries vanished while a tree was copied.
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
    /// What is to be replaced is not the version that the caller knows.
    NotThatVersion,
    /// Somebody has the lock of a directory that a conditional write needs.
    Locked,
    /// There is more to do than the caller has time for; nothing was done.
    TakesLong,
}

impl Reason {
    /// Its name, for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::OutsideSandbox => "outside",
            Self::Symlink => "symlink",
            Self::Mount => "mount",
            Self::HardLink => "hardlink",
            Self::NotARegularFile => "special",
            Self::Readonly => "readonly",
            Self::Closed => "closed",
            Self::KernelTooOld => "kernel",
            Self::BlockedBySeccomp => "seccomp",
            Self::IntoItself => "into-itself",
            Self::SameFile => "same-file",
            Self::SourceChanged => "changed",
            Self::Vanished { .. } => "vanished",
            Self::TooLarge { .. } => "too-large",
            Self::NotThatVersion => "version",
            Self::Locked => "locked",
            Self::TakesLong => "takes-long",
        }
    }

    /// Its text, for people.
    pub fn text(self) -> Cow<'static, str> {
        match self {
            // What a root refuses to enter is no part of it.
            Self::OutsideSandbox | Self::Mount => "path is outside of the sandbox".into(),
            Self::Symlink => "a symlink was refused".into(),
            Self::HardLink => "a file with several names was refused".into(),
            Self::Readonly => "the root is readonly".into(),
            Self::Closed => "the root is closed".into(),
            Self::NotARegularFile => "not a regular file".into(),
            Self::KernelTooOld => "kernel too old: openat2 needs Linux 5.6".into(),
            Self::BlockedBySeccomp => {
                "openat2 is blocked by a seccomp filter; the kernel itself is new enough".into()
            }
            Self::IntoItself => {
                "source and destination are the same, or one is in the other".into()
            }
            Self::SameFile => "source and destination are the same file".into(),
            Self::SourceChanged => "the source was changed meanwhile".into(),
            Self::Vanished { count } => {
                format!("{count} vanished while the tree was copied").into()
            }
            Self::TooLarge { size, most } => {
                format!("File size ({size}) is greater than {most} bytes").into()
            }
            Self::NotThatVersion => "the file is not that version".into(),
            Self::Locked => "another conditional write is under way".into(),
            Self::TakesLong => "it takes long".into(),
        }
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

    /// A symlink that would have been followed.
    #[cold]
    pub fn symlink() -> Self {
        Self::because(Errno::LOOP, Reason::Symlink)
    }

    /// Whether it is about what is no part of the root: outside of it, or mounted where mounts are refused.
    pub fn is_elsewhere(self) -> bool {
        matches!(self.reason, Some(Reason::OutsideSandbox | Reason::Mount))
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

/// A failed operation. `lib/errors.js` makes an error in Node's form of it.
#[derive(Clone, Debug, PartialEq, Eq)]
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

    /// This error, which is about the paths `left`, if a failure left any.
    #[cold]
    pub fn leaving(mut self, left: Vec<Vec<u8>>) -> Self {
        if !left.is_empty() {
            self.entries = left;
        }
        self
    }

    /// This error, which is about what is left beside `path` under a hidden name.
    #[cold]
    pub fn naming(self, path: &UserPath, hidden: Option<Leaf<'static>>) -> Self {
        let hidden = hidden.and_then(|leaf| path.beside(&leaf).ok());
        let entries = hidden.iter().map(|path| path.as_bytes().to_vec()).collect();
        Self { entries, ..self }
    }

    /// The failure of `syscall` on a descriptor, on behalf of no path.
    pub fn of_descriptor(errno: Errno, syscall: &'static str) -> Self {
        Self {
            errno: errno.raw_os_error(),
            reason: None,
            syscall,
            path: None,
            dest: None,
            entries: Vec::new(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.syscall)?;
        if let Some(path) = &self.path {
            write!(f, " '{}'", path.escape_ascii())?;
        }
        if let Some(dest) = &self.dest {
            write!(f, " -> '{}'", dest.escape_ascii())?;
        }
        write!(f, ": {}", std::io::Error::from_raw_os_error(self.errno))?;
        match self.reason {
            Some(reason) => write!(f, ": {}", reason.text()),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

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
            "unlink 'a/b': No such file or directory (os error 2)"
        );
    }

    #[test]
    fn two_paths() {
        let (a, b) = (user_path("a"), user_path("b"));
        let error = fail(Call::between("rename", &a, &b), Errno::XDEV.into());
        assert!(error.to_string().starts_with("rename 'a' -> 'b': "));
    }

    #[test]
    fn the_reason_stands_behind_it() {
        let failure = Failure::because(Errno::ACCESS, Reason::OutsideSandbox);
        let error = fail(Call::on("stat", &user_path("../x")), failure);
        assert!(
            error
                .to_string()
                .ends_with(": path is outside of the sandbox")
        );
    }

    #[test]
    fn a_step_on_a_descriptor_names_no_path() {
        let failure = Failure::from(Errno::FBIG).at_descriptor("ftruncate");
        let error = fail(Call::on("open", &user_path("a")), failure);
        assert!(error.to_string().starts_with("ftruncate: "));
        assert_eq!(error.path, None);
    }
}
