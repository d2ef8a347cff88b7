'use strict';
// An account of trees: every file and symlink has a content that no other has, so that after whatever was done
// it can be said of each whether it is somewhere, whole, and whether it is what it was.

const fs = require('node:fs');
const path = require('node:path');

/** The build that is tested: another one where a test has to be seen to fail. */
const { SandboxRoot } = require(process.env.OPENAT2_BUILD ?? '../..');

/** What a name begins with that a call makes for a while. */
const HIDDEN = '.openat2-';

/** A generator of numbers below a bound, the same ones for the same seed (mulberry32). */
function randomFrom(seed) {
  let state = seed >>> 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

/** `id N LENGTH`, a line end, and dots up to the length: as `tools/src/bin/meddle.rs` has it. */
function contentOf(id, length) {
  return `id ${id} ${length}\n`.padEnd(length, '.');
}

/** The id of a content, or of the target of a symlink, and whether it is complete. */
function idOf(content) {
  const found = /^id (\d+) (\d+)(?:\n|$)/.exec(content.subarray(0, 60).toString('latin1'));
  if (found === null) return {};
  const [id, length] = [Number(found[1]), Number(found[2])];
  return { id, complete: content.equals(Buffer.from(contentOf(id, length))) };
}

const told = ({ dev, ino }) => `${dev}:${ino}`;

/** What was planted: files and symlinks by their ids, and directories. */
class Planted {
  files = new Map();
  directories = new Map();
  #random;

  constructor(random) {
    this.#random = random;
  }

  #id(group) {
    const id = this.files.size + 1;
    this.files.set(id, { group });
    return id;
  }

  #is(id, at, owner) {
    if (owner !== undefined) fs.lchownSync(at, owner, owner);
    const { dev, ino, mode, uid, gid } = fs.lstatSync(at);
    Object.assign(this.files.get(id), { at, file: told({ dev, ino }), mode, uid, gid });
    return id;
  }

  file(at, group, { owner, mode = 0o644, length = 30 } = {}) {
    const id = this.#id(group);
    fs.writeFileSync(at, contentOf(id, length));
    fs.chmodSync(at, mode);
    return this.#is(id, at, owner);
  }

  symlink(at, group, { owner } = {}) {
    const id = this.#id(group);
    fs.symlinkSync(`id ${id} 0`, at);
    return this.#is(id, at, owner);
  }

  directory(at, group, { owner, mode = 0o755 } = {}) {
    fs.mkdirSync(at);
    fs.chmodSync(at, mode);
    if (owner !== undefined) fs.chownSync(at, owner, owner);
    const { dev, ino, mode: all, uid, gid } = fs.lstatSync(at);
    this.directories.set(told({ dev, ino }), { group, at, mode: all, uid, gid });
  }

  /** The file `id` was planted in the directory at `dir`. */
  inner(dir, id) {
    for (const directory of this.directories.values()) if (directory.at === dir) directory.inner = id;
  }

  /** A tree of about `size` files at `at`, three or so levels deep, some with several names. */
  tree(at, group, { owner, size, large = 0 }) {
    const random = this.#random;
    this.directory(at, group, { owner });
    const dirs = [at];
    const names = [];
    const width = [2, 5, 40][random(3)];
    for (let i = 0; i < size; i++) {
      if (dirs.length < 2 || random(100) < 22) {
        // Wide at the top, so that two threads share it; or deep.
        const above = width === 40 && random(3) > 0 ? at : dirs[Math.max(0, dirs.length - 1 - random(width))];
        const dir = path.join(above, `d${i}`);
        this.directory(dir, group, { owner, mode: [0o755, 0o700, 0o775, 0o555][random(owner ? 3 : 4)] });
        dirs.push(dir);
      }
      const name = path.join(dirs[random(dirs.length)], `f${i}`);
      const kind = random(100);
      if (kind < 12) this.symlink(name, group, { owner });
      else if (kind < 24 && names.length > 0) fs.linkSync(names[random(names.length)], name);
      else {
        const length = i < large ? 1 << 20 : [30, 30, 300, 9000][random(4)];
        this.file(name, group, { owner, length, mode: [0o644, 0o600, 0o640, 0o755][random(4)] });
        names.push(name);
      }
    }
  }
}

/** All that is beneath `dirs`: for each name what it is, and whose content it has. */
function everything(dirs) {
  const entries = [];
  const pending = [...dirs];
  while (pending.length > 0) {
    const dir = pending.pop();
    for (const name of fs.readdirSync(dir)) {
      const at = path.join(dir, name);
      const { dev, ino, mode, uid, gid } = fs.lstatSync(at);
      const entry = { at, name, file: told({ dev, ino }), mode, uid, gid };
      const kind = mode & fs.constants.S_IFMT;
      if (kind === fs.constants.S_IFDIR) pending.push(at);
      else if (kind === fs.constants.S_IFLNK) {
        Object.assign(entry, idOf(fs.readlinkSync(at, 'buffer')), { complete: true });
      } else if (kind === fs.constants.S_IFREG)
        Object.assign(entry, idOf(fs.readFileSync(at)), { isFile: true });
      entries.push(entry);
    }
  }
  return entries;
}

const octal = ({ mode, uid, gid }) => `${mode.toString(8)} of ${uid}:${gid}`;

/** What was planted and is there by its old inode has the mode and the owner that it had. */
function changed(planted, entries, directories) {
  const wrong = [];
  for (const entry of entries) {
    const was = entry.id === undefined ? directories.get(entry.file) : planted.files.get(entry.id);
    if (was === undefined || (was.file ?? entry.file) !== entry.file) continue;
    if (octal(was) !== octal(entry)) wrong.push(`${entry.at} was ${octal(was)} and is ${octal(entry)}`);
  }
  return wrong;
}

module.exports = { HIDDEN, Planted, SandboxRoot, changed, everything, randomFrom };
