'use strict';
// Packages that take a `node:fs`, unmodified: the tests run them on a view of a root. `npm run setup:clients` fetches
// them; without a network there are none, and their tests are skipped.

const fs = require('node:fs');
const path = require('node:path');
const { execFileSync } = require('node:child_process');

const MODULES = path.join(__dirname, 'node_modules');
const DONE = path.join(MODULES, '.done');

/** Whether what is installed is what the lockfile says. */
function isDone() {
  const modified = (file) => fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return modified(DONE) > modified(path.join(__dirname, 'package-lock.json'));
}

/** Fetches them. None of them needs a script to be installed. */
function setup() {
  if (isDone()) return;
  const options = ['--no-save', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'];
  try {
    execFileSync('npm', ['install', '--ignore-scripts', ...options], {
      cwd: __dirname,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    fs.writeFileSync(DONE, '');
  } catch (error) {
    console.error(`No packages to try the view with could be fetched: ${error.message}`);
  }
}

/** The module of one: many are ES modules alone. */
const load = (name) => import(name);

if (require.main === module) setup();

module.exports = { MODULES, isDone, load, setup };
