'use strict';
// Tests that depend on the version of Node run on each one that the package is for.

const test = require('node:test');
const { MAJORS, nodeOf } = require('../nodes');

/** Declares the test `name` for each Node, or those with the versions `majors`: `body(t, execPath, major)`. */
function onEachNode(name, ...rest) {
  const [options, body] = rest.length > 1 ? rest : [{}, ...rest];
  for (const major of options.majors ?? MAJORS) {
    const execPath = nodeOf(major);
    const skip = execPath === undefined && `needs Node ${major}, which \`npm run setup:nodes\` fetches`;
    test(`${name} (Node ${major})`, { skip }, (t) => body(t, execPath, major));
  }
}

module.exports = { onEachNode };
