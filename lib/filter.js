'use strict';
// The filter of `cp`: it is asked about a tree from its top, and what it says yes to is copied then.

const { REJECT } = require('./arguments.js');
const { invalidReturnValue } = require('./errors.js');
const { native } = require('./native.js');
const { entriesIn } = require('./results.js');
const { stopIfAborted, unlessAborted } = require('./watch.js');

const { Buffer } = globalThis;
const SLASH = Buffer.from('/');
/** The longest path that is certainly no longer than the kernel takes, in bytes. */
const LONGEST = 4000;
/** How much room for ways is made at a time, in bytes. */
const BLOCK = 64 << 10;
const NOTHING = Buffer.alloc(0);
/** The way to the top. */
const TOP = Buffer.alloc(0);
const DIRECTORY = 'directory';
/** Not of a program's mocked timers. */
const { max } = Math;
const { setImmediate } = require('node:timers');
const { performance } = require('node:perf_hooks');
const now = performance.now.bind(performance);

/** @typedef {{ name: Buffer, type: string | undefined }} Found */
/** @typedef {import('./binding').Handle} Handle */
/** @typedef {import('./call.js').How['perform']} Perform */

/**
 * Copies all of a tree, or `only` what is at the end of these ways from its top, each with a NUL behind it.
 *
 * @typedef {(call: import('./call.js').Call, watch: Handle | undefined, only?: Uint8Array) => any} Copy
 */

/**
 * @typedef {object} Filtered
 * @property {string | Uint8Array} from
 * @property {string | Uint8Array} at
 * @property {Function} filter
 * @property {boolean} recursive
 * @property {import('./watch.js').Watched | undefined} watching
 * @property {import('./arguments.js').Policy} policy that of the root
 * @property {boolean} isSync whether the filter has to answer at once
 */

/**
 * @param {Copy} copy
 * @param {Filtered} tree
 * @returns {import('./call.js').Several}
 */
const copyFiltered =
  (copy, tree) =>
  ({ perform, go }) =>
    go(steps(perform, copy, tree));

/**
 * @param {Perform} perform
 * @param {Copy} copy
 * @param {Filtered} tree
 * @returns {Generator<any, void, any>}
 */
function* steps(perform, copy, tree) {
  // Copies nothing: before the filter is asked, the call as such must be possible.
  const signal = tree.watching?.signal;
  yield perform((call) => copy(call, call.follow(signal && { signal }), NOTHING));
  const only = yield* asked(perform, tree);
  yield perform((call) => copy(call, call.follow(tree.watching), only));
}

/**
 * @param {Perform} perform
 * @param {Filtered} tree
 * @returns {Generator<any, Buffer, any>} it yields what may have to be awaited, and returns the ways from the top
 *   to what is copied
 */
function* asked(perform, { from, at: dest, filter, recursive, watching, policy, isSync }) {
  const signal = watching?.signal;
  const allowed = new Ways();
  let turn = now();
  /**
   * What is not asked about yet, the deepest last: the way to a directory, and the rest of what is in it.
   *
   * @type {{ above: Buffer | undefined, inside: Iterator<Found> }[]}
   */
  const ahead = [
    { above: undefined, inside: [{ name: TOP, type: recursive ? DIRECTORY : 'file' }].values() },
  ];
  for (let level = ahead.at(-1); level !== undefined; level = ahead.at(-1)) {
    const { done, value } = level.inside.next();
    if (done) {
      ahead.pop();
      continue;
    }
    if (!isSync && now() - turn > AT_ONCE) {
      yield new Promise((resolve) => setImmediate(resolve));
      turn = now();
    }
    stopIfAborted(signal);
    const { above } = level;
    const way = above === undefined || above.length === 0 ? value.name : joined(above, value.name);
    const at = joined(from, way);
    let answer = filter(at.toString(), joined(dest, way).toString());
    if (typeof answer?.then === 'function') {
      if (isSync) refusePromise();
      answer = yield unlessAborted(answer, signal);
      turn = now();
    }
    if (!answer) continue;
    const inside = value.type === DIRECTORY ? yield* listed(perform, at, policy) : undefined;
    // Behind the way to a directory that was listed stands a slash.
    allowed.add(way, inside !== undefined);
    if (inside !== undefined) ahead.push({ above: way, inside });
  }
  return allowed.all();
}

/** How long a promise asks without a turn of the event loop, in milliseconds. */
const AT_ONCE = 5;

/** Ways in one Buffer, with a NUL behind each: the native side copies them at once. */
class Ways {
  /** @type {Buffer[]} */
  #full = [];
  #last = Buffer.alloc(BLOCK);
  #length = 0;

  /**
   * @param {Buffer} way
   * @param {boolean} isListed
   */
  add(way, isListed) {
    const length = way.length + (isListed ? 2 : 1);
    if (this.#length + length > this.#last.length) {
      this.#full.push(this.#last.subarray(0, this.#length));
      this.#last = Buffer.alloc(max(BLOCK, length));
      this.#length = 0;
    }
    way.copy(this.#last, this.#length);
    // The rest of it is zeros.
    if (isListed) this.#last[this.#length + way.length] = /** @type {number} */ (SLASH[0]);
    this.#length += length;
  }

  all() {
    return Buffer.concat([...this.#full, this.#last.subarray(0, this.#length)]);
  }
}

/**
 * The path of what is at the end of `way` beneath `top`, as `parentPath` of `readdir` is put together.
 *
 * @param {string | Uint8Array} top
 * @param {Buffer} way
 */
function joined(top, way) {
  const above = Buffer.from(/** @type {any} */ (top));
  if (way.length === 0) return above;
  let end = above.length;
  while (end > 0 && above[end - 1] === SLASH[0]) end--;
  const isHere = end === 1 && above.toString('latin1', 0, 1) === '.';
  return isHere ? way : Buffer.concat([above.subarray(0, end), SLASH, way]);
}

function refusePromise() {
  throw invalidReturnValue('Expected a boolean to be returned from the "filter" function of cp');
}

/**
 * The entries of the directory at the end of a path of any length, by way of roots on the way; `undefined` if it is
 * no directory any more, or may not be read: that is said when it is copied. None of a mount that is refused.
 *
 * @param {Perform} perform
 * @param {Buffer} at
 * @param {import('./arguments.js').Policy} policy
 * @returns {Generator<any, Iterator<Found> | undefined, any>}
 */
function* listed(perform, at, { symlinks, mounts, hardlinks, readonly }) {
  const pieces = piecesOf(at);
  let last = /** @type {Buffer} */ (pieces.pop());
  const cut = last.lastIndexOf(SLASH);
  const name = last.subarray(cut + 1);
  // A symlink is an entry like any other: from the directory that it is in, none is followed.
  const isEntry = name.length > 0 && !['.', '..'].includes(name.toString('latin1'));
  if (isEntry) {
    pieces.push(cut === -1 ? Buffer.from('.') : last.subarray(0, cut + 1));
    last = name;
  }
  /** @type {Handle | undefined} */
  let here;
  try {
    for (const [i, piece] of pieces.entries()) {
      const links = isEntry && i === pieces.length - 1 ? REJECT : symlinks;
      const next = yield perform(
        ({ native, root }) => native.openRoot(root, piece, links, mounts, hardlinks, readonly),
        here,
      );
      if (here !== undefined) native.close(here);
      here = next;
    }
    const joined = yield perform(
      ({ native, root }) => native.readdir(root, last, true, false, true, undefined),
      here,
    );
    return entriesIn(joined);
  } catch (error) {
    const { code, reason } = /** @type {import('..').SystemError} */ (error);
    if (reason === 'mount') return [].values();
    if (['EACCES', 'ELOOP', 'ENOENT', 'ENOTDIR'].includes(code)) return undefined;
    throw error;
  } finally {
    if (here !== undefined) native.close(here);
  }
}

/**
 * A path, cut at slashes into pieces that the kernel takes.
 *
 * @param {Buffer} at
 */
function piecesOf(at) {
  const pieces = [];
  let rest = at;
  while (rest.length > LONGEST) {
    const end = rest.lastIndexOf(SLASH, LONGEST);
    if (end <= 0) break;
    pieces.push(rest.subarray(0, end));
    rest = rest.subarray(end + 1);
  }
  return [...pieces, rest];
}

module.exports = { copyFiltered };
