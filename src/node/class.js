// The class. Compiled into the addon, like make.js. The value of this script is a function of what make.js
// makes and of the native calls; it gives back the class, and what tells the number of a root.
//
// A native call gives back its answer, or the error that is thrown here: `given`. It knows a root by a
// number, which stands in a private field: no script can pass another. The number is asked for at each call:
// kept anywhere else it could outlive the root, and be that of another one.
(make, native) => {
  'use strict';

  // biome-ignore lint/suspicious/noShadowRestrictedNames: those of now; a program may put others in their place.
  const { Error, TypeError } = globalThis;
  // And change what `instanceof` says.
  const isError = Function.prototype[Symbol.hasInstance].bind(Error);

  const { calls, starters } = native;
  const { stats, Running, progress, invalidThis, invalidType } = make;

  // ---- The class ----

  const given = (answer) => {
    if (isError(answer)) throw answer;
    return answer;
  };

  // The numbers of a `stat` are in shared memory then.
  const statsIn = (answer) => (answer === true ? stats() : answer);

  // What no script can get hold of, so that a root is made of it by openRoot alone.
  class Opened {
    constructor(number) {
      this.number = number;
    }
  }

  const forgotten = new FinalizationRegistry(native.forget);
  let numberOf;

  class SandboxRoot {
    #number;

    static {
      numberOf = (value) =>
        typeof value === 'object' && value !== null && #number in value ? value.#number : undefined;
    }

    constructor(root, options) {
      this.#number = root instanceof Opened ? root.number : given(native.open(root, options));
      forgotten.register(this, this.#number);
    }

    close() {
      native.close(numberOfThis(this));
    }
    get closed() {
      return given(native.closed(numberOfThis(this)));
    }
    get identity() {
      return given(native.identity(numberOfThis(this)));
    }
    get promises() {
      numberOfThis(this);
      return promisesOf(this);
    }

    access(path, mode) {
      return given(calls.access(numberOfThis(this), path, mode));
    }
    appendFile(path, data, options) {
      return given(calls.appendFile(numberOfThis(this), path, data, options));
    }
    chmod(path, mode) {
      return given(calls.chmod(numberOfThis(this), path, mode));
    }
    chown(path, uid, gid) {
      return given(calls.chown(numberOfThis(this), path, uid, gid));
    }
    copyFile(src, dest, mode, options) {
      return given(calls.copyFile(numberOfThis(this), src, dest, mode, options));
    }
    cp(src, dest, options) {
      const only = filterOf(options) == null ? undefined : askNow(this, src, dest, options);
      return given(calls.cp(numberOfThis(this), src, dest, options, only));
    }
    exchange(a, b) {
      return given(calls.exchange(numberOfThis(this), a, b));
    }
    exists(path) {
      return given(calls.exists(numberOfThis(this), path));
    }
    fsync(path) {
      return given(calls.fsync(numberOfThis(this), path));
    }
    isAt(path) {
      return given(calls.isAt(numberOfThis(this), path));
    }
    lchown(path, uid, gid) {
      return given(calls.lchown(numberOfThis(this), path, uid, gid));
    }
    link(oldPath, newPath, options) {
      return given(calls.link(numberOfThis(this), oldPath, newPath, options));
    }
    lstat(path, options) {
      return statsIn(given(calls.lstat(numberOfThis(this), path, options)));
    }
    lutimes(path, atimeNs, mtimeNs) {
      return given(calls.lutimes(numberOfThis(this), path, atimeNs, mtimeNs));
    }
    mkdir(path, recursive, mode) {
      return given(calls.mkdir(numberOfThis(this), path, recursive, mode));
    }
    mkdtemp(prefix, options) {
      return given(calls.mkdtemp(numberOfThis(this), prefix, options));
    }
    move(src, dest, options) {
      return given(calls.move(numberOfThis(this), src, dest, options));
    }
    open(path, flags, mode) {
      return given(calls.open(numberOfThis(this), path, flags, mode));
    }
    openRead(path) {
      return given(calls.openRead(numberOfThis(this), path));
    }
    openRoot(path, options) {
      return new SandboxRoot(new Opened(given(calls.openRoot(numberOfThis(this), path, options))));
    }
    openWrite(path, create, truncate, append, mode) {
      return given(calls.openWrite(numberOfThis(this), path, create, truncate, append, mode));
    }
    readdir(path, options) {
      return given(calls.readdir(numberOfThis(this), path, options));
    }
    readFile(path, options) {
      return given(calls.readFile(numberOfThis(this), path, options));
    }
    readlink(path, options) {
      return given(calls.readlink(numberOfThis(this), path, options));
    }
    realpath(path, options) {
      return given(calls.realpath(numberOfThis(this), path, options));
    }
    rename(oldPath, newPath, options) {
      return given(calls.rename(numberOfThis(this), oldPath, newPath, options));
    }
    renameNoReplace(oldPath, newPath, options) {
      return given(calls.renameNoReplace(numberOfThis(this), oldPath, newPath, options));
    }
    rm(path, recursive, force, options) {
      return given(calls.rm(numberOfThis(this), path, recursive, force, options));
    }
    rmdir(path) {
      return given(calls.rmdir(numberOfThis(this), path));
    }
    stat(path, options) {
      return statsIn(given(calls.stat(numberOfThis(this), path, options)));
    }
    symlink(target, newPath) {
      return given(calls.symlink(numberOfThis(this), target, newPath));
    }
    truncate(path, len) {
      return given(calls.truncate(numberOfThis(this), path, len));
    }
    unlink(path) {
      return given(calls.unlink(numberOfThis(this), path));
    }
    utimes(path, atimeNs, mtimeNs) {
      return given(calls.utimes(numberOfThis(this), path, atimeNs, mtimeNs));
    }
    walk(path, options) {
      return walk(this, given(native.tour(numberOfThis(this), path, options)));
    }
    writeFile(path, data, options) {
      return given(calls.writeFile(numberOfThis(this), path, data, options));
    }
  }

  const numberOfThis = (that) => {
    const number = numberOf(that);
    if (number === undefined) throw invalidThis('SandboxRoot');
    return number;
  };

  // `using root = new SandboxRoot(path)`: the first releases of Node 18 do not have the symbol.
  if (Symbol.dispose !== undefined) SandboxRoot.prototype[Symbol.dispose] = SandboxRoot.prototype.close;
  // As they always were: seen by what goes through the keys.
  for (const name of Object.getOwnPropertyNames(SandboxRoot.prototype)) {
    if (name !== 'constructor') Object.defineProperty(SandboxRoot.prototype, name, { enumerable: true });
  }

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
      if (thrown.length === 0) throw error.code === 'ECANCELED' && signal?.aborted ? signal.reason : error;
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
  const started = (answer) => (given(answer) instanceof Running ? watched(answer) : answer);

  // What starts each of the methods.
  const allStarts = () => {
    const starts = {};
    for (const [name, start] of Object.entries(starters)) {
      starts[name] = (root, ...args) => started(start(numberOfThis(root), ...args));
    }
    const { cp, move, openRoot } = starts;
    starts.cp = async (root, src, dest, options) => {
      const only = filterOf(options) == null ? undefined : await askAndWait(root, src, dest, options);
      return cp(root, src, dest, options, only);
    };
    // Most moves are a rename, which is done on the pool; a copy has a thread of its own.
    starts.move = async (root, src, dest, options) => {
      try {
        return await move(root, src, dest, options, true);
      } catch (error) {
        if (error?.code !== 'EXDEV') throw error;
      }
      return move(root, src, dest, options);
    };
    starts.openRoot = async (root, path, options) =>
      new SandboxRoot(new Opened(await openRoot(root, path, options)));
    return starts;
  };

  const isMadeElsewhere = (error) => isError(error) && !error.stack.includes('\n    at ');

  // The promises of one root. A method is async for the sake of the stack: an error made on another thread
  // has none, and here it gets that of its callers.
  const promisesClass = () => {
    class Promises {
      #root;
      constructor(root) {
        this.#root = root;
      }
      static {
        for (const [name, start] of Object.entries(allStarts())) {
          const method = {
            async [name](...args) {
              try {
                return await start(this.#root, ...args);
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
  // may have to be awaited. `list` gives the entries of a directory, and none of what is not gone into, or no
  // directory any more: what is wrong there is said when it is copied.
  function* asked(root, list, src, dest, { filter, ...options }) {
    checkArguments(root, src, dest, options);
    const { recursive, signal } = options;
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

  // Before the filter is asked, the native call is, whether all arguments hold: with nothing to be copied.
  const NOTHING = [];
  const checkArguments = (root, src, dest, { onProgress, ...options }) => {
    const quiet = typeof onProgress === 'function' ? options : { ...options, onProgress };
    given(calls.cp(numberOfThis(root), src, dest, quiet, NOTHING));
  };

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
    const filter = refusePromise(options.filter);
    const steps = asked(root, list, src, dest, { ...options, filter });
    let step = steps.next();
    while (!step.done) step = steps.next(step.value);
    return step.value;
  };
  const askAndWait = async (root, src, dest, options) => {
    const list = (at) => root.promises.readdir(at, TYPED).catch(noneOf);
    const steps = asked(root, list, src, dest, options);
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

  // ---- A tour through a tree ----

  const walk = (root, { step, close }) => {
    let truncated = null;
    const entries = (async function* () {
      try {
        for (let isLast = false; !isLast; ) {
          const part = await given(step(numberOf(root)));
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
