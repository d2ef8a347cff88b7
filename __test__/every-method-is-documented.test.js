'use strict';
// index.d.ts and README.md know the methods that there are, and no others.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { SandboxRoot } = require('..');

const textOf = (name) => fs.readFileSync(path.join(__dirname, '..', name), 'utf8');
const namesOf = (prototype) => Object.getOwnPropertyNames(prototype).filter((name) => name !== 'constructor');
const there = namesOf(SandboxRoot.prototype);

// The members that an interface or a class of index.d.ts declares, each once.
function declaredIn(opening) {
  const types = textOf('index.d.ts');
  const start = types.indexOf(`\n${opening} {\n`);
  assert.notStrictEqual(start, -1, opening);
  const body = types.slice(start, types.indexOf('\n}\n', start));
  return [...new Set(Array.from(body.matchAll(/^ {2}(?:get )?(\w+)\(/gm), ([, name]) => name))].filter(
    (name) => name !== 'constructor',
  );
}

const twice = declaredIn('interface Operations<Async extends boolean>');
const once = declaredIn('export class SandboxRoot');

test('index.d.ts declares what is there', () => {
  assert.deepStrictEqual([...twice, ...once].sort(), [...there].sort());
});

test('index.d.ts declares as promises what is there as promises', () => {
  const { promises } = new SandboxRoot(__dirname);
  const asPromises = [...twice, ...declaredIn('export interface SandboxPromises extends Operations<true>')];
  assert.deepStrictEqual(namesOf(Object.getPrototypeOf(promises)).sort(), asPromises.sort());
});

test('the README has every method in a table', () => {
  const cells = textOf('README.md')
    .match(/^\| `[^|]+/gm)
    .join();
  const named = (name) => new RegExp(`\`${name}[\`(]`).test(cells) || name === 'promises';
  assert.deepStrictEqual(
    there.filter((name) => !named(name)),
    [],
  );
});
