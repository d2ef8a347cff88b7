//! A second thread for a part of the work on a tree.
//!
//! What is in one directory can hardly be changed in parallel, since it has one lock; directories beside
//! each other can.

use std::panic::resume_unwind;
use std::thread;

/// How many directories beside each other are worth a second thread.
pub const MANY: usize = 16;

/// What a thread needs of its stack is constant, whatever the tree.
const STACK: usize = 512 << 10;

/// Does `mine`, and `theirs` on a second thread meanwhile; where there is none to be had, afterwards. A
/// panic of either goes on in the caller.
pub fn with_second_thread<Mine, Theirs: Send>(
    mine: impl FnOnce() -> Mine,
    theirs: impl Fn() -> Theirs + Sync,
) -> (Mine, Theirs) {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK);
        let thread = thread.spawn_scoped(scope, &theirs);
        let mine = mine();
        let theirs = match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(_) => theirs(),
        };
        (mine, theirs)
    })
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::thread;

    use super::*;

    #[test]
    fn both_are_done_on_two_threads() {
        let id = || thread::current().id();
        let (mine, theirs) = with_second_thread(id, id);
        assert_eq!(mine, id());
        assert_ne!(theirs, id());
    }

    #[test]
    fn a_panic_of_the_second_thread_is_not_taken_for_success() {
        let done = catch_unwind(|| with_second_thread(|| (), || resume_unwind(Box::new("panic"))));
        assert!(done.is_err());
    }
}
