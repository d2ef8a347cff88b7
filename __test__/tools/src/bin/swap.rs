//! The attacker of what has just been made: exchanges each new name in a directory with a victim.
//!
//! ```text
//! swap DIR KIND VICTIM ...
//! ```
//!
//! Watches the directory DIR until standard input is closed. The first new name in it of the kind `directory`,
//! `file`, `symlink` or `fifo` changes places with the first VICTIM, a name in DIR, by
//! `renameat2(RENAME_EXCHANGE)`; the next one with the next VICTIM, the first following the last. A name is new
//! once: as soon as it is gone, it may be new again.
//!
//! It says `ready`, then `swapped NAME VICTIM` for each exchange.

use std::collections::HashSet;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::fs::{CWD, RenameFlags};

static IS_OVER: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [dir, kind, victims @ ..] = &args[..] else {
        eprintln!("usage: swap DIR KIND VICTIM ...");
        return ExitCode::from(2);
    };
    let is_meant: fn(&fs::FileType) -> bool = match kind.to_str() {
        Some("directory") => fs::FileType::is_dir,
        Some("file") => fs::FileType::is_file,
        Some("symlink") => fs::FileType::is_symlink,
        Some("fifo") => FileTypeExt::is_fifo,
        _ => {
            eprintln!("swap: no kind: {}", kind.display());
            return ExitCode::from(2);
        }
    };
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        IS_OVER.store(true, Ordering::Relaxed);
    });
    match run(Path::new(dir), is_meant, victims) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("swap: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(
    dir: &Path,
    is_meant: fn(&fs::FileType) -> bool,
    victims: &[OsString],
) -> Result<(), Box<dyn Error>> {
    let mut known = names(dir, |_| true)?;
    println!("ready");
    let mut next = victims.iter().cycle();
    while !IS_OVER.load(Ordering::Relaxed) {
        let now = names(dir, is_meant)?;
        known.retain(|name| now.contains(name) || victims.contains(name));
        for name in now {
            if !known.insert(name.clone()) {
                continue;
            }
            let Some(victim) = next.next() else {
                return Ok(());
            };
            let (new, old) = (dir.join(&name), dir.join(victim));
            let swapped = rustix::fs::renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE);
            if swapped.is_ok() {
                println!("swapped {} {}", name.display(), victim.display());
                io::stdout().flush()?;
            }
        }
    }
    Ok(())
}

/// What is in a directory, as far as it is meant. What vanishes meanwhile is not.
fn names(
    dir: &Path,
    is_meant: impl Fn(&fs::FileType) -> bool,
) -> Result<HashSet<OsString>, Box<dyn Error>> {
    let mut names = HashSet::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type().is_ok_and(|kind| is_meant(&kind)) {
            names.insert(entry.file_name());
        }
    }
    Ok(names)
}
