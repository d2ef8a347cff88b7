'use strict';
// cp with atomic: whoever looks at the destination sees nothing or all of it, and what fails leaves nothing.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('..');
const { inChild, start } = require('./child');
const { FULL } = require('./sizes');
const {
  POLICIES,
  bothWays,
  codeOfPromise,
  fifo,
  file,
  isRoot,
  link,
  memory,
  plantWide,
  sandbox,
  settled,
  snapshot,
  tempDir,
  withoutMounts,
} = require('./support');

const read = (at) => fs.readFileSync(at, 'utf8');
const ATOMIC = { recursive: true, atomic: true };

const TREE = {
  file: file('content', 0o640), dir: { a: { b: 'b' }, none: {}, up: link('../..') }, tofile: link('file'),
  dangling: link('nowhere'), pipe: fifo(), executable: file('#!', 0o755),
}; // biome-ignore format: a tree

for (const symlinks of POLICIES) {
  bothWays(`a tree and a file arrive as by any cp, under '${symlinks}'`, async (t, of) => {
    const { dir, at } = sandbox(t, { src: TREE, other: {} });
    const root = new SandboxRoot(dir, { symlinks });
    fs.linkSync(at('src/file'), at('src/dir/second'));
    for (const mode of [0o755, 0o700, 0o500, 0o2750, 0o311]) {
      fs.chmodSync(at('src'), mode);
      if (mode === 0o311 && !isRoot) continue;
      await of(root).cp('src', 'usual', { recursive: true });
      assert.strictEqual(await of(root).cp('src', 'other/new', ATOMIC), undefined);
      assert.deepStrictEqual(snapshot(at('other/new')), snapshot(at('usual')));
      assert.strictEqual(fs.statSync(at('other/new')).mode, fs.statSync(at('usual')).mode);
      root.rm('usual', true);
      root.rm('other/new', true);
    }
    fs.chmodSync(at('src'), 0o755);
    for (const name of ['file', 'tofile', 'pipe', 'executable']) {
      await of(root).cp(`src/${name}`, `other/${name}`, { atomic: true });
      const kinds = [`src/${name}`, `other/${name}`].map((name) => fs.lstatSync(at(name)).mode);
      assert.strictEqual(kinds[0], kinds[1]);
    }
    assert.strictEqual(read(at('other/file')), 'content');
    assert.deepStrictEqual(fs.readdirSync(at('other')).sort(), ['executable', 'file', 'pipe', 'tofile']);
  });
}

bothWays('between two roots, with a filter, with times', async (t, of) => {
  const from = sandbox(t, { src: TREE });
  const to = sandbox(t, {}, memory);
  from.root.utimes('src', 1n, 1_000_000_000n);
  const filter = (src) => !src.endsWith('dir');
  await of(from.root).cp('src', 'new', { ...ATOMIC, to: to.root, filter, preserveTimestamps: true });
  const names = ['dangling', 'executable', 'file', 'pipe', 'tofile'];
  assert.deepStrictEqual(fs.readdirSync(to.at('new')).sort(), names);
  assert.strictEqual(fs.statSync(to.at('new')).mtimeMs, 1000);
  assert.deepStrictEqual(fs.readdirSync(to.dir), ['new']);
  await of(from.root).cp('src', 'none', { ...ATOMIC, to: to.root, filter: () => false });
  assert.deepStrictEqual(fs.readdirSync(to.dir), ['new']);
});

bothWays('what is there is replaced as by rename, or left alone', async (t, of) => {
  const tree = { src: { a: 'a' }, one: 'one', dir: { x: 'x' }, empty: {}, old: 'old', toold: link('old') };
  const { dir, root, at } = sandbox(t, tree);
  const before = snapshot(dir);
  for (const [src, dest, options, code] of [
    ['src', 'dir', {}, 'ENOTEMPTY'],
    ['src', 'old', {}, 'ENOTDIR'],
    ['src', 'toold', {}, 'ENOTDIR'],
    ['one', 'dir', {}, 'EISDIR'],
    ['one', 'empty', {}, 'EISDIR'],
    ['src', 'src', {}, 'EINVAL'],
    ['src', 'src/new', {}, 'EINVAL'],
    ['one', 'one', {}, 'EINVAL'],
    ['src', 'new', { recursive: false }, 'EISDIR'],
    ['one', 'new/', {}, 'ENOTDIR'],
    ['src', '.', {}, 'EBUSY'],
    ['missing', 'new', {}, 'ENOENT'],
    ['src', 'missing/new', {}, 'ENOENT'],
    ['src', 'new', { atomic: 1 }, 'ERR_INVALID_ARG_TYPE'],
    ...['dir', 'old', 'empty', 'toold'].map((dest) => ['src', dest, { force: false, errorOnExist: true }, 'EEXIST']),
    ...['dir', 'old', 'empty', 'toold'].map((dest) => ['one', dest, { force: false }, undefined]),
    ...['dir', 'old', 'empty', 'toold'].map((dest) => ['src', dest, { force: false }, undefined]),
  ]) {
    const { error } = await settled(of(root).cp(src, dest, { ...ATOMIC, ...options }));
    assert.strictEqual(error?.code, code, `${src} to ${dest}`);
    if (error?.syscall) assert.deepStrictEqual([error.syscall, error.path, error.dest], ['cp', src, dest]);
    assert.deepStrictEqual(snapshot(dir), before, `${src} to ${dest}`);
  }
  const reader = fs.openSync(at('old'), 'r');
  await of(root).cp('one', 'old', ATOMIC);
  await of(root).cp('one', 'toold', ATOMIC);
  await of(root).cp('src', 'empty', ATOMIC);
  await of(root).cp('src/', 'new/', { ...ATOMIC, force: false });
  assert.strictEqual(fs.readFileSync(reader, 'utf8'), 'old');
  fs.closeSync(reader);
  assert.ok(fs.lstatSync(at('toold')).isFile());
  assert.deepStrictEqual(['old', 'toold', 'empty/a', 'new/a'].map((name) => read(at(name))), ['one', 'one', 'a', 'a']);
  assert.deepStrictEqual(fs.readdirSync(dir).sort(), ['dir', 'empty', 'new', 'old', 'one', 'src', 'toold']);
}); // biome-ignore format: a list

bothWays('a failure leaves nothing, also in a tree of two threads', async (t, of) => {
  const { dir, root, at } = sandbox(t, { kept: 'kept' });
  plantWide(at('wide'), 20);
  const sizes = fs.readdirSync(at('wide'));
  // A socket, or what cannot be read, in the midst of it.
  const net = require('node:net').createServer();
  await new Promise((resolve) => net.listen(at('wide', sizes[11], 'b', 'socket'), resolve));
  t.after(() => net.close());
  const { error } = await settled(of(root).cp('wide', 'new', ATOMIC));
  assert.deepStrictEqual([error.code, fs.readdirSync(dir).sort()], ['ENXIO', ['kept', 'wide']]);
});

test('an abort leaves nothing', async (t) => {
  const { dir, root, at } = sandbox(t, { big: {} }, memory);
  for (let i = 0; i < 3000; i++) fs.writeFileSync(at('big', `${i}`), 'x');
  let stopped = 0;
  for (let round = 0; round < 20; round++) {
    const controller = new AbortController();
    const done = root.promises.cp('big', 'new', { ...ATOMIC, signal: controller.signal });
    setTimeout(() => controller.abort(), 1 + round);
    const { error } = await settled(done);
    const all = fs.readdirSync(dir).sort();
    if (error === undefined) {
      assert.deepStrictEqual(all, ['big', 'new']);
      assert.strictEqual(fs.readdirSync(at('new')).length, 3000);
      root.rm('new', true);
      continue;
    }
    stopped += 1;
    assert.deepStrictEqual([error.code, all], ['ABORT_ERR', ['big']]);
  }
  assert.ok(stopped > 0);
});

test('what vanishes is a failure, unless it is to be ignored', async (t) => {
  const { dir, root, at } = sandbox(t, { src: {} }, memory);
  for (let i = 0; i < 400; i++) fs.writeFileSync(at('src', `${i}`), 'x');
  const meddler = start(
    t,
    async (dir) => {
      console.log('ready');
      const end = Date.now() + 20_000;
      while (Date.now() < end)
        for (let i = 0; i < 400; i += 7) {
          fs.rmSync(`${dir}/src/${i}`, { force: true });
          fs.writeFileSync(`${dir}/src/${i}`, 'x');
        }
    },
    [dir],
  );
  await meddler.ready;
  let vanished = 0;
  for (let i = 0; i < 200 && vanished < 5; i++) {
    const done = await root.promises.cp('src', 'new', ATOMIC).catch((error) => error);
    if (done?.code === 'ENOENT') {
      // Without entries, it was there again when that was asked.
      vanished += done.entries === undefined ? 0 : 1;
      assert.ok((done.entries ?? []).every((entry) => entry.startsWith('src/')));
      assert.ok(!fs.existsSync(at('new')));
    }
    const ignored = root.promises.cp('src', 'ignored', { ...ATOMIC, ignoreVanished: true });
    const other = await ignored.catch((error) => error);
    assert.deepStrictEqual([other?.code, other?.entries], [other && 'ENOENT', undefined]);
    assert.ok(other !== undefined || fs.readdirSync(at('ignored')).length >= 300);
    root.rm('new', true, true);
    root.rm('ignored', true, true);
  }
  await meddler.stop();
  t.diagnostic(`${vanished} vanished`);
  assert.deepStrictEqual(fs.readdirSync(dir), ['src']);
});

bothWays('a watcher in another process never sees a half', async (t, of) => {
  const { dir, root, at } = sandbox(t, { src: {} }, memory);
  const COUNT = 200;
  for (let i = 0; i < COUNT; i++) fs.writeFileSync(at('src', `${i}`), 'x'.repeat(100));
  const watcher = start(
    t,
    (at, looks) => {
      console.log('ready');
      const seen = {};
      for (let i = 0; i < looks || seen[200] === undefined; i++) {
        let count;
        try {
          // One open directory: a name that is given again meanwhile leads to another one.
          const list = fs.opendirSync(at, { bufferSize: 1000 });
          count = 0;
          while (list.readSync() !== null) count += 1;
          list.closeSync();
        } catch (error) {
          count = error.code;
        }
        seen[count] = (seen[count] ?? 0) + 1;
      }
      return seen;
    },
    [at('new'), FULL ? 20_000 : 2000],
  );
  await watcher.ready;
  let over = false;
  watcher.result.finally(() => {
    over = true;
  });
  for (let i = 0; !over; i++) {
    await of(root).cp('src', 'new', ATOMIC);
    await new Promise((resolve) => setTimeout(resolve, 1));
    // The watcher may be reading it still.
    root.rename('new', `gone${i}`);
  }
  const { value: seen } = await watcher.result;
  t.diagnostic(JSON.stringify(seen));
  assert.deepStrictEqual(Object.keys(seen).sort(), [`${COUNT}`, 'ENOENT']);
  assert.ok(fs.readdirSync(dir).every((name) => /^(src|gone\d+)$/.test(name)));
});

test('what has the name by the end is never merged with, and what others put beside is not removed', async (t) => {
  const { dir, root, at } = sandbox(t, { src: {} }, memory);
  for (let i = 0; i < 1000; i++) fs.writeFileSync(at('src', `${i}`), 'x');
  const refused = root.promises.cp('src', 'new', { ...ATOMIC, force: false, errorOnExist: true });
  fs.mkdirSync(at('new'));
  fs.writeFileSync(at('new/theirs'), 'theirs');
  const code = await codeOfPromise(refused);
  assert.strictEqual(code, 'EEXIST');
  assert.deepStrictEqual(fs.readdirSync(at('new')), ['theirs']);

  // What is put into the hidden sibling is named in the error.
  const controller = new AbortController();
  const stopped = root.promises.cp('src', 'other', { ...ATOMIC, signal: controller.signal, to: root });
  let hidden;
  while (hidden === undefined) hidden = fs.readdirSync(dir).find((name) => name.startsWith('.openat2-'));
  fs.writeFileSync(at(hidden, 'theirs'), 'theirs');
  controller.abort();
  const error = await stopped.catch((error) => error);
  if (error?.code === 'ABORT_ERR') {
    assert.deepStrictEqual(fs.readdirSync(at(hidden)), ['theirs']);
  } else assert.strictEqual(read(at('other/theirs')), 'theirs');
});

test('a full disk leaves nothing', { skip: withoutMounts }, async (t) => {
  const dir = tempDir(t);
  const body = async (dir) => {
    fs.mkdirSync(`${dir}/src`);
    fs.writeFileSync(`${dir}/src/a`, Buffer.alloc(300 << 10, 'x'));
    fs.writeFileSync(`${dir}/src/b`, Buffer.alloc(500 << 10, 'x'));
    const root = new SandboxRoot(dir);
    const codes = [];
    for (const of of [root, root.promises])
      for (const src of ['src', 'src/b']) {
        try {
          await of.cp(src, 'new', { recursive: true, atomic: true });
          codes.push('success');
        } catch (error) {
          codes.push(error.code);
        }
      }
    return { codes, left: fs.readdirSync(dir) };
  };
  const mount = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"';
  const wrap = ['unshare', '--mount', 'sh', '-c', mount, dir];
  const got = await inChild(t, body, [dir], { wrap });
  assert.deepStrictEqual(got, { codes: Array(4).fill('ENOSPC'), left: ['src'] });
});

test('a mount point in it is an empty directory where mounts are refused, and goes with a failure', {
  skip: withoutMounts,
}, async (t) => {
  const { dir, at } = sandbox(t, { src: { file: 'x', mounted: {} } });
  const body = async (dir) => {
    const root = new SandboxRoot(dir, { mounts: 'reject' });
    root.cp('src', 'new', { recursive: true, atomic: true });
    const copied = fs.readdirSync(`${dir}/new`).sort();
    // Wherever it fails: before the mount point, or behind it.
    const names = Array.from({ length: 10 }, (_, i) => `d${i}`);
    for (const name of names) fs.mkdirSync(`${dir}/src/${name}`);
    const codes = new Set();
    for (const name of names) {
      const zero = `${dir}/src/${name}/zero`;
      require('node:child_process').execFileSync('mknod', [zero, 'c', '1', '5']);
      try {
        root.cp('src', 'other', { recursive: true, atomic: true });
      } catch (error) {
        codes.add(error.code);
      }
      fs.unlinkSync(zero);
    }
    const inside = fs.readdirSync(`${dir}/new/mounted`);
    return { copied, inside, codes: [...codes], left: fs.readdirSync(dir).sort() };
  };
  const mount = 'mount -t tmpfs tmpfs "$0" && touch "$0/inside" && exec "$@"';
  const wrap = ['unshare', '--mount', 'sh', '-c', mount, at('src/mounted')];
  const got = await inChild(t, body, [dir], { wrap });
  const copied = ['file', 'mounted'];
  assert.deepStrictEqual(got, { copied, inside: [], codes: ['ENXIO'], left: ['new', 'src'] });
});

test('readonly refuses it, and its own root does', (t) => {
  const { dir, root } = sandbox(t, { src: { a: 'a' } });
  const to = new SandboxRoot(dir, { readonly: true });
  assert.throws(() => root.cp('src', 'new', { ...ATOMIC, to }), { code: 'EROFS' });
  assert.deepStrictEqual(fs.readdirSync(dir), ['src']);
  assert.strictEqual(path.basename(dir), 'root');
});
