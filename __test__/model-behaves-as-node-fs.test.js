'use strict';
// Random sequences of calls on two trees of the same shape, one through a root, one through node:fs:
// the same results, the same errors, the same trees afterwards.
//
// A failure prints a seed and a path. OPENAT2_SEED=… and OPENAT2_PATH=… in the environment play it again.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const fc = require('fast-check');
const { SandboxRoot } = require('..');
const { meetsItself } = require('./node-emulated');
const { PATHS, actual, expected, lstat, promised } = require('./node-twin');
const { FULL, progress } = require('./sizes');
const {
  NOBODY,
  file,
  isRoot,
  link,
  memory,
  outcome,
  plant,
  removeTree,
  snapshot,
  tempDir,
} = require('./support');

// For good, since access(2) looks for the real user.
if (isRoot) {
  process.setgroups([]);
  process.setgid(NOBODY);
  process.setuid(NOBODY);
}

const RUNS = FULL ? 10_000 : 600;
const CALLS = 25;

// Names and paths are written in Latin-1 here, one character for a byte, since not all are UTF-8.
const bytes = (text) => Buffer.from(text, 'latin1');
const latin1 = (text) => Buffer.from(text).toString('latin1');

const TREE = {
  file: 'some content',
  other: '',
  unread: file('written alone', 0o200),
  empty: {},
  full: { inner: 'inner', deep: { file: 'x', empty: {}, up: link('../inner') } },
  tofile: link('file'),
  todir: link('full'),
  dangling: link('nowhere'),
  loop: link('loop'),
  up: link('..'),
  'with space': { 'new\nline': 'n', "it's": {} },
  'ünï 😀': { ' ': '' },
};
const NOT_UTF8 = { directory: '\xff\xfe', file: '\xff\xfe/\xc3(' };

const KNOWN = [
  'file', 'other', 'unread', 'empty', 'full', 'full/inner', 'full/deep', 'full/deep/file', 'full/deep/empty', 'with space',
  'with space/new\nline', "with space/it's", latin1('ünï 😀'), latin1('ünï 😀/ '), NOT_UTF8.directory, NOT_UTF8.file,
]; // biome-ignore format: a list
const LINKS = [
  'tofile',
  'todir',
  'dangling',
  'loop',
  'up',
  'full/deep/up',
  'todir/inner',
  'up/file',
  'todir/deep',
];
const DIRECTORIES = [
  'empty',
  'full',
  'full/deep',
  'full/deep/empty',
  'with space',
  NOT_UTF8.directory,
  'made',
];
const FRESH = [
  'made', 'new', '...', '..x', '-rf', '*', '\\', '"', '\t', '\n', latin1('é'), '\xe9', '\xf0\x9f', 'x'.repeat(255),
  'x'.repeat(256),
]; // biome-ignore format: a list

const oneOf = (...values) => fc.constantFrom(...values);
const nameArb = oneOf(...FRESH, 'file', 'full', 'deep', 'inner', 'todir', 'nowhere');
const plainPathArb = fc.oneof(
  { weight: 12, arbitrary: oneOf(...KNOWN) },
  { weight: 6, arbitrary: fc.tuple(oneOf(...DIRECTORIES), nameArb).map((names) => names.join('/')) },
  { weight: 4, arbitrary: oneOf(...FRESH) },
  { weight: 3, arbitrary: oneOf(...LINKS) },
  { weight: 2, arbitrary: fc.array(nameArb, { minLength: 1, maxLength: 5 }).map((names) => names.join('/')) },
  { weight: 1, arbitrary: oneOf('.', '', `${'d/'.repeat(2100)}x`) },
  {
    weight: 1,
    arbitrary: oneOf('/nowhere', '/nowhere/at all', '..', '../node', 'full/..', 'missing/../file'),
  },
);

/** A path spelled in one of the ways that come to the same; as bytes where it has to be, or now and then. */
const pathArb = fc
  .record({
    plain: plainPathArb,
    slash: fc.oneof({ weight: 8, arbitrary: oneOf('/') }, oneOf('//', '/./', '/.//')),
    before: fc.oneof({ weight: 8, arbitrary: oneOf('') }, oneOf('./', './/', './.')),
    behind: fc.oneof({ weight: 8, arbitrary: oneOf('') }, oneOf('/', '//', '/.', '/./')),
    asBytes: fc.oneof({ weight: 4, arbitrary: oneOf(false) }, oneOf(true)),
  })
  .map(({ plain, slash, before, behind, asBytes }) => {
    if (plain === '' || plain.startsWith('/')) return plain;
    const spelled = before.replace(/\.\.$/, '.') + plain.replaceAll('/', slash) + behind;
    const text = bytes(spelled).toString();
    return asBytes || latin1(text) !== spelled ? bytes(spelled) : text;
  });
const targetArb = oneOf(
  'file',
  '../file',
  '.',
  '..',
  '/nowhere',
  'nowhere',
  'full/',
  bytes('\xff'),
  '\n',
  '',
);
const modeArb = fc.oneof(
  { weight: 3, arbitrary: oneOf(0o755, 0o644, 0o700, 0o777) },
  oneOf(0, 0o100, 0o200, 0o300, 0o400, 0o500, 0o600),
);
const timeArb = fc.integer({ min: -(2 ** 31), max: 9e8 }).map((seconds) => seconds * 1e9);
const flag = fc.boolean();
const userArb = oneOf(-1, 0, process.getuid());
const groupArb = oneOf(-1, 0, process.getgid());
const copyArb = oneOf(
  { recursive: true },
  { recursive: false },
  { recursive: true, force: false },
  { recursive: true, force: false, errorOnExist: true },
);
/**
 * What mkdtemp makes of a prefix, so that it has the names and the errors of a path. Node 20 wants a character
 * at least, and writes a byte too many on its heap behind a prefix of more than a thousand.
 */
const templateArb = pathArb
  .filter((at) => at.length > 0 && Buffer.byteLength(at) < 1000)
  .map((at) => (typeof at === 'string' ? `${at}XXXXXX` : Buffer.concat([at, bytes('XXXXXX')])));

/** The arguments of each method. */
const ARGS = {
  mkdir: [pathArb, flag],
  unlink: [pathArb],
  rmdir: [pathArb],
  remove: [pathArb],
  rename: [pathArb, pathArb],
  renameNoReplace: [pathArb, pathArb],
  link: [pathArb, pathArb],
  symlink: [targetArb, pathArb],
  chmod: [pathArb, modeArb],
  truncate: [pathArb, oneOf(0, 1, 5, 100, 5000)],
  copyFile: [pathArb, pathArb],
  rm: [pathArb, flag, flag],
  utimes: [pathArb, timeArb, timeArb],
  lutimes: [pathArb, timeArb, timeArb],
  stat: [pathArb],
  lstat: [pathArb],
  statfs: [pathArb],
  readlink: [pathArb],
  realpath: [pathArb],
  readdir: [pathArb, oneOf({}, { recursive: true })],
  readFile: [pathArb],
  writeFile: [pathArb, oneOf('written', ''), oneOf({}, { flag: 'wx' }, { flag: 'r+' })],
  appendFile: [pathArb, oneOf('more')],
  open: [pathArb, oneOf('r', 'r+', 'w', 'wx', 'a+')],
  move: [pathArb, pathArb, oneOf({ overwrite: true })],
  openRead: [pathArb],
  openWrite: [pathArb, flag, oneOf(false), flag],
  access: [pathArb, fc.integer({ min: 0, max: 7 })],
  exists: [pathArb],
  chown: [pathArb, userArb, groupArb],
  lchown: [pathArb, userArb, groupArb],
  exchange: [pathArb, pathArb],
  mkdtemp: [templateArb],
  fsync: [pathArb],
  cp: [pathArb, pathArb, copyArb],
  walk: [pathArb, oneOf({ encoding: 'buffer' }, { encoding: 'buffer', maxDepth: 1 })],
  openRoot: [pathArb],
  hostPath: [pathArb],
  opendir: [pathArb],
  isAt: [fc.oneof(pathArb, oneOf('.', './/', 'full/..', 'todir/..', 'up'))],
};
const withinArb = fc.oneof(
  { weight: 9, arbitrary: oneOf('.') },
  oneOf('full', 'full/deep', 'with space', 'made'),
);
/** A method, its arguments, and the directory that is the root for this call. */
const callArb = fc.oneof(
  ...Object.entries(ARGS).map(([method, args]) => fc.tuple(oneOf(method), fc.tuple(...args), withinArb)),
  fc.tuple(oneOf('openWrite'), fc.tuple(pathArb, flag, oneOf(true), oneOf(false)), withinArb),
);

/** What a path says of itself: its names, and whether it ends as a directory. */
function parsed(at) {
  const text = Buffer.from(at).toString('latin1');
  const all = text.split('/');
  return {
    names: all.filter((name) => name !== '' && name !== '.'),
    isEmpty: text === '',
    leaves: text.startsWith('/') || all.includes('..'),
    isRoot: text !== '' && all.every((name) => name === '' || name === '.'),
    slash: /(^|\/)\.?$/.test(text),
    dot: /\/\.\/*$/.test(text),
    tooLong: text.length > 4095,
  };
}

/** When a method follows a symlink that is the last name of a path. */
const FOLLOWS = {
  chmod: 'always',
  truncate: 'always',
  copyFile: 'always',
  utimes: 'always',
  stat: 'always',
  statfs: 'always',
  realpath: 'always',
  readdir: 'always',
  readFile: 'always',
  writeFile: 'always',
  appendFile: 'always',
  open: 'always',
  openRead: 'always',
  openWrite: 'always',
  rm: 'by a slash',
  link: 'by a slash',
  lstat: 'by a slash',
  readlink: 'by a slash',
  lutimes: 'by a slash',
  access: 'always',
  exists: 'always',
  chown: 'always',
  lchown: 'by a slash',
  fsync: 'always',
  cp: 'by a slash',
  walk: 'always',
  openRoot: 'always',
  hostPath: 'always',
  opendir: 'always',
};

/** Whether node:fs would follow a symlink on its way along `at`, in the working directory. */
function meetsLink(method, args, index) {
  const { names, slash, dot, tooLong } = parsed(args[index]);
  if (tooLong) return false;
  const flags = { open: args[1], writeFile: args[2]?.flag }[method] ?? '';
  const follows = method === 'mkdir' && args[1] ? 'always' : flags.includes('x') ? 'never' : FOLLOWS[method];
  // A slash behind what is to be made is refused before anything is looked up.
  const makes =
    (['link', 'cp', 'copyFile'].includes(method) && index === 1) ||
    method === 'appendFile' ||
    (method === 'writeFile' && flags !== 'r+') ||
    (method === 'openWrite' && args[1]) ||
    (method === 'open' && /[wa]/.test(flags));
  for (const [i, name] of names.entries()) {
    const stat = lstat(bytes(names.slice(0, i).concat(name).join('/')));
    if (stat === undefined) return false;
    const isLast = i === names.length - 1;
    if (stat.isSymbolicLink()) {
      if (!isLast || dot) return true;
      if (slash && makes) return false;
      return follows === 'always' || (slash && follows === 'by a slash');
    }
    if (!isLast && !stat.isDirectory()) return false;
  }
  return false;
}

/** Whether nothing is wrong with the path at `index`, so that the other one decides. */
function isSound(method, args, index) {
  const { names, isRoot: root, leaves, slash, isEmpty } = parsed(args[index]);
  if (root || leaves || slash || isEmpty || meetsLink(method, args, index)) return false;
  const stat = lstat(args[index]);
  if (index === 0) return stat?.isFile() && (stat.mode & 0o400) !== 0;
  return stat === undefined && names.length === 1 && names[0].length < 256;
}

/** What cannot be done to the root itself. */
const MOVES = new Set(['unlink', 'rmdir', 'remove', 'rm', 'rename', 'renameNoReplace', 'move', 'exchange']);

/** The code that a root answers where node:fs would do what a root must not do, if it is such a call. */
function refusal(method, args) {
  // That takes any path of the host.
  if (method === 'isAt') return undefined;
  const paths = PATHS[method];
  for (const index of paths) {
    const code = refusalOf(method, args, index);
    if (code === undefined) continue;
    const others = paths.filter((other) => other !== index);
    const isEmptyTarget = method === 'symlink' && args[0] === '';
    return { code, alone: !isEmptyTarget && others.every((other) => isSound(method, args, other)) };
  }
  return undefined;
}

function refusalOf(method, args, index) {
  const { leaves, isEmpty, isRoot: root } = parsed(args[index]);
  if (isEmpty) return 'ENOENT';
  if (leaves) return 'EACCES';
  if (meetsLink(method, args, index)) return 'ELOOP';
  if (root && MOVES.has(method)) return 'EBUSY';
  if (root && method === 'link' && index === 0) return 'EPERM';
  return undefined;
}

const WORDS = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied (path is outside of the sandbox)',
  ELOOP: 'too many symbolic links encountered (a symlink was refused)',
  EBUSY: 'resource busy or locked',
  EPERM: 'operation not permitted',
};
const line = (text) => text.replaceAll('\n', '\\n');

/** The error `error` is the refusal, of the paths as they were given. */
function assertRefused(method, args, { code, alone }, { error, value }) {
  assert.ok(error, `${code} expected, but ${JSON.stringify(value)}`);
  if (alone) {
    assert.strictEqual(error.code, code);
    assert.ok(error.message.startsWith(`${code}: ${WORDS[code]}, `), error.message);
  }
  const [at, dest] = (method === 'symlink' ? [0, 1] : PATHS[method]).map((index) => `${args[index]}`);
  assert.deepStrictEqual([error.path, error.dest], [at, dest]);
  const where = dest === undefined ? `'${line(at)}'` : `'${line(at)}' -> '${line(dest)}'`;
  assert.ok(error.message.endsWith(`, ${error.syscall} ${where}`), error.message);
}

/** The outcome with a path inside of a tree in its plain form. */
function respelled(result, args) {
  if (result.error === undefined) return result;
  const { path: at, dest, message, syscall } = result.error;
  const plain = (text, index) => (text === `${args[index]}` ? text : text && path.posix.normalize(text));
  const error = { ...result.error, path: plain(at, 0), dest: plain(dest, 1) };
  const paths = [error.path, error.dest].filter((text) => text !== undefined);
  const head = message.slice(0, message.indexOf(`, ${syscall}`));
  error.message = `${head}, ${[syscall, paths.map((text) => `'${line(text)}'`).join(' -> ')].join(' ').trim()}`;
  return { error };
}

/** Where two things are wrong with a call, and a root speaks of the other one: what it says, and node:fs. */
const TWO_FAULTS = {
  // The source is a directory and no entry, and something is wrong with the destination.
  link: [{ mine: 'EPERM', dot: true, paths: [0] }],
  rename: [{ mine: 'EBUSY', dot: true, paths: [0] }],
  renameNoReplace: [{ mine: 'EBUSY', dot: true, paths: [0] }],
  move: [{ mine: 'EBUSY', dot: true, paths: [0] }],
  // Something is wrong with either.
  exchange: [{ paths: [0, 1] }],
  // A new file cannot end in a slash, and the name is too long as well.
  copyFile: [{ mine: 'ENAMETOOLONG', node: 'EISDIR', paths: [1] }],
  writeFile: [
    { mine: 'ENAMETOOLONG', node: 'EISDIR', paths: [0] },
    // Or its directory may not be searched.
    { mine: 'EISDIR', node: 'EACCES', paths: [0] },
  ],
  appendFile: [{ mine: 'ENAMETOOLONG', node: 'EISDIR', paths: [0] }],
  // The C library resolves a path in pieces, so that none is too long.
  realpath: [{ mine: 'ENAMETOOLONG', node: 'ENOENT', paths: [0] }],
};

/** What is said of a directory that is named by a `.`, where an entry is asked for. */
const NO_ENTRY = ['EBUSY', 'EEXIST', 'EINVAL', 'EISDIR', 'EPERM'];

function saysAnother(method, args, { error: mine }, { error: right }) {
  if (mine === undefined || right === undefined) return false;
  // It may not be searched, either, or the source not be read.
  const isByDot = PATHS[method].some((index) => parsed(args[index]).dot);
  if (isByDot && NO_ENTRY.includes(mine.code) && right.code === 'EACCES') return true;
  return TWO_FAULTS[method]?.some(
    (either) =>
      [mine.code, undefined].includes(either.mine) &&
      [right.code, undefined].includes(either.node) &&
      either.paths.some((index) => {
        const { dot, slash, tooLong } = parsed(args[index]);
        return either.dot ? dot : slash || tooLong;
      }),
  );
}

const CHANGES_TREES = ['rm', 'cp'];
const ON_TREES = [...CHANGES_TREES, 'readdir', 'walk'];

/** Whether work on a tree stopped inside of it, at one of perhaps several obstacles. */
function stoppedInside(method, [at], { error }) {
  if (!ON_TREES.includes(method) || error === undefined) return false;
  const [top, inner] = [at, error.path].map((it) => path.posix.normalize(`${it}/`));
  return inner !== top && (top === './' || inner.startsWith(top));
}

/** The two ways to call the methods of a root. */
const FACES = { 'at once': actual, 'as a promise': promised };

/** Makes one call on both sides, and compares. Whether the trees are still to be the same. */
async function play({ root, act, follows, seen }, method, given) {
  // A root is held open, so that it can be described without being searched; for node:fs it cannot.
  const searchable = method === 'chmod' && parsed(given[0]).isRoot;
  const args = searchable ? [given[0], given[1] | 0o700] : given;
  const refused = refusal(method, args);
  // What is left to the kernel then, node:fs would do outside of the tree, or in another way.
  if (follows && ['ELOOP', 'EACCES'].includes(refused?.code)) return true;
  if (refused !== undefined) {
    const result = await act(root, method, args);
    if (method === 'exists') assert.deepStrictEqual(result, { value: false });
    else assertRefused(method, args, refused, result);
    seen(method, refused.code);
    return true;
  }
  if (method === 'cp' && meetsItself(args)) return true;
  const right = respelled(expected(method, args), args);
  const mine = respelled(await act(root, method, args), args);
  seen(method, right.error?.code ?? (right.value === false ? 'no' : 'success'));
  // In which order the entries of a tree go is nobody's promise, nor which of them are left then.
  if (stoppedInside(method, args, right) && stoppedInside(method, args, mine)) {
    if (method !== 'cp') assert.strictEqual(mine.error.code, right.error.code);
    return !CHANGES_TREES.includes(method);
  }
  if (!saysAnother(method, args, mine, right)) assert.deepStrictEqual(mine, right);
  return true;
}

/** Goes into the directory `at`, if there is one without a link on the way that may be searched. */
function enter(at) {
  const isThere = lstat(at)?.isDirectory() && !meetsLink('stat', [at], 0);
  return isThere && outcome(() => process.chdir(at)).error === undefined;
}

/** The same in a root of its own at the directory `within`, if it is one. */
async function playWithin({ root, ...game }, [method, args, within]) {
  const here = process.cwd();
  const at = enter(within) ? within : '.';
  // A path of the host is asked for where node:fs is.
  const inner = method === 'isAt' ? new SandboxRoot('.') : root.openRoot(at);
  try {
    return await play({ ...game, root: inner }, method, args);
  } finally {
    inner.close();
    process.chdir(here);
  }
}

/** A tree in the new directory `dir`. */
function grow(dir) {
  fs.mkdirSync(dir);
  plant(dir, TREE);
  const at = (name) => Buffer.concat([Buffer.from(`${dir}/`), bytes(name)]);
  fs.mkdirSync(at(NOT_UTF8.directory));
  fs.writeFileSync(at(NOT_UTF8.file), 'not UTF-8');
  fs.linkSync(at('full/inner'), at('full/deep/twin'));
  return dir;
}

async function playAll(base, { act, symlinks, seen }, calls) {
  const [ours, theirs] = ['ours', 'node'].map((name) => grow(path.join(base, name)));
  const root = new SandboxRoot(ours, { symlinks });
  const game = { root, act, seen, follows: symlinks !== 'reject' };
  process.chdir(theirs);
  try {
    let isSame = true;
    for (const call of calls) isSame = isSame && (await playWithin(game, call));
    if (isSame) assert.deepStrictEqual(snapshot(ours), snapshot(theirs));
  } finally {
    root.close();
    process.chdir(base);
    for (const dir of [ours, theirs]) removeTree(dir);
  }
}

const FACES_AND_POLICIES = Object.entries(FACES).flatMap(([face, act]) =>
  ['reject', 'beneath', 'in-root'].map((symlinks) => ({ face, act, symlinks })),
);
for (const { face, act, symlinks } of FACES_AND_POLICIES) {
  test(`random sequences of calls do what node:fs does (${face}, symlinks: '${symlinks}')`, async (t) => {
    const base = tempDir(t, memory);
    t.after(() => process.chdir('/'));
    const outcomes = {};
    const seen = (method, code) => {
      outcomes[method] ??= {};
      outcomes[method][code] = (outcomes[method][code] ?? 0) + 1;
    };
    const { OPENAT2_SEED: seed, OPENAT2_PATH: replay } = process.env;
    const done = progress('sequences', RUNS);
    const property = fc.asyncProperty(
      fc.array(callArb, { minLength: 1, maxLength: CALLS, size: 'max' }),
      async (calls) => {
        await playAll(base, { act, symlinks, seen }, calls);
        done();
      },
    );
    await fc.assert(property, {
      numRuns: RUNS,
      includeErrorInReport: true,
      ...(seed && { seed: Number(seed) }),
      ...(replay && { path: replay }),
    });
    for (const [method, codes] of Object.entries(outcomes))
      t.diagnostic(`${method}: ${JSON.stringify(codes)}`);
    if (replay) return;
    for (const method of Object.keys(ARGS)) {
      assert.ok(outcomes[method].success > 0, `${method} has succeeded`);
      const ways = symlinks === 'reject' && method !== 'isAt' ? 3 : 1;
      assert.ok(Object.keys(outcomes[method]).length > ways, `${method} has failed in several ways`);
    }
  });
}
