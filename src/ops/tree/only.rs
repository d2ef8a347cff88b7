//! What a filter let through: nothing else is copied, and what of it is not found is reported.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// The ways from the top of a tree to what is copied. That of the top is empty.
#[derive(Debug)]
pub struct Only {
    ways: HashMap<Vec<u8>, Let>,
}

/// One entry that was let through.
#[derive(Debug, Default)]
struct Let {
    /// Whether it was listed: the filter was asked about what is in it.
    is_listed: bool,
    is_found: AtomicBool,
    is_reported: AtomicBool,
}

impl FromIterator<Vec<u8>> for Only {
    /// The way to a directory that was listed ends in a slash.
    fn from_iter<I: IntoIterator<Item = Vec<u8>>>(ways: I) -> Self {
        let ways = ways.into_iter().map(|mut way| {
            let is_listed = way.pop_if(|last| *last == b'/').is_some();
            let entry = Let {
                is_listed,
                ..Let::default()
            };
            (way, entry)
        });
        Self {
            ways: ways.collect(),
        }
    }
}

impl Only {
    /// Whether what is at the end of `way` was let through. It is found by that.
    pub fn finds(&self, way: &[u8]) -> bool {
        let entry = self.ways.get(way);
        entry.is_some_and(|entry| {
            entry.is_found.store(true, Ordering::Relaxed);
            true
        })
    }

    /// Whether it was listed. What is in a directory that was not is not copied.
    pub fn is_listed(&self, way: &[u8]) -> bool {
        self.ways.get(way).is_some_and(|entry| entry.is_listed)
    }

    /// Whether it was let through and is reported for the first time.
    pub fn reports(&self, way: &[u8]) -> bool {
        let entry = self.ways.get(way);
        entry.is_some_and(|entry| !entry.is_reported.swap(true, Ordering::Relaxed))
    }

    /// The ways to what was neither found nor reported.
    pub fn missing(&self) -> Vec<&Vec<u8>> {
        let is = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        let missing = self.ways.iter();
        let missing = missing.filter(|(_, entry)| !is(&entry.is_found) && !is(&entry.is_reported));
        let mut missing: Vec<_> = missing.map(|(way, _)| way).collect();
        missing.sort();
        missing
    }
}
