'use strict';
// A program as it is written for @cocalc/openat2 0.1.1: positional arguments, fifteen methods, and
// the habits that production code has. The test of the package runs it from the packed tarballs.

const assert = require('node:assert');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { SandboxRoot } = require('@cocalc/openat2');

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'program-'));
const read = (name) => fs.readFileSync(path.join(dir, name), 'utf8');
const parsed = (error) => /^([A-Z][A-Z0-9_]+):\s*(.*)$/.exec(error.message)?.[1];

try {
  const root = new SandboxRoot(dir);
  root.mkdir('a/b', true, 0o755);
  root.mkdir('plain');
  const fd = root.openWrite('a/b/file', true, true, false, 0o644);
  fs.writeSync(fd, 'hello world');
  fs.closeSync(fd);
  const input = root.openRead('a/b/file');
  assert.strictEqual(fs.readFileSync(input, 'utf8'), 'hello world');
  fs.closeSync(input);
  root.copyFile('a/b/file', 'copy', 0o644);
  root.link('copy', 'second');
  root.symlink('copy', 'pointer');
  root.chmod('copy', 0o600);
  root.truncate('copy', 5);
  root.utimes('copy', 1_000_000_000, 2_000_000_000);
  const { size, mode, nlink, mtimeNs } = root.stat('copy');
  assert.deepStrictEqual([size, mode & 0o777, nlink, mtimeNs], [5, 0o600, 2, 2_000_000_000]);
  root.rename('second', 'moved');
  assert.throws(
    () => root.renameNoReplace('moved', 'copy'),
    (error) => parsed(error) === 'EEXIST',
  );
  root.renameNoReplace('moved', 'plain/moved');
  assert.strictEqual(read('plain/moved'), 'hello');
  root.unlink('pointer');
  root.rm('plain', true, false);
  root.rm('nothing', false, true);
  root.mkdir('empty');
  root.rmdir('empty');
  assert.throws(
    () => root.stat('../etc'),
    (error) => parsed(error) === 'EACCES',
  );
  assert.throws(
    () => root.stat('nothing'),
    (error) => parsed(error) === 'ENOENT',
  );
  assert.deepStrictEqual(fs.readdirSync(dir).sort(), ['a', 'copy']);

  // Test suites replace methods, on the prototype and on instances.
  const { unlink } = SandboxRoot.prototype;
  SandboxRoot.prototype.unlink = () => 'replaced';
  assert.strictEqual(root.unlink('copy'), 'replaced');
  SandboxRoot.prototype.unlink = unlink;
  root.stat = () => ({ size: -1 });
  assert.strictEqual(root.stat('copy').size, -1);
  console.log('all fifteen methods work');
} finally {
  fs.rmSync(dir, { recursive: true });
}
