'use strict';
// hostPath: a path of the host to a directory beneath a root, for what takes paths alone, and what it may be used for.

const assert = require('node:assert');
const { execFileSync, fork, spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { once } = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');
const { Worker } = require('node:worker_threads');
const test = require('node:test');
const { SandboxRoot } = require('..');
const { inChild } = require('./child');
const { POLICIES, bothWays, link, sandbox, tempDir, unprivileged } = require('./support');

const TREE = { dir: { file: 'content', sub: {} }, todir: link('dir'), file: '' };
const descriptors = () => fs.readdirSync('/proc/self/fd').length;

for (const symlinks of POLICIES) {
  bothWays(`it leads to the directory, also when that is moved: '${symlinks}'`, async (t, of) => {
    const { dir, at } = sandbox(t, TREE);
    const root = new SandboxRoot(dir, { symlinks });
    t.after(() => root.close());
    const there = await of(root).hostPath('dir');
    assert.match(there.path, /^\/proc\/self\/fd\/\d+$/);
    assert.strictEqual(there.path, there.path);
    assert.deepStrictEqual(fs.readdirSync(there.path), ['file', 'sub']);
    fs.renameSync(at('dir'), at('moved'));
    fs.symlinkSync('/', at('dir'));
    assert.strictEqual(fs.readFileSync(`${there.path}/file`, 'utf8'), 'content');
    fs.writeFileSync(path.join(there.path, 'new'), '');
    assert.ok(fs.existsSync(at('moved/new')));
    // The root may be closed before.
    const itself = await of(root).hostPath('.');
    root.close();
    assert.deepStrictEqual(fs.readdirSync(itself.path).sort(), ['dir', 'file', 'moved', 'todir']);
    itself.close();
    there.close();
  });
}

bothWays('what is no directory, or out of reach, is refused as by every method', async (t, of) => {
  const { root } = sandbox(t, TREE);
  for (const [at, code] of [
    ['file', 'ENOTDIR'],
    ['missing', 'ENOENT'],
    ['todir', 'ELOOP'],
    ['..', 'EACCES'],
    ['/', 'EACCES'],
    ['', 'ENOENT'],
    [1, 'ERR_INVALID_ARG_TYPE'],
  ])
    await assert.rejects(async () => of(root).hostPath(at), { code }, `${at}`);
});

test('a directory that may be searched and not read has one', async (t) => {
  const { root, at } = sandbox(t, TREE);
  fs.chmodSync(at('dir'), 0o311);
  await unprivileged(async () => {
    const there = root.hostPath('dir');
    assert.strictEqual(fs.readFileSync(`${there.path}/file`, 'utf8'), 'content');
    assert.throws(() => fs.readdirSync(there.path), { code: 'EACCES' });
    there.close();
  });
});

test('closed, it holds nothing and gives no path any more', (t) => {
  const { root } = sandbox(t, TREE);
  const before = descriptors();
  const there = root.hostPath('dir');
  assert.strictEqual(descriptors(), before + 1);
  const { path: copy } = there;
  assert.strictEqual(there.close(), undefined);
  assert.ok(!fs.existsSync(copy));
  there.close();
  assert.throws(() => there.path, { code: 'EBADF', reason: 'closed', syscall: 'open' });
  if (Symbol.dispose !== undefined) {
    const other = root.hostPath('dir');
    other[Symbol.dispose]();
    assert.throws(() => other.path, { code: 'EBADF' });
  }
  assert.ok(descriptors() <= before);
  for (const call of [
    () => there.close.call({}),
    () => Reflect.get(Object.getPrototypeOf(there), 'path', {}),
  ])
    assert.throws(call, { code: 'ERR_INVALID_THIS' });
});

/** How many descriptors there are when `total` were made and dropped. */
async function drop(dir, total) {
  const root = new SandboxRoot(dir);
  let most = 0;
  for (let i = 0; i < total; i++) {
    await (i % 2 === 0 ? root.hostPath('.') : root.promises.hostPath('.'));
    if (i % 10 === 0) {
      await new Promise(setImmediate);
      most = Math.max(most, fs.readdirSync('/proc/self/fd').length);
    }
  }
  return most;
}

test('those that are dropped are collected before descriptors run out', async (t) => {
  const most = await inChild(t, drop, [tempDir(t), 5000], { limits: { n: 20_000 } });
  assert.ok(most > 10 && most < 1500, `${most} descriptors`);
});

test('it is the cwd of a child process, however that is started', async (t) => {
  const { root, at } = sandbox(t, TREE);
  const there = root.hostPath('dir');
  const options = { cwd: there.path, encoding: 'utf8' };
  const real = `${fs.realpathSync(at('dir'))}\n`;
  assert.strictEqual(spawnSync('pwd', ['-P'], options).stdout, real);
  assert.strictEqual(execFileSync('/bin/sh', ['-c', 'ls; echo made > new'], options), 'file\nsub\n');
  assert.ok(fs.existsSync(at('dir/new')));
  const child = spawn('pwd', ['-P'], options);
  const [said] = await once(child.stdout, 'data');
  assert.strictEqual(`${said}`, real);
  const script = path.join(tempDir(t), 'script.js');
  fs.writeFileSync(script, 'process.send(process.cwd())');
  const [cwd] = await once(fork(script, { cwd: there.path }), 'message');
  assert.strictEqual(`${cwd}\n`, real);
  // The child has another descriptor of this number, or none.
  const listed = spawnSync('ls', [`${there.path}/`], { encoding: 'utf8' });
  assert.ok(!`${listed.stdout}`.includes('sub'));
  there.close();
});

test('a child process with many streams enters it, too', (t) => {
  const { root, at } = sandbox(t, TREE);
  const real = `${fs.realpathSync(at('dir'))}\n`;
  const other = fs.openSync(at('dir/sub'));
  t.after(() => fs.closeSync(other));
  const there = root.hostPath('dir');
  for (const streams of [3, 30, 200]) {
    const stdio = ['ignore', 'pipe', 'pipe', ...Array(streams - 3).fill(other)];
    const { stdout } = spawnSync('pwd', ['-P'], { cwd: there.path, stdio, encoding: 'utf8' });
    assert.strictEqual(stdout, real, `${streams} streams`);
  }
  there.close();
});

test('where no high number may be had, it has another', async (t) => {
  const { dir } = sandbox(t, TREE);
  const body = (dir) => {
    const there = new SandboxRoot(dir).hostPath('dir');
    return [Number(there.path.split('/').at(-1)) < 100, fs.readdirSync(there.path)];
  };
  const [isLow, names] = await inChild(t, body, [dir], { limits: { n: 100 } });
  assert.deepStrictEqual([isLow, names.sort()], [true, ['file', 'sub']]);
});

test('fs.watch tells what happens in it, wherever it is moved', async (t) => {
  const { root, at } = sandbox(t, TREE);
  const there = root.hostPath('dir');
  const watcher = fs.watch(there.path);
  t.after(() => watcher.close());
  fs.renameSync(at('dir'), at('moved'));
  const told = (async () => {
    for (;;) {
      const [, name] = await once(watcher, 'change');
      if (name === 'appeared') return true;
    }
  })();
  fs.writeFileSync(at('moved/appeared'), '');
  assert.ok(await Promise.race([told, sleep(5000, false)]));
  there.close();
});

test('a worker makes its root of it, which stays when it is closed', async (t) => {
  const { root, at } = sandbox(t, TREE);
  const there = root.hostPath('dir');
  fs.renameSync(at('dir'), at('moved'));
  const code = `
    const { workerData: { index, path, options }, parentPort } = require('node:worker_threads');
    const { SandboxRoot } = require(index);
    const root = new SandboxRoot(path, options);
    parentPort.once('message', () => {
      const said = [root.readFile('file', 'utf8')];
      for (const call of [() => root.stat('../file'), () => root.mkdir('new')])
        try { said.push(call()); } catch ({ code, reason }) { said.push(code + ' ' + reason); }
      parentPort.postMessage(said);
      root.close();
    });
    parentPort.postMessage('open');
  `;
  const workerData = { index: path.join(__dirname, '..'), path: there.path, options: { readonly: true } };
  const worker = new Worker(code, { eval: true, workerData });
  await once(worker, 'message');
  there.close();
  worker.postMessage('go');
  const [said] = await once(worker, 'message');
  assert.deepStrictEqual(said, ['content', 'EACCES outside', 'EROFS readonly']);
  await worker.terminate();
});
