'use strict';
// How a row of the table is raced.

const assert = require('node:assert');

/**
 * Calls once. What came of it: 'real', 'link' (it was the symlink itself that was acted on), or the
 * code with which it was refused. Anything else is thrown.
 */
function callOnce(row, place, root) {
  try {
    return judged(row, place, row.call(root, place));
  } catch (error) {
    if (!row.refusals.includes(error.code)) throw error;
    return error.code;
  } finally {
    row.tidy?.(place);
  }
}

function judged(row, place, value) {
  try {
    return row.judge(place, value) ?? 'real';
  } catch (error) {
    throw new assert.AssertionError({
      message: `${row.title} did not act inside: ${error.message}`,
      operator: 'judge',
    });
  }
}

/**
 * Calls while the attacker is at work, until there were `calls` calls and each outcome was seen
 * `each` times. A row in which only one outcome is ever seen proves nothing, and fails.
 */
function race(row, place, root, { calls, each, patience }) {
  const seen = { real: 0 };
  const end = performance.now() + patience;
  const isEnough = (made) => made >= calls && seen.real >= each && made - seen.real >= each;
  let made = 0;
  for (; !isEnough(made); made++) {
    const outcome = callOnce(row, place, root);
    seen[outcome] = (seen[outcome] ?? 0) + 1;
    const isLate = made % 64 === 63 && performance.now() > end;
    assert.ok(!isLate, `both outcomes are seen, else this proves nothing: ${JSON.stringify(seen)}`);
  }
  return { calls: made, seen };
}

module.exports = { callOnce, race };
