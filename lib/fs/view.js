'use strict';
// `createFs`: an object like `node:fs`, whose paths begin at a root and never leave it.

const fs = require('node:fs');
const { promisify } = require('node:util');
const { coded, invalidType, invalidValue } = require('../errors.js');
const { SandboxRoot } = require('../root.js');
const { handleOf } = require('../handles.js');
const { native } = require('../native.js');
const { Opener } = require('../opener.js');
const streams = require('../streams.js');
const { events, watch } = require('../file-watcher.js');
const { functions, openHandle } = require('./functions.js');
const { learn } = require('./genuine.js');
const { glob, globSync } = require('./glob.js');
const { callBack, callbackOf, callOf, promised, synchronous, withCallback } = require('./styles.js');

const { hasOwn, keys } = Object;
/** Node's functions, as they are at load: a program may put others in their place, those of a view among them. */
const node = { ...fs };

/** @typedef {InstanceType<typeof SandboxRoot>} Root */
/** @typedef {Record<string, any>} View */

/** Node's functions that take descriptors alone, and what has to do with no file. */
const OF_DESCRIPTORS = [
  '_toUnixTimestamp',
  'close',
  'fchmod',
  'fchown',
  'fdatasync',
  'fstat',
  'fsync',
  'ftruncate',
  'futimes',
  'read',
  'readv',
  'write',
  'writev',
];
/** Node's classes that open nothing. */
const CLASSES = ['Dirent', 'Stats'];
/** What a stream calls. */
const CALLED_BY_STREAMS = ['open', 'close', 'read', 'write', 'writev', 'fsync'];
/** Those whose first argument may be a descriptor, or a `FileHandle`: then it is Node's function that is called. */
const ON_DESCRIPTORS_TOO = ['appendFile', 'readFile', 'truncate', 'writeFile'];

/**
 * A `node:fs` whose `/` is a root.
 *
 * @param {unknown} root a `SandboxRoot`, or the path of a directory
 * @param {unknown} [options] those of a `SandboxRoot`, for a path
 * @returns {View}
 */
function createFs(root, options) {
  const isRoot = root instanceof SandboxRoot;
  if (isRoot && options !== undefined) throw invalidType('options', 'undefined with a SandboxRoot', options);
  const top = isRoot ? root : new SandboxRoot(root, options);
  const descriptor = native.descriptor(handleOf(top));
  // A closed one fails in each call.
  if (descriptor >= 0) learn(descriptor);
  return viewOf(top);
}

/**
 * Every key that the running Node has is in it: what a library finds missing it takes from Node.
 *
 * @param {Root} root
 */
function viewOf(root) {
  /** @type {View} */
  const view = {};
  /** @type {View} as it was made: a program may put other functions in it */
  const original = {};
  const own = ownOf(root, view, original);
  for (const key of keys(fs)) view[key] = own[key] ?? takenFrom(/** @type {any} */ (fs), key, `fs.${key}`);
  view.promises = {};
  for (const key of keys(fs.promises)) {
    const name = `fs.promises.${key}`;
    view.promises[key] = own.promises[key] ?? takenFrom(/** @type {any} */ (fs.promises), key, name, refusal);
  }
  Object.assign(original, view);
  return view;
}

/**
 * What the view has of Node: constants, and what opens nothing. Anything else refuses.
 *
 * @param {View} real
 * @param {string} key
 * @param {string} name
 * @param {(name: string) => Function} [refuse] makes the function that says that it is not supported
 */
function takenFrom(real, key, name, refuse = refused) {
  const value = real[key];
  // What a program has put there, or a later Node, may be an object of functions.
  if (typeof value !== 'function') return key === 'constants' || Object(value) !== value ? value : undefined;
  const isOfDescriptors = OF_DESCRIPTORS.includes(key.replace(/Sync$/, '')) && real === fs;
  return isOfDescriptors || CLASSES.includes(key) ? value : refuse(name);
}

/** @param {string} name */
const refusal = (name) => {
  const refuse = refused(name);
  return async () => refuse();
};

/** @param {string} name */
function refused(name) {
  // A class, too, may be what is called.
  return function refuse() {
    throw coded(Error, 'ERR_METHOD_NOT_IMPLEMENTED', `The ${name}() method is not implemented`, refuse);
  };
}

/**
 * What the view has of its own.
 *
 * @param {Root} root
 * @param {View} view that it is for
 * @param {View} original
 * @returns {View}
 */
function ownOf(root, view, original) {
  /** @type {View} */
  const own = {};
  /** @type {View} */
  const promises = {};
  for (const [key, read] of Object.entries(functions)) {
    own[key] = withCallback(root, key, read);
    own[`${key}Sync`] = synchronous(root, `${key}Sync`, read);
    promises[key] = promised(root, key, read);
  }
  for (const key of ON_DESCRIPTORS_TOO) {
    own[key] = orOfDescriptor(own[key], key);
    own[`${key}Sync`] = orOfDescriptor(own[`${key}Sync`], `${key}Sync`);
    promises[key] = orOfHandle(promises[key], key);
  }
  promises.open = promised(root, 'open', openHandle);
  promises.constants = fs.promises.constants;
  // Node's refuses on Linux, too.
  promises.lchmod = refusal('lchmod');
  own.exists = withoutError(own.exists);
  Object.assign(own, disposable(own, promises), globbing(own, promises));
  Object.assign(own, watchersAndStreams(root, view, original, promises));
  own.realpath.native = own.realpath;
  own.realpathSync.native = own.realpathSync;
  own.promises = promises;
  return own;
}

/** @param {unknown} value */
const isDescriptor = (value) => typeof value === 'number';
/**
 * Node does not export the class.
 *
 * @param {any} value
 */
const isFileHandle = (value) =>
  typeof value === 'object' &&
  value !== null &&
  value.constructor?.name === 'FileHandle' &&
  isDescriptor(value.fd);

/**
 * What Node's functions would ignore: that a write is conditional, or a read bounded.
 *
 * @param {unknown[]} args
 */
function refuseOwn(args) {
  for (const options of args) {
    if (typeof options !== 'object' || options === null || ArrayBuffer.isView(options)) continue;
    for (const key of ['atomic', 'ifMatch', 'maxBytes']) {
      const isAsked =
        hasOwn(options, key) && (key === 'ifMatch' || /** @type {any} */ (options)[key] != null);
      if (!isAsked) continue;
      throw invalidValue(`options.${key}`, 'takes a path', /** @type {any} */ (options)[key]);
    }
  }
}

/**
 * A handle does it itself: Node's function might take what only looks like one for a path of the host.
 *
 * @param {Function} ofPath
 * @param {string} key
 */
const orOfHandle = (ofPath, key) =>
  ({
    /** @param {any} handle @param {unknown[]} args */
    async [key](handle, ...args) {
      if (!isFileHandle(handle)) return ofPath(handle, ...args);
      refuseOwn(args);
      return handle[key](...args);
    },
  })[key];

/**
 * @param {Function} ofPath
 * @param {string} key of Node's function
 */
const orOfDescriptor = (ofPath, key) =>
  ({
    /** @param {unknown[]} args */
    [key](...args) {
      if (!isDescriptor(args[0])) return ofPath(...args);
      refuseOwn(args);
      return /** @type {any} */ (node)[key](...args);
    },
  })[key];

/**
 * As Node's, `exists` calls back without an error.
 *
 * @param {Function} asked with an error
 */
function withoutError(asked) {
  /** @type {any} */
  const exists = (/** @type {unknown} */ path, /** @type {unknown} */ callback) => {
    if (typeof callback !== 'function') throw invalidType('cb', 'of type function', callback);
    const answered = (/** @type {unknown} */ error, /** @type {boolean} */ found) =>
      callback(error == null && found);
    asked(path, answered);
  };
  return Object.defineProperty(exists, promisify.custom, {
    value: (/** @type {unknown} */ path) => new Promise((resolve) => exists(path, resolve)),
  });
}

/**
 * @param {View} own
 * @param {View} promises
 */
function disposable({ mkdtempSync, rmSync }, promises) {
  const FOREVER = { recursive: true, force: true };
  if (Symbol.asyncDispose !== undefined) {
    promises.mkdtempDisposable = async (/** @type {any} */ prefix, /** @type {any} */ options) => {
      const path = await promises.mkdtemp(prefix, options);
      const remove = async () => promises.rm(path, FOREVER);
      return { path, remove, [Symbol.asyncDispose]: remove };
    };
  }
  return {
    mkdtempDisposableSync(/** @type {any} */ prefix, /** @type {any} */ options) {
      const path = mkdtempSync(prefix, options);
      const remove = () => rmSync(path, FOREVER);
      return Symbol.dispose === undefined ? { path, remove } : { path, remove, [Symbol.dispose]: remove };
    },
  };
}

/**
 * @param {View} own
 * @param {View} promises
 */
function globbing(own, promises) {
  promises.glob = (/** @type {any} */ pattern, /** @type {any} */ options) =>
    glob(promises, pattern, options);
  return {
    globSync: (/** @type {any} */ pattern, /** @type {any} */ options) => globSync(own, pattern, options),
    glob(/** @type {unknown[]} */ ...args) {
      const { callback, given } = callbackOf(args);
      const all = async () => {
        const found = [];
        for await (const path of glob(promises, given[0], given[1])) found.push(path);
        return found;
      };
      callBack(all(), callback);
    },
  };
}

/**
 * What needs the view alone to open files, and is Node's beyond that.
 *
 * @param {Root} root
 * @param {View} view
 * @param {View} original
 * @param {View} promises
 */
function watchersAndStreams(root, view, original, promises) {
  const opener = new Opener(
    (operations) => callOf(operations, root),
    (call, path) => /** @type {import('./styles.js').ViewCall} */ (call).shown.read(path),
  );
  promises.watch = (/** @type {any} */ path, /** @type {any} */ options) => events(opener, path, options);
  const own = { view, isChanged: () => CALLED_BY_STREAMS.some((key) => view[key] !== original[key]) };
  const ReadStream = streamClass(streams.ReadStream, (path, options, make) =>
    streams.readStream(opener, path, options, make, own),
  );
  const WriteStream = streamClass(streams.WriteStream, (path, options, make) =>
    streams.writeStream(opener, path, options, make, own),
  );
  return {
    Dir: uninstantiable(fs.Dir),
    watch: (/** @type {any} */ path, /** @type {any} */ options, /** @type {any} */ listener) =>
      watch(opener, path, options, listener),
    // Node's can be called with `new`, too.
    createReadStream: /** @type {any} */ (
      function createReadStream(/** @type {any} */ path, /** @type {any} */ options) {
        return new ReadStream(path, options);
      }
    ),
    createWriteStream: /** @type {any} */ (
      function createWriteStream(/** @type {any} */ path, /** @type {any} */ options) {
        return new WriteStream(path, options);
      }
    ),
    ReadStream,
    WriteStream,
    FileReadStream: ReadStream,
    FileWriteStream: WriteStream,
  };
}

/**
 * What `instanceof` asks as Node's class, which opens directories by paths of the host when it is given a handle.
 *
 * @param {any} real
 */
function uninstantiable(real) {
  const made = refused(`fs.${real.name}`);
  Object.defineProperty(made, 'name', { value: real.name });
  made.prototype = real.prototype;
  return made;
}

/**
 * What is called with `new`, without it, or by a class made of it, and what `instanceof` asks, as Node's class.
 *
 * @param {any} real
 * @param {(path: any, options: any, make: (path: any, options: any) => any) => object} create
 */
function streamClass(real, create) {
  /** @type {any} */
  const made = {
    /** @this {any} @param {any} path @param {any} options */
    [real.name]: function stream(path, options) {
      const isMade = this instanceof real;
      return create(path, options, (...args) => {
        if (!isMade) return Reflect.construct(real, args);
        Reflect.apply(real, this, args);
        return this;
      });
    },
  }[real.name];
  Object.defineProperty(made, 'name', { value: real.name });
  made.prototype = real.prototype;
  return Object.setPrototypeOf(made, real);
}

module.exports = { createFs };
