'use strict';
// Calls that fail, roots that come and go, workers that are terminated in the middle of a call: all under
// a limit of 64 descriptors, of which Node itself has a third, and with an eye on the memory.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { start } = require('./child');
const { FULL } = require('./sizes');
const { NOBODY, fifo, isRoot, link, methods, sandbox } = require('./support');

/** How much more memory may be in use in the end, in MiB: what an engine takes for itself. */
const MEMORY = 24;

/** Runs a body under the limits, and passes on what it says of its progress. */
async function underLimits(t, body, args, node = ['--expose-gc']) {
  const options = { limits: { n: 64 }, node, timeout: FULL ? 1_800_000 : 120_000 };
  const child = start(t, body, [path.join(__dirname, 'sizes.js'), ...args], options);
  const { value, ms } = await child.result;
  t.diagnostic(`${JSON.stringify(value)} in ${Math.round(ms)} ms`);
  return value;
}

test('failing calls of every method leave no descriptor and no memory behind', async (t) => {
  const deep = Array.from({ length: 30 }).reduce((inside) => ({ d: inside }), { locked: { file: 'x' } });
  const { dir, at } = sandbox(t, {
    file: 'content', dir: { inner: 'x' }, tofile: link('file'), todir: link('dir'), pipe: fifo(), deep,
  }); // biome-ignore format: a tree
  if (isRoot) execFileSync('chown', ['-R', '-h', `${NOBODY}:${NOBODY}`, dir]);
  execFileSync('find', [at('deep'), '-name', 'locked', '-exec', 'chmod', '500', '{}', '+']);
  const body = async (sizes, support, dir, total, nobody) => {
    const { everyCallWithPath } = require(support);
    const { progress } = require(sizes);
    const root = new SandboxRoot(dir);
    if (nobody !== null) {
      process.setegid(nobody);
      process.seteuid(nobody);
    }
    const outside = [
      'missing/x',
      'file/x',
      'todir/x',
      'tofile/x',
      '/etc',
      '../x',
      'x'.repeat(256),
      '',
      'a\0b',
      1,
    ];
    const calls = everyCallWithPath.flatMap(([title, call, method]) =>
      outside
        // The only one that would make what is missing.
        .filter((at) => !(title === 'mkdir (2)' && at === 'missing/x'))
        .map((at) => [method, () => call(root, at)]),
    );
    for (const [method, ...args] of [
      ['rm', 'deep', true],
      ['rm', 'dir'],
      ['rmdir', 'dir'],
      ['unlink', 'dir'],
      ['mkdir', 'dir'],
      ['mkdir', 'file', true],
      ['rename', 'file', 'dir'],
      ['renameNoReplace', 'file', 'pipe'],
      ['link', 'file', 'pipe'],
      ['symlink', 'x', 'file'],
      ['chmod', 'tofile', 0],
      ['utimes', 'tofile', 0, 0],
      ['stat', 'tofile'],
      ['truncate', 'file', 2 ** 53 - 1],
      ['truncate', 'pipe', 0],
      ['copyFile', 'file', 'dir'],
      ['copyFile', 'file', 'pipe'],
      ['copyFile', 'pipe', 'file'],
      ['copyFile', 'dir', 'new'],
      ['openRead', 'pipe'],
      ['openRead', 'tofile'],
      ['openWrite', 'pipe', true, true],
      ['openWrite', 'dir', true],
      ['openWrite', 'file', false, true, true],
    ])
      calls.push([method, () => root[method](...args)]);

    const state = async () => {
      for (let i = 0; i < 3; i++) {
        global.gc();
        await new Promise((resolve) => setImmediate(resolve));
      }
      return { fds: fs.readdirSync('/proc/self/fd').length, rss: process.memoryUsage.rss() / 2 ** 20 };
    };
    const codes = {};
    const run = (count) => {
      const done = progress('failing calls', count);
      for (let i = 0; i < count; ) {
        for (const [method, call] of calls) {
          try {
            call();
          } catch ({ code }) {
            codes[method] ??= {};
            codes[method][code] = (codes[method][code] ?? 0) + 1;
            i++;
            done();
          }
        }
      }
    };
    run(5000);
    const before = await state();
    run(total);
    const after = await state();
    return { before, after, codes };
  };
  const support = path.join(__dirname, 'support.js');
  const total = FULL ? 1_000_000 : 50_000;
  const { before, after, codes } = await underLimits(t, body, [support, dir, total, isRoot ? NOBODY : null]);
  assert.strictEqual(after.fds, before.fds);
  assert.ok(after.rss - before.rss < MEMORY, `${after.rss - before.rss} MiB more`);
  for (const method of methods)
    assert.ok(Object.keys(codes[method]).length > 3, `${method} failed in many ways`);
  assert.ok(codes.rm.EACCES > 0 && !Object.values(codes).some(({ EMFILE }) => EMFILE));
});

const ROOTS = FULL ? 100_000 : 5000;

test('roots that are made and closed leave nothing behind', async (t) => {
  const { dir } = sandbox(t, { file: 'x' });
  const body = async (sizes, dir, total) => {
    const done = require(sizes).progress('roots', total);
    const state = () => {
      global.gc();
      return { fds: fs.readdirSync('/proc/self/fd').length, rss: process.memoryUsage.rss() / 2 ** 20 };
    };
    const run = async (count) => {
      for (let i = 0; i < count; i++) {
        // What is left of an object is finalised between two turns of the event loop.
        if (i % 1000 === 0) await new Promise((resolve) => setImmediate(resolve));
        const root = new SandboxRoot(dir);
        root.stat('file');
        root.close();
        done();
      }
    };
    await run(1000);
    const before = state();
    await run(total);
    return { before, after: state() };
  };
  const { before, after } = await underLimits(t, body, [dir, ROOTS]);
  assert.strictEqual(after.fds, before.fds);
  assert.ok(after.rss - before.rss < MEMORY, `${after.rss - before.rss} MiB more`);
});

test('roots that are made and dropped leave nothing behind', async (t) => {
  const { dir } = sandbox(t, { file: 'x' });
  const body = async (sizes, dir, total) => {
    const done = require(sizes).progress('dropped roots', total);
    const state = () => ({
      fds: fs.readdirSync('/proc/self/fd').length,
      rss: process.memoryUsage.rss() / 2 ** 20,
    });
    const run = async (count) => {
      for (let i = 0; i < count; i += 20) {
        for (let j = 0; j < 20; j++) new SandboxRoot(dir).stat('file');
        global.gc();
        await new Promise((resolve) => setImmediate(resolve));
        done(20);
      }
    };
    await run(1000);
    const before = state();
    await run(total);
    return { before, after: state() };
  };
  const { before, after } = await underLimits(t, body, [dir, ROOTS]);
  assert.ok(after.fds <= before.fds, `${after.fds} descriptors, of ${before.fds}`);
  assert.ok(after.rss - before.rss < MEMORY, `${after.rss - before.rss} MiB more`);
});

test('workers that are terminated in the middle of a call leave no descriptor, and the process lives', async (t) => {
  const { dir, at } = sandbox(t, { file: 'x'.repeat(2 ** 20) });
  const body = async (sizes, index, dir, total) => {
    const { Worker } = require('node:worker_threads');
    const done = require(sizes).progress('workers', total);
    const code = `
      const fs = require('node:fs');
      const { workerData: { index, dir, id } } = require('node:worker_threads');
      const { SandboxRoot } = require(index);
      const root = new SandboxRoot(dir);
      for (;;) {
        root.mkdir(id + '/a/b/c/d/e/f', true);
        for (let i = 0; i < 20; i++) root.copyFile('file', id + '/a/b/' + i);
        for (const leaf of ['a', 'a/b', 'a/b/c', 'a/b/1']) root.stat(id + '/' + leaf);
        try { root.stat('missing'); } catch {}
        root.rm(id, true);
      }`;
    const fds = () => fs.readdirSync('/proc/self/fd').length;
    const run = async (id, ms) => {
      const worker = new Worker(code, { eval: true, workerData: { index, dir, id } });
      let failure;
      worker.on('error', (error) => {
        failure = error;
      });
      await new Promise((resolve) => worker.once('online', resolve));
      // Until it is at work, and then anywhere in it.
      while (!fs.existsSync(path.join(dir, id)) && !failure) await new Promise((go) => setTimeout(go, 1));
      await new Promise((resolve) => setTimeout(resolve, ms));
      await worker.terminate();
      if (failure) throw failure;
    };
    await run('first', 5);
    const before = fds();
    for (let i = 0; i < total; i++) {
      await Promise.all([run(`${i}a`, (i * 7) % 13), run(`${i}b`, (i * 3) % 11)]);
      done();
      for (const name of fs.readdirSync(dir)) {
        if (name !== 'file') fs.rmSync(path.join(dir, name), { recursive: true });
      }
    }
    return { before, after: fds() };
  };
  const { before, after } = await underLimits(t, body, [require.resolve('..'), dir, FULL ? 150 : 15]);
  assert.strictEqual(after, before);
  assert.strictEqual(fs.statSync(at('file')).size, 2 ** 20);
});
