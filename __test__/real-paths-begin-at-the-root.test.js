'use strict';
// realpath: where a path leads, told from the root on, links followed as far as the root follows them.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('..');
const { bothWays, codeOfPromise, fifo, file, link, sandbox, settled, tempDir } = require('./support');

const TREE = {
  file: 'content', dir: { inner: 'inner', deep: { er: {} }, up: link('../file'), top: link('../..') }, secret: file('s', 0o000),
  tofile: link('file'), todir: link('dir'), chain: link('todir/deep'), dangling: link('nowhere'), absolute: link('/dir/inner'),
  self: link('self'), pipe: fifo(), 'new\nline': {},
}; // biome-ignore format: a tree

const PLAIN = ['file', 'dir', 'dir/inner', 'dir/deep/er', 'secret', 'pipe', 'new\nline'];

bothWays('without links on it a path is returned in its plain form', async (t, of) => {
  const { root } = sandbox(t, TREE);
  for (const at of PLAIN) {
    for (const spelled of [
      at,
      `./${at}`,
      at.replaceAll('/', '//'),
      at.replaceAll('/', '/./'),
      Buffer.from(at),
    ])
      assert.strictEqual(await of(root).realpath(spelled), at);
  }
  for (const at of ['.', './', './/.', 'dir/']) {
    const options = [undefined, null, {}, 'utf8', 'utf-8', { encoding: 'utf8' }, { encoding: null }];
    for (const option of options)
      assert.strictEqual(await of(root).realpath(at, option), at === 'dir/' ? 'dir' : '.');
  }
});

bothWays('it fails as realpath(3) does, and follows no link that the root does not', async (t, of) => {
  const { root } = sandbox(t, TREE);
  for (const [at, code] of [
    ['missing', 'ENOENT'],
    ['missing/x', 'ENOENT'],
    ['file/', 'ENOTDIR'],
    ['file/x', 'ENOTDIR'],
    ['tofile', 'ELOOP'],
    ['todir/inner', 'ELOOP'],
    ['self', 'ELOOP'],
    ['..', 'EACCES'],
    ['dir/..', 'EACCES'],
    ['/', 'EACCES'],
    ['', 'ENOENT'],
    ['x'.repeat(256), 'ENAMETOOLONG'],
  ]) {
    const { error } = await settled(of(root).realpath(at));
    assert.deepStrictEqual([error?.code, error.syscall, error.path], [code, 'realpath', at]);
  }
  for (const wrong of ['latin1', 'hex', ''])
    assert.strictEqual(await codeOfPromise(of(root).realpath('.', wrong)), 'ERR_INVALID_ARG_VALUE');
});

for (const symlinks of ['beneath', 'in-root']) {
  bothWays(`symlinks: '${symlinks}' has links resolved, to where node:fs finds the file`, async (t, of) => {
    const { dir } = sandbox(t, TREE);
    const root = new SandboxRoot(dir, { symlinks });
    const top = fs.realpathSync(dir);
    for (const name of [...PLAIN, 'tofile', 'todir', 'todir/inner', 'chain', 'chain/er', 'dir/up', 'dir/../file', 'chain/../inner', 'todir/deep/er/../..']) {
      assert.strictEqual(await of(root).realpath(name), path.relative(top, fs.realpathSync.native(`${dir}/${name}`)), name);
    }
    for (const name of ['dir/..', 'chain/../..', 'todir/..']) assert.strictEqual(await of(root).realpath(name), '.');
    for (const [name, code] of [['dangling', 'ENOENT'], ['self', 'ELOOP'], ['tofile/', 'ENOTDIR']])
      assert.strictEqual(await codeOfPromise(of(root).realpath(name)), code);
    if (symlinks === 'beneath') {
      for (const name of ['absolute', 'dir/top', '..']) assert.strictEqual(await codeOfPromise(of(root).realpath(name)), 'EACCES');
    } else {
      for (const [name, real] of [['absolute', 'dir/inner'], ['dir/top', '.'], ['..', '.'], ['/dir/../file', 'file'], ['/', '.']])
        assert.strictEqual(await of(root).realpath(name), real, name);
    }
  });
} // biome-ignore format: a list

bothWays('names that are not UTF-8 are returned byte for byte where that is asked', async (t, of) => {
  const { dir, root } = sandbox(t);
  const name = Buffer.from([0x61, 0xff, 0x2f, 0xfe]);
  fs.mkdirSync(Buffer.concat([Buffer.from(`${dir}/`), name.subarray(0, 2)]));
  fs.writeFileSync(Buffer.concat([Buffer.from(`${dir}/`), name]), '');
  for (const options of ['buffer', { encoding: 'buffer' }]) {
    const got = await of(root).realpath(name, options);
    assert.ok(Buffer.isBuffer(got) && got.equals(name));
  }
  assert.strictEqual(await of(root).realpath(name), 'a\ufffd/\ufffd');
  assert.ok((await of(root).realpath('.', 'buffer')).equals(Buffer.from('.')));
});

bothWays('the root is where it is now, whatever it was called', async (t, of) => {
  const base = tempDir(t);
  fs.mkdirSync(path.join(base, 'old/dir'), { recursive: true });
  fs.symlinkSync('old', path.join(base, 'link'));
  const root = new SandboxRoot(path.join(base, 'link'));
  assert.strictEqual(await of(root).realpath('dir'), 'dir');
  fs.renameSync(path.join(base, 'old'), path.join(base, 'new'));
  assert.strictEqual(await of(root).realpath('dir'), 'dir');
  fs.mkdirSync(path.join(base, 'old/dir'), { recursive: true });
  assert.strictEqual(await of(root).realpath('dir'), 'dir');
  const slash = new SandboxRoot('/');
  assert.strictEqual(
    await of(slash).realpath(fs.realpathSync(base).slice(1)),
    fs.realpathSync(base).slice(1),
  );
  assert.strictEqual(await of(slash).realpath('.'), '.');
});

bothWays('a name that only looks like one of the kernel is returned as it is', async (t, of) => {
  const { root } = sandbox(t, { 'file (deleted)': 'x', '\\040': {}, '(unreachable)': { x: '' } });
  for (const at of ['file (deleted)', '\\040', '(unreachable)/x'])
    assert.strictEqual(await of(root).realpath(at), at);
});
