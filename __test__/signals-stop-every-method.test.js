'use strict';
// Signals: every method with options takes one. Aborted before, nothing is touched; aborted while hundreds of MB are
// read or written, the promise is rejected soon.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const { getEventListeners } = require('node:events');
const { SandboxRoot } = require('..');
const { bothWays, link, memory, sandbox, snapshot, tempDir } = require('./support');

const TREE = { file: 'content', tofile: link('file'), dir: { inner: '' } };

/** Each method that takes options, as a call that succeeds. */
const CALLS = {
  rename: (of, options) => of.rename('file', 'new', options),
  renameNoReplace: (of, options) => of.renameNoReplace('file', 'new', options),
  link: (of, options) => of.link('file', 'new', options),
  copyFile: (of, options) => of.copyFile('file', 'new', null, options),
  cp: (of, options) => of.cp('file', 'new', options),
  move: (of, options) => of.move('file', 'new', options),
  rm: (of, options) => of.rm('file', false, false, options),
  mkdtemp: (of, options) => of.mkdtemp('new', options),
  readlink: (of, options) => of.readlink('tofile', options),
  realpath: (of, options) => of.realpath('file', options),
  stat: (of, options) => of.stat('file', options),
  lstat: (of, options) => of.lstat('file', options),
  statfs: (of, options) => of.statfs('file', options),
  readdir: (of, options) => of.readdir('dir', options),
  readFile: (of, options) => of.readFile('file', options),
  writeFile: (of, options) => of.writeFile('file', 'new', options),
  'writeFile, new': (of, options) => of.writeFile('fresh', 'new', options),
  'writeFile, atomic': (of, options) => of.writeFile('file', 'new', { ...options, atomic: true }),
  appendFile: (of, options) => of.appendFile('file', 'new', options),
};

function isAbortOf(signal, error) {
  assert.deepStrictEqual([error.name, error.code], ['AbortError', 'ABORT_ERR']);
  assert.strictEqual(error.cause, signal.reason);
  return true;
}

for (const [name, call] of Object.entries(CALLS)) {
  bothWays(`${name} with a signal that is aborted already touches nothing`, async (t, of) => {
    const { dir, root } = sandbox(t, TREE);
    const before = snapshot(dir);
    const signal = AbortSignal.abort(new Error('mine'));
    await assert.rejects((async () => call(of(root), { signal }))(), (error) => isAbortOf(signal, error));
    assert.deepStrictEqual(snapshot(dir), before);
  });

  bothWays(`${name} with one that is not works, and leaves it without listeners`, async (t, of) => {
    const { signal } = new AbortController();
    for (const given of [signal, null, undefined]) await call(of(sandbox(t, TREE).root), { signal: given });
    assert.deepStrictEqual(getEventListeners(signal, 'abort'), []);
  });

  bothWays(`${name} is refused what is no signal`, async (t, of) => {
    const { dir, root } = sandbox(t, TREE);
    const before = snapshot(dir);
    for (const signal of ['x', 7, true, {}, new AbortController()]) {
      const refused = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
      await assert.rejects((async () => call(of(root), { signal }))(), refused);
    }
    assert.deepStrictEqual(snapshot(dir), before);
  });
}

// ---- In the middle: a file in memory, of which a part takes milliseconds ----

const SIZE = 384 << 20;

/** A root where hundreds of MB are written quickly, if there is room for them. */
function roomy(t) {
  const { bavail, bsize } = fs.statfsSync?.(memory) ?? { bavail: 0, bsize: 0 };
  if (bavail * bsize < 4 * SIZE) return t.skip('needs room in memory');
  const dir = tempDir(t, memory);
  return { dir, root: new SandboxRoot(dir) };
}

/** Aborts what `start` starts as soon as `isUnderWay`. Gives back how long it took from then on, in milliseconds. */
async function abortedMidway(start, isUnderWay) {
  const controller = new AbortController();
  const { signal } = controller;
  let done = false;
  const promise = start(signal);
  promise
    .catch(() => {})
    .finally(() => {
      done = true;
    });
  while (!isUnderWay() && !done) await new Promise(setImmediate);
  const began = performance.now();
  controller.abort();
  await assert.rejects(promise, (error) => isAbortOf(signal, error));
  assert.deepStrictEqual(getEventListeners(signal, 'abort'), []);
  return performance.now() - began;
}

/** How many bytes of files the process has mapped or open in `dir`, named or not. */
const usedIn = (dir) => {
  const { blocks, bfree, bsize } = fs.statfsSync(dir);
  return (blocks - bfree) * bsize;
};

for (const [how, options] of Object.entries({ 'in place': {}, atomic: { atomic: true } })) {
  for (const old of [undefined, 'old']) {
    test(`writeFile ${how} of hundreds of MB stops, over ${old ?? 'nothing'}`, {
      timeout: 60_000,
    }, async (t) => {
      const { dir, root } = roomy(t) ?? {};
      if (root === undefined) return;
      if (old !== undefined) fs.writeFileSync(`${dir}/file`, old);
      const data = Buffer.alloc(SIZE, 'x');
      const before = usedIn(dir);
      const ms = await abortedMidway(
        (signal) => root.promises.writeFile('file', data, { ...options, signal }),
        () => usedIn(dir) - before > 1 << 20,
      );
      t.diagnostic(`${ms.toFixed(0)} ms`);
      // In place a new file is removed again; what was there is overwritten in part, as with node:fs.
      if (old === undefined) assert.deepStrictEqual(fs.readdirSync(dir), []);
      else {
        assert.deepStrictEqual(fs.readdirSync(dir), ['file']);
        if (options.atomic) assert.strictEqual(fs.readFileSync(`${dir}/file`, 'utf8'), old);
        else assert.ok(fs.statSync(`${dir}/file`).size < SIZE);
      }
    });
  }
}

test('appendFile of hundreds of MB stops', { timeout: 60_000 }, async (t) => {
  const { dir, root } = roomy(t) ?? {};
  if (root === undefined) return;
  fs.writeFileSync(`${dir}/file`, 'old');
  const data = Buffer.alloc(SIZE, 'x');
  await abortedMidway(
    (signal) => root.promises.appendFile('file', data, { signal }),
    () => fs.statSync(`${dir}/file`).size > 1 << 20,
  );
  assert.ok(fs.statSync(`${dir}/file`).size < SIZE);
});

test('readFile of hundreds of MB stops', { timeout: 60_000 }, async (t) => {
  const { dir, root } = roomy(t) ?? {};
  if (root === undefined) return;
  fs.writeFileSync(`${dir}/file`, Buffer.alloc(SIZE, 'x'));
  const began = performance.now();
  await root.promises.readFile('file');
  const whole = performance.now() - began;
  const soon = performance.now() + whole / 10;
  const ms = await abortedMidway(
    (signal) => root.promises.readFile('file', { signal }),
    () => performance.now() > soon,
  );
  t.diagnostic(`${ms.toFixed(0)} ms, of ${whole.toFixed(0)} ms`);
});
