// The class. Compiled into the addon, like make.js. The value of this script is a function of what make.js
// makes and of the native calls; it gives back the class, and what tells the number of a root.
//
// A native call knows a root by a number, which stands in a private field: no script can pass another. The
// number is asked for at each call: kept anywhere else it could outlive the root, and be that of another one.
(make, native) => {
  'use strict';

  // biome-ignore lint/suspicious/noShadowRestrictedNames: those of now; a program may put others in their place.
  const { Error, TypeError } = globalThis;
  const { apply } = Reflect;

  const { outcome, stats, names, partsOf, described, Running, progress, invalidType, abortError } = make;

  // ---- The class ----

  // What a native call comes to: `Outcome` of make.rs.
  const ANSWERED = 0;
  const STATS = 1;
  const NAMES = 2;
  const THROWN = 3;

  // The method that does a native call with the number of the root that `this` is, and gives back what is made
  // of the answer. It makes and throws the error itself, so that the stack begins here.
  const method = (name, call, made) =>
    ({
      [name](...args) {
        const root = numberOf(this);
        // With what was passed and no more, since it looks at what it gets. Not with `...args`: a program may
        // have changed how arrays are gone through.
        const answer =
          args.length < 2
            ? call(root, args[0])
            : args.length < 3
              ? call(root, args[0], args[1])
              : call(root, args[0], args[1], args[2], args[3], args[4]);
        switch (outcome()) {
          case ANSWERED:
            return made === undefined ? answer : made(answer, this);
          case STATS:
            return stats();
          case NAMES:
            return names(answer);
          case THROWN:
            throw answer;
          default: {
            const parts = partsOf(answer);
            throw described(new Error(parts[0]), parts);
          }
        }
      },
    })[name];

  const methodsOf = (calls, made) => {
    const methods = {};
    for (const [name, call] of Object.entries(calls)) methods[name] = method(name, call, made);
    return methods;
  };

  // What no script can get hold of, so that a root is made of it by openRoot alone.
  class Opened {
    constructor(number) {
      this.number = number;
    }
  }

  const forgotten = new FinalizationRegistry(native.forget);
  const open = method('open', native.open);
  let numberOf;

  class SandboxRoot {
    #number;

    static {
      numberOf = (value) =>
        typeof value === 'object' && value !== null && #number in value ? value.#number : undefined;
    }

    constructor(root, options) {
      this.#number = root instanceof Opened ? root.number : open(root, options);
      forgotten.register(this, this.#number);
    }
  }

  const rootOf = (number) => new SandboxRoot(new Opened(number));

  const isClosed = method('closed', native.closed);
  const identity = method('identity', native.identity);
  const copy = method('cp', native.calls.cp);
  const move = method('move', native.calls.move);

  const members = {
    ...methodsOf(native.calls),
    close: method('close', native.close),
    openRoot: method('openRoot', native.calls.openRoot, rootOf),
    walk: method('walk', native.tour, (tour, root) => walk(root, tour)),
    // The native calls of these two take one argument more, which is ours.
    cp(src, dest, options) {
      const filter = filterOf(options);
      if (filter == null || typeof options !== 'object') return apply(copy, this, [src, dest, options]);
      const bag = readOnce(options, filter);
      return apply(copy, this, [src, dest, bag, askNow(this, src, dest, bag)]);
    },
    move(src, dest, options) {
      return apply(move, this, [src, dest, options]);
    },
    get closed() {
      return apply(isClosed, this, []);
    },
    get identity() {
      return apply(identity, this, []);
    },
    get promises() {
      // Refuses what is no root.
      apply(isClosed, this, []);
      return promisesOf(this);
    },
  };
  // `using root = new SandboxRoot(path)`: the first releases of Node 18 do not have the symbol.
  if (Symbol.dispose !== undefined) members[Symbol.dispose] = members.close;
  Object.defineProperties(SandboxRoot.prototype, Object.getOwnPropertyDescriptors(members));

  // ---- Promises ----

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
      if (thrown.length === 0) {
        throw error.code === 'ECANCELED' && signal?.aborted ? abortError(signal) : error;
      }
    } finally {
      clearInterval(timer);
      if (signal) listenNoMore(signal, stop);
    }
    throw thrown[0];
  };

  /** How often progress is told, in milliseconds. */
  const INTERVAL = 50;

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

  // What was started: a promise, long work, or the answer already.
  const started = (answer) => (answer instanceof Running ? watched(answer) : answer);

  // What starts each of the methods, with a root as `this`.
  const allStarts = () => {
    const starts = methodsOf(native.starters, started);
    const { cp, move, openRoot } = starts;
    starts.cp = async function (src, dest, options) {
      const filter = filterOf(options);
      if (filter == null || typeof options !== 'object') return apply(cp, this, [src, dest, options]);
      const bag = readOnce(options, filter);
      return apply(cp, this, [src, dest, bag, await askAndWait(this, cp, src, dest, bag)]);
    };
    // Most moves are a rename, which is done on the pool; a copy has a thread of its own.
    starts.move = async function (src, dest, options) {
      try {
        return await apply(move, this, [src, dest, options, true]);
      } catch (error) {
        if (error?.code !== 'EXDEV') throw error;
      }
      return apply(move, this, [src, dest, options]);
    };
    starts.openRoot = async function (...args) {
      return rootOf(await apply(openRoot, this, args));
    };
    return starts;
  };

  const isMadeElsewhere = (error) => error instanceof Error && !error.stack?.includes('\n    at ');

  // The promises of one root. A method is async for the sake of the stack: an error made on another thread
  // has none, and here it gets that of its callers.
  const promisesClass = () => {
    // That of native calls, whatever a program has put in its place.
    const NativePromise = (async () => {})().constructor;
    class Promises {
      #root;
      constructor(root) {
        this.#root = root;
      }
      static {
        for (const [name, start] of Object.entries(allStarts())) {
          const method = {
            async [name](...args) {
              const answer = apply(start, this.#root, args);
              // What was answered already waits for nothing, not even for the next turn.
              if (!(answer instanceof NativePromise)) return answer;
              try {
                return await answer;
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

  const made = new WeakMap();
  let Promises;
  const promisesOf = (root) => {
    if (Promises === undefined) {
      // Made when it is wanted: not every program does.
      Promises = promisesClass();
      // The process waits for the threads of its pool when it exits, and runs no cleanup hook before.
      process.once('exit', native.end);
    }
    if (!made.has(root)) made.set(root, new Promises(root));
    return made.get(root);
  };

  // ---- The filter of cp ----

  const filterOf = (options) => {
    const { filter, signal } = options ?? {};
    if (filter != null && typeof filter !== 'function') {
      throw invalidType('options.filter', 'of type function', filter);
    }
    // Of an aborted signal the native call speaks, and nothing is to be asked.
    return signal?.aborted ? undefined : filter;
  };

  // The options of `cp`, in the order in which the native call reads them.
  const CP_OPTIONS = [
    'to',
    'verbatimSymlinks',
    'force',
    'preserveTimestamps',
    'preserve',
    'recursive',
    'errorOnExist',
    'reflink',
    'ignoreVanished',
    'signal',
    'onProgress',
  ];
  // What the options are now, inherited ones included: the filter is asked about the tree that is copied then,
  // whatever a getter answers the next time.
  const readOnce = (options, filter) => {
    const bag = { __proto__: null, filter };
    for (const key of CP_OPTIONS) bag[key] = options[key];
    return bag;
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

  // Asks the filter about a tree from its top, and gives back the ways to what it said yes to. Yields what
  // may have to be awaited. `cp` is the native call. `list` gives the entries of a directory, and none of what
  // is not gone into, or no directory any more: what is wrong there is said when it is copied.
  function* asked(root, cp, list, src, dest, options) {
    const { filter, recursive, signal, onProgress } = options;
    const quiet = typeof onProgress === 'function' ? { __proto__: options, onProgress: null } : options;
    // Copies nothing: before the filter is asked, all arguments hold.
    yield apply(cp, root, [src, dest, quiet, []]);
    const allowed = [];
    const ahead = [[Buffer.alloc(0), recursive]];
    while (ahead.length > 0) {
      if (signal?.aborted) throw abortError(signal);
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

  const noneOf = (error) => {
    if (['EACCES', 'ELOOP', 'ENOENT', 'ENOTDIR'].includes(error.code)) return [];
    throw error;
  };
  const TYPED = { withFileTypes: true, encoding: 'buffer' };
  /** The longest path that is certainly no longer than the kernel takes, in bytes. */
  const LONGEST = 4000;
  // A path, cut at slashes into pieces that the kernel takes.
  const piecesOf = (at) => {
    const pieces = [];
    let rest = Buffer.from(at);
    while (rest.length > LONGEST) {
      const end = rest.lastIndexOf(SLASH, LONGEST);
      if (end <= 0) break;
      pieces.push(rest.subarray(0, end));
      rest = rest.subarray(end + 1);
    }
    return [...pieces, rest];
  };
  // The directory at the end of a path of any length is listed by way of roots on the way: yields what may have
  // to be awaited. `of`: the methods of a root, or its promises.
  function* listed(root, of, at) {
    const pieces = piecesOf(at);
    const last = pieces.pop();
    let here = root;
    try {
      for (const piece of pieces) {
        const next = yield of(here).openRoot(piece);
        if (here !== root) here.close();
        here = next;
      }
      return yield of(here).readdir(last, TYPED);
    } catch (error) {
      return noneOf(error);
    } finally {
      if (here !== root) here.close();
    }
  }
  const itself = (root) => root;
  const promisesIn = (root) => root.promises;

  // Does the steps of a generator, what it yields being there already.
  const now = (steps) => {
    let step = steps.next();
    while (!step.done) step = steps.next(step.value);
    return step.value;
  };
  // The same, where it may have to be awaited.
  const later = async (steps) => {
    let step = steps.next();
    while (!step.done) {
      let value;
      try {
        value = await step.value;
      } catch (error) {
        step = steps.throw(error);
        continue;
      }
      step = steps.next(value);
    }
    return step.value;
  };
  const askNow = (root, src, dest, options) => {
    const list = (at) => now(listed(root, itself, at));
    const filter = refusePromise(options.filter);
    return now(asked(root, copy, list, src, dest, { __proto__: options, filter }));
  };
  const askAndWait = (root, cp, src, dest, options) => {
    const list = (at) => later(listed(root, promisesIn, at));
    return later(asked(root, cp, list, src, dest, options));
  };

  const refusePromise = (filter) => (src, dest) => {
    const answer = filter(src, dest);
    if (typeof answer?.then !== 'function') return answer;
    const error = new TypeError('Expected a boolean to be returned from the "filter" function of cp');
    throw Object.assign(error, { code: 'ERR_INVALID_RETURN_VALUE' });
  };

  // ---- A tour through a tree ----

  const walk = (root, { step, close }) => {
    const next = method('step', step);
    let truncated = null;
    const entries = (async function* () {
      try {
        for (let isLast = false; !isLast; ) {
          const part = await apply(next, root, []);
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
    return Object.defineProperty(entries, 'truncated', {
      get: () => truncated,
      enumerable: true,
      configurable: true,
    });
  };

  return { SandboxRoot, numberOf };
};
//# sourceURL=openat2:class
