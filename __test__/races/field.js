'use strict';
// Where a race is run: a root, what is outside of it, and the pair that the attacker exchanges.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { SandboxRoot } = require('../..');
const { link, plant, tempDir } = require('../support');
const { INSIDE, SECRET, companions } = require('./calls');
const { Outside } = require('./outside');

/** In memory where that is possible: no journal slows the attacker down. */
const BASE = fs.existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir();

/** For each scene: where the raced name is, what is exchanged with what, and what is in `root/swap`. */
const SCENES = {
  leaf: { folder: '', pair: ['root/x', 'root/swap'], swap: (outside) => link(`${outside}/x`) },
  'appearing leaf': {
    folder: 'dir',
    pair: ['root/dir', 'root/swap'],
    swap: (outside) => ({ x: link(`${outside}/nothing`) }),
  },
  parent: { folder: 'dir', pair: ['root/dir', 'root/swap'], swap: (outside) => link(`${outside}/dir`) },
  'moved parent': { folder: 'dir', pair: ['root/dir', 'outside/yard/guest'] },
  ancestor: { folder: `dir${'/l'.repeat(400)}`, pair: ['root/dir', 'outside/yard/guest'] },
};
SCENES.grandparent = { ...SCENES.parent, folder: 'dir/sub' };
// Out of a directory by `..`, where the kernel is left to say where that leads.
SCENES.upwards = {
  folder: 'dir',
  spelled: 'dir/sub/..',
  beside: { sub: {} },
  pair: ['root/dir/sub', 'root/swap'],
  swap: (outside) => link(`${outside}/dir/sub`),
};
// Whoever is in `m` when it is moved out comes by `..` to the yard, where there is an `x` too.
SCENES.climbing = {
  folder: 'dir',
  spelled: 'dir/m/n/n/n/n/../../../../..',
  beside: { m: { n: { n: { n: { n: {} } } } } },
  pair: ['root/dir/m', 'outside/yard/guest'],
};

/**
 * A field for `rows`, which have the same pair. Each row has a name of its own to race, once for each
 * of `suffixes`. The root follows symlinks or not: `symlinks`.
 */
function makeField(t, rows, { symlinks = 'reject', suffixes = [''] } = {}) {
  const base = tempDir(t, BASE);
  const dir = path.join(base, 'root');
  const { pair, swap } = SCENES[rows[0].scene];
  plant(base, {
    root: swap ? { swap: swap(path.join(base, 'outside')) } : {},
    outside: {
      bystander: SECRET,
      yard: { guest: {}, neighbour: { x: SECRET }, l: { x: SECRET }, x: SECRET },
    },
  });
  for (const [row, suffix] of plots(rows, suffixes)) {
    plantBeneath(dir, row, suffix, INSIDE);
    if (swap) plantBeneath(path.join(base, 'outside'), row, suffix, SECRET);
    for (const [name, what] of Object.entries(companions)) plant(dir, { [`${name}${suffix}`]: what });
  }
  const to = new SandboxRoot(dir, { symlinks });
  const outside = new Outside(path.join(base, 'outside'), 'yard');
  outside.arm();
  const handles = openHandles(t, dir, rows);
  return {
    dir,
    root: new SandboxRoot(dir, { symlinks }),
    outside,
    pair: pair.map((name) => path.join(base, name)),
    handles,
    places: plots(rows, suffixes).map(([row, suffix]) => makePlace(dir, row, suffix, handles, to)),
  };
}

/** Every row with every suffix, made its own. */
function plots(rows, suffixes) {
  return rows.flatMap((row, i) => suffixes.map((suffix) => [row, suffix && `${suffix}-${i}`]));
}

/** The names that the row is about, for inside or outside. */
function plantBeneath(dir, { scene, holds }, suffix, text) {
  const { folder: name, beside = {} } = SCENES[scene];
  const folder = path.join(dir, name);
  const what = holds(text);
  if (!fs.existsSync(folder)) {
    fs.mkdirSync(folder, { recursive: true });
    plant(folder, beside);
  }
  if (what !== undefined) plant(folder, { [`x${suffix}`]: what });
}

/** By descriptor: a way to what the attacker moves that it cannot lead astray. */
function openHandles(t, dir, rows) {
  const open = (at) => {
    const fd = fs.openSync(path.join(dir, at), 'r');
    t.after(() => fs.closeSync(fd));
    return `/proc/self/fd/${fd}`;
  };
  const scenes = [...new Set(rows.map((row) => row.scene))];
  const handles = scenes.map((scene) => [scene, open(scene === 'leaf' ? 'x' : SCENES[scene].folder)]);
  return { ...Object.fromEntries(handles), guest: open('../outside/yard/guest') };
}

/** What a row gets to know of the paths that it uses. */
function makePlace(dir, { scene }, suffix, handles, to) {
  const at = (name) => path.join(dir, `${name}${suffix}`);
  return {
    // For the calls, relative to the root: the raced path, and others that stay where they are.
    path: [SCENES[scene].spelled ?? SCENES[scene].folder, `x${suffix}`].filter(Boolean).join('/'),
    other: (name) => `${name}${suffix}`,
    // Another root, for the calls that take one.
    to,
    // For the judge: the thing itself, wherever it is now, and the others.
    x: scene === 'leaf' ? handles.leaf : `${handles[scene]}/x${suffix}`,
    at,
    // For what is moved out: the empty directory that comes in.
    guest: handles.guest,
    // For the leaf: the two names of the pair, and where the symlink leads.
    leaf: at('x'),
    swap: at('swap'),
    trap: path.join(path.dirname(dir), 'outside', 'x'),
  };
}

module.exports = { BASE, makeField, makePlace };
