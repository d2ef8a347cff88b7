//! Trying again, a bounded number of times: what interrupts a call once may do so for ever.

use std::thread;
use std::time::Duration;

use rustix::io::{Errno, Result};

/// How often something is tried before what stands in its way is reported. A rename storm elsewhere
/// makes a percent of lookups say `EAGAIN`; this many tries have been found enough.
pub const TRIES: u32 = 128;

/// Rests before another try (`round` 0 is the first) at what others keep changing: whoever changes it waits for the same lock, and
/// so may be in step with us.
pub fn rest(round: u32) {
    if round > 0 {
        thread::sleep(Duration::from_micros(round.into()));
    }
}

/// Makes the call again while a signal interrupts it.
pub fn on_intr<T>(call: impl FnMut() -> Result<T>) -> Result<T> {
    on(|errno| errno == Errno::INTR, call)
}

/// Makes the call again while its errno is one `again` asks for.
pub fn on<T>(again: impl Fn(Errno) -> bool, mut call: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 1..TRIES {
        match call() {
            Err(errno) if again(errno) => {}
            done => return done,
        }
    }
    call()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_interrupts_for_ever_is_reported_after_a_bounded_number_of_tries() {
        let mut calls = 0;
        let done: Result<()> = on_intr(|| {
            calls += 1;
            Err(Errno::INTR)
        });
        assert_eq!((done, calls), (Err(Errno::INTR), TRIES));
    }

    #[test]
    fn what_interrupts_once_is_not_seen_and_another_errno_is_final() {
        let mut answers = vec![Err(Errno::IO), Ok(2), Err(Errno::INTR)];
        assert_eq!(on_intr(|| answers.pop().unwrap_or(Ok(0))), Ok(2));
        assert_eq!(on_intr(|| answers.pop().unwrap_or(Ok(0))), Err(Errno::IO));
        assert_eq!(answers, []);
    }
}
