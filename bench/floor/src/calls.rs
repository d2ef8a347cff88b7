//! The system calls of one operation, again and again.

use std::ffi::{CString, OsString};
use std::hint::black_box;
use std::ops::Index;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use rustix::buffer::spare_capacity;
use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, RawDir, RenameFlags, ResolveFlags, Timespec, Timestamps, Uid,
};
use rustix::io::{Errno, Result};
use rustix::rand::GetRandomFlags;

/// A directory beneath a root, and how an operation gets to it.
struct Place {
    root: OwnedFd,
    parent: CString,
}

/// What calls take turns on.
struct Turns(Vec<CString>);

impl Index<usize> for Turns {
    type Output = CString;

    fn index(&self, call: usize) -> &CString {
        &self.0[call % self.0.len()]
    }
}

enum Parent<'a> {
    Root(BorrowedFd<'a>),
    Opened(OwnedFd),
}

impl AsFd for Parent<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Parent::Root(fd) => *fd,
            Parent::Opened(fd) => fd.as_fd(),
        }
    }
}

const HANDLE: OFlags = OFlags::PATH;
const CONTENT: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY);

impl Place {
    fn openat2(&self, path: &CString, flags: OFlags) -> Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH
            .union(ResolveFlags::NO_SYMLINKS)
            .union(ResolveFlags::NO_MAGICLINKS);
        let flags = flags | OFlags::CLOEXEC;
        rustix::fs::openat2(&self.root, path, flags, Mode::empty(), resolve)
    }

    /// A name directly in the root needs no lookup.
    fn parent(&self) -> Result<Parent<'_>> {
        if self.parent.is_empty() {
            return Ok(Parent::Root(self.root.as_fd()));
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        Ok(Parent::Opened(self.openat2(&self.parent, flags)?))
    }

    /// A file, open for its content; that it is a regular one has been looked at.
    fn content(&self, path: &CString, flags: OFlags) -> Result<(OwnedFd, usize)> {
        let fd = self.openat2(path, flags | CONTENT)?;
        let size = rustix::fs::fstat(&fd)?.st_size as usize;
        Ok((fd, size))
    }

    fn open_for_the_caller(&self, path: &CString, flags: OFlags) -> Result<()> {
        let (fd, _) = self.content(path, flags)?;
        rustix::fs::fcntl_setfl(&fd, flags)
    }

    fn path(&self, name: &str) -> CString {
        let mut path = self.parent.clone().into_bytes();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name.as_bytes());
        text(path)
    }
}

fn text(bytes: impl Into<Vec<u8>>) -> CString {
    CString::new(bytes).unwrap_or_default()
}

/// faccessat2(2) and fchmodat2(2) of an open file, which rustix does not offer.
fn on_handle(call: libc::c_long, fd: &OwnedFd, mode: i32) -> Result<()> {
    // SAFETY: the descriptor is open, and the kernel keeps nothing of the name.
    let done = unsafe {
        libc::syscall(
            call,
            fd.as_raw_fd(),
            c"".as_ptr(),
            mode,
            libc::AT_EMPTY_PATH,
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}

fn read_all(fd: OwnedFd, size: usize) -> Result<Vec<u8>> {
    let mut content = Vec::with_capacity(size);
    while content.len() < size && rustix::io::read(&fd, spare_capacity(&mut content))? > 0 {}
    Ok(content)
}

fn write_all(fd: &OwnedFd, mut data: &[u8]) -> Result<()> {
    while !data.is_empty() {
        data = &data[rustix::io::write(fd, data)?..];
    }
    Ok(())
}

fn copy_all(from: &OwnedFd, to: &OwnedFd, mut size: usize) -> Result<()> {
    let mut room = [0u8; 8192];
    if size <= room.len() {
        let read = rustix::io::read(from, &mut room)?;
        return write_all(to, &room[..read]);
    }
    while size > 0 {
        match rustix::fs::copy_file_range(from, None, to, None, size)? {
            0 => return Err(Errno::IO),
            copied => size -= copied,
        }
    }
    Ok(())
}

/// What is measured.
pub struct Measure<'a> {
    /// How many calls.
    pub n: usize,
    /// The number of the first, which is in names that belong to one call.
    pub first: usize,
    /// Whether they fail, since nothing has the name.
    pub missing: bool,
    /// How many files they take turns on: one has no number in its name.
    pub files: usize,
    /// The clock.
    pub now: &'a dyn Fn() -> f64,
    /// Comes back when it is time to begin.
    pub begin: &'a dyn Fn(),
    /// Comes back when it is time for the next call.
    pub turn: &'a dyn Fn(),
    /// Is told that a call is done.
    pub done: &'a dyn Fn(),
}

/// Nanoseconds of one call.
pub fn run(operation: &str, root: &str, parent: &str, measure: Measure) -> Result<f64> {
    let Measure {
        n,
        first,
        missing,
        files,
        now,
        begin,
        turn,
        done,
    } = measure;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(CWD, root, flags, Mode::empty())?;
    let place = &Place {
        root,
        parent: text(parent),
    };
    let name = |own: &str| {
        if missing {
            "missing".to_owned()
        } else {
            own.to_owned()
        }
    };
    let numbered = |own: &str, i: usize| match files {
        1 => name(own),
        _ => name(&format!("{own}{i}")),
    };
    let turns = |own: &str, of: &dyn Fn(String) -> CString| {
        Turns((0..files).map(|i| of(numbered(own, i))).collect())
    };
    let [file, other, link] = &["f", "g", "l"].map(|own| turns(own, &|name| text(name)));
    let [file_path, link_path, other_path] =
        &["f", "l", "g"].map(|own| turns(own, &|name| place.path(&name)));
    let [large_path, copy_path, clone_path, directory_path] =
        &["large", "large-copy", "clone", "d"].map(|own| place.path(&name(own)));
    let numbers = || first..first + n;
    let xs: &Vec<CString> = &numbers().map(|i| text(name(&format!("x{i}")))).collect();
    let ys: &Vec<CString> = &numbers().map(|i| text(name(&format!("y{i}")))).collect();
    let data = &[b'x'; 4096];
    let nofollow = AtFlags::SYMLINK_NOFOLLOW;
    let any_mode = Mode::from_raw_mode(0o644);
    let second = Timespec {
        tv_sec: 1_700_000_000,
        tv_nsec: 0,
    };
    let times = &Timestamps {
        last_access: second,
        last_modification: second,
    };
    let (me, mine) = (Some(Uid::from_raw(u32::MAX)), Some(Gid::from_raw(u32::MAX)));

    let mut kept = Vec::new();
    let each = |mut call: Box<dyn FnMut(usize) -> Result<()> + '_>| {
        begin();
        let start = now();
        for i in 0..n {
            turn();
            match call(i) {
                Err(Errno::NOENT) if missing => {}
                came => came?,
            }
            done();
        }
        Ok((now() - start) / n as f64)
    };
    let read = |path: &CString| -> Result<()> {
        let (fd, size) = place.content(path, OFlags::RDONLY)?;
        black_box(read_all(fd, size)?);
        Ok(())
    };
    let copy = |from: &CString, to: &CString| -> Result<()> {
        let (from, size) = place.content(from, OFlags::RDONLY)?;
        let (to, old) = place.content(to, OFlags::WRONLY)?;
        rustix::fs::fchmod(&to, any_mode)?;
        if old > 0 {
            rustix::fs::ftruncate(&to, 0)?;
        }
        copy_all(&from, &to, size)
    };
    let rename = |flags| {
        move |i: usize| {
            let (from, to) = (place.parent()?, place.parent()?);
            rustix::fs::renameat_with(&from, &xs[i], &to, &ys[i], flags)
        }
    };
    each(match operation {
        // One name in an open directory needs no lookup; else to open the thing itself is the least.
        "stat" | "exists" | "access" | "lstat" if parent.is_empty() => {
            let names = if operation == "lstat" { link } else { file };
            Box::new(move |i| {
                black_box(rustix::fs::statat(&place.root, &names[i], nofollow)?);
                Ok(())
            })
        }
        "stat" => Box::new(|i| {
            black_box(rustix::fs::fstat(place.openat2(&file_path[i], HANDLE)?)?);
            Ok(())
        }),
        "lstat" => Box::new(|i| {
            let fd = place.openat2(&link_path[i], HANDLE | OFlags::NOFOLLOW)?;
            black_box(rustix::fs::fstat(fd)?);
            Ok(())
        }),
        "statfs" => Box::new(|i| {
            black_box(rustix::fs::fstatfs(place.openat2(&file_path[i], HANDLE)?)?);
            Ok(())
        }),
        "exists" | "access" => Box::new(|i| place.openat2(&file_path[i], HANDLE).map(drop)),
        "readlink" => {
            let mut room = [0u8; 256];
            Box::new(move |i| {
                let length = match parent.is_empty() {
                    true => rustix::fs::readlinkat_raw(&place.root, &link[i], &mut room[..])?,
                    false => {
                        let fd = place.openat2(&link_path[i], HANDLE | OFlags::NOFOLLOW)?;
                        rustix::fs::readlinkat_raw(fd, c"", &mut room[..])?
                    }
                };
                black_box(length);
                Ok(())
            })
        }
        // A path that can be opened without a symlink is a real one.
        "realpath" => Box::new(|i| place.openat2(&file_path[i], HANDLE).map(drop)),
        "readdir" => {
            let mut room = Vec::with_capacity(64 << 10);
            Box::new(move |_| {
                let fd = place.openat2(directory_path, OFlags::RDONLY | OFlags::DIRECTORY)?;
                let mut names = RawDir::new(fd, room.spare_capacity_mut());
                while let Some(entry) = names.next() {
                    black_box(entry?.file_name());
                }
                Ok(())
            })
        }
        "open" => Box::new(|i| place.open_for_the_caller(&file_path[i], OFlags::RDONLY)),
        "openWrite" => Box::new(|i| place.open_for_the_caller(&other_path[i], OFlags::WRONLY)),
        "readFile" => Box::new(|i| read(&file_path[i])),
        "readFile 64 MiB" => Box::new(|_| {
            let (fd, size) = place.content(large_path, OFlags::RDONLY)?;
            // Given back when it has been timed, as Node's garbage is.
            kept.push(read_all(fd, size)?);
            Ok(())
        }),
        "writeFile" => Box::new(|i| {
            let (fd, _) = place.content(&other_path[i], OFlags::WRONLY)?;
            rustix::fs::ftruncate(&fd, 0)?;
            write_all(&fd, data)
        }),
        "writeFile, new" => Box::new(|i| {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(place.parent()?, &xs[i], flags, any_mode)?;
            write_all(&fd, data)
        }),
        "writeFile, atomic" => Box::new(|i| {
            let parent = place.parent()?;
            black_box(rustix::fs::statat(&parent, &other[i], nofollow)?);
            let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(&parent, c".", flags, any_mode)?;
            rustix::fs::fchmod(&fd, any_mode)?;
            write_all(&fd, data)?;
            rustix::fs::linkat(&fd, c"", &parent, &xs[i], AtFlags::EMPTY_PATH)?;
            rustix::fs::renameat(&parent, &xs[i], &parent, &other[i])
        }),
        "appendFile" => Box::new(|i| {
            let (fd, _) = place.content(&other_path[i], OFlags::WRONLY | OFlags::APPEND)?;
            write_all(&fd, b"x")
        }),
        "truncate" => Box::new(|i| {
            let (fd, _) = place.content(&other_path[i], OFlags::WRONLY)?;
            rustix::fs::ftruncate(&fd, 100)
        }),
        "fsync" => Box::new(|i| rustix::fs::fsync(place.content(&file_path[i], OFlags::RDONLY)?.0)),
        "copyFile" => Box::new(|i| copy(&file_path[i], &other_path[i])),
        "copyFile 64 MiB" => Box::new(|_| copy(large_path, copy_path)),
        "copyFile by reflink" => Box::new(|_| {
            let (from, _) = place.content(large_path, OFlags::RDONLY)?;
            let (to, _) = place.content(clone_path, OFlags::WRONLY)?;
            rustix::fs::fchmod(&to, any_mode)?;
            // Else the blocks are shared already, and there is nothing to do.
            rustix::fs::ftruncate(&to, 0)?;
            rustix::fs::ioctl_ficlone(&to, &from)
        }),
        "cp" => Box::new(|i| {
            let (from, size) = place.content(&file_path[i], OFlags::RDONLY)?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let to = rustix::fs::openat(place.parent()?, &xs[i], flags, any_mode)?;
            copy_all(&from, &to, size)
        }),
        "chmod" => Box::new(|i| {
            let fd = place.openat2(&file_path[i], HANDLE)?;
            on_handle(libc::SYS_fchmodat2, &fd, 0o644)
        }),
        "chown" => Box::new(|i| {
            let fd = place.openat2(&file_path[i], HANDLE)?;
            rustix::fs::chownat(&fd, c"", me, mine, AtFlags::EMPTY_PATH)
        }),
        "lchown" => {
            Box::new(|i| rustix::fs::chownat(place.parent()?, &link[i], me, mine, nofollow))
        }
        "utimes" => Box::new(|i| {
            let fd = place.openat2(&file_path[i], HANDLE)?;
            rustix::fs::utimensat(&fd, c"", times, AtFlags::EMPTY_PATH)
        }),
        "lutimes" => {
            Box::new(|i| rustix::fs::utimensat(place.parent()?, &link[i], times, nofollow))
        }
        "mkdir" => Box::new(|i| rustix::fs::mkdirat(place.parent()?, &xs[i], any_mode)),
        "mkdtemp" => Box::new(|i| {
            let mut random = [0u8; 6];
            rustix::rand::getrandom(&mut random, GetRandomFlags::empty())?;
            black_box(OsString::from_vec(random.to_vec()));
            rustix::fs::mkdirat(place.parent()?, &xs[i], Mode::RWXU)
        }),
        "rmdir" => Box::new(|i| rustix::fs::unlinkat(place.parent()?, &xs[i], AtFlags::REMOVEDIR)),
        "unlink" | "rm" => {
            Box::new(|i| rustix::fs::unlinkat(place.parent()?, &xs[i], AtFlags::empty()))
        }
        "rename" => Box::new(rename(RenameFlags::empty())),
        "renameNoReplace" | "move" => Box::new(rename(RenameFlags::NOREPLACE)),
        "exchange" => Box::new(|i| {
            let (from, to) = (place.parent()?, place.parent()?);
            rustix::fs::renameat_with(&from, &file[i], &to, &other[i], RenameFlags::EXCHANGE)
        }),
        "link" => Box::new(|i| {
            let (from, to) = (place.parent()?, place.parent()?);
            rustix::fs::linkat(&from, &file[i], &to, &xs[i], AtFlags::empty())
        }),
        "symlink" => Box::new(|i| rustix::fs::symlinkat(&file[i], place.parent()?, &xs[i])),
        "openRoot" => Box::new(|_| {
            place
                .openat2(directory_path, OFlags::PATH | OFlags::DIRECTORY)
                .map(drop)
        }),
        _ => return Err(Errno::NOSYS),
    })
}
