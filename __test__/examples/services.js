'use strict';
// The examples for services: other programs in a directory, Git, an agent's tool, a root for each user, errors, mocks.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { execFileSync, spawnSync } = require('node:child_process');
const { SandboxRoot } = require('../..');
const agentTool = require('../../examples/agent-tool.js');
const gitStatus = require('../../examples/git-status.js');
const { ACTIONS, BY_CODE, BY_REASON, adviceOn } = require('../../examples/handle-errors.js');
const rootPerUser = require('../../examples/root-per-user.js');
const runInDirectory = require('../../examples/run-in-directory.js');
const { EXAMPLES, openBeneath, printedBy, trying } = require('./world.js');
const { fifo, isRoot, NOBODY, plant, tempDir } = require('../support.js');

// ---- run-in-directory.js

trying(
  'run-in-directory.js starts a program in the directory that was found',
  async ({ root, dir, at, t }) => {
    plant(dir, { work: { here: '' } });
    assert.strictEqual((await runInDirectory(root, 'work', 'ls')).stdout, 'here\n');
    assert.strictEqual((await runInDirectory(root, '.', 'pwd')).stdout, `${dir}\n`);
    // What a shell would make of an argument.
    assert.strictEqual(
      (await runInDirectory(root, 'work', 'echo', ['$(id)', '; ls'])).stdout,
      '$(id) ; ls\n',
    );
    await assert.rejects(runInDirectory(root, 'work', 'sh', ['-c', 'echo why >&2; exit 3']), {
      code: 3,
      stderr: 'why\n',
    });
    // Where this process was started.
    await assert.rejects(runInDirectory(root, 'work', 'printenv', ['PWD']), { code: 1 });
    await assert.rejects(runInDirectory(root, 'work', 'no-such-program'), { code: 'ENOENT' });
    const signal = AbortSignal.timeout(50);
    await assert.rejects(runInDirectory(root, 'work', 'sleep', ['60'], { signal }), { code: 'ABORT_ERR' });

    // The directory is replaced by a link once it was found.
    const { hostPath } = root.promises;
    t.mock.method(root.promises, 'hostPath', async (name) => {
      const there = await hostPath.call(root.promises, name);
      fs.renameSync(at('work'), at('moved'));
      fs.symlinkSync('../outside', at('work'));
      return there;
    });
    assert.strictEqual((await runInDirectory(root, 'work', 'ls')).stdout, 'here\n');
    t.mock.restoreAll();
    const refused = {
      out: 'ELOOP',
      'out/sub': 'ELOOP',
      work: 'ELOOP',
      '../outside': 'EACCES',
      '/etc': 'EACCES',
      no: 'ENOENT',
    };
    for (const [name, code] of Object.entries(refused))
      await assert.rejects(runInDirectory(root, name, 'ls'), { code, syscall: 'open' }, name);
  },
);

test('run-in-directory.js is a program', (t) => {
  const dir = tempDir(t);
  plant(dir, { work: { here: '' } });
  assert.strictEqual(printedBy('run-in-directory.js', [dir, 'work', 'ls', '-1']), 'here\n');
});

// ---- git-status.js

const withoutGit = spawnSync('git', ['--version']).status !== 0 && 'needs git';
const git = (cwd, ...args) =>
  execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=b', ...args], { cwd });

/** A repository with one file of each state. */
function plantRepository(dir) {
  fs.mkdirSync(dir);
  git(dir, 'init', '-q');
  plant(dir, { same: 'same', changed: 'old', gone: 'gone', renamed: 'a longer text' });
  git(dir, 'add', '.');
  git(dir, 'commit', '-qm', 'one');
  plant(dir, { changed: 'new', 'new "name"\n': 'new' });
  fs.rmSync(path.join(dir, 'gone'));
  git(dir, 'mv', 'renamed', 'other');
}

const STATUS = [
  { state: ' D', path: 'gone' },
  { state: ' M', path: 'changed' },
  { state: '??', path: 'new "name"\n' },
  { state: 'A ', path: 'other' },
  { state: 'D ', path: 'renamed' },
];
const statusOf = async (root, name) =>
  (await gitStatus(root, name)).sort((a, b) => (a.state + a.path < b.state + b.path ? -1 : 1));

trying('git-status.js tells what is changed', { skip: withoutGit }, async ({ root, base, at }) => {
  plantRepository(at('repository'));
  assert.deepStrictEqual(await statusOf(root, 'repository'), STATUS);
  // At once, and not when garbage is collected.
  assert.strictEqual(openBeneath(base).length, 1);
  assert.match(printedBy('git-status.js', [at(), 'repository']), /^ M changed$/m);
  const env = { ...process.env, GIT_DIR: '/nowhere', GIT_INDEX_FILE: '/nowhere' };
  assert.match(printedBy('git-status.js', [at(), 'repository'], { env }), /^ M changed$/m);
});

trying('git-status.js is not led elsewhere', { skip: withoutGit }, async ({ root, base, dir, at, t }) => {
  plantRepository(at('repository'));
  const elsewhere = path.join(base, 'elsewhere');
  plantRepository(elsewhere);
  fs.writeFileSync(path.join(elsewhere, 'only here'), '');
  git(elsewhere, 'add', 'only here');

  // A repository above the directory, even above the root.
  plant(dir, { plain: { in: '' } });
  git(base, 'init', '-q');
  await assert.rejects(gitStatus(root, 'plain'), { code: 'ENOENT' });
  fs.rmSync(path.join(base, '.git'), { recursive: true });

  // A link, and a file that names another directory.
  fs.symlinkSync('../../elsewhere/.git', at('plain/.git'));
  await assert.rejects(gitStatus(root, 'plain'), { code: 'ELOOP', reason: 'symlink' });
  fs.rmSync(at('plain/.git'));
  fs.writeFileSync(at('plain/.git'), `gitdir: ${elsewhere}/.git\n`);
  await assert.rejects(gitStatus(root, 'plain'), { code: 'ENOTDIR' });
  fs.symlinkSync('../elsewhere', at('link'));
  await assert.rejects(gitStatus(root, 'link'), { code: 'ELOOP', reason: 'symlink' });
  await assert.rejects(gitStatus(root, '../elsewhere'), { code: 'EACCES', reason: 'outside' });

  // A configuration that names another tree, and a command.
  git(at('repository'), 'config', 'core.worktree', elsewhere);
  fs.writeFileSync(path.join(base, 'run'), `#!/bin/sh\ntouch ${base}/ran\n`, { mode: 0o755 });
  git(at('repository'), 'config', 'core.fsmonitor', path.join(base, 'run'));
  fs.writeFileSync(at('repository/.git/hooks/post-index-change'), `#!/bin/sh\ntouch ${base}/ran\n`, {
    mode: 0o755,
  });
  fs.writeFileSync(path.join(elsewhere, 'hidden'), '');
  assert.deepStrictEqual(await statusOf(root, 'repository'), STATUS);
  assert.ok(!fs.existsSync(path.join(base, 'ran')));

  // Both are replaced once they were found.
  const promises = Object.getPrototypeOf(root.promises);
  const original = promises.openRead;
  t.mock.method(promises, 'openRead', async function (name) {
    const fd = await original.call(this, name);
    fs.renameSync(at('repository'), at('moved'));
    fs.symlinkSync('../elsewhere', at('repository'));
    fs.renameSync(at('moved/.git'), at('moved/git'));
    fs.symlinkSync('../../elsewhere/.git', at('moved/.git'));
    return fd;
  });
  const raced = await statusOf(root, 'repository');
  t.mock.restoreAll();
  assert.deepStrictEqual(
    raced.filter(({ path }) => !path.startsWith('git') && path !== '.git'),
    STATUS,
  );
});

trying(
  'git-status.js obeys no repository of others',
  { skip: withoutGit || (!isRoot && 'needs root') },
  async ({ root, at }) => {
    plantRepository(at('repository'));
    fs.chownSync(at('repository/.git'), NOBODY, NOBODY);
    await assert.rejects(gitStatus(root, 'repository'), /belongs to somebody else/);
  },
);

// ---- agent-tool.js

trying('agent-tool.js reads, writes, edits, lists and deletes', async ({ root, dir, at }) => {
  plant(dir, { a: 'one two two', dir: { b: '' }, binary: '' });
  fs.writeFileSync(at('binary'), Buffer.from([0x66, 0xff, 0x6f]));
  const tool = agentTool(root, { maxBytes: 1000, maxEntries: 4 });
  const ask = (name, input) => tool({ name, input });

  const { content, version } = await ask('read', { path: 'a' });
  assert.strictEqual(content, 'one two two');
  assert.deepStrictEqual(await ask('write', { path: 'a', content: 'three', version }), { written: 'a' });
  const outdated = await ask('write', { path: 'a', content: 'four', version });
  assert.match(outdated.error, /changed since you read it/);
  assert.match((await ask('write', { path: 'a', content: 'four' })).error, /there already/);
  assert.match((await ask('write', { path: 'a', content: 'four', version: null })).error, /there already/);
  assert.match((await ask('write', { path: 'a', content: 'four', version: 'x' })).error, /version/);
  assert.match((await ask('write', { path: 'gone', content: 'four', version })).error, /changed since/);
  assert.strictEqual(root.readFile('a', 'utf8'), 'three');
  assert.deepStrictEqual(await ask('write', { path: 'new/dir/c', content: '\ufeff$& two two' }), {
    written: 'new/dir/c',
  });

  const edit = (before, after) => ask('edit', { path: 'new/dir/c', before, after });
  assert.match((await edit('two', 'x')).error, /once/);
  assert.match((await edit('three', 'x')).error, /once/);
  assert.match((await edit('', 'x')).error, /once/);
  assert.match((await edit(' two two', undefined)).error, /must be/);
  assert.deepStrictEqual(await edit(' two two', ' $& $1'), { written: 'new/dir/c' });
  assert.strictEqual(root.readFile('new/dir/c', 'utf8'), '\ufeff$& $& $1');

  const { total, entries } = await ask('list', { path: '.' });
  assert.deepStrictEqual([total, entries.length], [6, 4]);
  const listed = await ask('list', { path: 'dir' });
  assert.deepStrictEqual(listed, { total: 1, entries: [{ name: 'b', type: 'file' }] });
  assert.deepStrictEqual(await ask('delete', { path: 'dir/b' }), { deleted: 'dir/b' });
  assert.deepStrictEqual(await ask('delete', { path: 'dir' }), { deleted: 'dir' });
  assert.match((await ask('delete', { path: 'new' })).error, /not empty/);
  // A link is deleted itself.
  assert.deepStrictEqual(await ask('delete', { path: 'out' }), { deleted: 'out' });
});

trying('agent-tool.js says what is wrong in a sentence', async ({ root, dir, at }) => {
  plant(dir, { a: 'a', dir: {}, fifo: fifo() });
  fs.writeFileSync(at('binary'), Buffer.from([0x66, 0xff, 0x6f]));
  fs.writeFileSync(at('large'), 'x'.repeat(1001));
  const tool = agentTool(root, { maxBytes: 1000 });
  const edit = { before: 'secret', after: 'x' };
  const cases = [
    ['read', { path: '../outside/secret' }, /leads out of the workspace/],
    ['read', { path: '/etc/passwd' }, /leads out of the workspace/],
    ['read', { path: 'secret' }, /symbolic link/],
    ['read', { path: 'out/secret' }, /symbolic link/],
    ['read', { path: 'missing' }, /Nothing is there/],
    ['read', { path: 'dir' }, /This is a directory/],
    ['read', { path: 'a/b' }, /^ENOTDIR: not a directory/],
    ['read', { path: 'fifo' }, /a pipe/],
    ['read', { path: 'binary' }, /not text/],
    ['read', { path: 'large' }, /too large/],
    ['read', { path: 'a\0b' }, /null bytes/],
    ['read', {}, /must be/],
    ['read', undefined, /must be/],
    ['read', { path: 5 }, /must be/],
    ['write', { path: 'out/new', content: 'x' }, /symbolic link/],
    ['write', { path: 'a/new', content: 'x' }, /^ENOTDIR: not a directory/],
    ['write', { path: 'secret', content: 'x' }, /there already/],
    ['write', { path: '../new', content: 'x' }, /leads out of the workspace/],
    ['write', { path: 'dir', content: 'x' }, /there already|This is a directory/],
    ['write', { path: 'new' }, /must be/],
    ['write', { path: 'new', content: 5 }, /must be/],
    ['edit', { path: 'secret', ...edit }, /symbolic link/],
    ['edit', { path: 'out/secret', ...edit }, /symbolic link/],
    ['list', { path: 'out' }, /symbolic link/],
    ['list', { path: '..' }, /leads out of the workspace/],
    ['delete', { path: 'out/secret' }, /symbolic link/],
    ['delete', { path: '../outside/secret' }, /leads out of the workspace/],
    ['delete', { path: '.' }, /EBUSY/],
    ['chmod', { path: 'a' }, /no such tool/],
    ['constructor', { path: 'a' }, /no such tool/],
    ['__proto__', { path: 'a' }, /no such tool/],
  ];
  for (const [name, input, expected] of cases) {
    const answer = await tool({ name, input });
    assert.deepStrictEqual(Object.keys(answer), ['error'], `${name} ${JSON.stringify(input)}`);
    assert.match(answer.error, expected);
    assert.doesNotMatch(answer.error, /\n|secret\b.*secret/);
  }
  const closed = new SandboxRoot(dir, { readonly: true });
  const readonly = agentTool(closed);
  assert.match(
    (await readonly({ name: 'write', input: { path: 'new', content: 'x' } })).error,
    /^EROFS: read-only/,
  );
  closed.close();
  assert.match((await readonly({ name: 'read', input: { path: 'a' } })).error, /^EBADF/);
});

trying('agent-tool.js never replaces what the model has not read', async ({ root, dir, t }) => {
  plant(dir, { a: 'old' });
  const tool = agentTool(root);
  // Somebody writes between the version and the content, and between the content and the edit.
  for (const method of ['readFile', 'writeFile']) {
    const original = root.promises[method];
    t.mock.method(root.promises, method, async (...args) => {
      t.mock.restoreAll();
      root.writeFile('a', 'the old one, changed by somebody', { atomic: true });
      return original.apply(root.promises, args);
    });
    const input = { path: 'a', before: 'old', after: 'new' };
    assert.match((await tool({ name: 'edit', input })).error, /changed since/);
    assert.strictEqual(root.readFile('a', 'utf8'), 'the old one, changed by somebody');
  }
});

test('agent-tool.js is a program', (t) => {
  const cwd = tempDir(t);
  plant(cwd, { a: 'text' });
  const input = JSON.stringify({ name: 'list', input: { path: '.' } });
  assert.match(printedBy('agent-tool.js', [], { cwd, input }), /name: 'a', type: 'file'/);
});

// ---- root-per-user.js

trying('root-per-user.js keeps one root for each user', async ({ root, dir, at }) => {
  plant(dir, { alice: { a: 'a', inner: {} }, bob: { b: 'b' }, 'carol-1': {} });
  const roots = rootPerUser(root, { max: 2, symlinks: 'reject', readonly: true });
  const alice = roots.of('alice');
  assert.strictEqual(roots.of('alice'), alice);
  assert.deepStrictEqual(alice.readdir('.').sort(), ['a', 'inner']);
  assert.throws(() => alice.writeFile('new', ''), { reason: 'readonly' });
  assert.throws(() => alice.readFile('../bob/b'), { reason: 'outside' });
  assert.notStrictEqual(roots.of('bob'), alice);

  // Each of these is another directory than that of one user.
  for (const name of [
    '.',
    '..',
    '',
    'alice/inner',
    'alice/',
    './alice',
    '/etc',
    'a\0',
    'a\nb',
    'alice\n',
    'x'.repeat(65),
  ])
    assert.throws(() => roots.of(name), { code: 'ENOENT' }, JSON.stringify(name));
  assert.throws(() => roots.of('out'), { reason: 'symlink' });
  for (const name of ['dave', '__proto__', 'constructor'])
    assert.throws(() => roots.of(name), { code: 'ENOENT' });
  for (const name of [undefined, null, ['alice']]) assert.throws(() => roots.of(name), TypeError);

  // The one that was asked for longest ago falls out, and works for whoever has it.
  roots.of('alice');
  const bob = roots.of('bob');
  roots.of('alice');
  const carol = roots.of('carol-1');
  assert.strictEqual(bob.readFile('b', 'utf8'), 'b');
  assert.strictEqual(roots.of('alice'), alice);
  assert.strictEqual(roots.of('carol-1'), carol);
  const again = roots.of('bob');
  assert.notStrictEqual(again, bob);

  // One that was closed, and one whose directory was removed and made anew.
  again.close();
  assert.strictEqual(roots.of('bob').closed, false);
  fs.rmSync(at('carol-1'), { recursive: true });
  assert.throws(() => roots.of('carol-1'), { code: 'ENOENT' });
  fs.mkdirSync(at('carol-1'));
  roots.of('carol-1').readdir('.');

  roots.close();
  for (const each of [bob, alice, carol]) each.close();
});

// ---- handle-errors.js

trying('handle-errors.js knows every reason and every code that is documented', ({ root, dir }) => {
  const text = (name) => fs.readFileSync(path.join(__dirname, '../..', name), 'utf8');
  const [, reasons] = /export type ErrorReason =\n(.*?);/s.exec(text('index.d.ts'));
  assert.deepStrictEqual(
    Array.from(reasons.matchAll(/'([\w-]+)'/g), ([, reason]) => reason).sort(),
    Object.keys(BY_REASON).sort(),
  );
  const [errors] = /^## Errors$.*?^## Requirements$/ms.exec(text('README.md'));
  const codes = new Set(`${errors}${text('index.d.ts')}`.match(/`(E[A-Z0-9]{3,}|ERR_\w+|ABORT_ERR)`/g));
  assert.ok(codes.size > 25);
  assert.deepStrictEqual(
    [...codes].map((code) => code.slice(1, -1)).filter((code) => !Object.hasOwn(BY_CODE, code)),
    [],
  );
  for (const action of [...Object.values(BY_CODE), ...Object.values(BY_REASON)])
    assert.ok(ACTIONS[action], action);

  const actionOf = (call) => {
    try {
      call();
      return undefined;
    } catch (error) {
      return adviceOn(error).action;
    }
  };
  root.symlink('loop', 'loop');
  root.mkdir('full/of', true);
  const closed = root.openRoot('.');
  closed.close();
  const inRoot = new SandboxRoot(dir, { symlinks: 'in-root' });
  const cases = {
    refuse: [() => root.readFile('secret'), () => root.readFile('../x'), () => root.readFile('/etc/passwd')],
    correct: [
      () => root.stat('n'.repeat(300)),
      () => root.stat('a\0'),
      () => inRoot.stat('loop'),
      () => root.cp('full', 'full/of/x', { recursive: true }),
    ],
    create: [() => root.stat('missing')],
    decide: [
      () => root.mkdir('full'),
      () => root.rmdir('full'),
      () => root.rm('.', true),
      () => root.unlink('full'),
    ],
    stop: [() => root.stat('.', { signal: AbortSignal.abort() })],
    reopen: [() => closed.stat('.')],
    fix: [() => root.chmod('full', '644'), () => root.truncate('full', -1), () => root.stat.call({}, 'full')],
    shrink: [() => root.writeFile('long', 'x'.repeat(9)) ?? root.readFile('long', { maxBytes: 8 })],
  };
  for (const [action, calls] of Object.entries(cases))
    for (const call of calls) assert.deepStrictEqual([`${call}`, actionOf(call)], [`${call}`, action]);
  inRoot.close();
  root.unlink('loop');
  assert.strictEqual(adviceOn(new Error('of something else')).action, 'report');
  assert.strictEqual(adviceOn({ code: 'constructor', reason: '__proto__' }).action, 'report');
});

// ---- mock-a-root.js

test('mock-a-root.js is a test that passes', (t) => {
  const program = path.join(EXAMPLES, 'mock-a-root.js');
  // A runner that runs in a runner says nothing to its terminal.
  const { NODE_TEST_CONTEXT, ...env } = process.env;
  const { status, stdout } = spawnSync(process.execPath, ['--test', program], {
    encoding: 'utf8',
    env: { ...env, TMPDIR: tempDir(t) },
  });
  assert.strictEqual(status, 0, stdout);
  assert.match(stdout, /pass 3\b/);
});
