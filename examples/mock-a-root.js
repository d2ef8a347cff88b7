// @ts-check
'use strict';
// Types and mocks: a function that says which methods of a root it needs, and its tests. What can be tried on a real
// root in a temporary folder needs no mock; a mock makes it fail as a disk would, or stands for a root altogether.
//
//   node --test examples/mock-a-root.js

const assert = require('node:assert');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');
const { SandboxRoot } = require('..');

/** @typedef {import('..').SystemError} SystemError */
/** @typedef {Pick<import('..').SandboxPromises, 'mkdir' | 'writeFile'>} Files what the function needs of a root */

/**
 * Saves a note, and tells whether there was room for it.
 *
 * @param {{ promises: Files }} root
 * @param {string} name
 * @param {string} text
 */
async function saveNote({ promises }, name, text) {
  try {
    await promises.mkdir('notes', true);
    await promises.writeFile(`notes/${name}`, text, { atomic: true });
    return true;
  } catch (error) {
    if (/** @type {SystemError} */ (error).code === 'ENOSPC') return false;
    throw error;
  }
}

module.exports = saveNote;

/**
 * An error as a root throws it.
 *
 * @param {string} code
 * @param {Partial<SystemError>} [rest]
 */
const systemError = (code, rest) => Object.assign(new Error(code), { code, ...rest });

/** @param {import('node:test').TestContext} t */
function temporaryRoot(t) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'notes-'));
  const root = new SandboxRoot(directory);
  t.after(() => {
    root.close();
    fs.rmSync(directory, { recursive: true });
  });
  return root;
}

function tests() {
  test('a note is saved: a real root', async (t) => {
    const root = temporaryRoot(t);
    assert.strictEqual(await saveNote(root, 'one', 'text'), true);
    assert.strictEqual(root.readFile('notes/one', 'utf8'), 'text');
    await assert.rejects(saveNote(root, '../../one', 'text'), { code: 'EACCES', reason: 'outside' });
  });

  test('a full disk is reported: a real root, of which one method fails', async (t) => {
    const root = temporaryRoot(t);
    t.mock.method(root.promises, 'writeFile', async () => {
      throw systemError('ENOSPC');
    });
    assert.strictEqual(await saveNote(root, 'one', 'text'), false);
    assert.deepStrictEqual(root.readdir('notes'), []);
  });

  test('other errors are thrown: no root at all', async (t) => {
    const mkdir = t.mock.fn(async () => undefined);
    const writeFile = t.mock.fn(async () => {
      throw systemError('ELOOP', { reason: 'symlink' });
    });
    await assert.rejects(saveNote({ promises: { mkdir, writeFile } }, 'one', 'text'), { reason: 'symlink' });
    assert.deepStrictEqual(
      mkdir.mock.calls.map((call) => call.arguments),
      [['notes', true]],
    );
  });
}

if (require.main === module) tests();
