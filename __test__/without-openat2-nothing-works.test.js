'use strict';
// Where the kernel or a filter says no to openat2: nothing takes its place, and the error says why.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { spawn, spawnSync } = require('node:child_process');
const { SandboxRoot } = require('..');
const { inChild, start } = require('./child');
const { methodsInTable, plant, snapshot, tempDir, tool } = require('./support');
const { withoutAttaching, withoutStrace } = require('./syscalls/strace');

const REASONS = {
  ENOSYS:
    'ENOSYS: function not implemented (openat2 is blocked by a seccomp filter; the kernel itself is new enough), ',
  EPERM:
    'EPERM: operation not permitted (openat2 is blocked by a seccomp filter; the kernel itself is new enough), ',
};

/** What comes of making a root in `dir`, again and again, and of a call on those that are made. */
function makeRoots(dir, times) {
  const open = fs.readdirSync('/proc/self/fd').length;
  const results = Array.from({ length: times }, () => {
    try {
      new SandboxRoot(dir).close();
      return 'made';
    } catch ({ name, code, errno, syscall, path, message }) {
      return { name, code, errno, syscall, path, message };
    }
  });
  return { results, left: fs.readdirSync('/proc/self/fd').length - open };
}

/** A command that runs another on a kernel without openat2. */
const filter = (code) => [tool('seccomp'), '--deny', `openat2=${code}`, '--'];

const TREE = { file: 'content', dir: { file: 'content', empty: {} } };

for (const [code, errno] of [
  ['ENOSYS', -38],
  ['EPERM', -1],
]) {
  test(`the constructor throws where a filter answers ${code}, and says that it is a filter`, async (t) => {
    const dir = tempDir(t);
    plant(dir, TREE);
    const before = snapshot(dir);
    const { results, left } = await inChild(t, makeRoots, [dir, 3], { wrap: filter(code) });
    const message = `${REASONS[code]}open '${dir}'`;
    const error = { name: 'Error', code, errno, syscall: 'open', path: dir, message };
    assert.deepStrictEqual(results, [error, error, error]);
    assert.strictEqual(left, 0);
    assert.deepStrictEqual(snapshot(dir), before);
  });
}

test('the constructor says where the kernel is too old', async (t) => {
  // The kernel gives another version of itself, 2.6.
  const old = ['setarch', '--uname-2.6'];
  if (spawnSync(old[0], [...old.slice(1), process.execPath, '-e', '']).status !== 0) {
    return t.skip('needs a setarch that can, and a C library that runs then');
  }
  const dir = tempDir(t);
  const wrap = [...old, ...filter('ENOSYS')];
  const { results } = await inChild(t, makeRoots, [dir, 1], { wrap });
  const said = `ENOSYS: function not implemented (kernel too old: openat2 needs Linux 5.6), open '${dir}'`;
  assert.strictEqual(results[0].message, said);
});

/** strace, which lets calls of openat2 fail: `when` counts them from 1 on. */
const lets = (code, when) => [
  'strace',
  '-f',
  '-o',
  '/dev/null',
  '-e',
  `inject=openat2:error=${code}:when=${when}`,
];

test('each constructor asks anew: a yes is not remembered, and a no is not', {
  skip: withoutStrace(),
}, async (t) => {
  const dir = tempDir(t);
  const outcomes = async (code, when) => {
    const { results, left } = await inChild(t, makeRoots, [dir, 4], { wrap: lets(code, when) });
    assert.strictEqual(left, 0);
    return results.map((result) => result.code ?? result);
  };
  for (const code of ['ENOSYS', 'EPERM']) {
    assert.deepStrictEqual(await outcomes(code, '1'), [code, 'made', 'made', 'made']);
    assert.deepStrictEqual(await outcomes(code, '2+'), ['made', code, code, code]);
    assert.deepStrictEqual(await outcomes(code, '1+3'), [code, 'made', code, 'made']);
  }
});

/** Every call of every method on `at`, on a root that was made before openat2 came to be denied. */
async function callAll(dir, support, paths, later) {
  const { everyCallWithPath, everyPromiseWithPath, outcome, plant, settled, snapshot } = require(support);
  const { isDeepStrictEqual } = require('node:util');
  const root = new SandboxRoot(dir);
  const tree = { file: 'content', dir: { file: 'content', empty: {} } };
  const going = (call, at) => (later ? settled(call(root, at)) : outcome(() => call(root, at)));
  console.log('ready');
  // Until it is denied.
  for (let code = ''; !['ENOSYS', 'EPERM'].includes(code); ) {
    code = outcome(() => root.access('dir/missing')).error.code;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const open = fs.readdirSync('/proc/self/fd').length;
  const results = [];
  for (const at of paths) {
    for (const [name, call, method] of later ? everyPromiseWithPath : everyCallWithPath) {
      plant(dir, tree);
      const before = snapshot(dir);
      const { error } = await going(call, at);
      const same = isDeepStrictEqual(snapshot(dir), before);
      for (const left of fs.readdirSync(dir)) fs.rmSync(`${dir}/${left}`, { recursive: true });
      results.push({ at, name, method, code: error?.code, message: error?.message, same });
    }
  }
  const below = paths.filter((at) => at.includes('/'));
  const answers = below.map((at) => (later ? root.promises.exists(at) : root.exists(at)));
  const { error } = await settled((async () => (later ? root.promises : root).mkdtemp('dir/x'))());
  results.push({ at: 'dir/x', name: 'mkdtemp', code: error?.code, message: error?.message, same: true });
  return {
    results,
    exist: (await Promise.all(answers)).includes(true),
    left: fs.readdirSync('/proc/self/fd').length - open,
  };
}

/** Methods that open the thing itself, and so need openat2 even for a name in the root. */
const OPEN_PLACE = [
  'chmod',
  'statfs',
  'chown',
  'utimes',
  'access',
  'realpath',
  'statfs',
  'openRoot',
  'hostPath',
  'open (4)',
  'writeFile (2)',
];
/** Those that open it for more than its place: of EPERM, the file may be the cause. */
const OPEN_CONTENT = [
  'truncate', 'copyFile (1)', 'copyFile (2)', 'openRead', 'openWrite (1)', 'openWrite (2)', 'openWrite (3)', 'readdir (1)',
  'readdir (2)', 'opendir (1)', 'opendir (2)', 'open (1)', 'open (2)', 'open (3)', 'readFile', 'writeFile (1)', 'appendFile', 'fsync',
  'cp (1)', 'cp (2)', 'cp (3)', 'cp (4)', 'symlink (2)',
]; // biome-ignore format: a list

for (const [code, later] of ['ENOSYS', 'EPERM'].flatMap((code) =>
  [false, true].map((later) => [code, later]),
)) {
  test(`a filter that comes later, with ${code}: every method${later ? ' of promises' : ''} fails, with nothing touched`, {
    skip: withoutAttaching(),
  }, async (t) => {
    const dir = tempDir(t);
    const support = path.join(__dirname, 'support.js');
    const paths = ['dir/file', 'dir/empty', 'dir/new', 'file'];
    const child = start(t, callAll, [dir, support, paths, later]);
    await child.ready;
    // On every thread that there is, and every one that comes.
    const denied = ['-f', '-o', '/dev/null', '-e', `inject=openat2:error=${code}:when=1+`];
    const strace = spawn('strace', [...denied, '-p', child.pid], { stdio: 'ignore' });
    t.after(() => strace.kill());
    const { results, exist, left } = (await child.result).value;
    assert.deepStrictEqual([left, exist], [0, false]);
    const called = [...new Set(results.flatMap(({ method }) => method ?? []))];
    assert.deepStrictEqual(called.sort(), [...methodsInTable].sort());
    const below = results.filter(({ at }) => at !== 'file');
    for (const { at, name, method: _, message, same, ...result } of below) {
      const where = `${name} of ${at}: ${message}`;
      assert.deepStrictEqual({ ...result, same }, { code, same: true }, where);
      // What can be told of: also where a file could have been the cause, the code is right.
      if (code === 'ENOSYS' || !OPEN_CONTENT.includes(name))
        assert.ok(message.startsWith(REASONS[code]), where);
    }
    // A name in the root needs no lookup: there is nothing to fall back from.
    const names = results.filter(({ at }) => at === 'file');
    for (const { name, code: seen, message } of names) {
      if ([...OPEN_PLACE, ...OPEN_CONTENT].includes(name)) assert.strictEqual(seen, code, name);
      else assert.doesNotMatch(message ?? '', /openat2/, name);
    }
    const worked = names.filter((result) => result.code === undefined).map(({ method }) => method);
    for (const method of [
      'unlink',
      'remove',
      'rename',
      'renameNoReplace',
      'exchange',
      'link',
      'rm',
      'stat',
      'lstat',
      'lchown',
      'lutimes',
    ])
      assert.ok(worked.includes(method), method);
  });
}

test('a call on a path below works again once openat2 does', { skip: withoutStrace() }, async (t) => {
  const dir = tempDir(t);
  plant(dir, TREE);
  const program = (dir) => {
    const root = new SandboxRoot(dir);
    const stat = () => {
      try {
        return root.stat('dir/file').size;
      } catch ({ code }) {
        return code;
      }
    };
    return [stat(), stat(), stat()];
  };
  assert.deepStrictEqual(await inChild(t, program, [dir], { wrap: lets('ENOSYS', '3..3') }), [
    7,
    'ENOSYS',
    7,
  ]);
});
