'use strict';
// Something is mounted over the path of a root after the root was opened. The open directory is the
// root: no path comes out in what covers it, whichever way it leads up to the root and down again.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('..');
const { WAYS, came, privately, run, volume } = require('./mounts');
const { everyCallWithPath, link, plant, snapshot } = require('./support');

const test = privately(__filename);

const TREE = {
  own: 'own',
  both: 'of the root',
  a: { x: 'x', b: { y: 'y' }, up: link('..'), far: link('../both'), top: link('/'), abs: link('/both') },
  up: link('.'),
  self: link('a/..'),
  top: link('/'),
  abs: link('/both'),
};
const COVER = { covering: 'covering', both: 'of what covers it', a: { hidden: 'hidden' } };

/** Paths that lead to the root again, from where `..` is taken; and with what is in both behind them. */
const CLIMBS = [
  'a/..',
  'a/../',
  'a/b/../..',
  'a/../a/..',
  'a/up',
  'a/up/',
  'self',
  'a/up/a/..',
  'a/b/../../.',
];
const BEYOND_IN_ROOT = [
  '..',
  '../..',
  'a/../..',
  '/',
  '/..',
  '/.',
  '//',
  '/a/..',
  'a/top',
  'top',
  'a/../../../.',
];
const CLIMBS_OF = { beneath: CLIMBS, 'in-root': [...CLIMBS, ...BEYOND_IN_ROOT] };
const FILES_OF = { beneath: ['a/far'], 'in-root': ['a/far', 'a/abs', 'abs', '/both', '/a/../both'] };

/** A new directory. It stays until the file is done: what is mounted there is gone by then. */
const newDirectory = () => fs.mkdtempSync(path.join(volume('tmpfs'), 'base-'));

/** A root whose path is covered after it was opened. */
function scene(t, options, cover) {
  const dir = path.join(newDirectory(), 'root');
  fs.mkdirSync(dir);
  plant(dir, TREE);
  const other = newDirectory();
  plant(other, COVER);
  const root = new SandboxRoot(dir, options);
  cover(dir, other);
  t.after(() => {
    root.close();
    run('umount', '--lazy', dir);
  });
  return { root, dir };
}

const COVERS = {
  'a bind mount': (dir, other) => run('mount', '--bind', other, dir),
  'a file system': (dir) => {
    run('mount', '-t', 'tmpfs', 'tmpfs', dir);
    plant(dir, COVER);
  },
};

for (const symlinks of ['beneath', 'in-root']) {
  for (const mounts of ['allow', 'reject']) {
    for (const [what, cover] of Object.entries(COVERS)) {
      const under = `'${symlinks}', mounts: '${mounts}'`;
      test(`${what} over the path of the root is never read, listed or described: ${under}`, async (t) => {
        const { root, dir } = scene(t, { symlinks, mounts }, cover);
        const { ino, dev } = root.stat('.');
        const names = root.readdir('.').sort();
        assert.deepStrictEqual(names, Object.keys(TREE).sort());
        assert.ok(fs.readdirSync(dir).includes('covering'), 'it is covered');
        const wrong = [];
        for (const [face, call] of WAYS) {
          const refusedOr = async (says, expected, method, ...args) => {
            const { value, code } = await came(call(root, method, ...args));
            const is = JSON.stringify(value);
            if (code === undefined ? is !== JSON.stringify(expected) : code !== 'EACCES')
              wrong.push(`${face}, ${says}: ${code ?? is}`);
          };
          for (const at of CLIMBS_OF[symlinks]) {
            const { value, code } = await came(call(root, 'stat', at));
            const isOther = code === undefined && (value.ino !== ino || value.dev !== dev);
            if (isOther || (code !== undefined && code !== 'EACCES'))
              wrong.push(`${face}, stat ${at}: ${code}`);
            const listed = await came(call(root, 'readdir', at));
            if (listed.value?.includes('covering')) wrong.push(`${face}, readdir ${at}: ${listed.value}`);
            await refusedOr(`exists ${at}/covering`, false, 'exists', `${at}/covering`);
            await refusedOr(`readFile ${at}/both`, 'of the root', 'readFile', `${at}/both`, 'utf8');
          }
          for (const at of FILES_OF[symlinks])
            await refusedOr(`readFile ${at}`, 'of the root', 'readFile', at, 'utf8');
        }
        assert.deepStrictEqual(wrong, []);
      });

      test(`${what} over the path of the root is never changed: ${under}`, (t) => {
        const { root, dir } = scene(t, { symlinks, mounts }, cover);
        const before = snapshot(dir);
        const changed = new Set();
        for (const climb of CLIMBS_OF[symlinks]) {
          for (const [title, call] of everyCallWithPath) {
            for (const at of [
              climb,
              `${climb}/made`,
              `${climb}/both`,
              `${climb}/covering`,
              `${climb}/a/hidden`,
            ]) {
              try {
                call(root, at);
              } catch {
                // What comes of it is looked at by other tests.
              }
              if (JSON.stringify(snapshot(dir)) === JSON.stringify(before)) continue;
              changed.add(`${title} of ${at}`);
              for (const name of fs.readdirSync(dir)) fs.rmSync(path.join(dir, name), { recursive: true });
              plant(dir, COVER);
            }
          }
          // What is beneath is as it was, for the next.
          for (const [name, is] of Object.entries({ both: 'of the root', own: 'own' })) {
            if (!root.exists(name)) root.writeFile(name, is);
          }
          for (const name of ['a', 'a/b']) if (!root.exists(name)) root.mkdir(name);
          for (const [target, name] of Object.entries({ '..': 'a/up', 'a/..': 'self', '/': 'a/top' }))
            if (!root.readdir(path.dirname(name)).includes(path.basename(name))) root.symlink(target, name);
        }
        assert.deepStrictEqual([...changed], []);
      });
    }
  }
}

test('a path that comes back to the root is fine where nothing covers it', () => {
  const dir = newDirectory();
  plant(dir, TREE);
  for (const symlinks of ['beneath', 'in-root']) {
    for (const mounts of ['allow', 'reject']) {
      const root = new SandboxRoot(dir, { symlinks, mounts });
      for (const at of CLIMBS_OF[symlinks]) assert.strictEqual(root.stat(at).ino, root.stat('.').ino, at);
      for (const at of FILES_OF[symlinks]) assert.strictEqual(root.readFile(at, 'utf8'), 'of the root', at);
      root.close();
    }
  }
});

test('a root that is a mount point itself is come back to', (t) => {
  const dir = newDirectory();
  run('mount', '-t', 'tmpfs', 'tmpfs', dir);
  t.after(() => run('umount', '--lazy', dir));
  plant(dir, TREE);
  for (const symlinks of ['beneath', 'in-root']) {
    const root = new SandboxRoot(dir, { symlinks });
    for (const at of CLIMBS_OF[symlinks]) assert.strictEqual(root.stat(at).ino, root.stat('.').ino, at);
    root.close();
  }
});

test('a file system that was mounted beneath a root is reached when something covers the root', async (t) => {
  for (const symlinks of ['reject', 'beneath', 'in-root']) {
    const dir = path.join(newDirectory(), 'root');
    plant(path.dirname(dir), { root: { volume: {}, link: link('volume/file') } });
    run('mount', '-t', 'tmpfs', 'tmpfs', path.join(dir, 'volume'));
    plant(path.join(dir, 'volume'), {
      file: 'of the volume',
      dir: { file: 'of the volume' },
      link: link('file'),
    });
    const root = new SandboxRoot(dir, { symlinks });
    COVERS['a file system'](dir);
    t.after(() => {
      root.close();
      run('umount', '--lazy', dir);
      run('umount', '--lazy', path.join(dir, 'volume'));
    });
    for (const [, call] of WAYS) {
      for (const at of ['volume/file', 'volume/dir/file', './/volume/./dir//file'])
        assert.strictEqual(await call(root, 'readFile', at, 'utf8'), 'of the volume', `${symlinks}: ${at}`);
      await call(root, 'writeFile', 'volume/new', 'new');
      await call(root, 'rm', 'volume/new');
      // What leads to it by a link may lead upwards.
      for (const at of ['volume/../volume/file', 'link', 'volume/link', 'volume/..']) {
        const { code } = await came(call(root, 'stat', at));
        assert.match(
          `${code}`,
          symlinks === 'reject' ? /^(ELOOP|EACCES)$/ : /^EACCES$/,
          `${symlinks}: ${at}`,
        );
      }
    }
  }
});
