'use strict';
// A program cleans up in an `exit` handler, after promises were used or while some are pending.

const assert = require('node:assert');
const fs = require('node:fs');
const { inChild } = require('./child');
const { onEachNode } = require('./other-nodes');
const { sandbox } = require('./support');

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
