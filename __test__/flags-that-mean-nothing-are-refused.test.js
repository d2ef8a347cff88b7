'use strict';
// Numeric flags with which a file cannot be written are refused before anything is looked up: the
// kernel drops others beside them, and what was to be made new would be whatever is there.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('..');
const { O_PATH, POLICIES, bothWays, codeOf, link, outcome, plant, snapshot, tempDir } = require('./support');

const { O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_RDWR, O_TRUNC, O_WRONLY } = fs.constants;
/** Node does not know it. */
const O_TMPFILE = 0o20000000 | O_DIRECTORY;

const MEANINGLESS = { O_PATH, O_DIRECTORY, O_TMPFILE };
const BESIDE = { nothing: 0, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND };
/** Every one of them beside others, alone and with `O_CREAT|O_EXCL`. */
const FLAGS = Object.entries(MEANINGLESS).flatMap(([name, flag]) =>
  Object.entries(BESIDE).flatMap(([other, more]) => [
    [`${name} and ${other}`, flag | more],
    [`${name} and ${other}, new`, flag | more | O_CREAT | O_EXCL],
  ]),
);

/** A root, and outside of it what its symlinks lead to. */
function scene(t, options) {
  const base = tempDir(t);
  plant(base, { root: {}, secret: 'secret', directory: {} });
  const dir = path.join(base, 'root');
  plant(dir, {
    file: 'content',
    dir: { inner: 'inner' },
    toFile: link('../secret'),
    toDirectory: link('../directory'),
    toNothing: link('../nothing'),
    inside: link('file'),
  });
  return { base, root: new SandboxRoot(dir, options) };
}

const PATHS = ['file', 'dir', 'toFile', 'toDirectory', 'toNothing', 'inside', 'new', 'dir/new', 'missing/x'];
const OPTIONS = [{}, { atomic: true }];

for (const symlinks of POLICIES) {
  bothWays(
    `writing with a flag that means nothing for it is refused, and touches nothing: '${symlinks}'`,
    async (t, of) => {
      const { base, root } = scene(t, { symlinks });
      const before = snapshot(base);
      for (const [what, flag] of FLAGS) {
        for (const at of PATHS) {
          for (const [method, options] of [
            ...OPTIONS.map((more) => ['writeFile', { flag, ...more }]),
            ['appendFile', { flag }],
          ]) {
            const says = `${method} of ${at} with ${what}: ${JSON.stringify(options)}`;
            await assert.rejects(
              async () => of(root)[method](at, 'written', options),
              { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' },
              says,
            );
          }
        }
        assert.deepStrictEqual(snapshot(base), before, what);
      }
    },
  );
}

test('such a flag is refused as an argument: whatever the root allows, and when it is closed', (t) => {
  const { root } = scene(t, { readonly: true });
  const write = () => outcome(() => root.writeFile('../x', 'written', { flag: O_PATH | O_CREAT | O_EXCL }));
  assert.strictEqual(write().error.code, 'ERR_INVALID_ARG_VALUE');
  root.close();
  assert.strictEqual(write().error.code, 'ERR_INVALID_ARG_VALUE');
});

test('one write in two flags tells nothing of where a symlink at its path leads', (t) => {
  const { root } = scene(t);
  for (const flag of [O_PATH | O_CREAT | O_EXCL, O_DIRECTORY | O_WRONLY, O_CREAT | O_EXCL | O_WRONLY]) {
    const [first, ...others] = ['toFile', 'toDirectory', 'toNothing'].map((at) =>
      codeOf(() => root.writeFile(at, 'written', { flag })),
    );
    for (const code of others) assert.strictEqual(code, first, `flag ${flag.toString(8)}`);
  }
});

bothWays('a file that is there survives a write that is to make it', async (t, of) => {
  const { base, root } = scene(t);
  for (const flag of [0, O_PATH, O_WRONLY, O_RDWR].map((flag) => flag | O_CREAT | O_EXCL)) {
    await assert.rejects(async () => of(root).writeFile('file', 'written', { flag }));
    assert.strictEqual(fs.readFileSync(path.join(base, 'root/file'), 'utf8'), 'content');
  }
});

bothWays('a file that is made for reading only is not left behind', async (t, of) => {
  const { base, root } = scene(t);
  await assert.rejects(async () => of(root).writeFile('new', 'written', { flag: O_CREAT | O_EXCL }), {
    code: 'EBADF',
  });
  assert.strictEqual(fs.existsSync(path.join(base, 'root/new')), false);
});

bothWays('open with O_PATH opens what is there, whatever else is asked, as Linux does', async (t, of) => {
  const { base, root } = scene(t);
  const before = snapshot(base);
  for (const more of [0, O_CREAT, O_CREAT | O_EXCL, O_TRUNC, O_CREAT | O_EXCL | O_TRUNC | O_RDWR]) {
    for (const at of ['file', 'dir', 'new', 'missing/x']) {
      const theirs = outcome(() => describe(fs.openSync(path.join(base, 'root', at), O_PATH | more, 0o600)));
      const call = async () => describe(await of(root).open(at, O_PATH | more, 0o600));
      const ours = await call().then(
        (value) => ({ value }),
        (error) => ({ error }),
      );
      assert.deepStrictEqual([ours.value, ours.error?.code], [theirs.value, theirs.error?.code], at);
    }
    for (const at of ['toFile', 'toDirectory', 'toNothing'])
      await assert.rejects(async () => of(root).open(at, O_PATH | more), { code: 'ELOOP' });
  }
  assert.deepStrictEqual(snapshot(base), before);
});

/** Which file it is that was opened; and closes it. */
function describe(fd) {
  const { dev, ino } = fs.fstatSync(fd);
  fs.closeSync(fd);
  return { dev, ino };
}
