// The native binding: see src/node. Its functions take what the scripts have checked, and answer anything else with a
// `TypeError`. An operation that fails gives a negative errno, and `failure` its parts.

/** What stands for a root, for the progress of work, or for a place in a listing. */
export type Handle = { readonly __handle: unique symbol };

type Path = string | Uint8Array;

/** In nanoseconds; `undefined` leaves it as it is. */
type Time = number | bigint | undefined;

/** What a file is described by. */
type Described = [
  root: Handle,
  words: ArrayBuffer,
  path: Path,
  follows: boolean,
  bigint: boolean,
  throws: boolean,
];

/** Each operation has its own. */
// biome-ignore lint/suspicious/noExplicitAny: what a method makes of it has a type
type Answer = any;

/** The operations of `calls`, which return answers, and of `starts`, which return promises of them, or answers. */
export interface Operations {
  openRoot(
    root: Handle,
    path: Path,
    symlinks: number,
    mounts: number,
    hardlinks: number,
    readonly: boolean,
  ): Answer;
  hostPath(root: Handle, path: Path): Answer;
  identity(root: Handle, words: ArrayBuffer): Answer;
  deleted(root: Handle): Answer;
  isAt(root: Handle, hostPath: Path): Answer;

  mkdir(root: Handle, path: Path, recursive: boolean, mode: number): Answer;
  mkfifo(root: Handle, path: Path, mode: number): Answer;
  unlink(root: Handle, path: Path): Answer;
  rmdir(root: Handle, path: Path): Answer;
  remove(root: Handle, path: Path): Answer;
  rename(root: Handle, path: Path, dest: Path, overwrite: boolean, to: Handle | undefined): Answer;
  exchange(root: Handle, a: Path, b: Path): Answer;
  link(root: Handle, path: Path, dest: Path, to: Handle | undefined): Answer;
  symlink(root: Handle, target: Path, path: Path, beneath: boolean): Answer;
  readlink(root: Handle, path: Path, asBuffer: boolean): Answer;
  mkdtemp(root: Handle, prefix: Path, asBuffer: boolean): Answer;

  stat(...args: [...Described, version?: boolean]): Answer;
  statx(...args: Described): Answer;
  statfs(root: Handle, words: ArrayBuffer, path: Path, bigint: boolean): Answer;
  exists(root: Handle, path: Path): Answer;
  access(root: Handle, path: Path, mode: number): Answer;
  chmod(root: Handle, path: Path, mode: number): Answer;
  chown(root: Handle, path: Path, follows: boolean, user: number, group: number): Answer;
  utimes(root: Handle, path: Path, follows: boolean, atimeNs: Time, mtimeNs: Time): Answer;
  realpath(root: Handle, path: Path, asBuffer: boolean): Answer;

  open(root: Handle, path: Path, flags: number, mode: number): Answer;
  /** The number of a descriptor that stays the binding's: `closeLent` closes it, or the end of the environment. */
  openLent(root: Handle, path: Path, flags: number, mode: number): Answer;
  closeLent(root: Handle, fd: number): Answer;
  readFile(root: Handle, path: Path, most: number, asBuffer: boolean, watch: Handle | undefined): Answer;
  writeFile(
    root: Handle,
    path: Path,
    data: string | ArrayBufferView,
    flags: number,
    mode: number | undefined,
    atomic: boolean,
    flush: boolean,
    version: BigUint64Array | undefined,
    watch: Handle | undefined,
  ): Answer;
  openWriter(
    root: Handle,
    path: Path,
    flags: number,
    mode: number | undefined,
    atomic: boolean,
    flush: boolean,
    version: BigUint64Array | undefined,
  ): Answer;
  writeChunk(root: Handle, writer: Handle, data: string | ArrayBufferView, watch: Handle | undefined): Answer;
  finishWriter(root: Handle, writer: Handle, watch: Handle | undefined): Answer;
  abortWriter(root: Handle, writer: Handle): Answer;
  truncate(root: Handle, path: Path, length: number): Answer;
  fsync(root: Handle, path: Path): Answer;
  copyFile(
    root: Handle,
    path: Path,
    dest: Path,
    mode: number,
    exclusive: boolean,
    reflink: number,
    to: Handle | undefined,
    watch: Handle | undefined,
  ): Answer;

  readdir(
    root: Handle,
    path: Path,
    asBuffers: boolean,
    recursive: boolean,
    typed: boolean,
    watch: Handle | undefined,
  ): Answer;
  nextBatch(root: Handle, cursor: Handle, asBuffers: boolean, kept: Uint8Array | undefined): Answer;
  rm(root: Handle, path: Path, recursive: boolean, force: boolean, watch: Handle | undefined): Answer;
  cp(
    root: Handle,
    path: Path,
    dest: Path,
    to: Handle | undefined,
    recursive: boolean,
    existing: number,
    reflink: number,
    keep: number,
    reportVanished: boolean,
    only: Uint8Array | undefined,
    atomic: boolean,
    watch: Handle | undefined,
  ): Answer;
  move(
    root: Handle,
    path: Path,
    dest: Path,
    to: Handle | undefined,
    overwrite: boolean,
    flush: boolean,
    watch: Handle | undefined,
  ): Answer;
}

/** The exports of the native binding. */
export interface Binding {
  calls: Operations;
  starts: Operations;
  /** The parts of the error of the last call that failed. */
  failure(): string;
  /** The text of the kernel's errno. */
  strerror(errno: number): string;

  open(path: Path, symlinks: number, mounts: number, hardlinks: number, readonly: boolean): Handle | number;
  close(root: Handle): void;
  closed(root: Handle): boolean;
  /** The number of its descriptor; −1 once it is closed. */
  descriptor(root: Handle): number;

  cursor(path: Path, maxDepth: number, maxEntries: number, asks: boolean): Handle;
  closeCursor(cursor: Handle): void;

  watch(): Handle;
  stop(watch: Handle): void;
  /** Fills two doubles: how many entries and how many bytes are done. */
  progress(watch: Handle, words: ArrayBuffer): void;

  /** Stops the work of all promises. */
  end(): void;
}
