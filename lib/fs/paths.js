'use strict';
// Paths of the view: `/` is the root, and the working directory.

const { isUint8Array } = require('node:util/types');
const { fileURLToPath } = require('node:url');
const { REJECT, textOf } = require('../arguments.js');
const { coded, invalidType, invalidValue } = require('../errors.js');

const { Buffer } = globalThis;
const SLASH = Buffer.from('/');

/** @typedef {string | Uint8Array} RootPath */

const MAJOR = Number(process.versions.node.split('.', 1)[0]);
/** As Node says it. */
const NO_NUL =
  MAJOR < 20
    ? 'must be a string or Uint8Array without null bytes'
    : 'must be a string, Uint8Array, or URL without null bytes';

/** The policy under which an absolute path begins at the root, and `..` stays there: the kernel does both. */
const IN_ROOT = 2;

/** The paths of one call: how they look to the caller, and to the root. */
class Paths {
  /** @param {number} symlinks the policy of the root */
  constructor(symlinks) {
    this.symlinks = symlinks;
    /** Node's name of the system call, if ours is another one. */
    this.syscall = '';
    /**
     * The codes that Node's function has for some errors of ours.
     *
     * @type {Record<string, [code: string, text: string, reason?: string]> | undefined}
     */
    this.codes = undefined;
    /** @type {[own: string, shown: string][]} */
    this.pairs = [];
    /** @type {RootPath[]} as they were passed */
    this.all = [];
  }

  /**
   * What the root is asked for.
   *
   * @param {unknown} value a string, a Buffer or a `file:` URL
   * @param {string} [name] of the argument
   * @returns {RootPath}
   */
  read(value, name = 'path') {
    const given = pathOf(value, name);
    const own = beneath(given, this.symlinks);
    this.pairs.push([textOf(own), textOf(given)]);
    this.all.push(given);
    return own;
  }

  /**
   * What a name begins with: the last part of it is no path.
   *
   * @param {unknown} value
   * @param {string} name of the argument
   * @returns {RootPath}
   */
  prefix(value, name) {
    const given = Buffer.from(/** @type {any} */ (pathOf(value, name)));
    const cut = given.lastIndexOf(SLASH) + 1;
    const above = cut === 0 ? '.' : beneath(given.subarray(0, cut), this.symlinks);
    const own = Buffer.concat([Buffer.from(/** @type {any} */ (above)), SLASH, given.subarray(cut)]);
    this.pairs.push([textOf(own), textOf(given)]);
    this.all.push(given);
    return own;
  }

  /**
   * What a symlink is to hold: text that leads nowhere yet.
   *
   * @param {unknown} value
   * @returns {RootPath}
   */
  target(value) {
    const text = pathOf(value, 'target');
    this.pairs.push([textOf(text), textOf(text)]);
    this.all.push(text);
    return text;
  }

  /**
   * A path of the call as text.
   *
   * @param {number} which
   */
  text(which) {
    return textOf(this.given(which));
  }

  /**
   * A path of the call in bytes, as it was passed.
   *
   * @param {number} which
   */
  given(which) {
    return Buffer.from(/** @type {any} */ (this.all[which] ?? ''));
  }

  /** @param {InstanceType<typeof import('../errors.js').Failure>} failure */
  rename(failure) {
    if (this.syscall !== '') failure.syscall = this.syscall;
    const [first, second = first] = this.pairs;
    if (first === undefined || second === undefined) return;
    if (failure.path !== undefined) failure.path = shownAs(failure.path, first);
    if (failure.dest !== undefined) failure.dest = shownAs(failure.dest, second);
    // Those of a tree are beneath either of both.
    failure.entries = failure.entries?.map((entry) => shownAs(entry, isAt(entry, first[0]) ? first : second));
  }

  /**
   * Node's error in place of ours, where `rm` and `cp` of Node have codes of their own.
   *
   * @param {any} error
   */
  translate(error) {
    const [code, text, told] = this.codes?.[error.code] ?? [];
    if (code === undefined) return error;
    const { errno, syscall, path, dest } = error;
    const reason = told ?? error.message.replace(/, .*/s, '').replace(/^\w+: /, '');
    const of = [path, dest].filter((one) => one !== undefined).join(' => ');
    const message = `${text}: ${syscall} returned ${error.code} (${reason}) ${of}`;
    const translated = Object.assign(coded(Error, code, message), { errno: -errno, syscall, path });
    if (dest !== undefined) Object.assign(translated, { dest });
    return Object.defineProperty(translated, 'name', {
      value: 'SystemError',
      writable: true,
      configurable: true,
    });
  }

  /**
   * How a path at or beneath the one that was read looks to the caller.
   *
   * @param {string} own
   * @param {number} [which] the first path of the call, or the second
   */
  shown(own, which = 0) {
    const pair = this.pairs[which];
    return pair === undefined ? own : shownAs(own, pair);
  }
}

/**
 * @param {string} own
 * @param {[own: string, shown: string]} pair
 */
function shownAs(own, [from, to]) {
  if (own === from) return to;
  const isDirectory = from.endsWith('/');
  const way =
    from === '.' ? own : own.startsWith(isDirectory ? from : `${from}/`) ? own.slice(from.length) : undefined;
  // What is beneath no path of the call is beneath the root.
  if (way === undefined) return `/${own}`;
  return `${to.replace(/\/+$/, '')}/${way.replace(/^\/+/, '')}`;
}

/**
 * @param {string} own
 * @param {string} top
 */
const isAt = (own, top) => top === '.' || own === top || own.startsWith(top.endsWith('/') ? top : `${top}/`);

/**
 * A path as Node takes it.
 *
 * @param {unknown} value
 * @param {string} name
 * @returns {RootPath}
 */
function pathOf(value, name) {
  const path = isURL(value) ? fileURLToPath(/** @type {URL} */ (value)) : value;
  if (typeof path !== 'string' && !isUint8Array(path)) {
    throw invalidType(name, 'of type string or an instance of Buffer or URL', value);
  }
  const hasNul = typeof path === 'string' ? path.includes('\0') : path.includes(0);
  if (hasNul) throw invalidValue(name, NO_NUL, path);
  return path;
}

/**
 * What Node takes for a URL: also that of another realm.
 *
 * @param {any} value
 */
const isURL = (value) =>
  typeof value === 'object' &&
  value !== null &&
  Boolean(value.href && value.protocol && value.auth === undefined && value.path === undefined);

/**
 * A path of the view as one of the root.
 *
 * @param {RootPath} path
 * @param {number} symlinks
 * @returns {RootPath}
 */
function beneath(path, symlinks) {
  if (path.length === 0 || symlinks === IN_ROOT) return typeof path === 'string' ? path : Buffer.from(path);
  if (typeof path === 'string') return beneathRoot(path, symlinks);
  return Buffer.from(beneathRoot(Buffer.from(path).toString('latin1'), symlinks), 'latin1');
}

/**
 * @param {string} path not empty
 * @param {number} symlinks
 */
function beneathRoot(path, symlinks) {
  // Where no symlink is followed, `..` is the directory above by name; elsewhere the kernel knows where it leads.
  const plain = symlinks === REJECT && path.includes('..') ? withoutParents(path) : path;
  let start = 0;
  while (plain[start] === '/') start++;
  return start === plain.length ? '.' : plain.slice(start);
}

/**
 * Goes up at each `..`, and no further than to the root.
 *
 * @param {string} path
 */
function withoutParents(path) {
  /** @type {string[]} */
  const names = [];
  const all = path.split('/');
  for (const name of all) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  const isDirectory = ['', '.', '..'].includes(/** @type {string} */ (all.at(-1)));
  return names.join('/') + (isDirectory && names.length > 0 ? '/' : '') || '/';
}

module.exports = { Paths, pathOf };
