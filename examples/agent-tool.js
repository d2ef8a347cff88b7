'use strict';
// A file tool for a language model: it reads, writes, edits, lists and deletes beneath a root. The model replaces
// only a version that it has read, and every error that it can mend becomes a sentence that says what to do.
//
//   echo '{"name":"list","input":{"path":"."}}' | node agent-tool.js

const { json } = require('node:stream/consumers');
const { posix } = require('node:path');
const { SandboxRoot } = require('..');

const ADVICE = {
  outside: 'The path leads out of the workspace. Use a relative path without "..".',
  symlink: 'The path leads through a symbolic link, which is not followed. List the directory.',
  special: 'This is a pipe, a socket or a device, not a file.',
  EEXIST: 'A file is there already. Read it, and pass the version that you got.',
  ESTALE: 'The file has changed since you read it. Read it again, and repeat the change.',
  ENOENT: 'Nothing is there. List the directory to see what is.',
  EISDIR: 'This is a directory. List it, or name a file in it.',
  ERR_FS_FILE_TOO_LARGE: 'The file is too large to read.',
  ERR_ENCODING_INVALID_ENCODED_DATA: 'The file is not text in UTF-8.',
};

/** Gives a function that does what a model asks for, `{ name, input }`. It answers an object, also of what failed. */
module.exports = ({ promises: files }, { maxBytes = 1e5, maxEntries = 1000 } = {}) => {
  const tools = {
    async read({ path }) {
      // The version comes first: if the file changes now, the model cannot replace it with that version.
      const { version } = await files.stat(path, { version: true });
      const bytes = await files.readFile(path, { maxBytes });
      return { version, content: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) };
    },
    async write({ path, content, version }) {
      const condition = version == null ? { flag: 'wx' } : { ifMatch: version };
      // Where that fails, writing says better why.
      await files.mkdir(posix.dirname(path), true).catch(() => {});
      await files.writeFile(path, content, { atomic: true, ...condition });
      return { written: path };
    },
    async edit({ path, before, after }) {
      const { version, content } = await tools.read({ path });
      const at = content.indexOf(before);
      if (at === -1 || at !== content.lastIndexOf(before)) throw new Error('"before" has to be there once.');
      const parts = [content.slice(0, at), after, content.slice(at + before.length)];
      return tools.write({ path, content: parts, version });
    },
    async list({ path }) {
      const all = await files.readdir(path, { withFileTypes: true });
      const entries = all.slice(0, maxEntries).map(({ name, type }) => ({ name, type }));
      return { total: all.length, entries };
    },
    delete: ({ path }) => files.remove(path).then(() => ({ deleted: path })),
  };
  return async ({ name, input }) => {
    try {
      if (!Object.hasOwn(tools, name)) throw new Error('There is no such tool.');
      return await tools[name](input ?? {});
    } catch (error) {
      return { error: ADVICE[error.reason] ?? ADVICE[error.code] ?? error.message };
    }
  };
};

const main = async (call) => console.log(await module.exports(new SandboxRoot('.'))(call));
if (require.main === module) json(process.stdin).then(main);
