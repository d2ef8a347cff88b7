// What the class gets beside its native methods. Compiled into the addon, like make.js.
(() => {
  'use strict';

  const define = (object, name, value) =>
    Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
  const defineGetter = (object, name, get) =>
    Object.defineProperty(object, name, { get, enumerable: true, configurable: true });

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

  // Long work that was started.
  class Running {
    constructor(promise, stop, seen, options) {
      Object.assign(this, { promise, stop, seen, options });
    }
  }
  const started = (...parts) => new Running(...parts);

  // Waits for long work, which its signal stops, and which tells how far it is.
  const watched = async ({ promise, stop, seen, options }) => {
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

  // The promises of one root: a method for each of the starters. It is async for the sake of the stack:
  // an error made on another thread has none, and here it gets that of its callers.
  const promisesClass = (starters) => {
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
                const running = await start.apply(this.#root, args);
                return running instanceof Running ? await watched(running) : running;
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
    return Promises;
  };

  const DIRECTORY = 0o040000n;
  const isDirectory = ({ mode }) => (mode & 0o170000n) === DIRECTORY;
  const SLASH = Buffer.from('/');
  const joined = (above, way) =>
    way.length === 0 ? Buffer.from(above) : Buffer.concat([Buffer.from(above), SLASH, way]);

  // Asks the filter of `cp` about a tree from its top, and gives back the ways to what it said yes to.
  // Yields what may have to be awaited.
  function* asked(fs, src, dest, filter) {
    const allowed = [];
    const ahead = [[Buffer.alloc(0), isDirectory(yield fs.lstat(src, { bigint: true }))]];
    while (ahead.length > 0) {
      const [way, isParent] = ahead.pop();
      const at = joined(src, way);
      if (!(yield filter(at.toString(), joined(dest, way).toString()))) continue;
      allowed.push(way);
      if (!isParent) continue;
      const entries = yield fs.readdir(at, { withFileTypes: true, encoding: 'buffer' });
      for (const { name, type } of entries.reverse()) {
        ahead.push([way.length === 0 ? name : joined(way, name), type === 'directory']);
      }
    }
    return allowed;
  }

  const finish = (steps) => {
    let step = steps.next();
    while (!step.done) step = steps.next(step.value);
    return step.value;
  };
  const finishLater = async (steps) => {
    let step = steps.next();
    while (!step.done) step = steps.next(await step.value);
    return step.value;
  };

  const refusePromise = (filter) => (src, dest) => {
    const answer = filter(src, dest);
    if (typeof answer?.then !== 'function') return answer;
    const error = new TypeError('Expected a boolean to be returned from the "filter" function of cp');
    throw Object.assign(error, { code: 'ERR_INVALID_RETURN_VALUE' });
  };

  const tour = (step, close) => ({ step, close });

  // A tour through a tree, a part at a time.
  const walk = (root, { step, close }) => {
    let truncated = null;
    const entries = (async function* () {
      try {
        for (let isLast = false; !isLast; ) {
          const part = await step.call(root);
          ({ truncated, isLast } = part);
          yield* part.entries;
        }
      } catch (error) {
        if (isMadeElsewhere(error)) Error.captureStackTrace(error);
        throw error;
      } finally {
        close();
      }
    })();
    return defineGetter(entries, 'truncated', () => truncated);
  };

  const complete = (prototype, starters, { close, closed, identity, tour, invalidType }) => {
    const filterOf = (options) => {
      const { filter, signal } = options ?? {};
      if (filter != null && typeof filter !== 'function') {
        throw invalidType('options.filter', 'of type function', filter);
      }
      // Of an aborted signal the native method speaks, and nothing is to be asked.
      return signal?.aborted ? undefined : filter;
    };
    const { cp } = prototype;
    define(prototype, 'cp', {
      cp(src, dest, options) {
        const filter = filterOf(options);
        if (filter == null) return cp.call(this, src, dest, options);
        return cp.call(this, src, dest, options, finish(asked(this, src, dest, refusePromise(filter))));
      },
    }.cp);
    const { cp: startCp } = starters;
    starters.cp = async function (src, dest, options) {
      const filter = filterOf(options);
      if (filter == null) return startCp.call(this, src, dest, options);
      const only = await finishLater(asked(this.promises, src, dest, filter));
      return startCp.call(this, src, dest, options, only);
    };

    define(prototype, 'close', close);
    defineGetter(prototype, 'closed', closed);
    defineGetter(prototype, 'identity', identity);
    // `using root = …`: the first releases of Node 18 do not have the symbol.
    if (Symbol.dispose !== undefined) prototype[Symbol.dispose] = close;
    define(prototype, 'walk', {
      walk(path, options) {
        return walk(this, tour.call(this, path, options));
      },
    }.walk);

    const Promises = promisesClass(starters);
    const made = new WeakMap();
    defineGetter(prototype, 'promises', function () {
      if (!made.has(this)) made.set(this, new Promises(this));
      return made.get(this);
    });
  };

  return { complete, started, progress, tour };
})();
