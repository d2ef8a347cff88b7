'use strict';
// Numbers and booleans are checked, not coerced, and nothing is touched before all of them hold.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const { isDate } = require('node:util/types');
const { SandboxRoot } = require('..');
const { inChild } = require('./child');
const { outcome, sandbox, snapshot } = require('./support');

const TREE = { file: 'content', dir: {}, other: 'other' };

/** Each numeric argument: the call with it, and the same on node:fs where Node checks it too. */
const MODES = {
  chmod: [(root, mode) => root.chmod('file', mode), (mode) => fs.chmodSync('/dev/null/x', mode)],
  mkdir: [(root, mode) => root.mkdir('new', false, mode)],
  'mkdir recursive': [(root, mode) => root.mkdir('new/deep', true, mode)],
  copyFile: [(root, mode) => root.copyFile('file', 'new', mode)],
  openWrite: [(root, mode) => root.openWrite('new', true, true, false, mode)],
};
const LENGTHS = { truncate: [(root, len) => root.truncate('file', len)] };
const TIMES = {
  atimeNs: [(root, ns) => root.utimes('file', ns, 0)],
  mtimeNs: [(root, ns) => root.utimes('file', 0, ns)],
};
const FLAGS = {
  'mkdir recursive': (root, flag) => root.mkdir('new', flag),
  'rm recursive': (root, flag) => root.rm('dir', flag),
  'rm force': (root, flag) => root.rm('file', false, flag),
  'openWrite create': (root, flag) => root.openWrite('new', flag),
  'openWrite truncate': (root, flag) => root.openWrite('file', true, flag),
  'openWrite append': (root, flag) => root.openWrite('file', true, false, flag),
};

const NOT_INTEGERS = [NaN, Infinity, -Infinity, 1.5, -0.5, Number.MIN_VALUE];
const NOT_NUMBERS = ['755', '', true, {}, [], Symbol('x'), () => 1, new Number(1), new Date()];

/** Makes the call in a fresh sandbox, and has it refused with nothing changed. */
function refused(t, call, value) {
  const { dir, root } = sandbox(t, TREE);
  const before = snapshot(dir);
  const fds = fs.readdirSync('/proc/self/fd').length;
  const { error } = outcome(() => call(root, value));
  assert.ok(error, `${String(value)} is refused`);
  assert.deepStrictEqual(snapshot(dir), before);
  assert.strictEqual(fs.readdirSync('/proc/self/fd').length, fds, 'no descriptor is left');
  const { name, code, message } = error;
  return { name, code, message };
}

const outOfRange = (name, range, shown) => ({
  name: 'RangeError',
  code: 'ERR_OUT_OF_RANGE',
  message: `The value of "${name}" is out of range. It must be ${range}. Received ${shown}`,
});

for (const [calls, name, outside] of [
  [
    MODES,
    'mode',
    [
      [-1, '-1'],
      [2 ** 32, '4294967296'],
      [2 ** 53, '9_007_199_254_740_992'],
      [-(2 ** 40), '-1_099_511_627_776'],
    ],
  ],
  [
    LENGTHS,
    'len',
    [
      [-1, '-1'],
      [2 ** 53, '9_007_199_254_740_992'],
      [1e300, String(1e300)],
    ],
  ],
  [
    TIMES,
    null,
    [
      [2n ** 63n * 10n ** 9n, '9_223_372_036_854_775_808_000_000_000n'],
      [-(2n ** 63n) * 10n ** 9n - 1n, '-9_223_372_036_854_775_808_000_000_001n'],
      [2n ** 64n * 10n ** 9n, '18_446_744_073_709_551_616_000_000_000n'],
      [-(2n ** 1000n), `-${(2n ** 1000n).toString().replace(/\B(?=(\d{3})+$)/g, '_')}n`],
      [1e28, '1e+28'],
    ],
  ],
]) {
  for (const [label, [call]] of Object.entries(calls)) {
    const argument = name ?? label;
    test(`${label}: ${argument} is an integer in range`, (t) => {
      for (const value of NOT_INTEGERS) {
        assert.deepStrictEqual(refused(t, call, value), outOfRange(argument, 'an integer', String(value)));
      }
      for (const [value, shown] of outside) {
        const { message, ...rest } = refused(t, call, value);
        assert.deepStrictEqual(rest, { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
        assert.ok(message.startsWith(`The value of "${argument}" is out of range. It must be >= `), message);
        assert.ok(message.endsWith(`. Received ${shown}`), message);
      }
    });
    const isTime = calls === TIMES;
    const type = isTime ? 'number or bigint, or an instance of Date' : 'number';
    test(`${label}: ${argument} is of type ${type}`, (t) => {
      const missing = ['chmod', 'truncate'].includes(label) ? [undefined, null] : isTime ? [undefined] : [];
      for (const value of [...NOT_NUMBERS, ...missing].filter((value) => !isTime || !isDate(value))) {
        const { name: kind, code, message } = refused(t, call, value);
        assert.deepStrictEqual([kind, code], ['TypeError', 'ERR_INVALID_ARG_TYPE']);
        assert.ok(
          message.startsWith(`The "${argument}" argument must be of type ${type}. Received `),
          message,
        );
      }
    });
  }
}

test('a mode that is out of range is refused in the words of Node', (t) => {
  for (const value of [NaN, Infinity, 1.5, -1, 2 ** 32, 2 ** 53, -(2 ** 40)]) {
    const { name, code, message } = outcome(() => fs.chmodSync('missing', value)).error;
    assert.deepStrictEqual(refused(t, MODES.chmod[0], value), { name, code, message });
  }
  for (const value of [Symbol('x'), {}, () => 1]) {
    const { name, code, message } = outcome(() => fs.fchmodSync(1, value)).error;
    assert.deepStrictEqual(refused(t, MODES.chmod[0], value), { name, code, message });
  }
});

for (const [label, call] of Object.entries(FLAGS)) {
  test(`${label} is true, false, null or undefined`, (t) => {
    for (const value of [0, 1, '', 'true', {}, [], Symbol('x'), 1n]) {
      const { name, code, message } = refused(t, call, value);
      assert.deepStrictEqual([name, code], ['TypeError', 'ERR_INVALID_ARG_TYPE']);
      const argument = label.split(' ')[1];
      assert.ok(message.startsWith(`The "${argument}" argument must be of type boolean. Received `), message);
    }
  });
}

test('every optional takes null as if it were not given', (t) => {
  const { root, at } = sandbox(t, TREE);
  process.umask(0);
  t.after(() => process.umask(0o022));
  root.mkdir('a', null, null);
  root.copyFile('file', 'b', null);
  root.rm('b', null, null);
  root.copyFile('file', 'b');
  fs.closeSync(root.openWrite('b', null, null, null, null));
  fs.closeSync(root.openWrite('c', true, null, null, null));
  assert.strictEqual(fs.statSync(at('a')).mode & 0o7777, 0o755);
  assert.strictEqual(fs.statSync(at('c')).mode & 0o7777, 0o666);
});

test('what is passed beyond the arguments is not looked at', (t) => {
  const { at, root } = sandbox(t, { file: 'content', dir: { inside: '' } });
  root.move('file', 'moved', undefined, 1, 2, 3);
  root.cp('dir', 'copy', { recursive: true }, 1, 2, 3);
  assert.deepStrictEqual(fs.readdirSync(at('copy')), ['inside']);
  assert.strictEqual(root.stat('moved', undefined, 1, 2, 3, 4, 5, 6).size, 7);
});

test('truncate together with append is refused', (t) => {
  assert.deepStrictEqual(
    refused(t, (root) => root.openWrite('file', true, true, true)),
    {
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_VALUE',
      message: "The argument 'truncate' cannot be true with 'append'. Received true",
    },
  );
});

test('a bad number is reported before a bad path', (t) => {
  const { error } = outcome(() => sandbox(t).root.chmod('../x', -1));
  assert.strictEqual(error.code, 'ERR_OUT_OF_RANGE');
});

test('a method called on something else than a root says so, and touches nothing', (t) => {
  const { dir, root } = sandbox(t, TREE);
  const before = snapshot(dir);
  for (const that of [
    undefined,
    null,
    1,
    'x',
    {},
    globalThis,
    SandboxRoot,
    SandboxRoot.prototype,
    Object.create(root),
    new Proxy(root, {}),
  ]) {
    const { error } = outcome(() => SandboxRoot.prototype.unlink.call(that, 'file'));
    assert.deepStrictEqual(
      [error?.name, error?.code],
      ['TypeError', 'ERR_INVALID_THIS'],
      String(typeof that),
    );
  }
  assert.deepStrictEqual(snapshot(dir), before);
});

test('the class called without new is refused, and binds itself to nothing', () => {
  for (const call of [
    () => SandboxRoot('/tmp'),
    () => SandboxRoot.call({}, '/tmp'),
    () => SandboxRoot.call(globalThis, '/tmp'),
  ]) {
    assert.strictEqual(outcome(call).error?.name, 'TypeError');
  }
  assert.strictEqual(
    outcome(() => SandboxRoot.prototype.stat.call(globalThis, '.')).error.code,
    'ERR_INVALID_THIS',
  );
});

/** What setters of `Object.prototype` are handed while roots are made, used and fail. */
async function setBySetters(dir) {
  const { defineProperty } = Object;
  const seen = [];
  const fields = ['errno', 'syscall', 'reason', 'reasonText', 'path', 'dest', 'entries'];
  for (const name of ['handle', 'policy', ...fields]) {
    const set = function (value) {
      // An error is the caller's, and a module is Node's.
      if (!(this instanceof Error || this instanceof module.constructor)) seen.push(name);
      defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true });
    };
    defineProperty(Object.prototype, name, { set, configurable: true });
  }
  // What a job does first is handed what does it.
  Object.prototype.before = () => {
    seen.push('before');
    return [].values();
  };
  const root = new SandboxRoot(dir);
  root.openRoot('.').close();
  await root.promises.stat('file');
  await root.promises.readFile('file');
  const codes = [];
  for (const call of [() => root.stat('missing'), () => root.rename('missing', 'x')]) {
    try {
      call();
    } catch ({ code }) {
      codes.push(code);
    }
  }
  return { seen, codes };
}

test('no setter of a prototype is handed what a root or a failure holds', async (t) => {
  const { dir } = sandbox(t, TREE);
  const { seen, codes } = await inChild(t, setBySetters, [dir]);
  assert.deepStrictEqual([seen, codes], [[], ['ENOENT', 'ENOENT']]);
});

test('methods sit on the prototype, can be replaced there and on an instance, and a class can extend it', (t) => {
  const { dir, root } = sandbox(t, TREE);
  class Logged extends SandboxRoot {
    seen = [];
    stat(at) {
      this.seen.push(at);
      return super.stat(at);
    }
  }
  const logged = new Logged(dir);
  assert.strictEqual(logged.stat('file').size, 7);
  assert.deepStrictEqual(logged.seen, ['file']);

  const { stat } = SandboxRoot.prototype;
  t.after(() => {
    SandboxRoot.prototype.stat = stat;
  });
  SandboxRoot.prototype.stat = () => 'replaced';
  assert.strictEqual(root.stat('file'), 'replaced');
  root.stat = () => 'mine';
  assert.strictEqual(root.stat('file'), 'mine');
  root.extra = 1;
  assert.ok(Object.isExtensible(root));
});
