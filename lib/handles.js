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
  }
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

/** @param {unknown} value */
const isRoot = (value) => handleIn(value) !== undefined;

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

exports.SandboxRoot = SandboxRoot;
exports.handleOf = handleOf;
exports.isRoot = isRoot;
exports.policyOf = policyOf;
exports.promisesOf = promisesOf;
exports.rootOf = rootOf;
exports.second = second;
