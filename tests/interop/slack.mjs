// Imitates Slack's Socket Mode with Node's https and the npm package ws: a peer that shares no code
// with rtm.h or its sandbox. It checks the rules for every client: apps.connections.open as Slack
// requires it, each URL used once, each envelope acknowledged once, within 3 s, on the connection
// on which it was sent, with a payload only if the envelope accepts one.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { isDeepStrictEqual } from 'node:util';
import { WebSocketServer } from 'ws';

const WITHIN = 3000, LONGEST_FRAME = 20479;
const changes = new EventEmitter().setMaxListeners(0);
let waits = 'the beginning', bot;

export function fail(why) {
    console.log(`${slack.output}interop: FAILED: ${why}`);
    if (bot) bot.kill('SIGKILL');
    process.exit(1);
}
export function check(good, why) { if (!good) fail(why); }

export async function until(condition, what) {
    let result;
    while (!(result = condition())) {
        waits = what;
        await once(changes, 'change');
    }
    return result;
}
setTimeout(() => fail(`waited too long for ${waits}`), 60000).unref();
process.on('unhandledRejection', error => fail(error.stack));

// Responses to the next calls of apps.connections.open and the next upgrades, instead of success.
export const answers = [], refusals = [];
export const slack = {
    connections: [], opens: 0, greet: true, onPost: () => {}, onCall: () => {}, output: '',
};
const deliveries = new Map(), tickets = new Set();

export const change = () => changes.emit('change');
export const open = () => slack.connections.filter(c => c.socket.readyState === 1);
export const delivery = id => deliveries.get(id);
export const waiting = () => [...deliveries.values()].filter(it => it.waiting.length);

// Sends an envelope, valid or not; `answer` is the payload that its acknowledgement must have.
export function deliver(connection, envelope, {
    answer, text = JSON.stringify(envelope), send = () => connection.socket.send(text),
} = {}) {
    const id = envelope.envelope_id;
    if (id !== undefined) {
        const known = deliveries.get(id) ??
            { id, envelope, answer, sent: 0, acknowledged: 0, waiting: [] };
        deliveries.set(id, known);
        known.sent++;
        known.waiting.push({ connection, timer: setTimeout(
            () => fail(`no acknowledgement within 3 s of ${text.slice(0, 300)}`), WITHIN) });
    }
    send();
}

export const envelope = (type, payload, more = {}) => ({
    envelope_id: randomUUID(), type, accepts_response_payload: type !== 'events_api', payload,
    ...more,
});
export const event = (event, more = {}, id = randomUUID()) => envelope('events_api', {
    type: 'event_callback', event_id: `Ev${id}`, team_id: 'T1',
    event: { channel: 'C1', user: 'U1', ts: '1.0', ...event },
}, more);
export const hello = connection => connection.socket.send(JSON.stringify({
    type: 'hello', connection_info: { app_id: 'A1' }, num_connections: open().length,
    debug_info: { host: 'applink-1', build_number: 54, approximate_connection_time: 18060 },
}));
export const disconnect = (connection, reason) => connection.socket.send(
    JSON.stringify({ type: 'disconnect', reason, debug_info: { host: 'applink-1' } }));

function acknowledge(connection, data, binary) {
    check(!binary, 'an acknowledgement came as a binary frame');
    check(data.length <= LONGEST_FRAME, `a frame of ${data.length} bytes`);
    const { envelope_id: id, payload, ...rest } = JSON.parse(data);
    check(isDeepStrictEqual(rest, {}), `an acknowledgement has ${Object.keys(rest)}`);
    const known = deliveries.get(id);
    check(known, `${id} is acknowledged, and was never sent`);
    const at = known.waiting.findIndex(it => it.connection === connection);
    check(at >= 0, `${id} is acknowledged twice, or on another connection`);
    clearTimeout(known.waiting.splice(at, 1)[0].timer);
    const wanted = known.acknowledged++ ? undefined : known.answer;
    check(isDeepStrictEqual(payload, wanted),
        `${id} is answered by ${JSON.stringify(payload)}, not by ${JSON.stringify(wanted)}`);
    change();
}

// An event that was not acknowledged on a connection is sent again on another one.
function onClose(connection, code) {
    connection.code = code;
    const next = () => open().find(it => it.greeted);
    for (const known of deliveries.values()) {
        const lost = known.waiting.filter(it => it.connection === connection);
        if (!lost.length) continue;
        check(known.envelope.type === 'events_api', `${known.id} is lost, and is never sent again`);
        lost.forEach(it => clearTimeout(it.timer));
        known.waiting = known.waiting.filter(it => it.connection !== connection);
        known.sent -= lost.length;
        until(next, 'a connection').then(it => deliver(it,
            { ...known.envelope, retry_attempt: 1, retry_reason: 'timeout' }));
    }
    change();
}

// The number of acknowledgements, one for each time that an envelope was sent.
export function verify() {
    let count = 0;
    for (const { id, sent, acknowledged } of deliveries.values()) {
        check(acknowledged === sent, `${id}: sent ${sent}, acknowledged ${acknowledged} times`);
        count += acknowledged;
    }
    return count;
}

const server = createServer({
    cert: readFileSync(process.argv[2]), key: readFileSync(process.argv[3]),
});

async function call(method, { headers }, body) {
    const isOpen = method === 'apps.connections.open';
    check(headers.authorization === `Bearer ${isOpen ? 'xapp-interop' : 'xoxb-interop'}`,
        `${method} came with ${headers.authorization}`);
    check(headers['content-type'].startsWith('application/x-www-form-urlencoded'),
        `${method} came with ${headers['content-type']}`);
    if (!isOpen) {
        const fields = Object.fromEntries(new URLSearchParams(body));
        await (method === 'chat.postMessage' ? slack.onPost(fields.text) : slack.onCall(fields));
        return { body: { ok: true, channel: 'C1', ts: '1.0' } };
    }
    check(body === '', `apps.connections.open came with ${body}`);
    slack.opens++;
    const answer = answers.shift();
    change();
    if (answer) return answer;
    const ticket = randomUUID();
    tickets.add(ticket);
    return { body: { ok: true, url:
        `wss://localhost:${server.address().port}/link/?ticket=${ticket}&app_id=A1` } };
}

server.on('request', async (request, response) => {
    let body = '';
    for await (const piece of request) body += piece;
    check(request.method === 'POST', `${request.method} ${request.url}`);
    const answer = await call(request.url.replace('/api/', ''), request, body);
    response.writeHead(answer.status ?? 200,
        { 'Content-Type': 'application/json', ...answer.headers });
    response.end(JSON.stringify(answer.body ?? {}).replace(/\//g, '\\/'));
});

const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
server.on('upgrade', (request, socket, head) => {
    const { pathname, searchParams } = new URL(request.url, 'https://localhost');
    check(pathname === '/link/' && searchParams.get('app_id') === 'A1', `upgrade: ${request.url}`);
    check(tickets.delete(searchParams.get('ticket')), 'a URL was used twice');
    check(!request.headers.authorization, 'the upgrade request has a token in it');
    if (refusals.length) {
        socket.end(`HTTP/1.1 ${refusals.shift()}\r\nContent-Length: 0\r\n\r\n`);
        return;
    }
    sockets.handleUpgrade(request, socket, head, ws => {
        const connection = { socket: ws, greeted: slack.greet };
        slack.connections.push(connection);
        check(open().length <= 2, 'more than two connections at a time');
        ws.on('message', (data, binary) => acknowledge(connection, data, binary));
        ws.on('error', error => fail(`the bot broke the protocol: ${error.message}`));
        ws.on('close', code => onClose(connection, code));
        if (slack.greet) hello(connection);
        change();
    });
});

// Begins to listen, and starts the bot; its output is printed only if something fails.
export async function start(program) {
    if (!server.listening) await once(server.listen(0, 'localhost'), 'listening');
    bot = spawn(program, {
        env: {
            ...process.env, SLACK_APP_TOKEN: 'xapp-interop', SLACK_API_TOKEN: 'xoxb-interop',
            SLACK_API_URL: `https://localhost:${server.address().port}/api/`,
        },
        stdio: ['ignore', 'pipe', 'inherit'],
    });
    bot.stdout.on('data', data => { slack.output += data; });
    slack.exit = undefined;
    bot.on('close', (code, signal) => { slack.exit = code ?? signal; change(); });
}

// Waits for the end of the bot, and checks its last line.
export async function exits(code, words) {
    await until(() => slack.exit !== undefined, 'the bot to exit');
    check(slack.exit === code, `the bot exits with ${slack.exit}, not ${code}`);
    check(slack.output.trimEnd().endsWith(words), `the bot does not say "${words}" last`);
}
