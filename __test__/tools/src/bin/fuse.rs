//! A FUSE file system whose answers come late. Needs root, to mount.
//!
//! ```text
//! fuse MOUNT_POINT [ENTRY_SECONDS [ATTRIBUTE_SECONDS]]
//! ```
//!
//! It is mounted on the directory `MOUNT_POINT`. The kernel may keep names for `ENTRY_SECONDS` (by
//! default 3600) and attributes for `ATTRIBUTE_SECONDS` (by default 0, so that every `stat` asks).
//! It is read-only, for every user, and holds:
//!
//! | path        | what it is                                                                      |
//! |-------------|---------------------------------------------------------------------------------|
//! | `file`      | 8 bytes: `content\n`                                                            |
//! | `dir/inner` | the same                                                                        |
//! | `link`      | a symlink to `file`                                                             |
//! | `endless`   | of size 0; every read gives all bytes that were asked for, zeros, without an end |
//!
//! Commands come by standard input, one a line. When it is closed, the file system is unmounted.
//!
//! | stdin          | stdout  | meaning                                                      |
//! |----------------|---------|--------------------------------------------------------------|
//! |                | `ready` | mounted                                                      |
//! | `delay OP MS`  | `ok`    | answers to OP come MS milliseconds late, those under way too |
//! | `count OP`     | number  | how many requests of OP have come                            |
//!
//! OP is one of [`OPERATIONS`], or `all`. Each late answer has a thread of its own: it keeps back no
//! other one.
//!
//! This speaks the kernel's protocol by itself, in the version of Linux 5.6: see fuse(4) and
//! `linux/fuse.h`.

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const READLINK: u32 = 5;
const OPEN: u32 = 14;
const READ: u32 = 15;
const STATFS: u32 = 17;
const RELEASE: u32 = 18;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const READDIR: u32 = 28;
const RELEASEDIR: u32 = 29;
const ACCESS: u32 = 34;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;

/// What can be answered late.
const OPERATIONS: [(&str, u32); 12] = [
    ("lookup", LOOKUP),
    ("getattr", GETATTR),
    ("readlink", READLINK),
    ("open", OPEN),
    ("read", READ),
    ("statfs", STATFS),
    ("release", RELEASE),
    ("flush", FLUSH),
    ("opendir", OPENDIR),
    ("readdir", READDIR),
    ("releasedir", RELEASEDIR),
    ("access", ACCESS),
];

fn main() -> ExitCode {
    match run(env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fuse: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<String>) -> Result<()> {
    let usage = "usage: fuse MOUNT_POINT [ENTRY_SECONDS [ATTRIBUTE_SECONDS]]";
    let mount_point = arguments.first().ok_or(usage)?;
    let seconds = |index, default| -> Result<u64> {
        Ok(arguments
            .get(index)
            .map_or(Ok(default), |text: &String| text.parse())?)
    };
    let server = Arc::new(Server {
        device: OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/fuse")?,
        entry_seconds: seconds(1, 3600)?,
        attribute_seconds: seconds(2, 0)?,
        state: Mutex::default(),
    });
    let options = format!(
        "fd={},rootmode=40000,user_id=0,group_id=0,allow_other",
        server.device.as_raw_fd()
    );
    let options = CString::new(options)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount(
        "late",
        mount_point.as_str(),
        "fuse",
        flags,
        options.as_c_str(),
    )?;
    let serving = Arc::clone(&server);
    thread::spawn(move || serving.serve());
    println!("ready");
    for line in io::stdin().lines() {
        println!("{}", server.command(&line?)?);
    }
    Ok(unmount(Path::new(mount_point), UnmountFlags::DETACH)?)
}

/// A file, a directory or a symlink.
struct Node {
    number: u64,
    parent: u64,
    name: &'static str,
    mode: u32,
    /// The content of a file, or the target of a symlink.
    content: &'static [u8],
}

const ROOT: u64 = 1;
const ENDLESS: u64 = 6;
const DIRECTORY: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

const NODES: [Node; 6] = [
    node(ROOT, ROOT, "", DIRECTORY | 0o755, b""),
    node(2, ROOT, "file", 0o100_644, b"content\n"),
    node(3, ROOT, "dir", DIRECTORY | 0o755, b""),
    node(4, 3, "inner", 0o100_644, b"content\n"),
    node(5, ROOT, "link", LINK | 0o777, b"file"),
    node(ENDLESS, ROOT, "endless", 0o100_644, b""),
];

const fn node(
    number: u64,
    parent: u64,
    name: &'static str,
    mode: u32,
    content: &'static [u8],
) -> Node {
    Node {
        number,
        parent,
        name,
        mode,
        content,
    }
}

impl Node {
    fn numbered(number: u64) -> Result<&'static Self, Errno> {
        NODES
            .iter()
            .find(|node| node.number == number)
            .ok_or(Errno::STALE)
    }

    fn children(&self) -> impl Iterator<Item = &'static Self> {
        let parent = self.number;
        NODES
            .iter()
            .filter(move |node| node.parent == parent && node.number != ROOT)
    }
}

/// What was asked of the file system so far, and how late it answers.
#[derive(Default)]
struct State {
    delays: HashMap<u32, Duration>,
    counts: HashMap<u32, u64>,
}

struct Server {
    device: File,
    entry_seconds: u64,
    attribute_seconds: u64,
    state: Mutex<State>,
}

/// A request, taken apart: `struct fuse_in_header` and what follows.
struct Request {
    operation: u32,
    id: u64,
    node: u64,
    body: Vec<u8>,
}

impl Request {
    fn of(bytes: &[u8]) -> Result<Self, Errno> {
        Ok(Self {
            operation: number_at(bytes, 4)?,
            id: long_at(bytes, 8)?,
            node: long_at(bytes, 16)?,
            body: bytes.get(40..).ok_or(Errno::INVAL)?.to_vec(),
        })
    }
}

impl Server {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what a line of standard input says, and gives back what is said in return.
    fn command(&self, line: &str) -> Result<String> {
        let words: Vec<_> = line.split(' ').collect();
        let numbers = |wanted: &str| {
            let all = OPERATIONS.iter();
            let found = all.filter(|(name, _)| wanted == "all" || wanted == *name);
            found.map(|(_, number)| *number).collect::<Vec<_>>()
        };
        match words.as_slice() {
            ["delay", operation, ms] => {
                let delay = Duration::from_millis(ms.parse()?);
                let delays = numbers(operation).into_iter().map(|number| (number, delay));
                self.state().delays.extend(delays);
                Ok("ok".to_owned())
            }
            ["count", operation] => {
                let state = self.state();
                let counts = numbers(operation)
                    .into_iter()
                    .filter_map(|n| state.counts.get(&n));
                Ok(counts.sum::<u64>().to_string())
            }
            _ => Err(format!("not a command: {line}").into()),
        }
    }

    /// Answers requests until the file system is unmounted.
    fn serve(self: &Arc<Self>) {
        let mut room = vec![0; 1 << 18];
        loop {
            let length = match (&self.device).read(&mut room) {
                Ok(length) => length,
                Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
                    // The request was interrupted before it was read.
                    Some(Errno::NOENT | Errno::INTR | Errno::AGAIN) => continue,
                    _ => return,
                },
            };
            let Ok(request) = Request::of(room.get(..length).unwrap_or_default()) else {
                return;
            };
            // To these, there is no answer.
            if matches!(request.operation, FORGET | BATCH_FORGET | INTERRUPT) {
                continue;
            }
            *self.state().counts.entry(request.operation).or_default() += 1;
            if self.delay(&request).is_zero() {
                self.answer(&request);
            } else {
                let server = Arc::clone(self);
                thread::spawn(move || server.answer_late(&request));
            }
        }
    }

    fn delay(&self, request: &Request) -> Duration {
        let state = self.state();
        state
            .delays
            .get(&request.operation)
            .copied()
            .unwrap_or_default()
    }

    fn answer_late(&self, request: &Request) {
        let came = Instant::now();
        while came.elapsed() < self.delay(request) {
            thread::sleep(Duration::from_millis(5));
        }
        self.answer(request);
    }

    fn answer(&self, request: &Request) {
        let (error, body) = match self.answer_to(request) {
            Ok(body) => (0, body),
            Err(errno) => (-errno.raw_os_error(), Vec::new()),
        };
        // `struct fuse_out_header`
        let mut answer = Bytes::default();
        answer.number(16 + body.len() as u32);
        answer.number(error as u32);
        answer.long(request.id);
        answer.0.extend(body);
        // Who asked may be gone.
        let _ = (&self.device).write(&answer.0);
    }

    fn answer_to(&self, request: &Request) -> Result<Vec<u8>, Errno> {
        let mut answer = Bytes::default();
        match request.operation {
            INIT => init(&mut answer, number_at(&request.body, 8)?),
            LOOKUP => {
                let name = request.body.split(|&byte| byte == 0).next();
                let mut children = Node::numbered(request.node)?.children();
                let found = children.find(|node| Some(node.name.as_bytes()) == name);
                self.entry(&mut answer, found.ok_or(Errno::NOENT)?);
            }
            GETATTR => {
                answer.long(self.attribute_seconds);
                answer.long(0);
                attributes(&mut answer, Node::numbered(request.node)?);
            }
            READLINK => answer.0.extend(Node::numbered(request.node)?.content),
            OPEN => {
                // What is written to is refused: O_ACCMODE of `struct fuse_open_in`.
                if number_at(&request.body, 0)? & 3 != 0 {
                    return Err(Errno::ROFS);
                }
                // FOPEN_DIRECT_IO: else nothing is read beyond the size.
                let flags = u32::from(request.node == ENDLESS);
                answer.opened(flags);
            }
            OPENDIR => answer.opened(0),
            READ => {
                let offset = long_at(&request.body, 8)? as usize;
                let size = number_at(&request.body, 16)? as usize;
                if request.node == ENDLESS {
                    answer.0.resize(size, 0);
                } else {
                    let content = Node::numbered(request.node)?.content;
                    let rest = content.get(offset..).unwrap_or_default();
                    answer.0.extend(rest.iter().take(size));
                }
            }
            READDIR => {
                let offset = long_at(&request.body, 8)? as usize;
                let size = number_at(&request.body, 16)? as usize;
                let directory = Node::numbered(request.node)?;
                for (index, node) in directory.children().enumerate().skip(offset) {
                    let entry = directory_entry(node, index as u64 + 1);
                    if answer.0.len() + entry.len() > size {
                        break;
                    }
                    answer.0.extend(entry);
                }
            }
            STATFS => {
                // `struct fuse_kstatfs`
                for _ in 0..5 {
                    answer.long(0);
                }
                answer.number(4096);
                answer.number(255);
                answer.number(4096);
                answer.0.resize(80, 0);
            }
            FLUSH | RELEASE | RELEASEDIR | ACCESS => {}
            _ => return Err(Errno::NOSYS),
        }
        Ok(answer.0)
    }

    /// `struct fuse_entry_out`
    fn entry(&self, answer: &mut Bytes, node: &Node) {
        answer.long(node.number);
        answer.long(0);
        answer.long(self.entry_seconds);
        answer.long(self.attribute_seconds);
        answer.long(0);
        attributes(answer, node);
    }
}

/// `struct fuse_init_out`
fn init(answer: &mut Bytes, readahead: u32) {
    const VERSION: [u32; 2] = [7, 31];
    const MOST_WRITTEN: u32 = 1 << 17;
    for number in [VERSION[0], VERSION[1], readahead, 0, 0, MOST_WRITTEN, 1] {
        answer.number(number);
    }
    answer.0.resize(64, 0);
}

/// `struct fuse_attr`
fn attributes(answer: &mut Bytes, node: &Node) {
    answer.long(node.number);
    answer.long(node.content.len() as u64);
    for _ in 0..4 {
        answer.long(0);
    }
    for _ in 0..3 {
        answer.number(0);
    }
    for number in [node.mode, 1, 0, 0, 0, 4096, 0] {
        answer.number(number);
    }
}

/// `struct fuse_dirent`
fn directory_entry(node: &Node, next: u64) -> Vec<u8> {
    let mut entry = Bytes::default();
    entry.long(node.number);
    entry.long(next);
    entry.number(node.name.len() as u32);
    entry.number(node.mode >> 12);
    entry.0.extend(node.name.as_bytes());
    entry.0.resize(entry.0.len().next_multiple_of(8), 0);
    entry.0
}

/// An answer, while it is put together.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn number(&mut self, number: u32) {
        self.0.extend(number.to_ne_bytes());
    }

    fn long(&mut self, number: u64) {
        self.0.extend(number.to_ne_bytes());
    }

    /// `struct fuse_open_out`
    fn opened(&mut self, flags: u32) {
        self.long(0);
        self.number(flags);
        self.number(0);
    }
}

fn number_at(bytes: &[u8], at: usize) -> Result<u32, Errno> {
    let number = bytes.get(at..).and_then(|rest| rest.first_chunk());
    number
        .map(|bytes| u32::from_ne_bytes(*bytes))
        .ok_or(Errno::INVAL)
}

fn long_at(bytes: &[u8], at: usize) -> Result<u64, Errno> {
    let number = bytes.get(at..).and_then(|rest| rest.first_chunk());
    number
        .map(|bytes| u64::from_ne_bytes(*bytes))
        .ok_or(Errno::INVAL)
}
