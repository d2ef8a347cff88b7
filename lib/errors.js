'use strict';
// Every error that the package throws is made here: with Node's names, Node's texts and Node's fields.

const { native } = require('./native.js');

const { defineProperty, keys } = Object;
/** Loaded with the first error. */
const util = () => require('node:util');

// All that is called here to describe a failed operation is captured at load: user code may replace it later.
// biome-ignore lint/suspicious/noShadowRestrictedNames: captured at load
const { Error, TypeError, RangeError } = globalThis;
const { captureStackTrace } = Error;
const { bind, call } = Function.prototype;
/** @type {<T, A extends unknown[], R>(method: (this: T, ...args: A) => R) => (self: T, ...args: A) => R} */
const uncurried = bind.bind(/** @type {any} */ (call));
const indexOf = uncurried(String.prototype.indexOf);
const slice = uncurried(String.prototype.slice);
const get = uncurried(Map.prototype.get);

// ---- Failed system calls ----

/** A failed operation, as `parts` of src/node/output.rs describes it. */
class Failure {
  /** @param {string} parts with a NUL between them */
  constructor(parts) {
    const list = split(parts);
    const count = +`${list[4]}`;
    /** Negative. */
    this.errno = +`${list[0]}`;
    this.syscall = `${list[1]}`;
    /** The name of the reason, or `''`. */
    this.reason = list[2];
    /** Its text. */
    this.reasonText = `${list[3]}`;
    /** The path of the call, and the second one. */
    this.path = count > 0 ? list[5] : undefined;
    this.dest = count > 1 ? list[6] : undefined;
    /** Those of entries of a tree that it is about. */
    this.entries = list.length > 5 + count ? behind(list, 5 + count) : undefined;
  }
}
// No setter of `Object.prototype` keeps what is set here.
Object.setPrototypeOf(Failure.prototype, null);

/**
 * Whether a native call has failed: it gives a negative errno then. No other answer is a negative number.
 *
 * @param {unknown} answer
 */
const isFailure = (answer) => typeof answer === 'number' && answer < 0;

/** @param {string} parts */
function split(parts) {
  /** @type {string[]} */
  const list = [];
  let start = 0;
  for (let end = indexOf(parts, '\0'); end !== -1; end = indexOf(parts, '\0', start)) {
    list[list.length] = slice(parts, start, end);
    start = end + 1;
  }
  list[list.length] = slice(parts, start);
  return list;
}

/**
 * @param {string[]} list
 * @param {number} start
 */
function behind(list, start) {
  /** @type {string[]} */
  const rest = [];
  for (let i = start; i < list.length; i++) rest[rest.length] = /** @type {string} */ (list[i]);
  return rest;
}

/** The errnos of Linux that Node has no name for. */
// biome-ignore format: a table
const UNNAMED = {
  ENOTBLK: 15, ECHRNG: 44, EL2NSYNC: 45, EL3HLT: 46, EL3RST: 47, ELNRNG: 48, ENOCSI: 50, EL2HLT: 51, EBADE: 52, EBADR: 53, EXFULL: 54, ENOANO: 55, EBADRQC: 56, EBADSLT: 57, EBFONT: 59, ENOPKG: 65, EREMOTE: 66, EADV: 68, ESRMNT: 69, ECOMM: 70, EDOTDOT: 73, ENOTUNIQ: 76, EBADFD: 77, EREMCHG: 78, ELIBACC: 79, ELIBBAD: 80, ELIBSCN: 81, ELIBMAX: 82, ELIBEXEC: 83, ERESTART: 85, ESTRPIPE: 86, EUSERS: 87, EPFNOSUPPORT: 96, ETOOMANYREFS: 109, EUCLEAN: 117, ENOTNAM: 118, ENAVAIL: 119, EISNAM: 120, EMEDIUMTYPE: 124, ENOMEDIUM: 123, ENOKEY: 126, EKEYEXPIRED: 127, EKEYREVOKED: 128, EKEYREJECTED: 129, EOWNERDEAD: 130, ENOTRECOVERABLE: 131, ERFKILL: 132, EHWPOISON: 133,
};

/** @type {Map<number, [code: string, text: string]> | undefined} Node makes it anew each time it is asked */
let ofLibuv;
/** @type {Record<number, string> | undefined} */
let others;

/**
 * The name and the text of an errno: those of libuv, else the name that `os` has, else that of the kernel.
 *
 * @param {number} errno negative
 * @returns {[code: string, text: string]}
 */
function describe(errno) {
  ofLibuv ??= util().getSystemErrorMap();
  const known = get(ofLibuv, errno);
  if (known !== undefined) return known;
  others ??= namesOf({ ...UNNAMED, ...require('node:os').constants.errno });
  return [others[-errno] ?? `E${-errno}`, native.strerror(-errno)];
}

/** @param {Record<string, number>} errnos */
function namesOf(errnos) {
  /** @type {Record<number, string>} */
  // @ts-expect-error: no number is inherited
  const names = { __proto__: null };
  const all = keys(errnos);
  for (let i = 0; i < all.length; i++) {
    const name = /** @type {string} */ (all[i]);
    names[/** @type {number} */ (errnos[name])] = name;
  }
  return names;
}

/** Programs read a message as one line. */
const LINE_BREAKS = ['\n', '\r', '\u2028', '\u2029'];
const ESCAPED = ['\\n', '\\r', '\\u{2028}', '\\u{2029}'];

/** How much of a path stands in a message, in characters: of one that the kernel takes, all. The error has all of it. */
const MOST_OF_PATH = 16_384;

/** @param {string} path */
function quoted(path) {
  let text = path;
  if (text.length > MOST_OF_PATH) {
    text = `${slice(text, 0, MOST_OF_PATH / 2)}…${slice(text, text.length - MOST_OF_PATH / 2 + 1)}`;
  }
  for (let i = 0; i < LINE_BREAKS.length; i++) {
    const mark = /** @type {string} */ (LINE_BREAKS[i]);
    for (let at = indexOf(text, mark); at !== -1; at = indexOf(text, mark, at)) {
      text = `${slice(text, 0, at)}${ESCAPED[i]}${slice(text, at + 1)}`;
    }
  }
  return `'${text}'`;
}

/**
 * The message of the error of a failed operation.
 *
 * @param {Failure} failure
 */
function messageOf({ errno, syscall, reasonText, path, dest }) {
  const described = describe(errno);
  let message = `${described[0]}: ${described[1]}`;
  if (reasonText !== '') message += ` (${reasonText})`;
  message += `, ${syscall}`;
  if (path !== undefined) message += ` ${quoted(path)}`;
  if (dest !== undefined) message += ` -> ${quoted(dest)}`;
  return message;
}

/**
 * Makes `error`, which has the message, the error of a failed operation. It is a `SystemError` of whoever throws it,
 * so that its stack begins there: to capture one again would take as long as a system call.
 *
 * @param {Error} error
 * @param {Failure} failure
 * @returns {Error & { code: string }}
 */
function systemError(error, { errno, syscall, reason, reasonText, path, dest, entries }) {
  if (reason === 'too-large') return coded(RangeError, 'ERR_FS_FILE_TOO_LARGE', reasonText, systemError);
  const described = /** @type {import('..').SystemError} */ (error);
  described.errno = errno;
  described.code = describe(errno)[0];
  described.syscall = syscall;
  if (path !== undefined) described.path = path;
  if (dest !== undefined) described.dest = dest;
  if (reason !== '') described.reason = /** @type {import('..').ErrorReason} */ (reason);
  if (entries !== undefined) described.entries = entries;
  return described;
}

/**
 * The error of a failed operation.
 *
 * @param {string} parts as `Failure` takes them
 * @param {Function} [maker] the function that the stack leaves out, and all that it called
 * @param {import('./call.js').Shown} [shown]
 */
function errorOf(parts, maker, shown) {
  const failure = new Failure(parts);
  shown?.rename(failure);
  const error = new Error(messageOf(failure));
  if (maker !== undefined) captureStackTrace(error, maker);
  const described = systemError(error, failure);
  return /** @type {typeof described} */ (shown?.translate?.(described) ?? described);
}

// ---- Arguments ----

/**
 * Makes a call, whose arguments are checked. What it throws has a stack that begins at the method.
 *
 * @template T
 * @param {(first?: any, a?: any, b?: any, c?: any, d?: any, e?: any) => T} method
 * @param {unknown} [first]
 * @param {unknown} [a]
 * @param {unknown} [b]
 * @param {unknown} [c]
 * @param {unknown} [d]
 * @param {unknown} [e]
 * @returns {T}
 */
function checked(method, first, a, b, c, d, e) {
  return method(first, a, b, c, d, e);
}

/**
 * @template {Error} E
 * @param {new (message: string) => E} Class
 * @param {string} code
 * @param {string} message
 * @param {Function} [maker] the function that the stack leaves out, and all that it called
 * @returns {E & { code: string }}
 */
function coded(Class, code, message, maker = checked) {
  const error = /** @type {E & { code: string }} */ (new Class(message));
  captureStackTrace(error, maker);
  error.code = code;
  // As Node's errors of this kind.
  const value = () => `${error.name} [${code}]: ${error.message}`;
  // @ts-expect-error: nothing of the descriptor is inherited
  defineProperty(error, 'toString', { __proto__: null, value, writable: true, configurable: true });
  return error;
}

/** Node 18 describes a function without a name as another value. */
const IS_18 = process.versions.node.startsWith('18.');

/** @param {unknown} value */
function received(value) {
  if (value == null) return ` Received ${value}`;
  if (typeof value === 'function' && (value.name || !IS_18)) return ` Received function ${value.name}`;
  if (typeof value === 'object') {
    const name = value.constructor?.name;
    return name ? ` Received an instance of ${name}` : ` Received ${util().inspect(value, { depth: -1 })}`;
  }
  let text = util().inspect(value, { colors: false });
  if (text.length > 28) text = `${text.slice(0, 25)}...`;
  return ` Received type ${typeof value} (${text})`;
}

/**
 * What Node calls it.
 *
 * @param {string} name
 */
const kindOf = (name) => (indexOf(name, '.') === -1 ? 'argument' : 'property');

/**
 * @param {string} name
 * @param {string} expected such as `of type string`
 * @param {unknown} value
 */
function invalidType(name, expected, value) {
  const message = `The "${name}" ${kindOf(name)} must be ${expected}.${received(value)}`;
  return coded(TypeError, 'ERR_INVALID_ARG_TYPE', message);
}

/**
 * @param {string} name
 * @param {string} reason such as `must be …`
 * @param {unknown} value
 */
function invalidValue(name, reason, value) {
  let text = util().inspect(typeof value === 'string' ? value.slice(0, 1000) : value);
  if (text.length > 128) text = `${text.slice(0, 128)}...`;
  const message = `The ${kindOf(name)} '${name}' ${reason}. Received ${text}`;
  return coded(TypeError, 'ERR_INVALID_ARG_VALUE', message);
}

/**
 * @param {string} name
 * @param {string} range such as `>= 0 && <= 7`
 * @param {number | bigint} value
 */
function outOfRange(name, range, value) {
  let text = util().inspect(value);
  const isWhole = typeof value === 'bigint' || Number.isInteger(value);
  if (isWhole && (value > 2 ** 32 || value < -(2 ** 32))) text = text.replace(/\B(?=(\d{3})+n?$)/g, '_');
  const message = `The value of "${name}" is out of range. It must be ${range}. Received ${text}`;
  return coded(RangeError, 'ERR_OUT_OF_RANGE', message);
}

/** @param {string} expected the name of the class */
function invalidThis(expected) {
  const message = `Value of "this" must be of type ${expected}`;
  return coded(TypeError, 'ERR_INVALID_THIS', message, invalidThis);
}

/** @param {string} message */
function invalidReturnValue(message) {
  return coded(TypeError, 'ERR_INVALID_RETURN_VALUE', message, invalidReturnValue);
}

// ---- Signals ----

/** The error of work that a signal stopped, as `node:fs` has it. */
class AbortError extends Error {
  /** @param {unknown} cause the reason of the signal */
  constructor(cause) {
    super('The operation was aborted', { cause });
    this.code = 'ABORT_ERR';
    this.name = 'AbortError';
  }
}

module.exports = {
  AbortError,
  Failure,
  SystemError: Error,
  checked,
  coded,
  errorOf,
  invalidReturnValue,
  invalidThis,
  invalidType,
  invalidValue,
  isFailure,
  messageOf,
  outOfRange,
  systemError,
  uncurried,
};
