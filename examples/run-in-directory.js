'use strict';
// Runs a program in a directory of a root. The child starts in the directory that was found, whatever is renamed or
// linked meanwhile. That is where it starts, and no more: it can go anywhere from there.
//
//   node examples/run-in-directory.js root directory program [argument …]

const { execFile } = require('node:child_process');
const { promisify } = require('node:util');
const { SandboxRoot } = require('..');

/** Gives `{ stdout, stderr }`; what fails has these and the exit code in its error, as with `execFile`. */
async function runInDirectory(root, directory, program, args = [], options = {}) {
  const there = await root.promises.hostPath(directory);
  try {
    // Shells and others believe the variable that says where they are.
    const env = { ...(options.env ?? process.env), PWD: undefined };
    // Without a shell no argument becomes a command.
    return await promisify(execFile)(program, args, { ...options, env, shell: false, cwd: there.path });
  } finally {
    there.close();
  }
}

module.exports = runInDirectory;

async function main(root, directory, program, ...args) {
  const { stdout } = await runInDirectory(new SandboxRoot(root), directory, program, args);
  process.stdout.write(stdout);
}

if (require.main === module) main(...process.argv.slice(2));
