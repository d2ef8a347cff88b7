'use strict';
// The methods again, as promises.

const { constants } = require('node:os');
const { isPromise } = require('node:util/types');
const { native } = require('./native.js');
const { AbortError, Failure, checked, invalidThis, messageOf, systemError } = require('./errors.js');
const { handleOf } = require('./handles.js');
const methods = require('./methods.js');
const { isFailure } = require('./root.js');
const { follow } = require('./watch.js');

/** @typedef {import('./root.js').AnyJob} AnyJob */
/** @typedef {import('./binding').Handle} Handle */

/** What work fails with that was stopped. */
const CANCELED = -constants.errno.ECANCELED;

// The process waits for libuv's pool when it exits, and runs no hook before that could stop its work.
process.once('exit', () => native.end());

/**
 * Has a job done. What could be answered without waiting waits for nothing, not even for the next turn.
 *
 * @param {AnyJob} job
 * @param {Handle} root
 */
async function start({ run, result, watched }, root) {
  const watch = watched && native.watch();
  const started = run(native.starts, root, watch);
  let answer;
  if (!isPromise(started)) {
    const failure = isFailure(started) ? new Failure(native.failure()) : undefined;
    if (failure !== undefined) throw systemError(new Error(messageOf(failure)), failure);
    answer = started;
  } else {
    try {
      answer = await (watched && watch ? follow(started, watched, watch) : started);
    } catch (rejected) {
      if (typeof rejected !== 'string') throw rejected;
      // Made here, it has the stack of whoever awaits it.
      const failure = new Failure(rejected);
      const { signal } = watched ?? {};
      if (signal?.aborted && failure.errno === CANCELED) throw new AbortError(signal.reason);
      throw systemError(new Error(messageOf(failure)), failure);
    }
  }
  return result === undefined ? answer : result(answer);
}

/**
 * Does the steps of a generator, whose values may have to be awaited.
 *
 * @param {Iterator<any, void, any>} steps
 */
async function oneByOne(steps) {
  let step = steps.next();
  while (!step.done) {
    let value;
    try {
      value = await step.value;
    } catch (error) {
      step = /** @type {Generator<any, void, any>} */ (steps).throw(error);
      continue;
    }
    step = steps.next(value);
  }
}

/** The promises of one root. */
class SandboxPromises {
  #root;

  /** @param {object} root */
  constructor(root) {
    this.#root = root;
  }

  static {
    for (const [name, read] of Object.entries(methods)) {
      const method = {
        /** @this {unknown} @param {unknown} a @param {unknown} b @param {unknown} c @param {unknown} d @param {unknown} e */
        async [name](a, b, c, d, e) {
          if (typeof this !== 'object' || this === null || !(#root in this)) {
            throw invalidThis('SandboxPromises');
          }
          const sandbox = this.#root;
          const root = handleOf(sandbox);
          const job = checked(read, sandbox, [a, b, c, d, e]);
          if (job.before !== undefined) await oneByOne(job.before(this, (job) => start(job, root)));
          return start(job, root);
        },
      }[name];
      Object.defineProperty(SandboxPromises.prototype, name, {
        value: method,
        writable: true,
        configurable: true,
      });
    }
  }
}

module.exports = { SandboxPromises };
