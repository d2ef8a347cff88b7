'use strict';
// close(): the descriptor goes at once, calls afterwards are EBADF, and a root that nobody closes goes
// with the object.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const { SandboxRoot } = require('..');
const { inChild } = require('./child');
const {
  POLICIES,
  everyCallWithPath,
  everyPromiseWithPath,
  link,
  methodsInTable,
  outcome,
  sandbox,
  settled,
  snapshot,
} = require('./support');

const openFds = () => fs.readdirSync('/proc/self/fd').length;

/** The names by which libuv knows the system calls of the methods. */
const SYSCALLS = {
  mkdir: 'mkdir',
  unlink: 'unlink',
  rmdir: 'rmdir',
  remove: /^(unlink|rmdir)$/,
  mkfifo: 'mkfifo',
  rename: 'rename',
  renameNoReplace: 'rename',
  link: 'link',
  symlink: 'symlink',
  chmod: 'chmod',
  truncate: 'open',
  copyFile: 'copyfile',
  rm: /^(lstat|unlink)$/,
  utimes: 'utime',
  lutimes: 'lutime',
  chown: 'chown',
  lchown: 'lchown',
  stat: 'stat',
  lstat: 'lstat',
  statfs: 'statfs',
  access: 'access',
  readlink: 'readlink',
  realpath: 'realpath',
  readdir: 'scandir',
  opendir: 'opendir',
  openRoot: 'open',
  hostPath: 'open',
  open: 'open',
  readFile: 'open',
  writeFile: 'open',
  appendFile: 'open',
  fsync: 'fsync',
  cp: 'cp',
  move: 'rename',
  exchange: 'rename',
  openRead: 'open',
  openWrite: 'open',
};

test('closing a root releases its descriptor at once', (t) => {
  const { dir } = sandbox(t);
  const before = openFds();
  const roots = Array.from({ length: 20 }, () => new SandboxRoot(dir));
  assert.strictEqual(openFds(), before + 20);
  for (const [i, root] of roots.entries()) {
    assert.strictEqual(root.closed, false);
    assert.strictEqual(root.close(), undefined);
    assert.strictEqual(root.closed, true);
    assert.strictEqual(openFds(), before + 19 - i);
  }
});

test('closing again is fine, and closes nothing of somebody else', (t) => {
  const { dir, root, at } = sandbox(t, { file: 'content' });
  root.close();
  // What is opened now gets the number that the root had.
  const fd = fs.openSync(at('file'));
  const other = new SandboxRoot(dir);
  for (let i = 0; i < 3; i++) root.close();
  assert.strictEqual(fs.readFileSync(fd, 'utf8'), 'content');
  assert.strictEqual(other.stat('file').size, 7);
  fs.closeSync(fd);
  other.close();
  assert.deepStrictEqual([root.closed, other.closed], [true, true]);
});

for (const symlinks of POLICIES) {
  test(`every call on a closed root is EBADF, with the paths as they were given, and does nothing: '${symlinks}'`, async (t) => {
    const { dir } = sandbox(t, { file: 'content', dir: { inner: '' } });
    const root = new SandboxRoot(dir, { symlinks });
    const before = snapshot(dir);
    const seen = new Set();
    root.close();
    for (const [i, [title, call, method]] of everyCallWithPath.entries()) {
      const [, later] = everyPromiseWithPath[i];
      for (const at of ['file', 'dir', 'dir/inner', 'missing/x', '.', './file', 'dir/']) {
        const { error } = outcome(() => call(root, at));
        assert.ok(error, `${title} of ${at} refuses`);
        assert.strictEqual(error.code, 'EBADF', `${title} of ${at}: ${error.message}`);
        assert.strictEqual(error.errno, -9);
        assert.strictEqual(error.reason, 'closed', title);
        const { syscall } = error;
        assert.match(syscall, RegExp(SYSCALLS[method]), title);
        assert.ok([error.path, error.dest].includes(at), title);
        const where = error.dest === undefined ? `'${at}'` : `'${error.path}' -> '${error.dest}'`;
        assert.strictEqual(
          error.message,
          `EBADF: bad file descriptor (the root is closed), ${syscall} ${where}`,
        );
        assert.deepStrictEqual(await settled(later(root, at)), { error }, `${title}, later`);
      }
      seen.add(method);
    }
    assert.deepStrictEqual([...seen].sort(), [...methodsInTable].sort(), 'every method was called');
    for (const at of ['file', 'missing', '..', '', null, 'a\0b']) {
      const { error } = outcome(() => root.exists(at));
      assert.deepStrictEqual([error?.code, error?.syscall], ['EBADF', 'access'], `exists of ${at}`);
      assert.deepStrictEqual(await settled(root.promises.exists(at)), { error }, `exists of ${at}, later`);
    }
    const message = "EBADF: bad file descriptor (the root is closed), mkdtemp 'dir/xXXXXXX'";
    assert.throws(() => root.mkdtemp('dir/x'), { code: 'EBADF', path: 'dir/xXXXXXX', message });
    await assert.rejects(root.promises.mkdtemp('dir/x'), { code: 'EBADF', message });
    assert.throws(() => root.identity, { code: 'EBADF' });
    assert.throws(() => root.deleted, { code: 'EBADF', syscall: 'fstat' });
    assert.throws(() => root.isAt(dir), { code: 'EBADF', path: dir });
    assert.deepStrictEqual(snapshot(dir), before);
  });
}

test('arguments are checked first, on a closed root too', (t) => {
  const { root } = sandbox(t);
  root.close();
  assert.throws(() => root.stat(1), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => root.stat('a\0b'), { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' });
  assert.throws(() => root.truncate('x', -1), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
});

/** Paths that an open root has something against. */
const WRONG_PATHS = ['', '/', '/etc', '..', '../x', 'a/..', 'tofile', 'tofile/', 'todir/x', 'file/x'];
WRONG_PATHS.push('x'.repeat(300), 'd/'.repeat(2500));

for (const symlinks of POLICIES) {
  for (const readonly of [false, true]) {
    test(`that a root is closed is said before anything of the path: '${symlinks}', readonly ${readonly}`, async (t) => {
      const { dir } = sandbox(t, { file: 'content', tofile: link('file'), todir: link('..') });
      const root = new SandboxRoot(dir, { symlinks, readonly });
      root.close();
      for (const [i, [title, call]] of everyCallWithPath.entries()) {
        const [, later] = everyPromiseWithPath[i];
        for (const at of WRONG_PATHS) {
          const says = `${title} of ${at.slice(0, 20)}`;
          const { error } = outcome(() => call(root, at));
          assert.strictEqual(error?.code, 'EBADF', says);
          assert.match(error.message, /^EBADF: bad file descriptor \(the root is closed\), /, says);
          assert.strictEqual((await settled(later(root, at))).error?.code, 'EBADF', `${says}, later`);
        }
      }
      for (const at of WRONG_PATHS) {
        assert.throws(() => root.mkdtemp(at), { code: 'EBADF' });
        await assert.rejects(
          async () => root.walk(at).next(),
          { code: 'EBADF' },
          `walk of ${at.slice(0, 20)}`,
        );
      }
      assert.throws(() => root.cp('file', 'file/x', { recursive: true }), { code: 'EBADF' });
      assert.throws(() => root.rm('', true, true), { code: 'EBADF' });
    });
  }
}

test('that the other root is closed is said before anything of the path in it', (t) => {
  const { root, dir } = sandbox(t, { file: 'content' });
  const to = new SandboxRoot(dir);
  to.close();
  for (const at of WRONG_PATHS) {
    for (const call of [
      () => root.rename('file', at, { to }),
      () => root.renameNoReplace('file', at, { to }),
      () => root.link('file', at, { to }),
      () => root.copyFile('file', at, undefined, { to }),
      () => root.cp('file', at, { to }),
      () => root.move('file', at, { to }),
      () => to.rename(at, 'new', { to: root }),
      () => to.move(at, 'new', { to: root }),
      () => to.copyFile(at, 'new', undefined, { to: root }),
    ]) {
      assert.strictEqual(outcome(call).error?.code, 'EBADF', `${call} of ${at.slice(0, 20)}`);
    }
  }
});

test('a walk ends with EBADF when its root is closed', async (t) => {
  const { dir } = sandbox(t, { a: { b: { c: { d: 'd' } } }, e: {}, f: {}, g: 'g' });
  for (let i = 0; i < 500; i++) fs.mkdirSync(`${dir}/e/${i}`);
  for (const symlinks of POLICIES) {
    const root = new SandboxRoot(dir, { symlinks });
    const seen = [];
    await assert.rejects(
      async () => {
        for await (const { name } of root.walk('.')) {
          seen.push(name);
          if (seen.length === 3) root.close();
        }
      },
      { code: 'EBADF', path: '.' },
      symlinks,
    );
    assert.ok(seen.length < 510, `${seen.length} entries were listed`);
  }
});

test('other roots of the same directory stay open', (t) => {
  const { dir, root } = sandbox(t, { file: 'content' });
  const other = new SandboxRoot(dir);
  root.close();
  assert.strictEqual(other.stat('file').size, 7);
  assert.strictEqual(other.closed, false);
});

test('descriptors that a root opened are the caller’s, and outlive it', (t) => {
  const { root, at } = sandbox(t, { file: 'content' });
  const [reading, writing] = [root.openRead('file'), root.openWrite('new', true)];
  root.close();
  assert.strictEqual(fs.readFileSync(reading, 'utf8'), 'content');
  fs.writeSync(writing, 'written');
  for (const fd of [reading, writing]) fs.closeSync(fd);
  assert.strictEqual(fs.readFileSync(at('new'), 'utf8'), 'written');
});

test('Symbol.dispose closes, where it exists', (t) => {
  const { root } = sandbox(t);
  const symbols = Object.getOwnPropertySymbols(SandboxRoot.prototype).map(String);
  assert.ok(!Object.getOwnPropertyNames(SandboxRoot.prototype).includes('undefined'));
  if (Symbol.dispose === undefined) return assert.deepStrictEqual(symbols, []);
  assert.strictEqual(SandboxRoot.prototype[Symbol.dispose], SandboxRoot.prototype.close);
  assert.strictEqual(root[Symbol.dispose](), undefined);
  assert.strictEqual(root.closed, true);
  root[Symbol.dispose]();
});

test('a subclass closes as the class does, and can do more', (t) => {
  const { dir } = sandbox(t, { file: 'content' });
  class Counting extends SandboxRoot {
    closings = 0;
    close() {
      this.closings++;
      super.close();
    }
  }
  const before = openFds();
  const root = new Counting(dir);
  assert.strictEqual(root.stat('file').size, 7);
  root.close();
  assert.deepStrictEqual([root.closings, root.closed, openFds()], [1, true, before]);
  assert.throws(() => root.stat('file'), { code: 'EBADF' });
});

const OTHERS = [{}, null, undefined, 1, Object.create(SandboxRoot.prototype), new Date()];
const ownMembers = () => [
  SandboxRoot.prototype.close,
  Object.getOwnPropertyDescriptor(SandboxRoot.prototype, 'closed').get,
];

test('close and closed belong to roots alone', () => {
  for (const member of ownMembers()) for (const other of OTHERS) assert.throws(() => member.call(other));
});

test('close and closed say so as the methods do', () => {
  for (const member of ownMembers())
    for (const other of OTHERS)
      assert.throws(() => member.call(other), { name: 'TypeError', code: 'ERR_INVALID_THIS' });
});

test('a root that could not be opened keeps no descriptor', (t) => {
  const { at } = sandbox(t, { file: '' });
  const before = openFds();
  for (let i = 0; i < 100; i++) {
    assert.throws(() => new SandboxRoot(at('missing')), { code: 'ENOENT' });
    assert.throws(() => new SandboxRoot(at('file')), { code: 'ENOTDIR' });
  }
  assert.strictEqual(openFds(), before);
});

test('roots that nobody closed are released when they are collected', async (t) => {
  const { dir } = sandbox(t);
  const counts = await inChild(
    t,
    async (dir) => {
      const openFds = () => fs.readdirSync('/proc/self/fd').length;
      const before = openFds();
      (() => {
        for (let i = 0; i < 1000; i++) new SandboxRoot(dir);
      })();
      const made = openFds();
      for (let i = 0; i < 20 && openFds() > before; i++) {
        global.gc();
        await new Promise((resolve) => setImmediate(resolve));
      }
      return { before, made, after: openFds() };
    },
    [dir],
    { node: ['--expose-gc'] },
  );
  t.diagnostic(JSON.stringify(counts));
  assert.ok(counts.made > counts.before);
  assert.strictEqual(counts.after, counts.before);
});

test('the descriptor of a root is closed on exec', async (t) => {
  const { dir } = sandbox(t);
  const own = await inChild(
    t,
    (dir) => {
      const root = new SandboxRoot(dir);
      const { execFileSync } = require('node:child_process');
      const listing = execFileSync('sh', ['-c', 'ls -l /proc/self/fd'], { encoding: 'utf8' });
      return [listing.includes(dir), root.closed];
    },
    [dir],
  );
  assert.deepStrictEqual(own, [false, false]);
});
