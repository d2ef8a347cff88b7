'use strict';
// `glob` of the view: its directories are listed by the view, and `node:path` says what matches.

const { posix } = require('node:path');
const { textOf } = require('../arguments.js');
const { coded, invalidType } = require('../errors.js');
const { pathOf } = require('./paths.js');

/** @typedef {Record<string, any>} View */

/**
 * What is asked for, checked: what begins at the root, and what begins at `cwd`.
 *
 * @param {any} pattern
 * @param {any} options
 */
function queriesOf(pattern, options) {
  const patterns = Array.isArray(pattern) ? pattern : [pattern];
  for (const one of patterns) {
    if (typeof one !== 'string') {
      throw invalidType('patterns', 'of type string or an array of strings', pattern);
    }
  }
  const { cwd = '/', exclude, withFileTypes = false } = Object.assign(Object.create(null), options);
  const { matchesGlob } = /** @type {any} */ (posix);
  if (typeof matchesGlob !== 'function') {
    throw coded(
      Error,
      'ERR_METHOD_NOT_IMPLEMENTED',
      'The fs.glob() method needs path.matchesGlob()',
      queriesOf,
    );
  }
  const isAbsolute = (/** @type {string} */ one) => one.startsWith('/');
  const isExcluded = (/** @type {string} */ way, /** @type {any} */ entry) => {
    if (typeof exclude === 'function') return Boolean(exclude(withFileTypes ? entry : way));
    return Array.isArray(exclude) && exclude.some((one) => matchesGlob(way, one));
  };
  return [
    queryOf(
      patterns.filter((one) => !isAbsolute(one)),
      textOf(pathOf(cwd, 'options.cwd')),
      '',
    ),
    queryOf(patterns.filter(isAbsolute), '/', '/'),
  ]
    .filter(({ plain }) => plain.length > 0)
    .map((query) => ({ ...query, isExcluded, withFileTypes }));
}

/**
 * @param {string[]} patterns
 * @param {string} top the directory where they begin
 * @param {string} before what stands before a result
 */
function queryOf(patterns, top, before) {
  const { matchesGlob } = /** @type {any} */ (posix);
  const plain = patterns.map((one) => posix.normalize(one).replace(/^\/+/, ''));
  const deepest = Math.max(...plain.map(depthOf));
  // At the end `**` also stands for nothing, and a slash for a directory.
  const all = plain.flatMap((one) => (one.endsWith('/**') ? [one, one.slice(0, -3)] : [one]));
  const matches = (/** @type {string} */ way, /** @type {boolean} */ isDirectory) =>
    all.some((one) => matchesGlob(way, one) || (isDirectory && matchesGlob(`${way}/`, one)));
  return { plain, top, before, deepest, matches };
}

/** How many levels a pattern can reach. */
const depthOf = (/** @type {string} */ pattern) =>
  pattern.includes('**') ? Infinity : pattern.split('/').length;

/** Lists directories, and says what matches: `list` gives the entries of one, or nothing if it cannot be listed. */
function* steps(/** @type {ReturnType<typeof queriesOf>} */ queries) {
  for (const query of queries) yield* stepsOf(query);
}

/** @param {ReturnType<typeof queriesOf>[number]} query */
function* stepsOf({ plain, top, before, deepest, matches, isExcluded, withFileTypes }) {
  const ahead = [{ way: '', depth: 1 }];
  // Node finds the directory itself, as a name.
  if (plain.includes('**') && !withFileTypes) yield { found: before || '.' };
  for (let next = ahead.pop(); next !== undefined; next = ahead.pop()) {
    const { way, depth } = next;
    /** @type {import('node:fs').Dirent[]} */
    const entries = yield { list: posix.join(top, way) };
    for (const entry of entries) {
      const at = way === '' ? entry.name : `${way}/${entry.name}`;
      if (isExcluded(at, entry)) continue;
      if (matches(at, entry.isDirectory())) yield { found: withFileTypes ? entry : before + at };
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
  const going = steps(queriesOf(pattern, options));
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
  const going = steps(queriesOf(pattern, options));
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
