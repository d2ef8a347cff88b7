'use strict';
// Every method, while another process exchanges a directory with a symlink to outside of the root,
// hundreds of thousands of times: what is outside stays as it was, and nothing of it is told. Under
// each policy, by calls and by promises.
// With OPENAT2_FULL=1 in sizes that take minutes.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { once } = require('node:events');
const { Worker } = require('node:worker_threads');
const { FULL, progress } = require('./sizes');
const { POLICIES, methods, settled } = require('./support');
const { Attack, totals } = require('./races/attack');
const { callOnce, race } = require('./races/race');
const { makeField } = require('./races/field');
const { contents } = require('./races/outside');
const { SECRET, pathsOf, tableOf, withoutSandbox } = require('./races/calls');
const { makeForest, plantChain, plantGrove, plantModel } = require('./races/trees');
const { usualWay } = require('./races/usual-way');

/** How often a row is called, and how often each outcome has to be seen. */
const SIZE = FULL ? { calls: 12_000, each: 1000 } : { calls: 60, each: 4 };
/** How long a row may take to show both outcomes, in milliseconds: on an idle machine it needs a few. */
const PATIENCE = 60_000;

/** Every policy, by calls and by promises. */
const ROOTS = POLICIES.flatMap((symlinks) => [
  { symlinks, later: false, what: `call, symlinks: '${symlinks}',` },
  { symlinks, later: true, what: `promise, symlinks: '${symlinks}',` },
]);
/**
 * What of it is not left to the full size: every policy in several scenes, by calls and by promises,
 * which take the same ways once they are on them.
 */
const isQuick = {
  leaf: ({ later, symlinks }) => later === (symlinks === 'beneath'),
  parent: ({ later, symlinks }) => later === (symlinks === 'in-root'),
  grandparent: ({ later, symlinks }) => !later && symlinks === 'reject',
  'moved out': ({ later, symlinks }) => !later && symlinks === 'reject',
  upwards: ({ later, symlinks }) => !later && symlinks === 'beneath',
  climbing: ({ later, symlinks }) => !later && symlinks === 'in-root',
  trees: ({ later, symlinks }) => later === (symlinks === 'beneath'),
  threads: ({ later, symlinks }) => later === (symlinks === 'in-root'),
};
const rootsFor = (scene) => ROOTS.filter((how) => FULL || isQuick[scene](how));

test('every method is raced, at every path that it takes, in every scene', () => {
  const expected = methods.flatMap((method) => (pathsOf[method] ?? ['']).map((path) => `${method} ${path}`));
  for (const { symlinks, later } of ROOTS) {
    const { rows, movedOut, upwards, climbing } = tableOf(symlinks, later);
    for (const [scene, raced] of Object.entries({ ...rows, movedOut, upwards, climbing })) {
      const found = new Set(raced.map(({ method, path = '' }) => `${method} ${path}`));
      // What makes a name of its own does so beside any leaf; and promises have no walk.
      const here = scene === 'leaf' ? expected.filter((one) => one !== 'mkdtemp ') : expected;
      assert.deepStrictEqual([...found].sort(), [...here, ...(later ? [] : ['walk '])].sort(), scene);
    }
  }
});

for (const scene of ['leaf', 'parent', 'grandparent']) {
  for (const { what, ...how } of rootsFor(scene)) {
    test(`no ${what} escapes while the ${scene} of its path becomes a symlink`, (t) =>
      raceAll(t, tableOf(how.symlinks, how.later).rows[scene], how));
  }
}

for (const { what, ...how } of rootsFor('moved out')) {
  test(`no ${what} escapes while a directory on its way is moved out of the root`, async (t) => {
    const seen = await raceAll(t, tableOf(how.symlinks, how.later).movedOut, how);
    assert.ok(
      seen.EACCES > 0,
      `the kernel finds itself outside, else this proves nothing: ${JSON.stringify(seen)}`,
    );
  });
}

// Where symlinks are refused, a caller's own `..` is too, before anything is looked up.
for (const { what, ...how } of rootsFor('upwards').filter(({ symlinks }) => symlinks !== 'reject')) {
  test(`no ${what} escapes by \`..\` while what it comes from becomes a symlink`, (t) =>
    raceAll(t, tableOf(how.symlinks, how.later).upwards, how));
}

for (const { what, ...how } of rootsFor('climbing').filter(({ symlinks }) => symlinks !== 'reject')) {
  test(`no ${what} escapes by \`..\` while what it comes from is moved out of the root`, (t) =>
    raceAll(t, tableOf(how.symlinks, how.later).climbing, how));
}

/** Races every row in a subtest of its own; tells what was seen in all. */
async function raceAll(t, raced, how) {
  const total = { exchanges: 0, calls: 0 };
  const done = progress(`races: ${t.name}`, raced.length);
  for (const row of raced) {
    await t.test(row.title, async (t) => {
      const counted = await raceRow(t, row, how);
      for (const [key, count] of Object.entries(counted)) total[key] = (total[key] ?? 0) + count;
      done();
    });
  }
  t.diagnostic(JSON.stringify(total));
  return total;
}

async function raceRow(t, row, { symlinks, later }) {
  const {
    root,
    outside,
    pair,
    places: [place],
  } = makeField(t, [row], { symlinks });
  const face = later ? root.promises : root;
  const { result, exchanges } = await Attack.during([pair], async (attack) => {
    const raced = await race(row, place, face, { ...SIZE, patience: PATIENCE });
    await attack.pause();
    assert.strictEqual(await callOnce(row, place, face), 'real', 'with the attacker standing still');
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
async function callsUntilEscape(row, place, root, outside) {
  const end = performance.now() + PATIENCE;
  for (let calls = 1; performance.now() < end; calls++) {
    try {
      await callOnce(row, place, root);
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

for (const { what, ...how } of rootsFor('trees')) {
  test(`rm of a tree, by a ${what} enters no symlink that a directory in it becomes`, (t) =>
    removeTrees(t, plantGrove, [], how));

  test(`rm of a tree, by a ${what} follows no directory in it that is moved out of the root`, (t) =>
    removeTrees(t, plantChain, ['EBUSY', 'ENOTEMPTY'], how));
}

/**
 * Removes tree after tree, each while directories in it are exchanged, until every outcome was seen:
 * they were removed where they belong, moved away before that, or moved away while being emptied.
 */
async function removeTrees(t, plantTree, refusals, { symlinks, later }) {
  const forest = makeForest(t, symlinks);
  const face = later ? forest.root.promises : forest.root;
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
      const { error } = await settled((async () => face.rm(tree.path, true))());
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

/**
 * What is done with a tree whose directories become symlinks to the same places in a tree outside, and
 * what came of each of its traps: 'real' or 'link', or the code of the error in place of all of them.
 */
const THROUGH_TREES = {
  'readdir of': async (root, tree) => {
    const entries = await root.readdir(tree.path, { recursive: true, withFileTypes: true });
    return listedTraps(tree, entries);
  },
  'walk through': async (root, tree) => {
    const entries = [];
    for await (const entry of root.walk(tree.path)) entries.push(entry);
    return listedTraps(tree, entries);
  },
  'cp of': async (root, tree, { dir }) => {
    try {
      await root.cp(tree.path, 'copy', { recursive: true });
      const copied = path.join(dir, 'copy');
      assert.ok(!JSON.stringify(contents(copied)).includes(SECRET), 'nothing outside was copied');
      return tree.traps.map((trap) =>
        fs.lstatSync(path.join(copied, trap)).isSymbolicLink() ? 'link' : 'real',
      );
    } finally {
      fs.rmSync(path.join(dir, 'copy'), { recursive: true, force: true });
    }
  },
  'cp into': async (root, tree) => {
    await root.cp('model', tree.path, { recursive: true });
    return ['real'];
  },
};

function listedTraps({ path: top, traps }, entries) {
  assert.ok(!entries.some(({ name }) => name === 'only outside'), 'nothing outside was listed');
  const types = new Map(entries.map(({ name, parentPath, type }) => [`${parentPath}/${name}`, type]));
  const kinds = { directory: 'real', symlink: 'link' };
  return traps.flatMap((trap) => kinds[types.get(`${top}/${trap}`)] ?? []);
}

for (const [what, action] of Object.entries(THROUGH_TREES)) {
  for (const { what: how, symlinks, later } of rootsFor('trees')) {
    if (later && what === 'walk through') continue;
    test(`${what} a tree, by a ${how} enters no symlink that a directory in it becomes`, (t) =>
      throughTrees(t, what, action, { symlinks, later }));
  }
}

/** What may be said of a tree in which files and directories flip, beside that a directory became a link. */
const FLIPPED = ['EBUSY', 'EINVAL', 'ENOTDIR', 'EISDIR', 'ELOOP', 'ENOENT', 'EEXIST'];

async function throughTrees(t, what, action, { symlinks, later }) {
  const forest = makeForest(t, symlinks);
  const { root, dir, outside } = forest;
  const tree = plantGrove(forest, 0);
  plantModel(forest);
  const seen = { real: 0, link: 0 };
  // Listing is quick, and between a name and the directory there is little time.
  const size = what.startsWith('cp') ? (FULL ? 2000 : 20) : FULL ? 20_000 : 1000;
  const end = performance.now() + PATIENCE;
  const isEnough = (rounds) =>
    rounds >= size && seen.real >= 3 && Object.values(seen).reduce((a, b) => a + b) - seen.real >= 3;
  const face = later ? root.promises : root;
  await Attack.during(tree.pairs, async (attack) => {
    for (let rounds = 0; !isEnough(rounds); rounds++) {
      const isLate = performance.now() > end;
      assert.ok(!isLate, `every outcome is seen, else this proves nothing: ${JSON.stringify(seen)}`);
      const { value, error } = await settled(action(face, tree, forest));
      if (error !== undefined && !FLIPPED.includes(error.code)) assert.fail(error.message);
      for (const outcome of value ?? [error.code]) seen[outcome] = (seen[outcome] ?? 0) + 1;
    }
    await attack.pause();
    const calm = await action(face, tree, forest);
    assert.deepStrictEqual(new Set(calm), new Set(['real']), 'with the attacker standing still');
  });
  outside.assertUntouched();
  assert.ok(!JSON.stringify(contents(dir)).includes(SECRET), `${what}: no secret was copied to the inside`);
  t.diagnostic(JSON.stringify(seen));
}

const WORKERS = 4;

for (const { what, symlinks, later } of rootsFor('threads')) {
  test(`no ${what} escapes from several threads that call at once`, async (t) => {
    const suffixes = Array.from({ length: WORKERS }, (_, i) => `-${i}`);
    const { throughParents } = tableOf(symlinks, later);
    const { dir, outside, pair, handles } = makeField(t, throughParents, { symlinks, suffixes });
    const size = FULL ? { calls: 3000, each: 100 } : { calls: 12, each: 2 };
    const { result, exchanges } = await Attack.during([pair], () =>
      inWorkers((i) => ({
        task: 'raceRows',
        dir,
        symlinks,
        later,
        handles,
        suffix: suffixes[i],
        first: Math.floor((i * throughParents.length) / WORKERS),
        size: { ...size, patience: PATIENCE },
      })),
    );
    outside.assertUntouched();
    t.diagnostic(`${sum(result.map(({ calls }) => calls))} calls during ${exchanges} exchanges`);
  });

  test(`no ${what} escapes from several threads that are in the way of each other`, async (t) => {
    const { dir, outside, pair } = makeField(t, tableOf(symlinks, later).rows.parent.slice(0, 1), {
      symlinks,
    });
    const size = { calls: FULL ? 500_000 : 4000, patience: PATIENCE };
    const { result, exchanges } = await Attack.during([pair], () =>
      inWorkers((i) => ({ task: 'storm', dir, outside: outside.ids(), symlinks, later, first: i, size })),
    );
    outside.assertUntouched();
    assert.ok(!JSON.stringify(contents(dir)).includes(SECRET), 'no secret was copied to the inside');
    t.diagnostic(`${sum(result.map(({ calls }) => calls))} calls during ${exchanges} exchanges`);
  });
}

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
