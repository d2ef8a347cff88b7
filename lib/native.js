'use strict';
// The native side. It is loaded with the first root: whoever opens none, or has no binary, can load the rest.

/** @type {import('./binding').Binding} */
const native = /** @type {any} */ (Object.create(null));

/** Loads it, or throws why that cannot be done. */
function load() {
  if (native.calls !== undefined) return;
  Object.assign(native, require('../binding.js'));
  // Read now: when they are used, there may be no descriptor left, or the process may see other files.
  require('./walk.js');
}

module.exports = { load, native };
