'use strict';
// A method without its root fails: it does not take some other object for one. It can be replaced all the same, as
// those who test programs do.

const test = require('node:test');
const assert = require('node:assert');
const { SandboxRoot } = require('..');
const { codeOf, codeOfPromise, methods, sandbox } = require('./support');

test('a method of a root, detached or on anything else, fails with ERR_INVALID_THIS', (t) => {
  const { root } = sandbox(t, { x: 'x' });
  const others = [undefined, null, 1, 'x', {}, [], () => {}, SandboxRoot, SandboxRoot.prototype];
  others.push(Object.create(root), Object.create(SandboxRoot.prototype), new Proxy(root, {}), root.promises);
  others.push({ ...root }, structuredClone({}), Object.assign({ __proto__: SandboxRoot.prototype }, root));
  for (const name of [...methods, 'close', 'walk', 'isAt']) {
    const method = root[name];
    assert.strictEqual(
      codeOf(() => method('x')),
      'ERR_INVALID_THIS',
      name,
    );
    for (const other of others)
      assert.strictEqual(
        codeOf(() => method.call(other, 'x')),
        'ERR_INVALID_THIS',
        name,
      );
  }
  for (const name of ['promises', 'closed', 'deleted', 'identity']) {
    const { get } = Object.getOwnPropertyDescriptor(SandboxRoot.prototype, name);
    // Whoever mocks the class asks it for the methods of the promises.
    for (const other of others.filter((other) => name !== 'promises' || other !== SandboxRoot.prototype))
      assert.strictEqual(
        codeOf(() => get.call(other)),
        'ERR_INVALID_THIS',
        name,
      );
  }
  assert.strictEqual(root.stat('x').size, 1);
});

test('a method of promises, detached or on anything else, is rejected with ERR_INVALID_THIS', async (t) => {
  const { root } = sandbox(t, { x: 'x' });
  const { promises } = root;
  const others = [
    undefined,
    null,
    1,
    {},
    Object.create(promises),
    new Proxy(promises, {}),
    root,
    SandboxRoot,
  ];
  for (const name of methods) {
    const method = promises[name];
    assert.strictEqual(await codeOfPromise(method('x')), 'ERR_INVALID_THIS', name);
    for (const other of others) {
      assert.strictEqual(await codeOfPromise(method.call(other, 'x')), 'ERR_INVALID_THIS', name);
    }
  }
});

test('a method is called on the promises of another root: it is about that root', async (t) => {
  const one = sandbox(t, { x: 'one' }).root;
  const other = sandbox(t, { x: 'the other' }).root;
  const { readFile } = one.promises;
  assert.strictEqual(await readFile.call(other.promises, 'x', 'utf8'), 'the other');
  assert.strictEqual(one.readFile.call(other, 'x', 'utf8'), 'the other');
  // Nobody makes promises of what is no root.
  const Promises = one.promises.constructor;
  assert.strictEqual(await codeOfPromise(new Promises({}).readFile('x')), 'ERR_INVALID_THIS');
});

test('methods can be replaced, on the class, on a root and on its promises', async (t) => {
  const { root } = sandbox(t, { x: 'x' });
  const { promises } = root;
  assert.strictEqual(root.promises, promises);
  for (const [owner, object] of [
    [SandboxRoot.prototype, root],
    [root, root],
    [Object.getPrototypeOf(promises), promises],
    [promises, promises],
  ]) {
    for (const name of methods) {
      const real = object[name];
      const { mock } = t.mock.method(owner, name, () => 'mocked');
      assert.strictEqual(object[name]('x'), 'mocked', name);
      assert.strictEqual(mock.calls.length ?? mock.callCount(), 1);
      mock.restore();
      assert.strictEqual(object[name], real);
    }
    // Those that look on: the method is called as ever.
    const { mock } = t.mock.method(owner, 'readFile');
    assert.strictEqual(await object.readFile('x', 'utf8'), 'x');
    mock.restore();
  }
  for (const owner of [SandboxRoot.prototype, Object.getPrototypeOf(promises)]) {
    for (const name of methods) {
      const { writable, configurable } = Object.getOwnPropertyDescriptor(owner, name);
      assert.deepStrictEqual([writable, configurable], [true, true], name);
    }
  }
  for (const object of [root, promises]) {
    object.stat = () => 'assigned';
    assert.strictEqual(object.stat('x'), 'assigned');
    delete object.stat;
    assert.strictEqual((await object.stat('x')).size, 1);
  }
});
