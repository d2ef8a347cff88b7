'use strict';
// What a file system adds to modes and names: directories that hand down their group, files that share
// no blocks, directories that only grow, and names that fill all the room there is.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { execFileSync, spawnSync } = require('node:child_process');
const { setTimeout: sleep } = require('node:timers/promises');
const { SandboxRoot } = require('..');
const { WAYS, came, folderOn, privately } = require('./mounts');
const { plant, snapshot, unprivileged } = require('./support');

const test = privately(__filename);

/** A directory of a test on a file system of this `kind`, with a root on it. */
function place(t, kind, tree = {}) {
  const dir = folderOn(t, kind);
  plant(dir, tree);
  return { dir, root: new SandboxRoot(dir), at: (...names) => path.join(dir, ...names) };
}

/** Gives a file or directory an attribute until the test is over; skips the test where that cannot be done. */
function chattr(t, attribute, at) {
  const { error, status } = spawnSync('chattr', [`+${attribute}`, at]);
  if (error === undefined && status === 0) {
    // Else it could not be removed; and before it is.
    if (attribute === 'a') t.undo = () => execFileSync('chattr', ['-a', at]);
    return true;
  }
  t.skip(`needs chattr +${attribute} here`);
  return false;
}

for (const [face, call] of WAYS) {
  for (const kind of ['tmpfs', 'ext4']) {
    test(`what cp makes in a directory that hands down its group belongs to that group: ${kind}, ${face}`, async (t) => {
      const tree = { source: { sub: { file: 'content', deep: {} } }, parent: {}, twin: {} };
      const { root, at } = place(t, kind, tree);
      for (const name of ['parent', 'twin']) {
        fs.chownSync(at(name), 0, 1234);
        fs.chmodSync(at(name), 0o2775);
      }
      for (const mode of [0o755, 0o700, 0o775, 0o500]) {
        for (const name of ['source', 'source/sub', 'source/sub/deep']) fs.chmodSync(at(name), mode);
        await call(root, 'cp', 'source', 'parent/copy', { recursive: true });
        fs.mkdirSync(at('twin/copy'), { mode });
        const { mode: made, gid } = fs.statSync(at('twin/copy'));
        assert.ok((made & 0o2000) !== 0 && gid === 1234, 'the kernel hands both down');
        for (const name of ['copy', 'copy/sub', 'copy/sub/deep']) {
          const is = fs.statSync(at('parent', name));
          assert.deepStrictEqual([is.mode.toString(8), is.gid], [(0o42000 | mode).toString(8), gid], name);
        }
        assert.strictEqual(fs.statSync(at('parent/copy/sub/file')).gid, 1234);
        for (const name of ['parent/copy', 'twin/copy']) fs.rmSync(at(name), { recursive: true });
      }
    });

    test(`a copy has setuid, setgid and sticky of nobody: ${kind}, ${face}`, async (t) => {
      const { root, at } = place(t, kind, { source: { sub: { file: 'content' } } });
      fs.chmodSync(at('source/sub'), 0o7775);
      fs.chmodSync(at('source/sub/file'), 0o6755);
      await call(root, 'cp', 'source', 'copy', { recursive: true });
      await call(root, 'copyFile', 'source/sub/file', 'file');
      assert.strictEqual(fs.statSync(at('copy/sub/file')).mode & 0o7777, 0o755);
      assert.strictEqual(fs.statSync(at('file')).mode & 0o7777, 0o755);
      assert.strictEqual(fs.statSync(at('copy/sub')).mode & 0o7777, 0o775);
    });
  }

  for (const which of ['source', 'dest']) {
    test(`copyFile that has to share blocks leaves a file alone that cannot: the ${which}, ${face}`, async (t) => {
      const { dir, root, at } = place(t, 'btrfs', { source: '', dest: '' });
      if (!chattr(t, 'C', at(which))) return;
      fs.writeFileSync(at('source'), 'source '.repeat(10_000));
      fs.writeFileSync(at('dest'), 'what was there '.repeat(10_000), { mode: 0o600 });
      fs.chmodSync(at('dest'), 0o640);
      const before = snapshot(dir);
      const { code } = await came(call(root, 'copyFile', 'source', 'dest', undefined, { reflink: 'always' }));
      assert.ok(code !== undefined, 'the file system cannot do it');
      assert.deepStrictEqual(snapshot(dir), before);
      // It is copied, where it need not be shared.
      await call(root, 'copyFile', 'source', 'dest', undefined, { reflink: 'auto' });
      assert.ok(fs.readFileSync(at('dest'), 'utf8') === 'source '.repeat(10_000));
    });
  }

  for (const [what, act] of Object.entries({
    'a write in one step': (root) => call(root, 'writeFile', 'grows/file', 'new', { atomic: true }),
    'cp over a file': (root) => call(root, 'cp', 'other', 'grows/file'),
    'a move that replaces': (root, elsewhere) =>
      call(elsewhere, 'move', 'moving', 'grows/file', { to: root, overwrite: true }),
  })) {
    test(`${what} in a directory that only grows is EPERM, and leaves nothing: ${face}`, async (t) => {
      const elsewhere = place(t, 'tmpfs', { moving: 'moving' });
      const { dir, root, at } = place(t, 'ext4', { grows: { file: 'old' }, other: 'other' });
      if (!chattr(t, 'a', at('grows'))) return;
      try {
        const before = [dir, elsewhere.dir].map((dir) => snapshot(dir));
        for (let i = 0; i < 3; i++) {
          const { code } = await came(act(root, elsewhere.root));
          assert.strictEqual(code, 'EPERM');
          assert.deepStrictEqual(
            [dir, elsewhere.dir].map((dir) => snapshot(dir)),
            before,
          );
        }
      } finally {
        t.undo();
      }
    });
  }

  test(`a new file can be made in a directory that only grows, in one step too: ${face}`, async (t) => {
    const { root, at } = place(t, 'ext4', { grows: {} });
    if (!chattr(t, 'a', at('grows'))) return;
    try {
      await call(root, 'writeFile', 'grows/file', 'new', { atomic: true });
      assert.deepStrictEqual(fs.readdirSync(at('grows')), ['file']);
      assert.strictEqual(fs.readFileSync(at('grows/file'), 'utf8'), 'new');
    } finally {
      t.undo();
    }
  });

  for (const kind of ['tmpfs', 'ext4', 'bindfs']) {
    test(`a name that is there for a moment is short, whatever the file is called: ${kind}, ${face}`, async (t) => {
      const { root, dir, at } = place(t, kind);
      const elsewhere = place(t, kind === 'tmpfs' ? 'ext4' : 'tmpfs', { tree: { file: 'moved' } });
      const seen = new Set();
      const watcher = fs.watch(dir, { encoding: 'buffer' }, (_, name) => seen.add(name.toString('latin1')));
      t.after(() => watcher.close());
      for (const name of ['f', 'ü'.repeat(127), 'x'.repeat(255), '.hidden', `\n${'"'.repeat(200)}`]) {
        fs.writeFileSync(elsewhere.at('tree/file'), 'moved');
        fs.writeFileSync(elsewhere.at('file'), 'copied');
        await call(root, 'writeFile', name, 'new', { atomic: true });
        await call(root, 'writeFile', name, 'newer', { atomic: true });
        await call(elsewhere.root, 'cp', 'file', name, { to: root });
        assert.strictEqual(fs.readFileSync(at(name), 'utf8'), 'copied');
        await call(elsewhere.root, 'move', 'file', name, { to: root, overwrite: true });
        fs.unlinkSync(at(name));
        fs.mkdirSync(elsewhere.at('moving'));
        await call(elsewhere.root, 'move', 'moving', name, { to: root, overwrite: true });
        // Set aside under a hidden name, before it is removed.
        await call(root, 'move', name, name, { to: elsewhere.root });
        assert.deepStrictEqual([fs.readdirSync(dir), elsewhere.root.exists(name)], [[], true]);
        elsewhere.root.rm(name, true);
        const own = Buffer.from(name).toString('latin1');
        for (let i = 0; i < 100 && !seen.has(own); i++) await sleep(10);
        await sleep(30);
        assert.ok(seen.delete(own), 'the watcher sees what is made');
        // A file without a name shows as a number.
        const hidden = [...seen].filter((name) => !/^#\d+$/.test(name));
        assert.ok(hidden.length > 0, 'names are there for a moment');
        for (const name of hidden) assert.match(name, /^\.openat2-[\w-]{12}$/);
        seen.clear();
      }
    });
  }

  test(`a file of somebody else is replaced in one step where its directory lets us: ${face}`, async (t) => {
    const { root, dir, at } = place(t, 'ext4', { file: 'old' });
    fs.chmodSync(dir, 0o777);
    await unprivileged(async () => call(root, 'writeFile', 'file', 'new', { atomic: true }));
    assert.deepStrictEqual([fs.readFileSync(at('file'), 'utf8'), fs.readdirSync(dir)], ['new', ['file']]);
  });
}
