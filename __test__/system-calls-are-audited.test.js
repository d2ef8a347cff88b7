'use strict';
// Under strace, every way through every method: which system calls are made, and that none of them
// could leave the root, follow a symlink, wait, or leave a descriptor behind. The rules that they
// are held to, and the ways, are in syscalls/.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('..');
const { FULL } = require('./sizes');
const {
  NEVER_FAILS,
  NOBODY,
  POLICIES,
  isRoot,
  memory,
  methods,
  tempDir,
  tool,
  withoutMounts,
} = require('./support');
const { audit, inOrder, parse, trace, traceBeside } = require('./syscalls/trace');
const { WIDE, prepare } = require('./syscalls/audited');
const { ASKED_FIRST, ONLY_SYNC, OPENS, WAYS } = require('./syscalls/ways');
const { withoutStrace } = require('./syscalls/strace');

const skip = withoutStrace();

/** What audited.js did under strace: for each call what came of it, and what is wrong with it. */
async function audited(
  t,
  {
    method,
    symlinks = 'reject',
    mounts = 'allow',
    later = false,
    brief = false,
    mounted = false,
    procfs,
    ...how
  } = {},
) {
  const dir = tempDir(t, memory);
  const options = { method, later, brief, mounted, symlinks, mounts };
  prepare(dir, options);
  fs.chmodSync(dir, 0o755);
  const program = [path.join(__dirname, 'syscalls/audited.js'), dir, JSON.stringify(options)];
  const { stdout, sections } = await traceBeside(dir, program, how);
  const kept = new Set();
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
    const known = result.method === 'constructor' ? {} : { root, to, procfs, kept, later, ...rules };
    const { method, slashed } = result;
    const { complaints, left } = audit(calls, { method, slashed, ...known });
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
  ['made, or opened if it is there', `openat2(18, "a", {flags=O_WRONLY|O_CREAT|O_NONBLOCK|O_NOCTTY|O_CLOEXEC, mode=0644, ${BENEATH}}, 24) = 21`],
  ['by one name', `openat2(18, "a/b", {flags=O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, mode=0644, ${BENEATH}}, 24) = 21`],
  ['wait for a peer', `openat2(18, "a", {flags=O_RDONLY|O_EXCL|O_CLOEXEC, ${BENEATH}}, 24) = 20`],
  ...['O_CREAT|O_EXCL', 'O_CREAT', 'O_EXCL', 'O_NONBLOCK', 'O_WRONLY', 'O_TRUNC', 'O_APPEND'].map((flags) => [
    'makes void',
    `openat2(20, "a", {flags=O_PATH|${flags}|O_CLOEXEC, mode=0644, ${BENEATH}}, 24) = 21`,
  ]),
  ['not the resolve flags', `openat2(20, "a", {flags=O_RDONLY|O_DIRECTORY|O_CLOEXEC, ${BENEATH}|RESOLVE_NO_XDEV}, 24) = 21`],
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
  `openat2(18, ".", {flags=O_WRONLY|O_NOCTTY|O_NONBLOCK|O_LARGEFILE|O_CLOEXEC, ${BENEATH}}, 24) = -1 EISDIR (Is a directory)`,
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
  const readdir = { method: 'readdir' };
  for (const method of ['readdir', 'walk', 'cp', 'move'])
    assert.strictEqual(wrong([down, up, compared, ...rest], { method }), '', method);
  const marked = (line) => line.replace('}', '|RESOLVE_NO_XDEV}');
  const within = [marked(down), marked(up), compared, ...rest];
  for (const symlinks of ['reject', 'beneath', 'in-root']) {
    assert.strictEqual(wrong(within, { symlinks }), '', 'rm enters no mount');
    assert.strictEqual(wrong(within, { symlinks, mounts: 'reject' }), '');
    assert.strictEqual(wrong(within, { symlinks, mounts: 'reject', ...readdir }), '');
  }
  for (const [complaint, lines, how] of [
    ['removed where a mount may be', [down]],
    ['not from the root', [down.replace('18', '20').replace('"a"', '"b"')]],
    ['removed where a mount may be', [down], { symlinks: 'beneath' }],
    ['a step upwards', [marked(down), up, compared]],
    ['a step upwards', [down, up, compared], { mounts: 'reject', ...readdir }],
    ['upwards', [down, up, compared], { method: 'stat' }],
    ['not compared', [down, up, ...rest, compared], readdir],
    ['not to a directory', [down, up.replace('O_DIRECTORY', 'O_NONBLOCK|O_NOCTTY'), compared], readdir],
    ['not a descriptor', [up.replace('20', '19'), compared], readdir],
    ['says where it leads out', [up.replace('20', '18'), compared], readdir],
    ['a step upwards', [down, up.replace(UP, 'resolve=RESOLVE_NO_MAGICLINKS'), compared], readdir],
    ['a step upwards', [down, up.replace(UP, 'resolve=RESOLVE_NO_SYMLINKS'), compared], readdir],
    ['not from the root', [down, up.replace('".."', '"../.."'), compared], readdir],
    ['not from the root', [down, up.replace('".."', '"../b"'), compared], readdir],
  ]) {
    assert.ok(wrong(lines, how).includes(complaint), `${complaint}: ${lines}\n${wrong(lines, how)}`);
  }
});

test('the rules let a copy ask what is above its place, of each directory its identity alone, before anything is made', () => {
  const place = `openat2(18, "a", {flags=O_PATH|O_DIRECTORY|O_CLOEXEC, ${BENEATH}}, 24) = 20`;
  const up = (from, to) =>
    `openat2(${from}, "..", {flags=O_PATH|O_DIRECTORY|O_CLOEXEC, ${UP}}, 24) = ${to}`;
  const compared = (fd) => `fstat(${fd}, {st_mode=S_IFDIR|0755, st_size=4096, ...}) = 0`;
  const wrong = (lines, how) =>
    audit(lines.map(parse), { root: '18', method: 'cp', ...how }).complaints.join('; ');
  const two = [up(20, 21), compared(21), up(21, 22), compared(22), 'close(21) = 0', 'close(22) = 0'];
  for (const method of ['cp', 'move']) {
    assert.strictEqual(wrong([place, ...two], { method }), '');
    // Its root may be one that refuses mounts, and be below one.
    const strict = place.replace('}', '|RESOLVE_NO_XDEV}');
    assert.strictEqual(wrong([strict, ...two], { method, mounts: 'reject' }), '');
    // From the root of the copy.
    assert.strictEqual(wrong([up(18, 21), compared(21)], { method }), '');
    assert.strictEqual(wrong([up(19, 21), compared(21)], { method, to: '19', symlinks: 'in-root' }), '');
  }
  for (const [complaint, lines, how] of [
    ['upwards', [place, ...two], { method: 'rm' }],
    ['upwards', [place, ...two], { method: 'readdir' }],
    ['not a descriptor', [up(17, 21), compared(21)]],
    ['not compared', [place, up(20, 21)]],
    ['not compared', [place, up(20, 21), up(21, 22), compared(22)]],
    ['not to a directory', [place, up(20, 21).replace('O_DIRECTORY|', ''), compared(21)]],
    ['a step upwards', [place, up(20, 21).replace(UP, 'resolve=RESOLVE_NO_SYMLINKS'), compared(21)]],
    ['a step upwards', [place, up(20, 21).replace(UP, 'resolve=RESOLVE_NO_MAGICLINKS'), compared(21)]],
    ...['mkdirat(18, "b", 0700) = 0', 'symlinkat("x", 18, "b") = 0', 'unlinkat(18, "b", 0) = 0'].map((line) => [
      'when something was made',
      [place, line, up(20, 21), compared(21)],
    ]),
    // Nothing is done in what is above.
    ...[
      'mkdirat(21, "b", 0700) = 0',
      'unlinkat(21, "b", 0) = 0',
      'linkat(20, "b", 21, "c", 0) = 0',
      'newfstatat(21, "b", {st_mode=S_IFREG|0644, st_size=1, ...}, AT_SYMLINK_NOFOLLOW) = 0',
      `openat2(21, "b", {flags=O_PATH|O_DIRECTORY|O_CLOEXEC, ${BENEATH}}, 24) = 22`,
      `openat2(21, "b", {flags=O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, mode=0600, ${BENEATH}}, 24) = 22`,
    ].map((line) => [/openat2/.test(line) ? 'not from the root' : 'not in a directory', [place, up(20, 21), compared(21), line]]),
    ['not a descriptor', [place, up(20, 21), compared(21), 'getdents64(21, 0x1364cc50 /* 3 entries */, 65536) = 72']],
    ['not a descriptor', [place, up(20, 21), compared(21), 'fchmodat2(21, "", 0600, AT_EMPTY_PATH) = 0']],
    ['not a descriptor', [place, up(20, 21), compared(21), up(21, 22).replace('O_PATH', 'O_RDONLY'), compared(22)]],
  ]) {
    assert.ok(wrong(lines, how).includes(complaint), `${complaint}: ${lines}\nbut: ${wrong(lines, how)}`);
  }
}); // biome-ignore format: a table

test('the rules let another name of a file be made by the way from the top of a copy to the first', () => {
  const top = `openat2(18, "copy", {flags=O_PATH|O_DIRECTORY|O_CLOEXEC, ${BENEATH}}, 24) = 20`;
  const way = `openat2(20, "a/b/", {flags=O_PATH|O_DIRECTORY|O_CLOEXEC, ${BENEATH}}, 24) = 21`;
  const wrong = (lines, how) =>
    audit(lines.map(parse), { root: '18', method: 'cp', ...how }).complaints.join('; ');
  assert.strictEqual(wrong([top, way]), '');
  for (const [complaint, lines, how] of [
    ['not from the root', [top, way], { method: 'readdir' }],
    ['not from the root', [top, way], { method: 'rm' }],
    ['not from the root', [way]],
    ['not from the root', [top, way.replace('a/b/', 'a/../b/')]],
    ['not from the root', [top, way.replace('a/b/', '../b/')]],
    ['not from the root', [top, way.replace('a/b/', '/b/')]],
    ['not from the root', [top, way.replace('a/b/', 'a//b/')]],
    ['not from the root', [top, way.replace('a/b/', 'a/b')]],
    ['not from the root', [top, way.replace('O_PATH', 'O_RDONLY')]],
    ['not from the root', [top, way.replace('|RESOLVE_NO_SYMLINKS', '')]],
    ['not from the root', [top, way.replace('|RESOLVE_BENEATH', '')]],
  ]) {
    assert.ok(wrong(lines, how).includes(complaint), `${complaint}: ${lines}\nbut: ${wrong(lines, how)}`);
  }
});

test('the rules let writeFile exchange what it made with the lock of the directory alone', () => {
  const wrong = (lines) => audit(lines.map(parse), { root: '18', method: 'writeFile' }).complaints.join('; ');
  const dir = `openat2(18, ".", {flags=O_RDONLY|O_DIRECTORY|O_CLOEXEC, ${BENEATH}}, 24) = 20`;
  const lock = 'flock(20, LOCK_EX|LOCK_NB) = 0';
  const refused = lock.replace('= 0', '= -1 EAGAIN (Resource temporarily unavailable)');
  const exchange = 'renameat2(18, ".openat2-ABCDEFGHIJKL", 18, "a", RENAME_EXCHANGE) = 0';
  assert.strictEqual(wrong([dir, refused, lock, exchange]), '');
  for (const lines of [[dir, exchange], [dir, refused, exchange], [dir, lock, 'close(20) = 0', exchange]])
    assert.strictEqual(wrong(lines), 'without the lock: ' + exchange);
}); // biome-ignore format: a table

test('the rules let a slash of the caller be handed to renameat2, and to nothing else', () => {
  const wrong = (line, how) =>
    audit([parse(line)], { root: '18', method: 'rename', slashed: true, ...how }).complaints.join('; ');
  const rename = (from, to, flag = '0') => `renameat2(18, "${from}", 18, "${to}", ${flag}) = 0`;
  for (const method of ['rename', 'renameNoReplace', 'move'])
    for (const line of [rename('a/', 'b'), rename('a', 'b/'), rename('a/', 'b/', 'RENAME_NOREPLACE')])
      assert.strictEqual(wrong(line, { method }), '');
  assert.strictEqual(wrong(rename('a/', 'b/', 'RENAME_EXCHANGE'), { method: 'exchange' }), '');
  for (const [line, how] of [
    [rename('a/', 'b'), { slashed: false }],
    [rename('a', 'b/'), { slashed: false }],
    [rename('a/', 'b'), { method: 'cp' }],
    [rename('a', 'b/'), { method: 'writeFile' }],
    ...['a//', 'a/b/', './', '../', '/', '/a/', 'a/.', 'a/b'].flatMap((name) => [
      [rename(name, 'b')],
      [rename('b', name)],
    ]),
    ['unlinkat(18, "a/", AT_REMOVEDIR) = 0', { method: 'rmdir' }],
    ['mkdirat(18, "a/", 0755) = 0', { method: 'mkdir' }],
    ['linkat(18, "a/", 18, "b", 0) = 0', { method: 'link' }],
    ['linkat(18, "a", 18, "b/", 0) = 0', { method: 'link' }],
    ['symlinkat("a", 18, "b/") = 0', { method: 'symlink' }],
    ['readlinkat(18, "a/", "x", 256) = 1', { method: 'readlink' }],
    ['utimensat(18, "a/", NULL, AT_SYMLINK_NOFOLLOW) = 0', { method: 'lutimes' }],
    ['fchownat(18, "a/", 0, 0, AT_SYMLINK_NOFOLLOW) = 0', { method: 'lchown' }],
    ['newfstatat(18, "a/", {st_mode=S_IFREG|0644, st_size=1, ...}, AT_SYMLINK_NOFOLLOW) = 0'],
    ['unlinkat(18, "a/", AT_REMOVEDIR) = 0', { method: 'move' }],
  ]) {
    assert.ok(wrong(line, how).includes('not one name'), `${line}\nbut: ${wrong(line, how)}`);
  }
});

test("the rules let a root's descriptor be copied for what is done to the root itself, or to be kept", () => {
  const copied = 'fcntl(18, F_DUPFD_CLOEXEC, 0) = 20';
  const wrong = (lines, how) => audit(lines.map(parse), { root: '18', ...how }).complaints.join('; ');
  const closed = 'close(20) = 0';
  for (const [method, act] of [
    ['chmod', 'fchmodat2(20, "", 0600, AT_EMPTY_PATH) = 0'],
    ['utimes', 'utimensat(20, "", NULL, AT_EMPTY_PATH) = 0'],
    ['lutimes', 'utimensat(20, "", NULL, AT_EMPTY_PATH) = 0'],
    ['chown', 'fchownat(20, "", 0, 0, AT_EMPTY_PATH) = 0'],
    ['lchown', 'fchownat(20, "", 0, 0, AT_EMPTY_PATH) = 0'],
    ['access', 'faccessat2(20, "", R_OK, AT_EMPTY_PATH) = 0'],
    ['readlink', 'readlinkat(20, "", "x", 256) = -1 ENOENT (No such file or directory)'],
    ['hostPath', 'fstatfs(20, {f_type=TMPFS_MAGIC, f_bsize=4096, ...}) = 0'],
    ['openRoot', 'fstatfs(20, {f_type=TMPFS_MAGIC, f_bsize=4096, ...}) = 0'],
    ['statfs', 'fstatfs(20, {f_type=TMPFS_MAGIC, f_bsize=4096, ...}) = 0'],
  ])
    assert.strictEqual(wrong([copied, act, closed], { method }), '', method);
  // What removes a tree keeps the root for as long as it takes, and does nothing with it.
  const across = 'renameat2(18, "a", 18, "b", 0) = -1 EXDEV (Invalid cross-device link)';
  assert.strictEqual(wrong([copied, closed], { method: 'rm' }), '');
  assert.strictEqual(wrong([across, copied, closed], { method: 'move' }), '');
  for (const [complaint, lines, how] of [
    ...['stat', 'readFile', 'mkdir', 'unlink', 'rename', 'open', 'readdir', 'writeFile', 'exists'].map((method) => [
      'not a descriptor',
      [copied],
      { method },
    ]),
    ['not a descriptor', [copied], { method: 'move' }],
    ['not a descriptor', [copied.replace('18', '17')], { method: 'chmod' }],
    ['copied or changed', [copied.replace('_CLOEXEC', '')], { method: 'chmod' }],
    ['not in a directory', [copied, 'unlinkat(20, "a", 0) = 0'], { method: 'rm' }],
    ['not in a directory', [copied, 'unlinkat(20, "a", AT_REMOVEDIR) = 0'], { method: 'rm' }],
    ['not from the root', [copied, `openat2(20, "a", {flags=O_RDONLY|O_DIRECTORY|O_CLOEXEC, ${BENEATH}|RESOLVE_NO_XDEV}, 24) = 21`], { method: 'rm' }],
    ['not a descriptor', [copied, 'fchmodat2(20, "", 0600, AT_EMPTY_PATH) = 0'], { method: 'rm' }],
    ['neither made nor', [copied, 'fchmod(20, 0600) = 0'], { method: 'chmod' }],
    ['neither made nor', [copied, 'fchown(20, 0, 0) = 0'], { method: 'chown' }],
  ]) {
    assert.ok(wrong(lines, how).includes(complaint), `${complaint}: ${lines}\nbut: ${wrong(lines, how)}`);
  }
}); // biome-ignore format: a table

test('the rules let the place of what is read be looked up to tell a lease from a storm, and for nothing else', () => {
  const by = (flags, done, name = 'a') =>
    `openat2(18, "${name}", {flags=${flags}|O_CLOEXEC, resolve=RESOLVE_BENEATH|RESOLVE_NO_MAGICLINKS|RESOLVE_NO_XDEV}, 24) = ${done}`;
  const content = by('O_RDONLY|O_NONBLOCK|O_NOCTTY', '-1 EAGAIN (Resource temporarily unavailable)');
  const probe = by('O_PATH', 20);
  const wrong = (lines, how) =>
    audit(lines.map(parse), { root: '18', symlinks: 'beneath', method: 'readFile', ...how }).complaints.join(
      '; ',
    );
  const tries = Array.from({ length: 128 }, () => content);
  for (const method of ['readFile', 'truncate', 'fsync', 'openRead'])
    assert.strictEqual(wrong([...tries, probe, content, probe], { method }), '');
  const complaint = 'the place of what is opened for its content';
  for (const [lines, how] of [
    [[probe]],
    [[...tries.slice(1), probe]],
    [[...tries, by('O_PATH', 20, 'b')]],
    [[...tries.map((line) => line.replace('EAGAIN', 'EINTR')), probe]],
    [[...tries.map(() => probe.replace('= 20', '= -1 EAGAIN (Why)')), probe]],
    [[...tries, probe], { method: 'truncate', symlinks: 'reject' }],
  ])
    assert.ok(wrong(lines, how).includes(complaint), `${lines.slice(-2)}\nbut: ${wrong(lines, how)}`);
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
    // Where links are followed, no mount is crossed at first.
    const first = [...new Set([...flags, ...(policy.symlinks === 'reject' ? [] : ['RESOLVE_NO_XDEV'])])];
    const complaints = (path, asked) => {
      const line = `openat2(18, "${path}", {flags=O_PATH|O_CLOEXEC, resolve=${asked.join('|')}}, 24) = 20`;
      return audit([parse(line)], { method: 'chmod', root: '18', ...policy }).complaints;
    };
    for (const [, others] of [...OF_POLICIES, [{}, ['0']], [{}, ['RESOLVE_NO_MAGICLINKS']]]) {
      const isRight = others.join() === first.join();
      assert.strictEqual(complaints('a/b', others).length, isRight ? 0 : 1, JSON.stringify([policy, others]));
    }
    assert.strictEqual(complaints('a/../b', first).length, policy.symlinks === 'reject' ? 1 : 0);
    assert.strictEqual(complaints('/a/b', first).length, 1, 'a path of the host');
  }
});

test('the rules let a promise of these ask the cache, first of all, and nothing else', () => {
  const cached = (name, flags = BENEATH) =>
    `openat2(18, "${name}", {flags=O_PATH|O_CLOEXEC, ${flags}|RESOLVE_CACHED|RESOLVE_NO_XDEV}, 24) = -1 EAGAIN (Resource)`;
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
    const crossing = parse(cached('a').replace('|RESOLVE_NO_XDEV', ''));
    assert.strictEqual(complaints([crossing], { method, later: true }), 1, `${method}, across mounts`);
    const content = parse(cached('a').replace('O_PATH', 'O_RDONLY|O_NONBLOCK|O_NOCTTY'));
    assert.strictEqual(complaints([content], { method, later: true }), 1, `${method}, of content`);
    const step = parse(cached('a').replace('18', '20'));
    assert.ok(complaints([step], { method, later: true }) > 0, `${method}, not from the root`);
  }
  for (const method of ['access', 'chmod', 'open', 'readlink', 'realpath', 'rm'])
    assert.strictEqual(complaints([ask], { method, later: true }), 1, method);
  const who = ['getresuid([0], [0], [0]) = 0', 'getresgid([0], [0], [0]) = 0'].map(parse);
  assert.strictEqual(complaints([...who, ask], { method: 'exists', later: true }), 0);
});

test('the rules let a mount be crossed where links are followed, once the root is known to be bare', () => {
  const by = (resolve, done, { name = 'a/b', flags = 'O_PATH|O_CLOEXEC' } = {}) =>
    `openat2(18, "${name}", {flags=${flags}, resolve=${resolve}|RESOLVE_NO_MAGICLINKS}, 24) = ${done}`;
  const EXDEV = '-1 EXDEV (Invalid cross-device link)';
  const asDirectory = 'O_PATH|O_DIRECTORY|O_CLOEXEC';
  for (const [symlinks, policy] of [
    ['beneath', 'RESOLVE_BENEATH'],
    ['in-root', 'RESOLVE_IN_ROOT'],
  ]) {
    const up = { name: 'a/../b' };
    const first = by(`${policy}|RESOLVE_NO_XDEV`, EXDEV);
    const straight = (done) => by(`${policy}|RESOLVE_NO_SYMLINKS`, done);
    const byLink = straight('-1 ELOOP (Too many levels of symbolic links)');
    const ask = (done) => by('RESOLVE_IN_ROOT|RESOLVE_NO_XDEV', done, { name: '..', flags: asDirectory });
    const crossed = by(policy, 20);
    const wrong = (lines, how) =>
      audit(lines.map(parse), { root: '18', method: 'chmod', symlinks, ...how }).complaints.join('; ');
    const last = ['close(20) = 0'];
    const check = [ask(20), ...last];
    const after = [ask(21), 'close(21) = 0'];
    assert.strictEqual(wrong([by(`${policy}|RESOLVE_NO_XDEV`, 20), ...last]), '');
    assert.strictEqual(wrong([first, straight(20), ...last]), '');
    assert.strictEqual(wrong([first, byLink, ...check, crossed, ...after, ...last]), '');
    assert.strictEqual(wrong([first, byLink, ...check, by(policy, '-1 ENOENT (No such file)')]), '');
    const firstUp = by(`${policy}|RESOLVE_NO_XDEV`, EXDEV, up);
    const crossedUp = by(policy, 20, up);
    assert.strictEqual(wrong([firstUp, ...check, crossedUp, ...after, ...last]), '');
    // Covered: nothing else is looked up.
    assert.strictEqual(wrong([first, byLink, ask(EXDEV)]), '');
    assert.strictEqual(wrong([firstUp, ask(EXDEV)]), '');
    // By now: what was found is given up.
    assert.strictEqual(wrong([firstUp, ...check, crossedUp, ask(EXDEV), ...last]), '');
    const flags = 'not the resolve flags of the policy';
    const codes = ['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM', 'EINTR', 'EPERM', 'EACCES'];
    const wrongChecks = [
      ask(20).replace('IN_ROOT', 'BENEATH'),
      ask(20).replace('O_PATH', 'O_RDONLY'),
      ask(20).replace('|RESOLVE_NO_XDEV', ''),
    ].filter((line) => symlinks !== 'beneath' || !line.includes('BENEATH'));
    for (const [complaint, lines] of [
      // Each way to a lookup across mounts, with a step left out or of another answer.
      [flags, [straight(20)]],
      [flags, [first.replace(EXDEV, '-1 EAGAIN (Resource)'), straight(20)]],
      [flags, [firstUp, by(`${policy}|RESOLVE_NO_SYMLINKS`, 20, up)]],
      [flags, [first, by(`${policy}|RESOLVE_NO_SYMLINKS`, 20, { name: 'a/c' })]],
      [flags, [first, ...check, crossed, ...after]],
      [flags, [first, straight('-1 EXDEV (Why)'), ...check, crossed, ...after]],
      [flags, [first, byLink, ask(20), crossed, ...after]],
      [flags, [byLink, ...check, crossed, ...after]],
      ...[
        [firstUp, crossedUp],
        [first, crossed, byLink],
      ].flatMap(([one, other, ...link]) => [
        [flags, [other]],
        [flags, [one, ...link, other]],
        [flags, [one, ...link, ask(EXDEV), other]],
        ...codes.map((code) => [flags, [one, ...link, ask(`-1 ${code} (Why)`), other]]),
        [flags, [one.replace(EXDEV, '-1 EAGAIN (Resource)'), ...link, ...check, other, ...after]],
        [flags, [one, ...link, ...check, by(policy, 21, { name: 'a/../c' })]],
        [flags, [one, ...link, ...check, other.replace(/O_PATH/, 'O_PATH|O_DIRECTORY'), ...after]],
        [flags, [one, ...link, ...check, other, ...last, other]],
        ['not checked behind it', [one, ...link, ...check, other]],
        ['not checked behind it', [one, ...link, ...check, other, 'fchmodat2(20, "", 0600, AT_EMPTY_PATH) = 0', ...after]],
        ...wrongChecks.map((line) => [flags, [one, ...link, line, ...last, other, ...after]]),
        ...wrongChecks.map((line) => ['not checked behind it', [one, ...link, ...check, other, line]]),
        // Only that there is nothing is asked of it.
        ['not a descriptor', [one, ...link, ask(20), 'getdents64(20, 0x1364cc50 /* 3 entries */, 65536) = 72', ...last]],
        ['not in a directory', [one, ...link, ask(20), 'unlinkat(20, "a", 0) = 0', ...last]],
      ]),
    ]) {
      const found = wrong(lines);
      assert.ok(found.includes(complaint), `${complaint}: ${lines.join('\n')}\nbut: ${found}`);
    }
    assert.ok(wrong([first, byLink, ...check, crossed, ...after], { symlinks: 'reject' }).includes(flags));
    assert.ok(wrong([first, byLink, ...check, crossed, ...after], { mounts: 'reject' }).includes(flags));
  }
}); // biome-ignore format: a table

test('the rules let a refused lookup be explained, by stricter ones', () => {
  const lookup = (done, resolve, { name = 'a/b', flags = 'O_PATH|O_CLOEXEC' } = {}) =>
    `openat2(18, "${name}", {flags=${flags}, resolve=${resolve}|RESOLVE_NO_MAGICLINKS}, 24) = ${done}`;
  const NOFOLLOW = { name: 'a/b', flags: 'O_PATH|O_NOFOLLOW|O_CLOEXEC' };
  for (const errno of ['EXDEV', 'ELOOP']) {
    for (const mounts of ['allow', 'reject']) {
      const policy = `RESOLVE_BENEATH${mounts === 'reject' ? '|RESOLVE_NO_XDEV' : ''}`;
      const wrong = (lines) =>
        audit(lines.map(parse), { root: '18', method: 'stat', symlinks: 'beneath', mounts }).complaints.join(
          '; ',
        );
      const refused = lookup(`-1 ${errno} (Why)`, `RESOLVE_BENEATH|RESOLVE_NO_XDEV`);
      const strict = `${policy}|RESOLVE_NO_SYMLINKS`;
      const [step, read] = [lookup(20, strict, NOFOLLOW), 'readlinkat(20, "", 0x1, 256) = 4'];
      const last = 'close(20) = 0';
      assert.strictEqual(wrong([refused, step, read, last]), '');
      assert.strictEqual(wrong([refused, lookup('-1 EXDEV (Why)', strict, NOFOLLOW)]), '');
      for (const lines of [
        [step, read, last],
        [lookup('-1 ENOENT (Why)', `RESOLVE_BENEATH|RESOLVE_NO_XDEV`), step, read, last],
        [refused, step, last],
        [refused, step, read, 'fstat(20, {st_mode=S_IFREG|0644, ...}) = 0', last],
        [refused, lookup(20, strict, { name: 'a/c', flags: 'O_PATH|O_CLOEXEC' }), read, last],
        [refused, lookup(20, strict, { ...NOFOLLOW, name: 'a/..' }), read, last],
        [refused, lookup(20, strict, { ...NOFOLLOW, name: '/a/b' }), read, last],
        [refused, lookup(20, strict.replace('BENEATH', 'IN_ROOT'), NOFOLLOW), read, last],
      ])
        assert.notStrictEqual(wrong(lines), '', lines.join('\n'));
    }
  }
});

test('the rules let a file be opened by a call that could create it, once it was without', () => {
  const open = (flags, done, resolve = BENEATH) =>
    `openat2(18, "a", {flags=O_WRONLY|${flags}O_NONBLOCK|O_NOCTTY|O_CLOEXEC, mode=0644, ${resolve}}, 24) = ${done}`;
  const wrong = (lines, how) =>
    audit(lines.map(parse), { root: '18', method: 'writeFile', ...how }).complaints.join('; ');
  const who = 'geteuid() = 0';
  assert.strictEqual(wrong([open('', 20), who, open('O_CREAT|', 21)]), '');
  const follows = `${BENEATH.replace('|RESOLVE_NO_SYMLINKS', '')}|RESOLVE_NO_XDEV`;
  const ENOENT = '-1 ENOENT (No such file or directory)';
  const taken = `openat2(18, "a", {flags=O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, mode=0644, ${BENEATH}}, 24) = -1 EEXIST (File exists)`;
  const dangling = [open('', ENOENT, follows), taken, open('O_CREAT|', 21, follows)];
  // What a symlink to nothing names is made by its own name.
  const named = [dangling[0], taken, 'readlinkat(18, "a", "b", 4096) = 1', taken.replace('"a"', '"b"')];
  assert.strictEqual(wrong(named, { symlinks: 'beneath' }), '');
  const made = 'made, or opened if it is there';
  for (const [complaint, lines, how] of [
    [made, [who, open('O_CREAT|', 21)]],
    [made, [open('', 20), open('O_CREAT|', 21)]],
    [made, [open('', ENOENT), who, open('O_CREAT|', 21)]],
    [made, [open('', 20).replace('"a"', '"b"'), who, open('O_CREAT|', 21)]],
    [made, [open('', 20).replace('O_WRONLY', 'O_RDONLY'), who, open('O_CREAT|', 21)]],
    [made, [open('', ENOENT), taken, open('O_CREAT|', 21)]],
    [made, dangling, { symlinks: 'beneath' }],
    [made, [dangling[0], dangling[2]], { symlinks: 'beneath' }],
    [made, [dangling[1], dangling[2]], { symlinks: 'beneath' }],
    ['not the resolve flags', dangling],
    ['not by one name', [taken.replace('"a"', '"a/b"')]],
  ]) {
    assert.ok(wrong(lines, how).includes(complaint), `${complaint}: ${lines}\nbut: ${wrong(lines, how)}`);
  }
});

test('the rules let permissions be carried from file to file, narrow until the end', () => {
  const source = `openat2(18, "a", {flags=O_RDONLY|O_NONBLOCK|O_NOCTTY|O_CLOEXEC, ${BENEATH}}, 24) = 20`;
  const copy = `openat2(18, "b", {flags=O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, mode=0600, ${BENEATH}}, 24) = 21`;
  const dir = `openat2(18, "dir", {flags=O_RDONLY|O_DIRECTORY|O_CLOEXEC, ${BENEATH}}, 24) = 22`;
  const fill = 'pwrite64(21, "content", 7, 0) = 7';
  const given = 'fchmod(21, 0644) = 0';
  const get = 'fgetxattr(20, "system.posix_acl_access", "", 256) = 28';
  const set = 'fsetxattr(21, "system.posix_acl_access", "", 28, 0) = 0';
  const remove = 'fremovexattr(21, "system.posix_acl_access") = 0';
  const other = (line) => line.replace('system.posix_acl_access', 'user.x');
  const list = 'flistxattr(20, "user.x", 65536) = 7';
  const across = 'renameat2(18, "a", 18, "b", 0) = -1 EXDEV (Invalid cross-device link)';
  const wrong = (lines, how) =>
    audit(lines.map(parse), { root: '18', method: 'cp', ...how }).complaints.join('; ');
  const mkdir = 'mkdirat(18, "dir", 0700) = 0';
  for (const method of ['copyFile', 'cp', 'move', 'writeFile'])
    assert.strictEqual(wrong([source, get, copy, fill, remove, set, given], { method }), '', method);
  assert.strictEqual(wrong([mkdir, dir, 'fchmod(22, 0755) = 0', 'fchown(22, 0, 0) = 0']), '');
  const fifo = 'mknodat(18, "b", S_IFIFO|0600) = 0';
  assert.strictEqual(wrong([fifo, source.replace('"a"', '"b"'), 'fchmod(20, 0644) = 0']), '');
  assert.strictEqual(wrong([across, source, list, copy, other(set), other(get)], { method: 'move' }), '');
  assert.strictEqual(wrong(['mkdirat(18, "dir", 0755) = 0'], { mounts: 'reject' }), '', 'a mount point');
  for (const [complaint, lines, how] of [
    ['open to others before', [copy.replace('0600', '0640')]],
    ['open to others before', [copy.replace('0600', '0604')], { method: 'copyFile' }],
    ['open to others before', [copy.replace('"b"', '"."').replace('O_CREAT|O_EXCL', 'O_TMPFILE').replace('0600', '0666')]],
    ['open to others before', [mkdir.replace('0700', '0755')]],
    ['open to others before', [mkdir.replace('0700', '0755')], { method: 'move', mounts: 'reject' }],
    ['filled when', [copy, given, fill]],
    ['filled when', [copy, given, 'write(21, "content", 7) = 7']],
    ['filled when', [source, copy, given, 'copy_file_range(20, NULL, 21, NULL, 7, 0) = 7']],
    ['filled when', [source, copy, given, 'ioctl(21, BTRFS_IOC_CLONE or FICLONE, 20) = 0']],
    ['no FIFO of its own', [fifo.replace('0600', '0644')]],
    ['neither made nor', [source, 'fchmod(20, 0644) = 0']],
    ['neither made nor', [source, 'fchown(20, 0, 0) = 0']],
    ['neither made nor', [source, set.replace('21', '20')]],
    ['neither made nor', [source, remove.replace('21', '20')]],
    ['neither made nor', [dir, 'fchmod(22, 0755) = 0']],
    ['neither made nor', [mkdir.replace('= 0', '= -1 EEXIST (File exists)'), dir, 'fchmod(22, 0755) = 0']],
    ['not a descriptor', ['fchmod(18, 0755) = 0']],
    ['not a descriptor', [get.replace('20', '18')]],
    ['not a descriptor', [set.replace('21', '18')]],
    ['not a descriptor', [across, list.replace('20', '18')], { method: 'move' }],
    ['an attribute that', [source, other(get)]],
    ['an attribute that', [source, other(get)], { method: 'move' }],
    ['an attribute that', [copy, other(set)]],
    ['an attribute that', [copy, other(remove)]],
    ['attributes that', [source, list]],
    ['attributes that', [source, list], { method: 'move' }],
    ['nothing that this method needs', [source, get], { method: 'readFile' }],
    ['nothing that this method needs', [copy, set], { method: 'openWrite' }],
    ['nothing that this method needs', [copy, remove], { method: 'appendFile' }],
    ...['getxattr("a", "user.x", "", 256) = 1', 'setxattr("a", "user.x", "", 1, 0) = 0', 'lgetxattr("a", "user.x", "", 256) = 1'].map(
      (line) => [line.startsWith('getxattr') ? 'by a path of the host' : 'no rule', [line]],
    ),
  ]) {
    assert.ok(wrong(lines, how).includes(complaint), `${complaint}: ${lines}\nbut: ${wrong(lines, how)}`);
  }
}); // biome-ignore format: a table

test('the rules let the ACL of what cannot be read be asked for by its number, in a /proc that is known', () => {
  const handle = `openat2(18, "a", {flags=O_PATH|O_CLOEXEC, ${BENEATH}}, 24) = 20`;
  const get = 'getxattr("/proc/self/fd/20", "system.posix_acl_access", "", 256) = -1 ENODATA (No data)';
  const looks = 'newfstatat(AT_FDCWD, "/proc/self/fd", {st_mode=S_IFDIR|0500, ...}, 0) = 0';
  const wrong = (lines, how) =>
    audit(lines.map(parse), { root: '18', method: 'cp', procfs: new Set(['9']), ...how }).complaints.join(
      '; ',
    );
  for (const method of ['writeFile', 'cp', 'move'])
    assert.strictEqual(wrong([handle, looks, get], { method }), '');
  for (const [complaint, lines, how] of [
    ['by a path of the host', [handle, looks, get], { procfs: new Set() }],
    ['by a path of the host', [handle, looks, get], { procfs: null, method: 'copyFile' }],
    ['by a path of the host', [handle, looks, get.replace('self', '1')]],
    ['by a path of the host', [handle, looks, get.replace('/fd/', '/cwd/')]],
    ['not a descriptor', [looks, get]],
    ['not a descriptor', [handle, looks, get.replace('20"', '18"')]],
    ['by its number', [handle.replace('O_PATH', 'O_RDONLY|O_NONBLOCK|O_NOCTTY'), looks, get]],
    ['an attribute that', [handle, looks, get.replace('system.posix_acl_access', 'user.x')]],
    ['something else may be at /proc', [handle, get]],
    ['something else may be at /proc', [looks, handle, get]],
    ['a symlink is followed', [handle, looks.replace('self', '1'), get]],
    ['nothing that this method needs', [handle, looks, get], { method: 'copyFile' }],
  ]) {
    assert.ok(wrong(lines, how).includes(complaint), `${complaint}: ${lines}\nbut: ${wrong(lines, how)}`);
  }
});

test('the rules let temporary names be made where they can go again', () => {
  const dir = `openat2(18, "a", {flags=O_PATH|O_DIRECTORY|O_CLOEXEC, ${BENEATH}}, 24) = 20`;
  const known = 'statx(20, "", AT_STATX_SYNC_AS_STAT|AT_EMPTY_PATH, 0, {stx_mode=S_IFDIR|0755, ...}) = 0';
  const NAME = '.openat2-abcdefABCDEF';
  const open = `openat2(20, "${NAME}", {flags=O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, mode=0600, ${BENEATH}}, 24) = 21`;
  const wrong = (lines, how) =>
    audit(lines.map(parse), { root: '18', method: 'cp', ...how }).complaints.join('; ');
  for (const line of [
    open,
    `linkat(20, "a", 20, "${NAME}", 0) = 0`,
    `symlinkat("/any/where", 20, "${NAME}") = 0`,
    `mknodat(20, "${NAME}", S_IFIFO|0600) = 0`,
    `mkdirat(20, "${NAME}", 0700) = 0`,
    `renameat2(20, "a", 20, "${NAME}", RENAME_NOREPLACE) = 0`,
  ]) {
    assert.strictEqual(wrong([dir, known, line]), '', line);
    for (const [complaint, lines, how] of [
      ['where it may have to stay', [dir, line]],
      ['where it may have to stay', [dir, known.replace('20', '18'), line]],
      ['not a temporary name', [dir, known, line.replace(NAME, `${NAME}x`)]],
      ['not a temporary name', [dir, known, line.replace(NAME, '.openat2-1')]],
      ['nothing that this method needs', [dir, known, line], { method: 'copyFile' }],
    ]) {
      assert.ok(wrong(lines, how).includes(complaint), `${complaint}: ${line}\nbut: ${wrong(lines, how)}`);
    }
  }
});

test('the rules let a thread act as its real user, and no longer than it asks', () => {
  const as = ['setfsgid(100) = 0', 'setfsuid(1000) = 0'];
  const back = ['setfsuid(0) = 1000', 'setfsgid(0) = 100'];
  const ask = `openat2(18, "a/b", {flags=O_PATH|O_CLOEXEC, ${BENEATH}}, 24) = -1 ENOENT (No such file or directory)`;
  const wrong = (lines, how) =>
    audit(lines.map(parse), { root: '18', method: 'access', ...how }).complaints.join('; ');
  assert.strictEqual(wrong([...as, ask, ...back]), '');
  assert.strictEqual(wrong([...as, ask, ...back], { method: 'exists' }), '');
  for (const [complaint, lines, how] of [
    ['it is not set back', [...as, ask]],
    ['it is not set back', [...as, ask, back[0]]],
    ['it is not set back', [...as, ask, ...[...back].reverse()]],
    ['it is not set back', [...as, ask, back[0].replace('(0)', '(1)'), back[1]]],
    ['it is not set back', [...[...as].reverse(), ask, ...back]],
    ['nothing that this method needs', [...as, ask, ...back], { method: 'stat' }],
    ['nothing that this method needs', ['getresuid([0], [0], [0]) = 0'], { method: 'stat' }],
    ['nothing that this method needs', ['getresgid([0], [0], [0]) = 0'], { method: 'stat' }],
    ['nothing that this method needs', ['geteuid() = 0'], { method: 'stat' }],
    ['no rule', ['setuid(1000) = 0']],
    ['no rule', ['setresuid(1000, 1000, 1000) = 0']],
  ]) {
    assert.ok(wrong(lines, how).includes(complaint), `${complaint}: ${lines}\nbut: ${wrong(lines, how)}`);
  }
});

test('the rules let a thread give up its capabilities for access, and take them again', () => {
  const version = '{version=_LINUX_CAPABILITY_VERSION_3, pid=0}';
  const data = (effective) => `{effective=${effective}, permitted=1<<CAP_CHOWN, inheritable=0}`;
  const [get, set] = ['get', 'set'].map((what) => (effective) => `cap${what}(${version}, ${data(effective)}) = 0`);
  const CHOWN = '1<<CAP_CHOWN';
  const whole = [get(CHOWN), set('0'), set(CHOWN)];
  const wrong = (lines, how) => audit(lines.map(parse), { method: 'access', root: '18', ...how }).complaints.join('; ');
  for (const method of ['access', 'exists']) {
    assert.strictEqual(wrong(whole, { method }), '');
    assert.strictEqual(wrong([get('0')], { method }), '', 'there are none');
  }
  for (const [complaint, lines, how] of [
    ['not given back', whole.slice(0, 2)],
    ['not given back', [get(CHOWN), set('0'), set('1<<CAP_CHOWN|1<<CAP_SYS_ADMIN')]],
    ['other capabilities than none', [get(CHOWN), set('1<<CAP_SYS_ADMIN'), set(CHOWN)]],
    ['other capabilities than none', whole.slice(1)],
    ['other capabilities than none', [get('0'), set('0'), set('0')]],
    ['of another thread', whole.map((line) => line.replace('pid=0', 'pid=1'))],
    ['of another thread', [get('0').replace('pid=0', 'pid=1')]],
    ['nothing that this method needs', whole, { method: 'stat' }],
    ['nothing that this method needs', [get('0')], { method: 'chmod' }],
  ]) {
    assert.ok(wrong(lines, how).includes(complaint), `${complaint}: ${lines}\nbut: ${wrong(lines, how)}`);
  }
}); // biome-ignore format: a table

test('the rules let the file system be asked for of a new root, of what is in a tree, of what statfs is given, and of nothing else', () => {
  const ask = (fd) => `fstatfs(${fd}, {f_type=TMPFS_MAGIC, f_bsize=4096, ...}) = 0`;
  const made = 'openat(AT_FDCWD, "/tmp/x", O_RDONLY|O_CLOEXEC|O_PATH|O_DIRECTORY) = 20';
  const beneath = `openat2(18, "a", {flags=O_PATH|O_DIRECTORY|O_CLOEXEC, ${BENEATH}}, 24) = 20`;
  const wrong = (lines, how) => audit(lines.map(parse), how).complaints.join('; ');
  assert.strictEqual(wrong([made, ask(20)], { method: 'constructor' }), '');
  assert.strictEqual(wrong([beneath, ask(20)], { method: 'openRoot', root: '18' }), '');
  const complaint = 'by a descriptor not of /proc';
  assert.ok(wrong([made, ask(18)], { method: 'constructor' }).includes(complaint));
  assert.ok(wrong([beneath, ask(18)], { method: 'openRoot', root: '18' }).includes(complaint));
  for (const method of ['stat', 'rm', 'isAt', 'copyFile'])
    assert.ok(wrong([beneath, ask(20)], { method, root: '18' }).includes(complaint), method);
  for (const method of ['cp', 'move', 'readdir', 'walk']) {
    assert.ok(!wrong([beneath, ask(20)], { method, root: '18' }).includes(complaint), method);
    assert.match(
      wrong([beneath, ask(17)], { method, root: '18' }),
      /not in a directory that it opened/,
      method,
    );
  }
  // By a descriptor of its own that opens nothing.
  const found = beneath.replace('O_DIRECTORY|', '');
  const opened = beneath.replace('O_PATH|O_DIRECTORY', 'O_RDONLY');
  const told = (lines) => wrong(lines, { method: 'statfs', root: '18' });
  assert.strictEqual(told([found, ask(20), 'close(20) = 0']), '');
  for (const lines of [[ask(18)], [ask(21)], [found, 'close(20) = 0', ask(20)]])
    assert.ok(told(lines).includes('not a descriptor'), told(lines));
  assert.ok(told([opened, ask(20)]).includes('what is described was opened'), told([opened, ask(20)]));
});

test('a descriptor that two threads have one after the other is in order, whatever the clock says', () => {
  const call = (at, thread, line) => ({ ...parse(line), at, thread });
  const opened = (at, thread) => call(at, thread, `openat2(18, "a", {flags=O_PATH|O_CLOEXEC, ${BENEATH}}, 24) = 20`);
  const close = (at, thread) => call(at, thread, 'close(20) = 0');
  const used = (at, thread) => call(at, thread, 'fstat(20, {st_mode=S_IFREG|0644, ...}) = 0');
  const threads = (...calls) => inOrder(calls).map(({ name, thread }) => `${name} ${thread}`);
  // Strace was late: the other thread has closed it before.
  assert.deepStrictEqual(threads(opened(1, 'a'), opened(2, 'b'), close(3, 'a'), used(4, 'b'), close(5, 'b')), [
    'openat2 a', 'close a', 'openat2 b', 'fstat b', 'close b',
  ]);
  // What is handed over is left as it is; and so is what is used before that.
  for (const calls of [
    [opened(1, 'a'), close(2, 'b'), opened(3, 'a'), used(4, 'a'), close(5, 'b')],
    [opened(1, 'a'), opened(2, 'b'), used(3, 'b'), close(4, 'a')],
  ]) assert.deepStrictEqual(threads(...calls), calls.map(({ name, thread }) => `${name} ${thread}`));
}); // biome-ignore format: a table

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

test('a mount is not crossed if nobody can tell whether the root is covered', { skip }, (t) => {
  const dir = tempDir(t);
  const program = `
    const { SandboxRoot } = require(${JSON.stringify(path.join(__dirname, '..'))});
    const root = new SandboxRoot(${JSON.stringify(dir)}, { symlinks: 'beneath' });
    try {
      root.stat('../nothing');
    } catch ({ code }) {
      console.log(code);
    }`;
  for (const [code, told] of [
    ['EMFILE', 'EMFILE'],
    ['ENFILE', 'ENFILE'],
    ['ENOMEM', 'ENOMEM'],
    ['EXDEV', 'EACCES'],
    // It is asked again.
    ['EINTR', 'EACCES'],
    ['EAGAIN', 'EACCES'],
  ]) {
    // The root is the first, its first lookup the second, and the third asks.
    const { stdout } = trace(dir, ['-e', program], { inject: [`openat2:error=${code}:when=3`] });
    assert.strictEqual(stdout, `${told}\n`, code);
  }
});

test('every method is audited', () => {
  // What these open is opened as by `open` and `writeFile`; the rest is Node's, on descriptors: see
  // `the-view-names-no-path`.
  const others = ['createReadStream', 'createWriteStream', 'watch'];
  const methods = Reflect.ownKeys(SandboxRoot.prototype)
    .map(String)
    .filter((name) => !others.includes(name));
  assert.deepStrictEqual(Object.keys(WAYS).sort(), methods.sort());
});

const isLookup = ({ name }) => name === 'openat2';

/** What gives the caller a root, or holds one. */
const MAKES_ROOTS = ['constructor', 'openRoot', 'hostPath'];

/** Every policy, by calls and by promises; and that mounts can be refused under any of them. */
const ROOTS = [
  ...POLICIES.map((symlinks) => ({ symlinks })),
  ...POLICIES.map((symlinks) => ({ symlinks, later: true, brief: !FULL && symlinks !== 'reject' })),
  ...POLICIES.map((symlinks) => ({ symlinks, mounts: 'reject', brief: !FULL })),
];

/** A rename elsewhere makes a lookup with `..`, its own or that of a link, say EAGAIN: it is made again. */
const isPassing = ({ errno, line }) =>
  errno === 'EAGAIN' &&
  (/"[^"]*\.\.[^"]*"/.test(line) || !line.includes('RESOLVE_NO_SYMLINKS')) &&
  !line.includes('RESOLVE_CACHED');
const namesOf = (calls) =>
  calls
    .filter((call) => !isPassing(call))
    .map(({ name }) => name)
    .join(' ');

/** What strace slows down is gone through two at a time. */
const BESIDE = { skip, concurrency: 2 };

test('every call under every policy', BESIDE, async (whole) => {
  const each = ROOTS.map((how) => {
    const { later = false, brief = false, ...options } = how;
    const what = `every ${later ? 'promise' : 'call'}, ${JSON.stringify(options)},`;
    return whole.test(`${what} keeps to the rules`, async (t) => {
      const results = await audited(t, how);
      const audible = Object.keys(WAYS).filter((method) => !later || !ONLY_SYNC.includes(method));
      for (const method of audible) {
        await t.test(`${method} makes no other system calls than it says`, () => {
          for (const { what, calls, syscalls } of results.filter((result) => result.method === method)) {
            if (syscalls === undefined) continue;
            // Where mounts are refused, it takes more to look at a name.
            if (options.mounts === 'reject') continue;
            // What a kernel does not have is made up for in another way: see below.
            if (calls.some(({ name, errno }) => name === 'fchmodat2' && errno === 'ENOSYS')) continue;
            assert.match(namesOf(calls), new RegExp(`^${syscalls}$`), `${method}: ${what}`);
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
        await t.test('what the kernel has in its cache is answered on the thread that calls', () => {
          for (const method of Object.keys(ASKED_FIRST)) {
            const asked = results
              .filter(({ calls, ...result }) => result.method === method && calls.some(isLookup))
              .map(({ what, calls }) => {
                // Behind who asks.
                const [first, ...rest] = calls.slice(calls.findIndex(isLookup));
                return { what, first, rest };
              });
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
        assert.ok(
          OPENS.every((method) => results.some((result) => result.method === method && result.fd > 2)),
        );
        // Symlinks were met, and followed or not.
        const link = results.find(({ method, what }) => method === 'openRead' && what === 'a symlink');
        assert.strictEqual(link.error, options.symlinks === 'reject' ? 'ELOOP' : undefined);
      });
    });
  });
  await Promise.all(each);
});

test('every call across mounts', { ...BESIDE, skip: skip || withoutMounts }, async (whole) => {
  const each = [];
  for (const symlinks of POLICIES) {
    for (const mounts of ['allow', 'reject']) {
      for (const later of [false, true]) {
        const what = `every ${later ? 'promise' : 'call'} across mounts, ${JSON.stringify({ symlinks, mounts })},`;
        const one = whole.test(`${what} keeps to the rules`, async (t) => {
          const wrapper = ['unshare', '--mount'];
          const results = await audited(t, { symlinks, mounts, later, mounted: true, wrapper });
          for (const { method, what, calls, complaints, left, fd, syscalls, error } of results) {
            const where = `${method}: ${what}`;
            assert.deepStrictEqual(complaints, [], where);
            assert.deepStrictEqual(left, fd === undefined ? [] : [fd], where);
            if (mounts === 'reject') {
              // It is not reached, nor is a root that something covers left.
              if (method !== 'readdir' && !what.startsWith('a way up') && !/below/.test(what))
                assert.ok(
                  ['EACCES', 'EXDEV', 'EBUSY'].includes(error) || method === 'cp',
                  `${where}: ${error}`,
                );
              continue;
            }
            if (syscalls !== undefined) {
              assert.match(namesOf(calls), new RegExp(`^(${syscalls})$`), where);
            }
            if (/covered root/.test(what) && symlinks !== 'reject' && !/^(below|on a mount)/.test(what))
              assert.strictEqual(error, 'EACCES', where);
          }
          const moved = results.filter(({ method, error }) => method === 'move' && error === undefined);
          if (mounts === 'allow') {
            assert.ok(moved.length >= 6);
            for (const name of ['flistxattr', 'fchmod', 'F_DUPFD_CLOEXEC'])
              assert.ok(moved.some(({ calls }) => calls.some(({ line }) => line.includes(name))));
          }
        });
        each.push(one);
      }
    }
  }
  await Promise.all(each);
});

const WHO = 'getresuid getresgid capget';
for (const [who, more, before, after] of [
  ['an ordinary user', [], WHO, ''],
  [
    'an ordinary user with capabilities',
    ['--inh-caps=+dac_override', '--ambient-caps=+dac_override'],
    `${WHO} capset`,
    ' getresuid capset',
  ],
]) {
  for (const method of ['access', 'exists']) {
    test(`${method} keeps to the rules for ${who}`, {
      skip: skip || (!isRoot && 'needs root'),
    }, async (t) => {
      const wrapper = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', ...more];
      const results = await audited(t, { method, brief: true, wrapper });
      for (const { what, calls, complaints, left, syscalls } of results) {
        assert.deepStrictEqual([...complaints, ...left], [], what);
        const made = calls.map(({ name }) => name).join(' ');
        const expected = syscalls.replace(/^getresuid getresgid( capget)?/, before) + (syscalls && after);
        // faccessat2 is by the real user already.
        if (!syscalls.includes('faccessat2')) assert.strictEqual(made, expected, what);
      }
    });
  }
}

test('a lease differs from a storm of renames: the path is found each time', { skip }, async (t) => {
  const inject = ['openat2:error=EAGAIN:when=2..129'];
  const results = await audited(t, { method: 'readFile', brief: true, symlinks: 'beneath', inject });
  assert.deepStrictEqual(
    results.flatMap(({ complaints, left }) => [...complaints, ...left]),
    [],
  );
  const lookups = results[0].calls.filter(isLookup);
  assert.ok(lookups.slice(0, 128).every(({ errno, line }) => errno === 'EAGAIN' && !line.includes('O_PATH')));
  assert.ok(lookups[128].line.includes('O_PATH'));
});

/** What is known of /proc is kept: once it is, a call costs one more than on a descriptor. */
function costsOneMore(results, syscalls) {
  assert.deepStrictEqual(
    results.flatMap(({ complaints, left }) => [...complaints, ...left]),
    [],
  );
  const last = results.find(({ what }) => what === 'below');
  assert.strictEqual(last.calls.map(({ name }) => name).join(' '), syscalls);
}

for (const code of ['ENOSYS', 'EPERM']) {
  test(`chmod keeps to the rules where fchmodat2 is ${code}`, { skip }, async (t) => {
    const wrapper = [tool('seccomp'), '--deny', `fchmodat2=${code}`, '--'];
    const results = await audited(t, { method: 'chmod', brief: true, procfs: new Set(), wrapper });
    costsOneMore(results, 'openat2 fchmodat2 fchmodat close');
  });
}

test('utimes keeps to the rules where utimensat takes no descriptor', { skip }, async (t) => {
  const inject = ['utimensat:error=EINVAL:when=1+2'];
  const results = await audited(t, { method: 'utimes', brief: true, procfs: new Set(), inject });
  costsOneMore(results, 'openat2 utimensat utimensat close');
});

test('writeFile keeps to the rules where no link is made of a descriptor', { skip }, async (t) => {
  const inject = ['linkat:error=ENOENT:when=1+2'];
  const results = await audited(t, { method: 'writeFile', brief: true, procfs: new Set(), inject });
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
