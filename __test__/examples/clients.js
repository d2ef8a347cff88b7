'use strict';
// The two examples that give a package a view of a root: git-on-a-view.js and extract-with-tar-fs.js.

const assert = require('node:assert');
const fs = require('node:fs');
const { execFileSync, spawnSync } = require('node:child_process');
const { createReadStream } = require('node:fs');
const { Readable } = require('node:stream');
const { isDone, load } = require('../clients');
const commitAll = require('../../examples/git-on-a-view.js');
const extract = require('../../examples/extract-with-tar-fs.js');
const { trying } = require('./world.js');
const { link, plant, snapshot } = require('../support.js');

const skip = !isDone() && 'needs the packages that `npm run setup:clients` fetches';
const withoutGit = skip || (spawnSync('git', ['--version']).status !== 0 && 'needs Git');

const author = { name: 'Ada', email: 'ada@example.org', timestamp: 1e9, timezoneOffset: 0 };

trying('git-on-a-view.js commits what has changed', { skip: withoutGit }, async ({ root, dir, at }) => {
  const git = (await load('isomorphic-git')).default;
  plant(dir, { a: 'a', sub: { b: 'b' } });
  const first = await commitAll(git, root, 'first', author);
  // Links to outside are committed as links.
  assert.deepStrictEqual(first.changed, ['a', 'out', 'secret', 'sub/b']);
  fs.rmSync(at('a'));
  fs.writeFileSync(at('sub/b'), 'other');
  const second = await commitAll(git, root, 'second', author);
  assert.deepStrictEqual(second.changed, ['a', 'sub/b']);
  const env = { PATH: process.env.PATH, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null' };
  const host = (...args) =>
    execFileSync('git', ['-c', 'safe.directory=*', '-C', dir, ...args], { encoding: 'utf8', env });
  assert.strictEqual(host('log', '--format=%H %s'), `${second.oid} second\n${first.oid} first\n`);
  assert.strictEqual(host('status', '--porcelain'), '');
  assert.match(host('ls-tree', 'HEAD', 'out'), /^120000 /);
});

trying('git-on-a-view.js is not led elsewhere', { skip: withoutGit }, async ({ root, at, t }) => {
  const git = (await load('isomorphic-git')).default;
  // It says there what it did not expect.
  t.mock.method(console, 'log', () => {});
  fs.symlinkSync('../outside', at('.git'));
  await assert.rejects(commitAll(git, root, 'first', author));
});

const TREE = {
  file: 'text',
  run: { content: '#!', mode: 0o755 },
  dir: { sub: { deep: 'deep' } },
  way: link('dir/sub'),
};

/** An archive that the program tar makes of a directory. */
const archiveOf = (directory) => Readable.from([execFileSync('tar', ['-cf', '-', '-C', directory, '.'])]);

trying('extract-with-tar-fs.js extracts what tar makes', { skip }, async ({ root, dir, at }) => {
  const tar = (await load('tar-fs')).default;
  plant(dir, { tree: TREE });
  fs.linkSync(at('tree/file'), at('tree/second'));
  await extract(tar, archiveOf(at('tree')), root, 'copy');
  assert.deepStrictEqual(snapshot(at('copy')), snapshot(at('tree')));
  await assert.rejects(extract(tar, archiveOf(at('tree')), root, 'copy'), { code: 'EEXIST' });
  await assert.rejects(extract(tar, archiveOf(at('tree')), root, 'out/copy'), { code: 'ELOOP' });
  await assert.rejects(extract(tar, archiveOf(at('tree')), root, '../copy'), { code: 'EACCES' });
});

trying(
  'extract-with-tar-fs.js leaves nothing of what is too much, or hostile',
  { skip },
  async ({ root, dir, at }) => {
    const tar = (await load('tar-fs')).default;
    const tarStream = (await load('tar-stream')).default;
    plant(dir, { tree: TREE });
    const before = root.readdir('.').sort();
    await assert.rejects(
      extract(tar, archiveOf(at('tree')), root, 'new', { maxEntries: 3 }),
      /too many entries/,
    );
    await assert.rejects(
      extract(tar, archiveOf(at('tree')), root, 'new', { maxBytes: 2000 }),
      /too many bytes/,
    );
    const file = createReadStream(at('tree/file'));
    await assert.rejects(extract(tar, file, root, 'new'));
    const hostile = [
      [{ name: 'way', type: 'symlink', linkname: '../../../outside' }],
      [{ name: 'way', type: 'symlink', linkname: '/etc' }],
      [{ name: 'way', type: 'link', linkname: '../secret' }],
      [{ name: `${'a/'.repeat(1000)}b`, type: 'directory' }],
    ];
    for (const entries of hostile) {
      const pack = tarStream.pack();
      for (const entry of entries) pack.entry(entry);
      pack.finalize();
      await assert.rejects(extract(tar, pack, root, 'new', { maxEntries: 100 }), entries[0].name);
    }
    assert.deepStrictEqual(root.readdir('.').sort(), before);
  },
);
