//! `cp`: copying a file, a link, or a whole tree.
//!
//! The source is gone through by [`Walk`]; beside it goes a second way down, through the copy. What is
//! made is made by name in an open directory of the copy, so nothing that others rename leads it astray.

use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{FileType, Gid, Mode, OFlags, RenameFlags, Stat, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use crate::at::At;
use crate::error::{Call, Failure, Reason, Result};
use crate::ops::attributes::{self, Which};
use crate::ops::copy::{ContentCopier, Reflink};
use crate::ops::draft::{Draft, Taken, with_temporary_name};
use crate::ops::metadata::{chown_fd, utimes_fd};
use crate::ops::permissions::{Permissions, take_owner};
use crate::ops::target::is_same_file;
use crate::ops::tree::levels::{Above, Id, Level, Levels, OPEN_LEVELS_SHARED};
use crate::ops::tree::walk::{Down, Found, Stopped, Visitor, Walk};
use crate::path::{Leaf, Unnamed, UserPath};
use crate::resolve::{Content, Entry, Place, Root};
use crate::retry::{TRIES, rest};
use crate::sys;
use crate::watch::Watch;

/// How a tree is copied.
#[derive(Clone, Debug)]
pub struct CopyTreeOptions {
    /// Whether a directory may be copied.
    pub recursive: bool,
    /// What becomes of a file that is there.
    pub existing: Existing,
    /// Whether blocks are shared.
    pub reflink: Reflink,
    /// What a copy has of its original beside the content and the nine permission bits.
    pub keep: Keep,
    /// What becomes of a directory on which something is mounted, if that is not gone into.
    pub mount_points: MountPoints,
    /// The ways from the top to what is copied, that of the top being empty; `None`: to everything.
    pub only: Option<HashSet<Vec<u8>>>,
}

/// What becomes of a file that has the name of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It is replaced.
    Replace,
    /// It stays.
    Skip,
    /// It stays: `EEXIST`.
    Refuse,
}

/// What becomes of a mount point that is not gone into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountPoints {
    /// It is copied as an empty directory, as by `cp -x`.
    Empty,
    /// It is `EBUSY`.
    Refuse,
}

/// What a copy has of its original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing more.
    Nothing,
    /// When it was last read and changed.
    Times,
    /// Those, and as far as we may: whom it belongs to, all twelve bits of the mode, and extended attributes.
    Everything,
}

/// Copies what is at `from` to `to`. Links are copied as links.
pub fn copy_tree(
    from: Place<'_>,
    to: Place<'_>,
    options: &CopyTreeOptions,
    watch: &Watch,
) -> Result<()> {
    let call = Call::between("cp", from.path, to.path);
    let failed = |failure: Failure| call.failed(failure);
    if let Err(errno) = to.root.for_change() {
        return Err(failed(errno.into()));
    }
    let source = Source::find(from).map_err(failed)?;
    if is_left_out(options, b"") {
        return Ok(());
    }
    if let Source::Directory(listing) = &source {
        not_into_itself(listing.as_fd(), to).map_err(failed)?;
    }
    let copied = match Destination::find(to).map_err(failed)? {
        Destination::Name(entry)
            if entry.wants_directory() && matches!(source, Source::Name(..)) =>
        {
            Err(Stopped::at_top(Errno::NOTDIR))
        }
        Destination::Name(entry) => {
            let base = to.path.clone();
            copy_to(from.root, source, to.root, entry.at(), base, options, watch)
        }
        Destination::Directory(top) => match source {
            Source::Directory(listing) if options.recursive => {
                let mut copy = Copy::new(from.root, to.root, to.path.clone(), options, watch);
                copy.tree(listing, top, None)
            }
            _ => Err(Stopped::at_top(Errno::ISDIR)),
        },
    };
    copied.map_err(|stopped| stopped.into_error(&call))
}

/// Refuses a copy of the directory `source` to a place beneath it, before anything is made there.
fn not_into_itself(source: BorrowedFd<'_>, to: Place<'_>) -> Result<(), Failure> {
    let source = Id::of(source)?;
    let mut is_above = Id::of(to.root.fd()?)? == source;
    let path = to.root.parse(to.path)?;
    let parents = path.prefixes().rev().skip(1);
    for parent in parents {
        is_above |= Id::of(to.root.directory(&parent)?.as_fd())? == source;
    }
    // Where `..` leads to may be above the source again.
    match is_above && path.unnamed() != Some(Unnamed::DotDot) {
        true => Err(into_itself()),
        false => Ok(()),
    }
}

fn into_itself() -> Failure {
    Failure::because(Errno::INVAL, Reason::IntoItself)
}

/// Copies `source` to the name `dest`; `base` is the path of that beneath the root `to`.
pub(super) fn copy_to(
    from: &Root,
    source: Source<'_, '_>,
    to: &Root,
    dest: At<'_>,
    base: UserPath,
    options: &CopyTreeOptions,
    watch: &Watch,
) -> Result<(), Stopped> {
    let mut copy = Copy::new(from, to, base, options, watch);
    match source {
        Source::Directory(_) if !options.recursive => Err(Stopped::at_top(Errno::ISDIR)),
        Source::Directory(listing) => {
            let made = copy.job.directory(dest, listing.as_fd());
            let (top, made) = made.map_err(Stopped::at_top)?;
            copy.tree(listing, top, made)
        }
        Source::Name(entry, stat) => match copy.job.one(entry.at(), kind_of(&stat), dest, Vec::new)
        {
            Ok(Down::Stay) => Ok(()),
            Ok(Down::Enter) => Err(Stopped::at_top(Errno::BUSY)),
            Err(failure) => Err(Stopped::at_top(failure)),
        },
    }
}

/// What is to be copied.
pub(super) enum Source<'r, 'p> {
    /// A directory, open to be read.
    Directory(OwnedFd),
    /// A name that is no directory, and what it is.
    Name(Entry<'r, 'p>, Stat),
}

impl<'r, 'p> Source<'r, 'p> {
    /// What is at `place`.
    pub(super) fn find(place: Place<'r>) -> Result<Self, Failure>
    where
        'r: 'p,
    {
        let Place { root, path } = place;
        let parsed = root.parse(path)?;
        if !parsed.has_leaf() || parsed.wants_directory() {
            return Ok(Self::Directory(root.listing(path)?));
        }
        Self::named(root, root.entry_of(parsed, Errno::BUSY)?)
    }

    /// What has the name `entry`, in a tree of `root`.
    pub(super) fn named(root: &Root, entry: Entry<'r, 'p>) -> Result<Self, Failure> {
        for round in 0..TRIES {
            rest(round);
            let stat = entry.at().lstat()?;
            if kind_of(&stat) != FileType::Directory {
                return Ok(Self::Name(entry, stat));
            }
            match root.listing_at(entry.at()) {
                // It is no directory any more.
                Err(failure) if matches!(failure.errno, Errno::NOTDIR | Errno::LOOP) => {}
                listing => return Ok(Self::Directory(listing?)),
            }
        }
        Err(Errno::BUSY.into())
    }

    /// Holds a directory open beyond the copy.
    pub(super) fn hold(&self) -> rustix::io::Result<Option<OwnedFd>> {
        match self {
            Self::Directory(listing) => rustix::io::fcntl_dupfd_cloexec(listing, 0).map(Some),
            Self::Name(..) => Ok(None),
        }
    }

    /// What it is recognised by.
    pub(super) fn id(&self) -> rustix::io::Result<Id> {
        match self {
            Self::Directory(listing) => Id::of(listing.as_fd()),
            Self::Name(_, stat) => Ok(stat.into()),
        }
    }
}

/// What a copy may have of its original.
struct Original {
    stat: Stat,
    permissions: Permissions,
}

impl Original {
    /// Of the open file or directory `fd`.
    fn of(fd: BorrowedFd<'_>) -> Result<Self, Failure> {
        let stat = rustix::fs::fstat(fd)?;
        let permissions = Permissions::of(fd, &stat)?;
        Ok(Self { stat, permissions })
    }
}

/// Where it is to be.
enum Destination<'r, 'p> {
    /// The root itself, or what `..` leads to: it is there.
    Directory(OwnedFd),
    Name(Entry<'r, 'p>),
}

impl<'r> Destination<'r, 'r> {
    fn find(place: Place<'r>) -> Result<Self, Failure> {
        let parsed = place.root.parse(place.path)?;
        match parsed.has_leaf() {
            true => Ok(Self::Name(place.root.entry_of(parsed, Errno::BUSY)?)),
            false => Ok(Self::Directory(place.root.directory(&parsed)?)),
        }
    }
}

fn is_left_out(options: &CopyTreeOptions, way: &[u8]) -> bool {
    options
        .only
        .as_ref()
        .is_some_and(|only| !only.contains(way))
}

/// A copy of a tree that is being made.
struct Copy<'a> {
    job: Job<'a>,
    /// The way down through the copy, beside that of the source; the original of each directory that
    /// was made.
    levels: Levels<Option<Original>>,
    /// The top of the copy.
    top: Option<Id>,
}

/// How one thing is copied.
struct Job<'a> {
    from: &'a Root,
    to: &'a Root,
    /// The path of the copy beneath `to`.
    base: UserPath,
    options: &'a CopyTreeOptions,
    watch: &'a Watch,
    contents: ContentCopier<'a>,
    /// The files copied so far that have more names, which may come yet.
    linked: Arc<Mutex<HashMap<Id, Linked>>>,
}

/// The first copy of a file with several names.
struct Linked {
    copy: Id,
    way: Vec<u8>,
}

impl<'a> Copy<'a> {
    fn new(
        from: &'a Root,
        to: &'a Root,
        base: UserPath,
        options: &'a CopyTreeOptions,
        watch: &'a Watch,
    ) -> Self {
        let linked = Arc::default();
        Self {
            job: Job {
                from,
                to,
                base,
                options,
                watch,
                contents: ContentCopier::new(options.reflink, watch),
                linked,
            },
            levels: Levels::default(),
            top: None,
        }
    }

    /// Copies what is in the directory `source` into the directory `top`; `made`: the original of the
    /// latter, if it was made for it.
    fn tree(
        &mut self,
        source: OwnedFd,
        top: OwnedFd,
        made: Option<Original>,
    ) -> Result<(), Stopped> {
        let id = Id::of(top.as_fd()).map_err(Stopped::at_top)?;
        if Id::of(source.as_fd()).map_err(Stopped::at_top)? == id {
            return Err(Stopped::at_top(into_itself()));
        }
        self.top = Some(id);
        let level = Level::new(CString::default(), top, made);
        self.levels.enter(level).map_err(Stopped::at_top)?;
        let mut walk = Walk::new(source).map_err(Stopped::at_top)?;
        let (from, watch) = (self.job.from, self.job.watch);
        let done = walk.finish(from, self, watch);
        // What was not finished is left with the modes that it is to have.
        while !self.levels.is_empty() {
            let _ = self.go_up();
        }
        done
    }

    /// Goes down into the copy of a directory.
    fn go_down(&mut self, name: &CStr, original: BorrowedFd<'_>) -> Result<(), Failure> {
        if self.top == Some(Id::of(original)?) {
            return Err(into_itself());
        }
        let (Some(leaf), Some(above)) = (
            Leaf::listed(name),
            self.levels.innermost().and_then(Level::fd),
        ) else {
            return Err(Errno::BUSY.into());
        };
        let (fd, made) = self.job.directory(At::new(above, &leaf), original)?;
        Ok(self.levels.enter(Level::new(name.to_owned(), fd, made))?)
    }

    fn go_up(&mut self) -> Result<(), Failure> {
        let Some((left, above)) = self.levels.leave(self.job.to) else {
            return Ok(());
        };
        if let (Some(original), Some(fd)) = (&left.state, left.fd()) {
            self.job.finish_fd(fd, original, None)?;
        }
        self.job.watch.entry_done();
        match above {
            Above::Lost => Err(Errno::BUSY.into()),
            _ => Ok(()),
        }
    }
}

impl Visitor for Copy<'_> {
    fn found(&mut self, found: &Found<'_>) -> Result<Down, Failure> {
        if self.job.options.only.is_some() && is_left_out(self.job.options, &found.way_to()) {
            return Ok(Down::Stay);
        }
        if found.kind == FileType::Directory {
            return Ok(Down::Enter);
        }
        let (Some(leaf), Some(dir)) = (
            Leaf::listed(found.name),
            self.levels.innermost().and_then(Level::fd),
        ) else {
            return Err(Errno::BUSY.into());
        };
        let dest = At::new(dir, &leaf);
        match self.job.one(found.at, found.kind, dest, || found.way_to()) {
            // Somebody removed it since it was listed.
            Err(failure) if failure.errno == Errno::NOENT && found.at.is_gone() => Ok(Down::Stay),
            done => done,
        }
    }

    fn entered(&mut self, name: &CStr, dir: BorrowedFd<'_>) -> Result<(), Failure> {
        self.go_down(name, dir)
    }

    fn left(&mut self) -> Result<(), Failure> {
        self.go_up()
    }

    fn mount_point(&mut self, name: &CStr) -> Result<(), Failure> {
        if self.job.options.mount_points == MountPoints::Refuse {
            return Err(Errno::BUSY.into());
        }
        let (Some(leaf), Some(above)) = (
            Leaf::listed(name),
            self.levels.innermost().and_then(Level::fd),
        ) else {
            return Err(Errno::BUSY.into());
        };
        // As `cp -x`. What is mounted there is not even looked at, so that it has a mode of its own.
        match At::new(above, &leaf).mkdir(Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn lost(&mut self) -> Result<(), Failure> {
        Err(Errno::BUSY.into())
    }

    fn part(&mut self) -> Option<Self> {
        self.levels.keep_open(OPEN_LEVELS_SHARED).ok()?;
        let here = self.levels.innermost().and_then(Level::fd)?;
        let here = rustix::io::fcntl_dupfd_cloexec(here, 0).ok()?;
        let Job {
            from,
            to,
            base,
            options,
            watch,
            linked,
            ..
        } = &self.job;
        let mut part = Self::new(from, to, base.clone(), options, watch);
        part.job.linked = Arc::clone(linked);
        part.top = self.top;
        part.levels.keep_open(OPEN_LEVELS_SHARED).ok()?;
        // Whoever made it sets what it is to have.
        part.levels
            .enter(Level::new(CString::default(), here, None))
            .ok()?;
        Some(part)
    }

    fn join(&mut self, mut part: Self) -> Result<(), Failure> {
        // What was not finished is left with the modes that it is to have.
        while part.levels.depth() > 1 {
            let _ = part.go_up();
        }
        Ok(())
    }
}

/// What has the name of a copy already.
enum Clash {
    /// It is to be replaced.
    Replace,
    /// It is to stay.
    Stay,
}

impl Job<'_> {
    /// Makes the copy of a directory, or finds one there. Its original, if it was made.
    fn directory(
        &self,
        dest: At<'_>,
        original: BorrowedFd<'_>,
    ) -> Result<(OwnedFd, Option<Original>), Failure> {
        // Ours to fill, whatever the original forbids. What it allows is set at the end.
        match dest.mkdir(Mode::RWXU) {
            Ok(()) => {
                let made = self.to.listing_at(dest)?;
                if self.options.keep == Keep::Everything {
                    attributes::copy(original, made.as_fd(), Which::OfAnyOwner);
                    attributes::copy(original, made.as_fd(), Which::OfThisOwner);
                }
                Ok((made, Some(Original::of(original)?)))
            }
            Err(Errno::EXIST) => match self.to.directory_at(dest) {
                // A symlink, too, is no directory to copy into.
                Err(failure) if failure.errno == Errno::LOOP => Err(Errno::NOTDIR.into()),
                fd => Ok((fd?, None)),
            },
            Err(errno) => Err(errno.into()),
        }
    }

    /// Copies anything but a directory, of the type that it was listed as or another; for a directory
    /// the answer is to go into it. `way`: from the top to it.
    fn one(
        &mut self,
        source: At<'_>,
        mut kind: FileType,
        dest: At<'_>,
        way: impl Fn() -> Vec<u8>,
    ) -> Result<Down, Failure> {
        for round in 0..TRIES {
            rest(round);
            let copied = match kind {
                FileType::Directory => return Ok(Down::Enter),
                FileType::RegularFile => match self.from.content_at(source) {
                    Ok(content) if !content.is_directory() => self.file(&content, dest, &way),
                    Ok(_) => Err(Errno::ISDIR.into()),
                    Err(failure) => Err(failure),
                },
                FileType::Symlink => self.symlink(source, dest),
                FileType::Fifo => self.fifo(source, dest),
                _ => Err(Failure::because(Errno::NXIO, Reason::NotARegularFile)),
            };
            let Err(failure) = copied else {
                self.watch.entry_done();
                return Ok(Down::Stay);
            };
            let now = kind_of(&source.lstat()?);
            // It was something else in between, and is what it was again.
            let flipped = failure.reason.is_none()
                && matches!(
                    (kind, failure.errno),
                    (FileType::RegularFile, Errno::LOOP) | (FileType::Symlink, Errno::INVAL)
                );
            if now == kind && !flipped {
                let is_mount = failure.reason == Some(Reason::OutsideSandbox);
                return Err(match self.options.mount_points {
                    MountPoints::Refuse if is_mount => Errno::BUSY.into(),
                    _ => failure,
                });
            }
            kind = now;
        }
        Err(Errno::BUSY.into())
    }

    fn file(
        &mut self,
        content: &Content,
        dest: At<'_>,
        way: impl Fn() -> Vec<u8>,
    ) -> Result<(), Failure> {
        let permissions = Permissions::of(content.fd(), content.stat())?;
        let original = &Original {
            stat: *content.stat(),
            permissions,
        };
        let shared = Arc::clone(&self.linked);
        // Held for as long as the first copy is made: another thread may come to another name of it.
        let mut linked = match original.stat.st_nlink > 1 {
            true => Some(shared.lock().unwrap_or_else(PoisonError::into_inner)),
            false => None,
        };
        if let Some(first) = linked
            .as_ref()
            .and_then(|linked| linked.get(&(&original.stat).into()))
            && self.link(first, &original.stat, dest)?
        {
            return Ok(());
        }
        // As its owner: extended attributes are set by permission to write.
        let narrow = match self.options.keep {
            Keep::Everything => Mode::RUSR | Mode::WUSR,
            _ => original.permissions.narrow(),
        };
        let fill = |fd: BorrowedFd<'_>| -> Result<(), Failure> {
            self.contents.copy(content, fd)?;
            if self.options.keep == Keep::Everything {
                attributes::copy(content.fd(), fd, Which::OfAnyOwner);
            }
            self.finish_fd(fd, original, Some(content.fd()))
        };
        let copy = match self.to.create_at(dest, OFlags::WRONLY, narrow) {
            Ok(fd) => fill_new(dest, fd, fill)?,
            Err(failure) if failure.errno == Errno::EXIST => {
                match self.clash(dest, &original.stat)? {
                    Clash::Stay => return Ok(()),
                    Clash::Replace => {
                        let draft = Draft::new(self.to, dest, narrow)?;
                        fill(draft.fd())?;
                        let id = Id::of(draft.fd())?;
                        draft.publish(Taken::Replace)?;
                        id
                    }
                }
            }
            Err(failure) => return Err(failure),
        };
        if let Some(linked) = &mut linked {
            let way = way();
            linked.insert((&original.stat).into(), Linked { copy, way });
        }
        Ok(())
    }

    /// Gives the copy of a file that was copied under another name this one too. False if it was not,
    /// or if its copy is not where it was made.
    fn link(&self, first: &Linked, original: &Stat, dest: At<'_>) -> Result<bool, Failure> {
        let Linked { copy, way } = first;
        // The top has no name of its own below itself, and a path can be too long to be resolved.
        let Ok(path) = UserPath::new(self.base.join(way)) else {
            return Ok(false);
        };
        let Ok(first) = self.to.entry(&path, Errno::BUSY) else {
            return Ok(false);
        };
        let linked = self.make(dest, original, |at| {
            first.at().link(at)?;
            // Believed only if it is the copy: the name may lead to anything by now.
            match at.lstat() {
                Ok(stat) if Id::from(&stat) == *copy => Ok(()),
                _ => {
                    at.unlink()?;
                    Err(Errno::STALE.into())
                }
            }
        });
        match linked {
            Ok(()) => Ok(true),
            Err(failure) if matches!(failure.errno, Errno::STALE | Errno::NOENT | Errno::MLINK) => {
                Ok(false)
            }
            Err(failure) => Err(failure),
        }
    }

    fn symlink(&self, source: At<'_>, dest: At<'_>) -> Result<(), Failure> {
        let original = source.lstat()?;
        let target = source.readlink()?;
        self.make(dest, &original, |at| {
            at.symlink(&target)?;
            self.finish_symlink(at, &original)
        })
    }

    fn fifo(&self, source: At<'_>, dest: At<'_>) -> Result<(), Failure> {
        let handle = self.from.handle_at(source)?;
        let stat = rustix::fs::fstat(&handle)?;
        if kind_of(&stat) != FileType::Fifo {
            return Err(Errno::INVAL.into());
        }
        let permissions = Permissions::of_o_path(handle.as_fd(), &stat)?;
        let original = Original { stat, permissions };
        self.make(dest, &stat, |at| {
            at.mkfifo(Mode::RUSR | Mode::WUSR)?;
            let fifo = self.to.made_at(at, FileType::Fifo)?;
            self.finish_fd(fifo.as_fd(), &original, None)
        })
    }

    /// Makes something without content called `dest`; where that is taken, under a temporary name
    /// first, to replace it in one step.
    fn make(
        &self,
        dest: At<'_>,
        original: &Stat,
        make: impl Fn(At<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match make(dest) {
            Err(failure) if failure.errno == Errno::EXIST => {}
            done => return done,
        }
        match self.clash(dest, original)? {
            Clash::Stay => Ok(()),
            Clash::Replace => {
                let ((), leaf) = with_temporary_name(dest, make)?;
                let temporary = dest.beside(&leaf);
                let renamed = temporary.rename(dest, RenameFlags::empty());
                // Where it failed; and where both are one file already, rename(2) leaves both names.
                if renamed.is_err() || original.st_nlink > 1 {
                    let _ = temporary.unlink();
                }
                Ok(renamed?)
            }
        }
    }

    /// What is to become of what has the name of a copy.
    fn clash(&self, dest: At<'_>, original: &Stat) -> Result<Clash, Failure> {
        let there = dest.lstat()?;
        if is_same_file(&there, original) {
            return Err(Failure::because(Errno::INVAL, Reason::SameFile));
        }
        if kind_of(&there) == FileType::Directory {
            return Err(Errno::ISDIR.into());
        }
        match self.options.existing {
            Existing::Replace => Ok(Clash::Replace),
            Existing::Skip => Ok(Clash::Stay),
            Existing::Refuse => Err(Errno::EXIST.into()),
        }
    }

    /// Gives an open file, or directory, what it is to have of its original.
    /// `content`: that of the original, where it has some.
    fn finish_fd(
        &self,
        fd: BorrowedFd<'_>,
        original: &Original,
        content: Option<BorrowedFd<'_>>,
    ) -> Result<(), Failure> {
        let Original { stat, permissions } = original;
        if self.options.keep == Keep::Everything {
            let now = take_owner(fd, stat)?;
            if now.st_gid != stat.st_gid {
                permissions.of_another_group().apply(fd, Mode::empty())?;
            } else if now.st_uid != stat.st_uid {
                // What is not its old owner's is not setuid either.
                permissions.apply(fd, Mode::empty())?;
            } else {
                if let Some(content) = content {
                    attributes::copy(content, fd, Which::OfThisOwner);
                }
                permissions.apply(fd, Mode::from_raw_mode(stat.st_mode & 0o7000))?;
            }
        } else {
            let more = match kind_of(stat) {
                // What a directory has of the one that it is in.
                FileType::Directory => {
                    Mode::from_raw_mode(rustix::fs::fstat(fd)?.st_mode) & Mode::SGID
                }
                _ => Mode::empty(),
            };
            permissions.apply(fd, more)?;
        }
        if self.options.keep != Keep::Nothing {
            utimes_fd(fd, &times(stat))?;
        }
        Ok(())
    }

    /// The same for a symlink that was made this moment.
    fn finish_symlink(&self, at: At<'_>, original: &Stat) -> Result<(), Failure> {
        if self.options.keep == Keep::Nothing {
            return Ok(());
        }
        let symlink = self.to.made_at(at, FileType::Symlink)?;
        if self.options.keep == Keep::Everything {
            let (user, group) = owner(original);
            let _ = chown_fd(symlink.as_fd(), user, group);
        }
        utimes_fd(symlink.as_fd(), &times(original))
    }
}

/// Fills a file that was made for it. If that fails it goes again, where it still has its name.
fn fill_new(
    at: At<'_>,
    fd: OwnedFd,
    fill: impl FnOnce(BorrowedFd<'_>) -> Result<(), Failure>,
) -> Result<Id, Failure> {
    let id = match Id::of(fd.as_fd()) {
        Ok(id) => id,
        Err(errno) => {
            // What was made this moment goes again; the error is what is told.
            let _ = at.unlink();
            return Err(errno.into());
        }
    };
    let filled = fill(fd.as_fd()).and_then(|()| Ok(sys::close(fd)?));
    if filled.is_err() && at.lstat().map(|stat| Id::from(&stat)) == Ok(id) {
        let _ = at.unlink();
    }
    filled.map(|()| id)
}

fn kind_of(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn owner(stat: &Stat) -> (Option<Uid>, Option<Gid>) {
    (
        Some(Uid::from_raw(stat.st_uid)),
        Some(Gid::from_raw(stat.st_gid)),
    )
}

fn times(stat: &Stat) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: stat.st_atime as _,
            tv_nsec: stat.st_atime_nsec as _,
        },
        last_modification: Timespec {
            tv_sec: stat.st_mtime as _,
            tv_nsec: stat.st_mtime_nsec as _,
        },
    }
}
