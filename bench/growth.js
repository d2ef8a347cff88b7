'use strict';
// How cost grows with size: per unit, relative to the smallest size, and the same of a reference. What
// grows with the reference grows in the kernel.

const fs = require('node:fs');
const { once } = require('node:events');
const os = require('node:os');
const path = require('node:path');
const { Worker } = require('node:worker_threads');
const { promised } = require('./operations');
const { cpuTimeOf, durationOf, loop, measure, promiseLoop, spread } = require('./rounds');

const CALLS = 300;
/** What rises by more than this, and by so much more than the reference does, is neither flat nor linear. */
const FLAT = 1.5;
const WITH_REFERENCE = 1.25;

const powers = (first, last) => {
  const all = [];
  for (let size = first; size <= last; size *= 10) all.push(size);
  return all;
};
/** How many entries there are at the most. A disk may take seconds to make them. */
const largest = (full, place) => (full ? 1e6 : place === 'disk' ? 1e4 : 1e5);
const same = (text) => Array(CALLS).fill(Buffer.from(text).toString());
const call = (root, p, work) => () => loop(work, root, same(p), [], CALLS);

/** Deeper paths: what one component costs. */
function depth({ SandboxRoot, floor, cpu }, base) {
  const root = new SandboxRoot(base);
  const deepest = `${base}${'/d'.repeat(31)}`;
  fs.mkdirSync(deepest, { recursive: true });
  for (let at = 0; at < 32; at += 1) fs.writeFileSync(`${base}${'/d'.repeat(at)}/f`, '');
  const parent = (levels) =>
    Array(levels - 1)
      .fill('d')
      .join('/');
  return {
    what: 'stat by path depth',
    unit: 'component',
    sizes: [1, 2, 4, 8, 16, 32],
    reference: 'floor',
    rounds: 31,
    ways: (levels) => ({
      ours: { run: call(root, path.join(parent(levels), 'f'), (r, p) => r.stat(p)) },
      reference: { run: () => floor.calls('stat', base, parent(levels), CALLS, 1, cpu, false) },
      units: levels,
    }),
  };
}

/** Wider directories: what one call in them costs, and one entry of a listing. */
function width({ SandboxRoot, floor, cpu, full }, base, place) {
  const root = new SandboxRoot(base);
  const sizes = powers(10, largest(full, place));
  for (const size of sizes) {
    floor.plant(`${base}/wide${size}`, 1, size, 0);
    fs.writeFileSync(`${base}/wide${size}/d0/f`, '');
  }
  const at = (size) => `wide${size}/d0`;
  const xs = Array.from({ length: CALLS }, (_, i) => `x${i}`);
  const make = (size) => () => {
    for (const x of xs) fs.writeFileSync(`${base}/${at(size)}/${x}`, '');
  };
  return [
    {
      what: 'stat by directory width',
      unit: 'call',
      sizes,
      reference: 'floor',
      rounds: 31,
      ways: (size) => ({
        ours: { run: call(root, `${at(size)}/f`, (r, p) => r.stat(p)) },
        reference: { run: () => floor.calls('stat', base, at(size), CALLS, 1, cpu, false) },
        units: 1,
      }),
    },
    {
      what: 'unlink by directory width',
      unit: 'call',
      sizes,
      reference: 'floor',
      rounds: 7,
      ways: (size) => {
        const names = xs.map((x) => `${at(size)}/${x}`);
        return {
          ours: { prepare: make(size), run: () => loop((r, p) => r.unlink(p), root, names, [], CALLS) },
          reference: {
            prepare: make(size),
            run: () => floor.calls('unlink', base, at(size), CALLS, 1, cpu, false),
          },
          units: 1,
        };
      },
    },
    {
      what: 'readdir by directory width',
      unit: 'entry',
      sizes,
      reference: 'floor',
      rounds: 5,
      ways: (size) => ({
        ours: { run: () => durationOf(() => root.readdir(at(size))) },
        reference: { run: () => floor.list(`${base}/${at(size)}`, 1) },
        units: size,
      }),
    },
  ];
}

/** Larger trees: what one entry costs. */
function size({ SandboxRoot, floor, cpu, full, collectGarbage }, base, place) {
  const timed = cpu ? cpuTimeOf : durationOf;
  const root = new SandboxRoot(base);
  const sizes = powers(1000, largest(full, place));
  const FILES = 50;
  const [top, copy] = [`${base}/tree`, `${base}/copy`];
  const plant = (entries) => () => {
    floor.plant(top, entries / FILES, FILES, 0);
    collectGarbage();
  };
  const remove = () => floor.remove(top, 1);
  const removeBoth = () => {
    remove();
    floor.remove(copy, 1);
  };
  const curve = (what, ours, reference, clean) => ({
    what: `${what} by tree size`,
    unit: 'entry',
    sizes,
    // On as many threads as ours, for how many of them run at a time is up to the machine.
    reference: 'floor, 2 threads',
    rounds: 3,
    ways: (entries) => ({
      ours: { prepare: plant(entries), run: () => timed(ours), clean },
      reference: { prepare: plant(entries), run: () => timed(reference), clean },
      units: entries,
    }),
  });
  const types = { recursive: true, withFileTypes: true };
  return [
    curve(
      'rm -r',
      () => root.rm('tree', true),
      () => floor.remove(top, 2),
    ),
    curve(
      'cp -r',
      () => root.cp('tree', 'copy', { recursive: true }),
      () => floor.copy(top, copy, 2),
      removeBoth,
    ),
    curve(
      'recursive readdir',
      () => root.readdir('tree', types),
      () => floor.list(top, 2),
      remove,
    ),
  ];
}

/** More calls in flight: what one costs. */
function inFlight({ SandboxRoot }, base) {
  const root = new SandboxRoot(base);
  fs.writeFileSync(`${base}/small`, 'x'.repeat(4096));
  const curve = (what, work) => ({
    what: `promises.${what} by calls in flight`,
    unit: 'call',
    sizes: [1, 2, 4, 8, 16, 32, 64],
    reference: 'fs.promises',
    rounds: 9,
    ways: (flight) => ({
      ours: { run: () => promiseLoop(flight)(work, root.promises, same('small'), [], CALLS) },
      reference: { run: () => promiseLoop(flight)(work, promised, same(`${base}/small`), [], CALLS) },
      units: 1,
    }),
  });
  return [curve('stat', (f, p) => f.stat(p)), curve('readFile', (f, p) => f.readFile(p))];
}

/** More workers: what a call costs each of the cores that there are. */
function workers({ build }, base) {
  const MOST = 4;
  const N = 20_000;
  const cores = os.availableParallelism?.() ?? os.cpus().length;
  let started;
  const start = () => {
    fs.mkdirSync(`${base}/w`, { recursive: true });
    for (let i = 0; i < MOST; i += 1) fs.writeFileSync(`${base}/w/f${i}`, '');
    return Array.from({ length: MOST }, (_, i) => {
      const workerData = { build, base, name: `w/f${i}` };
      return new Worker(path.join(__dirname, 'worker.js'), { workerData });
    });
  };
  const together = (count, kind) => async () => {
    started ??= start();
    const runs = started.slice(0, count).map((worker) => {
      worker.postMessage({ kind, n: N });
      return once(worker, 'message');
    });
    const spans = (await Promise.all(runs)).map(([span]) => span);
    const wall = Math.max(...spans.map(([, end]) => end)) - Math.min(...spans.map(([begin]) => begin));
    return (wall * Math.min(count, cores)) / (N * count);
  };
  return {
    what: `stat by workers, on ${cores} cores`,
    unit: 'call and core',
    sizes: [1, 2, 3, 4],
    reference: 'node:fs',
    rounds: 7,
    ways: (count) => ({
      ours: { run: together(count, 'ours') },
      reference: { run: together(count, 'fs') },
      units: 1,
    }),
    last: () => Promise.all((started ?? []).map((worker) => worker.terminate())),
  };
}

/** How much more than at any smaller size a unit costs at the most. */
const rise = (costs) =>
  Math.max(1, ...costs.slice(1).map((cost, i) => cost / Math.min(...costs.slice(0, i + 1))));

const rounded = (x) => Number(x.toPrecision(3));

/** What takes minutes on a disk. */
const isSlow = (kind, place) => kind === 'size' && place === 'disk';

const KINDS = { depth, width, size, inFlight, workers };

/** The curves in the directory `base` of `place`. */
async function* growth(bench, place, base) {
  if (bench.other) return;
  for (const [kind, make] of Object.entries(KINDS)) {
    if (!bench.wants('growth', kind) || (isSlow(kind, place) && !bench.full)) continue;
    const dir = `${base}/${kind}`;
    fs.mkdirSync(dir);
    for (const curve of [make(bench, dir, place)].flat()) {
      const all = {};
      const units = {};
      for (const size of curve.sizes) {
        const ways = curve.ways(size);
        units[size] = ways.units;
        all[`${size} ours`] = ways.ours;
        all[`${size} reference`] = ways.reference;
      }
      const times = await measure(all, bench.quick ? 2 : curve.rounds, 1, bench.patience);
      await curve.last?.();
      const { what, unit, sizes, reference } = curve;
      // The quick quarter of the rounds: what else the machine does only ever makes one slower.
      const cost = (size, who) => spread(times[`${size} ${who}`]).low / units[size];
      const relative = (who) => sizes.map((size) => cost(size, who) / cost(sizes[0], who));
      const curves = { ours: relative('ours'), reference: relative('reference') };
      const flat = rise(curves.ours) <= Math.max(FLAT, WITH_REFERENCE * rise(curves.reference));
      const points = sizes.map((at, i) => ({
        at,
        ours: rounded(curves.ours[i]),
        reference: rounded(curves.reference[i]),
      }));
      yield { what, unit, place, reference, points, flat };
    }
    bench.floor.remove(dir, 2);
  }
}

module.exports = { growth };
