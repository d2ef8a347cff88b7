'use strict';
// Another user opens every file and directory as soon as the mode lets them, and keeps it open. While
// something is copied, moved or written, they never see what they could not see before, or will not
// be allowed to see in the end.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('..');
const { FULL } = require('./sizes');
const { folderOn, privately } = require('./mounts');
const { spiedOn } = require('./races/spy');
const { NOBODY } = require('./support');
const { attach, withoutAttaching } = require('./syscalls/strace');

const test = privately(__filename);

/** Milliseconds of each race; twice that where nothing would be proved otherwise. */
const LASTS = FULL ? 60_000 : 250;

/** What makes or changes something is followed by a rest: faults of strace. */
const SLOWED = ['open,openat,openat2,mkdirat,fchmod,fchown,ftruncate,renameat2,linkat'].map(
  (calls) => `${calls}:delay_exit=1500`,
);

const SECRET = 'nobody else is to see this';
const CONTENT = SECRET.repeat(4000);

const secretFile = (at) => fs.writeFileSync(at, CONTENT, { mode: 0o600 });

function secretTree(at) {
  fs.mkdirSync(at, { mode: 0o700 });
  secretFile(path.join(at, `1 ${SECRET}`));
  fs.mkdirSync(path.join(at, 'sub'), { mode: 0o700 });
  secretFile(path.join(at, 'sub', `2 ${SECRET}`));
}

/** What the other user opens: also names that were not foreseen. */
const EVERYTHING = ['dest', 'dest/sub', '*', 'dest/*'];

/** Replaces a file that others had open by a new one. */
function anew(at, make) {
  fs.rmSync(at, { recursive: true, force: true });
  make(at);
}

/**
 * Each row: `once({ root, at, from })` makes what is raced, does it, and takes it away, in the
 * directory that `at` gives paths in and `from` another root is on. `sees`: what the other user opens.
 */
const ROWS = {
  'copyFile to a new file': {
    prepare: ({ at }) => secretFile(at('source')),
    once({ root, at }) {
      root.copyFile('source', 'dest');
      fs.unlinkSync(at('dest'));
    },
  },
  'copyFile to a new file, with a mode': {
    prepare: ({ at }) => secretFile(at('source')),
    once({ root, at }) {
      root.copyFile('source', 'dest', 0o777);
      fs.unlinkSync(at('dest'));
    },
  },
  'copyFile of what all may read, over a secret': {
    sees: ['dest'],
    prepare: ({ at }) => fs.writeFileSync(at('source'), 'for everybody', { mode: 0o644 }),
    once({ root, at }) {
      anew(at('dest'), secretFile);
      // It is longer than what comes in its place: it takes a while until it is gone.
      fs.truncateSync(at('dest'), 1 << 24);
      root.copyFile('source', 'dest');
      assert.strictEqual(fs.statSync(at('dest')).mode & 0o777, 0o644);
    },
  },
  'cp of a file': {
    prepare: ({ at }) => secretFile(at('source')),
    once({ root, at }) {
      root.cp('source', 'dest');
      fs.unlinkSync(at('dest'));
    },
  },
  'cp over a file': {
    prepare: ({ at }) => secretFile(at('source')),
    once({ root, at }) {
      anew(at('dest'), secretFile);
      root.cp('source', 'dest');
    },
  },
  'cp of a tree': {
    prepare: ({ at }) => secretTree(at('source')),
    once({ root, at }) {
      root.cp('source', 'dest', { recursive: true });
      fs.rmSync(at('dest'), { recursive: true });
    },
  },
  'cp of a tree that is for reading only': {
    prepare({ at }) {
      secretTree(at('source'));
      fs.chmodSync(at('source/sub'), 0o500);
      fs.chmodSync(at('source'), 0o500);
    },
    once({ root, at }) {
      root.cp('source', 'dest', { recursive: true });
      fs.rmSync(at('dest'), { recursive: true });
    },
  },
  'writeFile in one step, over a secret': {
    prepare: ({ at }) => secretFile(at('dest')),
    once: ({ root }) => root.writeFile('dest', CONTENT, { atomic: true }),
  },
  'writeFile in one step, with a mode that is narrow': {
    prepare() {},
    once({ root, at }) {
      root.writeFile('dest', CONTENT, { atomic: true, mode: 0o600 });
      fs.unlinkSync(at('dest'));
    },
  },
  'move of a file from another mount': {
    prepare() {},
    once({ root, at, elsewhere, from }) {
      secretFile(from('source'));
      elsewhere.move('source', 'dest', { to: root, overwrite: true });
      fs.unlinkSync(at('dest'));
    },
  },
  'move of a tree from another mount': {
    prepare() {},
    once({ root, at, elsewhere, from }) {
      secretTree(from('source'));
      elsewhere.move('source', 'dest', { to: root, overwrite: true });
      fs.rmSync(at('dest'), { recursive: true });
    },
  },
  'move of a file of a group that the other user is not in, though we are': {
    prepare() {},
    once({ root, at, elsewhere, from }) {
      groupFile(from('source'));
      inGroupOfTheOther(() => elsewhere.move('source', 'dest', { to: root, overwrite: true }));
      fs.unlinkSync(at('dest'));
    },
  },
  'writeFile in one step, over a file of such a group': {
    prepare: ({ at }) => groupFile(at('dest')),
    once: ({ root }) => inGroupOfTheOther(() => root.writeFile('dest', CONTENT, { atomic: true })),
  },
};

/** A secret that a group may read. */
function groupFile(at) {
  secretFile(at);
  fs.chownSync(at, 0, 1234);
  fs.chmodSync(at, 0o640);
}

function inGroupOfTheOther(action) {
  process.setegid(NOBODY);
  try {
    action();
  } finally {
    process.setegid(0);
  }
}

/** With files without names, and without. */
const KINDS = ['tmpfs', 'bindfs', ...(FULL ? ['ext4', 'fuse2fs', 'btrfs'] : [])];

/** Without rest, and with a rest after each system call, in which the other user finds everything. */
const PACES = { 'slowed down': SLOWED, ...(FULL || withoutAttaching() ? { 'at full speed': [] } : {}) };

for (const kind of KINDS) {
  for (const [pace, inject] of Object.entries(PACES)) {
    for (const [title, { sees = EVERYTHING, prepare, once }] of Object.entries(ROWS)) {
      test(`another user sees nothing of it: ${title}, on ${kind}, ${pace}`, async (t) => {
        const reason = inject.length > 0 && withoutAttaching();
        if (reason) return t.skip(reason);
        const scene = sceneOn(t, kind);
        prepare(scene);
        let calls = 0;
        const seen = { tries: 0, opens: 0, secrets: 0 };
        const isTried = () => calls > 1 && seen.tries > 100;
        // On a busy machine one round is not enough.
        for (let round = 0; round < 20 && !isTried(); round++) {
          const more = await spiedOn(t, SECRET, sees.map(scene.at), async () => {
            const strace = inject.length > 0 ? await attach(process.pid, '/dev/null', inject) : null;
            for (const end = performance.now() + LASTS; performance.now() < end; calls++) once(scene);
            strace?.kill();
          });
          for (const what of Object.keys(seen)) seen[what] += more[what];
        }
        assert.strictEqual(seen.secrets, 0, `${seen.secrets} secrets were seen in ${calls} calls`);
        assert.ok(isTried(), `${calls} calls, ${JSON.stringify(seen)}`);
        t.diagnostic(`${calls} calls, ${JSON.stringify(seen)}`);
      });
    }
  }
}

test('another user sees what is written first and narrowed then', async (t) => {
  const { at } = sceneOn(t, 'tmpfs');
  const seen = await spiedOn(t, SECRET, EVERYTHING.map(at), () => {
    for (const end = performance.now() + 2 * LASTS; performance.now() < end; ) {
      fs.writeFileSync(at('dest'), CONTENT, { mode: 0o644 });
      fs.chmodSync(at('dest'), 0o600);
      fs.unlinkSync(at('dest'));
      fs.mkdirSync(at('directory'), 0o755);
      fs.writeFileSync(at(`directory/${SECRET}`), '', { mode: 0o600 });
      fs.chmodSync(at('directory'), 0o700);
      fs.rmSync(at('directory'), { recursive: true });
    }
  });
  assert.ok(seen.secrets > 10, `the spy sees too little to prove anything: ${JSON.stringify(seen)}`);
});

/** Where the other user can look: a directory on a file system of this `kind`. */
function sceneOn(t, kind) {
  const dir = folderOn(t, kind);
  fs.chmodSync(dir, 0o755);
  const other = folderOn(t, kind === 'tmpfs' ? 'ext4' : 'tmpfs');
  const [at, from] = [dir, other].map((base) => (name) => path.join(base, name));
  return {
    root: new SandboxRoot(dir),
    elsewhere: new SandboxRoot(other),
    at,
    from,
  };
}
