'use strict';
// An error that is about several entries of a tree has the paths of all of them, whatever they are called.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { SandboxRoot } = require('..');
const { WAYS, folderOn, privately } = require('./mounts');
const { attacked } = require('./races/slow');
const { NOBODY, outcome, plant, unprivileged } = require('./support');
const { withoutAttaching } = require('./syscalls/strace');

const test = privately(__filename);

/** Each open is followed by a rest, in microseconds. */
const SLOWED = ['openat2:delay_exit=2500'];
/** In Latin-1: names that end lines, lists and strings, and that are not UTF-8. */
const NAMES = [
  'a\nb',
  'a\r\nb',
  'a,b',
  'a, b',
  `a'b`,
  'a"b',
  'a\\0b',
  'a\\b',
  ' ',
  '[',
  'undefined',
  '\t',
  '\x7f',
]
  .concat(['\xff', 'a\xc3', '\xf0\x9f\x98', '__proto__', '-> b', 'x'.repeat(255)])
  .concat(['😀', 'ü', '\u2028', '\ufffd'].map((name) => Buffer.from(name).toString('latin1')));
/** Bytes that are not UTF-8 show as U+FFFD, here as in the path of an error. */
const shown = (name) => Buffer.from(name, 'latin1').toString();
const inside = (dir, name) => Buffer.concat([Buffer.from(`${dir}/`), Buffer.from(name, 'latin1')]);

for (const [face, call] of WAYS) {
  for (const top of ['tree', 'a, b\n->', `it's`]) {
    test(`what a move could not remove from '${top.replace('\n', '\\n')}' is named, ${face}`, async (t) => {
      const [dir, elsewhere] = ['ext4', 'tmpfs'].map((kind) => folderOn(t, kind));
      plant(dir, { [top]: { full: { inner: 'inner' } } });
      const tree = path.join(dir, top);
      for (const name of NAMES) fs.writeFileSync(inside(tree, name), name);
      execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, dir, elsewhere]);
      // Nothing in it can be removed by its owner.
      fs.chmodSync(tree, 0o500);
      const [from, to] = [dir, elsewhere].map((at) => new SandboxRoot(at));
      t.after(() => [from, to].forEach((root) => root.close()));
      let error;
      await unprivileged(async () => {
        for (const [i, path] of [top, Buffer.from(`./${top}`)].entries()) {
          await call(from, 'move', path, `moved ${i}`, { to }).catch((thrown) => (error = thrown));
          const expected = [...NAMES.map(shown), 'full'].map((name) => `${path}/${name}`);
          assert.strictEqual(error?.code, 'EACCES');
          assert.strictEqual(error.path, String(path));
          assert.deepStrictEqual([...error.entries].sort(), expected.sort());
          assert.ok(Array.isArray(error.entries) && !error.message.includes('\n'));
        }
      });
    });
  }
}

test('what vanished while a tree was copied is named', async (t) => {
  if (withoutAttaching()) return t.skip(withoutAttaching());
  const dir = folderOn(t, 'tmpfs');
  plant(dir, { 'src,\n': { sub: Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`${i}`, ''])) } });
  const sub = path.join(dir, 'src,\n/sub');
  for (const name of NAMES) fs.writeFileSync(inside(sub, name), name);
  const root = new SandboxRoot(dir);
  t.after(() => root.close());
  const gone = root
    .readdir('src,\n/sub', 'buffer')
    .slice(8)
    .map((name) => name.toString('latin1'))
    .filter((name) => !/^\d$/.test(name));
  let error;
  await attacked(
    t,
    SLOWED,
    (dir, sub, gone) => {
      until(() => fs.readdirSync(path.join(dir, 'copy/sub')).length > 0);
      for (const name of gone)
        fs.unlinkSync(Buffer.concat([Buffer.from(sub + '/'), Buffer.from(name, 'latin1')]));
    },
    [dir, sub, gone],
    () => {
      try {
        root.cp('src,\n', 'copy', { recursive: true });
      } catch (thrown) {
        error = thrown;
      }
    },
  );
  assert.strictEqual(error?.code, 'ENOENT');
  assert.ok(gone.length > 10);
  assert.deepStrictEqual([...error.entries].sort(), gone.map((name) => `src,\n/sub/${shown(name)}`).sort());
  assert.deepStrictEqual([error.path, error.message.includes('\n')], [error.entries[0], false]);
});

test('a message has a bounded part of the longest path, and the error has all of it', (t) => {
  const dir = folderOn(t, 'tmpfs');
  const name = '\n'.repeat(250);
  const tops = ['upper', 'one', 'two', 'three', 'four', 'lower'];
  const parts = tops.map((top) => [top, ...Array(14).fill(name)].join('/'));
  for (const part of parts) fs.mkdirSync(path.join(dir, part), { recursive: true });
  execFileSync('mknod', [path.join(dir, parts.at(-1), 'device'), 'c', '1', '3']);
  for (let i = tops.length - 1; i > 0; i--) {
    fs.renameSync(path.join(dir, tops[i]), path.join(dir, parts[i - 1], tops[i]));
  }
  const root = new SandboxRoot(dir);
  t.after(() => root.close());
  const { error } = outcome(() => root.cp('upper', 'copy', { recursive: true }));
  assert.strictEqual(error?.code, 'ENXIO');
  assert.strictEqual(error.path, `${parts.join('/')}/device`);
  // A line break takes two characters.
  assert.ok(error.message.length < 4 * 16_384 + 200, `${error.message.length}`);
  assert.match(error.message, /^ENXIO: .*, cp 'upper\/.*….*\/device' -> 'copy\/.*….*\/device'$/);
});
