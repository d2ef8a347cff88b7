'use strict';
// Another user of the machine, in a process of its own, who opens everything that may be opened, as
// soon as it may, and looks for a secret in it: see tools/src/bin/peek.rs.

const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');
const { once } = require('node:events');
const { spawn } = require('node:child_process');
const { NOBODY, tempDir, tool } = require('../support');

/** A copy of a program in `tools/` that any user can run, wherever this package is. */
function publicTool(t, name) {
  const dir = tempDir(t);
  fs.chmodSync(dir, 0o755);
  fs.copyFileSync(tool(name), path.join(dir, name));
  return path.join(dir, name);
}

/**
 * Does `action` while the other user opens `paths`: `DIR/*` is all that is in a directory. Tells how
 * often the user tried, what could be opened, and in how much of that `secret` was seen.
 */
async function spiedOn(t, secret, paths, action) {
  const program = publicTool(t, 'peek');
  const who = { uid: NOBODY, gid: NOBODY };
  const child = spawn(program, [secret, ...paths], { ...who, stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { value: ready } = await lines.next();
  if (ready !== 'ready') throw new Error(`the spy said ${ready}`);
  try {
    await action();
  } finally {
    child.stdin.end();
  }
  const { value: report } = await lines.next();
  await exited;
  const [tries, opens, secrets] = report.match(/\d+/g).map(Number);
  return { tries, opens, secrets };
}

module.exports = { publicTool, spiedOn };
