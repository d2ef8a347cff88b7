//! The filter: a small BPF program, see seccomp(2).

use std::mem::offset_of;

use seccompiler::{BpfProgram, sock_filter};

/// The program is for the machine it was built for, and lets calls of any other ABI through.
#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xC000_003E; // AUDIT_ARCH_X86_64
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xC000_00B7; // AUDIT_ARCH_AARCH64

/// The largest errno that Linux has.
const LAST_ERRNO: u32 = 133;

/// What is to fail, and how.
#[derive(Default)]
pub struct Filter {
    /// One block of instructions a rule. A block ends in a return, or falls through to the next.
    rules: Vec<Vec<sock_filter>>,
}

impl Filter {
    /// Makes the system call `number` fail with `errno`.
    pub fn deny(&mut self, number: u32, errno: u16) {
        self.on(number, &[return_errno(errno)]);
    }

    /// Makes the system call `number` fail with `errno` where `AT_EMPTY_PATH` is among the flags in its
    /// argument `index`: it acts on a descriptor itself.
    pub fn deny_on_descriptor(&mut self, number: u32, index: usize, errno: u16) {
        let offset = offset_of!(libc::seccomp_data, args) + index * size_of::<u64>();
        let denial = [
            load(offset),
            jump(libc::BPF_JSET, libc::AT_EMPTY_PATH as u32, 0, 1),
            return_errno(errno),
        ];
        self.on(number, &denial);
    }

    /// Makes the creation of a directory fail with its mode as the errno, if it can be one.
    pub fn mkdir_mode_is_errno(&mut self) {
        self.on(libc::SYS_mkdirat as u32, &return_argument(2));
        #[cfg(target_arch = "x86_64")]
        self.on(libc::SYS_mkdir as u32, &return_argument(1));
    }

    /// The whole: rules for this machine's system calls, and everything else is allowed.
    pub fn program(&self) -> BpfProgram {
        let mut program = vec![
            load(offset_of!(libc::seccomp_data, arch)),
            jump(libc::BPF_JEQ, ARCH, 1, 0),
            return_allow(),
        ];
        program.extend(self.rules.iter().flatten().cloned());
        program.push(return_allow());
        program
    }

    /// Adds a rule: when the system call is `number`, do `then`.
    fn on(&mut self, number: u32, then: &[sock_filter]) {
        let mut rule = vec![
            load(offset_of!(libc::seccomp_data, nr)),
            jump(libc::BPF_JEQ, number, 0, then.len() as u8),
        ];
        rule.extend_from_slice(then);
        self.rules.push(rule);
    }
}

fn return_allow() -> sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW)
}

fn return_errno(errno: u16) -> sock_filter {
    statement(
        libc::BPF_RET | libc::BPF_K,
        libc::SECCOMP_RET_ERRNO | u32::from(errno),
    )
}

/// Fails with argument `index` as the errno, unless it is none: then falls through.
fn return_argument(index: usize) -> [sock_filter; 5] {
    // The lower half of the argument: both machines are little endian.
    let offset = offset_of!(libc::seccomp_data, args) + index * size_of::<u64>();
    [
        load(offset),
        jump(libc::BPF_JGE, 1, 0, 3),
        jump(libc::BPF_JGT, LAST_ERRNO, 2, 0),
        statement(
            libc::BPF_ALU | libc::BPF_OR | libc::BPF_K,
            libc::SECCOMP_RET_ERRNO,
        ),
        statement(libc::BPF_RET | libc::BPF_A, 0),
    ]
}

/// Loads the 32 bits at `offset` of `struct seccomp_data`.
fn load(offset: usize) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset as u32)
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}

/// Compares with `k`, and skips `jt` instructions if that holds, `jf` if not.
fn jump(comparison: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    let code = libc::BPF_JMP | comparison | libc::BPF_K;
    sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags};
    use rustix::io::Errno;

    use super::*;

    /// Where nothing can be made or opened: a call that is allowed answers `ENOENT`.
    const NOWHERE: &str = "/nonexistent/nowhere";

    /// Does `calls` under a filter. The filter stays with the thread, so the thread ends with it.
    fn under<T: Send + 'static>(rule: fn(&mut Filter), calls: fn() -> T) -> T {
        let mut filter = Filter::default();
        rule(&mut filter);
        let program = filter.program();
        let filtered = thread::spawn(move || {
            seccompiler::apply_filter(&program).unwrap();
            calls()
        });
        filtered.join().unwrap()
    }

    fn openat2() -> Errno {
        rustix::fs::openat2(
            CWD,
            NOWHERE,
            OFlags::PATH,
            Mode::empty(),
            ResolveFlags::empty(),
        )
        .unwrap_err()
    }

    fn openat() -> Errno {
        rustix::fs::openat(CWD, NOWHERE, OFlags::PATH, Mode::empty()).unwrap_err()
    }

    /// What `mkdir` and `mkdirat` answer.
    fn mkdir(mode: u32) -> [i32; 2] {
        let mode = Mode::from_raw_mode(mode);
        [
            rustix::fs::mkdir(NOWHERE, mode),
            rustix::fs::mkdirat(CWD, NOWHERE, mode),
        ]
        .map(|result| result.unwrap_err().raw_os_error())
    }

    #[test]
    fn what_is_denied_fails_and_the_rest_works() {
        let deny = |filter: &mut Filter| filter.deny(libc::SYS_openat2 as u32, 38);
        assert_eq!(
            under(deny, || (openat2(), openat())),
            (Errno::NOSYS, Errno::NOENT)
        );
        assert_eq!(
            under(|_| (), || (openat2(), openat())),
            (Errno::NOENT, Errno::NOENT)
        );
    }

    #[test]
    fn what_is_denied_on_a_descriptor_works_by_path() {
        let deny = |filter: &mut Filter| {
            filter.deny_on_descriptor(libc::SYS_linkat as u32, 4, 38);
        };
        let link = || {
            [AtFlags::EMPTY_PATH, AtFlags::SYMLINK_FOLLOW]
                .map(|flags| rustix::fs::linkat(CWD, NOWHERE, CWD, NOWHERE, flags).unwrap_err())
        };
        assert_eq!(under(deny, link), [Errno::NOSYS, Errno::NOENT]);
    }

    #[test]
    fn every_rule_counts() {
        let deny = |filter: &mut Filter| {
            filter.mkdir_mode_is_errno();
            filter.deny(libc::SYS_openat2 as u32, 1);
            filter.deny(libc::SYS_openat as u32, 5);
        };
        let answers = under(deny, || (openat2(), openat(), mkdir(133)));
        assert_eq!(answers, (Errno::PERM, Errno::IO, [133, 133]));
    }

    #[test]
    fn the_mode_of_a_directory_is_the_errno_where_it_can_be_one() {
        under(Filter::mkdir_mode_is_errno, || {
            for errno in 1..=133 {
                assert_eq!(mkdir(errno as u32), [errno, errno]);
            }
            for mode in [0, 134, 0o755, 0o7777] {
                assert_eq!(mkdir(mode), [libc::ENOENT, libc::ENOENT]);
            }
        });
    }
}
