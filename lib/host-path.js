'use strict';
// `hostPath`: a path of the host to a directory beneath a root, for what takes paths alone.

const { errorOf, invalidThis } = require('./errors.js');
const { brand } = require('./handles.js');
const { native } = require('./native.js');

/** @typedef {import('./binding').Handle} Handle */

/** What the path of a closed one fails with, as the parts of an error: EBADF. */
const CLOSED = '-9\0open\0closed\0the path is closed\x000';

/** @type {(value: unknown) => Handle | undefined} */
let handleIn;

/** Holds the descriptor that its path goes by: until it is closed, or collected. */
class HostPath {
  /** @type {Handle} */
  #handle;

  static {
    handleIn = (value) =>
      typeof value === 'object' && value !== null && #handle in value ? value.#handle : undefined;
  }

  /** @param {Handle} handle that of a root at the directory */
  constructor(handle) {
    this.#handle = handle;
  }

  get path() {
    const descriptor = native.descriptor(handleOf(this));
    // By its number, something else may be open by now.
    if (descriptor < 0) throw errorOf(CLOSED, errorOf);
    return `/proc/self/fd/${descriptor}`;
  }

  close() {
    native.close(handleOf(this));
  }
}

brand(HostPath.prototype);

/** @param {unknown} value */
function handleOf(value) {
  const handle = handleIn(value);
  if (handle === undefined) throw invalidThis('HostPath');
  return handle;
}

// The first releases of Node 18 do not have the symbol.
if (Symbol.dispose !== undefined) {
  Object.defineProperty(HostPath.prototype, Symbol.dispose, {
    value: HostPath.prototype.close,
    writable: true,
    configurable: true,
  });
}

module.exports = { HostPath };
