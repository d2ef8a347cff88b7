'use strict';
// Whether strace can be used here, and a process whose system calls can be made to fail with it.

const fs = require('node:fs');
const path = require('node:path');
const { once } = require('node:events');
const { fork, spawn, spawnSync } = require('node:child_process');
const { isRoot } = require('../support');
const { callsOf, sections } = require('./trace');

/** Why there is no strace for a test, or `false`. In CI it has to be there: see .ci/run. */
function withoutStrace() {
  if (knows('all')) return false;
  const why = 'needs strace, allowed to trace what it starts';
  if (process.env.CI) throw new Error(`${why}: it is missing in CI`);
  return why;
}

/** The same for a test that attaches strace to a process that runs. */
function withoutAttaching() {
  const scope = '/proc/sys/kernel/yama/ptrace_scope';
  const isAllowed = isRoot || !fs.existsSync(scope) || fs.readFileSync(scope, 'utf8').trim() === '0';
  return (
    withoutStrace() ||
    (isAllowed ? false : 'needs root, or a kernel.yama.ptrace_scope of 0, to attach strace')
  );
}

/** Whether this strace has heard of the system call. */
function knows(syscall) {
  return spawnSync('strace', ['-o', '/dev/null', '-e', `trace=${syscall}`, 'true']).status === 0;
}

/** How long a call may take, in milliseconds, before it is taken to hang. */
const PATIENCE = 5000;

/** A process that runs subject.js, under `wrapper` if given; ended with the test `t`. */
class Subject {
  constructor(t, dir, [wrapper, ...args] = []) {
    this.dir = dir;
    const through = wrapper === undefined ? {} : { execPath: wrapper, execArgv: [...args, process.execPath] };
    this.process = fork(path.join(__dirname, 'subject.js'), [], through);
    t.after(() => this.process.kill('SIGKILL'));
  }

  ask(...command) {
    this.process.send(command);
    return new Promise((resolve, reject) => {
      const died = (status, signal) => reject(new Error(`the subject ended with ${signal ?? status}`));
      const hangs = setTimeout(() => reject(new Error('the subject hangs')), 12 * PATIENCE);
      this.process.once('exit', died);
      this.process.once('message', ({ answer }) => {
        this.process.off('exit', died);
        clearTimeout(hangs);
        resolve(answer);
      });
    });
  }

  /** Goes the way with the number `i`. While it does, the system calls in `inject` fail as it says. */
  async go(i, inject = []) {
    await this.ask('prepare', i, this.dir);
    const strace = await this.attach(inject);
    let hangs = false;
    // Without strace nothing fails any more: then also what tries for ever comes to an end.
    const impatience = setTimeout(() => {
      hangs = true;
      strace.kill();
    }, PATIENCE);
    await this.ask('call');
    clearTimeout(impatience);
    strace.kill();
    if (strace.exitCode === null && strace.signalCode === null) await once(strace, 'exit');
    const calls = hangs ? [] : sections(callsOf(fs.readFileSync(this.log, 'utf8'))).get('call');
    return { calls, hangs, ...(await this.ask('report')) };
  }

  get log() {
    return path.join(this.dir, 'log');
  }

  attach(inject) {
    return attach(this.process.pid, this.log, inject);
  }
}

/**
 * Attaches strace to the main thread of `pid`, with the option `-f` to every thread: the process that
 * traces. What fails is in `inject`.
 */
async function attach(pid, log, inject, ...options) {
  const faults = inject.flatMap((fault) => ['-e', `inject=${fault}`]);
  const args = ['-s', '16384', '-e', 'signal=none', '-o', log, ...faults, ...options, '-p', pid];
  const strace = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  for await (const text of strace.stderr) {
    said += text;
    if (said.includes('attached')) return strace;
  }
  throw new Error(`strace: ${said}`);
}

/** What every program that is run by `hindered` finds in its scope. */
const SCOPE = `const fs = require('node:fs'); const { SandboxRoot } = require(${JSON.stringify(path.join(__dirname, '../..'))});`;

/**
 * Runs `body(...args)`, which is sent as its source, in a Node of its own under strace: system calls fail, or
 * come late, as `inject` says. `meanwhile(line)` hears what it prints, and when. What it gave back.
 */
async function hindered(t, inject, body, args = [], meanwhile = () => {}, wrap = []) {
  const script = `${SCOPE}
    (async () => (${body})(...${JSON.stringify(args)}))().then(
      (value) => console.log('value ' + JSON.stringify(value ?? null)),
      (error) => { console.error(error); process.exitCode = 1; },
    );`;
  const faults = inject.flatMap((fault) => ['-e', `inject=${fault}`]);
  const command = [
    'strace',
    '-f',
    '-qq',
    '-o',
    '/dev/null',
    ...faults,
    ...wrap,
    process.execPath,
    '-e',
    script,
  ];
  const child = spawn('timeout', ['-s', 'KILL', '60', ...command], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  let [said, erred] = ['', ''];
  child.stderr.on('data', (data) => {
    erred += data;
  });
  child.stdout.on('data', (data) => {
    said += data;
    for (const line of String(data).split('\n')) meanwhile(line);
  });
  await once(child, 'close');
  const value = /^value (.*)$/m.exec(said)?.[1];
  if (value === undefined) throw new Error(`the child failed: ${said}${erred}`);
  return JSON.parse(value);
}

module.exports = { Subject, attach, hindered, knows, withoutAttaching, withoutStrace };
