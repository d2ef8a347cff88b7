'use strict';
// Loaded before a test file of Node: `fs` and `fs/promises`, as the file itself requires or imports them, are those of
// a view of the whole file system. Node's own code, and the helpers of its tests, keep the real ones.
//
// Some files name `./test/…`, for they are run in the source of Node. The working directory of the view is `/`: these
// paths are made absolute.

const Module = require('node:module');
const { writeFileSync } = require('node:fs');
const { createFs } = require('../../fs');

const { NODE_FS_SUITE_FILE: file, NODE_FS_SUITE_SOURCE: source, NODE_FS_SUITE_USED: used } = process.env;
const view = createFs('/', { symlinks: 'in-root' });
const GIVEN = { fs: view, 'fs/promises': view.promises };

/** What a name stands for, if it is one of both. */
function givenFor(request) {
  const given = GIVEN[`${request}`.replace(/^node:/, '')];
  if (given !== undefined) writeFileSync(used, '');
  return given;
}

const { _load: load } = Module;
Module._load = function (request, parent, ...rest) {
  const given = parent?.filename === file ? givenFor(request) : undefined;
  return given ?? load.call(this, request, parent, ...rest);
};

const { _compile: compile } = Module.prototype;
Module.prototype._compile = function (content, filename, ...rest) {
  const text = filename === file ? content.replaceAll("'./test/", `'${source}/test/`) : content;
  return compile.call(this, text, filename, ...rest);
};

// An import is resolved on another thread, to a module whose exports are those of the view.
if (file.endsWith('.mjs')) {
  const OF_VIEW = Symbol.for('node-fs-suite');
  globalThis[OF_VIEW] = givenFor;
  const urls = Object.fromEntries(
    Object.entries(GIVEN).map(([name, given]) => {
      const own = `globalThis[Symbol.for('node-fs-suite')]('${name}')`;
      const named = Object.keys(given).map((key) => `export const ${key} = own.${key};`);
      return [name, moduleOf(`const own = ${own}; export default own; ${named.join(' ')}`)];
    }),
  );
  const hooks = `
    import { pathToFileURL } from 'node:url';
    const urls = ${JSON.stringify(urls)};
    const file = pathToFileURL(${JSON.stringify(file)}).href;
    export async function resolve(specifier, context, next) {
      const url = context.parentURL === file ? urls[specifier.replace(/^node:/, '')] : undefined;
      return url === undefined ? next(specifier, context) : { url, format: 'module', shortCircuit: true };
    }
    export async function load(url, context, next) {
      const loaded = await next(url, context);
      if (url !== file) return loaded;
      return { ...loaded, source: String(loaded.source).replaceAll("'./test/", ${JSON.stringify(`'${source}/test/`)}) };
    }`;
  Module.register(moduleOf(hooks));
}

/** @param {string} source */
function moduleOf(source) {
  return `data:text/javascript,${encodeURIComponent(source)}`;
}
