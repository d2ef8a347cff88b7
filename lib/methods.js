'use strict';
// Every method that has a promise. A method checks its arguments, and has the native side do it.

const { constants } = require('node:fs');
const check = require('./arguments.js');
const { invalidType, invalidValue } = require('./errors.js');
const { copyFiltered } = require('./filter.js');
const { policyOf, second } = require('./handles.js');
const results = require('./results.js');
const { spanOf } = require('./views.js');
const { watched } = require('./watch.js');

/** @typedef {import('./call.js').Method} Method */

// ---- Options: those that each method has ----

const NAMES = ['encoding', 'signal'];
const TWO_ROOTS = ['to', 'signal'];
const SYMLINK = ['beneath', 'signal'];
const STAT = ['bigint', 'throwIfNoEntry', 'version', 'signal'];
const STATFS = ['bigint', 'signal'];
const READ = ['encoding', 'maxBytes', 'flag', 'signal'];
const APPEND = ['encoding', 'mode', 'flag', 'flush', 'signal'];
const WRITE = [...APPEND, 'atomic', 'ifMatch'];
const COPY_FILE = ['exclusive', 'reflink', 'to', 'signal', 'onProgress'];
const READDIR = ['encoding', 'recursive', 'withFileTypes', 'signal', 'onProgress'];
const OPENDIR = ['encoding', 'recursive', 'signal'];
const REMOVE = ['signal', 'onProgress'];
const MOVE = ['overwrite', 'flush', 'to', 'signal', 'onProgress'];
const COPY = [
  'to',
  'recursive',
  'force',
  'errorOnExist',
  'filter',
  'preserve',
  'preserveTimestamps',
  'verbatimSymlinks',
  'dereference',
  'reflink',
  'ignoreVanished',
  'atomic',
  'signal',
  'onProgress',
];

/** What Node's functions have, too, and what it does no harm to ignore. */
const REMOVE_OF_NODE = ['maxRetries', 'retryDelay'];
const COPY_OF_NODE = ['mode'];
const OPENDIR_OF_NODE = ['bufferSize'];

// ---- Names: making, removing, renaming and linking ----

/**
 * The root that the second name is beneath, if that is another one.
 *
 * @param {import('./call.js').Call} call
 * @param {unknown} options
 */
function otherRoot(call, options) {
  if (options === undefined) return undefined;
  const given = check.options(options, TWO_ROOTS);
  const to = second(given);
  call.follow(watched(given));
  return to;
}

/**
 * Whether the name that comes back is a Buffer.
 *
 * @param {import('./call.js').Call} call
 * @param {unknown} options
 */
function isNameAsBuffer(call, options) {
  if (options === undefined) return false;
  const given = check.optionsOrEncoding(options, NAMES);
  const asBuffer = check.asBuffers(given.encoding);
  call.follow(watched(given));
  return asBuffer;
}

/**
 * @param {boolean} overwrite whether it replaces what exists
 * @returns {Method}
 */
const renameWith = (overwrite) => (call, oldPath, newPath, options) => {
  const from = check.path(oldPath, 'oldPath');
  const dest = check.path(newPath, 'newPath');
  const to = otherRoot(call, options);
  return call.native.rename(call.root, from, dest, overwrite, to);
};

/** @type {Record<string, Method>} */
const entries = {
  mkdir(call, path, recursive, mode) {
    const at = check.path(path, 'path');
    const isRecursive = check.flag(recursive, 'recursive');
    const made = check.modeOr(mode, 'mode', 0o755);
    // Which directory was made first.
    if (isRecursive) call.result = () => undefined;
    return call.native.mkdir(call.root, at, isRecursive, made);
  },

  unlink(call, path) {
    const at = check.path(path, 'path');
    return call.native.unlink(call.root, at);
  },

  rmdir(call, path) {
    const at = check.path(path, 'path');
    return call.native.rmdir(call.root, at);
  },

  remove(call, path) {
    const at = check.path(path, 'path');
    return call.native.remove(call.root, at);
  },

  mkfifo(call, path, mode) {
    const at = check.path(path, 'path');
    const made = check.modeOr(mode, 'mode', 0o666);
    return call.native.mkfifo(call.root, at, made);
  },

  rename: renameWith(true),

  renameNoReplace: renameWith(false),

  exchange(call, a, b) {
    const one = check.path(a, 'a');
    const other = check.path(b, 'b');
    return call.native.exchange(call.root, one, other);
  },

  link(call, oldPath, newPath, options) {
    const from = check.path(oldPath, 'oldPath');
    const dest = check.path(newPath, 'newPath');
    const to = otherRoot(call, options);
    return call.native.link(call.root, from, dest, to);
  },

  symlink(call, target, newPath, options) {
    const text = check.path(target, 'target');
    const at = check.path(newPath, 'newPath');
    const given = check.options(options, SYMLINK);
    const beneath = check.flag(given.beneath, 'options.beneath');
    call.follow(watched(given));
    return call.native.symlink(call.root, text, at, beneath);
  },

  readlink(call, path, options) {
    const at = check.path(path, 'path');
    const asBuffer = isNameAsBuffer(call, options);
    return call.native.readlink(call.root, at, asBuffer);
  },

  mkdtemp(call, prefix, options) {
    const at = check.path(prefix, 'prefix');
    const asBuffer = isNameAsBuffer(call, options);
    return call.native.mkdtemp(call.root, at, asBuffer);
  },
};

// ---- What a file is: its `stat`, its permissions, owners and times ----

/**
 * @param {boolean} follows whether it goes on from a symlink to what that leads to
 * @returns {Method}
 */
const describe = (follows) => (call, path, options) => {
  const at = check.path(path, 'path');
  if (options === undefined) {
    call.result = results.stats;
    return call.native.stat(call.root, results.shared, at, follows, false, true);
  }
  const given = check.options(options, STAT);
  const bigint = check.flag(given.bigint, 'options.bigint');
  const throws = check.flag(given.throwIfNoEntry, 'options.throwIfNoEntry', true);
  const version = check.flag(given.version, 'options.version');
  call.follow(watched(given));
  call.result = (answer) => {
    if (answer === false) return undefined;
    if (version) return results.versioned(answer, bigint);
    return bigint ? results.bigStats(answer) : results.stats(answer);
  };
  return call.native.stat(call.root, results.shared, at, follows, bigint || version, throws, version);
};

/**
 * @param {boolean} follows as above
 * @returns {Method}
 */
const chown = (follows) => (call, path, uid, gid) => {
  const at = check.path(path, 'path');
  const user = check.id(uid, 'uid');
  const group = check.id(gid, 'gid');
  return call.native.chown(call.root, at, follows, user, group);
};

/**
 * @param {boolean} follows as above
 * @returns {Method}
 */
const utimes = (follows) => (call, path, atimeNs, mtimeNs) => {
  const at = check.path(path, 'path');
  const accessed = check.time(atimeNs, 'atimeNs');
  const modified = check.time(mtimeNs, 'mtimeNs');
  return call.native.utimes(call.root, at, follows, accessed, modified);
};

/** @type {Record<string, Method>} */
const metadata = {
  stat: describe(true),

  lstat: describe(false),

  statfs(call, path, options) {
    const at = check.path(path, 'path');
    const given = check.options(options, STATFS);
    const bigint = check.flag(given.bigint, 'options.bigint');
    call.follow(watched(given));
    call.result = (answer) => results.statfs(answer, bigint);
    return call.native.statfs(call.root, results.shared, at, bigint);
  },

  exists(call, path) {
    let at = /** @type {string | Uint8Array} */ ('');
    try {
      at = check.path(path, 'path');
    } catch {
      // As with Node, what is no path does not exist, as the empty path does not.
    }
    return call.native.exists(call.root, at);
  },

  access(call, path, mode) {
    const at = check.path(path, 'path');
    const asked = mode == null ? 0 : check.integer(mode, 'mode', 0, 7);
    return call.native.access(call.root, at, asked);
  },

  chmod(call, path, mode) {
    const at = check.path(path, 'path');
    const bits = check.mode(mode, 'mode');
    return call.native.chmod(call.root, at, bits);
  },

  chown: chown(true),

  lchown: chown(false),

  utimes: utimes(true),

  lutimes: utimes(false),

  realpath(call, path, options) {
    const at = check.path(path, 'path');
    const asBuffer = isNameAsBuffer(call, options);
    return call.native.realpath(call.root, at, asBuffer);
  },
};

// ---- What is in a file ----

const { Buffer } = globalThis;
const { isView } = ArrayBuffer;
const { O_RDONLY, O_WRONLY, O_CREAT, O_TRUNC, O_APPEND, O_EXCL, O_DIRECTORY } = constants;
/** Node has no names for these. */
const O_PATH = 0o10000000;
const O_TMPFILE = 0o20000000 | O_DIRECTORY;

/** What `readFile` reads at the most unless told otherwise, in bytes: as Node. */
const MOST_READ = 2 ** 31 - 1;

const REFLINKS = ['auto', 'always', 'never'];

/** What a promise writes at once at the most, in bytes: the calling thread copies it. */
const CHUNK = 512 << 10;
/** More of a character of a string than becomes of it, in bytes. */
const OF_A_CHARACTER = 3;

/**
 * What is to be written: text in UTF-8, or bytes.
 *
 * @param {string | ArrayBufferView} data
 * @param {string} encoding
 * @returns {string | ArrayBufferView}
 */
function dataOf(data, encoding) {
  if (typeof data !== 'string' || encoding === 'utf8') return data;
  return Buffer.from(data, /** @type {BufferEncoding} */ (encoding));
}

/**
 * Whether `data` is written in chunks by a promise, since it is long or comes bit by bit.
 *
 * @param {string | ArrayBufferView | Iterable<unknown> | AsyncIterable<unknown>} data
 */
function isInChunks(data) {
  if (typeof data === 'string') return data.length * OF_A_CHARACTER > CHUNK;
  if (!isView(data)) return true;
  try {
    return spanOf(data).byteLength > CHUNK;
  } catch {
    // Its memory is gone: the native side says so.
    return false;
  }
}

/**
 * Whether it can be asked for bit by bit.
 *
 * @param {any} data
 */
const isIterable = (data) =>
  typeof data === 'object' &&
  data !== null &&
  (typeof data[Symbol.asyncIterator] === 'function' || typeof data[Symbol.iterator] === 'function');

/**
 * @param {unknown} data
 * @returns {never}
 */
function refuseData(data) {
  throw invalidType('data', 'of type string or an instance of Buffer, TypedArray, or DataView', data);
}

/**
 * The options of `writeFile` and `appendFile`.
 *
 * @param {unknown} options
 * @param {readonly string[]} known
 * @param {number} byDefault how the file is opened
 */
function writeOptions(options, known, byDefault) {
  const given = check.optionsOrEncoding(options, known);
  const encoding = check.encoding(given.encoding, 'utf8');
  if (encoding === 'buffer') throw invalidValue('encoding', 'is invalid encoding', encoding);
  const flags = check.openFlags(given.flag, 'options.flag', byDefault);
  const mode = given.mode == null ? undefined : check.mode(given.mode, 'options.mode');
  const atomic = check.flag(given.atomic, 'options.atomic');
  const flush = check.flag(given.flush, 'options.flush');
  const version = 'ifMatch' in given ? check.version(given.ifMatch, 'options.ifMatch') : undefined;
  // With these nothing is written, or a file without a name.
  if ((flags & (O_PATH | O_TMPFILE)) !== 0) throw invalidValue('options.flag', 'is invalid', given.flag);
  if (atomic && (flags & ~O_EXCL) !== (O_WRONLY | O_CREAT | O_TRUNC)) {
    throw invalidValue('options.atomic', "cannot be true unless 'flag' is 'w' or 'wx'", atomic);
  }
  if (version !== undefined && (!atomic || (flags & O_EXCL) !== 0)) {
    throw invalidValue('options.ifMatch', "takes 'atomic', and no 'wx'", given.ifMatch);
  }
  return { encoding, flags, mode, atomic, flush, version, watching: watched(given) };
}

/**
 * @param {number} byDefault how the file is opened
 * @param {readonly string[]} known its options
 * @returns {Method}
 */
function writeWith(byDefault, known) {
  const usual = writeOptions(undefined, known, byDefault);
  return (call, path, data, options) => {
    const at = check.path(path, 'path');
    const how = options === undefined ? usual : writeOptions(options, known, byDefault);
    const isWhole = typeof data === 'string' || isView(data);
    if (!isWhole && !isIterable(data)) refuseData(data);
    if (!call.isSync && isInChunks(data)) {
      const { inChunks } = require('./chunks.js');
      return inChunks({ at, data, size: CHUNK, ...how });
    }
    if (!isWhole) refuseData(data);
    const { encoding, flags, mode, atomic, flush, version } = how;
    const bytes = dataOf(data, encoding);
    const watch = call.follow(how.watching);
    return call.native.writeFile(call.root, at, bytes, flags, mode, atomic, flush, version, watch);
  };
}

/** @param {string} encoding */
const textIn = (encoding) => (/** @type {string | Buffer} */ content) =>
  typeof content === 'string' ? content : content.toString(/** @type {BufferEncoding} */ (encoding));

/** @type {Record<string, Method>} */
const contents = {
  open(call, path, flags, mode) {
    const at = check.path(path, 'path');
    const how = check.openFlags(flags, 'flags', O_RDONLY);
    const made = check.modeOr(mode, 'mode', 0o666);
    return call.native.open(call.root, at, how, made);
  },

  openRead(call, path) {
    const at = check.path(path, 'path');
    return call.native.open(call.root, at, O_RDONLY, 0);
  },

  openWrite(call, path, create, truncate, append, mode) {
    const at = check.path(path, 'path');
    const creates = check.flag(create, 'create');
    const truncates = check.flag(truncate, 'truncate');
    const appends = check.flag(append, 'append');
    const made = check.modeOr(mode, 'mode', 0o666);
    if (truncates && appends) throw invalidValue('truncate', "cannot be true with 'append'", truncate);
    const how = O_WRONLY | (creates ? O_CREAT : 0) | (truncates ? O_TRUNC : 0) | (appends ? O_APPEND : 0);
    return call.native.open(call.root, at, how, made);
  },

  readFile(call, path, options) {
    const at = check.path(path, 'path');
    const given = check.optionsOrEncoding(options, READ);
    const encoding = check.encoding(given.encoding, 'buffer');
    if (given.flag != null && given.flag !== 'r')
      throw invalidValue('options.flag', "must be 'r'", given.flag);
    const most = given.maxBytes == null ? MOST_READ : check.length(given.maxBytes, 'options.maxBytes');
    const asBuffer = encoding !== 'utf8';
    if (encoding !== 'buffer') call.result = textIn(encoding);
    const watch = call.follow(watched(given));
    return call.native.readFile(call.root, at, most, asBuffer, watch);
  },

  writeFile: writeWith(O_WRONLY | O_CREAT | O_TRUNC, WRITE),

  appendFile: writeWith(O_WRONLY | O_CREAT | O_APPEND, APPEND),

  truncate(call, path, len) {
    const at = check.path(path, 'path');
    const size = check.length(len, 'len');
    return call.native.truncate(call.root, at, size);
  },

  fsync(call, path) {
    const at = check.path(path, 'path');
    return call.native.fsync(call.root, at);
  },

  copyFile(call, src, dest, mode, options) {
    const from = check.path(src, 'src');
    const at = check.path(dest, 'dest');
    const made = check.modeOr(mode, 'mode', 0o644);
    const given = check.options(options, COPY_FILE);
    const to = second(given);
    const exclusive = check.flag(given.exclusive, 'options.exclusive');
    const reflink = check.word(given.reflink, 'options.reflink', REFLINKS, 0);
    const watch = call.follow(watched(given));
    return call.native.copyFile(call.root, from, at, made, exclusive, reflink, to, watch);
  },
};

// ---- Whole trees ----

/** What `cp` does with a file that exists. */
const REPLACE = 0;
const REFUSE = 1;
const SKIP = 2;

/** What `cp` can preserve: a bit each, in this order. */
const PRESERVED = ['owner', 'times', 'mode', 'acl', 'xattr'];
const EVERYTHING = (1 << PRESERVED.length) - 1;
const TIMES = 1 << PRESERVED.indexOf('times');

/**
 * @param {unknown} value
 * @returns {number} bits
 */
function preserved(value) {
  if (value == null || value === false) return 0;
  if (value === true) return EVERYTHING;
  if (!Array.isArray(value)) {
    throw invalidType('options.preserve', 'of type boolean or an instance of Array', value);
  }
  let bits = 0;
  for (let i = 0; i < value.length; i++) {
    const name = value[i];
    if (typeof name !== 'string') throw invalidType(`options.preserve[${i}]`, 'of type string', name);
    const bit = PRESERVED.indexOf(name);
    if (bit === -1) {
      const reason = "must hold: 'owner', 'times', 'mode', 'acl', 'xattr'";
      throw invalidValue(`options.preserve[${i}]`, reason, name);
    }
    bits |= 1 << bit;
  }
  return bits;
}

/** @type {Record<string, Method>} */
const trees = {
  readdir(call, path, options) {
    const at = check.path(path, 'path');
    const given = check.optionsOrEncoding(options, READDIR);
    const asBuffers = check.asBuffers(given.encoding);
    const recursive = check.flag(given.recursive, 'options.recursive');
    const typed = check.flag(given.withFileTypes, 'options.withFileTypes');
    const watch = call.follow(watched(given));
    const told = typed ? results.entries : results.names;
    call.result = (answer) => told(answer, asBuffers);
    return call.native.readdir(call.root, at, asBuffers, recursive, typed, watch);
  },

  opendir(call, path, options) {
    const at = check.path(path, 'path');
    const given = check.options(options, OPENDIR, OPENDIR_OF_NODE);
    const encoding = check.asBuffers(given.encoding) ? 'buffer' : 'utf8';
    const recursive = check.flag(given.recursive, 'options.recursive');
    call.follow(watched(given));
    const { named } = require('./opener.js');
    const { openDirectory } = require('./directory.js');
    call.shown = named(undefined, 'opendir');
    const shownPath = (/** @type {string} */ own) => own;
    return openDirectory(at, { path: check.textOf(path), shownPath, encoding }, recursive);
  },

  rm(call, path, recursive, force, options) {
    const at = check.path(path, 'path');
    const isRecursive = check.flag(recursive, 'recursive');
    const isForced = check.flag(force, 'force');
    const watch = call.follow(watched(check.options(options, REMOVE, REMOVE_OF_NODE)));
    return call.native.rm(call.root, at, isRecursive, isForced, watch);
  },

  cp(call, src, dest, options) {
    const from = check.path(src, 'src');
    const at = check.path(dest, 'dest');
    const given = check.options(options, COPY, COPY_OF_NODE);
    const { filter } = given;
    if (filter != null && typeof filter !== 'function') {
      throw invalidType('options.filter', 'of type function', filter);
    }
    const to = second(given);
    if (!check.flag(given.verbatimSymlinks, 'options.verbatimSymlinks', true)) {
      const reason = 'cannot be false: the path of the root would be written into the link';
      throw invalidValue('options.verbatimSymlinks', reason, false);
    }
    if (check.flag(given.dereference, 'options.dereference')) {
      throw invalidValue('options.dereference', 'cannot be true: links are copied as links', true);
    }
    const force = check.flag(given.force, 'options.force', true);
    const keepsTimes = check.flag(given.preserveTimestamps, 'options.preserveTimestamps');
    const keep = preserved(given.preserve) | (keepsTimes ? TIMES : 0);
    const recursive = check.flag(given.recursive, 'options.recursive');
    const errorOnExist = check.flag(given.errorOnExist, 'options.errorOnExist');
    const existing = force ? REPLACE : errorOnExist ? REFUSE : SKIP;
    const reflink = check.word(given.reflink, 'options.reflink', REFLINKS, 0);
    const reports = !check.flag(given.ignoreVanished, 'options.ignoreVanished');
    const atomic = check.flag(given.atomic, 'options.atomic');
    const watching = watched(given);
    /** @type {import('./filter.js').Copy} */
    const copy = ({ native, root }, watch, only) =>
      native.cp(root, from, at, to, recursive, existing, reflink, keep, reports, only, atomic, watch);
    if (filter == null) return copy(call, call.follow(watching));
    const policy = policyOf(call.self);
    return copyFiltered(copy, { from, at, filter, recursive, watching, policy, isSync: call.isSync });
  },

  move(call, src, dest, options) {
    const from = check.path(src, 'src');
    const at = check.path(dest, 'dest');
    const given = check.options(options, MOVE);
    const to = second(given);
    const overwrite = check.flag(given.overwrite, 'options.overwrite');
    const flush = check.flag(given.flush, 'options.flush');
    const watch = call.follow(watched(given));
    return call.native.move(call.root, from, at, to, overwrite, flush, watch);
  },
};

module.exports = { ...entries, ...metadata, ...contents, ...trees };
