'use strict';
// Whoever requires the binary itself can pass it anything: that is an exception, or does no harm.

const assert = require('node:assert');
const path = require('node:path');
const { inChild } = require('./child');
const { onEachNode } = require('./other-nodes');
const { FULL } = require('./sizes');
const { sandbox } = require('./support');

require('../binding.js');

/** Where the binary is that the package has loaded. */
const BINARY = Object.keys(require.cache).find((file) => file.endsWith('.node'));

/** Calls every function with nonsense. Gives back how many calls threw, and how many did not. */
async function callWithNonsense(binary, foreign, dir, rounds) {
  const native = require(binary);
  // What is called with `new` may be a promise that is rejected.
  process.on('unhandledRejection', () => {});
  const { Worker, isMainThread } = require('node:worker_threads');
  let state = 0x9e3779b1;
  const random = (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 8) % below;
  };
  const root = native.open(dir, 2, 0, 0, false);
  const closed = native.open(dir, 0, 0, 0, false);
  native.close(closed);
  const cursor = native.cursor('.', 5, 5, false);
  const detached = new Uint8Array(8);
  structuredClone(detached, { transfer: [detached.buffer] });
  const detachedView = new DataView(new ArrayBuffer(8));
  structuredClone(detachedView, { transfer: [detachedView.buffer] });
  const cyclic = [];
  cyclic.push(cyclic);
  const holes = [];
  holes.length = 3;
  const throwing = new Proxy(
    {},
    {
      get() {
        throw new Error('meant');
      },
      has() {
        throw new Error('meant');
      },
    },
  );
  const values = [
    undefined,
    null,
    true,
    false,
    0,
    -0,
    1,
    2,
    3,
    7,
    99,
    -1,
    0.5,
    NaN,
    Infinity,
    -Infinity,
    2 ** 31,
    2 ** 32,
    2 ** 53,
    2 ** 64,
    -(2 ** 63),
    1e308,
    0n,
    1n,
    -1n,
    2n ** 63n,
    2n ** 64n,
    2n ** 127n,
    2n ** 128n,
    2n ** 4000n,
    '',
    '.',
    'file',
    'tree',
    'new',
    'missing/x',
    '..',
    '/etc',
    'a\0b',
    '\ud800',
    'x'.repeat(511),
    'x'.repeat(100_000),
    '\u20ac'.repeat(70_000),
    Symbol('x'),
    Symbol.iterator,
    {},
    [],
    [1, 2],
    cyclic,
    holes,
    [new Uint8Array(3)],
    [Buffer.from('file')],
    new Array(1000).fill(new Uint8Array(1)),
    { length: 2 ** 32 },
    () => {},
    class {},
    new Date(),
    /x/,
    new Error('x'),
    new Map(),
    new Set(),
    new WeakMap(),
    Promise.resolve(),
    throwing,
    new Proxy([], {}),
    new Uint8Array(0),
    new Uint8Array(64),
    new Float64Array(16),
    new BigUint64Array(16),
    new Float64Array(1),
    new BigUint64Array(0),
    new Float32Array(9),
    new Uint8Array(new SharedArrayBuffer(16)),
    detached,
    detachedView,
    new DataView(new ArrayBuffer(9)),
    new ArrayBuffer(8),
    new SharedArrayBuffer(8),
    Buffer.from('file'),
    Buffer.from('a\0b'),
    globalThis,
    process,
    native,
    native.calls,
    root,
    closed,
    cursor,
    native.watch(),

    ...foreign.map((name) => external(name)),
  ];
  /** An External of Node itself, which is none of ours. */
  function external(name) {
    const { internalBinding } = require('internal/test/binding');
    return name === 'stream'
      ? internalBinding('js_stream').JSStream && new (internalBinding('js_stream').JSStream)()._externalStream
      : undefined;
  }
  const functions = [];
  const collect = (prefix, object) => {
    for (const [name, value] of Object.entries(object)) {
      if (typeof value === 'function') functions.push([`${prefix}${name}`, value]);
      else collect(`${prefix}${name}.`, value);
    }
  };
  collect('', native);
  const counts = { threw: 0, answered: 0, functions: functions.length };
  const pending = [];
  const call = (fn, args) => {
    try {
      const answer = fn(...args);
      counts.answered += 1;
      if (answer instanceof Promise) pending.push(answer.catch(() => {}));
      if (typeof answer === 'number' && answer > 2) {
        try {
          if (fs.readlinkSync(`/proc/self/fd/${answer}`).startsWith(dir)) fs.closeSync(answer);
        } catch {}
      }
    } catch {
      counts.threw += 1;
    }
  };
  const pick = () => values[random(values.length)];
  const good = [
    ['file', 'new'],
    ['tree', 'other'],
  ];
  for (const [name, fn] of functions) {
    if (name === 'end') continue;
    call(fn, []);
    for (const value of values) {
      call(fn, [value]);
      call(fn, [root, value]);
      call(fn, [root, 'file', value]);
      call(fn, [root, new Float64Array(16), 'file', value, value]);
      call(fn, Array(30).fill(value));
      call(fn.bind(value), [value, value]);
      try {
        new fn(value);
      } catch {}
    }
    for (let i = 0; i < rounds; i++) {
      const args = random(2) ? [root, ...good[random(2)]] : [pick()];
      while (args.length < 12 && random(8))
        args.push(random(2) ? pick() : [false, true, 0, 1, undefined][random(5)]);
      call(fn, args);
      if (i % 50 === 0 && pending.length > 100) await Promise.all(pending.splice(0));
    }
    await Promise.all(pending.splice(0));
  }
  // A worker has handles of its own. None goes from one to another.
  if (isMainThread) {
    const worker = new Worker(
      `const native = require(${JSON.stringify(binary)});
       const { parentPort } = require('node:worker_threads');
       const handle = native.open(${JSON.stringify(dir)}, 0, 0, 0, false);
       try { parentPort.postMessage(handle); } catch { parentPort.postMessage('not to be cloned'); }`,
      { eval: true },
    );
    const got = await new Promise((resolve) => worker.once('message', resolve));
    for (const [, fn] of functions) call(fn, [got, 'file']);
    await worker.terminate();
    for (const [, fn] of functions) call(fn, [got, 'file']);
  }
  await Promise.all(pending);
  native.end();
  native.end();
  for (const [, fn] of functions) call(fn, [root, 'file', false, false, false]);
  await Promise.all(pending);
  if (global.gc)
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve, global.gc()));
  return counts;
}

onEachNode(
  'every function of the binary is called with nonsense, and the process lives',
  async (t, execPath) => {
    const { dir } = sandbox(t, { file: 'x', tree: { a: { b: 'b' } } });
    const node = ['--expose-gc', '--expose-internals', '--no-warnings'];
    const args = [path.resolve(BINARY), ['stream'], dir, FULL ? 20_000 : 500];
    const options = { execPath, node, timeout: FULL ? 600_000 : 60_000 };
    const counts = await inChild(t, callWithNonsense, args, options);
    t.diagnostic(JSON.stringify(counts));
    assert.ok(counts.threw > 1000 && counts.answered > 1000 && counts.functions > 60);
  },
);
