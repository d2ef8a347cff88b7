//! The floor: what the operations cost without Node. Each is the least system calls that do the work
//! safely, in a tight loop, with paths made beforehand and nothing checked but that they succeed.
#![allow(missing_docs)]

mod calls;
mod trees;

use std::mem::MaybeUninit;
use std::process::{Command, Stdio};
use std::ptr::null;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use napi::bindgen_prelude::*;
use napi_derive::napi;
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::io::{Errno, retry_on_intr};
use rustix::time::ClockId;

fn failed(error: impl std::fmt::Display) -> Error {
    Error::from_reason(error.to_string())
}

/// Does `operation` `n` times in the directory `parent` beneath `root`, on `files` files in turn; the
/// nanoseconds of one, by the CPU time of the thread if `cpu`. With `missing` it is on a name that is not
/// there.
#[napi]
pub fn calls(
    operation: String,
    root: String,
    parent: String,
    n: u32,
    files: u32,
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
        files: files as usize,
        now: &|| nanoseconds(clock),
        begin: &|| {},
        turn: &|| {},
        done: &|| {},
    };
    calls::run(&operation, &root, &parent, measure).map_err(failed)
}

/// The same by two threads, each of which does half of them.
#[napi]
pub fn calls_by_two(
    operation: String,
    root: String,
    parent: String,
    n: u32,
    files: u32,
) -> Result<f64> {
    let half = n as usize / 2;
    let both = Barrier::new(2);
    on_threads([0, half], |first| {
        let measure = calls::Measure {
            n: half,
            first,
            missing: false,
            files: files as usize,
            now: &|| nanoseconds(ClockId::Monotonic),
            begin: &|| {
                both.wait();
            },
            turn: &|| {},
            done: &|| {},
        };
        calls::run(&operation, &root, &parent, measure)
    })
    .map_err(failed)
}

/// The same one at a time on another thread, which is woken for each and wakes this one, as libuv does it: by
/// a condition variable there, by an event that is polled here.
#[napi]
pub fn calls_elsewhere(operation: String, root: String, parent: String, n: u32) -> Result<f64> {
    let turns = &(Mutex::new(0), Condvar::new());
    let event = &eventfd(0, EventfdFlags::CLOEXEC).map_err(failed)?;
    // It fails where the count is at its most, and that wakes as well.
    let tell = || rustix::io::write(event, &1_u64.to_ne_bytes()).unwrap_or_default();
    let has_failed = AtomicBool::new(false);
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed)?;
    let data = epoll::EventData::new_u64(0);
    epoll::add(&poll, event, data, epoll::EventFlags::IN).map_err(failed)?;
    let took = thread::scope(|scope| {
        let other = scope.spawn(|| {
            let measure = calls::Measure {
                n: n as usize,
                first: 0,
                missing: false,
                files: 1,
                now: &|| nanoseconds(ClockId::Monotonic),
                begin: &|| {},
                turn: &|| {
                    let (left, woken) = turns;
                    let left = left.lock().unwrap_or_else(PoisonError::into_inner);
                    let left = woken.wait_while(left, |left| *left == 0);
                    *left.unwrap_or_else(PoisonError::into_inner) -= 1;
                },
                done: &|| {
                    tell();
                },
            };
            let came = calls::run(&operation, &root, &parent, measure);
            if came.is_err() {
                has_failed.store(true, Ordering::Release);
                tell();
            }
            came
        });
        let (left, woken) = turns;
        let give_turns = |more| {
            *left.lock().unwrap_or_else(PoisonError::into_inner) += more;
            woken.notify_one();
        };
        let wait = || {
            let mut room = [const { MaybeUninit::uninit() }; 1];
            retry_on_intr(|| epoll::wait(&poll, &mut room, None).map(drop))?;
            rustix::io::read(event, &mut [0; 8])
        };
        let start = nanoseconds(ClockId::Monotonic);
        let mut waited = Ok(0);
        for _ in 0..n {
            give_turns(1);
            waited = wait();
            if waited.is_err() || has_failed.load(Ordering::Acquire) {
                break;
            }
        }
        let took = nanoseconds(ClockId::Monotonic) - start;
        // It waits for no more.
        give_turns(n);
        waited?;
        other.join().unwrap_or(Err(Errno::IO))?;
        rustix::io::Result::Ok(took)
    });
    Ok(took.map_err(failed)? / f64::from(n))
}

/// Does `operation` once in each of the directories `parents`, on so many threads; the nanoseconds of one.
#[napi]
pub fn calls_in(
    operation: String,
    root: String,
    parents: Vec<String>,
    threads: u32,
) -> Result<f64> {
    let parts = parents.chunks(parents.len().div_ceil(threads as usize));
    on_threads(parts, |part| {
        let each = part.iter().map(|parent| {
            let measure = calls::Measure {
                n: 1,
                first: 0,
                missing: false,
                files: 1,
                now: &|| nanoseconds(ClockId::Monotonic),
                begin: &|| {},
                turn: &|| {},
                done: &|| {},
            };
            calls::run(&operation, &root, parent, measure)
        });
        Ok(each.sum::<rustix::io::Result<f64>>()? / part.len() as f64)
    })
    .map_err(failed)
}

/// What a call takes where a thread for each of `parts` makes as many: `work` tells what one takes it.
fn on_threads<Part: Send>(
    parts: impl IntoIterator<Item = Part>,
    work: impl Fn(Part) -> rustix::io::Result<f64> + Sync,
) -> rustix::io::Result<f64> {
    let work = &work;
    let all = thread::scope(|scope| {
        let threads = parts
            .into_iter()
            .map(|part| scope.spawn(move || work(part)));
        let threads = threads.collect::<Vec<_>>();
        let each = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(Err(Errno::IO)));
        each.collect::<rustix::io::Result<Vec<_>>>()
    })?;
    Ok(all.iter().copied().fold(0.0, f64::max) / all.len() as f64)
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

/// From here on, what this thread and those that it starts mount is mounted for this process alone, and
/// is gone with it, however it ends. Threads that are there already do not see it.
#[napi]
pub fn mount_privately() -> Result<()> {
    let all = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: the names are strings, and a change of propagation reads nothing else.
    let done = unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(c"none".as_ptr(), c"/".as_ptr(), null(), all, null()) == 0
    };
    match done {
        true => Ok(()),
        false => Err(failed(std::io::Error::last_os_error())),
    }
}

/// How many nanoseconds all programs ran that this process has started and that have ended.
#[napi]
pub fn children_ran() -> f64 {
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
