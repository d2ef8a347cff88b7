'use strict';
// What comes out of the view and is not a plain value — handles, streams, directories, watchers, descriptors — is
// Node's own, or answers as it does.

const assert = require('node:assert');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { pipeline } = require('node:stream/promises');
const { test } = require('node:test');
const { promisify } = require('node:util');
const { Worker } = require('node:worker_threads');
const { SandboxRoot } = require('..');
const { createFs } = require('../fs');
const { onOtherNodes } = require('./other-nodes');
const { tempDir } = require('./support');

/** Also where an error comes first. */
const closed = (stream) => stream.closed || new Promise((resolve) => stream.once('close', resolve));

const CONTENT = Buffer.from('0123456789'.repeat(20_000));

function viewOf(t, options) {
  const dir = tempDir(t);
  fs.mkdirSync(path.join(dir, 'dir/below'), { recursive: true });
  fs.writeFileSync(path.join(dir, 'dir/one'), '1');
  fs.writeFileSync(path.join(dir, 'dir/below/two'), '2');
  fs.writeFileSync(path.join(dir, 'long'), CONTENT);
  return { dir, view: createFs(dir, options), at: (name) => path.join(dir, name) };
}

test('open gives a descriptor for all functions that take one', async (t) => {
  const { view, at } = viewOf(t);
  const fd = view.openSync('/new', 'w+', 0o600);
  assert.strictEqual(view.writeSync(fd, 'some text'), 9);
  assert.strictEqual(view.fstatSync(fd).size, 9);
  view.ftruncateSync(fd, 4);
  view.futimesSync(fd, 1, 2);
  view.fchmodSync(fd, 0o640);
  view.fsyncSync(fd);
  assert.strictEqual(view.readFileSync(fd, 'utf8'), '');
  view.writeFileSync(fd, '!');
  view.appendFileSync(fd, '?');
  view.closeSync(fd);
  assert.strictEqual(fs.readFileSync(at('new'), 'utf8').replaceAll('\0', '-'), 'some-----!?');
  assert.strictEqual(fs.statSync(at('new')).mode & 0o777, 0o640);
  const opened = await promisify(view.open)('/long');
  const { bytesRead, buffer } = await promisify(view.read)(opened, Buffer.alloc(4), 0, 4, 5);
  assert.strictEqual(`${bytesRead} ${buffer}`, '4 5678');
  await promisify(view.close)(opened);
});

test("promises.open gives Node's FileHandle", async (t) => {
  const { view, dir } = viewOf(t);
  const real = await fs.promises.open(path.join(dir, 'long'));
  const handle = await view.promises.open('/long');
  assert.strictEqual(handle.constructor, real.constructor);
  assert.strictEqual((await handle.stat()).size, CONTENT.length);
  const part = await handle.read(Buffer.alloc(3), 0, 3, 7);
  assert.strictEqual(`${part.buffer}`, '789');
  let text = '';
  for await (const chunk of handle.createReadStream({ start: 1, end: 5, encoding: 'utf8' })) text += chunk;
  assert.strictEqual(text, '12345');
  await real.close();
  const written = await view.promises.open('/made', 'wx', 0o640);
  await written.writeFile('abc');
  assert.strictEqual(await view.promises.readFile('/made', 'utf8'), 'abc');
  await view.promises.appendFile(written, 'def');
  await written.close();
  assert.strictEqual(await view.promises.readFile('/made', 'utf8'), 'abcdef');
  const appended = await view.promises.open('/made', 'a+');
  await appended.write('!');
  assert.strictEqual(
    await appended.readFile('utf8'),
    'abcdef!'.slice(0, 0) + (await appended.readFile('utf8')),
  );
  await appended.close();
  assert.strictEqual(view.readFileSync('/made', 'utf8'), 'abcdef!');
  const directory = await view.promises.open('/dir');
  assert.ok((await directory.stat()).isDirectory());
  await directory.close();
});

test('createReadStream reads what Node reads, with its options', async (t) => {
  const { view, at } = viewOf(t);
  for (const options of [
    undefined,
    'latin1',
    { start: 5 },
    { start: 5, end: 70_000 },
    { highWaterMark: 11, end: 99 },
  ]) {
    const [own, real] = [view.createReadStream('/long', options), fs.createReadStream(at('long'), options)];
    const read = async (stream) => {
      const all = [];
      for await (const chunk of stream) all.push(Buffer.from(chunk));
      return Buffer.concat(all);
    };
    assert.ok((await read(own)).equals(await read(real)), JSON.stringify(options));
    assert.strictEqual(own.path, '/long');
    assert.strictEqual(own.bytesRead, real.bytesRead);
  }
  const opened = view.createReadStream('/long');
  const [fd] = await once(opened, 'open');
  assert.strictEqual(typeof fd, 'number');
  opened.destroy();
  await once(opened, 'close');
  assert.throws(() => fs.fstatSync(fd), { code: 'EBADF' });
  const [error] = await once(view.createReadStream('/none'), 'error');
  assert.strictEqual(error.message, "ENOENT: no such file or directory, open '/none'");
  assert.throws(() => view.createReadStream('/long', { start: 5, end: 4 }), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => view.createReadStream(5), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('a stream calls the functions of the view as they are now, or those that it was passed', async (t) => {
  const { view } = viewOf(t);
  const { open, read } = view;
  const calls = [];
  Object.assign(view, {
    open: (...args) => calls.push('open') && open(...args),
    read: (...args) => calls.push('read') && read(...args),
  });
  for await (const chunk of view.createReadStream('/dir/one', 'utf8')) assert.strictEqual(chunk, '1');
  assert.deepStrictEqual([...new Set(calls)], ['open', 'read']);
  const passed = { ...view, open: (_path, ...args) => open('/dir/below/two', ...args) };
  const stream = view.createReadStream('/dir/one', { encoding: 'utf8', fs: passed });
  for await (const chunk of stream) assert.strictEqual(chunk, '2');
  // Inherited options count, but functions.
  const inherited = Object.create({ start: 2, end: 4, encoding: 'utf8', fs: passed });
  for await (const chunk of view.createReadStream('/long', inherited)) assert.strictEqual(chunk, '234');
});

test('a class can be made of a stream of the view, as of that of Node', async (t) => {
  const { view, at } = viewOf(t);
  function Writer(...args) {
    view.WriteStream.apply(this, args);
  }
  Object.setPrototypeOf(Writer.prototype, view.WriteStream.prototype);
  Object.setPrototypeOf(Writer, view.WriteStream);
  for (const options of [undefined, { atomic: true }]) {
    const writer = new Writer('/new', options);
    assert.ok(writer instanceof Writer);
    writer.end('some text');
    await closed(writer);
    assert.strictEqual(fs.readFileSync(at('new'), 'utf8'), 'some text');
    fs.unlinkSync(at('new'));
  }
});

test('options of streams and watchers are checked as by Node', async (t) => {
  const { view } = viewOf(t);
  const outcomeOf = (call) => {
    try {
      return call();
    } catch ({ code }) {
      return code;
    }
  };
  for (const name of ['createReadStream', 'createWriteStream']) {
    for (const options of [
      5,
      true,
      'nonsense',
      { encoding: 'nonsense' },
      { fs: { open: 5 } },
      { start: 'x' },
    ]) {
      const expected = outcomeOf(() => fs[name]('/none/such', options));
      assert.strictEqual(
        outcomeOf(() => view[name]('/none/such', options)),
        expected,
      );
      assert.match(expected, /^ERR_/);
    }
  }
  for (const options of [5, 'nonsense', { encoding: 'nonsense' }]) {
    const expected = outcomeOf(() => fs.watch('/none/such', options));
    assert.strictEqual(
      outcomeOf(() => view.watch('/none/such', options)),
      expected,
    );
  }
  for (const options of [5, { encoding: 5 }, { persistent: 5 }, { recursive: 5 }, { signal: 5 }]) {
    const { code } = await fs.promises
      .watch('/none/such', options)
      .next()
      .catch((error) => error);
    await assert.rejects(view.promises.watch('/none/such', options).next(), { code });
  }
  const missing = { code: 'ENOENT', path: '/none/such', filename: '/none/such' };
  assert.throws(() => view.watch('/none/such'), missing);
  await assert.rejects(view.promises.watch('/none/such').next(), missing);
});

test('an abort in the turn of a call stops it', async (t) => {
  const { view, at } = viewOf(t);
  for (const [name, ...args] of [['readFile'], ['writeFile', 'x'], ['appendFile', 'x']]) {
    const controller = new AbortController();
    const promise = view.promises[name]('/dir/one', ...args, { signal: controller.signal });
    process.nextTick(() => controller.abort());
    await assert.rejects(promise, { name: 'AbortError' });
  }
  assert.strictEqual(fs.readFileSync(at('dir/one'), 'utf8'), '1');
  const { signal } = new AbortController();
  assert.strictEqual(await view.promises.readFile('/dir/one', { encoding: 'utf8', signal }), '1');
  await assert.rejects(view.promises.readFile('/none', { signal }), { code: 'ENOENT', path: '/none' });
});

test('an error about an argument says its code, as those of Node', async (t) => {
  const { view } = viewOf(t);
  const messageOf = (call) => assert.throws(call, (error) => Boolean(calls.push(`${error}`)));
  const calls = [];
  for (const one of [fs, view]) {
    messageOf(() => one.opendir('/dir'));
    messageOf(() => one.mkdirSync('/none/such', { recursive: 'x' }));
    messageOf(() => one.symlinkSync('a', '/none/such', 'x'));
    messageOf(() => one.accessSync(new URL('file:///a%00b')));
    messageOf(() => one.writeFileSync('/none/such', 5));
    messageOf(() => one.accessSync(() => {}));
  }
  assert.deepStrictEqual(calls.slice(6), calls.slice(0, 6));
});

test('createWriteStream writes what Node writes, with its options', async (t) => {
  const { view, at } = viewOf(t);
  for (const options of [
    undefined,
    { mode: 0o600 },
    { flags: 'a' },
    { start: 3, flags: 'r+' },
    { encoding: 'hex' },
  ]) {
    for (const [make, name] of [
      [view.createWriteStream, '/own'],
      [fs.createWriteStream, at('real')],
    ]) {
      fs.writeFileSync(at(path.basename(name)), 'what was there');
      const stream = make(name, options);
      stream.write('61626364');
      stream.end(Buffer.from('the end'));
      await once(stream, 'close');
    }
    assert.strictEqual(
      fs.readFileSync(at('own'), 'utf8'),
      fs.readFileSync(at('real'), 'utf8'),
      JSON.stringify(options),
    );
  }
  await pipeline(view.createReadStream('/long'), view.createWriteStream('/copy'));
  assert.ok(fs.readFileSync(at('copy')).equals(CONTENT));
});

test('an atomic stream appears, whole, when it finishes', async (t) => {
  const { view, at } = viewOf(t);
  fs.writeFileSync(at('file'), 'old');
  const stream = view.createWriteStream('/file', { atomic: true, mode: 0o600 });
  stream.write(CONTENT);
  await once(stream, 'drain');
  assert.strictEqual(fs.readFileSync(at('file'), 'utf8'), 'old');
  stream.end();
  await once(stream, 'finish');
  assert.ok(fs.readFileSync(at('file')).equals(CONTENT));
  assert.strictEqual(stream.bytesWritten, CONTENT.length);
});

test('an atomic stream that fails, or is stopped, leaves everything as it was', async (t) => {
  const { view, dir, at } = viewOf(t);
  fs.writeFileSync(at('file'), 'old');
  const before = fs.readdirSync(dir);
  const control = new AbortController();
  const ways = {
    destroyed: (stream) => stream.destroy(),
    'destroyed with an error': (stream) => stream.destroy(new Error('no')),
    aborted: () => control.abort(),
    'too long': (stream) => stream.end(CONTENT),
  };
  for (const [name, stop] of Object.entries(ways)) {
    for (const file of ['/file', '/new']) {
      const signal = name === 'aborted' ? { signal: control.signal } : {};
      if (signal.signal?.aborted) continue;
      const stream = view.createWriteStream(file, { atomic: true, maxBytes: CONTENT.length + 5, ...signal });
      stream.on('error', () => {});
      stream.write(CONTENT);
      await new Promise((resolve) => setTimeout(resolve, 20));
      stop(stream);
      await closed(stream);
      assert.strictEqual(fs.readFileSync(at('file'), 'utf8'), 'old', name);
      assert.deepStrictEqual(fs.readdirSync(dir), before, name);
    }
  }
});

test('a stream beyond maxBytes fails by name, and its new file is gone', async (t) => {
  const { view, at } = viewOf(t);
  const stream = view.createWriteStream('/new', { maxBytes: 10 });
  stream.write('12345');
  stream.end('1234567');
  const [error] = await once(stream, 'error');
  assert.strictEqual(error.code, 'ERR_FS_FILE_TOO_LARGE');
  assert.match(error.message, /10 bytes/);
  await closed(stream);
  assert.ok(!fs.existsSync(at('new')));
  const fits = view.createWriteStream('/fits', { maxBytes: 10, flush: true });
  fits.end('1234567890');
  await once(fits, 'close');
  assert.strictEqual(fs.readFileSync(at('fits'), 'utf8'), '1234567890');
  assert.throws(() => view.createWriteStream('/x', { atomic: true, start: 5 }), {
    code: 'ERR_INVALID_ARG_VALUE',
  });
  assert.throws(() => view.createWriteStream('/x', { atomic: true, flags: 'a' }), {
    code: 'ERR_INVALID_ARG_VALUE',
  });
  assert.throws(() => view.createWriteStream('/x', { maxBytes: -1 }), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => view.createWriteStream('/x', { atomic: 1 }), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('opendir gives a Dir in all styles', async (t) => {
  const { view, at } = viewOf(t);
  const dir = view.opendirSync('/dir');
  assert.ok(dir instanceof fs.Dir);
  assert.strictEqual(dir.path, '/dir');
  const found = [];
  for (let entry = dir.readSync(); entry !== null; entry = dir.readSync()) found.push(entry);
  const byName = (a, b) => (a.name < b.name ? -1 : 1);
  const expected = fs.readdirSync(at('dir'), { withFileTypes: true }).sort(byName);
  assert.deepStrictEqual(
    found.sort(byName).map(({ name }) => name),
    expected.map(({ name }) => name),
  );
  assert.ok(found.every((entry) => entry instanceof fs.Dirent));
  assert.ok(found.every((entry, i) => entry.isDirectory() === expected[i].isDirectory()));
  dir.closeSync();
  assert.throws(() => dir.readSync(), { code: 'ERR_DIR_CLOSED' });
  assert.throws(() => dir.closeSync(), { code: 'ERR_DIR_CLOSED' });
  await assert.rejects(dir.read(), { code: 'ERR_DIR_CLOSED' });

  const iterated = [];
  for await (const { name } of await view.promises.opendir('/dir', { recursive: true })) iterated.push(name);
  assert.deepStrictEqual(iterated.sort(), ['below', 'one', 'two']);

  const called = await promisify(view.opendir)('/dir');
  const first = await new Promise((resolve, reject) =>
    called.read((error, entry) => (error ? reject(error) : resolve(entry))),
  );
  assert.ok(['below', 'one'].includes(first.name));
  const reading = called.read();
  assert.throws(() => called.readSync(), { code: 'ERR_DIR_CONCURRENT_OPERATION' });
  await reading;
  await promisify(called.close.bind(called))();
  for await (const { name } of view.opendirSync('/dir', { encoding: 'buffer' }))
    assert.ok(Buffer.isBuffer(name));
});

test("watch gives Node's watcher, with the names that Node gives", async (t) => {
  const { view, at } = viewOf(t);
  const watcher = view.watch('/dir');
  t.after(() => watcher.close());
  assert.strictEqual(watcher.constructor.name, 'FSWatcher');
  const changed = once(watcher, 'change');
  fs.writeFileSync(at('dir/added'), '');
  assert.deepStrictEqual(await changed, ['rename', 'added']);
  watcher.close();

  const ofFile = view.watch('/dir/one', { encoding: 'buffer' });
  t.after(() => ofFile.close());
  const event = once(ofFile, 'change');
  fs.appendFileSync(at('dir/one'), 'x');
  const [type, name] = await event;
  assert.deepStrictEqual([type, `${name}`, Buffer.isBuffer(name)], ['change', 'one', true]);
  assert.throws(() => view.watch('/dir', { recursive: true }), { code: 'ERR_METHOD_NOT_IMPLEMENTED' });
  assert.throws(() => view.watch('/none'), { code: 'ENOENT', syscall: 'watch', path: '/none' });
});

test('a watcher goes on when what is above it is renamed', async (t) => {
  const { view, at } = viewOf(t);
  const watcher = view.watch('/dir/below');
  t.after(() => watcher.close());
  fs.renameSync(at('dir'), at('elsewhere'));
  fs.mkdirSync(at('dir/below'), { recursive: true });
  const changed = once(watcher, 'change');
  fs.writeFileSync(at('dir/below/other'), '');
  fs.writeFileSync(at('elsewhere/below/seen'), '');
  assert.deepStrictEqual(await changed, ['rename', 'seen']);
});

test('promises.watch is iterated, and ends with its signal', async (t) => {
  const { view, at } = viewOf(t);
  const control = new AbortController();
  const events = view.promises.watch('/dir', { signal: control.signal });
  const first = events.next();
  await new Promise((resolve) => setTimeout(resolve, 100));
  fs.writeFileSync(at('dir/added'), '');
  assert.deepStrictEqual({ ...(await first).value }, { eventType: 'rename', filename: 'added' });
  control.abort();
  await assert.rejects(
    (async () => {
      for await (const _ of events);
    })(),
    { name: 'AbortError' },
  );
});

test('mkdtemp, statfs and realpath.native answer as those of Node', async (t) => {
  const { view } = viewOf(t);
  const made = view.mkdtempSync('/dir/new-');
  assert.match(made, /^\/dir\/new-\w{6}$/);
  assert.ok(view.statSync(made).isDirectory());
  assert.match(await view.promises.mkdtemp('new-'), /^new-\w{6}$/);
  assert.ok(Buffer.isBuffer(view.mkdtempSync('new-', 'buffer')));
  assert.strictEqual(view.realpathSync.native('dir/../dir/below'), '/dir/below');
  assert.strictEqual(await promisify(view.realpath.native)('/'), '/');
  const real = fs.statfsSync('/');
  const own = view.statfsSync('/');
  assert.deepStrictEqual(Object.keys(own), Object.keys(real));
  assert.strictEqual(Object.getPrototypeOf(own), Object.getPrototypeOf(real));
  assert.strictEqual(typeof (await view.promises.statfs('/', { bigint: true })).bsize, 'bigint');
});

test('mkdtempDisposable removes what it made', {
  skip: !fs.mkdtempDisposableSync && 'Node has none',
}, async (t) => {
  const { view } = viewOf(t);
  const made = view.mkdtempDisposableSync('/dir/new-');
  view.writeFileSync(`${made.path}/file`, 'x');
  made.remove();
  assert.ok(!view.existsSync(made.path));
  const later = await view.promises.mkdtempDisposable('/dir/new-');
  await later.remove();
  assert.ok(!view.existsSync(later.path));
});

test('glob finds what that of Node finds', { skip: !fs.globSync && 'Node has none' }, async (t) => {
  const { view, dir } = viewOf(t);
  for (const pattern of [
    '**',
    '**/*',
    'dir/*',
    '*',
    'dir/**/t*',
    ['long', 'dir/o*'],
    '*/below',
    'none/*',
    'dir/**',
  ]) {
    const real = fs.globSync(pattern, { cwd: dir }).sort();
    assert.deepStrictEqual(view.globSync(pattern).sort(), real, `${pattern}`);
    assert.deepStrictEqual((await promisify(view.glob)(pattern)).sort(), real, `${pattern}`);
    const all = [];
    for await (const one of view.promises.glob(pattern)) all.push(one);
    assert.deepStrictEqual(all.sort(), real, `${pattern}`);
  }
  const exclude = (name) => name === 'below';
  const real = fs.globSync('dir/**', { cwd: dir, exclude }).sort();
  assert.deepStrictEqual(
    view.globSync('dir/**', { exclude: (way) => exclude(path.basename(way)) }).sort(),
    real,
  );
  assert.deepStrictEqual(view.globSync('*', { cwd: '/dir' }).sort(), ['below', 'one']);
});

test('an exception in a callback is uncaught, and no rejection', (t) => {
  const { dir } = viewOf(t);
  const { execFileSync } = require('node:child_process');
  const program = `
    const { createFs } = require(${JSON.stringify(path.join(__dirname, '../fs.js'))});
    process.on('uncaughtException', (error, origin) => console.log(error.message, origin));
    createFs(${JSON.stringify(dir)}).readFile('/long', () => { throw new Error('thrown'); });
  `;
  assert.strictEqual(
    execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' }),
    'thrown uncaughtException\n',
  );
});

test('a flushed stream that is destroyed leaves what it has written, as that of Node', async (t) => {
  const { view, at } = viewOf(t);
  const stream = view.createWriteStream('/log', { flags: 'a', flush: true });
  await new Promise((resolve) => stream.write('line\n', resolve));
  stream.destroy();
  await closed(stream);
  assert.strictEqual(fs.readFileSync(at('log'), 'utf8'), 'line\n');
  const started = view.createWriteStream('/log', { flags: 'r+', start: 2, flush: true });
  started.end('XX');
  await once(started, 'close');
  assert.strictEqual(fs.readFileSync(at('log'), 'utf8'), 'liXX\n');
});

test('what a listener of a stream throws is an uncaught exception', (t) => {
  const { dir } = viewOf(t);
  const program = `
    const { createFs } = require(${JSON.stringify(path.join(__dirname, '../fs.js'))});
    process.on('uncaughtException', (error, origin) => console.log(error.message, origin));
    const view = createFs(${JSON.stringify(dir)});
    view.createReadStream('/long').on('open', () => { throw new Error('of open'); });
    view.createWriteStream('/new', { atomic: true }).end('x', () => { throw new Error('of end'); });
  `;
  const { execFileSync } = require('node:child_process');
  const lines = execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' }).split('\n').sort();
  assert.deepStrictEqual(lines, ['', 'of end uncaughtException', 'of open uncaughtException']);
});

test('promises.open that fails with EMFILE changes no file', (t) => {
  const { dir, at } = viewOf(t);
  const { execFileSync } = require('node:child_process');
  const program = `
    const fs = require('node:fs');
    const view = require(${JSON.stringify(path.join(__dirname, '../fs.js'))}).createFs(${JSON.stringify(dir)});
    view.promises.open('/long').then((handle) => handle.close()).then(async () => {
      const held = [];
      try { for (;;) held.push(fs.openSync('/dev/null')); } catch {}
      fs.closeSync(held.pop());
      for (const [at, flags] of [['/long', 'w'], ['/new', 'wx']]) {
        await view.promises.open(at, flags).then(() => console.log('opened'), ({ code }) => console.log(code));
      }
    });
  `;
  const shell = ['-c', 'ulimit -n 60; exec "$0" -e "$1"', process.execPath, program];
  assert.strictEqual(execFileSync('sh', shell, { encoding: 'utf8' }), 'EMFILE\nEMFILE\n');
  assert.ok(fs.readFileSync(at('long')).equals(CONTENT));
  assert.ok(!fs.existsSync(at('new')));
});

test('mkdtemp resolves only the part before the last slash', (t) => {
  const { view, at } = viewOf(t);
  for (const prefix of ['/', '/dir/', '/dir/..', '/.', 'dir/../x', '']) {
    const made = view.mkdtempSync(prefix);
    assert.ok(made.startsWith(prefix), made);
    assert.strictEqual(made.length, prefix.length + 6);
    assert.ok(view.statSync(made).isDirectory(), made);
  }
  assert.ok(fs.readdirSync(at('dir')).some((name) => name.startsWith('..') && name.length === 8));
});

test('two watchers of one file tell its name', async (t) => {
  const { view, at } = viewOf(t);
  const watchers = [view.watch('/dir/one'), view.watch('/dir/one')];
  t.after(() => watchers.forEach((watcher) => watcher.close()));
  const changed = watchers.map((watcher) => once(watcher, 'change'));
  fs.appendFileSync(at('dir/one'), 'x');
  assert.deepStrictEqual(await Promise.all(changed), [
    ['change', 'one'],
    ['change', 'one'],
  ]);
});

test('a worker that ends leaves no stream open, and warns of none that it has closed', async (t) => {
  const { dir } = viewOf(t);
  const program = `
    const { createFs } = require(${JSON.stringify(path.join(__dirname, '../fs.js'))});
    const { parentPort } = require('node:worker_threads');
    const view = createFs(${JSON.stringify(dir)});
    const warned = [];
    process.on('warning', ({ message }) => warned.push(message));
    (async () => {
      for await (const _ of view.createReadStream('/long'));
      view.watch('/dir').close();
      view.readFileSync('/long', { flag: 'rs+' });
      await (await view.promises.open('/long')).close();
      view.createReadStream('/long').once('open', () => setImmediate(() => parentPort.postMessage(warned)));
      view.createWriteStream('/written').write('x');
    })();
    setInterval(() => {}, 1000);
  `;
  const openFds = () => fs.readdirSync('/proc/self/fd').length;
  const run = async () => {
    const worker = new Worker(program, { eval: true });
    const [warned] = await once(worker, 'message');
    await worker.terminate();
    return warned;
  };
  await run();
  const before = openFds();
  for (let i = 0; i < 3; i += 1) assert.deepStrictEqual(await run(), []);
  assert.ok(openFds() <= before, `${openFds()} are open, ${before} were`);
});

test('an atomic stream with ifMatch replaces that version alone', async (t) => {
  const { dir, at } = viewOf(t);
  const root = new SandboxRoot(dir);
  root.writeFile('file', 'first');
  const { version } = root.stat('file', { version: true });
  const write = (text) => {
    const stream = root.createWriteStream('file', { atomic: true, ifMatch: version });
    const failed = new Promise((resolve) =>
      stream.once('error', resolve).once('close', () => resolve(undefined)),
    );
    stream.end(text);
    return failed;
  };
  assert.strictEqual(await write('second'), undefined);
  assert.strictEqual((await write('third'))?.code, 'ESTALE');
  assert.strictEqual(fs.readFileSync(at('file'), 'utf8'), 'second');
  for (const ifMatch of [undefined, null, 'none']) {
    assert.throws(() => root.createWriteStream('file', { atomic: true, ifMatch }), TypeError);
    assert.throws(() => createFs(root).writeFileSync('/file', 'x', { atomic: true, ifMatch }), TypeError);
  }
  assert.throws(() => root.createWriteStream('file', { ifMatch: version }), {
    code: 'ERR_INVALID_ARG_VALUE',
  });
});

test('a stream whose signal is aborted already touches nothing, and leaves nothing open', async (t) => {
  const { view, at } = viewOf(t);
  const before = fs.readdirSync('/proc/self/fd').length;
  const signal = AbortSignal.abort();
  for (const make of [
    () => view.createWriteStream('/long', { signal }),
    () => view.createWriteStream('/new', { signal, maxBytes: 10 }),
    () => view.createReadStream('/long', { signal }),
  ]) {
    const stream = make();
    stream.on('error', () => {});
    await closed(stream);
  }
  assert.ok(fs.readFileSync(at('long')).equals(CONTENT));
  assert.ok(!fs.existsSync(at('new')));
  assert.strictEqual(fs.readdirSync('/proc/self/fd').length, before);
});

test('streams, handles, directories and watchers leave no descriptor, whatever becomes of them', async (t) => {
  const { view } = viewOf(t);
  const quietly = (stream) => closed(stream.on('error', () => {}));
  const started = (stream) => new Promise((resolve) => stream.once('open', () => resolve(stream.destroy())));
  const calls = [
    () => quietly(view.createReadStream('/none')),
    () => quietly(view.createReadStream('/long').resume()),
    () => started(view.createReadStream('/long')),
    () => quietly(view.createWriteStream('/dir')),
    () => quietly(view.createWriteStream('/new').end('x')),
    () => quietly(view.createWriteStream('/new', { maxBytes: 3 }).end('too long')),
    () => started(view.createWriteStream('/new', { atomic: true })),
    () => quietly(view.createReadStream('/long').destroy()),
    async () => (await view.promises.open('/long')).close(),
    () => view.promises.open('/none'),
    () => view.promises.open('/long', 'wx'),
    () => view.promises.opendir('/none'),
    () => view.opendirSync('/dir').closeSync(),
    async () => {
      for await (const _ of await view.promises.opendir('/dir')) break;
    },
    () => view.watch('/none'),
    () => view.watch('/dir').close(),
    async () => {
      const control = new AbortController();
      const next = view.promises.watch('/dir', { signal: control.signal }).next();
      setImmediate(() => control.abort());
      await next;
    },
    () => view.readFileSync('/dir', { flag: 'rs' }),
  ];
  const all = async () => {
    for (const call of calls) await (async () => call())().catch(() => {});
    // What is given up is closed on another thread.
    await new Promise((resolve) => setTimeout(resolve, 50));
  };
  await all();
  const before = fs.readdirSync('/proc/self/fd').length;
  for (let i = 0; i < 10; i += 1) await all();
  const now = fs.readdirSync('/proc/self/fd').length;
  assert.ok(now <= before, `${now} descriptors are open, ${before} were`);
});

test('a descriptor that a program closes itself closes nothing else later', async (t) => {
  const { view } = viewOf(t);
  for (const autoClose of [false, true]) {
    const stream = view.createReadStream('/long', { autoClose }).on('error', () => {});
    const [fd] = await once(stream, 'open');
    fs.closeSync(fd);
    const other = fs.openSync(__filename);
    assert.strictEqual(other, fd);
    const next = view.createReadStream('/dir/one');
    await once(next, 'open');
    // Without `autoClose` that would be the program's mistake, as with Node.
    if (autoClose) await closed(stream.destroy());
    await closed(next.resume());
    fs.fstatSync(other);
    fs.closeSync(other);
  }
});

test('what would not be heeded with a descriptor is refused', async (t) => {
  const { view, at } = viewOf(t);
  const fd = fs.openSync(at('long'), 'r+');
  t.after(() => fs.closeSync(fd));
  const expected = { code: 'ERR_INVALID_ARG_VALUE' };
  assert.throws(() => view.readFileSync(fd, { maxBytes: 3 }), expected);
  assert.throws(() => view.writeFileSync(fd, 'x', { ifMatch: '1' }), expected);
  assert.throws(() => view.createWriteStream('/long', { fd, atomic: true }), expected);
  assert.throws(() => view.createWriteStream('/long', { fs, maxBytes: 3 }), expected);
  const handle = await view.promises.open('/long');
  await assert.rejects(view.promises.readFile(handle, { maxBytes: 3 }), expected);
  await handle.close();
});

onOtherNodes(__filename);
