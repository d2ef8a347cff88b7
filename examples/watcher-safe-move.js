'use strict';
// Hands a project to a program that watches a directory, across file systems, so that the watcher never
// sees half of it. A rename cannot cross file systems, and a copy is seen as soon as it begins; `move`
// copies to a hidden sibling, and one rename shows it.
//
//   node examples/watcher-safe-move.js

const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('..');
const { inTemporaryFolder, interrupt, temporaryFolder } = require('./temporary-folder.js');

const FILES = 500;

// Watches `directory` while `work` is done, and tells what there was to see of `name` whenever something
// happened to it: how many files.
async function seenWhile(directory, name, work) {
  const root = new SandboxRoot(directory, { readonly: true });
  const seen = [];
  const watcher = fs.watch(directory);
  const shown = new Promise((resolve, reject) => {
    watcher.on('error', reject);
    watcher.on('change', (_, changed) => {
      // The usual agreement: names that begin with a dot are nobody's business yet.
      if (changed.startsWith('.')) return;
      seen.push(root.exists(changed) ? root.readdir(changed).length : 0);
      if (changed === name) resolve();
    });
  });
  try {
    await Promise.all([work(), shown]);
  } finally {
    watcher.close();
    root.close();
  }
  return seen;
}

async function demo(inbox) {
  // Memory, where there is such a place: another file system than the inbox.
  const elsewhere = temporaryFolder(fs.existsSync('/dev/shm') ? '/dev/shm' : undefined);
  try {
    const from = new SandboxRoot(elsewhere);
    const to = new SandboxRoot(inbox);
    const across = from.identity.dev !== to.identity.dev;
    console.log(`${FILES} files, ${across ? 'from one file system to another' : 'within one file system'}\n`);

    for (const name of ['copied', 'moved']) plant(from, name);
    const copied = await seenWhile(inbox, 'copied', () =>
      fs.promises.cp(path.join(elsewhere, 'copied'), path.join(inbox, 'copied'), { recursive: true }),
    );
    console.log(`fs.promises.cp:      the watcher was woken, and saw ${copied.join(', ')} of ${FILES} files`);
    const moved = await seenWhile(inbox, 'moved', () =>
      from.promises.move('moved', 'moved', { to, signal: interrupt.signal }),
    );
    console.log(`root.promises.move:  the watcher was woken, and saw ${moved.join(', ')} of ${FILES} files`);
    console.log(`\nLeft behind: ${from.readdir('.').join(', ')}`);
    console.log(`There now:   ${to.readdir('.').sort().join(', ')}`);
  } finally {
    fs.rmSync(elsewhere, { recursive: true });
  }
}

function plant(root, name) {
  root.mkdir(name);
  for (let file = 0; file < FILES; file++) root.writeFile(`${name}/file-${file}.txt`, 'some text\n');
}

inTemporaryFolder(demo);
