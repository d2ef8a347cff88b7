'use strict';
// The process that is killed: it says that it begins, makes one call, and says how long that took.

const fs = require('node:fs');
const { SandboxRoot } = require('./account');

const [from, to, method, ...rest] = JSON.parse(process.argv[2]);
const roots = [from, to].map((dir) => new SandboxRoot(dir));
const args = rest.map((arg) => (arg?.to === null ? { ...arg, to: roots[1] } : arg));
fs.readSync(0, Buffer.alloc(1));
fs.writeSync(1, 'begun\n');
const begun = performance.now();
roots[0][method](...args);
fs.writeSync(1, `done ${performance.now() - begun}\n`);
