'use strict';
// Runs under strace: goes every way through every method, and hands every method every kind of
// path, with marks between. What came of each call is printed at the end. Given a method, it goes
// the ways through that one alone.

const fs = require('node:fs');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { SandboxRoot } = require('../..');
const { everyCallWithPath, plant } = require('../support');
const { mark } = require('./trace');
const { TREE, perform, release, ways } = require('./ways');

const PATHS = [
  'file', 'empty', 'tree', 'tofile', 'todir', 'fifo', 'new', '.', './', '', '/', '..',
  'a/b/c/file', 'a/b/c/empty', 'a/b/c/tofile', 'a/b/c/new', 'a//./b/c/file', 'a/b/c/',
  'file/', 'empty/', 'tofile/', 'todir/', 'new/', 'fifo/', 'tree/.',
  'todir/b', 'todir/b/c/file', 'file/x', 'tofile/x', 'missing/x/y', 'a/missing/x',
  '/etc/passwd', '../file', 'a/../file', 'a/..', 'todir/../file', 'a/b/../../..',
  Buffer.from('a/b/\xff\xfe', 'latin1'), 'x'.repeat(300), `${'a/'.repeat(2500)}x`, '/proc/self/cwd',
]; // biome-ignore format: a list

const pathCalls = everyCallWithPath.flatMap(([name, call, method]) =>
  PATHS.map((at) => ({ method, what: `${name} of ${at}`, call: (root) => call(root, at) })),
);

/** Directories below each other, and files beside each other: more than are open or listed at once. */
const large = {
  method: 'rm',
  what: 'a deep and wide tree',
  prepare(dir) {
    fs.mkdirSync(path.join(dir, `large${'/down'.repeat(40)}`), { recursive: true });
    for (let i = 0; i < 3000; i += 1)
      fs.writeFileSync(path.join(dir, `large/down/file-with-a-long-name-${i}`), '');
  },
  call: (root) => root.rm('large', true),
};

/** Every call that is audited, in order. */
const calls = [...ways, ...pathCalls, large];

/** Makes in `base` the tree for each call of `which`. Not under strace: that would take long. */
function prepare(base, which) {
  const fifo = path.join(base, 'fifo');
  execFileSync('mkfifo', [fifo]);
  which.forEach((way, i) => {
    const dir = path.join(base, `tree${i}`);
    fs.mkdirSync(dir);
    plant(dir, TREE);
    fs.linkSync(fifo, path.join(dir, 'fifo'));
    way.prepare?.(dir);
  });
}

function run(base, which) {
  return which.map((way, i) => {
    const dir = path.join(base, `tree${i}`);
    mark(`constructor-${i}`);
    const root = new SandboxRoot(dir);
    mark(`constructed-${i}`);
    if (way.call.closed) root.close();

    mark(`call-${i}`);
    const done = perform(way, root, dir, SandboxRoot);
    mark(`called-${i}`);

    release(done);
    // Not left to the collector: it would close it during a later call.
    root.close();
    return {
      method: way.method,
      what: way.what,
      syscalls: way.syscalls,
      error: done.error?.code,
      fd: done.fd,
    };
  });
}

const ofMethod = (method) => (method === undefined ? calls : ways.filter((way) => way.method === method));

if (require.main === module) {
  const [, , base, method] = process.argv;
  console.log(JSON.stringify(run(base, ofMethod(method))));
}

module.exports = { ofMethod, prepare };
