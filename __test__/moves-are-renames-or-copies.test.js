'use strict';
// move: one rename where that can be, else a copy beside the destination, one rename, and the source goes.
// Whatever fails, one whole of it is there.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { SandboxRoot } = require('..');
const { inChild } = require('./child');
const {
  bothWays,
  codeOfPromise,
  fifo,
  file,
  isRoot,
  link,
  memory,
  outcome,
  plant,
  sandbox,
  settled,
  snapshot,
  tempDir,
  withoutMounts,
} = require('./support');

const MiB = 2 ** 20;
const read = (at) => fs.readFileSync(at, 'utf8');

const TREE = {
  file: file('content', 0o640), dir: { a: { b: 'b' }, none: {}, up: link('../..'), tofile: link('../file') }, tofile: link('file'),
  dangling: link('nowhere'), pipe: fifo(), 'new\nline': { 'ünï 😀': '' }, executable: file('#!', 0o755),
}; // biome-ignore format: a tree

bothWays('within a file system it is a rename: the same inode, wherever it is', async (t, of) => {
  const { dir, root, at } = sandbox(t, { src: TREE, other: {} });
  for (const name of ['file', 'dir', 'tofile', 'dangling', 'pipe']) {
    const { ino } = fs.lstatSync(at('src', name));
    assert.strictEqual(await of(root).move(`src/${name}`, `other/${name}`), undefined);
    assert.strictEqual(fs.lstatSync(at('other', name)).ino, ino);
    assert.ok(!fs.readdirSync(at('src')).includes(name));
  }
  assert.strictEqual(read(at('other/dir/a/b')), 'b');
  assert.deepStrictEqual(fs.readdirSync(dir).sort(), ['other', 'src']);
});

bothWays('without overwrite what is there is EEXIST, and both stay', async (t, of) => {
  const { dir, root } = sandbox(t, { a: 'a', b: 'b', dir: {}, full: { x: '' }, toa: link('a'), dangling: link('x') });
  const before = snapshot(dir);
  for (const [src, dest] of [['a', 'b'], ['a', 'dir'], ['a', 'toa'], ['a', 'dangling'], ['dir', 'full'], ['full', 'dir'], ['toa', 'b'], ['a', 'a'], ['dir', 'a']]) {
    for (const options of [undefined, null, {}, { overwrite: false }]) {
      const { error } = await settled(of(root).move(src, dest, options));
      const { code, syscall, path, dest: to, message } = error;
      assert.deepStrictEqual([code, syscall, path, to], ['EEXIST', 'rename', src, dest]);
      assert.strictEqual(message, `EEXIST: file already exists, rename '${src}' -> '${dest}'`);
    }
  }
  assert.deepStrictEqual(snapshot(dir), before);
}); // biome-ignore format: a list

bothWays('with overwrite it replaces what fs.rename replaces, and fails as that fails', async (t, of) => {
  const tree = { a: 'a', b: 'b', dir: {}, empty: {}, full: { x: '' }, toa: link('a') };
  const names = [...Object.keys(tree), 'missing', 'missing/x', 'a/x', 'full/x', 'new', 'dir/'];
  const codes = new Set();
  for (const src of names) {
    for (const dest of names) {
      const [ours, node] = [sandbox(t, tree, memory), sandbox(t, tree, memory)];
      const home = process.cwd();
      process.chdir(node.dir);
      const expected = outcome(() => fs.renameSync(src, dest));
      process.chdir(home);
      const got = await settled(of(ours.root).move(src, dest, { overwrite: true }));
      assert.deepStrictEqual(got, expected, `${src} to ${dest}`);
      assert.deepStrictEqual(snapshot(ours.dir), snapshot(node.dir), `${src} to ${dest}`);
      codes.add(expected.error?.code);
    }
  }
  assert.ok(['ENOENT', 'ENOTDIR', 'EISDIR', 'ENOTEMPTY', undefined].every((code) => codes.has(code)));
});

bothWays('what cannot be moved is refused', async (t, of) => {
  const { dir, root } = sandbox(t, { a: 'a', dir: { sub: {} }, todir: link('dir') });
  const before = snapshot(dir);
  for (const [src, dest, code] of [
    ['.', 'new', 'EBUSY'],
    ['a', '.', 'EBUSY'],
    ['dir', 'dir/sub/new', 'EINVAL'],
    ['../a', 'new', 'EACCES'],
    ['a', '/new', 'EACCES'],
    ['todir/sub', 'new', 'ELOOP'],
    ['a', 'todir/new', 'ELOOP'],
    ['', 'new', 'ENOENT'],
    ['a', '', 'ENOENT'],
    ['a\0', 'new', 'ERR_INVALID_ARG_VALUE'],
    [undefined, 'new', 'ERR_INVALID_ARG_TYPE'],
    ['a', 7, 'ERR_INVALID_ARG_TYPE'],
  ]) {
    for (const overwrite of [false, true]) {
      const got = await codeOfPromise(of(root).move(src, dest, { overwrite }));
      // What is there is there, before anything else is known of it.
      assert.ok(
        got === code || (got === 'EEXIST' && dest === '.' && !overwrite),
        `${src} to ${dest}: ${got}`,
      );
    }
  }
  for (const options of ['overwrite', 1, { overwrite: 1 }, { onProgress: 1 }, { signal: 1 }, { to: 1 }])
    assert.strictEqual(await codeOfPromise(of(root).move('a', 'new', options)), 'ERR_INVALID_ARG_TYPE');
  assert.deepStrictEqual(snapshot(dir), before);
});

/** Why nothing can be moved to another file system, or `false`. */
const oneFileSystem =
  fs.statSync(memory).dev === fs.statSync(os.tmpdir()).dev && 'needs /dev/shm as a second file system';
const across = { skip: oneFileSystem };

/** A root with `tree` on one file system, and one with `there` on another. */
function twoFileSystems(t, tree, there = {}) {
  const from = sandbox(t, tree);
  const dir = tempDir(t, memory);
  plant(dir, there);
  return { from, to: { dir, root: new SandboxRoot(dir), at: (...names) => path.join(dir, ...names) } };
}

bothWays('to another file system a tree arrives whole, and is gone where it was', across, async (t, of) => {
  const { from, to } = twoFileSystems(t, { src: TREE });
  fs.chmodSync(from.at('src/dir/a'), 0o711);
  fs.chmodSync(from.at('src/dir/none'), 0o500);
  fs.linkSync(from.at('src/file'), from.at('src/dir/second'));
  const names = [...Object.keys(snapshot(from.at('src'))), ''];
  if (isRoot)
    for (const name of ['file', 'dir', 'tofile', 'pipe']) fs.lchownSync(from.at('src', name), 1234, 4321);
  for (const [i, name] of names.entries())
    from.root.lutimes(path.join('src', name), 1_000_000_000n + BigInt(i), 1_000_000_123_456_789n + BigInt(i));
  const before = snapshot(from.at('src'));
  const times = (root) => names.map((name) => root.lstat(path.join('src', name), { bigint: true }).mtimeNs);
  const [set, sizes] = [times(from.root), fs.readdirSync(to.dir)];
  assert.deepStrictEqual(sizes, []);
  assert.strictEqual(await of(from.root).move('src', 'src', { to: to.root }), undefined);
  assert.deepStrictEqual(snapshot(to.at('src')), before);
  assert.deepStrictEqual(times(to.root), set);
  assert.strictEqual(fs.statSync(to.at('src/file')).nlink, 2);
  if (isRoot) assert.strictEqual(fs.lstatSync(to.at('src/tofile')).gid, 4321);
  assert.deepStrictEqual([fs.readdirSync(from.dir), fs.readdirSync(to.dir)], [[], ['src']]);
});

bothWays('files, links and FIFOs go to another file system, and back', across, async (t, of) => {
  const { from, to } = twoFileSystems(t, TREE);
  const before = snapshot(from.dir);
  for (const name of Object.keys(TREE)) await of(from.root).move(name, name, { to: to.root });
  assert.deepStrictEqual([snapshot(to.dir), fs.readdirSync(from.dir)], [before, []]);
  for (const name of Object.keys(TREE)) await of(to.root).move(name, name, { to: from.root });
  assert.deepStrictEqual([snapshot(from.dir), fs.readdirSync(to.dir)], [before, []]);
});

bothWays('there too, what is there is EEXIST, or replaced with overwrite', across, async (t, of) => {
  const { from, to } = twoFileSystems(t, { a: 'a', dir: { x: 'x' } }, { a: 'old', dir: {}, full: { y: 'y' }, toa: link('a') });
  const [before, there] = [snapshot(from.dir), snapshot(to.dir)];
  for (const [src, dest] of [['a', 'a'], ['a', 'dir'], ['a', 'toa'], ['dir', 'dir'], ['dir', 'full'], ['dir', 'a']]) {
    const { error } = await settled(of(from.root).move(src, dest, { to: to.root }));
    assert.deepStrictEqual([error.code, error.path, error.dest], ['EEXIST', src, dest]);
  }
  for (const [src, dest, code] of [['a', 'full', 'EISDIR'], ['dir', 'full', 'ENOTEMPTY'], ['dir', 'a', 'ENOTDIR'], ['a', 'dir', 'EISDIR']]) {
    const got = await codeOfPromise(of(from.root).move(src, dest, { to: to.root, overwrite: true }));
    assert.strictEqual(got, code, `${src} to ${dest}`);
  }
  assert.deepStrictEqual([snapshot(from.dir), snapshot(to.dir)], [before, there]);
  await of(from.root).move('dir', 'dir', { to: to.root, overwrite: true });
  await of(from.root).move('a', 'toa', { to: to.root, overwrite: true });
  assert.deepStrictEqual([read(to.at('dir/x')), read(to.at('toa')), read(to.at('a'))], ['x', 'a', 'old']);
  assert.deepStrictEqual(fs.readdirSync(from.dir), []);
}); // biome-ignore format: a list

bothWays(
  'what cannot be copied stays where it is, and nothing of it is left elsewhere',
  across,
  async (t, of) => {
    const { from, to } = twoFileSystems(t, { src: { a: 'a', dir: { z: 'z' } } }, { old: 'old' });
    const server = net.createServer();
    await new Promise((resolve) => server.listen(from.at('src/dir/socket'), resolve));
    t.after(() => new Promise((resolve) => server.close(resolve)));
    const before = snapshot(from.dir);
    for (const dest of ['new', 'old']) {
      const { error } = await settled(
        of(from.root).move('src', dest, { to: to.root, overwrite: dest === 'old' }),
      );
      assert.match(error.code, dest === 'new' ? /^ENXIO$/ : /^(ENXIO|ENOTDIR)$/);
      assert.strictEqual(
        await codeOfPromise(of(from.root).move('src/dir/socket', dest, { to: to.root, overwrite: true })),
        'ENXIO',
      );
    }
    assert.strictEqual(
      await codeOfPromise(of(from.root).move('src', 'missing/new', { to: to.root })),
      'ENOENT',
    );
    assert.strictEqual(await codeOfPromise(of(from.root).move('missing', 'new', { to: to.root })), 'ENOENT');
    assert.strictEqual(await codeOfPromise(of(from.root).move('.', 'new', { to: to.root })), 'EBUSY');
    assert.deepStrictEqual([snapshot(from.dir), fs.readdirSync(to.dir)], [before, ['old']]);
    assert.strictEqual(read(to.at('old')), 'old');
  },
);

test(
  'an abort on the way to another file system leaves the source whole, and nothing elsewhere',
  across,
  async (t) => {
    const { from, to } = twoFileSystems(t, { src: { dir: {} } });
    for (let i = 0; i < 2000; i++) fs.writeFileSync(from.at('src/dir', `${i}`), `${i}`);
    fs.writeFileSync(from.at('src/large'), Buffer.alloc(64 * MiB, 'x'));
    const before = snapshot(from.dir);
    let stopped = 0;
    for (const delay of [0, 1, 5, 20]) {
      const controller = new AbortController();
      const moving = settled(
        from.root.promises.move('src', 'src', { to: to.root, signal: controller.signal }),
      );
      setTimeout(() => controller.abort(), delay);
      const { error } = await moving;
      if (error === undefined) {
        // It was done already: back, for the next round.
        await to.root.promises.move('src', 'src', { to: from.root });
      } else {
        assert.deepStrictEqual([error.name, error.code], ['AbortError', 'ABORT_ERR']);
        stopped += 1;
      }
      assert.deepStrictEqual(snapshot(from.dir), before);
      assert.deepStrictEqual(fs.readdirSync(to.dir), []);
    }
    assert.ok(stopped > 0);
  },
);

test('what takes the place while it is copied to another file system is not replaced', across, async (t) => {
  const { from, to } = twoFileSystems(t, { src: {} });
  for (let i = 0; i < 3000; i++) fs.writeFileSync(from.at('src', `${i}`), `${i}`);
  const before = snapshot(from.dir);
  let met = 0;
  for (let round = 0; round < 5; round++) {
    const moving = settled(from.root.promises.move('src', 'dest', { to: to.root }));
    // The copy is under way once it is there under a name of its own.
    while (fs.readdirSync(to.dir).length === 0) await new Promise(setImmediate);
    const { error: late } = outcome(() => fs.mkdirSync(to.at('dest')));
    const { error } = await moving;
    if (late !== undefined) {
      to.root.move('dest', 'src', { to: from.root });
      continue;
    }
    met += 1;
    assert.strictEqual(error?.code, 'EEXIST');
    assert.deepStrictEqual([fs.readdirSync(to.dir), fs.readdirSync(to.at('dest'))], [['dest'], []]);
    assert.deepStrictEqual(snapshot(from.dir), before);
    fs.rmdirSync(to.at('dest'));
  }
  assert.ok(met > 0);
});

test('onProgress tells what is copied, and one that throws leaves the source whole', across, async (t) => {
  const { from, to } = twoFileSystems(t, { src: { a: 'aaaa', dir: { b: 'bb' } } });
  const thrown = new Error('enough');
  const onProgress = () => {
    throw thrown;
  };
  let before;
  for (let error, files = 10_000; error === undefined; files *= 2) {
    assert.ok(files < 500_000, 'it was never stopped');
    // So small a tree may be moved before the first call.
    if (to.root.exists('thrown')) to.root.move('thrown', 'src', { to: from.root });
    for (let i = 0; i < files; i++) fs.closeSync(fs.openSync(from.at('src/dir', `${i}`), 'w'));
    before = snapshot(from.dir);
    ({ error } = await settled(from.root.promises.move('src', 'thrown', { to: to.root, onProgress })));
    if (error !== undefined) assert.strictEqual(error.message, thrown.message);
  }
  assert.deepStrictEqual(snapshot(from.dir), before);
  const told = [];
  await from.root.promises.move('src', 'src', { to: to.root, onProgress: (progress) => told.push(progress) });
  assert.ok(told.length > 0 && told.at(-1).bytes === 6 && told.at(-1).entries >= 4, JSON.stringify(told));
});

test('across a mount within one root it is a copy too', { skip: withoutMounts }, async (t) => {
  const { dir } = sandbox(t, { src: TREE, file: 'x', mnt: {} });
  const before = snapshot(path.join(dir, 'src'));
  const body = async (dir) => {
    const root = new SandboxRoot(dir);
    const codes = [];
    const code = (call) => {
      try {
        call();
        return 'success';
      } catch (error) {
        return `${error.code} ${error.syscall}`;
      }
    };
    codes.push(code(() => root.rename('src', 'mnt/src')));
    codes.push(code(() => root.move('src', 'mnt/src')));
    codes.push(code(() => root.move('file', 'mnt/src')));
    codes.push(code(() => root.move('mnt', 'other')));
    codes.push(code(() => root.move('file', 'mnt')));
    codes.push(code(() => root.move('file', 'mnt', { overwrite: true })));
    const there = [fs.readdirSync(dir).sort(), fs.readdirSync(`${dir}/mnt`)];
    await root.promises.move('mnt/src', 'src');
    return { codes, there, after: fs.readdirSync(`${dir}/mnt`) };
  };
  const wrap = [
    'unshare',
    '--mount',
    'sh',
    '-c',
    'mount -t tmpfs tmpfs "$0" && exec "$@"',
    path.join(dir, 'mnt'),
  ];
  const { codes, there, after } = await inChild(t, body, [dir], { wrap });
  assert.deepStrictEqual(codes.slice(0, 3), ['EXDEV rename', 'success', 'EEXIST rename']);
  // A mount point can be neither moved nor replaced.
  for (const code of codes.slice(3)) assert.match(code, /^(EBUSY|EXDEV|EEXIST|EISDIR) /);
  assert.deepStrictEqual(there, [['file', 'mnt'], ['src']]);
  assert.deepStrictEqual([after, snapshot(path.join(dir, 'src'))], [[], before]);
});

test('a file system that is full on the other side leaves the source whole, and nothing there', {
  skip: withoutMounts,
}, async (t) => {
  const { dir } = sandbox(t, { src: { a: 'a', large: 'x'.repeat(3 * MiB), z: 'z' }, mnt: {} });
  const before = snapshot(path.join(dir, 'src'));
  const body = async (dir) => {
    const root = new SandboxRoot(dir);
    const codes = [];
    for (const of of [root, root.promises])
      for (const name of ['src', 'src/large']) {
        try {
          await of.move(name, 'mnt/new');
          codes.push('success');
        } catch (error) {
          codes.push(error.code);
        }
      }
    return { codes, left: fs.readdirSync(`${dir}/mnt`) };
  };
  const wrap = [
    'unshare',
    '--mount',
    'sh',
    '-c',
    'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"',
    path.join(dir, 'mnt'),
  ];
  const got = await inChild(t, body, [dir], { wrap });
  assert.deepStrictEqual(got, { codes: Array(4).fill('ENOSPC'), left: [] });
  assert.deepStrictEqual(snapshot(path.join(dir, 'src')), before);
});
