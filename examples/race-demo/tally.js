'use strict';

const { errno } = require('node:os').constants;
const { changesIn } = require('./scene.js');

// What one kind of victim did over all rounds, and what came of it.
class Tally {
  rounds = 0;
  operations = 0;
  exchanges = 0;
  // How often, by error code.
  refused = {};
  inside = { written: 0, deleted: 0 };
  outside = { written: 0, deleted: 0 };

  constructor(title, scene) {
    this.title = title;
    this.scene = scene;
  }

  // How many operations left the root, in all rounds that have ended.
  get escapes() {
    return this.outside.written + this.outside.deleted;
  }

  // To be refused is part of the game; anything but the error of a system call is a bug in here.
  attempt(operation) {
    this.operations++;
    try {
      operation();
    } catch (error) {
      if (!(error.code in errno)) throw error;
      this.refused[error.code] = (this.refused[error.code] ?? 0) + 1;
    }
  }

  // To be called when the attacker stands still: then docs is the directory, and not the symlink.
  endRound() {
    this.rounds++;
    this.inside = sum(this.inside, changesIn(this.scene.docs));
    this.outside = sum(this.outside, changesIn(this.scene.outside));
  }

  // What landed outside until now, in the middle of a round.
  outsideNow() {
    return sum(this.outside, changesIn(this.scene.outside));
  }
}

const sum = (a, b) => ({ written: a.written + b.written, deleted: a.deleted + b.deleted });

module.exports = { Tally };
