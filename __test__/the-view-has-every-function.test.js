'use strict';
// Whoever spreads the view over `node:fs` has no function of the real one left: a library that does so never gets a
// call that leaves the root, and what the view cannot do says so.

const assert = require('node:assert');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { createFs } = require('../fs');
const { onOtherNodes } = require('./other-nodes');
const { SandboxRoot } = require('..');
const { tempDir } = require('./support');

/** Functions of Node that take descriptors alone, and classes that open nothing. */
const NODES_OWN = new Set(
  ['close', 'fchmod', 'fchown', 'fdatasync', 'fstat', 'fsync', 'ftruncate', 'futimes']
    .concat(['read', 'readv', 'write', 'writev'])
    .flatMap((name) => [name, `${name}Sync`])
    .concat(['Dirent', 'Stats', '_toUnixTimestamp']),
);

/** What the view refuses. */
const REFUSED = ['Utf8Stream', 'openAsBlob', 'openAsBlobSync', 'unwatchFile', 'watchFile'];

/** The functions in `all` that are those of `real`. */
const leftOf = (real, all) =>
  Object.keys(real).filter((key) => typeof real[key] === 'function' && all[key] === real[key]);

test('no function of node:fs is left in a spread but those that take descriptors alone', (t) => {
  const view = createFs(tempDir(t));
  const spread = { ...fs, ...view };
  assert.deepStrictEqual(
    leftOf(fs, spread).filter((name) => !NODES_OWN.has(name)),
    [],
  );
  assert.deepStrictEqual(leftOf(fs.promises, { ...fs.promises, ...spread.promises }), []);
});

test('every key is an own, enumerable, writable value of a plain object', (t) => {
  const view = createFs(tempDir(t));
  for (const [object, real] of [
    [view, fs],
    [view.promises, fs.promises],
  ]) {
    assert.strictEqual(Object.getPrototypeOf(object), Object.prototype);
    for (const key of Object.keys(real)) {
      const { value, enumerable, writable } = Object.getOwnPropertyDescriptor(object, key);
      assert.ok(enumerable && writable, key);
      assert.strictEqual(typeof value, typeof real[key], key);
    }
  }
});

test('no function needs a this', async (t) => {
  const dir = tempDir(t);
  fs.writeFileSync(path.join(dir, 'file'), 'x');
  const { readFileSync, readFile, promises, createReadStream, existsSync } = createFs(dir);
  const { readFile: promised } = promises;
  assert.strictEqual(readFileSync('/file', 'utf8'), 'x');
  assert.strictEqual(await promised('/file', 'utf8'), 'x');
  assert.strictEqual(
    await new Promise((resolve) => readFile('/file', 'utf8', (_, text) => resolve(text))),
    'x',
  );
  assert.ok(existsSync('/file'));
  for await (const chunk of createReadStream('/file', 'utf8')) assert.strictEqual(chunk, 'x');
});

test('what is not supported says so, by name', (t) => {
  const view = createFs(tempDir(t));
  const refused = Object.keys(view).filter(
    (name) => typeof view[name] === 'function' && view[name].name === 'refuse',
  );
  assert.deepStrictEqual(refused.sort(), REFUSED.filter((name) => name in fs).sort());
  for (const name of refused) {
    const expected = { code: 'ERR_METHOD_NOT_IMPLEMENTED', message: new RegExp(`fs\\.${name}\\b`) };
    assert.throws(() => view[name]('/file'), expected);
    assert.throws(() => new view[name]('/file'), expected);
  }
});

test('a promise of what is not supported is rejected', async (t) => {
  const { promises } = createFs(tempDir(t));
  await assert.rejects(promises.lchmod('/file', 0), { code: 'ERR_METHOD_NOT_IMPLEMENTED' });
});

test('the streams of the view can be made with new and without, and are those of Node', async (t) => {
  const dir = tempDir(t);
  fs.writeFileSync(path.join(dir, 'file'), 'x');
  const view = createFs(dir);
  for (const made of [
    new view.ReadStream('/file'),
    view.ReadStream('/file'),
    view.createReadStream('/file'),
    new view.createReadStream('/file'),
  ]) {
    assert.ok(made instanceof fs.ReadStream);
    assert.ok(made instanceof view.ReadStream);
    assert.strictEqual(Object.getPrototypeOf(made), fs.ReadStream.prototype);
    made.resume();
    await once(made, 'close');
  }
  const written = new view.WriteStream('/new');
  assert.ok(written instanceof fs.WriteStream);
  written.end();
  await once(written, 'close');
});

test('a view is made of a path with the options of a root, or of a root', (t) => {
  const dir = tempDir(t);
  fs.symlinkSync('file', path.join(dir, 'link'));
  fs.writeFileSync(path.join(dir, 'file'), 'x');
  assert.throws(() => createFs(dir).readFileSync('/link'), { code: 'ELOOP' });
  assert.strictEqual(createFs(dir, { symlinks: 'in-root' }).readFileSync('/link', 'utf8'), 'x');
  assert.throws(() => createFs(dir, { readonly: true }).writeFileSync('/file', ''), { code: 'EROFS' });
  const root = new SandboxRoot(dir, { symlinks: 'beneath' });
  assert.strictEqual(createFs(root).readFileSync('/link', 'utf8'), 'x');
  assert.throws(() => createFs(root, {}), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => createFs(dir, { symlink: 'in-root' }), { code: 'ERR_INVALID_ARG_VALUE' });
  root.close();
  assert.throws(() => createFs(root).readFileSync('/link'), { code: 'EBADF' });
});

onOtherNodes(__filename);
