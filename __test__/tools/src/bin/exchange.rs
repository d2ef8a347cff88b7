//! The attacker: exchanges pairs of files as fast as it can.
//!
//! ```text
//! exchange A B [A2 B2 ...]
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
//! Where there is one processor only, it rests between exchanges: see [`REST`].

use std::env;
use std::error::Error;
use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, RenameFlags};
use rustix::io::Errno;

/// With a processor of its own, the attack need not rest. Where it shares the only one, it would use
/// up its turn in one go while the victim stands still; waking up often, it interrupts the victim
/// at every moment instead, and does a single exchange.
const REST: Duration = Duration::from_micros(20);

fn main() -> ExitCode {
    let paths: Vec<OsString> = env::args_os().skip(1).collect();
    if paths.is_empty() || !paths.len().is_multiple_of(2) {
        eprintln!("usage: exchange A B [A2 B2 ...]");
        return ExitCode::from(2);
    }
    match run(&paths) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("exchange: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(paths: &[OsString]) -> Result<(), Box<dyn Error>> {
    let pairs = paths.chunks_exact(2);
    let pairs = pairs.map(|pair| Pair::open(&pair[0], &pair[1]));
    let mut attack = Attack::new(pairs.collect::<Result<_, _>>()?);
    let lines = lines_of_stdin();
    let shared = thread::available_parallelism().is_ok_and(|processors| processors.get() == 1);

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

    /// Puts every pair into its original position, unless a side of it stays away.
    fn restore(&mut self) -> Result<(), Errno> {
        for pair in &mut self.pairs {
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

    /// Exchanges the two; false when one of them is not there.
    fn exchange(&mut self) -> Result<bool, Errno> {
        let (a, b) = (&self.a, &self.b);
        match rustix::fs::renameat_with(
            &a.parent,
            &a.name,
            &b.parent,
            &b.name,
            RenameFlags::EXCHANGE,
        ) {
            Ok(()) => {
                self.swapped = !self.swapped;
                Ok(true)
            }
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno),
        }
    }
}

/// A name in an open directory. The directory is held, since another pair may be moving it about:
/// by its path, this pair would then be exchanged somewhere else.
struct Name {
    parent: OwnedFd,
    name: CString,
}

impl Name {
    fn open(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(Errno::INVAL)?;
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            parent: rustix::fs::open(parent, flags, Mode::empty())?,
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
