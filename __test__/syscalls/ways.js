'use strict';
// Every way through every method: for tests that look at the system calls that are made on it.

const fs = require('node:fs');
const path = require('node:path');
const { createRequire } = require('node:module');
const { NOBODY, O_PATH, isRoot, link } = require('../support');

/** What each way starts from. */
const TREE = {
  file: 'content of file',
  other: 'content of other',
  empty: {},
  tofile: link('file'),
  todir: link('a'),
  a: { b: { c: { file: 'content of the file below', other: 'other', empty: {}, tofile: link('file') } } },
  tree: { file: '1', dir: { file: '2', tofile: link('../file'), deeper: { file: '3' } }, last: '4' },
};

/** The user and the group that everything belongs to already. */
const ids = [process.getuid(), process.getgid()];

// A file this short is read and written, where the file system shares no blocks.
const CONTENT = 'ioctl( pread64 pwrite64)?';
// A file is made or found, filled, and given the permissions of its source: narrow until then. Without
// an ACL of its own the source has none to give, and the copy none to lose.
const GIVEN = 'fgetxattr fchmod';
// What was read meanwhile is shown to nobody to whom its source is shut by now.
const STILL_GIVEN = `fstat fgetxattr ${GIVEN}`;
const SOURCE = 'openat2 fstat fgetxattr';
const COPY = `fstat ${CONTENT} ${STILL_GIVEN}`;
const COPY_OVER = `fstat geteuid fstat fchmod ftruncate ${CONTENT} ${STILL_GIVEN}`;

/** access(2) asks by the real ids. */
const WHO = isRoot ? 'getresuid getresgid' : 'getresuid getresgid capget';

/** A loop of symlinks is told from one that is refused. */
const LOOP = 'openat2( openat2 readlinkat close){41}';

const LISTED = 'openat2 getdents64 getdents64 close';
// A directory is asked for its file system before another in it is entered.
const readTree = (levels) =>
  `${'openat2 getdents64 fstatfs '.repeat(levels - 1)}openat2 getdents64${' getdents64 close'.repeat(levels)}`;
const READ_TREE = readTree(3);

// `cp`: each file is opened, made, and gets its mode at the end; each directory is opened, made, opened,
// listed to see that it is empty, filled, and gets its mode.
const CP_GIVEN = `fstat fgetxattr fstat ${GIVEN}`;
const CP_FILE = `${SOURCE} openat2 statx ${CONTENT} ${CP_GIVEN} close close`;
// Where the first file of a tree shares no blocks, no other is asked for it.
const CP_NEXT = CP_FILE.replace(CONTENT, '(ioctl|pread64 pwrite64)');
const CP_LINK = 'openat2 fstat readlinkat symlinkat close';
const CP_MADE = 'mkdirat fstat openat2 fstat geteuid statx getdents64( getdents64)? fstat fstat fgetxattr';
const CP_DIRECTORY = `openat2 statx ${CP_MADE} getdents64`;
const CP_DONE = `getdents64 ${CP_GIVEN} close close`;
const CP_BELOW = [
  `getdents64 ${CP_FILE} ${CP_NEXT} fstatfs`,
  `${CP_DIRECTORY} (${CP_LINK} ${CP_NEXT}|${CP_NEXT} ${CP_LINK}) fstatfs`,
  `${CP_DIRECTORY} ${CP_NEXT} ${CP_DONE} ${CP_DONE}`,
].join(' ');
// By a temporary name it takes the place of what is there, if the directory lets names go.
const REPLACED = 'linkat statx linkat renameat2';
const CP_REPLACED = `fstat ${SOURCE} openat2 newfstatat openat2 ${CONTENT} ${CP_GIVEN} fcntl close ${REPLACED} close close`;
/** A tree is opened, and so is the place of its copy, and each directory above that up to the root. */
const CP_FOUND = 'newfstatat openat2 openat2 fstat fstat fstat';
const CP_ABOVE = ['openat2 fstat close', 'openat2 fstat openat2 fstat close close'];
const CP_TREES = CP_ABOVE.map(
  (above) => `${CP_FOUND} ${above} fstat ${CP_MADE} statx fstat fcntl ${CP_BELOW} ${CP_DONE} close close`,
);

// In one step: a hidden name is made where it can go again, and what has it is renamed if it is what was made.
const CP_SHOWN = 'statx renameat2 statx';
const CP_FILE_HIDDEN = `newfstatat newfstatat fstatfs statx fstat ${CP_FILE.replace('close close', 'fcntl close close')} ${CP_SHOWN} close`;
// Under a hidden name it is known of each symlink which it is.
const CP_BELOW_HIDDEN = CP_BELOW.replaceAll(
  'symlinkat',
  'symlinkat openat2 fstat geteuid statx statx close',
).replaceAll('fstat fstat fgetxattr', 'fstat statx fgetxattr');
const CP_MADE_HIDDEN = CP_MADE.replace('fstat fstat fgetxattr', 'fstat statx fgetxattr');
const CP_TREE_HIDDEN = `newfstatat fstatfs statx fstat ${CP_MADE_HIDDEN} statx fstat fcntl fcntl ${CP_BELOW_HIDDEN} ${CP_DONE} close ${CP_SHOWN} close`;
/** Whether the file system knows RENAME_NOREPLACE is tried in a directory of its own. */
const CP_TRIED =
  'statx mkdirat openat2 fstat geteuid statx getdents64( getdents64)? fstat statx statx mkdirat renameat2 unlinkat newfstatat fstat unlinkat close';

// Where the target of a symlink is looked up: behind a directory that stands for its place, and goes again.
const MARKED = 'statx mkdirat openat2 fstat geteuid statx openat2';
const UNMARKED = 'close newfstatat fstat unlinkat close';
const REAL = 'openat2 close newfstatat';

// Looked at, written without a name, and given the owner and the permissions of what is there.
const ATOMIC = {
  new: 'newfstatat openat2 write newfstatat fcntl close linkat close',
  over: `openat2 newfstatat openat2 ${SOURCE} close openat2 write newfstatat fstat( fchown fstat)? ${GIVEN}( fchown fstat)? fsync newfstatat fcntl close ${REPLACED} close close fsync close`,
  overVersion: `newfstatat newfstatat openat2 ${SOURCE} close openat2 write fstat ${GIVEN} flock fcntl close statx linkat fstat newfstatat renameat2 newfstatat unlinkat close close`,
};

/**
 * For each method `[what is done, the call, the system calls]`: the latter exactly, in order. They
 * are the documented cost of a call: one for a name in the root itself, and a lookup and a close
 * more for one below. `(…)?` is for what the file system may make needless. Where a root that
 * follows symlinks makes others, those come behind. `root` may be the promises of one. A call that is
 * `between` two roots gets the other one, which is the directory `a`, as its last argument.
 */
const WAYS = {
  constructor: [
    ['a directory', (_, dir, Root) => new Root(dir), 'open(at)? fstatfs openat2 close'],
    ['nothing there', (_, dir, Root) => new Root(`${dir}/missing`), 'open(at)?'],
    ['a file', (_, dir, Root) => new Root(`${dir}/file`), 'open(at)?'],
  ],
  mkdir: [
    ['in the root', (root) => root.mkdir('new'), 'mkdirat'],
    ['below', (root) => root.mkdir('a/b/new'), 'openat2 mkdirat close'],
    ['there already', (root) => root.mkdir('a/b'), 'openat2 mkdirat close'],
    ['the root', (root) => root.mkdir('.'), 'fstat'],
    ['below a symlink', (root) => root.mkdir('todir/new'), 'openat2', 'openat2 mkdirat close'],
    ['recursive, one level', (root) => root.mkdir('a/b/new', true), 'openat2 mkdirat close'],
    ['recursive, there', (root) => root.mkdir('a/b', true), 'openat2 mkdirat newfstatat close'],
    [
      'recursive, on a symlink',
      (root) => root.mkdir('todir', true),
      'mkdirat newfstatat',
      'mkdirat newfstatat openat2 close',
    ],
    [
      'recursive, three levels',
      (root) => root.mkdir('x/y/z', true),
      'openat2 openat2 mkdirat openat2 mkdirat close openat2 mkdirat close',
    ],
  ],
  unlink: [
    ['in the root', (root) => root.unlink('file'), 'unlinkat'],
    ['below', (root) => root.unlink('a/b/c/file'), 'openat2 unlinkat close'],
    ['a symlink', (root) => root.unlink('a/b/c/tofile'), 'openat2 unlinkat close'],
    ['missing', (root) => root.unlink('a/b/c/missing'), 'openat2 unlinkat close'],
    ['below a symlink', (root) => root.unlink('todir/b/c/file'), 'openat2', 'openat2 unlinkat close'],
    ['with a slash behind it', (root) => root.unlink('a/b/'), 'openat2 newfstatat close'],
  ],
  rmdir: [
    ['in the root', (root) => root.rmdir('empty'), 'unlinkat'],
    ['below', (root) => root.rmdir('a/b/c/empty'), 'openat2 unlinkat close'],
    ['not empty', (root) => root.rmdir('a/b'), 'openat2 unlinkat close'],
    ['the root', (root) => root.rmdir('.'), 'fstat'],
  ],
  remove: [
    ['in the root', (root) => root.remove('file'), 'unlinkat'],
    ['below', (root) => root.remove('a/b/c/file'), 'openat2 unlinkat close'],
    ['a symlink', (root) => root.remove('a/b/c/tofile'), 'openat2 unlinkat close'],
    ['a directory', (root) => root.remove('a/b/c/empty'), 'openat2 unlinkat unlinkat close'],
    ['not empty', (root) => root.remove('a/b'), 'openat2 unlinkat unlinkat close'],
    ['missing', (root) => root.remove('missing'), 'unlinkat'],
    ['below a symlink', (root) => root.remove('todir/b/c/file'), 'openat2', 'openat2 unlinkat close'],
    ['with a slash behind it', (root) => root.remove('a/b/c/empty/'), 'openat2 unlinkat close'],
    ['a symlink with a slash behind it', (root) => root.remove('todir/'), 'unlinkat'],
    ['the root', (root) => root.remove('.'), 'fstat'],
  ],
  mkfifo: [
    ['in the root', (root) => root.mkfifo('new'), 'mknodat'],
    ['below', (root) => root.mkfifo('a/b/new', 0o600), 'openat2 mknodat close'],
    ['there already', (root) => root.mkfifo('a/b/c/tofile'), 'openat2 mknodat close'],
    ['below a symlink', (root) => root.mkfifo('todir/new'), 'openat2', 'openat2 mknodat close'],
    ['with a slash behind it', (root) => root.mkfifo('new/'), 'newfstatat'],
  ],
  rename: [
    ['in the root', (root) => root.rename('file', 'other'), 'renameat2'],
    ['below', (root) => root.rename('a/b/c/file', 'a/b/new'), 'openat2 openat2 renameat2 close close'],
    ['a symlink', (root) => root.rename('tofile', 'a/b/new'), 'openat2 renameat2 close'],
    ['missing', (root) => root.rename('missing', 'new'), 'renameat2'],
    ['from below a symlink', (root) => root.rename('todir/b', 'new'), 'openat2', 'openat2 renameat2 close'],
    [
      'to below a symlink',
      (root) => root.rename('file', 'todir/new'),
      'openat2 newfstatat',
      'openat2 renameat2 close',
    ],
    [
      'between two roots',
      between((root, _dir, _Root, to) => root.rename('tree/dir', 'b/new', { to })),
      'openat2 openat2 renameat2 close close',
    ],
    ['with slashes', slashed((root) => root.rename('a/b/', 'new/')), 'openat2 renameat2 close'],
  ],
  renameNoReplace: [
    ['in the root', (root) => root.renameNoReplace('file', 'new'), 'renameat2'],
    [
      'below',
      (root) => root.renameNoReplace('a/b/c/file', 'a/b/new'),
      'openat2 openat2 renameat2 close close',
    ],
    [
      'between two roots',
      between((root, _dir, _Root, to) => root.renameNoReplace('file', 'new', { to })),
      'renameat2',
    ],
    ['there already', (root) => root.renameNoReplace('file', 'other'), 'renameat2'],
    ['with slashes', slashed((root) => root.renameNoReplace('a/b/', 'new/')), 'openat2 renameat2 close'],
  ],
  link: [
    ['in the root', (root) => root.link('file', 'new'), 'linkat'],
    ['below', (root) => root.link('a/b/c/file', 'a/b/new'), 'openat2 openat2 linkat close close'],
    ['a symlink', (root) => root.link('tofile', 'new'), 'linkat'],
    [
      'between two roots',
      between((root, _dir, _Root, to) => root.link('tree/file', 'new', { to })),
      'openat2 linkat close',
    ],
    [
      'to below a symlink',
      (root) => root.link('file', 'todir/new'),
      'openat2 newfstatat',
      'openat2 linkat close',
    ],
    ['with a slash behind it', (root) => root.link('file', 'new/'), 'newfstatat newfstatat'],
  ],
  symlink: [
    ['in the root', (root) => root.symlink('/any/where', 'new'), 'symlinkat'],
    ['below', (root) => root.symlink('../any/where', 'a/b/new'), 'openat2 symlinkat close'],
    ['there already', (root) => root.symlink('/', 'a/b/c/tofile'), 'openat2 symlinkat close'],
    ['with a slash behind it', (root) => root.symlink('/', 'new/'), 'newfstatat'],
    [
      'that leads beneath',
      (root) => root.symlink('a/b', 'new', { beneath: true }),
      'openat2 close symlinkat',
    ],
    [
      'that leads beneath from below',
      (root) => root.symlink('../../file', 'a/b/new', { beneath: true }),
      `openat2 ${MARKED} openat2 close ${UNMARKED} symlinkat close`,
      `openat2 ${REAL} openat2 newfstatat close ${MARKED} openat2 close ${UNMARKED} symlinkat close`,
    ],
    [
      'that leads out',
      (root) => root.symlink('../../../x', 'a/b/new', { beneath: true }),
      `openat2 ${MARKED} openat2 openat2 close openat2 ${UNMARKED} close`,
      `openat2 ${REAL} openat2 newfstatat close ${MARKED} openat2 openat2 close openat2 ${UNMARKED} close`,
    ],
    [
      'that leads to nothing',
      (root) => root.symlink('no/thing', 'a/new', { beneath: true }),
      `openat2 ${MARKED} openat2 openat2 openat2 readlinkat close ${UNMARKED} symlinkat close`,
      `openat2 ${REAL} ${MARKED} openat2 openat2 openat2 readlinkat close ${UNMARKED} symlinkat close`,
    ],
    ['that is absolute', (root) => root.symlink('/a', 'new', { beneath: true }), ''],
  ],
  chmod: [
    ['in the root', (root) => root.chmod('file', 0o600), 'openat2 fchmodat2 close'],
    ['below', (root) => root.chmod('a/b/c', 0o700), 'openat2 fchmodat2 close'],
    ['the root', (root) => root.chmod('.', 0o700), 'fstat fcntl fchmodat2 close'],
    ['a symlink', (root) => root.chmod('a/b/c/tofile', 0o600), 'openat2', 'openat2 fchmodat2 close'],
  ],
  truncate: [
    ['in the root', (root) => root.truncate('file', 3), 'openat2 fstat ftruncate close'],
    ['below', (root) => root.truncate('a/b/c/file', 1000), 'openat2 fstat ftruncate close'],
    ['a directory', (root) => root.truncate('a/b', 0), 'openat2'],
    ['a symlink', (root) => root.truncate('tofile', 0), 'openat2', 'openat2 fstat ftruncate close'],
  ],
  copyFile: [
    [
      'to a new file',
      (root) => root.copyFile('file', 'new'),
      `${SOURCE} openat2 openat2 ${COPY} close close`,
    ],
    [
      'to a new file below',
      (root) => root.copyFile('a/b/c/file', 'a/b/new'),
      `${SOURCE} openat2 openat2 openat2 ${COPY} close close close`,
    ],
    [
      'over another',
      (root) => root.copyFile('file', 'a/b/c/other'),
      `${SOURCE} openat2 ${COPY_OVER} close close`,
    ],
    [
      'between two roots',
      between((root, _dir, _Root, to) => root.copyFile('file', 'b/new', null, { to })),
      `${SOURCE} openat2 openat2 openat2 ${COPY} close close close`,
    ],
    [
      'exclusively',
      (root) => root.copyFile('file', 'new', null, { exclusive: true, reflink: 'never' }),
      `${SOURCE} openat2 fstat pread64 pwrite64 ${STILL_GIVEN} close close`,
    ],
    [
      'over another, sharing blocks or not at all',
      ofRoot((root) => root.copyFile('file', 'a/b/c/other', null, { reflink: 'always' })),
      `${SOURCE} openat2 fstat geteuid fstat ioctl( fchmod ioctl ftruncate ioctl ${GIVEN})? close close`,
    ],
    [
      'a long file with a hole',
      prepared(plantLong, (root) => root.copyFile('long', 'new')),
      `${SOURCE} openat2 openat2 fstat ioctl( lseek lseek copy_file_range lseek ftruncate)? ${STILL_GIVEN} close close`,
    ],
    [
      'onto itself',
      (root) => root.copyFile('file', 'file'),
      `${SOURCE} openat2 fstat geteuid fstat close close`,
    ],
    ['a directory', (root) => root.copyFile('a', 'new'), 'openat2 fstat close'],
    ['to a directory', (root) => root.copyFile('file', 'a/b'), `${SOURCE} openat2 close`],
    [
      'a symlink',
      (root) => root.copyFile('tofile', 'new'),
      'openat2',
      `${SOURCE} openat2 openat2 ${COPY} close close`,
    ],
    [
      'to a symlink',
      (root) => root.copyFile('file', 'a/b/c/tofile'),
      `${SOURCE} openat2 close`,
      `${SOURCE} openat2 ${COPY_OVER} close close`,
    ],
  ],
  rm: [
    ['in the root', (root) => root.rm('file'), 'unlinkat'],
    ['below', (root) => root.rm('a/b/c/file'), 'openat2 unlinkat close'],
    ['a symlink', (root) => root.rm('todir', true), 'unlinkat'],
    ['missing', (root) => root.rm('a/b/missing'), 'openat2 unlinkat newfstatat close'],
    ['missing, force', (root) => root.rm('missing', false, true), 'unlinkat newfstatat'],
    ['a directory', (root) => root.rm('a/b'), 'openat2 unlinkat newfstatat close'],
    [
      'an empty directory',
      (root) => root.rm('a/b/c/empty', true),
      'openat2 unlinkat newfstatat fcntl unlinkat close close',
    ],
    [
      'a tree',
      (root) => root.rm('tree', true),
      // Each directory: tried, opened, listed to its end, tried again.
      'unlinkat newfstatat fcntl ' +
        'unlinkat openat2 getdents64 unlinkat unlinkat ' +
        'unlinkat openat2 getdents64 unlinkat unlinkat ' +
        'unlinkat openat2 getdents64 unlinkat getdents64 unlinkat close ' +
        'getdents64 unlinkat close ' +
        'getdents64 unlinkat close close',
    ],
    [
      'with a slash',
      (root) => root.rm('a/b/c/empty/', true),
      'openat2 newfstatat fcntl unlinkat close close',
    ],
  ],
  utimes: [
    ['in the root', (root) => root.utimes('file', 1, 2), 'openat2 utimensat close'],
    ['below', (root) => root.utimes('a/b/c', 1, 2), 'openat2 utimensat close'],
    ['the root', (root) => root.utimes('.', 1, 2), 'fstat fcntl utimensat close'],
    ['a symlink', (root) => root.utimes('tofile', 1, 2), 'openat2', 'openat2 utimensat close'],
  ],
  lutimes: [
    ['in the root', (root) => root.lutimes('file', 1, 2), 'utimensat'],
    ['below', (root) => root.lutimes('a/b/c', 1, 2), 'openat2 utimensat close'],
    ['one time', (root) => root.lutimes('file', null, 2n), 'utimensat'],
    ['no time', (root) => root.lutimes('file', null, null), 'newfstatat'],
    ['the root', (root) => root.lutimes('.', 1, 2), 'fstat fcntl utimensat close'],
    ['a symlink', (root) => root.lutimes('a/b/c/tofile', 1, 2), 'openat2 utimensat close'],
    ['with a slash behind it', (root) => root.lutimes('a/b/', 1, 2), 'openat2 utimensat close'],
    [
      'a symlink with a slash behind it',
      (root) => root.lutimes('todir/', 1, 2),
      'openat2',
      'openat2 utimensat close',
    ],
  ],
  chown: [
    ['in the root', (root) => root.chown('file', ...ids), 'openat2 fchownat close'],
    ['below', (root) => root.chown('a/b/c/file', ...ids), 'openat2 fchownat close'],
    ['the root', (root) => root.chown('.', ...ids), 'fstat fcntl fchownat close'],
    ['a symlink', (root) => root.chown('tofile', ...ids), 'openat2', 'openat2 fchownat close'],
  ],
  lchown: [
    ['in the root', (root) => root.lchown('file', ...ids), 'fchownat'],
    ['below', (root) => root.lchown('a/b/c/file', ...ids), 'openat2 fchownat close'],
    ['the root', (root) => root.lchown('.', ...ids), 'fstat fcntl fchownat close'],
    ['a symlink', (root) => root.lchown('a/b/c/tofile', ...ids), 'openat2 fchownat close'],
  ],
  stat: [
    ['in the root', (root) => root.stat('file'), 'newfstatat'],
    ['below', (root) => root.stat('a/b/c/file'), 'openat2 fstat close'],
    ['in bigints', (root) => root.stat('a/b/c/file', { bigint: true }), 'openat2 fstat close'],
    ['the root', (root) => root.stat('.'), 'fstat'],
    ['a symlink', (root) => root.stat('a/b/c/tofile'), 'openat2', 'openat2 fstat close'],
    ['nothing there', (root) => root.stat('new', { throwIfNoEntry: false }), 'newfstatat'],
    // Where links are followed, each is read: the last one is more than the kernel follows.
    ['a loop', prepared(linked('link'), (root) => root.stat('link')), 'newfstatat', `newfstatat ${LOOP}`],
    ['its version', (root) => root.stat('file', { version: true }), 'newfstatat'],
  ],
  lstat: [
    ['in the root', (root) => root.lstat('file'), 'newfstatat'],
    ['below', (root) => root.lstat('a/b/c/file'), 'openat2 fstat close'],
    ['the root', (root) => root.lstat('.'), 'fstat'],
    ['a symlink', (root) => root.lstat('a/b/c/tofile'), 'openat2 fstat close'],
    ['nothing there', (root) => root.lstat('new', { throwIfNoEntry: false }), 'newfstatat'],
  ],
  statfs: [
    ['in the root', (root) => root.statfs('file'), 'openat2 fstatfs close'],
    ['below', (root) => root.statfs('a/b/c/file'), 'openat2 fstatfs close'],
    ['in bigints', (root) => root.statfs('a/b/c/file', { bigint: true }), 'openat2 fstatfs close'],
    ['the root', (root) => root.statfs('.'), 'fcntl fstatfs close'],
    ['a symlink', (root) => root.statfs('a/b/c/tofile'), 'openat2', 'openat2 fstatfs close'],
    ['nothing there', (root) => root.statfs('new'), 'openat2'],
  ],
  access: [
    ['in the root', (root) => root.access('file'), `${WHO} newfstatat`],
    ['in the root, to read', (root) => root.access('file', 4), `${WHO} openat2 faccessat2 close`],
    ['below', (root) => root.access('a/b/c', 7), `${WHO} openat2 faccessat2 close`],
    ['the root', (root) => root.access('.'), `${WHO} fstat`],
    ['a symlink', (root) => root.access('tofile'), `${WHO} newfstatat`, `${WHO} newfstatat openat2 close`],
    ['missing', (root) => root.access('a/b/missing'), `${WHO} openat2`],
  ],
  exists: [
    ['in the root', (root) => root.exists('file'), `${WHO} newfstatat`],
    ['below', (root) => root.exists('a/b/c/file'), `${WHO} openat2 close`],
    ['the root', (root) => root.exists('.'), `${WHO} fstat`],
    ['a symlink', (root) => root.exists('a/b/c/tofile'), `${WHO} openat2`, `${WHO} openat2 close`],
    ['missing', (root) => root.exists('a/b/missing'), `${WHO} openat2`],
    ['no path', (root) => root.exists(1), ''],
  ],
  readlink: [
    ['in the root', (root) => root.readlink('tofile'), 'readlinkat'],
    ['below', (root) => root.readlink('a/b/c/tofile', 'buffer'), 'openat2 readlinkat close'],
    ['the root', (root) => root.readlink('.'), 'fcntl readlinkat close'],
    ['no symlink', (root) => root.readlink('file'), 'readlinkat'],
    ['below a symlink', (root) => root.readlink('todir/b/c/tofile'), 'openat2', 'openat2 readlinkat close'],
  ],
  // Without symlinks it is the path; where they are followed, each name on the way is looked at.
  realpath: [
    ['in the root', (root) => root.realpath('file'), 'openat2 close', 'openat2 close newfstatat'],
    [
      'below',
      (root) => root.realpath('a/b/c/file'),
      'openat2 close',
      'openat2 close newfstatat( openat2 newfstatat close){3}',
    ],
    ['the root', (root) => root.realpath('.'), 'fcntl close'],
    [
      'a symlink',
      (root) => root.realpath('a/b/c/tofile'),
      'openat2',
      'openat2 close newfstatat( openat2 newfstatat close){2} openat2 newfstatat readlinkat close openat2 newfstatat close',
    ],
    ['missing', (root) => root.realpath('a/b/missing'), 'openat2'],
  ],
  readdir: [
    ['the root', (root) => root.readdir('.'), LISTED],
    ['below', (root) => root.readdir('a/b/c', { withFileTypes: true }), LISTED],
    ['a tree', (root) => root.readdir('tree', { recursive: true }), READ_TREE],
    ['a file', (root) => root.readdir('file'), 'openat2'],
    ['a symlink', (root) => root.readdir('todir'), 'openat2', LISTED],
  ],
  opendir: [
    // What is left open by one that fails is closed on another thread.
    ['below', ofRoot((root) => root.opendir('a/b')), LISTED],
    ['a file', (root) => root.opendir('file'), 'openat2'],
    ['a symlink', (root) => root.opendir('todir'), 'openat2', LISTED],
  ],
  mkdtemp: [
    ['in the root', (root) => root.mkdtemp('new'), 'mkdirat'],
    ['below', (root) => root.mkdtemp('a/b/new'), 'openat2 mkdirat close'],
    ['below a symlink', (root) => root.mkdtemp('todir/new'), 'openat2', 'openat2 mkdirat close'],
    ['missing', (root) => root.mkdtemp('missing/new'), 'openat2'],
  ],
  hostPath: [
    ['below', (root) => root.hostPath('a/b'), 'openat2 fstatfs fcntl close'],
    ['the root', (root) => root.hostPath('.'), 'fcntl fstatfs fcntl close'],
    ['a file', (root) => root.hostPath('file'), 'openat2'],
    ['a symlink', (root) => root.hostPath('todir'), 'openat2', 'openat2 fstatfs fcntl close'],
  ],
  openRoot: [
    ['below', (root) => root.openRoot('a/b'), 'openat2 fstatfs'],
    ['the root', (root) => root.openRoot('.'), 'fcntl fstatfs'],
    ['a file', (root) => root.openRoot('file'), 'openat2'],
    ['a symlink', (root) => root.openRoot('todir'), 'openat2', 'openat2 fstatfs'],
  ],
  isAt: [
    ['where it is', (root, dir) => root.isAt(dir), 'statx open(at)? statx close'],
    ['elsewhere', (root, dir) => root.isAt(`${dir}/a`), 'statx open(at)? statx close'],
    ['nowhere', (root, dir) => root.isAt(`${dir}/missing`), 'statx open(at)?'],
  ],
  identity: [
    ['open', (root) => root.identity, 'statx'],
    ['closed', closedFirst((root) => root.identity), ''],
  ],
  deleted: [
    ['open', (root) => root.deleted, 'fstat'],
    ['closed', closedFirst((root) => root.deleted), ''],
  ],
  open: [
    ['in the root', (root) => root.open('file'), 'openat2 fstat fcntl'],
    ['that never waits', (root) => root.open('file', fs.constants.O_NONBLOCK), 'openat2 fstat'],
    ['a new file', (root) => root.open('a/b/new', 'ax+', 0o600), 'openat2 openat2 fstat close'],
    ['cut', (root) => root.open('a/b/c/file', 'w+'), 'openat2 fstat geteuid fcntl ftruncate'],
    ['for its place', (root) => root.open('a/b/c/file', O_PATH), 'openat2'],
    ['there already', (root) => root.open('file', 'ax'), 'openat2'],
    ['a directory', (root) => root.open('a'), 'openat2 fstat fcntl'],
    ['a symlink', (root) => root.open('tofile', 'r+'), 'openat2', 'openat2 fstat fcntl'],
  ],
  readFile: [
    ['in the root', (root) => root.readFile('file'), 'openat2 fstat read close'],
    ['below', (root) => root.readFile('a/b/c/file', 'utf8'), 'openat2 fstat read close'],
    ['a directory', (root) => root.readFile('a'), 'openat2 fstat close'],
    ['too large', (root) => root.readFile('file', { maxBytes: 3 }), 'openat2 fstat read close'],
    ['a symlink', (root) => root.readFile('tofile'), 'openat2', 'openat2 fstat read close'],
    ['a loop', prepared(linked('link'), (root) => root.readFile('link')), 'openat2', LOOP],
  ],
  writeFile: [
    ['a new file', (root) => root.writeFile('new', 'content'), 'openat2 openat2 fstat write close'],
    [
      'a new file below',
      (root) => root.writeFile('a/b/new', 'content'),
      'openat2 openat2 openat2 fstat write close close',
    ],
    [
      'over another',
      (root) => root.writeFile('a/b/c/file', 'content', { flush: true }),
      'openat2 fstat geteuid ftruncate write fsync close',
    ],
    [
      'with another flag',
      (root) => root.writeFile('file', 'content', { flag: 'r+' }),
      'openat2 fstat write close',
    ],
    ['a new file in one step', (root) => root.writeFile('new', 'content', { atomic: true }), ATOMIC.new],
    [
      'over another in one step',
      prepared(ofAnother, (root) => root.writeFile('a/b/c/file', 'content', { atomic: true, flush: true })),
      ATOMIC.over,
    ],
    [
      'there already, in one step',
      (root) => root.writeFile('file', 'content', { atomic: true, flag: 'wx' }),
      'newfstatat',
    ],
    [
      'over a version',
      ofRoot((root) => {
        const { version } = root.lstat('file', { version: true });
        root.writeFile('file', 'new', { atomic: true, ifMatch: version });
      }),
      ATOMIC.overVersion,
    ],
    [
      'over another version',
      (root) => root.writeFile('file', 'content', { atomic: true, ifMatch: '1-2-3-4-5-6-7' }),
      'newfstatat',
    ],
    [
      'a new file, bit by bit',
      ofRoot((root) => root.promises.writeFile('new', ['a', 'b'])),
      'openat2 openat2 fstat fcntl fstat write fstat fstat write fstat fcntl close close close',
    ],
    [
      'over another, bit by bit',
      ofRoot((root) => root.promises.writeFile('a/b/c/file', ['a', 'b'])),
      'openat2 fstat geteuid ftruncate write write fcntl close close',
    ],
    [
      'a new file in one step, bit by bit',
      ofRoot((root) => root.promises.writeFile('new', ['a', 'b'], { atomic: true })),
      'fcntl newfstatat openat2 write write newfstatat fcntl close linkat close close',
    ],
    [
      'that fails bit by bit',
      ofRoot((root) => root.promises.writeFile('new', ['a', 1])),
      'openat2 openat2 fstat fcntl fstat write fstat newfstatat unlinkat close close',
    ],
    ['a directory', (root) => root.writeFile('a', 'content'), 'openat2'],
    // Where links are followed, what they name is made, or it is said at once why it cannot be.
    [
      'a symlink to nothing',
      prepared(linked('new'), (root) => root.writeFile('link', 'content')),
      'openat2',
      'openat2 openat2 readlinkat openat2 fstat write close',
    ],
    [
      'a symlink to below nothing',
      prepared(linked('missing/new'), (root) => root.writeFile('link', 'content')),
      'openat2',
      'openat2 openat2 readlinkat openat2',
    ],
    [
      'a symlink',
      (root) => root.writeFile('tofile', 'content'),
      'openat2',
      'openat2 fstat geteuid ftruncate write close',
    ],
  ],
  appendFile: [
    ['a new file', (root) => root.appendFile('new', 'content'), 'openat2 openat2 fstat write close'],
    ['below', (root) => root.appendFile('a/b/c/file', 'more'), 'openat2 fstat geteuid write close'],
    ['a directory', (root) => root.appendFile('a', 'content'), 'openat2'],
    [
      'a symlink',
      (root) => root.appendFile('tofile', 'content'),
      'openat2',
      'openat2 fstat geteuid write close',
    ],
  ],
  fsync: [
    ['in the root', (root) => root.fsync('file'), 'openat2 fstat fsync close'],
    ['below', (root) => root.fsync('a/b/c/file'), 'openat2 fstat fsync close'],
    ['a directory', (root) => root.fsync('.'), 'openat2 fstat fsync close'],
    ['missing', (root) => root.fsync('missing'), 'openat2'],
    ['a symlink', (root) => root.fsync('tofile'), 'openat2', 'openat2 fstat fsync close'],
  ],
  cp: [
    ['a file', (root) => root.cp('file', 'new'), `newfstatat fstat ${CP_FILE}`],
    [
      'a file below',
      (root) => root.cp('a/b/c/file', 'a/b/new', { preserveTimestamps: true }),
      `openat2 newfstatat openat2 fstat ${CP_FILE.replace('fchmod', 'fchmod utimensat')} close close`,
    ],
    ['over another', (root) => root.cp('file', 'a/b/c/other'), `newfstatat openat2 ${CP_REPLACED} close`],
    ['a symlink', (root) => root.cp('a/b/c/tofile', 'new'), `openat2 newfstatat fstat ${CP_LINK} close`],
    ['a tree', (root) => root.cp('tree', 'a/new', { recursive: true }), CP_TREES[0]],
    [
      'into a tree',
      (root) => root.cp('tree', 'a', { recursive: true }),
      `newfstatat openat2 fstat fstat fstat fstat mkdirat openat2 statx fstat fcntl ${CP_BELOW} getdents64 close close close`,
    ],
    [
      'what a filter says',
      (root) => root.cp('tree', 'new', { recursive: true, filter: (src) => !src.includes('dir') }),
      `newfstatat openat2 close (fcntl|openat2) fstatfs openat2 getdents64 getdents64 close close newfstatat openat2 fstat fstat fstat fstat ${CP_MADE} statx fstat fcntl getdents64 ${CP_FILE} ${CP_NEXT} ${CP_DONE} close`,
    ],
    [
      'between two roots',
      between((root, _dir, _Root, to) => root.cp('tree', 'b/new', { recursive: true, to })),
      CP_TREES[1],
    ],
    ['a file in one step', (root) => root.cp('file', 'new', { atomic: true }), CP_FILE_HIDDEN],
    [
      'over another in one step',
      (root) => root.cp('file', 'a/b/c/other', { atomic: true }),
      `${CP_FILE_HIDDEN.replace('newfstatat', 'newfstatat openat2')} close`,
    ],
    [
      'a tree in one step',
      (root) => root.cp('tree', 'a/new', { recursive: true, atomic: true }),
      `${CP_FOUND} ${CP_ABOVE[0]} fstat ${CP_TREE_HIDDEN} close`,
    ],
    [
      'a tree in one step, if nothing is there',
      (root) => root.cp('tree', 'new', { recursive: true, atomic: true, force: false }),
      `newfstatat openat2 fstat fstat fstat fstat newfstatat ${CP_TRIED} ${CP_TREE_HIDDEN.replace('newfstatat ', '')}`,
    ],
    [
      'there already, in one step',
      (root) => root.cp('file', 'other', { atomic: true, force: false, errorOnExist: true }),
      'newfstatat newfstatat',
    ],
    [
      'there already',
      (root) => root.cp('file', 'other', { force: false, errorOnExist: true }),
      `newfstatat fstat ${SOURCE} openat2 newfstatat close newfstatat`,
    ],
    ['a directory', (root) => root.cp('a', 'new'), 'newfstatat openat2 fstat fstat fstat fstat close'],
    [
      'into itself',
      (root) => root.cp('a', 'a/b/new', { recursive: true }),
      `${CP_FOUND} ${CP_ABOVE[0]} close close`,
    ],
    [
      'from below a symlink',
      (root) => root.cp('todir/b/c/file', 'new'),
      'openat2',
      `openat2 newfstatat fstat ${CP_FILE} close`,
    ],
    [
      'to below a symlink',
      (root) => root.cp('file', 'todir/new'),
      'newfstatat openat2',
      `newfstatat openat2 fstat ${CP_FILE} close`,
    ],
  ],
  move: [
    ['in the root', (root) => root.move('file', 'new'), 'renameat2'],
    ['below', (root) => root.move('a/b/c/file', 'a/b/new'), 'openat2 openat2 renameat2 close close'],
    [
      'over another',
      (root) => root.move('file', 'a/b/c/other', { overwrite: true }),
      'openat2 renameat2 close',
    ],
    ['a tree', (root) => root.move('tree', 'a/new'), 'openat2 renameat2 close'],
    ['a symlink', (root) => root.move('tofile', 'new'), 'renameat2'],
    ['with slashes', slashed((root) => root.move('a/b/', 'new/')), 'openat2 renameat2 close'],
    [
      'between two roots',
      between((root, _dir, _Root, to) => root.move('tree', 'b/new', { to })),
      'openat2 renameat2 close',
    ],
    ['there already', (root) => root.move('file', 'other'), 'renameat2'],
    ['into itself', (root) => root.move('a', 'a/b/new'), 'openat2 renameat2 close'],
    [
      'to below a symlink',
      (root) => root.move('file', 'todir/new'),
      'openat2 newfstatat',
      'openat2 renameat2 close',
    ],
  ],
  walk: [
    ['a tree', ofRoot((root) => collected(root.walk('tree'))), READ_TREE],
    ['the root', ofRoot((root) => collected(root.walk('.', { maxDepth: 1 }))), LISTED],
    ['a file', ofRoot((root) => collected(root.walk('file'))), 'openat2'],
    [
      'a tree, without a directory',
      ofRoot((root) => collected(root.walk('tree', { filter: ({ name }) => name !== 'dir' }))),
      LISTED,
    ],
    [
      'a tree, with a filter that keeps it',
      ofRoot((root) => collected(root.walk('tree', { filter: () => true }))),
      READ_TREE,
    ],
    ['a file, on', ofRoot((root) => collected(root.walk('file', { onError: () => {} }))), 'openat2'],
    ['a symlink', ofRoot((root) => collected(root.walk('todir'))), 'openat2', readTree(4)],
  ],
  exchange: [
    ['in the root', (root) => root.exchange('file', 'tofile'), 'renameat2'],
    ['below', (root) => root.exchange('a/b/c/file', 'a/b'), 'openat2 openat2 renameat2 close close'],
    ['a file and a directory', (root) => root.exchange('empty', 'a/b/c/file'), 'openat2 renameat2 close'],
    ['missing', (root) => root.exchange('file', 'new'), 'renameat2'],
    ['with slashes', slashed((root) => root.exchange('a/', 'tree/')), 'renameat2'],
  ],
  openRead: [
    ['in the root', (root) => root.openRead('file'), 'openat2 fstat fcntl'],
    ['below', (root) => root.openRead('a/b/c/file'), 'openat2 fstat fcntl'],
    ['a directory', (root) => root.openRead('a'), 'openat2 fstat fcntl'],
    ['the root', (root) => root.openRead('.'), 'openat2 fstat fcntl'],
    ['a symlink', (root) => root.openRead('a/b/c/tofile'), 'openat2', 'openat2 fstat fcntl'],
    ['missing', (root) => root.openRead('a/missing'), 'openat2'],
  ],
  openWrite: [
    ['in the root', (root) => root.openWrite('file'), 'openat2 fstat fcntl'],
    ['below', (root) => root.openWrite('a/b/c/file', false, false, true), 'openat2 fstat fcntl'],
    ['a new file', (root) => root.openWrite('a/b/new', true), 'openat2 openat2 openat2 fstat close'],
    ['cut', (root) => root.openWrite('a/b/c/file', true, true), 'openat2 fstat geteuid fcntl ftruncate'],
    ['a directory', (root) => root.openWrite('a'), 'openat2'],
    [
      'a symlink',
      (root) => root.openWrite('tofile', true, true),
      'openat2',
      'openat2 fstat geteuid fcntl ftruncate',
    ],
  ],
  promises: [['open', (root) => root.promises, '']],
  close: [
    ['open', (root) => root.close(), 'close'],
    ['closed', closedFirst((root) => root.close()), ''],
  ],
  closed: [
    ['open', (root) => root.closed, ''],
    ['closed', closedFirst((root) => root.closed), ''],
  ],
};

// Where this Node has it.
if (Symbol.dispose !== undefined) {
  WAYS[String(Symbol.dispose)] = [['open', (root) => root[Symbol.dispose](), 'close']];
}

/** Methods that give the caller a descriptor. */
const OPENS = ['openRead', 'openWrite', 'open'];

/** What a root has beside the methods that its promises have too. */
const ONLY_SYNC = [
  'constructor',
  'promises',
  'identity',
  'deleted',
  'close',
  'closed',
  String(Symbol.dispose),
];

function closedFirst(call) {
  return Object.assign(call, { closed: true });
}

/** With a slash behind a path. */
function slashed(call) {
  return Object.assign(call, { slashed: true });
}

function covered(call) {
  return Object.assign(call, { cover: true });
}

/** What the promises of a root do not have, though it is waited for. */
function ofRoot(call) {
  return Object.assign(call, { ofRoot: true });
}

/** What a way needs beside the tree that all of them start from. */
function prepared(prepare, call) {
  return Object.assign(call, { prepare });
}

/** A file with a mode of its own, and of another owner where there can be one. */
function ofAnother(dir) {
  const at = path.join(dir, 'a/b/c/file');
  if (isRoot) fs.chownSync(at, NOBODY, NOBODY);
  fs.chmodSync(at, 0o646);
}

function linked(target) {
  return (dir) => fs.symlinkSync(target, path.join(dir, 'link'));
}

/** Longer than what is read and written at once, and fewer blocks than it is long. */
function plantLong(dir) {
  const at = path.join(dir, 'long');
  fs.writeFileSync(at, 'x'.repeat(132 << 10));
  fs.truncateSync(at, 140 << 10);
}

async function collected(entries) {
  const all = [];
  for await (const entry of entries) all.push(entry);
  return all;
}

function between(call) {
  return Object.assign(call, { between: true });
}

const ONTO = 'openat2';
/** Where links are followed: not across a mount at first, then across one, and by no link. */
const ACROSS = 'openat2 openat2';
/** By a link: then whether the root is covered, across, and whether it is by now. */
const ACROSS_BY_LINK = `${ACROSS} openat2 close openat2 openat2 close`;

/**
 * Ways across a mount, `mounted`, as `WAYS`. Those with `cover` start when something is mounted over the
 * root as well. `undefined`: what it costs is not said.
 */
const CROSSING = {
  stat: [
    ['on a mount', (root) => root.stat('mounted/file'), `${ONTO} fstat close`, `${ACROSS} fstat close`],
    ['the mount', (root) => root.stat('mounted'), 'newfstatat'],
    ['a way up', (root) => root.stat('a/..'), '', `${ONTO} fstat close`],
    // A rename elsewhere makes all of it be done again.
    ['a way up from a mount', (root) => root.stat('mounted/../file'), '', '(openat2( openat2 close)? )+openat2 openat2 close fstat close'],
    ['below a covered root', covered((root) => root.stat('a/b')), `${ONTO} fstat close`],
    ['a way up to a covered root', covered((root) => root.stat('a/..')), '', 'openat2 openat2'],
    ['on a mount, by a covered root', covered((root) => root.stat('mounted/file')), `${ONTO} fstat close`, `${ACROSS} fstat close`],
    ['by a link on a mount', (root) => root.stat('mounted/todir/b'), ONTO, `${ACROSS_BY_LINK} fstat close`],
    ['by a link on a mount, by a covered root', covered((root) => root.stat('mounted/todir/b')), ONTO, `${ACROSS} openat2`],
  ],
  mkdir: [
    ['on a mount', (root) => root.mkdir('mounted/new'), `${ONTO} mkdirat close`, `${ACROSS} mkdirat close`],
    ['by a covered root', covered((root) => root.mkdir('a/../a/new')), '', 'openat2 openat2'],
  ],
  openRead: [
    ['on a mount', (root) => root.openRead('mounted/file'), `${ONTO} fstat fcntl`, `${ACROSS} fstat fcntl`],
  ],
  writeFile: [
    ['a new file on a mount', (root) => root.writeFile('mounted/new', 'content'), `${ONTO} openat2 openat2 fstat write close close`, `${ACROSS} ${ACROSS} openat2 fstat write close close`],
    ['over another on a mount', (root) => root.writeFile('mounted/file', 'content', { atomic: true }), undefined],
  ],
  copyFile: [
    ['to a mount', (root) => root.copyFile('file', 'mounted/file'), undefined],
  ],
  readdir: [['a tree with a mount', (root) => root.readdir('.', { recursive: true }), undefined]],
  cp: [
    ['to a mount', (root) => root.cp('tree', 'mounted/new', { recursive: true }), undefined],
    ['a tree with a mount', (root) => root.cp('.', 'a/new', { recursive: true }), undefined],
  ],
  rm: [['a tree with a mount', (root) => root.rm('mounted', true), undefined]],
  move: [
    ['a file', (root) => root.move('file', 'mounted/new'), undefined],
    ['a file below', (root) => root.move('mounted/tree/dir/file', 'a/b/new'), undefined],
    ['a symlink', (root) => root.move('a/b/c/tofile', 'mounted/new'), undefined],
    ['a tree', (root) => root.move('tree', 'mounted/tree/new'), undefined],
    ['a tree back', (root) => root.move('mounted/tree', 'a/new'), undefined],
    ['over another', (root) => root.move('file', 'mounted/other', { overwrite: true }), undefined],
    ['there already', (root) => root.move('file', 'mounted/other'), undefined],
    ['a mount', (root) => root.move('mounted', 'a/new'), undefined],
  ],
}; // biome-ignore format: a table

/** Every way as one object, in order. */
const inOrder = (ways) =>
  Object.entries(ways).flatMap(([method, rows]) =>
    rows.map(([what, call, syscalls, following = syscalls]) => ({ method, what, call, syscalls, following })),
  );
const ways = inOrder(WAYS);
const crossing = inOrder(CROSSING);

/** Those that are done when the call returns. */
const waysAtOnce = ways.filter(({ call }) => !call.ofRoot);

/** Loads what is loaded with its first use: the binary with the first root, the rest with what it is for. */
function loadAll() {
  const lib = path.join(__dirname, '../../lib');
  // As one of them loads the others: Node remembers where that leads.
  const load = createRequire(path.join(lib, 'root.js'));
  for (const name of fs.readdirSync(lib)) if (name.endsWith('.js')) load(`./${name}`);
  load('./native.js').load();
}

/** What a call came to: the code of its error, or nothing. A descriptor is closed by `giveBack`. */
function perform(way, root, dir, Root, to) {
  try {
    return doneWith(way, way.call(root, dir, Root, to), Root);
  } catch (error) {
    return failedWith(error);
  }
}

/** The same by the promises of `root`, or whatever else is waited for. */
async function performLater(way, root, dir, Root, to) {
  try {
    return doneWith(way, await way.call(way.call.ofRoot ? root : root.promises, dir, Root, to), Root);
  } catch (error) {
    return failedWith(error);
  }
}

/** What a promise asks for first, on the thread that calls: answered if the kernel has it in its cache. */
const ASKED_FIRST = {
  stat: 'openat2 fstat close',
  lstat: 'openat2 fstat close',
  exists: `${WHO} openat2 close`,
};

/** The system calls of a promise, where those of a call are `syscalls`. */
function laterToo(method, syscalls) {
  const answered = ASKED_FIRST[method];
  // Without a path nothing is asked but who asks. Only that nothing is there is believed without waiting.
  if (answered === undefined) return syscalls;
  const first = answered.indexOf('openat2');
  if (syscalls === '') return answered.slice(0, first).trim();
  const asked = answered.slice(0, first + 'openat2'.length);
  return `${answered}|${asked}|${asked} ${syscalls}`;
}

const doneWith = ({ method }, value, Root) => ({
  fd: OPENS.includes(method) ? value : undefined,
  made: value instanceof Root || typeof value?.close === 'function' ? value : undefined,
});

const failedWith = ({ code, errno, syscall, path, dest, message, entries }) => ({
  error: { code, errno, syscall, path, dest, message, entries },
});

function giveBack({ fd, made }) {
  if (fd !== undefined) fs.closeSync(fd);
  made?.close();
}

module.exports = {
  ASKED_FIRST,
  laterToo,
  loadAll,
  ONLY_SYNC,
  OPENS,
  TREE,
  WAYS,
  crossing,
  giveBack,
  perform,
  performLater,
  ways,
  waysAtOnce,
};
