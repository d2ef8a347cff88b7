'use strict';
// The native side. It is loaded with the first root: whoever opens none, or has no binary, can load the rest.

/** Not `Object.create(null)`: the engine would look up its properties by their names in each call. */
class Native {}
Object.setPrototypeOf(Native.prototype, null);
/** @type {import('./binding').Binding} */
const native = /** @type {any} */ (new Native());

/** Loads it, or throws why that cannot be done. */
function load() {
  if (native.calls !== undefined) return;
  Object.assign(native, require('../binding.js'));
  // Read now: when they are used, there may be no descriptor left, or the process may see other files.
  require('./walk.js');
}

module.exports = { load, native };
