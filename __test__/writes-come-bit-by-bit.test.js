'use strict';
// Promised writeFile and appendFile of what comes bit by bit, and of what is long: in place and in one step; what
// fails or is stopped leaves nothing.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const http = require('node:http');
const { once } = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');
const { PassThrough, Readable } = require('node:stream');
const { SandboxRoot } = require('..');
const { inChild } = require('./child');
const {
  POLICIES,
  codeOf,
  codeOfPromise,
  file,
  link,
  memory,
  sandbox,
  settled,
  snapshot,
} = require('./support');

const MiB = 2 ** 20;
const read = (at, encoding = 'utf8') => fs.readFileSync(at, encoding);

async function* later(...bits) {
  for (const bit of bits) {
    await sleep(1);
    yield bit;
  }
}

function* failing(error, ...bits) {
  yield* bits;
  throw error;
}

const SOURCES = {
  'an array': () => ['a', 'bé', Buffer.from('c')],
  'an array of promises': () => [Promise.resolve('a'), 'bé', Promise.resolve(Buffer.from('c'))],
  'a generator': () => (function* () { yield 'a'; yield ''; yield 'bé'; yield new DataView(new Uint8Array([99]).buffer); })(),
  'an async generator': () => later('a', 'bé', new Uint16Array(0), 'c'),
  'a set': () => new Set(['a', 'bé', 'c']),
  'a stream': () => Readable.from([Buffer.from('abé'), Buffer.from('c')]),
  'a stream of strings': () => new PassThrough({ encoding: 'utf8' }).end('abéc'),
}; // biome-ignore format: a table

for (const symlinks of POLICIES)
  for (const atomic of [false, true])
    test(`all kinds of sources are written, ${atomic ? 'in one step' : 'in place'}, under '${symlinks}'`, async (t) => {
      const { dir, at } = sandbox(t, { old: file('what was there before', 0o640) });
      const { promises } = new SandboxRoot(dir, { symlinks });
      for (const [what, source] of Object.entries(SOURCES)) {
        for (const name of ['old', 'new']) {
          assert.strictEqual(await promises.writeFile(name, source(), { atomic, flush: atomic }), undefined);
          assert.strictEqual(read(at(name)), 'abéc', what);
        }
        fs.unlinkSync(at('new'));
        await promises.writeFile('exclusive', source(), { atomic, flag: 'wx' });
        assert.strictEqual(
          await codeOfPromise(promises.writeFile('exclusive', source(), { atomic, flag: 'wx' })),
          'EEXIST',
        );
        fs.unlinkSync(at('exclusive'));
        if (atomic) continue;
        await promises.appendFile('old', source());
        await promises.appendFile('more', source());
        assert.deepStrictEqual([read(at('old')), read(at('more'))], ['abécabéc', 'abéc']);
        fs.unlinkSync(at('more'));
      }
      await promises.writeFile('hex', ['6162', '63'], { encoding: 'hex', atomic, mode: 0o600 });
      assert.deepStrictEqual([read(at('hex')), fs.statSync(at('hex')).mode & 0o777], ['abc', 0o600]);
      await promises.writeFile('none', [], { atomic });
      assert.strictEqual(read(at('none')), '');
      assert.strictEqual((fs.statSync(at('old')).mode & 0o777).toString(8), '640');
      assert.deepStrictEqual(fs.readdirSync(dir).sort(), ['hex', 'none', 'old']);
    });

test('long strings and views are written as they are, cut at no character', async (t) => {
  const { root, at } = sandbox(t, {}, memory);
  const text = `${'x'.repeat(174_761)}😀${'é€😀'.repeat(200_000)}\ud800 ${'y'.repeat(MiB)}`;
  const bytes = Buffer.from(Array.from({ length: 3 * MiB + 7 }, (_, i) => (i * 7) & 255));
  for (const atomic of [false, true]) {
    await root.promises.writeFile('text', text, { atomic });
    assert.ok(read(at('text'), null).equals(Buffer.from(text)));
    for (const view of [bytes, new DataView(bytes.buffer, bytes.byteOffset + 3, 2 * MiB), new Float64Array(MiB / 4)]) {
      await root.promises.writeFile('bytes', view, { atomic });
      const expected = Buffer.from(view.buffer, view.byteOffset, view.byteLength);
      assert.ok(read(at('bytes'), null).equals(expected));
    }
    for (const encoding of ['latin1', 'utf16le', 'base64', 'hex', 'ascii']) {
      const encoded = bytes.toString(encoding);
      await root.promises.writeFile('bytes', encoded, { atomic, encoding });
      assert.ok(read(at('bytes'), null).equals(Buffer.from(encoded, encoding)), encoding);
    }
  }
  // One bit that is long, too.
  await root.promises.appendFile('text', [text, bytes]);
  assert.ok(read(at('text'), null).equals(Buffer.concat([Buffer.from(text), Buffer.from(text), bytes])));
}); // biome-ignore format: a list

for (const atomic of [false, true])
  test(`what fails leaves nothing that it made, ${atomic ? 'in one step' : 'in place'}`, async (t) => {
    const { dir, root, at } = sandbox(t, { old: 'old', dir: {}, tofile: link('old') });
    const { promises } = root;
    const before = snapshot(dir);
    const mine = new Error('mine');
    async function* failingLater() {
      yield 'part';
      throw mine;
    }
    const broken = { [Symbol.asyncIterator]: () => ({ next: () => { throw mine; } }) }; // biome-ignore format: short
    const names = atomic ? ['new', 'old'] : ['new'];
    for (const name of names) {
      for (const source of [failing(mine, 'part'), failingLater(), broken, failing(mine)])
        await assert.rejects(promises.writeFile(name, source, { atomic }), (error) => error === mine);
      for (const wrong of [1, null, undefined, {}, [], true, Symbol('x')])
        assert.strictEqual(await codeOfPromise(promises.writeFile(name, ['part', wrong], { atomic })), 'ERR_INVALID_ARG_TYPE');
      const destroyed = new PassThrough();
      setTimeout(() => destroyed.destroy(mine), 20);
      await assert.rejects(promises.writeFile(name, destroyed, { atomic }), (error) => error === mine);
      assert.deepStrictEqual(snapshot(dir), before);
    }
    for (const [name, code] of [['dir', 'EISDIR'], ['missing/x', 'ENOENT'], ['../x', 'EACCES'], ['new/', 'EISDIR']]) {
      let asked = false;
      const source = (function* () { asked = true; yield 'x'; })(); // biome-ignore format: short
      const { error } = await settled(promises.writeFile(name, source, { atomic }));
      assert.deepStrictEqual([error.code, error.path, asked], [code, name, false]);
    }
    const readonly = new SandboxRoot(dir, { readonly: true });
    assert.strictEqual(await codeOfPromise(readonly.promises.writeFile('new', ['x'], { atomic })), 'EROFS');
    for (const wrong of [1, null, undefined, {}, true, new ArrayBuffer(3)])
      assert.strictEqual(await codeOfPromise(promises.writeFile('new', wrong, { atomic })), 'ERR_INVALID_ARG_TYPE');
    for (const source of [['x'], new Set(), later('x'), Readable.from(['x'])])
      assert.strictEqual(codeOf(() => root.writeFile('new', source, { atomic })), 'ERR_INVALID_ARG_TYPE');
    assert.throws(() => root.writeFile('new', ['x']), /bit-by-bit/.test(mine.stack) ? { stack: /bit-by-bit/ } : {});
    assert.deepStrictEqual(snapshot(dir), before);
    // Somebody else's file under that name is not removed.
    if (!atomic) {
      await assert.rejects(
        promises.writeFile('new', (function* () { yield 'x'; fs.renameSync(at('new'), at('moved')); fs.writeFileSync(at('new'), 'theirs'); throw mine; })()),
      );
      assert.deepStrictEqual([read(at('new')), read(at('moved'))], ['theirs', 'x']);
    }
  }); // biome-ignore format: a table

for (const atomic of [false, true])
  test(`a signal stops it between chunks, and while it waits, ${atomic ? 'in one step' : 'in place'}`, async (t) => {
    const { dir, root } = sandbox(t, {});
    for (const what of ['before', 'between', 'while it waits', 'while a stream waits', 'in a long one']) {
      const controller = new AbortController();
      const { signal } = controller;
      let ended = false;
      const source = {
        before: () => later('x'),
        between: () => (function* () { try { yield 'x'; controller.abort('why'); yield 'y'; } finally { ended = true; } })(),
        'while it waits': () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}), return: () => { ended = true; return {}; } }) }),
        'while a stream waits': () => new PassThrough().once('close', () => { ended = true; }),
        'in a long one': () => Buffer.alloc(64 * MiB),
      }[what]();
      if (what === 'before') controller.abort('why');
      else setTimeout(() => controller.abort('why'), what === 'in a long one' ? 2 : 20);
      const { error } = await settled(root.promises.writeFile('new', source, { atomic, signal }));
      await sleep(5);
      assert.deepStrictEqual([error?.name, error?.code], ['AbortError', 'ABORT_ERR'], what);
      assert.strictEqual(ended, !['before', 'in a long one'].includes(what), what);
      assert.deepStrictEqual(fs.readdirSync(dir), [], what);
    }
  }); // biome-ignore format: a table

test('with ifMatch too: what came meanwhile stays', async (t) => {
  const { dir, root, at } = sandbox(t, { file: 'one' });
  const options = () => ({ atomic: true, ifMatch: root.lstat('file', { version: true }).version });
  await root.promises.writeFile('file', later('t', 'wo'), options());
  assert.strictEqual(read(at('file')), 'two');
  const stale = root.promises.writeFile('file', later('x', 'y', 'z'), options());
  root.writeFile('file', 'theirs', { atomic: true });
  assert.strictEqual(await codeOfPromise(stale), 'ESTALE');
  assert.deepStrictEqual([read(at('file')), fs.readdirSync(dir)], ['theirs', ['file']]);
});

test('a root that is closed meanwhile does not matter, and memory that is taken away does', async (t) => {
  const { dir, root, at } = sandbox(t, {}, memory);
  const other = new SandboxRoot(dir);
  const done = other.promises.writeFile('file', later('a', 'b', 'c'), { atomic: true });
  await sleep(1);
  other.close();
  await done;
  assert.strictEqual(read(at('file')), 'abc');
  const bytes = new Uint8Array(4 * MiB);
  const writing = root.promises.writeFile('gone', bytes);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  await assert.rejects(writing, TypeError);
  assert.deepStrictEqual(fs.readdirSync(dir), ['file']);
});

test('one that nobody finishes leaves nothing, and no descriptor', async (t) => {
  const { dir } = sandbox(t, {});
  const body = async (dir) => {
    const open = () => fs.readdirSync('/proc/self/fd').length;
    const root = new SandboxRoot(dir);
    await root.promises.writeFile('warm', ['x']);
    fs.unlinkSync(`${dir}/warm`);
    const before = open();
    (() => {
      for (let i = 0; i < 5; i++) {
        const never = { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) };
        root.promises.writeFile(`place${i}`, never);
        root.promises.writeFile(`step${i}`, never, { atomic: true });
      }
    })();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const during = fs.readdirSync(dir).length;
    for (let i = 0; i < 5; i++) {
      globalThis.gc();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return { during, left: fs.readdirSync(dir), more: open() - before };
  };
  const got = await inChild(t, body, [dir], { node: ['--expose-gc'] });
  assert.deepStrictEqual(got, { during: 5, left: [], more: 0 });
});

test('the calling thread copies a chunk at a time, and memory is bounded', async (t) => {
  const { dir } = sandbox(t, {}, memory);
  const body = async (dir) => {
    const root = new SandboxRoot(dir);
    const bytes = Buffer.alloc(600 << 20, 'x');
    const before = process.memoryUsage.rss();
    let [longest, last, most] = [0, performance.now(), 0];
    const timer = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
      most = Math.max(most, process.memoryUsage.rss() - before);
    }, 1);
    await root.promises.writeFile('file', bytes, { atomic: true });
    clearInterval(timer);
    const { size } = fs.statSync(`${dir}/file`);
    fs.unlinkSync(`${dir}/file`);
    return { size, longest, most: most / 2 ** 20 };
  };
  const { size, longest, most } = await inChild(t, body, [dir]);
  t.diagnostic(`${longest.toFixed(1)} ms, ${most.toFixed(1)} MiB`);
  assert.strictEqual(size, 600 << 20);
  assert.ok(most < 100, `${most} MiB`);
  // In one go it takes some 300 ms.
  assert.ok(longest < 150, `${longest} ms`);
});

for (const [what, path] of Object.entries({ 'is aborted': 'file', fails: 'missing/file' })) {
  test(`a client is answered where writing the body of its request ${what}, as with fs.promises`, async (t) => {
    const { dir, root } = sandbox(t);
    const writers = [
      (req, signal) => fs.promises.writeFile(`${dir}/${path}`, req, { signal }),
      (req, signal) => root.promises.writeFile(path, req, { signal }),
    ];
    for (const write of writers) {
      const server = http.createServer(async (req, res) => {
        const controller = new AbortController();
        setTimeout(() => controller.abort(), 50);
        await assert.rejects(write(req, controller.signal));
        res.writeHead(507, { Connection: 'close' }).end();
      });
      t.after(() => server.close());
      await once(server.listen(0, '127.0.0.1'), 'listening');
      const headers = { 'Content-Length': 1000 };
      const request = http.request({ port: server.address().port, method: 'PUT', headers });
      request.write('half');
      // fs.promises sees an abort with the next part.
      setTimeout(() => request.write('more'), 150);
      const [response] = await once(request, 'response');
      assert.strictEqual(response.statusCode, 507);
      request.on('error', () => {});
      request.destroy();
    }
    assert.deepStrictEqual(
      fs.readdirSync(dir).filter((name) => name.startsWith('.openat2')),
      [],
    );
  });
}

test('a new file that others have written to stays when its writer fails', async (t) => {
  const { dir, root, at } = sandbox(t, {});
  const changes = {
    appended: [() => fs.appendFileSync(at('appended'), 'others'), 'begin others'],
    replaced: [() => fs.writeFileSync(at('replaced'), 'others'), 'others'],
    'of the same length': [() => fs.writeFileSync(at('of the same length'), 'others'), 'others', 'begin '],
    'before anything is written': [
      () => fs.writeFileSync(at('before anything is written'), 'others'),
      'others',
      '',
    ],
  };
  for (const method of ['writeFile', 'appendFile'])
    for (const [name, [change, expected, begin = 'begin ']] of Object.entries(changes)) {
      const parts = async function* () {
        if (begin) yield begin;
        // Times have the grain of the clock of the kernel.
        await new Promise((resolve) => setTimeout(resolve, 30));
        change();
        throw new Error('the source fails');
      };
      await assert.rejects(root.promises[method](name, parts()), { message: 'the source fails' });
      assert.strictEqual(fs.readFileSync(at(name), 'utf8'), expected, `${method}: ${name}`);
      fs.rmSync(at(name));
    }
  const alone = async function* () {
    yield 'begin';
    yield ' and more';
    throw new Error('the source fails');
  };
  for (const method of ['writeFile', 'appendFile'])
    await assert.rejects(root.promises[method]('alone', alone()), { message: 'the source fails' });
  assert.deepStrictEqual(fs.readdirSync(dir), []);
});
