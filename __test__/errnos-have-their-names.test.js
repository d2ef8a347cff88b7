'use strict';
// Every errno that Linux has, seen to come out of a method: a filter answers mkdir with its mode.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const os = require('node:os');
const { getSystemErrorMap } = require('node:util');
const { SandboxRoot } = require('..');
const { inChild } = require('./child');
const { tempDir, tool } = require('./support');

const LAST = 133;
/** Numbers that Linux has skipped. */
const UNUSED = [41, 58];

/** What both sides say of each errno. Runs under the filter. */
function everyErrno(dir) {
  const root = new SandboxRoot(dir);
  const errorOf = (action) => {
    try {
      action();
    } catch ({ code, errno, syscall, path, message }) {
      return { code, errno, syscall, path, message: message.replaceAll(`${dir}/`, '') };
    }
    return 'no error';
  };
  return Array.from({ length: 133 }, (_, i) => i + 1).map((errno) => ({
    errno,
    ours: errorOf(() => root.mkdir('x', false, errno)),
    // libuv repeats a call that was interrupted, here for ever.
    node: errno === 4 ? null : errorOf(() => fs.mkdirSync(`${dir}/x`, { mode: errno })),
  }));
}

/** The names of the kernel's own header, where it is installed; else those that Node has. */
function namesOfTheKernel() {
  const names = new Map();
  for (const name of ['errno-base.h', 'errno.h']) {
    const header = `/usr/include/asm-generic/${name}`;
    if (!fs.existsSync(header))
      return new Map(Object.entries(os.constants.errno).map(([name, n]) => [n, name]));
    for (const [, name, number] of fs.readFileSync(header, 'utf8').matchAll(/^#define\s+(E\w+)\s+(\d+)/gm))
      names.set(Number(number), name);
  }
  return names;
}

test('every errno comes out under its own name, with the wording of libuv where it has one', async (t) => {
  const dir = tempDir(t);
  const wrap = [tool('seccomp'), '--mkdir-mode-is-errno', '--'];
  const results = await inChild(t, everyErrno, [dir], { wrap });
  assert.deepStrictEqual(
    results.map(({ errno }) => errno),
    Array.from({ length: LAST }, (_, i) => i + 1),
  );

  const known = getSystemErrorMap();
  const names = namesOfTheKernel();
  let [alike, unknown] = [0, 0];
  for (const { errno, ours, node } of results) {
    const ofLibuv = known.get(-errno);
    if (ofLibuv !== undefined) {
      const [code, wording] = ofLibuv;
      const expected = {
        code,
        errno: -errno,
        syscall: 'mkdir',
        path: 'x',
        message: `${code}: ${wording}, mkdir 'x'`,
      };
      assert.deepStrictEqual({ ...ours }, expected);
      if (node !== null) assert.deepStrictEqual({ ...ours, path: node.path }, { ...node, path: `${dir}/x` });
      alike += 1;
      continue;
    }
    // Node has no name for it: "Unknown system error -41", or "UNKNOWN" before Node 20.
    assert.match(node.code, /^(Unknown system error|UNKNOWN)/);
    assert.deepStrictEqual([ours.errno, ours.syscall, ours.path], [-errno, 'mkdir', 'x']);
    const [, code, wording] = /^([A-Z][A-Z0-9]+): (.*), mkdir 'x'$/.exec(ours.message);
    assert.strictEqual(ours.code, code);
    if (UNUSED.includes(errno)) assert.strictEqual(code, `E${errno}`);
    else if (names.has(errno)) assert.strictEqual(code, names.get(errno));
    assert.doesNotMatch(code, /^(EIO|EUNKNOWN)$/);
    assert.ok(wording.length > 0 && (UNUSED.includes(errno) || !/unknown/i.test(wording)), ours.message);
    unknown += 1;
  }
  const codes = new Set(results.map(({ ours }) => ours.code));
  assert.strictEqual(codes.size, LAST, 'no two of them share a name');
  t.diagnostic(`${alike} are as in Node, ${unknown} are unknown to Node`);
  assert.ok(alike > 60 && alike + unknown === LAST);
  assert.deepStrictEqual(fs.readdirSync(dir), []);
});
