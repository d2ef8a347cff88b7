'use strict';
// open, readFile, writeFile, appendFile, fsync, mkdtemp: the bytes, modes, flags and errors of node:fs, and
// nothing half-made left behind.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('..');
const { inChild, start } = require('./child');
const { FULL } = require('./sizes');
const { trace } = require('./syscalls/trace');
const { withoutStrace } = require('./syscalls/strace');
const {
  NOBODY,
  bothWays,
  codeOf,
  codeOfPromise,
  file,
  isRoot,
  link,
  memory,
  outcome,
  sandbox,
  settled,
  snapshot,
  tempDir,
  unprivileged,
  withoutMounts,
} = require('./support');

const {
  O_APPEND, O_CREAT, O_DIRECTORY, O_DSYNC, O_EXCL, O_NOATIME, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR,
  O_SYNC, O_TRUNC, O_WRONLY,
} = fs.constants; // biome-ignore format: a list
const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;

const MiB = 2 ** 20;

/** Runs `action` in a new folder with `tree` in it: node:fs is given the very paths that a root is. */
function twin(t, tree, action) {
  const { dir } = sandbox(t, tree, memory);
  const home = process.cwd();
  process.chdir(dir);
  try {
    return { ...outcome(action), tree: snapshot(dir) };
  } finally {
    process.chdir(home);
  }
}

/** The flags of an open descriptor, as the kernel tells them. */
const flagsOf = (fd) =>
  Number.parseInt(/^flags:\s*(\d+)$/m.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))[1], 8);

/** All that can be told of a descriptor, which is closed: its flags, what can be read, and what a write does. */
function used(fd) {
  try {
    const flags = flagsOf(fd);
    const stat = fs.fstatSync(fd);
    const rest = { flags, mode: stat.mode, read: null, write: null };
    if (stat.isDirectory()) return rest;
    rest.read = outcome(() => fs.readFileSync(fd, 'latin1')).value ?? null;
    rest.write = outcome(() => fs.writeSync(fd, 'written')).value ?? null;
    return rest;
  } finally {
    fs.closeSync(fd);
  }
}

const TREE = { file: 'some content', dir: { inner: 'inner' }, readonly: file('r', 0o444), empty: '' };

const FLAGS = [
  undefined, null, 'r', 'rs', 'sr', 'r+', 'rs+', 'sr+', 'w', 'wx', 'xw', 'w+', 'wx+', 'xw+', 'a', 'ax', 'xa', 'as', 'sa', 'a+',
  'ax+', 'xa+', 'as+', 'sa+',
  O_RDONLY, O_WRONLY, O_RDWR, O_WRONLY | O_CREAT, O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_EXCL, O_RDONLY | O_CREAT,
  O_RDONLY | O_CREAT | O_EXCL, O_WRONLY | O_TRUNC, O_RDWR | O_TRUNC, O_RDWR | O_CREAT | O_TRUNC, O_WRONLY | O_APPEND,
  O_RDWR | O_APPEND | O_CREAT, O_RDONLY | O_DIRECTORY, O_RDONLY | O_NOFOLLOW, O_RDWR | O_NOFOLLOW, O_WRONLY | O_SYNC,
  O_WRONLY | O_DSYNC, O_RDONLY | O_NOATIME, O_RDONLY | O_NOCTTY, O_RDONLY | O_NONBLOCK, O_RDWR | O_NONBLOCK | O_CREAT,
  O_PATH, O_PATH | O_DIRECTORY, O_PATH | O_NOFOLLOW, O_RDONLY | O_CLOEXEC, O_RDWR | O_CREAT | O_TRUNC | O_EXCL,
]; // biome-ignore format: a list

const TARGETS = [
  'file',
  'dir',
  'dir/inner',
  'dir/',
  'missing',
  'missing/',
  'missing/x',
  'file/x',
  'file/',
  '.',
  'empty',
];

bothWays('open with any flag does what fs.open does with it', async (t, of) => {
  const umask = process.umask(0o022);
  t.after(() => process.umask(umask));
  const codes = new Set();
  for (const flags of FLAGS) {
    for (const at of TARGETS) {
      for (const mode of [[], [0o640]]) {
        const node = twin(t, TREE, () => used(fs.openSync(at, flags ?? 'r', ...mode)));
        const { dir, root } = sandbox(t, TREE, memory);
        const opened = async () => used(await of(root).open(at, flags, ...mode));
        const ours = { ...(await settled(opened())), tree: snapshot(dir) };
        assert.deepStrictEqual(ours, node, `${at} with ${flags}`);
        codes.add(node.error?.code);
      }
    }
  }
  assert.ok(['EEXIST', 'EISDIR', 'ENOENT', 'ENOTDIR', undefined].every((code) => codes.has(code)));
});

test('open with O_PATH gives a descriptor of anything, and opens nothing', (t) => {
  const { root } = sandbox(t, { pipe: { fifo: true }, dir: {} });
  for (const at of ['pipe', 'dir']) {
    const fd = root.open(at, O_PATH);
    assert.strictEqual(fs.fstatSync(fd).ino, root.stat(at).ino);
    assert.strictEqual(flagsOf(fd) & O_PATH, O_PATH);
    fs.closeSync(fd);
  }
});

bothWays('open follows no symlink, with or without O_NOFOLLOW', async (t, of) => {
  const links = { tofile: link('file'), todir: link('dir'), dangling: link('made') };
  const { dir, root, at } = sandbox(t, { ...TREE, ...links });
  const before = snapshot(dir);
  for (const name of ['tofile', 'todir', 'todir/inner', 'dangling']) {
    for (const flags of ['r', 'r+', 'w', 'a', O_RDONLY | O_NOFOLLOW, O_PATH, O_RDWR | O_CREAT]) {
      const code = await codeOfPromise(of(root).open(name, flags));
      assert.strictEqual(code, 'ELOOP', `${name} with ${flags}`);
    }
    // What is there is there, whatever it is.
    const code = await codeOfPromise(of(root).open(name, 'wx'));
    assert.strictEqual(code, name === 'todir/inner' ? 'ELOOP' : 'EEXIST');
  }
  // This is the link itself, as with open(2).
  for (const name of Object.keys(links)) {
    const fd = await of(root).open(name, O_PATH | O_NOFOLLOW);
    assert.strictEqual(fs.fstatSync(fd).ino, fs.lstatSync(at(name)).ino);
    fs.closeSync(fd);
  }
  assert.deepStrictEqual(snapshot(dir), before);
});

bothWays('flags that are none are refused as Node refuses them', async (t, of) => {
  const { dir, root } = sandbox(t, TREE);
  const before = snapshot(dir);
  for (const flags of [
    '',
    'z',
    'R',
    'rw',
    'w++',
    ' r',
    '0',
    {},
    [],
    true,
    1.5,
    NaN,
    -(2 ** 40),
    2 ** 40,
    1n,
  ]) {
    const { error } = outcome(() => fs.openSync('/dev/null/x', flags));
    // Node has one code for a string that is no flag and for what is not even a string.
    const wrongType = !['string', 'number'].includes(typeof flags);
    const code = wrongType ? 'ERR_INVALID_ARG_TYPE' : error.code;
    assert.strictEqual(await codeOfPromise(of(root).open('file', flags)), code, String(flags));
  }
  for (const mode of [-1, 2 ** 32, 1.5, {}, true]) {
    const { error } = outcome(() => fs.openSync('/dev/null/x', 'w', mode));
    assert.strictEqual(await codeOfPromise(of(root).open('new', 'w', mode)), error.code, String(mode));
  }
  assert.deepStrictEqual(snapshot(dir), before);
});

/** Bytes of every value, and text of every width. */
const BYTES = Buffer.concat([
  Buffer.from('aä€😀\n'),
  Buffer.from(Array.from({ length: 256 }, (_, i) => i)),
  Buffer.from([0xff, 0xfe, 0xc3]),
]);
const ENCODINGS = [
  'utf8', 'utf-8', 'UTF8', 'Utf-8', 'latin1', 'binary', 'ascii', 'hex', 'HEX', 'base64', 'base64url', 'ucs2', 'ucs-2', 'utf16le',
  'utf-16le',
]; // biome-ignore format: a list

bothWays('readFile reads what fs.readFile reads, in any encoding', async (t, of) => {
  const { root, at } = sandbox(t, { empty: '' });
  fs.writeFileSync(at('bytes'), BYTES);
  fs.writeFileSync(at('large'), Buffer.alloc(9 * MiB + 1, BYTES));
  for (const name of ['bytes', 'empty', 'large']) {
    for (const encoding of [undefined, null, ...ENCODINGS]) {
      const expected = fs.readFileSync(at(name), encoding);
      for (const options of [encoding, { encoding }]) {
        const got = await of(root).readFile(name, options);
        assert.ok(
          Buffer.isBuffer(expected) ? expected.equals(got) : expected === got,
          `${name} as ${encoding}`,
        );
        assert.strictEqual(typeof got, typeof expected);
      }
    }
  }
  for (const encoding of ['utf9', '', 'UTF 8', 'hexx', 'utf8\0']) {
    const { error } = outcome(() => fs.readFileSync(at('bytes'), encoding || 'none'));
    assert.strictEqual(error.code, 'ERR_INVALID_ARG_VALUE');
    if (encoding === '') continue;
    for (const options of [encoding, { encoding }])
      assert.strictEqual(await codeOfPromise(of(root).readFile('bytes', options)), 'ERR_INVALID_ARG_VALUE');
  }
});

bothWays('a buffer that was read belongs to the caller', async (t, of) => {
  const { root } = sandbox(t, { file: 'content', empty: '' });
  const [one, two] = [await of(root).readFile('file'), await of(root).readFile('file')];
  one.fill('x');
  assert.deepStrictEqual(
    [String(one), String(two), root.readFile('file', 'utf8')],
    ['xxxxxxx', 'content', 'content'],
  );
  assert.ok(Buffer.isBuffer(await of(root).readFile('empty')));
});

bothWays('buffers that nobody has any more take no memory, however many are read', async (t, _, way) => {
  const { dir, at } = sandbox(t, {}, memory);
  fs.writeFileSync(at('file'), Buffer.alloc(16 * MiB));
  const body = async (dir, isPromise) => {
    const root = new SandboxRoot(dir);
    for (const encoding of [undefined, 'latin1']) {
      for (let i = 0; i < 48; i += 1) {
        const { length } = isPromise
          ? await root.promises.readFile('file', encoding)
          : root.readFile('file', encoding);
        if (length !== 2 ** 24) throw new Error(`${length}`);
      }
    }
    return process.resourceUsage().maxRSS / 1024;
  };
  // At once, all of it is read in one turn of the event loop.
  const peak = await inChild(t, body, [dir, way === 'as a promise']);
  t.diagnostic(`${Math.round(peak)} MiB`);
  assert.ok(peak < 700, `${peak} MiB`);
});

bothWays('of a file that is cut while it is read, nothing but its content comes', async (t, of) => {
  const { root, at } = sandbox(t, { file: 'x'.repeat(MiB) }, memory);
  const cut = (file) => {
    const fd = fs.openSync(file, 'a');
    const rest = Buffer.alloc(2 ** 20 - 2 ** 17, 'x');
    console.log('ready');
    for (;;) {
      fs.ftruncateSync(fd, 2 ** 17);
      fs.writeSync(fd, rest);
    }
  };
  const child = start(t, cut, [at('file')]);
  await child.ready;
  const lengths = new Set();
  for (const end = performance.now() + (FULL ? 20_000 : 1_000); performance.now() < end; ) {
    const content = await of(root).readFile('file');
    lengths.add(content.length);
    assert.ok(content.length >= 2 ** 17 && content.length <= MiB, `${content.length}`);
    assert.ok(content.equals(Buffer.alloc(content.length, 'x')));
  }
  assert.ok(lengths.size > 1);
});

bothWays('maxBytes bounds what is read, and a byte more is ERR_FS_FILE_TOO_LARGE', async (t, of) => {
  const { root, at } = sandbox(t, { file: '0123456789', empty: '' });
  for (const maxBytes of [undefined, null, 10, 11, 2 ** 31 - 1, Number.MAX_SAFE_INTEGER])
    assert.strictEqual(await of(root).readFile('file', { maxBytes, encoding: 'utf8' }), '0123456789');
  assert.strictEqual(await of(root).readFile('empty', { maxBytes: 0, encoding: 'utf8' }), '');
  for (const maxBytes of [0, 1, 9]) {
    const { error } = await settled(of(root).readFile('file', { maxBytes }));
    assert.deepStrictEqual([error.name, error.code], ['RangeError', 'ERR_FS_FILE_TOO_LARGE']);
  }
  // Node's own limit, without one of ours. No such room is taken.
  fs.truncateSync(at('file'), 2 ** 31);
  const { error } = await settled(of(root).readFile('file'));
  assert.deepStrictEqual([error.name, error.code], ['RangeError', 'ERR_FS_FILE_TOO_LARGE']);
  for (const [maxBytes, code] of [[-1, 'ERR_OUT_OF_RANGE'], [1.5, 'ERR_OUT_OF_RANGE'], ['7', 'ERR_INVALID_ARG_TYPE']])
    assert.strictEqual(await codeOfPromise(of(root).readFile('empty', { maxBytes })), code);
}); // biome-ignore format: a list

bothWays(
  'files of /proc, which say that they are empty, are read to their end and bounded too',
  async (_t, of) => {
    const root = new SandboxRoot('/proc');
    for (const name of ['cmdline', 'environ', 'mountinfo', 'maps', 'status']) {
      const at = `${process.pid}/${name}`;
      const got = await of(root).readFile(at, 'latin1');
      const node = fs.readFileSync(`/proc/${at}`, 'latin1');
      // Counters and mappings in it move on.
      if (['cmdline', 'environ', 'mountinfo'].includes(name)) assert.strictEqual(got, node);
      assert.ok(got.length > 0 && got.split('\n')[0] === node.split('\n')[0], name);
    }
    const { length } = fs.readFileSync(`/proc/${process.pid}/cmdline`);
    const at = `${process.pid}/cmdline`;
    assert.strictEqual((await of(root).readFile(at, { maxBytes: length })).length, length);
    assert.strictEqual(
      await codeOfPromise(of(root).readFile(at, { maxBytes: length - 1 })),
      'ERR_FS_FILE_TOO_LARGE',
    );
    // It has no end.
    const pages = await settled(of(root).readFile(`${process.pid}/pagemap`, { maxBytes: 64 * 1024 }));
    assert.strictEqual(pages.error.code, 'ERR_FS_FILE_TOO_LARGE');
  },
);

bothWays('what cannot be read is refused as fs.readFile refuses it', async (t, of) => {
  const { dir, root } = sandbox(t, { ...TREE, tofile: link('file') });
  for (const at of ['missing', 'missing/x', 'file/x', 'file/', 'dir', 'dir/', '.', 'x'.repeat(256)]) {
    const { error } = twin(t, TREE, () => fs.readFileSync(at));
    assert.deepStrictEqual((await settled(of(root).readFile(at))).error, error, at);
  }
  assert.strictEqual(await codeOfPromise(of(root).readFile('tofile')), 'ELOOP');
  assert.deepStrictEqual(fs.readdirSync(dir).length, Object.keys(TREE).length + 1);
});

const WRITERS = {
  writeFile: [undefined, 'w', 'wx', 'a', 'ax', 'r+', 'w+', 'a+', 'as'],
  appendFile: [undefined, 'a', 'ax', 'a+', 'w'],
};

for (const [method, flags] of Object.entries(WRITERS)) {
  bothWays(`${method} with any flag and mode leaves what fs.${method} leaves`, async (t, of) => {
    const umask = process.umask(0o022);
    t.after(() => process.umask(umask));
    const codes = new Set();
    for (const flag of flags) {
      for (const at of [
        'file',
        'empty',
        'new',
        'dir',
        'dir/',
        'dir/new',
        'missing/x',
        'file/x',
        'file/',
        'new/',
        '.',
      ]) {
        for (const mode of [undefined, 0o600, 0o7777]) {
          const options = { flag, mode };
          // What fs.writeFile writes with O_CREAT to a name with a slash behind it is EISDIR in both.
          const node = twin(t, TREE, () => fs[`${method}Sync`](at, 'NEW', options));
          const { dir, root } = sandbox(t, TREE, memory);
          const ours = { ...(await settled(of(root)[method](at, 'NEW', options))), tree: snapshot(dir) };
          assert.deepStrictEqual(ours, node, `${at} with ${flag} and ${mode}`);
          codes.add(node.error?.code);
        }
      }
    }
    assert.ok(['EEXIST', 'EISDIR', 'ENOENT', 'ENOTDIR', undefined].every((code) => codes.has(code)));
  });

  bothWays(`${method} writes strings in any encoding, and the bytes of any view`, async (t, of) => {
    const { root, at } = sandbox(t, { node: '' });
    const text = 'aä€😀\n\u0000\udc00 Zm9v 6162';
    const check = async (...args) => {
      fs.rmSync(at('ours'), { force: true });
      fs.writeFileSync(at('node'), ...args);
      await of(root)[method]('ours', ...args);
      assert.deepStrictEqual(fs.readFileSync(at('ours')), fs.readFileSync(at('node')), String(args));
    };
    for (const encoding of [undefined, null, ...ENCODINGS]) {
      await check(text, encoding);
      await check(text, { encoding });
    }
    await check('');
    const { buffer } = new Uint8Array(Array.from({ length: 64 }, (_, i) => i));
    const views = [
      Uint8Array,
      Int8Array,
      Uint8ClampedArray,
      Uint16Array,
      Int32Array,
      Float32Array,
      Float64Array,
      BigInt64Array,
      // Newer engines have it.
      globalThis.Float16Array ?? DataView,
      DataView,
    ];
    for (const View of views) {
      await check(new View(buffer));
      await check(new View(buffer, 8, 3));
    }
    await check(Buffer.from(buffer, 3, 5));
    await check(Buffer.alloc(0));
    await check(Buffer.from('text'), 'hex');
    await check(Buffer.alloc(5 * MiB, BYTES));
    await check('€'.repeat(3 * MiB));
  });

  bothWays(`${method} is refused what is no data, no flag, no mode, no encoding`, async (t, of, way) => {
    const { dir, root } = sandbox(t, TREE);
    const before = snapshot(dir);
    for (const data of [
      undefined,
      null,
      7,
      7n,
      true,
      {},
      // For a promise, nothing bit by bit.
      ...(way === 'at once' ? [[]] : [[7]]),
      () => {},
      Symbol('x'),
      new ArrayBuffer(4),
      new Date(),
    ]) {
      assert.strictEqual(await codeOfPromise(of(root)[method]('new', data)), 'ERR_INVALID_ARG_TYPE');
    }
    for (const [options, code] of [
      [{ flag: 'z' }, 'ERR_INVALID_ARG_VALUE'],
      [{ flag: {} }, 'ERR_INVALID_ARG_TYPE'],
      [{ mode: -1 }, 'ERR_OUT_OF_RANGE'],
      [{ mode: 2 ** 32 }, 'ERR_OUT_OF_RANGE'],
      [{ encoding: 'utf9' }, 'ERR_INVALID_ARG_VALUE'],
      ['utf9', 'ERR_INVALID_ARG_VALUE'],
      [{ flush: 1 }, 'ERR_INVALID_ARG_TYPE'],
      [7, 'ERR_INVALID_ARG_TYPE'],
      [true, 'ERR_INVALID_ARG_TYPE'],
    ]) {
      assert.strictEqual(
        await codeOfPromise(of(root)[method]('new', 'x', options)),
        code,
        JSON.stringify(options),
      );
      assert.strictEqual(
        await codeOfPromise(of(root)[method]('file', 'x', options)),
        code,
        JSON.stringify(options),
      );
    }
    assert.deepStrictEqual(snapshot(dir), before);
  });
}

test('strings arrive whole, as data and as paths, wherever a character may be cut', async (t) => {
  const { at, root } = sandbox(t, { ['d'.repeat(200)]: { ['e'.repeat(200)]: {} } });
  const dir = `${'d'.repeat(200)}/${'e'.repeat(200)}`;
  for (const last of ['x', '\u00e9', '\u20ac', '\u{1f600}']) {
    for (let length = 480; length < 530; length++) {
      const text = 'x'.repeat(length) + last;
      for (const data of [text, `${text}and more`]) {
        root.writeFile('file', data);
        assert.strictEqual(fs.readFileSync(at('file'), 'utf8'), data, `${length} bytes and ${last}`);
        await root.promises.writeFile('file', data);
        assert.strictEqual(
          fs.readFileSync(at('file'), 'utf8'),
          data,
          `${length} bytes and ${last}, promised`,
        );
        const name = data.slice(dir.length + 1);
        root.writeFile(`${dir}/${name}`, '');
        assert.deepStrictEqual(fs.readdirSync(at(dir)), [name]);
        root.unlink(`${dir}/${name}`);
      }
    }
  }
});

test('data of a chunk that changes after the call of a promise has no say in what is written', async (t) => {
  const { root } = sandbox(t);
  for (const atomic of [false, true]) {
    const data = Buffer.alloc(MiB / 2, 'a');
    const promise = root.promises.writeFile('file', data, { atomic });
    data.fill('b');
    await promise;
    assert.ok(root.readFile('file').equals(Buffer.alloc(MiB / 2, 'a')));
  }
});

bothWays('a write by way of a symlink is refused, and what it leads to stays', async (t, of) => {
  const { dir, root } = sandbox(t, {
    ...TREE,
    tofile: link('file'),
    todir: link('dir'),
    dangling: link('made'),
  });
  const before = snapshot(dir);
  for (const at of ['tofile', 'todir/inner', 'todir/new', 'dangling']) {
    assert.strictEqual(await codeOfPromise(of(root).writeFile(at, 'x')), 'ELOOP');
    assert.strictEqual(await codeOfPromise(of(root).appendFile(at, 'x')), 'ELOOP');
  }
  assert.deepStrictEqual(snapshot(dir), before);
});

/** A command that runs another with a file system of one MiB at `dir`, of which nobody else knows. */
const inSmallMount = (dir) => [
  'unshare', '--mount', 'sh', '-c', 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"', dir,
]; // biome-ignore format: a command

test('a file that a failed write made is removed again, and one that was there stays', {
  skip: withoutMounts,
}, async (t) => {
  const dir = tempDir(t);
  const body = async (dir) => {
    const root = new SandboxRoot(dir);
    root.writeFile('old', 'old');
    const large = Buffer.alloc(3 << 20, 'x');
    const codes = [];
    for (const method of ['writeFile', 'appendFile'])
      for (const of of [root, root.promises])
        for (const name of ['new', 'old', 'old']) {
          try {
            await of[method](name, large, {
              flag: method === 'writeFile' && name === 'old' ? 'r+' : undefined,
            });
            codes.push('success');
          } catch (error) {
            codes.push(error.code);
          }
          if (name === 'old') fs.truncateSync(`${dir}/old`, 3);
        }
    return { codes, left: fs.readdirSync(dir), old: fs.readFileSync(`${dir}/old`, 'utf8') };
  };
  const { codes, left, old } = await inChild(t, body, [dir], { wrap: inSmallMount(dir) });
  assert.deepStrictEqual(codes, Array(12).fill('ENOSPC'));
  assert.deepStrictEqual([left, old.length], [['old'], 3]);
});

bothWays('fsync takes a file and a directory, and is refused what is neither there nor content', async (t, of) => {
  const { root } = sandbox(t, { ...TREE, pipe: { fifo: true }, tofile: link('file') });
  for (const at of ['file', 'dir', 'dir/', '.', 'readonly'])
    assert.strictEqual(await of(root).fsync(at), undefined);
  for (const [at, code] of [['missing', 'ENOENT'], ['pipe', 'ENXIO'], ['tofile', 'ELOOP'], ['file/', 'ENOTDIR']])
    assert.strictEqual(await codeOfPromise(of(root).fsync(at)), code);
}); // biome-ignore format: a list

bothWays('fsync says what is wrong with a directory that may not be read, as fs.open does', async (t, of) => {
  const { root, at } = sandbox(t, { dir: {} });
  fs.chmodSync(at('dir'), 0o300);
  if (isRoot) fs.chownSync(at('dir'), NOBODY, NOBODY);
  await unprivileged(async () => assert.strictEqual(await codeOfPromise(of(root).fsync('dir')), 'EACCES'));
});

test('fsync and flush reach the disk: the kernel is asked to', { skip: withoutStrace() }, (t) => {
  const { dir } = sandbox(t, TREE);
  const program = `
    const { mark } = require(${JSON.stringify(path.join(__dirname, 'syscalls/trace'))});
    const { SandboxRoot } = require(${JSON.stringify(path.join(__dirname, '..'))});
    const root = new SandboxRoot(${JSON.stringify(dir)});
    const calls = {
      'fsync file': () => root.fsync('file'),
      'fsync dir': () => root.fsync('dir'),
      'flush': () => root.writeFile('file', 'x', { flush: true }),
      'append, flush': () => root.appendFile('file', 'x', { flush: true }),
      'no flush': () => root.writeFile('file', 'x'),
    };
    for (const [name, call] of Object.entries(calls)) { mark(name); call(); }
    mark('end');`;
  const { sections } = trace(tempDir(t), ['-e', program]);
  const syncs = [...sections].map(([name, calls]) => [
    name,
    calls.filter((call) => /^f(data)?sync$/.test(call.name)).length,
  ]);
  assert.deepStrictEqual(syncs, [
    ['fsync file', 1], ['fsync dir', 1], ['flush', 1], ['append, flush', 1], ['no flush', 0], ['end', 0],
  ]); // biome-ignore format: a list
});

bothWays('mkdtemp makes a directory of its own, for its owner alone', async (t, of) => {
  const umask = process.umask(0);
  t.after(() => process.umask(umask));
  const { root, at } = sandbox(t, { dir: {} });
  const made = new Set();
  for (const prefix of ['tmp-', 'dir/tmp-', 'dir/', './x', 'XXXXXX', 'ünï', '-rf']) {
    for (const options of [undefined, null, {}, 'utf8', 'utf-8', { encoding: 'utf8' }]) {
      const name = await of(root).mkdtemp(prefix, options);
      assert.ok(name.startsWith(prefix), name);
      assert.match(name.slice(prefix.length), /^[A-Za-z0-9]{6}$/);
      const stat = fs.lstatSync(at(name));
      assert.deepStrictEqual([stat.isDirectory(), stat.mode & 0o7777], [true, 0o700]);
      made.add(name);
    }
  }
  assert.strictEqual(made.size, 42);
  const prefix = Buffer.from([0x64, 0xff, 0x80]);
  for (const options of ['buffer', { encoding: 'buffer' }]) {
    const name = await of(root).mkdtemp(prefix, options);
    assert.ok(Buffer.isBuffer(name) && name.subarray(0, 3).equals(prefix) && name.length === 9);
    assert.ok(fs.lstatSync(Buffer.concat([Buffer.from(`${at()}/`), name])).isDirectory());
  }
});

bothWays('mkdtemp fails as fs.mkdtemp does, under the name that it tried', async (t, of) => {
  const { root } = sandbox(t, { ...TREE, todir: link('dir') });
  for (const prefix of ['missing/x', 'file/x', 'missing/', 'x'.repeat(250), `dir/${'y'.repeat(256)}`]) {
    const { error } = twin(t, TREE, () => fs.mkdtempSync(prefix));
    assert.deepStrictEqual((await settled(of(root).mkdtemp(prefix))).error, error, prefix);
  }
  for (const [prefix, code] of [['../x', 'EACCES'], ['/tmp/x', 'EACCES'], ['dir/../x', 'EACCES'], ['todir/x', 'ELOOP']]) {
    const { error } = await settled(of(root).mkdtemp(prefix));
    assert.deepStrictEqual([error.code, error.syscall, error.path], [code, 'mkdtemp', `${prefix}XXXXXX`]);
  }
  for (const prefix of [undefined, null, 7, {}])
    assert.strictEqual(await codeOfPromise(of(root).mkdtemp(prefix)), 'ERR_INVALID_ARG_TYPE');
  assert.strictEqual(await codeOfPromise(of(root).mkdtemp('a\0b')), 'ERR_INVALID_ARG_VALUE');
}); // biome-ignore format: a list

bothWays(
  "under symlinks: 'beneath' and 'in-root' content is read and written through links",
  async (t, of) => {
    for (const symlinks of ['beneath', 'in-root']) {
      const { dir, at } = sandbox(t, {
        ...TREE,
        tofile: link('file'),
        todir: link('dir'),
        dangling: link('made'),
        out: link('../..'),
      });
      const root = new SandboxRoot(dir, { symlinks });
      assert.strictEqual(await of(root).readFile('todir/inner', 'utf8'), 'inner');
      await of(root).writeFile('tofile', 'new');
      await of(root).appendFile('dangling', 'made');
      fs.closeSync(await of(root).open('todir/opened', 'wx'));
      assert.ok((await of(root).mkdtemp('todir/tmp')).startsWith('todir/tmp'));
      assert.deepStrictEqual(
        ['file', 'made', 'dir/opened'].map((name) => fs.readFileSync(at(name), 'utf8')),
        ['new', 'made', ''],
      );
      // In a container `..` of the top is the top.
      const out = (await settled(of(root).writeFile('out/escaped', 'x'))).error?.code;
      assert.deepStrictEqual(
        [out, fs.existsSync(at('escaped'))],
        symlinks === 'beneath' ? ['EACCES', false] : [undefined, true],
      );
      assert.ok(!fs.existsSync(at('../../escaped')) && !fs.existsSync(at('../escaped')));
    }
  },
);

test("hardlinks: 'reject' refuses the content of a file with a second name, read or written", (t) => {
  const { dir, at } = sandbox(t, { one: 'one' });
  fs.linkSync(at('one'), at('two'));
  const root = new SandboxRoot(dir, { hardlinks: 'reject' });
  const calls = [
    () => root.readFile('one'),
    () => root.writeFile('one', 'x'),
    () => root.appendFile('two', 'x'),
    () => root.open('two', 'r'),
    () => root.open('two', 'w'),
    () => root.open('two', 'a+'),
  ];
  for (const call of calls) assert.strictEqual(codeOf(call), 'EMLINK');
  assert.strictEqual(fs.readFileSync(at('one'), 'utf8'), 'one');
});

const SYSFS = '/sys/kernel/mm/transparent_hugepage';
const noSysfs = !fs.existsSync(`${SYSFS}/enabled`) && 'needs a file of sysfs';

bothWays('a bound is for what a file has, not for what it says', { skip: noSysfs }, async (_t, of) => {
  const content = fs.readFileSync(`${SYSFS}/enabled`);
  const root = new SandboxRoot(SYSFS);
  assert.ok(fs.statSync(`${SYSFS}/enabled`).size > content.length);
  for (const maxBytes of [content.length, content.length + 1])
    assert.deepStrictEqual(await of(root).readFile('enabled', { maxBytes }), content);
  const short = async () => of(root).readFile('enabled', { maxBytes: content.length - 1 });
  await assert.rejects(short(), { code: 'ERR_FS_FILE_TOO_LARGE' });
  root.close();
});
