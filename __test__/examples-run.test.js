'use strict';
// The programs of examples/, one for each task that the README lists: each does what it says on a real tree, and in a
// hostile one; each is as short as promised; and each runs on every Node that the package is for.
// examples/race-demo is `npm run demo`; what it shows is tested in races-do-not-escape.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { spawnSync } = require('node:child_process');
const { onEachNode } = require('./other-nodes.js');
const { tempDir } = require('./support.js');

const EXAMPLES = path.join(__dirname, '../examples');
const README = fs.readFileSync(path.join(__dirname, '../README.md'), 'utf8');

/** How many lines of code each may have. */
const MOST_LINES = {
  'upload.js': 12,
  'ranges.js': 25,
  'copy-between-roots.js': 50,
  'extract-archive.js': 45,
  'extract-with-tar-fs.js': 35,
  'glob.js': 30,
  'watch.js': 24,
  'run-in-directory.js': 20,
  'agent-tool.js': 50,
  'root-per-user.js': 12,
  'mock-a-root.js': 60,
  'handle-errors.js': 81,
  'git-status.js': 45,
  'git-on-a-view.js': 25,
};

require('./examples/serving.js');
require('./examples/trees.js');
require('./examples/services.js');
require('./examples/clients.js');

/** The lines of code of a program: without comments, blank lines, 'use strict' and what it requires. */
function linesOfCode(text) {
  const withoutComments = text.replace(/^\s*\/\*\*?.*?\*\/$/gms, '').replace(/^\s*\/\/.*$/gm, '');
  const isRequired = /^const [^=]+ = require\('[^']+'\);$/;
  return withoutComments
    .split('\n')
    .filter((line) => line.trim() !== '' && line !== "'use strict';" && !isRequired.test(line));
}

/** Those that a reader looks for: not what others are made of. */
const programs = fs
  .readdirSync(EXAMPLES)
  .filter((name) => name.endsWith('.js') && name !== 'temporary-folder.js');
const textOf = (name) => fs.readFileSync(path.join(EXAMPLES, name), 'utf8');

test('lines of code are counted', () => {
  const text = `'use strict';
// A comment.

/** Another,
 *  of two lines. */
const fs = require('node:fs');
const { a, b } = require('..');
/** One line. */
const text = 'https://host'; // Behind code.
function f() {
  /* Within. */
  return fs;
}
if (require.main === module) f();
`;
  assert.deepStrictEqual(linesOfCode(text), [
    "const text = 'https://host'; // Behind code.",
    'function f() {',
    '  return fs;',
    '}',
    'if (require.main === module) f();',
  ]);
});

for (const [name, most] of Object.entries(MOST_LINES)) {
  test(`${name} has at most ${most} lines of code`, () => {
    const lines = linesOfCode(textOf(name));
    assert.ok(lines.length <= most, `${lines.length} lines`);
    // The formatter breaks what is longer, but for strings and comments: no line hides another.
    for (const line of lines)
      assert.ok(line.length <= 110 && !/;\s*\S/.test(line.replace(/'[^']*'|for \(.*\)/g, '')), line);
  });
}

test('every program says what it shows, is in the README and is counted', () => {
  assert.deepStrictEqual(programs.sort(), Object.keys(MOST_LINES).sort());
  const listed = Array.from(README.matchAll(/\]\(examples\/([\w-]+\.js)\)/g), ([, name]) => name);
  assert.deepStrictEqual(listed.sort(), programs.sort());
  for (const name of programs) {
    const [, comment] = /^(?:\/\/ @ts-check\n)?'use strict';\n((?:\/\/.*\n)+)/.exec(textOf(name)) ?? [];
    assert.ok(comment, `${name} says nothing`);
    assert.ok(comment.split('\n//\n', 1)[0].trim().split('\n').length <= 3, `${name} says too much`);
    // Nothing but Node and this package.
    for (const [, required] of textOf(name).matchAll(/require\('([^']+)'\)/g))
      assert.match(required, /^(node:[\w/]+|\.\.|\.\.\/fs)$/);
  }
});

test('every program can be required, and runs nothing then', (t) => {
  for (const name of programs) {
    const code = `console.log(typeof require(${JSON.stringify(path.join(EXAMPLES, name))}))`;
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', code], {
      cwd: tempDir(t),
      encoding: 'utf8',
    });
    assert.match(`${stdout}${stderr}`, /^(function|object)\n$/, name);
  }
});

test('the example of the README prints what it says', (t) => {
  const [, code, promised] = /^## Example\n\n```js\n(.*?)```\n\nIt prints (.*?)\n/ms.exec(README);
  const local = code.replace("'@cocalc/openat2'", JSON.stringify(path.join(__dirname, '..')));
  const { stdout } = spawnSync(process.execPath, ['-e', local], { cwd: tempDir(t), encoding: 'utf8' });
  const lines = stdout.trim().split('\n');
  assert.deepStrictEqual(
    lines,
    Array.from(promised.matchAll(/`([^`]+)`/g), ([, line]) => line),
  );
});

// The same tests again, with the other Nodes.
if (process.env.OPENAT2_EXAMPLES_ON === undefined) {
  onEachNode('the programs run', (_, execPath) => {
    if (execPath === process.execPath) return;
    const { NODE_TEST_CONTEXT, ...env } = process.env;
    const { status, stdout, stderr } = spawnSync(execPath, [__filename], {
      encoding: 'utf8',
      env: { ...env, OPENAT2_EXAMPLES_ON: execPath },
    });
    assert.strictEqual(status, 0, `${stdout.replace(/^ok .*\n/gm, '')}${stderr}`);
    assert.doesNotMatch(stderr, /Warning/);
  });
}
