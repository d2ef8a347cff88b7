'use strict';
// A call of a method, or of a part of it: at once, or behind a promise.

const { native } = require('./native.js');

/** @typedef {import('./binding').Handle} Handle */
/** @typedef {import('./binding').Operations} Operations */
/** @typedef {import('./watch.js').Watched} Watched */

/**
 * A method: it checks its arguments, and has the native side do it. It returns the native answer, or what does
 * it in several such calls.
 *
 * @typedef {(call: Call, a: any, b: any, c: any, d: any, e: any) => any} Method
 */

/**
 * What is done in several native calls. It returns what the caller gets.
 *
 * @typedef {(how: How) => any} Several
 */

/**
 * How a failure looks to the caller, if not as it is: its paths, and its error.
 *
 * @typedef {object} Shown
 * @property {(failure: InstanceType<typeof import('./errors.js').Failure>) => void} rename
 * @property {(error: any) => Error} [translate]
 */

/**
 * How these are made.
 *
 * @typedef {object} How
 * @property {(part: (call: Call) => any, root?: Handle) => any} perform makes one, with this root or another one: what
 *   comes of it, or a promise of that
 * @property {(steps: Generator<any, any, any>) => any} go goes through a generator, which yields what may have to be
 *   awaited: what it returns, or a promise of that
 */

class Call {
  /**
   * @param {Operations} operations `native.calls`, which do their work, or `native.starts`, which start it
   * @param {Handle} root
   * @param {unknown} [self] the object that is the root
   * @param {Shown} [shown]
   */
  constructor(operations, root, self, shown) {
    this.native = operations;
    this.root = root;
    this.self = self;
    this.shown = shown;
    /**
     * What the caller gets for the native answer.
     *
     * @type {((answer: any) => unknown) | undefined}
     */
    this.result = undefined;
    /** @type {Watched | undefined} */
    this.watched = undefined;
    /** @type {Handle | undefined} */
    this.watch = undefined;
  }

  /** Whether the caller waits for it. */
  get isSync() {
    return this.native === native.calls;
  }

  /**
   * Has the work followed and stopped by what a caller passed for it.
   *
   * @param {Watched | undefined} watched
   */
  follow(watched) {
    if (watched === undefined) return undefined;
    this.watched = watched;
    this.watch = native.watch();
    return this.watch;
  }
}
// Nothing of a call is inherited from what a program puts on `Object.prototype`.
Object.setPrototypeOf(Call.prototype, null);

exports.Call = Call;
