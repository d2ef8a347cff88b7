'use strict';
// Behind a slash a path names a directory and nothing else, also while another process exchanges the directory
// for a symlink: no call moves, replaces or removes the symlink.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const { FULL } = require('./sizes');
const { Attack } = require('./races/attack');
const { link, memory, sandbox } = require('./support');

const isLink = (at) => fs.lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink() === true;

/**
 * Each row: the call, and where the symlink is found if the call took it for the directory. `d/` and `s` are
 * exchanged, the one a directory and the other a symlink; what was moved is moved back.
 */
const ROWS = {
  rename: [(root) => root.rename('d/', 'moved'), 'moved'],
  'rename over a file': [(root) => root.rename('d/', 'file'), 'file'],
  renameNoReplace: [(root) => root.renameNoReplace('d/', 'moved'), 'moved'],
  move: [(root) => root.move('d/', 'moved'), 'moved'],
  'move over a file': [(root) => root.move('d/', 'file', { overwrite: true }), 'file'],
  exchange: [(root) => root.exchange('d/', 'other'), 'other'],
  'exchange, the second': [(root) => root.exchange('other', 'd/'), 'other'],
  rm: [(root) => root.rm('d/'), undefined],
  'rm of a tree': [(root) => root.rm('d/', true), undefined],
};

const MS = FULL ? 8000 : 400;

for (const [title, [call, place]] of Object.entries(ROWS)) {
  test(`${title} of a path with a slash takes no symlink that is exchanged for the directory`, async (t) => {
    const tree = { d: {}, s: link('nowhere'), other: {}, file: 'content' };
    const { dir, root, at } = sandbox(t, tree, memory);
    const seen = {};
    await Attack.during([[at('d'), at('s')]], async (attack) => {
      for (const end = performance.now() + MS; performance.now() < end; ) {
        let code = 'done';
        try {
          call(root);
        } catch (error) {
          code = error.code;
        }
        seen[code] = (seen[code] ?? 0) + 1;
        if (place !== undefined) assert.ok(!isLink(at(place)), `the symlink is at ${place}`);
        if (code !== 'done') continue;
        // Who exchanges misses what is not there: then nothing is exchanged until it is there again.
        await attack.pause();
        const left = ['d', 's'].filter((name) => isLink(at(name)));
        assert.ok(place === 'other' || left.length === 1, `the symlink is gone: ${fs.readdirSync(dir)}`);
        for (const name of ['d', 's', 'other', 'moved'])
          fs.rmSync(at(name), { recursive: true, force: true });
        for (const name of ['d', 'other']) fs.mkdirSync(at(name));
        fs.symlinkSync('nowhere', at('s'));
        await attack.resume();
      }
    });
    assert.strictEqual(fs.readFileSync(at('file'), 'utf8'), 'content');
    const failed = Object.entries(seen).filter(([code]) => code !== 'done');
    assert.ok(failed.length > 0, `the symlink was met: ${JSON.stringify(seen)}`);
    for (const [code] of failed) assert.match(code, /^(ENOTDIR|ELOOP|EISDIR|ENOENT|EBUSY)$/);
  });
}
