//! `realpath`: the path of a thing beneath the root without a symlink in it.
//!
//! It is put together step by step, each step resolved beneath the root by the kernel. What comes out
//! is a string, which says how things were: whoever uses it resolves it anew.

use rustix::fs::FileType;
use rustix::io::Errno;

use crate::error::{Call, Failure, Reason, Result};
use crate::path::UserPath;
use crate::policy::Symlinks;
use crate::resolve::Root;
use crate::retry::{TRIES, rest};

/// How many symlinks are followed: as many as by the kernel, path_resolution(7).
pub(crate) const MOST_SYMLINKS: u32 = 40;

/// The path relative to the root; `.` for the root itself.
pub fn realpath(root: &Root, path: &UserPath) -> Result<Vec<u8>> {
    Call::on("realpath", path).run(|| {
        // The kernel has the last word on whether the path leads anywhere. Node drops a last dot, as realpath(3).
        root.existing_of(&root.parse(path)?.without_dot())?;
        if !root.policy().follows() {
            // There is no symlink on it, so it is real already.
            return Ok(or_dot(root.parse(path)?.clean().to_vec()));
        }
        let mut walk = Steps::of(root);
        walk.follow(path.as_bytes())?;
        Ok(or_dot(walk.real))
    })
}

/// The way from the root to where the path leads.
struct Steps<'r> {
    root: &'r Root,
    /// What is found: names alone, none of them a symlink.
    real: Vec<u8>,
    symlinks: u32,
}

impl<'r> Steps<'r> {
    fn of(root: &'r Root) -> Self {
        let symlinks = 0;
        let real = Vec::new();
        Self {
            root,
            real,
            symlinks,
        }
    }

    fn follow(&mut self, path: &[u8]) -> Result<(), Failure> {
        // What is still to be gone, the next component last.
        let mut ahead = Vec::new();
        self.set_out(path, &mut ahead)?;
        while let Some(component) = ahead.pop() {
            match component.as_slice() {
                b"" | b"." => {}
                b".." => self.up()?,
                name => {
                    if let Some(target) = self.down(name)? {
                        self.set_out(&target, &mut ahead)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn set_out(&mut self, path: &[u8], ahead: &mut Vec<Vec<u8>>) -> Result<(), Failure> {
        if path.starts_with(b"/") {
            if self.root.policy().symlinks != Symlinks::InRoot {
                return Err(outside());
            }
            self.real.clear();
        }
        let components = path.split(|&byte| byte == b'/').rev();
        ahead.extend(components.map(<[u8]>::to_vec));
        Ok(())
    }

    fn up(&mut self) -> Result<(), Failure> {
        match self.real.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => self.real.truncate(slash),
            None if !self.real.is_empty() => self.real.clear(),
            // Above the root of a container is the root.
            None if self.root.policy().symlinks == Symlinks::InRoot => {}
            None => return Err(outside()),
        }
        Ok(())
    }

    /// Takes one step down; what the symlink there holds, if it is one.
    fn down(&mut self, name: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let mut next = self.real.clone();
        if !next.is_empty() {
            next.push(b'/');
        }
        next.extend_from_slice(name);
        let path = UserPath::new(next).map_err(|_| Errno::INVAL)?;
        let entry = self.root.entry(&path, Errno::INVAL)?;
        for round in 0..TRIES {
            rest(round);
            let stat = entry.at().lstat()?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                self.real = path.as_bytes().to_vec();
                return Ok(None);
            }
            match entry.at().readlink() {
                // It is no symlink any more.
                Err(Errno::INVAL) => {}
                _ if self.symlinks == MOST_SYMLINKS => return Err(Errno::LOOP.into()),
                target => {
                    self.symlinks += 1;
                    return Ok(Some(target?.into_bytes()));
                }
            }
        }
        Err(Errno::BUSY.into())
    }
}

fn or_dot(path: Vec<u8>) -> Vec<u8> {
    if path.is_empty() { b".".to_vec() } else { path }
}

fn outside() -> Failure {
    Failure::because(Errno::ACCESS, Reason::OutsideSandbox)
}
