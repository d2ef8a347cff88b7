'use strict';
// What the caller gets for what the native side returns.

// ---- Numbers: in an array that a call fills, or as the ArrayBuffer of a promise ----

const { asIntN } = BigInt;

const MOST = 16;
/** What a synchronous call fills. */
const shared = new ArrayBuffer(MOST * 8);
/** As doubles. */
const doubles = new Float64Array(shared);
/** As integers of 64 bits. */
const integers = new BigUint64Array(shared);

/**
 * @param {unknown} answer
 * @returns {ArrayLike<number>}
 */
const doublesOf = (answer) =>
  answer === undefined ? doubles : new Float64Array(/** @type {any} */ (answer));
/**
 * @param {unknown} answer
 * @returns {ArrayLike<bigint>}
 */
const integersOf = (answer) =>
  answer === undefined ? integers : new BigUint64Array(/** @type {any} */ (answer));

/**
 * The result of `stat`.
 *
 * @param {unknown} answer
 */
function stats(answer) {
  const words = /** @type {number[]} */ (doublesOf(answer));
  return {
    dev: words[0],
    ino: words[1],
    mode: words[2],
    nlink: words[3],
    uid: words[4],
    gid: words[5],
    rdev: words[6],
    size: words[7],
    blksize: words[8],
    blocks: words[9],
    atimeNs: words[10],
    mtimeNs: words[11],
    ctimeNs: words[12],
  };
}

/**
 * The same, exact. A time comes in seconds and nanoseconds.
 *
 * @param {unknown} answer
 */
function bigStats(answer) {
  const words = /** @type {bigint[]} */ (integersOf(answer));
  return {
    dev: words[0],
    ino: words[1],
    mode: words[2],
    nlink: words[3],
    uid: words[4],
    gid: words[5],
    rdev: words[6],
    size: words[7],
    blksize: words[8],
    blocks: words[9],
    atimeNs: time(words, 10),
    mtimeNs: time(words, 12),
    ctimeNs: time(words, 14),
  };
}

/** Where in these words is what makes a version: device, inode, size, and the times of both kinds of changes. */
const OF_VERSION = [0, 1, 7, 12, 13, 14, 15];

/**
 * The version that a `stat` is of, as a string: what it is made of is nobody's business.
 *
 * @param {unknown} answer
 */
function versionOf(answer) {
  const words = integersOf(answer);
  let text = '';
  for (let i = 0; i < OF_VERSION.length; i++) {
    const word = /** @type {bigint} */ (words[/** @type {number} */ (OF_VERSION[i])]);
    text += (i === 0 ? '' : '-') + word.toString(16);
  }
  return text;
}

/**
 * The result of `stat` with its version, which comes exact.
 *
 * @param {unknown} answer
 * @param {boolean} bigint
 */
function versioned(answer, bigint) {
  const version = versionOf(answer);
  const exact = bigStats(answer);
  if (bigint) return { ...exact, version };
  const entries = Object.entries(exact).map(([name, value]) => [name, Number(value)]);
  return { ...Object.fromEntries(entries), version };
}

/**
 * @param {bigint[]} words
 * @param {number} at
 */
const time = (words, at) =>
  asIntN(64, /** @type {bigint} */ (words[at])) * 1_000_000_000n + /** @type {bigint} */ (words[at + 1]);

/**
 * The result of `statfs`, in either form.
 *
 * @param {unknown} answer
 * @param {boolean} bigint
 */
function statfs(answer, bigint) {
  const [type, bsize, blocks, bfree, bavail, files, ffree] = /** @type {any} */ (
    bigint ? integersOf(answer) : doublesOf(answer)
  );
  return { type, bsize, blocks, bfree, bavail, files, ffree };
}

/**
 * Which directory a root is.
 *
 * @param {unknown} answer
 */
function identity(answer) {
  const words = /** @type {bigint[]} */ (integersOf(answer));
  return { dev: words[0], ino: words[1], mountId: words[2] };
}

// ---- Names: one string, or one Buffer, with a NUL behind each, which is one conversion for all ----
//
// Where types are wanted, the letter before each name is its type, and a path with a slash before it is the directory
// of the names behind it: see `Names` of src/ops/tree/list.rs.

/** @type {Record<string, string>} */
const TYPES = {
  f: 'file',
  d: 'directory',
  l: 'symlink',
  p: 'fifo',
  s: 'socket',
  b: 'block',
  c: 'char',
  '?': 'unknown',
};
const SLASH = 0x2f;

/**
 * @param {Buffer} joined
 * @returns {Buffer[]}
 */
function split(joined) {
  const list = [];
  let start = 0;
  for (let end = joined.indexOf(0); end !== -1; end = joined.indexOf(0, start)) {
    list.push(joined.subarray(start, end));
    start = end + 1;
  }
  return list;
}

/** @param {string} joined */
function splitText(joined) {
  const list = joined.split('\0');
  list.pop();
  return list;
}

/** @param {string | Buffer} joined */
const names = (joined) => (typeof joined === 'string' ? splitText(joined) : split(joined));

/** @param {any} joined */
function entries(joined) {
  return typeof joined === 'string' ? entriesOfText(joined) : entriesOfBytes(joined);
}

/** @param {string} joined */
function entriesOfText(joined) {
  const list = [];
  let parentPath = '';
  for (const item of splitText(joined)) {
    const name = item.slice(1);
    const letter = item.charAt(0);
    if (letter === '/') parentPath = name;
    else list.push({ name, parentPath, type: TYPES[letter] });
  }
  return list;
}

/** @param {Buffer} joined */
function entriesOfBytes(joined) {
  const list = [];
  let parentPath = joined;
  for (const item of split(joined)) {
    const name = item.subarray(1);
    const letter = /** @type {number} */ (item[0]);
    if (letter === SLASH) parentPath = name;
    else list.push({ name, parentPath, type: TYPES[String.fromCharCode(letter)] });
  }
  return list;
}

module.exports = { bigStats, entries, identity, names, shared, statfs, stats, versioned };
