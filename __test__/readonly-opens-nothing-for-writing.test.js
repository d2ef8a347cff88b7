'use strict';
// readonly: true, and every combination of the flags of open(2): nothing on the disk changes, whatever is
// answered, and no descriptor comes out that can write.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('..');
const { FULL } = require('./sizes');
const { POLICIES, bothWays, fifo, link, outcome, plant, settled, tempDir } = require('./support');

const O = fs.constants;
const O_TMPFILE = 0o20000000;
const O_PATH = 0o10000000;
const ACCESS = [O.O_RDONLY, O.O_WRONLY, O.O_RDWR, O.O_WRONLY | O.O_RDWR];
const BITS = [
  O.O_CREAT, O.O_EXCL, O.O_TRUNC, O.O_APPEND, O.O_DIRECTORY, O.O_NOFOLLOW, O_TMPFILE, O_PATH,
]; // biome-ignore format: a list
/** What changes little of the rest: each with every access and every one of the above. */
const OTHERS = [O.O_NONBLOCK, O.O_SYNC, O.O_DSYNC, O.O_NOATIME, O.O_DIRECT, 0o20000, 0o100000, O.O_NOCTTY];
const WORDS = [
  'r', 'rs', 'sr', 'r+', 'rs+', 'sr+', 'w', 'wx', 'xw', 'w+', 'wx+', 'xw+', 'a', 'ax', 'xa', 'as', 'sa', 'a+',
  'ax+', 'xa+', 'as+', 'sa+',
]; // biome-ignore format: a list

const subsets = Array.from({ length: 1 << BITS.length }, (_, chosen) =>
  BITS.reduce((flags, bit, i) => (chosen & (1 << i) ? flags | bit : flags), 0),
);
const FLAGS = [
  ...ACCESS.flatMap((access) => subsets.map((bits) => access | bits)),
  ...ACCESS.flatMap((access) => OTHERS.flatMap((other) => [0, ...BITS].map((bit) => access | other | bit))),
  ...WORDS,
];

const TREE = {
  file: 'content',
  empty: '',
  dir: { inner: 'inner' },
  tofile: link('file'),
  todir: link('dir'),
  dangling: link('nowhere'),
  pipe: fifo(),
};
const PATHS = ['file', 'empty', 'dir', 'dir/', 'dir/inner', 'dir/new', 'new', 'tofile', 'todir/inner',
  'todir/new', 'dangling', 'pipe', '.', 'dir/.']; // biome-ignore format: a list

const FIELDS = ['ino', 'mode', 'nlink', 'uid', 'gid', 'size', 'blocks', 'mtimeNs', 'ctimeNs'];
/** Everything about a tree but the times of reading, to the nanosecond. */
function state(dir, name = '.', into = {}) {
  const stat = fs.lstatSync(path.join(dir, name), { bigint: true });
  into[name] = FIELDS.map((field) => stat[field]);
  if (stat.isDirectory())
    for (const inner of fs.readdirSync(path.join(dir, name))) state(dir, path.join(name, inner), into);
  return into;
}

/** Nothing can be written by way of `fd`, nor can a file be made by way of it that had no name. */
function assertReads(fd, label) {
  try {
    const info = fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
    const flags = Number.parseInt(/^flags:\s*(\d+)$/m.exec(info)[1], 8);
    assert.strictEqual(flags & (O.O_WRONLY | O.O_RDWR), 0, `${label}: ${flags.toString(8)}`);
    assert.notStrictEqual(fs.fstatSync(fd).nlink, 0, label);
    for (const write of [() => fs.writeSync(fd, 'written'), () => fs.ftruncateSync(fd, 1)])
      assert.match(`${outcome(write).error?.code}`, /^(EBADF|EINVAL|EISDIR)$/, label);
  } finally {
    fs.closeSync(fd);
  }
}

/** The promises take the same way as the calls: not all of it twice. */
const policiesFor = (way) => (FULL || way === 'at once' ? POLICIES : ['in-root']);

bothWays(
  'no combination of flags changes anything or gives a descriptor that can write',
  async (t, of, way) => {
    const dir = tempDir(t);
    plant(dir, TREE);
    const before = state(dir);
    const codes = {};
    let opened = 0;
    for (const symlinks of policiesFor(way)) {
      const root = new SandboxRoot(dir, { symlinks, readonly: true });
      for (const flags of FLAGS) {
        for (const at of PATHS) {
          const label = `${at}, ${typeof flags === 'number' ? `0o${flags.toString(8)}` : flags}, ${symlinks}`;
          const { value, error } = await settled(of(root).open(at, flags, 0o6777));
          if (error === undefined) assertReads(value, label);
          else assert.ok(error.syscall === 'open', `${label}: ${error.message}`);
          opened += error === undefined;
          codes[error?.code] = (codes[error?.code] ?? 0) + 1;
          const changes = typeof flags === 'number' && (flags & O_PATH) === 0 && (flags & 3) !== 0;
          if (changes) assert.ok(error !== undefined, label);
        }
        assert.deepStrictEqual(state(dir), before, `${flags}, ${symlinks}`);
      }
      root.close();
    }
    assert.ok(FLAGS.length > 1100 && opened > 1000 && codes.EROFS > 5000, JSON.stringify(codes));
    t.diagnostic(`${FLAGS.length} combinations: ${opened} opened, ${JSON.stringify(codes)}`);
  },
);

bothWays('no flag of a call that writes changes anything', async (t, of, way) => {
  const dir = tempDir(t);
  plant(dir, TREE);
  const before = state(dir);
  for (const symlinks of policiesFor(way)) {
    const root = new SandboxRoot(dir, { symlinks, readonly: true });
    for (const flag of FLAGS) {
      for (const at of ['file', 'new', 'tofile', 'dir/new', 'dangling']) {
        for (const method of ['writeFile', 'appendFile']) {
          const { error } = await settled(of(root)[method](at, 'written', { flag }));
          assert.ok(error !== undefined, `${method} of ${at}, ${flag}, ${symlinks}`);
        }
      }
      assert.deepStrictEqual(state(dir), before, `${flag}, ${symlinks}`);
    }
    root.close();
  }
});
