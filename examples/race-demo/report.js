'use strict';
// What is printed: a line of progress while a pass is under way, and the table at the end.

const BAR = 20;

class Progress {
  // On a terminal one line, kept up to date; in a log a line now and then.
  interval = process.stdout.isTTY ? 50 : 1000;
  shownAt = 0;

  constructor(tally, planned) {
    this.tally = tally;
    this.planned = planned;
  }

  show() {
    if (Date.now() - this.shownAt < this.interval) return;
    this.shownAt = Date.now();
    this.print(this.tally.outsideNow());
  }

  end() {
    this.print(this.tally.outside);
    if (process.stdout.isTTY) process.stdout.write('\n');
  }

  print({ written, deleted }) {
    const { title, operations } = this.tally;
    const done = '#'.repeat(Math.min(1, operations / this.planned) * BAR).padEnd(BAR, '.');
    const line = `${title.padEnd(11)} [${done}] landed outside: ${grouped(written)} written, ${grouped(deleted)} deleted`;
    process.stdout.write(process.stdout.isTTY ? `\r${line}\x1b[K` : `${line}\n`);
  }
}

const ROWS = {
  '': (tally) => tally.title,
  'exchanges meanwhile': (tally) => grouped(tally.exchanges),
  'operations tried': (tally) => grouped(tally.operations),
  'done beneath the root': ({ inside }) => grouped(inside.written + inside.deleted),
  refused: ({ refused }) => grouped(Object.values(refused).reduce((sum, times) => sum + times, 0)),
  '  with the code': ({ refused }) => Object.keys(refused).sort().join(' '),
  'LANDED OUTSIDE': (tally) => grouped(tally.escapes),
  '  files written': ({ outside }) => grouped(outside.written),
  '  files deleted': ({ outside }) => grouped(outside.deleted),
};

// The table: a row for each figure, a column for each tally.
function summary(tallies) {
  const rows = Object.entries(ROWS).map(([label, figure]) => [label, ...tallies.map(figure)]);
  return rows
    .map(([label, ...figures]) => label.padEnd(24) + figures.map((text) => text.padStart(20)).join(''))
    .join('\n');
}

const grouped = (number) => number.toLocaleString('en-US');

module.exports = { Progress, summary };
