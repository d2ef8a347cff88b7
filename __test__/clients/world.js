'use strict';
// Where clients run: a view of a root, links in it that lead to a folder outside, and a record of what a client asks
// `node:fs` itself, past the view.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { AsyncLocalStorage } = require('node:async_hooks');
const { syncBuiltinESMExports } = require('node:module');
const { SandboxRoot } = require('../..');
const { createFs } = require('../../fs');
const { openBeneath, until } = require('../examples/world.js');
const { BASE } = require('../races/field.js');
const { Outside } = require('../races/outside.js');
const { plant, tempDir } = require('../support.js');
const { MODULES, isDone, load } = require('./index.js');

const SECRET = 'what nobody inside may read';
const NODE = Number(process.versions.node.split('.', 1));

/** What clients have asked `node:fs` for, by a path. */
let asked = [];
const onPurpose = new AsyncLocalStorage();

/** Records calls with a path that come from a client, and are not those that load a module. */
function spyOn(real) {
  for (const [key, original] of Object.entries(real)) {
    if (typeof original !== 'function' || /^[A-Z_]/.test(key)) continue;
    const spied = function (...args) {
      note(key, args[0]);
      return Reflect.apply(original, this, args);
    };
    const { name, length, prototype, ...others } = Object.getOwnPropertyDescriptors(original);
    for (const symbol of Object.getOwnPropertySymbols(original)) {
      others[symbol] = Object.getOwnPropertyDescriptor(original, symbol);
    }
    real[key] = Object.defineProperties(spied, others);
  }
}

function note(key, where) {
  if (typeof where === 'number' || where == null || onPurpose.getStore()) return;
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 30;
  const { stack } = new Error();
  Error.stackTraceLimit = limit;
  if (stack.includes(MODULES) && !stack.includes('node:internal/modules')) asked.push(`${key} ${where}`);
}

spyOn(fs);
spyOn(fs.promises);
syncBuiltinESMExports();

/** Runs what uses `node:fs` on purpose, also with what it leaves under way. */
const onNodeFs = (action) => onPurpose.run(true, action);

/** A folder with a root, and one beside it that nobody inside may know of. */
function makePlace(t, tree) {
  const base = fs.realpathSync(tempDir(t, BASE));
  const dir = path.join(base, 'root');
  plant(base, {
    root: tree,
    outside: { secret: SECRET, 'index.js': SECRET, sub: { 'only outside': SECRET, 'deep.js': SECRET } },
  });
  const outside = new Outside(path.join(base, 'outside'));
  outside.arm();
  return { base, dir, outside, at: (...names) => path.join(dir, ...names) };
}

/** Plants links to the folder outside, absolute and relative, at paths beneath the root. */
function plantTraps({ base, dir }, ...paths) {
  for (const at of paths) {
    const from = path.join(dir, at);
    fs.mkdirSync(path.dirname(from), { recursive: true });
    fs.symlinkSync(path.join(base, 'outside'), from);
    fs.symlinkSync(path.relative(path.dirname(from), path.join(base, 'outside')), `${from}-relative`);
  }
}

/** Why the packages cannot be tried here, or `false`. */
function reasonToSkip(since) {
  if (!isDone()) return 'needs the packages that `npm run setup:clients` fetches';
  return NODE < since && `needs Node ${since}`;
}

/**
 * Declares a test: `body` gets a view of a root. Afterwards nothing outside may have been read or changed, no
 * descriptor may be left, and the client has asked `node:fs` for nothing.
 */
function onView(name, options, body) {
  const { since = 18, tree = {}, ...policy } = options;
  test(name, { skip: reasonToSkip(since) }, async (t) => {
    const place = makePlace(t, tree);
    const root = new SandboxRoot(place.dir, policy);
    try {
      const view = createFs(root);
      asked = [];
      await body({ ...place, t, root, view, traps: (...paths) => plantTraps(place, ...paths) });
      assert.deepStrictEqual([...new Set(asked)], [], 'it keeps to the view');
      await until(() => openBeneath(place.base).length === 1, 'no descriptor is left');
    } finally {
      root.close();
    }
    place.outside.assertUntouched();
  });
}

/** Says that nothing that came out of a view is from outside. */
function assertNoSecret(value) {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  assert.ok(!text.includes(SECRET) && !text.includes('only outside'), text);
}

module.exports = {
  SECRET,
  asked: () => asked,
  assertNoSecret,
  load,
  makePlace,
  onNodeFs,
  onView,
  reasonToSkip,
};
