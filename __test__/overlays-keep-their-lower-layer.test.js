'use strict';
// overlayfs: what is in the lower layer is changed, replaced and removed in the upper one, and nowhere else.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('..');
const { came, folder, folderOn, mounted, overlay, privately, run, WAYS } = require('./mounts');
const { fifo, file, link, plant, snapshot } = require('./support');

const test = privately(__filename);

const LOWER = {
  file: file('lower', 0o640),
  other: 'other',
  both: 'hidden by the upper layer',
  dir: { inner: 'inner', dir: { deep: 'deep' }, pipe: fifo(), gone: 'gone' },
  merged: { lower: 'lower', sub: { x: 'x' } },
  only: { a: { b: 'b' }, c: 'c' },
  soft: link('file'),
};
const UPPER = { both: 'upper', merged: { upper: 'upper', sub: { y: 'y' } }, dir: {} };

/** Where the layers are: on one file system, or on two, where the numbers of directories do not last. */
const LAYERS = {
  'one file system': () => [folder('layers'), 'redirect_dir=off'],
  'two file systems': () => [mounted('ext4'), 'redirect_dir=off,xino=off'],
};

/** An overlay with something in each of its layers, and what is in the lower one. */
function scene(t, layers) {
  const dir = folder('merged');
  const [base, options] = LAYERS[layers]();
  const [lower, upper] = [path.join(base, 'lower'), folder('upper')];
  for (const at of [lower, path.join(upper, 'up')]) fs.mkdirSync(at);
  plant(lower, LOWER);
  fs.linkSync(path.join(lower, 'other'), path.join(lower, 'dir/hard'));
  plant(path.join(upper, 'up'), UPPER);
  overlay(dir, lower, upper, options);
  fs.unlinkSync(path.join(dir, 'dir/gone'));
  const root = new SandboxRoot(dir);
  t.after(() => {
    root.close();
    run('umount', '--lazy', dir);
  });
  const at = (...names) => path.join(dir, ...names);
  const before = snapshot(lower);
  const lowerIsAsItWas = () => assert.deepStrictEqual(snapshot(lower), before);
  return { dir, at, root, lowerIsAsItWas };
}

/** A test with the layers in either place, each way. */
function onEach(title, action) {
  for (const layers of Object.keys(LAYERS)) {
    for (const [way, call] of WAYS) {
      test(`layers on ${layers}, ${way}: ${title}`, async (t) => {
        const all = scene(t, layers);
        await action({ t, layers, ...all, on: call, call: (...args) => call(all.root, ...args) });
        all.lowerIsAsItWas();
      });
    }
  }
}

const content = (at) => fs.readFileSync(at, 'utf8');

onEach('a directory is what its layers make together', async ({ dir, call, root }) => {
  const expected = Object.keys(snapshot(dir)).sort();
  assert.ok(expected.includes('merged/sub/y') && expected.includes('merged/sub/x'));
  assert.ok(!expected.includes('dir/gone'));
  assert.deepStrictEqual((await call('readdir', '.', { recursive: true })).sort(), expected);
  const entries = await call('readdir', '.', { recursive: true, withFileTypes: true });
  const types = Object.fromEntries(
    entries.map(({ name, parentPath, type }) => [`${parentPath}/${name}`, type]),
  );
  assert.deepStrictEqual(
    ['./soft', 'dir/pipe', './both', 'merged/sub', 'merged/lower'].map((name) => types[name]),
    ['symlink', 'fifo', 'file', 'directory', 'file'],
  );
  const walked = [];
  for await (const { name, parentPath } of root.walk('.')) walked.push(path.join(parentPath, name));
  assert.deepStrictEqual(walked.sort(), expected);
  assert.strictEqual(await call('readFile', 'both', 'utf8'), 'upper');
  assert.strictEqual((await came(call('stat', 'dir/gone'))).code, 'ENOENT');
});

onEach('an atomic write replaces a lower file and keeps its mode', async ({ dir, at, call }) => {
  const reader = fs.openSync(at('file'));
  const names = fs.readdirSync(dir).sort();
  for (const flush of [false, true]) {
    await call('writeFile', 'file', `new ${flush}`, { atomic: true, flush });
    await call('writeFile', 'dir/inner', 'new', { atomic: true, flush });
    await call('writeFile', 'soft', 'no link', { atomic: true, flush });
    assert.strictEqual(
      (await came(call('writeFile', 'other', 'x', { atomic: true, flag: 'wx' }))).code,
      'EEXIST',
    );
  }
  assert.deepStrictEqual(fs.readdirSync(dir).sort(), names);
  assert.deepStrictEqual(
    [content(at('file')), fs.statSync(at('file')).mode & 0o777, fs.readFileSync(reader, 'utf8')],
    ['new true', 0o640, 'lower'],
  );
  assert.deepStrictEqual([content(at('dir/inner')), content(at('soft'))], ['new', 'no link']);
  fs.closeSync(reader);
});

onEach('a lower file is written, cut, described anew, and copied over', async ({ at, call }) => {
  await call('appendFile', 'file', ' and more');
  await call('truncate', 'other', 2);
  await call('chmod', 'dir/inner', 0o600);
  await call('utimes', 'dir/inner', 1_000_000_000n, 2_000_000_001n);
  await call('chown', 'dir/dir/deep', 12, 34);
  await call('lutimes', 'soft', 1_000_000_000n, 2_000_000_001n);
  await call('copyFile', 'merged/lower', 'only/c');
  assert.deepStrictEqual(
    [content(at('file')), content(at('other')), content(at('only/c'))],
    ['lower and more', 'ot', 'lower'],
  );
  const inner = fs.statSync(at('dir/inner'), { bigint: true });
  assert.deepStrictEqual([inner.mode & 0o777n, inner.mtimeNs], [0o600n, 2_000_000_001n]);
  assert.strictEqual(fs.lstatSync(at('soft'), { bigint: true }).mtimeNs, 2_000_000_001n);
  assert.deepStrictEqual(
    [fs.statSync(at('dir/dir/deep')).uid, fs.statSync(at('dir/dir/deep')).gid],
    [12, 34],
  );
  const self = content(at('dir/hard'));
  await call('copyFile', 'dir/hard', 'dir/hard');
  assert.strictEqual(content(at('dir/hard')), self);
});

onEach('two names of one lower file: a copy onto the other loses nothing', async ({ at, call }) => {
  await call('copyFile', 'other', 'dir/hard');
  await call('copyFile', 'dir/hard', 'other');
  assert.deepStrictEqual([content(at('other')), content(at('dir/hard'))], ['other', 'other']);
});

onEach(
  'a directory of the lower layer is not renamed, as the kernel says, but moved',
  async ({ dir, at, call }) => {
    const names = fs.readdirSync(dir).sort();
    for (const name of ['merged', 'only']) {
      const whole = snapshot(at(name));
      const node = await came(fs.promises.rename(at(name), at('new')));
      assert.strictEqual(node.code, 'EXDEV');
      for (const method of ['rename', 'renameNoReplace']) {
        const { code, syscall } = await came(call(method, name, 'new'));
        assert.deepStrictEqual([code, syscall], ['EXDEV', 'rename'], method);
      }
      assert.strictEqual((await came(call('exchange', name, 'file'))).code, 'EXDEV');
      assert.deepStrictEqual([fs.readdirSync(dir).sort(), snapshot(at(name))], [names, whole]);
      await call('move', name, `dir/${name}`);
      assert.deepStrictEqual(content(at('dir', name === 'merged' ? 'merged/sub/x' : 'only/a/b')).length, 1);
      assert.deepStrictEqual(Object.keys(snapshot(at('dir', name))), Object.keys(whole));
      assert.ok(!fs.existsSync(at(name)));
      names.splice(names.indexOf(name), 1);
    }
    // A directory that is in the upper layer alone can be renamed.
    await call('mkdir', 'pure');
    await call('rename', 'pure', 'renamed');
    await call('rename', 'file', 'renamed/file');
    await call('renameNoReplace', 'other', 'renamed/other');
    assert.deepStrictEqual(fs.readdirSync(at('renamed')).sort(), ['file', 'other']);
  },
);

onEach('a lower tree is removed, and its name is free for another one', async ({ dir, at, call }) => {
  for (const name of ['only', 'merged', 'dir', 'file', 'soft']) {
    await call('rm', name, true);
    assert.ok(!fs.readdirSync(dir).includes(name), name);
    assert.strictEqual((await came(call('lstat', name))).code, 'ENOENT');
  }
  await call('mkdir', 'only');
  await call('writeFile', 'only/new', 'new');
  assert.deepStrictEqual(fs.readdirSync(at('only')), ['new']);
  await call('rm', 'only', true);
  await call('rm', 'both');
  await call('rm', 'other');
  assert.deepStrictEqual(fs.readdirSync(dir), []);
});

onEach(
  'a large tree of the lower layer, part of it deep, is copied and removed',
  async ({ t, layers, on }) => {
    const [base, options] = LAYERS[layers]();
    const lower = path.join(base, 'lower');
    const deep = 'deep/'.repeat(150);
    fs.mkdirSync(path.join(lower, 'tree', deep), { recursive: true });
    for (let i = 0; i < 500; i++) fs.writeFileSync(path.join(lower, 'tree', `${i}`), '');
    fs.writeFileSync(path.join(lower, 'tree', deep, 'bottom'), 'bottom');
    const before = snapshot(lower);
    const dir = folder('merged');
    overlay(dir, lower, folder('upper'), options);
    const root = new SandboxRoot(dir);
    t.after(() => root.close());
    assert.strictEqual((await on(root, 'readdir', 'tree', { recursive: true })).length, 651);
    await on(root, 'cp', 'tree', 'copy', { recursive: true });
    assert.deepStrictEqual(
      Object.keys(snapshot(`${dir}/copy`)).sort(),
      Object.keys(snapshot(`${lower}/tree`)).sort(),
    );
    assert.strictEqual(content(path.join(dir, 'copy', deep, 'bottom')), 'bottom');
    for (const name of ['tree', 'copy']) await on(root, 'rm', name, true);
    assert.deepStrictEqual(fs.readdirSync(dir), []);
    assert.deepStrictEqual(snapshot(lower), before);
  },
);

onEach('a tree of both layers is copied within the overlay, and out of it', async ({ t, at, call }) => {
  await call('cp', 'merged', 'copy', { recursive: true });
  assert.deepStrictEqual(snapshot(at('copy')), {
    ...snapshot(at('copy')),
    ...Object.fromEntries(
      Object.entries(snapshot(at('merged'))).filter(([, { content }]) => content !== undefined),
    ),
  });
  assert.deepStrictEqual(Object.keys(snapshot(at('copy'))), ['lower', 'sub', 'sub/x', 'sub/y', 'upper']);
  const target = folderOn(t, 'tmpfs');
  const to = new SandboxRoot(target);
  t.after(() => to.close());
  await call('cp', '.', 'all', { recursive: true, to });
  assert.deepStrictEqual(Object.keys(snapshot(path.join(target, 'all'))), Object.keys(snapshot(at('.'))));
  // The two names of a file in the lower layer are two names of the copy.
  const [one, other] = ['other', 'dir/hard'].map((name) => fs.statSync(path.join(target, 'all', name)));
  assert.deepStrictEqual([one.ino, one.nlink], [other.ino, 2]);
  await call('move', 'dir', 'moved', { to });
  assert.strictEqual(content(path.join(target, 'moved/dir/deep')), 'deep');
  assert.ok(!fs.existsSync(at('dir')));
});

onEach('a root on an overlay is where it was, and one within it too', async ({ t, at, root, call }) => {
  const sub = await call('openRoot', 'merged');
  t.after(() => sub.close());
  await call('writeFile', 'merged/new', 'copied up');
  assert.deepStrictEqual(
    [root.isAt(at('.')), sub.isAt(at('merged')), sub.isAt(at('.'))],
    [true, true, false],
  );
  assert.strictEqual(await call('realpath', 'merged/./new'), 'merged/new');
  assert.deepStrictEqual(sub.readdir('.').sort(), ['lower', 'new', 'sub', 'upper']);
});

onEach('a lower directory is not copied into itself, and not moved there', async ({ dir, at, call }) => {
  const names = Object.keys(snapshot(dir));
  for (const dest of ['only/new', 'only/a/new', 'merged/sub/new']) {
    const src = dest.split('/')[0];
    const copied = await came(call('cp', src, dest, { recursive: true }));
    assert.strictEqual(copied.code, 'EINVAL', `cp ${dest}`);
    const moved = await came(call('move', src, dest));
    assert.strictEqual(moved.code, 'EINVAL', `move ${dest}`);
    assert.deepStrictEqual(Object.keys(snapshot(dir)), names);
  }
  for (const name of ['file', 'dir/hard']) {
    const before = content(at(name));
    assert.strictEqual((await came(call('cp', name, name))).code, 'EINVAL');
    await call('move', name, name, { overwrite: true });
    assert.strictEqual(content(at(name)), before);
  }
});
