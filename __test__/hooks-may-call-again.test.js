'use strict';
// Hooks of `async_hooks` run in the midst of a call, and call again, or end the process: nothing is locked or
// borrowed then.

const assert = require('node:assert');
const { inChild } = require('./child');
const { onEachNode } = require('./other-nodes');
const { FULL } = require('./sizes');
const { plant, tempDir } = require('./support');

/** Uses the package while hooks at each `when` do `what`. */
async function callFromHooks(dir, when, what, rounds) {
  const { createHook } = require('node:async_hooks');
  const root = new SandboxRoot(dir);
  await root.promises.stat('file');
  let count = 0;
  let depth = 0;
  const again = () => {
    // A hook of what a hook starts would never end.
    if (depth > 0 || count >= rounds * 40) return;
    depth += 1;
    try {
      count += 1;
      if (what === 'exit') {
        if (count < 3) return;
        fs.writeSync(1, 'value "over"\n');
        process.exit(0);
      }
      root.stat('file');
      root.readdir('.', { recursive: true });
      try {
        root.stat('missing');
      } catch {}
      const other = new SandboxRoot(dir);
      other.openRoot('tree').stat('a');
      const { promises } = other;
      promises.readFile('file').catch(() => {});
      promises.readdir('.', { recursive: true }).catch(() => {});
      promises.cp('tree', `copy${count % 3}`, { recursive: true }).catch(() => {});
      other.close();
    } finally {
      depth -= 1;
    }
  };
  const hook = createHook({ [when]: again });
  // One hook of promises is enough to have all.
  hook.enable();
  for (let i = 0; i < rounds; i++) {
    await root.promises.readFile('file');
    await root.promises.readFile('large');
    await root.promises.copyFile('large', 'copied', 0o644, { reflink: 'never' });
    await root.promises.readdir('.', { recursive: true });
    await root.promises.cp('tree', `of${i}`, { recursive: true });
    await root.promises.rm(`of${i}`, true);
    await root.promises.openRoot('tree');
    for await (const _ of root.walk('tree'));
    await Promise.all(
      Array.from({ length: 33 + rounds }, () => root.promises.readdir('tree', { recursive: true })),
    );
  }
  hook.disable();
  if (global.gc)
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve, global.gc()));
  return what === 'exit' ? 'over' : count;
}

const ROUNDS = FULL ? 10 : 1;
const WHEN = ['init', 'before', 'after', 'destroy', 'promiseResolve'];

onEachNode('hooks call the package again', async (t, execPath) => {
  for (const when of WHEN) {
    const dir = tempDir(t);
    plant(dir, { file: 'x', large: 'x'.repeat(12 << 20), tree: { a: { b: 'b' } } });
    const options = { execPath, node: ['--expose-gc'], timeout: 60_000 };
    const count = await inChild(t, callFromHooks, [dir, when, 'call', ROUNDS], options);
    assert.ok(count > 0, when);
  }
});

onEachNode('hooks end the process', async (t, execPath) => {
  const dir = tempDir(t);
  plant(dir, { file: 'x', large: 'x'.repeat(12 << 20), tree: { a: { b: 'b' } } });
  for (const when of WHEN) {
    const value = await inChild(t, callFromHooks, [dir, when, 'exit', 1], { execPath, timeout: 20_000 });
    assert.strictEqual(value, 'over', when);
  }
});
