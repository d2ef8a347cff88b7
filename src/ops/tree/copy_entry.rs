//! Copying one entry of a tree: a file, a symlink, a FIFO, or an empty directory.
//!
//! What is made under a name is changed by a descriptor alone: by then the name may lead to something else.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{FileType, Gid, Mode, OFlags, RenameFlags, Stat, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use crate::at::{self, At};
use crate::error::{Failure, Reason, Result};
use crate::ops::Existing;
use crate::ops::attributes::{self, Which};
use crate::ops::copy::{ContentCopier, Reflink, is_longer};
use crate::ops::draft::{Draft, with_temporary_name};
use crate::ops::listing;
use crate::ops::metadata::{chown_fd, utimes_fd};
use crate::ops::permissions::{Permissions, set_special, take_group, take_owner};
use crate::ops::target::{Own, is_same_file};
use crate::ops::tree::levels::Id;
use crate::ops::tree::record::{FirstCopy, Identity, Listed, MadeId, Record, State};
use crate::ops::tree::walk::Down;
use crate::resolve::{Content, Moment, Root, is_local};
use crate::retry::{TRIES, rest};
use crate::sys;
use crate::watch::Watch;

/// What a copy keeps of its original, beside the content, the nine permission bits and the access ACL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// When it was last read and changed.
    pub times: bool,
    /// Whom it belongs to, as far as the process may say so.
    pub owner: bool,
    /// Its setuid, setgid and sticky bits, where it belongs to whom the original does.
    pub mode: bool,
    /// The default ACL of a directory.
    pub acl: bool,
    /// Extended attributes, as far as the process may set them.
    pub xattr: bool,
}

impl Keep {
    /// All of it.
    pub const EVERYTHING: Self = Self {
        times: true,
        owner: true,
        mode: true,
        acl: true,
        xattr: true,
    };
}

/// What a copy may have of its original.
pub struct Original {
    /// What it was when it was opened.
    pub stat: Stat,
    permissions: Permissions,
}

impl Original {
    fn of(fd: BorrowedFd<'_>, stat: &Stat) -> Result<Self, Failure> {
        Ok(Self {
            stat: *stat,
            permissions: Permissions::of(fd, stat)?,
        })
    }
}

/// What is to be copied: a name in a directory of the source.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The name.
    pub at: At<'a>,
    /// The directory; that of the top of a tree is not known.
    pub parent: Option<Id>,
    /// The directory in the copy that it is copied to, by its place in [`Links::directories`].
    pub place: usize,
}

impl Source<'_> {
    fn name(&self) -> &CStr {
        self.at.parts().1
    }

    fn listed(&self) -> Listed<'_> {
        Listed {
            parent: self.parent,
            name: self.name(),
        }
    }
}

/// The files copied so far that have more names, which may come yet.
#[derive(Default)]
pub struct Links {
    first: HashMap<Identity, Linked>,
    /// The directories of the copy: each its parent and its name in it. The first is the top.
    directories: Vec<(usize, CString)>,
}

/// The first copy of a file with several names.
struct Linked {
    copy: FirstCopy,
    place: usize,
    name: CString,
}

/// What was made, as far as anything asks for it later.
#[derive(Default)]
struct Made {
    id: Option<MadeId>,
    /// What it is recognised by when it gets another name.
    first: Option<FirstCopy>,
}

impl Links {
    /// Takes in a directory of the copy, and says its place.
    pub fn directory(&mut self, parent: usize, name: &CStr) -> Result<usize, Errno> {
        self.directories.try_reserve(1).map_err(|_| Errno::NOMEM)?;
        self.directories.push((parent, name.to_owned()));
        Ok(self.directories.len() - 1)
    }

    /// The names from the top to a directory.
    pub fn way_to(&self, mut place: usize) -> Vec<&CStr> {
        let mut way = Vec::new();
        while place > 0
            && let Some((parent, name)) = self.directories.get(place)
        {
            way.push(name.as_c_str());
            place = *parent;
        }
        way.reverse();
        way
    }
}

/// Copies entries from a tree of one root to a tree of another, or of the same.
pub struct EntryCopier<'a> {
    /// The root of the source.
    pub from: &'a Root,
    /// The root of the copy.
    pub to: &'a Root,
    /// What becomes of a file that has the name of a copy.
    pub existing: Option<Existing>,
    /// What is kept.
    pub keep: Keep,
    /// What is copied of a file at the most, in bytes.
    pub most: u64,
    /// What stops it, and hears of progress.
    pub watch: &'a Watch,
    /// What was copied and made.
    pub record: Arc<Record>,
    /// The top of the copy, if that is a tree.
    pub top: Option<Arc<OwnedFd>>,
    /// What has more names.
    pub links: Arc<Mutex<Links>>,
    contents: ContentCopier<'a>,
}

impl<'a> EntryCopier<'a> {
    /// Copies from `from` to `to`.
    pub fn new(
        from: &'a Root,
        to: &'a Root,
        existing: Option<Existing>,
        reflink: Reflink,
        keep: Keep,
        record: Arc<Record>,
        watch: &'a Watch,
    ) -> Self {
        Self {
            from,
            to,
            existing,
            keep,
            most: u64::MAX,
            watch,
            record,
            top: None,
            links: Arc::default(),
            contents: ContentCopier::new(reflink, watch),
        }
    }

    /// The same for another thread.
    pub fn for_another_thread(&self) -> Self {
        Self {
            record: Arc::clone(&self.record),
            top: self.top.clone(),
            links: Arc::clone(&self.links),
            contents: self.contents.anew(),
            ..*self
        }
    }

    /// Copies anything but a directory, of the type that it was listed as or another; for a directory
    /// the answer is to enter it.
    pub fn copy(
        &mut self,
        source: Source<'_>,
        mut kind: FileType,
        dest: At<'_>,
    ) -> Result<Down, Failure> {
        for round in 0..TRIES {
            rest(round);
            let copied = match kind {
                FileType::Directory => return Ok(Down::Enter),
                FileType::RegularFile => self.file(source, dest),
                FileType::Symlink => self.symlink(source, dest),
                FileType::Fifo => self.fifo(source, dest),
                _ => self.special(source),
            };
            let Err(failure) = copied else {
                self.watch.entry_done();
                return Ok(Down::Stay);
            };
            let now = kind_of(&source.at.lstat()?);
            // The type changed twice between the listing and this check.
            let flipped = matches!(failure.reason, None | Some(Reason::Symlink))
                && matches!(
                    (kind, failure.errno),
                    (FileType::RegularFile, Errno::LOOP)
                        | (
                            FileType::Symlink | FileType::Fifo,
                            Errno::INVAL | Errno::LOOP
                        )
                );
            if now == kind && !flipped {
                return Err(failure);
            }
            kind = now;
        }
        Err(Errno::BUSY.into())
    }

    fn file(&mut self, source: Source<'_>, dest: At<'_>) -> Result<(), Failure> {
        let content = self.from.content_at(source.at)?;
        if content.is_directory() {
            return Err(Errno::ISDIR.into());
        }
        if is_longer(content.stat(), self.most) {
            return Err(Failure::because(Errno::FBIG, Reason::TakesLong));
        }
        let then = self.state_of(content.fd(), content.stat())?;
        let original = (content.fd(), content.stat());
        let is_first = self.may_be_linked(&then);
        self.first_or_link(source, &then, original, dest, |copier| {
            copier.new_file(&content, dest, is_first)
        })?;
        if !self.record.is_of_move {
            return Ok(());
        }
        // A copy of what others write to meanwhile is half old, half new: then it is not moved.
        self.copied(source, &then, Some(content.fd()))?;
        let now = State::of_open(content.fd())?;
        match self.record.is_copied(source.listed(), &now) {
            true => Ok(()),
            false => Err(Failure::because(Errno::BUSY, Reason::SourceChanged)),
        }
    }

    /// What the open file `fd` is, of which the copy gets `stat`. For a move it is asked for anew, where a file system
    /// keeps what it was, and at a moment from which each change will show.
    fn state_of(&self, fd: BorrowedFd<'_>, stat: &Stat) -> Result<State, Failure> {
        if !self.record.is_of_move {
            return Ok(stat.into());
        }
        let mut state = State::of_open(fd)?;
        if state.may_change_unseen() {
            while state.may_change_unseen() {
                self.watch.check()?;
                std::thread::sleep(Duration::from_millis(20));
            }
            state = State::of_open(fd)?;
        }
        match state.is_described_by(stat) && !state.may_change_unseen() {
            true => Ok(state),
            false => Err(Failure::because(Errno::BUSY, Reason::SourceChanged)),
        }
    }

    /// Takes down that `source` was copied, which was `state` then; `content`: a file, open.
    fn copied(
        &self,
        source: Source<'_>,
        state: &State,
        content: Option<BorrowedFd<'_>>,
    ) -> Result<(), Failure> {
        match self.record.copied(source.listed(), state, content)? {
            true => Ok(()),
            false => Err(Failure::because(Errno::BUSY, Reason::SourceChanged)),
        }
    }

    /// Makes the copy of a file; `None` if what is there stays. `is_first`: it may get more names.
    fn new_file(
        &mut self,
        content: &Content,
        dest: At<'_>,
        is_first: bool,
    ) -> Result<Option<Made>, Failure> {
        let original = &Original::of(content.fd(), content.stat())?;
        let narrow = match self.keep.xattr {
            // They are set by permission to write, also by the owner.
            true => Mode::RUSR | Mode::WUSR,
            false => original.permissions.narrow(),
        };
        let fill = |fd: BorrowedFd<'_>, own: Option<&Own>| -> Result<Option<FirstCopy>, Failure> {
            self.contents.copy(content, fd, own)?;
            if let Some(own) = own {
                // The rest takes no time, and sets times.
                own.writes();
            }
            if self.keep.xattr {
                attributes::copy(content.fd(), fd, Which::OfAnyOwner)?;
            }
            self.finish(fd, original, Some(content.fd()))?;
            Ok(is_first.then(|| FirstCopy::of(fd)).transpose()?)
        };
        match self.to.create_at(dest, OFlags::WRONLY, narrow) {
            Ok(fd) => self.fill_new(dest, fd, fill).map(Some),
            Err(failure) if failure.errno == Errno::EXIST => {
                match self.replaces(dest, &original.stat)? {
                    false => Ok(None),
                    true => {
                        let draft = Draft::new(self.to, dest, narrow)?;
                        let first = fill(draft.fd(), None)?;
                        draft.publish(Existing::Replace)?;
                        Ok(Some(Made { id: None, first }))
                    }
                }
            }
            Err(failure) => Err(failure),
        }
    }

    /// Fills a file that was made for it. If that fails it is removed, where it still has its name and nobody else has
    /// written to it.
    fn fill_new(
        &self,
        at: At<'_>,
        fd: OwnedFd,
        fill: impl FnOnce(BorrowedFd<'_>, Option<&Own>) -> Result<Option<FirstCopy>, Failure>,
    ) -> Result<Made, Failure> {
        let id = match self.record.made_id(fd.as_fd()) {
            Ok(id) => id,
            Err(errno) => {
                // It was made this moment. The error is what the caller gets.
                let _ = at.unlink();
                return Err(errno.into());
            }
        };
        let own = Own::default();
        let filled = fill(fd.as_fd(), Some(&own)).and_then(|first| {
            if self.top.is_none() {
                self.record.hold(fd.as_fd())?;
            }
            sys::close(fd)?;
            Ok(first)
        });
        if filled.is_err() {
            own.discard(at, |_| self.record.made_id_at(at) == Ok(id));
        }
        let first = filled?;
        self.record.made(id)?;
        Ok(Made {
            id: Some(id),
            first,
        })
    }

    fn symlink(&mut self, source: Source<'_>, dest: At<'_>) -> Result<(), Failure> {
        let symlink = self.from.symlink_at(source.at)?;
        let stat = rustix::fs::fstat(&symlink)?;
        if kind_of(&stat) != FileType::Symlink {
            return Err(Errno::INVAL.into());
        }
        let target = at::readlink(symlink.as_fd(), c"")?;
        let then = self.state_of(symlink.as_fd(), &stat)?;
        let is_first = self.may_be_linked(&then);
        self.first_or_link(source, &then, (symlink.as_fd(), &stat), dest, |copier| {
            copier.make(dest, &stat, |at| {
                let before = Moment::now();
                at.symlink(&target)?;
                let finished = copier.finish_symlink(at, &stat, before, is_first);
                or_discard(finished, at, FileType::Symlink)
            })
        })?;
        self.copied(source, &then, None)
    }

    fn fifo(&mut self, source: Source<'_>, dest: At<'_>) -> Result<(), Failure> {
        let handle = self.from.handle_at(source.at)?;
        let stat = rustix::fs::fstat(&handle)?;
        if kind_of(&stat) != FileType::Fifo {
            return Err(Errno::INVAL.into());
        }
        let permissions = Permissions::of_o_path(handle.as_fd(), &stat)?;
        let original = Original { stat, permissions };
        let then = self.state_of(handle.as_fd(), &stat)?;
        let is_first = self.may_be_linked(&then);
        self.first_or_link(source, &then, (handle.as_fd(), &stat), dest, |copier| {
            copier.make(dest, &stat, |at| {
                let before = Moment::now();
                at.mkfifo(Mode::RUSR | Mode::WUSR)?;
                let finished = copier.finish_fifo(at, &original, before, is_first);
                or_discard(finished, at, FileType::Fifo)
            })
        })?;
        self.copied(source, &then, None)
    }

    /// A socket or a device: not copied.
    fn special(&self, source: Source<'_>) -> Result<(), Failure> {
        // Where mounts are refused, nothing is said of what is mounted there.
        self.from.handle_at(source.at)?;
        Err(Failure::because(Errno::NXIO, Reason::NotARegularFile))
    }

    /// Makes the copy of the directory `source`, or finds one there. Its original, if it was made.
    pub fn directory(
        &self,
        source: BorrowedFd<'_>,
        dest: At<'_>,
    ) -> Result<(OwnedFd, Option<Original>), Failure> {
        // Ours to fill, whatever the original forbids. What it allows is set at the end.
        let before = Moment::now();
        match dest.mkdir(Mode::RWXU) {
            Ok(()) => {
                let (made, stat) = match self.made_directory(source, dest, before) {
                    // It is not what was made.
                    Err(failure) if failure.errno == Errno::BUSY => return Err(failure),
                    made => or_discard(made, dest, FileType::Directory)?,
                };
                let original = self.attributes(source, made.as_fd());
                let original = original.and_then(|()| Original::of(source, &stat));
                let original = or_discard(original, dest, FileType::Directory)?;
                Ok((made, Some(original)))
            }
            // All of a hidden copy is new: these are two names that the file system takes for one.
            Err(Errno::EXIST) if self.record.is_staged => Err(Errno::EXIST.into()),
            Err(Errno::EXIST) => match self.to.directory_at(dest) {
                // A symlink, too, is no directory to copy into.
                Err(failure) if failure.errno == Errno::LOOP => Err(Errno::NOTDIR.into()),
                fd => Ok((fd?, None)),
            },
            Err(errno) => Err(errno.into()),
        }
    }

    /// Gives the new directory `made` the attributes of `source` that it is to keep.
    fn attributes(&self, source: BorrowedFd<'_>, made: BorrowedFd<'_>) -> Result<(), Failure> {
        if self.keep.acl {
            attributes::copy_default_acl(source, made)?;
        }
        if self.keep.xattr {
            attributes::copy(source, made, Which::OfAnyOwner)?;
            attributes::copy(source, made, Which::OfThisOwner)?;
        }
        Ok(())
    }

    /// The directory that was made at `dest` since the moment `before`, ready to be filled, and what `source` is.
    fn made_directory(
        &self,
        source: BorrowedFd<'_>,
        dest: At<'_>,
        before: Moment,
    ) -> Result<(OwnedFd, Stat), Failure> {
        let stat = rustix::fs::fstat(source)?;
        let made = self.to.made_at(dest, FileType::Directory, before)?;
        // Another copy to the same place may have found it, as this finds what is there. Elsewhere than
        // on a local file system it may as well be older than this copy.
        let is_shared = || {
            let may_be = !self.record.is_staged && is_local(made.as_fd());
            Ok::<_, Errno>(may_be && dest.is_in_own_directory()?)
        };
        if !listing::is_empty(made.as_fd())? && !is_shared()? {
            return Err(Errno::BUSY.into());
        }
        let now = Mode::from_raw_mode(rustix::fs::fstat(&made)?.st_mode);
        if !now.contains(Mode::RWXU) {
            // The umask forbids even its owner to fill it.
            rustix::fs::fchmod(&made, now & Mode::SGID | Mode::RWXU)?;
        }
        self.note_made(made.as_fd())?;
        Ok((made, stat))
    }

    fn note_made(&self, directory: BorrowedFd<'_>) -> Result<(), Errno> {
        if !self.record.is_staged {
            return self.record.close(Id::of(directory)?);
        }
        let made = self.record.made_id(directory)?;
        self.record.close(made.id)?;
        self.record.made(made)
    }

    /// Whether the copy of what is `then` may get more names.
    fn may_be_linked(&self, then: &State) -> bool {
        then.has_names() && self.top.is_some()
    }

    /// Copies the open file `original` by `copy`; one with several names once, and the copy gets the other names.
    /// `copy` gives back what it made, if it made something.
    fn first_or_link(
        &mut self,
        source: Source<'_>,
        then: &State,
        original: (BorrowedFd<'_>, &Stat),
        dest: At<'_>,
        copy: impl FnOnce(&mut Self) -> Result<Option<Made>, Failure>,
    ) -> Result<(), Failure> {
        if !self.may_be_linked(then) {
            return copy(self).map(drop);
        }
        let links = Arc::clone(&self.links);
        // Held for as long as the first copy is made: another thread may come to another name of it.
        let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
        let (fd, stat) = original;
        // What is mounted in a local file system may be no such.
        let id = Identity::of(fd, then, is_local(fd))?;
        if let Some(first) = links.first.get(&id)
            && self.link(first, &links, stat, dest)?
        {
            return Ok(());
        }
        if let Some(copy) = copy(self)?.and_then(|made| made.first) {
            let (place, name) = (source.place, source.name().to_owned());
            links.first.try_reserve(1).map_err(|_| Errno::NOMEM)?;
            links.first.insert(id, Linked { copy, place, name });
        }
        Ok(())
    }

    /// Gives the copy of a file that was copied under another name this one too. False if its copy is not
    /// where it was made, or cannot be linked here.
    fn link(
        &self,
        first: &Linked,
        links: &Links,
        original: &Stat,
        dest: At<'_>,
    ) -> Result<bool, Failure> {
        let (Some(top), Some(leaf)) = (&self.top, crate::path::Leaf::listed(&first.name)) else {
            return Ok(false);
        };
        // Linked by its descriptor: the name may lead to anything by now.
        let way = links.way_to(first.place);
        let copy = self.to.directory_below(top.as_fd(), &way).and_then(|dir| {
            let first_at = At::new(dir.as_fd(), &leaf);
            self.to.symlink_at(first_at)
        });
        let copy = match copy {
            Ok(copy) if FirstCopy::of(copy.as_fd())? == first.copy => copy,
            Ok(_) => return Ok(false),
            // It was moved away, or where it is may not be searched.
            Err(failure)
                if matches!(
                    failure.errno,
                    Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS
                ) =>
            {
                return Ok(false);
            }
            Err(failure) => return Err(failure),
        };
        let linked = self.make(dest, original, |at| {
            at.link_open_file(copy.as_fd())?;
            Ok(self.made(copy.as_fd(), false)?)
        });
        match linked {
            Ok(_) => Ok(true),
            Err(failure) => match failure.errno {
                // Its copy was removed, has as many names as it may, or is on another mount; or the file
                // system has no links.
                Errno::NOENT | Errno::MLINK | Errno::XDEV => Ok(false),
                Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS => Ok(false),
                _ => Err(failure),
            },
        }
    }

    /// Makes something without content called `dest`; where that is taken, under a temporary name
    /// first, to replace it in one step. What was made, unless what is there stays.
    fn make(
        &self,
        dest: At<'_>,
        original: &Stat,
        make: impl Fn(At<'_>) -> Result<Made, Failure>,
    ) -> Result<Option<Made>, Failure> {
        match make(dest) {
            Err(failure) if failure.errno == Errno::EXIST => {}
            made => {
                let made = made?;
                if let Some(id) = made.id {
                    self.record.made(id)?;
                }
                return Ok(Some(made));
            }
        }
        match self.replaces(dest, original)? {
            false => Ok(None),
            true => {
                let (made, leaf) = with_temporary_name(dest, make)?;
                let temporary = dest.beside(&leaf);
                let renamed = temporary.rename(dest, RenameFlags::empty());
                // If both names are the same file, rename(2) does nothing.
                if renamed.is_err() || original.st_nlink > 1 {
                    let _ = temporary.unlink();
                }
                renamed?;
                Ok(Some(made))
            }
        }
    }

    /// Whether the copy replaces what has its name; if not, that stays.
    fn replaces(&self, dest: At<'_>, original: &Stat) -> Result<bool, Failure> {
        let there = dest.lstat()?;
        if is_same_file(&there, original) {
            return Err(Failure::because(Errno::INVAL, Reason::SameFile));
        }
        if kind_of(&there) == FileType::Directory {
            return Err(Errno::ISDIR.into());
        }
        match self.existing {
            Some(Existing::Replace) => Ok(true),
            Some(Existing::Refuse) => Err(Errno::EXIST.into()),
            None => Ok(false),
        }
    }

    /// Gives a file or directory, now that it is complete, what it is to have of its original, which is open as `source`
    /// unless the copy ends early.
    pub fn finish(
        &self,
        fd: BorrowedFd<'_>,
        original: &Original,
        source: Option<BorrowedFd<'_>>,
    ) -> Result<(), Failure> {
        let (permissions, stat) = match source {
            Some(source) => original.permissions.still(source, &original.stat)?,
            None => (original.permissions.clone(), original.stat),
        };
        let mut still = Original {
            stat: original.stat,
            permissions,
        };
        still.stat.st_mode &= stat.st_mode;
        (still.stat.st_uid, still.stat.st_gid) = (stat.st_uid, stat.st_gid);
        self.give(fd, &still, source)
    }

    /// Gives an open file, FIFO or directory what its original has. `source`: that, where it is open.
    fn give(
        &self,
        fd: BorrowedFd<'_>,
        original: &Original,
        source: Option<BorrowedFd<'_>>,
    ) -> Result<(), Failure> {
        let Original { stat, permissions } = original;
        let now = match self.keep.owner {
            true => take_group(fd, stat)?,
            false => rustix::fs::fstat(fd)?,
        };
        // What a directory has of the one that it is in.
        let inherited = match kind_of(stat) {
            FileType::Directory => Mode::from_raw_mode(now.st_mode) & Mode::SGID,
            _ => Mode::empty(),
        };
        let is_owners = |now: &Stat| (now.st_uid, now.st_gid) == (stat.st_uid, stat.st_gid);
        // What is not its old owner's is not setuid either.
        let more_of = |now: &Stat| match self.keep.mode && is_owners(now) {
            true => Mode::from_raw_mode(stat.st_mode) & SPECIAL,
            false => inherited,
        };
        let attributes = |now: &Stat| match source {
            Some(content)
                if kind_of(stat) == FileType::RegularFile && self.keep.xattr && is_owners(now) =>
            {
                attributes::copy(content, fd, Which::OfThisOwner)
            }
            _ => Ok(()),
        };
        attributes(&now)?;
        let more = more_of(&now);
        match self.keep.owner && now.st_gid != stat.st_gid {
            true => permissions.of_another_group().apply(fd, more)?,
            false => permissions.apply(fd, more)?,
        }
        if self.keep.times {
            utimes_fd(fd, &times(stat))?;
        }
        if !self.keep.owner || now.st_uid == stat.st_uid {
            return Ok(());
        }
        let given = take_owner(fd, now, stat)?;
        if given.st_uid == stat.st_uid {
            attributes(&given)?;
            let more = more_of(&given);
            if more != inherited {
                set_special(fd, more)?;
            }
        }
        Ok(())
    }

    /// The same for a FIFO that was made this moment.
    fn finish_fifo(
        &self,
        at: At<'_>,
        original: &Original,
        before: Moment,
        is_first: bool,
    ) -> Result<Made, Failure> {
        let fifo = self.to.made_at(at, FileType::Fifo, before)?;
        let finished = self.give(fifo.as_fd(), original, None);
        let made = self.made(fifo.as_fd(), is_first)?;
        self.discard_unless(finished, at, made.id)?;
        if self.record.is_staged && self.top.is_none() {
            let handle = self.to.symlink_at(at)?;
            if Some(self.record.made_id(handle.as_fd())?) != made.id {
                return Err(Errno::BUSY.into());
            }
            self.record.hold_path(handle);
        }
        Ok(made)
    }

    /// The same for a symlink that was made this moment.
    fn finish_symlink(
        &self,
        at: At<'_>,
        original: &Stat,
        before: Moment,
        is_first: bool,
    ) -> Result<Made, Failure> {
        if !self.keep.owner && !self.keep.times && !self.record.is_staged && !is_first {
            return Ok(Made::default());
        }
        let symlink = self.to.made_at(at, FileType::Symlink, before)?;
        let finished = match self.keep.times {
            true => utimes_fd(symlink.as_fd(), &times(original)),
            false => Ok(()),
        };
        if self.keep.owner {
            let (user, group) = (original.st_uid, original.st_gid);
            let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
            // Only root may. It comes last: not everybody who may can set the times of what is not theirs.
            let _ = chown_fd(symlink.as_fd(), Some(user), Some(group));
        }
        let made = self.made(symlink.as_fd(), is_first)?;
        self.discard_unless(finished, at, made.id)?;
        if self.top.is_none() {
            self.record.hold_path(symlink);
        }
        Ok(made)
    }

    /// What was made, and is open as `fd`. `is_first`: it may get more names.
    fn made(&self, fd: BorrowedFd<'_>, is_first: bool) -> rustix::io::Result<Made> {
        Ok(Made {
            id: Some(self.record.made_id(fd)?),
            first: is_first.then(|| FirstCopy::of(fd)).transpose()?,
        })
    }

    /// Removes what was made under the name `at`, which is `id`, unless it is `finished`.
    fn discard_unless(
        &self,
        finished: Result<(), Failure>,
        at: At<'_>,
        id: Option<MadeId>,
    ) -> Result<(), Failure> {
        if finished.is_err() && self.record.made_id_at(at).ok() == id {
            // The error is what the caller gets.
            let _ = at.unlink();
        }
        finished
    }
}

/// Removes what was made this moment under the name `at` if it could not be `finished`, unless something
/// else has the name by now.
pub fn or_discard<T>(
    finished: Result<T, Failure>,
    at: At<'_>,
    kind: FileType,
) -> Result<T, Failure> {
    if finished.is_err() {
        // The error is what the caller gets.
        let _ = discard(at, kind);
    }
    finished
}

/// Removes what was made this moment under the name `at`; `EBUSY` if something else has the name by now.
pub fn discard(at: At<'_>, kind: FileType) -> rustix::io::Result<()> {
    let stat = at.lstat()?;
    let user = rustix::process::geteuid().as_raw();
    let has_other_names = kind != FileType::Directory && stat.st_nlink > 1;
    if kind_of(&stat) != kind || stat.st_uid != user || has_other_names {
        return Err(Errno::BUSY);
    }
    match kind {
        // One with something in it stays.
        FileType::Directory => at.rmdir(),
        _ => at.unlink(),
    }
}

/// Removes the empty directory of the hidden name `at`, which is open as `dir`; `EBUSY` if something else has the name
/// by now.
pub fn remove_hidden(at: At<'_>, dir: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let is_it = at
        .lstat()
        .and_then(|stat| Ok(Id::from(&stat) == Id::of(dir)?));
    match is_it {
        Ok(true) => at.rmdir(),
        Ok(false) => Err(Errno::BUSY),
        // What nobody describes goes if it is empty: no more than a hidden name is lost.
        Err(errno) => at.rmdir().and(Err(errno)),
    }
}

/// The three bits of a mode beside the nine.
const SPECIAL: Mode = Mode::SUID.union(Mode::SGID).union(Mode::SVTX);

/// The type of a file.
pub fn kind_of(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
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
