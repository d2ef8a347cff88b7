'use strict';
// The examples that work on trees: copies between roots, archives, patterns and watches.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { execFileSync, spawn } = require('node:child_process');
const { Readable } = require('node:stream');
const { SandboxRoot } = require('../..');
const { bar, copyBetweenRoots } = require('../../examples/copy-between-roots.js');
const extract = require('../../examples/extract-archive.js');
const glob = require('../../examples/glob.js');
const watch = require('../../examples/watch.js');
const { EXAMPLES, openBeneath, printedBy, trying, until } = require('./world.js');
const { link, memory, plant, snapshot, tempDir } = require('../support.js');

// ---- copy-between-roots.js

/** A second root beside the first one, while `body` runs. */
async function withOther(base, body) {
  const other = path.join(base, 'other');
  fs.mkdirSync(other);
  const to = new SandboxRoot(other);
  try {
    await body(to, other);
  } finally {
    to.close();
  }
}

const PROJECT = {
  src: { one: '1', two: '2' },
  node_modules: { left: 'out' },
  up: link('../../outside/secret'),
};

trying('copy-between-roots.js copies a tree and says how far it is', async ({ root, dir, base, at }) => {
  plant(dir, { project: PROJECT });
  await withOther(base, async (to, other) => {
    const seen = [];
    await copyBetweenRoots(root, to, 'project', { onProgress: (progress) => seen.push(progress) });
    assert.deepStrictEqual(seen.at(-1), { entries: 5, bytes: 2, total: 5 });
    assert.strictEqual(bar(seen.at(-1)), `[${'#'.repeat(30)}] 5 of 5 entries, 0.0 MB`);
    // The link is copied as it is: nothing of what it leads to.
    fs.rmSync(at('project/node_modules'), { recursive: true });
    assert.deepStrictEqual(snapshot(path.join(other, 'project')), snapshot(at('project')));

    await assert.rejects(copyBetweenRoots(root, to, 'project'), { code: 'EEXIST' });
    await assert.rejects(copyBetweenRoots(root, to, 'out/sub'), { code: 'ELOOP', reason: 'symlink' });
    await assert.rejects(copyBetweenRoots(root, to, '../outside'), { code: 'EACCES', reason: 'outside' });
    fs.mkdirSync(at('gone'));
    fs.symlinkSync('../../outside', path.join(other, 'gone'));
    await assert.rejects(copyBetweenRoots(root, to, 'gone'), { code: 'EEXIST' });
  });
});

trying('copy-between-roots.js leaves nothing of a copy that is stopped', async ({ root, dir, base }) => {
  const files = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`${i}`, 'x'.repeat(1000)]));
  plant(dir, { project: files });
  await withOther(base, async (to) => {
    const controller = new AbortController();
    const { signal } = controller;
    const copying = copyBetweenRoots(root, to, 'project', { signal, onProgress: () => controller.abort() });
    // Where it was done before it could be stopped, all of it is there.
    const isWhole = await copying.then(
      () => true,
      (error) => {
        assert.strictEqual(error.name, 'AbortError');
        return false;
      },
    );
    assert.deepStrictEqual(to.readdir('.'), isWhole ? ['project'] : []);
    const told = new Error('told');
    const onProgress = () => {
      throw told;
    };
    if (!isWhole) await assert.rejects(copyBetweenRoots(root, to, 'project', { onProgress }), told);
  });
});

test('copy-between-roots.js is a program', (t) => {
  const dir = tempDir(t);
  plant(dir, { project: PROJECT, to: {} });
  const args = [path.join(dir, 'project'), path.join(dir, 'to')];
  assert.match(printedBy('copy-between-roots.js', args), /\[#{30}\] 5 of 5 entries, 0\.0 MB\n$/);
  assert.match(printedBy('copy-between-roots.js', args, { status: 1 }), /EEXIST/);
});

// ---- extract-archive.js

/** A header of a tar archive. */
function header(name, { type = '0', size = 0, mode = 0o644, target = '', prefix = '' } = {}) {
  const block = Buffer.alloc(512);
  const octal = (number, length) => number.toString(8).padStart(length - 1, '0');
  block.write(name, 0);
  block.write(octal(mode, 8), 100);
  block.write(typeof size === 'string' ? size : octal(size, 12), 124);
  block.write(type, 156);
  block.write(target, 157);
  block.write('ustar\x0000', 257);
  block.write(prefix, 345);
  block.write(' '.repeat(8), 148);
  block.write(
    `${octal(
      block.reduce((a, b) => a + b),
      7,
    )}\0`,
    148,
  );
  return block;
}

const padded = (content) => Buffer.concat([content, Buffer.alloc(-content.length & 511)]);
const aFile = (name, content = '', rest) =>
  Buffer.concat([header(name, { size: content.length, ...rest }), padded(Buffer.from(content))]);
const aLink = (name, target) => header(name, { type: '2', target });
const aHardLink = (name, target) => header(name, { type: '1', target });
const aDirectory = (name) => header(name, { type: '5', mode: 0o755 });
const pax = (key, value) => {
  let line = ` ${key}=${value}\n`;
  line = `${line.length + 3}${line}`;
  return aFile('pax', line, { type: 'x' });
};
const archive = (...entries) => Buffer.concat([...entries, Buffer.alloc(1024)]);

/** Gives a stream of the bytes in parts of an awkward length. */
function* inParts(bytes, length) {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}
const streamOf = (bytes, length = 700) => Readable.from(inParts(bytes, length));

trying('extract-archive.js extracts what tar makes', async ({ root, dir, at }) => {
  const long = 'n'.repeat(120);
  plant(dir, { from: { a: 'a', big: 'x'.repeat(30_000), sub: { [long]: 'long' }, l: link('sub'), e: '' } });
  fs.linkSync(at('from/a'), at('from/a2'));
  fs.chmodSync(at('from/a'), 0o4750);
  for (const format of ['gnu', 'ustar', 'pax']) {
    const what = format === 'ustar' ? ['--exclude', long] : [];
    const tar = execFileSync('tar', [`--format=${format}`, '-C', at('from'), ...what, '-c', '.'], {
      maxBuffer: 1e7,
    });
    for (const length of [7, 511, 65536]) await extract(streamOf(tar, length), root, `${format}${length}`);
    const [there, expected] = [`${format}65536`, 'from'].map((each) => snapshot(at(each)));
    if (format === 'ustar') delete expected[`sub/${long}`];
    // The bit that makes a program run as its owner is left out.
    for (const name of ['a', 'a2']) expected[name].mode = '100750';
    assert.deepStrictEqual(there, expected);
    assert.deepStrictEqual(snapshot(at(`${format}511`)), there);
  }
  const repository = execFileSync('git', ['init', '-q', at('repository')]) && at('repository');
  plant(repository, { committed: 'text' });
  const git = (...args) =>
    execFileSync('git', ['-C', repository, '-c', 'user.name=a', '-c', 'user.email=b', ...args]);
  git('add', '.');
  git('commit', '-qm', 'one');
  await extract(streamOf(git('archive', 'HEAD')), root, 'archived');
  assert.deepStrictEqual(root.readdir('archived'), ['committed']);
});

const HOSTILE = {
  'a name with ..': archive(aFile('../x', 'x')),
  'a name with .. that stays inside': archive(aDirectory('a'), aFile('a/../x', 'x')),
  'an absolute name': archive(aFile('/tmp/x', 'x')),
  'a long name with ..': archive(pax('path', '../x'), aFile('fine', 'x')),
  'a prefix with ..': archive(aFile('x', 'x', { prefix: '..' })),
  'an empty name': archive(aFile('', 'x')),
  'a link that is absolute': archive(aLink('e', '/etc')),
  'a link that leads out': archive(aLink('e', '../outside')),
  'a long link that leads out': archive(pax('linkpath', '../outside'), aLink('e', 'fine')),
  'a link that leads out by another': archive(aDirectory('a'), aLink('a/up', '..'), aLink('e', 'a/up/..')),
  'a link that leads out by what is not there': archive(aLink('e', 'later/..'), aLink('later', '.')),
  'a file through a link': archive(aDirectory('d'), aLink('l', 'd'), aFile('l/x', 'x')),
  'a file in place of a link': archive(aLink('l', 'd'), aFile('l', 'x')),
  'a link in place of a directory': archive(aDirectory('d'), aLink('d', '.')),
  'a hard link to outside': archive(aHardLink('h', '../outside/secret')),
  'a hard link to what is absolute': archive(aHardLink('h', '/etc/passwd')),
  'a hard link through a link': archive(
    aDirectory('d'),
    aFile('d/x'),
    aLink('l', 'd'),
    aHardLink('h', 'l/x'),
  ),
  // It leads to the top from where it is made, and out of it from there.
  'a hard link to a link': archive(aDirectory('a/b'), aLink('a/b/up', '../..'), aHardLink('up', 'a/b/up')),
  'a name twice': archive(aFile('x', '1'), aFile('x', '2')),
  'a device': archive(header('d', { type: '3' })),
  'a FIFO': archive(header('f', { type: '6' })),
  'too many entries': archive(...Array.from({ length: 30 }, (_, i) => aDirectory(`${i}`))),
  'too many directories in one name': archive(aFile('d/'.repeat(25) + 'x')),
  'too many bytes': archive(aFile('x', 'x'.repeat(3000)), aFile('y', 'x'.repeat(3000))),
  'a size beyond all': archive(header('x', { size: 8 ** 11 - 1 })),
  'a size that is negative': archive(header('x', { size: '-0000000777' }), aFile('y')),
  'a size that is no number': archive(header('x', { size: 'abc' })),
  'a size of another form': archive(header('x', { size: '\x80\0\0\0\0\0\0\0\0\0\x10' })),
  'a long name that is huge': archive(aFile('pax', 'x'.repeat(70_000), { type: 'L' })),
  'a directory with content': archive(aFile('d', 'x'.repeat(600), { type: '5' })),
  'nothing at all': Buffer.alloc(0),
  'no end': aFile('x', 'x'),
  'a header that is cut': archive(aFile('x', 'x')).subarray(0, 300),
  'a content that is cut': aFile('x', 'x'.repeat(2000)).subarray(0, 1500),
  'a header that is damaged': archive(aFile('x', 'x').fill('y', 0, 1)),
  'what is no archive': Buffer.from('x'.repeat(5000)),
};
const LIMITS = { maxEntries: 20, maxBytes: 5000 };

trying('extract-archive.js leaves nothing of a hostile archive', async ({ root }) => {
  const before = root.readdir('.').sort();
  for (const [what, bytes] of Object.entries(HOSTILE)) {
    const limits = what.includes('huge') ? { maxEntries: 20, maxBytes: 1e6 } : LIMITS;
    await assert.rejects(extract(streamOf(bytes), root, 'new', limits), Error, what);
    assert.deepStrictEqual(root.readdir('.').sort(), before, what);
  }
  // The same limits let through what is just within them.
  const within = archive(
    ...Array.from({ length: 19 }, (_, i) => aDirectory(`${i}`)),
    aFile('x', 'x'.repeat(5000)),
  );
  await extract(streamOf(within), root, 'within', LIMITS);
  assert.strictEqual(root.readdir('within').length, 20);
  // What is there is not replaced.
  for (const name of ['within', 'secret', 'out'])
    await assert.rejects(extract(streamOf(archive(aFile('x'))), root, name), { code: 'EEXIST' });
  await assert.rejects(extract(streamOf(archive(aFile('x'))), root, 'out/new'), { code: 'ELOOP' });
  await assert.rejects(extract(streamOf(archive(aFile('x'))), root, '../new'), { code: 'EACCES' });
});

trying(
  'extract-archive.js leaves nothing where its source fails, and closes it',
  async ({ root, dir, at }) => {
    const failing = Readable.from(
      (async function* () {
        yield aFile('x', 'x');
        throw new Error('the network is gone');
      })(),
    );
    await assert.rejects(extract(failing, root, 'new'), /the network is gone/);
    plant(dir, { 'archive.tar': '' });
    fs.writeFileSync(at('archive.tar'), Buffer.concat([HOSTILE['a name with ..'], Buffer.alloc(1e6)]));
    await assert.rejects(extract(fs.createReadStream(at('archive.tar')), root, 'new'), { reason: 'outside' });
    await until(() => openBeneath(dir).length === 1, 'the end of the stream');
  },
);

test('extract-archive.js is a program', (t) => {
  const cwd = tempDir(t);
  assert.strictEqual(
    printedBy('extract-archive.js', ['new'], { cwd, input: archive(aFile('x', 'text')) }),
    '',
  );
  assert.strictEqual(fs.readFileSync(path.join(cwd, 'new/x'), 'utf8'), 'text');
  const input = HOSTILE['a hard link to a link'];
  assert.match(printedBy('extract-archive.js', ['other'], { cwd, input, status: 1 }), /ELOOP/);
  assert.deepStrictEqual(fs.readdirSync(cwd), ['new']);
});

// ---- glob.js

async function found(root, pattern, options) {
  const paths = [];
  for await (const entry of glob(root, pattern, options)) paths.push(entry.path);
  return paths.sort();
}

trying('glob.js lists what matches, and enters nothing else', async ({ root, dir, at }) => {
  plant(dir, {
    'a.js': '',
    'b.ts': '',
    src: {
      'a.js': '',
      'ab.js': '',
      '*.js': '',
      deep: { deeper: { 'a.js': '', out: link('../../../../outside') } },
    },
    forbidden: { 'a.js': '' },
  });
  const cases = {
    '*.js': ['a.js'],
    '?.js': ['a.js'],
    '*': ['a.js', 'b.ts', 'forbidden', 'out', 'secret', 'src'],
    'src/*.js': ['src/*.js', 'src/a.js', 'src/ab.js'],
    'src/**/a.js': ['src/a.js', 'src/deep/deeper/a.js'],
    '**/deeper/**': ['src/deep/deeper', 'src/deep/deeper/a.js', 'src/deep/deeper/out'],
    '**/*.js': ['a.js', 'forbidden/a.js', 'src/*.js', 'src/a.js', 'src/ab.js', 'src/deep/deeper/a.js'],
    '**/**/**/a*.js': ['a.js', 'forbidden/a.js', 'src/a.js', 'src/ab.js', 'src/deep/deeper/a.js'],
    // Links are listed, and never entered.
    'out/*': [],
    '**/secret': ['secret'],
    '../outside/*': [],
    '/etc/*': [],
    'src/[a].js': [],
    '': [],
  };
  for (const [pattern, expected] of Object.entries(cases))
    assert.deepStrictEqual([pattern, await found(root, pattern)], [pattern, expected]);
  const deep = root.openRoot('src/deep');
  assert.deepStrictEqual(await found(deep, '*/a.js'), ['deeper/a.js']);
  deep.close();

  // What cannot hold a match is not even listed.
  const entered = [];
  const spied = {
    walk: (directory, options) =>
      root.walk(directory, {
        ...options,
        filter: (entry) => {
          entered.push(entry.path);
          return options.filter(entry);
        },
      }),
  };
  await found(spied, 'src/*.js');
  assert.deepStrictEqual(
    entered.filter((each) => /^(forbidden|src\/deep)\//.test(each)),
    [],
  );

  // One that is left early closes what it opened: that is seen when the test ends.
  for await (const _ of glob(root, '**')) break;

  // A name that makes backtracking take years.
  fs.writeFileSync(at('a'.repeat(250)), '');
  assert.deepStrictEqual(await found(root, `${'*a'.repeat(60)}*b`), []);
  assert.deepStrictEqual(await found(root, `${'**/'.repeat(60)}b`), []);
});

test('glob.js is a program', (t) => {
  const dir = tempDir(t);
  plant(dir, { 'a.js': '', b: { 'c.js': '', d: '' } });
  assert.deepStrictEqual(printedBy('glob.js', [dir, '**/*.js']).trim().split('\n').sort(), [
    'a.js',
    'b/c.js',
  ]);
});

// ---- watch.js

/** Watches until `work` was done and `isEnough` says so of what was seen. */
async function seenWhile(root, directory, work, isEnough) {
  const controller = new AbortController();
  const watching = watch(root, directory, controller);
  const seen = [];
  let next = watching.next();
  next.catch(() => {});
  await work();
  while (!isEnough(seen)) {
    seen.push((await next).value);
    next = watching.next();
    next.catch(() => {});
  }
  controller.abort();
  await assert.rejects(next, { name: 'AbortError' });
  return seen;
}

trying('watch.js tells what changes in the directory that was found', async ({ root, dir, at }) => {
  plant(dir, { watched: {}, other: {} });
  const seen = await seenWhile(
    root,
    'watched',
    () => {
      // A link in its place leads nowhere else: the watch is on the directory.
      fs.renameSync(at('watched'), at('moved'));
      fs.symlinkSync('../outside', at('watched'));
      fs.symlinkSync('../../outside/secret', at('moved/link'));
      fs.writeFileSync(at('moved/file'), 'text');
    },
    (all) => all.some(({ name, stat }) => name === 'file' && stat?.size === 4),
  );
  const of = (name) => seen.filter((each) => each.name === name).at(-1);
  assert.strictEqual(of('link').stat.mode & fs.constants.S_IFMT, fs.constants.S_IFLNK);
  assert.strictEqual(of('secret'), undefined);
  const gone = await seenWhile(
    root,
    'moved',
    () => fs.rmSync(at('moved/file')),
    (all) => all.length > 0,
  );
  assert.deepStrictEqual(gone, [{ name: 'file', stat: undefined }]);
  for (const [name, code] of Object.entries({
    out: 'ELOOP',
    '../outside': 'EACCES',
    'moved/link': 'ELOOP',
    missing: 'ENOENT',
  }))
    await assert.rejects(watch(root, name).next(), { code });
});

trying(
  'watch.js sees all or nothing of what is moved in across file systems',
  async ({ t, root, dir, at }) => {
    plant(dir, { inbox: {} });
    const elsewhere = tempDir(t, memory);
    plant(elsewhere, {
      project: Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`${i}`, 'text'])),
    });
    const from = new SandboxRoot(elsewhere);
    const counts = [];
    const seen = await seenWhile(
      root,
      'inbox',
      async () => {
        await from.promises.move('project', 'inbox/project', { to: root });
        counts.push(fs.readdirSync(at('inbox/project')).length);
      },
      (all) => all.length > 0,
    );
    from.close();
    assert.deepStrictEqual(new Set(seen.map(({ name }) => name)), new Set(['project']));
    assert.deepStrictEqual(counts, [300]);
  },
);

trying(
  'watch.js closes all where it cannot watch, and when it is left',
  async ({ root, base, dir, at, t }) => {
    plant(dir, { watched: {} });
    t.mock.method(fs.promises, 'watch', () => {
      throw new Error('no more watches');
    });
    await assert.rejects(watch(root, 'watched').next(), /no more watches/);
    // At once, and not when garbage is collected.
    assert.strictEqual(openBeneath(base).length, 1);
    t.mock.restoreAll();
    const later = setTimeout(() => fs.writeFileSync(at('watched/file'), ''), 20);
    t.after(() => clearTimeout(later));
    for await (const { name } of watch(root, 'watched')) {
      assert.strictEqual(name, 'file');
      break;
    }
    assert.strictEqual(openBeneath(base).length, 1);
  },
);

test('watch.js is a program', async (t) => {
  const dir = tempDir(t);
  const child = spawn(process.execPath, [path.join(EXAMPLES, 'watch.js'), dir]);
  t.after(() => child.kill());
  let printed = '';
  child.stdout.on('data', (text) => {
    printed += text;
  });
  await until(() => {
    // Until it is watching, nobody sees it.
    fs.writeFileSync(path.join(dir, 'file'), 'text\n');
    return /^file: 5 bytes$/m.test(printed);
  }, 'the name of the file');
});
