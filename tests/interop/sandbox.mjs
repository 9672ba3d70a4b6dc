// Starts the sandbox for a test program, whose first arguments are CERT KEY SANDBOX.
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createRequire } from 'node:module';

const { LogLevel } = createRequire(import.meta.url)('@slack/web-api');
export const changes = new EventEmitter().setMaxListeners(0);
let told = '', shown = '', waits = 'the beginning';
export const count = { checks: 0 };

export function fail(why) {
    console.log(`${told}interop: FAILED: ${why}`);
    sandbox?.kill();
    process.exit(1);
}
export function check(good, why) { if (!good) fail(why); count.checks++; }
export async function until(condition, what) {
    waits = what;
    while (!condition()) await once(changes, 'change');
    count.checks++;
}
setTimeout(() => fail(`waited too long for ${waits}`), 120000).unref();
for (const what of ['unhandledRejection', 'uncaughtException'])
    process.on(what, error => fail(error.stack));

const [cert, key, program] = process.argv.slice(2);
const sandbox = spawn(program, ['--port', '0', '--seed', '1', '--cert', cert, '--key', key], {
    stdio: ['pipe', 'pipe', 'inherit'],
});
sandbox.on('exit', code => fail(`the sandbox exits with ${code}`));
// The output of a program is printed if something fails.
export const tell = data => { told += data; changes.emit('change'); };
sandbox.stdout.on('data', data => { shown += data; tell(data); });
const address = /https:\/\/\S+/;
await until(() => address.test(shown), 'the sandbox to listen');
export const [slackApiUrl] = shown.match(address);

export const type = line => sandbox.stdin.write(`${line}\n`);
// Checks that the sandbox prints these lines, in any order, after the lines checked before.
export async function shows(...texts) {
    for (const text of texts)
        await until(() => shown.includes(text), `the sandbox to show "${text}"`);
    shown = shown.slice(Math.max(...texts.map(text => shown.indexOf(text) + text.length)));
}
// What a client has received, each once, in order.
export const heard = [];
export const hear = thing => { heard.push(thing); changes.emit('change'); };
export async function hears(wanted) {
    await until(() => heard.length, `the client to hear "${wanted}"`);
    const thing = heard.shift();
    check(thing === wanted, `the client heard "${thing}", not "${wanted}"`);
}
export const quiet = { debug() {}, info() {}, warn() {}, error() {}, setLevel() {}, setName() {},
    getLevel: () => LogLevel.ERROR };

export async function quit() {
    sandbox.removeAllListeners('exit');
    type('/quit');
    const [code] = await once(sandbox, 'exit');
    if (code !== 0) fail(`the sandbox exits with ${code}`);
    process.exit(0);
}
