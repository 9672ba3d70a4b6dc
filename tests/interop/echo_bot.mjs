// echo_bot in Socket Mode, in real time: it must reply to each message once, across refreshes.
//
//   node echo_bot.mjs CERT KEY PROGRAM
import {
    change, check, deliver, delivery, disconnect, envelope, event, exits, open, slack,
    start, until, verify,
} from './slack.mjs';

const asked = new Set();
let count = 0;

slack.onPost = text => {
    check(asked.delete(text), `"${text}" was not to be posted, or twice`);
    change();
};
const answered = () => until(() => !asked.size, `an answer to ${[...asked]}`);
function ask(times, connections) {
    for (let i = 0; i < times; i++) {
        const text = `number ${++count} 🎉 "&amp;"`, left = connections.filter(c => !c.code);
        asked.add(`you said: ${text}`);
        deliver(left[count * 7 % left.length], event({ type: 'message', text }));
    }
}
async function interact(type, payload, answer) {
    const it = envelope(type, { user_id: 'U1', trigger_id: '13.1', ...payload });
    deliver(open()[0], it, { answer });
    await until(() => delivery(it.envelope_id).acknowledged, `${type} to be acknowledged`);
}
// A command, whose reply has a button; then a click on the button, whose reply is a message.
async function echo(text) {
    const plain = text => ({ type: 'plain_text', text });
    await interact('slash_commands', { command: '/echo', text, channel_id: 'C1' }, { blocks: [
        { type: 'section', text: plain(`you said: ${text}`) },
        { type: 'actions', elements:
            [{ type: 'button', action_id: 'repeat', text: plain('Repeat') }] },
    ] });
    asked.add('you clicked it');
    await interact('interactive', { type: 'block_actions', channel: { id: 'C1' },
        actions: [{ action_id: 'repeat' }] });
    await answered();
}

await start(process.argv[4]);
await until(() => open().length, 'the bot');
for (const reason of ['refresh_requested', 'warning', 'refresh_requested']) {
    const [old] = open();
    ask(20, [old]);
    disconnect(old, reason);
    ask(20, [old]);
    await until(() => open().length === 2, 'the next connection');
    ask(40, open());
    await answered();
    if (reason === 'refresh_requested') old.socket.close(1000); // else the bot does, after 15 s
    await until(() => old.code, 'the first connection to end');
    check(old.code === 1000, `${reason}: the first connection was closed with ${old.code}`);
    ask(20, open());
    await answered();
    await echo(`${reason}: "quoted" 🎉 \\`);
}
await interact('slash_commands', { command: '/nobody_hears' });
const [last] = open();
deliver(last, event({ type: 'message', text: 'stop' }));
await until(() => last.code, 'the bot to go');
check(last.code === 1000, 'the bot went without a CLOSE');
await exits(0, 'stopped');
check(slack.opens === 4, `${slack.opens} calls of apps.connections.open`);
console.log(`interop: echo_bot: ${verify()} acknowledgements, each once and in time; ${count}` +
    ' messages answered once each, over 3 refreshes');
process.exit(0);
