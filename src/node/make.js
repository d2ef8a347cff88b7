// What is made in JavaScript because it is cheaper and plainer there: objects of many fields, and
// errors with Node's wording. Compiled into the addon; the value of this script is what make.rs
// takes apart.
(() => {
  'use strict';

  const stats = (
    dev,
    ino,
    mode,
    nlink,
    uid,
    gid,
    rdev,
    size,
    blksize,
    blocks,
    atimeNs,
    mtimeNs,
    ctimeNs,
  ) => ({ dev, ino, mode, nlink, uid, gid, rdev, size, blksize, blocks, atimeNs, mtimeNs, ctimeNs });

  // An error whose stack begins at the caller, as that of a built-in function does.
  const raise = (Class, message, maker) => {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    const error = new Class(message);
    Error.stackTraceLimit = limit;
    Error.captureStackTrace(error, maker);
    return error;
  };

  const systemError = (message, errno, code, syscall, path, dest) => {
    const error = raise(Error, message, systemError);
    error.errno = errno;
    error.code = code;
    error.syscall = syscall;
    if (path != null) error.path = path;
    if (dest != null) error.dest = dest;
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
    const error = raise(Class, message, maker);
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

  // Gives a class its `promises`: an object for each root, with a method for each of the starters. A
  // method of it is async for the sake of the stack: an error made on another thread has none, and
  // here it gets that of its callers.
  const promises = (prototype, starters) => {
    class Promises {
      #root;
      constructor(root) {
        this.#root = root;
      }
      static {
        for (const [name, start] of Object.entries(starters)) {
          const method = {
            async [name](...args) {
              try {
                return await start.apply(this.#root, args);
              } catch (error) {
                Error.captureStackTrace(error, method);
                throw error;
              }
            },
          }[name];
          Object.defineProperty(Promises.prototype, name, { value: method, writable: true, configurable: true });
        }
      }
    }
    const made = new WeakMap();
    Object.defineProperty(prototype, 'promises', {
      configurable: true,
      enumerable: true,
      get() {
        if (!made.has(this)) made.set(this, new Promises(this));
        return made.get(this);
      },
    });
  };

  const lifetime = (prototype, close, isClosed) => {
    prototype.close = close;
    Object.defineProperty(prototype, 'closed', { get: isClosed, configurable: true, enumerable: true });
    // `using root = …`: the first releases of Node 18 do not have the symbol.
    if (Symbol.dispose !== undefined) prototype[Symbol.dispose] = close;
  };

  return { lifetime, promises, stats, systemError, invalidType, invalidValue, outOfRange, invalidThis };
})();
