//! Copying the content of one file: `copyFile`.

use std::cell::{Cell, RefCell};
use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags, SeekFrom, Stat};
use rustix::io::Errno;

use crate::error::{Call, Failure, Reason, Result};
use crate::ops::permissions::Permissions;
use crate::ops::target::{Own, Presence, Target, is_same_file};
use crate::resolve::{Content, Place};
use crate::retry::on_intr;
use crate::sys;
use crate::watch::Watch;

/// What one `copy_file_range` is asked for, in bytes.
const COPY_AT_ONCE: usize = 16 << 20;

/// What one read is asked for where the kernel cannot copy by itself, in bytes. What fits into one is
/// always copied so: `copy_file_range` costs more to begin with.
const READ_AT_ONCE: usize = 128 << 10;

/// What most file systems take for the smallest content, in bytes.
const BLOCK: u64 = 4096;

/// How much is copied of a file that says it is empty, in bytes: some never end.
const MOST_WITHOUT_LENGTH: u64 = i32::MAX as u64;

/// Whether blocks are shared instead of copied, where the file system can (`FICLONE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reflink {
    /// Where it can; else they are copied.
    #[default]
    Auto,
    /// It is that or nothing: the errno of the kernel.
    Always,
    /// Every byte is written anew.
    Never,
}

/// How `copyFile` copies.
#[derive(Clone, Copy, Debug)]
pub struct CopyOptions {
    /// What a new file is made with.
    pub mode: Mode,
    /// Whether a file that is there is `EEXIST`.
    pub exclusive: bool,
    /// Whether blocks are shared.
    pub reflink: Reflink,
    /// What is copied at the most, in bytes; a longer file fails for [`Reason::TakesLong`].
    pub most: u64,
}

/// Copies the content and the nine permission bits of the file at `from` to `to`, which is made if it is
/// missing, and written over in place if it is there. Onto itself: nothing happens.
pub fn copy_file(
    from: Place<'_>,
    to: Place<'_>,
    options: CopyOptions,
    watch: &Watch,
) -> Result<()> {
    Call::between("copyfile", from.path, to.path).run(|| {
        to.root.for_change()?;
        let source = from
            .root
            .content(from.path, OFlags::RDONLY, Mode::empty())?;
        if source.is_directory() {
            return Err(Errno::ISDIR.into());
        }
        if is_longer(source.stat(), options.most) {
            return Err(Failure::because(Errno::FBIG, Reason::TakesLong));
        }
        let presence = match options.exclusive {
            true => Presence::New,
            false => Presence::Any,
        };
        let permissions = Permissions::of(source.fd(), source.stat())?;
        let narrow = options.mode & permissions.narrow();
        let target = Target::open(to, OFlags::WRONLY, narrow, presence)?;
        target.fill(|target, fd| {
            let copier = ContentCopier::new(options.reflink, watch);
            if target.is_new() {
                copier.copy(&source, fd, target.own())?;
                let (permissions, _) = permissions.still(source.fd(), source.stat())?;
                return permissions.apply(fd, Mode::empty());
            }
            // Asked again: overlayfs gives a file another inode when it is opened for writing.
            if is_same_file(target.stat(), &rustix::fs::fstat(source.fd())?) {
                return Ok(());
            }
            overwrite(target, &source, &permissions, &copier)
        })?;
        watch.entry_done();
        Ok(())
    })
}

/// Whether a file may have more than `most` bytes: one that says that it is empty may have any number.
pub fn is_longer(file: &Stat, most: u64) -> bool {
    most < u64::MAX && (file.st_size == 0 || file.st_size as u64 > most)
}

/// Copies `source` over a file that is there. Nobody can read it meanwhile who may not read both, but
/// who has it open already.
fn overwrite(
    target: &Target<'_>,
    source: &Content,
    permissions: &Permissions,
    copier: &ContentCopier<'_>,
) -> Result<(), Failure> {
    let fd = target.fd();
    let old = Mode::from_raw_mode(target.stat().st_mode & 0o7777);
    let narrow = old & permissions.narrow();
    let is_shared = copier.reflink == Reflink::Always;
    if is_shared {
        expect_sharing(source, fd)?;
    }
    // Before the old content goes: whoever may not set the mode has lost nothing yet.
    on_intr(|| rustix::fs::fchmod(fd, narrow))?;
    let shareable = match is_shared {
        true => try_sharing(source, target),
        false => Ok(()),
    };
    if let Err(failure) = shareable.and_then(|()| target.empty()) {
        // Unless somebody has set another one meanwhile.
        let now = rustix::fs::fstat(fd).map(|now| now.st_mode & 0o7777);
        if now == Ok(narrow.as_raw_mode()) {
            let _ = rustix::fs::fchmod(fd, old);
        }
        return Err(failure);
    }
    let copied = copier.copy(source, fd, None);
    // What was copied by then is of the source, too.
    let still = permissions
        .still(source.fd(), source.stat())
        .map_err(Failure::from);
    let permitted = still.and_then(|(permissions, _)| permissions.apply(fd, Mode::empty()));
    copied.and(permitted)
}

/// Copies contents, and learns how on the way.
pub struct ContentCopier<'a> {
    reflink: Reflink,
    watch: &'a Watch,
    /// The device of the last file whose file system shares no blocks with that of the copies.
    shares_none: Cell<Option<u64>>,
    /// Room to read into, made when it is needed.
    room: RefCell<Vec<u8>>,
}

impl<'a> ContentCopier<'a> {
    /// Copies as `reflink` says.
    pub fn new(reflink: Reflink, watch: &'a Watch) -> Self {
        Self {
            reflink,
            watch,
            shares_none: Cell::new(None),
            room: RefCell::default(),
        }
    }

    /// One for another thread.
    pub fn anew(&self) -> Self {
        Self::new(self.reflink, self.watch)
    }

    /// Copies the content of `source` to the empty file `to`, holes kept. `own`: one that was made for it.
    pub fn copy(
        &self,
        source: &Content,
        to: BorrowedFd<'_>,
        own: Option<&Own>,
    ) -> Result<(), Failure> {
        let copied = self.copy_content(source, to, own);
        if let Some(own) = own
            && copied.is_err()
        {
            let (size, blocks) = (source.stat().st_size as u64, source.stat().st_blocks as u64);
            let hole = rustix::fs::seek(source.fd(), SeekFrom::Hole(0)).unwrap_or(0);
            // One that does not say where its holes are has some that it does not tell of.
            if hole < size || blocks.saturating_mul(512) >= size {
                own.expect_no_hole(to, hole);
            }
        }
        copied
    }

    fn copy_content(
        &self,
        source: &Content,
        to: BorrowedFd<'_>,
        own: Option<&Own>,
    ) -> Result<(), Failure> {
        self.watch.check()?;
        let device = Some(source.stat().st_dev);
        if self.reflink != Reflink::Never && self.shares_none.get() != device {
            match share_content(source, to, self.watch) {
                Ok(()) => return Ok(()),
                Err(failure) if self.reflink == Reflink::Always => return Err(failure),
                // Other files of it will not share theirs either.
                Err(failure) if is_of_all_files(failure.errno) => self.shares_none.set(device),
                // This one may not.
                Err(_) => {}
            }
        }
        let from = source.fd();
        let mut room = self.room.borrow_mut();
        room.resize(READ_AT_ONCE, 0);
        let by_kernel = self.reflink != Reflink::Never;
        let watch = self.watch;
        let copier = Copier {
            from,
            to,
            by_kernel,
            zeros: Zeros::Written,
            room: &mut room,
            own,
            watch,
        };
        copy_stretches(copier, source.stat())
    }
}

fn copy_stretches(mut copier: Copier<'_>, stat: &Stat) -> Result<(), Failure> {
    let (from, to) = (copier.from, copier.to);
    let mut size = stat.st_size as u64;
    // Whether it has holes, wherever they are.
    let is_sparse = (stat.st_blocks as u64).saturating_mul(512) < size;
    // What takes as many blocks as it is long has no holes to be sought. With more blocks, some may be behind
    // its end: a file system keeps room for what is going to be appended.
    let is_dense = size > 0
        && size <= READ_AT_ONCE as u64
        && stat.st_blocks as u64 == size.div_ceil(BLOCK) * (BLOCK / 512);
    let mut position = 0;
    // Empty, or a file of /proc, which says so: only reading tells.
    while size == 0 {
        let copied = copier.read_and_write_once(position, READ_AT_ONCE)?;
        if copied == 0 {
            return Ok(());
        }
        position += copied;
        if position > MOST_WITHOUT_LENGTH {
            return Err(Errno::FBIG.into());
        }
        // One that has grown is copied up to the length it has now: it may grow for ever.
        size = rustix::fs::fstat(from)?.st_size as u64;
    }
    while position < size {
        let data = match is_dense {
            true => Some((position, size)),
            false => next_data(from, position, size)?,
        };
        let Some((start, end)) = data else {
            // A hole at the end is a length and no data.
            on_intr(|| rustix::fs::ftruncate(to, size))?;
            break;
        };
        // The file system may not say where they are: then what reads as zeros is left out, as by cp(1).
        let has_hidden_holes = is_sparse && (start, end) == (0, size);
        position = match has_hidden_holes {
            true => copier.leaving_out_zeros().read_and_write(start, end)?,
            false => copier.copy(start, end)?,
        };
        if has_hidden_holes {
            // What was left out at the end is a length and no data.
            on_intr(|| rustix::fs::ftruncate(to, position))?;
        }
        if position < end {
            // It shrank meanwhile: the copy ends where the file does.
            break;
        }
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

/// Whether ioctl_ficlone(2) says so of the two file systems, and not of one file.
fn is_of_all_files(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::XDEV | Errno::OPNOTSUPP | Errno::NOTTY | Errno::NOSYS
    )
}

/// ioctl_ficlone(2): the blocks of `source` become those of `to` as well.
fn share_content(source: &Content, to: BorrowedFd<'_>, watch: &Watch) -> Result<(), Failure> {
    rustix::fs::ioctl_ficlone(to, source.fd())?;
    watch.bytes_done(source.stat().st_size as u64);
    Ok(())
}

/// Fails where the two files can share no blocks, before anything is changed.
fn expect_sharing(source: &Content, to: BorrowedFd<'_>) -> Result<(), Failure> {
    match sys::ficlonerange_of_nothing(to, source.fd()) {
        Ok(()) | Err(Errno::INVAL | Errno::FBIG) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Shares the blocks of `source` behind the end of the old content, which is emptied next: a file that cannot share
/// them, or has no room for that, has lost nothing.
fn try_sharing(source: &Content, target: &Target<'_>) -> Result<(), Failure> {
    /// A multiple of all block sizes.
    const BLOCKS: u64 = 64 << 10;
    let size = target.stat().st_size as u64;
    let behind = size.next_multiple_of(BLOCKS);
    match sys::ficlonerange(target.fd(), source.fd(), behind) {
        // Behind the old content is beyond the longest file that this process may make.
        Ok(()) | Err(Errno::FBIG) => Ok(()),
        Err(errno) => {
            // A part of it may be shared where the whole is not. Other errors leave the file as it is: what is
            // behind its old end then was appended by others.
            let is_partial = matches!(
                errno,
                Errno::NOSPC | Errno::DQUOT | Errno::NOMEM | Errno::IO
            );
            if is_partial && rustix::fs::fstat(target.fd())?.st_size as u64 > behind {
                on_intr(|| rustix::fs::ftruncate(target.fd(), size))?;
            }
            Err(errno.into())
        }
    }
}

/// Two files, and how content gets from one to the other.
struct Copier<'a> {
    from: BorrowedFd<'a>,
    to: BorrowedFd<'a>,
    /// Whether the kernel may do it by itself: it may share blocks then.
    by_kernel: bool,
    zeros: Zeros,
    room: &'a mut [u8],
    /// The file that content gets to, if it was made for it.
    own: Option<&'a Own>,
    watch: &'a Watch,
}

/// What becomes of blocks of zeros that are read.
enum Zeros {
    Written,
    LeftOut,
}

impl Copier<'_> {
    fn leaving_out_zeros(&mut self) -> &mut Self {
        self.zeros = Zeros::LeftOut;
        self
    }

    /// A part is done, and another one follows.
    fn end_part(&self, position: u64) -> Result<(), Errno> {
        if let Some(own) = self.own {
            let length = match self.zeros {
                Zeros::Written => Some(position),
                Zeros::LeftOut => None,
            };
            own.wrote(self.to, length)?;
        }
        Ok(())
    }

    /// Copies from `start` up to `end` and says how far it got: less than `end` where the file ends.
    fn copy(&mut self, start: u64, end: u64) -> Result<u64, Failure> {
        if !self.by_kernel || end - start <= READ_AT_ONCE as u64 {
            return self.read_and_write(start, end);
        }
        let (mut read_at, mut write_at) = (start, start);
        while read_at < end {
            self.watch.check()?;
            begin_part(self.own, self.to)?;
            let wanted = usize::try_from(end - read_at).unwrap_or(usize::MAX);
            let wanted = wanted.min(COPY_AT_ONCE);
            let copied = on_intr(|| {
                let (from, to) = (Some(&mut read_at), Some(&mut write_at));
                rustix::fs::copy_file_range(self.from, from, self.to, to, wanted)
            });
            match copied {
                // The end; or a file system whose answer means nothing. Reading tells.
                Ok(0) => return self.read_and_write(read_at, end),
                Ok(copied) => self.watch.bytes_done(copied as u64),
                Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM) => {
                    return self.read_and_write(read_at, end);
                }
                Err(errno) => return Err(errno.into()),
            }
            if read_at < end {
                self.end_part(write_at)?;
            }
        }
        Ok(read_at)
    }

    fn read_and_write(&mut self, start: u64, end: u64) -> Result<u64, Failure> {
        let mut position = start;
        while position < end {
            let wanted = usize::try_from(end - position).unwrap_or(usize::MAX);
            match self.read_and_write_once(position, wanted)? {
                0 => break,
                copied => position += copied,
            }
            if position < end {
                self.end_part(position)?;
            }
        }
        Ok(position)
    }

    /// Copies what one read gives, and says how much that was.
    fn read_and_write_once(&mut self, position: u64, wanted: usize) -> Result<u64, Failure> {
        self.watch.check()?;
        let room = self.room.get_mut(..wanted.min(READ_AT_ONCE));
        let room = room.unwrap_or_default();
        let read = on_intr(|| rustix::io::pread(self.from, &mut *room, position))?;
        let read = room.get(..read).unwrap_or_default();
        begin_part(self.own, self.to)?;
        match self.zeros {
            Zeros::Written => write_all(self.to, read, position)?,
            Zeros::LeftOut => write_but_zeros(self.to, read, position)?,
        }
        self.watch.bytes_done(read.len() as u64);
        Ok(read.len() as u64)
    }
}

/// The next part is written to `to` now: others may have written since the last one.
fn begin_part(own: Option<&Own>, to: BorrowedFd<'_>) -> Result<(), Errno> {
    if let Some(own) = own {
        own.mark_if_changed(to)?;
        own.writes();
    }
    Ok(())
}

/// Writes `bytes` to `position`, but for blocks of zeros.
fn write_but_zeros(to: BorrowedFd<'_>, bytes: &[u8], mut position: u64) -> Result<(), Failure> {
    for block in bytes.chunks(BLOCK as usize) {
        if block.iter().any(|&byte| byte != 0) {
            write_all(to, block, position)?;
        }
        position += block.len() as u64;
    }
    Ok(())
}

/// Writes all of `bytes` to `position`.
fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8], mut position: u64) -> Result<(), Failure> {
    while !bytes.is_empty() {
        let written = on_intr(|| match rustix::io::pwrite(to, bytes, position) {
            // Only a strange file system takes nothing, and then for ever.
            Ok(0) => Err(Errno::IO),
            written => written,
        })?;
        bytes = bytes.get(written..).unwrap_or_default();
        position += written as u64;
    }
    Ok(())
}
