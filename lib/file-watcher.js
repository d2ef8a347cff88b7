'use strict';
// Node's watchers on what a root has found: by its descriptor, so that whoever renames what is above it changes
// nothing.

const fs = require('node:fs');
const check = require('./arguments.js');
const { coded, errorOf, invalidType } = require('./errors.js');
const { hostPathOf } = require('./descriptors.js');
const { watched } = require('./watch.js');

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
  const given = typeof options === 'string' ? { encoding: options } : (options ?? {});
  checkOptions(given);
  const fd = openAt(opener, path);
  try {
    const place = placeOf(fd);
    const watcher = fs.watch(place.path, { ...given, recursive: false });
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
    opener.closeSync(fd);
  }
}

/**
 * @param {Opener} opener
 * @param {unknown} path
 */
function openAt(opener, path) {
  try {
    return opener.openSync(path, O_RDONLY, 'watch');
  } catch (error) {
    throw withFilename(error);
  }
}

/**
 * The events of `watch`, as an iterator.
 *
 * @param {Opener} opener
 * @param {unknown} path
 * @param {any} [options] Node's
 */
async function* events(opener, path, options = {}) {
  checkOptions(options);
  watched({ signal: options.signal });
  const fd = await opener.open(path, O_RDONLY, 'watch').catch((error) => Promise.reject(withFilename(error)));
  try {
    const place = placeOf(fd);
    const given = typeof options === 'object' ? { ...options, recursive: false } : options;
    for await (const event of fs.promises.watch(place.path, given)) {
      yield { ...event, filename: named(/** @type {any} */ (event.filename), place.name, path) };
    }
  } catch (error) {
    throw shown(error, path);
  } finally {
    await opener.close(fd);
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
  const base = check.textOf(path).replace(/\/+$/, '').replace(/^.*\//s, '');
  return typeof filename === 'string' ? base : Buffer.from(base);
}

/**
 * @param {any} error
 * @param {unknown} path
 */
const shown = (error, path) =>
  error?.errno === undefined
    ? error
    : withFilename(errorOf(`${error.errno}\0watch\0\0\x001\0${check.textOf(path)}`));

/**
 * As Node's errors of a watcher.
 *
 * @param {any} error
 */
const withFilename = (error) => {
  if (error.path !== undefined) error.filename = error.path;
  return error;
};

/** @param {any} options */
function checkOptions(options) {
  if (typeof options !== 'object' || options === null) {
    throw invalidType('options', 'of type string or an instance of Object', options);
  }
  check.flag(options.persistent, 'options.persistent');
  check.encodingOfNode(options.encoding, 'utf8');
  if (!check.flag(options.recursive, 'options.recursive')) return;
  throw coded(
    Error,
    'ERR_METHOD_NOT_IMPLEMENTED',
    'The watch() method is not implemented for trees: Node watches them by paths',
  );
}

module.exports = { events, watch };
