'use strict';
// Every method that has a promise. A method checks its arguments, and returns the job: what the native side is to do.

const { constants } = require('node:fs');
const check = require('./arguments.js');
const { invalidType, invalidValue } = require('./errors.js');
const { asked } = require('./filter.js');
const { policyOf, second } = require('./handles.js');
const { Job } = require('./job.js');
const results = require('./results.js');
const { spanOf } = require('./views.js');
const { watched } = require('./watch.js');

/** @typedef {import('./job.js').Method} Method */

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

// ---- Names: making, removing, renaming and linking ----

/**
 * @param {boolean} overwrite whether it replaces what exists
 * @returns {Method}
 */
const renameWith = (overwrite) => (oldPath, newPath, options) => {
  const from = check.path(oldPath, 'oldPath');
  const dest = check.path(newPath, 'newPath');
  const given = check.options(options, TWO_ROOTS);
  const to = second(given);
  return new Job((native, root) => native.rename(root, from, dest, overwrite, to), undefined, watched(given));
};

/** @type {Record<string, Method>} */
const entries = {
  mkdir(path, recursive, mode) {
    const at = check.path(path, 'path');
    const isRecursive = check.flag(recursive, 'recursive');
    const made = check.modeOr(mode, 'mode', 0o755);
    return new Job((native, root) => native.mkdir(root, at, isRecursive, made));
  },

  unlink(path) {
    const at = check.path(path, 'path');
    return new Job((native, root) => native.unlink(root, at));
  },

  rmdir(path) {
    const at = check.path(path, 'path');
    return new Job((native, root) => native.rmdir(root, at));
  },

  remove(path) {
    const at = check.path(path, 'path');
    return new Job((native, root) => native.remove(root, at));
  },

  mkfifo(path, mode) {
    const at = check.path(path, 'path');
    const made = check.modeOr(mode, 'mode', 0o666);
    return new Job((native, root) => native.mkfifo(root, at, made));
  },

  rename: renameWith(true),

  renameNoReplace: renameWith(false),

  exchange(a, b) {
    const one = check.path(a, 'a');
    const other = check.path(b, 'b');
    return new Job((native, root) => native.exchange(root, one, other));
  },

  link(oldPath, newPath, options) {
    const from = check.path(oldPath, 'oldPath');
    const dest = check.path(newPath, 'newPath');
    const given = check.options(options, TWO_ROOTS);
    const to = second(given);
    return new Job((native, root) => native.link(root, from, dest, to), undefined, watched(given));
  },

  symlink(target, newPath, options) {
    const text = check.path(target, 'target');
    const at = check.path(newPath, 'newPath');
    const given = check.options(options, SYMLINK);
    const beneath = check.flag(given.beneath, 'options.beneath');
    return new Job((native, root) => native.symlink(root, text, at, beneath), undefined, watched(given));
  },

  readlink(path, options) {
    const at = check.path(path, 'path');
    const given = check.optionsOrEncoding(options, NAMES);
    const asBuffer = check.asBuffers(given.encoding);
    return new Job((native, root) => native.readlink(root, at, asBuffer), undefined, watched(given));
  },

  mkdtemp(prefix, options) {
    const at = check.path(prefix, 'prefix');
    const given = check.optionsOrEncoding(options, NAMES);
    const asBuffer = check.asBuffers(given.encoding);
    return new Job((native, root) => native.mkdtemp(root, at, asBuffer), undefined, watched(given));
  },
};

// ---- What a file is: its `stat`, its permissions, owners and times ----

/**
 * @param {'stat' | 'lstat'} name
 * @returns {Method}
 */
const describe = (name) => (path, options) => {
  const at = check.path(path, 'path');
  if (options === undefined) {
    return new Job((native, root) => native[name](root, results.shared, at, false, true), results.stats);
  }
  const given = check.options(options, STAT);
  const bigint = check.flag(given.bigint, 'options.bigint');
  const throws = check.flag(given.throwIfNoEntry, 'options.throwIfNoEntry', true);
  const version = check.flag(given.version, 'options.version');
  /** @type {(answer: unknown) => unknown} */
  const result = version
    ? (answer) => results.versioned(answer, bigint)
    : bigint
      ? results.bigStats
      : results.stats;
  return new Job(
    (native, root) => native[name](root, results.shared, at, bigint || version, throws),
    (answer) => (answer === false ? undefined : result(answer)),
    watched(given),
  );
};

/**
 * @param {'chown' | 'lchown'} name
 * @returns {Method}
 */
const chown = (name) => (path, uid, gid) => {
  const at = check.path(path, 'path');
  const user = check.id(uid, 'uid');
  const group = check.id(gid, 'gid');
  return new Job((native, root) => native[name](root, at, user, group));
};

/**
 * @param {'utimes' | 'lutimes'} name
 * @returns {Method}
 */
const utimes = (name) => (path, atimeNs, mtimeNs) => {
  const at = check.path(path, 'path');
  const accessed = check.time(atimeNs, 'atimeNs');
  const modified = check.time(mtimeNs, 'mtimeNs');
  return new Job((native, root) => native[name](root, at, accessed, modified));
};

/** @type {Record<string, Method>} */
const metadata = {
  stat: describe('stat'),

  lstat: describe('lstat'),

  statfs(path, options) {
    const at = check.path(path, 'path');
    const given = check.options(options, STATFS);
    const bigint = check.flag(given.bigint, 'options.bigint');
    return new Job(
      (native, root) => native.statfs(root, results.shared, at, bigint),
      (answer) => results.statfs(answer, bigint),
      watched(given),
    );
  },

  exists(path) {
    let at = /** @type {string | Uint8Array} */ ('');
    try {
      at = check.path(path, 'path');
    } catch {
      // As with Node, what is no path does not exist, as the empty path does not.
    }
    return new Job((native, root) => native.exists(root, at));
  },

  access(path, mode) {
    const at = check.path(path, 'path');
    const asked = mode == null ? 0 : check.integer(mode, 'mode', 0, 7);
    return new Job((native, root) => native.access(root, at, asked));
  },

  chmod(path, mode) {
    const at = check.path(path, 'path');
    const bits = check.mode(mode, 'mode');
    return new Job((native, root) => native.chmod(root, at, bits));
  },

  chown: chown('chown'),

  lchown: chown('lchown'),

  utimes: utimes('utimes'),

  lutimes: utimes('lutimes'),

  realpath(path, options) {
    const at = check.path(path, 'path');
    const given = check.optionsOrEncoding(options, NAMES);
    const asBuffer = check.asBuffers(given.encoding);
    return new Job((native, root) => native.realpath(root, at, asBuffer), undefined, watched(given));
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
 * @param {number} byDefault how the file is opened
 * @param {readonly string[]} known its options
 * @returns {Method}
 */
const writeWith = (byDefault, known) => (path, data, options) => {
  const at = check.path(path, 'path');
  const given = check.optionsOrEncoding(options, known);
  const encoding = check.encoding(given.encoding, 'utf8');
  if (encoding === 'buffer') throw invalidValue('encoding', 'is invalid encoding', encoding);
  const isWhole = typeof data === 'string' || isView(data);
  if (!isWhole && !isIterable(data)) refuseData(data);
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
  const watching = watched(given);
  const job = new Job(
    (native, root, watch) =>
      native.writeFile(root, at, dataOf(data, encoding), flags, mode, atomic, flush, version, watch),
    undefined,
    watching,
  );
  if (!isWhole) job.refused = () => refuseData(data);
  if (isInChunks(data)) {
    /** @type {(native: import('./binding').Operations, root: import('./binding').Handle) => any} */
    const open = (native, root) => native.openWriter(root, at, flags, mode, atomic, flush, version);
    job.later = (start, root) => {
      const { writeInChunks } = require('./chunks.js');
      return writeInChunks(start, root, { open, data, encoding, watching, size: CHUNK });
    };
  }
  return job;
};

/** @type {Record<string, Method>} */
const contents = {
  open(path, flags, mode) {
    const at = check.path(path, 'path');
    const how = check.openFlags(flags, 'flags', O_RDONLY);
    const made = check.modeOr(mode, 'mode', 0o666);
    return new Job((native, root) => native.open(root, at, how, made));
  },

  openRead(path) {
    const at = check.path(path, 'path');
    return new Job((native, root) => native.open(root, at, O_RDONLY, 0));
  },

  openWrite(path, create, truncate, append, mode) {
    const at = check.path(path, 'path');
    const creates = check.flag(create, 'create');
    const truncates = check.flag(truncate, 'truncate');
    const appends = check.flag(append, 'append');
    const made = check.modeOr(mode, 'mode', 0o666);
    if (truncates && appends) throw invalidValue('truncate', "cannot be true with 'append'", truncate);
    const how = O_WRONLY | (creates ? O_CREAT : 0) | (truncates ? O_TRUNC : 0) | (appends ? O_APPEND : 0);
    return new Job((native, root) => native.open(root, at, how, made));
  },

  readFile(path, options) {
    const at = check.path(path, 'path');
    const given = check.optionsOrEncoding(options, READ);
    const encoding = check.encoding(given.encoding, 'buffer');
    if (given.flag != null && given.flag !== 'r')
      throw invalidValue('options.flag', "must be 'r'", given.flag);
    const most = given.maxBytes == null ? MOST_READ : check.length(given.maxBytes, 'options.maxBytes');
    const asBuffer = encoding !== 'utf8';
    return new Job(
      (native, root, watch) => native.readFile(root, at, most, asBuffer, watch),
      (answer) => (typeof answer === 'string' || encoding === 'buffer' ? answer : answer.toString(encoding)),
      watched(given),
    );
  },

  writeFile: writeWith(O_WRONLY | O_CREAT | O_TRUNC, WRITE),

  appendFile: writeWith(O_WRONLY | O_CREAT | O_APPEND, APPEND),

  truncate(path, len) {
    const at = check.path(path, 'path');
    const size = check.length(len, 'len');
    return new Job((native, root) => native.truncate(root, at, size));
  },

  fsync(path) {
    const at = check.path(path, 'path');
    return new Job((native, root) => native.fsync(root, at));
  },

  copyFile(src, dest, mode, options) {
    const from = check.path(src, 'src');
    const at = check.path(dest, 'dest');
    const made = check.modeOr(mode, 'mode', 0o644);
    const given = check.options(options, COPY_FILE);
    const to = second(given);
    const exclusive = check.flag(given.exclusive, 'options.exclusive');
    const reflink = check.word(given.reflink, 'options.reflink', REFLINKS, 0);
    return new Job(
      (native, root, watch) => native.copyFile(root, from, at, made, exclusive, reflink, to, watch),
      undefined,
      watched(given),
    );
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
  readdir(path, options) {
    const at = check.path(path, 'path');
    const given = check.optionsOrEncoding(options, READDIR);
    const asBuffers = check.asBuffers(given.encoding);
    const recursive = check.flag(given.recursive, 'options.recursive');
    const typed = check.flag(given.withFileTypes, 'options.withFileTypes');
    return new Job(
      (native, root, watch) => native.readdir(root, at, asBuffers, recursive, typed, watch),
      (answer) => (typed ? results.entries(answer, asBuffers) : results.names(answer, asBuffers)),
      watched(given),
    );
  },

  rm(path, recursive, force, options) {
    const at = check.path(path, 'path');
    const isRecursive = check.flag(recursive, 'recursive');
    const isForced = check.flag(force, 'force');
    return new Job(
      (native, root, watch) => native.rm(root, at, isRecursive, isForced, watch),
      undefined,
      watched(check.options(options, REMOVE, REMOVE_OF_NODE)),
    );
  },

  cp(src, dest, options, _d, _e, self) {
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
    /** @type {Uint8Array[] | undefined} the ways to what the filter said yes to */
    let only;
    const job = new Job(
      (native, root, watch) =>
        native.cp(root, from, at, to, recursive, existing, reflink, keep, reports, only, atomic, watch),
      undefined,
      watching,
    );
    if (filter == null) return job;
    const policy = policyOf(self);
    job.before = function* (perform, isSync) {
      // Copies nothing: before the filter is asked, the call as such must be possible.
      only = [];
      yield perform(new Job(job.run));
      const { signal } = watching ?? {};
      only = yield* asked(perform, { src: from, dest: at, filter, recursive, signal, policy }, isSync);
    };
    return job;
  },

  move(src, dest, options) {
    const from = check.path(src, 'src');
    const at = check.path(dest, 'dest');
    const given = check.options(options, MOVE);
    const to = second(given);
    const overwrite = check.flag(given.overwrite, 'options.overwrite');
    const flush = check.flag(given.flush, 'options.flush');
    return new Job(
      (native, root, watch) => native.move(root, from, at, to, overwrite, flush, watch),
      undefined,
      watched(given),
    );
  },
};

module.exports = { ...entries, ...metadata, ...contents, ...trees };
