'use strict';
// Progress and cancellation of long-running work.

const events = require('node:events');
const { native } = require('./native.js');
const { AbortError, invalidType } = require('./errors.js');

/** @typedef {import('..').Progress} Progress */
/**
 * What a caller passes to follow and stop work, checked.
 *
 * @typedef {object} Watched
 * @property {AbortSignal} [signal]
 * @property {(progress: Progress) => void} [onProgress]
 */

/** What an `onProgress` threw, or its promise was rejected with: any value, a string that looks native among them. */
class Thrown {
  /** @param {unknown} value */
  constructor(value) {
    this.value = value;
  }
}

/** What the native side fills: how many entries and how many bytes are done. */
const progress = new ArrayBuffer(16);
const counts = new Float64Array(progress);

/** How often progress is told, in milliseconds. */
const INTERVAL = 50;

/**
 * @param {Record<string, unknown>} options
 * @returns {Watched | undefined} nothing, if nobody watches
 */
function watched({ signal, onProgress }) {
  if (signal == null && onProgress == null) return undefined;
  if (signal != null && !isSignal(signal)) {
    throw invalidType('options.signal', 'an instance of AbortSignal', signal);
  }
  if (onProgress != null && typeof onProgress !== 'function') {
    throw invalidType('options.onProgress', 'of type function', onProgress);
  }
  const all = /** @type {Watched} */ ({ signal: signal ?? undefined, onProgress: onProgress ?? undefined });
  stopIfAborted(all.signal);
  return all;
}

/** @param {any} value it may be of another realm, or of a library */
const isSignal = (value) =>
  typeof value === 'object' &&
  typeof value.aborted === 'boolean' &&
  typeof value.addEventListener === 'function' &&
  typeof value.removeEventListener === 'function';

/**
 * Tells how far the work is. What comes back may be a promise, whose rejection somebody has to handle.
 *
 * @param {Watched} watched
 * @param {import('./binding').Handle} watch
 * @returns {unknown}
 */
function tell({ onProgress }, watch) {
  if (onProgress === undefined) return undefined;
  native.progress(watch, progress);
  const [entries = 0, bytes = 0] = counts;
  return onProgress({ entries, bytes });
}

/**
 * Waits for what an `onProgress` returned. It rejects nothing.
 *
 * @param {unknown} answer
 * @param {(error: unknown) => void} onError
 */
async function settle(answer, onError) {
  try {
    await answer;
  } catch (error) {
    onError(error);
  }
}

/**
 * Tells how far work is that is done: nothing can be stopped, nothing waits for a promise, and whatever comes of it, the
 * work did not fail.
 *
 * @param {Watched} watched
 * @param {import('./binding').Handle} watch
 */
function tellAtEnd(watched, watch) {
  try {
    void settle(tell(watched, watch), () => {});
  } catch {
    // See above.
  }
}

/**
 * Waits for work that was started: its signal stops it, and so does an `onProgress` that throws, or whose promise is
 * rejected. Work that is done has not failed, whatever comes of these then.
 *
 * @template T
 * @param {Promise<T>} promise
 * @param {Watched} watched
 * @param {import('./binding').Handle} watch
 * @returns {Promise<T>}
 */
async function follow(promise, watched, watch) {
  const { signal, onProgress } = watched;
  /** @type {{ error: unknown } | undefined} */
  let thrown;
  const stopWith = (/** @type {unknown} */ error) => {
    thrown ??= { error };
    native.stop(watch);
  };
  /** @type {Set<Promise<void>>} */
  const awaited = new Set();
  const tellOnce = () => {
    if (thrown !== undefined) return;
    try {
      const answer = tell(watched, watch);
      if (answer == null) return;
      const waiting = settle(answer, stopWith).finally(() => awaited.delete(waiting));
      awaited.add(waiting);
    } catch (error) {
      stopWith(error);
    }
  };
  const stop = () => native.stop(watch);
  // It is given up if the signal cannot be listened to.
  promise.catch(() => {});
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  try {
    if (signal) listen(signal, stop);
    timer = onProgress && setInterval(tellOnce, INTERVAL);
    const value = await promise;
    tellOnce();
    // A program may write down how far it is: whoever aborts does not wait for that.
    for (const waiting of awaited) await unlessAborted(waiting, signal).catch(() => {});
    return value;
  } catch (failed) {
    stop();
    throw thrown === undefined ? failed : new Thrown(thrown.error);
  } finally {
    clearInterval(timer);
    if (signal) listenNoMore(signal, stop);
  }
}

/**
 * What a signal stops: one listener for all of it, since Node warns of many.
 *
 * @type {WeakMap<AbortSignal, { stops: Set<() => void>, onAbort: () => void }>}
 */
const stopped = new WeakMap();

/**
 * @param {AbortSignal} signal
 * @param {() => void} stop
 */
function listen(signal, stop) {
  let entry = stopped.get(signal);
  if (entry === undefined) {
    const stops = new Set();
    const onAbort = () => {
      if (signal.aborted) stops.forEach((stop) => stop());
      // An event that somebody has dispatched, and a listener for one alone.
      else if (stops.size > 0) onceAborted(signal, onAbort);
    };
    entry = { stops, onAbort };
    stopped.set(signal, entry);
  }
  // It may have been aborted since the work was started.
  if (signal.aborted) return stop();
  if (entry.stops.size === 0) onceAborted(signal, entry.onAbort);
  entry.stops.add(stop);
}

/**
 * The listener runs also where another one stops the event. The first releases of Node 18 cannot do that.
 *
 * @param {AbortSignal} signal
 * @param {() => void} listener
 */
function onceAborted(signal, listener) {
  const { addAbortListener } = /** @type {any} */ (events);
  if (addAbortListener) addAbortListener(signal, listener);
  else signal.addEventListener('abort', listener);
}

/**
 * @param {AbortSignal} signal
 * @param {() => void} stop
 */
function listenNoMore(signal, stop) {
  const entry = stopped.get(signal);
  if (!entry?.stops.delete(stop) || entry.stops.size > 0) return;
  try {
    signal.removeEventListener('abort', entry.onAbort);
  } catch {
    // What was done is done, and the listener has nothing to stop any more.
  }
}

/** @param {AbortSignal | undefined} signal */
function stopIfAborted(signal) {
  if (signal?.aborted) throw new AbortError(signal.reason);
}

/**
 * Waits for what a caller gave, which may never come: a signal ends the wait.
 *
 * @template T
 * @param {T | PromiseLike<T>} value
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<T>}
 */
async function unlessAborted(value, signal) {
  if (signal === undefined) return value;
  let stop = () => {};
  try {
    return await new Promise((resolve, reject) => {
      stop = () => reject(new AbortError(signal.reason));
      Promise.resolve(value).then(resolve, reject);
      listen(signal, stop);
    });
  } finally {
    listenNoMore(signal, stop);
  }
}

module.exports = { Thrown, follow, stopIfAborted, tellAtEnd, unlessAborted, watched };
