'use strict';
// rm with recursive: any depth and any width, within 64 descriptors, a small stack and little memory; any
// kind of entry; and, while others work in the same tree, an honest end in bounded time.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { execFileSync, spawnSync } = require('node:child_process');
const { SandboxRoot } = require('..');
const { inChild, start } = require('./child');
const { FULL, progress } = require('./sizes');
const {
  NOBODY,
  codeOf,
  fifo,
  file,
  isRoot,
  link,
  outcome,
  plant,
  removeTree,
  sandbox,
  snapshot,
  tempDir,
  unprivileged,
  bothWays,
  settled,
  wideSandbox,
} = require('./support');

const DEPTH = FULL ? 100_000 : 10_000;
const WIDTH = FULL ? 1_000_000 : 50_000;
/** What a process may have: Node itself has some twenty descriptors, and eight megabytes of stack elsewhere. */
const LIMITS = { n: 64, s: 512 };

/** Where many entries are made and removed quickly. */
function bigTempDir(t) {
  return outcome(() => tempDir(t, '/dev/shm')).value ?? tempDir(t);
}

/** Makes in `dir` one directory in another, `depth` of them, and calls `inside` in each. */
function dig(dir, depth, inside = () => {}) {
  const home = process.cwd();
  const done = progress('levels', depth);
  process.chdir(dir);
  try {
    for (let level = 0; level < depth; level++) {
      inside(level);
      fs.mkdirSync('d');
      process.chdir('d');
      done();
    }
  } finally {
    process.chdir(home);
  }
}

const touch = (at) => fs.closeSync(fs.openSync(at, 'w'));

function spread(dir, width) {
  const done = progress('entries', width);
  for (let i = 0; i < width; i++) {
    touch(`${dir}/${i}`);
    done();
  }
}

/**
 * Removes `name` in `dir`, in a process under the limits. How long it took, how much memory and how many
 * descriptors more it had at its peak.
 */
async function removal(t, dir, name) {
  const body = (dir, name) => {
    const root = new SandboxRoot(dir);
    const status = (field) =>
      Number(RegExp(`^${field}:\\s*(\\d+)`, 'm').exec(fs.readFileSync('/proc/self/status', 'utf8'))[1]) /
      1024;
    // The peak counts from here.
    fs.writeFileSync('/proc/self/clear_refs', '5');
    const before = status('VmRSS');
    console.log('ready');
    const began = performance.now();
    root.rm(name, true);
    return { ms: performance.now() - began, memory: status('VmHWM') - before };
  };
  const child = start(t, body, [dir, name], { limits: LIMITS, timeout: FULL ? 600_000 : 60_000 });
  await child.ready;
  const counts = [];
  const sampler = setInterval(() => {
    const { value } = outcome(() => fs.readdirSync(`/proc/${child.pid}/fd`).length);
    if (value > 0) counts.push(value);
  }, 1);
  const { value } = await child.result.finally(() => clearInterval(sampler));
  assert.ok(!fs.existsSync(path.join(dir, name)));
  return { ...value, fds: Math.max(...counts, 0) };
}

function assertModest({ memory, fds }, most) {
  assert.ok(memory < most, `${memory.toFixed(1)} MiB more at its peak`);
  assert.ok(fds <= 48, `${fds} descriptors`);
}

const perEntry = ({ ms }, entries) => `${((ms * 1000) / entries).toFixed(2)} µs an entry`;

/** Removes what `make` makes in two sizes, and tells the time for one entry of each. */
async function removedInTwoSizes(t, size, make, most) {
  const dir = bigTempDir(t);
  const told = [];
  for (const count of [Math.round(size / 10), size]) {
    fs.mkdirSync(path.join(dir, 'tree'));
    make(path.join(dir, 'tree'), count);
    const result = await removal(t, dir, 'tree');
    assertModest(result, most);
    const { memory, fds } = result;
    told.push(`${count}: ${perEntry(result, count)}, ${memory.toFixed(1)} MiB, ${fds} descriptors`);
  }
  t.diagnostic(told.join('; '));
}

test(`a tree of ${DEPTH} levels is removed`, (t) => removedInTwoSizes(t, DEPTH, dig, FULL ? 48 : 16));

test(`a directory of ${WIDTH} files is removed`, (t) => removedInTwoSizes(t, WIDTH, spread, 4));

test('a tree of many levels with files beside and beneath each is removed', (t) =>
  removedInTwoSizes(
    t,
    DEPTH / 5,
    (dir, depth) =>
      dig(dir, depth, () => {
        touch('a');
        fs.mkdirSync('b');
        touch('b/c');
        touch('z');
      }),
    8,
  ));

test('a directory full of directories that are deeper than descriptors are kept is removed', (t) =>
  removedInTwoSizes(
    t,
    FULL ? 20_000 : 1000,
    (dir, width) => {
      for (let i = 0; i < width; i++)
        fs.mkdirSync(`${dir}/${i}/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18`, { recursive: true });
    },
    8,
  ));

bothWays(
  'a tree with many directories beside each other is removed, and no other name of its files',
  async (t, of) => {
    const { dir, root, at } = wideSandbox(t);
    fs.mkdirSync(at('kept'));
    for (let i = 0; i < 40; i++) fs.linkSync(at('wide', `${i}`, 'b/c/three'), at('kept', `${i}`));
    assert.strictEqual(await of(root).rm('wide', true), undefined);
    assert.deepStrictEqual(fs.readdirSync(dir), ['kept']);
    for (let i = 0; i < 40; i++) {
      assert.strictEqual(fs.readFileSync(at('kept', `${i}`), 'utf8'), `three of ${i}`);
      assert.strictEqual(fs.lstatSync(at('kept', `${i}`)).nlink, 1);
    }
  },
);

bothWays(
  'one of many directories that may not be emptied ends the removal, wherever it is',
  async (t, of) => {
    const left = [];
    for (const i of [0, 0, 0, 10, 20, 30, 39, 39, 39]) {
      const { root, at, order } = wideSandbox(t);
      fs.chmodSync(at('wide', order[i], 'b/c'), 0o500);
      const { error } = await settled(unprivileged(async () => of(root).rm('wide', true)));
      const where = `wide/${order[i]}/b/c/three`;
      assert.deepStrictEqual(
        { code: error?.code, path: error?.path, message: error?.message },
        { code: 'EACCES', path: where, message: `EACCES: permission denied, unlink '${where}'` },
      );
      const names = fs.readdirSync(at('wide'));
      assert.ok(names.includes(order[i]), `${names}`);
      left.push(names.length);
      fs.chmodSync(at('wide', order[i], 'b/c'), 0o700);
      assert.strictEqual(await unprivileged(async () => of(root).rm('wide', true)), undefined);
      assert.ok(!fs.existsSync(at('wide')));
    }
    // Nobody went on, at least where the error came early.
    assert.ok(Math.max(...left) > 20, `${left}`);
  },
);

/** Every kind of entry, and every kind of name. Nothing outside may be touched by removing it. */
async function plantEverything(t, dir, outside) {
  plant(dir, {
    empty: {}, '.hidden': '', '...': {}, '..x': '', '-rf': '', '--': {}, '*': '', '\\': {}, ' ': '', 'new\nline': {},
    'a"b': '', "a'b": '', '\t': '', 'ünï 😀': { 'ünï 😀': '' }, ['x'.repeat(255)]: { ['y'.repeat(255)]: '' },
    forbidden: file('', 0o000), readonly: file('r', 0o444), setuid: file('', 0o6755),
    tooutside: link(outside), tofile: link(`${outside}/file`), up: link('..'), self: link('self'), none: link('nowhere'),
    pipe: fifo(), deep: { er: { still: { fifo: fifo(), up: link('../../..') } } },
  }); // biome-ignore format: a tree
  const bytes = (name) => Buffer.concat([Buffer.from(`${dir}/`), Buffer.from(name)]);
  for (let byte = 1; byte < 256; byte++) {
    if (byte === 0x2e || byte === 0x2f) continue;
    fs.mkdirSync(bytes([byte, 0xff]));
    fs.writeFileSync(bytes([byte, 0xff, 0x2f, 0xc3, 0x28]), '');
  }
  fs.linkSync(`${outside}/file`, `${dir}/second name`);
  fs.truncateSync(`${dir}/readonly`, 2 ** 40);
  const server = net.createServer();
  await new Promise((resolve) => server.listen(`${dir}/socket`, resolve));
  t.after(() => new Promise((resolve) => server.close(resolve)));
  if (isRoot) outcome(() => execFileSync('mknod', [`${dir}/null`, 'c', '1', '3'], { stdio: 'ignore' }));
  fs.mkdirSync(`${dir}/locked`);
  fs.chmodSync(`${dir}/locked`, 0);
}

test('a tree of every kind of entry and name is removed, and nothing it points to', async (t) => {
  const { root, at } = sandbox(t, { outside: { file: 'content', dir: { inner: 'inner' } }, tree: {} });
  const before = snapshot(at('outside'));
  await plantEverything(t, at('tree'), at('outside'));
  assert.strictEqual(root.stat('outside/file').nlink, 2);
  root.rm('tree', true);
  assert.deepStrictEqual(fs.readdirSync(at()), ['outside']);
  assert.deepStrictEqual(snapshot(at('outside')), before);
});

test('names that are not UTF-8 are removed, from the top on', (t) => {
  const { root, at } = sandbox(t);
  const top = Buffer.from([0xff, 0xc3]);
  const inside = (...names) => Buffer.concat([Buffer.from(`${at()}/`), top, ...names]);
  fs.mkdirSync(inside());
  fs.mkdirSync(inside(Buffer.from('/'), top));
  fs.writeFileSync(inside(Buffer.from('/'), top, Buffer.from('/'), Buffer.from([0xfe])), '');
  root.rm(top, true);
  assert.deepStrictEqual(fs.readdirSync(at()), []);
});

/** Trees in which an ordinary user cannot remove something: the modes, and where the obstacle is. */
const deep = (inside, depth) => Array.from({ length: depth }).reduce((tree) => ({ d: tree }), inside);
const OBSTACLES = {
  'a directory that may not be listed': [{ d: { e: { f: '' } } }, 'd/e', 0o000],
  'a directory that may only be passed through': [{ d: { e: { f: '' } } }, 'd/e', 0o100],
  'a directory that may be written and not listed': [{ d: { e: { f: '' } } }, 'd/e', 0o300],
  'a directory that may not be passed through': [{ d: { e: { f: '' } } }, 'd/e', 0o600],
  'a directory that may not be written': [{ d: { e: { f: '' } } }, 'd/e', 0o500],
  'a directory that may not be written, with a directory in it': [{ d: { e: { g: {} } } }, 'd/e', 0o500],
  'a directory that may not be written, with a full one in it': [
    { d: { e: { g: { f: '' } } } },
    'd/e/g',
    0o500,
  ],
  'the top, which may not be listed': [{ d: { f: '' } }, 'd', 0o000],
  'a directory far down': [deep({ e: { f: '' } }, 60), `${'d/'.repeat(60)}e`, 0o500],
};

for (const [what, [tree, obstacle, mode]] of Object.entries(OBSTACLES)) {
  test(`${what} stops the removal, with the error and the path of node:fs`, (t) => {
    const twins = ['ours', 'node'].map((name) => {
      const { dir, at } = sandbox(t);
      plant(dir, tree);
      if (isRoot) execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, dir]);
      fs.chmodSync(at(obstacle), mode);
      if (isRoot) fs.chmodSync(path.dirname(dir), 0o755);
      return { name, dir };
    });
    const [ours, node] = twins.map(({ name, dir }) =>
      unprivileged(() => {
        const root = new SandboxRoot(dir);
        return outcome(() => {
          if (name === 'ours') root.rm('d', true);
          else fs.rmSync(`${dir}/d`, { recursive: true });
        });
      }),
    );
    const relative = (text) => text?.replaceAll(`${twins[1].dir}/`, '');
    const expected = {
      ...node.error,
      path: relative(node.error.path),
      message: relative(node.error.message),
    };
    assert.deepStrictEqual(ours.error, expected);
    assert.ok(ours.error.path.startsWith('d'));
    assert.deepStrictEqual(snapshot(twins[0].dir), snapshot(twins[1].dir));
  });
}

const LEVELS = 2500;

test('the path of an error names the way down, at any depth and with names that are not UTF-8', (t) => {
  const { root, dir, at } = sandbox(t, { top: {} });
  dig(at('top'), LEVELS + 1, (level) => {
    if (level === LEVELS) {
      fs.mkdirSync(Buffer.from([0xff]));
      fs.writeFileSync(Buffer.from([0xff, 0x2f, 0xfe]), '');
    }
  });
  const bottom = `${'d/'.repeat(LEVELS)}\ufffd`;
  if (isRoot) execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, dir]);
  const home = process.cwd();
  process.chdir(at('top'));
  for (let level = 0; level < LEVELS; level++) process.chdir('d');
  fs.chmodSync(Buffer.from([0xff]), 0o500);
  process.chdir(home);
  const { error } = outcome(() => unprivileged(() => root.rm('./top/', true)));
  assert.strictEqual(error?.code, 'EACCES');
  assert.strictEqual(error.path, `./top/${bottom}/\ufffd`);
  assert.strictEqual(error.message, `EACCES: permission denied, unlink '${error.path}'`);
});

/** A command that runs another one where mounts are of no effect elsewhere, and gone when it ends. */
const UNSHARE = ['unshare', isRoot ? '-m' : '-Urm'];
const noMounts =
  spawnSync(UNSHARE[0], [...UNSHARE.slice(1), 'mount', '-t', 'tmpfs', 'none', os.tmpdir()]).status !== 0 &&
  'needs a mount namespace of its own: root, or user namespaces';

for (const where of ['tree/mount', 'tree/a/b/mount', `tree/${'d/'.repeat(40)}mount`, 'tree']) {
  for (const kind of ['tmpfs', 'directory', 'file']) {
    if (where === 'tree' && kind === 'file') continue;
    const title = where.length > 20 ? 'far down in the tree' : `at ${where}`;
    test(`a mounted ${kind} ${title} is EBUSY, and nothing in it is touched`, {
      skip: noMounts,
    }, async (t) => {
      const { dir } = sandbox(t, { outside: { file: 'content', full: { inner: 'inner' }, empty: {} } });
      const body = (dir, where, kind) => {
        const { execFileSync } = require('node:child_process');
        const at = `${dir}/${where}`;
        fs.mkdirSync(kind === 'file' ? path.dirname(at) : at, { recursive: true });
        if (kind === 'file') fs.writeFileSync(at, '');
        const args = {
          tmpfs: ['-t', 'tmpfs', 'none', at],
          directory: ['--bind', `${dir}/outside`, at],
          file: ['--bind', `${dir}/outside/file`, at],
        };
        execFileSync('mount', args[kind]);
        if (kind === 'tmpfs') {
          fs.mkdirSync(`${at}/full`);
          fs.writeFileSync(`${at}/full/inner`, 'inner');
        }
        const list = () => (kind === 'file' ? fs.readFileSync(at, 'utf8') : fs.readdirSync(at).sort().join());
        const before = list();
        const root = new SandboxRoot(dir);
        const failures = [];
        for (let i = 0; i < 2; i++) {
          try {
            root.rm('tree', true, i === 1);
          } catch ({ code, syscall, path, message }) {
            failures.push({ code, syscall, path, message });
          }
        }
        const after = list();
        const inner = kind === 'file' ? 'inner' : fs.readFileSync(`${at}/full/inner`, 'utf8');
        execFileSync('umount', [at]);
        root.rm('tree', true);
        return { before, after, inner, failures };
      };
      const { before, after, inner, failures } = await inChild(t, body, [dir, where, kind], {
        wrap: UNSHARE,
      });
      assert.deepStrictEqual([after, inner], [before, 'inner']);
      const syscall = kind === 'file' ? 'unlink' : 'rmdir';
      const message = `EBUSY: resource busy or locked, ${syscall} '${where}'`;
      const expected = { code: 'EBUSY', syscall, path: where, message };
      assert.deepStrictEqual(failures, [expected, expected]);
      assert.deepStrictEqual(fs.readdirSync(dir), ['outside']);
      assert.deepStrictEqual(Object.keys(snapshot(`${dir}/outside`)), [
        'empty',
        'file',
        'full',
        'full/inner',
      ]);
    });
  }
}

/** A tree with some width and some depth. */
function plantBush(dir, branches = 12) {
  fs.mkdirSync(dir);
  for (let i = 0; i < branches; i++) {
    for (let j = 0; j < branches; j++) {
      fs.mkdirSync(`${dir}/${i}/${j}/x/y`, { recursive: true });
      for (const name of ['1', '2', 'x/3', 'x/y/4']) touch(`${dir}/${i}/${j}/${name}`);
    }
  }
  fs.mkdirSync(`${dir}/deep/${'d/'.repeat(200)}`, { recursive: true });
}

/** Removes `name` in `dir` in a process of its own, and says how that ended and how long it took. */
function startRemoval(t, dir, name, { force = false, from } = {}) {
  const body = (dir, name, force, from) => {
    const root = new SandboxRoot(dir);
    console.log('ready');
    while (from && !fs.existsSync(from));
    const began = performance.now();
    let end = 'success';
    try {
      root.rm(name, true, force);
    } catch ({ code }) {
      end = code;
    }
    return { end, ms: performance.now() - began };
  };
  return start(t, body, [dir, name, force, from ?? null], { limits: LIMITS, timeout: 30_000 });
}

/** How often each end was come to. */
const tally = (ends) => {
  const counts = {};
  for (const end of ends) counts[end] = (counts[end] ?? 0) + 1;
  return JSON.stringify(counts);
};

const ROUNDS = FULL ? 100 : 4;

test('several processes that remove the same tree at once all come to an honest end', async (t) => {
  const dir = bigTempDir(t);
  const ends = [];
  const done = progress('rounds of removing at once', ROUNDS);
  for (let round = 0; round < ROUNDS; round++) {
    plantBush(`${dir}/tree`);
    const from = `${dir}/go`;
    const force = round % 2 === 1;
    const removals = Array.from({ length: 3 }, () => startRemoval(t, dir, 'tree', { force, from }));
    for (const { ready } of removals) await ready;
    touch(from);
    const results = await Promise.all(removals.map(async ({ result }) => (await result).value.end));
    ends.push(...results);
    for (const end of results) assert.ok(['success', 'ENOENT', 'ENOTEMPTY'].includes(end), end);
    assert.ok(results.includes('success'), results.join());
    if (force) assert.deepStrictEqual(results, ['success', 'success', 'success']);
    assert.deepStrictEqual(fs.readdirSync(dir), ['go']);
    fs.unlinkSync(from);
    done();
  }
  t.diagnostic(tally(ends));
});

/** Removes a tree while a process runs `disturb` on it, a few times. How each of them ended. */
async function removedWhile(
  t,
  disturb,
  { rounds = ROUNDS, tree = plantBush, args = [], dir = bigTempDir(t) } = {},
) {
  const ends = [];
  let slowest = 0;
  const done = progress('rounds of removing what others change', rounds);
  for (let round = 0; round < rounds; round++) {
    tree(`${dir}/tree`);
    const others = [0, 1].map((i) => start(t, disturb, [dir, i, ...args], { timeout: 120_000 }));
    for (const { ready } of others) await ready;
    const { value } = await startRemoval(t, dir, 'tree').result;
    ends.push(value.end);
    slowest = Math.max(slowest, value.ms);
    for (const { stop } of others) await stop();
    if (value.end !== 'success') removeTree(`${dir}/tree`);
    done();
  }
  t.diagnostic(`${tally(ends)}, the slowest after ${Math.round(slowest)} ms`);
  return { ends, slowest };
}

for (const base of ['/dev/shm', os.tmpdir()]) {
  test(`a tree in ${base} that others fill meanwhile: the removal ends`, async (t) => {
    const dir = outcome(() => tempDir(t, base)).value;
    if (dir === undefined) return t.skip(`no ${base} here`);
    const filler = (dir, id) => {
      console.log('ready');
      for (let i = 0; ; i++) {
        for (const place of ['tree', 'tree/3', 'tree/3/4', 'tree/deep/d/d']) {
          try {
            fs.closeSync(fs.openSync(`${dir}/${place}/more ${id} ${i}`, 'w'));
          } catch {}
        }
      }
    };
    const { ends, slowest } = await removedWhile(t, filler, { dir, rounds: FULL ? 20 : 2 });
    for (const end of ends) assert.ok(['success', 'ENOTEMPTY'].includes(end), end);
    assert.ok(slowest < 20_000, `${slowest} ms`);
  });
}

test('a directory that others put a few more things into at the last moment is removed all the same', async (t) => {
  const late = (dir, id) => {
    console.log('ready');
    // Wherever in the listing they are: when nearly all of these are gone, it comes to its end.
    let left = Array.from({ length: 25 }, (_, i) => `${dir}/tree/${i * 80 + id}`);
    while (left.length > 1) left = left.filter((at) => fs.existsSync(at));
    // Fewer than the times that a directory is looked at again.
    for (let i = 0; i < 50; i++) {
      try {
        fs.closeSync(fs.openSync(`${dir}/tree/late ${id} ${i}`, 'w'));
      } catch {}
    }
    return null;
  };
  const tree = (at) => {
    fs.mkdirSync(at);
    spread(at, 2000);
  };
  const { ends } = await removedWhile(t, late, { tree, rounds: FULL ? 100 : 5 });
  assert.deepStrictEqual([...new Set(ends)], ['success']);
});

test('names that turn from files into directories and back meanwhile are removed as what they are', async (t) => {
  const flipper = (dir, id, width) => {
    console.log('ready');
    const did = (...actions) => {
      try {
        for (const action of actions) action();
        return true;
      } catch {
        return false;
      }
    };
    for (let i = id; ; i += 7) {
      const at = `${dir}/tree/${i % width}`;
      const write = (at) => () => fs.closeSync(fs.openSync(at, 'wx'));
      const toDirectory = [() => fs.unlinkSync(at), () => fs.mkdirSync(at), write(`${at}/z`)];
      const toFile = [() => fs.unlinkSync(`${at}/z`), () => fs.rmdirSync(at), write(at)];
      did(...toDirectory) || did(...toFile);
    }
  };
  const width = 1000;
  const tree = (at) => {
    fs.mkdirSync(at);
    spread(at, width);
  };
  const { ends } = await removedWhile(t, flipper, { tree, args: [width] });
  for (const end of ends) assert.ok(['success', 'ENOTEMPTY'].includes(end), end);
});

/**
 * A place outside of the tree, deeper than any directory that is moved there was in the tree. A removal
 * that believed `..` would climb as many levels as it had come down: here it stays in what belongs to
 * the test, and does not get to the rest of the machine.
 */
const PLACE = `outside/${'o/'.repeat(60)}`;

function plantOutside(dir) {
  fs.mkdirSync(`${dir}/${PLACE}`, { recursive: true });
  for (let end = PLACE.length - 1; end > 0; end = PLACE.lastIndexOf('/', end - 1)) {
    fs.mkdirSync(`${dir}/${PLACE.slice(0, end)}/empty`);
    fs.writeFileSync(`${dir}/${PLACE.slice(0, end)}/inner`, 'inner');
  }
  return snapshot(`${dir}/outside`);
}

/** All of that place, without what was moved there. */
function outsideNow(dir) {
  for (const id of [0, 1]) removeTree(`${dir}/${PLACE}/moved ${id}`);
  return snapshot(`${dir}/outside`);
}

test('directories that are moved out of the tree and back: the rest is removed, and what is outside stays', async (t) => {
  const mover = (dir, id, place) => {
    console.log('ready');
    const [from, to] = [`${dir}/tree/${'d/'.repeat(5 + 30 * id)}d`, `${dir}/${place}/moved ${id}`];
    for (;;) {
      for (const paths of [
        [from, to],
        [to, from],
      ]) {
        try {
          fs.renameSync(...paths);
        } catch {}
      }
    }
  };
  const dir = bigTempDir(t);
  const before = plantOutside(dir);
  const tree = (at) => {
    fs.mkdirSync(at);
    dig(at, 80, () => {
      for (const name of ['1', '2', '3']) touch(name);
    });
  };
  const { ends } = await removedWhile(t, mover, { dir, tree, rounds: ROUNDS * 2, args: [PLACE] });
  for (const end of ends) assert.ok(['success', 'ENOTEMPTY', 'EBUSY'].includes(end), end);
  assert.deepStrictEqual(outsideNow(dir), before);
});

test('a directory that is moved out while the removal is beneath it does not take the removal along', async (t) => {
  const dir = bigTempDir(t);
  const before = plantOutside(dir);
  const [levels, moved] = [600, 20];
  const body = (dir, place, levels, moved) => {
    console.log('ready');
    const [top, bottom] = [`${dir}/tree/${'d/'.repeat(moved)}d`, `${dir}/tree/${'d/'.repeat(levels)}bottom`];
    while (fs.existsSync(bottom));
    try {
      fs.renameSync(top, `${dir}/${place}/moved 0`);
      return 'moved';
    } catch ({ code }) {
      return code;
    }
  };
  const ends = [];
  for (let round = 0; round < ROUNDS * 3; round++) {
    fs.mkdirSync(`${dir}/tree`);
    dig(`${dir}/tree`, levels);
    touch(`${dir}/tree/${'d/'.repeat(levels)}bottom`);
    const mover = start(t, body, [dir, PLACE, levels, moved]);
    await mover.ready;
    const { end } = (await startRemoval(t, dir, 'tree').result).value;
    ends.push(`${(await mover.result).value}, then ${end}`);
    assert.ok(!fs.existsSync(`${dir}/tree`) || end !== 'success');
    assert.deepStrictEqual(outsideNow(dir), before);
    removeTree(`${dir}/tree`);
  }
  t.diagnostic(tally(ends));
  assert.ok(
    ends.some((end) => end.startsWith('moved')),
    'the directory was moved in time at least once',
  );
});

test('a file or a missing path is removed, or not, as it is without recursive', (t) => {
  const { root, at } = sandbox(t, { file: '', tofile: link('file'), full: { x: '' } });
  root.rm('tofile', true);
  root.rm('file', true, true);
  assert.strictEqual(
    codeOf(() => root.rm('file', true)),
    'ENOENT',
  );
  assert.strictEqual(
    codeOf(() => root.rm('.', true)),
    'EBUSY',
  );
  assert.deepStrictEqual(fs.readdirSync(at()), ['full']);
});
