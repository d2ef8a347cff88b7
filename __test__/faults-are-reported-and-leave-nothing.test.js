'use strict';
// Real faults, at every system call of every way through every method: the code that comes out is
// the one that went in, no descriptor is left open, and nothing half-made is left behind. What may
// come of a fault is said in syscalls/faults.js.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { execFileSync, spawnSync } = require('node:child_process');
const { isDeepStrictEqual } = require('node:util');
const { SandboxRoot } = require('..');
const { inChild } = require('./child');
const { progress } = require('./sizes');
const { isRoot, memory, outcome, snapshot, tempDir, tool, withoutMounts } = require('./support');
const { UNFINISHED, everyFault, wrongWith } = require('./syscalls/faults');
const { Subject, withoutAttaching } = require('./syscalls/strace');
const { waysAtOnce } = require('./syscalls/ways');

const skip = withoutAttaching();

/** So many ways are gone at a time, each in a process of its own: of it and its strace, one waits for the other. */
const LANES = 2;

test('any system call of any way can fail', { skip, concurrency: LANES }, async (whole) => {
  const told = progress('faults, ways', waysAtOnce.length);
  const idle = [];
  let tried = 0;
  const goWay = (method, what, i) =>
    whole.test(`${method}: ${what}: any of its system calls can fail`, async (t) => {
      const subject = idle.pop() ?? new Subject(whole, tempDir(whole, memory));
      const done = await everyFault(subject, i);
      idle.push(subject);
      tried += done.tried;
      told();
      assert.deepStrictEqual(done.wrong, []);
      t.diagnostic(`${done.tried} faults`);
    });
  await Promise.all(waysAtOnce.map(({ method, what }, i) => goWay(method, what, i)));
  whole.diagnostic(`${tried} faults`);
});

/** The way on which the kernel copies, and not we by hand. */
const LONG = 'a long file with a hole';

test('copyFile: any system call of copying by hand can fail', { skip }, async (t) => {
  const subject = new Subject(t, tempDir(t, memory));
  const wrong = [];
  let tried = 0;
  for (const [i, { method, what }] of waysAtOnce.entries()) {
    if (method !== 'copyFile' || what !== LONG) continue;
    const { calls } = await subject.go(i, ['copy_file_range:error=EXDEV']);
    if (!calls.some(({ name }) => name === 'copy_file_range'))
      return t.skip('this file system shares blocks');
    assert.ok(calls.some(({ name }) => name === 'pwrite64'));
    const done = await everyFault(subject, i, ['copy_file_range:error=EXDEV']);
    wrong.push(...done.wrong);
    tried += done.tried;
  }
  assert.deepStrictEqual(wrong, []);
  assert.ok(tried > 0);
});

/** Where each of the calls that are tried again is made, and what fails to get there. */
const INTERRUPTED = [
  ['openat2', 'stat: below'],
  // A step in a tree, and what is made in one.
  ['openat2', 'rm: a tree'],
  ['openat2', 'writeFile: a new file in one step'],
  ['fgetxattr', 'copyFile: to a new file'],
  ['fchmod', 'copyFile: to a new file'],
  ['statx', 'writeFile: over another in one step'],
  ['mkdirat', 'mkdir: in the root'],
  ['unlinkat', 'unlink: in the root'],
  ['renameat2', 'rename: in the root'],
  ['linkat', 'link: in the root'],
  ['symlinkat', 'symlink: in the root'],
  ['mknodat', 'mkfifo: in the root'],
  ['newfstatat', 'stat: in the root'],
  ['readlinkat', 'readlink: in the root'],
  ['fchownat', 'lchown: in the root'],
  ['utimensat', 'lutimes: in the root'],
  ['faccessat2', 'access: in the root, to read'],
  ['ftruncate', 'truncate: in the root'],
  ['copy_file_range', `copyFile: ${LONG}`],
  ['pread64', 'copyFile: to a new file'],
  ['pwrite64', 'copyFile: to a new file'],
];

for (const [syscall, where, ...always] of INTERRUPTED) {
  test(`${syscall}, ${where}: an interruption for ever is reported`, { skip }, async (t) => {
    const i = waysAtOnce.findIndex(({ method, what }) => `${method}: ${what}` === where);
    const subject = new Subject(t, tempDir(t, memory));
    const natural = await subject.go(i, always);
    assert.ok(
      natural.calls.some(({ name }) => name === syscall),
      'it is made here',
    );
    const report = await subject.go(i, [...always, `${syscall}:error=EINTR:when=1+`]);
    const wrong = wrongWith(where, { code: 'EINTR', ever: true }, false, natural, report);
    assert.strictEqual(wrong, null);
  });
}

// strace may be older than the call: a filter does the same, for the whole life of the process.
test('chmod: fchmodat2 can fail', async (t) => {
  for (const code of ['EIO', 'EROFS', 'EACCES']) {
    const subject = new Subject(t, tempDir(t, memory), [
      tool('seccomp'),
      '--deny',
      `fchmodat2=${code}`,
      '--',
    ]);
    for (const [i, { method, syscalls, what }] of waysAtOnce.entries()) {
      if (method !== 'chmod' || !syscalls.includes('fchmodat2')) continue;
      await subject.ask('prepare', i, subject.dir);
      await subject.ask('call');
      const { error, before, after, left } = await subject.ask('report');
      assert.deepStrictEqual([error.code, error.syscall, left], [code, 'chmod', 0], what);
      assert.deepStrictEqual(after, before);
    }
  }
});

// ---- Descriptors run out ----

test('without descriptors to spare every method succeeds or says EMFILE', async (t) => {
  const wrapper = ['/bin/sh', '-c', 'ulimit -n 64; exec "$@"', 'sh'];
  const subject = new Subject(t, tempDir(t, memory), wrapper);
  let refused = 0;
  for (const [i, { method, what }] of waysAtOnce.entries()) {
    const go = async (spare) => {
      await subject.ask('prepare', i, subject.dir);
      if (spare !== null) await subject.ask('exhaust', spare);
      await subject.ask('call');
      return subject.ask('report');
    };
    const natural = await go(null);
    for (let spare = 0; ; spare += 1) {
      const where = `${method}: ${what}, with ${spare} descriptors`;
      assert.ok(spare < 24, where);
      const { error, before, after, left } = await go(spare);
      assert.strictEqual(left, 0, where);
      if (error?.code !== 'EMFILE') {
        assert.deepStrictEqual([error?.code, after], [natural.error?.code, natural.after], where);
        break;
      }
      refused += 1;
      const mayChange = UNFINISHED[`${method}: ${what}`] ?? (() => false);
      for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
        if (mayChange(name, before[name], after[name])) continue;
        assert.deepStrictEqual(after[name], before[name], where);
      }
    }
  }
  t.diagnostic(`${refused} calls were refused`);
  assert.ok(refused > 50);
});

// ---- Little stack ----

test('a tree 20,000 levels deep is removed on a small stack', async (t) => {
  const dir = tempDir(t, memory);
  const removeDeepTree = (dir) => {
    process.chdir(dir);
    const root = new SandboxRoot('.');
    fs.mkdirSync('tree');
    process.chdir('tree');
    for (let i = 1; i < 20_000; i += 1) {
      fs.mkdirSync('d');
      process.chdir('d');
    }
    fs.writeFileSync('file', '');
    process.chdir('/');
    root.rm('tree', true);
  };
  await inChild(t, removeDeepTree, [dir], { limits: { s: 256 }, node: ['--stack-size=100'] });
  assert.deepStrictEqual(fs.readdirSync(dir), []);
});

// ---- Real file systems that refuse ----

/** Mounts with `args` on a folder of its own; both are gone when the test is over. */
function mounted(t, ...args) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'openat2-mount-'));
  t.after(() => {
    spawnSync('umount', ['--lazy', dir]);
    fs.rmdirSync(dir);
  });
  execFileSync('mount', [...args, dir]);
  return dir;
}

/** How many descriptors this process has. */
const descriptors = () => fs.readdirSync('/proc/self/fd').length;

/** All of `calls` fail with `code`, and change nothing in `dir` but what `except` says. */
function allFail(dir, code, calls, except = []) {
  const open = descriptors();
  for (const call of calls) {
    const before = snapshot(dir);
    const { error } = outcome(call);
    assert.deepStrictEqual([error?.code, String(call)], [code, String(call)]);
    assert.ok(error.message.startsWith(`${code}: `) && !error.message.includes(dir), error.message);
    const after = snapshot(dir);
    for (const name of except) assert.ok(delete before[name] && delete after[name]);
    assert.deepStrictEqual(after, before, String(call));
  }
  assert.strictEqual(descriptors(), open);
}

test('a disk without space: ENOSPC, and no half copy', { skip: withoutMounts }, (t) => {
  const dir = mounted(t, '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs');
  const root = new SandboxRoot(dir);
  const content = 'x'.repeat(150 << 10);
  fs.mkdirSync(path.join(dir, 'sub'));
  fs.writeFileSync(path.join(dir, 'large'), content);
  fs.writeFileSync(path.join(dir, 'old'), 'old content');
  const { ino } = fs.statSync(path.join(dir, 'old'));

  allFail(dir, 'ENOSPC', [() => root.copyFile('large', 'new'), () => root.copyFile('large', 'sub/new')]);
  // What is there already is written over in place: how far that got is what is left.
  allFail(dir, 'ENOSPC', [() => root.copyFile('large', 'old')], ['old']);
  const old = fs.statSync(path.join(dir, 'old'));
  assert.ok(old.ino === ino && old.size < content.length);
  assert.strictEqual(fs.readFileSync(path.join(dir, 'large'), 'latin1'), content);

  root.unlink('old');
  fs.truncateSync(path.join(dir, 'large'), 50 << 10);
  root.copyFile('large', 'new');
  assert.ok(fs.readFileSync(path.join(dir, 'new')).equals(fs.readFileSync(path.join(dir, 'large'))));
});

test('a disk without inodes: ENOSPC, and nothing is made', { skip: withoutMounts }, (t) => {
  const dir = mounted(t, '-t', 'tmpfs', '-o', 'size=1m,nr_inodes=32', 'tmpfs');
  const root = new SandboxRoot(dir);
  fs.mkdirSync(path.join(dir, 'sub'));
  fs.writeFileSync(path.join(dir, 'file'), 'content');
  fs.writeFileSync(path.join(dir, 'other'), '');
  const full = outcome(() => {
    for (let i = 0; ; i += 1) fs.writeFileSync(path.join(dir, `filler${i}`), '');
  });
  assert.strictEqual(full.error.code, 'ENOSPC');

  for (const at of ['new', 'sub/new']) {
    allFail(dir, 'ENOSPC', [
      () => root.mkdir(at),
      () => root.mkdir(at, true),
      () => root.mkdir(`${at}/below/that`, true),
      () => root.openWrite(at, true),
      () => root.symlink('target', at),
      () => root.link('file', at),
      () => root.copyFile('file', at),
    ]);
  }
  // What needs no inode goes on.
  root.rename('file', 'sub/file');
  root.copyFile('sub/file', 'other');
  root.chmod('other', 0o600);
  root.rm('filler0');
  root.mkdir('sub/new');
  assert.strictEqual(fs.readFileSync(path.join(dir, 'other'), 'latin1'), 'content');
});

/** Goes every way where nothing can be changed: what changes something fails with `code`. */
async function everyWayRefused(
  t,
  code,
  { base, view = base, prepared = () => undefined, over = () => undefined, except = [] },
) {
  const subject = new Subject(t, base);
  const go = async (i, refused) => {
    const tree = await subject.ask('prepare', i, base, refused ? view : base);
    if (refused) prepared(tree);
    try {
      await subject.ask('call');
    } finally {
      if (refused) over(tree);
    }
    return subject.ask('report');
  };
  let refused = 0;
  for (const [i, { method, what }] of waysAtOnce.entries()) {
    if (except.includes(`${method}: ${what}`)) continue;
    const natural = await go(i, false);
    const { error, before, after, left } = await go(i, true);
    const where = `${method}: ${what}: ${error?.message}`;
    assert.deepStrictEqual([after, left], [before, 0], where);
    const changes =
      (['utimes', 'lutimes', 'chown', 'lchown', 'openWrite'].includes(method) && what !== 'no time') ||
      !isDeepStrictEqual(natural.before, natural.after);
    // Of two reasons to refuse, the kernel says the one that it meets first.
    if (natural.error !== undefined || !changes)
      assert.ok([natural.error?.code, code].includes(error?.code), where);
    else assert.strictEqual(error?.code, code, where);
    assert.doesNotMatch(error?.message ?? '', /seccomp|kernel/, where);
    if (error?.code === code) refused += 1;
  }
  return refused;
}

test('a read-only mount: EROFS from all that would change it', { skip: withoutMounts }, async (t) => {
  const base = tempDir(t, memory);
  const view = mounted(t, '--bind', base);
  execFileSync('mount', ['-o', 'remount,bind,ro', view]);
  const refused = await everyWayRefused(t, 'EROFS', { base, view });
  assert.ok(refused > 25);
});

test('immutable files and directories: EPERM from all that would change them', {
  skip: !isRoot && 'needs root for chattr',
}, async (t) => {
  // A link has no such attribute, and so remains open to changes.
  const except = ['lutimes: a symlink', 'lchown: a symlink'];
  const chattr = (change) => (tree) =>
    execFileSync('find', [tree, '!', '-type', 'l', '-exec', 'chattr', change, '{}', '+'], { stdio: 'pipe' });
  const hasImmutable = (dir) => {
    const probe = path.join(dir, 'probe');
    fs.writeFileSync(probe, '');
    const { error } = outcome(() => ['+i', '-i'].forEach((change) => chattr(change)(probe)));
    fs.rmSync(probe);
    return error === undefined;
  };
  const base = [memory, os.tmpdir()].map((dir) => tempDir(t, dir)).find(hasImmutable);
  if (base === undefined) return t.skip('no file system here has immutable files');
  const [prepared, over] = ['+i', '-i'].map(chattr);
  const refused = await everyWayRefused(t, 'EPERM', { base, prepared, over, except });
  assert.ok(refused > 25);
});
