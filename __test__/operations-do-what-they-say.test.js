'use strict';
// The fifteen methods, one by one: what they return, their defaults, what they leave behind.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { codeOf, link, fifo, file, sandbox } = require('./support');

const read = (at) => fs.readFileSync(at, 'utf8');
const modeOf = (at) => (fs.lstatSync(at).mode & 0o7777).toString(8);

/** Runs `action` with no bits masked from the modes of what it makes. */
function withUmask(mask, action) {
  const before = process.umask(mask);
  try {
    action();
  } finally {
    process.umask(before);
  }
}

test('mkdir makes one directory, with mode 0755 unless another is given, less the umask', (t) => {
  const { root, at } = sandbox(t, { dir: {} });
  withUmask(0, () => {
    assert.strictEqual(root.mkdir('a'), undefined);
    root.mkdir('dir/b', false, 0o700);
    root.mkdir('c', null, 0o1777);
  });
  withUmask(0o077, () => root.mkdir('masked', false, 0o777));
  assert.deepStrictEqual(
    ['a', 'dir/b', 'c', 'masked'].map((name) => modeOf(at(name))),
    ['755', '700', '1777', '700'],
  );
  assert.strictEqual(
    codeOf(() => root.mkdir('a')),
    'EEXIST',
  );
  assert.strictEqual(
    codeOf(() => root.mkdir('x/y')),
    'ENOENT',
  );
});

test('mkdir with recursive makes every missing level with the mode, and is fine with what is there', (t) => {
  const { root, at } = sandbox(t, { file: '', todir: link('a'), dangling: link('nowhere') });
  withUmask(0, () => {
    assert.strictEqual(root.mkdir('a/b/c', true, 0o711), undefined);
    assert.strictEqual(root.mkdir('a/b/c/d/e', true), undefined);
    assert.strictEqual(root.mkdir('a/b', true, 0o700), undefined);
  });
  assert.deepStrictEqual(
    ['a', 'a/b', 'a/b/c', 'a/b/c/d', 'a/b/c/d/e'].map((name) => modeOf(at(name))),
    ['711', '711', '711', '755', '755'],
  );
  assert.strictEqual(
    codeOf(() => root.mkdir('file', true)),
    'EEXIST',
  );
  assert.strictEqual(
    codeOf(() => root.mkdir('file/x', true)),
    'ENOTDIR',
  );
  assert.strictEqual(
    codeOf(() => root.mkdir('file/x/y', true)),
    'ENOTDIR',
  );
  assert.strictEqual(
    codeOf(() => root.mkdir('todir/x/y', true)),
    'ELOOP',
  );
  assert.strictEqual(
    codeOf(() => root.mkdir('dangling/x', true)),
    'ELOOP',
  );
  const deep = Array.from({ length: 1000 }, (_, i) => i % 10).join('/');
  root.mkdir(deep, true);
  assert.ok(root.stat(deep).nlink >= 1);
});

test('unlink removes a file, a FIFO, and a symlink itself', (t) => {
  const { root, at } = sandbox(t, { file: 'x', pipe: fifo(), tofile: link('file'), dir: {} });
  assert.strictEqual(root.unlink('tofile'), undefined);
  root.unlink('pipe');
  assert.deepStrictEqual(fs.readdirSync(at()), ['dir', 'file']);
  assert.strictEqual(
    codeOf(() => root.unlink('dir')),
    'EISDIR',
  );
});

test('rmdir removes an empty directory and nothing else', (t) => {
  const { root, at } = sandbox(t, { empty: {}, full: { x: '' }, file: '' });
  assert.strictEqual(root.rmdir('empty'), undefined);
  assert.strictEqual(
    codeOf(() => root.rmdir('full')),
    'ENOTEMPTY',
  );
  assert.strictEqual(
    codeOf(() => root.rmdir('file')),
    'ENOTDIR',
  );
  assert.deepStrictEqual(fs.readdirSync(at()), ['file', 'full']);
});

test('rename moves and replaces, across directories, keeping the inode', (t) => {
  const { root, at } = sandbox(t, { a: 'a', b: 'b', dir: { inner: 'inner' }, empty: {} });
  const { ino } = root.stat('a');
  assert.strictEqual(root.rename('a', 'b'), undefined);
  assert.deepStrictEqual([read(at('b')), root.stat('b').ino], ['a', ino]);
  root.rename('b', 'dir/b');
  root.rename('dir', 'empty');
  assert.deepStrictEqual(fs.readdirSync(at('empty')), ['b', 'inner']);
  root.rename('empty/b', 'empty/b');
  assert.strictEqual(
    codeOf(() => root.rename('empty', 'empty/sub')),
    'EINVAL',
  );
});

test('renameNoReplace moves where nothing is, and else leaves both as they were', (t) => {
  const { root, at } = sandbox(t, { a: 'a', b: 'b', dir: {}, toa: link('a') });
  for (const [from, to] of [
    ['a', 'b'],
    ['a', 'dir'],
    ['dir', 'a'],
    ['a', 'toa'],
    ['a', 'a'],
  ]) {
    assert.strictEqual(
      codeOf(() => root.renameNoReplace(from, to)),
      'EEXIST',
      `${from} to ${to}`,
    );
  }
  assert.deepStrictEqual([read(at('a')), read(at('b'))], ['a', 'b']);
  assert.strictEqual(root.renameNoReplace('a', 'dir/c'), undefined);
  assert.deepStrictEqual([read(at('dir/c')), fs.existsSync(at('a'))], ['a', false]);
});

test('link gives a file a second name, and a symlink too, never what it points to', (t) => {
  const { root, at } = sandbox(t, { file: 'x', dir: {}, tofile: link('file') });
  assert.strictEqual(root.link('file', 'dir/second'), undefined);
  root.link('tofile', 'dir/link');
  assert.strictEqual(root.stat('file').nlink, 2);
  assert.strictEqual(fs.readlinkSync(at('dir/link')), 'file');
  assert.strictEqual(
    codeOf(() => root.link('file', 'dir/second')),
    'EEXIST',
  );
  assert.strictEqual(
    codeOf(() => root.link('dir', 'x')),
    'EPERM',
  );
});

test('symlink stores its target as given, and never follows it', (t) => {
  const { root, at } = sandbox(t, { dir: {} });
  for (const target of ['file', '../../..', '/etc/passwd', 'a//b/../c/', '.', ' ', 'x'.repeat(4095)]) {
    assert.strictEqual(root.symlink(target, 'dir/link'), undefined);
    assert.strictEqual(fs.readlinkSync(at('dir/link')), target);
    root.unlink('dir/link');
  }
});

test('chmod sets the twelve permission bits, of a directory and a FIFO too', (t) => {
  const { root, at } = sandbox(t, { file: '', dir: {}, pipe: fifo() });
  for (const name of ['file', 'dir', 'pipe']) {
    for (const mode of [0o000, 0o777, 0o4755, 0o2750, 0o1777, 0o640]) {
      assert.strictEqual(root.chmod(name, mode), undefined);
      assert.strictEqual(modeOf(at(name)), mode.toString(8));
    }
  }
  root.chmod('file', 0o100644);
  assert.strictEqual(modeOf(at('file')), '644');
});

test('truncate cuts and extends with zeros', (t) => {
  const { root, at } = sandbox(t, { file: '0123456789' });
  assert.strictEqual(root.truncate('file', 4), undefined);
  assert.strictEqual(read(at('file')), '0123');
  root.truncate('file', 6);
  assert.strictEqual(read(at('file')), '0123\0\0');
  root.truncate('file', 2 ** 40);
  assert.strictEqual(root.stat('file').size, 2 ** 40);
  root.truncate('file', 0);
  assert.strictEqual(read(at('file')), '');
  assert.strictEqual(
    codeOf(() => root.truncate('file', Number.MAX_SAFE_INTEGER)),
    'EFBIG',
  );
});

test('copyFile gives a new file the nine permission bits of the source, whatever the mode', (t) => {
  const { root, at } = sandbox(t, { src: file('content', 0o4751), dir: {} });
  for (const mode of [undefined, 0o600, 0o777]) {
    assert.strictEqual(root.copyFile('src', 'dir/new', mode), undefined);
    assert.deepStrictEqual([read(at('dir/new')), modeOf(at('dir/new'))], ['content', '751']);
    root.unlink('dir/new');
  }
});

test('copyFile overwrites an existing file in place: same inode, no byte of the old left', (t) => {
  const { root, at } = sandbox(t, { src: file('new', 0o640), dest: file('old and longer', 0o6777) });
  const { ino } = root.stat('dest');
  root.copyFile('src', 'dest');
  assert.deepStrictEqual([read(at('dest')), modeOf(at('dest')), root.stat('dest').ino], ['new', '640', ino]);
});

test('rm removes files and symlinks; a directory only with recursive, and all that is in it', (t) => {
  const { root, at } = sandbox(t, {
    file: '', tofile: link('file'), pipe: fifo(),
    dir: { a: { b: { c: '' }, out: link('../../keep') }, e: {}, f: 'f', p: fifo() },
    empty: {}, keep: { x: 'x' }, todir: link('keep'),
  }); // biome-ignore format: a tree
  assert.strictEqual(root.rm('tofile'), undefined);
  root.rm('file');
  root.rm('pipe');
  assert.strictEqual(
    codeOf(() => root.rm('empty')),
    'EISDIR',
  );
  assert.strictEqual(
    codeOf(() => root.rm('dir', false, true)),
    'EISDIR',
  );
  assert.strictEqual(root.rm('dir', true), undefined);
  root.rm('todir', true);
  root.rm('empty', true);
  assert.deepStrictEqual(fs.readdirSync(at()), ['keep']);
  assert.strictEqual(read(at('keep/x')), 'x');
});

test('rm with force is fine with a missing path and with a missing parent of it', (t) => {
  const { root } = sandbox(t, { file: '' });
  for (const recursive of [false, true]) {
    root.rm('missing', recursive, true);
    root.rm('missing/x/y', recursive, true);
    assert.strictEqual(
      codeOf(() => root.rm('missing', recursive)),
      'ENOENT',
    );
    assert.strictEqual(
      codeOf(() => root.rm('missing/x', recursive)),
      'ENOENT',
    );
    assert.strictEqual(
      codeOf(() => root.rm('file/x', recursive, true)),
      'ENOTDIR',
    );
  }
});

test('utimes sets both times to the nanosecond, before the epoch too', (t) => {
  const { root, at } = sandbox(t, { file: '', dir: {}, pipe: fifo() });
  for (const name of ['file', 'dir', 'pipe']) {
    for (const [atime, mtime] of [
      [0, 0],
      [1, -1],
      [1.5e18, 999_999_999],
      [-1_000_000_001, -2e9],
    ]) {
      assert.strictEqual(root.utimes(name, atime, mtime), undefined);
      const stat = fs.statSync(at(name), { bigint: true });
      // Node counts nanoseconds before the epoch from the second above; the kernel from the one below.
      const exact = (ms, ns) => (ms < 0n && ns > 0n ? BigInt.asIntN(64, ns) : ns);
      assert.deepStrictEqual(
        [exact(stat.atimeMs, stat.atimeNs), exact(stat.mtimeMs, stat.mtimeNs)],
        [BigInt(atime), BigInt(mtime)],
      );
      assert.deepStrictEqual([root.stat(name).atimeNs, root.stat(name).mtimeNs], [atime, mtime]);
    }
  }
});

test('stat says what fs.stat says, in numbers, times in nanoseconds', (t) => {
  const { root, at } = sandbox(t, { file: 'x'.repeat(10_000), dir: { a: {} }, pipe: fifo() });
  fs.chmodSync(at('file'), 0o4750);
  for (const name of ['file', 'dir', 'dir/a', 'pipe', '.']) {
    const { dev, ino, mode, nlink, uid, gid, rdev, size, blksize, blocks, ...times } = fs.statSync(at(name), {
      bigint: true,
    });
    const expected = { dev, ino, mode, nlink, uid, gid, rdev, size, blksize, blocks };
    for (const time of ['atimeNs', 'mtimeNs', 'ctimeNs']) expected[time] = times[time];
    const got = root.stat(name);
    assert.deepStrictEqual(Object.keys(got), Object.keys(expected));
    for (const [key, value] of Object.entries(expected))
      assert.strictEqual(got[key], Number(value), `${name} ${key}`);
  }
});

test('openRead gives a descriptor that reads, blocks and closes on exec', (t) => {
  const { root, at } = sandbox(t, { file: 'content', dir: { inner: 'inner' } });
  for (const [name, content] of [
    ['file', 'content'],
    ['dir/inner', 'inner'],
  ]) {
    const fd = root.openRead(name);
    assert.strictEqual(fs.readFileSync(fd, 'utf8'), content);
    assert.strictEqual(
      codeOf(() => fs.writeSync(fd, 'x')),
      'EBADF',
    );
    assert.deepStrictEqual(flagsOf(fd), flagsOf(fd, fs.openSync(at(name), 'r')));
    fs.closeSync(fd);
  }
  const fd = root.openRead('dir');
  assert.strictEqual(fs.fstatSync(fd).ino, root.stat('dir').ino);
  fs.closeSync(fd);
});

test('openWrite writes, and only with create, truncate or append does what they say', (t) => {
  const { root, at } = sandbox(t, { file: 'old content' });
  const write = (text, name, ...flags) => {
    const fd = root.openWrite(name, ...flags);
    assert.strictEqual(
      codeOf(() => fs.readSync(fd, Buffer.alloc(1))),
      'EBADF',
      'write-only',
    );
    fs.writeSync(fd, text);
    fs.closeSync(fd);
    return read(at(name));
  };
  assert.strictEqual(write('NEW', 'file'), 'NEW content');
  assert.strictEqual(write('+', 'file', false, false, true), 'NEW content+');
  assert.strictEqual(write('cut', 'file', false, true), 'cut');
  assert.strictEqual(
    codeOf(() => root.openWrite('missing')),
    'ENOENT',
  );
  assert.strictEqual(
    codeOf(() => root.openWrite('missing', false, true)),
    'ENOENT',
  );
  withUmask(0, () => {
    assert.strictEqual(write('made', 'a', true), 'made');
    assert.strictEqual(write('made', 'b', true, true, false, 0o640), 'made');
    assert.strictEqual(write('CUT', 'a', true, false, false, 0o600), 'CUTe');
  });
  assert.deepStrictEqual([modeOf(at('a')), modeOf(at('b'))], ['666', '640']);
});

test('openWrite with append goes to the end at each write', (t) => {
  const { root, at } = sandbox(t, { log: '1' });
  const fds = [root.openWrite('log', true, false, true), root.openWrite('log', true, false, true)];
  for (const text of ['2', '3', '4']) for (const fd of fds) fs.writeSync(fd, text);
  for (const fd of fds) fs.closeSync(fd);
  assert.strictEqual(read(at('log')), '1223344');
});

test('descriptors are made with O_CLOEXEC and without O_NONBLOCK, as those of node:fs', (t) => {
  const { root, at } = sandbox(t, { file: '' });
  const ours = [root.openRead('file'), root.openWrite('file'), root.openWrite('file', false, false, true)];
  const node = [
    fs.openSync(at('file'), 'r'),
    fs.openSync(at('file'), fs.constants.O_WRONLY),
    fs.openSync(at('file'), 'a'),
  ];
  const [a, b] = [ours, node].map((fds) => fds.map((fd) => flagsOf(fd) & ~fs.constants.O_CREAT));
  assert.deepStrictEqual(a, b);
  for (const flags of a)
    assert.deepStrictEqual([flags & 0o2000000, flags & fs.constants.O_NONBLOCK], [0o2000000, 0]);
  for (const fd of [...ours, ...node]) fs.closeSync(fd);
});

/** The flags of an open descriptor, as the kernel tells them; closes `other` after reading that. */
function flagsOf(fd, other) {
  const flags = (number) =>
    Number.parseInt(/^flags:\s*(\d+)$/m.exec(fs.readFileSync(`/proc/self/fdinfo/${number}`, 'utf8'))[1], 8);
  if (other === undefined) return flags(fd);
  try {
    return flags(other);
  } finally {
    fs.closeSync(other);
  }
}

test('long names and long paths work up to the limits of the kernel', (t) => {
  const { root } = sandbox(t);
  const name = 'n'.repeat(255);
  const deep = Array.from({ length: 15 }, () => name).join('/');
  root.mkdir(deep, true);
  root.mkdir(path.join(deep, 'x'.repeat(254)));
  root.rm(name, true);
  assert.strictEqual(
    codeOf(() => root.stat(name)),
    'ENOENT',
  );
});
