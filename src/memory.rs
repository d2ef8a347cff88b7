//! Allocations whose size others choose. One that fails is `ENOMEM`: else it would abort the process.

use rustix::io::{Errno, Result};

/// Makes room in `list` for `more` elements.
pub fn reserve<T>(list: &mut Vec<T>, more: usize) -> Result<()> {
    list.try_reserve(more).map_err(|_| Errno::NOMEM)
}

/// An empty list with room for `length` elements.
pub fn with_room<T>(length: usize) -> Result<Vec<T>> {
    let mut list = Vec::new();
    list.try_reserve_exact(length).map_err(|_| Errno::NOMEM)?;
    Ok(list)
}

/// A copy of `bytes`.
pub fn copy_of(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut copy = with_room(bytes.len())?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}
