'use strict';
// Node's own streams, on files that a root has opened.

const fs = require('node:fs');
const { coded, invalidValue } = require('./errors.js');
const check = require('./arguments.js');

const { ReadStream, WriteStream } = fs;

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
 * @param {object} [into] an object of a class that extends Node's
 * @returns {fs.ReadStream}
 */
function readStream(opener, path, options, into) {
  const given = optionsOf(options);
  // One that has its file already opens none.
  if (given.fd != null) return streamOf(ReadStream, into, path, options);
  const { read, close } = fs;
  const file = { open: openOf(opener.at(path)), read, close };
  return streamOf(ReadStream, into, path, { ...given, fs: file });
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

/**
 * A stream of Node's class, or of one that extends it.
 *
 * @param {any} Stream
 * @param {object | undefined} into
 * @param {any} path
 * @param {any} options
 */
function streamOf(Stream, into, path, options) {
  if (into === undefined) return new Stream(path, options);
  Reflect.apply(Stream, into, [path, options]);
  return /** @type {any} */ (into);
}

/**
 * @param {Opener} opener
 * @param {any} path
 * @param {any} [options]
 * @param {object} [into] an object of a class that extends Node's
 * @returns {fs.WriteStream}
 */
function writeStream(opener, path, options, into) {
  const given = optionsOf(options);
  if (given.fd != null) return streamOf(WriteStream, into, path, options);
  const { atomic, flush, maxBytes } = given;
  const isAtomic = check.flag(atomic, 'options.atomic');
  const isDraft = isAtomic || check.flag(flush, 'options.flush') || maxBytes != null;
  const file = opener.at(path);
  if (isDraft) return draftStream(file, path, given, into);
  const { write, writev, close, fsync } = fs;
  const own = { open: openOf(file), write, writev, close, fsync };
  return streamOf(WriteStream, into, path, { ...given, fs: own });
}

/** What stands for the descriptor of a file that only its stream can write. */
const NO_DESCRIPTOR = -1;

/**
 * A stream whose file is complete when it finishes, or not there.
 *
 * @param {ReturnType<Opener['at']>} file
 * @param {any} path
 * @param {Record<string, any>} options
 * @param {object} [into]
 * @returns {fs.WriteStream}
 */
function draftStream({ perform, at }, path, options, into) {
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
  /** @type {fs.WriteStream} */
  const stream = streamOf(WriteStream, into, path, { ...others, fs: file });
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

module.exports = { readStream, writeStream };
