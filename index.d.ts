/**
 * A path relative to the root of a {@link SandboxRoot}.
 *
 * A string, or bytes (a `Buffer` is a `Uint8Array`): names that are not UTF-8 exist, and only bytes can
 * spell them.
 */
export type RootPath = string | Uint8Array;

/** What a root allows. A key or a value that is not one of these is refused: a misspelt policy must not be a weaker one. */
export interface SandboxOptions {
  /**
   * What becomes of a symlink that would be followed: `'reject'` (the default) is `ELOOP`; `'beneath'`
   * follows it while it stays beneath the root; `'in-root'` follows it as in a container, where absolute
   * links and `..` resolve inside the root. Magic links are never followed, and operations on a name
   * (`unlink`, `rename`, `lstat` …) act on the link itself.
   *
   * Under `'beneath'` and `'in-root'` a path may have `..`, which the kernel resolves; under `'in-root'`
   * an absolute path starts at the root.
   */
  symlinks?: 'reject' | 'beneath' | 'in-root' | undefined;
  /** Whether a path may cross into something mounted beneath the root. Default `'allow'`. */
  mounts?: 'allow' | 'reject' | undefined;
  /** Whether the content of a file that has more than one name may be opened; else it is `EMLINK`. Default `'allow'`. */
  hardlinks?: 'allow' | 'reject' | undefined;
  /** Whether everything that changes something is `EROFS`. Default `false`. */
  readonly?: boolean | undefined;
}

/** Options of {@link SandboxRoot.stat} and {@link SandboxRoot.lstat}. */
export interface StatOptions {
  /** Whether every field is to be an exact bigint. Default `false`. */
  bigint?: boolean | null | undefined;
  /** Whether nothing there is an error; else it is `undefined`. Default `true`. */
  throwIfNoEntry?: boolean | null | undefined;
}

/** How a name that comes out is told: as a string, or byte for byte. */
export type NameEncoding = 'utf8' | 'utf-8' | 'buffer';

/**
 * The methods of {@link SandboxRoot} again, each with the same arguments, as promises: the work is done
 * on libuv's thread pool, and an error is the one that the method would throw.
 */
export type SandboxPromises = {
  [Name in Exclude<
    keyof SandboxRoot,
    'close' | 'closed' | 'promises' | 'stat' | 'lstat' | 'readlink' | symbol
  >]: (...args: Parameters<SandboxRoot[Name]>) => Promise<ReturnType<SandboxRoot[Name]>>;
} & {
  stat(
    path: RootPath,
    options?: (StatOptions & { bigint?: false | null; throwIfNoEntry?: true | null }) | null,
  ): Promise<Stats>;
  stat(
    path: RootPath,
    options: StatOptions & { bigint: true; throwIfNoEntry?: true | null },
  ): Promise<Stats<bigint>>;
  stat(path: RootPath, options?: StatOptions | null): Promise<Stats | Stats<bigint> | undefined>;
  lstat(
    path: RootPath,
    options?: (StatOptions & { bigint?: false | null; throwIfNoEntry?: true | null }) | null,
  ): Promise<Stats>;
  lstat(
    path: RootPath,
    options: StatOptions & { bigint: true; throwIfNoEntry?: true | null },
  ): Promise<Stats<bigint>>;
  lstat(path: RootPath, options?: StatOptions | null): Promise<Stats | Stats<bigint> | undefined>;
  readlink(
    path: RootPath,
    options?: 'utf8' | 'utf-8' | { encoding?: 'utf8' | 'utf-8' | null } | null,
  ): Promise<string>;
  readlink(path: RootPath, options: 'buffer' | { encoding: 'buffer' }): Promise<Buffer>;
  readlink(
    path: RootPath,
    options?: NameEncoding | { encoding?: NameEncoding | null } | null,
  ): Promise<string | Buffer>;
};

/** What {@link SandboxRoot.stat} knows of a file: numbers, or bigints where they were asked for. */
export interface Stats<T extends number | bigint = number> {
  /** The device that the file is on. */
  dev: T;
  /** The inode number. As a number, it is rounded beyond 2^53. */
  ino: T;
  /** The file type and the twelve permission bits, as in `fs.Stats.mode`. */
  mode: T;
  /** How many names the file has. */
  nlink: T;
  /** The user who owns it. */
  uid: T;
  /** The group that owns it. */
  gid: T;
  /** The device that it is, for a device file. */
  rdev: T;
  /** The length in bytes. */
  size: T;
  /** The preferred size of one read or write, in bytes. */
  blksize: T;
  /** What it takes on the file system, in blocks of 512 bytes. */
  blocks: T;
  /** When it was last read, in nanoseconds since the epoch. A number of today is rounded to 256 of them. */
  atimeNs: T;
  /** When its content last changed, in nanoseconds since the epoch. */
  mtimeNs: T;
  /** When anything of it last changed, in nanoseconds since the epoch. */
  ctimeNs: T;
}

/** The error of a system call that failed, in the form that `node:fs` gives it. */
export interface SystemError extends Error {
  /** The symbolic name, such as `'ENOENT'`. The message begins with it and `': '`. */
  code: string;
  /** The number of the error, negative. */
  errno: number;
  /** libuv's name of the call that failed, such as `'open'`, `'copyfile'` or `'utime'`. */
  syscall: string;
  /** The path that was passed; inside a tree that is removed: that path and the way down. */
  path?: string;
  /** The second path that was passed, for a call that takes two. */
  dest?: string;
}

/**
 * A directory that no operation leaves, whatever other processes rename or link meanwhile.
 *
 * The methods are synchronous; {@link SandboxRoot.promises} has each of them as a promise. Paths are relative to the root; `'.'` is the root itself. A path that
 * ends in a slash names a directory.
 *
 * Every method can throw, beside what is listed with it:
 * - a {@link SystemError} `EACCES`, for an absolute path and for any `..` in a path, even one that would
 *   stay inside; the message says that the path is outside of the sandbox;
 * - a {@link SystemError} `ENOENT` (nothing there, or an empty path), `ENOTDIR` (a file where a
 *   directory has to be), `EACCES` (no permission), `ENAMETOOLONG`, `EROFS`, `ENOSPC`, `EIO` and what
 *   else the file system says;
 * - a `TypeError`, `ERR_INVALID_ARG_TYPE`, for an argument of the wrong type;
 * - a `TypeError`, `ERR_INVALID_ARG_VALUE`, for a path with a NUL byte or a lone surrogate;
 * - a `RangeError`, `ERR_OUT_OF_RANGE`, for a number that is not an integer in range.
 *
 * Nothing is touched before all arguments hold.
 */
export class SandboxRoot {
  /**
   * Opens the directory `root` and keeps it open: the descriptor is the root, so that renaming the
   * directory later does not move the root.
   *
   * `root` is trusted. It may be absolute or relative to the working directory, and its symlinks are
   * followed, this once.
   *
   * @param root the directory
   * @param options what the root allows
   * @throws {SystemError} `ENOENT` if it is missing, `ENOTDIR` if it is no directory; `ENOSYS` or `EPERM`
   *   where `openat2` does not work, and the message says whether the kernel is too old or a seccomp
   *   filter blocks it
   */
  constructor(root: RootPath, options?: SandboxOptions | null);

  /**
   * Makes a directory.
   *
   * Symlinks are never followed. One before the last component is `ELOOP`; one as the last component is
   * `EEXIST`, and with `recursive` `ELOOP`.
   *
   * @param path the new directory
   * @param recursive whether to make what is missing above it, and to accept a directory that is there
   *   already; default `false`
   * @param mode the permission bits of every directory that is made, less the umask; default `0o755`
   * @throws {SystemError} `EEXIST` if something is there (with `recursive`: a file); `ENOTDIR` for a file
   *   on the way; `ELOOP`
   */
  mkdir(path: RootPath, recursive?: boolean | null, mode?: number | null): undefined;

  /**
   * Removes a name that is not a directory.
   *
   * Symlinks are never followed. One before the last component is `ELOOP`; one as the last component is
   * acted on itself.
   *
   * @param path the name to remove
   * @throws {SystemError} `EISDIR` for a directory; `EBUSY` for the root itself; `ELOOP`
   */
  unlink(path: RootPath): undefined;

  /**
   * Removes an empty directory.
   *
   * Symlinks are never followed. One before the last component is `ELOOP`; one as the last component is
   * `ENOTDIR`.
   *
   * @param path the directory to remove
   * @throws {SystemError} `ENOTEMPTY` if something is in it; `ENOTDIR` if it is no directory; `EBUSY` for
   *   the root itself and for a mount point; `ELOOP`
   */
  rmdir(path: RootPath): undefined;

  /**
   * Moves a name to another, in one step. What is at `newPath` is replaced.
   *
   * Symlinks are never followed. One before the last component is `ELOOP`; one as the last component is
   * acted on itself, in both paths.
   *
   * @param oldPath what to move
   * @param newPath where to
   * @throws {SystemError} `EXDEV` if the two are on different mounts; `ENOTEMPTY` or `EEXIST` for a
   *   directory that is not empty at `newPath`; `EISDIR` or `ENOTDIR` where one is a directory and the
   *   other is not; `EINVAL` for a directory into itself; `EBUSY` for the root itself; `ELOOP`
   */
  rename(oldPath: RootPath, newPath: RootPath): undefined;

  /**
   * As {@link SandboxRoot.rename}, but replaces nothing: if `newPath` exists, both stay as they were.
   *
   * Symlinks are never followed. One before the last component is `ELOOP`; one as the last component is
   * acted on itself, in both paths.
   *
   * @param oldPath what to move
   * @param newPath where to
   * @throws {SystemError} `EEXIST` if something is at `newPath`; `EINVAL` on a file system that cannot do
   *   this in one step (FUSE, for one); else as `rename`
   */
  renameNoReplace(oldPath: RootPath, newPath: RootPath): undefined;

  /**
   * Gives a file a second name.
   *
   * Symlinks are never followed. One before the last component is `ELOOP`; one as the last component of
   * `oldPath` is acted on itself; one as the last component of `newPath` is `EEXIST`.
   *
   * @param oldPath the file
   * @param newPath its new name
   * @throws {SystemError} `EEXIST` if something is at `newPath`; `EPERM` for a directory; `EXDEV` if the
   *   two are on different mounts; `EMLINK`; `ELOOP`
   */
  link(oldPath: RootPath, newPath: RootPath): undefined;

  /**
   * Makes a symlink.
   *
   * Symlinks are never followed. One before the last component is `ELOOP`; one as the last component of
   * `newPath` is `EEXIST`. The new symlink is not followed by any method of this class either, but
   * other programs may follow it.
   *
   * @param target what the symlink holds: stored as given, not checked against the root
   * @param newPath the symlink
   * @throws {SystemError} `EEXIST` if something is at `newPath`; `ENOENT` for an empty target; `ELOOP`
   */
  symlink(target: string | Uint8Array, newPath: RootPath): undefined;

  /**
   * Sets the permission bits. Needs to own the file, not to read it. Works on FIFOs, sockets and
   * devices without opening them.
   *
   * Symlinks are never followed. One in any component is `ELOOP`.
   *
   * @param path the file or directory
   * @param mode the twelve permission bits; higher bits (a file type) are ignored
   * @throws {SystemError} `EPERM` if it belongs to somebody else; `ELOOP`
   */
  chmod(path: RootPath, mode: number): undefined;

  /**
   * Sets the length of a file: a longer one is cut, a shorter one is filled with zeros.
   *
   * Symlinks are never followed. One in any component is `ELOOP`.
   *
   * @param path the file
   * @param len the length in bytes
   * @throws {SystemError} `EISDIR` for a directory; `ENXIO` for a FIFO, socket or device; `EFBIG`; `ELOOP`
   */
  truncate(path: RootPath, len: number): undefined;

  /**
   * Copies the content and the nine permission bits of a file, never its setuid, setgid or sticky bit.
   * A file at `dest` is overwritten in place and stays the same inode; a failure while writing leaves it
   * incomplete. A new file is removed again if the copy fails. A file copied onto itself, by whichever
   * of its names, stays as it is. Holes stay holes, and the blocks are shared where the file system can.
   *
   * Symlinks are never followed. One in any component of either path is `ELOOP`.
   *
   * @param src the file to copy
   * @param dest the copy
   * @param mode the permission bits that a new `dest` has until the copy is complete, less the umask;
   *   default `0o644`
   * @throws {SystemError} `EISDIR` if either is a directory; `ENXIO` for a FIFO, socket or device; `EPERM`
   *   if `dest` belongs to somebody else; `ENOSPC`; `ELOOP`
   */
  copyFile(src: RootPath, dest: RootPath, mode?: number | null): undefined;

  /**
   * Removes a name, or a directory and all that is in it, at any depth.
   *
   * Symlinks are never followed. One before the last component is `ELOOP`; one as the last component is
   * acted on itself, and so is every one in the tree.
   *
   * @param path what to remove
   * @param recursive whether to remove a directory and what is in it; default `false`
   * @param force whether nothing at `path`, or no parent of it, is fine; default `false`
   * @throws {SystemError} `EISDIR` for a directory without `recursive`; `EBUSY` for the root itself and
   *   for a mount point; `ENOTEMPTY` if others keep filling the tree; `ELOOP`
   */
  rm(path: RootPath, recursive?: boolean | null, force?: boolean | null): undefined;

  /**
   * Sets the times of last access and last modification. Needs to own the file, not to read it. Works
   * on FIFOs, sockets and devices without opening them.
   *
   * Symlinks are never followed. One in any component is `ELOOP`.
   *
   * Times are integers: nanoseconds since the epoch, negative before it. A bigint is exact; a number of
   * today's size counts in steps of 256 nanoseconds.
   *
   * @param path the file or directory
   * @param atimeNs the time of last access
   * @param mtimeNs the time of last modification
   * @throws {SystemError} `EPERM` if it belongs to somebody else; `ELOOP`
   */
  utimes(path: RootPath, atimeNs: number | bigint, mtimeNs: number | bigint): undefined;

  /**
   * Describes a file or directory. Needs no permission on it, and opens nothing.
   *
   * Symlinks are never followed. One in any component is `ELOOP`.
   *
   * @param path the file or directory
   * @param options `bigint`, `throwIfNoEntry`
   * @returns thirteen numbers, or bigints; times in nanoseconds. `undefined` if nothing is there and
   *   `throwIfNoEntry` is false
   * @throws {SystemError} `ELOOP`
   */
  stat(
    path: RootPath,
    options?: (StatOptions & { bigint?: false | null; throwIfNoEntry?: true | null }) | null,
  ): Stats;
  stat(path: RootPath, options: StatOptions & { bigint: true; throwIfNoEntry?: true | null }): Stats<bigint>;
  stat(path: RootPath, options?: StatOptions | null): Stats | Stats<bigint> | undefined;

  /**
   * As {@link SandboxRoot.stat}, but describes a symlink itself.
   *
   * Symlinks are never followed. One before the last component is `ELOOP`; one as the last component is
   * acted on itself.
   *
   * @param path the name
   * @param options `bigint`, `throwIfNoEntry`
   * @throws {SystemError} `ELOOP`
   */
  lstat(
    path: RootPath,
    options?: (StatOptions & { bigint?: false | null; throwIfNoEntry?: true | null }) | null,
  ): Stats;
  lstat(path: RootPath, options: StatOptions & { bigint: true; throwIfNoEntry?: true | null }): Stats<bigint>;
  lstat(path: RootPath, options?: StatOptions | null): Stats | Stats<bigint> | undefined;

  /**
   * Asks whether the process may do something with a file, as access(2) does for the real user.
   *
   * Symlinks are never followed. One in any component is `ELOOP`.
   *
   * @param path the file or directory
   * @param mode `fs.constants.F_OK` (the default), or a sum of `R_OK`, `W_OK` and `X_OK`
   * @throws {SystemError} `EACCES` or `EROFS` if it may not; `ELOOP`
   */
  access(path: RootPath, mode?: number | null): undefined;

  /**
   * Whether something is at `path`. As with `fs.existsSync`, whatever stands in the way of an answer is a
   * no: nothing is thrown.
   *
   * Symlinks are never followed. One in any component is a no.
   *
   * @param path the file or directory
   */
  exists(path: RootPath): boolean;

  /**
   * Tells what a symlink holds.
   *
   * Symlinks are never followed. One before the last component is `ELOOP`; one as the last component is
   * acted on itself.
   *
   * @param path the symlink
   * @param options the encoding: `'utf8'` (the default), or `'buffer'` for the very bytes
   * @throws {SystemError} `EINVAL` for anything but a symlink; `ELOOP`
   */
  readlink(
    path: RootPath,
    options?: 'utf8' | 'utf-8' | { encoding?: 'utf8' | 'utf-8' | null } | null,
  ): string;
  readlink(path: RootPath, options: 'buffer' | { encoding: 'buffer' }): Buffer;
  readlink(
    path: RootPath,
    options?: NameEncoding | { encoding?: NameEncoding | null } | null,
  ): string | Buffer;

  /**
   * As {@link SandboxRoot.utimes}, but of a symlink itself.
   *
   * Symlinks are never followed. One before the last component is `ELOOP`; one as the last component is
   * acted on itself.
   *
   * @param path the name
   * @param atimeNs the time of last access
   * @param mtimeNs the time of last modification
   * @throws {SystemError} `EPERM` if it belongs to somebody else; `ELOOP`
   */
  lutimes(path: RootPath, atimeNs: number | bigint, mtimeNs: number | bigint): undefined;

  /**
   * Gives a file to another user and group; −1 leaves the one that is there.
   *
   * Symlinks are never followed. One in any component is `ELOOP`.
   *
   * @param path the file or directory
   * @param uid the user
   * @param gid the group
   * @throws {SystemError} `EPERM` without the privilege; `ELOOP`
   */
  chown(path: RootPath, uid: number, gid: number): undefined;

  /**
   * As {@link SandboxRoot.chown}, but of a symlink itself.
   *
   * Symlinks are never followed. One before the last component is `ELOOP`; one as the last component is
   * acted on itself.
   *
   * @param path the name
   * @param uid the user
   * @param gid the group
   * @throws {SystemError} `EPERM` without the privilege; `ELOOP`
   */
  lchown(path: RootPath, uid: number, gid: number): undefined;

  /**
   * Puts each of two names where the other is, in one step, whatever they are.
   *
   * Symlinks are never followed. One before the last component is `ELOOP`; one as the last component is
   * acted on itself, in both paths.
   *
   * @param a one name
   * @param b the other
   * @throws {SystemError} `ENOENT` if one is missing; `EXDEV` if they are on different mounts; `EINVAL` for
   *   a directory and what is in it, and on a file system that cannot do this; `EBUSY` for the root
   *   itself; `ELOOP`
   */
  exchange(a: RootPath, b: RootPath): undefined;

  /**
   * Opens a file for reading. A directory can be opened too, as with `fs.openSync`.
   *
   * Symlinks are never followed. One in any component is `ELOOP`.
   *
   * @param path the file
   * @returns a descriptor for `fs.readSync`, `fs.createReadStream` and the like; the caller closes it
   * @throws {SystemError} `ENXIO` for a FIFO, socket or device, which could block; `EMFILE`; `ELOOP`
   */
  openRead(path: RootPath): number;

  /**
   * Opens a file for writing, and for writing alone. What it held stays, and is written over from the
   * start, unless `truncate` or `append` is given.
   *
   * Symlinks are never followed. One in any component is `ELOOP`.
   *
   * @param path the file
   * @param create whether to make the file if it is missing; default `false`
   * @param truncate whether to empty it first; default `false`
   * @param append whether every write goes to the end; default `false`
   * @param mode the permission bits of a file that is made, less the umask; default `0o666`
   * @returns a descriptor for `fs.writeSync`, `fs.createWriteStream` and the like; the caller closes it
   * @throws {SystemError} `EISDIR` for a directory; `ENXIO` for a FIFO, socket or device, which could
   *   block; `ETXTBSY`; `EMFILE`; `ELOOP`
   * @throws {TypeError} `ERR_INVALID_ARG_VALUE` for `truncate` together with `append`
   */
  openWrite(
    path: RootPath,
    create?: boolean | null,
    truncate?: boolean | null,
    append?: boolean | null,
    mode?: number | null,
  ): number;

  /**
   * Releases the descriptor of the root at once; a call that is running keeps it until its end. Every
   * method afterwards throws `EBADF`. Closing twice is fine. A root that is never closed is released
   * when it is garbage-collected.
   *
   * Where Node has `Symbol.dispose`, the method is there under that name too: `using root = …`.
   */
  close(): undefined;

  /** Whether {@link SandboxRoot.close} was called. */
  get closed(): boolean;

  /** Every method again, with the same arguments, as a promise. */
  get promises(): SandboxPromises;
}
