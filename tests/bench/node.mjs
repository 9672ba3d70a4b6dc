// node - @slack/rtm-api: of each event its type, of each message its channel, user and text.
// Run in a directory with node_modules; NODE_EXTRA_CA_CERTS names the CA.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const { RTMClient, LogLevel } = createRequire(import.meta.url)('@slack/rtm-api');
const option = Object.fromEntries(process.argv.slice(2).map((a) => {
    const at = a.indexOf('=');
    return [a.slice(0, at), a.slice(at + 1)];
}));
const latency = option.base.includes('mode=latency'), echo = option.base.includes('mode=echo');
const check = option.check === '1', mask = (1n << 64n) - 1n, prime = 1099511628211n;
let events = 0, units = 0, checksum = 0n, cpu, start, helloUs = 0;
const delays = [];

function fnv(hash, text) {
    for (const byte of Buffer.from(text)) hash = ((hash ^ BigInt(byte)) * prime) & mask;
    return ((hash ^ 0xffn) * prime) & mask;
}

const cpuUs = () => {
    const { user, system } = process.cpuUsage();
    return user + system;
};

function finish() {
    cpu = cpuUs() - start;
    const rss = /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1];
    let line = `client=node events=${events} units=${units} cpu_us=${cpu} rss_kib=${rss}` +
        ` hello_us=${helloUs}`;
    if (check) line += ` checksum=${checksum.toString(16).padStart(16, '0')}`;
    if (delays.length) {
        delays.sort((a, b) => a - b);
        const at = (part) => (delays[Math.floor(delays.length * part)] / 1000).toFixed(1);
        line += ` p50_us=${at(0.5)} p99_us=${at(0.99)}`;
    }
    console.log(line);
    process.exit(0);
}

const rtm = new RTMClient('xoxb-bench', {
    slackApiUrl: option.base, logLevel: LogLevel.ERROR,
});

rtm.on('slack_event', (type, event) => {
    if (type === 'hello') {
        helloUs = Number((process.hrtime.bigint() - BigInt(process.env.BENCH_START)) / 1000n);
        return;
    }
    if (type === undefined || type === 'pong') return;
    if (start === undefined) start = cpuUs();
    if (type === 'message') {
        const { channel, user, text } = event;
        if (text === 'END') finish();
        units += channel.length + user.length + text.length;
        if (latency) delays.push(Number(process.hrtime.bigint() - BigInt(text.split(' ')[0])));
        if (check) {
            const hash = fnv(fnv(fnv(14695981039346656037n, channel), user), text);
            checksum = (checksum * prime + hash) & mask;
        }
        // Not sendMessage: it misses an answer that is faster than it, and waits for ever.
        if (echo) rtm.addOutgoingEvent(false, 'message', { text, channel }).catch(() => {});
    }
    events++;
});
await rtm.start();
