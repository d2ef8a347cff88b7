'use strict';
// How files are opened for what Node makes of a descriptor: at a root, or at a view of one.

const check = require('./arguments.js');
const { Call } = require('./call.js');
const { handleOf } = require('./handles.js');
const { native } = require('./native.js');
const { endWithProcess, settled } = require('./promises.js');
const { finished } = require('./sync.js');

/** @typedef {import('./binding').Operations} Operations */

/** @typedef {InstanceType<typeof Opener>} AnOpener */

class Opener {
  #makeCall;
  #readPath;

  /**
   * @param {(operations: Operations) => Call} makeCall
   * @param {(call: Call, path: unknown) => string | Uint8Array} readPath what the root is asked for
   */
  constructor(makeCall, readPath) {
    this.#makeCall = makeCall;
    this.#readPath = readPath;
  }

  /**
   * Opens a file at once, to do something with it that Node has another name for.
   *
   * @param {unknown} path
   * @param {number} flags
   * @param {string} syscall
   * @returns {number}
   */
  openSync(path, flags, syscall) {
    const call = this.#makeCall(native.calls);
    const at = this.#readPath(call, path);
    call.shown = named(call.shown, syscall);
    return finished(call, call.native.openLent(call.root, at, flags, 0));
  }

  /**
   * Closes what was opened so.
   *
   * @param {number} fd
   */
  closeSync(fd) {
    const call = this.#makeCall(native.calls);
    finished(call, call.native.closeLent(call.root, fd));
  }

  /**
   * The same, behind a promise.
   *
   * @param {unknown} path
   * @param {number} flags
   * @param {string} syscall
   * @returns {Promise<number>}
   */
  async open(path, flags, syscall) {
    endWithProcess();
    const call = this.#makeCall(native.starts);
    const at = this.#readPath(call, path);
    call.shown = named(call.shown, syscall);
    return settled(call, call.native.openLent(call.root, at, flags, 0));
  }

  /**
   * Closes what was opened so.
   *
   * @param {number} fd
   * @returns {Promise<void>}
   */
  async close(fd) {
    const call = this.#makeCall(native.starts);
    return settled(call, call.native.closeLent(call.root, fd));
  }

  /**
   * What makes native calls about a file, whose path is checked.
   *
   * @param {unknown} path
   */
  at(path) {
    endWithProcess();
    // Read once: bytes may change.
    const first = this.#makeCall(native.starts);
    const at = this.#readPath(first, path);
    const perform = (/** @type {(call: Call) => unknown} */ part) => {
      const call = this.#makeCall(native.starts);
      call.shown = first.shown;
      return settled(call, part(call));
    };
    return { at, perform };
  }
}

/**
 * @param {import('./call.js').Shown | undefined} shown
 * @param {string} syscall
 * @returns {import('./call.js').Shown}
 */
const named = (shown, syscall) => ({
  rename(failure) {
    shown?.rename(failure);
    failure.syscall = syscall;
  },
});

/**
 * That of a root, whose paths are its own.
 *
 * @param {unknown} root
 */
function openerOf(root) {
  const handle = handleOf(root);
  return new Opener(
    (operations) => new Call(operations, handle, root),
    (_call, path) => check.path(path, 'path'),
  );
}

module.exports = { Opener, named, openerOf };
