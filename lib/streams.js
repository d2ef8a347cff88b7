'use strict';
// Node's own streams, on files that a root has opened.

const fs = require('node:fs');
const { coded, invalidValue } = require('./errors.js');
const check = require('./arguments.js');

const { ReadStream, WriteStream } = fs;
const { hasOwn } = Object;

/** @typedef {import('./binding').Handle} Handle */
/** @typedef {(error: unknown, fd?: number) => void} Opened */
/** @typedef {import('./opener.js').AnOpener} Opener */

/**
 * @param {unknown} options those of the stream, or an encoding
 * @returns {Record<string, any>}
 */
function optionsOf(options) {
  if (typeof options === 'string') return { encoding: options };
  // What is wrong with others is Node's to say.
  return typeof options === 'object' && options !== null ? options : /** @type {any} */ ({});
}

/**
 * @param {Opener} opener
 * @param {any} path
 * @param {any} [options]
 * @returns {fs.ReadStream}
 */
function readStream(opener, path, options) {
  const given = optionsOf(options);
  // One that has its file already opens none.
  if (given.fd != null) return newReadStream(path, options);
  const { read, close } = fs;
  return newReadStream(path, { ...given, fs: { open: openOf(opener.at(path)), read, close } });
}

/**
 * The options of a stream, with the functions that it is to call, unless the caller has passed some.
 *
 * @param {unknown} options those of the stream, or an encoding
 * @param {Record<string, any>} functions
 * @returns {any}
 */
function withFunctions(options, functions) {
  if (options == null || typeof options === 'function') return { fs: functions };
  if (typeof options === 'string') return { encoding: options, fs: functions };
  // What is wrong with others is Node's to say.
  if (typeof options !== 'object') return options;
  /** @type {Record<string, any>} */
  const given = {};
  // As with Node, inherited ones count.
  for (const key in options) given[key] = /** @type {Record<string, any>} */ (options)[key];
  // But whoever can change `Object.prototype` must not say how files are opened.
  if (!hasOwn(options, 'fs')) delete given.fs;
  // A `FileHandle` has functions of its own.
  if (typeof given.fd !== 'object' || given.fd === null) given.fs ||= functions;
  return given;
}

/**
 * Makes a stream of a view.
 *
 * @param {Opener} opener
 * @param {Record<string, any>} view
 * @param {any} path
 * @param {any} options
 * @param {(path: any, options: any) => fs.WriteStream} make
 */
function writeStreamOf(opener, view, path, options, make) {
  const given = withFunctions(options, view);
  if (given?.fs !== view || given.fd != null || !isDraft(given)) return make(path, given);
  const { fs: _, ...others } = given;
  return draftStream(opener.at(path), path, others, make);
}

/**
 * How a stream opens its file.
 *
 * @param {ReturnType<Opener['at']>} file
 */
const openOf =
  ({ at, perform }) =>
  (
    /** @type {any} */ _path,
    /** @type {any} */ flags,
    /** @type {any} */ mode,
    /** @type {Opened} */ opened,
  ) => {
    const how = check.openFlags(flags, 'options.flags', O_RDONLY);
    const made = check.modeOfNode(mode, 'options.mode', 0o666);
    perform(({ native, root }) => native.open(root, at, how, made)).then((fd) => opened(null, fd), opened);
  };

/** @type {(path: any, options: any) => fs.ReadStream} */
const newReadStream = (path, options) => Reflect.construct(ReadStream, [path, options]);
/** @type {(path: any, options: any) => fs.WriteStream} */
const newWriteStream = (path, options) => Reflect.construct(WriteStream, [path, options]);

/**
 * @param {Opener} opener
 * @param {any} path
 * @param {any} [options]
 * @returns {fs.WriteStream}
 */
function writeStream(opener, path, options) {
  const given = optionsOf(options);
  if (given.fd != null) return newWriteStream(path, options);
  const file = opener.at(path);
  if (isDraft(given)) return draftStream(file, path, given, newWriteStream);
  const { write, writev, close, fsync } = fs;
  return newWriteStream(path, { ...given, fs: { open: openOf(file), write, writev, close, fsync } });
}

/** @param {Record<string, any>} options */
function isDraft({ atomic, flush, maxBytes }) {
  const isAtomic = check.flag(atomic, 'options.atomic');
  return check.flag(flush, 'options.flush') || isAtomic || maxBytes != null;
}

/** What stands for the descriptor of a file that only its stream can write. */
const NO_DESCRIPTOR = -1;

/**
 * A stream whose file is complete when it finishes, or not there.
 *
 * @param {ReturnType<Opener['at']>} file
 * @param {any} path
 * @param {Record<string, any>} options
 * @param {(path: any, options: any) => fs.WriteStream} make
 */
function draftStream({ perform, at }, path, options, make) {
  const { atomic, flush, maxBytes, ...others } = options;
  const most = maxBytes == null ? Infinity : check.length(maxBytes, 'options.maxBytes');
  const flags = check.openFlags(options.flags, 'options.flags', W);
  const mode = options.mode == null ? undefined : check.modeOfNode(options.mode, 'options.mode');
  if (options.start !== undefined) {
    throw invalidValue('options.start', "cannot be with 'atomic', 'flush' or 'maxBytes'", options.start);
  }
  if (atomic && (flags & ~O_EXCL) !== W) {
    throw invalidValue('options.atomic', "cannot be true unless 'flags' is 'w' or 'wx'", atomic);
  }
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
      perform(({ native, root }) =>
        native.openWriter(root, at, flags, mode, atomic === true, flush === true, undefined),
      ).then((handle) => {
        writer = handle;
        opened(null, NO_DESCRIPTOR);
      }, opened);
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
      const chunk = buffer.subarray(offset, offset + length);
      ofWriter((call, writer) => call.native.writeChunk(call.root, writer, chunk, undefined)).then(
        () => done(null, length, buffer),
        (error) => done(error),
      );
    },
    close(/** @type {number} */ _fd, /** @type {(error?: unknown) => void} */ done) {
      if (isFinished || writer === undefined) return process.nextTick(done);
      ofWriter((call, writer) => call.native.abortWriter(call.root, writer)).then(() => done(), done);
    },
  };
  const stream = make(path, { ...others, fs: file });
  // No class that extends it may open the file another way.
  /** @type {any} */ (stream).open = /** @type {any} */ (WriteStream.prototype).open;
  stream._final = (done) => {
    ofWriter((call, writer) => call.native.finishWriter(call.root, writer, undefined)).then(() => {
      isFinished = true;
      done();
    }, done);
  };
  return stream;
}

const { O_RDONLY, O_WRONLY, O_CREAT, O_TRUNC, O_EXCL } = fs.constants;
const W = O_WRONLY | O_CREAT | O_TRUNC;

/** @param {number} most */
const tooLarge = (most) =>
  coded(RangeError, 'ERR_FS_FILE_TOO_LARGE', `The file is longer than maxBytes, ${most} bytes`, tooLarge);

module.exports = { readStream, withFunctions, writeStream, writeStreamOf };
