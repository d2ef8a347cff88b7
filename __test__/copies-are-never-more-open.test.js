'use strict';
// What takes the permissions of another file is at no moment open to anybody to whom that was shut: where an
// ACL cannot be set, where mode and ACL disagree, and where the owner or the group cannot be kept.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { execFileSync, spawnSync } = require('node:child_process');
const { SandboxRoot } = require('..');
const { WAYS, folder, mounted, privately, run } = require('./mounts');
const { attacked } = require('./races/slow');
const { NOBODY, outcome } = require('./support');
const { hindered, withoutAttaching, withoutStrace } = require('./syscalls/strace');

const test = privately(__filename);
const noStrace = withoutStrace();
const noAcls = ['setfacl', 'getfacl'].some((tool) => spawnSync(tool, ['--version']).error !== undefined);

/** Whether somebody can read the file, and so what is in it. */
function canRead(at, uid, gid) {
  const who = ['--reuid', uid, '--regid', gid, '--clear-groups'].map(String);
  return spawnSync('setpriv', [...who, 'head', '-c', '1', at]).status === 0;
}

const setfacl = (...args) => execFileSync('setfacl', args, { stdio: 'pipe' });

/** Everybody may go in. */
function open(...directories) {
  for (const dir of directories) fs.chmodSync(dir, 0o755);
  fs.chmodSync(path.dirname(directories[0]), 0o755);
}

for (const [face, call] of WAYS) {
  test(`an ACL that does not fit is ENOSPC, and leaves no other one in its place, ${face}`, async (t) => {
    if (noAcls) return t.skip('needs setfacl and getfacl, of the package acl');
    const [source, small] = [folder('source'), folder('small')];
    run('mount', '-t', 'tmpfs', 'tmpfs', source);
    const image = path.join(folder('images'), 'image');
    fs.writeFileSync(image, '');
    fs.truncateSync(image, 32 << 20);
    run('mkfs.ext4', '-q', '-b', '1024', image);
    run('mount', '-o', 'loop', image, small);
    t.after(() => [source, small].forEach((at) => run('umount', '--lazy', at)));
    open(source, small);
    const secret = path.join(source, 'secret');
    fs.writeFileSync(secret, 'a secret', { mode: 0o600 });
    const users = Array.from({ length: 200 }, (_, i) => `u:${5001 + i}:r--`);
    setfacl('-m', [...users, 'g::r--', 'm::r--', 'o::---'].join(), secret);
    const inherited = `u::rwx,u:${NOBODY}:rw-,g::---,m::rwx,o::---`;
    fs.mkdirSync(path.join(small, 'dir'));
    open(path.join(small, 'dir'));
    setfacl('-d', '-m', inherited, path.join(small, 'dir'));
    fs.writeFileSync(path.join(small, 'old'), 'old', { mode: 0o600 });
    setfacl('-m', `u:${NOBODY}:rw-`, path.join(small, 'old'));
    assert.ok(!canRead(secret, NOBODY, NOBODY));
    const [root, to] = [new SandboxRoot(source), new SandboxRoot(small)];
    const refused = (method, ...args) =>
      assert.rejects(call(root, method, 'secret', ...args), { code: 'ENOSPC' }, method);
    await refused('copyFile', 'dir/copied', null, { to });
    await refused('copyFile', 'old', null, { to });
    await refused('cp', 'dir/copy', { to });
    await refused('move', 'dir/moved', { to });
    assert.deepStrictEqual(fs.readdirSync(path.join(small, 'dir')), []);
    assert.ok(fs.existsSync(secret) && !canRead(path.join(small, 'old'), NOBODY, NOBODY));
  });

  test(`a group that was shut out is not let in as others are, where the group cannot be kept, ${face}`, async (t) => {
    const dir = folder('group');
    run('mount', '-t', 'tmpfs', '-o', 'mode=777', 'tmpfs', dir);
    t.after(() => run('umount', '--lazy', dir));
    open(dir);
    fs.chmodSync(dir, 0o777);
    const at = path.join(dir, 'file');
    fs.writeFileSync(at, 'a secret');
    fs.chownSync(at, 1000, 1234);
    fs.chmodSync(at, 0o604);
    assert.ok(!canRead(at, 2000, 1234));
    const root = new SandboxRoot(dir);
    process.setgroups([]);
    process.setegid(1000);
    process.seteuid(1000);
    try {
      await call(root, 'writeFile', 'file', 'another secret', { atomic: true });
    } finally {
      process.seteuid(0);
      process.setegid(0);
    }
    assert.strictEqual(fs.readFileSync(at, 'utf8'), 'another secret');
    assert.ok(!canRead(at, 2000, 1234));
  });

  test(`a file that is written in one step has the bits of an explicit mode, whosever it is, ${face}`, async (t) => {
    for (const kind of ['tmpfs', 'bindfs']) {
      const dir = mounted(kind);
      t.after(() => run('umount', '--lazy', dir));
      const [root, at, fresh] = [new SandboxRoot(dir), path.join(dir, 'file'), path.join(dir, 'fresh')];
      for (const owner of [
        [0, 0],
        [0, 1234],
        [1000, 1234],
      ]) {
        for (const mode of [0o4755, 0o2711, 0o640]) {
          fs.writeFileSync(at, 'old', { mode: 0o640 });
          fs.chownSync(at, ...owner);
          // As a file that is made with it.
          fs.closeSync(fs.openSync(fresh, 'wx', mode));
          await call(root, 'writeFile', 'file', 'new', { atomic: true, mode });
          const [made, model] = [at, fresh].map((at) => fs.statSync(at));
          assert.strictEqual(made.mode, model.mode, `${kind}: ${owner}`);
          assert.deepStrictEqual([made.uid, made.gid], owner);
          for (const at of fs.readdirSync(dir)) fs.rmSync(path.join(dir, at));
        }
      }
      root.close();
    }
  });
}

/** What others may do with what is in a directory, looked at while a call is late: the widest of each name. */
function watched(dir) {
  const widest = new Map();
  const look = () => {
    for (const name of fs.readdirSync(dir)) {
      const stat = fs.lstatSync(path.join(dir, name), { throwIfNoEntry: false });
      if (stat)
        widest.set(
          `${name} ${stat.uid}:${stat.gid}`,
          (widest.get(`${name} ${stat.uid}:${stat.gid}`) ?? 0) | (stat.mode & 0o077),
        );
    }
  };
  const timer = setInterval(look, 10);
  return { widest, end: () => clearInterval(timer) };
}

test('a file without O_TMPFILE is shut to a group that it is not to have, until it has its own', async (t) => {
  if (noStrace) return t.skip(noStrace);
  const dir = mounted('bindfs');
  t.after(() => run('umount', '--lazy', dir));
  fs.writeFileSync(path.join(dir, 'file'), 'old', { mode: 0o640 });
  fs.chownSync(path.join(dir, 'file'), 0, 1234);
  const { widest, end } = watched(dir);
  const body = (dir) => {
    process.setgid(2000);
    new SandboxRoot(dir).writeFile('file', 'a secret', { atomic: true, mode: 0o640 });
  };
  // It is written, given its group, and given its name.
  await hindered(t, ['fchown,renameat2:delay_enter=300000'], body, [dir]).finally(end);
  const temporary = [...widest].filter(([name]) => name.startsWith('.openat2-'));
  assert.ok(temporary.length > 0, 'it was seen');
  for (const [name, others] of temporary) if (!name.endsWith(':1234')) assert.strictEqual(others, 0, name);
  const { mode, gid } = fs.statSync(path.join(dir, 'file'));
  assert.deepStrictEqual([mode & 0o7777, gid], [0o640, 1234]);
});

test('an ACL that gives more than the mode beside it is cut to that before it is set', async (t) => {
  if (noStrace) return t.skip(noStrace);
  if (noAcls) return t.skip('needs setfacl and getfacl, of the package acl');
  // Seen through it, each file is its owner's alone; its ACL says otherwise.
  const [real, view, dir] = [folder('real'), folder('view'), folder('copies')];
  for (const at of [real, dir]) run('mount', '-t', 'tmpfs', 'tmpfs', at);
  t.after(() => [view, real, dir].forEach((at) => run('umount', '--lazy', at)));
  fs.writeFileSync(path.join(real, 'file'), 'a secret', { mode: 0o600 });
  setfacl('-m', 'o::r--,g::r--,u:2001:r--', path.join(real, 'file'));
  run('bindfs', '-p', '0600,u+X', real, view);
  assert.strictEqual(fs.statSync(path.join(view, 'file')).mode & 0o777, 0o600);
  const { widest, end } = watched(dir);
  const body = (view, dir) => {
    const [root, to] = [new SandboxRoot(view), new SandboxRoot(dir)];
    root.copyFile('file', 'copied', null, { to });
    root.cp('file', 'copy', { to });
  };
  await hindered(t, ['fchmod:delay_enter=300000'], body, [view, dir]).finally(end);
  assert.deepStrictEqual([...widest.values()], [0, 0], JSON.stringify([...widest]));
});

/** Each read of a content is late, and a new mode is there for a while until something else is done. */
const LATE_READS = ['pread64:delay_enter=200000', 'fchmod:delay_exit=60000'];

const RECURSIVE = { recursive: true };
/** Who copies, to what, and whether something is there: `source` is the directory `src`, and `file` a file in it. */
const COPIES = {
  'copyFile to a new file': { go: (from, to) => from.copyFile('src/file', 'dest', null, { to }) },
  'copyFile over a file': { go: (from, to) => from.copyFile('src/file', 'dest', null, { to }), over: true },
  'cp of a file': { go: (from, to) => from.cp('src/file', 'dest', { to }) },
  'cp over a file': { go: (from, to) => from.cp('src/file', 'dest', { to }), over: true },
  'cp of all that is known of a file': { go: (from, to) => from.cp('src/file', 'dest', { to, preserve: true }) },
  'cp of a file at once': { go: (from, to) => from.cp('src/file', 'dest', { to, atomic: true }) },
  'cp of a tree': { go: (from, to) => from.cp('src', 'dest', { to, ...RECURSIVE }), copy: 'dest/file' },
  'move of a file': { go: (from, to) => from.move('src/file', 'dest', { to, overwrite: true }), code: 'EBUSY' },
}; // biome-ignore format: a table

/** How its owner shuts it. */
const SHUT = {
  'by its mode': (at) => fs.chmodSync(at, 0o600),
  // The mode stays.
  'by an ACL': (at) => require('node:child_process').execFileSync('setfacl', ['-m', 'u:65534:---', at]),
};

for (const [title, { go, over, copy = 'dest', code }] of Object.entries(COPIES)) {
  for (const [how, shut] of Object.entries(SHUT)) {
    if (how === 'by an ACL' && !['copyFile to a new file', 'cp of a file'].includes(title)) continue;
    test(`${title} that is shut ${how} meanwhile, and then gets a secret, shows that to nobody`, async (t) => {
      if (withoutAttaching()) return t.skip(withoutAttaching());
      if (noAcls && how === 'by an ACL') return t.skip('needs setfacl and getfacl, of the package acl');
      const seen = await shutMeanwhile(t, { go, over, copy, victim: 'src/file', secret: 'src/file', shut });
      assert.strictEqual(seen.code, code);
      assert.deepStrictEqual([seen.widest, seen.isRead], [0, false]);
    });
  }
}

test('a directory that is shut while a file in it is copied, and then gets a secret, shows that to nobody', async (t) => {
  if (withoutAttaching()) return t.skip(withoutAttaching());
  for (const options of [{}, { preserve: true, atomic: true }]) {
    const go = (from, to) => from.cp('src', 'dest', { to, ...RECURSIVE, ...options });
    const shut = (at) => fs.chmodSync(at, 0o700);
    const seen = await shutMeanwhile(t, {
      go,
      copy: 'dest/last',
      beside: '.',
      victim: 'src',
      secret: 'src/last',
      shut,
    });
    assert.deepStrictEqual([seen.code, seen.widest, seen.isRead], [undefined, 0, false]);
  }
});

/**
 * Does `go` between two roots. While the first content is read, the `victim` is shut, and a secret comes to be in the
 * file `secret`. Says what came of it once the secret was copied to `copy`, the widest mode for others of what was
 * `beside` the copy, and whether another user can read the secret there.
 */
async function shutMeanwhile(
  t,
  { go, over = false, copy, beside = path.dirname(copy), victim, secret, shut },
) {
  for (let tries = 0; tries < 8; tries++) {
    const [source, dest] = [folder('source'), folder('dest')];
    for (const at of [source, dest]) run('mount', '-t', 'tmpfs', 'tmpfs', at);
    open(source, dest);
    const [from, to] = [source, dest].map((at) => new SandboxRoot(at));
    const names = secret === 'src/last' ? ['one', 'two'] : ['file'];
    fs.mkdirSync(path.join(source, 'src'));
    for (const name of names) fs.writeFileSync(path.join(source, 'src', name), 'public');
    const listed = from.readdir('src');
    const [first, last] = [listed[0], listed.at(-1)];
    const at = (name) => name.replace('last', last);
    if (over) fs.writeFileSync(path.join(dest, 'dest'), 'old', { mode: 0o600 });
    let code;
    const seen = await attacked(
      t,
      LATE_READS,
      `(pid, opened, victim, secret, dest) => {
        const fds = '/proc/' + pid + '/fd';
        const isOpen = (fd) => {
          try {
            return fs.readlinkSync(path.join(fds, fd)) === opened;
          } catch {
            return false;
          }
        };
        until(() => fs.readdirSync(fds).some(isOpen));
        rest(30);
        (${shut})(victim);
        fs.writeFileSync(secret, 'secret', { flag: 'r+' });
        let widest = 0;
        for (const end = performance.now() + 400; performance.now() < end; rest(1))
          for (const name of exists(dest) ? fs.readdirSync(dest) : []) {
            const stat = fs.statSync(path.join(dest, name), { throwIfNoEntry: false });
            widest |= (stat?.mode ?? 0) & 0o077;
          }
        return widest;
      }`,
      [
        process.pid,
        ...['src/' + first, victim, at(secret)].map((name) => path.join(source, name)),
        path.join(dest, beside),
      ],
      () => ({ code } = { code: undefined, ...outcome(() => go(from, to)).error }),
    );
    const copied = path.join(dest, at(copy));
    const isSecret = fs.existsSync(copied) && fs.readFileSync(copied, 'utf8') === 'secret';
    const isRead = isSecret && canRead(copied, NOBODY, NOBODY);
    [from, to].forEach((root) => root.close());
    for (const at of [source, dest]) run('umount', '--lazy', at);
    // What is moved does not come to its place.
    if (isSecret || code === 'EBUSY')
      return { code, isRead, widest: shut.toString().includes('setfacl') ? 0 : seen };
  }
  throw new Error('the secret was never copied');
}

test('who may give files away and not change those of others keeps owner, mode and times', (t) => {
  const [source, dest] = [folder('source'), folder('dest')];
  run('mount', '-t', 'tmpfs', 'tmpfs', dest);
  t.after(() => run('umount', '--lazy', dest));
  for (const name of ['copied', 'moved']) {
    const dir = path.join(source, name);
    fs.mkdirSync(dir);
    fs.writeFileSync(path.join(dir, 'file'), 'content');
    fs.symlinkSync('file', path.join(dir, 'link'));
    execFileSync('mkfifo', [path.join(dir, 'pipe')]);
    for (const at of ['file', 'pipe', '.']) fs.chmodSync(path.join(dir, at), 0o751);
    for (const at of ['file', 'link', 'pipe', '.']) {
      fs.lchownSync(path.join(dir, at), 1234, 4321);
      fs.lutimesSync(path.join(dir, at), 1000, 2000);
    }
  }
  const program = `
    const { SandboxRoot } = require(${JSON.stringify(path.join(__dirname, '..'))});
    const [from, to] = ${JSON.stringify([source, dest])}.map((dir) => new SandboxRoot(dir));
    from.cp('copied', 'copied', { to, recursive: true, preserve: true });
    from.move('moved', 'moved', { to });
  `;
  const limits = ['--bounding-set', '-fowner', '--inh-caps', '-fowner'];
  const { status, stderr } = spawnSync('setpriv', [...limits, process.execPath, '-e', program], {
    encoding: 'utf8',
  });
  assert.deepStrictEqual([status, stderr], [0, '']);
  for (const name of ['copied', 'moved'])
    for (const at of ['file', 'pipe', 'link', '.']) {
      const { uid, gid, mode, mtimeMs } = fs.lstatSync(path.join(dest, name, at));
      const bits = at === 'link' ? '777' : '751';
      assert.deepStrictEqual(
        [uid, gid, (mode & 0o777).toString(8), mtimeMs],
        [1234, 4321, bits, 2_000_000],
        at,
      );
    }
});

test('where a mount has no number for the owner, a copy belongs to whoever makes it', async (t) => {
  if (noStrace) return t.skip(noStrace);
  const [source, dest] = [folder('source'), folder('dest')];
  run('mount', '-t', 'tmpfs', 'tmpfs', dest);
  t.after(() => run('umount', '--lazy', dest));
  fs.writeFileSync(path.join(source, 'file'), 'content');
  fs.chmodSync(path.join(source, 'file'), 0o654);
  fs.chownSync(path.join(source, 'file'), NOBODY, NOBODY);
  const body = (source, dest) => {
    const [from, to] = [source, dest].map((dir) => new SandboxRoot(dir));
    from.cp('file', 'copied', { to, preserve: true });
    from.move('file', 'moved', { to });
  };
  await hindered(t, ['fchown:error=EOVERFLOW'], body, [source, dest]);
  for (const name of ['copied', 'moved']) {
    const { uid, mode } = fs.statSync(path.join(dest, name));
    assert.deepStrictEqual([uid, (mode & 0o777).toString(8)], [0, '644'], name);
  }
});
