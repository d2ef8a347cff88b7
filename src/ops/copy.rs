//! Copying the content of one file: `copyFile`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, SeekFrom, Stat};
use rustix::io::Errno;

use crate::error::{Call, Failure, Result};
use crate::path::UserPath;
use crate::resolve::{Content, Root};
use crate::retry::{TRIES, on_intr};
use crate::sys;

/// What one `copy_file_range` is asked for, in bytes.
const COPY_AT_ONCE: usize = 1 << 30;

/// What one read is asked for where the kernel cannot copy by itself, in bytes.
const READ_AT_ONCE: usize = 256 << 10;

/// Copies the content and the nine permission bits of the file `src` to `dest`, which is made with
/// `mode` if it is missing, and written over in place if it is there. Onto itself: nothing happens.
pub fn copy_file(root: &Root, src: &UserPath, dest: &UserPath, mode: Mode) -> Result<()> {
    Call::between("copyfile", src, dest).run(|| {
        let source = root
            .for_change()?
            .content(src, OFlags::RDONLY, Mode::empty())?;
        if FileType::from_raw_mode(source.stat().st_mode) == FileType::Directory {
            return Err(Errno::ISDIR.into());
        }
        let target = Target::open(root, dest, mode)?;
        let made = target.is_new.then_some(target.stat);
        let done = target.fill(source.fd(), source.stat());
        if let (Err(_), Some(stat)) = (&done, made) {
            discard(root, dest, &stat);
        }
        done
    })
}

/// The open destination of a copy.
struct Target {
    fd: OwnedFd,
    stat: Stat,
    /// Whether this copy made it, so that a failure of the copy is to remove it again.
    is_new: bool,
}

impl Target {
    fn open(root: &Root, dest: &UserPath, mode: Mode) -> Result<Self, Failure> {
        for _ in 0..TRIES {
            match root.content(dest, OFlags::WRONLY, Mode::empty()) {
                Ok(file) => return Self::existing(file),
                // What is wrong with the way there is said by the next lookup.
                Err(failure) if matches!(failure.errno, Errno::NOENT | Errno::NOTDIR) => {}
                Err(failure) => return Err(failure),
            }
            let entry = root.entry(dest, Errno::ISDIR)?;
            if entry.wants_directory() {
                return Err(Errno::ISDIR.into());
            }
            match entry.at().create_new(mode) {
                // A symlink to nothing, which this root follows: what it names is made.
                Err(Errno::EXIST) if root.policy().follows() => {
                    match root.content(dest, OFlags::WRONLY | OFlags::CREATE, mode) {
                        Ok(file) => return Self::existing(file),
                        Err(failure) if failure.errno == Errno::NOENT => {}
                        Err(failure) => return Err(failure),
                    }
                }
                // Somebody made it since we looked: it is there to be opened.
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
                Ok(fd) => match rustix::fs::fstat(&fd) {
                    Ok(stat) => {
                        let is_new = true;
                        return Ok(Self { fd, stat, is_new });
                    }
                    Err(errno) => {
                        // What was made this moment goes again; the error is what is told.
                        let _ = entry.at().unlink();
                        return Err(errno.into());
                    }
                },
            }
        }
        Err(Errno::NOENT.into())
    }

    fn existing(file: Content) -> Result<Self, Failure> {
        let stat = *file.stat();
        let fd = file.into_blocking()?;
        let is_new = false;
        Ok(Self { fd, stat, is_new })
    }

    fn fill(self, source: BorrowedFd<'_>, stat: &Stat) -> Result<(), Failure> {
        if is_same_file(&self.stat, stat) {
            return Ok(());
        }
        // Before the old content goes: whoever may not set the mode has lost nothing yet. The
        // nine bits alone, since a copy is never setuid.
        rustix::fs::fchmod(&self.fd, Mode::from_raw_mode(stat.st_mode & 0o777))?;
        if !self.is_new {
            on_intr(|| rustix::fs::ftruncate(&self.fd, 0))?;
        }
        copy_content(source, self.fd.as_fd(), stat.st_size as u64)?;
        Ok(sys::close(self.fd)?)
    }
}

/// Removes the file that a failed copy has made, if its name still leads to it.
fn discard(root: &Root, dest: &UserPath, made: &Stat) {
    let Ok(entry) = root.entry(dest, Errno::BUSY) else {
        return;
    };
    if entry.at().lstat().is_ok_and(|now| is_same_file(&now, made)) {
        // The copy has failed already, and that is what the caller is told.
        let _ = entry.at().unlink();
    }
}

fn is_same_file(a: &Stat, b: &Stat) -> bool {
    (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
}

/// Shares the blocks of `from` where the file system can (`FICLONE`), else copies them, holes kept.
fn copy_content(from: BorrowedFd<'_>, to: BorrowedFd<'_>, mut size: u64) -> Result<(), Failure> {
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    let mut position = 0;
    // Empty, or a file of /proc, which says so: only reading tells.
    while size == 0 {
        let end = position + READ_AT_ONCE as u64;
        if copy_by_reading(from, to, position, end)? < end {
            return Ok(());
        }
        position = end;
        // One that has grown is copied up to the length it has now: it may grow for ever.
        size = rustix::fs::fstat(from)?.st_size as u64;
    }
    while position < size {
        let Some((start, end)) = next_data(from, position, size)? else {
            // A hole at the end is a length and no data.
            on_intr(|| rustix::fs::ftruncate(to, size))?;
            break;
        };
        if copy_range(from, to, start, end)? < end {
            // It shrank meanwhile: the copy ends where the file does.
            break;
        }
        position = end;
    }
    Ok(())
}

/// The next stretch of data at or behind `position`, or `None` if nothing but a hole is left.
fn next_data(
    file: BorrowedFd<'_>,
    position: u64,
    size: u64,
) -> Result<Option<(u64, u64)>, Failure> {
    let start = match rustix::fs::seek(file, SeekFrom::Data(position)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        // A file system that knows no holes.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some((position, size))),
        Err(errno) => return Err(errno.into()),
    };
    let end = match rustix::fs::seek(file, SeekFrom::Hole(start)) {
        Ok(end) => end.min(size),
        // It was cut at this moment; the copy will find out.
        Err(Errno::NXIO) => size,
        Err(errno) => return Err(errno.into()),
    };
    Ok((start < end).then_some((start, end)))
}

/// Copies from `start` up to `end` and says how far it got: less than `end` where the file ends.
fn copy_range(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    start: u64,
    end: u64,
) -> Result<u64, Failure> {
    let (mut read_at, mut write_at) = (start, start);
    while read_at < end {
        let wanted = usize::try_from(end - read_at).unwrap_or(usize::MAX);
        let wanted = wanted.min(COPY_AT_ONCE);
        let copied = on_intr(|| {
            rustix::fs::copy_file_range(from, Some(&mut read_at), to, Some(&mut write_at), wanted)
        });
        match copied {
            // The end; or a file system whose answer means nothing. Reading tells.
            Ok(0) => return copy_by_reading(from, to, read_at, end),
            Ok(_) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM) => {
                return copy_by_reading(from, to, read_at, end);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(read_at)
}

fn copy_by_reading(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    start: u64,
    end: u64,
) -> Result<u64, Failure> {
    let mut buffer = vec![0; READ_AT_ONCE];
    let mut position = start;
    while position < end {
        let wanted = usize::try_from(end - position).map_or(READ_AT_ONCE, |n| n.min(READ_AT_ONCE));
        let room = buffer.get_mut(..wanted).unwrap_or_default();
        let read = on_intr(|| rustix::io::pread(from, &mut *room, position))?;
        if read == 0 {
            break;
        }
        let mut rest = room.get(..read).unwrap_or_default();
        while !rest.is_empty() {
            let written = on_intr(|| rustix::io::pwrite(to, rest, position))?;
            rest = rest.get(written..).unwrap_or_default();
            position += written as u64;
        }
    }
    Ok(position)
}
