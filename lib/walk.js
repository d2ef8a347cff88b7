'use strict';
// `walk`: an async iterator over a tree.

const { native } = require('./native.js');
const check = require('./arguments.js');
const { errorOf, invalidType } = require('./errors.js');
const { batchOf } = require('./results.js');
const { stopIfAborted, unlessAborted, watched } = require('./watch.js');

/** @typedef {import('./binding').Handle} Handle */

const { MAX_SAFE_INTEGER } = Number;
const OPTIONS = ['encoding', 'maxDepth', 'maxEntries', 'filter', 'onError', 'signal'];

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
  const called = (/** @type {string} */ key) => {
    const value = given[key] ?? undefined;
    if (value === undefined || typeof value === 'function') return value;
    throw invalidType(`options.${key}`, 'of type function', value);
  };
  const maxDepth = limit('maxDepth');
  const maxEntries = limit('maxEntries');
  const filter = called('filter');
  const onError = called('onError');
  const signal = watched(given)?.signal;
  // What the filter refuses does not count: then it is counted here.
  const cursor = native.cursor(at, maxDepth, filter ? MAX_SAFE_INTEGER : maxEntries, filter !== undefined);
  /** @type {string | null} */
  let truncated = null;
  const iterator = (async function* () {
    let left = maxEntries;
    /** @type {Uint8Array | undefined} of each entry of the last batch, whether the filter keeps it */
    let kept;
    try {
      for (let isLast = false; !isLast; ) {
        stopIfAborted(signal);
        let batch;
        try {
          batch = batchOf(await native.starts.nextBatch(root, cursor, asBuffers, kept), asBuffers);
        } catch (rejected) {
          throw typeof rejected === 'string' ? errorOf(rejected) : rejected;
        }
        truncated ??= batch.truncated;
        isLast = batch.isLast;
        const found = batch.entries;
        if (filter === undefined) {
          for (let i = 0; i < found.length; i++) {
            stopIfAborted(signal);
            yield found[i];
          }
        } else {
          kept = new Uint8Array(found.length);
          for (let i = 0; i < found.length; i++) {
            stopIfAborted(signal);
            if (!(await unlessAborted(filter(found[i]), signal))) continue;
            if (left-- === 0) {
              truncated ??= 'maxEntries';
              return;
            }
            if (batch.isDeepest && found[i]?.type === 'directory') truncated ??= 'maxDepth';
            kept[i] = 1;
            yield found[i];
          }
        }
        if (batch.parts === undefined) continue;
        const error = errorOf(batch.parts);
        if (onError === undefined) throw error;
        await unlessAborted(onError(error, batch.failed), signal);
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
