'use strict';
// Long work: a signal stops it between two entries, progress is told now and then, the event loop goes on
// meanwhile, and neither close() nor the end of the process waits for it.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { getEventListeners } = require('node:events');
const { Worker } = require('node:worker_threads');
const { SandboxRoot } = require('..');
const { start } = require('./child');
const { FULL } = require('./sizes');
const { bothWays, memory, outcome, plant, sandbox, settled, snapshot, tempDir } = require('./support');

const MiB = 2 ** 20;
const RECURSIVE = { recursive: true };

/** A root where many entries are made quickly. */
function bigSandbox(t) {
  const dir = tempDir(t, memory);
  return { dir, root: new SandboxRoot(dir), at: (...names) => path.join(dir, ...names) };
}

/** Makes in `dir` a tree of `files` empty files and a directory for each hundred of them. */
function grow(dir, files) {
  fs.mkdirSync(dir);
  for (let i = 0; i < files; i++) {
    if (i % 100 === 0) fs.mkdirSync(`${dir}/${i / 100}`);
    fs.closeSync(fs.openSync(`${dir}/${Math.floor(i / 100)}/${i}`, 'w'));
  }
}

/** Whether `error` is what Node has for work that `signal` stopped. */
function isAbortOf(signal, error) {
  assert.deepStrictEqual(
    [error.name, error.message, error.code],
    ['AbortError', 'The operation was aborted', 'ABORT_ERR'],
  );
  assert.strictEqual(error.cause, signal.reason);
  return true;
}

const entriesIn = (dir) => fs.readdirSync(dir, RECURSIVE).length;

/** Each method that takes a signal, as a call on a sandbox with a tree and a file. */
const STOPPABLE = {
  rm: (of, options) => of.rm('tree', true, false, options),
  cp: (of, options) => of.cp('tree', 'new', { ...RECURSIVE, ...options }),
  copyFile: (of, options) => of.copyFile('file', 'new', null, options),
  move: (of, options) => of.move('tree', 'new', options),
  readdir: (of, options) => of.readdir('tree', { ...RECURSIVE, ...options }),
};
/** What can be told of an error by looking at it: all but where it comes from. */
const looks = (error) => ({
  text: String(error),
  stack: error.stack.split('\n')[0],
  class: error.constructor.name,
  properties: { ...Object.getOwnPropertyDescriptors(error), stack: null },
});
const TREE = { file: 'content', tree: { a: { b: 'b' }, c: 'c' } };

for (const [method, call] of Object.entries(STOPPABLE)) {
  bothWays(
    `${method} with a signal that is aborted already touches nothing, and fails as node:fs does`,
    async (t, of) => {
      const { dir, root, at } = sandbox(t, TREE);
      const before = snapshot(dir);
      for (const reason of [undefined, new Error('mine'), 'a string', null, 0]) {
        const controller = new AbortController();
        controller.abort(reason);
        const { signal } = controller;
        const thrown = await call(of(root), { signal }).then(
          () => assert.fail('it was not refused'),
          (error) => error,
        );
        isAbortOf(signal, thrown);
        const nodes = await fs.promises.readFile(at('file'), { signal }).catch((error) => error);
        assert.deepStrictEqual(looks(thrown), looks(nodes));
        assert.deepStrictEqual(getEventListeners(signal, 'abort'), []);
      }
      assert.deepStrictEqual(snapshot(dir), before);
    },
  );

  bothWays(
    `${method} with a signal that is not aborted works, and leaves it without listeners`,
    async (t, of) => {
      const controller = new AbortController();
      const { signal } = controller;
      for (let i = 0; i < 5; i++) await call(of(sandbox(t, TREE).root), { signal });
      for (const none of [undefined, null]) await call(of(sandbox(t, TREE).root), { signal: none });
      // One that fails lets go of it too.
      await settled(call(of(sandbox(t, {}).root), { signal }));
      assert.deepStrictEqual(getEventListeners(signal, 'abort'), []);
      // Nor does it matter any more.
      controller.abort();
    },
  );

  bothWays(`${method} is refused what is no signal`, async (t, of) => {
    const { dir, root } = sandbox(t, TREE);
    const before = snapshot(dir);
    for (const signal of ['x', 7, true, {}, [], () => {}, { aborted: 'no' }, new AbortController()]) {
      const { error } = await settled(call(of(root), { signal }));
      assert.deepStrictEqual(
        [error?.name, error?.code],
        ['TypeError', 'ERR_INVALID_ARG_TYPE'],
        String(signal),
      );
    }
    assert.deepStrictEqual(snapshot(dir), before);
  });
}

const MANY = FULL ? 100_000 : 20_000;

test('rm that is aborted stops: most of the tree is left, and the next call takes the rest', async (t) => {
  const { root, at } = bigSandbox(t);
  grow(at('tree'), MANY);
  const before = entriesIn(at('tree'));
  const controller = new AbortController();
  const reason = new Error('enough');
  const removing = root.promises.rm('tree', true, false, { signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(removing, (error) => isAbortOf(controller.signal, error));
  const left = entriesIn(at('tree'));
  t.diagnostic(`${left} of ${before} are left`);
  assert.ok(left > before / 2, `${left} of ${before}`);
  assert.deepStrictEqual(getEventListeners(controller.signal, 'abort'), []);
  // When it was rejected it had stopped.
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.strictEqual(entriesIn(at('tree')), left);
  await root.promises.rm('tree', true);
  assert.ok(!fs.existsSync(at('tree')));
});

test('an abort that comes from onProgress, or while others run, stops the work that has the signal', async (t) => {
  const { root, at } = bigSandbox(t);
  for (const name of ['one', 'two', 'three']) grow(at(name), MANY);
  const controller = new AbortController();
  const { signal } = controller;
  let told = 0;
  const onProgress = () => {
    told += 1;
    controller.abort();
  };
  const results = await Promise.allSettled([
    root.promises.rm('one', true, false, { signal, onProgress }),
    root.promises.rm('two', true, false, { signal }),
    root.promises.rm('three', true),
  ]);
  if (told === 1 && results[0].status === 'fulfilled') return t.skip('it was done before anything was told');
  assert.ok(told >= 1);
  isAbortOf(signal, results[0].reason);
  assert.ok(results[1].status === 'fulfilled' || isAbortOf(signal, results[1].reason));
  assert.strictEqual(results[2].status, 'fulfilled');
  assert.ok(fs.existsSync(at('one')));
});

test('one signal serves many calls, also more than a listener each would warn of', async (t) => {
  const warnings = [];
  const warned = (warning) => warnings.push(warning.message);
  process.on('warning', warned);
  t.after(() => process.off('warning', warned));
  const { root, at } = bigSandbox(t);
  const controller = new AbortController();
  for (let i = 0; i < 40; i++) plant(at(), { [`tree${i}`]: { a: { b: 'b' } } });
  const { signal } = controller;
  const calls = Array.from({ length: 40 }, (_, i) =>
    root.promises.cp(`tree${i}`, `copy${i}`, { ...RECURSIVE, signal }),
  );
  const outcomes = (await Promise.allSettled(calls)).map(({ status }) => status);
  assert.deepStrictEqual([...new Set(outcomes)], ['fulfilled']);
  const removals = Array.from({ length: 40 }, (_, i) =>
    root.promises.rm(`copy${i}`, true, false, { signal }),
  );
  controller.abort();
  for (const { status, reason } of await Promise.allSettled(removals))
    assert.ok(status === 'fulfilled' || isAbortOf(signal, reason));
  await new Promise(setImmediate);
  assert.deepStrictEqual([getEventListeners(signal, 'abort'), warnings], [[], []]);
});

test('cp that is aborted while its filter is asked copies nothing', async (t) => {
  const { dir, root } = sandbox(t, TREE);
  const before = snapshot(dir);
  for (const late of [false, true]) {
    const controller = new AbortController();
    const { signal } = controller;
    let asked = 0;
    const filter = () => {
      asked += 1;
      controller.abort();
      return late ? Promise.resolve(true) : true;
    };
    const copying = root.promises.cp('tree', 'new', { ...RECURSIVE, signal, filter });
    await assert.rejects(copying, (error) => isAbortOf(signal, error));
    assert.strictEqual(asked, 1, 'and nobody is asked any more');
  }
  assert.deepStrictEqual(snapshot(dir), before);
});

test('an abort in the very tick of the call stops it, and so does one a moment later', async (t) => {
  for (const moment of [() => {}, () => Promise.resolve(), () => new Promise(setImmediate)]) {
    const { root, at } = bigSandbox(t);
    grow(at('tree'), MANY);
    const controller = new AbortController();
    const removing = root.promises.rm('tree', true, false, { signal: controller.signal });
    // Nothing is waited for in the first of them, not even a microtask.
    const pause = moment();
    if (pause !== undefined) await pause;
    controller.abort();
    await assert.rejects(removing, (error) => isAbortOf(controller.signal, error));
    assert.ok(fs.existsSync(at('tree')));
  }
});

test('cp that is aborted leaves whole files only, in a tree and of a large file', async (t) => {
  const { dir, root, at } = bigSandbox(t);
  fs.mkdirSync(at('src'));
  for (let i = 0; i < 400; i++) fs.writeFileSync(at('src', `${i}`), Buffer.alloc(100_000, 'x'));
  fs.writeFileSync(at('large'), Buffer.alloc(256 * MiB, 'x'));
  let stopped = 0;
  for (const delay of [0, 2, 5, 10, 20, 40]) {
    for (const [src, options] of [['src', RECURSIVE], ['large', {}]]) {
      const controller = new AbortController();
      const { signal } = controller;
      const copying = root.promises.cp(src, 'dest', { ...options, signal, reflink: 'never' });
      setTimeout(() => controller.abort(), delay);
      const error = await copying.then(() => null, (reason) => reason);
      if (error !== null) isAbortOf(signal, error);
      if (src === 'large') {
        assert.strictEqual(fs.existsSync(at('dest')), error === null);
      } else if (fs.existsSync(at('dest'))) {
        for (const name of fs.readdirSync(at('dest'))) assert.strictEqual(fs.statSync(at('dest', name)).size, 100_000, name);
        if (error === null) assert.strictEqual(entriesIn(at('dest')), 400);
      }
      assert.deepStrictEqual(fs.readdirSync(dir).filter((name) => !['src', 'large', 'dest'].includes(name)), []);
      fs.rmSync(at('dest'), { recursive: true, force: true });
      stopped += error === null ? 0 : 1;
    }
  }
  t.diagnostic(`${stopped} of 12 were stopped`);
  assert.ok(stopped > 0);
}); // biome-ignore format: a list

test('copyFile of a large file that is aborted leaves no new file, and its size does not matter', async (t) => {
  const { root, at } = bigSandbox(t);
  fs.writeFileSync(at('large'), Buffer.alloc(256 * MiB, 'x'));
  const controller = new AbortController();
  const { signal } = controller;
  const copying = root.promises.copyFile('large', 'new', null, { signal, reflink: 'never' });
  controller.abort();
  await assert.rejects(copying, (error) => isAbortOf(signal, error));
  assert.deepStrictEqual(fs.readdirSync(at()), ['large']);
});

test('readdir that is aborted is rejected', async (t) => {
  const { root, at } = bigSandbox(t);
  grow(at('tree'), MANY);
  const controller = new AbortController();
  const listing = root.promises.readdir('tree', { ...RECURSIVE, signal: controller.signal });
  controller.abort();
  await assert.rejects(listing, (error) => isAbortOf(controller.signal, error));
});

// ---- Progress ----

const WATCHED = {
  rm: (of, name, options) => of.rm(name, true, false, options),
  cp: (of, name, options) => of.cp(name, `${name} copy`, { ...RECURSIVE, ...options }),
};

for (const [method, call] of Object.entries(WATCHED)) {
  bothWays(`${method} tells at the end how many entries and bytes it was`, async (t, of, way) => {
    const tree = { a: 'aaaa', dir: { b: 'bb', none: {} }, link: { link: 'a' }, pipe: { fifo: true } };
    const { root } = sandbox(t, { tree });
    const told = [];
    await call(of(root), 'tree', { onProgress: (...args) => told.push(args) });
    for (const args of told) assert.strictEqual(args.length, 1);
    const last = told.at(-1)[0];
    assert.deepStrictEqual(Object.keys(last).sort(), ['bytes', 'entries']);
    // The top counts as well.
    assert.strictEqual(last.entries, 7);
    if (method === 'cp') assert.strictEqual(last.bytes, 6);
    if (way === 'at once') assert.strictEqual(told.length, 1);
  });

  test(`${method} tells at most twenty times a second, never less than before`, async (t) => {
    const { root, at } = bigSandbox(t);
    grow(at('tree'), 2 * MANY);
    const total = entriesIn(at('tree')) + 1;
    const told = [];
    const began = performance.now();
    await call(root.promises, 'tree', { onProgress: (progress) => told.push(progress) });
    const ms = performance.now() - began;
    t.diagnostic(`${told.length} times in ${ms.toFixed(0)} ms`);
    assert.ok(told.length <= ms / 50 + 2, `${told.length} times in ${ms} ms`);
    for (let i = 1; i < told.length; i++)
      assert.ok(told[i].entries >= told[i - 1].entries && told[i].bytes >= told[i - 1].bytes);
    assert.strictEqual(told.at(-1).entries, total);
    // It ends with what it told: nothing comes behind.
    await new Promise((resolve) => setTimeout(resolve, 150));
    assert.strictEqual(told.at(-1).entries, total);
  });

  bothWays(`${method} that is done has not failed, whatever onProgress throws then`, async (t, of) => {
    const { root, at } = sandbox(t, { tree: TREE });
    let told = 0;
    const onProgress = () => {
      told += 1;
      throw new Error('too late');
    };
    assert.strictEqual(await call(of(root), 'tree', { onProgress }), undefined);
    assert.strictEqual(told, 1);
    assert.strictEqual(fs.existsSync(at('tree')), method === 'cp');
  });
}

/** Copies a tree that is large enough for `onProgress` to be called before it is copied: what it is rejected with. */
async function stoppedBy(root, at, onProgress) {
  for (let files = 40_000; ; files *= 2) {
    if (!fs.existsSync(at('large'))) grow(at('large'), files);
    const outcome = await root.promises.cp('large', 'copy', { ...RECURSIVE, onProgress }).then(
      () => undefined,
      (error) => ({ error }),
    );
    root.rm('copy', true, true);
    if (outcome !== undefined) return outcome.error;
    assert.ok(files < 640_000, 'it was never stopped');
    root.rm('large', true);
  }
}

test('what onProgress throws is what comes out', async (t) => {
  const { root, at } = bigSandbox(t);
  const thrown = new Error('enough');
  let told = 0;
  const onProgress = () => {
    told += 1;
    throw thrown;
  };
  const error = await stoppedBy(root, at, onProgress);
  assert.strictEqual(error, thrown);
  assert.strictEqual(told, 1, 'it is not asked again');
});

test('an onProgress that throws stops the work', async (t) => {
  const { root, at } = bigSandbox(t);
  grow(at('tree'), FULL ? 200_000 : 60_000);
  const before = entriesIn(at('tree'));
  let at1 = null;
  const onProgress = ({ entries }) => {
    at1 = entries;
    throw new Error('enough');
  };
  await assert.rejects(root.promises.rm('tree', true, false, { onProgress }), /enough/);
  const left = fs.existsSync(at('tree')) ? entriesIn(at('tree')) : 0;
  t.diagnostic(`stopped at ${at1} of ${before}, ${left} are left`);
  // It was told of before the end, unless it took less than the time between two tellings.
  if (at1 < before / 2) assert.ok(left > 0);
});

// ---- A promise that onProgress returns ----

/** Runs `body`, and fails if a rejection was handled by nobody, or late. */
async function withoutUnhandled(body) {
  const unhandled = [];
  const onUnhandled = (reason) => unhandled.push(reason);
  process.on('unhandledRejection', onUnhandled);
  try {
    await body();
    await new Promise((resolve) => setTimeout(resolve, 20));
  } finally {
    process.off('unhandledRejection', onUnhandled);
  }
  assert.deepStrictEqual(unhandled, []);
}

/** What an `onProgress` can return that is rejected. */
const REJECTING = {
  'at once': (thrown) => Promise.reject(thrown),
  'when the work is done': (thrown) => new Promise((_, reject) => setTimeout(() => reject(thrown), 30)),
  'an async function': async (thrown) => {
    throw thrown;
  },
  // biome-ignore lint/suspicious/noThenProperty: what is awaited may have one
  'a thenable': (thrown) => ({ then: (_, reject) => reject(thrown) }),
  'a thenable whose then throws': (thrown) => ({
    // biome-ignore lint/suspicious/noThenProperty: what is awaited may have one
    get then() {
      throw thrown;
    },
  }),
};

test('the reason of a promise that onProgress returns is what comes out', async (t) => {
  const { root, at } = bigSandbox(t);
  const thrown = new Error('enough');
  for (const [what, rejecting] of Object.entries(REJECTING)) {
    if (what === 'when the work is done') continue;
    await withoutUnhandled(async () => {
      const error = await stoppedBy(root, at, () => rejecting(thrown));
      assert.strictEqual(error, thrown, what);
    });
  }
});

for (const [method, call] of Object.entries(WATCHED)) {
  test(`${method} that is done has not failed, whatever becomes of a promise that onProgress returned`, async (t) => {
    for (const [what, onProgress] of Object.entries(REJECTING)) {
      const { root, at } = sandbox(t, { tree: TREE });
      await withoutUnhandled(async () => {
        const done = await call(root.promises, 'tree', {
          onProgress: () => onProgress(new Error('too late')),
        });
        assert.strictEqual(done, undefined, what);
      });
      assert.strictEqual(fs.existsSync(at('tree')), method === 'cp');
    }
  });

  bothWays(`${method}: a promise that is fulfilled changes nothing`, async (t, of) => {
    const { root } = sandbox(t, { tree: TREE });
    assert.strictEqual(await call(of(root), 'tree', { onProgress: async () => 'fine' }), undefined);
  });

  test(`${method}: at once nothing waits for a promise, and nobody hears of its reason`, async (t) => {
    const { root } = sandbox(t, { tree: TREE });
    await withoutUnhandled(async () => {
      assert.strictEqual(call(root, 'tree', { onProgress: async () => assert.fail('no') }), undefined);
    });
  });

  test(`${method}: a promise that is rejected beside a call that fails harms nobody`, async (t) => {
    const { root } = sandbox(t, {});
    await withoutUnhandled(async () => {
      const onProgress = () => Promise.reject(new Error('enough'));
      await assert.rejects(call(root.promises, 'missing', { onProgress }), { code: 'ENOENT' });
    });
  });
}

test('an onProgress whose promise is rejected stops the work', async (t) => {
  const { root, at } = bigSandbox(t);
  grow(at('tree'), FULL ? 200_000 : 60_000);
  const before = entriesIn(at('tree'));
  let at1 = null;
  let told = 0;
  const onProgress = async ({ entries }) => {
    at1 ??= entries;
    told += 1;
    throw new Error('enough');
  };
  await withoutUnhandled(async () => {
    await assert.rejects(root.promises.rm('tree', true, false, { onProgress }), /enough/);
  });
  const left = fs.existsSync(at('tree')) ? entriesIn(at('tree')) : 0;
  t.diagnostic(`stopped at ${at1} of ${before}, ${left} are left`);
  assert.strictEqual(told, 1, 'it is not asked again');
  if (at1 < before / 2) assert.ok(left > 0);
});

test('a call that fails or is stopped tells nothing any more', async (t) => {
  const { root } = sandbox(t, TREE);
  let told = 0;
  const onProgress = () => {
    told += 1;
  };
  await assert.rejects(root.promises.rm('missing', true, false, { onProgress }), { code: 'ENOENT' });
  await assert.rejects(root.promises.cp('missing', 'new', { onProgress }), { code: 'ENOENT' });
  const before = told;
  const signal = AbortSignal.abort();
  await assert.rejects(root.promises.rm('tree', true, false, { onProgress, signal }), { name: 'AbortError' });
  await new Promise((resolve) => setTimeout(resolve, 100));
  // While a slow machine was at it, it may have been told.
  assert.strictEqual(told, before);
});

// ---- The event loop ----

/** How long this thread was ready to run and had no processor so far, in milliseconds; 0 where that is not told. */
function waited() {
  const { value } = outcome(() => fs.readFileSync('/proc/self/schedstat', 'latin1'));
  return Number(value?.split(' ')[1] ?? 0) / 1e6;
}

/**
 * The worst delay of a timer while `action` is under way, in milliseconds, less what others had the processors
 * for; and how long the action took.
 */
async function worstDelay(action) {
  let [worst, last] = [0, performance.now() - waited()];
  const look = () => {
    const now = performance.now() - waited();
    worst = Math.max(worst, now - last);
    last = now;
  };
  const timer = setInterval(look, 1);
  const began = performance.now();
  try {
    await action();
  } finally {
    look();
    clearInterval(timer);
  }
  return { worst, ms: performance.now() - began };
}

const HUNDRED_THOUSAND = 100_000;
/** Much more than it is: the work itself takes seconds. */
const GENEROUS = 250;

test(`while ${HUNDRED_THOUSAND} files are copied, listed and removed, timers are on time`, {
  timeout: 240_000,
}, async (t) => {
  const { root, at } = bigSandbox(t);
  grow(at('tree'), HUNDRED_THOUSAND);
  const work = {
    cp: () => root.promises.cp('tree', 'copy', { ...RECURSIVE, onProgress() {} }),
    walk: async () => {
      for await (const _ of root.walk('tree'));
    },
    rm: () => root.promises.rm('tree', true, false, { onProgress() {} }),
    'rm, told nothing': () => root.promises.rm('copy', true),
  };
  for (const [name, action] of Object.entries(work)) {
    const { worst, ms } = await worstDelay(action);
    t.diagnostic(`${name}: ${worst.toFixed(1)} ms at worst, in ${ms.toFixed(0)} ms`);
    assert.ok(worst < GENEROUS, `${name} delayed a timer by ${worst.toFixed(0)} ms`);
  }
  assert.deepStrictEqual(fs.readdirSync(at()), []);
});

test('a filter is asked without holding up the event loop', { timeout: 120_000 }, async (t) => {
  const { root, at } = bigSandbox(t);
  grow(at('tree'), MANY);
  const filter = (src) => !src.endsWith('7');
  const { worst, ms } = await worstDelay(() => root.promises.cp('tree', 'copy', { ...RECURSIVE, filter }));
  t.diagnostic(`${worst.toFixed(1)} ms at worst, in ${ms.toFixed(0)} ms`);
  assert.ok(worst < GENEROUS, `a timer was delayed by ${worst.toFixed(0)} ms`);
});

// ---- Ends that do not wait ----

test('close() while work is running lets it end, and later calls are EBADF', async (t) => {
  const { dir, at } = bigSandbox(t);
  grow(at('tree'), MANY);
  const before = entriesIn(at('tree'));
  const root = new SandboxRoot(dir);
  const [copying, listing] = [
    root.promises.cp('tree', 'copy', RECURSIVE),
    root.promises.readdir('tree', RECURSIVE),
  ];
  root.close();
  await copying;
  assert.deepStrictEqual([(await listing).length, entriesIn(at('copy'))], [before, before]);
  assert.strictEqual((await settled(root.promises.rm('copy', true))).error.code, 'EBADF');

  const [one, two] = [new SandboxRoot(dir), new SandboxRoot(dir)];
  const moving = one.promises.cp('copy', 'second', { ...RECURSIVE, to: two });
  two.close();
  await moving;
  assert.strictEqual(entriesIn(at('second')), before);
});

const LONG = FULL ? 400_000 : 120_000;

/** What a process or a worker is to do that ends once the work is seen to be under way. */
const ENDINGS = {
  'process.exit': (dir) => {
    const tree = path.join(dir, 'tree');
    const before = fs.readdirSync(tree).length;
    process.on('exit', () => console.log('value null'));
    new SandboxRoot(dir).promises.rm('tree', true).catch(() => {});
    while (fs.readdirSync(tree).length === before);
    process.exit(0);
  },
  'a worker that is terminated': async (dir, home) => {
    const { Worker } = require('node:worker_threads');
    const body = `
      const fs = require('node:fs');
      const { SandboxRoot } = require(${JSON.stringify(home)});
      const tree = ${JSON.stringify(`${dir}/tree`)};
      const before = fs.readdirSync(tree).length;
      new SandboxRoot(${JSON.stringify(dir)}).promises.rm('tree', true).catch(() => {});
      while (fs.readdirSync(tree).length === before);
      require('node:worker_threads').parentPort.postMessage('running');
    `;
    const worker = new Worker(body, { eval: true });
    await new Promise((resolve) => worker.once('message', resolve));
    await worker.terminate();
  },
};

for (const [how, body] of Object.entries(ENDINGS)) {
  test(`${how} does not wait for a long tree: the work stops`, { timeout: 240_000 }, async (t) => {
    const { dir, at } = bigSandbox(t);
    grow(at('tree'), LONG);
    const { ms } = await start(t, body, [dir, path.join(__dirname, '..')]).result;
    const left = entriesIn(at('tree'));
    t.diagnostic(`${left} of ${LONG} were left, after ${ms.toFixed(0)} ms`);
    assert.ok(left > LONG / 4, `${left} of ${LONG} were left`);
  });
}

test('a worker that is terminated does not take the work of others with it', async (t) => {
  const { dir, root, at } = bigSandbox(t);
  grow(at('mine'), MANY);
  grow(at('its'), MANY);
  const body = `
    const { SandboxRoot } = require(${JSON.stringify(path.join(__dirname, '..'))});
    const { parentPort } = require('node:worker_threads');
    new SandboxRoot(${JSON.stringify(dir)}).promises.rm('its', true).catch(() => {});
    parentPort.postMessage('running');
  `;
  const worker = new Worker(body, { eval: true });
  await new Promise((resolve) => worker.once('message', resolve));
  const removing = root.promises.rm('mine', true);
  await worker.terminate();
  await removing;
  assert.ok(!fs.existsSync(at('mine')));
});

test('what onProgress throws is the error of a promise, whatever it is', async (t) => {
  const { root, at } = bigSandbox(t);
  for (const thrown of ['enough', 'EACCES\0open', 5, null, undefined, { code: 'ENOENT' }]) {
    const throwing = () => {
      throw thrown;
    };
    for (const onProgress of [throwing, () => Promise.reject(thrown)])
      assert.strictEqual(await stoppedBy(root, at, onProgress), thrown);
  }
});
