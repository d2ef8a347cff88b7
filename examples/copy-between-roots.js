'use strict';
// Copies a tree from one root to another, with a progress bar. Ctrl-C stops it. Whoever looks at the copy sees
// nothing or all of it: an abort or a failure leaves nothing, and no symlink leads the copy elsewhere.
//
//   node examples/copy-between-roots.js project directory     copies to directory/project

const path = require('node:path');
const { SandboxRoot } = require('..');

const LEFT_OUT = new Set(['node_modules', '.cache']);

/** Copies `name`, and tells `onProgress` how many entries and bytes are done, of how many entries in `total`. */
async function copyBetweenRoots(from, to, name, { signal, onProgress = () => {} } = {}) {
  let total = 0;
  // Every entry is asked about before the first is copied: so the total is known in time.
  const filter = (src) => {
    const isWanted = !LEFT_OUT.has(path.basename(src));
    if (isWanted) total += 1;
    return isWanted;
  };
  const options = {
    recursive: true,
    atomic: true,
    force: false,
    errorOnExist: true,
    preserveTimestamps: true,
  };
  const report = (progress) => onProgress({ ...progress, total });
  await from.promises.cp(name, name, { ...options, to, filter, signal, onProgress: report });
}

/** One line that says how far it is. */
function bar({ entries, bytes, total }, width = 30) {
  const done = '#'.repeat((entries / total) * width).padEnd(width, '.');
  return `[${done}] ${entries} of ${total} entries, ${(bytes / 1e6).toFixed(1)} MB`;
}

async function main(project, directory) {
  const { dir, base } = path.parse(path.resolve(project));
  const interrupt = new AbortController();
  process.once('SIGINT', () => interrupt.abort());
  const from = new SandboxRoot(dir, { readonly: true });
  const to = new SandboxRoot(directory);
  await copyBetweenRoots(from, to, base, {
    signal: interrupt.signal,
    onProgress: (progress) => process.stdout.write(`\r${bar(progress)}`),
  });
  process.stdout.write('\n');
}

module.exports = { bar, copyBetweenRoots };

if (require.main === module) {
  main(...process.argv.slice(2)).catch((error) => {
    console.error(`\n${error.message}`);
    process.exitCode = 1;
  });
}
