'use strict';
// move from one file system to another: a copy beside the destination, one rename, and the source is removed.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('..');
const { came, disk, folder, folderOn, privately, run, traits, WAYS } = require('./mounts');
const { fifo, file, link, plant, snapshot } = require('./support');

const test = privately(__filename);

const PAIRS = [
  ['btrfs', 'tmpfs'],
  ['tmpfs', 'xfs'],
  ['xfs', 'btrfs'],
  ['ext4', 'fuse2fs'],
  ['fuse2fs', 'ext4 without types'],
  ['bindfs', 'overlayfs'],
  ['overlayfs of two file systems', 'bindfs'],
];

function scene(t, kind) {
  const dir = folderOn(t, kind);
  const root = new SandboxRoot(dir);
  t.after(() => root.close());
  return { dir, root, at: (...names) => path.join(dir, ...names) };
}

/**
 * A test from one file system to another, each way. `move` replaces nothing; where the file system cannot
 * promise that, it has said so, and both sides were as they had been.
 */
function onEachPair(title, action) {
  for (const [source, target] of PAIRS) {
    for (const [way, call] of WAYS) {
      test(`${source} to ${target}, ${way}: ${title}`, async (t) => {
        const [from, to] = [scene(t, source), scene(t, target)];
        const attempt = (src, dest, options) =>
          call(from.root, 'move', src, dest, { to: to.root, ...options });
        const move = async (src, dest, options) => {
          if (traits[target].flags || options?.overwrite) return attempt(src, dest, options);
          const before = [snapshot(from.dir), snapshot(to.dir)];
          const { code } = await came(attempt(src, dest, options));
          assert.deepStrictEqual([snapshot(from.dir), snapshot(to.dir)], before);
          if (code !== 'EINVAL') throw Object.assign(new Error(code), { code });
          return attempt(src, dest, { ...options, overwrite: true });
        };
        await action({ t, from, to, move, call });
      });
    }
  }
}

/** A tree with everything that a move has to keep. */
function everything(at) {
  fs.mkdirSync(at);
  plant(at, {
    file: file('content', 0o640),
    script: file('#!/bin/sh', 0o751),
    secret: file('secret', 0o400),
    empty: {},
    dir: { inner: 'inner', up: link('../file'), deeper: { deep: 'deep', pipe: fifo() } },
    dangling: link('../../nowhere'),
  });
  fs.linkSync(path.join(at, 'file'), path.join(at, 'dir/hard'));
  fs.chownSync(path.join(at, 'dir/inner'), 12, 34);
  fs.lchownSync(path.join(at, 'dangling'), 56, 78);
  fs.chownSync(path.join(at, 'dir/deeper'), 90, 12);
  fs.chmodSync(path.join(at, 'dir/deeper'), 0o710);
  fs.chmodSync(path.join(at, 'empty'), 0o500);
  // Whole seconds: some of the file systems have no finer ones.
  for (const name of ['file', 'dir/inner', 'dir/deeper', 'dir', 'empty', '.']) {
    fs.utimesSync(path.join(at, name), 1e6, 2e6);
  }
  fs.lutimesSync(path.join(at, 'dangling'), 1e6, 2e6);
}

/** The tree with its own mode and time; the link counts of directories are the file system's affair. */
function whole(at) {
  const { mode, uid, mtimeMs } = fs.statSync(at);
  const tree = { ...snapshot(at), '.': { mode: mode.toString(8), uid, mtime: mtimeMs } };
  for (const entry of Object.values(tree)) if (entry.mode.startsWith('4')) delete entry.nlink;
  return tree;
}

onEachPair('a tree arrives with its modes, times, owners, links and FIFOs', async ({ from, to, move }) => {
  everything(from.at('tree'));
  plant(from.dir, { stays: 'stays' });
  const before = whole(from.at('tree'));
  await move('tree', 'moved');
  assert.deepStrictEqual(whole(to.at('moved')), before);
  assert.strictEqual(fs.statSync(to.at('moved/dir/inner')).gid, 34);
  assert.deepStrictEqual([fs.readdirSync(from.dir), fs.readdirSync(to.dir)], [['stays'], ['moved']]);
});

onEachPair('a file, a link and a FIFO arrive', async ({ from, to, move }) => {
  plant(from.dir, { file: file('content', 0o751), soft: link('../nowhere'), pipe: fifo() });
  fs.writeFileSync(from.at('sparse'), 'x');
  fs.truncateSync(from.at('sparse'), 8 << 20);
  fs.utimesSync(from.at('file'), 1e6, 2e6);
  const before = snapshot(from.dir);
  for (const name of Object.keys(before)) await move(name, name);
  assert.deepStrictEqual(snapshot(to.dir), before);
  assert.deepStrictEqual(fs.readdirSync(from.dir), []);
  assert.ok(fs.statSync(to.at('sparse')).blocks * 512 < 1 << 20);
});

onEachPair('what is there is replaced with `overwrite`, and kept without', async ({ from, to, move }) => {
  plant(from.dir, { file: 'new', other: 'new', tree: { x: 'x' }, more: { y: 'y' } });
  plant(to.dir, { file: file('old', 0o600), soft: link('file'), empty: {}, full: { z: 'z' } });
  const before = [snapshot(from.dir), snapshot(to.dir)];
  const refused = [
    ['file', 'file'],
    ['file', 'soft'],
    ['file', 'empty'],
    ['tree', 'empty'],
    ['tree', 'full'],
    ['tree', 'file'],
  ];
  for (const [src, dest] of refused) {
    assert.strictEqual((await came(move(src, dest))).code, 'EEXIST', `${src} ${dest}`);
    assert.deepStrictEqual([snapshot(from.dir), snapshot(to.dir)], before, `${src} ${dest}`);
  }
  for (const [src, dest, code] of [
    ['file', 'empty', /^EISDIR$/],
    ['tree', 'file', /^ENOTDIR$/],
    ['tree', 'full', /^(ENOTEMPTY|EEXIST)$/],
  ]) {
    assert.match(`${(await came(move(src, dest, { overwrite: true }))).code}`, code, `${src} ${dest}`);
    assert.deepStrictEqual([snapshot(from.dir), snapshot(to.dir)], before, `${src} ${dest}`);
  }
  await move('file', 'file', { overwrite: true });
  await move('other', 'soft', { overwrite: true });
  await move('tree', 'empty', { overwrite: true });
  assert.deepStrictEqual(fs.readdirSync(from.dir), ['more']);
  const names = ['empty', 'empty/x', 'file', 'full', 'full/z', 'soft'];
  assert.deepStrictEqual(Object.keys(snapshot(to.dir)), names);
  const content = (name) => fs.readFileSync(to.at(name), 'utf8');
  assert.deepStrictEqual([content('file'), content('soft'), content('empty/x')], ['new', 'new', 'x']);
});

onEachPair('the kernel does not rename or link there', async ({ from, to, call }) => {
  plant(from.dir, { file: 'content', dir: { inner: 'inner' } });
  const before = snapshot(from.dir);
  for (const method of ['rename', 'renameNoReplace', 'link']) {
    for (const name of method === 'link' ? ['file'] : ['file', 'dir']) {
      const { code } = await came(call(from.root, method, name, 'new', { to: to.root }));
      assert.strictEqual(code, 'EXDEV', `${method} ${name}`);
    }
  }
  assert.deepStrictEqual([snapshot(from.dir), fs.readdirSync(to.dir)], [before, []]);
});

onEachPair('a copy arrives', async ({ from, to, call }) => {
  everything(from.at('tree'));
  fs.writeFileSync(from.at('tree/sparse'), 'x');
  fs.truncateSync(from.at('tree/sparse'), 8 << 20);
  fs.utimesSync(from.at('tree'), 1e6, 2e6);
  const [before, there] = [whole(from.at('tree')), { to: to.root }];
  await call(from.root, 'cp', 'tree', 'copy', { recursive: true, preserveTimestamps: true, ...there });
  await call(from.root, 'copyFile', 'tree/sparse', 'sparse', null, there);
  assert.deepStrictEqual(whole(from.at('tree')), before);
  for (const entry of Object.values(before)) entry.uid = 0;
  assert.deepStrictEqual(whole(to.at('copy')), before);
  assert.ok(fs.readFileSync(to.at('sparse')).equals(fs.readFileSync(from.at('tree/sparse'))));
  for (const name of ['sparse', 'copy/sparse']) {
    assert.ok(fs.statSync(to.at(name)).blocks * 512 < 1 << 20, name);
  }
});

onEachPair(
  'what is missing, or refused, leaves both sides as they were',
  async ({ t, from, to, move, call }) => {
    everything(from.at('tree'));
    const socket = require('node:net').createServer();
    await new Promise((resolve) => socket.listen(from.at('socket'), resolve));
    t.after(() => socket.close());
    const before = [snapshot(from.dir), snapshot(to.dir)];
    for (const [src, dest, code] of [
      ['missing', 'new', 'ENOENT'],
      ['tree/file', 'missing/new', 'ENOENT'],
      ['tree/dangling/x', 'new', 'ELOOP'],
      ['.', 'new', 'EBUSY'],
      ['tree', '.', 'EBUSY'],
      ['../tree', 'new', 'EACCES'],
      ['tree', '../new', 'EACCES'],
      ['socket', 'new', 'ENXIO'],
    ]) {
      assert.strictEqual((await came(move(src, dest, { overwrite: true }))).code, code, `${src} ${dest}`);
      assert.deepStrictEqual([snapshot(from.dir), snapshot(to.dir)], before, `${src} ${dest}`);
    }
    const readonly = new SandboxRoot(from.dir, { readonly: true });
    t.after(() => readonly.close());
    const { code } = await came(call(readonly, 'move', 'tree', 'new', { to: to.root }));
    assert.deepStrictEqual([code, fs.readdirSync(to.dir)], ['EROFS', []]);
  },
);

/** Gives something an access ACL, a default one, or an attribute that takes more than a block of ext4. */
const ATTRIBUTES = {
  acl: (at) => run('setfacl', '-m', 'u:33:rw', at),
  'default acl': (at) =>
    run('setfacl', '-d', '-m', `${Array.from({ length: 600 }, (_, i) => `u:${i + 1}:rw`)}`, at),
  attribute: (at) => run('setfattr', '-n', 'user.large', '-v', 'x'.repeat(8000), at),
};
for (const [what, type] of [
  ['acl', 'file'],
  ['attribute', 'file'],
  ['attribute', 'directory'],
  ['default acl', 'directory'],
]) {
  for (const [way, call] of WAYS) {
    test(`${way}: no space for the ${what} of a ${type}: ENOSPC, and the source is whole`, async (t) => {
      const small = folder('small');
      disk(small, 16, ['mkfs.ext4', '-q', '-I', '128', '-m', '0']);
      const [from, to] = [scene(t, 'xfs'), new SandboxRoot(small)];
      t.after(() => to.close());
      if (type === 'directory') fs.mkdirSync(from.at('src'));
      else fs.writeFileSync(from.at('src'), '');
      ATTRIBUTES[what](from.at('src'));
      // What a file has beside its inode takes a block.
      if (what === 'acl') fill(path.join(small, 'filler'));
      const before = [snapshot(from.dir), fs.readdirSync(small)];
      for (const [method, options] of [
        ['move', {}],
        ['cp', { recursive: true, preserve: true }],
        ['cp', { recursive: true, preserve: true, atomic: true }],
      ]) {
        const { code } = await came(call(from.root, method, 'src', 'dest', { to, ...options }));
        assert.deepStrictEqual([snapshot(from.dir), fs.readdirSync(small)], before, method);
        assert.strictEqual(code, 'ENOSPC', method);
      }
    });
  }
}

/** Makes a file that leaves no room on its file system. */
function fill(at) {
  const fd = fs.openSync(at, 'w');
  try {
    for (;;) fs.writeSync(fd, Buffer.alloc(1024, 'x'));
  } catch (error) {
    assert.strictEqual(error.code, 'ENOSPC');
  } finally {
    fs.closeSync(fd);
  }
}

for (const [way, call] of WAYS) {
  test(`${way}: no space on the other side: ENOSPC, nothing half-made there, and the source is whole`, async (t) => {
    const small = folder('small');
    run('mount', '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', small);
    const [from, to] = [scene(t, 'ext4'), new SandboxRoot(small)];
    t.after(() => to.close());
    plant(small, { old: 'old' });
    fs.mkdirSync(from.at('tree/dir'), { recursive: true });
    for (const name of ['large', 'tree/a', 'tree/dir/b'])
      fs.writeFileSync(from.at(name), Buffer.alloc(200 << 10, 'x'));
    const before = [snapshot(from.dir), snapshot(small)];
    for (const [src, dest] of [
      ['tree', 'new'],
      ['tree', 'old'],
      ['large', 'fits'],
      ['tree/a', 'old'],
    ]) {
      if (src === 'large') {
        fs.writeFileSync(path.join(small, 'filler'), Buffer.alloc(100 << 10, 'x'));
        before[1] = snapshot(small);
      }
      const { code } = await came(
        call(from.root, 'move', src, dest, { to, overwrite: dest === 'old' && src !== 'tree' }),
      );
      assert.strictEqual(code, src === 'tree' && dest === 'old' ? 'EEXIST' : 'ENOSPC', `${src} ${dest}`);
      assert.deepStrictEqual([snapshot(from.dir), snapshot(small)], before, `${src} ${dest}`);
    }
  });

  test(`${way}: a move within one root, across what is mounted in it`, async (t) => {
    const dir = folder('root');
    for (const name of ['mnt', 'tmp']) fs.mkdirSync(path.join(dir, name));
    run('mount', '-t', 'tmpfs', 'tmpfs', path.join(dir, 'mnt'));
    const root = new SandboxRoot(dir);
    const at = (name) => path.join(dir, name);
    t.after(() => root.close());
    everything(at('tree'));
    const before = whole(at('tree'));
    await call(root, 'move', 'tree', 'mnt/tree');
    assert.deepStrictEqual([whole(at('mnt/tree')), fs.readdirSync(dir).sort()], [before, ['mnt', 'tmp']]);
    await call(root, 'move', 'mnt/tree', 'tmp/back');
    assert.deepStrictEqual([whole(at('tmp/back')), fs.readdirSync(at('mnt'))], [before, []]);
    // The mount point itself is in use.
    assert.strictEqual((await came(call(root, 'move', 'mnt', 'elsewhere'))).code, 'EBUSY');
    const over = await came(call(root, 'move', 'tmp/back', 'mnt', { overwrite: true }));
    assert.strictEqual(over.code, 'EBUSY');
    assert.deepStrictEqual(fs.readdirSync(dir).sort(), ['mnt', 'tmp']);
    assert.deepStrictEqual(whole(at('tmp/back')), before);
  });

  test(`${way}: a move tells its progress`, async (t) => {
    const [from, to] = [scene(t, 'xfs'), scene(t, 'tmpfs')];
    for (let i = 0; i < 50; i++) plant(from.dir, { [`dir${i}`]: { a: 'aa', b: 'bbb' } });
    fs.mkdirSync(from.at('tree'));
    for (let i = 0; i < 50; i++) fs.renameSync(from.at(`dir${i}`), from.at(`tree/dir${i}`));
    const seen = [];
    const onProgress = (progress) => seen.push({ ...progress });
    await call(from.root, 'move', 'tree', 'tree', { to: to.root, onProgress });
    assert.strictEqual(seen.at(-1).bytes, 250);
    assert.ok(seen.at(-1).entries >= 151);
    assert.deepStrictEqual([fs.readdirSync(from.dir), Object.keys(snapshot(to.dir)).length], [[], 151]);
  });

  test(`${way}: a move that is stopped leaves the source whole and nothing on the other side`, async (t) => {
    const [from, to] = [scene(t, 'xfs'), scene(t, 'tmpfs')];
    everything(from.at('tree'));
    const before = whole(from.at('tree'));
    const reason = new Error('stopped');
    const signal = AbortSignal.abort(reason);
    await assert.rejects(async () => call(from.root, 'move', 'tree', 'tree', { to: to.root, signal }), {
      name: 'AbortError',
      code: 'ABORT_ERR',
      cause: reason,
    });
    assert.deepStrictEqual([whole(from.at('tree')), fs.readdirSync(to.dir)], [before, []]);
  });

  for (const kind of ['bind mount', 'FUSE mirror', 'FUSE mirror, out of it']) {
    test(`${way}: a move to the same place, seen through a ${kind}, loses nothing`, async (t) => {
      const base = folder('base');
      plant(base, { vol: { sub: { file: 'precious', empty: {}, dir: { inner: 'inner' } } }, alias: {} });
      const dir = path.join(base, 'vol/sub');
      if (kind === 'bind mount') run('mount', '--bind', dir, path.join(base, 'alias'));
      else run('bindfs', dir, path.join(base, 'alias'));
      // Both start at the same directory: one by its own path, one by the other mount.
      const sides = [dir, path.join(base, 'alias')];
      if (kind.endsWith('out of it')) sides.reverse();
      const [root, to] = sides.map((side) => new SandboxRoot(side));
      t.after(() => [root, to].forEach((one) => one.close()));
      const before = snapshot(dir);
      for (const overwrite of [false, true]) {
        for (const [src, dest] of [
          ['file', 'file'],
          ['empty', 'empty'],
          ['dir', 'dir'],
          ['dir/inner', 'dir/inner'],
          // Nothing tells that one side of a FUSE mirror is within the other.
          ...(kind === 'bind mount' ? [['dir', 'dir/new']] : []),
        ]) {
          const { code } = await came(call(root, 'move', src, dest, { to, overwrite }));
          if (kind === 'bind mount') assert.match(`${code}`, /^(EINVAL|EEXIST|ENOTEMPTY)$/, `${src} ${dest}`);
          assert.deepStrictEqual(snapshot(dir), before, `${src} ${dest}`);
        }
      }
    });
  }

  test(`${way}: a tree is not moved into what is mounted in it`, async (t) => {
    const dir = folder('root');
    plant(dir, { tree: { a: { b: 'b' }, mnt: {} } });
    run('mount', '-t', 'tmpfs', 'tmpfs', path.join(dir, 'tree/mnt'));
    const root = new SandboxRoot(dir);
    t.after(() => root.close());
    const before = snapshot(dir);
    const { code } = await came(call(root, 'move', 'tree', 'tree/mnt/tree'));
    assert.match(`${code}`, /^(EBUSY|EINVAL)$/);
    assert.deepStrictEqual(snapshot(dir), before);
    const copied = await came(call(root, 'cp', 'tree', 'tree/mnt/tree', { recursive: true }));
    assert.strictEqual(copied.code, 'EINVAL');
    assert.deepStrictEqual(snapshot(dir), before);
  });
}
