'use strict';
// Where the kernel or a filter says no to openat2: nothing takes its place, and the error says why.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { SandboxRoot } = require('..');
const { inChild } = require('./child');
const { methods, plant, snapshot, tempDir, tool } = require('./support');
const { withoutStrace } = require('./syscalls/strace');

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
    assert.deepStrictEqual(await outcomes(code, '1+2'), [code, 'made', code, 'made']);
  }
});

/** Every call of every method on `at`, on a root that was made before openat2 came to be denied. */
function callAll(dir, support, paths) {
  const { everyCallWithPath, outcome, plant, snapshot } = require(support);
  const { isDeepStrictEqual } = require('node:util');
  const root = new SandboxRoot(dir);
  const tree = { file: 'content', dir: { file: 'content', empty: {} } };
  const open = fs.readdirSync('/proc/self/fd').length;
  const results = paths.flatMap((at) =>
    everyCallWithPath.map(([name, call, method]) => {
      plant(dir, tree);
      const before = snapshot(dir);
      const { error } = outcome(() => call(root, at));
      const same = isDeepStrictEqual(snapshot(dir), before);
      for (const left of fs.readdirSync(dir)) fs.rmSync(`${dir}/${left}`, { recursive: true });
      return { at, name, method, code: error?.code, message: error?.message, same };
    }),
  );
  return { results, left: fs.readdirSync('/proc/self/fd').length - open };
}

/** Methods that open the thing itself, and so need openat2 even for a name in the root. */
const OPEN = ['chmod', 'utimes', 'truncate', 'copyFile', 'openRead', 'openWrite'];
/** Those that open it for more than its place: of EPERM, the file may be the cause. */
const OPEN_CONTENT = ['truncate', 'copyFile', 'openRead', 'openWrite'];

for (const code of ['ENOSYS', 'EPERM']) {
  test(`a filter that comes later, with ${code}: every method fails, with nothing touched`, {
    skip: withoutStrace(),
  }, async (t) => {
    const dir = tempDir(t);
    const support = path.join(__dirname, 'support.js');
    const { results, left } = await inChild(
      t,
      callAll,
      [dir, support, ['dir/file', 'dir/empty', 'dir/new', 'file']],
      { wrap: lets(code, '2+') },
    );
    assert.strictEqual(left, 0);
    assert.deepStrictEqual([...new Set(results.map(({ method }) => method))].sort(), [...methods].sort());
    const below = results.filter(({ at }) => at !== 'file');
    for (const { at, name, method, message, same, ...result } of below) {
      const where = `${name} of ${at}: ${message}`;
      assert.deepStrictEqual({ ...result, same }, { code, same: true }, where);
      // What can be told of: also where a file could have been the cause, the code is right.
      if (code === 'ENOSYS' || !OPEN_CONTENT.includes(method))
        assert.ok(message.startsWith(REASONS[code]), where);
    }
    // A name in the root needs no lookup: there is nothing to fall back from.
    const names = results.filter(({ at }) => at === 'file');
    for (const { name, method, code: seen, message } of names) {
      if (OPEN.includes(method)) assert.strictEqual(seen, code, name);
      else assert.doesNotMatch(message ?? '', /openat2/, name);
    }
    const worked = names.filter((result) => result.code === undefined).map(({ method }) => method);
    for (const method of ['unlink', 'rename', 'renameNoReplace', 'link', 'rm', 'stat'])
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
