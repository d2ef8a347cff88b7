'use strict';
// Loads the native binding. It stands beside the binary of a checkout, and beside that of a bundle.

const { openSync, readSync, closeSync } = require('node:fs');

// Every require is a literal string, so that bundlers see what can be loaded.
const LOCAL = {
  'linux-x64-gnu': () => require('./cocalc_openat2.linux-x64-gnu.node'),
  'linux-x64-musl': () => require('./cocalc_openat2.linux-x64-musl.node'),
  'linux-arm64-gnu': () => require('./cocalc_openat2.linux-arm64-gnu.node'),
  'linux-arm64-musl': () => require('./cocalc_openat2.linux-arm64-musl.node'),
};
/** @type {Record<keyof typeof LOCAL, () => [manifest: { version: string }, binding: import('./lib/binding').Binding]>} */
const PACKAGED = {
  'linux-x64-gnu': () => [
    require('@cocalc/openat2-linux-x64-gnu/package.json'),
    require('@cocalc/openat2-linux-x64-gnu'),
  ],
  'linux-x64-musl': () => [
    require('@cocalc/openat2-linux-x64-musl/package.json'),
    require('@cocalc/openat2-linux-x64-musl'),
  ],
  'linux-arm64-gnu': () => [
    require('@cocalc/openat2-linux-arm64-gnu/package.json'),
    require('@cocalc/openat2-linux-arm64-gnu'),
  ],
  'linux-arm64-musl': () => [
    require('@cocalc/openat2-linux-arm64-musl/package.json'),
    require('@cocalc/openat2-linux-arm64-musl'),
  ],
};

/** Which C library this Node runs on: its dynamic linker is named in the first page of the binary. */
function libc() {
  try {
    const fd = openSync('/proc/self/exe', 'r');
    const head = Buffer.alloc(4096);
    readSync(fd, head);
    closeSync(fd);
    return head.includes('/ld-musl-') ? 'musl' : 'gnu';
  } catch {
    return 'gnu';
  }
}

/** @param {keyof typeof LOCAL} target */
function packaged(target) {
  const [manifest, binding] = PACKAGED[target]();
  const { version } = require('./package.json');
  if (manifest.version === version) return binding;
  throw new Error(`its version is ${manifest.version}, but @cocalc/openat2 is ${version}`);
}

/** @returns {import('./lib/binding').Binding} */
function load() {
  const given = process.env.NAPI_RS_NATIVE_LIBRARY_PATH;
  if (given) return require(given);

  const platform = `${process.platform}-${process.arch}`;
  if (!(`${platform}-gnu` in LOCAL)) {
    throw new Error(
      `@cocalc/openat2 does not run on ${platform}: it needs Linux (5.6 or newer) on x64 or arm64.`,
    );
  }
  const target = /** @type {keyof typeof LOCAL} */ (`${platform}-${libc()}`);
  const candidates = {
    [`./cocalc_openat2.${target}.node`]: LOCAL[target],
    [`@cocalc/openat2-${target}`]: () => packaged(target),
    './cocalc_openat2.node': () => require('./cocalc_openat2.node'),
  };
  const tried = [];
  for (const [name, attempt] of Object.entries(candidates)) {
    try {
      return attempt();
    } catch (error) {
      tried.push(`  ${name}: ${/** @type {Error} */ (error).message.split('\n', 1)[0]}`);
    }
  }
  throw new Error(
    `@cocalc/openat2 found no binary for ${target}. Tried:\n${tried.join('\n')}\n` +
      'Install again with optional dependencies enabled (no --omit=optional), on this kind of machine;\n' +
      'or build from a checkout with `npm run build`; or name a binary in NAPI_RS_NATIVE_LIBRARY_PATH.',
  );
}

module.exports = load();
