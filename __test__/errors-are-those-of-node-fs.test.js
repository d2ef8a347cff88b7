'use strict';
// Every method on every kind of path, beside node:fs on a tree of the same shape: same outcome,
// same error but for the path, same tree afterwards. What differs on purpose is said in DIFFERENT.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { isDeepStrictEqual } = require('node:util');
const { SandboxRoot } = require('..');
const {
  NOBODY,
  file,
  fifo,
  isRoot,
  link,
  outcome,
  plant,
  removeTree,
  snapshot,
  tempDir,
  unprivileged,
} = require('./support');

const MODE = 0o644;

/** The same call on node:fs. */
const NODE = {
  mkdir: (at, recursive) => {
    fs.mkdirSync(at, { recursive, mode: 0o755 });
  },
  unlink: (at) => fs.unlinkSync(at),
  rmdir: (at) => fs.rmdirSync(at),
  rename: (from, to) => fs.renameSync(from, to),
  link: (from, to) => fs.linkSync(from, to),
  symlink: (target, at) => fs.symlinkSync(target, at),
  chmod: (at, mode) => fs.chmodSync(at, mode),
  truncate: (at, len) => fs.truncateSync(at, len),
  copyFile: (from, to) => fs.copyFileSync(from, to),
  rm: (at, recursive, force) => fs.rmSync(at, { recursive, force }),
  utimes: (at, atimeNs, mtimeNs) => fs.utimesSync(at, atimeNs / 1e9, mtimeNs / 1e9),
  stat: (at) => fs.statSync(at).mode,
  openRead: (at) => opened(fs.openSync(at, 'r')),
  openWrite: (at, create, truncate, append) => {
    const { O_WRONLY, O_CREAT, O_TRUNC, O_APPEND } = fs.constants;
    const flags = O_WRONLY | (create && O_CREAT) | (truncate && O_TRUNC) | (append && O_APPEND);
    return opened(fs.openSync(at, flags, MODE));
  },
};

/** The call on a root, with results that can be compared. */
const OURS = {
  stat: (root, at) => root.stat(at).mode,
  openRead: (root, at) => opened(root.openRead(at)),
  openWrite: (root, at, ...flags) => opened(root.openWrite(at, ...flags, MODE)),
};

function opened(fd) {
  const { mode, size } = fs.fstatSync(fd);
  fs.closeSync(fd);
  return { mode, size };
}

/** How many paths each method takes, and the further arguments to try it with. */
const CALLS = {
  mkdir: { paths: 1, rest: [[false], [true]] },
  unlink: { paths: 1, rest: [[]] },
  rmdir: { paths: 1, rest: [[]] },
  rename: { paths: 2, rest: [[]] },
  link: { paths: 2, rest: [[]] },
  symlink: { paths: 2, target: true, rest: [[]] },
  chmod: { paths: 1, rest: [[0o600]] },
  truncate: { paths: 1, rest: [[0], [100]] },
  copyFile: { paths: 2, rest: [[]] },
  rm: {
    paths: 1,
    rest: [
      [false, false],
      [true, false],
      [true, true],
      [false, true],
    ],
  },
  utimes: { paths: 1, rest: [[1e9, -2e9]] },
  stat: { paths: 1, rest: [[]] },
  openRead: { paths: 1, rest: [[]] },
  openWrite: {
    paths: 1,
    rest: [
      [false, false, false],
      [true, false, false],
      [false, true, false],
      [true, false, true],
    ],
  },
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
  fifo: fifo(),
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
const ON_LINKS = new Set(['mkdir', 'unlink', 'rmdir', 'rename', 'link', 'symlink', 'rm']);
/** Methods that node:fs would hang in on a FIFO. */
const OPENS = new Set(['truncate', 'copyFile', 'openRead', 'openWrite']);

/**
 * Where a root differs from node:fs on purpose: what it answers instead, and why. Each gets the
 * method, its arguments and node's outcome, and answers for the calls that it is about.
 */
const DIFFERENT = [
  // Node 20 has an error of its own for this; callers rely on a system error.
  (method, [at], node) =>
    method === 'rm' && node.error?.code === 'ERR_FS_EISDIR' && { error: systemError('EISDIR', 'rm', at) },
  // Cutting a file takes no permission to read it: truncate(2).
  (method, [at]) => method === 'truncate' && at === 'secret' && { value: undefined },
  // Node empties the destination before it finds that a directory cannot be copied to it.
  (method, [src, dest]) =>
    method === 'copyFile' &&
    isDirectory(src) && { error: systemError('EISDIR', 'copyfile', src, dest), harmless: true },
];

const isDirectory = (at) =>
  ['empty', 'full', 'full/deep', 'empty/', 'full/', 'full/./deep', 'frozen/dir'].includes(at);

function systemError(code, syscall, at, dest) {
  const where = dest === undefined ? `'${at}'` : `'${at}' -> '${dest.replaceAll('\n', '\\n')}'`;
  const message = `${code}: illegal operation on a directory, ${syscall} ${where}`;
  return { name: 'Error', code, errno: -21, syscall, path: at, dest, message };
}

/** The outcome with the host's folder taken out of it; a line break in a message is escaped by us. */
function relative(result, dir) {
  if (result.error === undefined) return result;
  const strip = (text) => text?.replaceAll(`${dir}/`, '');
  const { path: at, dest, message } = result.error;
  const line = strip(message).replaceAll('\n', '\\n');
  return { error: { ...result.error, path: strip(at), dest: strip(dest), message: line } };
}

function grow(base, name) {
  const dir = path.join(base, name);
  fs.mkdirSync(dir);
  plant(dir, TREE);
  if (isRoot) {
    fs.chownSync(dir, NOBODY, NOBODY);
    for (const at of fs.readdirSync(dir, { recursive: true }))
      fs.lchownSync(path.join(dir, at), NOBODY, NOBODY);
  }
  fs.chmodSync(path.join(dir, 'locked'), 0o000);
  fs.chmodSync(path.join(dir, 'frozen'), 0o555);
  return dir;
}

/** The two trees, made anew only when a call has changed one of them. */
class Twins {
  constructor(base) {
    this.base = base;
    this.plant();
  }

  plant() {
    this.ours = grow(this.base, 'ours');
    this.theirs = grow(this.base, 'node');
    this.root = new SandboxRoot(this.ours);
    this.before = snapshot(this.ours);
  }

  restore(...now) {
    if (now.every((tree) => isDeepStrictEqual(tree, this.before))) return;
    removeTree(this.ours);
    removeTree(this.theirs);
    this.plant();
  }

  /** Makes the call on both sides. What is wrong with ours, if anything, and node's error. */
  compare(method, args) {
    const { paths, target } = CALLS[method];
    const absolute = args.map((arg, i) =>
      i < paths && !(target && i === 0) ? `${this.theirs}/${arg}` : arg,
    );
    const call = OURS[method] ?? ((root, ...rest) => root[method](...rest));
    const [mine, node] = unprivileged(() => [
      relative(
        outcome(() => call(this.root, ...args)),
        this.ours,
      ),
      relative(
        outcome(() => NODE[method](...absolute)),
        this.theirs,
      ),
    ]);
    const { harmless, ...expected } = DIFFERENT.map((rule) => rule(method, args, node)).find(Boolean) || node;
    const [ours, theirs] = [snapshot(this.ours), snapshot(this.theirs)];
    const tree = harmless ? this.before : method === 'truncate' && args[0] === 'secret' ? ours : theirs;
    const right = isDeepStrictEqual(mine, expected) && isDeepStrictEqual(ours, tree);
    this.restore(ours, theirs);
    return { code: node.error?.code, wrong: right ? [] : [{ method, args, mine, expected, ours, tree }] };
  }
}

for (const [method, { paths, target, rest }] of Object.entries(CALLS)) {
  test(`${method} fails as node:fs does, and succeeds as it does`, (t) => {
    const base = tempDir(t);
    fs.chmodSync(base, 0o755);
    const twins = new Twins(base);
    const all = [...PATHS, ...(ON_LINKS.has(method) ? LINKS : []), ...(OPENS.has(method) ? [] : FIFO)];
    const firsts = target ? ['file', 'anything/../at all', '/etc', ''] : all;
    const codes = new Set();
    const wrong = [];
    for (const first of firsts) {
      for (const second of paths === 2 ? all : [null]) {
        for (const more of rest) {
          const args = paths === 2 ? [first, second, ...more] : [first, ...more];
          // A recursive mkdir would follow a symlink to see whether it is a directory.
          if (method === 'mkdir' && args[1] && LINKS.includes(first)) continue;
          const result = twins.compare(method, args);
          codes.add(result.code);
          wrong.push(...result.wrong);
        }
      }
    }
    t.diagnostic(`errors seen: ${[...codes].filter(Boolean).sort().join(' ')}`);
    assert.deepStrictEqual(wrong.slice(0, 3), [], `${wrong.length} calls differ from node:fs`);
    assert.ok(codes.has(undefined) && codes.size > 3, 'both success and several errors were seen');
  });
}
