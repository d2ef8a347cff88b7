'use strict';
// What the caller gets for what the native side returns.

const { uncurried } = require('./errors.js');

// What takes an error apart is captured at load, as in `errors.js`.
const splitAt = uncurried(
  /** @type {(this: string, separator: string) => string[]} */ (String.prototype.split),
);
const substring = uncurried(String.prototype.substring);
const join = uncurried(Array.prototype.join);
const slice = uncurried(Array.prototype.slice);

// ---- Numbers: in an array that a call fills, or as the ArrayBuffer of a promise ----

const { asIntN } = BigInt;

const MOST = 18;
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
/** Whether a change that came behind the `stat` may have left all of them as they are. */
const MAY_CHANGE_UNSEEN = 16;

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
  return words[MAY_CHANGE_UNSEEN] === 0n ? text : text.replace(/[^-]*$/, MATCHES_NOTHING);
}

/** No time has so many nanoseconds. */
const MATCHES_NOTHING = 'f'.repeat(16);
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
const SLASH = 0x2f;
const DOT = 0x2e;

/** A name in a directory, which answers as a `Dirent` of Node. */
class DirectoryEntry {
  /**
   * @param {string | Buffer} name
   * @param {string | Buffer} parentPath
   * @param {string | undefined} type
   */
  constructor(name, parentPath, type) {
    this.name = name;
    this.parentPath = parentPath;
    this.type = type;
  }

  /** The path that leads to it, as `parentPath` does to its directory. */
  get path() {
    const { name, parentPath } = this;
    return typeof name === 'string'
      ? joinedText(/** @type {string} */ (parentPath), name)
      : joinedBytes(/** @type {Buffer} */ (parentPath), name);
  }

  isFile() {
    return this.type === 'file';
  }

  isDirectory() {
    return this.type === 'directory';
  }

  isSymbolicLink() {
    return this.type === 'symlink';
  }

  isFIFO() {
    return this.type === 'fifo';
  }

  isSocket() {
    return this.type === 'socket';
  }

  isBlockDevice() {
    return this.type === 'block';
  }

  isCharacterDevice() {
    return this.type === 'char';
  }
}

/**
 * @param {string} above
 * @param {string} name
 */
function joinedText(above, name) {
  let end = above.length;
  while (end > 0 && above.charCodeAt(end - 1) === SLASH) end--;
  return end === 1 && above.charCodeAt(0) === DOT ? name : `${above.slice(0, end)}/${name}`;
}

/**
 * @param {Buffer} above
 * @param {Buffer} name
 */
function joinedBytes(above, name) {
  let end = above.length;
  while (end > 0 && above[end - 1] === SLASH) end--;
  const isHere = end === 1 && above[0] === DOT;
  return isHere ? name : Buffer.concat([above.subarray(0, end), Buffer.of(SLASH), name]);
}

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
  const list = splitAt(joined, '\0');
  // Behind the last one there is nothing.
  list.length -= 1;
  return list;
}

/**
 * @param {any} joined a Buffer also where strings are wanted and it is too long for one
 * @param {boolean} asBuffers
 */
function names(joined, asBuffers) {
  if (typeof joined === 'string') return splitText(joined);
  const list = split(joined);
  return asBuffers ? list : list.map((name) => `${name}`);
}

/**
 * @param {any} joined as for `names`
 * @param {boolean} asBuffers
 */
const entries = (joined, asBuffers) => entriesOf(itemsOf(joined), 0, asBuffers);

/** @param {any} joined */
const itemsOf = (joined) => (typeof joined === 'string' ? splitText(joined) : split(joined));

/**
 * The entries that `items` are from `first` on.
 *
 * @param {(string | Buffer)[]} items
 * @param {number} first
 * @param {boolean} asBuffers
 */
function entriesOf(items, first, asBuffers) {
  const list = [];
  /** @type {string | Buffer} */
  let parentPath = '';
  for (let i = first; i < items.length; i++) {
    const item = /** @type {string | Buffer} */ (items[i]);
    const isText = typeof item === 'string';
    const letter = isText ? item.charAt(0) : String.fromCharCode(/** @type {number} */ (item[0]));
    const bytes = isText ? item.slice(1) : item.subarray(1);
    const name = isText || asBuffers ? bytes : `${bytes}`;
    if (letter === '/') parentPath = name;
    else list.push(new DirectoryEntry(name, parentPath, TYPES[letter]));
  }
  return list;
}

/**
 * The entries of one directory, in Buffers, made one by one: there may be very many.
 *
 * @param {Buffer} joined
 * @returns {Generator<{ name: Buffer, type: string | undefined }, void, void>}
 */
function* entriesIn(joined) {
  let start = 0;
  for (let end = joined.indexOf(0); end !== -1; end = joined.indexOf(0, start)) {
    const letter = String.fromCharCode(/** @type {number} */ (joined[start]));
    // With a slash it is the directory itself.
    if (letter !== '/') yield { name: joined.subarray(start + 1, end), type: TYPES[letter] };
    start = end + 1;
  }
}

/**
 * A batch of `walk`, as `Output::Batch` of src/node/output.rs puts it together.
 *
 * @param {string | Buffer} joined
 * @param {boolean} asBuffers
 */
function batchOf(joined, asBuffers) {
  const items = itemsOf(joined);
  const head = `${items[0]}`;
  const count = +substring(head, 4);
  const list = entriesOf(items, 1 + count, asBuffers);
  return {
    truncated: head[0] === 'd' ? 'maxDepth' : head[0] === 'e' ? 'maxEntries' : null,
    isLast: head[1] === 'l',
    /** Whether its entries are at the end of `maxDepth`, for a walk with a filter. */
    isDeepest: head[3] === 'b',
    /** The parts of the error, if something could not be listed. */
    parts: count === 0 ? undefined : join(slice(items, 1, 1 + count), '\0'),
    /** What could not be listed, unless that is the top. */
    failed: head[2] === 'f' ? list.pop() : undefined,
    entries: list,
  };
}

module.exports = { batchOf, bigStats, entries, entriesIn, identity, names, shared, statfs, stats, versioned };
