//! How every operation that lists names reads a directory.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, RawDir};
use rustix::io::{Errno, Result};

use crate::at::At;

/// The room for one `getdents64`, in bytes.
const LISTING: usize = 64 << 10;

/// Room for a bufferful of names.
pub struct Listing {
    room: Vec<MaybeUninit<u8>>,
    position: u64,
}

impl Default for Listing {
    fn default() -> Self {
        Self {
            room: vec![MaybeUninit::uninit(); LISTING],
            position: 0,
        }
    }
}

/// Whether there may be more to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// There may be.
    More,
    /// The directory was read to its end.
    End,
}

impl Listing {
    /// Reads one bufferful of the names in `dir`, from where the last one ended, and tells `each` of
    /// them and its type. What `each` fails with ends it.
    ///
    /// A directory that somebody else has removed has come to its end.
    pub fn read<E: From<Errno>>(
        &mut self,
        dir: BorrowedFd<'_>,
        mut each: impl FnMut(&CStr, FileType) -> std::result::Result<(), E>,
    ) -> std::result::Result<Read, E> {
        let mut entries = RawDir::new(dir, &mut self.room);
        let mut is_first = true;
        loop {
            if !is_first && entries.is_buffer_empty() {
                return Ok(Read::More);
            }
            is_first = false;
            match entries.next() {
                None | Some(Err(Errno::NOENT)) => return Ok(Read::End),
                Some(Err(Errno::INTR)) => is_first = true,
                Some(Err(errno)) => return Err(errno.into()),
                Some(Ok(entry)) => {
                    self.position = entry.next_entry_cookie();
                    each(entry.file_name(), entry.file_type())?;
                }
            }
        }
    }
}

impl Listing {
    /// Where the last bufferful ended: the offset in the directory for the next one, lseek(2).
    pub fn position(&self) -> u64 {
        self.position
    }
}

/// Whether nothing is in the directory `dir`, which was not read yet. It is read by that.
pub fn is_empty(dir: BorrowedFd<'_>) -> Result<bool> {
    let mut buffer = [MaybeUninit::uninit(); 1024];
    let mut entries = RawDir::new(dir, &mut buffer);
    while let Some(entry) = entries.next() {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The type of `at`, where the listing did not tell.
pub fn known_type(at: At<'_>, listed: FileType) -> Result<FileType> {
    match listed {
        FileType::Unknown => Ok(FileType::from_raw_mode(at.lstat()?.st_mode)),
        listed => Ok(listed),
    }
}
