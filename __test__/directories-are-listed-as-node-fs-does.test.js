'use strict';
// readdir and walk: every name, byte for byte, with its kind; links listed and not entered; any width, any
// depth, in a bounded number of descriptors.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { SandboxRoot } = require('..');
const { inChild } = require('./child');
const {
  NOBODY,
  bothWays,
  codeOfPromise,
  fifo,
  isRoot,
  link,
  memory,
  outcome,
  plant,
  sandbox,
  settled,
  tempDir,
  unprivileged,
  wideSandbox,
} = require('./support');

const TREE = {
  file: 'content',
  '.hidden': '',
  'new\nline': { 'in\r\nit': '' },
  'ünï 😀': { '😀': { 'ü': '' } },
  empty: {},
  dir: { a: { b: { c: '' }, d: {} }, e: '', up: link('../..') },
  pipe: fifo(),
  tofile: link('file'),
  todir: link('dir'),
  dangling: link('nowhere'),
  self: link('self'),
}; // biome-ignore format: a tree

/** A sandbox with an entry of every kind that can be made here. */
async function everyKind(t) {
  const made = sandbox(t, TREE);
  const server = net.createServer();
  await new Promise((resolve) => server.listen(made.at('dir', 'socket'), resolve));
  t.after(() => new Promise((resolve) => server.close(resolve)));
  const device = (name, kind, minor) =>
    outcome(() => execFileSync('mknod', [made.at('dir', name), kind, '7', minor], { stdio: 'ignore' }));
  if (isRoot) for (const [kind, minor] of ['b5', 'c6']) device(`device ${kind}`, kind, minor);
  return made;
}

const KINDS = [
  ['file', 'isFile'],
  ['directory', 'isDirectory'],
  ['symlink', 'isSymbolicLink'],
  ['fifo', 'isFIFO'],
  ['socket', 'isSocket'],
  ['block', 'isBlockDevice'],
  ['char', 'isCharacterDevice'],
];
const kindOf = (stat) => KINDS.find(([, is]) => stat[is]())[0];

/** In an order of their own, since names come in none; of entries, the fields that they have themselves. */
const sorted = (entries) => entries.map(own).sort((a, b) => Buffer.compare(keyOf(a), keyOf(b)));
const own = (entry) => (entry.name === undefined ? entry : { ...entry });
const keyOf = (entry) =>
  entry.name === undefined
    ? Buffer.from(entry)
    : Buffer.concat([Buffer.from(entry.parentPath), Buffer.from('/'), Buffer.from(entry.name)]);

/** Runs `action` in `dir`: node:fs is given the very path that a root is. */
function within(dir, action) {
  const home = process.cwd();
  process.chdir(dir);
  try {
    return action();
  } finally {
    process.chdir(home);
  }
}

/** The Dirents of node:fs in the form of a root. */
const entriesOf = (dirents) =>
  dirents.map((entry) => ({
    name: entry.name,
    parentPath: entry.parentPath ?? entry.path,
    type: kindOf(entry),
  }));

const PLACES = ['.', 'dir', 'dir/', 'dir/a', 'dir//a/', 'dir/./a', 'empty', 'new\nline', 'ünï 😀'];

bothWays('names are those of fs.readdir', async (t, of) => {
  const { dir, root } = await everyKind(t);
  for (const place of PLACES) {
    const names = within(dir, () => fs.readdirSync(place));
    for (const options of [
      undefined,
      null,
      {},
      'utf8',
      'utf-8',
      { encoding: 'utf8' },
      { recursive: false },
    ]) {
      assert.deepStrictEqual(sorted(await of(root).readdir(place, options)), sorted(names), place);
    }
    const bytes = sorted(within(dir, () => fs.readdirSync(place, 'buffer')));
    for (const options of ['buffer', { encoding: 'buffer' }]) {
      const got = await of(root).readdir(place, options);
      assert.ok(got.every(Buffer.isBuffer));
      assert.deepStrictEqual(sorted(got), bytes, place);
    }
  }
});

bothWays('entries with their types are those of fs.readdir', async (t, of) => {
  const { dir, root } = await everyKind(t);
  const seen = new Set();
  for (const place of PLACES) {
    const expected = within(dir, () => entriesOf(fs.readdirSync(place, { withFileTypes: true })));
    const got = await of(root).readdir(place, { withFileTypes: true });
    assert.deepStrictEqual(sorted(got), sorted(expected), place);
    for (const { type } of got) seen.add(type);
    const dirents = within(dir, () => fs.readdirSync(place, { withFileTypes: true }));
    for (const entry of got) {
      const dirent = dirents.find(({ name }) => name === entry.name);
      for (const [, is] of KINDS) assert.strictEqual(entry[is](), dirent[is](), `${is} of ${entry.name}`);
      assert.ok(of(root) && (await of(root).lstat(entry.path)), 'the path leads to it');
      assert.deepStrictEqual(Object.keys(entry), ['name', 'parentPath', 'type']);
      // A path that is normal already stays as it is.
      assert.strictEqual(path.normalize(entry.path), path.join(place, entry.name));
    }
  }
  const kinds = isRoot ? KINDS : KINDS.slice(0, 5);
  assert.deepStrictEqual([...seen].sort(), kinds.map(([kind]) => kind).sort());
});

/** A path in its plain form: Node has parents in it once it joins a name to them. */
const plain = (entries) =>
  entries.map((entry) => ({ ...entry, parentPath: path.join(entry.parentPath, '.') }));

bothWays('recursive lists all that fs.readdir lists, and enters no symlink', async (t, of) => {
  const { dir, root } = await everyKind(t);
  for (const place of PLACES) {
    // With types: without them Node enters symlinks.
    const options = { recursive: true, withFileTypes: true };
    const expected = within(dir, () => entriesOf(fs.readdirSync(place, options)));
    const got = await of(root).readdir(place, options);
    assert.deepStrictEqual(sorted(plain(got)), sorted(plain(expected)), place);
    if (path.normalize(place) === place) assert.deepStrictEqual(sorted(got), sorted(expected), place);
    const names = expected.map(({ name, parentPath }) => path.join(path.relative(place, parentPath), name));
    assert.deepStrictEqual(sorted(await of(root).readdir(place, { recursive: true })), sorted(names), place);
  }
  const all = await of(root).readdir('.', { recursive: true });
  assert.ok(all.includes('dir/up') && !all.some((name) => name.startsWith('dir/up/')));
});

for (const symlinks of ['beneath', 'in-root']) {
  bothWays(
    `symlinks: '${symlinks}' follows a link to the directory, and enters none inside`,
    async (t, of) => {
      const { dir } = sandbox(t, TREE);
      const root = new SandboxRoot(dir, { symlinks });
      assert.deepStrictEqual(sorted(await of(root).readdir('todir')), ['a', 'e', 'up']);
      const all = await of(root).readdir('todir', { recursive: true });
      assert.deepStrictEqual(sorted(all), ['a', 'a/b', 'a/b/c', 'a/d', 'e', 'up']);
      assert.strictEqual(await codeOfPromise(of(root).readdir('tofile')), 'ENOTDIR');
      assert.strictEqual(await codeOfPromise(of(root).readdir('dangling')), 'ENOENT');
      assert.strictEqual(await codeOfPromise(of(root).readdir('self')), 'ELOOP');
    },
  );
}

/** Names that no string spells: every byte but the two that no name can have, and what looks like UTF-8. */
const BYTES = [
  ...Array.from({ length: 255 }, (_, i) => [i + 1]).filter(([byte]) => byte !== 0x2f && byte !== 0x2e),
  [0xff, 0xfe],
  [0xed, 0xa0, 0x80],
  [0xef, 0xbf, 0xbd],
  [0x61, 0x80, 0x62],
].map((bytes) => Buffer.from(bytes));

bothWays("with encoding: 'buffer' names and parents are returned byte for byte", async (t, of) => {
  const { dir, root } = sandbox(t);
  const join = (...parts) =>
    Buffer.concat(parts.flatMap((part, i) => (i ? [Buffer.from('/'), part] : [part])));
  const top = Buffer.from([0xff, 0x80]);
  fs.mkdirSync(join(Buffer.from(dir), top));
  const expected = [{ name: top, parentPath: Buffer.from('.'), type: 'directory' }];
  for (const name of BYTES) {
    fs.mkdirSync(join(Buffer.from(dir), top, name));
    fs.writeFileSync(join(Buffer.from(dir), top, name, name), '');
    expected.push({ name, parentPath: top, type: 'directory' });
    expected.push({ name, parentPath: join(top, name), type: 'file' });
  }
  const options = { recursive: true, encoding: 'buffer' };
  const all = await of(root).readdir('.', { ...options, withFileTypes: true });
  assert.deepStrictEqual(sorted(all), sorted(expected));
  const paths = expected.map(({ name, parentPath }) =>
    parentPath.equals(Buffer.from('.')) ? name : join(parentPath, name),
  );
  assert.deepStrictEqual(sorted(await of(root).readdir('.', options)), sorted(paths));
  assert.deepStrictEqual(sorted(await of(root).readdir(top, 'buffer')), sorted(BYTES));
  // What came out goes in again.
  for (const at of paths) assert.ok(root.lstat(at));
  // As strings they show what cannot be told.
  const shown = await of(root).readdir(top);
  assert.strictEqual(shown.length, BYTES.length);
  assert.ok(shown.includes('a\ufffdb'));
});

bothWays('what cannot be listed is refused as fs.readdir refuses it', async (t, of) => {
  const { dir, root } = sandbox(t, TREE);
  for (const at of ['missing', 'missing/', 'missing/x', 'file', 'file/', 'file/x', 'pipe', 'x'.repeat(256)]) {
    const { error } = within(dir, () => outcome(() => fs.readdirSync(at)));
    for (const options of [undefined, { withFileTypes: true }, { recursive: true }]) {
      assert.deepStrictEqual((await settled(of(root).readdir(at, options))).error, error, at);
    }
  }
  for (const [at, code] of [['todir', 'ELOOP'], ['todir/a', 'ELOOP'], ['', 'ENOENT'], ['..', 'EACCES'], ['/', 'EACCES']]) {
    const { error } = await settled(of(root).readdir(at));
    assert.deepStrictEqual([error.code, error.syscall, error.path], [code, 'scandir', at]);
  }
}); // biome-ignore format: a list

bothWays(
  'a directory inside that may not be listed is named in the error',
  { skip: !isRoot && 'needs root' },
  async (t, of) => {
    const { dir, root } = sandbox(t, { dir: { locked: { x: '' } } });
    fs.chownSync(`${dir}/dir/locked`, NOBODY, NOBODY);
    fs.chmodSync(`${dir}/dir/locked`, 0o000);
    await unprivileged(async () => {
      assert.deepStrictEqual(await of(root).readdir('dir'), ['locked']);
      const message = "EACCES: permission denied, scandir 'dir/locked'";
      const { error } = await settled(of(root).readdir('dir', { recursive: true }));
      assert.deepStrictEqual([error.message, error.path], [message, 'dir/locked']);
      const walked = await settled((async () => collect(root.walk('dir')))());
      assert.strictEqual(walked.error.message, message);
    });
  },
);

bothWays('options that are no options are refused', async (t, of) => {
  const { root } = sandbox(t);
  for (const [options, code] of [
    ['latin1', 'ERR_INVALID_ARG_VALUE'],
    ['', 'ERR_INVALID_ARG_VALUE'],
    [{ encoding: 'hex' }, 'ERR_INVALID_ARG_VALUE'],
    [{ encoding: 7 }, 'ERR_INVALID_ARG_TYPE'],
    [7, 'ERR_INVALID_ARG_TYPE'],
    [true, 'ERR_INVALID_ARG_TYPE'],
    [{ recursive: 'yes' }, 'ERR_INVALID_ARG_TYPE'],
    [{ withFileTypes: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ signal: {} }, 'ERR_INVALID_ARG_TYPE'],
  ]) {
    assert.strictEqual(await codeOfPromise(of(root).readdir('.', options)), code, JSON.stringify(options));
  }
});

const WIDTH = 100_000;

test(`${WIDTH} entries in one directory are listed, each once`, { timeout: 120_000 }, async (t) => {
  const dir = tempDir(t, memory);
  for (let i = 0; i < WIDTH; i++) fs.closeSync(fs.openSync(`${dir}/${i}`, 'w'));
  const root = new SandboxRoot(dir);
  const all = Array.from({ length: WIDTH }, (_, i) => String(i)).sort();
  assert.deepStrictEqual(root.readdir('.').sort(), all);
  assert.deepStrictEqual((await root.promises.readdir('.', { recursive: true })).sort(), all);
  const entries = await root.promises.readdir('.', { withFileTypes: true });
  assert.ok(entries.every(({ type, parentPath }) => type === 'file' && parentPath === '.'));
  const walked = [];
  for await (const { name } of root.walk('.')) walked.push(name);
  assert.deepStrictEqual(walked.sort(), all);
});

/** The paths of its levels are hardly shorter than the longest that a call takes. */
const DEPTH = 2000;

/** Makes `depth` directories, one in another, each with a file beside the next. */
function dig(dir, depth) {
  within(dir, () => {
    for (let level = 0; level < depth; level++) {
      fs.writeFileSync('f', '');
      fs.mkdirSync('d');
      process.chdir('d');
    }
  });
}

test(`a tree of ${DEPTH} levels is listed, with 64 descriptors and a small stack`, async (t) => {
  const dir = tempDir(t, memory);
  dig(dir, DEPTH);
  const body = async (dir) => {
    const root = new SandboxRoot(dir);
    const sync = root.readdir('.', { recursive: true });
    const later = await root.promises.readdir('.', { recursive: true });
    let [walked, deepest] = [0, 0];
    for await (const { parentPath } of root.walk('.')) {
      walked += 1;
      deepest = Math.max(deepest, parentPath.length);
    }
    const lengths = (names) => [names.length, Math.max(...names.map((name) => name.length))];
    return { sync: lengths(sync), later: lengths(later), walked, deepest };
  };
  const got = await inChild(t, body, [dir], { limits: { n: 64, s: 512 } });
  const all = [2 * DEPTH, 2 * DEPTH - 1];
  assert.deepStrictEqual(got, { sync: all, later: all, walked: 2 * DEPTH, deepest: 2 * DEPTH - 3 });
});

/** Makes `levels` directories, one in another, with long names. */
function digFar(dir, levels) {
  const name = 'd'.repeat(255);
  within(dir, () => {
    for (let level = 0; level < levels; level++) {
      fs.mkdirSync(name);
      process.chdir(name);
    }
  });
}

test('a directory whose path is too long for any call is not entered: ENAMETOOLONG, in little memory', async (t) => {
  const dir = tempDir(t, memory);
  fs.mkdirSync(`${dir}/top`);
  digFar(`${dir}/top`, 3000);
  const body = async (dir) => {
    const root = new SandboxRoot(dir);
    const failed = (call) =>
      call.then(
        () => 'nothing failed',
        ({ code, syscall, path }) => ({ code, syscall, path }),
      );
    const recursive = { recursive: true };
    const failures = [
      await failed((async () => root.readdir('top', recursive))()),
      await failed((async () => root.readdir('top', { ...recursive, withFileTypes: true }))()),
      await failed(root.promises.readdir('top', recursive)),
      await failed(root.promises.readdir('top', { ...recursive, withFileTypes: true })),
    ];
    let walked = 0;
    const walk = async () => {
      for await (const _ of root.walk('top')) walked += 1;
    };
    failures.push(await failed(walk()));
    // What is not entered does not count.
    const cut = [];
    for await (const { name } of root.walk('top', { maxDepth: 16 })) cut.push(name);
    const { path } = failures[0];
    const tooLong = await failed(root.promises.readdir(path));
    const above = root.readdir(path.slice(0, path.lastIndexOf('/'))).length;
    root.rm('top', true);
    const { maxRSS } = process.resourceUsage();
    return {
      failures,
      walked,
      cut: cut.length,
      tooLong: tooLong.code,
      above,
      left: root.readdir('.'),
      maxRSS,
    };
  };
  const { failures, maxRSS, ...others } = await inChild(t, body, [dir]);
  t.diagnostic(`${Math.round(maxRSS / 1024)} MiB`);
  const path = ['top', ...Array(16).fill('d'.repeat(255))].join('/');
  const expected = { code: 'ENAMETOOLONG', syscall: 'scandir', path };
  assert.deepStrictEqual(failures, Array(5).fill(expected));
  assert.deepStrictEqual(others, { walked: 16, cut: 16, tooLong: 'ENAMETOOLONG', above: 1, left: [] });
  assert.ok(maxRSS < 300 * 1024, `${maxRSS} KiB`);
});

test('trees with paths too long for any call are copied and moved', async (t) => {
  const [dir, other] = [tempDir(t, memory), tempDir(t, memory)];
  digFar(dir, 40);
  const [root, to] = [new SandboxRoot(dir), new SandboxRoot(other)];
  const top = 'd'.repeat(255);
  root.cp(top, 'copy', { recursive: true, to });
  await root.promises.move(top, 'moved', { to });
  const depth = (name) =>
    execFileSync('find', [name, '-type', 'd'], { cwd: other }).toString().split('\n').length;
  assert.deepStrictEqual([root.readdir('.'), depth('copy'), depth('moved')], [[], 41, 41]);
});

const descriptors = () => fs.readdirSync('/proc/self/fd').length;

/** Waits until `holds()`, for ten seconds at most. */
async function until(holds) {
  const end = Date.now() + 10_000;
  while (!holds() && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 5));
  return holds();
}

async function collect(walk) {
  const entries = [];
  for await (const entry of walk) entries.push(entry);
  return entries;
}

bothWays('a tree with many directories beside each other is listed whole, each entry once', async (t, of) => {
  const { root, at } = wideSandbox(t);
  const expected = fs.readdirSync(at('wide'), { recursive: true });
  assert.deepStrictEqual(sorted(await of(root).readdir('wide', { recursive: true })), sorted(expected));
  const typed = await of(root).readdir('wide', { recursive: true, withFileTypes: true });
  assert.deepStrictEqual(
    sorted(typed.map(({ name, parentPath }) => path.join(parentPath, name))),
    sorted(expected.map((name) => path.join('wide', name))),
  );
  for (const { name, parentPath, type } of typed)
    assert.strictEqual(type, kindOf(fs.lstatSync(at(parentPath, name))), `${parentPath}/${name}`);
});

bothWays('one of many directories that may not be listed is reported, wherever it is', async (t, of) => {
  const { root, at, order } = wideSandbox(t);
  for (const name of order.filter((_, i) => i % 5 === 0)) {
    fs.chmodSync(at('wide', name, 'b/c'), 0o000);
    const { error } = await settled(unprivileged(() => of(root).readdir('wide', { recursive: true })));
    const where = `wide/${name}/b/c`;
    assert.deepStrictEqual(
      { code: error?.code, path: error?.path, message: error?.message },
      { code: 'EACCES', path: where, message: `EACCES: permission denied, scandir '${where}'` },
    );
    fs.chmodSync(at('wide', name, 'b/c'), 0o711);
  }
});

test('walk tells every entry once, as readdir does', async (t) => {
  const { root } = await everyKind(t);
  for (const place of PLACES) {
    for (const encoding of [undefined, 'utf8', 'buffer']) {
      const walk = root.walk(place, { encoding });
      const entries = sorted(await collect(walk));
      const options = { recursive: true, withFileTypes: true, encoding };
      assert.deepStrictEqual(entries, sorted(root.readdir(place, options)), place);
      assert.strictEqual(walk.truncated, null);
    }
  }
});

test('walk tells a directory before what is in it', async (t) => {
  const { root } = sandbox(t, TREE);
  const seen = new Set(['.']);
  for await (const { name, parentPath } of root.walk('.')) {
    assert.ok(seen.has(parentPath), `${parentPath} before ${name}`);
    seen.add(path.join(parentPath, name));
  }
});

test('walk is an async iterator that can be iterated, once', async (t) => {
  const { root } = sandbox(t, { a: '', b: '' });
  const walk = root.walk('.');
  assert.strictEqual(walk[Symbol.asyncIterator](), walk);
  const [first, second] = [await walk.next(), await walk.next()];
  assert.deepStrictEqual([first.done, second.done, [first.value.name, second.value.name].sort()], [
    false, false, ['a', 'b'],
  ]); // biome-ignore format: a list
  assert.deepStrictEqual(await walk.next(), { done: true, value: undefined });
  assert.deepStrictEqual(await walk.next(), { done: true, value: undefined });
  assert.deepStrictEqual(await collect(walk), []);
});

test('walk with calls that do not wait for each other tells every entry once', async (t) => {
  const { root } = sandbox(t, { a: '', b: {}, c: '', d: {}, e: '' });
  const walk = root.walk('.');
  const results = await Promise.all(Array.from({ length: 9 }, () => walk.next()));
  const names = results.filter(({ done }) => !done).map(({ value }) => value.name);
  assert.deepStrictEqual(names.sort(), ['a', 'b', 'c', 'd', 'e']);
  assert.deepStrictEqual(
    results.map(({ done }) => done),
    [false, false, false, false, false, true, true, true, true],
  );
});

test('walk ends at maxDepth and at maxEntries, and says which of them cut it short', async (t) => {
  const { root } = sandbox(t, { a: { b: { c: { d: '' } } }, e: {}, f: '' });
  const paths = (entries) => entries.map(({ name, parentPath }) => path.join(parentPath, name)).sort();
  const levels = [['a', 'e', 'f'], ['a/b'], ['a/b/c'], ['a/b/c/d']];
  for (let maxDepth = 1; maxDepth <= 5; maxDepth++) {
    const walk = root.walk('.', { maxDepth });
    assert.deepStrictEqual(paths(await collect(walk)), levels.slice(0, maxDepth).flat().sort());
    assert.strictEqual(walk.truncated, maxDepth < 4 ? 'maxDepth' : null, `at ${maxDepth}`);
  }
  for (let maxEntries = 1; maxEntries <= 7; maxEntries++) {
    const walk = root.walk('.', { maxEntries });
    assert.strictEqual((await collect(walk)).length, Math.min(maxEntries, 6));
    assert.strictEqual(walk.truncated, maxEntries < 6 ? 'maxEntries' : null, `at ${maxEntries}`);
  }
  for (const options of [{ maxDepth: 0 }, { maxEntries: 0 }]) {
    const walk = root.walk('.', options);
    assert.deepStrictEqual(await collect(walk), []);
    assert.strictEqual(walk.truncated, Object.keys(options)[0]);
  }
  const both = root.walk('.', { maxEntries: 2, maxDepth: 4 });
  assert.strictEqual((await collect(both)).length, 2);
  assert.strictEqual(both.truncated, 'maxEntries');
  const first = root.walk('.', { maxEntries: 2, maxDepth: 1 });
  assert.strictEqual((await collect(first)).length, 2);
  const names = root.readdir('.', { withFileTypes: true });
  const isCutAtOnce = names.slice(0, 2).some(({ type }) => type === 'directory');
  assert.strictEqual(first.truncated, isCutAtOnce ? 'maxDepth' : 'maxEntries');
  const shallow = root.walk('.', { maxEntries: 6, maxDepth: 1 });
  assert.strictEqual((await collect(shallow)).length, 3);
  assert.strictEqual(shallow.truncated, 'maxDepth');
});

test('walk is refused what is no option, before it begins', async (t) => {
  const { root } = sandbox(t);
  for (const [options, code] of [
    [{ maxDepth: -1 }, 'ERR_OUT_OF_RANGE'],
    [{ maxDepth: 1.5 }, 'ERR_OUT_OF_RANGE'],
    [{ maxEntries: NaN }, 'ERR_OUT_OF_RANGE'],
    [{ maxEntries: '7' }, 'ERR_INVALID_ARG_TYPE'],
    [{ encoding: 'hex' }, 'ERR_INVALID_ARG_VALUE'],
  ]) {
    const attempt = async () => collect(root.walk('.', options));
    assert.strictEqual(await codeOfPromise(attempt()), code, JSON.stringify(options));
  }
});

test('walk is rejected with what readdir is rejected with', async (t) => {
  const { root } = sandbox(t, TREE);
  for (const at of ['missing', 'file', 'todir', 'file/x', '..', '']) {
    const attempt = async () => collect(root.walk(at));
    assert.deepStrictEqual(
      await settled(attempt()),
      outcome(() => root.readdir(at)),
      at,
    );
  }
});

test('walk holds few descriptors, wide or deep, and none once it is over', async (t) => {
  const { dir, root } = sandbox(t, {}, memory);
  for (let i = 0; i < 2000; i++) plant(dir, { [`wide${i}`]: { a: { b: {} } } });
  fs.mkdirSync(`${dir}/deep`);
  dig(`${dir}/deep`, 2000);
  const before = descriptors();
  let most = 0;
  for await (const _ of root.walk('.')) most = Math.max(most, descriptors());
  assert.ok(most > before && most - before <= 40, `${most - before} descriptors`);
  assert.ok(await until(() => descriptors() <= before), 'all are closed');
});

test('an iteration that is left early closes its descriptors, however it is left', async (t) => {
  const dir = tempDir(t, memory);
  const root = new SandboxRoot(dir);
  // More than is told at once, so that there is something to be closed.
  dig(dir, 10_000);
  const before = descriptors();
  // Held, so that it is not the garbage collector that closes them.
  const walks = [];
  const begun = () => {
    walks.push(root.walk('.'));
    return walks.at(-1);
  };
  for (const stop of [1, 2, 50, 150]) {
    let seen = 0;
    for await (const _ of begun()) if (++seen === stop) break;
    await assert.rejects(async () => {
      let seen = 0;
      for await (const _ of begun()) if (++seen === stop) throw new Error('enough');
    }, /enough/);
    const walk = begun();
    for (let i = 0; i < stop; i++) await walk.next();
    if (stop === 1) assert.ok(descriptors() > before, 'there is something to be closed');
    assert.deepStrictEqual(await walk.return('value'), { done: true, value: 'value' });
    assert.deepStrictEqual(await walk.next(), { done: true, value: undefined });
  }
  // One that was never begun has nothing to close.
  await begun().return();
  assert.ok(await until(() => descriptors() <= before), `${descriptors() - before} descriptors are left`);
  assert.strictEqual(walks.length, 13);
});

test('two walks at once do not disturb each other, nor does a root that is closed meanwhile', async (t) => {
  const { dir } = sandbox(t, TREE);
  const root = new SandboxRoot(dir);
  const expected = sorted(root.readdir('.', { recursive: true, withFileTypes: true }));
  const [one, two] = [root.walk('.'), root.walk('.')];
  const seen = [[], []];
  for (let done = [false, false]; !done[0] || !done[1]; ) {
    const results = await Promise.all([one.next(), two.next(), two.next()]);
    if (!results[0].done) seen[0].push(results[0].value);
    for (const { done, value } of results.slice(1)) if (!done) seen[1].push(value);
    done = [results[0].done, results[2].done];
  }
  assert.deepStrictEqual(seen.map(sorted), [expected, expected]);

  const walk = root.walk('.');
  await walk.next();
  root.close();
  const rest = await settled(collect(walk));
  assert.ok(rest.error?.code === 'EBADF' || rest.value.length === expected.length - 1);
  const later = async () => collect(root.walk('.'));
  assert.strictEqual(await codeOfPromise(later()), 'EBADF');
});

test('a walk over a tree that others change ends, and is rejected by nothing that vanished', async (t) => {
  const { dir, root } = sandbox(t);
  for (let i = 0; i < 200; i++) plant(dir, { [`d${i}`]: { a: { b: '' } } });
  let seen = 0;
  for await (const { name, parentPath } of root.walk('.')) {
    seen += 1;
    // What was told and not entered yet goes, and others come.
    if (parentPath === '.' && Number(name.slice(1)) % 2) fs.rmSync(path.join(dir, name), { recursive: true });
  }
  assert.ok(seen >= 200);
});

test("mounts: 'reject' lists a mount point, and does not enter it", { skip: !isRoot && 'needs root to mount' }, async (t) => {
  const { dir, root, at } = sandbox(t, { dir: { mnt: {}, other: { x: '' } } });
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', at('dir/mnt')]);
  try {
    fs.writeFileSync(at('dir/mnt/inner'), '');
    const closed = new SandboxRoot(dir, { mounts: 'reject' });
    const recursive = { recursive: true };
    assert.deepStrictEqual(root.readdir('dir', recursive).sort(), ['mnt', 'mnt/inner', 'other', 'other/x']);
    const inside = ['mnt', 'other', 'other/x'];
    assert.deepStrictEqual(closed.readdir('dir', recursive).sort(), inside);
    assert.deepStrictEqual((await closed.promises.readdir('dir', recursive)).sort(), inside);
    const walked = await collect(closed.walk('dir'));
    assert.deepStrictEqual(walked.map(({ name }) => name).sort(), ['mnt', 'other', 'x']);
    assert.strictEqual(await codeOfPromise(closed.promises.readdir('dir/mnt')), 'EACCES');
  } finally {
    execFileSync('umount', [at('dir/mnt')]);
  }
}); // biome-ignore format: a list

for (const empty of ['those listed first', 'those listed last', 'all']) {
  test(`every entry has its own directory, with many directories and files beside each other, empty: ${empty}`, async (t) => {
    const dir = tempDir(t, memory);
    // More than one read of the directory gives.
    for (let i = 0; i < 5000; i++) fs.writeFileSync(`${dir}/file${i}`, '');
    for (let i = 0; i < 40; i++) fs.mkdirSync(`${dir}/dir${i}`);
    const root = new SandboxRoot(dir);
    t.after(() => root.close());
    const listed = root.readdir('.').filter((name) => name.startsWith('dir'));
    const filled = {
      'those listed first': listed.slice(20),
      'those listed last': listed.slice(0, 20),
      all: [],
    };
    for (const name of filled[empty]) fs.writeFileSync(`${dir}/${name}/inner`, '');
    const expected = [...fs.readdirSync(dir), ...filled[empty].map((name) => `${name}/inner`)].sort();
    const options = { recursive: true, withFileTypes: true };
    for (const entries of [root.readdir('.', options), await root.promises.readdir('.', options)]) {
      const paths = entries.map(({ parentPath, name }) => path.join(parentPath, name));
      assert.deepStrictEqual(paths.sort(), expected);
    }
  });
}

test('many directories that become files before they are entered are surprises, and no failure', async (t) => {
  const { root, at } = sandbox(t, { dir: {} }, memory);
  const names = Array.from({ length: 300 }, (_, i) => `${i}`);
  for (const name of names) fs.mkdirSync(at('dir', name));
  const found = new Set();
  for await (const { name } of root.walk('dir')) {
    if (found.size === 0) {
      for (const name of names) {
        fs.rmdirSync(at('dir', name));
        fs.writeFileSync(at('dir', name), '');
      }
    }
    found.add(name);
  }
  assert.deepStrictEqual([...found].sort(), names.sort());
});

test('a listing that is too long for one string is still one of strings', async (t) => {
  const { root, at } = sandbox(t, {}, memory);
  const down = Array.from({ length: 15 }, () => 'n'.repeat(250)).join('/');
  fs.mkdirSync(at(down), { recursive: true });
  const last = root.openRoot(down);
  t.after(() => last.close());
  // 2^27 bytes are surely a string.
  const count = Math.ceil(2 ** 27 / down.length) + 1;
  for (let i = 0; i < count; i++) {
    last.mkdir(`é${i}`);
    last.symlink('target', `é${i}/link`);
  }
  const recursive = { recursive: true };
  for (const list of [root.readdir('.', recursive), await root.promises.readdir('.', recursive)]) {
    assert.strictEqual(list.length, 2 * count + 15);
    assert.ok(list.every((name) => typeof name === 'string'));
    assert.ok(list.includes(`${down}/é0/link`));
  }
  assert.ok(Buffer.isBuffer(root.readdir('.', { ...recursive, encoding: 'buffer' })[0]));
  const typed = { ...recursive, withFileTypes: true };
  const entries = root.readdir('.', typed);
  const { name, parentPath, type } = entries.find(({ parentPath }) => parentPath.endsWith('/é7'));
  assert.deepStrictEqual(
    [entries.length, name, parentPath, type],
    [2 * count + 15, 'link', `${down}/é7`, 'symlink'],
  );
  assert.ok(Buffer.isBuffer(root.readdir('.', { ...typed, encoding: 'buffer' })[0].name));
  // Node takes half a minute.
  root.rm('n'.repeat(250), true);
});

/** Takes the permission to read a directory away while the work is far below it, and says what came of that. */
async function closedMeanwhile(dir, way, nobody) {
  if (process.geteuid() === 0) {
    process.setgroups([]);
    process.setgid(nobody);
    process.setuid(nobody);
  }
  const down = (levels) => path.join(...Array.from({ length: levels }, () => 'dir'));
  const [src, dest] = ['src', 'dest'].map((name) => path.join(dir, name));
  for (let i = 0; i < 30; i++) {
    const at = path.join(src, down(i + 1), '..');
    // Some are listed before the way down, and some behind.
    for (const name of ['a', 'b', 'dir', 'y', 'z']) {
      fs.mkdirSync(path.join(at, name), { recursive: true });
      fs.writeFileSync(path.join(at, name, 'file'), '');
    }
  }
  for (let i = 0; i < 3000; i++) fs.writeFileSync(path.join(src, down(30), `deep ${i}`), '');
  const close = () => fs.chmodSync(path.join(src, down(5)), 0o300);
  const root = new SandboxRoot(dir);
  let told = {};
  try {
    if (way === 'walk') {
      let closed = false;
      for await (const { name } of root.walk('src')) {
        if (!closed && name.startsWith('deep')) {
          close();
          closed = true;
        }
      }
    } else {
      const copied = root.promises.cp('src', 'dest', { recursive: true, ignoreVanished: true });
      copied.catch(() => {});
      while (!fs.existsSync(path.join(dest, down(30)))) await new Promise(setImmediate);
      close();
      await copied;
    }
  } catch ({ code, path }) {
    told = { code, path };
  }
  fs.chmodSync(path.join(src, down(5)), 0o700);
  return told;
}

for (const way of ['walk', 'cp']) {
  test(`a directory that may not be read any more is an error, not left out: ${way}`, async (t) => {
    const dir = tempDir(t);
    fs.chmodSync(dir, 0o777);
    assert.deepStrictEqual(await inChild(t, closedMeanwhile, [dir, way, NOBODY]), {
      code: 'EACCES',
      path: 'src/dir/dir/dir/dir/dir',
    });
  });
}
