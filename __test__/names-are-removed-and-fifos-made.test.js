'use strict';
// remove: a file, a symlink itself or an empty directory, as os.Root.Remove of Go. mkfifo: a FIFO.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { Worker } = require('node:worker_threads');
const { SandboxRoot } = require('..');
const {
  POLICIES,
  bothWays,
  fifo,
  isRoot,
  link,
  sandbox,
  settled,
  snapshot,
  unprivileged,
} = require('./support');

const TREE = {
  file: 'content',
  empty: {},
  full: { inner: 'inner' },
  pipe: fifo(),
  tofile: link('file'),
  todir: link('full'),
  toempty: link('empty'),
  dangling: link('nowhere'),
};

const failure = async (promise) => {
  const { error } = await settled(promise);
  return error && [error.code, error.syscall];
};

for (const symlinks of POLICIES) {
  bothWays(`remove takes what is no full directory, symlinks: '${symlinks}'`, async (t, of) => {
    const { dir } = sandbox(t, TREE);
    const root = of(new SandboxRoot(dir, { symlinks }));
    for (const name of [
      'file',
      'empty/',
      'pipe',
      'tofile',
      'todir',
      'toempty',
      'dangling',
      'full/inner',
      'full',
    ])
      assert.strictEqual(await root.remove(name), undefined, name);
    assert.deepStrictEqual(fs.readdirSync(dir), []);
  });

  bothWays(`remove says what it could not remove, symlinks: '${symlinks}'`, async (t, of) => {
    const { dir } = sandbox(t, TREE);
    const root = of(new SandboxRoot(dir, { symlinks }));
    const before = snapshot(dir);
    for (const [at, ...expected] of [
      ['full', 'ENOTEMPTY', 'rmdir'],
      ['full/', 'ENOTEMPTY', 'rmdir'],
      ['missing', 'ENOENT', 'unlink'],
      ['missing/', 'ENOENT', 'rmdir'],
      ['', 'ENOENT', 'unlink'],
      ['file/', 'ENOTDIR', 'rmdir'],
      ['file/x', 'ENOTDIR', 'unlink'],
      ['toempty/', 'ENOTDIR', 'rmdir'],
      ['tofile/', 'ENOTDIR', 'rmdir'],
      ['.', 'EBUSY', 'rmdir'],
      ['empty/.', 'EINVAL', 'rmdir'],
      ['x'.repeat(256), 'ENAMETOOLONG', 'unlink'],
    ]) {
      assert.deepStrictEqual(await failure((async () => root.remove(at))()), expected, at);
    }
    const { error } = await settled((async () => root.remove('full'))());
    assert.strictEqual(error.message, "ENOTEMPTY: directory not empty, rmdir 'full'");
    assert.deepStrictEqual(snapshot(dir), before);
  });

  bothWays(`mkfifo makes a FIFO with the mode less the umask, symlinks: '${symlinks}'`, async (t, of) => {
    const { dir, at } = sandbox(t, { dir: {}, todir: link('dir') });
    const root = of(new SandboxRoot(dir, { symlinks }));
    const old = process.umask(0o027);
    t.after(() => process.umask(old));
    execFileSync('mkfifo', [at('theirs')]);
    assert.strictEqual(await root.mkfifo('ours'), undefined);
    for (const [name, mode, expected] of [
      ['dir/a', undefined, 0o640],
      ['dir/b', null, 0o640],
      ['dir/c', 0o777, 0o750],
      ['d', 0o600, 0o600],
      ['e', 0, 0],
    ]) {
      await root.mkfifo(name, mode);
      const stat = fs.lstatSync(at(name));
      assert.deepStrictEqual([stat.isFIFO(), stat.mode & 0o7777], [true, expected], name);
    }
    assert.strictEqual(fs.lstatSync(at('ours')).mode, fs.lstatSync(at('theirs')).mode);
    if (symlinks === 'reject') return;
    await root.mkfifo('todir/through');
    assert.ok(fs.lstatSync(at('dir/through')).isFIFO());
  });

  bothWays(`mkfifo replaces nothing, symlinks: '${symlinks}'`, async (t, of) => {
    const { dir } = sandbox(t, TREE);
    const root = of(new SandboxRoot(dir, { symlinks }));
    const before = snapshot(dir);
    for (const [at, code] of [
      ...['file', 'empty', 'pipe', 'tofile', 'dangling', 'empty/', 'toempty/', '.', 'empty/.'].map((at) => [
        at,
        'EEXIST',
      ]),
      ...['missing/x', 'missing/', ''].map((at) => [at, 'ENOENT']),
      ['file/x', 'ENOTDIR'],
    ]) {
      assert.deepStrictEqual(await failure((async () => root.mkfifo(at))()), [code, 'mkfifo'], at);
    }
    for (const mode of [-1, 2 ** 32, 1.5, Number.NaN])
      assert.strictEqual((await failure((async () => root.mkfifo('new', mode))()))[0], 'ERR_OUT_OF_RANGE');
    assert.strictEqual((await failure((async () => root.mkfifo('new', '644'))()))[0], 'ERR_INVALID_ARG_TYPE');
    assert.deepStrictEqual(snapshot(dir), before);
  });
}

bothWays(
  'what the system does not permit is said, and changes nothing',
  { skip: !isRoot && 'needs root' },
  async (t, of) => {
    const { dir } = sandbox(t, { dir: { file: '', empty: {} } });
    for (const above of [dir, `${dir}/..`]) fs.chmodSync(above, 0o755);
    const before = snapshot(dir);
    await unprivileged(async () => {
      const root = of(new SandboxRoot(dir));
      for (const [at, syscall] of [
        ['dir/file', 'unlink'],
        ['dir/empty', 'unlink'],
        ['dir/empty/', 'rmdir'],
      ])
        assert.deepStrictEqual(await failure((async () => root.remove(at))()), ['EACCES', syscall]);
      assert.deepStrictEqual(await failure((async () => root.mkfifo('dir/new'))()), ['EACCES', 'mkfifo']);
    });
    assert.deepStrictEqual(snapshot(dir), before);
  },
);

test('a FIFO that was made carries what is written to it', async (t) => {
  const { root, at } = sandbox(t);
  root.mkfifo('pipe');
  const [code, workerData] = [
    "require('fs').writeFileSync(require('worker_threads').workerData, 'hello')",
    at('pipe'),
  ];
  const writer = new Worker(code, { eval: true, workerData });
  t.after(() => writer.terminate());
  assert.strictEqual(await fs.promises.readFile(at('pipe'), 'utf8'), 'hello');
  assert.throws(() => root.readFile('pipe'), { code: 'ENXIO' });
});

test('a name that flips between a file and a directory is removed, whichever it is', async (t) => {
  const { dir, root } = sandbox(t);
  const code = `
    const { workerData: [home, dir, flag] } = require('node:worker_threads');
    const root = new (require(home).SandboxRoot)(dir);
    const stop = new Int32Array(flag);
    const tried = (action) => { try { action(); return true; } catch { return false; } };
    while (Atomics.load(stop, 0) === 0) {
      tried(() => root.writeFile('name', ''));
      tried(() => root.mkdir('other'));
      for (let i = 0; i < 1000 && tried(() => root.exchange('name', 'other')); i++);
      for (const name of ['name', 'other']) tried(() => root.rm(name, true));
    }`;
  const flag = new SharedArrayBuffer(4);
  const worker = new Worker(code, { eval: true, workerData: [path.join(__dirname, '..'), dir, flag] });
  const exited = new Promise((resolve) => worker.once('exit', resolve));
  t.after(() => worker.terminate());
  await new Promise((resolve) => worker.once('online', resolve));
  const codes = {};
  const end = performance.now() + 3000;
  while (performance.now() < end) {
    const result = (await failure((async () => root.remove('name'))()))?.[0] ?? 'done';
    codes[result] = (codes[result] ?? 0) + 1;
  }
  Atomics.store(new Int32Array(flag), 0, 1);
  await exited;
  t.diagnostic(JSON.stringify(codes));
  assert.deepStrictEqual(
    Object.keys(codes).filter((code) => !['done', 'ENOENT'].includes(code)),
    [],
  );
  assert.ok(codes.done > 0);
});
