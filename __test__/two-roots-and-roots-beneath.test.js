'use strict';
// Between two roots, { to }: each path by the policy of its own root. Roots beneath a root: openRoot, which
// can only be stricter. And which directory a root is: identity, isAt.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { SandboxRoot } = require('..');
const {
  bothWays,
  codeOf,
  codeOfPromise,
  fifo,
  isRoot,
  link,
  outcome,
  plant,
  sandbox,
  settled,
  snapshot,
  tempDir,
} = require('./support');

const read = (at) => fs.readFileSync(at, 'utf8');

/** Every method that takes two paths, as the call of it with the options behind. */
const BETWEEN = {
  rename: (of, src, dest, options) => of.rename(src, dest, options),
  renameNoReplace: (of, src, dest, options) => of.renameNoReplace(src, dest, options),
  link: (of, src, dest, options) => of.link(src, dest, options),
  copyFile: (of, src, dest, options) => of.copyFile(src, dest, null, options),
  cp: (of, src, dest, options) => of.cp(src, dest, options),
  move: (of, src, dest, options) => of.move(src, dest, options),
};
/** Those that leave the source alone, and so may take it from a root that is readonly. */
const COPIES = ['copyFile', 'cp'];

const SYSCALLS = {
  rename: 'rename',
  renameNoReplace: 'rename',
  link: 'link',
  copyFile: 'copyfile',
  cp: 'cp',
  move: 'rename',
};

for (const [method, call] of Object.entries(BETWEEN)) {
  bothWays(`${method} with { to } acts beneath the other root`, async (t, of) => {
    const [one, two] = [sandbox(t, { dir: { file: 'content' } }), sandbox(t, { dir: {} })];
    assert.strictEqual(await call(of(one.root), 'dir/file', 'dir/new', { to: two.root }), undefined);
    assert.strictEqual(read(two.at('dir/new')), 'content');
    const stays = [...COPIES, 'link'].includes(method);
    assert.deepStrictEqual(fs.readdirSync(one.at('dir')), stays ? ['file'] : []);
    assert.deepStrictEqual([fs.readdirSync(one.dir), fs.readdirSync(two.dir)], [['dir'], ['dir']]);
  });

  bothWays(`${method} to the same root, and without { to }, is the same`, async (t, of) => {
    for (const options of [undefined, null, {}, 'self']) {
      const { root, at } = sandbox(t, { file: 'content', dir: {} });
      await call(of(root), 'file', 'dir/new', options === 'self' ? { to: root } : options);
      assert.strictEqual(read(at('dir/new')), 'content');
    }
  });

  bothWays(`${method}: each path is refused by its own root`, async (t, of) => {
    const tree = {
      file: 'content',
      dir: { inner: '' },
      tofile: link('file'),
      todir: link('dir'),
      out: link('../..'),
    };
    const [one, two] = [sandbox(t, tree), sandbox(t, tree)];
    const before = [snapshot(one.dir), snapshot(two.dir)];
    for (const [src, dest, code] of [
      ['../x', 'new', 'EACCES'],
      ['file', '../x', 'EACCES'],
      ['/etc/passwd', 'new', 'EACCES'],
      ['file', '/x', 'EACCES'],
      ['todir/inner', 'new', 'ELOOP'],
      ['file', 'todir/new', 'ELOOP'],
      ['file', 'out/new', 'ELOOP'],
      ['missing', 'new', 'ENOENT'],
      ['file', 'missing/new', 'ENOENT'],
      ['', 'new', 'ENOENT'],
      ['file', '', 'ENOENT'],
    ]) {
      const { error } = await settled(call(of(one.root), src, dest, { to: two.root }));
      assert.deepStrictEqual(
        [error?.code, error.syscall, error.path, error.dest],
        [code, SYSCALLS[method], src, dest],
      );
      assert.ok(!error.message.includes(one.dir) && !error.message.includes(two.dir));
    }
    assert.deepStrictEqual([snapshot(one.dir), snapshot(two.dir)], before);
  });

  bothWays(`${method}: the policy of each root holds for its own side`, async (t, of) => {
    const tree = { file: 'content', place: {}, toplace: link('place'), up: link('place/..') };
    const [one, two] = [sandbox(t, tree), sandbox(t, tree)];
    const policies = ['reject', 'beneath', 'in-root'];
    for (const mine of policies) {
      for (const theirs of policies) {
        const [from, to] = [
          new SandboxRoot(one.dir, { symlinks: mine }),
          new SandboxRoot(two.dir, { symlinks: theirs }),
        ];
        for (const [src, dest, policy] of [
          ['up/file', 'new', mine],
          ['file', 'toplace/new', theirs],
          ['file', 'place/../new', theirs],
        ]) {
          const { error } = await settled(call(of(from), src, dest, { to }));
          const refused = dest.includes('..') ? 'EACCES' : 'ELOOP';
          assert.strictEqual(
            error?.code,
            policy === 'reject' ? refused : undefined,
            `${src} (${mine}) to ${dest} (${theirs})`,
          );
          for (const name of ['new', 'place/new']) fs.rmSync(two.at(name), { force: true });
          fs.writeFileSync(one.at('file'), 'content');
        }
      }
    }
  });

  bothWays(`${method}: a root that is readonly is written neither from nor to`, async (t, of) => {
    const [one, two] = [sandbox(t, { file: 'content' }), sandbox(t, { file: 'content' })];
    const frozen = (dir) => new SandboxRoot(dir, { readonly: true });
    const before = snapshot(one.dir);
    assert.strictEqual(
      await codeOfPromise(call(of(one.root), 'file', 'new', { to: frozen(two.dir) })),
      'EROFS',
    );
    const from = await settled(call(of(frozen(one.dir)), 'file', 'new', { to: two.root }));
    if (COPIES.includes(method)) {
      assert.deepStrictEqual([from.error, read(two.at('new'))], [undefined, 'content']);
    } else {
      assert.strictEqual(from.error.code, 'EROFS');
      assert.deepStrictEqual(fs.readdirSync(two.dir), ['file']);
    }
    assert.deepStrictEqual(snapshot(one.dir), before);
  });

  bothWays(`${method}: a root that is closed is EBADF, on either side`, async (t, of) => {
    const [one, two] = [sandbox(t, { file: 'content' }), sandbox(t)];
    const closed = new SandboxRoot(two.dir);
    closed.close();
    const { error } = await settled(call(of(one.root), 'file', 'new', { to: closed }));
    assert.deepStrictEqual(
      [error.code, error.syscall, error.path, error.dest],
      ['EBADF', SYSCALLS[method], 'file', 'new'],
    );
    const other = of(closed);
    assert.strictEqual(await codeOfPromise(call(other, 'file', 'new', { to: two.root })), 'EBADF');
    assert.deepStrictEqual(fs.readdirSync(two.dir), []);
  });

  bothWays(`${method}: what is no root is refused as one`, async (t, of) => {
    const { dir, root } = sandbox(t, { file: 'content' });
    const before = snapshot(dir);
    const fakes = [
      dir,
      {},
      [],
      7,
      true,
      () => {},
      root.promises,
      Object.create(root),
      Object.create(SandboxRoot.prototype),
      SandboxRoot,
      new Proxy(root, {}),
    ];
    for (const to of fakes) {
      const { error } = await settled(call(of(root), 'file', 'new', { to }));
      assert.ok(['ERR_INVALID_ARG_TYPE', 'ERR_INVALID_THIS'].includes(error?.code), String(error?.message));
      assert.strictEqual(error.name, 'TypeError');
    }
    assert.deepStrictEqual(snapshot(dir), before);
  });
}

bothWays(
  'copyFile keeps its rules between roots: nine bits, in place, onto itself nothing',
  async (t, of) => {
    const [one, two] = [
      sandbox(t, { file: { content: 'new', mode: 0o4751 } }),
      sandbox(t, { old: 'old and longer' }),
    ];
    const { ino } = fs.statSync(two.at('old'));
    await of(one.root).copyFile('file', 'old', null, { to: two.root });
    await of(one.root).copyFile('file', 'made', 0o600, { to: two.root });
    for (const name of ['old', 'made']) {
      assert.deepStrictEqual(
        [read(two.at(name)), (fs.statSync(two.at(name)).mode & 0o7777).toString(8)],
        ['new', '751'],
      );
    }
    assert.strictEqual(fs.statSync(two.at('old')).ino, ino);
    const again = new SandboxRoot(one.dir);
    await of(one.root).copyFile('file', 'file', null, { to: again });
    assert.strictEqual(read(one.at('file')), 'new');
  },
);

bothWays('mounts and hard links are allowed or rejected by the root that the path is of', async (t, of) => {
  const [one, two] = [sandbox(t, { file: 'content' }), sandbox(t, { old: 'old' })];
  fs.linkSync(one.at('file'), one.at('second'));
  fs.linkSync(two.at('old'), two.at('older'));
  const strict = (dir) => new SandboxRoot(dir, { hardlinks: 'reject' });
  assert.strictEqual(
    await codeOfPromise(of(strict(one.dir)).copyFile('file', 'new', null, { to: two.root })),
    'EMLINK',
  );
  assert.strictEqual(
    await codeOfPromise(of(one.root).copyFile('file', 'old', null, { to: strict(two.dir) })),
    'EMLINK',
  );
  assert.strictEqual(await codeOfPromise(of(strict(one.dir)).cp('file', 'new', { to: two.root })), 'EMLINK');
  await of(one.root).copyFile('file', 'new', null, { to: strict(two.dir) });
  assert.deepStrictEqual([read(two.at('new')), read(two.at('old'))], ['content', 'old']);
});

// ---- Roots beneath a root ----

bothWays('openRoot gives a root of its own at a directory beneath', async (t, of) => {
  const { root, at } = sandbox(t, {
    dir: { file: 'content', sub: {} },
    outside: 'outside',
    tofile: link('outside'),
  });
  const inner = await of(root).openRoot('dir');
  assert.ok(inner instanceof SandboxRoot);
  assert.deepStrictEqual(
    [inner.readFile('file', 'utf8'), inner.readdir('.').sort()],
    ['content', ['file', 'sub']],
  );
  for (const name of ['..', '../outside', '/outside', 'sub/../../outside'])
    assert.strictEqual(
      codeOf(() => inner.stat(name)),
      'EACCES',
    );
  // It is the directory, not its name.
  root.rename('dir', 'moved');
  inner.writeFile('new', 'new');
  assert.strictEqual(read(at('moved/new')), 'new');
  const same = await of(root).openRoot('.');
  assert.deepStrictEqual(same.identity, root.identity);
  const deeper = await of(inner).openRoot('sub/');
  assert.deepStrictEqual(deeper.readdir('.'), []);
});

bothWays('openRoot fails as the constructor does, under the path that it was given', async (t, of) => {
  const { root } = sandbox(t, { dir: {}, file: '', todir: link('dir'), pipe: fifo() });
  for (const [at, code] of [['missing', 'ENOENT'], ['file', 'ENOTDIR'], ['pipe', 'ENOTDIR'], ['todir', 'ELOOP'], ['todir/', 'ELOOP'], ['..', 'EACCES'], ['/tmp', 'EACCES'], ['', 'ENOENT']]) {
    const { error } = await settled(of(root).openRoot(at));
    // O_NOFOLLOW with O_DIRECTORY says ENOTDIR of a symlink.
    assert.deepStrictEqual([error.code, error.path], [code, at]);
  }
  for (const at of [undefined, null, 7, {}]) assert.strictEqual(await codeOfPromise(of(root).openRoot(at)), 'ERR_INVALID_ARG_TYPE');
}); // biome-ignore format: a list

/** The policies from weak to strict: each may be opened from those before it, and from itself. */
const STRICTER = {
  symlinks: ['in-root', 'beneath', 'reject'],
  mounts: ['allow', 'reject'],
  hardlinks: ['allow', 'reject'],
  readonly: [false, true],
};

bothWays('openRoot inherits what is left out, and only tightens', async (t, of) => {
  const { dir } = sandbox(t, { dir: { file: 'x' } });
  for (const [key, values] of Object.entries(STRICTER)) {
    for (const [i, mine] of values.entries()) {
      const root = new SandboxRoot(dir, { [key]: mine });
      for (const [j, wanted] of values.entries()) {
        // Neither of them contains the other: a link that one refuses, the other follows.
        if (
          key === 'symlinks' &&
          [mine, wanted].includes('in-root') &&
          ![mine, wanted].includes('reject') &&
          i !== j
        )
          continue;
        const { error } = await settled(of(root).openRoot('dir', { [key]: wanted }));
        assert.strictEqual(
          error?.code,
          j < i ? 'ERR_INVALID_ARG_VALUE' : undefined,
          `${key}: ${mine} to ${wanted}`,
        );
      }
    }
  }
  for (const wrong of [{ symlink: 'reject' }, { symlinks: 'none' }, { readonly: 1 }, 'reject', 7]) {
    const root = new SandboxRoot(dir);
    assert.match(await codeOfPromise(of(root).openRoot('dir', wrong)), /^ERR_INVALID_ARG_(TYPE|VALUE)$/);
  }
});

bothWays('what was inherited holds', async (t, of) => {
  const { dir, at } = sandbox(t, {
    dir: { file: 'x', tofile: link('file'), top: link('/file'), out: link('../secret') },
    secret: 's',
  });
  fs.linkSync(at('dir/file'), at('dir/second'));
  for (const options of [undefined, null, {}, { symlinks: undefined, readonly: undefined }]) {
    const readonly = await of(new SandboxRoot(dir, { readonly: true })).openRoot('dir', options);
    assert.strictEqual(
      codeOf(() => readonly.mkdir('new')),
      'EROFS',
    );
    const alone = await of(new SandboxRoot(dir, { hardlinks: 'reject' })).openRoot('dir', options);
    assert.strictEqual(
      codeOf(() => alone.readFile('file')),
      'EMLINK',
    );
    const beneath = await of(new SandboxRoot(dir, { symlinks: 'beneath' })).openRoot('dir', options);
    assert.strictEqual(beneath.readFile('tofile', 'utf8'), 'x');
    assert.strictEqual(
      codeOf(() => beneath.readFile('out')),
      'EACCES',
      'beneath the inner root',
    );
    const container = await of(new SandboxRoot(dir, { symlinks: 'in-root' })).openRoot('dir', options);
    assert.strictEqual(container.readFile('top', 'utf8'), 'x');
    const plain = await of(new SandboxRoot(dir)).openRoot('dir', options);
    assert.strictEqual(
      codeOf(() => plain.readFile('tofile')),
      'ELOOP',
    );
  }
  const both = await of(new SandboxRoot(dir, { hardlinks: 'reject' })).openRoot('dir', { readonly: true });
  assert.deepStrictEqual(
    [codeOf(() => both.mkdir('new')), codeOf(() => both.readFile('file'))],
    ['EROFS', 'EMLINK'],
  );
});

test('closing one of two roots does not close the other', async (t) => {
  const { root } = sandbox(t, { dir: { file: 'x' } });
  const [one, two] = [root.openRoot('dir'), await root.promises.openRoot('dir')];
  one.close();
  assert.deepStrictEqual([one.closed, two.closed, root.closed], [true, false, false]);
  root.close();
  assert.strictEqual(two.readFile('file', 'utf8'), 'x');
  assert.strictEqual(
    codeOf(() => root.openRoot('dir')),
    'EBADF',
  );
  assert.strictEqual(
    codeOf(() => one.openRoot('.')),
    'EBADF',
  );
  two.close();
});

test('roots that are opened and closed, or not opened at all, leave no descriptor', async (t) => {
  const { root } = sandbox(t, { dir: {}, file: '' });
  const count = () => fs.readdirSync('/proc/self/fd').length;
  root.openRoot('dir').close();
  (await root.promises.openRoot('dir')).close();
  const before = count();
  for (let i = 0; i < 50; i++) {
    root.openRoot('dir').close();
    (await root.promises.openRoot('dir')).close();
    outcome(() => root.openRoot('file'));
    await settled(root.promises.openRoot('missing'));
    outcome(() => root.openRoot('dir', { readonly: 'x' }));
  }
  assert.ok(count() <= before, `${count() - before} descriptors are left`);
});

// ---- Which directory it is ----

test('identity tells the directory, in bigints, and stays with it', (t) => {
  const { dir, root } = sandbox(t, { dir: {} });
  const { dev, ino } = fs.statSync(dir, { bigint: true });
  const { identity } = root;
  assert.deepStrictEqual(Object.keys(identity), ['dev', 'ino', 'mountId']);
  assert.deepStrictEqual([identity.dev, identity.ino, typeof identity.mountId], [dev, ino, 'bigint']);
  assert.notDeepStrictEqual(root.openRoot('dir').identity, identity);
  fs.renameSync(dir, `${dir} moved`);
  assert.deepStrictEqual([root.identity, new SandboxRoot(`${dir} moved`).identity], [identity, identity]);
  identity.ino = 0n;
  assert.strictEqual(root.identity.ino, ino);
  root.close();
  assert.strictEqual(
    codeOf(() => root.identity),
    'EBADF',
  );
});

test('the mount id is that of the mount, which dev does not tell', {
  skip: !isRoot && 'needs root to mount',
}, (t) => {
  const { dir, root, at } = sandbox(t, { dir: {}, bound: {} });
  execFileSync('mount', ['--bind', at('dir'), at('bound')]);
  const [plain, bound] = [root.openRoot('dir'), root.openRoot('bound')];
  try {
    const [one, two] = [plain.identity, bound.identity];
    assert.deepStrictEqual([one.dev, one.ino], [two.dev, two.ino]);
    assert.notStrictEqual(one.mountId, two.mountId);
    assert.strictEqual(one.mountId, root.identity.mountId);
    assert.deepStrictEqual([bound.isAt(at('bound')), bound.isAt(at('dir'))], [true, false]);
  } finally {
    bound.close();
    execFileSync('umount', [at('bound')]);
  }
  assert.ok(root.isAt(dir));
});

bothWays('isAt tells whether the host path still leads to this very directory', async (t, of) => {
  const base = tempDir(t);
  plant(base, { root: { dir: {} }, other: {}, file: '', toroot: link('root'), dangling: link('nowhere') });
  const at = (...names) => path.join(base, ...names);
  const root = new SandboxRoot(at('root'));
  for (const [name, answer] of [
    ['root', true], ['root/', true], ['root/dir/..', true], ['toroot', true], ['other', false], ['root/dir', false], ['file', false],
    ['file/x', false], ['missing', false], ['missing/x', false], ['dangling', false], ['', false],
  ]) {
    assert.strictEqual(await of(root).isAt(name === '' ? '' : at(name)), answer, name);
    if (name !== '') assert.strictEqual(await of(root).isAt(Buffer.from(at(name))), answer, name);
  }
  const home = process.cwd();
  process.chdir(base);
  try {
    assert.strictEqual(await of(root).isAt('root'), true);
  } finally {
    process.chdir(home);
  }
  // Replaced by another of the same name, then by nothing, then put back.
  fs.renameSync(at('root'), at('away'));
  fs.mkdirSync(at('root'));
  assert.deepStrictEqual([await of(root).isAt(at('root')), await of(root).isAt(at('away'))], [false, true]);
  fs.rmdirSync(at('root'));
  assert.strictEqual(await of(root).isAt(at('root')), false);
  fs.renameSync(at('away'), at('root'));
  assert.strictEqual(await of(root).isAt(at('root')), true);
  for (const wrong of [undefined, null, 7, {}]) assert.strictEqual(await codeOfPromise(of(root).isAt(wrong)), 'ERR_INVALID_ARG_TYPE');
  root.close();
  assert.strictEqual(await codeOfPromise(of(root).isAt(at('root'))), 'EBADF');
}); // biome-ignore format: a list
