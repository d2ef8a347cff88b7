'use strict';
// The examples that one file holds: each ends by itself, prints what it promises, and leaves nothing.
// examples/race-demo is `npm run demo`; what it shows is tested in races-do-not-escape.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { spawnSync } = require('node:child_process');
const { memory, snapshot, tempDir } = require('./support.js');

const EXAMPLES = path.join(__dirname, '../examples');

// Runs one in a temporary folder of its own, where nothing may be left, and gives what it printed.
function printedBy(t, name, args = []) {
  const TMPDIR = tempDir(t);
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    [path.join(EXAMPLES, name), ...args],
    { env: { ...process.env, TMPDIR }, encoding: 'utf8', timeout: 120_000 },
  );
  assert.deepStrictEqual({ status, signal, stderr }, { status: 0, signal: null, stderr: '' }, stdout);
  assert.deepStrictEqual(fs.readdirSync(TMPDIR), []);
  return stdout;
}

const tests = {
  'upload-handler.js': (t) => {
    assert.strictEqual(
      printedBy(t, 'upload-handler.js'),
      `PUT /reports/july.csv         201
PUT /reports/july.csv/part    409
PUT /reports/august.csv       the client went away
PUT /reports/all-years.csv    413
PUT /../../outside/escaped    403
PUT /elsewhere/escaped        403

What is there now:
  outside
  store
  store/files
  store/files/elsewhere
  store/files/reports
  store/files/reports/july.csv  550000 bytes
  store/incoming
`,
    );
  },

  'project-copy.js': (t) => {
    const printed = printedBy(t, 'project-copy.js');
    // 3,000 files and the file with the hole, the link, and 62 directories.
    assert.match(printed, /^\[#{30}\] 3064 of 3064 entries, [\d.]+ MB$/m);
    assert.match(printed, /^Bob has 3064 entries\.$/m);
    assert.match(printed, /^His link still says src\/part-59\.$/m);
    assert.match(printed, /^His file with a hole takes 0 bytes\.$/m);
    assert.match(printed, /^(The operation was aborted\. Carol has 0 entries|It was done before .*)\.$/m);

    const dir = tempDir(t);
    fs.mkdirSync(path.join(dir, 'to'));
    printedBy(t, 'project-copy.js', [path.join(EXAMPLES, 'race-demo'), path.join(dir, 'to')]);
    assert.deepStrictEqual(fs.readdirSync(path.join(dir, 'to')), ['race-demo']);
    assert.deepStrictEqual(
      snapshot(path.join(dir, 'to/race-demo')),
      snapshot(path.join(EXAMPLES, 'race-demo')),
    );
  },

  'watcher-safe-move.js': (t) => {
    const left = () => fs.readdirSync(memory).filter((name) => name.startsWith('openat2-demo-'));
    const before = left();
    const printed = printedBy(t, 'watcher-safe-move.js');
    const [, seen] = /^root\.promises\.move: .* saw (.*) of 500 files$/m.exec(printed) ?? [];
    assert.deepStrictEqual(new Set(seen.split(', ')), new Set(['500']));
    assert.match(printed, /^Left behind: copied$/m);
    assert.match(printed, /^There now: {3}copied, moved$/m);
    assert.deepStrictEqual(left(), before);
  },
};

for (const [name, check] of Object.entries(tests)) test(`${name} does what it says`, check);

test('the example of the README prints what it says', (t) => {
  const readme = fs.readFileSync(path.join(__dirname, '../README.md'), 'utf8');
  const [, code, promised] = /^## Example\n\n```js\n(.*?)```\n\nIt prints (.*?)\n/ms.exec(readme);
  const local = code.replace("'@cocalc/openat2'", JSON.stringify(path.join(__dirname, '..')));
  const { stdout } = spawnSync(process.execPath, ['-e', local], { cwd: tempDir(t), encoding: 'utf8' });
  const lines = stdout.trim().split('\n');
  assert.deepStrictEqual(
    lines,
    Array.from(promised.matchAll(/`([^`]+)`/g), ([, line]) => line),
  );
});

test('every example is run', () => {
  const shared = 'temporary-folder.js';
  const files = fs.readdirSync(EXAMPLES).filter((name) => name.endsWith('.js') && name !== shared);
  assert.deepStrictEqual(files.sort(), Object.keys(tests).sort());
});
