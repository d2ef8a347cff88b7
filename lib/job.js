'use strict';
// What a method returns when its arguments hold: what is to be done, at once or behind a promise.

/** @typedef {import('./binding').Handle} Handle */
/** @typedef {import('./binding').Operations} Operations */
/** @typedef {import('./watch.js').Watched} Watched */

/**
 * A method: it checks its arguments, behind which the root comes.
 *
 * @typedef {(a: any, b: any, c: any, d: any, e: any, self: unknown) => InstanceType<typeof Job>} Method
 */

class Job {
  /**
   * @param {(native: Operations, root: Handle, watch: Handle | undefined) => any} run does it, with `native.calls`, or
   *   starts it, with `native.starts`
   * @param {(answer: any) => unknown} [result] what the caller gets for the native answer
   * @param {Watched} [watched] what follows and stops it
   */
  constructor(run, result, watched) {
    this.run = run;
    this.result = result;
    this.watched = watched;
    /**
     * What comes first. It is passed what does other jobs, with this root or another one, and whether that is at
     * once. It yields what may have to be awaited.
     *
     * @type {((perform: (job: Job, root?: Handle) => any, isSync: boolean) => Generator<any, void, any>) | undefined}
     */
    this.before = undefined;
    /**
     * What a promise does in place of it.
     *
     * @type {((start: (job: Job, root: Handle) => Promise<any>, root: Handle) => Promise<void>) | undefined}
     */
    this.later = undefined;
    /**
     * Throws why only a promise can do it.
     *
     * @type {(() => never) | undefined}
     */
    this.refused = undefined;
  }
}
// Nothing of a job is inherited from what a program puts on `Object.prototype`.
Object.setPrototypeOf(Job.prototype, null);

module.exports = { Job };
