'use strict';
// `npm run test:memory`: builds the binary with AddressSanitizer, and runs the tests that strain the binding with it.
// An access to memory that is not, or no longer, ours ends the process that made it, and the test fails.

const path = require('node:path');
const { execFileSync, spawnSync } = require('node:child_process');
const { copyFileSync, existsSync } = require('node:fs');
const { nodeOf } = require('../nodes');

const TOP = path.join(__dirname, '..');
const TARGET = path.join(TOP, 'target/asan');
const BINARY = path.join(TARGET, 'openat2.node');

const FILES = [
  'arguments-that-change-while-they-are-read',
  'closing-releases-the-root',
  'hooks-may-call-again',
  'methods-belong-to-their-root',
  'nothing-stays-open-for-a-test-runner',
  'patched-built-ins-weaken-nothing',
  'programs-clean-up-as-they-exit',
  'promises-do-the-same',
  'signals-are-checked-first',
  'terminated-workers-leave-nothing-open',
  'the-binary-survives-nonsense',
  'work-can-be-stopped-and-watched',
  'workers-come-and-go',
];

/** Builds the addon. A stable toolchain has the sanitizer only with `RUSTC_BOOTSTRAP=1`. */
function build() {
  const triple = `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-unknown-linux-gnu`;
  const env = {
    ...process.env,
    RUSTC_BOOTSTRAP: '1',
    RUSTFLAGS: '-Zsanitizer=address',
    CARGO_TARGET_DIR: TARGET,
  };
  const args = ['build', '--release', '--features', 'node', '--lib', '--target', triple];
  args.push('--config', 'profile.release.strip="none"', '--config', 'profile.release.lto="off"');
  execFileSync('cargo', args, { cwd: TOP, env, stdio: 'inherit' });
  copyFileSync(path.join(TARGET, triple, 'release/libcocalc_openat2.so'), BINARY);
}

build();
const runtime = execFileSync('gcc', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim();
if (!existsSync(runtime)) throw new Error('needs libasan, which comes with gcc');
const env = {
  ...process.env,
  LD_PRELOAD: runtime,
  // V8 leaves what it has when it ends.
  ASAN_OPTIONS: 'detect_leaks=0',
  NAPI_RS_NATIVE_LIBRARY_PATH: BINARY,
};
for (const major of [20, 26]) {
  const node = nodeOf(major);
  if (node === undefined) {
    console.error(`Node ${major} is not here: npm run setup:nodes`);
    process.exitCode = 1;
    continue;
  }
  const files = FILES.map((name) => path.join(__dirname, `${name}.test.js`));
  const { status } = spawnSync(node, ['--test', '--test-concurrency=1', ...files], { env, stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}
