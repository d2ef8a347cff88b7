'use strict';
// The victim of an attack, slowed down by strace, so that the attacker is always in time.

const fs = require('node:fs');
const readline = require('node:readline');
const { once } = require('node:events');
const { spawn } = require('node:child_process');
const { setTimeout: rest } = require('node:timers/promises');
const { publicTool } = require('./spy');
const { NOBODY } = require('../support');
const { attach } = require('../syscalls/strace');

/** Does `action` while system calls of the main thread rest as the `faults` of strace say: so `action` is synchronous. */
async function slowed(faults, action, log = '/dev/null') {
  const strace = await attach(process.pid, log, faults);
  try {
    return await action();
  } finally {
    strace.kill();
    if (strace.exitCode === null && strace.signalCode === null) await once(strace, 'exit');
  }
}

/** Waits until `condition` has a value, and gives it back: fails after ten seconds. */
async function until(condition, what = condition) {
  for (const end = performance.now() + 10_000; performance.now() < end; await rest(1)) {
    const value = condition();
    if (value) return value;
  }
  throw new Error(`it never came to this: ${what}`);
}

/** The hidden names in a directory that are not in `known`, and are what `is` says, such as `isFile`. */
function hidden(dir, is = 'isDirectory', known = []) {
  const entries = fs.readdirSync(dir, { withFileTypes: true });
  const names = entries.filter((entry) => entry.name.startsWith('.') && entry[is]());
  return names.map(({ name }) => name).filter((name) => !known.includes(name));
}

/**
 * Does `action` while an ordinary user exchanges each new name of a `kind` in `dir` with one of the
 * `victims`: see tools/src/bin/swap.rs. Gives back how often.
 */
async function swapping(t, dir, kind, victims, action) {
  const who = { uid: NOBODY, gid: NOBODY };
  const program = publicTool(t, 'swap');
  const child = spawn(program, [dir, kind, ...victims], { ...who, stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { value: ready } = await lines.next();
  if (ready !== 'ready') throw new Error(`the attacker said ${ready}`);
  try {
    await action();
  } finally {
    child.stdin.end();
  }
  let swaps = 0;
  for await (const line of lines) if (line.startsWith('swapped ')) swaps += 1;
  await exited;
  return swaps;
}

module.exports = { hidden, slowed, swapping, until };
