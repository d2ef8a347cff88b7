'use strict';
// The system calls of the view, its streams, handles, directories and watchers: none names a place of the host. A path
// is looked up by openat2 beneath the root, and what Node does with a descriptor it does by its number, or by the entry
// of that number in /proc.

const assert = require('node:assert');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { tempDir } = require('./support');
const { withoutStrace } = require('./syscalls/strace');

const BEGIN = '/the/view/begins/here';

/** Everything that the view does with a path, under strace. */
async function program(index, dir, begin) {
  const fs = require('node:fs');
  const { once } = require('node:events');
  const { createFs } = require(index);
  const view = createFs(dir);
  const settled = async (action) => {
    try {
      return await action();
    } catch (error) {
      // What has none is a mistake of this program.
      if (error.code === undefined) throw error;
    }
  };
  // Loads what is loaded with the first call of each.
  const everything = async () => {
    for (const at of ['/file', '/dir/file', '/tofile', '/todir/file', '/none']) {
      for (const [name, ...rest] of CALLS) {
        const args = rest.map((one) => (one === 'AT' ? at : one));
        await settled(() => view[`${name}Sync`](...args));
        await settled(() => view.promises[name](...args));
      }
      await settled(async () => (await view.promises.open(at, 'r+')).close());
      await settled(async () => view.closeSync(view.openSync(at)));
      await settled(async () => {
        for await (const _ of view.createReadStream(at));
      });
      for (const options of [{}, { atomic: true }, { maxBytes: 3 }]) {
        await settled(async () => once(view.createWriteStream(at, options).end('x'), 'close'));
      }
      await settled(() => view.watch(at).close());
      const events = view.promises.watch(at, { signal: AbortSignal.timeout(30) });
      await settled(() => events.next());
      for (const options of [{}, { recursive: true }]) {
        await settled(async () => {
          for await (const _ of await view.promises.opendir('/dir', options));
        });
      }
    }
  };
  const CALLS = [
    ['access', 'AT'],
    ['appendFile', 'AT', 'x'],
    ['chmod', 'AT', 0o640],
    ['chown', 'AT', process.getuid(), process.getgid()],
    ['copyFile', 'AT', '/copy'],
    ['cp', 'AT', '/new/copied', { recursive: true }],
    ['lchown', 'AT', process.getuid(), process.getgid()],
    ['link', 'AT', '/linked'],
    ['lstat', 'AT'],
    ['lutimes', 'AT', 1, 2],
    ['mkdir', 'AT', { recursive: true }],
    ['mkdtemp', 'AT'],
    ['readFile', 'AT'],
    ['readFile', 'AT', { flag: 'r+' }],
    ['readdir', 'AT', { recursive: true, withFileTypes: true }],
    ['readlink', 'AT'],
    ['realpath', 'AT'],
    ['rename', 'AT', 'AT'],
    ['rm', '/new', { recursive: true }],
    ['rm', '/linked'],
    ['rmdir', '/copy'],
    ['stat', 'AT'],
    ['statfs', 'AT'],
    ['symlink', 'anywhere', '/copy'],
    ['truncate', 'AT', 3],
    ['unlink', '/copy'],
    ['utimes', 'AT', 1, 2],
    ['writeFile', 'AT', 'x'],
    ...(fs.globSync ? [['glob', '/**']] : []),
  ];
  await everything();
  await settled(async () => fs.accessSync(begin));
  await everything();
  await settled(async () => fs.accessSync(begin));
}

/** System calls that take no path as an argument, or one that is not looked up. */
const OF_PROC = /^(statfs|openat|open|inotify_add_watch|newfstatat|readlink|readlinkat)$/;

test('no system call of the view names a place of the host', { skip: withoutStrace() }, (t) => {
  const dir = tempDir(t);
  fs.mkdirSync(path.join(dir, 'dir'));
  for (const name of ['file', 'dir/file']) fs.writeFileSync(path.join(dir, name), 'content');
  fs.symlinkSync('file', path.join(dir, 'tofile'));
  fs.symlinkSync('dir', path.join(dir, 'todir'));
  const log = path.join(tempDir(t), 'log');
  const index = path.join(__dirname, '../fs.js');
  const script = `(${program})(${[index, dir, BEGIN].map((text) => JSON.stringify(text))})`;
  const args = [
    '-f',
    '-qq',
    '-e',
    'trace=%file,%desc',
    '-e',
    'signal=none',
    '-o',
    log,
    process.execPath,
    '-e',
    script,
  ];
  const { status, stderr } = spawnSync('strace', args, { encoding: 'utf8' });
  assert.strictEqual(status, 0, stderr);
  const [, during, ...rest] = fs.readFileSync(log, 'utf8').split(new RegExp(`.*${BEGIN}.*\n`));
  assert.ok(during !== undefined && rest.length > 0);
  const seen = {};
  for (const line of during.split('\n')) {
    const [, name, args] = /^\d+ +(\w+)\((.*)$/.exec(line) ?? [];
    if (name === undefined) continue;
    seen[name] = (seen[name] ?? 0) + 1;
    // What is asked of `/` and `/proc` itself is how it is made sure that this is procfs.
    for (const [, text] of args.matchAll(/"((?:\\.|[^"\\])*)"/g)) {
      const isOfProc =
        OF_PROC.test(name) && /^\/proc\/(self|thread-self)(\/fd(\/\d+(\/\.)?)?)?$|^\/proc$/.test(text);
      const isData = /^(read|write|pread64|pwrite64|writev|getdents64|readlinkat)$/.test(name);
      if (isData || isOfProc) continue;
      assert.ok(!text.startsWith('/'), line);
      assert.ok(!args.includes('AT_FDCWD'), line);
    }
    if (name === 'openat2')
      assert.match(
        line,
        /RESOLVE_BENEATH\|RESOLVE_NO_MAGICLINKS\|RESOLVE_NO_SYMLINKS|RESOLVE_NO_MAGICLINKS\|RESOLVE_NO_SYMLINKS\|RESOLVE_BENEATH/,
        line,
      );
  }
  assert.ok(seen.openat2 > 100, JSON.stringify(seen));
  assert.ok(seen.inotify_add_watch > 0, JSON.stringify(seen));
  t.diagnostic(JSON.stringify(seen));
});
