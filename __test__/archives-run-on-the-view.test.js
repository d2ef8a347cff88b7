'use strict';
// tar-fs on a view of a root: what it packs and extracts is what it packs and extracts on `node:fs`, and no entry and
// no link of an archive leads out.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { Readable } = require('node:stream');
const { pipeline } = require('node:stream/promises');
const { buffer } = require('node:stream/consumers');
const { SECRET, assertNoSecret, load, onNodeFs, onView } = require('./clients/world.js');
const { file, link, snapshot } = require('./support.js');

const OLD = new Date('2000-01-02T03:04:05Z');

const TREE = {
  tree: {
    plain: 'plain',
    empty: '',
    large: 'x'.repeat(300_000),
    run: file('#!/bin/sh\n', 0o755),
    secretive: file('mine', 0o600),
    dir: { sub: { deep: 'deep' }, 'with space é': '' },
    hollow: {},
    tolink: link('dir/sub/deep'),
    todir: link('dir/sub'),
  },
};

/** Gives all that is beneath a directory a time that tar can keep, from the leaves up. */
function age(dir) {
  for (const name of fs.readdirSync(dir)) {
    const at = path.join(dir, name);
    if (fs.lstatSync(at).isDirectory()) age(at);
    fs.lutimesSync(at, OLD, OLD);
  }
}

/** A snapshot without the times of links, which tar-fs does not set. */
function seen(dir) {
  const all = snapshot(dir);
  for (const entry of Object.values(all)) if (entry.target !== undefined) delete entry.mtime;
  return all;
}

onView(
  'tar-fs packs and extracts a tree with modes, links and times',
  { tree: TREE },
  async ({ view, at }) => {
    const tar = (await load('tar-fs')).default;
    fs.chmodSync(at('tree/dir/sub'), 0o750);
    fs.linkSync(at('tree/plain'), at('tree/second'));
    age(at('tree'));
    const packed = await buffer(tar.pack('/tree', { fs: view, sort: true }));
    const expected = await onNodeFs(() => buffer(tar.pack(at('tree'), { fs, sort: true })));
    assert.deepStrictEqual(packed, expected);
    // An archive of the program tar has hard links.
    const byTar = execFileSync('tar', ['-cf', '-', '-C', at('tree'), '.']);
    for (const [name, archive] of Object.entries({ packed, byTar })) {
      await pipeline(Readable.from([archive]), tar.extract(`/${name}`, { fs: view }));
      await onNodeFs(() => pipeline(Readable.from([archive]), tar.extract(at(`${name}-expected`), { fs })));
      assert.deepStrictEqual(seen(at(name)), seen(at(`${name}-expected`)));
    }
    assert.strictEqual(view.statSync('/byTar/plain').nlink, 2);
    assert.strictEqual(view.statSync('/byTar/dir/sub/deep').mtimeMs, OLD.getTime());
  },
);

/** An archive of entries. */
async function archiveOf(entries) {
  const { default: tarStream } = await load('tar-stream');
  const pack = tarStream.pack();
  for (const { content, ...header } of entries) pack.entry(header, content);
  pack.finalize();
  return buffer(pack);
}

const HOSTILE = {
  'a path that goes up': [{ name: '../../outside/new', content: 'text' }],
  'an absolute path': [{ name: '/etc/openat2-test', content: 'text' }],
  'a file through a link of its own': [
    { name: 'way', type: 'symlink', linkname: '../../outside' },
    { name: 'way/new', content: 'text' },
    { name: 'way/secret', content: 'text' },
  ],
  'a file through an absolute link of its own': [
    { name: 'way', type: 'symlink', linkname: '/../../../dev/shm' },
    { name: 'way/openat2-test', content: 'text' },
  ],
  'a file onto a link of its own': [
    { name: 'secret', type: 'symlink', linkname: '../../outside/secret' },
    { name: 'secret', content: 'text' },
  ],
  'a hard link to what is outside': [
    { name: 'secret', type: 'link', linkname: '../../outside/secret' },
    { name: 'secret', content: 'text' },
  ],
  'a hard link to a link': [
    { name: 'first', type: 'symlink', linkname: '../../outside/secret' },
    { name: 'second', type: 'link', linkname: 'first' },
    { name: 'second', content: 'text' },
  ],
  'a file through a link that is there': [
    { name: 'out/secret', content: 'text' },
    { name: 'out/new', content: 'text' },
  ],
  'a directory that is a link': [
    { name: 'out', type: 'directory', mode: 0o700 },
    { name: 'out/new', content: 'text' },
  ],
};

for (const symlinks of ['reject', 'beneath', 'in-root']) {
  for (const [what, entries] of Object.entries(HOSTILE)) {
    // With its own checks and without them.
    onView(
      `tar-fs extracts ${what} to nowhere outside (symlinks: '${symlinks}')`,
      { symlinks },
      async ({ view, at, traps }) => {
        const tar = (await load('tar-fs')).default;
        const archive = await archiveOf(entries);
        for (const [into, options] of Object.entries({
          careful: {},
          careless: { validateSymlinks: false },
        })) {
          traps(`${into}/out`);
          const extract = tar.extract(`/${into}`, { fs: view, ...options });
          await pipeline(Readable.from([archive]), extract).catch((error) =>
            assertNoSecret(`${error.stack}`),
          );
          assert.ok(!fs.existsSync(at(into, 'etc/passwd')));
        }
        assert.ok(!fs.existsSync('/dev/shm/openat2-test') && !fs.existsSync('/etc/openat2-test'));
      },
    );
  }

  onView(
    `tar-fs packs nothing from outside (symlinks: '${symlinks}')`,
    { tree: TREE, symlinks },
    async ({ view, traps }) => {
      const tar = (await load('tar-fs')).default;
      traps('tree/out', 'tree/dir/out');
      for (const top of ['/tree', '/tree/out', '/../outside', '/']) {
        for (const dereference of [false, true]) {
          const packed = await buffer(tar.pack(top, { fs: view, dereference })).catch(() => Buffer.alloc(0));
          assert.ok(!packed.includes(SECRET) && !packed.includes('only outside'), top);
        }
      }
    },
  );
}
