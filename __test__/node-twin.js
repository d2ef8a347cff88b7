'use strict';
// The calls of a root made again with node:fs, in the working directory, which holds a tree of the
// same shape: what a root has to answer, and where it answers otherwise on purpose.

const fs = require('node:fs');
const path = require('node:path');
const emulated = require('./node-emulated');
const { O_PATH, outcome, settled } = require('./support');

const { systemError } = emulated;

const MODE = 0o644;

/** Which arguments of each method are paths. */
const PATHS = {
  mkdir: [0],
  unlink: [0],
  rmdir: [0],
  remove: [0],
  rename: [0, 1],
  renameNoReplace: [0, 1],
  link: [0, 1],
  symlink: [1],
  chmod: [0],
  truncate: [0],
  copyFile: [0, 1],
  rm: [0],
  utimes: [0],
  stat: [0],
  lstat: [0],
  statfs: [0],
  access: [0],
  readlink: [0],
  realpath: [0],
  lutimes: [0],
  chown: [0],
  lchown: [0],
  readdir: [0],
  openRead: [0],
  openWrite: [0],
  open: [0],
  readFile: [0],
  writeFile: [0],
  appendFile: [0],
  move: [0, 1],
  exchange: [0, 1],
  exists: [0],
  // This takes what mkdtemp makes of a prefix: the six characters stand for those that it finds.
  mkdtemp: [0],
  fsync: [0],
  cp: [0, 1],
  walk: [0],
  openRoot: [0],
  hostPath: [0],
  opendir: [0],
  isAt: [0],
};

function openedDirectory(at) {
  fs.closeSync(fs.openSync(at, O_PATH | fs.constants.O_DIRECTORY));
  return listed(() => fs.readdirSync(Buffer.concat([Buffer.from(at), Buffer.from('/.')])));
}

/** The same call on node:fs. */
const NODE = {
  mkdir: (at, recursive) => {
    fs.mkdirSync(at, { recursive, mode: 0o755 });
  },
  unlink: (at) => fs.unlinkSync(at),
  rmdir: (at) => fs.rmdirSync(at),
  remove: emulated.remove,
  rename: (from, to) => fs.renameSync(from, to),
  // Node has none: looking first will do where nobody else is at work.
  renameNoReplace: (from, to) => {
    if (emulated.endsInDot(from) || emulated.endsInDot(to)) return renamedByDot(from, to);
    if (lstat(name(from)) && lstat(name(to))) throw systemError('EEXIST', 'rename', from, to);
    fs.renameSync(from, to);
  },
  link: (from, to) => fs.linkSync(from, to),
  symlink: (target, at) => fs.symlinkSync(target, at),
  chmod: (at, mode) => fs.chmodSync(at, mode),
  truncate: (at, len) => fs.truncateSync(at, len),
  copyFile: (from, to) => fs.copyFileSync(from, to),
  rm: (at, recursive, force) => fs.rmSync(at, { recursive, force }),
  // Dates, because Node takes a negative number for now.
  utimes: (at, atimeNs, mtimeNs) => fs.utimesSync(at, new Date(atimeNs / 1e6), new Date(mtimeNs / 1e6)),
  lutimes: (at, atimeNs, mtimeNs) => fs.lutimesSync(at, new Date(atimeNs / 1e6), new Date(mtimeNs / 1e6)),
  chown: (at, uid, gid) => fs.chownSync(at, uid, gid),
  lchown: (at, uid, gid) => fs.lchownSync(at, uid, gid),
  stat: (at) => described(fs.statSync(at)),
  lstat: (at) => described(fs.lstatSync(at)),
  statfs: (at) => fileSystem(fs.statfsSync(at)),
  access: (at, mode) => fs.accessSync(at, mode),
  readlink: (at) => fs.readlinkSync(at),
  // That of a root is told from the root on.
  realpath: (at) => path.relative(fs.realpathSync.native('.'), fs.realpathSync.native(at)) || '.',
  readdir: (at, { recursive } = {}) => {
    if (!recursive) return fs.readdirSync(at).sort();
    const { entries } = emulated.walk(at);
    return entries
      .map(([inner]) => Buffer.from(path.posix.relative(emulated.plain(at), inner), 'latin1').toString())
      .sort();
  },
  open: (at, flags) => handled(fs.openSync(at, flags, MODE)),
  readFile: (at) => fs.readFileSync(at, 'latin1'),
  writeFile: (at, data, options) => fs.writeFileSync(at, data, options),
  appendFile: (at, data) => fs.appendFileSync(at, data),
  // Only ever with overwrite, and where a rename can be made.
  move: (from, to) => fs.renameSync(from, to),
  openRead: (at) => opened(fs.openSync(at, 'r')),
  openWrite: (at, create, truncate, append) => {
    const { O_WRONLY, O_CREAT, O_TRUNC, O_APPEND } = fs.constants;
    const flags = O_WRONLY | (create && O_CREAT) | (truncate && O_TRUNC) | (append && O_APPEND);
    return written(fs.openSync(at, flags, MODE));
  },
  exchange: emulated.exchange,
  exists: (at) => fs.existsSync(at),
  mkdtemp: (template) => {
    const at = fs.mkdtempSync(prefixOf(template), 'buffer');
    return temporary(at, { lstat: fs.lstatSync, rmdir: fs.rmdirSync });
  },
  fsync: emulated.fsync,
  cp: emulated.cp,
  walk: emulated.walk,
  openRoot: openedDirectory,
  // Its descriptor is read: the directory need not be searched for that.
  hostPath: (at) => {
    fs.closeSync(fs.openSync(at, O_PATH | fs.constants.O_DIRECTORY));
    return listed(() => fs.readdirSync(at));
  },
  opendir: (at) => entriesOf(openedDir(at)),
  isAt: isHere,
};

/** What a call on a root is given behind the paths, beside what the twin is given. */
const MORE = { open: [MODE], openWrite: [MODE], readFile: ['latin1'], mkdtemp: ['buffer'] };

/** What comes out of a call on a root, in a form that can be compared. */
const SEEN = {
  stat: described,
  lstat: described,
  statfs: fileSystem,
  readdir: (names) => names.sort(),
  open: handled,
  openRead: opened,
  openWrite: written,
  mkdtemp: temporary,
  walk: walked,
  hostPath: (held) => {
    try {
      return listed(() => fs.readdirSync(held.path));
    } finally {
      held.close();
    }
  },
  opendir: entriesOf,
  openRoot: (root) => {
    try {
      return listed(() => root.readdir('.'));
    } finally {
      root.close();
    }
  },
};

/** Node names no path when that fails. */
function openedDir(at) {
  try {
    return fs.opendirSync(at);
  } catch (error) {
    if (error.path !== undefined) throw error;
    error.message += ` '${at}'`;
    throw Object.assign(error, { path: `${at}` });
  }
}

/** The names in a directory that is open, and what each is. */
function entriesOf(dir) {
  const all = [];
  try {
    for (let entry = dir.readSync(); entry !== null; entry = dir.readSync()) {
      all.push(`${entry.isDirectory() ? 'd' : entry.isSymbolicLink() ? 'l' : '-'} ${entry.name}`);
    }
  } finally {
    dir.closeSync();
  }
  return all.sort();
}

/** What two files of the same history have in common. */
function described({ mode, nlink, size }) {
  return { mode, nlink, size: (mode & fs.constants.S_IFMT) === fs.constants.S_IFREG ? size : null };
}

/** What a file system says of itself however full it is, and the types of the rest. */
function fileSystem(stat) {
  const { type, bsize, blocks } = stat;
  return { type, bsize, blocks, fields: Object.entries(stat).map(([name, value]) => [name, typeof value]) };
}

function opened(fd) {
  try {
    const stat = fs.fstatSync(fd);
    return { mode: stat.mode, content: stat.isFile() ? fs.readFileSync(fd, 'latin1') : null };
  } finally {
    fs.closeSync(fd);
  }
}

/** What a descriptor reads, and whether it writes. */
function handled(fd) {
  try {
    const { mode, size } = fs.fstatSync(fd);
    const isDirectory = (mode & fs.constants.S_IFMT) === fs.constants.S_IFDIR;
    const content = isDirectory ? null : outcome(() => fs.readFileSync(fd, 'latin1')).value;
    return {
      mode,
      size: isDirectory ? null : size,
      content,
      wrote: outcome(() => fs.writeSync(fd, 'written')).value,
    };
  } finally {
    fs.closeSync(fd);
  }
}

function written(fd) {
  try {
    const { mode, size } = fs.fstatSync(fd);
    fs.writeSync(fd, 'written');
    return { mode, size };
  } finally {
    fs.closeSync(fd);
  }
}

const prefixOf = (template) => template.slice(0, -'XXXXXX'.length);

/** What mkdtemp has made, which goes again. */
function temporary(at, root) {
  const [prefix, random] = [prefixOf(at), at.slice(prefixOf(at).length)].map((part) =>
    part.toString('latin1'),
  );
  const { mode } = root.lstat(at);
  root.rmdir(at);
  return { prefix, isRandom: /^[A-Za-z0-9]{6}$/.test(random), mode };
}

/** The entries of a walk, in the form of the twin's. */
async function walked(walk) {
  const entries = [];
  for await (const { parentPath, name, type } of walk)
    entries.push([path.posix.normalize(`${parentPath.toString('latin1')}/${name.toString('latin1')}`), type]);
  return { entries: entries.sort(), truncated: walk.truncated };
}

/** The names in a directory that may be read, or why it may not. */
function listed(list) {
  const { value, error } = outcome(list);
  return value?.sort() ?? error.code;
}

/** Whether a path leads to the working directory. */
function isHere(at) {
  try {
    const fd = fs.openSync(at, O_PATH | fs.constants.O_DIRECTORY);
    const [there, here] = [fs.fstatSync(fd), fs.statSync('.')];
    fs.closeSync(fd);
    return there.dev === here.dev && there.ino === here.ino;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(error.code)) return false;
    throw error;
  }
}

/** A directory that is named by a `.` is no entry: renameat2 says of the new one that it is there. */
function renamedByDot(from, to) {
  const { error } = outcome(() => fs.renameSync(from, to));
  if (error.code === 'EBUSY' && !emulated.endsInDot(from)) throw systemError('EEXIST', 'rename', from, to);
  throw error;
}

/** A path without the slashes behind it. */
function name(at) {
  const text = Buffer.from(at).toString('latin1').replace(/\/+$/, '');
  return Buffer.from(text, 'latin1');
}

function lstat(at) {
  try {
    return fs.lstatSync(at);
  } catch {
    return undefined;
  }
}

/** What a call on a readable directory as a source comes to. */
function copyOfDirectory(method, [src, dest]) {
  if (method !== 'copyFile' || !lstat(src)?.isDirectory()) return undefined;
  const { error } = outcome(() => fs.readdirSync(src));
  return error === undefined ? systemError('EISDIR', 'copyfile', src, dest) : undefined;
}

/** truncate(2), for a caller who may write the file and not read it. */
function truncateUnread(at, len) {
  const fd = fs.openSync(at, fs.constants.O_WRONLY);
  try {
    fs.ftruncateSync(fd, len);
  } finally {
    fs.closeSync(fd);
  }
}

/**
 * The outcome that the call on a root should have, the call having been made with node:fs in the
 * working directory; where the two differ on purpose, the outcome that is right for a root.
 */
function expected(method, args) {
  // Node empties the destination before it finds that a directory cannot be copied to it.
  const refused = copyOfDirectory(method, args);
  if (refused !== undefined) return failed(refused);

  // Node goes into a directory that is named by a `.`, and does not see that it cannot be removed.
  if (method === 'rm' && emulated.endsInDot(args[0]) && lstat(args[0])?.isDirectory())
    return failed(systemError('EINVAL', 'rm', args[0]));

  const node = outcome(() => NODE[method](...args));
  const { code } = node.error ?? {};
  // Node has an error of its own for this; callers rely on a system error.
  if (method === 'rm' && code === 'ERR_FS_EISDIR') return failed(systemError('EISDIR', 'rm', args[0]));
  // Cutting a file takes no permission to read it: truncate(2).
  if (method === 'truncate' && code === 'EACCES') {
    const unread = outcome(() => truncateUnread(...args));
    return unread.error ? onOneLine(node) : unread;
  }
  return onOneLine(node);
}

const failed = (error) => {
  const thrown = () => {
    throw error;
  };
  return onOneLine(outcome(thrown));
};

/** A line break in a message is escaped by us. */
function onOneLine(result) {
  if (result.error === undefined) return result;
  return { error: { ...result.error, message: result.error.message.replaceAll('\n', '\\n') } };
}

/** What is done with a root: the arguments that the method gets, and what is seen of its result. */
const asked = (method, [first, ...rest]) => [
  method === 'mkdtemp' ? prefixOf(first) : first,
  ...rest,
  ...(MORE[method] ?? []),
];
const seen = (root, method, value) => (SEEN[method] ?? ((it) => it))(value, root);

/** The outcome of the call on a root: for what is told bit by bit, a promise of it. */
function actual(root, method, args) {
  const call = () => seen(root, method, root[method](...asked(method, args)));
  return method === 'walk' ? settled((async () => call())()) : outcome(call);
}

/** The outcome of the same call as a promise. */
function promised(root, method, args) {
  if (method === 'walk') return actual(root, method, args);
  const call = async () => seen(root, method, await root.promises[method](...asked(method, args)));
  return settled(call());
}

module.exports = { NODE, PATHS, actual, expected, failed, lstat, promised, systemError };
