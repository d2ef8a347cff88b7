'use strict';
// Runs under strace: goes every way through every method, and hands every method every kind of
// path, with marks between. What came of each call is printed at the end. It is told how, as JSON:
// the options of the roots, whether to go by their promises, and a method if it is to be that alone;
// `brief` leaves out the kinds of paths; `mounted` is for the ways across mounts, in a mount namespace
// of their own.

const fs = require('node:fs');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { SandboxRoot } = require('../..');
const { callsApart, callsWithPath, plant, plantWide } = require('../support');
const { mark } = require('./trace');
const {
  ONLY_SYNC,
  TREE,
  crossing,
  giveBack,
  laterToo,
  loadAll,
  perform,
  performLater,
  ways,
} = require('./ways');

/** What a tree is called that two threads share. */
const WIDE = 'a wide tree';

const PATHS = [
  'file', 'empty', 'tree', 'tofile', 'todir', 'fifo', 'new', '.', './', '', '/', '..',
  'a/b/c/file', 'a/b/c/empty', 'a/b/c/tofile', 'a/b/c/new', 'a//./b/c/file', 'a/b/c/',
  'file/', 'empty/', 'tofile/', 'todir/', 'new/', 'fifo/', 'tree/.',
  'todir/b', 'todir/b/c/file', 'file/x', 'tofile/x', 'missing/x/y', 'a/missing/x',
  '/etc/passwd', '../file', 'a/../file', 'a/..', 'todir/../file', 'a/b/../../..',
  Buffer.from('a/b/\xff\xfe', 'latin1'), 'x'.repeat(300), `${'a/'.repeat(2500)}x`, '/proc/self/cwd',
]; // biome-ignore format: a list

const pathCalls = Object.entries({ ...callsWithPath, ...callsApart }).flatMap(([method, calls]) =>
  calls.flatMap((call, i) =>
    PATHS.map((at) => ({
      method,
      what: `${method} (${i + 1}) of ${at}`,
      call: (root) => call(root, at),
      slashed: /\/$/.test(at),
    })),
  ),
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

/** Directories beside each other: enough for two threads to share them. */
const wide = [
  ['rm', (root) => root.rm('wide', true)],
  ['readdir', (root) => root.readdir('wide', { recursive: true })],
  ['cp', (root) => root.cp('wide', 'new', { recursive: true })],
].map(([method, call]) => ({
  method,
  what: WIDE,
  prepare: (dir) => plantWide(path.join(dir, 'wide'), 20),
  call,
}));

const calls = [...ways, ...pathCalls, large, ...wide];

/** Makes in `base` the tree for each call. Not under strace: that would take long. */
function prepare(base, how) {
  const fifo = path.join(base, 'fifo');
  execFileSync('mkfifo', [fifo]);
  which(how).forEach((way, i) => {
    const dir = path.join(base, `tree${i}`);
    fs.mkdirSync(dir);
    plant(dir, TREE);
    fs.linkSync(fifo, path.join(dir, 'fifo'));
    (way.prepare ?? way.call.prepare)?.(dir);
  });
}

/** Mounts a file system on the directory `at`. */
const mount = (at) => execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', at]);

async function run(base, { method, later, brief, mounted, ...options }) {
  const results = [];
  const chosen = which({ method, later, brief, mounted });
  for (const i of mounted ? chosen.keys() : []) {
    const dir = path.join(base, `tree${i}`, 'mounted');
    fs.mkdirSync(dir);
    mount(dir);
    plant(dir, TREE);
  }
  // The threads of the pool are there, and have done something, before anything is looked at.
  await Promise.allSettled(Array.from({ length: 8 }, () => fs.promises.stat('/nowhere')));
  loadAll();
  for (const [i, way] of chosen.entries()) {
    const dir = path.join(base, `tree${i}`);
    mark(`constructor-${i}`);
    const root = new SandboxRoot(dir, options);
    mark(`constructed-${i}`);
    if (way.call.closed) root.close();
    const to = way.call.between && new SandboxRoot(path.join(dir, 'a'), options);
    if (way.call.cover) {
      mark(`covered-${i}`);
      mount(dir);
    }

    mark(`call-${i}`);
    const done = await (later || way.call.ofRoot ? performLater : perform)(way, root, dir, SandboxRoot, to);
    mark(`called-${i}`);

    giveBack(done);
    // Not left to the collector: it would close it during a later call.
    root.close();
    to?.close();
    const { method: name, what, syscalls, following } = way;
    const expected = options.symlinks === 'reject' ? syscalls : following;
    results.push({
      method: name,
      what,
      syscalls: later && expected !== undefined ? laterToo(name, expected) : expected,
      error: done.error?.code,
      fd: done.fd,
      slashed: way.slashed ?? way.call.slashed ?? false,
    });
  }
  return results;
}

/** Every call that is audited, in order; those of one method are its ways alone. */
function which({ method, later, brief, mounted }) {
  const all = (mounted ? crossing : brief ? ways : calls).filter(
    (way) => method === undefined || way.method === method,
  );
  return later ? all.filter((way) => !ONLY_SYNC.includes(way.method)) : all;
}

if (require.main === module) {
  const [, , base, how] = process.argv;
  run(base, JSON.parse(how)).then((results) => console.log(JSON.stringify(results)));
}

module.exports = { WIDE, prepare, which };
