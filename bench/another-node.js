'use strict';
// node:fs of another Node, in a process of its own that waits to be told what to do and how long it took.

const fs = require('node:fs');
const { once } = require('node:events');
const { execFileSync, fork } = require('node:child_process');
const { node } = require('./setup');

/** The other Nodes at hand: how to start them, by their major version. */
function otherNodes() {
  const found = {};
  for (const file of ['node', node()]) {
    try {
      const [major] = execFileSync(file, ['-p', 'process.versions.node'], { encoding: 'utf8' }).split('.');
      if (major !== process.versions.node.split('.')[0]) found[major] ??= file;
    } catch {}
  }
  return found;
}

/** Starts it, and gives back what calls `fs[name](...args)` there and tells the nanoseconds. */
function start(execPath) {
  const child = fork(__filename, { execPath, execArgv: ['--expose-gc'] });
  child.unref();
  child.channel.unref();
  return async (name, ...args) => {
    child.channel.ref();
    child.send({ name, args });
    const [took] = await once(child, 'message');
    child.channel.unref();
    return took;
  };
}

if (require.main === module) {
  process.on('message', ({ name, args }) => {
    global.gc();
    const start = process.hrtime.bigint();
    fs[name](...args);
    process.send(Number(process.hrtime.bigint() - start));
  });
}

module.exports = { otherNodes, start };
