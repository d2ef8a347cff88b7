'use strict';
// Where the programs of examples/ are tried: a root with traps in it, and a folder beside it that nobody may touch.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { spawnSync } = require('node:child_process');
const { setTimeout: sleep } = require('node:timers/promises');
const { SandboxRoot } = require('../..');
const { plant, snapshot, tempDir } = require('../support.js');

const EXAMPLES = path.join(__dirname, '../../examples');

/** What descriptors of this process lead to, beneath `dir`. */
function openBeneath(dir) {
  const targets = [];
  for (const fd of fs.readdirSync('/proc/self/fd')) {
    try {
      targets.push(fs.readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      // The one that listed them.
    }
  }
  return targets.filter((target) => target.startsWith(dir));
}

/** Waits until `isSo()`; fails after half a minute. */
async function until(isSo, what) {
  for (let left = 3000; left > 0; left--) {
    if (await isSo()) return;
    await sleep(10);
  }
  assert.fail(`it was waited for in vain: ${what}`);
}

/**
 * Declares a test: `body(world)` has a root, in `dir`, with a link `out` to a folder outside, and a link `secret` to a
 * file in there. Afterwards no descriptor may be left, nothing hidden in the root, and the folder has to be untouched.
 */
function trying(name, ...rest) {
  const [options, body] = rest.length > 1 ? rest : [{}, ...rest];
  test(name, options, async (t) => {
    const base = fs.realpathSync(tempDir(t));
    plant(base, { outside: { secret: 'secret', sub: { deep: 'deep' } }, root: {} });
    const [dir, outside] = ['root', 'outside'].map((each) => path.join(base, each));
    fs.symlinkSync('../outside', path.join(dir, 'out'));
    fs.symlinkSync('../outside/secret', path.join(dir, 'secret'));
    const before = snapshot(outside);
    const root = new SandboxRoot(dir);
    try {
      await body({ t, base, dir, outside, root, at: (...names) => path.join(dir, ...names) });
      await until(() => openBeneath(base).length === 1, `one descriptor: ${openBeneath(base)}`);
      assert.deepStrictEqual(
        root.readdir('.', { recursive: true }).filter((each) => /(^|\/)\.(extract|openat2)-/.test(each)),
        [],
      );
    } finally {
      root.close();
    }
    assert.deepStrictEqual(openBeneath(base), []);
    assert.deepStrictEqual(snapshot(outside), before);
  });
}

/** Runs an example as a program, and gives what it printed. It has to end well, unless another `status` is given. */
function printedBy(name, args, { status = 0, ...options } = {}) {
  const done = spawnSync(process.execPath, [path.join(EXAMPLES, name), ...args], {
    encoding: 'utf8',
    timeout: 60_000,
    ...options,
  });
  assert.strictEqual(done.status, status, done.stderr);
  if (status === 0) assert.strictEqual(done.stderr, '');
  return status === 0 ? done.stdout : done.stderr;
}

module.exports = { EXAMPLES, openBeneath, printedBy, trying, until };
