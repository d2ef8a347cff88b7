'use strict';
// Runs Node's own tests of `fs` on the view: `npm run test:node-fs -- DIR [NAME]`, where DIR is the source of Node,
// unpacked, and NAME is a part of the name of a file; without DIR the source comes by apt. The Node that runs them is
// one of the source's major version. Each file runs on `node:fs` first: what fails there says nothing about the view.

const { execFile, execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { nodeOf } = require('../../nodes');
const { fetchSource } = require('./fetch');
const { reasonOf } = require('./not-applicable');

const PRELOAD = path.join(__dirname, 'on-the-view.js');
const LIMIT_MS = 120_000;
/** At once. */
const SEVERAL = 2;

/** The flags that a test file asks for. */
const flagsOf = (file) =>
  (/^\/\/ Flags: (.*)$/m.exec(fs.readFileSync(file, 'utf8'))?.[1] ?? '').split(/\s+/).filter(Boolean);

/** A Node of the version of the source, or the one that runs this if the source does not say its version. */
function nodeFor(source) {
  const header = path.join(source, 'src/node_version.h');
  if (!fs.existsSync(header)) return process.execPath;
  const major = /NODE_MAJOR_VERSION (\d+)/.exec(fs.readFileSync(header, 'utf8'))[1];
  return process.version.startsWith(`v${major}.`) ? process.execPath : nodeOf(Number(major));
}

/** Runs a test file in a directory of its own. */
function run(node, file, onTheView) {
  const dir = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'node-fs-'));
  const source = path.resolve(file, '../../..');
  const used = path.join(dir, 'used');
  const of = {
    NODE_FS_SUITE_USED: used,
    NODE_TEST_DIR: dir,
    NODE_FS_SUITE_FILE: file,
    NODE_FS_SUITE_SOURCE: source,
  };
  const env = { ...process.env, ...of, NODE_TEST_CONTEXT: undefined };
  if (onTheView) env.NODE_OPTIONS = `--require=${PRELOAD}`;
  // That of the view is `/`: a path that a test makes relative to it leads to the same place in both.
  const cwd = onTheView ? '/' : source;
  const how = { env, cwd, timeout: LIMIT_MS, killSignal: 'SIGKILL', maxBuffer: 1 << 26 };
  return new Promise((resolve) => {
    const child = execFile(node, [...flagsOf(file), file], how, (error, stdout, stderr) => {
      const isUsed = fs.existsSync(used);
      fs.rmSync(dir, { recursive: true, force: true });
      const skipped = /^1\.\.0 # Skipped: (.*)$/m.exec(stdout)?.[1];
      const output = stdout + stderr;
      resolve({
        ok: error === null,
        isUsed,
        skipped,
        output: error?.killed ? `${output}\ntook too long` : output,
      });
    });
    child.stdin.end();
  });
}

async function verdictOf(node, file, only) {
  const name = path.basename(file);
  const why = only === undefined ? reasonOf(name, fs.readFileSync(file, 'utf8')) : undefined;
  if (why !== undefined) return { name, why };
  const plain = await run(node, file, false);
  if (!plain.ok) return { name, why: 'fails with node:fs here', output: plain.output };
  if (plain.skipped !== undefined) return { name, why: `skips itself: ${plain.skipped}` };
  const { ok, isUsed, output } = await run(node, file, true);
  return isUsed ? { name, ok, output } : { name, why: 'calls no function of fs itself' };
}

async function main([given, only]) {
  const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'node-source-'));
  process.on('exit', () => fs.rmSync(temporary, { recursive: true, force: true }));
  const source = given ?? fetchSource(temporary);
  const node = source && nodeFor(source);
  if (!node || !fs.existsSync(path.join(source, 'test/parallel'))) {
    console.error('usage: npm run test:node-fs -- DIR [NAME]');
    console.error('DIR: the source of Node, unpacked, of a major version that `npm run setup:nodes` fetches');
    process.exitCode = 2;
    return;
  }
  const dir = fs.realpathSync(path.join(source, 'test/parallel'));
  const all = fs.readdirSync(dir).sort();
  const files = all.filter((name) => /^test-fs-.*\.m?js$/.test(name) && (!only || name.includes(only)));
  const ahead = files.map((name) => path.join(dir, name)).reverse();
  const verdicts = [];
  const worker = async () => {
    for (let file = ahead.pop(); file !== undefined; file = ahead.pop())
      verdicts.push(await verdictOf(node, file, only));
  };
  await Promise.all(Array.from({ length: SEVERAL }, worker));
  verdicts.sort((a, b) => (a.name < b.name ? -1 : 1));
  const left = verdicts.filter(({ why }) => why !== undefined);
  const passed = verdicts.filter(({ why, ok }) => why === undefined && ok);
  const failed = verdicts.filter(({ why, ok }) => why === undefined && !ok);
  for (const { name, why, output } of left) {
    console.log(`not applicable: ${name}: ${why}`);
    if (only && output) console.log(output);
  }
  for (const { name, output } of failed) {
    console.log(`failed: ${name}\n${output.trimEnd().slice(-4000).replace(/^/gm, '    ')}`);
  }
  const of = passed.length + failed.length;
  const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
  console.log(`\nNode ${version}: ${files.length} files, ${of} apply`);
  console.log(`passed: ${passed.length}; failed: ${failed.length}; not applicable: ${left.length}`);
  for (const { name } of failed) console.log(`failed: ${name}`);
  if (passed.length < 0.9 * of) process.exitCode = 1;
}

main(process.argv.slice(2));
