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
const { NOBODY, POLICIES, fifo, isRoot, link, methodsInTable, sandbox } = require('./support');

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

/** Calls that fail for other reasons than their path. */
const FAILING = [
  ['rm', 'deep', true],
  ['rm', 'dir'],
  ['rmdir', 'dir'],
  ['unlink', 'dir'],
  ['remove', 'deep'],
  ['mkfifo', 'file'],
  ['mkdir', 'dir'],
  ['mkdir', 'file', true],
  ['rename', 'file', 'dir'],
  ['renameNoReplace', 'file', 'pipe'],
  ['exchange', 'deep', 'deep/d'],
  ['link', 'file', 'pipe'],
  ['symlink', 'x', 'file'],
  ['chmod', 'loop', 0],
  ['chown', 'file', 0, 0],
  ['lchown', 'loop', 0, 0],
  ['utimes', 'loop', 0, 0],
  ['lutimes', 'file/', 0, 0],
  ['stat', 'loop'],
  ['lstat', 'loop/'],
  ['statfs', 'loop'],
  ['access', 'deep', 7],
  ['access', 'loop'],
  ['readlink', 'file'],
  ['realpath', 'loop'],
  ['readdir', 'file'],
  ['readdir', 'deep', { recursive: true, signal: 'none' }],
  ['opendir', 'file'],
  ['opendir', 'missing'],
  ['opendir', 'dir', { recursive: 'yes' }],
  ['openRoot', 'file'],
  ['hostPath', 'file'],
  ['openRoot', 'dir', { symlinks: 'none' }],
  ['open', 'file', 'wx'],
  ['open', 'pipe', 'r+'],
  ['open', 'dir', 'w'],
  ['open', 'file', 'rw'],
  ['readFile', 'dir'],
  ['readFile', 'pipe'],
  ['readFile', 'file', { maxBytes: 3 }],
  ['readFile', 'file', 'nonsense'],
  ['writeFile', 'dir', 'x'],
  ['writeFile', 'file', 'x', { flag: 'wx' }],
  ['writeFile', 'file', 'x', { flag: 'wx', atomic: true }],
  ['writeFile', 'dir', 'x', { atomic: true }],
  ['writeFile', 'out/x', 'x', { atomic: true }],
  ['writeFile', 'pipe', 'x'],
  ['writeFile', 'file', {}],
  ['appendFile', 'dir', 'x'],
  ['appendFile', 'pipe', 'x'],
  ['fsync', 'pipe'],
  ['fsync', 'missing'],
  ['cp', 'dir', 'new'],
  ['cp', 'deep', 'deep/d/d', { recursive: true }],
  ['cp', 'file', 'pipe', { force: false, errorOnExist: true }],
  ['cp', 'file', 'dir'],
  ['cp', 'dir', 'file', { recursive: true }],
  ['cp', 'file', 'new', { reflink: 'perhaps' }],
  ['move', 'file', 'pipe'],
  ['move', 'deep', 'deep/d'],
  ['move', 'dir', 'file', { overwrite: true }],
  ['move', 'file', 'new', { to: 'root' }],
  ['mkdtemp', 'missing/x'],
  ['mkdtemp', 'file/x'],
  ['mkdtemp', 'out/x'],
  ['mkdtemp', '../missing/x'],
  ['mkdtemp', 'x'.repeat(256)],
  ['mkdtemp', 'a\0b'],
  ['truncate', 'file', 2 ** 53 - 1],
  ['truncate', 'pipe', 0],
  ['copyFile', 'file', 'dir'],
  ['copyFile', 'file', 'pipe'],
  ['copyFile', 'pipe', 'file'],
  ['copyFile', 'dir', 'new'],
  ['openRead', 'pipe'],
  ['openRead', 'loop'],
  ['openWrite', 'pipe', true, true],
  ['openWrite', 'dir', true],
  ['openWrite', 'file', false, true, true],
];

/** Fails in every way that it can, over and over, and looks what is left. */
async function failAndLook(sizes, support, { dir, failing, total, nobody, symlinks, later }) {
  const { NEVER_FAILS, everyCallWithPath, everyPromiseWithPath } = require(support);
  const { progress } = require(sizes);
  const root = new SandboxRoot(dir, { symlinks });
  const face = later ? root.promises : root;
  if (nobody !== null) {
    process.setegid(nobody);
    process.seteuid(nobody);
  }
  // Under no policy is anything there, or can anything be made there.
  const nowhere = [
    'missing/x',
    'file/x',
    'out/x',
    'tofile/x',
    '/missing/x',
    '../missing/x',
    'x'.repeat(256),
    '',
    'a\0b',
    1,
  ];
  const calls = (later ? everyPromiseWithPath : everyCallWithPath).flatMap(([title, call, method]) =>
    nowhere
      // The only one that would make what is missing.
      .filter((at) => !(title === 'mkdir (2)' && String(at).includes('missing')))
      .map((at) => [method, () => call(root, at)]),
  );
  for (const [method, ...args] of failing) calls.push([method, () => face[method](...args)]);
  for (const method of NEVER_FAILS) {
    for (const at of nowhere) calls.push([method, () => face[method](at)]);
  }

  const state = async () => {
    for (let i = 0; i < 3; i++) {
      global.gc();
      await new Promise((resolve) => setImmediate(resolve));
    }
    return { fds: fs.readdirSync('/proc/self/fd').length, rss: process.memoryUsage.rss() / 2 ** 20 };
  };
  const codes = {};
  const run = async (count) => {
    const done = progress('failing calls', count);
    let failed = 0;
    const failedWith = (method, { code }) => {
      codes[method] ??= {};
      codes[method][code] = (codes[method][code] ?? 0) + 1;
      failed += 1;
      done();
    };
    while (failed < count) {
      const running = [];
      for (const [method, call] of calls) {
        try {
          const result = call();
          if (later) running.push(result.catch((error) => failedWith(method, error)));
        } catch (error) {
          failedWith(method, error);
        }
      }
      await Promise.all(running);
    }
  };
  // An engine that has failed often takes more for itself than one that has not.
  await run(Math.max(5000, total / 4));
  const before = await state();
  await run(total);
  return { before, after: await state(), codes };
}

for (const symlinks of POLICIES) {
  for (const later of [false, true]) {
    const what = `${later ? 'promises' : 'calls'} of every method, symlinks: '${symlinks}'`;
    test(`failing ${what}, leave no descriptor and no memory behind`, async (t) => {
      const deep = Array.from({ length: 30 }).reduce((inside) => ({ d: inside }), { locked: { file: 'x' } });
      const { dir, at } = sandbox(t, {
        file: 'content', dir: { inner: 'x' }, tofile: link('file'), loop: link('loop'),
        out: link('/nowhere/at all'), pipe: fifo(), deep,
      }); // biome-ignore format: a tree
      if (isRoot) execFileSync('chown', ['-R', '-h', `${NOBODY}:${NOBODY}`, dir]);
      execFileSync('find', [at('deep'), '-name', 'locked', '-exec', 'chmod', '500', '{}', '+']);
      const how = {
        dir,
        failing: FAILING,
        total: FULL ? 1_000_000 : symlinks === 'reject' && !later ? 50_000 : 10_000,
        nobody: isRoot ? NOBODY : null,
        symlinks,
        later,
      };
      const support = path.join(__dirname, 'support.js');
      const { before, after, codes } = await underLimits(t, failAndLook, [support, how]);
      assert.strictEqual(after.fds, before.fds);
      assert.ok(after.rss - before.rss < MEMORY, `${after.rss - before.rss} MiB more`);
      for (const method of [...methodsInTable, 'mkdtemp'])
        assert.ok(Object.keys(codes[method]).length > 3, `${method} failed in many ways`);
      assert.ok(codes.rm.EACCES > 0 && !Object.values(codes).some(({ EMFILE }) => EMFILE));
      // What led outside was refused in the way of the policy.
      assert.ok(codes.lstat[{ reject: 'ELOOP', beneath: 'EACCES', 'in-root': 'ENOENT' }[symlinks]] > 0);
    });
  }
}

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
      const { workerData: { index, dir, id, later } } = require('node:worker_threads');
      const { SandboxRoot } = require(index);
      const root = later ? new SandboxRoot(dir).promises : new SandboxRoot(dir);
      (async () => {
        for (;;) {
          await root.mkdir(id + '/a/b/c/d/e/f', true);
          await Promise.all(Array.from({ length: 20 }, (_, i) => root.copyFile('file', id + '/a/b/' + i)));
          for (const leaf of ['a', 'a/b', 'a/b/c', 'a/b/1']) await root.stat(id + '/' + leaf);
          try { await root.stat('missing'); } catch {}
          await root.rm(id, true);
        }
      })();`;
    const fds = () => fs.readdirSync('/proc/self/fd').length;
    const run = async (id, ms, later) => {
      const worker = new Worker(code, { eval: true, workerData: { index, dir, id, later } });
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
    await Promise.all([run('first', 5, false), run('second', 5, true)]);
    const before = fds();
    for (let i = 0; i < total; i++) {
      await Promise.all([run(`${i}a`, (i * 7) % 13, false), run(`${i}b`, (i * 3) % 11, true)]);
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
