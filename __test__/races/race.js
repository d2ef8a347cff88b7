'use strict';
// How a row of the table is raced.

const assert = require('node:assert');

/**
 * Calls once. What came of it: 'real', 'link' (it was the symlink itself that was acted on), or the
 * code with which it was refused. Anything else is thrown.
 */
async function callOnce(row, place, root) {
  row.before?.(place);
  try {
    return judged(row, place, await row.call(root, place));
  } catch (error) {
    if (!isRefusal(row, error)) throw error;
    return error.code;
  } finally {
    row.tidy?.(place);
  }
}

/** Where nobody lacks a permission, EACCES has to be about the outside. */
function isRefusal({ refusals }, { code, message }) {
  return refusals.includes(code) && (code !== 'EACCES' || message.includes('outside of the sandbox'));
}

function judged(row, place, value) {
  try {
    row.told?.(value);
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
async function race(row, place, root, { calls, each, patience }) {
  const seen = { real: 0 };
  const end = performance.now() + patience;
  const isEnough = (made) => made >= calls && seen.real >= each && made - seen.real >= each;
  let made = 0;
  for (; !isEnough(made); made++) {
    const outcome = await callOnce(row, place, root);
    seen[outcome] = (seen[outcome] ?? 0) + 1;
    const isLate = made % 64 === 63 && performance.now() > end;
    assert.ok(!isLate, `both outcomes are seen, else this proves nothing: ${JSON.stringify(seen)}`);
  }
  return { calls: made, seen };
}

module.exports = { callOnce, race };
