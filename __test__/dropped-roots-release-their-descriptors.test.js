'use strict';
// Roots that nobody closes: the engine collects them, and with them their descriptors, before these run out. Nobody
// calls the collector; each root is made in a turn of the event loop of its own.

const assert = require('node:assert');
const { inChild } = require('./child');
const { onEachNode } = require('./other-nodes');
const { FULL } = require('./sizes');
const { tempDir } = require('./support');

/** Makes and drops roots. Gives back how many descriptors were open at the most. */
async function drop(dir, total, use, heap) {
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const fill = (list, count) => {
    for (let i = 0; i < count; i++) list[i] = { of: [i], i };
  };
  // An engine that has had much to do collects its young objects later, and its old ones take long to mark.
  const kept = [];
  if (heap !== 'fresh') for (let i = 0; i < 60; i++) fill([], 20_000);
  if (heap === 'large') fill(kept, 3_000_000);
  const uses = {
    nothing: () => {},
    failure: (root) => {
      try {
        root.writeFile('missing/x', 'x');
      } catch (error) {
        if (error.code !== 'ENOENT') throw error;
      }
    },
    promises: (root) => root.promises.stat('.'),
    openRoot: (root) => root.openRoot('.').stat('.'),
    promisesOfOpenRoot: async (root) => (await root.promises.openRoot('.')).promises.stat('.'),
    walk: (root) => root.walk('.').next(),
    identity: (root) => root.identity,
  };
  let most = 0;
  for (let i = 0; i < total; i++) {
    // What is awaited must not keep the root.
    await uses[use](new SandboxRoot(dir));
    await turn();
    if (i % 10 === 0) most = Math.max(most, fs.readdirSync('/proc/self/fd').length);
  }
  return [most, kept.length];
}

onEachNode('10,000 roots that are dropped hold hundreds of descriptors', async (t, execPath) => {
  const limits = { n: 20_000 };
  const [most] = await inChild(t, drop, [tempDir(t), 10_000, 'nothing', 'fresh'], { execPath, limits });
  t.diagnostic(`${most} descriptors at the most`);
  assert.ok(most < 1000, `${most} descriptors`);
});

const CASES = [
  ['failure', 'fresh'],
  ['promises', 'fresh'],
  ['failure', 'grown'],
  ['promises', 'grown'],
];
const MORE = ['openRoot', 'promisesOfOpenRoot', 'walk', 'identity'].map((use) => [use, 'grown']);
if (FULL) CASES.push(...MORE, ['failure', 'large']);

for (const [use, heap] of CASES) {
  const name = `6,000 roots that are dropped after ${use}, with a ${heap} heap, do with 1,024 descriptors`;
  onEachNode(name, async (t, execPath) => {
    const options = { execPath, limits: { n: 1024 }, timeout: 300_000 };
    const [most] = await inChild(t, drop, [tempDir(t), 6000, use, heap], options);
    t.diagnostic(`${most} descriptors at the most`);
    assert.ok(most < 1024, `${most} descriptors`);
  });
}
