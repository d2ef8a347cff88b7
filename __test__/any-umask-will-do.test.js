'use strict';
// An ordinary user whose umask takes permissions from the user as well: what a copy makes can be filled, has the
// modes of its original at the end, and is at no moment open to others.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('..');
const { WAYS, folder, folderOn, privately } = require('./mounts');
const { NOBODY, fifo, file, link, plant, snapshot, unprivileged } = require('./support');
const { hindered, withoutStrace } = require('./syscalls/strace');

const test = privately(__filename);
const noStrace = withoutStrace();

const UMASKS = [0, 0o077, 0o277, 0o400, 0o700, 0o777];
/** Who makes the copies. */
const USER = { uid: NOBODY, gid: NOBODY };

/** Gives all that is in `dir` to the ordinary user. */
function handOver(dir) {
  for (const name of fs.readdirSync(dir, { recursive: true })) {
    fs.lchownSync(path.join(dir, name), USER.uid, USER.gid);
  }
  fs.chownSync(dir, USER.uid, USER.gid);
}

/** Two directories of the ordinary user, on two file systems, with a tree in the first. */
function scene(t, tree, modes) {
  const [dir, elsewhere] = ['ext4', 'tmpfs'].map((kind) => folderOn(t, kind));
  plant(dir, { tree });
  for (const [name, mode] of Object.entries(modes)) fs.chmodSync(path.join(dir, 'tree', name), mode);
  handOver(dir);
  handOver(elsewhere);
  return { dir, elsewhere };
}

const TREE = {
  public: file('for all', 0o666),
  mine: file('for the user', 0o600),
  read: file('to be read', 0o444),
  most: { closed: {}, deep: { file: file('deep', 0o640) }, pipe: fifo(), soft: link('deep') },
  sub: { file: file('content', 0o644) },
};
const MODES = { most: 0o750, 'most/closed': 0o500, 'most/deep': 0o755, 'most/pipe': 0o620, sub: 0o777 };

for (const [face, call] of WAYS) {
  for (const umask of UMASKS) {
    const octal = umask.toString(8).padStart(4, '0');
    test(`umask ${octal}: copies and moves have the modes of their originals, ${face}`, async (t) => {
      const { dir, elsewhere } = scene(t, TREE, MODES);
      const [from, to] = [dir, elsewhere].map((at) => new SandboxRoot(at));
      t.after(() => [from, to].forEach((root) => root.close()));
      const before = snapshot(path.join(dir, 'tree'));
      const whole = ({ mode }) => mode.toString(8);
      const top = whole(fs.statSync(path.join(dir, 'tree')));
      const old = process.umask(umask);
      const copied = ['public', 'mine', 'read'];
      try {
        await unprivileged(async () => {
          await call(from, 'cp', 'tree', 'copy', { recursive: true });
          await call(from, 'cp', 'tree', 'kept', { recursive: true, preserve: true, to });
          await call(from, 'cp', 'tree/sub', 'kept/sub', { recursive: true, to });
          for (const name of copied) {
            await call(from, 'copyFile', `tree/${name}`, name);
            await call(from, 'copyFile', 'tree/mine', `over ${name}`, null, { to });
            await call(from, 'copyFile', `tree/${name}`, `over ${name}`, null, { to });
          }
          await call(from, 'cp', 'tree/most/pipe', 'pipe');
          await call(from, 'move', 'pipe', 'pipe', { to });
          await call(from, 'move', 'tree', 'moved', { to });
        });
      } finally {
        process.umask(old);
      }
      for (const at of [path.join(dir, 'copy'), ...['kept', 'moved'].map((at) => path.join(elsewhere, at))]) {
        assert.deepStrictEqual(snapshot(at), before, at);
        assert.strictEqual(whole(fs.statSync(at)), top, at);
      }
      for (const name of copied) {
        for (const at of [path.join(dir, name), path.join(elsewhere, `over ${name}`)]) {
          const { mode, content } = before[name];
          assert.deepStrictEqual([whole(fs.statSync(at)), fs.readFileSync(at, 'utf8')], [mode, content], at);
        }
      }
      assert.strictEqual(whole(fs.statSync(path.join(elsewhere, 'pipe'))), before['most/pipe'].mode);
      assert.deepStrictEqual(fs.readdirSync(dir).sort(), ['copy', ...copied].sort());
      const arrived = ['kept', 'moved', 'pipe', ...copied.map((name) => `over ${name}`)];
      assert.deepStrictEqual(fs.readdirSync(elsewhere).sort(), arrived.sort());
    });
  }
}

/** What is for the user alone, in directories for the user alone. */
const PRIVATE = {
  mine: file('for the user', 0o600),
  read: file('to be read', 0o400),
  sub: { pipe: fifo(), closed: {}, deep: { file: file('deep', 0o600) } },
};
const PRIVATE_MODES = { '.': 0o700, 'sub/pipe': 0o600, sub: 0o700, 'sub/closed': 0o500, 'sub/deep': 0o700 };

test('under no umask is a copy of what is private open to others at any moment', async (t) => {
  if (noStrace) return t.skip(noStrace);
  for (const umask of UMASKS) {
    const { dir, elsewhere } = scene(t, PRIVATE, PRIVATE_MODES);
    const log = path.join(folder('log'), 'log');
    const body = (dir, elsewhere, umask, { uid, gid }) => {
      const [from, to] = [dir, elsewhere].map((at) => new SandboxRoot(at));
      process.setgid(gid);
      process.setuid(uid);
      process.umask(umask);
      from.cp('tree', 'copy', { recursive: true });
      from.copyFile('tree/mine', 'mine', 0o600);
      from.copyFile('tree/read', 'mine');
      from.move('tree', 'moved', { to });
    };
    const traced = ['-o', log, '-e', 'trace=mkdirat,mknodat,openat2,fchmod,fchmodat,?fchmodat2'];
    await hindered(t, [], body, [dir, elsewhere, umask, USER], () => {}, traced);
    assert.deepStrictEqual(fs.readdirSync(elsewhere), ['moved']);
    const lines = fs.readFileSync(log, 'utf8').split('\n');
    const made = lines.filter((line) => /mkdirat|mknodat|fchmod|O_CREAT|O_TMPFILE/.test(line));
    assert.ok(made.length > 20, `${made.length} calls say a mode`);
    for (const line of made) {
      // The mode is the last number in octal: `0700`, `mode=0600`, `S_IFIFO|0600`.
      const mode = line
        .replace(/ = .*$/, '')
        .match(/\b0[0-7]*\b/g)
        ?.at(-1);
      assert.ok(mode !== undefined && (Number.parseInt(mode, 8) & 0o077) === 0, line);
    }
  }
});
