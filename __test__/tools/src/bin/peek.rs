//! Somebody else on the machine, who opens what they may as soon as they may, and keeps it open.
//!
//! ```text
//! peek SECRET PATH...
//! ```
//!
//! Each path is opened again and again, until standard input is closed. `DIR/*` is every name that is
//! in `DIR` at the moment. What could be opened is kept open for a while: a file is read, and a
//! directory is listed, over and over, also when it may no longer be opened. Whoever starts this gives
//! it another user.
//!
//! | stdin    | stdout                       | meaning                                            |
//! |----------|------------------------------|----------------------------------------------------|
//! |          | `ready`                      | every path has been tried once                     |
//! | (closed) | `tries T opens N secrets S`  | at the end: `S` of `N` had `SECRET` in them, or in the name of what is in the directory |

use std::collections::VecDeque;
use std::env;
use std::error::Error;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, RawDir, SeekFrom};
use rustix::io::Errno;

/// How long something is kept open.
const PATIENCE: Duration = Duration::from_millis(20);

/// How much is open at a time.
const MOST: usize = 16;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [secret, paths @ ..] = arguments.as_slice() else {
        eprintln!("usage: peek SECRET PATH...");
        return ExitCode::from(2);
    };
    match run(secret.as_bytes(), paths) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peek: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(secret: &[u8], paths: &[String]) -> Result<(), Box<dyn Error>> {
    let input = end_of_stdin();
    let mut spy = Spy::default();
    spy.look(secret, paths);
    println!("ready");
    while input.try_recv() == Err(TryRecvError::Empty) {
        spy.look(secret, paths);
    }
    println!(
        "tries {} opens {} secrets {}",
        spy.tries, spy.opens, spy.secrets
    );
    Ok(())
}

/// Disconnected when standard input is closed; waited for by a thread.
fn end_of_stdin() -> Receiver<()> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        drop(sender);
    });
    receiver
}

/// What is open, and how it goes.
#[derive(Default)]
struct Spy {
    open: VecDeque<(OwnedFd, Instant)>,
    tries: u64,
    opens: u64,
    secrets: u64,
}

impl Spy {
    /// Opens what can be opened, and looks into all that is open.
    fn look(&mut self, secret: &[u8], paths: &[String]) {
        for path in paths {
            match path.strip_suffix("/*") {
                None => self.open(secret, path),
                Some(dir) => {
                    for name in names(dir) {
                        self.open(secret, &format!("{dir}/{name}"));
                    }
                }
            }
        }
        let before = self.open.len();
        self.open.retain(|(fd, _)| !holds(fd, secret));
        self.secrets += (before - self.open.len()) as u64;
        self.open.retain(|(_, since)| since.elapsed() < PATIENCE);
    }

    fn open(&mut self, secret: &[u8], path: &str) {
        self.tries += 1;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(fd) = rustix::fs::open(path, flags, Mode::empty()) else {
            return;
        };
        self.opens += 1;
        // At once: in a moment it may be gone.
        if holds(&fd, secret) {
            self.secrets += 1;
            return;
        }
        if self.open.len() == MOST {
            self.open.pop_front();
        }
        self.open.push_back((fd, Instant::now()));
    }
}

/// The names in a directory, which may be forbidden.
fn names(dir: &str) -> Vec<String> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(fd) = rustix::fs::open(dir, flags, Mode::empty()) else {
        return Vec::new();
    };
    names_in(&fd).unwrap_or_default()
}

fn names_in(fd: impl AsFd) -> Result<Vec<String>, Errno> {
    rustix::fs::seek(fd.as_fd(), SeekFrom::Start(0))?;
    let mut room = [MaybeUninit::uninit(); 8192];
    let mut entries = RawDir::new(fd, &mut room);
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    Ok(names)
}

/// Whether the secret is in the file, or in a name of the directory.
fn holds(fd: &OwnedFd, secret: &[u8]) -> bool {
    let contains = |bytes: &[u8]| bytes.windows(secret.len()).any(|part| part == secret);
    let mut room = [0; 4096];
    match rustix::io::pread(fd, &mut room, 0) {
        Ok(read) => contains(&room[..read]),
        Err(Errno::ISDIR) => {
            names_in(fd).is_ok_and(|names| names.iter().any(|name| contains(name.as_bytes())))
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_becomes_secret_later_is_seen_through_what_was_opened_before() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("file");
        fs::write(&path, "").unwrap();
        let mut spy = Spy::default();
        spy.look(b"secret", &[path.display().to_string()]);
        assert_eq!((spy.opens, spy.secrets), (1, 0));
        fs::write(&path, "a secret").unwrap();
        spy.look(b"secret", &[]);
        assert_eq!((spy.opens, spy.secrets), (1, 1));
    }

    #[test]
    fn names_in_a_directory_are_seen_too() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("dir")).unwrap();
        fs::write(temp.path().join("dir/a secret"), "").unwrap();
        let mut spy = Spy::default();
        spy.look(b"secret", &[format!("{}/*", temp.path().display())]);
        assert_eq!(spy.secrets, 1);
    }
}
