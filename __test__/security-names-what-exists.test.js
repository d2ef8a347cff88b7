'use strict';
// SECURITY.md names tests, files and attackers: each of them exists, and the attackers' command runs them.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const top = path.join(__dirname, '..');
const text = fs.readFileSync(path.join(top, 'SECURITY.md'), 'utf8');
const attackers = fs.readFileSync(path.join(__dirname, 'attackers.txt'), 'utf8').trim().split('\n');

test('every source file that SECURITY.md names exists', () => {
  const named = [...text.matchAll(/`((?:src|lib|__test__)\/[\w./-]+)`/g)].map(([, file]) => file);
  assert.ok(named.length > 30);
  const missing = named.filter((file) => !fs.existsSync(path.join(top, file)));
  assert.deepStrictEqual([...new Set(missing)], []);
});

test('every test that SECURITY.md names exists', () => {
  // The last column of its tables.
  const cells = text.split('\n').flatMap((line) => line.match(/^\|.*\| ([^|]*) \|$/)?.[1] ?? []);
  const named = cells.flatMap((cell) =>
    [...cell.matchAll(/`([a-z]+(?:-[a-z]+)+)`/g)].map(([, name]) => name),
  );
  assert.ok(named.length > 40);
  const missing = named.filter((name) => !fs.existsSync(path.join(__dirname, `${name}.test.js`)));
  assert.deepStrictEqual([...new Set(missing)], []);
});

test('the command for the attackers runs every test that SECURITY.md lists as one', () => {
  const [, section] = text.split('## How it is attacked');
  const rows = section.split('\n## ')[0].split('\n');
  const named = rows.flatMap(
    (row) => row.match(/^\|.*\| ([^|]*) \|$/)?.[1].match(/[a-z]+(?:-[a-z]+)+/g) ?? [],
  );
  const left = named.filter((name) => !attackers.includes(`__test__/${name}.test.js`));
  assert.deepStrictEqual(left, []);
  for (const file of attackers) assert.ok(fs.existsSync(path.join(top, file)), file);
});
