//! Trying again, a bounded number of times: what interrupts a call once may do so for ever.

use std::thread;
use std::time::{Duration, Instant};

use rustix::io::{Errno, Result};

/// How often something is tried before what stands in its way is reported.
pub const TRIES: u32 = 128;

/// How long something is tried that a storm of renames elsewhere in the file system makes fail: a lookup
/// with `..`, which says `EAGAIN` if anything was renamed meanwhile.
const FOR_A_STORM: Duration = Duration::from_secs(1);

/// How long the holder of a lease has to give it up: an open that does not wait asks for that, and says
/// `EAGAIN`.
const FOR_A_LEASE: Duration = Duration::from_millis(100);

/// How long a lock is waited for. Conditional writes have it for microseconds.
const FOR_A_LOCK: Duration = Duration::from_secs(1);

/// The longest rest between two tries.
const LONGEST_REST: Duration = Duration::from_millis(1);

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

/// What makes a lookup say `EAGAIN` again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Renames elsewhere.
    Storm,
    /// The file has a lease.
    Lease,
    /// Somebody has a lock.
    Lock,
}

/// As [`on`], and then with growing rests, for as long as the `cause` is worth it.
pub fn with_backoff<T>(
    again: impl Fn(Errno) -> bool,
    cause: impl Fn() -> Cause,
    mut call: impl FnMut() -> Result<T>,
) -> Result<T> {
    let mut done = on(&again, &mut call);
    if done.is_ok() {
        return done;
    }
    let begin = Instant::now();
    let mut backoff = Duration::from_micros(1);
    while let Err(errno) = done
        && again(errno)
    {
        let cause = cause();
        let patience = match cause {
            Cause::Storm => FOR_A_STORM,
            Cause::Lease => FOR_A_LEASE,
            Cause::Lock => FOR_A_LOCK,
        };
        if begin.elapsed() >= patience {
            break;
        }
        thread::sleep(backoff);
        backoff = (backoff * 2).min(LONGEST_REST);
        // One of many tries gets through a storm. With a lease or a lock, none does until it is given up.
        done = match cause {
            Cause::Storm => on(&again, &mut call),
            Cause::Lease | Cause::Lock => call(),
        };
    }
    done
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
    fn with_a_backoff_it_is_tried_more_often_and_still_reported() {
        let mut calls = 0;
        let done: Result<()> = with_backoff(
            |errno| errno == Errno::AGAIN,
            || Cause::Storm,
            || {
                calls += 1;
                Err(Errno::AGAIN)
            },
        );
        assert_eq!(done, Err(Errno::AGAIN));
        assert!(calls > 4 * TRIES, "{calls}");
    }

    #[test]
    fn what_interrupts_once_is_not_seen_and_another_errno_is_final() {
        let mut answers = vec![Err(Errno::IO), Ok(2), Err(Errno::INTR)];
        assert_eq!(on_intr(|| answers.pop().unwrap_or(Ok(0))), Ok(2));
        assert_eq!(on_intr(|| answers.pop().unwrap_or(Ok(0))), Err(Errno::IO));
        assert_eq!(answers, []);
    }
}
