'use strict';
// Checks of arguments and options. Nothing is touched before all of them hold. No value is coerced: NaN is not 0.

const { constants } = require('node:fs');
const { isDate, isUint8Array } = require('node:util/types');
const { invalidType, invalidValue, outOfRange } = require('./errors.js');
// It requires this file, too: what it exports is there when it is called.
const handles = require('./handles.js');

const { Buffer } = globalThis;
const { isInteger, MAX_SAFE_INTEGER } = Number;
const { subarray, includes } = Object.getPrototypeOf(Uint8Array).prototype;
const { getTime } = Date.prototype;
const { apply } = Reflect;
const { getPrototypeOf, keys, prototype: OF_ALL } = Object;
const { hasOwnProperty: hasOwn } = OF_ALL;

/** What no path has: a NUL, or a surrogate without its other half, which no bytes stand for. */
const UNSPELLABLE = /[\0\ud800-\udfff]/u;
const NO_NUL = 'must be a string or Buffer without null bytes';
/** More than the longest spelling of a path, in bytes. */
const LONGEST_SPELLING = 70_000;

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {string | Uint8Array} bytes are a copy
 */
function path(value, name) {
  if (typeof value === 'string') {
    if (!UNSPELLABLE.test(value)) return value;
    throw invalidValue(
      name,
      value.includes('\0') ? NO_NUL : 'must be a string without lone surrogates',
      value,
    );
  }
  if (!isUint8Array(value)) throw invalidType(name, 'of type string or an instance of Buffer', value);
  let bytes;
  try {
    bytes = new Uint8Array(apply(subarray, value, [0, LONGEST_SPELLING]));
  } catch {
    // Its memory is gone.
    throw invalidType(name, 'of type string or an instance of Buffer', value);
  }
  if (!apply(includes, bytes, [0])) return bytes;
  throw invalidValue(name, NO_NUL, value);
}

/**
 * A path as an error shows it.
 *
 * @param {unknown} value a path
 */
const textOf = (value) =>
  `${typeof value === 'string' ? value : Buffer.from(/** @type {Uint8Array} */ (value))}`;

/**
 * @param {unknown} value
 * @param {string} name
 * @param {boolean} [byDefault]
 */
function flag(value, name, byDefault = false) {
  if (value == null) return byDefault;
  if (typeof value !== 'boolean') throw invalidType(name, 'of type boolean', value);
  return value;
}

/**
 * @param {unknown} value
 * @param {string} name
 * @param {number} min
 * @param {number} max
 */
function integer(value, name, min, max) {
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value);
  if (!isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (value < min || value > max) throw outOfRange(name, `>= ${min} && <= ${max}`, value);
  return value;
}

const LARGEST_MODE = 0xffff_ffff;
/**
 * @param {unknown} value
 * @param {string} name
 */
const mode = (value, name) => integer(value, name, 0, LARGEST_MODE);
/**
 * @param {unknown} value
 * @param {string} name
 * @param {number} byDefault
 */
const modeOr = (value, name, byDefault) => (value == null ? byDefault : mode(value, name));
const OCTAL = /^[0-7]+$/;
/**
 * A mode as `node:fs` takes it: a number, or octal digits.
 *
 * @param {unknown} value
 * @param {string} name
 * @param {number} [byDefault]
 */
function modeOfNode(value, name, byDefault) {
  if (value == null && byDefault !== undefined) return byDefault;
  if (typeof value !== 'string') return mode(value, name);
  if (OCTAL.test(value)) return Number.parseInt(value, 8);
  throw invalidValue(name, 'must be a 32-bit unsigned integer or an octal string', value);
}
/**
 * @param {unknown} value
 * @param {string} name
 */
const length = (value, name) => integer(value, name, 0, MAX_SAFE_INTEGER);
/**
 * @param {unknown} value
 * @param {string} name
 */
const id = (value, name) => integer(value, name, -1, 0xffff_ffff);

const VERSION = /^[0-9a-f]{1,16}(?:-[0-9a-f]{1,16}){6}$/;
/**
 * A version that `stat` gave, as words.
 *
 * @param {unknown} value
 * @param {string} name
 */
function version(value, name) {
  if (typeof value !== 'string') throw invalidType(name, 'of type string', value);
  if (!VERSION.test(value)) throw invalidValue(name, 'must be a version that stat or lstat gave', value);
  return BigUint64Array.from(value.split('-'), (word) => BigInt(`0x${word}`));
}

const LATEST = 2n ** 63n * 10n ** 9n;
const EARLIEST = -LATEST;
const LATEST_NUMBER = Number(LATEST);
const NS_PER_MS = 1_000_000n;
/**
 * A time in nanoseconds since the epoch, or a `Date`.
 *
 * @param {unknown} value
 * @param {string} name
 * @returns {number | bigint | undefined} nothing for `null`: the time stays as it is
 */
function time(value, name) {
  if (value === null) return undefined;
  if (typeof value === 'number') {
    if (!isInteger(value)) throw outOfRange(name, 'an integer', value);
    if (value >= -LATEST_NUMBER && value < LATEST_NUMBER) return value;
  } else if (typeof value === 'bigint') {
    if (value >= EARLIEST && value < LATEST) return value;
  } else if (isDate(value)) {
    const ms = apply(getTime, value, []);
    if (!isInteger(ms)) throw invalidValue(name, 'must be a valid date', value);
    return BigInt(ms) * NS_PER_MS;
  } else {
    throw invalidType(name, 'of type number or bigint, or an instance of Date', value);
  }
  throw outOfRange(name, '>= -(2n ** 63n) * 10n ** 9n && < 2n ** 63n * 10n ** 9n', value);
}

/**
 * One of several words: its place among them, which the native side knows it by.
 *
 * @param {unknown} value
 * @param {string} name
 * @param {readonly string[]} words
 * @param {number} byDefault
 */
function word(value, name, words, byDefault) {
  if (value == null) return byDefault;
  if (typeof value !== 'string') throw invalidType(name, 'of type string', value);
  for (let i = 0; i < words.length; i++) if (words[i] === value) return i;
  throw invalidValue(name, `must be one of: ${words.map((word) => `'${word}'`).join(', ')}`, value);
}

const { O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_EXCL, O_APPEND, O_SYNC } = constants;
/** @type {Record<string, number>} */
const OPEN_FLAGS = {
  // @ts-expect-error: no word is inherited
  __proto__: null,
  r: O_RDONLY,
  rs: O_RDONLY | O_SYNC,
  sr: O_RDONLY | O_SYNC,
  'r+': O_RDWR,
  'rs+': O_RDWR | O_SYNC,
  'sr+': O_RDWR | O_SYNC,
  w: O_WRONLY | O_CREAT | O_TRUNC,
  wx: O_WRONLY | O_CREAT | O_TRUNC | O_EXCL,
  xw: O_WRONLY | O_CREAT | O_TRUNC | O_EXCL,
  'w+': O_RDWR | O_CREAT | O_TRUNC,
  'wx+': O_RDWR | O_CREAT | O_TRUNC | O_EXCL,
  'xw+': O_RDWR | O_CREAT | O_TRUNC | O_EXCL,
  a: O_WRONLY | O_CREAT | O_APPEND,
  ax: O_WRONLY | O_CREAT | O_APPEND | O_EXCL,
  xa: O_WRONLY | O_CREAT | O_APPEND | O_EXCL,
  as: O_WRONLY | O_CREAT | O_APPEND | O_SYNC,
  sa: O_WRONLY | O_CREAT | O_APPEND | O_SYNC,
  'a+': O_RDWR | O_CREAT | O_APPEND,
  'ax+': O_RDWR | O_CREAT | O_APPEND | O_EXCL,
  'xa+': O_RDWR | O_CREAT | O_APPEND | O_EXCL,
  'as+': O_RDWR | O_CREAT | O_APPEND | O_SYNC,
  'sa+': O_RDWR | O_CREAT | O_APPEND | O_SYNC,
};

/**
 * One of the words of `fs.open`, or flags of open(2).
 *
 * @param {unknown} value
 * @param {string} name
 * @param {number} byDefault
 */
function openFlags(value, name, byDefault) {
  if (value == null) return byDefault;
  if (typeof value === 'number') return integer(value, name, 0, 0x7fff_ffff);
  if (typeof value !== 'string') throw invalidType(name, 'of type string', value);
  const flags = OPEN_FLAGS[value];
  if (flags === undefined) throw invalidValue(name, 'is invalid', value);
  return flags;
}

/** Options of a caller: own ones alone, since what all objects inherit may be somebody else's. */
class Options {}
Object.setPrototypeOf(Options.prototype, null);
/** @type {Record<string, unknown>} */
const NONE = Object.freeze(new Options());

/**
 * The options of a caller, each read once: a getter may give something else the next time. One that would not be read,
 * since it is inherited or not enumerable, is refused: it may be a limit.
 *
 * @param {unknown} value
 * @param {readonly string[]} known those that the call has: another one is refused, since it may be a misspelt limit
 * @param {readonly string[]} [harmless] those that Node's function of this name has, and that mean nothing here
 * @returns {Record<string, unknown>}
 */
function options(value, known, harmless) {
  if (value == null) return NONE;
  if (typeof value !== 'object' || handles.isOfRoot(value))
    throw invalidType('options', 'of type object', value);
  const given = /** @type {Record<string, unknown>} */ (value);
  const own = /** @type {Record<string, unknown>} */ (new Options());
  const names = keys(given);
  for (let i = 0; i < names.length; i++) {
    const name = /** @type {string} */ (names[i]);
    if (!isAmong(known, name)) {
      if (harmless !== undefined && isAmong(harmless, name)) continue;
      throw invalidValue('options', `has a key that is none of: ${known.join(', ')}`, name);
    }
    own[name] = given[name];
  }
  for (let i = 0; i < known.length; i++) {
    const name = /** @type {string} */ (known[i]);
    if (name in given && !(name in own) && !isOfAll(given, name)) {
      throw invalidValue('options', 'has a key that is inherited or not enumerable', name);
    }
  }
  return own;
}

/**
 * Whether an object has a key as all do, from `Object.prototype`, where anybody may have put it.
 *
 * @param {object} object
 * @param {string} name
 */
function isOfAll(object, name) {
  /** @type {object | null} */
  let holder = object;
  while (holder !== null && !apply(hasOwn, holder, [name])) holder = getPrototypeOf(holder);
  return holder === null || holder === OF_ALL;
}

/**
 * The same, where an encoding may stand for them.
 *
 * @param {unknown} value
 * @param {readonly string[]} known
 * @param {readonly string[]} [harmless]
 * @returns {Record<string, unknown>}
 */
function optionsOrEncoding(value, known, harmless) {
  if (typeof value === 'string') {
    const own = /** @type {Record<string, unknown>} */ (new Options());
    own.encoding = value;
    return own;
  }
  if (value != null && typeof value !== 'object') {
    throw invalidType('options', 'of type string or an instance of Object', value);
  }
  return options(value, known, harmless);
}

/**
 * @param {readonly string[]} list
 * @param {string} name
 */
function isAmong(list, name) {
  for (let i = 0; i < list.length; i++) if (list[i] === name) return true;
  return false;
}

/**
 * An encoding that Node knows, or `'buffer'`. Node's two spellings of UTF-8 are `'utf8'`.
 *
 * @param {unknown} value
 * @param {string} byDefault
 */
function encoding(value, byDefault) {
  if (value == null) return byDefault;
  if (typeof value !== 'string') throw invalidType('encoding', 'of type string', value);
  if (value === 'utf8' || value === 'utf-8') return 'utf8';
  if (value === 'buffer' || Buffer.isEncoding(value)) return value;
  throw invalidValue('encoding', 'is invalid encoding', value);
}

/**
 * The same, as `node:fs` takes it: what counts as false is none.
 *
 * @param {any} value
 * @param {string} byDefault
 * @returns {BufferEncoding | 'buffer'}
 */
function encodingOfNode(value, byDefault) {
  if (value && typeof value !== 'string') throw invalidValue('encoding', 'is invalid encoding', value);
  return /** @type {any} */ (encoding(value || undefined, byDefault));
}

/**
 * Whether names come back as Buffers.
 *
 * @param {unknown} value
 */
function asBuffers(value) {
  const told = encoding(value, 'utf8');
  if (told === 'utf8') return false;
  if (told === 'buffer') return true;
  throw invalidValue('encoding', "must be one of: 'utf8', 'utf-8', 'buffer'", value);
}

// ---- What a root allows ----

/** Each option: what it can be, the strictest first or the weakest first as the native side has it. */
const SYMLINKS = ['reject', 'beneath', 'in-root'];
const ALLOWED = ['allow', 'reject'];
const REJECT = 0;
const KEYS = ['symlinks', 'mounts', 'hardlinks', 'readonly'];

/**
 * @typedef {object} Policy
 * @property {number} symlinks
 * @property {number} mounts
 * @property {number} hardlinks
 * @property {boolean} readonly
 */

/** @type {Policy} */
const DEFAULT_POLICY = { symlinks: REJECT, mounts: 0, hardlinks: 0, readonly: false };

/**
 * What is misspelt is refused: it must not silently be the weaker policy. What is left out is as in `base`.
 *
 * @param {unknown} value
 * @param {Policy} base
 * @returns {Policy}
 */
function policy(value, base) {
  const given = options(value, KEYS);
  for (const key in given) {
    if (given[key] !== null) continue;
    throw invalidType(`options.${key}`, key === 'readonly' ? 'of type boolean' : 'of type string', null);
  }
  return {
    symlinks: word(given.symlinks, 'options.symlinks', SYMLINKS, base.symlinks),
    mounts: word(given.mounts, 'options.mounts', ALLOWED, base.mounts),
    hardlinks: word(given.hardlinks, 'options.hardlinks', ALLOWED, base.hardlinks),
    readonly: flag(given.readonly, 'options.readonly', base.readonly),
  };
}

/**
 * The policy of a root beneath one with the policy `above`: it allows nothing that is refused there. The native
 * side refuses that, too.
 *
 * @param {unknown} value
 * @param {Policy} above
 * @returns {Policy}
 */
function policyBeneath(value, above) {
  if (value == null) return above;
  const below = policy(value, above);
  const isWithin =
    (below.symlinks === REJECT || below.symlinks === above.symlinks) &&
    below.mounts >= above.mounts &&
    below.hardlinks >= above.hardlinks &&
    below.readonly >= above.readonly;
  if (!isWithin) throw invalidValue('options', 'cannot allow what the root above refuses', value);
  return below;
}

// One by one: `handles.js` requires this file, too, while it is read.
exports.DEFAULT_POLICY = DEFAULT_POLICY;
exports.asBuffers = asBuffers;
exports.encoding = encoding;
exports.encodingOfNode = encodingOfNode;
exports.flag = flag;
exports.id = id;
exports.integer = integer;
exports.length = length;
exports.mode = mode;
exports.modeOfNode = modeOfNode;
exports.modeOr = modeOr;
exports.openFlags = openFlags;
exports.options = options;
exports.optionsOrEncoding = optionsOrEncoding;
exports.path = path;
exports.policy = policy;
exports.policyBeneath = policyBeneath;
exports.textOf = textOf;
exports.time = time;
exports.REJECT = REJECT;
exports.version = version;
exports.word = word;
