'use strict';
// isomorphic-git on a view of a root: a whole history, which Git itself then finds in order, and no way out.

const assert = require('node:assert');
const fs = require('node:fs');
const { execFileSync } = require('node:child_process');
const { assertNoSecret, load, onView } = require('./clients/world.js');

const author = { name: 'Ada', email: 'ada@example.org', timestamp: 1e9, timezoneOffset: 0 };

/** Git itself, in the directory on the host. */
function gitIn(dir) {
  const env = { PATH: process.env.PATH, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null' };
  return (...args) =>
    execFileSync('git', ['-c', 'safe.directory=*', '-C', dir, ...args], {
      encoding: 'utf8',
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
}

const FILES = { 'a.txt': 'one\n', src: { 'index.js': 'x\n', deep: { 'b.txt': 'b\n' } } };

async function commitAll(git, repo, message) {
  for (const [path, , worktree] of await git.statusMatrix(repo)) {
    if (worktree === 0) await git.remove({ ...repo, filepath: path });
    else await git.add({ ...repo, filepath: path });
  }
  return git.commit({ ...repo, message, author });
}

const changed = (matrix) => matrix.filter(([, head, worktree]) => head !== worktree).map(([path]) => path);

onView('isomorphic-git makes a history that Git reads', { tree: FILES }, async ({ view, dir, at }) => {
  const git = (await load('isomorphic-git')).default;
  const repo = { fs: view, dir: '/' };
  await git.init({ ...repo, defaultBranch: 'main' });
  view.symlinkSync('a.txt', '/link');
  view.chmodSync('/src/index.js', 0o755);
  const first = await commitAll(git, repo, 'first');
  await git.branch({ ...repo, ref: 'side', checkout: true });
  await view.promises.writeFile('/a.txt', 'two\n');
  await view.promises.rm('/src/deep', { recursive: true });
  assert.deepStrictEqual(changed(await git.statusMatrix(repo)), ['a.txt', 'src/deep/b.txt']);
  const side = await commitAll(git, repo, 'side');
  await git.checkout({ ...repo, ref: 'main' });
  assert.strictEqual(fs.readFileSync(at('src/deep/b.txt'), 'utf8'), 'b\n');
  assert.strictEqual(fs.readFileSync(at('a.txt'), 'utf8'), 'one\n');
  await view.promises.writeFile('/c.txt', 'c\n');
  await commitAll(git, repo, 'main');
  const merged = await git.merge({ ...repo, ours: 'main', theirs: 'side', author });
  await git.checkout({ ...repo, ref: 'main' });
  assert.deepStrictEqual(changed(await git.statusMatrix(repo)), []);
  assert.strictEqual((await git.log(repo))[0].oid, merged.oid);

  const host = gitIn(dir);
  assert.strictEqual(host('fsck', '--strict', '--no-dangling'), '');
  assert.strictEqual(host('status', '--porcelain'), '');
  assert.strictEqual(host('rev-parse', 'main').trim(), merged.oid);
  assert.deepStrictEqual(host('log', '--format=%s', 'main').split('\n').slice(1, 4).sort(), [
    'first',
    'main',
    'side',
  ]);
  assert.deepStrictEqual(host('show', '-s', '--format=%P', 'side').trim(), first);
  assert.ok(host('log', '--format=%H', 'main').includes(side));
  assert.strictEqual(
    host('ls-files', '-s', 'link', 'src/index.js').replace(/ .*\t/g, ' '),
    '120000 link\n100755 src/index.js\n',
  );
});

onView('isomorphic-git reads what Git has packed', { tree: FILES }, async ({ view, dir }) => {
  const git = (await load('isomorphic-git')).default;
  const host = gitIn(dir);
  host('init', '-q', '-b', 'main');
  host('add', '.');
  host('-c', 'user.name=A', '-c', 'user.email=a@b', 'commit', '-q', '-m', 'packed');
  host('gc', '-q');
  const repo = { fs: view, dir: '/' };
  assert.deepStrictEqual(changed(await git.statusMatrix(repo)), []);
  assert.strictEqual((await git.log(repo))[0].commit.message, 'packed\n');
});

for (const symlinks of ['reject', 'beneath', 'in-root']) {
  onView(
    `isomorphic-git goes through no link to outside (symlinks: '${symlinks}')`,
    { tree: FILES, symlinks },
    async ({ t, view, dir, traps, at, base }) => {
      // It says there what it does not check out.
      t.mock.method(console, 'error', () => {});
      const git = (await load('isomorphic-git')).default;
      const repo = { fs: view, dir: '/' };
      await git.init({ ...repo, defaultBranch: 'main' });
      const first = await commitAll(git, repo, 'first');
      traps('out', 'src/out');
      fs.symlinkSync(`${base}/outside/secret`, at('file'));
      // A link is listed, and committed as a link.
      const links = ['file', 'out', 'out-relative', 'src/out', 'src/out-relative'];
      assert.deepStrictEqual(changed(await git.statusMatrix(repo)), links);
      await commitAll(git, repo, 'links');
      assert.ok(gitIn(dir)('ls-files', '-s', ...links).match(/^120000/gm).length === links.length);
      for (const filepath of ['out/secret', 'src/out-relative/sub/deep.js'])
        await assert.rejects(git.add({ ...repo, filepath }));

      // Of a directory that Git knows, somebody makes a link to one outside: the same names are there.
      await git.checkout({ ...repo, ref: first, force: true });
      fs.renameSync(at('src'), at('moved'));
      fs.symlinkSync(`${base}/outside`, at('src'));
      const matrix = await git.statusMatrix(repo).catch((error) => error.message);
      assertNoSecret(matrix);
      await git.checkout({ ...repo, ref: 'main', force: true }).catch(() => {});
      await git.remove({ ...repo, filepath: 'src/index.js' });
      await git.checkout({ ...repo, ref: first, force: true }).catch(() => {});

      // What Git has of its own is a link, too.
      fs.renameSync(at('.git/objects'), at('objects'));
      fs.symlinkSync(`${base}/outside`, at('.git/objects'));
      await assert.rejects(commitAll(git, repo, 'outside'));
    },
  );
}
