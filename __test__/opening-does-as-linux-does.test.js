'use strict';
// open, openWrite and writeFile with every combination of flags, modes and umasks, beside node:fs: the
// same file comes out, or the same error, and nothing is left behind.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { isDeepStrictEqual } = require('node:util');
const { SandboxRoot } = require('..');
const { bothWays, isRoot, link, memory, outcome, plant, snapshot, tempDir } = require('./support');
const { settled, unprivileged } = require('./support');

const { O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } = fs.constants;

const TREE = { file: 'some content', dir: { inner: '' }, tofile: link('file'), dangling: link('made') };

/** Two trees of one shape. Ordinary users can work in them. */
function twins(t, options) {
  const base = tempDir(t, memory);
  fs.chmodSync(base, 0o777);
  const dirs = ['ours', 'theirs'].map((name) => path.join(base, name));
  unprivileged(() => {
    for (const dir of dirs) {
      fs.mkdirSync(dir);
      plant(dir, TREE);
    }
  });
  return { dirs, root: new SandboxRoot(dirs[0], options), theirs: (name) => path.join(dirs[1], name) };
}

/** What a descriptor is good for, told by using it: read, write, where; and closes it. */
function used(fd) {
  try {
    const room = Buffer.alloc(100);
    return {
      read: outcome(() => room.toString('latin1', 0, fs.readSync(fd, room))).error?.code ?? 'read',
      write: outcome(() => fs.writeSync(fd, 'more')).error?.code ?? 'written',
      mode: fs.fstatSync(fd).mode.toString(8),
    };
  } finally {
    fs.closeSync(fd);
  }
}

const told = ({ value, error }) => [value, error?.code];

const ACCESS = { O_RDONLY, O_WRONLY, O_RDWR };
const MORE = [0, O_CREAT, O_TRUNC, O_APPEND, O_CREAT | O_TRUNC, O_CREAT | O_EXCL, O_CREAT | O_EXCL | O_TRUNC];
/** Every way to open, by a number. */
const FLAGS = Object.values(ACCESS).flatMap((access) =>
  [...MORE, O_TRUNC | O_APPEND, O_CREAT | O_TRUNC | O_APPEND].map((more) => access | more),
);

for (const symlinks of ['reject', 'beneath']) {
  const names = ['file', 'new', 'dir', 'dir/new', ...(symlinks === 'reject' ? [] : ['tofile', 'dangling'])];
  bothWays(`open does what Linux does with every combination of flags: '${symlinks}'`, async (t, of) => {
    const differences = [];
    for (const flags of FLAGS) {
      for (const name of names) {
        const { dirs, root, theirs } = twins(t, { symlinks });
        // What is wrong is known when it is opened; else the descriptor is there to be used.
        const ours = await settled((async () => used(await of(root).open(name, flags, 0o640)))());
        const expected = outcome(() => used(fs.openSync(theirs(name), flags, 0o640)));
        const actual = [told(ours), snapshot(dirs[0])];
        if (!isDeepStrictEqual(actual, [told(expected), snapshot(dirs[1])])) {
          const [said, came] = [expected, ours].map((of) => of.error?.code ?? JSON.stringify(of.value));
          differences.push(`${name}, flags 0o${flags.toString(8)}: ${said} by Linux, ${came} here`);
        }
        root.close();
      }
    }
    assert.deepStrictEqual(differences, []);
  });
}

bothWays('a file that is opened for reading and cut is empty', async (t, of) => {
  const { root, dirs } = twins(t);
  fs.closeSync(await of(root).open('file', O_RDONLY | O_TRUNC));
  assert.strictEqual(fs.readFileSync(path.join(dirs[0], 'file'), 'utf8'), '');
});

bothWays('a file that may not be written is not cut by opening it for reading', async (t, of) => {
  const { root, dirs, theirs } = twins(t);
  for (const dir of dirs) fs.chmodSync(path.join(dir, 'file'), 0o444);
  const [expected, ours] = await unprivileged(async () => [
    outcome(() => fs.openSync(theirs('file'), O_RDONLY | O_TRUNC)),
    await settled((async () => of(root).open('file', O_RDONLY | O_TRUNC))()),
  ]);
  assert.strictEqual(expected.error?.code, 'EACCES');
  assert.strictEqual(ours.error?.code, 'EACCES');
  assert.deepStrictEqual(snapshot(dirs[0]), snapshot(dirs[1]));
});

const MODES = [0o6755, 0o4711, 0o2755, 0o2775, 0o1666, 0o7777, 0o600, 0o666, 0];
const CREATING = {
  openWrite: (of, name, mode) => of.openWrite(name, true, false, false, mode),
  'openWrite that truncates': (of, name, mode) => of.openWrite(name, true, true, false, mode),
  'openWrite that appends': (of, name, mode) => of.openWrite(name, true, false, true, mode),
  open: (of, name, mode) => of.open(name, 'w', mode),
  'open for appending': (of, name, mode) => of.open(name, 'a+', mode),
  'open for reading, and cut': (of, name, mode) => of.open(name, O_RDONLY | O_CREAT | O_TRUNC, mode),
  'open of a new one': (of, name, mode) => of.open(name, 'wx', mode),
  writeFile: (of, name, mode) => of.writeFile(name, '', { mode }),
  'writeFile of a new one': (of, name, mode) => of.writeFile(name, '', { mode, flag: 'wx' }),
  appendFile: (of, name, mode) => of.appendFile(name, '', { mode }),
};

for (const umask of [0o022, 0o077, 0]) {
  bothWays(
    `a new file of an ordinary user has all twelve bits that were asked, less the umask 0${umask.toString(8)}`,
    async (t, of) => {
      const { root, dirs, theirs } = twins(t);
      const before = process.umask(umask);
      t.after(() => process.umask(before));
      for (const [what, make] of Object.entries(CREATING)) {
        for (const mode of MODES) {
          const name = `${what} ${mode.toString(8)}`;
          await unprivileged(async () => {
            const made = await make(of(root), name, mode);
            if (made !== undefined) fs.closeSync(made);
            // As Node makes a file: by open(2), in one call.
            fs.closeSync(fs.openSync(theirs(name), 'w', mode));
          });
          const [ours, expected] = [path.join(dirs[0], name), theirs(name)].map(
            (at) => fs.statSync(at).mode & 0o7777,
          );
          assert.strictEqual(ours.toString(8), expected.toString(8), name);
        }
      }
    },
  );
}

bothWays('a file that is there loses setuid and setgid when it is cut, as with node:fs', async (t, of) => {
  const { root, dirs, theirs } = twins(t);
  for (const dir of dirs) unprivileged(() => fs.chmodSync(path.join(dir, 'file'), 0o6755));
  await unprivileged(async () => {
    fs.closeSync(await of(root).open('file', 'w'));
    fs.closeSync(fs.openSync(theirs('file'), 'w'));
  });
  assert.deepStrictEqual(snapshot(dirs[0]), snapshot(dirs[1]));
  if (isRoot) assert.strictEqual(fs.statSync(theirs('file')).mode & 0o7777, 0o755);
});
