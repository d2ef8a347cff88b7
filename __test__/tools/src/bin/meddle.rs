//! Renames, exchanges, removes, adds, links and mounts at random in trees that somebody else works on, and
//! accounts for all of it.
//!
//! ```text
//! meddle SEED NUMBER OPTION=VALUE...
//! meddle umount DIR
//! ```
//!
//! | option      | meaning                                                                               |
//! |-------------|---------------------------------------------------------------------------------------|
//! | `from=DIR`  | the source: what is in it is played with                                              |
//! | `to=DIR`    | the destination: the same. One of the two may be left out                             |
//! | `pocket=DIR`| for each of the two, in its order: a directory on its file system that nobody else uses |
//! | `by=DIR`    | for each of the two: a directory of bystanders, which are brought into the game       |
//! | `above=DIR` | twice: two directories that are exchanged, and exchanged back                         |
//! | `volume=DIR`| is mounted on directories in the game                                                 |
//! | `until=PATH`| as long as this is not there, nothing of the source is removed by the tested operation |
//! | `pause=N`   | how many microseconds lie between two steps, on average                               |
//! | `delay=N`   | how many microseconds lie before the first one                                        |
//! | `feed=1`    | the copy is moved into the source                                                     |
//!
//! It says `ready`, begins at a line of standard input, and ends when that is closed, with its account.
//!
//! Nothing is removed where others see it. It is renamed into the pocket first, where nobody else acts on it:
//! so it is known exactly what was removed. For the same reason nothing gets a name that something else had,
//! but by an exchange with something in the pocket, or (`exchange`) with something beside it.
//!
//! The account, a line for each event; files are told by device and inode:
//!
//! | line                 | meaning                                                                      |
//! |----------------------|------------------------------------------------------------------------------|
//! | `added ID FILE`      | a file was made, whose content is that of `ID`                               |
//! | `made FILE`          | a directory was made                                                         |
//! | `placed SIDE FILE`   | it was brought into the game, on the side `from` or `to`                     |
//! | `replaced SIDE FILE FILE` | the first got the name of the second, which may have been compared before |
//! | `named NAME`         | something got this name, which begins with a dot, after it was vacated       |
//! | `destroyed ID FILE`  | the last name of it was removed                                              |
//! | `done N missed M`    | the end: how many steps there were, and how many were not possible           |

use std::env;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, Read, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags};
use rustix::mount::{UnmountFlags, mount_bind, unmount};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [first, second, options @ ..] = &arguments[..] else {
        eprintln!("usage: meddle SEED NUMBER OPTION=VALUE...");
        return ExitCode::from(2);
    };
    if first == "umount" {
        unmount_beneath(Path::new(second));
        return ExitCode::SUCCESS;
    }
    let (Ok(seed), Ok(number)) = (first.parse(), second.parse()) else {
        eprintln!("meddle: no number: {first} {second}");
        return ExitCode::from(2);
    };
    let mut game = Game::new(seed, number, options);
    println!("ready");
    let ended = Arc::new(AtomicBool::new(false));
    let (begin, ends) = (thread::current(), Arc::clone(&ended));
    let begun = Arc::new(AtomicBool::new(false));
    let begins = Arc::clone(&begun);
    thread::spawn(move || {
        for _ in io::stdin().lock().lines().map_while(Result::ok) {
            begins.store(true, Ordering::Release);
            begin.unpark();
        }
        ends.store(true, Ordering::Release);
        begins.store(true, Ordering::Release);
        begin.unpark();
    });
    while !begun.load(Ordering::Acquire) {
        thread::park();
    }
    wait(game.delay, &ended);
    while !ended.load(Ordering::Acquire) {
        match game.step() {
            Some(()) => game.done += 1,
            None => game.missed += 1,
        }
        let pause = game.random.below(2 * game.pause + 1);
        wait(pause, &ended);
    }
    game.account_for_open();
    let (done, missed) = (game.done, game.missed);
    println!("{}done {done} missed {missed}", game.log);
    match io::stdout().flush() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Waits so many microseconds, or until it is over. What is short is spent busily: sleeping takes longer.
fn wait(microseconds: u64, ended: &AtomicBool) {
    let end = Instant::now() + Duration::from_micros(microseconds);
    if microseconds > 100 {
        thread::sleep(Duration::from_micros(microseconds - 60));
    }
    while Instant::now() < end && !ended.load(Ordering::Relaxed) {
        std::hint::spin_loop();
    }
}

/// Unmounts all that is mounted beneath `dir`.
fn unmount_beneath(dir: &Path) {
    // What is covered by another is reached only once that is gone.
    for _ in 0..10 {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let places = mounts.lines().filter_map(|line| line.split(' ').nth(4));
        let beneath = places.filter(|place| Path::new(place).starts_with(dir));
        let beneath: Vec<&str> = beneath.collect();
        for place in beneath.iter().rev() {
            let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
            if let Err(error) = unmount(*place, flags) {
                eprintln!("meddle: {place}: {error}");
            }
        }
        if beneath.is_empty() {
            return;
        }
    }
}

/// xorshift64*: the same seed makes the same game.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What a file is told by.
type File = (u64, u64);

fn file_of(path: &Path) -> Option<File> {
    let found = fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// A side of the game.
struct Side {
    dir: PathBuf,
    pocket: PathBuf,
    by: PathBuf,
    /// What is in the pocket.
    held: Vec<PathBuf>,
    is_source: bool,
}

struct Game {
    random: Random,
    number: u64,
    sides: Vec<Side>,
    above: Vec<PathBuf>,
    volume: Option<PathBuf>,
    until: Option<PathBuf>,
    feed: bool,
    pause: u64,
    delay: u64,
    mounted: Vec<PathBuf>,
    /// Files that were removed before their content was complete.
    open: Vec<fs::File>,
    count: u64,
    log: String,
    done: u64,
    missed: u64,
}

/// The content of a file: `id N LENGTH`, a line end, and dots up to the length.
fn content(id: u64, length: usize) -> Vec<u8> {
    let mut content = format!("id {id} {length}\n").into_bytes();
    content.resize(length.max(content.len()), b'.');
    content
}

/// The id that a content tells, and whether it is complete.
fn id_of(content: &[u8]) -> Option<(u64, bool)> {
    let line = content.split(|byte| *byte == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ').skip(1);
    let (id, length): (u64, usize) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((id, content.len() >= length.max(line.len() + 1)))
}

impl Game {
    fn new(seed: u64, number: u64, options: &[String]) -> Self {
        let mut game = Self {
            random: Random::new(seed ^ (number + 1).wrapping_mul(0xd134_2543_de82_ef95)),
            number,
            sides: Vec::new(),
            above: Vec::new(),
            volume: None,
            until: None,
            feed: false,
            pause: 0,
            delay: 0,
            mounted: Vec::new(),
            open: Vec::new(),
            count: 0,
            log: String::new(),
            done: 0,
            missed: 0,
        };
        let (mut pockets, mut bystanders) = (Vec::new(), Vec::new());
        for option in options {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            let path = PathBuf::from(value);
            match key {
                "from" | "to" => game.sides.push(Side {
                    dir: path,
                    pocket: PathBuf::new(),
                    by: PathBuf::new(),
                    held: Vec::new(),
                    is_source: key == "from",
                }),
                "pocket" => pockets.push(path),
                "by" => bystanders.push(path),
                "above" => game.above.push(path),
                "volume" => game.volume = Some(path),
                "until" => game.until = Some(path),
                "feed" => game.feed = true,
                "pause" => game.pause = value.parse().unwrap_or(0),
                "delay" => game.delay = value.parse().unwrap_or(0),
                _ => eprintln!("meddle: no option: {option}"),
            }
        }
        for ((side, pocket), by) in game.sides.iter_mut().zip(pockets).zip(bystanders) {
            (side.pocket, side.by) = (pocket, by);
        }
        game
    }

    fn step(&mut self) -> Option<()> {
        let side = self.random.below(self.sides.len() as u64) as usize;
        let special = self.random.below(100);
        if self.feed && special < 20 {
            return self.feed();
        }
        if self.volume.is_some() && special >= 70 {
            return match self.random.below(8) {
                0 => self.mount(side),
                1..3 => self.unmount(),
                _ => self.flap(side),
            };
        }
        let copy = self.sides.iter().position(|side| !side.is_source);
        if let Some(copy) = copy
            && special < 25
        {
            return match self.random.chance(60) {
                true => self.pounce_on_copy(copy),
                false => self.pounce_on_hidden(copy),
            };
        }
        match self.random.below(94) {
            0..14 => self.rename(side),
            14..24 => self.exchange(side),
            24..34 => self.exchange_beside(side),
            34..46 => self.take(side).map(drop),
            46..58 => self.put_back(side),
            58..68 => self.put_in_place_of(side),
            68..73 => self.put_at_vacated(side),
            73..79 => self.destroy(side),
            79..84 => self.destroy_and_replace(side),
            84..89 => self.add(side),
            89..91 => self.link(side),
            91..93 => self.bring_bystander(side),
            _ => self.flip_above(),
        }
    }

    fn fresh(&mut self) -> String {
        self.count += 1;
        format!("m{}-{}", self.number, self.count)
    }

    fn fresh_in_pocket(&mut self, side: usize) -> PathBuf {
        let name = self.fresh();
        self.sides[side].pocket.join(name)
    }

    /// A name in the side, at any depth; all that is there is equally likely only within one directory.
    fn pick(&mut self, side: usize) -> Option<PathBuf> {
        let mut dir = self.sides[side].dir.clone();
        for depth in 0..64 {
            let names: Vec<_> = fs::read_dir(&dir).ok()?.flatten().collect();
            let entry = names.get(self.random.below(names.len() as u64) as usize)?;
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            // The top itself is taken now and then.
            let down = if depth == 0 { 95 } else { 60 };
            if !is_directory || !self.random.chance(down) {
                return Some(entry.path());
            }
            dir = entry.path();
        }
        None
    }

    /// A directory in the side.
    fn pick_dir(&mut self, side: usize) -> Option<PathBuf> {
        let path = match self.pick(side) {
            Some(path) if self.random.chance(95) => path,
            _ => return Some(self.sides[side].dir.clone()),
        };
        match path.symlink_metadata().ok()?.is_dir() {
            true => Some(path),
            false => path.parent().map(Path::to_owned),
        }
    }

    /// Tells that a name which belonged to `old` belongs to `new` now.
    ///
    /// The tested operation removes by name. If it has compared the old one with what it may remove, and
    /// removes the new one, that is the window which SECURITY.md leaves. As long as it has not begun to
    /// remove there is none.
    fn replaced(&mut self, side: usize, new: File, old: File) {
        let until = self.until.as_ref().filter(|_| self.sides[side].is_source);
        if until.is_some_and(|until| file_of(until).is_none()) {
            return;
        }
        let side = if self.sides[side].is_source {
            "from"
        } else {
            "to"
        };
        let _ = writeln!(
            self.log,
            "replaced {side} {}:{} {}:{}",
            new.0, new.1, old.0, old.1
        );
    }

    /// Tells that all that is at `path`, in a pocket, is brought into the game.
    fn placed(&mut self, side: usize, path: &Path) {
        let name = if self.sides[side].is_source {
            "from"
        } else {
            "to"
        };
        if let Some((dev, ino)) = file_of(path) {
            let _ = writeln!(self.log, "placed {name} {dev}:{ino}");
        }
        if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            for entry in fs::read_dir(path).into_iter().flatten().flatten() {
                self.placed(side, &entry.path());
            }
        }
    }

    /// Renames something to a name that nothing had.
    fn rename(&mut self, side: usize) -> Option<()> {
        let (from, dir) = (self.pick(side)?, self.pick_dir(side)?);
        let to = dir.join(self.fresh());
        renamed(&from, &to, RenameFlags::NOREPLACE)
    }

    fn exchange(&mut self, side: usize) -> Option<()> {
        let (a, b) = (self.pick(side)?, self.pick(side)?);
        self.exchange_two(side, &a, &b)
    }

    /// In one directory: who may write there needs no more permission for it.
    fn exchange_beside(&mut self, side: usize) -> Option<()> {
        let a = match self.random.chance(30) {
            true => {
                let names = fs::read_dir(&self.sides[side].dir).ok()?;
                let names: Vec<_> = names.flatten().map(|entry| entry.path()).collect();
                names
                    .get(self.random.below(names.len() as u64) as usize)?
                    .clone()
            }
            false => self.pick(side)?,
        };
        let names: Vec<_> = fs::read_dir(a.parent()?).ok()?.flatten().collect();
        let b = names.get(self.random.below(names.len() as u64) as usize)?;
        self.exchange_two(side, &a, &b.path())
    }

    fn exchange_two(&mut self, side: usize, a: &Path, b: &Path) -> Option<()> {
        let before = [file_of(a)?, file_of(b)?];
        renamed(a, b, RenameFlags::EXCHANGE)?;
        self.replaced(side, before[0], before[1]);
        self.replaced(side, before[1], before[0]);
        // Somebody else may have been faster before or after.
        let after = [file_of(a), file_of(b)];
        if after != [Some(before[1]), Some(before[0])] {
            for now in after.into_iter().flatten() {
                for was in before {
                    self.replaced(side, now, was);
                    self.replaced(side, was, now);
                }
            }
        }
        Some(())
    }

    /// Takes something into the pocket.
    fn take(&mut self, side: usize) -> Option<(PathBuf, PathBuf)> {
        let from = self.pick(side)?;
        let pocket = self.fresh_in_pocket(side);
        renamed(&from, &pocket, RenameFlags::NOREPLACE)?;
        self.sides[side].held.push(pocket.clone());
        Some((from, pocket))
    }

    /// Something that is in the pocket, and stays among what is held.
    fn held(&mut self, side: usize) -> Option<(usize, PathBuf)> {
        let held = &self.sides[side].held;
        let index = self.random.below(held.len() as u64) as usize;
        Some((index, held.get(index)?.clone()))
    }

    /// Puts something from the pocket under a name that nothing had.
    fn put_back(&mut self, side: usize) -> Option<()> {
        let (index, pocket) = self.held(side)?;
        let to = self.pick_dir(side)?.join(self.fresh());
        self.placed(side, &pocket);
        renamed(&pocket, &to, RenameFlags::NOREPLACE)?;
        self.sides[side].held.swap_remove(index);
        Some(())
    }

    /// Exchanges something in the pocket with something in the game.
    fn put_in_place_of(&mut self, side: usize) -> Option<()> {
        let (_, pocket) = self.held(side)?;
        let to = self.pick(side)?;
        let new = file_of(&pocket)?;
        self.placed(side, &pocket);
        renamed(&pocket, &to, RenameFlags::EXCHANGE)?;
        let old = file_of(&pocket)?;
        self.replaced(side, new, old);
        Some(())
    }

    /// Takes something, and gives its name to something else.
    fn put_at_vacated(&mut self, side: usize) -> Option<()> {
        let (index, other) = self.held(side)?;
        let new = file_of(&other)?;
        let (from, pocket) = self.take(side)?;
        let old = file_of(&pocket)?;
        self.placed(side, &other);
        renamed(&other, &from, RenameFlags::NOREPLACE)?;
        self.sides[side].held.swap_remove(index);
        let name = from.file_name()?.to_string_lossy();
        if name.starts_with('.') {
            let _ = writeln!(self.log, "named {name}");
        }
        self.replaced(side, new, old);
        Some(())
    }

    /// Takes a file and removes it for good. What it was, and the name that it had.
    fn destroy(&mut self, side: usize) -> Option<()> {
        self.destroyed(side).map(drop)
    }

    fn destroyed(&mut self, side: usize) -> Option<(File, PathBuf)> {
        let (from, pocket) = self.take(side)?;
        let found = pocket.symlink_metadata().ok()?;
        let file = (found.dev(), found.ino());
        if found.is_symlink() {
            let target = fs::read_link(&pocket).ok()?;
            let id = id_of(&[target.as_os_str().as_bytes(), b"\n"].concat())?.0;
            fs::remove_file(&pocket).ok()?;
            if found.nlink() == 1 {
                let _ = writeln!(self.log, "destroyed {id} {}:{}", file.0, file.1);
            }
        } else if found.is_file() {
            let mut open = fs::File::open(&pocket).ok()?;
            fs::remove_file(&pocket).ok()?;
            if !self.account_for(&mut open) {
                self.open.push(open);
            }
        } else {
            return None;
        }
        self.sides[side].held.pop();
        Some((file, from))
    }

    /// Tells that an open file is gone, if it is. False if its content is not complete.
    fn account_for(&mut self, open: &mut fs::File) -> bool {
        let Ok(found) = open.metadata() else {
            return true;
        };
        if found.nlink() > 0 {
            return true;
        }
        let mut content = Vec::new();
        let _ = open.read_to_end(&mut content);
        match id_of(&content) {
            Some((id, true)) => {
                let (dev, ino) = (found.dev(), found.ino());
                let _ = writeln!(self.log, "destroyed {id} {dev}:{ino}");
                true
            }
            _ => false,
        }
    }

    fn account_for_open(&mut self) {
        for mut open in std::mem::take(&mut self.open) {
            let _ = io::Seek::rewind(&mut open);
            self.account_for(&mut open);
        }
    }

    /// Removes a file for good, and gives its name to a new one, which may get the number of the old.
    fn destroy_and_replace(&mut self, side: usize) -> Option<()> {
        // After that, an operation that has begun to remove would leave no witness of its window.
        if self.sides[side].is_source
            && self
                .until
                .as_ref()
                .is_none_or(|until| file_of(until).is_some())
        {
            return None;
        }
        let (old, from) = self.destroyed(side)?;
        let (new, pocket) = self.new_file(side)?;
        self.placed(side, &pocket);
        renamed(&pocket, &from, RenameFlags::NOREPLACE)?;
        self.replaced(side, new, old);
        Some(())
    }

    /// A new file in the pocket, which is not held.
    fn new_file(&mut self, side: usize) -> Option<(File, PathBuf)> {
        let pocket = self.fresh_in_pocket(side);
        let file = self.write_new(&pocket)?;
        Some((file, pocket))
    }

    fn write_new(&mut self, path: &Path) -> Option<File> {
        let id = (self.number + 1) * 1_000_000 + self.count;
        let length = [30, 200, 5000][self.random.below(3) as usize];
        let mut new = fs::OpenOptions::new();
        let mut new = new.write(true).create_new(true).open(path).ok()?;
        let found = new.metadata().ok()?;
        // Told at the end, should the disk be full.
        new.write_all(&content(id, length)).ok()?;
        let _ = writeln!(self.log, "added {id} {}:{}", found.dev(), found.ino());
        Some((found.dev(), found.ino()))
    }

    fn add(&mut self, side: usize) -> Option<()> {
        let to = self.pick_dir(side)?.join(self.fresh());
        if self.random.chance(20) {
            let pocket = self.fresh_in_pocket(side);
            fs::create_dir(&pocket).ok()?;
            let inner = pocket.join(self.fresh());
            self.write_new(&inner)?;
            let (dev, ino) = file_of(&pocket)?;
            let _ = writeln!(self.log, "made {dev}:{ino}");
            self.placed(side, &pocket);
            return renamed(&pocket, &to, RenameFlags::NOREPLACE);
        }
        let (_, pocket) = self.new_file(side)?;
        self.placed(side, &pocket);
        renamed(&pocket, &to, RenameFlags::NOREPLACE)
    }

    /// A new name of a file.
    fn link(&mut self, side: usize) -> Option<()> {
        let (from, dir) = (self.pick(side)?, self.pick_dir(side)?);
        let to = dir.join(self.fresh());
        rustix::fs::link(from, to).ok()
    }

    /// Takes a bystander into the pocket, from where it gets into the game.
    fn bring_bystander(&mut self, side: usize) -> Option<()> {
        let names: Vec<_> = fs::read_dir(&self.sides[side].by).ok()?.flatten().collect();
        let from = names
            .get(self.random.below(names.len() as u64) as usize)?
            .path();
        let pocket = self.fresh_in_pocket(side);
        renamed(&from, &pocket, RenameFlags::NOREPLACE)?;
        self.sides[side].held.push(pocket);
        Some(())
    }

    fn mount(&mut self, side: usize) -> Option<()> {
        let volume = self.volume.clone()?;
        let on = self.pick_dir(side)?;
        // The place of the game itself is no part of it.
        if on == self.sides[side].dir || self.mounted.len() > 3 {
            return None;
        }
        mount_bind(&volume, &on).ok()?;
        self.mounted.push(on);
        Some(())
    }

    /// Mounts something and unmounts it again, a few times.
    fn flap(&mut self, side: usize) -> Option<()> {
        let volume = self.volume.clone()?;
        let on = self.pick_dir(side)?;
        if on == self.sides[side].dir {
            return None;
        }
        for _ in 0..8 {
            mount_bind(&volume, &on).ok()?;
            self.spin(8);
            let unmounted = unmount(&on, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
            if unmounted.is_err() {
                self.mounted.push(on);
                return None;
            }
            self.spin(60);
        }
        Some(())
    }

    /// Takes less than so many microseconds.
    fn spin(&mut self, bound: u64) {
        let end = Instant::now() + Duration::from_micros(self.random.below(bound));
        while Instant::now() < end {
            std::hint::spin_loop();
        }
    }

    /// Waits for a name in the copy, and exchanges what was made there at that moment.
    fn pounce_on_copy(&mut self, copy: usize) -> Option<()> {
        let source = self.sides.iter().position(|side| side.is_source);
        let mut name = self.sides[copy].dir.join("copy");
        // What is in the copy has the names of what is in the source.
        if let Some(source) = source
            && self.random.chance(50)
        {
            let tree = self.sides[source].dir.join("tree");
            let original = self.pick(source)?;
            name = name.join(original.strip_prefix(tree).ok()?);
        }
        let bait = self.bait(copy, &name)?;
        self.pounce(copy, &bait, || Some(name.clone()))
    }

    /// Waits for a name of the kind that calls make for a while, and exchanges what is there.
    fn pounce_on_hidden(&mut self, copy: usize) -> Option<()> {
        let dir = self.sides[copy].dir.clone();
        let bait = self.bait(copy, &dir.join("hidden"))?;
        self.pounce(copy, &bait, || {
            let mut names = fs::read_dir(&dir).ok()?.flatten();
            let hidden = names.find(|entry| entry.file_name().as_bytes().starts_with(b"."))?;
            Some(hidden.path())
        })
    }

    /// What is to be put at `name`: something beside it, or in the pocket.
    fn bait(&mut self, side: usize, name: &Path) -> Option<PathBuf> {
        if self.random.chance(50)
            && let Some((_, held)) = self.held(side)
        {
            return Some(held);
        }
        let is_bystander = |path: &PathBuf| {
            let name = path.file_name().map(OsStr::as_bytes);
            name.is_some_and(|name| name.starts_with(b"v"))
        };
        let beside = fs::read_dir(name.parent()?).ok()?.flatten();
        let beside: Vec<_> = beside
            .map(|entry| entry.path())
            .filter(is_bystander)
            .collect();
        beside
            .get(self.random.below(beside.len() as u64) as usize)
            .cloned()
    }

    fn pounce(
        &mut self,
        side: usize,
        bait: &Path,
        name: impl Fn() -> Option<PathBuf>,
    ) -> Option<()> {
        let new = file_of(bait)?;
        self.placed(side, bait);
        let end = Instant::now() + Duration::from_millis(2);
        while Instant::now() < end {
            if let Some(name) = name()
                && renamed(bait, &name, RenameFlags::EXCHANGE).is_some()
            {
                let old = file_of(bait)?;
                self.replaced(side, new, old);
                return Some(());
            }
        }
        None
    }

    fn unmount(&mut self) -> Option<()> {
        let on = self.mounted.pop()?;
        unmount(&on, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).ok()
    }

    fn flip_above(&mut self) -> Option<()> {
        let [a, b] = &self.above[..] else {
            return None;
        };
        renamed(a, b, RenameFlags::EXCHANGE)?;
        thread::sleep(Duration::from_micros(self.random.below(300)));
        renamed(a, b, RenameFlags::EXCHANGE)
    }

    /// Moves the copy, or a part of it that is being made, into its source.
    fn feed(&mut self) -> Option<()> {
        let (source, copy) = match &self.sides[..] {
            [a, b] if self.feed && a.is_source && !b.is_source => (0, 1),
            _ => return None,
        };
        // What is made of a directory on the way to it has the same names on its way.
        let dir = self.pick_dir(source)?;
        let way = dir.strip_prefix(self.sides[source].dir.join("tree")).ok()?;
        let count = self.random.below(way.components().count() as u64) as usize;
        let mut part = self.sides[copy].dir.join("copy");
        part.extend(way.components().take(count));
        let to = dir.join(self.fresh());
        renamed(&part, &to, RenameFlags::NOREPLACE)
    }
}

fn renamed(from: &Path, to: &Path, flags: RenameFlags) -> Option<()> {
    let (from, to): (&OsStr, &OsStr) = (from.as_os_str(), to.as_os_str());
    rustix::fs::renameat_with(CWD, from, CWD, to, flags).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_tells_its_id_and_whether_it_is_complete() {
        assert_eq!(id_of(&content(7, 100)), Some((7, true)));
        assert_eq!(id_of(&content(7, 100)[..50]), Some((7, false)));
        assert_eq!(id_of(&content(1234567, 3)), Some((1234567, true)));
        assert_eq!(id_of(b"id 7 100"), Some((7, false)));
        assert_eq!(id_of(b"id 7"), None);
        assert_eq!(id_of(b""), None);
    }

    #[test]
    fn nothing_is_lost_by_the_game_itself_but_what_it_tells() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| {
            let dir = temp.path().join(name);
            fs::create_dir_all(&dir).unwrap();
            dir
        };
        let (from, to) = (at("from/tree"), at("to"));
        for id in 0..50 {
            let dir = from.join(format!("d{}/e{}", id % 5, id % 3));
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join(format!("f{id}")), content(id, 40)).unwrap();
        }
        let option = |key: &str, dir: &Path| format!("{key}={}", dir.display());
        let options = [
            option("from", from.parent().unwrap()),
            option("to", &to),
            option("pocket", &at("p1")),
            option("pocket", &at("p2")),
            option("by", &at("by")),
            option("by", &at("by")),
        ];
        let mut game = Game::new(5, 1, &options);
        for _ in 0..5000 {
            let _ = game.step();
        }
        game.account_for_open();
        let mut there = Vec::new();
        let mut dirs = vec![temp.path().to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).unwrap().flatten() {
                match entry.file_type().unwrap().is_dir() {
                    true => dirs.push(entry.path()),
                    false => there.push(id_of(&fs::read(entry.path()).unwrap()).unwrap().0),
                }
            }
        }
        let told = |word: &str| -> Vec<u64> {
            let lines = game.log.lines().filter(|line| line.starts_with(word));
            lines
                .map(|line| line.split(' ').nth(1).unwrap().parse().unwrap())
                .collect()
        };
        let destroyed = told("destroyed");
        assert!(!destroyed.is_empty());
        for id in (0..50).chain(told("added")) {
            assert_ne!(there.contains(&id), destroyed.contains(&id), "{id}");
        }
    }
}
