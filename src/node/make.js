// What is made in JavaScript because it is cheaper and plainer there: objects of many fields, and
// errors with Node's wording. Compiled into the addon; the value of this script is what make.rs
// takes apart.
(() => {
  'use strict';

  // biome-ignore lint/suspicious/noShadowRestrictedNames: those of now; a program may put others in their place.
  const { Error, TypeError, RangeError } = globalThis;

  // Memory that is shared with make.rs: what a native call came to, and the numbers of a `stat`. Thirteen
  // arguments would each be a value to make. A buffer of its own does not move.
  const shared = new Float64Array(new ArrayBuffer(14 * Float64Array.BYTES_PER_ELEMENT));
  const outcome = () => shared[0];
  const stats = () => ({
    dev: shared[1],
    ino: shared[2],
    mode: shared[3],
    nlink: shared[4],
    uid: shared[5],
    gid: shared[6],
    rdev: shared[7],
    size: shared[8],
    blksize: shared[9],
    blocks: shared[10],
    atimeNs: shared[11],
    mtimeNs: shared[12],
    ctimeNs: shared[13],
  });

  // Where make.rs finds it; kept by the function itself.
  Object.defineProperty(stats, 'shared', { value: shared });

  const NAMES = Object.keys(stats());
  const bigStats = (values) => Object.fromEntries(NAMES.map((name, i) => [name, values[i]]));

  // What the error of a failed system call says, and what it has, come as one string with a NUL between.
  const partsOf = (joined) => joined.split('\0');
  // Makes `error`, which was made of the first part, what Node has for a failed system call.
  const described = (error, parts) => {
    error.errno = +parts[1];
    error.code = parts[2];
    error.syscall = parts[3];
    // How many paths the call has; behind them come those of entries in a tree.
    const paths = +parts[4];
    if (paths > 0) error.path = parts[5];
    if (paths > 1) error.dest = parts[6];
    if (parts.length > 5 + paths) error.entries = parts.slice(5 + paths);
    return error;
  };
  // The same for make.rs: its stack does not begin here.
  const systemError = (joined) => {
    const parts = partsOf(joined);
    const error = described(new Error(parts[0]), parts);
    Error.captureStackTrace(error, systemError);
    return error;
  };

  const ESCAPES = {
    '\n': '\\n',
    '\r': '\\r',
    '\t': '\\t',
    '\b': '\\b',
    '\f': '\\f',
    '\v': '\\v',
    '\\': '\\\\',
  };
  const escaped = (unit) => {
    const code = unit.charCodeAt(0);
    const hex = code.toString(16).toUpperCase();
    return ESCAPES[unit] ?? (code < 0x100 ? `\\x${hex.padStart(2, '0')}` : `\\u${hex}`);
  };
  const UNPRINTABLE =
    /[\x00-\x1f\x7f-\x9f\\]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

  // The part of util.inspect that an argument of these methods can need.
  const inspected = (value) => {
    if (typeof value === 'string') {
      // Hardly any of it is shown.
      value = value.slice(0, 1000);
      const quote = [`'`, '"', '`'].find((mark) => !value.includes(mark)) ?? `'`;
      const text = value.replace(UNPRINTABLE, escaped);
      return quote + (quote === `'` ? text.replace(/'/g, `\\'`) : text) + quote;
    }
    if (value instanceof Uint8Array) {
      const hex = Array.from(value.subarray(0, 50), (byte) => byte.toString(16).padStart(2, '0'));
      const more = value.length > 50 ? [`... ${value.length - 50} more bytes`] : [];
      return `<${['Buffer', ...hex, ...more].join(' ')}>`;
    }
    if (typeof value === 'bigint') return `${value}n`;
    return Object.is(value, -0) ? '-0' : String(value);
  };

  const received = (value) => {
    if (value == null) return ` Received ${value}`;
    if (typeof value === 'function') return ` Received function ${value.name}`;
    if (typeof value === 'object') {
      const name = value.constructor?.name;
      return name ? ` Received an instance of ${name}` : ' Received [Object: null prototype] {}';
    }
    let text = inspected(value);
    if (text.length > 28) text = `${text.slice(0, 25)}...`;
    return ` Received type ${typeof value} (${text})`;
  };

  const coded = (Class, code, message, maker) => {
    const error = new Class(message);
    Error.captureStackTrace(error, maker);
    error.code = code;
    return error;
  };

  const invalidType = (name, expected, value) => {
    const message = `The "${name}" argument must be ${expected}.${received(value)}`;
    return coded(TypeError, 'ERR_INVALID_ARG_TYPE', message, invalidType);
  };

  const invalidValue = (name, reason, value) => {
    let text = inspected(value);
    if (text.length > 128) text = `${text.slice(0, 128)}...`;
    const message = `The argument '${name}' ${reason}. Received ${text}`;
    return coded(TypeError, 'ERR_INVALID_ARG_VALUE', message, invalidValue);
  };

  const outOfRange = (name, range, value) => {
    let text = inspected(value);
    const isWhole = typeof value === 'bigint' || Number.isInteger(value);
    if (isWhole && (value > 2 ** 32 || value < -(2 ** 32))) {
      text = text.replace(/\B(?=(\d{3})+n?$)/g, '_');
    }
    const message = `The value of "${name}" is out of range. It must be ${range}. Received ${text}`;
    return coded(RangeError, 'ERR_OUT_OF_RANGE', message, outOfRange);
  };

  const invalidThis = (expected) =>
    coded(TypeError, 'ERR_INVALID_THIS', `Value of "this" must be of type ${expected}`, invalidThis);

  const tooLarge = (size, most) => {
    const message = `File size (${size}) is greater than ${most} bytes`;
    return coded(RangeError, 'ERR_FS_FILE_TOO_LARGE', message, tooLarge);
  };

  class AbortError extends Error {
    constructor(cause) {
      super('The operation was aborted', { cause });
      this.code = 'ABORT_ERR';
      this.name = 'AbortError';
    }
  }
  // The error of work that `signal` stopped, as node:fs has it.
  const abortError = (signal) => {
    const error = new AbortError(signal.reason);
    Error.captureStackTrace(error, abortError);
    return error;
  };

  // What follows and stops long work is checked before it begins. Gives back what is to be thrown, in
  // an array: it may be any value.
  let read;
  const watchable = ({ signal, onProgress }) => {
    // Read once: a getter may give something else the next time.
    read = { signal, onProgress };
    const isSignal =
      typeof signal === 'object' &&
      typeof signal?.aborted === 'boolean' &&
      typeof signal.addEventListener === 'function';
    if (signal != null && !isSignal) {
      return [invalidType('options.signal', 'an instance of AbortSignal', signal)];
    }
    if (onProgress != null && typeof onProgress !== 'function') {
      return [invalidType('options.onProgress', 'of type function', onProgress)];
    }
    return signal?.aborted ? [abortError(signal)] : [];
  };

  const isEncoding = (encoding) => Buffer.isEncoding(encoding);
  const encode = (text, encoding) => Buffer.from(text, encoding);
  const decode = (bytes, encoding) => bytes.toString(encoding);
  const bytesOf = ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength);

  const TYPES = {
    f: 'file',
    d: 'directory',
    l: 'symlink',
    p: 'fifo',
    s: 'socket',
    b: 'block',
    c: 'char',
    '?': 'unknown',
  };

  // What comes as one string, or one Buffer, with a NUL behind each name: one conversion for all of
  // them. Where their types were wanted, there is a letter for each, and how many are in which directory.
  const names = (joined, kinds = '', parents, counts) => {
    const list = typeof joined === 'string' ? joined.split('\0') : splitBytes(joined);
    list.pop();
    if (kinds === '') return list;
    let i = 0;
    parents.forEach((parentPath, j) => {
      for (const end = i + counts[j]; i < end; i++) {
        list[i] = { name: list[i], parentPath, type: TYPES[kinds[i]] };
      }
    });
    return list;
  };

  const splitBytes = (joined) => {
    const list = [];
    let start = 0;
    for (let end = joined.indexOf(0); end !== -1; end = joined.indexOf(0, start)) {
      list.push(joined.subarray(start, end));
      start = end + 1;
    }
    list.push(joined.subarray(start));
    return list;
  };

  const identity = (dev, ino, mountId) => ({ dev, ino, mountId });

  // A tour through a tree, and a part of it.
  const tour = (step, close) => ({ step, close });
  const part = (entries, truncated, isLast) => ({ entries, truncated, isLast });

  // Long work that was started.
  class Running {
    constructor(promise, stop, seen, options) {
      Object.assign(this, { promise, stop, seen, options });
    }
  }
  const running = (promise, stop, seen) => new Running(promise, stop, seen, read);

  // Tells how far work is. Gives back what that throws, in an array.
  const progress = ({ onProgress }, entries, bytes) => {
    try {
      onProgress?.({ entries, bytes });
      return [];
    } catch (error) {
      return [error];
    }
  };

  return {
    outcome,
    stats,
    bigStats,
    partsOf,
    described,
    systemError,
    invalidType,
    invalidValue,
    outOfRange,
    invalidThis,
    tooLarge,
    abortError,
    watchable,
    isEncoding,
    encode,
    decode,
    bytesOf,
    names,
    tour,
    part,
    Running,
    running,
    progress,
    identity,
  };
})();
//# sourceURL=openat2:make
