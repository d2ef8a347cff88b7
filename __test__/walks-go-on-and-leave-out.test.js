'use strict';
// walk with `filter`, which prunes before a directory is entered, and with `onError`, which decides whether a walk
// ends at a directory that cannot be listed.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const { setImmediate, setTimeout: sleep } = require('node:timers/promises');
const { SandboxRoot } = require('..');
const { inChild } = require('./child');
const { POLICIES, link, memory, plant, sandbox, settled, tempDir, unprivileged } = require('./support');

async function collect(walk) {
  const all = [];
  for await (const entry of walk) all.push(entry);
  return all;
}

const pathsOf = (entries) => entries.map((entry) => `${entry.path}`).sort();

const TREE = {
  file: '',
  a: { file: '', b: { file: '', c: { file: '' } }, skipped: { file: '', dir: {} } },
  skipped: { deep: { deeper: { file: '' } } },
  empty: {},
  tofile: link('file'),
  todir: link('a'),
};

for (const symlinks of POLICIES) {
  test(`a filter is asked about every entry but those in a directory that it refuses: '${symlinks}'`, async (t) => {
    const { dir } = sandbox(t, TREE);
    const root = new SandboxRoot(dir, { symlinks });
    const all = pathsOf(await collect(root.walk('.')));
    const expected = all.filter((at) => !at.split('/').includes('skipped'));
    for (const answer of [(is) => is, async (is) => is, (is) => (is ? 'yes' : 0), (is) => setImmediate(is)]) {
      const asked = [];
      const filter = (entry) => {
        asked.push(entry.path);
        return answer(entry.name !== 'skipped');
      };
      const walk = root.walk('.', { filter });
      const kept = await collect(walk);
      assert.deepStrictEqual(pathsOf(kept), expected);
      assert.deepStrictEqual(asked.sort(), [...expected, 'a/skipped', 'skipped'].sort());
      assert.strictEqual(walk.truncated, null);
      for (const entry of kept) {
        assert.ok(root.lstat(entry.path));
        assert.strictEqual(entry.isDirectory(), entry.type === 'directory');
      }
    }
    // Files alone, in all of the tree, take directories that are kept.
    const none = await collect(root.walk('.', { filter: () => false }));
    assert.deepStrictEqual(none, []);
    const top = await collect(root.walk('.', { filter: (entry) => !entry.isDirectory() }));
    assert.deepStrictEqual(pathsOf(top), ['file', 'todir', 'tofile']);
    root.close();
  });
}

test('a directory that is refused is not opened', async (t) => {
  const { root, at } = sandbox(t, { keep: { file: '' }, secret: { file: '' } });
  fs.utimesSync(at('secret'), 1, 2);
  fs.chmodSync(at('secret'), 0);
  await unprivileged(async () => {
    const filter = ({ name }) => name !== 'secret';
    assert.deepStrictEqual(pathsOf(await collect(root.walk('.', { filter }))), ['keep', 'keep/file']);
    assert.strictEqual((await settled(collect(root.walk('.')))).error?.code, 'EACCES');
  });
  assert.strictEqual(fs.statSync(at('secret')).atimeMs, 1000);
});

test('names in bytes and many entries in one directory are pruned one by one', async (t) => {
  const dir = tempDir(t, memory);
  const root = new SandboxRoot(dir);
  t.after(() => root.close());
  // More than one read of the directory gives.
  for (let i = 0; i < 4000; i++) fs.mkdirSync(`${dir}/d${i}`);
  for (let i = 0; i < 4000; i += 7) fs.writeFileSync(`${dir}/d${i}/inner`, '');
  const odd = Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xff])]);
  fs.mkdirSync(odd);
  fs.writeFileSync(Buffer.concat([odd, Buffer.from('/inner')]), '');
  const isKept = (name) => name === 'inner' || (/^d\d+$/.test(name) && Number(name.slice(1)) % 3 === 0);
  const expected = fs.readdirSync(dir).filter(isKept);
  for (const name of [...expected]) if (fs.existsSync(`${dir}/${name}/inner`)) expected.push(`${name}/inner`);
  const kept = await collect(root.walk('.', { filter: ({ name }) => isKept(name) }));
  assert.deepStrictEqual(pathsOf(kept), expected.sort());
  const encoding = 'buffer';
  const bytes = await collect(
    root.walk('.', { encoding, filter: ({ name }) => name[0] === 0xff || name[0] === 0x69 }),
  );
  const paths = bytes.map((entry) => entry.path.toString('latin1'));
  assert.deepStrictEqual(paths, ['\xff', '\xff/inner']);
  // As a string, the name is not what it is: only its place in the batch says which is meant.
  const text = await collect(
    root.walk('.', { filter: ({ name }) => name[0] === '\ufffd' || name === 'inner' }),
  );
  assert.deepStrictEqual(pathsOf(text), ['\ufffd', '\ufffd/inner']);
});

test('limits count what the filter keeps', async (t) => {
  const { root } = sandbox(t, { a: { b: { c: {} } }, x: { y: {} }, z1: '', z2: '' });
  const filter = ({ name }) => !name.startsWith('z');
  for (let maxEntries = 0; maxEntries <= 6; maxEntries++) {
    const walk = root.walk('.', { filter, maxEntries });
    assert.strictEqual((await collect(walk)).length, Math.min(maxEntries, 5));
    assert.strictEqual(walk.truncated, maxEntries < 5 ? 'maxEntries' : null, `at ${maxEntries}`);
  }
  for (const [maxDepth, kept, refused] of [[0, 0, 0], [1, 2, 1], [2, 4, 1], [3, 5, 1], [4, 5, 1]]) {
    const walk = root.walk('.', { filter, maxDepth });
    assert.strictEqual((await collect(walk)).length, kept);
    assert.strictEqual(walk.truncated, maxDepth < 4 && maxDepth !== 3 ? 'maxDepth' : walk.truncated);
    // What the filter refuses is cut short by nothing.
    const other = root.walk('.', { filter: ({ name }) => name === 'z1', maxDepth });
    assert.strictEqual((await collect(other)).length, refused);
    assert.strictEqual(other.truncated, maxDepth === 0 ? 'maxDepth' : null);
  }
}); // biome-ignore format: a table

test('a filter that keeps everything changes nothing, the limit that was met first neither', async (t) => {
  const level = { f: '', a: { f: '', b: { f: '', c: { f: '' } } }, x: { f: '', y: { f: '' } } };
  const { root } = sandbox(t, level);
  for (const maxDepth of [0, 1, 2, 3, 4, 5, null]) {
    for (let maxEntries = 0; maxEntries < 14; maxEntries++) {
      const without = root.walk('.', { maxDepth, maxEntries });
      const all = root.walk('.', { maxDepth, maxEntries, filter: () => true });
      const [one, other] = [pathsOf(await collect(without)), pathsOf(await collect(all))];
      assert.deepStrictEqual([other, all.truncated], [one, without.truncated], `${maxDepth}, ${maxEntries}`);
    }
  }
});

test('a signal ends a walk, at each entry and while it waits', async (t) => {
  const { root } = sandbox(t, { a: { b: '' }, c: '' });
  const is = (cause) => ({ name: 'AbortError', code: 'ABORT_ERR', cause });
  assert.throws(() => root.walk('.', { signal: AbortSignal.abort('before') }), is('before'));
  assert.throws(() => root.walk('.', { signal: {} }), { code: 'ERR_INVALID_ARG_TYPE' });
  for (const filter of [undefined, () => true]) {
    const controller = new AbortController();
    const walk = root.walk('.', { signal: controller.signal, filter });
    await walk.next();
    controller.abort('between');
    await assert.rejects(walk.next(), is('between'));
    assert.deepStrictEqual(await walk.next(), { done: true, value: undefined });
  }
  const later = new AbortController();
  const filter = () => {
    setTimeout(() => later.abort('while it waits'), 10);
    return new Promise(() => {});
  };
  await assert.rejects(root.walk('.', { signal: later.signal, filter }).next(), is('while it waits'));
  const { signal } = new AbortController();
  assert.strictEqual((await collect(root.walk('.', { signal }))).length, 3);
});

test('walks and writes that nobody ends are collected before descriptors run out', async (t) => {
  const tree = { a: { b: { c: { d: {} } } } };
  const { dir } = sandbox(t, tree);
  const body = async (dir) => {
    const root = new SandboxRoot(dir);
    const next = () => new Promise(() => {});
    const source = { [Symbol.asyncIterator]: () => ({ next }) };
    let most = 0;
    for (let i = 0; i < 400; i++) {
      const walk = root.walk('.', { filter: () => true });
      for (let level = 0; level < 4; level++) await walk.next();
      root.promises.writeFile(`file${i}`, source, { atomic: true });
      await new Promise(setImmediate);
      if (i % 10 === 0) most = Math.max(most, fs.readdirSync('/proc/self/fd').length);
    }
    return most;
  };
  const most = await inChild(t, body, [dir], { limits: { n: 1000 } });
  t.diagnostic(`${most} descriptors at the most`);
  assert.ok(most < 500, `${most} descriptors`);
});

test('onError is called for each directory that cannot be listed, and the walk goes on with the rest', async (t) => {
  for (const encoding of ['utf8', 'buffer']) {
    const { dir, root, at } = sandbox(t, {
      a: { file: '', locked: { file: '' }, z: { file: '' } },
      locked: { file: '' },
      z: { deep: { locked: { file: '' }, file: '' } },
    });
    const locked = ['a/locked', 'locked', 'z/deep/locked'];
    const all = pathsOf(await collect(root.walk('.'))).filter((at) => !at.endsWith('locked/file'));
    for (const name of locked) fs.chmodSync(at(name), 0);
    await unprivileged(async () => {
      for (const filter of [undefined, () => true]) {
        const told = [];
        const onError = async (error, entry) => {
          await setImmediate();
          const { code, syscall, path, message } = error;
          assert.deepStrictEqual({ code, syscall, message }, {
            code: 'EACCES',
            syscall: 'scandir',
            message: `EACCES: permission denied, scandir '${path}'`,
          });
          assert.strictEqual(`${entry.path}`, path);
          assert.ok(entry.isDirectory());
          assert.strictEqual(Buffer.isBuffer(entry.name), encoding === 'buffer');
          told.push(path);
        };
        const entries = await collect(root.walk('.', { encoding, filter, onError }));
        assert.deepStrictEqual([pathsOf(entries), told.sort()], [all, locked]);
      }
      // What it throws is what the walk fails with, and it is over then.
      const enough = new Error('enough');
      const walk = root.walk('.', { onError: () => { throw enough; } });
      await assert.rejects(collect(walk), (error) => error === enough);
      assert.deepStrictEqual(await walk.next(), { done: true, value: undefined });
      const later = root.walk('.', { onError: () => Promise.reject(enough) });
      await assert.rejects(collect(later), (error) => error === enough);
      await assert.rejects(collect(root.walk('.')), { code: 'EACCES' });
    });
    assert.ok(fs.existsSync(dir));
  }
}); // biome-ignore format: short functions

test('onError is called for the start of the walk without an entry, and never for a closed root', async (t) => {
  const { root } = sandbox(t, { file: '', link: link('.') });
  for (const [at, code] of [['missing', 'ENOENT'], ['file', 'ENOTDIR'], ['link', 'ELOOP'], ['..', 'EACCES']]) {
    const told = [];
    const onError = (...args) => told.push(args);
    assert.deepStrictEqual(await collect(root.walk(at, { onError })), []);
    assert.deepStrictEqual(told.map(([error, entry]) => [error.code, error.path, entry]), [[code, at, undefined]]);
  }
  root.close();
  const onError = () => assert.fail('it was called');
  await assert.rejects(collect(root.walk('.', { onError })), { code: 'EBADF', reason: 'closed' });
}); // biome-ignore format: a table

test('what a path cannot reach is reported, and the rest is listed', async (t) => {
  const { root, at } = sandbox(t, { other: { file: '' } }, memory);
  // Longer than any call takes.
  const name = 'x'.repeat(250);
  const top = at('deep');
  fs.mkdirSync(top);
  const fds = [];
  let here = top;
  for (let i = 0; i < 20; i++) {
    fs.mkdirSync(`${here}/${name}`);
    fds.push(fs.openSync(`${here}/${name}`, fs.constants.O_DIRECTORY));
    here = `/proc/self/fd/${fds.at(-1)}`;
  }
  for (const fd of fds) fs.closeSync(fd);
  const told = [];
  const onError = (error, entry) => told.push([error.code, error.path === entry.path, entry.name]);
  for (const filter of [undefined, () => true]) {
    const entries = await collect(root.walk('.', { onError, filter }));
    assert.ok(entries.some((entry) => entry.path === 'other/file'));
    assert.strictEqual(entries.length, 3 + 17);
  }
  assert.deepStrictEqual(told, Array(2).fill(['ENAMETOOLONG', true, name]));
  root.rm('deep', true);
});

test('a wide and deep tree is walked with a filter in constant memory and with few descriptors', async (t) => {
  const { dir, root } = sandbox(t, {}, memory);
  for (let i = 0; i < 500; i++) plant(dir, { [`d${i}`]: { a: { b: {} }, node_modules: { x: {} } } });
  const descriptors = () => fs.readdirSync('/proc/self/fd').length;
  const before = descriptors();
  let [most, seen] = [0, 0];
  for await (const entry of root.walk('.', { filter: ({ name }) => name !== 'node_modules' })) {
    assert.ok(!entry.path.includes('node_modules'));
    most = Math.max(most, descriptors());
    seen += 1;
  }
  assert.strictEqual(seen, 1500);
  assert.ok(most - before <= 40, `${most - before} descriptors`);
  assert.ok(descriptors() <= before);
});

test('what filter and onError can be is checked first', (t) => {
  const { root } = sandbox(t);
  for (const key of ['filter', 'onError']) {
    for (const value of [true, 'x', {}, 1])
      assert.throws(() => root.walk('.', { [key]: value }), { code: 'ERR_INVALID_ARG_TYPE' });
    for (const value of [null, undefined]) root.walk('.', { [key]: value });
  }
});

test('a filter that throws ends the walk, and what it holds is closed', async (t) => {
  const { root } = sandbox(t, TREE);
  const descriptors = () => fs.readdirSync('/proc/self/fd').length;
  const before = descriptors();
  const enough = new Error('enough');
  for (const filter of [() => { throw enough; }, async () => { throw enough; }])
    await assert.rejects(collect(root.walk('.', { filter })), (error) => error === enough);
  // They are closed on another thread.
  for (const end = performance.now() + 10_000; descriptors() > before && performance.now() < end; ) await sleep(10);
  assert.ok(descriptors() <= before);
}); // biome-ignore format: short functions

test('entries of readdir and walk join their paths as the root does', async (t) => {
  const { dir } = sandbox(t, { dir: { file: '' } });
  for (const symlinks of POLICIES) {
    const root = new SandboxRoot(dir, { symlinks });
    const places = {
      '.': 'dir',
      './': 'dir',
      dir: 'dir/file',
      'dir/': 'dir/file',
      'dir//': 'dir/file',
      './dir': './dir/file',
    };
    if (symlinks === 'in-root') Object.assign(places, { '/': '/dir', '//dir': '//dir/file' });
    for (const [place, at] of Object.entries(places)) {
      for (const encoding of ['utf8', 'buffer']) {
        const options = { withFileTypes: true, encoding };
        const [entry] = root.readdir(place, options);
        const [same] = await root.promises.readdir(place, options);
        const walk = root.walk(place, { encoding });
        const { value } = await walk.next();
        await walk.return();
        for (const one of [entry, same, value]) assert.strictEqual(`${one.path}`, at, `${place} ${encoding}`);
        assert.ok(root.lstat(entry.path));
      }
    }
    root.close();
  }
});
