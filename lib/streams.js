'use strict';
// Node's own streams, on files that a root has opened.

const fs = require('node:fs');
const { Readable, Writable } = require('node:stream');
const { AbortError, coded, invalidValue } = require('./errors.js');
const check = require('./arguments.js');

const { getPrototypeOf, hasOwn } = Object;
// Captured at load: a program may put another function in its place.
const { close: closeOfNode } = fs;

/** @typedef {import('./binding').Handle} Handle */
/** @typedef {(error: unknown, fd?: number) => void} Opened */
/** @typedef {import('./opener.js').AnOpener} Opener */
/**
 * What makes a stream: Node's class, or one that is made of it.
 *
 * @typedef {(path: any, options: any) => any} Make
 */

/**
 * Node's own class. A library may have put one of its own in its place, which opens files by paths.
 *
 * @param {any} Stream `fs.ReadStream` or `fs.WriteStream`
 * @param {any} Above what Node's extends
 */
function classOfNode(Stream, Above) {
  let prototype = Stream.prototype;
  while (getPrototypeOf(prototype) !== Above.prototype) prototype = getPrototypeOf(prototype);
  return prototype.constructor;
}

/** @type {typeof fs.ReadStream} */
const ReadStream = classOfNode(fs.ReadStream, Readable);
/** @type {typeof fs.WriteStream} */
const WriteStream = classOfNode(fs.WriteStream, Writable);
/** How Node's class opens its file: by the functions that it is given, and not by its path. */
const { open: openOfNode } = /** @type {any} */ (WriteStream.prototype);

/** @type {Make} */
const makeReadStream = (path, options) => Reflect.construct(ReadStream, [path, options]);
/** @type {Make} */
const makeWriteStream = (path, options) => Reflect.construct(WriteStream, [path, options]);

/**
 * Copies the options once, so that Node sees the values that were checked here. Inherited enumerable ones count, as with
 * Node.
 *
 * @param {unknown} options those of the stream, or an encoding
 * @returns {Record<string, any>}
 */
function optionsOf(options) {
  if (typeof options === 'string') return Object.assign(Object.create(null), { encoding: options });
  /** @type {Record<string, any>} */
  const given = Object.create(null);
  for (const key in /** @type {any} */ (options)) {
    // Whoever can change `Object.prototype` must not say what is opened.
    const isOfAll = key in Object.prototype && !hasOwn(/** @type {any} */ (options), key);
    if (!isOfAll) given[key] = /** @type {any} */ (options)[key];
  }
  return given;
}

/**
 * What is wrong with other options is Node's to say.
 *
 * @param {unknown} options
 */
const isWrong = (options) => options != null && !['object', 'string', 'function'].includes(typeof options);

/**
 * Calls back in a turn of its own: what a listener of the stream throws is no rejection.
 *
 * @param {Promise<any>} promise
 * @param {(error: any, value?: any) => void} callback
 */
function inTurn(promise, callback) {
  promise.then(
    (value) => process.nextTick(callback, null, value),
    (error) => process.nextTick(callback, error),
  );
}

/** All that Node asks a stream's options for: it must not find them on `Object.prototype`. */
const NO_OPTIONS = {
  fd: undefined,
  fs: undefined,
  flags: undefined,
  mode: undefined,
  start: undefined,
  end: undefined,
  encoding: undefined,
  autoClose: undefined,
  emitClose: undefined,
  highWaterMark: undefined,
  signal: undefined,
  flush: undefined,
};

/**
 * The functions of a stream whose file a root opens.
 *
 * @param {ReturnType<Opener['at']>} file
 * @param {Record<string, any>} options
 */
function functionsOf({ at, perform }, { signal, autoClose }) {
  /** @type {number | undefined} */
  let own;
  return {
    open(
      /** @type {any} */ _path,
      /** @type {any} */ flags,
      /** @type {any} */ mode,
      /** @type {Opened} */ opened,
    ) {
      // Nothing is touched then.
      if (signal?.aborted) return process.nextTick(opened, new AbortError(signal.reason));
      const how = check.openFlags(flags, 'options.flags', O_RDONLY);
      const made = check.modeOfNode(mode, 'options.mode', 0o666);
      // One that the program closes itself, by its number, is the program's.
      if (autoClose === false) {
        return inTurn(
          perform(({ native, root }) => native.open(root, at, how, made)),
          opened,
        );
      }
      const lent = perform(({ native, root }) => native.openLent(root, at, how, made));
      inTurn(lent, (error, fd) => {
        own = fd;
        opened(error, fd);
      });
    },
    close(/** @type {number} */ fd, /** @type {(error?: unknown) => void} */ done) {
      // A class that is made of Node's may open the file its own way.
      if (fd !== own) return closeOfNode(fd, done);
      inTurn(
        perform(({ native, root }) => native.closeLent(root, fd)),
        done,
      );
    },
  };
}

/**
 * What a stream of a view calls: its own functions, as those of Node call those of `fs`, if a program has put others in their
 * place.
 *
 * @typedef {object} Own
 * @property {Record<string, any>} view
 * @property {() => boolean} isChanged
 */

/**
 * @param {Opener} opener
 * @param {any} path
 * @param {any} [options]
 * @param {Make} [make]
 * @param {Own} [own]
 * @returns {fs.ReadStream}
 */
function readStream(opener, path, options, make = makeReadStream, own) {
  if (isWrong(options)) return make(path, options);
  const given = optionsOf(options);
  // One that has its file already opens none.
  if (given.fd != null || (own && given.fs)) return make(path, given);
  if (own?.isChanged()) return make(path, { ...NO_OPTIONS, ...given, fd: undefined, fs: own.view });
  const { read } = fs;
  return make(path, {
    ...NO_OPTIONS,
    ...given,
    fd: undefined,
    fs: { ...functionsOf(opener.at(path), given), read },
  });
}

/**
 * @param {Opener} opener
 * @param {any} path
 * @param {any} [options]
 * @param {Make} [make]
 * @param {Own} [own]
 * @returns {fs.WriteStream}
 */
function writeStream(opener, path, options, make = makeWriteStream, own) {
  if (isWrong(options)) return make(path, options);
  const given = optionsOf(options);
  const isOpen = given.fd != null || (own && given.fs);
  if (isOpen && isDraft(given)) {
    throw invalidValue('options', "cannot have 'atomic', 'ifMatch' or 'maxBytes' with 'fd' or 'fs'", options);
  }
  if (isOpen) return make(path, given);
  if (isDraft(given)) return draftStream(opener.at(path), path, given, make);
  const { flush, ...others } = given;
  const isFlushed = check.flag(flush, 'options.flush');
  const { write, writev, fsync } = own?.isChanged() ? own.view : fs;
  const functions = own?.isChanged() ? own.view : { ...functionsOf(opener.at(path), given), write, writev };
  const stream = make(path, { ...NO_OPTIONS, ...others, fd: undefined, fs: functions });
  // Before Node 20.10 it has no such option.
  if (isFlushed) stream._final = (/** @type {(error?: unknown) => void} */ done) => fsync(stream.fd, done);
  return stream;
}

/** @param {Record<string, any>} options */
function isDraft(options) {
  const isAtomic = check.flag(options.atomic, 'options.atomic');
  return isAtomic || options.maxBytes != null || 'ifMatch' in options;
}

/** What is written at once at the most, in bytes: the calling thread copies it. */
const PART = 512 << 10;

/**
 * @param {Buffer} data
 * @param {(part: Buffer) => Promise<unknown>} write
 */
async function inParts(data, write) {
  for (let at = 0; at < data.length; at += PART) await write(data.subarray(at, at + PART));
}

/** What stands for the descriptor of a file that only its stream can write. */
const NO_DESCRIPTOR = -1;

/**
 * A stream whose file is complete when it finishes, or not there.
 *
 * @param {ReturnType<Opener['at']>} file
 * @param {any} path
 * @param {Record<string, any>} options
 * @param {Make} make
 * @returns {fs.WriteStream}
 */
function draftStream({ perform, at }, path, options, make) {
  const { atomic, flush, maxBytes, ifMatch, ...others } = options;
  const most = maxBytes == null ? Infinity : check.length(maxBytes, 'options.maxBytes');
  const flags = check.openFlags(options.flags, 'options.flags', W);
  const mode = options.mode == null ? undefined : check.modeOfNode(options.mode, 'options.mode');
  if (options.start !== undefined) {
    throw invalidValue('options.start', "cannot be with 'atomic' or 'maxBytes'", options.start);
  }
  if (atomic && (flags & ~O_EXCL) !== W) {
    throw invalidValue('options.atomic', "cannot be true unless 'flags' is 'w' or 'wx'", atomic);
  }
  const version = 'ifMatch' in options ? check.version(ifMatch, 'options.ifMatch') : undefined;
  if (version !== undefined && (!atomic || (flags & O_EXCL) !== 0)) {
    throw invalidValue('options.ifMatch', "takes 'atomic', and no 'wx'", ifMatch);
  }
  const isFlushed = check.flag(flush, 'options.flush');
  /** @type {Handle | undefined} */
  let writer;
  let isFinished = false;
  let written = 0;
  const ofWriter = (/** @type {(call: import('./call.js').Call, writer: Handle) => unknown} */ part) =>
    perform((call) => part(call, /** @type {Handle} */ (writer)));
  const file = {
    open(
      /** @type {any} */ _path,
      /** @type {any} */ _flags,
      /** @type {any} */ _mode,
      /** @type {Opened} */ opened,
    ) {
      if (options.signal?.aborted) return process.nextTick(opened, new AbortError(options.signal.reason));
      const handle = perform(({ native, root }) =>
        native.openWriter(root, at, flags, mode, atomic === true, isFlushed, version),
      );
      const kept = handle.then((made) => {
        writer = made;
        return NO_DESCRIPTOR;
      });
      inTurn(kept, opened);
    },
    write(
      /** @type {number} */ _fd,
      /** @type {Buffer} */ buffer,
      /** @type {number} */ offset,
      /** @type {number} */ length,
      /** @type {number} */ _position,
      /** @type {(error: unknown, written?: number, buffer?: Buffer) => void} */ done,
    ) {
      if (written + length > most) return process.nextTick(done, tooLarge(most));
      written += length;
      const data = buffer.subarray(offset, offset + length);
      inTurn(
        inParts(data, (part) =>
          ofWriter((call, writer) => call.native.writeChunk(call.root, writer, part, undefined)),
        ),
        (error) => (error === null ? done(null, length, buffer) : done(error)),
      );
    },
    close(/** @type {number} */ _fd, /** @type {(error?: unknown) => void} */ done) {
      if (isFinished || writer === undefined) return process.nextTick(done);
      inTurn(
        ofWriter((call, writer) => call.native.abortWriter(call.root, writer)),
        done,
      );
    },
  };
  const stream = make(path, { ...NO_OPTIONS, ...others, fd: undefined, fs: file });
  // A subclass may not replace `open`: only this writer has the file.
  stream.open = openOfNode;
  stream._final = (/** @type {(error?: unknown) => void} */ done) => {
    const finished = ofWriter((call, writer) => call.native.finishWriter(call.root, writer, undefined));
    inTurn(finished, (error) => {
      isFinished = error === null;
      done(error);
    });
  };
  return stream;
}

const { O_RDONLY, O_WRONLY, O_CREAT, O_TRUNC, O_EXCL } = fs.constants;
const W = O_WRONLY | O_CREAT | O_TRUNC;

/** @param {number} most */
const tooLarge = (most) =>
  coded(RangeError, 'ERR_FS_FILE_TOO_LARGE', `The file is longer than maxBytes, ${most} bytes`, tooLarge);

module.exports = { ReadStream, WriteStream, readStream, writeStream };
