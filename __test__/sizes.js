'use strict';
// How much the tests try: little by default, much with OPENAT2_FULL=1, and then they say how far they are.

const FULL = process.env.OPENAT2_FULL === '1';

/** A counter of `what`: in full size it tells on standard error how many of `total` are done. */
function progress(what, total) {
  // Looked up before anything is measured: the first look opens a descriptor.
  const { stderr } = process;
  let done = 0;
  let told = Date.now();
  return (more = 1) => {
    done += more;
    if (!FULL || (Date.now() - told < 5000 && done < total)) return;
    told = Date.now();
    stderr.write(`${what}: ${done} of ${total}\n`);
  };
}

module.exports = { FULL, progress };
