'use strict';
// The class `SandboxRoot` and its synchronous methods: each checks its arguments, and then has its job done.

const check = require('./arguments.js');
const { Failure, SystemError, checked, isFailure, messageOf, systemError } = require('./errors.js');
const { SandboxRoot, handleOf, makePromisesWith, policyOf, rootOf } = require('./handles.js');
const { HostPath } = require('./host-path.js');
const { Job } = require('./job.js');
const { native } = require('./native.js');
const results = require('./results.js');
const { makePromisesClass } = require('./promises.js');
const { tellAtEnd } = require('./watch.js');

const { apply } = Reflect;

/** @typedef {import('./binding').Handle} Handle */
/** @typedef {import('./binding').Operations} Operations */
/** @typedef {import('./arguments.js').Policy} Policy */
/** @typedef {import('./job.js').Method} Method */

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
  if (isFailure(answer)) return new Failure(native.failure());
  const value = result === undefined ? answer : result(answer);
  if (watched && watch) tellAtEnd(watched, watch);
  return value;
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
      if (job.before !== undefined) doBefore(job.before, root);
      const done = perform(job, root);
      // Made here, the stack of the error begins with the method.
      if (done instanceof Failure) throw systemError(new SystemError(messageOf(done)), done);
      return done;
    },
  })[name];

/**
 * Does what comes before a job: the steps of a generator, whose values are there already.
 *
 * @param {NonNullable<InstanceType<typeof Job>['before']>} before
 * @param {Handle} root
 */
function doBefore(before, root) {
  const steps = before((job, at = root) => perform(job, at), true);
  let step = steps.next();
  while (!step.done) {
    const done = step.value;
    step =
      done instanceof Failure
        ? steps.throw(systemError(new SystemError(messageOf(done)), done))
        : steps.next(done);
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
      (handle) => rootOf(handle, policy),
    );
  },

  hostPath(path, _b, _c, _d, _e, above) {
    const at = check.path(path, 'path');
    const { symlinks, mounts, hardlinks, readonly } = policyOf(above);
    return new Job(
      (native, root) => native.openRoot(root, at, symlinks, mounts, hardlinks, readonly),
      (handle) => new HostPath(handle),
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

const deleted = /** @type {Function} */ (
  method('deleted', () => new Job((native, root) => native.deleted(root)))
);

const SandboxPromises = makePromisesClass(methods);

makePromisesWith((root) => new SandboxPromises(root));

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
  get deleted() {
    return apply(deleted, this, []);
  },
};
// A value: automatic mocks read what the class has, and skip getters.
Object.defineProperty(SandboxRoot.prototype, 'promises', {
  // @ts-expect-error: nothing of the descriptor is inherited
  __proto__: null,
  value: SandboxPromises.prototype,
  writable: true,
  enumerable: true,
  configurable: true,
});

for (const [name, read] of Object.entries(methods)) {
  Object.defineProperty(SandboxRoot.prototype, name, {
    // @ts-expect-error: nothing of the descriptor is inherited
    __proto__: null,
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
    // @ts-expect-error: nothing of the descriptor is inherited
    __proto__: null,
    value: members.close,
    writable: true,
    enumerable: true,
    configurable: true,
  });
}

module.exports = { SandboxRoot };
