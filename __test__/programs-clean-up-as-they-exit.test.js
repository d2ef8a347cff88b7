'use strict';
// A program cleans up in an `exit` handler, after promises were used or while some are pending; and what these were
// making is stopped and removed.

const assert = require('node:assert');
const fs = require('node:fs');
const test = require('node:test');
const { inChild } = require('./child');
const { onEachNode } = require('./other-nodes');
const { memory, sandbox } = require('./support');

/** Exits with what it did in its handler as its value. */
async function exit(dir, first, pending) {
  const done = {};
  const cleanUp = () => {
    const root = new SandboxRoot(dir);
    root.copyFile('file', 'copy');
    done.names = root.readdir('.', { recursive: true }).sort();
    root.cp('tree', 'other', { recursive: true });
    root.move('other', 'moved');
    root.rm('tree', true);
    done.text = root.readFile('copy', 'utf8');
    done.left = root.readdir('.').sort();
    fs.writeSync(1, `value ${JSON.stringify(done)}\n`);
  };
  // Ahead of the handler of the package, and behind it.
  if (first) process.on('exit', cleanUp);
  const root = new SandboxRoot(dir);
  await root.promises.readdir('tree', { recursive: true });
  await root.promises.copyFile('file', 'copied');
  await root.promises.rm('copied', true);
  if (!first) process.on('exit', cleanUp);
  if (pending)
    for (let i = 0; i < 20; i++) root.promises.readdir('tree', { recursive: true }).catch(() => {});
  process.exit(0);
}

onEachNode('an exit handler calls synchronous methods after promises were used', async (t, execPath) => {
  for (const first of [true, false]) {
    for (const pending of [true, false]) {
      const { dir } = sandbox(t, { file: 'content', tree: { a: { b: 'b' } } });
      assert.deepStrictEqual(await inChild(t, exit, [dir, first, pending], { execPath }), {
        names: ['copy', 'file', 'tree', 'tree/a', 'tree/a/b'],
        text: 'content',
        left: ['copy', 'file', 'moved'],
      });
      assert.deepStrictEqual(fs.readdirSync(dir).sort(), ['copy', 'file', 'moved']);
    }
  }
});

onEachNode('a promise that is started in an exit handler does not hold the process', async (t, execPath) => {
  const { dir } = sandbox(t, { file: 'content', tree: { a: { b: 'b' } } });
  const body = async (dir) => {
    const root = new SandboxRoot(dir);
    await root.promises.stat('file');
    process.on('exit', () => {
      for (const name of ['x', 'y']) root.promises.cp('tree', name, { recursive: true }).catch(() => {});
      root.promises.rm('tree', true).catch(() => {});
      fs.writeSync(1, 'value "over"\n');
    });
  };
  assert.strictEqual(await inChild(t, body, [dir], { execPath, timeout: 10_000 }), null);
});

/** What makes the file `new`, and is stopped when the process exits. */
const MAKERS = {
  'copyFile of a large file': (root) => root.promises.copyFile('large', 'new', null, { reflink: 'never' }),
  'cp of a large file': (root) => root.promises.cp('large', 'new', { reflink: 'never' }),
  'cp of a large file in one step': (root) =>
    root.promises.cp('large', 'new', { reflink: 'never', atomic: true }),
  'writeFile of a long view': (root) => root.promises.writeFile('new', Buffer.alloc(512 << 20)),
  'writeFile of a source': (root) => {
    const never = () => new Promise(() => {});
    const next = () => (bits.length > 0 ? { done: false, value: bits.pop() } : never());
    const bits = ['more', 'x'];
    return root.promises.writeFile('new', { [Symbol.asyncIterator]: () => ({ next }) });
  },
  'appendFile of a source': (root) =>
    root.promises.appendFile('new', {
      async *[Symbol.asyncIterator]() {
        for (;;) yield 'x';
      },
    }),
};

/** Exits once something new is in `dir`, or `atOnce`; the value is whether the maker was done by then. */
async function exitMeanwhile(dir, make, atOnce) {
  let isDone = false;
  // No later handler runs.
  process.on('exit', () => {
    fs.writeSync(1, `value ${isDone}\n`);
    process.exit(0);
  });
  const before = fs.readdirSync(dir).length;
  const root = new SandboxRoot(dir);
  // biome-ignore lint/security/noGlobalEval: it comes as its source
  const making = eval(make)(root);
  making.then(
    () => {
      isDone = true;
    },
    () => {},
  );
  if (atOnce) process.exit(0);
  while (!isDone && fs.readdirSync(dir).length === before) await new Promise(setImmediate);
  process.exit(0);
}

for (const [what, make] of Object.entries(MAKERS)) {
  test(`a process that exits stops ${what}, and leaves nothing of it`, async (t) => {
    const { dir, at } = sandbox(t, {}, memory);
    if (what.includes('large')) fs.writeFileSync(at('large'), Buffer.alloc(256 << 20, 1));
    const before = fs.readdirSync(dir);
    for (const atOnce of [true, false]) {
      // On a busy machine it may be done before the process has seen that it began.
      for (let tries = 5; tries > 0; tries--) {
        const isDone = await inChild(t, exitMeanwhile, [dir, `${make}`, atOnce]);
        const left = fs.readdirSync(dir);
        if (left.length === before.length) break;
        const size = fs.statSync(at('new'), { throwIfNoEntry: false })?.size;
        assert.ok(tries > 1 && (isDone || size === 256 << 20), `${left} are left, atOnce: ${atOnce}`);
        fs.unlinkSync(at('new'));
      }
    }
  });
}
