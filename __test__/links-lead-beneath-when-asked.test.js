'use strict';
// symlink with beneath: a target that leads out is refused, as the kernel resolves it from where the link is to be,
// and no link is there, under any name, before it is checked.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const { once } = require('node:events');
const { spawn } = require('node:child_process');
const { SandboxRoot } = require('..');
const { inChild, start } = require('./child');
const { FULL } = require('./sizes');
const { POLICIES, bothWays, link, sandbox, settled, snapshot, tool, withoutMounts } = require('./support');

const BENEATH = { beneath: true };
const OUTSIDE = /^EACCES: permission denied \(path is outside of the sandbox\), symlink '/;

const TREE = {
  file: 'file', a: { b: { c: { file: 'x' } }, up: link('..'), out: link('../..'), etc: link('/etc') },
  'to-a': link('a'), self: link('self'), nothing: link('not/there'), climbs: link('no/../../../etc'),
  chain: link('nothing'), deep: link('a/b/c'), here: link('.'),
}; // biome-ignore format: a tree

/** What is made at a name, and what is refused there. */
const MADE = [
  ['new', ['file', 'a', 'a/', './a', 'a/..', 'a/b/../..', 'to-a/b', 'here/file', '.', 'missing', 'no/thing', 'nothing', 'nothing/x', 'chain', 'deep/../../..', 'missing/', 'file/x']],
  ['a/new', ['..', '../file', 'b/c', 'up', 'up/a/up', '../to-a/b/../..', '../missing/x']],
  ['a/b/new', ['../..', '../../file', 'c/../../..', '../up/a/b']],
]; // biome-ignore format: a table
const REFUSED = [
  ['new', ['/', '/etc', '//x', '..', '../', '../x', './..', 'a/../..', 'a/up/..', 'a/up/../x', 'a/out', 'a/etc', 'a/etc/passwd', 'a/b/../../..', 'here/..', 'deep/../../../..', 'missing/..', 'missing/../x', 'missing/../../x', 'climbs', 'climbs/x', 'nothing/..', 'nothing/x/../../..', 'file/..', 'chain/../x']],
  ['a/new', ['../..', '../../x', 'up/..', 'out', '../climbs', 'b/../../..', '../nothing/..']],
  ['a/b/new', ['../../..', 'c/../../../..', '../../a/up/..', '../out']],
]; // biome-ignore format: a table

for (const symlinks of POLICIES) {
  bothWays(`what leads beneath is made, and what leads out is not, under '${symlinks}'`, async (t, of) => {
    const { dir, at } = sandbox(t, TREE);
    const root = new SandboxRoot(dir, { symlinks });
    const before = snapshot(dir);
    for (const [name, targets] of MADE) {
      for (const target of targets) {
        assert.strictEqual(await of(root).symlink(target, name, BENEATH), undefined, `${name} -> ${target}`);
        assert.strictEqual(fs.readlinkSync(at(name)), target);
        fs.unlinkSync(at(name));
      }
    }
    for (const [name, targets] of REFUSED) {
      for (const target of targets) {
        const { error } = await settled(of(root).symlink(target, name, BENEATH));
        assert.match(error?.message ?? 'made', OUTSIDE, `${name} -> ${target}`);
        assert.deepStrictEqual([error.path, error.dest], [target, name]);
      }
    }
    const loops = await settled(of(root).symlink('self', 'new', BENEATH));
    assert.strictEqual(loops.error.code, 'ELOOP');
    const taken = await settled(of(root).symlink('file', 'file', BENEATH));
    assert.strictEqual(taken.error.code, 'EEXIST');
    const long = await settled(of(root).symlink('x/'.repeat(2050), 'a/new', BENEATH));
    assert.strictEqual(long.error.code, 'ENAMETOOLONG');
    for (const options of [1, 'beneath', { beneath: 1 }]) {
      const { error } = await settled(of(root).symlink('file', 'new', options));
      assert.strictEqual(error.code, 'ERR_INVALID_ARG_TYPE');
    }
    assert.deepStrictEqual(snapshot(dir), before);
    // Without it anything goes, as ever.
    await of(root).symlink('/etc', 'new', { beneath: false });
    assert.strictEqual(fs.readlinkSync(at('new')), '/etc');
  });
}

bothWays('where a root follows links, the place of the new link is where they lead', async (t, of) => {
  const { dir, at } = sandbox(t, TREE);
  const root = new SandboxRoot(dir, { symlinks: 'beneath' });
  await of(root).symlink('../../../file', 'deep/new', BENEATH);
  assert.strictEqual(fs.readlinkSync(at('a/b/c/new')), '../../../file');
  const { error } = await settled(of(root).symlink('../../../../file', 'deep/other', BENEATH));
  assert.match(error.message, OUTSIDE);
  const inRoot = new SandboxRoot(dir, { symlinks: 'in-root' });
  fs.symlinkSync('/a/b', at('absolute'));
  await of(inRoot).symlink('../../file', 'absolute/new', BENEATH);
  assert.strictEqual(fs.readlinkSync(at('a/b/new')), '../../file');
  const out = await settled(of(inRoot).symlink('../../../file', '/a/b/other', BENEATH));
  assert.match(out.error.message, OUTSIDE);
  const absolute = await settled(of(inRoot).symlink('/file', 'other', BENEATH));
  assert.match(absolute.error.message, OUTSIDE);
});

test('a hostile archive gets no link out', (t) => {
  const { dir, root } = sandbox(t);
  const make = {
    link: (target, name) => root.symlink(target, name, BENEATH),
    dir: (name) => root.mkdir(name, true),
  };
  // Each is fine by itself for whoever looks at the text alone.
  for (const steps of [
    [['dir', 'a'], ['link', '..', 'a/up'], ['link', 'a/up/..', 'e']],
    [['link', 'm/../..', 'e'], ['dir', 'm']],
    [['link', 'm/n', 'l'], ['link', 'l/../..', 'e'], ['dir', 'm/n']],
    [['dir', 'd/e'], ['link', 'd/e', 'x'], ['link', 'x/../../..', 'e']],
    [['dir', 'd/e/f'], ['link', '../../..', 'd/e/f/top'], ['link', 'd/e/f/top/..', 'e']],
  ]) {
    for (const [what, ...args] of steps) {
      try {
        make[what](...args);
      } catch (error) {
        assert.match(error.message, OUTSIDE, args.join());
      }
    }
    for (const name of fs.readdirSync(dir, { recursive: true })) {
      const at = `${dir}/${name}`;
      if (!fs.lstatSync(at).isSymbolicLink() || !fs.existsSync(at)) continue;
      assert.ok(`${fs.realpathSync(at)}/`.startsWith(`${fs.realpathSync(dir)}/`), `${name} leads out`);
    }
    for (const name of fs.readdirSync(dir)) root.rm(name, true);
  }
}); // biome-ignore format: a table

test('what a mount holds is outside where mounts are refused', { skip: withoutMounts }, async (t) => {
  const { dir, at } = sandbox(t, { mounted: {}, a: {} });
  const body = (dir) => {
    const made = (policy, target) => {
      try {
        new SandboxRoot(dir, policy).symlink(target, 'a/new', { beneath: true });
        fs.unlinkSync(`${dir}/a/new`);
        return 'made';
      } catch (error) {
        return error.code;
      }
    };
    const targets = ['../mounted/x', '../mounted/..', '../mounted/../..'];
    return [{}, { mounts: 'reject' }].map((policy) => targets.map((target) => made(policy, target)));
  };
  const mount = 'mount -t tmpfs tmpfs "$0" && touch "$0/x" && exec "$@"';
  const wrap = ['unshare', '--mount', 'sh', '-c', mount, at('mounted')];
  const got = await inChild(t, body, [dir], { wrap });
  assert.deepStrictEqual(got, [
    ['made', 'made', 'EACCES'],
    ['EACCES', 'EACCES', 'EACCES'],
  ]);
});

test('a link is never there before it is checked', async (t) => {
  const { dir, root } = sandbox(t, { a: {} });
  const watcher = start(
    t,
    async (dir, ms) => {
      console.log('ready');
      const seen = [];
      const end = Date.now() + ms;
      while (Date.now() < end)
        for (const name of fs.readdirSync(`${dir}/a`, { withFileTypes: true }))
          if (name.isSymbolicLink()) seen.push(name.name);
      return seen;
    },
    [dir, FULL ? 20_000 : 2000],
  );
  await watcher.ready;
  let over = false;
  watcher.result.finally(() => {
    over = true;
  });
  let calls = 0;
  while (!over) {
    for (let i = 0; i < 100; i++)
      assert.throws(() => root.symlink('../..', 'a/new', BENEATH), { code: 'EACCES' });
    calls += 100;
    await new Promise(setImmediate);
  }
  const { value: seen } = await watcher.result;
  t.diagnostic(`${calls} calls`);
  assert.deepStrictEqual([seen, fs.readdirSync(`${dir}/a`)], [[], []]);
});

for (const symlinks of POLICIES) {
  test(`a swapped parent does not lend its depth to the target, under '${symlinks}'`, async (t) => {
    // From p itself the target leads out; from where the link leads that is exchanged with it, it would not.
    const { dir, at } = sandbox(t, { p: {}, q: link('a/b/c'), a: { b: { c: {} } } });
    const swapper = spawn(tool('exchange'), [at('p'), at('q')], { stdio: ['pipe', 'pipe', 'inherit'] });
    t.after(() => swapper.kill('SIGKILL'));
    await once(swapper.stdout, 'data');
    const root = new SandboxRoot(dir, { symlinks });
    const codes = {};
    const end = performance.now() + (FULL ? 30_000 : 3000);
    let made = 0;
    while (performance.now() < end) {
      let code = 'made';
      try {
        root.symlink('../../x', `p/${made}`, BENEATH);
        made += 1;
      } catch (error) {
        code = error.code;
      }
      codes[code] = (codes[code] ?? 0) + 1;
    }
    swapper.kill('SIGKILL');
    await once(swapper, 'exit');
    t.diagnostic(JSON.stringify(codes));
    // The directory itself has none, whichever name it has by now.
    const itself = fs.lstatSync(at('p')).isDirectory() ? at('p') : at('q');
    assert.deepStrictEqual(fs.readdirSync(itself), []);
    assert.strictEqual(fs.readdirSync(at('a/b/c')).length, made);
    assert.ok(codes.EACCES > 0);
    assert.ok(symlinks === 'reject' ? codes.ELOOP > 0 && made === 0 : made > 0);
  });
}
