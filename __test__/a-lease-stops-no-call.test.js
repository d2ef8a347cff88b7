'use strict';
// Who holds a lease on a file makes every open of it fail, for as long as they like: no call tries for long, under any
// policy. Who gives it up when asked, as file servers do, is waited for.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const { once } = require('node:events');
const { spawn, spawnSync } = require('node:child_process');
const { SandboxRoot } = require('..');
const {
  NOBODY,
  POLICIES,
  codeOf,
  codeOfPromise,
  isRoot,
  link,
  memory,
  plant,
  tempDir,
} = require('./support');

const skip =
  (!isRoot && 'needs root to be two users') ||
  (spawnSync('python3', ['--version']).status !== 0 && 'needs python3, to hold a lease');

/**
 * Holds a lease to write, and gives it up so many milliseconds after it is wanted back; without a number it does not hear
 * of that.
 */
const HOLDER = `
import fcntl, os, signal, sys, time
os.setgroups([]); os.setgid(${NOBODY}); os.setuid(${NOBODY})
def give_up(*_):
    time.sleep(float(sys.argv[2]) / 1000)
    fcntl.fcntl(fd, 1024, fcntl.F_UNLCK)
signal.signal(signal.SIGIO, signal.SIG_IGN if len(sys.argv) < 3 else give_up)
fd = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(fd, 1024, fcntl.F_WRLCK)
print('held', flush=True)
sys.stdin.read()`;

/** How long a call may take, in milliseconds: less than a storm of renames is waited out. */
const FINE = 400;

/** Has a lease held on a file; `stop()` ends that. */
async function held(t, ...args) {
  const holder = spawn('python3', ['-c', HOLDER, ...args.map(String)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => holder.kill('SIGKILL'));
  await once(holder.stdout, 'data');
  return async () => {
    holder.kill('SIGKILL');
    await once(holder, 'exit');
  };
}

test('a file that somebody holds a lease on is EAGAIN soon, under every policy', { skip }, async (t) => {
  const dir = tempDir(t, memory);
  plant(dir, { file: 'content', link: link('file') });
  fs.chmodSync(dir, 0o755);
  fs.chownSync(`${dir}/file`, NOBODY, NOBODY);
  await held(t, `${dir}/file`);
  const CALLS = {
    readFile: (root, at) => root.readFile(at),
    writeFile: (root, at) => root.writeFile(at, 'new'),
    appendFile: (root, at) => root.appendFile(at, 'new'),
    truncate: (root, at) => root.truncate(at, 1),
    openRead: (root, at) => root.openRead(at),
    openWrite: (root, at) => root.openWrite(at, true, true),
    open: (root, at) => root.open(at, 'r+'),
    copyFile: (root, at) => root.copyFile(at, 'new'),
    'copyFile over it': (root, at) => root.copyFile('other', at),
    cp: (root, at) => root.cp(at, 'new'),
  };
  plant(dir, { other: 'other' });
  for (const symlinks of POLICIES) {
    const root = new SandboxRoot(dir, { symlinks });
    for (const at of symlinks === 'reject' ? ['file'] : ['file', 'link']) {
      for (const [name, call] of Object.entries(CALLS)) {
        // That copies the link.
        if (name === 'cp' && at === 'link') continue;
        for (const promised of [false, true]) {
          const began = performance.now();
          const code = promised ? await codeOfPromise(call(root.promises, at)) : codeOf(() => call(root, at));
          const took = performance.now() - began;
          assert.strictEqual(code, 'EAGAIN', `${name} of ${at}: ${symlinks}`);
          assert.ok(took < FINE, `${name} of ${at}: ${symlinks}: ${took} ms`);
        }
      }
    }
    root.close();
  }
  assert.strictEqual(fs.statSync(`${dir}/file`).size, 7);
  assert.ok(!fs.existsSync(`${dir}/new`));
});

test('who gives up a lease when asked is waited for, under every policy', { skip }, async (t) => {
  const dir = tempDir(t, memory);
  fs.chmodSync(dir, 0o755);
  const CALLS = {
    'node:fs': () => fs.readFileSync(`${dir}/file`, 'utf8'),
    readFile: (root) => root.readFile('file', 'utf8'),
    openWrite: (root) => fs.closeSync(root.openWrite('file')),
    copyFile: (root) => root.copyFile('file', 'new'),
    cp: (root) => root.cp('file', 'new'),
  };
  for (const symlinks of POLICIES) {
    const root = new SandboxRoot(dir, { symlinks });
    for (const [name, call] of Object.entries(CALLS)) {
      fs.rmSync(`${dir}/new`, { force: true });
      plant(dir, { file: 'content' });
      fs.chownSync(`${dir}/file`, NOBODY, NOBODY);
      const stop = await held(t, `${dir}/file`, 20);
      const began = performance.now();
      assert.doesNotThrow(() => call(root), `${name}: ${symlinks}`);
      const took = performance.now() - began;
      assert.ok(took > 15, `${name} had to wait: ${took} ms`);
      await stop();
      fs.rmSync(`${dir}/file`);
    }
    root.close();
  }
});
