//! The attacker: exchanges pairs of files as fast as it can.
//!
//! ```text
//! exchange [--chroot DIR] A B [A2 B2 ...]
//! ```
//!
//! Each pair is exchanged with `renameat2(RENAME_EXCHANGE)`, in turn, until standard input is
//! closed. So it ends with whoever started it, however that one ends.
//!
//! | stdin    | stdout                 | meaning                                             |
//! |----------|------------------------|-----------------------------------------------------|
//! |          | `ready`                | every pair has had its turn once                    |
//! | `pause`  | `paused`               | standing still, every pair in its original position |
//! | `resume` | `resumed`              | exchanging again                                    |
//! | (closed) | `exchanges N missed M` | at the end, every pair in its original position     |
//!
//! An exchange is missed when one side is not there, because the victim moved or removed it.
//!
//! With `--chroot`, the paths are inside of DIR, which the attacker cannot leave, and each is looked up
//! anew for every exchange. So pairs at several levels move each other about, and another attacker
//! may do the same. An exchange that is not possible at the moment is missed too, and there is no
//! original position.
//!
//! Where there is one processor only, it rests between exchanges: see [`REST`].

use std::env;
use std::error::Error;
use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::chroot;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

/// With a processor of its own, the attack need not rest. Where it shares the only one, it would use
/// up its turn in one go while the victim stands still; waking up often, it interrupts the victim
/// at every moment instead, and does a single exchange.
const REST: Duration = Duration::from_micros(20);

fn main() -> ExitCode {
    let mut paths: Vec<OsString> = env::args_os().skip(1).collect();
    let prison = match paths.first() {
        Some(first) if first == "--chroot" && paths.len() > 1 => paths.drain(..2).nth(1),
        _ => None,
    };
    if paths.is_empty() || !paths.len().is_multiple_of(2) {
        eprintln!("usage: exchange [--chroot DIR] A B [A2 B2 ...]");
        return ExitCode::from(2);
    }
    match run(prison, &paths) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("exchange: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(prison: Option<OsString>, paths: &[OsString]) -> Result<(), Box<dyn Error>> {
    // Asked before the change of root, since the answer is in files.
    let shared = thread::available_parallelism().is_ok_and(|processors| processors.get() == 1);
    let make = match prison {
        None => Pair::open,
        Some(dir) => {
            chroot(dir)?;
            env::set_current_dir("/")?;
            Pair::sought
        }
    };
    let pairs = paths.chunks_exact(2);
    let pairs = pairs.map(|pair| make(&pair[0], &pair[1]));
    let mut attack = Attack::new(pairs.collect::<Result<_, _>>()?);
    let lines = lines_of_stdin();

    attack.exchange_all()?;
    println!("ready");
    loop {
        match lines.try_recv() {
            Err(TryRecvError::Empty) => {
                attack.exchange_all()?;
                if shared {
                    thread::sleep(REST);
                }
            }
            Err(TryRecvError::Disconnected) => break,
            Ok(line) if line == "pause" => {
                attack.restore()?;
                println!("paused");
                if !lines.iter().any(|line| line == "resume") {
                    break;
                }
                println!("resumed");
            }
            Ok(line) => return Err(format!("not a command: {line}").into()),
        }
    }
    attack.restore()?;
    println!("exchanges {} missed {}", attack.exchanges, attack.missed);
    Ok(())
}

/// The lines of standard input, read by a thread: looking for one costs the attack no system call.
fn lines_of_stdin() -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// All pairs, and how it goes.
struct Attack {
    pairs: Vec<Pair>,
    exchanges: u64,
    missed: u64,
}

impl Attack {
    fn new(pairs: Vec<Pair>) -> Self {
        Self {
            pairs,
            exchanges: 0,
            missed: 0,
        }
    }

    /// Exchanges every pair once.
    fn exchange_all(&mut self) -> Result<(), Errno> {
        for pair in &mut self.pairs {
            match pair.exchange()? {
                true => self.exchanges += 1,
                false => self.missed += 1,
            }
        }
        Ok(())
    }

    /// Puts every pair into its original position, unless a side of it stays away. Paths that are looked up
    /// anew have none.
    fn restore(&mut self) -> Result<(), Errno> {
        let held = |pair: &&mut Pair| pair.a.parent.is_some();
        for pair in self.pairs.iter_mut().filter(held) {
            let mut tries = 100;
            while pair.swapped && tries > 0 {
                if pair.exchange()? {
                    self.exchanges += 1;
                } else {
                    self.missed += 1;
                    tries -= 1;
                    thread::sleep(Duration::from_millis(1));
                }
            }
        }
        Ok(())
    }
}

/// Two names that change places.
struct Pair {
    a: Name,
    b: Name,
    swapped: bool,
}

impl Pair {
    fn open(a: &OsString, b: &OsString) -> Result<Self, String> {
        let name = |path| Name::open(Path::new(path)).map_err(|e| format!("{path:?}: {e}"));
        Ok(Self {
            a: name(a)?,
            b: name(b)?,
            swapped: false,
        })
    }

    /// Two paths that are looked up anew for every exchange.
    fn sought(a: &OsString, b: &OsString) -> Result<Self, String> {
        let name = |path: &OsString| Name::sought(path).map_err(|e| format!("{path:?}: {e}"));
        Ok(Self {
            a: name(a)?,
            b: name(b)?,
            swapped: false,
        })
    }

    /// Exchanges the two; false when one of them is not there.
    fn exchange(&mut self) -> Result<bool, Errno> {
        let (a, b) = (&self.a, &self.b);
        match rustix::fs::renameat_with(
            a.parent(),
            &a.name,
            b.parent(),
            &b.name,
            RenameFlags::EXCHANGE,
        ) {
            Ok(()) => {
                self.swapped = !self.swapped;
                Ok(true)
            }
            Err(Errno::NOENT) => Ok(false),
            // Somebody else moves what is on the way, or one of the two is in the other one now.
            Err(_) if a.parent.is_none() => Ok(false),
            Err(errno) => Err(errno),
        }
    }
}

/// A name in an open directory. The directory is held, since another pair may be moving it about:
/// by its path, this pair would then be exchanged somewhere else. Or a whole path, without a parent.
struct Name {
    parent: Option<OwnedFd>,
    name: CString,
}

impl Name {
    fn sought(path: &OsString) -> io::Result<Self> {
        Ok(Self {
            parent: None,
            name: CString::new(path.as_bytes())?,
        })
    }

    fn parent(&self) -> BorrowedFd<'_> {
        self.parent.as_ref().map_or(CWD, AsFd::as_fd)
    }

    fn open(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(Errno::INVAL)?;
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            parent: Some(rustix::fs::open(parent, flags, Mode::empty())?),
            name: CString::new(name.as_bytes())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A directory with `dir` (a directory) and `link` (a symlink), and the attack on the two.
    fn dir_and_link() -> (tempfile::TempDir, Attack) {
        let temp = tempfile::tempdir().unwrap();
        let (dir, link) = (temp.path().join("dir"), temp.path().join("link"));
        fs::create_dir(&dir).unwrap();
        symlink("elsewhere", &link).unwrap();
        let pair = Pair::open(&dir.into(), &link.into()).unwrap();
        (temp, Attack::new(vec![pair]))
    }

    #[test]
    fn a_directory_and_a_symlink_change_places() {
        let (temp, mut attack) = dir_and_link();
        attack.exchange_all().unwrap();
        assert!(temp.path().join("dir").is_symlink());
        assert!(temp.path().join("link").is_dir());
    }

    #[test]
    fn restoring_exchanges_only_what_is_out_of_place() {
        let (temp, mut attack) = dir_and_link();
        for exchanges in [1, 2] {
            attack.exchange_all().unwrap();
            attack.restore().unwrap();
            assert!(temp.path().join("link").is_symlink());
            assert_eq!(attack.exchanges, 2 * exchanges);
        }
    }

    #[test]
    fn a_side_that_is_gone_is_missed_and_does_not_hold_up_the_end() {
        let (temp, mut attack) = dir_and_link();
        attack.exchange_all().unwrap();
        fs::remove_file(temp.path().join("dir")).unwrap();
        attack.exchange_all().unwrap();
        attack.restore().unwrap();
        assert_eq!((attack.exchanges, attack.missed), (1, 101));
    }

    #[test]
    fn a_path_that_is_sought_is_missed_where_it_leads_to_no_directory() {
        let (temp, _) = dir_and_link();
        let (dir, inner) = (temp.path().join("dir"), temp.path().join("dir/inner"));
        let link = temp.path().join("link");
        fs::write(&inner, "inner").unwrap();
        let mut pair = Pair::sought(&inner.into(), &link.into()).unwrap();
        assert!(pair.exchange().unwrap());
        fs::remove_file(dir.join("inner")).unwrap();
        fs::remove_dir(&dir).unwrap();
        fs::write(&dir, "a file").unwrap();
        assert!(!pair.exchange().unwrap());
    }

    #[test]
    fn a_parent_that_is_moved_away_is_followed_by_descriptor() {
        let (temp, _) = dir_and_link();
        let (old, new) = (temp.path().join("dir"), temp.path().join("moved"));
        fs::write(old.join("a"), "a").unwrap();
        fs::write(old.join("b"), "b").unwrap();
        let mut pair = Pair::open(&old.join("a").into(), &old.join("b").into()).unwrap();
        fs::rename(&old, &new).unwrap();
        assert!(pair.exchange().unwrap());
        assert_eq!(fs::read(new.join("a")).unwrap(), b"b");
    }
}
