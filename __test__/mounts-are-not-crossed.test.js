'use strict';
// mounts: 'reject': what is mounted beneath the root is seen and left alone, by paths and in trees.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('..');
const { came, folderOn, mounted, privately, run, volume, WAYS } = require('./mounts');
const { POLICIES, everyCallWithPath, link, outcome, plant, settled, snapshot } = require('./support');

const test = privately(__filename);

const OUTSIDE = { inner: 'inner', dir: { deep: 'deep' }, soft: link('inner'), empty: {} };
const REASON = /^EACCES: permission denied \(path is outside of the sandbox\), /;

const bind = (dir, outside) => run('mount', '--bind', outside, dir);

/** What can be mounted on a directory, of which file system: another one of the same, or another file system. */
const MOUNTS = {
  'bind mount': { base: 'tmpfs', mount: bind },
  // What is not told in the listing has to be asked of the mount point.
  'bind mount, directories without types': { base: 'ext4 without types', mount: bind },
  tmpfs: {
    base: 'tmpfs',
    mount(dir) {
      run('mount', '-t', 'tmpfs', 'tmpfs', dir);
      plant(dir, OUTSIDE);
    },
  },
};

/**
 * A root with something mounted in it: `mnt` and `tree/mnt` are directories, `bound` and `tree/bound` are
 * files, or not mount points either. Gives back the roots that reject and allow mounts, and tells what is mounted.
 */
function scene(t, kind, { withFiles = true } = {}) {
  const base = fs.mkdtempSync(path.join(volume(MOUNTS[kind].base), 'base-'));
  const dir = path.join(base, 'root');
  plant(base, { outside: OUTSIDE, secret: 'secret', root: {} });
  plant(dir, {
    file: 'content',
    mnt: { hidden: 'hidden' },
    bound: 'hidden',
    tomnt: link('mnt'),
    toinner: link('mnt/inner'),
    tree: { a: { x: 'x' }, mnt: {}, bound: '', z: 'z' },
  });
  const points = ['mnt', 'tree/mnt'].map((name) => path.join(dir, name));
  const files = withFiles ? ['bound', 'tree/bound'].map((name) => path.join(dir, name)) : [];
  for (const point of points) MOUNTS[kind].mount(point, path.join(base, 'outside'));
  for (const file of files) run('mount', '--bind', path.join(base, 'secret'), file);
  const roots = { reject: new SandboxRoot(dir, { mounts: 'reject' }), allow: new SandboxRoot(dir) };
  t.after(() => {
    roots.reject.close();
    roots.allow.close();
    for (const at of [...points, ...files]) run('umount', '--lazy', at);
  });
  const at = (...names) => path.join(dir, ...names);
  /** What is mounted; without the times that reading changes. */
  const beneath = () => ({
    ...Object.fromEntries(points.map((point) => [point, snapshot(point)])),
    secret: fs.readFileSync(path.join(base, 'secret'), 'utf8'),
    outside: snapshot(path.join(base, 'outside')),
  });
  return { dir, at, ...roots, beneath };
}

for (const kind of Object.keys(MOUNTS)) {
  test(`${kind}: every call with a path across it is EACCES, says why, and changes nothing`, (t) => {
    const { dir, reject, beneath } = scene(t, kind);
    const before = [snapshot(dir), beneath()];
    for (const at of ['mnt/inner', 'mnt/dir/deep', 'mnt/new', './mnt//inner', 'mnt/dir/']) {
      for (const [name, call] of everyCallWithPath) {
        const { error } = outcome(() => call(reject, at));
        assert.match(`${error?.message}`, REASON, `${name} of ${at}`);
        assert.deepStrictEqual([error.code, error.reason], ['EACCES', 'mount'], `${name} of ${at}`);
        assert.ok(!error.message.includes(dir));
      }
      assert.strictEqual(reject.exists(at), false);
    }
    assert.deepStrictEqual([snapshot(dir), beneath()], before);
  });

  test(`${kind}: nothing opens, describes, replaces or removes the mount point itself`, (t) => {
    const { dir, reject, beneath } = scene(t, kind);
    const before = [snapshot(dir), beneath()];
    for (const at of ['mnt', 'bound', './mnt', 'tree/bound']) {
      for (const [name, call] of everyCallWithPath) {
        // With `recursive` it is fine that the directory is there.
        if (name === 'mkdir (2)' && at.endsWith('mnt')) continue;
        const { error, value } = outcome(() => call(reject, at));
        // The kernel has names of its own for touching a mount point.
        assert.ok(error !== undefined, `${name} of ${at}: ${JSON.stringify(value)}`);
        assert.match(error.code, /^(EACCES|EBUSY|EEXIST|EISDIR|ENOTDIR|ENOTEMPTY|EPERM|EINVAL|EXDEV)$/, name);
        assert.deepStrictEqual([snapshot(dir), beneath()], before, `${name} of ${at}`);
      }
      assert.strictEqual(reject.exists(at), false);
    }
  });

  test(`${kind}: links do not lead across it either`, (t) => {
    const { dir, beneath } = scene(t, kind);
    const before = beneath();
    for (const symlinks of ['beneath', 'in-root']) {
      const root = new SandboxRoot(dir, { symlinks, mounts: 'reject' });
      t.after(() => root.close());
      for (const at of ['tomnt/inner', 'toinner', 'mnt/inner', 'tomnt/dir/deep']) {
        for (const action of [() => root.stat(at), () => root.readFile(at), () => root.readdir(at)]) {
          const { error } = outcome(action);
          assert.match(`${error?.message}`, REASON, `${symlinks}: ${at}`);
          assert.strictEqual(error.reason, 'mount', `${symlinks}: ${at}`);
        }
        const name = `${at}-new`;
        if (at !== 'toinner')
          assert.match(`${outcome(() => root.writeFile(name, 'x')).error?.message}`, REASON);
      }
    }
    assert.deepStrictEqual(beneath(), before);
  });

  for (const [way, call] of WAYS) {
    test(`${kind}, ${way}: a recursive listing names the mount point and does not enter it`, async (t) => {
      const { reject, allow } = scene(t, kind);
      const within = [
        'tree/mnt/dir',
        'tree/mnt/dir/deep',
        'tree/mnt/empty',
        'tree/mnt/inner',
        'tree/mnt/soft',
      ];
      const names = ['tree/a', 'tree/a/x', 'tree/bound', 'tree/mnt', 'tree/z'];
      for (const [root, more] of [
        [reject, []],
        [allow, within],
      ]) {
        const expected = [...names, ...more].sort();
        const listed = await call(root, 'readdir', 'tree', { recursive: true });
        assert.deepStrictEqual(listed.map((name) => `tree/${name}`).sort(), expected);
        const entries = await call(root, 'readdir', 'tree', { recursive: true, withFileTypes: true });
        const told = entries.map(({ name, parentPath }) => `${parentPath}/${name}`);
        assert.deepStrictEqual(told.sort(), expected);
        const type = entries.find(({ name }) => name === 'mnt').type;
        assert.strictEqual(type, 'directory');
        const walked = [];
        const walk = root.walk('tree');
        for await (const { name, parentPath } of walk) walked.push(`${parentPath}/${name}`);
        assert.deepStrictEqual(walked.sort(), expected);
        assert.strictEqual(walk.truncated, null);
      }
    });

    test(`${kind}, ${way}: a copy has an empty directory in its place`, async (t) => {
      const { dir, reject, allow, beneath } = scene(t, kind, { withFiles: false });
      const before = beneath();
      const asked = [];
      const filter = (src) => asked.push(src) > 0;
      await call(reject, 'cp', 'tree', 'copy', { recursive: true, filter });
      assert.deepStrictEqual(asked.sort(), [
        'tree',
        'tree/a',
        'tree/a/x',
        'tree/bound',
        'tree/mnt',
        'tree/z',
      ]);
      assert.deepStrictEqual(Object.keys(snapshot(path.join(dir, 'copy'))), [
        'a',
        'a/x',
        'bound',
        'mnt',
        'z',
      ]);
      await call(allow, 'cp', 'tree', 'whole', { recursive: true });
      assert.deepStrictEqual(snapshot(path.join(dir, 'whole/mnt')), snapshot(path.join(dir, 'tree/mnt')));
      assert.deepStrictEqual(beneath(), before);
    });

    test(`${kind}, ${way}: a copy has nothing of a file that is mounted`, async (t) => {
      const { dir, reject, allow } = scene(t, kind);
      const { code } = await came(call(reject, 'cp', 'tree', 'copy', { recursive: true }));
      assert.strictEqual(code, 'EACCES');
      assert.ok(!fs.existsSync(path.join(dir, 'copy/bound')));
      await call(allow, 'cp', 'tree', 'whole', { recursive: true });
      assert.strictEqual(fs.readFileSync(path.join(dir, 'whole/bound'), 'utf8'), 'secret');
    });

    test(`${kind}, ${way}: removing is EBUSY, and nothing in the mount is touched`, async (t) => {
      const { at, reject, allow, beneath } = scene(t, kind);
      const before = beneath();
      for (const root of [reject, allow]) {
        for (const name of ['mnt', 'bound', 'tree', 'tree/mnt', 'tree/']) {
          assert.strictEqual((await came(call(root, 'rm', name, true, true))).code, 'EBUSY', name);
          assert.deepStrictEqual(beneath(), before);
        }
      }
      assert.ok(fs.existsSync(at('tree/mnt/inner')));
    });

    for (const policy of ['reject', 'allow']) {
      for (const withFiles of [true, false]) {
        const what = withFiles ? 'mounts' : 'a mount';
        test(`${kind}, ${way}, ${policy}: a tree with ${what} in it is not moved to another file system`, async (t) => {
          const { dir, beneath, [policy]: root } = scene(t, kind, { withFiles });
          const before = [snapshot(dir), beneath()];
          const target = folderOn(t, 'ext4');
          const to = new SandboxRoot(target);
          t.after(() => to.close());
          for (const src of ['tree', 'mnt', ...(withFiles ? ['bound'] : [])]) {
            for (const overwrite of [false, true]) {
              const { code } = await came(call(root, 'move', src, 'moved', { to, overwrite }));
              assert.match(`${code}`, /^(EBUSY|EACCES)$/, src);
              assert.deepStrictEqual([snapshot(dir), beneath()], before);
              assert.deepStrictEqual(fs.readdirSync(target), []);
            }
          }
        });
      }
    }

    test(`${kind}, ${way}: a rename takes a mount along`, async (t) => {
      const { at, reject, allow, beneath } = scene(t, kind);
      const before = beneath();
      for (const root of [allow, reject]) {
        for (const method of ['rename', 'move']) {
          await call(root, method, 'tree', 'elsewhere');
          assert.ok(fs.existsSync(at('elsewhere/mnt/inner')));
          await call(root, method, 'elsewhere', 'tree');
        }
      }
      assert.deepStrictEqual(beneath(), before);
    });

    test(`${kind}, ${way}: no call goes from or to another root across it`, async (t) => {
      const { dir, reject, allow, beneath } = scene(t, kind);
      const before = [snapshot(dir), beneath()];
      for (const method of ['rename', 'renameNoReplace', 'link', 'copyFile', 'cp', 'move']) {
        const mode = method === 'copyFile' ? [null] : [];
        for (const [from, src, dest, to] of [
          [allow, 'file', 'mnt/new', reject],
          [reject, 'mnt/inner', 'new', allow],
        ]) {
          const { code } = await came(call(from, method, src, dest, ...mode, { to }));
          assert.strictEqual(code, 'EACCES', `${method} ${src} ${dest}`);
        }
      }
      assert.deepStrictEqual([snapshot(dir), beneath()], before);
      // Where mounts are allowed, the two sides are two mounts.
      for (const method of ['rename', 'renameNoReplace', 'link']) {
        assert.strictEqual((await came(call(allow, method, 'file', 'mnt/new'))).code, 'EXDEV', method);
      }
      await call(allow, 'move', 'file', 'mnt/new');
      await call(allow, 'move', 'mnt/new', 'file');
      assert.deepStrictEqual([snapshot(dir), beneath()], before);
    });

    test(`${kind}, ${way}: a root may be opened on a mount point, and not across one`, async (t) => {
      const { reject, allow } = scene(t, kind);
      for (const name of ['mnt', 'mnt/dir', 'tree/mnt']) {
        const result = await came(call(reject, 'openRoot', name));
        assert.strictEqual(result.code, 'EACCES', name);
      }
      const root = await call(allow, 'openRoot', 'mnt', { mounts: 'reject' });
      t.after(() => root.close());
      assert.strictEqual(await call(root, 'readFile', 'dir/deep', 'utf8'), 'deep');
      assert.notStrictEqual(root.identity.mountId, allow.identity.mountId);
      assert.strictEqual((await came(call(allow, 'openRoot', 'mnt', { mounts: 'allow' }))).code, undefined);
    });

    test(`${kind}, ${way}: an atomic write does not replace a file that is mounted`, async (t) => {
      const { dir, at, reject, allow, beneath } = scene(t, kind);
      const before = [fs.readdirSync(dir), beneath()];
      assert.strictEqual(
        (await came(call(allow, 'writeFile', 'bound', 'x', { atomic: true }))).code,
        'EBUSY',
      );
      const rejected = await came(call(reject, 'writeFile', 'bound', 'x', { atomic: true }));
      assert.match(rejected.code, /^(EBUSY|EACCES)$/);
      assert.deepStrictEqual([fs.readdirSync(dir), beneath()], before);
      assert.strictEqual(fs.readFileSync(at('bound'), 'utf8'), 'secret');
    });
  }
}

test("a btrfs subvolume is no mount: 'reject' enters it, lists it, copies and removes it", async (t) => {
  const volume = mounted('btrfs');
  const root = new SandboxRoot(volume, { mounts: 'reject' });
  t.after(() => root.close());
  for (const [way, call] of WAYS) {
    fs.mkdirSync(`${volume}/tree`);
    run('btrfs', 'subvolume', 'create', `${volume}/tree/sub`);
    run('btrfs', 'subvolume', 'create', `${volume}/tree/sub/sub`);
    plant(`${volume}/tree/sub/sub`, { file: 'content', dir: { inner: 'inner' } });
    assert.notStrictEqual(root.stat('tree').dev, root.stat('tree/sub').dev);
    assert.strictEqual(await call(root, 'readFile', 'tree/sub/sub/dir/inner', 'utf8'), 'inner');
    const listed = await call(root, 'readdir', 'tree', { recursive: true });
    assert.deepStrictEqual(listed.sort(), [
      'sub',
      'sub/sub',
      'sub/sub/dir',
      'sub/sub/dir/inner',
      'sub/sub/file',
    ]);
    await call(root, 'cp', 'tree', 'copy', { recursive: true });
    assert.deepStrictEqual(snapshot(`${volume}/copy/sub/sub`), snapshot(`${volume}/tree/sub/sub`));
    // The kernel does not rename from one to another, a move does.
    assert.strictEqual((await came(call(root, 'rename', 'tree/sub/sub/file', 'file'))).code, 'EXDEV');
    await call(root, 'move', 'tree/sub/sub/file', 'file');
    assert.strictEqual(fs.readFileSync(`${volume}/file`, 'utf8'), 'content');
    const target = folderOn(t, 'tmpfs');
    const to = new SandboxRoot(target);
    t.after(() => to.close());
    await call(root, 'move', 'tree/sub', 'moved', { to });
    assert.strictEqual(fs.readFileSync(`${target}/moved/sub/dir/inner`, 'utf8'), 'inner');
    assert.deepStrictEqual(fs.readdirSync(`${volume}/tree`), []);
    for (const name of ['tree', 'copy', 'file']) await call(root, 'rm', name, true);
    assert.deepStrictEqual(fs.readdirSync(volume), [], way);
  }
});

for (const symlinks of POLICIES) {
  test(`a walk that goes on when its root is closed lists nothing of what is mounted: '${symlinks}'`, async () => {
    const dir = fs.mkdtempSync(path.join(volume('tmpfs'), 'base-'));
    // More than are listed in advance.
    for (let i = 0; i < 1000; i++) fs.mkdirSync(path.join(dir, `${i}`));
    const points = Array.from({ length: 20 }, (_, i) => path.join(dir, `${i * 50}`, 'mount'));
    for (const point of points) {
      fs.mkdirSync(point);
      run('mount', '-t', 'tmpfs', 'tmpfs', point);
      fs.writeFileSync(path.join(point, 'mounted'), '');
    }
    const root = new SandboxRoot(dir, { mounts: 'reject', symlinks });
    const seen = [];
    const walking = (async () => {
      for await (const { name } of root.walk('.')) {
        seen.push(name);
        root.close();
      }
    })();
    const { code } = await came(walking);
    assert.deepStrictEqual([code, seen.filter((name) => name === 'mounted').length], ['EBADF', 0]);
    for (const point of points) run('umount', point);
  });
}

for (const [way, call] of WAYS) {
  test(`${way}: a tree is copied and moved to a root that refuses mounts and is on one itself`, async (t) => {
    const [source, target] = ['tmpfs', 'ext4'].map((kind) => folderOn(t, kind));
    plant(source, { tree: { a: { x: 'x' }, z: 'z' } });
    const deep = path.join(target, 'a/b');
    fs.mkdirSync(deep, { recursive: true });
    for (const policy of ['allow', 'reject']) {
      const root = new SandboxRoot(source, { mounts: policy });
      const to = new SandboxRoot(deep, { mounts: 'reject' });
      await call(root, 'cp', 'tree', 'copy', { recursive: true, to });
      await call(root, 'move', 'tree', 'moved', { to });
      assert.deepStrictEqual(snapshot(path.join(deep, 'moved')), snapshot(path.join(deep, 'copy')));
      assert.strictEqual(to.readFile('moved/a/x', 'utf8'), 'x');
      await call(to, 'move', 'moved', 'tree', { to: root });
      await call(to, 'rm', 'copy', true);
      root.close();
      to.close();
    }
  });
}

/** The reason that a call and its promise give. */
async function reason(root, at) {
  const { error } = outcome(() => root.stat(at));
  assert.deepStrictEqual((await settled(root.promises.stat(at))).error, error, at);
  assert.ok(error !== undefined, at);
  return error.reason;
}

test("a refused mount is 'mount', also behind links and `..`, and a way out before it is 'outside'", async (t) => {
  const base = fs.mkdtempSync(path.join(volume('tmpfs'), 'base-'));
  const dir = path.join(base, 'root');
  plant(base, {
    root: { a: {}, mnt: {}, tomnt: link('a/../mnt'), abs: link('/mnt/x'), out: link('../root/mnt/x') },
  });
  run('mount', '-t', 'tmpfs', 'tmpfs', path.join(dir, 'mnt'));
  t.after(() => run('umount', '--lazy', path.join(dir, 'mnt')));
  plant(path.join(dir, 'mnt'), { x: 'x', loop: link('loop') });
  const expected = {
    reject: { mnt: 'mount', 'mnt/x': 'mount', 'tomnt/x': 'symlink', '../mnt': 'outside' },
    beneath: {
      mnt: 'mount',
      'mnt/x': 'mount',
      'a/../mnt/x': 'mount',
      'tomnt/x': 'mount',
      abs: 'outside',
      out: 'outside',
      'mnt/../..': 'mount',
    },
    'in-root': {
      mnt: 'mount',
      'mnt/x': 'mount',
      '../mnt/x': 'mount',
      tomnt: 'mount',
      abs: 'mount',
      '/mnt': 'mount',
    },
  };
  for (const symlinks of POLICIES) {
    const root = new SandboxRoot(dir, { symlinks, mounts: 'reject' });
    for (const [at, says] of Object.entries(expected[symlinks]))
      assert.strictEqual(await reason(root, at), says, `${symlinks}: ${at}`);
    root.close();
  }
  // A loop on a mount that is allowed is one.
  const root = new SandboxRoot(dir, { symlinks: 'beneath' });
  assert.strictEqual(await reason(root, 'mnt/loop'), undefined);
  root.close();
});

test('`error.reason` distinguishes a refused magic link from a loop, and a policy from a read-only file system', async (t) => {
  const base = fs.mkdtempSync(path.join(volume('tmpfs'), 'base-'));
  plant(base, { proc: {}, ro: {}, tomagic: link('proc/self/cwd/x'), inner: { magic: link('../tomagic') } });
  run('mount', '--bind', '/proc', path.join(base, 'proc'));
  run('mount', '-t', 'tmpfs', '-o', 'ro', 'tmpfs', path.join(base, 'ro'));
  t.after(() => ['proc', 'ro'].forEach((name) => run('umount', '--lazy', path.join(base, name))));
  for (const symlinks of POLICIES) {
    const root = new SandboxRoot(base, { symlinks });
    for (const at of [
      'proc/thread-self/cwd',
      'proc/self/root/etc',
      'proc/self/fd/0',
      'tomagic',
      'inner/magic',
    ])
      assert.strictEqual(await reason(root, at), 'symlink', `${symlinks}: ${at}`);
    const { error } = outcome(() => root.mkdir('ro/new'));
    assert.deepStrictEqual([error?.code, error?.reason], ['EROFS', undefined]);
    root.close();
  }
});
