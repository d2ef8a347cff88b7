'use strict';
// Extracts a tar archive with tar-fs on a view of a root, into a new directory, which appears when all of it is there.
// The archive is not trusted: entries and bytes are limited, and no name and no link in it leads out.
//
//   npm install tar-fs && zcat archive.tar.gz | node extract-with-tar-fs.js directory

const path = require('node:path');
const { pipeline } = require('node:stream/promises');
const { SandboxRoot } = require('..');
const { createFs } = require('../fs');

/** The parts of a stream: an error comes in place of what would be too much. */
async function* atMost(bytes, stream) {
  for await (const part of stream) {
    bytes -= part.length;
    if (bytes < 0) throw new Error('it has too many bytes');
    yield part;
  }
}

/** Extracts what comes by `stream` to `name` in the root. `tar` is tar-fs. */
async function extract(tar, stream, root, name, { maxEntries = 1e5, maxBytes = 1e9 } = {}) {
  const hidden = await root.promises.mkdtemp('.extract-');
  const into = root.openRoot(hidden, { symlinks: 'reject' });
  // What is too much is not made. Each directory on the way counts, for one long name makes thousands; `/all` does not.
  const isTooMuch = (entry) => {
    maxEntries -= entry.split('/').length - 2;
    return maxEntries < 0;
  };
  // Not to `/`: there tar-fs takes every link for one that leads out.
  const files = tar.extract('/all', { fs: createFs(into), ignore: isTooMuch, chown: false });
  try {
    await into.promises.mkdir('all');
    await pipeline(atMost(maxBytes, stream), files);
    if (maxEntries < 0) throw new Error('it has too many entries');
    await root.promises.renameNoReplace(path.posix.join(hidden, 'all'), name);
  } finally {
    into.close();
    await root.promises.rm(hidden, true, true);
  }
}

module.exports = extract;

async function main(name) {
  const { default: tar } = await import('tar-fs');
  await extract(tar, process.stdin, new SandboxRoot('.'), name);
}

if (require.main === module) main(process.argv[2]);
