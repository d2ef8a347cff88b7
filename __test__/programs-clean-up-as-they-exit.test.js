'use strict';
// A program cleans up in an `exit` handler, after promises were used or while some are pending; and what these were
// making is stopped and removed.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { inChild } = require('./child');
const { onEachNode } = require('./other-nodes');
const { memory, sandbox, settled } = require('./support');

/** Exits with what it did in its handler as its value. */
async function exit(dir, first, pending) {
  const done = {};
  const cleanUp = () => {
    const root = new SandboxRoot(dir);
    root.copyFile('file', 'copy');
    done.names = root.readdir('.', { recursive: true }).sort();
    root.cp('tree', 'other', { recursive: true });
    root.move('other', 'moved');
    root.rm('tree', true);
    done.text = root.readFile('copy', 'utf8');
    done.left = root.readdir('.').sort();
    fs.writeSync(1, `value ${JSON.stringify(done)}\n`);
  };
  // Ahead of the handler of the package, and behind it.
  if (first) process.on('exit', cleanUp);
  const root = new SandboxRoot(dir);
  await root.promises.readdir('tree', { recursive: true });
  await root.promises.copyFile('file', 'copied');
  await root.promises.rm('copied', true);
  if (!first) process.on('exit', cleanUp);
  if (pending)
    for (let i = 0; i < 20; i++) root.promises.readdir('tree', { recursive: true }).catch(() => {});
  process.exit(0);
}

onEachNode('an exit handler calls synchronous methods after promises were used', async (t, execPath) => {
  for (const first of [true, false]) {
    for (const pending of [true, false]) {
      const { dir } = sandbox(t, { file: 'content', tree: { a: { b: 'b' } } });
      assert.deepStrictEqual(await inChild(t, exit, [dir, first, pending], { execPath }), {
        names: ['copy', 'file', 'tree', 'tree/a', 'tree/a/b'],
        text: 'content',
        left: ['copy', 'file', 'moved'],
      });
      assert.deepStrictEqual(fs.readdirSync(dir).sort(), ['copy', 'file', 'moved']);
    }
  }
});

onEachNode('a promise that is started in an exit handler does not hold the process', async (t, execPath) => {
  const { dir } = sandbox(t, { file: 'content', tree: { a: { b: 'b' } } });
  const body = async (dir) => {
    const root = new SandboxRoot(dir);
    await root.promises.stat('file');
    process.on('exit', () => {
      for (const name of ['x', 'y']) root.promises.cp('tree', name, { recursive: true }).catch(() => {});
      root.promises.rm('tree', true).catch(() => {});
      fs.writeSync(1, 'value "over"\n');
    });
  };
  assert.strictEqual(await inChild(t, body, [dir], { execPath, timeout: 10_000 }), null);
});

/** What makes the file `new`, and is stopped when the process exits. */
const MAKERS = {
  'copyFile of a large file': (root) => root.promises.copyFile('large', 'new', null, { reflink: 'never' }),
  'cp of a large file': (root) => root.promises.cp('large', 'new', { reflink: 'never' }),
  'cp of a large file in one step': (root) =>
    root.promises.cp('large', 'new', { reflink: 'never', atomic: true }),
  'writeFile of a long view': (root) => root.promises.writeFile('new', Buffer.alloc(512 << 20)),
  'writeFile of a source': (root) => {
    const never = () => new Promise(() => {});
    const next = () => (bits.length > 0 ? { done: false, value: bits.pop() } : never());
    const bits = ['more', 'x'];
    return root.promises.writeFile('new', { [Symbol.asyncIterator]: () => ({ next }) });
  },
  'appendFile of a source': (root) =>
    root.promises.appendFile('new', {
      async *[Symbol.asyncIterator]() {
        for (;;) yield 'x';
      },
    }),
};

/** Exits once something new is in `dir`, or `atOnce`; the value is whether the maker was done by then. */
async function exitMeanwhile(dir, make, atOnce) {
  let isDone = false;
  // No later handler runs.
  process.on('exit', () => {
    fs.writeSync(1, `value ${isDone}\n`);
    process.exit(0);
  });
  const before = fs.readdirSync(dir).length;
  const root = new SandboxRoot(dir);
  // biome-ignore lint/security/noGlobalEval: it comes as its source
  const making = eval(make)(root);
  making.then(
    () => {
      isDone = true;
    },
    () => {},
  );
  if (atOnce) process.exit(0);
  while (!isDone && fs.readdirSync(dir).length === before) await new Promise(setImmediate);
  process.exit(0);
}

for (const [what, make] of Object.entries(MAKERS)) {
  test(`a process that exits stops ${what}, and leaves nothing of it`, async (t) => {
    const { dir, at } = sandbox(t, {}, memory);
    if (what.includes('large')) fs.writeFileSync(at('large'), Buffer.alloc(256 << 20, 1));
    const before = fs.readdirSync(dir);
    for (const atOnce of [true, false]) {
      // On a busy machine it may be done before the process has seen that it began.
      for (let tries = 5; tries > 0; tries--) {
        const isDone = await inChild(t, exitMeanwhile, [dir, `${make}`, atOnce]);
        const left = fs.readdirSync(dir);
        if (left.length === before.length) break;
        const size = fs.statSync(at('new'), { throwIfNoEntry: false })?.size;
        assert.ok(tries > 1 && (isDone || size === 256 << 20), `${left} are left, atOnce: ${atOnce}`);
        fs.unlinkSync(at('new'));
      }
    }
  });
}

/** How a process exits that is writing a file, or starts to when it exits. */
const EXITS = {
  'a listener that came later ends the process': () => {
    process.prependListener('exit', () => process.exit(0));
  },
  'a listener that came later throws': () => {
    process.prependListener('exit', () => {
      throw new Error('of a listener');
    });
  },
  'nobody listens': () => {
    process.removeAllListeners('exit');
  },
};

for (const [how, prepare] of Object.entries(EXITS)) {
  onEachNode(`what is not complete is removed where ${how}`, async (t, execPath) => {
    const { dir } = sandbox(t, {}, memory);
    const body = async (dir, prepare) => {
      const root = new SandboxRoot(dir);
      const source = (async function* () {
        yield 'a half';
        await new Promise(() => {});
      })();
      for (const [name, how] of [
        ['new', {}],
        ['atomic', { atomic: true }],
      ])
        root.promises.writeFile(name, name === 'new' ? source : [new Promise(() => {})], how).catch(() => {});
      while (!(root.stat('new', { throwIfNoEntry: false })?.size > 0)) await new Promise(setImmediate);
      // biome-ignore lint/security/noGlobalEval: it comes as its source
      eval(prepare)();
      fs.writeSync(1, 'value "over"\n');
      process.exit(0);
    };
    const { error } = await settled(inChild(t, body, [dir, `${prepare}`], { execPath, timeout: 20_000 }));
    // Whoever throws as the process exits chooses another status.
    if (!how.includes('throws')) assert.strictEqual(error, undefined);
    assert.deepStrictEqual(fs.readdirSync(dir), []);
  });
}

const STARTED = {
  'writeFile in chunks': (root) => root.promises.writeFile('new', Buffer.alloc(1 << 20)),
  'writeFile of a source': (root) => root.promises.writeFile('new', ['x', new Promise(() => {})]),
  'cp of a tree in one step': (root) => root.promises.cp('tree', 'new', { recursive: true, atomic: true }),
  'cp of a large file': (root) => root.promises.cp('large', 'new', { reflink: 'never' }),
};

for (const [what, make] of Object.entries(STARTED)) {
  test(`${what} that an exit listener starts leaves nothing that is not complete`, async (t) => {
    for (const used of [false, true]) {
      const { dir, at } = sandbox(t, { tree: {} }, memory);
      for (let i = 0; i < 2000; i++) fs.writeFileSync(at('tree', `${i}`), '');
      fs.writeFileSync(at('large'), '');
      fs.truncateSync(at('large'), 64 << 20);
      const body = async (dir, make, used) => {
        const root = new SandboxRoot(dir);
        if (used) await root.promises.realpath('tree');
        process.on('exit', () => {
          // biome-ignore lint/security/noGlobalEval: it comes as its source
          eval(make)(root);
          // It has begun by the end of that.
          for (const began = Date.now(); Date.now() - began < 15; );
          fs.writeSync(1, 'value "over"\n');
        });
        process.exit(0);
      };
      await inChild(t, body, [dir, `${make}`, used], { timeout: 20_000 });
      const left = fs.readdirSync(dir).filter((name) => name !== 'tree' && name !== 'large');
      const isWhole = left.length === 1 && left[0] === 'new' && what.includes('tree');
      if (isWhole) assert.strictEqual(fs.readdirSync(at('new')).length, 2000);
      else assert.deepStrictEqual(left, []);
    }
  });
}

/** Loads the package again and again, as test runners do: how many exit listeners and copies are left. */
async function reload(require, module, dir, here) {
  const kept = [];
  for (let i = 0; i < 15; i++) {
    for (const key of Object.keys(require.cache)) if (key.startsWith(here)) delete require.cache[key];
    module.children.splice(0);
    const copy = require(here);
    kept.push(new WeakRef(copy.SandboxRoot));
    const root = new copy.SandboxRoot(dir);
    await root.promises.readFile('file');
    root.close();
  }
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    gc();
  }
  return [process.listenerCount('exit'), kept.filter((copy) => copy.deref()).length <= 2];
}

onEachNode('copies of the package have one exit listener, and are collected', async (t, execPath) => {
  const { dir, at } = sandbox(t, { file: 'content' });
  const here = path.join(__dirname, '..', path.sep);
  // Node keeps what a module requires with the module: here it is one that can let go of it.
  fs.writeFileSync(at('reload.js'), `module.exports = (...args) => (${reload})(require, module, ...args);`);
  const body = (dir, here) => require(`${dir}/reload.js`)(dir, here);
  const options = { execPath, node: ['--expose-gc'] };
  assert.deepStrictEqual(await inChild(t, body, [dir, here], options), [1, true]);
});

test('the listener of one copy stops the work of all', async (t) => {
  const { dir } = sandbox(t, {}, memory);
  const body = async (dir, here) => {
    new SandboxRoot(dir).promises;
    for (const key of Object.keys(require.cache)) if (key.startsWith(here)) delete require.cache[key];
    const other = new (require(here).SandboxRoot)(dir);
    other.promises.writeFile('new', ['x', new Promise(() => {})]).catch(() => {});
    while (!fs.existsSync(`${dir}/new`)) await new Promise(setImmediate);
    process.on('exit', () => fs.writeSync(1, `value ${JSON.stringify(fs.readdirSync(dir))}\n`));
    process.exit(0);
  };
  const here = path.join(__dirname, '..', path.sep);
  assert.deepStrictEqual(await inChild(t, body, [dir, here]), []);
});

test('where a program emits exit by hand, every promise is settled, and others can be made', async (t) => {
  const { dir } = sandbox(t, { tree: { a: { b: 'b' } } });
  const body = async (dir) => {
    const root = new SandboxRoot(dir);
    const all = [];
    for (let i = 0; i < 100; i++) all.push(root.promises.readdir('tree', { recursive: true }));
    process.emit('exit', 0);
    const settled = await Promise.allSettled(all);
    const codes = new Set(settled.map(({ reason }) => reason?.code));
    await root.promises.cp('tree', 'copy', { recursive: true });
    await root.promises.writeFile('new', ['x', 'y']);
    return [
      settled.length,
      [...codes].every((code) => [undefined, null, 'ECANCELED'].includes(code)),
      root.readdir('.').sort(),
    ];
  };
  assert.deepStrictEqual(await inChild(t, body, [dir], { timeout: 20_000 }), [
    100,
    true,
    ['copy', 'new', 'tree'],
  ]);
});
