'use strict';
// move between file systems while others rename, replace and exchange in the source and beside the destination:
// whatever was there is there afterwards, in one of the two places, and an error says what was left.

const assert = require('node:assert');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { once } = require('node:events');
const { SandboxRoot } = require('..');
const { inChild, start } = require('./child');
const { disk, folder, folderOn, overlay, privately, run, volume } = require('./mounts');
const { attacked, slowed } = require('./races/slow');
const { FULL } = require('./sizes');
const { NOBODY, outcome, plant, snapshot, tempDir, unprivileged } = require('./support');
const { withoutAttaching } = require('./syscalls/strace');

const test = privately(__filename);

/** Each open is followed by a rest, in microseconds. */
const SLOWED = ['openat2:delay_exit=2500'];
/** There is a rest before each rename. */
const SLOW_RENAME = ['renameat2:delay_enter=80000'];

/** The file systems that use the number of an inode again at once. */
const REUSES = ['ext4'];

const REASON = /the source was changed/;

/** A source and a destination on different mounts, and roots there. */
function scene(t, kind, target = kind === 'tmpfs' ? 'ext4' : 'tmpfs') {
  const [source, dest] = [folderOn(t, kind), folderOn(t, target)];
  const [from, to] = [source, dest].map((dir) => new SandboxRoot(dir));
  t.after(() => [from, to].forEach((root) => root.close()));
  return { source, dest, from, to };
}

/** A tree of directories with files, whose contents differ; the order in which its directories are listed. */
function plantTree(root, dir, { width = 8, files = 3 } = {}) {
  fs.mkdirSync(path.join(dir, 'tree'));
  for (let i = 0; i < width; i++) {
    const names = Array.from({ length: files }, (_, j) => [`file ${j}`, `content ${i} ${j}`]);
    plant(path.join(dir, 'tree'), { [`dir ${i}`]: Object.fromEntries(names) });
  }
  return root.readdir('tree');
}

/** The contents of all files beneath some directories, sorted. */
const contents = (...dirs) =>
  dirs.flatMap((dir) => Object.values(snapshot(dir)).flatMap(({ content }) => content ?? [])).sort();

/** The error that `action` throws, or nothing. */
function thrownBy(action) {
  try {
    action();
  } catch (error) {
    return error;
  }
}

/**
 * Moves `top` of a `tree` while `attack(dest, source)` changes something in the source once all is copied: what was
 * there afterwards, or `false` where the attack came to nothing. On a busy machine it may come before the copy is
 * complete. Nothing is published then, and it is tried again.
 */
async function movedWhile(t, kind, tree, attack) {
  for (let tries = 0; ; tries++) {
    const { source, dest, from, to } = scene(t, kind);
    plant(source, tree);
    let error;
    const had = await attacked(t, SLOW_RENAME, attack, [dest, source], () => {
      error = thrownBy(() => from.move('top', 'dest', { to, overwrite: true }));
    });
    if (had === false) return false;
    if (fs.readdirSync(dest).length > 0 || tries === 9) return { source, dest, from, to, error };
    assert.strictEqual(error?.code, 'EBUSY');
    assert.strictEqual(contents(source).length, contentsOf(tree));
  }
}

/** How many files a tree of `plant` has. */
const contentsOf = (tree) =>
  Object.values(tree).reduce((sum, part) => sum + (typeof part === 'string' ? 1 : contentsOf(part)), 0);

const attackedTest = (title, body) =>
  test(title, (t) => (withoutAttaching() ? t.skip(withoutAttaching()) : body(t)));

for (const kind of ['tmpfs', 'ext4', 'xfs', 'btrfs', 'overlayfs', 'bindfs']) {
  attackedTest(`${kind}: a directory renamed within the source while it is moved is not lost`, async (t) => {
    const { source, dest, from, to } = scene(t, kind);
    const order = plantTree(from, source);
    const before = contents(source);
    let moved;
    await attacked(
      t,
      SLOWED,
      (source, dest, [first, second], last) => {
        until(() => hidden(dest, (at) => exists(path.join(at, second))));
        fs.renameSync(path.join(source, 'tree', last), path.join(source, 'tree', first, 'stray'));
      },
      [source, dest, order, order.at(-1)],
      () => (moved = outcome(() => from.move('tree', 'dest', { to }))),
    );
    assert.deepStrictEqual(contents(source, dest), before);
    assert.strictEqual(moved.error?.code, 'EBUSY');
    assert.match(moved.error.message, REASON);
    assert.deepStrictEqual(fs.readdirSync(dest), []);
  });

  attackedTest(`${kind}: a file renamed within the source while it is moved is not lost`, async (t) => {
    const { source, dest, from, to } = scene(t, kind);
    const order = plantTree(from, source, { width: 2, files: 24 });
    const files = from.readdir(`tree/${order[1]}`);
    const before = contents(source);
    let moved;
    await attacked(
      t,
      SLOWED,
      (source, dest, [done, dir], first, last) => {
        until(() => hidden(dest, (at) => exists(path.join(at, dir, first))));
        fs.renameSync(path.join(source, 'tree', dir, last), path.join(source, 'tree', done, 'stray'));
      },
      [source, dest, order, files[0], files.at(-1)],
      () => (moved = outcome(() => from.move('tree', 'dest', { to }))),
    );
    assert.deepStrictEqual(contents(source, dest), before);
    assert.strictEqual(moved.error?.code, 'EBUSY');
    assert.match(moved.error.message, REASON);
    assert.deepStrictEqual(fs.readdirSync(dest), []);
  });

  // While the copy waits for its name, everything was copied.
  const LATE = {
    'a file that is written to': (at) => fs.appendFileSync(at, ' and more'),
    'a file that another one replaces': (at) => {
      fs.writeFileSync(`${at}.new`, 'and more');
      fs.renameSync(`${at}.new`, at);
    },
    'a file that another one with its inode number replaces': (at) => {
      const { ino } = fs.statSync(at);
      for (let i = 0; i < 50; i++) {
        fs.unlinkSync(at);
        fs.writeFileSync(at, 'and more');
        if (fs.statSync(at).ino === ino) return true;
      }
      return false;
    },
  };
  for (const [title, changed] of Object.entries(LATE)) {
    if (title.includes('inode') && !REUSES.includes(kind)) continue;
    for (const tree of kind === 'ext4' ? [false, true] : [true]) {
      const where = tree ? ' in a tree' : '';
      attackedTest(`${kind}: ${title} after it was copied${where} is left, and named`, async (t) => {
        const at = tree ? 'top/sub/file' : 'top';
        const planted = tree ? { top: { sub: { file: 'old', other: 'other' } } } : { top: 'old' };
        const late = await movedWhile(
          t,
          kind,
          planted,
          `(dest, source) => {
            until(() => hidden(dest, (at) => exists(path.join(at, '${tree ? 'sub/other' : ''}'))));
            rest(20);
            return (${changed})(path.join(source, '${at}'));
          }`,
        );
        if (late === false) return t.skip('no inode number is used again here');
        const { source, dest, from, to, error } = late;
        assert.match(fs.readFileSync(path.join(source, at), 'utf8'), /and more$/);
        assert.deepStrictEqual(contents(dest), tree ? ['old', 'other'] : ['old']);
        assert.deepStrictEqual(fs.readdirSync(dest), ['dest']);
        assert.strictEqual(error?.code, 'EBUSY');
        assert.match(error.message, REASON);
        const again = outcome(() => from.move('top', 'dest', { to }));
        assert.strictEqual(again.error.code, 'EEXIST');
      });
    }
  }
}

const SET_LATE = {
  'the mode': (at) => fs.chmodSync(at, 0o711),
  'the owner': (at) => fs.chownSync(at, 65534, 65534),
  'an attribute': (at) => execFileSync('setfattr', ['-n', 'user.late', '-v', 'x', at]),
  'an ACL': (at) => execFileSync('setfacl', ['-m', 'u:65534:rx', at]),
  'a default ACL': (at) => execFileSync('setfacl', ['-d', '-m', 'u:65534:rx', at]),
};
for (const [title, set] of Object.entries(SET_LATE)) {
  attackedTest(`${title} of a directory, set after it was copied, is not lost`, async (t) => {
    const { source, dest, error } = await movedWhile(
      t,
      'ext4',
      { top: { 'dir 1': { file: 'one' }, 'dir 2': { file: 'two' } } },
      `(dest, source) => {
        const { execFileSync } = require('node:child_process');
        until(() => hidden(dest, (at) => ['dir 1/file', 'dir 2/file'].every((name) => exists(path.join(at, name)))));
        rest(20);
        (${set})(path.join(source, 'top/dir 1'));
      }`,
    );
    assert.strictEqual(error?.code, 'EBUSY');
    assert.match(error.message, REASON);
    assert.deepStrictEqual(error.entries, ['top/dir 1']);
    assert.deepStrictEqual(contents(source), ['one']);
    assert.deepStrictEqual(contents(dest), ['one', 'two']);
  });
}

attackedTest(
  'the mode of a file that is set at any moment of a move is that of the copy, or the file is left',
  async (t) => {
    const { source, dest, from, to } = scene(t, 'tmpfs');
    const names = Array.from({ length: 24 }, (_, i) => `file ${i}`);
    plant(source, Object.fromEntries(names.map((name) => [name, 'content'])));
    const moved = [];
    const set = await attacked(
      t,
      ['statx:delay_enter=20000'],
      (source, dest, names) =>
        names.map((name, i) => {
          const at = path.join(source, name);
          if (i > 0) until(() => exists(path.join(dest, `${i - 1} is done`)));
          rest(i * 6);
          try {
            fs.chmodSync(at, 0o604);
            return true;
          } catch {
            return false;
          }
        }),
      [source, dest, names],
      () => {
        for (const [i, name] of names.entries()) {
          moved.push(outcome(() => from.move(name, name, { to })).error?.code);
          fs.writeFileSync(path.join(dest, `${i} is done`), '');
        }
      },
    );
    for (const [i, name] of names.entries()) {
      const [at, left] = [dest, source].map((dir) =>
        fs.statSync(path.join(dir, name), { throwIfNoEntry: false }),
      );
      assert.ok(moved[i] === undefined || moved[i] === 'EBUSY', `${moved[i]}`);
      assert.strictEqual(left === undefined, moved[i] === undefined);
      if (set[i]) assert.strictEqual((left ?? at).mode & 0o777, 0o604, `${name}: ${moved[i]}`);
    }
    const kinds = new Set(moved.map((code, i) => `${code} ${set[i]}`));
    assert.ok(kinds.has('EBUSY true') && kinds.has('undefined true'), [...kinds].join());
  },
);

/** What is changed between the removal of two names, and where the move rests then. */
const BETWEEN_NAMES = {
  'an attribute': {
    faults: ['unlinkat:delay_enter=30000'],
    change: (at) =>
      require('node:child_process').execFileSync('setfattr', ['-n', 'user.late', '-v', 'x', at]),
  },
  'the mode': { faults: ['unlinkat:delay_enter=30000'], change: (at) => fs.chmodSync(at, 0o604) },
  'the content': {
    faults: ['unlinkat:delay_enter=30000'],
    change: (at) => fs.appendFileSync(at, ' and more'),
  },
  'the content, with the old time of it,': {
    faults: ['openat2:delay_exit=30000'],
    change: (at) => {
      const { atime, mtime } = fs.statSync(at);
      fs.writeFileSync(at, 'new content', { flag: 'r+' });
      fs.utimesSync(at, atime, mtime);
    },
  },
};
for (const kind of ['ext4', 'tmpfs', 'xfs', 'btrfs']) {
  for (const [title, { faults, change }] of Object.entries(BETWEEN_NAMES)) {
    if (!['ext4', 'tmpfs'].includes(kind) && title !== 'an attribute') continue;
    attackedTest(
      `${kind}: ${title} of a file, changed while its names are removed, is not lost`,
      async (t) => {
        const names = Array.from({ length: 10 }, (_, i) => `name ${i}`);
        for (let tries = 0; tries < 8; tries++) {
          const { source, from, to } = scene(t, kind);
          const at = path.join(source, 'top/name 0');
          plant(source, { top: { 'name 0': 'old content' } });
          // A time that is set back is the same to the last digit.
          fs.utimesSync(at, 1e9, 1e9);
          for (const name of names.slice(1)) fs.linkSync(at, path.join(source, 'top', name));
          // Nobody follows it to its hidden place.
          const other = path.join(source, 'other');
          fs.linkSync(at, other);
          let error;
          const left = await attacked(
            t,
            faults,
            `(at) => {
            const names = () => fs.statSync(at).nlink;
            until(() => names() < 9);
            rest(6);
            const change = ${change};
            change(at);
            return names();
          }`,
            [other],
            () => (error = thrownBy(() => from.move('top', 'dest', { to }))),
          );
          // It came too late.
          if (left < 4) continue;
          assert.strictEqual(error?.code, 'EBUSY');
          assert.match(error.message, REASON);
          assert.ok(error.entries.length > 1, `${error.entries}`);
          for (const entry of error.entries) assert.ok(fs.existsSync(path.join(source, entry)), entry);
          return;
        }
        throw new Error('the change always came too late');
      },
    );
  }
}

const HIDDEN = {
  symlink: (at) => fs.symlinkSync('ours', at),
  FIFO: (at) => execFileSync('mkfifo', [at]),
};
for (const [what, make] of Object.entries(HIDDEN)) {
  attackedTest(
    `a symlink that replaces a hidden ${what} and wants its inode number is not taken for it`,
    async (t) => {
      for (let tries = 0; tries < 8; tries++) {
        const { source, dest, from, to } = scene(t, 'tmpfs', 'ext4');
        make(path.join(source, what));
        let error;
        const isReplaced = await attacked(
          t,
          SLOW_RENAME,
          (dest) => {
            const at = until(() => hidden(dest, exists));
            // Its name comes next.
            rest(15);
            try {
              const { ino } = fs.lstatSync(at);
              fs.unlinkSync(at);
              for (let i = 0; i < 100; i++) {
                fs.symlinkSync('theirs', path.join(dest, `try ${i}`));
                if (fs.lstatSync(path.join(dest, `try ${i}`)).ino !== ino && i < 99) continue;
                fs.renameSync(path.join(dest, `try ${i}`), at);
                return true;
              }
            } catch (error) {
              if (error.code !== 'ENOENT') throw error;
            }
            return false;
          },
          [dest],
          () => (error = thrownBy(() => from.move(what, 'dest', { to, overwrite: true }))),
        );
        // It came too late, or so early that nothing was there yet.
        if (!isReplaced || error?.code === 'ENOENT') continue;
        assert.strictEqual(error?.code, 'EBUSY');
        assert.deepStrictEqual(fs.readdirSync(source), [what]);
        return;
      }
      throw new Error('the attacker was never in time');
    },
  );
}

attackedTest('a symlink that replaces a hidden FIFO at once is EBUSY', async (t) => {
  for (let tries = 0; tries < 8; tries++) {
    const { source, dest, from, to } = scene(t, 'tmpfs', 'ext4');
    HIDDEN.FIFO(path.join(source, 'FIFO'));
    let error;
    const isReplaced = await attacked(
      t,
      ['mknodat:delay_exit=80000'],
      (dest) => {
        const at = until(() => hidden(dest, exists));
        fs.symlinkSync('theirs', path.join(dest, 'theirs'));
        fs.renameSync(path.join(dest, 'theirs'), at);
        return !exists(path.join(dest, 'dest'));
      },
      [dest],
      () => (error = thrownBy(() => from.move('FIFO', 'dest', { to, overwrite: true }))),
    );
    if (!isReplaced) continue;
    assert.strictEqual(error?.code, 'EBUSY');
    assert.deepStrictEqual(fs.readdirSync(source), ['FIFO']);
    return;
  }
  throw new Error('the attacker was never in time');
});

test('ext4 with small inodes: a file of this second is waited for, whatever its mtime', (t) => {
  // Its times are whole seconds.
  const [source, dest] = [folder('ext4 with small inodes'), folderOn(t, 'tmpfs')];
  disk(source, 64, ['mkfs.ext4', '-q', '-I', '128']);
  t.after(() => run('umount', '--lazy', source));
  const [from, to] = [source, dest].map((dir) => new SandboxRoot(dir));
  t.after(() => [from, to].forEach((root) => root.close()));
  for (const mtime of [1e9, 2e9]) {
    const at = path.join(source, 'file');
    fs.writeFileSync(at, 'content');
    fs.utimesSync(at, mtime, mtime);
    const { ctimeMs } = fs.statSync(at);
    from.move('file', `${mtime}`, { to });
    assert.ok(Date.now() >= ctimeMs + 2000, `${Date.now()} ${ctimeMs}, ${mtime}`);
  }
});

attackedTest('what is left in the source is named by the error, and nothing else is left', async (t) => {
  const { source, dest, from, to } = scene(t, 'tmpfs');
  plantTree(from, source);
  let error;
  await attacked(
    t,
    SLOW_RENAME,
    (source, dest) => {
      until(() => hidden(dest, (at) => fs.readdirSync(at).length === 8));
      rest(20);
      fs.writeFileSync(path.join(source, 'tree/new'), 'new');
      fs.appendFileSync(path.join(source, 'tree/dir 3/file 1'), ' and more');
      fs.mkdirSync(path.join(source, 'tree/dir 5/late'));
    },
    [source, dest],
    () => {
      try {
        from.move('tree', 'dest', { to, overwrite: true });
      } catch (thrown) {
        error = thrown;
      }
    },
  );
  const left = ['tree/dir 3/file 1', 'tree/dir 5/late', 'tree/new'];
  assert.strictEqual(error?.code, 'EBUSY');
  assert.deepStrictEqual(error.entries?.sort(), left);
  assert.deepStrictEqual(Object.keys(snapshot(source)), [
    'tree',
    'tree/dir 3',
    left[0],
    'tree/dir 5',
    left[1],
    left[2],
  ]);
  assert.strictEqual(contents(dest).length, 24);
});

for (const kind of ['btrfs', 'tmpfs', 'ext4', 'xfs']) {
  for (const part of ['.', 'sub', 'sub/deeper']) {
    test(`${kind}: a move into itself, through a bind mount of ${part} of it, is EINVAL`, (t) => {
      const dir = folderOn(t, kind);
      plant(dir, { tree: { a: { file: 'a' }, sub: { deeper: { file: 'b' } }, z: { file: 'z' } } });
      const alias = folder('alias');
      run('mount', '--bind', path.join(dir, 'tree', part), alias);
      const [from, to] = [dir, alias].map((at) => new SandboxRoot(at));
      t.after(() => {
        for (const root of [from, to]) root.close();
        run('umount', '--lazy', alias);
      });
      const before = snapshot(dir);
      for (const overwrite of [false, true]) {
        const { error } = outcome(() => from.move('tree', 'new', { to, overwrite }));
        assert.deepStrictEqual(snapshot(dir), before);
        assert.strictEqual(error?.code, 'EINVAL');
      }
    });
  }
}

for (const fails of [false, true]) {
  for (const kind of ['tmpfs', 'ext4']) {
    const title = `${kind}: a tree put in place of the hidden copy of a move that ${fails ? 'fails' : 'succeeds'}`;
    attackedTest(`${title} is neither removed nor taken for the copy`, async (t) => {
      const { source, dest, from, to } = scene(t, kind === 'tmpfs' ? 'ext4' : 'tmpfs', kind);
      const order = plantTree(from, source);
      plant(dest, { precious: { dir: { file: 'precious' } } });
      if (fails) {
        // Nobody copies a socket.
        const server = net.createServer().listen(path.join(source, 'tree', order.at(-1), 'socket'));
        await once(server, 'listening');
        t.after(() => server.close());
      }
      const before = contents(source, dest);
      let error;
      await attacked(
        t,
        SLOWED,
        (dest, half) => {
          const at = until(() => hidden(dest, (at) => exists(path.join(at, half))));
          fs.renameSync(at, path.join(dest, 'stolen'));
          fs.renameSync(path.join(dest, 'precious'), at);
        },
        [dest, order[4]],
        () => {
          try {
            from.move('tree', 'dest', { to });
          } catch (thrown) {
            error = thrown;
          }
        },
      );
      const all = new Set(contents(source, dest));
      assert.deepStrictEqual(
        before.filter((content) => !all.has(content)),
        [],
      );
      assert.ok(error !== undefined, 'what was published is not what was moved');
      assert.strictEqual(error.code, fails ? 'ENXIO' : 'EBUSY');
      assert.strictEqual(contents(source).length, 24);
      // What has the hidden name now is not removed, but named.
      assert.deepStrictEqual(
        error.entries,
        fs.readdirSync(dest).filter((name) => name.startsWith('.')),
      );
    });
  }
}

for (const kind of ['tmpfs', 'ext4', 'btrfs']) {
  test(`${kind}: of two moves of one tree, each has all of it at its destination or nothing`, async (t) => {
    const ROUNDS = FULL ? 100 : 3;
    for (let i = 0; i < ROUNDS; i++) {
      const { source, dest, from } = scene(t, kind);
      plantTree(from, source, { width: 40, files: 8 });
      const before = contents(source);
      const [gate, other] = [path.join(dest, 'gate'), folderOn(t, kind === 'tmpfs' ? 'ext4' : 'tmpfs')];
      const movers = ['one', 'two'].map((name, i) =>
        start(
          t,
          (source, dest, gate, name) => {
            const [from, to] = [source, dest].map((dir) => new SandboxRoot(dir));
            console.log('ready');
            while (!fs.existsSync(gate));
            try {
              from.move('tree', name, { to });
            } catch ({ code, entries }) {
              return { code, entries };
            }
          },
          [source, [dest, other][i], gate, name],
        ),
      );
      await Promise.all(movers.map(({ ready }) => ready));
      fs.writeFileSync(gate, '');
      const ends = await Promise.all(movers.map(async ({ result }) => (await result).value));
      fs.unlinkSync(gate);
      const ended = JSON.stringify(ends);
      const all = new Set(contents(source, dest, other));
      assert.deepStrictEqual(
        before.filter((content) => !all.has(content)),
        [],
        ended,
      );
      for (const [i, [dir, name]] of [
        [dest, 'one'],
        [other, 'two'],
      ].entries()) {
        // biome-ignore format: pairs
        const names = fs.readdirSync(dir);
        if (names.length > 0) assert.deepStrictEqual([names, contents(dir)], [[name], before], ended);
        if (ends[i] === null) assert.deepStrictEqual(names, [name]);
      }
    }
  });
}

for (const kind of ['tmpfs', 'ext4', 'xfs', 'btrfs', 'bindfs']) {
  attackedTest(
    `${kind}: a move that begins while another one removes its source finds nothing there`,
    async (t) => {
      const { source, dest, from, to } = scene(t, kind);
      plantTree(from, source);
      const before = contents(source);
      const late = await attacked(
        t,
        ['unlinkat:delay_exit=6000'],
        (source, dest) => {
          const [from, to] = [source, dest].map((dir) => new SandboxRoot(dir));
          until(() => exists(path.join(dest, 'dest')));
          rest(100);
          try {
            from.move('tree', 'late', { to });
          } catch ({ code }) {
            return code;
          }
        },
        [source, dest],
        () => from.move('tree', 'dest', { to }),
      );
      assert.strictEqual(late, 'ENOENT');
      assert.deepStrictEqual(
        [fs.readdirSync(dest), contents(dest), fs.readdirSync(source)],
        [['dest'], before, []],
      );
    },
  );
}

for (const target of ['tmpfs', 'ext4', 'xfs', 'bindfs']) {
  test(`${target}: a move that fails removes its copy of directories that nobody may write to`, async (t) => {
    const { source, dest, from, to } = scene(t, target === 'tmpfs' ? 'ext4' : 'tmpfs', target);
    const order = plantTree(from, source);
    const server = net.createServer().listen(path.join(source, 'tree', order.at(-1), 'socket'));
    await once(server, 'listening');
    t.after(() => server.close());
    for (const name of order) fs.chmodSync(path.join(source, 'tree', name), 0o555);
    run('chown', '-R', `${NOBODY}:${NOBODY}`, source, dest);
    const before = snapshot(source);
    const { error } = unprivileged(() => outcome(() => from.move('tree', 'dest', { to, overwrite: true })));
    assert.strictEqual(error?.code, 'ENXIO');
    assert.deepStrictEqual([snapshot(source), fs.readdirSync(dest)], [before, []]);
  });
}

for (const options of ['redirect_dir=off', 'redirect_dir=off,index=on', 'redirect_dir=off,xino=off']) {
  test(`overlayfs, ${options}: files of the lower layer with several names are moved, and removed`, (t) => {
    const at = folder('overlay');
    const lower = tempDir(t, volume('ext4'));
    plant(lower, { tree: { a: 'linked', dir: { d: 'deep' } }, single: 'single' });
    fs.linkSync(path.join(lower, 'tree/a'), path.join(lower, 'tree/b'));
    fs.linkSync(path.join(lower, 'tree/a'), path.join(lower, 'tree/dir/c'));
    fs.linkSync(path.join(lower, 'single'), path.join(lower, 'twin'));
    overlay(at, lower, tempDir(t, volume('tmpfs')), options);
    const to = new SandboxRoot(folderOn(t, 'xfs'));
    const from = new SandboxRoot(at);
    t.after(() => {
      for (const root of [from, to]) root.close();
      run('umount', '--lazy', at);
    });
    from.move('tree', 'tree', { to });
    from.move('single', 'single', { to });
    assert.deepStrictEqual(fs.readdirSync(at), ['twin']);
    assert.deepStrictEqual(to.readFile('tree/dir/c', 'utf8'), 'linked');
    assert.deepStrictEqual(to.readFile('single', 'utf8'), 'single');
    assert.strictEqual(to.stat('tree/a').nlink, 3);
  });
}

for (const target of ['bindfs', 'fuse2fs']) {
  test(`${target}: a move that could not be published without replacing fails before it copies`, (t) => {
    const { source, dest, from, to } = scene(t, 'ext4', target);
    plantTree(from, source);
    const before = snapshot(source);
    const told = [];
    const onProgress = (progress) => told.push(progress);
    const { error } = outcome(() => from.move('tree', 'dest', { to, onProgress }));
    assert.strictEqual(error?.code, 'EINVAL');
    assert.deepStrictEqual(
      told.filter(({ entries, bytes }) => entries > 0 || bytes > 0),
      [],
    );
    assert.deepStrictEqual([snapshot(source), fs.readdirSync(dest)], [before, []]);
  });
}

for (const flush of [true, false]) {
  test(`with { flush: ${flush} } a move ${flush ? 'waits' : 'does not wait'} for the disk before it removes`, async (t) => {
    if (withoutAttaching()) return t.skip(withoutAttaching());
    const { source, from, to } = scene(t, 'tmpfs', 'ext4');
    plantTree(from, source);
    const log = path.join(source, 'log');
    await slowed([], () => from.move('tree', 'dest', { to, flush }), log);
    const calls = fs.readFileSync(log, 'utf8').split('\n');
    const of = (pattern) => calls.findIndex((line) => pattern.test(line));
    const lastOf = (pattern) => calls.findLastIndex((line) => pattern.test(line));
    const removed = of(/\bunlinkat\([^)]*"file/);
    const published = of(/\brenameat2\([^)]*"dest".* = 0/);
    assert.ok(removed > published && published > 0);
    if (!flush) return assert.strictEqual(of(/\bsyncfs\(/), -1);
    // The content before it has its name, and the name before the source is gone.
    assert.ok(of(/\bsyncfs\(.* = 0/) > lastOf(/\b(copy_file_range|sendfile|write)\(.*content/));
    assert.ok(of(/\bsyncfs\(.* = 0/) < published);
    assert.ok(lastOf(/\bsyncfs\(.* = 0/) > published && lastOf(/\bsyncfs\(/) < removed);
  });
}

attackedTest(
  'a directory that gets the name of the source at the last moment is where its owner finds it, or named',
  async (t) => {
    const { source, dest, from, to } = scene(t, 'ext4');
    plant(source, { tree: { file: 'moved' }, theirs: { file: 'precious' } });
    let error;
    await attacked(
      t,
      ['renameat2:delay_enter=100000:delay_exit=100000'],
      (source, dest) => {
        const [tree, theirs] = ['tree', 'theirs'].map((name) => path.join(source, name));
        until(() => exists(path.join(dest, 'tree')));
        fs.renameSync(tree, path.join(source, 'elsewhere'));
        fs.renameSync(theirs, tree);
        until(() => !exists(tree));
        fs.mkdirSync(tree);
      },
      [source, dest],
      () => (error = thrownBy(() => from.move('tree', 'tree', { to }))),
    );
    assert.strictEqual(error?.code, 'EBUSY');
    const hidden = fs.readdirSync(source).filter((name) => name.startsWith('.'));
    assert.strictEqual(hidden.length, 1);
    assert.deepStrictEqual(error.entries, hidden);
    assert.strictEqual(fs.readFileSync(path.join(source, hidden[0], 'file'), 'utf8'), 'precious');
  },
);

attackedTest('a move takes no directory for a part of its copy that it did not make', async (t) => {
  const { source, dest, from, to } = scene(t, 'ext4');
  const order = plantTree(from, source);
  const before = snapshot(source);
  let error;
  await attacked(
    t,
    SLOWED,
    (dest, first, later) => {
      const at = until(() => hidden(dest, (at) => exists(path.join(at, first))));
      fs.mkdirSync(path.join(at, later));
    },
    [dest, order[0], order[5]],
    () => (error = thrownBy(() => from.move('tree', 'dest', { to }))),
  );
  assert.strictEqual(error?.code, 'EEXIST');
  assert.deepStrictEqual(snapshot(source), before);
  assert.ok(!fs.existsSync(path.join(dest, 'dest')));
  assert.deepStrictEqual(
    error.entries.map((at) => at.split('/')[1]),
    [order[5]],
  );
});

test('a move without descriptors to spare leaves nothing beside the destination', async (t) => {
  const { source, dest } = scene(t, 'ext4');
  const dirs = Array.from({ length: 40 }, (_, i) => [`dir ${i}`, { file: 'content' }]);
  plant(source, { tree: Object.fromEntries(dirs) });
  const body = (source, dest) => {
    const [from, to] = [source, dest].map((dir) => new SandboxRoot(dir));
    const spare = [];
    for (;;) {
      try {
        spare.push(fs.openSync('/dev/null'));
      } catch {
        break;
      }
    }
    const errors = [];
    for (;;) {
      fs.closeSync(spare.pop());
      try {
        from.move('tree', 'tree', { to });
        return errors;
      } catch ({ code, entries }) {
        errors.push({ code, entries });
      }
    }
  };
  const errors = await inChild(t, body, [source, dest], { limits: { n: 100 } });
  assert.ok(errors.length > 5);
  for (const error of errors) assert.deepStrictEqual(error, { code: 'EMFILE' });
  assert.deepStrictEqual([fs.readdirSync(source), fs.readdirSync(dest)], [[], ['tree']]);
});

for (const kind of ['tmpfs', 'ext4', 'overlayfs', 'bindfs']) {
  attackedTest(
    `${kind}: a file that others take before its move removes it is not moved by both`,
    async (t) => {
      const { source, dest, from, to } = scene(t, kind);
      plant(source, { file: 'content' });
      let moved;
      await attacked(
        t,
        ['unlinkat:delay_enter=80000'],
        (source, dest) => {
          until(() => exists(path.join(dest, 'dest')));
          fs.renameSync(path.join(source, 'file'), path.join(source, 'taken'));
        },
        [source, dest],
        () => (moved = outcome(() => from.move('file', 'dest', { to }))),
      );
      assert.deepStrictEqual([fs.readdirSync(source), fs.readdirSync(dest)], [['taken'], ['dest']]);
      assert.strictEqual(moved.error?.code, 'EBUSY');
      assert.match(moved.error.message, REASON);
      assert.strictEqual(moved.error.entries, undefined);
    },
  );
}

/** Overwrites `at` with a number of ten digits, on the disk, for 300 ms. Gives the last one back. */
function count(at) {
  const fd = fs.openSync(at, 'r+');
  console.log('ready');
  for (let i = 1; i <= 15; i++) {
    fs.writeSync(fd, String(i).padStart(10, '0'), 0);
    fs.fsyncSync(fd);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  }
  return 15;
}

test('ext4 with times in seconds: what is written within one second is not lost', async (t) => {
  const dir = folder('ext4 with small inodes');
  disk(dir, 64, ['mkfs.ext4', '-q', '-I', '128']);
  const dest = folderOn(t, 'tmpfs');
  const [from, to] = [dir, dest].map((at) => new SandboxRoot(at));
  t.after(() => [from, to].forEach((root) => root.close()));
  plant(dir, { tree: { counter: '0000000000' } });
  const counting = start(t, count, [path.join(dir, 'tree/counter')]);
  await counting.ready;
  const { error } = outcome(() => from.move('tree', 'moved', { to }));
  const { value: last } = await counting.result;
  assert.ok(error === undefined || error.code === 'EBUSY', error?.message);
  const at = error === undefined ? path.join(dest, 'moved/counter') : path.join(dir, 'tree/counter');
  assert.strictEqual(Number(fs.readFileSync(at, 'utf8')), last);
});
