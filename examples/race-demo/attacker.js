'use strict';
// The second process: `exchange`, from __test__/tools. See there for what it reads and prints.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const readline = require('node:readline');

const EXCHANGE = path.resolve(__dirname, '../../target/release/exchange');

class Attacker {
  // Comes back when the two are being exchanged.
  static async start(a, b) {
    // In a process group of its own: Ctrl-C is for the demo, which then ends the attack in order.
    // Should the demo die, the attacker's standard input closes, and that ends it as well.
    const child = spawn(EXCHANGE, [a, b], { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
    try {
      await once(child, 'spawn');
    } catch (cause) {
      throw new Error(`cannot run ${EXCHANGE}: \`npm run demo\` builds it first`, { cause });
    }
    const attacker = new Attacker(child);
    await attacker.expect(/^ready$/);
    return attacker;
  }

  constructor(child) {
    this.child = child;
    this.lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  // Comes back when everything is in its original place; tells how often it was exchanged.
  async stop() {
    this.child.stdin.end();
    const [, exchanges] = await this.expect(/^exchanges (\d+) missed \d+$/);
    return Number(exchanges);
  }

  async expect(pattern) {
    const { value: line = '' } = await this.lines.next();
    const match = pattern.exec(line);
    if (match) return match;
    this.child.kill();
    throw new Error(`the attacker failed${line && `: it said ${line}`}`);
  }
}

module.exports = { Attacker };
