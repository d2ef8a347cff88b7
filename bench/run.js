'use strict';
// `npm run bench`: measures this package against the floor, node:fs, fs.promises, fs-safe and GNU.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { pathToFileURL } = require('node:url');
const v8 = require('node:v8');
const vm = require('node:vm');
const { spawn } = require('node:child_process');
const { calls, uncached } = require('./calls');
const { growth } = require('./growth');
const mounts = require('./mounts');
const anotherNode = require('./another-node');
const { loading, reflinks, trees } = require('./trees');
const { isTooOld, node } = require('./setup');
const { timeBy } = require('./rounds');
const { view } = require('./view');
const { chartOf, json, meansOf, print, rowsOf, summaryOf } = require('./report');

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    against: { type: 'string', default: 'floor,fs,safe,GNU' },
    rounds: { type: 'string', default: '41' },
    place: { type: 'string', default: 'tmpfs,disk,btrfs,xfs,ext4' },
    disk: { type: 'string', default: process.env.BENCH_DISK ?? os.tmpdir() },
    build: { type: 'string', default: path.join(__dirname, '..') },
    compare: { type: 'string' },
    cpu: { type: 'boolean', default: false },
    'this-node': { type: 'boolean', default: false },
    out: { type: 'string' },
  },
});

const load = (file) => {
  const addon = { exports: {} };
  process.dlopen(addon, file);
  return addon.exports;
};

/** Makes a root of fs-safe in its `require` mode; `null` if it is not there. */
async function fsSafe(notes) {
  const folder = path.join(__dirname, 'node_modules/@openclaw/fs-safe');
  try {
    const { exports: entries } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
    const entry = (name) => import(pathToFileURL(path.join(folder, entries[name].default)));
    const { configureFsSafeNative, root } = await entry('.');
    configureFsSafeNative({ mode: 'require' });
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'bench-'));
    try {
      await (await root(dir)).write('works', '');
    } finally {
      fs.rmSync(dir, { recursive: true });
    }
    return root;
  } catch (error) {
    notes.push(`fs-safe cannot be had, and its rows are left out: ${error.message.split('\n', 1)[0]}`);
    return null;
  }
}

/** What `--only` asks for: an operation or a table by its name, or whatever matches. */
function wanted(only) {
  if (only === undefined) return () => true;
  const patterns = only.split(/,(?! )/).map((one) => new RegExp(`^(${one})$`, 'i'));
  return (table, operation) =>
    patterns.some((pattern) =>
      [table, operation, `${table}: ${operation}`].some((name) => pattern.test(name)),
    );
}

/** The names of file systems, by what statfs(2) says. */
const FILE_SYSTEMS = {
  16914836: 'tmpfs',
  61267: 'ext2, ext3 or ext4',
  2435016766: 'btrfs',
  1481003842: 'xfs',
  2035054128: 'overlayfs',
};

const isOwn = (place) => place in mounts.KINDS;

/** A file system to measure on: its name, a directory on it, and what removes all that was made for it. */
function openPlace(place) {
  const folder = place === 'disk' ? path.resolve(options.disk) : '/dev/shm';
  const dir = fs.mkdtempSync(path.join(folder, 'bench-'));
  const close = () => {
    process.off('exit', close);
    if (isOwn(place)) mounts.unmount(dir);
    fs.rmSync(dir, { recursive: true, force: true });
  };
  process.once('exit', close);
  try {
    const { base, forget } = isOwn(place) ? mounts.mounted(place, dir) : { base: dir };
    const { type } = fs.statfsSync(base);
    return { fileSystem: FILE_SYSTEMS[type] ?? type.toString(16), base, forget, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Tells how many CPUs have been busy since, on average, with neither this process nor what it started. */
function othersBusy(floor) {
  const all = () =>
    os
      .cpus()
      .reduce((sum, { times: { idle, ...busy } }) => sum + Object.values(busy).reduce((a, b) => a + b), 0);
  const own = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e3 + floor.childrenRan() / 1e6;
  };
  const [begin, before] = [performance.now(), all() - own()];
  return () => (all() - own() - before) / (performance.now() - begin);
}

/** How many they are at the least to be told: the kernel does things by itself. */
const BUSY = 0.3;

/** What is measured where. For the bench's own file systems, `rows` of each are the tables and operations. */
const MEASURED = {
  tmpfs: [calls, trees, view, loading, growth],
  disk: [calls, trees, view, reflinks, growth],
  btrfs: [reflinks],
  xfs: [reflinks],
  ext4: [uncached],
};

async function* measureAll(bench, place, { base, forget }) {
  for (const measure of MEASURED[place]) {
    const dir = `${base}/${measure.name}`;
    fs.mkdirSync(dir);
    yield* measure(bench, place, dir, forget);
  }
}

async function main() {
  const notes = [];
  const against = new Set(options.against.split(','));
  const build = path.resolve(options.build);
  v8.setFlagsFromString('--expose-gc');
  const full = process.env.BENCH_FULL === '1';
  const bench = {
    build,
    SandboxRoot: require(build).SandboxRoot,
    other: options.compare && require(path.resolve(options.compare)).SandboxRoot,
    floor: load(path.join(__dirname, '../target/release/libbench_floor.so')),
    against,
    isWanted: (name) => ['ours', 'other', '1 MiB'].includes(name) || against.has(name.split(',', 1)[0]),
    cpu: options.cpu,
    full,
    rounds: Number(options.rounds),
    patience: full ? 300 : 10,
    quick: Number(options.rounds) < 10,
    treeRounds: Math.max(3, Math.round(Number(options.rounds) / 6)),
    wants: wanted(options.only),
    collectGarbage: vm.runInNewContext('gc'),
    otherNodes: {},
  };
  const places = options.place.split(',');
  const noMounts = places.some(isOwn) ? mounts.whyNot(bench.floor) : undefined;
  if (bench.cpu) timeBy(bench.floor.cpuTime);
  for (const [major, file] of Object.entries(against.has('fs') ? anotherNode.otherNodes() : {}))
    bench.otherNodes[major] = anotherNode.start(file);
  bench.safe = against.has('safe') ? await fsSafe(notes) : null;
  // What was begun is removed then too.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  const results = {
    node: process.version,
    kernel: os.release().match(/^\d+\.\d+/)[0],
    cores: os.availableParallelism?.(),
    fileSystems: {},
  };
  const busy = othersBusy(bench.floor);
  const rows = [];
  const curves = [];
  const missing = [];
  for (const place of places) {
    let opened;
    let asked;
    try {
      if (isOwn(place)) {
        asked = MEASURED[place].flatMap(({ rows }) => rows).filter((row) => bench.wants(...row));
        if (asked.length === 0) continue;
        if (noMounts) throw new Error(noMounts);
      }
      opened = openPlace(place);
    } catch (error) {
      if (!isOwn(place)) throw error;
      missing.push(...asked.map(([table, operation]) => ({ table, operation, place, why: error.message })));
      continue;
    }
    results.fileSystems[place] = opened.fileSystem;
    try {
      for await (const measured of measureAll(bench, place, opened)) {
        if (measured.points) curves.push(measured);
        else rows.push(...rowsOf(measured));
        process.stderr.write(
          `${Math.round(process.uptime())} s ${place} ${measured.what ?? `${measured.table}: ${measured.operation}`}\n`,
        );
      }
    } finally {
      opened.close();
    }
  }
  if (busy() > BUSY)
    notes.push(
      `others kept ${busy().toFixed(1)} CPUs busy. Rows of promises and trees, which use more than one, tell little then.`,
    );
  const means = meansOf(rows);
  const summary = summaryOf(rows, means);
  print({ rows, missing, means, growth: curves, summary, notes, partial: options.only !== undefined });
  const out = options.out ?? (options.only || options.compare ? undefined : __dirname);
  if (out === undefined) return;
  Object.assign(results, {
    size: bench.full ? 'full' : 'quick',
    targets: summary,
    means,
    rows,
    missing,
    growth: curves,
    notes,
  });
  fs.mkdirSync(out, { recursive: true });
  fs.writeFileSync(path.join(out, 'results.json'), json(results));
  fs.writeFileSync(path.join(out, 'results.svg'), chartOf(results));
}

const other = isTooOld && !options['this-node'] && node();
if (other) {
  // All of it on the Node that fs-safe needs, so that every ratio is of one Node.
  const child = spawn(other, process.argv.slice(1), { stdio: 'inherit' });
  // It cleans up behind itself. What a terminal sends, it gets too.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill());
  child.on('close', (status) => {
    process.exitCode = status ?? 1;
  });
} else {
  main();
}
