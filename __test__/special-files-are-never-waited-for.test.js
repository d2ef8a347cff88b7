'use strict';
// FIFOs, sockets and devices: whatever opens content refuses them at once, waits for no peer and takes
// nothing from one. What concerns only the name or the metadata works.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const net = require('node:net');
const { execFileSync } = require('node:child_process');
const { inChild, start } = require('./child');
const { fifo, isRoot, sandbox, snapshot } = require('./support');

/** How long one call may take, in milliseconds. It needs some microseconds: what waits, waits for ever. */
const AT_ONCE = 2000;

const MAKES = true;

/** Every call that opens content, on a special file called `at` beside a file called `file`, and whether it would make one. */
const OPENING = {
  openRead: ['openRead', ['at']],
  openWrite: ['openWrite', ['at']],
  'openWrite, create': ['openWrite', ['at', true], MAKES],
  'openWrite, truncate': ['openWrite', ['at', false, true]],
  'openWrite, create and truncate': ['openWrite', ['at', true, true], MAKES],
  'openWrite, append': ['openWrite', ['at', false, false, true]],
  'openWrite, create and append': ['openWrite', ['at', true, false, true], MAKES],
  'open, r': ['open', ['at']],
  'open, r+': ['open', ['at', 'r+']],
  'open, w': ['open', ['at', 'w'], MAKES],
  'open, a+': ['open', ['at', 'a+'], MAKES],
  'open, O_NONBLOCK': ['open', ['at', fs.constants.O_RDWR | fs.constants.O_NONBLOCK]],
  readFile: ['readFile', ['at']],
  writeFile: ['writeFile', ['at', 'content'], MAKES],
  'writeFile, to what is there': ['writeFile', ['at', 'content', { flag: 'r+' }]],
  appendFile: ['appendFile', ['at', 'content'], MAKES],
  fsync: ['fsync', ['at']],
  truncate: ['truncate', ['at', 0]],
  'truncate to a length': ['truncate', ['at', 100]],
  'copyFile from it': ['copyFile', ['at', 'fresh'], MAKES],
  'copyFile from it, to a file': ['copyFile', ['at', 'file'], MAKES],
  'copyFile to it': ['copyFile', ['file', 'at'], MAKES],
};

/** What each of `calls` on `name` in `dir` came to, made in a process that can be given up. */
function outcomesOf(t, dir, name, calls) {
  const body = (dir, name, calls) => {
    const root = new SandboxRoot(dir);
    return Object.entries(calls).map(([title, [method, args]]) => {
      console.error(`${title} …`);
      const began = performance.now();
      let error = {};
      try {
        root[method](...args.map((arg) => (arg === 'at' ? name : arg)));
      } catch (thrown) {
        error = thrown;
      }
      const { code, message, syscall } = error;
      return { title, code, message, syscall, ms: performance.now() - began };
    });
  };
  return inChild(t, body, [dir, name, calls], { timeout: 20_000 });
}

async function assertAllRefuse(t, dir, name, calls = OPENING) {
  for (const { title, code, message, ms } of await outcomesOf(t, dir, name, calls)) {
    assert.strictEqual(code, 'ENXIO', `${title}: ${message}`);
    assert.match(message, /^ENXIO: .*not a regular file/, title);
    assert.ok(ms < AT_ONCE, `${title} took ${ms} ms`);
  }
}

const TREE = { file: 'content', pipe: fifo() };

/** A socket that somebody listens on. */
function listen(t, at) {
  const server = net.createServer((connection) => connection.destroy());
  t.after(() => new Promise((resolve) => server.close(resolve)));
  return new Promise((resolve) => server.listen(at, resolve));
}

const DEVICES = { null: ['c', 1, 3], zero: ['c', 1, 5], tty: ['c', 5, 0], nobodys: ['c', 240, 0] };

function mknod(at, [type, major, minor]) {
  execFileSync('mknod', ['-m', '666', at, type, `${major}`, `${minor}`]);
}

/** Why devices of our own cannot be tried here, if they cannot. */
const noDevices = (() => {
  if (!isRoot) return 'needs root, to make a device';
  const dir = fs.mkdtempSync('/tmp/openat2-');
  try {
    mknod(`${dir}/null`, DEVICES.null);
    fs.closeSync(fs.openSync(`${dir}/null`, 'r'));
    return false;
  } catch (error) {
    return `needs devices, but ${error.message.split('\n', 1)[0]}`;
  } finally {
    fs.rmSync(dir, { recursive: true });
  }
})();

test('a FIFO without a peer is refused at once by everything that opens content', async (t) => {
  const { dir } = sandbox(t, TREE);
  const before = snapshot(dir);
  await assertAllRefuse(t, dir, 'pipe');
  assert.deepStrictEqual(snapshot(dir), before);
});

test('a FIFO with both ends open is refused, and what is in it stays there', async (t) => {
  const { dir, at } = sandbox(t, TREE);
  const before = snapshot(dir);
  const fd = fs.openSync(at('pipe'), fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
  t.after(() => fs.closeSync(fd));
  fs.writeSync(fd, 'for somebody else');
  await assertAllRefuse(t, dir, 'pipe');
  const buffer = Buffer.alloc(100);
  assert.strictEqual(buffer.toString('utf8', 0, fs.readSync(fd, buffer)), 'for somebody else');
  assert.deepStrictEqual(snapshot(dir), before);
});

/** Waits until `pid` sleeps in a system call on a FIFO, as far as /proc tells. */
async function untilItWaits(pid) {
  for (let i = 0; i < 500; i++) {
    if (/^State:\s*S/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** What the process at the other end of a FIFO came to, and whether it was our calls that woke it. */
async function letGo(peer, at) {
  const waiting = new Promise((resolve) => setTimeout(resolve, 200, 'waits on'));
  const woken = peer.result.then(() => 'was woken');
  const how = await Promise.race([waiting, woken]);
  const { O_RDWR, O_NONBLOCK } = fs.constants;
  fs.closeSync(fs.openSync(at, O_RDWR | O_NONBLOCK));
  return { how, value: (await peer.result).value };
}

test('a reader that waits at the other end of a FIFO is given nothing to read', async (t) => {
  const { dir, at } = sandbox(t, TREE);
  const reader = start(
    t,
    (pipe) => {
      console.log('ready');
      return fs.readFileSync(pipe, 'utf8');
    },
    [at('pipe')],
  );
  await reader.ready;
  await untilItWaits(reader.pid);
  await assertAllRefuse(t, dir, 'pipe');
  const { how, value } = await letGo(reader, at('pipe'));
  t.diagnostic(`the reader ${how}`);
  assert.strictEqual(value, '');
});

test('a writer that waits at the other end of a FIFO holds nobody up', async (t) => {
  const { dir, at } = sandbox(t, TREE);
  const writer = start(
    t,
    (pipe) => {
      console.log('ready');
      const fd = fs.openSync(pipe, 'w');
      try {
        return { written: fs.writeSync(fd, 'for a reader') };
      } catch ({ code }) {
        return { code };
      }
    },
    [at('pipe')],
  );
  await writer.ready;
  await untilItWaits(writer.pid);
  await assertAllRefuse(t, dir, 'pipe');
  const { how, value } = await letGo(writer, at('pipe'));
  t.diagnostic(`the writer ${how}, and came to ${JSON.stringify(value)}`);
  assert.strictEqual(fs.readFileSync(at('file'), 'utf8'), 'content');
  assert.ok(!fs.existsSync(at('fresh')));
});

test('a socket is refused, whether somebody listens or not', async (t) => {
  const { dir, at } = sandbox(t, TREE);
  await listen(t, at('listening'));
  await listen(t, at('bound'));
  // The name stays when it is moved away before its server would remove it.
  fs.renameSync(at('bound'), at('left'));
  const before = snapshot(dir);
  for (const name of ['listening', 'left']) await assertAllRefuse(t, dir, name);
  assert.deepStrictEqual(snapshot(dir), before);
});

test('a device is refused, with a driver and without one', { skip: noDevices }, async (t) => {
  const { dir, at } = sandbox(t, TREE);
  for (const [name, device] of Object.entries(DEVICES)) mknod(at(name), device);
  const before = snapshot(dir);
  for (const name of Object.keys(DEVICES)) await assertAllRefuse(t, dir, name);
  assert.deepStrictEqual(snapshot(dir), before);
});

test('the devices of /dev are refused', async (t) => {
  const alone = Object.fromEntries(Object.entries(OPENING).filter(([, [method]]) => method !== 'copyFile'));
  for (const name of ['null', 'zero', 'full', 'urandom']) await assertAllRefuse(t, '/dev', name, alone);
});

/** What works on the special file `name`, and what is to be seen of it. Runs in a process that can be given up. */
function nameAndMetadataWork(dir, name) {
  const assert = require('node:assert');
  const root = new SandboxRoot(dir);
  const lstat = (name) => fs.lstatSync(path.join(dir, name));
  const { mode, ino } = lstat(name);
  const kind = mode & fs.constants.S_IFMT;
  assert.deepStrictEqual([root.stat(name).mode, root.stat(name).ino], [mode, ino]);
  assert.strictEqual(root.statfs(name).type, fs.statfsSync(dir).type);

  root.chmod(name, 0o640);
  assert.strictEqual(lstat(name).mode, kind | 0o640);
  root.utimes(name, 1e9, 2e9);
  assert.deepStrictEqual([lstat(name).atimeMs, lstat(name).mtimeMs], [1000, 2000]);

  root.link(name, 'second');
  root.rename(name, 'dir/moved');
  root.renameNoReplace('dir/moved', name);
  assert.throws(() => root.renameNoReplace(name, 'file'), { code: 'EEXIST' });
  assert.deepStrictEqual([lstat(name).ino, lstat('second').ino], [ino, ino]);
  root.rename(name, 'third');
  root.link('third', 'dir/fourth');
  root.unlink('second');
  root.rm('third');
  root.rm('dir', true);
  root.mkdir('dir');
  assert.deepStrictEqual(fs.readdirSync(dir).includes(name), false);
}

test('metadata and name operations work on a FIFO, a socket and a device', async (t) => {
  const { dir, at } = sandbox(t, { ...TREE, dir: {} });
  await listen(t, at('socket'));
  const names = ['pipe', 'socket'];
  if (noDevices) t.diagnostic(`no devices: ${noDevices}`);
  else {
    for (const [name, device] of Object.entries(DEVICES)) mknod(at(name), device);
    names.push(...Object.keys(DEVICES));
  }
  for (const name of names) await inChild(t, nameAndMetadataWork, [dir, name], { timeout: 20_000 });
  assert.deepStrictEqual(fs.readdirSync(at()), ['dir', 'file']);
});

test('a FIFO put where a file was holds up no call, however often', async (t) => {
  const { dir, at } = sandbox(t, { ...TREE, place: 'content', spare: fifo() });
  const swapper = start(
    t,
    (place, spare) => {
      console.log('ready');
      for (;;) {
        fs.renameSync(place, `${place}2`);
        fs.renameSync(spare, place);
        fs.renameSync(place, spare);
        fs.renameSync(`${place}2`, place);
      }
    },
    [at('place'), at('spare')],
  );
  await swapper.ready;
  const body = (dir, calls) => {
    const root = new SandboxRoot(dir);
    const codes = {};
    const end = Date.now() + 1500;
    while (Date.now() < end) {
      for (const [method, args] of calls) {
        let code = 'success';
        try {
          const fd = root[method](...args.map((arg) => (arg === 'at' ? 'place' : arg)));
          if (typeof fd === 'number') fs.closeSync(fd);
        } catch (error) {
          code = error.code;
        }
        codes[code] = (codes[code] ?? 0) + 1;
      }
    }
    return codes;
  };
  // None that makes the file: it would stand in the way of the swapper.
  const calls = Object.values(OPENING).filter(([, , makes]) => !makes);
  const codes = await inChild(t, body, [dir, calls], { timeout: 20_000 });
  await swapper.stop();
  t.diagnostic(JSON.stringify(codes));
  assert.ok(codes.success > 0 && codes.ENXIO > 0, 'both were met');
  for (const code of Object.keys(codes)) assert.ok(['success', 'ENXIO', 'ENOENT'].includes(code), code);
});
