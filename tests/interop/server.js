// Imitates Slack with Node's https and the npm package ws: a peer that shares no code with rtm.h.
//
//   node server.js PORT_FILE CERT KEY
//
// It has one conversation with the bot and exits with 0 if every step was right: call, upgrade,
// hello, replies (plain, escaped, fragmented, 70 KB long), ping, Web API, CLOSE, and the reconnect
// after it; then it waits for the bot's CLOSE.
'use strict';
const fs = require('fs');
const https = require('https');
const { WebSocketServer } = require('ws');

const [portFile, cert, key] = process.argv.slice(2);
const server = https.createServer({
    cert: fs.readFileSync(cert), key: fs.readFileSync(key),
    minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2',
});
const sockets = new WebSocketServer({ server });
let sessions = 0, posted = () => {};

function fail(why) {
    console.log(`interop: FAILED: ${why}`);
    process.exit(1);
}
const guard = setTimeout(() => fail('the conversation took longer than 20 s'), 20000);

server.on('request', (request, response) => {
    let body = '';
    request.on('data', piece => { body += piece; });
    request.on('end', () => {
        const method = request.url.replace('/api/', '');
        let answer = { ok: true };
        if (request.headers.authorization !== 'Bearer xoxb-interop') answer = { ok: false, error: 'invalid_auth' };
        else if (method === 'rtm.connect')
            answer.url = `wss://localhost:${server.address().port}/link?ticket=${sessions + 1}`;
        else if (method === 'chat.postMessage') posted(new URLSearchParams(body).get('text'));
        else answer = { ok: false, error: 'unknown_method' };
        response.setHeader('Content-Type', 'application/json');
        // no Content-Length: Node sends the response in chunks
        response.write(JSON.stringify(answer).replace(/\//g, '\\/').slice(0, 5));
        response.end(JSON.stringify(answer).replace(/\//g, '\\/').slice(5));
    });
});

// Sends one message to the bot, and checks the reply.
function ask(socket, send, expected) {
    return new Promise(resolve => {
        socket.removeAllListeners('message');
        socket.on('message', data => {
            const message = JSON.parse(data);
            if (message.type !== 'message') return;
            if (message.text !== expected) fail(`heard ${message.text}, expected ${expected}`);
            socket.send(JSON.stringify({ ok: true, reply_to: message.id, ts: '1.0', text: message.text }));
            resolve();
        });
        send();
    });
}

const event = text => JSON.stringify({ type: 'message', channel: 'C1', user: 'U1', text, ts: '1.0' });

async function converse(socket) {
    const say = text => socket.send(event(text));
    socket.send(JSON.stringify({ type: 'hello' }));
    await ask(socket, () => say('plain'), 'you said: plain');
    await ask(socket, () => say('Grüße, 世界 🎉 "quoted" \\ \n'), 'you said: Grüße, 世界 🎉 "quoted" \\ \n');
    await ask(socket, () => {
        const text = event('in pieces');
        for (let i = 0; i < text.length; i++) {
            if (i % 7 === 0) socket.ping(`between ${i}`);
            socket.send(text[i], { fin: i === text.length - 1, binary: false });
        }
    }, 'you said: in pieces');
    await new Promise(resolve => { socket.once('pong', resolve); socket.ping('alive?'); });
    socket.send(JSON.stringify({ type: 'nobody_listens', filler: 'x'.repeat(70000) }));
    await ask(socket, () => say('after a long one'), 'you said: after a long one');
    const text = await new Promise(resolve => { posted = resolve; say('post over HTTPS &amp; back'); });
    if (text !== 'over HTTPS &amp; back') fail(`chat.postMessage of ${text}`);
    if (sessions === 1) return socket.close(1001, 'going away');
    socket.once('close', code => {
        if (code !== 1000) fail(`the bot closed with ${code}`);
        clearTimeout(guard);
        console.log(`interop: all steps passed in ${sessions} sessions`);
        process.exit(0);
    });
    console.log('interop: ready to stop');
}

sockets.on('connection', socket => {
    sessions++;
    socket.on('error', error => fail(error.message));
    converse(socket).catch(error => fail(error.message));
});
server.listen(0, 'localhost', () => fs.writeFileSync(portFile, String(server.address().port)));
