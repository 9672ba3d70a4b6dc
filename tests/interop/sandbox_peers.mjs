// Slack's own libraries for Node against the sandbox: everything must work as with Slack.
//
//   node sandbox_peers.mjs CERT KEY SANDBOX WEB_API...
//
// Each WEB_API is a module with some version of @slack/web-api.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { check, count, fail, hear, heard, hears, quiet, quit, shows, slackApiUrl, type }
    from './sandbox.mjs';

const require = createRequire(import.meta.url);
const { App } = require('@slack/bolt');
const { LogLevel, RTMClient } = require('@slack/rtm-api');
const { SocketModeClient } = require('@slack/socket-mode');
const { WebClient } = require('@slack/web-api');

async function rtm() {
    const web = new WebClient('xoxb-interop', { slackApiUrl, logger: quiet });
    const { user_id: user } = await web.auth.test();
    // Its sendMessage misses a reply that arrives as soon as here, and its pings miss a pong.
    const client = new RTMClient('xoxb-interop', { slackApiUrl, logger: quiet,
        replyAckOnReconnectTimeout: 1, clientPingTimeout: 60000 });
    client.on('message', event => {
        check(event.channel && (event.user ?? event.bot_id) && /^\d+\.\d{6}$/.test(event.ts),
            `a message lacks channel, user or ts: ${JSON.stringify(event)}`);
        hear(event.text);
    });
    client.on('slack_event', (_, { reply_to: id, type, ts, error, text }) => {
        if (id) hear(`${id} ${type ?? error?.code ?? (ts && text)}`);
    });
    client.on('connected', () => hear('connected'));
    const { self, team } = await client.start();
    check(self.id === user && team.domain, 'rtm.connect and auth.test differ');
    await once(client, 'ready');
    await hears('connected');
    type('Grüße & <world>');
    await hears('Grüße &amp; &lt;world&gt;');
    const id = await client.send('message', { channel: 'C0SANDBOX', text: 'hello' });
    await hears(`${id} hello`);
    await shows('hello');
    await client.send('typing', { channel: 'C0SANDBOX' });
    await shows('is typing');
    await hears(`${await client.send('message', { channel: 'C0SANDBOX', text: '' })} 2`);
    await hears(`${await client.send('ping')} pong`);
    const { ts } = await web.chat.postMessage({ channel: 'C0SANDBOX', text: 'by the Web API' });
    check(ts, 'chat.postMessage: no ts');
    await hears('by the Web API');
    await shows('by the Web API');
    for (const end of ['/migrate', '/drop', '/close 1001']) {
        type(end);
        await hears('connected');
        type(`after ${end.slice(1)}`);
        await hears(`after ${end.slice(1)}`);
    }
    await client.disconnect();
    await shows('bot disconnected');
}

async function upload({ WebClient }) {
    const web = new WebClient('xoxb-interop', { slackApiUrl, logger: quiet });
    const file = Buffer.alloc(300000, 'data of a file\r\n\r\n--');
    const hash = createHash('sha256').update(file).digest('hex');
    const one = { file, filename: 'data.bin', channel_id: 'C0SANDBOX', initial_comment: 'a file' };
    // With options.token the SDK sends the token to the upload URL, too.
    for (const more of [{}, { token: 'xoxb-other' }]) {
        const { ok, files } = await web.filesUploadV2({ ...one, ...more });
        check(ok && files[0].files[0].id, 'filesUploadV2');
        if (more.token) await shows('upload: warning: a token was sent');
        await shows(`uploaded data.bin: ${file.length} bytes, SHA-256 ${hash}`,
            'posted: a file [files] data.bin');
    }
    const file_uploads = [{ content: 'one', filename: '1.txt' }, { content: '2', filename: '2.txt' }];
    check((await web.filesUploadV2({ channel_id: 'C0SANDBOX', file_uploads })).ok, 'two files');
    await shows('uploaded 1.txt: 3 bytes', 'uploaded 2.txt: 1 bytes', '[files] 1.txt 2.txt');
}

const plain = text => ({ type: 'plain_text', text });
const view = { type: 'modal', callback_id: 'form', title: plain('A form'), submit: plain('Send'),
    blocks: [{ type: 'input', block_id: 'a', label: plain('A'),
        element: { type: 'plain_text_input', action_id: 'text' } }] };

async function socketMode() {
    const web = new WebClient('xoxb-interop', { slackApiUrl, logger: quiet });
    const client = new SocketModeClient({ appToken: 'xapp-interop', clientPingTimeout: 500,
        clientOptions: { slackApiUrl, logger: quiet }, logger: quiet });
    client.on('message', async ({ ack, event, body, retry_num: retry }) => {
        check(body.event_id && body.team_id, 'an event lacks its id or team');
        hear(`${event.text} ${retry}`);
        if (event.text !== 'again' || retry) await ack();
    });
    client.on('slash_commands', async ({ ack, body }) => {
        hear(`${body.command} ${body.text}`);
        await ack({ text: `the weather of ${body.text}` });
    });
    client.on('interactive', async ({ ack, body }) => {
        hear(body.actions?.[0].action_id ?? body.view.callback_id);
        await ack(body.view ? { response_action: 'clear' } : undefined);
    });
    client.on('connected', () => hear('connected'));
    await client.start();
    await hears('connected');
    type('hello');
    await hears('hello 0');
    type('/slash /weather Berlin');
    await hears('/weather Berlin');
    await shows('answers /weather (only for you): the weather of Berlin');
    type('/click approve');
    await hears('approve');
    await shows('acknowledged approve');
    check((await web.views.open({ trigger_id: '1', view })).view.hash, 'views.open');
    type('/submit form');
    await hears('form');
    await shows('answers form: clear');
    type('again');
    await hears('again 0');
    await hears('again 1'); // 4 s later
    for (const end of ['/refresh', '/warning', '/toomany', '/close 1001', '/drop']) {
        type(end);
        await hears('connected');
        type(`after ${end.slice(1)}`);
        await hears(`after ${end.slice(1)} 0`);
    }
    await client.disconnect();
    await shows('bot disconnected');
}

async function bolt() {
    const app = new App({ token: 'xoxb-interop', appToken: 'xapp-interop', socketMode: true,
        clientOptions: { slackApiUrl }, logger: quiet, logLevel: LogLevel.ERROR });
    app.error(async error => fail(`bolt: ${error.stack}`));
    app.message('hello', async ({ message, say }) => say(`hello, <@${message.user}>`));
    app.event('team_join', async ({ event }) => hear(event.type));
    app.command('/weather', async ({ ack, command, respond }) => {
        await ack({ text: 'wait' });
        await respond(`sunny in ${command.text}`);
    });
    app.action('approve', async ({ ack, action, respond }) => {
        await ack();
        await respond({ text: `approved ${action.value}`, replace_original: false });
    });
    app.event('app_mention', async ({ event }) => hear(`mention ${event.text}`));
    app.view('form', async ({ ack, view }) => ack({ response_action: 'errors',
        errors: { a: `not ${view.state.values.a.text.value}` } }));
    await app.start();
    type('hello');
    await shows('hello, <@U0HUMAN>');
    type('/event team_join');
    await hears('team_join');
    type('/slash /weather Berlin');
    await shows('answers /weather (only for you): wait', 'sunny in Berlin');
    type('/click approve 7');
    await shows('acknowledged approve', 'approved 7');
    await app.client.views.open({ trigger_id: '1', view });
    type('/submit form a.text=words');
    await shows('answers form: errors, a: not words');
    type('@sandbox-bot hello?');
    await hears('mention <@U0BOT> hello?');
    await app.stop();
    await shows('bot disconnected');
}

const uploads = process.argv.slice(5).map(name => [
    `web-api ${require(`${name}/package.json`).version}: filesUploadV2`,
    () => upload(require(name))]);
for (const [name, part] of [['rtm-api and web-api', rtm], ...uploads,
    ['socket-mode', socketMode], ['bolt', bolt]]) {
    count.checks = 0;
    await part();
    check(!heard.length, `${name} heard more: ${heard}`);
    console.log(`interop: @slack/${name}: ${count.checks} checks against the sandbox`);
}
await quit();
