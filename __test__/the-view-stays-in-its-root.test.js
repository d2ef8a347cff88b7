'use strict';
// Paths of the view begin at its root and end in it: `..` stops at `/`, and no symlink leads out, whoever made it.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { pathToFileURL } = require('node:url');
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
