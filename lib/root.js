'use strict';
// The class `SandboxRoot` and its synchronous methods.

const check = require('./arguments.js');
const { Call } = require('./call.js');
const { Failure, SystemError, checked, errorOf, isFailure, messageOf, systemError } = require('./errors.js');
const {
  SandboxRoot,
  brand,
  handleOf,
  makePromisesWith,
  policyOf,
  promisesOfRoot,
  rootOf,
} = require('./handles.js');
const { HostPath } = require('./host-path.js');
const { native } = require('./native.js');
const results = require('./results.js');
const { makePromisesClass } = require('./promises.js');
const { tellAtEnd } = require('./watch.js');

const { apply } = Reflect;

/** @typedef {import('./binding').Handle} Handle */
/** @typedef {import('./arguments.js').Policy} Policy */
/** @typedef {import('./call.js').How} How */
/** @typedef {import('./call.js').Method} Method */

/**
 * What the caller gets for the answer of a native call that has not failed.
 *
 * @param {import('./call.js').Call} call
 * @param {unknown} answer
 */
function resultOf({ result, watched, watch }, answer) {
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
      const call = new Call(native.calls, handleOf(this), this);
      const answer = checked(read, call, a, b, c, d, e);
      if (isFailure(answer)) {
        const failure = new Failure(native.failure());
        // Made here, the stack of the error begins with the method.
        throw systemError(new SystemError(messageOf(failure)), failure);
      }
      if (typeof answer === 'function') return checked(answer, howAt(call.root));
      return resultOf(call, answer);
    },
  })[name];

/**
 * How a method makes several native calls.
 *
 * @param {Handle} root
 * @returns {How}
 */
const howAt = (root) => ({
  perform(part, at = root) {
    const call = new Call(native.calls, at);
    const answer = part(call);
    if (isFailure(answer)) throw errorOf(native.failure(), checked);
    return resultOf(call, answer);
  },
  go(steps) {
    let step = steps.next();
    while (!step.done) step = steps.next(step.value);
    return step.value;
  },
});

/** @type {Record<string, Method>} */
const methods = {
  ...require('./methods.js'),

  openRoot(call, path, options) {
    const at = check.path(path, 'path');
    const policy = check.policyBeneath(options, policyOf(call.self));
    const { symlinks, mounts, hardlinks, readonly } = policy;
    call.result = (handle) => rootOf(handle, policy);
    return call.native.openRoot(call.root, at, symlinks, mounts, hardlinks, readonly);
  },

  hostPath(call, path) {
    const at = check.path(path, 'path');
    call.result = (handle) => new HostPath(handle);
    return call.native.hostPath(call.root, at);
  },

  isAt(call, hostPath) {
    const at = check.path(hostPath, 'path');
    return call.native.isAt(call.root, at);
  },
};

const identity = /** @type {Function} */ (
  method('identity', (call) => {
    call.result = results.identity;
    return call.native.identity(call.root, results.shared);
  })
);

const deleted = /** @type {Function} */ (method('deleted', (call) => call.native.deleted(call.root)));

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
const { hasOwn } = Object;
const { isPrototypeOf: isAbove } = Object.prototype;
/**
 * Whether it is the prototype of the class, or of one that extends it.
 *
 * @param {any} value
 */
const isPrototype = (value) =>
  value === SandboxRoot.prototype ||
  (apply(isAbove, SandboxRoot.prototype, [value]) &&
    hasOwn(value, 'constructor') &&
    value.constructor?.prototype === value);

Object.defineProperty(SandboxRoot.prototype, 'promises', {
  // @ts-expect-error: nothing of the descriptor is inherited
  __proto__: null,
  /** @this {unknown} */
  get() {
    // Also that of a subclass is no root.
    return isPrototype(this) ? SandboxPromises.prototype : promisesOfRoot(this);
  },
  enumerable: true,
  configurable: true,
});
/** What the class inherits, and is no method. */
const inherited = Object.create(Object.prototype, {
  // Automatic mocks skip getters, and take the value of a property that is inherited.
  // @ts-expect-error: nothing of the descriptor is inherited
  promises: { __proto__: null, value: SandboxPromises.prototype },
});
brand(inherited);
Object.setPrototypeOf(SandboxRoot.prototype, inherited);

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
