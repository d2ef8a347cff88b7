'use strict';
// The tree outside of the root, and whether anything about it has changed.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');

const OLD = new Date('2001-02-03T04:05:06Z');
const COMPARED = [
  'dev',
  'ino',
  'mode',
  'nlink',
  'uid',
  'gid',
  'rdev',
  'size',
  'atimeNs',
  'mtimeNs',
  'ctimeNs',
];
/** What stays the same of a directory in which the attacker itself moves things. */
const COMPARED_SHARED = ['dev', 'ino', 'mode', 'uid', 'gid'];

class Outside {
  #dir;
  #shared;
  #contents;
  #stats;

  /** `shared`: a directory in it where names that start with `guest` come and go. */
  constructor(dir, shared) {
    this.#dir = dir;
    this.#shared = shared;
  }

  /** Takes what is there now for what has to stay. */
  arm() {
    this.#contents = contents(this.#dir);
    // Older than any change, so that the next read of it moves the time of access.
    for (const name of Object.keys(this.#contents)) fs.lutimesSync(path.join(this.#dir, name), OLD, OLD);
    this.#stats = this.#statsNow();
  }

  /** The inodes that nobody inside has any business to see. */
  ids() {
    return new Set(Object.values(this.#stats).map(idOf));
  }

  assertUntouched() {
    // The times first: looking at the content changes them.
    const stats = this.#statsNow();
    assert.deepStrictEqual(stats, this.#stats, 'what is outside is as it was');
    assert.deepStrictEqual(contents(this.#dir), this.#contents, 'what is outside is as it was');
    this.arm();
  }

  isTouched() {
    try {
      this.assertUntouched();
      return false;
    } catch (error) {
      if (error.code !== 'ERR_ASSERTION') throw error;
      return true;
    }
  }

  #statsNow() {
    const stats = {};
    for (const name of Object.keys(this.#contents)) {
      const stat = fs.lstatSync(path.join(this.#dir, name), { bigint: true, throwIfNoEntry: false });
      const fields = name === this.#shared ? COMPARED_SHARED : COMPARED;
      stats[name] = stat && Object.fromEntries(fields.map((field) => [field, stat[field]]));
    }
    return stats;
  }
}

/** The content of every file beneath `dir`, and the names in every directory: guests do not count. */
function contents(dir, name = '.', into = {}) {
  const at = path.join(dir, name);
  const stat = fs.lstatSync(at);
  if (stat.isDirectory()) {
    const names = fs.readdirSync(at).filter((inner) => !inner.startsWith('guest'));
    into[name] = names.sort();
    for (const inner of names) contents(dir, path.join(name, inner), into);
  } else if (stat.isSymbolicLink()) into[name] = fs.readlinkSync(at);
  // A FIFO has a reader wait.
  else into[name] = stat.isFile() ? fs.readFileSync(at, 'latin1') : 'no file';
  return into;
}

const idOf = ({ dev, ino }) => `${dev}:${ino}`;

module.exports = { Outside, contents, idOf };
