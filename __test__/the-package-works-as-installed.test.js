'use strict';
// The packed tarballs in an empty folder: a program that was written for 0.1.1 runs unchanged.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { tempDir } = require('./support');

const HERE = path.join(__dirname, '..');
const BINARY = fs.readdirSync(HERE).find((name) => /^cocalc_openat2\..*\.node$/.test(name));
const TARGET = BINARY.split('.')[1];

/** The scripts of the package, without the types that they are checked with. */
const LIB = fs
  .readdirSync(path.join(HERE, 'lib'), { recursive: true })
  .filter((name) => name.endsWith('.js'))
  .map((name) => `lib/${name}`)
  .sort();

const run = (command, args, options) =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], ...options });

/** Packs the folder `from` into `to`; the path of the tarball and the names in it. */
function pack(from, to) {
  const [{ filename, files }] = JSON.parse(
    run('npm', ['pack', '--json', '--pack-destination', to], { cwd: from }),
  );
  return { tarball: path.join(to, filename), files: files.map((entry) => entry.path).sort() };
}

test('a program that uses the 0.1.1 surface runs from the tarballs, offline, in an empty folder', (t) => {
  const dir = tempDir(t);
  const binaryPackage = path.join(dir, 'binary-package');
  fs.cpSync(path.join(HERE, 'npm', TARGET), binaryPackage, {
    recursive: true,
    filter: (from) => !from.includes('node_modules'),
  });
  fs.copyFileSync(path.join(HERE, BINARY), path.join(binaryPackage, BINARY));

  const ours = pack(HERE, dir);
  const theirs = pack(binaryPackage, dir);
  assert.deepStrictEqual(ours.files, [
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'SECURITY.md',
    'binding.js',
    'fs.d.ts',
    'fs.js',
    'index.d.ts',
    'index.js',
    ...LIB,
    'package.json',
  ]);
  assert.ok(LIB.includes('lib/root.js'));
  assert.deepStrictEqual(theirs.files, ['README.md', BINARY, 'package.json'].sort());

  const app = path.join(dir, 'app');
  fs.mkdirSync(app);
  fs.writeFileSync(path.join(app, 'package.json'), '{ "name": "app", "private": true }');
  run('npm', ['install', '--offline', '--no-audit', '--no-fund', ours.tarball, theirs.tarball], { cwd: app });
  fs.copyFileSync(path.join(__dirname, 'program-for-0.1.1.js'), path.join(app, 'program.js'));
  assert.strictEqual(run(process.execPath, ['program.js'], { cwd: app }), 'all fifteen methods work\n');
});

test('all packages have one version, and each package of a binary names its file and its platform', () => {
  const main = require('../package.json');
  const targets = ['linux-arm64-gnu', 'linux-arm64-musl', 'linux-x64-gnu', 'linux-x64-musl'];
  assert.deepStrictEqual(
    Object.keys(main.optionalDependencies),
    targets.map((target) => `@cocalc/openat2-${target}`),
  );
  assert.match(
    fs.readFileSync(path.join(HERE, 'Cargo.toml'), 'utf8'),
    new RegExp(`^version = "${main.version}"$`, 'm'),
  );
  for (const target of targets) {
    const manifest = JSON.parse(fs.readFileSync(path.join(HERE, 'npm', target, 'package.json'), 'utf8'));
    const [os, cpu, libc] = target.split('-');
    assert.strictEqual(main.optionalDependencies[manifest.name], main.version);
    assert.strictEqual(manifest.version, main.version);
    assert.deepStrictEqual([manifest.main], manifest.files);
    assert.strictEqual(manifest.main, `cocalc_openat2.${target}.node`);
    assert.deepStrictEqual(
      [manifest.os, manifest.cpu, manifest.libc],
      [[os], [cpu], [libc === 'gnu' ? 'glibc' : 'musl']],
    );
  }
});
