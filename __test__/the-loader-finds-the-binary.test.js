'use strict';
// Which binary binding.js loads, in which order, and what it says when there is none. It is loaded with the first
// root: who makes none can load the package anywhere.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { tempDir } = require('./support');

const HERE = path.join(__dirname, '..');
const { version } = require('../package.json');
const TARGET = `linux-${process.arch}-${fs.readdirSync(HERE).some((name) => name.endsWith(`${process.arch}-musl.node`)) ? 'musl' : 'gnu'}`;
const BINARY = path.join(HERE, `cocalc_openat2.${TARGET}.node`);

/** The package in an empty folder, without a binary; `run` runs a program that requires it. */
function install(t) {
  const dir = tempDir(t);
  const home = path.join(dir, 'node_modules/@cocalc/openat2');
  fs.mkdirSync(home, { recursive: true });
  for (const name of ['index.js', 'binding.js', 'package.json'])
    fs.copyFileSync(path.join(HERE, name), path.join(home, name));
  fs.mkdirSync(path.join(home, 'lib'));
  for (const name of fs.readdirSync(path.join(HERE, 'lib')).filter((name) => name.endsWith('.js')))
    fs.copyFileSync(path.join(HERE, 'lib', name), path.join(home, 'lib', name));
  const run = (program, { env = {}, args = ['-e'] } = {}) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [...args, program], {
      cwd: dir,
      encoding: 'utf8',
      env: { PATH: process.env.PATH, ...env },
    });
    return { status, stdout, stderr };
  };
  /** Puts the binary, or a text that is none, at `name` in the package. */
  const put = (name, content) => {
    const at = path.join(home, name);
    if (content === undefined) fs.copyFileSync(BINARY, at);
    else fs.writeFileSync(at, content);
  };
  /** Puts the package of the binary beside ours. */
  const packaged = (itsVersion, main) => {
    const at = path.join(dir, `node_modules/@cocalc/openat2-${TARGET}`);
    fs.mkdirSync(at);
    const manifest = { name: `@cocalc/openat2-${TARGET}`, version: itsVersion, main: main ?? 'binary.node' };
    fs.writeFileSync(path.join(at, 'package.json'), JSON.stringify(manifest));
    if (main === undefined) fs.copyFileSync(BINARY, path.join(at, 'binary.node'));
    else fs.writeFileSync(path.join(at, main), "throw new Error('the package was loaded')");
  };
  return { dir, home, run, put, packaged };
}

const WORKS =
  "const { SandboxRoot } = require('@cocalc/openat2'); new SandboxRoot('.').stat('.'); console.log('works')";

function works(result) {
  assert.deepStrictEqual(result, { status: 0, stdout: 'works\n', stderr: '' });
}

test('a local binary of the target is taken first', (t) => {
  const { run, put, packaged } = install(t);
  packaged(version, 'index.js');
  put('cocalc_openat2.node', 'not a binary');
  put(path.basename(BINARY));
  works(run(WORKS));
});

test('then the package of the target', (t) => {
  const { run, put, packaged } = install(t);
  packaged(version);
  put('cocalc_openat2.node', 'not a binary');
  works(run(WORKS));
});

test('then a local binary without a target', (t) => {
  const { run, put } = install(t);
  put('cocalc_openat2.node');
  works(run(WORKS));
});

test('a package of another version is not loaded, and the error says so', (t) => {
  const { run, packaged } = install(t);
  packaged('0.0.1');
  const { status, stderr } = run(WORKS);
  assert.strictEqual(status, 1);
  assert.ok(stderr.includes(`its version is 0.0.1, but @cocalc/openat2 is ${version}`), stderr);
});

test('without a binary one error says what was tried and what to do', (t) => {
  const { run, put } = install(t);
  put(path.basename(BINARY), 'not a binary');
  const { status, stderr } = run(WORKS);
  assert.strictEqual(status, 1);
  const lines = [
    `Error: @cocalc/openat2 found no binary for ${TARGET}. Tried:`,
    `  ./${path.basename(BINARY)}: `,
    `  @cocalc/openat2-${TARGET}: Cannot find module`,
    '  ./cocalc_openat2.node: Cannot find module',
    'Install again with optional dependencies enabled',
    'NAPI_RS_NATIVE_LIBRARY_PATH',
  ];
  for (const line of lines) assert.ok(stderr.includes(line), `${line}\n--- is not in ---\n${stderr}`);
});

/** What is said when the package is loaded, and when a root is made, twice: nothing is half-loaded. */
const SAYS = `
  const { SandboxRoot } = require('@cocalc/openat2');
  const said = [typeof SandboxRoot, typeof SandboxRoot.prototype.stat];
  const call = (action) => {
    try {
      said.push(typeof action());
    } catch (error) {
      said.push(error.code ?? error.message);
    }
  };
  for (let i = 0; i < 2; i++) call(() => new SandboxRoot('.'));
  call(() => new SandboxRoot(1));
  call(() => SandboxRoot.prototype.stat.call({}, '.'));
  console.log(JSON.stringify(said));`;

test('on another platform the package loads, and a root throws which ones there are', (t) => {
  const { run, put } = install(t);
  put('cocalc_openat2.node');
  for (const [platform, arch] of [
    ['darwin', 'arm64'],
    ['win32', 'x64'],
    ['linux', 'riscv64'],
  ]) {
    const { status, stdout, stderr } = run(
      `Object.defineProperty(process, 'platform', { value: '${platform}' }); Object.defineProperty(process, 'arch', { value: '${arch}' }); ${SAYS}`,
    );
    assert.deepStrictEqual([status, stderr], [0, '']);
    const reason = `@cocalc/openat2 does not run on ${platform}-${arch}: it needs Linux (5.6 or newer) on x64 or arm64.`;
    assert.deepStrictEqual(JSON.parse(stdout), [
      ...['function', 'function', reason, reason],
      ...['ERR_INVALID_ARG_TYPE', 'ERR_INVALID_THIS'],
    ]);
  }
});

test('without a binary the package loads, and every root throws what was tried', (t) => {
  const { run } = install(t);
  const { status, stdout, stderr } = run(SAYS);
  assert.deepStrictEqual([status, stderr], [0, '']);
  const [loaded, method, first, second, ...wrong] = JSON.parse(stdout);
  assert.deepStrictEqual([loaded, method], ['function', 'function']);
  assert.deepStrictEqual(wrong, ['ERR_INVALID_ARG_TYPE', 'ERR_INVALID_THIS']);
  for (const said of [first, second]) assert.match(said, /^@cocalc\/openat2 found no binary for /);
});

test('a binary that comes later is found by the next root', (t) => {
  const { dir, run } = install(t);
  const later = `node_modules/@cocalc/openat2/${path.basename(BINARY)}`;
  const program = `
    const { SandboxRoot } = require('@cocalc/openat2');
    try { new SandboxRoot('.'); } catch { require('fs').copyFileSync(${JSON.stringify(BINARY)}, ${JSON.stringify(path.join(dir, later))}); }
    new SandboxRoot('.').stat('.');
    console.log('works');`;
  works(run(program));
});

test('NAPI_RS_NATIVE_LIBRARY_PATH is taken before all, and nothing in its place', (t) => {
  const { dir, run, put } = install(t);
  put('cocalc_openat2.node', 'not a binary');
  works(run(WORKS, { env: { NAPI_RS_NATIVE_LIBRARY_PATH: BINARY } }));
  put('cocalc_openat2.node');
  assert.strictEqual(
    run(WORKS, { env: { NAPI_RS_NATIVE_LIBRARY_PATH: path.join(dir, 'missing.node') } }).status,
    1,
  );
});

test('import { SandboxRoot } works from an ES module', (t) => {
  const { run, put } = install(t);
  put('cocalc_openat2.node');
  works(
    run(
      "import { SandboxRoot } from '@cocalc/openat2'; new SandboxRoot('.').stat('.'); console.log('works')",
      {
        args: ['--input-type=module', '-e'],
      },
    ),
  );
});

test('loading it and making a root leaves nothing that a test runner would report', (t) => {
  const { run, put } = install(t);
  put('cocalc_openat2.node');
  // As Jest does it: what an async resource was made for and is not gone counts as open, unless the
  // resource itself says that it keeps nothing alive.
  works(
    run(`
      process.on('warning', (warning) => { throw warning; });
      const live = new Map();
      require('node:async_hooks').createHook({
        init(id, type, trigger, resource) {
          live.set(id, { type, isOpen: 'hasRef' in resource ? () => resource.hasRef() : () => true });
        },
        destroy(id) { live.delete(id); },
      }).enable();
      const { SandboxRoot } = require('@cocalc/openat2');
      new SandboxRoot('.').stat('.');
      const open = [...live.values()].filter(({ isOpen }) => isOpen()).map(({ type }) => type);
      require('node:fs').writeSync(1, [...open, ...process.getActiveResourcesInfo()].join(' ') || 'works\\n');
    `),
  );
});

test('it can be loaded again in a worker, and in several at once', (t) => {
  const { run, put } = install(t);
  put('cocalc_openat2.node');
  const { stdout, stderr } = run(`
    const { Worker } = require('node:worker_threads');
    require('@cocalc/openat2');
    for (let i = 0; i < 4; i++) new Worker(${JSON.stringify(WORKS)}, { eval: true });`);
  assert.deepStrictEqual([stdout, stderr], ['works\n'.repeat(4), '']);
});
