'use strict';
// File systems of the bench's own, on loop devices, for what those at hand do not have. They are mounted
// for this process alone: however it ends, they and what they are in are gone with it.

const fs = require('node:fs');
const { spawnSync } = require('node:child_process');

const KINDS = {
  btrfs: ['mkfs.btrfs', '-q'],
  xfs: ['mkfs.xfs', '-q', '-m', 'reflink=1'],
  // With nothing left for the kernel to prepare when it is mounted.
  ext4: ['mkfs.ext4', '-q', '-E', 'lazy_itable_init=0,lazy_journal_init=0'],
};
/** More than XFS asks for. It takes no more room than what is written. */
const SIZE = 512 << 20;

const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };

function run(command, ...args) {
  const { error, status, stderr } = spawnSync(command, args, { env, encoding: 'utf8' });
  if (error?.code === 'ENOENT') throw new Error(`needs ${command}`);
  if (error || status !== 0)
    throw error ?? new Error(`${command} failed: ${stderr.trim().split('\n', 1)[0]}`);
}

/** Why nothing can be mounted here; `undefined` if it can. To be asked before there are other threads. */
function whyNot(floor) {
  if (process.geteuid() !== 0) return 'needs root to mount';
  try {
    floor.mountPrivately();
  } catch (error) {
    return `may not mount: ${error.message}`;
  }
}

/** A new file system of this kind in the directory `dir`: where it is, and what forgets all that is cached of it. */
function mounted(kind, dir) {
  const [images, at] = [`${dir}/images`, `${dir}/mounted`];
  for (const made of [images, at]) fs.mkdirSync(made);
  // An image beneath the mount that it keeps busy would be there for ever.
  run('mount', '-t', 'tmpfs', 'tmpfs', images);
  const image = `${images}/${kind}`;
  fs.writeFileSync(image, '');
  fs.truncateSync(image, SIZE);
  run(...KINDS[kind], image);
  const mount = () => run('mount', '-o', 'loop', image, at);
  mount();
  return {
    base: at,
    forget() {
      run('umount', at);
      mount();
    },
  };
}

/** Unmounts what is mounted in `dir`, as far as it is. */
function unmount(dir) {
  for (const at of ['mounted', 'images'])
    spawnSync('umount', ['--lazy', `${dir}/${at}`], { env, stdio: 'ignore' });
}

module.exports = { KINDS, mounted, unmount, whyNot };
