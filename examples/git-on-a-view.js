'use strict';
// Git without a process: isomorphic-git on a view of a root. Whatever is renamed or linked meanwhile, nothing outside is
// read or changed, and nothing in `.git` runs a command. A symlink is committed as a symlink.
//
//   npm install isomorphic-git && node git-on-a-view.js directory message

const { SandboxRoot } = require('..');
const { createFs } = require('../fs');

/** Commits all that has changed, and gives the id of the commit and what is in it. `git` is isomorphic-git. */
async function commitAll(git, root, message, author) {
  const repository = { fs: createFs(root), dir: '/', cache: {} };
  await git.init(repository);
  const files = await git.statusMatrix(repository);
  const changed = files.filter(([, head, workdir]) => head !== workdir);
  for (const [filepath, , workdir] of changed) {
    if (workdir === 0) await git.remove({ ...repository, filepath });
    else await git.add({ ...repository, filepath });
  }
  const oid = await git.commit({ ...repository, message, author });
  return { oid, changed: changed.map(([filepath]) => filepath) };
}

module.exports = commitAll;

async function main(directory, message) {
  const { default: git } = await import('isomorphic-git');
  const author = { name: 'Somebody', email: 'somebody@example.org' };
  console.log(await commitAll(git, new SandboxRoot(directory), message, author));
}

if (require.main === module) main(...process.argv.slice(2));
