'use strict';
// The view with the methods of a root, so that the harness races its functions in the same rows: in each of the three
// styles of `node:fs`, and by what Node makes of a descriptor.

const fs = require('node:fs');
const { once } = require('node:events');
const { createFs } = require('../../fs');

/** How a function of the view is called in each style. */
const STYLES = {
  synchronous: (view, name, args) => view[`${name}Sync`](...args),
  callbacks: (view, name, args) =>
    new Promise((resolve, reject) => {
      view[name](...args, (error, value) => (error ? reject(error) : resolve(value)));
    }),
  promises: (view, name, args) => view.promises[name](...args),
};

function byView(root, style) {
  const view = createFs(root);
  const call = (name, ...args) => STYLES[style](view, name, args);
  const at = (path) => `/${path}`;
  const seconds = (ns) => ns / 1e9;
  const entriesOf = (entries, path) =>
    entries.map((entry) => ({
      name: entry.name,
      // Node before 20 has no parentPath.
      parentPath:
        path + (entry.parentPath ?? entry.path.slice(0, -entry.name.length - 1)).slice(at(path).length),
      type: entry.isDirectory() ? 'directory' : 'file',
    }));
  return {
    mkdir: (path, recursive) => call('mkdir', at(path), { recursive }),
    unlink: (path) => call('unlink', at(path)),
    rmdir: (path) => call('rmdir', at(path)),
    rename: (from, to) => call('rename', at(from), at(to)),
    link: (from, to) => call('link', at(from), at(to)),
    symlink: (target, path) => call('symlink', target, at(path)),
    chmod: (path, mode) => call('chmod', at(path), mode),
    truncate: (path, length) => call('truncate', at(path), length),
    copyFile: (from, to) => call('copyFile', at(from), at(to)),
    rm: (path, recursive) => call('rm', at(path), { recursive }),
    utimes: (path, atime, mtime) => call('utimes', at(path), seconds(atime), seconds(mtime)),
    lutimes: (path, atime, mtime) => call('lutimes', at(path), seconds(atime), seconds(mtime)),
    chown: (path, uid, gid) => call('chown', at(path), uid, gid),
    lchown: (path, uid, gid) => call('lchown', at(path), uid, gid),
    stat: (path) => call('stat', at(path)),
    lstat: (path) => call('lstat', at(path)),
    statfs: (path) => call('statfs', at(path)),
    access: (path) => call('access', at(path)),
    exists: (path) => view.existsSync(at(path)),
    readlink: (path) => call('readlink', at(path)),
    realpath: async (path) => (await call('realpath', at(path))).slice(1),
    readdir: async (path, options) => {
      const found = await call('readdir', at(path), options);
      return options?.withFileTypes ? entriesOf(found, path) : found;
    },
    opendir: (path, options) => call('opendir', at(path), options),
    mkdtemp: async (path) => (await call('mkdtemp', at(path))).slice(1),
    open: (path, flags) => view.openSync(at(path), flags),
    readFile: (path) => call('readFile', at(path)),
    writeFile: (path, data, options) => call('writeFile', at(path), data, options),
    appendFile: (path, data) => call('appendFile', at(path), data),
    cp: async (from, to, options) => afterCp(() => call('cp', at(from), at(to), options)),
  };
}

/** Streams, a handle and a watcher, where the table has `readFile`, `writeFile` and `open`. */
function byDescriptor(root, { atomic }) {
  const view = createFs(root);
  const at = (path) => `/${path}`;
  return {
    readFile: async (path) => {
      const chunks = [];
      for await (const chunk of view.createReadStream(at(path))) chunks.push(chunk);
      return Buffer.concat(chunks);
    },
    writeFile: async (path, data, { flag: flags, ...options } = {}) => {
      const stream = view.createWriteStream(at(path), {
        ...options,
        flags,
        atomic: options.atomic ?? atomic,
      });
      const failed = once(stream, 'close');
      stream.end(data);
      await failed;
    },
    stat: async (path) => {
      const handle = await view.promises.open(at(path));
      try {
        return await handle.stat();
      } finally {
        await handle.close();
      }
    },
    open: async (path, flags) => {
      const handle = await view.promises.open(at(path), flags);
      try {
        return fs.openSync(`/proc/self/fd/${handle.fd}`, flags === 'r+' ? 'r+' : fs.constants.O_WRONLY);
      } finally {
        await handle.close();
      }
    },
  };
}

/** Node's `cp` has codes of its own. */
async function afterCp(copy) {
  try {
    return await copy();
  } catch (error) {
    throw error.code === 'ERR_FS_CP_DIR_TO_NON_DIR' ? Object.assign(error, { code: 'ENOTDIR' }) : error;
  }
}

module.exports = { byDescriptor, byView };
