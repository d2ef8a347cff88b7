'use strict';
// The victim of an attack, slowed down by strace, so that the attacker is always in time.

const readline = require('node:readline');
const { once } = require('node:events');
const { spawn } = require('node:child_process');
const { start } = require('../child');
const { publicTool } = require('./spy');
const { NOBODY } = require('../support');
const { attach } = require('../syscalls/strace');

/** How much longer than usual each rest is, and whether there was one since that was set. */
const pace = { factor: 1, isUsed: false };

/**
 * Does `body`. If it fails after something was slowed down, it is done again, and slower: on a busy machine an attacker
 * comes too late. What a mechanism does not hold fails at every pace.
 */
async function atAnyPace(body) {
  for (const factor of [1, 5, 25]) {
    Object.assign(pace, { factor, isUsed: false });
    try {
      return await body();
    } catch (error) {
      if (!pace.isUsed || factor === 25) throw error;
    }
  }
}

const slower = (fault) => fault.replace(/(?<=delay_\w+=)\d+/, (rest) => Number(rest) * pace.factor);

/** Does `action` while system calls of the main thread rest as the `faults` of strace say: so `action` is synchronous. */
async function slowed(faults, action, log = '/dev/null') {
  pace.isUsed = true;
  const strace = await attach(process.pid, log, faults.map(slower));
  try {
    return await action();
  } finally {
    strace.kill();
    if (strace.exitCode === null && strace.signalCode === null) await once(strace, 'exit');
  }
}

/** What an attacker finds in its scope, beside what child.js has. */
const HELPERS = `
  const rest = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  const exists = (at) => fs.lstatSync(at, { throwIfNoEntry: false }) !== undefined;
  // Waits until it comes to this, and gives back its value.
  const until = (condition) => {
    for (const end = performance.now() + 10_000; performance.now() < end; rest(0.1)) {
      try {
        const value = condition();
        if (value) return value;
      } catch (error) {
        if (!['ENOENT', 'ENOTDIR'].includes(error.code)) throw error;
      }
    }
    throw new Error('it never came to this: ' + condition);
  };
  // The path of the first hidden entry in dir that is as wanted.
  const hidden = (dir, isWanted) => {
    const names = fs.readdirSync(dir).filter((name) => name.startsWith('.'));
    return names.map((name) => path.join(dir, name)).find(isWanted);
  };
`;

/**
 * Does `action`, which is synchronous, while `attack(...args)` runs in a process of its own: see child.js. What came
 * of the attack is given back; `faults` slow the victim down.
 */
async function attacked(t, faults, attack, args, action) {
  const body = `async (...args) => {
    ${HELPERS}
    console.log('ready');
    return (${attack})(...args);
  }`;
  const attacker = start(t, body, args);
  await attacker.ready;
  if (faults.length > 0) await slowed(faults, action);
  else await action();
  return (await attacker.result).value;
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

module.exports = { atAnyPace, attacked, slowed, swapping };
