'use strict';
// Rows about the view of `@cocalc/openat2/fs` beside node:fs: the same function of both, in turns.

const fs = require('node:fs');
const path = require('node:path');
const { pipeline } = require('node:stream/promises');
const { Writable } = require('node:stream');
const clients = require('../__test__/clients');
const { durationOf, measure } = require('./rounds');

const MiB = 1 << 20;
const LARGE = 64 * MiB;
/** How many calls make one measurement. */
const CALLS = 500;
/** What Git's status is asked of. */
const FILES = 2000;

/** What each row does with a `node:fs`, and a function that makes a path for it. */
const WORK = {
  statSync: (view, at) => repeated(() => view.statSync(at('a/b/file'))),
  readFileSync: (view, at) => repeated(() => view.readFileSync(at('a/b/file'))),
  'promises.stat': (view, at) => repeatedLater(() => view.promises.stat(at('a/b/file'))),
  'read stream, 64 MiB': (view, at) => () =>
    durationOf(() => pipeline(view.createReadStream(at('large')), toNowhere())),
  'write stream, 64 MiB': (view, at) => () =>
    durationOf(() => pipeline(fromNothing(), view.createWriteStream(at('written')))),
  'git status, 2,000 files': (view, at, git) =>
    git && (() => durationOf(() => git.statusMatrix({ fs: view, dir: at('repository'), cache: {} }))),
};

const toNowhere = () => new Writable({ write: (_chunk, _encoding, done) => done() });

function* fromNothing() {
  const chunk = Buffer.alloc(64 << 10);
  for (let i = 0; i < LARGE / chunk.length; i += 1) yield chunk;
}

const repeated = (call) => async () => {
  const took = await durationOf(() => {
    for (let i = 0; i < CALLS; i += 1) call();
  });
  return took / CALLS;
};

const repeatedLater = (call) => async () => {
  const took = await durationOf(async () => {
    for (let i = 0; i < CALLS; i += 1) await call();
  });
  return took / CALLS;
};

/** Plants what the rows read, and gives the Git that reads it, if it could be had. */
async function furnish(base) {
  fs.mkdirSync(`${base}/a/b`, { recursive: true });
  fs.writeFileSync(`${base}/a/b/file`, Buffer.alloc(4096, 1));
  fs.writeFileSync(`${base}/large`, Buffer.alloc(LARGE, 1));
  if (!clients.isDone()) return undefined;
  const { default: git } = await clients.load('isomorphic-git');
  const dir = `${base}/repository`;
  await git.init({ fs, dir });
  for (let i = 0; i < FILES; i += 1) {
    const at = path.join(dir, `d${i % 40}`);
    fs.mkdirSync(at, { recursive: true });
    fs.writeFileSync(path.join(at, `f${i}`), `${i}\n`);
  }
  await git.add({ fs, dir, filepath: '.' });
  return git;
}

async function* view(bench, place, base) {
  const wanted = Object.keys(WORK).filter((operation) => bench.wants('view', operation));
  if (wanted.length === 0) return;
  const git = await furnish(base);
  const { createFs } = require(path.join(bench.build, 'fs.js'));
  const own = createFs(base);
  for (const operation of wanted) {
    const ours = WORK[operation](own, (at) => `/${at}`, git);
    if (ours === undefined) continue;
    const ways = { ours: { run: ours } };
    if (bench.isWanted('fs')) ways.fs = { run: WORK[operation](fs, (at) => `${base}/${at}`, git) };
    const times = await measure(ways, bench.treeRounds, 1, bench.patience);
    yield { table: 'view', operation, place, times };
  }
}

module.exports = { view };
