import type { SandboxOptions, SandboxRoot } from './index';

/**
 * A `node:fs` that cannot leave its root, whatever other processes rename or link meanwhile: for libraries that take an
 * `fs`.
 *
 * `/` is the root, and the working directory. `..` stops there: by name under `symlinks: 'reject'`, and as the kernel
 * resolves it under `'in-root'`; under `'beneath'` what leads above the root is `EACCES`. Paths may be Buffers and `file:`
 * URLs. Errors show paths as they were passed.
 *
 * It is a plain object with every key of the running Node's `fs` and `fs.promises`. Its functions need no `this`. What it
 * does not support throws `ERR_METHOD_NOT_IMPLEMENTED`: `openAsBlob`, `watchFile`, `unwatchFile`, `Utf8Stream`, and `watch`
 * with `recursive`. Functions that take a descriptor alone are Node's own.
 *
 * It differs from Node here: the content of FIFOs, sockets and devices is `ENXIO`; `cp` copies symlinks as they are, and
 * refuses `dereference`; a recursive `readdir` enters no symlink; a symlink is stored as it is given, and followed as the root's policy says.
 * `readFile` also takes `maxBytes` (of a path, with the flag `'r'`), `writeFile` takes `atomic` and `ifMatch`, and
 * `createWriteStream` takes `atomic`, `ifMatch` and `maxBytes`. Options are own ones alone.
 *
 * @param root the path of a directory, which is trusted, or a root that is open
 * @param options what a root that is opened here allows; not with a root
 * @throws {SystemError} as `new SandboxRoot(root)`
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` for options beside a root
 */
export function createFs(
  root: string | Uint8Array,
  options?: SandboxOptions | null,
): typeof import('node:fs');
export function createFs(root: SandboxRoot): typeof import('node:fs');
