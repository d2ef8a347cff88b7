'use strict';
// copyFile: no file is emptied by surprise, no failed copy leaves a file behind, and whatever the size or
// the kind of the source, the copy ends, is complete, and takes no more room than the source.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { execFileSync } = require('node:child_process');
const { SandboxRoot } = require('..');
const { inChild, start } = require('./child');
const { FULL } = require('./sizes');
const {
  bothWays,
  codeOf,
  codeOfPromise,
  file,
  isRoot,
  link,
  memory,
  outcome,
  sandbox,
  settled,
  snapshot,
  tempDir,
  unprivileged,
} = require('./support');
const { hindered, withoutStrace } = require('./syscalls/strace');

const MiB = 2 ** 20;
const GiB = 2 ** 30;
const TiB = 2 ** 40;

const read = (at) => fs.readFileSync(at, 'utf8');
const modeOf = (at) => fs.statSync(at).mode & 0o7777;

/** All of a file that a copy could touch. */
const allOf = (at) => {
  const { ino, size, blocks, mode, mtimeMs } = fs.statSync(at);
  return { ino, size, blocks, mode, mtimeMs, content: read(at) };
};

test('a file copied onto itself stays as it is, by whichever of its names and spellings', (t) => {
  const { root, at } = sandbox(t, { dir: { file: file('do not lose this', 0o4750) }, other: {} });
  root.link('dir/file', 'dir/second');
  root.link('dir/file', 'other/third');
  const before = allOf(at('dir/file'));
  const names = [
    'dir/file',
    './dir//file',
    'dir/./file',
    Buffer.from('dir/file'),
    'dir/second',
    'other/third',
  ];
  for (const from of names) {
    for (const to of names) {
      assert.strictEqual(root.copyFile(from, to), undefined);
      assert.deepStrictEqual(allOf(at('dir/file')), before, `${from} to ${to}`);
    }
  }
});

test('a file on its way to a name that leads to itself by a symlink is refused, and stays', (t) => {
  const { root, at } = sandbox(t, { file: 'do not lose this', tofile: link('file'), here: link('.') });
  for (const args of [
    ['file', 'tofile'],
    ['tofile', 'file'],
    ['file', 'here/file'],
    ['here/file', 'file'],
  ]) {
    assert.strictEqual(
      codeOf(() => root.copyFile(...args)),
      'ELOOP',
    );
  }
  assert.strictEqual(read(at('file')), 'do not lose this');
});

test('a copy has the nine permission bits of its source, and is never setuid, setgid or sticky', (t) => {
  const { root, at } = sandbox(t, {
    src: file('x', 0o7751),
    dest: file('old', 0o7644),
    plain: file('y', 0o604),
  });
  root.copyFile('src', 'new');
  root.copyFile('src', 'new with a mode', 0o6777);
  root.copyFile('plain', 'dest');
  assert.deepStrictEqual(
    ['new', 'new with a mode', 'dest'].map((name) => modeOf(at(name)).toString(8)),
    ['751', '751', '604'],
  );
});

test('a destination that is there is overwritten in place, longer or shorter or empty', (t) => {
  const { root, at } = sandbox(t, { short: 'short', long: 'long'.repeat(50_000), empty: '', dest: 'old' });
  root.link('dest', 'second name');
  const { ino } = root.stat('dest');
  for (const src of ['long', 'short', 'empty', 'long', 'empty', 'short']) {
    root.copyFile(src, 'dest');
    assert.ok(fs.readFileSync(at('second name')).equals(fs.readFileSync(at(src))), src);
    assert.strictEqual(root.stat('dest').ino, ino);
  }
});

/** Makes a file of `size` bytes, all hole but for what `data` says is where. */
function sparse(at, size, data) {
  const fd = fs.openSync(at, 'w');
  fs.ftruncateSync(fd, size);
  for (const [position, text] of Object.entries(data)) fs.writeSync(fd, text, Number(position));
  fs.closeSync(fd);
}

function assertSparseCopy(t, size, data) {
  const { root, at } = sandbox(t);
  try {
    sparse(at('src'), size, data);
  } catch (error) {
    if (error.code === 'EFBIG') return t.skip(`no file of ${size} bytes here`);
    throw error;
  }
  const began = performance.now();
  root.copyFile('src', 'dest');
  const ms = performance.now() - began;
  const [src, dest] = [fs.statSync(at('src')), fs.statSync(at('dest'))];
  t.diagnostic(`${size} bytes, ${src.blocks} blocks: ${dest.blocks} blocks in ${ms.toFixed(1)} ms`);
  assert.strictEqual(dest.size, size);
  const slack = (Object.keys(data).length + 1) * 256;
  assert.ok(dest.blocks <= src.blocks + slack, `${dest.blocks} blocks, of ${src.blocks}`);
  assert.ok(ms < 5000, `it took ${ms} ms`);

  const fd = fs.openSync(at('dest'), 'r');
  for (const [position, text] of Object.entries(data)) {
    // A little of what is around it, too.
    const around = 8;
    const start = Math.max(0, Number(position) - around);
    const buffer = Buffer.alloc(Number(position) - start + text.length + around);
    const length = fs.readSync(fd, buffer, 0, buffer.length, start);
    const expected = Buffer.alloc(Math.min(buffer.length, size - start));
    expected.write(text, Number(position) - start);
    assert.deepStrictEqual(buffer.subarray(0, length), expected, `at ${position}`);
  }
  fs.closeSync(fd);
}

test('a file with a hole of 1 TiB is copied at once, and the hole stays a hole', (t) => {
  assertSparseCopy(t, TiB, { 0: 'first', 1048576: 'at one MiB', [TiB / 2]: 'middle', [TiB - 4]: 'last' });
});

test('a file that is nothing but a hole is copied as one', (t) => {
  assertSparseCopy(t, TiB, {});
});

test('a file that ends in a hole keeps its length', (t) => {
  assertSparseCopy(t, 100 * GiB, { 0: 'first', [3 * GiB]: 'a little' });
});

test('room that is kept behind the end of a file does not make its holes content', (t) => {
  const { root, at } = sandbox(t);
  for (const size of [8 << 20, 64 << 10]) {
    sparse(at('src'), size, { 0: 'first' });
    // As xfs keeps it for whoever appends to a file.
    const kept = ['--keep-size', '--offset', size, '--length', 2 * size, at('src')].map(String);
    if (spawnSync('fallocate', kept).status !== 0) return t.skip('no room can be kept here');
    assert.ok(fs.statSync(at('src')).blocks * 512 > size);
    for (const method of ['copyFile', 'cp']) {
      root[method]('src', method);
      const { blocks, size: length } = fs.statSync(at(method));
      assert.strictEqual(length, size);
      assert.ok(blocks * 512 < size / 2, `${method} of ${size} bytes: ${blocks} blocks`);
      root.unlink(method);
    }
    root.unlink('src');
  }
});

test('positions beyond 2 and 4 GiB are met exactly', (t) => {
  const data = {};
  for (const edge of [GiB, 2 * GiB, 4 * GiB, 8 * GiB]) {
    data[edge - 8192] = 'before';
    data[edge - 1] = 'across';
    data[edge + 4096] = 'behind';
  }
  assertSparseCopy(t, 8 * GiB + 5000, data);
});

test('3 GiB of data are copied to the last byte', { skip: !FULL && 'full size only' }, (t) => {
  const { dir, root, at } = sandbox(t);
  const { bavail, bsize } = fs.statfsSync(dir);
  if (bavail * bsize < 8 * GiB) return t.skip('needs 8 GiB of room');
  const fd = fs.openSync(at('src'), 'w');
  const block = Buffer.alloc(64 * MiB);
  for (let i = 0; i < 48; i++) {
    for (let at = 0; at < block.length; at += 8) block.writeDoubleLE(i * block.length + at, at);
    fs.writeSync(fd, block);
  }
  fs.writeSync(fd, 'the end');
  fs.closeSync(fd);
  root.copyFile('src', 'dest');
  execFileSync('cmp', [at('src'), at('dest')]);
});

/** A root at `/`, and a folder beneath it: for copies from other file systems. */
function hostRoot(t) {
  const dir = fs.realpathSync(tempDir(t));
  return { root: new SandboxRoot('/'), dir, at: (name) => path.join(dir, name), rel: (at) => at.slice(1) };
}

test('a file of /proc, whose size is said to be 0, is copied whole', (t) => {
  const { root, at, rel } = hostRoot(t);
  for (const name of ['status', 'maps', 'environ', 'cmdline', 'mountinfo']) {
    const source = `/proc/${process.pid}/${name}`;
    root.copyFile(rel(source), rel(at(name)));
    const [copy, original] = [read(at(name)), read(source)];
    // Counters in it move on.
    if (['environ', 'cmdline', 'mountinfo'].includes(name)) assert.strictEqual(copy, original);
    assert.ok(copy.length > 0 && Math.abs(copy.length - original.length) < 10_000, name);
    assert.strictEqual(copy.split('\n')[0], original.split('\n')[0], name);
  }
});

test('a file of /sys, whose size is said to be a page, is copied without anything made up', (t) => {
  const { root, at, rel } = hostRoot(t);
  const sources = ['/sys/kernel/uevent_seqnum', '/sys/devices/system/cpu/online', '/sys/kernel/profiling'];
  const source = sources.find((name) => outcome(() => read(name)).value);
  if (source === undefined) return t.skip('no /sys here');
  root.copyFile(rel(source), rel(at('copy')));
  assert.strictEqual(read(at('copy')), read(source));
});

test('a copy to another file system is complete, in memory that does not grow with the file', async (t) => {
  const other = outcome(() => tempDir(t, '/dev/shm')).value;
  const { at, dir } = hostRoot(t);
  if (other === undefined || fs.statSync(other).dev === fs.statSync(dir).dev) {
    return t.skip('needs /dev/shm as a second file system');
  }
  const { bavail, bsize } = fs.statfsSync(other);
  const size = (FULL && bavail * bsize > 600 * MiB ? 512 : 32) * MiB;
  const chunk = Buffer.from(Array.from({ length: 4099 }, (_, i) => i % 251));
  const fd = fs.openSync(path.join(other, 'src'), 'w');
  for (let done = 0; done < size; done += MiB) fs.writeSync(fd, Buffer.alloc(MiB, chunk));
  fs.closeSync(fd);
  const grown = await inChild(
    t,
    (src, dest) => {
      const peak = () => Number(/^VmHWM:\s*(\d+)/m.exec(fs.readFileSync('/proc/self/status'))[1]) / 1024;
      const root = new SandboxRoot('/');
      const before = peak();
      root.copyFile(src.slice(1), dest.slice(1));
      return peak() - before;
    },
    [path.join(other, 'src'), at('dest')],
  );
  t.diagnostic(`${size / MiB} MiB copied, with ${grown.toFixed(1)} MiB more of memory`);
  assert.ok(grown < 8, `${grown} MiB`);
  execFileSync('cmp', [path.join(other, 'src'), at('dest')]);
});

test('a copy of a file that others write to ends, and has only what was written', async (t) => {
  const { root, at } = sandbox(t, { src: 'a' });
  const writer = start(
    t,
    (at) => {
      const fd = fs.openSync(at, 'r+');
      const block = Buffer.alloc(2 ** 20, 'a');
      console.log('ready');
      for (;;) {
        // It grows to 64 MiB, and then shrinks, and so on.
        for (let size = 0; size < 64; size++) fs.writeSync(fd, block, 0, block.length, size * block.length);
        for (let size = 64; size >= 0; size -= 4) fs.ftruncateSync(fd, size * 2 ** 20);
      }
    },
    [at('src')],
  );
  await writer.ready;
  const sizes = [];
  const end = Date.now() + (FULL ? 20_000 : 1500);
  while (Date.now() < end) {
    const began = performance.now();
    root.copyFile('src', 'dest');
    assert.ok(performance.now() - began < 10_000, 'it ends');
    const copy = fs.readFileSync(at('dest'));
    assert.ok(copy.length <= 64 * MiB);
    // What was cut while it was copied may read as zeros, and nothing else may be there.
    assert.doesNotMatch(copy.toString('latin1'), /[^a\0]/);
    sizes.push(Math.round(copy.length / MiB));
  }
  await writer.stop();
  t.diagnostic(`${sizes.length} copies, of ${Math.min(...sizes)} to ${Math.max(...sizes)} MiB`);
});

test('a copy of an empty file that starts to grow meanwhile ends, while it still grows', async (t) => {
  const { root, at } = sandbox(t, { src: '' });
  const writer = start(
    t,
    (at) => {
      const fd = fs.openSync(at, 'r+');
      const sleep = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
      console.log('ready');
      for (;;) {
        fs.ftruncateSync(fd, 0);
        sleep(20);
        // Faster than anybody can read.
        for (let [size, end] = [0, Date.now() + 1500]; Date.now() < end; size += 2 ** 20)
          fs.ftruncateSync(fd, size);
      }
    },
    [at('src')],
  );
  await writer.ready;
  let slowest = 0;
  for (const end = Date.now() + 3000; Date.now() < end && slowest < 1000; ) {
    const began = performance.now();
    root.copyFile('src', 'dest');
    slowest = Math.max(slowest, performance.now() - began);
  }
  await writer.stop();
  t.diagnostic(`the slowest took ${slowest.toFixed(1)} ms, to ${root.stat('dest').size} bytes`);
  assert.ok(slowest < 1000, `it went on for ${slowest} ms`);
});

test('a copy that cannot begin leaves no new file, and an old one as it was', (t) => {
  const { dir, root, at } = sandbox(t, {
    src: 'source', secret: file('secret', 0o200), dir: {}, dest: 'old', frozen: { dest: 'old' },
    readonly: file('old', 0o444),
  }); // biome-ignore format: a tree
  if (isRoot) execFileSync('chown', ['-R', '65534:65534', dir]);
  fs.chmodSync(at('frozen'), 0o555);
  const old = allOf(at('dest'));
  for (const [src, dest, code] of [
    ['secret', 'new', 'EACCES'],
    ['secret', 'dest', 'EACCES'],
    ['missing', 'new', 'ENOENT'],
    ['missing', 'dest', 'ENOENT'],
    ['dir', 'new', 'EISDIR'],
    ['dir', 'dest', 'EISDIR'],
    ['src/', 'new', 'ENOTDIR'],
    ['src', 'frozen/new', 'EACCES'],
    ['src', 'readonly', 'EACCES'],
    ['src', 'dir', 'EISDIR'],
    ['src', 'new/', 'EISDIR'],
    ['src', 'missing/new', 'ENOENT'],
    ['src', 'dest/new', 'ENOTDIR'],
  ]) {
    assert.strictEqual(
      codeOf(() => unprivileged(() => root.copyFile(src, dest))),
      code,
      `${src} to ${dest}`,
    );
  }
  assert.deepStrictEqual(fs.readdirSync(at()).sort(), [
    'dest', 'dir', 'frozen', 'readonly', 'secret', 'src',
  ]); // biome-ignore format: a list
  assert.deepStrictEqual([fs.readdirSync(at('frozen')), fs.readdirSync(at('dir'))], [['dest'], []]);
  assert.deepStrictEqual(
    [allOf(at('dest')), read(at('frozen/dest')), read(at('readonly'))],
    [old, 'old', 'old'],
  );
});

const noOthers = !isRoot && 'needs root, to have a file that belongs to somebody else';

test('a destination whose mode cannot be set keeps its content', { skip: noOthers }, (t) => {
  const { root, at } = sandbox(t, { src: file('source', 0o644), theirs: file('do not lose this', 0o666) });
  const before = allOf(at('theirs'));
  assert.strictEqual(
    codeOf(() => unprivileged(() => root.copyFile('src', 'theirs'))),
    'EPERM',
  );
  assert.deepStrictEqual(allOf(at('theirs')), before);
});

test('a copy whose source cannot be read to its end leaves no new file', (t) => {
  const { root, at, rel } = hostRoot(t);
  // Nothing is mapped at its start.
  const source = rel(`/proc/${process.pid}/mem`);
  assert.strictEqual(
    codeOf(() => root.copyFile(source, rel(at('new')))),
    'EIO',
  );
  assert.deepStrictEqual(fs.readdirSync(at('')), []);
  fs.writeFileSync(at('old'), 'old');
  const { ino } = fs.statSync(at('old'));
  assert.strictEqual(
    codeOf(() => root.copyFile(source, rel(at('old')))),
    'EIO',
  );
  assert.strictEqual(fs.statSync(at('old')).ino, ino);
});

test('a copy that grows beyond the limit of a file leaves no new file', async (t) => {
  const { dir, at } = sandbox(t, { src: 'x'.repeat(4 * MiB), dest: 'old' });
  const { ino } = fs.statSync(at('dest'));
  const codes = await inChild(
    t,
    (dir) => {
      const root = new SandboxRoot(dir);
      return ['new', 'dest'].map((dest) => {
        try {
          root.copyFile('src', dest);
          return 'success';
        } catch ({ code }) {
          return code;
        }
      });
    },
    [dir],
    { limits: { f: 2048 } },
  );
  assert.deepStrictEqual(codes, ['EFBIG', 'EFBIG']);
  assert.deepStrictEqual(fs.readdirSync(at()).sort(), ['dest', 'src']);
  assert.strictEqual(fs.statSync(at('dest')).ino, ino);
  assert.strictEqual(fs.statSync(at('src')).size, 4 * MiB);
});

bothWays('with exclusive what is there is EEXIST, and stays', async (t, of) => {
  const { dir, root, at } = sandbox(t, {
    src: 'source',
    old: 'old',
    dir: {},
    tosrc: link('src'),
    dangling: link('made'),
  });
  const before = snapshot(dir);
  for (const dest of ['old', 'dir', 'tosrc', 'dangling', 'src']) {
    const { error } = await settled(of(root).copyFile('src', dest, null, { exclusive: true }));
    assert.deepStrictEqual(
      [error.code, error.syscall, error.path, error.dest],
      ['EEXIST', 'copyfile', 'src', dest],
    );
  }
  assert.deepStrictEqual(snapshot(dir), before);
  assert.strictEqual(await of(root).copyFile('src', 'new', 0o600, { exclusive: true }), undefined);
  assert.strictEqual(read(at('new')), 'source');
});

bothWays('of many exclusive copies to one name one wins', async (t, of) => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  const { root, at } = sandbox(t, Object.fromEntries(names.map((name) => [name, name.repeat(100_000)])));
  const copies = names.map((name) => of(root).copyFile(name, 'new', null, { exclusive: true }));
  const results = await Promise.allSettled(copies);
  const won = names.filter((_, i) => results[i].status === 'fulfilled');
  assert.strictEqual(won.length, 1);
  for (const { reason } of results) if (reason) assert.strictEqual(reason.code, 'EEXIST');
  assert.strictEqual(read(at('new')), won[0].repeat(100_000));
});

bothWays('reflink decides whether blocks may or must be shared', async (t, of) => {
  const dir = tempDir(t, memory);
  const root = new SandboxRoot(dir);
  fs.writeFileSync(path.join(dir, 'src'), 'source');
  fs.writeFileSync(path.join(dir, 'old'), 'old');
  for (const reflink of ['auto', 'never', undefined, null]) {
    await of(root).copyFile('src', 'new', null, { reflink });
    assert.strictEqual(read(path.join(dir, 'new')), 'source');
    fs.rmSync(path.join(dir, 'new'));
  }
  for (const [options, code] of [
    [{ reflink: 'yes' }, 'ERR_INVALID_ARG_VALUE'],
    [{ reflink: true }, 'ERR_INVALID_ARG_TYPE'],
    [{ exclusive: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ to: 'x' }, 'ERR_INVALID_ARG_TYPE'],
    ['exclusive', 'ERR_INVALID_ARG_TYPE'],
  ])
    assert.strictEqual(await codeOfPromise(of(root).copyFile('src', 'new', null, options)), code);
  const { error } = await settled(of(root).copyFile('src', 'new', null, { reflink: 'always' }));
  if (error === undefined) return t.skip('this file system shares blocks');
  assert.match(error.code, /^(ENOTSUP|EXDEV|EINVAL|ENOTTY)$/);
  assert.strictEqual(
    await codeOfPromise(of(root).copyFile('src', 'old', null, { reflink: 'always' })),
    error.code,
  );
  assert.deepStrictEqual([fs.readdirSync(dir).sort(), read(path.join(dir, 'old'))], [['old', 'src'], 'old']);
});

test('a new copy that others have written to stays when it is stopped', {
  skip: withoutStrace(),
}, async (t) => {
  const { dir, root, at } = sandbox(t, { source: 'x'.repeat(400 << 10) });
  const body = async (dir) => {
    const root = new SandboxRoot(dir);
    const left = {};
    for (const who of ['others', 'nobody'])
      for (const method of ['copyFile', 'cp']) {
        const dest = `${dir}/${method}-${who}`;
        const aborted = new AbortController();
        const options = { reflink: 'never', signal: aborted.signal };
        const args = method === 'cp' ? [options] : [null, options];
        const copied = root.promises[method]('source', `${method}-${who}`, ...args);
        // The first part is written, and the call still rests.
        while (!fs.existsSync(dest) || fs.statSync(dest).size === 0) await new Promise(setImmediate);
        if (who === 'others') fs.writeFileSync(dest, 'others');
        aborted.abort();
        const { name } = await copied.catch((error) => error);
        left[`${method}-${who}`] = [name, fs.existsSync(dest) ? fs.readFileSync(dest, 'utf8') : null];
      }
    return left;
  };
  const left = await hindered(t, ['pwrite64:delay_exit=300000'], body, [dir]);
  const [kept, removed] = [
    ['AbortError', 'others'],
    ['AbortError', null],
  ];
  assert.deepStrictEqual(left, {
    'copyFile-others': kept, 'cp-others': kept, 'copyFile-nobody': removed, 'cp-nobody': removed,
  }); // biome-ignore format: a table
  assert.strictEqual(fs.readFileSync(at('source')).length, 400 << 10);
  root.close();
});
