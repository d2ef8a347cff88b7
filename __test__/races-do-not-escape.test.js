'use strict';
// Every method, while another process exchanges a directory with a symlink to outside of the root,
// hundreds of thousands of times: what is outside stays as it was, and nothing of it is told.
// With OPENAT2_FULL=1 in sizes that take minutes.

const test = require('node:test');
const assert = require('node:assert');
const path = require('node:path');
const { once } = require('node:events');
const { Worker } = require('node:worker_threads');
const { FULL, progress } = require('./sizes');
const { methods, outcome } = require('./support');
const { Attack, totals } = require('./races/attack');
const { callOnce, race } = require('./races/race');
const { makeField } = require('./races/field');
const { contents } = require('./races/outside');
const { SECRET, movedOut, pathsOf, rows, throughParents, withoutSandbox } = require('./races/calls');
const { makeForest, plantChain, plantGrove } = require('./races/trees');
const { usualWay } = require('./races/usual-way');

/** How often a row is called, and how often each outcome has to be seen. */
const SIZE = FULL ? { calls: 12_000, each: 1000 } : { calls: 100, each: 5 };
/** How long a row may take to show both outcomes, in milliseconds: on an idle machine it needs a few. */
const PATIENCE = 60_000;

test('every method is raced, at every path that it takes, in every scene', () => {
  for (const [scene, raced] of Object.entries({ ...rows, movedOut })) {
    const expected = methods.flatMap((method) =>
      (pathsOf[method] ?? ['']).map((path) => `${method} ${path}`),
    );
    const found = new Set(raced.map(({ method, path = '' }) => `${method} ${path}`));
    assert.deepStrictEqual([...found].sort(), expected.sort(), scene);
  }
});

for (const [scene, raced] of Object.entries(rows)) {
  test(`no method escapes while the ${scene} of its path becomes a symlink`, (t) => raceAll(t, raced));
}

test('no method escapes while a directory on its way is moved out of the root', async (t) => {
  const seen = await raceAll(t, movedOut);
  assert.ok(
    seen.EACCES > 0,
    `the kernel finds itself outside, else this proves nothing: ${JSON.stringify(seen)}`,
  );
});

/** Races every row in a subtest of its own; tells what was seen in all. */
async function raceAll(t, raced) {
  const total = { exchanges: 0, calls: 0 };
  const done = progress(`races: ${t.name}`, raced.length);
  for (const row of raced) {
    await t.test(row.title, async (t) => {
      const counted = await raceRow(t, row);
      for (const [key, count] of Object.entries(counted)) total[key] = (total[key] ?? 0) + count;
      done();
    });
  }
  t.diagnostic(JSON.stringify(total));
  return total;
}

async function raceRow(t, row) {
  const {
    root,
    outside,
    pair,
    places: [place],
  } = makeField(t, [row]);
  const { result, exchanges } = await Attack.during([pair], async (attack) => {
    const raced = race(row, place, root, { ...SIZE, patience: PATIENCE });
    await attack.pause();
    assert.strictEqual(callOnce(row, place, root), 'real', 'with the attacker standing still');
    return raced;
  });
  outside.assertUntouched();
  return { exchanges, calls: result.calls, ...result.seen };
}

test('node:fs, used the usual way, escapes in the same races', async (t) => {
  let calls = 0;
  const done = progress(`races: ${t.name}`, withoutSandbox.length);
  for (const row of withoutSandbox) {
    await t.test(`${row.title}, ${row.scene}`, async (t) => {
      const {
        dir,
        outside,
        pair,
        places: [place],
      } = makeField(t, [row]);
      const { result } = await Attack.during([pair], () =>
        callsUntilEscape(row, place, usualWay(dir), outside),
      );
      done();
      calls += result;
    });
  }
  t.diagnostic(`${withoutSandbox.length} escapes in ${calls} calls`);
});

/** Calls until the harness sees an escape: something was told, or something outside has changed. */
function callsUntilEscape(row, place, root, outside) {
  const end = performance.now() + PATIENCE;
  for (let calls = 1; performance.now() < end; calls++) {
    try {
      callOnce(row, place, root);
    } catch (error) {
      const isElsewhere = error.operator === 'judge';
      if (isElsewhere && row.leaks) return calls;
      // A call that failed is part of the race; a mistake of this test is not.
      if (!isElsewhere && error.syscall === undefined) throw error;
    }
    // Looked at after every call: what is gone outside cannot be touched by a later one.
    if (outside.isTouched()) return calls;
  }
  assert.fail('no escape was seen, so that the races of this row prove nothing');
}

/** How many trees are removed, and how often each outcome has to be seen. */
const TREES = FULL ? { trees: 1500, each: 150 } : { trees: 8, each: 3 };

test('rm of a tree enters no symlink that a directory in it becomes', (t) => removeTrees(t, plantGrove, []));

test('rm of a tree follows no directory in it that is moved out of the root', (t) =>
  removeTrees(t, plantChain, ['EBUSY', 'ENOTEMPTY']));

/**
 * Removes tree after tree, each while directories in it are exchanged, until every outcome was seen:
 * they were removed where they belong, moved away before that, or moved away while being emptied.
 */
async function removeTrees(t, plantTree, refusals) {
  const forest = makeForest(t);
  const seen = { there: 0, away: 0, emptied: 0 };
  const attacks = [];
  const done = progress(`races: ${t.name}`, TREES.trees);
  const end = performance.now() + PATIENCE;
  const isEnough = () => attacks.length >= TREES.trees && Math.min(...Object.values(seen)) >= TREES.each;
  try {
    for (; !isEnough(); done()) {
      assert.ok(
        performance.now() < end,
        `every outcome is seen, else this proves nothing: ${JSON.stringify(seen)}`,
      );
      const tree = plantTree(forest, attacks.length);
      const attack = await Attack.start(tree.pairs);
      const { error } = outcome(() => forest.root.rm(tree.path, true));
      // It takes a while to end, in which the next tree is removed.
      attacks.push(attack.stop());
      if (error) {
        assert.ok(refusals.includes(error.code), error.message);
        await attacks.at(-1);
        forest.root.rm(tree.path, true);
      }
      assert.ok(!tree.isThere());
      forest.outside.assertUntouched();
      for (const outcome of tree.outcomes()) seen[outcome] += 1;
    }
    await removeCalmly(forest, plantTree(forest, attacks.length));
  } finally {
    await Promise.allSettled(attacks);
  }
  const exchanges = sum(await Promise.all(attacks));
  t.diagnostic(`${attacks.length} trees during ${exchanges} exchanges: ${JSON.stringify(seen)}`);
}

/** With the attacker standing still all of the tree is in its place, and goes. */
async function removeCalmly({ root }, tree) {
  await Attack.during(tree.pairs, async (attack) => {
    await attack.pause();
    root.rm(tree.path, true);
  });
  assert.ok(!tree.isThere());
  assert.deepStrictEqual(new Set(tree.outcomes()), new Set(['there']));
}

const WORKERS = 4;

test('no method escapes from several threads that call at once', async (t) => {
  const suffixes = Array.from({ length: WORKERS }, (_, i) => `-${i}`);
  const { dir, outside, pair, handles } = makeField(t, throughParents, suffixes);
  const size = FULL ? { calls: 3000, each: 100 } : { calls: 12, each: 2 };
  const { result, exchanges } = await Attack.during([pair], () =>
    inWorkers((i) => ({
      task: 'raceRows',
      dir,
      handles,
      suffix: suffixes[i],
      first: Math.floor((i * throughParents.length) / WORKERS),
      size: { ...size, patience: PATIENCE },
    })),
  );
  outside.assertUntouched();
  t.diagnostic(`${sum(result.map(({ calls }) => calls))} calls during ${exchanges} exchanges`);
});

test('no method escapes from several threads that are in the way of each other', async (t) => {
  const { dir, outside, pair } = makeField(t, rows.parent.slice(0, 1));
  const size = { calls: FULL ? 500_000 : 4000, patience: PATIENCE };
  const { result, exchanges } = await Attack.during([pair], () =>
    inWorkers((i) => ({ task: 'storm', dir, outside: outside.ids(), first: i, size })),
  );
  outside.assertUntouched();
  assert.ok(!JSON.stringify(contents(dir)).includes(SECRET), 'no secret was copied to the inside');
  t.diagnostic(`${sum(result.map(({ calls }) => calls))} calls during ${exchanges} exchanges`);
});

/** Runs a worker with each of the data that `dataOf` gives, and comes back with what they post. */
async function inWorkers(dataOf) {
  const file = path.join(__dirname, 'races', 'worker.js');
  // Of the descriptors that a root hands out Node knows nothing, and would warn when they are closed.
  const start = (i) => new Worker(file, { workerData: dataOf(i), trackUnmanagedFds: false });
  const workers = Array.from({ length: WORKERS }, (_, i) => start(i));
  try {
    return (await Promise.all(workers.map((worker) => once(worker, 'message')))).map(([posted]) => posted);
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

test('the attacker was at work', (t) => {
  assert.ok(totals.exchanges > (FULL ? 1_000_000 : 10_000), `exchanges: ${totals.exchanges}`);
  t.diagnostic(`${totals.exchanges} exchanges by ${totals.attacks} attackers`);
});
