// `root.promises`, and what else takes more than one turn of the event loop. Compiled into the addon,
// like make.js.
(() => {
  'use strict';

  /** How often progress is told, in milliseconds. */
  const INTERVAL = 50;

  // Tells how far work is. Gives back what that throws, in an array.
  const progress = ({ onProgress }, entries, bytes) => {
    try {
      onProgress?.({ entries, bytes });
      return [];
    } catch (error) {
      return [error];
    }
  };

  const started = (...parts) => parts;

  // Waits for long work, which its signal stops, and which tells how far it is.
  const watched = async ([promise, stop, seen, options]) => {
    const { signal, onProgress } = options;
    let thrown = [];
    const tell = () => {
      if (thrown.length === 0) thrown = progress(options, ...seen());
      if (thrown.length > 0) stop();
    };
    const timer = onProgress && setInterval(tell, INTERVAL);
    signal?.addEventListener('abort', stop);
    try {
      const value = await promise;
      tell();
      if (thrown.length === 0) return value;
    } catch (error) {
      if (thrown.length === 0) throw error.code === 'ECANCELED' && signal?.aborted ? signal.reason : error;
    } finally {
      clearInterval(timer);
      signal?.removeEventListener('abort', stop);
    }
    throw thrown[0];
  };

  const isMadeElsewhere = (error) => error instanceof Error && !error.stack.includes('\n    at ');

  // Gives a class its `promises`: an object for each root, with a method for each of the starters. A
  // method of it is async for the sake of the stack: an error made on another thread has none, and
  // here it gets that of its callers.
  const promises = (prototype, starters) => {
    class Promises {
      #root;
      constructor(root) {
        this.#root = root;
      }
      static {
        for (const [name, start] of Object.entries(starters)) {
          const method = {
            async [name](...args) {
              try {
                const started = start.apply(this.#root, args);
                return await (Array.isArray(started) ? watched(started) : started);
              } catch (error) {
                if (isMadeElsewhere(error)) Error.captureStackTrace(error, method);
                throw error;
              }
            },
          }[name];
          Object.defineProperty(Promises.prototype, name, { value: method, writable: true, configurable: true });
        }
      }
    }
    const made = new WeakMap();
    Object.defineProperty(prototype, 'promises', {
      configurable: true,
      enumerable: true,
      get() {
        if (!made.has(this)) made.set(this, new Promises(this));
        return made.get(this);
      },
    });
  };

  return { started, progress, promises };
})();
