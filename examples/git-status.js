'use strict';
// The status of a Git repository in a root. Git starts in the directory that was found, gets its `.git` as an open
// descriptor, and searches no other: neither a rename nor a link leads it elsewhere. But it obeys the configuration in
// `.git`, where a filter is a command: whoever can write there can run commands as you.
//
//   node examples/git-status.js root directory

const fs = require('node:fs');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { text } = require('node:stream/consumers');
const { SandboxRoot } = require('..');

// What could run a command or is slow, and is not needed.
const SAFE = ['-c', 'core.fsmonitor=false', '-c', 'core.hooksPath=/dev/null', '--no-optional-locks'];
const STATUS = ['status', '--porcelain=v1', '-z', '--no-renames', '--ignore-submodules=all'];

/** Gives `{ state, path }` for each file that is not as it was committed, with the two letters of `git status -s`. */
async function gitStatus(root, directory) {
  const repository = await root.promises.openRoot(directory);
  let there;
  let fd;
  try {
    there = repository.hostPath('.');
    // The slash: a directory, and not the file that names one elsewhere.
    fd = await repository.promises.openRead('.git/');
    // Git itself does not ask when GIT_DIR names its directory.
    if (fs.fstatSync(fd).uid !== process.geteuid())
      throw new Error('the repository belongs to somebody else');
    const { PATH, HOME } = process.env;
    const git = spawn('git', [...SAFE, ...STATUS], {
      cwd: there.path,
      env: { PATH, HOME, GIT_DIR: '/proc/self/fd/3', GIT_WORK_TREE: '.' },
      stdio: ['ignore', 'pipe', 'pipe', fd],
    });
    const [said, complaints, [status]] = await Promise.all([
      text(git.stdout),
      text(git.stderr),
      once(git, 'close'),
    ]);
    if (status !== 0) throw new Error(complaints.trim() || `git ended with ${status}`);
    return Array.from(said.matchAll(/(..) ([^\0]+)\0/g), ([, state, path]) => ({ state, path }));
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
    there?.close();
    repository.close();
  }
}

module.exports = gitStatus;

async function main(root, directory) {
  for (const { state, path } of await gitStatus(new SandboxRoot(root), directory)) console.log(state, path);
}

if (require.main === module) main(...process.argv.slice(2));
