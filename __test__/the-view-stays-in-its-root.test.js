'use strict';
// Paths of the view begin at its root and end in it: `..` stops at `/`, and no symlink leads out, whoever made it.

const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { pathToFileURL } = require('node:url');
const { SandboxRoot } = require('..');
const { createFs } = require('../fs');
const { tempDir } = require('./support');

/** A root with a file, beside a secret. */
function planted(t) {
  const dir = tempDir(t);
  fs.mkdirSync(path.join(dir, 'root/a/b'), { recursive: true });
  fs.writeFileSync(path.join(dir, 'root/a/file'), 'inside');
  fs.writeFileSync(path.join(dir, 'root/top'), 'top');
  fs.writeFileSync(path.join(dir, 'secret'), 'outside');
  fs.symlinkSync('../../secret', path.join(dir, 'root/a/out'));
  fs.symlinkSync(dir, path.join(dir, 'root/a/up'));
  fs.symlinkSync('/top', path.join(dir, 'root/a/absolute'));
  return { dir, top: path.join(dir, 'root') };
}

for (const symlinks of ['reject', 'in-root', 'beneath']) {
  test(`symlinks: '${symlinks}': one place has one path, however it is written`, (t) => {
    const view = createFs(planted(t).top, { symlinks });
    for (const at of ['/a/file', 'a/file', './a/file', '//a///file', '/a/./file', '/a/b/../file']) {
      assert.strictEqual(view.readFileSync(at, 'utf8'), 'inside', at);
      assert.strictEqual(view.readFileSync(Buffer.from(at), 'utf8'), 'inside', at);
    }
    assert.strictEqual(view.readFileSync(new URL('file:///a/file'), 'utf8'), 'inside');
    assert.deepStrictEqual(view.readdirSync('/').sort(), view.readdirSync('.').sort());
    assert.throws(() => view.readFileSync(new URL('http://a/file')), { code: 'ERR_INVALID_URL_SCHEME' });
  });
}

for (const symlinks of ['reject', 'in-root']) {
  test(`symlinks: '${symlinks}': .. stops at the root`, (t) => {
    const { top } = planted(t);
    const view = createFs(top, { symlinks });
    for (const at of ['/../top', '../top', '../../../../top', '/a/../../top', '/a/b/../../../top']) {
      assert.strictEqual(view.readFileSync(at, 'utf8'), 'top', at);
    }
    assert.throws(() => view.readFileSync('../secret'), { code: 'ENOENT', path: '../secret' });
    view.writeFileSync('../../made', 'x');
    assert.strictEqual(fs.readFileSync(path.join(top, 'made'), 'utf8'), 'x');
  });
}

test("symlinks: 'beneath': what leads above the root is refused", (t) => {
  const view = createFs(planted(t).top, { symlinks: 'beneath' });
  assert.strictEqual(view.readFileSync('/a/../top', 'utf8'), 'top');
  const expected = { code: 'EACCES', reason: 'outside', path: '/../top' };
  assert.throws(() => view.readFileSync('/../top'), expected);
});

const READS = {
  readFile: (at) => [at],
  stat: (at) => [`${at}/.`],
  copyFile: (at) => [at, '/copy'],
  open: (at) => [at],
  access: (at) => [at],
  truncate: (at) => [at],
  appendFile: (at) => [at, 'x'],
  writeFile: (at) => [at, 'x'],
};

for (const symlinks of ['reject', 'beneath']) {
  for (const [name, argsOf] of Object.entries(READS)) {
    test(`symlinks: '${symlinks}': ${name} follows no symlink out of the root, in any style`, async (t) => {
      const { dir, top } = planted(t);
      const view = createFs(top, { symlinks });
      for (const at of ['/a/out', '/a/up/secret']) {
        const args = argsOf(at);
        const code = /^(ELOOP|EACCES)$/;
        assert.throws(() => view[`${name}Sync`](...args), { code, path: args[0] });
        await assert.rejects(view.promises[name](...args), { code });
        await assert.rejects(
          new Promise((resolve, reject) => view[name](...args, (e) => (e ? reject(e) : resolve()))),
          { code },
        );
      }
      assert.strictEqual(fs.readFileSync(path.join(dir, 'secret'), 'utf8'), 'outside');
    });
  }
}

test("symlinks: 'in-root': a symlink begins at the root, as in a chroot", (t) => {
  const view = createFs(planted(t).top, { symlinks: 'in-root' });
  assert.strictEqual(view.readFileSync('/a/absolute', 'utf8'), 'top');
  assert.strictEqual(view.realpathSync('/a/absolute'), '/top');
  assert.throws(() => view.readFileSync('/a/out'), { code: 'ENOENT' });
  view.symlinkSync('/a/file', '/made');
  assert.strictEqual(view.readlinkSync('/made'), '/a/file');
  assert.strictEqual(view.readFileSync('/made', 'utf8'), 'inside');
});

test('a symlink is stored as it is given under every policy', (t) => {
  for (const symlinks of ['reject', 'in-root', 'beneath']) {
    const view = createFs(planted(t).top, { symlinks });
    for (const target of ['/etc/passwd', '../../x', 'a/file', Buffer.from('a')]) {
      view.symlinkSync(target, '/made');
      assert.strictEqual(view.readlinkSync('/made'), `${target}`);
      view.unlinkSync('/made');
    }
  }
});

test('streams, handles, watchers and listings follow no symlink out of the root', async (t) => {
  const { top } = planted(t);
  const view = createFs(top);
  const failed = (stream) => new Promise((resolve) => stream.once('error', resolve));
  for (const at of ['/a/out', '/a/up/secret']) {
    assert.strictEqual((await failed(view.createReadStream(at))).code, 'ELOOP');
    assert.strictEqual((await failed(view.createWriteStream(at))).code, 'ELOOP');
    await assert.rejects(view.promises.open(at), { code: 'ELOOP', path: at });
    assert.throws(() => view.watch(at), { code: 'ELOOP', syscall: 'watch', path: at });
    await assert.rejects(view.promises.watch(at).next(), { code: 'ELOOP', path: at });
  }
  for (const at of ['/a/up', '/a/up/root']) {
    assert.throws(() => view.opendirSync(at), { code: 'ELOOP', path: at });
    assert.throws(() => view.readdirSync(at), { code: 'ELOOP', path: at });
  }
  assert.deepStrictEqual(
    view.readdirSync('/', { recursive: true }).filter((name) => name.startsWith('a/up/')),
    [],
  );
});

test('no error shows a path of the host, or of /proc', async (t) => {
  const { top } = planted(t);
  const view = createFs(top);
  const url = pathToFileURL('/none');
  const calls = [
    () => view.promises.open('/none'),
    () => view.promises.open(url),
    () => view.promises.open('/a', 'w'),
    () => view.promises.opendir('/none'),
    () => view.promises.watch('/none').next(),
    () => view.promises.cp('/none', '/x'),
    () => view.promises.rm('/a'),
    () => view.promises.mkdtemp('/none/x-'),
    () => view.promises.realpath('/none/y'),
    () => view.promises.readFile('/none', { flag: 'r+' }),
  ];
  for (const call of calls) {
    await assert.rejects(call, (error) => {
      const text = `${error.message} ${error.path} ${error.dest}`;
      assert.doesNotMatch(text, /\/proc|\/tmp/, `${call}`);
      assert.match(`${error.path}`, /^\//, `${call}`);
      return true;
    });
  }
});

test('what only looks like a FileHandle leads to no path of the host', async (t) => {
  const { dir, top } = planted(t);
  const view = createFs(top);
  const secret = path.join(dir, 'secret');
  const asURL = { href: `file://${secret}`, protocol: 'file:', hostname: '', pathname: secret };
  const asBytes = Object.assign(Buffer.from(secret), { fd: 0 });
  Object.defineProperty(asBytes, 'constructor', { value: { name: 'FileHandle' } });
  for (const forged of [{ constructor: { name: 'FileHandle' }, fd: 0, ...asURL }, asBytes]) {
    for (const [name, ...args] of [['readFile'], ['writeFile', 'x'], ['appendFile', 'x'], ['truncate', 1]]) {
      await assert.rejects(view.promises[name](forged, ...args));
    }
  }
  assert.strictEqual(fs.readFileSync(secret, 'utf8'), 'outside');
});

test('an `fd` or `fs` that Node ignores does not make a stream open a host path', async (t) => {
  const { dir, top } = planted(t);
  const secret = path.join(dir, 'secret');
  class Options {
    get fd() {
      return 0;
    }
  }
  const root = new SandboxRoot(top);
  for (const made of [createFs(top), root]) {
    const streams = [
      made.createReadStream(secret, new Options()),
      made.createWriteStream(secret, new Options()),
      made.createReadStream(secret, { fs: null }),
      made.createWriteStream(secret, { fs: 0 }),
      made.createWriteStream(`${secret}-new`, Object.defineProperty({}, 'fd', { value: 0 })),
    ];
    const errors = await Promise.all(streams.map((stream) => once(stream, 'error')));
    for (const [error] of errors) assert.match(error.code, /^(EACCES|ENOENT)$/);
  }
  assert.strictEqual(fs.readFileSync(secret, 'utf8'), 'outside');
  assert.ok(!fs.existsSync(`${secret}-new`));
});

test('no class of the view opens a path of the host', (t) => {
  const { top } = planted(t);
  const view = createFs(top);
  for (const name of Object.keys(view).filter(
    (key) => /^[A-Z]/.test(key) && typeof view[key] === 'function',
  )) {
    if (['Dirent', 'Stats'].includes(name)) continue;
    assert.notStrictEqual(view[name], fs[name], name);
  }
  assert.throws(() => new view.Dir({ read: () => null }, '/', { recursive: true }), {
    code: 'ERR_METHOD_NOT_IMPLEMENTED',
  });
});

/** Runs a program, and gives what it prints. */
const printed = (program) => execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' });

test('a program that has put streams of its own into node:fs leads none out of the root', (t) => {
  const { dir, top } = planted(t);
  const index = JSON.stringify(path.join(__dirname, '../fs.js'));
  const [secret, root] = [path.join(dir, 'secret'), top].map((text) => JSON.stringify(text));
  const program = `
    const fs = require('node:fs');
    for (const name of ['ReadStream', 'WriteStream']) {
      const real = fs[name];
      function Patched(...args) { return this instanceof Patched ? (real.apply(this, args), this) : new Patched(...args); }
      Patched.prototype = Object.create(real.prototype);
      Patched.prototype.open = function () {
        fs.open(this.path, this.flags, this.mode, (error, fd) => error ? this.destroy(error) : ((this.fd = fd), this.emit('open', fd)));
      };
      fs[name] = Patched;
    }
    const view = require(${index}).createFs(${root});
    const ended = (stream) => new Promise((resolve) => stream.on('error', ({ code }) => resolve(code)).on('close', () => resolve('closed')));
    (async () => {
      console.log(await ended(view.createReadStream(${secret})));
      console.log(await ended(view.createWriteStream(${secret}).end('x')));
      console.log(await ended(view.createWriteStream(${secret}, { atomic: true }).end('x')));
    })();
  `;
  assert.strictEqual(printed(program), 'ENOENT\nENOENT\nENOENT\n');
  assert.strictEqual(fs.readFileSync(path.join(dir, 'secret'), 'utf8'), 'outside');
});

test('what a program puts on Object.prototype is no option of the view', (t) => {
  const { dir, top } = planted(t);
  const index = JSON.stringify(path.join(__dirname, '../fs.js'));
  const program = `
    const view = require(${index}).createFs(${JSON.stringify(top)});
    Object.assign(Object.prototype, { recursive: true, force: true, flag: 'a', fd: 0, atomic: true, fs: require('node:fs'), flags: 'w', throwIfNoEntry: false });
    try { view.rmSync('/a'); } catch ({ code }) { console.log(code); }
    view.writeFileSync('/top', 'new');
    console.log(view.readFileSync('/top', 'utf8'));
    view.createReadStream(${JSON.stringify(path.join(dir, 'secret'))}).on('error', ({ code }) => console.log(code));
  `;
  assert.strictEqual(printed(program), 'ERR_FS_EISDIR\nnew\nENOENT\n');
});

test('functions of the view in the place of those of node:fs do not call themselves', (t) => {
  const { top } = planted(t);
  const index = JSON.stringify(path.join(__dirname, '../fs.js'));
  const program = `
    const fs = require('node:fs');
    const view = require(${index}).createFs(${JSON.stringify(top)});
    for (const key of Object.keys(view)) try { Object.defineProperty(fs, key, { value: view[key] }); } catch {}
    const fd = fs.openSync('/top');
    console.log(fs.readFileSync(fd, 'utf8'));
    fs.promises.open('/top').then(async (handle) => console.log(await handle.readFile('utf8')));
    fs.watch('/a').close();
  `;
  assert.strictEqual(printed(program), 'top\ntop\n');
});

test('no handle is opened for its place alone: its content would be opened again, unseen', async (t) => {
  const { top } = planted(t);
  const root = new SandboxRoot(top, { readonly: true });
  const O_PATH = 0o10000000;
  for (const flags of [
    O_PATH,
    O_PATH | fs.constants.O_RDWR,
    O_PATH | fs.constants.O_RDWR | fs.constants.O_TRUNC,
  ]) {
    const expected = { code: 'ERR_INVALID_ARG_VALUE' };
    await assert.rejects(createFs(root).promises.open('/top', flags), expected);
    await assert.rejects(root.promises.openHandle('top', flags), expected);
  }
  assert.strictEqual(fs.readFileSync(path.join(top, 'top'), 'utf8'), 'top');
});
