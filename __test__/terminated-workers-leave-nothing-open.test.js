'use strict';
// Workers that are terminated at random moments with sixty calls in flight each: the process goes on, and no
// descriptor that the calls or the roots of a worker had open is left.
//
// What is counted, on Linux: the entries of /proc/self/fd of the process in which the workers were, once all
// are terminated and the engine has collected thirty times at the most. Descriptors of roots differ
// from those of calls by O_PATH and by their folder, which no call opens. Descriptors that a worker opened to
// close them itself (`open`, `openRead`, `openWrite`) are not counted: only the worker knew whose they are.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { inChild, start } = require('./child');
const { onEachNode } = require('./other-nodes');
const { FULL } = require('./sizes');
const { sandbox } = require('./support');

const WORKERS = FULL ? 216 : 24;

/** In a process of its own. Gives back what is open in the end, beneath `dir` and in all. */
async function terminateWorkers(sizes, index, dir, total) {
  const { Worker } = require('node:worker_threads');
  const done = require(sizes).progress('workers', total);
  const IN_FLIGHT = 60;
  const code = `
    const { workerData: { index, dir, id, inFlight, policy }, parentPort } = require('node:worker_threads');
    const { SandboxRoot } = require(index);
    // Some are closed, some are dropped, most are in use.
    const roots = Array.from({ length: 8 }, () => new SandboxRoot(dir, policy));
    new SandboxRoot(dir).close();
    new SandboxRoot(dir);
    const to = roots[0].openRoot('.');
    const at = (i) => id + '/' + (i % inFlight);
    const calls = [
      (root, i) => root.mkdir(at(i) + '/a/b/c', true),
      (root, i) => root.writeFile(at(i) + '/file', 'x'.repeat(1 << 16)),
      (root, i) => root.writeFile(at(i) + '/file', 'x'.repeat(1 << 16), { atomic: true }),
      (root, i) => root.readFile('large'),
      (root, i) => root.copyFile('large', at(i) + '/copy'),
      (root, i) => root.cp('tree', at(i) + '/tree', { recursive: true, to }),
      (root, i) => root.readdir('tree', { recursive: true, withFileTypes: true }),
      (root, i) => root.rm(at(i), true, true),
      (root, i) => root.move(at(i) + '/tree', at(i) + '/moved'),
      (root, i) => root.stat('tree/a'),
      (root, i) => root.openRoot('beneath'),
      (root, i) => root.chmod('large', 0o644),
    ];
    // A small step of a walk that nobody goes on with.
    const walk = roots[1].walk('.');
    walk.next().catch(() => {});
    let next = 0;
    const one = async () => {
      for (;;) {
        const i = next++;
        const call = calls[i % calls.length];
        try { await call(roots[i % roots.length].promises, i); } catch {}
      }
    };
    for (let i = 0; i < inFlight; i++) one();
    parentPort.postMessage('under way');
    // And a synchronous call, now and then.
    setInterval(() => { try { roots[2].readdir('.', { recursive: true }); } catch {} }, 3);`;
  let state = 0x9e3779b1;
  const random = (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 8) % below;
  };
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const failures = [];
  const codes = [];
  const one = async (i) => {
    const policy = { symlinks: ['reject', 'beneath', 'in-root'][i % 3] };
    const workerData = { index, dir, id: `w${i}`, inFlight: IN_FLIGHT, policy };
    const worker = new Worker(code, { eval: true, workerData, trackUnmanagedFds: false });
    worker.on('error', (error) => failures.push(error.message));
    // One in eight while it loads, the rest at work.
    if (i % 8 === 7) await pause(random(40));
    else {
      await new Promise((resolve) => {
        worker.once('message', resolve);
        worker.once('exit', resolve);
      });
      await pause(random(30));
    }
    codes.push(await worker.terminate());
    done();
  };
  const O_PATH = 0o10000000;
  const isRoot = (fd, name) => {
    const [, flags] = /^flags:\s*(\d+)$/m.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'));
    return (Number.parseInt(flags, 8) & O_PATH) !== 0 && [dir, `${dir}/beneath`].includes(name);
  };
  /** How many descriptors of roots there are, of other things in the sandbox, and of anything else. */
  const open = () => {
    const counts = { roots: 0, others: 0, elsewhere: 0 };
    for (const fd of fs.readdirSync('/proc/self/fd')) {
      try {
        const name = fs.readlinkSync(`/proc/self/fd/${fd}`);
        counts[!name.startsWith(dir) ? 'elsewhere' : isRoot(fd, name) ? 'roots' : 'others'] += 1;
      } catch {
        // It is gone: that of the listing itself.
      }
    }
    return counts;
  };
  // What Node opens for workers stays: it is there before the count.
  await Promise.all([one(0), one(1)]);
  const before = open();
  for (let i = 2; i < total; i += 4) await Promise.all([0, 1, 2, 3].map((j) => one(i + j)));
  let after;
  // What was under way goes on to its end on other threads.
  for (let turn = 0; turn < 30; turn++) {
    global.gc();
    await pause(20);
    after = open();
    if (after.roots + after.others === 0 && after.elsewhere <= before.elsewhere) break;
  }
  // The process itself goes on.
  const root = new SandboxRoot(dir);
  await root.promises.writeFile('last', 'last');
  const last = root.readFile('last', 'utf8');
  root.close();
  return { before, after, failures, terminated: codes.length, last };
}

let came;
/** What the one run of all workers came to, and their sandbox. */
function workersTerminated(t) {
  const made = sandbox(t, {
    large: 'x'.repeat(1 << 20),
    tree: { a: { b: 'b' }, c: 'c' },
    beneath: {},
  });
  const args = [path.join(__dirname, 'sizes.js'), require.resolve('..'), made.dir, WORKERS + 2];
  const options = { limits: { n: 1024 }, node: ['--expose-gc'], timeout: FULL ? 600_000 : 60_000 };
  return start(t, terminateWorkers, args, options).result.then((result) => ({ ...made, ...result }));
}

test('workers are terminated with sixty calls in flight: the process lives, and no file of a call stays open', async (t) => {
  const { root, value, ms } = await workersTerminated(t);
  came = value;
  t.diagnostic(`${JSON.stringify(value)} in ${Math.round(ms)} ms`);
  assert.deepStrictEqual(value.failures, []);
  assert.deepStrictEqual([value.terminated, value.last], [WORKERS + 2, 'last']);
  assert.strictEqual(value.after.others, 0);
  assert.ok(value.after.elsewhere <= value.before.elsewhere, JSON.stringify(value));
  // What is shared was not harmed.
  assert.strictEqual(root.stat('large').size, 1 << 20);
  assert.deepStrictEqual(root.readdir('tree', { recursive: true }).sort(), ['a', 'a/b', 'c']);
});

test('the roots of workers that are terminated are released', () => {
  assert.strictEqual(came.after.roots, 0);
});

/** Terminates workers with 200 pending promises each. Gives back what is open beneath `dir` in the end. */
async function terminateWhileOpening(index, dir, times) {
  const { Worker } = require('node:worker_threads');
  const code = `
    const { workerData: { index, dir, later }, parentPort } = require('node:worker_threads');
    const { SandboxRoot } = require(index);
    const root = new SandboxRoot(dir);
    const open = () => {
      for (let i = 0; i < 200; i++) root.promises.openRead('file').catch(() => {});
    };
    open();
    parentPort.postMessage('under way');
    // The promises stay pending: no turn of the event loop comes.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, later);
    for (;;) root.stat('file');`;
  const open = () =>
    fs.readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith(dir);
      } catch {
        return false;
      }
    }).length;
  for (let i = 0; i < times; i++) {
    const workerData = { index, dir, later: i % 7 };
    const worker = new Worker(code, { eval: true, workerData, trackUnmanagedFds: false });
    await new Promise((resolve) => worker.once('message', resolve));
    await new Promise((resolve) => setTimeout(resolve, i % 5));
    await worker.terminate();
  }
  return open();
}

onEachNode(
  'a worker is terminated with 200 promises of a descriptor: none stays open',
  async (t, execPath) => {
    const { dir } = sandbox(t, { file: 'x' });
    const args = [require.resolve('..'), dir, FULL ? 500 : 50];
    const options = { execPath, timeout: FULL ? 600_000 : 60_000 };
    assert.strictEqual(await inChild(t, terminateWhileOpening, args, options), 0);
  },
);
