'use strict';
// On older kernels some calls go to the number of a descriptor in /proc/self/fd. Where something else is
// there, they fail: nothing that it leads to is changed.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { inChild } = require('./child');
const { Outside } = require('./races/outside');
const { fifo, plant, snapshot, tempDir, tool, withoutMounts } = require('./support');

/** A kernel on which each of the calls has to take the older way. */
const oldKernel = () => [
  tool('seccomp'),
  ...['--deny', 'fchmodat2=ENOSYS'],
  ...['--deny-on-descriptor', 'utimensat=EINVAL'],
  ...['--deny-on-descriptor', 'faccessat2=EINVAL'],
  ...['--deny-on-descriptor', 'linkat=ENOENT'],
  '--',
];
/** One on which a filter denies what it does not know. */
const filtered = () => [
  tool('seccomp'),
  ...['--deny', 'fchmodat2=EPERM', '--deny', 'faccessat2=EPERM'],
  ...['--deny-on-descriptor', 'utimensat=EPERM'],
  ...['--deny-on-descriptor', 'linkat=EPERM'],
  '--',
];

/**
 * In a mount namespace of its own: puts something else in the place of /proc, or of a part of it, and makes
 * the calls that go there. `used`: whether they have been made before, when all was well.
 */
async function callWithFalseProc(dir, how, used) {
  const { execFileSync, spawn } = require('node:child_process');
  const { pid } = process;
  const root = new SandboxRoot(`${dir}/root`);
  const calls = (root) => ({
    chmod: () => root.chmod('file', 0o604),
    utimes: () => root.utimes('file', 1_000_000_000, 2_000_000_000),
    access: () => root.access('file', 4),
    'writeFile, new': () => root.writeFile('new', 'new', { atomic: true }),
    'writeFile, replaced': () => root.writeFile('file', 'replaced', { atomic: true }),
  });
  const attempt = async (action) => {
    try {
      await action();
      return 'done';
    } catch ({ code, message, syscall }) {
      return { code, message, syscall };
    }
  };
  const all = async () => {
    const told = {};
    for (const [name, call] of Object.entries(calls(root))) told[name] = await attempt(call);
    fs.rmSync(`${dir}/root/new`, { force: true });
    for (const [name, call] of Object.entries(calls(root.promises)))
      told[`promise: ${name}`] = await attempt(call);
    return told;
  };
  const bind = (what, where) => execFileSync('mount', ['--bind', what, where]);
  const tmpfs = (where) => execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', where]);
  const plantNumbers = (fds) => {
    fs.mkdirSync(fds, { recursive: true });
    for (let fd = 0; fd < 100; fd += 1) fs.symlinkSync(`${dir}/yard/victim`, `${fds}/${fd}`);
  };
  /** A process that has the victim open under every number. */
  const another = () => {
    const victim = fs.openSync(`${dir}/yard/victim`, 'r');
    const child = spawn('sleep', ['600'], { stdio: Array(100).fill(victim) });
    fs.closeSync(victim);
    return child;
  };

  const before = used ? await all() : null;
  if (used) {
    fs.writeFileSync(`${dir}/root/file`, 'content');
    fs.chmodSync(`${dir}/root/file`, 0o640);
    fs.rmSync(`${dir}/root/new`);
  }
  let child;
  if (how === 'a tmpfs on /proc') {
    tmpfs('/proc');
    plantNumbers('/proc/self/fd');
    plantNumbers(`/proc/${pid}/fd`);
  } else if (how === 'a tmpfs on /proc/<pid>') {
    tmpfs(`/proc/${pid}`);
    plantNumbers(`/proc/${pid}/fd`);
  } else if (how === 'a directory on /proc/<pid>/fd') {
    plantNumbers(`${dir}/false`);
    bind(`${dir}/false`, `/proc/${pid}/fd`);
  } else {
    child = another();
    if (how === 'another process on /proc/<pid>') bind(`/proc/${child.pid}`, `/proc/${pid}`);
    else bind(`/proc/${child.pid}/fd`, `/proc/${pid}/fd`);
  }
  // What is not wary is fooled.
  const fd = fs.openSync(`${dir}/root/other`, 'r');
  const isFooled = fs.statSync(`/proc/self/fd/${fd}`).ino === fs.statSync(`${dir}/yard/victim`).ino;
  fs.closeSync(fd);
  const after = await all();
  child?.kill();
  return { before, isFooled, after };
}

/**
 * The same of the ACL of a FIFO, which goes along with a copy of it and cannot be asked for by a descriptor.
 * `used`: as above.
 */
async function copyFifoWithFalseProc(dir, used) {
  const { execFileSync } = require('node:child_process');
  const root = new SandboxRoot(`${dir}/root`);
  if (used) root.cp('fifo', 'before');
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', '/proc']);
  fs.mkdirSync('/proc/self/fd', { recursive: true });
  for (let fd = 0; fd < 100; fd += 1) fs.symlinkSync(`${dir}/victim`, `/proc/self/fd/${fd}`);
  root.cp('fifo', 'copy');
  const acl = (at) => execFileSync('getfacl', ['-cpn', at], { encoding: 'utf8' });
  return { fooled: acl('/proc/self/fd/9'), copy: acl(`${dir}/root/copy`) };
}

for (const used of [false, true]) {
  test(`with a tmpfs on /proc${used ? ' after the real one was in use' : ''}, a FIFO gets no ACL of another`, {
    skip: withoutMounts || withoutAcls(),
  }, async (t) => {
    const dir = tempDir(t);
    plant(dir, { root: { fifo: fifo() }, victim: { content: '', mode: 0o660 } });
    fs.chmodSync(path.join(dir, 'root/fifo'), 0o660);
    spawnSync('setfacl', ['-m', 'u:12345:rw-', path.join(dir, 'victim')]);
    const { fooled, copy } = await inChild(t, copyFifoWithFalseProc, [dir, used], {
      wrap: ['unshare', '--mount'],
    });
    assert.match(fooled, /^user:12345:rw-$/m, 'who is not wary is fooled, else this proves nothing');
    assert.doesNotMatch(copy, /12345/);
    assert.match(copy, /^other::---$/m);
  });
}

/** Why no ACL can be set, or `false`. */
function withoutAcls() {
  return spawnSync('setfacl', ['--version']).status !== 0 && 'needs setfacl';
}

/** A root, and a victim beside it. */
function scene(t) {
  const dir = tempDir(t);
  const content = { content: 'content', mode: 0o640 };
  plant(dir, {
    root: { file: content, other: content },
    yard: { victim: { content: 'secret', mode: 0o640 } },
  });
  const outside = new Outside(path.join(dir, 'yard'));
  outside.arm();
  return { dir, outside };
}

const HOWS = [
  'a tmpfs on /proc',
  'a tmpfs on /proc/<pid>',
  'a directory on /proc/<pid>/fd',
  'another process on /proc/<pid>',
  'the descriptors of another process on /proc/<pid>/fd',
];
const CALLS = { chmod: 'chmod', utimes: 'utime', access: 'access', writeFile: 'rename' };

for (const how of HOWS) {
  for (const [kernel, wrap] of Object.entries({ 'an old kernel': oldKernel, 'a filter': filtered })) {
    test(`with ${kernel} and ${how}, each call fails, and what that leads to is untouched`, {
      skip: withoutMounts,
    }, async (t) => {
      const { dir, outside } = scene(t);
      const before = snapshot(path.join(dir, 'root'));
      const result = await inChild(t, callWithFalseProc, [dir, how, false], {
        wrap: ['unshare', '--mount', ...wrap()],
      });
      assert.ok(result.isFooled, 'who is not wary is fooled, else this proves nothing');
      for (const [call, told] of Object.entries(result.after)) {
        assert.match(`${told.message}`, /^[A-Z]+: [^/]* '(file|new)'$/, call);
        const method = call.replace('promise: ', '').replace(/,.*/, '');
        assert.strictEqual(told.syscall, CALLS[method], call);
      }
      outside.assertUntouched();
      assert.deepStrictEqual(snapshot(path.join(dir, 'root')), before);
    });
  }

  test(`with ${how} after the real one was in use, each call acts on what its path leads to`, {
    skip: withoutMounts,
  }, async (t) => {
    const { dir, outside } = scene(t);
    const result = await inChild(t, callWithFalseProc, [dir, how, true], {
      wrap: ['unshare', '--mount', ...oldKernel()],
    });
    assert.ok(result.isFooled, 'who is not wary is fooled, else this proves nothing');
    for (const told of [result.before, result.after])
      assert.deepStrictEqual(new Set(Object.values(told)), new Set(['done']));
    outside.assertUntouched();
    assert.deepStrictEqual(fs.readdirSync(path.join(dir, 'root')), ['file', 'new', 'other']);
    for (const [name, content] of [
      ['file', 'replaced'],
      ['new', 'new'],
      ['other', 'content'],
    ])
      assert.strictEqual(fs.readFileSync(path.join(dir, 'root', name), 'utf8'), content);
    assert.strictEqual(fs.statSync(path.join(dir, 'root/file')).mode & 0o777, 0o604);
  });
}
