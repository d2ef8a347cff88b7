'use strict';
// The three styles of `node:fs`: each function of the view is written once, and is called in all of them.

const { Call } = require('../call.js');
const { AbortError, checked, invalidType } = require('../errors.js');
const { handleOf, policyOf } = require('../handles.js');
const { native } = require('../native.js');
const { endWithProcess, settled } = require('../promises.js');
const { finished } = require('../sync.js');
const { Paths } = require('./paths.js');

/** @typedef {InstanceType<typeof import('../handles.js').SandboxRoot>} SandboxRoot */

/**
 * A call of a function of the view. It is what a method of the root takes.
 *
 * @typedef {Call & { shown: InstanceType<typeof Paths> }} ViewCall
 */

/**
 * A function of the view: it checks its arguments as Node's does, and has the native side do it.
 *
 * @typedef {(call: ViewCall, a: any, b: any, c: any, d: any) => any} Read
 */

/**
 * @param {import('../binding').Operations} operations
 * @param {SandboxRoot} root
 */
function callOf(operations, root) {
  const { symlinks } = policyOf(root);
  return /** @type {ViewCall} */ (new Call(operations, handleOf(root), root, new Paths(symlinks)));
}

/**
 * @param {SandboxRoot} root
 * @param {string} name
 * @param {Read} read
 * @returns {any}
 */
const synchronous = (root, name, read) =>
  ({
    /** @param {unknown} a @param {unknown} b @param {unknown} c @param {unknown} d */
    [name](a, b, c, d) {
      const call = callOf(native.calls, root);
      return checked(finished, call, checked(read, call, a, b, c, d));
    },
  })[name];

/**
 * @param {SandboxRoot} root
 * @param {string} name
 * @param {Read} read
 * @returns {any}
 */
const promised = (root, name, read) =>
  ({
    /** @param {unknown} a @param {unknown} b @param {unknown} c @param {unknown} d */
    async [name](a, b, c, d) {
      endWithProcess();
      const call = callOf(native.starts, root);
      return settled(call, checked(read, call, a, b, c, d));
    },
  })[name];

/**
 * What is wrong with an argument is thrown; all else is for the callback.
 *
 * @param {SandboxRoot} root
 * @param {string} name
 * @param {Read} read
 * @returns {any}
 */
const withCallback = (root, name, read) =>
  ({
    /** @param {unknown[]} args */
    [name](...args) {
      endWithProcess();
      const { callback, given } = checked(callbackOf, args, name === 'opendir' ? 'callback' : 'cb');
      const call = callOf(native.starts, root);
      let started;
      try {
        started = checked(read, call, ...given);
      } catch (error) {
        if (!(error instanceof AbortError)) throw error;
        process.nextTick(callback, error);
        return;
      }
      callBack(settled(call, started), callback);
    },
  })[name];

/**
 * The callback, which is the last argument of Node's functions, or stands where options may be left out.
 *
 * @param {unknown[]} args
 * @param {string} [name] Node's, of the argument
 * @returns {{ callback: (...args: any[]) => void, given: [any, any, any, any] }}
 */
function callbackOf(args, name = 'cb') {
  const at = args.findIndex((arg, i) => i > 0 && typeof arg === 'function');
  if (at === -1) throw invalidType(name, 'of type function', args.length > 1 ? args.at(-1) : undefined);
  const given = /** @type {any} */ (args.slice(0, at));
  return { callback: /** @type {any} */ (args[at]), given };
}

/**
 * What a callback throws is an uncaught exception, and no rejection.
 *
 * @param {Promise<unknown>} promise
 * @param {(...args: any[]) => void} callback
 */
function callBack(promise, callback) {
  promise.then(
    (value) =>
      value === undefined ? process.nextTick(callback, null) : process.nextTick(callback, null, value),
    (error) => process.nextTick(callback, error),
  );
}

module.exports = { callBack, callOf, callbackOf, promised, synchronous, withCallback };
