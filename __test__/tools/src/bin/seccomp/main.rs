//! Runs a command on a kernel that says no: chosen system calls fail with a chosen error.
//!
//! ```text
//! seccomp [--deny SYSCALL=ERROR]... [--deny-on-descriptor SYSCALL=ERROR]...
//!     [--mkdir-mode-is-errno] -- COMMAND [ARG...]
//! ```
//!
//! `--deny openat2=ENOSYS` is a kernel before 5.6, `--deny openat2=EPERM` a container's filter.
//! Both sides may be numbers. `--deny-on-descriptor` denies `faccessat2`, `linkat` or `utimensat` with
//! `AT_EMPTY_PATH` alone, as a kernel does that has the call but not yet this flag of it. With `--mkdir-mode-is-errno`, making a directory with a mode from 1
//! to 133 fails with that number as its error, so one process can see every error there is. (But
//! not 4 from `node:fs`: libuv answers `EINTR` with another try, for ever.)

mod filter;

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use filter::Filter;

const USAGE: &str = "usage: seccomp [--deny SYSCALL=ERROR]... \
    [--deny-on-descriptor SYSCALL=ERROR]... [--mkdir-mode-is-errno] -- COMMAND [ARG...]";

fn main() -> ExitCode {
    let (filter, mut command) = match parse(env::args_os().skip(1)) {
        Ok(parsed) => parsed,
        Err(complaint) => {
            eprintln!("seccomp: {complaint}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    // No new privileges come with it, else the kernel would want CAP_SYS_ADMIN for a filter.
    if let Err(error) = seccompiler::apply_filter(&filter.program()) {
        eprintln!("seccomp: {error}");
        return ExitCode::FAILURE;
    }
    let error: io::Error = command.exec();
    eprintln!("seccomp: {:?}: {error}", command.get_program());
    ExitCode::from(127)
}

fn parse(mut args: impl Iterator<Item = OsString>) -> Result<(Filter, Command), String> {
    let mut filter = Filter::default();
    loop {
        let option = args.next().ok_or("-- is missing")?;
        match option.to_str() {
            Some("--deny") => {
                let denial = args.next().ok_or("--deny needs SYSCALL=ERROR")?;
                let (syscall, errno) = parse_denial(&denial.to_string_lossy())?;
                filter.deny(syscall, errno);
            }
            Some("--deny-on-descriptor") => {
                let denial = args
                    .next()
                    .ok_or("--deny-on-descriptor needs SYSCALL=ERROR")?;
                let (syscall, errno) = parse_denial(&denial.to_string_lossy())?;
                let index = flags_of(syscall).ok_or("no system call with AT_EMPTY_PATH")?;
                filter.deny_on_descriptor(syscall, index, errno);
            }
            Some("--mkdir-mode-is-errno") => filter.mkdir_mode_is_errno(),
            Some("--") => break,
            _ => return Err(format!("unknown option {option:?}")),
        }
    }
    let mut command = Command::new(args.next().ok_or("COMMAND is missing")?);
    command.args(args);
    Ok((filter, command))
}

/// Which argument of a system call has the flags that `AT_EMPTY_PATH` is one of.
fn flags_of(syscall: u32) -> Option<usize> {
    match i64::from(syscall) {
        libc::SYS_faccessat2 | libc::SYS_utimensat => Some(3),
        libc::SYS_linkat => Some(4),
        _ => None,
    }
}

/// The numbers in `SYSCALL=ERROR`.
fn parse_denial(text: &str) -> Result<(u32, u16), String> {
    let (syscall, error) = text.split_once('=').ok_or(format!("no = in {text}"))?;
    let syscall = number(SYSCALLS, syscall).ok_or(format!("unknown system call {syscall}"))?;
    let errno = number(ERRORS, error).ok_or(format!("unknown error {error}"))?;
    match u16::try_from(errno) {
        // The kernel would make more than 4095 out of it; 0 would be success without the call.
        Ok(errno @ 1..=4095) => Ok((syscall, errno)),
        _ => Err(format!("not an error: {errno}")),
    }
}

/// What `text` names in `table`, or says in digits.
fn number<N: Copy + TryInto<u32>>(table: &[(&str, N)], text: &str) -> Option<u32> {
    match table.iter().find(|(name, _)| *name == text) {
        Some((_, number)) => (*number).try_into().ok(),
        None => text.parse().ok(),
    }
}

/// The system calls that go by name. Their numbers differ between machines.
const SYSCALLS: &[(&str, libc::c_long)] = &[
    ("copy_file_range", libc::SYS_copy_file_range),
    // 452 everywhere; libc does not have it everywhere.
    ("fchmodat2", 452),
    ("faccessat2", libc::SYS_faccessat2),
    ("fchownat", libc::SYS_fchownat),
    ("fstat", libc::SYS_fstat),
    ("ftruncate", libc::SYS_ftruncate),
    ("getdents64", libc::SYS_getdents64),
    ("ioctl", libc::SYS_ioctl),
    ("linkat", libc::SYS_linkat),
    ("mkdirat", libc::SYS_mkdirat),
    ("newfstatat", libc::SYS_newfstatat),
    ("openat", libc::SYS_openat),
    ("openat2", libc::SYS_openat2),
    ("renameat2", libc::SYS_renameat2),
    ("statx", libc::SYS_statx),
    ("symlinkat", libc::SYS_symlinkat),
    ("unlinkat", libc::SYS_unlinkat),
    ("utimensat", libc::SYS_utimensat),
];

/// The errors that go by name: those a filter, an old kernel or a disk in trouble answers.
const ERRORS: &[(&str, libc::c_int)] = &[
    ("EACCES", libc::EACCES),
    ("EAGAIN", libc::EAGAIN),
    ("EBUSY", libc::EBUSY),
    ("EDQUOT", libc::EDQUOT),
    ("EINTR", libc::EINTR),
    ("EINVAL", libc::EINVAL),
    ("EIO", libc::EIO),
    ("EMFILE", libc::EMFILE),
    ("ENFILE", libc::ENFILE),
    ("ENOENT", libc::ENOENT),
    ("ENOMEM", libc::ENOMEM),
    ("ENOSPC", libc::ENOSPC),
    ("ENOSYS", libc::ENOSYS),
    ("EOPNOTSUPP", libc::EOPNOTSUPP),
    ("EPERM", libc::EPERM),
    ("EROFS", libc::EROFS),
    ("EXDEV", libc::EXDEV),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_is_read_by_name_and_by_number() {
        assert_eq!(parse_denial("openat2=ENOSYS"), Ok((437, 38)));
        assert_eq!(parse_denial("437=38"), Ok((437, 38)));
        assert_eq!(parse_denial("fchmodat2=1"), Ok((452, 1)));
    }

    #[test]
    fn what_is_not_a_denial_is_refused() {
        for text in [
            "openat2",
            "openat2=",
            "=1",
            "nothing=1",
            "1=EWHAT",
            "1=0",
            "1=4096",
            "-1=1",
        ] {
            assert!(parse_denial(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_command_begins_behind_the_dashes() {
        let parsed = |args: &[&str]| parse(args.iter().map(OsString::from));
        let (_, command) = parsed(&["--deny", "1=1", "--", "ls", "--deny"]).unwrap();
        assert_eq!(command.get_program(), "ls");
        assert_eq!(command.get_args().collect::<Vec<_>>(), ["--deny"]);
        for args in [
            &["ls"][..],
            &["--"],
            &["--deny", "--", "ls"],
            &["--deny"],
            &[],
        ] {
            assert!(parsed(args).is_err(), "{args:?}");
        }
    }
}
