//! renameat2(2) with the paths as they are given, which no call of Node makes.
//!
//! ```text
//! renameat2 OLD NEW FLAGS [OLD NEW FLAGS ...]
//! ```
//!
//! `FLAGS` is `0`, `noreplace` or `exchange`. For each call one line: the number of its error, or 0.

use std::env;
use std::process::ExitCode;

use rustix::fs::{CWD, RenameFlags};

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    for call in arguments.chunks(3) {
        let [old, new, flags] = call else {
            eprintln!("usage: renameat2 OLD NEW FLAGS [OLD NEW FLAGS ...]");
            return ExitCode::from(2);
        };
        let flags = match flags.to_str() {
            Some("noreplace") => RenameFlags::NOREPLACE,
            Some("exchange") => RenameFlags::EXCHANGE,
            _ => RenameFlags::empty(),
        };
        match rustix::fs::renameat_with(CWD, old.as_os_str(), CWD, new.as_os_str(), flags) {
            Ok(()) => println!("0"),
            Err(errno) => println!("{}", errno.raw_os_error()),
        }
    }
    ExitCode::SUCCESS
}
