'use strict';
// Whatever a call waits for of its caller (a source, a filter, an onProgress), an abort ends the wait, whenever it
// comes; and nothing that the caller's own code does on the way hides the error or leaves a file.

const test = require('node:test');
const assert = require('node:assert');
const events = require('node:events');
const fs = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const { Readable } = require('node:stream');
const { SandboxRoot } = require('..');
const { sandbox, settled } = require('./support');

const never = () => new Promise(() => {});
/** What a promise comes to, which it has to within a few seconds. */
async function soon(promise) {
  const [late, controller] = [Symbol('late'), new AbortController()];
  const timer = sleep(5000, late, { signal: controller.signal }).catch(() => {});
  const came = await settled(Promise.race([promise, timer]));
  controller.abort();
  assert.notStrictEqual(came.value, late, 'it is still pending');
  return came;
}

/** A source that gives `bits` and then what `last` returns; `told` hears that it is to end. */
function source(told, last, ...bits) {
  const next = () => (bits.length > 0 ? { done: false, value: bits.shift() } : last());
  const end = () => {
    told.push('return');
    return never();
  };
  return { [Symbol.asyncIterator]: () => ({ next, return: end }) };
}

/** An abort that comes as soon as it is awaited, or before. */
const aborting = (abort) => () => {
  abort();
  return never();
};
const abortingLater = (abort) => () => {
  setTimeout(abort, 20);
  return never();
};

/** What waits for the caller: `told` says what the source heard of the end. */
const WAITS = {
  'a source, in the tick of the call': (root, signal, abort, told) => {
    const writing = root.promises.writeFile('new', source(told, never), { signal });
    abort();
    return writing;
  },
  'a source, as it is asked': (root, signal, abort, told) =>
    root.promises.writeFile('new', source(told, aborting(abort)), { signal }),
  'a source, behind a chunk': (root, signal, abort, told) =>
    root.promises.writeFile('new', source(told, aborting(abort), 'x'.repeat(700_000)), { signal }),
  'a source, a while later': (root, signal, abort, told) =>
    root.promises.appendFile('new', source(told, abortingLater(abort), 'x'), { signal }),
  'a source of an atomic write': (root, signal, abort, told) =>
    root.promises.writeFile('new', source(told, aborting(abort), 'x'), { signal, atomic: true }),
  'a stream, in the tick of the call': (root, signal, abort, told) => {
    const stream = new Readable({ read() {} }).on('close', () => told.push('return'));
    const writing = root.promises.writeFile('new', stream, { signal });
    abort();
    return writing;
  },
  'a promise in an array': (root, signal, abort) => {
    setTimeout(abort, 20);
    return root.promises.writeFile('new', ['a', never()], { signal });
  },
  'the filter of cp': (root, signal, abort) =>
    root.promises.cp('tree', 'new', { recursive: true, signal, filter: aborting(abort) }),
  'the filter of cp, a while later': (root, signal, abort) =>
    root.promises.cp('tree', 'new', { recursive: true, signal, filter: abortingLater(abort) }),
}; // biome-ignore format: a table

/** Whether another listener keeps the event from those behind it. */
const LISTENERS = { '': false, ', whatever another listener does': true };

for (const [also, stops] of Object.entries(LISTENERS))
  for (const [what, wait] of Object.entries(WAITS)) {
    const skip = stops && !events.addAbortListener && 'needs events.addAbortListener';
    test(`an abort ends the wait for ${what}${also}`, { skip }, async (t) => {
      const { dir, root } = sandbox(t, { tree: { file: 'content' } });
      const controller = new AbortController();
      if (stops) controller.signal.addEventListener('abort', (event) => event.stopImmediatePropagation());
      const told = [];
      const waiting = wait(root, controller.signal, () => controller.abort('enough'), told);
      const error = await soon(waiting.catch((error) => error));
      assert.deepStrictEqual([error.value?.name, error.value?.cause], ['AbortError', 'enough']);
      await sleep(1);
      if (/source|stream/.test(what)) assert.deepStrictEqual(told, ['return']);
      assert.deepStrictEqual(fs.readdirSync(dir), ['tree']);
      assert.strictEqual(events.getEventListeners(controller.signal, 'abort').length, stops ? 1 : 0);
    });
  }

test('an abort ends the wait for what an onProgress returned, once the work is done', async (t) => {
  const { root } = sandbox(t, { tree: { file: 'content' } });
  for (const later of [aborting, abortingLater]) {
    const controller = new AbortController();
    const onProgress = later(() => controller.abort());
    const options = { recursive: true, signal: controller.signal, onProgress };
    // What is done has not failed.
    const { error } = await soon(root.promises.cp('tree', 'copy', options));
    assert.strictEqual(error, undefined);
    assert.deepStrictEqual(root.readdir('copy'), ['file']);
  }
});

test('work that is done has not failed, whatever aborts while onProgress is awaited', async (t) => {
  const { root, at } = sandbox(t, { tree: { file: 'content' } });
  for (const [what, start] of Object.entries({
    'cp in one step': (how) => root.promises.cp('tree', 'new', { recursive: true, atomic: true, ...how }),
    move: (how) => root.promises.move('tree', 'new', how),
  })) {
    const controller = new AbortController();
    const { signal } = controller;
    let began = () => {};
    const telling = new Promise((resolve) => {
      began = resolve;
    });
    const onProgress = () => {
      began();
      return sleep(20);
    };
    const working = start({ signal, onProgress });
    await telling;
    controller.abort();
    assert.strictEqual(await working, undefined, what);
    assert.ok(fs.existsSync(at('new/file')));
    root.rm('new', true);
  }
});

test('an abort event of a signal that is not aborted stops nothing, and a later abort does', async (t) => {
  const { root, at } = sandbox(t);
  const controller = new AbortController();
  const { signal } = controller;
  let next = () => {};
  const source = (async function* () {
    yield 'first';
    await new Promise((resolve) => {
      next = resolve;
    });
    yield 'second';
    await never();
  })();
  let came = 'nothing';
  const writing = root.promises.writeFile('new', source, { signal }).catch((error) => {
    came = error.name;
  });
  while (root.stat('new', { throwIfNoEntry: false })?.size !== 5) await sleep(1);
  for (let i = 0; i < 3; i++) {
    signal.dispatchEvent(new Event('abort'));
    await sleep(5);
  }
  next();
  while (root.stat('new', { throwIfNoEntry: false })?.size !== 11) {
    assert.strictEqual(came, 'nothing');
    await sleep(1);
  }
  controller.abort();
  await soon(writing);
  assert.strictEqual(came, 'AbortError');
  assert.ok(!fs.existsSync(at('new')));
});

test('work on a tree stops, whatever another listener does', {
  skip: !events.addAbortListener && 'needs events.addAbortListener',
}, async (t) => {
  const { root, at } = sandbox(t, { tree: {} });
  for (let i = 0; i < 20_000; i++) fs.writeFileSync(at('tree', `${i}`), '');
  const controller = new AbortController();
  controller.signal.addEventListener('abort', (event) => event.stopImmediatePropagation());
  const copying = root.promises.cp('tree', 'copy', { recursive: true, signal: controller.signal });
  while (!fs.existsSync(at('copy/0')) && fs.readdirSync(at('.')).length < 2) await sleep(1);
  controller.abort();
  await assert.rejects(copying, { name: 'AbortError' });
  assert.ok(fs.readdirSync(at('copy')).length < 20_000);
});

test('what a source throws as it ends does not replace the error', async (t) => {
  const { dir, root } = sandbox(t);
  const ENDS = {
    'it throws': () => {
      throw new Error('of return()');
    },
    'it rejects': () => Promise.reject(new Error('of return()')),
  };
  for (const [what, end] of Object.entries(ENDS)) {
    const of = (next) => ({ [Symbol.asyncIterator]: () => ({ next, return: end }) });
    const controller = new AbortController();
    const waiting = root.promises.writeFile('new', of(aborting(() => controller.abort())), {
      signal: controller.signal,
    });
    assert.strictEqual((await soon(waiting)).error?.code, 'ABORT_ERR', what);
    const number = root.promises.writeFile(
      'new',
      of(async () => ({ done: false, value: 7 })),
    );
    assert.strictEqual((await soon(number)).error?.code, 'ERR_INVALID_ARG_TYPE', what);
  }
  assert.deepStrictEqual(fs.readdirSync(dir), []);
});

test('a signal that throws leaves no file and no descriptor, and is the error', async (t) => {
  const { dir, root } = sandbox(t, { tree: { file: 'content' } });
  const refuse = () => {
    throw new Error('no listeners');
  };
  const signal = { aborted: false, addEventListener: refuse, removeEventListener: refuse };
  await root.promises.writeFile('tree/file', ['x']);
  const open = () => fs.readdirSync('/proc/self/fd').length;
  const before = open();
  for (const data of [['a'], 'a'.repeat(700_000)]) {
    for (const atomic of [false, true]) {
      const { error } = await soon(root.promises.writeFile('new', data, { signal, atomic }));
      assert.strictEqual(error?.message, 'no listeners');
    }
  }
  const options = { recursive: true, signal, filter: () => true };
  assert.strictEqual((await soon(root.promises.cp('tree', 'new', options))).error?.message, 'no listeners');
  assert.deepStrictEqual([fs.readdirSync(dir), open()], [['tree'], before]);
});

test('a listener that cannot be removed does not make work fail that is done', async (t) => {
  const { root, at } = sandbox(t);
  const removeEventListener = () => {
    throw new Error('they stay');
  };
  const signal = { aborted: false, addEventListener() {}, removeEventListener };
  await root.promises.writeFile('new', ['a', 'b'], { signal });
  assert.strictEqual(fs.readFileSync(at('new'), 'utf8'), 'ab');
});

test('a web stream is cancelled when the write fails, and free when it is done', async (t) => {
  const { dir, at } = sandbox(t);
  const root = new SandboxRoot(dir);
  const of = (pull, told) => new ReadableStream({ pull, cancel: () => void told.push('cancel') });
  const told = [];
  const controller = new AbortController();
  const endless = of(
    abortingLater(() => controller.abort()),
    told,
  );
  const { error } = await soon(root.promises.writeFile('new', endless, { signal: controller.signal }));
  assert.deepStrictEqual([error?.name, told, endless.locked], ['AbortError', ['cancel'], false]);
  const numbers = of((stream) => stream.enqueue(7), told);
  assert.strictEqual((await soon(root.promises.writeFile('new', numbers))).error?.name, 'TypeError');
  assert.deepStrictEqual([told, numbers.locked], [['cancel', 'cancel'], false]);
  const failing = of(() => Promise.reject(new Error('of the stream')), told);
  assert.strictEqual((await soon(root.promises.writeFile('new', failing))).error?.message, 'of the stream');
  assert.deepStrictEqual([told.length, failing.locked, fs.readdirSync(dir)], [2, false, []]);
  const bits = ['a', new Uint8Array([98])];
  const done = of((stream) => (bits.length > 0 ? stream.enqueue(bits.shift()) : stream.close()), told);
  await root.promises.writeFile('new', done);
  assert.deepStrictEqual([fs.readFileSync(at('new'), 'utf8'), told.length, done.locked], ['ab', 2, false]);
});
