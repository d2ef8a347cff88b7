'use strict';
// Tests that depend on the version of Node run on each one that the package is for.

const { execFile } = require('node:child_process');
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

/** Runs a file of tests on the other Nodes, too. */
function onOtherNodes(file) {
  if (process.env.OPENAT2_ON_THIS_NODE) return;
  const env = { ...process.env, OPENAT2_ON_THIS_NODE: '1', NODE_TEST_CONTEXT: undefined };
  const own = Number(process.versions.node.split('.', 1)[0]);
  const majors = MAJORS.filter((major) => major !== own);
  onEachNode('all of it holds on the other Nodes', { majors }, async (_t, execPath) => {
    const { status, stdout } = await ended(execPath, [file], env);
    if (status !== 0) throw new Error(stdout);
  });
}

/** Runs a program to its end. */
function ended(command, args, env) {
  return new Promise((resolve) => {
    execFile(command, args, { env, maxBuffer: 1 << 26 }, (error, stdout, stderr) =>
      resolve({ status: error ? (error.code ?? error.signal) : 0, stdout: stdout + stderr }),
    );
  });
}

module.exports = { onEachNode, onOtherNodes };
