'use strict';
// The two examples that answer requests, upload.js and ranges.js: good ones, hostile ones, and clients that go away.

const assert = require('node:assert');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const { once } = require('node:events');
const { buffer } = require('node:stream/consumers');
const upload = require('../../examples/upload.js');
const ranges = require('../../examples/ranges.js');
const { trying, until } = require('./world.js');
const { fifo, plant } = require('../support.js');

const DAY = 86_400_000;

/** Serves with `handler` while `body(send, port)` runs. `send` takes the path as it is, and gives the answer. */
async function serving(handler, body) {
  const server = http.createServer({ keepAliveTimeout: 120_000 }, handler);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address();
  const send = async (method, path, { headers, body: content } = {}) => {
    const request = http.request({ port, host: '127.0.0.1', method, path, headers, agent: false });
    request.end(content);
    const [response] = await once(request, 'response');
    const answer = await buffer(response);
    return { status: response.statusCode, headers: response.headers, text: answer.toString() };
  };
  try {
    await body(send, port);
  } finally {
    server.closeAllConnections?.();
    await new Promise((done) => server.close(done));
  }
}

/** Sends bytes as they are, and gives all that comes back. */
async function raw(port, bytes) {
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.end(bytes);
  return (await buffer(socket)).toString();
}

trying('upload.js answers as it should', async ({ root, dir, at }) => {
  plant(dir, { a: 'a', dir: { b: 'b' } });
  const put = (path, body) => [path, body];
  const cases = [
    [...put('/new', 'text'), 201],
    [...put('/dir/b', 'other'), 201],
    [...put('/empty', Buffer.alloc(0)), 201],
    [...put('/with%20space?query', 'text'), 201],
    // A link is replaced itself.
    [...put('/secret', 'mine'), 201],
    [...put('/limit', 'x'.repeat(100)), 201],
    [...put('/more', 'x'.repeat(101)), 413],
    [...put('/a/b', 'text'), 409],
    [...put('/dir', 'text'), 409],
    [...put('/dir/', 'text'), 409],
    [...put('/.', 'text'), 409],
    [...put('/', 'text'), 404],
    [...put('/missing/b', 'text'), 404],
    [...put('/out/b', 'text'), 403],
    [...put('/../b', 'text'), 403],
    [...put('/..%2fb', 'text'), 403],
    [...put('/%2e%2e/b', 'text'), 403],
    [...put('/dir/../b', 'text'), 403],
    [...put('//etc/b', 'text'), 403],
    [...put('/%zz', 'text'), 400],
    [...put('/a%00b', 'text'), 400],
    [...put(`/${'n'.repeat(300)}`, 'text'), 414],
  ];
  await serving(upload(root, 100), async (send, port) => {
    for (const [path, body, status] of cases) {
      const headers = { 'Content-Length': body.length };
      const answer = await send('PUT', path, { body, headers });
      assert.deepStrictEqual([path, answer.status, answer.text], [path, status, '']);
    }
    for (const method of ['GET', 'HEAD', 'POST', 'DELETE'])
      assert.strictEqual((await send(method, '/a', { headers: { 'Content-Length': 0 } })).status, 405);
    const chunked = { 'Transfer-Encoding': 'chunked' };
    const long = { headers: chunked, body: 'x'.repeat(101) };
    assert.strictEqual((await send('PUT', '/chunked', { headers: chunked, body: 'text' })).status, 201);
    assert.strictEqual((await send('PUT', '/a', long)).status, 413);
    // A length that is not the one of the body never gets to the handler.
    const both = 'PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n';
    assert.match(await raw(port, `${both}5\r\nhello\r\n0\r\n\r\n`), /^HTTP\/1.1 400 /);
  });
  const texts = Object.fromEntries(
    ['a', 'new', 'dir/b', 'secret'].map((name) => [name, root.readFile(name, 'utf8')]),
  );
  assert.deepStrictEqual(texts, { a: 'a', new: 'text', 'dir/b': 'other', secret: 'mine' });
  assert.deepStrictEqual(
    fs.readdirSync(at()).sort(),
    ['a', 'chunked', 'dir', 'empty', 'limit', 'new', 'out', 'secret', 'with space'].sort(),
  );
});

trying('upload.js leaves nothing of a client that goes away', async ({ root, dir }) => {
  plant(dir, { old: 'old' });
  const before = root.readdir('.').sort();
  for (const name of ['old', 'new']) {
    let seen;
    const handler = upload(root, 1e7);
    await serving(
      (req, res) => {
        seen = req;
        handler(req, res);
      },
      async (_, port) => {
        const socket = net.connect(port, '127.0.0.1');
        socket.write(
          `PUT /${name} HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(300_000)}`,
        );
        await until(() => seen?.socket.bytesRead > 300_000 && seen.readableLength === 0, 'half of the body');
        assert.deepStrictEqual(root.readdir('.').sort(), before);
        socket.destroy();
        await until(() => seen.destroyed, 'the end of the request');
      },
    );
  }
  assert.deepStrictEqual(root.readdir('.').sort(), before);
  assert.strictEqual(root.readFile('old', 'utf8'), 'old');
});

trying('upload.js answers also when writing fails amid the body', async ({ root }) => {
  const controller = new AbortController();
  const { signal } = controller;
  const createWriteStream = (name, options) => root.createWriteStream(name, { ...options, signal });
  await serving(upload({ createWriteStream }, 1e7), async (_, port) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.write('PUT /name HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nhalf');
    setTimeout(() => controller.abort(), 50);
    assert.match((await buffer(socket)).toString(), /^HTTP\/1.1 400 /);
  });
  assert.ok(!root.exists('name'));
});

trying('ranges.js answers as RFC 9110 says', async ({ root, dir, at }) => {
  plant(dir, { digits: '0123456789', empty: '', dir: { in: 'in' }, fifo: fifo() });
  await serving(ranges(root), async (send) => {
    const whole = await send('GET', '/digits');
    const { etag, 'last-modified': modified } = whole.headers;
    assert.deepStrictEqual([whole.status, whole.text], [200, '0123456789']);
    assert.strictEqual(whole.headers['accept-ranges'], 'bytes');
    const get = (headers) => send('GET', '/digits', { headers });

    const parts = [
      ['bytes=0-0', 206, '0', 'bytes 0-0/10'],
      ['bytes=2-4', 206, '234', 'bytes 2-4/10'],
      ['bytes=7-', 206, '789', 'bytes 7-9/10'],
      ['bytes=-3', 206, '789', 'bytes 7-9/10'],
      ['bytes=-99', 206, '0123456789', 'bytes 0-9/10'],
      ['bytes=5-99999999999999999999', 206, '56789', 'bytes 5-9/10'],
      ['bytes=5-2', 416, '', 'bytes */10'],
      ['bytes=-0', 416, '', 'bytes */10'],
      ['bytes=-', 416, '', 'bytes */10'],
      ['bytes=10-', 416, '', 'bytes */10'],
      ['bytes=99999999999999999999-', 416, '', 'bytes */10'],
      // What a server may ignore.
      ['bytes=0-1,3-4', 200, '0123456789', undefined],
      ['bytes=a-b', 200, '0123456789', undefined],
      ['lines=0-1', 200, '0123456789', undefined],
    ];
    for (const [Range, ...expected] of parts) {
      const { status, text, headers } = await get({ Range });
      assert.deepStrictEqual([Range, status, text, headers['content-range']], [Range, ...expected]);
      if (status !== 416) assert.strictEqual(headers['content-length'], `${text.length}`);
    }

    const day = (days) => new Date(Date.parse(modified) + days * DAY).toUTCString();
    const conditions = [
      [{ 'If-None-Match': etag }, 304, ''],
      [{ 'If-None-Match': `W/${etag}` }, 304, ''],
      [{ 'If-None-Match': `"other", ${etag}` }, 304, ''],
      [{ 'If-None-Match': '*' }, 304, ''],
      [{ 'If-None-Match': etag, Range: 'bytes=0-1' }, 304, ''],
      [{ 'If-None-Match': '"other"' }, 200, '0123456789'],
      // The tag counts, and not the date.
      [{ 'If-None-Match': '"other"', 'If-Modified-Since': modified }, 200, '0123456789'],
      [{ 'If-Modified-Since': modified }, 304, ''],
      [{ 'If-Modified-Since': day(1) }, 304, ''],
      [{ 'If-Modified-Since': day(-1) }, 200, '0123456789'],
      [{ 'If-Modified-Since': 'nonsense' }, 200, '0123456789'],
      [{ 'If-Range': etag, Range: 'bytes=0-1' }, 206, '01'],
      [{ 'If-Range': '"other"', Range: 'bytes=0-1' }, 200, '0123456789'],
      [{ 'If-Range': `W/${etag}`, Range: 'bytes=0-1' }, 200, '0123456789'],
    ];
    for (const [headers, ...expected] of conditions) {
      const { status, text } = await get(headers);
      assert.deepStrictEqual([headers, status, text], [headers, ...expected]);
    }

    const head = await send('HEAD', '/digits', { headers: { Range: 'bytes=0-1' } });
    assert.deepStrictEqual([head.status, head.headers['content-length'], head.text], [200, '10', '']);
    assert.deepStrictEqual((await send('GET', '/empty')).text, '');
    assert.strictEqual((await send('GET', '/empty')).status, 200);
    assert.strictEqual((await send('GET', '/empty', { headers: { Range: 'bytes=0-' } })).status, 416);
    assert.strictEqual((await send('GET', '/empty', { headers: { Range: 'bytes=-1' } })).status, 416);
    assert.strictEqual((await send('GET', '/digits?v=1')).status, 200);

    const refused = {
      '/out/secret': 403,
      '/secret': 403,
      '/../outside/secret': 403,
      '/%2e%2e/outside/secret': 403,
      '//etc/passwd': 403,
      '/missing': 404,
      '/digits/more': 404,
      '/digits/': 404,
      '/dir': 404,
      '/.': 404,
      '/': 404,
      '/fifo': 404,
      '/%zz': 400,
      '/a%00': 400,
    };
    for (const [path, status] of Object.entries(refused)) {
      const answer = await send('GET', path);
      assert.deepStrictEqual([path, answer.status, answer.text], [path, status, '']);
    }
    assert.strictEqual((await send('POST', '/digits')).status, 405);

    fs.writeFileSync(at('digits'), '9876543210');
    assert.strictEqual((await get({ 'If-None-Match': etag })).text, '9876543210');
  });
});

trying('ranges.js closes what a client does not want any more', async ({ root, at }) => {
  fs.writeFileSync(at('large'), Buffer.alloc(50e6));
  await serving(ranges(root), async (_, port) => {
    for (const wait of [false, true]) {
      const socket = net.connect(port, '127.0.0.1');
      socket.write('GET /large HTTP/1.1\r\nHost: h\r\n\r\n');
      if (wait) await once(socket, 'data');
      socket.destroy();
      await once(socket, 'close');
    }
  });
});

trying('ranges.js says that an answer is cut where the file became shorter', async ({ root, at }) => {
  fs.writeFileSync(at('large'), Buffer.alloc(50e6));
  await serving(ranges(root), async (_, port) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write('GET /large HTTP/1.1\r\nHost: h\r\n\r\n');
    await once(socket, 'readable');
    fs.truncateSync(at('large'), 0);
    // On a connection that stays open a client would wait for the rest, or take the next answer for it.
    const closed = once(socket, 'close', { signal: AbortSignal.timeout(30_000) });
    assert.ok((await buffer(socket)).length < 50e6);
    await closed;
  });
});
