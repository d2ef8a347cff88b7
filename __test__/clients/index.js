'use strict';
// Packages that take a `node:fs`, unmodified: the tests run them on a view of a root. `npm run setup:clients` fetches
// them; without a network there are none, and their tests are skipped.

const path = require('node:path');
const { install, isInstalled } = require('../../nodes');

const MODULES = path.join(__dirname, 'node_modules');

const isDone = () => isInstalled(__dirname);

/** Fetches them. None of them needs a script to be installed. */
const setup = () => install(__dirname, '--ignore-scripts');

/** The module of one: many are ES modules alone. */
const load = (name) => import(name);

if (require.main === module) setup();

module.exports = { MODULES, isDone, load, setup };
