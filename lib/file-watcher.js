'use strict';
// Node's watchers on what a root has found: by its descriptor, so that whoever renames what is above it changes
// nothing.

const fs = require('node:fs');
const { textOf } = require('./arguments.js');
const { coded, errorOf } = require('./errors.js');
const { close, hostPathOf } = require('./descriptors.js');

const { Buffer } = globalThis;

const { O_RDONLY } = fs.constants;

/** @typedef {import('./opener.js').AnOpener} Opener */

/**
 * Node's `watch`.
 *
 * @param {Opener} opener
 * @param {unknown} path
 * @param {any} options
 * @param {any} [listener]
 * @returns {fs.FSWatcher}
 */
function watch(opener, path, options, listener) {
  if (typeof options === 'function') return watch(opener, path, undefined, options);
  refuseRecursive(options);
  const fd = opener.openSync(path, O_RDONLY, 'watch');
  const place = placeOf(fd);
  try {
    const watcher = fs.watch(place.path, options);
    const { emit } = watcher;
    watcher.emit = (/** @type {string} */ event, /** @type {any[]} */ ...args) => {
      if (event === 'change') args[1] = named(args[1], place.name, path);
      if (event === 'error') args[0] = shown(args[0], path);
      return emit.call(watcher, event, ...args);
    };
    if (listener != null) watcher.on('change', listener);
    return watcher;
  } catch (error) {
    throw shown(error, path);
  } finally {
    // The kernel watches the file, and not its descriptor.
    fs.closeSync(fd);
  }
}

/**
 * The events of `watch`, as an iterator.
 *
 * @param {Opener} opener
 * @param {unknown} path
 * @param {any} options Node's
 */
function events(opener, path, options) {
  refuseRecursive(options);
  return eventsOf(opener, path, options);
}

/**
 * @param {Opener} opener
 * @param {unknown} path
 * @param {any} options
 */
async function* eventsOf(opener, path, options) {
  const fd = await opener.open(path, O_RDONLY, 'watch');
  const place = placeOf(fd);
  try {
    for await (const event of fs.promises.watch(place.path, options)) {
      yield { ...event, filename: named(/** @type {any} */ (event.filename), place.name, path) };
    }
  } catch (error) {
    throw shown(error, path);
  } finally {
    await close(fd);
  }
}

/**
 * What Node is asked to watch, and the name that an event has which is about that itself. A directory has no entry of
 * this name.
 *
 * @param {number} fd
 */
function placeOf(fd) {
  const path = hostPathOf(fd);
  return fs.fstatSync(fd).isDirectory() ? { path: `${path}/.`, name: '.' } : { path, name: `${fd}` };
}

/**
 * @param {string | Buffer | null | undefined} filename of an event
 * @param {string} own
 * @param {unknown} path
 */
function named(filename, own, path) {
  if (filename == null || `${filename}` !== own) return filename ?? null;
  const base = textOf(path).replace(/\/+$/, '').replace(/^.*\//s, '');
  return typeof filename === 'string' ? base : Buffer.from(base);
}

/**
 * @param {any} error
 * @param {unknown} path
 */
const shown = (error, path) =>
  error?.errno === undefined ? error : errorOf(`${error.errno}\0watch\0\0\x001\0${textOf(path)}`);

/** @param {any} options */
function refuseRecursive(options) {
  if (!options?.recursive) return;
  throw coded(
    Error,
    'ERR_METHOD_NOT_IMPLEMENTED',
    'The watch() method is not implemented for trees: Node watches them by paths',
  );
}

module.exports = { events, watch };
