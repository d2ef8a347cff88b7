// Compiled and never run: a program as a caller writes it. Every line under `@ts-expect-error` has to be
// refused, or the compiler complains.
import {
  type RootPath,
  type SandboxOptions,
  SandboxRoot,
  type Stats,
  type SystemError,
} from '../../index.js';

const root: SandboxRoot = new SandboxRoot('/srv/files');
const byBytes: SandboxRoot = new SandboxRoot(Buffer.from('/srv/files'));
const path: RootPath = 'a/b';
const bytes: RootPath = new Uint8Array([0xff]);

// Every method, with its optional arguments left out, null, undefined and given.
const nothing: undefined[] = [
  root.mkdir(path),
  root.mkdir(path, null, null),
  root.mkdir(path, undefined, undefined),
  root.mkdir(bytes, true, 0o700),
  root.unlink(path),
  root.unlink(Buffer.from(path)),
  root.rmdir(path),
  root.rmdir(bytes),
  root.rename(path, bytes),
  root.rename(bytes, path),
  root.renameNoReplace(path, bytes),
  root.renameNoReplace(bytes, path),
  root.link(path, bytes),
  root.link(bytes, path),
  root.symlink('/anywhere', bytes),
  root.symlink(bytes, path),
  root.chmod(path, 0o644),
  root.chmod(bytes, 0o644),
  root.truncate(path, 0),
  root.truncate(bytes, 2 ** 40),
  root.copyFile(path, bytes),
  root.copyFile(path, bytes, null),
  root.copyFile(path, bytes, undefined),
  root.copyFile(path, bytes, 0o600),
  root.rm(path),
  root.rm(path, null, null),
  root.rm(path, undefined, undefined),
  root.rm(bytes, true, true),
  root.utimes(path, -1, Date.now() * 1e6),
  root.utimes(bytes, 0, 0),
  root.utimes(bytes, -1n, 2n ** 60n),
  root.close(),
  root.lutimes(path, 1, 2n),
  root.chown(path, -1, 0),
  root.lchown(bytes, 1000, -1),
  root.access(path),
  root.access(path, 4),
  root.exchange(path, bytes),
];

const stats: Stats = byBytes.stat(path);
const closed: boolean = root.closed;
const exact: Stats<bigint> = root.stat(path, { bigint: true });
const plain: Stats[] = [root.stat(path, null), root.stat(path, {}), root.stat(path, { bigint: false })];
export const either = (bigint: boolean): number | bigint | undefined => root.stat(path, { bigint })?.mtimeNs;
const perhaps: Stats | Stats<bigint> | undefined = root.lstat(path, { throwIfNoEntry: false });
const itself: Stats<bigint> = root.lstat(path, { bigint: true });
const targets: string[] = [root.readlink(path), root.readlink(path, null), root.readlink(path, 'utf8')];
const target: Buffer = root.readlink(path, { encoding: 'buffer' });
const isThere: boolean = root.exists(path);
const policies: SandboxOptions[] = [
  {},
  { symlinks: 'in-root', mounts: 'reject', hardlinks: 'reject', readonly: true },
];
const strict: SandboxRoot = new SandboxRoot(path, policies[0]);
const later: [Promise<Stats>, Promise<undefined>, Promise<number>, Promise<string>, Promise<boolean>] = [
  root.promises.stat(path),
  root.promises.mkdir(path, true, 0o700),
  root.promises.openWrite(path, true),
  root.promises.readlink(path),
  root.promises.exists(path),
];
// @ts-expect-error a misspelt policy
new SandboxRoot(path, { symlink: 'reject' });
// @ts-expect-error a policy that does not exist
new SandboxRoot(path, { symlinks: 'follow' });
// @ts-expect-error closing is no promise
root.promises.close();
const numbers: Record<keyof Stats, number> = byBytes.stat(bytes);
const fields: Record<keyof Stats, true> = {
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

const descriptors: number[] = [
  root.openRead(path),
  root.openRead(bytes),
  root.openWrite(path),
  root.openWrite(path, null, null, null, null),
  root.openWrite(path, undefined, undefined, undefined, undefined),
  root.openWrite(path, true, true, false, 0o600),
  root.openWrite(bytes, true, false, true),
];

// A failure is told apart as with node:fs.
export function reasonOf(error: SystemError): string {
  const { code, errno, syscall, path, dest, message, stack } = error;
  const known: [string, number, string, string] = [code, errno, syscall, message];
  const maybe: (string | undefined)[] = [path, dest, stack];
  return [...known, ...maybe].join();
}
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
// @ts-expect-error a time is a number of nanoseconds
root.utimes(path, new Date(), new Date());
// @ts-expect-error the path is missing
root.stat();
// @ts-expect-error times are numbers, not dates
const changed: Date = root.stat(path).mtimeNs;
// @ts-expect-error an exact time is no number
const rounded: number = root.stat(path, { bigint: true }).mtimeNs;
// @ts-expect-error whether it is closed is not for the caller to say
root.closed = true;
// @ts-expect-error there is no such field
root.stat(path).birthtimeNs;
// @ts-expect-error what comes back is a descriptor, not text
const text: string = root.openRead(path);
// @ts-expect-error the path is missing
root.openWrite();
// @ts-expect-error flags are booleans, not those of fs.open
root.openWrite(path, 'w');
// @ts-expect-error a mode is a number
root.openWrite(path, true, false, false, '600');
// @ts-expect-error mkdir gives nothing back
const made: string = root.mkdir(path, true);
// @ts-expect-error there is no such method
root.exec(path);

export {
  asNodeSeesIt,
  Counting,
  changed,
  closed,
  descriptors,
  exact,
  fields,
  made,
  nothing,
  numbers,
  plain,
  rounded,
  stats,
  text,
};
export { isThere, itself, later, perhaps, strict, target, targets };
