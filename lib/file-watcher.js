'use strict';
// Node's watchers on what a root has found: by its descriptor, so that whoever renames what is above it changes
// nothing.

const fs = require('node:fs');
const { fileURLToPath } = require('node:url');
const check = require('./arguments.js');
const { coded, errorOf, invalidType } = require('./errors.js');
const { PROC_FDS, hostPathOf } = require('./descriptors.js');
const { watched } = require('./watch.js');

const { Buffer } = globalThis;

const { O_DIRECTORY, O_RDONLY } = fs.constants;
// Captured at load: a program may put other functions in their place.
const { watch: watchOfNode, statfsSync: statfsOfNode } = fs;
const { watch: eventsOfNode } = fs.promises;

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
  const place = placeNow(opener, path);
  try {
    expectProc(path);
    const watcher = watchOfNode(place.path, { ...given, recursive: false });
    const { emit } = watcher;
    watcher.emit = (/** @type {string} */ event, /** @type {any[]} */ ...args) => {
      if (event === 'change') args[1] = named(args[1], place, path);
      if (event === 'error') args[0] = shown(args[0], path);
      return emit.call(watcher, event, ...args);
    };
    if (listener != null) watcher.on('change', listener);
    return watcher;
  } catch (error) {
    throw shown(error, path);
  } finally {
    // The kernel watches the file, and not its descriptor.
    opener.closeSync(place.fd);
  }
}

/**
 * What Node is asked to watch. It is opened as a directory first: to ask what it is might wait.
 *
 * @typedef {{ fd: number, path: string, isDirectory: boolean }} PlaceToWatch
 */

/**
 * @param {number} fd
 * @param {boolean} isDirectory
 * @returns {PlaceToWatch}
 */
const placeOf = (fd, isDirectory) => ({
  fd,
  // No entry of a directory has the name that its own events have then.
  path: isDirectory ? `${hostPathOf(fd)}/.` : hostPathOf(fd),
  isDirectory,
});

/**
 * @param {Opener} opener
 * @param {unknown} path
 */
function placeNow(opener, path) {
  try {
    return placeOf(opener.openSync(path, O_RDONLY | O_DIRECTORY, 'watch'), true);
  } catch (error) {
    if (!isNoDirectory(error)) throw withFilename(error);
  }
  try {
    return placeOf(opener.openSync(path, O_RDONLY, 'watch'), false);
  } catch (error) {
    throw withFilename(error);
  }
}

/**
 * @param {Opener} opener
 * @param {unknown} path
 */
async function placeSoon(opener, path) {
  try {
    return placeOf(await opener.open(path, O_RDONLY | O_DIRECTORY, 'watch'), true);
  } catch (error) {
    if (!isNoDirectory(error)) throw withFilename(error);
  }
  try {
    return placeOf(await opener.open(path, O_RDONLY, 'watch'), false);
  } catch (error) {
    throw withFilename(error);
  }
}

const isNoDirectory = (/** @type {any} */ error) => error.code === 'ENOTDIR';

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
  const place = await placeSoon(opener, path);
  const given = typeof options === 'object' ? { ...options, recursive: false } : options;
  let all;
  let next;
  try {
    expectProc(path);
    all = eventsOfNode(place.path, given);
    // Node begins to watch now. The kernel watches the file, and not its descriptor.
    next = /** @type {any} */ (all).next();
    next.catch(() => {});
  } finally {
    await opener.close(place.fd);
  }
  try {
    for (;;) {
      const { done, value } = await next;
      if (done) return;
      yield { ...value, filename: named(value.filename, place, path) };
      next = /** @type {any} */ (all).next();
    }
  } catch (error) {
    throw shown(error, path);
  } finally {
    await /** @type {any} */ (all).return();
  }
}

/** procfs, as statfs(2) says it. */
const PROC_SUPER_MAGIC = 0x9fa0;

/**
 * Something else that is mounted there would be watched.
 *
 * @param {unknown} path
 */
function expectProc(path) {
  try {
    // Before Node 18.15 it has no such function.
    if (statfsOfNode === undefined || statfsOfNode(PROC_FDS).type === PROC_SUPER_MAGIC) return;
  } catch {}
  throw withFilename(errorOf(`-2\0watch\0\0/proc is not mounted\x001\0${textOf(path)}`));
}

/**
 * The name in an event: of what is watched itself, as Node has it, or of an entry.
 *
 * @param {string | Buffer | null | undefined} filename
 * @param {PlaceToWatch} place
 * @param {unknown} path
 */
function named(filename, { isDirectory }, path) {
  if (filename == null || (isDirectory && `${filename}` !== '.')) return filename ?? null;
  const base = textOf(path).replace(/\/+$/, '').replace(/^.*\//s, '');
  return typeof filename === 'string' ? base : Buffer.from(base);
}

/** @param {any} path a URL of a view, too */
const textOf = (path) => (typeof path?.href === 'string' ? fileURLToPath(path) : check.textOf(path));

/**
 * @param {any} error
 * @param {unknown} path
 */
const shown = (error, path) =>
  error?.errno === undefined
    ? error
    : withFilename(errorOf(`${error.errno}\0watch\0\0\x001\0${textOf(path)}`));

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
