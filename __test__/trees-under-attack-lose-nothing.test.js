'use strict';
// cp, move and rm of random trees, while one, two or three processes rename, exchange, remove, add, link and
// mount in the source, in the destination and above: nothing is gone that nobody removed by name, nothing
// outside is changed, every call ends, and its hidden names are gone or named.
//
// Every file has a content of its own. Those who meddle (`tools/src/bin/meddle.rs`) remove nothing that
// others can see: they rename it into a pocket of their own first, and tell what they remove there. So what
// is nowhere afterwards, and was not told, was removed by the tested call.
//
// One window is left, because the kernel removes by name: between comparing a name and removing it, somebody
// may put something else there. Whoever puts something in the place of something else tells both. A loss is
// put down to the window only if what was lost had been put in the place of something that is still there:
// of the two, the call was to remove the latter. While nothing of the source is removed yet, which who meddles
// can see, replacements are not told, and excuse nothing. `WINDOWS` bounds how many there may be.
//
// OPENAT2_SEED=N plays the scene of one seed again and again; OPENAT2_ATTACK_SECONDS=N says how long all of
// it takes (an hour with OPENAT2_FULL=1); OPENAT2_BUILD=DIR tests another build.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { once } = require('node:events');
const { spawn, spawnSync } = require('node:child_process');
const { HIDDEN, Planted, SandboxRoot, changed, everything, randomFrom } = require('./trees/account');
const { mounted, privately } = require('./mounts');
const { FULL, progress } = require('./sizes');
const { NOBODY, removeTree, tool } = require('./support');

const test = privately(__filename);

const SECONDS = Number(process.env.OPENAT2_ATTACK_SECONDS ?? (FULL ? 3600 : 24));
const SEED = process.env.OPENAT2_SEED;
/** How long one call may take, in milliseconds. */
const BOUND = 20_000;
const LATE = 'has not ended';
/** At most one call in so many may lose something through the window of a single name, beyond the first three. */
const WINDOWS = 20;

const KINDS = ['tmpfs', 'ext4', 'xfs', 'btrfs'];
const OPERATIONS = {
  cp: { between: 'any', share: 3 },
  'move within a mount': { between: 'same', share: 1 },
  'move across mounts': { between: 'others', share: 6 },
  rm: { share: 2 },
};
const USERS = { 'the same user': 0, 'the owner of the trees': NOBODY };
const shares =
  Object.values(OPERATIONS).reduce((sum, { share }) => sum + share, 0) * Object.keys(USERS).length;

const volumes = new Map();
/** A file system of this kind, or one in memory where it cannot be had. */
function volumeOf(kind, number) {
  const key = `${kind}-${number}`;
  if (!volumes.has(key)) {
    let at;
    try {
      at = mounted(kind);
    } catch {
      at = mounted('tmpfs');
    }
    fs.chmodSync(at, 0o755);
    volumes.set(key, at);
  }
  return volumes.get(key);
}

for (const [operation, { between, share }] of Object.entries(OPERATIONS)) {
  for (const [user, uid] of Object.entries(USERS)) {
    test(`${operation} loses nothing while ${user} meddles`, async (t) => {
      const [begun, seconds] = [Date.now(), (SECONDS * share) / shares];
      const done = progress(`${t.name}, seconds`, Math.round(seconds));
      let told = 0;
      const seen = { calls: 0, windows: 0 };
      const base = SEED === undefined ? (Math.random() * 2 ** 31) >>> 0 : Number(SEED);
      while (Date.now() - begun < seconds * 1000) {
        const seed = SEED === undefined ? base + seen.calls : base;
        const scene = new Scene(seed, operation, between, uid);
        let outcome;
        try {
          outcome = await scene.play();
        } finally {
          scene.remove();
        }
        const { wrong, code, steps, windows } = outcome;
        seen.calls += 1;
        seen.windows += windows.length;
        seen[code] = (seen[code] ?? 0) + 1;
        seen.steps = (seen.steps ?? 0) + steps;
        const replay = `OPENAT2_SEED=${seed}, ${scene}, which came to ${code}`;
        assert.deepStrictEqual(wrong, [], replay);
        const most = 3 + seen.calls / WINDOWS;
        assert.ok(
          SEED !== undefined || seen.windows <= most,
          `${seen.windows} windows in ${seen.calls} calls: ${replay}`,
        );
        const now = Math.floor((Date.now() - begun) / 1000);
        done(now - told);
        told = now;
      }
      t.diagnostic(JSON.stringify(seen));
    });
  }
}

/** Trees, a call, and those who meddle with it: all that a seed decides. */
class Scene {
  constructor(seed, operation, between, uid) {
    const random = randomFrom(seed);
    this.random = random;
    this.seed = seed;
    this.operation = operation;
    this.method = operation.split(' ')[0];
    this.uid = uid;
    const kind = KINDS[random(KINDS.length)];
    const other = KINDS[random(KINDS.length)];
    const isSame = between === 'same' || between === undefined || (between === 'any' && random(2) === 0);
    this.kinds = isSame ? [kind] : [kind, other];
    this.worlds = this.kinds.map((kind, i) => fs.mkdtempSync(path.join(volumeOf(kind, i), `${seed}-`)));
    this.meddlers = 1 + random(3);
    this.sides = this.method === 'rm' ? 'from' : ['from', 'to', 'both'][random(3)];
    this.mounts = uid === 0 && random(4) < (this.method === 'rm' ? 2 : 1);
    this.above = random(6) === 0;
    this.feeds = this.method === 'cp' && isSame && this.sides === 'both' && random(3) > 0;
    this.pause = [0, 0, 20, 80, 300, 1500][random(6)];
    this.delay = [0, 0, 500, 3000][random(4)];
    this.policy = { mounts: ['allow', 'reject'][random(2)] };
    this.force = random(2) === 0;
    // A single file, now and then.
    this.size = [1, 20, 60, 60, 120][random(5)];
    if (this.method === 'rm') {
      // It is soon over.
      this.size = [1, 60, 200, 400][random(4)];
      this.delay = [0, 0, 500][random(3)];
      if (this.mounts) this.pause = 0;
    }
    this.large = random(3) === 0 ? 2 : 0;
    this.taken = random(4) === 0;
    this.planted = new Planted(random);
  }

  toString() {
    const { operation, uid, kinds, meddlers, sides, mounts, above, feeds, pause, delay, size } = this;
    const options = { kinds, meddlers, sides, uid, mounts, above, feeds, pause, delay, size };
    return `${operation} ${JSON.stringify(options)}`;
  }

  get first() {
    return this.worlds[0];
  }

  get last() {
    return this.worlds.at(-1);
  }

  plant() {
    const { planted, uid, random } = this;
    const owner = uid === 0 ? undefined : uid;
    for (const world of this.worlds) {
      fs.chmodSync(world, 0o755);
      if (owner) fs.chownSync(world, owner, owner);
      const dirs = ['a', 'b', 'a/src', 'a/dst', 'b/src', 'by'];
      for (let i = 0; i < this.meddlers; i++) dirs.push(`p${i}`);
      for (const dir of dirs) {
        fs.mkdirSync(path.join(world, dir));
        if (owner) fs.chownSync(path.join(world, dir), owner, owner);
      }
      // What root has, and others may only rename: some of it beside the copy.
      for (const [dir, count] of [
        ['by', 6],
        ['a/dst', 3],
        ['outside', 2],
        ['volume', 2],
      ]) {
        if (!fs.existsSync(path.join(world, dir)))
          planted.directory(path.join(world, dir), dir, { mode: 0o751 });
        for (let i = 0; i < count; i++) {
          const at = path.join(world, dir, `v${i}`);
          planted.file(at, dir, { mode: 0o600 });
          planted.directory(`${at}d`, dir, { mode: 0o700 });
          planted.inner(`${at}d`, planted.file(`${at}d/inner`, dir, { mode: 0o600 }));
          if (random(2) === 0) planted.symlink(`${at}l`, dir);
        }
      }
    }
    const tree = path.join(this.first, 'a/src/tree');
    if (this.size === 1) planted.file(tree, 'tree', { owner, length: 50_000 });
    else planted.tree(tree, 'tree', { owner, size: this.size, large: this.large });
    // What the copy meets at its place.
    if (this.taken && this.method === 'cp' && this.size > 1) {
      planted.tree(path.join(this.last, 'a/dst/copy'), 'copy', { owner, size: 20 });
    } else if (this.taken && this.method === 'move' && this.size === 1 && this.force) {
      planted.file(path.join(this.last, 'a/dst/copy'), 'copy', { owner });
    }
  }

  /** What those who meddle are told. */
  options() {
    const options = [`pause=${this.pause}`, `delay=${this.random(this.delay + 1)}`];
    const side = (key, world, dir, number) =>
      options.push(`${key}=${world}/a/${dir}`, `pocket=${world}/p${number}`, `by=${world}/by`);
    const each = [];
    for (let i = 0; i < this.meddlers; i++) {
      options.length = 2;
      if (this.sides !== 'to') side('from', this.first, 'src', i);
      // Two sides need two pockets: on one file system they may share the directory.
      if (this.sides !== 'from') side('to', this.last, 'dst', i);
      if (this.mounts) options.push(`volume=${this.first}/volume`);
      if (this.above) options.push(`above=${this.first}/a`, `above=${this.first}/b`);
      if (this.feeds) options.push('feed=1');
      const until = this.until();
      if (until !== undefined) options.push(`until=${until}`);
      each.push([`${this.seed}`, `${i}`, ...options]);
    }
    return each;
  }

  /** What is there once the call removes something of the source, if those who meddle can tell. */
  until() {
    if (this.method !== 'move') return `${this.first}/never`;
    if (this.sides === 'from' && !this.above) return `${this.last}/a/dst/copy`;
    return undefined;
  }

  call(signal) {
    const [from, to] = [this.first, this.last].map((dir) => new SandboxRoot(dir, this.policy));
    this.roots = [from, to];
    const [src, dest] = ['a/src/tree', 'a/dst/copy'];
    if (this.method === 'rm') return from.promises.rm(src, true, this.force);
    if (this.method === 'move') return from.promises.move(src, dest, { to, signal, overwrite: this.force });
    return from.promises.cp(src, dest, { to, signal, recursive: true, force: this.force });
  }

  async play() {
    this.plant();
    const meddlers = this.options().map((args) => new Meddler(args, this.uid));
    await Promise.all(meddlers.map((meddler) => meddler.ready()));
    for (const meddler of meddlers) meddler.begin();
    let timer;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, BOUND, LATE);
    });
    const controller = new AbortController();
    const call = this.call(controller.signal);
    const error = await Promise.race([
      call.then(
        () => undefined,
        (error) => error,
      ),
      late,
    ]);
    clearTimeout(timer);
    const accounts = await Promise.all(meddlers.map((meddler) => meddler.end()));
    if (this.mounts) for (const world of this.worlds) spawnSync(tool('meddle'), ['umount', world]);
    if (error === LATE) {
      controller.abort();
      await call.catch(() => {});
    }
    for (const root of this.roots) root.close();
    if (error === LATE) return { wrong: [LATE], code: LATE, steps: 0, windows: [] };
    return this.account(error, accounts.flat());
  }

  account(error, lines) {
    const log = { added: [], made: [], placed: [], replaced: [], destroyed: [], named: [], done: [] };
    for (const line of lines) {
      const [word, ...rest] = line.split(' ');
      log[word].push(rest);
    }
    const wrong = [];
    const entries = everything(this.worlds);
    const whole = new Set();
    const inodes = new Set();
    for (const { id, complete, file } of entries) {
      inodes.add(file);
      if (complete) whole.add(id);
    }

    // What was planted, and what was added: by its id, its inode, and where it was.
    const all = new Map();
    for (const [id, { file, group }] of this.planted.files) all.set(id, { file, group });
    for (const [id, file] of log.added) all.set(Number(id), { file, group: 'added' });
    const destroyed = new Set(log.destroyed.map(([id]) => Number(id)));
    const placed = { from: new Set(), to: new Set() };
    for (const [side, file] of log.placed) placed[side].add(file);
    const windows = [];
    const lost = [...all].filter(([id]) => !whole.has(id) && !destroyed.has(id));
    for (const [id, { file, group }] of lost) {
      if (this.mayRemove(id, file, group, placed)) continue;
      if (this.isOfWindow(file, log, inodes)) windows.push(id);
      else wrong.push(`${id}, of ${group}, is gone: ${lines.filter((line) => line.includes(file))}`);
    }
    // cp leaves the source itself where it was, and not only a copy of it.
    if (this.method === 'cp') {
      for (const [id, { file, group }] of all) {
        if (group !== 'tree' || destroyed.has(id) || inodes.has(file)) continue;
        wrong.push(`${id}, of ${group}, is there as a copy only`);
      }
    }

    const directories = new Map();
    const parents = new Set(entries.map(({ at, id }) => id && `${id} in ${path.dirname(at)}`));
    const at = new Map(entries.map((entry) => [entry.file, entry.at]));
    for (const [file, directory] of this.planted.directories) {
      // One that was emptied cannot be told from one that the call has made.
      const isFull = directory.inner === undefined || parents.has(`${directory.inner} in ${at.get(file)}`);
      if (!isFull) continue;
      if (this.method === 'cp' || (this.method === 'move' && directory.group !== 'tree')) {
        directories.set(file, directory);
      }
    }
    wrong.push(...changed(this.planted, entries, directories));
    const places = new Set(entries.map(({ at, file }) => `${file} ${at}`));
    for (const { group, file, at } of this.planted.files.values()) {
      if (group === 'outside' && !places.has(`${file} ${at}`)) wrong.push(`${at} is not what it was`);
    }

    const known = new Set(this.planted.directories.keys());
    for (const { file } of all.values()) known.add(file);
    for (const [file] of log.made) known.add(file);
    const named = new Set(log.named.map(([name]) => name));
    for (const entry of error?.entries ?? []) for (const name of entry.split('/')) named.add(name);
    for (const { at, name, file, isFile, complete } of entries) {
      if (name.startsWith(HIDDEN) && !known.has(file) && !named.has(name)) {
        wrong.push(`${at} is left, and not named in ${JSON.stringify(error?.entries)}`);
      }
      // What was taken while it was made may be half in a pocket.
      if (isFile && !complete && !/\/p\d\//.test(at)) wrong.push(`${at} is half a file`);
    }
    const steps = log.done.reduce((sum, [done]) => sum + Number(done), 0);
    return { wrong, code: error === undefined ? 'ok' : (error.code ?? `${error}`), steps, windows };
  }

  /** Whether the call may have removed it by the name under which it found it. */
  mayRemove(_id, file, group, placed) {
    if (this.method === 'rm') return group === 'tree' || placed.from.has(file);
    // What is at the place of the copy is replaced, and where it is a tree all in it.
    if (!this.force) return false;
    return group === 'copy' || (this.method === 'cp' && (group === 'a/dst' || placed.to.has(file)));
  }

  /**
   * Whether it was put in the place of something that the call was to remove in its stead, and that is there
   * still, or was removed by those who meddle, or through the window itself.
   */
  isOfWindow(file, log, inodes, above = []) {
    const sides = this.method === 'cp' ? ['to'] : ['from', 'to'];
    const outlived = (was) =>
      inodes.has(was) ||
      log.destroyed.some(([, destroyed]) => destroyed === was) ||
      this.isOfWindow(was, log, inodes, [...above, file]);
    return log.replaced.some(
      ([side, now, was]) =>
        now === file && was !== file && !above.includes(was) && sides.includes(side) && outlived(was),
    );
  }

  remove() {
    for (const world of this.worlds) removeTree(world);
  }
}

/** One who meddles. */
class Meddler {
  #child;
  #lines = '';
  #said;

  constructor(args, uid) {
    const user = uid === 0 ? {} : { uid, gid: uid };
    this.#child = spawn(tool('meddle'), args, { stdio: ['pipe', 'pipe', 'inherit'], ...user });
    this.#child.stdin.on('error', () => {});
    this.#child.stdout.setEncoding('latin1').on('data', (text) => {
      this.#lines += text;
    });
    this.#said = once(this.#child.stdout, 'data');
  }

  async ready() {
    await this.#said;
  }

  begin() {
    this.#child.stdin.write('begin\n');
  }

  /** Ends it, and gives the lines of its account. */
  async end() {
    this.#child.stdin.end();
    const [status] = await once(this.#child, 'close');
    const lines = this.#lines.trim().split('\n').slice(1);
    if (status !== 0 || !lines.at(-1)?.startsWith('done'))
      throw new Error(`who meddles ended with ${status}`);
    return lines;
  }
}
