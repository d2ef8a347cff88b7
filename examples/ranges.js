'use strict';
// A static server for ranges and conditional requests. What it tells of a file and what it sends come from one
// descriptor, whatever is renamed meanwhile, which is closed on every way out. Set `Content-Type` and the like before:
// without it a browser guesses, and may run what others have put there.
//
//   cd files && node ranges.js     then: curl -r 0-99 http://localhost:8080/name

const { Server } = require('node:http');
const { pipeline } = require('node:stream');
const { SandboxRoot } = require('..');

const HTTP = { EACCES: 403, ELOOP: 403, ENOENT: 404, ENOTDIR: 404, ENXIO: 404, ENAMETOOLONG: 414 };

// What RFC 9110 has the server answer: the code, the headers, and the first and the last byte to send.
function decide({ method, headers }, stat) {
  if (!stat.isFile() || !/^(GET|HEAD)$/.test(method)) return [stat.isFile() ? 405 : 404, {}];
  const ETag = `"${stat.ctimeMs}-${stat.size}"`;
  const { 'if-none-match': tags, 'if-modified-since': since, 'if-range': tag = ETag, range } = headers;
  const about = { ETag, 'Last-Modified': stat.mtime.toUTCString(), 'Accept-Ranges': 'bytes' };
  // A date in a header has no milliseconds.
  if (tags ? tags === '*' || tags.includes(ETag) : stat.mtime - Date.parse(since) < 1000) return [304, about];
  const [part, first, last] = (method === 'GET' && tag === ETag && /^bytes=(\d*)-(\d*)$/.exec(range)) || [];
  const start = first ? Number(first) : part ? Math.max(0, stat.size - last) : 0;
  const end = Math.min(first && last ? last : Infinity, stat.size - 1);
  if (part && start > end) return [416, { ...about, 'Content-Range': `bytes */${stat.size}` }];
  if (part) about['Content-Range'] = `bytes ${start}-${end}/${stat.size}`;
  return [part ? 206 : 200, { ...about, 'Content-Length': end - start + 1 }, start, end];
}

async function send(root, req, res) {
  const file = await root.promises.openHandle(decodeURIComponent(req.url.slice(1).split('?')[0]));
  const [status, headers, start, end] = decide(req, await file.stat());
  if (req.method === 'HEAD' || !(start <= end)) return res.writeHead(status, headers).end(await file.close());
  const content = file.createReadStream({ start, end });
  // The file became shorter: the rest of the answer will not come.
  content.once('end', () => content.bytesRead > end - start || res.destroy());
  pipeline(content, res.writeHead(status, headers), () => {});
}

module.exports = (root) => (req, res) =>
  send(root, req, res).catch(({ code, errno }) => res.writeHead(HTTP[code] ?? (errno ? 500 : 400)).end());

if (require.main === module) new Server(module.exports(new SandboxRoot('.'))).listen(8080, 'localhost');
