'use strict';
// As much long work as has threads at a time does not hold up what is short, nor the abort of what waits for a thread.

const test = require('node:test');
const assert = require('node:assert');
const { inChild } = require('./child');
const { plant, sandbox } = require('./support');
const { withoutStrace } = require('./syscalls/strace');

/** How much long work there is at a time: see src/node/threads.rs. */
const MOST = 32;

/** Each listing of a directory rests: nothing else here lists one. */
const SLOW = ['-e', 'trace=getdents64', '-e', 'inject=getdents64:delay_enter=3s'];

test('short writes and aborts do not wait for trees', { skip: withoutStrace() }, async (t) => {
  const { dir } = sandbox(t);
  plant(dir, { tree: { file: 'content' }, victim: { file: 'content' } });
  const body = async (dir, most) => {
    const root = new SandboxRoot(dir).promises;
    const trees = new AbortController();
    let isAnyDone = false;
    for (let i = 0; i < most; i++) {
      const done = () => {
        isAnyDone = true;
      };
      root.readdir('tree', { recursive: true, signal: trees.signal }).then(done, done);
    }
    const told = [];
    const named = (name, promise) =>
      promise.then(
        () => told.push(name),
        (error) => told.push(`${name}: ${error.name}`),
      );
    const waiting = new AbortController();
    const thrown = new Error('of onProgress');
    const throwing = () => {
      throw thrown;
    };
    // All of these wait for a thread.
    const aborted = [
      named('rm', root.rm('victim', true, false, { signal: waiting.signal })),
      named('flush', root.writeFile('flushed', ['x'], { flush: true, signal: waiting.signal })),
      named('onProgress', root.cp('victim', 'copy', { recursive: true, onProgress: throwing })),
    ];
    await named('source', root.writeFile('one', ['x']));
    await named('atomic source', root.writeFile('two', ['x'], { atomic: true }));
    // The flush is at its last step.
    while (!fs.existsSync(`${dir}/flushed`)) await new Promise(setImmediate);
    await new Promise((resolve) => setTimeout(resolve, 50));
    waiting.abort();
    await Promise.all(aborted);
    const inTime = !isAnyDone;
    trees.abort();
    // What comes behind them has its turn.
    await root.writeFile('three', ['x'], { flush: true });
    const names = ['copy', 'flushed', 'one', 'three', 'two', 'victim/file'];
    return { told, inTime, names: names.filter((name) => fs.existsSync(`${dir}/${name}`)) };
  };
  const wrap = ['strace', '-f', '-qq', '-o', '/dev/null', ...SLOW];
  const got = await inChild(t, body, [dir, MOST], { wrap });
  assert.deepStrictEqual(got.told.sort(), [
    'atomic source',
    'flush: AbortError',
    'onProgress: Error',
    'rm: AbortError',
    'source',
  ]);
  assert.strictEqual(got.inTime, true);
  assert.deepStrictEqual(got.names, ['one', 'three', 'two', 'victim/file']);
});
