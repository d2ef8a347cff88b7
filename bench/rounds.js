'use strict';
// Measuring: ways of doing the same, in alternating rounds, and what is compared are the rounds.

const { hrtime } = process;

const WARM_UP = 2;
const LEAST_ROUNDS = 3;

/**
 * Goes through all `ways` `rounds` times, each time beginning with another one, after one round that does
 * not count. A way is `{ prepare?, run, clean? }`; `run` gives the nanoseconds of one unit. With `rounds`
 * it takes part in so many alone. After `patience` seconds no round begins, but that there are three.
 *
 * @returns for each way the nanoseconds of each round
 */
async function measure(ways, rounds, warmUp = WARM_UP, patience = Infinity) {
  const names = Object.keys(ways);
  const times = Object.fromEntries(names.map((name) => [name, []]));
  const end = performance.now() + 1000 * patience;
  for (let round = -warmUp; round < rounds; round += 1) {
    if (round >= LEAST_ROUNDS && performance.now() > end) break;
    for (let i = 0; i < names.length; i += 1) {
      const name = names[(i + round + warmUp) % names.length];
      const { prepare, run, clean, rounds: most = rounds } = ways[name];
      if (round >= most) continue;
      await prepare?.();
      const took = await run();
      await clean?.();
      if (round >= 0) times[name].push(took);
    }
  }
  return times;
}

/** What tells the time of calls that do not wait, in nanoseconds. */
let now = () => Number(hrtime.bigint() - begin);
const begin = hrtime.bigint();

/** Has them timed by another clock. */
function timeBy(clock) {
  now = clock;
}

/** The nanoseconds of one of `n` calls `call(subject, P[i], Q[i])`. */
function loop(call, subject, P, Q, n) {
  const start = now();
  for (let i = 0; i < n; i += 1) call(subject, P[i], Q[i]);
  return (now() - start) / n;
}

/** The same for calls that throw. */
function failingLoop(call, subject, P, Q, n) {
  const start = now();
  for (let i = 0; i < n; i += 1) {
    try {
      call(subject, P[i], Q[i]);
    } catch {}
  }
  return (now() - start) / n;
}

/** The same for promises, `flight` of them at a time. */
const promiseLoop = (flight) => async (call, subject, P, Q, n) => {
  const start = hrtime.bigint();
  if (flight === 1) {
    for (let i = 0; i < n; i += 1) await call(subject, P[i], Q[i]);
  } else {
    for (let i = 0; i < n; i += flight) {
      const flying = [];
      for (let j = i; j < Math.min(i + flight, n); j += 1) flying.push(call(subject, P[j], Q[j]));
      await Promise.all(flying);
    }
  }
  return Number(hrtime.bigint() - start) / n;
};

/** The nanoseconds that `work` takes. */
async function durationOf(work) {
  const start = hrtime.bigint();
  await work();
  return Number(hrtime.bigint() - start);
}

/** The nanoseconds for which all threads run while `work` does. */
function cpuTimeOf(work) {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) * 1e3;
}

/** The median and the quartiles. */
function spread(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part) => {
    const position = (sorted.length - 1) * part;
    const below = Math.floor(position);
    const above = sorted[Math.ceil(position)];
    return sorted[below] + (above - sorted[below]) * (position - below);
  };
  return { median: at(0.5), low: at(0.25), high: at(0.75) };
}

/** The spread of what `ours` took of what `theirs` took in the same round. */
const ratio = (ours, theirs) =>
  spread(
    Array.from({ length: Math.min(ours.length, theirs.length) }, (_, round) => ours[round] / theirs[round]),
  );

const geometricMean = (values) => Math.exp(values.reduce((sum, x) => sum + Math.log(x), 0) / values.length);

module.exports = {
  cpuTimeOf,
  durationOf,
  failingLoop,
  geometricMean,
  loop,
  measure,
  promiseLoop,
  ratio,
  spread,
  timeBy,
};
