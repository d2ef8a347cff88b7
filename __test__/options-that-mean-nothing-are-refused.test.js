'use strict';
// Options that a method does not have, and a `to` that is no root: refused, with nothing touched. Taken for no options,
// they would act in another root than the caller means, or without a limit that he set.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const { SandboxRoot } = require('..');
const { bothWays, link, sandbox, settled, snapshot } = require('./support');

const TREE = { f: 'content', dir: { inner: '', deeper: { x: '' } }, tofile: link('f') };

/**
 * Each method that takes options: a call with them that succeeds, its own keys, and those that Node's function of
 * this name has beside them, and that may be there.
 */
const METHODS = {
  rename: { call: (of, options) => of.rename('f', 'g', options), to: true },
  renameNoReplace: { call: (of, options) => of.renameNoReplace('f', 'g', options), to: true },
  link: { call: (of, options) => of.link('f', 'g', options), to: true },
  copyFile: { call: (of, options) => of.copyFile('f', 'g', 0o644, options), to: true },
  cp: { call: (of, options) => of.cp('f', 'g', options), to: true, harmless: { mode: 0 } },
  move: { call: (of, options) => of.move('f', 'g', options), to: true },
  rm: {
    call: (of, options) => of.rm('f', false, false, options),
    harmless: { maxRetries: 3, retryDelay: 100 },
  },
  symlink: { call: (of, options) => of.symlink('f', 'new', options) },
  mkdtemp: { call: (of, options) => of.mkdtemp('new', options) },
  readlink: { call: (of, options) => of.readlink('tofile', options) },
  realpath: { call: (of, options) => of.realpath('f', options) },
  stat: { call: (of, options) => of.stat('f', options) },
  lstat: { call: (of, options) => of.lstat('f', options) },
  statfs: { call: (of, options) => of.statfs('f', options) },
  readdir: { call: (of, options) => of.readdir('dir', options) },
  opendir: {
    call: async (of, options) => (await of.opendir('dir', options)).close(),
    harmless: { bufferSize: 32 },
  },
  readFile: { call: (of, options) => of.readFile('f', options) },
  writeFile: { call: (of, options) => of.writeFile('f', 'new', options) },
  appendFile: { call: (of, options) => of.appendFile('f', 'new', options) },
  openRoot: { call: (of, options) => of.openRoot('dir', options) },
};

/** Those that are no promises. */
const OTHERS = {
  walk: (root, options) => root.walk('dir', options),
  constructor: (root, options) => new SandboxRoot(root.readlink('here'), options),
};

/** Words that look like an option of one of the methods, and are none of any. */
const MISSPELT = [
  'To', 'too', 'maxbytes', 'exclusiv', 'Signal', 'abortSignal', 'onprogress', 'recursiv', 'Force', 'Atomic', 'overWrite',
  'withFiletypes', 'bigInt', 'throwIfNoentry', 'preserveTimeStamps', 'readOnly', 'symlink', '', '__proto__', 'constructor',
]; // biome-ignore format: a list

async function refused({ t, of, call, options, code, what }) {
  const { dir, root } = sandbox(t, TREE);
  const before = snapshot(dir);
  const { error } = await settled((async () => call(of(root), options(root)))());
  assert.deepStrictEqual([error?.name, error?.code], ['TypeError', code], what);
  assert.deepStrictEqual(snapshot(dir), before, what);
}

/** An own key of any name. */
const keyed = (name, value) => Object.defineProperty({}, name, { value, enumerable: true });

test('every method that takes options is in the table', () => {
  const source = fs.readFileSync(require.resolve('../lib/methods.js'), 'utf8');
  const readers = /check\.options(OrEncoding)?\(|= (isNameAsBuffer|otherRoot)\(/g;
  assert.strictEqual(source.match(readers).length, 18, 'a call of it is new');
});

for (const [method, { call, to = false, harmless = {} }] of Object.entries(METHODS)) {
  bothWays(`${method}: a key that it does not have is refused, whatever it holds`, async (t, of) => {
    for (const name of [...MISSPELT, ...(to ? [] : ['to'])]) {
      for (const value of [true, undefined, null, 1]) {
        const options = () => keyed(name, value);
        await refused({ t, of, call, options, code: 'ERR_INVALID_ARG_VALUE', what: `${name}: ${value}` });
      }
    }
  });

  bothWays(`${method}: a root, or its promises, are no options`, async (t, of) => {
    const other = sandbox(t).root;
    for (const [what, options] of Object.entries({
      itself: (root) => root,
      'another one': () => other,
      'a Proxy of one': () => new Proxy(other, {}),
      'one that inherits from one': () => Object.create(other),
      'its promises': () => other.promises,
    })) {
      await refused({ t, of, call, options, code: 'ERR_INVALID_ARG_TYPE', what });
    }
  });

  bothWays(`${method}: what Node's function has and means nothing here is let through`, async (t, of) => {
    const { root } = sandbox(t, TREE);
    const value = await call(of(root), harmless);
    if (value instanceof SandboxRoot) value.close();
  });

  if (!to) continue;
  bothWays(`${method}: a \`to\` that is no root is refused`, async (t, of) => {
    const other = sandbox(t).root;
    const wrong = [
      undefined,
      null,
      {},
      other.promises,
      Object.create(other),
      new Proxy(other, {}),
      '.',
      1,
      true,
      SandboxRoot,
    ];
    for (const to of wrong) {
      await refused({
        t,
        of,
        call,
        options: () => ({ to }),
        code: 'ERR_INVALID_ARG_TYPE',
        what: String(typeof to),
      });
    }
  });
}

test('walk and the constructor, too', async (t) => {
  const { dir, root } = sandbox(t, TREE);
  fs.symlinkSync(dir, `${dir}/here`);
  const before = snapshot(dir);
  for (const [name, call] of Object.entries(OTHERS)) {
    for (const key of [...MISSPELT, 'to'])
      assert.throws(() => call(root, keyed(key, true)), { code: 'ERR_INVALID_ARG_VALUE' }, `${name} ${key}`);
    for (const given of [root, root.promises, new Proxy(root, {})])
      assert.throws(() => call(root, given), { code: 'ERR_INVALID_ARG_TYPE' }, name);
  }
  assert.deepStrictEqual(snapshot(dir), before);
});

bothWays('what went wrong without a word does not', async (t, of) => {
  const [a, b] = [sandbox(t, TREE), sandbox(t)];
  const before = [snapshot(a.dir), snapshot(b.dir)];
  const one = of(a.root);
  for (const [what, call, code] of [
    ['rename(f, g, b)', () => one.rename('f', 'g', b.root), 'ERR_INVALID_ARG_TYPE'],
    ['cp(f, g, b)', () => one.cp('f', 'g', b.root), 'ERR_INVALID_ARG_TYPE'],
    ['copyFile(f, g, 0o644, b)', () => one.copyFile('f', 'g', 0o644, b.root), 'ERR_INVALID_ARG_TYPE'],
    ['copyFile(f, g, b)', () => one.copyFile('f', 'g', b.root), 'ERR_INVALID_ARG_TYPE'],
    ['rm(f, b)', () => one.rm('f', b.root), 'ERR_INVALID_ARG_TYPE'],
    ['{ To: b }', () => one.rename('f', 'g', { To: b.root }), 'ERR_INVALID_ARG_VALUE'],
    ['{ maxbytes: 1 }', () => one.readFile('f', { maxbytes: 1 }), 'ERR_INVALID_ARG_VALUE'],
    [
      '{ exclusiv: true }',
      () => one.copyFile('f', 'tofile', null, { exclusiv: true }),
      'ERR_INVALID_ARG_VALUE',
    ],
  ]) {
    const { error } = await settled((async () => call())());
    assert.deepStrictEqual([error?.name, error?.code], ['TypeError', code], what);
  }
  assert.deepStrictEqual([snapshot(a.dir), snapshot(b.dir)], before);
});

test('the error names the keys that there are', (t) => {
  const { root } = sandbox(t, TREE);
  assert.throws(() => root.link('f', 'g', { To: root }), {
    message: "The argument 'options' has a key that is none of: to, signal. Received 'To'",
  });
  assert.throws(() => root.link('f', 'g', root), {
    message: 'The "options" argument must be of type object. Received an instance of SandboxRoot',
  });
  assert.throws(() => root.link('f', 'g', { to: undefined }), {
    message: 'The "options.to" property must be an instance of SandboxRoot. Received undefined',
  });
});
