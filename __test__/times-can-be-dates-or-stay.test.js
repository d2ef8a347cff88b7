'use strict';
// utimes and lutimes: a Date, exact to its milliseconds, as with node:fs; and null, which leaves a time as it is.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const { runInNewContext } = require('node:vm');
const { SandboxRoot } = require('..');
const {
  POLICIES,
  bothWays,
  isRoot,
  link,
  outcome,
  plant,
  sandbox,
  settled,
  snapshot,
  unprivileged,
} = require('./support');

const TREE = { file: 'content', dir: { inner: '' }, tofile: link('file') };
const DATES = [0, 1, -1, 999, -1500, 1_700_000_000_123, -2_000_000_000_001, 4_102_444_800_001];

const timesOf = (at) => {
  const { atimeNs, mtimeNs } = fs.lstatSync(at, { bigint: true });
  return [atimeNs, mtimeNs];
};

for (const [method, node, name] of [
  ['utimes', fs.utimesSync, 'file'],
  ['utimes', fs.utimesSync, 'dir/inner'],
  ['lutimes', fs.lutimesSync, 'tofile'],
  ['lutimes', fs.lutimesSync, 'dir'],
]) {
  bothWays(`${method} of ${name}: a Date is the time that node:fs makes of it`, async (t, of) => {
    const [ours, theirs] = [sandbox(t, TREE), sandbox(t, TREE)];
    for (const ms of DATES) {
      const dates = [new Date(ms), new Date(ms + 5)];
      assert.strictEqual(await of(ours.root)[method](name, ...dates), undefined);
      const { atimeNs, mtimeNs } = ours.root.lstat(name, { bigint: true });
      // Exactly: node:fs goes by way of a double.
      assert.deepStrictEqual(
        [atimeNs, mtimeNs],
        dates.map((date) => BigInt(date.getTime()) * 1_000_000n),
      );
      node(theirs.at(name), ...dates);
      const told = (at) => [fs.lstatSync(at).atime.getTime(), fs.lstatSync(at).mtime.getTime()];
      if (ms >= 0 && ms < 1e12)
        assert.deepStrictEqual(told(ours.at(name))[0], told(theirs.at(name))[0], `${ms}`);
    }
  });

  bothWays(`${method} of ${name}: null leaves a time as it is`, async (t, of) => {
    const { root, at } = sandbox(t, TREE);
    const set = (...times) => of(root)[method](name, ...times);
    await set(1n, 2n);
    assert.strictEqual(await set(null, 12_345_678_901n), undefined);
    assert.deepStrictEqual(timesOf(at(name)), [1n, 12_345_678_901n]);
    await set(new Date(7), null);
    assert.deepStrictEqual(timesOf(at(name)), [7_000_000n, 12_345_678_901n]);
    await set(null, null);
    assert.deepStrictEqual(timesOf(at(name)), [7_000_000n, 12_345_678_901n]);
  });

  bothWays(`${method} of ${name}: undefined, and a Date that is none, are refused`, async (t, of) => {
    const { dir, root } = sandbox(t, TREE);
    const before = snapshot(dir);
    for (const [value, code] of [
      [undefined, 'ERR_INVALID_ARG_TYPE'],
      ['2000-01-01', 'ERR_INVALID_ARG_TYPE'],
      [{ getTime: () => 1 }, 'ERR_INVALID_ARG_TYPE'],
      [Object.create(Date.prototype), 'ERR_INVALID_ARG_TYPE'],
      [new Date(Number.NaN), 'ERR_INVALID_ARG_VALUE'],
    ]) {
      for (const times of [
        [value, 1],
        [1, value],
        [null, value],
      ]) {
        const { error } = await settled((async () => of(root)[method](name, ...times))());
        assert.deepStrictEqual([error?.name, error?.code], ['TypeError', code], typeof value);
      }
    }
    assert.deepStrictEqual(snapshot(dir), before);
  });
}

test('a Date is read where a program has changed its methods, or made it elsewhere', (t) => {
  const { root, at } = sandbox(t, TREE);
  class Late extends Date {
    getTime() {
      return 5000;
    }
    valueOf() {
      return 6000;
    }
  }
  root.utimes('file', new Late(1), runInNewContext('new Date(2)'));
  assert.deepStrictEqual(timesOf(at('file')), [1_000_000n, 2_000_000n]);
});

test('Date.now() is nanoseconds, as it was', (t) => {
  const { root } = sandbox(t, TREE);
  root.utimes('file', 1_700_000_000_000, 1_700_000_000_000);
  assert.strictEqual(root.stat('file').mtimeNs, 1_700_000_000_000);
});

for (const symlinks of POLICIES) {
  bothWays(
    `what is not there, or led to, is said with no time to set, symlinks: '${symlinks}'`,
    async (t, of) => {
      const { dir } = sandbox(t, { ...TREE, out: link('/etc/passwd'), loop: link('loop') });
      const root = of(new SandboxRoot(dir, { symlinks }));
      const code = async (method, at, ...times) =>
        (await settled((async () => root[method](at, ...times))())).error?.code;
      for (const times of [
        [null, null],
        [1, null],
        [null, 1],
      ]) {
        for (const method of ['utimes', 'lutimes']) {
          assert.strictEqual(await code(method, 'missing', ...times), 'ENOENT');
          assert.strictEqual(await code(method, 'dir/missing', ...times), 'ENOENT');
          assert.strictEqual(await code(method, 'file/', ...times), 'ENOTDIR');
          assert.strictEqual(
            await code(method, '../root/file', ...times),
            symlinks === 'in-root' ? 'ENOENT' : 'EACCES',
          );
        }
        assert.strictEqual(await code('utimes', 'loop', ...times), 'ELOOP');
        assert.strictEqual(await code('lutimes', 'loop', ...times), undefined);
        const out = { reject: 'ELOOP', beneath: 'EACCES', 'in-root': 'ENOENT' }[symlinks];
        assert.strictEqual(await code('utimes', 'out', ...times), out);
      }
    },
  );
}

test('one time of a file of somebody else is EPERM, and no time is nothing', {
  skip: !isRoot && 'needs root',
}, (t) => {
  const { dir, at } = sandbox(t, {});
  plant(dir, TREE);
  for (const above of [dir, `${dir}/..`]) fs.chmodSync(above, 0o755);
  const before = timesOf(at('file'));
  unprivileged(() => {
    const root = new SandboxRoot(dir);
    for (const method of ['utimes', 'lutimes']) {
      for (const times of [
        [1, null],
        [null, 1],
      ])
        assert.strictEqual(outcome(() => root[method]('file', ...times)).error?.code, 'EPERM');
      assert.strictEqual(root[method]('file', null, null), undefined);
    }
  });
  assert.deepStrictEqual(timesOf(at('file')), before);
});
