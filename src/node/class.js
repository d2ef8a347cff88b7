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

  // What a signal stops: one listener for all of it, since Node warns of many.
  const stopped = new WeakMap();
  const listen = (signal, stop) => {
    if (!stopped.has(signal)) {
      const stops = new Set();
      const onAbort = () => stops.forEach((stop) => stop());
      stopped.set(signal, { stops, onAbort });
    }
    const { stops, onAbort } = stopped.get(signal);
    if (stops.size === 0) signal.addEventListener('abort', onAbort);
    stops.add(stop);
    // It may have been aborted since the work was started.
    if (signal.aborted) stop();
  };
  const listenNoMore = (signal, stop) => {
    const { stops, onAbort } = stopped.get(signal);
    stops.delete(stop);
    if (stops.size === 0) signal.removeEventListener('abort', onAbort);
  };

  // Waits for long work, which its signal stops, and which tells how far it is.
  const watched = async ({ promise, stop, seen, options }) => {
    const { signal, onProgress } = options;
    let thrown = [];
    const tell = () => {
      if (thrown.length === 0) thrown = progress(options, ...seen());
      if (thrown.length > 0) stop();
    };
    const timer = onProgress && setInterval(tell, INTERVAL);
    if (signal) listen(signal, stop);
    try {
      const value = await promise;
      tell();
      if (thrown.length === 0) return value;
    } catch (error) {
      if (thrown.length === 0) throw error.code === 'ECANCELED' && signal?.aborted ? signal.reason : error;
    } finally {
      clearInterval(timer);
      if (signal) listenNoMore(signal, stop);
    }
    throw thrown[0];
  };

  const settled = (running) => (running instanceof Running ? watched(running) : running);

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
                return await settled(await start.apply(this.#root, args));
              } catch (error) {
                if (isMadeElsewhere(error)) Error.captureStackTrace(error, method);
                throw error;
              }
            },
          }[name];
          Object.defineProperty(Promises.prototype, name, {
            value: method,
            writable: true,
            configurable: true,
          });
        }
      }
    }
    return Promises;
  };

  const SLASH = Buffer.from('/');
  // The path of what is at the end of `way` beneath `top`, as `parentPath` of `readdir` is put together.
  const joined = (top, way) => {
    const above = Buffer.from(top);
    if (way.length === 0) return above;
    let end = above.length;
    while (end > 0 && above[end - 1] === SLASH[0]) end--;
    const isHere = end === 1 && above.toString('latin1', 0, 1) === '.';
    return isHere ? way : Buffer.concat([above.subarray(0, end), SLASH, way]);
  };

  // Asks the filter of `cp` about a tree from its top, and gives back the ways to what it said yes to.
  // Yields what may have to be awaited. `list` gives the entries of a directory, and none of what is not
  // gone into, or no directory any more: what is wrong there is said when it is copied.
  function* asked(list, src, dest, { filter, recursive, signal }) {
    const allowed = [];
    const ahead = [[Buffer.alloc(0), recursive]];
    while (ahead.length > 0) {
      if (signal?.aborted) throw signal.reason;
      const [way, isParent] = ahead.pop();
      const at = joined(src, way);
      if (!(yield filter(at.toString(), joined(dest, way).toString()))) continue;
      allowed.push(way);
      if (!isParent) continue;
      for (const { name, type } of (yield list(at)).reverse()) {
        ahead.push([way.length === 0 ? name : joined(way, name), type === 'directory']);
      }
    }
    return allowed;
  }

  // What is asked of the native method before the filter is: whether all arguments hold. Nothing is copied.
  const NOTHING = [];
  const quiet = ({ onProgress, ...options }) =>
    typeof onProgress === 'function' ? options : { ...options, onProgress };

  const noneOf = (error) => {
    if (['EACCES', 'ELOOP', 'ENOENT', 'ENOTDIR'].includes(error.code)) return [];
    throw error;
  };
  const TYPED = { withFileTypes: true, encoding: 'buffer' };
  const askNow = (root, src, dest, options) => {
    const list = (at) => {
      try {
        return root.readdir(at, TYPED);
      } catch (error) {
        return noneOf(error);
      }
    };
    const steps = asked(list, src, dest, { ...options, filter: refusePromise(options.filter) });
    let step = steps.next();
    while (!step.done) step = steps.next(step.value);
    return step.value;
  };
  const askAndWait = async (root, src, dest, options) => {
    const list = (at) => root.promises.readdir(at, TYPED).catch(noneOf);
    const steps = asked(list, src, dest, options);
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

  const complete = (prototype, starters, { close, closed, identity, tour, end, invalidType }) => {
    const filterOf = (options) => {
      const { filter, signal } = options ?? {};
      if (filter != null && typeof filter !== 'function') {
        throw invalidType('options.filter', 'of type function', filter);
      }
      // Of an aborted signal the native method speaks, and nothing is to be asked.
      return signal?.aborted ? undefined : filter;
    };
    const { cp } = prototype;
    define(
      prototype,
      'cp',
      {
        cp(src, dest, options) {
          const filter = filterOf(options);
          if (filter == null) return cp.call(this, src, dest, options);
          cp.call(this, src, dest, quiet(options), NOTHING);
          return cp.call(this, src, dest, options, askNow(this, src, dest, options));
        },
      }.cp,
    );
    const { cp: startCp } = starters;
    starters.cp = async function (src, dest, options) {
      const filter = filterOf(options);
      if (filter == null) return startCp.call(this, src, dest, options);
      cp.call(this, src, dest, quiet(options), NOTHING);
      const only = await askAndWait(this, src, dest, options);
      return startCp.call(this, src, dest, options, only);
    };

    // Most moves are a rename, which is done on the pool; a copy has a thread of its own.
    const { move: startMove } = starters;
    starters.move = async function (src, dest, options) {
      try {
        return await settled(startMove.call(this, src, dest, options, true));
      } catch (error) {
        if (error?.code !== 'EXDEV') throw error;
      }
      return startMove.call(this, src, dest, options);
    };

    define(prototype, 'close', close);
    defineGetter(prototype, 'closed', closed);
    defineGetter(prototype, 'identity', identity);
    // `using root = …`: the first releases of Node 18 do not have the symbol.
    if (Symbol.dispose !== undefined) prototype[Symbol.dispose] = close;
    define(
      prototype,
      'walk',
      {
        walk(path, options) {
          return walk(this, tour.call(this, path, options));
        },
      }.walk,
    );

    const Promises = promisesClass(starters);
    const made = new WeakMap();
    let isFirst = true;
    defineGetter(prototype, 'promises', function () {
      if (isFirst) {
        // The process waits for the threads of its pool when it exits, and runs no cleanup hook before.
        process.once('exit', end);
        isFirst = false;
      }
      if (!made.has(this)) made.set(this, new Promises(this));
      return made.get(this);
    });
  };

  return { complete, started, progress, tour };
})();
