'use strict';
// A call that fails leaves no file that it made, by whichever way it came to it, and of a file that is there
// neither the content nor the mode is lost.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { SandboxRoot } = require('..');
const { WAYS, came, folder, mounted, privately, run } = require('./mounts');
const { NOBODY, file, link, memory, plant, sandbox } = require('./support');
const { hindered, withoutStrace } = require('./syscalls/strace');

const test = privately(__filename);
const noStrace = withoutStrace();

/** A directory on a file system of a megabyte. */
function small(t, tree = {}, mode = '777') {
  const dir = folder('small');
  run('mount', '-t', 'tmpfs', '-o', `size=1m,mode=${mode}`, 'tmpfs', dir);
  t.after(() => run('umount', '--lazy', dir));
  plant(dir, tree);
  return dir;
}

const LARGE = 3 << 20;

for (const [face, call] of WAYS) {
  test(`what a symlink to nothing names is removed again if it cannot be written, ${face}`, async (t) => {
    const dir = small(t, { link: link('made'), source: file('x', 0o644), sub: { up: link('../made') } });
    fs.truncateSync(path.join(dir, 'source'), 0);
    const large = folder('large');
    fs.writeFileSync(path.join(large, 'source'), Buffer.alloc(LARGE, 'x'));
    for (const symlinks of ['beneath', 'in-root']) {
      const root = new SandboxRoot(dir, { symlinks });
      const from = new SandboxRoot(large);
      for (const at of ['made', 'link', 'sub/up']) {
        for (const [what, action, code] of [
          ['writeFile', () => call(root, 'writeFile', at, Buffer.alloc(LARGE)), 'ENOSPC'],
          ['appendFile', () => call(root, 'appendFile', at, Buffer.alloc(LARGE)), 'ENOSPC'],
          ['copyFile', () => call(from, 'copyFile', 'source', at, null, { to: root }), 'ENOSPC'],
          ['copyFile that shares', () => call(root, 'copyFile', 'source', at, null, { reflink: 'always' }), 'ENOTSUP'],
        ]) {
          const done = await came(action());
          assert.strictEqual(done.code, code, `${what} of ${at}`);
          assert.deepStrictEqual(fs.readdirSync(dir).sort(), ['link', 'source', 'sub'], `${what} of ${at}`);
        }
      }
      root.close();
      from.close();
    }
  }); // biome-ignore format: a table
}

/** Whose file is written by root in a sticky directory: that is asked twice, proc_sys_fs(5). */
test('what is made where the file of another was a moment ago is removed again if it cannot be written', async (t) => {
  if (noStrace) return t.skip(noStrace);
  const dir = small(t, { x: '' }, '1777');
  fs.chownSync(path.join(dir, 'x'), NOBODY, NOBODY);
  const body = (dir, size) => {
    const root = new SandboxRoot(dir);
    console.log('go');
    try {
      root.writeFile('x', Buffer.alloc(size));
    } catch ({ code }) {
      return code;
    }
  };
  let removed = false;
  // The lookup that could create it comes late, when it is gone.
  const code = await hindered(t, ['openat2:delay_enter=600000:when=3'], body, [dir, LARGE], (line) => {
    if (line !== 'go') return;
    setTimeout(() => {
      fs.unlinkSync(path.join(dir, 'x'));
      removed = true;
    }, 200);
  });
  assert.deepStrictEqual([code, removed], ['ENOSPC', true]);
  assert.deepStrictEqual(fs.readdirSync(dir), []);
});

test('what a symlink to nothing names, where the file of another was a moment ago, has the mode that was asked for', async (t) => {
  if (noStrace) return t.skip(noStrace);
  for (const symlinks of ['beneath', 'in-root']) {
    const tree = { file: '', x: link('x1'), x1: link('file'), y: link('y1'), y1: link('made') };
    const dir = small(t, tree, '1777');
    fs.chownSync(path.join(dir, 'file'), NOBODY, NOBODY);
    const body = (dir, symlinks) => {
      const root = new SandboxRoot(dir, { symlinks });
      process.umask(0);
      console.log('go');
      root.writeFile('x', 'content', { mode: 0o644 });
    };
    // The lookup that could create it comes late, when there is another link.
    await hindered(t, ['openat2:delay_enter=600000:when=3'], body, [dir, symlinks], (line) => {
      if (line === 'go') setTimeout(() => fs.renameSync(path.join(dir, 'y'), path.join(dir, 'x')), 200);
    });
    assert.deepStrictEqual(fs.readdirSync(dir).sort(), ['file', 'made', 'x', 'x1', 'y1']);
    assert.strictEqual(fs.readFileSync(path.join(dir, 'made'), 'utf8'), 'content');
    assert.strictEqual(fs.statSync(path.join(dir, 'made')).mode & 0o7777, 0o644);
  }
});

for (const mode of [0o777, 0o1777]) {
  test(`an empty file that takes the place of another while that is opened stays, mode ${mode.toString(8)}`, async (t) => {
    if (noStrace) return t.skip(noStrace);
    const dir = folder('exchanged');
    plant(dir, { theirs: { f: 'data' }, ours: { f: file('', 0) } });
    for (const name of ['theirs', 'ours']) fs.chmodSync(path.join(dir, name), mode);
    fs.chownSync(path.join(dir, 'theirs/f'), NOBODY, NOBODY);
    const { ino } = fs.statSync(path.join(dir, 'ours/f'));
    const body = (dir) => {
      const root = new SandboxRoot(dir);
      console.log('go');
      try {
        fs.closeSync(root.open('theirs/f', 'a'));
      } catch ({ code }) {
        return code;
      }
    };
    let exchanged = false;
    // After the file was found, its directory is looked up late, when it is another.
    const code = await hindered(t, ['openat2:delay_enter=600000:when=3'], body, [dir], (line) => {
      if (line !== 'go') return;
      setTimeout(() => {
        new SandboxRoot(dir).exchange('theirs', 'ours');
        exchanged = true;
      }, 200);
    });
    assert.deepStrictEqual([code, exchanged], [null, true]);
    assert.strictEqual(fs.statSync(path.join(dir, 'theirs/f')).ino, ino);
  });
}

/** A file system of libfuse renames a file that is open when it is removed. */
test('where nothing can be renamed, what would have replaced a file is removed again', async (t) => {
  const [source, dir] = [folder('source'), folder('no-renames')];
  plant(source, { file: 'old', from: 'from' });
  run('bindfs', '--rename-deny', source, dir);
  t.after(() => run('umount', '--lazy', dir));
  const root = new SandboxRoot(dir);
  for (const [what, action] of Object.entries({
    'writeFile of a new file': () => root.writeFile('new', 'new', { atomic: true }),
    writeFile: () => root.writeFile('file', 'new', { atomic: true }),
    'writeFile with a mode': () => root.writeFile('file', 'new', { atomic: true, mode: 0o600 }),
    cp: () => root.cp('from', 'file'),
  })) {
    assert.throws(action, { code: 'EPERM' }, what);
    assert.deepStrictEqual(fs.readdirSync(source).sort(), ['file', 'from'], what);
    assert.strictEqual(fs.readFileSync(path.join(source, 'file'), 'utf8'), 'old', what);
  }
  root.close();
});

/** As some of FUSE can be. */
test('a file system that takes nothing of what is written, and reports no error, is EIO', async (t) => {
  if (noStrace) return t.skip(noStrace);
  for (const [method, syscall] of [
    ['writeFile', 'write'],
    ['copyFile', 'pwrite64'],
  ]) {
    const dir = small(t, { source: 'content' });
    const body = (dir, method) => {
      try {
        new SandboxRoot(dir)[method](...(method === 'copyFile' ? ['source', 'new'] : ['new', 'content']));
      } catch ({ code }) {
        return code;
      }
    };
    const ofNew = ['-P', path.join(dir, 'new')];
    const faults = [`${syscall}:retval=0`];
    assert.strictEqual(await hindered(t, faults, body, [dir, method], () => {}, ofNew), 'EIO', method);
    assert.deepStrictEqual(fs.readdirSync(dir), ['source']);
  }
});

test('copyFile over a file that cannot be cut leaves its content and its mode', async (t) => {
  if (noStrace) return t.skip(noStrace);
  for (const code of ['EIO', 'ETXTBSY', 'EPERM']) {
    const dir = folder('cut');
    plant(dir, { source: file('for everybody', 0o644), secret: file('an old secret', 0o600) });
    const body = (dir) => {
      try {
        new SandboxRoot(dir).copyFile('source', 'secret');
      } catch ({ code }) {
        return code;
      }
    };
    assert.strictEqual(await hindered(t, [`ftruncate:error=${code}:when=1`], body, [dir]), code);
    assert.strictEqual(fs.readFileSync(path.join(dir, 'secret'), 'utf8'), 'an old secret');
    assert.strictEqual(fs.statSync(path.join(dir, 'secret')).mode & 0o7777, 0o600);
  }
});

test("reflink: 'always' over a file on a disk that is nearly full shares the blocks or leaves the file", async (t) => {
  const dir = mounted('xfs');
  t.after(() => run('umount', '--lazy', dir));
  const at = (name) => path.join(dir, name);
  // So many stretches that to share them takes room of its own.
  const fd = fs.openSync(at('source'), 'w');
  const block = Buffer.alloc(4096, 'a');
  const BLOCKS = 20_000;
  for (let i = 0; i < BLOCKS; i += 1) fs.writeSync(fd, block, 0, block.length, i * 8192);
  fs.fsyncSync(fd);
  fs.closeSync(fd);
  const filled = (name, size) => {
    const fd = fs.openSync(at(name), 'w');
    try {
      for (const content = Buffer.alloc(size, 'b'); ; ) fs.writeSync(fd, content);
    } catch {}
    fs.closeSync(fd);
  };
  fs.writeFileSync(at('little'), '');
  filled('much', 1 << 20);
  filled('little', 4096);
  run('sync', '-f', dir);
  const root = new SandboxRoot(dir);
  const OLD = 'the old content'.repeat(10);
  const seen = {};
  let size = fs.statSync(at('much')).size;
  for (let round = 0; round < 10; round += 1) {
    size -= 4096 * 16;
    fs.truncateSync(at('much'), Math.max(size, 0));
    run('sync', '-f', dir);
    try {
      fs.writeFileSync(at('old'), OLD, { mode: 0o640 });
    } catch {
      continue;
    }
    const { code = 'done' } = await came(
      (async () => root.copyFile('source', 'old', null, { reflink: 'always' }))(),
    );
    seen[code] = (seen[code] ?? 0) + 1;
    if (code !== 'done') {
      assert.strictEqual(fs.statSync(at('old')).size, OLD.length, code);
      assert.strictEqual(fs.readFileSync(at('old'), 'utf8'), OLD, code);
      assert.strictEqual(fs.statSync(at('old')).mode & 0o7777, 0o640);
    }
    fs.rmSync(at('old'));
  }
  root.close();
  assert.ok(seen.ENOSPC > 0, `the disk was full: ${JSON.stringify(seen)}`);
});

test('a copyFile that cannot share blocks leaves the file as it was, its time too', (t) => {
  const { root, at } = sandbox(t, { source: 'source', dest: 'what was there' }, memory);
  fs.utimesSync(at('dest'), 1, 1);
  assert.throws(() => root.copyFile('source', 'dest', null, { reflink: 'always' }), { code: 'ENOTSUP' });
  assert.strictEqual(fs.readFileSync(at('dest'), 'utf8'), 'what was there');
  assert.strictEqual(fs.statSync(at('dest')).mtimeMs, 1000);
});

/** What is done to the file `dest` of `dir` while a copy that must share blocks comes late, and fails. */
async function meanwhile(t, dir, act) {
  const body = (dir) => {
    const root = new SandboxRoot(dir);
    console.log('go');
    try {
      root.copyFile('source', 'dest', null, { reflink: 'always' });
    } catch ({ code }) {
      return code;
    }
  };
  const over = new AbortController();
  let acting;
  const code = await hindered(t, ['ioctl:delay_enter=400000'], body, [dir], (line) => {
    if (line === 'go') acting = act(path.join(dir, 'dest'), over.signal);
  });
  over.abort();
  await acting;
  return code;
}

/** Where files share no blocks, and where these two do not: the one has checksums. */
const APART = {
  'a file system that shares none': () => {
    const dir = folder('apart');
    return [dir, 'EOPNOTSUPP'];
  },
  'two files of different kinds': (t) => {
    const dir = mounted('btrfs');
    t.after(() => run('umount', '--lazy', dir));
    fs.writeFileSync(path.join(dir, 'dest'), '');
    run('chattr', '+C', path.join(dir, 'dest'));
    return [dir, 'EINVAL'];
  },
};

for (const [what, prepare] of Object.entries(APART)) {
  test(`what others append while copyFile tries to share blocks stays, ${what}`, async (t) => {
    if (noStrace) return t.skip(noStrace);
    const [dir, code] = prepare(t);
    plant(dir, { source: 'source', dest: 'what was there' });
    const block = Buffer.alloc(128 << 10, 'x');
    let size = fs.statSync(path.join(dir, 'dest')).size;
    const append = async (at, over) => {
      for (; !over.aborted; await sleep(20)) {
        fs.appendFileSync(at, block);
        size += block.length;
      }
    };
    const got = await meanwhile(t, dir, append);
    assert.match(got, new RegExp(`^(${code}|ENOTSUP)$`));
    assert.ok(size > 5 * block.length);
    assert.strictEqual(fs.statSync(path.join(dir, 'dest')).size, size);
  });

  test(`the mode that others set while copyFile tries to share blocks stays, ${what}`, async (t) => {
    if (noStrace) return t.skip(noStrace);
    const [dir, code] = prepare(t);
    plant(dir, { source: file('source', 0o600), dest: file('what was there', 0o644) });
    // When it is narrow, or where it never is.
    const narrow = async (at, over) => {
      for (const end = performance.now() + 900; performance.now() < end && !over.aborted; await sleep(5))
        if ((fs.statSync(at).mode & 0o777) === 0o600) break;
      fs.chmodSync(at, 0o640);
    };
    assert.match(await meanwhile(t, dir, narrow), new RegExp(`^(${code}|ENOTSUP)$`));
    assert.strictEqual(fs.statSync(path.join(dir, 'dest')).mode & 0o777, 0o640);
  });
}

test('two copies to one place do not get in each other’s way', async (t) => {
  const dirs = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`d${i}`, { inner: 'inner' }]));
  const { root, at } = sandbox(t, { a: dirs, b: dirs }, memory);
  for (let round = 0; round < 20; round++) {
    const copies = ['a', 'b'].map((from) => root.promises.cp(from, `out${round}`, { recursive: true }));
    await Promise.all(copies);
    assert.strictEqual(fs.readdirSync(at(`out${round}`)).length, 30);
  }
});
