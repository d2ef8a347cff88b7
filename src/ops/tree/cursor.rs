//! A listing of a tree in batches, in constant memory: `walk`.

use std::ffi::{CStr, CString};

use crate::error::{Call, Error, Failure, Result};
use crate::ops::tree::list::{List, ListOptions, Names, is_reachable, parent};
use crate::ops::tree::walk::{Down, TreeFailure, Visitor, Walk, WalkEntry, joined};
use crate::path::UserPath;
use crate::resolve::Root;
use crate::watch::Watch;
use rustix::fs::FileType;

/// Which limit truncated a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncated {
    /// There are directories further down than wanted.
    Depth,
    /// There are more entries than wanted.
    Entries,
}

/// How far a listing goes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How far down: 1 is the directory itself.
    pub depth: u64,
    /// How many entries are told.
    pub entries: u64,
}

/// Which directories a listing goes into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered {
    /// Every one.
    All,
    /// Those that the caller says, with the next batch.
    Asked,
}

/// The place that a listing has come to.
pub struct Cursor {
    path: UserPath,
    left: Limits,
    entered: Entered,
    walk: Option<Walk>,
    /// What was found in the last batch, if that is asked.
    directories: Vec<Directory>,
    truncated: Option<Truncated>,
    ended: bool,
}

/// A directory in a batch.
struct Directory {
    /// Which of the entries it is.
    index: usize,
    /// Whether it is as far down as wanted.
    is_last: bool,
}

/// A batch of entries.
pub struct Batch {
    /// What was found, with types.
    pub names: Names,
    /// What truncated the listing so far.
    pub truncated: Option<Truncated>,
    /// Whether this is the last batch.
    pub is_last: bool,
    /// Whether these entries are as far down as wanted, where the caller says which directories are gone into.
    pub is_deepest: bool,
    /// What could not be listed, behind these names. It is left out.
    pub failed: Option<Failed>,
}

/// What could not be listed.
pub struct Failed {
    /// Why.
    pub error: Error,
    /// What it is, as the only one of these; none for the directory where the listing begins.
    pub entry: Names,
}

impl Cursor {
    /// At the start of the directory at `path`, which is opened with the first batch.
    pub fn new(path: UserPath, limits: Limits, entered: Entered) -> Self {
        Self {
            path,
            left: limits,
            entered,
            walk: None,
            directories: Vec::new(),
            truncated: None,
            ended: false,
        }
    }

    /// Whether it has directories open: it is neither at the start nor at its end.
    pub fn is_open(&self) -> bool {
        self.walk.is_some()
    }

    /// The next batch: what one buffer of a directory, or a few small ones, has. `kept` says of each entry of the
    /// last one whether it is gone into, where that is asked.
    pub fn next(&mut self, root: &Root, kept: &[u8], watch: &Watch) -> Result<Batch> {
        let path = self.path.clone();
        let call = Call::on("scandir", &path);
        // The root may have been closed since the last batch.
        call.run(|| root.fd())?;
        if self.left.depth == 0 {
            (self.truncated, self.ended) = (Some(Truncated::Depth), true);
        }
        let mut walk = match self.walk.take() {
            Some(walk) => walk,
            None if self.ended => return Ok(self.batch(Names::default(), None)),
            None => match root.listing(&path).and_then(|top| Ok(Walk::new(top)?)) {
                Ok(walk) => walk,
                Err(failure) => {
                    self.ended = true;
                    return Ok(self.failed_at(
                        &call,
                        Names::default(),
                        TreeFailure::at_top(failure),
                    ));
                }
            },
        };
        self.keep(&mut walk, kept);
        let options = ListOptions {
            recursive: true,
            typed: true,
        };
        let enough = match self.entered {
            Entered::All => ENOUGH,
            Entered::Asked => 1,
        };
        let mut visitor = Bounded {
            list: List::new(&path, options),
            path: &path,
            entered: self.entered,
            left: &mut self.left,
            is_deepest: false,
            directories: &mut self.directories,
            truncated: &mut self.truncated,
            is_full: false,
        };
        let mut stopped = None;
        self.ended = loop {
            match walk.step(root, &mut visitor, watch) {
                Ok(true) => {}
                Ok(false) => break true,
                Err(failed) => {
                    stopped = Some(failed);
                    break false;
                }
            }
            if visitor.is_full {
                break true;
            }
            if visitor.list.names.len() >= enough {
                break false;
            }
        };
        let (names, is_deepest) = (visitor.list.names, visitor.is_deepest);
        if !self.ended {
            self.walk = Some(walk);
        }
        let batch = match stopped {
            Some(stopped) => self.failed_at(&call, names, stopped),
            None => self.batch(names, None),
        };
        Ok(Batch {
            is_deepest,
            ..batch
        })
    }

    /// Leaves out the directories of the last batch that are not `kept`.
    fn keep(&mut self, walk: &mut Walk, kept: &[u8]) {
        if self.entered == Entered::All {
            return;
        }
        let is_kept = |found: &Directory| kept.get(found.index).is_some_and(|&kept| kept != 0);
        let (last, entered): (Vec<_>, Vec<_>) =
            self.directories.drain(..).partition(|found| found.is_last);
        if last.iter().any(is_kept) {
            self.truncated.get_or_insert(Truncated::Depth);
        }
        walk.keep(&entered.iter().map(is_kept).collect::<Vec<_>>());
    }

    fn batch(&self, names: Names, failed: Option<Failed>) -> Batch {
        Batch {
            names,
            truncated: self.truncated,
            is_last: self.ended,
            is_deepest: false,
            failed,
        }
    }

    /// The batch that `stopped` has ended.
    fn failed_at(&self, call: &Call<'_>, names: Names, stopped: TreeFailure) -> Batch {
        let failed = Failed {
            entry: self.entry(&stopped).unwrap_or_default(),
            error: stopped.into_error(call),
        };
        self.batch(names, Some(failed))
    }

    /// What a listing stopped at.
    fn entry(&self, TreeFailure { way, kind, .. }: &TreeFailure) -> Option<Names> {
        let slash = way.iter().rposition(|&byte| byte == b'/');
        let (above, name) = match slash {
            Some(slash) => (way.get(..slash)?, way.get(slash + 1..)?),
            None => (&[][..], way.as_slice()),
        };
        if name.is_empty() {
            return None;
        }
        let mut names = Names::default();
        names.enter(&parent(&self.path, above)).ok()?;
        names.add_typed(&CString::new(name).ok()?, *kind).ok()?;
        Some(names)
    }
}

/// How many names are enough for a batch.
const ENOUGH: usize = 256;

/// Collects names up to a limit.
struct Bounded<'p> {
    list: List<'p>,
    path: &'p UserPath,
    entered: Entered,
    left: &'p mut Limits,
    /// All names of a batch are of one directory, where the caller is asked.
    is_deepest: bool,
    directories: &'p mut Vec<Directory>,
    truncated: &'p mut Option<Truncated>,
    /// Whether there are more entries than wanted.
    is_full: bool,
}

impl Visitor for Bounded<'_> {
    fn found(&mut self, found: &WalkEntry<'_>) -> Result<Down, Failure> {
        if self.left.entries == 0 {
            self.truncated.get_or_insert(Truncated::Entries);
            self.is_full = true;
            return Ok(Down::Stay);
        }
        self.left.entries -= 1;
        self.list.add(found)?;
        if found.kind != FileType::Directory {
            return Ok(Down::Stay);
        }
        let is_last = found.depth as u64 >= self.left.depth;
        self.is_deepest = is_last;
        if self.entered == Entered::Asked {
            let index = self.list.names.len() - 1;
            self.directories.push(Directory { index, is_last });
        } else if is_last {
            self.truncated.get_or_insert(Truncated::Depth);
        }
        Ok(match is_last {
            true => Down::Stay,
            false => Down::Enter,
        })
    }

    fn enters(&mut self, way: &[u8], name: &CStr) -> Result<(), Failure> {
        Ok(is_reachable(self.path, &joined(way, name.to_bytes()))?)
    }
}
