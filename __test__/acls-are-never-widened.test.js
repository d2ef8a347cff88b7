'use strict';
// Files and directories with POSIX ACLs: whoever could not read or write something cannot do so with
// its copy, or with what takes its place. Each user is asked for by opening the files as that user.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { execFileSync, spawnSync } = require('node:child_process');
const { SandboxRoot } = require('..');
const { FULL } = require('./sizes');
const { WAYS, folder, folderOn, privately, run } = require('./mounts');

const declare = privately(__filename);

const OWNER = { uid: 1000, gid: 1000 };
/** Users that the ACLs name, are in groups that they name, in the group of the file, or strangers. */
const USERS = {
  owner: OWNER,
  'of the group': { uid: 2003, gid: OWNER.gid },
  named: { uid: 2001, gid: 4001 },
  'named, of the group': { uid: 2001, gid: OWNER.gid },
  'of a named group': { uid: 2002, gid: 3001 },
  'of the group of the named user': { uid: 2004, gid: 4001 },
  stranger: { uid: 65534, gid: 65534 },
};

/** ACLs of files; the mode of each looks as if the group might do more, or all others. */
const ACLS = {
  'a user who may, a group that may not': 'u::rw-,u:2001:rw-,g::---,m::rw-,o::---',
  'a group that may, another that may not': 'u::rw-,g::---,g:3001:r--,m::r--,o::---',
  'a mask': 'u::rw-,u:2001:rw-,g::rw-,m::r--,o::---',
  'a mask that shuts all out': 'u::rw-,u:2001:rw-,g::rw-,m::---,o::---',
  'a user who may not, though others may': 'u::rw-,u:2001:---,g::r--,m::r--,o::r--',
  'a group that may not, though others may': 'u::rw-,g::r--,g:3001:---,m::rw-,o::rw-',
};
/** What a new file in a directory gets. */
const GENEROUS = 'd:u::rwx,d:u:2001:rwx,d:g::rwx,d:g:3001:rwx,d:m::rwx,d:o::rwx';

const hasTools = ['setfacl', 'getfacl'].every((tool) => spawnSync(tool, ['--version']).error === undefined);

function test(title, action) {
  declare(title, (t) => {
    if (!hasTools) return t.skip('needs setfacl and getfacl, of the package acl');
    // Root is in no other groups, while it acts as somebody.
    process.setgroups([]);
    return action(t);
  });
}

const setfacl = (at, acl) => execFileSync('setfacl', ['-m', acl, at], { stdio: 'pipe' });
const getfacl = (at) =>
  execFileSync('getfacl', ['-n', '--omit-header', '--absolute-names', at], { encoding: 'utf8' }).trim();

function as({ uid, gid }, action) {
  process.setegid(gid);
  process.seteuid(uid);
  try {
    return action();
  } finally {
    process.seteuid(0);
    process.setegid(0);
  }
}

/** What each of the users may do with a file or directory: 'rw', 'r', … */
function rights(at) {
  const isDirectory = fs.statSync(at).isDirectory();
  const may = (flags) => {
    try {
      fs.closeSync(fs.openSync(at, flags));
      return true;
    } catch (error) {
      if (error.code !== 'EACCES') throw error;
      return false;
    }
  };
  const entered = () => {
    try {
      fs.statSync(`${at}/.`);
      return true;
    } catch {
      return false;
    }
  };
  const of = () => (may('r') ? 'r' : '') + (isDirectory ? (entered() ? 'x' : '') : may('r+') ? 'w' : '');
  return Object.fromEntries(Object.entries(USERS).map(([name, user]) => [name, as(user, of)]));
}

/** Nobody can do what they could not. */
function assertNoWider(is, was, says) {
  for (const [name, rights] of Object.entries(is))
    for (const right of rights) assert.ok(was[name].includes(right), `${says}: ${name} may ${right}`);
}

/** A directory of a test on a file system of this `kind`, with a root on it; all may enter it. */
function place(t, kind) {
  const dir = folderOn(t, kind);
  fs.chmodSync(dir, 0o777);
  return placeIn(dir);
}

function placeIn(dir) {
  return { dir, root: new SandboxRoot(dir), at: (...names) => path.join(dir, ...names) };
}

function plantFile(at, acl, mode = 0o640) {
  fs.writeFileSync(at, 'a secret', { mode: 0o600 });
  fs.chmodSync(at, mode);
  fs.chownSync(at, OWNER.uid, OWNER.gid);
  if (acl !== undefined) setfacl(at, acl);
}

/** Root, in the group of the files: what it makes belongs to that group. */
const inTheirGroup = async (action) => {
  process.setegid(OWNER.gid);
  try {
    return await action();
  } finally {
    process.setegid(0);
  }
};

/** File systems that have ACLs. */
const KINDS = ['tmpfs', 'ext4', ...(FULL ? ['xfs', 'btrfs'] : [])];

/** A directory on a file system that has no ACLs. */
function withoutAcls(t) {
  const dir = folder('ramfs');
  run('mount', '-t', 'ramfs', '-o', 'mode=777', 'ramfs', dir);
  t.after(() => run('umount', '--lazy', dir));
  fs.writeFileSync(path.join(dir, 'probe'), '');
  assert.notStrictEqual(spawnSync('setfacl', ['-m', 'u:2001:rw-', path.join(dir, 'probe')]).status, 0);
  return dir;
}

const COPIES = {
  copyFile: (call, root, to, name) => call(root, 'copyFile', name, 'copy', undefined, { to }),
  'copyFile over another': async (call, root, to, name, at) => {
    plantFile(at('copy'), undefined, 0o600);
    await call(root, 'copyFile', name, 'copy', undefined, { to });
  },
  cp: (call, root, to, name) => call(root, 'cp', name, 'copy', { to }),
  'cp over another': async (call, root, to, name, at) => {
    plantFile(at('copy'), undefined, 0o600);
    await call(root, 'cp', name, 'copy', { to });
  },
  move: (call, root, to, name) => call(root, 'move', name, 'copy', { to, overwrite: true }),
};

for (const [face, call] of WAYS) {
  for (const kind of KINDS) {
    for (const [what, copy] of Object.entries(COPIES)) {
      const other = kind === 'tmpfs' ? 'ext4' : 'tmpfs';
      for (const dest of what === 'move' ? [other] : [kind, other]) {
        test(`nobody may do with the outcome of ${what} what they could not before: ${kind} to ${dest}, ${face}`, async (t) => {
          for (const [acl, text] of Object.entries(ACLS)) {
            const [source, target] = [place(t, kind), place(t, dest)];
            plantFile(source.at('file'), text);
            const was = rights(source.at('file'));
            await inTheirGroup(() => copy(call, source.root, target.root, 'file', target.at));
            assertNoWider(rights(target.at('copy')), was, acl);
          }
        });
      }
    }

    test(`what cp copies has the ACL of the original: ${kind}, ${face}`, async (t) => {
      for (const text of Object.values(ACLS)) {
        const { root, at } = place(t, kind);
        fs.mkdirSync(at('tree'));
        plantFile(at('tree', 'file'), text);
        setfacl(at('tree'), 'u::rwx,u:2001:r-x,g::---,m::r-x,o::---');
        await call(root, 'cp', 'tree', 'copy', { recursive: true });
        for (const name of ['.', 'file'])
          assert.strictEqual(getfacl(at('copy', name)), getfacl(at('tree', name)), `${name}: ${text}`);
      }
    });

    test(`a write in one step keeps the ACL of the file: ${kind}, ${face}`, async (t) => {
      for (const [acl, text] of Object.entries(ACLS)) {
        const { root, at } = place(t, kind);
        plantFile(at('file'), text);
        const [was, had] = [rights(at('file')), getfacl(at('file'))];
        await inTheirGroup(() => call(root, 'writeFile', 'file', 'new', { atomic: true }));
        assertNoWider(rights(at('file')), was, acl);
        assert.strictEqual(getfacl(at('file')), had, acl);
      }
    });

    test(`a directory that gives away what is made in it gives nothing of a copy: ${kind}, ${face}`, async (t) => {
      for (const [what, copy] of Object.entries(COPIES)) {
        const [source, { root, at }] = [place(t, kind === 'tmpfs' ? 'ext4' : 'tmpfs'), place(t, kind)];
        fs.mkdirSync(at('generous'));
        fs.chmodSync(at('generous'), 0o777);
        setfacl(at('generous'), GENEROUS);
        const to = new SandboxRoot(at('generous'));
        plantFile(source.at('file'), undefined, 0o600);
        const was = rights(source.at('file'));
        await inTheirGroup(() => copy(call, source.root, to, 'file', (name) => at('generous', name)));
        assertNoWider(rights(at('generous', 'copy')), was, what);

        plantFile(at('generous', 'old'), undefined, 0o600);
        execFileSync('setfacl', ['-b', at('generous', 'old')]);
        await inTheirGroup(() => call(root, 'writeFile', 'generous/old', 'new', { atomic: true }));
        assertNoWider(rights(at('generous', 'old')), was, 'a write in one step');
      }
      // A tree, too.
      const [source, { at }] = [place(t, kind), place(t, kind)];
      fs.mkdirSync(at('generous'));
      setfacl(at('generous'), GENEROUS);
      fs.mkdirSync(source.at('tree'), 0o700);
      plantFile(source.at('tree', 'file'), undefined, 0o600);
      const to = new SandboxRoot(at('generous'));
      for (const [name, act] of [
        ['copy', () => call(source.root, 'cp', 'tree', 'copy', { recursive: true, to })],
        ['moved', () => call(source.root, 'move', 'tree', 'moved', { to })],
      ]) {
        const was = ['.', 'file'].map((inner) => rights(source.at('tree', inner)));
        await inTheirGroup(act);
        ['.', 'file'].forEach((inner, i) => {
          // To be seen, the directories above are opened.
          const is = at('generous', name, inner);
          if (inner === 'file') fs.chmodSync(at('generous', name), 0o755);
          assertNoWider(rights(is), inner === '.' ? was[i] : rightsOfOwnerAlone(was[i]), `${name}/${inner}`);
        });
      }
    });

    test(`a move keeps owner, times, ACLs and attributes: from ${kind}, ${face}`, async (t) => {
      const dest = kind === 'tmpfs' ? 'ext4' : 'tmpfs';
      const [source, target] = [place(t, kind), place(t, dest)];
      const names = ['.', 'file', 'sub', 'sub/file', 'link', 'fifo'];
      fs.mkdirSync(source.at('tree', 'sub'), { recursive: true });
      plantFile(source.at('tree', 'file'), ACLS['a mask']);
      plantFile(source.at('tree', 'sub', 'file'), undefined, 0o604);
      fs.symlinkSync('file', source.at('tree', 'link'));
      execFileSync('mkfifo', ['-m', '600', source.at('tree', 'fifo')]);
      setfacl(source.at('tree', 'sub'), 'u:2001:r-x,d:u:2001:rw-,d:g:3001:r--');
      const attributes = ['file', 'sub'].filter(
        (name) =>
          spawnSync('setfattr', ['-n', 'user.color', '-v', 'red', source.at('tree', name)]).status === 0,
      );
      for (const [i, name] of [...names].reverse().entries()) {
        fs.lchownSync(source.at('tree', name), OWNER.uid + i, OWNER.gid + i);
        fs.lutimesSync(source.at('tree', name), 1e9 + i, 1.1e9 + i);
      }
      const before = names.map((name) => described(source.at('tree', name)));
      await call(source.root, 'move', 'tree', 'moved', { to: target.root });
      assert.strictEqual(fs.existsSync(source.at('tree')), false);
      const after = names.map((name) => described(target.at('moved', name)));
      for (const [i, name] of names.entries()) assert.deepStrictEqual(after[i], before[i], name);
      if (attributes.length === 0) t.diagnostic('without attributes, which this file system has not');
    });

    test(`a file that is new takes after its directory, when written in one step too: ${kind}, ${face}`, async (t) => {
      const { root, at } = place(t, kind);
      fs.mkdirSync(at('generous'));
      setfacl(at('generous'), GENEROUS);
      for (const mode of [undefined, 0o600, 0o640]) {
        await call(root, 'writeFile', `generous/ours ${mode}`, 'new', { atomic: true, mode });
        fs.writeFileSync(at('generous', `theirs ${mode}`), 'new', { mode });
        const [ours, theirs] = ['ours', 'theirs'].map((name) => getfacl(at('generous', `${name} ${mode}`)));
        assert.strictEqual(ours, theirs);
      }
    });
  }

  for (const [what, copy] of Object.entries(COPIES)) {
    test(`where there are no ACLs nobody gets more by ${what}, ${face}`, async (t) => {
      const target = placeIn(withoutAcls(t));
      for (const [acl, text] of Object.entries(ACLS)) {
        const source = place(t, 'tmpfs');
        plantFile(source.at('file'), text);
        const was = rights(source.at('file'));
        await inTheirGroup(() => copy(call, source.root, target.root, 'file', target.at));
        assertNoWider(rights(target.at('copy')), was, acl);
        fs.rmSync(target.at('copy'));
      }
    });
  }

  test(`a write in one step by somebody else gives nothing to the group of that user, ${face}`, async (t) => {
    for (const kind of KINDS) {
      const { root, at } = place(t, kind);
      const writer = USERS.named;
      for (const mode of [0o660, 0o640, 0o664, 0o060]) {
        plantFile(at('file'), undefined, mode);
        const was = rights(at('file'));
        process.setegid(writer.gid);
        process.seteuid(writer.uid);
        try {
          await call(root, 'writeFile', 'file', 'new', { atomic: true });
        } finally {
          process.seteuid(0);
          process.setegid(0);
        }
        // Who wrote it has it.
        const { named: _, 'named, of the group': __, ...others } = rights(at('file'));
        assertNoWider(others, was, mode.toString(8));
        fs.rmSync(at('file'));
      }
    }
  });
}

/** Where the way to a file was shut to all but its owner, what its mode lets others do is no matter. */
const rightsOfOwnerAlone = (rights) => ({ ...rights, owner: 'rw' });

function described(at) {
  const { mode, uid, gid, atimeNs, mtimeNs, size } = fs.lstatSync(at, { bigint: true });
  const isLink = fs.lstatSync(at).isSymbolicLink();
  const { stdout } = isLink ? { stdout: '' } : spawnSync('getfattr', ['-d', '--absolute-names', at]);
  return {
    mode: mode.toString(8),
    owner: `${uid}:${gid}`,
    times: `${isLink || fs.lstatSync(at).isDirectory() ? '' : atimeNs} ${mtimeNs}`,
    size: fs.lstatSync(at).isFile() ? size : undefined,
    acl: isLink ? undefined : getfacl(at),
    attributes: `${stdout}`.split('\n').slice(1).join('\n'),
  };
}

test('the users can do what the ACLs say', (t) => {
  const { at } = place(t, 'tmpfs');
  plantFile(at('file'), ACLS['a user who may, a group that may not']);
  const expected = { owner: 'rw', 'of the group': '', named: 'rw', 'named, of the group': 'rw' };
  const others = { 'of a named group': '', 'of the group of the named user': '', stranger: '' };
  assert.deepStrictEqual(rights(at('file')), { ...expected, ...others });
});

test('a default ACL that was removed is not brought back by the name that XFS has for it', (t) => {
  const [one, other] = [place(t, 'xfs'), place(t, 'btrfs')];
  fs.mkdirSync(one.at('dir'), { mode: 0o755 });
  setfacl(one.at('dir'), GENEROUS);
  one.root.move('dir', 'dir', { to: other.root });
  assert.match(getfacl(other.at('dir')), /^default:user:2001:rwx$/m);
  execFileSync('setfacl', ['--remove-all', '--remove-default', other.at('dir')]);
  other.root.move('dir', 'dir', { to: one.root });
  assert.doesNotMatch(getfacl(one.at('dir')), /default:/);
  setfacl(one.at('dir'), GENEROUS);
  one.root.cp('dir', 'copy', { recursive: true, preserve: ['xattr'] });
  assert.doesNotMatch(getfacl(one.at('copy')), /default:/);
  for (const { root } of [one, other]) root.close();
});
