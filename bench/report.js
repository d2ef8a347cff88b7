'use strict';
// What was measured, as rows, and how it is printed.

const { chart } = require('./chart');
const { TARGETS, isAbout, targetOf } = require('./targets');
const { geometricMean, ratio, spread } = require('./rounds');

const AGAINST = {
  floor: 'the floor',
  fs: 'node:fs',
  GNU: 'GNU',
  safe: 'fs-safe',
  other: 'the other build',
  '1 MiB': '1 MiB',
};

/** `fs, Node 20` is that of another Node than this one. */
const versus = (against) => {
  const [who, ...which] = against.split(',');
  return [AGAINST[who] ?? who, ...which].join();
};

const FLOORS = ['floor', 'floor, on another thread', 'floor, 2 threads', 'floor, 4 threads'];

const rounded = (x) => Number(x.toPrecision(3));

/** The least of what the floors of a row take of what the other takes. */
const least = (row) => Math.min(...FLOORS.filter((floor) => floor in row).map((floor) => row[floor]));

/** `row` with its target, whether that holds, and if not, whether the floor misses it too. */
function judged(row, atMost, measured) {
  const holds = measured <= atMost;
  const beyond = !holds && least(row) > atMost && Number.isFinite(least(row));
  return { ...row, target: atMost, holds, ...(beyond && { beyond }) };
}

/** The rows of one measurement: ours against each of the others, and the floor against these. */
function rowsOf({ table, operation, place, times, unit, values }) {
  const judge = (row) => {
    const target = targetOf(row);
    return target ? judged(row, target.atMost, row.median) : row;
  };
  if (values !== undefined) {
    const { median, low, high } = spread(values);
    const row = { table, operation, place, against: 'nothing', unit };
    return [judge({ ...row, median: rounded(median), low: rounded(low), high: rounded(high) })];
  }
  return Object.keys(times)
    .filter((against) => against !== 'ours' && !against.startsWith('floor, '))
    .map((against) => {
      const { median, low, high } = ratio(times.ours, times[against]);
      const numbers = { median: rounded(median), low: rounded(low), high: rounded(high) };
      return judge({ table, operation, place, against, ...numbers, ...floorsOf(times, against) });
    });
}

/** What the floors, if they were measured, take of what `against` takes: there is no getting below that. */
function floorsOf(times, against) {
  const floors = FLOORS.filter((floor) => floor in times && floor !== against && against !== 'floor');
  return Object.fromEntries(
    floors.map((floor) => [floor, rounded(ratio(times[floor], times[against]).median)]),
  );
}

/** The targets that are geometric means, for each place, and the same means of the floor. */
function meansOf(rows) {
  return TARGETS.filter((target) => target.mean).flatMap((target) => {
    const about = rows.filter((row) => isAbout(target, row));
    return [...new Set(about.map(({ place }) => place))].map((place) => {
      const here = about.filter((row) => row.place === place);
      const mean = rounded(geometricMean(here.map(({ median }) => median)));
      const floors = here.every(({ floor }) => floor) && {
        floor: rounded(geometricMean(here.map(({ floor }) => floor))),
      };
      return judged({ what: target.what, place, of: here.length, mean, ...floors }, target.atMost, mean);
    });
  });
}

/** What a row, or a mean, is about. */
const nameOf = ({ place, table, operation, against }) =>
  [place, table && `${table}:`, operation, table && place && `(${versus(against)})`]
    .filter(Boolean)
    .join(' ');

/** For each target, how many of its rows hold, how many not even the floor reaches, and the worst. */
function summaryOf(rows, means) {
  return TARGETS.map((target) => {
    const about = target.mean
      ? means.filter(({ what }) => what === target.what)
      : rows.filter((row) => targetOf(row) === target);
    const value = (row) => row.median ?? row.mean;
    const worst = about.reduce((a, b) => (a && value(a) >= value(b) ? a : b), null);
    const { what, atMost, unit } = target;
    return {
      what,
      target: atMost,
      unit: unit ?? 'x',
      rows: about.length,
      hold: about.filter(({ holds }) => holds).length,
      beyond: about.filter(({ beyond }) => beyond).length,
      worst: worst && value(worst),
      ...(worst && { worstIs: nameOf(worst) }),
      ...(worst && Number.isFinite(least(worst)) && { floor: least(worst) }),
    };
  });
}

const number = (x, unit = 'x') =>
  `${x >= 100 ? Math.round(x) : x.toFixed(2)}${unit === 'x' ? 'x' : ` ${unit}`}`;

const verdict = ({ holds, beyond }) => (holds ? 'holds' : beyond ? 'BEYOND' : 'MISSED');

const floorsText = (row) =>
  FLOORS.filter((floor) => row[floor])
    .map((floor) => `${floor}: ${number(row[floor])}`)
    .join('; ');

function line(row) {
  const { place, table, operation, against, median, low, high, target, unit } = row;
  const what = `${operation}`.padEnd(24) + (unit ? '' : versus(against)).padEnd(22);
  const how = `${number(median, unit).padStart(9)}  ${`${number(low, unit)} – ${number(high, unit)}`.padEnd(20)}`;
  const judgement = target === undefined ? '' : `at most ${number(target, unit).padEnd(8)} ${verdict(row)}`;
  const start = `${(place ?? '').padEnd(6)} ${table.padEnd(24)} ${what}${how}${judgement.padEnd(26)}`;
  return `${start}${floorsText(row)}`.trimEnd();
}

function growthLine({ what, unit, place, reference, points, flat }) {
  const of = (who) => points.map((point) => `${point.at}: ${number(point[who])}`).join(', ');
  const state = flat ? 'flat or linear' : 'GROWS';
  return `${place.padEnd(6)} ${what}, per ${unit}: ${state}\n         ours  ${of('ours')}\n         ${reference}  ${of('reference')}`;
}

function summaryLine({ what, target, unit, rows, hold, beyond, worst, worstIs, floor }) {
  const start = `${what}: at most ${number(target, unit)}`;
  if (rows === 0) return `-       ${start}; not measured`;
  const state = verdict({ holds: hold === rows, beyond: hold + beyond === rows });
  const below = floor === undefined ? '' : `, where the floor takes ${number(floor)}`;
  const others = beyond > 0 ? `, ${beyond} beyond` : '';
  return `${state.padEnd(7)} ${start}; ${hold} of ${rows} hold${others}, worst ${number(worst, unit)}${below}, ${worstIs}`;
}

function print({ rows, missing, means, growth, summary, notes, partial }) {
  const log = console.log;
  log('Medians of ratios in alternating rounds (ours / theirs), with their quartiles.\n');
  for (const row of rows) log(line(row));
  for (const { table, operation, place, why } of missing)
    log(`${place.padEnd(6)} ${table.padEnd(24)} ${operation.padEnd(24)}not measured: ${why}`);
  if (means.length > 0) log('\nGeometric means');
  for (const mean of means) {
    const { what, place, of, target } = mean;
    const start = `${place.padEnd(6)} ${what}: ${number(mean.mean)} of ${of} rows`;
    log(`${start}, at most ${number(target)} ${verdict(mean)}  ${floorsText(mean)}`.trimEnd());
  }
  if (growth.length > 0) log('\nHow cost grows: relative to the smallest size');
  for (const curve of growth) log(growthLine(curve));
  log('\nTargets (BEYOND: the floor misses it too)');
  for (const one of summary) {
    if (one.rows > 0 || rows.length === 0 || !partial) log(summaryLine(one));
  }
  for (const note of notes) log(`\nNote: ${note}`);
}

/** One row a line: it is committed, and is to be read. */
function json(results) {
  const lines = (list) => `[\n${list.map((one) => `    ${JSON.stringify(one)}`).join(',\n')}\n  ]`;
  const value = (x) => (Array.isArray(x) && x.length > 0 ? lines(x) : JSON.stringify(x));
  const entries = Object.entries(results).map(([key, x]) => `  ${JSON.stringify(key)}: ${value(x)}`);
  return `{\n${entries.join(',\n')}\n}\n`;
}

/** What the chart shows: of the table of targets what can be said in a bar. */
function chartOf({ node, kernel, fileSystems, rows, means }) {
  const [place] = Object.keys(fileSystems);
  const here = rows.filter((row) => row.place === place);
  const bar = (label, ratio, { target, holds, ...floors }) => ({
    label,
    ratio,
    target,
    holds,
    ...(Number.isFinite(least(floors)) && { floor: least(floors) }),
  });
  const mean = (label, about) => {
    const medians = here.filter(about).map(({ median }) => median);
    return medians.length > 0 && { label, ratio: geometricMean(medians) };
  };
  const one = (label, table, operation, against) => {
    const row = here.find((r) => r.table === table && r.operation === operation && r.against === against);
    return row && bar(label, row.median, row);
  };
  const oneByNode = (label, operation) => {
    const others = here.filter((row) => row.operation === operation && row.against.startsWith('fs, '));
    return [
      one(label, 'tree', operation, 'fs'),
      ...others.map((row) => bar(`${label}${row.against.slice('fs'.length)}`, row.median, row)),
    ];
  };
  const targeted = (label, what) => {
    const found = means.find((m) => m.what === what && m.place === place);
    return found && bar(label, found.mean, found);
  };
  const table = (name, against) => (row) => row.table === name && row.against === against;
  const [, deep, , inRoot] = TARGETS.map(({ what }) => what);
  const groups = [
    {
      title: 'Synchronous calls against node:fs (means)',
      bars: [
        targeted('three levels deep', deep),
        targeted('directly in a root', inRoot),
        mean('that fail (ENOENT)', table('failing call', 'fs')),
      ],
    },
    {
      title: 'Promises against fs.promises',
      bars: [
        one('stat', 'promise', 'stat', 'fs'),
        one('stat, 64 in flight', '64 promises', 'stat', 'fs'),
        mean('all, one at a time (mean)', table('promise', 'fs')),
        mean('all, 64 in flight (mean)', table('64 promises', 'fs')),
      ],
    },
    {
      title: 'Trees and content',
      bars: [
        ...oneByNode('rm -r, against fs.rmSync', 'rm -r'),
        one('rm -r, against rm -rf', 'tree', 'rm -r', 'GNU'),
        ...oneByNode('cp -r, against fs.cpSync', 'cp -r'),
        one('cp -r, against GNU cp -r', 'tree', 'cp -r', 'GNU'),
        ...oneByNode('readdir, against fs.readdirSync', 'readdir'),
        one('readdir, against find', 'tree', 'readdir', 'GNU'),
        one('readFile 64 MiB', 'content', 'readFile 64 MiB', 'fs'),
        one('copyFile 64 MiB', 'content', 'copyFile 64 MiB', 'fs'),
      ],
    },
    {
      title: 'Against fs-safe',
      bars: [mean('everything that it has (mean)', ({ against }) => against === 'safe')],
    },
  ];
  const shown = groups.map(({ title, bars }) => ({ title, bars: bars.filter(Boolean) }));
  const where = `${fileSystems[place]}, Node ${node.slice(1)}, Linux ${kernel.split('-', 1)[0]}`;
  return chart(
    'Time that @cocalc/openat2 takes, relative to others',
    `Left of 1× is faster; red marks are targets, dotted ones the floor. Medians of alternating rounds on ${where}.`,
    shown.filter(({ bars }) => bars.length > 0),
  );
}

module.exports = { chartOf, json, meansOf, print, rowsOf, summaryOf };
