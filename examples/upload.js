'use strict';
// Uploads: `PUT /path` streams a body of at most `maxBytes` bytes into a file, which appears whole or not at all.
// The directory has to be there. Errors become HTTP codes.
//
//   cd uploads && node upload.js     then: curl -T some-file http://localhost:8080/name

const { Server } = require('node:http');
const { finished } = require('node:stream/promises');
const { SandboxRoot } = require('..');

const HTTP = { EACCES: 403, ELOOP: 403, ENOENT: 404, EISDIR: 409, ENOTDIR: 409, ENAMETOOLONG: 414 };
HTTP.ERR_FS_FILE_TOO_LARGE = 413;

async function put(root, maxBytes, req, [path] = req.url.slice(1).split('?')) {
  if (req.method !== 'PUT') return 405;
  const file = root.createWriteStream(decodeURIComponent(path), { atomic: true, maxBytes });
  // Not a pipeline: that would destroy the request, and with it the answer.
  await finished(req.once('error', (error) => file.destroy(error)).pipe(file));
}

module.exports = (root, maxBytes) => async (req, res) => {
  // Another error without `errno` comes from no system call: the path is malformed, or the client went away.
  const status = await put(root, maxBytes, req).catch(({ code, errno }) => HTTP[code] ?? (errno ? 500 : 400));
  res.writeHead(status ?? 201, status ? { Connection: 'close' } : {}).end();
};

if (require.main === module) new Server(module.exports(new SandboxRoot('.'), 1e9)).listen(8080, 'localhost');
