//! Allocations whose size others choose. One that fails is `ENOMEM`: else it would abort the process.

use rustix::io::{Errno, Result};

/// Makes room in `list` for `more` elements.
pub fn reserve<T>(list: &mut Vec<T>, more: usize) -> Result<()> {
    list.try_reserve(more).map_err(|_| Errno::NOMEM)
}

/// A copy of `bytes`.
pub fn copy_of(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len())
        .map_err(|_| Errno::NOMEM)?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}
