'use strict';
// A program may have changed the built-ins of the language before it loads the package, by mistake or on purpose, or
// a library put something on `Object.prototype`: no call crashes, leaves its root, has a weaker policy, or takes an
// option that nobody passed.

const test = require('node:test');
const assert = require('node:assert');
const { inChild } = require('./child');
const { FULL } = require('./sizes');
const { link, plant, settled, tempDir } = require('./support');

/** Makes a folder with a root in it, and something beside that. */
function planted(t) {
  const dir = tempDir(t);
  plant(dir, {
    secret: 'of somebody else',
    root: { file: 'content', tofile: link('file'), out: link('../secret'), dir: { inner: 'x' } },
  });
  return dir;
}

/** Calls about everything, in a program that `change` has changed. Gives back what it found. */
async function use(index, dir, change, isNonsense) {
  // Taken before anything is changed.
  const { stringify } = JSON;
  const { apply } = Reflect;
  const { readFileSync, existsSync, readlinkSync, writeSync } = fs;
  const found = [];
  let count = 0;
  const note = (what) => {
    found[count++] = what;
    writeSync(2, `FOUND ${what}\n`);
  };
  new Function('require', change)(require);
  let Root;
  try {
    ({ SandboxRoot: Root } = require(index));
  } catch (error) {
    if (!isNonsense) note(`loading: ${error.stack}`);
    return found;
  }
  /** Does a call that must succeed, unless a built-in does nonsense. */
  const good = (name, call) => {
    try {
      return call();
    } catch (error) {
      if (!isNonsense) note(`${name} failed: ${error.stack}`);
      return undefined;
    }
  };
  const bad = (name, call) => {
    let value;
    try {
      value = call();
    } catch {
      return;
    }
    if (name === 'a promise out' && isNonsense) return;
    note(`${name} succeeded: ${stringify(value)}`);
  };
  const top = `${dir}/root`;
  const root = good('a root', () => new Root(top));
  const rejects = good('a root', () => new Root(top, { symlinks: 'reject', readonly: true }));
  if (root !== undefined) {
    bad('a path out', () => root.readFile('../secret', 'utf8'));
    bad('a link out', () => root.readFile('out', 'utf8'));
    bad('a link', () => root.readFile('tofile', 'utf8'));
    bad('a write out', () => root.writeFile('../written', 'x'));
    bad('a copy out', () => root.copyFile('file', '../written'));
    bad('a weaker root', () => root.openRoot('.', { symlinks: 'in-root' }));
    bad('a directory without recursive', () => root.cp('dir', 'copy'));
    bad('a directory without recursive', () => root.rm('dir'));
    bad('a missing parent', () => root.mkdir('a/b/c'));
    const text = good('readFile', () => root.readFile('file', 'utf8'));
    if (!isNonsense && text !== 'content') note(`read: ${text}`);
    good('stat', () => root.stat('file', { bigint: true }));
    good('stat', () => root.stat('file'));
    good('readdir', () => root.readdir('.', { withFileTypes: true }));
    const names = good('readdir', () => root.readdir('.'));
    if (!isNonsense && names.length !== 4) note(`read: ${stringify(names)}`);
    good('writeFile', () => root.writeFile('new', 'x'));
    good('rename', () => root.rename('new', 'newer'));
    good('copyFile', () => root.copyFile('newer', 'newest'));
    good('cp', () => root.cp('dir', 'tree', { recursive: true, filter: () => true }));
    good('move', () => root.move('newest', 'moved'));
    good('rm', () => root.rm('tree', true, false));
    good('identity', () => root.identity);
    const beneath = good('openRoot', () => root.openRoot('dir'));
    if (beneath !== undefined) {
      bad('a path out of a root beneath', () => beneath.readFile('../file'));
      good('a root beneath', () => beneath.readFile('inner'));
    }
    const wait = async (name, call, mustFail) => {
      let value;
      try {
        value = await call();
      } catch (error) {
        if (!mustFail && !isNonsense) note(`${name} failed: ${error.stack}`);
        return;
      }
      if (mustFail && !isNonsense) note(`${name} succeeded: ${stringify(value)}`);
      if (stringify(value)?.includes?.('somebody')) note(`${name} told ${stringify(value)}`);
    };
    await wait('a promise', () => root.promises.readFile('file', 'utf8'));
    await wait('a promise', () => root.promises.stat('file'));
    await wait('a promise', () => root.promises.readdir('.', { recursive: true }));
    await wait('a promise', () => root.promises.cp('dir', 'tree', { recursive: true }));
    await wait('a promise', () => root.promises.rm('tree', true));
    await wait('a promise out', () => root.promises.readFile('../secret', 'utf8'), true);
    await wait('a promise out', () => root.promises.readFile('out', 'utf8'), true);
    await wait('a promise', async () => (await root.promises.openRoot('dir')).readFile('inner', 'utf8'));
    root.closed;
  }
  if (rejects !== undefined) {
    bad('a write to a readonly root', () => rejects.writeFile('file', 'other'));
    bad('a link of a readonly root', () => rejects.readFile('tofile'));
  }
  for (const forged of [{}, { __proto__: Root.prototype }, root && { __proto__: root }, Root.prototype]) {
    bad('a forged root', () => apply(Root.prototype.readFile, forged, ['file', 'utf8']));
    bad('a forged root', () => apply(Root.prototype.readFile, forged, ['../secret', 'utf8']));
  }
  if (existsSync(`${dir}/written`)) note('written outside');
  if (readFileSync(`${dir}/secret`, 'utf8') !== 'of somebody else') note('changed outside');
  if (readlinkSync(`${top}/tofile`) !== 'file') note('a link was replaced');
  // What Node prints with may not work any more.
  writeSync(1, `value ${stringify(found)}\n`);
  return found;
}

const unweakened = (name, change) =>
  test(name, async (t) => {
    const found = await inChild(t, use, [require.resolve('..'), planted(t), change, false]);
    assert.deepStrictEqual(found, []);
  });

// ---- Things on Object.prototype ----

const OPTIONS = {
  'options that allow more': {
    symlinks: 'in-root', mounts: 'allow', hardlinks: 'allow', readonly: false, recursive: true, force: true,
    to: {}, onProgress: 'none', overwrite: true, flag: 'x', mode: 0, 
    maxBytes: 0, throwIfNoEntry: false, bigint: 'yes', withFileTypes: 'yes', filter: 1, preserve: 'nonsense',
    exclusive: 'yes', reflink: 'nonsense', errorOnExist: 1, ignoreVanished: 1, atomic: 1, flush: 1,
  },
  'options that allow less': { symlinks: 'reject', readonly: true, mounts: 'reject', hardlinks: 'reject' },
  'words of the package': {
    run: 'run', result: 'result', watched: 'watched', before: 'before', handle: {}, policy: {}, native: {},
    errno: undefined, reason: 'too-large', entries: [], dest: 'dest', path: 'path', syscall: 'x', aborted: true,
    calls: {}, starts: {}, failure: 1, open: 1, stops: 1, onAbort: 1,
  },
}; // biome-ignore format: a table

for (const [name, things] of Object.entries(OPTIONS)) {
  const code = JSON.stringify(things);
  unweakened(`${name} on Object.prototype are not read`, `Object.assign(Object.prototype, ${code});`);
  const hidden = `for (const [name, value] of Object.entries(${code}))
    Object.defineProperty(Object.prototype, name, { value, writable: true, configurable: true });`;
  unweakened(`${name} on Object.prototype, hidden, are not read`, hidden);
}

for (const [name, things] of Object.entries(OPTIONS)) {
  // Whoever sets one of these properties without defining it loses what it sets.
  const code = `for (const name of ${JSON.stringify(Object.keys(things))})
    Object.defineProperty(Object.prototype, name, {
      get() { return undefined; }, set() {}, configurable: true,
    });`;
  // An error of the package has these properties as any other: they are set.
  unweakened(`setters on Object.prototype, of ${name}, change nothing`, code);
}

test('a setter on Object.prototype gets nothing of a root, and a getter gives no other one', async (t) => {
  const found = await inChild(
    t,
    (index, dir) => {
      const taken = [];
      let given;
      for (const name of ['handle', 'policy', 'root', 'promises']) {
        Object.defineProperty(Object.prototype, name, {
          get: () => given?.[name],
          set(value) {
            taken.push([name, typeof value]);
            given ??= { __proto__: null };
            given[name] = value;
          },
        });
      }
      const { SandboxRoot: Root } = require(index);
      const outer = new Root(dir);
      outer.promises;
      const inner = new Root(`${dir}/root`, { symlinks: 'in-root' });
      return [taken, inner.readdir('.').sort(), outer.readdir('.').sort()];
    },
    [require.resolve('..'), planted(t)],
  );
  assert.deepStrictEqual(found, [[], ['dir', 'file', 'out', 'tofile'], ['root', 'secret']]);
});

test('a signal on Object.prototype stops nothing', async (t) => {
  // Node itself loads nothing then.
  const body = async (dir) => {
    const root = new SandboxRoot(dir);
    await root.promises.stat('.');
    Object.prototype.signal = { aborted: true };
    Object.prototype.onProgress = 1;
    root.copyFile('file', 'copy');
    await root.promises.copyFile('file', 'copy');
    await root.promises.rm('copy', true);
    const names = await root.promises.readdir('.');
    delete Object.prototype.signal;
    return names.sort();
  };
  const names = await inChild(t, body, [`${planted(t)}/root`]);
  assert.deepStrictEqual(names, ['dir', 'file', 'out', 'tofile']);
});

// ---- Built-ins that do nonsense ----

const METHODS = [
  'Array.prototype[Symbol.iterator]', 'Array.prototype.push', 'Array.prototype.slice', 'Array.prototype.map',
  'Array.prototype.join', 'Array.prototype.pop', 'Array.prototype.indexOf', 'Array.prototype.includes',
  'Array.isArray', 'Function.prototype.call', 'Function.prototype.apply', 'Function.prototype.bind',
  'RegExp.prototype.exec', 'RegExp.prototype.test', 'RegExp.prototype[Symbol.replace]', 'Map.prototype.get',
  'Map.prototype.set', 'Map.prototype.has', 'Set.prototype.add', 'Set.prototype.has', 'Set.prototype.delete',
  'WeakMap.prototype.get', 'WeakMap.prototype.set', 'WeakMap.prototype.has', 'Promise.prototype.then',
  'Promise.resolve', 'String.prototype.split', 'String.prototype.slice', 'String.prototype.includes',
  'String.prototype.charAt', 'Object.keys', 'Object.entries', 'Object.assign', 'Object.freeze',
  'Object.defineProperty', 'Object.setPrototypeOf', 'Object.getPrototypeOf', 'Reflect.apply', 'Number.isInteger',
  'Buffer.from', 'Buffer.isEncoding', 'Buffer.prototype.toString', 'Uint8Array.prototype.subarray',
  'BigInt.asIntN', 'Error.captureStackTrace', 'Math.min', 'ArrayBuffer.isView',
]; // biome-ignore format: a table
const NONSENSE = {
  undefined: 'function () {}',
  zero: 'function () { return 0; }',
  'what it was called with': 'function (first) { return first; }',
  'what it was called on': 'function () { return this; }',
  true: 'function () { return true; }',
  'a thrown error': "function () { throw new Error('patched'); }",
};

/** Sets one built-in. */
function patch(target, body) {
  const isSymbol = target.endsWith(']');
  const at = target.lastIndexOf(isSymbol ? '[' : '.');
  const key = isSymbol ? target.slice(at + 1, -1) : `'${target.slice(at + 1)}'`;
  return `${target.slice(0, at)}[${key}] = ${body};`;
}

for (const [i, target] of METHODS.entries()) {
  test(`${target} that does nonsense lets nothing out`, async (t) => {
    const all = Object.values(NONSENSE);
    for (const body of FULL ? all : [all[i % all.length], all.at(-1)]) {
      const args = [require.resolve('..'), planted(t), patch(target, body), true];
      const { error } = await settled(inChild(t, use, args, { timeout: 30_000 }));
      // Node itself may fail. A crash ends the child by a signal; the calls report each finding at once.
      assert.ok(!/ended with SIG|still running|FOUND/.test(error?.message), `${body}: ${error?.message}`);
    }
  });
}
