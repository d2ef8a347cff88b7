'use strict';
// Servers on a view of a root: serve-handler gives files away, busboy and multer take them. None reads or writes
// outside, and an upload is whole or not there.

const assert = require('node:assert');
const fs = require('node:fs');
const http = require('node:http');
const { createHash } = require('node:crypto');
const { once } = require('node:events');
const { buffer } = require('node:stream/consumers');
const { promisify } = require('node:util');
const { pipeline } = require('node:stream/promises');
const { assertNoSecret, load, onView } = require('./clients/world.js');
const { until } = require('./examples/world.js');

/** Serves with `handler` while `body(send)` runs. */
async function serving(handler, body) {
  const server = http.createServer(handler);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address();
  const send = async (method, path, headers = {}, content = undefined) => {
    const request = http.request({ port, host: '127.0.0.1', method, path, headers, agent: false });
    request.end(content);
    const [response] = await once(request, 'response');
    const bytes = await buffer(response);
    return { status: response.statusCode, headers: response.headers, bytes, text: bytes.toString() };
  };
  try {
    await body(send);
  } finally {
    server.closeAllConnections?.();
    await new Promise((done) => server.close(done));
  }
}

// ---- serve-handler

const FILES = {
  'index.html': '<p>home',
  'digits.txt': '0123456789',
  dir: { 'deep.css': 'a{}', 'b.txt': 'b' },
};

/** A server of the view. It opens files that it then does not send, as for a 304: these are closed at the end. */
async function fileServer(view, config, body) {
  const handler = (await load('serve-handler')).default;
  const opened = [];
  const methods = {
    lstat: promisify(view.lstat),
    realpath: promisify(view.realpath),
    readdir: promisify(view.readdir),
    createReadStream(...args) {
      opened.push(view.createReadStream(...args));
      return opened.at(-1);
    },
  };
  const listener = (req, res) =>
    handler(req, res, { public: '/', ...config }, methods).catch((error) =>
      res.writeHead(500).end(error.message),
    );
  try {
    await serving(listener, body);
  } finally {
    for (const stream of opened) stream.destroy();
  }
}

onView('serve-handler answers from the view', { tree: FILES }, async ({ view }) => {
  await fileServer(view, { etag: true }, async (send) => {
    const home = await send('GET', '/');
    assert.deepStrictEqual([home.status, home.text], [200, '<p>home']);
    const whole = await send('GET', '/digits.txt');
    assert.deepStrictEqual([whole.status, whole.text], [200, '0123456789']);
    assert.match(whole.headers['content-type'], /^text\/plain/);
    const part = await send('GET', '/digits.txt', { Range: 'bytes=2-4' });
    assert.deepStrictEqual([part.status, part.text], [206, '234']);
    assert.strictEqual(part.headers['content-range'], 'bytes 2-4/10');
    assert.strictEqual((await send('GET', '/digits.txt', { Range: 'bytes=20-' })).status, 416);
    const again = await send('GET', '/digits.txt', { 'If-None-Match': whole.headers.etag });
    assert.deepStrictEqual([again.status, again.text], [304, '']);
    const listed = await send('GET', '/dir', { Accept: 'application/json' });
    assert.deepStrictEqual(
      JSON.parse(listed.text)
        .files.map(({ base, size }) => `${base} ${size}`)
        .sort(),
      ['.. undefined', 'b.txt 1 B', 'deep.css 3 B'],
    );
    assert.strictEqual((await send('GET', '/missing.txt')).status, 404);
  });
});

for (const symlinks of ['reject', 'beneath', 'in-root']) {
  onView(
    `serve-handler gives away nothing from outside (symlinks: '${symlinks}')`,
    { tree: FILES, symlinks },
    async ({ t, view, at, base, traps }) => {
      // It logs what it answers with 500.
      t.mock.method(console, 'error', () => {});
      traps('out', 'dir/out');
      fs.symlinkSync(`${base}/outside/secret`, at('file.txt'));
      const paths = [
        '/out/secret',
        '/out',
        '/dir/out-relative/sub/deep.js',
        '/dir/out/index.js',
        '/file.txt',
        '/file',
      ];
      const climbing = [
        '/../outside/secret',
        '/%2e%2e/outside/secret',
        '/..%2foutside/secret',
        `${base}/outside/secret`,
      ];
      // It follows links with this option.
      for (const followed of [false, true]) {
        await fileServer(view, { symlinks: followed }, async (send) => {
          for (const path of [...paths, ...climbing]) {
            const { status, text } = await send('GET', path);
            assertNoSecret(text);
            assert.ok(status >= 400, `${path}: ${status}`);
          }
          assertNoSecret((await send('GET', '/dir')).text);
        });
      }
    },
  );
}

// ---- busboy and multer

const LARGE = Buffer.alloc(300_000, 'x');

/** The body of a form with files. */
function formOf(files) {
  const boundary = 'the-boundary';
  const parts = files.flatMap(({ name, content }) => [
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\n`,
    'Content-Type: application/octet-stream\r\n\r\n',
    content,
    '\r\n',
  ]);
  const body = Buffer.concat([...parts, `--${boundary}--\r\n`].map((part) => Buffer.from(part)));
  return [{ 'Content-Type': `multipart/form-data; boundary=${boundary}` }, body];
}

const STREAM = { atomic: true, maxBytes: 400_000, flags: 'wx' };

/** Takes uploads with busboy: each file has the name that the client says, path and all. */
async function withBusboy(view) {
  const busboy = (await load('busboy')).default;
  return async (req, res) => {
    const form = busboy({ headers: req.headers, preservePath: true });
    const files = [];
    form.on('file', (_field, content, { filename }) => {
      files.push(
        pipeline(content, view.createWriteStream(`/uploads/${filename}`, STREAM)).catch(
          (error) => error.code,
        ),
      );
    });
    await pipeline(req, form).catch(() => {});
    res.end(JSON.stringify(await Promise.all(files)));
  };
}

/** Takes them with multer and a storage of its own. */
async function withMulter(view) {
  const multer = (await load('multer')).default;
  const codes = [];
  const storage = {
    _handleFile(_req, { originalname, stream }, done) {
      pipeline(stream, view.createWriteStream(`/uploads/${originalname}`, STREAM)).then(
        () => done(null, {}),
        (error) => {
          codes.push(error.code);
          done(null, {});
        },
      );
    },
    _removeFile: (_req, { path }, done) => view.unlink(path, done),
  };
  const take = promisify(multer({ storage, preservePath: true }).array('file'));
  return async (req, res) => {
    await take(req, res);
    res.end(JSON.stringify(codes.splice(0)));
  };
}

for (const [name, make] of Object.entries({ busboy: withBusboy, multer: withMulter })) {
  onView(
    `${name} writes uploads that are whole or not there`,
    { tree: { uploads: { there: 'old' } } },
    async ({ view, at }) => {
      await serving(await make(view), async (send) => {
        const files = [
          { name: 'small', content: 'small' },
          { name: 'empty', content: '' },
          { name: 'large', content: LARGE },
          { name: 'too large', content: Buffer.alloc(400_001) },
          { name: 'there', content: 'new' },
        ];
        const { text } = await send('POST', '/', ...formOf(files));
        const codes = JSON.parse(text).filter(Boolean).sort();
        assert.deepStrictEqual(codes, ['EEXIST', 'ERR_FS_FILE_TOO_LARGE']);
      });
      assert.deepStrictEqual(fs.readdirSync(at('uploads')).sort(), ['empty', 'large', 'small', 'there']);
      assert.strictEqual(fs.readFileSync(at('uploads/small'), 'utf8'), 'small');
      assert.strictEqual(fs.readFileSync(at('uploads/there'), 'utf8'), 'old');
      const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');
      assert.strictEqual(digest(fs.readFileSync(at('uploads/large'))), digest(LARGE));
    },
  );

  for (const symlinks of ['reject', 'beneath', 'in-root']) {
    onView(
      `${name} writes no upload outside (symlinks: '${symlinks}')`,
      { tree: { uploads: {} }, symlinks },
      async ({ view, at, base, traps }) => {
        traps('uploads/out');
        fs.symlinkSync(`${base}/outside/new`, at('uploads/new'));
        await serving(await make(view), async (send) => {
          const names = [
            'out/new',
            'out-relative/secret',
            '../../outside/secret',
            `..${base}/outside/new`,
            'new',
          ];
          const files = names.map((each) => ({ name: each, content: 'text' }));
          const codes = JSON.parse((await send('POST', '/', ...formOf(files))).text);
          assert.strictEqual(codes.filter(Boolean).length, names.length, `${codes}`);
        });
      },
    );
  }
}

onView('an upload that breaks off leaves nothing', { tree: { uploads: {} } }, async ({ view, at }) => {
  const take = await withBusboy(view);
  const [headers, body] = formOf([{ name: 'large', content: LARGE }]);
  let taking;
  const server = http.createServer((req, res) => {
    taking = take(req, res);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  try {
    const { port } = server.address();
    const options = { port, host: '127.0.0.1', method: 'POST', agent: false };
    const request = http.request({ ...options, headers: { ...headers, 'Content-Length': body.length } });
    request.on('error', () => {});
    request.write(body.subarray(0, body.length - 1000));
    await until(() => taking !== undefined, 'the request');
    request.destroy();
    await taking;
  } finally {
    await new Promise((done) => server.close(done));
  }
  assert.deepStrictEqual(fs.readdirSync(at('uploads')), []);
});
