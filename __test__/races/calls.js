'use strict';
// The table of the races: every method, raced at each of its paths.
//
// A row is `call(root, place)`, made over and over while a directory on the way, or the leaf itself,
// is exchanged with a symlink to outside, where the same names exist (`holds`). After every success
// `judge(place, value)` makes sure that the effect is inside, puts everything back, and tells whether
// it was the real thing (no answer) or the symlink itself ('link') that was acted on. `place` has the
// raced path (`path`), and ways to what is behind it that the attacker does not touch: see field.js.

const assert = require('node:assert');
const fs = require('node:fs');
const { plant } = require('../support');

const INSIDE = 'what is inside';
const SECRET = 'what is outside, and none of your business';
const NEW = 'new content';

// What there is at the raced path, inside and outside, before each call.
const NOTHING = () => undefined;
const FILE = (text) => text;
const DIRECTORY = () => ({});
const TREE = (text) => ({ a: { b: text } });

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

const HUNDRED_YEARS = 3_155_760_000;
const ns = (seconds) => seconds * 1e9;
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
    judge: ({ x }) => {
      assert.strictEqual(fs.statSync(x).mtimeMs, HUNDRED_YEARS * 1000);
      fs.utimesSync(x, 5, 5);
    },
  },
  {
    method: 'stat',
    leaks: true,
    call: (root, { path }) => root.stat(path),
    judge: ({ x }, stat) => assertSame(x, stat),
  },
];

/** Rows that act on the thing at the path, and refuse a symlink there: raced at the leaf as well. */
const onTheThing = [
  ...metadata.map((row) => ({ ...row, holds: FILE })),
  ...metadata.map((row) => ({ ...row, name: 'of a directory', holds: DIRECTORY })),
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
};

const titled = (scene, refusals) => (row) => {
  const title = [row.method, row.name].filter(Boolean).join(' ') + (row.path ? `, ${row.path}` : '');
  return { refusals, ...row, scene, title };
};
/** What makes a name, where for half of the time a symlink to nothing, outside, has that name. */
const appearing = onTheName
  .filter(({ holds }) => holds === NOTHING)
  .map(titled('appearing leaf', ['ELOOP', 'EEXIST']));
const throughParents = [
  ...[...onTheThing, ...onTheName].map(titled('parent', ['ELOOP'])),
  ...[...onTheThing, ...onTheName].map(titled('grandparent', ['ELOOP'])),
];
/** By what of the path becomes a symlink. */
const rows = {
  leaf: [...[...onTheThing, ...onTheLeaf].map(titled('leaf', ['ELOOP'])), ...appearing],
  parent: throughParents.filter(({ scene }) => scene === 'parent'),
  grandparent: throughParents.filter(({ scene }) => scene === 'grandparent'),
};
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
/** A directory is exchanged with an empty one outside, a guest. Where that is found, there is nothing. */
const movedOut = [
  ...[...onTheThing, ...onTheName]
    .filter((row) => row.tidy === undefined)
    .map(titled('ancestor', ['ENOENT', 'EACCES'])),
  titled('moved parent', ['ENOENT', 'EACCES'])(mkdirInEither),
];
/** Where the usual way leads astray: at the leaf, only what opens it follows a symlink. */
const withoutSandbox = [
  ...onTheThing.map(titled('leaf', ['ELOOP'])),
  ...appearing.filter(({ method }) => method === 'openWrite' || method === 'copyFile'),
  ...throughParents,
];

/** What the calls of a row need beside the raced path. */
const companions = { source: NEW, incoming: {} };

module.exports = { INSIDE, SECRET, companions, movedOut, pathsOf, rows, throughParents, withoutSandbox };
