'use strict';
// The methods again, as promises.

const { isPromise } = require('node:util/types');
const { native } = require('./native.js');
const {
  AbortError,
  Failure,
  SystemError,
  checked,
  isFailure,
  messageOf,
  systemError,
} = require('./errors.js');
const { Belonging, handleOf, rootOfPromises } = require('./handles.js');
const { follow } = require('./watch.js');

/** @typedef {InstanceType<typeof import('./job.js').Job>} Job */
/** @typedef {import('./binding').Handle} Handle */

const { captureStackTrace } = SystemError;
/**
 * Whether work failed because it was stopped.
 *
 * @param {number} errno
 */
const isCanceled = (errno) => errno === -require('node:os').constants.errno.ECANCELED;
let isEnding = false;
/** The process waits for libuv's pool when it exits, and runs no hook before that could stop its work. */
function endWithProcess() {
  if (!isEnding) process.once('exit', () => native.end());
  isEnding = true;
}

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
  // Of the engine: a program may have another Promise, and a test runner loads this in a realm of its own.
  if (!isPromise(started)) {
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
      if (signal?.aborted && isCanceled(failure.errno)) throw new AbortError(signal.reason);
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

/**
 * The class of the promises of one root.
 *
 * @param {Record<string, import('./job.js').Method>} methods
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
            const job = checked(read, a, b, c, d, e, sandbox);
            if (job.before !== undefined)
              await oneByOne(job.before((job, at = root) => start(job, at), false));
            return job.later === undefined ? start(job, root) : job.later(start, root);
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

module.exports = { makePromisesClass };
