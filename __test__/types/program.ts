// Compiled and never run: a program as a caller writes it. Every line under `@ts-expect-error` has to be
// refused, or the compiler complains.
import fs from 'node:fs';
import {
  type CopyFileOptions,
  type CpOptions,
  type DirectoryEntry,
  type EntryType,
  type HostPath,
  type Identity,
  type NameEncoding,
  type OpenFlags,
  type Progress,
  type RootPath,
  type SandboxOptions,
  type SandboxPromises,
  SandboxRoot,
  type StatFs,
  type Stats,
  type SystemError,
  type Walk,
} from '../../index.js';

// `gives<T>()(value)`: the type of the value is T, neither wider nor narrower, and not `any`.
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
declare function gives<T>(): <V>(value: V, ...isNot: Same<T, V> extends true ? [] : [T]) => void;

const root: SandboxRoot = new SandboxRoot('/srv/files');
const byBytes: SandboxRoot = new SandboxRoot(Buffer.from('/srv/files'));
const path: RootPath = 'a/b';
const bytes: RootPath = new Uint8Array([0xff]);
const { signal } = new AbortController();
const to = new SandboxRoot('/srv/more', { readonly: false });

// What a root allows.
const policies: SandboxOptions[] = [
  {},
  { symlinks: 'in-root', mounts: 'reject', hardlinks: 'reject', readonly: true },
  { symlinks: 'beneath', mounts: undefined },
];
new SandboxRoot(path, policies[0]);
new SandboxRoot(path, null);

// A root that is released at the end of its block.
function scoped(): boolean {
  using root = new SandboxRoot(path);
  return root.deleted;
}

// Every method, with its optional arguments left out, null, undefined and given.
const done: undefined[] = [
  root.mkdir(path),
  root.mkdir(path, null, null),
  root.mkdir(path, undefined, undefined),
  root.mkdir(bytes, true, 0o700),
  root.unlink(path),
  root.unlink(Buffer.from(path)),
  root.rmdir(path),
  root.rmdir(bytes),
  root.remove(path),
  root.remove(bytes),
  root.mkfifo(path),
  root.mkfifo(bytes, null),
  root.mkfifo(bytes, 0o600),
  root.rename(path, bytes),
  root.rename(bytes, path, null),
  root.rename(bytes, path, { to }),
  root.renameNoReplace(path, bytes),
  root.renameNoReplace(bytes, path, { to }),
  root.link(path, bytes),
  root.link(bytes, path, { to }),
  root.exchange(path, bytes),
  root.symlink('/anywhere', bytes),
  root.symlink(bytes, path),
  root.symlink(bytes, path, { beneath: true }),
  root.symlink(bytes, path, null),
  root.chmod(path, 0o644),
  root.chmod(bytes, 0o644),
  root.chown(path, -1, 0),
  root.lchown(bytes, 1000, -1),
  root.utimes(path, -1, Date.now() * 1e6),
  root.utimes(bytes, 0, 0),
  root.utimes(bytes, -1n, 2n ** 60n),
  root.lutimes(path, 1, 2n),
  root.utimes(path, new Date(), null),
  root.lutimes(path, null, new Date(0)),
  root.access(path),
  root.access(path, null),
  root.access(path, fs.constants.R_OK | fs.constants.W_OK),
  root.truncate(path, 0),
  root.truncate(bytes, 2 ** 40),
  root.fsync('.'),
  root.writeFile(path, 'text'),
  root.writeFile(path, 'text', 'latin1'),
  root.writeFile(path, Buffer.alloc(1), null),
  root.writeFile(path, new Float64Array(1), { atomic: true, flush: true, flag: 'wx', mode: 0o600 }),
  root.writeFile(bytes, new DataView(new ArrayBuffer(8)), { encoding: null, flag: fs.constants.O_WRONLY }),
  root.appendFile(path, 'line'),
  root.appendFile(path, 'line', { flush: true, flag: 'ax' }),
  root.copyFile(path, bytes),
  root.copyFile(path, bytes, null),
  root.copyFile(path, bytes, undefined),
  root.copyFile(path, bytes, 0o600),
  root.copyFile(path, bytes, null, { reflink: 'always', exclusive: true, to, signal }),
  root.cp(path, bytes),
  root.cp(path, bytes, {
    recursive: true,
    force: false,
    errorOnExist: true,
    preserveTimestamps: true,
    preserve: ['owner', 'times', 'mode', 'acl', 'xattr'],
    ignoreVanished: true,
    verbatimSymlinks: true,
    reflink: 'never',
    filter: (src: string, dest: string) => src !== dest,
    to,
    signal,
    onProgress: ({ entries, bytes }: Progress) => console.log(entries + bytes),
  }),
  root.move(path, bytes),
  root.cp(path, bytes, { preserve: true, ignoreVanished: null }),
  root.move(path, bytes, { overwrite: true, flush: true, to, signal, onProgress: null }),
  root.rm(path),
  root.rm(path, null, null),
  root.rm(path, undefined, undefined),
  root.rm(bytes, true, true),
  root.rm(bytes, true, null, { signal, onProgress: (progress) => console.log(progress.entries) }),
  root.close(),
];

gives<Stats>()(root.stat(path));
gives<Stats>()(byBytes.stat(bytes, null));
gives<Stats>()(root.stat(path, {}));
gives<Stats>()(root.stat(path, { bigint: false, throwIfNoEntry: true }));
gives<Stats<bigint>>()(root.stat(path, { bigint: true }));
gives<Stats | undefined>()(root.stat(path, { throwIfNoEntry: false }));
gives<Stats<bigint> | undefined>()(root.lstat(path, { bigint: true, throwIfNoEntry: false }));
gives<Stats>()(root.lstat(path));
gives<StatFs>()(root.statfs(path));
gives<StatFs>()(byBytes.statfs(bytes, null));
gives<StatFs>()(root.statfs(path, { bigint: false }));
gives<StatFs<bigint>>()(root.statfs(path, { bigint: true }));
export const blocks = (bigint: boolean): number | bigint => root.statfs(path, { bigint }).blocks;
export const nodes: fs.StatsFs = root.statfs(path);
// @ts-expect-error: it has no such option
root.statfs(path, { throwIfNoEntry: false });
export const either = (bigint: boolean): number | bigint | undefined => root.stat(path, { bigint })?.mtimeNs;
export const fields: Record<keyof Stats, true> = {
  dev: true,
  ino: true,
  mode: true,
  nlink: true,
  uid: true,
  gid: true,
  rdev: true,
  size: true,
  blksize: true,
  blocks: true,
  atimeNs: true,
  mtimeNs: true,
  ctimeNs: true,
};

gives<boolean>()(root.exists(path));
gives<boolean>()(root.isAt('/srv/files'));
gives<boolean>()(root.closed);
gives<Identity>()(root.identity);
gives<bigint>()(root.identity.mountId);
gives<SandboxRoot>()(root.openRoot(path));
gives<HostPath>()(root.hostPath(path));
gives<string>()(root.hostPath(path).path);
gives<SandboxRoot>()(root.openRoot(path, { readonly: true }));

gives<string>()(root.readlink(path));
gives<string>()(root.readlink(path, null));
gives<string>()(root.realpath(path, 'utf8'));
gives<string>()(root.mkdtemp('upload-', { encoding: 'utf-8' }));
gives<Buffer>()(root.readlink(path, 'buffer'));
gives<Buffer>()(root.realpath(path, { encoding: 'buffer' }));
gives<Buffer>()(root.mkdtemp(bytes, 'buffer'));
export const inAny = (encoding: NameEncoding): string | Buffer =>
  root.readlink(path, encoding) || root.realpath(path, { encoding }) || root.mkdtemp(path, encoding);

gives<Buffer>()(root.readFile(path));
gives<Buffer>()(root.readFile(path, null));
gives<Buffer>()(root.readFile(path, { maxBytes: 1e6 }));
gives<string>()(root.readFile(path, 'utf8'));
gives<string>()(root.readFile(path, { encoding: 'base64', maxBytes: null }));
export const readAs = (encoding?: BufferEncoding | null): string | Buffer =>
  root.readFile(path, { encoding });

gives<string[]>()(root.readdir('.'));
gives<string[]>()(root.readdir('.', 'utf8'));
gives<string[]>()(root.readdir('.', { recursive: true, signal }));
gives<Buffer[]>()(root.readdir('.', 'buffer'));
gives<Buffer[]>()(root.readdir('.', { encoding: 'buffer', recursive: true }));
gives<DirectoryEntry[]>()(root.readdir('.', { withFileTypes: true }));
gives<DirectoryEntry<Buffer>[]>()(root.readdir('.', { withFileTypes: true, encoding: 'buffer' }));
export const listed = (withFileTypes: boolean): unknown[] => root.readdir('.', { withFileTypes });
export const symbols: Record<EntryType, string> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  fifo: 'p',
  socket: 's',
  block: 'b',
  char: 'c',
  unknown: '?',
};

export async function all(): Promise<Walk['truncated']> {
  const walk: Walk = root.walk('.', { maxDepth: 3, maxEntries: 1000 });
  for await (const entry of walk) gives<DirectoryEntry>()(entry);
  for await (const { name } of root.walk('.', { encoding: 'buffer' })) gives<Buffer>()(name);
  return walk.truncated;
}

const flags: OpenFlags[] = ['r', 'wx', 'as+', fs.constants.O_RDWR | fs.constants.O_EXCL];
const descriptors: number[] = [
  root.open(path),
  root.open(path, null, null),
  root.open(path, flags[0], 0o600),
  root.openRead(path),
  root.openRead(bytes),
  root.openWrite(path),
  root.openWrite(path, null, null, null, null),
  root.openWrite(path, undefined, undefined, undefined, undefined),
  root.openWrite(path, true, true, false, 0o600),
  root.openWrite(bytes, true, false, true),
];

// The same again, as promises.
const later: SandboxPromises = root.promises;
gives<Promise<undefined>>()(later.mkdir(path, true, 0o700));
gives<Promise<Stats>>()(later.stat(path));
gives<Promise<Stats<bigint> | undefined>>()(later.lstat(path, { bigint: true, throwIfNoEntry: false }));
gives<Promise<StatFs>>()(later.statfs(path));
gives<Promise<StatFs<bigint>>>()(later.statfs(path, { bigint: true }));
gives<Promise<number>>()(later.open(path, 'wx'));
gives<Promise<boolean>>()(later.exists(path));
gives<Promise<Buffer>>()(later.readFile(path));
gives<Promise<string>>()(later.readFile(path, 'utf8'));
gives<Promise<Buffer>>()(later.readlink(path, 'buffer'));
gives<Promise<DirectoryEntry[]>>()(later.readdir('.', { withFileTypes: true, signal }));
gives<Promise<SandboxRoot>>()(later.openRoot(path));
gives<Promise<HostPath>>()(later.hostPath(path));
gives<Promise<undefined>>()(later.cp(path, bytes, { to, filter: async (src) => src !== 'a/.git' }));
gives<Promise<undefined>>()(later.cp(path, bytes, { filter: (src) => src !== 'a/.git' }));
gives<Promise<undefined>>()(later.rm(path, true, true, { signal, onProgress: () => {} }));

// A failure is told apart as with node:fs.
export function reasonOf(error: SystemError): string {
  const { code, errno, syscall, path, dest, message, stack, reason } = error;
  const known: [string, number, string, string] = [code, errno, syscall, message];
  const maybe: (string | undefined)[] = [path, dest, stack, reason];
  return [...known, ...maybe].join();
}
/** What was left, or vanished. */
export const entriesOf = (error: SystemError): string[] => error.entries ?? [];

const asNodeSeesIt: NodeJS.ErrnoException = {} as SystemError;

// A class of one's own, and a method replaced on the instance or on the prototype.
class Counting extends SandboxRoot {
  calls = 0;
  override unlink(path: RootPath): undefined {
    this.calls += 1;
    return super.unlink(path);
  }
}
root.unlink = () => undefined;
SandboxRoot.prototype.openRead = () => 3;

root.rm(path, true, true, { maxRetries: 3, retryDelay: 1 });
root.cp(path, path, { mode: 0, dereference: false });
root.readFile(path, { flag: 'r' });
root.copyFile(path, path, null, { onProgress: ({ bytes }) => bytes });
root.readdir(path, { recursive: true, onProgress: ({ entries }) => entries });

// @ts-expect-error the root is missing
new SandboxRoot();
// @ts-expect-error a root is a path
new SandboxRoot(1);
// @ts-expect-error a class, not a function
SandboxRoot('/srv/files');

// @ts-expect-error the path is missing
root.mkdir();
// @ts-expect-error options are positional
root.mkdir(path, { recursive: true });
// @ts-expect-error a mode is a number
root.mkdir(path, true, '755');
// @ts-expect-error the path is missing
root.unlink();
// @ts-expect-error a URL is no path beneath a root
root.unlink(new URL('file:///a'));
// @ts-expect-error it takes no option
root.rmdir(path, true);
// @ts-expect-error a root is not a path
root.rename(path, bytes, { to: '/srv/more' });
// @ts-expect-error an exchange is within one root
root.exchange(path, bytes, { to });
// @ts-expect-error the new path is missing
root.rename(path);
// @ts-expect-error a path is not a number
root.rename(path, 1);
// @ts-expect-error the new path is missing
root.renameNoReplace(path);
// @ts-expect-error the new path is missing
root.link(path);
// @ts-expect-error the symlink is missing
root.symlink('/anywhere');
// @ts-expect-error a flag is a boolean
root.symlink('/anywhere', path, { beneath: 1 });
// @ts-expect-error a version is a string
root.writeFile(path, 'x', { atomic: true, ifMatch: null });
// @ts-expect-error only a promise takes what comes bit by bit
root.writeFile(path, ['x']);
// @ts-expect-error of numbers nothing is written
root.promises.writeFile(path, [1]);
const maybe: string | undefined = root.stat(path, { version: true, throwIfNoEntry: false })?.version;
const maybeToo: string | undefined = root.lstat(path, {
  bigint: true,
  version: true,
  throwIfNoEntry: false,
})?.version;
void [maybe, maybeToo, root.walk(path, { signal: new AbortController().signal })];
// @ts-expect-error no version was asked for
root.stat(path).version;
root.writeFile(path, 'x', { atomic: true, ifMatch: root.stat(path, { version: true }).version });
root.writeFile(path, 'x', {
  atomic: true,
  ifMatch: root.lstat(path, { bigint: true, version: true }).version,
});
root.promises.writeFile(path, fs.createReadStream('/x'), { atomic: true });
root.promises.appendFile(path, ['x', bytes], { signal: AbortSignal.timeout(1) });
root.cp(path, bytes, { recursive: true, atomic: true });
// @ts-expect-error the mode is missing
root.chmod(path);
// @ts-expect-error the mode is not optional
root.chmod(path, null);
// @ts-expect-error a mode is a number
root.chmod(path, '644');
// @ts-expect-error the length is missing
root.truncate(path);
// @ts-expect-error a length is a number
root.truncate(path, 1n);
// @ts-expect-error the destination is missing
root.copyFile(path);
// @ts-expect-error a mode is a number
root.copyFile(path, bytes, '644');
// @ts-expect-error a flag is a boolean
root.rm(path, 1);
// @ts-expect-error a flag is a boolean
root.rm(path, true, 'force');
// @ts-expect-error the time of modification is missing
root.utimes(path, 0);
// @ts-expect-error a time is no text
root.utimes(path, '2000-01-01', null);
// @ts-expect-error one that is left as it is has to be said so
root.utimes(path, undefined, 1);
// @ts-expect-error a root that is not there is no root
root.rename(path, bytes, { to: undefined });
// @ts-expect-error nor is this
root.cp(path, bytes, { to: null });
// @ts-expect-error an option is misspelt
root.readFile(path, { maxbytes: 1 });
// @ts-expect-error whether it was removed is not for the caller to say
root.deleted = true;
// @ts-expect-error the path is missing
root.stat();
// @ts-expect-error times are numbers, not dates
gives<Date>()(root.stat(path).mtimeNs);
// @ts-expect-error an exact time is no number
gives<number>()(root.stat(path, { bigint: true }).mtimeNs);
// @ts-expect-error there may be nothing
root.stat(path, { throwIfNoEntry: false }).size;
// @ts-expect-error whether it is closed is not for the caller to say
root.closed = true;
// @ts-expect-error there is no such field
root.stat(path).birthtimeNs;
// @ts-expect-error what comes back is a descriptor, not text
gives<string>()(root.openRead(path));
// @ts-expect-error the path is missing
root.openWrite();
// @ts-expect-error flags are booleans, not those of fs.open
root.openWrite(path, 'w');
// @ts-expect-error a mode is a number
root.openWrite(path, true, false, false, '600');
// @ts-expect-error mkdir gives nothing back
gives<string>()(root.mkdir(path, true));
// @ts-expect-error a misspelt policy
new SandboxRoot(path, { symlink: 'reject' });
// @ts-expect-error a policy that does not exist
new SandboxRoot(path, { symlinks: 'follow' });
// @ts-expect-error a policy is never null
root.openRoot(path, { readonly: null });
// @ts-expect-error names come as UTF-8 or as bytes
root.readlink(path, 'latin1');
// @ts-expect-error an encoding that Node does not have
root.readFile(path, 'utf9');
// @ts-expect-error a bound is a number
root.readFile(path, { maxBytes: '1MB' });
// @ts-expect-error flags that Node does not have
root.open(path, 'rw');
// @ts-expect-error the data is missing
root.writeFile(path);
// @ts-expect-error data is text or bytes
root.writeFile(path, { a: 1 });
// @ts-expect-error appending is not atomic
root.appendFile(path, 'line', { atomic: true });
// @ts-expect-error options are named
root.copyFile(path, bytes, null, true);
// @ts-expect-error a misspelt option
const misspelt: CopyFileOptions = { refLink: 'auto' };
// @ts-expect-error a synchronous copy cannot wait for an answer
root.cp(path, bytes, { filter: async () => true });
// @ts-expect-error links are copied as they are
const resolved: CpOptions = { verbatimSymlinks: false };
// @ts-expect-error a list of words
root.cp(path, bytes, { preserve: 'times' });
// @ts-expect-error a misspelt word
root.cp(path, bytes, { preserve: ['time'] });
// @ts-expect-error what is there is `overwrite`, not `force`
root.move(path, bytes, { force: true });
// @ts-expect-error a signal, not its controller
root.rm(path, true, true, { signal: new AbortController() });
// @ts-expect-error an owner is a number
root.chown(path, 'www-data', 0);
// @ts-expect-error a walk is asynchronous
for (const entry of root.walk('.')) console.log(entry);
// @ts-expect-error what cut a walk short is not for the caller to say
root.walk('.').truncated = null;
// @ts-expect-error closing is no promise
root.promises.close();
// @ts-expect-error a walk is no promise
root.promises.walk('.');
// @ts-expect-error a promise is no value
gives<Stats>()(root.promises.stat(path));
// @ts-expect-error there is no such method
root.exec(path);

export { asNodeSeesIt, Counting, descriptors, done, misspelt, resolved, scoped };

// The view is what libraries ask for.
import { createFs } from '../../fs';

const view: typeof import('node:fs') = createFs('/srv/project', { symlinks: 'in-root' });
const text: string = view.readFileSync('/notes/today.txt', 'utf8');
const ofRoot: { promises: typeof import('node:fs/promises') } = createFs(root);
// @ts-expect-error: a root has its options already
createFs(root, { readonly: true });
const stream: import('node:fs').WriteStream = root.createWriteStream('file', { atomic: true, maxBytes: 10 });
const handle: Promise<import('node:fs/promises').FileHandle> = root.promises.openHandle('file', 'r+');
const listing: import('node:fs').Dir = root.opendir('.', { recursive: true });
root.watch('.', (event, name) => console.log(event, name?.toUpperCase()));
async function watched(): Promise<string> {
  for await (const { eventType } of root.promises.watch('.')) return eventType;
  return '';
}
void [view, text, ofRoot, stream, handle, listing, watched];
