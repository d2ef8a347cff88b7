'use strict';
// A worker is terminated in the midst of long promises: that does not wait for their work.
//
// Each operation is done to its end first, so that both times are of the same machine.

const assert = require('node:assert');
const fs = require('node:fs');
const { inChild } = require('./child');
const { onEachNode } = require('./other-nodes');
const { FULL } = require('./sizes');
const { memory, sandbox } = require('./support');

const MIB = FULL ? 2048 : 256;
const WIDTH = FULL ? 400 : 80;

/** What takes long, and what undoes it; `at` is a name that is free. */
const OPERATIONS = {
  copyFile: [(root, at) => root.copyFile('large', at, 0o644, { reflink: 'never' })],
  readFile: [(root) => Promise.all(['part', 'part', 'part'].map((name) => root.readFile(name)))],
  writeFile: [(root, at, data) => root.writeFile(at, data)],
  cp: [(root, at) => root.cp('tree', at, { recursive: true })],
  rm: [(root, at) => root.rm(at, true), 'tree'],
  move: [(root, at, _, to) => root.move(at, 'moved', { to }), 'tree'],
  readdir: [
    (root) =>
      Promise.all(
        Array.from({ length: 8 }, () => root.readdir('tree', { recursive: true, withFileTypes: true })),
      ),
  ],
};

/** Gives back how long an operation took, and how long `terminate()` took in the midst of it, in ms. */
async function terminateDuring(index, dir, other, operation, source, parts) {
  const { Worker } = require('node:worker_threads');
  const code = `
    const { workerData: { index, dir, other, at }, parentPort } = require('node:worker_threads');
    const { SandboxRoot } = require(index);
    const root = new SandboxRoot(dir);
    const data = Buffer.alloc(${operation.includes('writeFile') ? 300 << 20 : 1}, 1);
    const began = performance.now();
    const promise = (${operation})(root.promises, at, data, new SandboxRoot(other));
    parentPort.postMessage('under way');
    promise.then(
      () => parentPort.postMessage(performance.now() - began),
      (error) => { throw error; },
    );`;
  const clear = () => {
    for (const at of [`${dir}/work`, `${other}/moved`]) fs.rmSync(at, { recursive: true, force: true });
  };
  const run = async (end) => {
    clear();
    if (source) new SandboxRoot(dir).cp(source, 'work', { recursive: true });
    const worker = new Worker(code, { eval: true, workerData: { index, dir, other, at: 'work' } });
    const next = () =>
      new Promise((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      });
    await next();
    const value = await end(worker, next);
    await worker.terminate();
    return value;
  };
  const whole = await run((_, next) => next());
  const times = [];
  for (const part of parts) {
    times.push(
      await run(async (worker) => {
        await new Promise((resolve) => setTimeout(resolve, Math.min(whole * part, 500)));
        const began = performance.now();
        await worker.terminate();
        return performance.now() - began;
      }),
    );
  }
  clear();
  return { whole: Math.round(whole), terminated: Math.round(Math.max(...times)) };
}

const majors = FULL ? undefined : [20, 26];

onEachNode('a worker ends at once in the midst of long promises', { majors }, async (t, execPath) => {
  const { dir, at } = sandbox(t, { tree: {} }, memory);
  const other = sandbox(t, {}).dir;
  const fd = fs.openSync(at('large'), 'w');
  for (let i = 0; i < MIB; i += 16) fs.writeSync(fd, Buffer.alloc(16 << 20, i + 1));
  fs.closeSync(fd);
  const part = fs.openSync(at('part'), 'w');
  for (let i = 0; i < 256; i += 16) fs.writeSync(part, Buffer.alloc(16 << 20, i + 1));
  fs.closeSync(part);
  for (let i = 0; i < WIDTH; i++) {
    fs.mkdirSync(at('tree', `${i}/a/b`), { recursive: true });
    for (let j = 0; j < 60; j++) fs.writeFileSync(at('tree', `${i}/a/b/${j}`), '');
  }
  const told = {};
  for (const [name, [operation, source]] of Object.entries(OPERATIONS)) {
    const args = [
      require.resolve('..'),
      dir,
      other,
      `${operation}`,
      source ?? null,
      FULL ? [0.1, 0.3, 0.6] : [0.2],
    ];
    told[name] = await inChild(t, terminateDuring, args, { execPath, timeout: 300_000 });
  }
  t.diagnostic(JSON.stringify(told));
  for (const [name, { whole, terminated }] of Object.entries(told)) {
    assert.ok(terminated < 400, `${name} takes ${whole} ms; to terminate it took ${terminated} ms`);
  }
});
