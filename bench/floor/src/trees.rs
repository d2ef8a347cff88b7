//! Trees: a plain loop, on one thread or with the directories of the top shared out.

use std::ffi::{CStr, CString};
use std::hint::black_box;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir};
use rustix::io::{Errno, Result};

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
const NEW: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::CLOEXEC);

fn open(dir: impl AsFd, name: &CStr) -> Result<OwnedFd> {
    rustix::fs::openat(dir, name, DIRECTORY, Mode::empty())
}

fn top(path: &str) -> Result<OwnedFd> {
    rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty())
}

pub fn plant(path: &str, dirs: u32, files: u32, size: usize) -> Result<()> {
    rustix::fs::mkdirat(CWD, path, Mode::from_raw_mode(0o755))?;
    let top = top(path)?;
    let data = vec![b'x'; size];
    for d in 0..dirs {
        let name = format!("d{d}");
        rustix::fs::mkdirat(&top, name.as_str(), Mode::from_raw_mode(0o755))?;
        let dir = rustix::fs::openat(&top, name.as_str(), DIRECTORY, Mode::empty())?;
        for f in 0..files {
            let name = format!("f{f}");
            let fd = rustix::fs::openat(&dir, name, NEW, Mode::from_raw_mode(0o644))?;
            if size > 0 {
                rustix::io::write(fd, &data)?;
            }
        }
    }
    Ok(())
}

/// Where a thread keeps what it reads.
struct Room {
    names: Vec<u8>,
    content: Vec<u8>,
}

impl Room {
    fn new() -> Self {
        Self {
            names: Vec::with_capacity(64 << 10),
            content: vec![0; 128 << 10],
        }
    }

    /// Tells `each` of every name in `dir`, and gives back which of them are directories.
    fn list(
        &mut self,
        dir: &OwnedFd,
        mut each: impl FnMut(&CStr, &mut [u8]) -> Result<()>,
    ) -> Result<Vec<CString>> {
        let mut directories = Vec::new();
        let mut entries = RawDir::new(dir, self.names.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            match (entry.file_name(), entry.file_type()) {
                (name, _) if name == c"." || name == c".." => {}
                (name, FileType::Directory) => directories.push(name.to_owned()),
                (name, _) => each(name, &mut self.content)?,
            }
        }
        Ok(directories)
    }
}

/// Does `work` on each of `all`, on `threads` threads, of which the calling one is the first.
fn share(
    all: &[CString],
    threads: u32,
    room: &mut Room,
    work: impl Fn(&CStr, &mut Room) -> Result<()> + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let part = |room: &mut Room| {
        while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(one, room)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads)
            .map(|_| scope.spawn(|| part(&mut Room::new())))
            .collect();
        let mine = part(room);
        others.into_iter().fold(mine, |done, other| {
            done.and(other.join().unwrap_or(Err(Errno::IO)))
        })
    })
}

pub fn remove(path: &str, threads: u32) -> Result<()> {
    remove_in(&top(path)?, threads, &mut Room::new())?;
    rustix::fs::unlinkat(CWD, path, AtFlags::REMOVEDIR)
}

fn remove_in(dir: &OwnedFd, threads: u32, room: &mut Room) -> Result<()> {
    let below = room.list(dir, |name, _| {
        rustix::fs::unlinkat(dir, name, AtFlags::empty())
    })?;
    share(&below, threads, room, |name, room| {
        remove_in(&open(dir, name)?, 1, room)?;
        rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)
    })
}

pub fn copy(from: &str, to: &str, threads: u32) -> Result<()> {
    rustix::fs::mkdirat(CWD, to, Mode::from_raw_mode(0o755))?;
    copy_in(&top(from)?, &top(to)?, threads, &mut Room::new())
}

fn copy_in(from: &OwnedFd, to: &OwnedFd, threads: u32, room: &mut Room) -> Result<()> {
    let below = room.list(from, |name, content| {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let source = rustix::fs::openat(from, name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&source)?;
        let copy = rustix::fs::openat(to, name, NEW, Mode::from_raw_mode(stat.st_mode & 0o777))?;
        let mut left = stat.st_size as usize;
        while left > 0 {
            let read = rustix::io::read(&source, &mut *content)?;
            if read == 0 {
                break;
            }
            rustix::io::write(&copy, &content[..read])?;
            left = left.saturating_sub(read);
        }
        Ok(())
    })?;
    share(&below, threads, room, |name, room| {
        rustix::fs::mkdirat(to, name, Mode::from_raw_mode(0o755))?;
        copy_in(&open(from, name)?, &open(to, name)?, 1, room)
    })
}

pub fn list(path: &str, threads: u32) -> Result<()> {
    list_in(&top(path)?, threads, &mut Room::new())
}

fn list_in(dir: &OwnedFd, threads: u32, room: &mut Room) -> Result<()> {
    let below = room.list(dir, |name, _| {
        black_box(name);
        Ok(())
    })?;
    share(&below, threads, room, |name, room| {
        list_in(&open(dir, name)?, 1, room)
    })
}
