//! The floor: what the operations cost without Node. Each is the least system calls that do the work
//! safely, in a tight loop, with paths made beforehand and nothing checked but that they succeed.
#![allow(missing_docs)]

mod calls;
mod trees;

use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use napi::bindgen_prelude::*;
use napi_derive::napi;
use rustix::io::Errno;
use rustix::time::ClockId;

fn failed(error: impl std::fmt::Display) -> Error {
    Error::from_reason(error.to_string())
}

/// Does `operation` `n` times in the directory `parent` beneath `root`; the nanoseconds of one, by the
/// CPU time of the thread if `cpu`. With `missing` it is on a name that is not there.
#[napi]
pub fn calls(
    operation: String,
    root: String,
    parent: String,
    n: u32,
    cpu: bool,
    missing: bool,
) -> Result<f64> {
    let clock = match cpu {
        true => ClockId::ThreadCPUTime,
        false => ClockId::Monotonic,
    };
    let measure = calls::Measure {
        n: n as usize,
        first: 0,
        missing,
        now: &|| nanoseconds(clock),
        begin: &|| {},
    };
    calls::run(&operation, &root, &parent, measure).map_err(failed)
}

/// The same by two threads, each of which does half of them.
#[napi]
pub fn calls_by_two(operation: String, root: String, parent: String, n: u32) -> Result<f64> {
    let half = n as usize / 2;
    let both = Barrier::new(2);
    let work = |first| {
        let measure = calls::Measure {
            n: half,
            first,
            missing: false,
            now: &|| nanoseconds(ClockId::Monotonic),
            begin: &|| drop(both.wait()),
        };
        calls::run(&operation, &root, &parent, measure)
    };
    let (first, second) = thread::scope(|scope| {
        let second = scope.spawn(|| work(half));
        (work(0), second.join().unwrap_or(Err(Errno::IO)))
    });
    Ok(first.map_err(failed)?.max(second.map_err(failed)?) / 2.0)
}

/// Makes `dirs` directories at `top`, with `files` files of `size` bytes in each.
#[napi]
pub fn plant(top: String, dirs: u32, files: u32, size: u32) -> Result<()> {
    trees::plant(&top, dirs, files, size as usize).map_err(failed)
}

/// Removes the tree at `top`; the nanoseconds that it took.
#[napi]
pub fn remove(top: String, threads: u32) -> Result<f64> {
    timed(|| trees::remove(&top, threads)).map_err(failed)
}

/// Copies the tree at `from` to `to`; the nanoseconds that it took.
#[napi]
pub fn copy(from: String, to: String, threads: u32) -> Result<f64> {
    timed(|| trees::copy(&from, &to, threads)).map_err(failed)
}

/// Lists the tree at `top` and keeps nothing; the nanoseconds that it took.
#[napi]
pub fn list(top: String, threads: u32) -> Result<f64> {
    timed(|| trees::list(&top, threads)).map_err(failed)
}

/// Runs a program, its output thrown away; the nanoseconds until it ended, or with `cpu` those that it ran.
/// Starting one from here costs less than from Node, which is fair to the program.
#[napi]
pub fn program(name: String, args: Vec<String>, cpu: bool) -> Result<f64> {
    let now = || match cpu {
        true => children_ran(),
        false => nanoseconds(ClockId::Monotonic),
    };
    let start = now();
    let status = Command::new(&name)
        .args(args)
        .stdout(Stdio::null())
        .status()
        .map_err(failed)?;
    match status.success() {
        true => Ok(now() - start),
        false => Err(failed(format!("{name}: {status}"))),
    }
}

/// How long all programs ran that this process has started and that have ended.
fn children_ran() -> f64 {
    // SAFETY: all of the structure is numbers, and getrusage(2) fills it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage);
        usage
    };
    let of = |time: libc::timeval| time.tv_sec as f64 * 1e9 + time.tv_usec as f64 * 1e3;
    of(usage.ru_utime) + of(usage.ru_stime)
}

/// The nanoseconds for which this thread has been running: what else the machine does is not in them.
#[napi]
pub fn cpu_time() -> f64 {
    nanoseconds(ClockId::ThreadCPUTime)
}

fn nanoseconds(clock: ClockId) -> f64 {
    let now = rustix::time::clock_gettime(clock);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

fn timed(work: impl FnOnce() -> rustix::io::Result<()>) -> rustix::io::Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_nanos() as f64)
}
