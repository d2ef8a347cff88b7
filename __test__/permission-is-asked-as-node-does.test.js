'use strict';
// Who asks: access(2) is about the real user on the whole way, not the effective one; and a file of
// somebody else in a sticky directory is protected from root as the system says.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const { SandboxRoot } = require('..');
const { inChild } = require('./child');
const { FULL } = require('./sizes');
const { NOBODY, bothWays, isRoot, outcome, plant, settled, snapshot, tempDir } = require('./support');

const needsRoot = !isRoot && 'needs root to be several users';

/** The real and the effective user and group of a process; `wrap` starts it so, `become` makes it so. */
const OTHER = 12_345;
const WHO = {
  'root, as root': {},
  'nobody, as nobody': { become: [['setgid', NOBODY], ['setuid', NOBODY]] },
  'root, as nobody': { become: [['setegid', NOBODY], ['seteuid', NOBODY]] },
  'nobody, as root': { wrap: ['setpriv', '--ruid', NOBODY, '--rgid', NOBODY, '--clear-groups'] },
  'another, as nobody': {
    wrap: ['setpriv', '--ruid', OTHER, '--rgid', OTHER, '--clear-groups'],
    become: [['setegid', NOBODY], ['seteuid', NOBODY]],
  },
  'nobody, as another': {
    wrap: ['setpriv', '--ruid', NOBODY, '--rgid', NOBODY, '--clear-groups'],
    become: [['setegid', OTHER], ['seteuid', OTHER]],
  },
}; // biome-ignore format: a table

/** What each of them may do differs on the way, and at the end of it. */
function makeTree(dir) {
  const owners = { root: 0, nobody: NOBODY, another: OTHER };
  const modes = [0o700, 0o711, 0o744, 0o070, 0o755, 0];
  for (const [whose, uid] of Object.entries(owners)) {
    for (const mode of modes) {
      const name = `${whose} ${mode.toString(8)}`;
      plant(dir, { [name]: { inner: { file: '' } }, [`${name} file`]: '' });
      for (const at of [name, `${name}/inner`, `${name}/inner/file`, `${name} file`])
        fs.chownSync(path.join(dir, at), uid, uid);
      fs.chmodSync(path.join(dir, name), mode);
      fs.chmodSync(path.join(dir, `${name} file`), mode);
    }
  }
  return Object.keys(owners).flatMap((whose) =>
    modes.flatMap((mode) => {
      const name = `${whose} ${mode.toString(8)}`;
      return [name, `${name}/`, `${name}/inner`, `${name}/inner/file`, `${name}/missing`, `${name} file`];
    }),
  );
}

/** What `access` and `exists` say differently from node:fs; in a process of its own. */
async function differences(dir, names, become, options) {
  const root = new SandboxRoot(dir, options);
  for (const [call, id] of become) process[call](id);
  const found = [];
  const code = async (action) => {
    try {
      await action();
      return 'yes';
    } catch (error) {
      return error.code;
    }
  };
  for (const name of names) {
    for (const mode of [0, 1, 2, 4, 7]) {
      const expected = await code(() => fs.accessSync(`${dir}/${name}`, mode));
      const ours = {
        sync: await code(() => root.access(name, mode)),
        promise: await code(() => root.promises.access(name, mode)),
      };
      for (const [way, is] of Object.entries(ours))
        if (is !== expected) found.push(`access ${name}, ${mode}, ${way}: ${expected} by Node, ${is} here`);
    }
    const there = fs.existsSync(`${dir}/${name}`);
    if (root.exists(name) !== there) found.push(`exists ${name}: ${there} by Node`);
    if ((await root.promises.exists(name)) !== there) found.push(`exists ${name}, promise: ${there} by Node`);
  }
  return found;
}

const withoutSetpriv = spawnSync('setpriv', ['--ruid', '0', 'true']).status !== 0 && 'needs setpriv';

for (const [who, { wrap = [], become = [] }] of Object.entries(WHO)) {
  for (const symlinks of ['reject', 'beneath']) {
    const skip = needsRoot || (wrap.length > 0 && withoutSetpriv);
    test(`access and exists answer for the real user: ${who}, '${symlinks}'`, { skip }, async (t) => {
      const base = tempDir(t);
      fs.chmodSync(base, 0o755);
      const dir = path.join(base, 'root');
      fs.mkdirSync(dir);
      const names = makeTree(dir);
      const found = await inChild(t, differences, [dir, names, become, { symlinks }], {
        wrap: wrap.map(String),
      });
      for (const what of ['access', 'exists']) {
        await t.test(what, () => {
          const wrong = found.filter((line) => line.startsWith(what));
          assert.deepStrictEqual(wrong.slice(0, 10), [], `${wrong.length} answers`);
        });
      }
    });
  }
}

const PROTECTED = '/proc/sys/fs/protected_regular';

/** Why there is no such protection here. In full size it is switched on while a test runs. */
function withoutProtection() {
  if (needsRoot) return needsRoot;
  if (!fs.existsSync(PROTECTED)) return 'needs a kernel with fs.protected_regular';
  if (FULL || fs.readFileSync(PROTECTED, 'utf8').trim() !== '0') return false;
  return 'fs.protected_regular is 0 here; OPENAT2_FULL=1 sets it meanwhile';
}

/** Switches it on. It is switched back when this process ends, however that is. */
async function withProtection(t) {
  const was = fs.readFileSync(PROTECTED, 'utf8').trim();
  if (was !== '0') return;
  // In a session of its own: what is sent to the group of this process does not reach it.
  const script = 'echo 1 > "$0" && echo set; read wait; echo "$1" > "$0"';
  const how = { stdio: ['pipe', 'pipe', 'inherit'], detached: true };
  const child = spawn('sh', ['-c', script, PROTECTED, was], how);
  t.after(async () => {
    child.stdin.end();
    if (child.exitCode === null) await once(child, 'exit');
    assert.strictEqual(fs.readFileSync(PROTECTED, 'utf8').trim(), was);
  });
  await once(child.stdout, 'data');
}

/** What writes to a file, made if it is not there; and the same with node:fs. */
const WRITES = {
  writeFile: [(of, at) => of.writeFile(at, 'new'), (at) => fs.writeFileSync(at, 'new')],
  'writeFile to what is there': [
    (of, at) => of.writeFile(at, 'new', { flag: 'r+' }),
    (at) => fs.writeFileSync(at, 'new', { flag: 'r+' }),
  ],
  appendFile: [(of, at) => of.appendFile(at, 'new'), (at) => fs.appendFileSync(at, 'new')],
  copyFile: [
    (of, at) => of.copyFile('source', at),
    (at, dir) => fs.copyFileSync(path.join(dir, 'source'), at),
  ],
  open: [async (of, at) => fs.closeSync(await of.open(at, 'w')), (at) => fs.closeSync(fs.openSync(at, 'w'))],
  'open for appending': [
    async (of, at) => fs.closeSync(await of.open(at, 'a+')),
    (at) => fs.closeSync(fs.openSync(at, 'a+')),
  ],
  'open of what is there': [
    async (of, at) => fs.closeSync(await of.open(at, 'r+')),
    (at) => fs.closeSync(fs.openSync(at, 'r+')),
  ],
  openWrite: [
    async (of, at) => fs.closeSync(await of.openWrite(at, true)),
    (at) => fs.closeSync(fs.openSync(at, fs.constants.O_WRONLY | fs.constants.O_CREAT)),
  ],
  'openWrite that truncates': [
    async (of, at) => fs.closeSync(await of.openWrite(at, true, true)),
    (at) => fs.closeSync(fs.openSync(at, 'w')),
  ],
};

bothWays(
  'root writes to a file of somebody else in a sticky directory where node:fs would',
  { skip: withoutProtection() },
  async (t, of) => {
    await withProtection(t);
    const wrong = [];
    let refused = 0;
    for (const symlinks of ['reject', 'beneath']) {
      for (const [what, [ours, theirs]] of Object.entries(WRITES)) {
        for (const at of ['file', 'below/file', 'own', 'new', 'tofile']) {
          if (symlinks === 'reject' && at === 'tofile') continue;
          const dirs = [0, 1].map(() => stickyTree(t));
          const root = new SandboxRoot(dirs[0], { symlinks });
          const expected = outcome(() => theirs(path.join(dirs[1], at), dirs[1]));
          const actual = await settled((async () => ours(of(root), at))());
          if (expected.error !== undefined) refused += 1;
          const [codes, trees] = [[expected, actual].map(({ error }) => error?.code), dirs.map(contentOf)];
          if (codes[0] !== codes[1] || trees[0] !== trees[1])
            wrong.push(`${what} of ${at}, '${symlinks}': ${codes[0]} by Node, ${codes[1]} here`);
          root.close();
        }
      }
    }
    assert.ok(refused > 10, `node:fs was refused ${refused} times`);
    assert.deepStrictEqual(wrong, []);
  },
);

const contentOf = (dir) => JSON.stringify(snapshot(dir));

/** A sticky directory that all may write, with one like it below, and files of somebody else in both. */
function stickyTree(t) {
  const dir = tempDir(t);
  plant(dir, { source: 'source', own: 'own', file: 'of nobody', below: { file: 'of nobody' } });
  fs.symlinkSync('file', path.join(dir, 'tofile'));
  for (const name of ['file', 'below/file']) {
    fs.chownSync(path.join(dir, name), NOBODY, NOBODY);
    fs.chmodSync(path.join(dir, name), 0o666);
  }
  for (const at of [dir, path.join(dir, 'below')]) fs.chmodSync(at, 0o1777);
  return dir;
}

test('access and exists of a user with capabilities are those of the user without them', {
  skip: needsRoot,
}, async (t) => {
  const dir = tempDir(t);
  fs.chmodSync(dir, 0o755);
  plant(dir, { locked: { file: '' }, open: { file: '' } });
  fs.chmodSync(path.join(dir, 'locked'), 0o700);
  fs.chmodSync(path.join(dir, 'open/file'), 0o600);
  const body = async (dir) => {
    const root = new SandboxRoot(dir);
    const effective = () => /CapEff:\s*(\w+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1];
    const before = effective();
    const came = {};
    const code = async (action) => {
      try {
        return (await action()) ?? null;
      } catch (error) {
        return error.code;
      }
    };
    for (const at of ['locked', 'locked/file', 'locked/missing', 'open/file', 'open/missing', '.']) {
      for (const mode of [0, 1, 2, 4]) {
        const right = await code(() => fs.accessSync(path.join(dir, at), mode));
        for (const of of [root, root.promises])
          if ((await code(() => of.access(at, mode))) !== right) came[`access ${mode} of ${at}`] = right;
      }
      const right = fs.existsSync(path.join(dir, at));
      for (const of of [root, root.promises])
        if ((await code(() => of.exists(at))) !== right) came[`exists ${at}`] = right;
    }
    // They are there again, and are of use to what is no access(2).
    return { came, isCapable: !/^0+$/.test(before) && before === effective(), read: root.readdir('locked') };
  };
  const capabilities = ['dac_override', 'dac_read_search'].map((name) => `+${name}`).join();
  const wrap = [
    ...['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'],
    ...[`--inh-caps=${capabilities}`, `--ambient-caps=${capabilities}`],
  ];
  assert.deepStrictEqual(await inChild(t, body, [dir], { wrap }), {
    came: {},
    isCapable: true,
    read: ['file'],
  });
});
