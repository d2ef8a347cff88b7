'use strict';
// cp beside cp(1): what vanishes while a tree is copied is named, links stay links wherever they can, depth is of
// no matter, and `preserve` keeps what `cp -a` keeps.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { SandboxRoot } = require('..');
const { WAYS, folder, folderOn, overlay, privately, run } = require('./mounts');
const { attacked } = require('./races/slow');
const { NOBODY, fifo, file, link, outcome, plant, snapshot, unprivileged } = require('./support');
const { withoutAttaching } = require('./syscalls/strace');

const test = privately(__filename);

const KINDS = ['tmpfs', 'ext4', 'xfs', 'btrfs', 'overlayfs', 'bindfs'];
const RECURSIVE = { recursive: true };

/** Each open is followed by a rest, in microseconds. */
const SLOWED = ['openat2:delay_exit=2500'];

function scene(t, kind, tree = {}) {
  const dir = folderOn(t, kind);
  plant(dir, tree);
  const root = new SandboxRoot(dir);
  t.after(() => root.close());
  return { dir, root, at: (...names) => path.join(dir, ...names) };
}

/** The error that `action` throws, or nothing. */
function thrownBy(action) {
  try {
    action();
  } catch (error) {
    return error;
  }
}

// ---- What vanishes ----

for (const kind of KINDS) {
  for (const ignoreVanished of [false, true]) {
    const end = ignoreVanished ? 'left out where that is asked for' : 'named by ENOENT';
    test(`${kind}: what is renamed within the source while it is copied is ${end}, all else is copied`, async (t) => {
      if (withoutAttaching()) return t.skip(withoutAttaching());
      const { dir, root, at } = scene(t, kind, { src: {} });
      for (let i = 0; i < 8; i++) {
        const names = Array.from({ length: 6 }, (_, j) => [`file ${j}`, `content ${i} ${j}`]);
        plant(at('src'), { [`dir ${i}`]: Object.fromEntries(names) });
      }
      const order = root.readdir('src');
      const files = root.readdir(`src/${order[3]}`);
      const gone = [`${order[3]}/${files.at(-1)}`, order.at(-1)];
      const before = snapshot(at('src'));
      let error;
      await attacked(
        t,
        SLOWED,
        (dir, order, first, gone) => {
          until(() => exists(path.join(dir, 'dest', order[3], first)));
          for (const [i, name] of gone.entries()) {
            fs.renameSync(path.join(dir, 'src', name), path.join(dir, 'src', order[0], `stray ${i}`));
          }
        },
        [dir, order, files[0], gone],
        () => (error = thrownBy(() => root.cp('src', 'dest', { ...RECURSIVE, ignoreVanished }))),
      );
      const expected = Object.entries(before).filter(([at]) => !gone.some((name) => at.startsWith(name)));
      const copied = snapshot(at('dest'));
      assert.deepStrictEqual(
        Object.keys(copied),
        expected.map(([at]) => at),
      );
      for (const [at, { content }] of expected) assert.strictEqual(copied[at].content, content);
      if (ignoreVanished) return assert.strictEqual(error, undefined);
      assert.strictEqual(error?.code, 'ENOENT');
      assert.deepStrictEqual(
        error.entries,
        gone.map((name) => `src/${name}`),
      );
      assert.match(error.message, /^ENOENT: .*2 vanished .*'src\/.*' -> 'dest/);
    });
  }
}

for (const kind of ['tmpfs', 'ext4', 'overlayfs', 'bindfs']) {
  test(`${kind}: a file that is removed and made anew all the time stops no copy of the others`, async (t) => {
    if (withoutAttaching()) return t.skip(withoutAttaching());
    const names = Array.from({ length: 8 }, (_, i) => `file ${i}`);
    const tree = Object.fromEntries(names.map((name) => [name, 'content']));
    const { dir, root, at } = scene(t, kind, { src: { ...tree, dir: { inner: 'inner' } } });
    const errors = [];
    await attacked(
      t,
      SLOWED,
      (dir, names) => {
        while (!exists(path.join(dir, 'done'))) {
          for (const pause of [0, 1]) {
            for (const name of names) {
              const at = path.join(dir, 'src', name);
              if (pause === 0) fs.unlinkSync(at);
              else fs.writeFileSync(at, 'content');
            }
            rest(1 + Math.random());
          }
        }
      },
      [dir, names],
      () => {
        for (let i = 0; i < 4; i++) {
          errors.push(thrownBy(() => root.cp('src', `dest ${i}`, { ...RECURSIVE, ignoreVanished: true })));
        }
        fs.writeFileSync(at('done'), '');
      },
    );
    assert.deepStrictEqual(errors, [undefined, undefined, undefined, undefined]);
    for (let i = 0; i < 4; i++)
      assert.strictEqual(fs.readFileSync(at(`dest ${i}`, 'dir/inner'), 'utf8'), 'inner');
  });
}

for (const ignoreVanished of [false, true]) {
  const end = ignoreVanished ? 'without an error' : 'and what is not found again is named';
  test(`a directory that is moved while the work is far below it: all else is copied, ${end}`, async (t) => {
    if (withoutAttaching()) return t.skip(withoutAttaching());
    const { dir, root, at } = scene(t, 'tmpfs', { src: {} });
    for (let i = 0; i < 4; i++) plant(at('src'), { [`dir ${i}`]: { file: 'content' } });
    const order = root.readdir('src');
    // What is not read yet when the work goes down; more than one read gives.
    const upper = path.join('src', order[1], 'upper');
    fs.mkdirSync(at(upper, 'lower', ...Array.from({ length: 20 }, () => 'down')), { recursive: true });
    const bottom = path.join('lower', ...Array.from({ length: 20 }, () => 'down'));
    plant(at(upper, bottom), { file: 'content' });
    let error;
    await attacked(
      t,
      SLOWED,
      (dir, below, upper) => {
        until(() => exists(path.join(dir, 'dest', below)));
        // The way down from the top ends at the first, and the way up from below at the second.
        fs.renameSync(path.join(dir, upper), path.join(dir, 'moved'));
        fs.renameSync(path.join(dir, 'moved/lower'), path.join(dir, 'moved too'));
      },
      [dir, path.join(order[1], 'upper', bottom), upper],
      () => (error = thrownBy(() => root.cp('src', 'dest', { ...RECURSIVE, ignoreVanished }))),
    );
    for (const name of order)
      assert.strictEqual(fs.readFileSync(at('dest', name, 'file'), 'utf8'), 'content');
    const { mode } = fs.statSync(at('dest', order[1], 'upper/lower'));
    assert.strictEqual((mode & 0o777).toString(8), (fs.statSync(at('moved')).mode & 0o777).toString(8));
    if (ignoreVanished) return assert.strictEqual(error, undefined);
    assert.deepStrictEqual([error?.code, error?.entries], ['ENOENT', [upper]]);
  });
}

test('of many that vanish a hundred are named, and all are counted', async (t) => {
  if (withoutAttaching()) return t.skip(withoutAttaching());
  const names = Array.from({ length: 150 }, (_, i) => `file ${i}`);
  const tree = Object.fromEntries(names.map((name) => [name, name]));
  const { dir, root } = scene(t, 'tmpfs', { src: { dir: tree } });
  let error;
  await attacked(
    t,
    SLOWED,
    (dir, first) => {
      until(() => exists(path.join(dir, 'dest/dir', first)));
      const left = fs.readdirSync(path.join(dir, 'dest/dir')).length;
      for (const name of fs.readdirSync(path.join(dir, 'src/dir')).reverse().slice(0, 120)) {
        fs.unlinkSync(path.join(dir, 'src/dir', name));
      }
      return left;
    },
    [dir, root.readdir('src/dir')[0]],
    () => (error = thrownBy(() => root.cp('src', 'dest', RECURSIVE))),
  );
  assert.strictEqual(error?.code, 'ENOENT');
  assert.strictEqual(error.entries.length, 100);
  const copied = fs.readdirSync(path.join(dir, 'dest/dir')).length;
  assert.strictEqual(Number(/(\d+) vanished/.exec(error.message)[1]), 150 - copied);
});

for (const kind of ['ext4', 'ext4 without types']) {
  test(`${kind}: what the filter leaves out may vanish`, async (t) => {
    if (withoutAttaching()) return t.skip(withoutAttaching());
    const names = Array.from({ length: 40 }, (_, i) => `${i % 2 ? 'copied' : 'left out'} ${i}`);
    const { dir, root, at } = scene(t, kind, { src: Object.fromEntries(names.map((name) => [name, name])) });
    const copied = root.readdir('src').filter((name) => name.startsWith('copied'));
    await attacked(
      t,
      SLOWED,
      (dir, first) => {
        until(() => exists(path.join(dir, 'dest', first)));
        for (const name of fs.readdirSync(path.join(dir, 'src'))) {
          if (name.startsWith('left out')) fs.unlinkSync(path.join(dir, 'src', name));
        }
      },
      [dir, copied[0]],
      () => root.cp('src', 'dest', { ...RECURSIVE, filter: (src) => !src.includes('left out') }),
    );
    assert.deepStrictEqual(fs.readdirSync(at('dest')).sort(), copied.sort());
  });
}

// ---- Several names ----

const directory = (at) => {
  fs.mkdirSync(at);
  return at;
};

/** What can be mounted, or made, on a directory of the copy, so that nothing is linked into it. */
const BORDERS = {
  'another subvolume': ['btrfs', (at) => run('btrfs', 'subvolume', 'create', at)],
  'another mount': ['tmpfs', (at) => run('mount', '-t', 'tmpfs', 'tmpfs', directory(at))],
  'a bind mount': ['ext4', (at) => run('mount', '--bind', folder('bound'), directory(at))],
};
for (const [title, [kind, make]] of Object.entries(BORDERS)) {
  for (const [way, call] of WAYS) {
    test(`${way}: a file whose other name comes to be on ${title} is copied there`, async (t) => {
      const { root, at } = scene(t, kind, { src: { a: { f: 'content' }, b: {}, c: {} }, dest: {} });
      for (const name of ['b/f', 'b/g', 'c/f']) fs.linkSync(at('src/a/f'), at('src', name));
      fs.symlinkSync('text', at('src/a/soft'));
      fs.linkSync(at('src/a/soft'), at('src/b/soft'));
      make(at('dest/b'));
      try {
        await call(root, 'cp', 'src', 'dest', RECURSIVE);
        for (const name of ['a/f', 'b/f', 'b/g', 'c/f']) {
          assert.strictEqual(fs.readFileSync(at('dest', name), 'utf8'), 'content', name);
        }
        assert.strictEqual(fs.readlinkSync(at('dest/b/soft')), 'text');
      } finally {
        if (title !== 'another subvolume') run('umount', '--lazy', at('dest/b'));
      }
    });
  }
}

for (const kind of KINDS) {
  test(`${kind}: symlinks and FIFOs with several names stay one, by cp and by move`, (t) => {
    const { root, at } = scene(t, kind, { src: { soft: link('text'), pipe: fifo(), dir: {} } });
    for (const name of ['soft', 'pipe']) fs.linkSync(at('src', name), at('src/dir', name));
    const other = scene(t, kind === 'xfs' ? 'tmpfs' : 'xfs');
    root.cp('src', 'copy', RECURSIVE);
    root.move('src', 'moved', { to: other.root });
    for (const dir of [at('copy'), other.at('moved')]) {
      for (const name of ['soft', 'pipe']) {
        const [one, two] = ['.', 'dir'].map((where) => fs.lstatSync(path.join(dir, where, name)));
        assert.deepStrictEqual([one.ino, one.nlink], [two.ino, 2], `${dir} ${name}`);
      }
    }
  });
}

// ---- Beyond the longest path ----

const NAME = 'n'.repeat(120);
const LEVELS = 60;

/** Does `action` with the root of the directory so far down, which is made if it is missing. */
function far(root, top, levels, action) {
  const opened = [root.openRoot(top)];
  try {
    for (let i = 0; i < levels; i++) {
      opened.at(-1).mkdir(NAME, true);
      opened.push(opened.at(-1).openRoot(NAME));
    }
    return action(opened.at(-1));
  } finally {
    for (const one of opened) one.close();
  }
}

for (const filter of [undefined, () => true]) {
  for (const [way, call] of WAYS) {
    const how = filter === undefined ? '' : ' with a filter';
    test(`${way}: a tree that is deeper than the longest path is copied whole${how}, and its links stay links`, async (t) => {
      const { root } = scene(t, 'tmpfs', { src: {} });
      far(root, 'src', LEVELS, (here) => {
        here.writeFile('one', 'content');
        here.link('one', 'two');
        here.symlink('text', 'soft');
        here.link('soft', 'other');
        here.mkdir('dir');
      });
      far(root, 'src', 1, (here) => here.writeFile('above', 'above'));
      await call(root, 'cp', 'src', 'dest', { ...RECURSIVE, filter });
      far(root, 'dest', LEVELS, (here) => {
        assert.deepStrictEqual(here.readdir('.').sort(), ['dir', 'one', 'other', 'soft', 'two']);
        assert.deepStrictEqual([here.stat('one').nlink, here.stat('one').ino], [2, here.stat('two').ino]);
        assert.strictEqual(here.lstat('soft').ino, here.lstat('other').ino);
        assert.strictEqual(here.readFile('two', 'utf8'), 'content');
      });
      assert.strictEqual(root.readFile(`dest/${NAME}/above`, 'utf8'), 'above');
      for (const top of ['src', 'dest']) root.rm(top, true);
    });
  }
}

for (const [way, call] of WAYS) {
  test(`${way}: a filter is asked beyond the longest path, and heeded`, async (t) => {
    const { root } = scene(t, 'tmpfs', { src: {} });
    far(root, 'src', LEVELS, (here) => {
      for (const name of ['wanted', 'unwanted']) here.writeFile(name, name);
    });
    const filter = (src) => !src.endsWith('/unwanted');
    await call(root, 'cp', 'src', 'dest', { ...RECURSIVE, filter });
    far(root, 'dest', LEVELS, (here) => assert.deepStrictEqual(here.readdir('.'), ['wanted']));
    for (const top of ['src', 'dest']) root.rm(top, true);
  });

  test(`${way}: options are a caller's own alone, with a filter as without one`, async (t) => {
    const { root, at } = scene(t, 'tmpfs', { src: { dir: { file: 'content' } } });
    class Recursive {
      get recursive() {
        return true;
      }
    }
    const filter = () => true;
    const own = {
      plain: RECURSIVE,
      getter: Object.defineProperty({}, 'recursive', { get: () => true, enumerable: true }),
      'without a prototype': Object.assign(Object.create(null), RECURSIVE),
      'over an inherited one': Object.assign(Object.create({ recursive: false }), RECURSIVE),
    };
    for (const [name, options] of Object.entries(own)) {
      const above = Object.getPrototypeOf(options);
      const described = Object.getOwnPropertyDescriptors(options);
      const withFilter = { ...described, filter: { value: filter, enumerable: true } };
      await call(root, 'cp', 'src', `${name} with`, Object.create(above, withFilter));
      await call(root, 'cp', 'src', `${name} without`, options);
      for (const copy of ['with', 'without'])
        assert.deepStrictEqual(Object.keys(snapshot(at(`${name} ${copy}`))), ['dir', 'dir/file'], name);
    }
    const inherited = { plain: Object.create(RECURSIVE), getter: new Recursive() };
    for (const [name, options] of Object.entries(inherited)) {
      for (const given of [options, Object.assign(Object.create(options), { filter })]) {
        const error = await call(root, 'cp', 'src', 'none', given).catch((error) => error);
        assert.deepStrictEqual(
          [error.code, fs.existsSync(at('none'))],
          ['ERR_INVALID_ARG_VALUE', false],
          name,
        );
      }
    }
    // Nor is a filter that is inherited asked.
    const asked = [];
    const unasked = Object.assign(Object.create({ filter: (src) => asked.push(src) }), RECURSIVE);
    const error = await call(root, 'cp', 'src', 'none', unasked).catch((error) => error);
    assert.deepStrictEqual(
      [error.code, asked, fs.existsSync(at('none'))],
      ['ERR_INVALID_ARG_VALUE', [], false],
    );
    // One that says something else each time is believed once.
    for (const first of [true, false]) {
      let times = 0;
      const options = {
        filter: () => true,
        get recursive() {
          times += 1;
          return (times % 2 === 1) === first;
        },
      };
      const error = await call(root, 'cp', 'src', `${first}`, options).catch((error) => error);
      if (first) assert.deepStrictEqual(Object.keys(snapshot(at('true'))), ['dir', 'dir/file']);
      else assert.deepStrictEqual([error.code, fs.existsSync(at('false'))], ['EISDIR', false]);
    }
  });
}

// ---- What is preserved ----

/** A tree with all that `cp -a` keeps; `acls`: whether the file system has them. */
function everything(at) {
  fs.mkdirSync(at);
  plant(at, {
    plain: 'plain',
    script: file('#!/bin/sh', 0o751),
    setuid: file('setuid', 0o4755),
    setgid: file('setgid', 0o2751),
    tagged: 'tagged',
    shared: file('shared', 0o640),
    pipe: fifo(),
    soft: link('nowhere'),
    sticky: { inner: 'inner' },
    group: { inner: 'inner' },
    defaults: { before: 'before', sub: {} },
    readonly: { inner: file('inner', 0o400) },
  });
  const to = (name) => path.join(at, name);
  for (const [name, uid, gid] of [
    ['script', 12, 34],
    ['setuid', 12, 34],
    ['setgid', 12, 34],
    ['soft', 56, 78],
    ['group', 0, 90],
    ['pipe', 1, 2],
  ]) {
    // biome-ignore format: a table
    fs.lchownSync(to(name), uid, gid);
  }
  fs.chmodSync(to('setuid'), 0o4755);
  fs.chmodSync(to('setgid'), 0o2751);
  fs.chmodSync(to('sticky'), 0o1777);
  fs.chmodSync(to('group'), 0o2775);
  fs.chmodSync(to('pipe'), 0o622);
  fs.chmodSync(to('readonly'), 0o500);
  fs.linkSync(to('plain'), to('sticky/linked'));
  run('setfattr', '-n', 'user.tag', '-v', 'value', to('tagged'));
  run('setfattr', '-n', 'user.tag', '-v', 'of a directory', to('group'));
  run('setfattr', '-n', 'trusted.tag', '-v', 'of root', to('tagged'));
  run('setfacl', '-m', 'u:1234:rw-,g:5678:r--', to('shared'));
  run('setfacl', '-m', 'u:1234:rwx', '-d', '-m', 'u:1234:r-x,g:90:rwx', to('defaults'));
  // Read later than changed: then reading does not change that.
  const [atime, mtime] = [Date.now() / 1000 + 3600, 1e9];
  for (const name of fs.readdirSync(at, { recursive: true }).reverse()) {
    fs.lutimesSync(to(name), Math.floor(atime), mtime);
  }
  fs.lutimesSync(at, Math.floor(atime), mtime);
}

/** All of a tree that can be compared. */
function described(dir) {
  const names = ['.', ...fs.readdirSync(dir, { recursive: true }).sort()];
  return Object.fromEntries(
    names.map((name) => {
      const at = path.join(dir, name);
      const { mode, uid, gid, atimeMs, mtimeMs, nlink } = fs.lstatSync(at);
      const attributes = execFileSync('getfattr', [
        '-h',
        '-d',
        '-m',
        '-',
        '-e',
        'hex',
        '--absolute-names',
        at,
      ]);
      const lines = attributes.toString().split('\n').slice(1).filter(Boolean).sort();
      // XFS shows ACLs a second time.
      const shown = lines.filter((line) => !line.startsWith('trusted.SGI_ACL_'));
      const isDirectory = (mode & 0o170000) === 0o040000;
      const names = isDirectory ? {} : { nlink };
      return [name, { mode: mode.toString(8), uid, gid, atimeMs, mtimeMs, attributes: shown, ...names }];
    }),
  );
}

/** What others do while a filter is asked about `src/d`, and about what comes next; and what is said to be missing. */
const WHILE_ASKED = {
  'a directory that is away while it is to be listed': [
    (at) => fs.renameSync(at('src/d'), at('away')),
    (at) => fs.renameSync(at('away'), at('src/d')),
    ['d'],
  ],
  'a directory that may not be read while it is to be listed': [
    (at) => fs.chmodSync(at('src/d'), 0),
    (at) => fs.chmodSync(at('src/d'), 0o700),
    ['d'],
  ],
  'a directory that is a symlink while it is to be listed': [
    (at) => fs.renameSync(at('src/d'), at('away')) ?? fs.symlinkSync('c', at('src/d')),
    (at) => fs.unlinkSync(at('src/d')) ?? fs.renameSync(at('away'), at('src/d')),
    ['d'],
  ],
  'a directory that is removed after it was let through': [
    () => {},
    (at) => fs.rmSync(at('src/d'), { recursive: true }),
    ['d', 'd/1', 'd/2'],
  ],
  'a file that is removed after it was let through': [
    () => {},
    (at) => fs.unlinkSync(at('src/d/1')),
    ['d/1'],
  ],
  'a file that becomes a directory after it was let through': [
    () => {},
    (at) => fs.unlinkSync(at('src/c')) ?? fs.mkdirSync(at('src/c')),
    ['c'],
  ],
};
for (const [way, call] of WAYS) {
  for (const [title, [first, later, missing]] of Object.entries(WHILE_ASKED)) {
    test(`${way}: with a filter, too, ${title} is reported`, async (t) => {
      for (const atomic of [false, true]) {
        const { root, at } = scene(t, 'tmpfs');
        plant(at(), { src: { c: 'c', d: { 1: 'one', 2: 'two' }, e: 'e' } });
        execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, at()]);
        const asked = [];
        const filter = (src) => {
          if (src === 'src/d') first(at);
          // It stands between the two others, in whatever direction.
          if (['src/c', 'src/e'].includes(src) && asked.includes('src/d')) later(at);
          asked.push(src);
          return true;
        };
        let error;
        const options = { ...RECURSIVE, atomic, filter };
        await unprivileged(() => call(root, 'cp', 'src', 'copy', options)).catch(
          (thrown) => (error = thrown),
        );
        assert.deepStrictEqual([error?.code, error?.reason], ['ENOENT', 'vanished']);
        assert.deepStrictEqual(
          error.entries,
          missing.map((name) => `src/${name}`),
        );
        assert.strictEqual(fs.existsSync(at('copy')), !atomic);
      }
    });
  }
}

for (const [way, call] of WAYS) {
  test(`${way}: a filter makes no difference to what may not be read, is ignored, or is mounted`, async (t) => {
    const dir = folder('mounted');
    plant(dir, { src: { shut: { in: 'in' }, mounted: {}, file: 'file' } });
    const at = (...names) => path.join(dir, ...names);
    const root = new SandboxRoot(dir);
    t.after(() => root.close());
    execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, dir]);
    run('mount', '-t', 'tmpfs', 'tmpfs', at('src/mounted'));
    const strict = new SandboxRoot(at(), { mounts: 'reject' });
    t.after(() => strict.close());
    fs.chmodSync(at('src/shut'), 0);
    const seen = [];
    for (const filter of [undefined, () => true]) {
      const attempt = async (root, dest) => {
        const { errno, path } = await unprivileged(() =>
          call(root, 'cp', 'src', dest, { ...RECURSIVE, filter }),
        ).then(
          () => ({}),
          (error) => error,
        );
        return [errno, path];
      };
      seen.push([await attempt(root, `shut ${seen.length}`)]);
      fs.chmodSync(at('src/shut'), 0o700);
      seen.at(-1).push(await attempt(strict, `mounted ${seen.length}`));
      fs.chmodSync(at('src/shut'), 0);
    }
    assert.deepStrictEqual(seen[0], [
      [-13, 'src/shut'],
      [undefined, undefined],
    ]);
    assert.deepStrictEqual(seen[1], seen[0]);
    const filter = (src) => {
      if (src === 'src/file') fs.unlinkSync(at('src/file'));
      return !src.includes('shut');
    };
    await call(strict, 'cp', 'src', 'ignored', { ...RECURSIVE, filter, ignoreVanished: true });
    assert.deepStrictEqual(fs.readdirSync(at('ignored')), ['mounted']);
  });
}

/** Where copies are made: what is made there would inherit an ACL and a group. */
function inheriting(at) {
  fs.mkdirSync(at);
  fs.chownSync(at, 0, 4321);
  fs.chmodSync(at, 0o2775);
  run('setfacl', '-d', '-m', 'u:999:rwx,g:999:rwx', at);
}

for (const kind of ['tmpfs', 'ext4', 'xfs', 'btrfs']) {
  for (const inherits of [false, true]) {
    const where = inherits ? ', where it would inherit an ACL and a group' : '';
    test(`${kind}: with { preserve: true } a copy has what cp -a keeps${where}; so has what is moved`, (t) => {
      const { root, at } = scene(t, kind);
      const target = scene(t, kind === 'xfs' ? 'ext4' : 'xfs');
      everything(at('src'));
      for (const dir of [at('in'), target.at('in')]) inherits ? inheriting(dir) : fs.mkdirSync(dir);
      const expected = described(at('src'));
      // Where it is inherited, cp(1) leaves directories the setgid bit.
      if (!inherits) {
        execFileSync('cp', ['-a', at('src'), at('in/by cp')]);
        assert.deepStrictEqual(described(at('in/by cp')), expected);
      }
      root.cp('src', 'in/copy', { ...RECURSIVE, preserve: true });
      assert.deepStrictEqual(described(at('in/copy')), expected);
      root.move('src', 'in/moved', { to: target.root });
      assert.deepStrictEqual(described(target.at('in/moved')), expected);
    });
  }
}

for (const [way, call] of WAYS) {
  test(`${way}: a list for preserve keeps what it names, and nothing else`, async (t) => {
    const { root, at } = scene(t, 'ext4');
    everything(at('src'));
    const had = described(at('src'));
    const kept = {
      owner: (copy) => copy.script.uid === 12 && copy.soft.gid === 78 && copy.group.gid === 90,
      times: (copy) =>
        copy.tagged.mtimeMs === 1e12 && copy.soft.mtimeMs === 1e12 && copy.sticky.mtimeMs === 1e12,
      mode: (copy) => copy.sticky.mode === had.sticky.mode,
      acl: (copy) => copy.defaults.attributes.some((line) => line.includes('acl_default')),
      xattr: (copy) => copy.tagged.attributes.length === 2 && copy.group.attributes.length === 1,
    };
    const words = Object.keys(kept);
    const lists = [[], ...words.map((word) => [word]), ['owner', 'mode'], words, [...words, 'times']];
    for (const [i, preserve] of [undefined, null, false, ...lists, true].entries()) {
      await call(root, 'cp', 'src', `copy ${i}`, { ...RECURSIVE, preserve });
      const copy = described(at(`copy ${i}`));
      const seen = words.filter((word) => kept[word](copy));
      const expected = words.filter((word) => preserve === true || (preserve || []).includes(word));
      assert.deepStrictEqual(seen, expected, JSON.stringify(preserve));
      // A copy that belongs to somebody else is not setuid.
      const isOwners = expected.includes('owner') && expected.includes('mode');
      assert.strictEqual(copy.setuid.mode, isOwners ? '104755' : '100755', JSON.stringify(preserve));
    }
    await call(root, 'cp', 'src', 'both', { ...RECURSIVE, preserve: ['owner'], preserveTimestamps: true });
    const both = described(at('both'));
    assert.ok(kept.owner(both) && kept.times(both) && !kept.xattr(both));
  });

  test(`${way}: what is no list for preserve is refused, before anything is copied`, async (t) => {
    const { root, dir } = scene(t, 'tmpfs', { src: {} });
    for (const [preserve, name, code] of [
      ['all', 'TypeError', 'ERR_INVALID_ARG_TYPE'],
      [1, 'TypeError', 'ERR_INVALID_ARG_TYPE'],
      [{}, 'TypeError', 'ERR_INVALID_ARG_TYPE'],
      [['times', 'all'], 'TypeError', 'ERR_INVALID_ARG_VALUE'],
      [['times', 1], 'TypeError', 'ERR_INVALID_ARG_TYPE'],
      [[undefined], 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    ]) {
      for (const filter of [undefined, () => true]) {
        const options = { ...RECURSIVE, preserve, filter };
        await assert.rejects(call(root, 'cp', 'src', 'dest', options), { name, code });
      }
    }
    assert.deepStrictEqual(fs.readdirSync(dir), ['src']);
  });
}

test('an ordinary user preserves what they may', (t) => {
  const { root, dir, at } = scene(t, 'ext4', {
    src: { mine: file('mine', 0o4755), roots: file('roots', 0o4755) },
  });
  run('setfattr', '-n', 'user.tag', '-v', 'value', at('src/mine'));
  for (const name of ['.', 'src', 'src/mine']) fs.chownSync(path.join(dir, name), NOBODY, NOBODY);
  fs.chmodSync(at('src/mine'), 0o4755);
  fs.utimesSync(at('src/roots'), 1e6, 1e6);
  const { error } = unprivileged(() =>
    outcome(() => root.cp('src', 'dest', { ...RECURSIVE, preserve: true })),
  );
  assert.strictEqual(error, undefined);
  const copy = described(at('dest'));
  assert.deepStrictEqual([copy.mine.mode, copy.mine.uid, copy.mine.attributes.length], ['104755', NOBODY, 1]);
  assert.deepStrictEqual([copy.roots.mode, copy.roots.uid, copy.roots.mtimeMs], ['100755', NOBODY, 1e9]);
});

for (const kind of ['ext4', 'tmpfs', 'xfs', 'btrfs']) {
  test(`${kind}: a new file with the number of one that is gone is not taken for it`, async (t) => {
    if (withoutAttaching()) return t.skip(withoutAttaching());
    const { dir, root, at } = scene(t, kind, { src: {} });
    for (let i = 0; i < 8; i++) {
      plant(at('src'), { [`dir ${i}`]: { one: `old ${i}` } });
      fs.linkSync(at('src', `dir ${i}`, 'one'), at('src', `dir ${i}`, 'other'));
    }
    const order = root.readdir('src');
    const isSame = await attacked(
      t,
      SLOWED,
      (dir, [first, next, ...others]) => {
        const [src, last] = [path.join(dir, 'src'), path.join(dir, 'src', others.at(-1))];
        until(() => exists(path.join(dir, 'dest', next)));
        const { ino } = fs.statSync(path.join(src, first, 'one'));
        for (const name of ['one', 'other']) fs.unlinkSync(path.join(src, first, name));
        fs.writeFileSync(path.join(last, 'new'), 'new');
        fs.linkSync(path.join(last, 'new'), path.join(last, 'newer'));
        return fs.statSync(path.join(last, 'new')).ino === ino;
      },
      [dir, order],
      () => root.cp('src', 'dest', { ...RECURSIVE, ignoreVanished: true }),
    );
    if (kind === 'ext4') assert.ok(isSame, 'the number is used again');
    for (const name of ['new', 'newer']) {
      assert.strictEqual(fs.readFileSync(at('dest', order.at(-1), name), 'utf8'), 'new');
    }
    const inodes = ['new', 'newer'].map((name) => fs.statSync(at('dest', order.at(-1), name)).ino);
    assert.strictEqual(inodes[0], inodes[1]);
  });
}

for (const kind of KINDS) {
  // Elsewhere two files may have one number: only the time of the last change distinguishes them.
  const staysOne = !['overlayfs', 'bindfs'].includes(kind);
  const end = staysOne ? 'stays one' : 'is copied whole';
  test(`${kind}: a file with several names ${end} while it gets and loses names`, async (t) => {
    if (withoutAttaching()) return t.skip(withoutAttaching());
    const { dir, root, at } = scene(t, kind, { src: {} });
    for (let i = 0; i < 8; i++) plant(at('src'), { [`dir ${i}`]: {} });
    const order = root.readdir('src');
    fs.writeFileSync(at('src', order[0], 'name'), 'content');
    for (const other of order.slice(1)) fs.linkSync(at('src', order[0], 'name'), at('src', other, 'name'));
    await attacked(
      t,
      SLOWED,
      (dir, order) => {
        for (const [i, name] of order.slice(0, 5).entries()) {
          until(() => exists(path.join(dir, 'dest', name, 'name')));
          if (i % 2 === 0)
            fs.linkSync(path.join(dir, 'src', order.at(-1), 'name'), path.join(dir, `more ${i}`));
          else fs.unlinkSync(path.join(dir, `more ${i - 1}`));
        }
      },
      [dir, order],
      () => root.cp('src', 'dest', RECURSIVE),
    );
    const inodes = order.map((name) => fs.statSync(at('dest', name, 'name')).ino);
    if (staysOne) assert.strictEqual(new Set(inodes).size, 1);
    for (const name of order)
      assert.strictEqual(fs.readFileSync(at('dest', name, 'name'), 'utf8'), 'content');
  });
}

// ---- Directories that are opened again ----

for (const isRoot of [true, false]) {
  const where = isRoot ? 'which is the root' : 'beneath a root that is none';
  test(`what is removed from a directory of an overlay ${where}, once it was copied, hides nothing else in it`, async (t) => {
    if (withoutAttaching()) return t.skip(withoutAttaching());
    const [layers, above] = [folder('layers'), folder('overlay')];
    const at = path.join(above, 'overlay');
    fs.mkdirSync(at);
    // A directory that both layers have is listed by them together; and not in one read.
    const long = (i) => `${`${i} `.padEnd(200, '.')}long`;
    const [lower, upper] = ['lower/src/wide', 'upper/up/src/wide'].map((dir) => path.join(layers, dir));
    for (const dir of [lower, upper]) fs.mkdirSync(dir, { recursive: true });
    fs.writeFileSync(path.join(lower, 'lower'), '');
    for (let i = 0; i < 1000; i++) fs.writeFileSync(path.join(upper, long(i)), '');
    const down = Array.from({ length: 24 }, () => 'down').join('/');
    fs.mkdirSync(path.join(upper, down), { recursive: true });
    overlay(at, path.join(layers, 'lower'), path.join(layers, 'upper'), 'redirect_dir=off');
    const [root, dest] = [new SandboxRoot(isRoot ? at : above), folderOn(t, 'tmpfs')];
    const to = new SandboxRoot(dest);
    t.after(() => [root, to].forEach((root) => root.close()));
    await attacked(
      t,
      ['mkdirat:delay_exit=20000'],
      (at, dest, below) => {
        until(() => exists(path.join(dest, 'dest/wide', below)));
        const copied = fs.readdirSync(path.join(dest, 'dest/wide')).filter((name) => name.endsWith('long'));
        for (const name of copied.slice(0, 100)) fs.unlinkSync(path.join(at, 'src/wide', name));
      },
      [at, dest, down.slice(0, -10)],
      () => root.cp(isRoot ? 'src' : 'overlay/src', 'dest', { ...RECURSIVE, to }),
    );
    const copied = new Set(fs.readdirSync(path.join(dest, 'dest/wide')));
    assert.deepStrictEqual(
      fs.readdirSync(path.join(at, 'src/wide')).filter((name) => !copied.has(name)),
      [],
    );
  });
}

// ---- Directories that are in a tree twice ----

for (const [way, call] of WAYS) {
  test(`${way}: one directory that is mounted under many names is copied under each`, async (t) => {
    const { root, at } = scene(t, 'tmpfs', { one: {}, src: {} });
    for (let i = 0; i < 200; i++) fs.writeFileSync(at('one', `file ${i}`), '');
    const names = Array.from({ length: 32 }, (_, i) => `dir ${i}`);
    for (const name of names) {
      fs.mkdirSync(at('src', name));
      run('mount', '--bind', at('one'), at('src', name));
    }
    try {
      for (let i = 0; i < 3; i++) await call(root, 'cp', 'src', `dest ${i}`, RECURSIVE);
    } finally {
      for (const name of names) run('umount', at('src', name));
    }
    for (const name of names) assert.strictEqual(fs.readdirSync(at('dest 2', name)).length, 200);
  });
}

// ---- Copies that meet ----

for (const kind of ['tmpfs', 'ext4', 'xfs', 'btrfs']) {
  test(`${kind}: a directory into which another copy puts something at once gets its mode`, async (t) => {
    if (withoutAttaching()) return t.skip(withoutAttaching());
    const { dir, root, at } = scene(t, kind, { src: { a: { file: 'a' }, b: { file: 'b' } } });
    for (const name of ['src', 'src/a', 'src/b']) fs.chmodSync(at(name), 0o755);
    await attacked(
      t,
      ['mkdirat:delay_exit=20000'],
      (dir) => {
        for (const name of ['.', 'a', 'b']) {
          until(() => exists(path.join(dir, 'dest', name)));
          fs.writeFileSync(path.join(dir, 'dest', name, 'other'), 'other');
        }
      },
      [dir],
      () => root.cp('src', 'dest', RECURSIVE),
    );
    for (const name of ['.', 'a', 'b']) {
      assert.ok(fs.existsSync(at('dest', name, 'other')));
      assert.strictEqual((fs.statSync(at('dest', name)).mode & 0o7777).toString(8), '755', name);
    }
  });
}

for (const symlinks of ['reject', 'beneath', 'in-root']) {
  test(`a filter makes no difference to a symlink to a directory, under '${symlinks}'`, async (t) => {
    const dir = folderOn(t, 'tmpfs');
    plant(dir, {
      tree: { sub: { file: 'x' }, inner: { link: 'sub' } },
      way: { link: 'tree' },
      link: { link: 'tree' },
    });
    const root = new SandboxRoot(dir, { symlinks });
    t.after(() => root.close());
    const asked = [];
    const filter = (src) => asked.push(src) > 0;
    for (const src of ['link', 'tree', ...(symlinks === 'reject' ? [] : ['way/sub'])]) {
      root.cp(src, 'plain', { recursive: true });
      root.cp(src, 'at once', { recursive: true, filter });
      await root.promises.cp(src, 'promised', { recursive: true, filter });
      for (const copy of ['at once', 'promised']) {
        const [one, other] = ['plain', copy].map((name) =>
          fs.lstatSync(path.join(dir, name)).isSymbolicLink()
            ? fs.readlinkSync(path.join(dir, name))
            : Object.keys(snapshot(path.join(dir, name))),
        );
        assert.deepStrictEqual(other, one, `${src}: ${copy}`);
      }
      for (const copy of ['plain', 'at once', 'promised']) root.rm(copy, true);
    }
    assert.ok(!asked.some((src) => src.startsWith('link/') || src.includes('inner/')), asked.join());
  });
}
