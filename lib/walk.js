'use strict';
// `walk`: an async iterator over a tree.

const { native } = require('./native.js');
const check = require('./arguments.js');
const { Failure, SystemError, messageOf, systemError } = require('./errors.js');
const { entries, headOf } = require('./results.js');

/** @typedef {import('./binding').Handle} Handle */

const { MAX_SAFE_INTEGER } = Number;
const OPTIONS = ['encoding', 'maxDepth', 'maxEntries'];

/**
 * @param {Handle} root
 * @param {unknown} path
 * @param {unknown} options
 */
function walk(root, path, options) {
  const at = check.path(path, 'path');
  const given = check.options(options, OPTIONS);
  const asBuffers = check.asBuffers(given.encoding);
  const limit = (/** @type {string} */ key) =>
    given[key] == null ? MAX_SAFE_INTEGER : check.length(given[key], `options.${key}`);
  const cursor = native.cursor(at, limit('maxDepth'), limit('maxEntries'));
  /** @type {string | null} */
  let truncated = null;
  const iterator = (async function* () {
    try {
      for (let isLast = false; !isLast; ) {
        let batch;
        try {
          batch = await native.starts.nextBatch(root, cursor, asBuffers);
        } catch (rejected) {
          if (typeof rejected !== 'string') throw rejected;
          const failure = new Failure(rejected);
          throw systemError(new SystemError(messageOf(failure)), failure);
        }
        const head = headOf(batch);
        truncated = head.truncated;
        isLast = head.isLast;
        yield* entries(batch, asBuffers, 1);
      }
    } finally {
      native.closeCursor(cursor);
    }
  })();
  return Object.defineProperty(iterator, 'truncated', {
    // @ts-expect-error: nothing of the descriptor is inherited
    __proto__: null,
    get: () => truncated,
    enumerable: true,
    configurable: true,
  });
}

module.exports = { walk };
