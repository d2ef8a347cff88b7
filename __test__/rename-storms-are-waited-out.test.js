'use strict';
// Where others rename all the time, the kernel cannot always be sure that a path with `..` stayed
// beneath the root, and says EAGAIN. A call that meets this comes to its end all the same.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { once } = require('node:events');
const { Attack } = require('./races/attack');
const { FULL, progress } = require('./sizes');
const { bothWays, memory, plant, sandbox, settled, tempDir } = require('./support');
const { attach, withoutAttaching } = require('./syscalls/strace');
const { SandboxRoot } = require('..');

const CALLS = FULL ? 1_000_000 : 1_200;
/** Milliseconds after which one call has taken too long: it is bounded in time, too. */
const MOST = 2000;

/** Milliseconds for which there is a storm at least: the other process needs time to begin. */
const STORM = 500;

const UPS = { one: 1, ten: 10, fifty: 50 };

/** What the storm exchanges, in a directory that has nothing to do with the root. */
function elsewhere(t) {
  const dir = tempDir(t, memory);
  plant(dir, { a: {}, b: {} });
  return [path.join(dir, 'a'), path.join(dir, 'b')];
}

/** Calls until there were enough of them; tells which errors came, and how long one took at most. */
async function storm(t, calls, call) {
  const seen = { calls: 0, slowest: 0 };
  const done = progress(t.name, calls);
  const { exchanges } = await Attack.during([elsewhere(t)], async () => {
    const end = performance.now() + STORM;
    const isOver = () => seen.calls >= calls && performance.now() > end;
    // A call that fails has been tried for long: some are enough to see it.
    for (let failed = 0; !isOver() && failed < 500; seen.calls++, done()) {
      const began = performance.now();
      const { error } = await settled((async () => call())());
      seen.slowest = Math.max(seen.slowest, performance.now() - began);
      if (error === undefined) continue;
      failed += 1;
      seen[error.code] = (seen[error.code] ?? 0) + 1;
    }
  });
  assert.ok(exchanges > 1000, `there was a storm: ${exchanges}`);
  t.diagnostic(JSON.stringify({ ...seen, exchanges }));
  const { calls: _, slowest, ...errors } = seen;
  assert.deepStrictEqual(errors, {}, `of ${seen.calls} calls`);
  assert.ok(slowest < MOST, `one call took ${slowest} ms`);
}

for (const symlinks of ['beneath', 'in-root']) {
  for (const [words, ups] of Object.entries(UPS)) {
    test(`no call fails with ${words} \`..\` in its path while others rename: '${symlinks}'`, async (t) => {
      const { dir } = sandbox(t, { a: { file: 'content' } }, memory);
      const root = new SandboxRoot(dir, { symlinks });
      const at = `${'a/../'.repeat(ups)}a/file`;
      await storm(t, words === 'fifty' ? CALLS : CALLS / 4, () => root.stat(at));
    });
  }
}

bothWays('reading and writing come to their end while others rename', async (t, of) => {
  const { dir } = sandbox(t, { a: { file: 'content' } }, memory);
  const root = new SandboxRoot(dir, { symlinks: 'beneath' });
  const at = `${'a/../'.repeat(50)}a`;
  await storm(t, FULL ? 50_000 : 400, async () => {
    await of(root).writeFile(`${at}/new`, 'new');
    assert.strictEqual(await of(root).readFile(`${at}/new`, 'utf8'), 'new');
    await of(root).rename(`${at}/new`, `${at}/newer`);
    await of(root).unlink(`${at}/newer`);
  });
});

/** What a thread does that rests. */
const RESTS = /^(clock_nanosleep|nanosleep|futex|ppoll|poll|pselect6|sched_yield)\(/;

test('a call that is turned away rests between its tries, and gives up in time', {
  skip: withoutAttaching(),
}, async (t) => {
  const { dir } = sandbox(t, { a: { file: 'content' } });
  const root = new SandboxRoot(dir, { symlinks: 'beneath' });
  const log = path.join(dir, 'log');
  const strace = await attach(process.pid, log, ['openat2:error=EAGAIN:when=1+']);
  const began = performance.now();
  const { error } = await settled((async () => root.stat('a/../a/file'))());
  const lasted = performance.now() - began;
  strace.kill();
  if (strace.exitCode === null && strace.signalCode === null) await once(strace, 'exit');
  assert.strictEqual(error?.code, 'EAGAIN');
  const lines = fs.readFileSync(log, 'utf8').split('\n');
  const tries = lines.flatMap((line, i) => (line.startsWith('openat2(') ? [i] : []));
  const meanwhile = lines.slice(tries[0], tries.at(-1));
  const rests = meanwhile.filter((line) => RESTS.test(line)).length;
  t.diagnostic(JSON.stringify({ tries: tries.length, rests, lasted }));
  assert.ok(tries.length > 10, `${tries.length} tries`);
  assert.ok(tries.length / rests < 200, `${rests} rests in ${tries.length} tries`);
  assert.ok(rests >= 5, `${rests} rests in ${tries.length} tries`);
  assert.ok(lasted < MOST, `it took ${lasted} ms`);
});
