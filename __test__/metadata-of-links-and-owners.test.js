'use strict';
// lstat, statfs, access, exists, readlink, chown, lchown, lutimes, exchange: beside node:fs on the same tree.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const { isDeepStrictEqual } = require('node:util');
const { SandboxRoot } = require('..');
const {
  NOBODY,
  codeOf,
  fifo,
  file,
  isRoot,
  link,
  outcome,
  sandbox,
  snapshot,
  unprivileged,
} = require('./support');

const TREE = {
  file: 'content',
  secret: file('s', 0o000),
  dir: { inner: 'inner' },
  pipe: fifo(),
  tofile: link('file'),
  todir: link('dir'),
  dangling: link('nowhere'),
};
const EVERYTHING = [
  'file',
  'secret',
  'dir',
  'dir/inner',
  'pipe',
  'tofile',
  'todir',
  'dangling',
  '.',
  'dir/',
  './file',
];
const MISSING = ['missing', 'missing/x', 'file/x', 'file/', 'x'.repeat(256)];

/** The outcome of a call of node:fs, with the path as a root was given it. */
function node(at, call) {
  const { value, error } = outcome(call);
  if (error === undefined) return { value };
  const strip = (text) => text?.replaceAll(`${at()}/`, '');
  return {
    error: { ...error, path: strip(error.path), dest: strip(error.dest), message: strip(error.message) },
  };
}

test('lstat describes a symlink itself, and says what fs.lstat says', (t) => {
  const { root, at } = sandbox(t, TREE);
  for (const name of EVERYTHING) {
    const { ino, mode, size, nlink, mtimeNs } = fs.lstatSync(at(name), { bigint: true });
    const got = root.lstat(name, { bigint: true });
    assert.deepStrictEqual(
      [got.ino, got.mode, got.size, got.nlink, got.mtimeNs],
      [ino, mode, size, nlink, mtimeNs],
      name,
    );
    assert.strictEqual(root.lstat(name).ino, Number(ino));
  }
  for (const name of MISSING) {
    assert.deepStrictEqual(
      outcome(() => root.lstat(name)),
      node(at, () => fs.lstatSync(at(name))),
      name,
    );
  }
});

/** What a file system says that nobody changes meanwhile: asked for again until it says the same before and after. */
function unchanged(ask, ours) {
  for (let tries = 0; tries < 1000; tries++) {
    const before = ask();
    const got = ours();
    if (isDeepStrictEqual(before, ask())) return { got, right: { ...before } };
  }
  assert.fail('it changes all the time');
}

test('statfs describes a file system, and says what fs.statfs says, in numbers and in bigints', async (t) => {
  const { dir, root, at } = sandbox(t, TREE);
  const hosts = [dir, '/proc/self', '/sys', '/dev', '/dev/shm', '/'].filter((host) => fs.existsSync(host));
  const types = new Set();
  for (const host of hosts) {
    const there = host === dir ? root : new SandboxRoot(host);
    for (const name of host === dir ? EVERYTHING.filter((name) => !/^(to|dang)/.test(name)) : ['.']) {
      for (const options of [undefined, null, {}, { bigint: false }, { bigint: true }]) {
        const where = `${host} ${name} ${options?.bigint}`;
        const ask = () => fs.statfsSync(`${host}/${name}`, options ?? undefined);
        const { got, right } = unchanged(ask, () => there.statfs(name, options));
        assert.deepStrictEqual(got, right, where);
        const kind = options?.bigint ? 'bigint' : 'number';
        for (const [field, value] of Object.entries(got)) assert.strictEqual(typeof value, kind, field);
        types.add(Number(got.type));
      }
      const ask = () => fs.statfsSync(`${host}/${name}`, { bigint: true });
      for (const tries of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) {
        const before = { ...ask() };
        const later = await there.promises.statfs(name, { bigint: true });
        if (!isDeepStrictEqual(before, { ...ask() }) && tries < 10) continue;
        assert.deepStrictEqual(later, before, `${host} ${name}, later`);
        break;
      }
    }
    if (there !== root) there.close();
  }
  assert.ok(types.size > 2, 'several file systems were described');
  for (const name of MISSING) {
    assert.deepStrictEqual(
      outcome(() => root.statfs(name)),
      node(at, () => fs.statfsSync(at(name))),
      name,
    );
  }
  for (const symlinks of ['beneath', 'in-root']) {
    const following = new SandboxRoot(dir, { symlinks });
    assert.strictEqual(following.statfs('todir/inner').type, root.statfs('.').type);
    following.close();
  }
  for (const name of ['tofile', 'todir', 'dangling', 'todir/inner'])
    assert.strictEqual(
      codeOf(() => root.statfs(name)),
      'ELOOP',
      name,
    );
  assert.throws(() => root.statfs('file', { bigint: 1 }), {
    code: 'ERR_INVALID_ARG_TYPE',
    message: /options\.bigint/,
  });
  // It has no such option.
  assert.strictEqual(
    codeOf(() => root.statfs('missing', { throwIfNoEntry: false })),
    'ERR_INVALID_ARG_VALUE',
  );
});

test('with throwIfNoEntry: false nothing there is undefined, and other errors stay errors', (t) => {
  const { root } = sandbox(t, TREE);
  for (const method of ['stat', 'lstat']) {
    for (const name of ['missing', 'missing/x']) {
      assert.strictEqual(root[method](name, { throwIfNoEntry: false }), undefined);
      assert.strictEqual(root[method](name, { throwIfNoEntry: false, bigint: true }), undefined);
      assert.strictEqual(
        codeOf(() => root[method](name, { throwIfNoEntry: true })),
        'ENOENT',
      );
    }
    assert.strictEqual(root[method]('file', { throwIfNoEntry: false }).size, 7);
    // As Node since 22.
    const { value, error } = outcome(() => root[method]('file/x', { throwIfNoEntry: false }));
    assert.deepStrictEqual([value, error?.code], [undefined, method === 'stat' ? undefined : 'ENOTDIR']);
    assert.strictEqual(
      codeOf(() => root[method]('file/x')),
      'ENOTDIR',
    );
    assert.strictEqual(
      codeOf(() => root[method]('../x', { throwIfNoEntry: false })),
      'EACCES',
    );
    assert.strictEqual(
      codeOf(() => root[method]('file', { throwIfNoEntry: 1 })),
      'ERR_INVALID_ARG_TYPE',
    );
  }
});

test('access asks the kernel, as the real user', (t) => {
  const { root, at } = sandbox(t, TREE);
  if (isRoot) fs.chownSync(at('secret'), NOBODY, NOBODY);
  for (const name of ['file', 'secret', 'dir', 'dir/inner', 'pipe', '.', ...MISSING]) {
    for (const mode of [undefined, 0, 1, 2, 3, 4, 5, 6, 7]) {
      const [ours, theirs] = [() => root.access(name, mode), () => fs.accessSync(at(name), mode)];
      assert.deepStrictEqual(outcome(ours), node(at, theirs), `${name} ${mode}`);
    }
  }
  for (const name of ['tofile', 'todir', 'dangling'])
    assert.strictEqual(
      codeOf(() => root.access(name)),
      'ELOOP',
    );
  for (const mode of [-1, 8, 1.5, NaN])
    assert.strictEqual(
      codeOf(() => root.access('file', mode)),
      'ERR_OUT_OF_RANGE',
    );
});

test('exists says what is there, and throws only once the root is closed', (t) => {
  const { root } = sandbox(t, TREE);
  for (const name of ['file', 'secret', 'dir', 'dir/', 'dir/inner', 'pipe', '.', Buffer.from('file')]) {
    assert.strictEqual(root.exists(name), true, String(name));
  }
  for (const name of [
    'missing',
    'file/',
    'file/x',
    'tofile',
    'todir/inner',
    'dangling',
    '..',
    '/',
    '/etc',
    '',
    'a\0b',
    '\ud800',
    undefined,
    null,
    5,
    {},
    Symbol('x'),
  ]) {
    assert.strictEqual(root.exists(name), false, String(name));
  }
  root.close();
  assert.throws(() => root.exists('file'), { code: 'EBADF' });
});

test('readlink tells what a symlink holds, also byte for byte', (t) => {
  const { root, at } = sandbox(t, { ...TREE, far: link('/etc/passwd'), long: link('x'.repeat(4000)) });
  for (const name of ['tofile', 'todir', 'dangling', 'far', 'long']) {
    const target = fs.readlinkSync(at(name));
    assert.strictEqual(root.readlink(name), target);
    for (const utf8 of [null, {}, 'utf8', 'utf-8', { encoding: 'utf8' }, { encoding: null }])
      assert.strictEqual(root.readlink(name, utf8), target);
    for (const buffer of ['buffer', { encoding: 'buffer' }])
      assert.deepStrictEqual(root.readlink(name, buffer), Buffer.from(target));
  }
  const odd = Buffer.from('odd\xff', 'latin1');
  root.symlink(odd, 'odd');
  assert.deepStrictEqual([root.readlink('odd', 'buffer'), root.readlink('odd')], [odd, 'odd\ufffd']);
  for (const name of ['file', 'dir', 'dir/', 'pipe', ...MISSING]) {
    assert.deepStrictEqual(
      outcome(() => root.readlink(name)),
      node(at, () => fs.readlinkSync(at(name))),
      name,
    );
  }
  assert.strictEqual(
    codeOf(() => root.readlink('tofile', 'nonsense')),
    'ERR_INVALID_ARG_VALUE',
  );
});

test('lutimes sets the times of a symlink itself', (t) => {
  const { root, at } = sandbox(t, TREE);
  for (const name of ['tofile', 'todir', 'dangling', 'file', 'dir', 'dir/', 'pipe']) {
    const target = name.startsWith('to') ? fs.statSync(at(name), { bigint: true }).mtimeNs : undefined;
    root.lutimes(name, 1_000_000_001n, 2_000_000_002n);
    const stat = fs.lstatSync(at(name), { bigint: true });
    assert.deepStrictEqual([stat.atimeNs, stat.mtimeNs], [1_000_000_001n, 2_000_000_002n], name);
    if (target !== undefined) assert.strictEqual(fs.statSync(at(name), { bigint: true }).mtimeNs, target);
  }
  for (const name of MISSING) {
    assert.deepStrictEqual(
      outcome(() => root.lutimes(name, 1, 2)),
      node(at, () => fs.lutimesSync(at(name), 1, 2)),
      name,
    );
  }
});

test('chown and lchown give a file and a symlink away', {
  skip: !isRoot && 'needs root to give files away',
}, (t) => {
  const { root, at } = sandbox(t, TREE);
  fs.chmodSync(at('..'), 0o755);
  const owner = (name) => {
    const { uid, gid } = fs.lstatSync(at(name));
    return [uid, gid];
  };
  for (const name of ['file', 'secret', 'dir', 'pipe']) {
    root.chown(name, 1, 2);
    assert.deepStrictEqual(owner(name), [1, 2]);
    root.chown(name, -1, 3);
    root.chown(name, 4, -1);
    root.chown(name, 2 ** 32 - 1, -1);
    assert.deepStrictEqual(owner(name), [4, 3]);
    root.lchown(name, 5, 6);
    assert.deepStrictEqual(owner(name), [5, 6]);
  }
  root.lchown('tofile', 7, 8);
  assert.deepStrictEqual(
    [owner('tofile'), owner('file')],
    [
      [7, 8],
      [5, 6],
    ],
  );
  assert.strictEqual(
    codeOf(() => root.chown('tofile', 1, 1)),
    'ELOOP',
  );
  for (const method of ['chown', 'lchown']) {
    for (const name of MISSING) {
      assert.deepStrictEqual(
        outcome(() => root[method](name, 1, 1)),
        node(at, () => fs[`${method}Sync`](at(name), 1, 1)),
        name,
      );
    }
    assert.deepStrictEqual(
      unprivileged(() => outcome(() => root[method]('file', 0, 0))),
      unprivileged(() => node(at, () => fs[`${method}Sync`](at('file'), 0, 0))),
    );
    for (const id of [-2, 2 ** 32, 1.5])
      assert.strictEqual(
        codeOf(() => root[method]('file', id, 0)),
        'ERR_OUT_OF_RANGE',
      );
    for (const id of [undefined, null, '1'])
      assert.strictEqual(
        codeOf(() => root[method]('file', 0, id)),
        'ERR_INVALID_ARG_TYPE',
      );
  }
});

test('exchange puts each of two names where the other was, whatever they are', (t) => {
  const { dir, root, at } = sandbox(t, TREE);
  const { ino } = root.stat('file');
  root.exchange('file', 'dir');
  assert.deepStrictEqual([root.stat('dir').ino, fs.readdirSync(at('file'))], [ino, ['inner']]);
  root.exchange('dir', 'file');
  root.exchange('tofile', 'file');
  assert.strictEqual(fs.readlinkSync(at('file')), 'file');
  root.exchange('file', 'tofile');
  root.exchange('dir/', 'file');
  root.exchange('file/', 'dir');
  const before = snapshot(dir);
  for (const [a, b, code] of [
    ['file', 'missing', 'ENOENT'],
    ['missing', 'file', 'ENOENT'],
    ['file/', 'dir', 'ENOTDIR'],
    ['dir', 'file/', 'ENOTDIR'],
    ['dir', 'dir/inner', 'EINVAL'],
    ['.', 'file', 'EBUSY'],
    ['todir/inner', 'file', 'ELOOP'],
  ]) {
    assert.strictEqual(
      codeOf(() => root.exchange(a, b)),
      code,
      `${a} ${b}`,
    );
  }
  assert.deepStrictEqual(snapshot(dir), before);
});
