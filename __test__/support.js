'use strict';
// What the tests share: sandboxes in temporary folders, trees to work on, and outcomes to compare.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');
const { execFileSync, spawnSync } = require('node:child_process');
const { SandboxRoot } = require('..');

const isRoot = process.geteuid() === 0;
const NOBODY = 65534;
/** Node does not know it. */
const O_PATH = 0o10000000;

/** Where a thousand small trees are made in no time, if there is such a place: in memory. */
const memory = isWritable('/dev/shm') ? '/dev/shm' : os.tmpdir();

function isWritable(dir) {
  try {
    fs.accessSync(dir, fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Why a test that mounts something cannot run here, or `false`. */
const withoutMounts = isRoot
  ? spawnSync('unshare', ['--mount', 'true']).status !== 0 && 'needs to be allowed to mount'
  : 'needs root to mount';

/** A temporary folder that is gone when the test `t` is over, whatever modes are in it. */
function tempDir(t, base = os.tmpdir()) {
  const dir = fs.mkdtempSync(path.join(base, 'openat2-'));
  t.after(() => removeTree(dir));
  return dir;
}

/** Removes a tree even where it has directories without permissions, or is too deep for Node. */
function removeTree(dir) {
  try {
    fs.rmSync(dir, { recursive: true, force: true });
  } catch {
    execFileSync('chmod', ['-R', 'u+rwX', '--', dir], { stdio: 'ignore' });
    execFileSync('rm', ['-rf', '--', dir]);
  }
}

/** A sandbox in a temporary folder beneath `base`, with `tree` in it. */
function sandbox(t, tree = {}, base = os.tmpdir()) {
  const dir = path.join(tempDir(t, base), 'root');
  fs.mkdirSync(dir);
  plant(dir, tree);
  return { dir, root: new SandboxRoot(dir), at: (...names) => path.join(dir, ...names) };
}

const link = (target) => ({ link: target });
const fifo = () => ({ fifo: true });
const file = (content, mode) => ({ content, mode });

/** Makes in `dir` what `tree` says: a string is a file, an object a directory. */
function plant(dir, tree) {
  for (const [name, what] of Object.entries(tree)) {
    const at = path.join(dir, name);
    if (typeof what === 'string') fs.writeFileSync(at, what);
    else if (typeof what.link === 'string') fs.symlinkSync(what.link, at);
    else if (what.fifo === true) execFileSync('mkfifo', [at]);
    else if (typeof what.content === 'string') {
      fs.writeFileSync(at, what.content);
      fs.chmodSync(at, what.mode);
    } else {
      fs.mkdirSync(at);
      plant(at, what);
    }
  }
}

/**
 * All that is beneath `dir`: for each path its type, mode, link count and content. A time is told
 * only where it was set, that is before 2001. Names that are not UTF-8 are told in Latin-1.
 */
function snapshot(dir, into = {}, prefix = '') {
  return evenIfForbidden(dir, () => {
    for (const name of fs.readdirSync(dir, 'buffer').sort(Buffer.compare)) {
      const at = Buffer.concat([Buffer.from(dir), Buffer.from('/'), name]);
      const stat = fs.lstatSync(at);
      const entry = { mode: stat.mode.toString(8), nlink: stat.nlink, uid: stat.uid };
      if (stat.mtimeMs < 1e12) entry.mtime = stat.mtimeMs;
      if (stat.isSymbolicLink()) entry.target = fs.readlinkSync(at, 'latin1');
      if (stat.isFile()) entry.content = evenIfForbidden(at, () => fs.readFileSync(at, 'latin1'));
      const path = prefix + name.toString(isUtf8(name) ? 'utf8' : 'latin1');
      into[path] = entry;
      if (stat.isDirectory()) snapshot(at, into, `${path}/`);
    }
    return into;
  });
}

/**
 * Makes a tree that two threads share: `width` directories beside each other, each three deep, with files,
 * links, and files whose other name is in a directory that the other thread may have.
 */
function plantWide(dir, width) {
  const each = Array.from({ length: width }, (_, i) => path.join(dir, `${i}`));
  for (const [i, at] of each.entries()) {
    fs.mkdirSync(at, { recursive: true });
    plant(at, {
      one: `one of ${i}`,
      tofile: link('one'),
      b: { two: file(`two of ${i}`, 0o640), c: { three: `three of ${i}` } },
    });
    fs.chmodSync(path.join(at, 'b/c'), 0o711);
  }
  for (const [i, at] of each.entries()) {
    for (const step of [1, width >> 1]) {
      const other = each[(i + step) % width];
      fs.linkSync(path.join(at, 'b/c/three'), path.join(other, 'b', `three of ${i}, ${step}`));
    }
  }
}

/**
 * A sandbox of an ordinary user with such a tree in it, called `wide`. `order`: the directories in it, in the
 * order in which they are listed: each thread begins at one end, or with one half.
 */
function wideSandbox(t, width = 40) {
  const made = sandbox(t, {});
  plantWide(made.at('wide'), width);
  if (isRoot) execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, path.dirname(made.dir)]);
  return { ...made, order: made.root.readdir('wide') };
}

const isUtf8 = (bytes) => Buffer.from(bytes.toString()).equals(bytes);

/** Does what the mode of `at` may forbid its owner, and leaves it with that mode. */
function evenIfForbidden(at, action) {
  try {
    return action();
  } catch (error) {
    const { mode } = fs.lstatSync(at);
    if (error.code !== 'EACCES' || (mode & 0o700) === 0o700) throw error;
    fs.chmodSync(at, mode | 0o700);
    try {
      return action();
    } finally {
      fs.chmodSync(at, mode);
    }
  }
}

/** What `action` came to: its value, or what can be told of its error. */
function outcome(action) {
  try {
    return { value: action() };
  } catch (error) {
    return { error: told(error) };
  }
}

/** What a promise came to, in the same form. */
async function settled(promise) {
  try {
    return { value: await promise };
  } catch (error) {
    return { error: told(error) };
  }
}

const told = ({ name, code, errno, syscall, path, dest, message, reason }) => ({
  name,
  code,
  errno,
  syscall,
  path,
  dest,
  message,
  // Most errors have none.
  ...(reason !== undefined && { reason }),
});

/** The code of the error that `action` throws; fails if it throws none. */
function codeOf(action) {
  const { error, value } = outcome(action);
  if (error === undefined) throw new Error(`no error, but ${JSON.stringify(value)}`);
  return error.code;
}

/** The code of the error that a promise is rejected with; fails if it is not. */
async function codeOfPromise(promise) {
  const { error, value } = await settled(promise);
  if (error === undefined) throw new Error(`no error, but ${JSON.stringify(value)}`);
  return error.code;
}

/** The two ways to call the methods of a root: each gives promises of what they come to. */
const WAYS = {
  'at once': (root) =>
    new Proxy(root, {
      get:
        (_, method) =>
        async (...args) =>
          root[method](...args),
    }),
  'as a promise': (root) => root.promises,
};

/** Declares the test `name` for both ways to call a method: `body(t, of, way)` calls `of(root).method(…)`. */
function bothWays(name, ...rest) {
  const [options, body] = rest.length > 1 ? rest : [{}, ...rest];
  for (const [way, of] of Object.entries(WAYS)) test(`${name} (${way})`, options, (t) => body(t, of, way));
}

const built = new Set();
/** The path of one of the programs in `tools/`, built. */
function tool(name) {
  const cwd = path.join(__dirname, '..');
  const args = ['build', '--release', '--quiet', '--package', 'openat2_test_tools', '--bin', name];
  if (!built.has(name)) execFileSync('cargo', args, { cwd, stdio: 'inherit' });
  built.add(name);
  return path.resolve(cwd, process.env.CARGO_TARGET_DIR ?? 'target', 'release', name);
}

/** Runs `action` as an ordinary user where the tests run as root: up to its end, where it has a promise of it. */
function unprivileged(action) {
  if (!isRoot) return action();
  const restore = () => {
    process.seteuid(0);
    process.setegid(0);
  };
  process.setegid(NOBODY);
  process.seteuid(NOBODY);
  let result;
  try {
    result = action();
  } finally {
    if (!(result instanceof Promise)) restore();
  }
  return result instanceof Promise ? result.finally(restore) : result;
}

/** What a root has beside the methods that take a path beneath it, and have a promise of the same. */
const BESIDE_PATHS = [
  ...['constructor', 'close', 'closed', 'deleted', 'promises', 'identity', 'isAt', 'walk'],
  // Tests of their own look at these: they are Node's on what a root has opened.
  ...['createReadStream', 'createWriteStream', 'watch'],
];

/** The names of all methods of a root that take a path. */
const methods = Object.getOwnPropertyNames(SandboxRoot.prototype).filter(
  (name) => !BESIDE_PATHS.includes(name),
);

/**
 * For every method the calls that hand it `at`, one for each path it takes, on a sandbox that has
 * a file called `file`. A method that is not here has no tests of its paths: that fails a test.
 * `root` may be the promises of one. What a call opened is given back by `release`.
 */
const callsWithPath = {
  mkdir: [(root, at) => root.mkdir(at), (root, at) => root.mkdir(at, true)],
  unlink: [(root, at) => root.unlink(at)],
  rmdir: [(root, at) => root.rmdir(at)],
  remove: [(root, at) => root.remove(at)],
  mkfifo: [(root, at) => root.mkfifo(at)],
  rename: [(root, at) => root.rename(at, 'fresh'), (root, at) => root.rename('file', at)],
  renameNoReplace: [
    (root, at) => root.renameNoReplace(at, 'fresh'),
    (root, at) => root.renameNoReplace('file', at),
  ],
  link: [(root, at) => root.link(at, 'fresh'), (root, at) => root.link('file', at)],
  symlink: [
    (root, at) => root.symlink('target', at),
    (root, at) => root.symlink('file', at, { beneath: true }),
  ],
  chmod: [(root, at) => root.chmod(at, 0o600)],
  truncate: [(root, at) => root.truncate(at, 3)],
  copyFile: [(root, at) => root.copyFile(at, 'fresh'), (root, at) => root.copyFile('file', at)],
  rm: [(root, at) => root.rm(at), (root, at) => root.rm(at, true), (root, at) => root.rm(at, true, true)],
  utimes: [(root, at) => root.utimes(at, 1, 2)],
  lutimes: [(root, at) => root.lutimes(at, 1, 2)],
  chown: [(root, at) => root.chown(at, -1, -1)],
  lchown: [(root, at) => root.lchown(at, -1, -1)],
  stat: [(root, at) => root.stat(at)],
  lstat: [(root, at) => root.lstat(at)],
  statfs: [(root, at) => root.statfs(at)],
  access: [(root, at) => root.access(at, 4)],
  // See `callsApart`.
  exists: [],
  mkdtemp: [],
  readlink: [(root, at) => root.readlink(at)],
  realpath: [(root, at) => root.realpath(at)],
  readdir: [
    (root, at) => root.readdir(at),
    (root, at) => root.readdir(at, { recursive: true, withFileTypes: true }),
  ],
  opendir: [(root, at) => root.opendir(at), (root, at) => root.opendir(at, { recursive: true })],
  openRoot: [(root, at) => root.openRoot(at)],
  hostPath: [(root, at) => root.hostPath(at)],
  open: [
    (root, at) => root.open(at),
    (root, at) => root.open(at, 'w'),
    (root, at) => root.open(at, 'ax+'),
    (root, at) => root.open(at, O_PATH),
  ],
  readFile: [(root, at) => root.readFile(at)],
  writeFile: [
    (root, at) => root.writeFile(at, 'written'),
    (root, at) => root.writeFile(at, 'written', { atomic: true }),
  ],
  appendFile: [(root, at) => root.appendFile(at, 'more')],
  fsync: [(root, at) => root.fsync(at)],
  cp: [
    (root, at) => root.cp(at, 'fresh', { recursive: true }),
    (root, at) => root.cp('file', at),
    (root, at) => root.cp('file', at, { force: false, errorOnExist: true }),
    (root, at) => root.cp(at, 'fresh', { recursive: true, atomic: true }),
    (root, at) => root.cp('file', at, { atomic: true }),
  ],
  move: [
    (root, at) => root.move(at, 'fresh'),
    (root, at) => root.move('file', at),
    (root, at) => root.move('file', at, { overwrite: true }),
  ],
  exchange: [(root, at) => root.exchange(at, 'file'), (root, at) => root.exchange('file', at)],
  openRead: [(root, at) => root.openRead(at)],
  openWrite: [
    (root, at) => root.openWrite(at),
    (root, at) => root.openWrite(at, true),
    (root, at) => root.openWrite(at, true, true),
  ],
};

/** The calls that no table of errors can hold: one fails for nothing, one makes a name of its own. */
const callsApart = {
  exists: [(root, at) => root.exists(at)],
  mkdtemp: [(root, at) => root.mkdtemp(at)],
};

/** Methods that answer whatever is wrong with a path. */
const NEVER_FAILS = ['exists'];
/** The methods that every call in the table is one of. */
const methodsInTable = methods.filter((method) => callsApart[method] === undefined);

/** Gives back what a call opened for its caller: a descriptor, a root. Other values are left as they are. */
function release(value) {
  if (typeof value === 'number') fs.closeSync(value);
  if (typeof value?.close === 'function') value.close();
  return value;
}

const titled = (make) =>
  Object.entries(callsWithPath).flatMap(([name, calls]) =>
    calls.map((call, i) => [calls.length > 1 ? `${name} (${i + 1})` : name, make(call), name]),
  );

/** Every call of every method with one path open: `[name, (root, at) => …, method]`. */
const everyCallWithPath = titled((call) => (root, at) => release(call(root, at)));

/** The same calls through the promises of a root. */
const everyPromiseWithPath = titled((call) => async (root, at) => release(await call(root.promises, at)));

/** What becomes of symlinks that would be followed: what a root can be told. */
const POLICIES = ['reject', 'beneath', 'in-root'];

module.exports = {
  bothWays,
  NEVER_FAILS,
  NOBODY,
  O_PATH,
  POLICIES,
  callsApart,
  callsWithPath,
  codeOfPromise,
  everyCallWithPath,
  everyPromiseWithPath,
  codeOf,
  fifo,
  file,
  isRoot,
  link,
  memory,
  methods,
  methodsInTable,
  outcome,
  plant,
  plantWide,
  release,
  removeTree,
  sandbox,
  settled,
  snapshot,
  tempDir,
  tool,
  unprivileged,
  wideSandbox,
  withoutMounts,
};
