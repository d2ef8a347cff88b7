'use strict';
// The methods again, as promises.

const { constants } = require('node:os');
const { native } = require('./native.js');
const {
  AbortError,
  Failure,
  SystemError,
  checked,
  invalidThis,
  messageOf,
  systemError,
} = require('./errors.js');
const { handleOf } = require('./handles.js');
const { isFailure, methods } = require('./root.js');
const { follow } = require('./watch.js');

/** @typedef {InstanceType<typeof import('./job.js').Job>} Job */
/** @typedef {import('./binding').Handle} Handle */

const { captureStackTrace } = SystemError;
/** What work fails with that was stopped. */
const CANCELED = -constants.errno.ECANCELED;
/** That of the engine, whatever a program has put in its place. */
const NativePromise = /** @type {PromiseConstructor} */ ((async () => {})().constructor);

// The process waits for libuv's pool when it exits, and runs no hook before that could stop its work.
process.once('exit', () => native.end());

/**
 * Has a job done. What could be answered without waiting waits for nothing, not even for the next turn.
 *
 * @param {Job} job
 * @param {Handle} root
 */
async function start({ run, result, watched }, root) {
  const watch = watched && native.watch();
  const started = run(native.starts, root, watch);
  let answer;
  if (!(started instanceof NativePromise)) {
    const failure = isFailure(started) ? new Failure(native.failure()) : undefined;
    if (failure !== undefined) throw systemError(new SystemError(messageOf(failure)), failure);
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
      const error = new SystemError(messageOf(failure));
      captureStackTrace(error, start);
      throw systemError(error, failure);
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
          const job = checked(read, a, b, c, d, e, sandbox);
          if (job.before !== undefined) await oneByOne(job.before(this, (job) => start(job, root)));
          return job.later === undefined ? start(job, root) : job.later(start, root);
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
