'use strict';
// Clients on a view of a root, while another process exchanges a directory in it with a symlink to outside as fast as
// it can: nothing outside is read or changed. On `node:fs` each of them escapes in the same race.
// With OPENAT2_FULL=1 in sizes that take minutes.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { Readable } = require('node:stream');
const { pipeline } = require('node:stream/promises');
const { buffer } = require('node:stream/consumers');
const { FULL } = require('./sizes.js');
const { Attack } = require('./races/attack.js');
const { contents } = require('./races/outside.js');
const { SECRET, load, makePlace, onNodeFs, onView, reasonToSkip } = require('./clients/world.js');

/** How often a client runs, and how often each outcome has to be seen; and how long that may take. */
const SIZE = FULL ? { rounds: 3000, each: 100 } : { rounds: 40, each: 3 };
const PATIENCE = 60_000;

/** `sub` is what becomes a symlink to the `sub` outside, where the same name and another one are. */
const TREE = { project: { 'deep.js': 'text', sub: { 'deep.js': 'inside', 'inner.js': 'inside' } } };

/**
 * Clients: `prepare` makes what a round needs, on `node:fs`, and gives the round. That says 'real' if the client found
 * the directory, and throws or says something else if not.
 */
const CLIENTS = {
  async 'isomorphic-git status'({ dir }) {
    const git = (await load('isomorphic-git')).default;
    const there = { fs, dir: path.join(dir, 'project') };
    await git.init(there);
    await git.add({ ...there, filepath: '.' });
    const author = { name: 'A', email: 'a@b.c' };
    await git.commit({ ...there, message: 'all', author });
    // A file whose times Git does not know is read.
    return async (on, top, sub) => {
      const now = new Date();
      for (const name of ['deep.js', 'inner.js']) fs.utimesSync(path.join(sub, name), now, now);
      const matrix = await git.statusMatrix({ fs: on, dir: top });
      return matrix.some(([name, , work]) => name === 'sub/inner.js' && work === 1) ? 'real' : 'other';
    };
  },
  async 'fast-glob'() {
    const glob = (await load('fast-glob')).default;
    return async (on, cwd) =>
      judge(await glob('**', { fs: on, cwd, followSymbolicLinks: false }), 'sub/inner.js');
  },
  async glob() {
    const { glob } = await load('glob');
    return async (on, cwd) => judge(await glob('**', { fs: on, cwd }), 'sub/inner.js');
  },
  async fdir() {
    const { fdir } = await load('fdir');
    return async (on, cwd) =>
      judge(await new fdir({ fs: on }).withRelativePaths().crawl(cwd).withPromise(), 'sub/inner.js');
  },
  async 'tar-fs extract'() {
    const { tar, archive } = await archiveOf({ name: 'sub/deep.js', content: 'inside' });
    return async (on, cwd) => {
      await pipeline(Readable.from([archive]), tar.extract(cwd, { fs: on }));
      return 'real';
    };
  },
  async 'tar-fs pack'() {
    const { tar } = await archiveOf();
    return async (on, cwd) => {
      const packed = await buffer(tar.pack(cwd, { fs: on }));
      return judge([packed.toString()], 'sub/inner.js');
    };
  },
};

async function archiveOf(...entries) {
  const tar = (await load('tar-fs')).default;
  const pack = (await load('tar-stream')).default.pack();
  for (const { content, ...header } of entries) pack.entry(header, content);
  pack.finalize();
  return { tar, archive: await buffer(pack) };
}

class Escape extends Error {}

/** What a client found. */
function judge(found, real) {
  const text = found.join('\n');
  if (text.includes('only outside') || text.includes(SECRET)) throw new Escape(text);
  return text.includes(real) ? 'real' : 'other';
}

/** Prepares a place for a race, and gives the round and what is exchanged. */
async function prepared(place, prepare) {
  const { base, at } = place;
  const round = await onNodeFs(() => prepare(place));
  fs.symlinkSync(path.join(base, 'outside/sub'), at('project/swap'));
  // By descriptor: a way to the directory that the attacker cannot lead astray.
  const fd = fs.openSync(at('project/sub'), 'r');
  const close = () => fs.closeSync(fd);
  const roundOn = (on, top) => round(on, top, `/proc/self/fd/${fd}`);
  return { round: roundOn, close, pair: [at('project/sub'), at('project/swap')] };
}

/** What a round came to: an error has to be one of a directory that is none now, or not there. */
async function outcomeOf(round) {
  try {
    return await round();
  } catch (error) {
    if (error instanceof Escape) throw error;
    assert.ok(!`${error.stack}`.includes(SECRET), error.stack);
    return error.code ?? error.message.replace(/.* (?=is not a valid path)/, '');
  }
}

for (const [name, prepare] of Object.entries(CLIENTS)) {
  for (const symlinks of FULL ? ['reject', 'beneath', 'in-root'] : ['reject', 'in-root']) {
    onView(
      `no ${name} leaves the view (symlinks: '${symlinks}')`,
      { tree: TREE, symlinks },
      async (place) => {
        const { t, view, dir } = place;
        const { round, close, pair } = await prepared(place, prepare);
        const seen = { real: 0 };
        const end = performance.now() + PATIENCE;
        let made = 0;
        try {
          const { exchanges } = await Attack.during([pair], async (attack) => {
            const isEnough = () =>
              made >= SIZE.rounds && seen.real >= SIZE.each && made - seen.real >= SIZE.each;
            for (; !isEnough(); made++) {
              const outcome = await outcomeOf(() => round(view, '/project'));
              seen[outcome] = (seen[outcome] ?? 0) + 1;
              assert.ok(performance.now() < end, `both outcomes are seen: ${JSON.stringify(seen)}`);
            }
            await attack.pause();
            assert.strictEqual(
              await outcomeOf(() => round(view, '/project')),
              'real',
              'with the attacker standing still',
            );
          });
          t.diagnostic(`${made} rounds during ${exchanges} exchanges: ${JSON.stringify(seen)}`);
        } finally {
          close();
        }
        assert.ok(!JSON.stringify(contents(dir)).includes(SECRET), 'no secret was copied to the inside');
      },
    );
  }

  test(`${name} escapes on node:fs in the same race`, { skip: reasonToSkip(18) }, async (t) => {
    const place = makePlace(t, TREE);
    const { round, close, pair } = await prepared(place, prepare);
    const end = performance.now() + PATIENCE;
    let made = 0;
    try {
      await onNodeFs(() =>
        Attack.during([pair], async () => {
          for (let escaped = false; !escaped; made++) {
            assert.ok(performance.now() < end, 'no escape was seen, so that the race proves nothing');
            await round(fs, path.join(place.dir, 'project')).catch((error) => {
              escaped = error instanceof Escape;
            });
            escaped ||= place.outside.isTouched();
          }
        }),
      );
    } finally {
      close();
    }
    t.diagnostic(`an escape in ${made} rounds`);
  });
}
