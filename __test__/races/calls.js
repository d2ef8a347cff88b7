'use strict';
// The table of the races: every method, raced at each of its paths.
//
// A row is `call(root, place)`, made over and over while a directory on the way, or the leaf itself,
// is exchanged with a symlink to outside, where the same names exist (`holds`). After every success
// `judge(place, value)` makes sure that the effect is inside, puts everything back, and tells whether
// it was the real thing (no answer) or the symlink itself ('link') that was acted on. `place` has the
// raced path (`path`), and ways to what is behind it that the attacker does not touch: see field.js.
// `root` may be the promises of one: a call that is made of several waits for each.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { O_PATH, isRoot, link, plant, settled } = require('../support');

const INSIDE = 'what is inside';
const SECRET = 'what is outside, and none of your business';
const NEW = 'new content';

// What there is at the raced path, inside and outside, before each call.
const NOTHING = () => undefined;
const FILE = (text) => text;
const DIRECTORY = () => ({});
const TREE = (text) => ({ a: { b: text } });
const LINK = (text) => link(text);
/** A directory in which there is a name that is nowhere inside. */
const PROBE = (text) => ({ [text === INSIDE ? 'inside' : 'outside']: text });
const PROBES = (text) => ({ d: PROBE(text) });

const read = (at) => fs.readFileSync(at, 'utf8');
const isThere = (at) => fs.lstatSync(at, { throwIfNoEntry: false }) !== undefined;
const idOf = ({ dev, ino }) => ({ dev, ino });

function assertSame(at, stat) {
  assert.deepStrictEqual(idOf(stat), idOf(fs.statSync(at)), 'it is the file inside');
}

/** The file at `at` was written by the call: it has `text`, and gets its own again. */
function assertWritten(at, text) {
  assert.strictEqual(read(at), text);
  fs.writeFileSync(at, INSIDE);
}

/** Something was made at `at`: it is taken away again. */
function assertMade(at, text) {
  assert.strictEqual(read(at), text);
  fs.unlinkSync(at);
}

/** What was at the raced path is gone: it is put back. */
function assertGone(what, { x }) {
  assert.ok(!isThere(x), 'it is gone inside');
  plantAt(x, what(INSIDE));
}

function plantAt(at, what) {
  plant(at.slice(0, at.lastIndexOf('/')), { [at.slice(at.lastIndexOf('/') + 1)]: what });
}

/** Does `action` with the open file `fd`, and closes it. */
function withFd(fd, action) {
  try {
    action(fs.fstatSync(fd));
  } finally {
    fs.closeSync(fd);
  }
}

/** `openWrite` gave `fd`: what is written there has to arrive inside. */
function assertWritable({ x }, fd, expected) {
  withFd(fd, (stat) => {
    assertSame(x, stat);
    fs.writeSync(fd, NEW);
  });
  assertWritten(x, expected);
}

/** Somebody else, where the tests may give files away. */
const [SOMEBODY, NOBODY_ELSE] = isRoot ? [4321, 0] : [process.getuid(), process.getuid()];

function assertGiven(at) {
  assert.strictEqual(fs.statSync(at).uid, SOMEBODY);
  fs.chownSync(at, NOBODY_ELSE, -1);
}

/** Whether it was the file at `x` that was changed, as `assertChanged` looks for; else it was the symlink. */
function changedOrLink(isChanged, assertChanged) {
  if (!isChanged) return 'link';
  assertChanged();
  return 'real';
}

const HUNDRED_YEARS = 3_155_760_000;
const ns = (seconds) => seconds * 1e9;

function assertTimed(at) {
  assert.strictEqual(fs.statSync(at).mtimeMs, HUNDRED_YEARS * 1000);
  fs.utimesSync(at, 5, 5);
}

const metadata = [
  {
    method: 'chmod',
    call: (root, { path }) => root.chmod(path, 0o710),
    judge: ({ x }) => {
      assert.strictEqual(fs.statSync(x).mode & 0o777, 0o710);
      fs.chmodSync(x, 0o700);
    },
  },
  {
    method: 'utimes',
    call: (root, { path }) => root.utimes(path, ns(1), ns(HUNDRED_YEARS)),
    judge: ({ x }) => assertTimed(x),
  },
  {
    method: 'chown',
    call: (root, { path }) => root.chown(path, SOMEBODY, -1),
    judge: ({ x }) => assertGiven(x),
  },
  {
    method: 'stat',
    leaks: true,
    call: (root, { path }) => root.stat(path),
    judge: ({ x }, stat) => assertSame(x, stat),
  },
];

/** What was listed is what is inside. */
const listed = {
  leaks: true,
  told: (value) => assert.ok(!JSON.stringify(value).includes('outside'), 'names outside are not told'),
};

const sorted = (names) => [...names].sort();

async function collected(entries) {
  const all = [];
  for await (const entry of entries) all.push(entry);
  return all;
}

/** Rows that act on the thing at the path, and refuse a symlink there: raced at the leaf as well. */
const onTheThing = [
  ...metadata.map((row) => ({ ...row, holds: FILE })),
  ...metadata.map((row) => ({ ...row, name: 'of a directory', holds: DIRECTORY })),
  {
    method: 'exists',
    holds: PROBE,
    leaks: true,
    call: async (root, { path }) => ({
      is: await root.exists(path),
      outside: await root.exists(`${path}/outside`),
    }),
    told: ({ outside }) => assert.strictEqual(outside, false),
    judge: (_, { is }) => (is ? 'real' : 'no'),
  },
  {
    method: 'access',
    holds: PROBE,
    leaks: true,
    call: async (root, { path }) => {
      await root.access(path);
      return settled((async () => root.access(`${path}/outside`))());
    },
    told: ({ error }) => assert.ok(error, 'what is outside is not to be seen'),
    judge: () => 'real',
  },
  // Inside and outside are on one file system: what it says of them is the same.
  {
    method: 'statfs',
    holds: PROBE,
    leaks: true,
    call: async (root, { path }) => {
      await root.statfs(path);
      return settled((async () => root.statfs(`${path}/outside`))());
    },
    told: ({ error }) => assert.ok(error, 'what is outside is not to be seen'),
    judge: () => 'real',
  },
  {
    method: 'truncate',
    holds: FILE,
    call: (root, { path }) => root.truncate(path, 4),
    judge: ({ x }) => assertWritten(x, INSIDE.slice(0, 4)),
  },
  {
    method: 'openRead',
    holds: FILE,
    leaks: true,
    call: (root, { path }) => root.openRead(path),
    judge: ({ x }, fd) =>
      withFd(fd, (stat) => {
        assertSame(x, stat);
        assert.strictEqual(read(fd), INSIDE);
      }),
  },
  {
    method: 'openRead',
    name: 'of a directory',
    holds: DIRECTORY,
    leaks: true,
    call: (root, { path }) => root.openRead(path),
    judge: ({ x }, fd) => withFd(fd, (stat) => assertSame(x, stat)),
  },
  {
    method: 'openWrite',
    holds: FILE,
    leaks: true,
    call: (root, { path }) => root.openWrite(path),
    judge: (place, fd) => assertWritable(place, fd, NEW + INSIDE.slice(NEW.length)),
  },
  {
    method: 'openWrite',
    name: 'that truncates',
    holds: FILE,
    call: (root, { path }) => root.openWrite(path, true, true),
    judge: (place, fd) => assertWritable(place, fd, NEW),
  },
  {
    method: 'openWrite',
    name: 'that appends',
    holds: FILE,
    leaks: true,
    call: (root, { path }) => root.openWrite(path, true, false, true),
    judge: (place, fd) => assertWritable(place, fd, INSIDE + NEW),
  },
  {
    method: 'realpath',
    holds: FILE,
    leaks: true,
    call: (root, { path }) => root.realpath(path),
    judge: (place, value) => assert.strictEqual(value, path.normalize(place.path)),
  },
  {
    method: 'readdir',
    holds: PROBE,
    ...listed,
    call: (root, { path }) => root.readdir(path),
    judge: (_, names) => assert.deepStrictEqual(names, ['inside']),
  },
  {
    method: 'readdir',
    name: 'with recursive and types',
    holds: PROBES,
    ...listed,
    call: (root, { path }) => root.readdir(path, { recursive: true, withFileTypes: true }),
    judge: (place, entries) =>
      assert.deepStrictEqual(
        entries.map(({ name, parentPath, type }) => [name, parentPath.slice(place.path.length), type]),
        [
          ['d', '', 'directory'],
          ['inside', '/d', 'file'],
        ],
      ),
  },
  {
    method: 'walk',
    holds: PROBES,
    ...listed,
    // A root has it, its promises have not; and Node has none.
    onlyCalls: true,
    onlyHere: true,
    call: (root, { path }) => collected(root.walk(path)),
    judge: (_, entries) => assert.deepStrictEqual(sorted(entries.map(({ name }) => name)), ['d', 'inside']),
  },
  {
    method: 'opendir',
    holds: PROBES,
    ...listed,
    // How Node lists one is another question.
    onlyHere: true,
    call: async (root, { path }) => collected(await root.opendir(path, { recursive: true })),
    judge: (_, entries) => assert.deepStrictEqual(sorted(entries.map(({ name }) => name)), ['d', 'inside']),
  },
  {
    method: 'openRoot',
    holds: PROBE,
    onlyHere: true,
    call: async (root, { path }) => {
      const inner = await root.openRoot(path);
      try {
        return inner.readdir('.');
      } finally {
        inner.close();
      }
    },
    ...listed,
    judge: (_, names) => assert.deepStrictEqual(names, ['inside']),
  },
  {
    method: 'hostPath',
    holds: PROBE,
    onlyHere: true,
    call: async (root, { path }) => {
      const there = await root.hostPath(path);
      try {
        return fs.readdirSync(there.path);
      } finally {
        there.close();
      }
    },
    ...listed,
    judge: (_, names) => assert.deepStrictEqual(names, ['inside']),
  },
  {
    method: 'open',
    holds: FILE,
    leaks: true,
    call: (root, { path }) => root.open(path, 'r+'),
    judge: ({ x }, fd) =>
      withFd(fd, (stat) => {
        assertSame(x, stat);
        assert.strictEqual(read(fd), INSIDE);
        fs.writeSync(fd, INSIDE, 0);
      }),
  },
  {
    method: 'open',
    name: 'that truncates',
    holds: FILE,
    call: (root, { path }) => root.open(path, 'w'),
    judge: (place, fd) => assertWritable(place, fd, NEW),
  },
  {
    method: 'open',
    name: 'for its place',
    holds: FILE,
    leaks: true,
    call: (root, { path }) => root.open(path, O_PATH),
    judge: ({ x }, fd) => withFd(fd, (stat) => assertSame(x, stat)),
  },
  {
    method: 'readFile',
    holds: FILE,
    leaks: true,
    call: (root, { path }) => root.readFile(path),
    judge: (_, content) => assert.strictEqual(content.toString(), INSIDE),
  },
  {
    method: 'writeFile',
    holds: FILE,
    call: (root, { path }) => root.writeFile(path, NEW),
    judge: ({ x }) => assertWritten(x, NEW),
  },
  {
    method: 'appendFile',
    holds: FILE,
    call: (root, { path }) => root.appendFile(path, NEW),
    judge: ({ x }) => assertWritten(x, INSIDE + NEW),
  },
  {
    method: 'fsync',
    holds: FILE,
    // Nothing shows that it was done.
    onlyHere: true,
    call: (root, { path }) => root.fsync(path),
    judge: () => 'real',
  },
  {
    method: 'copyFile',
    path: 'src',
    holds: FILE,
    leaks: true,
    call: (root, { path, other }) => root.copyFile(path, other('copy')),
    judge: ({ at }) => assertMade(at('copy'), INSIDE),
  },
  {
    method: 'copyFile',
    path: 'dest',
    holds: FILE,
    call: (root, { path, other }) => root.copyFile(other('source'), path),
    judge: ({ x }) => assertWritten(x, NEW),
  },
];

/** Rows that make, move or remove the name: only what is above it may be a trap. */
const onTheName = [
  {
    method: 'mkdir',
    holds: NOTHING,
    call: (root, { path }) => root.mkdir(path),
    judge: ({ x }) => fs.rmdirSync(x),
  },
  {
    method: 'mkdir',
    name: 'with recursive',
    holds: NOTHING,
    call: (root, { path }) => root.mkdir(`${path}/a/b`, true),
    judge: ({ x }) => assert.ok(fs.statSync(`${x}/a/b`).isDirectory()),
    // A refusal may come when the upper levels are made.
    tidy: ({ x }) => fs.rmSync(x, { recursive: true, force: true }),
  },
  {
    method: 'unlink',
    holds: FILE,
    call: (root, { path }) => root.unlink(path),
    judge: (place) => assertGone(FILE, place),
  },
  {
    method: 'rmdir',
    holds: DIRECTORY,
    call: (root, { path }) => root.rmdir(path),
    judge: (place) => assertGone(DIRECTORY, place),
  },
  ...[FILE, DIRECTORY].map((holds, i) => ({
    method: 'remove',
    name: i === 0 ? 'of a file' : 'of a directory',
    holds,
    call: (root, { path }) => root.remove(path),
    judge: (place) => assertGone(holds, place),
  })),
  {
    method: 'mkfifo',
    holds: NOTHING,
    // Node has none.
    onlyHere: true,
    call: (root, { path }) => root.mkfifo(path),
    judge: ({ x }) => {
      assert.ok(fs.lstatSync(x).isFIFO());
      fs.unlinkSync(x);
    },
  },
  {
    method: 'rm',
    holds: FILE,
    call: (root, { path }) => root.rm(path),
    judge: (place) => assertGone(FILE, place),
  },
  {
    method: 'rm',
    name: 'with recursive',
    holds: TREE,
    call: (root, { path }) => root.rm(path, true),
    judge: (place) => assertGone(TREE, place),
  },
  {
    method: 'symlink',
    holds: NOTHING,
    call: (root, { path }) => root.symlink('anywhere', path),
    judge: ({ x }) => {
      assert.strictEqual(fs.readlinkSync(x), 'anywhere');
      fs.unlinkSync(x);
    },
  },
  {
    method: 'openWrite',
    name: 'that creates',
    holds: NOTHING,
    call: (root, { path }) => root.openWrite(path, true),
    judge: ({ x }, fd) => {
      withFd(fd, (stat) => assertSame(x, stat));
      assertMade(x, '');
    },
  },
  {
    method: 'copyFile',
    path: 'dest',
    name: 'that creates',
    holds: NOTHING,
    call: (root, { path, other }) => root.copyFile(other('source'), path),
    judge: ({ x }) => assertMade(x, NEW),
  },
  {
    method: 'link',
    path: 'oldPath',
    holds: FILE,
    call: (root, { path, other }) => root.link(path, other('linked')),
    judge: ({ x, at }) => {
      assertSame(x, fs.statSync(at('linked')));
      fs.unlinkSync(at('linked'));
    },
  },
  {
    method: 'link',
    path: 'newPath',
    holds: NOTHING,
    call: (root, { path, other }) => root.link(other('source'), path),
    judge: ({ x, at }) => {
      assertSame(x, fs.statSync(at('source')));
      fs.unlinkSync(x);
    },
  },
  {
    method: 'open',
    name: 'that creates',
    holds: NOTHING,
    call: (root, { path }) => root.open(path, 'wx'),
    judge: ({ x }, fd) => {
      withFd(fd, (stat) => assertSame(x, stat));
      assertMade(x, '');
    },
  },
  ...[{}, { flag: 'wx' }, { atomic: true }, { atomic: true, flag: 'wx' }].map((options) => ({
    method: 'writeFile',
    name: `that creates, ${JSON.stringify(options)}`,
    holds: NOTHING,
    // It takes the place of what is there.
    replaces: options.atomic && options.flag === undefined,
    call: (root, { path }) => root.writeFile(path, NEW, options),
    judge: ({ x }) => assertMade(x, NEW),
  })),
  {
    method: 'writeFile',
    name: 'in one step',
    holds: FILE,
    call: (root, { path }) => root.writeFile(path, NEW, { atomic: true, flush: true }),
    judge: ({ x }) => assertWritten(x, NEW),
  },
  {
    method: 'appendFile',
    name: 'that creates',
    holds: NOTHING,
    call: (root, { path }) => root.appendFile(path, NEW),
    judge: ({ x }) => assertMade(x, NEW),
  },
  {
    method: 'mkdtemp',
    holds: NOTHING,
    isNew: true,
    call: (root, { path }) => root.mkdtemp(path),
    judge: ({ x }, made) => fs.rmdirSync(x + made.slice(-6)),
  },
  {
    method: 'cp',
    path: 'src',
    holds: FILE,
    leaks: true,
    call: (root, { path, other }) => root.cp(path, other('copy')),
    judge: ({ at }) => assertMade(at('copy'), INSIDE),
  },
  {
    method: 'cp',
    path: 'src',
    name: 'of a tree',
    holds: TREE,
    leaks: true,
    call: (root, { path, other }) => root.cp(path, other('copied'), { recursive: true }),
    judge: ({ at }) => assert.strictEqual(read(`${at('copied')}/a/b`), INSIDE),
    tidy: ({ at }) => fs.rmSync(at('copied'), { recursive: true, force: true }),
  },
  {
    method: 'cp',
    path: 'dest',
    holds: FILE,
    call: (root, { path, other }) => root.cp(other('source'), path),
    judge: ({ x }) => assertWritten(x, NEW),
  },
  {
    method: 'cp',
    path: 'dest',
    name: 'that creates',
    holds: NOTHING,
    replaces: true,
    call: (root, { path, other }) => root.cp(other('source'), path),
    judge: ({ x }) => assertMade(x, NEW),
  },
  {
    method: 'cp',
    path: 'dest',
    name: 'in one step',
    holds: FILE,
    call: (root, { path, other }) => root.cp(other('source'), path, { atomic: true }),
    judge: ({ x }) => assertWritten(x, NEW),
  },
  {
    method: 'cp',
    path: 'dest',
    name: 'of a tree',
    holds: DIRECTORY,
    call: (root, { path, other }) => root.cp(other('forest'), path, { recursive: true }),
    judge: ({ x }) => {
      assert.strictEqual(read(`${x}/a/b`), NEW);
      fs.rmSync(`${x}/a`, { recursive: true });
    },
  },
  {
    method: 'move',
    path: 'src',
    holds: TREE,
    call: (root, { path, other }) => root.move(path, other('moved')),
    judge: ({ x, at }) => {
      assert.strictEqual(read(`${at('moved')}/a/b`), INSIDE);
      fs.renameSync(at('moved'), x);
    },
  },
  {
    method: 'move',
    path: 'dest',
    holds: NOTHING,
    call: (root, { path, other }) => root.move(other('source'), path),
    judge: ({ x, at }) => {
      assert.strictEqual(read(x), NEW);
      fs.renameSync(x, at('source'));
    },
  },
  {
    method: 'move',
    path: 'dest',
    name: 'that overwrites',
    holds: FILE,
    call: (root, { path, other }) => root.move(other('source'), path, { overwrite: true }),
    judge: ({ x, at }) => {
      assert.strictEqual(read(x), NEW);
      fs.renameSync(x, at('source'));
      fs.writeFileSync(x, INSIDE);
    },
  },
  ...['rename', 'renameNoReplace', 'move'].map((method) => ({
    method,
    path: method === 'move' ? 'dest' : 'newPath',
    name: 'to another root',
    holds: NOTHING,
    replaces: method === 'rename',
    onlyHere: true,
    call: (root, { path, other, to }) => root[method](other('source'), path, { to }),
    judge: ({ x, at }) => {
      assert.strictEqual(read(x), NEW);
      fs.renameSync(x, at('source'));
    },
  })),
  ...[
    ['link', 'newPath', []],
    ['copyFile', 'dest', [null]],
    ['cp', 'dest', []],
  ].map(([method, which, between]) => ({
    method,
    path: which,
    name: 'to another root',
    holds: NOTHING,
    replaces: method === 'cp',
    onlyHere: true,
    call: (root, { path, other, to }) => root[method](other('source'), path, ...between, { to }),
    judge: ({ x }) => assertMade(x, NEW),
  })),
  {
    method: 'lstat',
    holds: FILE,
    leaks: true,
    call: (root, { path }) => root.lstat(path),
    judge: ({ x }, stat) => assertSame(x, stat),
  },
  {
    method: 'readlink',
    holds: LINK,
    leaks: true,
    call: (root, { path }) => root.readlink(path),
    judge: (_, target) => assert.strictEqual(target, INSIDE),
  },
  {
    method: 'lutimes',
    holds: FILE,
    call: (root, { path }) => root.lutimes(path, ns(1), ns(HUNDRED_YEARS)),
    judge: ({ x }) => assertTimed(x),
  },
  {
    method: 'lchown',
    holds: FILE,
    call: (root, { path }) => root.lchown(path, SOMEBODY, -1),
    judge: ({ x }) => assertGiven(x),
  },
  ...['a', 'b'].map((which) => ({
    method: 'exchange',
    path: which,
    holds: FILE,
    // Node has none.
    onlyHere: true,
    call: (root, { path, other }) =>
      which === 'a' ? root.exchange(path, other('source')) : root.exchange(other('source'), path),
    judge: ({ x, at }) => {
      assert.deepStrictEqual([read(x), read(at('source'))], [NEW, INSIDE]);
      fs.renameSync(x, at('spare'));
      fs.renameSync(at('source'), x);
      fs.renameSync(at('spare'), at('source'));
    },
  })),
  ...['rename', 'renameNoReplace'].flatMap((method) => [
    {
      method,
      path: 'oldPath',
      holds: FILE,
      call: (root, { path, other }) => root[method](path, other('moved')),
      judge: ({ x, at }) => {
        assert.strictEqual(read(at('moved')), INSIDE);
        fs.renameSync(at('moved'), x);
      },
    },
    {
      method,
      path: 'newPath',
      holds: method === 'rename' ? FILE : NOTHING,
      call: (root, { path, other }) => root[method](other('source'), path),
      judge: ({ x, at }) => {
        assert.strictEqual(read(x), NEW);
        fs.renameSync(x, at('source'));
        if (method === 'rename') fs.writeFileSync(x, INSIDE);
      },
    },
  ]),
];

/** Of the leaf and what it is exchanged with one is gone, and the attacker waits for it: which one? */
function assertOneGone(what, { leaf, swap, trap, at }) {
  assert.ok(!isThere(leaf), 'it is gone');
  if (fs.lstatSync(swap).isSymbolicLink()) {
    plantAt(at('fresh'), what(INSIDE));
    fs.renameSync(at('fresh'), leaf);
    return 'real';
  }
  if (what === TREE) {
    // It may have been emptied before it was moved away.
    fs.rmSync(`${swap}/a`, { recursive: true, force: true });
    plant(swap, what(INSIDE));
  }
  fs.symlinkSync(trap, leaf);
  return 'link';
}

/** The leaf has got, or kept, the name `at`: the file inside or the symlink itself, never what it leads to. */
function assertMoved(at, { trap }) {
  if (!fs.lstatSync(at).isSymbolicLink()) {
    assert.strictEqual(read(at), INSIDE);
    return 'real';
  }
  assert.strictEqual(fs.readlinkSync(at), trap);
  return 'link';
}

/** The leaf was exchanged with `source`, and is put back: without it the attacker stands still. */
function putBackExchanged({ leaf, swap, at }) {
  const isLink = fs.lstatSync(at('source')).isSymbolicLink();
  if (!isLink) assert.strictEqual(read(at('source')), INSIDE);
  fs.renameSync(leaf, at('spare'));
  const isNew = (name) => !fs.lstatSync(name).isSymbolicLink() && read(name) === NEW;
  const place = isNew(at('spare')) ? at('spare') : swap;
  assert.ok(isNew(place), 'it came from beside it');
  fs.renameSync(place, at('moved'));
  fs.renameSync(at('source'), place);
  fs.renameSync(at('moved'), at('source'));
  fs.renameSync(at('spare'), leaf);
  return isLink ? 'link' : 'real';
}

/** The leaf was replaced by a new file. One of the two is put back: without the leaf the attacker stands still. */
function putBackReplaced({ leaf, swap, trap, at }) {
  fs.renameSync(leaf, at('spare'));
  const isNew = (name) => !fs.lstatSync(name).isSymbolicLink() && read(name) === NEW;
  const [made, kept] = isNew(at('spare')) ? [at('spare'), swap] : [swap, at('spare')];
  assert.ok(isNew(made), 'it is there');
  const wasFile = fs.lstatSync(kept).isSymbolicLink();
  if (wasFile) fs.writeFileSync(made, INSIDE);
  else {
    assert.strictEqual(read(kept), INSIDE);
    fs.unlinkSync(made);
    fs.symlinkSync(trap, made);
  }
  fs.renameSync(at('spare'), leaf);
  return wasFile ? 'real' : 'link';
}

/** Rows for the leaf that are about the name: the symlink itself is acted on, or is no directory. */
const onTheLeaf = [
  {
    method: 'mkdir',
    name: 'with recursive',
    holds: DIRECTORY,
    call: (root, { path }) => root.mkdir(path, true),
    judge: ({ x }) => assert.deepStrictEqual(fs.readdirSync(x), []),
  },
  {
    method: 'unlink',
    holds: FILE,
    call: (root, { path }) => root.unlink(path),
    judge: (place) => assertOneGone(FILE, place),
  },
  {
    method: 'rmdir',
    holds: DIRECTORY,
    refusals: ['ENOTDIR'],
    call: (root, { path }) => root.rmdir(path),
    judge: (place) => assertOneGone(DIRECTORY, place),
  },
  ...[FILE, DIRECTORY].map((holds, i) => ({
    method: 'remove',
    name: i === 0 ? 'of a file' : 'of a directory',
    holds,
    call: (root, { path }) => root.remove(path),
    judge: (place) => assertOneGone(holds, place),
  })),
  {
    method: 'rm',
    holds: FILE,
    call: (root, { path }) => root.rm(path),
    judge: (place) => assertOneGone(FILE, place),
  },
  {
    method: 'rm',
    name: 'with recursive',
    holds: TREE,
    call: (root, { path }) => root.rm(path, true),
    judge: (place) => assertOneGone(TREE, place),
  },
  {
    method: 'link',
    path: 'oldPath',
    holds: FILE,
    call: (root, { path, other }) => root.link(path, other('linked')),
    judge: (place) => {
      const moved = assertMoved(place.at('linked'), place);
      fs.unlinkSync(place.at('linked'));
      return moved;
    },
  },
  ...['rename', 'renameNoReplace'].map((method) => ({
    method,
    path: 'oldPath',
    holds: FILE,
    call: (root, { path, other }) => root[method](path, other('moved')),
    judge: (place) => {
      const moved = assertMoved(place.at('moved'), place);
      fs.renameSync(place.at('moved'), place.leaf);
      return moved;
    },
  })),
  {
    method: 'lstat',
    holds: FILE,
    call: (root, { path }) => root.lstat(path),
    judge: ({ x }, stat) => {
      if ((stat.mode & fs.constants.S_IFMT) === fs.constants.S_IFLNK) return 'link';
      return assertSame(x, stat);
    },
  },
  {
    method: 'readlink',
    holds: FILE,
    // No symlink at the moment.
    call: async (root, { path }) => {
      const { error, value } = await settled((async () => root.readlink(path))());
      if (error !== undefined && error.code !== 'EINVAL') throw error;
      return value;
    },
    judge: ({ trap }, target) => {
      if (target === undefined) return 'real';
      assert.strictEqual(target, trap);
      return 'link';
    },
  },
  {
    method: 'lutimes',
    holds: FILE,
    call: (root, { path }) => root.lutimes(path, ns(1), ns(HUNDRED_YEARS)),
    judge: ({ x }) => changedOrLink(fs.statSync(x).mtimeMs > 5000, () => assertTimed(x)),
    before: ({ x }) => fs.utimesSync(x, 5, 5),
  },
  {
    method: 'lchown',
    holds: FILE,
    call: (root, { path }) => root.lchown(path, SOMEBODY, -1),
    judge: ({ x }) => changedOrLink(fs.statSync(x).uid === SOMEBODY, () => assertGiven(x)),
  },
  {
    method: 'writeFile',
    name: 'in one step',
    holds: FILE,
    call: (root, { path }) => root.writeFile(path, NEW, { atomic: true }),
    judge: putBackReplaced,
  },
  {
    method: 'cp',
    path: 'src',
    holds: FILE,
    call: (root, { path, other }) => root.cp(path, other('copy')),
    judge: (place) => {
      const copied = assertMoved(place.at('copy'), place);
      fs.unlinkSync(place.at('copy'));
      return copied;
    },
  },
  {
    method: 'cp',
    path: 'src',
    name: 'of a tree',
    holds: TREE,
    call: (root, { path, other }) => root.cp(path, other('copied'), { recursive: true }),
    judge: ({ at, trap }) => {
      if (!fs.lstatSync(at('copied')).isSymbolicLink()) {
        assert.strictEqual(read(`${at('copied')}/a/b`), INSIDE);
        return 'real';
      }
      assert.strictEqual(fs.readlinkSync(at('copied')), trap);
      return 'link';
    },
    tidy: ({ at }) => fs.rmSync(at('copied'), { recursive: true, force: true }),
    // It was tried as often as it may be, and each time it was something else.
    mayBe: ['EBUSY'],
  },
  {
    method: 'cp',
    path: 'dest',
    holds: FILE,
    call: (root, { path, other }) => root.cp(other('source'), path),
    judge: putBackReplaced,
  },
  {
    method: 'cp',
    path: 'dest',
    name: 'of a tree',
    holds: DIRECTORY,
    refusals: ['ENOTDIR'],
    call: (root, { path, other }) => root.cp(other('forest'), path, { recursive: true }),
    judge: ({ x }) => {
      assert.strictEqual(read(`${x}/a/b`), NEW);
      fs.rmSync(`${x}/a`, { recursive: true });
    },
  },
  {
    method: 'move',
    path: 'src',
    holds: FILE,
    call: (root, { path, other }) => root.move(path, other('moved')),
    judge: (place) => {
      const moved = assertMoved(place.at('moved'), place);
      fs.renameSync(place.at('moved'), place.leaf);
      return moved;
    },
  },
  {
    method: 'move',
    path: 'dest',
    name: 'that overwrites',
    holds: FILE,
    call: (root, { path, other }) => root.move(other('source'), path, { overwrite: true }),
    judge: (place) => {
      const replaced = putBackReplaced(place);
      fs.writeFileSync(place.at('source'), NEW);
      return replaced;
    },
  },
  ...['a', 'b'].map((which) => ({
    method: 'exchange',
    path: which,
    holds: FILE,
    call: (root, { path, other }) =>
      which === 'a' ? root.exchange(path, other('source')) : root.exchange(other('source'), path),
    judge: putBackExchanged,
  })),
  {
    method: 'rename',
    path: 'newPath',
    name: 'of a directory',
    holds: DIRECTORY,
    refusals: ['ENOTDIR'],
    call: (root, { path, other }) => root.rename(other('incoming'), path),
    judge: ({ at }) => fs.mkdirSync(at('incoming')),
  },
];

/** The paths that each method takes, for those that take more than one. */
const pathsOf = {
  rename: ['oldPath', 'newPath'],
  renameNoReplace: ['oldPath', 'newPath'],
  link: ['oldPath', 'newPath'],
  copyFile: ['src', 'dest'],
  exchange: ['a', 'b'],
  cp: ['src', 'dest'],
  move: ['src', 'dest'],
};

const titled = (scene, refusals) => (row) => {
  const title = [row.method, row.name].filter(Boolean).join(' ') + (row.path ? `, ${row.path}` : '');
  return { ...row, refusals: [...(row.refusals ?? refusals), ...(row.mayBe ?? [])], scene, title };
};

/** What each policy says of a symlink to outside. Under 'in-root' it leads to nothing, inside. */
const LINKED = { reject: 'ELOOP', beneath: 'EACCES', 'in-root': 'ENOENT' };

/** On an empty directory in place of the parent, levels can be made: those are no less inside. */
const mkdirInEither = {
  method: 'mkdir',
  name: 'with recursive',
  holds: NOTHING,
  call: (root, { path }) => root.mkdir(`${path}/a/b`, true),
  judge: ({ x, guest }) => {
    const made = [`${x}/a/b`, `${guest}/x/a/b`].map(isThere);
    assert.ok(made.includes(true), 'it is there');
    return made[0] ? 'real' : 'guest';
  },
  tidy: ({ x, guest }) => {
    for (const at of [x, `${guest}/x`]) fs.rmSync(at, { recursive: true, force: true });
  },
};
/** The rows of a root with this policy, or of its promises, by what is done to the path. */
function tableOf(symlinks, later = false) {
  const linked = LINKED[symlinks];
  const isHere = ({ onlyCalls }) => !(onlyCalls && later);
  const all = [...onTheThing, ...onTheName].filter(isHere);
  /** What makes a name, where for half of the time a symlink to nothing, outside, has that name. */
  const appearing = onTheName
    .filter(({ holds, replaces, isNew }) => holds === NOTHING && !replaces && !isNew)
    .map(titled('appearing leaf', [linked, 'EEXIST']));
  const parent = all.map(titled('parent', [linked]));
  const grandparent = all.map(titled('grandparent', [linked]));
  /** By what of the path becomes a symlink. */
  const rows = {
    leaf: [...[...onTheThing, ...onTheLeaf].filter(isHere).map(titled('leaf', [linked])), ...appearing],
    parent,
    grandparent,
  };
  /** A directory is exchanged with an empty one outside, a guest. Where that is found, there is nothing. */
  const movedOut = [
    ...all.filter((row) => row.tidy === undefined).map(titled('ancestor', ['ENOENT', 'EACCES'])),
    titled('moved parent', ['ENOENT', 'EACCES'])(mkdirInEither),
  ];
  return {
    rows,
    movedOut,
    throughParents: [...parent, ...grandparent],
    /** A path that goes up again, where what it comes from becomes a symlink. */
    upwards: all.map(titled('upwards', [linked])),
    /** The same, where it is moved out: of a storm of renames the kernel says to try again, at last to us. */
    climbing: all
      // What makes all levels, makes those too that the way up comes from: it never fails.
      .filter((row) => row.tidy === undefined)
      .map(titled('climbing', ['ENOENT', 'EACCES', 'EAGAIN'])),
    appearing,
  };
}

const { appearing, throughParents } = tableOf('reject');
/** Where the usual way leads astray: at the leaf, only what opens it follows a symlink. */
const withoutSandbox = [
  ...onTheThing.map(titled('leaf', ['ELOOP'])),
  ...appearing.filter(
    ({ method, name }) => /^(openWrite|copyFile|appendFile)$/.test(method) || /creates, {}/.test(name),
  ),
  ...throughParents,
].filter(({ onlyHere }) => !onlyHere);

/** What the calls of a row need beside the raced path. */
const companions = { source: NEW, incoming: {}, forest: TREE(NEW) };

module.exports = { INSIDE, LINKED, SECRET, companions, pathsOf, tableOf, withoutSandbox };
