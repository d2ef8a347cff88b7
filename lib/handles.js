'use strict';
// What a root holds, and who may ask for that.

const { invalidThis, invalidType } = require('./errors.js');

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

/** What has the native handle of a root in a private field: no script can make one, or read it. */
class Holder {
  /** @type {Handle} */
  #handle;
  /** @type {Policy} */
  #policy;
  /** @type {object | undefined} */
  #promises = undefined;

  static {
    handleIn = (value) =>
      typeof value === 'object' && value !== null && #handle in value ? value.#handle : undefined;
    policyOf = (value) => /** @type {Holder} */ (value).#policy;
    promisesOf = (value, make) => {
      const root = /** @type {Holder} */ (value);
      root.#promises ??= make(root);
      return root.#promises;
    };
  }

  /**
   * @param {Handle} handle
   * @param {Policy} policy
   */
  constructor(handle, policy) {
    this.#handle = handle;
    this.#policy = policy;
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

/**
 * The root whose promises `value` is.
 *
 * @param {unknown} value
 */
function rootOf(value) {
  const root = rootIn(value);
  if (root === undefined) throw invalidThis('SandboxPromises');
  return root;
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
 * Whether `value` is a root, or the promises of one, also behind a Proxy or a mock.
 *
 * @param {unknown} value
 */
const isRoot = (value) => value instanceof Holder || value instanceof Belonging;

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

module.exports = { Belonging, Holder, handleOf, isRoot, policyOf, promisesOf, rootOf, second };
