'use strict';
// What strace wrote, call by call, and the rules that every call of this package is held to.

const fs = require('node:fs');
const path = require('node:path');
const { once } = require('node:events');
const { spawn, spawnSync } = require('node:child_process');
const { ASKED_FIRST } = require('./ways');

/** A program marks its trace by looking for files that do not exist, in this folder. */
const MARKERS = '/openat2-marker/';

/** What the running program does shows in its trace between this and the next mark. */
const mark = (text) => void fs.existsSync(MARKERS + text);

/** The command that runs Node with `args` under strace, which writes to files in `dir`. */
function underStrace(dir, args, { wrapper = [], inject = [] }) {
  const file = path.join(dir, 'trace');
  const options = ['-ff', '-ttt', '-T', '-s', '16384', '-e', 'signal=none', '-o', file];
  const faults = inject.flatMap((fault) => ['-e', `inject=${fault}`]);
  const patience = ['timeout', '120'];
  const command = [...options, ...faults, ...patience, ...wrapper, process.execPath, ...args];
  // Work on the pool is done by one thread: what it costs to start others is nobody's business.
  return ['strace', command, { env: { ...process.env, UV_THREADPOOL_SIZE: '1' } }];
}

/** The output of such a command, and for each mark the calls that follow it. */
function traced(dir, [, command], { status, error, stdout, stderr }) {
  if (status === 124) throw new Error('a call hangs');
  if (status !== 0) throw new Error(`${command.join(' ')}: ${error ?? stderr}`);
  // One file a thread: no line is interrupted by that of another. One thread makes the marks, and
  // starts what others do; the times tell the order.
  const threads = fs.readdirSync(dir).filter((name) => name.startsWith('trace.'));
  const calls = threads.flatMap((name) =>
    callsOf(fs.readFileSync(path.join(dir, name), 'utf8')).map((call) => ({ ...call, thread: name })),
  );
  for (const name of threads) fs.rmSync(path.join(dir, name));
  return { stdout, sections: sections(inOrder(calls)) };
}

/** Runs Node with `args` under strace; its output, and for each mark the calls that follow it. */
function trace(dir, args, how = {}) {
  const [strace, command, options] = underStrace(dir, args, how);
  const ran = spawnSync(strace, command, { encoding: 'utf8', maxBuffer: 1 << 28, ...options });
  return traced(dir, [strace, command], ran);
}

/** The same while others run. */
async function traceBeside(dir, args, how = {}) {
  const [strace, command, options] = underStrace(dir, args, how);
  const child = spawn(strace, command, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  const ran = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr']) {
    child[stream].setEncoding('utf8').on('data', (text) => {
      ran[stream] += text;
    });
  }
  [ran.status] = await once(child, 'close');
  return traced(dir, [strace, command], ran);
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

/**
 * The calls of all threads, as they were made. When strace has to wait, it tells too early that a descriptor was
 * opened. A number is given again when it was closed: what opens it comes behind that, and before the next call of
 * its thread.
 */
function inOrder(calls) {
  const ordered = calls.sort((a, b) => a.at - b.at);
  const open = new Set();
  for (let i = 0; i < ordered.length; i += 1) {
    const call = ordered[i];
    const number = String(call.result);
    if (call.name === 'close') open.delete(call.args[0]);
    else if (opensOne(call) && call.result >= 0 && open.has(number)) {
      const behind = ordered.slice(i + 1, i + 1 + NEAR);
      const closed = behind.findIndex(
        ({ name, args, thread }) => thread === call.thread || (name === 'close' && args[0] === number),
      );
      if (closed === -1 || behind[closed].thread === call.thread) continue;
      ordered.splice(i + 1 + closed + 1, 0, call);
      ordered.splice(i, 1);
      i -= 1;
    } else if (opensOne(call) && call.result >= 0) open.add(number);
  }
  return ordered;
}
/** So many calls of other threads are made, at the most, before it shows that a descriptor was opened. */
const NEAR = 1000;

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
    // Before memory is given back, malloc once reads how the kernel counts it; and before it makes room for
    // another thread, how many there can be.
    const files = ['"/proc/sys/vm/overcommit_memory"', '"/sys/devices/system/cpu/online"'];
    if (name === 'openat' && files.includes(args[1])) {
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
  /^(munmap|mremap|mprotect|pkey_\w+|madvise|brk|membarrier|futex|sched_\w+|prctl|clock_\w+|gettimeofday|getrandom|getpid|gettid|getrusage|uname|epoll_\w+|clone3?|set_robust_list|rseq|sigaltstack|exit|rt_sig\w+)$/;

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

/** The same with one slash behind it, which asks for a directory. */
const isSlashed = (arg) => /^"[^/]+\/"$/s.test(arg) && isLeaf(arg.replace('/', ''));

/**
 * What is wrong with `calls`, the system calls of one call of `method`; and which descriptors they
 * left open. `root` is the root's descriptor, the constructor has none yet; `to` that of another one
 * that the call gets. `later`: a promise of it. `symlinks` and `mounts` are what they allow.
 * `procfs` is for what may be done through `/proc/self/fd`: the descriptors that are kept for that,
 * which is no leak; `kept` is the same for the methods that need it now and then. `slashed`: whether the caller wrote a slash behind a path.
 */
function audit(
  calls,
  {
    method,
    root,
    to,
    symlinks = 'reject',
    mounts = 'allow',
    procfs = null,
    kept,
    later = false,
    slashed = false,
  },
) {
  const resolve = (policy) => [...RESOLVE[policy], ...(mounts === 'reject' ? ['RESOLVE_NO_XDEV'] : [])];
  const state = { method, roots: [root, to], symlinks, resolve, procfs, later, slashed, calls };
  /** What kind of descriptor each is that was opened. */
  state.own = new Map();
  state.refusesMounts = mounts === 'reject';
  state.follows = symlinks !== 'reject';
  /** How each descriptor was opened. */
  state.how = new Map();
  /** What was made, as `directory/name`. */
  state.made = new Set();
  if (THROUGH_PROC.includes(method)) state.procfs ??= kept ?? new Set();
  const complaints = [];
  calls.forEach((call, i) => {
    const rule = RULES[call.name];
    const verdict = rule === undefined ? ['no rule lets it through'] : rule(call, state, i);
    for (const complaint of verdict.filter(Boolean)) complaints.push(`${complaint}: ${call.line}`);
  });
  for (const [fd, kind] of state.own) if (kind === 'proc') state.procfs.add(fd) && state.own.delete(fd);
  return { complaints, left: [...state.own.keys()] };
}

/** What gives names to open files, and asks for the ACL of a file that cannot be read. */
const THROUGH_PROC = ['writeFile', 'cp', 'move'];

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

/** What is known of a directory that is opened for its identity alone, and of a root that is copied to be kept. */
const OF_NO_USE = ['check', 'above', 'strict root'];

const isOfUse = (arg, { own }) => own.has(arg) && !OF_NO_USE.includes(own.get(arg));
const isOurs = (arg, state) => state.roots.includes(arg) || isOfUse(arg, state);
const ofProc = (arg, { own, procfs }) => own.get(arg) === 'proc' || procfs?.has(arg);

const unless = (holds, complaint) => (holds ? null : complaint);
const directory = (arg, state) => unless(isOurs(arg, state), 'not in a directory that it opened');
const leaf = (arg) => unless(isLeaf(arg), 'not one name');
const descriptor = (arg, state) => unless(isOfUse(arg, state), 'not a descriptor that it opened');
const only = (methods, state) => unless(methods.includes(state.method), 'nothing that this method needs');

/** Whether a call asks if what is at `/proc/self/fd` by now is what was known of it. */
const looksAtProc = ({ name, args }) =>
  name === 'newfstatat' && args[0] === 'AT_FDCWD' && args[1] === '"/proc/self/fd"' && args[3] === '0';

/** For a call by a path of `/proc`: whether that is known to be procfs. */
const knowsProc = ({ procfs, own }) =>
  unless(procfs !== null && (procfs.size > 0 || [...own.values()].includes('proc')), 'by a path of the host');

/** What the same thread did before `call`, the last first. */
function* before(call, { calls }) {
  for (let i = calls.indexOf(call) - 1; i >= 0; i -= 1) if (calls[i].thread === call.thread) yield calls[i];
}

/** A file or directory that was made, or opened to be written: others are not given another owner, mode or ACL. */
const changeable = (fd, state) => [
  descriptor(fd, state),
  unless(state.how.get(fd)?.isChangeable, 'neither made nor open to be written'),
];

/** Content comes to a file only as long as nobody but its owner can open it, if its mode was set before. */
const filled = (fd, state) => [
  descriptor(fd, state),
  unless(!state.how.get(fd)?.isWide, 'filled when it was given its mode already'),
];

/** A temporary name is of the right form, and not made where it could not be removed. */
function temporary(call, dir, name, state) {
  if (!text(name)?.startsWith('.openat2-')) return null;
  const isKnown = [...before(call, state)].some(
    ({ name: asked, args }) => asked === 'statx' && args[0] === dir && args[1] === '""',
  );
  return (
    only([...THROUGH_PROC, 'symlink'], state) ??
    unless(/^"\.openat2-[A-Za-z0-9]{12}"$/.test(name), 'not a temporary name') ??
    unless(isKnown, 'a temporary name where it may have to stay')
  );
}

/** Whether nobody but the owner has any permission. */
const isNarrow = (mode) => (Number.parseInt(mode, 8) & 0o077) === 0;

/** What is made by one name. */
function makes(call, dir, name, state) {
  if (call.result === 0) state.made.add(`${dir}/${name}`);
  return [directory(dir, state), leaf(name), temporary(call, dir, name, state)];
}

const onName =
  (...more) =>
  ({ args }, state) => [directory(args[0], state), leaf(args[1]), ...more.map((check) => check(args))];
const describesName = onName(([, , , flags]) =>
  unless(has(flags, 'AT_SYMLINK_NOFOLLOW'), 'a symlink is followed'),
);
const onDescriptor =
  (...more) =>
  ({ args }, state) => [descriptor(args[0], state), ...more.map((check) => check(args))];

/** A change of a file that was opened, or of one name that is not followed. */
const onNameOrDescriptor = (fd, name, flags, state) =>
  name === '""'
    ? [descriptor(fd, state), unless(flags === 'AT_EMPTY_PATH', 'a name is looked up')]
    : [directory(fd, state), leaf(name), unless(flags === 'AT_SYMLINK_NOFOLLOW', 'a symlink is followed')];

/** What gives a file the permissions of another at the end. */
const COPIES = ['copyFile', 'cp', 'move'];

/** Whether a rename could not be made across mounts. */
const hasCrossed = ({ calls }) => calls.some(({ name, errno }) => name === 'renameat2' && errno === 'EXDEV');

/** Whether `cp` has made the copy under a hidden name, and not what replaces a file. */
const isStaged = (call, { method, calls }) =>
  method === 'cp' &&
  calls.slice(0, calls.indexOf(call)).some(({ name, args: [, made, how] }) => {
    if (name === 'symlinkat') return text(how)?.startsWith('.openat2-');
    const makes =
      ['mkdirat', 'mknodat'].includes(name) ||
      (name === 'openat2' && has(/flags=([^,}]+)/.exec(how)[1], 'O_CREAT', 'O_EXCL'));
    return makes && text(made)?.startsWith('.openat2-');
  });

/** Whether a conditional write has the lock of the directory by now, and still. */
const isLocked = (call, { calls, own }) =>
  calls
    .slice(0, calls.indexOf(call))
    .some(({ name, errno, args: [fd] }) => name === 'flock' && errno === undefined && own.has(fd));

/** What a path may say. */
const spelled = (given, state) =>
  unless(
    given !== undefined &&
      !given.startsWith('/') &&
      // Where symlinks are followed, the kernel knows where it leads.
      (state.follows || !given.split('/').includes('..')),
    'a path that says where it leads out',
  );

/** What goes through trees, and back up. */
const GOES_UP = ['rm', 'readdir', 'walk', 'opendir', 'cp', 'move'];

/** The one way to a descriptor that does not stay beneath a directory: from one below to the one above. */
const UPWARDS = ['RESOLVE_NO_SYMLINKS', 'RESOLVE_NO_MAGICLINKS'];

/** What is wrong with opening `..` of a directory: it is one step, and what it gives is compared. */
function upwards(call, state, flags, resolve) {
  const [dir] = call.args;
  // Between the two, another thread may do something.
  const later = state.calls.slice(state.calls.indexOf(call) + 1);
  const next = later.find(({ args }) => args[0] === String(call.result));
  const isChecked = call.result < 0 || ['fstat', 'statx'].includes(next?.name);
  const isListed = !has(flags, 'O_PATH');
  const isMarked = isListed && isExactly(resolve, [...UPWARDS, 'RESOLVE_NO_XDEV']);
  const isWithin = isListed && (state.refusesMounts || state.method === 'rm');
  return [
    ...(isListed
      ? [descriptor(dir, state), unless(GOES_UP.includes(state.method), 'upwards')]
      : above(call, state)),
    unless(isChecked, 'upwards, and not compared with what it should be'),
    unless(has(flags, 'O_DIRECTORY'), 'upwards, and not to a directory'),
    unless(isMarked || (!isWithin && isExactly(resolve, UPWARDS)), 'not the resolve flags of a step upwards'),
  ];
}

/**
 * What is wrong with asking what is above the place of a copy: that is done before anything is made, from the
 * directory that the copy is to be in, upwards. Nothing is done in what it finds.
 */
function above(call, state) {
  const [dir] = call.args;
  const isOnTheWay = state.own.get(dir) === 'above' || isOurs(dir, state);
  const makes = ({ name, args: [, , how] }) =>
    /^(mkdirat|symlinkat|mknodat|linkat|unlinkat)$/.test(name) ||
    (name === 'openat2' && /O_CREAT|O_TMPFILE/.test(how));
  const isFirst = !state.calls.slice(0, state.calls.indexOf(call)).some(makes);
  return [
    unless(['cp', 'move'].includes(state.method), 'upwards'),
    unless(isOnTheWay, 'not a descriptor that it opened'),
    unless(isFirst, 'upwards, when something was made or removed'),
  ];
}

/** How it is asked whether something is mounted over the root. */
const COVERED = ['RESOLVE_IN_ROOT', 'RESOLVE_NO_MAGICLINKS', 'RESOLVE_NO_XDEV'];

/** What openat2 is asked for: the path, and how. */
function asked({ args: [dir, name, how] }) {
  const flags = /flags=([^,}]+)/.exec(how)?.[1] ?? '';
  const mode = /mode=([^,}]+)/.exec(how)?.[1];
  const resolve = /resolve=([^,}]+)/.exec(how)?.[1] ?? '';
  return { dir, name, flags, mode, resolve };
}

const without = (flags, ...unwanted) => flags.split('|').filter((flag) => !unwanted.includes(flag));

const WHAT = ['dir', 'name', 'flags', 'mode'];
const isSameLookup = (a, b) => a.name === 'openat2' && b.name === 'openat2' && isSame(asked(a), asked(b));
const isSame = (a, b) => WHAT.every((what) => a[what] === b[what]);

/** Whether the lookup `call` was made with `RESOLVE_NO_XDEV` before, and met a mount or a way out. */
function metMount(call, earlier, state) {
  return (
    earlier !== undefined &&
    isSameLookup(call, earlier) &&
    earlier.errno === 'EXDEV' &&
    isExactly(asked(earlier).resolve, [...state.resolve(state.symlinks), 'RESOLVE_NO_XDEV'])
  );
}

const goesUp = (name) => (text(name) ?? '..').split('/').includes('..');

/**
 * Whether `call` goes across a mount by a path that nothing leads upwards in: there is no `..` in it, and links
 * are not followed.
 */
function goesStraight(call, state) {
  const { name, resolve } = asked(call);
  const [earlier] = before(call, state);
  return (
    !goesUp(name) &&
    isExactly(resolve, [...state.resolve(state.symlinks), 'RESOLVE_NO_SYMLINKS']) &&
    metMount(call, earlier, state)
  );
}

/** Whether nothing is left to `call` but to go upwards across a mount; `earlier` is what was done before, the last first. */
function mustGoUp(call, [last, first], state) {
  if (last === undefined || !isSameLookup(call, last)) return false;
  if (goesUp(asked(call).name)) return metMount(call, last, state);
  return last.errno === 'ELOOP' && goesStraight(last, state) && metMount(call, first, state);
}

/**
 * Whether `call` asks if the root is covered: by `..`, which stays at it unless a mount is crossed. That is asked
 * before a lookup that goes upwards across a mount, and after it.
 */
function isCheck(call, state) {
  const { dir, name, flags, resolve } = asked(call);
  if (!state.follows || name !== '".."') return false;
  const [last, ...earlier] = before(call, state);
  if (last?.name !== 'openat2' || asked(last).dir !== dir) return false;
  return (
    isExactly(resolve, COVERED) &&
    isExactly(without(flags, 'O_RDONLY').join('|'), ['O_PATH', 'O_DIRECTORY', 'O_CLOEXEC']) &&
    (mustGoUp(last, [last, ...earlier], state) || (last.result >= 0 && mayCross(last, state)))
  );
}

/** Whether a mount may be crossed: without that it was tried, and the root is known not to be covered. */
function mayCross(call, state) {
  const [closed, check, ...earlier] = before(call, state);
  return (
    closed?.name === 'close' &&
    check?.name === 'openat2' &&
    check.result >= 0 &&
    closed.args[0] === String(check.result) &&
    isCheck(check, state) &&
    mustGoUp(call, earlier, state)
  );
}

/** Whether it is asked again, behind `call`, if the root is covered. */
function isCheckedAfter(call, state) {
  const later = state.calls.slice(state.calls.indexOf(call) + 1);
  const next = later.find(({ thread }) => thread === call.thread);
  return call.result < 0 || (next?.name === 'openat2' && isCheck(next, state));
}

/** What is wrong with the resolve flags of a lookup from the root. */
function ofPolicy(call, state, resolve) {
  const policy = state.resolve(state.symlinks);
  const wrong = 'not the resolve flags of the policy';
  if (!state.follows || state.refusesMounts) return unless(isExactly(resolve, policy), wrong);
  if (isExactly(resolve, [...policy, 'RESOLVE_NO_XDEV']) || goesStraight(call, state)) return null;
  if (!isExactly(resolve, policy) || !mayCross(call, state)) return wrong;
  return unless(isCheckedAfter(call, state), 'across a mount, and not checked behind it');
}

/**
 * Whether `call` explains why a lookup was refused: for the path alone, by names alone, and by no symlink under any
 * policy. What it finds is asked whether it is a symlink, and nothing else.
 */
function explains(call, state) {
  const { dir, name, flags, resolve } = asked(call);
  const strict = [...new Set([...state.resolve(state.symlinks), 'RESOLVE_NO_SYMLINKS'])];
  const isRefused = (earlier) =>
    earlier.name === 'openat2' && earlier.args[0] === dir && ['EXDEV', 'ELOOP'].includes(earlier.errno);
  const later = state.calls
    .slice(state.calls.indexOf(call) + 1)
    .filter(({ thread }) => thread === call.thread);
  const isAsked = ({ name, args }) =>
    name === 'readlinkat' && args[0] === String(call.result) && args[1] === '""';
  return (
    !goesUp(name) &&
    !text(name).startsWith('/') &&
    isExactly(resolve, strict) &&
    isExactly(without(flags, 'O_RDONLY').join('|'), ['O_PATH', 'O_NOFOLLOW', 'O_CLOEXEC']) &&
    [...before(call, state)].some(isRefused) &&
    (call.result < 0 || (later[0] !== undefined && isAsked(later[0]) && later[1]?.name === 'close'))
  );
}

/** What is wrong with asking the cache: promises do so first of all, on the thread that calls. */
function ofCache(call, state, { dir, flags, resolve }) {
  // Who asks may be looked at before: that needs no waiting either.
  const isFirst = [...before(call, state)].every(({ name }) => WHO.test(name));
  const isFirstOfAll = isFirst && state.calls.find(({ name }) => !WHO.test(name)) === call;
  const mayAsk = state.later && ASKED_FIRST[state.method] !== undefined;
  const strict = new Set([...state.resolve(state.symlinks), 'RESOLVE_CACHED', 'RESOLVE_NO_XDEV']);
  return [
    unless(mayAsk && isFirstOfAll && !call.elsewhere && has(flags, 'O_PATH'), 'asks the cache'),
    unless(isExactly(resolve, strict), 'not the resolve flags of the policy'),
    unless(state.roots.includes(dir), 'not from the root'),
  ];
}

const WHO = /^(getres|setfs)[ug]id$/;

/** What is wrong with making a file, or opening it if it is there. */
function creating(call, state, { name, flags }, isStep) {
  if (!has(flags, 'O_CREAT') || has(flags, 'O_TMPFILE')) return null;
  // The kernel refuses to make a directory so.
  if (has(flags, 'O_DIRECTORY')) return null;
  if (has(flags, 'O_EXCL')) return unless(isStep, 'a new file, and not by one name');
  if (isStep && !state.roots.includes(call.args[0])) return 'made, or opened if it is there';
  const earlier = [...before(call, state)].filter((call) => call.name === 'openat2');
  const same = earlier.filter((earlier) => {
    const then = asked(earlier);
    const isSame = isExactly(without(flags, 'O_CREAT').join('|'), without(then.flags));
    return isSame && then.dir === call.args[0] && then.name === name;
  });
  // Of another owner: whether the file may be opened by whoever would create it, the kernel knows.
  const isAnothers =
    same.some(({ result }) => result >= 0) && [...before(call, state)].some(({ name }) => name === 'geteuid');
  return unless(isAnothers, 'made, or opened if it is there');
}

/** What opens content, and nothing beside it. */
const OPENS_CONTENT = ['readFile', 'truncate', 'fsync', 'openRead'];

/**
 * Whether the place of a file may be looked up: where it is opened for its content, only to tell a lease from a
 * storm of renames. Both say `EAGAIN`, and the latter passes.
 */
function mayProbe(call, state) {
  if (!OPENS_CONTENT.includes(state.method)) return true;
  const { dir, name } = asked(call);
  const earlier = [...before(call, state)].filter((call) => call.name === 'openat2');
  const failed = earlier.filter((call) => {
    const then = asked(call);
    return call.errno === 'EAGAIN' && then.dir === dir && then.name === name && !has(then.flags, 'O_PATH');
  });
  return state.follows && failed.length >= TRIES;
}

/** How often a lookup that is disturbed is made again without a rest. */
const TRIES = 128;

/** The system calls that may be made at all. Each answers with its complaints. */
const RULES = {
  openat2(call, state) {
    const { dir, name, flags, mode, resolve } = asked(call);
    const given = text(name);
    // The one descriptor that the constructor has is the root's, before anybody knows of it.
    const fromRoot = state.roots.includes(dir) || state.own.get(dir) === 'root';
    // A step in a tree: one name in a directory on the way, and no symlink under any policy.
    const strict = state.resolve('reject');
    const marked = [...new Set([...strict, 'RESOLVE_NO_XDEV'])];
    const isStrict =
      // What is removed has no mount in it.
      (state.method !== 'rm' && isExactly(resolve, strict)) ||
      // Nor has what is copied to another mount.
      (state.method === 'rm' && isExactly(resolve, marked)) ||
      (state.method === 'move' && hasCrossed(state) && isExactly(resolve, marked));
    // Or a file without a name in it, or the directory itself once more.
    const isItself =
      name === '"."' && (has(flags, 'O_TMPFILE', 'O_WRONLY') || has(flags, 'O_RDONLY', 'O_DIRECTORY'));
    // Or the way from the top of a copy to a directory in it, to which another name of a file is made.
    const isWay =
      /^"([^/]+\/)+"$/s.test(name) &&
      text(name)
        .split('/')
        .slice(0, -1)
        .every((part) => !['.', '..'].includes(part)) &&
      ['cp', 'move'].includes(state.method) &&
      has(flags, 'O_PATH', 'O_DIRECTORY') &&
      !fromRoot;
    const isStep = (isLeaf(name) || isItself || isWay) && isOurs(dir, state) && isStrict;
    const isAbove = name === '".."' && (!fromRoot || (has(flags, 'O_PATH') && isExactly(resolve, UPWARDS)));
    const isOwn = has(flags, 'O_CREAT', 'O_EXCL') || has(flags, 'O_TMPFILE');
    // The target of a link that is to be made: links on its way are followed, and none leads out.
    const targets = { ...state, symlinks: 'beneath', follows: true };
    const isTarget =
      state.method === 'symlink' &&
      fromRoot &&
      has(flags, 'O_PATH') &&
      has(resolve, 'RESOLVE_BENEATH') &&
      !has(resolve, 'RESOLVE_NO_SYMLINKS');
    const isKnown = isCheck(call, state) || (state.method === 'symlink' && isCheck(call, targets));
    const policy = isTarget ? targets : state;
    opens(call, state, isKnown ? 'check' : isAbove && has(flags, 'O_PATH') ? 'above' : 'file');
    state.how.set(String(call.result), {
      isPath: has(flags, 'O_PATH'),
      isChangeable:
        !has(flags, 'O_PATH') &&
        (isOwn ||
          has(flags, 'O_WRONLY') ||
          has(flags, 'O_RDWR') ||
          isAbove ||
          state.made.has(`${dir}/${name}`)),
    });
    const always = [
      unless(has(flags, 'O_CLOEXEC'), 'a child would inherit it'),
      unless(!has(flags, 'O_TRUNC'), 'what is there is emptied before it is looked at'),
      unless(
        ['O_PATH', 'O_DIRECTORY', 'O_TMPFILE'].some((flag) => has(flags, flag)) ||
          has(flags, 'O_CREAT', 'O_EXCL') ||
          has(flags, 'O_NONBLOCK', 'O_NOCTTY'),
        'it could wait for a peer',
      ),
      unless(
        !has(flags, 'O_PATH') ||
          without(flags, 'O_RDONLY', 'O_PATH', 'O_DIRECTORY', 'O_NOFOLLOW', 'O_CLOEXEC').length === 0,
        'with a flag that O_PATH makes void',
      ),
    ];
    if (isAbove) return [...always, ...upwards(call, state, flags, resolve)];
    if (has(resolve, 'RESOLVE_CACHED'))
      return [...always, spelled(given, state), ...ofCache(call, state, asked(call))];
    if (isKnown) return [...always, unless(fromRoot, 'not from the root')];
    if (explains(call, state) || (state.method === 'symlink' && explains(call, targets)))
      return [...always, unless(fromRoot || isOurs(dir, state), 'not from the root')];
    return [
      ...always,
      unless(fromRoot || isStep, 'not from the root'),
      spelled(given, policy),
      isStep ? null : ofPolicy(call, policy, resolve),
      unless(state.method !== 'rm' || isStep || has(flags, 'O_PATH'), 'removed where a mount may be'),
      unless(!has(flags, 'O_PATH') || mayProbe(call, state), 'the place of what is opened for its content'),
      creating(call, state, { name, flags }, isStep),
      unless(!isOwn || !COPIES.includes(state.method) || isNarrow(mode), 'open to others before it is full'),
      isOwn && isLeaf(name) ? temporary(call, dir, name, state) : null,
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

  mkdirat(call, state) {
    const [dir, name, mode] = call.args;
    // What stands for a mount point is empty.
    const isEmpty = state.method === 'cp' && state.refusesMounts && Number.parseInt(mode, 8) === 0o755;
    return [
      ...makes(call, dir, name, state),
      unless(!['cp', 'move'].includes(state.method) || isNarrow(mode) || isEmpty, 'open to others before'),
    ];
  },
  unlinkat: onName(),
  newfstatat: (call, state) =>
    looksAtProc(call) ? [only(THROUGH_PROC, state), knowsProc(state)] : describesName(call, state),
  symlinkat: (call, state) => makes(call, call.args[1], call.args[2], state),
  linkat: (call, state) => {
    const [from, name, to, newName, flags] = call.args;
    const destination = [directory(to, state), leaf(newName), temporary(call, to, newName, state)];
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
  renameat2(call, state) {
    const [dir, name, newDir, newName, flag] = call.args;
    const flags = state.method === 'exchange' ? ['RENAME_EXCHANGE'] : ['0', 'RENAME_NOREPLACE'];
    // What is replaced by `writeFile` is looked at under a hidden name.
    if (state.method === 'writeFile' && text(name)?.startsWith('.openat2-')) flags.push('RENAME_EXCHANGE');
    const slashed = (name) =>
      state.slashed && RENAMES.includes(state.method) && isSlashed(name) ? null : leaf(name);
    return [
      directory(dir, state),
      slashed(name),
      directory(newDir, state),
      slashed(newName),
      temporary(call, newDir, newName, state),
      unless(flags.includes(flag), 'with a flag that nothing asks for'),
      unless(
        flag !== 'RENAME_EXCHANGE' || state.method === 'exchange' || isLocked(call, state),
        'without the lock',
      ),
    ];
  },

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

  fstat: ({ args: [fd] }, state) => [
    ['above', 'strict root'].includes(state.own.get(fd)) || ofProc(fd, state) ? null : directory(fd, state),
  ],
  fchmod({ args: [fd, mode] }, state) {
    const how = state.how.get(fd);
    if (how !== undefined) how.isWide = !isNarrow(mode);
    return changeable(fd, state);
  },
  ftruncate: onDescriptor(),
  lseek: onDescriptor(),
  getdents64: onDescriptor(),
  pread64: onDescriptor(),
  pwrite64: ({ args: [fd] }, state) => filled(fd, state),
  read: onDescriptor(),
  write: ({ args: [fd] }, state) => filled(fd, state),
  fsync: onDescriptor(),
  fchown: ({ args: [fd] }, state) => changeable(fd, state),
  mknodat(call, state) {
    const [dir, name, mode] = call.args;
    return [
      ...makes(call, dir, name, state),
      unless(/^S_IFIFO\|0?[0-7]+$/.test(mode), 'no FIFO'),
      unless(state.method === 'mkfifo' || /^S_IFIFO\|0?[0-7]00$/.test(mode), 'no FIFO of its own'),
    ];
  },

  // Who may do what with a file, and across mounts whatever else is known of it.
  fgetxattr: ({ args: [fd, name] }, state) => [
    descriptor(fd, state),
    only(KEEPS_PERMISSIONS, state),
    attribute(name, state),
  ],
  fsetxattr: ({ args: [fd, name] }, state) => [
    ...changeable(fd, state),
    only(KEEPS_PERMISSIONS, state),
    attribute(name, state),
  ],
  fremovexattr: ({ args: [fd, name] }, state) => [
    ...changeable(fd, state),
    only(KEEPS_PERMISSIONS, state),
    attribute(name, state),
  ],
  flistxattr: ({ args: [fd] }, state) => [
    descriptor(fd, state),
    unless(state.method === 'move' && hasCrossed(state), 'attributes that nothing needs'),
  ],
  // By a path: there is no call for what is open with O_PATH alone.
  getxattr(call, state) {
    const [path, name] = call.args;
    const fd = /^"\/proc\/self\/fd\/(\d+)"$/.exec(path)?.[1];
    const last = before(call, state).next().value;
    return [
      unless(fd !== undefined, 'by a path of the host'),
      knowsProc(state),
      unless(
        last !== undefined && (looksAtProc(last) || last.name === call.name),
        'something else may be at /proc by now',
      ),
      only(THROUGH_PROC, state),
      descriptor(fd, state),
      unless(state.how.get(fd)?.isPath, 'by its number, and not by its descriptor'),
      unless(name === ACCESS_ACL, 'an attribute that nothing needs'),
    ];
  },

  // Conditional writes of one directory, one after the other. Nobody is waited for.
  flock: ({ args: [fd, how] }, state) => [
    descriptor(fd, state),
    only(['writeFile'], state),
    unless(how === 'LOCK_EX|LOCK_NB', 'it could wait'),
  ],

  // Who asks. Nothing can go wrong with these.
  geteuid: (_, state) => [only([...CREATES, 'cp', 'move', 'symlink'], state)],
  getresuid: (_, state) => [only(AS_REAL_USER, state)],
  getresgid: (_, state) => [only(AS_REAL_USER, state)],
  setfsgid: actsAs,
  setfsuid: actsAs,
  capget: ({ args: [whose] }, state) => [only(AS_REAL_USER, state), ofThisThread(whose)],
  capset: actsWithout,
  statx: (call, state) => {
    const [fd, name, flags] = call.args;
    if (name === '""')
      return [directory(fd, state), unless(has(flags, 'AT_EMPTY_PATH'), 'a name is looked up')];
    // What is moved across mounts is asked for anew, also where its file system remembers what it was; and so is what
    // was made under a hidden name, before it is shown or removed.
    const isRecorded = (state.method === 'move' && hasCrossed(state)) || isStaged(call, state);
    return [
      directory(fd, state),
      leaf(name),
      unless(isRecorded, 'a name is looked up'),
      unless(has(flags, 'AT_SYMLINK_NOFOLLOW'), 'a symlink is followed'),
    ];
  },
  fcntl(call, state) {
    const [fd, command] = call.args;
    const isRoot = state.roots.includes(fd);
    const isCopied = isRoot && command === 'F_DUPFD_CLOEXEC';
    // A root that refuses mounts: in what is removed, and across mounts in what is moved.
    const isStrict = state.method === 'rm' || (state.method === 'move' && hasCrossed(state));
    // What is written bit by bit keeps the directory that it is in.
    const isKept = state.method === 'writeFile' && call.elsewhere;
    const known =
      isCopied && (isStrict || isKept || OF_THE_ROOT.includes(state.method)) ? null : descriptor(fd, state);
    if (command === 'F_DUPFD_CLOEXEC') {
      opens(call, state, isCopied && isStrict ? 'strict root' : 'file');
      state.how.set(String(call.result), isCopied ? { isPath: true } : state.how.get(fd));
    }
    return [known, unless(/^F_([GS]ETFL|DUPFD_CLOEXEC)$/.test(command), 'a descriptor is copied or changed')];
  },
  ioctl: ({ args: [to, request, from] }, state) => [
    ...filled(to, state),
    unless(request.includes('FICLONE'), 'unknown to the rules'),
    // The number itself, or what has it.
    descriptor(/src_fd=(\d+)/.exec(from)?.[1] ?? from, state),
  ],
  copy_file_range: ({ args }, state) => [descriptor(args[0], state), ...filled(args[2], state)],
  close({ args: [fd] }, state) {
    const isRoots = fd === state.roots[0] && ['close', String(Symbol.dispose)].includes(state.method);
    const complaint = unless(isRoots || state.own.has(fd), 'not a descriptor that it opened');
    state.own.delete(fd);
    state.how.delete(fd);
    return [complaint];
  },

  // What `statfs` tells; what kind of file system a new root is on, a directory of a tree that is gone through, or a
  // file with several names that is copied; and what makes sure that /proc is procfs, and the calls made there.
  fstatfs({ args: [fd] }, state) {
    if (state.method === 'statfs')
      return [descriptor(fd, state), unless(state.how.get(fd)?.isPath, 'what is described was opened')];
    const isNewRoot = state.own.get(fd) === (state.method === 'constructor' ? 'root' : 'file');
    if (['constructor', 'openRoot', 'hostPath'].includes(state.method) && isNewRoot) return [];
    const isInTree = ['cp', 'move', 'readdir', 'walk', 'opendir'].includes(state.method);
    if (isInTree && !ofProc(fd, state)) return [directory(fd, state)];
    return [inProc(fd, state)];
  },
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

/** What hands the kernel the slash that a caller wrote behind a name. */
const RENAMES = ['rename', 'renameNoReplace', 'exchange', 'move'];

/** What makes a file where none is. */
const CREATES = ['open', 'openWrite', 'writeFile', 'appendFile', 'copyFile'];

/** What gives a file the permissions of another. */
const KEEPS_PERMISSIONS = ['writeFile', ...COPIES];

/** What describes or changes the root itself, or copies into it: by a copy of its descriptor. */
const OF_THE_ROOT = [
  ...['chmod', 'chown', 'lchown', 'utimes', 'lutimes'],
  ...['access', 'readlink', 'realpath', 'openRoot', 'hostPath', 'cp', 'statfs'],
];

/** What asks as access(2) does. */
const AS_REAL_USER = ['access', 'exists'];

const ACCESS_ACL = '"system.posix_acl_access"';

const attribute = (name, state) =>
  unless(
    name === ACCESS_ACL || (state.method === 'move' && hasCrossed(state)),
    'an attribute that nothing needs',
  );

/** The ids of the file system are set, and set back: to what they were, and in the opposite order. */
function actsAs(call, state) {
  const all = state.calls.filter(({ name, thread }) => /^setfs/.test(name) && thread === call.thread);
  const at = all.indexOf(call) % 4;
  const [group, user, userBack, groupBack] = all.slice(all.indexOf(call) - at).slice(0, 4);
  const isBack = (set, back) => back?.name === set?.name && Number(back?.args[0]) === set?.result;
  const isPaired = group?.name === 'setfsgid' && user?.name === 'setfsuid';
  return [
    only(AS_REAL_USER, state),
    unless(isPaired && isBack(user, userBack) && isBack(group, groupBack), 'it is not set back'),
  ];
}

const ofThisThread = (whose) => unless(/pid=0\}/.test(whose), 'the capabilities of another thread');

/** The effective capabilities are taken from the thread, and given back: those that it was asked for before. */
function actsWithout(call, state) {
  const all = state.calls.filter(({ name, thread }) => /^cap[gs]et$/.test(name) && thread === call.thread);
  const at = all.indexOf(call) - (all.indexOf(call) % 3);
  const [had, taken, given] = all.slice(at, at + 3);
  const effective = /effective=[^,]+/;
  const isTaken =
    had?.name === 'capget' &&
    taken?.args[1] === had.args[1].replace(effective, 'effective=0') &&
    !/effective=0\b/.test(had.args[1]);
  return [
    only(AS_REAL_USER, state),
    ofThisThread(call.args[0]),
    unless(isTaken, 'other capabilities than none'),
    unless(given?.name === 'capset' && given.args[1] === had?.args[1], 'they are not given back'),
  ];
}

const inProc = (arg, state) => unless(ofProc(arg, state), 'by a descriptor not of /proc');
const numberOfOurs = (name, state) =>
  unless(state.own.get(text(name)) === 'file', 'not the number of what it opened');

module.exports = { audit, callsOf, inOrder, mark, parse, sections, trace, traceBeside };
