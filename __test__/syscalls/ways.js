'use strict';
// Every way through every method: for tests that look at the system calls that are made on it.

const fs = require('node:fs');
const { link } = require('../support');

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

const COPY = 'fchmod ioctl( lseek lseek copy_file_range)?';

/**
 * For each method `[what is done, the call, the system calls]`: the latter exactly, in order. They
 * are the documented cost of a call: one for a name in the root itself, and a lookup and a close
 * more for one below. `(…)?` is for what the file system may make needless.
 */
const WAYS = {
  constructor: [
    ['a directory', (_, dir, Root) => new Root(dir), 'open(at)? openat2 close'],
    ['nothing there', (_, dir, Root) => new Root(`${dir}/missing`), 'open(at)?'],
    ['a file', (_, dir, Root) => new Root(`${dir}/file`), 'open(at)?'],
  ],
  mkdir: [
    ['in the root', (root) => root.mkdir('new'), 'mkdirat'],
    ['below', (root) => root.mkdir('a/b/new'), 'openat2 mkdirat close'],
    ['there already', (root) => root.mkdir('a/b'), 'openat2 mkdirat close'],
    ['the root', (root) => root.mkdir('.'), ''],
    ['below a symlink', (root) => root.mkdir('todir/new'), 'openat2'],
    ['recursive, one level', (root) => root.mkdir('a/b/new', true), 'openat2 mkdirat close'],
    ['recursive, there', (root) => root.mkdir('a/b', true), 'openat2 mkdirat newfstatat close'],
    ['recursive, on a symlink', (root) => root.mkdir('todir', true), 'mkdirat newfstatat'],
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
    ['below a symlink', (root) => root.unlink('todir/b/c/file'), 'openat2'],
    ['with a slash behind it', (root) => root.unlink('a/b/'), 'openat2 newfstatat close'],
  ],
  rmdir: [
    ['in the root', (root) => root.rmdir('empty'), 'unlinkat'],
    ['below', (root) => root.rmdir('a/b/c/empty'), 'openat2 unlinkat close'],
    ['not empty', (root) => root.rmdir('a/b'), 'openat2 unlinkat close'],
    ['the root', (root) => root.rmdir('.'), ''],
  ],
  rename: [
    ['in the root', (root) => root.rename('file', 'other'), 'renameat2'],
    ['below', (root) => root.rename('a/b/c/file', 'a/b/new'), 'openat2 openat2 renameat2 close close'],
    ['a symlink', (root) => root.rename('tofile', 'a/b/new'), 'openat2 renameat2 close'],
    ['missing', (root) => root.rename('missing', 'new'), 'renameat2'],
    ['from below a symlink', (root) => root.rename('todir/b', 'new'), 'openat2'],
    ['to below a symlink', (root) => root.rename('file', 'todir/new'), 'openat2 newfstatat'],
    ['with slashes', (root) => root.rename('a/b/', 'new/'), 'openat2 newfstatat newfstatat renameat2 close'],
  ],
  renameNoReplace: [
    ['in the root', (root) => root.renameNoReplace('file', 'new'), 'renameat2'],
    [
      'below',
      (root) => root.renameNoReplace('a/b/c/file', 'a/b/new'),
      'openat2 openat2 renameat2 close close',
    ],
    ['there already', (root) => root.renameNoReplace('file', 'other'), 'renameat2'],
  ],
  link: [
    ['in the root', (root) => root.link('file', 'new'), 'linkat'],
    ['below', (root) => root.link('a/b/c/file', 'a/b/new'), 'openat2 openat2 linkat close close'],
    ['a symlink', (root) => root.link('tofile', 'new'), 'linkat'],
    ['to below a symlink', (root) => root.link('file', 'todir/new'), 'openat2 newfstatat'],
    ['with a slash behind it', (root) => root.link('file', 'new/'), 'newfstatat newfstatat'],
  ],
  symlink: [
    ['in the root', (root) => root.symlink('/any/where', 'new'), 'symlinkat'],
    ['below', (root) => root.symlink('../any/where', 'a/b/new'), 'openat2 symlinkat close'],
    ['there already', (root) => root.symlink('/', 'a/b/c/tofile'), 'openat2 symlinkat close'],
    ['with a slash behind it', (root) => root.symlink('/', 'new/'), 'newfstatat'],
  ],
  chmod: [
    ['in the root', (root) => root.chmod('file', 0o600), 'openat2 fchmodat2 close'],
    ['below', (root) => root.chmod('a/b/c', 0o700), 'openat2 fchmodat2 close'],
    ['the root', (root) => root.chmod('.', 0o700), 'openat2 fchmodat2 close'],
    ['a symlink', (root) => root.chmod('a/b/c/tofile', 0o600), 'openat2'],
  ],
  truncate: [
    ['in the root', (root) => root.truncate('file', 3), 'openat2 fstat ftruncate close'],
    ['below', (root) => root.truncate('a/b/c/file', 1000), 'openat2 fstat ftruncate close'],
    ['a directory', (root) => root.truncate('a/b', 0), 'openat2'],
    ['a symlink', (root) => root.truncate('tofile', 0), 'openat2'],
  ],
  copyFile: [
    [
      'to a new file',
      (root) => root.copyFile('file', 'new'),
      `openat2 fstat openat2 openat fstat ${COPY} close close`,
    ],
    [
      'to a new file below',
      (root) => root.copyFile('a/b/c/file', 'a/b/new'),
      `openat2 fstat openat2 openat2 openat fstat close ${COPY} close close`,
    ],
    [
      'over another',
      (root) => root.copyFile('file', 'a/b/c/other'),
      `openat2 fstat openat2 fstat fcntl fcntl ${COPY.replace(' ', ' ftruncate ')} close close`,
    ],
    [
      'onto itself',
      (root) => root.copyFile('file', 'file'),
      'openat2 fstat openat2 fstat fcntl fcntl close close',
    ],
    ['a directory', (root) => root.copyFile('a', 'new'), 'openat2 fstat close'],
    ['to a directory', (root) => root.copyFile('file', 'a/b'), 'openat2 fstat openat2 close'],
    ['a symlink', (root) => root.copyFile('tofile', 'new'), 'openat2'],
    ['to a symlink', (root) => root.copyFile('file', 'a/b/c/tofile'), 'openat2 fstat openat2 close'],
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
      'openat2 unlinkat newfstatat unlinkat close',
    ],
    [
      'a tree',
      (root) => root.rm('tree', true),
      // Each directory: tried, opened, known again, listed to its end, tried again.
      'unlinkat newfstatat ' +
        'unlinkat openat fstat getdents64 unlinkat unlinkat ' +
        'unlinkat openat fstat getdents64 unlinkat unlinkat ' +
        'unlinkat openat fstat getdents64 unlinkat getdents64 unlinkat close ' +
        'getdents64 unlinkat close ' +
        'getdents64 unlinkat close',
    ],
  ],
  utimes: [
    ['in the root', (root) => root.utimes('file', 1, 2), 'openat2 utimensat close'],
    ['below', (root) => root.utimes('a/b/c', 1, 2), 'openat2 utimensat close'],
    ['the root', (root) => root.utimes('.', 1, 2), 'openat2 utimensat close'],
    ['a symlink', (root) => root.utimes('tofile', 1, 2), 'openat2'],
  ],
  stat: [
    ['in the root', (root) => root.stat('file'), 'newfstatat'],
    ['below', (root) => root.stat('a/b/c/file'), 'openat2 newfstatat close'],
    ['in bigints', (root) => root.stat('a/b/c/file', { bigint: true }), 'openat2 newfstatat close'],
    ['the root', (root) => root.stat('.'), 'fstat'],
    ['a symlink', (root) => root.stat('a/b/c/tofile'), 'openat2 newfstatat close'],
  ],
  openRead: [
    ['in the root', (root) => root.openRead('file'), 'openat2 fstat fcntl fcntl'],
    ['below', (root) => root.openRead('a/b/c/file'), 'openat2 fstat fcntl fcntl'],
    ['a directory', (root) => root.openRead('a'), 'openat2 fstat fcntl fcntl'],
    ['the root', (root) => root.openRead('.'), 'openat2 fstat fcntl fcntl'],
    ['a symlink', (root) => root.openRead('a/b/c/tofile'), 'openat2'],
    ['missing', (root) => root.openRead('a/missing'), 'openat2'],
  ],
  openWrite: [
    ['in the root', (root) => root.openWrite('file'), 'openat2 fstat fcntl fcntl'],
    ['below', (root) => root.openWrite('a/b/c/file', false, false, true), 'openat2 fstat fcntl fcntl'],
    ['a new file', (root) => root.openWrite('a/b/new', true), 'openat2 fstat fcntl fcntl'],
    ['cut', (root) => root.openWrite('a/b/c/file', true, true), 'openat2 fstat fcntl fcntl ftruncate'],
    ['a directory', (root) => root.openWrite('a'), 'openat2'],
    ['a symlink', (root) => root.openWrite('tofile', true, true), 'openat2'],
  ],
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
const OPENS = ['openRead', 'openWrite'];

function closedFirst(call) {
  return Object.assign(call, { closed: true });
}

/** Every way as one object, in order. */
const ways = Object.entries(WAYS).flatMap(([method, rows]) =>
  rows.map(([what, call, syscalls]) => ({ method, what, call, syscalls })),
);

/** What a call came to: the code of its error, or nothing. A descriptor is closed by `release`. */
function perform(way, root, dir, Root) {
  try {
    const value = way.call(root, dir, Root);
    return {
      fd: OPENS.includes(way.method) ? value : undefined,
      made: value instanceof Root ? value : undefined,
    };
  } catch (error) {
    const { code, errno, syscall, path, dest, message } = error;
    return { error: { code, errno, syscall, path, dest, message } };
  }
}

function release({ fd, made }) {
  if (fd !== undefined) fs.closeSync(fd);
  made?.close();
}

module.exports = { OPENS, TREE, WAYS, perform, release, ways };
