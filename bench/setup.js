'use strict';
// Fetches what the bench compares with, and a Node that this runs on where the one at hand is too old.
// Without a network the bench runs as well, and says what is missing.

const fs = require('node:fs');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const nodes = require('../nodes');

const MODULES = path.join(__dirname, 'node_modules');
/** What fs-safe needs. */
const OLDEST_NODE = 22;
/** The Node to take where the one at hand is older. */
const node = () => nodes.nodeOf(24);

const isTooOld = Number(process.versions.node.split('.', 1)) < OLDEST_NODE;

const npm = (execPath) => {
  const env = { ...process.env, PATH: `${path.dirname(execPath)}${path.delimiter}${process.env.PATH}` };
  // Not `npm ci`: that asks for the packages of all platforms, whatever the registry has of them.
  const install = [
    'install',
    '--no-save',
    '--no-audit',
    '--no-fund',
    '--no-update-notifier',
    '--loglevel=error',
  ];
  execFileSync('npm', install, { cwd: __dirname, env, stdio: ['ignore', 'ignore', 'inherit'] });
};

if (require.main === module && !nodes.isInstalled(__dirname)) {
  if (isTooOld) nodes.setup();
  try {
    // npm leaves out an optional package, as the binary of fs-safe is, that is not for the Node it runs on.
    npm((isTooOld && node()) || process.execPath);
    fs.writeFileSync(path.join(MODULES, '.done'), '');
  } catch (error) {
    console.error(`The bench goes without what could not be installed: ${error.message}`);
  }
}

module.exports = { isTooOld, node };
