'use strict';
// Each function of the view does what the function of `node:fs` does on a tree of its own: the same result, the same
// error and the same tree afterwards, in all three styles.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { createFs } = require('../fs');
const { onOtherNodes } = require('./other-nodes');
const { tempDir } = require('./support');

const { constants } = fs;
const WHEN = new Date('2020-02-03T04:05:06.789Z');

/** A small tree of every kind. */
function grow(dir) {
  const at = (name) => path.join(dir, name);
  fs.writeFileSync(at('file'), 'the content');
  fs.chmodSync(at('file'), 0o640);
  fs.mkdirSync(at('dir/below/deep'), { recursive: true });
  fs.writeFileSync(at('dir/one'), '1');
  fs.writeFileSync(at('dir/below/two'), '22');
  fs.writeFileSync(at('dir/below/deep/three'), '333');
  fs.mkdirSync(at('empty'));
  fs.symlinkSync('file', at('link'));
  fs.symlinkSync('dir', at('dirlink'));
  fs.symlinkSync('nowhere', at('dangling'));
  fs.symlinkSync('loop', at('loop'));
  for (const name of ['file', 'dir/one', 'dir/below/two']) fs.utimesSync(at(name), WHEN, WHEN);
}

/**
 * Every call: the name of the function, and its arguments; `p` makes a path of one in the tree. `links`: the policy of
 * a root that follows links is needed for the result to be Node's.
 */
const CALLS = [
  ['access', (p) => [p('/file')]],
  ['access', (p) => [p('/file'), constants.R_OK | constants.W_OK]],
  ['access', (p) => [p('/none')]],
  ['access', (p) => [p('/file/below')]],
  ['access', (p) => [p('/file'), 'x']],
  ['access', (p) => [p('/file'), 8]],
  ['access', (p) => [p('/link')], 'links'],
  ['access', (p) => [p('/dangling')], 'links'],
  ['appendFile', (p) => [p('/file'), ' and more']],
  ['appendFile', (p) => [p('/new'), Buffer.from('abc'), { mode: 0o600 }]],
  ['appendFile', (p) => [p('/new'), 'abc', 'latin1']],
  ['appendFile', (p) => [p('/dir'), 'abc']],
  ['appendFile', (p) => [p('/file'), 5]],
  ['chmod', (p) => [p('/file'), 0o600]],
  ['chmod', (p) => [p('/file'), '755']],
  ['chmod', (p) => [p('/file'), '79']],
  ['chmod', (p) => [p('/file'), -1]],
  ['chmod', (p) => [p('/none'), 0o600]],
  ['chmod', (p) => [p('/link'), 0o600], 'links'],
  ['chown', (p) => [p('/file'), process.getuid(), process.getgid()]],
  ['chown', (p) => [p('/file'), -1, -1]],
  ['chown', (p) => [p('/none'), 0, 0]],
  ['chown', (p) => [p('/file'), 'x', 0]],
  ['chown', (p) => [p('/file'), 0, 1.5]],
  ['copyFile', (p) => [p('/file'), p('/copy')]],
  ['copyFile', (p) => [p('/file'), p('/dir/one')]],
  ['copyFile', (p) => [p('/file'), p('/dir/one'), constants.COPYFILE_EXCL]],
  ['copyFile', (p) => [p('/file'), p('/copy'), constants.COPYFILE_FICLONE]],
  ['copyFile', (p) => [p('/none'), p('/copy')]],
  ['copyFile', (p) => [p('/file'), p('/none/copy')]],
  ['copyFile', (p) => [p('/file'), p('/copy'), 9]],
  ['copyFile', (p) => [p('/file'), p('/copy'), 'x']],
  ['copyFile', (p) => [p('/file'), 7]],
  ['cp', (p) => [p('/dir'), p('/copy'), { recursive: true }]],
  ['cp', (p) => [p('/file'), p('/copy')]],
  ['cp', (p) => [p('/dir'), p('/copy'), { recursive: true, filter: (from) => !from.endsWith('deep') }]],
  ['cp', (p) => [p('/file'), p('/dir/one'), { force: false }]],
  ['cp', (p) => [p('/dir'), p('/copy'), { recursive: true, preserveTimestamps: true }]],
  ['cp', (p) => [p('/dir'), p('/copy')]],
  ['cp', (p) => [p('/dir'), p('/file'), { recursive: true }]],
  ['cp', (p) => [p('/file'), p('/dir'), { recursive: true }]],
  ['cp', (p) => [p('/file'), p('/dir/one'), { force: false, errorOnExist: true }]],
  ['cp', (p) => [p('/dir'), p('/dir/below/in'), { recursive: true }]],
  ['cp', (p) => [p('/dir'), p('/dir'), { recursive: true }]],
  ['cp', (p) => [p('/none'), p('/copy'), { recursive: true }]],
  ['cp', (p) => [p('/dir/below'), p('/new/copy'), { recursive: true }]],
  ['cp', (p) => [p('/file'), p('/copy'), { mode: constants.COPYFILE_EXCL }]],
  ['cp', (p) => [p('/file'), p('/copy'), 'x']],
  ['cp', (p) => [p('/file'), p('/copy'), { filter: 5 }]],
  ['exists', (p) => [p('/file')]],
  ['exists', (p) => [p('/none')]],
  ['exists', (p) => [p('/file/')]],
  ['exists', () => [{}]],
  ['exists', (p) => [p('/link')], 'links'],
  ['lchown', (p) => [p('/link'), process.getuid(), process.getgid()]],
  ['lchown', (p) => [p('/none'), 0, 0]],
  ['link', (p) => [p('/file'), p('/second')]],
  ['link', (p) => [p('/file'), p('/dir/one')]],
  ['link', (p) => [p('/dir'), p('/second')]],
  ['link', (p) => [p('/none'), p('/second')]],
  ['link', (p) => [p('/file'), undefined]],
  ['lstat', (p) => [p('/file')]],
  ['lstat', (p) => [p('/link')]],
  ['lstat', (p) => [p('/none')]],
  ['lstat', (p) => [p('/dir'), { bigint: true }]],
  ['lutimes', (p) => [p('/link'), 1, 2.5]],
  ['lutimes', (p) => [p('/none'), 1, 2]],
  ['mkdir', (p) => [p('/made')]],
  ['mkdir', (p) => [p('/made'), 0o700]],
  ['mkdir', (p) => [p('/made'), '700']],
  ['mkdir', (p) => [p('/made'), { mode: 0o700 }]],
  ['mkdir', (p) => [p('/dir')]],
  ['mkdir', (p) => [p('/a/b')]],
  ['mkdir', (p) => [p('/a/b/c'), { recursive: true }]],
  ['mkdir', (p) => [p('/dir/below/new/er'), { recursive: true }]],
  ['mkdir', (p) => [p('/dir/below'), { recursive: true }]],
  ['mkdir', (p) => [p('/file/b'), { recursive: true }]],
  ['mkdir', (p) => [p('/file'), { recursive: true }]],
  ['mkdir', (p) => [p('/made'), { recursive: 'yes' }]],
  ['mkdir', (p) => [p('/made'), { recursive: null }]],
  ['mkdir', (p) => [p('/made/')]],
  ['open', (p) => [p('/none')]],
  ['open', (p) => [p('/dir'), 'w']],
  ['open', (p) => [p('/file'), 'wx']],
  ['open', (p) => [p('/file'), 'nonsense']],
  ['open', (p) => [p('/file'), 'r', 'x']],
  ['opendir', (p) => [p('/none')]],
  ['opendir', (p) => [p('/file')]],
  ['readFile', (p) => [p('/file')]],
  ['readFile', (p) => [p('/file'), 'utf8']],
  ['readFile', (p) => [p('/file'), { encoding: 'base64' }]],
  ['readFile', (p) => [p('/file'), { encoding: 'nonsense' }]],
  ['readFile', (p) => [p('/file'), { encoding: 5 }]],
  ['readFile', (p) => [p('/file'), { flag: 'r+' }]],
  ['readFile', (p) => [p('/new'), { flag: 'a+' }]],
  ['readFile', (p) => [p('/dir')]],
  ['readFile', (p) => [p('/none')]],
  ['readFile', (p) => [p('/file/x')]],
  ['readFile', (p) => [p('/file\0x')]],
  ['readFile', () => [{}]],
  ['readFile', () => [undefined]],
  ['readFile', (p) => [p('/file'), 5]],
  ['readFile', (p) => [p('/link'), 'utf8'], 'links'],
  ['readFile', (p) => [p('/loop')], 'links'],
  ['readFile', (p) => [p('/dirlink/one'), 'utf8'], 'links'],
  ['readdir', (p) => [p('/dir')]],
  ['readdir', (p) => [p('/')]],
  ['readdir', (p) => [p('/dir'), { withFileTypes: true }]],
  ['readdir', (p) => [p('/dir/'), { withFileTypes: true }]],
  ['readdir', (p) => [p('/dir'), { recursive: true }]],
  ['readdir', (p) => [p('/'), { recursive: true, withFileTypes: true }]],
  ['readdir', (p) => [p('/dir'), 'buffer']],
  ['readdir', (p) => [p('/dir'), 'base64']],
  ['readdir', (p) => [p('/dir'), 'nonsense']],
  ['readdir', (p) => [p('/dir'), { recursive: 'x' }]],
  ['readdir', (p) => [p('/dir'), { recursive: null }]],
  ['readdir', (p) => [p('/none')]],
  ['readdir', (p) => [p('/file')]],
  ['readdir', (p) => [p('/empty')]],
  ['readlink', (p) => [p('/link')]],
  ['readlink', (p) => [p('/link'), 'buffer']],
  ['readlink', (p) => [p('/link'), { encoding: 'hex' }]],
  ['readlink', (p) => [p('/file')]],
  ['readlink', (p) => [p('/none')]],
  ['realpath', (p) => [p('/dir/../file')]],
  ['realpath', (p) => [p('/none')]],
  ['realpath', (p) => [p('/dirlink/below')], 'links'],
  ['rename', (p) => [p('/file'), p('/moved')]],
  ['rename', (p) => [p('/file'), p('/dir/one')]],
  ['rename', (p) => [p('/file'), p('/empty')]],
  ['rename', (p) => [p('/dir'), p('/file')]],
  ['rename', (p) => [p('/dir'), p('/empty')]],
  ['rename', (p) => [p('/none'), p('/moved')]],
  ['rename', (p) => [p('/dir'), p('/dir/below/in')]],
  ['rm', (p) => [p('/file')]],
  ['rm', (p) => [p('/dir'), { recursive: true }]],
  ['rm', (p) => [p('/dir')]],
  ['rm', (p) => [p('/none')]],
  ['rm', (p) => [p('/none'), { force: true }]],
  ['rm', (p) => [p('/link')]],
  ['rm', (p) => [p('/dirlink'), { recursive: true }]],
  ['rm', (p) => [p('/file'), { recursive: 'x' }]],
  ['rm', (p) => [p('/file'), { force: null }]],
  ['rm', (p) => [p('/file'), 'x']],
  ['rmdir', (p) => [p('/empty')]],
  ['rmdir', (p) => [p('/dir')]],
  ['rmdir', (p) => [p('/file')]],
  ['rmdir', (p) => [p('/none')]],
  ['rmdir', (p) => [p('/link')]],
  ['rmdir', (p) => [p('/dir'), { recursive: true }]],
  ['rmdir', (p) => [p('/file'), { recursive: true }]],
  ['rmdir', (p) => [p('/dirlink'), { recursive: true }]],
  ['rmdir', (p) => [p('/none'), { recursive: true }]],
  ['rmdir', (p) => [p('/dir'), { recursive: 'x' }]],
  ['stat', (p) => [p('/file')]],
  ['stat', (p) => [p('/dir')]],
  ['stat', (p) => [p('/')]],
  ['stat', (p) => [p('/file'), { bigint: true }]],
  ['stat', (p) => [p('/none')]],
  ['stat', (p) => [p('/file/')]],
  ['stat', () => ['']],
  ['stat', (p) => [p('/link')], 'links'],
  ['stat', (p) => [p('/dangling')], 'links'],
  ['stat', () => [12]],
  ['stat', (p) => [Buffer.from(p('/dir/one'))]],
  ['stat', (p) => [p('//dir/./below/../one')]],
  ['statfs', (p) => [p('/none')]],
  ['symlink', (p) => ['file', p('/made')]],
  ['symlink', (p) => ['file', p('/dir')]],
  ['symlink', (p) => ['file', p('/none/made')]],
  ['symlink', (p) => ['file', p('/made'), 'nonsense']],
  ['symlink', (p) => [5, p('/made')]],
  ['truncate', (p) => [p('/file'), 3]],
  ['truncate', (p) => [p('/file')]],
  ['truncate', (p) => [p('/file'), 100]],
  ['truncate', (p) => [p('/file'), -4]],
  ['truncate', (p) => [p('/file'), 1.5]],
  ['truncate', (p) => [p('/file'), 'x']],
  ['truncate', (p) => [p('/file'), null]],
  ['truncate', (p) => [p('/none'), 3]],
  ['truncate', (p) => [p('/dir'), 3]],
  ['unlink', (p) => [p('/file')]],
  ['unlink', (p) => [p('/dir')]],
  ['unlink', (p) => [p('/none')]],
  ['unlink', (p) => [p('/link')]],
  ['utimes', (p) => [p('/file'), 1, 2]],
  ['utimes', (p) => [p('/file'), 1.123456789, -5.25]],
  ['utimes', (p) => [p('/file'), '1234567890.123', WHEN]],
  ['utimes', (p) => [p('/file'), 'x', 2]],
  ['utimes', (p) => [p('/none'), 1, 2]],
  ['writeFile', (p) => [p('/file'), 'other']],
  ['writeFile', (p) => [p('/new'), 'other', { mode: 0o600 }]],
  ['writeFile', (p) => [p('/new'), 'other', { mode: '600', flush: true }]],
  ['writeFile', (p) => [p('/new'), '6869', 'hex']],
  ['writeFile', (p) => [p('/file'), 'other', { flag: 'wx' }]],
  ['writeFile', (p) => [p('/file'), 'other', { flag: 'a' }]],
  ['writeFile', (p) => [p('/file'), 'other', { flag: 'r+' }]],
  ['writeFile', (p) => [p('/file'), new Uint16Array([1, 2])]],
  ['writeFile', (p) => [p('/file'), new DataView(new ArrayBuffer(3))]],
  ['writeFile', (p) => [p('/file'), {}]],
  ['writeFile', (p) => [p('/file'), 5]],
  ['writeFile', (p) => [p('/dir'), 'x']],
  ['writeFile', (p) => [p('/none/x'), 'x']],
  ['writeFile', (p) => [p('/file'), 'x', { encoding: 'nonsense' }]],
  ['writeFile', (p) => [p('/link'), 'other'], 'links'],
];

/** The three styles: how each calls a function, and where it is. */
const STYLES = {
  synchronous: (view, name, args) => view[`${name}Sync`](...args),
  callbacks: (view, name, args) =>
    new Promise((resolve, reject) => {
      const done = (error, value) => (error ? reject(error) : resolve(value));
      view[name](...args, name === 'exists' ? resolve : done);
    }),
  promises: (view, name, args) => view.promises[name](...args),
};

/** What a caller sees of what came out, without what differs from one run to the next. */
function seen(value, dir) {
  if (typeof value === 'string') return value.split(dir).join('') || '/';
  if (Buffer.isBuffer(value)) return `Buffer ${value.toString('hex')}`;
  if (Array.isArray(value)) return value.map((one) => seen(one, dir)).sort(byText);
  if (value instanceof fs.Stats || typeof value?.isFIFO === 'function') return described(value, dir);
  return value;
}

const byText = (a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);

/** The fields and the answers of `Stats` and of a `Dirent`. */
function described(value, dir) {
  const isOld = Number(value.mtimeMs) === WHEN.getTime();
  const differs = (key) => key === 'ino' || (/time/.test(key) && !(isOld && key.startsWith('mtime')));
  const fields = Object.fromEntries(
    Object.entries(value).map(([key, field]) => [key, differs(key) ? typeof field : seen(field, dir)]),
  );
  const answers = ['isFile', 'isDirectory', 'isSymbolicLink', 'isFIFO'].map((name) => value[name]());
  return { class: Object.getPrototypeOf(value).constructor.name, ...fields, answers };
}

async function outcome(view, style, [name, argsOf], dir, prefix) {
  try {
    const value = await STYLES[style](
      view,
      name,
      argsOf((at) => prefix + at),
    );
    return { value: seen(value, dir) };
  } catch (error) {
    const { code, errno, syscall, message } = error;
    const paths = [error.path, error.dest].map((one) => one && seen(`${one}`, dir));
    const isArgument = /^ERR_/.test(code);
    // Each Node has other fields of these.
    if (name === 'cp') return { code };
    return { code, errno, syscall, paths, name: error.name, message: isArgument ? code : seen(message, dir) };
  }
}

/** All that is in a tree: types, modes, contents and times. */
function treeOf(dir) {
  const all = fs.readdirSync(dir, { recursive: true }).sort();
  return all.map((name) => {
    const at = path.join(dir, name);
    const stat = fs.lstatSync(at);
    const content = stat.isFile()
      ? fs.readFileSync(at, 'latin1')
      : stat.isSymbolicLink()
        ? fs.readlinkSync(at)
        : '';
    // What this run has touched has the time of this run.
    const isOld = stat.mtimeMs < Date.now() - 3_600_000;
    return [
      name,
      stat.mode.toString(8),
      stat.nlink,
      content,
      isOld && !stat.isDirectory() ? stat.mtimeMs : 'now',
    ];
  });
}

const MAJOR = Number(process.versions.node.split('.', 1)[0]);

/** Where one Node differs from another, or the view from all of them: which calls, and why. */
const DIFFERS = [
  { call: 'realpath(/none)', why: "Node's own realpath names the lstat that failed" },
  {
    call: 'readdir(/,{"recursive":true,"withFileTypes":true})',
    when: MAJOR !== 20,
    why: 'Node enters symlinks to directories in this form alone, and before 20 `path` was no path',
  },
  { call: 'stat()', style: 'synchronous', when: MAJOR < 20, why: 'an empty path was not named' },
  { call: /^opendir\(/, style: 'synchronous', when: MAJOR >= 20, why: 'the path is not named' },
  { call: /^readdir\(.*recursive":"x/, style: 'promises', why: 'it is not checked' },
  {
    call: /^readdir\(\/dir\/?,.*withFileTypes/,
    style: 'synchronous',
    when: MAJOR < 20,
    why: '`path` was no path',
  },
  {
    call: /^rmdir\(\/(dirlink|none),{"recursive":true}/,
    style: 'promises',
    why: "Node's promise takes a symlink to a directory for a directory, and removes it",
  },
  { call: 'readFile(/dir)', when: MAJOR >= 26, why: 'a failed read names the path' },
];

const differs = (label, style) =>
  DIFFERS.some(
    ({ call, style: only = style, when = true }) =>
      when && only === style && (call instanceof RegExp ? call.test(label) : call === label),
  );

for (const symlinks of ['reject', 'in-root']) {
  for (const style of Object.keys(STYLES)) {
    test(`${style}, symlinks: '${symlinks}': results, errors and trees are those of node:fs`, async (t) => {
      for (const call of CALLS) {
        const [name, argsOf, needs] = call;
        if (needs === 'links' && symlinks === 'reject') continue;
        if (style === 'promises' && fs.promises[name] === undefined) continue;
        const [real, own] = [tempDir(t), tempDir(t)];
        grow(real);
        grow(own);
        const view = createFs(own, { symlinks });
        const expected = await outcome(fs, style, call, real, real);
        const actual = await outcome(view, style, call, own, '');
        const label = `${name}(${argsOf((at) => at).map((one) => (typeof one === 'string' ? one : JSON.stringify(one)))})`;
        if (differs(label, style)) continue;
        assert.deepStrictEqual(actual, expected, label);
        assert.deepStrictEqual(treeOf(own), treeOf(real), `the tree after ${label}`);
      }
    });
  }
}

onOtherNodes(__filename);
