'use strict';
// The bench measures every method, and what it writes is what its targets say. Nothing here depends on
// how fast anything is.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { spawnSync } = require('node:child_process');
const { SandboxRoot } = require('..');
const { OPERATIONS } = require('../bench/operations');
const { TARGETS, isAbout, targetOf } = require('../bench/targets');
const { tempDir } = require('./support.js');

const BENCH = path.join(__dirname, '../bench/run.js');

/** What is no work on files, and what is measured as something else. */
const NOT_BY_ITSELF = {
  createReadStream: 'with the view',
  createWriteStream: 'with the view',
  opendir: 'as a tree',
  watch: 'once in the life of a watcher',
  close: 'with openRoot',
  closed: 'no system call',
  deleted: 'once in the life of a root',
  hostPath: 'as openRoot',
  identity: 'once in the life of a root',
  isAt: 'once in the life of a root',
  mkfifo: 'as mkdir',
  openRead: 'as open',
  promises: 'no system call',
  remove: 'as unlink, or rmdir',
  walk: 'as a tree',
};

test('every method is measured, or said not to be', () => {
  const methods = Object.getOwnPropertyNames(SandboxRoot.prototype).filter((name) => name !== 'constructor');
  const measured = Object.keys(OPERATIONS).map((name) => name.split(',', 1)[0]);
  const known = new Set([...measured, ...Object.keys(NOT_BY_ITSELF)]);
  assert.deepStrictEqual([...known].sort(), methods.sort());
});

/** What the bench writes when it runs with `options` on this Node, and what it says. */
function bench(t, ...options) {
  const out = tempDir(t);
  const args = [BENCH, '--this-node', '--rounds', '3', ...options, '--out', out];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.strictEqual(status, 0, stderr);
  const read = (name) => fs.readFileSync(path.join(out, name), 'utf8');
  return { stdout, json: read('results.json'), svg: read('results.svg') };
}

test('a run of one operation leaves nothing, and tells which targets hold', (t) => {
  const disk = tempDir(t);
  const options = ['--only', 'stat', '--place', 'disk', '--against', 'floor,fs', '--disk', disk];
  const { stdout, json: text, svg } = bench(t, ...options);
  assert.deepStrictEqual(fs.readdirSync(disk), []);
  assert.match(svg, /^<svg [\s\S]*<\/svg>\n$/);
  assert.ok(!text.includes(disk) && !text.includes(__dirname), 'it has a path of this machine');
  const { rows, means, targets } = JSON.parse(text);
  const tables = ['call', 'call in the root', 'call in a sub-root', 'failing call', 'promise', '64 promises'];
  assert.deepStrictEqual([...new Set(rows.map(({ table }) => table))], tables);
  for (const row of rows) {
    assert.ok(0 < row.low && row.low <= row.median && row.median <= row.high, JSON.stringify(row));
    const atMost = targetOf(row)?.atMost;
    assert.strictEqual(row.target, atMost);
    assert.strictEqual(row.holds, atMost === undefined ? undefined : row.median <= atMost);
  }
  for (const { mean, target, holds } of means) assert.strictEqual(holds, mean <= target);
  // Each that has a target is judged beside the floor, but where it is compared with that itself.
  for (const row of [...rows.filter((row) => row.target && row.against !== 'floor'), ...means]) {
    assert.ok(row.floor > 0, JSON.stringify(row));
    const least = Math.min(row.floor, row['floor, 2 threads'] ?? Infinity);
    assert.strictEqual(row.beyond ?? false, !row.holds && least > row.target, JSON.stringify(row));
  }
  assert.deepStrictEqual(
    targets.map(({ what, target }) => [what, target]),
    TARGETS.map(({ what, atMost }) => [what, atMost]),
  );
  for (const [i, { rows: count }] of targets.entries()) {
    const about = rows.filter((row) => isAbout(TARGETS[i], row));
    if (!TARGETS[i].mean)
      assert.strictEqual(count, about.filter((row) => targetOf(row) === TARGETS[i]).length);
    if (count > 0) assert.ok(stdout.includes(TARGETS[i].what), TARGETS[i].what);
  }
});

test('what needs a file system of its own is measured on one, or said not to be and why', (t) => {
  const mounts = () => fs.readFileSync('/proc/self/mounts', 'utf8');
  const before = mounts();
  const only = 'copyFile by reflink,promise, not cached: stat';
  const { stdout, json } = bench(t, '--place', 'btrfs,xfs,ext4', '--only', only);
  assert.strictEqual(mounts(), before);
  const { rows, missing } = JSON.parse(json);
  for (const place of ['btrfs', 'xfs', 'ext4']) {
    const measured = rows.some((row) => row.place === place && row.against === 'fs');
    const why = missing.find((row) => row.place === place)?.why;
    assert.notStrictEqual(measured, why !== undefined, place);
    if (why !== undefined) assert.ok(stdout.includes(`not measured: ${why}`), why);
  }
});
