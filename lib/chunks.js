'use strict';
// What a promise writes in chunks: long strings and views, and what comes bit by bit. The calling thread copies one
// chunk at a time, and the work can be stopped between two of them.

const { EventEmitter } = require('node:events');
const { checked, invalidType } = require('./errors.js');
const { spanOf } = require('./views.js');
const { stopIfAborted, unlessAborted } = require('./watch.js');

const { Buffer } = globalThis;
const { isView } = ArrayBuffer;
const { min } = Math;

/** The encodings in which a part of a string becomes a part of its bytes, whatever it is cut at. */
const CUT = ['latin1', 'binary', 'ascii', 'utf16le', 'utf-16le', 'ucs2', 'ucs-2'];

/** @typedef {import('./call.js').How} How */
/** @typedef {import('./call.js').Call} Call */

/**
 * What a write that is to be done in chunks is about.
 *
 * @typedef {object} Write
 * @property {string | Uint8Array} at
 * @property {any} data
 * @property {string} encoding of strings
 * @property {number} flags
 * @property {number | undefined} mode
 * @property {boolean} atomic
 * @property {boolean} flush
 * @property {BigUint64Array | undefined} version
 * @property {import('./watch.js').Watched | undefined} watching
 * @property {number} size of a chunk, in bytes
 */

/** @param {Write} write */
const inChunks = (write) => (/** @type {How} */ how) => writeInChunks(how, write);

/**
 * @param {How} how
 * @param {Write} write
 */
async function writeInChunks(
  { perform },
  { at, data, encoding, flags, mode, atomic, flush, version, watching, size },
) {
  const signal = watching?.signal;
  // By now the caller may do with the memory what it likes: what was there is known.
  const source = typeof data !== 'string' && isView(data) ? [spanOf(data)] : bits(data, signal);
  const writer = await perform(({ native, root }) =>
    native.openWriter(root, at, flags, mode, atomic, flush, version),
  );
  try {
    for await (const piece of source) {
      for (const chunk of chunks(piece, encoding, size)) {
        stopIfAborted(signal);
        await perform((call) => call.native.writeChunk(call.root, writer, chunk, call.follow(watching)));
      }
    }
    stopIfAborted(signal);
    await perform((call) => call.native.finishWriter(call.root, writer, call.follow(watching)));
  } catch (error) {
    await perform(({ native, root }) => native.abortWriter(root, writer));
    throw error;
  }
}

/** @typedef {import('./views.js').Span} Span */

/**
 * What is to be written, as it comes. A signal ends the wait for the next bit.
 *
 * @param {any} data
 * @param {AbortSignal | undefined} signal
 * @returns {AsyncGenerator<string | Span, void, void>}
 */
async function* bits(data, signal) {
  if (typeof data === 'string') {
    yield data;
    return;
  }
  let isOver = true;
  const iterator = iteratorOf(data);
  const next = async () => {
    isOver = true;
    const next = iterator.next();
    isOver = false;
    try {
      return await next;
    } catch (error) {
      isOver = true;
      throw error;
    }
  };
  try {
    for (;;) {
      const { done, value } = await unlessAborted(next(), signal);
      isOver = done;
      if (done) return;
      yield checked(bitOf, await unlessAborted(value, signal));
    }
  } finally {
    // It may be waiting for something that never comes: nobody waits for its end, and a stream is destroyed.
    if (!isOver) {
      void quietly(() => iterator.return?.());
      if (data instanceof EventEmitter && !isRequest(data)) {
        void quietly(() => /** @type {any} */ (data).destroy?.());
      }
    }
  }
}

/**
 * Whether a server got it: to destroy it would close the connection before the client is answered.
 *
 * @param {any} data
 */
const isRequest = (data) => data.statusCode === null && data instanceof require('node:http').IncomingMessage;

/**
 * What a source throws as it ends does not replace the error that led there.
 *
 * @param {() => unknown} end
 */
async function quietly(end) {
  try {
    await end();
  } catch {
    // See above.
  }
}

/**
 * @param {any} data
 * @returns {any}
 */
function iteratorOf(data) {
  if (typeof data.getReader === 'function') return iteratorOfStream(data.getReader());
  return data[Symbol.asyncIterator]?.() ?? data[Symbol.iterator]();
}

/**
 * That of a web stream itself ends behind what it waits for; a reader can be cancelled before.
 *
 * @param {ReadableStreamDefaultReader<unknown>} reader
 */
const iteratorOfStream = (reader) => ({
  async next() {
    try {
      const next = await reader.read();
      if (next.done) reader.releaseLock();
      return next;
    } catch (error) {
      reader.releaseLock();
      throw error;
    }
  },
  return() {
    const cancelled = reader.cancel();
    reader.releaseLock();
    return cancelled;
  },
});

/**
 * @param {unknown} value
 * @returns {string | Span}
 */
function bitOf(value) {
  if (typeof value === 'string') return value;
  if (isView(value)) return spanOf(value);
  throw invalidType('data', 'of type string or an instance of Buffer, TypedArray, or DataView', value);
}

/**
 * The same in chunks of `size` bytes at the most.
 *
 * @param {string | Span} data
 * @param {string} encoding
 * @param {number} size
 * @returns {Generator<string | ArrayBufferView, void, void>}
 */
function* chunks(data, encoding, size) {
  if (typeof data !== 'string') {
    const { buffer, byteOffset, byteLength } = data;
    // Of memory that is gone by now there is no such part: that throws.
    for (let at = 0; at < byteLength; at += size) {
      yield new Uint8Array(buffer, byteOffset + at, min(size, byteLength - at));
    }
    return;
  }
  const isText = encoding === 'utf8';
  if (!isText && !CUT.includes(encoding)) {
    yield* chunks(Buffer.from(data, /** @type {BufferEncoding} */ (encoding)), encoding, size);
    return;
  }
  // A character becomes three bytes at the most.
  const most = Math.floor(size / 3);
  for (let at = 0; at < data.length; ) {
    let end = min(at + most, data.length);
    // Never between the two halves of a character.
    if (end < data.length && (data.charCodeAt(end - 1) & 0xfc00) === 0xd800) end -= 1;
    const piece = data.slice(at, end);
    yield isText ? piece : Buffer.from(piece, /** @type {BufferEncoding} */ (encoding));
    at = end;
  }
}

module.exports = { inChunks };
