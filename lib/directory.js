'use strict';
// `opendir`: a directory that is read bit by bit, as Node's `Dir`.

const fs = require('node:fs');
const { Call } = require('./call.js');
const { checked, coded, errorOf, invalidType } = require('./errors.js');
const { direntOf } = require('./fs/genuine.js');
const { native } = require('./native.js');
const { batchOf } = require('./results.js');
const { finished } = require('./sync.js');
const { settled } = require('./promises.js');

/** @typedef {import('./binding').Handle} Handle */
/** @typedef {import('node:fs').Dirent} Dirent */

const { MAX_SAFE_INTEGER } = Number;

/**
 * What a listing is about.
 *
 * @typedef {object} Listing
 * @property {Handle} root
 * @property {Handle} cursor
 * @property {string} path as the caller gave it
 * @property {(own: string) => string} shownPath how the path of a directory in it looks to the caller
 * @property {import('./call.js').Shown | undefined} shown
 * @property {BufferEncoding | 'buffer'} encoding of names
 */

/** Its prototype chain has Node's `Dir`, for `instanceof`; every method is its own. */
class Directory {
  /** @type {Listing} */
  #listing;
  /** @type {Dirent[]} those that were read and not given yet, the next one last */
  #ahead = [];
  #isLast = false;
  #isClosed = false;
  /** @type {Promise<unknown> | undefined} the last of what was asked for */
  #busy;

  /**
   * @param {Listing} listing
   * @param {Buffer} first the first batch
   * @param {boolean} isSync whether the caller of `opendir` waits: its error begins there
   */
  constructor(listing, first, isSync) {
    this.#listing = listing;
    this.#take(first, isSync ? checked : undefined);
  }

  get path() {
    return this.#listing.path;
  }

  /** @returns {Dirent | null} */
  readSync() {
    this.#expectOpen();
    if (this.#busy !== undefined) throw concurrent();
    while (this.#ahead.length === 0 && !this.#isLast) {
      const call = new Call(native.calls, this.#listing.root, undefined, this.#listing.shown);
      this.#take(finished(call, next(call, this.#listing.cursor)));
    }
    return this.#ahead.pop() ?? null;
  }

  /** @returns {Promise<Dirent | null>} */
  async #readSoon() {
    while (this.#ahead.length === 0 && !this.#isLast) {
      const call = new Call(native.starts, this.#listing.root, undefined, this.#listing.shown);
      this.#take(await settled(call, next(call, this.#listing.cursor)));
    }
    return this.#ahead.pop() ?? null;
  }

  /**
   * @param {Buffer} answer
   * @param {Function} [maker] of an error
   */
  #take(answer, maker) {
    const { encoding, shownPath, shown } = this.#listing;
    const batch = batchOf(answer, true);
    if (batch.parts !== undefined) throw errorOf(batch.parts, maker, shown);
    this.#isLast = batch.isLast;
    for (const { name, parentPath, type } of batch.entries.reverse()) {
      const told = encoding === 'buffer' ? /** @type {Buffer} */ (name) : name.toString(encoding);
      this.#ahead.push(direntOf(told, `${type}`, shownPath(`${parentPath}`)));
    }
  }

  /**
   * One after another.
   *
   * @template T
   * @param {() => T | Promise<T>} work
   * @returns {Promise<T>}
   */
  #queued(work) {
    const before = this.#busy;
    const result = (async () => {
      await before?.catch(() => {});
      return work();
    })();
    this.#busy = result;
    const done = () => {
      if (this.#busy === result) this.#busy = undefined;
    };
    result.then(done, done);
    return result;
  }

  /** @param {unknown} [callback] */
  read(callback) {
    return this.#answer(callback, () => this.#queued(() => this.#readSoon()));
  }

  closeSync() {
    this.#expectOpen();
    if (this.#busy !== undefined) throw concurrent();
    this.#isClosed = true;
    this.#release();
  }

  /** @param {unknown} [callback] */
  close(callback) {
    return this.#answer(callback, () => {
      // No other call is let in before what is under way has ended.
      this.#isClosed = true;
      return this.#queued(() => this.#release());
    });
  }

  /**
   * @param {unknown} callback
   * @param {() => Promise<any>} work
   * @returns {Promise<any> | undefined}
   */
  #answer(callback, work) {
    if (callback !== undefined && typeof callback !== 'function') {
      throw invalidType('cb', 'of type function', callback);
    }
    const promise = this.#isClosed ? Promise.reject(closed()) : work();
    if (callback === undefined) return promise;
    const call = /** @type {any} */ (callback);
    promise.then(
      (value) => process.nextTick(call, null, value),
      (error) => process.nextTick(call, error),
    );
    return undefined;
  }

  #release() {
    this.#ahead = [];
    native.closeCursor(this.#listing.cursor);
  }

  #expectOpen() {
    if (this.#isClosed) throw closed();
  }

  /** @returns {AsyncGenerator<Dirent, void, void>} */
  async *entries() {
    try {
      for (;;) {
        const entry = await this.read();
        if (entry === null) return;
        yield entry;
      }
    } finally {
      await this.close();
    }
  }
}

const { defineProperty, setPrototypeOf } = Object;
setPrototypeOf(Directory.prototype, fs.Dir.prototype);
defineProperty(Directory.prototype, 'constructor', { value: fs.Dir, writable: true, configurable: true });

/**
 * @param {symbol | undefined} symbol the first releases of Node 18 do not have all of them
 * @param {Function} value
 */
function define(symbol, value) {
  if (symbol === undefined) return;
  defineProperty(Directory.prototype, symbol, { value, writable: true, configurable: true });
}
define(Symbol.asyncIterator, Directory.prototype.entries);
define(
  Symbol.asyncDispose,
  /** @this {any} */ async function () {
    await this.close().catch(() => {});
  },
);
define(
  Symbol.dispose,
  /** @this {any} */ function () {
    try {
      this.closeSync();
    } catch (error) {
      if (/** @type {any} */ (error).code !== 'ERR_DIR_CLOSED') throw error;
    }
  },
);

const closed = () => coded(Error, 'ERR_DIR_CLOSED', 'Directory handle was closed', closed);
const concurrent = () =>
  coded(
    Error,
    'ERR_DIR_CONCURRENT_OPERATION',
    'Cannot do synchronous work on directory handle with concurrent asynchronous operations',
    concurrent,
  );

/**
 * Opens a directory to list it. Whether that can be done is found out at once.
 *
 * @param {string | Uint8Array} at
 * @param {Pick<Listing, 'path' | 'shownPath' | 'encoding'>} how
 * @param {boolean} recursive
 * @returns {import('./call.js').Several}
 */
const openDirectory =
  (at, how, recursive) =>
  ({ perform, go }) =>
    go(
      (function* () {
        const cursor = native.cursor(at, recursive ? MAX_SAFE_INTEGER : 1, MAX_SAFE_INTEGER, false);
        /** @type {any} */
        let opened;
        try {
          const first = yield perform((call) => {
            opened = call;
            return next(call, cursor);
          });
          const { root, shown, isSync } = opened;
          return new Directory({ ...how, root, cursor, shown }, first, isSync);
        } catch (error) {
          native.closeCursor(cursor);
          throw error;
        }
      })(),
    );

/**
 * @param {Call} call
 * @param {Handle} cursor
 */
const next = (call, cursor) => call.native.nextBatch(call.root, cursor, true, undefined);

module.exports = { openDirectory };
