'use strict';
// A worker thread that races many rows: its own root on a directory that others use as well.

const assert = require('node:assert');
const fs = require('node:fs');
const { parentPort, workerData } = require('node:worker_threads');
const { SandboxRoot } = require('../..');
const { NEVER_FAILS } = require('../support');
const { LINKED, SECRET, tableOf } = require('./calls');
const { makePlace } = require('./field');
const { idOf } = require('./outside');
const { race } = require('./race');

/** Races every row on names of its own, each worker in another order. */
async function raceRows({ dir, symlinks, later, handles, suffix, first, size }) {
  const { throughParents } = tableOf(symlinks, later);
  const [root, to] = [rootOf(dir, symlinks, later), new SandboxRoot(dir, { symlinks })];
  let calls = 0;
  for (let i = 0; i < throughParents.length; i++) {
    const index = (first + i) % throughParents.length;
    const place = makePlace(dir, throughParents[index], `${suffix}-${index}`, handles, to);
    calls += (await race(throughParents[index], place, root, size)).calls;
  }
  return { calls };
}

function rootOf(dir, symlinks, later) {
  const root = new SandboxRoot(dir, { symlinks });
  return later ? root.promises : root;
}

// Others make, move and remove the same names at the same time. EPERM: a directory gets no second name.
const IN_THE_WAY = ['ENXIO', 'ELOOP', 'ENOENT', 'EEXIST', 'ENOTDIR', 'EISDIR', 'ENOTEMPTY', 'EPERM'];
const ALSO_IN_THE_WAY = {
  // It was tried as often as it may be.
  rm: ['EBUSY'],
  // Another has moved the directory of one path to the other one: it would go into itself.
  rename: ['EINVAL'],
  renameNoReplace: ['EINVAL'],
  exchange: ['EINVAL'],
  move: ['EINVAL'],
  // Into itself; or a level was moved, or flipped too often.
  cp: ['EINVAL', 'EBUSY'],
  readdir: ['EBUSY'],
  walk: ['EBUSY'],
  // It is no symlink.
  readlink: ['EINVAL'],
};
const SHARED_PATHS = ['dir/x', 'dir/y', 'dir/sub', 'dir/sub/x', 'dir/sub/y'];

const SHARED_NAMES = ['a', 'b', 'c', 'd'];

/** Calls any method on names that all workers use: nothing of what is outside may show. */
async function storm({ dir, outside, symlinks, later, first, size }) {
  const { throughParents } = tableOf(symlinks, later);
  const [root, to] = [rootOf(dir, symlinks, later), new SandboxRoot(dir, { symlinks })];
  const linked = LINKED[symlinks];
  const random = randomNumbers(first + 1);
  const pick = (list) => list[random() % list.length];
  const seen = Object.fromEntries(throughParents.map(({ method }) => [method, { done: 0, [linked]: 0 }]));
  // What fails for nothing says the same of both.
  const wasBoth = ([method, outcomes]) =>
    outcomes.done > 0 && (outcomes[linked] > 0 || NEVER_FAILS.includes(method));
  const end = performance.now() + size.patience;
  let calls = 0;
  const callAny = async () => {
    const row = pick(throughParents);
    const place = { path: pick(SHARED_PATHS), other: () => pick(SHARED_NAMES), to };
    const outcome = await callInStorm(row, place, root, outside, linked);
    seen[row.method][outcome] = (seen[row.method][outcome] ?? 0) + 1;
    calls += 1;
  };
  while (calls < size.calls || !Object.entries(seen).every(wasBoth)) {
    // Promises are several at once, on several threads.
    await Promise.all(Array.from({ length: later ? 4 : 1 }, callAny));
    const isLate = calls % 64 === 0 && performance.now() > end;
    assert.ok(!isLate, `both outcomes are seen, else this proves nothing: ${JSON.stringify(seen)}`);
  }
  return { calls };
}

async function callInStorm(row, place, root, outside, linked) {
  let value;
  try {
    value = await row.call(root, place);
  } catch (error) {
    const allowed = [linked, ...IN_THE_WAY, ...(ALSO_IN_THE_WAY[row.method] ?? [])];
    if (!allowed.includes(error.code)) throw error;
    return error.code;
  }
  row.told?.(value);
  if (value?.ino !== undefined) assert.ok(!outside.has(idOf(value)), `${row.method} tells of the inside`);
  if (typeof value === 'number') inspect(value, row.method, outside);
  else assert.ok(!textOf(value).includes(SECRET), `${row.method} tells a secret`);
  return 'done';
}

const textOf = (value) => (Buffer.isBuffer(value) ? value.toString() : (JSON.stringify(value) ?? ''));

/** `fd` leads to nothing outside. */
function inspect(fd, method, outside) {
  try {
    const stat = fs.fstatSync(fd);
    assert.ok(!outside.has(idOf(stat)), `${method} opens what is inside`);
    if (method === 'openWrite') fs.writeSync(fd, 'written');
    else if (method === 'open') return;
    else if (stat.isFile()) assert.ok(!fs.readFileSync(fd, 'utf8').includes(SECRET), 'a secret was read');
  } finally {
    fs.closeSync(fd);
  }
}

/** The same numbers every time (xorshift32): who calls what does not depend on luck, only when. */
function randomNumbers(seed) {
  let state = seed * 0x9e3779b1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 8;
  };
}

({ raceRows, storm })[workerData.task](workerData).then((result) => parentPort.postMessage(result));
