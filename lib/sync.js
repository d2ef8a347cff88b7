'use strict';
// Calls that the caller waits for.

const { Call } = require('./call.js');
const { checked, errorOf, isFailure } = require('./errors.js');
const { native } = require('./native.js');
const { tellAtEnd } = require('./watch.js');

/** @typedef {import('./call.js').How} How */

/**
 * What the caller gets for what a method returned: the answer of one native call, or what makes several.
 *
 * @param {Call} call
 * @param {unknown} answer
 */
function finished(call, answer) {
  if (isFailure(answer)) throw errorOf(native.failure(), checked, call.shown);
  if (typeof answer === 'function') return answer(howAt(call));
  const { result, watched, watch } = call;
  const value = result === undefined ? answer : result(answer);
  if (watched && watch) tellAtEnd(watched, watch);
  return value;
}

/**
 * How a method makes several native calls.
 *
 * @param {Call} call
 * @returns {How}
 */
const howAt = ({ root, self, shown }) => ({
  perform(part, at = root) {
    const call = new Call(native.calls, at, self, shown);
    return finished(call, part(call));
  },
  go(steps) {
    let step = steps.next();
    while (!step.done) step = steps.next(step.value);
    return step.value;
  },
});

module.exports = { finished };
