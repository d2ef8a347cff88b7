'use strict';
// The main job, on a real tree: writing and deleting files beneath a root that somebody else can
// change meanwhile. Once with node:fs and a careful check before each use, once with SandboxRoot.
// What landed outside of the root is counted by listing the folder outside, not by asking either.

const path = require('node:path');
const { setImmediate: breathe } = require('node:timers/promises');
const { Attacker } = require('./attacker.js');
const { Progress, summary } = require('./report.js');
const { FILES, Scene } = require('./scene.js');
const { Tally } = require('./tally.js');
const { CheckThenUse, Sandboxed } = require('./victims.js');
const { inTemporaryFolder, interrupt } = require('../temporary-folder.js');

// A round: everything in its place, FILES writes and FILES deletes under attack, and the count.
const ROUNDS = 10;
// Where the attacker gets little time, the first pass plays more rounds, until its escapes are too
// many to be called an accident. The second pass then plays as many.
const ENOUGH_ESCAPES = 100;
const PASS_MILLISECONDS = 10_000;
// How many files between two looks at the outside and at the keyboard.
const BATCH = 10;

const CONCLUSION =
  'With node:fs, every check was right when it was made: the directory changed before the use.\n' +
  'SandboxRoot makes no check: the kernel walks the path, and refuses to follow the symlink.';

async function main(base) {
  console.log('Beneath root/, files are written to project/docs and deleted there. Meanwhile a second');
  console.log('process exchanges project/docs with a symlink to outside/, as fast as it can.\n');

  const inconclusive = (tally) => tally.rounds < ROUNDS || tally.escapes < ENOUGH_ESCAPES;
  const careful = await pass(base, CheckThenUse, inconclusive);
  const sandboxed = await pass(base, Sandboxed, (tally) => tally.rounds < careful.rounds);
  console.log(`\n${summary([careful, sandboxed])}\n`);

  const objection = objectionTo(careful, sandboxed);
  console.log(objection ?? CONCLUSION);
  return objection ? 1 : 0;
}

// Plays rounds with one kind of victim, for as long as they are `wanted` and time allows.
async function pass(base, Victim, wanted) {
  const scene = new Scene(path.join(base, Victim.title));
  const tally = new Tally(Victim.title, scene);
  const progress = new Progress(tally, ROUNDS * FILES * 2);
  scene.build();
  const victim = new Victim(scene.root);
  const deadline = Date.now() + PASS_MILLISECONDS;
  while (wanted(tally) && Date.now() < deadline) {
    scene.restock();
    const attacker = await Attacker.start(scene.docs, scene.link);
    try {
      await playRound(victim, tally, progress);
    } finally {
      tally.exchanges += await attacker.stop();
    }
    tally.endRound();
  }
  progress.end();
  return tally;
}

async function playRound(victim, tally, progress) {
  for (let number = 0; number < FILES; number++) {
    tally.attempt(() => victim.write(Scene.noteAt(number), 'written beneath the root\n'));
    tally.attempt(() => victim.remove(Scene.preciousAt(number)));
    if (number % BATCH === 0) {
      progress.show();
      await breathe();
      interrupt.signal.throwIfAborted();
    }
  }
}

// Why the demo failed, or proved nothing; undefined when all went as it should.
function objectionTo(careful, sandboxed) {
  if (sandboxed.escapes > 0) return `FAILED: ${sandboxed.escapes} operations of SandboxRoot landed outside.`;
  if (careful.escapes === 0) return 'PROVED NOTHING: the attacker never came between check and use.';
  if (!sandboxed.refused.ELOOP) return 'PROVED NOTHING: SandboxRoot never met the symlink.';
}

inTemporaryFolder(main);
