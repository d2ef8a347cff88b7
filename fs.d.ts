import type { SandboxOptions, SandboxRoot } from './index';

/**
 * A `node:fs` whose `/` is a root.
 *
 * @param root the directory, or a root that is open
 * @param options what a root that is opened here allows
 */
export function createFs(
  root: string | Uint8Array | SandboxRoot,
  options?: SandboxOptions | null,
): typeof import('node:fs');
