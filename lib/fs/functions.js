'use strict';
// The functions of the view, each written once: its arguments as Node's function has them, checked as Node does, and
// what does it at the root.

const fs = require('node:fs');
const { posix } = require('node:path');
const { promisify } = require('node:util');
const check = require('../arguments.js');
const descriptors = require('../descriptors.js');
const { openDirectory } = require('../directory.js');
const { AbortError, coded, invalidType, invalidValue, isFailure } = require('../errors.js');
/** @type {Record<string, any>} */
const methods = require('../methods.js');
const { native } = require('../native.js');
const results = require('../results.js');
const { watched } = require('../watch.js');
const { direntOf, statfsOf, statsOf } = require('./genuine.js');

const { Buffer } = globalThis;
const { COPYFILE_EXCL, COPYFILE_FICLONE, COPYFILE_FICLONE_FORCE, O_RDONLY } = fs.constants;

/** @typedef {import('./styles.js').Read} Read */
/** @typedef {import('./styles.js').ViewCall} ViewCall */
/** @typedef {Record<string, any>} Options */

// ---- Arguments, as Node checks them ----

/**
 * Copies own options only. An inherited one may be set by other code, and could decide what is removed.
 *
 * @param {object} value
 * @returns {Options}
 */
const ownOf = (value) => Object.assign(Object.create(null), value);

/**
 * The options of a function, for which an encoding may stand.
 *
 * @param {any} value
 * @returns {Options}
 */
function optionsOf(value) {
  if (value == null || typeof value === 'function') return ownOf({});
  if (typeof value === 'string') return ownOf({ encoding: value });
  if (typeof value === 'object') return ownOf(value);
  throw invalidType('options', 'of type string or an instance of Object', value);
}

/**
 * @param {any} value
 * @returns {Options}
 */
function objectOf(value) {
  if (value === undefined) return ownOf({});
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return ownOf(value);
  throw invalidType('options', 'of type object', value);
}

/** Those that are there, of the ones that a method of the root knows. */
const only = (/** @type {Options} */ options, /** @type {string[]} */ known) =>
  Object.fromEntries(known.filter((key) => options[key] != null).map((key) => [key, options[key]]));

/**
 * @param {Options} options
 * @returns {BufferEncoding | 'buffer'}
 */
const encodingOf = ({ encoding }) => check.encodingOfNode(encoding, 'utf8');

/**
 * A name as the caller wants it.
 *
 * @param {Buffer} name
 * @param {BufferEncoding | 'buffer'} encoding
 */
const told = (name, encoding) => (encoding === 'buffer' ? name : name.toString(encoding));

/**
 * @param {any} value
 * @param {string} key
 * @param {boolean} [byDefault]
 */
function flag(value, key, byDefault = false) {
  if (value === null) throw invalidType(`options.${key}`, 'of type boolean', value);
  return check.flag(value, `options.${key}`, byDefault);
}

/** Node's own: seconds since the epoch. */
const { _toUnixTimestamp: secondsOf } = /** @type {any} */ (fs);

/**
 * Nanoseconds, in the microseconds that libuv sets.
 *
 * @param {any} value seconds, or a Date
 */
function timeOf(value) {
  const time = secondsOf(value);
  if (!Number.isFinite(time)) throw invalidValue('time', 'must be finite', value);
  const seconds = Math.trunc(time);
  const micros = Math.trunc((time - seconds) * 1e6);
  return BigInt(seconds) * 1_000_000_000n + BigInt(micros) * 1000n;
}

/** The names of `fs.open`'s flags, or a number. */
const flagsOf = (/** @type {any} */ value, name = 'flags') => check.openFlags(value, name, O_RDONLY);

// ---- Files that are open ----

/**
 * Opens a file, has Node do something with its descriptor, and closes it.
 *
 * @param {string | Uint8Array} at
 * @param {number} flags
 * @param {number} mode
 * @param {(fd: number) => any} work
 * @returns {import('../call.js').Several}
 */
const withDescriptor =
  (at, flags, mode, work) =>
  ({ perform, go }) =>
    go(
      (function* () {
        const fd = yield perform(({ native, root }) => native.openLent(root, at, flags, mode));
        try {
          return yield work(fd);
        } finally {
          yield perform(({ native, root }) => native.closeLent(root, fd));
        }
      })(),
    );

// Captured at load: a program may put others in their place.
const readNow = fs.readFileSync;
const readSoon = promisify(fs.readFile);

/** @type {Record<string, Read>} */
const contents = {
  open(call, path, flags, mode) {
    const at = call.shown.read(path);
    return call.native.open(call.root, at, flagsOf(flags), check.modeOfNode(mode, 'mode', 0o666));
  },

  readFile(call, path, options) {
    const given = optionsOf(options);
    const encoding = check.encodingOfNode(given.encoding, 'buffer');
    const at = call.shown.read(path);
    const flags = flagsOf(given.flag, 'options.flag');
    if (flags === O_RDONLY) {
      const known = only(given, ['maxBytes', 'signal']);
      startLater(call, given.signal);
      return methods.readFile(call, at, { ...known, encoding });
    }
    if (given.maxBytes != null) {
      throw invalidValue('options.maxBytes', "takes no 'flag' but 'r'", given.maxBytes);
    }
    const read = call.isSync ? readNow : readSoon;
    const how = /** @type {any} */ (only(given, ['encoding', 'signal']));
    return withDescriptor(at, flags, 0o666, (fd) => read(fd, how));
  },

  writeFile: (call, path, data, options) => write(call, methods.writeFile, path, data, options),

  appendFile: (call, path, data, options) => write(call, methods.appendFile, path, data, options),

  truncate(call, path, len) {
    const at = call.shown.read(path);
    const size =
      len === undefined ? 0 : check.integer(len, 'len', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    return methods.truncate(call, at, Math.max(0, size));
  },

  copyFile(call, src, dest, mode) {
    const from = call.shown.read(src, 'src');
    const at = call.shown.read(dest, 'dest');
    const how = mode == null ? 0 : check.integer(mode, 'mode', 0, 7);
    return methods.copyFile(call, from, at, undefined, copiedWith(how));
  },
};

/**
 * @param {ViewCall} call
 * @param {Function} method of the root
 * @param {any} path
 * @param {any} data
 * @param {any} options
 */
function write(call, method, path, data, options) {
  const given = optionsOf(options);
  const at = call.shown.read(path);
  const known = only(given, ['encoding', 'flag', 'flush', 'signal', 'atomic']);
  // What is no version is refused: the write would be unconditional.
  if ('ifMatch' in given) known.ifMatch = given.ifMatch;
  const mode = given.mode == null ? undefined : check.modeOfNode(given.mode, 'mode');
  check.encodingOfNode(given.encoding, 'utf8');
  startLater(call, given.signal);
  return method(call, at, data, { ...known, mode });
}

/**
 * Has the content be read or written in the next turn, if a signal can stop it: as with Node, which opens the file
 * first, an abort in this turn stops it.
 *
 * @param {ViewCall} call
 * @param {any} signal
 */
function startLater(call, signal) {
  if (signal == null || call.isSync) return;
  const { readFile, writeFile } = call.native;
  call.native = { ...call.native, readFile: later(readFile, signal), writeFile: later(writeFile, signal) };
}

/** @param {any} start @param {AbortSignal} signal */
const later =
  (start, signal) =>
  async (/** @type {unknown[]} */ ...args) => {
    await new Promise((resolve) => setImmediate(resolve));
    if (signal.aborted) throw new AbortError(signal.reason);
    const answer = start(...args);
    // In the words of a rejection.
    if (isFailure(answer)) throw native.failure();
    return answer;
  };

/**
 * The mode of Node's `copyFile` and `cp` in our options.
 *
 * @param {number} mode
 */
const copiedWith = (mode) => ({
  exclusive: (mode & COPYFILE_EXCL) !== 0,
  reflink:
    (mode & COPYFILE_FICLONE_FORCE) !== 0 ? 'always' : (mode & COPYFILE_FICLONE) !== 0 ? 'auto' : undefined,
});

// ---- What a file is ----

/**
 * @param {boolean} follows
 * @returns {Read}
 */
const describe = (follows) => (call, path, options) => {
  // Node checks their type in few of its ways and releases, and programs rely on that: `lstat(path, true, callback)`.
  const given = ownOf(options ?? {});
  const bigint = Boolean(given.bigint);
  const throws = given.throwIfNoEntry ?? true;
  const at = call.shown.read(path);
  call.result = (answer) => (answer === false ? undefined : statsOf(answer, bigint));
  call.follow(watched({ signal: given.signal }));
  return call.native.statx(call.root, results.shared, at, follows, true, Boolean(throws));
};

/**
 * @param {string} name of the method
 * @returns {Read}
 */
const chown = (name) => (call, path, uid, gid) => {
  const at = call.shown.read(path);
  return methods[name](call, at, uid, gid);
};

/**
 * @param {string} name of the method
 * @returns {Read}
 */
const utimes = (name) => (call, path, atime, mtime) => {
  const at = call.shown.read(path);
  return methods[name](call, at, timeOf(atime), timeOf(mtime));
};

/** @type {Record<string, Read>} */
const metadata = {
  stat: describe(true),
  lstat: describe(false),
  chown: chown('chown'),
  lchown: chown('lchown'),
  utimes: utimes('utimes'),
  lutimes: utimes('lutimes'),

  statfs(call, path, options) {
    const bigint = Boolean(options?.bigint);
    const at = call.shown.read(path);
    call.result = (answer) => statfsOf(answer, bigint);
    return call.native.statfs(call.root, results.shared, at, true);
  },

  access(call, path, mode) {
    return methods.access(call, call.shown.read(path), mode);
  },

  /** What is no path does not exist. */
  exists(call, path) {
    let at = /** @type {string | Uint8Array} */ ('');
    try {
      at = call.shown.read(path);
    } catch {}
    return methods.exists(call, at);
  },

  chmod(call, path, mode) {
    const at = call.shown.read(path);
    return methods.chmod(call, at, check.modeOfNode(mode, 'mode'));
  },

  realpath(call, path, options) {
    const encoding = encodingOf(optionsOf(options));
    const at = call.shown.read(path);
    call.result = (/** @type {Buffer} */ own) =>
      told(own.length === 1 && own[0] === DOT ? SLASH : Buffer.concat([SLASH, own]), encoding);
    return call.native.realpath(call.root, at, true);
  },
};

const SLASH = Buffer.from('/');
const DOT = 0x2e;

// ---- Names ----

/**
 * A warning that is given once.
 *
 * @param {[message: string, type?: string, code?: string]} warning
 */
function once(...warning) {
  let isGiven = false;
  return () => {
    if (!isGiven) process.emitWarning(.../** @type {[string]} */ (/** @type {unknown} */ (warning)));
    isGiven = true;
  };
}

const warnOfX = once(
  'mkdtemp() templates ending with X are not portable. For details see: https://nodejs.org/api/fs.html',
);
const warnOfRecursive = once(
  'In future versions of Node.js, fs.rmdir(path, { recursive: true }) will be removed. ' +
    'Use fs.rm(path, { recursive: true }) instead',
  'DeprecationWarning',
  'DEP0147',
);

const MAJOR = Number(process.versions.node.split('.', 1)[0]);
/** Whether Node's `rmdir` removes trees. */
const HAS_RECURSIVE_RMDIR = MAJOR < 26;

/** @type {Record<string, Read>} */
const names = {
  mkdir(call, path, options) {
    const isMode = typeof options === 'number' || typeof options === 'string';
    const { recursive, mode } = ownOf(isMode ? { mode: options } : (options ?? {}));
    const at = call.shown.read(path);
    const isRecursive = flag(recursive, 'recursive');
    const made = check.modeOfNode(mode, 'mode', 0o777);
    if (isRecursive) {
      // As Node says it: absolute.
      call.result = (first) => (first === undefined ? undefined : `/${first}`);
    }
    return call.native.mkdir(call.root, at, isRecursive, made);
  },

  mkdtemp(call, prefix, options) {
    const encoding = encodingOf(optionsOf(options));
    const at = call.shown.prefix(prefix, 'prefix');
    if (call.shown.text(0).endsWith('X')) warnOfX();
    const above = call.shown.given(0);
    call.result = (/** @type {Buffer} */ own) => told(Buffer.concat([above, own.subarray(-6)]), encoding);
    return call.native.mkdtemp(call.root, at, true);
  },

  rename(call, oldPath, newPath) {
    const from = call.shown.read(oldPath, 'oldPath');
    const dest = call.shown.read(newPath, 'newPath');
    return methods.rename(call, from, dest);
  },

  link(call, existingPath, newPath) {
    const from = call.shown.read(existingPath, 'existingPath');
    const dest = call.shown.read(newPath, 'newPath');
    return methods.link(call, from, dest);
  },

  /** The target is stored as it is given. */
  symlink(call, target, path, type) {
    if (type != null && !['dir', 'file', 'junction'].includes(type)) throw invalidLinkType(type);
    const text = call.shown.target(target);
    const at = call.shown.read(path);
    return methods.symlink(call, text, at);
  },

  readlink(call, path, options) {
    const encoding = encodingOf(optionsOf(options));
    const at = call.shown.read(path);
    call.result = (/** @type {Buffer} */ text) => told(text, encoding);
    return call.native.readlink(call.root, at, true);
  },

  unlink(call, path) {
    return methods.unlink(call, call.shown.read(path));
  },

  rmdir(call, path, options) {
    const { recursive } = objectOf(options);
    if (!HAS_RECURSIVE_RMDIR && recursive !== undefined) {
      throw invalidValue('options.recursive', 'is no longer supported', recursive);
    }
    const isRecursive = flag(recursive, 'recursive');
    const at = call.shown.read(path);
    if (!isRecursive) return methods.rmdir(call, at);
    warnOfRecursive();
    return removeDirectory(call.shown, at);
  },
};

/**
 * Removes a directory with all that is in it. Anything else is refused, as by Node.
 *
 * @param {ViewCall['shown']} shown
 * @param {string | Uint8Array} at
 * @returns {import('../call.js').Several}
 */
const removeDirectory =
  (shown, at) =>
  ({ perform, go }) =>
    go(
      (function* () {
        shown.syscall = 'lstat';
        const isDirectory = yield perform((call) => {
          call.result = (answer) => statsOf(answer, false).isDirectory();
          return call.native.statx(call.root, results.shared, at, false, true, true);
        });
        shown.syscall = 'rmdir';
        return yield perform((call) =>
          isDirectory ? methods.rm(call, at, true, false) : methods.rmdir(call, at),
        );
      })(),
    );

/** @param {unknown} type */
const invalidLinkType = (type) =>
  MAJOR < 24
    ? coded(
        Error,
        'ERR_FS_INVALID_SYMLINK_TYPE',
        `Symlink type must be one of "dir", "file", or "junction". Received "${type}"`,
      )
    : invalidValue('type', "must be one of: 'dir', 'file', 'junction', null, undefined", type);

// ---- Trees ----

/** @type {Record<string, Read>} */
const trees = {
  readdir(call, path, options) {
    const given = optionsOf(options);
    const encoding = encodingOf(given);
    const recursive = flag(given.recursive ?? undefined, 'recursive');
    const at = call.shown.read(path);
    const typed = Boolean(given.withFileTypes);
    const list = call.native.readdir;
    if (!typed) {
      const isText = encoding === 'utf8';
      call.result = (answer) => {
        const found = results.names(answer, !isText);
        return isText || encoding === 'buffer'
          ? found
          : found.map((name) => told(/** @type {any} */ (name), encoding));
      };
      return list(call.root, at, !isText, recursive, false, undefined);
    }
    call.result = (answer) =>
      results
        .entries(answer, true)
        .map(({ name, parentPath, type }) =>
          direntOf(
            told(/** @type {Buffer} */ (name), encoding),
            `${type}`,
            call.shown.shown(`${parentPath}`),
          ),
        );
    return list(call.root, at, true, recursive, true, undefined);
  },

  opendir(call, path, options) {
    const given = optionsOf(options);
    const encoding = encodingOf(given);
    const recursive = flag(given.recursive ?? undefined, 'recursive');
    if (given.bufferSize !== undefined) check.integer(given.bufferSize, 'options.bufferSize', 1, 2 ** 32 - 1);
    const at = call.shown.read(path);
    call.shown.syscall = 'opendir';
    const shownPath = (/** @type {string} */ own) => call.shown.shown(own);
    return openDirectory(at, { path: call.shown.text(0), shownPath, encoding }, recursive);
  },

  rm(call, path, options) {
    const given = objectOf(options);
    const at = call.shown.read(path);
    const recursive = flag(given.recursive, 'recursive');
    const force = flag(given.force, 'force');
    // Nothing is tried again, but they are checked as by Node.
    for (const key of ['maxRetries', 'retryDelay']) {
      if (given[key] !== undefined) check.integer(given[key], `options.${key}`, 0, 2 ** 32 - 1);
    }
    call.shown.codes = { EISDIR: ['ERR_FS_EISDIR', 'Path is a directory', 'is a directory'] };
    return methods.rm(call, at, recursive, force);
  },

  cp(call, src, dest, options) {
    const given = objectOf(options);
    const from = call.shown.read(src, 'src');
    const at = call.shown.read(dest, 'dest');
    const mode = given.mode == null ? 0 : check.integer(given.mode, 'mode', 0, 7);
    const { filter } = given;
    if (filter !== undefined && typeof filter !== 'function') {
      throw invalidType('options.filter', 'of type function', filter);
    }
    const known = only(given, KNOWN_OF_CP);
    call.shown.codes = given.recursive ? ERRORS_OF_CP : { ...ERRORS_OF_CP, EISDIR: NOT_RECURSIVE };
    const wanted =
      filter &&
      ((/** @type {string} */ a, /** @type {string} */ b) =>
        filter(call.shown.shown(a, 0), call.shown.shown(b, 1)));
    const how = { ...known, reflink: copiedWith(mode).reflink, filter: wanted };
    const above = parentOf(at);
    return (/** @type {import('../call.js').How} */ { perform, go }) =>
      go(
        (function* () {
          // What is missing above the copy is made, if there is something to be copied.
          if (!(yield perform(({ native, root }) => native.exists(root, above)))) {
            yield perform(({ native, root }) => native.statx(root, results.shared, from, false, true, true));
            yield perform(({ native, root }) => native.mkdir(root, above, true, 0o777));
          }
          return yield perform((call) => methods.cp(call, from, at, how));
        })(),
      );
  },
};

/**
 * The directory that a name is in.
 *
 * @param {string | Uint8Array} at
 */
function parentOf(at) {
  if (typeof at === 'string') return posix.dirname(at);
  return Buffer.from(posix.dirname(Buffer.from(at).toString('latin1')), 'latin1');
}

/** @type {Record<string, [code: string, text: string]>} */
const ERRORS_OF_CP = {
  EEXIST: ['ERR_FS_CP_EEXIST', 'Target already exists'],
  EINVAL: ['ERR_FS_CP_EINVAL', 'Invalid src or dest'],
  EISDIR: ['ERR_FS_CP_NON_DIR_TO_DIR', 'Cannot overwrite directory with non-directory'],
  ENOTDIR: ['ERR_FS_CP_DIR_TO_NON_DIR', 'Cannot overwrite non-directory with directory'],
};
/** @type {[code: string, text: string]} */
const NOT_RECURSIVE = ['ERR_FS_EISDIR', 'Recursive option not enabled, cannot copy a directory'];
const KNOWN_OF_CP = ['recursive', 'force', 'errorOnExist', 'preserveTimestamps', 'dereference'];

/**
 * Node's `FileHandle`: of promises alone.
 *
 * @type {Read}
 */
const openHandle = (call, path, flags, mode) => {
  const at = call.shown.read(path);
  const how = flagsOf(flags);
  const made = check.modeOfNode(mode, 'mode', 0o666);
  return descriptors.openHandle({ at, flags: how, mode: made, path: call.shown.text(0) });
};

module.exports = { functions: { ...contents, ...metadata, ...names, ...trees }, openHandle };
