'use strict';
// On every file system, with and without promises: what node:fs does there, or what the kernel says.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { execFileSync } = require('node:child_process');
const { SandboxRoot } = require('..');
const { came, disk, folder, folderOn, mounted, overlay, privately, run, traits, WAYS } = require('./mounts');
const {
  NOBODY,
  codeOf,
  everyCallWithPath,
  fifo,
  file,
  link,
  outcome,
  plant,
  snapshot,
} = require('./support');

const test = privately(__filename);
const { COPYFILE_EXCL, O_TMPFILE = 0o20200000, O_RDWR } = fs.constants;

/** A test on each file system, each way: `action(scene)`. */
function onEach(title, action) {
  for (const [kind, special] of Object.entries(traits)) {
    for (const [way, call] of WAYS) {
      test(`${kind}, ${way}: ${title}`, async (t) => {
        const dir = folderOn(t, kind);
        const root = new SandboxRoot(dir);
        t.after(() => root.close());
        const at = (...names) => path.join(dir, ...names);
        await action({ t, kind, special, dir, root, at, call: (...args) => call(root, ...args) });
      });
    }
  }
}

/** What has no counterpart in the other tree: a value is told by its kind. */
const nothing = (action) => () => {
  action();
};

/** Calls of a root, and the same with node:fs in the working directory. */
const STEPS = [
  [['mkdir', 'dir'], nothing(() => fs.mkdirSync('dir', { mode: 0o755 }))],
  [['mkdir', 'dir'], () => fs.mkdirSync('dir')],
  [
    ['mkdir', 'dir/a/b', true, 0o700],
    nothing(() => fs.mkdirSync('dir/a/b', { recursive: true, mode: 0o700 })),
  ],
  [['writeFile', 'dir/file', 'content'], () => fs.writeFileSync('dir/file', 'content')],
  [['writeFile', 'dir/file', 'x', { flag: 'wx' }], () => fs.writeFileSync('dir/file', 'x', { flag: 'wx' })],
  [
    ['writeFile', 'dir/new', 'x', { flag: 'wx', mode: 0o640, flush: true }],
    () => fs.writeFileSync('dir/new', 'x', { flag: 'wx', mode: 0o640, flush: true }),
  ],
  [['writeFile', 'dir', 'x'], () => fs.writeFileSync('dir', 'x')],
  [['appendFile', 'dir/file', ' and more'], () => fs.appendFileSync('dir/file', ' and more')],
  [['readFile', 'dir/file', 'utf8'], () => fs.readFileSync('dir/file', 'utf8')],
  [['readFile', 'dir'], () => fs.readFileSync('dir')],
  [['readFile', 'missing'], () => fs.readFileSync('missing')],
  [['truncate', 'dir/file', 3], () => fs.truncateSync('dir/file', 3)],
  [['truncate', 'dir/file', 5000], () => fs.truncateSync('dir/file', 5000)],
  [['chmod', 'dir/file', 0o4751], () => fs.chmodSync('dir/file', 0o4751)],
  // Node copies the bits above the nine too, a root never does.
  [['chmod', 'dir/file', 0o751], () => fs.chmodSync('dir/file', 0o751)],
  [['access', 'dir/new', 2], () => fs.accessSync('dir/new', 2)],
  [['exists', 'dir/new'], () => fs.existsSync('dir/new')],
  [['copyFile', 'dir/file', 'copy'], () => fs.copyFileSync('dir/file', 'copy')],
  [
    ['copyFile', 'dir/new', 'copy', null, { exclusive: true }],
    () => fs.copyFileSync('dir/new', 'copy', COPYFILE_EXCL),
  ],
  [
    ['copyFile', 'dir/new', 'fresh', null, { exclusive: true }],
    () => fs.copyFileSync('dir/new', 'fresh', COPYFILE_EXCL),
  ],
  [['copyFile', 'dir/new', 'copy'], () => fs.copyFileSync('dir/new', 'copy')],
  [['chmod', 'copy', 0o640], () => fs.chmodSync('copy', 0o640)],
  // After the copies: newer versions of Node give a copy the owner too.
  [['chown', 'dir/new', 12, 34], () => fs.chownSync('dir/new', 12, 34)],
  [['link', 'dir/file', 'hard'], () => fs.linkSync('dir/file', 'hard')],
  [['link', 'dir/file', 'hard'], () => fs.linkSync('dir/file', 'hard')],
  [['link', 'dir', 'hard2'], () => fs.linkSync('dir', 'hard2')],
  [['symlink', 'dir/file', 'soft'], () => fs.symlinkSync('dir/file', 'soft')],
  [['symlink', 'nowhere', 'soft'], () => fs.symlinkSync('nowhere', 'soft')],
  [['readlink', 'soft'], () => fs.readlinkSync('soft')],
  [['readlink', 'dir'], () => fs.readlinkSync('dir')],
  [['lchown', 'soft', 12, 34], () => fs.lchownSync('soft', 12, 34)],
  [['link', 'soft', 'soft2'], () => fs.linkSync('soft', 'soft2')],
  [['rename', 'copy', 'dir/copy'], () => fs.renameSync('copy', 'dir/copy')],
  [['rename', 'dir/copy', 'fresh'], () => fs.renameSync('dir/copy', 'fresh')],
  [['rename', 'hard', 'dir/file'], () => fs.renameSync('hard', 'dir/file')],
  [['rename', 'dir', 'dir/a/c'], () => fs.renameSync('dir', 'dir/a/c')],
  [['rename', 'dir', 'fresh'], () => fs.renameSync('dir', 'fresh')],
  [['rename', 'fresh', 'dir'], () => fs.renameSync('fresh', 'dir')],
  [['mkdir', 'other'], () => fs.mkdirSync('other', 0o755)],
  [['rename', 'other', 'dir/a'], () => fs.renameSync('other', 'dir/a')],
  [['rename', 'dir/a', 'other'], () => fs.renameSync('dir/a', 'other')],
  [['rmdir', 'other'], () => fs.rmdirSync('other')],
  [['rmdir', 'other/b'], () => fs.rmdirSync('other/b')],
  [['rmdir', 'fresh'], () => fs.rmdirSync('fresh')],
  [['unlink', 'other'], () => fs.unlinkSync('other')],
  [['unlink', 'soft'], () => fs.unlinkSync('soft')],
  [['unlink', 'soft'], () => fs.unlinkSync('soft')],
  [['fsync', 'dir'], nothing(() => fsync('dir'))],
  [['fsync', 'dir/file'], nothing(() => fsync('dir/file'))],
  [['realpath', 'dir/file'], () => path.relative(fs.realpathSync('.'), fs.realpathSync('dir/file'))],
];

function fsync(at) {
  const fd = fs.openSync(at, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** What the two trees have in common: not the paths. */
const seen = ({ value, code, errno, syscall }) => ({ value, code, errno, syscall });

onEach('call by call a root does what node:fs does', async ({ t, dir, at, call }) => {
  for (const name of ['ours', 'theirs']) fs.mkdirSync(at(name));
  const home = process.cwd();
  t.after(() => process.chdir(home));
  process.chdir(at('theirs'));
  for (const [[method, ...args], node] of STEPS) {
    const paths = { rename: [0, 1], link: [0, 1], copyFile: [0, 1], symlink: [1] }[method] ?? [0];
    const beneath = args.map((arg, i) => (paths.includes(i) ? `ours/${arg}` : arg));
    const result = seen(await came(call(method, ...beneath)));
    if (method === 'realpath') result.value = result.value.replace(/^ours\//, '');
    const where = `${method} ${args.join(' ')}`;
    assert.deepStrictEqual(result, seen(await came((async () => node())())), where);
    assert.deepStrictEqual(snapshot(at('ours')), snapshot(at('theirs')), where);
  }
  assert.deepStrictEqual(fs.readdirSync(dir).sort(), ['ours', 'theirs']);
});

onEach('a time is kept as exactly as the file system can', async ({ at, call }) => {
  plant(at('.'), { ours: 'x', theirs: 'x', ourlink: link('x'), theirlink: link('x') });
  for (const time of ['1234567890.123456789', '0.000000001', '2147483647.999999999']) {
    const ns = BigInt(time.replace('.', ''));
    await call('utimes', 'ours', ns, ns);
    await call('lutimes', 'ourlink', ns, ns);
    execFileSync('touch', ['-h', '-d', `@${time}`, at('theirs'), at('theirlink')]);
    for (const kind of ['', 'link']) {
      const [ours, theirs] = await Promise.all(
        ['our', 'their'].map((whose) => {
          const name = kind === '' ? `${whose}s` : `${whose}${kind}`;
          return call('lstat', name, { bigint: true });
        }),
      );
      const node = fs.lstatSync(at(kind === '' ? 'theirs' : 'theirlink'), { bigint: true });
      assert.deepStrictEqual([ours.mtimeNs, ours.atimeNs], [node.mtimeNs, node.atimeNs], time);
      assert.deepStrictEqual([theirs.mtimeNs, theirs.atimeNs], [node.mtimeNs, node.atimeNs], time);
    }
  }
});

// ---- Names ----

onEach(
  'renameNoReplace and exchange: done, or refused by the kernel with both files as they were',
  async ({ special, dir, at, call }) => {
    plant(dir, { a: 'a', b: 'b', sub: { inner: 'inner' } });
    const before = snapshot(dir);
    assert.strictEqual((await came(call('renameNoReplace', 'a', 'b'))).code, 'EEXIST');
    assert.strictEqual((await came(call('renameNoReplace', 'a', 'sub'))).code, 'EEXIST');
    assert.deepStrictEqual(snapshot(dir), before);
    if (special.flags) {
      await call('renameNoReplace', 'a', 'sub/c');
      await call('exchange', 'sub/c', 'b');
      await call('exchange', 'sub', 'b');
      const content = (name) => fs.readFileSync(at(name), 'utf8');
      assert.deepStrictEqual([content('sub'), content('b/c'), content('b/inner')], ['a', 'b', 'inner']);
      return;
    }
    const refused = [
      ['renameNoReplace', 'a', 'c'],
      ['renameNoReplace', 'a', 'sub/c'],
      ['renameNoReplace', 'sub', 'c'],
      ['exchange', 'a', 'b'],
      ['exchange', 'a', 'sub'],
    ];
    for (const args of refused) {
      const { code, syscall } = await came(call(...args));
      assert.deepStrictEqual([code, syscall], ['EINVAL', 'rename'], args.join(' '));
    }
    assert.deepStrictEqual(snapshot(dir), before);
  },
);

onEach(
  'move: replaces only with `overwrite`, and never looks first in place of the kernel',
  async ({ special, dir, at, call }) => {
    plant(dir, { a: 'a', b: 'b', full: { x: 'x' }, tree: { y: { z: 'z' } } });
    const before = snapshot(dir);
    for (const args of [
      ['a', 'b'],
      ['tree', 'full'],
      ['a', 'full'],
      ['a', 'b', { overwrite: false }],
    ]) {
      assert.strictEqual((await came(call('move', ...args))).code, 'EEXIST');
    }
    assert.deepStrictEqual(snapshot(dir), before);
    if (special.flags) {
      await call('move', 'a', 'c');
      await call('move', 'c', 'a');
    } else {
      const { code, syscall } = await came(call('move', 'a', 'c'));
      assert.deepStrictEqual([code, syscall], ['EINVAL', 'rename']);
      assert.deepStrictEqual(snapshot(dir), before);
    }
    await call('move', 'a', 'b', { overwrite: true });
    await call('move', 'tree', 'full/tree', { overwrite: true });
    assert.deepStrictEqual(
      [
        fs.readdirSync(dir).sort(),
        fs.readFileSync(at('b'), 'utf8'),
        fs.readFileSync(at('full/tree/y/z'), 'utf8'),
      ],
      [['b', 'full'], 'a', 'z'],
    );
  },
);

// ---- Content ----

onEach(
  'an atomic write replaces a file in one step, and leaves nothing beside it',
  async ({ dir, at, special, call }) => {
    const unnamed = await came((async () => fs.closeSync(fs.openSync(dir, O_TMPFILE | O_RDWR, 0o600)))());
    assert.strictEqual(unnamed.code === undefined, special.tmpfile, 'O_TMPFILE');
    const large = Buffer.alloc(3 << 20, 'large ');
    plant(dir, { old: file('old content', 0o640), target: 'target', soft: link('target'), sub: {} });
    fs.chownSync(at('old'), 12, 34);
    const reader = fs.openSync(at('old'), 'r');
    for (const flush of [false, true]) {
      await call('writeFile', 'old', large, { atomic: true, flush });
      await call('writeFile', 'new', 'new', { atomic: true, flush, mode: 0o604 });
      await call('writeFile', 'sub/new', '', { atomic: true, flush });
      await call('writeFile', 'soft', 'no link', { atomic: true, flush });
      await call('writeFile', flush ? 'wx2' : 'wx1', 'once', { atomic: true, flag: 'wx', flush });
      const { code } = await came(call('writeFile', 'old', 'x', { atomic: true, flag: 'wx', flush }));
      assert.strictEqual(code, 'EEXIST');
      assert.strictEqual((await came(call('writeFile', 'sub', 'x', { atomic: true, flush }))).code, 'EISDIR');
    }
    assert.strictEqual(fs.readFileSync(reader, 'utf8'), 'old content');
    fs.closeSync(reader);
    assert.ok(large.equals(await call('readFile', 'old')));
    const { uid, gid } = fs.statSync(at('old'));
    assert.deepStrictEqual([uid, gid], [12, 34]);
    assert.deepStrictEqual(
      Object.entries(snapshot(dir)).map(([name, { mode, nlink, content }]) => [
        name,
        mode,
        nlink,
        content?.length,
      ]),
      [
        ['new', '100604', 1, 3],
        ['old', '100640', 1, large.length],
        ['soft', '100644', 1, 7],
        ['sub', fs.statSync(at('sub')).mode.toString(8), fs.statSync(at('sub')).nlink, undefined],
        ['sub/new', '100644', 1, 0],
        ['target', '100644', 1, 6],
        ['wx1', '100644', 1, 4],
        ['wx2', '100644', 1, 4],
      ],
    );
  },
);

onEach('a file copied onto itself, by whichever name, keeps its content', async ({ dir, at, call }) => {
  plant(dir, { file: 'content' });
  fs.linkSync(at('file'), at('other'));
  for (const args of [
    ['file', 'file'],
    ['file', 'other'],
    ['other', 'file', null, { reflink: 'never' }],
  ]) {
    await call('copyFile', ...args);
    assert.strictEqual(fs.readFileSync(at('file'), 'utf8'), 'content');
  }
  assert.strictEqual(fs.statSync(at('other')).nlink, 2);
});

onEach('a copy has the content and the holes of the file', async ({ dir, at, call }) => {
  plant(dir, { before: 'x' });
  sparse(at('sparse'));
  fs.writeFileSync(at('hole'), '');
  fs.truncateSync(at('hole'), 4 << 20);
  for (const reflink of ['auto', 'never']) {
    for (const name of ['sparse', 'hole']) {
      const copy = `${name}-${reflink}`;
      await call('copyFile', name, copy, null, { reflink });
      sameFile(at(name), at(copy), `${copy} by copyFile`);
      await call('cp', name, `${copy}-2`, { reflink });
      sameFile(at(name), at(`${copy}-2`), `${copy} by cp`);
    }
  }
});

/** A file of 8 MiB with two islands of data. */
function sparse(at) {
  const fd = fs.openSync(at, 'w');
  fs.writeSync(fd, Buffer.alloc(100_000, 'island '), 0, 100_000, 1 << 20);
  fs.writeSync(fd, Buffer.alloc(5000, 'another '), 0, 5000, 6 << 20);
  fs.ftruncateSync(fd, 8 << 20);
  fs.fsyncSync(fd);
  fs.closeSync(fd);
}

function sameFile(original, copy, where) {
  fsync(copy);
  assert.ok(fs.readFileSync(original).equals(fs.readFileSync(copy)), where);
  // A quarter is by far more than the islands take, with what the file system allocates around them.
  assert.ok(fs.statSync(copy).blocks * 512 < 2 << 20, `${where} has holes`);
}

// ---- Trees ----

const TREE = {
  file: file('content', 0o640),
  script: file('#!/bin/sh', 0o751),
  secret: file('secret', 0o400),
  empty: {},
  dir: { inner: 'inner', up: link('../file'), deeper: { deep: 'deep', pipe: fifo() } },
  soft: link('dir'),
  dangling: link('../../nowhere'),
  pipe: fifo(),
};

/** A tree with everything in it that a copy can have. */
function everything(at) {
  fs.mkdirSync(at);
  plant(at, TREE);
  sparse(path.join(at, 'sparse'));
  fs.linkSync(path.join(at, 'file'), path.join(at, 'dir/hard'));
  fs.linkSync(path.join(at, 'file'), path.join(at, 'dir/deeper/hard'));
  fs.chmodSync(path.join(at, 'dir/deeper'), 0o2710);
  fs.chmodSync(path.join(at, 'empty'), 0o500);
  for (const name of ['file', 'dir/inner', 'dir/deeper', 'dir', 'empty'])
    fs.utimesSync(path.join(at, name), 1e6, 2e6);
}

/** What of two trees has to be the same; the bits above the nine are not copied. */
function comparable(dir, { times }) {
  const tree = snapshot(dir);
  for (const entry of Object.values(tree)) {
    entry.mode = (parseInt(entry.mode, 8) & ~0o7000).toString(8);
    if (!times) delete entry.mtime;
  }
  return tree;
}

onEach('cp copies a tree with all that is in it', async ({ dir, at, call }) => {
  everything(at('tree'));
  for (const preserveTimestamps of [false, true]) {
    const copy = `copy-${preserveTimestamps}`;
    await call('cp', 'tree', copy, { recursive: true, preserveTimestamps });
    const options = { times: preserveTimestamps };
    assert.deepStrictEqual(comparable(at(copy), options), comparable(at('tree'), options));
    sameFile(at('tree/sparse'), at(copy, 'sparse'), 'sparse');
    const inodes = ['file', 'dir/hard', 'dir/deeper/hard'].map((name) => fs.statSync(at(copy, name)).ino);
    assert.strictEqual(new Set(inodes).size, 1, 'one file with three names');
  }
  // Again, over what is there: a directory that is there keeps its own mode, its time is of no account.
  fs.writeFileSync(at('copy-true/script'), 'other');
  fs.chmodSync(at('copy-true/dir'), 0o700);
  await call('cp', 'tree', 'copy-true', { recursive: true, preserveTimestamps: true });
  assert.strictEqual(fs.statSync(at('copy-true/dir')).mode & 0o777, 0o700);
  fs.chmodSync(at('copy-true/dir'), 0o755);
  assert.deepStrictEqual(
    comparable(at('copy-true'), { times: false }),
    comparable(at('tree'), { times: false }),
  );
  assert.strictEqual(fs.statSync(at('copy-true/file')).mtimeMs, 2e9);
  assert.deepStrictEqual(fs.readdirSync(dir).sort(), ['copy-false', 'copy-true', 'tree']);
  assert.strictEqual((await came(call('cp', 'tree', 'tree/dir/copy', { recursive: true }))).code, 'EINVAL');
  assert.ok(!fs.existsSync(at('tree/dir/copy')));
});

onEach('what is in a directory is told with its type', async ({ dir, at, root, call }) => {
  everything(at('tree'));
  const type = (entry) => {
    const types = { file: 'isFile', directory: 'isDirectory', symlink: 'isSymbolicLink', fifo: 'isFIFO' };
    return Object.keys(types).find((name) => entry[types[name]]());
  };
  const expected = (recursive) =>
    below(at('tree'), recursive)
      .map(
        ([parent, name]) =>
          `${path.join('tree', parent, name)} ${type(fs.lstatSync(at('tree', parent, name)))}`,
      )
      .sort();
  const told = (entries) =>
    entries.map(({ name, parentPath, type }) => `${parentPath}/${name} ${type}`).sort();
  for (const recursive of [false, true]) {
    const names = below(at('tree'), recursive).map(([parent, name]) => path.join(parent, name));
    assert.deepStrictEqual((await call('readdir', 'tree', { recursive })).sort(), names.sort());
    const entries = await call('readdir', 'tree', { recursive, withFileTypes: true });
    assert.deepStrictEqual(told(entries), expected(recursive));
  }
  const walked = [];
  for await (const entry of root.walk('tree')) walked.push(entry);
  assert.deepStrictEqual(told(walked), expected(true));
  assert.deepStrictEqual(fs.readdirSync(dir), ['tree']);
});

/** Everything in a directory, or beneath it, as `[parent, name]`. */
function below(dir, recursive, parent = '') {
  return fs.readdirSync(path.join(dir, parent)).flatMap((name) => {
    const at = path.join(parent, name);
    const enters = recursive && fs.lstatSync(path.join(dir, at)).isDirectory();
    return [[parent, name], ...(enters ? below(dir, true, at) : [])];
  });
}

/** More levels than are held open at once. */
const DEPTH = 60;

/**
 * A tree of 2,000 entries: a directory that is not read at once, many small ones, and a deep one. On FUSE, where each
 * of them takes long, of fewer: with longer names there are still more than are read at once.
 */
function large(at, { flags }) {
  const [full, small, words] = flags ? [1000, 100, 6] : [300, 30, 14];
  const long = 'with a long name '.repeat(words);
  fs.mkdirSync(path.join(at, 'full'));
  for (let i = 0; i < full; i++) fs.writeFileSync(path.join(at, 'full', `${i} ${long}`), '');
  for (let i = 0; i < small; i++) {
    fs.mkdirSync(path.join(at, `small${i}`));
    for (let j = 0; j < 9; j++) fs.writeFileSync(path.join(at, `small${i}`, `${j}`), '');
  }
  fs.mkdirSync(path.join(at, 'deep/'.repeat(DEPTH)), { recursive: true });
  fs.writeFileSync(path.join(at, 'deep/'.repeat(DEPTH), 'bottom'), 'x');
  return 1 + full + small * 10 + DEPTH + 1;
}

onEach('a large tree is listed, copied and removed', async ({ dir, at, special, call }) => {
  fs.mkdirSync(at('tree'));
  const entries = large(at('tree'), special);
  assert.strictEqual((await call('readdir', 'tree', { recursive: true })).length, entries);
  let copied;
  const onProgress = (progress) => {
    copied = progress;
  };
  await call('cp', 'tree', 'copy', { recursive: true, onProgress });
  assert.deepStrictEqual(comparable(at('copy'), {}), comparable(at('tree'), {}));
  assert.deepStrictEqual(copied, { entries: entries + 1, bytes: 1 });
  let removed;
  await call('rm', 'tree', true, false, {
    onProgress: (progress) => {
      removed = progress;
    },
  });
  assert.strictEqual(removed.entries, entries + 1);
  assert.deepStrictEqual(fs.readdirSync(dir), ['copy']);
  await call('rm', 'copy', true);
  assert.deepStrictEqual(fs.readdirSync(dir), []);
});

// ---- Roots ----

onEach('a root knows itself, and one within it is its own', async ({ t, dir, at, root, call }) => {
  plant(dir, { sub: { file: 'content' } });
  const sub = await call('openRoot', 'sub');
  t.after(() => sub.close());
  for (const [one, where] of [
    [root, dir],
    [sub, at('sub')],
  ]) {
    const { dev, ino } = fs.statSync(where, { bigint: true });
    assert.deepStrictEqual([one.identity.dev, one.identity.ino], [dev, ino]);
    assert.deepStrictEqual([one.isAt(where), one.isAt('/')], [true, false]);
  }
  assert.strictEqual(sub.identity.mountId, root.identity.mountId);
  assert.strictEqual(sub.readFile('file', 'utf8'), 'content');
  fs.renameSync(at('sub'), at('moved'));
  fs.mkdirSync(at('sub'));
  assert.deepStrictEqual([sub.isAt(at('sub')), sub.isAt(at('moved'))], [false, true]);
  assert.deepStrictEqual(sub.readdir('.'), ['file']);
});

/** Does something as an ordinary user, until its promise is settled. */
async function asNobody(action) {
  process.setegid(NOBODY);
  process.seteuid(NOBODY);
  try {
    return await action();
  } finally {
    process.seteuid(0);
    process.setegid(0);
  }
}

onEach('an ordinary user can do the same with what is theirs', async ({ t, dir, at, call }) => {
  fs.chownSync(dir, NOBODY, NOBODY);
  fs.chmodSync(dir, 0o755);
  const home = process.cwd();
  t.after(() => process.chdir(home));
  process.chdir(dir);
  await asNobody(async () => {
    plant('.', {
      old: file('old', 0o600),
      tree: { sub: { file: 'content', pipe: fifo() }, soft: link('sub') },
    });
    fs.linkSync('tree/sub/file', 'tree/hard');
    await call('writeFile', 'old', 'new', { atomic: true, flush: true });
    await call('writeFile', 'fresh', 'fresh', { atomic: true, flag: 'wx' });
    await call('cp', 'tree', 'copy', { recursive: true, preserveTimestamps: true });
    await call('rm', 'tree', true);
    await call('move', 'copy', 'moved', { overwrite: true });
    await call('copyFile', 'old', 'moved/old');
    await call('utimes', 'old', 1n, 1_000_000_000n);
    await call('mkdir', 'moved/a/b', true);
    const made = await call('mkdtemp', 'made-');
    await call('rmdir', made);
    assert.strictEqual((await call('readdir', '.', { recursive: true })).length, 11);
  });
  const { uid, mode, mtimeMs } = fs.statSync(at('old'));
  assert.deepStrictEqual([uid, mode & 0o7777, mtimeMs], [NOBODY, 0o600, 1000]);
  for (const [name, { uid }] of Object.entries(snapshot(dir))) assert.strictEqual(uid, NOBODY, name);
  assert.strictEqual(fs.statSync(at('moved/sub/file')).ino, fs.statSync(at('moved/hard')).ino);
});

onEach('a call that is not permitted leaves nothing', async ({ dir, at, call }) => {
  plant(dir, { file: file('content', 0o600), sub: { inner: 'inner' }, open: {} });
  fs.chmodSync(dir, 0o755);
  fs.chmodSync(at('open'), 0o777);
  const before = snapshot(dir);
  const calls = [
    ['writeFile', 'new', 'x'],
    ['writeFile', 'new', 'x', { atomic: true }],
    ['writeFile', 'sub/inner', 'x', { atomic: true }],
    ['copyFile', 'file', 'open/new'],
    ['cp', 'sub', 'new', { recursive: true }],
    ['mkdtemp', 'new-'],
    ['rm', 'sub', true],
    ['move', 'file', 'open/new', { overwrite: true }],
    ['link', 'file', 'new'],
  ];
  for (const args of calls) {
    const { code } = await asNobody(() => came(call(...args)));
    assert.match(`${code}`, /^(EACCES|EPERM)$/, args.join(' '));
    assert.deepStrictEqual(snapshot(dir), before, args.join(' '));
  }
});

for (const kind of ['ext4', 'tmpfs', 'fuse2fs']) {
  for (const [way, call] of WAYS) {
    test(`${kind}, ${way}: a disk without space: ENOSPC, and what was there is there`, async (t) => {
      const volume = mounted(kind);
      const dir = path.join(volume, 'root');
      const large = Buffer.alloc(8 << 20, 'large ');
      plant(volume, { root: { old: file('old', 0o640), tree: { a: {} } } });
      fs.writeFileSync(path.join(dir, 'tree/a/large'), large);
      fillUp(path.join(volume, 'filler'), 4 << 20);
      const root = new SandboxRoot(dir);
      t.after(() => {
        root.close();
        run('umount', '--lazy', volume);
      });
      const before = snapshot(dir);
      const never = { reflink: 'never' };
      for (const args of [
        ['writeFile', 'new', large],
        ['writeFile', 'new', large, { atomic: true }],
        ['writeFile', 'old', large, { atomic: true, flush: true }],
        ['copyFile', 'tree/a/large', 'new', null, never],
        ['cp', 'tree/a/large', 'new', never],
        ['cp', 'tree/a/large', 'old', never],
      ]) {
        const where = `${args[0]} ${args[1]} ${args[2].length}`;
        assert.strictEqual((await came(call(root, ...args))).code, 'ENOSPC', where);
        assert.deepStrictEqual(snapshot(dir), before, where);
      }
    });
  }
}

/** Makes a file so large that just so many bytes are free. */
function fillUp(at, free) {
  const chunk = Buffer.alloc(1 << 20, 'x');
  const fd = fs.openSync(at, 'w');
  let written = 0;
  try {
    for (;;) written += fs.writeSync(fd, chunk);
  } catch (error) {
    assert.strictEqual(error.code, 'ENOSPC');
  }
  fs.ftruncateSync(fd, written - free);
  fs.fsyncSync(fd);
  fs.closeSync(fd);
}

test('a volume that was replaced is noticed', async (t) => {
  for (const kind of ['tmpfs', 'ext4', 'fuse2fs']) {
    const dir = mounted(kind);
    const root = new SandboxRoot(dir);
    t.after(() => root.close());
    assert.strictEqual(root.isAt(dir), true);
    const other = mounted(kind);
    run('mount', '--bind', other, dir);
    assert.deepStrictEqual([root.isAt(dir), await root.promises.isAt(other)], [false, false]);
    const now = new SandboxRoot(dir);
    t.after(() => now.close());
    assert.notStrictEqual(now.identity.mountId, root.identity.mountId);
    root.writeFile('file', 'still that volume');
    assert.deepStrictEqual([now.exists('file'), now.isAt(dir)], [false, true]);
    run('umount', '--lazy', dir);
    assert.deepStrictEqual([root.isAt(dir), now.isAt(dir)], [true, false]);
    run('umount', '--lazy', dir);
    assert.deepStrictEqual([root.isAt(dir), root.readFile('file', 'utf8')], [false, 'still that volume']);
  }
});

test('FUSE whose server is gone: ENOTCONN from every call, none waits', async (t) => {
  const dir = mounted('fuse2fs');
  const root = new SandboxRoot(dir);
  t.after(() => root.close());
  fs.mkdirSync(path.join(dir, 'sub'));
  const command = (pid) => fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  const server = fs
    .readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .find((pid) => /^fuse2fs\0/.test(command(pid)) && command(pid).includes(`\0${dir}\0`));
  process.kill(Number(server), 'SIGKILL');
  // The kernel notices when the process is gone; what it asks until then is aborted.
  const notice = performance.now() + 60_000;
  const connected = async () => (await came(fs.promises.stat(`${dir}/x`))).code !== 'ENOTCONN';
  while (await connected()) assert.ok(performance.now() < notice);
  for (const [name, invoke] of everyCallWithPath) {
    const error = codeOf(() => invoke(root, 'sub/x'));
    assert.strictEqual(error, 'ENOTCONN', name);
  }
  assert.strictEqual((await came(root.promises.readdir('.'))).code, 'ENOTCONN');
  assert.strictEqual((await came(root.promises.rm('sub', true, true))).code, 'ENOTCONN');
  assert.strictEqual(root.exists('sub'), false);
});

/** Directories whose names are not counted where they are: a scene, and its directories that can be removed. */
const UNCOUNTED = {
  'an overlay': () => {
    const [dir, layers] = [folder('merged'), folder('layers')];
    plant(layers, { lower: { 'of the lower': {}, 'of both': {} }, upper: { up: { 'of both': {} } } });
    overlay(dir, `${layers}/lower`, `${layers}/upper`, 'redirect_dir=on');
    fs.mkdirSync(`${dir}/of the upper`);
    return [dir, ['of the lower', 'of both', 'of the upper']];
  },
  'subvolumes of btrfs': () => {
    const dir = mounted('btrfs');
    for (const name of ['one', 'other']) run('btrfs', 'subvolume', 'create', `${dir}/${name}`);
    return [dir, ['one', 'other']];
  },
};

for (const [what, make] of Object.entries(UNCOUNTED)) {
  for (const [way, call] of WAYS) {
    test(`${what}, ${way}: a root whose directory was removed says so, and one of that name does not`, async (t) => {
      const [dir, names] = make();
      t.after(() => run('umount', '--lazy', dir));
      for (const name of names) {
        const root = new SandboxRoot(`${dir}/${name}`);
        t.after(() => root.close());
        assert.strictEqual(root.deleted, false, name);
        fs.renameSync(`${dir}/${name}`, `${dir}/${name} (deleted)`);
        assert.strictEqual(root.deleted, false, 'it is called so');
        await call(root, 'chmod', '.', 0o711);
        if (name === 'other') run('btrfs', 'subvolume', 'delete', `${dir}/${name} (deleted)`);
        else fs.rmdirSync(`${dir}/${name} (deleted)`);
        assert.strictEqual(root.deleted, true, name);
        fs.mkdirSync(`${dir}/${name} (deleted)`);
        assert.strictEqual(root.deleted, true, 'another is called so');
        for (const [method, ...args] of [
          ['chmod', '.', 0o700],
          ['utimes', '.', 1, 1],
          ['chown', '.', 0, 0],
          ['mkdir', '.'],
          ['mkdir', '.', true],
          ['mkdir', 'new'],
          ['writeFile', 'new', 'x'],
          ['writeFile', 'new', 'x', { atomic: true }],
        ]) {
          const { code } = await came(call(root, method, ...args));
          assert.strictEqual(code, 'ENOENT', `${name}: ${method} ${JSON.stringify(args)}`);
        }
        fs.rmdirSync(`${dir}/${name} (deleted)`);
      }
    });
  }
}

test('where times are whole seconds, a version of a file of this second matches nothing', async (t) => {
  const dir = folder('ext4 with whole seconds');
  disk(dir, 16, ['mkfs.ext4', '-q', '-I', '128', '-m', '0']);
  const root = new SandboxRoot(dir);
  t.after(() => root.close());
  fs.writeFileSync(path.join(dir, 'file'), 'AAAA');
  const { version } = root.stat('file', { version: true });
  // In the same second, perhaps.
  fs.writeFileSync(path.join(dir, 'file'), 'BBBB');
  const write = (ifMatch) =>
    outcome(() => root.writeFile('file', 'CCCC', { atomic: true, ifMatch })).error?.code;
  assert.strictEqual(write(version), 'ESTALE');
  assert.strictEqual(fs.readFileSync(path.join(dir, 'file'), 'utf8'), 'BBBB');
  await sleep(2100);
  assert.strictEqual(write(root.stat('file', { version: true }).version), undefined);
  assert.strictEqual(fs.readFileSync(path.join(dir, 'file'), 'utf8'), 'CCCC');
});

for (const [way, call] of WAYS) {
  test(`${way}: where times are whole seconds, the moment of a stat counts, and not when its result is made`, async (t) => {
    const dir = folder('whole seconds');
    disk(dir, 16, ['mkfs.ext4', '-q', '-I', '128', '-m', '0']);
    const root = new SandboxRoot(dir);
    t.after(() => root.close());
    const file = path.join(dir, 'file');
    const { now } = Date;
    t.after(() => {
      Date.now = now;
    });
    for (const method of ['stat', 'lstat']) {
      for (const clock of [() => 0, () => now() + 3_600_000]) {
        fs.writeFileSync(file, 'AAAA');
        Date.now = clock;
        const { version } = await call(root, method, 'file', { version: true });
        Date.now = now;
        fs.writeFileSync(file, 'BBBB');
        const { code } = await came(
          call(root, 'writeFile', 'file', 'CCCC', { atomic: true, ifMatch: version }),
        );
        assert.deepStrictEqual([code, fs.readFileSync(file, 'utf8')], ['ESTALE', 'BBBB']);
      }
    }
    // A time of modification that somebody has set to the future is not recent.
    const later = now() / 1000 + 3600;
    fs.utimesSync(file, Math.floor(later), Math.floor(later));
    await sleep(2100);
    const { version } = await call(root, 'stat', 'file', { version: true });
    await call(root, 'writeFile', 'file', 'CCCC', { atomic: true, ifMatch: version });
    assert.strictEqual(fs.readFileSync(file, 'utf8'), 'CCCC');
  });
}
