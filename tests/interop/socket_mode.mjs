// Tests the bot of socket_mode.c in Socket Mode: what Slack may send, and how sessions end.
//
//   node socket_mode.mjs CERT KEY PROGRAM
import {
    answers, change, check, deliver, delivery, disconnect, envelope, event, exits, hello, open,
    refusals, slack, start, until, verify, waiting,
} from './slack.mjs';

const expected = new Map(), own = [];
let posts = 0, sequence = 0;

// The bot reports what it has received. The response waits until the envelope is acknowledged.
slack.onPost = async text => {
    const [type, mark, id, results] = text.split('|');
    if (['open', 'close', 'error', 'hello'].includes(type)) {
        own.push([type, mark, id].filter(Boolean).join(' '));
        change();
        return;
    }
    const key = `${type} ${mark}`, wanted = expected.get(key);
    check(wanted, `the bot heard ${key}, which was not to be heard, or twice`);
    check((wanted.id ?? '').slice(0, 63) === id, `${key} came with the envelope ${id}`);
    check(results === (wanted.results ?? ''), `${key}: results ${results}, not ${wanted.results}`);
    if (wanted.connection) {
        check(wanted.sequence > (wanted.connection.heard ?? 0), `${key} is out of order`);
        wanted.connection.heard = wanted.sequence;
    }
    expected.delete(key);
    posts++;
    await until(() => !id || delivery(wanted.id).acknowledged, `${key} to be acknowledged`);
    change();
};

// A blocking call in a callback: its response waits until the envelope is acknowledged.
slack.onCall = ({ mark }) => until(() => [...expected].some(([key, { id }]) =>
    key.endsWith(` ${mark}`) && delivery(id).acknowledged), `${mark} to be acknowledged`);

const BUSY = -3, UNSUPPORTED = -4, TOO_BIG = -7;
const current = () => open().at(-1);

// The bot must receive `type mark`, in this envelope.
function send(type, mark, it, options = {}) {
    const { connection = current(), ...more } = options;
    expected.set(`${type} ${mark}`, { id: it.envelope_id, ...more });
    deliver(connection, it, more);
}
const say = (mark, more = {}, options) =>
    send('message', mark, event({ type: 'message', mark, ...more }), options);
function number(count, connections) {
    for (let i = 0; i < count; i++) {
        const left = connections.filter(c => c.socket.readyState === 1);
        const connection = left[(sequence * 7 + (sequence >> 3)) % left.length];
        say(`n${++sequence}`, {}, { connection, sequence });
    }
}
const command = (mark, more, options) => send('slash_commands', mark,
    envelope('slash_commands', { command: '/weather', text: 'Berlin', mark, ...more }), options);

// All that is sent here is in one write.
function together({ socket }, send) {
    socket._socket.cork();
    send();
    socket._socket.uncork();
}

const heard = () => until(() => !expected.size, `the bot to hear ${[...expected.keys()]}`);
async function tells(...lines) {
    await until(() => own.length >= lines.length, `the bot to tell of ${lines}`);
    const told = own.splice(0, lines.length);
    check(`${told}` === `${lines}`, `the bot tells of ${told}, not ${lines}`);
}

// After 10 s without a byte the bot sends a PING: each connection receives something before that.
async function skip(ms) {
    for (; ms > 0; ms -= 9000) {
        for (const connection of open()) say(`alive${++sequence}`, {}, { connection });
        say(`skip${++sequence}`, { skip: Math.min(ms, 9000) });
        await heard();
    }
}
const freeze = async freeze => { say(`freeze${++sequence}`, { freeze }); await heard(); };
const last = () => skip(31000); // a session that lasted is followed by another at once

// In this session ---------------------------------------------------------------------------------

async function envelopes() {
    say('event');
    send('app_rate_limited', 'limited', envelope('events_api',
        { type: 'app_rate_limited', mark: 'limited', minute_rate_limited: 1 }));
    say('Grüße, 世界 🎉 "quoted" \\ \n');
    for (const type of ['block_actions', 'block_suggestion', 'view_submission', 'view_closed',
        'shortcut', 'message_action']) {
        const answer = { mark: type, text: 'Grüße 🎉', options: [{}, { value: [1.5, null] }] };
        send('interactive', type, envelope('interactive', { type, mark: type, answer }),
            { answer, results: `0,${BUSY}` });
    }
    const long = length => ({ text: 'x'.repeat(length) });
    command('answered', { answer: { text: 'sunny' } },
        { answer: { text: 'sunny' }, results: `0,${BUSY}` });
    command('unanswered');
    command('blocked', { call: true, answer: { text: 'late' } }, { results: `0,${BUSY},${BUSY}` });
    // {"envelope_id":"","payload":{"text":""}} and the id are 76 bytes
    command('longest', { answer: long(20403) }, { answer: long(20403), results: `0,${BUSY}` });
    command('too long', { answer: long(20404) }, { results: `${TOO_BIG},${TOO_BIG}` });
    say('takes no answer', { answer: {} }, { results: `${UNSUPPORTED},${UNSUPPORTED}` });
    for (const [kind, payload] of [['brand_new', { mark: 'new' }], ['bare', undefined],
        ['nothing', null], ['text', 'payload'], ['number', 1], ['array', [{ mark: 'none' }]]])
        send(kind, payload?.mark ?? '', envelope(kind, payload));
    send('open_question', 'q', envelope('open_question', { mark: 'q', answer: { a: 1 } }),
        { answer: { a: 1 }, results: `0,${BUSY}` });
    send('Unknown', 'untyped', envelope(undefined, { mark: 'untyped' }));
    await heard();
}

async function ids() {
    const it = event({ type: 'message', mark: 'long id' }, { envelope_id: 'i'.repeat(10240) });
    send('message', 'long id', it);
    const escaped = event({ type: 'message', mark: 'id' }, { envelope_id: '"\\/€' });
    send('message', 'id', escaped, { text: JSON.stringify(escaped).replace('€', '\\u20ac') });
    await heard();
}

// Invalid messages: those with an envelope_id are acknowledged, the others cannot be.
async function unreadable() {
    for (const text of [
        id => `{"envelope_id":"${id}","type":"events_api","payload":{"event":`,
        id => `{"type":"events_api","payload":{"x":tru},"envelope_id":"${id}"}`,
        id => `{"envelope_id":"${id}","payload":${'['.repeat(500)}${']'.repeat(500)}}`,
    ]) {
        const id = `unreadable${++sequence}`;
        deliver(current(), { envelope_id: id }, { text: text(id) });
        await tells('error -18 0');
        await until(() => delivery(id).acknowledged, `${id} to be acknowledged`);
        await skip(1000); // one error a second is reported
    }
    for (const text of ['', 'no JSON', '{"envelope_id":']) {
        current().socket.send(text);
        await tells('error -18 0');
        await skip(1000);
    }
    const { envelope_id: _, ...without } = event({ type: 'message', mark: 'no id' });
    for (const it of [{}, { envelope_id: 1 }, { envelope_id: null, type: 'Unknown' }, without]) {
        expected.set(`${it.type ?? 'Unknown'} `, { id: '' });
        current().socket.send(JSON.stringify(it));
        await heard();
    }
    hello(current());
    await tells('hello');
    say('after what cannot be read');
    await heard();
}

async function repeated() {
    const connection = current();
    const first = event({ type: 'message', mark: 'once' }, {}, 'once');
    send('message', 'once', first);
    deliver(connection, first);
    deliver(connection, { ...first, retry_attempt: 1, retry_reason: 'timeout' });
    deliver(connection, event({ type: 'message', mark: 'once' }, { retry_attempt: 1 }, 'once'));
    send('message', 'late', event({ type: 'message', mark: 'late' },
        { retry_attempt: 1, retry_reason: 'timeout' }));
    const asked = envelope('slash_commands', { mark: 'command', answer: { text: 'once' } });
    send('slash_commands', 'command', asked, { answer: { text: 'once' }, results: `0,${BUSY}` });
    await heard();
    deliver(connection, first);
    deliver(connection, asked);
    say('after the repeated ones');
    await heard();
}

async function pings() {
    const { socket } = current();
    const it = event({ type: 'message', mark: 'in pieces', text: 'x'.repeat(200) });
    const text = JSON.stringify(it), pongs = [];
    socket.on('pong', data => { pongs.push(`${data}`); change(); });
    socket.pong('nobody asked');
    send('message', 'in pieces', it, { send: () => {
        for (let i = 0; i < text.length; i += 7) {
            if (i === 70) socket.ping('p'.repeat(125));
            socket.send(text.slice(i, i + 7), { fin: i + 7 >= text.length });
        }
    } });
    await heard();
    await until(() => pongs.length, 'a pong');
    socket.ping('');
    await until(() => pongs.length > 1, 'another pong');
    check(`${pongs}` === `${'p'.repeat(125)},`, `pongs: ${pongs}`);
}

// All are acknowledged although the first one's callback blocks until they are.
async function burst() {
    slack.onCall = () => until(() => !waiting().length, 'the whole burst to be acknowledged');
    together(current(), () => {
        say('burst', { call: true }, { results: '0,' });
        for (let i = 0; i < 50; i++) say(`burst${i}`);
    });
    await heard();
}

// How sessions end --------------------------------------------------------------------------------

// How the first session ends after another has taken over. Until then the bot reads it and
// acknowledges its events.
const drains = {
    async closedBySlack(old) { old.socket.close(1000); },
    async cut(old) { old.socket.terminate(); },
    async closedAfter15s(old) {
        await freeze(true);
        await skip(4000); // with the busy seconds before, less than 15 s
        check(old.socket.readyState === 1, 'the first connection is closed before 15 s');
        await skip(11000);
        await until(() => old.code, 'the first connection to end after 15 s');
        await freeze(false);
    },
    async closedByTheNextHandover(old, next) {
        await freeze(true); // the first ends at once, not after 15 s
        number(6, [old, next]); // delivered, as they arrive before the end
        disconnect(next, 'warning');
        number(5, [next]);
        await until(() => old.code, 'the first connection to end at the next handover');
        await freeze(false);
        await until(() => current() !== next, 'the third connection');
        number(40, [next, current()]);
        await tells('hello');
        next.socket.close(1000);
        await until(() => next.code, 'the second connection to end');
    },
};

// Another session takes over from the first, which is read and acknowledges meanwhile. Before that
// as many attempts fail as there are lines here, which the bot reports.
async function refresh(reason, drain, failures = []) {
    const old = current(), before = slack.connections.length;
    await last();
    slack.greet = false;
    number(5, [old]);
    disconnect(old, reason);
    number(5, [old]);
    await skip(1000);
    for (const line of failures) {
        await tells(line);
        number(2, [old]);
    }
    await until(() => slack.connections.length > before, 'the next connection');
    const next = current();
    check(open().length === 2, `${reason}: the first connection ended before the next began`);
    number(5, [old, next]); // some before its hello
    await heard();
    // the hello arrives while events of the first are in the queue: they are answered on the first
    slack.onCall = () => hello(next);
    together(old, () => {
        say(`busy${++sequence}`, { call: true, skip: 1000 }, { connection: old, results: '0,' });
        for (let i = 0; i < 6; i++)
            say(`busy${++sequence}`, { skip: 1000 }, { connection: old });
        command(`asked${sequence}`, { answer: { text: 'yes' } },
            { connection: old, answer: { text: 'yes' }, results: `0,${BUSY}` });
    });
    await heard();
    next.greeted = slack.greet = true;
    number(40, [old, next]);
    await tells('hello');
    await heard();
    check(old.socket.readyState === 1, `${reason}: the first connection is closed at once`);
    number(10, [old, next]);
    command(`drained${sequence}`, { answer: { text: 'yes' } },
        { connection: old, answer: { text: 'yes' }, results: `0,${BUSY}` });
    await heard();
    await drain(old, next);
    await until(() => old.code, 'the first connection to end');
    const code = drain === drains.cut ? 1006 : 1000;
    check(old.code === code, `${reason}: the first connection was closed with ${old.code}`);
    number(5, [current()]);
    await heard();
    check(!own.length, `${reason}: the bot reports ${own}`);
}

const limited = seconds => ({ status: 429, headers: { 'Retry-After': seconds },
    body: { ok: false, error: 'ratelimited' } });

async function refreshes() {
    await refresh('refresh_requested', drains.closedBySlack);
    await refresh('warning', drains.closedAfter15s);
    await refresh('some_new_reason', drains.closedByTheNextHandover);
    answers.push(limited(3), { status: 500 }, { body: { ok: false, error: 'internal_error' } },
        { body: { ok: true } }, limited(1), undefined);
    refusals.push('409 Conflict');
    await refresh('refresh_requested', drains.cut, ['error -21 3', 'error -16 2', 'error -19 4',
        'error -19 8', 'error -21 16', 'error -17 32']);
    answers.push(until(() => false)); // nothing comes
    const silence = refresh('warning', drains.closedBySlack, ['error -11 1']);
    await until(() => !answers.length, 'the attempt that is not answered');
    await skip(30000); // its timeout; the first is still read
    await silence;
}

async function ends() {
    const goesOn = async (...lines) => {
        await tells(...lines, 'open', 'hello');
        await last();
    };
    await last();
    current().socket.close(1001, 'going away');
    await goesOn('close 1001 0');

    // the first connection is cut while the second cannot be opened
    let cut = false;
    answers.push(limited(7), limited(9), until(() => cut).then(() => limited(11)));
    disconnect(current(), 'warning');
    await skip(1000);
    await tells('error -21 7', 'error -21 9');
    await until(() => !answers.length, 'the third attempt');
    current().socket.terminate();
    await tells('error -12 0', 'close 1006 0');
    cut = true;
    change();
    await goesOn('error -21 11');

    const { length } = slack.connections;
    slack.greet = false;
    current().socket.close(1012, 'restart');
    await until(() => slack.connections.length > length, 'the next connection');
    slack.greet = true;
    disconnect(current(), 'too_many_websockets');
    await goesOn('close 1012 0', 'open', 'error -19 1', 'close 1000 1');

    disconnect(current(), 'link_disabled');
    await goesOn('error -19 300', 'close 1000 300');
}

await start(process.argv[4]);
await tells('open', 'hello');
for (const part of [envelopes, ids, unreadable, repeated, pings, burst]) await part();
say('good night', { stop: true });
await until(() => slack.connections[0].code, 'the bot to go');
check(slack.connections[0].code === 1000, 'the bot went without a CLOSE');
await exits(0, 'stopped');
expected.clear(); // what it posted last need not have come

await start(process.argv[4]);
await tells('open', 'hello');
await refreshes();
await ends();
answers.push({ body: { ok: false, error: 'missing_scope' } });
current().socket.close(1001);
await exits(20, 'the app-level token needs the scope connections:write');
check(slack.opens === 24, `${slack.opens} calls of apps.connections.open`);
console.log(`interop: Socket Mode: ${verify()} acknowledgements, each once, in time, and right; ` +
    `${posts} events heard once each, in ${slack.connections.length} sessions`);
process.exit(0);
