'use strict';
// Under strace, every way through every method: which system calls are made, and that none of them
// could leave the root, follow a symlink, wait, or leave a descriptor behind. The rules that they
// are held to, and the ways, are in syscalls/.

const test = require('node:test');
const assert = require('node:assert');
const path = require('node:path');
const { SandboxRoot } = require('..');
const { FULL } = require('./sizes');
const { NEVER_FAILS, POLICIES, memory, methods, tempDir, tool } = require('./support');
const { audit, parse, trace } = require('./syscalls/trace');
const { WIDE, prepare } = require('./syscalls/audited');
const { ASKED_FIRST, ONLY_SYNC, OPENS, WAYS } = require('./syscalls/ways');
const { withoutStrace } = require('./syscalls/strace');

const skip = withoutStrace();

/** What audited.js did under strace: for each call what came of it, and what is wrong with it. */
function audited(
  t,
  { method, symlinks = 'reject', mounts = 'allow', later = false, brief = false, procfs, ...how } = {},
) {
  const dir = tempDir(t, memory);
  const options = { method, later, brief, symlinks, mounts };
  prepare(dir, options);
  const program = [path.join(__dirname, 'syscalls/audited.js'), dir, JSON.stringify(options)];
  const { stdout, sections } = trace(dir, program, how);
  return JSON.parse(stdout).map((result, i) => {
    const rules = { symlinks, mounts };
    const constructed = audit(sections.get(`constructor-${i}`), { method: 'constructor', ...rules });
    assert.deepStrictEqual([...constructed.complaints, constructed.left.length], [1], 'making the root');
    const [root] = constructed.left;
    // Another root, if the call is between two.
    const second = audit(sections.get(`constructed-${i}`), { method: 'constructor', ...rules });
    const to = second.left[0];
    const calls = sections.get(`call-${i}`);
    // One that is made by the call itself is as by default.
    const known = result.method === 'constructor' ? {} : { root, to, procfs, later, ...rules };
    const { complaints, left } = audit(calls, { method: result.method, ...known });
    return { ...result, calls, complaints, left: left.map(Number) };
  });
}

const BENEATH = 'resolve=RESOLVE_NO_MAGICLINKS|RESOLVE_NO_SYMLINKS|RESOLVE_BENEATH';
/** How the directory above one in a tree is opened. */
const UP = 'resolve=RESOLVE_NO_MAGICLINKS|RESOLVE_NO_SYMLINKS';

/** What each rule is there to find, beside the same call as it should be. Descriptor 18 is the root's. */
const FORBIDDEN = [
  ['not from the root', `openat2(17, "a/b", {flags=O_PATH|O_CLOEXEC, ${BENEATH}}, 24) = 20`],
  ['not from the root', `openat2(AT_FDCWD, "a/b", {flags=O_PATH|O_CLOEXEC, ${BENEATH}}, 24) = 20`],
  ['not the resolve flags', `openat2(18, "a", {flags=O_PATH|O_CLOEXEC, resolve=RESOLVE_NO_SYMLINKS|RESOLVE_BENEATH}, 24) = 20`],
  ['not the resolve flags', `openat2(18, "a", {flags=O_PATH|O_CLOEXEC, resolve=RESOLVE_NO_MAGICLINKS|RESOLVE_BENEATH}, 24) = 20`],
  ['not the resolve flags', `openat2(18, "a", {flags=O_PATH|O_CLOEXEC, resolve=RESOLVE_NO_MAGICLINKS|RESOLVE_NO_SYMLINKS|RESOLVE_IN_ROOT}, 24) = 20`],
  ['not the resolve flags', 'openat2(18, "a", {flags=O_PATH|O_CLOEXEC, resolve=0}, 24) = 20'],
  ['not the resolve flags', 'openat2(18, "a", {flags=O_PATH|O_CLOEXEC, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = 20'],
  ['a child would inherit it', `openat2(18, "a/b", {flags=O_RDONLY|O_PATH, ${BENEATH}}, 24) = 20`],
  ['says where it leads out', `openat2(18, "/a", {flags=O_PATH|O_CLOEXEC, ${BENEATH}}, 24) = -1 EXDEV (Invalid)`],
  ['says where it leads out', `openat2(18, "a/../b", {flags=O_PATH|O_CLOEXEC, ${BENEATH}}, 24) = 20`],
  ['emptied before', `openat2(18, "a", {flags=O_WRONLY|O_TRUNC|O_NONBLOCK|O_NOCTTY|O_CLOEXEC, ${BENEATH}}, 24) = 20`],
  ['wait for a peer', `openat2(18, "a", {flags=O_RDONLY|O_CLOEXEC, ${BENEATH}}, 24) = 20`],
  ['by a path of the host', 'openat(AT_FDCWD, "/tmp/x", O_RDONLY|O_NOFOLLOW|O_CLOEXEC) = 20'],
  ['by a path of the host', 'openat(AT_FDCWD, "x", O_RDONLY|O_NOFOLLOW|O_CLOEXEC) = 20'],
  ['by a path of the host', 'open("/tmp/x", O_PATH|O_DIRECTORY|O_CLOEXEC) = 20'],
  ['by a path of the host', 'openat(AT_FDCWD, "/proc", O_RDONLY|O_NOFOLLOW|O_CLOEXEC|O_DIRECTORY) = 20'],
  ...[
    'openat(18, "a", O_RDONLY|O_NOFOLLOW|O_DIRECTORY|O_CLOEXEC) = 20',
    'openat(18, "a", O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0644) = 20',
    'openat(18, ".", O_WRONLY|O_CLOEXEC|O_TMPFILE, 0644) = 20',
    'openat(18, ".", O_RDONLY|O_CLOEXEC|O_DIRECTORY) = 20',
    'openat(18, "..", O_RDONLY|O_NOFOLLOW|O_DIRECTORY|O_CLOEXEC) = 20',
  ].map((line) => ['not by openat2', line]),
  ['made, or opened if it is there', `openat2(20, "a", {flags=O_WRONLY|O_CREAT|O_NONBLOCK|O_NOCTTY|O_CLOEXEC, mode=0644, ${BENEATH}}, 24) = 21`],
  ['not the resolve flags', `openat2(20, "a", {flags=O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, mode=0644, resolve=RESOLVE_NO_MAGICLINKS|RESOLVE_BENEATH}, 24) = 21`],
  ['not from the root', `openat2(20, "a/b", {flags=O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, mode=0644, ${BENEATH}}, 24) = 21`],
  ['not from the root', `openat2(17, "a", {flags=O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, mode=0644, ${BENEATH}}, 24) = 21`],
  ['upwards', `openat2(20, "..", {flags=O_RDONLY|O_DIRECTORY|O_CLOEXEC, ${UP}}, 24) = 21`],
  ['not one name', 'unlinkat(18, "a/b", 0) = 0'],
  ['not one name', 'unlinkat(18, "a/", AT_REMOVEDIR) = 0'],
  ['not one name', 'unlinkat(18, "..", AT_REMOVEDIR) = -1 ENOTEMPTY (Directory not empty)'],
  ['not in a directory that it opened', 'unlinkat(AT_FDCWD, "a", 0) = -1 ENOENT (No such file or directory)'],
  ['not in a directory that it opened', 'unlinkat(17, "a", 0) = 0'],
  ['not one name', 'mkdirat(18, "a/b", 0755) = 0'],
  ['not in a directory that it opened', 'mkdirat(AT_FDCWD, "a", 0755) = 0'],
  ['not one name', 'newfstatat(18, "a/b", {st_mode=S_IFREG|0644, st_size=1, ...}, AT_SYMLINK_NOFOLLOW) = 0'],
  ['a symlink is followed', 'newfstatat(18, "a", {st_mode=S_IFREG|0644, st_size=1, ...}, 0) = 0'],
  ['not one name', 'symlinkat("/any/where", 18, "a/b") = 0'],
  ['not in a directory that it opened', 'symlinkat("/any/where", AT_FDCWD, "a") = 0'],
  ['not one name', 'linkat(18, "a", 18, "b/c", 0) = 0'],
  ['a symlink is followed', 'linkat(18, "a", 18, "b", AT_SYMLINK_FOLLOW) = 0'],
  ['not one name', 'renameat2(18, "a/b", 18, "c", 0) = 0'],
  ['not in a directory that it opened', 'renameat2(18, "a", AT_FDCWD, "c", 0) = 0'],
  ['nothing asks for', 'renameat2(18, "a", 18, "c", RENAME_EXCHANGE) = 0'],
  ['not from the root', `openat2(17, "a", {flags=O_PATH|O_CLOEXEC, ${BENEATH}}, 24) = 20`],
  ['not from the root', `openat2(20, "a/.", {flags=O_WRONLY|O_CLOEXEC|O_TMPFILE, mode=0644, ${BENEATH}}, 24) = 21`],
  ['not from the root', `openat2(17, ".", {flags=O_WRONLY|O_CLOEXEC|O_TMPFILE, mode=0644, ${BENEATH}}, 24) = 21`],
  ['not from the root', `openat2(20, ".", {flags=O_PATH|O_CLOEXEC, ${BENEATH}}, 24) = 21`],
  ['not a descriptor that it opened', 'linkat(17, "", 18, "b", AT_EMPTY_PATH) = 0'],
  ['not one name', 'linkat(17, "5", 18, "b", AT_SYMLINK_FOLLOW) = 0'.replace('"b"', '"b/c"')],
  ['a symlink is followed', 'linkat(18, "5", 18, "b", AT_SYMLINK_FOLLOW) = 0'],
  ['a name is looked up', 'statx(18, "x", AT_STATX_SYNC_AS_STAT, STATX_ALL, {stx_mode=S_IFREG|0644, ...}) = 0'],
  ['not in a directory that it opened', 'statx(17, "", AT_STATX_SYNC_AS_STAT|AT_EMPTY_PATH, STATX_ALL, {stx_mode=S_IFREG|0644, ...}) = 0'],
  ['not a descriptor that it opened', 'write(17, "content", 7) = 7'],
  ['not a descriptor that it opened', 'read(17, "content", 7) = 7'],
  ['not a descriptor that it opened', 'fchown(17, 0, 0) = 0'],
  ['no FIFO', 'mknodat(18, "a", S_IFCHR|0600, makedev(0x1, 0x3)) = 0'],
  ['not one name', 'mknodat(18, "a/b", S_IFIFO|0600) = 0'],
  ['a name is looked up', 'fchmodat2(18, "a", 0600, 0) = 0'],
  ['a name is looked up', 'syscall_0x1c4(0x12, 0x7f0000001000, 0x180, 0, 0, 0) = 0'],
  ['not of /proc', 'fchmodat(AT_FDCWD, "/proc/self/fd/18", 0600) = 0'],
  ['not of /proc', 'fchmodat(18, "a", 0600) = 0'],
  ['a symlink is followed', 'utimensat(18, "a", NULL, 0) = 0'],
  ['not one name', 'utimensat(18, "a/b", NULL, AT_SYMLINK_NOFOLLOW) = 0'],
  ['not a descriptor that it opened', 'utimensat(17, "", NULL, AT_EMPTY_PATH) = 0'],
  ['a symlink is followed', 'fchownat(18, "a", 0, 0, 0) = 0'],
  ['not one name', 'fchownat(18, "a/", 0, 0, AT_SYMLINK_NOFOLLOW) = 0'],
  ['not in a directory that it opened', 'fchownat(AT_FDCWD, "a", 0, 0, AT_SYMLINK_NOFOLLOW) = 0'],
  ['not a descriptor that it opened', 'fchownat(17, "", 0, 0, AT_EMPTY_PATH) = 0'],
  ['a name is looked up', 'faccessat2(18, "a", R_OK, 0) = 0'],
  ['not a descriptor that it opened', 'faccessat2(17, "", R_OK, AT_EMPTY_PATH) = 0'],
  ['not one name', 'readlinkat(18, "a/b", "x", 256) = 1'],
  ['not in a directory that it opened', 'readlinkat(AT_FDCWD, "a", "x", 256) = 1'],
  ['copied or changed', 'fcntl(18, F_DUPFD, 3) = 20'],
  ['not a descriptor that it opened', 'close(18) = 0'],
  ['not a descriptor that it opened', 'ftruncate(17, 0) = 0'],
  ['unknown to the rules', 'ioctl(18, FS_IOC_SETFLAGS, [FS_IMMUTABLE_FL]) = 0'],
  ...[
    'unlink("/tmp/x") = 0',
    'mkdir("x", 0755) = 0',
    'stat("/tmp/x", {st_mode=S_IFREG|0644, st_size=1, ...}) = 0',
    'chmod("/proc/self/fd/18", 0600) = 0',
    'rename("a", "b") = 0',
    'readlink("/proc/self/fd/18", "/tmp/x", 4095) = 6',
    'access("x", F_OK) = 0',
    'dup(18) = 20',
    'faccessat(18, "x", F_OK) = 0',
    'chdir("/tmp") = 0',
    'pwritev2(20, [{iov_base="content", iov_len=7}], 1, 0, 0) = 7',
    'fchdir(18) = 0',
    'mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 18, 0) = 0x7f0000001000',
  ].map((line) => ['no rule', line]),
]; // biome-ignore format: a table

const ALLOWED = [
  `openat2(18, "a/b", {flags=O_RDONLY|O_CLOEXEC|O_PATH|O_DIRECTORY, ${BENEATH}}, 24) = 20`,
  `openat2(18, ".", {flags=O_WRONLY|O_NOCTTY|O_NONBLOCK|O_LARGEFILE|O_CLOEXEC|O_CREAT, mode=0644, ${BENEATH}}, 24) = -1 EISDIR (Is a directory)`,
  `openat2(18, "a", {flags=O_RDONLY|O_LARGEFILE|O_NOFOLLOW|O_CLOEXEC|O_DIRECTORY, ${BENEATH}}, 24) = 21`,
  `openat2(20, "a", {flags=O_WRONLY|O_CREAT|O_EXCL|O_LARGEFILE|O_CLOEXEC, mode=0644, ${BENEATH}}, 24) = 22`,
  'unlinkat(20, "a, \\"b\\" \\n\\303\\274 ..c", 0) = 0',
  'symlinkat("/any/../where", 20, "a") = 0',
  'linkat(18, "a", 20, "b", 0) = 0',
  'linkat(20, "", 18, "b", AT_EMPTY_PATH) = 0',
  `openat2(20, "a", {flags=O_RDONLY|O_CLOEXEC|O_DIRECTORY, ${BENEATH}}, 24) = 23`,
  `openat2(20, ".", {flags=O_RDONLY|O_CLOEXEC|O_DIRECTORY, ${BENEATH}}, 24) = 24`,
  `openat2(20, ".", {flags=O_WRONLY|O_CLOEXEC|O_TMPFILE, mode=0644, ${BENEATH}}, 24) = 25`,
  'fcntl(20, F_DUPFD_CLOEXEC, 0) = 26',
  'mknodat(20, "a", S_IFIFO|0600) = 0',
  'statx(18, "", AT_STATX_SYNC_AS_STAT|AT_EMPTY_PATH, STATX_MNT_ID, {stx_mode=S_IFDIR|0755, ...}) = 0',
  'read(22, "content", 7) = 7',
  'write(22, "content", 7) = 7',
  'fsync(22) = 0',
  ...[23, 24, 25, 26].map((fd) => `close(${fd}) = 0`),
  'renameat2(18, "a", 20, "c", RENAME_NOREPLACE) = 0',
  'newfstatat(20, "a", {st_mode=S_IFREG|0644, st_size=1, ...}, AT_SYMLINK_NOFOLLOW) = 0',
  'fchmodat2(20, "", 0600, AT_EMPTY_PATH) = 0',
  'fchownat(20, "", 0, -1, AT_EMPTY_PATH) = 0',
  'fchownat(20, "a", 0, -1, AT_SYMLINK_NOFOLLOW) = 0',
  'utimensat(18, "a", NULL, AT_SYMLINK_NOFOLLOW) = 0',
  'faccessat2(20, "", R_OK, AT_EMPTY_PATH) = 0',
  'readlinkat(20, "a", "/any/../where", 256) = 13',
  'syscall_0x1c4(0x14, 0x7f0000001000, 0x180, 0x1000, 0, 0) = 0',
  'utimensat(20, "", [{tv_sec=0, tv_nsec=1} /* 1970-01-01T00:00:00.1+0000 */, UTIME_OMIT], AT_EMPTY_PATH) = 0',
  'ioctl(22, BTRFS_IOC_CLONE or FICLONE, 21) = -1 EOPNOTSUPP (Operation not supported)',
  'pwrite64(22, "a), \\"b"..., 1024, 0) = 1024',
  'getdents64(21, 0x1364cc50 /* 3 entries */, 65536) = 72',
  'fcntl(20, F_SETFL, O_RDONLY|O_LARGEFILE) = 0',
  'close(20) = 0',
  'close(21) = 0',
]; // biome-ignore format: a table

test('the rules find every kind of call that is forbidden', () => {
  for (const [complaint, line] of FORBIDDEN) {
    const { complaints } = audit([parse(line)], { method: 'unlink', root: '18' });
    assert.ok(
      complaints.some((text) => text.includes(complaint)),
      `${line}\nshould be: ${complaint}\nbut: ${complaints}`,
    );
  }
  const allowed = audit(ALLOWED.map(parse), { method: 'unlink', root: '18' });
  assert.deepStrictEqual(allowed, { complaints: [], left: ['22'] });
});

test('the rules let a tree be climbed by one `..` at a time, which is compared, and nothing else', () => {
  const down = `openat2(18, "a", {flags=O_RDONLY|O_DIRECTORY|O_CLOEXEC, ${BENEATH}}, 24) = 20`;
  const up = `openat2(20, "..", {flags=O_RDONLY|O_DIRECTORY|O_CLOEXEC, ${UP}}, 24) = 21`;
  const compared = 'fstat(21, {st_mode=S_IFDIR|0755, st_size=4096, ...}) = 0';
  const rest = ['getdents64(21, 0x1364cc50 /* 3 entries */, 65536) = 72'];
  const wrong = (lines, how) =>
    audit(lines.map(parse), { root: '18', method: 'rm', ...how }).complaints.join('; ');
  for (const method of ['rm', 'readdir', 'walk', 'cp', 'move'])
    assert.strictEqual(wrong([down, up, compared, ...rest], { method }), '', method);
  const marked = (line) => line.replace('}', '|RESOLVE_NO_XDEV}');
  const within = [marked(down), marked(up), compared, ...rest];
  assert.strictEqual(wrong(within, { mounts: 'reject' }), '');
  for (const [complaint, lines, how] of [
    ['upwards', [down, up, compared], { method: 'stat' }],
    ['not compared', [down, up, ...rest, compared]],
    ['not to a directory', [down, up.replace('O_DIRECTORY', 'O_NONBLOCK|O_NOCTTY'), compared]],
    ['not a descriptor', [up.replace('20', '19'), compared]],
    ['says where it leads out', [up.replace('20', '18'), compared]],
    ['a step upwards', [down, up.replace(UP, 'resolve=RESOLVE_NO_MAGICLINKS'), compared]],
    ['a step upwards', [down, up.replace(UP, 'resolve=RESOLVE_NO_SYMLINKS'), compared]],
    ['a step upwards', [down, up, compared], { mounts: 'reject' }],
    ['not from the root', [down, up.replace('".."', '"../.."'), compared]],
    ['not from the root', [down, up.replace('".."', '"../b"'), compared]],
  ]) {
    assert.ok(wrong(lines, how).includes(complaint), `${complaint}: ${lines}\n${wrong(lines, how)}`);
  }
});

/** The resolve flags of each root, and others that are not strict enough, or too strict, for it. */
const OF_POLICIES = [
  [{ symlinks: 'reject' }, 'BENEATH NO_SYMLINKS NO_MAGICLINKS'],
  [{ symlinks: 'reject', mounts: 'reject' }, 'BENEATH NO_SYMLINKS NO_MAGICLINKS NO_XDEV'],
  [{ symlinks: 'beneath' }, 'BENEATH NO_MAGICLINKS'],
  [{ symlinks: 'beneath', mounts: 'reject' }, 'BENEATH NO_MAGICLINKS NO_XDEV'],
  [{ symlinks: 'in-root' }, 'IN_ROOT NO_MAGICLINKS'],
  [{ symlinks: 'in-root', mounts: 'reject' }, 'IN_ROOT NO_MAGICLINKS NO_XDEV'],
].map(([policy, flags]) => [policy, flags.split(' ').map((flag) => `RESOLVE_${flag}`)]);

test('the rules hold each policy to its own resolve flags', () => {
  for (const [policy, flags] of OF_POLICIES) {
    for (const [, others] of [...OF_POLICIES, [{}, ['0']], [{}, ['RESOLVE_NO_MAGICLINKS']]]) {
      const line = `openat2(18, "a/b", {flags=O_PATH|O_CLOEXEC, resolve=${others.join('|')}}, 24) = 20`;
      const { complaints } = audit([parse(line)], { method: 'chmod', root: '18', ...policy });
      assert.strictEqual(complaints.length, others === flags ? 0 : 1, `${JSON.stringify(policy)}: ${line}`);
    }
    const upwards = `openat2(18, "a/../b", {flags=O_PATH|O_CLOEXEC, resolve=${flags.join('|')}}, 24) = 20`;
    const { complaints } = audit([parse(upwards)], { method: 'chmod', root: '18', ...policy });
    assert.strictEqual(complaints.length, policy.symlinks === 'reject' ? 1 : 0, upwards);
    const absolute = audit([parse(upwards.replace('a/..', '/a'))], {
      method: 'chmod',
      root: '18',
      ...policy,
    });
    assert.strictEqual(absolute.complaints.length, 1, 'a path of the host');
  }
});

test('the rules let a promise of these ask the cache, first of all, and nothing else', () => {
  const cached = (name, flags = BENEATH) =>
    `openat2(18, "${name}", {flags=O_PATH|O_CLOEXEC, ${flags}|RESOLVE_CACHED}, 24) = -1 EAGAIN (Resource)`;
  const rest = 'newfstatat(18, "a", {st_mode=S_IFREG|0644, ...}, AT_SYMLINK_NOFOLLOW) = 0';
  const complaints = (calls, how) => audit(calls, { root: '18', ...how }).complaints.length;
  const [ask, other] = [parse(cached('a')), parse(rest)];
  for (const method of ['stat', 'lstat', 'exists']) {
    assert.strictEqual(complaints([ask, other], { method, later: true }), 0, method);
    assert.strictEqual(complaints([ask, other], { method, later: false }), 1, `${method}, at once`);
    assert.strictEqual(complaints([other, ask], { method, later: true }), 1, `${method}, later on`);
    assert.strictEqual(complaints([{ ...ask, elsewhere: true }], { method, later: true }), 1, 'elsewhere');
    const weak = parse(cached('a', BENEATH.replace('|RESOLVE_NO_SYMLINKS', '')));
    assert.strictEqual(complaints([weak], { method, later: true }), 1, `${method}, with other flags`);
    const content = parse(cached('a').replace('O_PATH', 'O_RDONLY|O_NONBLOCK|O_NOCTTY'));
    assert.strictEqual(complaints([content], { method, later: true }), 1, `${method}, of content`);
  }
  for (const method of ['access', 'chmod', 'open', 'readlink', 'realpath', 'rm'])
    assert.strictEqual(complaints([ask], { method, later: true }), 1, method);
});

test('the rules find what a program does by path, as it is traced', { skip }, (t) => {
  const dir = tempDir(t);
  const program = `
        const { mark } = require(${JSON.stringify(path.join(__dirname, 'syscalls/trace'))});
    const calls = {
      writeFileSync: () => fs.writeFileSync('file', ''),
      readFileSync: () => fs.readFileSync('file'),
      openSync: () => fs.openSync('file', 'r'),
      statSync: () => fs.statSync('file'),
      mkdirSync: () => fs.mkdirSync('dir'),
      renameSync: () => fs.renameSync('file', 'dir/file'),
      chmodSync: () => fs.chmodSync('dir/file', 0o600),
      utimesSync: () => fs.utimesSync('dir/file', 1, 2),
      copyFileSync: () => fs.copyFileSync('dir/file', 'copy'),
      symlinkSync: () => fs.symlinkSync('target', 'link'),
      linkSync: () => fs.linkSync('copy', 'other'),
      truncateSync: () => fs.truncateSync('copy', 1),
      readdirSync: () => fs.readdirSync('dir'),
      unlinkSync: () => fs.unlinkSync('copy'),
      rmSync: () => fs.rmSync('dir', { recursive: true }),
      nothing: () => undefined,
    };
    process.chdir(${JSON.stringify(dir)});
    for (const [name, call] of Object.entries(calls)) {
      mark(name);
      call();
      mark('between');
    }
    console.log(JSON.stringify(Object.keys(calls)));`;
  const { stdout, sections } = trace(dir, ['-e', program]);
  const silent = JSON.parse(stdout).filter(
    (name) => audit(sections.get(name), { method: name, root: '18' }).complaints.length === 0,
  );
  assert.deepStrictEqual(silent, ['nothing']);
});

test('every method is audited', () => {
  const methods = Reflect.ownKeys(SandboxRoot.prototype).map(String);
  assert.deepStrictEqual(Object.keys(WAYS).sort(), methods.sort());
});

/** What gives the caller a root. */
const MAKES_ROOTS = ['constructor', 'openRoot'];

/** Every policy, by calls and by promises; and that mounts can be refused under any of them. */
const ROOTS = [
  ...POLICIES.map((symlinks) => ({ symlinks })),
  ...POLICIES.map((symlinks) => ({ symlinks, later: true, brief: !FULL && symlinks !== 'reject' })),
  ...POLICIES.map((symlinks) => ({ symlinks, mounts: 'reject', brief: !FULL })),
];

for (const how of ROOTS) {
  const { later = false, brief = false, ...options } = how;
  const what = `every ${later ? 'promise' : 'call'}, ${JSON.stringify(options)},`;
  test(`${what} keeps to the rules`, { skip }, async (t) => {
    const results = audited(t, how);
    const audible = Object.keys(WAYS).filter((method) => !later || !ONLY_SYNC.includes(method));
    for (const method of audible) {
      await t.test(`${method} makes no other system calls than it says`, () => {
        for (const { what, calls, syscalls } of results.filter((result) => result.method === method)) {
          if (syscalls === undefined) continue;
          // Where mounts are refused, it takes more to look at a name.
          if (options.mounts === 'reject') continue;
          // What a kernel does not have is made up for in another way: see below.
          if (calls.some(({ name, errno }) => name === 'fchmodat2' && errno === 'ENOSYS')) continue;
          const made = calls.map(({ name }) => name).join(' ');
          const expected = new RegExp(`^${syscalls}$`);
          assert.match(made, expected, `${method}: ${what}`);
        }
      });
      await t.test(`${method} breaks no rule`, (t) => {
        const mine = results.filter((result) => result.method === method);
        const complaints = mine.flatMap(({ what, complaints }) =>
          complaints.map((text) => `${what}: ${text}`),
        );
        assert.deepStrictEqual(complaints, []);
        t.diagnostic(`${mine.length} calls, ${mine.filter(({ error }) => error).length} of them errors`);
      });
      await t.test(`${method} leaves nothing open`, () => {
        for (const { what, error, left, fd } of results.filter((result) => result.method === method)) {
          const expected = fd === undefined ? [] : [fd];
          // The root that was made is the caller's.
          if (MAKES_ROOTS.includes(method) && error === undefined) assert.strictEqual(left.length, 1, what);
          else assert.deepStrictEqual(left, expected, what);
        }
      });
    }
    if (later) {
      await t.test('what the kernel has in its cache is told on the thread that calls', () => {
        for (const method of Object.keys(ASKED_FIRST)) {
          const asked = results
            .filter((result) => result.method === method && result.calls.length > 0)
            .map(({ what, calls: [first, ...rest] }) => ({ what, first, rest }));
          for (const { what, first, rest } of asked) {
            assert.ok(first.line.includes('RESOLVE_CACHED') && !first.elsewhere, `${method}: ${what}`);
            // An answer is not sought again; whatever else is said, another thread finds out.
            const isTold = first.result >= 0 || first.errno === 'ENOENT';
            for (const call of rest) assert.strictEqual(call.elsewhere, !isTold, `${method}: ${what}`);
          }
          assert.ok(
            asked.some(({ first }) => first.result >= 0),
            `${method} was never answered at once`,
          );
        }
      });
    }
    if (!brief) {
      await t.test('a tree with many directories beside each other is shared by two threads', () => {
        const wide = results.filter(({ what }) => what === WIDE);
        assert.deepStrictEqual(
          wide.map(({ method, error }) => [method, error]),
          [
            ['rm', undefined],
            ['readdir', undefined],
            ['cp', undefined],
          ],
        );
        for (const { method, calls } of wide) {
          const threads = new Set(calls.map(({ thread }) => thread)).size;
          // Of what is removed, each takes the next: a thread that comes late may find nothing left.
          assert.ok(threads === 2 || (method === 'rm' && threads === 1), `${method}: ${threads}`);
        }
      });
    }
    await t.test('calls that succeed are among them, and calls that fail', () => {
      for (const method of audible) {
        const errors = new Set(
          results.filter((result) => result.method === method).map(({ error }) => error),
        );
        assert.ok(errors.has(undefined), `${method} never succeeded`);
        const fails = ['constructor', ...methods].includes(method) && !NEVER_FAILS.includes(method);
        if (fails && !brief) assert.ok(errors.size > 2, `${method} hardly failed`);
      }
      assert.ok(OPENS.every((method) => results.some((result) => result.method === method && result.fd > 2)));
      // Symlinks were met, and followed or not.
      const link = results.find(({ method, what }) => method === 'openRead' && what === 'a symlink');
      assert.strictEqual(link.error, options.symlinks === 'reject' ? 'ELOOP' : undefined);
    });
  });
}

/** What is known of /proc is kept: once it is, a call costs one more than on a descriptor. */
function costsOneMore(results, syscalls) {
  assert.deepStrictEqual(
    results.flatMap(({ complaints, left }) => [...complaints, ...left]),
    [],
  );
  const last = results.filter(({ error }) => error === undefined).at(-1);
  assert.strictEqual(last.calls.map(({ name }) => name).join(' '), syscalls);
}

for (const code of ['ENOSYS', 'EPERM']) {
  test(`chmod keeps to the rules where fchmodat2 is ${code}`, { skip }, (t) => {
    const wrapper = [tool('seccomp'), '--deny', `fchmodat2=${code}`, '--'];
    const results = audited(t, { method: 'chmod', brief: true, procfs: new Set(), wrapper });
    costsOneMore(results, 'openat2 fchmodat2 fchmodat close');
  });
}

test('utimes keeps to the rules where utimensat takes no descriptor', { skip }, (t) => {
  const inject = ['utimensat:error=EINVAL:when=1+2'];
  const results = audited(t, { method: 'utimes', brief: true, procfs: new Set(), inject });
  costsOneMore(results, 'openat2 utimensat utimensat close');
});

test('writeFile keeps to the rules where no link is made of a descriptor', { skip }, (t) => {
  const inject = ['linkat:error=ENOENT:when=1+2'];
  const results = audited(t, { method: 'writeFile', brief: true, procfs: new Set(), inject });
  const complaints = results.flatMap(({ complaints, left }) => [...complaints, ...left]);
  assert.deepStrictEqual(complaints, []);
  const { calls } = results.find(({ what }) => what === 'over another in one step');
  const links = calls.filter(({ name }) => name === 'linkat');
  assert.deepStrictEqual(
    links.map(({ args, errno }) => [args[4], errno]),
    [
      ['AT_EMPTY_PATH', 'ENOENT'],
      ['AT_SYMLINK_FOLLOW', 'EEXIST'],
      ['AT_EMPTY_PATH', 'ENOENT'],
      ['AT_SYMLINK_FOLLOW', undefined],
    ],
  );
});
