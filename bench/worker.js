'use strict';
// One of several threads that make the same calls at the same time.

const fs = require('node:fs');
const { parentPort, workerData } = require('node:worker_threads');

const { build, base, name } = workerData;
const root = new (require(build).SandboxRoot)(base);

const WORK = { ours: () => root.stat(name), fs: () => fs.statSync(`${base}/${name}`) };

parentPort.on('message', ({ kind, n }) => {
  const work = WORK[kind];
  const begin = process.hrtime.bigint();
  for (let i = 0; i < n; i += 1) work();
  parentPort.postMessage([Number(begin), Number(process.hrtime.bigint())]);
});
