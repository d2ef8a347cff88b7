'use strict';
// What node:fs has no call for, or one that means something else, made of its other calls. Nobody else is
// at work in the tree, so that looking first will do.

const fs = require('node:fs');
const path = require('node:path');
const { getSystemErrorMap } = require('node:util');

// Paths are in Latin-1 here, one character for a byte, and in their plain form.
const bytes = (text) => Buffer.from(text, 'latin1');
const latin1 = (at) => Buffer.from(at).toString('latin1');
const plain = (at) => path.posix.normalize(latin1(at)).replace(/\/$/, '');
const endsInSlash = (at) => latin1(at).endsWith('/');
/** Whether a path names a directory by a `.` behind it: that is no entry of another one. */
const endsInDot = (at) => /\/\.\/*$/.test(latin1(at));

const lookUp = (at) => fs.lstatSync(bytes(at));
const lookUpParent = (at) => lookUp(`${path.posix.dirname(at)}/.`);
const lookUpDirectory = (at) => lookUp(`${plain(at)}/.`);
const found = (at) => fs.lstatSync(bytes(at), { throwIfNoEntry: false });
const rename = (from, to) => fs.renameSync(bytes(from), bytes(to));

const aside = (at) => `${path.posix.dirname(at)}/.aside`;
const isBeneath = (at, dir) => dir === '.' || at.startsWith(`${dir}/`);
const isSame = (a, b) => a.dev === b.dev && a.ino === b.ino;

const ERRORS = new Map(
  [...getSystemErrorMap()].map(([errno, [code, wording]]) => [code, { errno, wording }]),
);

/** unlink(2), or rmdir(2) for a directory. */
function remove(at) {
  const text = latin1(at);
  // Too long a path is said before it is seen what it names.
  if (text !== '' && text.length < 4096 && /(^|\/)\.?$/.test(text)) return fs.rmdirSync(at);
  try {
    fs.unlinkSync(at);
  } catch (error) {
    if (error.code !== 'EISDIR') throw error;
    fs.rmdirSync(at);
  }
}

/** The names of the reasons that calls are refused for. */
const REASONS = {
  'source and destination are the same file': 'same-file',
  'source and destination are the same, or one is in the other': 'into-itself',
};

function systemError(code, syscall, at, dest, reason) {
  const { errno, wording } = ERRORS.get(code);
  const what = reason === undefined ? wording : `${wording} (${reason})`;
  const where = dest === undefined ? `'${at}'` : `'${at}' -> '${dest}'`;
  const error = new Error(`${code}: ${what}, ${syscall} ${where}`);
  const named = reason !== undefined && { reason: REASONS[reason] };
  return Object.assign(error, { errno, code, syscall, path: `${at}`, dest: dest && `${dest}`, ...named });
}

/** Does `action`; its error is that of `syscall`, of these paths, unless it is of paths in a tree already. */
function as(syscall, paths, action) {
  try {
    return action();
  } catch (error) {
    if (error.syscall === 'cp') throw error;
    const [at, dest] = paths;
    throw systemError(error.code, syscall, at, dest, error.reason);
  }
}

const fail = (code, reason) => {
  throw Object.assign(new Error(code), { code, reason });
};

function exchange(a, b) {
  const [from, to] = [a, b].map(plain);
  as('rename', [a, b], () => {
    for (const at of [a, b]) endsInDot(at) ? lookUpDirectory(at) : lookUpParent(plain(at));
    if ([a, b].some(endsInDot)) fail('EBUSY');
    const stats = [from, to].map(lookUp);
    if ([a, b].some((at, i) => endsInSlash(at) && !stats[i].isDirectory())) fail('ENOTDIR');
    if (from !== to && (isBeneath(from, to) || isBeneath(to, from))) fail('EINVAL');
    if (isSame(...stats)) return;
    const steps = [
      [from, aside(from)],
      [to, from],
      [aside(from), to],
    ];
    for (const [i, step] of steps.entries()) {
      try {
        rename(...step);
      } catch (error) {
        for (const done of steps.slice(0, i).reverse()) rename(...done.reverse());
        throw error;
      }
    }
  });
}

/** Files with several names stay one; what is there is replaced. */
function cp(src, dest, { recursive, force = true, errorOnExist }) {
  const firsts = new Map();

  const place = (from, to, stat) => {
    if (stat.isSymbolicLink()) return fs.symlinkSync(fs.readlinkSync(bytes(from), 'buffer'), bytes(to));
    const content = fs.readFileSync(bytes(from));
    if (firsts.has(stat.ino)) return fs.linkSync(bytes(firsts.get(stat.ino)), bytes(to));
    fs.writeFileSync(bytes(to), content);
    fs.chmodSync(bytes(to), stat.mode & 0o777);
  };

  const copyOne = (from, to, stat) => {
    if (stat.isFile()) fs.accessSync(bytes(from), fs.constants.R_OK);
    const there = found(to);
    if (there !== undefined) {
      if (isSame(there, stat)) fail('EINVAL', 'source and destination are the same file');
      if (there.isDirectory()) fail('EISDIR');
      if (!force && errorOnExist) fail('EEXIST');
      if (!force) return;
      place(from, aside(to), stat);
      rename(aside(to), to);
    } else place(from, to, stat);
    if (!firsts.has(stat.ino)) firsts.set(stat.ino, to);
  };

  const copyDirectory = (from, to, stat) => {
    const names = fs.readdirSync(bytes(from), 'latin1');
    const there = found(to);
    if (there !== undefined && !there.isDirectory()) fail('ENOTDIR');
    if (there === undefined) fs.mkdirSync(bytes(to), 0o700);
    for (const name of names) {
      const [inner, copy] = [`${from}/${name}`, `${to}/${name}`];
      as('cp', [bytes(inner), bytes(copy)], () => copyAny(inner, copy, lookUp(inner)));
    }
    if (there === undefined) fs.chmodSync(bytes(to), stat.mode & 0o777);
  };

  const copyAny = (from, to, stat) => (stat.isDirectory() ? copyDirectory : copyOne)(from, to, stat);

  const [from, to] = [src, dest].map(plain);
  as('cp', [src, dest], () => {
    const stat = lookUp(from);
    if ((endsInSlash(src) || endsInDot(src)) && !stat.isDirectory()) fail('ENOTDIR');
    if (stat.isDirectory()) fs.readdirSync(bytes(from));
    if (!lookUp(path.posix.dirname(to)).isDirectory()) fail('ENOTDIR');
    // A directory that is named by a `.` has to be there, and is compared with the source by itself.
    if (endsInDot(dest)) lookUpDirectory(dest);
    const isItself = from === to && (recursive || endsInDot(dest) || to === '.');
    if (stat.isDirectory() && (isItself || isBeneath(to, from)))
      fail('EINVAL', 'source and destination are the same, or one is in the other');
    if (to !== '.' && !endsInDot(dest) && endsInSlash(dest) && !stat.isDirectory()) fail('ENOTDIR');
    if (stat.isDirectory() ? !recursive : to === '.') fail('EISDIR');
    copyAny(from, to, stat);
  });
}

/** Whether a copy would meet what it is a copy of: then it depends on the order what comes of it. */
function meetsItself([src, dest]) {
  const [from, to] = [src, dest].map(plain);
  if (!isBeneath(from, to)) return false;
  const [name] = (to === '.' ? from : from.slice(to.length + 1)).split('/');
  return fs.existsSync(bytes(`${from}/${name}`));
}

/** What is in a tree: the path of everything, and its type. */
function walk(at, { maxDepth = Infinity } = {}) {
  const entries = [];
  let truncated = null;
  const list = (dir, depth) => {
    const options = { withFileTypes: true, encoding: 'latin1' };
    for (const entry of fs.readdirSync(bytes(dir), options)) {
      const [inner, isDirectory] = [`${dir}/${entry.name}`, entry.isDirectory()];
      entries.push([plain(bytes(inner)), isDirectory ? 'directory' : entry.isFile() ? 'file' : 'symlink']);
      if (isDirectory && depth === maxDepth) truncated = 'maxDepth';
      else if (isDirectory) list(inner, depth + 1);
    }
  };
  list(latin1(at), 1);
  return { entries: entries.sort(), truncated };
}

/** What may be written and not read is opened to be written. */
function fsync(at) {
  const open = (flags) => fs.openSync(at, flags);
  as('fsync', [at], () => {
    let fd;
    try {
      fd = open(fs.constants.O_RDONLY);
    } catch (error) {
      if (error.code !== 'EACCES' || found(plain(at))?.isDirectory()) throw error;
      fd = open(fs.constants.O_WRONLY);
    }
    fs.fsyncSync(fd);
    fs.closeSync(fd);
  });
}

module.exports = { cp, endsInDot, exchange, fsync, meetsItself, plain, remove, systemError, walk };
