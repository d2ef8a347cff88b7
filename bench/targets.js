'use strict';
// The targets: medians of ratios in one run, or the geometric mean of these where `mean` says so.
//
// A target is about the rows of `tables` that are measured `against` something, and of these about
// `operations` or in `places` alone, or all `but` some. `unit` is what is measured where it is no ratio.
//
// Those of `rm -r` and `cp -r` against node:fs were set when that was JavaScript, as it is in Node 20.

const { ANSWERED_AT_ONCE } = require('./calls');

const IN_A_ROOT = ['call in the root', 'call in a sub-root'];

const TARGETS = [
  {
    what: 'a synchronous call, three levels deep, against the floor',
    tables: ['call'],
    against: 'floor',
    atMost: 1.25,
  },
  {
    what: 'a synchronous call, three levels deep, against node:fs, on average',
    tables: ['call'],
    against: 'fs',
    mean: true,
    atMost: 1.25,
  },
  {
    what: 'stat, three levels deep, against node:fs',
    tables: ['call'],
    operations: ['stat'],
    against: 'fs',
    atMost: 1.4,
  },
  {
    what: 'a synchronous call on a name directly in a root or sub-root, against node:fs, on average',
    tables: IN_A_ROOT,
    against: 'fs',
    mean: true,
    atMost: 0.85,
  },
  {
    what: 'a failing call against node:fs',
    tables: ['failing call'],
    // It does not fail: it says no.
    but: ['exists'],
    against: 'fs',
    atMost: 1.0,
  },
  {
    what: 'promises of stat, lstat, exists and readlink against fs.promises, what they need cached',
    tables: ['promise'],
    operations: ANSWERED_AT_ONCE,
    against: 'fs',
    atMost: 0.25,
  },
  {
    what: 'promises of stat, lstat, exists and readlink against fs.promises, 64 in flight or not cached',
    tables: ['64 promises', 'promise, not cached', '64 promises, not cached'],
    operations: ANSWERED_AT_ONCE,
    against: 'fs',
    atMost: 0.6,
  },
  {
    what: 'other promises against fs.promises',
    tables: ['promise', '64 promises'],
    but: ANSWERED_AT_ONCE,
    against: 'fs',
    atMost: 0.9,
  },
  {
    what: 'rm -r on tmpfs against fs.rmSync',
    tables: ['tree'],
    operations: ['rm -r'],
    places: ['tmpfs'],
    against: 'fs',
    atMost: 0.3,
  },
  {
    what: 'rm -r on tmpfs against rm -rf',
    tables: ['tree'],
    operations: ['rm -r'],
    places: ['tmpfs'],
    against: 'GNU',
    atMost: 0.6,
  },
  {
    what: 'cp -r on tmpfs against fs.cpSync',
    tables: ['tree'],
    operations: ['cp -r'],
    places: ['tmpfs'],
    against: 'fs',
    atMost: 0.3,
  },
  {
    what: 'cp -r on tmpfs against GNU cp -r',
    tables: ['tree'],
    operations: ['cp -r'],
    places: ['tmpfs'],
    against: 'GNU',
    atMost: 0.8,
  },
  {
    what: 'recursive readdir with types against fs.readdirSync',
    tables: ['tree'],
    operations: ['readdir'],
    against: 'fs',
    atMost: 0.4,
  },
  {
    what: 'recursive readdir with types against find',
    tables: ['tree'],
    operations: ['readdir'],
    against: 'GNU',
    atMost: 1.0,
  },
  {
    what: 'readFile and copyFile of 4 KiB and 64 MiB against node:fs',
    tables: ['content'],
    against: 'fs',
    atMost: 1.0,
  },
  {
    what: 'copyFile by reflink of 64 MiB against 1 MiB',
    tables: ['content'],
    against: '1 MiB',
    atMost: 1.5,
  },
  { what: 'anything against fs-safe', against: 'safe', atMost: 0.1 },
  {
    what: 'require over an empty script',
    tables: ['load'],
    operations: ['require'],
    against: 'nothing',
    unit: 'ms',
    atMost: 3,
  },
  {
    what: 'the binary',
    tables: ['load'],
    operations: ['binary'],
    against: 'nothing',
    unit: 'KB',
    atMost: 700,
  },
];

/** Whether `target` is about `row`. What is said of node:fs is said of that of every Node. */
const isAbout = (target, row) =>
  target.against === row.against.split(',', 1)[0] &&
  (target.tables?.includes(row.table) ?? true) &&
  (target.operations?.includes(row.operation) ?? true) &&
  (target.places?.includes(row.place) ?? true) &&
  !target.but?.includes(row.operation);

/** The target for `row` alone, if it has one. */
const targetOf = (row) => TARGETS.find((target) => !target.mean && isAbout(target, row));

module.exports = { TARGETS, isAbout, targetOf };
