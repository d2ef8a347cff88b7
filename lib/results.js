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
  const words = bigint ? integersOf(answer) : doublesOf(answer);
  return {
    type: words[0],
    bsize: words[1],
    blocks: words[2],
    bfree: words[3],
    bavail: words[4],
    files: words[5],
    ffree: words[6],
  };
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

/**
 * @param {any} joined a Buffer also where strings are wanted and it is too long for one
 * @param {boolean} asBuffers
 */
function names(joined, asBuffers) {
  if (typeof joined === 'string') return splitText(joined);
  const list = split(joined);
  return asBuffers ? list : list.map(String);
}

/**
 * @param {any} joined as for `names`
 * @param {boolean} asBuffers
 * @param {number} [first] how many items stand before the entries
 */
function entries(joined, asBuffers, first = 0) {
  if (typeof joined === 'string') return entriesOfText(joined, first);
  const list = entriesOfBytes(joined, first);
  return asBuffers ? list : asText(list);
}

/** @param {{ name: Buffer, parentPath: Buffer, type: string | undefined }[]} list */
function asText(list) {
  /** @type {Buffer | undefined} */
  let last;
  let parentPath = '';
  return list.map((entry) => {
    // Many entries share one.
    if (entry.parentPath !== last) parentPath = String(entry.parentPath);
    last = entry.parentPath;
    return { name: String(entry.name), parentPath, type: entry.type };
  });
}

/**
 * @param {string} joined
 * @param {number} first
 */
function entriesOfText(joined, first) {
  const list = [];
  const items = splitText(joined);
  let parentPath = '';
  for (let i = first; i < items.length; i++) {
    const item = /** @type {string} */ (items[i]);
    const name = item.slice(1);
    const letter = item.charAt(0);
    if (letter === '/') parentPath = name;
    else list.push({ name, parentPath, type: TYPES[letter] });
  }
  return list;
}

/**
 * @param {Buffer} joined
 * @param {number} first
 */
function entriesOfBytes(joined, first) {
  const list = [];
  const items = split(joined);
  let parentPath = joined;
  for (let i = first; i < items.length; i++) {
    const item = /** @type {Buffer} */ (items[i]);
    const name = item.subarray(1);
    const letter = String.fromCharCode(/** @type {number} */ (item[0]));
    if (letter === '/') parentPath = name;
    else list.push({ name, parentPath, type: TYPES[letter] });
  }
  return list;
}

/**
 * What stands before the entries of a batch of `walk`.
 *
 * @param {string | Buffer} batch
 */
function headOf(batch) {
  const head = typeof batch === 'string' ? batch.slice(0, 2) : batch.toString('latin1', 0, 2);
  const truncated = head[0] === 'd' ? 'maxDepth' : head[0] === 'e' ? 'maxEntries' : null;
  return { truncated, isLast: head[1] === 'l' };
}

module.exports = { bigStats, entries, headOf, identity, names, shared, statfs, stats };
