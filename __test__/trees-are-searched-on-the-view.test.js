'use strict';
// The packages that find files, on a view of a root: each finds there what it finds on `node:fs`, and nothing outside.

const assert = require('node:assert');
const realFs = require('node:fs');
const path = require('node:path');
const { promisify } = require('node:util');
const { asked, assertNoSecret, load, onNodeFs, onView } = require('./clients/world.js');
const { link } = require('./support.js');

/** Not in `/`: there some of them answer otherwise on `node:fs` too. */
const TREE = {
  project: {
    'index.js': '',
    'README.md': '',
    '.hidden.js': '',
    '.gitignore': 'ignored\n',
    ignored: { 'no.js': '' },
    src: { 'a.js': 'a', 'b.ts': 'b', deep: { 'c.js': '', er: { 'd.js': '' } } },
    empty: {},
    'with space': { 'é.js': '' },
    inside: link('src/deep'),
    gone: link('nowhere'),
  },
};

/** What a stream or an iterable gives. */
async function all(iterable) {
  const found = [];
  for await (const one of iterable) found.push(one);
  return found;
}

/** For each package, and each of its ways: what it finds beneath `cwd` on `fs`. */
const SEARCHES = {
  'fast-glob': async () => {
    const glob = (await load('fast-glob')).default;
    const on = (how) => (fs, cwd) => how('**/*.js', { fs, cwd, dot: true });
    return {
      promise: on(glob),
      sync: on(glob.sync),
      stream: on((pattern, options) => all(glob.stream(pattern, options))),
      'with stats': async (fs, cwd) => {
        const found = await glob('**', { fs, cwd, stats: true, onlyFiles: false });
        return found.map(({ path, stats, dirent }) => `${path} ${stats.size} ${dirent.isDirectory()}`);
      },
      'without links': (fs, cwd) => glob('**/*.js', { fs, cwd, followSymbolicLinks: false }),
      absolute: async (fs, cwd) =>
        (await glob('**/*.js', { fs, cwd, absolute: true })).map((found) => path.relative(cwd, found)),
    };
  },
  glob: async () => {
    const { glob, globSync, globStream, globIterate } = await load('glob');
    const on = (how) => (fs, cwd) => how('**/*.js', { fs, cwd, dot: true });
    return {
      promise: on(glob),
      sync: on(globSync),
      stream: on((pattern, options) => all(globStream(pattern, options))),
      iterator: on((pattern, options) => all(globIterate(pattern, options))),
      everything: (fs, cwd) => glob('**', { fs, cwd, mark: true }),
      follow: (fs, cwd) => glob('**/*.js', { fs, cwd, follow: true }),
      'real paths': async (fs, cwd) =>
        (await glob('{src,inside}/**/*.js', { fs, cwd, realpath: true, absolute: true })).map((found) =>
          path.relative(cwd, found),
        ),
      stat: async (fs, cwd) =>
        (await glob('src/*', { fs, cwd, stat: true, withFileTypes: true })).map(
          ({ name, size, mode }) => `${name} ${mode} ${size > 0}`,
        ),
    };
  },
  globby: async () => {
    const { globby, globbySync, globbyStream } = await load('globby');
    const on = (how) => (fs, cwd) => how(['**/*.js', '!src/deep/er'], { fs, cwd, gitignore: true });
    return {
      promise: on(globby),
      sync: on(globbySync),
      stream: on((patterns, options) => all(globbyStream(patterns, options))),
      directories: (fs, cwd) => globby('src', { fs, cwd, expandDirectories: true }),
    };
  },
  tinyglobby: async () => {
    const { glob, globSync } = await load('tinyglobby');
    const on = (how) => (fs, cwd) => how('**/*.js', { fs, cwd, dot: true });
    return {
      promise: on(glob),
      sync: on(globSync),
      'without links': (fs, cwd) => glob('**', { fs, cwd, followSymbolicLinks: false, onlyFiles: false }),
    };
  },
  fdir: async () => {
    const { fdir } = await load('fdir');
    const on = (fs) => new fdir({ fs }).withRelativePaths();
    return {
      promise: (fs, cwd) => on(fs).crawl(cwd).withPromise(),
      sync: (fs, cwd) => on(fs).crawl(cwd).sync(),
      directories: (fs, cwd) => on(fs).withDirs().crawl(cwd).withPromise(),
      links: (fs, cwd) => on(fs).withSymlinks({ resolvePaths: false }).crawl(cwd).withPromise(),
      // Not as a promise: it tells what it finds twice, by a link too, where the link is resolved first.
      'real paths': (fs, cwd) => {
        const found = new fdir({ fs }).withSymlinks().withFullPaths().crawl(cwd).sync();
        return found.map((each) => path.relative(cwd, each));
      },
    };
  },
  '@nodelib/fs.walk': async () => {
    const { walk, walkSync, walkStream, Settings } = await load('@nodelib/fs.walk');
    const on = (how) => async (fs, cwd) => {
      const settings = new Settings({ fs, errorFilter: (error) => error.code === 'ENOENT' });
      return (await how(cwd, settings)).map(({ path: found }) => path.relative(cwd, found));
    };
    return {
      callback: on(promisify(walk)),
      sync: on(walkSync),
      stream: on((cwd, settings) => all(walkStream(cwd, settings))),
      links: async (fs, cwd) => {
        const settings = new Settings({
          fs,
          stats: true,
          followSymbolicLinks: true,
          throwErrorOnBrokenSymbolicLink: false,
        });
        return walkSync(cwd, settings).map(({ name, stats }) => `${name} ${stats.mode}`);
      },
    };
  },
};
/** What the oldest Node is that a package runs on. */
const SINCE = { globby: 20 };

const outcome = async (search, fs, cwd) => {
  try {
    return [...(await search(fs, cwd))].sort();
  } catch (error) {
    return [`${error.code}`];
  }
};

for (const [name, load] of Object.entries(SEARCHES)) {
  const since = SINCE[name] ?? 18;
  onView(
    `${name} finds on the view what it finds on node:fs`,
    { since, tree: TREE, symlinks: 'beneath' },
    async ({ view, at }) => {
      const searches = Object.entries(await load());
      for (const [how, search] of searches) {
        const expected = await onNodeFs(() => outcome(search, realFs, at('project')));
        assert.ok(expected.length > 2, how);
        assert.deepStrictEqual(await outcome(search, view, '/project'), expected, how);
      }
    },
  );

  for (const symlinks of ['reject', 'beneath', 'in-root']) {
    onView(
      `${name} finds nothing outside (symlinks: '${symlinks}')`,
      { since, tree: TREE, symlinks },
      async ({ view, traps }) => {
        traps('out', 'project/src/out', 'project/src/deep/er/out');
        for (const search of Object.values(await load())) {
          assertNoSecret(await outcome(search, view, '/'));
          assertNoSecret(await outcome(search, view, '/project'));
          assertNoSecret(await outcome(search, view, '/out'));
          assertNoSecret(await outcome(search, view, '/../outside'));
        }
      },
    );
  }
}

onView('what a package asks of node:fs, past the view, is seen', {}, async () => {
  const glob = (await load('fast-glob')).default;
  assert.deepStrictEqual(await glob('**', { cwd: '/nowhere-at-all' }), []);
  assert.ok(asked().splice(0).includes('readdir /nowhere-at-all'));
});
