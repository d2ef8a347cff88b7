'use strict';
// Gets the tests of Node from the source package `nodejs` of the distribution, by apt, with directories of its own:
// nothing on the machine is changed.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

/** The distribution's list of its packages. */
const SOURCES = '/etc/apt/sources.list.d/debian.sources';
const NEEDED = ['test/common', 'test/fixtures', 'test/parallel/test-fs-*', 'src/node_version.h'];

/** Unpacks the tests beneath `dir`, and says where; nothing, if there is no apt that has them. */
function fetchSource(dir) {
  if (!fs.existsSync(SOURCES)) return undefined;
  for (const name of ['lists/partial', 'archives/partial', 'source']) {
    fs.mkdirSync(path.join(dir, name), { recursive: true });
  }
  const sources = path.join(dir, 'list.sources');
  fs.writeFileSync(sources, fs.readFileSync(SOURCES, 'utf8').replace(/^Types:.*$/gm, 'Types: deb-src'));
  const options = {
    'Dir::Etc::sourcelist': sources,
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State::lists': path.join(dir, 'lists'),
    'Dir::Cache': dir,
  };
  const given = Object.entries(options).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  const run = (command, ...args) => spawnSync(command, args, { cwd: dir, stdio: ['ignore', 2, 2] });
  run('apt-get', ...given, 'update');
  // What the distribution adds to the source may be missing in a mirror: the source itself is enough.
  run('apt-get', ...given, 'source', '--download-only', 'nodejs');
  const archive = fs.readdirSync(dir).find((name) => /^nodejs_.*\.orig\.tar\.\w+$/.test(name));
  if (archive === undefined) return undefined;
  const patterns = NEEDED.map((name) => `*/${name}`);
  const how = ['-C', 'source', '--strip-components=1', '--wildcards'];
  const { status } = run('tar', '-xf', archive, ...how, ...patterns);
  return status === 0 ? path.join(dir, 'source') : undefined;
}

module.exports = { fetchSource };
