'use strict';
// Rows about whole trees, about large files, and about loading the package.

const fs = require('node:fs');
const path = require('node:path');
const { durationOf, measure } = require('./rounds');

const KiB = 1024;
const MiB = KiB * KiB;
const LARGE = 64 * MiB;
const SMALL = 4 * KiB;

/** The sizes of trees. A disk may take seconds to make one: there they are a fifth, unless in full size. */
function sizes(place, full) {
  const part = place === 'disk' && !full ? 5 : 1;
  return { dirs: 200 / part, files: 50, listed: { dirs: 1000 / part, files: 99 } };
}

/** It takes seconds for a tree. */
const SAFE_ROUNDS = 2;

async function drain(entries) {
  let count = 0;
  for await (const _ of entries) count += 1;
  return count;
}

/** What is done with the tree `tree` beneath `base`, by whom: `before` is not timed. */
function treeWork(bench, place, base, safe) {
  const { dirs, files, listed } = sizes(place, bench.full);
  const { floor } = bench;
  const [top, copy] = [`${base}/tree`, `${base}/copy`];
  const plant = (size) => () => floor.plant(top, dirs, files, size);
  const removeCopy = () => floor.remove(copy, 1);
  const ours = (Root, work) => {
    const root = Root && new Root(base);
    return root && (() => durationOf(() => work(root)));
  };
  const safely = (work) => safe && (() => durationOf(() => work(safe)));
  const everyone = (work) => ({ ours: ours(bench.SandboxRoot, work), other: ours(bench.other, work) });
  const promised = (work) => everyone((root) => work(root.promises));
  /** The same work as a plain loop. */
  const floors = (work) => ({ floor: () => work(1), 'floor, 2 threads': () => work(2) });
  /** The same function of node:fs, in the other Nodes at hand. */
  const elsewhere = (name, ...args) =>
    Object.fromEntries(
      Object.entries(bench.otherNodes).map(([node, call]) => [`fs, Node ${node}`, () => call(name, ...args)]),
    );
  const remove = {
    fs: () => durationOf(() => fs.rmSync(top, { recursive: true })),
    ...elsewhere('rmSync', top, { recursive: true }),
    GNU: () => floor.program('rm', ['-rf', top], false),
    ...floors((threads) => floor.remove(top, threads)),
    safe: safely((s) => s.remove('tree', { recursive: true, maxEntries: 1e9 })),
  };
  const copied = {
    fs: () => durationOf(() => fs.cpSync(top, copy, { recursive: true })),
    ...elsewhere('cpSync', top, copy, { recursive: true }),
    GNU: () => floor.program('cp', ['-r', top, copy], false),
    ...floors((threads) => floor.copy(top, copy, threads)),
  };
  const list = { recursive: true, withFileTypes: true };
  return {
    'rm -r': {
      before: plant(0),
      ways: { ...everyone((root) => root.rm('tree', true)), ...remove },
    },
    'rm -r, promise': {
      before: plant(0),
      ways: {
        ...promised((root) => root.rm('tree', true)),
        fs: () => durationOf(() => fs.promises.rm(top, { recursive: true })),
        ...floors((threads) => floor.remove(top, threads)),
      },
    },
    'cp -r': {
      first: plant(SMALL),
      after: removeCopy,
      last: () => floor.remove(top, 1),
      ways: { ...everyone((root) => root.cp('tree', 'copy', { recursive: true })), ...copied },
    },
    'cp -r, promise': {
      first: plant(SMALL),
      after: removeCopy,
      last: () => floor.remove(top, 1),
      ways: {
        ...promised((root) => root.cp('tree', 'copy', { recursive: true })),
        fs: () => durationOf(() => fs.promises.cp(top, copy, { recursive: true })),
        ...floors((threads) => floor.copy(top, copy, threads)),
      },
    },
    readdir: {
      first: () => floor.plant(top, listed.dirs, listed.files, 0),
      last: () => floor.remove(top, 1),
      ways: {
        ...everyone((root) => root.readdir('tree', list)),
        fs: () => durationOf(() => fs.readdirSync(top, list)),
        ...elsewhere('readdirSync', top, list),
        GNU: () => floor.program('find', [top], false),
        ...floors((threads) => floor.list(top, threads)),
        safe: safely((s) => drain(s.walk('tree', { symlinkPolicy: 'include', maxEntries: 1e9 }))),
      },
    },
    'readdir, promise': {
      first: () => floor.plant(top, listed.dirs, listed.files, 0),
      last: () => floor.remove(top, 1),
      ways: {
        ...promised((root) => root.readdir('tree', list)),
        fs: () => durationOf(() => fs.promises.readdir(top, list)),
        ...floors((threads) => floor.list(top, threads)),
      },
    },
    walk: {
      first: () => floor.plant(top, listed.dirs, listed.files, 0),
      last: () => floor.remove(top, 1),
      ways: {
        ...everyone((root) => drain(root.walk('tree'))),
        fs: () => durationOf(() => fs.promises.readdir(top, list)),
        ...floors((threads) => floor.list(top, threads)),
        safe: safely((s) => drain(s.walk('tree', { symlinkPolicy: 'include', maxEntries: 1e9 }))),
      },
    },
  };
}

/** What is done with single files of 4 KiB and 64 MiB. */
function contentWork(bench, base, safe) {
  const { floor } = bench;
  const make = (name, size) => () => fs.writeFileSync(`${base}/${name}`, Buffer.alloc(size, 'x'));
  const oursOf = (Root, work) => {
    const root = Root && new Root(base);
    return root && (() => durationOf(() => work(root)));
  };
  const everyone = (work) => ({ ours: oursOf(bench.SandboxRoot, work), other: oursOf(bench.other, work) });
  const safely = (work) => safe && (() => durationOf(() => work(safe)));
  const repeated = (n, work) => () => {
    for (let i = 0; i < n; i += 1) work();
  };
  const read = (name, n) => ({
    ...everyone((root) => repeated(n, () => root.readFile(name))()),
    fs: () => durationOf(repeated(n, () => fs.readFileSync(`${base}/${name}`))),
  });
  const copy = (name, to, n) => ({
    ...everyone((root) => repeated(n, () => root.copyFile(name, to))()),
    fs: () => durationOf(repeated(n, () => fs.copyFileSync(`${base}/${name}`, `${base}/${to}`))),
  });
  const small = 200;
  const large = make('large', LARGE);
  const both = () => {
    large();
    make('large-copy', 1)();
  };
  return {
    'readFile 4 KiB': {
      first: make('f', SMALL),
      ways: {
        ...read('f', small),
        floor: () => floor.calls('readFile', base, '', small, 1, false, false) * small,
      },
    },
    'readFile 64 MiB': {
      first: large,
      ways: {
        ...read('large', 1),
        floor: () => floor.calls('readFile 64 MiB', base, '', 1, 1, false, false),
        safe: safely((s) => s.readBytes('large', { maxBytes: LARGE })),
      },
    },
    'copyFile 4 KiB': {
      first() {
        make('f', SMALL)();
        make('g', SMALL)();
      },
      ways: {
        ...copy('f', 'g', small),
        floor: () => floor.calls('copyFile', base, '', small, 1, false, false) * small,
      },
    },
    'copyFile 64 MiB': {
      first: both,
      ways: {
        ...copy('large', 'large-copy', 1),
        floor: () => floor.calls('copyFile 64 MiB', base, '', 1, 1, false, false),
        safe: safely((s) => s.copyIn('large-copy', { root: s, relativePath: 'large' }, { maxBytes: LARGE })),
      },
    },
  };
}

const BY_REFLINK = 'copyFile by reflink';

/** A copy of 64 MiB that shares the blocks: it takes what one of 1 MiB takes. */
function reflinkWork(bench, base) {
  const N = 20;
  const root = new bench.SandboxRoot(base);
  const to = `${base}/clone`;
  const make = (name, size) => {
    fs.writeFileSync(`${base}/${name}`, Buffer.alloc(size, 'x'));
    root.fsync(name);
  };
  const repeated = (work) => () =>
    durationOf(() => {
      for (let i = 0; i < N; i += 1) work();
    });
  const ours = (name, copy) => repeated(() => root.copyFile(name, copy));
  return {
    [BY_REFLINK]: {
      onlyIf() {
        make('small', MiB);
        try {
          root.copyFile('small', 'small-clone', null, { reflink: 'always' });
          return true;
        } catch {
          return false;
        }
      },
      first: () => make('large', LARGE),
      ways: {
        ours: ours('large', 'clone'),
        '1 MiB': ours('small', 'small-clone'),
        fs: repeated(() => fs.copyFileSync(`${base}/large`, to, fs.constants.COPYFILE_FICLONE)),
        floor: () => bench.floor.calls(BY_REFLINK, base, '', N, 1, false, false) * N,
      },
    },
  };
}

/** Whether this build has what the operation is done with: an earlier one may not. */
function has({ prototype }, operation) {
  const [method] = operation.match(/^\w+/);
  return method in prototype && (!operation.endsWith('promise') || 'promises' in prototype);
}

/** The table of `works` as rows. */
async function* table(bench, place, name, works) {
  for (const [operation, { onlyIf, first, before, after, last, ways }] of Object.entries(works)) {
    if (!bench.wants(name, operation)) continue;
    if (onlyIf && !onlyIf()) continue;
    const all = {};
    for (const [against, run] of Object.entries(ways)) {
      const Root = { ours: bench.SandboxRoot, other: bench.other }[against];
      if (!run || !bench.isWanted(against) || (Root && !has(Root, operation))) continue;
      const prepare = () => {
        before?.();
        bench.collectGarbage();
      };
      all[against] = { prepare, run, clean: after, rounds: against === 'safe' ? SAFE_ROUNDS : undefined };
    }
    if (!('ours' in all)) continue;
    first?.();
    const times = await measure(all, bench.treeRounds, 1, bench.patience);
    last?.();
    yield { table: name, operation, place, times };
  }
}

async function* trees(bench, place, base) {
  const safe = bench.safe && (await bench.safe(base));
  yield* table(bench, place, 'tree', treeWork(bench, place, base, safe));
  yield* table(bench, place, 'content', contentWork(bench, base, safe));
}

async function* reflinks(bench, place, base) {
  yield* table(bench, place, 'content', reflinkWork(bench, base));
}
reflinks.rows = [['content', BY_REFLINK]];

/** What loading costs: `require` over an empty script, in processes of its own; the size of the binary. */
async function* loading(bench, _place, base) {
  const main = path.resolve(bench.build, 'index.js');
  if (bench.wants('load', 'require')) {
    const script = (name, text) => {
      fs.writeFileSync(`${base}/${name}.js`, text);
      return { run: () => bench.floor.program(process.execPath, [`${base}/${name}.js`], bench.cpu) };
    };
    const ways = { ours: script('ours', `require(${JSON.stringify(main)});`), empty: script('empty', '') };
    const { ours, empty } = await measure(ways, bench.rounds);
    yield {
      table: 'load',
      operation: 'require',
      unit: 'ms',
      values: ours.map((took, i) => (took - empty[i]) / 1e6),
    };
  }
  if (bench.wants('load', 'binary')) {
    const sizes = fs.readdirSync(bench.build).filter((name) => name.endsWith('.node'));
    const values = sizes.map((name) => fs.statSync(path.join(bench.build, name)).size / 1e3);
    yield { table: 'load', operation: 'binary', unit: 'KB', values };
  }
}

module.exports = { loading, reflinks, trees };
