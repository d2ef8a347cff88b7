'use strict';
// What strace wrote, call by call, and the rules that every call of this package is held to.

const fs = require('node:fs');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { ASKED_FIRST } = require('./ways');

/** A program marks its trace by looking for files that do not exist, in this folder. */
const MARKERS = '/openat2-marker/';

/** What the running program does shows in its trace between this and the next mark. */
const mark = (text) => void fs.existsSync(MARKERS + text);

/** Runs Node with `args` under strace; its output, and for each mark the calls that follow it. */
function trace(dir, args, { wrapper = [], inject = [] } = {}) {
  const file = path.join(dir, 'trace');
  const options = ['-ff', '-ttt', '-T', '-s', '16384', '-e', 'signal=none', '-o', file];
  const faults = inject.flatMap((fault) => ['-e', `inject=${fault}`]);
  const patience = ['timeout', '120'];
  const command = ['strace', ...options, ...faults, ...patience, ...wrapper, process.execPath, ...args];
  // Work on the pool is done by one thread: what it costs to start others is nobody's business.
  const env = { ...process.env, UV_THREADPOOL_SIZE: '1' };
  const ran = spawnSync(command[0], command.slice(1), { encoding: 'utf8', maxBuffer: 1 << 28, env });
  if (ran.status === 124) throw new Error('a call hangs');
  if (ran.status !== 0) throw new Error(`${command.join(' ')}: ${ran.error ?? ran.stderr}`);
  // One file a thread: no line is interrupted by that of another. One thread makes the marks, and
  // starts what others do; the times tell the order.
  const threads = fs.readdirSync(dir).filter((name) => name.startsWith('trace.'));
  const calls = threads.flatMap((name) =>
    callsOf(fs.readFileSync(path.join(dir, name), 'utf8')).map((call) => ({ ...call, thread: name })),
  );
  for (const name of threads) fs.rmSync(path.join(dir, name));
  return { stdout: ran.stdout, sections: sections(calls.sort((a, b) => a.at - b.at)) };
}

/** The calls of one thread and when each was made, without those of the runtime. */
function callsOf(text) {
  const isOfTheRuntime = runtime();
  const calls = text.split('\n').flatMap((whole) => {
    const [, at = 0, line] = /^(?:(\d+\.\d+) )?(.*)$/s.exec(whole);
    const call = parse(line);
    if (call === null || isOfTheRuntime(call)) return [];
    // A descriptor is there when the call that gives it has ended: then others know its number.
    const lasted = opensOne(call) ? Number(/<([\d.]+)>$/.exec(line)?.[1] ?? 0) : 0;
    return [{ ...call, at: Number(at), until: Number(at) + lasted }];
  });
  // But no later than the next call of this thread: the clock is not finer than they are.
  return calls.map(({ until, ...call }, i) => ({ ...call, at: Math.min(until, calls[i + 1]?.at ?? until) }));
}

const opensOne = ({ name, args }) => name.startsWith('open') || args[1] === 'F_DUPFD_CLOEXEC';

/** The calls behind each mark, up to the next one; `elsewhere`: not on the thread that made the mark. */
function sections(calls) {
  const found = new Map();
  let section = [];
  let marking;
  for (const { at: _, ...call } of calls) {
    const marker = call.line.indexOf(`"${MARKERS}`);
    if (marker === -1) {
      section.push({ ...call, elsewhere: call.thread !== marking });
      continue;
    }
    marking = call.thread;
    const text = call.line.slice(marker + 1 + MARKERS.length);
    section = [];
    found.set(text.slice(0, text.indexOf('"')), section);
  }
  return found;
}

/** Names of system calls that came after the strace that runs here: their numbers are the same everywhere. */
const NUMBERED = { syscall_0x1c4: 'fchmodat2' };

/** One line as `{ name, args, result, errno }`; `null` for what is no call that ended. */
function parse(line) {
  const head = /^(\w+)\(/.exec(line);
  if (head === null || line.endsWith('<detached ...>')) return null;
  const args = [];
  let arg = '';
  let depth = 0;
  let i = head[0].length;
  for (; i < line.length; i += 1) {
    const c = line[i];
    if (c === '"') {
      const start = i;
      for (i += 1; i < line.length && line[i] !== '"'; i += 1) if (line[i] === '\\') i += 1;
      arg += line.slice(start, i + 1);
    } else if (line.startsWith('/*', i)) {
      i = line.indexOf('*/', i) + 1;
    } else if (c === ')' && depth === 0) {
      break;
    } else if (c === ',' && depth === 0) {
      args.push(arg.trim());
      arg = '';
    } else {
      if ('([{'.includes(c)) depth += 1;
      if (')]}'.includes(c)) depth -= 1;
      arg += c;
    }
  }
  if (arg.trim() !== '' || args.length > 0) args.push(arg.trim());
  const end = /^\)\s+= (-?\w+|\?)(?: (E[A-Z0-9]+))?/.exec(line.slice(i));
  if (end === null) throw new Error(`not understood: ${line}`);
  return { name: NUMBERED[head[1]] ?? head[1], args, result: Number(end[1]), errno: end[2], line };
}

/** Tells what Node and the C library do at any moment: memory, threads, clocks. */
function runtime() {
  let asked = null;
  return ({ name, args, result }) => {
    // Before memory is given back, malloc once reads how the kernel counts it.
    if (name === 'openat' && args[1] === '"/proc/sys/vm/overcommit_memory"') {
      asked = String(result);
      return true;
    }
    if (['read', 'close'].includes(name) && args[0] === asked) {
      if (name === 'close') asked = null;
      return true;
    }
    if (name === 'mmap') return args[3].includes('MAP_ANONYMOUS') && args[4] === '-1';
    // Another thread is woken, by a number: how often.
    if (name === 'write') return args[1] === String.raw`"\1\0\0\0\0\0\0\0"`;
    if (name === 'read') return /^"\\\d+(\\0){7}"$/.test(args[1]);
    return RUNTIME.test(name);
  };
}

const RUNTIME =
  /^(munmap|mremap|mprotect|pkey_\w+|madvise|brk|membarrier|futex|sched_\w+|prctl|clock_\w+|gettimeofday|getrandom|getpid|gettid|geteuid|getrusage|uname|epoll_\w+|clone3?|set_robust_list|rseq|sigaltstack|exit|rt_sig\w+)$/;

const has = (flags, ...wanted) => {
  const given = flags.split('|');
  return wanted.every((flag) => given.includes(flag));
};

/** The text of a quoted argument, with the escapes left in it: none of them stands for a slash or a dot. */
const text = (arg) => (/^"(.*)"$/s.exec(arg) ?? [])[1];

/** What the kernel resolves as one name in the directory at hand, and in no other. */
const isLeaf = (arg) => {
  const name = text(arg);
  return name !== undefined && !['', '.', '..'].includes(name) && !name.includes('/');
};

/**
 * What is wrong with `calls`, the system calls of one call of `method`; and which descriptors they
 * left open. `root` is the root's descriptor, the constructor has none yet; `to` that of another one
 * that the call is told of. `later`: a promise of it. `symlinks` and `mounts` are what they allow. `procfs` is for an old kernel, where a call that is missing may be made through
 * `/proc/self/fd`: the descriptors that are kept for that, which is no leak.
 */
function audit(
  calls,
  { method, root, to, symlinks = 'reject', mounts = 'allow', procfs = null, later = false },
) {
  const resolve = (policy) => [...RESOLVE[policy], ...(mounts === 'reject' ? ['RESOLVE_NO_XDEV'] : [])];
  const state = { method, roots: [root, to], symlinks, resolve, procfs, later, own: new Map(), calls };
  state.refusesMounts = mounts === 'reject';
  if (method === 'writeFile') state.procfs ??= new Set();
  const complaints = [];
  calls.forEach((call, i) => {
    const rule = RULES[call.name];
    const verdict = rule === undefined ? ['no rule lets it through'] : rule(call, state, i);
    for (const complaint of verdict.filter(Boolean)) complaints.push(`${complaint}: ${call.line}`);
  });
  for (const [fd, kind] of state.own) if (kind === 'proc') state.procfs.add(fd) && state.own.delete(fd);
  return { complaints, left: [...state.own.keys()] };
}

/** How openat2 is told each policy: exactly so. */
const RESOLVE = {
  reject: ['RESOLVE_BENEATH', 'RESOLVE_NO_SYMLINKS', 'RESOLVE_NO_MAGICLINKS'],
  beneath: ['RESOLVE_BENEATH', 'RESOLVE_NO_MAGICLINKS'],
  'in-root': ['RESOLVE_IN_ROOT', 'RESOLVE_NO_MAGICLINKS'],
};

const isExactly = (flags, wanted) => flags.split('|').sort().join() === [...wanted].sort().join();

/** Opened descriptors are followed until they are closed. */
function opens(call, state, kind = 'file') {
  if (call.result >= 0) state.own.set(String(call.result), kind);
}

const isOurs = (arg, { roots, own }) => roots.includes(arg) || own.has(arg);
const ofProc = (arg, { own, procfs }) => own.get(arg) === 'proc' || procfs?.has(arg);

const unless = (holds, complaint) => (holds ? null : complaint);
const directory = (arg, state) => unless(isOurs(arg, state), 'not in a directory that it opened');
const leaf = (arg) => unless(isLeaf(arg), 'not one name');
const descriptor = (arg, state) => unless(state.own.has(arg), 'not a descriptor that it opened');

const onName =
  (...more) =>
  ({ args }, state) => [directory(args[0], state), leaf(args[1]), ...more.map((check) => check(args))];
const onDescriptor =
  (...more) =>
  ({ args }, state) => [descriptor(args[0], state), ...more.map((check) => check(args))];

/** A change of a file that was opened, or of one name that is not followed. */
const onNameOrDescriptor = (fd, name, flags, state) =>
  name === '""'
    ? [descriptor(fd, state), unless(flags === 'AT_EMPTY_PATH', 'a name is looked up')]
    : [directory(fd, state), leaf(name), unless(flags === 'AT_SYMLINK_NOFOLLOW', 'a symlink is followed')];

/** What goes through trees, and back up. */
const GOES_UP = ['rm', 'readdir', 'walk', 'cp', 'move'];

/** The one way to a descriptor that does not stay beneath a directory: from one below to the one above. */
const UPWARDS = ['RESOLVE_NO_SYMLINKS', 'RESOLVE_NO_MAGICLINKS'];

/** What is wrong with opening `..` of a directory: it is one step, and what it gives is compared. */
function upwards(call, state, flags, resolve) {
  const [dir] = call.args;
  // Between the two, another thread may do something.
  const later = state.calls.slice(state.calls.indexOf(call) + 1);
  const next = later.find(({ args }) => args[0] === String(call.result));
  const isChecked = call.result < 0 || ['fstat', 'statx'].includes(next?.name);
  const isMarked = isExactly(resolve, [...UPWARDS, 'RESOLVE_NO_XDEV']);
  return [
    descriptor(dir, state),
    unless(GOES_UP.includes(state.method), 'upwards'),
    unless(isChecked, 'upwards, and not compared with what it should be'),
    unless(has(flags, 'O_DIRECTORY'), 'upwards, and not to a directory'),
    unless(
      isMarked || (!state.refusesMounts && isExactly(resolve, UPWARDS)),
      'not the resolve flags of a step upwards',
    ),
  ];
}

/** The system calls that may be made at all. Each answers with its complaints. */
const RULES = {
  openat2(call, state) {
    const [dir, name, how] = call.args;
    const flags = /flags=([^,}]+)/.exec(how)?.[1] ?? '';
    const asked = /resolve=([^,}]+)/.exec(how)?.[1] ?? '';
    // A promise asks for what needs no waiting, first of all and on the thread that calls.
    const isFirst = state.calls[0] === call && !call.elsewhere && has(flags, 'O_PATH');
    const mayBeCached = isFirst && state.later && ASKED_FIRST[state.method] !== undefined;
    const resolve = mayBeCached
      ? asked
          .split('|')
          .filter((flag) => flag !== 'RESOLVE_CACHED')
          .join('|')
      : asked;
    const given = text(name);
    // The one descriptor that the constructor has is the root's, before anybody knows of it.
    const fromRoot = state.roots.includes(dir) || state.own.get(dir) === 'root';
    // A step in a tree: one name in a directory on the way, and no symlink under any policy.
    const strict = state.resolve('reject');
    const isStrict = isExactly(resolve, strict) || isExactly(resolve, [...strict, 'RESOLVE_NO_XDEV']);
    // Or a file without a name in it, or the directory itself once more.
    const isItself =
      name === '"."' && (has(flags, 'O_TMPFILE', 'O_WRONLY') || has(flags, 'O_RDONLY', 'O_DIRECTORY'));
    const isStep = (isLeaf(name) || isItself) && isOurs(dir, state) && isStrict;
    opens(call, state);
    const always = [
      unless(has(flags, 'O_CLOEXEC'), 'a child would inherit it'),
      unless(!has(flags, 'O_TRUNC'), 'what is there is emptied before it is looked at'),
      unless(
        ['O_PATH', 'O_DIRECTORY', 'O_TMPFILE', 'O_EXCL'].some((flag) => has(flags, flag)) ||
          has(flags, 'O_NONBLOCK', 'O_NOCTTY'),
        'it could wait for a peer',
      ),
    ];
    if (name === '".."' && !fromRoot) return [...always, ...upwards(call, state, flags, resolve)];
    return [
      ...always,
      unless(fromRoot || isStep, 'not from the root'),
      unless(
        given !== undefined &&
          !given.startsWith('/') &&
          // Where symlinks are followed, the kernel knows where it leads.
          (state.symlinks !== 'reject' || !given.split('/').includes('..')),
        'a path that says where it leads out',
      ),
      unless(
        isStep || isExactly(resolve, state.resolve(state.symlinks)),
        'not the resolve flags of the policy',
      ),
      unless(fromRoot || !has(flags, 'O_CREAT') || has(flags, 'O_EXCL'), 'made, or opened if it is there'),
    ];
  },
  // Only what is no path of a caller is opened in another way: a new root, and /proc.
  open(call, state, i) {
    return RULES.openat({ ...call, args: ['AT_FDCWD', ...call.args] }, state, i);
  },
  openat(call, state, i) {
    const [dir, name, flags] = call.args;
    const cloexec = unless(has(flags, 'O_CLOEXEC'), 'a child would inherit it');
    if (dir === 'AT_FDCWD') {
      const isProc = state.procfs !== null && name === '"/proc"' && has(flags, 'O_NOFOLLOW', 'O_DIRECTORY');
      const isFirst = state.calls.findIndex(({ name }) => /^open/.test(name)) === i;
      const isRoot =
        ['constructor', 'isAt'].includes(state.method) && isFirst && has(flags, 'O_PATH', 'O_DIRECTORY');
      opens(call, state, isProc ? 'proc' : state.method === 'constructor' ? 'root' : 'file');
      return [cloexec, unless(isProc || isRoot, 'by a path of the host')];
    }
    if (ofProc(dir, state)) {
      opens(call, state, 'proc');
      return [cloexec, unless(has(flags, 'O_NOFOLLOW') && !name.includes('/'), 'not one name')];
    }
    opens(call, state);
    return ['not by openat2'];
  },

  mkdirat: onName(),
  unlinkat: onName(),
  newfstatat: onName(([, , , flags]) => unless(has(flags, 'AT_SYMLINK_NOFOLLOW'), 'a symlink is followed')),
  symlinkat: ({ args }, state) => [directory(args[1], state), leaf(args[2])],
  linkat: ({ args: [from, name, to, newName, flags] }, state) => {
    const destination = [directory(to, state), leaf(newName)];
    // An open file gets a name: by its descriptor, or by the number of that.
    if (name === '""')
      return [
        ...destination,
        descriptor(from, state),
        unless(flags === 'AT_EMPTY_PATH', 'a name is looked up'),
      ];
    if (ofProc(from, state)) return [...destination, numberOfOurs(name, state)];
    const source = [directory(from, state), leaf(name)];
    return [...destination, ...source, unless(flags === '0', 'a symlink is followed')];
  },
  renameat2: ({ args }, state) => [
    directory(args[0], state),
    leaf(args[1]),
    directory(args[2], state),
    leaf(args[3]),
    unless(
      (state.method === 'exchange' ? ['RENAME_EXCHANGE'] : ['0', 'RENAME_NOREPLACE']).includes(args[4]),
      'with a flag that nothing asks for',
    ),
  ],

  fchmodat2({ args: [fd, name, , flags] }, state) {
    // strace before 6.7 shows the bare numbers: of the descriptor, of an address, of the flag.
    if (fd.startsWith('0x')) {
      return [descriptor(String(Number(fd)), state), unless(flags === '0x1000', 'a name is looked up')];
    }
    return [descriptor(fd, state), unless(name === '""' && flags === 'AT_EMPTY_PATH', 'a name is looked up')];
  },
  utimensat({ args: [fd, name, , flags] }, state) {
    if (ofProc(fd, state)) return [numberOfOurs(name, state)];
    return onNameOrDescriptor(fd, name, flags, state);
  },
  fchownat: ({ args: [fd, name, , , flags] }, state) => onNameOrDescriptor(fd, name, flags, state),
  faccessat2: ({ args: [fd, name, , flags] }, state) => [
    descriptor(fd, state),
    unless(name === '""' && flags === 'AT_EMPTY_PATH', 'a name is looked up'),
  ],

  fstat: ({ args }, state) => [directory(args[0], state)],
  fchmod: onDescriptor(),
  ftruncate: onDescriptor(),
  lseek: onDescriptor(),
  getdents64: onDescriptor(),
  pread64: onDescriptor(),
  pwrite64: onDescriptor(),
  read: onDescriptor(),
  write: onDescriptor(),
  fsync: onDescriptor(),
  fchown: onDescriptor(),
  mknodat: onName(([, , mode]) => unless(mode.startsWith('S_IFIFO|'), 'no FIFO')),
  statx: ({ args: [fd, name, flags] }, state) => [
    directory(fd, state),
    unless(name === '""' && has(flags, 'AT_EMPTY_PATH'), 'a name is looked up'),
  ],
  fcntl(call, state) {
    const [fd, command] = call.args;
    const known = descriptor(fd, state);
    if (command === 'F_DUPFD_CLOEXEC') opens(call, state);
    return [known, unless(/^F_([GS]ETFL|DUPFD_CLOEXEC)$/.test(command), 'a descriptor is copied or changed')];
  },
  ioctl: ({ args: [to, request, from] }, state) => [
    descriptor(to, state),
    unless(request.includes('FICLONE'), 'unknown to the rules'),
    descriptor(from, state),
  ],
  copy_file_range: ({ args }, state) => [descriptor(args[0], state), descriptor(args[2], state)],
  close({ args: [fd] }, state) {
    const isRoots = fd === state.roots[0] && ['close', String(Symbol.dispose)].includes(state.method);
    const complaint = isRoots ? null : descriptor(fd, state);
    state.own.delete(fd);
    return [complaint];
  },

  // What makes sure that /proc is procfs, and the calls made there.
  fstatfs: ({ args }, state) => [inProc(args[0], state)],
  readlinkat: ({ args: [fd, name] }, state) => {
    if (ofProc(fd, state)) return [unless(name === '""', 'a name is looked up')];
    return name === '""' ? [descriptor(fd, state)] : [directory(fd, state), leaf(name)];
  },
  // From above itself to itself: fails on what is mounted, in a way that nothing else does.
  renameat: ({ args, errno }, state) => [
    inProc(args[0], state),
    unless(args[1] === '"../."' && args[2] === args[0] && args[3] === '"."', 'a name is moved'),
    unless(['EXDEV', 'EBUSY'].includes(errno), 'it was done'),
  ],
  fchmodat: ({ args }, state) => [inProc(args[0], state), numberOfOurs(args[1], state)],
};

const inProc = (arg, state) => unless(ofProc(arg, state), 'by a descriptor not of /proc');
const numberOfOurs = (name, state) =>
  unless(state.own.get(text(name)) === 'file', 'not the number of what it opened');

module.exports = { audit, callsOf, mark, parse, sections, trace };
