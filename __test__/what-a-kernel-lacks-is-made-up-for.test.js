'use strict';
// Kernels and file systems without the call that does it best: the same comes out, by another way that
// is no less safe.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { SandboxRoot } = require('..');
const { inChild } = require('./child');
const {
  bothWays,
  isRoot,
  NOBODY,
  plantWide,
  sandbox,
  snapshot,
  tempDir,
  tool,
  withoutMounts,
} = require('./support');
const { withoutAttaching } = require('./syscalls/strace');

/** A command that runs another on a kernel that answers as `denials` say. */
const kernel = (...denials) => [tool('seccomp'), ...denials.flatMap((denial) => ['--deny', denial]), '--'];

/** Files with data and holes in every order: `[offset, bytes]` of the data, and the whole length. */
const LAYOUTS = {
  empty: [0],
  byte: [1, [0, 1]],
  large: [3 << 20, [0, 3 << 20]],
  hole: [2 << 20],
  holeFirst: [2 << 20, [1 << 20, 1 << 20]],
  holeLast: [2 << 20, [0, 1 << 20]],
  holes: [8 << 20, [1 << 20, 700_001], [4 << 20, 5]],
};

for (const code of [null, 'EXDEV', 'EOPNOTSUPP', 'EINVAL', 'ENOSYS', 'EPERM']) {
  const title = code === null ? 'copies are exact' : `copies are exact where copy_file_range is ${code}`;
  test(`${title}, and keep their holes`, async (t) => {
    const dir = tempDir(t);
    for (const [name, [length, ...data]] of Object.entries(LAYOUTS)) {
      const fd = fs.openSync(path.join(dir, name), 'w');
      for (const [offset, bytes] of data) fs.writeSync(fd, Buffer.alloc(bytes, `${name} `), 0, bytes, offset);
      fs.ftruncateSync(fd, length);
      fs.closeSync(fd);
      fs.writeFileSync(path.join(dir, `old-${name}`), Buffer.alloc(10 << 20, 'x'));
    }
    const copyAll = (dir, names) => {
      const root = new SandboxRoot(dir);
      for (const name of names) for (const kind of ['new', 'old']) root.copyFile(name, `${kind}-${name}`);
    };
    const wrap = code === null ? [] : kernel(`copy_file_range=${code}`);
    await inChild(t, copyAll, [dir, Object.keys(LAYOUTS)], { wrap });
    for (const [name, kind] of Object.keys(LAYOUTS).flatMap((name) => [
      [name, 'new'],
      [name, 'old'],
    ])) {
      const [src, copy] = [path.join(dir, name), path.join(dir, `${kind}-${name}`)];
      assert.ok(fs.readFileSync(copy).equals(fs.readFileSync(src)), `${kind}-${name}`);
      // The blocks of a file may come a few at a time.
      assert.ok(
        fs.statSync(copy).blocks <= fs.statSync(src).blocks + 256,
        `${kind}-${name}: the holes are filled`,
      );
    }
  });
}

/** Where `/proc` may be put to use: what `chmod` does to a file, a FIFO, a directory, and a symlink. */
function changeModes(dir, user) {
  if (process.geteuid() === 0) {
    process.setgid(user);
    process.setuid(user);
  }
  const root = new SandboxRoot(dir);
  const codes = ['secret', 'dir/secret', 'pipe', 'dir', '.', 'link', 'dir/link', 'missing'].map((at) => {
    try {
      root.chmod(at, 0o700);
      return fs.statSync(`${dir}/${at}`).mode & 0o777;
    } catch (error) {
      return error.code;
    }
  });
  const open = fs.readdirSync('/proc/self/fd').length;
  for (let i = 0; i < 100; i += 1) root.chmod('secret', 0o200);
  return { codes, left: fs.readdirSync('/proc/self/fd').length - open };
}

test('without fchmodat2, chmod works all the same: no right to read is needed, nothing waits, no link is followed', async (t) => {
  const base = tempDir(t);
  const user = NOBODY;
  const dir = path.join(base, 'root');
  fs.mkdirSync(path.join(dir, 'dir'), { recursive: true });
  fs.chmodSync(base, 0o755);
  fs.writeFileSync(path.join(base, 'outside'), '', { mode: 0o640 });
  execFileSync('mkfifo', ['-m', '200', path.join(dir, 'pipe')]);
  for (const at of ['secret', 'dir/secret']) fs.writeFileSync(path.join(dir, at), '', { mode: 0o200 });
  for (const at of ['link', 'dir/link']) fs.symlinkSync(path.join(base, 'outside'), path.join(dir, at));
  if (isRoot) execFileSync('chown', ['-hR', `${user}:${user}`, base]);
  assert.deepStrictEqual(await inChild(t, changeModes, [dir, user], { wrap: kernel('fchmodat2=ENOSYS') }), {
    codes: [0o700, 0o700, 0o700, 0o700, 0o700, 'ELOOP', 'ELOOP', 'ENOENT'],
    left: 0,
  });
  assert.strictEqual(fs.statSync(path.join(base, 'outside')).mode & 0o777, 0o640);
});

/** In a mount namespace of its own: puts something else over `/proc`, which leads to the victim. */
function chmodWithFalseProc(dir, how) {
  const { execFileSync } = require('node:child_process');
  const root = new SandboxRoot(`${dir}/root`);
  const victims = (fds) => {
    fs.mkdirSync(fds, { recursive: true });
    for (let fd = 0; fd < 100; fd += 1) fs.symlinkSync(`${dir}/victim`, `${fds}/${fd}`);
  };
  if (how === 'tmpfs') {
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', '/proc']);
    victims('/proc/self/fd');
    victims(`/proc/${process.pid}/fd`);
  } else {
    victims(`${dir}/false`);
    execFileSync('mount', ['--bind', `${dir}/false`, `/proc/${process.pid}/fd`]);
  }
  // What is not wary is fooled: the name of a descriptor leads to the victim.
  const fd = fs.openSync(`${dir}/other`, 'r');
  fs.chmodSync(`/proc/self/fd/${fd}`, 0o604);
  try {
    root.chmod('file', 0o777);
    return 'done';
  } catch ({ code, message }) {
    return { code, message };
  }
}

for (const how of ['tmpfs', 'bind']) {
  const what = how === 'tmpfs' ? '/proc' : '/proc/self/fd';
  test(`without fchmodat2, and with something else mounted over ${what}, chmod fails`, {
    skip: withoutMounts,
  }, async (t) => {
    for (const denied of ['ENOSYS', 'EPERM']) {
      const dir = tempDir(t);
      fs.mkdirSync(path.join(dir, 'root'));
      for (const at of ['root/file', 'victim', 'other'])
        fs.writeFileSync(path.join(dir, at), '', { mode: 0o640 });
      const wrap = ['unshare', '--mount', ...kernel(`fchmodat2=${denied}`)];
      const error = await inChild(t, chmodWithFalseProc, [dir, how], { wrap });
      assert.match(error.message, /^[A-Z]+: .*, chmod 'file'$/);
      assert.ok(denied === 'ENOSYS' || error.code === 'EPERM');
      const modeOf = (at) => (fs.statSync(path.join(dir, at)).mode & 0o777).toString(8);
      assert.deepStrictEqual(['victim', 'root/file', 'other'].map(modeOf), ['604', '640', '640']);
    }
  });
}

/** Copies, lists and removes a tree while no thread can be made. `strace`: the module that sees to that. */
async function workWithoutThreads(dir, way, strace, log) {
  const { attach } = require(strace);
  // The threads of the pool are there; those of Node are anyway.
  await Promise.all(Array.from({ length: 8 }, () => fs.promises.stat('/')));
  const root = new SandboxRoot(dir);
  const of = way === 'at once' ? root : root.promises;
  const denied = 'clone,clone3';
  const tracer = await attach(process.pid, log, [`${denied}:error=EAGAIN`], '-f', '-e', `trace=${denied}`);
  try {
    await of.cp('wide', 'copy', { recursive: true });
    const names = await of.readdir('wide', { recursive: true });
    await of.rm('wide', true);
    return names;
  } finally {
    const ended = require('node:events').once(tracer, 'exit');
    tracer.kill();
    await ended;
  }
}

bothWays(
  'where no thread is to be had, trees come out whole',
  { skip: withoutAttaching() },
  async (t, _, way) => {
    const { dir, at } = sandbox(t);
    const log = path.join(path.dirname(dir), 'log');
    plantWide(at('wide'), 20);
    const whole = snapshot(at('wide'));
    const strace = path.join(__dirname, 'syscalls/strace.js');
    const names = await inChild(t, workWithoutThreads, [dir, way, strace, log]);
    assert.deepStrictEqual(names.sort(), Object.keys(whole).sort());
    assert.deepStrictEqual(snapshot(at('copy')), whole);
    assert.deepStrictEqual(fs.readdirSync(dir), ['copy']);
    // A second thread for each of the three trees, and for a promise one before that.
    const failed = fs.readFileSync(log, 'utf8').match(/EAGAIN .*\(INJECTED\)$/gm);
    assert.strictEqual(failed?.length, way === 'at once' ? 3 : 6);
  },
);
