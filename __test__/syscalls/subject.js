'use strict';
// A process that goes the ways through the methods when it is told to, while a test does something
// to the process: `prepare`, perhaps `exhaust`, `call`, `report`, in turn.

const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('../..');
const { plant, snapshot } = require('../support');
const { mark } = require('./trace');
const { TREE, giveBack, loadAll, perform, waysAtOnce } = require('./ways');

let now;

const commands = {
  /** Makes the tree in `base` for the way with this number, and a root on it as seen in `view`. */
  prepare(i, base, view = base) {
    const way = waysAtOnce[i];
    const tree = fs.mkdtempSync(path.join(base, 'tree-'));
    plant(tree, TREE);
    way.call.prepare?.(tree);
    const dir = path.join(view, path.basename(tree));
    const root = new SandboxRoot(dir);
    if (way.call.closed) root.close();
    const to = way.call.between && new SandboxRoot(path.join(dir, 'a'));
    now = { way, tree, dir, root, to, fillers: [], before: snapshot(tree), descriptors: descriptors() };
    return tree;
  },

  /** Uses up all descriptors but `spare`. */
  exhaust(spare) {
    try {
      for (;;) now.fillers.push(fs.openSync('/dev/null', 'r'));
    } catch {
      for (const fd of now.fillers.splice(0, spare)) fs.closeSync(fd);
    }
  },

  /** Goes the way. Nothing else is done meanwhile. */
  call() {
    mark('call');
    now.done = perform(now.way, now.root, now.dir, SandboxRoot, now.to);
    mark('called');
  },

  /** What came of it; then all of it is taken away. */
  report() {
    const { way, tree, root, fillers, before, done } = now;
    for (const fd of fillers) fs.closeSync(fd);
    // What the caller was given is no leak, and the descriptor of a root that is closed is gone.
    giveBack(done);
    const closed = root.closed && !way.call.closed ? 1 : 0;
    const left = descriptors() - now.descriptors + closed;
    const report = { error: done.error, before, after: named(snapshot(tree)), left };
    root.close();
    now.to?.close();
    fs.rmSync(tree, { recursive: true });
    return report;
  },
};

/** The same names every time, for what is given six characters by chance. */
const named = (tree) =>
  Object.fromEntries(Object.entries(tree).map(([name, is]) => [name.replace(/new\w{6}$/, 'newXXXXXX'), is]));

/** How many descriptors are open, but for those of /proc that are kept to be used again. */
function descriptors() {
  const targets = fs.readdirSync('/proc/self/fd').map((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '/proc/self/fd';
    }
  });
  return targets.filter((target) => !target.startsWith('/proc')).length;
}

loadAll();

process.on('message', ([command, ...args]) => process.send({ answer: commands[command](...args) }));
