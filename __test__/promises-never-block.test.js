'use strict';
// A promise waits on another thread: the event loop goes on, whatever the file system.

const assert = require('node:assert');
const fs = require('node:fs');
const v8 = require('node:v8');
const vm = require('node:vm');
const { once } = require('node:events');
const { spawn } = require('node:child_process');
const { setTimeout: sleep } = require('node:timers/promises');
const { SandboxRoot } = require('..');
const path = require('node:path');
const { folder, lateFuse, privately, run } = require('./mounts');
const { trace } = require('./syscalls/trace');
const { withoutStrace } = require('./syscalls/strace');

const test = privately(__filename);

/** How late the answers of the file system are, and how long the event loop may stand still, in milliseconds. */
const LATE = 400;
const FINE = 300;

/** How long the event loop stood still at the longest while `action` went on, and how long that took. */
async function longestPause(action) {
  const began = performance.now();
  let longest = 0;
  let last = began;
  const tick = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  };
  const timer = setInterval(tick, 5);
  try {
    await action();
    tick();
  } finally {
    clearInterval(timer);
  }
  return { longest, took: performance.now() - began };
}

async function walked(root) {
  const names = [];
  for await (const { name } of root.walk('.')) names.push(name);
  return names;
}

const NAMES = ['dir', 'endless', 'file', 'link'];
const options = { recursive: true, filter: () => true };
const FUSE_SUPER_MAGIC = 0x6573_5546;
/** The call, what it waits for, what comes of it, and what of `fs.promises` is like it. */
const CALLS = {
  stat: [(root) => root.promises.stat('file').then(({ size }) => size), 'getattr', 8],
  'stat of the root': [(root) => root.promises.stat('.').then(({ ino }) => ino), 'getattr', 1],
  lstat: [(root) => root.promises.lstat('link').then(({ ino }) => ino), 'getattr', 5],
  statfs: [(root) => root.promises.statfs('file').then(({ type }) => type), 'statfs', FUSE_SUPER_MAGIC],
  exists: [(root) => root.promises.exists('file'), 'getattr', true],
  'exists of nothing': [(root) => root.promises.exists('nothing'), 'lookup', false],
  access: [(root) => root.promises.access('file', fs.constants.R_OK), 'access', undefined],
  readlink: [(root) => root.promises.readlink('link'), 'readlink', 'file'],
  realpath: [(root) => root.promises.realpath('file'), 'lookup', 'file'],
  readFile: [(root) => root.promises.readFile('file', 'utf8'), 'read', 'content\n'],
  'readFile that opens late': [(root) => root.promises.readFile('file', 'utf8'), 'open', 'content\n'],
  readdir: [async (root) => (await root.promises.readdir('.')).sort(), 'readdir', NAMES],
  'readdir of a tree': [
    async (root) => (await root.promises.readdir('.', { recursive: true })).sort(),
    'opendir',
    ['dir', 'dir/inner', 'endless', 'file', 'link'],
  ],
  walk: [async (root) => (await walked(root)).sort(), 'readdir', ['dir', 'endless', 'file', 'inner', 'link']],
  openRead: [async (root) => fs.closeSync(await root.promises.openRead('file')), 'open', undefined],
  hostPath: [async (root) => (await root.promises.hostPath('dir')).close(), 'lookup', undefined],
  openRoot: [async (root) => (await root.promises.openRoot('dir')).close(), 'lookup', undefined],
  'cp with a filter': [(root, to) => root.promises.cp('file', 'a', { ...options, to }), 'getattr', undefined],
  'cp of a tree with a filter': [
    (root, to) => root.promises.cp('dir', 'b', { ...options, to }),
    'getattr',
    undefined,
  ],
  'move to another file system': [
    (root, to) => root.promises.move('file', 'c', { to }).catch(({ code }) => code),
    'all',
    'ENOSYS',
  ],
};

/** So many calls wait at a time. One that blocks is seen by all of them. */
const AT_ONCE = { concurrency: 6 };

test('A promise never blocks the event loop on a file system that does not answer', AT_ONCE, async (t) => {
  // Where there is no such file system, this is skipped as a whole.
  await lateFuse(t);
  const one = async (t, [call, operation, expected]) => {
    // Where `lookup` is late, the kernel keeps no names either.
    const fuse = await lateFuse(t, { entrySeconds: operation === 'lookup' ? 0 : 3600 });
    const root = new SandboxRoot(fuse.at);
    const to = new SandboxRoot(fs.mkdtempSync(`${fuse.at}-to`));
    t.after(() => [root, to].forEach((root) => root.close()));
    // The kernel knows the names from now on, and has to ask for the rest.
    for (const known of ['file', 'dir/inner', 'link']) fs.lstatSync(`${fuse.at}/${known}`);
    await fuse.delay(operation, LATE);
    let value;
    const { longest, took } = await longestPause(async () => {
      value = await call(root, to);
    });
    await fuse.delay('all', 0);
    assert.deepStrictEqual(value, expected);
    assert.ok(took > LATE * 0.9, `nothing was waited for: ${took} ms`);
    assert.ok(longest < FINE, `the event loop stood still for ${longest} ms of ${took}`);
  };
  await Promise.all(Object.entries(CALLS).map(([name, row]) => t.test(name, (t) => one(t, row))));
});

test('The file system that answers late keeps node:fs waiting, and not fs.promises', async (t) => {
  const fuse = await lateFuse(t);
  fs.statSync(`${fuse.at}/file`);
  await fuse.delay('getattr', LATE);
  const control = await longestPause(() => fs.promises.stat(`${fuse.at}/file`));
  assert.ok(control.took > LATE * 0.9 && control.longest < FINE, JSON.stringify(control));
  const blocking = await longestPause(async () => fs.statSync(`${fuse.at}/file`));
  assert.ok(blocking.longest > LATE * 0.9, JSON.stringify(blocking));
});

/** Closing the last descriptor of a removed file frees it: that may take long. */
test('A removed file that a promise has found is closed on another thread', (t) => {
  const noStrace = withoutStrace();
  if (noStrace) return t.skip(noStrace);
  const dir = folder('removed');
  const program = `
    const fs = require('node:fs');
    const { SandboxRoot } = require(${JSON.stringify(path.join(__dirname, '..'))});
    const { mark } = require(${JSON.stringify(path.join(__dirname, 'syscalls/trace'))});
    const { spawn } = require('node:child_process');
    const file = ${JSON.stringify(path.join(dir, 'file'))};
    (async () => {
      await fs.promises.stat('/nowhere').catch(() => {});
      const came = [];
      for (const method of ['stat', 'lstat', 'exists']) {
        fs.writeFileSync(file, 'content');
        fs.statSync(file);
        const root = new SandboxRoot(${JSON.stringify(dir)});
        const remover = spawn('sh', ['-c', 'sleep 0.2; rm ' + file], { stdio: 'ignore' });
        const removed = new Promise((resolve) => remover.on('exit', resolve));
        // Loads what promises need.
        const { promises } = root;
        mark(method);
        const asked = promises[method]('file');
        came.push(await asked.then((value) => value === false ? 'false' : 'found', ({ code }) => code));
        mark('between');
        await removed;
        root.close();
      }
      console.log(JSON.stringify(came));
    })();`;
  // Each root makes a lookup of its own first.
  const { stdout, sections } = trace(dir, ['-e', program], {
    inject: ['openat2:delay_exit=500000:when=2+2'],
  });
  const came = JSON.parse(stdout);
  const seen = ['stat', 'lstat', 'exists'].map((method, i) => {
    const calls = sections.get(method);
    const found = calls.find(({ line }) => line.includes('RESOLVE_CACHED'));
    const closed = calls.filter(({ name, args }) => name === 'close' && args[0] === String(found.result));
    return [method, came[i], closed.length > 0 && closed.every(({ elsewhere }) => elsewhere)];
  });
  assert.deepStrictEqual(seen, [
    ['stat', 'ENOENT', true],
    ['lstat', 'ENOENT', true],
    ['exists', 'false', true],
  ]);
});

test('A write that is given up, and collected, removes what it made on another thread', async (t) => {
  run('bindfs', '--version');
  const [source, at] = [folder('source'), folder('stopped')];
  const daemon = spawn('bindfs', ['-f', source, at], { stdio: 'ignore' });
  t.after(() => {
    daemon.kill('SIGCONT');
    run('umount', '--lazy', at);
  });
  const eventually = async (holds) => {
    for (const end = performance.now() + 10_000; !holds(); await sleep(20))
      assert.ok(performance.now() < end);
  };
  await eventually(() => fs.statSync(at).dev !== fs.statSync(source).dev);
  v8.setFlagsFromString('--expose_gc');
  const collect = vm.runInNewContext('gc');
  const root = new SandboxRoot(at);
  t.after(() => root.close());
  const kept = {};
  const giveUp = (name, options) => {
    const never = () => new Promise((resolve) => Object.assign(kept, { resolve }));
    root.promises.writeFile(name, { [Symbol.asyncIterator]: () => ({ next: never }) }, options);
  };
  for (const options of [{}, { atomic: true }]) {
    giveUp('file', options);
    await eventually(() => kept.resolve !== undefined);
    assert.strictEqual(fs.readdirSync(source).length, 1);
    // To be started while the daemon stands still, a process would wait for it.
    const script = `read line; sleep 1.5; kill -CONT ${daemon.pid}`;
    const waker = spawn('sh', ['-c', script], { stdio: ['pipe', 'ignore', 'inherit'] });
    const woken = once(waker, 'exit');
    await new Promise((resolve) => waker.stdin.write('\n', resolve));
    process.kill(daemon.pid, 'SIGSTOP');
    kept.resolve = undefined;
    const { longest } = await longestPause(async () => {
      for (let i = 0; i < 5; i++) {
        collect();
        await sleep(40);
      }
    });
    assert.strictEqual(fs.readdirSync(source).length, 1, 'it is still there');
    await woken;
    assert.ok(longest < 1000, `the event loop stood still for ${longest} ms`);
    await eventually(() => fs.readdirSync(source).length === 0);
  }
});

test('a filter of cp that answers at once leaves turns of the event loop to others, and an abort ends it', async () => {
  const dir = folder('filtered');
  for (let i = 0; i < 150; i++) fs.writeFileSync(path.join(dir, `${i}`), '');
  fs.mkdirSync(path.join(dir, 'src'));
  for (let i = 0; i < 150; i++) fs.renameSync(path.join(dir, `${i}`), path.join(dir, 'src', `${i}`));
  const root = new SandboxRoot(dir);
  let asked = 0;
  const filter = () => {
    asked += 1;
    const began = performance.now();
    while (performance.now() - began < 1);
    return true;
  };
  let turns = 0;
  let isOver = false;
  const count = () => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  let before = 0;
  const counting = () => {
    if (asked === 1) before = turns;
    return filter();
  };
  let during = 0;
  const countingAll = (src) => {
    const answer = counting();
    if (asked === 151) during = turns - before;
    return typeof src === 'string' && answer;
  };
  await root.promises.cp('src', 'copy', { recursive: true, filter: countingAll });
  assert.ok(during >= 5, `${during} turns of the event loop while the filter was asked`);
  assert.strictEqual(root.readdir('copy').length, 150);
  asked = 0;
  const controller = new AbortController();
  const { signal } = controller;
  const copying = root.promises.cp('src', 'none', { recursive: true, filter, signal });
  const aborting = () => (asked > 0 ? controller.abort() : setImmediate(aborting));
  aborting();
  await assert.rejects(copying, { name: 'AbortError' });
  isOver = true;
  assert.ok(asked < 150, `${asked} of 151 were asked about`);
  root.close();
});
