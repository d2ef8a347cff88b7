'use strict';
// A root whose directory was removed: it says so, and every change in it is ENOENT.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const os = require('node:os');
const { SandboxRoot } = require('..');
const { POLICIES, bothWays, everyCallWithPath, everyPromiseWithPath, memory, outcome } = require('./support');
const { sandbox, settled, snapshot, tempDir } = require('./support');

/** A root of a directory of `base` that is there no more. */
function removed(t, base, options) {
  const dir = `${tempDir(t, base)}/root`;
  fs.mkdirSync(dir);
  const root = new SandboxRoot(dir, options);
  fs.rmdirSync(dir);
  return root;
}

const PLACES = { 'in memory': memory, 'in the folder of temporary files': os.tmpdir() };

test('deleted: whether the directory was removed, wherever it is', (t) => {
  for (const base of Object.values(PLACES)) {
    const dir = `${tempDir(t, base)}/root`;
    fs.mkdirSync(`${dir}/sub`, { recursive: true });
    const root = new SandboxRoot(dir);
    const sub = root.openRoot('sub');
    assert.deepStrictEqual([root.deleted, sub.deleted], [false, false]);
    fs.renameSync(dir, `${dir} moved`);
    fs.mkdirSync(dir);
    assert.strictEqual(root.deleted, false, 'it was moved');
    fs.rmSync(`${dir} moved`, { recursive: true });
    assert.deepStrictEqual([root.deleted, sub.deleted], [true, true]);
    assert.strictEqual(new SandboxRoot(dir).deleted, false, 'the new one is another');
  }
});

test('deleted of a root that is closed is EBADF, and of something else no question', (t) => {
  const root = removed(t, memory);
  root.close();
  assert.throws(() => root.deleted, {
    code: 'EBADF',
    syscall: 'fstat',
    message: 'EBADF: bad file descriptor (the root is closed), fstat',
  });
  const { get } = Object.getOwnPropertyDescriptor(SandboxRoot.prototype, 'deleted');
  for (const that of [{}, null, root.promises])
    assert.throws(() => get.call(that), { code: 'ERR_INVALID_THIS' });
});

/** What changes nothing. */
const READS = [
  'stat', 'lstat', 'statfs', 'access', 'readlink', 'realpath', 'readdir', 'opendir (1)', 'opendir (2)', 'openRoot', 'openRead', 'readFile', 'fsync',
  'open (1)', 'open (4)', 'hostPath',
]; // biome-ignore format: a list

for (const symlinks of POLICIES) {
  for (const [where, base] of Object.entries(PLACES)) {
    test(`every change is ENOENT, ${where}, symlinks: '${symlinks}'`, async (t) => {
      const root = removed(t, base, { symlinks });
      const dots = symlinks !== 'in-root' ? [] : ['..', './..'];
      let tried = 0;
      for (const [i, [name, call, method]] of everyCallWithPath.entries()) {
        if (READS.includes(name) || READS.includes(method)) continue;
        const [, later] = everyPromiseWithPath[i];
        for (const at of ['new', 'a/b', 'new/', '.', './', ...dots]) {
          const { error } = outcome(() => call(root, at));
          const isRoot = /^[./]+$/.test(at);
          // Nothing there is fine.
          if (name === 'rm (3)') assert.strictEqual(error, undefined);
          // Nothing but a directory ends in a slash, or is the root, and it has no content.
          else if (
            /^(open|writeFile|appendFile|truncate|copyFile)/.test(name) &&
            (isRoot || at.endsWith('/'))
          )
            assert.match(error?.code, /^(ENOENT|EISDIR|EEXIST)$/, `${name} of ${at}`);
          // Of the two reasons to refuse it this is the first.
          else if (['cp (1)', 'cp (4)'].includes(name) && isRoot)
            assert.match(error?.code, /^(ENOENT|EINVAL)$/);
          else assert.strictEqual(error?.code, 'ENOENT', `${name} of ${at}: ${error?.message}`);
          assert.deepStrictEqual((await settled(later(root, at))).error, error, `${name} of ${at}, later`);
          tried += 1;
        }
      }
      assert.ok(tried > 150);
      assert.throws(() => root.mkdtemp('x'), { code: 'ENOENT' });
      assert.deepStrictEqual([root.exists('x'), root.exists('.'), root.readdir('.')], [false, true, []]);
    });

    test(`so it is as the second root, ${where}, symlinks: '${symlinks}'`, async (t) => {
      const to = removed(t, base, { symlinks });
      const { dir, root } = sandbox(t, { file: 'content', dir: {}, tree: { inner: '' } }, base);
      const before = snapshot(dir);
      for (const of of [root, root.promises]) {
        for (const [what, call] of Object.entries({
          rename: () => of.rename('file', 'new', { to }),
          'rename to the root': () => of.rename('dir', '.', { to }),
          renameNoReplace: () => of.renameNoReplace('file', 'new', { to }),
          link: () => of.link('file', 'new', { to }),
          copyFile: () => of.copyFile('file', 'new', null, { to }),
          cp: () => of.cp('file', 'new', { to }),
          'cp of a directory': () => of.cp('dir', 'new', { to, recursive: true }),
          'cp onto the root': () => of.cp('dir', '.', { to, recursive: true }),
          'cp of a tree onto the root': () => of.cp('tree', '.', { to, recursive: true }),
          move: () => of.move('file', 'new', { to }),
          'move of a tree': () => of.move('tree', 'new', { to, overwrite: true }),
        })) {
          const { error } = await settled((async () => call())());
          assert.strictEqual(error?.code, 'ENOENT', `${what}: ${error?.message}`);
        }
      }
      assert.deepStrictEqual(snapshot(dir), before);
    });
  }
}

bothWays('a directory in a root that is removed while it is written to is ENOENT, too', async (t, of) => {
  const { dir, root } = sandbox(t, { dir: {} });
  const sub = root.openRoot('dir');
  fs.rmdirSync(`${dir}/dir`);
  for (const atomic of [false, true])
    assert.strictEqual(
      (await settled((async () => of(sub).writeFile('x', 'y', { atomic }))())).error.code,
      'ENOENT',
    );
});

test('readonly is said first', (t) => {
  assert.throws(() => removed(t, memory, { readonly: true }).mkdir('x'), { code: 'EROFS' });
});
