'use strict';
// root copies and moves into a directory of another user, who exchanges what was just made with something of
// root's in the same directory: that keeps its mode and its owner. So does what an ordinary user has there who copies
// with a umask that forbids even the owner to read.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('..');
const { folderOn, privately } = require('./mounts');
const { attacked, slowed, swapping } = require('./races/slow');
const { NOBODY, fifo, link, outcome, plant } = require('./support');
const { withoutAttaching } = require('./syscalls/strace');

const test = privately(__filename);

/** The file systems that can exchange two names. */
const KINDS = ['tmpfs', 'ext4', 'xfs', 'btrfs', 'overlayfs'];
/** So often the attacker has to be in time, and so many tries there are. */
const ENOUGH = 2;
const ROUNDS = 12;

/** What makes a name is followed by a rest, in microseconds, in which the attacker finds it. */
const SLOWED = ['mkdirat,mknodat,symlinkat:delay_exit=40000'];

const secretFile = (at) => fs.writeFileSync(at, 'secret', { mode: 0o600 });
function secretDirectory(at) {
  fs.mkdirSync(at, { mode: 0o700 });
  secretFile(path.join(at, 'secret'));
}
const SECRETS = { file: secretFile, directory: secretDirectory };

const copies = (from, i, to) => from.cp(`source${i}`, `dest${i}`, { to, recursive: true });
// Without `overwrite` the attacker would meet what is made to try whether the copy can be published.
const moves = (from, i, to) => from.move(`source${i}`, `dest${i}`, { to, overwrite: true });

/** What is made, what the victim is, and by what it was copied. */
const ROWS = [
  { made: 'directory', victim: 'directory', how: 'cp', go: copies, source: { sub: { file: 'content' } } },
  { made: 'directory', victim: 'directory', how: 'move', go: moves, source: { sub: { file: 'content' } } },
  { made: 'fifo', victim: 'file', how: 'cp', go: copies, source: fifo() },
  { made: 'fifo', victim: 'file', how: 'move', go: moves, source: fifo() },
  { made: 'symlink', victim: 'file', how: 'move', go: moves, source: link('nowhere') },
];

for (const kind of KINDS) {
  for (const { made, victim, how, go, source } of ROWS) {
    test(`${kind}: a ${made} that ${how} made is exchanged with a ${victim} of root's: that stays as it was`, async (t) => {
      if (withoutAttaching()) return t.skip(withoutAttaching());
      const [dir, elsewhere] = [folderOn(t, kind), folderOn(t, kind === 'tmpfs' ? 'ext4' : 'tmpfs')];
      fs.chownSync(dir, NOBODY, NOBODY);
      fs.chmodSync(dir, 0o755);
      const [from, to] = [elsewhere, dir].map((at) => new SandboxRoot(at));
      t.after(() => [from, to].forEach((root) => root.close()));
      for (let i = 0; i < ROUNDS; i++) {
        const at = path.join(elsewhere, `source${i}`);
        plant(elsewhere, { [`source${i}`]: source });
        if (made !== 'symlink') fs.chmodSync(at, 0o777);
        fs.lchownSync(at, NOBODY, NOBODY);
      }
      const names = Array.from({ length: ROUNDS }, (_, i) => `victim${i}`);
      const victims = names.map((name) => {
        SECRETS[victim](path.join(dir, name));
        return fs.openSync(path.join(dir, name));
      });
      t.after(() => victims.forEach((fd) => fs.closeSync(fd)));
      const told = () =>
        victims.map((fd) => {
          const { mode, uid, gid, nlink } = fs.fstatSync(fd);
          return { mode: mode.toString(8), uid, gid, nlink };
        });
      const before = told();

      const codes = [];
      const swaps = await swapping(t, dir, made, names, () =>
        slowed(SLOWED, async () => {
          for (let i = 0; i < ROUNDS && codes.filter((code) => code === 'EBUSY').length < ENOUGH; i++) {
            codes.push(outcome(() => go(from, i, to)).error?.code ?? 'done');
          }
        }),
      );
      assert.deepStrictEqual(told(), before, `after ${codes}`);
      // What is noticed is refused; the attacker may also come too late.
      for (const code of codes) assert.match(code, /^(EBUSY|done)$/);
      assert.ok(codes.includes('EBUSY'), `the attacker was never in time: ${codes}, ${swaps} exchanges`);
      t.diagnostic(`${swaps} exchanges, ${codes}`);
    });
  }
}

/** Neither root nor the attacker. */
const SOMEBODY = 12_345;

/** What a umask makes look as if it had just been made, though it is not closed to others, or not empty. */
const OF_SOMEBODY = {
  'directory that they may not read': { made: 'directory', umask: 0o400, mode: 0o300 },
  'directory that they may not write': { made: 'directory', umask: 0o022, mode: 0o500 },
  'file that they may not read': { made: 'fifo', umask: 0o400, mode: 0o060 },
};

for (const kind of KINDS) {
  for (const [what, { made, umask, mode }] of Object.entries(OF_SOMEBODY)) {
    test(`${kind}: a ${made} that an ordinary user made is exchanged with a ${what}: that stays as it was`, async (t) => {
      if (withoutAttaching()) return t.skip(withoutAttaching());
      const dir = folderOn(t, kind);
      const at = (...names) => path.join(dir, ...names);
      plant(dir, { from: { source: made === 'fifo' ? fifo() : {} }, to: {} });
      for (const shared of ['.', 'from', 'from/source', 'to']) fs.chmodSync(at(shared), 0o777);
      const names = Array.from({ length: ROUNDS }, (_, i) => `victim${i}`);
      const victims = names.map((name) => {
        SECRETS[made === 'fifo' ? 'file' : 'directory'](at('to', name));
        fs.chmodSync(at('to', name), mode);
        fs.chownSync(at('to', name), SOMEBODY, SOMEBODY);
        return fs.openSync(at('to', name));
      });
      t.after(() => victims.forEach((fd) => fs.closeSync(fd)));
      const root = new SandboxRoot(dir);
      t.after(() => root.close());
      const codes = [];
      const before = process.umask();
      const asSomebody = () => {
        process.setegid(SOMEBODY);
        process.seteuid(SOMEBODY);
        process.umask(umask);
        try {
          for (let i = 0; i < ROUNDS && codes.filter((code) => code === 'EBUSY').length < ENOUGH; i++) {
            const copied = outcome(() => root.cp('from/source', `to/dest${i}`, { recursive: true }));
            codes.push(copied.error?.code ?? 'done');
          }
        } finally {
          process.umask(before);
          process.seteuid(0);
          process.setegid(0);
        }
      };
      await swapping(t, at('to'), made, names, () => slowed(SLOWED, async () => asSomebody()));
      const modes = victims.map((fd) => fs.fstatSync(fd).mode & 0o7777);
      assert.deepStrictEqual(
        modes,
        names.map(() => mode),
        `after ${codes}`,
      );
      assert.ok(codes.includes('EBUSY'), `the attacker was never in time: ${codes}`);
    });
  }
}

for (const kind of KINDS) {
  test(`${kind}: nothing is moved into a directory of another user, who exchanges all that is made`, async (t) => {
    if (withoutAttaching()) return t.skip(withoutAttaching());
    const [dir, elsewhere] = [folderOn(t, kind), folderOn(t, kind === 'tmpfs' ? 'ext4' : 'tmpfs')];
    plant(elsewhere, { source: { file: 'secret' } });
    fs.chownSync(dir, NOBODY, NOBODY);
    const [from, to] = [elsewhere, dir].map((at) => new SandboxRoot(at));
    t.after(() => [from, to].forEach((root) => root.close()));
    let error;
    const theirs = await attacked(
      t,
      ['mkdirat:delay_exit=40000'],
      (dir, nobody) => {
        // Whatever is made meanwhile is out of the way at once, and a directory of the other user in its place.
        const theirs = [];
        for (const end = performance.now() + 1500; performance.now() < end; rest(0.1)) {
          const isMade = (at) => {
            const stat = fs.lstatSync(at, { throwIfNoEntry: false });
            return stat?.uid === 0 && stat.isDirectory();
          };
          const at = hidden(dir, isMade);
          if (at === undefined) continue;
          const other = path.join(dir, `theirs ${theirs.length}`);
          fs.mkdirSync(other, { mode: 0o700, recursive: true });
          fs.chownSync(other, nobody, nobody);
          try {
            fs.renameSync(at, path.join(dir, `made ${theirs.length}`));
          } catch (error) {
            if (error.code !== 'ENOENT') throw error;
            continue;
          }
          fs.renameSync(other, at);
          theirs.push(at);
        }
        return theirs;
      },
      [dir, NOBODY],
      () => ({ error } = outcome(() => from.move('source', 'dest', { to, overwrite: true }))),
    );
    assert.ok(theirs.length > 0, 'the attacker was in time');
    assert.strictEqual(error?.code, 'EBUSY');
    for (const at of theirs) {
      assert.deepStrictEqual(
        [fs.readdirSync(at), fs.statSync(at).uid, fs.statSync(at).mode & 0o777],
        [[], NOBODY, 0o700],
      );
    }
    assert.ok(!fs.existsSync(path.join(dir, 'dest')));
  });
}
