'use strict';
// The Nodes that tests and the bench run beside the one at hand. `npm run setup:nodes` fetches them; without a
// network there are none.

const fs = require('node:fs');
const path = require('node:path');
const { execFileSync, spawnSync } = require('node:child_process');

const MODULES = path.join(__dirname, 'node_modules');
const DONE = path.join(MODULES, '.done');
const MAJORS = [18, 20, 22, 24, 26];

const fileOf = (major) => path.join(MODULES, `node-${major}-${process.arch}`, 'bin/node');

/** The Node of that major version: the one at hand, or one that was fetched and runs here; else nothing. */
function nodeOf(major) {
  if (process.versions.node.split('.', 1)[0] === `${major}`) return process.execPath;
  const file = fileOf(major);
  return spawnSync(file, ['--version'], { stdio: 'ignore' }).status === 0 ? file : undefined;
}

/** Whether what is installed is what the lockfile says. */
function isDone() {
  const modified = (file) => fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return modified(DONE) > modified(path.join(__dirname, 'package-lock.json'));
}

/** Fetches them. */
function setup() {
  if (isDone()) return;
  const options = ['--no-save', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'];
  try {
    execFileSync('npm', ['install', ...options], { cwd: __dirname, stdio: ['ignore', 'ignore', 'inherit'] });
    fs.writeFileSync(DONE, '');
  } catch (error) {
    console.error(`No other Node could be fetched: ${error.message}`);
  }
}

if (require.main === module) setup();

module.exports = { MAJORS, nodeOf, setup };
