'use strict';
// Real file systems for tests, in a mount namespace of the test file's own: whatever is mounted there,
// its loop devices and FUSE daemons are gone when the file is done, or killed.

const nodeTest = require('node:test');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const { once } = require('node:events');
const { spawn, spawnSync } = require('node:child_process');
const { atAnyPace } = require('./races/slow');
const { isRoot, tempDir, tool } = require('./support');

/** Holds, in the namespace, the folder in which everything is mounted. */
const HOME = 'OPENAT2_TEST_MOUNTS';
/** Where in it the images are. */
const IMAGES = 'images';
// The namespace of processes is there for its end: it takes the FUSE daemons along.
const UNSHARE = ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];

/** A file system cannot be had here, and why. */
class Missing extends Error {}

/** Runs a command that a file system is made with; what it says if it fails is why there is none. */
function run(command, ...args) {
  const { error, status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (error?.code === 'ENOENT') throw new Missing(`needs ${command}`);
  if (error !== undefined) throw error;
  if (status !== 0) throw new Missing(`${command} failed: ${stderr.trim().replaceAll('\n', ' ')}`);
}

/**
 * `test` of node:test for a test file that mounts: its tests run in a Node of their own in a namespace
 * of its own, and their results are told as if they ran here. A test that asks for a file system
 * that cannot be had here is skipped, with the reason.
 */
function privately(file) {
  if (process.env[HOME] !== undefined) {
    arrive(process.env[HOME]);
    return (title, ...rest) => {
      const action = rest.pop();
      return nodeTest(title, ...rest, async (t) => {
        try {
          await atAnyPace(() => action(t));
        } catch (error) {
          if (!(error instanceof Missing)) throw error;
          t.skip(error.message);
        }
      });
    };
  }
  const noRoot = !isRoot && 'needs root to mount';
  const reason =
    noRoot || (spawnSync(UNSHARE[0], [...UNSHARE.slice(1), 'true']).status !== 0 && 'may not mount');
  if (reason) return (title) => nodeTest(title, { skip: reason }, () => {});
  leave(file);
  return () => {};
}

/** Runs the file again, in namespaces of its own. */
function leave(file) {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'openat2-mounts-'));
  const args = [...UNSHARE.slice(1), process.execPath, ...process.execArgv, file];
  const env = { ...process.env, [HOME]: home, TMPDIR: home, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
  const child = spawn(UNSHARE[0], args, { stdio: 'inherit', env });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  const kill = () => child.kill('SIGKILL');
  for (const signal of signals) process.once(signal, kill);
  child.on('close', (status) => {
    for (const signal of signals) process.off(signal, kill);
    process.exitCode = status ?? 1;
    fs.rmdirSync(home);
  });
}

/**
 * Everything is mounted on a tmpfs. The images of disks are in another one: a disk mounted beneath the
 * mount that its own image keeps busy would be there for ever, once the namespace ends abruptly.
 */
function arrive(home) {
  for (const at of [home, path.join(home, IMAGES)]) {
    if (at !== home) fs.mkdirSync(at);
    const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', at]);
    if (status !== 0) throw new Error(`no tmpfs on ${at}: ${stderr}`);
  }
}

let count = 0;
/** A new folder for mounting something. */
function folder(name) {
  count += 1;
  const at = path.join(process.env[HOME], `${name.replaceAll(' ', '-')}-${count}`);
  fs.mkdirSync(at);
  return at;
}

/** Makes an image of so many megabytes, formats it, and gives back its path. */
function image(at, megabytes, mkfs) {
  const file = path.join(process.env[HOME], IMAGES, path.basename(at));
  fs.writeFileSync(file, '');
  fs.truncateSync(file, megabytes << 20);
  run(...mkfs, file);
  return file;
}

/** Mounts an image. */
function disk(at, megabytes, mkfs) {
  run('mount', '-o', 'loop', image(at, megabytes, mkfs), at);
}

function overlay(at, lower, upper, options) {
  for (const dir of [lower, upper, `${upper}/up`, `${upper}/work`]) fs.mkdirSync(dir, { recursive: true });
  const layers = `lowerdir=${lower},upperdir=${upper}/up,workdir=${upper}/work`;
  run('mount', '-t', 'overlay', '-o', `${layers},${options}`, 'overlay', at);
}

// What FUSE remembers of a file under one of its names is old when it was changed under another.
const UNCACHED = 'attr_timeout=0';

/**
 * What there is, and what is special about it:
 * - `make`: mounts it on a folder;
 * - `reflink`: files can share blocks;
 * - `types`: directories tell the types of what is in them;
 * - `flags`: it knows the flags of renameat2;
 * - `tmpfile`: it has `O_TMPFILE`.
 */
const USUAL = { reflink: false, types: true, flags: true, tmpfile: true };
const KINDS = {
  ext4: { make: (at) => disk(at, 64, ['mkfs.ext4', '-q']) },
  'ext4 without types': { make: (at) => disk(at, 64, ['mkfs.ext4', '-q', '-O', '^filetype']), types: false },
  btrfs: { make: (at) => disk(at, 192, ['mkfs.btrfs', '-q']), reflink: true },
  xfs: { make: (at) => disk(at, 320, ['mkfs.xfs', '-q', '-m', 'reflink=1']), reflink: true },
  tmpfs: { make: (at) => run('mount', '-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', at) },
  overlayfs: { make: (at) => overlay(at, `${at}.lower`, `${at}.upper`, 'redirect_dir=off') },
  // The numbers of its directories do not last, and those of its files come from two devices.
  'overlayfs of two file systems': {
    make(at) {
      const [lower, upper] = ['ext4', 'tmpfs'].map(mounted);
      fs.mkdirSync(`${lower}/dir`);
      overlay(at, lower, upper, 'redirect_dir=off,xino=off');
    },
  },
  // FUSE as libfuse 2 does it.
  fuse2fs: {
    make(at) {
      const options = `${UNCACHED},allow_other,default_permissions`;
      run('fuse2fs', image(at, 128, ['mkfs.ext4', '-q']), at, '-o', options);
    },
    types: false,
    flags: false,
    tmpfile: false,
  },
  // FUSE as libfuse 3 does it.
  bindfs: {
    make(at) {
      fs.mkdirSync(`${at}.source`);
      run('bindfs', '-o', UNCACHED, `${at}.source`, at);
    },
    flags: false,
    tmpfile: false,
  },
};
const traits = Object.fromEntries(
  Object.entries(KINDS).map(([kind, { make, ...special }]) => [kind, { ...USUAL, ...special }]),
);

/** Mounts a file system of this kind, for the rest of the file or until it is unmounted. */
function mounted(kind) {
  const at = folder(kind);
  KINDS[kind].make(at);
  return at;
}

const volumes = new Map();
/** The one file system of this kind that the tests of a file share. */
function volume(kind) {
  if (!volumes.has(kind)) volumes.set(kind, mounted(kind));
  return volumes.get(kind);
}

/** A folder on it for the test `t`. */
const folderOn = (t, kind) => tempDir(t, volume(kind));

/**
 * A FUSE file system whose answers come late: see `tools/src/bin/fuse.rs` for what is on it. Until the test
 * `t` is over. `at`: where it is mounted; `delay(operation, ms)`: answers come so late from now on;
 * `count(operation)`: how often it was asked.
 */
async function lateFuse(t, { entrySeconds = 3600, attributeSeconds = 0 } = {}) {
  const at = folder('fuse');
  const args = [at, entrySeconds, attributeSeconds].map(String);
  const child = spawn(tool('fuse'), args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value } = await lines.next();
    if (value === undefined) throw new Missing('no FUSE can be mounted');
    return value;
  };
  const say = (line) => {
    child.stdin.write(`${line}\n`);
    return next();
  };
  t.after(async () => {
    child.stdin.end();
    await exited;
  });
  await next();
  return {
    at,
    delay: (operation, ms) => say(`delay ${operation} ${ms}`),
    count: async (operation) => Number(await say(`count ${operation}`)),
  };
}

/**
 * Calls the methods of a root, or those of its promises: `[name, (root, method, ...args) => promise]`.
 */
const WAYS = [
  ['sync', async (root, method, ...args) => root[method](...args)],
  ['promises', (root, method, ...args) => root.promises[method](...args)],
];

/** What a call came to: its value, or what can be told of its error. */
async function came(call) {
  try {
    return { value: await call };
  } catch ({ code, errno, syscall, path, dest }) {
    return { code, errno, syscall, path, dest };
  }
}

module.exports = {
  WAYS,
  came,
  disk,
  folder,
  folderOn,
  lateFuse,
  mounted,
  overlay,
  privately,
  run,
  traits,
  volume,
};
