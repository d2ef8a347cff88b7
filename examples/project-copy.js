'use strict';
// Copies a project from one root to another, with a progress bar. Ctrl-C stops it, and leaves nothing.
//
//   node examples/project-copy.js                     the demo: one copy to its end, and one that is stopped
//   node examples/project-copy.js project directory   copies, to directory/project
//
// The copy is made in a temporary directory next to its place, and put there by one rename: whoever
// looks at the place sees no project or all of it. No symlink of the project leads the copy elsewhere,
// whatever is done to either tree meanwhile.

const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('..');
const { inTemporaryFolder, interrupt } = require('./temporary-folder.js');

// What is not worth a copy.
const LEFT_OUT = new Set(['node_modules', '.cache']);

// Copies `name` from one root to the other, under the same name.
async function copyProject(from, to, name, { signal, onProgress }) {
  const temporary = await to.promises.mkdtemp('.copy-');
  const copy = `${temporary}/${name}`;
  let total = 0;
  try {
    await from.promises.cp(name, copy, {
      to,
      recursive: true,
      preserveTimestamps: true,
      // Asked about every entry before the first is copied: so the total is known in time.
      filter: (src) => {
        const wanted = !LEFT_OUT.has(path.basename(src));
        if (wanted) total += 1;
        return wanted;
      },
      onProgress: (progress) => onProgress({ ...progress, total }),
      signal,
    });
    await to.promises.renameNoReplace(copy, name);
  } finally {
    await to.promises.rm(temporary, true, true);
  }
}

const WIDTH = 30;

// One line, kept up to date on a terminal; the last state of it elsewhere.
class ProgressBar {
  line = '';

  show = ({ entries, bytes, total }) => {
    const done = '#'.repeat((entries / total) * WIDTH).padEnd(WIDTH, '.');
    this.line = `[${done}] ${entries} of ${total} entries, ${(bytes / 1e6).toFixed(1)} MB`;
    if (process.stdout.isTTY) process.stdout.write(`\r${this.line}\x1b[K`);
  };

  end() {
    process.stdout.write(process.stdout.isTTY ? '\n' : `${this.line}\n`);
  }
}

async function copyWithBar(from, to, name, { signal, onProgress = () => {} }) {
  const bar = new ProgressBar();
  try {
    await copyProject(from, to, name, {
      signal,
      onProgress: (progress) => {
        bar.show(progress);
        onProgress();
      },
    });
  } finally {
    bar.end();
  }
}

async function main(project, directory) {
  const { dir, base } = path.parse(path.resolve(project));
  const from = new SandboxRoot(dir, { readonly: true });
  const to = new SandboxRoot(directory);
  const controller = new AbortController();
  process.once('SIGINT', () => controller.abort());
  try {
    await copyWithBar(from, to, base, controller);
  } catch (error) {
    console.error(error.message);
    process.exitCode = controller.signal.aborted ? 130 : 1;
  }
}

async function demo(folder) {
  plant(path.join(folder, 'alice/project'));
  fs.mkdirSync(path.join(folder, 'bob'));
  fs.mkdirSync(path.join(folder, 'carol'));
  const [alice, bob, carol] = ['alice', 'bob', 'carol'].map(
    (name) => new SandboxRoot(path.join(folder, name)),
  );

  console.log('A copy for Bob:');
  await copyWithBar(alice, bob, 'project', interrupt);
  console.log(`Bob has ${bob.readdir('.', { recursive: true }).length} entries.`);
  console.log(`His link still says ${bob.readlink('project/latest')}.`);
  console.log(`His file with a hole takes ${bob.stat('project/disk.img').blocks * 512} bytes.\n`);

  console.log('A copy for Carol, stopped as by Ctrl-C:');
  const controller = new AbortController();
  const { signal } = controller;
  const onProgress = () => controller.abort();
  try {
    await copyWithBar(alice, carol, 'project', { signal, onProgress });
    console.log('It was done before it could be stopped.');
  } catch (error) {
    if (error.name !== 'AbortError') throw error;
    console.log(`${error.message}. Carol has ${carol.readdir('.').length} entries.`);
  }
}

// A project of a few thousand files.
function plant(project) {
  for (let folder = 0; folder < 60; folder++) {
    const at = path.join(project, `src/part-${folder}`);
    fs.mkdirSync(at, { recursive: true });
    for (let file = 0; file < 50; file++)
      fs.writeFileSync(path.join(at, `file-${file}.txt`), 'x'.repeat(8000));
  }
  fs.mkdirSync(path.join(project, 'node_modules/left-out'), { recursive: true });
  fs.symlinkSync('src/part-59', path.join(project, 'latest'));
  fs.writeFileSync(path.join(project, 'disk.img'), '');
  fs.truncateSync(path.join(project, 'disk.img'), 1e9);
}

const [project, directory] = process.argv.slice(2);
if (directory) main(project, directory);
else inTemporaryFolder(demo);
