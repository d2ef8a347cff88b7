'use strict';
// The class of a root, without its methods: what it holds, and who may ask for that.

const { load, native } = require('./native.js');
const check = require('./arguments.js');
const { Failure, checked, invalidThis, invalidType, messageOf, systemError } = require('./errors.js');

/** @typedef {import('./binding').Handle} Handle */
/** @typedef {import('./arguments.js').Policy} Policy */

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
// A program may have put setters on `Object.prototype`.
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

/** A directory that no operation leaves. The handle is native: whoever has none has no root. */
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
    const opened = root instanceof Opened ? root : checked(open, undefined, [root, options]);
    if (opened instanceof Failure) throw systemError(new Error(messageOf(opened)), opened);
    this.#handle = opened.handle;
    this.#policy = opened.policy;
  }
}

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
 * @param {Handle} handle
 * @param {Policy} policy
 */
const rootOf = (handle, policy) => new SandboxRoot(new Opened(handle, policy));

/**
 * The root that the second path of a call is beneath, if the option `to` names another one.
 *
 * @param {Record<string, unknown>} options
 * @returns {Handle | undefined}
 */
function second({ to }) {
  if (to == null) return undefined;
  const handle = handleIn(to);
  if (handle === undefined) throw invalidType('options.to', 'an instance of SandboxRoot', to);
  return handle;
}

module.exports = { SandboxRoot, handleOf, policyOf, promisesOf, rootOf, second };
