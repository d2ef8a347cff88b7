'use strict';
// Runners of tests look for handles that stay open, as Jest does with `--detectOpenHandles`: a program that has used
// the package has none.

const assert = require('node:assert');
const { inChild } = require('./child');
const { onEachNode } = require('./other-nodes');
const { sandbox } = require('./support');

/** What such a runner finds after each step. */
async function openHandles(dir) {
  const { createHook } = require('node:async_hooks');
  const open = new Map();
  // As in jest-core: what is no promise, timer or tick, and was not destroyed.
  const ignored = [
    'PROMISE',
    'TIMERWRAP',
    'ELDHISTOGRAM',
    'PerformanceObserver',
    'RANDOMBYTESREQUEST',
    'DNSCHANNEL',
  ];
  ignored.push(
    'ZLIB',
    'SIGNREQUEST',
    'TLSWRAP',
    'TCPWRAP',
    'TickObject',
    'Immediate',
    'Timeout',
    'HTTPINCOMINGMESSAGE',
  );
  const hook = createHook({
    init(id, type, _, resource) {
      if (ignored.includes(type)) return;
      if (typeof resource.hasRef === 'function' && !resource.hasRef()) return;
      open.set(id, type);
    },
    destroy: (id) => open.delete(id),
  }).enable();
  const before = process.getActiveResourcesInfo().sort();
  const found = {};
  const look = async (step) => {
    // As Jest: a thread that has brought its result lets go a moment later.
    await new Promise((resolve) => setTimeout(resolve, 100));
    const active = process.getActiveResourcesInfo().sort();
    found[step] = { open: [...open.values()], active: active.join() === before.join() ? [] : active };
  };
  const root = new SandboxRoot(dir);
  await look('a root');
  root.readFile('file');
  await look('a call');
  const { promises } = root;
  await look('promises');
  await promises.stat('file');
  await promises.readFile('file');
  await promises.readFile('large');
  await promises.copyFile('large', 'copy', 0o644, { reflink: 'never' });
  await promises.stat('missing').catch(() => {});
  await look('promises that were settled');
  const controller = new AbortController();
  const how = { signal: controller.signal, onProgress: () => {} };
  await promises.cp('tree', 'copied', { recursive: true, ...how });
  await promises.readdir('.', { recursive: true, ...how });
  await promises.rm('copied', true, false, how);
  await look('work that was watched');
  const stopped = promises.cp('tree', 'copied', { recursive: true, ...how });
  controller.abort();
  await stopped.catch(() => {});
  await look('work that was stopped');
  for await (const _ of root.walk('.')) break;
  await look('a walk');
  root.close();
  await look('a root that was closed');
  hook.disable();
  return found;
}

onEachNode('a program that has used the package has no open handle', async (t, execPath) => {
  const { dir } = sandbox(t, { file: 'x', large: 'x'.repeat(20 << 20), tree: { a: { b: 'b' } } });
  const found = await inChild(t, openHandles, [dir], { execPath });
  for (const [step, what] of Object.entries(found))
    assert.deepStrictEqual(what, { open: [], active: [] }, step);
});
