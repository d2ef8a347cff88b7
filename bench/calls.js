'use strict';
// Rows about single calls: of each operation, in each of several settings.

const fs = require('node:fs');
const { FAILING, OPERATIONS, furnish, inTurn, promised, sync } = require('./operations');
const { failingLoop, loop, measure, promiseLoop } = require('./rounds');

/** How many calls make one measurement: as many as take about so long, in nanoseconds. */
const ONE_MEASUREMENT = 5e5;
const MOST_CALLS = 1024;
const LEAST_CALLS = 8;
const WARM_UP = 50_000;
/** How many promises are in flight; each measurement has them so often at least. */
const FLIGHT = 64;
const LEAST_FLIGHTS = 2;

/** Text in one piece, as a path that is read from somewhere; the engine joins pieces when they are used. */
const flat = (text) => Buffer.from(text).toString();
/** One for each call: `x` and `y` of its own, of the others `files` in turn. */
const namesIn = (dir, name, files) =>
  Array.from({ length: MOST_CALLS }, (_, i) => {
    const own = name === 'x' || name === 'y' ? `${name}${i}` : inTurn(name, i, files);
    return flat(dir === '' ? own : `${dir}/${own}`);
  });

/** Where names are: `root` and the directory `parent` beneath it, which is `dir` to node:fs. */
function settings(SandboxRoot, base) {
  const root = new SandboxRoot(base);
  const [dir, deep] = [`${base}/a/b`, 'a/b'];
  return {
    deep: { root, rootDir: base, parent: deep, dir },
    'in the root': { root, rootDir: base, parent: '', dir: base },
    'in a sub-root': { root: root.openRoot?.(deep) ?? new SandboxRoot(dir), rootDir: dir, parent: '', dir },
  };
}

/** Removes what is left of names that belong to one call. */
function tidy(dir) {
  for (const name of fs.readdirSync(dir))
    if (/^[xy]/.test(name)) fs.rmSync(`${dir}/${name}`, { recursive: true, force: true });
}

/** One way of calling, which finds out in the rounds that do not count how many calls to make. */
function way(operation, dir, flight, run) {
  const least = flight > 1 ? LEAST_FLIGHTS * flight : LEAST_CALLS;
  let n = least;
  let settled = 0;
  const touched = [operation.on, operation.second].includes('x');
  const scratch = Array.from({ length: MOST_CALLS }, (_, i) => `${dir}/x${i}`);
  return {
    prepare() {
      for (let i = 0; i < flight; i += 1) operation.first?.(`${dir}/${inTurn('g', i, flight)}`);
      if (operation.before) for (let i = 0; i < n; i += 1) operation.before(scratch[i]);
    },
    async run() {
      const took = await run(n);
      settled += 1;
      const enough = flight * Math.round(ONE_MEASUREMENT / took / flight);
      if (settled <= 2) n = Math.min(MOST_CALLS, Math.max(least, enough));
      return took;
    },
    clean: touched ? () => tidy(dir) : undefined,
  };
}

/** Whether this build has the method: an earlier one may not. */
const has = (subject, name) => name.split(',', 1)[0] in (subject ?? {});

/** What a failing call cannot do without, beside its system calls: an error, with a stack, that is thrown. */
function fail(_, path) {
  const error = new Error(`ENOENT: no such file or directory, stat '${path}'`);
  throw Object.assign(error, { errno: -2, code: 'ENOENT', syscall: 'stat', path });
}

/** Every way of calling `operation`, by `against`. */
function ways(bench, operation, name, at, { looped, flight = 1, isPromise = false, fails = false }) {
  const [on, second] = [operation.on ?? 'f', operation.second ?? 'f'].map((x) => (fails ? 'missing' : x));
  // What is in flight together is about different files, as in a program: the kernel locks each.
  const files = flight;
  const ours = [on, second].map((name) => namesIn(at.parent, name, files));
  const theirs = [on, second].map((name) => namesIn(at.dir, name, files));
  const make = (run) => way(fails ? {} : operation, at.dir, flight, run);
  const subject = (root) => (isPromise ? root.promises : root);
  const call = (isPromise && operation.oursPromised) || operation.ours;
  const result = { ours: make((n) => looped(call, subject(at.root), ...ours, n)) };
  if (at.other && has(subject(at.other), name))
    result.other = make((n) => looped(call, subject(at.other), ...ours, n));
  const failing = fails && name !== 'exists' ? (n) => failingLoop(fail, null, ...ours, n) : () => 0;
  const waits = isPromise && flight === 1 && !ANSWERED_AT_ONCE.includes(name);
  if (bench.against.has('floor') && waits)
    result['floor, on another thread'] = make((n) =>
      bench.floor.callsElsewhere(name, at.rootDir, at.parent, n),
    );
  else if (bench.against.has('floor'))
    result.floor = make(
      (n) =>
        bench.floor.calls(name, at.rootDir, at.parent, n, files, bench.cpu && !isPromise, fails) + failing(n),
    );
  if (bench.against.has('floor') && flight > 1)
    result['floor, 2 threads'] = make((n) => bench.floor.callsByTwo(name, at.rootDir, at.parent, n, files));
  if (bench.against.has('fs') && operation.fs)
    result.fs = isPromise
      ? make((n) => looped(operation.fsPromised ?? operation.fs, promised, ...theirs, n))
      : make((n) => looped(operation.fs, sync, ...theirs, n));
  if (at.safe && operation.safe && !fails) {
    // All that it has are promises: one at a time, or as many as ours.
    const safely = isPromise ? looped : promiseLoop(1);
    result.safe = make((n) => safely(operation.safe, at.safe, ...ours, n));
  }
  return result;
}

const TABLES = {
  call: { setting: 'deep', looped: loop },
  'call in the root': { setting: 'in the root', looped: loop, without: ['safe'] },
  'call in a sub-root': { setting: 'in a sub-root', looped: loop, without: ['safe'] },
  'failing call': { setting: 'deep', looped: failingLoop, fails: true, only: FAILING },
  promise: { setting: 'deep', looped: promiseLoop(1), isPromise: true },
  '64 promises': {
    setting: 'deep',
    looped: promiseLoop(FLIGHT),
    flight: FLIGHT,
    isPromise: true,
    without: ['safe'],
  },
};

/** All rows about calls in the directory `base` of `place`. */
async function* calls(bench, place, base) {
  fs.mkdirSync(`${base}/a/b`, { recursive: true });
  furnish(base);
  furnish(`${base}/a/b`, FLIGHT);
  const places = settings(bench.SandboxRoot, base);
  const others = bench.other && settings(bench.other, base);
  const safe = bench.safe && (await bench.safe(base));
  // What all methods share is compiled before the first of them is measured.
  for (let i = 0; i < WARM_UP; i += 1) {
    places.deep.root.stat('a/b');
    fs.statSync(`${base}/a/b`);
  }
  for (const [table, how] of Object.entries(TABLES)) {
    for (const [name, operation] of Object.entries(OPERATIONS)) {
      if (!bench.wants(table, name) || (how.only && !how.only.includes(name))) continue;
      if (how.isPromise && operation.onlySync) continue;
      const { root } = places.deep;
      if (!has(how.isPromise ? root.promises : root, name)) continue;
      const at = { ...places[how.setting], other: others?.[how.setting].root };
      if (!how.without?.includes('safe')) at.safe = safe;
      const all = ways(bench, operation, name, at, how);
      if (Object.keys(all).length > 1)
        yield { table, operation: name, place, times: await measure(all, bench.rounds) };
    }
  }
}

/** What a promise may answer from memory. Everything else may wait, and not on the thread that calls. */
const ANSWERED_AT_ONCE = ['stat', 'lstat', 'exists', 'readlink'];

const UNCACHED = { 'promise, not cached': 1, '64 promises, not cached': FLIGHT };

/** What is not in the dentry cache when it is asked for: `forget` has the kernel forget the file system. */
async function* uncached(bench, place, base, forget) {
  const NAMES = 4 * FLIGHT;
  const parents = Array.from({ length: NAMES }, (_, i) => `d${i}`);
  for (const parent of parents) {
    fs.mkdirSync(`${base}/${parent}`);
    furnish(`${base}/${parent}`);
  }
  for (const [table, name] of uncached.rows) {
    if (!bench.wants(table, name)) continue;
    const { on = 'f', ours, fs: theirs } = OPERATIONS[name];
    const looped = promiseLoop(UNCACHED[table]);
    const paths = parents.map((parent) => flat(`${parent}/${on}`));
    const full = paths.map((at) => flat(`${base}/${at}`));
    let root;
    const open = () => {
      forget();
      root = new bench.SandboxRoot(base);
    };
    const ways = {
      ours: {
        prepare: open,
        run: () => looped(ours, root.promises, paths, [], NAMES),
        // A file system that something is open on stays.
        clean: () => root.close(),
      },
      fs: { prepare: forget, run: () => looped(theirs, promised, full, [], NAMES) },
      floor: { prepare: forget, run: () => bench.floor.callsIn(name, base, parents, 1) },
    };
    // They wait for the disk more than they work: as many as Node has.
    if (UNCACHED[table] > 1)
      ways['floor, 4 threads'] = { prepare: forget, run: () => bench.floor.callsIn(name, base, parents, 4) };
    yield { table, operation: name, place, times: await measure(ways, bench.treeRounds, 1) };
  }
}
uncached.rows = Object.keys(UNCACHED).flatMap((table) => ANSWERED_AT_ONCE.map((name) => [table, name]));

module.exports = { ANSWERED_AT_ONCE, calls, uncached };
