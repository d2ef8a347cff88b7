'use strict';
// Calls that the caller waits for.

const { Call } = require('./call.js');
const { checked, errorOf, isFailure } = require('./errors.js');
const { native } = require('./native.js');
const { tellAtEnd } = require('./watch.js');

/** @typedef {import('./binding').Handle} Handle */
/** @typedef {import('./call.js').How} How */
/** @typedef {import('./call.js').Shown} Shown */

/**
 * What the caller gets for what a method returned: the answer of one native call, or what makes several.
 *
 * @param {Call} call
 * @param {unknown} answer
 */
function finished(call, answer) {
  if (isFailure(answer)) throw errorOf(native.failure(), checked, call.shown);
  if (typeof answer === 'function') return answer(howAt(call.root, call.shown));
  const { result, watched, watch } = call;
  const value = result === undefined ? answer : result(answer);
  if (watched && watch) tellAtEnd(watched, watch);
  return value;
}

/**
 * How a method makes several native calls.
 *
 * @param {Handle} root
 * @param {Shown | undefined} shown
 * @returns {How}
 */
const howAt = (root, shown) => ({
  perform(part, at = root) {
    const call = new Call(native.calls, at, undefined, shown);
    return finished(call, part(call));
  },
  go(steps) {
    let step = steps.next();
    while (!step.done) step = steps.next(step.value);
    return step.value;
  },
});

module.exports = { finished };
