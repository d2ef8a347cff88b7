//! Files and what is in them: `open`, `readFile`, `writeFile`, `appendFile`, `truncate`, `fsync`.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::at::At;
use crate::error::{Call, Error, Failure, Reason, Result};
use crate::ops::Existing;
use crate::ops::draft::{Draft, Lock, Named};
use crate::ops::permissions::{Permissions, set_special, take_group, take_owner};
use crate::ops::target::{Detached, Own, Presence, Target};
use crate::ops::version::Version;
use crate::path::{Leaf, UserPath};
use crate::resolve::{Content, Entry, Place, Root};
use crate::retry::on_intr;
use crate::watch::Watch;

/// What `readFile` reads at the most unless told otherwise, in bytes: as Node.
pub const MOST_READ: u64 = i32::MAX as u64;

/// What one system call reads or writes at the most, in bytes: the work can be stopped between two of them.
const AT_ONCE: usize = 16 << 20;

/// What one read of a file of unknown length is asked for, in bytes.
const READ_AT_ONCE: usize = 64 << 10;

/// A file that says it is longer than it may be is read up to this length, in bytes, before it is refused: those of sysfs
/// say that they are a page long.
const READ_ANYWAY: u64 = 64 << 10;

/// open(2), with the flags of open(2). A directory can be opened too, as with Node; a FIFO, socket or
/// device cannot (`ENXIO`), unless with `O_PATH`, which opens no content.
pub fn open(root: &Root, path: &UserPath, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    Call::on("open", path).run(|| {
        if flags.contains(OFlags::PATH) {
            return root.handle(path, flags);
        }
        if flags.intersects(OFlags::CREATE | OFlags::TRUNC) {
            root.for_change()?;
        }
        // A file without a name; or what the kernel refuses.
        let is_directory = flags.contains(OFlags::DIRECTORY);
        if is_directory && flags.contains(OFlags::CREATE) {
            // As Linux since 6.4; before, a file was made and the call failed.
            root.parse(path)?;
            return Err(Errno::INVAL.into());
        }
        if is_directory || !flags.intersects(OFlags::CREATE | OFlags::TRUNC) {
            let file = root.content(path, flags - OFlags::TRUNC, mode)?;
            if flags.contains(OFlags::TRUNC) && file.is_directory() {
                return Err(Errno::ISDIR.into());
            }
            file.set_blocking(flags)?;
            return Ok(file.into_fd());
        }
        let place = Place { root, path };
        let target = Target::open(place, flags, mode, Presence::of(flags))?;
        // Not by the kernel's O_TRUNC: only what is known to be a regular file is emptied.
        target.into_fd(flags)
    })
}

/// truncate(2): the file must be there; a longer one is cut, a shorter one filled with zeros.
pub fn truncate(root: &Root, path: &UserPath, length: u64) -> Result<()> {
    Call::on("open", path).run(|| {
        let file = root.content(path, OFlags::WRONLY, Mode::empty())?;
        let cut = on_intr(|| rustix::fs::ftruncate(file.fd(), length));
        cut.map_err(|errno: Errno| Failure::from(errno).at_descriptor("ftruncate"))
    })
}

/// fsync(2) of a file or a directory.
pub fn fsync(root: &Root, path: &UserPath) -> Result<()> {
    Call::on("fsync", path).run(|| {
        let open = |flags| root.content(path, flags, Mode::empty());
        let file = open(OFlags::RDONLY).or_else(|failure| match failure.errno {
            // Any descriptor will do, and this is all that a file of mode 0200 lets us have.
            Errno::ACCESS if failure.reason.is_none() => open(OFlags::WRONLY).or(Err(failure)),
            _ => Err(failure),
        })?;
        Ok(on_intr(|| rustix::fs::fsync(file.fd()))?)
    })
}

/// How a file is read.
#[derive(Clone, Copy, Debug)]
pub struct ReadOptions {
    /// The longest content that is read, in bytes.
    pub most: u64,
    /// What is read at the most before that fails for [`Reason::TakesLong`], in bytes.
    pub short: u64,
}

/// A file that is open to be read as a whole.
pub struct Reading<'a> {
    call: Call<'a>,
    file: Content,
    options: ReadOptions,
}

impl<'a> Reading<'a> {
    /// Opens the file at `path`.
    pub fn open(root: &Root, path: &'a UserPath, options: ReadOptions) -> Result<Self> {
        let call = Call::on("open", path);
        let file = call.run(|| {
            let file = root.content(path, OFlags::RDONLY, Mode::empty())?;
            if file.is_directory() {
                return Err(Failure::from(Errno::ISDIR).at_descriptor("read"));
            }
            match file.stat().st_size as u64 {
                size if size > options.most.max(READ_ANYWAY) => Err(too_large(size, options.most)),
                size if size > options.short => Err(takes_long()),
                _ => Ok(file),
            }
        })?;
        Ok(Self {
            call,
            file,
            options,
        })
    }

    /// How long it was when it was opened, in bytes; 0 also where only reading tells.
    pub fn size(&self) -> u64 {
        self.file.stat().st_size as u64
    }

    /// All that is in it.
    pub fn all(&self, watch: &Watch) -> Result<Vec<u8>> {
        let (file, size) = (self.file.fd(), self.size());
        self.call.run(|| read_all(file, size, self.options, watch))
    }

    /// Fills `room` with it, and says how much of `room` is filled: less than all where the file has been cut.
    pub fn fill(&self, room: &mut [MaybeUninit<u8>], watch: &Watch) -> Result<usize> {
        let file = self.file.fd();
        self.call.run(|| {
            let mut filled = 0;
            while let Some(rest) = room.get_mut(filled..).filter(|rest| !rest.is_empty()) {
                watch.check()?;
                let length = rest.len().min(AT_ONCE);
                let rest = rest.get_mut(..length).unwrap_or_default();
                let read = on_intr(|| Ok(rustix::io::read(file, &mut *rest)?.0.len()));
                match read.map_err(read_failed)? {
                    0 => break,
                    read => filled += read,
                }
            }
            Ok(filled)
        })
    }

    /// The error of one for whose content there is no memory.
    pub fn no_memory(&self) -> Error {
        self.call.failed(read_failed(Errno::NOMEM))
    }
}

fn read_failed(errno: Errno) -> Failure {
    Failure::from(errno).at_descriptor("read")
}

fn takes_long() -> Failure {
    Failure::because(Errno::FBIG, Reason::TakesLong)
}

fn read_all(
    file: BorrowedFd<'_>,
    size: u64,
    options: ReadOptions,
    watch: &Watch,
) -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    let known = usize::try_from(size).map_err(|_| read_failed(Errno::NOMEM))?;
    loop {
        watch.check()?;
        let room = match known {
            // A file of /proc, which says it is empty: only reading tells.
            0 => READ_AT_ONCE,
            _ => known - content.len(),
        };
        if room == 0 {
            return Ok(content);
        }
        let reserved = content.try_reserve_exact(room);
        reserved.map_err(|_| read_failed(Errno::NOMEM))?;
        let read = on_intr(|| match room > AT_ONCE {
            true => read_a_part(file, &mut content),
            false => rustix::io::read(file, spare_capacity(&mut content)),
        });
        if read.map_err(read_failed)? == 0 {
            return Ok(content);
        }
        match content.len() as u64 {
            length if length > options.most => return Err(too_large(length, options.most)),
            length if length > options.short => return Err(takes_long()),
            _ => {}
        }
    }
}

/// Reads [`AT_ONCE`] bytes at the most, for which there is room.
fn read_a_part(file: BorrowedFd<'_>, content: &mut Vec<u8>) -> Result<usize, Errno> {
    let length = content.len();
    content.resize(length + AT_ONCE, 0);
    let read = rustix::io::read(file, content.get_mut(length..).unwrap_or_default());
    content.truncate(length + read.unwrap_or(0));
    read
}

fn too_large(size: u64, most: u64) -> Failure {
    Failure::because(Errno::FBIG, Reason::TooLarge { size, most })
}

/// How a file is written.
#[derive(Clone, Copy, Debug)]
pub struct WriteOptions {
    /// How it is opened, with the flags of open(2).
    pub flags: OFlags,
    /// The mode of a new file; `None` is 0o666.
    pub mode: Option<Mode>,
    /// Whether a new file takes the place of the old one when all is written.
    pub atomic: bool,
    /// Whether it is on the disk when this is done.
    pub flush: bool,
    /// What the file has to be that a new one takes the place of.
    pub version: Option<Version>,
}

impl WriteOptions {
    fn new_mode(&self) -> Mode {
        self.mode.unwrap_or(Mode::from_raw_mode(0o666))
    }

    fn presence(&self) -> Presence {
        Presence::of(self.flags)
    }
}

/// Writes `data` to a file. A newly created one is removed on failure.
pub fn write_file(
    place: Place<'_>,
    data: &[u8],
    options: WriteOptions,
    watch: &Watch,
) -> Result<()> {
    let mut kept = None;
    let done = Call::on("open", place.path).run(|| match options.atomic {
        true => {
            let entry = replaced(place, options)?;
            let replacement = Replacement::begin(place.root, entry, options)?;
            write_all(replacement.fd(), data, None, watch)?;
            replacement.finish(place.root, &mut kept)
        }
        false => write_in_place(place, data, options, watch),
    });
    done.map_err(|error| error.naming(place.path, kept))
}

/// A file that is written in parts. Dropped before it is finished, it leaves nothing that it made; what it wrote to
/// a file that was there stays.
pub struct Writer {
    path: UserPath,
    sink: Sink,
    flush: bool,
}

enum Sink {
    InPlace(Box<Detached>),
    Replacement(Box<Replacement<Entry<'static, 'static>>>),
}

impl Writer {
    /// Opens the file, as [`write_file`] does.
    pub fn open(place: Place<'_>, options: WriteOptions) -> Result<Self> {
        let sink = Call::on("open", place.path).run(|| {
            if options.atomic {
                let entry = replaced(place, options)?.detached()?;
                let replacement = Replacement::begin(place.root, entry, options)?;
                return Ok(Sink::Replacement(Box::new(replacement)));
            }
            let target =
                Target::open(place, options.flags, options.new_mode(), options.presence())?;
            let stat = *target.stat();
            if options.flags.contains(OFlags::TRUNC) && !is_directory(&stat) {
                target.empty()?;
            }
            let file = target.detached()?;
            match is_directory(&stat) {
                true => Err(Errno::ISDIR.into()),
                false => Ok(Sink::InPlace(Box::new(file))),
            }
        })?;
        Ok(Self {
            path: place.path.clone(),
            sink,
            flush: options.flush,
        })
    }

    /// Whether something is waited for in the end: the disk, or the lock of a directory.
    pub fn waits(&self) -> bool {
        let locks =
            matches!(&self.sink, Sink::Replacement(replacement) if replacement.condition.is_some());
        self.flush || locks
    }

    /// Writes the next part.
    pub fn write(&self, data: &[u8], watch: &Watch) -> Result<()> {
        let (fd, own) = match &self.sink {
            Sink::InPlace(file) => (file.fd(), file.own()),
            Sink::Replacement(replacement) => (replacement.fd(), None),
        };
        Call::on("open", &self.path).run(|| {
            let written = write_all(fd, data, own, watch);
            if let Some(own) = own {
                // Of a part that failed nobody knows how long it is.
                let length = written.is_ok().then(|| own.appended(0));
                let told = own.wrote(fd, length);
                written.and(told.map_err(Failure::from))?;
                return Ok(());
            }
            written
        })
    }

    /// All is written.
    pub fn finish(self, root: &Root) -> Result<()> {
        let Self { path, sink, flush } = self;
        let mut kept = None;
        let done = Call::on("open", &path).run(|| match sink {
            Sink::Replacement(replacement) => replacement.finish(root, &mut kept),
            Sink::InPlace(file) => {
                if flush {
                    self::flush(file.fd())?;
                }
                file.keep()
            }
        });
        done.map_err(|error| error.naming(&path, kept))
    }
}

fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

fn write_in_place(
    place: Place<'_>,
    data: &[u8],
    options: WriteOptions,
    watch: &Watch,
) -> Result<(), Failure> {
    let target = Target::open(place, options.flags, options.new_mode(), options.presence())?;
    target.fill(|target, fd| {
        if FileType::from_raw_mode(target.stat().st_mode) == FileType::Directory {
            return Err(Errno::ISDIR.into());
        }
        if options.flags.contains(OFlags::TRUNC) {
            target.empty()?;
        }
        let own = target.own();
        let written = write_all(fd, data, own, watch);
        if let Some(own) = own {
            match written {
                Err(_) => own.expect_no_hole(fd, u64::MAX),
                Ok(()) if options.flush => own.wrote(fd, Some(own.appended(0)))?,
                Ok(()) => {}
            }
        }
        written?;
        match options.flush {
            true => flush(fd),
            false => Ok(()),
        }
    })
}

/// The name that a new file is to get, in place of what has it.
fn replaced(place: Place<'_>, options: WriteOptions) -> Result<Entry<'_, '_>, Failure> {
    let is_new = options.presence() == Presence::New;
    let unnamed = if is_new { Errno::EXIST } else { Errno::ISDIR };
    let entry = place.root.for_change()?.entry(place.path, unnamed)?;
    match entry.wants_directory() {
        true => Err(Errno::ISDIR.into()),
        false => Ok(entry),
    }
}

/// The file that is replaced; the permissions that the new one gets, and its bits beside the nine.
type Finished = (Old, (Permissions, Mode));

/// Old or new, never a part: a new file is written without a name, and gets that of the old one.
struct Replacement<N: Named> {
    draft: Draft<N>,
    /// The directory that the name is in, if that is to be on the disk.
    directory: Option<OwnedFd>,
    /// What it has to replace, and the same directory, which is locked then.
    condition: Option<(Version, OwnedFd)>,
    /// What it replaces, and what it is to have in the end.
    finished: Option<Finished>,
    options: WriteOptions,
}

impl<N: Named> Replacement<N> {
    fn begin(root: &Root, named: N, options: WriteOptions) -> Result<Self, Failure> {
        let at = named.at();
        let old = match at.lstat() {
            Ok(_) if options.presence() == Presence::New => return Err(Errno::EXIST.into()),
            Ok(old) if FileType::from_raw_mode(old.st_mode) == FileType::Directory => {
                return Err(Errno::ISDIR.into());
            }
            Ok(old) => Some(old),
            Err(Errno::NOENT) => None,
            Err(errno) => return Err(errno.into()),
        };
        if let Some(version) = options.version
            && !old.is_some_and(|old| version.is(&old))
        {
            return Err(Failure::because(Errno::STALE, Reason::NotThatVersion));
        }
        // The name is on the disk when the directory is. Opened now, so that nothing has changed if it may
        // not be.
        let directory = match options.flush {
            true => Some(root.directory_of(at)?),
            false => None,
        };
        // One that may not be read cannot be locked.
        let condition = match options.version {
            Some(version) => Some((version, root.directory_of(at)?)),
            None => None,
        };
        let old = match old.map(|old| FileType::from_raw_mode(old.st_mode)) {
            Some(FileType::RegularFile) => Old::of(root, at)?,
            _ => None,
        };
        // What replaces a file gets its owner, so that it is narrow until then.
        let (mode, finished) = match (old, options.mode) {
            (None, _) => (options.new_mode(), None),
            (Some(old), Some(mode)) => {
                let made = made_with(root, at, mode)?;
                (mode & Mode::RWXU, Some((old, made)))
            }
            (Some(old), None) => {
                let permissions = old.permissions.clone();
                let narrow = permissions.narrow();
                (narrow, Some((old, (permissions, Mode::empty()))))
            }
        };
        Ok(Self {
            draft: Draft::new(root, named, mode)?,
            directory,
            condition,
            finished,
            options,
        })
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.draft.fd()
    }

    /// Gives it its name. `kept`: see [`Draft::publish_over`].
    fn finish(mut self, root: &Root, kept: &mut Option<Leaf<'static>>) -> Result<(), Failure> {
        self.ask_again(root)?;
        self.give()?;
        if self.options.flush {
            flush(self.fd())?;
            // That may have taken long.
            if self.ask_again(root)? {
                self.give()?;
                flush(self.fd())?;
            }
        }
        let Self {
            draft,
            directory,
            condition,
            options,
            ..
        } = self;
        let taken = match options.presence() {
            Presence::New => Existing::Refuse,
            _ => Existing::Replace,
        };
        match condition {
            Some((version, directory)) => {
                draft.publish_over(Lock::take(directory)?, &version, kept)?;
            }
            None => draft.publish(taken).map_err(|errno| match errno {
                Errno::EXIST | Errno::ISDIR => errno.into(),
                _ => Failure::from(errno).at("rename"),
            })?,
        }
        if let Some(directory) = directory {
            on_intr(|| rustix::fs::fsync(&directory))?;
        }
        Ok(())
    }

    /// Looks at what is to be replaced now that the content is there: its owner may have shut it, or somebody may have
    /// put another file there. What the new one is to have gives nobody more than that does then. Whether that is news.
    fn ask_again(&mut self, root: &Root) -> Result<bool, Failure> {
        // What replaces a version, or nothing, fails where something has changed.
        if self.condition.is_some() || self.options.presence() == Presence::New {
            return Ok(false);
        }
        let at = self.draft.at();
        match at.lstat() {
            Ok(now) if FileType::from_raw_mode(now.st_mode) != FileType::RegularFile => {
                return Ok(false);
            }
            Ok(now) if self.finished.as_ref().is_some_and(|(old, _)| old.is(&now)) => {
                return Ok(false);
            }
            Err(Errno::NOENT) => return Ok(false),
            now => now?,
        };
        let Some(old) = Old::of(root, at)? else {
            return Ok(false);
        };
        let (permissions, more) = match self.finished.take() {
            Some((_, given)) => given,
            None => {
                let stat = rustix::fs::fstat(self.fd())?;
                let permissions = Permissions::of(self.fd(), &stat)?;
                // Until it has its owner and its group, it is no more open than one that replaces a file from the start.
                on_intr(|| rustix::fs::fchmod(self.fd(), permissions.narrow()))?;
                (permissions, Mode::from_raw_mode(stat.st_mode & 0o7000))
            }
        };
        let permissions = match self.options.mode {
            Some(_) => permissions,
            None => permissions.shared_with(&old.permissions),
        };
        self.finished = Some((old, (permissions, more)));
        Ok(true)
    }

    /// Gives the new file what it is to have of the old one.
    fn give(&self) -> Result<(), Failure> {
        let Some((old, (permissions, more))) = &self.finished else {
            return Ok(());
        };
        let now = take_group(self.fd(), &old.stat)?;
        let is_given = now.st_uid == old.stat.st_uid;
        // Nothing is setuid for one who is not going to have it.
        let first = if is_given { *more } else { Mode::empty() };
        match now.st_gid == old.stat.st_gid || self.options.mode.is_some() {
            true => permissions.apply(self.fd(), first)?,
            false => permissions.of_another_group().apply(self.fd(), first)?,
        }
        if is_given {
            return Ok(());
        }
        take_owner(self.fd(), now, &old.stat)?;
        match more.is_empty() {
            true => Ok(()),
            false => set_special(self.fd(), *more),
        }
    }
}

/// What a file has that is made beside `at` with `mode`: what the umask, or a default ACL, leaves of that.
fn made_with(root: &Root, at: At<'_>, mode: Mode) -> Result<(Permissions, Mode), Failure> {
    let model = Draft::new(root, at, mode)?;
    let stat = rustix::fs::fstat(model.fd())?;
    let special = Mode::from_raw_mode(stat.st_mode & 0o7000);
    Ok((Permissions::of(model.fd(), &stat)?, special))
}

/// The file that a new one replaces.
struct Old {
    stat: Stat,
    permissions: Permissions,
}

impl Old {
    /// Whether `now` is of this file as it was.
    fn is(&self, now: &Stat) -> bool {
        let of = |stat: &Stat| {
            let changed = (stat.st_ctime, stat.st_ctime_nsec);
            (
                stat.st_dev,
                stat.st_ino,
                stat.st_mode,
                stat.st_uid,
                stat.st_gid,
                changed,
            )
        };
        of(&self.stat) == of(now)
    }

    /// The file called `at`, which may be unreadable; `None` if it is gone by now.
    fn of(root: &Root, at: At<'_>) -> Result<Option<Self>, Failure> {
        if let Ok(content) = root.content_at(at) {
            let stat = *content.stat();
            let permissions = Permissions::of(content.fd(), &stat)?;
            return Ok(Some(Self { stat, permissions }));
        }
        let handle = match root.handle_at(at) {
            Err(failure) if matches!(failure.errno, Errno::NOENT | Errno::LOOP) => return Ok(None),
            handle => handle?,
        };
        let stat = rustix::fs::fstat(&handle)?;
        let permissions = Permissions::of_o_path(handle.as_fd(), &stat)?;
        Ok(Some(Self { stat, permissions }))
    }
}

/// Writes `data` to `fd`. `own`: one that was made for it.
fn write_all(
    fd: BorrowedFd<'_>,
    mut data: &[u8],
    own: Option<&Own>,
    watch: &Watch,
) -> Result<(), Failure> {
    while !data.is_empty() {
        watch.check()?;
        if let Some(own) = own {
            own.mark_if_changed(fd)?;
            own.writes();
        }
        let part = data.get(..AT_ONCE).unwrap_or(data);
        let written = on_intr(|| match rustix::io::write(fd, part) {
            // Only a strange file system takes nothing, and then for ever.
            Ok(0) => Err(Errno::IO),
            written => written,
        });
        let written = written.map_err(|errno| Failure::from(errno).at_descriptor("write"))?;
        data = data.get(written..).unwrap_or_default();
        if let Some(own) = own {
            let length = own.appended(written as u64);
            if !data.is_empty() {
                own.wrote(fd, Some(length))?;
            }
        }
    }
    Ok(())
}

fn flush(fd: BorrowedFd<'_>) -> Result<(), Failure> {
    let synced = on_intr(|| rustix::fs::fsync(fd));
    synced.map_err(|errno| Failure::from(errno).at_descriptor("fsync"))
}
