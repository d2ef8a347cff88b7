'use strict';
// A call that acts as the real user leaves its thread with the ids that the process has when it ends: those may
// have changed meanwhile, also for the threads of the pool.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { start } = require('./child');
const { folder, lateFuse, privately } = require('./mounts');
const { NOBODY } = require('./support');

const test = privately(__filename);

for (const method of ['access', 'exists']) {
  test(`who gives up being root during a promise of ${method} is root nowhere afterwards`, async (t) => {
    const fuse = await lateFuse(t, { entrySeconds: 0 });
    const dir = folder('secret');
    fs.writeFileSync(path.join(dir, 'secret'), 'of root', { mode: 0o600 });
    for (const at of [dir, path.dirname(dir)]) fs.chmodSync(at, 0o755);
    await fuse.delay('lookup', 700);
    const body = async (at, dir, method, uid) => {
      const root = new SandboxRoot(at);
      const began = performance.now();
      const asked = root.promises[method]('file').catch(({ code }) => code);
      await new Promise((resolve) => setTimeout(resolve, 200));
      process.seteuid(uid);
      await asked;
      const took = performance.now() - began;
      const tasks = fs.readdirSync('/proc/self/task');
      const ids = tasks.map((task) => {
        const status = fs.readFileSync(`/proc/self/task/${task}/status`, 'utf8');
        return Number(/Uid:\s+(.*)/.exec(status)[1].split('\t')[3]);
      });
      const reads = [];
      for (let i = 0; i < 8; i += 1)
        reads.push(
          fs.promises.readFile(`${dir}/secret`).then(
            () => 'read',
            ({ code }) => code,
          ),
        );
      return { waited: took > 500, ids: [...new Set(ids)], reads: [...new Set(await Promise.all(reads))] };
    };
    // Like a program that is setuid root.
    const wrap = ['setpriv', '--ruid', NOBODY, '--rgid', NOBODY, '--clear-groups'].map(String);
    const { result } = start(t, body, [fuse.at, dir, method, NOBODY], { wrap });
    const { value } = await result;
    await fuse.delay('all', 0);
    assert.deepStrictEqual(value, { waited: true, ids: [NOBODY], reads: ['EACCES'] });
  });
}
