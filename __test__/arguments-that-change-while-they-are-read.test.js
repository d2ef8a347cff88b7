'use strict';
// Arguments that a program changes while they are read: memory that is gone, shrinks or is shared, and option
// bags whose getters close the root, throw, or call again. Nothing crashes, nothing is done to a wrong file,
// and what is answered is a result or a clear error.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { inChild } = require('./child');
const { FULL } = require('./sizes');
const {
  bothWays,
  codeOfPromise,
  link,
  memory,
  methods,
  plant,
  sandbox,
  settled,
  snapshot,
  tempDir,
} = require('./support');

const withoutResizing = typeof ArrayBuffer.prototype.resize !== 'function' && 'needs resizable array buffers';

const bytes = (text) => new TextEncoder().encode(text);
/** The bytes of `text` at the start of a buffer with room for `room` more. */
function resizable(text, room = 16) {
  const buffer = new ArrayBuffer(text.length, { maxByteLength: text.length + room });
  new Uint8Array(buffer).set(bytes(text));
  return buffer;
}
function shared(text) {
  const buffer = new SharedArrayBuffer(text.length);
  new Uint8Array(buffer).set(bytes(text));
  return buffer;
}
function detached(view) {
  structuredClone(view.buffer, { transfer: [view.buffer] });
  return view;
}

/** What may come of bytes that are gone: the empty path, or a refusal of what was passed. */
const GONE = /^(ENOENT|ERR_INVALID_ARG_TYPE|ERR_INVALID_ARG_VALUE|ERR_INVALID_STATE)$/;

bothWays('a path in memory that is gone is refused, by every method', async (t, of) => {
  const { dir, root } = sandbox(t, { file: 'content', dir: {} });
  const before = snapshot(dir);
  const second = ['rename', 'renameNoReplace', 'link', 'copyFile', 'cp', 'move', 'exchange'];
  const rest = { chmod: [0o600], truncate: [1], utimes: [1, 2], lutimes: [1, 2], chown: [-1, -1],
    lchown: [-1, -1], writeFile: ['x'], appendFile: ['x'], mkdir: [true], rm: [true, true] }; // biome-ignore format: a list
  const gone = {
    'a Uint8Array': () => detached(bytes('file')),
    'a Buffer': () => detached(Buffer.from(bytes('file').buffer)),
    'a part': () => detached(new Uint8Array(bytes('a file').buffer, 2, 4)),
  };
  for (const method of methods) {
    for (const [what, make] of Object.entries(gone)) {
      const calls = second.includes(method)
        ? [
            [make(), 'new'],
            ['file', make()],
          ]
        : [[...(method === 'symlink' ? ['target'] : []), make(), ...(rest[method] ?? [])]];
      for (const args of calls) {
        const { value, error } = await settled((async () => of(root)[method](...args))());
        if (method === 'exists') assert.strictEqual(value, false);
        // It makes a name that begins with nothing.
        else if (method === 'mkdtemp' && error === undefined) fs.rmdirSync(path.join(dir, value));
        else assert.match(`${error?.code}`, GONE, `${method} of ${what}`);
      }
    }
  }
  assert.deepStrictEqual(snapshot(dir), before);
});

bothWays(
  'a path in shared memory, or in memory that can grow, names what it spells when it is read',
  async (t, of) => {
    const { root } = sandbox(t, { file: 'content', fil: 'shorter' });
    const views = [new Uint8Array(shared('file'))];
    if (!withoutResizing) {
      views.push(new Uint8Array(resizable('file')), new Uint8Array(resizable('file'), 0, 4));
      const growing = new SharedArrayBuffer(4, { maxByteLength: 8 });
      new Uint8Array(growing).set(bytes('file'));
      views.push(new Uint8Array(growing));
    }
    for (const view of views) {
      const { value, error } = await settled((async () => of(root).readFile(view, 'utf8'))());
      if (error === undefined) assert.strictEqual(value, 'content');
      else assert.strictEqual(error.code, 'ERR_INVALID_ARG_TYPE');
    }
    if (withoutResizing) return;
    const buffer = resizable('file');
    const tracking = new Uint8Array(buffer);
    const fixed = new Uint8Array(buffer, 0, 4);
    buffer.resize(3);
    assert.strictEqual(await of(root).readFile(tracking, 'utf8'), 'shorter');
    // It is out of bounds, and of length 0.
    assert.match(await codeOfPromise((async () => of(root).readFile(fixed))()), GONE);
    buffer.resize(0);
    assert.match(await codeOfPromise((async () => of(root).readFile(tracking))()), GONE);
  },
);

bothWays('what is no path is refused, whatever memory it is in', async (t, of) => {
  const { root } = sandbox(t, { file: 'content' });
  const wrong = [
    new DataView(bytes('file').buffer),
    new DataView(shared('file')),
    new Uint16Array(2),
    detached(new Uint16Array(2)),
    new Float64Array(0),
    new Int8Array(bytes('file').buffer),
    new BigInt64Array(1),
    bytes('file').buffer,
    shared('file'),
    { buffer: bytes('file').buffer, byteOffset: 0, byteLength: 4, length: 4 },
    Object.create(Uint8Array.prototype),
    Object.create(Buffer.from('file')),
    new Proxy(Buffer.from('file'), {}),
  ];
  for (const value of wrong)
    assert.strictEqual(await codeOfPromise((async () => of(root).readFile(value))()), 'ERR_INVALID_ARG_TYPE');
});

bothWays('data in any memory is written as it is when it is read, or refused', async (t, of) => {
  const { root, at } = sandbox(t, { file: 'old' });
  const written = async (data) => {
    fs.writeFileSync(at('file'), 'old');
    const { error } = await settled((async () => of(root).writeFile('file', data))());
    const now = fs.readFileSync(at('file'), 'utf8');
    if (error === undefined) return now;
    assert.strictEqual(now, 'old', 'what is refused leaves the file alone');
    assert.strictEqual(error.name, 'TypeError', error.message);
    return error.name;
  };
  assert.strictEqual(await written(new Uint8Array(shared('data'))), 'data');
  assert.strictEqual(await written(new DataView(shared('data'), 1, 2)), 'at');
  for (const view of [bytes('data'), new DataView(bytes('data').buffer), Buffer.from(bytes('data').buffer)])
    assert.match(await written(detached(view)), /^(TypeError|)$/);
  if (withoutResizing) return;
  for (const View of [Uint8Array, DataView]) {
    const buffer = resizable('data');
    const [tracking, fixed] = [new View(buffer), new View(buffer, 1, 3)];
    assert.deepStrictEqual([await written(tracking), await written(fixed)], ['data', 'ata']);
    buffer.resize(6);
    assert.strictEqual(await written(tracking), 'data\0\0');
    buffer.resize(2);
    assert.strictEqual(await written(tracking), 'da');
    assert.match(await written(fixed), /^(TypeError|)$/);
    buffer.resize(0);
    assert.match(await written(fixed), /^(TypeError|)$/);
  }
});

bothWays('a view that lies about where its bytes are gives no byte of another memory', async (t, of) => {
  const { root, at } = sandbox(t, { file: 'old' });
  const neighbour = new ArrayBuffer(1 << 16);
  for (const [lie, value] of [
    ['byteLength', 1 << 30],
    ['byteOffset', 1 << 30],
    ['byteLength', -1],
    ['length', 1 << 30],
    ['buffer', neighbour],
    ['buffer', null],
    ['buffer', {}],
  ]) {
    for (const make of [
      () => bytes('data'),
      () => new DataView(bytes('data').buffer),
      () => Buffer.from('data'),
    ]) {
      const view = Object.defineProperty(make(), lie, { value });
      fs.writeFileSync(at('file'), 'old');
      const { error } = await settled((async () => of(root).writeFile('file', view))());
      const now = fs.readFileSync(at('file'), 'latin1');
      // What it names itself may be written.
      const allowed = ['data', 'old', '\0'.repeat(4)];
      assert.ok(allowed.includes(now), `${lie}: ${now.length} bytes, ${error?.message}`);
      if (error !== undefined) assert.match(error.name, /^(TypeError|RangeError)$/, error.message);
    }
  }
});

bothWays(
  'memory that a getter of the options shrinks, detaches or overwrites is read once',
  {
    skip: withoutResizing,
  },
  async (t, of) => {
    const { dir, root, at } = sandbox(t, { file: 'old', other: 'other' });
    const change = {
      shrinks: (buffer) => buffer.resize(0),
      'shrinks a little': (buffer) => buffer.resize(2),
      grows: (buffer) => buffer.resize(12),
      detaches: (buffer) => detached(new Uint8Array(buffer)),
      overwrites: (buffer) => new Uint8Array(buffer).set(bytes('othe')),
    };
    const KEYS = ['encoding', 'mode', 'flag', 'flush', 'atomic'];
    for (const [what, act] of Object.entries(change)) {
      for (const key of KEYS) {
        for (const role of ['path', 'data']) {
          for (const View of role === 'path' ? [Uint8Array] : [Uint8Array, DataView]) {
            fs.writeFileSync(at('file'), 'old');
            const buffer = resizable(role === 'path' ? 'file' : 'data');
            let asked = 0;
            const options = {
              get [key]() {
                asked += 1;
                if (asked === 1) act(buffer);
                return undefined;
              },
            };
            const view = new View(buffer);
            const call = role === 'path' ? ['data'] : ['file'];
            if (role === 'path') call.unshift(view);
            else call.push(view);
            const { error } = await settled((async () => of(root).writeFile(...call, options))());
            const label = `${role} that ${key} ${what}: ${error?.message}`;
            assert.ok(asked > 0, label);
            assert.deepStrictEqual(fs.readdirSync(dir), ['file', 'other'], label);
            assert.strictEqual(fs.readFileSync(at('other'), 'utf8'), 'other', label);
            const now = fs.readFileSync(at('file'), 'latin1');
            if (error !== undefined) assert.strictEqual(now, 'old', label);
            else if (role === 'path') assert.strictEqual(now, 'data', label);
            else assert.match(now, /^(data|da|othe||data\0{8})$/, label);
          }
        }
      }
    }
  },
);

/** The option of every method that has some, and a call with them that would succeed. */
const BAGS = {
  rename: { keys: ['to'], args: ['file', 'new'] },
  renameNoReplace: { keys: ['to'], args: ['file', 'new'] },
  link: { keys: ['to'], args: ['file', 'new'] },
  copyFile: { keys: ['signal', 'to', 'reflink', 'exclusive'], args: ['file', 'new', null] },
  rm: { keys: ['signal', 'onProgress'], args: ['dir', true, false] },
  stat: { keys: ['bigint', 'throwIfNoEntry'], args: ['file'] },
  lstat: { keys: ['bigint', 'throwIfNoEntry'], args: ['file'] },
  statfs: { keys: ['bigint'], args: ['file'] },
  readlink: { keys: ['encoding'], args: ['tofile'] },
  realpath: { keys: ['encoding'], args: ['file'] },
  mkdtemp: { keys: ['encoding'], args: ['made'] },
  readdir: { keys: ['signal', 'withFileTypes', 'recursive', 'encoding'], args: ['dir'] },
  readFile: { keys: ['encoding', 'maxBytes'], args: ['file'] },
  writeFile: { keys: ['encoding', 'mode', 'flag', 'flush', 'atomic'], args: ['file', 'data'] },
  appendFile: { keys: ['encoding', 'mode', 'flag', 'flush'], args: ['file', 'data'] },
  cp: {
    keys: ['signal', 'onProgress', 'to', 'reflink', 'recursive', 'force', 'errorOnExist',
      'preserveTimestamps', 'preserve', 'ignoreVanished', 'verbatimSymlinks', 'filter'], // biome-ignore format: a list
    args: ['file', 'new'],
  },
  move: { keys: ['signal', 'onProgress', 'to', 'overwrite', 'flush'], args: ['file', 'new'] },
  openRoot: { keys: ['symlinks', 'mounts', 'hardlinks', 'readonly'], args: ['dir'] },
};
const TREE = { file: 'content', tofile: link('file'), dir: { inner: 'inner' } };

/**
 * In a process of its own: every option of every method is a getter that does something while the arguments are
 * read. Gives back what went wrong. `victim`: a folder with the same names, of which roots are made meanwhile.
 */
async function readWithGetters(support, bags, dir, victim, full) {
  const { plant, release, settled, snapshot } = require(support);
  const TREE = {
    file: 'content',
    tofile: { link: 'file' },
    dir: { inner: 'inner' },
  };
  process.on('unhandledRejection', (error) => wrong.push(`unhandled: ${error?.stack}`));
  const wrong = [];
  let tried = 0;
  const before = JSON.stringify(snapshot(victim));
  let count = 0;
  const kept = [];
  /** What a getter does; gives back the value of the option. */
  const ACTS = {
    closes: ({ root }) => root.close(),
    'closes and opens others': ({ root }) => {
      root.close();
      for (let i = 0; i < 20; i++) kept.push(new SandboxRoot(victim));
    },
    'closes, drops and opens others': (all) => {
      all.root.close();
      global.gc();
      for (let i = 0; i < 20; i++) kept.push(new SandboxRoot(victim));
    },
    throws: ({ thrown }) => {
      throw thrown;
    },
    'calls again': ({ again }) => again(),
    'calls what fails': ({ root }) => {
      try {
        root.stat('missing');
      } catch {}
    },
    'collects garbage': () => global.gc(),
    'is an odd value': () => Symbol('odd'),
    'is a revoked proxy': () => {
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      return proxy;
    },
    'changes the arguments': ({ args }) => args.fill('file'),
  };
  for (const [method, { keys, args: given }] of Object.entries(bags)) {
    for (const key of keys) {
      for (const [act, perform] of Object.entries(ACTS)) {
        // The promises read as the calls do: by default each case is tried with one of the two.
        for (const later of full ? [false, true] : [(tried + Math.floor(tried / 10)) % 2 === 1]) {
          const at = `${dir}/${count++}`;
          fs.mkdirSync(at);
          plant(at, TREE);
          const root = new SandboxRoot(at);
          const face = later ? root.promises : root;
          const thrown = new Error('thrown by a getter');
          const args = [...given];
          const label = `${method}, ${key} ${act}${later ? ', promise' : ''}`;
          let asked = 0;
          const options = Object.defineProperty({}, key, {
            enumerable: true,
            get() {
              asked += 1;
              const again = () => {
                // To the third level.
                if (asked < 3)
                  others.push(settled((async () => release(await face[method](...given, options)))()));
              };
              const value = asked < 4 ? perform({ root, again, thrown, args }) : undefined;
              return act.startsWith('is ') ? value : undefined;
            },
          });
          args.push(options);
          const fds = fs.readdirSync('/proc/self/fd').length;
          const inner = [];
          const others = [];
          const { value, error } = await settled(
            (async () => release(await face[method](...args)))().catch((error) => {
              inner.push(error);
              throw error;
            }),
          );
          for (const other of others) await other;
          tried += 1;
          const complain = (what) =>
            wrong.push(
              `${label}: ${what} ${error?.message ?? JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? `${v}` : v))}`,
            );
          if (asked === 0) complain('was not asked');
          if (act === 'throws' && inner[0] !== thrown) complain('threw another error:');
          if (error !== undefined && act !== 'throws') {
            if (!/^[A-Z][A-Z0-9_]+$/.test(`${error.code}`) && !/^(TypeError|RangeError)$/.test(error.name))
              complain('threw no clear error:');
          }
          // What is not refused is done to this root and no other.
          if (JSON.stringify(snapshot(victim)) !== before) complain('changed another root:');
          if (act.startsWith('closes') && !root.closed) complain('is not closed:');
          root.close();
          await new Promise((resolve) => setImmediate(resolve));
          for (const each of kept.splice(0)) each.close();
          const more = fs.readdirSync('/proc/self/fd').length - fds;
          // That of the root itself is closed by now.
          if (more > 0) complain(`leaves ${more} descriptors:`);
        }
      }
    }
  }
  return { wrong, tried };
}

test('a getter that closes the root, throws, or calls again harms nothing', async (t) => {
  const [dir, victim] = [tempDir(t, memory), tempDir(t, memory)];
  plant(victim, TREE);
  const support = path.join(__dirname, 'support.js');
  const { wrong, tried } = await inChild(t, readWithGetters, [support, BAGS, dir, victim, FULL], {
    node: ['--expose-gc'],
  });
  t.diagnostic(`${tried} calls`);
  assert.deepStrictEqual(wrong, []);
});

/** In a process of its own: a signal that is another one when it is looked at again. */
async function changeSignals(dir, later) {
  const unhandled = [];
  process.on('unhandledRejection', (error) => unhandled.push(`${error?.message}`));
  const root = new SandboxRoot(dir);
  const told = [];
  for (const second of [
    {},
    1,
    'x',
    { aborted: true },
    { addEventListener: 1 },
    null,
    AbortSignal.abort(),
    'throws',
  ]) {
    for (const [method, ...args] of [
      ['rm', 'missing', true, false],
      ['rm', 'dir/inner', false, true],
      ['cp', 'missing', 'new'],
      ['cp', 'file', 'new'],
      ['readdir', 'missing'],
      ['move', 'missing', 'new'],
      ['copyFile', 'missing', 'new', null],
    ]) {
      let asked = 0;
      const options = {
        get signal() {
          asked += 1;
          if (asked === 1) return new AbortController().signal;
          if (second === 'throws') throw new Error('thrown by a getter');
          return second;
        },
      };
      try {
        await (later ? root.promises : root)[method](...args, options);
        told.push('done');
      } catch (error) {
        told.push(error?.code ?? error?.name ?? String(error));
      }
    }
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  return { unhandled, told };
}

for (const later of [false, true]) {
  test(`a signal that changes while it is read leaves no rejection unhandled (${later ? 'promises' : 'calls'})`, async (t) => {
    const { dir } = sandbox(t, TREE);
    const { unhandled, told } = await inChild(t, changeSignals, [dir, later]);
    assert.deepStrictEqual(unhandled, []);
    assert.ok(told.includes('done') && told.includes('ENOENT'), JSON.stringify(told));
  });
}
