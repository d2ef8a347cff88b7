'use strict';
// root.promises: the same methods, arguments, results and errors, without blocking.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const { SandboxRoot } = require('..');
const { everyCallWithPath, fifo, link, methods, outcome, sandbox, snapshot } = require('./support');

const TREE = { file: 'content', dir: { inner: 'inner' }, empty: {}, tofile: link('file'), pipe: fifo() };

/** What a promise came to, told as `outcome` tells what a call came to. */
async function settled(promise) {
  try {
    const value = await promise;
    return { value };
  } catch (error) {
    return outcome(() => {
      throw error;
    });
  }
}

test('every method has its promise', (t) => {
  const { root } = sandbox(t);
  assert.deepStrictEqual(
    Object.getOwnPropertyNames(Object.getPrototypeOf(root.promises)).sort(),
    ['constructor', ...methods].sort(),
  );
  assert.strictEqual(root.promises, root.promises);
  for (const method of methods) assert.strictEqual(root.promises[method].name, method);
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
  for (const at of paths) {
    for (const [name, call] of everyCallWithPath) {
      const [once, later] = [sandbox(t, TREE), sandbox(t, TREE)];
      const closing = (root) =>
        new Proxy(root, {
          get:
            (target, key) =>
            (...args) =>
              target[key](...args),
        });
      const expected = outcome(() => call(closing(once.root), at));
      // A descriptor that comes later is closed later: the call gets one of its own to close.
      const promised = [];
      const got = outcome(() =>
        call(
          new Proxy(later.root, {
            get:
              (target, key) =>
              (...args) => {
                promised.push(target.promises[key](...args));
                return key.startsWith('open') ? fs.openSync('/dev/null') : undefined;
              },
          }),
          at,
        ),
      );
      assert.deepStrictEqual(got, { value: undefined }, 'it throws nothing');
      const { value, error } = await settled(promised[0]);
      if (name.startsWith('open') && value !== undefined) fs.closeSync(value);
      assert.deepStrictEqual(error, expected.error, `${name} of ${String(at)}`);
      assert.deepStrictEqual(
        snapshot(later.dir),
        snapshot(once.dir),
        `the tree after ${name} of ${String(at)}`,
      );
    }
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
