'use strict';
// Times one race-safe stat, exported in several ways, in alternating rounds of one process.
// Prints the nanoseconds above the floor (the same system calls, no Node) and the ratio to it.
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const vm = require('node:vm');

const CALLS = 20_000;
const ROUNDS = 31;

const addon = { exports: {} };
process.dlopen(addon, path.resolve(__dirname, '../../target/release/libcall_cost.so'));
const { Sandbox, floor, core, openRoot, share } = addon.exports;

const base = fs.existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir();
const root = fs.mkdtempSync(path.join(base, 'call-cost-'));
fs.mkdirSync(path.join(root, 'a/b'), { recursive: true });
fs.writeFileSync(path.join(root, 'a/b/c'), '');

const sandbox = new Sandbox(root);
// The object is made as the addon makes it.
const { stats } = vm.runInThisContext(
  fs.readFileSync(path.join(__dirname, '../../src/node/make.js'), 'utf8'),
);
share(stats.shared.subarray(1));
const { numbered } = Sandbox.prototype;
class Numbered {
  #number = openRoot(root);
  nothing(at) {
    numbered(this.#number, at);
  }
  object(at) {
    numbered(this.#number, at);
    return stats();
  }
}
const ours = new Numbered();
const absolute = path.join(root, 'a/b/c');
const loop = (call) => () => {
  for (let i = 0; i < CALLS; i++) call();
};
const ways = {
  'floor: the system calls': () => floor(root, 'a/b', 'c', CALLS),
  'core: the operation in Rust': () => core(root, 'a/b/c', CALLS),
  'fs.statSync': loop(() => fs.statSync(absolute)),
  '#[napi] &self': loop(() => sandbox.napiSelf('a/b/c')),
  closure: loop(() => sandbox.closure('a/b/c')),
  'raw callback': loop(() => sandbox.raw('a/b/c')),
  'raw callback, type tag checked': loop(() => sandbox.rawTagged('a/b/c')),
  'a number in a private field': loop(() => ours.nothing('a/b/c')),
  'the same, object made by its method': loop(() => ours.object('a/b/c')),
  '#[napi] &self, napi(object)': loop(() => sandbox.napiSelfObject('a/b/c')),
  'closure, 13 named fields set': loop(() => sandbox.closureObject('a/b/c')),
  'closure, object made by a JS function': loop(() => sandbox.closureMade('a/b/c')),
  'closure that does nothing': loop(() => sandbox.closureNothing('a/b/c')),
  'raw callback that does nothing': loop(() => sandbox.rawNothing('a/b/c')),
};

const times = Object.fromEntries(Object.keys(ways).map((name) => [name, []]));
try {
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, run] of Object.entries(ways)) {
      const start = process.hrtime.bigint();
      run();
      times[name].push(Number(process.hrtime.bigint() - start) / CALLS);
    }
  }
} finally {
  fs.rmSync(root, { recursive: true });
}

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const [first] = Object.values(times);
const bottom = median([...first]);
for (const [name, values] of Object.entries(times)) {
  const ratio = median(values.map((value, i) => value / first[i]));
  console.log(
    `${name.padEnd(40)} ${(median(values) - bottom).toFixed(0).padStart(6)} ns above the floor ${ratio.toFixed(2).padStart(7)}x`,
  );
}
