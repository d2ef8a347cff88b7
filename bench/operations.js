'use strict';
// The operations: each as a call of ours, of node:fs and of fs-safe, on names beneath one directory.
//
// `ours` is handed a root or its `promises`, `fs` either the synchronous functions of node:fs under
// the names that those of node:fs/promises have, or these. `p` and `q` are paths.

const fs = require('node:fs');
const fsp = require('node:fs/promises');

const DATA = Buffer.alloc(4096, 'x');
const SECONDS = 1_700_000_000;
const NS = SECONDS * 1e9;
const { O_WRONLY } = fs.constants;
const yes = () => true;
const no = () => false;

const sync = {};
for (const [name, value] of Object.entries(fs)) if (name.endsWith('Sync')) sync[name.slice(0, -4)] = value;
const promised = { ...fsp, exists: (p) => fsp.access(p).then(yes, no) };

/** Opens and closes. */
const closing = {
  ours: (open) => (r, p) => fs.closeSync(open(r, p)),
  oursPromised: (open) => async (r, p) => fs.closeSync(await open(r, p)),
  fs: (flags) => (f, p) => f.close(f.open(p, flags)),
  fsPromised: (flags) => async (f, p) => (await f.open(p, flags)).close(),
};

const open = (r, p) => r.open(p);
const openWrite = (r, p) => r.openWrite(p);

/**
 * `on`: the name that is acted on; `x` is one of its own for each call, which `before` makes, and what
 * is left of it is removed behind. `second`: the other name. `calls`: how many make one measurement.
 */
const OPERATIONS = {
  stat: { ours: (r, p) => r.stat(p), fs: (f, p) => f.stat(p), safe: (s, p) => s.stat(p) },
  lstat: { on: 'l', ours: (r, p) => r.lstat(p), fs: (f, p) => f.lstat(p) },
  statfs: { ours: (r, p) => r.statfs(p), fs: (f, p) => f.statfs(p) },
  exists: { ours: (r, p) => r.exists(p), fs: (f, p) => f.exists(p), safe: (s, p) => s.exists(p) },
  access: { ours: (r, p) => r.access(p), fs: (f, p) => f.access(p) },
  readlink: { on: 'l', ours: (r, p) => r.readlink(p), fs: (f, p) => f.readlink(p) },
  realpath: { ours: (r, p) => r.realpath(p), fs: (f, p) => f.realpath(p), safe: (s, p) => s.resolve(p) },
  readdir: { on: 'd', ours: (r, p) => r.readdir(p), fs: (f, p) => f.readdir(p), safe: (s, p) => s.list(p) },
  open: {
    ours: closing.ours(open),
    oursPromised: closing.oursPromised(open),
    fs: closing.fs('r'),
    fsPromised: closing.fsPromised('r'),
    safe: async (s, p) => (await s.open(p)).handle.close(),
  },
  openWrite: {
    on: 'g',
    ours: closing.ours(openWrite),
    oursPromised: closing.oursPromised(openWrite),
    fs: closing.fs(O_WRONLY),
    fsPromised: closing.fsPromised(O_WRONLY),
  },
  readFile: { ours: (r, p) => r.readFile(p), fs: (f, p) => f.readFile(p), safe: (s, p) => s.readBytes(p) },
  writeFile: {
    on: 'g',
    ours: (r, p) => r.writeFile(p, DATA),
    fs: (f, p) => f.writeFile(p, DATA),
    safe: (s, p) => s.write(p, DATA),
  },
  'writeFile, new': {
    on: 'x',
    ours: (r, p) => r.writeFile(p, DATA),
    fs: (f, p) => f.writeFile(p, DATA),
    safe: (s, p) => s.create(p, DATA),
  },
  'writeFile, atomic': {
    on: 'g',
    second: 'x',
    ours: (r, p) => r.writeFile(p, DATA, { atomic: true }),
    // What one writes by hand for it.
    fs: (f, p, q) => {
      f.writeFile(q, DATA);
      f.rename(q, p);
    },
    fsPromised: async (f, p, q) => {
      await f.writeFile(q, DATA);
      await f.rename(q, p);
    },
    safe: (s, p) => s.write(p, DATA),
  },
  appendFile: {
    on: 'g',
    first: (g) => fs.writeFileSync(g, ''),
    ours: (r, p) => r.appendFile(p, 'x'),
    fs: (f, p) => f.appendFile(p, 'x'),
    safe: (s, p) => s.append(p, 'x'),
  },
  truncate: { on: 'g', ours: (r, p) => r.truncate(p, 100), fs: (f, p) => f.truncate(p, 100) },
  fsync: {
    ours: (r, p) => r.fsync(p),
    fs: (f, p) => {
      const fd = f.open(p, 'r');
      f.fsync(fd);
      f.close(fd);
    },
    fsPromised: async (f, p) => {
      const file = await f.open(p, 'r');
      await file.sync();
      await file.close();
    },
  },
  copyFile: {
    second: 'g',
    ours: (r, p, q) => r.copyFile(p, q),
    fs: (f, p, q) => f.copyFile(p, q),
    safe: (s, p, q) => s.copyIn(q, { root: s, relativePath: p }),
  },
  cp: { second: 'x', ours: (r, p, q) => r.cp(p, q), fs: (f, p, q) => f.cp(p, q) },
  chmod: { ours: (r, p) => r.chmod(p, 0o644), fs: (f, p) => f.chmod(p, 0o644) },
  chown: { ours: (r, p) => r.chown(p, -1, -1), fs: (f, p) => f.chown(p, -1, -1) },
  lchown: { on: 'l', ours: (r, p) => r.lchown(p, -1, -1), fs: (f, p) => f.lchown(p, -1, -1) },
  utimes: { ours: (r, p) => r.utimes(p, NS, NS), fs: (f, p) => f.utimes(p, SECONDS, SECONDS) },
  lutimes: {
    on: 'l',
    ours: (r, p) => r.lutimes(p, NS, NS),
    fs: (f, p) => f.lutimes(p, SECONDS, SECONDS),
  },
  mkdir: { on: 'x', ours: (r, p) => r.mkdir(p), fs: (f, p) => f.mkdir(p), safe: (s, p) => s.mkdir(p) },
  mkdtemp: { on: 'x', ours: (r, p) => r.mkdtemp(p), fs: (f, p) => f.mkdtemp(p) },
  rmdir: {
    on: 'x',
    before: (x) => fs.mkdirSync(x),
    ours: (r, p) => r.rmdir(p),
    fs: (f, p) => f.rmdir(p),
  },
  unlink: {
    on: 'x',
    before: (x) => fs.writeFileSync(x, ''),
    ours: (r, p) => r.unlink(p),
    fs: (f, p) => f.unlink(p),
    safe: (s, p) => s.remove(p),
  },
  rm: {
    on: 'x',
    before: (x) => fs.writeFileSync(x, ''),
    ours: (r, p) => r.rm(p),
    fs: (f, p) => f.rm(p),
    safe: (s, p) => s.remove(p),
  },
  rename: {
    on: 'x',
    second: 'y',
    before: (x) => fs.writeFileSync(x, ''),
    ours: (r, p, q) => r.rename(p, q),
    fs: (f, p, q) => f.rename(p, q),
    safe: (s, p, q) => s.move(p, q, { overwrite: true }),
  },
  // Node has no rename that replaces nothing: against the one it has.
  renameNoReplace: {
    on: 'x',
    second: 'y',
    before: (x) => fs.writeFileSync(x, ''),
    ours: (r, p, q) => r.renameNoReplace(p, q),
    fs: (f, p, q) => f.rename(p, q),
  },
  move: {
    on: 'x',
    second: 'y',
    before: (x) => fs.writeFileSync(x, ''),
    ours: (r, p, q) => r.move(p, q),
    fs: (f, p, q) => f.rename(p, q),
    safe: (s, p, q) => s.move(p, q),
  },
  exchange: { second: 'g', ours: (r, p, q) => r.exchange(p, q) },
  link: { second: 'x', ours: (r, p, q) => r.link(p, q), fs: (f, p, q) => f.link(p, q) },
  symlink: { on: 'x', ours: (r, p) => r.symlink('f', p), fs: (f, p) => f.symlink('f', p) },
  openRoot: { on: 'd', onlySync: true, ours: (r, p) => r.openRoot(p).close() },
};

/** The operations that say `ENOENT` of a missing name. */
const FAILING = [
  'stat', 'lstat', 'statfs', 'exists', 'access', 'readlink', 'realpath', 'readdir', 'open', 'readFile', 'truncate', 'copyFile',
  'chmod', 'chown', 'utimes', 'rmdir', 'unlink', 'rm', 'rename', 'link',
]; // biome-ignore format: a list

const ENTRIES_OF_D = 10;

/** The name that call `i` is about, where calls take turns on so many `files`. */
const inTurn = (name, i, files) => (files === 1 || name === 'd' ? name : `${name}${i % files}`);

/** What the directory of the names has in it: what one call is about, and what many take turns on. */
function furnish(dir, files = 1) {
  const at = (name) => `${dir}/${name}`;
  fs.mkdirSync(at('d'), { recursive: true });
  for (let i = 0; i < ENTRIES_OF_D; i += 1) fs.writeFileSync(at(`d/entry${i}`), '');
  const numbers = ['', ...(files > 1 ? Array(files).keys() : [])];
  for (const number of numbers) {
    for (const name of ['f', 'g']) fs.writeFileSync(at(name + number), DATA);
    fs.symlinkSync('f', at(`l${number}`));
  }
}

module.exports = { FAILING, OPERATIONS, furnish, inTurn, promised, sync };
