'use strict';
// The methods again, as promises.

const { isPromise } = require('node:util/types');
const { Call } = require('./call.js');
const { AbortError, checked, errorOf, isFailure } = require('./errors.js');
const { Belonging, handleOf, rootOfPromises } = require('./handles.js');
const { native } = require('./native.js');
const { Thrown, follow } = require('./watch.js');

/** @typedef {import('./call.js').How} How */

/** What the listener has: one serves all copies of these scripts. */
const ENDS_ALL = Symbol.for(`@cocalc/openat2 ${__filename}`);
let isEnding = false;
/**
 * Ends all work before the program's own listeners clean up behind it. What these start, and all work if one before
 * ours ends the process, the native side ends. The listener is a native function: it keeps no copy of these scripts.
 */
function endWithProcess() {
  if (isEnding) return;
  isEnding = true;
  for (const listener of process.listeners('exit')) if (ENDS_ALL in listener) return;
  // @ts-expect-error: nothing of the descriptor is inherited
  Object.defineProperty(native.end, ENDS_ALL, { __proto__: null, value: true });
  process.prependListener('exit', native.end);
}

/**
 * What the caller gets for the answer of a native call. What could be answered without waiting waits for nothing, not
 * even for the next turn.
 *
 * @param {import('./call.js').Call} call
 * @param {unknown} started
 */
async function resultOf({ result, watched, watch, shown }, started) {
  let answer = started;
  // Of the engine: a program may have another Promise, and a test runner loads this in a realm of its own.
  if (isPromise(started)) {
    try {
      answer = await (watched && watch ? follow(started, watched, watch) : started);
    } catch (rejected) {
      // What an `onProgress` threw is passed on as it is.
      if (rejected instanceof Thrown) throw rejected.value;
      if (typeof rejected !== 'string') throw rejected;
      const { signal } = watched ?? {};
      // Made here, it has the stack of whoever awaits it.
      const error = errorOf(rejected, resultOf, shown);
      throw signal?.aborted && error.code === 'ECANCELED' ? new AbortError(signal.reason) : error;
    }
  } else if (isFailure(started)) {
    throw errorOf(native.failure(), resultOf, shown);
  }
  return result === undefined ? answer : result(answer);
}

/**
 * How a promise makes several native calls.
 *
 * @param {Call} call
 * @returns {How}
 */
const howAt = ({ root, self, shown }) => ({
  perform(part, at = root) {
    const call = new Call(native.starts, at, self, shown);
    return settled(call, part(call));
  },
  async go(steps) {
    let step = steps.next();
    while (!step.done) {
      let value;
      try {
        value = await step.value;
      } catch (error) {
        step = steps.throw(error);
        continue;
      }
      step = steps.next(value);
    }
    return step.value;
  },
});

/**
 * What the caller gets for what a method returned: what one native call started or answered, or what makes several.
 *
 * @param {import('./call.js').Call} call
 * @param {unknown} started
 * @returns {Promise<any>}
 */
const settled = (call, started) =>
  typeof started === 'function' ? started(howAt(call)) : resultOf(call, started);

/**
 * The class of the promises of one root.
 *
 * @param {Record<string, import('./call.js').Method>} methods
 */
function makePromisesClass(methods) {
  class SandboxPromises extends Belonging {
    /** @param {object} root */
    constructor(root) {
      super(root);
      endWithProcess();
    }

    static {
      for (const [name, read] of Object.entries(methods)) {
        const method = {
          /** @this {unknown} @param {unknown} a @param {unknown} b @param {unknown} c @param {unknown} d @param {unknown} e */
          async [name](a, b, c, d, e) {
            const sandbox = rootOfPromises(this);
            const root = handleOf(sandbox);
            const call = new Call(native.starts, root, sandbox);
            const started = checked(read, call, a, b, c, d, e);
            return settled(call, started);
          },
        }[name];
        Object.defineProperty(SandboxPromises.prototype, name, {
          // @ts-expect-error: nothing of the descriptor is inherited
          __proto__: null,
          value: method,
          writable: true,
          configurable: true,
        });
      }
    }
  }
  return SandboxPromises;
}

module.exports = { endWithProcess, makePromisesClass, settled };
