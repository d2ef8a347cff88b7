'use strict';
// What a root allows beside the default: { symlinks, mounts, hardlinks, readonly }.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const vm = require('node:vm');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { SandboxRoot } = require('..');
const {
  callsWithPath,
  codeOf,
  everyCallWithPath,
  isRoot,
  link,
  plant,
  snapshot,
  tempDir,
} = require('./support');

/** A root beside a folder that it must never reach, and what is planted in it. */
function scene(t, tree, options) {
  const base = tempDir(t);
  const dir = path.join(base, 'root');
  fs.mkdirSync(dir);
  plant(base, { outside: { secret: 'secret' } });
  plant(dir, tree);
  return { base, dir, at: (...names) => path.join(dir, ...names), root: new SandboxRoot(dir, options) };
}

const LINKS = {
  file: 'content',
  dir: { inner: 'inner', up: link('../file'), top: link('../..'), deep: {} },
  tofile: link('file'),
  todir: link('dir'),
  chain: link('todir'),
  dangling: link('nowhere'),
  absolute: link('/file'),
  absdir: link('/dir'),
  out: link('../outside'),
  secret: link('../outside/secret'),
  around: link('../root/file'),
  loop: link('loop'),
  magic: link('/proc/self/cwd'),
};

/** What stat says of each path: its size, or the code of the error. */
const seen = (root, paths) =>
  paths.map((at) => {
    try {
      return root.stat(at).size;
    } catch (error) {
      return error.code;
    }
  });

test("symlinks: 'reject' is the default", (t) => {
  const { dir } = scene(t, LINKS);
  for (const options of [undefined, null, {}, { symlinks: undefined }, { symlinks: 'reject' }]) {
    const root = new SandboxRoot(dir, options);
    assert.deepStrictEqual(seen(root, ['file', 'tofile', 'todir/inner', 'dir/../file']), [
      7,
      'ELOOP',
      'ELOOP',
      'EACCES',
    ]);
  }
});

test("symlinks: 'beneath' follows them while they stay beneath, and leaves `..` to the kernel", (t) => {
  const { root } = scene(t, LINKS, { symlinks: 'beneath' });
  const inside = [
    'file',
    'tofile',
    'todir/inner',
    'chain/inner',
    'dir/up',
    'chain/up',
    'dir/../file',
    'chain/../file',
    'dir/deep/../inner',
  ];
  assert.deepStrictEqual(seen(root, inside), [7, 7, 5, 5, 7, 7, 7, 7, 5]);
  const outside = [
    'out',
    'out/secret',
    'secret',
    'around',
    'absolute',
    'absdir/inner',
    'magic',
    '..',
    'dir/../..',
    'dir/top',
    'dir/top/outside',
    '/file',
    '/',
  ];
  assert.deepStrictEqual(
    seen(root, outside),
    outside.map(() => 'EACCES'),
  );
  assert.deepStrictEqual(seen(root, ['dangling', 'loop', 'missing/..']), ['ENOENT', 'ELOOP', 'ENOENT']);
});

test("symlinks: 'in-root' resolves absolute links and `..` inside the root, as in a container", (t) => {
  const { root } = scene(t, LINKS, { symlinks: 'in-root' });
  const inside = [
    'tofile',
    'todir/inner',
    'absolute',
    'absdir/inner',
    '/file',
    '//dir/inner',
    '../file',
    '../../dir/inner',
    'dir/top/file',
    '/../file',
  ];
  assert.deepStrictEqual(seen(root, inside), [7, 5, 7, 5, 7, 5, 7, 5, 7, 7]);
  const missing = ['out', 'out/secret', 'secret', 'around', 'magic', '/etc/passwd', 'dir/top/outside'];
  assert.deepStrictEqual(
    seen(root, missing),
    missing.map(() => 'ENOENT'),
  );
  const { ino } = root.stat('.');
  for (const at of ['/', '..', '/..', 'dir/..', '../..']) assert.strictEqual(root.stat(at).ino, ino);
});

for (const symlinks of ['beneath', 'in-root']) {
  test(`symlinks: '${symlinks}' follows a link at the end, where node:fs would`, (t) => {
    const { root, at } = scene(t, LINKS, { symlinks });
    root.chmod('tofile', 0o600);
    root.truncate('tofile', 3);
    root.utimes('tofile', 1, 2);
    root.copyFile('dir/up', 'todir/copy');
    root.copyFile('tofile', 'dangling');
    fs.closeSync(root.openWrite('todir/new', true));
    fs.closeSync(root.openRead('todir/new'));
    root.mkdir('todir/a/b', true);
    root.mkdir('todir', true);
    const { mode, mtimeMs } = fs.statSync(at('file'));
    assert.deepStrictEqual([mode & 0o777, mtimeMs < 1], [0o600, true]);
    assert.deepStrictEqual(
      ['file', 'dir/copy', 'nowhere'].map((name) => fs.readFileSync(at(name), 'utf8')),
      ['con', 'con', 'con'],
    );
    assert.deepStrictEqual(fs.readdirSync(at('dir')), ['a', 'copy', 'deep', 'inner', 'new', 'top', 'up']);
  });

  test(`symlinks: '${symlinks}' leaves operations on a name to the link itself`, (t) => {
    const { root, at } = scene(t, LINKS, { symlinks });
    root.rename('tofile', 'moved');
    root.link('moved', 'second');
    assert.strictEqual(fs.readlinkSync(at('second')), 'file');
    root.unlink('second');
    root.rm('todir', true);
    root.rm('out', true);
    assert.strictEqual(
      codeOf(() => root.mkdir('chain')),
      'EEXIST',
    );
    assert.strictEqual(
      codeOf(() => root.rmdir('absdir')),
      'ENOTDIR',
    );
    assert.deepStrictEqual(fs.readdirSync(at('dir')), ['deep', 'inner', 'top', 'up']);
    root.rm('dir', true);
    assert.ok(fs.existsSync(at('..', 'outside', 'secret')));
  });

  test(`symlinks: '${symlinks}' never reaches what is outside, by any method`, (t) => {
    const { base, root } = scene(t, { ...LINKS, abs: link('/etc/passwd') }, { symlinks });
    const before = snapshot(path.join(base, 'outside'));
    for (const at of [
      'out/secret',
      'out/new',
      'secret',
      'dir/top/outside/secret',
      '../outside/secret',
      'magic/x',
      'abs',
      '/../../outside/secret',
    ]) {
      for (const [name, call, method] of everyCallWithPath) {
        // On a name of its own a link is acted on itself; what the rest reaches is checked below.
        if (
          ['secret', 'abs'].includes(at) &&
          ['unlink', 'remove', 'rename', 'renameNoReplace', 'exchange', 'link', 'rm', 'copyFile'].includes(
            method,
          )
        )
          continue;
        try {
          call(root, at);
        } catch (error) {
          assert.match(
            error.code,
            /^(EACCES|ENOENT|EEXIST|ENOTDIR|EISDIR|EINVAL|ELOOP)$/,
            `${name} of ${at}`,
          );
        }
      }
    }
    assert.deepStrictEqual(snapshot(path.join(base, 'outside')), before);
  });
}

test('where the last component is `..` there is no name to remove, rename or make', (t) => {
  const { dir, root } = scene(t, LINKS, { symlinks: 'beneath' });
  const before = snapshot(dir);
  const expected = {
    unlink: 'EBUSY',
    rmdir: 'EBUSY',
    remove: 'EBUSY',
    mkfifo: 'EEXIST',
    rename: 'EBUSY',
    renameNoReplace: 'EBUSY',
    rm: 'EBUSY',
    symlink: 'EEXIST',
    mkdir: 'EEXIST',
  };
  for (const [method, code] of Object.entries(expected)) {
    for (const at of ['dir/..', 'dir/deep/..', 'dir/deep/../']) {
      assert.strictEqual(
        codeOf(() => callsWithPath[method][0](root, at)),
        code,
        `${method} of ${at}`,
      );
    }
  }
  root.mkdir('dir/deep/..', true);
  assert.deepStrictEqual(snapshot(dir), before);
});

test("mounts: 'reject' does not cross into a mount, and 'allow' does", {
  skip: !isRoot && 'needs root to mount',
}, (t) => {
  const { dir, root: open, at } = scene(t, { mnt: {}, file: 'x' });
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', at('mnt')]);
  try {
    fs.writeFileSync(at('mnt/inner'), 'inner');
    const closed = new SandboxRoot(dir, { mounts: 'reject' });
    assert.strictEqual(open.stat('mnt/inner').size, 5);
    for (const [name, call, method] of everyCallWithPath) {
      if (['mkdir', 'mkfifo', 'symlink'].includes(method)) continue;
      assert.strictEqual(
        codeOf(() => call(closed, 'mnt/inner')),
        'EACCES',
        name,
      );
    }
    assert.strictEqual(
      codeOf(() => closed.mkdir('mnt/new', true)),
      'EACCES',
    );
    assert.deepStrictEqual(fs.readdirSync(at('mnt')), ['inner']);
  } finally {
    execFileSync('umount', [at('mnt')]);
  }
});

test("hardlinks: 'reject' refuses the content of a file that has another name", (t) => {
  const { dir, root: open, at } = scene(t, { file: 'file', one: 'x', two: 'y', dir: { a: {}, b: {} } });
  fs.linkSync(at('two'), at('second'));
  const root = new SandboxRoot(dir, { hardlinks: 'reject' });
  const contents = { openRead: [0], openWrite: [0, 1, 2], truncate: [0], copyFile: [0, 1] };
  for (const [method, calls] of Object.entries(contents)) {
    for (const i of calls) {
      assert.strictEqual(
        codeOf(() => callsWithPath[method][i](root, 'two')),
        'EMLINK',
        `${method} (${i + 1})`,
      );
    }
  }
  assert.strictEqual(fs.readFileSync(at('two'), 'utf8'), 'y');
  assert.deepStrictEqual([root.stat('two').nlink, open.stat('two').nlink], [2, 2]);
  fs.closeSync(root.openRead('dir'));
  fs.closeSync(root.openRead('one'));
  fs.closeSync(open.openRead('two'));
});

const CHANGES_NOTHING = [
  'stat', 'lstat', 'statfs', 'access', 'readlink', 'realpath', 'readdir', 'opendir', 'openRoot', 'hostPath', 'openRead', 'readFile', 'fsync',
]; // biome-ignore format: a list

test('readonly: every method that changes something is EROFS, and nothing is changed', (t) => {
  const { dir, at } = scene(t, { file: 'x', dir: {} });
  const root = new SandboxRoot(dir, { readonly: true });
  const before = snapshot(dir);
  for (const name of ['file', 'dir', 'new', 'missing/new', '.']) {
    for (const [label, call, method] of everyCallWithPath) {
      if (CHANGES_NOTHING.includes(method) || ['open (1)', 'open (4)'].includes(label)) continue;
      assert.strictEqual(
        codeOf(() => call(root, name)),
        'EROFS',
        `${label} of ${name}`,
      );
    }
  }
  assert.throws(() => root.mkdtemp('dir/x'), { code: 'EROFS', path: 'dir/xXXXXXX' });
  const { O_CREAT, O_RDONLY, O_WRONLY } = fs.constants;
  for (const flags of ['r+', 'wx', 'a', O_WRONLY, O_RDONLY | O_CREAT])
    assert.throws(() => root.open('file', flags), { code: 'EROFS', path: 'file' }, `${flags}`);
  assert.strictEqual(root.stat('file').size, 1);
  fs.closeSync(root.openRead('file'));
  for (const method of ['readFile', 'realpath', 'fsync']) root[method]('file');
  assert.throws(() => root.openRoot('dir').mkdir('x'), { code: 'EROFS' });
  assert.deepStrictEqual([snapshot(dir), fs.readFileSync(at('file'), 'utf8')], [before, 'x']);
});

test('a policy that is misspelt is refused', (t) => {
  const { dir } = scene(t, {});
  const wrong = [
    [{ symlink: 'reject' }, 'ERR_INVALID_ARG_VALUE'],
    [{ readOnly: true }, 'ERR_INVALID_ARG_VALUE'],
    [{ symlinks: 'Beneath' }, 'ERR_INVALID_ARG_VALUE'],
    [{ symlinks: '' }, 'ERR_INVALID_ARG_VALUE'],
    [{ symlinks: null }, 'ERR_INVALID_ARG_TYPE'],
    [{ symlinks: false }, 'ERR_INVALID_ARG_TYPE'],
    [{ mounts: 'no' }, 'ERR_INVALID_ARG_VALUE'],
    [{ mounts: false }, 'ERR_INVALID_ARG_TYPE'],
    [{ hardlinks: 0 }, 'ERR_INVALID_ARG_TYPE'],
    [{ readonly: 'true' }, 'ERR_INVALID_ARG_TYPE'],
    [{ readonly: null }, 'ERR_INVALID_ARG_TYPE'],
    ['readonly', 'ERR_INVALID_ARG_TYPE'],
    [true, 'ERR_INVALID_ARG_TYPE'],
    [() => {}, 'ERR_INVALID_ARG_TYPE'],
  ];
  for (const [options, code] of wrong)
    assert.strictEqual(
      codeOf(() => new SandboxRoot(dir, options)),
      code,
      JSON.stringify(options),
    );
});

test('a policy that would not be read is refused, and is not the weaker one', (t) => {
  const dir = tempDir(t);
  fs.mkdirSync(path.join(dir, 'dir'));
  class Strict {
    get readonly() {
      return true;
    }
  }
  const parent = new SandboxRoot(dir);
  const hidden = Object.defineProperty({}, 'hardlinks', { value: 'reject' });
  const foreign = vm.runInNewContext("Object.create({ symlinks: 'reject' })");
  const bare = Object.create(Object.assign(Object.create(null), { mounts: 'reject' }));
  for (const options of [Object.create({ readonly: true }), new Strict(), hidden, foreign, bare]) {
    for (const open of [() => new SandboxRoot(dir, options), () => parent.openRoot('dir', options)])
      assert.throws(open, { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' });
  }
  // What is own counts, whatever is inherited beside it; what all objects have was put there by anybody.
  const own = Object.assign(Object.create({ readonly: false }), { readonly: true });
  assert.throws(() => new SandboxRoot(dir, own).mkdir('new'), { code: 'EROFS' });
  class Own {
    readonly = true;
  }
  assert.throws(() => new SandboxRoot(dir, new Own()).mkdir('new'), { code: 'EROFS' });
});
