'use strict';
// What Node makes of a descriptor: a `FileHandle`, and a watcher.

const fs = require('node:fs');
const { promisify } = require('node:util');
const { errorOf, invalidValue } = require('./errors.js');

const { O_APPEND, O_DIRECT, O_DIRECTORY, O_DSYNC, O_NOATIME, O_RDONLY, O_SYNC, O_TRUNC } = fs.constants;
/** Node has no names for these. */
const O_ACCMODE = 3;
const O_PATH = 0o10000000;
const O_TMPFILE = 0o20000000;
/** What a descriptor that is opened again has to be asked for; what creates and truncates is done by then. */
const OPENED_AGAIN = O_ACCMODE | O_APPEND | O_DIRECT | O_DIRECTORY | O_DSYNC | O_NOATIME | O_SYNC;

const fstat = promisify(fs.fstat);
// Captured at load: a program may put another function in its place.
const { open: openOfNode } = fs.promises;

const PROC_FDS = '/proc/self/fd';
/** @param {number} fd */
const hostPathOf = (fd) => `${PROC_FDS}/${fd}`;

/**
 * Opens a file as Node's `FileHandle`.
 *
 * @param {object} file
 * @param {string | Uint8Array} file.at
 * @param {number} file.flags
 * @param {number} file.mode
 * @param {string} file.path for an error
 * @returns {import('./call.js').Several}
 */
function openHandle({ at, flags, mode, path }) {
  // What is opened for its place alone has not been looked at, and would be opened for its content again.
  if ((flags & O_PATH) !== 0) throw invalidValue('flags', 'is invalid', flags);
  return async ({ perform }) => {
    const give = (/** @type {number} */ fd) => perform(({ native, root }) => native.closeLent(root, fd));
    // The first time must change nothing if there is no descriptor left for the second: one is kept for that.
    const spare = await perform(({ native, root }) => native.openLent(root, '.', O_PATH, 0)).catch(
      () => undefined,
    );
    const isEmptied = (flags & O_TRUNC) !== 0 && (flags & O_ACCMODE) !== O_RDONLY;
    const first = isEmptied ? flags & ~O_TRUNC : flags;
    /** @type {number} */
    let fd;
    try {
      fd = await perform(({ native, root }) => native.openLent(root, at, first, mode));
    } finally {
      if (spare !== undefined) await give(spare);
    }
    try {
      const handle = await fileHandleOf(fd, flags, path);
      if (isEmptied) await unlessFailing(handle, () => handle.truncate(0));
      return handle;
    } finally {
      await give(fd);
    }
  };
}

/**
 * Does something with a handle, which is closed if that fails.
 *
 * @param {fs.promises.FileHandle} handle
 * @param {() => Promise<void>} action
 */
async function unlessFailing(handle, action) {
  try {
    await action();
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * Node's `FileHandle` of what `fd` has open. Node has no other way to it than to open the file again, by its entry in
 * `/proc`. `fd` must be open until then: another file might get its number.
 *
 * @param {number} fd
 * @param {number} flags those that it was opened with
 * @param {string} path for the error
 */
async function fileHandleOf(fd, flags, path) {
  const isUnnamed = (flags & O_TMPFILE) !== 0;
  const again = flags & OPENED_AGAIN & ~(isUnnamed ? O_DIRECTORY : 0);
  const handle = await openAgain(hostPathOf(fd), again, path);
  await unlessFailing(handle, async () => {
    const [own, other] = await Promise.all([fstat(fd, { bigint: true }), handle.stat({ bigint: true })]);
    // What is mounted on /proc may be something else.
    if (own.ino !== other.ino || own.dev !== other.dev) throw withoutProc(-2, path);
  });
  return handle;
}

/**
 * @param {string} hostPath
 * @param {number} flags
 * @param {string} path
 */
async function openAgain(hostPath, flags, path) {
  try {
    return await openOfNode(hostPath, flags);
  } catch (error) {
    const { code, errno } = /** @type {NodeJS.ErrnoException} */ (error);
    if (errno === undefined) throw error;
    throw code === 'ENOENT' ? withoutProc(errno, path) : errorOf(`${errno}\0open\0\0\x001\0${path}`);
  }
}

/**
 * @param {number} errno
 * @param {string} path
 */
const withoutProc = (errno, path) => errorOf(`${errno}\0open\0\0/proc is not mounted\x001\0${path}`);

module.exports = { PROC_FDS, hostPathOf, openHandle };
