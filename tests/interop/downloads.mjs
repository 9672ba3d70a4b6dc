// Downloads files that the sandbox shares, with Node's https and fetch, with rtm.h, and with
// examples/download.c.
//
//   node downloads.mjs CERT KEY SANDBOX DOWNLOADS BOT DIRECTORY
//
// All copies must equal the file, byte for byte. Without the right token the sandbox sends a login
// page with status 200: Node and rtm.h must receive the same, and the bot must save nothing.
import { execFileSync, spawn } from 'node:child_process';
import { createCipheriv } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { createRequire } from 'node:module';
import { pipeline } from 'node:stream/promises';
import { changes, check, count, fail, quiet, quit, shows, slackApiUrl, tell, type, until }
    from './sandbox.mjs';

const { RTMClient } = createRequire(import.meta.url)('@slack/rtm-api');
const [downloads, bot, directory] = process.argv.slice(5);
const token = 'xoxb-interop';
const env = { ...process.env, SLACK_API_URL: slackApiUrl, SLACK_APP_TOKEN: 'xapp-interop' };

// The same bytes in each run, without repetition.
const random = size => createCipheriv('aes-128-ctr', 'a seed of 16 B: ', Buffer.alloc(16))
    .update(Buffer.alloc(size));
// A TLS record holds 16384 bytes.
const sizes = { 'nothing.bin': 0, 'byte.bin': 1, 'record.bin': 16384, 'records.bin': 2 * 16384 + 1,
    'page.html': 300, 'large.bin': 20 * 1000 * 1000 };
mkdirSync(`${directory}/shared`);
for (const [name, size] of Object.entries(sizes))
    writeFileSync(`${directory}/shared/${name}`, random(size));

function same(one, other, what) {
    try {
        execFileSync('cmp', [one, other].map(path => `${directory}/${path}`), { stdio: 'pipe' });
    } catch (error) {
        fail(`${what}: ${error.stdout}${error.stderr}`);
    }
    count.checks++;
}

// Each saves what it receives in a place of its own; returns "STATUS TYPE BYTES".
const bearer = token => token ? { Authorization: `Bearer ${token}` } : {};
const clients = {
    async https(url, path, token) {
        const [response] = await once(get(url, { headers: bearer(token) }), 'response');
        const file = createWriteStream(path);
        await pipeline(response, file);
        return `${response.statusCode} ${response.headers['content-type']} ${file.bytesWritten}`;
    },
    async fetch(url, path, token) {
        const response = await fetch(url, { headers: bearer(token), redirect: 'error' });
        const body = Buffer.from(await response.arrayBuffer());
        writeFileSync(path, body);
        return `${response.status} ${response.headers.get('content-type')} ${body.length}`;
    },
    submit: (...how) => byRtm('submit', ...how),
    perform: (...how) => byRtm('perform', ...how),
};
if (typeof fetch !== 'function') delete clients.fetch; // Node before 18
for (const place of ['bot', ...Object.keys(clients)]) mkdirSync(`${directory}/${place}`);

async function byRtm(how, url, path, token) {
    const program = spawn(downloads, [how, url, path, ...token ? [token] : []],
        { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    program.stdout.on('data', data => { output += data; });
    const [code] = await once(program, 'close');
    check(code === 0, `downloads ${how} exits with ${code}`);
    return output.trimEnd();
}

// What all clients receive for this file with this token.
async function download(file, token) {
    let first;
    for (const [client, save] of Object.entries(clients)) {
        const answer = await save(file.url_private_download,
            `${directory}/${client}/${file.name}`, token);
        first = first ?? answer;
        check(answer === first, `${file.name}: https receives "${first}", ${client} "${answer}"`);
        same(`https/${file.name}`, `${client}/${file.name}`, `https and ${client}`);
    }
    return first;
}

// The bot, and its output.
async function start(token) {
    const program = spawn(bot, [`${directory}/bot`], { env: { ...env, SLACK_API_TOKEN: token },
        stdio: ['ignore', 'pipe', 'pipe'] });
    const it = { said: '' };
    for (const stream of [program.stdout, program.stderr])
        stream.on('data', data => { it.said += data; tell(data); });
    it.stop = async () => {
        program.removeAllListeners('exit');
        program.kill();
        const [code] = await once(program, 'close');
        check(code === 0, `the bot exits with ${code}`);
    };
    it.says = words => until(() => it.said.includes(words), `the bot to say "${words}"`);
    program.on('exit', code => fail(`the bot exits with ${code}`));
    await shows('bot connected (Socket Mode)');
    return it;
}

const shared = [];
const listener = new RTMClient(token, { slackApiUrl, logger: quiet, clientPingTimeout: 60000 });
listener.on('message', ({ files }) => {
    shared.push(...files ?? []);
    changes.emit('change');
});
await listener.start();

async function share(name) {
    type(`/share ${directory}/shared/${name}`);
    await until(() => shared.length, `${name} to be shared`);
    const file = shared.shift();
    check(file.name === name && file.size === sizes[name], `the sandbox shares ${file.name}`);
    return file;
}

// The type distinguishes a login page from a file; if the file is itself HTML, the size does.
const isFile = (answer, { mimetype, size }) => answer === `200 ${mimetype} ${size}`;
const isLogin = answer => /^200 text\/html; charset=utf-8 [1-9]\d*$/.test(answer);
const refused = name => `download: ${name} is not saved: ${name.endsWith('.html')
    ? 'it is smaller than announced' : 'Slack sent its login page'}`;

env.FILES_URL = new URL('/files/', (await share('byte.bin')).url_private_download).href;
let saved = 0;
let it = await start(token);
for (const name of Object.keys(sizes)) {
    const file = await share(name);
    await it.says(`download: ${directory}/bot/${name}: ${file.size} bytes\n`);
    same(`shared/${name}`, `bot/${name}`, 'the bot');
    for (const wrong of ['no-token', 'xapp-interop', undefined]) {
        const answer = await download(file, wrong);
        check(isLogin(answer) && !isFile(answer, file), `${name} with ${wrong}: ${answer}`);
    }
    const answer = await download(file, token);
    check(isFile(answer, file) && !isLogin(answer), `${name}: ${answer}`);
    for (const client of Object.keys(clients))
        same(`shared/${name}`, `${client}/${name}`, client);
    saved++;
}
type('/scope off');
for (const name of Object.keys(sizes)) {
    const file = await share(name);
    await it.says(refused(name));
    const answer = await download(file, token);
    check(isLogin(answer), `${name} without a scope: ${answer}`);
}
await it.stop();
type('/scope on');
it = await start('no-token');
for (const name of Object.keys(sizes)) {
    await share(name);
    await it.says(refused(name));
}
await it.stop();
check(readdirSync(`${directory}/bot`).length === saved, 'the bot saved more than the files');
await listener.disconnect();
console.log(`interop: downloads: ${saved} files of up to ${Math.max(...Object.values(sizes))} bytes`
    + `, by ${Object.keys(clients)} and the bot: ${count.checks} checks`);
await quit();
