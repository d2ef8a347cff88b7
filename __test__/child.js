'use strict';
// Functions that run in a Node of their own: what hangs, dies or uses up something there is seen here.

const path = require('node:path');
const { spawn } = require('node:child_process');

const PACKAGE = JSON.stringify(path.join(__dirname, '..'));

/** What every body finds in its scope. */
const SCOPE = `
  const fs = require('node:fs');
  const path = require('node:path');
  const { SandboxRoot } = require(${PACKAGE});
`;

/**
 * Starts `body(...args)` in a Node of its own, which ends with the test `t` at the latest. The
 * function is sent as its source: it can use `fs`, `path`, `SandboxRoot`, `require` and its arguments,
 * all of them JSON. It says that it is under way with `console.log('ready')`.
 *
 * Options: `limits` as of `ulimit` (`{ n: 64 }`), `execPath` (another Node), `node` (its options), `wrap` (a
 * command that runs it), `timeout` in milliseconds.
 */
function start(t, body, args = [], how = {}) {
  const { limits = {}, execPath = process.execPath, node = [], wrap = [], timeout = 60_000 } = how;
  const ulimits = Object.entries(limits).map(([name, value]) => `ulimit -${name} ${value}`);
  const script = `${SCOPE}
    (async () => (${body})(...${JSON.stringify(args)}))().then(
      (value) => console.log('value ' + JSON.stringify(value ?? null)),
      (error) => { console.error(error); process.exitCode = 1; },
    );`;
  const command = [...ulimits, 'exec "$0" "$@"'].join(' && ');
  const child = spawn('sh', ['-c', command, ...wrap, execPath, ...node, '-e', script]);
  t.after(() => child.kill('SIGKILL'));

  let [out, err, late] = ['', '', false];
  const began = performance.now();
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, timeout);
  const ready = new Promise((resolve) => {
    child.stdout.on('data', (data) => {
      out += data;
      if (out.includes('ready\n')) resolve();
    });
    child.on('close', resolve);
  });
  child.stderr.on('data', (data) => {
    err += data;
  });
  const result = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      const value = /^value (.*)$/m.exec(out)?.[1];
      if (value !== undefined && status === 0) {
        resolve({ value: JSON.parse(value), ms: performance.now() - began });
        return;
      }
      const end = late ? `was still running after ${timeout} ms` : `ended with ${signal ?? status}`;
      reject(new Error(`the child ${end}:\n${err.slice(-2000)}`));
    });
  });
  // Whoever asks for the result learns of a failure; who killed the child does not ask.
  result.catch(() => {});
  const stop = async () => {
    child.kill('SIGKILL');
    await result.catch(() => {});
  };
  return { pid: child.pid, ready, result, stop };
}

/** Runs `body(...args)` in a Node of its own and gives back what it returned. */
async function inChild(t, body, args, options) {
  const { value } = await start(t, body, args, options).result;
  return value;
}

module.exports = { inChild, start };
