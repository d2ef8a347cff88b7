'use strict';
// Who holds a lease on a file makes every open of it fail at once, for as long as they like: no call tries for
// long, under any policy.

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

/** Holds a lease to write, and does not hear that it is wanted back. */
const HOLDER = `
import fcntl, os, signal, sys
os.setgroups([]); os.setgid(${NOBODY}); os.setuid(${NOBODY})
signal.signal(signal.SIGIO, signal.SIG_IGN)
fd = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(fd, 1024, fcntl.F_WRLCK)
print('held', flush=True)
sys.stdin.read()`;

/** How long a call may take, in milliseconds: less than a storm of renames is waited out. */
const FINE = 400;

test('a file that somebody holds a lease on is EAGAIN at once, under every policy', { skip }, async (t) => {
  const dir = tempDir(t, memory);
  plant(dir, { file: 'content', link: link('file') });
  fs.chmodSync(dir, 0o755);
  fs.chownSync(`${dir}/file`, NOBODY, NOBODY);
  const holder = spawn('python3', ['-c', HOLDER, `${dir}/file`], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => holder.kill('SIGKILL'));
  await once(holder.stdout, 'data');
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
