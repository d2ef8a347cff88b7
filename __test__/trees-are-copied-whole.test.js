'use strict';
// cp: the copy is the tree, of any shape, with its links, holes, modes and times; what is there already is
// merged with or left alone as asked; what cannot be copied is said, and no half of a file stays.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { SandboxRoot } = require('..');
const { inChild } = require('./child');
const { FULL } = require('./sizes');
const {
  NOBODY,
  bothWays,
  codeOf,
  codeOfPromise,
  fifo,
  file,
  isRoot,
  link,
  memory,
  plant,
  sandbox,
  settled,
  snapshot,
  tempDir,
  unprivileged,
  wideSandbox,
  withoutMounts,
} = require('./support');

const MiB = 2 ** 20;
const RECURSIVE = { recursive: true };
const read = (at) => fs.readFileSync(at, 'utf8');
const modeOf = (at) => (fs.lstatSync(at).mode & 0o7777).toString(8);

const TREE = {
  file: 'content', empty: '', '.hidden': 'h', 'new\nline': { 'ünï 😀': '😀' }, executable: file('#!', 0o755), private: file('p', 0o600),
  readonly: file('r', 0o444), dir: { a: { b: { c: 'deep' }, none: {} }, up: link('../..'), tofile: link('../file') },
  tofile: link('file'), todir: link('dir'), dangling: link('nowhere'), absolute: link('/etc/passwd'), self: link('self'),
  none: {},
}; // biome-ignore format: a tree

/** Modes that a umask would take bits from. */
function withModes(dir) {
  fs.chmodSync(path.join(dir, 'dir'), 0o777);
  fs.chmodSync(path.join(dir, 'dir/a'), 0o711);
  fs.chmodSync(path.join(dir, 'dir/a/none'), 0o500);
  fs.chmodSync(path.join(dir, 'empty'), 0o666);
}

bothWays('a tree is copied as fs.cp copies it', async (t, of) => {
  const { dir, root, at } = sandbox(t, { src: TREE });
  withModes(at('src'));
  const before = snapshot(at('src'));
  fs.cpSync(at('src'), at('node'), { recursive: true, verbatimSymlinks: true });
  assert.strictEqual(await of(root).cp('src', 'ours', RECURSIVE), undefined);
  assert.deepStrictEqual(snapshot(at('ours')), snapshot(at('node')));
  assert.deepStrictEqual(snapshot(at('ours')), before);
  assert.deepStrictEqual(snapshot(at('src')), before);
  assert.strictEqual(modeOf(at('ours')), modeOf(at('src')));
  assert.deepStrictEqual(fs.readdirSync(dir).sort(), ['node', 'ours', 'src']);
});

bothWays(
  'modes are those of the source whatever the umask, and never setuid, setgid or sticky',
  async (t, of) => {
    const umask = process.umask(0o077);
    t.after(() => process.umask(umask));
    const { root, at } = sandbox(t, { src: { setuid: file('x', 0o4755), all: file('x', 0o7777), sub: {} } });
    fs.chmodSync(at('src/sub'), 0o3775);
    fs.chmodSync(at('src'), 0o1777);
    await of(root).cp('src', 'dest', RECURSIVE);
    const modes = ['setuid', 'all', 'sub', '.'].map((name) => modeOf(at('dest', name)));
    assert.deepStrictEqual(modes, ['755', '777', '775', '777']);
  },
);

test('directories hand their group down where those that they are made in do, whatever the umask', {
  skip: !isRoot && 'needs root to be another user',
}, (t) => {
  const { root, at } = sandbox(t, { src: { sub: {} }, shared: {} });
  for (const name of ['..', '.', 'src', 'src/sub']) fs.chmodSync(at(name), 0o755);
  fs.chownSync(at('shared'), NOBODY, NOBODY);
  fs.chmodSync(at('shared'), 0o2755);
  for (const umask of [0o022, 0o200, 0o277, 0o400, 0o777]) {
    const before = process.umask(umask);
    process.setegid(NOBODY);
    process.seteuid(NOBODY);
    try {
      root.cp('src', `shared/${umask}`, RECURSIVE);
    } finally {
      process.seteuid(0);
      process.setegid(0);
      process.umask(before);
    }
    for (const name of ['.', 'sub'])
      assert.strictEqual(modeOf(at('shared', String(umask), name)), '2755', `${umask.toString(8)}: ${name}`);
  }
});

bothWays(
  'one file, one link and one FIFO are copied without recursive, and a directory is not',
  async (t, of) => {
    const { dir, root, at } = sandbox(t, {
      file: file('x', 0o640),
      tofile: link('file'),
      dir: { x: '' },
      pipe: fifo(),
    });
    fs.chmodSync(at('pipe'), 0o620);
    for (const name of ['file', 'tofile', 'pipe'])
      assert.strictEqual(await of(root).cp(name, `${name}2`), undefined);
    assert.deepStrictEqual(
      [read(at('file2')), modeOf(at('file2')), fs.readlinkSync(at('tofile2'))],
      ['x', '640', 'file'],
    );
    assert.ok(fs.lstatSync(at('pipe2')).isFIFO());
    assert.strictEqual(modeOf(at('pipe2')), '620');
    for (const options of [undefined, null, {}, { recursive: false }]) {
      const { error } = await settled(of(root).cp('dir', 'dir2', options));
      const { code, syscall, path, dest } = error;
      assert.deepStrictEqual(
        { code, syscall, path, dest },
        { code: 'EISDIR', syscall: 'cp', path: 'dir', dest: 'dir2' },
      );
    }
    assert.ok(!fs.readdirSync(dir).includes('dir2'));
  },
);

/** A tree that is partly there, and the source for it. */
const MERGE = {
  src: { file: 'new', only: 'src', dir: { inner: 'new', only: 'src' }, link: link('src'), pipe: fifo() },
  dest: { file: file('old and longer', 0o600), mine: 'dest', dir: { inner: 'old', mine: 'dest' }, link: link('dest'), pipe: fifo() },
}; // biome-ignore format: a tree

bothWays('what is there is merged with: files are replaced by a rename, the rest stays', async (t, of) => {
  const { root, at } = sandbox(t, MERGE);
  fs.chmodSync(at('dest'), 0o700);
  fs.chmodSync(at('dest/dir'), 0o711);
  fs.linkSync(at('dest/file'), at('second'));
  await of(root).cp('src', 'dest', RECURSIVE);
  assert.deepStrictEqual(
    ['file', 'only', 'mine', 'dir/inner', 'dir/only', 'dir/mine'].map((name) => read(at('dest', name))),
    ['new', 'src', 'dest', 'new', 'src', 'dest'],
  );
  // Not written over in place: who has the old file open, or has it under another name, keeps it.
  assert.deepStrictEqual([read(at('second')), fs.readlinkSync(at('dest/link'))], ['old and longer', 'src']);
  assert.deepStrictEqual(
    [modeOf(at('dest')), modeOf(at('dest/dir')), modeOf(at('dest/file'))],
    ['700', '711', '644'],
  );
  assert.deepStrictEqual(fs.readdirSync(at('dest')).sort(), ['dir', 'file', 'link', 'mine', 'only', 'pipe']);
});

bothWays('with force: false what is there is left alone', async (t, of) => {
  const { root, at } = sandbox(t, MERGE);
  await of(root).cp('src', 'dest', { ...RECURSIVE, force: false });
  assert.deepStrictEqual(
    ['file', 'only', 'mine', 'dir/inner', 'dir/only', 'dir/mine'].map((name) => read(at('dest', name))),
    ['old and longer', 'src', 'dest', 'old', 'src', 'dest'],
  );
  assert.strictEqual(fs.readlinkSync(at('dest/link')), 'dest');
});

bothWays('with errorOnExist as well it is EEXIST, for whatever is there but a directory', async (t, of) => {
  for (const name of ['file', 'link', 'pipe', 'dir/inner']) {
    const { root, at } = sandbox(t, MERGE);
    const before = snapshot(at('dest'));
    const options = { ...RECURSIVE, force: false, errorOnExist: true };
    const { error } = await settled(of(root).cp(`src/${name}`, `dest/${name}`, options));
    assert.deepStrictEqual([error.code, error.path, error.dest], ['EEXIST', `src/${name}`, `dest/${name}`]);
    assert.deepStrictEqual(snapshot(at('dest')), before);
    assert.strictEqual(await codeOfPromise(of(root).cp('src', 'dest', options)), 'EEXIST');
    assert.strictEqual(read(at('dest/file')), 'old and longer');
  }
  // With force there is nothing to refuse.
  const { root, at } = sandbox(t, MERGE);
  await of(root).cp('src', 'dest', { ...RECURSIVE, errorOnExist: true });
  assert.strictEqual(read(at('dest/file')), 'new');
});

bothWays(
  'a directory onto something else is ENOTDIR, and something else onto a directory EISDIR',
  async (t, of) => {
    const { dir, root } = sandbox(t, {
      dir: { x: 'x' },
      file: 'f',
      tofile: link('file'),
      todir: link('dir'),
      pipe: fifo(),
      other: {},
    });
    const before = snapshot(dir);
    for (const [src, dest, code] of [
      ['dir', 'file', 'ENOTDIR'],
      ['dir', 'pipe', 'ENOTDIR'],
      ['dir', 'todir', 'ENOTDIR'],
      ['other', 'todir', 'ENOTDIR'],
      ['file', 'dir', 'EISDIR'],
      ['tofile', 'dir', 'EISDIR'],
      ['pipe', 'dir', 'EISDIR'],
      ['missing', 'new', 'ENOENT'],
      ['missing/x', 'new', 'ENOENT'],
      ['file/x', 'new', 'ENOTDIR'],
      ['file/', 'new', 'ENOTDIR'],
      // Behind a slash a directory is meant, and no link there is followed or replaced.
      ['file', 'new/', 'ENOTDIR'],
      ['tofile', 'new/', 'ENOTDIR'],
      ['pipe', 'new/', 'ENOTDIR'],
      ['file', 'pipe/', 'ENOTDIR'],
      ['file', 'tofile/', 'ENOTDIR'],
      ['file', 'todir/', 'ENOTDIR'],
      ['dir', 'todir/', 'ENOTDIR'],
      ['file', 'missing/new', 'ENOENT'],
      ['dir', 'missing/new', 'ENOENT'],
      ['file', 'file/new', 'ENOTDIR'],
      ['todir/x', 'new', 'ELOOP'],
      ['file', 'todir/new', 'ELOOP'],
      ['../x', 'new', 'EACCES'],
      ['file', '/new', 'EACCES'],
      ['', 'new', 'ENOENT'],
      ['file', '', 'ENOENT'],
    ]) {
      for (const options of [RECURSIVE, { ...RECURSIVE, force: false }]) {
        const { error } = await settled(of(root).cp(src, dest, options));
        assert.strictEqual(error?.code, code, `${src} to ${dest}`);
        assert.deepStrictEqual([error.syscall, error.path, error.dest], ['cp', src, dest]);
        assert.ok(
          error.message.startsWith(`${code}: `) && error.message.endsWith(`, cp '${src}' -> '${dest}'`),
          error.message,
        );
      }
    }
    assert.deepStrictEqual(snapshot(dir), before);
  },
);

bothWays('a name onto itself and a directory into itself are EINVAL, by whatever names', async (t, of) => {
  const { dir, root } = sandbox(t, { file: 'x', tofile: link('file'), dir: { sub: { x: 'x' }, file: 'y' } });
  root.link('file', 'second');
  root.link('tofile', 'totoo');
  const before = snapshot(dir);
  for (const [src, dest] of [
    ['file', 'file'],
    ['file', './file'],
    ['file', 'second'],
    ['tofile', 'tofile'],
    ['tofile', 'totoo'],
    ['second', 'file'],
    ['dir', 'dir'],
    ['dir', 'dir/'],
    ['dir', 'dir/new'],
    ['dir', 'dir/sub'],
    ['dir', 'dir/sub/new'],
    ['.', 'dir/new'],
    ['.', '.'],
    ['.', 'new'],
  ]) {
    for (const options of [RECURSIVE, { ...RECURSIVE, force: false }])
      assert.strictEqual(await codeOfPromise(of(root).cp(src, dest, options)), 'EINVAL', `${src} to ${dest}`);
  }
  assert.deepStrictEqual(snapshot(dir), before);
});

bothWays('a directory into itself is seen where one root lies in another', async (t, of) => {
  const { dir, root, at } = sandbox(t, { dir: { sub: { x: 'x' } } });
  const inner = new SandboxRoot(at('dir/sub'));
  const before = snapshot(dir);
  for (const [src, dest] of [['.', 'new'], ['dir', 'new'], ['dir', '.'], ['dir/sub', '.'], ['dir/sub', 'new'], ['dir/sub/x', 'x']])
    assert.strictEqual(await codeOfPromise(of(root).cp(src, dest, { ...RECURSIVE, to: inner })), 'EINVAL', `${src} to ${dest}`);
  assert.strictEqual(await codeOfPromise(of(inner).cp('x', 'dir/sub/x', { to: root })), 'EINVAL');
  // It may be seen only where the copy meets itself: what was made until then is all there is.
  fs.rmSync(at('dir/sub/new'), { recursive: true, force: true });
  assert.deepStrictEqual(snapshot(dir), before);
  await of(inner).cp('.', 'copy', { ...RECURSIVE, to: root });
  assert.strictEqual(read(at('copy/x')), 'x');
}); // biome-ignore format: a list

bothWays('a copy onto a directory above it ends', async (t, of) => {
  const { root, at } = sandbox(t, { dir: { sub: { x: 'x', sub: { y: 'y' } } } });
  await of(root).cp('dir/sub', 'dir', RECURSIVE);
  assert.deepStrictEqual(
    [read(at('dir/x')), read(at('dir/sub/y')), read(at('dir/sub/sub/y'))],
    ['x', 'y', 'y'],
  );
});

bothWays('the root itself can be copied, and copied onto', async (t, of) => {
  const [one, two] = [sandbox(t, TREE), sandbox(t, { mine: 'mine' })];
  await of(one.root).cp('.', 'copy', { ...RECURSIVE, to: two.root });
  await of(one.root).cp('.', '.', { ...RECURSIVE, to: two.root });
  assert.deepStrictEqual(snapshot(two.at('copy')), snapshot(one.dir));
  const { mine, ...rest } = snapshot(two.dir);
  for (const name of Object.keys(rest)) if (/^copy(\/|$)/.test(name)) delete rest[name];
  assert.deepStrictEqual(rest, snapshot(one.dir));
  assert.strictEqual(mine.content, Buffer.from('mine').toString('latin1'));
});

/** Makes a file of `size` bytes, all hole but for the text at each position. */
function sparse(at, size, data) {
  const fd = fs.openSync(at, 'w');
  fs.ftruncateSync(fd, size);
  for (const [position, text] of Object.entries(data)) fs.writeSync(fd, text, Number(position));
  fs.closeSync(fd);
}

for (const reflink of ['auto', 'never']) {
  bothWays(`holes stay holes, with reflink: '${reflink}'`, async (t, of) => {
    const { root, at } = sandbox(t, { src: {} });
    sparse(at('src/hole'), 2 ** 40, {});
    sparse(at('src/both'), 64 * MiB, { 0: 'first', [32 * MiB]: 'middle', [64 * MiB - 4]: 'last' });
    sparse(at('src/end'), 64 * MiB, { 0: 'first' });
    fs.writeFileSync(at('src/full'), Buffer.alloc(MiB, 'x'));
    await of(root).cp('src', 'dest', { ...RECURSIVE, reflink });
    for (const name of ['hole', 'both', 'end', 'full']) {
      const [src, dest] = [fs.statSync(at('src', name)), fs.statSync(at('dest', name))];
      assert.strictEqual(dest.size, src.size);
      // The blocks of a file may come a few at a time.
      assert.ok(dest.blocks <= src.blocks + 1024, `${name}: ${dest.blocks} blocks, of ${src.blocks}`);
    }
    for (const name of ['both', 'end', 'full']) execFileSync('cmp', [at('src', name), at('dest', name)]);
  });
}

bothWays("reflink: 'always' is an error where blocks cannot be shared, and leaves nothing", async (t, of) => {
  const dir = tempDir(t, memory);
  plant(dir, { src: { file: 'content' }, file: 'content', old: 'old' });
  const root = new SandboxRoot(dir);
  const first = await settled(of(root).cp('file', 'new', { reflink: 'always' }));
  if (first.error === undefined) return t.skip('this file system shares blocks');
  assert.match(first.error.code, /^(ENOTSUP|EXDEV|EINVAL|ENOTTY)$/);
  assert.strictEqual(
    await codeOfPromise(of(root).cp('file', 'old', { reflink: 'always' })),
    first.error.code,
  );
  assert.strictEqual(
    await codeOfPromise(of(root).cp('src', 'tree', { ...RECURSIVE, reflink: 'always' })),
    first.error.code,
  );
  assert.strictEqual(read(path.join(dir, 'old')), 'old');
  assert.ok(!fs.existsSync(path.join(dir, 'new')) && !fs.existsSync(path.join(dir, 'tree/file')));
  assert.deepStrictEqual(
    fs.readdirSync(dir).filter((name) => name.startsWith('.')),
    [],
  );
});

bothWays('names of one file in the tree stay names of one file', async (t, of) => {
  const { root, at } = sandbox(t, { src: { a: 'shared', b: { c: {} }, alone: 'alone', out: 'outside too' } });
  fs.linkSync(at('src/a'), at('src/b/second'));
  fs.linkSync(at('src/a'), at('src/b/c/third'));
  fs.linkSync(at('src/out'), at('elsewhere'));
  fs.symlinkSync('x', at('src/link'));
  fs.linkSync(at('src/link'), at('src/b/link'));
  await of(root).cp('src', 'dest', RECURSIVE);
  const inodes = ['a', 'b/second', 'b/c/third'].map((name) => fs.statSync(at('dest', name)).ino);
  assert.strictEqual(new Set(inodes).size, 1);
  assert.notStrictEqual(inodes[0], fs.statSync(at('src/a')).ino);
  const links = ['a', 'alone', 'out'].map((name) => fs.statSync(at('dest', name)).nlink);
  assert.deepStrictEqual(links, [3, 1, 1]);
  // Again, onto the copy: still one file.
  fs.writeFileSync(at('src/a'), 'changed');
  await of(root).cp('src', 'dest', RECURSIVE);
  assert.deepStrictEqual(
    ['a', 'b/second', 'b/c/third'].map((name) => read(at('dest', name))),
    Array(3).fill('changed'),
  );
  assert.strictEqual(fs.statSync(at('dest/a')).nlink, 3);
});

bothWays('a name that is left alone lends its content to none of its other names', async (t, of) => {
  for (const old of ['a', 'b']) {
    const { root, at } = sandbox(t, { src: { a: 'new' }, dest: { [old]: 'old' } });
    fs.linkSync(at('src/a'), at('src/b'));
    await of(root).cp('src', 'dest', { ...RECURSIVE, force: false });
    assert.deepStrictEqual(
      [read(at('dest', old)), read(at('dest', old === 'a' ? 'b' : 'a'))],
      ['old', 'new'],
    );
  }
});

bothWays('inside of the tree too, no symlink is entered and no file is copied onto itself', async (t, of) => {
  const { root, at } = sandbox(t, {
    src: { dir: { x: 'x' }, same: 'same' },
    out: {},
    dest: { dir: link('../out') },
  });
  for (const force of [true, false]) {
    const { error } = await settled(of(root).cp('src/dir', 'dest/dir', { ...RECURSIVE, force }));
    assert.deepStrictEqual([error.code, fs.readdirSync(at('out'))], ['ENOTDIR', []]);
    const whole = await settled(of(root).cp('src', 'dest', { ...RECURSIVE, force }));
    const { code, path, dest } = whole.error;
    assert.deepStrictEqual(
      [code, path, dest, fs.readdirSync(at('out'))],
      ['ENOTDIR', 'src/dir', 'dest/dir', []],
    );
  }
  fs.unlinkSync(at('dest/dir'));
  fs.rmSync(at('dest/same'), { force: true });
  fs.linkSync(at('src/same'), at('dest/same'));
  const { error } = await settled(of(root).cp('src', 'dest', RECURSIVE));
  assert.deepStrictEqual([error.code, error.path, error.dest], ['EINVAL', 'src/same', 'dest/same']);
  assert.deepStrictEqual([read(at('src/same')), fs.readdirSync(at('dest')).includes('same')], ['same', true]);
});

bothWays('with preserveTimestamps times are kept to the nanosecond, of directories too', async (t, of) => {
  const { root } = sandbox(t, {
    src: { file: 'x', dir: { inner: 'y', none: {} }, link: link('file'), pipe: fifo() },
  });
  const names = ['file', 'dir/inner', 'dir/none', 'dir', 'link', 'pipe', ''];
  for (const [i, name] of names.entries()) {
    const ns = 1_000_000_000_123_456_789n + BigInt(i) * 1_000_000_007n;
    root.lutimes(path.join('src', name), ns, ns + 5n);
  }
  const began = BigInt(Date.now() - 1000) * 1_000_000n;
  await of(root).cp('src', 'dest', { ...RECURSIVE, preserveTimestamps: true });
  await of(root).cp('src', 'without', RECURSIVE);
  for (const name of names) {
    // The access time of what was read has moved on.
    const [src, dest, without] = ['src', 'dest', 'without'].map((top) =>
      root.lstat(path.join(top, name), { bigint: true }),
    );
    assert.strictEqual(dest.mtimeNs, src.mtimeNs, name);
    assert.ok(without.mtimeNs > began, name);
  }
});

bothWays('a socket and a device are refused, and a FIFO is made anew', async (t, of) => {
  const { root, at } = sandbox(t, { src: { pipe: fifo() } });
  await of(root).cp('src', 'dest', RECURSIVE);
  assert.ok(fs.lstatSync(at('dest/pipe')).isFIFO());
  const server = net.createServer();
  await new Promise((resolve) => server.listen(at('src/socket'), resolve));
  t.after(() => new Promise((resolve) => server.close(resolve)));
  for (const [src, dest] of [['src/socket', 'new'], ['src', 'new']]) {
    const { error } = await settled(of(root).cp(src, dest, RECURSIVE));
    assert.deepStrictEqual([error.code, error.syscall, error.path], ['ENXIO', 'cp', 'src/socket']);
    assert.match(error.message, /^ENXIO: .*socket/i);
  }
  // What is left out is not refused.
  await of(root).cp('src', 'filtered', { ...RECURSIVE, filter: (src) => src !== 'src/socket' });
  assert.deepStrictEqual(fs.readdirSync(at('filtered')), ['pipe']);
}); // biome-ignore format: a list

bothWays('a filter is asked for every entry, from the top, before anything is copied', async (t, of, way) => {
  const { root, at } = sandbox(t, { src: TREE });
  for (const late of way === 'at once' ? [false] : [false, true]) {
    const dest = `dest ${late}`;
    const asked = [];
    const filter = (from, to) => {
      assert.ok(!fs.existsSync(at(dest)), 'nothing is copied yet');
      assert.strictEqual(to.slice(dest.length), from.slice('src'.length));
      asked.push(from);
      const answer = from !== 'src/dir/a' && from !== 'src/tofile';
      return late ? new Promise((resolve) => setImmediate(resolve, answer)) : answer;
    };
    await of(root).cp('src', dest, { ...RECURSIVE, filter });
    const all = Object.keys(snapshot(at('src'))).map((name) => `src/${name}`);
    const expected = ['src', ...all.filter((name) => !name.startsWith('src/dir/a/'))];
    assert.deepStrictEqual([...asked].sort(), expected.sort());
    for (const [i, name] of asked.entries())
      if (i > 0) assert.ok(asked.indexOf(path.dirname(name)) < i, `${name} after its parent`);
    const { 'dir/a': _a, tofile: _b, ...rest } = snapshot(at('src'));
    for (const name of Object.keys(rest)) if (name.startsWith('dir/a/')) delete rest[name];
    // The directory counts one less.
    const copied = snapshot(at(dest));
    rest.dir.nlink = copied.dir.nlink;
    assert.deepStrictEqual(copied, rest);
  }
});

bothWays('a filter that refuses the top has nothing copied', async (t, of) => {
  const { dir, root } = sandbox(t, { src: { x: '' }, file: '' });
  const before = snapshot(dir);
  for (const src of ['src', 'file']) {
    let asked = 0;
    const filter = () => {
      asked += 1;
      return false;
    };
    assert.strictEqual(await of(root).cp(src, 'dest', { ...RECURSIVE, filter }), undefined);
    assert.strictEqual(asked, 1);
  }
  assert.deepStrictEqual(snapshot(dir), before);
});

bothWays(
  'a filter that throws stops the copy before it begins, and what it threw comes out',
  async (t, of, way) => {
    const { dir, root } = sandbox(t, { src: { a: '', b: { c: '' } } });
    const before = snapshot(dir);
    const thrown = new Error('enough');
    const filters = [(src) => { if (src === 'src/b/c') throw thrown; return true; }]; // biome-ignore format: a list
    if (way !== 'at once') filters.push(async (src) => src !== 'src/b/c' || Promise.reject(thrown));
    for (const filter of filters) {
      await assert.rejects(of(root).cp('src', 'dest', { ...RECURSIVE, filter }), (error) => error === thrown);
    }
    assert.deepStrictEqual(snapshot(dir), before);
  },
);

bothWays('a filter is not asked where another argument is wrong', async (t, of) => {
  const { dir, root } = sandbox(t, { src: { x: '' } });
  const before = snapshot(dir);
  let asked = 0;
  const filter = () => {
    asked += 1;
    return true;
  };
  for (const options of [
    { recursive: 1 },
    { reflink: 'maybe' },
    { verbatimSymlinks: false },
    { to: {} },
    { onProgress: 7 },
  ])
    assert.match(
      await codeOfPromise(of(root).cp('src', 'new', { ...RECURSIVE, filter, ...options })),
      /^ERR_INVALID_ARG/,
    );
  assert.strictEqual(
    await codeOfPromise(of(root).cp('src', 7, { ...RECURSIVE, filter })),
    'ERR_INVALID_ARG_TYPE',
  );
  const frozen = new SandboxRoot(dir, { readonly: true });
  assert.strictEqual(await codeOfPromise(of(frozen).cp('src', 'new', { ...RECURSIVE, filter })), 'EROFS');
  assert.deepStrictEqual([asked, snapshot(dir)], [0, before]);
});

bothWays('what is wrong while a filter is asked is an error of cp', async (t, of) => {
  const { root } = sandbox(t, { file: '', todir: link('dir'), dir: {} });
  for (const [src, code] of [['missing', 'ENOENT'], ['file/x', 'ENOTDIR'], ['todir/x', 'ELOOP'], ['../x', 'EACCES']]) {
    const { error } = await settled(of(root).cp(src, 'new', { ...RECURSIVE, filter: () => true }));
    assert.deepStrictEqual([error.code, error.syscall, error.path, error.dest], [code, 'cp', src, 'new']);
  }
}); // biome-ignore format: a list

bothWays('an entry that nobody was asked about is not copied', async (t, of) => {
  const { root, at } = sandbox(t, { src: { a: 'a', dir: { b: 'b' } } });
  const filter = (src) => {
    // It comes while others are being asked about.
    if (src === 'src/dir/b') plant(at('src'), { late: 'late', 'late dir': { x: '' } });
    return true;
  };
  await of(root).cp('src', 'dest', { ...RECURSIVE, filter });
  assert.ok(fs.existsSync(at('src/late')));
  const late = fs.readdirSync(at('dest')).filter((name) => name.startsWith('late'));
  const asked = fs.readdirSync(at('dest'), { recursive: true }).includes(path.join('dir', 'b'));
  assert.deepStrictEqual([late, asked], [[], true]);
});

test('names that are not UTF-8 are copied, and told to a filter as they can be', async (t) => {
  const { dir, root } = sandbox(t, { src: {} });
  const name = Buffer.concat([Buffer.from(`${dir}/src/`), Buffer.from([0xff, 0x61])]);
  fs.mkdirSync(name);
  fs.writeFileSync(Buffer.concat([name, Buffer.from('/'), Buffer.from([0xfe])]), 'x');
  root.cp('src', 'dest', RECURSIVE);
  await root.promises.cp('src', 'later', RECURSIVE);
  const asked = [];
  root.cp('src', 'filtered', { ...RECURSIVE, filter: (src) => asked.push(src) });
  for (const copy of ['dest', 'later', 'filtered'])
    assert.deepStrictEqual(snapshot(`${dir}/${copy}`), snapshot(`${dir}/src`));
  assert.deepStrictEqual(asked.map(String), ['src', 'src/\ufffda', 'src/\ufffda/\ufffd']);
});

bothWays('options that are none are refused, and nothing is copied', async (t, of, way) => {
  const { dir, root } = sandbox(t, { src: { x: '' }, file: '' });
  const before = snapshot(dir);
  for (const [options, code] of [
    [{ verbatimSymlinks: false }, 'ERR_INVALID_ARG_VALUE'],
    [{ reflink: 'maybe' }, 'ERR_INVALID_ARG_VALUE'],
    [{ reflink: true }, 'ERR_INVALID_ARG_TYPE'],
    [{ recursive: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ force: 'no' }, 'ERR_INVALID_ARG_TYPE'],
    [{ errorOnExist: 0 }, 'ERR_INVALID_ARG_TYPE'],
    [{ preserveTimestamps: 'yes' }, 'ERR_INVALID_ARG_TYPE'],
    [{ filter: 'x' }, 'ERR_INVALID_ARG_TYPE'],
    [{ onProgress: {} }, 'ERR_INVALID_ARG_TYPE'],
    [{ signal: 'x' }, 'ERR_INVALID_ARG_TYPE'],
    [{ to: {} }, 'ERR_INVALID_ARG_TYPE'],
    ['recursive', 'ERR_INVALID_ARG_TYPE'],
    [true, 'ERR_INVALID_ARG_TYPE'],
    ...(way === 'at once' ? [[{ filter: async () => true }, 'ERR_INVALID_RETURN_VALUE']] : []),
  ]) {
    const given = typeof options === 'object' ? { ...RECURSIVE, ...options } : options;
    assert.strictEqual(await codeOfPromise(of(root).cp('src', 'dest', given)), code, JSON.stringify(options));
  }
  assert.deepStrictEqual(snapshot(dir), before);
});

/** Makes `depth` directories, one in another, each with a file beside the next. */
function dig(dir, depth) {
  const home = process.cwd();
  process.chdir(dir);
  for (let level = 0; level < depth; level++) {
    fs.writeFileSync('f', `${level}`);
    fs.mkdirSync('d');
    process.chdir('d');
  }
  process.chdir(home);
}

const DEPTH = FULL ? 5000 : 2000;

test(`a tree of ${DEPTH} levels is copied, with 64 descriptors and a small stack`, async (t) => {
  const dir = tempDir(t, memory);
  fs.mkdirSync(path.join(dir, 'src'));
  dig(path.join(dir, 'src'), DEPTH);
  const body = async (dir) => {
    const root = new SandboxRoot(dir);
    root.cp('src', 'dest', { recursive: true });
    await root.promises.cp('src', 'later', { recursive: true, preserveTimestamps: true });
    const all = ['src', 'dest', 'later'].map((name) => root.readdir(name, { recursive: true }).sort());
    root.rm('dest', true);
    root.rm('later', true);
    return [all[0].length, ...all.slice(1).map((names) => names.join() === all[0].join())];
  };
  assert.deepStrictEqual(await inChild(t, body, [dir], { limits: { n: 64, s: 512 } }), [
    2 * DEPTH,
    true,
    true,
  ]);
});

test('10,000 entries of all sorts are copied, in few descriptors', async (t) => {
  const dir = tempDir(t, memory);
  fs.mkdirSync(path.join(dir, 'src'));
  for (let i = 0; i < 100; i++) {
    const sub = path.join(dir, 'src', `${i}`);
    fs.mkdirSync(sub);
    for (let j = 0; j < 97; j++) fs.writeFileSync(path.join(sub, `${j}`), `${i} ${j}`);
    fs.linkSync(path.join(sub, '0'), path.join(sub, 'second'));
    fs.symlinkSync(`${i}`, path.join(sub, 'link'));
  }
  const body = async (dir) => {
    const root = new SandboxRoot(dir);
    root.cp('src', 'dest', { recursive: true });
    await root.promises.cp('src', 'later', { recursive: true });
  };
  await inChild(t, body, [dir], { limits: { n: 64 } });
  for (const name of ['dest', 'later'])
    assert.deepStrictEqual(snapshot(path.join(dir, name)), snapshot(path.join(dir, 'src')));
});

/** The names of each file that has several, beneath `dir`. */
function linkedNames(dir) {
  const files = new Map();
  for (const name of fs.readdirSync(dir, { recursive: true })) {
    const { ino } = fs.lstatSync(path.join(dir, name));
    files.set(ino, [...(files.get(ino) ?? []), name].sort());
  }
  return [...files.values()].filter((names) => names.length > 1).sort();
}

bothWays('a tree with many directories beside each other is copied whole, with its links', async (t, of) => {
  const { root, at } = wideSandbox(t);
  const before = linkedNames(at('wide'));
  assert.deepStrictEqual([before.length, before[0].length], [40, 3]);
  const expected = unprivileged(() => snapshot(at('wide')));
  // By root and by the ordinary user, whom the copy belongs to then.
  for (let i = 0; i < 5; i++) {
    await unprivileged(async () => of(root).cp('wide', `copy ${i}`, RECURSIVE));
    assert.deepStrictEqual(snapshot(at(`copy ${i}`)), expected);
    assert.deepStrictEqual(linkedNames(at(`copy ${i}`)), before);
  }
  assert.deepStrictEqual(snapshot(at('wide')), expected);
  // Into what is there: every file is replaced, and the links are those of the tree again.
  await unprivileged(async () => of(root).cp('wide', 'copy 0', RECURSIVE));
  assert.deepStrictEqual(snapshot(at('copy 0')), expected);
  assert.deepStrictEqual(linkedNames(at('copy 0')), before);
});

bothWays('one of many directories that may not be read ends the copy, wherever it is', async (t, of) => {
  const { root, at, order } = wideSandbox(t);
  const all = fs.readdirSync(at('wide'), { recursive: true }).length;
  const modes = (dir) =>
    new Set(
      fs.readdirSync(dir, { recursive: true }).map((name) => [name, modeOf(path.join(dir, name))].join()),
    );
  const before = modes(at('wide'));
  const counts = [];
  for (const [i, name] of order.entries()) {
    if (i % 3 !== 0) continue;
    fs.chmodSync(at('wide', name, 'b/c'), 0o000);
    const { error } = await settled(unprivileged(async () => of(root).cp('wide', `copy ${i}`, RECURSIVE)));
    const [from, to] = ['wide', `copy ${i}`].map((top) => `${top}/${name}/b/c`);
    assert.deepStrictEqual(
      { code: error?.code, path: error?.path, dest: error?.dest, message: error?.message },
      { code: 'EACCES', path: from, dest: to, message: `EACCES: permission denied, cp '${from}' -> '${to}'` },
    );
    fs.chmodSync(at('wide', name, 'b/c'), 0o711);
    // What was copied is as it was, and the directories that were not finished are, too.
    const copied = modes(at(`copy ${i}`));
    assert.deepStrictEqual(
      [...copied].filter((entry) => !before.has(entry)),
      [],
    );
    counts.push(copied.size);
  }
  // The other half was not copied to its end, at least where the error came early.
  assert.ok(Math.min(...counts) < all / 2, `${counts} of ${all}`);
});

test('two threads that share a tree far down make do with 64 descriptors', async (t) => {
  const dir = tempDir(t, memory);
  // The way to the many directories is longer than what is kept open of it, and so is each of them.
  const deep = Array.from({ length: 20 }, (_, i) => `d${i}`).join('/');
  for (const way of ['src', `src/${deep}`]) {
    for (let i = 0; i < 40; i++) fs.mkdirSync(path.join(dir, way, `${i}`, deep), { recursive: true });
  }
  const body = async (dir) => {
    const root = new SandboxRoot(dir);
    const told = [];
    for (const [of, dest] of [
      [root, 'dest'],
      [root.promises, 'later'],
    ]) {
      await of.cp('src', dest, { recursive: true });
      told.push((await of.readdir(dest, { recursive: true })).length);
      await of.rm(dest, true);
      told.push(root.exists(dest));
    }
    return told;
  };
  const all = fs.readdirSync(path.join(dir, 'src'), { recursive: true }).length;
  assert.deepStrictEqual(await inChild(t, body, [dir], { limits: { n: 64, s: 512 } }), [
    all,
    false,
    all,
    false,
  ]);
});

const noOthers = !isRoot && 'needs root, to have what belongs to somebody else';

test('directories that may not be written are filled all the same, and forbidden files end the copy', {
  skip: noOthers,
}, async (t) => {
  const { dir, at } = sandbox(t, {
    src: { a: 'a', frozen: { x: 'x', sub: { y: 'y' } } },
    bad: { a: 'a', b: { secret: file('s', 0o200), z: 'z' } },
  });
  fs.chmodSync(at('src/frozen/sub'), 0o500);
  fs.chmodSync(at('src/frozen'), 0o555);
  execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, path.dirname(dir)]);
  const body = async (dir, nobody) => {
    process.setgid(nobody);
    process.setuid(nobody);
    const root = new SandboxRoot(dir);
    root.cp('src', 'dest', { recursive: true });
    await root.promises.cp('src', 'later', { recursive: true });
    const errors = [];
    for (const of of [root, root.promises]) {
      try {
        await of.cp('bad', `half ${errors.length}`, { recursive: true });
      } catch ({ code, path, dest, message }) {
        errors.push({ code, path, dest, message });
      }
    }
    return errors;
  };
  const errors = await inChild(t, body, [dir, NOBODY]);
  assert.deepStrictEqual(snapshot(at('dest')), snapshot(at('src')));
  assert.deepStrictEqual(snapshot(at('later')), snapshot(at('src')));
  const where = { code: 'EACCES', path: 'bad/b/secret' };
  for (const i of [0, 1]) {
    const dest = `half ${i}/b/secret`;
    assert.deepStrictEqual(errors[i], {
      ...where,
      dest,
      message: `EACCES: permission denied, cp 'bad/b/secret' -> '${dest}'`,
    });
    // What was copied stays; of the file that was not there is nothing.
    assert.ok(
      !fs.readdirSync(at(`half ${i}`), { recursive: true }).some((name) => /secret|\/\.|^\./.test(name)),
    );
  }
});

test('a full disk ends the copy, and no half of a file stays', { skip: withoutMounts }, async (t) => {
  const dir = tempDir(t);
  const body = async (dir) => {
    const root = new SandboxRoot(dir);
    fs.mkdirSync(`${dir}/src`);
    fs.mkdirSync(`${dir}/dest`);
    for (let i = 0; i < 9; i++) fs.writeFileSync(`${dir}/src/${i}`, Buffer.alloc(100_000, `${i}`));
    fs.writeFileSync(`${dir}/dest/8`, 'old');
    const told = [];
    for (const of of [root, root.promises]) {
      let code = 'success';
      try {
        await of.cp('src', 'dest', { recursive: true });
      } catch (error) {
        code = error.code;
      }
      const names = fs.readdirSync(`${dir}/dest`);
      const whole = names.filter((name) => fs.statSync(`${dir}/dest/${name}`).size === 100_000);
      told.push([code, names.filter((name) => !whole.includes(name)), whole.length < 9]);
    }
    return told;
  };
  const mount = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"';
  const told = await inChild(t, body, [dir], { wrap: ['unshare', '--mount', 'sh', '-c', mount, dir] });
  for (const [code, halves, isShort] of told) {
    assert.deepStrictEqual([code, isShort], ['ENOSPC', true]);
    for (const name of halves) assert.strictEqual(name, '8', 'the old file, still whole');
  }
});

for (const symlinks of ['beneath', 'in-root']) {
  bothWays(`symlinks: '${symlinks}' follows links on the way, and copies links as links`, async (t, of) => {
    const { dir, at } = sandbox(t, { src: TREE, tosrc: link('src'), place: {}, toplace: link('place') });
    const root = new SandboxRoot(dir, { symlinks });
    await of(root).cp('tosrc/dir', 'toplace/dir', RECURSIVE);
    assert.deepStrictEqual(snapshot(at('place/dir')), snapshot(at('src/dir')));
    await of(root).cp('tosrc', 'place/link', RECURSIVE);
    assert.strictEqual(fs.readlinkSync(at('place/link')), 'src');
  });
}

test("hardlinks: 'reject' refuses a file with a second name, in a tree too", (t) => {
  const { dir, at } = sandbox(t, { src: { dir: { one: 'one' } }, plain: { x: 'x' } });
  fs.linkSync(at('src/dir/one'), at('two'));
  const root = new SandboxRoot(dir, { hardlinks: 'reject' });
  assert.strictEqual(
    codeOf(() => root.cp('two', 'new')),
    'EMLINK',
  );
  assert.strictEqual(
    codeOf(() => root.cp('src', 'new', RECURSIVE)),
    'EMLINK',
  );
  root.cp('plain', 'copy', RECURSIVE);
  assert.strictEqual(read(at('copy/x')), 'x');
});

test("mounts: 'reject' copies a mount point as an empty directory, or refuses it, and nothing in it", {
  skip: !isRoot && 'needs root to mount',
}, async (t) => {
  const { dir, root, at } = sandbox(t, { src: { mnt: {}, x: 'x' } });
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', at('src/mnt')]);
  try {
    fs.writeFileSync(at('src/mnt/inner'), 'inner');
    const closed = new SandboxRoot(dir, { mounts: 'reject' });
    for (const of of [closed, closed.promises]) {
      await settled((async () => of.cp('src', 'closed', RECURSIVE))());
      assert.ok(!fs.existsSync(at('closed/mnt/inner')));
    }
    root.cp('src', 'open', RECURSIVE);
    assert.strictEqual(read(at('open/mnt/inner')), 'inner');
  } finally {
    execFileSync('umount', [at('src/mnt')]);
  }
});

test('while others change the tree, a copy ends, and every file in it is one that was there', async (t) => {
  const { root, at } = sandbox(t, { src: {} });
  for (let i = 0; i < 300; i++) plant(at('src'), { [`d${i}`]: { a: 'aaaa', b: { c: 'cccc' } } });
  const copying = root.promises.cp('src', 'dest', RECURSIVE);
  for (let i = 299; i >= 0; i -= 3) fs.rmSync(at('src', `d${i}`), { recursive: true });
  const { error } = await settled(copying);
  if (error !== undefined) assert.strictEqual(error.code, 'ENOENT');
  for (const name of fs.readdirSync(at('dest'), { recursive: true })) {
    const where = at('dest', name);
    if (fs.statSync(where).isFile()) assert.match(read(where), /^(aaaa|cccc)$/);
  }
});
