'use strict';
// Two attackers are locked into the sandbox by chroot(2): nothing can be moved out of it, so there is no
// excuse. They exchange directories, files and symlinks at every level of the paths, and each moves about
// what the other is at. Meanwhile every method is called on those paths, over and over.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('..');
const { privately, run } = require('./mounts');
const { Attack } = require('./races/attack');
const { Outside, contents, idOf } = require('./races/outside');
const { usualWay } = require('./races/usual-way');
const { FULL, progress } = require('./sizes');
const { callsApart, callsWithPath, link, methods, plant, tempDir } = require('./support');

const test = privately(__filename);

const INSIDE = 'what is inside';
const SECRET = 'what is outside, and none of your business';
/** A name that nobody makes inside. */
const SECRET_NAME = 'only-outside';

/** How many calls a policy gets at least, and how long it may take until all was seen, in milliseconds. */
const SIZE = { calls: FULL ? 98_000 : 4000, patience: FULL ? 600_000 : 60_000 };
/** After so many calls what they removed is planted again. */
const SEASON = 40;
const LEVELS = 2;

/** The same at each level: directories, files, and symlinks to the same place outside, or beside it. */
function level(base, depth = 0) {
  const up = '../'.repeat(depth + 1);
  return {
    file: INSIDE,
    d: depth < LEVELS ? level(base, depth + 1) : { file: INSIDE },
    e: depth < LEVELS ? level(base, depth + 1) : { file: INSIDE },
    empty: {},
    absolute: link(`${base}/outside`),
    upwards: link(`${up}outside`),
    tofile: link(`${up}outside/file`),
    beside: link('d'),
  };
}
const levelOutside = (depth = 0) => ({
  file: SECRET,
  [SECRET_NAME]: SECRET,
  empty: {},
  ...(depth <= LEVELS && { d: levelOutside(depth + 1), e: levelOutside(depth + 1) }),
});

const FOLDERS = ['', 'd/', 'e/', 'd/d/', 'd/e/', 'e/d/'];
/** What the two attackers exchange. */
const PAIRS = [
  FOLDERS.flatMap((at) => [
    [`${at}d`, `${at}absolute`],
    [`${at}file`, `${at}tofile`],
    [`${at}e`, `${at}upwards`],
  ]),
  [
    ...FOLDERS.flatMap((at) => [
      [`${at}d`, `${at}e`],
      [`${at}d`, `${at}file`],
      [`${at}absolute`, `${at}beside`],
    ]),
    ['d/d', 'e'],
    ['e/file', 'd'],
    ['held', 'aside'],
  ],
];
/** Where the kernel alone says where a path leads. */
const SPELLINGS = {
  reject: [],
  beneath: ['d/../e/file', 'd/d/../../e/d/file', 'd/beside/../../file', 'd/../../outside/file'],
  'in-root': ['d/../e/file', '/d/d/file', '/absolute/file', 'd/d/../../../outside/file', '../d/e/empty'],
};
const PATHS = [
  ...['file', 'd', 'e', 'absolute', 'tofile', 'beside/file', 'upwards/d/file'],
  ...['d/', 'e/', 'd/d/', 'd/e/d/', 'e/upwards/', 'd/absolute/'].flatMap((at) =>
    ['file', 'd', 'e/file', 'd/file', 'empty', 'new', 'tofile'].map((name) => at + name),
  ),
  // Half of the time something is mounted in `held`: its directory is exchanged with another one.
  ...['file', 'd', 'd/file', 'd/new', 'new', 'empty'].map((name) => `held/mnt/${name}`),
];

const collected = async (entries) => {
  const all = [];
  for await (const entry of entries) all.push(entry);
  return all;
};
/** Every call of every method: `[name, call]`. */
const CALLS = [
  ...Object.entries({ ...callsWithPath, ...callsApart }).flatMap(([method, calls]) =>
    calls.map((call, i) => [`${method} (${i + 1})`, call]),
  ),
  ['chown (user)', (root, at) => root.chown(at, 4321, -1)],
  ['lchown (user)', (root, at) => root.lchown(at, 4321, -1)],
  ['cp (to)', (root, at, to) => root.cp(at, 'fresh', { recursive: true, to })],
  ['move (to)', (root, at, to) => root.move(at, 'fresh', { to, overwrite: true })],
  ['readFile (secret)', (root, at) => root.readFile(`${at}/${SECRET_NAME}`)],
  ['stat (secret)', (root, at) => root.stat(`${at}/${SECRET_NAME}`)],
  ['statfs (secret)', (root, at) => root.statfs(`${at}/${SECRET_NAME}`)],
];
/** Only roots have it, their promises do not. */
const WALK = ['walk', (root, at) => collected(root.walk(at))];
/** What fails always, if all is well. */
const NEVER_DONE = ['readFile (secret)', 'stat (secret)', 'statfs (secret)'];
const NEVER_FAILS = ['exists (1)'];

/** A sandbox, and what is beside it; with a mount in it where `isMounted`. */
function makeField(t, isMounted) {
  const base = tempDir(t);
  plant(base, {
    root: { held: { mnt: {} }, aside: { mnt: {} }, model: level(base) },
    other: {},
    outside: levelOutside(),
  });
  const dir = path.join(base, 'root');
  plant(dir, level(base));
  if (isMounted) run('mount', '--bind', path.join(base, 'outside'), path.join(dir, 'held/mnt'));
  const outside = new Outside(path.join(base, 'outside'));
  outside.arm();
  return { base, dir, outside };
}

/** Wherever the attackers have moved it. */
function unmountAll(base) {
  const points = fs.readFileSync('/proc/self/mountinfo', 'utf8').matchAll(/^\S+ \S+ \S+ \S+ (\S+) /gm);
  for (const [, point] of points) if (point.startsWith(`${base}/`)) run('umount', '--lazy', point);
}

/** Does `action` while both attackers are at work, and tells how many exchanges they came to. */
async function attacked({ base, dir }, action) {
  const attacks = [];
  try {
    for (const pairs of PAIRS) attacks.push(await Attack.start(pairs, dir));
    await action();
  } finally {
    await Promise.all(attacks.map((attack) => attack.stop())).then((counts) => attacks.push(...counts));
    unmountAll(base);
  }
  return attacks.slice(PAIRS.length);
}

/** Fails if the value of a call shows anything of what is outside. */
function inspect(value, outside) {
  if (typeof value === 'number') return inspectDescriptor(value, outside);
  if (value instanceof SandboxRoot) {
    const { identity } = value;
    value.close();
    return assert.ok(!outside.has(idOf(identity)), 'a root is inside');
  }
  if (value instanceof fs.Dir) {
    try {
      for (let entry = value.readSync(); entry !== null; entry = value.readSync()) {
        assert.notStrictEqual(entry.name, SECRET_NAME, 'a directory that is listed is inside');
      }
    } finally {
      value.closeSync();
    }
    return undefined;
  }
  if (typeof value?.close === 'function') {
    const stat = fs.statSync(value.path, { bigint: true });
    value.close();
    return assert.ok(!outside.has(idOf(stat)), 'a path of the host is inside');
  }
  if (typeof value?.ino === 'number')
    return assert.ok(!outside.has(idOf(value)), 'what is described is inside');
  const text = Buffer.isBuffer(value) ? value.toString() : (JSON.stringify(value) ?? '');
  assert.ok(
    !text.includes(SECRET) && !text.includes(SECRET_NAME),
    `the text says nothing of the outside: ${text}`,
  );
}

function inspectDescriptor(fd, outside) {
  try {
    assert.ok(!outside.has(idOf(fs.fstatSync(fd))), 'what is opened is inside');
  } finally {
    fs.closeSync(fd);
  }
}

/** The same numbers every time (xorshift32): what is called does not depend on luck, only when. */
function randomNumbers(state) {
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 8) % below;
  };
}

/** Plants again what calls have removed, by calls that are attacked as all others are. */
function replant(root, to) {
  const tried = (action) => {
    try {
      action();
    } catch (error) {
      assert.strictEqual(typeof error.errno, 'number', error.message);
    }
  };
  for (const each of [root, to]) tried(() => each.rm('fresh', true, true));
  for (const name of root.readdir('model')) {
    tried(() => root.rm(name, true, true));
    tried(() => root.cp(`model/${name}`, name, { recursive: true }));
    tried(() => root.cp(`model/${name}`, `held/mnt/${name}`, { recursive: true }));
  }
}

/** Calls all that there is on all paths, until each has succeeded and was refused. */
async function callEverything({ base, dir, outside }, policy) {
  const root = new SandboxRoot(dir, policy);
  const to = new SandboxRoot(path.join(base, 'other'), policy);
  const ids = outside.ids();
  const paths = [...PATHS, ...SPELLINGS[policy.symlinks]];
  const pick = randomNumbers(0x9e3779b1);
  const all = [...CALLS, WALK];
  const seen = Object.fromEntries(all.map(([name]) => [name, { done: 0, refused: 0 }]));
  const codes = {};
  const callOne = async (face) => {
    const [name, call] = (face === root ? all : CALLS)[pick(face === root ? all.length : CALLS.length)];
    const at = paths[pick(paths.length)];
    let value;
    try {
      value = await call(face, at, to);
    } catch (error) {
      assert.ok(typeof error.errno === 'number' && error.syscall, `${name} of ${at}: ${error.stack}`);
      assert.ok(!error.message.includes(base), `the message has no path of the host: ${error.message}`);
      codes[error.code] = (codes[error.code] ?? 0) + 1;
      seen[name].refused += 1;
      return;
    }
    inspect(value, ids);
    seen[name].done += 1;
  };
  const isEnough = () =>
    Object.entries(seen).every(
      ([name, { done, refused }]) =>
        (done > 0 || NEVER_DONE.includes(name)) && (refused > 0 || NEVER_FAILS.includes(name)),
    );
  const told = progress(`calls, ${JSON.stringify(policy)}`, SIZE.calls);
  const end = performance.now() + SIZE.patience;
  let calls = 0;
  const exchanges = await attacked({ base, dir }, async () => {
    for (; calls < SIZE.calls || !isEnough(); calls += SEASON) {
      assert.ok(performance.now() < end, `all is seen, else this proves nothing: ${JSON.stringify(seen)}`);
      replant(root, to);
      for (let i = 0; i < SEASON / 2; i++) await callOne(root);
      // Several at once, on several threads.
      for (let i = 0; i < SEASON / 2; i += 4)
        await Promise.all([1, 2, 3, 4].map(() => callOne(root.promises)));
      told(SEASON);
    }
  });
  root.close();
  to.close();
  assert.deepStrictEqual(
    NEVER_DONE.map((name) => seen[name].done),
    NEVER_DONE.map(() => 0),
  );
  return { calls, exchanges, codes };
}

test('every method is among what is called', () => {
  const called = new Set(CALLS.map(([name]) => name.split(' ')[0]));
  assert.deepStrictEqual([...called].sort(), [...methods].sort());
});

/** What a symlink to outside is under each policy. */
const REFUSED = { reject: 'ELOOP', beneath: 'EACCES', 'in-root': 'ENOENT' };

for (const policy of [
  { symlinks: 'reject' },
  { symlinks: 'beneath' },
  { symlinks: 'in-root' },
  { symlinks: 'reject', mounts: 'reject' },
]) {
  const what = Object.entries(policy).map(([name, word]) => `${name}: '${word}'`);
  test(`${what.join(', ')}: two attackers in a chroot lead no call out of it`, async (t) => {
    const field = makeField(t, policy.mounts === 'reject');
    const { calls, exchanges, codes } = await callEverything(field, policy);
    field.outside.assertUntouched();
    for (const name of ['root', 'other']) {
      const copied = JSON.stringify(contents(path.join(field.base, name)));
      assert.ok(!copied.includes(SECRET) && !copied.includes(SECRET_NAME), 'no secret was copied');
    }
    assert.ok(
      codes[REFUSED[policy.symlinks]] > calls / 50,
      `links to outside are met: ${JSON.stringify(codes)}`,
    );
    // Of this policy nothing else says so.
    if (policy.mounts) assert.ok(codes.EACCES > 0, `the mount is met: ${JSON.stringify(codes)}`);
    for (const count of exchanges) assert.ok(count > calls, `the attackers are at work: ${exchanges}`);
    t.diagnostic(`${calls} calls during ${exchanges.join(' and ')} exchanges: ${JSON.stringify(codes)}`);
  });
}

/** Calls that leave the tree as it is, for those who cannot plant it again. */
const USUAL = {
  stat: (usual, at) => usual.stat(at),
  statfs: (usual, at) => assert.throws(() => usual.statfs(`${at}/${SECRET_NAME}`)),
  readFile: (usual, at) => usual.readFile(at),
  readdir: (usual, at) => usual.readdir(at),
  appendFile: (usual, at) => usual.appendFile(at, 'more'),
  chmod: (usual, at) => usual.chmod(at, 0o711),
  mkdir: (usual, at) => usual.mkdir(`${at}/made`, true),
};

for (const [method, call] of Object.entries(USUAL)) {
  test(`node:fs, used the usual way, is led out by the same attackers: ${method}`, async (t) => {
    const field = makeField(t, false);
    const usual = usualWay(field.dir);
    const ids = field.outside.ids();
    const pick = randomNumbers(0x9e3779b1);
    let calls = 0;
    const isLedOut = () => {
      calls += 1;
      try {
        inspect(call(usual, PATHS[pick(PATHS.length)]), ids);
      } catch (error) {
        if (error.code === 'ERR_ASSERTION') return true;
        if (error.syscall === undefined && error.code !== 'ELOOP') throw error;
      }
      return field.outside.isTouched();
    };
    await attacked(field, async () => {
      const end = performance.now() + SIZE.patience;
      while (!isLedOut()) assert.ok(performance.now() < end, 'it escapes, else this proves nothing');
    });
    t.diagnostic(`after ${calls} calls`);
  });
}
