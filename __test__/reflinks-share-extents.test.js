'use strict';
// { reflink }: where files can share their blocks, copies do or do not, as asked; elsewhere the kernel refuses.

const assert = require('node:assert');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { SandboxRoot } = require('..');
const { came, folderOn, mounted, overlay, privately, run, traits, volume, WAYS } = require('./mounts');
const { plant, snapshot } = require('./support');

const test = privately(__filename);

/** More than a file system keeps beside its inode. */
const CONTENT = crypto.randomBytes(1 << 20);

/** Which of the extents of a file it shares with another one, as FIEMAP tells: all, none or some. */
function shared(at) {
  run('filefrag', '-V');
  const { status, stdout, stderr } = spawnSync('filefrag', ['-v', '-s', at], { encoding: 'utf8' });
  assert.strictEqual(status, 0, stderr);
  const extents = stdout.split('\n').filter((line) => /^ *\d+: /.test(line));
  assert.notStrictEqual(extents.length, 0, stdout);
  const those = extents.filter((line) => /\bshared\b/.test(line)).length;
  return { 0: 'none', [extents.length]: 'all' }[those] ?? 'some';
}

/** A folder with a file that shares nothing yet, and a root there. */
function scene(t, kind) {
  const dir = folderOn(t, kind);
  const root = new SandboxRoot(dir);
  t.after(() => root.close());
  const at = (...names) => path.join(dir, ...names);
  const file = (name) => {
    const fd = fs.openSync(at(name), 'w');
    fs.writeSync(fd, CONTENT);
    fs.fsyncSync(fd);
    fs.closeSync(fd);
  };
  return { dir, root, at, file };
}

const able = Object.keys(traits).filter((kind) => traits[kind].reflink);
const unable = Object.keys(traits).filter((kind) => !traits[kind].reflink);

for (const [way, call] of WAYS) {
  for (const kind of able) {
    for (const [reflink, expected] of [
      [undefined, 'all'],
      ['auto', 'all'],
      ['always', 'all'],
      ['never', 'none'],
    ]) {
      test(`${kind}, ${way}: a copy with reflink: ${reflink} shares ${expected} of its extents`, async (t) => {
        const { root, at, file } = scene(t, kind);
        const same = (name) => {
          assert.ok(fs.readFileSync(at(name)).equals(CONTENT), name);
          assert.strictEqual(shared(at(name)), expected, name);
        };
        for (const name of ['one', 'two', 'three', 'four']) file(name);
        fs.writeFileSync(at('longer'), Buffer.alloc(3 << 20, 'longer'));
        assert.strictEqual(shared(at('one')), 'none');
        await call(root, 'copyFile', 'one', 'copy', null, { reflink });
        same('copy');
        await call(root, 'copyFile', 'two', 'longer', null, { reflink });
        same('longer');
        await call(root, 'cp', 'three', 'copy3', { reflink });
        same('copy3');
        fs.mkdirSync(at('tree/dir'), { recursive: true });
        fs.renameSync(at('four'), at('tree/dir/four'));
        await call(root, 'cp', 'tree', 'copies', { reflink, recursive: true });
        same('copies/dir/four');
        // What is written to a copy is not seen in the original.
        fs.writeFileSync(at('copy'), 'written');
        assert.ok(fs.readFileSync(at('one')).equals(CONTENT));
      });
    }

    test(`${kind}, ${way}: blocks are shared between two roots of one file system`, async (t) => {
      const [from, to] = [scene(t, kind), scene(t, kind)];
      from.file('one');
      from.file('two');
      await call(from.root, 'copyFile', 'one', 'copy', null, { reflink: 'always', to: to.root });
      await call(from.root, 'cp', 'two', 'copy2', { reflink: 'always', to: to.root });
      for (const name of ['copy', 'copy2']) {
        assert.ok(fs.readFileSync(to.at(name)).equals(CONTENT));
        assert.strictEqual(shared(to.at(name)), 'all');
      }
    });

    test(`${kind}, ${way}: a file of an odd size with holes is shared and cut where it ends`, async (t) => {
      const { root, at } = scene(t, kind);
      const fd = fs.openSync(at('file'), 'w');
      fs.writeSync(fd, CONTENT, 0, 300_001, 1 << 20);
      fs.ftruncateSync(fd, (4 << 20) + 17);
      fs.fsyncSync(fd);
      fs.closeSync(fd);
      for (const reflink of ['always', 'never']) {
        fs.writeFileSync(at(reflink), Buffer.alloc(5 << 20, 'longer'));
        await call(root, 'copyFile', 'file', reflink, null, { reflink });
        assert.ok(fs.readFileSync(at(reflink)).equals(fs.readFileSync(at('file'))));
        assert.strictEqual(shared(at(reflink)), reflink === 'always' ? 'all' : 'none');
        assert.ok(fs.statSync(at(reflink)).blocks * 512 < 1 << 20, 'holes are holes');
      }
    });
  }

  /** What makes a file that shares its blocks with none of the others. */
  const ALONE = {
    'without copy on write': [
      'btrfs',
      (at) => {
        fs.writeFileSync(at, '');
        run('chattr', '+C', at);
      },
    ],
    'on another mount': ['xfs', (at) => run('mount', '-t', 'tmpfs', 'tmpfs', path.dirname(at))],
  };
  for (const [where, [kind, make]] of Object.entries(ALONE)) {
    test(`${kind}, ${way}: a file ${where} keeps no other from sharing its blocks`, async (t) => {
      // It is left to the end of the namespace, with what is mounted in it.
      const dir = fs.mkdtempSync(path.join(volume(kind), 'alone-'));
      const root = new SandboxRoot(dir);
      t.after(() => root.close());
      const content = CONTENT.subarray(0, 100_000);
      plant(dir, { tree: { a: {}, b: {} } });
      // Whichever comes first.
      const [first, last] = root.readdir('tree');
      make(path.join(dir, 'tree', first, 'alone'));
      for (const at of [`${first}/alone`, `${last}/file`]) {
        const fd = fs.openSync(path.join(dir, 'tree', at), 'w');
        fs.writeSync(fd, content);
        fs.fsyncSync(fd);
        fs.closeSync(fd);
      }
      await call(root, 'cp', 'tree', 'copy', { recursive: true });
      assert.ok(fs.readFileSync(path.join(dir, 'copy', first, 'alone')).equals(content));
      assert.strictEqual(shared(path.join(dir, 'copy', last, 'file')), 'all');
    });
  }

  for (const kind of unable) {
    test(`${kind}, ${way}: reflink: 'always' is what the kernel says, and leaves nothing`, async (t) => {
      const { dir, root, at } = scene(t, kind);
      plant(dir, { file: 'content', old: 'old content', tree: { inner: 'inner' } });
      const before = snapshot(dir);
      const { COPYFILE_FICLONE_FORCE } = fs.constants;
      const { errno } = await came(fs.promises.copyFile(at('file'), at('node'), COPYFILE_FICLONE_FORCE));
      assert.ok(errno < 0);
      fs.rmSync(at('node'), { force: true });
      const calls = [
        ['copyFile', 'file', 'new', null, { reflink: 'always' }],
        ['copyFile', 'file', 'new', null, { reflink: 'always', exclusive: true }],
        ['copyFile', 'file', 'old', null, { reflink: 'always' }],
        ['cp', 'file', 'new', { reflink: 'always' }],
        ['cp', 'file', 'old', { reflink: 'always' }],
      ];
      for (const [method, ...args] of calls) {
        const result = await came(call(root, method, ...args));
        assert.strictEqual(result.errno, errno, `${method} ${JSON.stringify(args)}`);
        assert.deepStrictEqual(snapshot(dir), before, `${method} ${JSON.stringify(args)}`);
      }
      const failed = await came(call(root, 'cp', 'tree', 'new', { reflink: 'always', recursive: true }));
      assert.strictEqual(failed.errno, errno);
      const files = Object.entries(snapshot(dir)).filter(([, { content }]) => content !== undefined);
      assert.deepStrictEqual(
        files.map(([name]) => name),
        ['file', 'old', 'tree/inner'],
      );
    });
  }

  test(`${way}: reflink: 'always' to another file system is EXDEV, 'auto' copies`, async (t) => {
    const [from, to] = [scene(t, 'btrfs'), scene(t, 'xfs')];
    from.file('file');
    for (const [method, ...args] of [
      ['copyFile', 'file', 'copy', null],
      ['cp', 'file', 'copy'],
    ]) {
      const always = { reflink: 'always', to: to.root };
      assert.strictEqual((await came(call(from.root, method, ...args, always))).code, 'EXDEV');
      assert.deepStrictEqual(fs.readdirSync(to.dir), []);
      await call(from.root, method, ...args, { ...always, reflink: 'auto' });
      assert.ok(fs.readFileSync(to.at('copy')).equals(CONTENT));
      assert.strictEqual(shared(to.at('copy')), 'none');
      fs.unlinkSync(to.at('copy'));
    }
  });

  test(`${way}: an overlay shares blocks where its upper layer can`, async (t) => {
    const base = mounted('btrfs');
    const dir = `${base}/merged`;
    for (const name of ['merged', 'lower']) fs.mkdirSync(`${base}/${name}`);
    fs.writeFileSync(`${base}/lower/file`, CONTENT);
    overlay(dir, `${base}/lower`, `${base}/upper`, 'redirect_dir=off');
    const root = new SandboxRoot(dir);
    t.after(() => root.close());
    await call(root, 'copyFile', 'file', 'copy', null, { reflink: 'always' });
    assert.ok(fs.readFileSync(`${dir}/copy`).equals(CONTENT));
    assert.strictEqual(shared(`${base}/upper/up/copy`), 'all');
    assert.deepStrictEqual(fs.readdirSync(`${base}/upper/up`), ['copy']);
  });
}
