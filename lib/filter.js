'use strict';
// The filter of `cp`: it is asked about a tree from its top, and what it says yes to is copied then.

const { AbortError, invalidReturnValue } = require('./errors.js');
const { Job } = require('./job.js');
const { native } = require('./native.js');
const { entries } = require('./results.js');

const { Buffer } = globalThis;
const SLASH = Buffer.from('/');
/** The longest path that is certainly no longer than the kernel takes, in bytes. */
const LONGEST = 4000;

/** @typedef {import('./binding').Handle} Handle */

/**
 * @param {(job: InstanceType<typeof Job>, root?: Handle) => any} perform does a job, or starts it
 * @param {object} call
 * @param {string | Uint8Array} call.src
 * @param {string | Uint8Array} call.dest
 * @param {Function} call.filter
 * @param {boolean} call.recursive
 * @param {AbortSignal | undefined} call.signal
 * @param {import('./arguments.js').Policy} call.policy that of the root
 * @param {boolean} isSync whether the filter has to answer at once
 * @returns {Generator<any, Buffer[], any>} it yields what may have to be awaited, and returns the ways from the top
 *   to what is copied
 */
function* asked(perform, { src, dest, filter, recursive, signal, policy }, isSync) {
  const allowed = [];
  /** @type {[way: Buffer, isDirectory: boolean][]} */
  const ahead = [[Buffer.alloc(0), recursive]];
  for (let next = ahead.pop(); next !== undefined; next = ahead.pop()) {
    if (signal?.aborted) throw new AbortError(signal.reason);
    const [way, isDirectory] = next;
    const at = joined(src, way);
    const answer = filter(at.toString(), joined(dest, way).toString());
    if (isSync) refusePromise(answer);
    if (!(yield answer)) continue;
    allowed.push(way);
    if (!isDirectory) continue;
    for (const { name, type } of (yield* listed(perform, at, policy)).reverse()) {
      ahead.push([way.length === 0 ? name : joined(way, name), type === 'directory']);
    }
  }
  return allowed;
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

/** @param {any} answer */
function refusePromise(answer) {
  if (typeof answer?.then !== 'function') return;
  throw invalidReturnValue('Expected a boolean to be returned from the "filter" function of cp');
}

/**
 * The entries of the directory at the end of a path of any length, by way of roots on the way. None of what is no
 * directory any more, or may not be read: that is said when it is copied.
 *
 * @param {(job: InstanceType<typeof Job>, root?: Handle) => any} perform
 * @param {Buffer} at
 * @param {import('./arguments.js').Policy} policy
 * @returns {Generator<any, { name: Buffer, type: string }[], any>}
 */
function* listed(perform, at, { symlinks, mounts, hardlinks, readonly }) {
  const pieces = piecesOf(at);
  const last = /** @type {Buffer} */ (pieces.pop());
  /** @type {Handle | undefined} */
  let here;
  try {
    for (const piece of pieces) {
      const open = new Job((native, root) =>
        native.openRoot(root, piece, symlinks, mounts, hardlinks, readonly),
      );
      const next = yield perform(open, here);
      if (here !== undefined) native.close(here);
      here = next;
    }
    const list = new Job(
      (native, root) => native.readdir(root, last, true, false, true, undefined),
      (joined) => entries(joined, true),
    );
    return yield perform(list, here);
  } catch (error) {
    const { code } = /** @type {import('..').SystemError} */ (error);
    if (['EACCES', 'ELOOP', 'ENOENT', 'ENOTDIR'].includes(code)) return [];
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

module.exports = { asked };
