/// <reference types="node" />

import type {
  Dir,
  FSWatcher,
  OpenDirOptions,
  ReadStream,
  WatchListener,
  WatchOptions,
  WriteStream,
} from 'node:fs';
import type { FileChangeInfo, FileHandle } from 'node:fs/promises';

/**
 * A path relative to the root of a {@link SandboxRoot}.
 *
 * A string, or bytes (a `Buffer` is a `Uint8Array`): names that are not UTF-8 exist, and only bytes can
 * spell them.
 */
export type RootPath = string | Uint8Array;

/**
 * What a root allows. A key or a value that is not one of these, `null` too, and a key that is inherited, is refused
 * (`ERR_INVALID_ARG_VALUE`, `ERR_INVALID_ARG_TYPE`): a misspelt policy must not silently be the weaker one.
 */
export interface SandboxOptions {
  /**
   * What becomes of a symlink that would be followed.
   * - `'reject'`, the default: it is `ELOOP`.
   * - `'beneath'`: it is followed while it stays beneath the root; an absolute one, or one that leads
   *   out, is `EACCES`.
   * - `'in-root'`: it is followed as in a container: an absolute one starts at the root, and `..` at the
   *   root stays there.
   *
   * Under the latter two a path may have `..`, which the kernel resolves; under `'in-root'` an absolute
   * path starts at the root. Magic links of `/proc` are never followed.
   */
  symlinks?: 'reject' | 'beneath' | 'in-root' | undefined;
  /**
   * Whether a path may lead into something that is mounted beneath the root, default `'allow'`. With
   * `'reject'` it is `EACCES`, and work on a tree does not enter a mount point in it.
   */
  mounts?: 'allow' | 'reject' | undefined;
  /**
   * Whether the content of a file that has more than one name may be opened, default `'allow'`. With
   * `'reject'` it is `EMLINK`.
   */
  hardlinks?: 'allow' | 'reject' | undefined;
  /** Whether everything that changes something is `EROFS`, before any system call. Default `false`. */
  readonly?: boolean | undefined;
}

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

/** What a name in a directory is; `'unknown'` where the kernel does not tell. */
export type EntryType = 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'block' | 'char' | 'unknown';

/** A name in a directory, and what it is. It answers as `fs.Dirent` does. */
export interface DirectoryEntry<Name extends string | Buffer = string> {
  /** The name alone. */
  name: Name;
  /** The directory: the path that was passed, joined with the way down (`'.'` and `'a'` are `'a'`). */
  parentPath: Name;
  type: EntryType;
  /** `parentPath` and `name`, joined: what a method of the root takes. */
  readonly path: Name;
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
  isBlockDevice(): boolean;
  isCharacterDevice(): boolean;
}

/** Which directory a root is. */
export interface Identity {
  dev: bigint;
  ino: bigint;
  /**
   * The mount that it was opened through, for a bind mount has the `dev` and `ino` of what it shows; 0
   * before Linux 5.8.
   */
  mountId: bigint;
}

/**
 * What {@link SandboxRoot.hostPath} gives. It holds a descriptor of the directory, until it is closed, or collected
 * with nobody having kept it: keep it for as long as the path is in use.
 *
 * **What it guards**: where the path begins. No symlink and no rename leads it elsewhere.
 *
 * **What it does not**: all that is done with it. Whoever has the path can go up by `..` and follows symlinks, and no
 * policy of the root holds, `readonly` neither.
 */
export interface HostPath {
  /**
   * `/proc/self/fd/N`. It means the directory in this process, its workers, and as the `cwd` of a child process, which
   * enters it before it runs; another process has other descriptors. `/proc` must be mounted.
   *
   * The number is 256 or more where the limit of descriptors allows that: a child process that is handed more `stdio`
   * entries than the number says runs in another directory.
   *
   * After `close` it throws `EBADF`. Something else may have the number then: use no copy of the path.
   */
  readonly path: string;
  /** Releases the descriptor. Closing twice is fine. */
  close(): undefined;
  /** The same, where Node has the symbol: `using there = …`. */
  [Symbol.dispose](): undefined;
}

/** How far work on a tree is. */
export interface Progress {
  /** How many files, directories and other entries are done. */
  entries: number;
  /** How many bytes of content were copied. */
  bytes: number;
}

/**
 * Why a call was refused, where its `code` can mean something else too:
 * - `'outside'` (`EACCES`): the path is absolute, has a `..`, or leads out of the root, as far as the policy does not
 *   allow that; or a directory was moved out while the path was resolved;
 * - `'symlink'` (`ELOOP`): a symlink would have been followed, where the policy follows none, or a magic link;
 * - `'mount'` (`EACCES`): the path leads into something mounted, with `mounts: 'reject'`;
 * - `'hardlink'` (`EMLINK`): the file has several names, with `hardlinks: 'reject'`;
 * - `'special'` (`ENXIO`): a FIFO, socket or device, whose content was to be opened;
 * - `'readonly'` (`EROFS`): the root is `readonly`;
 * - `'closed'` (`EBADF`): the root is closed;
 * - `'into-itself'`, `'same-file'` (`EINVAL`): something would be copied or moved to itself, or into itself;
 * - `'changed'` (`EBUSY`): others changed what was to be moved;
 * - `'vanished'` (`ENOENT`): entries vanished while a tree was copied;
 * - `'version'` (`ESTALE`): what is there is not the version of `ifMatch`;
 * - `'locked'` (`EAGAIN`): somebody holds the lock that a write with `ifMatch` needs;
 * - `'kernel'`, `'seccomp'` (`ENOSYS`, `EPERM`): the kernel has no `openat2`, or a filter blocks it.
 */
export type ErrorReason =
  | 'outside'
  | 'symlink'
  | 'mount'
  | 'hardlink'
  | 'special'
  | 'readonly'
  | 'closed'
  | 'into-itself'
  | 'same-file'
  | 'changed'
  | 'vanished'
  | 'version'
  | 'locked'
  | 'kernel'
  | 'seccomp';

/** The error of a system call that failed, in the form that `node:fs` gives it. */
export interface SystemError extends Error {
  /** The symbolic name, such as `'ENOENT'`. The message begins with it and `': '`. */
  code: string;
  /** The number of the error, negative. */
  errno: number;
  /** libuv's name of the call that failed, such as `'open'`, `'copyfile'` or `'utime'`. */
  syscall: string;
  /**
   * The path that was passed; inside a tree: that path and the way down. Of a path of more than 65,000 bytes, which no
   * call takes, the beginning.
   */
  path?: string;
  /** The second path that was passed, for a call that takes two. */
  dest?: string;
  /** Which promise or policy of the root the call met. Missing where the kernel or the file system failed. */
  reason?: ErrorReason;
  /**
   * The paths, up to 100, of all entries of a tree that the error is about: what vanished while
   * {@link SandboxRoot.cp} copied it, or what {@link SandboxRoot.move} could not remove, of the source or of
   * the copy; and what a call could not remove that it made under a hidden name. It is missing where there are none.
   */
  entries?: string[];
}

/** How a name that comes out is told: as a string, where what is not UTF-8 shows as U+FFFD, or as bytes. */
export type NameEncoding = TextEncoding | 'buffer';
type TextEncoding = 'utf8' | 'utf-8';
type AsText = TextEncoding | (Stoppable & { encoding?: TextEncoding | null | undefined }) | null;
type AsBytes = 'buffer' | (Stoppable & { encoding: 'buffer' });

/** The flags of `fs.open`: its words, or a sum of `fs.constants.O_*`. */
export type OpenFlags = ReadFlags | WriteFlags | AppendFlags | number;
type ReadFlags = 'r' | 'rs' | 'sr' | 'r+' | 'rs+' | 'sr+';
type WriteFlags = 'w' | 'wx' | 'xw' | 'w+' | 'wx+' | 'xw+';
type AppendFlags = 'a' | 'ax' | 'xa' | 'as' | 'sa' | 'a+' | 'ax+' | 'xa+' | 'as+' | 'sa+';

/** Options of {@link SandboxRoot.stat} and {@link SandboxRoot.lstat}. */
export interface StatOptions<Big extends boolean = boolean, Throws extends boolean = boolean>
  extends Stoppable {
  /** Whether every field is to be an exact bigint. Default `false`. */
  bigint?: Big | null | undefined;
  /**
   * Whether nothing there (`ENOENT`; for `stat` also `ENOTDIR`, as in Node since 22) is an error, and not `undefined`.
   * Default `true`.
   */
  throwIfNoEntry?: Throws | null | undefined;
  /** Whether the result has a {@link Versioned.version} too. Default `false`. */
  version?: boolean | null | undefined;
}

/** What {@link SandboxRoot.stat} and {@link SandboxRoot.lstat} add with `version: true`. */
export interface Versioned {
  /**
   * Which file this is and when it was changed, for {@link WriteFileOptions.ifMatch}: opaque, made of device, inode,
   * size, and the times of the last change of the content and of anything, in nanoseconds.
   *
   * It does not see what leaves all of these as they were: a second write of the same length within one tick of the
   * kernel's clock (4 ms or less; where times are whole seconds, a version of a file that was changed in the last two seconds
   * matches nothing); a file of the same length that got the inode number of a removed one within
   * that tick; what is written through `mmap` and is not on the disk yet; what a network file system has not told
   * yet. It changes with what is no content: the mode, the owner, the number of names.
   */
  version: string;
}

/**
 * A time to set. A number or a bigint is **nanoseconds** since the epoch, negative before it: `Date.now()` is
 * milliseconds, and would be a moment of January 1970. A `Date` is exact to its milliseconds. `null` leaves the time
 * as it is.
 */
export type Time = number | bigint | Date | null;

/** What {@link SandboxRoot.statfs} knows of a file system, as `fs.StatFs`: numbers, or bigints. */
export interface StatFs<T extends number | bigint = number> {
  /** The type of the file system: its magic number, statfs(2). */
  type: T;
  /** The size of a block, in bytes. */
  bsize: T;
  /** How many blocks there are. */
  blocks: T;
  /** How many of them are free. */
  bfree: T;
  /** How many are free for an ordinary user. */
  bavail: T;
  /** How many inodes there are; 0 where there is no limit. */
  files: T;
  /** How many of them are free. */
  ffree: T;
}

/** Options of {@link SandboxRoot.statfs}. */
export interface StatFsOptions<Big extends boolean = boolean> extends Stoppable {
  /** Whether every field is a bigint. Default `false`. */
  bigint?: Big | null | undefined;
}

/** Work that can be stopped. */
export interface Stoppable {
  /**
   * Stops the work when it is aborted: the error is an `AbortError` with `code: 'ABORT_ERR'`, as in `node:fs`,
   * and its `cause` is `signal.reason`. If the signal is aborted already, nothing is touched. Later aborts reach
   * promises alone: work on a tree stops between two entries, copying, reading or writing a file between two parts of
   * it, and what is short is done. What is done by then stays done; a new file that is not complete is removed again,
   * and one that is written with `atomic` never appears.
   */
  signal?: AbortSignal | null | undefined;
}

/** Work that can be stopped, and that says how far it is. */
export interface Watchable extends Stoppable {
  /**
   * Is told how far the work is: from a promise at most twenty times a second and once at the end, from
   * the synchronous method once at the end. If it throws while the work is under way, the work stops, and that is the
   * error. So it is with a promise: if it is rejected, the work stops, and its reason is the error. Work that is done
   * has not failed: what `onProgress` throws then is ignored, and so is an abort. A promise waits for what `onProgress`
   * returned, until an abort; the synchronous method does not.
   */
  onProgress?: ((progress: Progress) => void) | null | undefined;
}

/** Options of {@link SandboxRoot.rm}. */
export interface RmOptions extends Watchable {
  /** Accepted and ignored. */
  maxRetries?: number | null | undefined;
  /** Accepted and ignored. */
  retryDelay?: number | null | undefined;
}

/** Options of {@link SandboxRoot.symlink}. */
export interface SymlinkOptions extends Stoppable {
  /**
   * Whether a target that is absolute, or leads out of the root from where the link is to be, is refused: `EACCES`,
   * outside of the sandbox. Default `false`. The kernel resolves it, after the links that are there already, under
   * every policy; nothing is made if it is refused. What the target names need not be there, but then no `..` may
   * come behind it. It is checked at this moment: whoever replaces a directory by a link, or moves one, afterwards,
   * can make the link lead elsewhere.
   */
  beneath?: boolean | null | undefined;
}

/** For a call with two paths. */
export interface IntoAnother {
  /**
   * The root that the second path is beneath, by default the first one's. What that root allows holds
   * for the second path. Anything else than a root, `undefined` and `null` too, is refused.
   */
  to?: SandboxRoot;
}

/** Options of {@link SandboxRoot.rename}, {@link SandboxRoot.renameNoReplace} and {@link SandboxRoot.link}. */
export interface TwoRootsOptions extends IntoAnother, Stoppable {}

/** Whether a copy shares its blocks with the original: where the file system can, or fail, or never. */
export interface Reflink {
  /** Default `'auto'`. `'always'` is the kernel's error (`ENOTSUP`, `EXDEV` …) where it is not possible. */
  reflink?: 'auto' | 'always' | 'never' | null | undefined;
}

/** Options of {@link SandboxRoot.readdir}. */
export interface ReaddirOptions<Typed extends boolean = boolean, Encoding extends NameEncoding = NameEncoding>
  extends Watchable {
  /** Whether to give {@link DirectoryEntry} objects, not names. Default `false`. */
  withFileTypes?: Typed | null | undefined;
  /** Whether to list the directories in it too, at any depth. Default `false`. */
  recursive?: boolean | null | undefined;
  /** Default `'utf8'`. */
  encoding?: Encoding | null | undefined;
}

/** Options of {@link SandboxRoot.walk}. */
export interface WalkOptions<
  Encoding extends NameEncoding = NameEncoding,
  Name extends string | Buffer = string | Buffer,
> {
  /** Ends the walk when it is aborted: at the next entry, or while it waits for `filter` or `onError`. */
  signal?: AbortSignal | null | undefined;
  /** How many levels to list; 1 is the directory alone. Default: all. */
  maxDepth?: number | null | undefined;
  /** How many entries to give. Default: all. */
  maxEntries?: number | null | undefined;
  /**
   * Says of every entry, from the top, whether it is given. A directory that is not is not entered: what is in it
   * costs nothing. The answer may be a promise. What it throws ends the walk.
   */
  // biome-ignore lint/suspicious/noExplicitAny: whatever is true keeps an entry, as for `Array.prototype.filter`
  filter?: ((entry: DirectoryEntry<Name>) => any) | null | undefined;
  /**
   * Is told what could not be listed, which is left out: a directory that may not be read, for example. `entry` is
   * that directory; it is missing for the one where the walk begins. If it returns, the walk goes on with the rest,
   * once a promise that it returns is fulfilled; what it throws ends the walk. Default: the error is thrown.
   *
   * That the root is closed always ends the walk. Where the kernel lists names without types and does not tell them
   * either, `entry` is the first of these, of type `'unknown'`, and the rest of its directory is left out.
   */
  // biome-ignore lint/suspicious/noExplicitAny: what it returns is waited for and not used
  onError?: ((error: SystemError, entry?: DirectoryEntry<Name>) => any) | null | undefined;
  /** Default `'utf8'`. */
  encoding?: Encoding | null | undefined;
}

/** What {@link SandboxRoot.walk} gives: entries, as they are found. */
export interface Walk<Name extends string | Buffer = string>
  extends AsyncIterableIterator<DirectoryEntry<Name>> {
  /** Which limit cut the walk short first, or `null`. */
  readonly truncated: 'maxDepth' | 'maxEntries' | null;
}

/** Options of {@link SandboxRoot.readFile}. */
export interface ReadFileOptions<Encoding extends BufferEncoding = BufferEncoding> extends Stoppable {
  /** Makes the result a string. Default `null`: a `Buffer`. */
  encoding?: Encoding | null | undefined;
  /** The longest content to read, in bytes. Default 2^31 − 1. */
  maxBytes?: number | null | undefined;
  /** As in `node:fs`; no other one. */
  flag?: 'r' | null | undefined;
}

/**
 * What is written: a string or bytes; for a promise also what gives these bit by bit, such as a generator or a stream.
 */
export type FileData<Async extends boolean = boolean> =
  | string
  | ArrayBufferView
  | (Async extends true
      ? Iterable<string | ArrayBufferView> | AsyncIterable<string | ArrayBufferView>
      : never);

/** Options of {@link SandboxRoot.appendFile}. */
export interface AppendFileOptions extends Stoppable {
  /** How a string becomes bytes. Default `'utf8'`. */
  encoding?: BufferEncoding | null | undefined;
  /** The permission bits of a file that is made, less the umask. Default `0o666`. */
  mode?: number | null | undefined;
  /** As for {@link SandboxRoot.open}. Default `'w'`, for `appendFile` `'a'`. */
  flag?: OpenFlags | null | undefined;
  /** Whether the content has to have reached the disk before the call is over. Default `false`. */
  flush?: boolean | null | undefined;
}

/** Options of {@link SandboxRoot.writeFile}. */
export interface WriteFileOptions extends AppendFileOptions {
  /**
   * Whether to write a new file and put it in place by one rename. Default `false`. `flag` is `'w'` or
   * `'wx'` then, and `flush` is for the directory too.
   */
  atomic?: boolean | null | undefined;
  /**
   * The version, as {@link SandboxRoot.lstat} gave it, that what is replaced has to be: else, and if nothing is there,
   * it is `ESTALE` and everything stays as it is. Needs `atomic`, permission to read the directory (else `EACCES`), and
   * a file system that can exchange two files (else `EINVAL`). What is no string is refused, `undefined` too: it would make the write unconditional.
   *
   * What came in between is never lost. The kernel has no rename with a condition: a file that comes between the last
   * comparison and the exchange, which are two system calls, gets its name back at once, and until then the new
   * content is there. A process that dies then leaves it as `.openat2-<random>`.
   *
   * One conditional write at a time has the lock of the directory (`flock`). Where somebody else holds it for a second,
   * it is `EAGAIN`, and everything stays as it is.
   */
  ifMatch?: string;
}

/** Options of {@link SandboxRoot.copyFile}. */
export interface CopyFileOptions extends Watchable, IntoAnother, Reflink {
  /** Whether something at `dest` is `EEXIST`. Default `false`. */
  exclusive?: boolean | null | undefined;
}

/** What {@link CpOptions.preserve} can keep of an original. */
export type Preserved = 'owner' | 'times' | 'mode' | 'acl' | 'xattr';

/** Options of {@link SandboxRoot.cp}. */
export interface CpOptions<Async extends boolean = boolean> extends Watchable, IntoAnother, Reflink {
  /** Whether to copy a directory and what is in it; else it is `EISDIR`. Default `false`. */
  recursive?: boolean | null | undefined;
  /** Whether a file that is there is replaced, each by one rename; else it is left alone. Default `true`. */
  force?: boolean | null | undefined;
  /** Whether, without `force`, a file that is there is `EEXIST`. Default `false`. */
  errorOnExist?: boolean | null | undefined;
  /** As in `node:fs`; symlinks are copied as symlinks. */
  dereference?: false | null | undefined;
  /** Accepted and ignored. */
  mode?: number | null | undefined;
  /** Whether copies have the times of their originals. Default `false`. */
  preserveTimestamps?: boolean | null | undefined;
  /**
   * What copies have of their originals beside the content, the nine permission bits and the access ACL, as by
   * `cp -a`: `true` for all of it, or a list. Each is kept as far as the process may set it and the file
   * system has it; what there is no room for is `ENOSPC`. Default `false`.
   * - `'owner'`: the user and the group;
   * - `'times'`: the times of last access and modification, as with `preserveTimestamps`;
   * - `'mode'`: the setuid, setgid and sticky bits, where the copy belongs to whom the original does;
   * - `'acl'`: the default ACL of a directory;
   * - `'xattr'`: extended attributes.
   */
  preserve?: boolean | readonly Preserved[] | null | undefined;
  /**
   * Whether entries that vanish while the tree is copied are no error. Default `false`: all others are copied,
   * and then it is `ENOENT`, with the paths of what vanished as `entries`.
   */
  ignoreVanished?: boolean | null | undefined;
  /**
   * Whether the copy is shown when all of it is there. Default `false`. It is made beside `dest` as
   * `.openat2-<random>` and gets its name by one rename; a failure or an abort leaves nothing, and what could not
   * be removed is in `entries` of the error. With `force` it replaces what {@link SandboxRoot.rename} replaces: a
   * file, a symlink, an empty directory; it is never merged with a directory that is there (`ENOTEMPTY`). Without
   * `force` whatever is at `dest` is left alone, or is `EEXIST` with `errorOnExist`. After a `kill -9` the hidden
   * sibling stays.
   */
  atomic?: boolean | null | undefined;
  /** Symlinks are copied with the text they have. `false` is refused: it would write host paths into links. */
  verbatimSymlinks?: true | null | undefined;
  /**
   * Says of every entry, from the top, whether it is to be copied; a directory that is not is not
   * entered. All are asked about before copying begins, and one that was not is not copied. For
   * `promises` the answer may be a promise.
   */
  filter?:
    | ((src: string, dest: string) => boolean | (Async extends true ? Promise<boolean> : never))
    | null
    | undefined;
}

/** Options of {@link SandboxRoot.move}. */
export interface MoveOptions extends Watchable, IntoAnother {
  /** Whether what is at `dest` is replaced; else it is `EEXIST`. Default `false`. */
  overwrite?: boolean | null | undefined;
  /**
   * Whether a copy has to have reached the disk before its original is removed: between mounts, the whole file
   * system of `dest` is waited for. Default `false`.
   */
  flush?: boolean | null | undefined;
}

/** Options of {@link SandboxRoot.createReadStream}: those of Node's, or the encoding. */
export type ReadStreamOptions =
  | BufferEncoding
  | {
      /** Default `'r'`. */
      flags?: OpenFlags | undefined;
      /** Default: none, and the stream gives Buffers. */
      encoding?: BufferEncoding | undefined;
      /** The first byte that is read. Default 0. */
      start?: number | undefined;
      /** The last byte that is read. Default: that of the file. */
      end?: number | undefined;
      /** How many bytes are read at once. Default 65,536. */
      highWaterMark?: number | undefined;
      /** A descriptor, or a `FileHandle`, that is open already: then the path is not used. */
      fd?: number | FileHandle | undefined;
      /** Whether the file is closed at the end, or by an error. Default `true`. */
      autoClose?: boolean | undefined;
      /** Whether the stream emits `'close'`. Default `true`. */
      emitClose?: boolean | undefined;
      /** Destroys the stream. */
      signal?: AbortSignal | undefined;
    };

/**
 * Options of {@link SandboxRoot.createWriteStream}: those of Node's and three more, or the encoding. Others are ignored, as by
 * Node.
 */
export type WriteStreamOptions =
  | BufferEncoding
  | {
      /** Default `'w'`. */
      flags?: OpenFlags | undefined;
      /** The mode of a new file, less the umask. Default `0o666`. */
      mode?: number | undefined;
      /** Of strings. Default `'utf8'`. */
      encoding?: BufferEncoding | undefined;
      /** Where the first byte is written. Not with `atomic` or `maxBytes`. */
      start?: number | undefined;
      /** How many bytes are held before `write` returns `false`. Default 16,384. */
      highWaterMark?: number | undefined;
      /** A descriptor, or a `FileHandle`, that is open already: then the path is not used. */
      fd?: number | FileHandle | undefined;
      /** Whether the file is closed at the end, or by an error. Default `true`. */
      autoClose?: boolean | undefined;
      /** Whether the stream emits `'close'`. Default `true`. */
      emitClose?: boolean | undefined;
      /** Destroys the stream. */
      signal?: AbortSignal | undefined;
      /**
       * Whether the file appears, whole, when the stream finishes. A stream that fails, or is destroyed before, leaves
       * what was there. With the flags `'w'` and `'wx'` alone. Default `false`.
       */
      atomic?: boolean | undefined;
      /** Whether the content is on the disk when the stream finishes. Default `false`. */
      flush?: boolean | undefined;
      /**
       * The most that is written, in bytes. More is `ERR_FS_FILE_TOO_LARGE`, and a file that the stream made is removed.
       * Default: no limit.
       */
      maxBytes?: number | undefined;
      /** The version that is replaced, as that of {@link WriteFileOptions.ifMatch}. It takes `atomic`. */
      ifMatch?: string;
    };

/** What a method gives: its result, or a promise of it. */
type Reply<Async extends boolean, T> = Async extends true ? Promise<T> : T;

/** The methods that exist twice: on {@link SandboxRoot}, and as promises on {@link SandboxRoot.promises}. */
interface Operations<Async extends boolean> {
  // ---- names

  /**
   * Makes a directory. A symlink at `path` is `EEXIST`; with `recursive` one that leads to a directory
   * counts as that directory where the root follows it.
   *
   * @param path the new directory
   * @param recursive whether to make what is missing above it, and to accept a directory that is there
   *   already; default `false`
   * @param mode the permission bits of every directory that is made, less the umask; default `0o755`
   * @throws {SystemError} `EEXIST` if something is there (with `recursive`: a file)
   */
  mkdir(path: RootPath, recursive?: boolean | null, mode?: number | null): Reply<Async, undefined>;

  /**
   * Makes a directory of mode `0o700` with a name that is not taken.
   *
   * @param prefix what the path begins with; six random characters follow
   * @param options the encoding of what is returned
   * @returns the path, relative to the root
   */
  mkdtemp(prefix: RootPath, options?: AsText): Reply<Async, string>;
  mkdtemp(prefix: RootPath, options: AsBytes): Reply<Async, Buffer>;
  mkdtemp(prefix: RootPath, options?: AsText | AsBytes): Reply<Async, string | Buffer>;

  /**
   * Removes a name that is not a directory: a symlink itself.
   *
   * @param path the name to remove
   * @throws {SystemError} `EISDIR` for a directory
   */
  unlink(path: RootPath): Reply<Async, undefined>;

  /**
   * Removes an empty directory. A symlink is `ENOTDIR`.
   *
   * @param path the directory to remove
   * @throws {SystemError} `ENOTEMPTY` if something is in it; `ENOTDIR` if it is no directory; `EBUSY` for a
   *   mount point
   */
  rmdir(path: RootPath): Reply<Async, undefined>;

  /**
   * Removes a file, a symlink itself, or an empty directory. Of the error, `syscall` is `unlink`, or for a directory
   * `rmdir`.
   *
   * @param path what to remove
   * @throws {SystemError} `ENOENT` if nothing is there; `ENOTEMPTY` if something is in the directory; `EBUSY` for a
   *   mount point
   */
  remove(path: RootPath): Reply<Async, undefined>;

  /**
   * Makes a FIFO: mkfifo(3). A symlink at `path` is `EEXIST`.
   *
   * @param path the FIFO
   * @param mode the permission bits, less the umask; default `0o666`
   * @throws {SystemError} `EEXIST` if something is there
   */
  mkfifo(path: RootPath, mode?: number | null): Reply<Async, undefined>;

  /**
   * Moves a name to another, in one step: a symlink itself. What is at `newPath` is replaced.
   *
   * @param oldPath what to move
   * @param newPath where to
   * @param options `to`, the root of `newPath`, and `signal`
   * @throws {SystemError} `EXDEV` if the two are on different mounts ({@link SandboxRoot.move} copies then);
   *   `ENOTEMPTY` or `EEXIST` for a directory that is not empty at `newPath`; `EISDIR` or `ENOTDIR` where
   *   one is a directory and the other is not; `EINVAL` for a directory into itself
   */
  rename(oldPath: RootPath, newPath: RootPath, options?: TwoRootsOptions | null): Reply<Async, undefined>;

  /**
   * As {@link SandboxRoot.rename}, but replaces nothing: if `newPath` exists, both stay as they were.
   *
   * @param oldPath what to move
   * @param newPath where to
   * @param options `to`, the root of `newPath`
   * @throws {SystemError} `EEXIST` if something is at `newPath`; `EINVAL` on a file system that cannot do
   *   this in one step (FUSE, for one); else as `rename`
   */
  renameNoReplace(
    oldPath: RootPath,
    newPath: RootPath,
    options?: TwoRootsOptions | null,
  ): Reply<Async, undefined>;

  /**
   * Puts each of two names where the other is, in one step, whatever they are: symlinks themselves.
   *
   * @param a one name
   * @param b the other
   * @throws {SystemError} `ENOENT` if one is missing; `EXDEV` if they are on different mounts; `EINVAL` for
   *   a directory and what is in it, and on a file system that cannot do this
   */
  exchange(a: RootPath, b: RootPath): Reply<Async, undefined>;

  /**
   * Gives a file a second name: a symlink itself.
   *
   * @param oldPath the file
   * @param newPath its new name
   * @param options `to`, the root of `newPath`
   * @throws {SystemError} `EEXIST` if something is at `newPath`; `EPERM` for a directory; `EXDEV` if the
   *   two are on different mounts; `EMLINK` if it has too many
   */
  link(oldPath: RootPath, newPath: RootPath, options?: TwoRootsOptions | null): Reply<Async, undefined>;

  /**
   * Makes a symlink. Whether the methods of this class follow it is the root's policy; other programs may.
   *
   * @param target what the symlink holds: stored as given, and not checked against the root unless `beneath` is given
   * @param newPath the symlink
   * @param options `beneath`
   * @throws {SystemError} `EEXIST` if something is at `newPath`; `ENOENT` for an empty target; with `beneath`
   *   `EACCES`, outside of the sandbox, and `ELOOP` for a target that leads nowhere for ever
   */
  symlink(
    target: string | Uint8Array,
    newPath: RootPath,
    options?: SymlinkOptions | null,
  ): Reply<Async, undefined>;

  /**
   * Tells what a symlink holds.
   *
   * @param path the symlink
   * @param options the encoding of what is returned
   * @throws {SystemError} `EINVAL` for anything but a symlink
   */
  readlink(path: RootPath, options?: AsText): Reply<Async, string>;
  readlink(path: RootPath, options: AsBytes): Reply<Async, Buffer>;
  readlink(path: RootPath, options?: AsText | AsBytes): Reply<Async, string | Buffer>;

  /**
   * Tells where a path leads: the path of the same thing without symlinks and `..`. It is where that thing
   * is now; others can move it as soon as this is said.
   *
   * @param path the file or directory
   * @param options the encoding of what is returned
   * @returns the path relative to the root; `'.'` for the root itself
   */
  realpath(path: RootPath, options?: AsText): Reply<Async, string>;
  realpath(path: RootPath, options: AsBytes): Reply<Async, Buffer>;
  realpath(path: RootPath, options?: AsText | AsBytes): Reply<Async, string | Buffer>;

  // ---- what is known of a file

  /**
   * Describes a file or directory. Needs no permission on it, and opens nothing.
   *
   * @param path the file or directory
   * @param options `bigint`, `throwIfNoEntry`, `version`, `signal`
   * @returns thirteen numbers, or bigints; times in nanoseconds. `undefined` if nothing is there and
   *   `throwIfNoEntry` is false
   */
  stat(
    path: RootPath,
    options: StatOptions<false, true> & { version: true },
  ): Reply<Async, Stats & Versioned>;
  stat(
    path: RootPath,
    options: StatOptions<true, true> & { bigint: true; version: true },
  ): Reply<Async, Stats<bigint> & Versioned>;
  stat(path: RootPath, options?: StatOptions<false, true> | null): Reply<Async, Stats>;
  stat(path: RootPath, options: StatOptions<true, true> & { bigint: true }): Reply<Async, Stats<bigint>>;
  stat(
    path: RootPath,
    options: StatOptions<false> & { version: true },
  ): Reply<Async, (Stats & Versioned) | undefined>;
  stat(
    path: RootPath,
    options: StatOptions<true> & { bigint: true; version: true },
  ): Reply<Async, (Stats<bigint> & Versioned) | undefined>;
  stat(path: RootPath, options: StatOptions<false>): Reply<Async, Stats | undefined>;
  stat(
    path: RootPath,
    options: StatOptions<true> & { bigint: true },
  ): Reply<Async, Stats<bigint> | undefined>;
  stat(path: RootPath, options?: StatOptions | null): Reply<Async, Stats | Stats<bigint> | undefined>;

  /**
   * As {@link SandboxRoot.stat}, but describes a symlink itself.
   *
   * @param path the name
   * @param options `bigint`, `throwIfNoEntry`, `version`
   */
  lstat(
    path: RootPath,
    options: StatOptions<false, true> & { version: true },
  ): Reply<Async, Stats & Versioned>;
  lstat(
    path: RootPath,
    options: StatOptions<true, true> & { bigint: true; version: true },
  ): Reply<Async, Stats<bigint> & Versioned>;
  lstat(path: RootPath, options?: StatOptions<false, true> | null): Reply<Async, Stats>;
  lstat(path: RootPath, options: StatOptions<true, true> & { bigint: true }): Reply<Async, Stats<bigint>>;
  lstat(
    path: RootPath,
    options: StatOptions<false> & { version: true },
  ): Reply<Async, (Stats & Versioned) | undefined>;
  lstat(
    path: RootPath,
    options: StatOptions<true> & { bigint: true; version: true },
  ): Reply<Async, (Stats<bigint> & Versioned) | undefined>;
  lstat(path: RootPath, options: StatOptions<false>): Reply<Async, Stats | undefined>;
  lstat(
    path: RootPath,
    options: StatOptions<true> & { bigint: true },
  ): Reply<Async, Stats<bigint> | undefined>;
  lstat(path: RootPath, options?: StatOptions | null): Reply<Async, Stats | Stats<bigint> | undefined>;

  /**
   * Describes the file system that something is on: statfs(2), as `fs.statfs`.
   *
   * @param path anything on the file system; `'.'` is the root itself
   * @param options `bigint`
   */
  statfs(path: RootPath, options?: StatFsOptions<false> | null): Reply<Async, StatFs>;
  statfs(path: RootPath, options: StatFsOptions<true> & { bigint: true }): Reply<Async, StatFs<bigint>>;
  statfs(path: RootPath, options?: StatFsOptions | null): Reply<Async, StatFs | StatFs<bigint>>;

  /**
   * Asks whether the process may do something with a file, as access(2) does for the real user.
   *
   * @param path the file or directory
   * @param mode `fs.constants.F_OK` (the default), or a sum of `R_OK`, `W_OK` and `X_OK`
   * @throws {SystemError} `EACCES` or `EROFS` if it may not
   */
  access(path: RootPath, mode?: number | null): Reply<Async, undefined>;

  /**
   * Whether something is at `path`. As with `fs.existsSync`, whatever stands in the way of an answer is a
   * no, a symlink that the root does not follow too.
   *
   * @param path the file or directory
   * @throws {SystemError} `EBADF` once the root is closed, and nothing else
   */
  exists(path: RootPath): Reply<Async, boolean>;

  /**
   * Sets the permission bits. Needs to own the file, not to read it. Works on FIFOs, sockets and devices
   * without opening them.
   *
   * @param path the file or directory
   * @param mode the twelve permission bits; higher bits (a file type) are ignored
   * @throws {SystemError} `EPERM` if it belongs to somebody else
   */
  chmod(path: RootPath, mode: number): Reply<Async, undefined>;

  /**
   * Gives a file to another user and group. Works on FIFOs, sockets and devices without opening them.
   *
   * @param path the file or directory
   * @param uid the user; −1 leaves the one that is there
   * @param gid the group; −1 leaves the one that is there
   * @throws {SystemError} `EPERM` without the privilege
   */
  chown(path: RootPath, uid: number, gid: number): Reply<Async, undefined>;

  /** As {@link SandboxRoot.chown}, but of a symlink itself. */
  lchown(path: RootPath, uid: number, gid: number): Reply<Async, undefined>;

  /**
   * Sets the times of last access and last modification. Needs to own the file, not to read it. Works on
   * FIFOs, sockets and devices without opening them.
   *
   * A number or a bigint is **nanoseconds** since the epoch, negative before it. A bigint is exact; a number of
   * today's size counts in steps of 256 nanoseconds. `Date.now()` is milliseconds: pass `new Date()`. A time that is
   * `null` stays as it is.
   *
   * @param path the file or directory
   * @param atimeNs the time of last access
   * @param mtimeNs the time of last modification
   * @throws {SystemError} `EPERM` if it belongs to somebody else
   */
  utimes(path: RootPath, atimeNs: Time, mtimeNs: Time): Reply<Async, undefined>;

  /** As {@link SandboxRoot.utimes}, but of a symlink itself. */
  lutimes(path: RootPath, atimeNs: Time, mtimeNs: Time): Reply<Async, undefined>;

  // ---- content

  /**
   * Opens a file as `fs.open` does. With `O_PATH` (`0o10000000`: Node has no name for it) it can be anything,
   * and nothing of it can be read.
   *
   * @param path the file, or to read a directory
   * @param flags default `'r'`
   * @param mode the permission bits of a file that is made, less the umask; default `0o666`
   * @returns a descriptor for `fs.read`, `fs.createWriteStream` and the like; the caller closes it. It belongs to the
   *   process: one that a worker opened stays open when the worker ends
   * @throws {SystemError} `ENXIO` for a FIFO, socket or device, which could block; `EISDIR` for a directory
   *   to write; `EEXIST` with `O_EXCL`; `ETXTBSY`; `EMFILE`
   */
  open(path: RootPath, flags?: OpenFlags | null, mode?: number | null): Reply<Async, number>;

  /**
   * Opens a file for reading: {@link SandboxRoot.open} with `'r'`.
   *
   * @param path the file or directory
   * @returns a descriptor; the caller closes it
   * @throws {SystemError} as `open`
   */
  openRead(path: RootPath): Reply<Async, number>;

  /**
   * Opens a file for writing, and for writing alone. What it held stays, and is written over from the
   * start, unless `truncate` or `append` is given.
   *
   * @param path the file
   * @param create whether to make the file if it is missing; default `false`
   * @param truncate whether to empty it first; default `false`
   * @param append whether every write goes to the end; default `false`
   * @param mode the permission bits of a file that is made, less the umask; default `0o666`
   * @returns a descriptor; the caller closes it
   * @throws {SystemError} as `open`
   * @throws {TypeError} `ERR_INVALID_ARG_VALUE` for `truncate` together with `append`
   */
  openWrite(
    path: RootPath,
    create?: boolean | null,
    truncate?: boolean | null,
    append?: boolean | null,
    mode?: number | null,
  ): Reply<Async, number>;

  /**
   * Reads a file. One that says it is empty, as those of `/proc` do, is read to its end. A Buffer of more than 64 KiB
   * from a promise cannot be transferred to another thread; a copy of it can.
   *
   * @param path the file
   * @param options the encoding, the longest content, and `signal`
   * @throws {SystemError} `EISDIR` for a directory; `ENXIO` for a FIFO, socket or device
   * @throws {RangeError} `ERR_FS_FILE_TOO_LARGE` if it is longer than `maxBytes`
   * @throws {Error} `ERR_STRING_TOO_LONG` if it is longer than the longest string and an encoding is given
   */
  readFile(path: RootPath, options?: (ReadFileOptions & { encoding?: null }) | null): Reply<Async, Buffer>;
  readFile(
    path: RootPath,
    options: BufferEncoding | (ReadFileOptions & { encoding: BufferEncoding }),
  ): Reply<Async, string>;
  readFile(path: RootPath, options?: BufferEncoding | ReadFileOptions | null): Reply<Async, string | Buffer>;

  /**
   * Writes a file, in place, or with `atomic` as a new one: then a reader and a crash see the old content
   * or the new, never a part, and neither an error nor a `kill -9` while writing leaves anything behind
   * (but for `.openat2-<random>` after a `kill -9`, where the file system has no `O_TMPFILE`).
   *
   * In place, a symlink at `path` is one on the way. With `atomic` it is replaced itself; a file that is
   * there keeps its nine permission bits unless `mode` is given, and its owner where the process may.
   *
   * A promise takes what gives strings and bytes bit by bit too. It writes 512 KiB at a time, longer strings and views
   * as well: do not change these before it is settled. If the source throws, or the signal is aborted, also while
   * the source is waited for, a file that the call made is removed, and with `atomic` everything stays as it was.
   *
   * @param path the file
   * @param data what to write
   * @param options the encoding of a string, and `mode`, `flag`, `atomic`, `ifMatch`, `flush`, `signal`
   * @throws {SystemError} `ESTALE` if what is there is not the version of `ifMatch`; `EAGAIN` if its lock is
   *   not to be had; `EISDIR` for a directory; `EEXIST` with `'wx'`; in place, `ENXIO` for a FIFO,
   *   socket or device; `ENOSPC`. A file that the call made is removed again
   */
  writeFile(
    path: RootPath,
    data: FileData<Async>,
    options?: BufferEncoding | WriteFileOptions | null,
  ): Reply<Async, undefined>;

  /**
   * Writes at the end of a file, which is made if it is missing.
   *
   * @param path the file
   * @param data what to write
   * @param options the encoding of a string, and `mode`, `flag`, `flush`, `signal`
   * @throws {SystemError} as `writeFile`
   */
  appendFile(
    path: RootPath,
    data: FileData<Async>,
    options?: BufferEncoding | AppendFileOptions | null,
  ): Reply<Async, undefined>;

  /**
   * Sets the length of a file: a longer one is cut, a shorter one is filled with zeros.
   *
   * @param path the file
   * @param len the length in bytes
   * @throws {SystemError} `EISDIR` for a directory; `ENXIO` for a FIFO, socket or device; `EFBIG`
   */
  truncate(path: RootPath, len: number): Reply<Async, undefined>;

  /**
   * Waits until the content of a file, or the names in a directory, have reached the disk.
   *
   * @param path the file or directory
   * @throws {SystemError} `ENXIO` for a FIFO, socket or device
   */
  fsync(path: RootPath): Reply<Async, undefined>;

  /**
   * Copies the content and the nine permission bits of a file, never its setuid, setgid or sticky bit.
   * A file at `dest` is overwritten in place and stays the same inode; a failure while writing leaves it
   * incomplete. A new file is removed again if the copy fails. A file copied onto itself, by whichever
   * of its names, stays as it is. Holes stay holes.
   *
   * @param src the file to copy
   * @param dest the copy
   * @param mode the permission bits that a new `dest` has until the copy is complete, less the umask;
   *   default `0o644`
   * @param options `reflink`, `exclusive`, `to`, `signal`
   * @throws {SystemError} `EISDIR` if either is a directory; `ENXIO` for a FIFO, socket or device; `EPERM`
   *   if `dest` belongs to somebody else; `EEXIST` with `exclusive`; `ENOSPC`
   */
  copyFile(
    src: RootPath,
    dest: RootPath,
    mode?: number | null,
    options?: CopyFileOptions | null,
  ): Reply<Async, undefined>;

  // ---- trees

  /**
   * Lists a directory, in no particular order. Symlinks in it are listed, never entered; so are mount
   * points where the root refuses mounts.
   *
   * @param path the directory
   * @param options the encoding of names, and `withFileTypes`, `recursive`, `signal`
   * @returns names, with `recursive` paths relative to `path`; with `withFileTypes` entries
   * @throws {SystemError} `ENOTDIR` if it is no directory; with `recursive` `ENAMETOOLONG` for a directory in it
   *   whose path no call takes: it is longer than 4,095 bytes
   */
  readdir(
    path: RootPath,
    options?: TextEncoding | ReaddirOptions<false, TextEncoding> | null,
  ): Reply<Async, string[]>;
  readdir(
    path: RootPath,
    options: 'buffer' | (ReaddirOptions<false> & { encoding: 'buffer' }),
  ): Reply<Async, Buffer[]>;
  readdir(
    path: RootPath,
    options: ReaddirOptions<true, TextEncoding> & { withFileTypes: true },
  ): Reply<Async, DirectoryEntry[]>;
  readdir(
    path: RootPath,
    options: ReaddirOptions<true> & { withFileTypes: true; encoding: 'buffer' },
  ): Reply<Async, DirectoryEntry<Buffer>[]>;
  readdir(
    path: RootPath,
    options?: NameEncoding | ReaddirOptions | null,
  ): Reply<Async, string[] | Buffer[] | DirectoryEntry[] | DirectoryEntry<Buffer>[]>;

  /**
   * Removes a name, a symlink itself, or a directory and all that is in it, at any depth.
   *
   * @param path what to remove
   * @param recursive whether to remove a directory and what is in it; default `false`
   * @param force whether nothing at `path`, or no parent of it, is fine; default `false`
   * @param options `signal`, `onProgress`
   * @throws {SystemError} `EISDIR` for a directory without `recursive`; `EBUSY` for a mount point;
   *   `ENOTEMPTY` if others keep filling the tree
   */
  rm(
    path: RootPath,
    recursive?: boolean | null,
    force?: boolean | null,
    options?: RmOptions | null,
  ): Reply<Async, undefined>;

  /**
   * Copies a file, a symlink itself, or a directory and all that is in it, at any depth. Symlinks keep
   * their text, files their holes and their nine permission bits, and files that are one under several
   * names stay one. FIFOs are made anew. Directories that are there keep their permission bits, and what
   * is in them stays. The parent of `dest` has to be there.
   *
   * @param src what to copy
   * @param dest the copy
   * @param options what to do with what is there, and `filter`, `to`, `signal`, `onProgress` …
   * @throws {SystemError} `EISDIR` for a directory without `recursive`; `ENOTDIR` for a directory onto
   *   something else, `EISDIR` for something else onto a directory; `EINVAL` onto or into itself; `ENXIO`
   *   for a socket or device; `EEXIST` as the options say; `ENOSPC`; `ENOENT`, with `entries`, once all else is
   *   copied, if others removed or renamed something in the tree meanwhile
   */
  cp(src: RootPath, dest: RootPath, options?: CpOptions<Async> | null): Reply<Async, undefined>;

  /**
   * Moves a file, a symlink itself, or a directory and all that is in it, also between mounts. There it is
   * copied, with modes, times and, where the process may, owners, to a sibling `.openat2-<random>` of
   * `dest`; one rename puts the copy in place, and then `src` is removed. Whoever looks at `dest` sees
   * nothing or all of it.
   *
   * Two names of one file stay as they are, with `overwrite` too: rename(2) does nothing then.
   *
   * What others put into `src` or change there meanwhile is not removed: then it is `EBUSY`, and either nothing is
   * at `dest` and `src` is as they left it, or all that was copied is at `dest`, and `entries` of the error names
   * what is left of `src`. If others remove or rename `src` before the move has removed it, that is `EBUSY`, too.
   *
   * @param src what to move
   * @param dest where to
   * @param options `overwrite`, `flush`, `to`, `signal`, `onProgress`
   * @throws {SystemError} `EEXIST` if something is at `dest`, unless `overwrite`; `EBUSY` if others changed the
   *   source meanwhile, and for a mount point in it; else as `rename` or `renameNoReplace`, but for `EXDEV`,
   *   and as `cp`
   */
  move(src: RootPath, dest: RootPath, options?: MoveOptions | null): Reply<Async, undefined>;

  /**
   * Opens a directory to list it bit by bit. It is an instance of Node's `fs.Dir`, its entries are Node's `fs.Dirent`.
   *
   * @param path the directory
   * @param options `encoding` of names, `recursive`, `signal`
   * @throws {SystemError} `ENOTDIR` if it is no directory
   */
  opendir(path: RootPath, options?: (OpenDirOptions & Stoppable) | null): Reply<Async, Dir>;

  // ---- roots

  /**
   * Makes a root of a directory beneath this one. Each can be closed without the other.
   *
   * @param path the directory
   * @param options what the new root allows: what is left out is as here, and nothing can be weaker
   * @throws {SystemError} `ENOTDIR` if it is no directory
   * @throws {TypeError} `ERR_INVALID_ARG_VALUE` for a weaker option
   */
  openRoot(path: RootPath, options?: SandboxOptions | null): Reply<Async, SandboxRoot>;

  /**
   * A path of the host to a directory beneath the root, for what takes paths alone: the `cwd` of a child process,
   * `fs.watch`, the root of a worker, a library that is trusted beneath it. It leads to the directory that was found,
   * wherever that is moved, for as long as the result is kept and not closed.
   *
   * @param path the directory
   * @throws {SystemError} `ENOTDIR` if it is no directory
   */
  hostPath(path: RootPath): Reply<Async, HostPath>;

  /**
   * Whether a path of the host leads to this very directory, through the same mount: `false` once something
   * else is there, or nothing.
   *
   * @param hostPath a trusted path, whose symlinks are followed
   */
  isAt(hostPath: RootPath): Reply<Async, boolean>;
}

/**
 * The methods of {@link SandboxRoot} again, each with the same arguments, as promises: the work is done
 * on libuv's thread pool, and the error is the one that the method would throw, arguments included.
 */
export interface SandboxPromises extends Operations<true> {
  /**
   * Opens a file as Node's own `FileHandle`: its size, a range and its content come from one descriptor. It needs
   * `/proc`.
   *
   * @param path the file
   * @param flags default `'r'`
   * @param mode the mode of a new file, less the umask; default `0o666`
   * @throws {SystemError} as `open`; `ENOENT` also where `/proc` is not mounted, and `EACCES` where the mode of a new
   *   file denies what `flags` ask for
   */
  openHandle(path: RootPath, flags?: OpenFlags | null, mode?: number | null): Promise<FileHandle>;

  /**
   * The events of {@link SandboxRoot.watch}, as Node's own async iterator.
   *
   * @param path the directory or file
   * @param options Node's, but for `recursive`
   */
  watch(
    path: RootPath,
    options: WatchOptions & { encoding: 'buffer' },
  ): AsyncIterable<FileChangeInfo<Buffer>>;
  watch(path: RootPath, options?: WatchOptions | BufferEncoding): AsyncIterable<FileChangeInfo<string>>;
}

/**
 * A directory that no operation leaves, whatever other processes rename or link meanwhile.
 *
 * The methods are synchronous; {@link SandboxRoot.promises} has them as promises. An optional argument or
 * option may be left out, `undefined` or `null`; but `to` is a root or left out, and `ifMatch` a version. A key that a
 * method does not know is refused (`ERR_INVALID_ARG_VALUE`), and so is a root in place of options, also one of another
 * copy of the package (`ERR_INVALID_ARG_TYPE`). Accepted and ignored are, as far as `node:fs` has them, `mode` of `cp`,
 * and `maxRetries` and `retryDelay` of `rm`.
 *
 * **Paths** are relative to the root; `'.'` is the root itself. A path that ends in a slash names a
 * directory.
 *
 * **Symlinks** before the last component are refused with `ELOOP`, or followed, as
 * {@link SandboxOptions.symlinks} says. So is one as the last component, but for the methods that say
 * “a symlink itself”: these never follow it, under no policy. Something new is never made behind a
 * symlink that the root does not follow: a symlink there is `EEXIST` or `ELOOP`.
 *
 * Every method can throw, beside what is listed with it:
 * - a {@link SystemError} `EACCES` whose message says that the path is outside of the sandbox: for an
 *   absolute path, for any `..` in a path, even one that would stay inside, and for whatever else the
 *   root's policies do not let through;
 * - a {@link SystemError} `ELOOP`, for a symlink, and `EROFS`, for a change in a `readonly` root;
 * - a {@link SystemError} `EBUSY`, for removing, moving or replacing the root itself;
 * - a {@link SystemError} `EBADF`, once the root is closed;
 * - a {@link SystemError} `ENOENT`, for every change, once the directory of the root was removed;
 * - a {@link SystemError} `ENOENT` (nothing there, or an empty path), `ENOTDIR` (a file where a directory
 *   has to be), `EACCES` (no permission), `ENAMETOOLONG`, `ENOSPC`, `EIO` and what else the file system
 *   says;
 * - a `TypeError`, `ERR_INVALID_ARG_TYPE`, for an argument of the wrong type;
 * - a `TypeError`, `ERR_INVALID_ARG_VALUE`, for a path with a NUL byte or a lone surrogate, and for a word
 *   that is none of those an option takes;
 * - a `RangeError`, `ERR_OUT_OF_RANGE`, for a number that is not an integer in range.
 *
 * Nothing is touched before all arguments hold.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the addon puts every one of them on the class
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

  /** Every method again, with the same arguments, as a promise. */
  get promises(): SandboxPromises;

  /**
   * Lists a tree without holding it in memory, whatever its size: entries come as they are found, a
   * directory before what is in it, and none is entered that is a symlink or, where the root refuses
   * mounts, a mount point. Errors come from the iterator, but for those of the arguments.
   *
   * @param path the directory
   * @param options `filter`, `onError`, `maxDepth`, `maxEntries`, and the encoding of names
   */
  walk(path: RootPath, options?: WalkOptions<TextEncoding, string> | null): Walk;
  walk(path: RootPath, options: WalkOptions<'buffer', Buffer> & { encoding: 'buffer' }): Walk<Buffer>;
  walk(path: RootPath, options?: WalkOptions | null): Walk | Walk<Buffer>;

  /**
   * Node's own `fs.ReadStream` of a file. What cannot be opened is an `'error'` of the stream.
   *
   * @param path the file
   * @param options Node's, or an encoding
   */
  createReadStream(path: RootPath, options?: ReadStreamOptions): ReadStream;

  /**
   * Node's own `fs.WriteStream` to a file. What cannot be opened is an `'error'` of the stream. With `atomic` or
   * `maxBytes` its `fd` is −1: nobody else writes to the file.
   *
   * @param path the file
   * @param options Node's, and `atomic`, `ifMatch` and `maxBytes`; or an encoding
   */
  createWriteStream(path: RootPath, options?: WriteStreamOptions): WriteStream;

  /**
   * Node's own watcher of a directory or a file, by its descriptor: whoever renames what is above it changes nothing. It
   * needs `/proc`.
   *
   * @param path the directory or file
   * @param options Node's, but for `recursive`: Node watches trees by paths (`ERR_METHOD_NOT_IMPLEMENTED`)
   * @param listener of `'change'`
   */
  watch(path: RootPath, listener?: WatchListener<string>): FSWatcher;
  watch(
    path: RootPath,
    options: (WatchOptions & { encoding: 'buffer' }) | 'buffer',
    listener?: WatchListener<Buffer>,
  ): FSWatcher;
  watch(
    path: RootPath,
    options?: WatchOptions | BufferEncoding | null,
    listener?: WatchListener<string>,
  ): FSWatcher;

  /** Which directory this is, whatever its path is by now. */
  get identity(): Identity;

  /**
   * Whether the directory was removed: it is empty then, and every change in it is `ENOENT`. It throws `EBADF` once the
   * root is closed.
   */
  get deleted(): boolean;

  /**
   * Releases the descriptor of the root at once; a call that is running keeps it until its end. Every
   * method afterwards throws `EBADF`. Closing twice is fine. A root that is never closed is released
   * when it is garbage-collected.
   */
  close(): undefined;

  /** The same: `using root = new SandboxRoot(path)`. The first releases of Node 18 do not have the symbol. */
  [Symbol.dispose](): void;

  /** Whether {@link SandboxRoot.close} was called. */
  get closed(): boolean;
}

export interface SandboxRoot extends Operations<false> {}

// biome-ignore lint/complexity/noUselessEmptyExport: without it, what is not exported above would be
export {};
