//! How work ends with its environment, and with the process. What is not complete by then is removed.
//!
//! - A script asks for it when its `exit` listeners run: those of the program find nothing that goes on.
//! - An environment that is taken down runs a cleanup hook.
//! - A process that exits runs neither a hook nor the listeners behind one that exits at once; exit(3) runs a handler.

use std::panic::catch_unwind;
use std::sync::{Arc, Mutex, Once};

use rustix::thread::{Pid, gettid};

use super::kept::Dropper;
use super::lent::Lent;
use super::threads::Threads;
use super::writers::{Writers, locked};
use crate::sys;
use crate::sys::node_api::leave_environments;

/// What an environment has to end.
pub struct Ending {
    /// The thread of its scripts.
    thread: Pid,
    /// Long work.
    pub threads: Threads,
    /// What was collected.
    pub dropper: Dropper,
    /// What is written in parts.
    pub writers: Writers,
    /// What streams have open.
    pub lent: Lent,
}

/// Those of all environments: each copy of the scripts has one.
static ALL: Mutex<Vec<Arc<Ending>>> = Mutex::new(Vec::new());

impl Ending {
    /// That of a new environment, listed.
    pub fn new() -> Arc<Self> {
        static AT_EXIT: Once = Once::new();
        AT_EXIT.call_once(|| sys::at_exit(end_all));
        let ending = Arc::new(Self {
            thread: gettid(),
            threads: Threads::default(),
            dropper: Dropper::default(),
            writers: Writers::default(),
            lent: Lent::default(),
        });
        locked(&ALL).push(Arc::clone(&ending));
        ending
    }

    /// Ends all work: no thread runs any more, and no file is left that is not complete. Further work may come.
    fn stop(&self) {
        self.threads.stop();
        self.dropper.finish();
        self.writers.end();
    }

    /// The same, and no work comes any more.
    pub fn end(self: &Arc<Self>) {
        self.end_for_good();
        // Node has waited for what it was doing with them.
        self.lent.end();
        locked(&ALL).retain(|other| !Arc::ptr_eq(self, other));
    }

    fn end_for_good(&self) {
        self.threads.end();
        self.dropper.end();
        self.writers.end();
    }
}

/// Ends all work of the scripts of this thread.
pub fn stop_here() {
    let here = gettid();
    let mut endings = locked(&ALL).clone();
    endings.retain(|ending| ending.thread == here);
    for ending in endings {
        ending.stop();
    }
}

/// The process exits.
extern "C" fn end_all() {
    let _ = catch_unwind(|| {
        leave_environments();
        let endings = locked(&ALL).clone();
        for ending in endings {
            ending.end_for_good();
        }
    });
}
