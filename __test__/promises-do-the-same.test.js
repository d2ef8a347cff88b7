'use strict';
// root.promises: the same methods, arguments, results and errors, without blocking.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const { SandboxRoot } = require('..');
const {
  everyCallWithPath,
  everyPromiseWithPath,
  fifo,
  link,
  methods,
  methodsInTable,
  outcome,
  sandbox,
  settled,
  snapshot,
} = require('./support');

const TREE = { file: 'content', dir: { inner: 'inner' }, empty: {}, tofile: link('file') };

test('every method has its promise', (t) => {
  const { root } = sandbox(t);
  assert.deepStrictEqual(
    Object.getOwnPropertyNames(Object.getPrototypeOf(root.promises)).sort(),
    ['constructor', 'isAt', 'openHandle', 'watch', ...methods].sort(),
  );
  assert.strictEqual(root.promises, root.promises);
  for (const method of ['isAt', 'openHandle', 'watch', ...methods])
    assert.strictEqual(root.promises[method].name, method);
});

test('a promise comes to what the call comes to, and leaves the same behind', async (t) => {
  const paths = [
    'file',
    'dir',
    'empty',
    'dir/inner',
    'missing',
    'new/x',
    'file/x',
    'tofile',
    'tofile/x',
    'pipe',
    '.',
    '..',
    '/etc',
    '',
    'a\0b',
    undefined,
  ];
  // One for all: to make one takes a process.
  const pipe = sandbox(t, { pipe: fifo() }).at('pipe');
  for (const at of paths) {
    for (const [i, [name, call]] of everyCallWithPath.entries()) {
      const [, later] = everyPromiseWithPath[i];
      const [mine, theirs] = [sandbox(t, TREE), sandbox(t, TREE)];
      for (const { at } of [mine, theirs]) fs.linkSync(pipe, at('pipe'));
      const promise = later(mine.root, at);
      const { error } = await settled(promise);
      assert.deepStrictEqual(error, outcome(() => call(theirs.root, at)).error, `${name} of ${String(at)}`);
      assert.deepStrictEqual(snapshot(mine.dir), snapshot(theirs.dir), `after ${name} of ${String(at)}`);
    }
  }
});

test('what is wrong with an argument rejects, and throws nothing', async (t) => {
  const { root } = sandbox(t, TREE);
  for (const method of methodsInTable) {
    const promise = root.promises[method]();
    await assert.rejects(promise, { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' }, method);
  }
});

test('results are those of the methods', async (t) => {
  const { root } = sandbox(t, TREE);
  assert.deepStrictEqual(await root.promises.stat('file'), root.stat('file'));
  assert.deepStrictEqual(
    await root.promises.lstat('tofile', { bigint: true }),
    root.lstat('tofile', { bigint: true }),
  );
  assert.strictEqual(await root.promises.readlink('tofile'), 'file');
  assert.deepStrictEqual(
    [await root.promises.exists('file'), await root.promises.exists('x')],
    [true, false],
  );
  assert.strictEqual(await root.promises.mkdir('x/y', true), undefined);
  const fd = await root.promises.openRead('file');
  assert.strictEqual(fs.readFileSync(fd, 'utf8'), 'content');
  fs.closeSync(fd);
});

test('an error names its caller in the stack, though it was made on another thread', async (t) => {
  const { root } = sandbox(t);
  async function theCaller() {
    await root.promises.unlink('missing');
  }
  for (const at of [theCaller, () => Promise.all([theCaller(), theCaller()])]) {
    const error = await at().catch((thrown) => thrown);
    assert.match(
      error.stack,
      /^Error: ENOENT: no such file or directory, unlink 'missing'\n\s+at async theCaller /,
    );
  }
});

test('so does the error of every method', async (t) => {
  const { root } = sandbox(t, TREE);
  for (const [name, call] of everyPromiseWithPath) {
    async function theCaller() {
      await call(root, 'file/x');
    }
    const error = await theCaller().catch((thrown) => thrown);
    assert.match(error.stack, /^Error: E[A-Z]+: [^\n]+(\n\s+at [^\n]*)*\n\s+at async theCaller /, name);
  }
});

test('what is not the promises of a root is refused', async (t) => {
  const { root } = sandbox(t);
  const { stat } = root.promises;
  for (const that of [undefined, {}, root, Object.create(root.promises)]) {
    await assert.rejects(async () => stat.call(that, '.'), TypeError);
  }
});

test('closing the root while calls are running lets them end, and later ones are EBADF', async (t) => {
  const { dir } = sandbox(t);
  for (let round = 0; round < 20; round++) {
    const root = new SandboxRoot(dir);
    const running = Array.from({ length: 50 }, (_, i) => root.promises.mkdir(`${round}/${i}/x`, true));
    root.close();
    await Promise.all(running);
    assert.strictEqual((await settled(root.promises.stat('.'))).error.code, 'EBADF');
    assert.strictEqual(fs.readdirSync(`${dir}/${round}`).length, 50);
  }
});

test('thousands of calls at once all come back, and leave no descriptor', async (t) => {
  const { root } = sandbox(t, TREE);
  const fds = fs.readdirSync('/proc/self/fd').length;
  const all = Array.from({ length: 5000 }, (_, i) =>
    settled(i % 2 ? root.promises.stat('dir/inner') : root.promises.unlink('dir/missing')),
  );
  const codes = (await Promise.all(all)).map(({ error }) => error?.code);
  assert.deepStrictEqual([...new Set(codes)].sort(), ['ENOENT', undefined]);
  assert.ok(fs.readdirSync('/proc/self/fd').length <= fds);
});
