// A server with Node's https whose responses have every form that HTTP/1.1 has.
//
//   node bodies.js PORT_FILE CERT KEY
//
// bodies.c selects them by path. Below /api/ the server responds as Slack does, and prints the
// headers of the request.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const https = require('https');

const [portFile, cert, key] = process.argv.slice(2);
const server = https.createServer({
    cert: fs.readFileSync(cert), key: fs.readFileSync(key),
    minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', keepAlive: true, noDelay: true,
});
server.keepAliveTimeout = 60000;
let connections = 0, followed = 0;
server.on('secureConnection', () => { connections++; });

const letters = size => Buffer.alloc(size, 'abcdefghijklmnopqrstuvwxyz');
const json = (response, value, headers = {}) => {
    const body = JSON.stringify(value);
    response.writeHead(200, { 'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(body), ...headers });
    response.end(body);
};

// Without Node's HTTP layer: each byte in its own TLS record and TCP segment.
function drip(response, text) {
    const bytes = Buffer.from(text), socket = response.socket;
    const next = at => {
        if (at === bytes.length) response.emit('finish'); // Node then reads on
        else socket.write(bytes.subarray(at, at + 1), () => next(at + 1));
    };
    next(0);
}

const forms = {
    // with Content-Length; with Connection: close; with an empty body
    plain: response => response.writeHead(200, { 'Content-Length': 1000 }).end(letters(1000)),
    last: response => response.writeHead(200, { 'Content-Length': 1000, Connection: 'close' })
        .end(letters(1000)),
    204: response => response.writeHead(204).end(),
    302: response => response.writeHead(302, { Location: '/followed' }).end(),
    500: response => response.writeHead(500).end(letters(1000)),
    followed: response => { followed++; json(response, { ok: true }); },
    // chunked: large chunks; small ones; none; with trailers
    chunked(response) {
        let n = 10;
        const next = () => n-- ? response.write(letters(26 * 2500), () => setImmediate(next))
            : response.end();
        next();
    },
    chunks(response) {
        for (let i = 0; i < 1000; i++) response.write(letters(26).subarray(i % 26, i % 26 + 1));
        response.end();
    },
    empty: response => response.writeHead(200, { 'Transfer-Encoding': 'chunked' }).end(),
    trailers(response) {
        response.writeHead(200, { Trailer: 'Content-MD5' });
        response.write(letters(1000));
        response.addTrailers({ 'Content-MD5': '4711' });
        response.end();
    },
    // until the end of the connection: with close_notify, and truncated without it
    close(response) {
        response.setHeader('Connection', 'close');
        response.removeHeader('Transfer-Encoding');
        response.write(letters(100000));
        response.end();
    },
    cut(response) {
        response.setHeader('Connection', 'close');
        response.removeHeader('Transfer-Encoding');
        const socket = response.socket;
        response.write(letters(1000), () => setTimeout(() => socket._handle.close(), 50));
    },
    // 1xx before the response
    hints(response) {
        response.writeProcessing();
        response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' });
        response.writeHead(200, { 'Content-Length': 1000 }).end(letters(1000));
    },
    // byte by byte
    bytes: response => drip(response, 'HTTP/1.1 200 OK\r\nContent-Length: 260\r\n\r\n' +
        letters(260)),
    chunkbytes: response => drip(response, 'HTTP/1.1 200 \r\ntransfer-encoding:Chunked\r\n\r\n' +
        `1A;name="value"\r\n${letters(26)}\r\n0EA\r\n${letters(234)}\r\n00\r\nX: y\r\n\r\n`),
    // announced as keep-alive, and then closed
    drop(response) {
        const socket = response.socket;
        response.writeHead(200, { 'Content-Length': 1000 })
            .end(letters(1000), () => setImmediate(() => socket.end()));
    },
    counts: response => json(response, { ok: true, connections, followed }),
};

server.on('request', (request, response) => {
    const path = request.url.slice(1);
    const hash = crypto.createHash('sha256');
    let size = 0;
    request.on('data', piece => { hash.update(piece); size += piece.length; });
    request.on('end', () => {
        if (path === 'hash') {
            json(response, { ok: true, size, sha256: hash.digest('hex'),
                type: request.headers['content-type'],
                chunked: 'transfer-encoding' in request.headers });
        } else if (path === 'api/rtm.connect') { // bodies.c wants no session
            response.writeHead(429, { 'Retry-After': 3600, 'Content-Length': 0 }).end();
        } else if (path.startsWith('api/')) {
            console.log(path);
            for (let i = 0; i < request.rawHeaders.length; i += 2)
                console.log(`  ${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
            json(response, { ok: true });
        } else if (path in forms) {
            forms[path](response);
        } else {
            response.writeHead(404).end();
        }
    });
});
server.listen(0, 'localhost', () => fs.writeFileSync(portFile, String(server.address().port)));
