'use strict';
// mounts: 'reject', and a directory, a file, a FIFO, a socket or a device that is bind-mounted
// beneath the root: every method refuses it, and what is under the mount is untouched.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { spawn } = require('node:child_process');
const net = require('node:net');
const { SandboxRoot } = require('..');
const { privately, run } = require('./mounts');
const { POLICIES, callsApart, callsWithPath, link, methods, plant, release, tempDir } = require('./support');

const test = privately(__filename);

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What is mounted, made at `at`. `busy`: somebody waits at the other end, and must go on waiting. */
const KINDS = {
  directory: { make: (at) => plant(path.dirname(at), { [path.basename(at)]: { inner: 'inner', sub: {} } }) },
  file: { make: (at) => fs.writeFileSync(at, 'secret') },
  FIFO: { make: (at) => run('mkfifo', at), busy: true },
  socket: {
    make: async (at, t) => {
      const server = net.createServer();
      t.after(() => server.close());
      await new Promise((resolve) => server.listen(at, resolve));
    },
  },
  device: { make: (at) => run('mknod', at, 'c', '1', '3') },
};

const FIELDS = [
  'dev', 'ino', 'mode', 'nlink', 'uid', 'gid', 'size', 'blocks', 'atimeNs', 'mtimeNs', 'ctimeNs',
]; // biome-ignore format: a list
/** All that is known of what is at `at`, and beneath it; looking does not change it a second time. */
function state(at, name = '.', into = {}) {
  const stat = fs.lstatSync(path.join(at, name), { bigint: true });
  into[name] = FIELDS.map((field) => stat[field]);
  if (stat.isFile()) into[name].push(fs.readFileSync(path.join(at, name), 'utf8'));
  if (stat.isDirectory())
    for (const inner of fs.readdirSync(path.join(at, name))) state(at, path.join(name, inner), into);
  return into;
}

/** What a call may make, or must not lose. */
const FRESH = { file: 'content' };

/** Every call on one path, and those that go to or come from another root. */
const CALLS = [
  ...Object.entries({ ...callsWithPath, ...callsApart }).flatMap(([method, calls]) =>
    calls.map((call, i) => [`${method} (${i + 1})`, call]),
  ),
  ...['copyFile', 'cp', 'link', 'move', 'rename', 'renameNoReplace'].flatMap((method) => {
    const mode = method === 'copyFile' ? [null] : [];
    return [
      [`${method}, to another`, (face, at, { other }) => face[method](at, 'taken', ...mode, { to: other })],
      [
        `${method}, from another`,
        (face, at, { other, root }) =>
          (face === root ? other : other.promises)[method]('file', at, ...mode, { to: root }),
      ],
    ];
  }),
  ['chown (user)', (face, at) => face.chown(at, 4321, 4321)],
  ['lchown (user)', (face, at) => face.lchown(at, 4321, 4321)],
  ['access (0)', (face, at) => face.access(at)],
  ['open (path, nofollow)', (face, at) => face.open(at, 0o10000000 | fs.constants.O_NOFOLLOW)],
];
/**
 * `cp` asks a name what it is before anything is opened: that tells the type of what is mounted there, and of a
 * FIFO the mode. See the last test.
 */
const isCopyOfSpecial = (name, kind) =>
  /^cp( \(1\)|, to another)$/.test(name) && !['directory', 'file'].includes(kind);
/** What the kernel says of a name that is a mount point, beside that it is outside. */
const NAMED = /^(EBUSY|EEXIST|EISDIR|ENOTDIR|ENOTEMPTY|EPERM|EINVAL|EXDEV)$/;

for (const [kind, { make, busy }] of Object.entries(KINDS)) {
  for (const symlinks of POLICIES) {
    test(`${kind}, symlinks: '${symlinks}': every method refuses what is mounted, and leaves it alone`, async (t) => {
      const base = tempDir(t);
      const isDirectory = kind === 'directory';
      const names = {
        ...FRESH,
        mnt: isDirectory ? {} : 'beneath',
        dir: { mnt: isDirectory ? {} : 'beneath' },
      };
      plant(base, { root: { ...names, tomnt: link('mnt'), todir: link('dir') }, other: { file: 'another' } });
      const [dir, source] = [path.join(base, 'root'), path.join(base, 'source')];
      await make(source, t);
      const points = ['mnt', 'dir/mnt'].map((name) => path.join(dir, name));
      const root = new SandboxRoot(dir, { symlinks, mounts: 'reject' });
      const other = new SandboxRoot(path.join(base, 'other'));
      for (const point of points) run('mount', '--bind', source, point);
      const waiting = busy && spawn('cat', [source]);
      const heard = [];
      waiting?.stdout?.on('data', (data) => heard.push(data));
      try {
        state(source);
        const before = state(source);
        let [calls, refused] = [0, 0];
        const judge = async (name, face, at) => {
          const [, call] = CALLS.find(([label]) => label === name);
          calls += 1;
          let value;
          try {
            value = release(await call(face, at, { root, other }));
          } catch (error) {
            const isOutside = error.code === 'EACCES' && error.message.includes('outside of the sandbox');
            assert.ok(
              isOutside || NAMED.test(error.code) || isLink(error, at),
              `${name} of ${at}: ${error.message}`,
            );
            assert.ok(!error.message.includes(base), error.message);
            refused += 1;
            return;
          }
          if (name.startsWith('exists')) assert.strictEqual(value, false, `${name} of ${at}`);
          // A name beside the mount point, and a directory that is there.
          else if (name.startsWith('mkdtemp')) root.rmdir(value);
          else if (!(name === 'mkdir (2)' && isDirectory)) assert.fail(`${name} of ${at} succeeds`);
        };
        /** A symlink on the way, where none is followed. */
        const isLink = ({ code }, at) => code === 'ELOOP' && symlinks === 'reject' && at.includes('to');
        const paths = ['mnt', './mnt', 'dir/mnt', 'dir//mnt', 'todir/mnt'];
        if (isDirectory)
          paths.push('mnt/', 'mnt/.', 'mnt/inner', 'dir/mnt/new', 'tomnt/inner', 'mnt/sub/new');
        if (symlinks !== 'reject') paths.push('dir/../mnt', 'todir/../dir/mnt');
        if (symlinks === 'in-root') paths.push('/mnt', '/dir/mnt', '../mnt');
        for (const at of paths) {
          for (const [name] of CALLS) {
            if (isCopyOfSpecial(name, kind)) continue;
            await judge(name, root, at);
            await judge(name, root.promises, at);
          }
          // With one look at the end of each path: what went wrong is in the order of the calls.
          assert.deepStrictEqual(state(source), before, `after the calls of ${at}`);
          assert.deepStrictEqual(fs.readdirSync(path.join(base, 'other')), ['file']);
        }
        assert.deepStrictEqual(fs.readdirSync(dir).sort(), ['dir', 'file', 'mnt', 'todir', 'tomnt']);
        assert.strictEqual(fs.readFileSync(path.join(dir, 'file'), 'utf8'), 'content');
        // Through a symlink at the end: what follows it comes to the mount, the rest acts on the link.
        for (const method of [
          'stat',
          'statfs',
          'readFile',
          'chmod',
          'truncate',
          'writeFile',
          'utimes',
          'access',
        ])
          for (const [name] of CALLS.filter(([name]) => name === `${method} (1)`))
            await judge(name, root, 'tomnt');
        assert.deepStrictEqual(state(source), before);
        if (busy) {
          await pause(20);
          assert.deepStrictEqual([waiting.exitCode, heard], [null, []], 'who waits at the FIFO is not woken');
        }
        t.diagnostic(`${refused} of ${calls} calls refused`);
      } finally {
        waiting?.kill?.();
        root.close();
        other.close();
        for (const point of points) run('umount', '--lazy', point);
      }
      // What was there before the mount.
      for (const point of points) {
        if (isDirectory) assert.deepStrictEqual(fs.readdirSync(point), []);
        else assert.strictEqual(fs.readFileSync(point, 'utf8'), 'beneath');
      }
    });
  }
}

test('every method is among what is called', () => {
  const called = new Set(CALLS.map(([name]) => name.split(/[ ,]/)[0]));
  assert.deepStrictEqual([...called].sort(), [...methods].sort());
});

for (const kind of ['FIFO', 'socket', 'device']) {
  test(`cp of a ${kind} that is mounted is refused as outside of the sandbox`, async (t) => {
    const base = tempDir(t);
    plant(base, { root: { sub: { mnt: 'beneath' } } });
    const [dir, source] = [path.join(base, 'root'), path.join(base, 'source')];
    await KINDS[kind].make(source, t);
    const root = new SandboxRoot(dir, { mounts: 'reject' });
    run('mount', '--bind', source, path.join(dir, 'sub/mnt'));
    try {
      const outside = { code: 'EACCES', message: /outside of the sandbox/ };
      assert.throws(() => root.cp('sub/mnt', 'copy'), outside);
      assert.throws(() => root.cp('sub', 'copies', { recursive: true }), outside);
    } finally {
      root.close();
      run('umount', '--lazy', path.join(dir, 'sub/mnt'));
    }
  });
}
