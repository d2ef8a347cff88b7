'use strict';
// The same two operations, in two ways. Each takes a path relative to the root.

const fs = require('node:fs');
const path = require('node:path');
const { SandboxRoot } = require('../..');

// The way careful programs do it today. The check is right, and too early: between it and the use,
// a directory on the way can become a symlink.
class CheckThenUse {
  static title = 'node:fs';

  constructor(root) {
    this.root = root;
  }

  write(file, text) {
    fs.writeFileSync(this.checked(file), text);
  }

  remove(file) {
    fs.unlinkSync(this.checked(file));
  }

  checked(file) {
    const parent = fs.realpathSync(path.join(this.root, path.dirname(file)));
    if (parent !== this.root && !parent.startsWith(this.root + path.sep)) {
      throw Object.assign(new Error(`EACCES: outside of the root, '${file}'`), { code: 'EACCES' });
    }
    return path.join(parent, path.basename(file));
  }
}

// The way of this package. There is nothing to check: the kernel walks the path and stays beneath.
class Sandboxed {
  static title = 'SandboxRoot';

  constructor(root) {
    this.root = new SandboxRoot(root);
  }

  write(file, text) {
    const fd = this.root.openWrite(file, true);
    try {
      fs.writeSync(fd, text);
    } finally {
      fs.closeSync(fd);
    }
  }

  remove(file) {
    this.root.unlink(file);
  }
}

module.exports = { CheckThenUse, Sandboxed };
