'use strict';
// The attacker: a separate process that exchanges pairs of paths as fast as it can.

const readline = require('node:readline');
const { once } = require('node:events');
const { spawn } = require('node:child_process');
const { tool } = require('../support');

/** What all attacks of this process came to. */
const totals = { attacks: 0, exchanges: 0 };

class Attack {
  #child;
  #lines;
  #exited;

  /** Runs `action` while `pairs` are exchanged. The attack is over before anything else happens. */
  static async during(pairs, action) {
    const attack = await Attack.start(pairs);
    let exchanges;
    let result;
    try {
      result = await action(attack);
    } finally {
      exchanges = await attack.stop();
    }
    return { result, exchanges };
  }

  /**
   * Begins to exchange `pairs`, and comes back when each was exchanged once. `prison`: a directory that the
   * attacker cannot leave (chroot). The paths are in it then, and are looked up anew each time.
   */
  static async start(pairs, prison) {
    const attack = new Attack(pairs, prison);
    await attack.#expect('ready');
    return attack;
  }

  constructor(pairs, prison) {
    const args = [...(prison === undefined ? [] : ['--chroot', prison]), ...pairs.flat()];
    this.#child = spawn(tool('exchange'), args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#exited = once(this.#child, 'exit');
    this.#child.stdin.on('error', () => {}); // It has ended: the next line that is expected says so.
    this.#lines = readline.createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async #expect(word) {
    const { value: line = 'nothing' } = await this.#lines.next();
    if (!line.startsWith(word)) throw new Error(`the attacker said ${line}, not ${word}`);
    return line;
  }

  /** Stands still, with every pair that is whole in its original position. */
  async pause() {
    this.#child.stdin.write('pause\n');
    await this.#expect('paused');
  }

  /** Goes on. */
  async resume() {
    this.#child.stdin.write('resume\n');
    await this.#expect('resumed');
  }

  /** Ends the attack, and tells how many exchanges it came to. */
  async stop() {
    this.#child.stdin.end();
    const [exchanges] = (await this.#expect('exchanges')).match(/\d+/g).map(Number);
    await this.#exited;
    totals.attacks += 1;
    totals.exchanges += exchanges;
    return exchanges;
  }
}

module.exports = { Attack, totals };
