'use strict';
// Objects of Node's own classes, of what the native side returns. Node exports no constructor of most of them, or
// changes it: each gets the prototype and the fields of one that Node made.

const fs = require('node:fs');
const { shared } = require('../results.js');

const { asIntN } = BigInt;
const { create, getPrototypeOf, hasOwn, keys } = Object;

/** @typedef {{ prototype: object, hasDates: boolean }} Class */

/** @type {Class | undefined} */
let numbers;
/** @type {Class | undefined} */
let bigints;

/** @param {object} made by Node */
const classOf = (made) => ({ prototype: getPrototypeOf(made), hasDates: hasOwn(made, 'atime') });

/**
 * Sees how Node describes a file.
 *
 * @param {number} fd any
 */
function learn(fd) {
  numbers ??= classOf(fs.fstatSync(fd));
  bigints ??= classOf(fs.fstatSync(fd, { bigint: true }));
}

// Where in the words of `statx` each field is; times are seconds and nanoseconds.
const [DEV, INO, MODE, NLINK, UID, GID, RDEV, SIZE, BLKSIZE, BLOCKS] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const [ATIME, MTIME, CTIME, BIRTHTIME] = [10, 12, 14, 16];

const TWO_TO_32 = 2 ** 32;

/**
 * @param {ArrayBuffer | undefined} answer of `native.statx`: nothing, if that filled the shared memory
 * @param {boolean} bigint
 */
const statsOf = (answer = shared, bigint) => (bigint ? bigStatsOf(answer) : plainStatsOf(answer));

/** @param {ArrayBuffer} answer */
function plainStatsOf(answer) {
  // In halves: a bigint for each would take longer than the call.
  const halves = new Uint32Array(answer);
  const number = (/** @type {number} */ at) =>
    /** @type {number} */ (halves[2 * at]) + /** @type {number} */ (halves[2 * at + 1]) * TWO_TO_32;
  const ms = (/** @type {number} */ at) => {
    const signed = /** @type {number} */ (halves[2 * at + 1]) | 0;
    const seconds = /** @type {number} */ (halves[2 * at]) + signed * TWO_TO_32;
    return seconds * 1000 + number(at + 1) / 1e6;
  };
  const { prototype, hasDates } = /** @type {Class} */ (numbers);
  const stats = {
    __proto__: prototype,
    dev: number(DEV),
    mode: number(MODE),
    nlink: number(NLINK),
    uid: number(UID),
    gid: number(GID),
    rdev: number(RDEV),
    blksize: number(BLKSIZE),
    ino: number(INO),
    size: number(SIZE),
    blocks: number(BLOCKS),
    atimeMs: ms(ATIME),
    mtimeMs: ms(MTIME),
    ctimeMs: ms(CTIME),
    birthtimeMs: ms(BIRTHTIME),
  };
  return hasDates ? withDates(stats) : stats;
}

/** @param {ArrayBuffer} answer */
function bigStatsOf(answer) {
  const words = /** @type {ArrayLike<bigint>} */ (new BigUint64Array(answer));
  const word = (/** @type {number} */ at) => /** @type {bigint} */ (words[at]);
  const ns = (/** @type {number} */ at) => asIntN(64, word(at)) * 1_000_000_000n + word(at + 1);
  const [atimeNs, mtimeNs, ctimeNs, birthtimeNs] = [ns(ATIME), ns(MTIME), ns(CTIME), ns(BIRTHTIME)];
  const { prototype, hasDates } = /** @type {Class} */ (bigints);
  const stats = {
    __proto__: prototype,
    dev: word(DEV),
    mode: word(MODE),
    nlink: word(NLINK),
    uid: word(UID),
    gid: word(GID),
    rdev: word(RDEV),
    blksize: word(BLKSIZE),
    ino: word(INO),
    size: word(SIZE),
    blocks: word(BLOCKS),
    atimeMs: atimeNs / 1_000_000n,
    mtimeMs: mtimeNs / 1_000_000n,
    ctimeMs: ctimeNs / 1_000_000n,
    birthtimeMs: birthtimeNs / 1_000_000n,
    atimeNs,
    mtimeNs,
    ctimeNs,
    birthtimeNs,
  };
  return hasDates ? withDates(stats) : stats;
}

/**
 * Before Node 22 a time is a field as a `Date`, too.
 *
 * @param {any} stats
 */
function withDates(stats) {
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
