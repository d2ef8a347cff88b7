'use strict';
// A move to another file system needs there what the copy needs, and nothing beside it: no more room than that,
// and no permission to read the directory that it goes to.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('..');
const { WAYS, came, folder, folderOn, mounted, privately, run } = require('./mounts');
const { NOBODY, fifo, link, plant, snapshot, unprivileged } = require('./support');

const test = privately(__filename);

/** What is moved, how many inodes its copy takes, and whether it takes blocks of a disk. */
const SOURCES = {
  file: ['content', 1, true],
  'empty file': ['', 1, false],
  symlink: [link('nowhere'), 1, false],
  FIFO: [fifo(), 1, false],
  'empty directory': [{}, 1, true],
  tree: [{ dir: { file: '' } }, 3, true],
};

for (const [face, call] of WAYS) {
  /** Moves each source, with and without `overwrite`; `fits(inodes, blocks)`: whether it has to arrive. */
  const moveEach = async (t, dest, fits) => {
    const source = folderOn(t, 'tmpfs');
    const [from, to] = [source, dest].map((dir) => new SandboxRoot(dir));
    t.after(() => [from, to].forEach((root) => root.close()));
    const there = fs.readdirSync(dest).sort();
    for (const [title, [what, inodes, blocks]] of Object.entries(SOURCES)) {
      for (const overwrite of [false, true]) {
        plant(source, { source: what });
        const before = snapshot(source);
        const { code } = await came(call(from, 'move', 'source', 'dest', { to, overwrite }));
        const how = `${title}${overwrite ? ', overwrite' : ''}`;
        assert.strictEqual(code, fits(inodes, blocks) ? undefined : 'ENOSPC', how);
        if (code === undefined) {
          assert.deepStrictEqual(fs.readdirSync(source), [], how);
          to.move('dest', 'source', { to: from });
        }
        assert.deepStrictEqual(snapshot(source), before, how);
        fs.rmSync(path.join(source, 'source'), { recursive: true });
        assert.deepStrictEqual(fs.readdirSync(dest).sort(), there, how);
      }
    }
  };

  for (const free of [0, 1, 2, 3]) {
    test(`where ${free} inodes are free a move works or leaves nothing, ${face}`, async (t) => {
      const dest = folder('inodes');
      run('mount', '-t', 'tmpfs', '-o', `nr_inodes=${20 + free}`, 'tmpfs', dest);
      t.after(() => run('umount', '--lazy', dest));
      let made = 0;
      const fill = () => {
        for (; ; made += 1) fs.writeFileSync(path.join(dest, `${made}`), '');
      };
      assert.throws(fill, { code: 'ENOSPC' });
      for (let i = 0; i < free; i += 1) fs.unlinkSync(path.join(dest, `${i}`));
      await moveEach(t, dest, (inodes) => inodes <= free);
    });
  }

  test(`where no space is free a move works or leaves nothing, ${face}`, async (t) => {
    const dest = mounted('ext4');
    t.after(() => run('umount', '--lazy', dest));
    const fd = fs.openSync(path.join(dest, 'all'), 'w');
    for (const size of [1 << 20, 4096]) {
      const fill = () => {
        for (const content = Buffer.alloc(size, 'x'); ; ) fs.writeSync(fd, content);
      };
      assert.throws(fill, { code: 'ENOSPC' });
      fs.fsyncSync(fd);
    }
    fs.closeSync(fd);
    await moveEach(t, dest, (_, blocks) => !blocks);
  });

  test(`a move that waits for the disk needs no permission to read where it goes to, ${face}`, async (t) => {
    const [source, dest] = ['tmpfs', 'ext4'].map((kind) => folderOn(t, kind));
    plant(source, { tree: { dir: { file: 'content' } }, file: 'content', symlink: link('x'), pipe: fifo() });
    fs.mkdirSync(path.join(dest, 'dir'));
    for (const name of fs.readdirSync(source, { recursive: true })) {
      fs.lchownSync(path.join(source, name), NOBODY, NOBODY);
    }
    const before = snapshot(source);
    const closed = [dest, path.join(dest, 'dir')];
    for (const at of [source, ...closed]) fs.chownSync(at, NOBODY, NOBODY);
    for (const at of closed) fs.chmodSync(at, 0o300);
    const [from, to] = [source, dest].map((dir) => new SandboxRoot(dir));
    t.after(() => [from, to].forEach((root) => root.close()));
    await unprivileged(async () => {
      for (const at of ['', 'dir/']) {
        for (const name of ['tree', 'file', 'symlink', 'pipe']) {
          await call(from, 'move', name, at + name, { to, flush: true });
          if (at === '') await call(to, 'move', name, name, { to: from, flush: true });
        }
      }
    });
    for (const at of closed) fs.chmodSync(at, 0o700);
    assert.deepStrictEqual(snapshot(path.join(dest, 'dir')), before);
    assert.deepStrictEqual([fs.readdirSync(source), fs.readdirSync(dest)], [[], ['dir']]);
  });
}
