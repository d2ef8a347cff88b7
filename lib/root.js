'use strict';
// The class `SandboxRoot` and its synchronous methods: each checks its arguments, and then has its job done.

const { native } = require('./native.js');
const { Failure, checked, invalidReturnValue, messageOf, systemError } = require('./errors.js');
const { SandboxRoot, handleOf, promisesOf } = require('./handles.js');
const { Job } = require('./job.js');
const methods = require('./methods.js');
const results = require('./results.js');
const { tell } = require('./watch.js');

const { apply } = Reflect;
// biome-ignore lint/suspicious/noShadowRestrictedNames: captured at load; user code may replace it later
const { Error } = globalThis;

/** @typedef {import('./binding').Handle} Handle */
/** @typedef {InstanceType<typeof Job>} AnyJob */
/** @typedef {(this: unknown, ...args: any[]) => AnyJob} Method a method: it checks its arguments */

/**
 * Whether a native call has failed: it gives a negative errno then. No other answer is a negative number.
 *
 * @param {unknown} answer
 */
const isFailure = (answer) => typeof answer === 'number' && answer < 0;

/**
 * Does a job.
 *
 * @param {AnyJob} job
 * @param {Handle} root
 * @returns {unknown} what the caller gets, or a `Failure`
 */
function perform({ run, result, watched }, root) {
  const watch = watched && native.watch();
  const answer = run(native.calls, root, watch);
  const failure = isFailure(answer) ? new Failure(native.failure()) : undefined;
  // Behind the failure: an `onProgress` may make calls that fail.
  if (watched && watch) tell(watched, watch);
  if (failure !== undefined) return failure;
  return result === undefined ? answer : result(answer);
}

/**
 * A synchronous method. It has as many parameters as any method takes.
 *
 * @param {string} name
 * @param {Method} read
 */
const method = (name, read) =>
  ({
    /** @this {unknown} @param {unknown} a @param {unknown} b @param {unknown} c @param {unknown} d @param {unknown} e */
    [name](a, b, c, d, e) {
      const root = handleOf(this);
      const job = checked(read, this, [a, b, c, d, e]);
      const before = job.before === undefined ? undefined : doBefore(job.before, this, root);
      const done = before ?? perform(job, root);
      // Made here, the stack of the error begins with the method.
      if (done instanceof Failure) throw systemError(new Error(messageOf(done)), done);
      return done;
    },
  })[name];

/**
 * Does what comes before a job: the steps of a generator, whose values are there already.
 *
 * @param {NonNullable<AnyJob['before']>} before
 * @param {unknown} methods
 * @param {Handle} root
 * @returns {InstanceType<typeof Failure> | undefined}
 */
function doBefore(before, methods, root) {
  const steps = before(methods, (job) => perform(job, root));
  let step = steps.next();
  while (!step.done) {
    if (step.value instanceof Failure) return step.value;
    step = steps.next(refusePromise(step.value));
  }
  return undefined;
}

/** @param {any} value what a filter may have returned */
function refusePromise(value) {
  if (typeof value?.then !== 'function') return value;
  throw invalidReturnValue('Expected a boolean to be returned from the "filter" function of cp');
}

const identity = /** @type {Function} */ (
  method(
    'identity',
    () => new Job((native, root) => native.identity(root, results.integers), results.identity),
  )
);

/** @param {object} root */
function makePromises(root) {
  const { SandboxPromises } = require('./promises.js');
  return new SandboxPromises(root);
}

const members = {
  close() {
    native.close(handleOf(this));
  },
  /**
   * @this {unknown}
   * @param {unknown} path
   * @param {unknown} options
   */
  walk(path, options) {
    const root = handleOf(this);
    const { walk } = require('./walk.js');
    return checked(walk, undefined, [root, path, options]);
  },
  get closed() {
    return native.closed(handleOf(this));
  },
  get identity() {
    return apply(identity, this, []);
  },
  get promises() {
    handleOf(this);
    return promisesOf(this, makePromises);
  },
};

for (const [name, read] of Object.entries(methods)) {
  Object.defineProperty(SandboxRoot.prototype, name, {
    value: method(name, read),
    writable: true,
    enumerable: true,
    configurable: true,
  });
}
Object.defineProperties(SandboxRoot.prototype, Object.getOwnPropertyDescriptors(members));
// `using root = new SandboxRoot(path)`: the first releases of Node 18 do not have the symbol.
if (Symbol.dispose !== undefined) {
  Object.defineProperty(SandboxRoot.prototype, Symbol.dispose, {
    value: members.close,
    writable: true,
    enumerable: true,
    configurable: true,
  });
}

module.exports = { SandboxRoot, isFailure };
