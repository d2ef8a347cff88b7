'use strict';
// Lets the system calls of a way fail, each in turn, and judges what comes of it.

const { isDeepStrictEqual } = require('node:util');
const { FULL } = require('../sizes');
const { knows } = require('./strace');
const { waysAtOnce } = require('./ways');

/** Errors that say nothing but that it went wrong. */
const CODES = FULL ? ['EIO', 'ENOMEM', 'ENOSPC', 'EDQUOT', 'ENFILE', 'ESTALE'] : ['EIO'];

/** What is tried again when a signal interrupts it. */
const TRIED_AGAIN =
  /^(openat2|fgetxattr|fchmod|mkdirat|unlinkat|renameat2|linkat|symlinkat|newfstatat|readlinkat|fchownat|faccessat2|utimensat|ftruncate|copy_file_range|pread64|pwrite64)$/;

/** What always succeeds, and so is not made to fail. */
const SUCCEEDS = /^get(euid|resuid|resgid)$/;

/** Faults that nobody has to hear of, `way: system call number`, and why. */
const HARMLESS = [
  // A directory whose file system cannot be asked for is read to its end before others in it are entered.
  /^(cp|readdir|walk): .*: fstatfs /,
  // What cannot be shared is copied.
  /^(copyFile|cp): .*: ioctl /,
  // Where both paths are wrong, what is known of the second is said.
  /^(rename|move): to below a symlink: newfstatat 1/,
  // Something is there or not: the rename itself will say.
  /^rename: with slashes: newfstatat 2/,
  // Nothing is answered from memory then.
  /^(constructor|openRoot|hostPath): .*: fstatfs 1/,
  // It keeps the low number that it has.
  /^hostPath: (below: fcntl 1|the root: fcntl 2) /,
  // What cannot be read is looked at by its place: it keeps its mode and its owner.
  /^writeFile: over another in one step: (openat2 3|fstat 1) once/,
  // What is in the way of an answer is a no.
  /^exists: /,
  // It may be a directory, or not there: that is looked up next.
  /^rm: (missing|missing, force|a directory): unlinkat 1/,
  /^rm: (an empty directory|a tree): unlinkat 1 once/,
  // It is refused in any case, and what stood for its place is removed, or named.
  /^symlink: that leads out: (newfstatat 1|fstat 2|unlinkat 1) /,
  // It has its name already, and what had it is gone.
  /^cp: (a file|over another) in one step: statx 4 /,
  /^cp: a tree in one step: statx 18 /,
  /^cp: a tree in one step, if nothing is there: statx 22 /,
];

/** What was made below `top` has all its content. */
const isWholeBelow = (top) => (name, was, is) => {
  // The directory that it is in has one more.
  if (name === top.replace(/\/?[^/]*$/, '')) return was.mode === is.mode;
  return name.startsWith(top) && is !== undefined && is.content !== '';
};

/** What a call that fails half-way may have changed already. */
const UNFINISHED = {
  'mkdir: recursive, three levels': (_, was, is) =>
    was === undefined && is.target === undefined && is.content === undefined,
  'copyFile: over another': (name) => name === 'a/b/c/other',
  'rm: a tree': (name) => name.startsWith('tree'),
  'writeFile: over another': (name) => name === 'a/b/c/file',
  'appendFile: below': (name) => name === 'a/b/c/file',
  // What is copied of a tree stays, file by file.
  'cp: a tree': isWholeBelow('a/new'),
  'cp: into a tree': isWholeBelow('a/'),
  'cp: what a filter says': isWholeBelow('new'),
  'cp: between two roots': isWholeBelow('a/b/new'),
  // All of it is written, and perhaps not on the disk.
  'writeFile: over another in one step': (name, _, is) => name === 'a/b/c/file' && is.content === 'content',
};

/** What a file system answers that cannot do this: it is done in another way. */
const CANNOT = {
  'ioctl 1': ['EXDEV', 'EINVAL', 'EOPNOTSUPP', 'ENOTTY', 'ENOSYS', 'EPERM'],
  'copy_file_range 1': ['EXDEV', 'EINVAL', 'EOPNOTSUPP', 'ENOSYS', 'EPERM'],
  'lseek 1': ['EINVAL', 'EOPNOTSUPP'],
};

/** After these, closing is what tells whether it worked. */
const WRITES = /^(ioctl|copy_file_range|pwrite64|pread64|write)$/;
const WRITERS = /^(copyFile|writeFile|appendFile|cp|move):/;

const known = new Map();
const knowsCached = (name) => known.get(name) ?? known.set(name, knows(name)).get(name);

/** The faults of the `nth` call of a name: `ever` is whether all further calls of that name fail too. */
function* faultsOf(name, nth, isLast) {
  for (const code of CODES) {
    yield { code, ever: false };
    if (FULL || (!isLast && nth === 1)) yield { code, ever: true };
  }
  // Every call of a name has the same loop around it.
  if (!FULL && nth > 1) return;
  yield { code: 'EINTR', ever: false };
  if (name === 'openat2') {
    yield { code: 'EAGAIN', ever: false };
    for (const code of ['EINTR', 'EAGAIN']) yield { code, ever: true };
  }
  for (const code of CANNOT[`${name} ${nth}`] ?? []) yield { code, ever: false };
}

/** Whether nobody has to hear of the fault in the `nth` of its name among `calls`, the one at `at`. */
function isHarmless(way, { code, ever }, calls, at, nth) {
  const { name } = calls[at];
  if (CANNOT[`${name} ${nth}`]?.includes(code)) return true;
  if (code === 'EINTR' && !ever && TRIED_AGAIN.test(name) && !way.startsWith('constructor')) return true;
  if (code === 'EAGAIN' && !ever) return true;
  if (name === 'close') {
    // The kernel has closed it, whatever it says; but of a copy, that what was written is lost.
    const isOfCopy = (i) => calls[i].name === 'close' && WRITES.test(calls[i - 1]?.name);
    const failing = calls.flatMap((_, i) => (i === at || (ever && i > at) ? [i] : []));
    if (code !== 'EINTR' && failing.some(isOfCopy)) return false;
    // Of a file that was open to be written, and was not, it may be told.
    return code !== 'EINTR' && WRITERS.test(way) ? 'unless told' : true;
  }
  return HARMLESS.some((rule) => rule.test(`${way}: ${name} ${nth} ${ever ? 'for ever' : 'once'}`));
}

/** The ways that look up the target of a link: on its way links are followed under every policy. */
const LOOKS_UP_TARGETS = /^symlink: that leads/;
const followsLinks = ({ name, line }) => name === 'openat2' && !line.includes('RESOLVE_NO_SYMLINKS');

/** The names that are not the same in two trees. */
const differences = (one, other) =>
  [...new Set([...Object.keys(one), ...Object.keys(other)])].filter(
    (name) => !isDeepStrictEqual(one[name], other[name]),
  );

/** A hidden name and what is below it. */
const HIDDEN = /^(?:(.*)\/)?\.openat2-[A-Za-z0-9]{12}(\/.*)?$/s;

/**
 * What stays of what a call made under a hidden name, of all that was `changed`: where nothing removes it, or says
 * what it is, and the error names it.
 */
function staysHidden({ error, before, after, calls }, changed, { ever }) {
  if (!ever && !calls.filter(isInjected).every(({ name }) => name === 'unlinkat')) return [];
  const isBelow = (name, top) => name === top || name.startsWith(`${top}/`);
  const isNamed = (name) => error.entries?.some((entry) => isBelow(name, entry) || isBelow(entry, name));
  const hidden = changed.filter((name) => HIDDEN.test(name) && isNamed(name));
  const parents = hidden.map((name) => HIDDEN.exec(name)[1]);
  return [
    ...hidden,
    ...changed.filter((name) => parents.includes(name) && before[name]?.mode === after[name]?.mode),
  ];
}

const isInjected = ({ line }) => line.includes('(INJECTED)');
const hasFault = ({ calls, hangs }) => hangs || calls.some(isInjected);

/** What is wrong with how a call went that had a fault, if anything. */
function wrongWith(way, fault, harmless, natural, report) {
  const { error, before, after, left, calls, hangs } = report;
  if (hangs) return 'it hangs';
  const injected = calls.filter(isInjected);
  if (injected.length === 0) return 'the fault did not take place';
  // One that may go upwards is made again for a second, and no other comes behind it. With it is asked what is above
  // the root.
  const upwards = LOOKS_UP_TARGETS.test(way) ? injected.filter(followsLinks) : [];
  const lookups = new Set(upwards.map(({ args: [, path] }) => path));
  lookups.delete('".."');
  if (lookups.size > 1) return 'more than one lookup is tried for long';
  // Ten lookups at the most, a hundred and twenty-eight tries each.
  if (injected.length - upwards.length > 1280) return `tried ${injected.length} times`;
  if (['EINTR', 'EAGAIN'].includes(fault.code) && fault.ever && injected.length < 2) return 'not tried again';
  // A close that strace kept from the kernel has closed nothing.
  if (left !== injected.filter(({ name }) => name === 'close').length)
    return `${left} descriptors are left open`;
  const differ = differences(natural.after, after);
  const asHidden = staysHidden(report, differ, fault);
  const isAsWithout = error?.code === natural.error?.code && differ.every((name) => asHidden.includes(name));
  const isTold = harmless === 'unless told' && error?.code === fault.code;
  if (harmless && !isAsWithout && !isTold)
    return `it is harmless, but: ${error?.message ?? 'the tree differs'}`;
  if (harmless && !isTold) return null;
  // An interruption may always be met with another try.
  if (fault.code === 'EINTR' && !fault.ever && isAsWithout) return null;
  if (error?.code !== fault.code) return `not reported, but: ${error?.message ?? 'success'}`;
  const says = `${error.path} ${error.dest} ${error.message}`;
  const isOfHost = says.includes('/tree-') && !/^(constructor|isAt):/.test(way);
  if (error.errno >= 0 || !error.message.startsWith(`${fault.code}: `) || isOfHost)
    return `reported as ${says}`;
  const mayChange = UNFINISHED[way] ?? (() => false);
  const changed = differences(before, after).filter((name) => !mayChange(name, before[name], after[name]));
  const hidden = staysHidden(report, changed, fault);
  const wrong = changed.filter((name) => !hidden.includes(name));
  return wrong.length === 0 ? null : `changed: ${wrong}`;
}

/** Lets every call of one way fail. `always` is what fails in any case, to get to other calls. */
async function everyFault(subject, i, always = []) {
  const way = `${waysAtOnce[i].method}: ${waysAtOnce[i].what}`;
  let natural = await subject.go(i, always);
  // A rename elsewhere makes a lookup that goes upwards be made again.
  for (let tries = 1; tries < 10 && natural.calls.some(({ errno }) => errno === 'EAGAIN'); tries += 1)
    natural = await subject.go(i, always);
  const seen = {};
  const wrong = [];
  let tried = 0;
  for (const [at, { name }] of natural.calls.entries()) {
    seen[name] = (seen[name] ?? 0) + 1;
    const nth = seen[name];
    if (SUCCEEDS.test(name) || !knowsCached(name) || always.some((fault) => fault.startsWith(`${name}:`)))
      continue;
    const isLast = !natural.calls.slice(at + 1).some((later) => later.name === name);
    for (const fault of faultsOf(name, nth, isLast)) {
      const inject = `${name}:error=${fault.code}:when=${nth}${fault.ever ? '+' : ''}`;
      let report = await subject.go(i, [...always, inject]);
      // Now and then Node itself has made the call that was to fail, before the way was gone.
      for (let tries = 1; tries < 5 && !hasFault(report); tries += 1)
        report = await subject.go(i, [...always, inject]);
      const harmless = isHarmless(way, fault, natural.calls, at, nth);
      const complaint = wrongWith(way, fault, harmless, natural, report);
      if (complaint !== null) wrong.push(`${way}, ${inject}: ${complaint}`);
      tried += 1;
    }
  }
  return { tried, wrong };
}

module.exports = { UNFINISHED, everyFault, wrongWith };
