'use strict';
// A file with several names, which changes while a tree is copied: the names stay one file where the file system
// tells files apart by their numbers, and are copied one by one where it does not, or makes no links.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('..');
const { inChild } = require('./child');
const { WAYS, disk, folder, folderOn, mounted, privately, run } = require('./mounts');
const { attacked } = require('./races/slow');
const { NOBODY, codeOf, fifo, link, plant, snapshot, tool } = require('./support');
const { withoutAttaching } = require('./syscalls/strace');

const test = privately(__filename);

const RECURSIVE = { recursive: true };
/** Each open is followed by a rest, in microseconds. */
const SLOWED = ['openat2:delay_exit=2500'];
const NAMES = Array.from({ length: 8 }, (_, i) => `name ${i}`);
/** As long as the old content and as what is appended: one write. */
const LINE = 'one line of a log\n';

function scene(t, kind, target = kind) {
  const [dir, elsewhere] = [kind, target].map((kind) => folderOn(t, kind));
  const [root, to] = [dir, elsewhere].map((at) => new SandboxRoot(at));
  t.after(() => [root, to].forEach((root) => root.close()));
  return { dir, elsewhere, root, to };
}

/** What others do to the file meanwhile: `log` is one of its names, and `beside` has room for others. */
const CHANGES = {
  'a logger appends to it': (log) => fs.appendFileSync(log, 'one line of a log\n'),
  'it gets another name': (log, beside) => fs.linkSync(log, path.join(beside, 'another')),
  'one of its names is moved away': (_, beside) =>
    fs.renameSync(path.join(beside, 'outside'), path.join(beside, 'elsewhere')),
  'one of its names is removed': (_, beside) => fs.unlinkSync(path.join(beside, 'outside')),
  'its mode changes': (log) => fs.chmodSync(log, 0o600),
  'its time changes': (log) => fs.utimesSync(log, 1, 2),
};

/**
 * Makes such a file for each of the changes in `dir`, and does `action(i)` while the file with the number `i`
 * changes between its names. The copy comes to be in `copies`, in a directory of that number.
 */
async function changing(t, dir, copies, changes, action) {
  for (const i of changes.keys()) {
    plant(dir, { [i]: { src: { log: {} }, beside: {} } });
    const [first, ...others] = NAMES.map((name) => path.join(dir, `${i}/src/log`, name));
    fs.writeFileSync(first, LINE);
    for (const name of [...others, path.join(dir, `${i}/beside/outside`)]) fs.linkSync(first, name);
    fs.mkdirSync(path.join(copies, `${i}`));
  }
  await attacked(
    t,
    SLOWED,
    `(dir, copies, names) => {
      for (const [i, change] of [${changes.map(([, change]) => change)}].entries()) {
        const copy = path.join(copies, String(i));
        const logs = () => fs.readdirSync(copy).map((name) => path.join(copy, name, 'log'));
        const log = until(() => logs().find((log) => fs.readdirSync(log).length > 0));
        change(path.join(dir, i + '/src/log', names[0]), path.join(dir, i + '/beside'));
        if (exists(log) && fs.readdirSync(log).length === names.length) throw new Error('it came too late');
      }
    }`,
    [dir, copies, NAMES],
    () => [...changes.keys()].forEach(action),
  );
}

/** The only content that a copy of the log may have. */
const isWhole = (content) => content === LINE || content === LINE + LINE;
const inodes = (dir) => new Set(NAMES.map((name) => fs.statSync(path.join(dir, name)).ino));

for (const kind of ['tmpfs', 'ext4', 'xfs', 'btrfs', 'overlayfs', 'bindfs']) {
  test(`${kind}: cp of a file with several names that changes between them`, async (t) => {
    if (withoutAttaching()) return t.skip(withoutAttaching());
    const { dir, elsewhere, root, to } = scene(t, kind, 'tmpfs');
    // On most of them one change will do.
    const changes = Object.entries(CHANGES).slice(0, ['ext4', 'overlayfs'].includes(kind) ? undefined : 1);
    await changing(t, dir, elsewhere, changes, (i) => root.cp(`${i}/src`, `${i}/copy`, { ...RECURSIVE, to }));
    for (const [i, [title]] of changes.entries()) {
      const copy = path.join(elsewhere, `${i}/copy/log`);
      assert.deepStrictEqual(fs.readdirSync(copy).sort(), [...NAMES].sort());
      // Elsewhere a file that changed counts as another.
      const most = ['overlayfs', 'bindfs'].includes(kind) ? 2 : 1;
      assert.ok(inodes(copy).size <= most, `${title}: ${inodes(copy).size} files`);
      for (const { content } of Object.values(snapshot(copy))) assert.ok(isWhole(content), content);
    }
  });

  if (['overlayfs', 'bindfs'].includes(kind)) continue;
  const changes = Object.entries(CHANGES).slice(0, kind === 'ext4' ? undefined : 1);
  test(`${kind}: move of a file with several names that changes between them is EBUSY, and all stays`, async (t) => {
    if (withoutAttaching()) return t.skip(withoutAttaching());
    const { dir, elsewhere, root, to } = scene(t, kind, kind === 'tmpfs' ? 'ext4' : 'tmpfs');
    const codes = [];
    const move = (i) => codes.push(codeOf(() => root.move(`${i}/src`, `${i}/moved`, { to })));
    await changing(t, dir, elsewhere, changes, move);
    for (const [i, [title]] of changes.entries()) {
      assert.strictEqual(codes[i], 'EBUSY', title);
      assert.deepStrictEqual(fs.readdirSync(path.join(elsewhere, `${i}`)), []);
      const log = path.join(dir, `${i}/src/log`);
      assert.strictEqual(inodes(log).size, 1);
      assert.ok(isWhole(fs.readFileSync(path.join(log, NAMES[5]), 'utf8')));
    }
  });
}

for (const [face, call] of WAYS) {
  for (const nested of [false, true]) {
    const where = nested ? ', mounted in a local one' : '';
    test(`files that a file system gives one number stay two${where}, ${face}`, async (t) => {
      const [top, behind] = ['top', 'behind'].map(folder);
      // bindfs shows the numbers of what is behind it, and one device.
      for (const name of ['a', 'b']) {
        const at = path.join(behind, name);
        fs.mkdirSync(at);
        run('mount', '-t', 'tmpfs', 'tmpfs', at);
        t.after(() => run('umount', '--lazy', at));
        fs.writeFileSync(path.join(at, 'one'), `content of ${name}`);
        fs.linkSync(path.join(at, 'one'), path.join(at, 'two'));
        // All but the time of the last change is one: as a file system stamps it, in ticks.
        fs.utimesSync(path.join(at, 'one'), 1, 1);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      const at = path.join(top, 'mounted');
      fs.mkdirSync(at);
      run('bindfs', '-o', 'attr_timeout=0', behind, at);
      t.after(() => run('umount', '--lazy', at));
      const [a, b] = ['a', 'b'].map((name) => fs.statSync(path.join(at, name, 'one')));
      assert.deepStrictEqual([a.dev, a.ino], [b.dev, b.ino], 'the file system makes no difference');

      const elsewhere = folderOn(t, 'tmpfs');
      const [root, to] = [nested ? top : at, elsewhere].map((at) => new SandboxRoot(at));
      await call(root, 'cp', '.', 'copy', { ...RECURSIVE, to });
      [root, to].forEach((root) => root.close());
      const copy = path.join(elsewhere, nested ? 'copy/mounted' : 'copy');
      for (const name of ['a', 'b']) {
        const [one, two] = ['one', 'two'].map((file) => path.join(copy, name, file));
        assert.strictEqual(fs.readFileSync(two, 'utf8'), fs.readFileSync(path.join(at, name, 'one'), 'utf8'));
        assert.strictEqual(fs.statSync(one).ino, fs.statSync(two).ino);
      }
    });
  }
}

/** Copies and moves, over what is there too, where no link can be made. */
async function withoutLinks(dir, elsewhere, face) {
  const [root, to] = [dir, elsewhere].map((at) => new SandboxRoot(at));
  const of = face === 'sync' ? root : root.promises;
  let refused;
  try {
    await of.link('tree/file', 'tree/another');
  } catch ({ code }) {
    refused = code;
  }
  await of.cp('tree', 'copy', { recursive: true });
  await of.cp('tree', 'copied', { recursive: true, preserve: true, to });
  await of.move('tree', 'moved', { to });
  return refused;
}

for (const code of ['EPERM', 'EOPNOTSUPP', 'ENOSYS']) {
  for (const [face] of WAYS) {
    test(`where links are refused with ${code}, each name is copied and moved, ${face}`, async (t) => {
      const { dir, elsewhere } = scene(t, 'ext4', 'tmpfs');
      plant(dir, { tree: { file: 'content', soft: link('file'), pipe: fifo(), dir: {} } });
      for (const name of ['file', 'soft', 'pipe']) {
        fs.linkSync(path.join(dir, 'tree', name), path.join(dir, 'tree/dir', name));
      }
      // The names are files of their own, and all else is as it was.
      const alone = (tree) =>
        Object.entries(tree).map(([at, entry]) => [at, { ...entry, nlink: at === 'dir' ? entry.nlink : 1 }]);
      const before = alone(snapshot(path.join(dir, 'tree')));
      const wrap = [tool('seccomp'), '--deny', `linkat=${code}`, '--'];
      const refused = await inChild(t, withoutLinks, [dir, elsewhere, face], { wrap });
      assert.strictEqual(refused, code === 'EOPNOTSUPP' ? 'ENOTSUP' : code);
      for (const at of [
        path.join(dir, 'copy'),
        ...['copied', 'moved'].map((at) => path.join(elsewhere, at)),
      ]) {
        assert.deepStrictEqual(Object.entries(snapshot(at)), before, at);
      }
      assert.deepStrictEqual(
        [fs.readdirSync(dir), fs.readdirSync(elsewhere).sort()],
        [['copy'], ['copied', 'moved']],
      );
    });
  }
}

test('ext4 with small inodes: a file with the number of one that was removed meanwhile is copied itself', async (t) => {
  if (withoutAttaching()) return t.skip(withoutAttaching());
  // It does not say when a file was born.
  const dir = folder('ext4 with small inodes');
  disk(dir, 64, ['mkfs.ext4', '-q', '-I', '128']);
  const names = Array.from({ length: 20 }, (_, i) => [`file ${i}`, '']);
  const dirs = Array.from({ length: 8 }, (_, i) => [`dir ${i}`, Object.fromEntries(names)]);
  plant(dir, { src: Object.fromEntries(dirs) });
  const root = new SandboxRoot(dir);
  t.after(() => root.close());
  const order = root.readdir('src');
  const [first, last] = [order[0], order.at(-1)].map((name) => path.join(dir, 'src', name));
  fs.writeFileSync(path.join(first, 'log'), 'old');
  fs.linkSync(path.join(first, 'log'), path.join(first, 'log too'));
  await attacked(
    t,
    SLOWED,
    (copy, first, last) => {
      const logs = ['log', 'log too'];
      until(() => logs.every((name) => exists(path.join(copy, name))));
      const { ino } = fs.statSync(path.join(first, 'log'));
      for (const name of logs) fs.unlinkSync(path.join(first, name));
      for (let i = 0; i < 500; i++) {
        const at = path.join(first, `new ${i}`);
        fs.writeFileSync(at, 'new');
        if (fs.statSync(at).ino !== ino) continue;
        fs.linkSync(at, path.join(last, 'log'));
        return;
      }
      throw new Error('no file got its number');
    },
    [path.join(dir, 'dest', order[0]), first, last],
    () => root.cp('src', 'dest', RECURSIVE),
  );
  const copies = [order[0], order.at(-1)].map((name) => path.join(dir, 'dest', name, 'log'));
  assert.deepStrictEqual(
    copies.map((at) => fs.readFileSync(at, 'latin1')),
    ['old', 'new'],
  );
});

/** What a user puts in the place of the first copy, and what it is recognised by. */
const REPLACED = {
  'ext4: a file': { make: (at) => fs.writeFileSync(at, 'theirs') },
  'ext4 with small inodes: a file': { make: (at) => fs.writeFileSync(at, 'theirs'), small: true },
  'ext4: a symlink': { make: (at) => fs.symlinkSync('theirs', at) },
};

for (const [title, { make, small }] of Object.entries(REPLACED)) {
  test(`${title} of a user that gets the number of a first copy in their directory gets no name in another`, async (t) => {
    if (withoutAttaching()) return t.skip(withoutAttaching());
    const volume = small ? folder('ext4 with small inodes') : mounted('ext4');
    if (small) disk(volume, 64, ['mkfs.ext4', '-q', '-I', '128']);
    t.after(() => run('umount', '--lazy', volume));
    const dir = folderOn(t, 'tmpfs');
    const files = Array.from({ length: 20 }, (_, i) => [`file ${i}`, '']);
    const dirs = Array.from({ length: 8 }, (_, i) => [`dir ${i}`, Object.fromEntries(files)]);
    plant(dir, { src: Object.fromEntries(dirs) });
    const [root, to] = [dir, volume].map((at) => new SandboxRoot(at));
    t.after(() => [root, to].forEach((root) => root.close()));
    const order = root.readdir('src');
    const [theirs, last] = [order[0], order.at(-1)];
    const isLink = title.includes('symlink');
    plant(path.join(dir, 'src', theirs), { log: isLink ? link('ours') : 'ours' });
    fs.linkSync(path.join(dir, 'src', theirs, 'log'), path.join(dir, 'src', last, 'log'));
    // The copy goes into directories that are there.
    plant(volume, { copy: { [theirs]: {}, [last]: {} } });
    fs.chownSync(path.join(volume, 'copy', theirs), NOBODY, NOBODY);
    for (const at of [path.dirname(volume), volume, path.join(volume, 'copy')]) fs.chmodSync(at, 0o755);
    await attacked(
      t,
      SLOWED,
      `(at, other, nobody) => {
        process.setgid(nobody);
        process.setuid(nobody);
        const number = () => fs.lstatSync(at + '/log').ino;
        // It is complete when another entry is there.
        until(() => exists(at + '/log') && fs.readdirSync(at).length > 2);
        const ino = number();
        fs.unlinkSync(at + '/log');
        for (let i = 0; i < 500; i++) {
          const name = at + '/try ' + i;
          (${make})(name);
          if (fs.lstatSync(name).ino !== ino) continue;
          fs.renameSync(name, at + '/log');
          if (exists(other)) throw new Error('it came too late');
          return;
        }
        throw new Error('no file got its number');
      }`,
      [path.join(volume, 'copy', theirs), path.join(volume, 'copy', last, 'log'), NOBODY],
      () => root.cp('src', 'copy', { ...RECURSIVE, to }),
    );
    const content = (at) => (isLink ? fs.readlinkSync(at) : fs.readFileSync(at, 'utf8'));
    assert.strictEqual(content(path.join(volume, 'copy', theirs, 'log')), 'theirs');
    const copy = path.join(volume, 'copy', last, 'log');
    assert.deepStrictEqual([content(copy), fs.lstatSync(copy).uid], ['ours', 0]);
  });
}
