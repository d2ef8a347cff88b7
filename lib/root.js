'use strict';
// The class `SandboxRoot` and its synchronous methods.

const { constants } = require('node:fs');
const check = require('./arguments.js');
const { Call } = require('./call.js');
const { Failure, SystemError, checked, isFailure, messageOf, systemError } = require('./errors.js');
const {
  SandboxRoot,
  brand,
  handleOf,
  makePromisesWith,
  policyOf,
  promisesOfRoot,
  rootOf,
  rootOfPromises,
} = require('./handles.js');
const { HostPath } = require('./host-path.js');
const { native } = require('./native.js');
const results = require('./results.js');
const { openerOf } = require('./opener.js');
const { makePromisesClass } = require('./promises.js');
const { finished } = require('./sync.js');

const { apply } = Reflect;
const { O_RDONLY } = constants;

/** @typedef {import('./binding').Handle} Handle */
/** @typedef {import('./arguments.js').Policy} Policy */
/** @typedef {import('./call.js').Method} Method */

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
      return checked(finished, call, answer);
    },
  })[name];

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

/** @type {Record<string, Method>} */
const ofPromises = {
  ...methods,

  openHandle(_call, path, flags, mode) {
    const at = check.path(path, 'path');
    const how = check.openFlags(flags, 'flags', O_RDONLY);
    const made = check.modeOr(mode, 'mode', 0o666);
    return require('./descriptors.js').openHandle({ at, flags: how, mode: made, path: check.textOf(path) });
  },
};

const SandboxPromises = makePromisesClass(ofPromises);
/**
 * @this {unknown}
 * @param {unknown} path
 * @param {unknown} options
 */
function watch(path, options) {
  return checked(require('./file-watcher.js').events, openerOf(rootOfPromises(this)), path, options);
}
Object.defineProperty(SandboxPromises.prototype, 'watch', {
  // @ts-expect-error: nothing of the descriptor is inherited
  __proto__: null,
  value: watch,
  writable: true,
  configurable: true,
});

makePromisesWith((root) => new SandboxPromises(root));

const members = {
  /**
   * @this {unknown}
   * @param {unknown} path
   * @param {unknown} options
   */
  createReadStream(path, options) {
    return checked(require('./streams.js').readStream, openerOf(this), path, options);
  },
  /**
   * @this {unknown}
   * @param {unknown} path
   * @param {unknown} options
   */
  createWriteStream(path, options) {
    return checked(require('./streams.js').writeStream, openerOf(this), path, options);
  },
  /**
   * @this {unknown}
   * @param {unknown} path
   * @param {unknown} options
   * @param {unknown} listener
   */
  watch(path, options, listener) {
    return checked(require('./file-watcher.js').watch, openerOf(this), path, options, listener);
  },
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
