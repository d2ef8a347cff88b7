'use strict';
// What programs do without a sandbox: look whether the path is fine, then act by path. It has the
// methods of a root, so that the same harness can show that it escapes.

const fs = require('node:fs');
const path = require('node:path');

function usualWay(dir) {
  const root = fs.realpathSync(dir);

  /** The path itself, once it was found to be beneath the root and no symlink. */
  const checked = (at) => {
    const full = path.join(root, at);
    const parent = fs.realpathSync(nearestDirectory(path.dirname(full)));
    const leaf = fs.lstatSync(full, { throwIfNoEntry: false });
    const inside = parent === root || parent.startsWith(`${root}/`);
    if (inside && !leaf?.isSymbolicLink()) return afterSomethingElse(full);
    throw Object.assign(new Error('ELOOP: refused'), { code: 'ELOOP' });
  };
  const renameNoReplace = (from, to) => {
    if (!fs.existsSync(to)) return fs.renameSync(from, to);
    throw Object.assign(new Error('EEXIST: refused'), { code: 'EEXIST', syscall: 'rename' });
  };
  const seconds = (ns) => ns / 1e9;

  return {
    mkdir: (at, recursive, mode) => fs.mkdirSync(checked(at), { recursive, mode }),
    unlink: (at) => fs.unlinkSync(checked(at)),
    rmdir: (at) => fs.rmdirSync(checked(at)),
    rename: (from, to) => fs.renameSync(checked(from), checked(to)),
    renameNoReplace: (from, to) => renameNoReplace(checked(from), checked(to)),
    link: (from, to) => fs.linkSync(checked(from), checked(to)),
    symlink: (target, at) => fs.symlinkSync(target, checked(at)),
    chmod: (at, mode) => fs.chmodSync(checked(at), mode),
    truncate: (at, length) => fs.truncateSync(checked(at), length),
    copyFile: (from, to) => fs.copyFileSync(checked(from), checked(to)),
    rm: (at, recursive = false) => fs.rmSync(checked(at), { recursive }),
    utimes: (at, atime, mtime) => fs.utimesSync(checked(at), seconds(atime), seconds(mtime)),
    stat: (at) => fs.statSync(checked(at)),
    openRead: (at) => fs.openSync(checked(at), 'r'),
    openWrite: (at, create, truncate, append) => {
      const { O_WRONLY, O_CREAT, O_TRUNC, O_APPEND } = fs.constants;
      const flags = (create ? O_CREAT : 0) | (truncate ? O_TRUNC : 0) | (append ? O_APPEND : 0);
      return fs.openSync(checked(at), O_WRONLY | flags);
    },
  };
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
