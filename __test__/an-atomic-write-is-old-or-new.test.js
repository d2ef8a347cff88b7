'use strict';
// writeFile with atomic: whoever reads, and whatever fails or dies meanwhile, finds the old content whole or
// the new one whole, and no other name beside it.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { once } = require('node:events');
const { SandboxRoot } = require('..');
const { inChild, start } = require('./child');
const { FULL } = require('./sizes');
const { attach, withoutAttaching, withoutStrace } = require('./syscalls/strace');
const { trace } = require('./syscalls/trace');
const {
  bothWays,
  codeOfPromise,
  file,
  isRoot,
  link,
  sandbox,
  snapshot,
  tempDir,
  withoutMounts,
} = require('./support');

const MiB = 2 ** 20;
const read = (at) => fs.readFileSync(at, 'utf8');
const modeOf = (at) => (fs.lstatSync(at).mode & 0o7777).toString(8);
const ATOMIC = { atomic: true };

bothWays('a reader in another process never sees a part, nor nothing', async (t, of) => {
  const { dir, root, at } = sandbox(t, { file: 'a'.repeat(3 * MiB) });
  const reader = start(
    t,
    (at, reads) => {
      console.log('ready');
      const seen = {};
      for (let i = 0; i < reads; i++) {
        const bytes = fs.readFileSync(at);
        const whole = bytes.length > 0 && bytes.equals(Buffer.alloc(bytes.length, bytes[0]));
        const what = `${bytes.toString('latin1', 0, 1)} ${bytes.length} ${whole}`;
        seen[what] = (seen[what] ?? 0) + 1;
      }
      return seen;
    },
    [at('file'), FULL ? 5000 : 400],
  );
  await reader.ready;
  let over = false;
  reader.result.finally(() => {
    over = true;
  });
  let writes = 0;
  while (!over) {
    await of(root).writeFile('file', 'b'.repeat(MiB), ATOMIC);
    await of(root).writeFile('file', 'a'.repeat(3 * MiB), ATOMIC);
    writes += 2;
    // Here it learns that the reader is done.
    await new Promise(setImmediate);
  }
  const { value: seen } = await reader.result;
  t.diagnostic(`${writes} writes, ${JSON.stringify(seen)}`);
  assert.deepStrictEqual(Object.keys(seen).sort(), [`a ${3 * MiB} true`, `b ${MiB} true`]);
  assert.deepStrictEqual(fs.readdirSync(dir), ['file']);
});

bothWays('a new file is made, and one that is there is another file afterwards', async (t, of) => {
  const umask = process.umask(0o027);
  t.after(() => process.umask(umask));
  const { dir, root, at } = sandbox(t, { old: file('old', 0o640), dir: {} });
  fs.linkSync(at('old'), at('second'));
  const reader = fs.openSync(at('old'), 'r');
  assert.strictEqual(await of(root).writeFile('old', 'new', ATOMIC), undefined);
  await of(root).writeFile('dir/made', Buffer.from('made'), ATOMIC);
  await of(root).writeFile('made', '6162', { atomic: true, encoding: 'hex', mode: 0o777 });
  await of(root).writeFile('empty', '', { atomic: true, flush: true });
  assert.deepStrictEqual(
    ['old', 'second', 'dir/made', 'made', 'empty'].map((name) => [read(at(name)), modeOf(at(name))]),
    [['new', '640'], ['old', '640'], ['made', '640'], ['ab', '750'], ['', '640']],
  ); // biome-ignore format: a list
  assert.strictEqual(fs.readFileSync(reader, 'utf8'), 'old');
  fs.closeSync(reader);
  assert.deepStrictEqual(fs.readdirSync(dir, { recursive: true }).sort(), [
    'dir', 'dir/made', 'empty', 'made', 'old', 'second',
  ]); // biome-ignore format: a list
});

bothWays('nine permission bits of an existing file stay, unless a mode is given', async (t, of) => {
  const umask = process.umask(0o022);
  t.after(() => process.umask(umask));
  const { root, at } = sandbox(t, {});
  for (const mode of [0o400, 0o600, 0o666, 0o777, 0o751, 0o4755, 0o2750, 0o000]) {
    fs.writeFileSync(at('file'), 'old');
    fs.chmodSync(at('file'), mode);
    await of(root).writeFile('file', 'new', ATOMIC);
    assert.strictEqual(modeOf(at('file')), (mode & 0o777).toString(8));
    await of(root).writeFile('file', 'new', { atomic: true, mode: 0o604 });
    assert.strictEqual(modeOf(at('file')), '604');
    fs.rmSync(at('file'));
  }
});

const noOthers = !isRoot && 'needs root, to have a file that belongs to somebody else';

bothWays('the owner of an existing file stays', { skip: noOthers }, async (t, of) => {
  const { root, at } = sandbox(t, { file: file('old', 0o640) });
  fs.chownSync(at('file'), 1234, 4321);
  await of(root).writeFile('file', 'new', ATOMIC);
  const { uid, gid } = fs.statSync(at('file'));
  assert.deepStrictEqual([uid, gid, modeOf(at('file')), read(at('file'))], [1234, 4321, '640', 'new']);
});

for (const flush of [false, true])
  test(`a file that is shut or given away while it is written stays so${flush ? ', on the disk' : ''}`, async (t) => {
    const umask = process.umask(0o022);
    t.after(() => process.umask(umask));
    const { dir, root, at } = sandbox(t, { 'given.txt': file('old', 0o604) });
    const permitted = (name) => [modeOf(at(name)), fs.statSync(at(name)).uid, read(at(name))];
    const uid = isRoot ? 1234 : process.getuid();
    const change = {
      'is shut': [0o666, (name) => fs.chmodSync(name, 0o600), {}, '600'],
      'is opened': [0o640, (name) => fs.chmodSync(name, 0o666), {}, '640'],
      'is shut to some': [0o664, (name) => fs.chmodSync(name, 0o606), {}, '604'],
      'is given away': [0o640, (name) => fs.chownSync(name, uid, -1), {}, '640', uid],
      'is shut, which a mode overrules': [0o666, (name) => fs.chmodSync(name, 0o600), { mode: 0o644 }, '644'],
      'comes while it is written': [
        null,
        (name) => fs.writeFileSync(name, 'shut', { mode: 0o600 }),
        {},
        '600',
      ],
      'comes while it is written with a mode': [
        null,
        (name) => fs.writeFileSync(name, 'shut', { mode: 0o600 }),
        { mode: 0o640 },
        '640',
      ],
      'is replaced': [0o666, (name) => fs.renameSync(at('given.txt'), name), {}, '604'],
      'is removed': [0o640, (name) => fs.unlinkSync(name), {}, '640'],
    };
    for (const [name, [mode, meanwhile, options, expected, owner = process.getuid()]] of Object.entries(
      change,
    )) {
      if (mode !== null) {
        fs.writeFileSync(at(name), 'old');
        fs.chmodSync(at(name), mode);
      }
      const parts = async function* () {
        yield 'new ';
        meanwhile(at(name));
        yield 'content';
      };
      await root.promises.writeFile(name, parts(), { ...ATOMIC, ...options, flush });
      assert.deepStrictEqual(permitted(name), [expected, owner, 'new content'], name);
    }
    assert.deepStrictEqual(fs.readdirSync(dir).sort(), Object.keys(change).sort());
  });

test('who may give files away and not change those of others still writes them', {
  skip: noOthers,
}, async (t) => {
  const { dir, at } = sandbox(t, { file: file('old', 0o640) });
  fs.chownSync(at('file'), 1234, 4321);
  const wrap = ['setpriv', '--bounding-set', '-fowner', '--inh-caps', '-fowner'];
  const body = (dir) => {
    const root = new SandboxRoot(dir);
    root.writeFile('file', 'new', { atomic: true });
    root.chown('file', 0, 0);
    root.chmod('file', 0o640);
    root.chown('file', 1234, 4321);
    root.writeFile('file', 'newer', { atomic: true, mode: 0o604 });
  };
  await inChild(t, body, [dir], { wrap });
  const { uid, gid } = fs.statSync(at('file'));
  assert.deepStrictEqual([uid, gid, modeOf(at('file')), read(at('file'))], [1234, 4321, '604', 'newer']);
});

test('who may not give a file away still writes it, as their own', { skip: noOthers }, async (t) => {
  const { dir, at } = sandbox(t, { file: file('old', 0o666) });
  fs.chmodSync(path.dirname(dir), 0o755);
  fs.chmodSync(dir, 0o777);
  const body = async (dir) => {
    process.setgid(65534);
    process.setuid(65534);
    const root = new SandboxRoot(dir);
    root.writeFile('file', 'new', { atomic: true });
    await root.promises.writeFile('file', 'newer', { atomic: true });
  };
  await inChild(t, body, [dir]);
  assert.deepStrictEqual(
    [read(at('file')), fs.statSync(at('file')).uid, modeOf(at('file'))],
    ['newer', 65534, '666'],
  );
  assert.deepStrictEqual(fs.readdirSync(dir), ['file']);
});

for (const symlinks of ['reject', 'beneath', 'in-root']) {
  bothWays(
    `symlinks: '${symlinks}' has a symlink at the destination replaced, never followed`,
    async (t, of) => {
      const { dir, at } = sandbox(t, {
      file: 'keep', dir: { inner: 'inner' }, tofile: link('file'), todir: link('dir'), dangling: link('nowhere'),
      self: link('self'), out: link('/etc/hostname'),
    }); // biome-ignore format: a tree
      const root = new SandboxRoot(dir, { symlinks });
      const names = ['tofile', 'todir', 'dangling', 'self', 'out'];
      for (const name of names) await of(root).writeFile(name, `in place of ${name}`, ATOMIC);
      for (const name of names) {
        assert.ok(fs.lstatSync(at(name)).isFile());
        assert.strictEqual(read(at(name)), `in place of ${name}`);
      }
      assert.deepStrictEqual([read(at('file')), fs.readdirSync(at('dir'))], ['keep', ['inner']]);
      assert.deepStrictEqual(fs.readdirSync(dir).sort(), ['dir', 'file', ...names].sort());
    },
  );
}

bothWays('what cannot be written is refused, and nothing is left beside it', async (t, of) => {
  const { dir, root } = sandbox(t, {
    file: 'old',
    dir: {},
    full: { x: '' },
    todir: link('dir'),
    tofile: link('file'),
  });
  const before = snapshot(dir);
  for (const [at, code, options] of [
    ['dir', 'EISDIR'],
    ['full', 'EISDIR'],
    ['dir/', 'EISDIR'],
    ['.', 'EISDIR'],
    ['new/', 'EISDIR'],
    ['file/', 'EISDIR'],
    ['missing/x', 'ENOENT'],
    ['file/x', 'ENOTDIR'],
    ['todir/x', 'ELOOP'],
    ['../x', 'EACCES'],
    ['/x', 'EACCES'],
    ['', 'ENOENT'],
    ['x'.repeat(256), 'ENAMETOOLONG'],
    ['file', 'EEXIST', { flag: 'wx' }],
    ['tofile', 'EEXIST', { flag: 'wx' }],
    ['dir', 'EEXIST', { flag: 'wx' }],
    ['file', 'ERR_INVALID_ARG_VALUE', { flag: 'a' }],
    ['file', 'ERR_INVALID_ARG_VALUE', { flag: 'r+' }],
    ['new', 'ERR_INVALID_ARG_VALUE', { flag: 'ax' }],
    ['file', 'ERR_INVALID_ARG_TYPE', { atomic: 1 }],
    ['file', 'ERR_INVALID_ARG_TYPE', { flush: 'yes' }],
  ]) {
    const what = `${at} ${JSON.stringify(options)}`;
    assert.strictEqual(
      await codeOfPromise(of(root).writeFile(at, 'x', { ...ATOMIC, ...options })),
      code,
      what,
    );
  }
  const readonly = new SandboxRoot(dir, { readonly: true });
  assert.strictEqual(await codeOfPromise(of(readonly).writeFile('file', 'x', ATOMIC)), 'EROFS');
  assert.deepStrictEqual(snapshot(dir), before);
});

bothWays("with flag: 'wx' one of many writers wins, whole", async (t, of) => {
  const { dir, root, at } = sandbox(t);
  const writers = ['a', 'b', 'c', 'd', 'e', 'f'];
  const results = await Promise.allSettled(
    writers.map((letter) => of(root).writeFile('file', letter.repeat(MiB), { atomic: true, flag: 'wx' })),
  );
  const won = writers.filter((_, i) => results[i].status === 'fulfilled');
  assert.strictEqual(won.length, 1);
  for (const { reason } of results) if (reason) assert.strictEqual(reason.code, 'EEXIST');
  assert.strictEqual(read(at('file')), won[0].repeat(MiB));
  assert.deepStrictEqual(fs.readdirSync(dir), ['file']);
});

test('many writers of one file at once all succeed, and one of them is there', async (t) => {
  const { dir, root, at } = sandbox(t, { file: 'old' });
  const writers = Array.from({ length: 40 }, (_, i) => String.fromCharCode(65 + i).repeat(100_000 + i));
  await Promise.all(writers.map((text) => root.promises.writeFile('file', text, ATOMIC)));
  assert.ok(writers.includes(read(at('file'))));
  assert.deepStrictEqual(fs.readdirSync(dir), ['file']);
});

test('a full disk leaves the old content and no other name', { skip: withoutMounts }, async (t) => {
  const dir = tempDir(t);
  const body = async (dir) => {
    const root = new SandboxRoot(dir);
    fs.writeFileSync(`${dir}/file`, 'old');
    const codes = [];
    for (const of of [root, root.promises])
      for (const name of ['file', 'new'])
        for (const flush of [false, true]) {
          try {
            await of.writeFile(name, Buffer.alloc(3 << 20, 'x'), { atomic: true, flush });
            codes.push('success');
          } catch (error) {
            codes.push(error.code);
          }
        }
    return { codes, left: fs.readdirSync(dir), old: fs.readFileSync(`${dir}/file`, 'utf8') };
  };
  const mount = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"';
  const wrap = ['unshare', '--mount', 'sh', '-c', mount, dir];
  const got = await inChild(t, body, [dir], { wrap });
  assert.deepStrictEqual(got, { codes: Array(8).fill('ENOSPC'), left: ['file'], old: 'old' });
});

const PACKAGE = JSON.stringify(path.join(__dirname, '..'));

test('flush: the file is on the disk before its name, and then its directory', {
  skip: withoutStrace(),
}, (t) => {
  const { dir } = sandbox(t, { file: 'old', dir: { file: 'old' } });
  const program = `
    const { mark } = require(${JSON.stringify(path.join(__dirname, 'syscalls/trace'))});
    const { SandboxRoot } = require(${PACKAGE});
    const root = new SandboxRoot(${JSON.stringify(dir)});
    for (const at of ['file', 'new', 'dir/file', 'dir/new']) {
      for (const flag of at.endsWith('new') ? ['w', 'wx'] : ['w']) {
        mark(at + ' ' + flag);
        root.writeFile(at + flag, 'x', { atomic: true, flush: true, flag });
      }
    }
    mark('without');
    root.writeFile('file', 'x', { atomic: true });
    mark('end');`;
  const { sections } = trace(tempDir(t), ['-e', program]);
  for (const [name, calls] of sections) {
    if (name === 'end') continue;
    const syncs = calls.flatMap((call, i) => (/^f(data)?sync$/.test(call.name) ? [i] : []));
    if (name === 'without') {
      assert.deepStrictEqual(syncs, []);
      continue;
    }
    // What gives the file its name: a rename, or the link where none was.
    const named = calls.findLastIndex(
      (call) => ['renameat2', 'linkat'].includes(call.name) && call.result === 0,
    );
    const written = calls.findLastIndex((call) => /^p?write(64)?$/.test(call.name) && call.args[1] === '"x"');
    assert.strictEqual(syncs.length, 2, `${name}: ${calls.map((call) => call.line).join('\n')}`);
    const first = calls.findIndex((call) => call.name === 'linkat' && call.result === 0);
    assert.ok(written < syncs[0] && syncs[0] < named && named < syncs[1], name);
    assert.ok(first === -1 || syncs[0] < first, 'not even a name of its own before it is on the disk');
    const opened = (i) =>
      calls.findLast((call, at) => at < i && String(call.result) === calls[i].args[0]).line;
    assert.match(opened(syncs[0]), /O_WRONLY.*O_TMPFILE|O_TMPFILE.*O_WRONLY|O_CREAT/);
    assert.match(opened(syncs[1]), /O_RDONLY.*O_DIRECTORY/);
  }
});

/** Runs one atomic write in a process of its own that is killed as it enters the system call `at`. */
async function killed(t, dir, at, name) {
  const writer = start(
    t,
    (dir, name) => {
      const root = new SandboxRoot(dir);
      console.log('ready');
      process.once('SIGUSR2', () => root.writeFile(name, 'n'.repeat(8 << 20), { atomic: true, flush: true }));
      setTimeout(() => {}, 60_000);
    },
    [dir, name],
  );
  await writer.ready;
  const log = path.join(tempDir(t), 'log');
  const strace = await attach(writer.pid, log, [`${at}:signal=KILL:when=1`]);
  const ended = once(strace, 'exit');
  process.kill(writer.pid, 'SIGUSR2');
  await assert.rejects(writer.result, /ended with SIGKILL/);
  await ended;
  assert.match(fs.readFileSync(log, 'utf8'), RegExp(`${at}\\(`), 'it died there');
}

test('a writer that is killed leaves the old content, and nothing of its own', {
  skip: withoutAttaching(),
}, async (t) => {
  const { dir, at } = sandbox(t, { old: 'old' });
  for (const name of ['old', 'new']) {
    // All is written by then, and without a name.
    for (const syscall of ['fsync', 'linkat']) {
      await killed(t, dir, syscall, name);
      assert.deepStrictEqual(fs.readdirSync(dir), ['old'], `${name}, ${syscall}`);
      assert.strictEqual(read(at('old')), 'old');
    }
  }
  // Between its two names: the old content is still whole.
  await killed(t, dir, 'renameat2', 'old');
  assert.strictEqual(read(at('old')), 'old');
  for (const name of fs.readdirSync(dir)) assert.match(name, /^(old|\.openat2-[A-Za-z0-9]{12})$/);
});

test('a writer that is killed at any moment leaves the old content or the new', async (t) => {
  const { dir, at } = sandbox(t, { file: 'a'.repeat(4 * MiB) });
  for (let round = 0; round < (FULL ? 100 : 8); round++) {
    const writer = start(
      t,
      async (dir) => {
        const root = new SandboxRoot(dir);
        console.log('ready');
        for (;;) {
          root.writeFile('file', 'a'.repeat(4 << 20), { atomic: true });
          await root.promises.writeFile('file', 'b'.repeat(3 << 20), { atomic: true });
        }
      },
      [dir],
    );
    await writer.ready;
    await new Promise((resolve) => setTimeout(resolve, 10 + 7 * round));
    await writer.stop();
    const text = read(at('file'));
    assert.ok(text === 'a'.repeat(4 * MiB) || text === 'b'.repeat(3 * MiB), `${text.length} bytes`);
    // Only between its last two system calls has the new content a name of its own.
    for (const name of fs.readdirSync(dir)) {
      assert.match(name, /^(file|\.file\..+)$/);
      if (name !== 'file')
        assert.ok([4 * MiB, 3 * MiB].includes(fs.statSync(at(name)).size), 'and it is whole');
    }
  }
});

/** Makes one atomic write in a process of its own, in which O_TMPFILE is refused with `code`. */
async function withoutTmpfile(t, code, args, limits) {
  // What is there is opened first.
  const nth = fs.existsSync(path.join(args[0], args[1])) ? 2 : 1;
  const body = (...args) => {
    const root = new SandboxRoot(args.shift());
    const awake = setInterval(() => {}, 1000);
    console.log('ready');
    return new Promise((resolve) => {
      process.once('SIGUSR2', () => {
        clearInterval(awake);
        try {
          root.writeFile(...args);
          resolve('success');
        } catch (error) {
          resolve(error.code);
        }
      });
    });
  };
  const writer = start(t, body, args, { limits });
  await writer.ready;
  const log = path.join(tempDir(t), 'log');
  const strace = await attach(writer.pid, log, [`openat2:error=${code}:when=${nth}`]);
  const ended = once(strace, 'exit');
  process.kill(writer.pid, 'SIGUSR2');
  const { value } = await writer.result;
  await ended;
  const said = fs.readFileSync(log, 'utf8');
  assert.match(said, /openat2\(.*O_TMPFILE.*\(INJECTED\)/, 'it was refused');
  return { value, said };
}

test('without O_TMPFILE it is written under a name of its own, which goes', {
  skip: withoutAttaching(),
}, async (t) => {
  const { dir, at } = sandbox(t, { file: file('old', 0o640), dir: {} });
  for (const code of ['EOPNOTSUPP', 'EISDIR', 'EINVAL']) {
    fs.writeFileSync(at('file'), 'old');
    const { value, said } = await withoutTmpfile(t, code, [dir, 'file', 'new', ATOMIC]);
    assert.strictEqual(value, 'success');
    assert.match(said, /renameat2?\(.*"\.openat2-[A-Za-z0-9]{12}", .*"file"/, 'it was renamed');
    assert.deepStrictEqual(
      [read(at('file')), modeOf(at('file')), fs.readdirSync(dir)],
      ['new', '640', ['dir', 'file']],
    );
  }
  const exclusive = { atomic: true, flag: 'wx' };
  const made = await withoutTmpfile(t, 'EOPNOTSUPP', [dir, 'made', 'new', exclusive]);
  assert.deepStrictEqual([made.value, read(at('made'))], ['success', 'new']);
  // One that does not fit: a file may have eight blocks of half a kibibyte.
  const large = await withoutTmpfile(t, 'EOPNOTSUPP', [dir, 'file', 'x'.repeat(100_000), ATOMIC], { f: 8 });
  assert.deepStrictEqual([large.value, read(at('file'))], ['EFBIG', 'new']);
  assert.deepStrictEqual(fs.readdirSync(dir), ['dir', 'file', 'made']);
});

test('a long name has room for the name beside it', (t) => {
  const { dir, root, at } = sandbox(t);
  for (const length of [200, 240, 250, 255]) {
    const name = 'n'.repeat(length);
    root.writeFile(name, 'one', ATOMIC);
    root.writeFile(name, 'two', ATOMIC);
    assert.strictEqual(read(at(name)), 'two');
  }
  const name = '€'.repeat(85);
  root.writeFile(name, 'one', ATOMIC);
  root.writeFile(name, 'two', ATOMIC);
  assert.strictEqual(fs.readdirSync(dir).length, 5);
});

test('in a directory that may not be changed the file stays as it is', { skip: noOthers }, async (t) => {
  const { dir, at } = sandbox(t, { frozen: { file: file('old', 0o666) } });
  fs.chmodSync(path.dirname(dir), 0o755);
  fs.chmodSync(at('frozen'), 0o755);
  const body = (dir) => {
    process.setgid(65534);
    process.setuid(65534);
    try {
      new SandboxRoot(dir).writeFile('frozen/file', 'new', { atomic: true });
    } catch (error) {
      return error.code;
    }
  };
  assert.strictEqual(await inChild(t, body, [dir]), 'EACCES');
  assert.deepStrictEqual([read(at('frozen/file')), fs.readdirSync(at('frozen'))], ['old', ['file']]);
});
