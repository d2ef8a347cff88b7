//! A listing of a tree in batches, in constant memory: `walk`.

use crate::error::{Call, Error, Failure, Result};
use crate::ops::tree::list::{List, ListOptions, Names};
use crate::ops::tree::walk::{Down, Found, Visitor, Walk};
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

/// The place that a listing has come to.
pub struct Cursor {
    path: UserPath,
    left: Limits,
    walk: Option<Walk>,
    truncated: Option<Truncated>,
    ended: bool,
    /// What the next batch fails with.
    failed: Option<Error>,
}

/// A batch of entries.
pub struct Batch {
    /// What was found, with types.
    pub names: Names,
    /// What truncated the listing so far.
    pub truncated: Option<Truncated>,
    /// Whether this is the last batch.
    pub is_last: bool,
}

impl Cursor {
    /// At the start of the directory at `path`, which is opened with the first batch.
    pub fn new(path: UserPath, limits: Limits) -> Self {
        Self {
            path,
            left: limits,
            walk: None,
            truncated: None,
            ended: false,
            failed: None,
        }
    }

    /// The next batch: what one buffer of a directory, or a few small ones, has.
    pub fn next(&mut self, root: &Root, watch: &Watch) -> Result<Batch> {
        let call = Call::on("scandir", &self.path);
        // The root may have been closed since the last batch.
        call.run(|| root.fd())?;
        if self.left.depth == 0 {
            (self.truncated, self.ended) = (Some(Truncated::Depth), true);
        }
        if let Some(error) = self.failed.take() {
            self.ended = true;
            return Err(error);
        }
        let mut walk = match self.walk.take() {
            Some(walk) => walk,
            None if self.ended => return Ok(self.batch(Names::default())),
            None => call.run(|| Ok(Walk::new(root.listing(&self.path)?)?))?,
        };
        let options = ListOptions {
            recursive: true,
            typed: true,
        };
        let mut visitor = Bounded {
            list: List::new(&self.path, options),
            left: &mut self.left,
            truncated: &mut self.truncated,
        };
        self.ended = loop {
            match walk.step(root, &mut visitor, watch) {
                Ok(true) => {}
                Ok(false) => break true,
                Err(stopped) => {
                    // What was found before comes first.
                    self.failed = Some(stopped.into_error(&call));
                    break visitor.list.names.is_empty();
                }
            }
            if *visitor.truncated == Some(Truncated::Entries) {
                break true;
            }
            if visitor.list.names.len() >= ENOUGH {
                break false;
            }
        };
        let names = visitor.list.names;
        match self.failed.take() {
            Some(error) if self.ended => return Err(error),
            failed => self.failed = failed,
        }
        if !self.ended {
            self.walk = Some(walk);
        }
        Ok(self.batch(names))
    }

    fn batch(&self, names: Names) -> Batch {
        Batch {
            names,
            truncated: self.truncated,
            is_last: self.ended,
        }
    }
}

/// How many names are enough for a batch.
const ENOUGH: usize = 256;

/// Collects names up to a limit.
struct Bounded<'p> {
    list: List<'p>,
    left: &'p mut Limits,
    truncated: &'p mut Option<Truncated>,
}

impl Visitor for Bounded<'_> {
    fn found(&mut self, found: &Found<'_>) -> Result<Down, Failure> {
        if self.left.entries == 0 {
            *self.truncated = Some(Truncated::Entries);
            return Ok(Down::Stay);
        }
        self.left.entries -= 1;
        self.list.add(found)?;
        if found.kind == FileType::Directory && found.depth as u64 >= self.left.depth {
            self.truncated.get_or_insert(Truncated::Depth);
            return Ok(Down::Stay);
        }
        Ok(self.list.down(found)?)
    }
}
