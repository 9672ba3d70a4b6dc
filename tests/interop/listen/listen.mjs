// listen.mjs - prints what Slack's own clients hear, and why they end. For compare.py.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { RTMClient } = require('@slack/rtm-api');
const { SocketModeClient } = require('@slack/socket-mode');

const { SLACK_API_TOKEN: token, SLACK_APP_TOKEN: appToken, SLACK_API_URL: slackApiUrl } = process.env;
const end = error => { console.log(`ended: ${error?.data?.error ?? error}`); process.exit(1); };
process.on('uncaughtException', end).on('unhandledRejection', end);
if (appToken) {
    const client = new SocketModeClient({ appToken, clientOptions: { slackApiUrl } });
    client.on('message', async ({ ack, event }) => {
        await ack();
        console.log(`heard ${event.text}`);
    });
    await client.start().catch(end);
} else {
    const client = new RTMClient(token, { slackApiUrl });
    client.on('message', event => console.log(`heard ${event.text}`));
    await client.start().catch(end);
}
