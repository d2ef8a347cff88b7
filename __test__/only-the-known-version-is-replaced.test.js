'use strict';
// stat with version, and writeFile with ifMatch: only what the caller has read is replaced, and nothing that others
// write in between is lost.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { once } = require('node:events');
const { spawn, spawnSync } = require('node:child_process');
const { SandboxRoot } = require('..');
const { start } = require('./child');
const { atAnyPace, attacked } = require('./races/slow');
const { FULL } = require('./sizes');
const {
  NOBODY,
  POLICIES,
  bothWays,
  codeOfPromise,
  file,
  isRoot,
  link,
  memory,
  sandbox,
  settled,
  snapshot,
  unprivileged,
} = require('./support');
const { withoutAttaching } = require('./syscalls/strace');

const read = (at) => fs.readFileSync(at, 'utf8');

for (const symlinks of POLICIES) {
  bothWays(`the version that was read is replaced, and no other, under '${symlinks}'`, async (t, of) => {
    const { dir, at } = sandbox(t, { file: file('one', 0o640), tofile: link('file'), dir: {} });
    const root = new SandboxRoot(dir, { symlinks });
    const versionOf = async (name) => (await of(root).lstat(name, { version: true })).version;
    const write = (name, data, ifMatch, more) =>
      of(root).writeFile(name, data, { atomic: true, ifMatch, ...more });
    const one = await versionOf('file');
    assert.strictEqual(await write('file', 'two', one), undefined);
    assert.deepStrictEqual(
      [read(at('file')), (fs.statSync(at('file')).mode & 0o777).toString(8)],
      ['two', '640'],
    );
    const { error } = await settled(write('file', 'three', one));
    assert.deepStrictEqual([error.code, error.syscall, error.path], ['ESTALE', 'open', 'file']);
    assert.match(error.message, /^ESTALE: .* \(the file is not that version\), open 'file'$/);
    await write('file', 'three', await versionOf('file'), { flush: true, mode: 0o600 });
    assert.strictEqual(read(at('file')), 'three');

    const changes = {
      written: () => fs.appendFileSync(at('file'), 'x'),
      'of the same length': () => root.utimes('file', 1n, 2n),
      'another mode': () => fs.chmodSync(at('file'), 0o644),
      replaced: () => fs.renameSync(at('other'), at('file')),
      gone: () => fs.unlinkSync(at('file')),
    };
    for (const [what, change] of Object.entries(changes)) {
      fs.writeFileSync(at('other'), 'other');
      const version = await versionOf('file');
      change();
      const before = snapshot(dir);
      assert.strictEqual(await codeOfPromise(write('file', 'x', version)), 'ESTALE', what);
      assert.deepStrictEqual(snapshot(dir), before, what);
    }
    // A symlink has a version of its own, and is replaced itself.
    await write('tofile', 'in place', await versionOf('tofile'));
    assert.ok(fs.lstatSync(at('tofile')).isFile());
    assert.strictEqual(await codeOfPromise(write('dir', 'x', await versionOf('dir'))), 'EISDIR');
    assert.deepStrictEqual(fs.readdirSync(dir).sort(), ['dir', 'other', 'tofile']);
  });
}

bothWays('the version comes with what stat gives anyhow', async (t, of) => {
  const { dir, root } = sandbox(t, { file: 'x', tofile: link('file') });
  const following = new SandboxRoot(dir, { symlinks: 'beneath' });
  for (const bigint of [false, true])
    for (const method of ['stat', 'lstat']) {
      root.utimes('file', 1n, -5n);
      const { version, ...rest } = await of(root)[method]('file', { bigint, version: true });
      assert.match(version, /^[0-9a-f]+(-[0-9a-f]+){6}$/);
      assert.deepStrictEqual(rest, await of(root)[method]('file', { bigint }));
      const missing = await of(root)[method]('missing', { version: true, throwIfNoEntry: false });
      assert.strictEqual(missing, undefined);
    }
  const through = (await of(following).stat('tofile', { version: true })).version;
  assert.strictEqual(through, root.stat('file', { version: true }).version);
  assert.notStrictEqual(through, root.lstat('tofile', { version: true }).version);
  assert.strictEqual('version' in (await of(root).stat('file')), false);
});

bothWays('what is no version, or no condition, is refused', async (t, of) => {
  const { dir, root } = sandbox(t, { file: 'x' });
  const before = snapshot(dir);
  const { version } = root.lstat('file', { version: true });
  for (const [options, code] of [
    [{ atomic: true, ifMatch: undefined }, 'ERR_INVALID_ARG_TYPE'],
    [{ atomic: true, ifMatch: null }, 'ERR_INVALID_ARG_TYPE'],
    [{ atomic: true, ifMatch: 1n }, 'ERR_INVALID_ARG_TYPE'],
    [{ atomic: true, ifMatch: '' }, 'ERR_INVALID_ARG_VALUE'],
    [{ atomic: true, ifMatch: `${version}-0` }, 'ERR_INVALID_ARG_VALUE'],
    [{ ifMatch: version }, 'ERR_INVALID_ARG_VALUE'],
    [{ atomic: true, ifMatch: version, flag: 'wx' }, 'ERR_INVALID_ARG_VALUE'],
  ])
    assert.strictEqual(await codeOfPromise(of(root).writeFile('file', 'y', options)), code);
  assert.strictEqual(await codeOfPromise(of(root).appendFile('file', 'y', { ifMatch: version })), 'ERR_INVALID_ARG_VALUE');
  assert.strictEqual(await codeOfPromise(of(root).stat('file', { version: 1 })), 'ERR_INVALID_ARG_TYPE');
  assert.deepStrictEqual(snapshot(dir), before);
}); // biome-ignore format: a table

bothWays('of writers who count, none overwrites what another has counted', async (t, of) => {
  // In memory every file has an inode number of its own.
  const { dir, root, at } = sandbox(t, { count: '0' }, memory);
  const ROUNDS = FULL ? 5000 : 400;
  const count = (dir, rounds) => {
    const root = new SandboxRoot(dir);
    console.log('ready');
    let refused = 0;
    for (let done = 0; done < rounds; ) {
      const { version } = root.lstat('count', { version: true });
      const next = `${Number(root.readFile('count', 'utf8')) + 1}`;
      try {
        root.writeFile('count', next, { atomic: true, ifMatch: version });
        done += 1;
      } catch (error) {
        if (error.code !== 'ESTALE') throw error;
        refused += 1;
      }
    }
    return refused;
  };
  const other = start(t, count, [dir, ROUNDS]);
  await other.ready;
  let refused = 0;
  for (let done = 0; done < ROUNDS; ) {
    const { version } = await of(root).lstat('count', { version: true });
    const next = `${Number(await of(root).readFile('count', 'utf8')) + 1}`;
    const { error } = await settled(of(root).writeFile('count', next, { atomic: true, ifMatch: version }));
    if (error === undefined) done += 1;
    else {
      assert.strictEqual(error.code, 'ESTALE');
      refused += 1;
    }
  }
  const { value } = await other.result;
  t.diagnostic(`${refused} and ${value} refused`);
  assert.strictEqual(read(at('count')), `${2 * ROUNDS}`);
  assert.deepStrictEqual(fs.readdirSync(dir), ['count']);
});

test('what somebody writes without a condition is never lost', async (t) => {
  const { dir, root, at } = sandbox(t, { file: '0' }, memory);
  const writer = start(
    t,
    async (dir, rounds) => {
      const root = new SandboxRoot(dir);
      console.log('ready');
      const lost = [];
      for (let i = 1; i <= rounds; i++) {
        root.writeFile('file', `${i}`, { atomic: true });
        // It is there, or what was written by whoever had read it; soon, if not at once.
        const isThere = () => root.readFile('file', 'utf8').split(' ')[0] === `${i}`;
        for (let tries = 0; !isThere(); tries++) {
          if (tries === 200) {
            lost.push(`${i}: ${root.readFile('file', 'utf8')}`);
            break;
          }
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      }
      return lost;
    },
    [dir, FULL ? 50_000 : 5000],
  );
  await writer.ready;
  let over = false;
  writer.result.finally(() => {
    over = true;
  });
  const codes = {};
  while (!over) {
    for (let i = 0; i < 50; i++) {
      const { version } = root.lstat('file', { version: true });
      const [first] = root.readFile('file', 'utf8').split(' ');
      let code = 'written';
      try {
        root.writeFile('file', `${first} mine`, { atomic: true, ifMatch: version });
      } catch (error) {
        code = error.code;
      }
      codes[code] = (codes[code] ?? 0) + 1;
    }
    await new Promise(setImmediate);
  }
  const { value: lost } = await writer.result;
  t.diagnostic(JSON.stringify(codes));
  assert.deepStrictEqual(lost, []);
  assert.deepStrictEqual(Object.keys(codes).sort(), ['ESTALE', 'written']);
  assert.deepStrictEqual(fs.readdirSync(dir), ['file']);
  assert.match(read(at('file')), /^\d+( mine)?$/);
});

/** What is in a directory: the content of each name, and of each hidden one in a list. */
function contents(dir) {
  const names = fs.readdirSync(dir).map((name) => [name, read(path.join(dir, name))]);
  const isHidden = ([name]) => name.startsWith('.');
  return { ...Object.fromEntries(names.filter((entry) => !isHidden(entry))), hidden: names.filter(isHidden) };
}

/**
 * Has `x` written conditionally while another process, once the new file has a hidden name, exchanges `x` and `y`, and
 * does `then(root)` when `x` is the new file. What is there afterwards, and the error.
 */
async function disturbed(t, faults, then) {
  const { dir, root } = sandbox(t, { x: 'first x', y: 'first y', z: 'first z', away: {} }, memory);
  const { version } = root.lstat('x', { version: true });
  const attack = `(dir) => {
    const root = new SandboxRoot(dir);
    until(() => hidden(dir, exists));
    // It has compared the file by then.
    rest(20);
    root.exchange('x', 'y');
    until(() => root.readFile('x', 'utf8') === 'new');
    (${then})(root, rest);
  }`;
  let error;
  await attacked(t, faults, attack, [dir], () => {
    try {
      root.writeFile('x', 'new', { atomic: true, ifMatch: version });
    } catch (thrown) {
      error = thrown;
    }
  });
  fs.rmSync(path.join(dir, 'away'), { recursive: true });
  return { error, ...contents(dir) };
}

const cannotAttach = withoutAttaching();

for (const [when, faults, pause] of [
  ['before it is compared', ['renameat2:delay_enter=100000:delay_exit=100000'], 0],
  ['before it is withdrawn', ['renameat2:delay_enter=100000'], 20],
])
  test(`a new file that others move elsewhere ${when} takes nobody's file along`, {
    skip: cannotAttach,
  }, async (t) => {
    await atAnyPace(async () => {
      const then = `(root, rest) => { rest(${pause}); root.exchange('x', 'z'); }`;
      const { error, hidden, ...rest } = await disturbed(t, faults, then);
      assert.deepStrictEqual([error?.code, error?.reason], ['ESTALE', 'version']);
      assert.deepStrictEqual(rest, { x: 'first z', y: 'first x', z: 'new' });
      // It has no name that is known: that of the new file was for it.
      assert.deepStrictEqual(hidden, [[error.entries?.[0], 'first y']]);
    });
  });

test('a file whose place the new one lost gets a name that is free', { skip: cannotAttach }, async (t) => {
  await atAnyPace(async () => {
    const then = `(root) => root.rename('x', 'w')`;
    const faults = ['renameat2:delay_enter=100000:delay_exit=100000'];
    const { error, ...rest } = await disturbed(t, faults, then);
    assert.deepStrictEqual([error?.code, error?.entries], ['ESTALE', undefined]);
    assert.deepStrictEqual(rest, { x: 'first y', y: 'first x', z: 'first z', w: 'new', hidden: [] });
  });
});

test('what replaced the new file replaces what had its name', { skip: cannotAttach }, async (t) => {
  await atAnyPace(async () => {
    const then = `(root) => root.rename('z', 'x')`;
    const faults = ['renameat2:delay_enter=100000:delay_exit=100000'];
    const { error, ...rest } = await disturbed(t, faults, then);
    assert.deepStrictEqual([error?.code, error?.entries], ['ESTALE', undefined]);
    assert.deepStrictEqual(rest, { x: 'first z', y: 'first x', hidden: [] });
  });
});

test('what others wrote to a new file that is withdrawn stays', { skip: cannotAttach }, async (t) => {
  await atAnyPace(async () => {
    const then = `(root) => root.appendFile('x', ' and more')`;
    const faults = ['renameat2:delay_enter=100000:delay_exit=100000'];
    const { error, hidden, ...rest } = await disturbed(t, faults, then);
    assert.strictEqual(error?.code, 'ESTALE');
    assert.deepStrictEqual(rest, { x: 'first y', y: 'first x', z: 'first z' });
    assert.deepStrictEqual(hidden, [[error.entries?.[0], 'new and more']]);
  });
});

const skip = spawnSync('flock', ['--version']).status !== 0 && 'needs flock';

/** Has the directory locked by somebody who may read it; `release(ms)` ends that so many milliseconds later. */
async function locked(t, dir, ms) {
  const args = ['sh', '-c', `echo held; read line; sleep ${ms / 1000}`];
  const holder = spawn('flock', ['--no-fork', dir, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => holder.kill('SIGKILL'));
  await once(holder.stdout, 'data');
  const released = once(holder, 'exit');
  return () => {
    holder.stdin.end('\n');
    return released;
  };
}

bothWays(
  'who holds the lock of the directory makes conditional writes fail, and lose nothing',
  { skip },
  async (t, of) => {
    const { dir, root, at } = sandbox(t, { file: 'content', sub: { file: 'content' } }, memory);
    const release = await locked(t, dir, 0);
    const before = snapshot(dir);
    const { version } = root.lstat('file', { version: true });
    const write = (more) => of(root).writeFile('file', 'new', { atomic: true, ifMatch: version, ...more });
    for (const more of [{}, { flush: true }]) {
      const { error } = await settled((async () => write(more))());
      assert.deepStrictEqual([error.code, error.reason, error.path], ['EAGAIN', 'locked', 'file']);
      assert.match(error.message, /^EAGAIN: .* \(another conditional write is under way\), open 'file'$/);
      assert.deepStrictEqual(snapshot(dir), before);
    }
    const parts = root.promises.writeFile('file', ['a', 'part'], { atomic: true, ifMatch: version });
    assert.strictEqual((await settled(parts)).error.code, 'EAGAIN');
    assert.deepStrictEqual(snapshot(dir), before);
    // Nothing else heeds the lock, and other directories have their own.
    const below = root.lstat('sub/file', { version: true }).version;
    await of(root).writeFile('sub/file', 'new', { atomic: true, ifMatch: below });
    await release();
    await write();
    assert.strictEqual(read(at('file')), 'new');
    await of(root).writeFile('file', 'newer', { atomic: true });
  },
);

bothWays('a lock that is given up soon is waited for', { skip }, async (t, of) => {
  const { dir, root, at } = sandbox(t, { file: 'content' }, memory);
  const release = await locked(t, dir, 300);
  const { version } = root.lstat('file', { version: true });
  const released = release();
  await of(root).writeFile('file', 'new', { atomic: true, ifMatch: version });
  assert.strictEqual(read(at('file')), 'new');
  await released;
});

bothWays('in a directory that may not be read, a conditional write is EACCES', async (t, of) => {
  const { dir, root, at } = sandbox(t, { sub: { file: 'content' } }, memory);
  if (isRoot)
    for (const name of [path.dirname(dir), dir, at('sub'), at('sub/file')])
      fs.chownSync(name, NOBODY, NOBODY);
  const { version } = root.lstat('sub/file', { version: true });
  fs.chmodSync(at('sub'), 0o300);
  const write = (data, options) => {
    const call = () => of(root).writeFile('sub/file', data, { atomic: true, ...options });
    return settled(unprivileged(async () => call()));
  };
  const { error } = await write('new', { ifMatch: version });
  assert.deepStrictEqual([error?.code, error?.reason], ['EACCES', undefined]);
  assert.strictEqual(read(at('sub/file')), 'content');
  assert.strictEqual((await write('other', {})).error, undefined);
  fs.chmodSync(at('sub'), 0o700);
  assert.deepStrictEqual(fs.readdirSync(at('sub')), ['file']);
});
