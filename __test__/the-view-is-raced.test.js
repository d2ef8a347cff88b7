'use strict';
// The functions of the view, its streams and its handles, while another process exchanges a directory with a symlink to
// outside of the root: in the rows of `races-do-not-escape`, where `node:fs` escapes.
// With OPENAT2_FULL=1 in sizes that take minutes.

const assert = require('node:assert');
const { test } = require('node:test');
const { SandboxRoot } = require('..');
const { Attack } = require('./races/attack');
const { byDescriptor, byView } = require('./races/by-view');
const { tableOf } = require('./races/calls');
const { makeField } = require('./races/field');
const { callOnce, race } = require('./races/race');
const { FULL } = require('./sizes');

const SIZE = FULL ? { calls: 5000, each: 500 } : { calls: 60, each: 4 };
const PATIENCE = 60_000;

/** What calls the rows, and under which policy and in which scene that is no long version. */
const FACES = {
  'a synchronous function': [(root) => byView(root, 'synchronous'), 'reject', 'parent'],
  'a function with a callback': [(root) => byView(root, 'callbacks'), 'beneath', 'parent'],
  'a promise': [(root) => byView(root, 'promises'), 'in-root', 'leaf'],
  'a stream or a handle': [(root) => byDescriptor(root, {}), 'reject', 'leaf'],
  'an atomic stream': [(root) => byDescriptor(root, { atomic: true }), 'beneath', 'parent'],
};

for (const [name, [faceOf, policy, place]] of Object.entries(FACES)) {
  for (const symlinks of FULL ? ['reject', 'beneath', 'in-root'] : [policy]) {
    for (const scene of FULL ? ['leaf', 'parent', 'grandparent'] : [place]) {
      test(`no call of ${name} escapes, symlinks: '${symlinks}', while the ${scene} becomes a symlink`, async (t) => {
        const total = { exchanges: 0, calls: 0 };
        for (const row of tableOf(symlinks, true).rows[scene]) {
          if (!isOf(faceOf, row)) continue;
          await t.test(row.title, async (t) => {
            const counted = await raceRow(t, row, faceOf, symlinks);
            for (const [key, count] of Object.entries(counted)) total[key] = (total[key] ?? 0) + count;
          });
        }
        assert.ok(total.calls > 0);
        t.diagnostic(JSON.stringify(total));
      });
    }
  }
}

/** Whether the face can make the call of that row: it has what `node:fs` has. */
function isOf(faceOf, { method, onlyHere, name }) {
  const known = faceOf(new SandboxRoot(__dirname));
  const isListing = method === 'opendir';
  return known[method] !== undefined && (isListing || !onlyHere) && name !== 'for its place';
}

async function raceRow(t, row, faceOf, symlinks) {
  const field = makeField(t, [row], { symlinks });
  const [place] = field.places;
  const face = faceOf(field.root);
  const { result, exchanges } = await Attack.during([field.pair], async (attack) => {
    const raced = await race(row, place, face, { ...SIZE, patience: PATIENCE });
    await attack.pause();
    assert.strictEqual(await callOnce(row, place, face), 'real', 'with the attacker standing still');
    return raced;
  });
  field.outside.assertUntouched();
  return { exchanges, calls: result.calls, ...result.seen };
}
