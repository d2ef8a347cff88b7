//! What tells one content of a file from another: `stat` with `version`, `writeFile` with `ifMatch`.

use rustix::fs::Stat;

/// Which file has a name, and what it was when that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    id: [u64; 2],
    size: u64,
    modified: [u64; 2],
    changed: [u64; 2],
}

impl Version {
    /// The version that the scripts have as these words, in the order of `versionOf` in `lib/results.js`.
    pub fn of_words(words: [u64; 7]) -> Self {
        let [dev, ino, size, modified, modified_ns, changed, changed_ns] = words;
        Self {
            id: [dev, ino],
            size,
            modified: [modified, modified_ns],
            changed: [changed, changed_ns],
        }
    }

    /// Whether `stat` is of this version.
    pub fn is(&self, stat: &Stat) -> bool {
        *self == Self::from(stat)
    }

    /// The same of a file that was renamed since, which sets when it was last changed.
    pub fn is_renamed(&self, stat: &Stat) -> bool {
        let now = Self::from(stat);
        let changed = now.changed;
        now == Self { changed, ..*self }
    }
}

impl From<&Stat> for Version {
    fn from(stat: &Stat) -> Self {
        Self::of_words([
            stat.st_dev,
            stat.st_ino,
            stat.st_size as u64,
            stat.st_mtime as u64,
            stat.st_mtime_nsec,
            stat.st_ctime as u64,
            stat.st_ctime_nsec,
        ])
    }
}
