'use strict';
// Watches a directory of a root. `hostPath` keeps the watch on the directory that was found, and what changed is
// looked at through a root of that directory: a symlink in its place, or in it, leads nowhere else.
//
//   node examples/watch.js directory

const fs = require('node:fs');
const { SandboxRoot } = require('..');

/** Gives `{ name, stat }` for each change, until `signal` is aborted; `stat` is `undefined` for what is gone. */
async function* watch(root, directory, { signal } = {}) {
  const watched = root.openRoot(directory);
  let host;
  try {
    host = watched.hostPath('.');
    for await (const { filename } of fs.promises.watch(host.path, { signal })) {
      // Hidden names are nobody's business yet: `move`, and `cp` with `atomic`, make them.
      if (filename === null || filename.startsWith('.')) continue;
      yield { name: filename, stat: watched.lstat(filename, { throwIfNoEntry: false }) };
    }
  } finally {
    host?.close();
    watched.close();
  }
}

module.exports = watch;

async function main(directory) {
  for await (const { name, stat } of watch(new SandboxRoot(directory), '.')) {
    console.log(`${name}: ${stat ? `${stat.size} bytes` : 'gone'}`);
  }
}

if (require.main === module) main(process.argv[2]);
