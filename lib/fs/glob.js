'use strict';
// `glob` of the view: its directories are listed by the view, and `node:path` says what matches.

const { posix } = require('node:path');
const { coded, invalidType } = require('../errors.js');

/** @typedef {Record<string, any>} View */

/**
 * What is asked for, checked.
 *
 * @param {any} pattern
 * @param {any} options
 */
function queryOf(pattern, options) {
  const patterns = Array.isArray(pattern) ? pattern : [pattern];
  for (const one of patterns) {
    if (typeof one !== 'string')
      throw invalidType('pattern', 'of type string or an array of strings', pattern);
  }
  const { cwd = '/', exclude, withFileTypes = false } = options ?? {};
  const { matchesGlob } = /** @type {any} */ (posix);
  if (typeof matchesGlob !== 'function') {
    throw coded(
      Error,
      'ERR_METHOD_NOT_IMPLEMENTED',
      'The fs.glob() method needs path.matchesGlob()',
      queryOf,
    );
  }
  const plain = patterns.map((one) => posix.normalize(one).replace(/^\/+/, ''));
  const isAbsolute = patterns.map((one) => one.startsWith('/'));
  const deepest = Math.max(...plain.map(depthOf));
  // At the end `**` also stands for nothing.
  const all = plain.flatMap((one) => (one.endsWith('/**') ? [one, one.slice(0, -3)] : [one]));
  const matches = (/** @type {string} */ way) => all.some((one) => matchesGlob(way, one));
  const isExcluded = (/** @type {string} */ way, /** @type {any} */ entry) => {
    if (typeof exclude === 'function') return Boolean(exclude(withFileTypes ? entry : way));
    return Array.isArray(exclude) && exclude.some((one) => matchesGlob(way, one));
  };
  const top = isAbsolute.every(Boolean) ? '/' : `${cwd}`;
  // Node finds the directory itself, as a name.
  const includesTop = plain.includes('**') && !withFileTypes;
  return { top, deepest, includesTop, matches, isExcluded, withFileTypes };
}

/** How many levels a pattern can reach. */
const depthOf = (/** @type {string} */ pattern) =>
  pattern.includes('**') ? Infinity : pattern.split('/').length;

/** Lists directories, and says what matches: `list` gives the entries of one, or nothing if it cannot be listed. */
function* steps(/** @type {ReturnType<typeof queryOf>} */ query) {
  const { top, deepest, includesTop, matches, isExcluded, withFileTypes } = query;
  const ahead = [{ way: '', depth: 1 }];
  if (includesTop) yield { found: '.' };
  for (let next = ahead.pop(); next !== undefined; next = ahead.pop()) {
    const { way, depth } = next;
    /** @type {import('node:fs').Dirent[]} */
    const entries = yield { list: posix.join(top, way) };
    for (const entry of entries) {
      const at = way === '' ? entry.name : `${way}/${entry.name}`;
      if (isExcluded(at, entry)) continue;
      if (matches(at)) yield { found: withFileTypes ? entry : at };
      if (entry.isDirectory() && depth < deepest) ahead.push({ way: at, depth: depth + 1 });
    }
  }
}

/** What cannot be listed has nothing that matches. */
const OF_NOTHING = ['EACCES', 'ELOOP', 'ENOENT', 'ENOTDIR', 'EPERM'];

/**
 * @param {any} error
 * @returns {never[]}
 */
function noneFor(error) {
  if (OF_NOTHING.includes(error.code)) return [];
  throw error;
}

/**
 * @param {View} view
 * @param {any} pattern
 * @param {any} options
 */
function globSync(view, pattern, options) {
  const all = [];
  const going = steps(queryOf(pattern, options));
  let step = going.next();
  while (!step.done) {
    const { found, list } = /** @type {any} */ (step.value);
    if (found !== undefined) all.push(found);
    step = going.next(list === undefined ? undefined : listedBy(view, list));
  }
  return all;
}

/**
 * @param {View} view
 * @param {string} path
 */
function listedBy(view, path) {
  try {
    return view.readdirSync(path, { withFileTypes: true });
  } catch (error) {
    return noneFor(error);
  }
}

/**
 * @param {View} promises
 * @param {any} pattern
 * @param {any} options
 */
async function* glob(promises, pattern, options) {
  const going = steps(queryOf(pattern, options));
  let step = going.next();
  while (!step.done) {
    const { found, list } = /** @type {any} */ (step.value);
    if (found !== undefined) yield found;
    const listed =
      list === undefined ? undefined : promises.readdir(list, { withFileTypes: true }).catch(noneFor);
    step = going.next(await listed);
  }
}

module.exports = { glob, globSync };
