'use strict';
// What a call is to do, once its arguments hold.

/** @typedef {import('./binding').Handle} Handle */
/** @typedef {import('./binding').Operations} Operations */

class Job {
  /**
   * @param {(native: Operations, root: Handle, watch?: Handle) => any} run does it, with `native.calls`, or starts
   *   it, with `native.starts`
   * @param {(answer: any) => unknown} [result] what the caller gets for the native answer
   * @param {import('./watch.js').Watched} [watched] what follows and stops it
   */
  constructor(run, result, watched) {
    this.run = run;
    this.result = result;
    this.watched = watched;
    /**
     * What comes first; it yields what may have to be awaited.
     *
     * @type {((methods: any, perform: (job: Job) => any) => Iterator<any, void, any>) | undefined}
     */
    this.before = undefined;
  }
}
// A program may have put anything on `Object.prototype`, setters too.
Object.setPrototypeOf(Job.prototype, null);

module.exports = { Job };
