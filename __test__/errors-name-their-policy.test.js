'use strict';
// `error.reason` says which promise or policy of the root a call met. What the kernel or the file system says for
// reasons of its own carries none.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('..');
const {
  POLICIES,
  everyCallWithPath,
  everyPromiseWithPath,
  fifo,
  link,
  outcome,
  plant,
  sandbox,
  settled,
  unprivileged,
} = require('./support');

const LOOP = 'ELOOP: too many symbolic links encountered';

/** What the synchronous call and its promise say: code, reason and text behind Node's. */
async function said(root, method, ...args) {
  const { error } = outcome(() => root[method](...args));
  const later = await settled(root.promises[method](...args));
  assert.deepStrictEqual(later.error, error, `${method} later`);
  const text = /^[A-Z]+: [^(]+(?: \((.*?)\))?, \w+/.exec(error?.message)?.[1];
  return [error?.code, error?.reason, text];
}

const OUTSIDE = ['EACCES', 'outside', 'path is outside of the sandbox'];
const SYMLINK = ['ELOOP', 'symlink', 'a symlink was refused'];
const REAL_LOOP = ['ELOOP', undefined, undefined];

const LINKS = {
  file: 'content',
  dir: { up: link('..'), out: link('../..'), loop: link('loop') },
  tofile: link('file'),
  todir: link('dir'),
  loop: link('loop'),
  ring: link('gnir'),
  gnir: link('ring'),
  toloop: link('dir/loop'),
  out: link('..'),
  absolute: link('/file'),
};

test('a symlink that is refused, by every method that would follow it, and its message says so', async (t) => {
  const { root } = sandbox(t, LINKS);
  for (const at of ['todir/x', 'loop/x', 'out/x', 'dir/up/file']) {
    for (const [i, [name, call]] of everyCallWithPath.entries()) {
      const { error } = outcome(() => call(root, at));
      assert.deepStrictEqual([error?.code, error?.reason], ['ELOOP', 'symlink'], `${name} of ${at}`);
      assert.ok(error.message.startsWith(`${LOOP} (a symlink was refused), `), error.message);
      assert.deepStrictEqual((await settled(everyPromiseWithPath[i][1](root, at))).error, error, name);
    }
  }
  for (const method of ['stat', 'readFile', 'readdir', 'access', 'realpath', 'openRead', 'openRoot'])
    for (const at of ['tofile', 'todir', 'todir/', 'loop'])
      assert.deepStrictEqual(await said(root, method, at), SYMLINK, `${method} of ${at}`);
  for (const call of [
    () => root.mkdir('todir', true),
    () => root.rm('todir/', true),
    () => root.link('todir/', 'new'),
    () => root.writeFile('tofile', 'x'),
    () => root.chmod('tofile', 0o600),
  ]) {
    assert.strictEqual(outcome(call).error?.reason, 'symlink', `${call}`);
  }
  assert.throws(() => root.stat('tofile'), { message: `${LOOP} (a symlink was refused), stat 'tofile'` });
});

for (const symlinks of ['beneath', 'in-root']) {
  test(`a real loop carries no reason: '${symlinks}'`, async (t) => {
    const { dir } = sandbox(t, LINKS);
    const root = new SandboxRoot(dir, { symlinks });
    t.after(() => root.close());
    for (const at of ['loop', 'ring', 'toloop', 'loop/x', 'todir/loop', 'dir/../loop', './dir//up/ring'])
      for (const method of ['stat', 'readFile', 'readdir', 'realpath'])
        assert.deepStrictEqual(await said(root, method, at), REAL_LOOP, `${method} of ${at}`);
    // It is the caller who refuses this one.
    const { O_NOFOLLOW } = fs.constants;
    assert.deepStrictEqual(await said(root, 'open', 'tofile', O_NOFOLLOW), REAL_LOOP);
    const long = {
      ...Object.fromEntries([...Array(41)].map((_, i) => [`l${i}`, link(`l${i + 1}`)])),
      l41: 'end',
    };
    plant(dir, long);
    assert.strictEqual(root.stat('l2').size, 3);
    assert.deepStrictEqual(await said(root, 'stat', 'l0'), REAL_LOOP);
  });
}

test("what is outside, for each policy: 'outside', and what is no permission carries none", async (t) => {
  const { dir } = sandbox(t, { ...LINKS, locked: { file: '' } });
  fs.chmodSync(path.join(dir, 'locked'), 0);
  const outside = {
    reject: ['/file', '..', 'dir/..', '../x', 'dir/../file'],
    beneath: ['/file', '..', 'dir/../..', 'out', 'out/x', 'absolute', 'dir/out/x', 'dir/up/..'],
    'in-root': [],
  };
  for (const symlinks of POLICIES) {
    for (const mounts of ['allow', 'reject']) {
      const root = new SandboxRoot(dir, { symlinks, mounts });
      for (const at of outside[symlinks])
        assert.deepStrictEqual(await said(root, 'stat', at), OUTSIDE, `${symlinks} ${mounts}: ${at}`);
      await unprivileged(async () => {
        const { error } = outcome(() => root.stat('locked/file'));
        assert.deepStrictEqual([error?.code, error?.reason], ['EACCES', undefined]);
        assert.ok(!('reason' in error));
      });
      root.close();
    }
  }
});

test('hard links, special files, readonly and closed roots', async (t) => {
  const { dir } = sandbox(t, { file: 'x', tree: { a: 'a' } });
  fs.linkSync(path.join(dir, 'file'), path.join(dir, 'second'));
  plant(dir, { fifo: fifo() });
  for (const symlinks of POLICIES) {
    const single = new SandboxRoot(dir, { symlinks, hardlinks: 'reject' });
    const HARD = ['EMLINK', 'hardlink', 'a file with several names was refused'];
    for (const [method, ...args] of [
      ['readFile'],
      ['openRead'],
      ['truncate', 1],
      ['writeFile', 'x'],
      ['copyFile', 'new'],
      ['cp', 'new'],
    ])
      assert.deepStrictEqual(await said(single, method, 'file', ...args), HARD, method);
    const open = new SandboxRoot(dir, { symlinks });
    const SPECIAL = ['ENXIO', 'special', 'not a regular file'];
    for (const [method, ...args] of [
      ['readFile'],
      ['openRead'],
      ['openWrite'],
      ['truncate', 1],
      ['copyFile', 'new'],
    ])
      assert.deepStrictEqual(await said(open, method, 'fifo', ...args), SPECIAL, method);
    const fixed = new SandboxRoot(dir, { symlinks, readonly: true });
    const READONLY = ['EROFS', 'readonly', 'the root is readonly'];
    for (const [method, ...args] of [
      ['mkdir'],
      ['rm', true],
      ['writeFile', 'x'],
      ['access', 2],
      ['cp', 'new'],
      ['move', 'new'],
      ['open', 'w'],
    ])
      assert.deepStrictEqual(await said(fixed, method, 'tree', ...args), READONLY, method);
    const into = outcome(() => open.cp('file', 'new', { to: fixed })).error;
    assert.deepStrictEqual([into?.code, into?.reason], ['EROFS', 'readonly']);
    const closed = new SandboxRoot(dir, { symlinks, readonly: true });
    closed.close();
    for (const method of ['stat', 'unlink', 'rm', 'readdir'])
      assert.deepStrictEqual(
        await said(closed, method, 'tree'),
        ['EBADF', 'closed', 'the root is closed'],
        method,
      );
    assert.throws(() => closed.identity, { code: 'EBADF', reason: 'closed' });
    await assert.rejects(closed.walk('.').next(), { code: 'EBADF', reason: 'closed' });
    for (const root of [single, open, fixed]) root.close();
  }
});

test('reasons that are no policy, and errors that have none', async (t) => {
  const { root } = sandbox(t, { dir: { file: 'x' }, file: 'x', other: 'y' });
  const reason = (call) => outcome(call).error?.reason;
  assert.strictEqual(
    reason(() => root.cp('dir', 'dir/new', { recursive: true })),
    'into-itself',
  );
  for (const call of [
    () => root.stat('missing'),
    () => root.mkdir('dir'),
    () => root.rmdir('.'),
    () => root.readFile('file', { maxBytes: 0 }),
    () => root.stat(1),
  ]) {
    const { error } = outcome(call);
    assert.ok(error && !('reason' in error), `${call}`);
  }
});
