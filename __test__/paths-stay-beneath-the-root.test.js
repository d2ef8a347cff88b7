'use strict';
// What each spelling of a path means, for every method: CONTRACT section 2.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('..');
const {
  NOBODY,
  callsWithPath,
  codeOf,
  everyCallWithPath,
  isRoot,
  link,
  methods,
  outcome,
  sandbox,
  snapshot,
  tempDir,
} = require('./support');

const TREE = {
  file: 'content',
  dir: { inner: 'inner' },
  empty: {},
  tofile: link('file'),
  todir: link('dir'),
};

test('every method that takes a path has its calls in the table', () => {
  assert.deepStrictEqual(Object.keys(callsWithPath).sort(), [...methods].sort());
});

/** Every call with `at` fails with an error that `check` approves, and nothing has changed. */
function refusedEverywhere(t, at, check) {
  const { dir, root } = sandbox(t, TREE);
  const before = snapshot(dir);
  for (const [name, call] of everyCallWithPath) {
    const { error } = outcome(() => call(root, at));
    assert.ok(error, `${name} refuses`);
    check(error, name);
  }
  assert.deepStrictEqual(snapshot(dir), before);
}

const OUTSIDE = [
  '/', '//', '/etc', '/etc/passwd', '..', '../', '../.', '../x', './..', './../x', 'dir/..', 'dir/../', 'dir/../.',
  'dir/../file', 'dir/../../x', 'missing/..', 'dir//..', 'dir/./..', 'dir/inner/../..', '..//',
]; // biome-ignore format: a list
for (const at of OUTSIDE) {
  test(`${JSON.stringify(at)} is outside of the sandbox`, (t) => {
    refusedEverywhere(t, at, (error) => {
      assert.strictEqual(error.code, 'EACCES');
      assert.strictEqual(error.errno, -13);
      assert.match(error.message, /^EACCES: .*path is outside of the sandbox.*, [a-z]+ '/);
    });
    refusedEverywhere(t, Buffer.from(at), (error) => assert.strictEqual(error.code, 'EACCES'));
  });
}

test('an empty path is ENOENT, for rm even with force', (t) => {
  refusedEverywhere(t, '', (error) => assert.strictEqual(error.code, 'ENOENT'));
  refusedEverywhere(t, Buffer.alloc(0), (error) => assert.strictEqual(error.code, 'ENOENT'));
});

test('a NUL byte is no part of a path', (t) => {
  for (const at of ['a\0b', '\0', Buffer.from('file\0')]) {
    refusedEverywhere(t, at, (error) => {
      assert.strictEqual(error.name, 'TypeError');
      assert.strictEqual(error.code, 'ERR_INVALID_ARG_VALUE');
      assert.match(
        error.message,
        /^The argument '\w+' must be a string or Buffer without null bytes\. Received /,
      );
    });
  }
});

test('a lone surrogate has no bytes, and U+FFFD is a name like any other', (t) => {
  for (const at of ['\ud800', 'a\udc00b', 'x/\udbff', '\udc00\ud800']) {
    refusedEverywhere(t, at, (error) => {
      assert.strictEqual(error.name, 'TypeError');
      assert.strictEqual(error.code, 'ERR_INVALID_ARG_VALUE');
    });
  }
  const { root, at } = sandbox(t);
  root.mkdir('\ufffd');
  root.mkdir('😀');
  assert.deepStrictEqual(fs.readdirSync(at()).sort(), ['😀', '\ufffd'].sort());
});

test('what is neither a string nor a Buffer is refused in the words of Node', (t) => {
  const Odd = class Odd {};
  const values = [
    undefined,
    null,
    0,
    1.5,
    -0,
    NaN,
    2n ** 64n,
    true,
    Symbol('s'),
    {},
    [],
    new Odd(),
    Object.create(null),
    () => {},
    function named() {},
    new Date(),
    new Float64Array(1),
    new ArrayBuffer(1),
    new DataView(new ArrayBuffer(1)),
    new String('x'),
  ];
  for (const value of values) {
    // file: URLs are absolute, so they are no paths beneath a root.
    const { message } = outcome(() => fs.statSync(value)).error;
    const expected = message.replace('an instance of Buffer or URL', 'an instance of Buffer');
    refusedEverywhere(t, value, (error, name) => {
      assert.strictEqual(error.name, 'TypeError', name);
      assert.strictEqual(error.code, 'ERR_INVALID_ARG_TYPE', name);
      assert.strictEqual(error.message.replace(/"\w+"/, '"path"'), expected, name);
    });
  }
});

test('dots and repeated slashes are dropped', (t) => {
  const { root } = sandbox(t, { dir: { inner: 'x' } });
  const { ino } = root.stat('dir/inner');
  for (const at of ['./dir/inner', 'dir//inner', 'dir/./inner', './/./dir//./inner', '././././dir/inner']) {
    assert.strictEqual(root.stat(at).ino, ino);
  }
  assert.strictEqual(root.stat(`${'./'.repeat(5000)}dir/inner`).ino, ino);
});

test('the root itself can be described and changed, and neither removed, renamed nor replaced', (t) => {
  const expected = {
    'mkdir (1)': 'EEXIST', 'mkdir (2)': undefined, unlink: 'EBUSY', rmdir: 'EBUSY', remove: 'EBUSY', mkfifo: 'EEXIST', 'rename (1)': 'EBUSY', 'rename (2)': 'EBUSY',
    'renameNoReplace (1)': 'EBUSY', 'renameNoReplace (2)': 'EBUSY', 'link (1)': 'EPERM', 'link (2)': 'EEXIST', 'symlink (1)': 'EEXIST', 'symlink (2)': 'EEXIST',
    chmod: undefined, truncate: 'EISDIR', 'copyFile (1)': 'EISDIR', 'copyFile (2)': 'EISDIR', 'rm (1)': 'EBUSY', 'rm (2)': 'EBUSY',
    'rm (3)': 'EBUSY', utimes: undefined, lutimes: undefined, chown: undefined, lchown: undefined, lstat: undefined, statfs: undefined,
    access: undefined, readlink: 'EINVAL', 'exchange (1)': 'EBUSY', 'exchange (2)': 'EBUSY', stat: undefined, openRead: undefined,
    realpath: undefined, 'readdir (1)': undefined, 'readdir (2)': undefined, 'opendir (1)': undefined, 'opendir (2)': undefined, openRoot: undefined, hostPath: undefined, 'open (1)': undefined, 'open (2)': 'EISDIR',
    'open (3)': 'EEXIST', 'open (4)': undefined, readFile: 'EISDIR', 'writeFile (1)': 'EISDIR', 'writeFile (2)': 'EISDIR', appendFile: 'EISDIR',
    fsync: undefined, 'cp (1)': 'EINVAL', 'cp (2)': 'EISDIR', 'cp (3)': 'EISDIR', 'cp (4)': 'EINVAL', 'cp (5)': 'EBUSY', 'move (1)': 'EBUSY', 'move (2)': 'EBUSY', 'move (3)': 'EBUSY', 'openWrite (1)': 'EISDIR', 'openWrite (2)': 'EISDIR',
    'openWrite (3)': 'EISDIR',
  }; // biome-ignore format: a table
  const { dir, root } = sandbox(t, TREE);
  const before = snapshot(dir);
  for (const at of ['.', './', './/', './.', './/./']) {
    const got = Object.fromEntries(
      everyCallWithPath.map(([name, call]) => [name, outcome(() => call(root, at)).error?.code]),
    );
    assert.deepStrictEqual(got, expected, at);
  }
  assert.deepStrictEqual(snapshot(dir), before);
  const { mode, ino, mtimeNs } = root.stat('.');
  const stat = fs.statSync(dir);
  assert.deepStrictEqual([mode, ino, mtimeNs], [stat.mode, stat.ino, 2]);
  assert.strictEqual(stat.mode & 0o777, 0o600);
  fs.chmodSync(dir, 0o755);
});

test('a symlink on the way is ELOOP, wherever it leads', (t) => {
  const outside = tempDir(t);
  fs.writeFileSync(path.join(outside, 'x'), 'outside');
  const { dir, root } = sandbox(t, {
    ...TREE,
    out: link(outside),
    self: link('.'),
    magic: link('/proc/self/cwd'),
    up: link('..'),
    sub: { out: link(outside) },
  });
  const before = [snapshot(dir), snapshot(outside)];
  for (const at of [
    'todir/inner',
    'out/x',
    'self/file',
    'magic/x',
    'up/x',
    'out/y/z',
    'sub/out/x',
    'out/x/',
  ]) {
    for (const [name, call] of everyCallWithPath) {
      assert.strictEqual(
        codeOf(() => call(root, at)),
        'ELOOP',
        `${name} of ${at}`,
      );
    }
  }
  assert.deepStrictEqual([snapshot(dir), snapshot(outside)], before);
});

test('a symlink at the end is ELOOP where it would be followed', (t) => {
  const { dir, root, at } = sandbox(t, {
    ...TREE,
    dangling: link('missing'),
    magic: link('/proc/self/cwd'),
    fd: link('/proc/self/fd/1'),
  });
  const before = snapshot(dir);
  const following = [
    'mkdir (2)',
    'chmod',
    'truncate',
    'copyFile (1)',
    'copyFile (2)',
    'utimes',
    'chown',
    'stat',
    'statfs',
    'access',
    'realpath',
    'readdir (1)',
    'readdir (2)',
    'opendir (1)',
    'opendir (2)',
    'openRoot',
    'hostPath',
    'open (1)',
    'open (2)',
    'open (4)',
    'readFile',
    'writeFile (1)',
    'appendFile',
    'fsync',
    'openRead',
    'openWrite (1)',
    'openWrite (2)',
    'openWrite (3)',
  ];
  const calls = new Map(everyCallWithPath);
  for (const name of ['tofile', 'todir', 'dangling', 'magic', 'fd']) {
    for (const method of following)
      assert.strictEqual(
        codeOf(() => calls.get(method)(root, name)),
        'ELOOP',
        `${method} of ${name}`,
      );
    assert.strictEqual(
      codeOf(() => root.mkdir(name)),
      'EEXIST',
    );
    assert.strictEqual(
      codeOf(() => root.link('file', name)),
      'EEXIST',
    );
    assert.strictEqual(
      codeOf(() => root.symlink('x', name)),
      'EEXIST',
    );
    assert.strictEqual(
      codeOf(() => root.renameNoReplace('file', name)),
      'EEXIST',
    );
    assert.strictEqual(
      codeOf(() => root.rmdir(name)),
      'ENOTDIR',
    );
  }
  assert.deepStrictEqual(snapshot(dir), before);

  root.link('tofile', 'second');
  assert.strictEqual(fs.readlinkSync(at('second')), 'file');
  root.rename('todir', 'moved');
  assert.strictEqual(fs.readlinkSync(at('moved')), 'dir');
  root.renameNoReplace('moved', 'again');
  assert.strictEqual(fs.readlinkSync(at('again')), 'dir');
  root.rename('file', 'tofile');
  assert.strictEqual(fs.readFileSync(at('tofile'), 'utf8'), 'content');
  root.unlink('again');
  root.rm('dangling');
  root.rm('magic', true);
  root.rm('fd', true, true);
  assert.deepStrictEqual(fs.readdirSync(dir).sort(), ['dir', 'empty', 'second', 'tofile']);
  assert.deepStrictEqual(fs.readdirSync(at('dir')), ['inner']);
});

test('behind a trailing slash a symlink is not followed, removed or renamed', (t) => {
  const { dir, root } = sandbox(t, { ...TREE, dangling: link('missing') });
  const before = snapshot(dir);
  const expected = {
    'mkdir (1)': 'EEXIST', 'mkdir (2)': 'ELOOP', unlink: 'ENOTDIR', rmdir: 'ENOTDIR', remove: 'ENOTDIR', mkfifo: 'EEXIST', 'rename (1)': 'ENOTDIR', 'rename (2)': 'ENOTDIR',
    'renameNoReplace (1)': 'ENOTDIR', 'renameNoReplace (2)': 'EEXIST', 'link (1)': 'ELOOP', 'link (2)': 'EEXIST', 'symlink (1)': 'EEXIST', 'symlink (2)': 'EEXIST',
    chmod: 'ELOOP', truncate: 'ELOOP', 'copyFile (1)': 'ELOOP', 'copyFile (2)': 'EISDIR', 'rm (1)': 'ELOOP', 'rm (2)': 'ELOOP', 'rm (3)': 'ELOOP',
    utimes: 'ELOOP', lutimes: 'ELOOP', chown: 'ELOOP', lchown: 'ELOOP', lstat: 'ELOOP', statfs: 'ELOOP', access: 'ELOOP', readlink: 'ELOOP',
    'exchange (1)': 'ENOTDIR', 'exchange (2)': 'ENOTDIR', stat: 'ELOOP', openRead: 'ELOOP', 'openWrite (1)': 'ELOOP',
    realpath: 'ELOOP', 'readdir (1)': 'ELOOP', 'readdir (2)': 'ELOOP', 'opendir (1)': 'ELOOP', 'opendir (2)': 'ELOOP', openRoot: 'ELOOP', hostPath: 'ELOOP', 'open (1)': 'ELOOP', 'open (2)': 'EISDIR',
    'open (3)': 'EISDIR', 'open (4)': 'ELOOP', readFile: 'ELOOP', 'writeFile (1)': 'EISDIR', 'writeFile (2)': 'EISDIR', appendFile: 'EISDIR',
    fsync: 'ELOOP', 'cp (1)': 'ELOOP', 'cp (2)': 'ENOTDIR', 'cp (3)': 'ENOTDIR', 'cp (4)': 'ELOOP', 'cp (5)': 'ENOTDIR', 'move (1)': 'ENOTDIR', 'move (2)': 'EEXIST', 'move (3)': 'ENOTDIR',
    // Whatever is there, open(2) makes no file whose name ends in a slash.
    'openWrite (2)': 'EISDIR', 'openWrite (3)': 'EISDIR',
  }; // biome-ignore format: a table
  const codes = (at) =>
    Object.fromEntries(
      everyCallWithPath.map(([name, call]) => [name, outcome(() => call(root, at)).error?.code]),
    );
  for (const at of ['todir/', 'tofile/', 'dangling/', 'todir//'])
    assert.deepStrictEqual(codes(at), expected, at);
  // Before a dot it is on the way, and nobody follows it.
  const refused = Object.fromEntries(Object.keys(expected).map((name) => [name, 'ELOOP']));
  for (const at of ['todir/.', 'tofile/.', 'dangling/.', 'todir/./', 'todir//.'])
    assert.deepStrictEqual(codes(at), refused, at);
  assert.deepStrictEqual(snapshot(dir), before);
});

test('behind a trailing slash a directory is made, moved and removed', (t) => {
  const { dir, root } = sandbox(t, { full: { x: '' } });
  root.mkdir('a/');
  root.mkdir('b/c/', true);
  root.mkdir('b/c/', true);
  root.rename('a/', 'd/');
  root.rename('d', 'e/');
  root.chmod('e/', 0o711);
  assert.strictEqual(root.stat('e/').mode & 0o777, 0o711);
  root.rmdir('e/');
  root.rm('b/', true);
  root.rm('full/', true);
  assert.deepStrictEqual(fs.readdirSync(dir), []);
});

test('a name that is not UTF-8 goes in as a Buffer, and comes out of nothing else', (t) => {
  const { dir, root } = sandbox(t);
  const name = (text) => Buffer.from(text, 'latin1');
  const names = () => fs.readdirSync(dir, { encoding: 'latin1' }).sort();
  root.mkdir(name('d\xff'));
  fs.closeSync(root.openWrite(name('d\xff/f\xfe'), true));
  root.rename(name('d\xff/f\xfe'), name('\xe9'));
  root.link(name('\xe9'), name('\xea'));
  root.copyFile(name('\xe9'), name('\xeb'));
  root.symlink(name('t\xff'), name('\xec'));
  root.chmod(name('\xe9'), 0o600);
  root.truncate(name('\xe9'), 5);
  root.utimes(name('\xe9'), 1, 2);
  assert.deepStrictEqual([root.stat(name('\xea')).size, root.stat(name('\xea')).mtimeNs], [5, 2]);
  fs.closeSync(root.openRead(name('\xeb')));
  assert.deepStrictEqual(names(), ['d\xff', '\xe9', '\xea', '\xeb', '\xec'].sort());
  assert.strictEqual(
    fs.readlinkSync(Buffer.concat([Buffer.from(`${dir}/`), name('\xec')]), 'latin1'),
    't\xff',
  );
  assert.strictEqual(
    codeOf(() => root.stat('\u00e9')),
    'ENOENT',
  );
  const { error } = outcome(() => root.stat(name('\xff\xfe')));
  assert.deepStrictEqual(
    [error.path, error.message],
    ['\ufffd\ufffd', "ENOENT: no such file or directory, stat '\ufffd\ufffd'"],
  );
  root.unlink(name('\xe9'));
  root.renameNoReplace(name('\xea'), name('\xed'));
  root.rmdir(name('d\xff'));
  root.rm(name('\xeb'));
  assert.deepStrictEqual(names(), ['\xec', '\xed']);
});

test('a plain Uint8Array is a path like a Buffer', (t) => {
  const { root } = sandbox(t, { file: 'abc' });
  assert.strictEqual(root.stat(new Uint8Array([0x66, 0x69, 0x6c, 0x65])).size, 3);
  assert.strictEqual(root.stat(new Uint8Array([0, 0x66, 0x69, 0x6c, 0x65, 0]).subarray(1, 5)).size, 3);
});

test('a directory renamed is still the root, and its old path is not', (t) => {
  const dir = tempDir(t);
  fs.mkdirSync(path.join(dir, 'a'));
  const root = new SandboxRoot(path.join(dir, 'a'));
  fs.renameSync(path.join(dir, 'a'), path.join(dir, 'b'));
  fs.mkdirSync(path.join(dir, 'a'));
  root.mkdir('x');
  assert.deepStrictEqual(
    [fs.readdirSync(path.join(dir, 'a')), fs.readdirSync(path.join(dir, 'b'))],
    [[], ['x']],
  );
});

test('the path of the root is trusted: relative, through symlinks, and told in its errors', (t) => {
  const dir = tempDir(t);
  fs.mkdirSync(path.join(dir, 'real'));
  fs.writeFileSync(path.join(dir, 'file'), '');
  fs.symlinkSync('real', path.join(dir, 'alias'));
  for (const at of [
    path.join(dir, 'alias'),
    path.relative('.', path.join(dir, 'alias')),
    Buffer.from(path.join(dir, 'real/')),
    path.join(dir, 'alias/../real'),
  ]) {
    assert.strictEqual(new SandboxRoot(at).stat('.').ino, fs.statSync(path.join(dir, 'real')).ino);
  }
  for (const [name, code] of [
    ['missing', 'ENOENT'],
    ['file', 'ENOTDIR'],
  ]) {
    const at = path.join(dir, name);
    const { error } = outcome(() => new SandboxRoot(at));
    const node = outcome(() => fs.readdirSync(at)).error;
    assert.deepStrictEqual(
      { ...error, syscall: 'scandir', message: error.message.replace('open', 'scandir') },
      node,
    );
    assert.strictEqual(error.code, code);
  }
  for (const bad of [undefined, null, 5, {}, 'a\0b', '\ud800']) {
    assert.match(
      codeOf(() => new SandboxRoot(bad)),
      /^ERR_INVALID_ARG_(TYPE|VALUE)$/,
    );
  }
  assert.strictEqual(
    codeOf(() => new SandboxRoot('')),
    'ENOENT',
  );
});

test('in a sticky directory a symlink of somebody else is ELOOP all the same', {
  skip: !isRoot && 'needs root to own files as somebody else',
}, (t) => {
  const setting = '/proc/sys/fs/protected_symlinks';
  const before = fs.readFileSync(setting, 'utf8');
  t.after(() => fs.writeFileSync(setting, before));
  fs.writeFileSync(setting, '1');
  const { root, at } = sandbox(t, {
    sticky: { real: {}, file: 'x', todir: link('real'), tofile: link('file') },
  });
  fs.chownSync(at('sticky'), 1000, 1000);
  fs.chmodSync(at('sticky'), 0o1777);
  for (const name of ['todir', 'tofile']) fs.lchownSync(at('sticky', name), NOBODY, NOBODY);
  assert.strictEqual(
    codeOf(() => fs.statSync(at('sticky/tofile'))),
    'EACCES',
    'the kernel protects symlinks here',
  );
  for (const at of ['sticky/todir/x', 'sticky/tofile']) {
    for (const method of ['stat', 'chmod', 'truncate', 'utimes', 'openRead', 'openWrite']) {
      assert.strictEqual(
        codeOf(() => callsWithPath[method][0](root, at)),
        'ELOOP',
        `${method} of ${at}`,
      );
    }
  }
});
