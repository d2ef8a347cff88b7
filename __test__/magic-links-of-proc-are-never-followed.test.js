'use strict';
// Roots on /proc: the magic links there lead anywhere, whatever their text says. No method follows one,
// under any policy, and no error tells where one leads.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { inChild } = require('./child');
const { Outside } = require('./races/outside');
const { fifo, isRoot, plant, tempDir, withoutMounts } = require('./support');

/**
 * In a process of its own, whose magic links lead to a folder and to all that can be open. Gives back what
 * went wrong, and how much was tried. Whatever happens, the disks of the host cannot be written.
 */
async function tryMagicLinks(dir, files, policies) {
  const { callsApart, callsWithPath, methods, outcome, release, settled } = require(files.support);
  const net = require('node:net');
  process.chdir(`${dir}/yard`);
  const server = net.createServer().listen();
  const gone = fs.openSync(`${dir}/gone`, 'w+');
  fs.unlinkSync(`${dir}/gone`);
  const opened = [
    fs.openSync(`${dir}/yard`, 'r'),
    fs.openSync(`${dir}/yard/secret`, 'r+'),
    fs.openSync(`${dir}/pipe`, fs.constants.O_RDWR),
    fs.openSync('/dev/null', 'r+'),
    gone,
  ];
  const { pid } = process;
  const elsewhere = new SandboxRoot(`${dir}/elsewhere`);

  /** Every magic link of this process: `[path in /proc/<pid>, where it leads]`. */
  const links = (from) => fs.readdirSync(`/proc/self/${from}`).map((name) => `${from}/${name}`);
  const maps = links('map_files');
  const names = [
    ...['exe', 'cwd', 'root'],
    ...opened.map((fd) => `fd/${fd}`),
    // Those of Node itself: epoll, eventfd, io_uring, sockets. One that is gone meanwhile leads nowhere.
    ...links('fd'),
    ...links('ns'),
    ...maps.slice(0, 3),
    ...maps.slice(-1),
  ].filter((name) => fs.lstatSync(`/proc/self/${name}`, { throwIfNoEntry: false })?.isSymbolicLink());
  const magic = [...new Set(names)].map((name) => [name, fs.readlinkSync(`/proc/self/${name}`)]);

  /** Methods that act on the link itself: what it leads to is not reached. */
  const onTheLink = [
    'mkdir (1)', 'unlink', 'rmdir', 'remove', 'mkfifo', 'rename', 'renameNoReplace', 'exchange', 'link', 'symlink', 'lstat',
    'readlink', 'lutimes', 'lchown', 'rm', 'cp', 'move', 'writeFile (2)', 'mkdtemp',
    'open (3)', 'to: cp', 'to: move', 'to: link', 'from: cp', 'from: move', 'from: link', 'from: rename',
  ]; // biome-ignore format: a list
  /** Here there is no `file`, and the first path is looked up first. */
  const FILE_FIRST = ['link (2)', 'copyFile (2)', 'cp (2)', 'cp (3)', 'cp (5)'];
  const tellsOfTheLink = ['lstat (1)', 'readlink (1)', 'to: cp'];
  const calls = Object.entries({ ...callsWithPath, ...callsApart }).flatMap(([method, all]) =>
    all.map((call, i) => [`${method} (${i + 1})`, call]),
  );
  calls.push(['to: copyFile', (root, at) => root.copyFile(at, 'copied', null, { to: elsewhere })]);
  calls.push(['to: cp', (root, at) => root.cp(at, 'copied', { recursive: true, to: elsewhere })]);
  calls.push(['to: link', (root, at) => root.link(at, 'copied', { to: elsewhere })]);
  calls.push(['to: move', (root, at) => root.move(at, 'moved', { to: elsewhere, overwrite: true })]);

  for (const method of ['copyFile', 'cp', 'link', 'move', 'rename']) {
    const mode = method === 'copyFile' ? [null] : [];
    const into = (face, at, root) =>
      (face === root ? elsewhere : elsewhere.promises)[method]('file', at, ...mode, { to: root });
    calls.push([`from: ${method}`, into]);
  }

  const wrong = [];
  let tried = 0;
  const judge = (label, { value, error }, [at, target, isBehind], policy) => {
    tried += 1;
    const told = JSON.stringify(error ?? '');
    const method = label.replace(/ \(\d\)$/, '');
    const mayAct = !isBehind && (onTheLink.includes(label) || onTheLink.includes(method));
    const complain = (what) => wrong.push(`${label} of ${at}, ${JSON.stringify(policy)}: ${what} ${told}`);
    if (target.length > 1 && told.includes(target)) complain('tells where it leads:');
    if (label.startsWith('exists')) {
      if (value !== false) complain('says that it is there');
    } else if (error === undefined) {
      if (!tellsOfTheLink.includes(label) && !(mayAct && /^l(chown|utimes)/.test(label)))
        complain('succeeds');
    } else if (error.syscall === undefined) complain('is no error of the system:');
    else if (FILE_FIRST.includes(label) && error.code === 'ENOENT') return;
    else if (!mayAct && error.code !== 'ELOOP') complain('is not ELOOP:');
  };

  for (const [host, prefix] of [
    ['/proc/self', ''],
    ['/proc/self/task/..', ''],
    ['/proc/thread-self', ''],
    ['/proc', `${pid}/`],
    ['/proc/self/task', `${pid}/`],
    ['/proc/self/fd', 'fd/'],
  ]) {
    for (const policy of policies) {
      const root = new SandboxRoot(host, policy);
      for (const [name, target] of magic) {
        const isHere = host !== '/proc/self/fd' || name.startsWith(prefix);
        const at = host === '/proc/self/fd' ? name.slice(prefix.length) : prefix + name;
        if (!isHere || !fs.lstatSync(`${host}/${at}`, { throwIfNoEntry: false })) continue;
        const behind = ['cwd', 'root', `fd/${opened[0]}`].includes(name);
        for (const place of [[at, target, false], ...(behind ? [[`${at}/secret`, target, true]] : [])]) {
          for (const [label, call] of calls) {
            judge(
              label,
              outcome(() => release(call(root, place[0], root))),
              place,
              policy,
            );
            // One way of calling differs little from the other: not all of it twice.
            if (tried % 7 !== 0) continue;
            const later = settled((async () => release(await call(root.promises, place[0], root)))());
            judge(label, await later, place, policy);
          }
        }
      }
      root.close();
    }
  }
  server.close();
  const isCopy = (name) => name !== 'file' && !fs.lstatSync(`${dir}/elsewhere/${name}`).isSymbolicLink();
  const copied = fs.readdirSync(`${dir}/elsewhere`).filter(isCopy);
  const called = new Set(calls.map(([label]) => label.split(' ')[0]));
  const missing = methods.filter((method) => !called.has(method));
  return { wrong: wrong.slice(0, 40), tried, copied, missing, links: magic.length };
}

test('no method follows a magic link of /proc, or tells where one leads, under any policy', {
  skip: (!isRoot && 'needs root for map_files') || withoutMounts,
}, async (t) => {
  const dir = tempDir(t);
  plant(dir, {
    yard: { secret: 'secret', dir: { deep: 'deep' } },
    elsewhere: { file: 'content' },
    pipe: fifo(),
  });
  const outside = new Outside(path.join(dir, 'yard'));
  outside.arm();
  const policies = [
    { symlinks: 'reject' },
    { symlinks: 'beneath' },
    { symlinks: 'in-root' },
    { symlinks: 'beneath', mounts: 'reject' },
  ];
  // Should a link be followed after all, what it leads to must survive this: exe, root, libraries.
  const files = { support: path.join(__dirname, 'support.js') };
  const protect = 'mount --bind "$0" "$0" && mount -o remount,bind,ro / && exec "$@"';
  const wrap = ['unshare', '--mount', 'sh', '-c', protect, dir];
  const result = await inChild(t, tryMagicLinks, [dir, files, policies], { wrap });
  t.diagnostic(`${result.tried} calls on ${result.links} links`);
  assert.deepStrictEqual(result.wrong, []);
  assert.deepStrictEqual([result.copied, result.missing], [[], []]);
  assert.ok(result.links > 20 && result.tried > 10_000, `${result.links} links, ${result.tried} calls`);
  outside.assertUntouched();
});
