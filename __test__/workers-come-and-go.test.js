'use strict';
// Workers that use the package end in every way, ten at a time, again and again: the process lives. What an engine
// finalizes late must not reach for what the worker had.

const assert = require('node:assert');
const { inChild } = require('./child');
const { onEachNode } = require('./other-nodes');
const { FULL } = require('./sizes');
const { sandbox } = require('./support');

/** Starts ten workers at a time, `rounds` times. Gives back how many ended in which way. */
async function comeAndGo(index, dir, rounds) {
  const { Worker } = require('node:worker_threads');
  const code = `
    const { workerData: { index, dir, end }, parentPort } = require('node:worker_threads');
    const { SandboxRoot } = require(index);
    const roots = Array.from({ length: 5 }, () => new SandboxRoot(dir));
    const root = roots[0];
    root.stat('file', { bigint: true });
    root.readdir('.', { withFileTypes: true });
    root.readFile('file');
    root.readFile('large');
    try { root.stat('missing'); } catch {}
    const promises = [root.promises.readFile('large'), root.promises.openRoot('.'), root.promises.rm('none', true, true)];
    for (const promise of promises) promise.catch(() => {});
    root.walk('.').next();
    roots[1].close();
    if (end === 'exit') process.exit();
    if (end === 'throw') throw new Error('meant');
    parentPort.postMessage('under way');
    if (end === 'terminated') for (;;) root.stat('file', { bigint: true });
    if (end === 'later') setInterval(() => root.promises.readdir('.', { recursive: true }), 1);`;
  const WAYS = ['exit', 'throw', 'terminated', 'later', 'return'];
  const ends = {};
  const one = async (end) => {
    const worker = new Worker(code, { eval: true, workerData: { index, dir, end } });
    worker.on('error', (error) => {
      if (error.message !== 'meant') throw error;
    });
    const over = new Promise((resolve) => worker.once('exit', resolve));
    if (end === 'terminated' || end === 'later') {
      await new Promise((resolve) => worker.once('message', resolve));
      await worker.terminate();
    }
    await over;
    ends[end] = (ends[end] ?? 0) + 1;
  };
  for (let i = 0; i < rounds; i++) await Promise.all([...WAYS, ...WAYS].map(one));
  return ends;
}

onEachNode('ten workers at a time use the package and end: the process lives', async (t, execPath) => {
  const { dir } = sandbox(t, { file: 'x', large: 'x'.repeat(1 << 20) });
  const rounds = FULL ? 100 : 3;
  const ends = await inChild(t, comeAndGo, [require.resolve('..'), dir, rounds], {
    execPath,
    timeout: 600_000,
  });
  assert.deepStrictEqual(Object.values(ends), Array(5).fill(rounds * 2));
});

/** Terminates workers that do nothing but call `method`. Gives back how long the slowest took to end, in ms. */
async function terminateInLoop(index, dir, calls, times) {
  const { Worker } = require('node:worker_threads');
  const slowest = {};
  for (const call of calls) {
    const code = `
      const { workerData: { index, dir }, parentPort } = require('node:worker_threads');
      const { SandboxRoot } = require(index);
      const root = new SandboxRoot(dir);
      try { ${call} } catch {}
      parentPort.postMessage('under way');
      for (;;) { try { ${call} } catch {} }`;
    slowest[call] = 0;
    for (let i = 0; i < times; i++) {
      const worker = new Worker(code, { eval: true, workerData: { index, dir } });
      await new Promise((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      });
      await new Promise((resolve) => setTimeout(resolve, i % 5));
      const began = performance.now();
      await worker.terminate();
      slowest[call] = Math.max(slowest[call], performance.now() - began);
    }
  }
  return slowest;
}

const CALLS = [
  `root.stat('file', { bigint: true })`,
  `root.readdir('many', { withFileTypes: true })`,
  `root.readdir('many', { withFileTypes: true, encoding: 'buffer' })`,
  `root.readFile('file', 'utf8')`,
  `root.promises.stat('file')`,
  `root.identity`,
  `root.stat('missing')`,
  `new SandboxRoot(dir).openRoot('many').close()`,
];

onEachNode('a worker that does nothing but call is terminated', async (t, execPath) => {
  const many = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`${i}`, '']));
  const { dir } = sandbox(t, { file: 'x', many });
  const args = [require.resolve('..'), dir, CALLS, FULL ? 40 : 3];
  const slowest = await inChild(t, terminateInLoop, args, { execPath, timeout: FULL ? 600_000 : 60_000 });
  t.diagnostic(JSON.stringify(slowest));
  for (const [call, ms] of Object.entries(slowest)) assert.ok(ms < 2000, `${call}: ${ms} ms`);
});
