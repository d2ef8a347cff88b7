'use strict';
// A path that ends in a slash or in a `.`: every call answers as the kernel does, and leaves the same
// tree. The kernel is asked through node:fs, which hands on such paths as they are.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { execFileSync, spawnSync } = require('node:child_process');
const { remove } = require('./node-emulated');
const { SandboxRoot } = require('..');
const { POLICIES, isRoot, link, memory, outcome, plant, removeTree } = require('./support');
const { sandbox, snapshot, tempDir, tool, unprivileged } = require('./support');

const TREE = {
  file: 'content',
  other: 'other',
  d: { inner: 'inner' },
  empty: {},
};
const LINKS = { todir: link('d'), toempty: link('empty'), tofile: link('file'), dangling: link('new') };

const NAMES = ['file', 'd', 'empty', 'new', 'd/inner', 'd/new', 'file/x', 'new/x'];
const spelled = (names, ...endings) => names.flatMap((name) => endings.map((ending) => name + ending));
const DOTS = [...spelled(NAMES, '/.', '/./'), 'd//.', './d/.', 'd/./.'];
const SLASHES = spelled(NAMES, '/', '//');

/** Each method, and the same made with node:fs, in the tree `at` gives paths in. */
const CALLS = {
  stat: [(root, at) => void root.stat(at), (at) => void fs.statSync(at)],
  lstat: [(root, at) => void root.lstat(at), (at) => void fs.lstatSync(at)],
  statfs: [(root, at) => void root.statfs(at), (at) => void fs.statfsSync(at)],
  access: [(root, at) => root.access(at), (at) => fs.accessSync(at)],
  exists: [(root, at) => root.exists(at), (at) => fs.existsSync(at)],
  readdir: [(root, at) => root.readdir(at).sort(), (at) => fs.readdirSync(at).sort()],
  readlink: [(root, at) => root.readlink(at), (at) => fs.readlinkSync(at)],
  chmod: [(root, at) => root.chmod(at, 0o751), (at) => fs.chmodSync(at, 0o751)],
  utimes: [(root, at) => root.utimes(at, 5e9, 5e9), (at) => fs.utimesSync(at, 5, 5)],
  lutimes: [(root, at) => root.lutimes(at, 5e9, 5e9), (at) => fs.lutimesSync(at, 5, 5)],
  chown: [(root, at) => root.chown(at, -1, -1), (at) => fs.chownSync(at, -1, -1)],
  lchown: [(root, at) => root.lchown(at, -1, -1), (at) => fs.lchownSync(at, -1, -1)],
  mkdir: [(root, at) => root.mkdir(at), (at) => fs.mkdirSync(at, 0o755)],
  'mkdir, recursive': [
    (root, at) => root.mkdir(at, true),
    (at) => void fs.mkdirSync(at, { recursive: true, mode: 0o755 }),
  ],
  rmdir: [(root, at) => root.rmdir(at), (at) => fs.rmdirSync(at)],
  unlink: [(root, at) => root.unlink(at), (at) => fs.unlinkSync(at)],
  remove: [(root, at) => root.remove(at), remove],
  mkfifo: [(root, at) => root.mkfifo(at), mkfifo],
  symlink: [(root, at) => root.symlink('target', at), (at) => fs.symlinkSync('target', at)],
  writeFile: [(root, at) => root.writeFile(at, 'new'), (at) => fs.writeFileSync(at, 'new')],
  'writeFile, in one step': [
    (root, at) => root.writeFile(at, 'new', { atomic: true }),
    (at) => fs.writeFileSync(at, 'new'),
  ],
  'writeFile, new': [
    (root, at) => root.writeFile(at, 'new', { flag: 'wx' }),
    (at) => fs.writeFileSync(at, 'new', { flag: 'wx' }),
  ],
  appendFile: [(root, at) => root.appendFile(at, 'new'), (at) => fs.appendFileSync(at, 'new')],
  truncate: [(root, at) => root.truncate(at, 1), (at) => fs.truncateSync(at, 1)],
  open: [(root, at) => fs.closeSync(root.open(at)), (at) => fs.closeSync(fs.openSync(at))],
  'open, new': [(root, at) => fs.closeSync(root.open(at, 'wx')), (at) => fs.closeSync(fs.openSync(at, 'wx'))],
  openWrite: [
    (root, at) => fs.closeSync(root.openWrite(at, true, true)),
    (at) => fs.closeSync(fs.openSync(at, 'w')),
  ],
  'copyFile from': [(root, at) => root.copyFile(at, 'new'), (at, to) => fs.copyFileSync(at, to('new'))],
  'copyFile to': [(root, at) => root.copyFile('other', at), (at, to) => fs.copyFileSync(to('other'), at)],
  'link from': [(root, at) => root.link(at, 'fresh'), (at, to) => fs.linkSync(at, to('fresh'))],
  'link to': [(root, at) => root.link('other', at), (at, to) => fs.linkSync(to('other'), at)],
  'link of a directory': [(root, at) => root.link('d', at), (at, to) => fs.linkSync(to('d'), at)],
};

for (const from of ['file', 'd', 'nowhere', 'other/', 'd/', 'd/.']) {
  for (const [method, flag] of [
    ['rename', '0'],
    ['renameNoReplace', 'noreplace'],
    ['exchange', 'exchange'],
  ]) {
    CALLS[`${method} of ${from}`] = [
      (root, at) => root[method](from, at),
      (at, to) => renameat2(to(from), at, flag),
    ];
    CALLS[`${method} to ${from}`] = [
      (root, at) => root[method](at, from),
      (at, to) => renameat2(at, to(from), flag),
    ];
  }
}

const ERRNOS = new Map(Object.entries(os.constants.errno).map(([code, errno]) => [errno, code]));

function mkfifo(at) {
  const { status, stderr } = spawnSync('mkfifo', ['--', at], { encoding: 'utf8', env: { LC_ALL: 'C' } });
  const code = Object.keys(MKFIFO_SAYS).find((code) => stderr.includes(MKFIFO_SAYS[code]));
  if (status !== 0) throw Object.assign(new Error(stderr), { code: code ?? stderr });
}

/** What the program says of what mknodat(2) fails with. */
const MKFIFO_SAYS = {
  EEXIST: 'File exists',
  ENOENT: 'No such file or directory',
  ENOTDIR: 'Not a directory',
  ELOOP: 'Too many levels of symbolic links',
};

function renameat2(from, to, flag) {
  const errno = Number(execFileSync(tool('renameat2'), [from, to, flag], { encoding: 'utf8' }));
  if (errno !== 0) throw Object.assign(new Error(ERRNOS.get(errno)), { code: ERRNOS.get(errno) });
}

/** What a call comes to, told alike for both, and the tree that it leaves. */
function came(base, call) {
  const { value, error } = outcome(call);
  return { value, code: error?.code, tree: withoutNumbers(snapshot(base)) };
}

const withoutNumbers = (tree) =>
  Object.fromEntries(Object.entries(tree).map(([name, { nlink: _, ...is }]) => [name, is]));

/** All paths with all calls; gives back what differs, one line each. */
function differences(t, tree, paths, calls, options = {}) {
  const base = tempDir(t, memory);
  const found = [];
  let count = 0;
  for (const [what, [ours, theirs]] of Object.entries(CALLS).filter(([what]) => calls.test(what))) {
    for (const at of paths) {
      const dirs = ['ours', 'theirs'].map((side) => path.join(base, side));
      for (const dir of dirs) {
        fs.mkdirSync(dir);
        plant(dir, tree);
      }
      const to = (name) => `${dirs[1]}/${name}`;
      const expected = came(dirs[1], () => theirs(to(at), to));
      const root = new SandboxRoot(dirs[0], options);
      const actual = came(dirs[0], () => ours(root, at));
      root.close();
      if (WRONG_SIDES.test(what) && expected.code && actual.code) actual.code = expected.code;
      if (JSON.stringify(actual) !== JSON.stringify(expected)) {
        const said = [expected, actual].map(({ code, value }) => code ?? `success (${value})`);
        const trees = JSON.stringify(actual.tree) === JSON.stringify(expected.tree) ? '' : ', another tree';
        found.push(`${what} ${at}: ${said[0]} by the kernel, ${said[1]} here${trees}`);
      }
      count += 1;
      for (const dir of dirs) removeTree(dir);
    }
  }
  t.diagnostic(`${count} calls`);
  return found;
}

/** What is wrong on both sides of a call with two paths: which of the errors is said is not promised. */
const WRONG_SIDES = / (of nowhere|(of|to) other\/|(of|to) d\/\.)$|^exchange to nowhere$/;
const RENAMES = /^(rename|renameNoReplace|exchange) /;
const OTHERS = /^(?!rename|exchange)/;

for (const symlinks of POLICIES) {
  test(`a \`.\` at the end of a path names the directory, and not an entry: '${symlinks}'`, (t) => {
    assert.deepStrictEqual(differences(t, TREE, DOTS, OTHERS, { symlinks }), []);
  });
}

test('a directory that is named by a `.` is not renamed, nor replaced', (t) => {
  assert.deepStrictEqual(
    differences(
      t,
      TREE,
      DOTS.filter((at) => at.endsWith('/.')),
      RENAMES,
    ),
    [],
  );
});

test('a slash at the end of a path asks for a directory, after whether something is there', (t) => {
  assert.deepStrictEqual(differences(t, TREE, SLASHES, OTHERS), []);
  assert.deepStrictEqual(differences(t, TREE, spelled(NAMES, '/'), RENAMES), []);
});

for (const symlinks of ['beneath', 'in-root']) {
  const ends = spelled(Object.keys(LINKS), '', '/', '/.', '/inner', '/new');
  test(`symlinks that are followed are followed as by the kernel, at the end of a path too: '${symlinks}'`, (t) => {
    // What appears in one step takes the place of a symlink.
    const calls = /^(?!rename|exchange|writeFile, in one step)/;
    assert.deepStrictEqual(differences(t, { ...TREE, ...LINKS }, ends, calls, { symlinks }), []);
    const renames = spelled(['todir', 'dangling'], '', '/', '/.');
    const tree = { ...TREE, ...LINKS };
    assert.deepStrictEqual(differences(t, tree, renames, RENAMES, { symlinks }), []);
  });

  test(`rm of a symlink with a slash behind it fails as unlink does: '${symlinks}'`, (t) => {
    const { root, dir } = sandbox(t, { ...TREE, ...LINKS });
    const kept = new SandboxRoot(dir, { symlinks });
    root.close();
    const before = snapshot(dir);
    for (const [at, code] of [
      ['todir/', 'ENOTDIR'],
      ['toempty/', 'ENOTDIR'],
      ['tofile/', 'ENOTDIR'],
      ['dangling/', 'ENOENT'],
      ['todir//', 'ENOTDIR'],
    ]) {
      for (const recursive of [true, false])
        assert.strictEqual(outcome(() => kept.rm(at, recursive)).error?.code, code, `${at} ${recursive}`);
      assert.deepStrictEqual(snapshot(dir), before, at);
    }
    assert.strictEqual(outcome(() => kept.rm('dangling/', true, true)).error, undefined);
    assert.deepStrictEqual(snapshot(dir), before);
    kept.close();
  });
}

test('rm of a directory that is named by a `.` is EINVAL, and removes nothing', (t) => {
  const { root, dir } = sandbox(t, TREE);
  const before = snapshot(dir);
  for (const [at, code] of [
    ['d/.', 'EINVAL'],
    ['empty/.', 'EINVAL'],
    ['d/./', 'EINVAL'],
    ['file/.', 'ENOTDIR'],
    ['new/.', 'ENOENT'],
  ]) {
    assert.strictEqual(outcome(() => root.rm(at, true)).error?.code, code, at);
    assert.deepStrictEqual(snapshot(dir), before, at);
  }
  assert.strictEqual(outcome(() => root.rm('new/.', true, true)).error, undefined);
  assert.deepStrictEqual(snapshot(dir), before);
});

test('cp and move take a directory that is named by a `.` for itself', (t) => {
  const { root, dir } = sandbox(t, TREE);
  root.cp('d/.', 'copy', { recursive: true });
  assert.deepStrictEqual(fs.readdirSync(path.join(dir, 'copy')), ['inner']);
  const before = snapshot(dir);
  assert.strictEqual(outcome(() => root.move('d/.', 'moved')).error?.code, 'EBUSY');
  assert.strictEqual(outcome(() => root.cp('d', 'made/.', { recursive: true })).error?.code, 'ENOENT');
  assert.strictEqual(outcome(() => root.move('d', 'made/.')).error?.code, 'ENOENT');
  assert.deepStrictEqual(snapshot(dir), before);
});

test('cp into what is copied makes nothing, however its path ends', (t) => {
  const { root, dir } = sandbox(t, { d: { a: 'a', b: { inner: '' }, deep: { deeper: {} }, z: 'z' } });
  const before = snapshot(dir);
  for (const [from, to] of [
    ['d', 'd/deep/.'],
    ['d', 'd/deep/deeper/.'],
    ['d', 'd/deep/./'],
    ['d/.', 'd/deep/.'],
    ['.', 'd/deep/.'],
    ['.', 'd/.'],
    ['d', 'd/.'],
    ['d', 'd/deep/'],
    ['d', 'd/deep/new'],
  ]) {
    const { error } = outcome(() => root.cp(from, to, { recursive: true }));
    assert.strictEqual(error?.code, 'EINVAL', `${from} ${to}`);
    assert.deepStrictEqual(snapshot(dir), before, `${from} ${to}`);
  }
});

test('a `.` at the end asks for permission to search the directory', {
  skip: !isRoot && 'needs root',
}, (t) => {
  const tree = { locked: { inner: '' }, readable: { inner: '' }, open: { inner: '' } };
  const { root, dir, at } = sandbox(t, tree);
  fs.chmodSync(path.dirname(dir), 0o755);
  for (const [name, mode] of Object.entries({ locked: 0o700, readable: 0o744, open: 0o755 }))
    fs.chmodSync(at(name), mode);
  for (const name of Object.keys(tree)) {
    for (const ending of ['', '/', '/.']) {
      for (const what of [
        'stat',
        'lstat',
        'statfs',
        'access',
        'readdir',
        'exists',
        'open',
        'mkdir',
        'chown',
      ]) {
        const [ours, theirs] = CALLS[what];
        const path = name + ending;
        const [actual, expected] = unprivileged(() => [
          outcome(() => ours(root, path)),
          outcome(() => theirs(at(name) + ending)),
        ]);
        const told = ({ value, error }) => [value, error?.code];
        // Which error comes first where the name is taken is not promised.
        if (what === 'mkdir') assert.ok(actual.error !== undefined);
        else assert.deepStrictEqual(told(actual), told(expected), `${what} ${path}`);
      }
    }
  }
});
