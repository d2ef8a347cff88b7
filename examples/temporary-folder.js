'use strict';
// Where a demo plays: a temporary folder, which goes away whatever happens.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

// Aborted by Ctrl-C and its kin: the demo ends in order then.
const interrupt = new AbortController();

// Runs `play` in a folder of its own, and ends the process with the exit code that it gives.
function inTemporaryFolder(play) {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.once(signal, () => interrupt.abort(new Error(`interrupted by ${signal}`)));
  }
  makeAndRemove(play).then(
    (code = 0) => {
      process.exitCode = code;
    },
    (error) => {
      console.error(`\n${(error.cause ?? error).message}`);
      process.exitCode = interrupt.signal.aborted ? 130 : 1;
    },
  );
}

async function makeAndRemove(play) {
  const folder = temporaryFolder();
  try {
    return await play(folder);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

// The real path, for whoever compares paths with it.
const temporaryFolder = (parent = os.tmpdir()) =>
  fs.realpathSync(fs.mkdtempSync(path.join(parent, 'openat2-demo-')));

module.exports = { inTemporaryFolder, interrupt, temporaryFolder };
