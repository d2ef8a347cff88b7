'use strict';
// A file that says it is empty, and gives bytes for as long as one reads: a copy of it ends, and can be
// stopped. /proc/self/pagemap is one: eight bytes for each page that a process could have.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('..');
const { FULL } = require('./sizes');
const { memory, sandbox, settled } = require('./support');

const ENDLESS = 'pagemap';
/** The part in which it is noticed is copied to its end. */
const MOST = 2 ** 31;
/** A copy that has come so far does not end by itself. */
const TOO_FAR = MOST + (64 << 20);

const skip = !isEndless() && `needs a /proc/self/${ENDLESS} that may be read`;

function isEndless() {
  try {
    const fd = fs.openSync(`/proc/self/${ENDLESS}`);
    const isOne = fs.fstatSync(fd).size === 0 && fs.readSync(fd, Buffer.alloc(8)) === 8;
    fs.closeSync(fd);
    return isOne;
  } catch {
    return false;
  }
}

const room = fs.statfsSync(memory);
const skipWhole = skip || (room.bavail * room.bsize < 2 * TOO_FAR && 'needs 4 GiB of memory for files');

const CALLS = {
  copyFile: (from, to, how) => from.promises.copyFile(ENDLESS, 'copy', undefined, { to, ...how }),
  cp: (from, to, how) => from.promises.cp(ENDLESS, 'copy', { to, ...how }),
  'copyFile of every byte': (from, to, how) =>
    from.promises.copyFile(ENDLESS, 'copy', undefined, { to, reflink: 'never', ...how }),
};

/** Calls, and looks every now and then how long the copy is: `tooFar` stops it. */
async function watched(t, call) {
  const { root: to, dir } = sandbox(t, { other: 'other' }, memory);
  const from = new SandboxRoot('/proc/self');
  const controller = new AbortController();
  let length = 0;
  const look = setInterval(() => {
    for (const name of fs.readdirSync(dir))
      length = Math.max(length, fs.lstatSync(path.join(dir, name), { throwIfNoEntry: false })?.size ?? 0);
    if (length > TOO_FAR) controller.abort(new Error('it does not end'));
  }, 20);
  const { error } = await settled(call(from, to, { signal: controller.signal }));
  clearInterval(look);
  from.close();
  return { error, length, left: fs.readdirSync(dir) };
}

for (const [what, call] of Object.entries(CALLS).slice(0, FULL ? undefined : 1)) {
  test(`${what} of a file that never ends fails with EFBIG, and leaves nothing`, {
    skip: skipWhole,
  }, async (t) => {
    const { error, length, left } = await watched(t, call);
    assert.strictEqual(error?.code, 'EFBIG', `${error?.message}, after ${length} bytes`);
    assert.ok(length <= MOST, `${length} bytes were copied`);
    assert.deepStrictEqual(left, ['other']);
  });
}

for (const [what, call] of Object.entries(CALLS)) {
  test(`a signal stops ${what} of a file that never ends, and nothing is left`, { skip }, async (t) => {
    const { root: to, dir } = sandbox(t, {}, memory);
    const from = new SandboxRoot('/proc/self');
    const began = performance.now();
    const { error } = await settled(call(from, to, { signal: AbortSignal.timeout(50) }));
    const lasted = performance.now() - began;
    from.close();
    assert.ok(error !== undefined && lasted < 3000, `${error?.name} after ${lasted} ms`);
    assert.deepStrictEqual(fs.readdirSync(dir), []);
  });
}

test('readFile of a file that never ends fails where maxBytes is reached', { skip }, async () => {
  const from = new SandboxRoot('/proc/self');
  const wrong = { code: 'ERR_FS_FILE_TOO_LARGE' };
  assert.throws(() => from.readFile(ENDLESS, { maxBytes: 1 << 20 }), wrong);
  await assert.rejects(from.promises.readFile(ENDLESS, { maxBytes: 1 << 20 }), wrong);
  from.close();
});
