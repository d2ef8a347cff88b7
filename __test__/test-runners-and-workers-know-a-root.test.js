'use strict';
// What test runners and worker threads make of a root: mocks find its promises, a realm of its own does not confuse
// it, and it is not cloned without a word.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const util = require('node:util');
const vm = require('node:vm');
const { createRequire } = require('node:module');
const { SandboxRoot } = require('..');
const { inChild } = require('./child');
const { onEachNode } = require('./other-nodes');
const { methods, sandbox, tempDir } = require('./support');

/** What an automatic mock of Jest reads of an object, at any level: all properties but getters. */
function slotsOf(object) {
  const slots = {};
  for (let at = object; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) {
      const { get, value } = Object.getOwnPropertyDescriptor(at, name);
      if (get === undefined && name !== 'constructor') slots[name] ??= value;
    }
  }
  return slots;
}

test('an automatic mock finds every method, and every promise', () => {
  const slots = slotsOf(SandboxRoot.prototype);
  for (const name of [...methods, 'close', 'walk']) assert.strictEqual(typeof slots[name], 'function', name);
  assert.strictEqual(typeof slots.promises, 'object');
  const promises = slotsOf(slots.promises);
  for (const name of [...methods, 'isAt']) assert.strictEqual(typeof promises[name], 'function', name);
});

test('what a mock finds on the class belongs to no root', async (t) => {
  const { root } = sandbox(t, { file: 'content' });
  const { promises } = SandboxRoot.prototype;
  await assert.rejects(promises.stat('file'), { name: 'TypeError', code: 'ERR_INVALID_THIS' });
  assert.notStrictEqual(root.promises, promises);
  assert.strictEqual(Object.getPrototypeOf(root.promises), promises);
  const { get } = Object.getOwnPropertyDescriptor(SandboxRoot.prototype, 'promises');
  for (const that of [{}, null, Object.create(root), root.promises])
    assert.throws(() => get.call(that), { code: 'ERR_INVALID_THIS' });
});

test('each root has its own, which nobody sees who lists it', (t) => {
  const [one, two] = [sandbox(t).root, sandbox(t).root];
  assert.strictEqual(one.promises, one.promises);
  assert.notStrictEqual(one.promises, two.promises);
  assert.deepStrictEqual(
    [Object.keys(one), JSON.stringify(one), util.inspect(one)],
    [[], '{}', 'SandboxRoot {}'],
  );
  assert.deepStrictEqual({ ...one }, {});
});

test('mocks of node:test replace a promise, and give it back', async (t) => {
  const { root } = sandbox(t, { file: 'content' });
  const other = sandbox(t, { file: 'of another' }).root;
  const mocked = t.mock.method(root.promises, 'stat', async () => ({ size: 99 }));
  assert.strictEqual((await root.promises.stat('file')).size, 99);
  assert.strictEqual((await other.promises.stat('file')).size, 10);
  assert.deepStrictEqual(mocked.mock.calls[0].arguments, ['file']);
  mocked.mock.restore();
  assert.strictEqual((await root.promises.stat('file')).size, 7);
  // On the class, it is that of every root.
  const all = t.mock.method(SandboxRoot.prototype.promises, 'stat', async () => ({ size: 1 }));
  assert.deepStrictEqual(await Promise.all([other.promises.stat('x'), sandbox(t).root.promises.stat('x')]), [
    { size: 1 },
    { size: 1 },
  ]);
  all.mock.restore();
  t.mock.getter(root, 'promises', () => 'mine');
  assert.strictEqual(root.promises, 'mine');
});

test('a subclass has promises of its own, and those that it inherits', async (t) => {
  const { dir } = sandbox(t, { file: 'content' });
  const asked = [];
  class Audited extends SandboxRoot {
    get promises() {
      asked.push('promises');
      return super.promises;
    }
    mine() {
      return super.promises;
    }
  }
  const root = new Audited(dir);
  assert.strictEqual(await root.promises.readFile('file', 'utf8'), 'content');
  assert.deepStrictEqual(asked, ['promises']);
  assert.strictEqual(root.mine(), root.promises);
  assert.strictEqual(await root.mine().exists('file'), true);
  assert.deepStrictEqual([Object.getOwnPropertyNames(root), util.inspect(root)], [[], 'Audited {}']);
});

/** The package, its scripts evaluated in a realm of their own, as Jest does for each file of tests. */
function inRealm() {
  const context = vm.createContext({ Buffer, process, setInterval, clearInterval, AbortController, console });
  const loaded = new Map();
  const load = (file) => {
    if (path.extname(file) === '.node') return require(file);
    if (loaded.has(file)) return loaded.get(file).exports;
    const module = { exports: {} };
    loaded.set(file, module);
    const real = createRequire(file);
    const wanted = (name) => {
      const found = real.resolve(name);
      return path.isAbsolute(found) ? load(found) : require(found);
    };
    const code = fs.readFileSync(file, 'utf8');
    const names = ['module', 'exports', 'require', '__dirname', '__filename'];
    const compiled = vm.compileFunction(code, names, { filename: file, parsingContext: context });
    compiled(
      module,
      module.exports,
      Object.assign(wanted, { resolve: real.resolve }),
      path.dirname(file),
      file,
    );
    return module.exports;
  };
  return { context, SandboxRoot: load(require.resolve('..')).SandboxRoot };
}

test('in a realm of its own, promises are those of the methods', async (t) => {
  const { dir } = sandbox(t, { file: 'content', dir: { inner: 'x' } });
  const { context, SandboxRoot: Foreign } = inRealm();
  assert.notStrictEqual(vm.runInContext('Promise', context), Promise);
  const root = new Foreign(dir);
  for (const method of ['stat', 'unlink', 'readFile', 'readdir', 'chmod'])
    await assert.rejects(
      root.promises[method]('missing', 0o600),
      (error) => error.code?.startsWith('E'),
      method,
    );
  await assert.rejects(root.promises.unlink('missing'), {
    code: 'ENOENT',
    message: "ENOENT: no such file or directory, unlink 'missing'",
  });
  assert.strictEqual(await root.promises.readFile('file', 'utf8'), 'content');
  assert.deepStrictEqual([...(await root.promises.readdir('dir'))], ['inner']);
  assert.strictEqual(await root.promises.writeFile('file', 'new', { atomic: true }), undefined);
  assert.strictEqual((await root.promises.stat('file')).size, 3);
  const told = [];
  await root.promises.cp('dir', 'copy', { recursive: true, onProgress: (progress) => told.push(progress) });
  assert.deepStrictEqual([fs.readdirSync(`${dir}/copy`), told.at(-1)?.entries], [['inner'], 2]);
  const names = [];
  for await (const { name } of root.walk('.')) names.push(name);
  assert.deepStrictEqual(names.sort(), ['copy', 'dir', 'file', 'inner', 'inner']);
});

test('what is of a root of another copy is no options', async (t) => {
  const { dir, root } = sandbox(t, { file: 'content', dir: {} });
  const other = new (inRealm().SandboxRoot)(dir);
  const paths = [other.hostPath('dir'), root.hostPath('dir')];
  const error = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
  for (const options of [root, root.promises, other, other.promises, new Proxy(other, {}), ...paths]) {
    assert.throws(() => root.rename('file', 'new', options), error);
    assert.throws(() => root.cp('file', 'new', options), error);
    assert.throws(() => root.readFile('file', options), error);
    assert.throws(() => new SandboxRoot(dir, options), error);
    await assert.rejects(root.promises.rename('file', 'new', options), error);
  }
  for (const path of paths) path.close();
  class Options {
    encoding = 'utf8';
  }
  assert.strictEqual(root.readFile('file', new Options()), 'content');
});

// ---- Worker threads ----

onEachNode('a root is not cloned, where Node can refuse that', async (t, execPath, major) => {
  const clone = (dir) => {
    const { Worker } = require('node:worker_threads');
    const root = new SandboxRoot(dir);
    const codes = [];
    for (const copy of [
      () => structuredClone(root),
      () => structuredClone({ roots: [root] }),
      () => structuredClone(root.openRoot('.')),
      () => structuredClone(root.promises),
      () => new Worker('', { eval: true, workerData: { root } }),
      () => new MessageChannel().port1.postMessage(root),
    ]) {
      try {
        copy();
        codes.push('copied');
      } catch ({ name }) {
        codes.push(name);
      }
    }
    setTimeout(() => process.exit(0), 100);
    return [...codes, root.stat('.').nlink > 0];
  };
  const [last, ...codes] = (await inChild(t, clone, [tempDir(t)], { execPath })).reverse();
  assert.strictEqual(last, true);
  if (major >= 22) assert.deepStrictEqual([...new Set(codes)], ['DataCloneError']);
});

/** What the README says: the first block of the section on workers. */
const RECIPE = /### Workers\n[\s\S]*?```js\n([\s\S]*?)```/.exec(
  fs.readFileSync(path.join(__dirname, '../README.md'), 'utf8'),
)[1];

onEachNode(
  'a worker is handed a path, and sees whether it leads to the same directory',
  async (t, execPath) => {
    const hand = async (dir, home, recipe) => {
      const { Worker } = require('node:worker_threads');
      const root = new SandboxRoot(`${dir}/root`);
      const code = `
      const util = require('node:util');
      const { workerData, parentPort } = require('node:worker_threads');
      const { SandboxRoot } = require(${JSON.stringify(home)});
      ${recipe}
      parentPort.postMessage(root.readFile('file', 'utf8'));`;
      const workerData = { path: `${dir}/root`, identity: root.identity };
      const read = () =>
        new Promise((resolve) => {
          const worker = new Worker(code, { eval: true, workerData });
          worker.once('message', resolve);
          worker.once('error', ({ message }) => resolve(message));
        });
      const before = await read();
      fs.renameSync(`${dir}/root`, `${dir}/moved`);
      fs.cpSync(`${dir}/moved`, `${dir}/root`, { recursive: true });
      return [before, await read()];
    };
    const dir = tempDir(t);
    fs.mkdirSync(`${dir}/root`);
    fs.writeFileSync(`${dir}/root/file`, 'content');
    const home = path.join(__dirname, '..');
    const came = await inChild(t, hand, [dir, home, RECIPE], { execPath });
    assert.deepStrictEqual(came, ['content', 'another directory is there now']);
  },
);

test('the prototype of a subclass shows its promises to an automatic mock, and no other object does', () => {
  class Files extends SandboxRoot {}
  assert.strictEqual(Files.prototype.promises, SandboxRoot.prototype.promises);
  assert.throws(() => Object.create(SandboxRoot.prototype).promises, { code: 'ERR_INVALID_THIS' });
});
