//! File system operations that cannot leave a root directory.
//!
//! A path is turned into a descriptor in exactly one place, and nothing else can act on a path:
//!
//! - [`path`]: from what a caller gave to a path that may be resolved;
//! - [`policy`]: what a root allows;
//! - [`resolve`]: from such a path to a descriptor, through `openat2` beneath the root;
//! - [`at`]: what may be done to one name in an open directory;
//! - [`ops`]: what each operation means, in those terms;
//! - [`error`]: what a failed operation says;
//! - `node`: arguments in, values and errors out, for the scripts in `lib/`;
//! - `memory`: allocations that may fail;
//! - `proc`: the descriptors of this process in `/proc`, for older kernels;
//! - [`retry`]: trying again, a bounded number of times;
//! - [`watch`]: following long work, and stopping it;
//! - `sys`: the system calls that rustix lacks, and all the `unsafe` there is.

pub mod at;
pub mod error;
pub mod memory;
#[cfg(feature = "node")]
pub mod node;
pub mod ops;
pub mod path;
pub mod policy;
mod proc;
pub mod resolve;
pub mod retry;
mod sys;
pub mod watch;
