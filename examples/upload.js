'use strict';
// Uploads: `PUT /path` streams a body of at most `limit` bytes into a file, which appears whole or not at all.
// A request has to say how long its body is. The directory has to be there. Errors become HTTP codes.
//
//   cd uploads && node upload.js     then: curl -T some-file http://localhost:8080/name

const { Server } = require('node:http');
const { SandboxRoot } = require('..');

const HTTP = { EACCES: 403, ELOOP: 403, ENOENT: 404, EISDIR: 409, ENOTDIR: 409, ENAMETOOLONG: 414 };

async function put(root, limit, req) {
  if (req.method !== 'PUT') return 405;
  if (!(req.headers['content-length'] <= limit)) return req.headers['content-length'] ? 413 : 411;
  await root.promises.writeFile(decodeURIComponent(req.url.slice(1).split('?')[0]), req, { atomic: true });
}

module.exports = (root, limit) => async (req, res) => {
  // An error without `errno` comes from no system call: the path is malformed, or the client went away.
  const status = await put(root, limit, req).catch(({ code, errno }) => HTTP[code] ?? (errno ? 500 : 400));
  res.writeHead(status ?? 201, status ? { Connection: 'close' } : {}).end();
};

if (require.main === module) new Server(module.exports(new SandboxRoot('.'), 1e9)).listen(8080, 'localhost');
