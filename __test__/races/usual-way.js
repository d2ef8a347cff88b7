'use strict';
// What programs do without a sandbox: look whether the path is fine, then act by path. It has the
// methods of a root, so that the same harness can show that it escapes.

const fs = require('node:fs');
const path = require('node:path');

function usualWay(dir) {
  const root = fs.realpathSync(dir);

  /** The path itself, once it was found to be beneath the root. */
  const checkedName = (at) => {
    const full = path.join(root, at);
    const parent = fs.realpathSync(nearestDirectory(path.dirname(full)));
    if (parent === root || parent.startsWith(`${root}/`)) return afterSomethingElse(full);
    throw refused();
  };
  /** The same, once it was found to be no symlink either. */
  const checked = (at) => {
    const leaf = fs.lstatSync(path.join(root, at), { throwIfNoEntry: false });
    if (!leaf?.isSymbolicLink()) return checkedName(at);
    throw refused();
  };
  const refused = () => Object.assign(new Error('ELOOP: refused'), { code: 'ELOOP' });
  const renameNoReplace = (from, to) => {
    if (!fs.existsSync(to)) return fs.renameSync(from, to);
    throw Object.assign(new Error('EEXIST: refused'), { code: 'EEXIST', syscall: 'rename' });
  };
  const rename = (from, to) => fs.renameSync(from, to);
  /** Node before 20 has no parentPath. */
  const listed = (full, at, options) => {
    const entries = fs.readdirSync(full, options);
    if (!options?.withFileTypes) return entries;
    return entries.map((entry) => {
      const parentPath = at + (entry.parentPath ?? entry.path).slice(full.length);
      return { name: entry.name, parentPath, type: entry.isDirectory() ? 'directory' : 'file' };
    });
  };
  const seconds = (ns) => ns / 1e9;

  return {
    mkdir: (at, recursive, mode) => fs.mkdirSync(checked(at), { recursive, mode }),
    unlink: (at) => fs.unlinkSync(checked(at)),
    rmdir: (at) => fs.rmdirSync(checked(at)),
    remove: (at) => remove(checked(at)),
    rename: (from, to) => fs.renameSync(checked(from), checked(to)),
    renameNoReplace: (from, to) => renameNoReplace(checked(from), checked(to)),
    link: (from, to) => fs.linkSync(checked(from), checked(to)),
    symlink: (target, at) => fs.symlinkSync(target, checked(at)),
    chmod: (at, mode) => fs.chmodSync(checked(at), mode),
    truncate: (at, length) => fs.truncateSync(checked(at), length),
    copyFile: (from, to) => fs.copyFileSync(checked(from), checked(to)),
    rm: (at, recursive = false) => fs.rmSync(checked(at), { recursive }),
    utimes: (at, atime, mtime) => fs.utimesSync(checked(at), seconds(atime), seconds(mtime)),
    lutimes: (at, atime, mtime) => fs.lutimesSync(checkedName(at), seconds(atime), seconds(mtime)),
    chown: (at, uid, gid) => fs.chownSync(checked(at), uid, gid),
    lchown: (at, uid, gid) => fs.lchownSync(checkedName(at), uid, gid),
    stat: (at) => fs.statSync(checked(at)),
    statfs: (at) => fs.statfsSync(checked(at)),
    lstat: (at) => fs.lstatSync(checkedName(at)),
    access: (at) => fs.accessSync(checked(at)),
    exists: (at) => fs.existsSync(checked(at)),
    readlink: (at) => fs.readlinkSync(checkedName(at)),
    realpath: (at) => path.relative(root, fs.realpathSync(checked(at))),
    readdir: (at, options) => listed(checked(at), at, options),
    mkdtemp: (at) => fs.mkdtempSync(checkedName(at)),
    open: (at, flags) => fs.openSync(checked(at), flags),
    readFile: (at) => fs.readFileSync(checked(at)),
    writeFile: (at, data, { atomic, flag } = {}) => {
      const full = atomic ? checkedName(at) : checked(at);
      if (!atomic) return fs.writeFileSync(full, data, { flag });
      if (flag === 'wx') return fs.writeFileSync(full, data, { flag });
      fs.writeFileSync(`${full}.new`, data);
      fs.renameSync(`${full}.new`, full);
    },
    appendFile: (at, data) => fs.appendFileSync(checked(at), data),
    cp: (from, to, options) =>
      fs.cpSync(checkedName(from), checkedName(to), { ...options, verbatimSymlinks: true }),
    move: (from, to, { overwrite } = {}) =>
      (overwrite ? rename : renameNoReplace)(checkedName(from), checkedName(to)),
    openRead: (at) => fs.openSync(checked(at), 'r'),
    openWrite: (at, create, truncate, append) => {
      const { O_WRONLY, O_CREAT, O_TRUNC, O_APPEND } = fs.constants;
      const flags = (create ? O_CREAT : 0) | (truncate ? O_TRUNC : 0) | (append ? O_APPEND : 0);
      return fs.openSync(checked(at), O_WRONLY | flags);
    },
  };
}

function remove(at) {
  try {
    fs.unlinkSync(at);
  } catch (error) {
    if (error.code !== 'EISDIR') throw error;
    fs.rmdirSync(at);
  }
}

/** Between looking and acting a program awaits something, and others get their turn: 0.05 ms. */
function afterSomethingElse(value) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0.05);
  return value;
}

function nearestDirectory(at) {
  return fs.existsSync(at) ? at : nearestDirectory(path.dirname(at));
}

module.exports = { usualWay };
