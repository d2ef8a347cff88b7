//! Listing a directory, or all of a tree: `readdir`.

use std::ffi::CStr;

use rustix::fs::FileType;
use rustix::io::Errno;

use crate::error::{Call, Failure, Result};
use crate::memory::{copy_of, reserve};
use crate::ops::tree::walk::{Down, Visitor, Walk, WalkEntry};
use crate::path::{LONGEST, UserPath};
use crate::resolve::Root;
use crate::watch::Watch;

/// What `readdir` lists, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListOptions {
    /// Whether directories in it are listed too.
    pub recursive: bool,
    /// Whether types are told, and the directory of each name, or the way to it in the name.
    pub typed: bool,
}

/// readdir(3): the names in a directory, or in all of a tree.
pub fn read_directory(
    root: &Root,
    path: &UserPath,
    options: ListOptions,
    watch: &Watch,
) -> Result<Names> {
    let call = Call::on("scandir", path);
    let mut walk = call.run(|| Ok(Walk::new(root.listing(path)?)?))?;
    let mut list = List::new(path, options);
    walk.finish(root, &mut list, watch)
        .map_err(|stopped| stopped.into_error(&call))?;
    Ok(list.names)
}

/// Names in directories, in the form in which `lib/results.js` takes them apart: a NUL behind each. Where types are
/// wanted, the letter of its type stands before each, and before the first one of a directory the path of that
/// directory with a `/` before it.
#[derive(Clone, Debug, Default)]
pub struct Names {
    bytes: Vec<u8>,
    count: usize,
}

impl Names {
    /// The names, as one run of bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds the name at the end of `way`.
    fn add(&mut self, way: &[u8], name: &CStr) -> Result<(), Errno> {
        let name = name.to_bytes_with_nul();
        reserve(&mut self.bytes, way.len() + 1 + name.len())?;
        self.bytes.extend_from_slice(way);
        if !way.is_empty() {
            self.bytes.push(b'/');
        }
        self.bytes.extend_from_slice(name);
        self.count += 1;
        Ok(())
    }

    /// Adds a name and its type.
    pub(super) fn add_typed(&mut self, name: &CStr, kind: FileType) -> Result<(), Errno> {
        let name = name.to_bytes_with_nul();
        reserve(&mut self.bytes, 1 + name.len())?;
        self.bytes.push(letter_of(kind));
        self.bytes.extend_from_slice(name);
        self.count += 1;
        Ok(())
    }

    /// The names that are added next are in this directory.
    pub(super) fn enter(&mut self, directory: &[u8]) -> Result<(), Errno> {
        reserve(&mut self.bytes, directory.len() + 2)?;
        self.bytes.push(b'/');
        self.bytes.extend_from_slice(directory);
        self.bytes.push(0);
        Ok(())
    }

    fn append(&mut self, mut more: Self) -> Result<(), Errno> {
        reserve(&mut self.bytes, more.bytes.len())?;
        self.bytes.append(&mut more.bytes);
        self.count += more.count;
        Ok(())
    }
}

/// The letter of a type, in [`Names`].
fn letter_of(kind: FileType) -> u8 {
    match kind {
        FileType::RegularFile => b'f',
        FileType::Directory => b'd',
        FileType::Symlink => b'l',
        FileType::Fifo => b'p',
        FileType::Socket => b's',
        FileType::BlockDevice => b'b',
        FileType::CharacterDevice => b'c',
        FileType::Unknown => b'?',
    }
}

/// Collects names.
pub(super) struct List<'p> {
    path: &'p UserPath,
    options: ListOptions,
    pub(super) names: Names,
    /// The way to the directory of the last name.
    way: Option<Vec<u8>>,
}

impl<'p> List<'p> {
    /// For what is in the directory at `path`.
    pub(super) fn new(path: &'p UserPath, options: ListOptions) -> Self {
        Self {
            path,
            options,
            names: Names::default(),
            way: None,
        }
    }

    pub(super) fn add(&mut self, found: &WalkEntry<'_>) -> Result<(), Errno> {
        if !self.options.typed {
            return self.names.add(found.way, found.name);
        }
        if self.way.as_deref() != Some(found.way) {
            self.names.enter(&self.parent(found.way))?;
            self.way = Some(copy_of(found.way)?);
        }
        self.names.add_typed(found.name, found.kind)
    }

    /// The directory at the end of `way`, as a caller who passed `path` may go on with it.
    fn parent(&self, way: &[u8]) -> Vec<u8> {
        parent(self.path, way)
    }

    /// Whether what was found is gone into. A directory whose path no call takes is not: names and paths
    /// would take memory quadratic in the depth.
    pub(super) fn down(&self, found: &WalkEntry<'_>) -> Result<Down, Errno> {
        if !self.options.recursive || found.kind != FileType::Directory {
            return Ok(Down::Stay);
        }
        is_reachable(self.path, &found.way_to())?;
        Ok(Down::Enter)
    }
}

/// The directory at the end of `way`, as a caller who passed `path` may go on with it.
pub(super) fn parent(path: &UserPath, way: &[u8]) -> Vec<u8> {
    match way {
        b"" => path.as_bytes().to_vec(),
        way => path.join(way),
    }
}

/// Fails unless a call takes the path of what is at the end of `way`.
pub(super) fn is_reachable(path: &UserPath, way: &[u8]) -> Result<(), Errno> {
    match path.join(way).len() > LONGEST {
        true => Err(Errno::NAMETOOLONG),
        false => Ok(()),
    }
}

impl Visitor for List<'_> {
    fn found(&mut self, found: &WalkEntry<'_>) -> Result<Down, Failure> {
        self.add(found)?;
        Ok(self.down(found)?)
    }

    fn part(&mut self) -> Option<Self> {
        Some(Self::new(self.path, self.options))
    }

    fn join(&mut self, part: Self) -> Result<(), Failure> {
        self.way = None;
        Ok(self.names.append(part.names)?)
    }
}
