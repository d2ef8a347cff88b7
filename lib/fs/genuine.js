'use strict';
// Objects of Node's own classes, of what the native side returns. Node exports no constructor of most of them, or
// changes it: each gets the prototype and the fields of one that Node made.

const fs = require('node:fs');
const { shared } = require('../results.js');

const { asIntN } = BigInt;
const { create, getPrototypeOf, hasOwn, keys } = Object;

// Where in the words of `statx` each field is; times are seconds and nanoseconds.
const [DEV, INO, MODE, NLINK, UID, GID, RDEV, SIZE, BLKSIZE, BLOCKS] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const [ATIME, MTIME, CTIME, BIRTHTIME] = [10, 12, 14, 16];

const TWO_TO_32 = 2 ** 32;

/**
 * A number, of its halves: a bigint for each field would take longer than the call.
 *
 * @param {Uint32Array} halves
 * @param {number} at
 */
const number = (halves, at) =>
  /** @type {number} */ (halves[2 * at]) + /** @type {number} */ (halves[2 * at + 1]) * TWO_TO_32;

/**
 * @param {Uint32Array} halves
 * @param {number} at
 */
function milliseconds(halves, at) {
  const above = /** @type {number} */ (halves[2 * at + 1]) | 0;
  const seconds = /** @type {number} */ (halves[2 * at]) + above * TWO_TO_32;
  return seconds * 1000 + number(halves, at + 1) / 1e6;
}

/**
 * Makes an object of Node's class: it gets the prototype of that, as does the next one. The fields are in Node's order.
 *
 * @this {any}
 * @param {Uint32Array} halves
 */
function Numbers(halves) {
  this.dev = number(halves, DEV);
  this.mode = number(halves, MODE);
  this.nlink = number(halves, NLINK);
  this.uid = number(halves, UID);
  this.gid = number(halves, GID);
  this.rdev = number(halves, RDEV);
  this.blksize = number(halves, BLKSIZE);
  this.ino = number(halves, INO);
  this.size = number(halves, SIZE);
  this.blocks = number(halves, BLOCKS);
  this.atimeMs = milliseconds(halves, ATIME);
  this.mtimeMs = milliseconds(halves, MTIME);
  this.ctimeMs = milliseconds(halves, CTIME);
  this.birthtimeMs = milliseconds(halves, BIRTHTIME);
}

/**
 * @this {any}
 * @param {BigUint64Array} words
 */
function Bigints(words) {
  const word = (/** @type {number} */ at) => /** @type {bigint} */ (words[at]);
  const ns = (/** @type {number} */ at) => asIntN(64, word(at)) * 1_000_000_000n + word(at + 1);
  const [atimeNs, mtimeNs, ctimeNs, birthtimeNs] = [ns(ATIME), ns(MTIME), ns(CTIME), ns(BIRTHTIME)];
  this.dev = word(DEV);
  this.mode = word(MODE);
  this.nlink = word(NLINK);
  this.uid = word(UID);
  this.gid = word(GID);
  this.rdev = word(RDEV);
  this.blksize = word(BLKSIZE);
  this.ino = word(INO);
  this.size = word(SIZE);
  this.blocks = word(BLOCKS);
  this.atimeMs = atimeNs / 1_000_000n;
  this.mtimeMs = mtimeNs / 1_000_000n;
  this.ctimeMs = ctimeNs / 1_000_000n;
  this.birthtimeMs = birthtimeNs / 1_000_000n;
  this.atimeNs = atimeNs;
  this.mtimeNs = mtimeNs;
  this.ctimeNs = ctimeNs;
  this.birthtimeNs = birthtimeNs;
}

let hasDates = false;
let isLearnt = false;

/**
 * Sees how Node describes a file.
 *
 * @param {number} fd any
 */
function learn(fd) {
  if (isLearnt) return;
  const made = fs.fstatSync(fd);
  hasDates = hasOwn(made, 'atime');
  Numbers.prototype = getPrototypeOf(made);
  Bigints.prototype = getPrototypeOf(fs.fstatSync(fd, { bigint: true }));
  isLearnt = true;
}

const sharedHalves = new Uint32Array(shared);

/**
 * @param {ArrayBuffer | undefined} answer of `native.statx`: nothing, if that filled the shared memory
 * @param {boolean} bigint
 */
function statsOf(answer, bigint) {
  if (bigint) return withDates(new /** @type {any} */ (Bigints)(new BigUint64Array(answer ?? shared)));
  return withDates(
    new /** @type {any} */ (Numbers)(answer === undefined ? sharedHalves : new Uint32Array(answer)),
  );
}

/**
 * Before Node 22 a time is a field as a `Date`, too.
 *
 * @param {any} stats
 */
function withDates(stats) {
  if (!hasDates) return stats;
  for (const name of ['atime', 'mtime', 'ctime', 'birthtime']) {
    stats[name] = new Date(Math.round(Number(stats[`${name}Ms`])));
  }
  return stats;
}

/** In the order of the native side. */
const OF_STATFS = ['type', 'bsize', 'blocks', 'bfree', 'bavail', 'files', 'ffree', 'frsize'];

/** @type {object | undefined} */
let statfsOfNode;

/**
 * @param {ArrayBuffer | undefined} answer of `native.statfs`, exact
 * @param {boolean} bigint
 */
function statfsOf(answer = shared, bigint) {
  statfsOfNode ??= fs.statfsSync('/');
  const words = new BigUint64Array(answer);
  const made = create(getPrototypeOf(statfsOfNode));
  for (const key of keys(statfsOfNode)) {
    const word = words[OF_STATFS.indexOf(key)];
    made[key] = bigint ? word : Number(word);
  }
  return made;
}

const constants = /** @type {Record<string, number>} */ (/** @type {unknown} */ (fs.constants));
/** @type {Record<string, number | undefined>} */
const DIRENT_TYPES = {
  file: constants.UV_DIRENT_FILE,
  directory: constants.UV_DIRENT_DIR,
  symlink: constants.UV_DIRENT_LINK,
  fifo: constants.UV_DIRENT_FIFO,
  socket: constants.UV_DIRENT_SOCKET,
  block: constants.UV_DIRENT_BLOCK,
  char: constants.UV_DIRENT_CHAR,
  unknown: constants.UV_DIRENT_UNKNOWN,
};

/** @type {new (name: string | Buffer, type: number | undefined, parentPath: string) => import('node:fs').Dirent} */
const Dirent = /** @type {any} */ (fs.Dirent);

/**
 * @param {string | Buffer} name
 * @param {string} type as that of an entry of ours
 * @param {string} parentPath
 */
const direntOf = (name, type, parentPath) => new Dirent(name, DIRENT_TYPES[type], parentPath);

module.exports = { direntOf, learn, statfsOf, statsOf };
