'use strict';
// The chart of the README: bars on a logarithmic scale, marks where the target and the floor are. No
// script, no font of its own, colours that a light and a dark page can both carry.

const WIDTH = 760;
const LABEL = 270;
const RIGHT = 60;
const ROW = 22;
const HEAD = 34;

const escaped = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

const STYLE = `
text { font: 12px system-ui, sans-serif; fill: #1f2328; }
.head { font-weight: 600; }
.dim { fill: #59636e; }
.grid { stroke: #d1d9e0; }
.one { stroke: #818b98; }
.holds { fill: #2da44e; }
.missed { fill: #d1742f; }
.plain { fill: #6e7781; }
.target { stroke: #cf222e; stroke-width: 2; }
.floor { stroke: #1f2328; stroke-width: 2; stroke-dasharray: 2 2; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .dim { fill: #9198a1; }
  .grid { stroke: #3d444d; }
  .target { stroke: #ff7b72; }
  .floor { stroke: #e6edf3; }
}`;

/** An SVG of `groups`: `{ title, bars: [{ label, ratio, target?, floor?, holds? }] }`, each from 1× to its ratio. */
function chart(title, subtitle, groups) {
  const ratios = groups.flatMap(({ bars }) =>
    bars.flatMap((bar) => [bar.ratio, bar.target, bar.floor].filter(Boolean)),
  );
  const low = Math.min(0.5, ...ratios) / 1.15;
  const high = Math.max(2, ...ratios) * 1.15;
  const scale = (x) => LABEL + ((WIDTH - LABEL - RIGHT) * Math.log(x / low)) / Math.log(high / low);
  const parts = [];
  let y = 58;
  for (const group of groups) {
    y += HEAD;
    parts.push(`<text class="head" x="0" y="${y - 9}">${escaped(group.title)}</text>`);
    for (const { label, ratio, holds, ...marks } of group.bars) {
      const kind = holds === undefined ? 'plain' : holds ? 'holds' : 'missed';
      const [from, to] = [scale(Math.min(1, ratio)), scale(Math.max(1, ratio))];
      parts.push(
        `<text x="${LABEL - 8}" y="${y + 14}" text-anchor="end">${escaped(label)}</text>`,
        `<rect class="${kind}" x="${from.toFixed(1)}" y="${y + 3}" width="${(to - from).toFixed(1)}" height="14"/>`,
        `<text class="dim" x="${WIDTH}" y="${y + 14}" text-anchor="end">${ratio.toPrecision(2)}×</text>`,
      );
      for (const mark of ['target', 'floor'].filter((one) => marks[one])) {
        const x = scale(marks[mark]).toFixed(1);
        parts.push(`<line class="${mark}" x1="${x}" x2="${x}" y1="${y}" y2="${y + 20}"/>`);
      }
      y += ROW;
    }
  }
  const height = y + 30;
  const ticks = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10].filter((x) => x >= low && x <= high);
  const grid = ticks.map((x) => {
    const at = scale(x).toFixed(1);
    const line = `<line class="${x === 1 ? 'one' : 'grid'}" x1="${at}" x2="${at}" y1="62" y2="${height - 22}"/>`;
    return `${line}<text class="dim" x="${at}" y="${height - 8}" text-anchor="middle">${x}×</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">
<title>${escaped(title)}</title>
<style>${STYLE}
</style>
<text class="head" x="0" y="18" style="font-size:15px">${escaped(title)}</text>
<text class="dim" x="0" y="38">${escaped(subtitle)}</text>
${[...grid, ...parts].join('\n')}
</svg>
`;
}

module.exports = { chart };
