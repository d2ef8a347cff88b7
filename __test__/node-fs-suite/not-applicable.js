'use strict';
// Test files of Node that cannot apply to the view, each with the reason. A file of which only a part is like that is
// among them, for it stops there.

const WATCH_FILE = 'tests fs.watchFile, which the view refuses';
const OPEN_AS_BLOB = 'tests fs.openAsBlob, which the view refuses';
const RECURSIVE = 'watches a tree, which the view refuses';
const FIFO = 'reads a FIFO, which a root refuses';
const MAGIC_LINK = 'opens /dev/stdin, a magic link of /proc, which a root refuses';
const DIRECTORY = 'changes the working directory: that of a view is its root';

/** By the name of the file. */
const NAMES = [
  [/^test-fs-(watchfile|watch-file|watch-stop|null-bytes|options-immutable)\b/, WATCH_FILE],
  [/^test-fs-watch-recursive/, RECURSIVE],
  [/^test-fs-openasblob/i, OPEN_AS_BLOB],
  [/^test-fs-read-stream\.js$/, FIFO],
  [/^test-fs-readfile(sync)?-pipe/, MAGIC_LINK],
  [/^test-fs-(mkdir|realpath)\.js$/, DIRECTORY],
];

/** By what is in the file. */
const CONTENTS = [
  [/--expose-internals|internalBinding|process\.binding/, "uses Node's internal modules"],
  [/--(experimental-)?permission\b/, "tests Node's permission model"],
];

/** Why a file does not apply, if it does not. */
function reasonOf(name, content) {
  const found =
    NAMES.find(([pattern]) => pattern.test(name)) ?? CONTENTS.find(([pattern]) => pattern.test(content));
  return found?.[1];
}

module.exports = { reasonOf };
