'use strict';
// The Nodes that tests and the bench run beside the one at hand. `npm run setup:nodes` fetches them; without a
// network there are none.

const fs = require('node:fs');
const path = require('node:path');
const { execFileSync, spawnSync } = require('node:child_process');

const MODULES = path.join(__dirname, 'node_modules');
const MAJORS = [18, 20, 22, 24, 26];

const fileOf = (major) => path.join(MODULES, `node-${major}-${process.arch}`, 'bin/node');

/** The Node of that major version: the one at hand, or one that was fetched and runs here; else nothing. */
function nodeOf(major) {
  if (process.versions.node.split('.', 1)[0] === `${major}`) return process.execPath;
  const file = fileOf(major);
  return spawnSync(file, ['--version'], { stdio: 'ignore' }).status === 0 ? file : undefined;
}

const modified = (file) => fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
const doneIn = (folder) => path.join(folder, 'node_modules/.done');

/** Whether what is installed in a folder is what its lockfile says. */
const isInstalled = (folder) => modified(doneIn(folder)) > modified(path.join(folder, 'package-lock.json'));

/** Fetches what a folder's `package.json` names. Without a network it says so, and goes on. */
function install(folder, ...more) {
  if (isInstalled(folder)) return;
  const options = ['--no-save', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'];
  try {
    const stdio = ['ignore', 'ignore', 'inherit'];
    execFileSync('npm', ['install', ...more, ...options], { cwd: folder, stdio });
    fs.writeFileSync(doneIn(folder), '');
  } catch (error) {
    console.error(`What ${path.relative('.', folder)} names could not be fetched: ${error.message}`);
  }
}

/** Fetches the Nodes. */
const setup = () => install(__dirname);

if (require.main === module) setup();

module.exports = { MAJORS, install, isInstalled, nodeOf, setup };
