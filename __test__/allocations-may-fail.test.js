'use strict';
// Where there is no memory for what others chose the size of, a call fails: the process lives on.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { execFileSync, spawnSync } = require('node:child_process');
const { constants } = require('node:buffer');
const { inChild } = require('./child');
const { FULL } = require('./sizes');
const { memory, sandbox, settled, tempDir } = require('./support');

const MiB = 2 ** 20;
const skip = spawnSync('prlimit', ['--version']).status !== 0 && 'needs prlimit';

/** Nothing but the calls is to take memory: no heaps of threads, no garbage collector on threads. */
const QUIET = {
  wrap: ['env', 'MALLOC_ARENA_MAX=1'],
  node: ['--single-threaded-gc', '--max-semi-space-size=1'],
};
/** Less than what is asked for, and more than Node needs by the way, in MiB. */
const ROOM = 100;

/**
 * What comes of each of `calls` in a child with so little memory, at once and as a promise. They are sent as
 * their source; `given` is what `make()` gives, which is there before. The process lives on, and changes nothing.
 */
async function inLittleMemory(t, dir, calls, make = () => null) {
  const body = async (dir, room, calls, make) => {
    const root = new SandboxRoot(dir);
    // What is made when it is first needed: the threads of the pool.
    await Promise.all(Array.from({ length: 16 }, () => root.promises.readdir('.')));
    const given = new Function(`return (${make})()`)();
    const size = Number(/VmSize:\s+(\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
    const limit = `--as=${size + room * 2 ** 20}`;
    require('node:child_process').execFileSync('prlimit', ['--pid', String(process.pid), limit]);
    const came = {};
    for (const [name, call] of Object.entries(calls)) {
      for (const of of [root, root.promises]) {
        const key = `${name}, ${of === root ? 'at once' : 'as a promise'}`;
        try {
          await new Function('of', 'given', `return (${call})(of, given)`)(of, given);
          came[key] = 'nothing failed';
        } catch ({ code, syscall, message }) {
          came[key] = { code, syscall, message: message.slice(0, 60) };
        }
      }
    }
    return { came, names: root.readdir('.').sort(), file: root.readFile('file', 'utf8') };
  };
  fs.writeFileSync(path.join(dir, 'file'), 'old');
  const names = fs.readdirSync(dir).sort();
  const sources = Object.fromEntries(Object.entries(calls).map(([name, call]) => [name, `${call}`]));
  const { came, ...left } = await inChild(t, body, [dir, ROOM, sources, `${make}`], QUIET);
  assert.deepStrictEqual(left, { names, file: 'old' });
  return Object.entries(came);
}

test('what is written at once and has no room in memory fails, and a promise needs none', {
  skip,
}, async (t) => {
  const make = () => ({
    buffer: Buffer.alloc(200 << 20),
    text: Buffer.alloc(200 << 20, 'a').toString('latin1'),
    wide: Buffer.alloc(200 << 20, 'aé', 'utf16le').toString('utf16le'),
    // A promise copies one chunk at a time. The chunks that it has written are removed on failure.
    write: (of, method, ...args) =>
      of.close ? of[method]('file', ...args) : of[method]('new', ...args).then(() => of.unlink('new')),
  });
  const calls = {
    'a Buffer': (of, { buffer, write }) => write(of, 'writeFile', buffer),
    'a Buffer behind a file': (of, { buffer, write }) => write(of, 'appendFile', buffer),
    'a Buffer, atomically': (of, { buffer, write }) => write(of, 'writeFile', buffer, { atomic: true }),
    'a typed array': (of, { buffer, write }) => write(of, 'writeFile', new Float64Array(buffer.buffer)),
    'a DataView': (of, { buffer, write }) => write(of, 'writeFile', new DataView(buffer.buffer)),
    'a string': (of, { text, write }) => write(of, 'writeFile', text),
    'a wide string': (of, { wide, write }) => write(of, 'writeFile', wide),
  };
  const expected = { code: 'ENOMEM', syscall: 'write', message: 'ENOMEM: not enough memory, write' };
  // Here Node makes the bytes, and the error where it cannot.
  const encoded = { 'a string in Latin-1': (of, { text, write }) => write(of, 'writeFile', text, 'latin1') };
  for (const [name, came] of await inLittleMemory(t, tempDir(t, memory), { ...calls, ...encoded }, make)) {
    if (name.includes('as a promise')) assert.strictEqual(came, 'nothing failed', name);
    else if (name.includes('Latin-1')) assert.match(came.message, /memory|allocation/i, name);
    else assert.deepStrictEqual(came, expected, name);
  }
});

test('a path or a word of any length is refused, in little memory', { skip }, async (t) => {
  const make = () => ({
    text: Buffer.alloc(200 << 20, 'a').toString('latin1'),
    names: Buffer.alloc(200 << 20, 'a/').toString('latin1'),
    dots: Buffer.alloc(200 << 20, './').toString('latin1'),
    wide: Buffer.alloc(200 << 20, '\ufffdé', 'utf16le').toString('utf16le'),
    buffer: Buffer.alloc(200 << 20, 'a'),
  });
  const paths = {
    'a name': (of, { text }) => of.stat(text),
    'many names': (of, { names }) => of.mkdir(names, true),
    dots: (of, { dots }) => of.stat(dots),
    'wide characters': (of, { wide }) => of.unlink(wide),
    'a Buffer': (of, { buffer }) => of.unlink(buffer),
    'a second path': (of, { text }) => of.rename('file', text),
    'the target of a symlink': (of, { text }) => of.symlink(text, 'link'),
    'a prefix': (of, { text }) => of.mkdtemp(text),
  };
  const words = {
    'an encoding': (of, { text }) => of.readdir('.', text),
    'a flag': (of, { text }) => of.open('file', text),
    'an option': (of, { text }) => of.copyFile('file', 'new', null, { reflink: text }),
  };
  for (const [name, { code }] of await inLittleMemory(t, tempDir(t, memory), { ...paths, ...words }, make)) {
    const isWord = Object.keys(words).some((word) => name.startsWith(`${word},`));
    assert.strictEqual(code, isWord ? 'ERR_INVALID_ARG_VALUE' : 'ENAMETOOLONG', name);
  }
});

test('a listing that has no room in memory fails', { skip }, async (t) => {
  const dir = tempDir(t, memory);
  const deep = path.join(dir, ...Array(14).fill('d'.repeat(250)));
  fs.mkdirSync(deep, { recursive: true });
  // Each is listed with the way to it: 3,514 bytes.
  const names = 'for (let i = 0; i < 50_000; i++) fs.closeSync(fs.openSync(String(i), "w"))';
  execFileSync(process.execPath, ['-e', names], { cwd: deep });
  const calls = {
    strings: (of) => of.readdir('.', { recursive: true }),
    Buffers: (of) => of.readdir('.', { recursive: true, encoding: 'buffer' }),
  };
  for (const [name, { code, syscall }] of await inLittleMemory(t, dir, calls)) {
    assert.deepStrictEqual([code, syscall], ['ENOMEM', 'scandir'], name);
  }
});

test('content that has no room in memory fails', { skip }, async (t) => {
  const dir = tempDir(t, memory);
  fs.writeFileSync(`${dir}/large`, '');
  fs.truncateSync(`${dir}/large`, 200 * MiB);
  const calls = {
    'a Buffer': (of) => of.readFile('large'),
    'a string': (of) => of.readFile('large', 'utf8'),
  };
  for (const [name, { code, syscall }] of await inLittleMemory(t, dir, calls)) {
    assert.deepStrictEqual([code, syscall], ['ENOMEM', 'read'], name);
  }
});

test('content longer than the longest Buffer fails, and does not end the process', {
  skip: !FULL && 'full size only',
}, async (t) => {
  const dir = tempDir(t, memory);
  const length = Math.min(constants.MAX_LENGTH, 2 ** 32) + 4096;
  fs.writeFileSync(`${dir}/large`, '');
  fs.truncateSync(`${dir}/large`, length);
  const body = async (dir) => {
    const root = new SandboxRoot(dir);
    const codes = [];
    for (const of of [root, root.promises]) {
      try {
        codes.push((await of.readFile('large', { maxBytes: Number.MAX_SAFE_INTEGER })).length);
      } catch ({ code }) {
        codes.push(code);
      }
    }
    return codes;
  };
  const expected = length > constants.MAX_LENGTH ? 'ERR_BUFFER_TOO_LARGE' : length;
  assert.deepStrictEqual(await inChild(t, body, [dir]), [expected, expected]);
});

test('a copy of many files of many names that has no room in memory fails', {
  skip: skip || (!FULL && 'full size only'),
}, async (t) => {
  const dir = tempDir(t, memory);
  const make = `
    const fs = require('node:fs');
    for (let k = 0; k < 60; k += 1) {
      for (const at of ['a/', 'b/']) fs.mkdirSync(at + k, { recursive: true });
      for (let i = 0; i < 12_000; i += 1) {
        fs.closeSync(fs.openSync('a/' + k + '/' + i, 'w'));
        fs.linkSync('a/' + k + '/' + i, 'b/' + k + '/' + i);
      }
    }`;
  execFileSync(process.execPath, ['-e', make], { cwd: dir });
  const body = async (dir) => {
    const root = new SandboxRoot(dir);
    await Promise.all(Array.from({ length: 16 }, () => root.promises.readdir('.')));
    const size = Number(/VmSize:\s+(\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
    const limit = `--as=${size + 60 * 2 ** 20}`;
    require('node:child_process').execFileSync('prlimit', ['--pid', String(process.pid), limit]);
    try {
      root.cp('a', 'copy', { recursive: true });
    } catch ({ code }) {
      return code;
    }
  };
  assert.strictEqual(await inChild(t, body, [dir], QUIET), 'ENOMEM');
});

test('content longer than the longest string fails as with node:fs', async (t) => {
  const { root, at } = sandbox(t, { large: '' }, memory);
  const most = constants.MAX_STRING_LENGTH;
  for (const [encoding, length, ...ways] of [
    ['utf8', most + 1, root, root.promises],
    ['hex', most / 2 + 1, root],
  ]) {
    fs.truncateSync(at('large'), length);
    const nodes = await settled((async () => fs.readFileSync(at('large'), encoding))());
    assert.strictEqual(nodes.error.code, 'ERR_STRING_TOO_LONG');
    for (const of of ways) {
      assert.deepStrictEqual(await settled((async () => of.readFile('large', encoding))()), nodes, encoding);
    }
  }
});
