'use strict';
// What an ordinary user may do by the system call itself works through a root, however little else the
// modes allow; and what they do not allow is EACCES or EPERM, in the name of the path that was passed.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('..');
const { NOBODY, codeOf, file, isRoot, outcome, plant, sandbox, tempDir, unprivileged } = require('./support');

/** A directory with a mode, in a tree. */
const dir = (mode, inside = {}) => ({ dir: { mode, inside } });

/** Makes `tree`, in which directories may have modes, for the ordinary user that the calls are made as. */
function grow(at, tree) {
  for (const [name, what] of Object.entries(tree)) {
    const child = path.join(at, name);
    if (what.dir === undefined) plant(at, { [name]: what });
    else {
      fs.mkdirSync(child);
      grow(child, what.dir.inside);
    }
    if (isRoot) fs.lchownSync(child, NOBODY, NOBODY);
    if (what.dir !== undefined) fs.chmodSync(child, what.dir.mode);
  }
}

function ownSandbox(t, tree) {
  const made = sandbox(t);
  grow(made.dir, tree);
  if (isRoot) fs.chownSync(made.dir, NOBODY, NOBODY);
  return made;
}

const closed = (fd) => fs.closeSync(fd);

/** Own files of every mode. */
const FILES = {
  f: file('content', 0o644),
  w: file('write', 0o200),
  r: file('read', 0o400),
  o: file('', 0o000),
};

// Each row: what is done, the tree, and how. It has to work.
const WORKS = [
  ['chmod of an own file of mode 0200', FILES, (root) => root.chmod('w', 0o600)],
  ['chmod of an own file of mode 0000', FILES, (root) => root.chmod('o', 0o644)],
  ['chmod of an own directory of mode 0000', { d: dir(0) }, (root) => root.chmod('d', 0o755)],
  ['utimes of an own file of mode 0200', FILES, (root) => root.utimes('w', 1e9, 1e9)],
  ['utimes of an own file of mode 0000', FILES, (root) => root.utimes('o', 1e9, 1e9)],
  ['utimes of an own directory of mode 0000', { d: dir(0) }, (root) => root.utimes('d', 1e9, 1e9)],
  ['stat of a file of mode 0000', FILES, (root) => root.stat('o')],
  ['statfs of a file of mode 0000', FILES, (root) => root.statfs('o')],
  ['truncate of a file of mode 0200', FILES, (root) => root.truncate('w', 1)],
  ['openWrite of a file of mode 0200', FILES, (root) => closed(root.openWrite('w'))],
  ['openWrite with truncate of mode 0200', FILES, (root) => closed(root.openWrite('w', true, true))],
  ['openWrite with append of mode 0200', FILES, (root) => closed(root.openWrite('w', true, false, true))],
  ['openRead of a file of mode 0400', FILES, (root) => closed(root.openRead('r'))],
  ['copyFile of mode 0400 over mode 0200', FILES, (root) => root.copyFile('r', 'w')],
  ['link of a file of mode 0600', FILES, (root) => root.link('f', 'second')],
  ['rename of a file of mode 0000', FILES, (root) => root.rename('o', 'new')],
  ['renameNoReplace of a file of mode 0000', FILES, (root) => root.renameNoReplace('o', 'new')],
  ['unlink of a file of mode 0000', FILES, (root) => root.unlink('o')],
  ['rm of a file of mode 0000', FILES, (root) => root.rm('o')],
  ['rename of a directory of mode 0300', { d: dir(0o300) }, (root) => root.rename('d', 'e')],
  ['rmdir of an empty directory of mode 0000', { d: dir(0) }, (root) => root.rmdir('d')],
  ['rm of an empty directory of mode 0000', { d: dir(0) }, (root) => root.rm('d', true)],
  [
    'rm of a tree with an empty directory of mode 0000 in it',
    { d: dir(0o700, { e: dir(0), f: file('', 0) }) },
    (root) => root.rm('d', true),
  ],
];

// The same in a directory that may be written and not listed.
const UNLISTED = { d: dir(0o300, { f: 'content', e: dir(0o755), g: 'g' }) };
for (const [what, act] of [
  ['unlink', (root) => root.unlink('d/f')],
  ['rm', (root) => root.rm('d/f')],
  ['rm with recursive and force of what is missing', (root) => root.rm('d/missing', true, true)],
  ['rm of an empty directory', (root) => root.rm('d/e', true)],
  ['symlink', (root) => root.symlink('f', 'd/new')],
  ['mkdir', (root) => root.mkdir('d/new')],
  ['mkdir with recursive', (root) => root.mkdir('d/new/newer', true)],
  ['rmdir', (root) => root.rmdir('d/e')],
  ['rename', (root) => root.rename('d/f', 'd/g')],
  ['renameNoReplace', (root) => root.renameNoReplace('d/f', 'd/new')],
  ['link', (root) => root.link('d/f', 'd/new')],
  ['openWrite with create', (root) => closed(root.openWrite('d/new', true))],
  ['copyFile', (root) => root.copyFile('d/f', 'd/new')],
]) {
  WORKS.push([`${what} in a directory of mode 0300`, UNLISTED, act]);
}

// And beneath directories that may be passed through, and nothing else.
const PASSAGE = { a: dir(0o100, { b: dir(0o100, { f: 'content', g: 'g', d: dir(0o700) }) }) };
for (const [what, act] of [
  ['stat', (root) => root.stat('a/b/f')],
  ['stat of the passage', (root) => root.stat('a/b')],
  ['statfs', (root) => root.statfs('a/b/f')],
  ['statfs of the passage', (root) => root.statfs('a/b')],
  ['chmod', (root) => root.chmod('a/b/f', 0o600)],
  ['utimes', (root) => root.utimes('a/b/f', 1e9, 1e9)],
  ['truncate', (root) => root.truncate('a/b/f', 0)],
  ['openRead', (root) => closed(root.openRead('a/b/f'))],
  ['openWrite', (root) => closed(root.openWrite('a/b/f', true))],
  ['copyFile', (root) => root.copyFile('a/b/f', 'a/b/g')],
  ['mkdir', (root) => root.mkdir('a/b/d/new')],
  ['mkdir with recursive', (root) => root.mkdir('a/b/d/new/newer', true)],
  ['mkdir with recursive of what is there', (root) => root.mkdir('a/b/d', true)],
  ['symlink', (root) => root.symlink('x', 'a/b/d/new')],
  ['link', (root) => root.link('a/b/f', 'a/b/d/new')],
]) {
  WORKS.push([`${what} beneath directories of mode 0100`, PASSAGE, act]);
}

for (const [what, tree, act] of WORKS) {
  test(`${what} works`, (t) => {
    const { root } = ownSandbox(t, tree);
    const { error } = outcome(() => unprivileged(() => act(root)));
    assert.strictEqual(error?.message, undefined);
  });
}

test('a root that may only be passed through serves all beneath it', (t) => {
  const base = tempDir(t);
  grow(base, { root: dir(0o100, FILES) });
  if (isRoot) fs.chmodSync(base, 0o755);
  unprivileged(() => {
    const root = new SandboxRoot(path.join(base, 'root'));
    assert.strictEqual(root.stat('f').size, 7);
    root.chmod('w', 0o640);
    closed(root.openRead('r'));
    assert.strictEqual(
      codeOf(() => root.mkdir('new')),
      'EACCES',
    );
    root.chmod('.', 0o300);
    root.mkdir('new');
    root.unlink('f');
  });
});

// Each row: what is done, the tree, how, and the error: code, syscall, path.
const REFUSED = [
  ['openRead of mode 0200', FILES, (root) => root.openRead('w'), ['EACCES', 'open', 'w']],
  ['openWrite of mode 0400', FILES, (root) => root.openWrite('r', true), ['EACCES', 'open', 'r']],
  ['truncate of mode 0400', FILES, (root) => root.truncate('r', 0), ['EACCES', 'open', 'r']],
  ['copyFile of mode 0200', FILES, (root) => root.copyFile('w', 'new'), ['EACCES', 'copyfile', 'w']],
  ['copyFile over mode 0400', FILES, (root) => root.copyFile('f', 'r'), ['EACCES', 'copyfile', 'f']],
  [
    'unlink in mode 0500',
    { d: dir(0o500, { f: '' }) },
    (root) => root.unlink('d/f'),
    ['EACCES', 'unlink', 'd/f'],
  ],
  [
    'stat beneath mode 0600',
    { d: dir(0o600, { f: '' }) },
    (root) => root.stat('d/f'),
    ['EACCES', 'stat', 'd/f'],
  ],
  [
    'statfs beneath mode 0600',
    { d: dir(0o600, { f: '' }) },
    (root) => root.statfs('d/f'),
    ['EACCES', 'statfs', 'd/f'],
  ],
  [
    'chmod beneath mode 0600',
    { d: dir(0o600, { f: '' }) },
    (root) => root.chmod('d/f', 0o777),
    ['EACCES', 'chmod', 'd/f'],
  ],
  [
    'rm of a full directory of mode 0300',
    { d: dir(0o700, { e: dir(0o300, { f: '' }) }) },
    (root) => root.rm('d', true),
    ['EACCES', 'scandir', 'd/e'],
  ],
  [
    'rm of a full directory of mode 0500',
    { d: dir(0o700, { e: dir(0o500, { f: '' }) }) },
    (root) => root.rm('d', true, true),
    ['EACCES', 'unlink', 'd/e/f'],
  ],
];

for (const [what, tree, act, expected] of REFUSED) {
  test(`${what} is ${expected[0]}, and changes nothing`, (t) => {
    const { root, at } = ownSandbox(t, tree);
    const before = modesIn(at());
    const { error } = outcome(() => unprivileged(() => act(root)));
    assert.deepStrictEqual([error?.code, error?.syscall, error?.path], expected);
    assert.deepStrictEqual(modesIn(at()), before);
  });
}

/** The modes of all that is in the tree, without reading any of it. */
function modesIn(at) {
  const stat = fs.lstatSync(at);
  const entries = { '': stat.mode.toString(8), size: stat.isFile() ? stat.size : null };
  if (!stat.isDirectory()) return entries;
  // As root, or where the mode of an own directory allows it.
  const { value: names = [] } = outcome(() => fs.readdirSync(at).sort());
  for (const name of names) entries[name] = outcome(() => modesIn(path.join(at, name))).value;
  return entries;
}

const noOthers = !isRoot && 'needs root, to have files that belong to somebody else';

test('chmod and utimes of what belongs to somebody else are EPERM', { skip: noOthers }, (t) => {
  const { root, at } = sandbox(t, { theirs: file('content', 0o666) });
  const { mtimeMs } = fs.statSync(at('theirs'));
  for (const [act, syscall] of [
    [() => root.chmod('theirs', 0o777), 'chmod'],
    [() => root.utimes('theirs', 1, 1), 'utime'],
  ]) {
    const { error } = outcome(() => unprivileged(act));
    assert.deepStrictEqual([error?.code, error?.syscall, error?.path], ['EPERM', syscall, 'theirs']);
  }
  const stat = fs.statSync(at('theirs'));
  assert.deepStrictEqual([stat.mode & 0o7777, stat.mtimeMs], [0o666, mtimeMs]);
});

/** What an ordinary user does with the root itself, whatever its mode lets be done beneath it, and the same by node:fs. */
const OF_THE_ROOT = {
  chmod: [(root) => root.chmod('.', 0o700), (dir) => fs.chmodSync(dir, 0o700)],
  utimes: [(root) => root.utimes('.', 5e9, 5e9), (dir) => fs.utimesSync(dir, 5, 5)],
  lutimes: [(root) => root.lutimes('.', 5e9, 5e9), (dir) => fs.lutimesSync(dir, 5, 5)],
  chown: [(root) => root.chown('.', -1, -1), (dir) => fs.chownSync(dir, -1, -1)],
  lchown: [(root) => root.lchown('.', -1, -1), (dir) => fs.lchownSync(dir, -1, -1)],
  stat: [(root) => root.stat('.').mode, (dir) => fs.statSync(dir).mode],
  lstat: [(root) => root.lstat('.').mode, (dir) => fs.lstatSync(dir).mode],
  statfs: [(root) => root.statfs('.').type, (dir) => fs.statfsSync(dir).type],
  access: [(root) => root.access('.'), (dir) => fs.accessSync(dir)],
  'access to search': [(root) => root.access('.', 1), (dir) => fs.accessSync(dir, 1)],
  exists: [(root) => root.exists('.'), (dir) => fs.existsSync(dir)],
  realpath: [(root) => root.realpath('.'), (dir) => fs.realpathSync.native(dir) && '.'],
  openRoot: [(root) => root.openRoot('.').close(), () => undefined],
  'a new root': [(_, dir) => new SandboxRoot(dir).close(), () => undefined],
};

for (const mode of [0o600, 0o400, 0o200, 0o000]) {
  test(`the root itself, of mode ${mode.toString(8)}, is what node:fs finds it to be`, (t) => {
    for (const symlinks of ['reject', 'beneath', 'in-root']) {
      const { dir } = ownSandbox(t, { f: 'x' });
      fs.chmodSync(path.dirname(dir), 0o755);
      unprivileged(() => {
        const root = new SandboxRoot(dir, { symlinks });
        const real = ['access', 'access to search', 'exists'];
        for (const [name, [ours, nodes]] of Object.entries(OF_THE_ROOT)) {
          // These ask for the real user, who is root where the tests run as root.
          if (isRoot && real.includes(name)) continue;
          const [mine, right] = [ours, nodes].map((action) => {
            fs.chmodSync(dir, mode);
            const { value, error } = outcome(() => action(action === ours ? root : dir, dir));
            return { value, code: error?.code };
          });
          assert.deepStrictEqual(mine, right, `${name}, ${symlinks}`);
        }
        root.close();
      });
    }
  });
}
