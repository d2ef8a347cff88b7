'use strict';
// A worker thread that races many rows: its own root on a directory that others use as well.

const assert = require('node:assert');
const fs = require('node:fs');
const { parentPort, workerData } = require('node:worker_threads');
const { SandboxRoot } = require('../..');
const { SECRET, throughParents } = require('./calls');
const { makePlace } = require('./field');
const { idOf } = require('./outside');
const { race } = require('./race');

/** Races every row on names of its own, each worker in another order. */
function raceRows({ dir, handles, suffix, first, size }) {
  const root = new SandboxRoot(dir);
  let calls = 0;
  for (let i = 0; i < throughParents.length; i++) {
    const index = (first + i) % throughParents.length;
    const place = makePlace(dir, throughParents[index], `${suffix}-${index}`, handles);
    calls += race(throughParents[index], place, root, size).calls;
  }
  return { calls };
}

// Others make, move and remove the same names at the same time. EPERM: a directory gets no second name.
const IN_THE_WAY = ['ELOOP', 'ENOENT', 'EEXIST', 'ENOTDIR', 'EISDIR', 'ENOTEMPTY', 'EPERM'];
const ALSO_IN_THE_WAY = {
  // It was tried as often as it may be.
  rm: ['EBUSY'],
  // Another has moved the directory of one path to the other one: it would go into itself.
  rename: ['EINVAL'],
  renameNoReplace: ['EINVAL'],
};
const SHARED_PATHS = ['dir/x', 'dir/y', 'dir/sub', 'dir/sub/x', 'dir/sub/y'];

const SHARED_NAMES = ['a', 'b', 'c', 'd'];

/** Calls any method on names that all workers use: nothing of what is outside may show. */
function storm({ dir, outside, first, size }) {
  const root = new SandboxRoot(dir);
  const random = randomNumbers(first + 1);
  const pick = (list) => list[random() % list.length];
  const seen = Object.fromEntries(throughParents.map(({ method }) => [method, { done: 0, ELOOP: 0 }]));
  const wasBoth = ({ done, ELOOP }) => done > 0 && ELOOP > 0;
  const end = performance.now() + size.patience;
  let calls = 0;
  for (; calls < size.calls || !Object.values(seen).every(wasBoth); calls++) {
    const row = pick(throughParents);
    const place = { path: pick(SHARED_PATHS), other: () => pick(SHARED_NAMES) };
    const outcome = callInStorm(row, place, root, outside);
    seen[row.method][outcome] = (seen[row.method][outcome] ?? 0) + 1;
    const isLate = calls % 64 === 63 && performance.now() > end;
    assert.ok(!isLate, `both outcomes are seen, else this proves nothing: ${JSON.stringify(seen)}`);
  }
  return { calls };
}

function callInStorm(row, place, root, outside) {
  let value;
  try {
    value = row.call(root, place);
  } catch (error) {
    const allowed = [...IN_THE_WAY, ...(ALSO_IN_THE_WAY[row.method] ?? [])];
    if (!allowed.includes(error.code)) throw error;
    return error.code;
  }
  if (row.method === 'stat') assert.ok(!outside.has(idOf(value)), 'stat tells of the inside');
  if (typeof value === 'number') inspect(value, row.method, outside);
  return 'done';
}

/** `fd` leads to nothing outside. */
function inspect(fd, method, outside) {
  try {
    const stat = fs.fstatSync(fd);
    assert.ok(!outside.has(idOf(stat)), `${method} opens what is inside`);
    if (method === 'openWrite') fs.writeSync(fd, 'written');
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

parentPort?.postMessage({ raceRows, storm }[workerData.task](workerData));
