'use strict';
// Where the bytes of a view are, whatever it says of itself.

const { isDataView } = require('node:util/types');

const { apply, getOwnPropertyDescriptor, getPrototypeOf } = Reflect;

/** @typedef {{ buffer: ArrayBuffer, byteOffset: number, byteLength: number }} Span */

/** @param {object} prototype */
function gettersOf(prototype) {
  /** @param {string} name */
  const getter = (name) => /** @type {Function} */ (getOwnPropertyDescriptor(prototype, name)?.get);
  return { buffer: getter('buffer'), byteOffset: getter('byteOffset'), byteLength: getter('byteLength') };
}

const ofDataView = gettersOf(DataView.prototype);
const ofTypedArray = gettersOf(/** @type {object} */ (getPrototypeOf(Uint8Array.prototype)));

/**
 * @param {ArrayBufferView} view
 * @returns {Span}
 */
function spanOf(view) {
  const { buffer, byteOffset, byteLength } = isDataView(view) ? ofDataView : ofTypedArray;
  return {
    buffer: apply(buffer, view, []),
    byteOffset: apply(byteOffset, view, []),
    byteLength: apply(byteLength, view, []),
  };
}

module.exports = { spanOf };
