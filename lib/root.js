'use strict';
// The class `SandboxRoot` and its synchronous methods: each checks its arguments, and then has its job done.

const check = require('./arguments.js');
const { Failure, SystemError, checked, invalidReturnValue, messageOf, systemError } = require('./errors.js');
const { Holder, handleOf, policyOf, promisesOf } = require('./handles.js');
const { Job } = require('./job.js');
const { load, native } = require('./native.js');
const results = require('./results.js');
const { tell } = require('./watch.js');

const { apply } = Reflect;

/** @typedef {import('./binding').Handle} Handle */
/** @typedef {import('./binding').Operations} Operations */
/** @typedef {import('./arguments.js').Policy} Policy */
/** @typedef {import('./job.js').Method} Method */

/**
 * Whether a native call has failed: it gives a negative errno then. No other answer is a negative number.
 *
 * @param {unknown} answer
 */
const isFailure = (answer) => typeof answer === 'number' && answer < 0;

/**
 * Does a job.
 *
 * @param {InstanceType<typeof Job>} job
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
      const job = checked(read, a, b, c, d, e, this);
      if (job.refused !== undefined) checked(job.refused);
      const before = job.before === undefined ? undefined : doBefore(job.before, this, root);
      const done = before ?? perform(job, root);
      // Made here, the stack of the error begins with the method.
      if (done instanceof Failure) throw systemError(new SystemError(messageOf(done)), done);
      return done;
    },
  })[name];

/**
 * Does what comes before a job: the steps of a generator, whose values are there already.
 *
 * @param {NonNullable<InstanceType<typeof Job>['before']>} before
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

/** What no script can get hold of: only `openRoot` makes a root of a handle. */
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

/** A directory that no operation leaves. */
class SandboxRoot extends Holder {
  /**
   * @param {unknown} root
   * @param {unknown} [options]
   */
  constructor(root, options) {
    const opened = root instanceof Opened ? root : checked(open, root, options);
    if (opened instanceof Failure) throw systemError(new SystemError(messageOf(opened)), opened);
    super(opened.handle, opened.policy);
  }
}

/** @type {Record<string, Method>} */
const methods = {
  ...require('./methods.js'),

  openRoot(path, options, _c, _d, _e, above) {
    const at = check.path(path, 'path');
    const policy = check.policyBeneath(options, policyOf(above));
    const { symlinks, mounts, hardlinks, readonly } = policy;
    return new Job(
      (native, root) => native.openRoot(root, at, symlinks, mounts, hardlinks, readonly),
      (handle) => new SandboxRoot(new Opened(handle, policy)),
    );
  },

  isAt(hostPath) {
    const at = check.path(hostPath, 'path');
    return new Job((native, root) => native.isAt(root, at));
  },
};

const identity = /** @type {Function} */ (
  method('identity', () => new Job((native, root) => native.identity(root, results.shared), results.identity))
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
    return checked(walk, root, path, options);
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

module.exports = { SandboxRoot, isFailure, methods };
