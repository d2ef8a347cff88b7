'use strict';
// rm enters nothing that is mounted, whoever sees it there; cp ends, and never copies from its own copy.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { SandboxRoot } = require('..');
const { folder, folderOn, privately, run, WAYS } = require('./mounts');
const { inChild } = require('./child');
const { attacked } = require('./races/slow');
const { NOBODY, POLICIES, outcome, plant, snapshot } = require('./support');
const { withoutAttaching } = require('./syscalls/strace');

const test = privately(__filename);

const VOLUME = { file: 'content', dir: { inner: 'inner', deeper: { deep: 'deep' } } };

/** A process in a mount namespace of its own, in which a volume is mounted in several places. */
async function elsewhere(t, volume, ...points) {
  const script = [
    ...points.map((point) => `mount --bind '${volume}' '${point}'`),
    'echo ready',
    'exec sleep 600',
  ];
  const args = ['--mount', '--propagation', 'private', 'sh', '-c', script.join(' && ')];
  const child = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  await once(child.stdout, 'data');
  return `/proc/${child.pid}/root`;
}

const ROOTS = [{}, { mounts: 'reject' }, ...POLICIES.map((symlinks) => ({ symlinks, mounts: 'allow' }))];

for (const kind of ['tmpfs', 'ext4', 'xfs', 'btrfs', 'overlayfs', 'bindfs']) {
  for (const [way, call] of WAYS) {
    if (way === 'promises' && kind !== 'tmpfs') continue;
    test(`${kind}, ${way}: rm enters no volume that is mounted in another namespace alone`, async (t) => {
      const base = folderOn(t, kind);
      plant(base, { volume: VOLUME, root: {} });
      const at = (...names) => path.join(base, 'root', ...names);
      // A mount point that is not empty is not asked for as one.
      plant(at(), { vol: { stub: 'stub' }, tree: { dir: { vol: { stub: 'stub' } }, file: 'file' } });
      const host = await elsewhere(t, path.join(base, 'volume'), at('vol'), at('tree/dir/vol'));
      const before = snapshot(path.join(base, 'volume'));
      for (const policy of ROOTS) {
        const root = new SandboxRoot(`${host}${at()}`, policy);
        for (const name of ['vol', 'tree', 'tree/dir', 'tree/dir/vol']) {
          for (const force of [false, true]) {
            const code = await call(root, 'rm', name, true, force).then(
              () => 'done',
              (error) => error.code,
            );
            assert.deepStrictEqual(
              snapshot(path.join(base, 'volume')),
              before,
              JSON.stringify([policy, name]),
            );
            assert.strictEqual(code, 'EBUSY', JSON.stringify([policy, name]));
          }
        }
        root.close();
      }
    });
  }
}

for (const kind of ['tmpfs', 'ext4', 'btrfs']) {
  for (const name of ['vol', 'tree']) {
    test(`${kind}: rm of ${name} enters no volume that is mounted the moment before it would`, async (t) => {
      if (withoutAttaching()) return t.skip(withoutAttaching());
      const base = folderOn(t, kind);
      const at = (...names) => path.join(base, 'root', ...names);
      plant(base, { volume: VOLUME, root: { vol: { stub: 'stub' }, tree: { vol: { stub: 'stub' } } } });
      const point = name === 'vol' ? at('vol') : at('tree/vol');
      const before = snapshot(path.join(base, 'volume'));
      const root = new SandboxRoot(at());
      t.after(() => root.close());
      let removed;
      // Each try to remove a directory is followed by a rest, and the one before it would be entered by a mount.
      await attacked(
        t,
        ['unlinkat,rmdir:delay_exit=100000'],
        (volume, point, gate, ms) => {
          until(() => exists(gate));
          rest(ms);
          require('node:child_process').execFileSync('mount', ['--bind', volume, point]);
        },
        [path.join(base, 'volume'), point, path.join(base, 'gate'), name === 'vol' ? 140 : 240],
        () => {
          fs.writeFileSync(path.join(base, 'gate'), '');
          removed = outcome(() => root.rm(name, true, true));
        },
      );
      assert.deepStrictEqual(snapshot(path.join(base, 'volume')), before);
      assert.strictEqual(removed.error?.code, 'EBUSY');
      run('umount', '--lazy', point);
    });
  }
}

for (const kind of ['tmpfs', 'ext4', 'btrfs']) {
  test(`${kind}: a move removes nothing of a volume that is mounted in its source meanwhile`, async (t) => {
    if (withoutAttaching()) return t.skip(withoutAttaching());
    const [base, dest] = [folderOn(t, kind), folderOn(t, 'xfs')];
    const at = (...names) => path.join(base, 'root', ...names);
    plant(base, { volume: VOLUME, root: { tree: { vol: VOLUME } } });
    const before = snapshot(path.join(base, 'volume'));
    const [root, to] = [new SandboxRoot(at()), new SandboxRoot(dest)];
    t.after(() => [root, to].forEach((one) => one.close()));
    let moved;
    await attacked(
      t,
      ['renameat2:delay_exit=100000'],
      (volume, point, dest) => {
        const { spawnSync } = require('node:child_process');
        until(() => exists(path.join(dest, 'dest')));
        spawnSync('mount', ['--bind', volume, point]);
      },
      [path.join(base, 'volume'), at('tree/vol'), dest],
      () => (moved = outcome(() => root.move('tree', 'dest', { to }))),
    );
    run('umount', '--lazy', at('tree/vol'));
    assert.deepStrictEqual(snapshot(path.join(base, 'volume')), before);
    assert.strictEqual(moved.error?.code, 'EBUSY');
    assert.deepStrictEqual(Object.keys(snapshot(dest)).length, 7);
  });
}

for (const kind of ['tmpfs', 'ext4', 'xfs', 'btrfs', 'overlayfs']) {
  test(`${kind}: a copy that another user moves into its own source ends with EINVAL`, async (t) => {
    if (withoutAttaching()) return t.skip(withoutAttaching());
    const dir = folderOn(t, kind);
    const root = new SandboxRoot(dir);
    t.after(() => root.close());
    plant(dir, { src: { part: { a: { x: 'x' }, b: { y: 'y' }, c: { z: 'z' } } } });
    const order = root.readdir('src/part');
    run('chown', '-R', `${NOBODY}:${NOBODY}`, dir);
    let copied;
    const fed = await attacked(
      t,
      ['mkdirat:delay_exit=20000'],
      (dir, [, second, last]) => {
        // The part that is filled at the moment is moved into what it is a copy of.
        until(() => exists(path.join(dir, 'copy/part', second)));
        const at = path.join(dir, 'src/part', last, 'fed');
        fs.renameSync(path.join(dir, 'copy/part'), at);
        rest(500);
        const entries = fs.readdirSync(at, { recursive: true }).length;
        // What feeds itself goes on until somebody takes the food away.
        while (exists(at)) outcomeOf(() => fs.rmSync(at, { recursive: true, force: true }));
        return entries;

        function outcomeOf(action) {
          try {
            return action();
          } catch {}
        }
      },
      [dir, order],
      () => (copied = outcome(() => root.cp('src', 'copy', { recursive: true }))),
    );
    assert.ok(fed < 10, `${fed} entries were made where six were to be copied`);
    assert.strictEqual(copied.error?.code, 'EINVAL');
  });
}

for (const kind of ['tmpfs', 'ext4', 'btrfs', 'overlayfs', 'bindfs']) {
  for (const where of ['src', 'src/sub', 'src/sub/deep']) {
    test(`${kind}: cp into a root at ${where}, which is in its source, is EINVAL and leaves nothing`, (t) => {
      const dir = folderOn(t, kind);
      plant(dir, { src: { a: { file: 'a' }, sub: { deep: { file: 'b' } }, z: { file: 'z' } } });
      const from = new SandboxRoot(dir);
      const to = new SandboxRoot(path.join(dir, where));
      t.after(() => [from, to].forEach((root) => root.close()));
      const before = snapshot(dir);
      for (const dest of ['.', 'copy']) {
        const { error } = outcome(() => from.cp('src', dest, { to, recursive: true }));
        assert.deepStrictEqual(snapshot(dir), before, dest);
        assert.strictEqual(error?.code, 'EINVAL', dest);
      }
    });
  }
}

// What shows a directory under another device and other inode numbers.
const VIEWS = {
  bindfs: (real, view) => run('bindfs', real, view),
  overlayfs(real, view) {
    for (const layer of ['low', 'work']) fs.mkdirSync(`${real}.${layer}`);
    const layers = `lowerdir=${real}.low,upperdir=${real},workdir=${real}.work`;
    run('mount', '-t', 'overlay', '-o', layers, 'overlay', view);
  },
};
const INTO_ITSELF = [
  ['cp', (root, from, to) => root.cp(from, to, { recursive: true })],
  ['cp with atomic', (root, from, to) => root.cp(from, to, { recursive: true, atomic: true })],
  ['move', (root, from, to) => root.move(from, to, { overwrite: true })],
];
for (const [kind, show] of Object.entries(VIEWS)) {
  for (const [call, make] of INTO_ITSELF) {
    // `shown`: what the view shows, beneath `real`; the source is `real/src`.
    for (const [where, shown, dest] of [
      ['a new directory in it', '.', 'view/src/new'],
      ['a new directory far below it', '.', 'view/src/sub/deep/deeper/new'],
      ['a directory that is in it', '.', 'view/src/sub'],
      ['a view of what is in it', 'src/sub', 'view'],
    ]) {
      const isThere = !where.includes('new');
      if (call !== 'cp' && isThere) continue;
      test(`${call} to ${where} by ${kind} is EINVAL, and does not copy its own copy`, (t) => {
        const base = folder('small');
        run('mount', '-t', 'tmpfs', '-o', 'size=16m,nr_inodes=3000', 'tmpfs', base);
        const tree = { a: { file: 'a' }, sub: { deep: { deeper: { file: 'b' } } }, z: { file: 'z' } };
        plant(base, { real: { src: tree }, view: {} });
        show(path.join(base, 'real', shown), path.join(base, 'view'));
        const root = new SandboxRoot(base);
        t.after(() => {
          root.close();
          for (const at of ['view', '.']) run('umount', '--lazy', path.join(base, at));
        });
        const before = Object.keys(snapshot(path.join(base, 'real'))).length;
        const { error } = outcome(() => make(root, 'real/src', dest));
        const after = Object.keys(snapshot(path.join(base, 'real'))).length;
        assert.ok(after <= 3 * before, `${after} entries where there were ${before}`);
        assert.strictEqual(error?.code, 'EINVAL');
        assert.strictEqual(error.reason, 'into-itself');
        if (call !== 'cp') assert.strictEqual(after, before);
      });
    }
  }
}

for (const depth of [4, 40]) {
  test(`a move ends, and names what it cannot remove ${depth} levels down`, async (t) => {
    const [source, dest] = [folderOn(t, 'ext4'), folderOn(t, 'tmpfs')];
    const way = Array.from({ length: depth }, (_, i) => `d${i % 10}`).join('/');
    const [below, beside] = [path.join(source, 'tree', way), path.join(source, 'tree/d0/e0')];
    for (const dir of [below, beside]) fs.mkdirSync(dir, { recursive: true });
    for (const dir of [below, beside, path.dirname(below)])
      fs.writeFileSync(path.join(dir, 'file'), 'content');
    run('chattr', '+i', path.join(below, 'file'));
    try {
      const body = (source, dest) => {
        try {
          new SandboxRoot(source).move('tree', 'tree', { to: new SandboxRoot(dest) });
        } catch ({ code, entries }) {
          return { code, entries };
        }
      };
      const error = await inChild(t, body, [source, dest], { timeout: 20_000 });
      assert.deepStrictEqual(error, { code: 'EPERM', entries: [`tree/${way}/file`] });
    } finally {
      run('chattr', '-R', '-i', source);
    }
    assert.deepStrictEqual(fs.readdirSync(source), ['tree']);
    const files = (dir) => Object.keys(snapshot(dir)).filter((at) => at.endsWith('file'));
    assert.deepStrictEqual(files(source), [`tree/${way}/file`]);
    assert.strictEqual(files(dest).length, 3);
  });
}
