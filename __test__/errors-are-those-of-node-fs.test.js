'use strict';
// Every method on every kind of path, beside node:fs on a tree of the same shape: same outcome,
// same error, same tree afterwards. What differs on purpose is said in node-twin.js.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { isDeepStrictEqual } = require('node:util');
const { SandboxRoot } = require('..');
const { inChild } = require('./child');
const { PATHS: PATHS_OF, actual, expected, promised } = require('./node-twin');
const {
  NEVER_FAILS,
  NOBODY,
  everyCallWithPath,
  file,
  fifo,
  isRoot,
  link,
  memory,
  plant,
  removeTree,
  sandbox,
  snapshot,
  tempDir,
  unprivileged,
} = require('./support');

/** The further arguments to try each method with. */
const CALLS = {
  mkdir: [[false], [true]],
  unlink: [[]],
  rmdir: [[]],
  remove: [[]],
  rename: [[]],
  link: [[]],
  symlink: [[]],
  chmod: [[0o600]],
  truncate: [[0], [100]],
  copyFile: [[]],
  rm: [
    [false, false],
    [true, false],
    [true, true],
    [false, true],
  ],
  utimes: [[1e9, -2e9]],
  lutimes: [[1e9, -2e9]],
  chown: [
    [NOBODY, NOBODY],
    [-1, -1],
    [0, 0],
  ],
  lchown: [
    [NOBODY, NOBODY],
    [-1, -1],
    [0, 0],
  ],
  stat: [[]],
  lstat: [[]],
  statfs: [[]],
  access: [[], [4], [2], [1], [7]],
  readlink: [[]],
  realpath: [[]],
  readdir: [[]],
  open: ['r', 'r+', 'w', 'wx', 'w+', 'a', 'ax', 'a+', fs.constants.O_RDONLY | fs.constants.O_DIRECTORY].map(
    (flags) => [flags],
  ),
  readFile: [[]],
  writeFile: [
    ['new'],
    ['new', { flag: 'wx' }],
    ['new', { flag: 'a', mode: 0o600 }],
    ['new', { flag: 'r+' }],
    [''],
  ],
  appendFile: [['new'], ['']],
  move: [[{ overwrite: true }]],
  openRead: [[]],
  openWrite: [
    [false, false, false],
    [true, false, false],
    [false, true, false],
    [true, false, true],
  ],
};

const TREE = {
  file: 'some content',
  other: 'other',
  empty: {},
  full: { inner: 'inner', deep: { file: 'x', empty: {} } },
  loop: link('loop'),
  tofile: link('file'),
  todir: link('full'),
  dangling: link('nowhere'),
  secret: file('s', 0o200),
  hidden: file('h', 0o000),
  locked: { file: 'l' },
  frozen: { file: 'f', dir: {} },
};

const PATHS = [
  'file', 'other', 'empty', 'full', 'full/inner', 'full/deep', 'missing', 'full/missing', 'missing/x', 'missing/x/y',
  'file/x', 'full/inner/x', 'file/', 'empty/', 'full/', 'missing/', 'full/missing/', './file', 'full//inner', 'full/./deep',
  'loop', 'loop/x', 'secret', 'hidden', 'locked/file', 'locked/missing', 'frozen/file', 'frozen/dir', 'frozen/new',
  'x'.repeat(255), 'x'.repeat(256), `full/${'y'.repeat(256)}`, `${'d/'.repeat(2100)}x`, 'new\nline',
]; // biome-ignore format: a list
const LINKS = ['tofile', 'dangling', 'todir'];
const FIFO = ['fifo'];

/** Methods that act on a symlink itself, so that node:fs and a root agree about it. */
const ON_LINKS = new Set([
  'mkdir', 'unlink', 'rmdir', 'remove', 'rename', 'link', 'symlink', 'rm', 'lstat', 'readlink', 'lutimes', 'lchown', 'move',
]); // biome-ignore format: a list
/** Methods that node:fs would hang in on a FIFO. */
const OPENS = new Set([
  'truncate', 'copyFile', 'openRead', 'openWrite', 'open', 'readFile', 'writeFile', 'appendFile',
]); // biome-ignore format: a list

function grow(base, name) {
  const dir = path.join(base, name);
  fs.mkdirSync(dir);
  plant(dir, TREE);
  // Made once, since that takes a process.
  const pipe = path.join(base, `fifo of ${name}`);
  if (!fs.existsSync(pipe)) plant(base, { [`fifo of ${name}`]: fifo() });
  fs.chmodSync(pipe, 0o644);
  fs.utimesSync(pipe, new Date(), new Date());
  fs.linkSync(pipe, path.join(dir, 'fifo'));
  fs.chmodSync(path.join(dir, 'locked'), 0o000);
  fs.chmodSync(path.join(dir, 'frozen'), 0o555);
  return dir;
}

/** What Node meets as a loop of symlinks, a root refuses at the first one, and says so. */
function refused(result) {
  if (result.error?.code !== 'ELOOP') return result;
  const message = result.error.message.replace(/^[^,]+/, '$& (a symlink was refused)');
  return { error: { ...result.error, message, reason: 'symlink' } };
}

/** The two trees, made anew only when a call has changed one of them. Node's is the working directory. */
class Twins {
  constructor(base) {
    this.base = base;
    this.plant();
  }

  plant() {
    this.ours = grow(this.base, 'ours');
    this.theirs = grow(this.base, 'node');
    process.chdir(this.theirs);
    this.root = new SandboxRoot(this.ours);
    this.before = snapshot(this.ours);
  }

  restore(...now) {
    if (now.every((tree) => isDeepStrictEqual(tree, this.before))) return;
    for (const dir of [this.ours, this.theirs]) {
      for (const name of ['locked', 'frozen']) fs.chmodSync(path.join(dir, name), 0o755);
      removeTree(dir);
    }
    this.plant();
  }

  /** Makes the call on both sides. What is wrong with ours, if anything, and the error it should have. */
  async compare(call, method, args) {
    const [mine, right] = [await call(this.root, method, args), refused(expected(method, args))];
    const [ours, theirs] = [snapshot(this.ours), snapshot(this.theirs)];
    const same = isDeepStrictEqual(mine, right) && isDeepStrictEqual(ours, theirs);
    this.restore(ours, theirs);
    return { code: right.error?.code, wrong: same ? [] : [{ method, args, mine, right, ours, theirs }] };
  }
}

for (const method of Object.keys(CALLS)) {
  for (const [way, call] of Object.entries({ [method]: actual, [`promises.${method}`]: promised })) {
    test(`${way} fails as node:fs does, and succeeds as it does`, async (t) => {
      const [base, home] = [tempDir(t, memory), process.cwd()];
      t.after(() => process.chdir(home));
      if (isRoot) fs.chownSync(base, NOBODY, NOBODY);
      await unprivileged(() => compareAll(t, base, call, method));
    });
  }
}

async function compareAll(t, base, call, method) {
  const twins = new Twins(base);
  const all = [...PATHS, ...(ON_LINKS.has(method) ? LINKS : []), ...(OPENS.has(method) ? [] : FIFO)];
  const firsts = method === 'symlink' ? ['file', 'anything/../at all', '/etc', ''] : all;
  const takesTwo = PATHS_OF[method].includes(1);
  const codes = new Set();
  const wrong = [];
  for (const first of firsts) {
    for (const second of takesTwo ? all : [null]) {
      for (const more of CALLS[method]) {
        const args = takesTwo ? [first, second, ...more] : [first, ...more];
        // Node goes step by step there, and finds the first one missing before the whole too long.
        if (method === 'realpath' && first.length > 4096) continue;
        // The real user, for whom access(2) looks, is root still.
        if (isRoot && method === 'access' && first.startsWith('locked')) continue;
        // A recursive mkdir would follow a symlink to see whether it is a directory.
        if (method === 'mkdir' && args[1] && LINKS.includes(first)) continue;
        const result = await twins.compare(call, method, args);
        codes.add(result.code);
        wrong.push(...result.wrong);
      }
    }
  }
  t.diagnostic(`errors seen: ${[...codes].filter(Boolean).sort().join(' ')}`);
  assert.deepStrictEqual(wrong.slice(0, 3), [], `${wrong.length} calls differ from node:fs`);
  assert.ok(codes.has(undefined) && codes.size > 3, 'both success and several errors were seen');
}

/** What fails, with the classes of errors as they were, and as a program may have changed them. */
async function failAmongOtherErrors(dir) {
  const [SystemError, ArgumentError] = [globalThis.Error, globalThis.TypeError];
  const { apply, getPrototypeOf } = Reflect;
  const { slice } = String.prototype;
  const inherits = (error, Class) => getPrototypeOf(error) === Class.prototype;
  const root = new SandboxRoot(dir);
  const sync = [
    () => root.unlink('missing'),
    () => root.unlink(1),
    () => root.rename('missing', 'a\nb'),
    () => root.cp('missing', 'copy'),
    () => new SandboxRoot(`${dir}/missing`),
  ];
  const later = [
    () => root.promises.unlink('missing'),
    () => root.promises.unlink(1),
    () => root.walk('missing').next(),
  ];
  const told = (error) => {
    const { code, message } = error;
    const kind = inherits(error, SystemError)
      ? 'Error'
      : inherits(error, ArgumentError)
        ? 'TypeError'
        : 'other';
    return `${kind} ${code} ${code === 'ENOENT' ? message : apply(slice, message, [0, 44])}`;
  };
  const codes = async () => {
    const came = [];
    for (let i = 0; i < sync.length; i++) {
      try {
        came[i] = `given back: ${sync[i]()}`;
      } catch (error) {
        came[i] = told(error);
      }
    }
    for (let i = 0; i < later.length; i++) {
      try {
        came[sync.length + i] = `given back: ${await later[i]()}`;
      } catch (error) {
        came[sync.length + i] = told(error);
      }
    }
    return came;
  };
  const seen = [];
  const look = async () => {
    seen[seen.length] = await codes();
  };
  // What is loaded with the first promise and the first walk comes after this.
  for (const name of ['Error', 'TypeError', 'RangeError'])
    Object.defineProperty(globalThis[name], Symbol.hasInstance, { value: () => false });
  SystemError.captureStackTrace = () => undefined;
  await look();
  for (const name of ['Error', 'TypeError', 'RangeError']) globalThis[name] = class Other {};
  await look();
  const amongOther = async (object, key, value) => {
    const old = object[key];
    object[key] = value;
    await look();
    object[key] = old;
  };
  await amongOther(Array.prototype, Symbol.iterator, () => ({ next: () => ({ done: true }) }));
  await amongOther(Function.prototype, 'call', () => undefined);
  await amongOther(String.prototype, 'split', () => []);
  await amongOther(String.prototype, 'slice', () => 'x');
  await amongOther(String.prototype, 'indexOf', () => -1);
  await amongOther(Array.prototype, 'slice', () => []);
  await amongOther(RegExp.prototype, 'exec', () => null);
  await amongOther(globalThis, 'Number', () => NaN);
  await amongOther(Map.prototype, 'get', () => undefined);
  return seen;
}

test('an error is the same, whatever a program does to the classes of errors and to what describes them', async (t) => {
  const dir = tempDir(t);
  const seen = await inChild(t, failAmongOtherErrors, [dir]);
  const missing = 'Error ENOENT ENOENT: no such file or directory,';
  const expected = [
    `${missing} unlink 'missing'`,
    'TypeError ERR_INVALID_ARG_TYPE The "path" argument must be of type string o',
    `${missing} rename 'missing' -> 'a\\nb'`,
    `${missing} cp 'missing' -> 'copy'`,
    `${missing} open '${dir}/missing'`,
    `${missing} unlink 'missing'`,
    'TypeError ERR_INVALID_ARG_TYPE The "path" argument must be of type string o',
    `${missing} scandir 'missing'`,
  ];
  assert.strictEqual(seen.length, 11);
  for (const codes of seen) assert.deepStrictEqual(codes, expected);
});

test('its stack begins with the method that was called', (t) => {
  const { root } = sandbox(t, { file: '' });
  const firstOf = (fail) => {
    try {
      fail();
    } catch ({ stack }) {
      return stack.split('\n')[1].trim();
    }
  };
  for (const [name, call, method] of everyCallWithPath) {
    if (NEVER_FAILS.includes(method)) continue;
    assert.match(
      firstOf(() => call(root, 'file/x')),
      new RegExp(`^at SandboxRoot\\.${method} `),
      name,
    );
  }
  assert.match(
    firstOf(() => root.stat(1)),
    /^at SandboxRoot\.stat /,
  );
});

test('what a call comes to is its own, whatever is called from inside it', (t) => {
  const { root } = sandbox(t, { file: 'content' });
  const inside = {
    succeeds: () => root.stat('file'),
    lists: () => root.readdir('.'),
    fails: () => assert.throws(() => root.stat('missing'), { code: 'ENOENT' }),
    'is refused': () => assert.throws(() => root.stat(1), { code: 'ERR_INVALID_ARG_TYPE' }),
  };
  for (const [what, act] of Object.entries(inside)) {
    const options = (key, value) => ({
      get [key]() {
        act();
        return value;
      },
    });
    assert.strictEqual(root.stat('file', options('bigint', true)).size, 7n, what);
    assert.strictEqual(root.stat('file', options('bigint', false)).size, 7, what);
    assert.strictEqual(root.stat('missing', options('throwIfNoEntry', false)), undefined, what);
    assert.deepStrictEqual(root.readdir('.', options('recursive', false)), ['file'], what);
    assert.strictEqual(root.readFile('file', options('encoding', 'utf8')), 'content', what);
    assert.throws(
      () => root.stat('missing', options('bigint', true)),
      { code: 'ENOENT', path: 'missing' },
      what,
    );
    const wrong = { code: 'ERR_INVALID_ARG_TYPE', message: /options\.bigint/ };
    assert.throws(() => root.stat('file', options('bigint', 1)), wrong, what);
    const told = [];
    const onProgress = (progress) => told.push(progress, act());
    assert.strictEqual(root.cp('file', 'copy', { onProgress }), undefined, what);
    assert.strictEqual(told.length, 2, what);
    root.unlink('copy');
  }
});

test('a symlink to where nothing can be made says so at once', (t) => {
  for (const symlinks of ['beneath', 'in-root']) {
    const { dir, at } = sandbox(
      t,
      { file: 'x', a: link('file/x'), b: link('missing/x'), c: link('a') },
      memory,
    );
    const root = new SandboxRoot(dir, { symlinks });
    for (const [name, code] of [
      ['a', 'ENOTDIR'],
      ['b', 'ENOENT'],
      ['c', 'ENOTDIR'],
    ]) {
      for (const method of ['writeFile', 'appendFile']) {
        const began = performance.now();
        assert.throws(() => root[method](name, 'x'), { code });
        assert.ok(performance.now() - began < 300, `${method} of ${name}`);
        assert.throws(() => fs[`${method}Sync`](at(name), 'x'), { code });
      }
    }
    root.close();
  }
});

test('a root that is closed or allows no change says that first, and a directory is never emptied', (t) => {
  const { dir, root, at } = sandbox(t, { dir: {} });
  const [readonly, closed] = [new SandboxRoot(dir, { readonly: true }), new SandboxRoot(dir)];
  closed.close();
  assert.throws(() => readonly.symlink('', 'x'), { code: 'EROFS' });
  assert.throws(() => closed.symlink('', 'x'), { code: 'EBADF' });
  assert.throws(() => root.symlink('', 'x'), { code: 'ENOENT' });
  const flags = fs.constants.O_DIRECTORY | fs.constants.O_TRUNC;
  for (const open of [() => root.open('dir', flags), () => fs.openSync(at('dir'), flags)])
    assert.throws(open, { code: 'EISDIR' });
  readonly.close();
});
