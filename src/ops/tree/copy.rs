//! `cp`: copying a file, a link, or a whole tree.
//!
//! The source is gone through by [`Walk`]; beside it goes a second way down, through the copy. What is
//! made is made by name in an open directory of the copy, so nothing that others rename leads it astray.
//! How one entry is copied is in [`copy_entry`](super::copy_entry).

use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{FileType, Mode, Stat};
use rustix::io::Errno;

use crate::at::At;
use crate::error::{Call, Failure, MOST_ENTRIES, Reason, Result};
use crate::ops::Existing;
use crate::ops::copy::Reflink;
use crate::ops::draft::with_temporary_name;
use crate::ops::tree::copy_entry::{self, EntryCopier, Keep, Original, kind_of};
use crate::ops::tree::levels::{Above, Id, Level, Levels, OPEN_LEVELS_SHARED};
use crate::ops::tree::only::Only;
use crate::ops::tree::record::{Listed, Record, State};
use crate::ops::tree::staged::{Publishing, can_be_published, copy_and_publish};
use crate::ops::tree::walk::{Down, TreeFailure, Visitor, Walk, WalkEntry, joined};
use crate::path::Leaf;
use crate::resolve::{Entry, Moment, Place, Root, handle_above, is_local};
use crate::retry::{TRIES, rest};
use crate::watch::Watch;

/// How a tree is copied.
#[derive(Clone, Debug)]
pub struct CopyTreeOptions {
    /// Whether a directory may be copied.
    pub recursive: bool,
    /// What is done with a file that is there; `None`: it stays, and is passed over.
    pub existing: Option<Existing>,
    /// Whether blocks are shared.
    pub reflink: Reflink,
    /// What a copy has of its original beside the content and the nine permission bits.
    pub keep: Keep,
    /// Whether it is an error if entries vanish while the tree is copied.
    pub report_vanished: bool,
    /// What is copied; `None`: everything.
    pub only: Option<Arc<Only>>,
    /// Whether the copy gets its name when it is complete.
    pub atomic: bool,
}

/// Copies what is at `from` to `to`. Links are copied as links. A file of more than `most` bytes fails for
/// [`Reason::TakesLong`], and nothing has changed then.
pub fn copy_tree(
    from: Place<'_>,
    to: Place<'_>,
    options: &CopyTreeOptions,
    most: u64,
    watch: &Watch,
) -> Result<()> {
    let call = Call::between("cp", from.path, to.path);
    let failed = |failure: Failure| call.failed(failure);
    to.root.for_change().map_err(failed)?;
    let source = OpenSource::find(from).map_err(failed)?;
    if options.only.as_ref().is_some_and(|only| !only.finds(b"")) {
        return Ok(());
    }
    if options.atomic {
        let mut left = Vec::new();
        let copied = copy_staged(source, from, to, options, most, watch, &mut left);
        return copied.map_err(|failure| failure.into_error(&call).leaving(left));
    }
    let destination = Destination::find(to).map_err(failed)?;
    if let OpenSource::Directory(listing) = &source {
        not_into_itself(listing.as_fd(), from.root, destination.dir()).map_err(failed)?;
    }
    let record = Arc::default();
    let job = CopyTask {
        from: from.root,
        to: to.root,
        options,
        record: &record,
        most,
        watch,
    };
    let copied = match destination {
        Destination::Name(entry)
            if entry.wants_directory() && matches!(source, OpenSource::Name(..)) =>
        {
            Err(TreeFailure::at_top(Errno::NOTDIR))
        }
        Destination::Name(entry) => job.copy_to(source, entry.at()),
        Destination::Directory(top) => match source {
            OpenSource::Directory(listing) if options.recursive => {
                job.start().tree(listing, top, None)
            }
            _ => Err(TreeFailure::at_top(Errno::ISDIR)),
        },
    };
    copied.map_err(|stopped| stopped.into_error(&call))
}

/// The same beside `to`, under a hidden name until all of it is there. `left`: the paths of what a failure leaves.
fn copy_staged(
    source: OpenSource<'_, '_>,
    from: Place<'_>,
    to: Place<'_>,
    options: &CopyTreeOptions,
    most: u64,
    watch: &Watch,
    left: &mut Vec<Vec<u8>>,
) -> Result<(), TreeFailure> {
    let at_top = |failure: Failure| TreeFailure::at_top(failure);
    let new = to.root.entry(to.path, Errno::BUSY).map_err(at_top)?;
    let is_directory = matches!(source, OpenSource::Directory(_));
    if new.wants_directory() && !is_directory {
        return Err(TreeFailure::at_top(Errno::NOTDIR));
    }
    if is_directory && !options.recursive {
        return Err(TreeFailure::at_top(Errno::ISDIR));
    }
    if let OpenSource::Directory(listing) = &source {
        not_into_itself(listing.as_fd(), from.root, new.at().parts().0).map_err(at_top)?;
    }
    let id = source.id().map_err(TreeFailure::at_top)?;
    let replace = options.existing == Some(Existing::Replace);
    let can_be = can_be_published(to, &new, &source, id, replace, left);
    let stays = |failure: &Failure| failure.errno == Errno::EXIST && options.existing.is_none();
    match can_be {
        Err(failure) if stays(&failure) => return Ok(()),
        Err(failure) if failure.errno == Errno::INVAL && is_same(&new, id) => {
            let reason = match is_directory {
                true => Reason::IntoItself,
                false => Reason::SameFile,
            };
            return Err(at_top(Failure::because(Errno::INVAL, reason)));
        }
        can_be => can_be.map_err(at_top)?,
    }
    let record = Arc::new(Record::staged(new.at().parts().0));
    let job = CopyTask {
        from: from.root,
        to: to.root,
        options,
        record: &record,
        most,
        watch,
    };
    let publishing = Publishing {
        replace,
        flush: false,
    };
    // What is at the name is looked at by what was asked of it: no slash goes to the kernel.
    let at = new.at().as_directory(false);
    let may_be = || Ok(watch.check()?);
    match copy_and_publish(job, source, to, at, publishing, may_be, left) {
        // Somebody else was faster.
        Err(stopped) if stays(&stopped.failure) && stopped.way.is_empty() && !at.is_gone() => {
            Ok(())
        }
        done => done,
    }
}

/// Whether `new` is `id` itself.
fn is_same(new: &Entry<'_, '_>, id: Id) -> bool {
    new.at().lstat().is_ok_and(|stat| Id::from(&stat) == id)
}

/// Refuses a copy of the directory `source` into `dest`, if that is it, or beneath it.
///
/// From `dest` upwards each directory is compared, up to the root of the source, or the top of the file
/// system: the two may be beneath different roots. Nothing but its identity is looked at.
pub(super) fn not_into_itself(
    source: BorrowedFd<'_>,
    from: &Root,
    dest: BorrowedFd<'_>,
) -> Result<(), Failure> {
    let (source, root) = (Id::of(source)?, Id::of(from.fd()?)?);
    let mut id = Id::of(dest)?;
    let mut dir = None;
    loop {
        if id == source {
            return Err(into_itself());
        }
        if id == root {
            return Ok(());
        }
        let above = handle_above(dir.as_ref().map_or(dest, AsFd::as_fd));
        let above = match above {
            // Above a root there may be directories that this process may not search.
            Err(failure) if matches!(failure.errno, Errno::ACCESS | Errno::PERM) => return Ok(()),
            above => above?,
        };
        let id_above = Id::of(above.as_fd())?;
        if id_above == id {
            return Ok(());
        }
        (id, dir) = (id_above, Some(above));
    }
}

fn into_itself() -> Failure {
    Failure::because(Errno::INVAL, Reason::IntoItself)
}

/// A copy that is to be made.
#[derive(Clone, Copy)]
pub(super) struct CopyTask<'a> {
    /// The root of the source.
    pub from: &'a Root,
    /// The root of the copy.
    pub to: &'a Root,
    /// How it is copied.
    pub options: &'a CopyTreeOptions,
    /// Takes down what was copied and made.
    pub record: &'a Arc<Record>,
    /// What is copied of a file at the most, in bytes.
    pub most: u64,
    /// What stops it, and hears of progress.
    pub watch: &'a Watch,
}

impl<'a> CopyTask<'a> {
    /// Copies `source` to the name `dest`.
    pub fn copy_to(self, source: OpenSource<'_, '_>, dest: At<'_>) -> Result<(), TreeFailure> {
        // A tree that has the place of the copy in it, by whatever mount, would be copied into itself.
        let parent = Id::of(dest.parts().0);
        let closed = parent.and_then(|parent| self.record.close(parent));
        closed.map_err(TreeFailure::at_top)?;
        let mut copy = self.start();
        match source {
            OpenSource::Directory(_) if !self.options.recursive => {
                Err(TreeFailure::at_top(Errno::ISDIR))
            }
            OpenSource::Directory(listing) => {
                let made = copy.copier.directory(listing.as_fd(), dest);
                let (top, made) = made.map_err(TreeFailure::at_top)?;
                copy.tree(listing, top, made)
            }
            OpenSource::Name(entry, stat) => {
                let source = copy_entry::Source {
                    at: entry.at(),
                    parent: None,
                    place: 0,
                };
                match copy.copier.copy(source, kind_of(&stat), dest) {
                    Ok(Down::Stay) => copy.whole(),
                    Ok(Down::Enter) => Err(TreeFailure::at_top(Errno::BUSY)),
                    Err(failure) => Err(TreeFailure::at_top(self.record.mounted(failure))),
                }
            }
        }
    }

    fn start(self) -> Copy<'a> {
        let CopyTreeOptions {
            existing,
            reflink,
            keep,
            ..
        } = *self.options;
        let record = Arc::clone(self.record);
        let (from, to, watch) = (self.from, self.to, self.watch);
        let mut copier = EntryCopier::new(from, to, existing, reflink, keep, record, watch);
        copier.most = self.most;
        Copy {
            copier,
            options: self.options,
            begun: Moment::now(),
            levels: Levels::default(),
            entered: HashSet::new(),
            vanished: Arc::default(),
        }
    }
}

/// What is to be copied.
pub(super) enum OpenSource<'r, 'p> {
    /// A directory, open to be read.
    Directory(OwnedFd),
    /// A name that is no directory, and what it is.
    Name(Entry<'r, 'p>, Stat),
}

impl<'r, 'p> OpenSource<'r, 'p> {
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

    /// What it is recognised by.
    pub(super) fn id(&self) -> rustix::io::Result<Id> {
        match self {
            Self::Directory(listing) => Id::of(listing.as_fd()),
            Self::Name(_, stat) => Ok(stat.into()),
        }
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
            false => {
                place.root.expect_present(&parsed)?;
                Ok(Self::Directory(place.root.directory(&parsed)?))
            }
        }
    }

    /// The directory that it is in, or is.
    fn dir(&self) -> BorrowedFd<'_> {
        match self {
            Self::Directory(fd) => fd.as_fd(),
            Self::Name(entry) => entry.at().parts().0,
        }
    }
}

/// A copy of a tree that is being made.
struct Copy<'a> {
    copier: EntryCopier<'a>,
    options: &'a CopyTreeOptions,
    /// A moment before anything was made.
    begun: Moment,
    /// The way down through the copy, beside that of the source.
    levels: Levels<Beside>,
    /// The directories of the source on this way down: none of them is entered again below itself. The other thread
    /// has its own, since a directory may be in a tree twice, by a bind mount.
    entered: HashSet<Id>,
    /// What was listed, and was gone when it was to be copied.
    vanished: Arc<Mutex<Vanished>>,
}

/// What is known of a directory of the copy.
struct Beside {
    /// Its original, if it was made.
    made: Option<Original>,
    /// What the directory that is copied to it was when it was entered.
    source: State,
    /// Its place among the [directories](copy_entry::Links) of the copy.
    place: usize,
    /// How many directories of the copy are above it.
    depth: usize,
    /// The device that it is on.
    device: u64,
}

/// Of a depth that is a power of two, and at least this, every directory is compared with the copy.
const DEEP: usize = 32;

/// How many turns of a copy that is in its own source are told apart.
const LONGEST_TURN: usize = 64;

/// The ways to what vanished, up to [`MOST_ENTRIES`].
#[derive(Default)]
struct Vanished {
    count: u64,
    ways: Vec<Vec<u8>>,
}

impl Vanished {
    fn add(&mut self, way: Vec<u8>) {
        self.count += 1;
        if self.ways.len() < MOST_ENTRIES {
            self.ways.push(way);
        }
    }
}

impl Copy<'_> {
    /// Copies what is in the directory `source` into the directory `top`; `made`: the original of the
    /// latter, if it was made for it.
    fn tree(
        &mut self,
        source: OwnedFd,
        top: OwnedFd,
        made: Option<Original>,
    ) -> Result<(), TreeFailure> {
        let begun = self.begin(&source, top, made);
        let begun = begun.and_then(|()| self.unless_listed(b"", c""));
        begun.map_err(TreeFailure::at_top)?;
        let mut walk = Walk::new(source).map_err(TreeFailure::at_top)?;
        let (from, watch) = (self.copier.from, self.copier.watch);
        let done = walk.finish(from, self, watch);
        // After a failure, the directories that are still open get their final modes.
        while !self.levels.is_empty() {
            let _ = self.go_up(None);
        }
        done?;
        self.whole()
    }

    /// Fails if something vanished, unless that is not to be reported.
    fn whole(&self) -> Result<(), TreeFailure> {
        let mut vanished = self.vanished.lock().unwrap_or_else(PoisonError::into_inner);
        for way in self.options.only.iter().flat_map(|only| only.missing()) {
            vanished.add(way.clone());
        }
        let Vanished { count, ways } = &*vanished;
        match ways.first() {
            Some(first) if self.options.report_vanished => {
                let reason = Reason::Vanished { count: *count };
                let ways = ways.clone();
                let failure = Failure::because(Errno::NOENT, reason);
                Err(TreeFailure {
                    ways,
                    ..TreeFailure::at(failure, first.clone())
                })
            }
            _ => Ok(()),
        }
    }

    fn begin(
        &mut self,
        source: &OwnedFd,
        top: OwnedFd,
        made: Option<Original>,
    ) -> Result<(), Failure> {
        let state = State::of_open(source.as_fd())?;
        let (id, source_id) = (Id::of(top.as_fd())?, state.id);
        let record = &self.copier.record;
        record.close(id)?;
        record.hold(top.as_fd())?;
        if record.is_closed(source_id) {
            return Err(into_itself());
        }
        self.entered.try_reserve(1).map_err(|_| Errno::NOMEM)?;
        self.entered.insert(source_id);
        let top_entry = Listed {
            parent: None,
            name: c"",
        };
        record.directory_copied(top_entry, source.as_fd())?;
        self.copier.top = Some(Arc::new(rustix::io::fcntl_dupfd_cloexec(&top, 0)?));
        let links = Arc::clone(&self.copier.links);
        let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
        let state = Beside {
            made,
            source: state,
            place: links.directory(0, c"")?,
            depth: 0,
            device: id.device(),
        };
        Ok(self
            .levels
            .enter(Level::new(CString::default(), top, state))?)
    }

    /// Reports the directory `name` at the end of `way` if there was none when it was to be listed for the filter:
    /// what is in it is left out.
    fn unless_listed(&mut self, way: &[u8], name: &CStr) -> Result<(), Failure> {
        match &self.options.only {
            Some(only) if !only.is_listed(&joined(way, name.to_bytes())) => {
                self.vanished(way, name)
            }
            _ => Ok(()),
        }
    }

    /// Goes down into the copy of the directory `source`, which has this name.
    fn go_down(&mut self, name: &CStr, source: BorrowedFd<'_>) -> Result<(), Failure> {
        let entered = State::of_open(source)?;
        if self.copier.record.is_closed(entered.id) {
            return Err(into_itself());
        }
        // Somebody moved a directory that the work is in to below itself.
        self.entered.try_reserve(1).map_err(|_| Errno::NOMEM)?;
        if !self.entered.insert(entered.id) {
            return Err(source_changed());
        }
        let (Some(leaf), Some(level)) = (Leaf::listed(name), self.levels.innermost()) else {
            return Err(Errno::BUSY.into());
        };
        let above = level.fd().ok_or(Errno::BUSY)?;
        if self.may_be_seen(&entered, above, &level.state)
            && self.is_seen(source, At::new(above, &leaf), level.state.place)?
        {
            return Err(into_itself());
        }
        let parent = Some(level.state.source.id);
        self.copier
            .record
            .directory_copied(Listed { parent, name }, source)?;
        let (fd, made) = self.copier.directory(source, At::new(above, &leaf))?;
        let device = match made {
            Some(_) => level.state.device,
            // Something may be mounted there.
            None => Id::of(fd.as_fd())?.device(),
        };
        let links = Arc::clone(&self.copier.links);
        let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
        let state = Beside {
            made,
            source: entered,
            place: links.directory(level.state.place, name)?,
            depth: level.state.depth + 1,
            device,
        };
        Ok(self.levels.enter(Level::new(name.to_owned(), fd, state))?)
    }

    /// Whether a directory of the source, which is to be copied into the directory `fd`, may be one of the copy that another
    /// file system shows: an overlay of what is copied, or FUSE. Its device and inode are others then.
    fn may_be_seen(&self, source: &State, fd: BorrowedFd<'_>, above: &Beside) -> bool {
        let depth = above.depth + 1;
        // What was made for the copy is that new. The depth is for where another clock tells the times.
        let is_asked =
            source.is_changed_since(self.begun) || depth >= DEEP && depth.is_power_of_two();
        is_asked && (source.id.device() != above.device || !is_local(fd))
    }

    /// Whether what is made beside `dest`, in the directory of this `place` in the copy, appears in the directory
    /// `source`, which is to be copied to `dest`.
    ///
    /// If a directory of the copy is its own source, that repeats each time the walk has gone through the levels
    /// in between: `source` is the image of a directory that is so many levels above `dest`.
    fn is_seen(&self, source: BorrowedFd<'_>, dest: At<'_>, place: usize) -> Result<bool, Failure> {
        let links = Arc::clone(&self.copier.links);
        let links = links.lock().unwrap_or_else(PoisonError::into_inner);
        let names = links.way_to(place);
        // Where nothing can be made, no copy grows.
        let Ok(((), mark)) = with_temporary_name(dest, |at| at.mkdir(Mode::RWXU)) else {
            return Ok(false);
        };
        let at = dest.beside(&mark);
        let has_mark = |names: &[&CStr]| {
            let way: Vec<&CStr> = names.iter().copied().chain([at.parts().1]).collect();
            self.copier.from.directory_below(source, &way).is_ok()
        };
        let nearest = (0..names.len().min(LONGEST_TURN)).rev();
        let turns = nearest.map(|turn| names.len() - turn).chain([0]);
        let is_seen = turns.filter_map(|from| names.get(from..)).any(has_mark);
        at.rmdir()?;
        Ok(is_seen)
    }

    /// Leaves the copy of a directory, which is open as `source` unless the copy ends early.
    fn go_up(&mut self, source: Option<BorrowedFd<'_>>) -> Result<(), Failure> {
        let Some((left, above)) = self.levels.leave(self.copier.to) else {
            return Ok(());
        };
        if let (Some(original), Some(fd)) = (&left.state.made, left.fd()) {
            self.copier.finish(fd, original, source)?;
        }
        self.entered.remove(&left.state.source.id);
        self.copier.watch.entry_done();
        match above {
            Above::Lost => Err(Errno::BUSY.into()),
            _ => Ok(()),
        }
    }
}

impl Visitor for Copy<'_> {
    fn found(&mut self, found: &WalkEntry<'_>) -> Result<Down, Failure> {
        if let Some(only) = &self.options.only
            && !only.finds(&found.way_to())
        {
            return Ok(Down::Stay);
        }
        if found.kind == FileType::Directory {
            self.unless_listed(found.way, found.name)?;
            return Ok(Down::Enter);
        }
        let (Some(leaf), Some(level)) = (Leaf::listed(found.name), self.levels.innermost()) else {
            return Err(Errno::BUSY.into());
        };
        let dest = At::new(level.fd().ok_or(Errno::BUSY)?, &leaf);
        let source = copy_entry::Source {
            at: found.at,
            parent: Some(level.state.source.id),
            place: level.state.place,
        };
        for round in 0..TRIES {
            rest(round);
            match self.copier.copy(source, found.kind, dest) {
                Err(failure) if failure.errno == Errno::NOENT => {
                    if found.at.is_gone() {
                        return self.vanished(found.way, found.name).map(|()| Down::Stay);
                    }
                    // It was gone for a moment: others removed it and made it anew.
                }
                done => return done.map_err(|failure| self.copier.record.mounted(failure)),
            }
        }
        Err(Errno::NOENT.into())
    }

    fn entered(&mut self, name: &CStr, dir: BorrowedFd<'_>) -> Result<(), Failure> {
        self.go_down(name, dir)
    }

    fn left(&mut self, source: BorrowedFd<'_>) -> Result<(), Failure> {
        // What became of a directory meanwhile would be lost by a move.
        if self.copier.record.is_of_move
            && let Some(level) = self.levels.innermost()
            && State::of_open(source)? != level.state.source
        {
            return Err(source_changed());
        }
        self.go_up(Some(source))
    }

    fn mount_point(&mut self, name: &CStr) -> Result<(), Failure> {
        if self.copier.record.is_of_move {
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
            // It is removed with a copy that cannot be shown.
            Ok(()) if self.copier.record.is_staged => {
                let record = &self.copier.record;
                Ok(record.made(record.made_id_at(At::new(above, &leaf))?)?)
            }
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn vanished(&mut self, way: &[u8], name: &CStr) -> Result<(), Failure> {
        if self.copier.record.is_of_move {
            return Err(source_changed());
        }
        let way = joined(way, name.to_bytes());
        // Where a listing tells no types, it may vanish before the filter's answer is looked up.
        if let Some(only) = &self.options.only
            && !only.reports(&way)
        {
            return Ok(());
        }
        let mut vanished = self.vanished.lock().unwrap_or_else(PoisonError::into_inner);
        vanished.add(way);
        Ok(())
    }

    fn lost(&mut self, depth: usize) -> Result<(), Failure> {
        if self.copier.record.is_of_move {
            return Err(source_changed());
        }
        while self.levels.depth() > depth {
            self.go_up(None)?;
        }
        Ok(())
    }

    fn part(&mut self) -> Option<Self> {
        self.levels.keep_open(OPEN_LEVELS_SHARED).ok()?;
        let level = self.levels.innermost()?;
        let here = rustix::io::fcntl_dupfd_cloexec(level.fd()?, 0).ok()?;
        let state = Beside {
            // Whoever made it sets what it is to have.
            made: None,
            ..level.state
        };
        let mut entered = HashSet::new();
        entered.try_reserve(self.entered.len()).ok()?;
        entered.extend(&self.entered);
        let mut part = Self {
            copier: self.copier.for_another_thread(),
            options: self.options,
            begun: self.begun,
            levels: Levels::default(),
            entered,
            vanished: Arc::clone(&self.vanished),
        };
        part.levels.keep_open(OPEN_LEVELS_SHARED).ok()?;
        part.levels
            .enter(Level::new(CString::default(), here, state))
            .ok()?;
        Some(part)
    }

    fn join(&mut self, mut part: Self) -> Result<(), Failure> {
        // What was not finished is left with the modes that it is to have.
        while part.levels.depth() > 1 {
            let _ = part.go_up(None);
        }
        Ok(())
    }
}

/// A part of what is moved was removed, renamed or written to meanwhile.
pub(super) fn source_changed() -> Failure {
    Failure::because(Errno::BUSY, Reason::SourceChanged)
}
