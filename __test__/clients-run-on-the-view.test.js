'use strict';
// graceful-fs, mkdirp and proper-lockfile on a view of a root: each does there what it does on `node:fs`, and nothing
// outside.

const assert = require('node:assert');
const fs = require('node:fs');
const { promisify } = require('node:util');
const { text } = require('node:stream/consumers');
const { once } = require('node:events');
const { assertNoSecret, load, onView } = require('./clients/world.js');
const { codeOf, codeOfPromise } = require('./support.js');

const POLICIES = ['reject', 'beneath', 'in-root'];

onView(
  'graceful-fs is at home on the view',
  { tree: { a: 'text', dir: { b: 'b' } } },
  async ({ view, at }) => {
    const { gracefulify } = (await load('graceful-fs')).default;
    const graceful = gracefulify(view);
    assert.strictEqual(graceful, view);
    assert.strictEqual(await promisify(graceful.readFile)('/a', 'utf8'), 'text');
    assert.deepStrictEqual((await promisify(graceful.readdir)('/')).sort(), ['a', 'dir']);
    await promisify(graceful.writeFile)('/new', 'new');
    await promisify(graceful.appendFile)('/new', ' text');
    await promisify(graceful.copyFile)('/new', '/copy', 0);
    await promisify(graceful.rename)('/copy', '/dir/copy');
    assert.strictEqual(fs.readFileSync(at('dir/copy'), 'utf8'), 'new text');
    assert.strictEqual((await promisify(graceful.stat)('/a')).size, 4);
    assert.strictEqual(graceful.statSync('/a').size, 4);
    await promisify(graceful.chmod)('/a', 0o600);
    await promisify(graceful.chown)('/a', process.getuid(), process.getgid());
    const fd = await promisify(graceful.open)('/a', 'r');
    await promisify(graceful.close)(fd);
    for (const stream of [graceful.createReadStream('/a'), new graceful.ReadStream('/a')]) {
      assert.ok(stream instanceof fs.ReadStream && stream instanceof graceful.ReadStream);
      assert.strictEqual(await text(stream), 'text');
    }
    const writing = graceful.createWriteStream('/stream');
    await once(writing.end('written'), 'close');
    assert.strictEqual(fs.readFileSync(at('stream'), 'utf8'), 'written');
  },
);

onView('a stream of graceful-fs is all or nothing, too', { tree: { a: 'old' } }, async ({ view, at }) => {
  const { gracefulify } = (await load('graceful-fs')).default;
  const graceful = gracefulify(view);
  const first = graceful.createWriteStream('/a', { atomic: true, maxBytes: 10 });
  const failed = once(first, 'error');
  first.end('x'.repeat(11));
  assert.strictEqual((await failed)[0].code, 'ERR_FS_FILE_TOO_LARGE');
  assert.strictEqual(fs.readFileSync(at('a'), 'utf8'), 'old');
  await once(graceful.createWriteStream('/a', { atomic: true, maxBytes: 10 }).end('new'), 'close');
  assert.strictEqual(fs.readFileSync(at('a'), 'utf8'), 'new');
  assert.deepStrictEqual(fs.readdirSync(at()), ['a']);
});

onView(
  'classes can extend the streams of the view, as graceful-fs does',
  { tree: { a: 'text' } },
  async ({ view, at }) => {
    class Reading extends view.ReadStream {
      own = 1;
    }
    function Writing(path, options) {
      view.WriteStream.call(this, path, options);
    }
    Object.setPrototypeOf(Writing.prototype, view.WriteStream.prototype);
    const reading = new Reading('/a', { start: 1 });
    assert.ok(reading instanceof Reading && reading instanceof fs.ReadStream && reading.own === 1);
    assert.strictEqual(await text(reading), 'ext');
    const writing = new Writing('/b', { atomic: true });
    assert.ok(writing instanceof Writing && writing instanceof fs.WriteStream);
    await once(writing.end('b'), 'close');
    assert.strictEqual(fs.readFileSync(at('b'), 'utf8'), 'b');
    assert.strictEqual(await text(view.ReadStream('/b')), 'b');
  },
);

onView('graceful-fs waits on the view for descriptors', { tree: { a: 'text' } }, async ({ view }) => {
  const { gracefulify } = (await load('graceful-fs')).default;
  let refusals = 3;
  const { open } = view;
  const scarce = (...args) => {
    const callback = args.at(-1);
    if (refusals-- > 0) process.nextTick(callback, Object.assign(new Error('EMFILE'), { code: 'EMFILE' }));
    else open(...args);
  };
  const graceful = gracefulify({ ...view, open: scarce });
  assert.strictEqual(await text(graceful.createReadStream('/a')), 'text');
  assert.ok(refusals < 0);
});

for (const symlinks of POLICIES) {
  onView(
    `graceful-fs leads nowhere outside (symlinks: '${symlinks}')`,
    { symlinks },
    async ({ view, at, base, traps }) => {
      const { gracefulify } = (await load('graceful-fs')).default;
      const graceful = gracefulify(view);
      traps('out');
      fs.symlinkSync(`${base}/outside/secret`, at('file'));
      const options = { atomic: false };
      for (const path of [
        '/out/secret',
        '/out-relative/secret',
        '/file',
        `${base}/outside/secret`,
        '/../outside/secret',
      ]) {
        await assert.rejects(promisify(graceful.readFile)(path), { path });
        await assert.rejects(promisify(graceful.readFile)(path, null), { path });
        await assert.rejects(text(graceful.createReadStream(path)), { path });
        await assert.rejects(promisify(graceful.writeFile)(path, ''), { path });
        await assert.rejects(once(graceful.createWriteStream(path, options), 'close'), { path });
      }
    },
  );
}

onView('mkdirp makes directories in the view', { tree: { file: '' } }, async ({ view, at }) => {
  const { mkdirp, mkdirpSync, mkdirpManual, mkdirpNative } = await load('mkdirp');
  const ways = { mkdirp, mkdirpSync, mkdirpManual, mkdirpNative };
  for (const [name, way] of Object.entries(ways)) {
    assert.strictEqual(await way(`/${name}/b/c`, { fs: view, mode: 0o700 }), `/${name}`);
    assert.strictEqual(await way(`/${name}/b/c`, { fs: view }), undefined);
    assert.strictEqual(fs.statSync(at(name, 'b/c')).mode & 0o777, 0o700);
    const error = await (async () => way('/file/b', { fs: view }))().catch((reason) => reason);
    assert.ok(['ENOTDIR', 'EEXIST'].includes(error.code), `${name}: ${error}`);
  }
  const both = await Promise.all([mkdirp('/x/y/z', { fs: view }), mkdirp('/x/y/z', { fs: view })]);
  assert.ok(both.includes('/x'));
});

for (const symlinks of POLICIES) {
  onView(
    `mkdirp makes nothing outside (symlinks: '${symlinks}')`,
    { symlinks },
    async ({ view, base, traps }) => {
      const { mkdirp, mkdirpSync, mkdirpManual, mkdirpNative } = await load('mkdirp');
      traps('out');
      for (const way of [mkdirp, mkdirpSync, mkdirpManual, mkdirpNative])
        for (const path of ['/out/new/b', '/out-relative/new', '/../outside/new/b', `${base}/outside/new`])
          await Promise.resolve()
            .then(() => way(path, { fs: view }))
            .catch(assertNoSecret);
    },
  );
}

onView(
  'proper-lockfile locks in the view',
  { tree: { file: '', dir: { file: '' } } },
  async ({ view, at }) => {
    const { lock, unlock, check, lockSync, checkSync } = (await load('proper-lockfile')).default;
    const how = { fs: view, stale: 2000, update: 1000 };
    const release = await lock('/dir/file', how);
    assert.ok(fs.statSync(at('dir/file.lock')).isDirectory());
    assert.strictEqual(await check('/dir/file', how), true);
    assert.strictEqual(checkSync('/dir/file', how), true);
    assert.strictEqual(await codeOfPromise(lock('/dir/../dir/file', how)), 'ELOCKED');
    // Its time is set anew while it is held.
    const before = fs.statSync(at('dir/file.lock')).mtimeMs;
    await new Promise((resolve) => setTimeout(resolve, 1300));
    assert.ok(fs.statSync(at('dir/file.lock')).mtimeMs > before);
    await release();
    assert.ok(!fs.existsSync(at('dir/file.lock')));
    assert.strictEqual(await check('/dir/file', how), false);
    // One that is stale is taken over.
    fs.mkdirSync(at('file.lock'));
    fs.utimesSync(at('file.lock'), 1e9, 1e9);
    const releaseSync = lockSync('/file', how);
    assert.strictEqual(
      codeOf(() => lockSync('/file', how)),
      'ELOCKED',
    );
    releaseSync();
    await lock('/file', how);
    await unlock('/file', how);
    assert.strictEqual(await codeOfPromise(lock('/missing', how)), 'ENOENT');
    assert.strictEqual(typeof (await lock('/missing', { ...how, realpath: false })), 'function');
    await unlock('/missing', { ...how, realpath: false });
  },
);

for (const symlinks of POLICIES) {
  onView(
    `proper-lockfile locks nothing outside (symlinks: '${symlinks}')`,
    { symlinks },
    async ({ view, at, base, traps }) => {
      const { lock, check } = (await load('proper-lockfile')).default;
      traps('out');
      fs.symlinkSync(`${base}/outside/secret`, at('file'));
      for (const path of ['/out/secret', '/out-relative/sub', '/file', '/../outside/secret']) {
        assert.ok(await codeOfPromise(lock(path, { fs: view })), path);
        assert.ok(
          await codeOfPromise(lock(path, { fs: view, lockfilePath: '/out/lock', realpath: false })),
          path,
        );
        assert.ok(await codeOfPromise(check(path, { fs: view })), path);
      }
      assert.ok(!fs.existsSync(at('file.lock')));
    },
  );
}
