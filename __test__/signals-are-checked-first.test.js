'use strict';
// What follows and stops work is checked before the work starts, and is not called once the work is over.

const test = require('node:test');
const assert = require('node:assert');
const { bothWays, codeOfPromise, plantWide, sandbox } = require('./support');

const CALLS = {
  copyFile: (of, how) => of.copyFile('file', 'new', 0o644, how),
  cp: (of, how) => of.cp('tree', 'new', { recursive: true, ...how }),
  move: (of, how) => of.move('tree', 'new', how),
  readdir: (of, how) => of.readdir('tree', { recursive: true, ...how }),
  rm: (of, how) => of.rm('tree', true, false, how),
};
const listens = { addEventListener() {}, removeEventListener() {} };
const NO_SIGNALS = [
  { aborted: false }, { aborted: true }, {}, [], 'abort', 1, true, false, () => {}, new EventTarget(),
  new AbortController(), Promise.resolve(), { aborted: false, addEventListener() {} }, { aborted: 0, ...listens },
  { addEventListener() {}, removeEventListener() {} }, Symbol('signal'), 1n,
]; // biome-ignore format: a table
const NO_FUNCTIONS = [{}, [], 'tell', 1, true, false, new EventTarget(), Symbol('tell'), 1n];

bothWays('what is no AbortSignal, or no function, is refused before work starts', async (t, of) => {
  const { root, at } = sandbox(t, { file: 'x', tree: { a: { b: 'b' } } });
  const before = root.readdir('.', { recursive: true }).sort();
  for (const [name, call] of Object.entries(CALLS)) {
    for (const signal of NO_SIGNALS) {
      const code = await codeOfPromise(call(of(root), { signal }));
      assert.strictEqual(code, 'ERR_INVALID_ARG_TYPE', `${name} ${String(signal)}`);
    }
    for (const onProgress of NO_FUNCTIONS) {
      const code = await codeOfPromise(call(of(root), { onProgress }));
      assert.strictEqual(code, 'ERR_INVALID_ARG_TYPE', `${name} ${String(onProgress)}`);
    }
  }
  assert.deepStrictEqual(root.readdir('.', { recursive: true }).sort(), before, at());
});

test('no progress is reported once the promise is settled', async (t) => {
  const { root, at } = sandbox(t, { file: 'x'.repeat(1 << 20), tree: {} });
  plantWide(at('tree'), 20);
  const late = [];
  for (const [name, call] of Object.entries(CALLS)) {
    for (const end of ['done', 'aborted', 'thrown', 'failed']) {
      const controller = new AbortController();
      let isOver = false;
      let told = 0;
      const onProgress = () => {
        if (isOver) late.push([name, end]);
        told += 1;
        if (end === 'aborted') controller.abort();
        if (end === 'thrown') throw new Error('meant');
      };
      root.rm('new', true, true);
      if (end === 'failed') root.mkdir('new/full', true);
      if (!root.exists('tree')) {
        root.mkdir('tree');
        plantWide(at('tree'), 20);
      }
      const promise = call(root.promises, { onProgress, signal: controller.signal });
      await promise.then(
        () => {},
        () => {},
      );
      isOver = true;
      if (end === 'thrown') assert.strictEqual(told, 1, name);
      // Nobody listens any more, and an abort that comes late stops nothing.
      controller.abort();
    }
  }
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.deepStrictEqual(late, []);
});
