//! The roots that JavaScript has: it holds a number for each, in a private field that only the class
//! itself can read (`class.js`).

use std::cell::RefCell;
use std::sync::Arc;

use napi::bindgen_prelude::*;
use slab::Slab;

use crate::resolve::Root;

/// The name of the class in JavaScript.
pub const CLASS: &str = "SandboxRoot";

/// The roots of one environment.
#[derive(Default)]
pub struct Roots(RefCell<Slab<Arc<Root>>>);

impl Roots {
    /// Takes in `root`, and gives it a number.
    pub fn add(&self, root: Root) -> u32 {
        // There are fewer descriptors.
        self.0.borrow_mut().insert(Arc::new(root)) as u32
    }

    /// The root with this number, for one call: it stays open until its end.
    pub fn numbered(&self, number: u32) -> Result<Arc<Root>> {
        let roots = self.0.borrow();
        let root = roots.get(number as usize).map(Arc::clone);
        root.ok_or_else(|| Error::from_reason("no root has this number"))
    }

    /// Releases the descriptor of a root; a call that is running keeps it until its end. Every call
    /// afterwards is `EBADF`. Closing twice is fine.
    pub fn close(&self, number: u32) {
        if let Some(root) = self.0.borrow_mut().get_mut(number as usize) {
            *root = Arc::new(root.closed());
        }
    }

    /// Forgets a root that JavaScript has no more: its number is free for another.
    pub fn forget(&self, number: u32) {
        self.0.borrow_mut().try_remove(number as usize);
    }
}
