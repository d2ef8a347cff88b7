'use strict';
// The class of a root, without its methods: what it holds, and who may ask for that.

const check = require('./arguments.js');
const {
  Failure,
  SystemError,
  checked,
  invalidThis,
  invalidType,
  messageOf,
  systemError,
} = require('./errors.js');
const { load, native } = require('./native.js');

const { defineProperty } = Object;

/** @typedef {import('./binding').Handle} Handle */
/** @typedef {import('./arguments.js').Policy} Policy */

/** @type {(value: unknown) => Handle | undefined} */
let handleIn;
/** @type {(value: unknown) => Policy} */
let policyOf;
/**
 * What goes with a root, made once. A WeakMap would keep the root until a major collection: minor ones take its
 * values for reachable, and this value refers to its key.
 *
 * @type {(root: object, make: (root: object) => object) => object}
 */
let promisesOf;

/** What no script can get hold of: only `rootOf` makes a root of a handle. */
class Opened {
  /**
   * @param {Handle} handle
   * @param {Policy} policy
   */
  constructor(handle, policy) {
    this.handle = handle;
    this.policy = policy;
  }
}
// No setter of `Object.prototype` is handed what is kept here.
Object.setPrototypeOf(Opened.prototype, null);

/**
 * @param {unknown} root
 * @param {unknown} options
 */
function open(root, options) {
  const path = check.path(root, 'root');
  const allowed = check.policy(options, check.DEFAULT_POLICY);
  load();
  const { symlinks, mounts, hardlinks, readonly } = allowed;
  const handle = native.open(path, symlinks, mounts, hardlinks, readonly);
  return typeof handle === 'number' ? new Failure(native.failure()) : new Opened(handle, allowed);
}

/** @type {(root: object) => object} */
let makePromises;

/** @param {(root: object) => object} make makes the promises of a root */
function makePromisesWith(make) {
  makePromises = make;
}

/**
 * The promises of a root, made when they are asked for.
 *
 * @param {unknown} root
 */
function promisesOfRoot(root) {
  handleOf(root);
  const promises = promisesOf(/** @type {object} */ (root), makePromises);
  markAsUncloneable(promises);
  return promises;
}

/**
 * What roots, their promises and their host paths of any copy of the package have: another copy, or another realm,
 * has classes of its own.
 */
const OF_A_ROOT = Symbol.for('@cocalc/openat2');

/** @param {object} prototype */
function brand(prototype) {
  // @ts-expect-error: nothing of the descriptor is inherited
  defineProperty(prototype, OF_A_ROOT, { __proto__: null, value: true });
}

/** @type {((object: object) => void) | undefined} */
let mark;

/**
 * A copy would be an empty object: newer Nodes can refuse to make one. Loaded with the first root: it takes Node as
 * long as the package.
 *
 * @param {object} object
 */
function markAsUncloneable(object) {
  mark ??= /** @type {any} */ (require('node:worker_threads')).markAsUncloneable ?? (() => {});
  mark?.(object);
}

/** A directory that no operation leaves. Its handle is in a private field: no script can read it, or set it. */
class SandboxRoot {
  /** @type {Handle} */
  #handle;
  /** @type {Policy} */
  #policy;
  /** @type {object | undefined} */
  #promises = undefined;

  static {
    handleIn = (value) =>
      typeof value === 'object' && value !== null && #handle in value ? value.#handle : undefined;
    policyOf = (value) => /** @type {SandboxRoot} */ (value).#policy;
    promisesOf = (value, make) => {
      const root = /** @type {SandboxRoot} */ (value);
      root.#promises ??= make(root);
      return root.#promises;
    };
  }

  /**
   * @param {unknown} root
   * @param {unknown} [options]
   */
  constructor(root, options) {
    const opened = root instanceof Opened ? root : checked(open, root, options);
    if (opened instanceof Failure) throw systemError(new SystemError(messageOf(opened)), opened);
    this.#handle = opened.handle;
    this.#policy = opened.policy;
    markAsUncloneable(this);
  }
}

/** @type {(value: unknown) => object | undefined} */
let rootIn;

/** What has the root that it belongs to in a private field: its promises. */
class Belonging {
  /** @type {object} */
  #root;

  static {
    rootIn = (value) =>
      typeof value === 'object' && value !== null && #root in value ? value.#root : undefined;
  }

  /** @param {object} root */
  constructor(root) {
    this.#root = root;
  }
}

brand(Belonging.prototype);

/**
 * The root whose promises `value` is.
 *
 * @param {unknown} value
 */
function rootOfPromises(value) {
  const root = rootIn(value);
  if (root === undefined) throw invalidThis('SandboxPromises');
  return root;
}

/**
 * @param {Handle} handle
 * @param {Policy} policy
 */
const rootOf = (handle, policy) => new SandboxRoot(new Opened(handle, policy));

/**
 * The handle of the root that `value` is.
 *
 * @param {unknown} value
 * @returns {Handle}
 */
function handleOf(value) {
  const handle = handleIn(value);
  if (handle === undefined) throw invalidThis('SandboxRoot');
  return handle;
}

/**
 * Whether `value` is a root, or of one, also behind a Proxy or a mock.
 *
 * @param {object} value
 */
const isOfRoot = (value) => OF_A_ROOT in value;

/**
 * The root that the second path of a call is beneath, if the options name one. An option that is there and no root,
 * `undefined` included, would mean another root than the caller thinks.
 *
 * @param {Record<string, unknown>} options
 * @returns {Handle | undefined}
 */
function second(options) {
  if (!('to' in options)) return undefined;
  const handle = handleIn(options.to);
  if (handle === undefined) throw invalidType('options.to', 'an instance of SandboxRoot', options.to);
  return handle;
}

exports.Belonging = Belonging;
exports.SandboxRoot = SandboxRoot;
exports.handleOf = handleOf;
exports.brand = brand;
exports.isOfRoot = isOfRoot;
exports.promisesOfRoot = promisesOfRoot;
exports.policyOf = policyOf;
exports.rootOf = rootOf;
exports.second = second;
exports.makePromisesWith = makePromisesWith;
exports.rootOfPromises = rootOfPromises;
