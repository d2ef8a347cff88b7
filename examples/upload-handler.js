'use strict';
// An upload handler: the body of a PUT request becomes a file beneath a root, all of it or nothing.
//
//   node examples/upload-handler.js                   the demo: six uploads, and what is there then
//   node examples/upload-handler.js directory [port]  serves, until Ctrl-C
//
// The body goes into a file of its own in incoming/, however long it takes. Only when all of it is on
// the disk, one rename puts it in its place in files/. Nothing there is ever half a file: not for a
// reader, not after a crash, not when the client goes away.

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const querystring = require('node:querystring');
const { randomUUID } = require('node:crypto');
const { once } = require('node:events');
const { pipeline } = require('node:stream/promises');
const { SandboxRoot } = require('..');
const { inTemporaryFolder } = require('./temporary-folder.js');

class Uploads {
  constructor(directory, { maxBytes }) {
    const store = new SandboxRoot(directory);
    // What uploads left behind that were under way when the last process died.
    store.rm('incoming', true, true);
    store.mkdir('incoming');
    store.mkdir('files', true);
    // Two roots, so that no name that a client thinks up leads to incoming/.
    this.incoming = store.openRoot('incoming');
    this.files = store.openRoot('files');
    this.maxBytes = maxBytes;
    store.close();
  }

  // Comes back when `name` is there, on the disk. A name that leads out of files/ is refused before a
  // byte is read: by the kernel, whatever it is made of and whoever changes files/ meanwhile.
  async receive(name, body) {
    const { incoming, files } = this;
    const directory = path.posix.dirname(name);
    await files.promises.mkdir(directory, true);
    const part = randomUUID();
    const fd = await incoming.promises.open(part, 'wx');
    try {
      // The stream owns the descriptor, and closes it when it ends and when it fails.
      await pipeline(this.bounded(body), fs.createWriteStream(null, { fd }));
      await incoming.promises.fsync(part);
      await incoming.promises.rename(part, name, { to: files });
      await files.promises.fsync(directory);
    } finally {
      // Where the rename was done, there is nothing to remove.
      await incoming.promises.rm(part, false, true);
    }
  }

  async *bounded(body) {
    let bytes = 0;
    for await (const chunk of body) {
      bytes += chunk.length;
      if (bytes > this.maxBytes) throw Object.assign(new Error('too large'), { code: 'TOO_LARGE' });
      yield chunk;
    }
  }

  // Answers a request, whatever becomes of it.
  async handle(request, response) {
    let status = 201;
    try {
      if (request.method !== 'PUT') throw Object.assign(new Error('only PUT'), { code: 'NOT_PUT' });
      const name = querystring.unescape(request.url.slice(1));
      // The request is left open on failure: the answer goes the same way.
      await this.receive(name, request.iterator({ destroyOnReturn: false }));
    } catch (error) {
      status = STATUS[error.code] ?? 500;
      if (status === 500) console.error(error);
    }
    if (status !== 201) response.setHeader('Connection', 'close');
    response.writeHead(status).end(`${http.STATUS_CODES[status]}\n`);
  }
}

const STATUS = {
  NOT_PUT: 405,
  TOO_LARGE: 413,
  // Out of files/, through a symlink, or not allowed: no more is said.
  EACCES: 403,
  ELOOP: 403,
  // No name for a file; or a directory has it.
  ENOENT: 400,
  ENOTDIR: 400,
  EISDIR: 400,
  EBUSY: 400,
  // Part of the name is a file.
  EEXIST: 409,
  ENAMETOOLONG: 400,
  ERR_INVALID_ARG_VALUE: 400,
  ENOSPC: 507,
  EDQUOT: 507,
  // The client went away, and will not read this.
  ECONNRESET: 400,
  ERR_STREAM_PREMATURE_CLOSE: 400,
};

async function listen(uploads, port) {
  const server = http.createServer();
  // What the demo waits for: the end of the last request.
  server.on('request', (...exchange) => {
    server.handled = uploads.handle(...exchange);
  });
  await once(server.listen(port, '127.0.0.1'), 'listening');
  return server;
}

async function demo(folder) {
  fs.mkdirSync(path.join(folder, 'outside'));
  fs.mkdirSync(path.join(folder, 'store/files'), { recursive: true });
  fs.symlinkSync('../../outside', path.join(folder, 'store/files/elsewhere'));

  const uploads = new Uploads(path.join(folder, 'store'), { maxBytes: 1e6 });
  const server = await listen(uploads, 0);
  const put = async (name, body, { goesAway = false } = {}) => {
    const request = http.request({ port: server.address().port, method: 'PUT', path: `/${name}` });
    const answer = once(request, 'response').then(
      ([response]) => response.resume().statusCode,
      () => 'the client went away',
    );
    request.write(body);
    await once(server, 'request');
    if (goesAway) request.destroy();
    else request.end();
    await server.handled;
    console.log(`PUT /${name.padEnd(24)} ${await answer}`);
  };

  await put('reports/july.csv', 'day,visits\n'.repeat(50_000));
  await put('reports/july.csv/part', 'day,visits\n');
  await put('reports/august.csv', 'day,visits\n', { goesAway: true });
  await put('reports/all-years.csv', Buffer.alloc(1e6 + 1));
  await put('../../outside/escaped', 'gotcha\n');
  await put('elsewhere/escaped', 'gotcha\n');
  server.close();

  console.log('\nWhat is there now:');
  const all = new SandboxRoot(folder, { readonly: true });
  for (const name of all.readdir('.', { recursive: true }).sort()) {
    const { size, mode } = all.lstat(name);
    const isFile = (mode & fs.constants.S_IFMT) === fs.constants.S_IFREG;
    console.log(`  ${name}${isFile ? `  ${size} bytes` : ''}`);
  }
}

async function serve(directory, port = 8080) {
  const server = await listen(new Uploads(directory, { maxBytes: 100e6 }), Number(port));
  console.log(`curl -T some-file http://127.0.0.1:${server.address().port}/some/name`);
}

const [directory, port] = process.argv.slice(2);
if (directory) serve(directory, port);
else inTemporaryFolder(demo);
