'use strict';
// Extracts a tar archive into a new directory, which appears when all of it is there. The archive is not trusted:
// entries and bytes are limited, nothing is replaced, and no name and no link in it leads out of that directory.
//
//   zcat archive.tar.gz | node extract-archive.js directory

const assert = require('node:assert');
const path = require('node:path');
const consumers = require('node:stream/consumers');
const { SandboxRoot } = require('..');

// The next `size` bytes of an archive, in parts.
async function* take(tar, size) {
  while (size > 0) {
    if (tar.rest.length === 0) tar.rest = (await tar.chunks.next()).value ?? assert.fail('it ends too early');
    yield tar.rest.subarray(0, size);
    [tar.rest, size] = [tar.rest.subarray(size), size - tar.rest.length];
  }
}

// How each type of entry is made; or what it says about the next entry: x and L are for long names.
const MAKE = {
  0: (into, name, content, mode) => into.writeFile(name, content, { flag: 'wx', mode: mode & 0o777 }),
  // Never to a symlink: `realpath` fails. A relative symlink with a second name could lead out from there.
  1: async (into, name, _content, _mode, target) => into.link(await into.realpath(target), name),
  2: (into, name, _content, _mode, target) => into.symlink(target, name, { beneath: true }),
  5: (into, name) => into.mkdir(name, true),
  x: (_into, _name, content) => consumers.text(content),
  L: async (_into, _name, content) => `0 path=${(await consumers.text(content)).split('\0', 1)[0]}`,
};

async function extractAll(tar, into, { maxEntries = 1e5, maxBytes = 1e9 } = {}) {
  for (let long = ''; ; ) {
    const header = await consumers.buffer(take(tar, 512));
    if (header.every((byte) => byte === 0)) return;
    const text = (from, length) => header.toString('utf8', from, from + length).split('\0', 1)[0];
    const [mode, size, sum] = [text(100, 8), text(124, 12), text(148, 8)].map((s) => Number(`0o${s.trim()}`));
    const type = text(156, 1).replace('g', 'x') || '0';
    assert(MAKE[type] && header.fill(' ', 148, 156).reduce((a, b) => a + b) === sum, 'a header is damaged');
    const told = (key) => new RegExp(`^\\d+ ${key}=(.*)$`, 'm').exec(long)?.[1];
    const name = told('path') ?? [text(345, 155), text(0, 100)].filter(Boolean).join('/');
    // Each directory on the way counts: one long name would make thousands of them.
    [maxEntries, maxBytes] = [maxEntries - name.split('/').length, maxBytes - size];
    assert(maxEntries >= 0 && maxBytes >= 0 && (type === '0' || size < 65536), 'it has too much in it');
    if (type < 'A') await into.mkdir(path.posix.dirname(name), true);
    long = await MAKE[type](into, name, take(tar, size), mode, told('linkpath') ?? text(157, 100));
    await consumers.buffer(take(tar, -size & 511));
  }
}

module.exports = async (stream, root, name, limits) => {
  const hidden = await root.promises.mkdtemp('.extract-');
  try {
    const into = root.openRoot(hidden, { symlinks: 'reject' });
    const tar = { chunks: stream[Symbol.asyncIterator](), rest: '' };
    await extractAll(tar, into.promises, limits).finally(() => into.close());
    await root.promises.renameNoReplace(hidden, name);
  } finally {
    stream.destroy();
    await root.promises.rm(hidden, true, true);
  }
};

if (require.main === module) module.exports(process.stdin, new SandboxRoot('.'), process.argv[2]);
