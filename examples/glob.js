'use strict';
// Lists what matches a pattern such as `src/**/*.js`. What cannot hold a match is never entered, no symlink is
// followed, and neither a pattern nor a name can make it slow: all ways to match are tried at once.
//
//   node examples/glob.js directory '**/*.js'

const { SandboxRoot } = require('..');

/**
 * Where in a pattern one may be after `items`: `any` stands for any number of them, and `isSame` says whether
 * another part of the pattern stands for one item.
 */
function reached(pattern, items, any, isSame) {
  // At `any` one may go on at once.
  const open = (at) => {
    const all = [at];
    while (pattern[all[0]] === any) all.unshift(all[0] + 1);
    return all;
  };
  const after = (at, item) => {
    if (pattern[at] === any) return open(at);
    return at < pattern.length && isSame(pattern[at], item) ? open(at + 1) : [];
  };
  return items.reduce((places, item) => [...new Set(places.flatMap((at) => after(at, item)))], open(0));
}

const isChar = (wanted, char) => wanted === '?' || wanted === char;
const isName = (wanted, name) => reached([...wanted], [...name], '*', isChar).includes([...wanted].length);

/** Gives the entries of a root whose path matches: `*` and `?` within a name, `**` for any names. */
async function* glob(root, pattern, options = {}) {
  const names = pattern.split('/');
  const placesOf = ({ path }) => reached(names, path.split('/'), '**', isName);
  const filter = (entry) => placesOf(entry).length > 0;
  for await (const entry of root.walk('.', { ...options, filter })) {
    if (placesOf(entry).includes(names.length)) yield entry;
  }
}

module.exports = glob;

async function main(directory, pattern) {
  for await (const { path } of glob(new SandboxRoot(directory, { readonly: true }), pattern))
    console.log(path);
}

if (require.main === module) main(...process.argv.slice(2));
