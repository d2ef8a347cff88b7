'use strict';
// Trees to remove while parts of them are exchanged, and what became of those parts.

const fs = require('node:fs');
const path = require('node:path');
const { plant, tempDir } = require('../support');
const { SandboxRoot } = require('../..');
const { INSIDE, SECRET } = require('./calls');
const { BASE } = require('./field');
const { Outside } = require('./outside');

const GROVE_LEVELS = 3;
/** What of a grove is exchanged: a directory at each level, and one more. */
const GROVE_TRAPS = ['d0', 'd1/d1', 'd1/d2', 'd2/d2/d2'];

/** A tree with branches: at each level a few directories, in each of them a few files. */
function grove(text, levels = GROVE_LEVELS) {
  const files = { f0: text, f1: text, f2: text, ...(text === SECRET && { 'only outside': text }) };
  if (levels === 0) return files;
  return { d0: grove(text, levels - 1), ...files, d1: grove(text, levels - 1), d2: grove(text, levels - 1) };
}

/** A grove with so many directories in its top that two threads share the work of removing them. */
function wideGrove(text) {
  const bushes = Array.from({ length: 20 }, (_, i) => [`bush${i}`, { file: text }]);
  return { ...Object.fromEntries(bushes), ...grove(text) };
}

/** Deeper than the directories that `rm` keeps open, three times over. */
const CHAIN_LEVELS = 48;
/** What of a chain is exchanged, one in each: the way back up from there is by then open or not. */
const CHAIN_TRAPS = [2, 9, 16, 44].map((level) => 'l/'.repeat(level - 1) + 'l');

/** A tree without branches. Whoever takes the yard outside for one of its levels finds the same names. */
function chain(text, levels = CHAIN_LEVELS) {
  const twigs = { file: text, twig: { file: text } };
  return levels === 0 ? twigs : { ...twigs, l: chain(text, levels - 1) };
}

/** `rmdir` would work on its `l`. */
const yard = { file: SECRET, twig: { file: SECRET }, l: {}, bystander: SECRET };

/** A root, and outside of it a grove and a yard where guests are expected. */
function makeForest(t, symlinks) {
  const base = tempDir(t, BASE);
  plant(base, {
    root: {},
    outside: { grove: wideGrove(SECRET), yard, bystander: SECRET },
  });
  const dir = path.join(base, 'root');
  const outside = new Outside(path.join(base, 'outside'), 'yard');
  outside.arm();
  return { base, dir, outside, root: new SandboxRoot(dir, { symlinks }) };
}

/** A new grove in the root. Its traps are exchanged with symlinks to the same places in the grove outside. */
function plantGrove({ base, dir }, number) {
  const name = `grove-${number}`;
  plant(dir, { [name]: { tree: wideGrove(INSIDE), park: {} } });
  return withTraps(GROVE_TRAPS, path.join(dir, name, 'tree'), (trap, i) => {
    const away = path.join(dir, name, `park/${i}`);
    fs.symlinkSync(path.join(base, 'outside/grove', trap), away);
    return away;
  });
}

/** A tree as a grove has it, that nobody touches: to be copied into one. */
function plantModel({ dir }) {
  plant(dir, { model: wideGrove(INSIDE) });
}

/** A new chain in the root. A trap in it is exchanged with an empty directory in the yard outside. */
function plantChain({ base, dir }, number) {
  const name = `chain-${number}`;
  plant(dir, { [name]: { tree: chain(INSIDE) } });
  const trap = CHAIN_TRAPS[number % CHAIN_TRAPS.length];
  return withTraps([trap], path.join(dir, name, 'tree'), () => {
    const away = path.join(base, 'outside/yard', `guest-${number}`);
    fs.mkdirSync(away);
    return away;
  });
}

/** The tree at `at`, and the pairs to exchange: each of `traps` with what `makeAway` made for it. */
function withTraps(traps, at, makeAway) {
  const aways = traps.map(makeAway);
  const inode = (name) => fs.lstatSync(name, { bigint: true }).ino;
  const inodes = aways.map(inode);
  return {
    traps,
    path: at.split('/').slice(-2).join('/'),
    pairs: traps.map((trap, i) => [path.join(at, trap), aways[i]]),
    isThere: () => fs.existsSync(at),
    /** For each trap, once the tree is removed: whether it was met there, or is away, full or emptied. */
    outcomes: () =>
      aways.map((away, i) => {
        if (inode(away) === inodes[i]) return 'there';
        return fs.readdirSync(away).length > 0 ? 'away' : 'emptied';
      }),
  };
}

module.exports = { makeForest, plantChain, plantGrove, plantModel };
