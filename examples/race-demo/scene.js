'use strict';
// The scene of a round:
//
//   root/project/src/main.c
//   root/project/docs/precious-0001.txt …     exchanged with
//   root/project/elsewhere -> ../../outside   this symlink
//   outside/precious-0001.txt …               someone else's files
//
// Whoever may write beneath the root can make the symlink, and can give files in docs the names of
// files outside: then to delete one's own docs/precious-0001.txt is to aim at the other.

const fs = require('node:fs');
const path = require('node:path');

// How many files are written, and how many deleted, in a round.
const FILES = 500;

class Scene {
  // Paths as the victim gets them: relative to the root.
  static noteAt = (number) => `project/docs/${nameOf('note', number)}`;
  static preciousAt = (number) => `project/docs/${nameOf('precious', number)}`;

  constructor(folder) {
    this.root = path.join(folder, 'root');
    this.outside = path.join(folder, 'outside');
    this.project = path.join(this.root, 'project');
    this.docs = path.join(this.project, 'docs');
    this.link = path.join(this.project, 'elsewhere');
  }

  build() {
    fs.mkdirSync(path.join(this.project, 'src'), { recursive: true });
    fs.writeFileSync(path.join(this.project, 'src/main.c'), 'int main(void) { return 0; }\n');
    fs.mkdirSync(this.docs);
    fs.mkdirSync(this.outside);
    fs.symlinkSync('../../outside', this.link);
  }

  // Makes both folders what they are at the start of a round: every precious file, and nothing else.
  restock() {
    for (const folder of [this.docs, this.outside]) {
      const present = new Set(fs.readdirSync(folder));
      for (let number = 0; number < FILES; number++) {
        const note = nameOf('note', number);
        const precious = nameOf('precious', number);
        if (present.has(note)) fs.unlinkSync(path.join(folder, note));
        if (!present.has(precious)) fs.writeFileSync(path.join(folder, precious), 'precious\n');
      }
    }
  }
}

// What has happened to a folder since it was restocked.
function changesIn(folder) {
  const names = fs.readdirSync(folder);
  const precious = names.filter((name) => name.startsWith('precious-')).length;
  return { written: names.length - precious, deleted: FILES - precious };
}

const nameOf = (kind, number) => `${kind}-${String(number + 1).padStart(4, '0')}.txt`;

module.exports = { FILES, Scene, changesIn };
