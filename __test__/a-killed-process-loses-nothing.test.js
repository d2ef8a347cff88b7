'use strict';
// cp, move and rm whose process is killed at a random moment: each content is at the source, or whole at the
// destination, or both; what has the name of a moved tree is all of it; nothing is left but a hidden sibling.
//
// OPENAT2_SEED=N plays one seed again; OPENAT2_KILLS=N says how many calls are killed for each operation on
// each file system; OPENAT2_BUILD=DIR tests another build.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { once } = require('node:events');
const { spawn } = require('node:child_process');
const { HIDDEN, Planted, changed, everything, randomFrom } = require('./trees/account');
const { privately, volume } = require('./mounts');
const { FULL, progress } = require('./sizes');

const test = privately(__filename);

const KILLS = Number(process.env.OPENAT2_KILLS ?? (FULL ? 500 : 2));
const SEED = process.env.OPENAT2_SEED;
const KINDS = ['tmpfs', 'ext4', 'xfs', 'btrfs', 'overlayfs'];

/** What is killed, and what may be there then. `worlds`: how many file systems it is between. */
const OPERATIONS = {
  'cp to a new name': {
    worlds: 1,
    call: ['cp', 'src/tree', 'dst/copy', { recursive: true, to: null }],
    check: sourceStays,
  },
  'cp over what is there': {
    worlds: 2,
    isTaken: true,
    call: ['cp', 'src/tree', 'dst/copy', { recursive: true, to: null }],
    check: sourceStays,
  },
  'move within a mount': {
    worlds: 1,
    call: ['move', 'src/tree', 'dst/copy', { to: null }],
    check: allIsAtOnePlace,
  },
  'move across mounts': {
    worlds: 2,
    twice: true,
    takes: 25,
    call: ['move', 'src/tree', 'dst/copy', { to: null }],
    check: nothingIsLost,
  },
  rm: { worlds: 1, call: ['rm', 'src/tree', true, false], check: () => [] },
};

for (const [operation, how] of Object.entries(OPERATIONS)) {
  for (const [i, kind] of KINDS.entries()) {
    const others = how.worlds === 1 ? [] : [KINDS[(i + 1) % KINDS.length]];
    const where = [kind, ...others].join(' to ');
    test(`${operation}, killed at any moment on ${where}, loses nothing`, async (t) => {
      const base = SEED === undefined ? (Math.random() * 2 ** 31) >>> 0 : Number(SEED);
      const seen = { killed: 0, ended: 0, published: 0 };
      const kills = KILLS * (how.twice ? 2 : 1);
      const done = progress(t.name, kills);
      // How long it takes if nobody kills it, in milliseconds: a guess until it has ended once.
      let takes = how.takes ?? 10;
      for (let n = 0; n < kills; n++) {
        const seed = SEED === undefined ? base + n : base;
        const random = randomFrom(seed);
        const scene = plantedOn([kind, ...others], seed, random, how);
        try {
          const wait = (takes * random(1000)) / 950;
          const { isDone, took } = await killed([scene.first, scene.last, ...how.call], wait);
          takes = isDone ? took : takes * 1.3;
          seen[isDone ? 'ended' : 'killed'] += 1;
          if (fs.existsSync(path.join(scene.last, 'dst/copy'))) seen.published += 1;
          assert.deepStrictEqual(account(scene, how), [], `OPENAT2_SEED=${seed}, killed after ${wait} ms`);
        } finally {
          for (const world of scene.worlds) fs.rmSync(world, { recursive: true, force: true });
        }
        done();
      }
      t.diagnostic(JSON.stringify({ ...seen, takes: Math.round(takes) }));
    });
  }
}

function plantedOn(kinds, seed, random, { isTaken = false }) {
  const worlds = kinds.map((kind) => fs.mkdtempSync(path.join(volume(kind), `${seed}-`)));
  const [first, last] = [worlds[0], worlds.at(-1)];
  const planted = new Planted(random);
  for (const world of worlds) {
    for (const dir of ['src', 'dst', 'outside']) fs.mkdirSync(path.join(world, dir));
    planted.tree(path.join(world, 'outside/tree'), 'outside', { size: 8 });
    planted.file(path.join(world, 'src/beside'), 'outside');
    planted.file(path.join(world, 'dst/beside'), 'outside');
  }
  const tree = path.join(first, 'src/tree');
  planted.tree(tree, 'tree', { size: 150, large: 2 });
  // It has another name, outside of the tree.
  planted.file(path.join(tree, 'named-twice'), 'outside');
  fs.linkSync(path.join(tree, 'named-twice'), path.join(first, 'outside/named-twice'));
  const copy = path.join(last, 'dst/copy');
  if (isTaken) {
    planted.directory(copy, 'copy');
    for (const name of fs.readdirSync(tree)) {
      if (fs.lstatSync(path.join(tree, name)).isFile())
        planted.file(path.join(copy, name), 'copy', { length: 5000 });
    }
  }
  return { worlds, first, last, planted, copy, tree };
}

/** Makes a call in a process of its own, which is killed so many milliseconds after it has begun. */
async function killed(call, wait) {
  const script = path.join(__dirname, 'trees/killed.js');
  const child = spawn(process.execPath, [script, JSON.stringify(call)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let said = '';
  let took;
  child.stdout.setEncoding('latin1').on('data', (text) => {
    said += text;
    if (said.includes('done')) took = Number(said.split(' ')[1]);
  });
  child.stdin.on('error', () => {});
  child.stdin.write('x');
  const closed = once(child, 'close');
  await once(child.stdout, 'data');
  const begun = performance.now();
  // By a timer it would be a multiple of a millisecond.
  while (performance.now() - begun < wait);
  child.kill('SIGKILL');
  const [status, signal] = await closed;
  const isDone = said.includes('done');
  if (!isDone && signal !== 'SIGKILL') throw new Error(`the call ended with ${status}`);
  return { isDone, took };
}

function account(scene, { check }) {
  const { worlds, planted, last } = scene;
  const entries = everything(worlds);
  const there = new Set(entries.map(({ at, id, complete }) => complete && `${id} ${at}`));
  const wrong = changed(planted, entries, new Map());
  for (const [id, { group, at }] of planted.files) {
    // What was named in the tree as well is named outside still.
    const stays = path.basename(at) === 'named-twice' ? path.join(scene.first, 'outside/named-twice') : at;
    if (group === 'outside' && !there.has(`${id} ${stays}`)) wrong.push(`${stays} is not what it was`);
  }
  for (const world of worlds) {
    for (const dir of ['src', 'dst']) {
      const expected = ['beside', dir === 'src' ? 'tree' : 'copy'];
      const hidden = fs.readdirSync(path.join(world, dir)).filter((name) => !expected.includes(name));
      // A copy that has no name yet; or what is left of a source whose copy is complete.
      const mayBeHidden =
        dir === 'dst'
          ? world === last
          : world === scene.first && worlds.length > 1 && fs.existsSync(scene.copy);
      const isFine = hidden.length === 1 && hidden[0].startsWith(HIDDEN) && mayBeHidden;
      if (hidden.length > 0 && !isFine) wrong.push(`${world}/${dir} has ${hidden}`);
    }
  }
  return [...wrong, ...check(scene, entries)];
}

/** The files of the tree that are not whole beneath `dir`. */
function missingIn(dir, { planted, tree }, entries) {
  const whole = new Set();
  for (const { at, id, complete } of entries) if (complete && at.startsWith(dir)) whole.add(id);
  return [...planted.files].flatMap(([id, { at }]) => (at.startsWith(tree) && !whole.has(id) ? [at] : []));
}

function sourceStays(scene, entries) {
  const wrong = missingIn(scene.tree, scene, entries).map((at) => `${at} is gone`);
  // What is replaced is the old or the new.
  for (const { group, at } of scene.planted.files.values()) {
    const now = group === 'copy' && entries.find((entry) => entry.at === at);
    if (now === undefined || (now && !now.complete)) wrong.push(`${at} is neither the old nor the new`);
  }
  return wrong;
}

function allIsAtOnePlace(scene, entries) {
  const [source, copy] = [scene.tree, scene.copy].map((dir) => missingIn(dir, scene, entries).length);
  return source === 0 || copy === 0 ? [] : [`${source} are missing at the source and ${copy} at the copy`];
}

function nothingIsLost(scene, entries) {
  const isThere = fs.existsSync(scene.copy);
  const missing = missingIn(isThere ? scene.copy : scene.tree, scene, entries);
  return missing.map((at) => `${at} is not at the ${isThere ? 'copy' : 'source'}`);
}
