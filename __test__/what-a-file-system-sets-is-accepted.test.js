'use strict';
// File systems that say themselves which mode a file has, or whom it belongs to, whatever it was made with: what
// a call made there is recognised as its own, and gets what the file system lets it have.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('..');
const { WAYS, folder, privately, run } = require('./mounts');
const { attacked } = require('./races/slow');
const { codeOf, codeOfPromise, fifo, file, link, plant, snapshot, unprivileged } = require('./support');
const { withoutAttaching } = require('./syscalls/strace');

const test = privately(__filename);

/** What a copy is made with, and keeps where its mode cannot be changed. */
const closed = (mode) => mode & ~0o077;
/** Where the group cannot be kept, the group and all others get what both had. */
const both = (mode) => closed(mode) | (mode & (mode >> 3) & 7) | (mode & ((mode & 7) << 3) & 0o070);

/**
 * Options of bindfs; whether an ordinary user may do all this there; whether a file keeps the owner that it is
 * given; and what is left of the mode of an original.
 */
const KINDS = [
  ['every mode is 0755', ['-p', '0755'], { user: false }],
  ['every mode is 0777', ['-p', '0777'], { user: true }],
  ['every mode is 0500', ['-p', '0500'], { user: false }],
  ['all belongs to one user', ['--force-user=nobody'], { user: true }],
  [
    'all belongs to another user and group',
    ['--force-user=12', '--force-group=34'],
    { user: false, narrow: both },
  ],
  ['all belongs to another user, and is open to all', ['--force-user=12', '-p', '0777'], { user: false }],
  ['new files belong to another user', ['--create-for-user=12'], { user: false, keeps: true }],
  ['new files are open to all', ['--create-with-perms=0777'], { user: true }],
  [
    'modes and owners cannot be changed',
    ['--chmod-ignore', '--chown-ignore'],
    { user: true, narrow: closed },
  ],
  ['nobody may give a file away', ['--chown-deny'], { user: true }],
  ['everybody is the owner', ['--mirror=nobody'], { user: true }],
];

const TREE = {
  file: file('content', 0o640),
  open: file('open', 0o666),
  sub: { pipe: fifo(), soft: link('../file'), empty: {}, deep: { file: file('deep', 0o600) } },
};
const plantTree = (dir, name) => {
  plant(dir, { [name]: TREE });
  for (const at of ['.', 'sub', 'sub/empty', 'sub/deep']) fs.chmodSync(path.join(dir, name, at), 0o755);
  fs.chmodSync(path.join(dir, name, 'sub/pipe'), 0o644);
  fs.linkSync(path.join(dir, name, 'file'), path.join(dir, name, 'sub/hard'));
};

/** A snapshot with other modes; symlinks have none. */
function withModes(tree, narrow) {
  const entries = Object.entries(tree).map(([name, entry]) => {
    const mode = entry.target ? entry.mode : narrow(Number.parseInt(entry.mode, 8)).toString(8);
    return [name, { ...entry, mode }];
  });
  return Object.fromEntries(entries);
}

/** Does `action` as an ordinary user, or as root. */
const as = (user, action) => (user ? unprivileged(action) : action());

const cases = KINDS.flatMap(([title, options, { user, ...rest }]) =>
  [false, ...(user ? [true] : [])].map((user) => ({ title, options, user, ...rest })),
);
for (const { title, options, user, keeps, narrow = (mode) => mode } of cases) {
  const who = user ? 'an ordinary user' : 'root';
  for (const [face, call] of WAYS) {
    test(`where ${title}, ${who} can do what plain calls can do, ${face}`, async (t) => {
      const [behind, dir, elsewhere] = ['behind', 'bindfs', 'elsewhere'].map(folder);
      for (const at of [behind, elsewhere]) fs.chmodSync(at, 0o777);
      run('bindfs', '-o', 'attr_timeout=0', ...options, behind, dir);
      t.after(() => run('umount', '--lazy', dir));
      const [from, to] = [elsewhere, dir].map((at) => new SandboxRoot(at));
      t.after(() => [from, to].forEach((root) => root.close()));
      let made;
      await as(user, async () => {
        for (const name of ['tree', 'moving', 'again']) plantTree(elsewhere, name);
        plant(elsewhere, { pipe: fifo(), soft: link('nowhere') });
        // What plain calls make there.
        plantTree(dir, 'twin');
        plant(dir, { plain: 'new' });

        await call(from, 'cp', 'tree', 'copy', { recursive: true, to });
        await call(from, 'cp', 'tree', 'kept', { recursive: true, preserve: true, to });
        await call(to, 'cp', 'copy', 'inner', { recursive: true });
        // FUSE has no RENAME_NOREPLACE: this is said before anything is made that would stay.
        assert.strictEqual(await codeOfPromise(call(from, 'move', 'moving', 'moved', { to })), 'EINVAL');
        await call(from, 'move', 'moving', 'moved', { to, overwrite: true });
        for (const name of ['pipe', 'soft']) await call(from, 'move', name, name, { to, overwrite: true });
        for (let i = 0; i < 2; i++) {
          await call(to, 'writeFile', 'written', 'new', { atomic: true, mode: 0o644 });
          await call(from, 'copyFile', 'tree/file', 'file', null, { to });
        }
        made = await call(to, 'mkdtemp', 'temporary-');
        await call(to, 'cp', 'written', `${made}/inner`);
        await call(to, 'move', 'inner', 'back', { to: from });
      });
      const twin = snapshot(path.join(dir, 'twin'));
      const plain = narrow === both ? twin : withModes(twin, narrow);
      assert.deepStrictEqual(snapshot(path.join(dir, 'copy')), plain);
      const expected = keeps ? snapshot(path.join(elsewhere, 'again')) : withModes(twin, narrow);
      for (const name of ['kept', 'moved']) {
        assert.deepStrictEqual(snapshot(path.join(dir, name)), expected, name);
      }
      const told = (name) => fs.lstatSync(path.join(dir, name));
      const [written, by] = ['written', 'plain'].map(told);
      assert.deepStrictEqual([written.uid, written.gid, written.mode], [by.uid, by.gid, narrow(by.mode)]);
      assert.strictEqual(told('file').mode.toString(8), plain.file.mode);
      const names = ['copy', 'file', 'kept', 'moved', 'pipe', 'plain', 'soft', made, 'twin', 'written'];
      assert.deepStrictEqual(fs.readdirSync(behind).sort(), names.sort());
      assert.deepStrictEqual(fs.readdirSync(elsewhere).sort(), ['again', 'back', 'tree']);
      const contents = (at) => Object.entries(snapshot(at)).map(([name, { content }]) => [name, content]);
      assert.deepStrictEqual(contents(path.join(elsewhere, 'back')), contents(path.join(elsewhere, 'again')));
    });
  }
}

for (const [face, call] of WAYS) {
  // Whether others may use what is made there is asked of a new file. A directory could be exchanged meanwhile.
  test(`where directories alone are open to others, a directory is not copied to, and nothing hidden stays, ${face}`, async (t) => {
    const [behind, dir, elsewhere] = ['behind', 'bindfs', 'elsewhere'].map(folder);
    run('bindfs', '-o', 'attr_timeout=0', '-p', '0600:ugo+D', behind, dir);
    t.after(() => run('umount', '--lazy', dir));
    plantTree(elsewhere, 'tree');
    const [from, to] = [elsewhere, dir].map((at) => new SandboxRoot(at));
    t.after(() => [from, to].forEach((root) => root.close()));
    assert.strictEqual(
      await codeOfPromise(call(from, 'cp', 'tree', 'copy', { recursive: true, to })),
      'EBUSY',
    );
    await call(from, 'cp', 'tree/file', 'file', { to });
    assert.strictEqual(fs.readFileSync(path.join(dir, 'file'), 'utf8'), 'content');
    assert.deepStrictEqual(
      fs.readdirSync(behind).filter((name) => name !== 'copy'),
      ['file'],
    );
  });
}

test('where all belongs to another user, a directory that is open is not taken for a new one', async (t) => {
  if (withoutAttaching()) return t.skip(withoutAttaching());
  const [behind, dir] = ['behind', 'bindfs'].map(folder);
  run('bindfs', '-o', 'attr_timeout=0,entry_timeout=0', '--force-user=12', behind, dir);
  t.after(() => run('umount', '--lazy', dir));
  plant(behind, { source: {}, others: {} });
  fs.chmodSync(path.join(behind, 'source'), 0o700);
  const root = new SandboxRoot(dir);
  t.after(() => root.close());
  let code;
  await attacked(
    t,
    ['mkdirat:delay_exit=100000'],
    (behind) => {
      until(() => exists(path.join(behind, 'copy')));
      fs.renameSync(path.join(behind, 'copy'), path.join(behind, 'new'));
      fs.renameSync(path.join(behind, 'others'), path.join(behind, 'copy'));
    },
    [behind],
    () => (code = codeOf(() => root.cp('source', 'copy', { recursive: true }))),
  );
  assert.strictEqual(code, 'EBUSY');
  const modes = ['copy', 'new'].map((name) =>
    (fs.statSync(path.join(behind, name)).mode & 0o777).toString(8),
  );
  assert.deepStrictEqual(modes, ['755', '700']);
});

for (const [face, call] of WAYS) {
  test(`where what is made belongs to another user, a move that may not fill it says so and names it, ${face}`, async (t) => {
    const [behind, dir, elsewhere] = ['behind', 'bindfs', 'elsewhere'].map(folder);
    for (const at of [behind, elsewhere]) fs.chmodSync(at, 0o777);
    run('bindfs', '-o', 'attr_timeout=0', '--force-user=12', '--force-group=34', behind, dir);
    t.after(() => run('umount', '--lazy', dir));
    const [from, to] = [elsewhere, dir].map((at) => new SandboxRoot(at));
    t.after(() => [from, to].forEach((root) => root.close()));
    await unprivileged(async () => {
      plant(elsewhere, { tree: { file: 'content' }, pipe: fifo() });
      const before = snapshot(elsewhere);
      for (const name of ['tree', 'pipe']) {
        for (const overwrite of [false, true]) {
          const there = fs.readdirSync(behind);
          const moving = call(from, 'move', name, 'moved', { to, overwrite });
          const { code, entries } = await moving.catch((error) => error);
          const left = fs.readdirSync(behind).filter((name) => !there.includes(name));
          assert.deepStrictEqual([code, entries], ['EACCES', left], `${name}, ${overwrite}`);
          for (const name of left) assert.match(name, /^\.openat2-[\w-]{12}$/);
          assert.deepStrictEqual(snapshot(elsewhere), before);
        }
      }
    });
  });
}
